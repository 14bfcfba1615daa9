import Machine
import Redundancy

/// How large the simulated world is and what is wrong with it.
public struct SimulationOptions: Sendable {
    /// `nil` lets the seed draw 2…5.
    public var peerCount: Int?
    /// Neighbours that speak interior gateway protocols: OSPF, IS-IS and RIP in turn.
    public var routedStationCount = 0
    /// Routers of each such neighbour, itself included.
    public var routersPerStation = 3
    /// A second service LAN with a switch and neighbours of its own.
    public var hasSecondLAN = false
    /// Milliseconds between the packets of every session of BFD, 10…60,000; three may be lost. `nil`: nobody speaks BFD.
    public var bfdInterval: Int?
    public var isBFDAuthenticated = false
    /// The first LAN has room for a forger and for a third controller: see `Forgery` and `Intruder`.
    public var hasStrangers = false
    /// Peers behave badly now and then: see `Rudeness`.
    public var isRude = false
    /// What every peer proposes as its hold time, 9…255 seconds; `nil` lets the seed draw.
    public var holdSeconds: Int64?
    /// One controller without a twin: the reference that never fails.
    public var isSingle = false
    public var arbiter = ArbiterKind.leasefile
    /// Microseconds between the start of a piece of engine work and its report.
    public var engineLatency = 5...80
    public var isTraced = false
    /// A planted bug, for the tests of the checkers.
    public var plantedBug: PlantedBug?

    public init() {}

    /// What a world needs so that a planted bug can show.
    public mutating func show(_ bug: PlantedBug) {
        plantedBug = bug
        switch bug {
        case .sessionsForgotten: bfdInterval = 300
        case .wrongPort: hasSecondLAN = true
        case .believesEveryStart: hasStrangers = true
        default: break
        }
    }

    /// What a part of the seeds has besides: a draw of its own, so that the other seeds stay as they are.
    public mutating func vary(by seed: UInt64) {
        let draw = mix64(seed &+ 0x7661_7279)
        isRude = draw & 3 == 0
        guard (draw >> 8) % 24 == 0 || routedStationCount > 0 else {
            hasStrangers = (draw >> 24) % 32 == 0
            return
        }
        hasSecondLAN = (draw >> 32) & 1 == 0
        if (draw >> 33) & 3 != 0 { bfdInterval = (draw >> 35) & 1 == 0 ? 50 : 300 }
        isBFDAuthenticated = (draw >> 36) & 1 == 0
        // They are worlds of many routers: few seeds can afford them.
        if routedStationCount == 0, (draw >> 40) % 8 == 0 {
            routedStationCount = hasSecondLAN ? 4 : 3
            routersPerStation = 2
        }
    }
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
    /// The line card of a new active knows nothing of BFD's sessions but their names.
    case sessionsForgotten = "sessions-forgotten"
    /// After a change of hands the router's frames for the second LAN leave on the first.
    case wrongPort = "wrong-port"
    /// Whoever introduces itself as the twin is believed, though the twin is heard at that moment.
    case believesEveryStart = "believes-every-start"

    var mistakes: Mistakes {
        switch self {
        case .boundToTheDead: .boundToTheDead
        case .votesWithoutCarrier: .votesWithoutCarrier
        case .trustsItselfAfterSleep: .trustsItselfAfterSleep
        case .aloneUnheard: .aloneUnheard
        case .reclaimsUnasked: .reclaimsUnasked
        case .believesEveryStart: .believesEveryStart
        default: []
        }
    }
    /// The arbiter with which it shows.
    public var arbiter: ArbiterKind {
        switch self {
        case .releaseBeforeCommit, .recordDropped, .effectsReordered, .staleResumes, .sessionsForgotten, .wrongPort:
            .leasefile
        default: .link
        }
    }
}
