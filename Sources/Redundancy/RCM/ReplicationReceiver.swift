import Machine
import Records
import Wire

/// The RCM of the standby: stores and acknowledges first, applies no further than the active has, and compares digests
/// at every index where the active says its own (DESIGN §3, §5).
///
/// ```
///  idle ──begin──► asked ──► receiving ──► restoring ──► following
///                    ▲            │             │            │
///                    └────────────┴─────────────┴────────────┘  digests differ, snapshot unusable
/// ```
public struct ReplicationReceiver: Sendable {
    public enum Phase: Sendable, Hashable { case idle, asked, receiving, restoring, following }

    public enum Action: Sendable {
        case send(ChannelMessage)
        /// Replace the engine's state; answer with `restored` or `restoreFailed`.
        case restore([UInt8])
        /// Answer with `applied`.
        case apply([Record])
        /// The active has called us in sync, or no longer.
        case inSync(Bool)
        /// The twin breaks the protocol: the channel must go.
        case closeChannel(reason: String)
        case event(Event)
    }

    public private(set) var phase: Phase = .idle
    /// What is stored and not yet given to the engine, and what the engine works on.
    private var log = RecordLog()
    /// Our engine's.
    public private(set) var applied: LogIndex = .zero
    public private(set) var digest = ReplicaDigest([])
    /// The newest record given to the engine.
    private var issued: LogIndex = .zero
    private var acknowledged: LogIndex = .zero
    /// Where the active's engine is, which is how far ours may go.
    private var target: (index: LogIndex, digest: ReplicaDigest)?
    private var expected: (index: LogIndex, digest: ReplicaDigest)?
    public private(set) var verified: LogIndex = .zero
    public private(set) var difference: UInt16 = 0
    /// The active counts us as in sync.
    public private(set) var isInSync = false
    /// The copy is of a channel that is gone: records of another one do not continue it.
    public private(set) var isSuspended = false
    public private(set) var bulkUpdates = 0
    public private(set) var mismatches = 0
    /// The largest router time in any record stored.
    public private(set) var recordTime: Instant = .zero

    private var bulkNumber: UInt32 = 0
    private var bulkIndex: LogIndex = .zero
    private var bulkOctets: UInt64 = 0
    private var bulkDigest = ReplicaDigest([])
    private var bulkBytes: [UInt8] = []
    private var bulkHash: UInt64 = 0
    public var queueOctetsMaximum: Int

    public init(queueOctetsMaximum: Int) { self.queueOctetsMaximum = queueOctetsMaximum }

    public var stored: LogIndex { log.last }
    /// The log is whole: the engine's state and what is stored make up all that the active told us.
    public var isFollowing: Bool { phase == .following }
    public var bulkProgress: (done: Int, total: UInt64) { (bulkBytes.count, bulkOctets) }

    /// Asks the active for a bulk update.
    public mutating func begin(into actions: inout [Action]) {
        phase = .asked
        isSuspended = false
        isInSync = false
        target = nil
        bulkBytes = []
        actions.append(.send(.join))
    }

    /// The channel is gone. What is stored stays, and a restore that is under way goes on: it may have to be taken over.
    public mutating func suspend() {
        isSuspended = true
        if phase == .asked || phase == .receiving { phase = .idle }
    }

    /// The old active after a graceful switchover follows from where it stands (1124): no bulk update.
    public mutating func adopt(last: LogIndex, digest: ReplicaDigest) {
        phase = .following
        isSuspended = false
        log = RecordLog(after: last)
        applied = last
        issued = last
        acknowledged = last
        verified = last
        self.digest = digest
        target = nil
        expected = nil
        difference = 0
        isInSync = true
    }

    /// What is held is stale: only a new bulk update helps.
    public mutating func invalidate() {
        phase = .idle
        isSuspended = false
        isInSync = false
        target = nil
        expected = nil
        bulkBytes = []
        log = RecordLog(after: issued)
    }

    /// Somebody else says that our copy does not count.
    public mutating func lostSync() { isInSync = false }

