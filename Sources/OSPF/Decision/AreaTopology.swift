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
    var vertices: [VertexRecord] = []
    private var freeVertices: [UInt32] = []
    private var index = NumberIndex()
    private let seed: UInt64
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
        self.seed = seed
        graph = LinkStateGraph(seed: seed)
        tree = ShortestPathTree(firstHopsMaximum: maximumPaths)
    }

    private static func hash(_ key: LinkStateGraph.Key, _ seed: UInt64) -> UInt64 {
        seededHash(key.identifier, key.isNetwork ? 1 : 2, seed: seed)
    }

    func vertex(_ key: LinkStateGraph.Key) -> UInt32? {
        index.find(Self.hash(key, seed)) { vertices[Int($0)].key == key }
    }

    /// The number of a vertex, a new one if need be.
    mutating func vertexOrNew(_ key: LinkStateGraph.Key) -> UInt32 {
        if let known = vertex(key) { return known }
        let number: UInt32
        if let free = freeVertices.popLast() {
            number = free
            vertices[Int(number)] = VertexRecord(key: key)
        } else {
            number = UInt32(truncatingIfNeeded: vertices.count)
            vertices.append(VertexRecord(key: key))
        }
        let (named, seed) = (vertices, seed)
        index.insert(number, hash: Self.hash(key, seed)) { Self.hash(named[Int($0)].key, seed) }
        return number
    }

    /// Frees the number of a vertex that no LSA describes and nothing depends on.
    mutating func releaseVertex(_ number: UInt32) {
        let vertex = vertices[Int(number)]
        guard vertex.parts.isEmpty, vertex.firstSource == 0, !vertex.isDirty, self.vertex(vertex.key) == number else {
            return
        }
        remove(number, vertex.key)
        freeVertices.append(number)
    }

    private mutating func remove(_ number: UInt32, _ key: LinkStateGraph.Key) {
        let (named, seed) = (vertices, seed)
        index.remove(number, hash: Self.hash(key, seed)) { Self.hash(named[Int($0)].key, seed) }
    }

    mutating func markVertex(_ number: UInt32) {
        guard !vertices[Int(number)].isDirty else { return }
        vertices[Int(number)].isDirty = true
        dirtyVertices.append(number)
    }

    /// The distance of a vertex and its set of first hops, if it has a path.
    func path(to number: UInt32) -> (distance: UInt32, set: UInt32)? {
        guard let node = graph.number(of: vertices[Int(number)].key), tree.isReachable(node) else { return nil }
        return (tree.distance(to: node), tree.firstHopSet(to: node))
    }

    func router(_ id: UInt32) -> UInt32? { vertex(LinkStateGraph.Key(UInt64(id))) }
}
