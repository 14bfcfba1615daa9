@testable import ISIS
import Machine
import Policy
import Records
import Routing
import Testing
import Wire

/// A few routers drawn by hand, and the clause that says what must come out. Router 1 calculates; each `link` is one of
/// equal metric both ways, and router n is reached on interface n by 10.0.0.n and fe80::n.
struct Drawing {
    var configuration = ISISConfiguration(systemID: SystemID(raw: 1), areaAddresses: [Sample.area])
    var calculation = RouteCalculation(seed: 1)
    var contents: [Level: [NodeID: LSPContents]] = [.one: [:], .two: [:]]
    var links: [Level: [LocalLink]] = [.one: [], .two: []]
    var adjacencies: [Level: [LocalAdjacency]] = [.one: [], .two: []]

    init(_ change: (inout ISISConfiguration) -> Void = { _ in }) { change(&configuration) }

    static func node(_ number: UInt64) -> NodeID { NodeID(SystemID(raw: number)) }
    static func via(_ number: UInt8) -> NextHop { .via(.v4(IPv4Address(10, 0, 0, number)), InterfaceID(UInt16(number))) }
    static func via6(_ number: UInt64) -> NextHop {
        .via(.v6(IPv6Address(high: 0xfe80 << 48, low: number)), InterfaceID(UInt16(number)))
    }

    mutating func edit(_ level: Level, _ number: UInt64, _ body: (inout LSPContents) -> Void) {
        body(&contents[level]![Self.node(number), default: LSPContents()])
    }
    mutating func link(_ level: Level, _ a: UInt64, _ b: UInt64, _ metric: UInt32, topology: UInt16 = 0) {
        edit(level, a) { $0.neighbors.append(NeighborReach(Self.node(b), metric: metric, topology: topology)) }
        edit(level, b) { $0.neighbors.append(NeighborReach(Self.node(a), metric: metric, topology: topology)) }
        guard a == 1 else { return }
        let interface = InterfaceID(UInt16(b))
        if let i = links[level]!.firstIndex(where: { $0.interface == interface }) {
            links[level]![i].isIPv6 = true
            links[level]![i].ipv6Metric = metric
            return
        }
        links[level]!.append(
            LocalLink(
                interface: interface, node: Self.node(b), metric: metric, isStandard: topology == 0, isIPv6: topology == 2))
        adjacencies[level]!.append(
            LocalAdjacency(
                interface: interface, system: SystemID(raw: b), ipv4: IPv4Address(10, 0, 0, UInt8(b)),
                ipv6: IPv6Address(high: 0xfe80 << 48, low: b)))
    }
    mutating func announce(
        _ level: Level, _ number: UInt64, _ prefix: String, _ metric: UInt32 = 0, _ flags: ReachFlags = [], tag: UInt32 = 0,
        topology: UInt16 = 0
    ) {
        edit(level, number) {
            if let prefix = IPv4Prefix(prefix) {
                $0.ipv4.append(IPv4Reach(prefix, metric: metric, flags: flags, tag: tag, topology: topology))
            } else {
                $0.ipv6.append(
                    IPv6Reach(IPv6Prefix(prefix)!, metric: metric, flags: flags, tag: tag, topology: topology))
            }
        }
    }

    /// Tells the calculation everything and runs it.
    @discardableResult
    mutating func run() -> RouteCalculation.Result {
        calculation.configure(configuration)
        for level in Level.allCases {
            calculation.setLocal(level, links: links[level]!, adjacencies: adjacencies[level]!)
            for (node, contents) in contents[level]!.sorted(by: { $0.key < $1.key }) where node != Self.node(1) {
                calculation.update(level, LSPID(node), contents)
            }
        }
        return calculation.run()
    }
    func route(_ prefix: String) -> RouteOffer? {
        if let prefix = IPv4Prefix(prefix) {
            return calculation.ipv4.inOrder.first { $0.prefix == prefix }?.route.offer
        }
        return calculation.ipv6.inOrder.first { $0.prefix == IPv6Prefix(prefix)! }?.route.offer
    }
}

