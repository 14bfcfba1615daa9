import Machine

/// The pair's own time on one controller: an offset to its monotonic clock.
///
/// The active defines it. The standby estimates the offset from heartbeats and remembers the greatest time it has seen,
/// so that when it takes over, router time goes on and never back: TCP timestamps (RFC 7323 §5) and cryptographic
/// sequence numbers hang on it.
public struct RouterClock: Sendable {
    /// Router time minus local time, in nanoseconds.
    private var offset: Int64
    /// The greatest router time seen in anything from the active.
    public private(set) var newest: Instant = .zero
    /// The greatest that a twin said which is not the router: what it would begin a router with. Whoever resumes goes on with
    /// the router's own time; its host's time of day may be another, and hold timers would end by the difference.
    private var claimed: Instant = .zero
    /// Best (largest: least delay) samples of the window before and of this one; two windows follow a drifting clock.
    private var previousSample: Int64?
    private var currentSample: Int64?
    private var windowEnds: Instant = .zero
    private static let window: Duration = .seconds(10)

    /// - Parameter start: what router time is ahead of the local clock before anybody else has defined it.
    public init(start: Duration = .zero) { offset = start.inNanoseconds }

    public func routerTime(at local: Instant) -> Instant {
        Instant(nanoseconds: max(local.nanoseconds &+ offset, newest.nanoseconds))
    }

    /// The local time of a point of router time; for deadlines.
    public func localTime(of router: Instant) -> Instant {
        router == .distantFuture ? .distantFuture : Instant(nanoseconds: router.nanoseconds &- offset)
    }

    /// The active's time as a heartbeat brought it.
    public mutating func follow(_ router: Instant, at local: Instant) {
        let sample = router.nanoseconds &- local.nanoseconds
        if local >= windowEnds {
            previousSample = currentSample
            currentSample = sample
            windowEnds = local + Self.window
        } else {
            currentSample = max(currentSample ?? sample, sample)
        }
        offset = max(currentSample ?? sample, previousSample ?? .min)
        saw(router)
    }

    /// This controller follows a router that began without it, perhaps on a host whose time of day is behind ours: what it saw
    /// before was another router's time, and would make hold timers end if it came back at a take-over.
    public mutating func forget() {
        newest = .zero
        previousSample = nil
        currentSample = nil
        windowEnds = .zero
    }

    /// What a twin says that is not the active.
    public mutating func heardClaim(of router: Instant) { claimed = max(claimed, router) }

    /// A router time in a record.
    public mutating func saw(_ router: Instant) { newest = max(newest, router) }

    /// This controller becomes the active: its time starts past all that the twin may have used. The margin covers what
    /// the twin did after its newest heartbeat left and the delay of that heartbeat.
    /// - Parameter isFresh: sessions begin anew. Sequence numbers that hang on time must not go back behind what the twin may
    ///   have used in a life as the router of which this controller knows nothing.
    public mutating func takeOver(at local: Instant, margin: Duration, isFresh: Bool = false) {
        if isFresh { saw(claimed) }
        let start = routerTime(at: local) + margin
        offset = start.nanoseconds &- local.nanoseconds
        newest = start
        previousSample = nil
        currentSample = nil
        windowEnds = .zero
    }
}
