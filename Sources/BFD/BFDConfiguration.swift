import Machine
import Records
import Wire

/// How BFD watches neighbours. Which neighbours it watches is said by those who want to know: BGP neighbours, static
/// routes, OSPF and IS-IS interfaces.
///
/// Of several that match a session the first counts: the peer's own entry, the profile that a client names, the
/// interface's entry, the defaults.
public struct BFDConfiguration: Hashable, Sendable, Codable {
    /// For every session that nothing else is said about.
    public var defaults: BFDProfile
    /// Names are unique; at most 256.
    public var profiles: [BFDNamedProfile]
    /// At most one for an interface.
    public var interfaces: [BFDInterfaceConfiguration]
    /// At most 4,096.
    public var peers: [BFDPeerConfiguration]

    public init(
        defaults: BFDProfile = BFDProfile(), profiles: [BFDNamedProfile] = [], interfaces: [BFDInterfaceConfiguration] = [],
        peers: [BFDPeerConfiguration] = []
    ) {
        self.defaults = defaults
        self.profiles = profiles
        self.interfaces = interfaces
        self.peers = peers
    }

    public func profile(named name: String) -> BFDProfile? { profiles.first { $0.name == name }?.profile }

    /// What a session is to do.
    /// - Parameters:
    ///   - interface: the name of the peer's interface; `nil` for multihop.
    ///   - requested: the profile that a client of the session names.
    public func parameters(for peer: BFDPeer, interface: String?, requested: String?) -> BFDSessionParameters {
        let entry = peers.first { $0.matches(peer, interface: interface) }
        let name =
            entry?.profile ?? requested
            ?? interface.flatMap { name in interfaces.first { $0.interface == name }?.profile }
        let profile = name.flatMap { self.profile(named: $0) } ?? defaults
        return BFDSessionParameters(
            desiredMinTx: profile.desiredMinTx, requiredMinRx: profile.requiredMinRx, multiplier: max(1, profile.multiplier),
            isPassive: profile.isPassive, isShutdown: entry?.isShutdown ?? false, minimumHopLimit: profile.minimumHopLimit,
            authentication: profile.authentication)
    }
}

/// What a session does.
public struct BFDProfile: Hashable, Sendable, Codable {
    /// Desired Min TX Interval in microseconds, 10,000…60,000,000. Before a session is up it sends once a second at most
    /// (RFC 5880 §6.8.3).
    public var desiredMinTx: UInt32
    /// Required Min RX Interval in microseconds, 10,000…60,000,000.
    public var requiredMinRx: UInt32
    /// Detect Mult, 2…255 in the text, 1 is possible on the wire.
    public var multiplier: UInt8
    /// Waits for the neighbour to begin.
    public var isPassive: Bool
    /// Multihop: packets with a smaller TTL are dropped, 1…255.
    public var minimumHopLimit: UInt8
    public var authentication: BFDAuthentication?

    public static let intervalRange: ClosedRange<UInt32> = 10_000...60_000_000

    public init(
        desiredMinTx: UInt32 = 300_000, requiredMinRx: UInt32 = 300_000, multiplier: UInt8 = 3, isPassive: Bool = false,
        minimumHopLimit: UInt8 = 254, authentication: BFDAuthentication? = nil
    ) {
        self.desiredMinTx = desiredMinTx
        self.requiredMinRx = requiredMinRx
        self.multiplier = multiplier
        self.isPassive = isPassive
        self.minimumHopLimit = minimumHopLimit
        self.authentication = authentication
    }
}

public struct BFDNamedProfile: Hashable, Sendable, Codable {
    public var name: String
    public var profile: BFDProfile
    public init(name: String, profile: BFDProfile) {
        self.name = name
        self.profile = profile
    }
}

/// The profile of all sessions on an interface.
public struct BFDInterfaceConfiguration: Hashable, Sendable, Codable {
    /// Its name.
    public var interface: String
    /// A profile's name.
    public var profile: String
    public init(interface: String, profile: String) {
        self.interface = interface
        self.profile = profile
    }
}

/// What is different for the sessions with one neighbour.
public struct BFDPeerConfiguration: Hashable, Sendable, Codable {
    public var remote: IPAddress
    /// `nil`: any address of ours.
    public var local: IPAddress?
    /// The interface's name; `nil`: any, and multihop.
    public var interface: String?
    public var profile: String?
    /// Holds the sessions in AdminDown, which tells the neighbour that this is no failure.
    public var isShutdown: Bool

    public init(
        remote: IPAddress, local: IPAddress? = nil, interface: String? = nil, profile: String? = nil,
        isShutdown: Bool = false
    ) {
        self.remote = remote
        self.local = local
        self.interface = interface
        self.profile = profile
        self.isShutdown = isShutdown
    }

    func matches(_ peer: BFDPeer, interface name: String?) -> Bool {
        remote == peer.remote && (local == nil || local == peer.local) && (interface == nil || interface == name)
    }
}
