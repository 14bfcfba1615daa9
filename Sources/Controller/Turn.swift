import Machine
import Records

/// One turn of a controller: in which order the news of a world are heard and the controller's wishes carried out, when the
/// time is told, and what the gate lets pass.
///
/// The edge of a host and the simulated world run this code alike. They say what has come (`hear`, `receive`), end the turn,
/// and then do one `Step` after the other until it is `done`; what a step brings is heard in between and belongs to the same
/// turn. A turn is a value: a world that stops in the midst of one goes on later where it was.
///
/// Order within a turn:
///
/// 1. whatever has come, as the world finds it: frames, reports of the engine, datagrams, the operator; at last what the
///    twin sent over the channel, so that it is heard before its silence is judged;
/// 2. the time, if it is due;
/// 3. the end of the burst: what all of that came to is logged, shipped to the twin and acknowledged as one;
/// 4. the outputs, in order. What waits for the twin leaves before anybody else hears of it;
/// 5. frames for the segments, if the right to speak runs at that very moment (DESIGN §8).
public struct Turn {
    /// What the world does next.
    public enum Step {
        case carryOut(ControllerOutput)
        /// What waits for the twin leaves now.
        case flushChannel
        /// The frames of this turn leave, or are dropped: whoever lost the right to speak while they were made sends none.
        case releaseFrames(isAllowed: Bool)
        case done
    }
    private enum Phase { case hearing, ending, carryingOut, flushed, releasing }

    private var phase = Phase.hearing
    private var outputs: [ControllerOutput] = []
    private var position = 0
    /// Something was heard since the last end of a burst.
    private var hasNews = false
    /// Frames may leave until then.
    public private(set) var gateUntil = Instant.zero

    /// This thread or the whole machine stood still: the time waits until then, so that heartbeats of a twin that stood
    /// still with us can come in before we judge it.
    private var timeHeldUntil: Instant?
    /// Later than this is not a late timer but a stop.
    public static let stall = Duration.milliseconds(20)
    public static let afterStall = Duration.milliseconds(5)

    public init() {}

    // MARK: hearing

    public mutating func hear(_ input: consuming ControllerInput, _ controller: inout Controller, at now: Instant) {
        controller.handle(input, at: now, into: &outputs)
        hasNews = true
    }

    public mutating func receive(
        _ frame: RawSpan, on interface: InterfaceID, _ controller: inout Controller, at now: Instant
    ) {
        controller.receive(frame, on: interface, at: now, into: &outputs)
        hasNews = true
    }

    /// Tells the time, if that is due.
    public mutating func tellTime(_ controller: inout Controller, at now: Instant, isTwinConnected: Bool) {
        guard let deadline = controller.nextDeadline, deadline <= now else { return }
        if let held = timeHeldUntil {
            guard now >= held else { return }
            timeHeldUntil = nil
        } else if now - deadline > Self.stall, isTwinConnected {
            timeHeldUntil = now + Self.afterStall
            return
        }
        hear(.time, &controller, at: now)
    }

    /// When the time must be told next.
    /// - Parameter wanted: `Controller.nextDeadline`.
    public func deadline(_ wanted: Instant?) -> Instant? {
        guard let wanted else { return nil }
        return timeHeldUntil.map { max(wanted, $0) } ?? wanted
    }

    // MARK: the end

    /// Everything that had come was heard.
    public mutating func end() { phase = .ending }

    public mutating func next(_ controller: inout Controller, at now: Instant) -> Step {
        while true {
            if phase == .ending {
                hasNews = false
                controller.handle(.endOfBatch, at: now, into: &outputs)
                phase = .carryingOut
            }
            if position < outputs.count {
                position += 1
                let output = outputs[position - 1]
                if case .lease(_, let until) = output { gateUntil = until }
                return .carryOut(output)
            }
            outputs.removeAll(keepingCapacity: true)
            position = 0
            switch phase {
            case .hearing: return .done
            case .ending: break
            case .carryingOut:
                phase = .flushed
                return .flushChannel
            case .flushed where hasNews: phase = .ending
            case .flushed:
                phase = .releasing
                return .releaseFrames(isAllowed: now < gateUntil)
            case .releasing: phase = .hearing
            }
        }
    }
}
