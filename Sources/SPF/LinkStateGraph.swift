import Machine

/// The routers and networks of one area or level and the links between them, as link-state packets describe them.
///
/// Vertices have small numbers, edges lie in one flat array, and a packet that changes replaces the edges of one
/// vertex. What a change costs depends on the links of that vertex and of its neighbours, not on the size of the graph:
/// whether a link is described from both ends (the two-way check) is kept current at each change and not asked at each
/// calculation.
///
/// A vertex is *present* while its own packet is. One that others only name has a number, too, but nothing leads there.
public struct LinkStateGraph: Sendable {
    /// What a protocol calls a vertex. Routers and networks (pseudonodes) have separate name spaces.
    public struct Key: Hashable, Comparable, Sendable, BitwiseCopyable {
        /// A router ID, system ID, or what names a network.
        public var identifier: UInt64
        public var isNetwork: Bool

        @inlinable public init(_ identifier: UInt64, isNetwork: Bool = false) {
            self.identifier = identifier
            self.isNetwork = isNetwork
        }
        public static func < (a: Self, b: Self) -> Bool {
            a.identifier != b.identifier ? a.identifier < b.identifier : !a.isNetwork && b.isNetwork
        }
    }

    /// A link as its near end describes it.
    public struct Link: Hashable, Sendable {
        public var to: Key
        public var metric: UInt32
        /// The protocol's name for the link. Those of the root of a calculation name first hops.
        public var tag: UInt32

        @inlinable public init(to: Key, metric: UInt32, tag: UInt32 = 0) {
            self.to = to
            self.metric = metric
            self.tag = tag
        }
    }

    /// A link in the flat array.
    struct Edge: Hashable, Sendable, BitwiseCopyable {
        var to: UInt32
        var metric: UInt32
        var tag: UInt32
        /// 1 when the far end has a link back (RFC 2328 §16.1 (2) (b); ISO 10589 §7.2.8.2), else 0.
        var isMutual: UInt32

        static func isBefore(_ a: Edge, _ b: Edge) -> Bool {
            if a.to != b.to { return a.to < b.to }
            if a.metric != b.metric { return a.metric < b.metric }
            return a.tag < b.tag
        }
    }

    struct Vertex: Sendable, BitwiseCopyable {
        var identifier: UInt64
        /// Where its edges lie: sorted by far end, then metric, then tag.
        var start: UInt32
        var count: UInt32
        var capacity: UInt32
        /// Links of others that name it.
        var references: UInt32
        var isNetwork: Bool
        var isPresent: Bool
        /// Paths may lead through it.
        var isTransit: Bool
        /// The number is in use.
        var isUsed: Bool
    }

    private(set) var vertices: KeyedArena<Vertex>
    private(set) var edges: [Edge] = []
    /// Places of `edges` that belong to nobody.
    private var wasted = 0

    /// - Parameter seed: of the look-up by key, so that nobody outside can make up keys that collide.
    public init(seed: UInt64 = 0) { vertices = KeyedArena(seed: seed) }

    /// Numbers of vertices are below this.
    public var numberLimit: Int { vertices.capacity }
    /// Vertices whose packets are present.
    public private(set) var presentCount = 0
    public var isEmpty: Bool { presentCount == 0 }

    /// The number of a vertex that is present or that a present one names. It stays the same as long as that holds.
    public func number(of key: Key) -> UInt32? { vertices.find(key) }

    public func key(of number: UInt32) -> Key { vertices[number].key }

    /// Whether the vertex's own packet is there.
    public func isPresent(_ number: UInt32) -> Bool {
        Int(number) < vertices.capacity && vertices[number].isPresent
    }

    /// The links of a present vertex, in no order that means anything, with whether each is described from both ends.
    public func links(of key: Key) -> [(link: Link, isMutual: Bool)] {
        guard let number = number(of: key) else { return [] }
        let vertex = vertices[number]
        return edges[Int(vertex.start)..<Int(vertex.start + vertex.count)].map {
            (Link(to: self.key(of: $0.to), metric: $0.metric, tag: $0.tag), $0.isMutual == 1)
        }
    }

    /// Puts a vertex there, or replaces what its packet said.
    ///
    /// - Parameter isTransit: `false` for a router that is not to be used to reach others (overload bit, R-bit clear).
    /// - Returns: whether anything changed that a calculation would see.
    @discardableResult
    public mutating func set(_ key: Key, isTransit: Bool = true, links: [Link]) -> Bool {
        let number = numberOrNew(key)
        // References are taken before the old ones are given back, so that no number changes its meaning in between.
        var new: [Edge] = []
        new.reserveCapacity(links.count)
        for link in links where link.to != key {
            let to = numberOrNew(link.to)
            vertices[to].references += 1
            new.append(Edge(to: to, metric: link.metric, tag: link.tag, isMutual: 0))
        }
        new.sort(by: Edge.isBefore)
        let vertex = vertices[number]
        if vertex.isPresent, vertex.isTransit == isTransit, isSame(vertex, new) {
            for edge in new { vertices[edge.to].references -= 1 }
            return false
        }
        if !vertex.isPresent { presentCount += 1 }
        vertices[number].isPresent = true
        vertices[number].isTransit = isTransit
        replaceEdges(of: number, by: &new)
        return true
    }

