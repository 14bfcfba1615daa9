import Machine
import Records

/// Who may speak as the router, decided by the pair from what each says of itself in its beats: the arbiter `link`, and
/// with a vote elsewhere (`witness`, `etcd`) the pair's half of it. Docs/mastership.md is its manual, and
/// Docs/models/link.pml its model; the states carry the same names.
///
/// **Statements.** What a controller says in its beat number *n* is understood when a beat of the twin echoes *n* or
/// more; the flags of that beat are the twin's reaction. Nothing else is ever taken for consent.
///
/// **A holder** is `bound` while the twin holds a copy that it would resume. It speaks until the detection time after the
/// newest of its beats that the twin has read had left. The twin counts its own silence from when it *heard* such a beat,
/// which is later, and a margin longer: so the holder is silent before the twin speaks, whatever froze or was delayed. A
/// holder that cannot wait for its twin any longer is `renouncing` until the twin is known not to resume; then it is
/// `alone` and speaks freely.
///
/// **Anybody else** is `current` with a copy that the holder counts, or `stale`.
///
/// **Doubt.** A controller that did not run for two beats does not know what it missed. Bound, it is silent until the twin
/// has read a beat that it sent after its wake; `current`, it resumes nothing until the holder has; alone, it doubts only
/// when it slept for so long that the twin may have begun the router anew.
///
/// Two nodes without a vote cannot be both safe and live in one case: nothing passes between them in either direction and
/// both run. Then the holder goes on alone and the twin takes over, each on its side of the cut.
public struct PairArbiter: Sendable {
    /// Of the mastership that this controller has, or had until a moment ago.
    public enum Holding: Sendable, Hashable {
        case none
        case bound
        /// It says since its beat `from` that the twin's copy does not count.
        case renouncing(from: UInt64, since: Instant)
        case alone
        /// Given up for the twin, which has it to itself.
        case releasing
        /// It says since its beat `from` that it wants mastership back.
        case reclaiming(from: UInt64, since: Instant)
    }
    /// Of what this controller holds while the other is the router.
    public enum Copy: Sendable, Hashable {
        case stale
        /// The holder of `epoch` counts it since its beat `from`; what older beats say of it is overtaken.
        case current(Epoch, from: TwinBeat)
    }

    public let id: ControllerID
    /// How long a controller whose copy is stale waits before it starts the router anew.
    public let staleWait: Duration
    /// A vote elsewhere decides what silence cannot.
    public var hasVote: Bool { vote != nil }
    var vote: PairVote?
    /// None, outside of the simulator.
    public var mistakes: Mistakes = []
    /// The vote has not answered for a while: this controller cannot be handed mastership, nor give it up in order.
    public internal(set) var isVoteSilent = false

    public internal(set) var holding = Holding.none
    public internal(set) var copy = Copy.stale
    var epoch = Epoch.zero
    /// The greatest epoch that anybody mentioned; the next one exceeds it.
    public internal(set) var greatest: Epoch
    /// The greatest epoch in which the twin was heard to hold mastership. More than ours means that we do not.
    var inForce = Epoch.zero
    private var twinHeldAt: Instant?
    var isReleasedToUs = false
    /// The first beat after the wake before which we had told the twin that we are ready for a hand-over.
    private var readyFrom: UInt64?
    private var isTwinDead = false
    private var diedAt: Instant = .zero
    /// What a dead process had sent may still come by another path for so long.
    private static let lateBeats: Duration = .milliseconds(10)
    /// The channel was read to its end, in order, when the twin's process died.
    private var isStreamWhole = false
    private var isChannelOpen = false
    var hasCarrier = true
    private var carrierLostAt: Instant?
    /// A holder that had no carrier listens first when it has one again.
    private var listensUntil: Instant?
    /// The answer about the twin's eligibility waits: until it has answered a beat.
    private var isBindingAsked = false
    /// Alone, we slept so long that the twin may have begun anew.
    private var isAloneInDoubt = false
    /// In doubt we heard that the twin is the holder, or the vote says so: it is.
    var mustYield = false
    /// The channel that is open, or was, is the one on which our copy was called current.
    private var isCopyOfThisChannel = false
    /// The twin has said since then that it holds the copy that we count.
    private var didTwinConfirm = false
    private var boundAt: Instant?

    /// - Parameter voteRenewInterval: there is a vote, which is asked to prolong the lease so often.
    public init(id: ControllerID, lastEpoch: Epoch, staleWait: Duration, voteRenewInterval: Duration? = nil) {
        self.id = id
        self.staleWait = staleWait
        vote = voteRenewInterval.map { PairVote(renewInterval: $0) }
        greatest = min(lastEpoch, Beat.epochMaximum)
    }

