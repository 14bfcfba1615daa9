import Machine
import Records
import Routing
import Testing
import Wire

@testable import RIP

/// What was fatal to a controller (DESIGN §7) when it is said again.
@Suite struct QuarantineTests {
    static let bad = "203.0.113.0/24", good = "172.16.0.0/16", third = "172.17.0.0/16"
    static let other = IPv4Address(10, 0, 0, 3)

    static func packet(_ bytes: [UInt8], _ version: RIPVersion = .v2, from source: IPAddress = .v4(Driver.neighbor))
        -> ReceivedPacket
    {
        ReceivedPacket(
            interface: InterfaceID(0), packetProtocol: version.packetProtocol, source: .ip(source),
            destination: .ip(version == .v2 ? RIPInstance.groupIPv4 : RIPInstance.groupIPv6), sourcePort: version.port,
            hopLimit: 255,
            bytes: bytes)
    }
    static func poisoned(message number: Int = 0) -> Driver {
        let d = Driver().begin()
        d.learn([(third, 2)])
        d.learn([(third, 5)], from: other)
        d.input(.fault(packet(message(2, [entry(good, 3), entry(bad, 3)])), message: number))
        return d
    }

    @Test func `Its sender is held down until somebody could survive it, and nobody else is`() {
        let d = Self.poisoned()
        #expect(d.route(Self.third)?.metric == 16)
        for _ in 0..<10 {
            d.learn([(Self.third, 2)])
            d.learn([(Self.third, 5)], from: Self.other)
            d.run(.seconds(30))
        }
        #expect(d.route(Self.third)?.metric == 6)
        #expect(d.counter(.fault) == 11)
        d.input(.redundancy(true))
        d.run(.milliseconds(1900))
        d.learn([(Self.third, 2)])
        #expect(d.route(Self.third)?.metric == 6)
        d.run(.milliseconds(200))
        d.learn([(Self.third, 2)])
        #expect(d.route(Self.third)?.metric == 3)
    }

    @Test func `An entry is known however it is packed, and what it is packed with goes on`() {
        let d = Self.poisoned(message: 2)
        d.input(.redundancy(true))
        d.run(.seconds(3))
        d.learn([(Self.bad, 3), (Self.good, 3)])
        #expect(d.route(Self.bad) == nil && d.route(Self.good)?.metric == 4)
        d.learn([(Self.bad, 3)], from: Self.other)
        #expect(d.route(Self.bad)?.metric == 4, "of another neighbor it is what it always was")
        d.learn([(Self.bad, 2)])
        #expect(d.route(Self.bad)?.metric == 3, "another form is looked into")
    }

    @Test func `Without a word from whoever died all entries of the packet are remembered`() {
        let d = Self.poisoned()
        d.input(.redundancy(true))
        d.run(.seconds(3))
        d.learn([(Self.bad, 3), (Self.good, 3), (Self.third, 2)])
        #expect(d.route(Self.bad) == nil && d.route(Self.good) == nil && d.route(Self.third)?.metric == 3)
    }

    @Test func `Two fatal entries of one destination make it known whatever is said of it, until it is cleared`() {
        let d = Self.poisoned(message: 2)
        d.input(.fault(Self.packet(message(2, [entry(Self.bad, 7)])), message: 1))
        d.input(.redundancy(true))
        d.run(.seconds(10))
        d.learn([(Self.bad, 9), (Self.good, 3)])
        #expect(d.route(Self.bad) == nil && d.route(Self.good)?.metric == 4)
        #expect(d.instance.knows("10.0.0.2") && !d.instance.knows("10.0.0.9"))
        _ = d.take()
        d.input(.clear(neighbor: "10.0.0.2"))
        #expect(!d.packets(on: 0).isEmpty, "the table is asked for")
        d.learn([(Self.bad, 9)])
        #expect(d.route(Self.bad)?.metric == 10)
    }

