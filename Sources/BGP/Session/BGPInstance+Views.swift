import Machine
import Records
import Wire

/// One line of `show bgp summary`.
public struct NeighborSummary: Hashable, Sendable, Codable {
    public var address: IPAddress
    public var remoteAS: ASNumber
    public var description: String
    public var state: SessionState
    /// Administratively down, or kept down for its prefixes.
    public var isHeldDown: Bool
    /// Router time in nanoseconds at which the session came up.
    public var establishedAt: Int64?
    /// How often the session went down after it had been up.
    public var flaps: UInt32
    public var messagesReceived: UInt64
    public var messagesSent: UInt64
    /// Of all families, before policy.
    public var prefixesReceived: Int
}

/// One section of `show bgp neighbors`.
public struct NeighborDetail: Hashable, Sendable, Codable {
    public struct Family: Hashable, Sendable, Codable {
        public var family: RouteFamily
        public var isNegotiated: Bool
        /// RFC 4760 §7
        public var isDisabled: Bool
        /// RFC 4724 §2: End-of-RIB was received.
        public var isComplete: Bool
        /// Before policy.
        public var prefixesReceived: Int
        public var prefixesAdvertised: Int
        /// 0: no limit.
        public var maximumPrefixes: UInt32
        /// RFC 7911, negotiated: the neighbour sends several paths of a prefix, and how many it gets at most; `nil`: one.
        public var receivesPathIDs: Bool
        public var pathsSent: UInt8?
        /// RFC 8950, negotiated: IPv6 next hops in a family of IPv4.
        public var hasIPv6NextHops: Bool
    }
    public var summary: NeighborSummary
    public var isInternal: Bool
    public var localAddress: IPAddress?
    public var localPort: UInt16?
    public var remotePort: UInt16?
    public var remoteIdentifier: RouterID?
    /// Negotiated, seconds.
    public var holdTime: UInt16?
    /// RFC 9234: what we are to the neighbour.
    public var role: PeeringRole?
    /// RFC 4456
    public var isReflectorClient: Bool
    public var localCapabilities: Capabilities?
    public var remoteCapabilities: Capabilities?
    public var families: [Family]
    public var counters: NeighborCounters
    public var lastNotificationSent: String?
    public var lastNotificationReceived: String?
    public var lastDownReason: String
    public var lastDownAt: Int64?
    /// Octets written and not acknowledged by the neighbour.
    public var unacknowledged: Int
    public var importPolicies: [String]
    public var exportPolicies: [String]
}

extension BGPInstance {
    /// All neighbours in ascending order of address.
    public var neighborSummaries: [NeighborSummary] {
        neighbors.indices.compactMap { summary(PeerIndex(UInt16($0))) }
            .sorted { $0.address < $1.address }
    }

    /// The neighbour with this address.
    public func neighborDetail(_ address: IPAddress) -> NeighborDetail? {
        guard let peer = peerIndex(address), let neighbor = neighbor(peer), let summary = summary(peer) else { return nil }
        let session = neighbor.establishedSlot.flatMap { neighbor[$0] } ?? neighbor.incoming ?? neighbor.own
        let families = neighbor.configuration.families.map { configured in
            NeighborDetail.Family(
                family: configured.family,
                isNegotiated: session.negotiated?.families.contains(configured.family) ?? false,
                isDisabled: session.disabledFamilies.contains(configured.family),
                isComplete: session.completeFamilies.contains(configured.family),
                prefixesReceived: rib.prefixCount(peer, configured.family),
                prefixesAdvertised: rib.advertisedCount(peer, configured.family),
                maximumPrefixes: configured.limit(isInternal: isInternal(neighbor)) ?? 0,
                receivesPathIDs: session.negotiated?.receivesPathIDs.contains(configured.family) ?? false,
                pathsSent: session.negotiated?.sendsPathIDs.contains(configured.family) ?? false
                    ? min(configured.addPath.send, AddPathConfiguration.pathsMaximum) : nil,
                hasIPv6NextHops: session.negotiated?.ipv6NextHops.contains(configured.family) ?? false)
        }
        return NeighborDetail(
            summary: summary, isInternal: isInternal(neighbor), localAddress: session.tuple?.local,
            localPort: session.tuple?.localPort, remotePort: session.tuple?.remotePort,
            remoteIdentifier: session.remoteOpen?.identifier, holdTime: session.negotiated?.holdTime,
            role: neighbor.configuration.role, isReflectorClient: neighbor.configuration.isReflectorClient,
            localCapabilities: session.localOpen?.capabilities,
            remoteCapabilities: session.remoteOpen?.capabilities,
            families: families, counters: neighbor.counters,
            lastNotificationSent: neighbor.lastNotificationSent?.description,
            lastNotificationReceived: neighbor.lastNotificationReceived?.description,
            lastDownReason: neighbor.lastDownReason, lastDownAt: neighbor.lastDownAt?.nanoseconds,
            unacknowledged: session.unacknowledged, importPolicies: neighbor.configuration.importPolicies,
            exportPolicies: neighbor.configuration.exportPolicies)
    }

    /// The neighbour with this address, while its session is up.
    public func establishedPeer(_ address: IPAddress) -> PeerIndex? {
        guard let peer = peerIndex(address), neighbor(peer)?.establishedSlot != nil else { return nil }
        return peer
    }

    public func hasNeighbor(_ address: IPAddress) -> Bool { peerIndex(address) != nil }

    /// The neighbour behind an index, for views of routes.
    public func neighborAddress(_ peer: PeerIndex) -> IPAddress? { neighbor(peer)?.configuration.address }

    private func summary(_ peer: PeerIndex) -> NeighborSummary? {
        guard let neighbor = neighbor(peer) else { return nil }
        let slot = neighbor.establishedSlot
        return NeighborSummary(
            address: neighbor.configuration.address, remoteAS: neighbor.configuration.remoteAS,
            description: neighbor.configuration.description, state: neighbor.state,
            isHeldDown: neighbor.configuration.isShutdown || neighbor.isBlocked || neighbor.isQuarantined,
            establishedAt: slot.flatMap { neighbor[$0]?.establishedAt?.nanoseconds },
            flaps: neighbor.establishedCount &- (slot == nil ? 0 : 1),
            messagesReceived: neighbor.counters.received.messages, messagesSent: neighbor.counters.sent.messages,
            prefixesReceived: RouteFamily.allCases.reduce(0) { $0 + rib.prefixCount(peer, $1) })
    }
}
