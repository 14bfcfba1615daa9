import Records
import SPF
import Wire

/// What an OSPF instance does, as plain values: one section of the router configuration after every name was checked.
///
/// One instance is one version and one address family. Router IDs and area IDs are 32-bit numbers that are written like
/// IPv4 addresses (RFC 2328 §C.1, §C.2), in OSPFv3 as well, and are held as such.
public struct OSPFConfiguration: Hashable, Sendable, Codable {
    public var version: OSPFVersion
    /// IPv4 with OSPFv2; either with OSPFv3 (RFC 5838).
    public var family: AddressFamily
    /// OSPFv3 §A.3.1 Instance ID; RFC 5838 §2.1: 0…31 are IPv6 unicast, 64…95 IPv4 unicast. 0 for OSPFv2.
    public var instanceID: UInt8
    /// Not 0.0.0.0.
    public var routerID: IPv4Address
    /// At most 256, ascending by area ID, no two equal.
    public var areas: [OSPFAreaConfiguration]
    /// At most 256, no two with the same name.
    public var interfaces: [OSPFInterfaceConfiguration]
    public var distances: OSPFDistances
    /// Kilobits per second that cost 1 stands for, where an interface has no cost of its own.
    public var referenceBandwidth: UInt64
    /// Metric of redistributed routes to which no policy gave one, 0…16,777,214.
    public var defaultMetric: UInt32
    /// RFC 8405 §5.
    public var spfTimers: SPFDelays
    public var lsaTimers: OSPFLSATimers
    /// RFC 6987: how this router keeps transit traffic away.
    public var stubRouter: OSPFStubRouter?
    /// A default route announced as an AS external LSA.
    public var defaultOriginate: OSPFDefaultOriginate?
    /// Equal-cost next hops of a route, 1…64.
    public var maximumPaths: UInt8
    /// RFC 3623, RFC 5187: help neighbours that restart.
    public var gracefulRestartHelper: OSPFGracefulRestartHelper
    /// RFC 1583 compatibility of external route choice (RFC 2328 §C.1 RFC1583Compatibility).
    public var rfc1583Compatibility: Bool
    public var limits: OSPFLimits
    /// Seconds since 1970 at which the router's time was zero. Cryptographic sequence numbers count on from it, so that
    /// they go on after both controllers were off (RFC 7474 §3 counts such boots). Absent means 0: a neighbour that
    /// remembers higher numbers then refuses us until its RouterDeadInterval is over.
    public var sequenceBase: UInt64?

    public init(
        version: OSPFVersion, family: AddressFamily? = nil, instanceID: UInt8 = 0, routerID: IPv4Address,
        areas: [OSPFAreaConfiguration] = [], interfaces: [OSPFInterfaceConfiguration] = []
    ) {
        self.version = version
        self.family = family ?? (version == .v2 ? .ipv4 : .ipv6)
        self.instanceID = instanceID
        self.routerID = routerID
        self.areas = areas
        self.interfaces = interfaces
        distances = OSPFDistances()
        referenceBandwidth = 100_000
        defaultMetric = 20
        spfTimers = SPFDelays()
        lsaTimers = OSPFLSATimers()
        maximumPaths = 64
        gracefulRestartHelper = OSPFGracefulRestartHelper()
        rfc1583Compatibility = false
        limits = OSPFLimits()
    }

    /// The area's configuration; one that is not listed is a normal area.
    public func area(_ id: IPv4Address) -> OSPFAreaConfiguration {
        areas.first { $0.areaID == id } ?? OSPFAreaConfiguration(areaID: id)
    }
}

public enum OSPFVersion: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// RFC 2328
    case v2 = 2
    /// RFC 5340
    case v3 = 3
    public var description: String { self == .v2 ? "OSPFv2" : "OSPFv3" }
}

/// Administrative distances, 1…255, by the kind of the route.
public struct OSPFDistances: Hashable, Sendable, Codable {
    public var intraArea: UInt8 = 110
    public var interArea: UInt8 = 110
    public var external: UInt8 = 110
    public init() {}
}

/// RFC 2328 §C.2: parameters of an area.
public struct OSPFAreaConfiguration: Hashable, Sendable, Codable {
    public var areaID: IPv4Address
    public var kind: OSPFAreaKind
    /// RFC 2328 §C.2 StubDefaultCost: metric of the default route that an ABR puts into a stub or NSSA area;
    /// 0…16,777,214.
    public var defaultCost: UInt32
    /// RFC 2328 §C.2: ranges by which an ABR gathers the area's networks for other areas. No two with the same prefix.
    public var ranges: [OSPFAreaRange]
    /// RFC 3101 §2.2, §3.2: ranges by which the translator gathers type-7 networks.
    public var nssaRanges: [OSPFAreaRange]
    /// RFC 3101 §2.4: how an ABR of an NSSA comes to translate type 7 into type 5.
    public var nssaTranslator: OSPFNSSATranslatorRole
    /// RFC 3101 §2.3: a default route as type-7 LSA into the NSSA, though summaries are imported.
    public var nssaDefaultOriginate: OSPFDefaultOriginate?

