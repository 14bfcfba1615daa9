import Machine

/// The first step of a path away from the root of a calculation.
public struct FirstHop: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// The root's own tag of the link that it leaves by.
    public var tag: UInt32
    /// The identifier of the first router on the path; `nil` when the path ends on the link's own network.
    public var neighbor: UInt64? { isConnected ? nil : identifier }

    var isConnected: Bool
    var identifier: UInt64

    public init(tag: UInt32, neighbor: UInt64?) {
        self.tag = tag
        isConnected = neighbor == nil
        identifier = neighbor ?? 0
    }
    public static func < (a: Self, b: Self) -> Bool {
        if a.tag != b.tag { return a.tag < b.tag }
        if a.isConnected != b.isConnected { return a.isConnected }
        return a.identifier < b.identifier
    }
}

/// Sets of first hops, each kept once under a number, so that a vertex of the tree holds 32 bits and equal sets are
/// told by equal numbers. Number 0 is the empty set.
struct FirstHopTable: Sendable {
    /// Members of all sets, ascending within each.
    private var members: [FirstHop] = []
    /// Where the members of a set begin; one more entry than there are sets.
    private var starts: [UInt32] = [0, 0]
    private var index = HashIndex()
    /// Whether a set has members that are connected networks.
    private var hasConnected: [Bool] = [false]
    /// Results of late unions, by a hash of the operands: ((a, b), union).
    private var memo = [UInt64](repeating: .max, count: 512)
    private var memoResult = [UInt32](repeating: 0, count: 512)

    init() {}

    var count: Int { starts.count - 1 }
    var memberCount: Int { members.count }

    func range(_ set: UInt32) -> Range<Int> { Int(starts[Int(set)])..<Int(starts[Int(set) + 1]) }
    subscript(set: UInt32) -> ArraySlice<FirstHop> { members[range(set)] }
    func endsOnNetwork(_ set: UInt32) -> Bool { hasConnected[Int(set)] }

    private static func hash(_ hops: some Sequence<FirstHop>) -> UInt64 {
        var hash: UInt64 = 1
        for hop in hops {
            hash = seededHash(hash ^ UInt64(hop.tag) << 1 ^ (hop.isConnected ? 1 : 0), hop.identifier, seed: 0x71a3)
        }
        return hash
    }

    /// The number of a set, given ascending and without duplicates.
    mutating func intern(_ hops: [FirstHop]) -> UInt32 {
        if hops.isEmpty { return 0 }
        let hash = Self.hash(hops)
        if let known = index.find(hash, where: { members[range($0)].elementsEqual(hops) }) { return known }
        let number = UInt32(count)
        members.append(contentsOf: hops)
        starts.append(UInt32(members.count))
        hasConnected.append(hops.contains { $0.isConnected })
        let (all, places) = (members, starts)
        index.insert(number, hash: hash) { Self.hash(all[Int(places[Int($0)])..<Int(places[Int($0) + 1])]) }
        return number
    }

    /// The lowest `limit` members of both sets together. Since each set has its lowest, the order of unions does not
    /// show.
    mutating func union(_ a: UInt32, _ b: UInt32, limit: Int) -> UInt32 {
        if a == b || b == 0 { return a }
        if a == 0 { return b }
        let operands = UInt64(min(a, b)) << 32 | UInt64(max(a, b))
        let slot = Int(truncatingIfNeeded: mix64(operands) & 511)
        if memo[slot] == operands { return memoResult[slot] }
        var merged: [FirstHop] = []
        var i = range(a).lowerBound, j = range(b).lowerBound
        let (endOfA, endOfB) = (range(a).upperBound, range(b).upperBound)
        while merged.count < limit, i < endOfA || j < endOfB {
            if j == endOfB || i < endOfA && members[i] < members[j] {
                merged.append(members[i])
                i += 1
            } else if i == endOfA || members[j] < members[i] {
                merged.append(members[j])
                j += 1
            } else {
                merged.append(members[i])
                i += 1
                j += 1
            }
        }
        let result = intern(merged)
        memo[slot] = operands
        memoResult[slot] = result
        return result
    }

    /// The set seen from a router on the networks that the set ends on: there, that router is the first hop.
    mutating func entering(_ neighbor: UInt64, from set: UInt32) -> UInt32 {
        guard endsOnNetwork(set) else { return set }
        var hops = self[set].map { $0.isConnected ? FirstHop(tag: $0.tag, neighbor: neighbor) : $0 }
        hops.sort()
        var unique: [FirstHop] = []
        for hop in hops where unique.last != hop { unique.append(hop) }
        return intern(unique)
    }

    /// Forgets all sets but those in use, which get new numbers in place.
    mutating func compact(keeping sets: inout [UInt32]) {
        var old = self
        self = FirstHopTable()
        var renumbered = [UInt32](repeating: .max, count: old.count)
        for i in sets.indices {
            let set = Int(sets[i])
            if renumbered[set] == .max { renumbered[set] = intern(Array(old[sets[i]])) }
            sets[i] = renumbered[set]
        }
        old.members = []
    }
}
