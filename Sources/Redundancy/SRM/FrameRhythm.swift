import Machine

/// How often something is usually heard, and for how long it is usually silent: an estimate in integers over two
/// windows, the one that runs and the one before it.
///
/// The usual silence is the *second* longest of both windows: one frame that came late changes nothing, a second one
/// does. Nothing is usual before eight silences over two seconds, and a port on which nobody has spoken for two windows
/// has forgotten what was usual: that is how a LAN that became quiet stops being suspicious.
struct FrameRhythm: Sendable, BitwiseCopyable {
    private struct Window: BitwiseCopyable {
        var frames = 0
        var gaps = 0
        /// Nanoseconds.
        var longest: Int64 = 0
        var second: Int64 = 0

        mutating func add(gap: Int64) {
            gaps += 1
            if gap > longest {
                second = longest
                longest = gap
            } else if gap > second {
                second = gap
            }
        }
    }

    static let gapsMinimum = 8
    static let learningMinimum = Duration.seconds(2)

    let window: Duration
    private var current = Window()
    private var previous = Window()
    /// When the running window began, and when learning did; `nil` before the first frame.
    private var began: Instant?
    private var learnsSince: Instant?
    private var last: Instant?

    init(window: Duration) { self.window = window }

    /// Frames were heard. `learns`: whether the silence before them was an ordinary one; that of a fault must not become
    /// what is usual.
    mutating func note(_ frames: Int, learns: Bool, at now: Instant) {
        rotate(at: now)
        if learns, let last, now > last { current.add(gap: (now - last).inNanoseconds) }
        // A burst of any size is a few samples; and the sum cannot overflow.
        current.frames += min(frames, 1 << 20)
        last = now
    }

    private mutating func rotate(at now: Instant) {
        guard let began, now < began + window * 2 else {
            current = Window()
            previous = Window()
            self.began = now
            learnsSince = now
            return
        }
        guard now >= began + window else { return }
        previous = current
        current = Window()
        self.began = began + window
    }

    /// The silence that runs is not one of the LAN's: no carrier, or this process slept.
    mutating func pause() { last = nil }

    mutating func forget() { self = FrameRhythm(window: window) }

    private func isStale(at now: Instant) -> Bool { began.map { now >= $0 + window * 2 } ?? true }

    /// Frames of the newest one to two windows.
    func frames(at now: Instant) -> Int { isStale(at: now) ? 0 : current.frames + previous.frames }

    /// The usual longest silence; `nil` when nothing is usual.
    func usualSilence(at now: Instant) -> Duration? {
        guard !isStale(at: now), let learnsSince, now >= learnsSince + Self.learningMinimum,
            current.gaps + previous.gaps >= Self.gapsMinimum
        else { return nil }
        let second =
            current.longest > previous.longest
            ? max(current.second, previous.longest) : max(previous.second, current.longest)
        return .nanoseconds(second)
    }
}
