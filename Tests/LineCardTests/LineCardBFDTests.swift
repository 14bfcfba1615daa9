import BFD
import Machine
import Records
import Testing
import Wire

@testable import LineCard

/// BFD through frames: addresses, ports, TTL, resolution, and take-over from an image.
@Suite struct LineCardBFDTests {
    static let parameters = BFDSessionParameters(desiredMinTx: 50_000, requiredMinRx: 50_000)
    static let v4Peer = BFDPeer(interface: InterfaceID(0), local: .v4(Bench.v4), remote: .v4(Bench.peer4))
    static let otherMAC = MACAddress("02:00:5e:00:02:02")!

    /// Two line cards on one wire, the frames of one the input of the other.
    final class Wire {
        var cards: [LineCard] = [LineCard(seed: 1), LineCard(seed: 2)]
        var images: [LineCardImage]
        var now = Instant(nanoseconds: 1_000_000_000)
        var queue: [(at: Instant, to: Int, frame: [UInt8])] = []
        var log: [[BFDReport]] = [[], []]
        var frames: [[[UInt8]]] = [[], []]

        init(images: [LineCardImage]) {
            self.images = images
            for i in 0..<2 { takeOver(i) }
        }

        init(_ sessions: [BFDSession], _ addresses: [[String]]) {
            images = [LineCardImage(), LineCardImage()]
            for i in 0..<2 {
                let mac = i == 0 ? Bench.ours : LineCardBFDTests.otherMAC
                images[i].interfaces = [
                    InterfaceConfiguration(
                        name: "lan", virtualMAC: mac,
                        addresses: addresses[i].map { text in
                            let parts = text.split(separator: "/")
                            return .init(address: IPAddress(String(parts[0]))!, prefixLength: UInt8(parts[1])!)
                        })
                ]
                images[i].bfdSessions = [sessions[i]]
                takeOver(i)
            }
        }

        func takeOver(_ i: Int) {
            cards[i] = LineCard(seed: UInt64(i) + 77)
            var effects: [LineCardEffect] = []
            cards[i].handle(.takeOver(images[i]), at: now, into: &effects)
            collect(i, effects)
        }

        func collect(_ i: Int, _ effects: [LineCardEffect]) {
            for effect in effects {
                switch effect {
                case .transmit(_, let frame):
                    frames[i].append(frame)
                    queue.append((now + .microseconds(100), 1 - i, frame))
                case .record(.bfd(let report)):
                    log[i].append(report)
                    let place = images[i].bfdSessions.firstIndex { $0.discriminator == report.discriminator }
                    if let place { images[i].bfdSessions[place].status = report.status }
                default: break
                }
            }
        }

        func run(_ duration: Duration) {
            let stop = now + duration
            while true {
                var next = stop
                for time in [cards[0].nextDeadline, cards[1].nextDeadline, queue.first?.at] {
                    if let time { next = min(next, time) }
                }
                if next >= stop { break }
                now = max(now, next)
                var effects: [LineCardEffect] = []
                if let first = queue.first, first.at <= now {
                    queue.removeFirst()
                    cards[first.to].receive(first.frame.span.bytes, on: InterfaceID(0), at: now, into: &effects)
                    collect(first.to, effects)
                    continue
                }
                for i in 0..<2 {
                    effects = []
                    cards[i].handle(.time, at: now, into: &effects)
                    collect(i, effects)
                }
            }
            now = stop
        }

        func state(_ i: Int) -> BFDState? { cards[i].status.bfdSessions.first?.session.status.state }
    }

    static func wire(_ a: [String], _ b: [String], isMultihop: Bool = false) -> Wire {
        let first = IPAddress(String(a[0].split(separator: "/")[0]))!, second = IPAddress(String(b[0].split(separator: "/")[0]))!
        let interface = isMultihop ? nil : InterfaceID(0)
        return Wire(
            [
                BFDSession(
                    peer: BFDPeer(interface: interface, local: first, remote: second), discriminator: 11, sourcePort: 50_000,
                    parameters: parameters),
                BFDSession(
                    peer: BFDPeer(interface: interface, local: second, remote: first), discriminator: 22, sourcePort: 50_001,
                    parameters: parameters),
            ], [a, b])
    }

