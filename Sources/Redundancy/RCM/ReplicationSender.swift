import Machine
import Records
import Wire

/// The RCM of the active: ships the log to the standby and says what is committed (FIG. 6, 15, 22, 27; DESIGN §3, §6).
///
/// ```
///  alone ──join──► snapshotting ──► sending ──► catchingUp ──► verifying ──► redundant
///    ▲                  │              │            │              │             │
///    └── overflow, twin lost, snapshot refused ─────┴───────┬──────┘             │
///    └────────────────────────────────── leaving ◄──────────┴── stall, lost, ────┘
///                                    (arbiter asked first)      digests differ
/// ```
///
/// Up to `catchingUp` the active is alone: what is appended is committed. From `verifying` on the gate is closed: an
/// index commits when the standby has stored it. Only then can the arbiter be told that the standby's copy is current,
/// and before the gate opens again it must have been told the contrary, or a standby could resume sessions that went on
/// without it.
public struct ReplicationSender: Sendable {
    public enum Phase: Sendable, Hashable {
        case alone, snapshotting, sending, catchingUp, verifying, redundant, leaving
    }

    /// What the sender wants done, in order.
    public enum Action: Sendable {
        case send(ChannelMessage)
        /// Tell the standby whether it counts as in sync, with the number of the beat that says so first.
        case tellInSync(Bool)
        /// Give the engine all records appended so far, then ask it for a snapshot.
        case takeSnapshot
        /// Ask the arbiter; answer with `eligibilitySet`.
        case setTwinEligible(Bool)
        /// Everything up to here may leave.
        case committed(LogIndex)
        /// The standby is in lock step and the arbiter knows it.
        case redundant
        /// No longer redundant; the active goes on alone.
        case alone(reason: String)
        /// The channel is of no use any more.
        case closeChannel(reason: String)
        case event(Event)
    }

    public struct Limits: Sendable {
        public var stallMaximum: Duration = .milliseconds(250)
        public var queueOctetsMaximum = 64 << 20
        public var rejoinWait: Duration = .seconds(1)
        /// The longest wait after bulk updates that came to nothing one after the other.
        public var rejoinWaitMaximum: Duration = .seconds(60)
        /// A join that makes no progress for this long is given up.
        public var joinStallMaximum: Duration = .seconds(30)
        /// Shipped octets under way without acknowledgement.
        public var shipWindow = 8 << 20
        public init() {}
    }

    public private(set) var phase: Phase = .alone
    public private(set) var stored: LogIndex
    public private(set) var committed: LogIndex
    /// The standby's engine was here when digests were last compared.
    public private(set) var verified: LogIndex
    /// Which parts differed then.
    public private(set) var difference: UInt16 = 0
    public private(set) var bulkUpdates = 0
    public private(set) var mismatches = 0
    /// Octets of the running bulk update: acknowledged, and all.
    public private(set) var bulkProgress: (done: Int, total: Int) = (0, 0)

    public var limits: Limits
    private var log: RecordLog
    private var epoch: Epoch
    private var shipped: LogIndex
    /// Batches under way: last index and cost.
    private var underWay: [(last: LogIndex, cost: Int)] = []
    private var octetsUnderWay = 0
    /// The gate is closed from here on: what is below was committed alone.
    private var gateFrom: LogIndex = .zero
    /// The arbiter may believe that the twin's copy is current.
    private var isTwinEligible = false
    private var isEligibilityAsked = false

    private var applied: LogIndex
    private var digest = ReplicaDigest([])
    /// Digests of indices that are not shipped yet; the standby must not hear of them before.
    private var heldDigests: [(LogIndex, ReplicaDigest)] = []
    private var toldApplied: LogIndex

    private var bulkNumber: UInt32 = 0
    private var snapshotIndex: LogIndex = .zero
    private var snapshotDigest: ReplicaDigest?
    private var snapshot: [UInt8] = []
    private var snapshotSent = 0
    private var snapshotHash: UInt64 = 0

    private var progressAt: Instant = .zero
    private var rejoinAt: Instant?
    /// Joins in a row that came to nothing, and where the newest of them ended.
    private var joinFailures = 0
    private var joinFailedIn: Phase?
    private var leaveReason = ""
    private var closesChannel = false
    /// The twin has asked to join and was not served yet.
    public private(set) var isJoinWanted = false

