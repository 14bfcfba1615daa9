import Policy
import Records
import Wire

/// What BGP does, as plain values: the router configuration's `bgp` section after peer groups were expanded and every
/// name was checked. Machines compare it with the one in force and change only what differs.
///
/// The order of the properties is the order of the engine's encoding; new ones are appended.
public struct BGPConfiguration: Hashable, Sendable, Codable {
    public var routerAS: ASNumber
    public var routerID: RouterID
    /// At most 4,096; addresses are unique.
    public var neighbors: [NeighborConfiguration] = []
    /// Routes that the router itself brings into BGP.
    public var networks: [OriginatedNetwork] = []
    /// Policies that neighbours name, with all that these name. Empty in the router's configuration, which has them for
    /// all protocols; whoever hands this over fills it (`linked`).
    public var definitions = PolicyDefinitions()
    /// RFC 8212: without an import policy nothing is accepted from an external neighbour, without an export policy
    /// nothing is sent to it.
    public var ebgpRequiresPolicy = true
    /// RFC 4456 §7: of which cluster we are a reflector. `nil`: of our own, named by the router identifier.
    public var clusterID: RouterID?
    /// RFC 4456 §6: what one client tells us goes to the others. Off where clients have sessions with each other.
    public var clientToClientReflection = true
    /// RFC 4271 §9.1.1: the degree of preference of routes that no policy gave another.
    public var defaultLocalPreference: UInt32 = 100
    public var distances = DistanceConfiguration()
    public var testing = TestingConfiguration()
    /// What neighbours have where they say nothing else, and how long the router itself waits after a cold start.
    public var gracefulRestart: GracefulRestartConfiguration {
        get { otherGracefulRestart ?? GracefulRestartConfiguration() }
        set { otherGracefulRestart = newValue == GracefulRestartConfiguration() ? nil : newValue }
    }
    /// `nil` for the usual one: a configuration that was stored before there was another reads as it did.
    private var otherGracefulRestart: GracefulRestartConfiguration?
    /// Names are unique.
    public var groups: [PeerGroupConfiguration] {
        get { namedGroups ?? [] }
        set { namedGroups = newValue.isEmpty ? nil : newValue }
    }
    /// Ranges from which neighbours come by themselves, at most `ListenRangeConfiguration.rangesMaximum`; prefixes are unique.
    public var ranges: [ListenRangeConfiguration] {
        get { listenRanges ?? [] }
        set { listenRanges = newValue.isEmpty ? nil : newValue }
    }
    /// RFC 5065: the router's AS is a member of a confederation; `nil`: it is whole.
    public var confederation: ConfederationConfiguration?
    public var bestPath: BestPathConfiguration {
        get { changedBestPath ?? BestPathConfiguration() }
        set { changedBestPath = newValue == BestPathConfiguration() ? nil : newValue }
    }
    // `nil` where there are none: a configuration that was stored before they were known reads as it did.
    private var changedBestPath: BestPathConfiguration?
    private var namedGroups: [PeerGroupConfiguration]?
    private var listenRanges: [ListenRangeConfiguration]?

    public init(routerAS: ASNumber, routerID: RouterID) {
        self.routerAS = routerAS
        self.routerID = routerID
    }

    /// With what its neighbours name of the router's definitions: nothing else of these concerns it.
    public func linked(to all: PolicyDefinitions) -> BGPConfiguration {
        var linked = self
        linked.definitions = all.only(for: policyUses)
        return linked
    }

    /// Every place that names policies and is in force.
    public var policyUses: [PolicyUse] {
        (neighbors + ranges.map(\.template)).flatMap(\.policyUses)
    }

    /// The range to which an address belongs: the longest prefix counts.
    public func range(of address: IPAddress) -> ListenRangeConfiguration? {
        ranges.filter { $0.prefix.contains(address) }.max { $0.prefix.length < $1.prefix.length }
    }
}

/// Administrative distances under which the routing table manager takes BGP routes; the lowest of all protocols wins.
public struct DistanceConfiguration: Hashable, Sendable, Codable {
    public var external: UInt8 = 20
    public var `internal`: UInt8 = 200
    public var local: UInt8 = 200
    public init() {}
}

/// Hidden keys for failure injection.
public struct TestingConfiguration: Hashable, Sendable, Codable {
    /// The engine traps while it handles an announcement of exactly this prefix: the proof of quarantine (DESIGN §7).
    public var trapOnPrefix: IPPrefix?
    /// The trap is noted (`RIB.hasMetTrap`) and the process goes on: for a world that has many routers in one process.
    public var notesTrap = false
    public init() {}
}

