import Policy
import Records
import SPF
import Wire

/// What IS-IS does, as plain values, after the text was read and every name was checked. The machine compares it with
/// the one in force and disturbs only what differs.
///
/// The order of the properties is the order of the engine's encoding; new ones are appended and optional.
public struct ISISConfiguration: Hashable, Sendable, Codable {
    public var systemID: SystemID
    /// 1…3 (ISO 10589 §7.1.5, maximumAreaAddresses is 3), each 1…13 octets, ascending, without repetition. All of them
    /// name the one area the router is in.
    public var areaAddresses: [AreaAddress]
    public var levels = ISISLevels.level1And2
    /// Ascending by interface, without repetition. What is not listed takes no part.
    public var interfaces: [ISISInterfaceConfiguration] = []
    /// RFC 5301: at most 255 octets of printable ASCII; empty announces none.
    public var hostname = ""
    public var metricStyle = ISISMetricStyle.wide
    public var level1 = ISISLevelConfiguration()
    public var level2 = ISISLevelConfiguration()
    /// Families that take part; without IPv6 no TLV 232/236 is sent and no IPv6 route made.
    public var isIPv4Enabled = true
    public var isIPv6Enabled = true
    /// RFC 5120: the topologies besides the standard one. With IPv6 unicast (2) in it, IPv6 is routed by a topology
    /// of its own; without, by the one of IPv4 (RFC 5308).
    public var topologies: [ISISTopology] = []
    /// Octets of the largest LSP that is made here, 512…9000. ISO 10589 §9.8: originatingLSPBufferSize, 1492; it must
    /// fit through every link of the level.
    public var lspMTU: UInt16 = 1492
    /// Seconds an LSP lives, 350…65535 (MaxAge, ISO 10589 §7.3.21).
    public var lspLifetime: UInt16 = 1200
    /// Seconds between refreshes of an LSP whose content stays (maximumLSPGenerationInterval); 1…65235 and at least 300
    /// less than `lspLifetime`.
    public var lspRefresh: UInt16 = 900
    /// How own LSPs that change are held back.
    public var generation = ISISThrottle(initialDelay: 50, secondDelay: 200, maximumDelay: 5000)
    public var spf = SPFDelays()
    /// Milliseconds between two bursts of at most ten LSPs on one interface, 1…1000 (the standard's
    /// minimumLSPTransmissionInterval, ISO 10589 §7.3.15.6, is 33 ms for each one).
    public var lspPacing: UInt16 = 10
    /// Seconds until an LSP is sent again that a neighbour on a point-to-point circuit did not acknowledge
    /// (minimumLSPTransmissionInterval of §7.3.15.6), 1…600.
    public var lspRetransmit: UInt16 = 5
    /// Milliseconds PSNP are collected (partialSNPInterval, ISO 10589 §7.3.15.4; 2 s there), 100…10000.
    public var psnpInterval: UInt16 = 1000
    public var overload = ISISOverload()
    public var attachedBit = ISISAttachedBit()
    /// Administrative distances for the routing table manager, 1…255.
    public var level1Distance: UInt8 = 115
    public var level2Distance: UInt8 = 115
    /// RFC 5302 and redistributed routes with an external metric.
    public var externalDistance: UInt8 = 115
    /// Equal paths of a route, 1…64.
    public var maximumPaths: UInt8 = 16
    /// Level 1 routes that level 2 hears of. RFC 1195 §3.2: all of them, unless said otherwise.
    public var leakingUp = ISISLeaking(isEnabled: true)
    /// RFC 5302: level 2 routes that level 1 hears of, with the up/down bit set.
    public var leakingDown = ISISLeaking(isEnabled: false)
    /// What these two name. Empty in the router's configuration, which has the definitions for all protocols; whoever hands
    /// this over fills it (`linked`).
    public var definitions: PolicyDefinitions?
    /// One route instead of the more specific ones it covers, towards the levels named.
    public var summaries: [ISISSummary] = []
    /// The metric of redistributed routes to which policy gave none, 0…16777215 (63 with narrow metrics).
    public var redistributionMetric: UInt32 = 0
    /// RFC 5306: help neighbours that restart.
    public var isRestartHelper = true
    /// RFC 5303 §3.2: a neighbour on a point-to-point circuit must use the three-way handshake. Off, one without the
    /// option comes up by ISO 10589 alone.
    public var requiresThreeWay = false
    /// RFC 7987 and ISO 10589 §7.3.16.4: how a received remaining lifetime is judged.
    public var lifetimeProtection = true
    /// RFC 6232 and 6233: purges name who made them; with authentication they carry nothing else.
    public var purgeOriginator = true
    public var limits = ISISLimits()

