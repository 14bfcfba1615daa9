import Machine
import Policy
import Records
import Routing
import Wire

/// Which routes of one address family protocols announce for others. A function of the routes in force and the
/// configuration, so that it is no part of a snapshot; it is kept to tell what changed.
struct Redistributor<Key: PrefixKey>: Sendable {
    private struct Rule: Sendable {
        var configuration: RedistributionConfiguration
        /// `nil` takes every route.
        var program: PolicyProgram?
    }
    private struct Target: Sendable {
        var target: RouteProtocol
        /// At most one per source.
        var rules: [Rule]
        var prefixes: PrefixTable<Key>
        /// By number.
        var routes: [RedistributedRoute?] = []
        var news: [RedistributionUpdate] = []
    }
    /// Ascending by target. One whose rules are all gone stays, in case that there is something to take back.
    private var targets: [Target] = []

    var isEmpty: Bool { targets.isEmpty }

    /// The new rules; every prefix is to be looked at after that.
    mutating func configure(
        _ rules: [RedistributionConfiguration], _ definitions: PolicyDefinitions, seed: UInt64
    ) {
        for i in targets.indices { targets[i].rules = [] }
        for configuration in rules where Self.carries(configuration.target) && configuration.source != configuration.target {
            let rule = Rule(
                configuration: configuration,
                program: configuration.policy.map { PolicyProgram(PolicyChain($0, in: definitions)) })
            if let at = targets.firstIndex(where: { $0.target == configuration.target }) {
                guard !targets[at].rules.contains(where: { $0.configuration.source == configuration.source }) else { continue }
                targets[at].rules.append(rule)
            } else {
                targets.append(Target(target: configuration.target, rules: [rule], prefixes: PrefixTable(seed: seed)))
            }
        }
        targets.sort { $0.target.rawValue < $1.target.rawValue }
    }

    /// Targets that announce nothing and never will are let go, once what they had to take back is taken.
    private mutating func clean() {
        targets.removeAll { $0.rules.isEmpty && $0.prefixes.count == 0 && $0.news.isEmpty }
    }

    /// Whether a protocol can announce routes of this family at all.
    private static func carries(_ target: RouteProtocol) -> Bool {
        switch target {
        case .connected, .static, .aggregate: false
        case .ospf, .rip: Key.family == .ipv4
        case .ripng: Key.family == .ipv6
        case .bgp, .ospfv3, .isis: true
        }
    }

    /// The route in force for a prefix is this one now, or none that may be announced.
    mutating func note(_ prefix: Key, _ route: RoutingTable<Key>.Route?, forwarding: (NextHop) -> IPAddress?) {
        for i in targets.indices {
            let wanted = route.flatMap { Self.redistributed($0, targets[i], forwarding) }
            let known = targets[i].prefixes.find(prefix)
            let before = known.flatMap { targets[i].routes[Int($0)] }
            if wanted == before { continue }
            targets[i].news.append(RedistributionUpdate(prefix.anyFamily, wanted))
            if let wanted {
                let number = Int(known ?? targets[i].prefixes.insert(prefix))
                while targets[i].routes.count <= number { targets[i].routes.append(nil) }
                targets[i].routes[number] = wanted
            } else if let known {
                targets[i].routes[Int(known)] = nil
                targets[i].prefixes.remove(known)
            }
        }
    }

    private static func redistributed(
        _ route: RoutingTable<Key>.Route, _ target: Target, _ forwarding: (NextHop) -> IPAddress?
    ) -> RedistributedRoute? {
        guard let rule = target.rules.first(where: { $0.configuration.source == route.source }) else { return nil }
        let own = rule.configuration
        let nextHop = route.nextHops.count == 1 && route.source != .bgp ? forwarding(route.nextHops[0]) : nil
        var offered = OfferedRoute(metric: route.metric, tag: route.tag, nextHop: nextHop)
        if let program = rule.program, !program.accepts(&offered, route.prefix.anyFamily, route.source, route.kind) { return nil }
        // RFC 4271 §5.1.4 leaves the value of MULTI_EXIT_DISC to us: the metric that the route has here, as its neighbours
        // expect from what they know of others.
        let inherited = target.target == .bgp ? route.metric : nil
        return RedistributedRoute(
            source: route.source, metric: offered.metric ?? own.metric ?? inherited,
            isExternalMetric: offered.isExternalMetric ?? own.isExternalMetric ?? true,
            tag: offered.tag ?? own.tag ?? route.tag, levels: offered.levels ?? own.levels ?? 2, nextHop: nextHop,
            attributes: target.target == .bgp ? offered.attributes : [])
    }

    /// Everything that is announced, for whoever has to be told from the beginning.
    func announced(by target: RouteProtocol) -> [RedistributionUpdate] {
        guard let place = targets.firstIndex(where: { $0.target == target }) else { return [] }
        return targets[place].prefixes.ordered().map {
            RedistributionUpdate(targets[place].prefixes[$0].anyFamily, targets[place].routes[Int($0)])
        }
    }

    /// What was not told yet, ascending by protocol.
    mutating func takeNews() -> [(target: RouteProtocol, updates: [RedistributionUpdate])] {
        var result: [(target: RouteProtocol, updates: [RedistributionUpdate])] = []
        for i in targets.indices where !targets[i].news.isEmpty {
            result.append((targets[i].target, targets[i].news))
            targets[i].news = []
        }
        if !result.isEmpty { clean() }
        return result
    }
}
