import Machine

/// Keeps changes of role that health asks for from coming faster than neighbours can follow.
///
/// The first is free. Each further one waits for a hold-off since the one before: 2 s, then twice as long each time, up to
/// 60 s. Each minute without a change, after the hold-off, takes one doubling back. Both controllers carry the same
/// damper: the report of ports tells the twin, since it is the twin that would ask for the next change.
///
/// A value; times are on the clock of its controller.
public struct RoleDamper: Hashable, Sendable {
    public static let levelMaximum: UInt8 = 6
    static let forgetsAfter = Duration.seconds(60)

    public let holdOffMinimum: Duration
    public let holdOffMaximum: Duration
    /// Changes that are not forgotten, as of `until`.
    private var storedLevel: UInt8 = 0
    /// Until when no change is allowed.
    public private(set) var until: Instant = .zero

    public init(holdOffMinimum: Duration = .seconds(2), holdOffMaximum: Duration = .seconds(60)) {
        self.holdOffMinimum = holdOffMinimum
        self.holdOffMaximum = holdOffMaximum
    }

    /// 0: the next change is free.
    public func level(at now: Instant) -> UInt8 {
        guard now > until else { return storedLevel }
        let forgotten = (now - until).inNanoseconds / Self.forgetsAfter.inNanoseconds
        return forgotten >= Int64(storedLevel) ? 0 : storedLevel - UInt8(forgotten)
    }

    public func allows(at now: Instant) -> Bool { now >= until }

    /// A change begins.
    public mutating func noteChange(at now: Instant) {
        storedLevel = min(level(at: now) + 1, Self.levelMaximum)
        until = now + min(holdOffMinimum * (1 << Int(storedLevel - 1)), holdOffMaximum)
    }

    /// No change before then.
    mutating func postpone(until later: Instant) { until = max(until, later) }

    /// What is left of the hold-off.
    public func remaining(at now: Instant) -> Duration { max(until - now, .zero) }

    /// The twin's damper. Only a hold-off that runs is adopted, and only one that is news: the same one, told back and
    /// forth, must neither grow by the delay of the channel nor keep itself from being forgotten.
    mutating func adopt(level: UInt8, remaining: Duration, at now: Instant) {
        guard remaining > .zero else { return }
        let theirs = now + min(remaining, holdOffMaximum)
        guard level > self.level(at: now) || theirs > until + .milliseconds(500) else { return }
        storedLevel = min(max(level, self.level(at: now)), Self.levelMaximum)
        until = max(until, theirs)
    }
}
