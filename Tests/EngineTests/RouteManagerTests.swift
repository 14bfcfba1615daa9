import BGP
import Machine
import Policy
import Records
import Routing
import Testing
import Wire

@testable import Engine

/// The routing table manager without an engine around it.
@Suite struct RouteManagerTests {
    private static func interface(_ name: String, _ addresses: String..., isLoopback: Bool = false) -> InterfaceConfiguration {
        InterfaceConfiguration(
            name: name, virtualMAC: MACAddress(raw: 0x5e00_0101),
            addresses: addresses.map {
                let parts = $0.split(separator: "/")
                return .init(address: IPAddress(parts[0])!, prefixLength: UInt8(parts[1])!)
            }, isLoopback: isLoopback)
    }
    private static func configuration(_ change: (inout RouterConfiguration) -> Void = { _ in }) -> RouterConfiguration {
        var configuration = RouterConfiguration(interfaces: [
            interface("left", "192.0.2.1/24", "2001:db8:1::1/64"), interface("right", "198.51.100.1/24", "2001:db8:2::1/64"),
            interface("lo", "203.0.113.1/32", "2001:db8::1/128", isLoopback: true),
        ])
        change(&configuration)
        return configuration
    }
    private static func manager(_ change: (inout RouterConfiguration) -> Void = { _ in }) -> RouteManager {
        var manager = RouteManager(seed: 3)
        manager.configure(configuration(change), distances: DistanceConfiguration())
        return manager
    }
    private static func prefix(_ text: String) -> IPPrefix { IPPrefix(text)! }
    private static func ospf(
        _ prefix: String, _ gateway: String = "192.0.2.9", _ interface: UInt16 = 0, metric: UInt32 = 10, tag: UInt32 = 0
    ) -> RouteUpdate {
        RouteUpdate(
            self.prefix(prefix),
            RouteOffer(
                nextHops: [.via(IPAddress(gateway)!, InterfaceID(interface))], metric: metric, distance: 110, tag: tag))
    }
    private static func bgp(_ prefix: String, _ gateway: String, backup: String? = nil) -> BestRouteChange<IPv4Address> {
        let p = IPv4Prefix(prefix)!, g = IPv4Address(gateway)!
        return BestRouteChange(
            address: p.address, length: p.length, source: .external, nextHop: g, backup: backup.map { IPv4Address($0)! } ?? g)
    }

    private static func twin(_ manager: RouteManager, _ configuration: RouterConfiguration) throws -> RouteManager {
        var writer = SnapshotWriter()
        manager.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        let twin = try RouteManager(from: &reader, configuration: configuration)
        try reader.expectEnd()
        return twin
    }

    // MARK: connected routes

    /// As in FRR and BIRD: the subnet is the route, and the longest match decides.
    @Test func `a connected neighbor has no route of its own, and who announces its address gets transit packets alone`() {
        var manager = Self.manager()
        let neighbor = IPAddress("192.0.2.9")!, address = IPv4Address("192.0.2.9")!
        manager.setDestinations([neighbor], for: .streams)
        func kernel() -> [String] { manager.completeFIBUpdate.ipv4.map { "\($0.prefix)" }.sorted() }
        #expect(kernel() == ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.1/32"])
        #expect(manager.gateways.isEmpty)
        #expect(manager.watch(neighbor) == .reachable(metric: 0))

        // BGP: packets that pass through follow it, what resolves BGP's own next hops and the session do not.
        manager.apply([Self.bgp("192.0.2.9/32", "198.51.100.7")])
        #expect(kernel().contains("192.0.2.9/32"))
        #expect(manager.ipv4.lookup(address)?.nextHop == .gateway(IPAddress("198.51.100.7")!))
        #expect(manager.ipv4.lookup(IPv4Address("192.0.2.10")!)?.source == .connected)
        #expect(manager.watch(neighbor) == .reachable(metric: 0))
        #expect(manager.gateways.isEmpty)
        #expect(manager.egress(to: neighbor) == InterfaceID(0))

        // An interior protocol's longer route is a way to the neighbor like any other next hop's; the session leaves by the
        // interface nevertheless.
        manager.apply([Self.ospf("192.0.2.9/32", "198.51.100.8", 1)], from: .ospf)
        _ = manager.takeNextHopChanges()
        #expect(manager.watch(neighbor) == .reachable(metric: 10))
        #expect(manager.egress(to: neighbor) == InterfaceID(0))
        manager.apply([RouteUpdate(Self.prefix("192.0.2.9/32"), nil)], from: .ospf)
        #expect(manager.watch(neighbor) == .reachable(metric: 0))
    }

