import Machine
import Wire

/// RFC 8405 §5: when to calculate routes after a change. One change alone is answered fast; a storm is waited out.
struct SPFBackOff: Hashable, Sendable {
    enum State: UInt8, Sendable {
        case quiet = 0
        case shortWait = 1
        case longWait = 2
    }
    /// What the owner of the timers is to do.
    struct Answer: Hashable, Sendable {
        /// Start SPF_TIMER with this delay, unless it runs.
        var delay: Duration
        var startsLearn = false
    }
    private(set) var state = State.quiet

    /// §5.4: an IGP event. HOLDDOWN_TIMER is started, or starts again, with each of them.
    mutating func igpEvent(_ timers: OSPFSPFTimers) -> Answer {
        switch state {
        case .quiet:
            // Transition 1
            state = .shortWait
            return Answer(delay: .milliseconds(Int(timers.initialDelay)), startsLearn: true)
        case .shortWait: return Answer(delay: .milliseconds(Int(timers.shortDelay)))
        case .longWait: return Answer(delay: .milliseconds(Int(timers.longDelay)))
        }
    }

    /// Transition 3
    mutating func learnExpires() { if state == .shortWait { state = .longWait } }
    /// Transitions 5 and 6
    mutating func holdDownExpires() { state = .quiet }

    func write(to writer: inout SnapshotWriter) { writer.write(state.rawValue) }
    init() {}
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        guard let state = State(rawValue: try reader.read()) else {
            throw DecodeError("SPF back-off", at: reader.position, .badValue)
        }
        self.state = state
    }
}

/// When routes were calculated, and from how much news. For display; not state.
public struct SPFLog: Sendable {
    public struct Entry: Hashable, Sendable {
        /// When the first change came that it answers.
        public var trigger: Instant
        public var time: Instant
        /// LSAs that were different.
        public var changes: Int
        /// Routes that came out different.
        public var routes: Int
    }
    static let maximum = 64
    /// The newest last.
    public internal(set) var entries: [Entry] = []
    public internal(set) var count: UInt64 = 0

    mutating func append(_ entry: Entry) {
        count &+= 1
        if entries.count == Self.maximum { entries.removeFirst() }
        entries.append(entry)
    }
}
