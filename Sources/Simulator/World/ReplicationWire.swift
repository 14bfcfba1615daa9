import Machine
import Records

/// The transport of the replication channel: ordered octets both ways, with delay; it can be cut, stalled or closed.
struct ReplicationWire {
    enum State: Equatable {
        case down
        /// Connecting; both ends learn at this moment that it is up.
        case opening
        case up
        /// This end is closed, or its process dead; what it had sent still arrives, as a kernel has it, and then the end.
        case closing(by: ControllerID)
    }
    private(set) var state = State.down
    /// Counts connections, so that what is under way on an old one is not delivered on a new one.
    private(set) var generation = 0
    var delayMinimum: Duration = .microseconds(30)
    var delayMaximum: Duration = .microseconds(120)
    /// No connection can be made and nothing passes, but neither end is told.
    var isCut = false
    /// Of datagrams beside the connection; chances per 10,000.
    var datagramLoss = 0
    var datagramDuplication = 0
    var datagramReordering = 0
    static let reorderDelay: Duration = .milliseconds(15)
    /// When the newest octets towards each controller arrive: later ones never overtake.
    private var arrival: [Instant] = [.zero, .zero]

    mutating func beginOpening() {
        state = .opening
        generation += 1
        arrival = [.zero, .zero]
    }
    mutating func finishOpening() { state = .up }
    mutating func beginClosing(by id: ControllerID) { state = .closing(by: id) }

    func delivers(generation: Int, to id: ControllerID) -> Bool {
        guard generation == self.generation, !isCut else { return false }
        switch state {
        case .up: return true
        case .closing(let closer): return id != closer
        case .down, .opening: return false
        }
    }
    mutating func close() {
        state = .down
        generation += 1
    }

    /// Half dead: what goes towards this controller arrives when the transport has got over it.
    mutating func stall(towards: ControllerID, until time: Instant) {
        arrival[Int(towards.rawValue)] = max(arrival[Int(towards.rawValue)], time)
    }

    /// After how long a datagram arrives: never, once, or twice.
    func datagramDelays(random: inout RandomNumbers) -> [Duration] {
        if random.chance(datagramLoss, in: 10_000) { return [] }
        func delay() -> Duration {
            let late = random.chance(datagramReordering, in: 10_000) ? Self.reorderDelay : .zero
            return late + .microseconds(random.number(in: 20...150))
        }
        return random.chance(datagramDuplication, in: 10_000) ? [delay(), delay()] : [delay()]
    }

    /// When octets that leave now reach the other controller.
    mutating func arrivalTime(towards: ControllerID, at now: Instant, random: inout RandomNumbers) -> Instant {
        let low = Int(delayMinimum.inNanoseconds), high = Int(delayMaximum.inNanoseconds)
        let time = max(now + .nanoseconds(random.number(in: low...max(low, high))), arrival[Int(towards.rawValue)])
        arrival[Int(towards.rawValue)] = time
        return time
    }
}