    /// The sender of a controller that has just become active, with no twin.
    public init(after last: LogIndex, applied: LogIndex, epoch: Epoch, limits: Limits) {
        log = RecordLog(after: last)
        self.epoch = epoch
        self.limits = limits
        self.applied = applied
        stored = .zero
        committed = last
        verified = .zero
        shipped = last
        toldApplied = .zero
    }

    /// The sender after a graceful switchover: the twin has everything up to `last` stored and applied (1124).
    public init(
        adoptingAfter last: LogIndex, digest: ReplicaDigest, epoch: Epoch, limits: Limits, at now: Instant
    ) {
        self.init(after: last, applied: last, epoch: epoch, limits: limits)
        self.digest = digest
        stored = last
        verified = last
        toldApplied = last
        gateFrom = last.next
        isTwinEligible = true
        phase = .verifying
        progressAt = now
    }

    public var last: LogIndex { log.last }
    public var lagRecords: UInt64 { isShipping ? last.value - min(stored.value, last.value) : 0 }
    public var lagOctets: Int { log.octets }

    /// Commits wait for the standby.
    public var isGated: Bool {
        switch phase {
        case .alone, .snapshotting, .sending, .catchingUp: false
        case .verifying, .redundant, .leaving: true
        }
    }
    private var isShipping: Bool {
        switch phase {
        case .alone, .leaving: false
        case .snapshotting, .sending, .catchingUp, .verifying, .redundant: true
        }
    }
    private var keepsLog: Bool { phase != .alone }
    /// Something is shipped that the standby has not acknowledged.
    public var isWaiting: Bool { isShipping && stored < shipped }

    /// Mastership was given up and regained: the same log goes on in a new epoch.
    public mutating func continues(in epoch: Epoch) { self.epoch = epoch }

    // MARK: the log

    public mutating func append(_ record: Record) {
        log.append(record)
        if !keepsLog { log.truncate(upTo: record.index) }
    }

    /// The engine has applied up to `index`, with this digest.
    public mutating func applied(_ index: LogIndex, _ digest: ReplicaDigest) {
        applied = index
        self.digest = digest
        if phase == .snapshotting, index == snapshotIndex { snapshotDigest = digest }
        switch phase {
        case .sending, .catchingUp, .verifying, .redundant:
            // Bounded: a digest between two others is no loss, it only makes the comparison coarser.
            if heldDigests.count >= 1024 {
                var thinned: [(LogIndex, ReplicaDigest)] = []
                for i in heldDigests.indices where i % 2 == 1 { thinned.append(heldDigests[i]) }
                heldDigests = thinned
            }
            heldDigests.append((index, digest))
        case .snapshotting:
            if index > snapshotIndex { heldDigests = [(index, digest)] }
        case .alone, .leaving: break
        }
    }

    /// Ends a burst: one batch to the standby for all that was appended, then what is committed.
    public mutating func flush(at now: Instant, into actions: inout [Action]) {
        switch phase {
        case .catchingUp, .verifying, .redundant: ship(at: now, into: &actions)
        case .alone, .snapshotting, .sending, .leaving: break
        }
        if phase == .catchingUp, shipped == last {
            // From here on nothing commits without the standby.
            phase = .verifying
            gateFrom = last.next
            progressAt = now
        }
        tellApplied(into: &actions)
        checkVerified(into: &actions)
        checkOverflow(at: now, into: &actions)
        if !isGated, committed < last {
            committed = last
            actions.append(.committed(committed))
        }
    }

    private mutating func ship(at now: Instant, into actions: inout [Action]) {
        while shipped < last, octetsUnderWay < limits.shipWindow {
            if underWay.isEmpty { progressAt = now }
            var cost = 0
            var end = shipped
            let waiting = log.records(after: shipped, upTo: last)
            for record in waiting {
                // At least one record, however long it is.
                if end > shipped, cost + record.cost > ChannelLimit.batch { break }
                if end.value - shipped.value >= UInt64(ChannelLimit.recordsInBatch) { break }
                cost += record.cost
                end = record.index
            }
            actions.append(.send(.records(epoch, Array(log.records(after: shipped, upTo: end)))))
            underWay.append((end, cost))
            octetsUnderWay += cost
            shipped = end
        }
    }

