import Records
import Wire

/// What a RIP instance does, as plain values: one section of the router configuration after every name was checked.
///
/// One instance is RIPv2 over IPv4 (RFC 2453) or RIPng over IPv6 (RFC 2080).
public struct RIPConfiguration: Hashable, Sendable, Codable {
    public var version: RIPVersion
    /// At most 256, no two with the same name.
    public var interfaces: [RIPInterfaceConfiguration]
    public var timers: RIPTimers
    /// Administrative distance of the routes, 1…255.
    public var distance: UInt8
    /// Next hops of a route that share its load, 1…64. 1: the first of equals stays until it ages (RFC 2453 §3.9.2).
    public var maximumPaths: UInt8
    /// Metric of redistributed routes to which no policy gave one, 1…16.
    public var defaultMetric: UInt8
    /// A default route announced to all neighbours.
    public var defaultOriginate: RIPDefaultOriginate?
    public var limits: RIPLimits

    public init(version: RIPVersion, interfaces: [RIPInterfaceConfiguration] = []) {
        self.version = version
        self.interfaces = interfaces
        timers = RIPTimers()
        distance = 120
        maximumPaths = 64
        defaultMetric = 1
        limits = RIPLimits()
    }

    /// The entry of the interface with this name.
    public func interface(_ name: String) -> RIPInterfaceConfiguration? { interfaces.first { $0.name == name } }
}

public enum RIPVersion: UInt8, Hashable, Sendable, Codable, CustomStringConvertible {
    /// RFC 2453, and RFC 1058 where an interface is told so.
    case v2 = 2
    /// RFC 2080.
    case ng = 3

    public var family: AddressFamily { self == .v2 ? .ipv4 : .ipv6 }
    public var packetProtocol: PacketProtocol { self == .v2 ? .rip : .ripng }
    public var routeProtocolName: String { self == .v2 ? "rip" : "ripng" }
    /// UDP port of routers (RFC 2453 §3.6, RFC 2080 §2.1).
    public var port: UInt16 { self == .v2 ? 520 : 521 }
    public var description: String { self == .v2 ? "RIP" : "RIPng" }
}

/// RFC 2453 §3.8, §3.10.1; RFC 2080 §2.3, §2.5.1.
public struct RIPTimers: Hashable, Sendable, Codable {
    /// Seconds between regular updates, 1…3,600; each interval is off by up to a sixth, at random.
    public var update: UInt16 = 30
    /// Seconds after which a route that nobody confirmed is unreachable, 2…36,000.
    public var timeout: UInt32 = 180
    /// Seconds for which an unreachable route is announced as such before it is forgotten, 1…36,000.
    public var garbage: UInt32 = 120
    /// Milliseconds for which the first change gathers others before it triggers an update, 0…5,000.
    public var triggeredInitial: UInt16 = 20
    /// Milliseconds from one triggered update to the next, a random number between these two, 0…60,000.
    public var triggeredMinimum: UInt16 = 1_000
    public var triggeredMaximum: UInt16 = 5_000
    public init() {}
}

/// A default route that this router announces.
public struct RIPDefaultOriginate: Hashable, Sendable, Codable {
    /// `false`: only while the router has a default route of another protocol that is redistributed into this one; it is
    /// then announced with this metric and tag.
    public var always: Bool
    /// 1…15
    public var metric: UInt8
    public var tag: UInt16

    public init(always: Bool = false, metric: UInt8 = 1, tag: UInt16 = 0) {
        self.always = always
        self.metric = metric
        self.tag = tag
    }
}

/// What RIP does on an interface. Its connected networks are announced on the others.
public struct RIPInterfaceConfiguration: Hashable, Sendable, Codable {
    /// As in the router's list of interfaces.
    public var name: String
    /// The network is announced elsewhere and updates are heard, but none are sent here except to `neighbors`
    /// (RFC 2453 §3.9.1: a silent router). Loopback interfaces are always passive.
    public var isPassive: Bool
    public var splitHorizon: RIPSplitHorizon
    /// RFC 2453 §3.5: cost of this network, added to what neighbours announce, 1…15.
    public var metric: UInt8
    /// Added to what is announced here, 0…15.
    public var metricOffset: UInt8
    /// RFC 2453 §5.1; of no meaning to RIPng.
    public var send: RIPSendMode
    /// RFC 2453 §5.1; of no meaning to RIPng.
    public var receive: RIPReceiveMode
    /// RIPv2 only (RIPng leaves it to IPsec: RFC 2080 §4): clear text of at most 16 octets (RFC 2453 §4.1), MD5 with at most
    /// 16, HMAC-SHA-1 and with SHA-2 but not SHA-224 (RFC 4822); identifiers 0…255.
    public var authentication: KeyChain?
    /// Routers that get updates by unicast, too, where groups do not reach. At most 64; on-link addresses, for RIPng
    /// link-local ones.
    public var neighbors: [IPAddress]
    /// Ask BFD to watch neighbours that send routes.
    public var bfd: Bool
    /// RIPv2: packets leave with TTL 255 and others are dropped, so that no one but the link's stations is heard
    /// (RFC 5082). RIPng always does so for what goes to the group (RFC 2080 §2.5.2).
    public var ttlSecurity: Bool
    /// The connected networks of this interface are not announced.
    public var suppressesPrefixes: Bool

    public init(name: String) {
        self.name = name
        isPassive = false
        splitHorizon = .poisonedReverse
        metric = 1
        metricOffset = 0
        send = .v2
        receive = .v2
        neighbors = []
        bfd = false
        ttlSecurity = false
        suppressesPrefixes = false
    }
}

/// RFC 2453 §3.4.3.
public enum RIPSplitHorizon: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// Routes are announced where they were learned, too.
    case none = 0
    /// Routes are not announced where they were learned.
    case simple = 1
    /// Routes are announced as unreachable where they were learned.
    case poisonedReverse = 2

    public var description: String {
        switch self {
        case .none: "none"
        case .simple: "simple"
        case .poisonedReverse: "poisoned reverse"
        }
    }
}

/// RFC 2453 §5.1: what is sent.
public enum RIPSendMode: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case none = 0
    /// RFC 1058 messages by broadcast.
    case v1 = 1
    /// "RIP-1 compatibility": version 2 messages by broadcast, without routes that a version 1 router would misread.
    case v1Compatible = 2
    /// Version 2 messages to the group.
    case v2 = 3

    public var description: String {
        switch self {
        case .none: "none"
        case .v1: "1"
        case .v1Compatible: "1 compatible"
        case .v2: "2"
        }
    }
}

/// RFC 2453 §5.1: what is heard.
public enum RIPReceiveMode: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    case none = 0
    case v1 = 1
    case v2 = 2
    case both = 3

    public func accepts(version: UInt8) -> Bool {
        switch self {
        case .none: false
        case .v1: version == 1
        case .v2: version >= 2
        case .both: true
        }
    }
    public var description: String {
        switch self {
        case .none: "none"
        case .v1: "1"
        case .v2: "2"
        case .both: "1 and 2"
        }
    }
}

/// Bounds on what others can make us hold or do.
public struct RIPLimits: Hashable, Sendable, Codable {
    /// Prefixes learned from all neighbours, 1…1,000,000. More are refused, with an event.
    public var routesMaximum: UInt32 = 100_000
    /// Routes of one neighbour, 1…1,000,000.
    public var routesPerNeighbor: UInt32 = 50_000
    /// Neighbours on one interface, 1…4,096.
    public var neighborsPerInterface: UInt16 = 256
    /// Requests that are answered within one second on one interface, 1…10,000.
    public var requestsPerSecond: UInt16 = 20
    public init() {}
}
