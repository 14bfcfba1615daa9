import Machine
import Wire

/// When LSAs are next due, by the second: for one of another router when it reaches MaxAge, for one of ours when it is
/// to be refreshed. A wheel of lists that are threaded through arrays by handle, so that moving an LSA is O(1), nothing
/// is left behind, and what is not due costs nothing (RFC 2328 §14 asks for ageing, not for a scan).
struct AgeWheel: Sendable {
    /// More than the seconds until anything is due.
    static let size = 4096
    private static let none = UInt32.max

    /// By second modulo `size`: first and last of the list.
    private var heads = [UInt32](repeating: none, count: size)
    private var tails = [UInt32](repeating: none, count: size)
    /// By handle.
    private var next: [UInt32] = []
    private var previous: [UInt32] = []
    /// The second, or `.min` for what is not in the wheel.
    private var seconds: [Int64] = []
    /// A bit per list that has something in it.
    private var bits = [UInt64](repeating: 0, count: size / 64)
    /// Everything before this second was popped.
    private var current: Int64 = 0

    /// The first whole second at or after a time.
    static func second(_ time: Instant) -> Int64 {
        let second = time.nanoseconds / 1_000_000_000
        return time.nanoseconds % 1_000_000_000 > 0 ? second + 1 : second
    }

    mutating func set(_ handle: LSAHandle, at time: Instant) {
        remove(handle)
        let i = Int(handle.raw)
        while next.count <= i {
            next.append(Self.none)
            previous.append(Self.none)
            seconds.append(.min)
        }
        // What lies farther ahead than the wheel reaches comes up early, and its owner sets it again.
        let second = min(max(Self.second(time), current), current + Int64(Self.size) - 1)
        append(handle.raw, second)
    }

    private mutating func append(_ raw: UInt32, _ second: Int64) {
        let i = Int(raw)
        let slot = Int(second & Int64(Self.size - 1))
        seconds[i] = second
        next[i] = Self.none
        previous[i] = tails[slot]
        if tails[slot] == Self.none {
            heads[slot] = raw
            bits[slot >> 6] |= 1 << UInt64(slot & 63)
        } else {
            next[Int(tails[slot])] = raw
        }
        tails[slot] = raw
    }

    mutating func remove(_ handle: LSAHandle) {
        let i = Int(handle.raw)
        guard i < seconds.count, seconds[i] != .min else { return }
        let slot = Int(seconds[i] & Int64(Self.size - 1))
        if previous[i] == Self.none { heads[slot] = next[i] } else { next[Int(previous[i])] = next[i] }
        if next[i] == Self.none { tails[slot] = previous[i] } else { previous[Int(next[i])] = previous[i] }
        if heads[slot] == Self.none { bits[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
        seconds[i] = .min
    }

    /// The second in which something is due next.
    private var nextSecond: Int64? {
        // From the list of `current` on, once around; lists of one word at a time.
        let start = Int(current & Int64(Self.size - 1))
        var word = start >> 6
        var mask = ~UInt64(0) << UInt64(start & 63)
        for _ in 0...bits.count {
            let found = bits[word] & mask
            if found != 0 {
                let slot = word << 6 | found.trailingZeroBitCount
                return current + Int64((slot - start + Self.size) & (Self.size - 1))
            }
            mask = ~0
            word = (word + 1) & (bits.count - 1)
        }
        return nil
    }

    var nextDeadline: Instant? {
        nextSecond.map { Instant(nanoseconds: $0 &* 1_000_000_000) }
    }

    /// Takes out the first LSA that is due at `now`; of equal seconds the one that was set first.
    mutating func popDue(at now: Instant) -> LSAHandle? {
        let limit = now.nanoseconds / 1_000_000_000
        guard let second = nextSecond, second <= limit else {
            current = max(current, limit)
            return nil
        }
        current = second
        let handle = LSAHandle(heads[Int(second & Int64(Self.size - 1))])
        remove(handle)
        return handle
    }

    // MARK: snapshot

    func write(to writer: inout SnapshotWriter) {
        writer.write(current)
        // In firing order, so that lists are threaded again in the order they had.
        var order: [UInt32] = []
        for offset in 0..<Self.size {
            var raw = heads[Int((current + Int64(offset)) & Int64(Self.size - 1))]
            while raw != Self.none {
                order.append(raw)
                raw = next[Int(raw)]
            }
        }
        writer.writeBlock(order)
        writer.writeBlock(order.map { seconds[Int($0)] })
    }

    init() {}

    init(from reader: inout SnapshotReader, handles: Int) throws(DecodeError) {
        self.init()
        current = try reader.read()
        let order = try reader.readBlock(of: UInt32.self)
        let times = try reader.readBlock(of: Int64.self)
        guard order.count == times.count, current >= 0, current < 1 << 40 else {
            throw DecodeError("age wheel", at: reader.position, .badValue)
        }
        next = Array(repeating: Self.none, count: handles)
        previous = next
        seconds = Array(repeating: .min, count: handles)
        for (raw, second) in zip(order, times) {
            guard Int(raw) < handles, seconds[Int(raw)] == .min, second >= current, second < current + Int64(Self.size) else {
                throw DecodeError("age wheel", at: reader.position, .badValue)
            }
            append(raw, second)
        }
    }
}
