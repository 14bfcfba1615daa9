import Machine
import Records

/// What a pair has to do with a vote elsewhere (`witness`, `etcd`): which of its requests are under way, what was answered,
/// until when the vote's lease runs.
///
/// The vote answers every request once and in order. The pair asks it only what the two cannot settle between themselves:
/// who of them becomes the router, and whether a twin that does not answer may still become it. While the twin reads our
/// beats its word is enough, so a vote that cannot be reached costs a redundant pair nothing but its next take-over.
struct PairVote: Sendable {
    /// Mastership that this controller has asked for.
    enum Claim: Sendable, Hashable {
        case none
        /// Whoever holds mastership gets no answer from us until we know.
        case pending(isResuming: Bool)
        /// It was asked for, and whether it was granted is not known.
        case doubtful(since: Instant)
    }
    struct Asked: Sendable, Hashable {
        var request: ArbiterRequest
        /// Nobody waits for the answer: it is a renewal, or sets right what the vote thinks.
        var isBackground: Bool
    }

    /// How often the lease is prolonged.
    let renewInterval: Duration
    /// How soon a claim in doubt is asked about again.
    static let doubtInterval: Duration = .milliseconds(500)

    private(set) var asked: [Asked] = []
    private var outgoing: [ArbiterRequest] = []
    var claim = Claim.none
    /// On our clock, counted from when it was asked for.
    var leaseUntil: Instant = .zero
    var renewAt: Instant = .zero
    /// The vote's newest answer.
    var heardAt: Instant?
    /// What the vote said of asking for mastership again.
    var retryAt: Instant = .zero
    /// Asked for by the controller, and not of the vote yet.
    var withheld: ArbiterRequest?
    /// The vote may think that the twin's copy counts, and it does not.
    var mustCorrect = false

    init(renewInterval: Duration) { self.renewInterval = renewInterval }

    var isClaiming: Bool { claim != .none }
    /// Whether it has answered lately. It is asked at every interval, by the standby too.
    func isReachable(at now: Instant) -> Bool { heardAt.map { now < $0 + renewInterval * 3 } ?? false }

    mutating func ask(_ request: ArbiterRequest, isBackground: Bool = false) {
        asked.append(Asked(request: request, isBackground: isBackground))
        outgoing.append(request)
    }
    /// Whether a request of this kind is under way.
    func isAsked(where matches: (ArbiterRequest) -> Bool) -> Bool { asked.contains { matches($0.request) } }

    mutating func takeOutgoing() -> [ArbiterRequest] {
        defer { outgoing.removeAll() }
        return outgoing
    }
    /// The request that the vote's next answer belongs to.
    mutating func takeAsked() -> Asked? { asked.isEmpty ? nil : asked.removeFirst() }
}
