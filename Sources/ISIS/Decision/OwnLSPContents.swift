import Records
import Routing
import Wire

/// What the LSPs of one node of ours are to say, however many of them that takes.
public struct OwnLSPContents: Equatable, Sendable {
    /// Of LSP number zero; the others carry the IS type alone.
    public var flags: LSPHeader.Flags = []
    public var areas: [AreaAddress] = []
    public var protocols: [UInt8] = []
    public var topologies: [TopologyMembership] = []
    public var hostname = ""
    public var ipv4Addresses: [IPv4Address] = []
    public var ipv6Addresses: [IPv6Address] = []
    /// In any order.
    public var neighbors: [NeighborReach] = []
    public var ipv4: [IPv4Reach] = []
    public var ipv6: [IPv6Reach] = []

    public init() {}

    /// The LSP of a LAN whose designated IS we are (ISO 10589 §7.3.10): everybody on it, ourselves included, at no cost.
    ///
    /// RFC 5120 §4.3: pseudonodes have no topologies; theirs is TLV 22 for all of them.
    public static func pseudonode(level: Level, members: [SystemID], style: ISISMetricStyle) -> OwnLSPContents {
        var contents = OwnLSPContents()
        contents.flags = level == .one ? .level1 : .level2
        for member in members {
            let reach = NeighborReach(NodeID(member), metric: 0)
            contents.add(reach, style)
        }
        return contents
    }

    mutating func add(_ reach: NeighborReach, _ style: ISISMetricStyle) {
        // RFC 5120 §7: what belongs to another topology is always wide.
        if style != .narrow || reach.topology != 0 { neighbors.append(reach) }
        if style != .wide, reach.topology == 0 {
            var narrow = reach
            narrow.isNarrow = true
            narrow.metric = min(reach.metric, MetricLimit.narrowLink)
            neighbors.append(narrow)
        }
    }

    mutating func add(_ reach: IPv4Reach, _ style: ISISMetricStyle) {
        if style != .narrow {
            var wide = reach
            wide.flags.remove(.externalMetric)
            ipv4.append(wide)
        }
        if style != .wide {
            var narrow = reach
            narrow.flags.formIntersection([.down, .external, .externalMetric])
            narrow.flags.insert(.narrow)
            narrow.tag = 0
            narrow.metric = min(reach.metric, MetricLimit.narrowLink)
            // RFC 5302 §2.2: TLV 128 has no external metric.
            if !narrow.flags.contains(.external) { narrow.flags.remove(.externalMetric) }
            ipv4.append(narrow)
        }
    }
}

/// Everything that the LSPs of this router at one level come from.
public struct OwnLSPSources: Sendable {
    public var level: Level
    public var links: [LocalLink] = []
    public var prefixes: [LocalPrefix] = []
    /// Ascending by prefix.
    public var redistributed: [(prefix: IPPrefix, route: RedistributedRoute)] = []
    /// Routes of the other level, from `RouteCalculation.leaks(into:)`.
    public var leakedIPv4: [IPv4Reach] = []
    public var leakedIPv6: [IPv6Reach] = []
    /// ISO 10589 §7.2.8.1.
    public var isOverloaded = false
    /// Level 1 of a router that leads to other areas (ISO 10589 §7.2.9.2).
    public var isAttached = false
    public var ipv4Addresses: [IPv4Address] = []
    /// RFC 5308 §3: none that are link-local.
    public var ipv6Addresses: [IPv6Address] = []

    public init(level: Level) { self.level = level }

