import Engine
import Records
import Redundancy

/// Puts a planted bug into a run that is otherwise right, for the tests of the checkers. It sits on the channel between
/// the controllers and on the standby's engine; nothing of it is in the product.
struct Saboteur {
    let bug: PlantedBug
    private var receivers = [ChannelReceiver(), ChannelReceiver()]
    private var generation = -1
    private var received = 0
    /// Records that were acknowledged in the standby's name and wait for the next message to take them along.
    private var held: [[UInt8]] = [[], []]

    init(_ bug: PlantedBug) { self.bug = bug }

    /// What becomes of octets that a controller sends, and what it is made to hear from its twin.
    mutating func pass(
        _ octets: [UInt8], from id: ControllerID, generation: Int
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
        while let message = try? receivers[me].next() {
            switch (bug, message) {
            case (.releaseBeforeCommit, .records(_, let list)):
                // As if the standby acknowledged what it has not stored.
                if let last = list.last { forged = ChannelMessage.stored(last.index).encoded() }
                forward += held[me]
                held[me] = message.encoded()
            case (.recordDropped, .records(let epoch, var list)):
                for i in list.indices {
                    guard case .tcpReceived = list[i].body else { continue }
                    received += 1
                    if received % 15 == 0 { list[i].body = .time }
                }
                forward += ChannelMessage.records(epoch, list).encoded()
            default:
                forward += held[me] + message.encoded()
                held[me] = []
            }
        }
        return (forward, forged)
    }

    /// The effects of each record back to front, as a loop over a hashed collection might give them.
    static func reorder(_ report: EngineReport) -> EngineReport {
        guard case .applied(let upTo, let effects, let digest, let deadline) = report else { return report }
        var result: [IndexedEffect] = []
        var rest = effects[...]
        while let first = rest.first {
            let run = rest.prefix { $0.index == first.index }
            result += run.reversed()
            rest = rest.dropFirst(run.count)
        }
        return .applied(upTo: upTo, effects: result, digest: digest, nextDeadline: deadline)
    }
}
