import Redundancy

/// How large the simulated world is and what is wrong with it.
public struct SimulationOptions: Sendable {
    /// `nil` lets the seed draw 2…5.
    public var peerCount: Int?
    /// Neighbours that speak interior gateway protocols: OSPF, IS-IS and RIP in turn.
    public var routedStationCount = 0
    /// Routers of each such neighbour, itself included.
    public var routersPerStation = 3
    /// One controller without a twin: the reference that never fails.
    public var isSingle = false
    public var arbiter = ArbiterKind.leasefile
    /// Microseconds between the start of a piece of engine work and its report.
    public var engineLatency = 5...80
    public var isTraced = false
    /// A planted bug, for the tests of the checkers.
    public var plantedBug: PlantedBug?

    public init() {}
}

/// Bugs that the checkers must catch.
public enum PlantedBug: String, Sendable, CaseIterable {
    /// The active acknowledges and sends before the standby has stored.
    case releaseBeforeCommit = "release-before-commit"
    /// A record is lost on its way to the standby's engine.
    case recordDropped = "record-dropped"
    /// The standby's engine gives effects in another order, as a hash-ordered loop would.
    case effectsReordered = "effects-reordered"
    /// Mistakes of the pair's arbitration: see `Mistakes`.
    case boundToTheDead = "bound-to-the-dead"
    case votesWithoutCarrier = "votes-without-carrier"
    case trustsItselfAfterSleep = "trusts-itself-after-sleep"
    case aloneUnheard = "alone-unheard"
    case reclaimsUnasked = "reclaims-unasked"
    /// The host sends beats on the segments in a form that the twin's does not take, as untagged ones on a VLAN.
    case segmentsUnheard = "segments-unheard"
    /// The lease file forgets that a copy is stale.
    case staleResumes = "stale-resumes"

    var mistakes: Mistakes {
        switch self {
        case .boundToTheDead: .boundToTheDead
        case .votesWithoutCarrier: .votesWithoutCarrier
        case .trustsItselfAfterSleep: .trustsItselfAfterSleep
        case .aloneUnheard: .aloneUnheard
        case .reclaimsUnasked: .reclaimsUnasked
        default: []
        }
    }
    /// The arbiter with which it shows.
    public var arbiter: ArbiterKind {
        switch self {
        case .releaseBeforeCommit, .recordDropped, .effectsReordered, .staleResumes: .leasefile
        default: .link
        }
    }
}
