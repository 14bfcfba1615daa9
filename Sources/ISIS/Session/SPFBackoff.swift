import Machine
import Wire

/// The state machine of RFC 8405 §5: how soon routes are calculated after a change.
struct SPFBackoff: Sendable, Equatable {
    enum State: UInt8, Sendable {
        case quiet = 0
        case shortWait = 1
        case longWait = 2
    }
    private(set) var state = State.quiet

    /// Timers that an event calls for; `nil` leaves one alone.
    struct Start: Equatable {
        /// Of SPF_TIMER, if it is not running.
        var delay: Duration
        /// LEARN_TIMER begins.
        var learn: Duration?
        /// HOLDDOWN_TIMER begins anew.
        var holdDown: Duration
    }

    /// §5.2 transitions 1, 2 and 3: an IGP event.
    mutating func event(_ configuration: ISISBackoff) -> Start {
        let holdDown = Duration.milliseconds(Int64(configuration.holdDown))
        switch state {
        case .quiet:
            state = .shortWait
            return Start(
                delay: .milliseconds(Int64(configuration.initialDelay)),
                learn: .milliseconds(Int64(configuration.timeToLearn)), holdDown: holdDown)
        case .shortWait:
            return Start(delay: .milliseconds(Int64(configuration.shortDelay)), learn: nil, holdDown: holdDown)
        case .longWait:
            return Start(delay: .milliseconds(Int64(configuration.longDelay)), learn: nil, holdDown: holdDown)
        }
    }
    /// Transition 4: LEARN_TIMER expired.
    mutating func learned() { if state == .shortWait { state = .longWait } }
    /// Transitions 5 and 6: HOLDDOWN_TIMER expired.
    mutating func becameQuiet() { state = .quiet }

    var digest: UInt64 { UInt64(state.rawValue) }

    func write(to writer: inout SnapshotWriter) { writer.write(state.rawValue) }
    init() {}
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let state = State(rawValue: try reader.read()) else {
            throw DecodeError("SPF back-off", at: reader.position, .badValue)
        }
        self.state = state
    }
}
