import Engine
import Machine
import Records
import Redundancy

/// The log as the router writes it, and what waits for it. A standby has none.
struct ActiveLog {
    var sender: ReplicationSender
    /// Appended, and not given to the engine.
    private var pending: [Record] = []
    private var lastRecordTime: Instant
    /// When the engine wants a record of time, in router time.
    var engineDeadline: Instant?
    /// Effects whose record is not committed.
    private var gate = Queue<IndexedEffect>()
    /// Configurations that are appended, and not in force before the engine has applied them and the twin has stored them.
    private var configuring: [(position: ConfigurationPosition, octets: [UInt8])] = []
    /// What the log is to be told of the pair, once the sender is not at work.
    private var redundancyNews: Bool?
    /// Since when the standby is in lock step; `nil`: it is not.
    private(set) var redundantSince: Instant?
    /// Lost carriers that the engine has not been told of, because a switchover may spare it.
    private var heldLinkLosses: [(interface: InterfaceID, until: Instant)] = []
    /// Frames that were ready while the lease was over; they leave when it is renewed.
    private var heldFrames: [(InterfaceID, [UInt8])] = []

    /// - Parameter time: of the record before the first.
    init(_ sender: ReplicationSender, time: Instant) {
        self.sender = sender
        lastRecordTime = time
    }

    // MARK: records

    /// - Parameter time: router time; a record is never earlier than the one before.
    mutating func append(_ body: RecordBody, at time: Instant) -> LogIndex {
        lastRecordTime = max(time, lastRecordTime)
        let record = Record(index: sender.last.next, time: lastRecordTime, body: body)
        sender.append(record)
        pending.append(record)
        return record.index
    }

    var hasPending: Bool { !pending.isEmpty }

    /// What the engine is given now.
    /// - Parameter isStoredOnly: as long as the pair is redundant, nothing that the twin does not have.
    mutating func takePending(isStoredOnly: Bool) -> [Record] {
        guard let newest = pending.last?.index else { return [] }
        let waiting = isStoredOnly && sender.isGated && newest > sender.committed ? Int(newest.value - sender.committed.value) : 0
        var records: [Record] = []
        if waiting == 0 {
            swap(&records, &pending)
        } else if waiting < pending.count {
            records = Array(pending.dropLast(waiting))
            pending.removeFirst(records.count)
        }
        return records
    }

    /// When a record of time is due, in router time: the engine's deadline, unless a record that fires it is under way.
    func timeDue(applied: LogIndex) -> Instant? {
        guard let engineDeadline else { return nil }
        if sender.last > applied, lastRecordTime >= engineDeadline { return nil }
        // An engine whose deadline does not move is asked again, but not in a circle.
        return max(engineDeadline, lastRecordTime + .milliseconds(1))
    }

    // MARK: the gate

    mutating func hold(_ effects: [IndexedEffect]) { gate.append(contentsOf: effects) }

    /// The next effect that may leave, because its record is committed.
    mutating func takeCommitted() -> EngineEffect? {
        guard let oldest = gate.first, oldest.index <= sender.committed else { return nil }
        return gate.popFirst()?.effect
    }

    /// Everything appended was given to the engine, and all that it said has left.
    var isIdle: Bool { gate.isEmpty && pending.isEmpty }

    /// The lease is over: the frame waits, or is one too many.
    mutating func hold(_ frame: [UInt8], on interface: InterfaceID) {
        if heldFrames.count < Controller.framesHeldMaximum { heldFrames.append((interface, frame)) }
    }

    mutating func takeHeldFrames() -> [(InterfaceID, [UInt8])] {
        let frames = heldFrames
        heldFrames = []
        return frames
    }

    // MARK: configurations

    mutating func configure(_ octets: [UInt8], at position: ConfigurationPosition) { configuring.append((position, octets)) }

    /// The oldest configuration that has come into force.
    mutating func takeConfiguration(applied: LogIndex) -> (position: ConfigurationPosition, octets: [UInt8])? {
        guard let index = configuring.first?.position.index,
            index <= min(applied, sender.isGated ? sender.committed : sender.last)
        else { return nil }
        return configuring.removeFirst()
    }

    var newestRevision: UInt64 { configuring.last?.position.revision ?? 0 }

    // MARK: news of the pair and of carriers

    mutating func becameRedundant(at now: Instant) {
        redundancyNews = true
        redundantSince = now
    }

    mutating func goesAlone() {
        redundancyNews = false
        redundantSince = nil
    }

    mutating func takeRedundancyNews() -> Bool? {
        defer { redundancyNews = nil }
        return redundancyNews
    }

    mutating func hold(linkLoss interface: InterfaceID, until: Instant) { heldLinkLosses.append((interface, until)) }
    mutating func forgetLinkLoss(_ interface: InterfaceID) { heldLinkLosses.removeAll { $0.interface == interface } }

    /// Those that no switchover has answered in time.
    mutating func takeLinkLosses(at now: Instant) -> [InterfaceID] {
        guard let first = nextLinkLoss, first <= now else { return [] }
        let due = heldLinkLosses.filter { $0.until <= now }.map(\.interface)
        heldLinkLosses.removeAll { $0.until <= now }
        return due
    }

    var nextLinkLoss: Instant? { heldLinkLosses.lazy.map(\.until).min() }
}