    @Test func `RFC 5881: a session over IPv4 comes up, survives take-overs of either end and falls when one is gone`() throws {
        let wire = Self.wire(["10.0.0.1/24"], ["10.0.0.2/24"])
        wire.run(.seconds(5))
        #expect(wire.state(0) == .up && wire.state(1) == .up)
        for round in 0..<20 {
            wire.run(.milliseconds(70))
            wire.takeOver(round % 2)
        }
        wire.run(.seconds(1))
        #expect(wire.state(0) == .up && wire.state(1) == .up)
        #expect(!wire.log[0].contains { $0.status.diagnostic == .detectionTimeExpired })
        // §4, §5: ports, TTL, CS6.
        let frame = try #require(wire.frames[0].last { $0.count > 60 && $0[23] == 17 })
        let d = try Dissected(frame)
        #expect(d.v4?.hopLimit == 255)
        #expect(d.v4?.trafficClass == 0xc0)
        #expect(Array(d.payload[..<4]) == [195, 80, 14, 200])
        var effects: [LineCardEffect] = []
        wire.cards[1].handle(.standDown, at: wire.now, into: &effects)
        wire.run(.milliseconds(200))
        #expect(wire.state(0) == .down)
        #expect(wire.log[0].last?.status.diagnostic == .detectionTimeExpired)
    }

    @Test func `RFC 5881: a session over IPv6 link-local addresses`() {
        let other = IPv6Address(linkLocalOf: Self.otherMAC)
        let wire = Self.wire(["\(Bench.linkLocal)/64"], ["\(other)/64"])
        wire.run(.seconds(5))
        #expect(wire.state(0) == .up && wire.state(1) == .up)
    }

    /// Sixty-four sessions between the loopback addresses of two neighbours: one next hop, whom nobody knows after a
    /// take-over.
    static func crowd(_ authentication: BFDAuthenticationType?) -> Wire {
        let parameters = BFDSessionParameters(
            desiredMinTx: 100_000, requiredMinRx: 100_000,
            authentication: authentication.map {
                BFDAuthentication(type: $0, chain: KeyChain(keys: [.init(id: 1, algorithm: .md5, secret: [9, 9])]))
            })
        func address(_ end: Int, _ n: Int) -> IPAddress { .v4(IPv4Address(10, UInt8(1 + end), 0, UInt8(n + 1))) }
        return Wire(
            images: (0..<2).map { end in
                var image = LineCardImage()
                image.interfaces = [
                    InterfaceConfiguration(
                        name: "lan", virtualMAC: end == 0 ? Bench.ours : otherMAC,
                        addresses: [.init(address: .v4(IPv4Address(10, 0, 0, UInt8(end + 1))), prefixLength: 24)]),
                    InterfaceConfiguration(
                        name: "lo", virtualMAC: MACAddress(raw: 0),
                        addresses: (0..<64).map { .init(address: address(end, $0), prefixLength: 32) }, isLoopback: true),
                ]
                image.gateways = [
                    Gateway(
                        prefix: .v4(IPv4Prefix(IPv4Address(10, UInt8(2 - end), 0, 0), 24)),
                        nextHop: .v4(IPv4Address(10, 0, 0, UInt8(2 - end))))
                ]
                image.bfdSessions = (0..<64).map { n in
                    BFDSession(
                        peer: BFDPeer(interface: nil, local: address(end, n), remote: address(1 - end, n)),
                        discriminator: UInt32(1000 * (end + 1) + n), sourcePort: UInt16(50_000 + n), parameters: parameters)
                }
                return image
            })
    }

    @Test(arguments: [nil, .meticulousKeyedSHA1] as [BFDAuthenticationType?])
    func `Sixty-four sessions with one neighbour at 100 ms × 3 stay up through three take-overs`(type: BFDAuthenticationType?) {
        let wire = Self.crowd(type)
        wire.run(.seconds(6))
        let count = wire.cards.map { $0.status.bfdSessions.count { $0.session.status.state == .up } }
        #expect(count == [64, 64])
        for _ in 0..<3 {
            // The controller is dead for a while: nothing of it is sent or heard.
            wire.cards[0] = LineCard(seed: 5)
            wire.run(.milliseconds(150))
            wire.takeOver(0)
            wire.run(.seconds(1))
        }
        #expect(!wire.log[1].contains { $0.status.diagnostic == .detectionTimeExpired })
        #expect(wire.cards.allSatisfy { $0.status.bfdSessions.allSatisfy { $0.session.status.state == .up } })
        #expect(wire.cards[1].status.bfd[.sequence] == 0)
    }

