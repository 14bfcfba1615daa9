import LineCard
import Machine
import Records
import Wire

/// A neighbour on the LAN: a BGP speaker on a line card of its own. Nothing of it is redundant: what it logs is
/// committed at once.
final class SpeakerStation {
    private(set) var lineCard: LineCard
    private(set) var speaker: BGPSpeaker
    private var connection: ConnectionID?
    private var nextIndex = LogIndex(1)
    private let routerAddress: IPv4Address
    /// Opens the connection itself; otherwise it waits for the router.
    private let isActive: Bool
    private var nextAttempt: Instant?
    private var attempts: UInt32 = 0
    private let interface = InterfaceID(0)
    /// How BFD watches the router; `nil`: it does not.
    private let watch: BFDSessionParameters?
    /// BFD's session with the router is up.
    private(set) var isWatched = false
    /// Whatever is lost now is no complaint, until `expectNoLoss`: while a session comes up, packets that overtake each
    /// other may make it go down once more.
    private var mayLose: Bool { watch != nil && speaker.isIndulgent }
    /// What nobody may do to a neighbour that speaks BFD.
    private(set) var violations: [String] = []
    /// It takes nothing more for now: its TCP says so in every segment.
    private(set) var isWindowShut = false

    init(
        number: Int, routerAddress: IPv4Address, isActive: Bool, holdSeconds: Int64 = 90, seed: UInt64,
        watch: BFDSessionParameters? = nil
    ) {
        self.watch = watch
        let address = Neighborhood.address(ofPeer: number, routerAddress: routerAddress)
        lineCard = LineCard(seed: seed)
        speaker = BGPSpeaker(
            asNumber: 65001 + UInt32(number), identifier: address.raw, address: address, holdSeconds: holdSeconds)
        speaker.isIndulgent = watch != nil
        self.routerAddress = routerAddress
        self.isActive = isActive
    }

    static func macAddress(_ number: Int) -> MACAddress { MACAddress(raw: 0x0200_0000_1000 + UInt64(number)) }

    /// RFC 826: a request for an address that nobody has, to everybody.
    static func question(_ number: Int) -> [UInt8] {
        var writer = ByteWriter(capacity: 60)
        let source = macAddress(number)
        writer.mac(MACAddress(raw: 0xffff_ffff_ffff))
        writer.mac(source)
        for word: UInt16 in [0x0806, 1, 0x0800, 0x0604, 1] { writer.u16(word) }
        writer.mac(source)
        writer.u32(0xc612_000b + UInt32(number))
        writer.zeros(6)
        writer.u32(0xc612_00fa)
        writer.zeros(60 - writer.count)
        return writer.bytes
    }

    func start(number: Int, at now: Instant) -> [[UInt8]] {
        var image = LineCardImage()
        image.interfaces = [
            InterfaceConfiguration(
                name: "lan", virtualMAC: Self.macAddress(number),
                addresses: [.init(address: .v4(speaker.address), prefixLength: 24)])
        ]
        image.listeners = [
            Listener(local: .v4(speaker.address), localPort: 179, remote: .v4(routerAddress), options: TransportOptions())
        ]
        image.sequenceSecret = UInt64(number) &* 0x9e37_79b9 &+ 7
        if let watch {
            // RFC 5881 §4.
            image.bfdSessions = [
                BFDSession(
                    peer: BFDPeer(interface: interface, local: .v4(speaker.address), remote: .v4(routerAddress)),
                    discriminator: UInt32(number) + 1, sourcePort: 49152 + UInt16(number), parameters: watch)
            ]
        }
        if isActive { nextAttempt = now + .milliseconds(100) }
        return turn(at: now) { card, effects in card.handle(.takeOver(image), at: now, into: &effects) }
    }

    var nextDeadline: Instant? {
        [lineCard.nextDeadline, speaker.nextDeadline, connection == nil ? nextAttempt : nil].compactMap { $0 }.min()
    }

    func receive(_ frame: [UInt8], at now: Instant) -> [[UInt8]] {
        turn(at: now) { card, effects in card.receive(frame.span.bytes, on: InterfaceID(0), at: now, into: &effects) }
    }

