import Machine
import Records

/// What a vote elsewhere (a witness, etcd) answers. Its clock is not ours, so it says how long instead of until when.
public enum VoteAnswer: Hashable, Sendable {
    case granted(Epoch, lease: Duration, mayResume: Bool)
    case denied(holder: ControllerID?, Epoch, retryAfter: Duration)
    case notCurrent(Epoch)
    case renewed(Epoch, lease: Duration)
    case released(Epoch)
    case twinEligibility(Epoch, Bool)
    case lost(Epoch)
    case unavailable(String)

    /// An outcome with the lease that goes with it.
    public init(_ outcome: LeaseWord.Outcome, lease: Duration, at now: Instant) {
        self =
            switch outcome {
            case .granted(let epoch, let mayResume): .granted(epoch, lease: lease, mayResume: mayResume)
            case .denied(let holder, let epoch, let retryAt):
                .denied(holder: holder, epoch, retryAfter: max(.zero, retryAt - now))
            case .notCurrent(let epoch): .notCurrent(epoch)
            case .renewed(let epoch): .renewed(epoch, lease: lease)
            case .released(let epoch): .released(epoch)
            case .twinEligibility(let epoch, let isEligible): .twinEligibility(epoch, isEligible)
            case .lost(let epoch): .lost(epoch)
            case .refused(let reason): .unavailable(reason)
            }
    }
}
