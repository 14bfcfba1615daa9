import Machine
import Records
import Redundancy

/// The lease file of the simulated machine. The "kernel" tells it when a process dies, because the process's lock is
/// dropped then. It runs on the world's clock; askers have their own.
struct SimulatedArbiter {
    static let lease: Duration = .milliseconds(50)
    /// How long only the twin may acquire after a release.
    static let handOver: Duration = .seconds(1)

    private var epoch = Epoch.zero
    private var holder: ControllerID?
    private var leaseUntil = Instant.zero
    /// Only this one may acquire until then: the holder released in its favour.
    private var heir: (id: ControllerID, until: Instant)?
    /// Whether each controller's copy is current. A holder's own always is.
    private var isCurrent = [false, false]
    /// Every mastership that was ever granted, in order: for the checker.
    private(set) var grants: [(epoch: Epoch, holder: ControllerID)] = []

    mutating func answer(_ request: ArbiterRequest, from node: ControllerNode, at now: Instant) -> ArbiterAnswer {
        switch request {
        case .acquire(let least):
            if let holder, holder != node.id, now <= leaseUntil {
                return .denied(holder: holder, epoch, retryAt: node.clock(leaseUntil))
            }
            if let heir, heir.id != node.id, now <= heir.until {
                return .denied(holder: heir.id, epoch, retryAt: node.clock(heir.until))
            }
            // Nobody has spoken yet: there are no sessions that a copy could be too old for.
            let mayResume = epoch == .zero || isCurrent[Int(node.id.rawValue)]
            epoch = max(epoch, least).next
            holder = node.id
            heir = nil
            leaseUntil = now + Self.lease
            isCurrent = [false, false]
            isCurrent[Int(node.id.rawValue)] = true
            grants.append((epoch, node.id))
            return .granted(epoch, leaseUntil: node.clock(leaseUntil), mayResume: mayResume)
        case .renew(let asked):
            guard holder == node.id, asked == epoch else { return .lost(epoch) }
            leaseUntil = now + Self.lease
            return .renewed(epoch, leaseUntil: node.clock(leaseUntil))
        case .release(let asked):
            guard holder == node.id, asked == epoch else { return .lost(epoch) }
            holder = nil
            heir = (node.id.other, now + Self.handOver)
            return .released(epoch)
        case .setTwinEligible(let asked, let isEligible):
            guard holder == node.id, asked == epoch else { return .lost(epoch) }
            isCurrent[Int(node.id.other.rawValue)] = isEligible
            return .twinEligibility(epoch, isEligible)
        }
    }

    mutating func processDied(_ id: ControllerID) {
        if holder == id { holder = nil }
        if heir?.id == id { heir = nil }
        // What died has no copy any more, unless it was the holder's: then nobody else is asked about it.
        isCurrent[Int(id.rawValue)] = false
    }
}
