import Machine
import Records
import Redundancy

/// The lease file of the simulated machine: the reference table of what an arbiter answers. The "kernel" tells it when a
/// process dies, because the process's lock is dropped then. The table runs on the world's clock; askers have their own.
struct SimulatedArbiter {
    private var table = LeaseTable()
    /// Every mastership that was ever granted, in order: for the checker.
    private(set) var grants: [(epoch: Epoch, holder: ControllerID)] = []

    mutating func answer(_ request: ArbiterRequest, from node: ControllerNode, at now: Instant) -> ArbiterAnswer {
        switch table.answer(request, from: node.id, at: now) {
        case .granted(let epoch, let until, let mayResume):
            grants.append((epoch, node.id))
            return .granted(epoch, leaseUntil: node.clock(until), mayResume: mayResume)
        case .renewed(let epoch, let until):
            return .renewed(epoch, leaseUntil: node.clock(until))
        case .denied(let holder, let epoch, let retryAt):
            return .denied(holder: holder, epoch, retryAt: node.clock(retryAt))
        case let other:
            return other
        }
    }

    mutating func processDied(_ id: ControllerID) { table.processDied(id) }
}
