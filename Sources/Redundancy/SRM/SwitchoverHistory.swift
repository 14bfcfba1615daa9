import Machine

/// A switchover with the time of each step, for the event log and `show redundancy`.
public struct SwitchoverRecord: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable {
        case graceful, nonGraceful = "non-graceful", forced, first
    }
    public struct Step: Sendable, Hashable {
        public var name: String
        public var at: Instant
    }
    public var kind: Kind
    public var reason: String
    /// Empty while it goes on; `done`, or why it was aborted.
    public var outcome = ""
    /// On this controller's own clock.
    public var began: Instant
    public var steps: [Step] = []

    public init(kind: Kind, reason: String, began: Instant) {
        self.kind = kind
        self.reason = reason
        self.began = began
    }
}

/// The newest sixteen switchovers.
public struct SwitchoverHistory: Sendable {
    public static let limit = 16
    public private(set) var records: [SwitchoverRecord] = []
    public init() {}

    public mutating func begin(_ kind: SwitchoverRecord.Kind, reason: String, at now: Instant) {
        if let last = records.indices.last, records[last].outcome.isEmpty { records[last].outcome = "superseded" }
        if records.count == Self.limit { records.removeFirst() }
        records.append(SwitchoverRecord(kind: kind, reason: reason, began: now))
    }
    /// Notes a step of the newest; returns its time since the beginning in microseconds.
    public mutating func step(_ name: String, at now: Instant) -> Int64 {
        guard let last = records.indices.last, records[last].outcome.isEmpty else { return 0 }
        records[last].steps.append(.init(name: name, at: now))
        return (now - records[last].began).inNanoseconds / 1000
    }
    public mutating func end(_ outcome: String) {
        guard let last = records.indices.last, records[last].outcome.isEmpty else { return }
        records[last].outcome = outcome
    }
    public var isOpen: Bool { records.last?.outcome.isEmpty ?? false }
}
