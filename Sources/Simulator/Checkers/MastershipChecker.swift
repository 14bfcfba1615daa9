import Records
import Redundancy

/// At most one controller speaks as the router, and nobody under an old epoch once a newer one was spoken under.
struct MastershipChecker {
    private var newest = Epoch.zero
    private var speaker: ControllerID?

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

    mutating func state(_ state: ControllerState, _ epoch: Epoch, of node: ControllerNode, in simulation: Simulation) {
        guard state.isActive else { return }
        let other = simulation.node(node.id.other)
        if other.life == .running, other.controller.state.isActive, other.controller.epoch == epoch {
            simulation.find("\(node.id) and \(other.id) are both active in epoch \(epoch)")
        }
    }
}
