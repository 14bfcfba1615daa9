import Machine
import Wire

/// An open-addressing index from hashes to numbers of records that lie elsewhere. The same layout as in `PrefixTable`:
/// the number in the low bits of a word, hash bits in what is left over, linear probing, no tombstones.
struct HashIndex: Sendable {
    private(set) var slots: [UInt32]
    /// log2 of the number of slots, 4…31.
    private(set) var bits: UInt32
    private(set) var count: Int

    init() {
        slots = [UInt32](repeating: 0, count: 16)
        bits = 4
        count = 0
    }

    @inline(__always)
    func find(_ hash: UInt64, where matches: (UInt32) -> Bool) -> UInt32? {
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

    /// Adds a number that is not present. `limit` is one more than the highest number in use.
    mutating func insert(_ number: UInt32, hash: UInt64, limit: Int, rehash: (UInt32) -> UInt64) {
        if max(count + 1, limit) * 4 > slots.count * 3 { grow(limit: max(count + 1, limit), rehash: rehash) }
        place(number, hash: hash)
        count += 1
    }

    private mutating func place(_ number: UInt32, hash: UInt64) {
        let low: UInt32 = 1 << bits &- 1
        var position = Int(truncatingIfNeeded: hash >> UInt64(64 - bits))
        while slots[position] != 0 { position = (position + 1) & Int(low) }
        slots[position] = UInt32(truncatingIfNeeded: hash) & ~low | (number + 1)
    }

    private mutating func grow(limit: Int, rehash: (UInt32) -> UInt64) {
        let old = slots
        let oldLow: UInt32 = 1 << bits &- 1
        while limit * 4 > (1 << Int(bits)) * 3 { bits += 1 }
        precondition(bits <= 31, "an index holds at most 3 · 2^29 numbers")
        slots = [UInt32](repeating: 0, count: 1 << Int(bits))
        for word in old where word != 0 {
            let number = word & oldLow &- 1
            place(number, hash: rehash(number))
        }
    }

    mutating func remove(_ number: UInt32, hash: UInt64, rehash: (UInt32) -> UInt64) {
        let low = 1 << Int(bits) - 1
        var hole = Int(truncatingIfNeeded: hash >> UInt64(64 - bits))
        while slots[hole] & UInt32(low) != number + 1 { hole = (hole + 1) & low }
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
}

extension HashIndex: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.write(bits)
        writer.write(UInt64(count))
        writer.writeBlock(slots)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        bits = try reader.read()
        count = try reader.readCount()
        slots = try reader.readBlock(of: UInt32.self)
        guard bits >= 4, bits <= 31, slots.count == 1 << Int(bits), count * 4 <= slots.count * 3 else {
            throw DecodeError("hash index", at: reader.position, .badValue)
        }
    }
    /// Whether every number in the index is below `limit`; a restored index is asked before it is used.
    func isWithin(_ limit: Int) -> Bool {
        let low: UInt32 = 1 << bits &- 1
        var used = 0
        for word in slots where word != 0 {
            if word & low == 0 || Int(word & low) > limit { return false }
            used += 1
        }
        return used == count
    }
}
