import Records
import Wire

/// A link of this router to a neighbour or to a LAN, as its LSP announces it and as the calculation begins with it:
/// one for each circuit and level whose adjacency is up, or whose LAN has a designated IS and an adjacency.
public struct LocalLink: Hashable, Sendable {
    public var interface: InterfaceID
    /// The neighbour, or the LAN by its designated IS (ISO 10589 §7.3.7).
    public var node: NodeID
    public var metric: UInt32
    /// RFC 5120: the metric in the IPv6 topology.
    public var ipv6Metric: UInt32
    /// Of the standard topology (MT ID 0).
    public var isStandard: Bool
    /// Of the IPv6 topology (MT ID 2).
    public var isIPv6: Bool

    public init(
        interface: InterfaceID, node: NodeID, metric: UInt32, ipv6Metric: UInt32? = nil, isStandard: Bool = true,
        isIPv6: Bool = false
    ) {
        self.interface = interface
        self.node = node
        self.metric = metric
        self.ipv6Metric = ipv6Metric ?? metric
        self.isStandard = isStandard
        self.isIPv6 = isIPv6
    }

    func isMember(of topology: ISISTopology) -> Bool { topology == .standard ? isStandard : isIPv6 }
    func metric(in topology: ISISTopology) -> UInt32 { topology == .standard ? metric : ipv6Metric }
}

/// A neighbour with which an adjacency is up: where packets go.
public struct LocalAdjacency: Hashable, Comparable, Sendable {
    public var interface: InterfaceID
    public var system: SystemID
    /// From TLV 132 of its hellos, on our network where it has several.
    public var ipv4: IPv4Address?
    /// From TLV 232: link-local.
    public var ipv6: IPv6Address?

    public init(interface: InterfaceID, system: SystemID, ipv4: IPv4Address?, ipv6: IPv6Address?) {
        self.interface = interface
        self.system = system
        self.ipv4 = ipv4
        self.ipv6 = ipv6
    }
    public static func < (a: Self, b: Self) -> Bool {
        a.interface != b.interface ? a.interface < b.interface : a.system < b.system
    }
}

/// A network of this router's own interfaces.
public struct LocalPrefix: Hashable, Sendable {
    public var prefix: IPPrefix
    public var metric: UInt32
    /// RFC 5120: the metric in the IPv6 topology.
    public var ipv6Metric: UInt32
    public var tag: UInt32
    /// RFC 7794 §2.1: a host route that names this router.
    public var isNode: Bool

    public init(_ prefix: IPPrefix, metric: UInt32, ipv6Metric: UInt32? = nil, tag: UInt32 = 0, isNode: Bool = false) {
        self.prefix = prefix
        self.metric = metric
        self.ipv6Metric = ipv6Metric ?? metric
        self.tag = tag
        self.isNode = isNode
    }
}
