import Machine
import Records

/// The requests of one controller on their way to a vote elsewhere, as a machine without sockets and clock.
///
/// Every request is answered exactly once and in order, whatever happens to the connection:
///
/// - One request is under way at a time. Its outcome is unknown when the connection breaks, so it goes out again under the
///   number that it had; the vote knows the number and neither loses it nor carries it out twice.
/// - A request that is not answered in time becomes `unavailable` for the controller. It stays *in doubt* here, before all
///   later ones, until its outcome is known. If the controller asks the same again meanwhile, the one in doubt serves it.
/// - One that was never sent because nothing is connected is `unasked`: it is not in doubt, and never goes out.
/// - What was granted to nobody's ears (the controller had been told `unavailable`) is kept and answers the next `acquire`:
///   asked anew, the vote would say that the holder's own copy is current, which the lost answer may have denied.
///
/// Leases count from the moment at which a request was sent first, so no round trip, pause or repetition makes them longer
/// than the vote thinks; and a little less, because clocks differ.
public struct VoteQueue: Sendable {
    /// What is to be sent.
    public struct Attempt: Hashable, Sendable {
        /// The same for every repetition, greater for every later request.
        public var number: UInt64
        public var request: ArbiterRequest
        /// What the vote has confirmed of the twin's copy under our epoch, for one that lost its memory.
        public var isTwinEligible: Bool
        /// From when its lease counts.
        public var sent: Instant

        public init(number: UInt64, request: ArbiterRequest, isTwinEligible: Bool, sent: Instant) {
            self.number = number
            self.request = request
            self.isTwinEligible = isTwinEligible
            self.sent = sent
        }
    }
    private struct Entry: Sendable {
        var request: ArbiterRequest
        var number: UInt64?
        var firstSent: Instant?
        /// `nil`: the controller has been told that there is no answer.
        var deadline: Instant?

        var isRenewal: Bool { if case .renew = request { true } else { false } }
    }

    private let patience: Duration
    private var entries: [Entry] = []
    private var isLinked = false
    /// The last attempt to connect failed.
    private var isBroken = false
    private var isUnderWay = false
    private var nextNumber: UInt64 = 1
    private var confirmed: (epoch: Epoch, isTwinEligible: Bool) = (.zero, false)
    /// What we hold as far as the vote has said.
    private var held: Epoch?
    private var unheard: (epoch: Epoch, leaseUntil: Instant, mayResume: Bool)?
    private var trouble = "not connected yet"
    private var answers: [ArbiterAnswer] = []

    /// - Parameter patience: how long a request waits for its answer.
    public init(patience: Duration) { self.patience = patience }

    /// What clocks may differ in: a thousandth, and a millisecond for what is on its way.
    public static func leaseEnd(sent: Instant, _ lease: Duration) -> Instant {
        sent + max(.zero, lease - lease / 1000 - .milliseconds(1))
    }

    // MARK: the controller

    public mutating func ask(_ request: ArbiterRequest, at now: Instant) {
        if case .acquire(let least, _) = request, let grant = unheard, entries.isEmpty {
            if grant.epoch > least {
                unheard = nil
                answers.append(.granted(grant.epoch, leaseUntil: grant.leaseUntil, mayResume: grant.mayResume))
                return
            }
        }
        // Behind others it goes out twice instead, for answers come in the order of their requests.
        if entries.count == 1, entries[0].deadline == nil, entries[0].request == request, !entries[0].isRenewal {
            entries[0].deadline = now + patience
            return
        }
        if case .acquire = request, isBroken, entries.isEmpty {
            // Whoever wants mastership answers its twin nothing until it knows: better it knows at once.
            answers.append(.unasked(trouble.isEmpty ? "not connected" : trouble))
            return
        }
        entries.append(Entry(request: request, deadline: now + patience))
    }

    /// The answers that are due, in the order of their requests.
    public mutating func takeAnswers() -> [ArbiterAnswer] {
        defer { answers = [] }
        return answers
    }

    public var isIdle: Bool { entries.isEmpty }

    // MARK: the link

    public mutating func linkOpened() {
        isLinked = true
        isBroken = false
        isUnderWay = false
        trouble = ""
        // A vote that has lost its memory should hear of the holder before anybody else asks.
        guard let held, !entries.contains(where: \.isRenewal) else { return }
        entries.insert(Entry(request: .renew(held)), at: entries.first?.number == nil ? 0 : 1)
    }