    @Test(arguments: [nil, .meticulousKeyedMD5, .meticulousKeyedSHA1] as [BFDAuthenticationType?])
    func `Sixty-four sessions that fall because nobody spoke for a second come up again`(type: BFDAuthenticationType?) {
        let wire = Self.crowd(type)
        wire.run(.seconds(6))
        for silence in [400, 1000, 5000] {
            wire.cards[0] = LineCard(seed: 5)
            wire.run(.milliseconds(silence))
            #expect(wire.cards[1].status.bfdSessions.allSatisfy { $0.session.status.state == .down })
            wire.takeOver(0)
            wire.run(.seconds(6))
            #expect(wire.cards.allSatisfy { $0.status.bfdSessions.allSatisfy { $0.session.status.state == .up } })
        }
    }

    @Test func `RFC 5883: a multihop session goes to port 4784`() throws {
        let wire = Self.wire(["10.0.0.1/24"], ["10.0.0.2/24"], isMultihop: true)
        wire.run(.seconds(5))
        #expect(wire.state(0) == .up && wire.state(1) == .up)
        let frame = try #require(wire.frames[1].last { $0.count > 60 && $0[23] == 17 })
        #expect(Array(try Dissected(frame).payload[2..<4]) == [18, 176])
    }

    static func bench() -> Bench {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.handle(
            .engine(
                .bfdSessions([
                    .set(BFDSession(peer: v4Peer, discriminator: 5, sourcePort: 50_000, parameters: parameters))
                ])))
        return bench
    }

    static func packet(ttl: UInt8 = 255, to destination: IPv4Address = Bench.v4, spoil: Bool = false) -> [UInt8] {
        let control: [UInt8] = [0x20, 0x40, 3, 24, 0, 0, 0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        var datagram = UDPHeader.datagram(control, from: .v4(Bench.peer4), 49_152, to: .v4(destination), 3784)
        if spoil { datagram[7] ^= 1 }
        var w = ByteWriter()
        IPv4Header(source: Bench.peer4, destination: destination, protocolNumber: 17, hopLimit: ttl)
            .write(to: &w, payloadLength: datagram.count)
        w.append(datagram)
        return Bench.ethernet(EtherType.ipv4, w.bytes, to: destination == Bench.v4 ? Bench.ours : .broadcast)
    }

    @Test func `a session that the engine sets speaks at once, and a transition is a record`() throws {
        var bench = Self.bench()
        let frames = bench.takeFrames()
        #expect(frames.count == 1)
        bench.receive(Self.packet())
        let records = bench.take().compactMap { if case .record(.bfd(let report)) = $0 { report } else { nil } }
        #expect(records.last?.discriminator == 5)
        #expect(records.last?.status.state == .initializing)
        #expect(records.last?.status.remoteDiscriminator == 9)
        bench.handle(.engine(.bfdSessions([.remove(5)])))
        bench.advance(.seconds(5))
        #expect(bench.card.nextDeadline == nil)
        #expect(bench.card.status.bfdSessions.isEmpty)
    }

    @Test func `RFC 5881 §5: TTL, checksum and destination are checked, without an ICMP error`() {
        var bench = Self.bench()
        bench.out = []
        bench.receive(Self.packet(ttl: 254))
        bench.receive(Self.packet(spoil: true))
        bench.receive(Self.packet(to: .broadcast))
        #expect(bench.take().isEmpty)
        #expect(bench.card.status.bfd[.hopLimit] == 1)
        #expect(bench.card.status.bfd[.notUnicast] == 1)
        #expect(bench.card.counters[.otherDestination] == 1)
    }

    @Test func `without any session the port is closed like every other`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.receive(Self.packet())
        #expect(bench.takeFrames().count == 1)
        #expect(bench.card.counters[.unknownProtocol] == 1)
    }

    @Test func `standing down silences BFD`() {
        var bench = Self.bench()
        bench.handle(.standDown)
        bench.out = []
        #expect(bench.card.nextDeadline == nil)
        bench.advance(.seconds(5))
        #expect(bench.take().isEmpty)
    }
}