    /// The standby may apply what we have applied, as soon as it has the records.
    private mutating func tellApplied(into actions: inout [Action]) {
        guard phase == .catchingUp || phase == .verifying || phase == .redundant else { return }
        var newest: (LogIndex, ReplicaDigest)?
        var taken = 0
        for held in heldDigests {
            guard held.0 <= shipped else { break }
            newest = held
            taken += 1
        }
        guard let newest else { return }
        heldDigests.removeFirst(taken)
        if newest.0 > toldApplied {
            toldApplied = newest.0
            actions.append(.send(.applied(newest.0, newest.1)))
        }
    }

    private mutating func checkVerified(into actions: inout [Action]) {
        guard phase == .verifying, !isEligibilityAsked, difference == 0 else { return }
        // Everything that was committed alone must be stored and compared: then the copy is as good as ours.
        let needed = LogIndex(gateFrom.value - (isTwinEligible ? 0 : 1))
        guard stored >= needed, verified >= needed else { return }
        // Also after a hand-over in order, when the arbiter should know already: asking costs nothing.
        isEligibilityAsked = true
        isTwinEligible = true
        actions.append(.setTwinEligible(true))
    }

    private mutating func becomeRedundant(into actions: inout [Action]) {
        forgetJoinFailures()
        phase = .redundant
        snapshot = []
        actions.append(.tellInSync(true))
        actions.append(.redundant)
    }

    private mutating func checkOverflow(at now: Instant, into actions: inout [Action]) {
        guard log.octets > limits.queueOctetsMaximum else { return }
        switch phase {
        case .alone, .leaving: break
        case .snapshotting, .sending, .catchingUp:
            restartJoin("more than \(limits.queueOctetsMaximum) octets queued behind the bulk update", at: now, into: &actions)
        case .verifying, .redundant:
            leave("more than \(limits.queueOctetsMaximum) octets wait for the standby", closesChannel: true, into: &actions)
        }
    }

    // MARK: what the standby says

    public mutating func receivedStored(_ index: LogIndex, at now: Instant, into actions: inout [Action]) {
        guard isShipping, index > stored, index <= shipped else { return }
        stored = index
        progressAt = now
        var gone = 0
        for batch in underWay {
            guard batch.last <= index else { break }
            octetsUnderWay -= batch.cost
            gone += 1
        }
        underWay.removeFirst(gone)
        log.truncate(upTo: index)
        if isGated, stored > committed {
            committed = stored
            actions.append(.committed(committed))
        }
        checkVerified(into: &actions)
    }

    public mutating func receivedVerified(
        _ index: LogIndex, difference: UInt16, at now: Instant, into actions: inout [Action]
    ) {
        guard isShipping, phase != .snapshotting else { return }
        if phase == .sending {
            guard index == snapshotIndex, snapshotSent == snapshot.count else { return }
            // The snapshot is in place there: the queue follows.
            phase = .catchingUp
            progressAt = now
            stored = max(stored, index)
            snapshot = []
        }
        self.difference = difference
        if difference != 0 {
            mismatches += 1
            actions.append(
                .event(Event(.alarm, "rcm", "the standby's state differs from ours at index \(index): redundancy is lost")))
            leave("digests differ at index \(index)", closesChannel: false, into: &actions)
            return
        }
        guard index <= last else { return }
        verified = max(verified, index)
        checkVerified(into: &actions)
    }

    // MARK: joining (FIG. 10B)

    /// The twin asks for a bulk update.
    public mutating func receivedJoin(at now: Instant, into actions: inout [Action]) {
        isJoinWanted = true
        switch phase {
        case .alone:
            if rejoinAt.map({ $0 <= now }) ?? true { beginJoin(at: now, into: &actions) }
        case .snapshotting, .sending, .catchingUp:
            // It began anew before we were done.
            joinFailed("the standby asked for it anew", at: now, into: &actions)
            phase = .alone
            if rejoinAt.map({ $0 <= now }) ?? true { beginJoin(at: now, into: &actions) }
        case .verifying, .redundant:
            leave("the standby asks for a new bulk update", closesChannel: false, into: &actions)
        case .leaving: break
        }
    }