    func time(at now: Instant) -> [[UInt8]] {
        let due = speaker.time(at: now)
        var request: ConnectRequest? = nil
        if connection == nil, let attempt = nextAttempt, attempt <= now {
            attempts += 1
            nextAttempt = now + .seconds(5)
            let tuple = ConnectionTuple(
                interface: interface, local: .v4(speaker.address), localPort: UInt16(50000 + attempts % 10000),
                remote: .v4(routerAddress), remotePort: 179)
            request = ConnectRequest(
                connection: ConnectionID(attempts * 2 + 1), tuple: tuple,
                initialSendSequence: UInt32(truncatingIfNeeded: now.nanoseconds / 4000), timestampOffset: 0,
                options: TransportOptions())
        }
        let connection = connection
        return turn(at: now) { card, effects in
            card.handle(.time, at: now, into: &effects)
            if let request { card.handle(.engine(.tcpConnect(request)), at: now, into: &effects) }
            if let connection, !due.isEmpty { card.handle(.engine(.tcpSend(connection, due[...])), at: now, into: &effects) }
        }
    }

    /// Lets the speaker say something; returns frames.
    func speak(at now: Instant, _ body: (inout BGPSpeaker) -> [UInt8]) -> [[UInt8]] {
        let bytes = body(&speaker)
        guard let connection, !bytes.isEmpty else { return [] }
        return turn(at: now) { card, effects in
            card.handle(.engine(.tcpSend(connection, bytes[...])), at: now, into: &effects)
        }
    }

    func expectLoss() { speaker.expectLoss() }
    /// The same of BFD's session, as often as it happens, until `expectNoLoss`.
    func expectLosses() {
        if watch == nil { speaker.expectLoss() } else { speaker.isIndulgent = true }
    }
    func expectNoLoss() { if isWatched, speaker.state == .established { speaker.isIndulgent = false } }
    /// BFD says that the router is there, if it is asked.
    var isWatchedOrNeedNotBe: Bool { isWatched || watch == nil }

    // MARK: bad manners

    /// The station's host is started again: what it was told, and its connection, are gone, and nobody was told.
    func restart(number: Int, seed: UInt64, at now: Instant) -> [[UInt8]] {
        speaker.expectLoss(isMemoryLost: false)
        speaker.closed("its host was started again")
        connection = nil
        isWatched = false
        isWindowShut = false
        lineCard = LineCard(seed: seed)
        return start(number: number, at: now)
    }

    /// The operator clears the session.
    func reset(at now: Instant) -> [[UInt8]] {
        guard let id = connection, speaker.state == .established else { return [] }
        let bytes = speaker.cease()
        connection = nil
        if isActive { nextAttempt = now + .seconds(1) }
        return turn(at: now) { card, effects in
            card.handle(.engine(.tcpSend(id, bytes[...])), at: now, into: &effects)
            card.handle(.engine(.tcpFinish(id)), at: now, into: &effects)
        }
    }

    func shutWindow() { isWindowShut = true }
    /// Says so with the next octets: a window that opens is announced.
    func openWindow(at now: Instant) -> [[UInt8]] {
        guard isWindowShut else { return [] }
        isWindowShut = false
        return speak(at: now) { $0.keepalive() }
    }

    /// A frame with a window of 0, if it is a TCP segment that could have another (RFC 9293 §3.8.6; the checksum by RFC 1624).
    private static func withShutWindow(_ frame: [UInt8]) -> [UInt8] {
        guard frame.count >= 54, frame[12] == 8, frame[13] == 0, frame[23] == 6 else { return frame }
        let tcp = 14 + Int(frame[14] & 15) * 4
        guard frame.count >= tcp + 20, frame[tcp + 13] & 0x06 == 0 else { return frame }
        var frame = frame
        func word(_ at: Int) -> UInt32 { UInt32(frame[at]) << 8 | UInt32(frame[at + 1]) }
        var sum = (~word(tcp + 16) & 0xffff) + (~word(tcp + 14) & 0xffff)
        sum = (sum & 0xffff) + sum >> 16
        sum = ~((sum & 0xffff) + sum >> 16) & 0xffff
        frame[tcp + 14] = 0
        frame[tcp + 15] = 0
        frame[tcp + 16] = UInt8(sum >> 8)
        frame[tcp + 17] = UInt8(sum & 255)
        return frame
    }

