import Machine
import Records

/// A run of records without gaps, in memory.
///
/// On the active: what the twin has not both stored and applied. On the standby: what is stored and not yet applied.
/// The bound is kept by whoever appends, since what overflow means differs (a join restarts; a lagging twin is dropped):
/// see `octets`.
public struct RecordLog: Sendable {
    private var records = Queue<Record>()
    /// The newest record ever appended, kept when it is forgotten.
    public private(set) var last: LogIndex
    /// What is held costs this many octets.
    public private(set) var octets = 0

    /// An empty log that goes on after `last`.
    public init(after last: LogIndex = .zero) { self.last = last }

    public var count: Int { records.count }
    public var isEmpty: Bool { count == 0 }
    /// The record before the oldest that is held.
    public var start: LogIndex { LogIndex(last.value - UInt64(count)) }

    /// Appends the record that follows `last`.
    public mutating func append(_ record: Record) {
        precondition(record.index == last.next, "a log has no gaps")
        records.append(record)
        last = record.index
        octets += record.cost
    }

    public func record(at index: LogIndex) -> Record? {
        guard index > start, index <= last else { return nil }
        return records[position(of: index)]
    }

    /// The records after `index` up to `end`, as far as they are held.
    public func records(after index: LogIndex, upTo end: LogIndex) -> Slice<Queue<Record>> {
        let from = max(index, start)
        let to = min(end, last)
        guard from < to else { return records[..<0] }
        return records[position(of: from.next)...position(of: to)]
    }

    /// Puts another body in the place of a record that is held.
    public mutating func replace(_ index: LogIndex, with body: RecordBody) {
        guard index > start, index <= last else { return }
        let at = position(of: index)
        octets -= records[at].cost
        records[at].body = body
        octets += records[at].cost
    }

    /// Forgets records up to `index`.
    public mutating func truncate(upTo index: LogIndex) {
        let end = min(index, last)
        guard end > start else { return }
        let forgotten = position(of: end) + 1
        for i in 0..<forgotten {
            octets -= records[i].cost
            // The octets of a record are the greater part of it: let them go now, not when the queue cuts its beginning off.
            records[i].body = .time
        }
        records.removeFirst(forgotten)
    }

    private func position(of index: LogIndex) -> Int { records.count - 1 - Int(last.value - index.value) }
}
