import CHost
import Glibc
import Machine
import Records
import Redundancy

/// The arbiter for two controllers on one machine (DESIGN §8): who speaks as the router is one word in a mapped file.
///
/// What the word says and what a request does to it is `LeaseWord`'s. Here it changes by compare-and-exchange only, so there
/// is no critical section in which a frozen process could leave the other one waiting. Taking mastership away from the
/// holder needs one of two proofs:
///
/// - the holder's process is dead: the kernel dropped the lock that each controller holds on its own octet of the file;
/// - the holder's lease ran out: it did not renew for that long, so it is frozen or starved.
///
/// The holder reads the word and compares its lease with the clock before every burst, so a process that slept through
/// its lease finds out before it sends anything. Each controller writes its lease into a slot of its own: a late renewal
/// cannot prolong the other's.
///
/// The file belongs on a memory file system (/run): a mapped page of a disk file can wait for the disk. What happens when
/// somebody removes or replaces it is in `LeaseFile+Repair.swift`.
public final class LeaseFile {
    public struct Failure: Error, Sendable, CustomStringConvertible {
        public let description: String
        /// Another process runs as this controller.
        var isDuplicate = false
    }

    /// For the frames that were on their way into the device when the lease ended.
    static let margin = Duration.milliseconds(1)
    private static let deathPoll = Duration.microseconds(200)
    /// How often the path is compared with what is mapped.
    static let lookInterval = Duration.milliseconds(100)
    /// How long whoever does not hold mastership leaves the repair to the holder.
    static let holderPatience = Duration.milliseconds(400)
    static let leaseMaximum = Duration.seconds(60)

    var page: LeasePage
    public let path: String
    public let controller: ControllerID
    public let lease: Duration
    private let policy: LeaseWord.Policy
    /// For how long a file that was made anew grants nothing: longer than a running holder of an earlier file of this
    /// path can speak without looking at the path.
    private let quarantine: Duration
    /// The epoch under which we believe to hold mastership, 0 for none.
    private(set) var ownEpoch = Epoch.zero
    private var ownLeaseEnd = Instant.zero
    /// The channel's end says that the twin's process is gone, though the kernel may take a moment to drop its lock.
    public var isTwinSaidDead = false

    // MARK: the path, see LeaseFile+Repair.swift
    var nextLook: Instant
    /// Since when something else is at the path.
    var strangeSince: Instant?
    /// Another file is at the path and nothing can be done about it: whoever starts now could be granted what we hold.
    var isPathLost = false
    var hasGaspLock = false
    var lastComplaint: (text: String, at: Instant)?
    /// What happened since these were taken last.
    public var events: [Event] = []
    /// Why this process cannot go on: another one runs as this controller.
    public internal(set) var fault: String?

    /// Opens or creates the file and takes the lock that says that this controller lives.
    /// - Parameters:
    ///   - staleWait: see `LeaseWord.Policy`.
    ///   - quarantine: `nil`: a second, or longer if the lease is.
    ///   - now: CLOCK_BOOTTIME; `nil` reads it.
    public init(
        path: String, controller: ControllerID, lease: Duration, staleWait: Duration = .zero, quarantine: Duration? = nil,
        at now: Instant? = nil
    ) throws {
        policy = LeaseWord.Policy(holderIsBoundByPair: false, staleWait: staleWait)
        self.path = path
        self.controller = controller
        self.lease = lease
        self.quarantine = quarantine ?? max(.seconds(1), lease + Self.lookInterval * 4)
        let now = now ?? monotonicNow()
        nextLook = now + Self.lookInterval
        page = try LeasePage(path: path, controller: controller, .orMake, at: now)
        // Whatever our last process had, this one knows nothing yet.
        change { $0.begin(controller) }
        // Somebody left it behind in the middle of a repair, or is at it.
        if page.isSuperseded { lookNow(at: now) }
    }

    /// A crash gives the lock up from the signal handler. Only one lease file of a process can have that.
    func releaseOnCrash() {
        hasGaspLock = true
        chost_gasp_lock(page.fd)
    }

