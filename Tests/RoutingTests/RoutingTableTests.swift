import Machine
import Records
import Testing
import Wire

@testable import Routing

/// Addresses and routes in few words.
enum Words {
    static func address(_ text: String) -> IPv4Address { IPv4Address(text)! }
    static func prefix(_ text: String) -> IPv4Prefix { IPv4Prefix(text)! }
    static func gateway(_ n: Int) -> NextHop { .gateway(.v4(IPv4Address(raw: UInt32(n)))) }
    static func gateway(_ text: String) -> NextHop { .gateway(IPAddress(text)!) }
    static func via(_ text: String, _ interface: UInt16) -> NextHop { .via(IPAddress(text)!, InterfaceID(interface)) }
    static func hop(_ interface: UInt16, _ text: String?) -> FIBNextHop {
        FIBNextHop(interface: InterfaceID(interface), gateway: text.map { IPAddress($0)! })
    }
}

extension RoutingTable {
    mutating func offer(
        _ prefix: Key, from source: RouteProtocol, distance: UInt8, metric: UInt32 = 0, tag: UInt32 = 0, _ nextHops: NextHop...
    ) {
        apply(
            [RouteUpdate(prefix.anyFamily, RouteOffer(nextHops: nextHops, metric: metric, distance: distance, tag: tag))],
            from: source)
    }
    mutating func withdraw(_ prefix: Key, from source: RouteProtocol) {
        apply([RouteUpdate(prefix.anyFamily, nil)], from: source)
    }

    /// As a twin gets it.
    func restored() throws -> RoutingTable {
        var writer = SnapshotWriter()
        write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var copy = try RoutingTable(from: &reader)
        try reader.expectEnd()
        var specifications: [StaticRouteSpecification<Key>] = []
        for number in statics.numbers {
            for choice in statics.choices[Int(number)] {
                for nextHop in choice.nextHops {
                    specifications.append(
                        StaticRouteSpecification(
                            prefix: statics.prefixes[number], nextHop: nextHop, distance: choice.distance, tag: choice.tag))
                }
            }
        }
        copy.resume(interfaces: interfaces, statics: specifications, destinations: destinations.map(\.address))
        return copy
    }
}

@Suite struct RoutingTableTests {
    @Test func `the lowest distance is in force and the rest wait behind it`() {
        var table = RoutingTable<IPv4Prefix>(seed: 7)
        let prefix = Words.prefix("10.0.0.0/8")
        table.offer(prefix, from: .bgp, distance: 20, Words.gateway(1))
        table.offer(prefix, from: .ospf, distance: 110, metric: 7, Words.gateway(2))
        table.offer(prefix, from: .connected, distance: 0, .connected(InterfaceID(1)))
        #expect(table.offers(for: prefix).first?.source == .connected)
        #expect(Set(table.offers(for: prefix).map(\.source.rawValue)) == [0, 2, 3])
        table.withdraw(prefix, from: .connected)
        #expect(table.lookup(Words.address("10.1.2.3"))?.source == .bgp)
        table.withdraw(prefix, from: .bgp)
        #expect(table.offers(for: prefix).map(\.source) == [.ospf])
        #expect(table.active(prefix)?.metric == 7)
        table.withdraw(prefix, from: .ospf)
        #expect(table.count == 0)
        #expect(table.digest == StateDigest())
    }

    @Test func `tags come and go with their routes and cost nobody else anything`() {
        var table = RoutingTable<IPv4Prefix>(seed: 7)
        let prefix = Words.prefix("10.0.0.0/8")
        for tag in [UInt32(5), 5, 6, 0, 9] {
            table.offer(prefix, from: .ospf, distance: 110, metric: 20, tag: tag, Words.via("192.0.2.1", 0))
            #expect(table.active(prefix)?.tag == tag)
            #expect(table.active(prefix)?.metric == 20)
        }
        #expect(table.tagged.count <= 2)
        table.offer(prefix, from: .static, distance: 1, tag: 77, Words.via("192.0.2.1", 0))
        #expect(table.offers(for: prefix).map(\.tag) == [77, 9])
        table.withdraw(prefix, from: .ospf)
        table.withdraw(prefix, from: .static)
        #expect(table.digest == StateDigest())
    }

    @Test func `several next hops of one offer share the load, and the order in which they were given does not matter`() {
        var table = RoutingTable<IPv4Prefix>(seed: 7)
        let prefix = Words.prefix("10.0.0.0/8"), other = Words.prefix("11.0.0.0/8")
        table.offer(prefix, from: .ospf, distance: 110, Words.via("192.0.2.2", 1), Words.via("192.0.2.1", 0))
        table.offer(
            other, from: .ospf, distance: 110, Words.via("192.0.2.1", 0), Words.via("192.0.2.2", 1), Words.via("192.0.2.1", 0))
        #expect(table.active(prefix)?.resolved == [Words.hop(0, "192.0.2.1"), Words.hop(1, "192.0.2.2")])
        #expect(table.active(prefix)?.group == table.active(other)?.group)
    }