    private mutating func beginJoin(at now: Instant, into actions: inout [Action]) {
        isJoinWanted = false
        rejoinAt = nil
        phase = .snapshotting
        bulkNumber &+= 1
        bulkUpdates += 1
        snapshotIndex = last
        snapshotDigest = applied == last ? digest : nil
        heldDigests = []
        toldApplied = .zero
        underWay = []
        octetsUnderWay = 0
        difference = 0
        stored = .zero
        verified = .zero
        shipped = last
        log.truncate(upTo: last)
        progressAt = now
        actions.append(.takeSnapshot)
    }

    /// The snapshot that was asked for, as bytes.
    public mutating func snapshotEncoded(_ index: LogIndex, _ bytes: [UInt8], at now: Instant, into actions: inout [Action]) {
        // One that an earlier, abandoned join asked for has another index.
        guard phase == .snapshotting, index == snapshotIndex else { return }
        phase = .sending
        snapshot = bytes
        snapshotSent = 0
        snapshotHash = UInt64(bulkNumber)
        bulkProgress = (0, bytes.count)
        progressAt = now
        actions.append(.event(Event(.notice, "rcm", "bulk update: \(bytes.count) octets at index \(index)")))
        actions.append(
            .send(
                .bulkBegin(
                    number: bulkNumber, index: index, octets: UInt64(bytes.count), snapshotDigest ?? ReplicaDigest([]))))
        sendChunks(acknowledged: 0, into: &actions)
    }

    public mutating func receivedBulkReceived(
        _ number: UInt32, octets: UInt64, at now: Instant, into actions: inout [Action]
    ) {
        guard phase == .sending, number == bulkNumber, octets <= UInt64(snapshotSent) else { return }
        bulkProgress.done = Int(octets)
        progressAt = now
        sendChunks(acknowledged: Int(octets), into: &actions)
    }

    private mutating func sendChunks(acknowledged: Int, into actions: inout [Action]) {
        let isFirst = snapshotSent == 0
        guard isFirst || snapshotSent < snapshot.count else { return }
        while snapshotSent < snapshot.count, snapshotSent - acknowledged < ChannelLimit.bulkWindow {
            let end = min(snapshotSent + ChannelLimit.chunk, snapshot.count)
            let chunk = Array(snapshot[snapshotSent..<end])
            snapshotHash = seededHash(chunk.span.bytes, seed: snapshotHash)
            actions.append(.send(.bulkChunk(number: bulkNumber, offset: UInt64(snapshotSent), chunk)))
            snapshotSent = end
        }
        if snapshotSent == snapshot.count {
            actions.append(.send(.bulkEnd(number: bulkNumber, hash: snapshotHash)))
        }
    }

    public mutating func receivedBulkRefused(
        _ number: UInt32, reason: String, at now: Instant, into actions: inout [Action]
    ) {
        guard number == bulkNumber, phase == .sending else { return }
        restartJoin("the standby refused the snapshot: \(reason)", at: now, into: &actions)
    }

    /// A join came to nothing. The first may be chance; one that ends the same way again would do so for ever, and each costs
    /// a whole bulk update: it waits, longer each time, and somebody should know.
    private mutating func joinFailed(_ reason: String, at now: Instant, into actions: inout [Action]) {
        joinFailures = joinFailedIn == phase ? joinFailures + 1 : 1
        joinFailedIn = phase
        guard joinFailures >= 2 else {
            rejoinAt = nil
            return
        }
        let wait = min(limits.rejoinWait * (1 << min(joinFailures - 2, 10)), limits.rejoinWaitMaximum)
        rejoinAt = now + wait
        actions.append(
            .event(
                Event(
                    .alarm, "rcm",
                    "\(joinFailures) bulk updates in a row came to nothing (\(reason)): the next is tried in "
                        + "\(wait.inMilliseconds / 1000) s")))
    }

    /// Another process of the twin, perhaps of another release: it gets its chance at once.
    public mutating func forgetJoinFailures() {
        joinFailures = 0
        joinFailedIn = nil
        rejoinAt = nil
    }

    private mutating func restartJoin(_ reason: String, at now: Instant, into actions: inout [Action]) {
        joinFailed(reason, at: now, into: &actions)
        rejoinAt = max(rejoinAt ?? .zero, now + limits.rejoinWait)
        phase = .alone
        snapshot = []
        heldDigests = []
        log.truncate(upTo: last)
        isJoinWanted = true
        actions.append(.event(Event(.warning, "rcm", "the join starts again: \(reason)")))
    }

    // MARK: leaving redundancy