/// One neighbour.
public struct NeighborConfiguration: Hashable, Sendable, Codable {
    public var address: IPAddress
    public var remoteAS: ASNumber
    public var description = ""
    /// Our end. `nil`: the engine takes the address of the interface that reaches the neighbour.
    public var localAddress: IPAddress?
    /// RFC 4271 §8.1.1 PassiveTcpEstablishment: never connect, only accept.
    public var passive = false
    /// The port to connect to; we listen on 179.
    public var port: UInt16 = 179
    public var timers = SessionTimersConfiguration()
    /// Families to negotiate, without repetition; empty is refused by the parser.
    public var families: [FamilyConfiguration] = [FamilyConfiguration(.ipv4Unicast)]
    /// RFC 2385; empty for none, at most 80 octets.
    public var md5Key = ""
    /// RFC 5082: the neighbour is at most this many hops away, 1…254; 0 switches the check off.
    public var ttlSecurityHops: UInt8 = 0
    /// TTL of what we send to an external neighbour that is not on a connected network; 0 means that it must be.
    public var multihop: UInt8 = 0
    /// RFC 2918
    public var routeRefresh = true
    /// RFC 8654: accept messages up to 65,535 octets, when the neighbour offers it too.
    public var extendedMessages = true
    /// Send our own address as next hop to internal neighbours as well.
    public var nextHopSelf = false
    /// The same for routes that are reflected, whose next hop is left alone otherwise (RFC 4456 §10).
    public var nextHopSelfReflected = false
    /// RFC 4456 §6: an internal neighbour that is a client of our cluster.
    public var isReflectorClient = false
    /// Take private AS numbers (RFC 6996) out of the path that an external neighbour gets.
    public var removePrivateAS = false
    /// Put our own in the place of each instead, so that the path keeps its length.
    public var replacesPrivateAS = false
    /// Our own AS in the path in place of the neighbour's, an external one that would take it for a loop: sites of one AS
    /// that are joined by ours (RFC 4364 §10 has the case).
    public var overridesAS = false
    /// RFC 9234 §4: what we are to the neighbour, an external one. `nil`: roles have no part in it.
    public var role: PeeringRole?
    /// RFC 9234 §4.2, strict mode: a neighbour that does not say its role gets no session.
    public var roleStrict = false
    /// How often our own AS may occur in a received path, 0…10.
    public var allowASIn: UInt8 = 0
    /// RFC 4271 §6.3: the first AS in the path of an external neighbour must be its own. Off towards route servers.
    public var enforceFirstAS = true
    /// Send communities of all kinds.
    public var sendCommunities = true
    /// Announce a default route made for this neighbour, whatever the Loc-RIB holds.
    public var defaultOriginate = false
    /// What more there is to say of it; means nothing without `defaultOriginate`.
    public var defaultRoute: DefaultRouteConfiguration {
        get { otherDefaultRoute ?? DefaultRouteConfiguration() }
        set { otherDefaultRoute = newValue == DefaultRouteConfiguration() ? nil : newValue }
    }
    private var otherDefaultRoute: DefaultRouteConfiguration?
    /// RFC 4271 §9.2.1.1 MinRouteAdvertisementInterval in seconds, at most 600: what changes within it goes out together. A
    /// neighbour that is new, or asks for a refresh, does not wait. 0: as it comes.
    public var advertisementInterval: UInt16 {
        get { otherInterval ?? 0 }
        set { otherInterval = newValue == 0 ? nil : newValue }
    }
    private var otherInterval: UInt16?
    /// Keep the session down, with RFC 9003's text for the neighbour.
    public var isShutdown = false
    /// At most 255 octets of UTF-8.
    public var shutdownMessage = ""
    /// Names of policies, tried in order until one decides; empty is "no policy" in the sense of RFC 8212.
    public var importPolicies: [String] = []
    public var exportPolicies: [String] = []
    /// BFD watches the neighbour, and the session ends when it says that the path is down (RFC 5882 §10.2): the name of a
    /// profile, or empty for none in particular. `nil`: BFD has no part in it.
    public var bfd: String?
    /// How many paths the neighbour may have here in all families together, those that policy rejected too; more end the
    /// session with Cease/1. `nil`: `pathsDefault`; `FamilyConfiguration.unlimited`: no limit.
    public var maximumPaths: UInt32?
    /// Which path the neighbour gets in families in which it does not get several (`AddPathConfiguration`).
    public var view: NeighborView {
        get { otherView ?? .best }
        set { otherView = newValue == .best ? nil : newValue }
    }
    /// `nil` for the usual one: a configuration that was stored before there was another reads as it did.
    private var otherView: NeighborView?
    /// RFC 4724, 8538 and 9494 with this neighbour.
    public var gracefulRestart: GracefulRestartConfiguration {
        get { otherGracefulRestart ?? GracefulRestartConfiguration() }
        set { otherGracefulRestart = newValue == GracefulRestartConfiguration() ? nil : newValue }
    }
    private var otherGracefulRestart: GracefulRestartConfiguration?
    /// What the neighbour has of peer groups; `nil`: it is in none.
    public var membership: GroupMembership?
    /// Of a group, and of a neighbour in one: the limit of families that say none, which `families` has already.
    public var commonPrefixLimit: UInt32?
    /// The neighbour came by itself, from this range. No operator writes that.
    public var range: IPPrefix?
    /// RFC 7705: another AS than the router's towards this neighbour, an external one.
    public var localAS: LocalASConfiguration?
    /// A received path may have our own AS any number of times if that is where the route began; `allowASIn` is then 0.
    public var allowsOwnOrigin: Bool {
        get { takesOwnOrigin ?? false }
        set { takesOwnOrigin = newValue ? true : nil }
    }
    private var takesOwnOrigin: Bool?

