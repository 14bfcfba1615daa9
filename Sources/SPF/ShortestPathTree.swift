/// Shortest paths from one root to everything in a graph, with all equal-cost first hops.
///
/// Dijkstra's algorithm over flat arrays (RFC 2328 §16.1, ISO 10589 Annex C.2). Vertices settle in the order of
/// distance, networks before routers (so that a router behind two equally near networks sees both), then identifier.
/// That order is a function of the graph's content alone: two controllers that came to the same graph by different
/// ways, one of them by a snapshot, get the same tree.
///
/// A calculation remembers the one before and says which vertices changed, so that routes are worked out anew only for
/// what lies on those.
public struct ShortestPathTree: Sendable {
    /// No path.
    public static let unreachable = UInt32.max

    /// By number of the vertex.
    private var distances: [UInt32] = []
    private var sets: [UInt32] = []
    /// Whom a number meant when it was last calculated.
    private var identifiers: [UInt64] = []
    private var isNetwork: [Bool] = []
    private var table = FirstHopTable()
    private var heap = DistanceHeap()

    /// Equal-cost first hops that a set keeps, 1…64.
    public var firstHopsMaximum: Int {
        didSet { if firstHopsMaximum != oldValue { reset() } }
    }
    /// Paths longer than this do not exist (ISO 10589 §7.2.4 MaxPathMetric).
    public var distanceMaximum: UInt32

    /// Vertices with a path, the root included.
    public private(set) var reachableCount = 0

    public init(firstHopsMaximum: Int = 64, distanceMaximum: UInt32 = .max - 1) {
        self.firstHopsMaximum = firstHopsMaximum
        self.distanceMaximum = min(distanceMaximum, .max - 1)
    }

    /// As if nothing had been calculated: the next calculation reports every vertex that has a path.
    public mutating func reset() {
        let (hops, distance) = (firstHopsMaximum, distanceMaximum)
        self = ShortestPathTree(firstHopsMaximum: hops, distanceMaximum: distance)
    }

    /// `unreachable` for what has no path and for numbers that did not exist at the last calculation.
    public func distance(to number: UInt32) -> UInt32 {
        Int(number) < distances.count ? distances[Int(number)] : Self.unreachable
    }
    public func isReachable(_ number: UInt32) -> Bool { distance(to: number) != Self.unreachable }

    /// The first hops on shortest paths, ascending; none for the root and for what has no path.
    public func firstHops(to number: UInt32) -> ArraySlice<FirstHop> {
        Int(number) < sets.count ? table[sets[Int(number)]] : table[0]
    }

    /// A number that is equal for equal sets of first hops, until the next calculation; 0 is the empty set.
    public func firstHopSet(to number: UInt32) -> UInt32 { Int(number) < sets.count ? sets[Int(number)] : 0 }
    public func firstHops(inSet set: UInt32) -> ArraySlice<FirstHop> { table[set] }

    /// Calculates anew.
    ///
    /// - Parameter root: what the router itself is in the graph; without a packet of its own there are no paths.
    /// - Returns: numbers of the vertices whose distance or first hops are others than before, or that are others
    ///   themselves, ascending. Those that lost their path are among them.
    public mutating func calculate(_ graph: LinkStateGraph, from root: LinkStateGraph.Key) -> [UInt32] {
        let oldDistances = distances
        var oldSets = sets
        var oldIdentifiers = identifiers
        var oldIsNetwork = isNetwork
        if table.memberCount > 1 << 16 || table.count > 1 << 14 {
            // Sets of the past add up; those of the tree before stay, since changes are told against them.
            table.compact(keeping: &oldSets)
        }
        let count = graph.numberLimit
        distances = [UInt32](repeating: Self.unreachable, count: count)
        sets = [UInt32](repeating: 0, count: count)
        if let start = graph.number(of: root), graph.isPresent(start) { settle(graph, from: start) }

        identifiers = graph.vertices.places.map(\.identifier)
        isNetwork = graph.vertices.places.map(\.isNetwork)
        if oldIdentifiers.count < count {
            oldIdentifiers.append(contentsOf: identifiers[oldIdentifiers.count...])
            oldIsNetwork.append(contentsOf: isNetwork[oldIsNetwork.count...])
        }
        var changed: [UInt32] = []
        reachableCount = 0
        for number in 0..<count {
            let (distance, set) = (distances[number], sets[number])
            if distance != Self.unreachable { reachableCount += 1 }
            let isKnown = number < oldDistances.count
            let before = isKnown ? oldDistances[number] : Self.unreachable
            if distance != before || isKnown && set != oldSets[number]
                || distance != Self.unreachable
                    && (identifiers[number] != oldIdentifiers[number] || isNetwork[number] != oldIsNetwork[number])
            {
                changed.append(UInt32(number))
            }
        }
        return changed
    }

    private mutating func settle(_ graph: LinkStateGraph, from root: UInt32) {
        let vertices = graph.vertices.places.span
        let edges = graph.edges.span
        // Out of `self` while they are written to, so that each access is one to a local array.
        var distances = self.distances
        var sets = self.sets
        var heap = self.heap
        self.distances = []
        self.sets = []
        self.heap = DistanceHeap()
        var isSettled = [Bool](repeating: false, count: distances.count)
        let (limit, longest) = (firstHopsMaximum, distanceMaximum)

        distances[Int(root)] = 0
        heap.removeAll()
        heap.push(.init(distance: 0, vertex: root, of: vertices[Int(root)]))
        while let nearest = heap.pop() {
            let u = Int(nearest.vertex)
            if isSettled[u] { continue }
            isSettled[u] = true
            let vertex = vertices[u]
            let isRoot = nearest.vertex == root
            // A router that is not for transit ends every path to it (ISO 10589 C.2.6 Step 1; RFC 5340 §4.8.1).
            guard vertex.isTransit || isRoot else { continue }
            let distance = distances[u]
            let set = sets[u]
            let entersNetwork = vertex.isNetwork && table.endsOnNetwork(set)
            for i in Int(vertex.start)..<Int(vertex.start + vertex.count) {
                let edge = edges[i]
                let v = Int(edge.to)
                guard edge.isMutual == 1, !isSettled[v] else { continue }
                let (sum, overflow) = distance.addingReportingOverflow(edge.metric)
                guard !overflow, sum <= longest, sum <= distances[v] else { continue }
                let isShorter = sum < distances[v]
                let first: UInt32
                if isRoot {
                    let far = vertices[v]
                    first = table.intern([FirstHop(tag: edge.tag, neighbor: far.isNetwork ? nil : far.identifier)])
                } else if entersNetwork {
                    first = table.entering(vertices[v].identifier, from: set)
                } else {
                    first = set
                }
                if isShorter {
                    distances[v] = sum
                    sets[v] = first
                    heap.push(.init(distance: sum, vertex: edge.to, of: vertices[v]))
                } else if first != sets[v] {
                    sets[v] = table.union(sets[v], first, limit: limit)
                }
            }
        }
        self.distances = distances
        self.sets = sets
        self.heap = heap
    }
}