@Suite struct RouteCalculationTests {
    @Test func `ISO 10589 C.2.6: equal paths share the load, up to the maximum configured`() {
        var drawing = Drawing()
        for middle in 2...5 as ClosedRange<UInt64> {
            drawing.link(.two, 1, middle, 10)
            drawing.link(.two, middle, 9, 10)
        }
        drawing.announce(.two, 9, "10.9.0.0/16", 5, tag: 7)
        drawing.run()
        #expect(
            drawing.route("10.9.0.0/16")
                == RouteOffer(
                    nextHops: [2, 3, 4, 5].map { Drawing.via($0) }, metric: 25, kind: ISISRouteKind.level2.rawValue,
                    distance: 115,
                    tag: 7))
        drawing.configuration.maximumPaths = 2
        drawing.run()
        #expect(drawing.route("10.9.0.0/16")?.nextHops == [Drawing.via(2), Drawing.via(3)])
    }

    @Test func `ISO 10589 §7.2.8.2: a link that only one end describes is none`() {
        var drawing = Drawing()
        drawing.link(.one, 1, 2, 10)
        drawing.edit(.one, 2) { $0.neighbors.append(NeighborReach(Drawing.node(3), metric: 1)) }
        drawing.announce(.one, 3, "10.3.0.0/16")
        drawing.run()
        #expect(drawing.route("10.3.0.0/16") == nil)
        drawing.edit(.one, 3) { $0.neighbors.append(NeighborReach(Drawing.node(2), metric: 1)) }
        drawing.run()
        #expect(drawing.route("10.3.0.0/16")?.metric == 11)
    }

    @Test func `ISO 10589 §7.2.8.1: an overloaded system is reached and not passed through`() {
        var drawing = Drawing()
        drawing.link(.one, 1, 2, 10)
        drawing.link(.one, 2, 3, 10)
        drawing.link(.one, 1, 3, 100)
        drawing.announce(.one, 2, "10.2.0.0/16")
        drawing.announce(.one, 3, "10.3.0.0/16")
        drawing.edit(.one, 2) { $0.flags.insert(.overload) }
        drawing.run()
        #expect(drawing.route("10.2.0.0/16")?.metric == 10)
        #expect(drawing.route("10.3.0.0/16")?.nextHops == [Drawing.via(3)])
        #expect(drawing.route("10.3.0.0/16")?.metric == 100)
    }

    @Test func `ISO 10589 §7.3.7: without LSP number zero the others of a system do not count`() {
        var drawing = Drawing()
        drawing.link(.one, 1, 2, 10)
        drawing.run()
        var more = LSPContents()
        more.ipv4 = [IPv4Reach(IPv4Prefix("10.2.0.0/16")!, metric: 1)]
        drawing.calculation.update(.one, LSPID(Drawing.node(2), fragment: 3), more)
        #expect(drawing.calculation.run().updates.map(\.prefix) == [IPPrefix("10.2.0.0/16")!])
        drawing.calculation.update(.one, LSPID(Drawing.node(2)), nil)
        #expect(drawing.calculation.run().updates == [RouteUpdate(IPPrefix("10.2.0.0/16")!, nil)])
        drawing.calculation.update(.one, LSPID(Drawing.node(2), fragment: 3), nil)
        #expect(drawing.calculation.run().updates.isEmpty)
    }

    @Test func `a router on a LAN is its own next hop there, and two LANs to it share the load`() {
        var drawing = Drawing()
        for lan in [1, 2] as [UInt8] {
            let network = NodeID(SystemID(raw: 2), pseudonode: lan)
            var contents = LSPContents()
            contents.neighbors = [1, 2, 3].map { NeighborReach(Drawing.node($0), metric: 0) }
            drawing.contents[.one]![network] = contents
            for router in [2, 3] as [UInt64] {
                drawing.edit(.one, router) { $0.neighbors.append(NeighborReach(network, metric: 10)) }
                drawing.adjacencies[.one]!.append(
                    LocalAdjacency(
                        interface: InterfaceID(UInt16(lan)), system: SystemID(raw: router),
                        ipv4: IPv4Address(10, lan, 0, UInt8(router)), ipv6: nil))
            }
            drawing.links[.one]!.append(LocalLink(interface: InterfaceID(UInt16(lan)), node: network, metric: 10))
        }
        drawing.announce(.one, 3, "10.3.0.0/16", 1)
        drawing.announce(.one, 3, "2001:db8::/32", 1)
        drawing.run()
        #expect(
            drawing.route("10.3.0.0/16")?.nextHops == [
                .via(.v4(IPv4Address(10, 1, 0, 3)), InterfaceID(1)), .via(.v4(IPv4Address(10, 2, 0, 3)), InterfaceID(2)),
            ])
        #expect(drawing.route("10.3.0.0/16")?.metric == 11)
        // A neighbour that speaks no IPv6 is no way for IPv6.
        #expect(drawing.route("2001:db8::/32") == nil)
    }

    @Test func `RFC 5302 §3.2 and RFC 7775 §3: the order of preference, whatever the metrics`() {
        let ranks: [(Level, ReachFlags, ISISRouteKind)] = [
            (.one, [], .level1), (.two, [], .level2), (.one, .down, .level1Down),
            (.one, [.narrow, .external, .externalMetric], .level1External),
            (.two, [.narrow, .external, .externalMetric], .level2External),
            (.one, [.narrow, .external, .externalMetric, .down], .level1DownExternal),
        ]
        for better in ranks.indices {
            var drawing = Drawing { $0.metricStyle = .transition }
            for (i, rank) in ranks.enumerated() where i >= better {
                let router = UInt64(i + 2)
                drawing.link(rank.0, 1, router, 10)
                // The worse, the cheaper.
                drawing.announce(rank.0, router, "10.0.0.0/8", UInt32(30 - i), rank.1)
            }
            drawing.run()
            #expect(drawing.route("10.0.0.0/8")?.kind == ranks[better].2.rawValue)
            #expect(drawing.route("10.0.0.0/8")?.nextHops == [Drawing.via(UInt8(better + 2))])
        }
    }

    @Test func `RFC 7775 §3.3: with the down bit or without, level 2 is one class, and the cost decides`() {
        var drawing = Drawing()
        drawing.link(.two, 1, 2, 10)
        drawing.link(.two, 1, 3, 10)
        drawing.announce(.two, 2, "10.0.0.0/8", 20, [])
        drawing.announce(.two, 3, "10.0.0.0/8", 10, .down)
        drawing.run()
        #expect(drawing.route("10.0.0.0/8")?.nextHops == [Drawing.via(3)])
        #expect(drawing.route("10.0.0.0/8")?.kind == ISISRouteKind.level2.rawValue)
    }

    @Test func `RFC 1195 §3.10.2: of external metrics the lowest counts before the way there`() {
        var drawing = Drawing { $0.metricStyle = .transition }
        drawing.link(.two, 1, 2, 50)
        drawing.link(.two, 1, 3, 10)
        let external: ReachFlags = [.narrow, .external, .externalMetric]
        drawing.announce(.two, 2, "10.0.0.0/8", 4, external)
        drawing.announce(.two, 3, "10.0.0.0/8", 5, external)
        drawing.announce(.two, 2, "11.0.0.0/8", 5, external)
        drawing.announce(.two, 3, "11.0.0.0/8", 5, external)
        drawing.run()
        #expect(drawing.route("10.0.0.0/8")?.nextHops == [Drawing.via(2)])
        #expect(drawing.route("10.0.0.0/8")?.metric == 4)
        #expect(drawing.route("11.0.0.0/8")?.nextHops == [Drawing.via(3)])
    }

    @Test func `RFC 5305 §3 and §4: the maximum link metric and prefixes beyond MAX_PATH_METRIC make no routes`() {
        var drawing = Drawing()
        drawing.link(.two, 1, 2, 0xff_ffff)
        drawing.link(.two, 1, 3, 10)
        drawing.announce(.two, 2, "10.2.0.0/16")
        drawing.announce(.two, 3, "10.3.0.0/16", 0xfe00_0001)
        drawing.announce(.two, 3, "10.4.0.0/16", 0xfe00_0000 - 10)
        drawing.announce(.two, 3, "10.5.0.0/16", 0xfe00_0000 - 9)
        drawing.announce(.two, 3, "10.6.0.0/16", .max)
        drawing.run()
        #expect(drawing.calculation.routeCount.ipv4 == 1)
        #expect(drawing.route("10.4.0.0/16")?.metric == 0xfe00_0000)
    }

    @Test func `ISO 10589 §7.2.9.1: level 1 goes to the nearest attached system, unless it is attached itself`() {
        var drawing = Drawing { $0.levels = .level1 }
        drawing.link(.one, 1, 2, 10)
        drawing.link(.one, 1, 3, 20)
        for router in [2, 3] as [UInt64] { drawing.edit(.one, router) { $0.flags.insert(.attached) } }
        drawing.run()
        #expect(
            drawing.route("0.0.0.0/0")
                == RouteOffer(
                    nextHops: [Drawing.via(2)], metric: 10, kind: ISISRouteKind.attached.rawValue, distance: 115))
        #expect(drawing.route("::/0")?.nextHops == [Drawing.via6(2)])

        // RFC 3787 §7: not through an overloaded one.
        drawing.edit(.one, 2) { $0.flags.insert(.overload) }
        drawing.run()
        #expect(drawing.route("0.0.0.0/0")?.nextHops == [Drawing.via(3)])

        // A default route that somebody announces wins over the bit.
        drawing.announce(.one, 3, "0.0.0.0/0", 1000, .down)
        drawing.run()
        #expect(drawing.route("0.0.0.0/0")?.kind == ISISRouteKind.level1Down.rawValue)

        drawing.configuration.attachedBit.isHonored = false
        drawing.run()
        #expect(drawing.route("::/0") == nil)
    }

    @Test func `ISO 10589 §7.2.9.2: attached is who reaches a system of another area at level 2`() {
        var drawing = Drawing()
        drawing.link(.one, 1, 2, 10)
        drawing.edit(.one, 2) { $0.flags.insert(.attached) }
        drawing.link(.two, 1, 3, 10)
        drawing.edit(.two, 3) { $0.areas = [Sample.area] }
        drawing.run()
        #expect(!drawing.calculation.isAttached)
        #expect(drawing.route("0.0.0.0/0") != nil)
        drawing.edit(.two, 3) { $0.areas = [AreaAddress([0x49, 0, 2])!] }
        #expect(drawing.run().attachedChanged)
        #expect(drawing.calculation.isAttached)
        #expect(drawing.route("0.0.0.0/0") == nil)
    }

    @Test func `RFC 5120: IPv6 goes its own way where it has a topology of its own`() {
        var drawing = Drawing { $0.topologies = [.ipv6Unicast] }
        drawing.link(.two, 1, 2, 10)
        drawing.link(.two, 1, 3, 30)
        drawing.link(.two, 1, 3, 5, topology: 2)
        drawing.link(.two, 2, 3, 10)
        drawing.announce(.two, 3, "10.3.0.0/16")
        drawing.announce(.two, 3, "2001:db8:3::/48", topology: 2)
        drawing.announce(.two, 3, "2001:db8:4::/48")
        drawing.announce(.two, 2, "2001:db8:2::/48", topology: 2)
        drawing.run()
        #expect(drawing.route("10.3.0.0/16")?.nextHops == [Drawing.via(2)])
        #expect(drawing.route("10.3.0.0/16")?.metric == 20)
        #expect(drawing.route("2001:db8:3::/48")?.nextHops == [Drawing.via6(3)])
        #expect(drawing.route("2001:db8:3::/48")?.metric == 5)
        #expect(drawing.route("2001:db8:4::/48") == nil)
        #expect(drawing.route("2001:db8:2::/48") == nil)
    }

    @Test func `RFC 5308: without a topology of its own, IPv6 follows the links of IPv4`() {
        var drawing = Drawing()
        drawing.link(.two, 1, 2, 10)
        drawing.announce(.two, 2, "2001:db8::/32", 3, .external, tag: 5)
        drawing.run()
        #expect(
            drawing.route("2001:db8::/32")
                == RouteOffer(
                    nextHops: [Drawing.via6(2)], metric: 13, kind: ISISRouteKind.level2.rawValue, distance: 115, tag: 5))
        drawing.configuration.isIPv6Enabled = false
        drawing.run()
        #expect(drawing.route("2001:db8::/32") == nil)
    }

    @Test func `RFC 5302 §3.1: level 1 routes go up, level 2 routes go down marked, and what came down stays`() {
        var drawing = Drawing {
            let range = PrefixRange(IPPrefix("20.0.0.0/8")!, minimumLength: 8, maximumLength: 16)
            let rules = PolicyConfiguration(
                name: "", statements: [PolicyStatement(conditions: [.prefixes([range])], result: .accept)])
            $0.leakingDown = ISISLeaking(isEnabled: true, policy: PolicyUse(rules: rules))
        }
        drawing.link(.one, 1, 2, 10)
        drawing.link(.two, 1, 3, 20)
        drawing.announce(.one, 2, "10.0.0.0/8", 1, tag: 4)
        drawing.announce(.one, 2, "11.0.0.0/8", 1, .down)
        drawing.announce(.two, 3, "20.1.0.0/16", 2, .external)
        drawing.announce(.two, 3, "20.1.1.0/24", 2)
        drawing.announce(.two, 3, "10.0.0.0/8", 1)
        let result = drawing.run()
        #expect(result.leaksChanged == [RouteCalculation.Set1And2(.one), RouteCalculation.Set1And2(.two)])
        #expect(
            drawing.calculation.leaks(into: .two).ipv4 == [
                IPv4Reach(IPv4Prefix("10.0.0.0/8")!, metric: 11, flags: .readvertised, tag: 4)
            ])
        #expect(
            drawing.calculation.leaks(into: .one).ipv4 == [
                IPv4Reach(IPv4Prefix("20.1.0.0/16")!, metric: 22, flags: [.down, .external, .readvertised])
            ])
    }

    @Test func `a change of prefixes alone calculates no path`() {
        var drawing = Drawing()
        drawing.link(.two, 1, 2, 10)
        drawing.announce(.two, 2, "10.2.0.0/16")
        drawing.run()
        let before = drawing.calculation.pathRuns
        drawing.announce(.two, 2, "10.3.0.0/16")
        drawing.calculation.update(.two, LSPID(Drawing.node(2)), drawing.contents[.two]![Drawing.node(2)])
        #expect(drawing.calculation.pending == .routes)
        let result = drawing.calculation.run()
        #expect(result.updates.map(\.prefix) == [IPPrefix("10.3.0.0/16")!])
        #expect(result.calculated == [])
        #expect(drawing.calculation.pathRuns == before)
        // The same again is no news.
        drawing.calculation.update(.two, LSPID(Drawing.node(2)), drawing.contents[.two]![Drawing.node(2)])
        #expect(drawing.calculation.pending == .nothing)
    }

    @Test func `a neighbour with a new address changes the routes through it and calculates no path`() {
        var drawing = Drawing()
        drawing.link(.two, 1, 2, 10)
        drawing.link(.two, 1, 3, 10)
        drawing.announce(.two, 2, "10.2.0.0/16")
        drawing.announce(.two, 3, "10.3.0.0/16")
        drawing.run()
        drawing.adjacencies[.two]![0].ipv4 = IPv4Address(10, 0, 0, 222)
        drawing.calculation.setLocal(.two, links: drawing.links[.two]!, adjacencies: drawing.adjacencies[.two]!)
        #expect(drawing.calculation.pending == .routes)
        let result = drawing.calculation.run()
        #expect(result.updates.map(\.prefix) == [IPPrefix("10.2.0.0/16")!])
        #expect(drawing.route("10.2.0.0/16")?.nextHops == [.via(.v4(IPv4Address(10, 0, 0, 222)), InterfaceID(2))])
    }

    @Test func `a summary's discard route gives way to a true route of the same prefix`() {
        var drawing = Drawing()
        drawing.link(.two, 1, 2, 10)
        drawing.run()
        drawing.calculation.setDiscards([IPPrefix("10.0.0.0/8")!])
        _ = drawing.calculation.run()
        #expect(drawing.route("10.0.0.0/8")?.nextHops == [.blackhole])
        drawing.announce(.two, 2, "10.0.0.0/8", 1)
        drawing.run()
        #expect(drawing.route("10.0.0.0/8")?.nextHops == [Drawing.via(2)])
        drawing.calculation.setDiscards([])
        _ = drawing.calculation.run()
        #expect(drawing.route("10.0.0.0/8")?.nextHops == [Drawing.via(2)])
    }

    @Test func `without a configuration all routes go`() {
        var drawing = Drawing()
        drawing.link(.two, 1, 2, 10)
        drawing.announce(.two, 2, "10.2.0.0/16")
        drawing.run()
        drawing.calculation.configure(nil)
        #expect(drawing.calculation.run().updates == [RouteUpdate(IPPrefix("10.2.0.0/16")!, nil)])
        #expect(drawing.calculation.routeCount.ipv4 == 0)
    }
}