    /// The twin is gone, and the channel to it. What is decided of its copy takes a while: if the twin, or somebody in its
    /// place, has opened another channel by then, that one is not to be closed for it.
    public mutating func twinLost(_ reason: String, at now: Instant, into actions: inout [Action]) {
        isJoinWanted = false
        switch phase {
        case .alone: break
        case .leaving: closesChannel = false
        case .snapshotting, .sending, .catchingUp:
            joinFailed(reason, at: now, into: &actions)
            phase = .alone
            snapshot = []
            heldDigests = []
            log.truncate(upTo: last)
            actions.append(.event(Event(.warning, "rcm", "the join ended: \(reason)")))
        case .verifying, .redundant: leave(reason, closesChannel: false, into: &actions)
        }
    }

    /// The twin's copy no longer counts: goes alone once the arbiter has made it ineligible.
    public mutating func leave(_ reason: String, closesChannel: Bool, into actions: inout [Action]) {
        guard phase == .verifying || phase == .redundant else { return }
        let wasEligible = isTwinEligible
        phase = .leaving
        leaveReason = reason
        self.closesChannel = closesChannel
        actions.append(.tellInSync(false))
        if wasEligible {
            isEligibilityAsked = true
            actions.append(.setTwinEligible(false))
        } else {
            finishLeaving(into: &actions)
        }
    }

    /// Mastership was away when the twin was lost, so that the arbiter could not be told: it is told now.
    public mutating func resumeLeaving(into actions: inout [Action]) {
        if phase == .leaving { actions.append(.setTwinEligible(false)) }
    }

    /// The arbiter's answer to `setTwinEligible`.
    public mutating func eligibilitySet(_ isEligible: Bool, at now: Instant, into actions: inout [Action]) {
        if isEligible {
            if phase == .verifying, isEligibilityAsked {
                isEligibilityAsked = false
                becomeRedundant(into: &actions)
            }
        } else if phase == .leaving {
            isEligibilityAsked = false
            isTwinEligible = false
            finishLeaving(into: &actions)
            if isJoinWanted { beginJoin(at: now, into: &actions) }
        }
    }

    private mutating func finishLeaving(into actions: inout [Action]) {
        phase = .alone
        underWay = []
        octetsUnderWay = 0
        heldDigests = []
        log.truncate(upTo: last)
        committed = last
        actions.append(.committed(committed))
        actions.append(.alone(reason: leaveReason))
        if closesChannel { actions.append(.closeChannel(reason: leaveReason)) }
    }

    // MARK: time

    public mutating func tick(at now: Instant, into actions: inout [Action]) {
        guard let deadline = nextDeadline, deadline <= now else { return }
        switch phase {
        case .alone:
            rejoinAt = nil
            if isJoinWanted { beginJoin(at: now, into: &actions) }
        case .snapshotting, .sending, .catchingUp:
            let reason = "the join made no progress for \(limits.joinStallMaximum.inMilliseconds) ms"
            joinFailed(reason, at: now, into: &actions)
            phase = .alone
            snapshot = []
            heldDigests = []
            log.truncate(upTo: last)
            actions.append(.event(Event(.warning, "rcm", reason)))
            actions.append(.closeChannel(reason: reason))
        case .verifying, .redundant:
            leave(
                "the standby has not acknowledged for \(limits.stallMaximum.inMilliseconds) ms",
                closesChannel: true, into: &actions)
        case .leaving: break
        }
    }

    public var nextDeadline: Instant? {
        switch phase {
        case .alone: return isJoinWanted ? rejoinAt : nil
        case .snapshotting: return nil
        case .sending, .catchingUp: return progressAt + limits.joinStallMaximum
        case .verifying, .redundant: return stored < shipped ? progressAt + limits.stallMaximum : nil
        case .leaving: return nil
        }
    }

    /// Why there is no redundancy, or `nil` when there is.
    public var reasonNotReady: String? {
        switch phase {
        case .redundant: nil
        case .alone: isJoinWanted ? "the bulk update waits to be tried again" : "no standby has joined"
        case .snapshotting: "bulk update: the snapshot is being taken"
        case .sending:
            "bulk update: \(bulkProgress.done) of \(bulkProgress.total) octets"
        case .catchingUp: "catching up: \(lagRecords) records behind"
        case .verifying: "digests are not compared yet"
        case .leaving: leaveReason
        }
    }
}
