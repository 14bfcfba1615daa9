@testable import ISIS
import Records
import Routing
import Wire

/// Routes the slow and simple way: distances by relaxing every link until nothing changes, first hops by walking back,
/// every announcement looked at for every prefix. It shares no code with the calculation but the values it is told.
struct RouteOracle {
    var configuration: ISISConfiguration
    /// Alive LSPs.
    var lsps: [Level: [LSPID: LSPContents]] = [.one: [:], .two: [:]]
    var links: [Level: [LocalLink]] = [:]
    var adjacencies: [Level: [LocalAdjacency]] = [:]
    var discards: [IPPrefix] = []

    struct Edge {
        var from: NodeID
        var to: NodeID
        var metric: UInt64
        var interface: InterfaceID?
    }
    struct Hop: Hashable {
        var interface: InterfaceID
        var system: SystemID
    }
    struct Paths {
        var distance: [NodeID: UInt64] = [:]
        var hops: [NodeID: Set<Hop>] = [:]
    }
    struct Candidate {
        var kind: ISISRouteKind
        var cost: (UInt64, UInt64)
        var node: NodeID
        var tag: UInt32
        var flags: UInt8
        var metric: UInt32
        var hops: Set<NextHop>
    }

    var root: NodeID { NodeID(configuration.systemID) }

    func usable(_ level: Level) -> [NodeID: [LSPContents]] {
        var nodes: [NodeID: [LSPContents]] = [:]
        for (id, contents) in lsps[level]! where lsps[level]![LSPID(id.node)] != nil {
            nodes[id.node, default: []].append(contents)
        }
        return nodes
    }
    func zero(_ level: Level, _ node: NodeID) -> LSPContents { lsps[level]![LSPID(node)]! }

    func isOverloaded(_ level: Level, _ node: NodeID, _ topology: UInt16) -> Bool {
        if node.isPseudonode { return false }
        let zero = zero(level, node)
        return topology == 0 || saysAllInHeader(zero)
            ? zero.flags.contains(.overload) : zero.topologies.contains { $0.id == topology && $0.isOverloaded }
    }

    func saysAllInHeader(_ zero: LSPContents) -> Bool {
        zero.topologies.allSatisfy { !$0.isAttached && !$0.isOverloaded }
    }

    func paths(_ level: Level, _ topology: UInt16) -> Paths {
        let nodes = usable(level)
        var edges: [Edge] = []
        for (node, fragments) in nodes where node != root {
            for reach in fragments.flatMap(\.neighbors) where reach.topology == (node.isPseudonode ? 0 : topology) {
                let style = configuration.metricStyle
                if reach.isNarrow ? style == .wide : (style == .narrow && topology == 0) { continue }
                if !reach.isNarrow, reach.metric == 0xff_ffff { continue }
                edges.append(Edge(from: node, to: reach.node, metric: UInt64(reach.metric)))
            }
        }
        for link in links[level] ?? [] where topology == 0 ? link.isStandard : link.isIPv6 {
            edges.append(
                Edge(
                    from: root, to: link.node, metric: UInt64(topology == 0 ? link.metric : link.ipv6Metric),
                    interface: link.interface))
        }
        edges = edges.filter { edge in
            edge.from != edge.to && (edge.to == root || nodes[edge.to] != nil)
                && edges.contains { $0.from == edge.to && $0.to == edge.from }
        }
        let limit: UInt64 = configuration.metricStyle == .narrow && topology == 0 ? 1023 : 0xfe00_0000
        var paths = Paths()
        paths.distance[root] = 0
        var again = true
        while again {
            again = false
            for edge in edges {
                guard let start = paths.distance[edge.from] else { continue }
                if edge.from != root, isOverloaded(level, edge.from, topology) { continue }
                let sum = start + edge.metric
                if sum <= limit, sum < paths.distance[edge.to] ?? .max {
                    paths.distance[edge.to] = sum
                    again = true
                }
            }
        }
        // First hops spread along links of shortest paths until nothing changes.
        again = true
        while again {
            again = false
            for edge in edges {
                guard let start = paths.distance[edge.from], paths.distance[edge.to] == start + edge.metric else { continue }
                if edge.from != root, isOverloaded(level, edge.from, topology) { continue }
                if edge.to == root { continue }
                var new: Set<Hop>
                if edge.from == root {
                    // A LAN is remembered by its interface until a router on it is reached.
                    new = [
                        Hop(
                            interface: edge.interface!,
                            system: edge.to.isPseudonode ? SystemID(raw: 0xffff_ffff_ffff) : edge.to.system)
                    ]
                } else {
                    new = Set(
                        (paths.hops[edge.from] ?? []).map {
                            edge.from.isPseudonode && $0.system.raw == 0xffff_ffff_ffff
                                ? Hop(interface: $0.interface, system: edge.to.system) : $0
                        })
                }
                new.formUnion(paths.hops[edge.to] ?? [])
                if new != paths.hops[edge.to] ?? [] {
                    paths.hops[edge.to] = new
                    again = true
                }
            }
        }
        return paths
    }