    public init(areaID: IPv4Address, kind: OSPFAreaKind = .normal) {
        self.areaID = areaID
        self.kind = kind
        defaultCost = 1
        ranges = []
        nssaRanges = []
        nssaTranslator = .candidate
    }
}

public enum OSPFAreaKind: UInt8, Hashable, Sendable, Codable, CustomStringConvertible {
    case normal = 0
    /// RFC 2328 §3.6: no AS external LSAs.
    case stub = 1
    /// A stub area whose ABRs announce nothing but the default route.
    case totallyStubby = 2
    /// RFC 3101
    case nssa = 3
    /// RFC 3101 §2.7: an NSSA whose ABRs announce nothing but the default route.
    case nssaNoSummary = 4

    public var isStub: Bool { self == .stub || self == .totallyStubby }
    public var isNSSA: Bool { self == .nssa || self == .nssaNoSummary }
    /// Whether LSAs of AS flooding scope belong here (RFC 2328 §3.6, RFC 3101 §2.3).
    public var importsExternals: Bool { self == .normal }
    /// Whether ABRs put summaries of other areas in here.
    public var importsSummaries: Bool { self != .totallyStubby && self != .nssaNoSummary }

    public var description: String {
        switch self {
        case .normal: "normal"
        case .stub: "stub"
        case .totallyStubby: "totally stubby"
        case .nssa: "NSSA"
        case .nssaNoSummary: "NSSA without summaries"
        }
    }
}

/// RFC 3101 §3.1 NSSATranslatorRole.
public enum OSPFNSSATranslatorRole: UInt8, Hashable, Sendable, Codable {
    case candidate = 0
    case always = 1
    /// Never translates: this router stands back from the election.
    case never = 2
}

/// RFC 2328 §C.2, §12.4.3: an address range.
public struct OSPFAreaRange: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// `false`: the networks in the range are hidden (DoNotAdvertise).
    public var isAdvertised: Bool
    /// `nil`: the largest cost of the networks within it.
    public var cost: UInt32?
    /// RFC 3101: route tag of a type-7 range.
    public var tag: UInt32?

    public init(prefix: IPPrefix, isAdvertised: Bool = true, cost: UInt32? = nil) {
        self.prefix = prefix
        self.isAdvertised = isAdvertised
        self.cost = cost
    }
}

/// RFC 2328 §12.4.4: a default route that this ASBR announces.
public struct OSPFDefaultOriginate: Hashable, Sendable, Codable {
    /// `false`: only while the router has a default route of another protocol.
    public var always: Bool
    /// 0…16,777,214
    public var metric: UInt32
    /// Type 2 if true.
    public var isExternalMetric: Bool
    public var tag: UInt32

    public init(always: Bool = false, metric: UInt32 = 10, isExternalMetric: Bool = true, tag: UInt32 = 0) {
        self.always = always
        self.metric = metric
        self.isExternalMetric = isExternalMetric
        self.tag = tag
    }
}

/// RFC 2328 §C.3: parameters of an interface.
public struct OSPFInterfaceConfiguration: Hashable, Sendable, Codable {
    /// As in the router's list of interfaces.
    public var name: String
    public var areaID: IPv4Address
    public var network: OSPFNetworkType
    /// Hosts' networks are announced, but no packet is sent or taken.
    public var isPassive: Bool
    /// Interface output cost, 1…65,535.
    public var cost: UInt16
    /// Seconds between Hellos, 1…65,535.
    public var helloInterval: UInt16
    /// Seconds without a Hello until a neighbour is down. RFC 2328 §C.3: four times the HelloInterval by custom.
    public var routerDeadInterval: UInt32
    /// Seconds between retransmissions to one neighbour, 1…3,600.
    public var retransmitInterval: UInt16
    /// Seconds by which LSAs age on this link, 1…3,600 (InfTransDelay).
    public var transmitDelay: UInt16
    /// Router Priority; 0 never becomes Designated Router.
    public var priority: UInt8
    /// Ask BFD to watch neighbours.
    public var bfd: Bool
    /// RFC 2328 §10.6: do not compare MTUs in Database Description packets.
    public var ignoresMTU: Bool
    /// RFC 2328 §D, RFC 5709, RFC 7474 (OSPFv2): clear text of at most 8 octets, MD5 with at most 16, HMAC-SHA-1 and with
    /// SHA-2 but not SHA-224; identifiers 0…255. RFC 7166 (OSPFv3): HMAC alone; identifiers, its SA IDs, 1…65,535.
    /// `nil`: AuType 0, no trailer.
    public var authentication: KeyChain?
    /// RFC 6860: the network between routers is not announced.
    public var suppressesPrefixes: Bool
    /// RFC 5082: packets are sent with a TTL of 255, and only such are taken, so that nobody beyond the link speaks here.
    /// Both ends must do it; absent means that it is not done.
    public var ttlSecurity: Bool?

