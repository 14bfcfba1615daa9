import Machine
import Records

/// Who speaks as the router, seen from one controller: the boot election (FIG. 10A), the loss of the active, the lease,
/// stepping down. It asks the arbiter and never decides against it.
///
/// ```
///  waiting ──twin active──► following ──twin lost──► acquiring ──granted──► holding
///     │                         ▲                        │ ▲                   │
///     └──nobody came / first────┼────────────────────────┼─┘                   │
///                               └──────denied: the twin holds──────── lost ────┘
/// ```
public struct Mastership: Sendable {
    public enum Stage: Sendable, Hashable {
        case waiting(until: Instant)
        /// The twin is active, or is about to be until then.
        case following(patience: Instant?)
        case acquiring
        case holding
        /// Mastership is released to the twin.
        case released
        case offline
    }

    public enum Action: Sendable {
        case request(ArbiterRequest)
        /// This controller is the router from now on.
        case granted(Epoch, mayResume: Bool, reason: String)
        /// It goes on under a new epoch.
        case raised(Epoch)
        case lease(Epoch, until: Instant)
        case eligibility(Bool)
        case released
        /// It is not any more; somebody may be, under this epoch.
        case lost(Epoch)
        case event(Event)
    }

    public private(set) var stage: Stage = .offline
    public private(set) var epoch: Epoch = .zero
    public private(set) var leaseUntil: Instant = .zero
    /// Who holds mastership as far as is known.
    public private(set) var holder: ControllerID?

    private let id: ControllerID
    private let renewInterval: Duration
    private let patience: Duration
    /// How long one whose copy is stale leaves the router to its twin.
    private let staleWait: Duration
    /// Whether mastership is asked for to go on with the sessions, or to begin them anew.
    private var isResuming = false
    /// When set, a refused request is repeated after at most this long: the twin is known to be dead, and the arbiter is
    /// about to see it too.
    public var retryMaximum: Duration?
    /// This controller has nothing to be the router with: it follows an active twin, and waits as long as there is none.
    public var isWithheld = false
    private var asked: [ArbiterRequest] = []
    private var renewAt: Instant?
    private var retryAt: Instant?
    private var reason = ""

    public init(
        id: ControllerID, lastEpoch: Epoch, renewInterval: Duration, patience: Duration, staleWait: Duration
    ) {
        self.id = id
        epoch = lastEpoch
        self.renewInterval = renewInterval
        self.patience = patience
        self.staleWait = staleWait
    }

    public var isHolding: Bool { stage == .holding }
    /// Nothing may leave: the lease ran out and was not renewed.
    public func isLeaseOver(at now: Instant) -> Bool { stage == .holding && now >= leaseUntil }

    // MARK: what happens

    public mutating func start(waitForTwin: Bool, at now: Instant, into actions: inout [Action]) {
        if waitForTwin {
            stage = .waiting(until: now + patience)
        } else {
            acquire("no twin is configured", isResuming: false, into: &actions)
        }
    }

    /// The twin introduced itself. `goesFirst`: with nobody active, we do.
    public mutating func twinAppeared(_ twin: Hello, goesFirst: Bool, at now: Instant, into actions: inout [Action]) {
        switch stage {
        case .waiting, .following:
            if twin.state.isActive {
                sawActiveTwin(twin.epoch)
            } else if twin.state == .offline || twin.state == .failed {
                acquire("the twin is \(twin.state)", isResuming: false, into: &actions)
            } else if goesFirst {
                acquire("first of the two", isResuming: false, into: &actions)
            } else {
                stage = .following(patience: now + patience)
            }
        case .holding:
            // It took over while this controller was frozen or cut off, and says so before any heartbeat does.
            if twin.state.isActive, twin.epoch > epoch, !isAsked({ if case .renew = $0 { true } else { false } }) {
                ask(.renew(epoch), into: &actions)
            }
        case .acquiring, .released, .offline: break
        }
    }

    /// A beat of the twin.
    /// - Parameter isHolder: it holds mastership, whether it speaks already or not.
    public mutating func twinSays(isHolder: Bool, epoch twinEpoch: Epoch, at now: Instant, into actions: inout [Action]) {
        switch stage {
        case .waiting, .following:
            if isHolder {
                sawActiveTwin(twinEpoch)
            } else if case .following(nil) = stage {
                // It was active and is not any more; if nobody becomes it, we do.
                stage = .following(patience: now + patience)
                holder = nil
            }
        case .acquiring:
            // Refused, and here is who holds it. (A twin that has released mastership does not call itself active.)
            if isHolder, twinEpoch >= epoch {
                retryAt = nil
                sawActiveTwin(twinEpoch)
            }
        case .holding:
            // The arbiter has the last word on which of the two is the router.
            if isHolder, twinEpoch > epoch, !isAsked({ if case .renew = $0 { true } else { false } }) {
                ask(.renew(epoch), into: &actions)
            }
        case .released:
            if isHolder, twinEpoch > epoch { sawActiveTwin(twinEpoch) }
        case .offline: break
        }
    }

