import Machine
import Records
import Routing
import Testing
import Wire

@testable import RIP

@Suite struct ReceiveTests {
    @Test func `RFC 2453 §3.9.2: a response from another port than 520 is ignored`() {
        let d = Driver().begin()
        d.receive(message(2, [entry("172.16.0.0/16", 1)]), port: 521)
        #expect(d.counter(.badPort) == 1)
        #expect(d.route("172.16.0.0/16") == nil)
    }

    @Test func `RFC 2453 §3.9.2: the sender must be on the network, and not we ourselves`() {
        let d = Driver().begin()
        let bytes = message(2, [entry("172.16.0.0/16", 1)])
        d.receive(bytes, from: .v4(IPv4Address(10, 0, 2, 2)))
        d.receive(bytes, from: .v4(IPv4Address(10, 0, 0, 255)))
        d.receive(bytes, from: .v4(IPv4Address(10, 0, 0, 0)))
        #expect(d.counter(.badSource) == 3)
        d.receive(bytes, from: .v4(Driver.ourIPv4[0]))
        d.receive(bytes, from: .v4(Driver.ourIPv4[1]))
        #expect(d.counter(.ownPacket) == 2)
        #expect(d.route("172.16.0.0/16") == nil)
    }

    @Test func `RFC 2453 §3.6: lengths, commands and versions that do not exist are counted`() {
        let d = Driver().begin()
        let good = message(2, [entry("172.16.0.0/16", 1)])
        for count in [0, 1, 3, 5, 23] { d.receive(Array(good[..<count])) }
        #expect(d.counter(.badLength) == 5)
        var bytes = good
        bytes[0] = 3
        d.receive(bytes)
        #expect(d.counter(.badCommand) == 1)
        bytes = good
        bytes[1] = 0
        d.receive(bytes)
        bytes[1] = 1
        d.receive(bytes)
        #expect(d.counter(.badVersion) == 2)
        d.receive(message(2, (0..<26).map { entry("172.16.\($0).0/24", 1) }))
        #expect(d.counter(.badLength) == 6)
        // A version that is yet to come is read like version 2.
        bytes[1] = 3
        d.receive(bytes)
        #expect(d.route("172.16.0.0/16")?.metric == 2)
    }

    @Test func `RFC 2453 §5.1: what an interface is told to hear`() {
        let d = Driver { $0.interfaces[0].receive = .v1 }.begin()
        d.learn([("172.16.0.0/16", 1)])
        #expect(d.counter(.badVersion) == 1)
        var e = entry("0.0.0.0/0", 4)
        e.address = IPv4Address(172, 16, 0, 0)
        d.receive(message(1, [e]))
        #expect(d.route("172.16.0.0/16")?.metric == 5)
        e.mask = 0xffff_0000
        d.receive(message(1, [e]))
        #expect(d.counter(.mustBeZero) == 1)
        let none = Driver { $0.interfaces[0].receive = .none }.begin()
        none.learn([("172.16.0.0/16", 1)])
        #expect(none.counter(.notEnabled) == 1)
    }

    @Test func `RFC 2453 §3.9.2: bad entries are passed over and the others are used`() {
        let d = Driver().begin()
        d.learn([("127.0.0.0/8", 1), ("172.16.0.0/16", 1), ("172.17.0.0/16", 99)])
        #expect(d.route("172.16.0.0/16")?.metric == 2)
        #expect(d.counter(.entryDestination) == 1)
        #expect(d.counter(.entryMetric) == 1)
        #expect(d.instance.neighbors[0]?.badRoutes == 2)
    }

