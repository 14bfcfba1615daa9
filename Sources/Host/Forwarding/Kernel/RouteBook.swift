import Machine
import Routing
import Wire

/// Of a prefix: it waits in the queue, it waits for the next attempt, it was seen in the kernel.
private enum Mark {
    static let queued: UInt8 = 1, failed: UInt8 = 2, seen: UInt8 = 4
}

/// The routes of one family: for each prefix what is wanted, what the kernel has, and whether it waits for its turn.
///
/// This is the back-pressure of the kernel's FIB: an update changes what is wanted, and a prefix waits at most once,
/// however often it changed. So a slow kernel costs no memory, and never gets to see what was only true for a moment.
/// Some 30 octets a route.
struct RouteBook<Key: PrefixKey> {
    private(set) var prefixes: PrefixTable<Key>
    /// By number of the prefix: the slot of the group, or `GroupBook.none`.
    private(set) var wanted: [UInt32] = []
    private(set) var installed: [UInt32] = []
    private var marks: [UInt8] = []
    /// Numbers that wait.
    private var queue = Queue<UInt32>()
    /// Numbers that the kernel refused, or that somebody else took away: they wait for `retryAll`.
    private var failed: [UInt32] = []
    private(set) var wantedCount = 0
    private(set) var installedCount = 0

    init(seed: UInt64) { prefixes = PrefixTable(seed: seed) }

    var pendingCount: Int { queue.count }
    var failedCount: Int { failed.count }

    /// The number of the prefix, which is added when it is absent.
    mutating func number(of prefix: Key) -> UInt32 {
        let packed = prefix.packed
        return number(of: packed, hash: prefixes.hash(packed))
    }
    @inline(__always)
    mutating func number(of packed: Key.Packed, hash: UInt64) -> UInt32 {
        let number = prefixes.insert(packed, hash: hash).number
        if Int(number) == wanted.count {
            wanted.append(GroupBook.none)
            installed.append(GroupBook.none)
            marks.append(0)
        }
        return number
    }

    /// Makes room for so many more at once, before a large update.
    mutating func reserve(more count: Int) {
        let total = prefixes.count + count
        prefixes.reserve(total)
        wanted.reserveCapacity(total)
        installed.reserveCapacity(total)
        marks.reserveCapacity(total)
        queue.reserveCapacity(queue.count + count)
    }

    /// The number of a prefix that is present.
    func find(_ prefix: Key) -> UInt32? { prefixes.find(prefix) }

    @inline(__always)
    mutating func setWanted(_ number: UInt32, _ slot: UInt32) {
        let n = Int(number)
        wantedCount += (slot != GroupBook.none ? 1 : 0) - (wanted[n] != GroupBook.none ? 1 : 0)
        wanted[n] = slot
    }
    @inline(__always)
    mutating func setInstalled(_ number: UInt32, _ slot: UInt32) {
        let n = Int(number)
        installedCount += (slot != GroupBook.none ? 1 : 0) - (installed[n] != GroupBook.none ? 1 : 0)
        installed[n] = slot
    }

    mutating func enqueue(_ number: UInt32) {
        guard marks[Int(number)] & (Mark.queued | Mark.failed) == 0 else { return }
        marks[Int(number)] |= Mark.queued
        queue.append(number)
    }

    mutating func dequeue() -> UInt32? {
        guard let number = queue.popFirst() else { return nil }
        marks[Int(number)] &= ~Mark.queued
        return number
    }

    /// Out of the way until `retryAll`.
    mutating func park(_ number: UInt32) {
        guard marks[Int(number)] & (Mark.queued | Mark.failed) == 0 else { return }
        marks[Int(number)] |= Mark.failed
        failed.append(number)
    }

    mutating func retryAll() {
        guard !failed.isEmpty else { return }
        let numbers = failed
        failed.removeAll()
        for number in numbers {
            marks[Int(number)] &= ~Mark.failed
            if prefixes.isPresent(number) { enqueue(number) }
        }
    }

    /// Forgets a prefix that nobody wants and that the kernel does not have.
    mutating func forgetIfUnused(_ number: UInt32) {
        let n = Int(number)
        guard wanted[n] == GroupBook.none, installed[n] == GroupBook.none, marks[n] & (Mark.queued | Mark.failed) == 0,
            prefixes.isPresent(number)
        else { return }
        prefixes.remove(number)
    }

    // MARK: taking stock

    mutating func beginStocktaking() {
        for n in marks.indices { marks[n] &= ~Mark.seen }
    }
    mutating func markSeen(_ number: UInt32) { marks[Int(number)] |= Mark.seen }
    func isSeen(_ number: UInt32) -> Bool { marks[Int(number)] & Mark.seen != 0 }

    /// Numbers of prefixes that are present.
    var numbers: Range<UInt32> { 0..<UInt32(wanted.count) }
    func isPresent(_ number: UInt32) -> Bool { prefixes.isPresent(number) }
}