    public init(name: String, areaID: IPv4Address, network: OSPFNetworkType = .broadcast) {
        self.name = name
        self.areaID = areaID
        self.network = network
        isPassive = false
        cost = 10
        helloInterval = 10
        routerDeadInterval = 40
        retransmitInterval = 5
        transmitDelay = 1
        priority = 1
        bfd = false
        ignoresMTU = false
        suppressesPrefixes = false
    }
}

/// RFC 2328 §1.2, §9.
public enum OSPFNetworkType: UInt8, Hashable, Sendable, Codable, CaseIterable, LosslessStringConvertible {
    case broadcast = 0
    /// Also on a LAN between two routers (RFC 5309).
    case pointToPoint = 1
    /// Announced as host routes; nothing is sent.
    case loopback = 2

    public var description: String {
        switch self {
        case .broadcast: "broadcast"
        case .pointToPoint: "point-to-point"
        case .loopback: "loopback"
        }
    }
}

/// How often LSAs are made and taken, in milliseconds.
public struct OSPFLSATimers: Hashable, Sendable, Codable {
    /// Wait before an own LSA is originated after a change when there was none of late.
    public var initialDelay: UInt32 = 0
    /// RFC 2328 Appendix B MinLSInterval: between two originations of the same LSA.
    public var minimumInterval: UInt32 = 5_000
    /// RFC 2328 Appendix B MinLSArrival: between two instances of an LSA that are taken from neighbours.
    public var minimumArrival: UInt32 = 1_000
    /// Seconds after which an own LSA is refreshed (RFC 2328 Appendix B LSRefreshTime), less a jitter; 60…1,800.
    public var refreshInterval: UInt16 = 1_800
    public init() {}
}

/// RFC 6987: links to other routers are announced with MaxLinkMetric (OSPFv3: may clear the R-bit, §2.1 of RFC 5340).
public struct OSPFStubRouter: Hashable, Sendable, Codable {
    /// Until the configuration says otherwise.
    public var always: Bool
    /// For so many seconds after the instance began, 0…86,400.
    public var onStartup: UInt32
    /// Metric of summaries that this ABR announces meanwhile; `nil` leaves them.
    public var summaryMetric: UInt32?
    /// Metric of externals meanwhile; `nil` leaves them.
    public var externalMetric: UInt32?
    /// Stub networks get MaxLinkMetric, too.
    public var includesStubs: Bool

    public init(always: Bool = false, onStartup: UInt32 = 0) {
        self.always = always
        self.onStartup = onStartup
        includesStubs = false
    }
}

public struct OSPFGracefulRestartHelper: Hashable, Sendable, Codable {
    public var isEnabled = true
    /// RFC 3623 §3.2 RestartHelperStrictLSAChecking: a change of the topology ends the help.
    public var strictLSAChecking = true
    /// Seconds; longer grace periods are refused. 1…1,800.
    public var gracePeriodMaximum: UInt16 = 1_800
    public init() {}
}

/// Bounds on what others can make us hold.
public struct OSPFLimits: Hashable, Sendable, Codable {
    /// LSAs of others in all databases. More are refused, with an event.
    public var lsasMaximum: UInt32 = 500_000
    /// Neighbours on one interface.
    public var neighborsPerInterface: UInt16 = 256
    /// LSAs on the retransmission list or the request list of one neighbour; beyond it the exchange starts anew.
    public var listMaximum: UInt32 = 600_000
    /// Routes of other protocols that are announced, the first in the order of prefixes; an alarm tells of the rest.
    /// 0…1,000,000; absent: `redistributedDefault`.
    public var redistributed: UInt32?

    public static let redistributedDefault: UInt32 = 20_000
    public var redistributedMaximum: UInt32 { redistributed ?? Self.redistributedDefault }
    public init() {}
}
