import Wire

/// A set of small numbers as bits under a summary of bits: adding, removing and asking are O(1), walking or emptying a little of
/// it costs what is in it, and a number that is added twice is in it once: coalescing comes for free. Ordered by number.
@frozen
public struct BitSet: Sendable {
    /// A multiple of 64 of them.
    @usableFromInline var words: [UInt64] = []
    /// One bit per word that is not 0.
    @usableFromInline var summary: [UInt64] = []
    @usableFromInline var members = 0

    @inlinable public init() {}
    /// Numbers in the set.
    @inlinable public var count: Int { members }
    @inlinable public var isEmpty: Bool { members == 0 }

    /// - Returns: whether it was not in the set.
    @inlinable @inline(__always) @discardableResult
    public mutating func insert(_ number: UInt32) -> Bool {
        let word = Int(number >> 6)
        if word >= words.count { reserve(word) }
        let bit: UInt64 = 1 << UInt64(number & 63)
        let old = words[word]
        if old & bit != 0 { return false }
        words[word] = old | bit
        members &+= 1
        if old == 0 { summary[word >> 6] |= 1 << UInt64(word & 63) }
        return true
    }

    @usableFromInline
    mutating func reserve(_ word: Int) {
        let wanted = (word | 63) + 1
        words.append(contentsOf: repeatElement(0, count: wanted - words.count))
        summary.append(contentsOf: repeatElement(0, count: wanted >> 6 - summary.count))
    }

    @inlinable
    public func contains(_ number: UInt32) -> Bool {
        let word = Int(number >> 6)
        return word < words.count && words[word] >> UInt64(number & 63) & 1 == 1
    }

    /// - Returns: whether it was in the set.
    @inlinable @discardableResult
    public mutating func remove(_ number: UInt32) -> Bool {
        guard contains(number) else { return false }
        let word = Int(number >> 6)
        words[word] &= ~(1 << UInt64(number & 63))
        if words[word] == 0 { summary[word >> 6] &= ~(1 << UInt64(word & 63)) }
        members -= 1
        return true
    }

    public mutating func formUnion(_ other: BitSet) {
        if other.isEmpty { return }
        if other.words.count > words.count { reserve(other.words.count - 1) }
        for (i, s) in other.summary.enumerated() where s != 0 {
            var left = s
            while left != 0 {
                let word = i << 6 | left.trailingZeroBitCount
                left &= left &- 1
                let merged = words[word] | other.words[word]
                members += (merged ^ words[word]).nonzeroBitCount
                words[word] = merged
                summary[i] |= 1 << UInt64(word & 63)
            }
        }
    }

    /// What it takes is in proportion to what is in the set.
    public mutating func removeAll() {
        if isEmpty { return }
        for i in summary.indices where summary[i] != 0 {
            var left = summary[i]
            while left != 0 {
                words[i << 6 | left.trailingZeroBitCount] = 0
                left &= left &- 1
            }
            summary[i] = 0
        }
        members = 0
    }

    /// The first member that is `number` or more.
    public func next(from number: UInt32) -> UInt32? {
        var word = Int(number >> 6)
        guard members > 0, word < words.count else { return nil }
        let bits = words[word] & (~0 << UInt64(number & 63))
        if bits != 0 { return UInt32(word << 6 | bits.trailingZeroBitCount) }
        word += 1
        var block = word >> 6
        guard block < summary.count else { return nil }
        var blocks = summary[block] & (~0 << UInt64(word & 63))
        while blocks == 0 {
            block += 1
            guard block < summary.count else { return nil }
            blocks = summary[block]
        }
        word = block << 6 | blocks.trailingZeroBitCount
        return UInt32(word << 6 | words[word].trailingZeroBitCount)
    }

    /// Takes up to `limit` numbers out, ascending from `cursor`, and moves the cursor behind the last one. When the end
    /// is reached the cursor returns to 0 and the call ends.
    public mutating func drain(from cursor: inout UInt32, limit: Int, into list: inout [UInt32]) {
        var taken = 0
        var word = Int(cursor >> 6)
        var mask: UInt64 = ~0 << UInt64(cursor & 63)
        while taken < limit {
            // Skip empty words by the summary.
            while word < words.count, words[word] & mask == 0 {
                mask = ~0
                word += 1
                if word & 63 == 0 || word >= words.count {
                    var block = word >> 6
                    while block < summary.count, summary[block] == 0 { block += 1 }
                    if block >= summary.count {
                        word = words.count
                        break
                    }
                    if block > word >> 6 { word = block << 6 }
                }
            }
            if word >= words.count {
                members -= taken
                cursor = 0
                return
            }
            var bits = words[word] & mask
            while bits != 0, taken < limit {
                let bit = bits & (0 &- bits)
                list.append(UInt32(word << 6 | bits.trailingZeroBitCount))
                words[word] &= ~bit
                bits &= ~bit
                taken += 1
            }
            if words[word] == 0 { summary[word >> 6] &= ~(1 << UInt64(word & 63)) }
            if bits == 0 {
                word += 1
                mask = ~0
            }
        }
        members -= taken
        if taken > 0 { cursor = list[list.count - 1] &+ 1 }
    }
}

extension BitSet: Equatable {
    /// Of what is in it, whatever there was before.
    public static func == (a: BitSet, b: BitSet) -> Bool {
        guard a.members == b.members else { return false }
        let common = min(a.words.count, b.words.count)
        // Equal counts: if what both have room for is the same, nothing is beyond it.
        return a.words[..<common] == b.words[..<common]
    }
}

extension BitSet: Snapshotting {
    /// Trailing words without members depend on history alone; leaving them out keeps equal sets equal.
    public func write(to writer: inout SnapshotWriter) {
        writer.writeBlock(Array(words[..<((words.lastIndex { $0 != 0 } ?? -1) + 1)]))
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        words = try reader.readBlock(of: UInt64.self)
        if words.count & 63 != 0 { words += repeatElement(0, count: 64 - words.count & 63) }
        summary = [UInt64](repeating: 0, count: words.count >> 6)
        for (i, word) in words.enumerated() where word != 0 {
            summary[i >> 6] |= 1 << UInt64(i & 63)
            members += word.nonzeroBitCount
        }
    }
    public var highest: UInt32? {
        words.lastIndex { $0 != 0 }.map { UInt32($0 << 6 | (63 - words[$0].leadingZeroBitCount)) }
    }
    /// Whether every member is below `bound`.
    public func isWithin(_ bound: Int) -> Bool { highest.map { Int($0) < bound } ?? true }
}