    @Test func `RFC 2080 §2.4.2: updates of RIPng are link-local, with a hop limit of 255, from port 521`() {
        let d = Driver(.ng).begin()
        let bytes = message6([entry6("2001:db8:5::/48", 1)])
        let source = IPAddress("fe80::2")!
        d.receive(bytes, from: IPAddress("2001:db8::2")!)
        #expect(d.counter(.badSource) == 1)
        d.receive(bytes, from: source, hopLimit: 254)
        #expect(d.counter(.badHopLimit) == 1)
        d.receive(bytes, from: source, port: 520)
        #expect(d.counter(.badPort) == 1)
        var other = bytes
        other[1] = 2
        d.receive(other, from: source)
        #expect(d.counter(.badVersion) == 1)
        d.receive(bytes, from: .v6(Driver.ourIPv6[0]))
        #expect(d.counter(.ownPacket) == 1)
        #expect(d.route("2001:db8:5::/48") == nil)
        d.receive(bytes, from: source)
        #expect(
            d.offer("2001:db8:5::/48")
                == RouteOffer(nextHops: [.via(source, InterfaceID(0))], metric: 2, distance: 120))
    }

    @Test func `RFC 2080 §2.1.1: next hops of RIPng`() {
        let d = Driver(.ng).begin()
        let source = IPAddress("fe80::2")!
        d.receive(
            message6([
                nextHop6("fe80::9"), entry6("2001:db8:5::/48", 1), nextHop6("2001:db8::9"), entry6("2001:db8:6::/48", 1),
                nextHop6("fe80::9"), nextHop6("::"), entry6("2001:db8:7::/48", 1),
                nextHop6("fe80::10"), entry6("2001:db8:8::/48", 1),
            ]), from: source)
        #expect(d.offer("2001:db8:5::/48")?.nextHops == [.via(IPAddress("fe80::9")!, InterfaceID(0))])
        #expect(d.offer("2001:db8:6::/48")?.nextHops == [.via(source, InterfaceID(0))])
        #expect(d.offer("2001:db8:7::/48")?.nextHops == [.via(source, InterfaceID(0))])
        // fe80::10 is our own address.
        #expect(d.offer("2001:db8:8::/48") == nil)
        #expect(d.counter(.entryNextHop) == 1)
    }

    @Test func `RFC 5082: with TTL security only what was sent with 255 is heard`() {
        let d = Driver { $0.interfaces[0].ttlSecurity = true }
        d.input(.configure(d.configuration, d.list))
        #expect(d.packets(on: 0).allSatisfy { $0.hopLimit == 255 })
        #expect(d.packets(on: 1).allSatisfy { $0.hopLimit == 1 })
        d.receive(message(2, [entry("172.16.0.0/16", 1)]), hopLimit: 254)
        #expect(d.counter(.badHopLimit) == 1)
        d.learn([("172.16.0.0/16", 1)])
        #expect(d.route("172.16.0.0/16")?.metric == 2)
    }

    // MARK: authentication

    private static let keys = KeyChain(firstSigns: [KeyChain.Key(id: 5, algorithm: .hmacSHA256, secret: "s")])

    private func signed(_ sequence: UInt32, _ e: RIPv2Entry = entry("172.16.0.0/16", 1)) -> [UInt8] {
        var writer = RIPPacketWriter(
            version: .v2, messageVersion: 2, command: RIPFormat.response, key: Self.keys.sendingKey(at: .zero), mtu: 1500,
            sequence: sequence)
        writer.add(e)
        return writer.finish()[0]
    }

    @Test func `RFC 4822 §2.2: a sequence number that went back is a replay`() {
        let d = Driver { $0.interfaces[0].authentication = Self.keys }.begin()
        d.receive(signed(100))
        #expect(d.route("172.16.0.0/16")?.metric == 2)
        d.receive(signed(99, entry("172.16.0.0/16", 16)))
        #expect(d.counter(.authenticationReplayed) == 1)
        #expect(d.route("172.16.0.0/16")?.metric == 2)
        d.receive(signed(100, entry("172.16.0.0/16", 2)))
        #expect(d.route("172.16.0.0/16")?.metric == 3)
        d.receive(signed(101, entry("172.16.0.0/16", 16)))
        #expect(d.route("172.16.0.0/16")?.metric == 16)
    }

    @Test func `RFC 2453 §5.2: with authentication neither plain messages nor version 1 are heard, and one event tells`() {
        let d = Driver {
            $0.interfaces[0].authentication = Self.keys
            $0.interfaces[0].receive = .both
        }.begin()
        d.learn([("172.16.0.0/16", 1)])
        d.receive(message(1, []))
        #expect(d.counter(.authenticationMissing) == 2)
        #expect(d.events.count == 1)
        d.run(.seconds(61))
        d.learn([("172.16.0.0/16", 1)])
        #expect(d.events.count == 2)
    }

    @Test func `RFC 4822 §2.2: our numbers grow with every message and with the time`() {
        let d = Driver { $0.interfaces[0].authentication = Self.keys }
        d.input(.configure(d.configuration, d.list))
        d.run(.seconds(120))
        let numbers = d.packets(on: 0).map { p in p.bytes[12..<16].reduce(0) { $0 << 8 | UInt32($1) } }
        #expect(numbers.count > 4)
        #expect(zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
        #expect(numbers[0] == 10_000)
        #expect(numbers.last! > 10_600)
        for p in d.packets(on: 0) {
            if case .failure(let refusal) = RIPAuthenticator.check(p.bytes, against: Self.keys, at: .zero) {
                Issue.record("\(refusal)")
            }
        }
    }

    // MARK: limits

    @Test func `neighbours on an interface are bounded`() {
        let d = Driver { $0.limits.neighborsPerInterface = 3 }.begin()
        for i in 2..<10 { d.learn([("172.16.0.0/16", 1)], from: IPv4Address(10, 0, 0, UInt8(i))) }
        #expect(d.instance.neighborOrder.count == 3)
        #expect(d.counter(.tooManyNeighbors) == 5)
        #expect(d.events.filter { $0.contains("too many neighbors") }.count == 1)
    }

    @Test func `routes of a neighbour and of all are bounded, and one event tells of each`() {
        let d = Driver {
            $0.limits.routesPerNeighbor = 10
            $0.limits.routesMaximum = 15
        }.begin()
        d.learn((0..<20).map { ("172.16.\($0).0/24", 1) })
        d.learn((0..<20).map { ("172.17.\($0).0/24", 1) }, from: IPv4Address(10, 0, 0, 3))
        #expect(d.instance.neighbors[0]?.routeCount == 10)
        #expect(d.instance.neighbors[1]?.routeCount == 5)
        #expect(d.instance.table.learnedCount == 15)
        #expect(d.counter(.tooManyRoutes) == 25)
        #expect(d.events.filter { $0.contains("limit of 15 routes") }.count == 1)
        #expect(d.events.filter { $0.contains("more than 10 routes") }.count == 1)
    }
}
