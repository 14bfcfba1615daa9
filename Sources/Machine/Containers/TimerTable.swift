/// Timers named by small keys, fired by (deadline, creation). A binary heap with lazy deletion: setting, cancelling and
/// firing are O(log n) whatever the number of sessions, and the order never depends on memory layout.
///
/// It is state: it snapshots with the machine that owns it.
public struct TimerTable<Key: Hashable & Sendable>: Sendable {
    @usableFromInline struct Entry: Sendable {
        @usableFromInline var deadline: Instant
        /// Creation order; also tells a live entry from one that was set again or cancelled.
        @usableFromInline var serial: UInt64
        @usableFromInline var key: Key
        @usableFromInline init(deadline: Instant, serial: UInt64, key: Key) {
            self.deadline = deadline
            self.serial = serial
            self.key = key
        }
        @usableFromInline func before(_ other: Entry) -> Bool {
            deadline != other.deadline ? deadline < other.deadline : serial < other.serial
        }
    }

    @usableFromInline var heap: [Entry] = []
    /// Looked up by key only, never iterated.
    @usableFromInline var live: [Key: UInt64] = [:]
    @usableFromInline var nextSerial: UInt64 = 1

    public init() {}

    /// Starts the timer, or moves it when it runs already.
    public mutating func set(_ key: Key, at deadline: Instant) {
        let entry = Entry(deadline: deadline, serial: nextSerial, key: key)
        nextSerial += 1
        live[key] = entry.serial
        heap.append(entry)
        siftUp(heap.count - 1)
        compactIfMostlyDead()
        // The entry that this one replaces may be at the top; a dead top would be taken for the next deadline.
        dropDeadTop()
    }

    public mutating func cancel(_ key: Key) {
        if live.removeValue(forKey: key) != nil { dropDeadTop() }
    }

    public func isRunning(_ key: Key) -> Bool { live[key] != nil }

    /// When the timer will fire. Linear in the number of timers: for display, not for hot paths.
    public func deadline(of key: Key) -> Instant? {
        guard let serial = live[key] else { return nil }
        return heap.first { $0.serial == serial }?.deadline
    }

    /// The earliest deadline.
    public var next: Instant? { heap.first?.deadline }

    /// Removes and returns the first timer that is due at `now`.
    public mutating func popDue(at now: Instant) -> Key? {
        guard let top = heap.first, top.deadline <= now else { return nil }
        live[top.key] = nil
        removeTop()
        dropDeadTop()
        return top.key
    }

    public mutating func removeAll() {
        heap.removeAll()
        live.removeAll()
    }

    /// The running timers in the order in which they would fire, for snapshots and display.
    public var inFiringOrder: [(key: Key, deadline: Instant)] {
        heap.filter { live[$0.key] == $0.serial }.sorted { $0.before($1) }.map { ($0.key, $0.deadline) }
    }

    // MARK: the heap

    private mutating func dropDeadTop() {
        while let top = heap.first, live[top.key] != top.serial { removeTop() }
    }

    private mutating func compactIfMostlyDead() {
        guard heap.count > 64, heap.count > 4 * live.count else { return }
        let kept = heap.filter { live[$0.key] == $0.serial }.sorted { $0.before($1) }
        heap = kept
    }

    private mutating func removeTop() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        var i = 0
        while true {
            var child = 2 * i + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].before(heap[child]) { child += 1 }
            guard heap[child].before(heap[i]) else { break }
            heap.swapAt(i, child)
            i = child
        }
    }

    private mutating func siftUp(_ start: Int) {
        var i = start
        while i > 0 {
            let parent = (i - 1) / 2
            guard heap[i].before(heap[parent]) else { break }
            heap.swapAt(i, parent)
            i = parent
        }
    }
}
