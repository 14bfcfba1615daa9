import Controller

/// Nothing may grow without end: the work that waits for an engine and what waits for the standby.
struct BoundsChecker {
    static let workMaximum = 4096

    func look(at simulation: Simulation) {
        for node in simulation.nodes where node.life == .running {
            if node.work.count > Self.workMaximum {
                simulation.find("\(node.id): \(node.work.count) pieces of work wait for the engine")
            }
            let lag = node.controller.status(at: node.clock(simulation.now)).twin.lagOctets
            if lag > node.controller.configuration.queueOctetsMaximum {
                simulation.find("\(node.id): \(lag) octets wait for the standby")
            }
        }
        if simulation.queue.count > 1_000_000 { simulation.find("the world is flooded: \(simulation.queue.count) happenings") }
    }
}
