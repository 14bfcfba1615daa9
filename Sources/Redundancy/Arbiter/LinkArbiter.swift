import Machine
import Records

/// The arbiter without a third party: it judges by what is heard of the twin, on the channel (heartbeats) and on the
/// service segments (advertisements). Each controller runs its own; the rules below make the two agree.
///
/// **Lease.** While the twin's copy is current, the active's lease runs for the detection time from the moment at which
/// the newest heartbeat *that the twin has answered* left. The twin counts its detection time from when it heard that
/// heartbeat, which is later, so the active has fallen silent before the twin may speak. That holds for a frozen
/// process and for any delay. Once the twin is ineligible it cannot resume anything and the lease renews itself.
///
/// **Acquire** is refused while the twin is heard to be active, on either path, within the detection time. After its
/// process was seen to die, silence on the segments for two advertisement intervals is enough.
///
/// **Making the twin ineligible** is done when the twin says that it is no longer in sync, on either path, or when it has
/// not been heard on any path for the detection time.
///
/// What follows for each partition (A active, B standby in sync):
///
/// | cut | A | B |
/// |---|---|---|
/// | nothing, A dies | | takes over at once (channel closed), or after the detection time |
/// | nothing, A freezes | silent when its lease ends; wakes without lease, hears B's epoch, steps down | takes over after the detection time |
/// | channel only | lease ends; advertises B as ineligible; B confirms; goes on alone | hears A's advertisements, stays silent, becomes stale |
/// | segments of B | goes on; the channel lives | stays; its links are down, so no graceful switchover to it |
/// | segments of A | asks B to take over (graceful) if B has more links | takes over gracefully |
/// | channel and all segments between A and B | goes on alone after the detection time | takes over after the detection time |
///
/// The last row is where two nodes alone cannot be both safe and live: there are two masters, each on its own side of
/// the cut, and each with the sessions. When the cut heals, the lower epoch steps down as soon as it hears the higher
/// one. Epochs of A are even and of B odd, so they are never equal. Whoever cannot accept this row needs an arbiter with
/// a third vote (`leasefile` on one machine, a quorum elsewhere).
public struct LinkArbiter: Sendable {
    public let id: ControllerID
    public let detectionTime: Duration
    public let advertisementInterval: Duration

    /// Ours while we hold it.
    private var held: Epoch?
    /// The greatest epoch that anybody mentioned; the next one exceeds it.
    private var greatest: Epoch = .zero
    /// The greatest epoch in which anybody was heard to be active. More than ours means that we are not the router.
    private var inForce: Epoch = .zero
    private var isTwinEligible = false
    /// The active has told us that our copy is current, in this epoch.
    private var selfEligible: Epoch?
    /// We hold released mastership for the twin until then.
    private var reservedUntil: Instant?
    /// The twin has released its mastership to us.
    private var isReleasedToUs = false

    /// When the twin was heard last on any path, and what it said.
    private var heardAt: Instant?
    private var heardActiveAt: Instant?
    private var heardState: ControllerState = .booting
    private var heardEpoch: Epoch = .zero
    private var twinDiedAt: Instant?
    private var advertisedNonce: UInt64 = 0
    private var advertisedSequence: UInt64 = 0

    /// When the newest heartbeat that the twin answered left here.
    private var answeredAt: Instant?
    private var pendingIneligible: (epoch: Epoch, since: Instant)?
    private var refusedAt: Instant?

    public init(id: ControllerID, detectionTime: Duration, advertisementInterval: Duration) {
        self.id = id
        self.detectionTime = detectionTime
        self.advertisementInterval = advertisementInterval
    }

    // MARK: what is heard

    /// A heartbeat of the twin. `answeredAt`: see `HeartbeatMonitor`.
    public mutating func heard(_ heartbeat: Heartbeat, answeredAt: Instant, at now: Instant) {
        self.answeredAt = max(self.answeredAt ?? answeredAt, answeredAt)
        heard(state: heartbeat.state, epoch: heartbeat.epoch, at: now)
    }

    /// False for one that is a repetition or from another start than the channel's. `twinNonce`: who is at the other end
    /// of the channel, `nil` while it is closed.
    public mutating func heard(_ advertisement: Advertisement, twinNonce: UInt64?, at now: Instant) -> Bool {
        if let twinNonce, advertisement.bootNonce != twinNonce, advertisement.bootNonce != advertisedNonce { return false }
        if advertisement.bootNonce == advertisedNonce {
            guard advertisement.sequence > advertisedSequence else { return false }
        }
        advertisedNonce = advertisement.bootNonce
        advertisedSequence = advertisement.sequence
        // While the channel is open it has the word: an advertisement takes another way, and one that left before the
        // channel said "in sync" may come after it.
        if twinNonce == nil, advertisement.state.isActive, !advertisement.isTwinEligible, advertisement.epoch >= inForce {
            selfEligible = nil
        }
        heard(state: advertisement.state, epoch: advertisement.epoch, at: now)
        return true
    }

    private mutating func heard(state: ControllerState, epoch: Epoch, at now: Instant) {
        heardAt = now
        heardState = state
        heardEpoch = epoch
        if state.isActive {
            heardActiveAt = now
            isReleasedToUs = false
            inForce = max(inForce, epoch)
        }
        greatest = max(greatest, epoch)
    }

