import Records

/// The records that the stack emitted and that may hold back an acknowledgement, in log order: first without an index,
/// then logged, then committed and applied. Its length is bounded by the receive windows of all connections.
struct PendingRecords: Sendable {
    struct Entry: Sendable, BitwiseCopyable {
        var index: LogIndex
        var connection: ConnectionID
        var slot: Int32
        /// What may be acknowledged, and what is consumed, once the record is committed or applied; `Int64.min` for nothing.
        var offset: Int64
    }
    private var entries: [Entry] = []
    private var logged = 0
    private var committed = 0
    private var applied = 0
    /// Whether the engine's progress is reported at all.
    private(set) var followsApplied = false

    var isEmpty: Bool { entries.isEmpty }

    mutating func append(slot: Int32, connection: ConnectionID, offset: Int64 = .min) {
        entries.append(Entry(index: .zero, connection: connection, slot: slot, offset: offset))
    }

    mutating func log(_ index: LogIndex) -> Bool {
        guard logged < entries.count else { return false }
        entries[logged].index = index
        logged += 1
        return true
    }

    mutating func nextCommitted(upTo index: LogIndex) -> Entry? {
        guard committed < logged, entries[committed].index <= index else { return nil }
        committed += 1
        return entries[committed - 1]
    }

    mutating func beginFollowingApplied() {
        if !followsApplied {
            followsApplied = true
            applied = committed
        }
    }

    mutating func nextApplied(upTo index: LogIndex) -> Entry? {
        guard applied < logged, entries[applied].index <= index else { return nil }
        applied += 1
        return entries[applied - 1]
    }

    /// Forgets what is spent once that is the greater part.
    mutating func trim() {
        let spent = followsApplied ? min(committed, applied) : committed
        guard spent == entries.count || spent > 256 && spent * 2 > entries.count else { return }
        entries.removeFirst(spent)
        logged -= spent
        committed -= spent
        applied = max(0, applied - spent)
    }
}

/// What connections share and may change while one of them runs.
struct StackShared: Sendable {
    let configuration: TCPConfiguration
    var counters = TCPCounters()
    var pending = PendingRecords()
    /// Octets by which receive buffers have grown.
    var receiveGrowth = 0

    init(_ configuration: TCPConfiguration) { self.configuration = configuration }
}