    public mutating func linkClosed(_ reason: String) {
        isLinked = false
        isBroken = true
        isUnderWay = false
        trouble = reason
        // Nobody waits for it, and a renewal more or less changes nothing.
        if let first = entries.first, first.deadline == nil, first.isRenewal { entries.removeFirst() }
    }

    /// The attempt under way failed, and whether it was carried out is unknown; the link is there.
    public mutating func attemptFailed(_ reason: String) {
        trouble = reason
        isUnderWay = false
        if let first = entries.first, first.deadline == nil, first.isRenewal { entries.removeFirst() }
    }

    /// What goes out now, if anything does.
    public mutating func next(at now: Instant) -> Attempt? {
        guard isLinked, !isUnderWay, !entries.isEmpty else { return nil }
        isUnderWay = true
        if entries[0].number == nil {
            entries[0].number = nextNumber
            nextNumber += 1
        }
        // A renewal may be carried out twice; the later one counts.
        if entries[0].firstSent == nil || entries[0].isRenewal { entries[0].firstSent = now }
        let request = entries[0].request
        var isEligible = false
        if case .renew(let epoch) = request, epoch == confirmed.epoch { isEligible = confirmed.isTwinEligible }
        return Attempt(
            number: entries[0].number!, request: request, isTwinEligible: isEligible, sent: entries[0].firstSent ?? now)
    }

    /// The vote's answer to the attempt of that number. Returns false for one that nobody waits for.
    @discardableResult
    public mutating func answered(_ number: UInt64, _ answer: VoteAnswer, at now: Instant) -> Bool {
        guard isUnderWay, let entry = entries.first, entry.number == number, let sent = entry.firstSent else { return false }
        isUnderWay = false
        entries.removeFirst()
        let isHeard = entry.deadline != nil
        let result: ArbiterAnswer
        switch answer {
        case .granted(let epoch, let lease, let mayResume):
            let end = Self.leaseEnd(sent: sent, lease)
            // A grant that nobody heard made the copy current in the vote's eyes only.
            let resumes = mayResume && (unheard?.mayResume ?? true)
            confirmed = (epoch, false)
            held = isHeard ? epoch : nil
            unheard = isHeard ? nil : (epoch, end, resumes)
            result = .granted(epoch, leaseUntil: end, mayResume: resumes)
        case .denied(let holder, let epoch, let retryAfter):
            unheard = nil
            result = .denied(holder: holder, epoch, retryAt: now + retryAfter)
        case .notCurrent(let epoch):
            unheard = nil
            result = .notCurrent(epoch)
        case .renewed(let epoch, let lease):
            held = epoch
            result = .renewed(epoch, leaseUntil: Self.leaseEnd(sent: sent, lease))
        case .released(let epoch):
            held = nil
            result = .released(epoch)
        case .twinEligibility(let epoch, let isEligible):
            confirmed = (epoch, isEligible)
            result = .twinEligibility(epoch, isEligible)
        case .lost(let epoch):
            held = nil
            result = .lost(epoch)
        case .unavailable(let reason): result = .unavailable(reason)
        }
        if isHeard { answers.append(result) }
        return true
    }

    // MARK: time

    /// Requests that have waited too long are answered.
    public mutating func tick(at now: Instant) {
        var kept: [Entry] = []
        for (position, entry) in entries.enumerated() {
            guard let deadline = entry.deadline, deadline <= now else {
                kept.append(entry)
                continue
            }
            let reason = "no answer within \(patience.inMilliseconds) ms" + (trouble.isEmpty ? "" : " (\(trouble))")
            answers.append(entry.firstSent == nil ? .unasked(reason) : .unavailable(reason))
            // What was never sent is not in doubt, and a renewal in doubt is of no interest unless its answer is to come.
            guard entry.firstSent != nil, !entry.isRenewal || (position == 0 && isUnderWay) else { continue }
            var doubtful = entry
            doubtful.deadline = nil
            kept.append(doubtful)
        }
        entries = kept
    }

    public var nextDeadline: Instant? { entries.compactMap(\.deadline).min() }

    /// Says why nothing gets through, until it is known better.
    public mutating func note(_ reason: String) {
        trouble = reason
        if !isLinked { isBroken = true }
    }
}