    // MARK: delta update

    public mutating func receivedRecords(_ records: [Record], into actions: inout [Action]) {
        switch phase {
        case .idle, .asked: return  // from before we asked; the snapshot will hold them
        case .receiving, .restoring, .following: break
        }
        guard let first = records.first else { return }
        guard first.index == log.last.next else {
            actions.append(.closeChannel(reason: "record \(first.index) came where \(log.last.next) was due"))
            return
        }
        for record in records {
            guard record.time >= recordTime else {
                actions.append(.closeChannel(reason: "the time of record \(record.index) goes back"))
                return
            }
            recordTime = max(recordTime, record.time)
            log.append(record)
        }
        if log.octets > queueOctetsMaximum {
            actions.append(.closeChannel(reason: "more than \(queueOctetsMaximum) octets stored and not applied"))
        }
    }

    public mutating func receivedApplied(_ index: LogIndex, _ digest: ReplicaDigest, into actions: inout [Action]) {
        guard phase == .following || phase == .restoring else { return }
        guard index <= log.last else {
            actions.append(.closeChannel(reason: "the active applied \(index), of which it shipped \(log.last)"))
            return
        }
        target = (index, digest)
        pump(into: &actions)
    }

    /// Our engine reports.
    public mutating func applied(_ index: LogIndex, _ digest: ReplicaDigest, into actions: inout [Action]) {
        applied = index
        self.digest = digest
        log.truncate(upTo: index)
        guard phase == .following, let expected, expected.index == index else { return }
        self.expected = nil
        compare(digest, with: expected.digest, at: index, into: &actions)
        if phase == .following { pump(into: &actions) }
    }

    private mutating func pump(into actions: inout [Action]) {
        guard phase == .following, expected == nil, let target, target.index > issued else { return }
        expected = target
        self.target = nil
        let records = Array(log.records(after: issued, upTo: expected!.index))
        issued = expected!.index
        actions.append(.apply(records))
    }

    private mutating func compare(
        _ ours: ReplicaDigest, with theirs: ReplicaDigest, at index: LogIndex, into actions: inout [Action]
    ) {
        difference = theirs.values.isEmpty ? 0 : ours.difference(from: theirs)
        verified = index
        // Stored first: what is verified must count as stored.
        acknowledge(into: &actions)
        actions.append(.send(.verified(index, difference: difference)))
        guard difference != 0 else { return }
        mismatches += 1
        actions.append(
            .event(
                Event(
                    .alarm, "rcm", "our state differs from the active's at index \(index), parts \(difference): a new bulk update"
                )))
        if isInSync {
            isInSync = false
            actions.append(.inSync(false))
        }
        begin(into: &actions)
    }

    /// Ends a burst: one acknowledgement for all that came in it.
    public mutating func flush(into actions: inout [Action]) { acknowledge(into: &actions) }

    private mutating func acknowledge(into actions: inout [Action]) {
        switch phase {
        case .receiving, .restoring, .following:
            guard log.last > acknowledged else { return }
            acknowledged = log.last
            actions.append(.send(.stored(log.last)))
        case .idle, .asked: break
        }
    }

    public mutating func receivedInSync(_ isInSync: Bool, into actions: inout [Action]) {
        guard phase == .following || !isInSync else { return }
        self.isInSync = isInSync
        actions.append(.inSync(isInSync))
        // The active goes on without us: our copy is stale from here on.
        if !isInSync, phase == .following { begin(into: &actions) }
    }

    // MARK: bulk update

    /// Octets of address space that a bulk update may claim before they have come.
    private static let bulkReserveMaximum = 4 << 30