    var mastership: LeaseWord { LeaseWord(bits: page[LeasePage.stateWord]) }

    var isTwinAlive: Bool { page.isAlive(controller.other) }

    func change(_ body: (inout LeaseWord) -> Void) {
        while true {
            let before = page[LeasePage.stateWord]
            guard before != LeasePage.superseded else { return }
            var state = LeaseWord(bits: before)
            body(&state)
            if state.bits == before || page.exchange(LeasePage.stateWord, before, state.bits) { return }
        }
    }

    /// Answers a request of our controller. `now` is CLOCK_BOOTTIME.
    public func answer(_ request: ArbiterRequest, at now: Instant) -> ArbiterAnswer {
        chost_stop_if_dying()
        // A process that was frozen looks at the path before it asks for a lease.
        look(at: now)
        if page.isSuperseded { lookNow(at: now) }
        if let fault { return .unavailable(fault) }
        if isPathLost { return .unavailable("another file is at \(path), and it cannot be replaced") }
        let end = now + lease
        while true {
            let before = page[LeasePage.stateWord]
            guard before != LeasePage.superseded else { return .unavailable("\(path) is being replaced") }
            var state = LeaseWord(bits: before)
            if case .acquire = request, state.epoch == .zero, now < page.born + quarantine, page.born <= now {
                // Nobody was granted anything here; a running holder of an earlier file puts its own back first.
                return .denied(holder: nil, .zero, retryAt: page.born + quarantine)
            }
            let outcome = state.apply(request, from: controller, policy: policy) { patience in
                twinEvidence(LeaseWord(bits: before), patience, now)
            }
            switch outcome {
            case .granted, .renewed, .released:
                // The lease first: nobody may see us as holder with a lease of long ago. Should the word change now, the
                // slot says nothing, because it counts only for whoever holds mastership or released it.
                page.setLeaseEnd(of: controller, end)
            case .denied, .notCurrent, .twinEligibility, .lost, .refused: break
            }
            // Also when nothing changes in it: the twin may have taken over since the look.
            guard page.exchange(LeasePage.stateWord, before, state.bits) else {
                if page.isSuperseded { lookNow(at: now) }
                continue
            }
            remember(outcome, end)
            return ArbiterAnswer(hurried(outcome, now), leaseUntil: end)
        }
    }

    private func twinEvidence(_ state: LeaseWord, _ patience: Duration, _ now: Instant) -> LeaseWord.Evidence {
        // A twin that has not yet moved over to a successor has no lock on it.
        let hasMoved = page.generation == 0 || now >= page.born + quarantine
        guard isTwinAlive || !hasMoved else { return .dead }
        // A reservation is as long as the lease that the releaser wrote into its slot, which is ours.
        return LeaseWord.Evidence(until: page.leaseEnd(of: state.holder ?? controller) + Self.margin + patience, at: now)
    }

    private func remember(_ outcome: LeaseWord.Outcome, _ end: Instant) {
        switch outcome {
        case .granted(let epoch, _), .renewed(let epoch):
            ownEpoch = epoch
            ownLeaseEnd = end
        case .released, .lost: ownEpoch = .zero
        case .denied, .notCurrent, .twinEligibility, .refused: break
        }
    }

    /// The kernel is about to drop the lock of a twin that the channel calls dead.
    private func hurried(_ outcome: LeaseWord.Outcome, _ now: Instant) -> LeaseWord.Outcome {
        guard isTwinSaidDead, case .denied(let holder, let epoch, let end) = outcome else { return outcome }
        return .denied(holder: holder, epoch, retryAt: min(end, now + Self.deathPoll))
    }

    /// Whether we may speak. Two loads: cheap enough for every burst.
    public func maySpeak(at now: Instant) -> Bool {
        ownEpoch != .zero && now < ownLeaseEnd && mastership.isHeld(by: controller, ownEpoch)
    }
}