    var isAttached: Bool {
        guard configuration.levels == .level1And2 else { return false }
        for topology in topologies {
            let paths = paths(.two, topology)
            for (node, fragments) in usable(.two) where node != root && !node.isPseudonode && paths.distance[node] != nil {
                let areas = fragments.flatMap(\.areas)
                if !areas.isEmpty, Set(areas).isDisjoint(with: configuration.areaAddresses) { return true }
            }
        }
        return false
    }
    var ipv6Topology: UInt16 { configuration.topologies.contains(.ipv6Unicast) ? 2 : 0 }
    var topologies: [UInt16] { ipv6Topology == 0 ? [0] : [0, 2] }

    func routes() -> [IPPrefix: RouteOffer] {
        var candidates: [IPPrefix: [Candidate]] = [:]
        let attached = isAttached
        for level in Level.allCases where configuration.levels.contains(level) {
            for topology in topologies {
                let paths = paths(level, topology)
                let addresses = adjacencies[level] ?? []
                for (node, fragments) in usable(level) where node != root && !node.isPseudonode {
                    guard let distance = paths.distance[node] else { continue }
                    func hops(_ isIPv4: Bool) -> Set<NextHop> {
                        Set(
                            (paths.hops[node] ?? []).compactMap { hop in
                                let known = addresses.first { $0.interface == hop.interface && $0.system == hop.system }
                                let address = isIPv4 ? known?.ipv4.map { IPAddress.v4($0) } : known?.ipv6.map { .v6($0) }
                                return address.map { .via($0, hop.interface) }
                            })
                    }
                    func add<Key>(_ reach: PrefixReach<Key>, isIPv4: Bool, isDefault: Bool = false) {
                        var kind: ISISRouteKind
                        let isDown = reach.flags.contains(.down)
                        switch (level, reach.flags.contains(.externalMetric), isDown) {
                        case (.one, false, false): kind = .level1
                        case (.two, false, false): kind = .level2
                        case (.two, false, true): kind = .level2
                        case (.one, false, true): kind = .level1Down
                        case (.one, true, false): kind = .level1External
                        case (.two, true, _): kind = .level2External
                        case (.one, true, true): kind = .level1DownExternal
                        }
                        if isDefault { kind = .attached }
                        var cost = (distance + UInt64(reach.metric), UInt64(0))
                        if kind.isExternal {
                            cost = (UInt64(reach.metric), distance)
                        } else {
                            let isNarrow = reach.flags.contains(.narrow) && configuration.metricStyle == .narrow
                            if reach.metric > 0xfe00_0000 || cost.0 > (isNarrow ? 1023 : 0xfe00_0000) { return }
                        }
                        let hops = hops(isIPv4)
                        if hops.isEmpty { return }
                        candidates[reach.prefix.anyFamily, default: []].append(
                            Candidate(
                                kind: kind, cost: cost, node: node, tag: reach.tag, flags: reach.flags.rawValue,
                                metric: reach.metric, hops: hops))
                    }
                    for reach in fragments.flatMap(\.ipv4) where topology == 0 && reach.topology == 0 {
                        if reach.flags.contains(.narrow)
                            ? configuration.metricStyle == .wide : configuration.metricStyle == .narrow
                        {
                            continue
                        }
                        add(reach, isIPv4: true)
                    }
                    for reach in fragments.flatMap(\.ipv6) where topology == ipv6Topology && reach.topology == topology {
                        add(reach, isIPv4: false)
                    }
                    if level == .one, !attached, configuration.attachedBit.isHonored, !isOverloaded(level, node, topology) {
                        let zero = zero(level, node)
                        let isSet =
                            topology == 0 || saysAllInHeader(zero)
                            ? zero.flags.contains(.attached) : zero.topologies.contains { $0.id == topology && $0.isAttached }
                        if isSet {
                            if topology == 0 { add(IPv4Reach(IPv4Prefix(.any, 0), metric: 0), isIPv4: true, isDefault: true) }
                            if topology == ipv6Topology {
                                add(IPv6Reach(IPv6Prefix(.any, 0), metric: 0), isIPv4: false, isDefault: true)
                            }
                        }
                    }
                }
            }
        }
        var routes: [IPPrefix: RouteOffer] = [:]
        for prefix in discards {
            routes[prefix] = RouteOffer(
                nextHops: [.blackhole], metric: 0, kind: ISISRouteKind.discard.rawValue,
                distance: configuration.level2Distance)
        }
        for (prefix, all) in candidates {
            let kind = all.map(\.kind).min()!
            let ofKind = all.filter { $0.kind == kind }
            let cost = ofKind.map(\.cost).min(by: <)!
            let best = ofKind.filter { $0.cost == cost }.sorted { ($0.node, $0.tag, $0.flags) < ($1.node, $1.tag, $1.flags) }
            let hops = best.reduce(into: Set<NextHop>()) { $0.formUnion($1.hops) }.sorted()
            routes[prefix] = RouteOffer(
                nextHops: Array(hops.prefix(Int(configuration.maximumPaths))),
                metric: kind.isExternal ? best[0].metric : UInt32(cost.0), kind: kind.rawValue,
                distance: kind.isExternal
                    ? configuration.externalDistance
                    : kind.level == .one ? configuration.level1Distance : configuration.level2Distance,
                tag: best[0].tag)
        }
        return routes
    }
}
