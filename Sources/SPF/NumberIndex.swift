/// An open-addressing index from hashes to small numbers of things that lie elsewhere: linear probing, no tombstones.
/// It is looked up and never walked, so that the order of its slots shows nowhere. Whoever hashes does so under a seed.
public struct NumberIndex: Sendable {
    /// A number plus one, or 0.
    private var slots = [UInt32](repeating: 0, count: 16)
    /// 64 less log2 of the number of slots.
    private var shift: UInt64 = 60
    private var count = 0

    public init() {}

    private var mask: Int { slots.count - 1 }

    /// The number with this hash that `matches`.
    public func find(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        var position = Int(truncatingIfNeeded: hash >> shift)
        while slots[position] != 0 {
            let number = slots[position] - 1
            if matches(number) { return number }
            position = (position + 1) & mask
        }
        return nil
    }

    /// Adds a number that is not in it.
    public mutating func insert(_ number: UInt32, hash: UInt64, rehash: (UInt32) -> UInt64) {
        if (count + 1) * 4 > slots.count * 3 {
            let old = slots
            slots = [UInt32](repeating: 0, count: old.count * 2)
            shift -= 1
            for slot in old where slot != 0 { place(slot, hash: rehash(slot - 1)) }
        }
        place(number + 1, hash: hash)
        count += 1
    }

    private mutating func place(_ slot: UInt32, hash: UInt64) {
        var position = Int(truncatingIfNeeded: hash >> shift)
        while slots[position] != 0 { position = (position + 1) & mask }
        slots[position] = slot
    }

    /// Removes a number, given the hash that it was added with.
    public mutating func remove(_ number: UInt32, hash: UInt64, rehash: (UInt32) -> UInt64) {
        var hole = Int(truncatingIfNeeded: hash >> shift)
        while slots[hole] != number + 1 {
            if slots[hole] == 0 { return }
            hole = (hole + 1) & mask
        }
        // What follows moves up when the hole lies between its home and its place.
        var next = (hole + 1) & mask
        while slots[next] != 0 {
            let home = Int(truncatingIfNeeded: rehash(slots[next] - 1) >> shift)
            if (next - home) & mask >= (next - hole) & mask {
                slots[hole] = slots[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        slots[hole] = 0
        count -= 1
    }

    /// Empties the index.
    public mutating func removeAll() { self = NumberIndex() }
}
