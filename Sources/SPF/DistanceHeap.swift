/// A binary heap of vertices by distance. A vertex whose distance shrinks is pushed again; the stale entry is met when
/// the vertex is settled already.
struct DistanceHeap: Sendable {
    struct Entry: Sendable, BitwiseCopyable {
        /// Distance, then networks before routers.
        var key: UInt64
        var identifier: UInt64
        var vertex: UInt32

        @inline(__always)
        init(distance: UInt32, vertex: UInt32, of description: LinkStateGraph.Vertex) {
            key = UInt64(distance) << 1 | (description.isNetwork ? 0 : 1)
            identifier = description.identifier
            self.vertex = vertex
        }

        @inline(__always)
        static func < (a: Entry, b: Entry) -> Bool {
            a.key != b.key ? a.key < b.key : a.identifier < b.identifier
        }
    }

    private var entries: [Entry] = []

    mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

    @inline(__always)
    mutating func push(_ entry: Entry) {
        var hole = entries.count
        entries.append(entry)
        while hole > 0 {
            let parent = (hole - 1) >> 1
            guard entry < entries[parent] else { break }
            entries[hole] = entries[parent]
            hole = parent
        }
        entries[hole] = entry
    }

    @inline(__always)
    mutating func pop() -> Entry? {
        guard let top = entries.first else { return nil }
        let last = entries.removeLast()
        let count = entries.count
        if count == 0 { return top }
        var hole = 0
        while true {
            var child = 2 * hole + 1
            guard child < count else { break }
            if child + 1 < count, entries[child + 1] < entries[child] { child += 1 }
            guard entries[child] < last else { break }
            entries[hole] = entries[child]
            hole = child
        }
        entries[hole] = last
        return top
    }
}
