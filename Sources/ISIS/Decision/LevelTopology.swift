import Machine
import Routing
import SPF
import Wire

/// What the LSPs of one level say, as the calculation wants it: nodes with their LSPs taken apart, a graph for each
/// topology, and the shortest paths over it.
///
/// Everything here but the root's own links is a function of the LSPs that are alive; nothing of it is in a snapshot.
struct LevelTopology: Sendable {
    /// One LSP, as far as it matters here.
    struct Fragment: Sendable, Equatable {
        var number: UInt8
        var flags: LSPHeader.Flags
        var topologies: [TopologyMembership]
        var areas: [AreaAddress]
        var hostname: String?
        /// Each ascending.
        var neighbors: [NeighborReach]
        var ipv4: [IPv4Reach]
        var ipv6: [IPv6Reach]
        var prefixCount: Int { ipv4.count + ipv6.count }
        /// RFC 5120 §3.4 and §3.5 have bits for each topology in TLV 229. FRR sets those of the header alone, whatever
        /// topologies it runs: where no entry of TLV 229 has a bit, the header speaks for all of them.
        var saysAllInHeader: Bool { !topologies.contains { $0.isAttached || $0.isOverloaded } }

        init(number: UInt8, _ contents: LSPContents, isPseudonode: Bool) {
            self.number = number
            flags = contents.flags
            topologies = contents.topologies
            areas = contents.areas
            hostname = contents.hostname
            neighbors = contents.neighbors.sorted()
            // RFC 1195 §5.3: a LAN announces no destinations.
            ipv4 = isPseudonode ? [] : contents.ipv4.sorted()
            ipv6 = isPseudonode ? [] : contents.ipv6.sorted()
        }
    }

    struct Node: Sendable {
        var id: NodeID
        /// Ascending by number.
        var fragments: [Fragment] = []
        var isUsed = true

        /// ISO 10589 §7.3.7: without LSP number zero, alive, the others of a system are not looked at.
        var isUsable: Bool { fragments.first?.number == 0 }

        /// Whether it may lie on paths to others (ISO 10589 §7.2.8.1; RFC 5120 §3.5 for other topologies).
        func isTransit(_ topology: ISISTopology) -> Bool {
            guard let zero = fragments.first, !id.isPseudonode else { return true }
            if topology == .standard || zero.saysAllInHeader { return !zero.flags.contains(.overload) }
            return !zero.topologies.contains { $0.id == topology.rawValue && $0.isOverloaded }
        }

        /// Whether it leads out of the area. RFC 3787 §7: not when it is overloaded.
        func isAttached(_ topology: ISISTopology) -> Bool {
            guard let zero = fragments.first, zero.number == 0, !id.isPseudonode, isTransit(topology) else { return false }
            if topology == .standard || zero.saysAllInHeader { return zero.flags.contains(.attached) }
            return zero.topologies.contains { $0.id == topology.rawValue && $0.isAttached }
        }
    }

    /// A topology that is calculated.
    struct Plane: Sendable {
        var topology: ISISTopology
        var graph: LinkStateGraph
        var tree: ShortestPathTree
        /// The graph is another than at the last calculation.
        var isDirty = true
    }

    let level: Level
    private(set) var nodes: KeyedArena<Node>
    private(set) var planes: [Plane] = []
    /// Of `nodes` and of `planes`, once more: what every announcement looks at is read without touching the rest.
    private(set) var ids: [NodeID] = []
    private(set) var topologies: [ISISTopology] = []
    private(set) var root: NodeID = .zero
    private var style = ISISMetricStyle.wide
    private(set) var links: [LocalLink] = []

    /// - Parameter seed: of the look-ups.
    init(level: Level, seed: UInt64) {
        self.level = level
        nodes = KeyedArena(seed: seed)
    }

    // MARK: looking

    func number(of node: NodeID) -> UInt32? { nodes.find(node) }
    func plane(_ topology: ISISTopology) -> Int? { topologies.firstIndex(of: topology) }

    private static func key(_ node: NodeID) -> LinkStateGraph.Key {
        LinkStateGraph.Key(node.raw, isNetwork: node.isPseudonode)
    }

    /// How far a node is, and by which set of first hops; `nil` when there is no path.
    @inline(__always)
    func path(to node: UInt32, plane: Int) -> (distance: UInt32, set: UInt32)? {
        guard let vertex = planes[plane].graph.number(of: Self.key(ids[Int(node)])) else { return nil }
        let distance = planes[plane].tree.distance(to: vertex)
        guard distance != ShortestPathTree.unreachable else { return nil }
        return (distance, planes[plane].tree.firstHopSet(to: vertex))
    }

    // MARK: changing

    /// Begins anew with other parameters; LSPs stay.
    mutating func configure(root: NodeID, style: ISISMetricStyle, topologies: [ISISTopology]) {
        self.root = root
        self.style = style
        self.topologies = topologies
        planes = topologies.map { topology in
            // Wide metrics of the IPv6 topology whatever the style (RFC 5120 §7).
            let limit = style == .narrow && topology == .standard ? MetricLimit.narrowPath : MetricLimit.widePath
            return Plane(
                topology: topology, graph: LinkStateGraph(seed: nodes.seed),
                tree: ShortestPathTree(firstHopsMaximum: 64, distanceMaximum: limit))
        }
        for number in nodes.numbers where !nodes[number].fragments.isEmpty { refresh(number) }
        refreshRoot()
    }