    /// Whether we do not know what we missed.
    public func isDoubting(_ watch: TwinWatch) -> Bool {
        switch holding {
        case .bound, .renouncing, .releasing, .reclaiming: !watch.isAnsweredSinceWake
        case .alone: isAloneInDoubt
        case .none: isCurrent && !isTrusted(watch)
        }
    }

    /// What our beats say.
    public func flags(_ watch: TwinWatch) -> Beat.Flags {
        isDoubting(watch) ? statement.union([.doubts, .asks]) : statement
    }
    private var statement: Beat.Flags {
        switch holding {
        case .bound: [.holds, .countsTwin]
        case .releasing: .holdsCopy
        case .reclaiming: [.holdsCopy, .reclaims, .asks]
        case .renouncing: [.holds, .asks]
        case .alone: .holds
        case .none: if case .current = copy { .holdsCopy } else { [] }
        }
    }
    public var isCurrent: Bool { if case .current = copy { true } else { false } }
    /// Something is undecided between the two.
    public var isUrgent: Bool {
        switch holding {
        case .renouncing, .releasing, .reclaiming: true
        case .none, .bound, .alone: false
        }
    }

    // MARK: what happens

    /// A beat of the twin that is the newest.
    public mutating func heard(_ beat: Beat, watch: TwinWatch, at now: Instant) {
        greatest = max(greatest, beat.greatest)
        if beat.reclaims { isReleasedToUs = false }
        if beat.isHolder {
            twinHeldAt = now
            // Whoever doubts does not know whether it is the router, and yields to anybody who does.
            if !beat.doubts { inForce = max(inForce, beat.epoch) }
            if holding != .none, isDoubting(watch) { mustYield = true }
            isReleasedToUs = false
            if now > diedAt + Self.lateBeats { isTwinDead = false }
            // What we have asked the vote is the vote's to decide, whatever the holder says meanwhile.
            if !isClaiming, !mistakes.contains(.trustsItselfAfterSleep), case .current(let epoch, let from) = copy {
                if !beat.countsTwin, beat.epoch >= epoch, from.isReached(by: beat) { copy = .stale }
                if beat.epoch > epoch, isDoubting(watch), !mistakes.contains(.trustsItselfAfterSleep) { copy = .stale }
            }
        } else if holding == .bound {
            if beat.holdsCopy { didTwinConfirm = true }
        }
    }

    public mutating func channelOpened(_ hello: Hello, at now: Instant) {
        isChannelOpen = true
        isTwinDead = false
        isStreamWhole = false
        isCopyOfThisChannel = false
        readyFrom = nil
        greatest = max(greatest, min(hello.epoch, Beat.epochMaximum))
        if hello.state.isActive {
            twinHeldAt = now
            inForce = max(inForce, min(hello.epoch, Beat.epochMaximum))
        }
    }
    public mutating func channelClosed() { isChannelOpen = false }

    /// The twin's process is known not to run any more, and what it had in memory is gone.
    /// - Parameter isStreamWhole: what it had sent on the channel has been read to its end.
    public mutating func twinDied(isStreamWhole: Bool, at now: Instant) {
        isTwinDead = true
        diedAt = now
        if isStreamWhole, isCopyOfThisChannel { self.isStreamWhole = true }
    }
    /// The holder has called our copy current since its beat `from`, or no longer.
    public mutating func told(inSync: Bool, epoch: Epoch, from: UInt64, watch: TwinWatch) {
        greatest = max(greatest, epoch)
        // A newer statement may have come by another path already.
        let from = TwinBeat(start: watch.twinNonce, sequence: from)
        let isOvertaken =
            watch.newest.map { $0.isHolder && !$0.countsTwin && from.isReached(by: $0) && from.sequence > 0 } ?? false
        copy = inSync && !isOvertaken ? .current(epoch, from: from) : .stale
        holding = .none
        isCopyOfThisChannel = inSync
        mustYield = false
    }
    /// Our copy is of no use, and mastership is not ours: digests differ, we stepped down, the operator took us out.
    public mutating func renounce() {
        copy = .stale
        holding = .none
        isBindingAsked = false
        isReleasedToUs = false
        isAloneInDoubt = false
        mustYield = false
    }

    /// We tell the twin that we are ready for a hand-over (1208). It releases mastership only when it has read that, so that
    /// a release is an answer to what we said after our wake, as an answered beat is.
    public mutating func saidReady(watch: TwinWatch) { readyFrom = watch.attentiveFrom }

