import Machine
import Records

/// A `LeaseWord` in memory, with the lease of its holder on one clock: the arbiter of the simulator and of tests, and
/// what a witness keeps for each pair.
///
/// Besides the lease the world may know that a holder's process is dead (the kernel dropped its lock): then its lease
/// counts for nothing, which is what makes a take-over after SIGKILL immediate.
public struct LeaseTable: Hashable, Sendable {
    public var word = LeaseWord()
    /// Until when the holder's lease runs, or the reservation of a mastership that was released.
    public var until: Instant = .zero
    public var policy: LeaseWord.Policy
    /// How long after its end a lease still keeps the other one away: for what was on its way when it ended.
    public var margin: Duration

    public init(policy: LeaseWord.Policy = .lease, margin: Duration = .zero) {
        self.policy = policy
        self.margin = margin
    }

    public func isEligible(_ id: ControllerID) -> Bool { word[isCurrent: id] }

    /// A process begins under this name and knows nothing yet.
    public mutating func begin(_ id: ControllerID) { word.begin(id) }

    /// Answers a request and changes the table accordingly.
    /// - Parameters:
    ///   - lease: how long a granted or renewed lease runs.
    ///   - isTwinDead: the world knows that the other controller's process does not exist.
    public mutating func answer(
        _ request: ArbiterRequest, from id: ControllerID, at now: Instant, lease: Duration, isTwinDead: Bool
    ) -> ArbiterAnswer {
        let end = until + margin
        let outcome = word.apply(request, from: id, policy: policy) { patience in
            isTwinDead ? .dead : LeaseWord.Evidence(until: end + patience, at: now)
        }
        switch outcome {
        case .granted, .renewed, .released: until = now + lease
        case .denied, .notCurrent, .twinEligibility, .lost, .refused: break
        }
        return ArbiterAnswer(outcome, leaseUntil: until)
    }
}
