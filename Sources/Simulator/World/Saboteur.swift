import Engine
import Machine
import Records
import Redundancy

/// Puts a planted bug into a run that is otherwise right, for the tests of the checkers. It sits on the channel between
/// the controllers and on the standby's engine; nothing of it is in the product.
struct Saboteur {
    let bug: PlantedBug
    private var receivers = [ChannelReceiver(), ChannelReceiver()]
    private var generation = -1
    private var received = 0
    /// What was acknowledged in the standby's name and has not left yet, and since when.
    private var held: [[UInt8]] = [[], []]
    private var heldSince = [Instant.zero, Instant.zero]
    static let holding = Duration.milliseconds(5)

    init(_ bug: PlantedBug) { self.bug = bug }

    /// What the arbiter is made to hear of a request.
    static func changed(_ request: ArbiterRequest, _ bug: PlantedBug?) -> ArbiterRequest {
        if bug == .staleResumes, case .setTwinEligible(let epoch, _) = request { return .setTwinEligible(epoch, true) }
        return request
    }

    /// What becomes of octets that a controller sends, and what it is made to hear from its twin.
    mutating func pass(
        _ octets: [UInt8], from id: ControllerID, generation: Int, at now: Instant
    ) -> (forward: [UInt8], forged: [UInt8]?) {
        if generation != self.generation {
            self.generation = generation
            receivers = [ChannelReceiver(), ChannelReceiver()]
            for i in receivers.indices { receivers[i].frameMaximum = ChannelLimit.frame }
            held = [[], []]
        }
        let me = Int(id.rawValue)
        receivers[me].append(octets)
        var forward: [UInt8] = []
        var forged: [UInt8]? = nil
        if !held[me].isEmpty, now - heldSince[me] >= Self.holding {
            forward = held[me]
            held[me] = []
        }
        while let message = try? receivers[me].next() {
            if !held[me].isEmpty {
                // Nothing overtakes.
                if case .records(_, let list) = message, let last = list.last {
                    forged = ChannelMessage.stored(last.index).encoded()
                }
                held[me] += message.encoded()
                continue
            }
            switch (bug, message) {
            case (.releaseBeforeCommit, .records(_, let list)):
                // As if the standby acknowledged what it has not stored.
                if let last = list.last { forged = ChannelMessage.stored(last.index).encoded() }
                held[me] = message.encoded()
                heldSince[me] = now
            case (.recordDropped, .records(let epoch, var list)):
                for i in list.indices {
                    guard case .tcpReceived = list[i].body else { continue }
                    received += 1
                    if received % 15 == 0 { list[i].body = .time }
                }
                forward += ChannelMessage.records(epoch, list).encoded()
            default:
                forward += message.encoded()
            }
        }
        return (forward, forged)
    }

    /// An image whose sessions of BFD are as if they had never been up.
    static func forgetSessions(_ report: EngineReport) -> EngineReport {
        guard case .image(var image) = report else { return report }
        for i in image.bfdSessions.indices { image.bfdSessions[i].status = BFDStatus() }
        return .image(image)
    }

    /// The effects of each record back to front, as a loop over a hashed collection might give them.
    static func reorder(_ report: EngineReport) -> EngineReport {
        guard case .applied(let upTo, let effects, let fib, let digest, let deadline) = report else { return report }
        var result: [IndexedEffect] = []
        var rest = effects[...]
        while let first = rest.first {
            let run = rest.prefix { $0.index == first.index }
            result += run.reversed()
            rest = rest.dropFirst(run.count)
        }
        return .applied(upTo: upTo, effects: result, fib: fib, digest: digest, nextDeadline: deadline)
    }
}