    /// The twin has released mastership to us (1118).
    public mutating func toldReleased(epoch: Epoch, watch: TwinWatch) {
        // What the twin has said since counts: that it wants mastership back, or has it.
        isReleasedToUs = !(watch.newest.map { $0.reclaims || $0.isHolder && $0.epoch > epoch } ?? false)
        greatest = max(greatest, epoch)
        vote?.retryAt = .zero
    }
    /// The hand-over was aborted.
    public mutating func forgetRelease() {
        isReleasedToUs = false
        readyFrom = nil
    }

    /// This controller did not run for so long.
    /// - Returns: whether what waits to be read is of no use either: the twin may have begun anew.
    public mutating func slept(_ pause: Duration, watch: TwinWatch) -> Bool {
        guard pause >= staleWait - watch.detectionTime - watch.margin, !mistakes.contains(.trustsItselfAfterSleep) else {
            return false
        }
        if holding == .alone { isAloneInDoubt = true }
        guard isCurrent else { return false }
        copy = .stale
        return true
    }

    /// Whether any service interface has a carrier; a router without interfaces counts as having one.
    public mutating func setCarrier(_ hasCarrier: Bool, at now: Instant, watch: TwinWatch) {
        guard hasCarrier != self.hasCarrier else { return }
        self.hasCarrier = hasCarrier
        if !hasCarrier {
            carrierLostAt = now
        } else {
            carrierLostAt = nil
            // Nobody knows what the twin did meanwhile, unless it told us.
            if holding == .alone, !isChannelOpen { listensUntil = now + watch.detectionTime + watch.margin }
        }
    }

    // MARK: requests

    /// The answer, or `nil` when it comes later from `poll`.
    public mutating func ask(_ request: ArbiterRequest, watch: TwinWatch, at now: Instant) -> ArbiterAnswer? {
        switch request {
        case .acquire(let least, let isResuming):
            return acquire(atLeast: least, isResuming: isResuming, watch: watch, at: now)
        case .renew(let asked):
            guard holds(asked) else { return lose() }
            return .renewed(asked, leaseUntil: lease(watch, at: now))
        case .release(let asked):
            guard holds(asked) else { return lose() }
            isBindingAsked = false
            if vote != nil {
                vote!.ask(request)
                return nil
            }
            holding = .releasing
            return .released(asked)
        case .setTwinEligible(let asked, let isEligible):
            guard holds(asked) else { return lose() }
            if isEligible {
                isBindingAsked = true
                return settleBinding(watch, at: now)
            }
            isBindingAsked = false
            switch holding {
            case .bound: holding = .renouncing(from: watch.sequence + 1, since: now)
            case .renouncing: break
            case .none, .alone, .releasing, .reclaiming: return .twinEligibility(asked, false)
            }
            if vote != nil { return renounceByVote(asked, watch, at: now) }
            return settleRenouncing(watch, at: now)
        }
    }

    func holds(_ asked: Epoch) -> Bool {
        switch holding {
        case .bound, .renouncing, .alone: asked == epoch && inForce <= epoch && !mustYield
        case .none, .releasing, .reclaiming: false
        }
    }

    mutating func lose() -> ArbiterAnswer {
        renounce()
        return .lost(max(inForce, greatest))
    }

    /// Until when we may speak, on our clock.
    func lease(_ watch: TwinWatch, at now: Instant) -> Instant {
        switch holding {
        case .bound, .renouncing:
            guard watch.isAnsweredSinceWake else { return now }
            return watch.answeredAt.map { $0 + watch.detectionTime } ?? now
        case .alone:
            if isAloneInDoubt { return now }
            if let listensUntil, now < listensUntil { return now }
            return hasVote ? leaseWithVote(watch) : now + watch.detectionTime
        case .none, .releasing, .reclaiming: return .zero
        }
    }

    // MARK: acquiring

