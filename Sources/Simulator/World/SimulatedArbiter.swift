import Controller
import Engine
import Machine
import Records
import Redundancy

/// The lease file of the simulated machine: the product's own word, on the world's clock. As a kernel does, it knows
/// which process is dead, because the process's lock is dropped then.
struct SimulatedArbiter {
    static let lease: Duration = .milliseconds(50)

    private var table = LeaseTable()
    /// Every mastership that was ever granted, in order: for the checker.
    private(set) var grants: [(epoch: Epoch, holder: ControllerID)] = []

    mutating func answer(
        _ request: ArbiterRequest, from node: ControllerNode, isTwinDead: Bool, at now: Instant
    ) -> ArbiterAnswer {
        let answer = table.answer(request, from: node.id, at: now, lease: Self.lease, isTwinDead: isTwinDead)
        // What the table says of time is the world's; each controller has a clock of its own.
        switch answer {
        case .granted(let epoch, let until, let mayResume):
            grants.append((epoch, node.id))
            return .granted(epoch, leaseUntil: node.clock(until), mayResume: mayResume)
        case .denied(let holder, let epoch, let retryAt):
            return .denied(holder: holder, epoch, retryAt: node.clock(retryAt))
        case .renewed(let epoch, let until):
            return .renewed(epoch, leaseUntil: node.clock(until))
        case .released, .twinEligibility, .lost, .unavailable, .unasked, .notCurrent:
            return answer
        }
    }
}