    public init(systemID: SystemID, areaAddresses: [AreaAddress]) {
        self.systemID = systemID
        self.areaAddresses = areaAddresses
    }

    /// With what leaking between levels names of the router's definitions: nothing else of these concerns it.
    public func linked(to all: PolicyDefinitions) -> ISISConfiguration {
        var linked = self
        let definitions = all.only(for: [leakingUp.policy, leakingDown.policy].compactMap { $0 })
        linked.definitions = definitions.isEmpty ? nil : definitions
        return linked
    }

    public subscript(level: Level) -> ISISLevelConfiguration {
        get { level == .one ? level1 : level2 }
        set {
            if level == .one { level1 = newValue } else { level2 = newValue }
        }
    }
    /// The configuration of an interface, or `nil` where IS-IS does not run.
    public func interface(_ id: InterfaceID) -> ISISInterfaceConfiguration? {
        interfaces.first { $0.interface == id.value }
    }
    public func distance(_ level: Level) -> UInt8 { level == .one ? level1Distance : level2Distance }
}

/// Levels as the wire says it (ISO 10589 §9.7, circuit type): a set of two bits, never empty.
public enum ISISLevels: UInt8, Hashable, Sendable, Codable, CaseIterable, LosslessStringConvertible {
    case level1 = 1
    case level2 = 2
    case level1And2 = 3
    @inlinable public func contains(_ level: Level) -> Bool { rawValue & level.rawValue != 0 }
    public func intersection(_ other: ISISLevels) -> ISISLevels? { ISISLevels(rawValue: rawValue & other.rawValue) }
    public var description: String {
        switch self {
        case .level1: "L1"
        case .level2: "L2"
        case .level1And2: "L1L2"
        }
    }
}

/// What is sent and understood of metrics. Wide: RFC 5305 TLVs 22 and 135. Narrow: RFC 1195 TLVs 2, 128 and 130.
public enum ISISMetricStyle: UInt8, Hashable, Sendable, Codable {
    case narrow = 1
    case wide = 2
    /// Both are sent and both are understood.
    case transition = 3
}

/// RFC 5120 §7.1: numbers of topologies.
public enum ISISTopology: UInt16, Hashable, Comparable, Sendable, Codable {
    case standard = 0
    case ipv6Unicast = 2
    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

public enum ISISNetworkType: UInt8, Hashable, Sendable, Codable {
    case broadcast = 0
    /// Two routers; on a LAN by RFC 5309.
    case pointToPoint = 1
}

/// When hellos are padded to the full MTU (ISO 10589 §8.2.3 and §8.4.1), which finds links that lose large frames.
public enum ISISHelloPadding: UInt8, Hashable, Sendable, Codable {
    case always = 0
    /// Until the first adjacency of the circuit (and level) is up.
    case untilAdjacency = 1
    case never = 2
}

/// IS-IS on one interface.
public struct ISISInterfaceConfiguration: Hashable, Sendable, Codable {
    /// Position in the router's list of interfaces.
    public var interface: UInt16
    /// Within those of the instance.
    public var levels = ISISLevels.level1And2
    public var networkType = ISISNetworkType.broadcast
    /// Announce the addresses, send and hear nothing. Loopback interfaces are always so.
    public var isPassive = false
    public var padding = ISISHelloPadding.always
    public var level1 = ISISInterfaceLevelConfiguration()
    public var level2 = ISISInterfaceLevelConfiguration()
    /// Seconds between CSNP of the designated IS (completeSNPInterval), 1…600.
    public var csnpInterval: UInt16 = 10
    /// Seconds between CSNP on a point-to-point circuit; 0 sends them only when an adjacency comes up.
    public var pointToPointCSNPInterval: UInt16 = 0
    /// Watch neighbours with BFD.
    public var bfd = false
    /// Authentication of hellos.
    public var authentication: ISISAuthentication?
    /// Addresses are announced with this administrative tag (RFC 5130); 0 is none.
    public var tag: UInt32 = 0
    /// RFC 5120: topologies that run here besides the standard one; `nil` takes those of the instance.
    public var topologies: [ISISTopology]?

    public init(interface: UInt16) { self.interface = interface }

    public var id: InterfaceID { InterfaceID(interface) }
    public subscript(level: Level) -> ISISInterfaceLevelConfiguration {
        get { level == .one ? level1 : level2 }
        set {
            if level == .one { level1 = newValue } else { level2 = newValue }
        }
    }
}

/// What an interface has once for each level. A point-to-point circuit has one hello: the lower level of the circuit
/// rules.
public struct ISISInterfaceLevelConfiguration: Hashable, Sendable, Codable {
    /// 1…16777214; narrow metrics carry at most 63.
    public var metric: UInt32 = 10
    /// RFC 5120: the metric in the IPv6 topology; `nil` takes `metric`.
    public var ipv6Metric: UInt32?
    /// Milliseconds between hellos, 100…600000. The designated IS sends three times as often (ISO 10589 §8.4.5).
    public var helloInterval: UInt32 = 10_000
    /// Hellos that may be lost, 2…100: the holding time is the interval times this, in whole seconds, at least one.
    public var helloMultiplier: UInt8 = 3
    /// 0…127; the highest is elected designated IS (ISO 10589 §8.4.5).
    public var priority: UInt8 = 64

