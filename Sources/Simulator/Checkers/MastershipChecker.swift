import Machine
import Records
import Redundancy

/// At most one controller speaks as the router, and nobody under an old epoch once a newer one was spoken under. And who
/// says that it is the router is not mute for long.
struct MastershipChecker {
    private var newest = Epoch.zero
    private var speaker: ControllerID?
    /// Since when each says that it is the router and may not speak.
    private var muteSince: [Instant?] = [nil, nil]
    /// Longer than anything that is decided between the two.
    private static let mutenessMaximum: Duration = .seconds(1)

    mutating func transmitted(_ frame: [UInt8], by node: ControllerNode, in simulation: Simulation) {
        let epoch = node.lease.epoch
        if epoch < newest {
            simulation.find("\(node.id) spoke under epoch \(epoch) after epoch \(newest) had been spoken under")
        } else if epoch == newest, let speaker, speaker != node.id {
            simulation.find("\(node.id) and \(speaker) both spoke under epoch \(epoch)")
        }
        newest = max(newest, epoch)
        speaker = node.id
    }

    mutating func look(at simulation: Simulation) {
        for node in simulation.nodes {
            let i = Int(node.id.rawValue)
            // A vote that is out of reach makes a lonely holder mute: nobody else can say that the other does not speak.
            guard node.life == .running, node.look({ $0.state.isActive }), !node.isUnplugged,
                !simulation.isVoteOutOfReach(of: node.id),
                node.lease.until <= node.clock(simulation.now)
            else {
                muteSince[i] = nil
                continue
            }
            guard let since = muteSince[i] else {
                muteSince[i] = simulation.now
                continue
            }
            if simulation.now - since > Self.mutenessMaximum {
                simulation.find("\(node.id) has been \(node.controller.state) since \(since) and may not speak")
                muteSince[i] = nil
            }
        }
    }

    mutating func state(_ state: ControllerState, _ epoch: Epoch, of node: ControllerNode, in simulation: Simulation) {
        guard state.isActive else { return }
        let other = simulation.node(node.id.other)
        if other.life == .running, other.controller.state.isActive, other.controller.epoch == epoch {
            simulation.find("\(node.id) and \(other.id) are both active in epoch \(epoch)")
        }
    }
}
