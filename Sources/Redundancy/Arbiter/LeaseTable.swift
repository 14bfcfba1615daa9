import Machine
import Records

/// What an arbiter with a memory of its own keeps and answers: the contents of `leasefile`, and the simulator's arbiter.
///
/// A value: the host maps it into a file that both controllers of a machine share and guards it with a lock; the
/// simulator holds it in memory. All instants are on one clock that both controllers read (one machine).
///
/// Besides the lease the world may know that a holder's process is dead (the kernel dropped its lock): then its lease
/// counts for nothing, which is what makes a take-over after SIGKILL immediate.
public struct LeaseTable: Hashable, Sendable {
    public var epoch: Epoch = .zero
    public var holder: ControllerID?
    public var leaseUntil: Instant = .zero
    /// Whose copy is current, by `ControllerID`: bit 0 for A, bit 1 for B.
    public var eligible: UInt8 = 0
    /// The holder released mastership in favour of its twin, which has it to itself until then.
    public var reservedUntil: Instant = .zero
    /// Who released.
    public var releasedBy: ControllerID?

    /// How long after the end of another's lease one may begin anew who cannot resume.
    public var staleWait: Duration = .seconds(3)

    public init() {}

    public func isEligible(_ id: ControllerID) -> Bool { eligible & (1 << id.rawValue) != 0 }
    private mutating func setEligible(_ id: ControllerID, _ value: Bool) {
        if value { eligible |= 1 << id.rawValue } else { eligible &= ~(1 << id.rawValue) }
    }

    /// Answers a request and changes the table accordingly; the caller makes that atomic.
    /// - Parameters:
    ///   - lease: how long a granted or renewed lease runs.
    ///   - isTwinDead: the world knows that the other controller's process does not exist.
    public mutating func answer(
        _ request: ArbiterRequest, from id: ControllerID, at now: Instant, lease: Duration, isTwinDead: Bool
    ) -> ArbiterAnswer {
        switch request {
        case .acquire(let least, let isResuming):
            if holder == id {
                epoch = max(epoch, least).next
                leaseUntil = now + lease
                return .granted(epoch, leaseUntil: leaseUntil, mayResume: true)
            }
            if isResuming, !isEligible(id) { return .notCurrent(epoch) }
            if !isResuming, holder == id.other, !isTwinDead, now < leaseUntil + staleWait {
                return .denied(holder: holder, epoch, retryAt: leaseUntil + staleWait)
            }
            return acquire(id, atLeast: least, at: now, lease: lease, isTwinDead: isTwinDead)
        case .renew(let asked):
            // The lease may have run out; as long as nobody took the epoch it goes on.
            guard asked == epoch, holder == id else { return .lost(epoch) }
            leaseUntil = now + lease
            return .renewed(epoch, leaseUntil: leaseUntil)
        case .release(let asked):
            guard asked == epoch, holder == id else { return .lost(epoch) }
            holder = nil
            releasedBy = id
            reservedUntil = now + lease
            leaseUntil = now
            return .released(epoch)
        case .setTwinEligible(let asked, let value):
            guard asked == epoch, holder == id else { return .lost(epoch) }
            setEligible(id.other, value)
            return .twinEligibility(epoch, value)
        }
    }

    private mutating func acquire(
        _ id: ControllerID, atLeast least: Epoch, at now: Instant, lease: Duration, isTwinDead: Bool
    ) -> ArbiterAnswer {
        if holder == id.other, now < leaseUntil, !isTwinDead {
            return .denied(holder: holder, epoch, retryAt: leaseUntil)
        }
        if holder == nil, releasedBy == id, now < reservedUntil, !isTwinDead {
            return .denied(holder: nil, epoch, retryAt: reservedUntil)
        }
        let wasReleased = holder == nil && releasedBy != nil
        // The copy of the one who held it last is current by definition, unless a new process asks under its name; the
        // asker knows that it is new and disregards this.
        let mayResume = isEligible(id)
        epoch = max(epoch, least).next
        holder = id
        leaseUntil = now + lease
        // Both have the same records after a release in order; after anything else the other's copy is stale.
        let other = id.other
        let keepsOther = wasReleased && mayResume && isEligible(other)
        setEligible(other, keepsOther)
        setEligible(id, true)
        releasedBy = nil
        return .granted(epoch, leaseUntil: leaseUntil, mayResume: mayResume)
    }

    // MARK: bytes

    /// Octets of the encoded table.
    public static let size = 40

    /// Little-endian words, so that they can be read with plain loads from a mapped file.
    public var words: [UInt64] {
        let who = UInt64(holder.map { $0.rawValue + 1 } ?? 0) | UInt64(releasedBy.map { $0.rawValue + 1 } ?? 0) << 8
        return [
            epoch.value, who | UInt64(eligible) << 16, UInt64(bitPattern: leaseUntil.nanoseconds),
            UInt64(bitPattern: reservedUntil.nanoseconds),
            check,
        ]
    }

    private var check: UInt64 {
        var digest = StateDigest(0x1ea5_ef11)
        digest.mix(epoch.value)
        digest.mix(UInt64(holder.map { $0.rawValue + 1 } ?? 0) | UInt64(releasedBy.map { $0.rawValue + 1 } ?? 0) << 8)
        digest.mix(UInt64(eligible))
        digest.mix(UInt64(bitPattern: leaseUntil.nanoseconds))
        digest.mix(UInt64(bitPattern: reservedUntil.nanoseconds))
        return digest.value
    }

    /// The table that `words` wrote; `nil` when they are damaged or not such a table. All zero is an empty table.
    public init?(words: [UInt64]) {
        guard words.count == 5 else { return nil }
        if words.allSatisfy({ $0 == 0 }) { return }
        epoch = Epoch(words[0])
        let holder = UInt8(truncatingIfNeeded: words[1]), releaser = UInt8(truncatingIfNeeded: words[1] >> 8)
        guard holder <= 2, releaser <= 2, words[1] >> 24 == 0 else { return nil }
        self.holder = holder == 0 ? nil : ControllerID(rawValue: holder - 1)
        releasedBy = releaser == 0 ? nil : ControllerID(rawValue: releaser - 1)
        eligible = UInt8(truncatingIfNeeded: words[1] >> 16)
        leaseUntil = Instant(nanoseconds: Int64(bitPattern: words[2]))
        reservedUntil = Instant(nanoseconds: Int64(bitPattern: words[3]))
        guard eligible < 4, words[4] == check else { return nil }
    }
}