    public mutating func receivedBulkBegin(
        number: UInt32, index: LogIndex, octets: UInt64, digest: ReplicaDigest, into actions: inout [Action]
    ) {
        guard phase == .asked || phase == .receiving else { return }
        phase = .receiving
        bulkNumber = number
        bulkIndex = index
        bulkOctets = octets
        bulkDigest = digest
        bulkBytes = []
        // Growing by copies of a hundred megabytes would silence this thread, and so our heartbeats, for longer than the
        // twin waits. Memory that is not touched costs nothing; a count beyond the bound only loses that.
        bulkBytes.reserveCapacity(Int(min(octets, UInt64(Self.bulkReserveMaximum))))
        bulkHash = UInt64(number)
        bulkUpdates += 1
        log = RecordLog(after: index)
        acknowledged = index
        target = nil
        expected = nil
        recordTime = .zero
        isInSync = false
    }

    public mutating func receivedBulkChunk(
        number: UInt32, offset: UInt64, _ octets: [UInt8], into actions: inout [Action]
    ) {
        guard phase == .receiving, number == bulkNumber else { return }
        guard offset == UInt64(bulkBytes.count), offset + UInt64(octets.count) <= bulkOctets else {
            actions.append(.closeChannel(reason: "bulk update: octet \(offset) came where \(bulkBytes.count) was due"))
            return
        }
        bulkHash = seededHash(octets.span.bytes, seed: bulkHash)
        bulkBytes.append(contentsOf: octets)
        actions.append(.send(.bulkReceived(number: number, octets: UInt64(bulkBytes.count))))
    }

    public mutating func receivedBulkEnd(number: UInt32, hash: UInt64, into actions: inout [Action]) {
        guard phase == .receiving, number == bulkNumber else { return }
        guard UInt64(bulkBytes.count) == bulkOctets, hash == bulkHash else {
            refuse("it arrived damaged", into: &actions)
            return
        }
        phase = .restoring
        let bytes = bulkBytes
        bulkBytes = []
        actions.append(.restore(bytes))
    }

    private mutating func refuse(_ reason: String, into actions: inout [Action]) {
        phase = .asked
        bulkBytes = []
        actions.append(.event(Event(.warning, "rcm", "the bulk update cannot be used: \(reason)")))
        actions.append(.send(.bulkRefused(number: bulkNumber, reason: reason)))
    }

    public mutating func restored(_ index: LogIndex, _ digest: ReplicaDigest, into actions: inout [Action]) {
        guard phase == .restoring else { return }
        guard index == bulkIndex else {
            refuse("it holds index \(index) and was announced as \(bulkIndex)", into: &actions)
            return
        }
        phase = .following
        applied = index
        issued = index
        self.digest = digest
        compare(digest, with: bulkDigest, at: index, into: &actions)
        if phase == .following { pump(into: &actions) }
    }

    public mutating func restoreFailed(_ reason: String, into actions: inout [Action]) {
        guard phase == .restoring else { return }
        refuse(reason, into: &actions)
    }

    // MARK: taking over

    /// What the engine must still be given so that it holds everything that is stored (FIG. 13), and the record that was
    /// quarantined, as it was. `fatal` is the record that killed the active, named by its dying gasp, `message` which one in
    /// it (0: unknown).
    ///
    /// The receiver is idle afterwards: this controller is active.
    public mutating func takeOver(fatal: LogIndex?, message: UInt16 = 0) -> (rest: [Record], quarantined: Record?) {
        var quarantined: Record?
        if let fatal, fatal > issued, let record = log.record(at: fatal) {
            quarantined = record
            log.replace(fatal, with: .quarantined(record.poison(message: message)))
        }
        let rest = Array(log.records(after: issued, upTo: log.last))
        issued = log.last
        phase = .idle
        isSuspended = false
        isInSync = false
        target = nil
        expected = nil
        return (rest, quarantined)
    }

    /// Records that are stored and that the active had not reported as applied when it was last heard.
    public var hasUnapplied: Bool { log.last > issued }

    public var reasonNotReady: String? {
        switch phase {
        case .idle: "no active is connected"
        case .asked: "waits for the bulk update"
        case .receiving: "bulk update: \(bulkBytes.count) of \(bulkOctets) octets"
        case .restoring: "bulk update: being restored"
        case .following: isInSync ? nil : "catching up: applied \(applied) of \(log.last)"
        }
    }
}