    /// Takes a vertex away whose packet is gone.
    @discardableResult
    public mutating func remove(_ key: Key) -> Bool {
        guard let number = number(of: key), vertices[number].isPresent else { return false }
        var none: [Edge] = []
        // Absent first: giving references back may free the number.
        vertices[number].references += 1
        replaceEdges(of: number, by: &none)
        vertices[number].isPresent = false
        presentCount -= 1
        release(number)
        return true
    }

    // MARK: inside

    private func isSame(_ vertex: Vertex, _ new: [Edge]) -> Bool {
        guard Int(vertex.count) == new.count else { return false }
        for i in new.indices {
            let old = edges[Int(vertex.start) + i]
            if old.to != new[i].to || old.metric != new[i].metric || old.tag != new[i].tag { return false }
        }
        return true
    }

    private mutating func replaceEdges(of number: UInt32, by new: inout [Edge]) {
        let old = vertices[number]
        let oldRange = Int(old.start)..<Int(old.start + old.count)
        // The far ends of what was lose their link back; those of what is get it again.
        for i in oldRange where edges[i].isMutual == 1 { mark(from: edges[i].to, to: number, 0) }
        let released = edges[oldRange].map(\.to)
        for i in new.indices where hasEdge(from: new[i].to, to: number) {
            new[i].isMutual = 1
            mark(from: new[i].to, to: number, 1)
        }
        store(new, at: number)
        for to in released { release(to) }
    }

    private mutating func store(_ new: [Edge], at number: UInt32) {
        let old = vertices[number]
        if new.count <= Int(old.capacity) {
            for i in new.indices { edges[Int(old.start) + i] = new[i] }
            vertices[number].count = UInt32(new.count)
            return
        }
        wasted += Int(old.capacity)
        vertices[number].start = UInt32(edges.count)
        vertices[number].count = UInt32(new.count)
        // A little room, since a link that comes back needs a place again.
        let room = new.count / 4 + 1
        vertices[number].capacity = UInt32(new.count + room)
        edges.append(contentsOf: new)
        edges.append(contentsOf: repeatElement(Edge(to: 0, metric: 0, tag: 0, isMutual: 0), count: room))
        if wasted > 64, wasted > edges.count / 2 { compact() }
    }

    /// Moves the edges together, in the order of vertices, which is also the order in which a calculation likes them.
    private mutating func compact() {
        var packed: [Edge] = []
        packed.reserveCapacity(edges.count - wasted)
        for number in vertices.numbers where vertices[number].capacity > 0 {
            let vertex = vertices[number]
            let start = packed.count
            packed.append(contentsOf: edges[Int(vertex.start)..<Int(vertex.start + vertex.capacity)])
            vertices[number].start = UInt32(start)
        }
        edges = packed
        wasted = 0
    }

    /// The first edge from one vertex to another, by bisection.
    private func firstEdge(from: UInt32, to: UInt32) -> Int {
        let vertex = vertices[from]
        let start = Int(vertex.start)
        return edges[start..<(start + Int(vertex.count))].sortedIndex { $0.to < to }
    }

    private func hasEdge(from: UInt32, to: UInt32) -> Bool {
        let vertex = vertices[from]
        let i = firstEdge(from: from, to: to)
        return i < Int(vertex.start + vertex.count) && edges[i].to == to
    }

    private mutating func mark(from: UInt32, to: UInt32, _ isMutual: UInt32) {
        let end = Int(vertices[from].start + vertices[from].count)
        var i = firstEdge(from: from, to: to)
        while i < end, edges[i].to == to {
            edges[i].isMutual = isMutual
            i += 1
        }
    }

    private mutating func numberOrNew(_ key: Key) -> UInt32 {
        if let number = number(of: key) { return number }
        return vertices.insert(
            Vertex(
                identifier: key.identifier, start: 0, count: 0, capacity: 0, references: 0, isNetwork: key.isNetwork,
                isPresent: false, isTransit: false, isUsed: true))
    }

    /// Gives a reference back; a vertex that nobody describes or names loses its number.
    private mutating func release(_ number: UInt32) {
        vertices[number].references -= 1
        let vertex = vertices[number]
        guard vertex.references == 0, !vertex.isPresent else { return }
        wasted += Int(vertex.capacity)
        vertices.remove(number)
    }
}

extension LinkStateGraph.Vertex: KeyedElement {
    var isVacant: Bool { !isUsed }
    /// The key stays: a calculation names vertices that are gone.
    mutating func vacate() {
        count = 0
        capacity = 0
        isUsed = false
    }
    var key: LinkStateGraph.Key { LinkStateGraph.Key(identifier, isNetwork: isNetwork) }
    static func hash(_ key: LinkStateGraph.Key, seed: UInt64) -> UInt64 {
        seededHash(key.identifier, key.isNetwork ? 1 : 2, seed: seed)
    }
}