    @Test func `RFC 4822: a sequence number and a digest that differ do not hide it`() {
        let keys = [KeyChain.Key(id: 1, algorithm: .hmacSHA256, secret: "k")]
        func signed(_ number: UInt32, _ entries: [RIPv2Entry]) -> [UInt8] {
            var w = ByteWriter()
            w.u8(2)
            w.u8(2)
            w.u16(0)
            RIPAuthenticator.begin(&w, keys[0], sequence: number)
            for entry in entries { entry.write(to: &w) }
            RIPAuthenticator.finish(&w, keys[0])
            return w.bytes
        }
        let d = Driver { $0.interfaces[0].authentication = KeyChain(firstSigns: keys) }.begin()
        d.input(.fault(Self.packet(signed(5, [entry(Self.bad, 3), entry(Self.third, 3)])), message: 1))
        d.input(.redundancy(true))
        d.run(.seconds(3))
        d.receive(signed(9, [entry(Self.good, 3), entry(Self.bad, 3), entry(Self.third, 3)]))
        #expect(d.route(Self.good)?.metric == 4 && d.route(Self.third)?.metric == 4)
        #expect(d.route(Self.bad) == nil)
    }

    @Test func `RFC 2080 §2.1.1: a next hop belongs to what is under it, and is no entry itself`() {
        let neighbor = IPAddress("fe80::2")!
        let d = Driver(.ng).begin()
        let fatal = message6([nextHop6("fe80::9"), entry6("2001:db8:a::/48", 3), entry6("2001:db8:b::/48", 3)])
        d.input(.fault(Self.packet(fatal, .ng, from: neighbor), message: 2))
        d.input(.redundancy(true))
        d.run(.seconds(3))
        d.receive(fatal, from: neighbor)
        #expect(d.offer("2001:db8:a::/48")?.nextHops == [.via(IPAddress("fe80::9")!, InterfaceID(0))])
        #expect(d.route("2001:db8:b::/48") == nil)
        d.receive(message6([entry6("2001:db8:b::/48", 3)]), from: neighbor)
        #expect(d.route("2001:db8:b::/48")?.metric == 4, "under another next hop it is another form")
        #expect(d.instance.knows("FE80:0::2%eth0") && !d.instance.knows("fe80::2%eth1"))
    }

    @Test func `A request that was fatal is known, and others of its sender are answered`() {
        let d = Driver().begin()
        d.learn([(Self.third, 2)], from: Self.other)
        d.run(.seconds(10))
        let fatal = message(2, [entry(Self.third, 3)], command: RIPFormat.request)
        d.input(.fault(Self.packet(fatal), message: 0))
        d.input(.redundancy(true))
        d.run(.seconds(3))
        _ = d.take()
        d.receive(fatal)
        #expect(d.packets.isEmpty)
        d.receive(message(2, [entry(Self.good, 3)], command: RIPFormat.request))
        #expect(d.packets.count == 1)
    }

    @Test func `It passes through a snapshot`() throws {
        let d = Self.poisoned(message: 2)
        d.input(.redundancy(true))
        d.run(.seconds(3))
        var writer = SnapshotWriter()
        d.instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let twin = try RIPInstance(from: &reader)
        try reader.expectEnd()
        #expect(twin.digest == d.instance.digest)
        d.instance = twin
        d.learn([(Self.bad, 3), (Self.good, 3)])
        #expect(d.route(Self.bad) == nil && d.route(Self.good)?.metric == 4)
    }

    @Test(arguments: [RIPVersion.v2, .ng])
    func `No octets are a trap to what remembers fatal octets`(version: RIPVersion) {
        let source: IPAddress = version == .v2 ? .v4(Driver.neighbor) : IPAddress("fe80::2")!
        let d = Driver(version).begin()
        var random = RandomNumbers(seed: 3)
        let whole =
            version == .v2
            ? message(2, [entry(Self.bad, 3), entry(Self.good, 3)])
            : message6([nextHop6("fe80::9"), entry6("2001:db8:a::/48", 3), entry6("2001:db8:b::/48", 3)])
        for count in 0...whole.count {
            var octets = Array(whole[..<count])
            for round in 0..<8 {
                let packet = Self.packet(octets, version, from: source)
                if round == 0 { d.input(.fault(packet, message: random.number(in: 0...3))) }
                d.input(.clear(neighbor: nil))
                d.input(.packet(packet))
                if !octets.isEmpty { octets[random.number(in: 0...(octets.count - 1))] = UInt8(random.number(in: 0...255)) }
            }
        }
        #expect(d.instance.fatal.sources.count == 1)
    }
}
