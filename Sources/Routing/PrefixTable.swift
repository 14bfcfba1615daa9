import Machine
import Wire

/// Prefixes, or other keys, with dense 32-bit numbers, looked up by a seeded open-addressing hash.
///
/// A prefix keeps its number until it is removed; numbers are given again, the last one freed first, so that parallel
/// arrays indexed by number stay dense. Nothing iterates by hash order: the order of numbers is the order of arrival,
/// the same on both controllers.
///
/// A word of the index holds a prefix number (its low bits) and, in the bits that this leaves over, a part of the hash:
/// a probe touches a key only when it will nearly always be the right one. Memory per prefix: the packed key and 5.3 to
/// 10.7 octets of index. Growing doubles the index and costs about 10 ns per prefix present; call
/// `reserve(_:)` where that pause matters.
///
/// The one generic type that is specialised across modules, hence `@inlinable`.
@frozen
public struct PrefixTable<Key: TableKey>: Sendable {
    @usableFromInline var storage: [Key.Packed]
    /// Packed keys by number; `Key.vacant` where the number is free.
    @inlinable public var keys: [Key.Packed] {
        @inline(__always) _read { yield storage }
    }
    /// 0 for empty, else number + 1 in the low `bits` bits and hash bits above.
    @usableFromInline var slots: [UInt32]
    /// Freed numbers, given out again from the end.
    @usableFromInline var free: [UInt32]
    /// How many prefixes there are of each length; longest-prefix match probes only lengths that occur.
    @usableFromInline var lengthCounts: [UInt32]
    /// log2 of the number of slots, 4…31.
    @usableFromInline var bits: UInt32
    /// Of the hash; random per pair so that nobody outside can craft collisions.
    public let seed: UInt64

    public init(seed: UInt64) {
        self.seed = seed
        storage = []
        free = []
        bits = 4
        slots = [UInt32](repeating: 0, count: 16)
        lengthCounts = [UInt32](repeating: 0, count: Int(Key.lengthMaximum) + 1)
    }

    /// Prefixes present.
    @inlinable public var count: Int { keys.count - free.count }
    /// One more than the highest number ever in use: the size that parallel arrays need.
    @inlinable public var capacity: Int { keys.count }

    @inlinable @inline(__always)
    public subscript(number: UInt32) -> Key { Key(packed: keys[Int(number)]) }

    @inlinable
    public func isPresent(_ number: UInt32) -> Bool { Int(number) < keys.count && keys[Int(number)] != Key.vacant }

    @inlinable @inline(__always)
    public func hash(_ packed: Key.Packed) -> UInt64 { Key.hash(packed, seed: seed) }

    /// Reads the index word that a look-up will begin with. A batch of look-ups calls this for all its keys first, so
    /// that their cache misses overlap; the result is of no other use.
    @inlinable @inline(__always)
    public func touch(_ hash: UInt64) -> UInt32 {
        unsafe slots.withUnsafeBufferPointer { unsafe $0[Int(truncatingIfNeeded: hash >> UInt64(64 - bits))] }
    }

    @inlinable
    public func find(_ key: Key) -> UInt32? {
        let packed = key.packed
        return find(packed, hash: hash(packed))
    }

    @inlinable @inline(__always)
    public func find(_ packed: Key.Packed, hash: UInt64) -> UInt32? {
        let low: UInt32 = 1 << bits &- 1
        let tag = UInt32(truncatingIfNeeded: hash) & ~low
        var position = Int(truncatingIfNeeded: hash >> UInt64(64 &- bits))
        return unsafe slots.withUnsafeBufferPointer { slots in
            unsafe storage.withUnsafeBufferPointer { keys in
                while true {
                    let word = unsafe slots[position]
                    if word == 0 { return nil }
                    if word & ~low == tag {
                        let number = word & low &- 1
                        if unsafe keys[Int(number)] == packed { return number }
                    }
                    position = (position &+ 1) & Int(low)
                }
            }
        }
    }

    /// The number of the prefix, which is added when it is absent.
    @inlinable
    public mutating func insert(_ key: Key) -> UInt32 {
        let packed = key.packed
        return insert(packed, hash: hash(packed)).number
    }

    @inlinable @inline(__always)
    public mutating func insert(_ packed: Key.Packed, hash: UInt64) -> (number: UInt32, isNew: Bool) {
        if let number = find(packed, hash: hash) { return (number, false) }
        return (add(packed, hash: hash), true)
    }

    @inlinable
    mutating func add(_ packed: Key.Packed, hash: UInt64) -> UInt32 {
        if (count + 1) * 4 > slots.count * 3 { resize(bits + 1) }
        let number: UInt32
        if let reused = free.popLast() {
            number = reused
            storage[Int(reused)] = packed
        } else {
            number = UInt32(keys.count)
            storage.append(packed)
        }
        lengthCounts[Int(Key.length(of: packed))] += 1
        place(number, hash: hash)
        return number
    }

    @inlinable
    mutating func place(_ number: UInt32, hash: UInt64) {
        let low: UInt32 = 1 << bits &- 1
        var position = Int(truncatingIfNeeded: hash >> UInt64(64 - bits))
        while slots[position] != 0 { position = (position + 1) & Int(low) }
        slots[position] = UInt32(truncatingIfNeeded: hash) & ~low | (number + 1)
    }

