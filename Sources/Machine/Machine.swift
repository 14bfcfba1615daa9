/// A deterministic state machine without I/O.
///
/// `handle` is its only verb and `nextDeadline` its only question. Same inputs at same times, same effects, same state:
/// in a test, in the simulator, on the active and on the standby.
public protocol Machine {
    associatedtype Input
    associatedtype Effect

    /// Applies one input and appends what follows from it. Timers that are due at `now` fire by an input of their own
    /// (each machine names it), in order of deadline, then of creation.
    mutating func handle(_ input: Input, at now: Instant, into effects: inout [Effect])

    /// When the machine next wants to be told the time, or `nil` for never.
    var nextDeadline: Instant? { get }
}
