import Machine
import Records

/// Whether neighbours on a port answer when they are asked.
public enum TrialOutcome: UInt8, Hashable, Sendable, BitwiseCopyable, CaseIterable {
    /// Nobody was asked lately, or not yet often enough.
    case untried = 0
    case answered = 1
    case unanswered = 2
}

/// The questions that a controller puts to neighbours on a port when something is suspicious, as bonded interfaces do that
/// watch their links by ARP. A port is good if an answer comes: what left was heard and what came in, too. No answer says
/// that one of the two fails, or the neighbour; the twin's own questions to the same neighbours say which.
///
/// An answer is forgotten (`answerMaximum`) before a silence is complete (`silenceMinimum`), so a neighbour or a segment
/// that dies is unanswered on both sides and never on one alone.
struct PortTrial: Sendable, BitwiseCopyable {
    /// A question so long after the one before begins anew: between them nobody listened for an answer.
    static let gapMaximum = Duration.milliseconds(400)
    static let answerMaximum = Duration.milliseconds(100)
    static let silenceMinimum = Duration.milliseconds(120)
    /// Each neighbour that may be asked, and one more.
    static let questionsMinimum = PortReport.stationsMaximum + 1

    /// Since the newest answer.
    private(set) var asked = 0
    private(set) var firstAskedAt: Instant?
    private(set) var askedAt: Instant?
    private(set) var answeredAt: Instant?

    mutating func ask(at now: Instant) {
        if firstAskedAt == nil || askedAt.map({ now > $0 + Self.gapMaximum }) ?? true {
            firstAskedAt = now
            asked = 0
        }
        asked = min(asked + 1, 1 << 20)
        askedAt = now
    }

    mutating func answer(at now: Instant) {
        answeredAt = now
        firstAskedAt = nil
        asked = 0
    }

    mutating func beginAnew() {
        asked = 0
        firstAskedAt = nil
    }

    /// When the silence will be complete, if no answer comes.
    var silenceEnds: Instant? { firstAskedAt.map { $0 + Self.silenceMinimum } }

    func outcome(at now: Instant) -> TrialOutcome {
        if let askedAt, let silenceEnds, asked >= Self.questionsMinimum, now >= silenceEnds,
            now <= askedAt + Self.gapMaximum
        {
            return .unanswered
        }
        return isAnswered(within: Self.answerMaximum, at: now) ? .answered : .untried
    }

    func isAnswered(within time: Duration, at now: Instant) -> Bool { answeredAt.map { now <= $0 + time } ?? false }
}
