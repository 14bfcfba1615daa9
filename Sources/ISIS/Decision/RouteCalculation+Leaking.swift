import Policy
import Records
import Routing
import Wire

extension RouteCalculation {
    /// Whether a route of this kind is one that the other level may hear of.
    ///
    /// RFC 5302 §3.1: what is used at level 1 and is no route of level 2 goes up; what is used of level 2 may go down.
    /// What came down never goes up again.
    static func leaks(_ kind: ISISRouteKind, into level: Level) -> Bool {
        switch kind {
        case .level1, .level1External: level == .two
        case .level2, .level2Down, .level2External: level == .one
        case .level1Down, .level1DownExternal, .attached, .discard: false
        }
    }

    /// Routes of the other level that our LSPs at this one are to announce, ascending.
    public func leaks(into level: Level) -> (ipv4: [IPv4Reach], ipv6: [IPv6Reach]) {
        guard let configuration, configuration.levels == .level1And2 else { return ([], []) }
        guard (level == .two ? configuration.leakingUp : configuration.leakingDown).isEnabled else { return ([], []) }
        let program = leakPrograms[level.index]
        return (Self.leaks(of: ipv4, into: level, program), Self.leaks(of: ipv6, into: level, program))
    }

    private static func leaks<Key>(
        of routes: PrefixRoutes<Key>, into level: Level, _ program: PolicyProgram?
    ) -> [PrefixReach<Key>] {
        var list: [PrefixReach<Key>] = []
        for (prefix, route) in routes.inOrder {
            guard let kind = ISISRouteKind(rawValue: route.offer.kind), leaks(kind, into: level) else { continue }
            var offered = OfferedRoute(metric: route.offer.metric, tag: route.offer.tag)
            if let program, !program.accepts(&offered, prefix.anyFamily, .isis, route.offer.kind) { continue }
            // RFC 7794 §2.1: R on what is announced again at another level; N stays, X stays.
            var flags = route.flags.intersection([.external, .externalMetric, .node])
            flags.insert(.readvertised)
            // RFC 5302 §2, RFC 5305 §4.1, RFC 5308 §2: set when it goes down.
            if level == .one { flags.insert(.down) }
            list.append(
                PrefixReach(
                    prefix, metric: offered.metric ?? route.offer.metric, flags: flags, tag: offered.tag ?? route.offer.tag))
        }
        return list
    }
}
