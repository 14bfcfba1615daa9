@testable import ISIS
import Machine
import Records
import Routing
import Testing
import Wire

@Suite struct OwnLSPTests {
    static let system = SystemID(raw: 0x10)

    static func configuration() -> ISISConfiguration {
        var configuration = ISISConfiguration(systemID: system, areaAddresses: [Sample.area])
        configuration.hostname = "ours"
        return configuration
    }
    static func prefix(_ number: Int) -> IPv4Prefix { IPv4Prefix(IPv4Address(raw: 0x0a00_0000 + UInt32(number) << 8), 24) }

    /// What the LSPs say, read back.
    static func read(_ fragments: OwnLSPFragments) -> [LSPContents] {
        (0..<256).compactMap { number in
            fragments.body(UInt8(number)).map {
                Sample.contents(
                    LSPBuilder.encode(
                        level: .two, id: LSPID(fragments.node, fragment: UInt8(number)), sequenceNumber: 1,
                        remainingLifetime: 1200, flags: fragments.flags(UInt8(number)), body: $0, key: nil))
            }
        }
    }

    @Test func `LSP number zero says who we are, and comes back as it went`() throws {
        var sources = OwnLSPSources(level: .two)
        sources.links = [LocalLink(interface: InterfaceID(1), node: NodeID(Sample.other), metric: 100, isIPv6: true)]
        sources.prefixes = [
            LocalPrefix(IPPrefix("10.0.0.0/24")!, metric: 10, tag: 4),
            LocalPrefix(IPPrefix("10.255.0.1/32")!, metric: 0, isNode: true),
            LocalPrefix(IPPrefix("2001:db8::/64")!, metric: 10, ipv6Metric: 20),
        ]
        sources.redistributed = [
            (IPPrefix("192.0.2.0/24")!, RedistributedRoute(source: .bgp, metric: 5, tag: 9, levels: 2)),
            (IPPrefix("192.0.3.0/24")!, RedistributedRoute(source: .bgp, levels: 1)),
        ]
        sources.isOverloaded = true
        sources.isAttached = true
        sources.ipv4Addresses = [IPv4Address(10, 0, 0, 1)]
        sources.ipv6Addresses = [IPv6Address("2001:db8::1")!]
        var configuration = Self.configuration()
        configuration.topologies = [.ipv6Unicast]
        let (contents, summaries) = sources.contents(configuration)
        #expect(summaries.isEmpty)
        var fragments = OwnLSPFragments(node: NodeID(Self.system))
        let changes = fragments.update(contents, bodyMaximum: 1400)
        #expect(changes.map(\.fragment) == [0])
        // The attached bit is level 1's.
        #expect(changes[0].flags == [.level2, .overload])
        let read = try #require(Self.read(fragments).first)
        #expect(read.areas == [Sample.area])
        #expect(read.hostname == "ours")
        #expect(read.protocols == [0xcc, 0x8e])
        #expect(read.topologies == [TopologyMembership(id: 0), TopologyMembership(id: 2, isOverloaded: true)])
        #expect(
            read.neighbors == [
                NeighborReach(NodeID(Sample.other), metric: 100), NeighborReach(NodeID(Sample.other), metric: 100, topology: 2),
            ])
        #expect(
            read.ipv4 == [
                IPv4Reach(IPv4Prefix("10.0.0.0/24")!, metric: 10, tag: 4),
                IPv4Reach(IPv4Prefix("10.255.0.1/32")!, metric: 0, flags: .node),
                IPv4Reach(IPv4Prefix("192.0.2.0/24")!, metric: 5, flags: .external, tag: 9),
            ])
        #expect(read.ipv6 == [IPv6Reach(IPv6Prefix("2001:db8::/64")!, metric: 20, topology: 2)])
        #expect(read.ipv4Addresses == [IPv4Address(10, 0, 0, 1)])
        #expect(fragments.update(contents, bodyMaximum: 1400).isEmpty)
    }

    @Test func `narrow metrics go at most to 63 and external ones to TLV 130; transition says both`() {
        var sources = OwnLSPSources(level: .one)
        sources.links = [LocalLink(interface: InterfaceID(1), node: NodeID(Sample.other), metric: 100)]
        sources.prefixes = [LocalPrefix(IPPrefix("10.0.0.0/24")!, metric: 70)]
        sources.redistributed = [
            (IPPrefix("192.0.2.0/24")!, RedistributedRoute(source: .bgp, metric: 5, isExternalMetric: true, levels: 1))
        ]
        var configuration = Self.configuration()
        configuration.metricStyle = .transition
        var fragments = OwnLSPFragments(node: NodeID(Self.system))
        _ = fragments.update(sources.contents(configuration).contents, bodyMaximum: 1400)
        let read = Self.read(fragments)[0]
        #expect(
            read.neighbors == [
                NeighborReach(NodeID(Sample.other), metric: 63, isNarrow: true), NeighborReach(NodeID(Sample.other), metric: 100),
            ])
        #expect(
            Set(read.ipv4) == [
                IPv4Reach(IPv4Prefix("10.0.0.0/24")!, metric: 63, flags: .narrow),
                IPv4Reach(IPv4Prefix("10.0.0.0/24")!, metric: 70),
                IPv4Reach(IPv4Prefix("192.0.2.0/24")!, metric: 5, flags: [.narrow, .external, .externalMetric]),
                IPv4Reach(IPv4Prefix("192.0.2.0/24")!, metric: 5, flags: .external),
            ])
    }

    @Test func `one prefix more or less changes one LSP, and everything announced is announced once`() {
        var random = RandomNumbers(seed: 3)
        var fragments = OwnLSPFragments(node: NodeID(Self.system))
        var contents = OwnLSPContents()
        contents.flags = .level2
        contents.areas = [Sample.area]
        contents.neighbors = (1...30).map { NeighborReach(NodeID(SystemID(raw: UInt64($0))), metric: 10) }
        contents.ipv4 = (0..<2000).map { IPv4Reach(Self.prefix($0), metric: 10) }
        #expect(fragments.update(contents, bodyMaximum: 1465).count > 5)
        for round in 0..<200 {
            var most = 1
            switch random.number(in: 0...3) {
            case 0: contents.ipv4.append(IPv4Reach(Self.prefix(5000 + round), metric: 10))
            case 1: contents.ipv4.remove(at: random.number(in: 0...(contents.ipv4.count - 1)))
            case 2: contents.ipv4[random.number(in: 0...(contents.ipv4.count - 1))].metric = UInt32(round + 20)
            default:
                // It grows by a tag and may have to move.
                contents.ipv4[random.number(in: 0...(contents.ipv4.count - 1))].tag = UInt32(round + 1)
                most = 2
            }
            let changes = fragments.update(contents, bodyMaximum: 1465)
            #expect((1...most).contains(changes.count))
            for change in changes { #expect((change.body?.count ?? 0) <= 1465) }
        }
        let read = Self.read(fragments)
        #expect(read.flatMap(\.ipv4).sorted() == contents.ipv4.sorted())
        #expect(read.flatMap(\.neighbors).sorted() == contents.neighbors.sorted())
        #expect(read.allSatisfy { $0.malformedTLVs == 0 })

        // An LSP that has nothing left to say goes.
        contents.ipv4 = []
        let gone = fragments.update(contents, bodyMaximum: 1465)
        #expect(gone.filter { $0.body == nil }.count == read.count - 1)
        #expect(fragments.count == 1)
    }

    @Test func `a restored cut goes on as the one that grew up`() throws {
        var random = RandomNumbers(seed: 4)
        var grown = OwnLSPFragments(node: NodeID(Self.system))
        var contents = OwnLSPContents()
        for round in 0..<300 {
            contents.ipv4.append(
                IPv4Reach(Self.prefix(random.number(in: 0...60_000)), metric: UInt32(round), tag: UInt32(round & 3)))
            if round % 3 == 0 { contents.ipv4.remove(at: random.number(in: 0...(contents.ipv4.count - 1))) }
            if round % 5 == 0 {
                contents.ipv6.append(IPv6Reach(IPv6Prefix(IPv6Address(high: UInt64(round) << 32, low: 0), 48), metric: 1))
            }
            var writer = SnapshotWriter()
            grown.write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            var restored = try OwnLSPFragments(from: &reader)
            try reader.expectEnd()
            let a = grown.update(contents, bodyMaximum: 400)
            let b = restored.update(contents, bodyMaximum: 400)
            #expect(a == b)
            for fragment in 0..<256 { #expect(grown.body(UInt8(fragment)) == restored.body(UInt8(fragment))) }
        }
    }

    @Test func `what 256 LSPs cannot hold is left out and counted, and never a neighbour`() {
        var fragments = OwnLSPFragments(node: NodeID(Self.system))
        var contents = OwnLSPContents()
        contents.neighbors = (1...100).map { NeighborReach(NodeID(SystemID(raw: UInt64($0))), metric: 10) }
        contents.ipv4 = (0..<20_000).map { IPv4Reach(Self.prefix($0), metric: 10) }
        _ = fragments.update(contents, bodyMaximum: 256)
        #expect(fragments.omitted > 0)
        let read = Self.read(fragments)
        #expect(read.count == 256)
        #expect(read.flatMap(\.ipv4).count + fragments.omitted == 20_000)
        #expect(read.flatMap(\.neighbors).count == 100)
    }

    @Test func `ISO 10589 §7.3.10: a pseudonode names everybody on the LAN at no cost`() {
        let members = [Self.system, Sample.other]
        var fragments = OwnLSPFragments(node: NodeID(Self.system, pseudonode: 4))
        _ = fragments.update(.pseudonode(level: .two, members: members, style: .wide), bodyMaximum: 1400)
        let read = Self.read(fragments)
        #expect(read.count == 1)
        #expect(read[0].neighbors == members.map { NeighborReach(NodeID($0), metric: 0) })
        #expect(read[0].areas.isEmpty && read[0].ipv4.isEmpty)
    }

    @Test func `a summary stands for what it covers, with the lowest metric of it, and only when there is something`() {
        var configuration = Self.configuration()
        var summary = ISISSummary(prefix: IPPrefix("10.0.0.0/8")!)
        summary.tag = 3
        var narrower = ISISSummary(prefix: IPPrefix("10.1.0.0/16")!)
        narrower.metric = 77
        configuration.summaries = [summary, narrower, ISISSummary(prefix: IPPrefix("172.16.0.0/12")!)]
        var sources = OwnLSPSources(level: .two)
        sources.prefixes = [LocalPrefix(IPPrefix("192.168.0.0/24")!, metric: 1)]
        sources.leakedIPv4 = [
            IPv4Reach(IPv4Prefix("10.1.2.0/24")!, metric: 40), IPv4Reach(IPv4Prefix("10.2.0.0/16")!, metric: 30),
            IPv4Reach(IPv4Prefix("10.3.0.0/16")!, metric: 20, flags: .external),
        ]
        let (contents, summaries) = sources.contents(configuration)
        #expect(summaries == [IPPrefix("10.0.0.0/8")!, IPPrefix("10.1.0.0/16")!])
        #expect(
            Set(contents.ipv4) == [
                IPv4Reach(IPv4Prefix("192.168.0.0/24")!, metric: 1), IPv4Reach(IPv4Prefix("10.0.0.0/8")!, metric: 20, tag: 3),
                IPv4Reach(IPv4Prefix("10.1.0.0/16")!, metric: 77),
            ])
        var level1 = sources
        level1.level = .one
        #expect(level1.contents(configuration).summaries.isEmpty)
    }
}
