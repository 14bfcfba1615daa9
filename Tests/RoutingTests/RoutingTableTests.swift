import Machine
import Records
import Testing
import Wire

@testable import Routing

@Suite struct RoutingTableTests {
    private func gateway(_ n: Int) -> NextHop { .gateway(.v4(IPv4Address(raw: UInt32(n)))) }

    @Test func `the lowest distance is in force and the rest wait behind it`() {
        var table = RoutingTable<IPv4Prefix>(seed: 7)
        var batch = RoutingTable<IPv4Prefix>.Batch()
        let prefix = IPv4Prefix("10.0.0.0/8")!
        table.offer(prefix, from: .bgp, distance: 20, metric: 0, nextHop: gateway(1), batch: &batch)
        table.offer(prefix, from: .static, distance: 1, metric: 0, nextHop: gateway(2), batch: &batch)
        table.offer(prefix, from: .connected, distance: 0, metric: 0, nextHop: .connected(InterfaceID(1)), batch: &batch)
        #expect(table.offers(for: prefix).first?.source == .connected)
        #expect(Set(table.offers(for: prefix).map(\.source.rawValue)) == [0, 1, 2])
        table.withdraw(prefix, from: .connected)
        #expect(table.lookup(IPv4Address("10.1.2.3")!)?.source == .static)
        table.withdraw(prefix, from: .bgp)
        #expect(table.offers(for: prefix).map(\.source) == [.static])
        table.withdraw(prefix, from: .static)
        #expect(table.count == 0)
        #expect(table.digest == StateDigest())
    }

    @Test func `a next hop is not resolved through the default route nor through BGP`() {
        var table = RoutingTable<IPv4Prefix>(seed: 7)
        var batch = RoutingTable<IPv4Prefix>.Batch()
        table.offer(IPv4Prefix("0.0.0.0/0")!, from: .static, distance: 1, metric: 0, nextHop: gateway(9), batch: &batch)
        table.offer(IPv4Prefix("10.0.0.0/8")!, from: .bgp, distance: 20, metric: 0, nextHop: gateway(9), batch: &batch)
        let address = IPv4Address("10.1.1.1")!
        #expect(table.resolve(address) == nil)
        #expect(table.lookup(address)?.prefix == IPv4Prefix("10.0.0.0/8")!)
        table.offer(
            IPv4Prefix("10.1.0.0/16")!, from: .connected, distance: 0, metric: 0, nextHop: .connected(InterfaceID(0)),
            batch: &batch)
        #expect(table.resolve(address)?.nextHop == .connected(InterfaceID(0)))
    }

    /// The oracle keeps every offer in a list and searches all of it.
    @Test(arguments: 1...30) func `random offers and withdrawals agree with a simple table, across a snapshot`(seed: Int) throws {
        struct Offered: Equatable {
            var prefix: IPv4Prefix
            var source: RouteProtocol
            var distance: UInt8
            var nextHop: NextHop
        }
        var random = RandomNumbers(seed: UInt64(seed))
        var table = RoutingTable<IPv4Prefix>(seed: 99)
        var oracle: [Offered] = []
        for step in 0..<1500 {
            let length = UInt8(random.number(in: 1...12))
            let prefix = IPv4Prefix(IPv4Address(raw: UInt32(random.number(in: 0...255)) << 24), length)
            let source = RouteProtocol.allCases[random.number(in: 0...2)]
            if random.chance(2, in: 3) {
                var batch = RoutingTable<IPv4Prefix>.Batch()
                let distance = UInt8(random.number(in: 0...3)), next = gateway(random.number(in: 1...5))
                table.offer(prefix, from: source, distance: distance, metric: 0, nextHop: next, batch: &batch)
                oracle.removeAll { $0.prefix == prefix && $0.source == source }
                oracle.append(Offered(prefix: prefix, source: source, distance: distance, nextHop: next))
            } else {
                table.withdraw(prefix, from: source)
                oracle.removeAll { $0.prefix == prefix && $0.source == source }
            }
            if step == 700 {
                var writer = SnapshotWriter()
                table.write(to: &writer)
                var reader = SnapshotReader(writer.bytes)
                let restored = try RoutingTable<IPv4Prefix>(from: &reader)
                try reader.expectEnd()
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
            #expect(table.offers(for: prefix).count == oracle.count { $0.prefix == prefix })
        }
        for source in RouteProtocol.allCases { table.withdrawAll(from: source) }
        #expect(table.count == 0)
        #expect(table.digest == StateDigest())
    }

    @Test func `every truncation of a snapshot is refused`() {
        var table = RoutingTable<IPv4Prefix>(seed: 3)
        var batch = RoutingTable<IPv4Prefix>.Batch()
        for i in 0..<20 {
            let prefix = IPv4Prefix(IPv4Address(raw: UInt32(i) << 24), 8)
            table.offer(prefix, from: .bgp, distance: 20, metric: 0, nextHop: gateway(i), batch: &batch)
            table.offer(prefix, from: .static, distance: 1, metric: 0, nextHop: gateway(i + 1), batch: &batch)
        }
        var writer = SnapshotWriter()
        table.write(to: &writer)
        for length in 0..<writer.bytes.count {
            var reader = SnapshotReader(Array(writer.bytes[..<length]))
            #expect(throws: DecodeError.self) { _ = try RoutingTable<IPv4Prefix>(from: &reader) }
        }
    }

    @Test func `flat elements have no padding`() {
        #expect(MemoryLayout<RoutingTable<IPv4Prefix>.Offer>.stride == 4 + 4 + 1 + 1 + 1 + 1 + 4)
    }
}