    /// Three times what a session with the whole Internet holds (about 1.35 million paths in 2026).
    public static let pathsDefault: UInt32 = 4_000_000

    /// The limit that is in force; `nil`: none.
    public var pathLimit: UInt32? {
        let limit = maximumPaths ?? Self.pathsDefault
        return limit == FamilyConfiguration.unlimited ? nil : limit
    }

    public init(address: IPAddress, remoteAS: ASNumber) {
        self.address = address
        self.remoteAS = remoteAS
    }

    /// Every place that names policies.
    public var policyUses: [PolicyUse] {
        [PolicyUse(importPolicies), PolicyUse(exportPolicies)]
            + (defaultRoute.policy.isEmpty ? [] : [PolicyUse([defaultRoute.policy])])
    }

    /// The largest hop limit difference that the transport accepts, and what it sends.
    public func transportOptions(routerAS: ASNumber) -> TransportOptions {
        var options = TransportOptions()
        options.md5Key = Array(md5Key.utf8)
        if ttlSecurityHops > 0 {
            // RFC 5082 §3: send 255, accept 255 - (hops - 1) and above.
            options.hopLimit = 255
            options.minimumHopLimit = 255 - (ttlSecurityHops - 1)
        } else if multihop > 0 {
            options.hopLimit = multihop
        } else {
            // Internal neighbours may be anywhere in the AS, external ones only on a connected network.
            options.hopLimit = remoteAS == routerAS ? 64 : 1
        }
        return options
    }
}

/// Which of a prefix's paths a neighbour gets that gets one.
public enum NeighborView: String, Hashable, Sendable, Codable, CaseIterable {
    /// The best one, if export policy lets it pass.
    case best
    /// RFC 7947 §2.3, for route servers: the best one of those that export policy lets pass.
    case bestAccepted = "best-accepted"

    var exportView: ExportView { self == .best ? .best : .bestAccepted }
}

/// RFC 7911: several paths of a prefix, in one family.
public struct AddPathConfiguration: Hashable, Sendable, Codable {
    /// Offer the neighbour to take several.
    public var receive = false
    /// The most paths of a prefix that the neighbour gets, 2…`pathsMaximum`, or `all`; 0: sending several is not offered.
    public var send: UInt8 = 0
    public init() {}

    /// As many as there is room for (`pathsMaximum`).
    public static let all = UInt8.max
    /// Places in the Adj-RIB-Out, which neighbours with equal policy share.
    public static let pathsMaximum = UInt8(AdjRIBOut.widthMaximum)

    public var sends: Bool { send > 0 }
    /// Whether anything is offered.
    public var isUsed: Bool { receive || sends }
}

/// Restarts of neighbours, and of the router itself: RFC 4724, 8538 and 9494. Times are in seconds.
public struct GracefulRestartConfiguration: Hashable, Sendable, Codable {
    public enum Mode: String, Hashable, Sendable, Codable, CaseIterable {
        /// The capability is not offered.
        case off
        /// Routes of a neighbour outlive its restart; of our own nothing is promised.
        case helper
        /// The neighbour is also asked to keep ours, for a time in which neither controller is there.
        case full
    }
    public var mode = Mode.helper
    /// RFC 4724 §3 Restart Time, 1…4095: so long the neighbour is to wait for us (`full`).
    public var restartTime: UInt16 = 120
    /// RFC 4724 §4.2: stale routes of a neighbour are kept no longer than this after its session ended, 1…4095. It also bounds a
    /// route refresh whose end is not said (RFC 7313 §4).
    public var staleRoutesTime: UInt16 = 360
    /// RFC 4724 §4.1 Selection_Deferral_Timer, 1…300: of the router as a whole. Shorter than the time after which a host's
    /// kernel forgets what a life before left there.
    public var selectionDeferralTime: UInt16 = 100
    /// RFC 9494 §4.6: an internal neighbour that does not speak of long-lived stale routes gets them all the same, with
    /// NO_EXPORT and a LOCAL_PREF of 0.
    public var advertisesStaleRoutes = false
    public init() {}

