import Machine
import Records
import Wire

@testable import BFD

/// What an engine knows of one session: enough to put another line card in the place of this one.
final class End {
    var instance: BFDInstance
    var session: BFDSession
    var reports: [BFDReport] = []
    /// Times and packets that went out.
    var sent: [(at: Instant, packet: ControlPacket, bytes: [UInt8])] = []
    var effects: [BFDEffect] = []

    init(seed: UInt64, _ session: BFDSession) {
        instance = BFDInstance(seed: seed)
        self.session = session
    }

    var state: BFDState { session.status.state }
    var view: BFDSessionActivity? { instance.activities.first }
    var states: [BFDState] {
        reports.reduce(into: []) { list, report in if list.last != report.status.state { list.append(report.status.state) } }
    }
}

/// Two ends on a wire of half a millisecond.
final class Pair {
    let a: End
    let b: End
    var now = Instant(nanoseconds: 1_000_000_000)
    var queue: [(at: Instant, toB: Bool, bytes: [UInt8])] = []
    /// Whether a packet gets through.
    var passes: (_ toB: Bool, _ bytes: [UInt8]) -> Bool = { _, _ in true }

    /// Sees each step after it: whose, what happened, what came of it.
    var observer: (End, String?, [BFDEffect]) -> Void = { _, _, _ in }

    static let addressA = IPAddress("192.0.2.1")!
    static let addressB = IPAddress("192.0.2.2")!
    static let peerOfA = BFDPeer(interface: InterfaceID(3), local: addressA, remote: addressB)
    static let peerOfB = BFDPeer(interface: InterfaceID(3), local: addressB, remote: addressA)

    init(
        _ a: BFDSessionParameters = .init(desiredMinTx: 50_000, requiredMinRx: 50_000),
        _ b: BFDSessionParameters = .init(desiredMinTx: 50_000, requiredMinRx: 50_000), isMultihop: Bool = false
    ) {
        var peerA = Self.peerOfA, peerB = Self.peerOfB
        if isMultihop { (peerA.interface, peerB.interface) = (nil, nil) }
        self.a = End(seed: 1, BFDSession(peer: peerA, discriminator: 0xa0a0, sourcePort: 50_001, parameters: a))
        self.b = End(seed: 2, BFDSession(peer: peerB, discriminator: 0xb0b0, sourcePort: 50_002, parameters: b))
    }

    func start() {
        for end in [a, b] {
            end.instance.apply(.set(end.session), at: now, into: &end.effects)
            end.instance.fire(at: now, into: &end.effects)
            collect(end, after: "gets a session")
        }
    }

    /// New parameters for one end.
    func configure(_ end: End, _ change: (inout BFDSessionParameters) -> Void) {
        change(&end.session.parameters)
        end.instance.apply(.set(end.session), at: now, into: &end.effects)
        collect(end, after: "gets new parameters")
    }

    /// Another line card takes over from what the engine knows; the one before has vanished.
    func takeOver(_ end: End, seed: UInt64 = 99) {
        end.instance = BFDInstance(seed: seed)
        end.instance.restore([end.session], at: now, into: &end.effects)
        end.instance.fire(at: now, into: &end.effects)
        collect(end, after: "is taken over")
    }

    func collect(_ end: End, after cause: String? = nil) {
        let effects = end.effects
        defer { observer(end, cause, effects) }
        for effect in end.effects {
            switch effect {
            case .report(let report):
                end.reports.append(report)
                if report.discriminator == end.session.discriminator { end.session.status = report.status }
            case .transmit(let transmission):
                let bytes = transmission.bytes
                if let packet = try? ControlPacket(bytes.span.bytes) { end.sent.append((now, packet, bytes)) }
                if passes(end === a, bytes) { queue.append((now + .microseconds(500), end === a, bytes)) }
            }
        }
        end.effects = []
    }

    func deliver(_ bytes: [UInt8], to end: End, hopLimit: UInt8 = 255, on interface: UInt16 = 3) {
        let peer = end.session.peer
        end.instance.receive(
            bytes.span.bytes, from: peer.remote, to: peer.local, on: InterfaceID(interface),
            isMultihop: peer.interface == nil, hopLimit: hopLimit, at: now, into: &end.effects)
        collect(end, after: "hears \((try? ControlPacket(bytes.span.bytes))?.summary ?? "no BFD")")
    }

    func run(_ duration: Duration) {
        let stop = now + duration
        while true {
            var next = stop
            for time in [a.instance.nextDeadline, b.instance.nextDeadline, queue.first?.at] {
                if let time { next = min(next, time) }
            }
            now = max(now, next)
            while let first = queue.first, first.at <= now {
                queue.removeFirst()
                deliver(first.bytes, to: first.toB ? b : a)
            }
            for end in [a, b] {
                end.instance.fire(at: now, into: &end.effects)
                collect(end)
            }
            if now >= stop, (queue.first?.at ?? .distantFuture) > stop { return }
        }
    }

    /// Both up and polled.
    static func up(
        _ a: BFDSessionParameters = .init(desiredMinTx: 50_000, requiredMinRx: 50_000),
        _ b: BFDSessionParameters = .init(desiredMinTx: 50_000, requiredMinRx: 50_000), isMultihop: Bool = false
    ) -> Pair {
        let pair = Pair(a, b, isMultihop: isMultihop)
        pair.start()
        pair.run(.seconds(5))
        return pair
    }

    /// A packet from the neighbour of `end`, for one without authentication.
    static func packet(
        to end: End, state: BFDState, your: UInt32? = nil, my: UInt32 = 0xb0b0, _ change: (inout ControlPacket) -> Void = { _ in }
    ) -> [UInt8] {
        var packet = ControlPacket(
            diagnostic: 0, state: state.rawValue, multiplier: 3, myDiscriminator: my,
            yourDiscriminator: your ?? end.session.discriminator, desiredMinTx: 50_000, requiredMinRx: 50_000)
        change(&packet)
        var w = ByteWriter()
        packet.write(to: &w)
        return w.bytes
    }
}

extension ControlPacket {
    /// What it says, in words.
    var summary: String {
        "\(BFDState(rawValue: state)!)\(poll ? " P" : "")\(final ? " F" : "") diagnostic \(diagnostic) ×\(multiplier), "
            + "mine \(String(myDiscriminator, radix: 16)) yours \(String(yourDiscriminator, radix: 16)), "
            + "sends every \(desiredMinTx) µs, takes every \(requiredMinRx) µs"
    }
}