    /// Makes room for `count` prefixes, so that none of them has to wait for the index to grow.
    @inlinable
    public mutating func reserve(_ count: Int) {
        var wanted = bits
        while count * 4 > (1 << Int(wanted)) * 3 { wanted += 1 }
        if wanted > bits { resize(wanted) }
        storage.reserveCapacity(count)
    }

    @inlinable
    mutating func resize(_ newBits: UInt32) {
        precondition(newBits <= 31, "a prefix table holds at most 3 · 2^29 prefixes")
        bits = newBits
        var fresh = [UInt32](repeating: 0, count: 1 << Int(newBits))
        let low: UInt32 = 1 << newBits &- 1
        let seed = seed
        unsafe fresh.withUnsafeMutableBufferPointer { slots in
            unsafe storage.withUnsafeBufferPointer { keys in
                for number in 0..<keys.count {
                    let packed = unsafe keys[number]
                    if packed == Key.vacant { continue }
                    let hash = Key.hash(packed, seed: seed)
                    var position = Int(truncatingIfNeeded: hash >> UInt64(64 &- newBits))
                    while unsafe slots[position] != 0 { position = (position &+ 1) & Int(low) }
                    unsafe slots[position] = UInt32(truncatingIfNeeded: hash) & ~low | (UInt32(truncatingIfNeeded: number) &+ 1)
                }
            }
        }
        slots = fresh
    }

    /// Frees the number of a prefix that is present.
    @inlinable
    public mutating func remove(_ number: UInt32) {
        let packed = keys[Int(number)]
        precondition(packed != Key.vacant, "a prefix number is freed once")
        let low = 1 << Int(bits) - 1
        var hole = Int(truncatingIfNeeded: hash(packed) >> UInt64(64 - bits))
        while slots[hole] & UInt32(low) != number + 1 { hole = (hole + 1) & low }
        // Linear probing without tombstones: what follows moves up unless it already lies at or after its home.
        var next = hole
        while true {
            next = (next + 1) & low
            let word = slots[next]
            if word == 0 { break }
            let home = Int(truncatingIfNeeded: hash(keys[Int(word & UInt32(low)) - 1]) >> UInt64(64 - bits))
            if (next - home) & low >= (next - hole) & low {
                slots[hole] = word
                hole = next
            }
        }
        slots[hole] = 0
        lengthCounts[Int(Key.length(of: packed))] -= 1
        storage[Int(number)] = Key.vacant
        free.append(number)
    }

    /// The longest key that contains `key`, itself included, among those for which `isEligible` says so.
    @inlinable
    public func longestMatch(containing key: Key, where isEligible: (UInt32) -> Bool = { _ in true }) -> UInt32? {
        var length = Int(key.length)
        while length >= 0 {
            if lengthCounts[length] != 0, let number = find(key.shortened(to: UInt8(length))), isEligible(number) {
                return number
            }
            length -= 1
        }
        return nil
    }

    /// Numbers in the order of prefixes, those after `key` (all for `nil`), at most `limit`. One pass over the table:
    /// for display on a copy, not for the engine's own time.
    public func ordered(after key: Key? = nil, limit: Int = .max) -> [UInt32] {
        var found: [Key] = []
        let bound = limit > (1 << 30) ? Int.max : max(1, limit) * 2
        var ceiling: Key? = nil
        for packed in keys where packed != Key.vacant {
            let candidate = Key(packed: packed)
            if let key, candidate <= key { continue }
            if let ceiling, candidate > ceiling { continue }
            found.append(candidate)
            if found.count == bound {
                found.sort()
                found.removeLast(found.count - limit)
                ceiling = found.last
            }
        }
        found.sort()
        return found.prefix(limit).compactMap { find($0) }
    }
}

extension PrefixTable where Key: PrefixKey {
    /// The longest prefix that covers `address`, among those for which `isEligible` says so.
    @inlinable
    public func longestMatch(
        _ address: Key.Address, where isEligible: (UInt32) -> Bool = { _ in true }
    ) -> UInt32? {
        longestMatch(containing: Key(address, Key.lengthMaximum), where: isEligible)
    }
}

extension PrefixTable: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(seed)
        writer.write(bits)
        writer.writeBlock(keys)
        writer.writeBlock(slots)
        writer.writeBlock(free)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        seed = try reader.read()
        bits = try reader.read()
        storage = try reader.readBlock(of: Key.Packed.self)
        slots = try reader.readBlock(of: UInt32.self)
        free = try reader.readBlock(of: UInt32.self)
        lengthCounts = [UInt32](repeating: 0, count: Int(Key.lengthMaximum) + 1)
        let refused = DecodeError("prefix table", at: reader.position, .badValue)
        guard bits >= 4, bits <= 31, slots.count == 1 << Int(bits), free.count <= keys.count,
            (keys.count - free.count) * 4 <= slots.count * 3
        else { throw refused }
        for number in free where Int(number) >= keys.count || keys[Int(number)] != Key.vacant { throw refused }
        var present = 0
        for packed in keys where packed != Key.vacant {
            guard Key.length(of: packed) <= Key.lengthMaximum else { throw refused }
            lengthCounts[Int(Key.length(of: packed))] += 1
            present += 1
        }
        let low: UInt32 = 1 << bits &- 1
        var used = 0
        for word in slots where word != 0 {
            guard word & low != 0, Int(word & low) <= keys.count else { throw refused }
            used += 1
        }
        guard used == present, present == count else { throw refused }
    }
}