    /// - Returns: whether a graph changed.
    mutating func setLinks(_ links: [LocalLink]) -> Bool {
        self.links = links
        return refreshRoot()
    }

    /// Puts an LSP in place of the one of its ID; `nil` takes it away.
    ///
    /// - Returns: the node, what was and what is, and whether a graph changed; `nil` when nothing did.
    mutating func update(
        _ id: LSPID, _ contents: LSPContents?
    ) -> (node: UInt32, old: Fragment?, new: Fragment?, wasUsable: Bool, graphChanged: Bool)? {
        let new = contents.map { Fragment(number: id.fragment, $0, isPseudonode: id.node.isPseudonode) }
        guard let number = nodes.find(id.node) ?? (new == nil ? nil : add(id.node)) else { return nil }
        let wasUsable = nodes[number].isUsable
        let at =
            nodes[number].fragments.firstIndex { $0.number >= id.fragment }
            ?? nodes[number].fragments.count
        let isThere = at < nodes[number].fragments.count && nodes[number].fragments[at].number == id.fragment
        let old = isThere ? nodes[number].fragments[at] : nil
        if old == new { return nil }
        if let new {
            if isThere {
                nodes[number].fragments[at] = new
            } else {
                nodes[number].fragments.insert(new, at: at)
            }
        } else {
            nodes[number].fragments.remove(at: at)
        }
        var graphChanged = false
        let touchesGraph =
            old?.neighbors != new?.neighbors || wasUsable != nodes[number].isUsable
            || id.fragment == 0 && (old?.flags != new?.flags || old?.topologies != new?.topologies)
        if touchesGraph, id.node != root { graphChanged = refresh(number) }
        return (number, old, new, wasUsable, graphChanged)
    }

    /// Gives the number of a node back that has no LSP any more.
    mutating func collect(_ number: UInt32) {
        if nodes.isPresent(number), nodes[number].fragments.isEmpty { nodes.remove(number) }
    }

    private mutating func add(_ node: NodeID) -> UInt32 {
        let number = nodes.insert(Node(id: node))
        if Int(number) == ids.count { ids.append(node) } else { ids[Int(number)] = node }
        return number
    }

    /// Puts a node's vertex into each graph as its LSPs have it now.
    @discardableResult
    private mutating func refresh(_ number: UInt32) -> Bool {
        let node = nodes[number]
        guard node.id != root else { return false }
        let key = Self.key(node.id)
        var changed = false
        for plane in planes.indices {
            let topology = planes[plane].topology
            var isNews: Bool
            if node.isUsable {
                var links: [LinkStateGraph.Link] = []
                for fragment in node.fragments {
                    for reach in fragment.neighbors where isUsed(reach, in: topology, by: node.id) {
                        links.append(LinkStateGraph.Link(to: Self.key(reach.node), metric: reach.metric))
                    }
                }
                isNews = planes[plane].graph.set(key, isTransit: node.isTransit(topology), links: links)
            } else {
                isNews = planes[plane].graph.remove(key)
            }
            if isNews {
                planes[plane].isDirty = true
                changed = true
            }
        }
        return changed
    }

    private func isUsed(_ reach: NeighborReach, in topology: ISISTopology, by node: NodeID) -> Bool {
        // RFC 5120 §4.3: a LAN is of every topology that its routers say they have there.
        let wanted = node.isPseudonode ? 0 : topology.rawValue
        guard reach.topology == wanted else { return false }
        if reach.isNarrow { return style != .wide }
        guard style != .narrow || topology != .standard else { return false }
        // RFC 5305 §3: the maximum is for links that routes do not use.
        return reach.metric < MetricLimit.wideLinkUnusable
    }

    /// ISO 10589 C.2.5: what the router itself reaches comes from its adjacencies, not from its LSP.
    @discardableResult
    private mutating func refreshRoot() -> Bool {
        var changed = false
        for plane in planes.indices {
            let topology = planes[plane].topology
            let own = links.filter { $0.isMember(of: topology) }.map {
                LinkStateGraph.Link(
                    to: Self.key($0.node), metric: $0.metric(in: topology), tag: UInt32($0.interface.value))
            }
            if planes[plane].graph.set(Self.key(root), links: own) {
                planes[plane].isDirty = true
                changed = true
            }
        }
        return changed
    }

    /// Shortest paths over one graph.
    ///
    /// - Returns: nodes whose distance or first hops changed, in no order that means anything.
    mutating func calculate(_ plane: Int) -> [UInt32] {
        planes[plane].isDirty = false
        let vertices = planes[plane].tree.calculate(planes[plane].graph, from: Self.key(root))
        var changed: [UInt32] = []
        changed.reserveCapacity(vertices.count)
        for vertex in vertices {
            let key = planes[plane].graph.key(of: vertex)
            if let number = nodes.find(NodeID(raw: key.identifier)) { changed.append(number) }
        }
        return changed
    }
}

extension LevelTopology.Node: KeyedElement {
    var isVacant: Bool { !isUsed }
    mutating func vacate() { isUsed = false }
    var key: NodeID { id }
    static func hash(_ node: NodeID, seed: UInt64) -> UInt64 { seededHash(node.raw, 0, seed: seed) }
}
