import Wire

/// An open-addressing index from hashes to numbers of things that lie elsewhere: linear probing, no tombstones. It is looked up
/// and can't be walked, so that the order of its slots shows nowhere. Whoever hashes does so under a seed.
///
/// A word holds the number plus one in its low bits, and hash bits in what this leaves over: a probe touches a thing only when
/// it will nearly always be the right one. 5.3 to 10.7 octets for each number; growing doubles the index.
@frozen
public struct HashIndex: Sendable {
    @usableFromInline var slots: [UInt32]
    /// log2 of the number of slots, 4…31.
    @usableFromInline var bits: UInt32
    /// Numbers in the index.
    public private(set) var count: Int

    public init() {
        slots = [UInt32](repeating: 0, count: 16)
        bits = 4
        count = 0
    }

    /// The number with this hash that `matches`.
    @inlinable @inline(__always)
    public func find(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
        let low: UInt32 = 1 << bits &- 1
        let tag = UInt32(truncatingIfNeeded: hash) & ~low
        var position = Int(truncatingIfNeeded: hash >> UInt64(64 &- bits))
        while true {
            let word = slots[position]
            if word == 0 { return nil }
            if word & ~low == tag, matches(word & low &- 1) { return word & low &- 1 }
            position = (position &+ 1) & Int(low)
        }
    }

    /// Adds a number that is not in it.
    public mutating func insert(_ number: UInt32, hash: UInt64, rehash: (UInt32) -> UInt64) {
        // A number has room in the low bits of a word.
        let wanted = max(count, Int(number)) + 1
        if wanted * 4 > slots.count * 3 { grow(to: wanted, rehash: rehash) }
        place(number, hash: hash)
        count += 1
    }

    private mutating func place(_ number: UInt32, hash: UInt64) {
        let low: UInt32 = 1 << bits &- 1
        var position = Int(truncatingIfNeeded: hash >> UInt64(64 - bits))
        while slots[position] != 0 { position = (position + 1) & Int(low) }
        slots[position] = UInt32(truncatingIfNeeded: hash) & ~low | (number + 1)
    }

    private mutating func grow(to wanted: Int, rehash: (UInt32) -> UInt64) {
        let old = slots
        let oldLow: UInt32 = 1 << bits &- 1
        while wanted * 4 > (1 << Int(bits)) * 3 { bits += 1 }
        precondition(bits <= 31, "an index holds at most 3 · 2^29 numbers")
        slots = [UInt32](repeating: 0, count: 1 << Int(bits))
        for word in old where word != 0 {
            let number = word & oldLow &- 1
            place(number, hash: rehash(number))
        }
    }

    /// Removes a number that is in it, given the hash that it was added with.
    public mutating func remove(_ number: UInt32, hash: UInt64, rehash: (UInt32) -> UInt64) {
        let low = 1 << Int(bits) - 1
        var hole = Int(truncatingIfNeeded: hash >> UInt64(64 - bits))
        while slots[hole] & UInt32(low) != number + 1 { hole = (hole + 1) & low }
        // What follows moves up unless it lies at or after its home already.
        var next = hole
        while true {
            next = (next + 1) & low
            let word = slots[next]
            if word == 0 { break }
            let home = Int(truncatingIfNeeded: rehash(word & UInt32(low) &- 1) >> UInt64(64 - bits))
            if (next - home) & low >= (next - hole) & low {
                slots[hole] = word
                hole = next
            }
        }
        slots[hole] = 0
        count -= 1
    }

    /// Empties the index.
    public mutating func removeAll() { self = HashIndex() }
}

extension HashIndex: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(bits)
        writer.write(UInt64(count))
        writer.writeBlock(slots)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        bits = try reader.read()
        count = try reader.readCount()
        slots = try reader.readBlock(of: UInt32.self)
        guard bits >= 4, bits <= 31, slots.count == 1 << Int(bits), count * 4 <= slots.count * 3 else {
            throw DecodeError("hash index", at: reader.position, .badValue)
        }
    }
    /// Whether every number in the index is below `limit`; a restored index is asked before it is used.
    public func isWithin(_ limit: Int) -> Bool {
        let low: UInt32 = 1 << bits &- 1
        var used = 0
        for word in slots where word != 0 {
            if word & low == 0 || Int(word & low) > limit { return false }
            used += 1
        }
        return used == count
    }
}