    /// - Returns: the contents, and the summaries that stand for something (each wants a route that drops, so that what
    ///   it promises but nobody has does not go round in circles).
    public func contents(_ configuration: ISISConfiguration) -> (contents: OwnLSPContents, summaries: [IPPrefix]) {
        var result = OwnLSPContents()
        let hasIPv6Topology = configuration.topologies.contains(.ipv6Unicast)
        result.flags = configuration.levels.contains(.two) ? .level2 : .level1
        if isOverloaded { result.flags.insert(.overload) }
        if isAttached, level == .one { result.flags.insert(.attached) }
        result.areas = configuration.areaAddresses
        if configuration.isIPv4Enabled { result.protocols.append(ProtocolID.ipv4) }
        if configuration.isIPv6Enabled { result.protocols.append(ProtocolID.ipv6) }
        if hasIPv6Topology {
            // RFC 5120 §3.4, §3.5: overload and attached bit of each topology.
            result.topologies = [
                TopologyMembership(id: 0),
                TopologyMembership(
                    id: ISISTopology.ipv6Unicast.rawValue, isOverloaded: isOverloaded,
                    isAttached: isAttached && level == .one),
            ]
        }
        result.hostname = configuration.hostname
        if configuration.isIPv4Enabled { result.ipv4Addresses = ipv4Addresses }
        if configuration.isIPv6Enabled { result.ipv6Addresses = ipv6Addresses }
        for link in links {
            if link.isStandard { result.add(NeighborReach(link.node, metric: link.metric), configuration.metricStyle) }
            if link.isIPv6, hasIPv6Topology {
                result.neighbors.append(
                    NeighborReach(
                        link.node, metric: link.ipv6Metric, topology: ISISTopology.ipv6Unicast.rawValue))
            }
        }
        var summaries: [IPPrefix] = []
        if configuration.isIPv4Enabled {
            let merged = Self.merge(
                own: prefixes.compactMap { local in
                    IPv4Prefix(local.prefix).map {
                        IPv4Reach($0, metric: local.metric, flags: local.isNode ? .node : [], tag: local.tag)
                    }
                }, leaked: leakedIPv4, redistributed: reach(configuration, topology: 0), summaries: configuration.summaries,
                level: level, topology: 0, active: &summaries)
            for reach in merged { result.add(reach, configuration.metricStyle) }
        }
        if configuration.isIPv6Enabled {
            let topology = hasIPv6Topology ? ISISTopology.ipv6Unicast.rawValue : 0
            result.ipv6 = Self.merge(
                own: prefixes.compactMap { local in
                    IPv6Prefix(local.prefix).map {
                        IPv6Reach(
                            $0, metric: hasIPv6Topology ? local.ipv6Metric : local.metric, flags: local.isNode ? .node : [],
                            tag: local.tag, topology: topology)
                    }
                }, leaked: leakedIPv6, redistributed: reach(configuration, topology: topology),
                summaries: configuration.summaries, level: level, topology: topology, active: &summaries)
        }
        return (result, summaries.sorted())
    }

    private func reach<Key: PrefixKey>(_ configuration: ISISConfiguration, topology: UInt16) -> [PrefixReach<Key>] {
        redistributed.compactMap { entry in
            guard let key = Key(entry.prefix), entry.route.levels & level.rawValue != 0 else { return nil }
            var flags: ReachFlags = .external
            if entry.route.isExternalMetric { flags.insert(.externalMetric) }
            let metric = min(entry.route.metric ?? configuration.redistributionMetric, MetricLimit.widePath)
            return PrefixReach(key, metric: metric, flags: flags, tag: entry.route.tag, topology: topology)
        }
    }

    /// One announcement for each prefix: our own networks before leaked routes before redistributed ones; then what a
    /// summary covers gives way to it.
    private static func merge<Key: PrefixKey>(
        own: [PrefixReach<Key>], leaked: [PrefixReach<Key>], redistributed: [PrefixReach<Key>], summaries: [ISISSummary],
        level: Level, topology: UInt16, active: inout [IPPrefix]
    ) -> [PrefixReach<Key>] {
        var ranked: [(rank: Int, reach: PrefixReach<Key>)] = []
        ranked.reserveCapacity(own.count + leaked.count + redistributed.count)
        for reach in own { ranked.append((0, reach)) }
        for var reach in leaked {
            reach.topology = topology
            ranked.append((1, reach))
        }
        for reach in redistributed { ranked.append((2, reach)) }
        ranked.sort {
            if $0.reach.prefix != $1.reach.prefix { return $0.reach.prefix < $1.reach.prefix }
            // Of two interfaces on one network, the nearer.
            return $0.rank != $1.rank ? $0.rank < $1.rank : $0.reach.metric < $1.reach.metric
        }
        var result: [PrefixReach<Key>] = []
        result.reserveCapacity(ranked.count)
        for (_, reach) in ranked where result.last?.prefix != reach.prefix { result.append(reach) }

        let wanted = summaries.filter { $0.levels.contains(level) && Key($0.prefix) != nil }
        guard !wanted.isEmpty else { return result }
        var sums: [PrefixReach<Key>?] = wanted.map { _ in nil }
        result.removeAll { reach in
            // The longest summary that covers it takes it.
            var best: Int?
            for (i, summary) in wanted.enumerated() where summary.prefix.covers(reach.prefix.anyFamily) {
                if best.map({ wanted[$0].prefix.length < summary.prefix.length }) ?? true { best = i }
            }
            guard let best, let key = Key(wanted[best].prefix) else { return false }
            let summary = wanted[best]
            var sum =
                sums[best]
                ?? PrefixReach(
                    key, metric: summary.metric ?? reach.metric, flags: [.external, .externalMetric], tag: summary.tag,
                    topology: topology)
            if summary.metric == nil { sum.metric = min(sum.metric, reach.metric) }
            // It is external when all that it stands for is, and "down" when anything is, for else that could come back.
            if !reach.flags.contains(.external) { sum.flags.remove(.external) }
            if !reach.flags.contains(.externalMetric) { sum.flags.remove(.externalMetric) }
            if reach.flags.contains(.down) { sum.flags.insert(.down) }
            sums[best] = sum
            return true
        }
        for case let sum? in sums {
            active.append(sum.prefix.anyFamily)
            result.append(sum)
        }
        return result
    }
}