    public init() {}
}

/// What one level has.
public struct ISISLevelConfiguration: Hashable, Sendable, Codable {
    /// Authentication of LSP (ISO 10589 §7.3.15: the area password of level 1, the domain password of level 2).
    public var authentication: ISISAuthentication?
    /// Sequence number packets carry it and are checked, too.
    public var authenticatesSNP = true

    public init() {}
}

/// How PDUs are signed and verified (ISO 10589 §9.5, RFC 5304, RFC 5310).
public struct ISISAuthentication: Hashable, Sendable, Codable {
    /// Clear text of at most 254 octets, HMAC-MD5, HMAC-SHA-1 and all of SHA-2. Keys of RFC 5310 (the HMAC-SHA ones) have
    /// identifiers of 16 bits; those of the others are on no wire.
    public var chain: KeyChain
    /// Sign, but take what is not signed or signed wrongly as well: for the day authentication is switched on.
    public var isSendOnly = false

    public init(chain: KeyChain) { self.chain = chain }
}

/// A delay that grows while changes keep coming: the first change waits `initialDelay`, the next `secondDelay`, then
/// twice as long each time up to the maximum; quiet for twice the maximum begins anew. Milliseconds, 0…120000.
public struct ISISThrottle: Hashable, Sendable, Codable {
    public var initialDelay: UInt32
    public var secondDelay: UInt32
    public var maximumDelay: UInt32

    public init(initialDelay: UInt32, secondDelay: UInt32, maximumDelay: UInt32) {
        self.initialDelay = initialDelay
        self.secondDelay = secondDelay
        self.maximumDelay = maximumDelay
    }
}

/// ISO 10589 §7.2.8.1: the overload bit asks others to route around this router.
public struct ISISOverload: Hashable, Sendable, Codable {
    public var isSet = false
    /// Seconds after the protocol starts during which the bit is set; 0 is not at all.
    public var onStartup: UInt32 = 0

    public init() {}
}

/// RFC 1195 §3.2 and RFC 5302: how level 1 finds the way out of its area.
public struct ISISAttachedBit: Hashable, Sendable, Codable {
    /// Set it in level 1 while level 2 reaches another area.
    public var isSent = true
    /// Make a default route towards the nearest router that sets it.
    public var isHonored = true

    public init() {}
}

/// Which routes of one level the other hears of.
public struct ISISLeaking: Hashable, Sendable, Codable {
    public var isEnabled: Bool
    /// `nil`: all of them, as they are.
    public var policy: PolicyUse?

    public init(isEnabled: Bool, policy: PolicyUse? = nil) {
        self.isEnabled = isEnabled
        self.policy = policy
    }
}

public struct ISISSummary: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// Levels that hear the summary instead of what it covers.
    public var levels = ISISLevels.level2
    /// `nil` takes the lowest metric of what it covers.
    public var metric: UInt32?
    public var tag: UInt32 = 0

    public init(prefix: IPPrefix) { self.prefix = prefix }
}

/// Bounds of what neighbours can fill.
public struct ISISLimits: Hashable, Sendable, Codable {
    /// LSPs in the database of a level, 16…1000000. An LSP beyond it is dropped and the router sets its overload bit.
    public var lsps: UInt32 = 50_000
    /// Adjacencies of a circuit and level, 1…1024.
    public var adjacencies: UInt16 = 256
    /// Prefixes that the LSPs of a level announce, 16…10000000. With as many, an LSP that is new is dropped and the
    /// router sets its overload bit, as with `lsps`.
    public var routes: UInt32 = 2_000_000
    /// Octets of all LSPs of a level; absent: `octetsDefault`. Likewise.
    public var octets: UInt32?
    /// Routes of other protocols that are announced, the first in the order of prefixes; an alarm tells of the rest.
    /// 0…1000000; absent: `redistributedDefault`.
    public var redistributed: UInt32?

    public static let octetsDefault: UInt32 = 32 << 20
    public static let redistributedDefault: UInt32 = 20_000
    public var octetsMaximum: UInt32 { octets ?? Self.octetsDefault }
    public var redistributedMaximum: UInt32 { redistributed ?? Self.redistributedDefault }

    public init() {}
}