    private mutating func acquire(
        atLeast least: Epoch, isResuming: Bool, watch: TwinWatch, at now: Instant
    ) -> ArbiterAnswer? {
        greatest = max(greatest, min(least, Beat.epochMaximum))
        if holds(epoch) {
            // The holder raises its epoch above one that the twin remembers.
            if vote != nil {
                vote!.ask(.acquire(atLeast: greatest, isResuming: true))
                return nil
            }
            takeNextEpoch()
            return .granted(epoch, leaseUntil: lease(watch, at: now), mayResume: true)
        }
        // What was asked already must be known first.
        if case .doubtful = vote?.claim { return claim(atLeast: least, isResuming: true, at: now) }
        if holding == .releasing { holding = .reclaiming(from: watch.sequence + 1, since: now) }
        if isResuming, !isResumable { return .notCurrent(greatest) }
        if let retryAt = refusal(isResuming: isResuming, watch, at: now) {
            let isTwinHolder = watch.newest?.isHolder ?? false
            return .denied(holder: isTwinHolder ? id.other : nil, greatest, retryAt: retryAt)
        }
        if hasVote { return claim(atLeast: least, isResuming: isResuming, at: now) }
        let mayResume = isResumable && isTrusted(watch)
        takeNextEpoch()
        become(epoch: epoch, isReleased: isReleasedToUs && mayResume, watch, at: now)
        // A hand-over in order leaves no pause: the twin has just read our beats.
        return .granted(epoch, leaseUntil: lease(watch, at: now), mayResume: mayResume)
    }

    /// Mastership is ours.
    /// - Parameter isReleased: by the twin, which follows with a whole copy.
    mutating func become(epoch granted: Epoch, isReleased: Bool, _ watch: TwinWatch, at now: Instant) {
        epoch = granted
        greatest = max(greatest, granted)
        inForce = max(inForce, granted)
        var isReclaimed = false
        if case .reclaiming = holding { isReclaimed = true }
        if isReleased {
            holding = .bound
            boundAt = now
            didTwinConfirm = false
        } else if isReclaimed, !isTwinDead, !hasVote {
            holding = .renouncing(from: watch.sequence + 1, since: now)
        } else {
            holding = .alone
        }
        copy = .stale
        isReleasedToUs = false
        isBindingAsked = false
        listensUntil = nil
        isAloneInDoubt = false
        mustYield = false
    }

    /// A's epochs are even and B's are odd: two grants that did not know of each other never have the same.
    private mutating func takeNextEpoch() {
        var next = Epoch(min(greatest.value, Beat.epochMaximum.value - 2) + 1)
        if next.value & 1 != UInt64(id.rawValue) { next = next.next }
        epoch = next
        greatest = next
        inForce = next
    }

    /// Whether there is a copy that could be resumed at all.
    var isResumable: Bool {
        switch holding {
        case .releasing, .reclaiming: true
        case .none, .bound, .renouncing, .alone: isCurrent
        }
    }
    /// Whether the holder cannot have gone on alone while we did not run.
    func isTrusted(_ watch: TwinWatch) -> Bool {
        watch.isAnsweredSinceWake || isTwinDead && isStreamWhole || holding != .none
            || isReleasedToUs && readyFrom == watch.attentiveFrom
            // The vote would know of it, and is asked.
            || hasVote || mistakes.contains(.trustsItselfAfterSleep)
    }

    /// When to ask again, or `nil` if nothing stands in the way.
    private func refusal(isResuming: Bool, _ watch: TwinWatch, at now: Instant) -> Instant? {
        // Whoever slept in between asks once more: the twin may want it back.
        if isReleasedToUs { return isResuming && !isTrusted(watch) && !isTwinDead ? now + watch.interval : nil }
        if case .reclaiming(let from, _) = holding {
            if mistakes.contains(.reclaimsUnasked) { return nil }
            let hasAgreed = watch.answered >= from && !(watch.newest?.isHolder ?? false)
            if hasAgreed || isTwinDead { return nil }
            let end = watch.silenceEnds(after: watch.patience + watch.margin)
            return now >= end && hasCarrier ? nil : max(now, min(end, now)) + watch.interval
        }
        // Who has no carrier has no vote, unless the twin leaves the router to us in words.
        let mayVote = hasCarrier || mistakes.contains(.votesWithoutCarrier)
        if !mayVote, !isChannelOpen || isResuming, !isHeir(watch) { return now + .milliseconds(100) }
        if isResuming {
            guard isTrusted(watch) else { return now + watch.interval }
            if isTwinDead || isHeir(watch) { return nil }
            let end = watch.silenceEnds(after: watch.patience + watch.margin)
            return now >= end ? nil : end
        }
        if isTwinDead { return nil }
        if let newest = watch.newest, !watch.isSilent(for: staleWait, at: now) {
            let end = watch.silenceEnds(after: staleWait)
            if newest.isHolder { return end }
            if newest.holdsCopy { return min(end, now + .milliseconds(100)) }
            // Neither of us has anything to resume: A goes first if it has a carrier, unless the handshake has decided.
            let isMute = newest.health.links > 0 && newest.health.linksUp == 0
            if !isChannelOpen, id == .b, !isMute { return end }
        }
        if let twinHeldAt, now < twinHeldAt + staleWait, watch.newest?.isHolder ?? true { return twinHeldAt + staleWait }
        return nil
    }

