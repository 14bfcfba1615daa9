import Machine
import Records
import Routing
import Wire

/// Which routes of one address family protocols announce for others. A function of the routes in force and the
/// configuration, so that it is no part of a snapshot; it is kept to tell what changed.
struct Redistributor<Key: PrefixKey>: Sendable {
    private struct Target: Sendable {
        var target: RouteProtocol
        /// At most one per source.
        var rules: [RedistributionConfiguration]
        var prefixes: PrefixTable<Key>
        /// By number.
        var routes: [RedistributedRoute?] = []
        var news: [RedistributionUpdate] = []
    }
    /// Ascending by target. One whose rules are all gone stays, in case that there is something to take back.
    private var targets: [Target] = []

    var isEmpty: Bool { targets.isEmpty }

    /// The new rules; every prefix is to be looked at after that.
    mutating func configure(_ rules: [RedistributionConfiguration], seed: UInt64) {
        for i in targets.indices { targets[i].rules = [] }
        for rule in rules where Self.carries(rule.target) && rule.source != rule.target {
            if let at = targets.firstIndex(where: { $0.target == rule.target }) {
                if !targets[at].rules.contains(where: { $0.source == rule.source }) { targets[at].rules.append(rule) }
            } else {
                targets.append(Target(target: rule.target, rules: [rule], prefixes: PrefixTable(seed: seed)))
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
        guard let rule = target.rules.first(where: { $0.source == route.source }) else { return nil }
        var term = RoutePolicyTerm()
        if let policy = rule.policy {
            guard let decided = policy.decide(route.prefix.anyFamily, metric: route.metric, tag: route.tag, kind: route.kind)
            else { return nil }
            term = decided
        }
        // RFC 4271 §5.1.4 leaves the value of MULTI_EXIT_DISC to us: the metric that the route has here, as its neighbours
        // expect from what they know of others.
        let inherited = target.target == .bgp ? route.metric : nil
        return RedistributedRoute(
            source: route.source, metric: term.metric ?? rule.metric ?? inherited,
            isExternalMetric: term.isExternalMetric ?? rule.isExternalMetric ?? true, tag: term.tag ?? rule.tag ?? route.tag,
            levels: term.levels ?? rule.levels ?? 2,
            nextHop: route.nextHops.count == 1 && route.source != .bgp ? forwarding(route.nextHops[0]) : nil)
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