    /// Whether an OPEN says the same.
    func hasSameCapability(as other: Self) -> Bool {
        mode == other.mode && (mode != .full || restartTime == other.restartTime)
    }
}

/// Times of a session, in seconds.
public struct SessionTimersConfiguration: Hashable, Sendable, Codable {
    /// RFC 4271 §4.2: 0 or 3…65535. The smaller of both ends' wishes counts.
    public var hold: UInt16 = 90
    /// RFC 4271 §8: time between attempts to connect, 1…65535.
    public var connectRetry: UInt16 = 10
    /// RFC 4271 §8.1.1 IdleHoldTime: the first pause after a failure; it doubles with each further one.
    public var idleHoldMinimum: UInt16 = 1
    public var idleHoldMaximum: UInt16 = 120
    /// RFC 4271 §8.1.1 DelayOpenTime; 0 sends OPEN at once.
    public var delayOpen: UInt16 = 0
    public init() {}
}

/// The default route that is made for a neighbour.
public struct DefaultRouteConfiguration: Hashable, Sendable, Codable {
    /// A policy that may reject it, or set what it goes with; empty for none.
    public var policy = ""
    /// It goes only while there is a best path to exactly this prefix, and only in the family of it. `nil`: always.
    public var condition: IPPrefix?
    public init() {}
}

/// What one family of a neighbour may carry.
public struct FamilyConfiguration: Hashable, Sendable, Codable {
    public var family: RouteFamily
    /// RFC 4271 §6.7: more prefixes than this end the session with Cease/1. Counted before policy. 0: the default for this
    /// kind of session (`limit`); `unlimited`: no limit.
    public var maximumPrefixes: UInt32 = 0
    /// Per cent of the maximum at which an event warns, 1…100.
    public var warningPercent: UInt8 = 75
    /// Only warn.
    public var warningOnly = false
    /// Minutes until the session is tried again; 0 waits for an operator.
    public var restartMinutes: UInt16 = 0
    /// RFC 7911
    public var addPath: AddPathConfiguration {
        get { usedAddPath ?? AddPathConfiguration() }
        set { usedAddPath = newValue.isUsed ? newValue : nil }
    }
    /// RFC 8950: offer to give and take IPv6 next hops in a family of IPv4.
    public var extendedNextHop: Bool {
        get { usedExtendedNextHop ?? false }
        set { usedExtendedNextHop = newValue ? true : nil }
    }
    /// RFC 9494: stale routes of the neighbour are kept for so long after the time of RFC 4724, if it asks for as much, and
    /// those of ours are to be (`GracefulRestartConfiguration.Mode.full`). Seconds, 1…16,777,215; 0: not at all.
    public var longLivedStaleTime: UInt32 {
        get { usedLongLivedStaleTime ?? 0 }
        set { usedLongLivedStaleTime = newValue == 0 ? nil : newValue }
    }
    /// More prefixes than the limit are not taken, and the session goes on.
    public var discardsExtra: Bool {
        get { isDiscarding ?? false }
        set { isDiscarding = newValue ? true : nil }
    }
    /// `nil` where they are not used: a configuration that was stored before they were known reads as it did.
    private var isDiscarding: Bool?
    private var usedAddPath: AddPathConfiguration?
    private var usedExtendedNextHop: Bool?
    private var usedLongLivedStaleTime: UInt32?

    public init(_ family: RouteFamily) { self.family = family }

    /// Said by an operator who wants no limit.
    public static let unlimited = UInt32.max

    /// Far above the Internet's table, and far below what a leak of more-specific routes can become.
    public static func externalDefault(_ family: RouteFamily) -> UInt32 { family.type.prefixLimit }

    /// The limit that is in force; `nil`: none. What comes from inside the AS was let in somewhere already, so without a
    /// word of the operator only external sessions have one.
    public func limit(isInternal: Bool) -> UInt32? {
        switch maximumPrefixes {
        case 0: isInternal ? nil : Self.externalDefault(family)
        case Self.unlimited: nil
        default: maximumPrefixes
        }
    }
}

/// A prefix that the router originates while it is configured.
public struct OriginatedNetwork: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// The next hop to announce to internal neighbours; `nil` is our own address.
    public var nextHop: IPAddress?
    public var med: UInt32?
    public var communities: [Community] = []
    public var largeCommunities: [LargeCommunity] = []

    public init(prefix: IPPrefix) { self.prefix = prefix }
}
