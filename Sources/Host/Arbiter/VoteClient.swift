import Records
import Redundancy

/// The way to a vote elsewhere. The edge hands requests over and goes on; each is answered exactly once, in order, through
/// the function that the client was made with, and at the latest as `unavailable`.
protocol VoteClient: AnyObject, Sendable {
    /// Never waits.
    func ask(_ request: ArbiterRequest)
    func stop()
}

/// What a client of a vote tells: answers for the controller, events for the operator.
struct VoteSink: Sendable {
    var answer: @Sendable (ArbiterAnswer) -> Void
    var note: @Sendable (Event) -> Void
}

/// How long a request to a vote may take.
enum VotePatience {
    /// Half of the lease: then the other half is left for another try.
    static func of(lease: Duration) -> Duration { min(max(lease / 2, .milliseconds(50)), .seconds(2)) }
    /// Silence after which a connection is given up, while something is asked.
    static func silence(lease: Duration) -> Duration { min(max(lease / 4, .milliseconds(25)), .seconds(1)) }
}
