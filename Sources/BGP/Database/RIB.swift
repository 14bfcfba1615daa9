import Machine
import Routing
import Wire

/// The Routing Information Base of RFC 4271 §3.2 and §9: Adj-RIBs-In, Loc-RIB, Adj-RIBs-Out.
///
/// One value made of flat arrays: copying it takes no time (the arrays are shared until one side writes), so a copy is
/// the snapshot, encoded by whoever wants it on a thread of its own.
///
/// How the session side uses it:
/// 1. `establish` when a session comes up, `close` when it goes down.
/// 2. For each UPDATE: `attributes(forKey:context:)`; on `nil` parse and validate the block, then
///    `insertAttributes(key:context:canonical:)`. The *key* is the attribute block as received, less the NLRI of
///    MP_REACH_NLRI and the whole MP_UNREACH_NLRI. *Canonical* octets are attributes as on the wire, sorted by type,
///    with four-octet AS numbers (AS4_PATH merged), without what RFC 7606 discarded, attribute flags normalised except
///    the partial bit of unknown ones, extended length only where the value needs it. The next hop is attribute 3 for
///    IPv4 NLRI, and for IPv6 attribute 14 with AFI, SAFI, length, next hop (16 or 32 octets), the reserved octet and no
///    NLRI. LOCAL_PREF is absent on external sessions.
/// 3. `resolveNewNextHops`, then `withdraw` and `announce` with the NLRI octets, which must have been checked.
/// 4. After each record `advertise(at:)`, then `takeOutput` for every peer whose stream has room. Room that appears
///    later (an acknowledgement) calls for the same two again. `nextDeadline` says when `advertise` has work by itself.
public struct RIB: Sendable {
    public init(configuration: BGPConfiguration, seed: UInt64) {}

    // MARK: configuration

    /// Takes policies, networks and defaults from a new configuration; routes are run through changed policies in slices.
    /// Neighbours that have sessions are to be given again by `update`.
    public mutating func configure(_ configuration: BGPConfiguration) {}

    // MARK: sessions

    /// A session is up. What is to be sent to it follows from the next `advertise` on.
    public mutating func establish(_ peer: PeerIndex, neighbor: NeighborConfiguration, session: RIBSession) {}
    /// The configuration of an established neighbour changed, the session stays.
    public mutating func update(_ peer: PeerIndex, neighbor: NeighborConfiguration) {}
    /// The session is down. Its routes count no more; they are removed in slices by `advertise`.
    public mutating func close(_ peer: PeerIndex) {}
    /// Whether all routes of the peer's former sessions are gone, so that its index may be given to another neighbour.
    public func isEmpty(_ peer: PeerIndex) -> Bool { true }

    // MARK: Adj-RIB-In

    public func attributes(forKey key: RawSpan, context: AttributeContext) -> AttributeHandle? { nil }
    public mutating func insertAttributes(
        key: RawSpan, context: AttributeContext, canonical: RawSpan
    ) -> AttributeHandle { .none }
    /// Asks for the state of each next hop that came with attributes since the last call.
    public mutating func resolveNewNextHops(_ state: (IPAddress) -> NextHopState) {}
    /// Next hops in use, ascending: what the routing table manager is to watch.
    public var nextHops: [IPAddress] { [] }
    /// The way to a next hop changed. Routes behind it are decided again, in slices.
    public mutating func setNextHop(_ address: IPAddress, _ state: NextHopState) {}

    /// RFC 4271 §9.1: the peer announces these prefixes. Returns how many prefixes of the family it has now.
    @discardableResult
    public mutating func announce(
        _ nlri: RawSpan, _ family: RouteFamily, from peer: PeerIndex, attributes: AttributeHandle
    ) -> Int { 0 }
    /// The peer withdraws these prefixes; those it never announced are ignored.
    public mutating func withdraw(_ nlri: RawSpan, _ family: RouteFamily, from peer: PeerIndex) {}
    /// Removes all routes of a family, as RFC 7606 §2 "AFI/SAFI disable" asks; in slices.
    public mutating func withdrawAll(_ family: RouteFamily, from peer: PeerIndex) {}
    /// Runs the peer's routes through import policy again, in slices: nothing was thrown away (soft reconfiguration).
    public mutating func reapplyImportPolicy(_ peer: PeerIndex) {}
    /// Prefixes that the peer has announced, before policy.
    public func prefixCount(_ peer: PeerIndex, _ family: RouteFamily) -> Int { 0 }

    // MARK: Adj-RIB-Out

    /// RFC 2918 §4: send everything of this family again.
    public mutating func refresh(_ peer: PeerIndex, _ family: RouteFamily) {}
    /// Does the work that is due: removal of closed sessions' routes, re-evaluation, export and encoding. Bounded per call.
    public mutating func advertise(at now: Instant) {}
    /// When `advertise` wants to be called although nothing came in.
    public var nextDeadline: Instant? { nil }
    /// Gives the next messages for the peer, whole and in order, until `limit` octets are reached or none is left;
    /// a single slice (at most 65,535 octets) may go beyond the limit. Returns the octets given.
    @discardableResult
    public mutating func takeOutput(
        for peer: PeerIndex, limit: Int, _ body: (ArraySlice<UInt8>) -> Void
    ) -> Int { 0 }

    // MARK: Loc-RIB

    /// Changes of best routes since the last call, in the order in which they happened.
    public mutating func takeIPv4Changes() -> [BestRouteChange<IPv4Address>] { [] }
    public mutating func takeIPv6Changes() -> [BestRouteChange<IPv6Address>] { [] }
    /// Equal on two controllers at equal log indices.
    public var digest: StateDigest { StateDigest() }
}
