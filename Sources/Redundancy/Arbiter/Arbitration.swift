import Machine
import Records

/// What a controller asks of the arbiter (DESIGN §8). Every request gets exactly one `ArbiterAnswer`, in order.
///
/// The arbiter keeps four things: the epoch, who holds it, until when (the lease), and for each controller whether its
/// copy is current. `LeaseWord` says what it answers; `link` decides without a third party (`PairArbiter`).
public enum ArbiterRequest: Sendable, Hashable {
    /// Mastership for the asker, under a new epoch. Refused while somebody else's lease runs, except when the holder has
    /// released it or is known to be dead. Answered by `granted` or `denied`.
    /// `atLeast`: the new epoch must exceed this one, the greatest that the asker has seen.
    /// `isResuming`: only if the asker's copy is current; who has to start the sessions anew waits longer before it asks
    /// (`notCurrent`). The holder itself may ask, to raise its epoch.
    case acquire(atLeast: Epoch, isResuming: Bool = false)
    /// The holder lives: the lease begins anew. It may even have run out, as long as nobody took the epoch.
    /// Answered by `renewed` or `lost`.
    case renew(Epoch)
    /// The holder gives mastership up in favour of its twin, which alone may acquire it for a while (graceful switchover).
    /// Answered by `released` or `lost`.
    case release(Epoch)
    /// The holder says whether its twin's copy is current. Going on alone waits for the answer to `false`; until then
    /// the twin may resume sessions. Answered by `twinEligibility` or `lost`.
    case setTwinEligible(Epoch, Bool)
}

/// What the arbiter says. Deadlines are on the asker's own monotonic clock (the clock of `Controller`'s `now`).
public enum ArbiterAnswer: Sendable, Hashable {
    /// The asker is the router under `epoch` until `leaseUntil`. `mayResume`: its copy was current, so that it may go on
    /// with the sessions; otherwise it must start them anew (`RecordBody.mastership` with `isFresh`).
    case granted(Epoch, leaseUntil: Instant, mayResume: Bool)
    /// `holder` holds `epoch`; asking again before `retryAt` is pointless unless the holder dies.
    case denied(holder: ControllerID?, Epoch, retryAt: Instant)
    /// A request to resume, and the copy is not current.
    case notCurrent(Epoch)
    case renewed(Epoch, leaseUntil: Instant)
    case released(Epoch)
    case twinEligibility(Epoch, Bool)
    /// The asker no longer holds what it thought it held; `Epoch` is the one in force.
    case lost(Epoch)
    /// The arbiter itself cannot be asked (disk, network). The lease runs out by itself; ask again. Whether the request was
    /// carried out is not known.
    case unavailable(String)
    /// The request never reached the arbiter, and will not.
    case unasked(String)
}

extension ArbiterAnswer {
    /// The arbiter itself has answered.
    var isReal: Bool {
        switch self {
        case .unavailable, .unasked: false
        default: true
        }
    }
    /// An outcome with the lease that goes with it, on the asker's clock.
    public init(_ outcome: LeaseWord.Outcome, leaseUntil: Instant) {
        self =
            switch outcome {
            case .granted(let epoch, let mayResume): .granted(epoch, leaseUntil: leaseUntil, mayResume: mayResume)
            case .denied(let holder, let epoch, let retryAt): .denied(holder: holder, epoch, retryAt: retryAt)
            case .notCurrent(let epoch): .notCurrent(epoch)
            case .renewed(let epoch): .renewed(epoch, leaseUntil: leaseUntil)
            case .released(let epoch): .released(epoch)
            case .twinEligibility(let epoch, let isEligible): .twinEligibility(epoch, isEligible)
            case .lost(let epoch): .lost(epoch)
            case .refused(let reason): .unavailable(reason)
            }
    }
}

/// Which arbiter decides.
public enum ArbiterKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// The pair decides between itself by beats on the redundancy link and on the service segments: see `PairArbiter`.
    case link
    /// A file that both controllers of one machine map; the world outside `Controller` answers the requests.
    case leasefile
    /// A `lockstep-witness` on a third host; the world outside asks it.
    case witness
    /// An etcd cluster; the world outside asks it.
    case etcd
}

extension ArbiterKind {
    /// As the channel carries it; 0 is none.
    var code: UInt8 {
        switch self {
        case .link: 1
        case .leasefile: 2
        case .witness: 3
        case .etcd: 4
        }
    }
    init?(code: UInt8) {
        guard let kind = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = kind
    }
}
