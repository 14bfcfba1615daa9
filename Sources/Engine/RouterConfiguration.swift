import BFD
import BGP
import ISIS
import Machine
import OSPF
import Policy
import RIP
import RTR
import Records
import Wire

/// What the router is to do, as one plain value: what the operator's text says after every name was checked. The record
/// `configure` carries it in the octets of `encoded()`.
///
/// A new field is optional, so that the twin of another release can read it (see `BinaryCoding.swift`).
public struct RouterConfiguration: Hashable, Sendable, Codable {
    public var hostname: String
    /// At most 256; names are unique. The position in this list is the `InterfaceID`.
    public var interfaces: [InterfaceConfiguration]
    /// At most 65,536; no two with equal prefix and equal destination.
    public var staticRoutes: [StaticRouteConfiguration]
    /// `nil` while the router speaks no BGP.
    public var bgp: BGPConfiguration?
    /// OSPFv2; like the others below `nil` while the router does not speak it.
    public var ospf: OSPFConfiguration?
    /// OSPFv3 for IPv6.
    public var ospfv3: OSPFConfiguration?
    /// OSPFv3 for IPv4 (RFC 5838).
    public var ospfv3ipv4: OSPFConfiguration?
    public var isis: ISISConfiguration?
    public var rip: RIPConfiguration?
    public var ripng: RIPConfiguration?
    /// Profiles and parameters of the sessions that others ask for.
    public var bfd: BFDConfiguration?
    /// Which protocols announce routes of which others; at most one for each pair.
    public var redistribution: [RedistributionConfiguration]?
    /// At most 1,024; prefixes are unique.
    public var aggregates: [AggregateConfiguration]?
    /// Sets and policies, for all protocols.
    public var definitions: PolicyDefinitions?
    /// The caches of the RPKI.
    public var rtr: RTRConfiguration?
    /// BGP processes beside the router's own; numbers are unique.
    public var bgpProcesses: [BGPProcessConfiguration]?
    /// At most `KeyChain.chainsMaximum`; names are unique. Whoever uses one has a copy of it: this list is for the text of the
    /// configuration, and for what is told of keys.
    public var keyChains: [KeyChain]?
    /// Hidden keys for failure injection.
    public var testing: EngineTestingConfiguration

    public init(
        hostname: String = "lockstep", interfaces: [InterfaceConfiguration] = [],
        staticRoutes: [StaticRouteConfiguration] = [], bgp: BGPConfiguration? = nil,
        testing: EngineTestingConfiguration = EngineTestingConfiguration()
    ) {
        self.hostname = hostname
        self.interfaces = interfaces
        self.staticRoutes = staticRoutes
        self.bgp = bgp
        self.testing = testing
    }

    /// The forms of `encoded` that this release writes and reads: of what a record `configure` holds, and of what the engine's
    /// snapshot does. A setting with a default is no new form, since an older release leaves it out and a newer one is not told.
    public static let schemas: ClosedRange<UInt16> = 1...1

    /// The octets for the record `configure`: equal configurations give equal octets.
    /// - Throws: `EncodingError` if they are more than `BinaryCodingLimits.length`.
    public func encoded() throws -> [UInt8] { try BinaryEncoder().encode(self) }

    /// - Throws: `DecodingError` if the octets are not such a configuration.
    public init(decoding bytes: [UInt8]) throws { self = try BinaryDecoder().decode(Self.self, from: bytes) }
}

// What a protocol is handed is whole: its own section, and what that names of the router's definitions.
extension RouterConfiguration {
    var linkedBGP: BGPConfiguration? { bgp?.linked(to: definitions ?? PolicyDefinitions()) }
    var linkedISIS: ISISConfiguration? { isis?.linked(to: definitions ?? PolicyDefinitions()) }
    func linkedBGP(process number: UInt8) -> BGPConfiguration? {
        bgpProcesses?.first { $0.number == number }?.bgp.linked(to: definitions ?? PolicyDefinitions())
    }
    /// Every place that names policies or has rules of its own.
    public var policyUses: [PolicyUse] {
        let processes = [bgp].compactMap { $0 } + (bgpProcesses ?? []).map(\.bgp)
        let groups = processes.flatMap(\.groups).flatMap(\.settings.policyUses)
        return (processes.flatMap(\.policyUses) + groups).filter { $0 != PolicyUse() }
            + (redistribution ?? []).compactMap(\.policy) + (aggregates ?? []).compactMap(\.contributors)
            + [isis?.leakingUp.policy, isis?.leakingDown.policy].compactMap { $0 }
    }
    /// What redistribution and aggregates name.
    var announcingDefinitions: PolicyDefinitions {
        (definitions ?? PolicyDefinitions())
            .only(for: (redistribution ?? []).compactMap(\.policy) + (aggregates ?? []).compactMap(\.contributors))
    }
}

/// A route that the operator wrote down.
public struct StaticRouteConfiguration: Hashable, Sendable, Codable {
    public enum Destination: Hashable, Sendable, Codable {
        /// An address of the prefix's family, on a connected network.
        case nextHop(IPAddress)
        /// Packets are dropped; the route can still be announced and cover others.
        case blackhole
    }
    public var prefix: IPPrefix
    public var destination: Destination
    /// Administrative distance, 1…255; 255 keeps the route out of the table.
    public var distance: UInt8
    /// For policies; 0 is none.
    public var tag: UInt32
    /// BFD watches the next hop, and the route is in the table only while that session is up (or was shut down on
    /// purpose): the name of a profile, or empty for none in particular. `nil`: BFD has no part in it.
    public var bfd: String?

    public init(prefix: IPPrefix, destination: Destination, distance: UInt8 = 1, tag: UInt32 = 0, bfd: String? = nil) {
        self.bfd = bfd
        self.prefix = prefix
        self.destination = destination
        self.distance = distance
        self.tag = tag
    }
}

/// Failure injection, for the proof that the pair survives it. Never on in an ordinary configuration.
public struct EngineTestingConfiguration: Hashable, Sendable, Codable {
    /// Whether the commands `testHang` and `testTrap` are obeyed.
    public var isEnabled: Bool
    public init(isEnabled: Bool = false) { self.isEnabled = isEnabled }
}
