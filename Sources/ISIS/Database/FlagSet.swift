import Machine
import Wire

/// A set of slots as bits, for the flags that ISO 10589 §7.3.3 puts on each LSP and circuit. Setting, clearing and
/// asking is O(1); walking costs a word per 64 slots.
struct FlagSet: Sendable, Equatable {
    private(set) var words: [UInt64] = []
    /// How many are set.
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }

    func contains(_ slot: Int) -> Bool {
        let word = slot >> 6
        return word < words.count && words[word] >> UInt64(slot & 63) & 1 == 1
    }

    /// - Returns: whether it was not set before.
    @discardableResult
    mutating func insert(_ slot: Int) -> Bool {
        let word = slot >> 6
        while words.count <= word { words.append(0) }
        let bit = UInt64(1) << UInt64(slot & 63)
        if words[word] & bit != 0 { return false }
        words[word] |= bit
        count += 1
        return true
    }

    /// - Returns: whether it was set.
    @discardableResult
    mutating func remove(_ slot: Int) -> Bool {
        let word = slot >> 6
        guard word < words.count else { return false }
        let bit = UInt64(1) << UInt64(slot & 63)
        if words[word] & bit == 0 { return false }
        words[word] &= ~bit
        count -= 1
        return true
    }

    mutating func removeAll() {
        words.removeAll(keepingCapacity: true)
        count = 0
    }

    /// The first member that is `slot` or more.
    func next(from slot: Int) -> Int? {
        guard count > 0, slot >= 0 else { return nil }
        var word = slot >> 6
        guard word < words.count else { return nil }
        var bits = words[word] & (~0 << UInt64(slot & 63))
        while true {
            if bits != 0 { return word << 6 + bits.trailingZeroBitCount }
            word += 1
            guard word < words.count else { return nil }
            bits = words[word]
        }
    }
}

extension FlagSet: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        // Trailing words without members depend on history alone; leaving them out keeps equal sets equal.
        var used = words
        while used.last == 0 { used.removeLast() }
        writer.writeBlock(used)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        words = try reader.readBlock(of: UInt64.self)
        for word in words { count += word.nonzeroBitCount }
    }
    /// Whether every member is below `bound`.
    func isWithin(_ bound: Int) -> Bool { next(from: bound) == nil }
}
