import Machine
import Records

/// Both directions of the heartbeats on the channel: when to send, and whether the twin is silent for too long.
public struct HeartbeatMonitor: Sendable {
    public let interval: Duration
    public let detectionTime: Duration
    public private(set) var isRunning = false
    private var sendAt: Instant = .zero
    public private(set) var sequence: UInt64 = 0
    /// When each of the newest 64 heartbeats left, by sequence: what an echo proves.
    private var sentAt: [Instant] = Array(repeating: .zero, count: 64)
    public private(set) var heardAt: Instant = .zero
    public private(set) var newest: Heartbeat?
    public private(set) var received: UInt64 = 0
    /// The twin was alive and heard us when this one of ours left.
    public private(set) var answeredAt: Instant = .zero

    public init(interval: Duration, lostMaximum: Int) {
        self.interval = interval
        detectionTime = interval * lostMaximum
    }

    public mutating func start(at now: Instant) {
        isRunning = true
        sendAt = now
        heardAt = now
        answeredAt = now
        newest = nil
        sequence = 0
    }

    public mutating func stop() {
        isRunning = false
        newest = nil
    }

    /// Whether one is due, or `isForced`; if so it is counted as sent now.
    public mutating func takeDue(at now: Instant, isForced: Bool = false) -> (sequence: UInt64, echo: UInt64)? {
        guard isRunning, isForced || sendAt <= now else { return nil }
        sequence += 1
        sentAt[Int(sequence & 63)] = now
        // Keeps the beat, but does not make up for beats that were slept through.
        sendAt = max(sendAt + interval, now + interval / 2)
        return (sequence, newest?.sequence ?? 0)
    }

    /// False for one that is not newer than what was heard.
    public mutating func hear(_ heartbeat: Heartbeat, at now: Instant) -> Bool {
        guard isRunning, heartbeat.sequence > newest?.sequence ?? 0 else { return false }
        newest = heartbeat
        heardAt = now
        received += 1
        if heartbeat.echo <= sequence, heartbeat.echo + 64 > sequence, heartbeat.echo > 0 {
            answeredAt = max(answeredAt, sentAt[Int(heartbeat.echo & 63)])
        }
        return true
    }

    /// Anything else from the twin proves as much.
    public mutating func heardAnything(at now: Instant) { if isRunning { heardAt = now } }

    public func isSilent(at now: Instant) -> Bool { isRunning && now >= heardAt + detectionTime }

    public var nextDeadline: Instant? { isRunning ? min(sendAt, heardAt + detectionTime) : nil }
}