    /// The oracle keeps every offer in a list and searches all of it.
    @Test(arguments: 1...8) func `random offers and withdrawals agree with a simple table, across a snapshot`(seed: Int) throws {
        struct Offered: Equatable {
            var prefix: IPv4Prefix
            var source: RouteProtocol
            var distance: UInt8
            var tag: UInt32
            var nextHop: NextHop
        }
        var random = RandomNumbers(seed: UInt64(seed))
        var table = RoutingTable<IPv4Prefix>(seed: 99)
        var oracle: [Offered] = []
        let sources: [RouteProtocol] = [.connected, .bgp, .ospf, .rip]
        for step in 0..<1500 {
            let length = UInt8(random.number(in: 1...12))
            let prefix = IPv4Prefix(IPv4Address(raw: UInt32(random.number(in: 0...255)) << 24), length)
            let source = sources[random.number(in: 0...3)]
            if random.chance(2, in: 3) {
                let distance = UInt8(random.number(in: 0...3)), hop = random.number(in: 1...5)
                let next = source == .bgp ? Words.gateway(hop) : .via(.v4(IPv4Address(raw: UInt32(hop))), InterfaceID(1))
                let tag = UInt32(random.number(in: 0...2))
                table.offer(prefix, from: source, distance: distance, tag: tag, next)
                oracle.removeAll { $0.prefix == prefix && $0.source == source }
                oracle.append(Offered(prefix: prefix, source: source, distance: distance, tag: tag, nextHop: next))
            } else {
                table.withdraw(prefix, from: source)
                oracle.removeAll { $0.prefix == prefix && $0.source == source }
            }
            if step % 300 == 299 {
                var update = FIBUpdate()
                _ = table.takeForwarding(into: &update)
                let restored = try table.restored()
                #expect(restored.digest == table.digest)
                table = restored
            }
            let address = IPv4Address(raw: UInt32(truncatingIfNeeded: random.next()))
            let expected = oracle.filter { $0.prefix.contains(address) }.max {
                ($0.prefix.length, $1.distance, $1.source.rawValue) < ($1.prefix.length, $0.distance, $0.source.rawValue)
            }
            let found = table.lookup(address)
            #expect(found?.prefix == expected?.prefix)
            #expect(found?.source == expected?.source)
            #expect(found?.nextHop == expected?.nextHop)
            #expect(found?.tag == expected?.tag)
            #expect(table.offers(for: prefix).count == oracle.count { $0.prefix == prefix })
        }
        for source in RouteProtocol.allCases { table.withdrawAll(from: source) }
        #expect(table.count == 0)
        #expect(table.digest == StateDigest())
    }

    @Test func `every truncation of a snapshot is refused, and no flipped bit traps`() throws {
        var table = RoutingTable<IPv4Prefix>(seed: 3)
        for i in 0..<20 {
            let prefix = IPv4Prefix(IPv4Address(raw: UInt32(i) << 24), 8)
            table.offer(prefix, from: .bgp, distance: 20, Words.gateway(i))
            table.offer(prefix, from: .ospf, distance: 110, tag: UInt32(i), Words.via("192.0.2.\(i)", 1))
        }
        for i in 0..<5 { table.withdraw(IPv4Prefix(IPv4Address(raw: UInt32(i) << 24), 8), from: .bgp) }
        var writer = SnapshotWriter()
        table.write(to: &writer)
        for length in 0..<writer.bytes.count {
            var reader = SnapshotReader(Array(writer.bytes[..<length]))
            #expect(throws: DecodeError.self) { _ = try RoutingTable<IPv4Prefix>(from: &reader) }
        }
        var random = RandomNumbers(seed: 5)
        for _ in 0..<1000 {
            var bytes = writer.bytes
            bytes[random.number(in: 0...(bytes.count - 1))] ^= 1 << UInt8(random.number(in: 0...7))
            var reader = SnapshotReader(bytes)
            guard var bent = try? RoutingTable<IPv4Prefix>(from: &reader) else { continue }
            bent.resume(interfaces: [], statics: [], destinations: [])
            for i in 0..<20 { _ = bent.offers(for: IPv4Prefix(IPv4Address(raw: UInt32(i) << 24), 8)) }
        }
    }

    @Test func `flat elements have no padding`() {
        #expect(MemoryLayout<RoutingTable<IPv4Prefix>.Offer>.stride == 4 + 4 + 1 + 1 + 1 + 1 + 4)
        #expect(MemoryLayout<RoutingTable<IPv4Prefix>.Tagged>.stride == 4 + 4)
    }
}