    private mutating func sawActiveTwin(_ twinEpoch: Epoch) {
        stage = .following(patience: nil)
        holder = id.other
        epoch = max(epoch, twinEpoch)
    }

    /// The twin is silent or its process died, and we hold a copy.
    public mutating func twinLost(_ reason: String, into actions: inout [Action]) {
        switch stage {
        case .following: acquire(reason, isResuming: true, into: &actions)
        case .waiting, .acquiring, .holding, .released, .offline: break
        }
    }

    /// Asks for mastership now.
    /// - Parameter isResuming: to go on with the sessions, which is refused without a current copy.
    public mutating func acquire(_ reason: String, isResuming: Bool, into actions: inout [Action]) {
        guard stage != .holding else { return }
        if isWithheld {
            stage = .waiting(until: .distantFuture)
            holder = nil
            return
        }
        stage = .acquiring
        self.reason = reason
        self.isResuming = isResuming
        retryAt = nil
        askToAcquire(into: &actions)
    }

    private mutating func askToAcquire(into actions: inout [Action]) {
        guard !isAsked({ if case .acquire = $0 { true } else { false } }) else { return }
        ask(.acquire(atLeast: epoch, isResuming: isResuming), into: &actions)
    }

    /// The holder raises its epoch above one that the twin remembers: nobody follows an epoch of the past.
    public mutating func raise(above greatest: Epoch, into actions: inout [Action]) {
        guard stage == .holding, greatest > epoch, !isAsked({ if case .acquire = $0 { true } else { false } }) else { return }
        ask(.acquire(atLeast: greatest, isResuming: true), into: &actions)
    }

    /// Asks again without waiting, if mastership was refused.
    public mutating func retry(into actions: inout [Action]) {
        guard stage == .acquiring, retryAt != nil else { return }
        retryAt = nil
        askToAcquire(into: &actions)
    }

    /// The twin is lost and there is nothing to resume: whoever cannot resume is slow, because a twin that is alive after
    /// all loses every session by it.
    public mutating func waitForTwin(at now: Instant) {
        if case .following = stage {
            stage = .following(patience: now + staleWait)
            holder = nil
        }
    }

    /// The twin's process is gone, and so is what it held: the router begins anew at once.
    public mutating func begin(_ reason: String, into actions: inout [Action]) {
        guard case .following = stage else { return }
        acquire(reason, isResuming: false, into: &actions)
    }

    /// Nobody has been heard of for as long as a stale copy waits, and no channel told us so.
    public mutating func twinSilent(into actions: inout [Action]) {
        guard case .following(nil) = stage else { return }
        acquire("the twin is not heard any more", isResuming: false, into: &actions)
    }

    /// FIG. 11, 1118.
    public mutating func release(into actions: inout [Action]) {
        guard stage == .holding else { return }
        renewAt = nil
        ask(.release(epoch), into: &actions)
    }

    public mutating func setTwinEligible(_ isEligible: Bool, into actions: inout [Action]) {
        guard stage == .holding else { return }
        ask(.setTwinEligible(epoch, isEligible), into: &actions)
    }

    /// After a hand-over: the twin is active.
    public mutating func follow(epoch twinEpoch: Epoch) {
        sawActiveTwin(twinEpoch)
        renewAt = nil
        retryAt = nil
    }

    public mutating func goOffline() {
        stage = .offline
        renewAt = nil
        retryAt = nil
    }

    public mutating func comeOnline(at now: Instant) {
        guard stage == .offline else { return }
        stage = .waiting(until: now + patience)
    }

    private func isAsked(_ matches: (ArbiterRequest) -> Bool) -> Bool { asked.contains(where: matches) }

    private mutating func ask(_ request: ArbiterRequest, into actions: inout [Action]) {
        // What is under way is at most one of each kind, and an eligibility change or two.
        asked.append(request)
        actions.append(.request(request))
    }

    // MARK: the arbiter's answers