    @Test func `networks of interfaces that are up are connected, loopback addresses by themselves`() {
        var manager = Self.manager()
        let update = manager.takeFIBUpdate()
        #expect(update.ipv4.map(\.prefix).sorted().map(\.description) == ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.1/32"])
        #expect(
            update.ipv6.map(\.prefix).sorted().map(\.description) == ["2001:db8::1/128", "2001:db8:1::/64", "2001:db8:2::/64"])
        let loopback = update.ipv4.first { $0.prefix.length == 32 }!.group
        #expect(update.groups.first { $0.id == loopback }?.nextHops == [FIBNextHop(interface: InterfaceID(2), gateway: nil)])
        #expect(Set(update.groups.map(\.id)).count == update.groups.count)
        let got1 = manager.setInterface(InterfaceID(2), isUp: false)
        #expect(!got1)
        let got2 = manager.setInterface(InterfaceID(0), isUp: false)
        #expect(got2)
        let down = manager.takeFIBUpdate()
        #expect(down.ipv4.map(\.prefix.description) == ["192.0.2.0/24"])
        #expect(down.ipv4.map(\.group) == [0] && down.ipv6.map(\.group) == [0])
        #expect(down.removedGroups.count == 2)
    }

    // MARK: recursion

    @Test func `BGP hears the metric of the interior route to a next hop, and its changes only`() {
        var manager = Self.manager()
        let far = IPAddress("10.0.0.1")!
        let got3 = manager.watch(far)
        #expect(got3 == .unreachable)
        manager.apply([Self.ospf("10.0.0.0/24", metric: 30)], from: .ospf)
        let got4 = manager.takeNextHopChanges()
        #expect(got4.map(\.state) == [.reachable(metric: 30)])
        manager.apply([Self.ospf("10.0.0.0/24", metric: 30), Self.ospf("10.0.1.0/24")], from: .ospf)
        let got5 = manager.takeNextHopChanges()
        #expect(got5.isEmpty)
        manager.apply([RouteUpdate(Self.prefix("10.0.0.0/24"), nil)], from: .ospf)
        let got6 = manager.takeNextHopChanges()
        #expect(got6.map(\.state) == [.unreachable])
    }

    @Test func `an interface that goes down turns all routes behind it to their backup in one group`() {
        var manager = Self.manager()
        manager.apply((0..<500).map { Self.bgp("20.\($0 / 250).\($0 % 250).0/24", "192.0.2.7", backup: "198.51.100.7") })
        _ = manager.takeFIBUpdate()
        _ = manager.setInterface(InterfaceID(0), isUp: false)
        let update = manager.takeFIBUpdate()
        #expect(update.ipv4.count == 1)
        #expect(update.groups.map(\.nextHops) == [[FIBNextHop(interface: InterfaceID(1), gateway: IPAddress("198.51.100.7")!)]])
    }

    // MARK: the router's own packets

    @Test func `the line card's gateways follow the interior routes to those whom the router talks to`() {
        var manager = Self.manager()
        _ = manager.takeGateways()
        manager.setDestinations([IPAddress("10.0.0.1")!, IPAddress("192.0.2.50")!], for: .streams)
        let got7 = manager.takeGateways()
        #expect(got7 == nil)
        manager.apply([Self.ospf("10.0.0.0/8")], from: .ospf)
        let got8 = manager.takeGateways()
        #expect(got8 == [Gateway(prefix: Self.prefix("10.0.0.1/32"), nextHop: IPAddress("192.0.2.9")!)])
        manager.apply([Self.ospf("20.0.0.0/8")], from: .ospf)
        let got9 = manager.takeGateways()
        #expect(got9 == nil)
        manager.apply([Self.ospf("10.0.0.0/16", "198.51.100.9", 1)], from: .ospf)
        let got10 = manager.takeGateways()
        #expect(got10 == [Gateway(prefix: Self.prefix("10.0.0.1/32"), nextHop: IPAddress("198.51.100.9")!)])
        #expect(manager.egress(to: IPAddress("10.0.0.1")!) == InterfaceID(1))
    }

    // MARK: redistribution

    @Test func `the route in force is announced, after policy, and never to its own source`() {
        var manager = Self.manager {
            $0.definitions = PolicyDefinitions(policies: [
                PolicyConfiguration(
                    name: "some",
                    statements: [
                        PolicyStatement(conditions: [.tags([66])], result: .reject),
                        PolicyStatement(
                            conditions: [.prefixes([.orLonger(Self.prefix("10.0.0.0/8"))])],
                            actions: [.setMetric(50), .setTag(7)], result: .accept),
                    ])
            ])
            $0.redistribution = [
                RedistributionConfiguration(from: .ospf, into: .isis, policy: PolicyUse(["some"])),
                RedistributionConfiguration(from: .ospf, into: .bgp), RedistributionConfiguration(from: .ospf, into: .ospf),
            ]
        }
        manager.apply(
            [
                Self.ospf("10.1.0.0/16"), Self.ospf("10.2.0.0/16", tag: 66), Self.ospf("11.0.0.0/8", metric: 33),
                Self.ospf("192.0.2.0/24"),
            ], from: .ospf)
        let news = manager.takeRedistribution()
        #expect(news.map(\.target) == [.bgp, .isis])
        #expect(
            news.last?.updates == [
                RedistributionUpdate(
                    Self.prefix("10.1.0.0/16"),
                    RedistributedRoute(source: .ospf, metric: 50, tag: 7, nextHop: IPAddress("192.0.2.9")!))
            ])
        #expect(news.first?.updates.map(\.prefix.description) == ["10.1.0.0/16", "10.2.0.0/16", "11.0.0.0/8"])
        #expect(news.first?.updates.last?.route?.metric == 33)
        let got11 = manager.takeRedistribution()
        #expect(got11.isEmpty)
        // A better route of another protocol takes its place, and it is taken back.
        manager.apply(
            [RouteUpdate(Self.prefix("10.1.0.0/16"), RouteOffer(nextHops: [.blackhole], metric: 1, distance: 90))], from: .rip)
        let got12 = manager.takeRedistribution()
        #expect(got12.flatMap(\.updates).map(\.route) == [nil, nil])
        // So it is when the rules are gone.
        manager.configure(Self.configuration(), distances: DistanceConfiguration())
        let got13 = manager.takeRedistribution()
        #expect(got13.map(\.updates.count) == [2])
        let got14 = manager.takeRedistribution()
        #expect(got14.isEmpty)
    }

    @Test func `an aggregate lives as long as a route under it and can stand for all of them`() {
        var manager = Self.manager {
            $0.aggregates = [
                AggregateConfiguration(prefix: Self.prefix("10.0.0.0/8"), tag: 9, suppressesContributors: true),
                AggregateConfiguration(prefix: Self.prefix("0.0.0.0/0")),
            ]
            $0.redistribution = [
                RedistributionConfiguration(from: .ospf, into: .bgp), RedistributionConfiguration(from: .aggregate, into: .bgp),
            ]
        }
        manager.apply([Self.ospf("10.1.0.0/16"), Self.ospf("10.2.0.0/16"), Self.ospf("11.0.0.0/16")], from: .ospf)
        var news = manager.takeRedistribution()
        #expect(news.flatMap(\.updates).map(\.prefix.description) == ["0.0.0.0/0", "10.0.0.0/8", "11.0.0.0/16"])
        #expect(manager.ipv4.active(IPv4Prefix("10.0.0.0/8")!)?.nextHops == [.blackhole])
        #expect(manager.ipv4.active(IPv4Prefix("10.0.0.0/8")!)?.tag == 9)
        manager.apply([RouteUpdate(Self.prefix("10.1.0.0/16"), nil)], from: .ospf)
        let got15 = manager.takeRedistribution()
        #expect(got15.isEmpty)
        manager.apply([RouteUpdate(Self.prefix("10.2.0.0/16"), nil)], from: .ospf)
        news = manager.takeRedistribution()
        #expect(news.flatMap(\.updates) == [RedistributionUpdate(Self.prefix("10.0.0.0/8"), nil)])
        manager.configure(
            Self.configuration { $0.redistribution = [RedistributionConfiguration(from: .ospf, into: .bgp)] },
            distances: DistanceConfiguration())
        let got16 = manager.takeRedistribution()
        #expect(got16.flatMap(\.updates) == [RedistributionUpdate(Self.prefix("0.0.0.0/0"), nil)])
        #expect(manager.ipv4.active(IPv4Prefix("0.0.0.0/0")!) == nil)
    }

    // MARK: random histories

    /// What protocols were told, against what all routes and rules ask for; and a twin that goes on alike.
    @Test(arguments: 1...12) func `random routes and rules: what is announced is what the rules say of the table`(seed: Int)
        throws
    {
        var random = RandomNumbers(seed: UInt64(seed))
        func prefix() -> IPPrefix {
            .v4(
                IPv4Prefix(
                    IPv4Address(raw: 10 << 24 | UInt32(random.number(in: 0...7)) << 16),
                    UInt8([0, 8, 13, 14, 16][random.number(in: 0...4)])))
        }
        func policy() -> PolicyUse? {
            if random.chance(1, in: 3) { return nil }
            var rules = PolicyConfiguration(name: "", statements: [], otherwise: random.chance(1, in: 2) ? .accept : .reject)
            for _ in 0..<random.number(in: 1...3) {
                var statement = PolicyStatement(result: random.chance(2, in: 3) ? .accept : .reject)
                if random.chance(1, in: 2) { statement.conditions.append(.prefixes([.orLonger(prefix())])) }
                if random.chance(1, in: 3) { statement.conditions.append(.tags([1])) }
                if random.chance(1, in: 3) { statement.conditions.append(.metric(minimum: 0, maximum: 3)) }
                if random.chance(1, in: 3) { statement.actions.append(.setMetric(99)) }
                rules.statements.append(statement)
            }
            return PolicyUse(rules: rules)
        }
        struct Decision { var metric: UInt32? }
        /// What the rules say, read one by one; `nil` for a route that is refused.
        func decide(_ use: PolicyUse?, _ route: RoutingTable<IPv4Prefix>.Route) -> Decision? {
            guard let rules = use?.rules else { return Decision() }
            for statement in rules.statements {
                let holds = statement.conditions.allSatisfy {
                    switch $0 {
                    case .prefixes(let ranges): ranges.contains { $0.contains(route.prefix.anyFamily) }
                    case .tags(let tags): tags.contains(route.tag)
                    case .metric(let low, let high): route.metric >= low && route.metric <= high
                    default: false
                    }
                }
                guard holds else { continue }
                guard statement.result == .accept else { return nil }
                return Decision(metric: statement.actions.isEmpty ? nil : 99)
            }
            return rules.otherwise == .accept ? Decision() : nil
        }
        var configuration = Self.configuration()
        var manager = Self.manager()
        /// By target.
        var told: [RouteProtocol: [IPPrefix: RedistributedRoute]] = [:]
        for step in 0..<250 {
            switch random.number(in: 0...11) {
            case 0:
                configuration.redistribution = (0..<random.number(in: 0...4)).map { _ in
                    RedistributionConfiguration(
                        from: [.ospf, .isis, .aggregate, .static][random.number(in: 0...3)],
                        into: [.bgp, .ospf, .isis][random.number(in: 0...2)], policy: policy())
                }
                configuration.aggregates = (0..<random.number(in: 0...3)).map { _ in
                    AggregateConfiguration(
                        prefix: prefix(), distance: 130, contributors: policy(), suppressesContributors: random.chance(1, in: 2))
                }.reduce(into: []) { list, new in if !list.contains(where: { $0.prefix == new.prefix }) { list.append(new) } }
                configuration.staticRoutes = (0..<random.number(in: 0...2)).map { _ in
                    StaticRouteConfiguration(prefix: prefix(), destination: .nextHop(IPAddress("192.0.2.77")!), tag: 1)
                }
                manager.configure(configuration, distances: DistanceConfiguration())
            case 1: _ = manager.setInterface(InterfaceID(0), isUp: random.chance(1, in: 2))
            default:
                let source: RouteProtocol = random.chance(1, in: 2) ? .ospf : .isis
                let withdrawn = random.chance(1, in: 3)
                let updates = (0..<random.number(in: 1...3)).map { _ in
                    RouteUpdate(
                        prefix(),
                        withdrawn
                            ? nil
                            : RouteOffer(
                                nextHops: [.via(IPAddress("198.51.100.5")!, InterfaceID(1))],
                                metric: UInt32(random.number(in: 1...6)),
                                distance: source == .ospf ? 110 : 115, tag: UInt32(random.number(in: 0...1))))
                }
                manager.apply(updates, from: source)
            }
            for (target, updates) in manager.takeRedistribution() {
                for update in updates {
                    #expect(told[target]?[update.prefix] != update.route, "no news")
                    told[target, default: [:]][update.prefix] = update.route
                }
            }
            // The oracle: all prefixes, all rules, all aggregates.
            var active: [RoutingTable<IPv4Prefix>.Route] = []
            manager.ipv4.forEachPrefix { if let route = manager.ipv4.active($0) { active.append(route) } }
            func counts(_ aggregate: AggregateConfiguration, _ route: RoutingTable<IPv4Prefix>.Route) -> Bool {
                let p = route.prefix.anyFamily
                guard aggregate.prefix != p, aggregate.prefix.covers(p) else { return false }
                return decide(aggregate.contributors, route) != nil
            }
            for aggregate in configuration.aggregates ?? [] {
                let isOffered = manager.ipv4.offers(for: IPv4Prefix(aggregate.prefix)!).contains { $0.source == .aggregate }
                #expect(isOffered == active.contains { counts(aggregate, $0) })
            }
            for target in [RouteProtocol.bgp, .ospf, .isis] {
                var expected: [IPPrefix: UInt32?] = [:]
                for route in active where route.source != target {
                    let p = route.prefix.anyFamily
                    if configuration.aggregates?.contains(where: { $0.suppressesContributors && counts($0, route) }) == true {
                        continue
                    }
                    guard
                        let rule = configuration.redistribution?.first(where: { $0.target == target && $0.source == route.source }
                        )
                    else { continue }
                    guard let decided = decide(rule.policy, route) else { continue }
                    let inherited: UInt32? = target == .bgp ? route.metric : nil
                    expected.updateValue(decided.metric ?? inherited, forKey: p)
                }
                #expect((told[target] ?? [:]).mapValues(\.metric) == expected)
            }
            if step % 25 == 24 {
                _ = manager.takeFIBUpdate()
                _ = manager.takeGateways()
                let twin = try Self.twin(manager, configuration)
                #expect(twin.digest == manager.digest)
                for target in [RouteProtocol.bgp, .ospf, .isis] {
                    #expect(twin.redistributed(into: target) == manager.redistributed(into: target))
                }
                manager = twin
            }
        }
    }
}
