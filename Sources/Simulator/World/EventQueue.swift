import Machine

/// What will happen, in order of virtual time; what is due at the same moment happens in the order in which it was
/// scheduled. A heap of small entries, so that a busy LAN costs O(log n) per frame and what is large stays where it is.
struct EventQueue<Event> {
    private struct Entry: BitwiseCopyable {
        var time: Instant
        var serial: UInt64
        var slot: Int
        func before(_ other: Entry) -> Bool { time != other.time ? time < other.time : serial < other.serial }
    }
    private var heap: [Entry] = []
    private var events: [Event?] = []
    private var free: [Int] = []
    private var nextSerial: UInt64 = 0

    var isEmpty: Bool { heap.isEmpty }
    var nextTime: Instant? { heap.first?.time }
    var count: Int { heap.count }

    mutating func schedule(_ event: Event, at time: Instant) {
        let slot: Int
        if let known = free.popLast() {
            slot = known
            events[slot] = event
        } else {
            slot = events.count
            events.append(event)
        }
        heap.append(Entry(time: time, serial: nextSerial, slot: slot))
        nextSerial += 1
        var i = heap.count - 1
        while i > 0, heap[i].before(heap[(i - 1) / 2]) {
            heap.swapAt(i, (i - 1) / 2)
            i = (i - 1) / 2
        }
    }

    mutating func pop() -> (time: Instant, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
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
        defer {
            events[first.slot] = nil
            free.append(first.slot)
        }
        return (first.time, events[first.slot]!)
    }
}