    /// The twin says that it is not the router and holds no copy: ours is the only one.
    public func isHeir(_ watch: TwinWatch) -> Bool {
        guard case .current(_, let from) = copy, let newest = watch.newest else { return false }
        return !newest.isHolder && !newest.holdsCopy && !newest.doubts && from.isReached(by: newest) && watch.isAnsweredSinceWake
    }

    // MARK: the twin's copy

    private mutating func settleBinding(_ watch: TwinWatch, at now: Instant) -> ArbiterAnswer? {
        guard isBindingAsked else { return nil }
        // Bound to a twin that does not answer us we would be mute at once.
        guard let answeredAt = watch.answeredAt, now < answeredAt + watch.detectionTime / 2 || holding == .bound else {
            return nil
        }
        isBindingAsked = false
        if holding != .bound {
            holding = .bound
            boundAt = now
            didTwinConfirm = false
        }
        if vote != nil {
            // Bound first: from the vote's word on the twin may ask for mastership and get it.
            vote!.ask(.setTwinEligible(epoch, true))
            return nil
        }
        return .twinEligibility(epoch, true)
    }

    private mutating func settleRenouncing(_ watch: TwinWatch, at now: Instant) -> ArbiterAnswer? {
        guard case .renouncing(let from, let since) = holding else { return nil }
        guard holds(epoch) else { return lose() }
        // With a vote it is the vote's answer that ends it.
        guard !hasVote else { return nil }
        // Who has no carrier cannot know that it is not itself who is cut off.
        let isGone =
            hasCarrier && watch.isSilent(for: watch.detectionTime, at: now)
            && now >= since + watch.interval * 3
        if mistakes.contains(.boundToTheDead), !hasUnderstood(from, watch) { return nil }
        guard hasUnderstood(from, watch) || isTwinDead || isGone || mistakes.contains(.aloneUnheard) else { return nil }
        holding = .alone
        return .twinEligibility(epoch, false)
    }

    /// The twin has read our beat `from`, and holds no copy that it would resume.
    func hasUnderstood(_ from: UInt64, _ watch: TwinWatch) -> Bool {
        watch.newest.map { $0.echo >= from && watch.answered >= from && !$0.holdsCopy } ?? false
    }

    /// Answers that became due, and what time does to a copy.
    public mutating func poll(_ watch: TwinWatch, at now: Instant) -> ArbiterAnswer? {
        if case .current = copy {
            if !hasCarrier, !mistakes.contains(.votesWithoutCarrier), !isChannelOpen,
                watch.isSilent(for: watch.detectionTime, at: now),
                let carrierLostAt, now >= carrierLostAt + watch.detectionTime
            {
                // The other may have gone on alone: nobody could have told us.
                copy = .stale
            } else if !isTrusted(watch), let wokeAt = watch.wokeAt, now >= wokeAt + staleWait {
                copy = .stale
            }
        }
        if isAloneInDoubt {
            let isAnswered = watch.isAnsweredSinceWake && !(watch.newest?.isHolder ?? false)
            if isAnswered || watch.isSilent(for: watch.detectionTime + watch.margin, at: now) { isAloneInDoubt = false }
        }
        tendVote(watch, at: now)
        return settleRenouncing(watch, at: now) ?? settleBinding(watch, at: now)
    }

    /// Bound to a twin that is heard but does not answer: it has asked the vote, or does not hear us.
    public func isUnanswered(for patience: Duration, _ watch: TwinWatch, at now: Instant) -> Bool {
        guard holding == .bound, hasVote, let boundAt else { return false }
        return now >= max(watch.answeredAt ?? boundAt, boundAt) + watch.detectionTime + patience
    }

    /// The twin does not hold the copy that we count, though it had the time to say so.
    public func isTwinWithoutCopy(_ watch: TwinWatch, at now: Instant) -> Bool {
        guard holding == .bound, let newest = watch.newest, !newest.isHolder, !newest.holdsCopy else { return false }
        return didTwinConfirm || boundAt.map { now >= $0 + .seconds(1) } ?? false
    }

    public func nextDeadline(_ watch: TwinWatch) -> Instant? {
        if let vote {
            // A claim in doubt is looked at just as often.
            return vote.renewAt
        }
        switch holding {
        case .renouncing(_, let since):
            // Without a carrier, or with a vote, it is not time that ends it.
            if hasVote || !hasCarrier { return nil }
            return max(since + watch.interval * 3, watch.silenceEnds(after: watch.detectionTime))
        case .none, .bound, .alone, .releasing, .reclaiming: return nil
        }
    }
}
