import Machine
import Records
import Routing
import SPF
import Wire

/// An area as the calculation sees it: graph, tree, and who depends on which vertex.
struct AreaTopology: Sendable {
    let id: UInt32
    var kind: OSPFAreaKind
    var graph: LinkStateGraph
    var tree: ShortestPathTree
    var vertices: KeyedArena<VertexRecord>
    /// Vertices whose LSAs changed since the graph was brought up to date.
    var dirtyVertices: [UInt32] = []
    /// Whether shortest paths are to be calculated again.
    var needsSPF = true
    /// Next hops of sets of first hops, as far as they were asked for since the tree or the neighbours last changed.
    var hopCache: [[NextHop]?] = []
    /// What first hops led to when they were last looked up, ascending.
    var resolved: [(hop: FirstHop, nextHop: NextHop?)] = []

    init(id: UInt32, kind: OSPFAreaKind, seed: UInt64, maximumPaths: Int) {
        self.id = id
        self.kind = kind
        vertices = KeyedArena(seed: seed)
        graph = LinkStateGraph(seed: seed)
        tree = ShortestPathTree(firstHopsMaximum: maximumPaths)
    }

    func vertex(_ key: LinkStateGraph.Key) -> UInt32? { vertices.find(key) }

    /// The number of a vertex, a new one if need be.
    mutating func vertexOrNew(_ key: LinkStateGraph.Key) -> UInt32 {
        vertex(key) ?? vertices.insert(VertexRecord(key: key))
    }

    /// Frees the number of a vertex that no LSA describes and nothing depends on.
    mutating func releaseVertex(_ number: UInt32) {
        let vertex = vertices[number]
        guard vertex.isUsed, vertex.parts.isEmpty, vertex.firstSource == 0, !vertex.isDirty else { return }
        vertices.remove(number)
    }

    mutating func markVertex(_ number: UInt32) {
        guard !vertices[number].isDirty else { return }
        vertices[number].isDirty = true
        dirtyVertices.append(number)
    }

    /// The distance of a vertex and its set of first hops, if it has a path.
    func path(to number: UInt32) -> (distance: UInt32, set: UInt32)? {
        guard let node = graph.number(of: vertices[number].key), tree.isReachable(node) else { return nil }
        return (tree.distance(to: node), tree.firstHopSet(to: node))
    }

    func router(_ id: UInt32) -> UInt32? { vertex(LinkStateGraph.Key(UInt64(id))) }
}
