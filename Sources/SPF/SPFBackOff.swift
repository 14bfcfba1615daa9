import Machine
import Wire

/// RFC 8405 §5.1: the delays of the route calculation, in milliseconds, 0…600,000 each (§6 asks for 60 s at least).
public struct SPFDelays: Hashable, Sendable, Codable {
    /// INITIAL_SPF_DELAY
    public var initialDelay: UInt32 = 50
    /// SHORT_SPF_DELAY
    public var shortDelay: UInt32 = 200
    /// LONG_SPF_DELAY
    public var longDelay: UInt32 = 5_000
    /// TIME_TO_LEARN_INTERVAL
    public var timeToLearn: UInt32 = 500
    /// HOLDDOWN_INTERVAL
    public var holdDown: UInt32 = 10_000

    public init() {}
}

/// The state machine of RFC 8405 §5: how soon routes are calculated after a change. One change alone is answered fast; a
/// storm is waited out. Its owner keeps the timers.
public struct SPFBackOff: Sendable, Hashable {
    public enum State: UInt8, Sendable {
        case quiet = 0
        case shortWait = 1
        case longWait = 2
    }
    public private(set) var state = State.quiet

    /// Timers that an event calls for.
    public struct Start: Equatable, Sendable {
        /// Of SPF_TIMER, if it is not running.
        public var delay: Duration
        /// LEARN_TIMER begins; `nil` leaves it alone.
        public var learn: Duration?
        /// HOLDDOWN_TIMER begins anew.
        public var holdDown: Duration
    }

    public init() {}

    /// §5.4 transitions 1, 2 and 3: an IGP event.
    public mutating func event(_ delays: SPFDelays) -> Start {
        func milliseconds(_ value: UInt32) -> Duration { .milliseconds(Int64(value)) }
        let holdDown = milliseconds(delays.holdDown)
        switch state {
        case .quiet:
            state = .shortWait
            return Start(delay: milliseconds(delays.initialDelay), learn: milliseconds(delays.timeToLearn), holdDown: holdDown)
        case .shortWait: return Start(delay: milliseconds(delays.shortDelay), learn: nil, holdDown: holdDown)
        case .longWait: return Start(delay: milliseconds(delays.longDelay), learn: nil, holdDown: holdDown)
        }
    }
    /// Transition 4: LEARN_TIMER expired.
    public mutating func learned() { if state == .shortWait { state = .longWait } }
    /// Transitions 5 and 6: HOLDDOWN_TIMER expired.
    public mutating func becameQuiet() { state = .quiet }

    public func write(to writer: inout SnapshotWriter) { writer.write(state.rawValue) }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let state = State(rawValue: try reader.read()) else {
            throw DecodeError("SPF back-off", at: reader.position, .badValue)
        }
        self.state = state
    }
}
