import Records

/// Events on their way to the disk. Bounded: when it is full the least important goes, of these the oldest.
struct EventBuffer {
    private(set) var entries: [EventEntry] = []
    /// Since the beginning.
    private(set) var dropped: UInt64 = 0
    private var nextNumber: UInt64
    private let maximum: Int

    init(nextNumber: UInt64, maximum: Int) {
        self.nextNumber = nextNumber
        self.maximum = maximum
    }

    /// Gives the event its number.
    mutating func append(_ event: Event, time: WallTime, controller: ControllerID) -> EventEntry {
        // One event is one line: what a peer caused to be long is cut.
        var event = event
        if event.message.utf8.count > 1024 { event.message = String(event.message.prefix(1000)) + "…" }
        let entry = EventEntry(number: nextNumber, time: time, controller: controller, event: event)
        nextNumber += 1
        entries.append(entry)
        drop()
        return entry
    }

    private mutating func drop() {
        while entries.count > maximum {
            let least = entries.map(\.event.severity).min()
            guard let index = entries.firstIndex(where: { $0.event.severity == least }) else { return }
            entries.remove(at: index)
            dropped += 1
        }
    }

    /// Numbers go on after those that an older file turned out to hold.
    mutating func number(after last: UInt64) { nextNumber = max(nextNumber, last + 1) }

    mutating func take() -> [EventEntry] {
        defer { entries = [] }
        return entries
    }
    /// Gives back what could not be written, before what came since.
    mutating func putBack(_ failed: [EventEntry]) {
        entries = failed + entries
        drop()
    }
}
