import Machine
import Wire

/// A set of prefix numbers as bits under a summary of bits: adding is O(1), emptying a little of it costs what is in it,
/// and a number that is added twice is in it once: coalescing comes for free. Ordered by number.
struct DirtySet: Sendable {
    private var words: [UInt64] = []
    /// One bit per word that is not 0.
    private var summary: [UInt64] = []
    private(set) var count = 0

    init() {}
    var isEmpty: Bool { count == 0 }

    @inline(__always)
    mutating func insert(_ number: UInt32) {
        let word = Int(number >> 6)
        if word >= words.count { reserve(word) }
        let bit: UInt64 = 1 << UInt64(number & 63)
        let old = words[word]
        if old & bit != 0 { return }
        words[word] = old | bit
        count &+= 1
        if old == 0 { summary[word >> 6] |= 1 << UInt64(word & 63) }
    }

    private mutating func reserve(_ word: Int) {
        let wanted = (word | 63) + 1
        words.append(contentsOf: repeatElement(0, count: wanted - words.count))
        summary.append(contentsOf: repeatElement(0, count: wanted >> 6 - summary.count))
    }

    func contains(_ number: UInt32) -> Bool {
        let word = Int(number >> 6)
        return word < words.count && words[word] >> UInt64(number & 63) & 1 == 1
    }

    mutating func remove(_ number: UInt32) {
        guard contains(number) else { return }
        let word = Int(number >> 6)
        words[word] &= ~(1 << UInt64(number & 63))
        if words[word] == 0 { summary[word >> 6] &= ~(1 << UInt64(word & 63)) }
        count -= 1
    }

    mutating func formUnion(_ other: DirtySet) {
        if other.isEmpty { return }
        if other.words.count > words.count { reserve(other.words.count - 1) }
        for (i, s) in other.summary.enumerated() where s != 0 {
            var left = s
            while left != 0 {
                let word = i << 6 | left.trailingZeroBitCount
                left &= left &- 1
                let merged = words[word] | other.words[word]
                count += (merged ^ words[word]).nonzeroBitCount
                words[word] = merged
                summary[i] |= 1 << UInt64(word & 63)
            }
        }
    }

    mutating func removeAll() {
        if isEmpty { return }
        for i in summary.indices where summary[i] != 0 {
            var left = summary[i]
            while left != 0 {
                words[i << 6 | left.trailingZeroBitCount] = 0
                left &= left &- 1
            }
            summary[i] = 0
        }
        count = 0
    }

    /// Takes up to `limit` numbers out, ascending from `cursor`, and moves the cursor behind the last one. When the end
    /// is reached the cursor returns to 0 and the call ends.
    mutating func drain(from cursor: inout UInt32, limit: Int, into list: inout [UInt32]) {
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
                count -= taken
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
        count -= taken
        if taken > 0 { cursor = list[list.count - 1] &+ 1 }
    }
}

extension DirtySet: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeBlock(words)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        words = try reader.readBlock(of: UInt64.self)
        guard words.count & 63 == 0 else { throw DecodeError("set of numbers", at: reader.position, .badLength) }
        summary = [UInt64](repeating: 0, count: words.count >> 6)
        for (i, word) in words.enumerated() where word != 0 {
            summary[i >> 6] |= 1 << UInt64(i & 63)
            count += word.nonzeroBitCount
        }
    }
    /// One more than the highest number that can be in the set.
    var limit: Int { words.count << 6 }
    var highest: UInt32? {
        words.lastIndex { $0 != 0 }.map { UInt32($0 << 6 | (63 - words[$0].leadingZeroBitCount)) }
    }
}