    /// The twin introduced itself on a new channel.
    public mutating func channelOpened(_ hello: Hello, at now: Instant) {
        twinDiedAt = nil
        answeredAt = now
        heard(state: hello.state, epoch: hello.epoch, at: now)
    }

    /// The channel closed because the twin's process ended.
    public mutating func twinDied(at now: Instant) { twinDiedAt = now }

    /// The active's word on our copy.
    public mutating func toldEligible(_ isEligible: Bool, epoch: Epoch) {
        selfEligible = isEligible ? epoch : nil
        greatest = max(greatest, epoch)
    }

    /// The twin has released mastership to us (1118).
    public mutating func toldReleased(epoch: Epoch) {
        isReleasedToUs = true
        greatest = max(greatest, epoch)
    }

    // MARK: requests

    /// The answer, or `nil` when it comes later from `poll`.
    public mutating func ask(_ request: ArbiterRequest, at now: Instant) -> ArbiterAnswer? {
        switch request {
        case .acquire(let least): return acquire(atLeast: least, at: now)
        case .renew(let epoch):
            guard held == epoch, inForce <= epoch else { return lose() }
            return .renewed(epoch, leaseUntil: lease(at: now))
        case .release(let epoch):
            guard held == epoch, inForce <= epoch else { return lose() }
            held = nil
            reservedUntil = now + detectionTime
            // What we hold is current as long as nobody went on without us.
            selfEligible = epoch
            return .released(epoch)
        case .setTwinEligible(let epoch, let isEligible):
            guard held == epoch, inForce <= epoch else { return lose() }
            if isEligible {
                isTwinEligible = true
                answeredAt = max(answeredAt ?? now, now - detectionTime)
                return .twinEligibility(epoch, true)
            }
            // From now on advertisements say it; the answer waits until the twin has understood or is gone.
            isTwinEligible = false
            pendingIneligible = (epoch, now)
            return settleIneligible(at: now)
        }
    }

    private mutating func lose() -> ArbiterAnswer {
        held = nil
        isTwinEligible = false
        return .lost(max(inForce, greatest))
    }

    private mutating func acquire(atLeast least: Epoch, at now: Instant) -> ArbiterAnswer {
        greatest = max(greatest, least)
        if let reservedUntil, now < reservedUntil, heardState != .standby || heardAt.map({ $0 < now - detectionTime }) ?? true {
            // We released it ourselves; the twin may be taking it at this moment.
            if twinDiedAt == nil { return .denied(holder: nil, greatest, retryAt: reservedUntil) }
        }
        if !isReleasedToUs, let heardActiveAt {
            var silent = heardActiveAt + detectionTime
            // A dead process does not advertise: what was heard before its end proves nothing.
            if let twinDiedAt { silent = max(twinDiedAt, heardActiveAt) + advertisementInterval * 2 }
            if now < silent { return .denied(holder: id.other, greatest, retryAt: silent) }
        }
        let mayResume = selfEligible != nil && selfEligible! >= heardEpoch
        let keepsTwin = isReleasedToUs && mayResume || reservedUntil != nil && mayResume
        var next = greatest.next
        if next.value & 1 != UInt64(id.rawValue) { next = next.next }
        held = next
        greatest = next
        inForce = next
        isTwinEligible = keepsTwin
        if keepsTwin { answeredAt = max(answeredAt ?? now, now - detectionTime / 2) }
        selfEligible = nil
        isReleasedToUs = false
        reservedUntil = nil
        heardActiveAt = nil
        pendingIneligible = nil
        return .granted(next, leaseUntil: keepsTwin ? now + detectionTime : lease(at: now), mayResume: mayResume)
    }

    private func lease(at now: Instant) -> Instant {
        // `pendingIneligible`: the twin may not know yet, so the lease is still bound to its answers.
        guard isTwinEligible || pendingIneligible != nil else { return now + detectionTime }
        return (answeredAt ?? now) + detectionTime
    }

    private mutating func settleIneligible(at now: Instant) -> ArbiterAnswer? {
        guard let pending = pendingIneligible else { return nil }
        if held != pending.epoch || inForce > pending.epoch {
            pendingIneligible = nil
            return lose()
        }
        let isHeard = heardAt.map { now < $0 + detectionTime } ?? false
        let hasUnderstood = isHeard && heardAt! >= pending.since && heardState != .standby
        let isGone = twinDiedAt != nil && (heardAt.map { now >= $0 + advertisementInterval * 2 } ?? true)
        guard !isHeard || hasUnderstood || isGone else { return nil }
        pendingIneligible = nil
        return .twinEligibility(pending.epoch, false)
    }

    /// Answers that became due.
    public mutating func poll(at now: Instant) -> ArbiterAnswer? { settleIneligible(at: now) }

    public var nextDeadline: Instant? {
        guard pendingIneligible != nil else { return nil }
        guard let heardAt else { return .zero }
        return twinDiedAt != nil ? heardAt + advertisementInterval * 2 : heardAt + detectionTime
    }

    /// For advertisements.
    public var countsTwinAsEligible: Bool { isTwinEligible }
    /// An active with a higher epoch than ours was heard, or our copy was called stale.
    public var isSelfEligible: Bool { selfEligible != nil }
}