    /// - Parameter request: which one is answered, where that is known.
    public mutating func answered(
        _ answer: ArbiterAnswer, to answeredRequest: ArbiterRequest? = nil, at now: Instant, into actions: inout [Action]
    ) {
        guard !asked.isEmpty else { return }
        // The pair keeps the answer about eligibility back until the twin has understood, and answers others meanwhile.
        let request = asked.remove(
            at: answeredRequest.flatMap { asked.firstIndex(of: $0) } ?? asked.firstIndex { Self.belongs(answer, to: $0) } ?? 0)
        if answer.isReal { trouble = nil }
        switch answer {
        case .granted(let granted, let until, let mayResume):
            epoch = max(epoch, granted)
            if stage == .holding {
                leaseUntil = until
                actions.append(.lease(granted, until: until))
                actions.append(.raised(granted))
                return
            }
            guard stage == .acquiring else {
                // Not wanted any more: give it back at once.
                actions.append(.request(.release(granted)))
                asked.append(.release(granted))
                return
            }
            stage = .holding
            // What was asked of an earlier mastership is of no interest to this one.
            repeatAt = []
            holder = id
            leaseUntil = until
            renewAt = until == .distantFuture ? nil : now + renewInterval
            actions.append(.lease(granted, until: until))
            actions.append(.granted(granted, mayResume: mayResume, reason: reason))
        case .denied(let holder, let inForce, let retry):
            epoch = max(epoch, inForce)
            guard stage == .acquiring else { return }
            self.holder = holder
            retryAt = max(min(retry, now + (retryMaximum ?? .seconds(1))), now + .milliseconds(1))
        case .notCurrent(let inForce):
            epoch = max(epoch, inForce)
            guard stage == .acquiring else { return }
            if retryMaximum != nil {
                // The twin is dead, and what it held is gone: there is nobody to wait for.
                isResuming = false
                return askToAcquire(into: &actions)
            }
            stage = .following(patience: now + staleWait)
            actions.append(
                .event(
                    Event(
                        .alarm, "srm",
                        "the twin is lost (\(reason)), and our copy is stale: "
                            + "the router starts anew in \(staleWait.inMilliseconds) ms unless the twin comes back")))
        case .renewed(let renewed, let until):
            guard stage == .holding, renewed == epoch else { return }
            leaseUntil = until
            renewAt = now + renewInterval
            actions.append(.lease(epoch, until: until))
        case .released(let released):
            // Of a grant that came too late and was given back, it says nothing about the one we hold.
            guard stage == .holding, released == epoch else { return }
            stage = .released
            holder = nil
            leaseUntil = now
            actions.append(.lease(epoch, until: .zero))
            actions.append(.released)
        case .twinEligibility(_, let isEligible):
            actions.append(.eligibility(isEligible))
        case .lost(let inForce):
            epoch = max(epoch, inForce)
            guard stage == .holding else { return }
            stage = .following(patience: now + patience)
            holder = id.other
            leaseUntil = .zero
            renewAt = nil
            actions.append(.lease(epoch, until: .zero))
            actions.append(.lost(inForce))
        case .unavailable(let why), .unasked(let why):
            // Asked many times a second, and said once.
            if trouble != why {
                trouble = why
                actions.append(.event(Event(.alarm, "srm", "the arbiter cannot be asked: \(why)")))
            }
            switch request {
            case .renew: renewAt = now + renewInterval
            case .acquire: retryAt = now + .milliseconds(50)
            // Asked again until there is an answer: the gate must not open without it.
            case .release, .setTwinEligible: repeatAt.append((now + .milliseconds(50), request))
            }
        }
    }
    private var repeatAt: [(Instant, ArbiterRequest)] = []
    /// Why the arbiter could not be asked the last time.
    private var trouble: String?

    private static func belongs(_ answer: ArbiterAnswer, to request: ArbiterRequest) -> Bool {
        switch (answer, request) {
        case (.granted, .acquire), (.denied, .acquire), (.notCurrent, .acquire), (.renewed, .renew), (.released, .release),
            (.twinEligibility, .setTwinEligible), (.lost, .renew), (.lost, .release), (.lost, .setTwinEligible),
            (.unavailable, _), (.unasked, _):
            true
        default: false
        }
    }

    // MARK: time

    public mutating func tick(at now: Instant, into actions: inout [Action]) {
        switch stage {
        case .waiting(let until):
            if until <= now { acquire("no twin within \(patience.inMilliseconds) ms", isResuming: false, into: &actions) }
        case .following(let until?):
            if until <= now { acquire("the twin did not become active", isResuming: false, into: &actions) }
        case .acquiring:
            if let retryAt, retryAt <= now {
                self.retryAt = nil
                askToAcquire(into: &actions)
            }
        case .holding:
            if let renewAt, renewAt <= now { renew(into: &actions) }
            var later: [(Instant, ArbiterRequest)] = []
            for (due, request) in repeatAt {
                if due <= now { ask(request, into: &actions) } else { later.append((due, request)) }
            }
            repeatAt = later
        case .following(nil), .released, .offline: break
        }
    }

    /// Asks for a longer lease now, unless that is asked already.
    public mutating func renew(into actions: inout [Action]) {
        guard stage == .holding else { return }
        // Not due any more, even if it is asked already: the answer sets the next time.
        renewAt = nil
        guard !isAsked({ if case .renew = $0 { true } else { false } }),
            !isAsked({ if case .release = $0 { true } else { false } })
        else { return }
        ask(.renew(epoch), into: &actions)
    }

    public var nextDeadline: Instant? {
        switch stage {
        case .waiting(let until): return until
        case .following(let until): return until
        case .acquiring: return retryAt
        case .holding:
            let again = repeatAt.map(\.0).min()
            guard let renewAt else { return again }
            return again.map { min($0, renewAt) } ?? renewAt
        case .released, .offline: return nil
        }
    }
}
