import Machine

/// How late beats of a living twin are at times: on hosts that are busy, or links that jam.
///
/// A detection time that the hosts cannot keep costs changes of role for nothing. So whoever waits for a silent twin waits
/// longer (`patience`) once it is a habit: three pauses of more than half the detection time within one to two minutes. Then
/// it waits twice the longest of them, four times the detection time at most, and no longer than the neighbours' BFD bears
/// (`TwinWatch.patienceMaximum`). Waiting longer is always safe; the right to speak hangs on the configured time alone.
struct BeatRhythm: Sendable, BitwiseCopyable {
    static let window: Duration = .seconds(60)
    static let habit = 3
    static let patienceFactor = 4

    private struct Pauses: Sendable, BitwiseCopyable {
        var count = 0
        var longest = Duration.zero
    }
    private var current = Pauses()
    private var previous = Pauses()
    private var since: Instant?

    /// A beat came after a pause in which we listened.
    mutating func note(pause: Duration, detectionTime: Duration, at now: Instant) {
        turn(at: now)
        // A longer one was no pause: the twin was given up.
        guard pause > detectionTime / 2, pause < detectionTime * Self.patienceFactor else { return }
        current.count = min(current.count + 1, 1 << 20)
        current.longest = max(current.longest, pause)
    }

    private mutating func turn(at now: Instant) {
        guard let begin = since, now < begin + Self.window * 2 else {
            self = BeatRhythm()
            since = now
            return
        }
        guard now >= begin + Self.window else { return }
        previous = current
        current = Pauses()
        since = begin + Self.window
    }

    /// How long a silence of the twin may last before it means anything; never less than the detection time.
    func patience(detectionTime: Duration, at now: Instant) -> Duration {
        guard let since, now < since + Self.window * 2, current.count + previous.count >= Self.habit else { return detectionTime }
        return min(max(detectionTime, max(current.longest, previous.longest) * 2), detectionTime * Self.patienceFactor)
    }
}
