import Machine
import Records
import Redundancy

/// What one controller must know before it starts: its own identity and the pair's limits. It is not the router's
/// configuration, which is a record in the log.
public struct ControllerConfiguration: Sendable {
    /// Which of the two this is. Equal identities refuse each other.
    public var id: ControllerID
    /// The router's name: both controllers must have the same. At most 255 octets of UTF-8.
    public var routerName: String
    /// A number that both controllers of one router share and no other router has; it keeps strangers out.
    public var pairID: UInt64
    /// No twin is configured: everything commits at once, and nobody is waited for.
    public var isSingle = false
    /// Becomes active when both boot at once and nothing else decides (FIG. 10A; the patent's slot number).
    public var isPreferred = false
    public var arbiter = ArbiterKind.link
    /// Whether `OperatorRequest.command` may carry `.testTrap` and `.testHang`.
    public var testing = false

    /// Random for each start of the process: tells a restarted twin from the one before.
    public var bootNonce: UInt64
    /// Random for each start: seeds the line card and the dying gasp's token.
    public var randomSeed: UInt64
    /// Authenticates this controller's dying gasps; random for each start. `nil` derives it from `randomSeed`.
    public var gaspToken: DyingGasp.Token?
    /// Key of the pair's beats as the datastore has kept it; `nil` before the two have met.
    public var pairKey: PairKey?
    /// Made at the first start and kept with the datastore; 0 for none. Equal identities refuse each other.
    public var identity: UInt64 = 0
    /// What router time is ahead of this machine's monotonic clock if this controller defines it. With the time of day here,
    /// cryptographic sequence numbers go on after both controllers were off (RFC 7474 §3 asks for that); the simulator
    /// needs none.
    public var routerTimeStart = Duration.zero
    /// Epoch that the datastore remembers, 0 for none, and whether this controller was active in it.
    public var lastEpoch = Epoch.zero
    public var wasActive = false
    /// Revision and encoding of the configuration in the datastore: the first `.configure` record if this controller is
    /// the first active one. `nil` starts with an empty router that waits for a commit.
    public var initialConfiguration: (revision: UInt64, bytes: [UInt8])?
    /// When that configuration was in force last; epoch zero if it never was (the router file of a first start).
    public var initialPosition = ConfigurationPosition.none
    /// There was a configuration and it cannot be read: this controller waits for its twin's, or for an operator's, rather
    /// than being the router with none or an older one. Alone it begins without a configuration.
    public var hasLostConfiguration = false
    /// An operator said that the router file shall be used although a later configuration may have been lost.
    public var acceptsFirstConfiguration = false
    /// How many interfaces the host has opened, whatever the configuration says: beats go out on all of them.
    public var segmentCount = 0

    /// DESIGN §7: heartbeats every 10 ms, five lost mean a lost twin. Both controllers should agree.
    public var heartbeatInterval: Duration = .milliseconds(10)
    public var heartbeatsLostMaximum = 5
    /// Interfaces of the router on which the pair says nothing of itself, by name.
    public var quietInterfaces: Set<String> = []
    /// What passes between the two, and in which forms: this release's, and that of what the host sends along.
    public var schemas = Controller.schemas
    /// For the simulator, which plants them.
    public var mistakes: Mistakes = []
    /// How often a vote elsewhere (`witness`, `etcd`) is asked to prolong the lease.
    public var voteRenewInterval: Duration = .milliseconds(500)
    /// How long the active waits for a standby that does not acknowledge, before it goes on alone.
    public var standbyStallMaximum: Duration = .milliseconds(250)
    /// How long a booting controller waits for its twin before it goes first alone.
    public var bootWait: Duration = .seconds(2)
    /// How long a controller that cannot resume the sessions leaves the router to a silent twin: a twin that is alive after
    /// all would lose every session. A multiple of the peers' own patience with BFD, and of any stall of a host.
    public var staleWait: Duration = .seconds(3)
    /// Longest time for each step of a graceful switchover before it is aborted.
    public var switchoverStepMaximum: Duration = .seconds(1)
    /// How long a take-over waits for a dying gasp, if records are stored that the dead active had not applied.
    public var gaspWait: Duration = .milliseconds(2)
    /// While redundant, the engine is given a record when the twin has stored it, so that one that kills the engine can be
    /// quarantined there. `false` applies at once (FIG. 6B) and leaves a window in which it can kill both.
    public var storesBeforeApplying = true
    /// Bound of the records that wait for the standby, in octets. Overflow restarts a join, or ends redundancy.
    public var queueOctetsMaximum = 64 << 20
    /// How long an interface may be without carrier before the engine is told, while a standby could take over.
    public var linkLossHold: Duration = .milliseconds(500)
    /// How long between two attempts to join after one failed.
    public var rejoinWait: Duration = .seconds(1)

    public init(id: ControllerID, routerName: String, pairID: UInt64, bootNonce: UInt64, randomSeed: UInt64) {
        self.id = id
        self.routerName = routerName
        self.pairID = pairID
        self.bootNonce = bootNonce
        self.randomSeed = randomSeed
    }

    /// How long the twin may be silent before it counts as lost.
    public var detectionTime: Duration { heartbeatInterval * heartbeatsLostMaximum }
}