    /// The power failed and is back: a line card that knows no connection, and an attempt at once. No FIN was sent.
    func reboot(number: Int, seed: UInt64, at now: Instant) -> [[UInt8]] {
        lineCard = LineCard(seed: seed)
        speaker.reboot()
        connection = nil
        // Connections of before have other numbers and ports.
        attempts += 100
        let frames = start(number: number, at: now)
        nextAttempt = now
        return frames + time(at: now)
    }

    /// Runs the line card and then the speaker until neither has anything more to say.
    private func turn(
        at now: Instant, _ body: (inout LineCard, inout [LineCardEffect]) -> Void
    ) -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var effects: [LineCardEffect] = []
        body(&lineCard, &effects)
        lineCard.handle(.endOfBatch, at: now, into: &effects)
        while !effects.isEmpty {
            let round = effects
            effects = []
            for effect in round {
                switch effect {
                case .transmit(_, let frame): frames.append(frame)
                case .record(let record):
                    lineCard.handle(.logged(nextIndex), at: now, into: &effects)
                    lineCard.handle(.committed(nextIndex), at: now, into: &effects)
                    nextIndex = nextIndex.next
                    handle(record, at: now, into: &effects)
                default: break
                }
            }
            lineCard.handle(.endOfBatch, at: now, into: &effects)
        }
        return isWindowShut ? frames.map(Self.withShutWindow) : frames
    }

    private func handle(_ record: RecordBody, at now: Instant, into effects: inout [LineCardEffect]) {
        switch record {
        case .tcpAccepted(let id, _), .tcpConnected(let id, _):
            if let old = connection, old != id {
                // One session at a time: a second connection while one is in use is a collision, and the newer one goes;
                // unless nobody answers on the older one, whose other end is gone, it may be.
                if speaker.waitsInVain(at: now) {
                    lineCard.handle(.engine(.tcpAbort(old)), at: now, into: &effects)
                } else if speaker.state != .idle {
                    return lineCard.handle(.engine(.tcpAbort(id)), at: now, into: &effects)
                }
            }
            connection = id
            lineCard.handle(.engine(.tcpSend(id, speaker.connected(at: now)[...])), at: now, into: &effects)
        case .tcpReceived(let id, let bytes, _):
            guard id == connection else { return }
            let (send, close) = speaker.received(bytes, at: now)
            if !send.isEmpty { lineCard.handle(.engine(.tcpSend(id, send[...])), at: now, into: &effects) }
            if close { finish(id, "it was not to be gone on with", at: now, into: &effects) }
        case .tcpPeerFinished(let id):
            guard id == connection else { return }
            finish(id, "FIN", at: now, into: &effects)
        case .tcpClosed(let id, let end):
            guard id == connection else { return }
            speaker.closed("\(end)")
            connection = nil
        case .bfd(let report): hear(report, at: now, into: &effects)
        default: break
        }
    }

    /// RFC 5882 §4.1: the session of the protocol ends with BFD's, unless somebody shut that down.
    private func hear(_ report: BFDReport, at now: Instant, into effects: inout [LineCardEffect]) {
        let isNow = report.status.state == .up
        guard isNow != isWatched else { return }
        isWatched = isNow
        guard !isNow, report.status.remoteState != .adminDown else { return }
        if !mayLose {
            violations.append("AS \(speaker.asNumber) lost its BFD session with the router: \(report.status.diagnostic)")
        }
        guard let id = connection, speaker.state == .established else { return }
        speaker.expectLoss()
        finish(id, "BFD", at: now, into: &effects)
    }

    private func finish(
        _ id: ConnectionID, _ reason: String, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        speaker.closed(reason)
        connection = nil
        lineCard.handle(.engine(.tcpAbort(id)), at: now, into: &effects)
    }
}
