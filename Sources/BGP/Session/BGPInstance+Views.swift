import Machine
import Records
import Wire

/// Where a session stands.
public struct NeighborSummary: Hashable, Sendable {
    public var address: IPAddress
    public var state: SessionState
    /// Administratively down, or kept down for its prefixes.
    public var isHeldDown: Bool
    /// How often the session went down after it had been up.
    public var flaps: UInt32
}

/// What a family of a neighbour carries.
public struct BGPFamilyView: Hashable, Sendable, Codable {
    /// `ipv4-unicast`, `ipv6-unicast`
    @AsText public var family: RouteFamily
    /// Negotiated on the session as it stands.
    public var isNegotiated: Bool
    /// RFC 4760 §7
    public var isDisabled: Bool
    /// RFC 4724 §2: End-of-RIB was received.
    public var isComplete: Bool
    /// Prefixes received, before policy.
    public var received: Int
    /// Of these, prefixes that policy let through, and of those the best of their prefix; absent where nothing is negotiated.
    public var accepted: Int?
    public var best: Int?
    /// Prefixes sent.
    public var advertised: Int
    /// 0 is no limit.
    public var maximumPrefixes: UInt32
    /// RFC 7911, negotiated: the neighbour sends several paths of a prefix, and how many it gets at most; absent: one.
    public var addPathReceive: Bool
    public var addPathSend: UInt8?
    /// RFC 8950, negotiated: IPv4 routes may have IPv6 next hops.
    public var extendedNextHop: Bool
    /// Routes that were not announced again since the neighbour restarted, or began a refresh.
    public var stale: Int = 0
    /// For how long they are kept at most.
    public var staleFor: TimeSpan?
    /// RFC 9494: they are the least preferred of all.
    public var isLongLivedStale: Bool = false
    /// RFC 7313: a refresh began and did not end.
    public var isRefreshing: Bool = false
}

/// Restarts, as both ends speak of them.
public struct BGPRestartView: Hashable, Sendable, Codable {
    /// `off`, `helper` or `full`, as configured.
    public var mode = GracefulRestartConfiguration.Mode.helper.rawValue
    /// Both ends offered the capability. What follows is of the session as it stands.
    public var isNegotiated = false
    /// RFC 8538: a NOTIFICATION and silence are restarts, too.
    public var hasNotification = false
    /// What the neighbour says: its Restart Time, that it has restarted, families that it preserves.
    public var restartTime: TimeSpan?
    public var isRestarting = false
    public var preserved: [String] = []
    /// RFC 9494: families with their time.
    public var longLived: [String] = []
    /// The neighbour is away, and may still be back within this time.
    public var awaitedFor: TimeSpan?
}

/// `show bgp summary`
public struct BGPSummaryView: Hashable, Sendable, Codable {
    public struct Neighbor: Hashable, Sendable, Codable {
        public var address: IPAddress
        public var remoteAS: ASNumber
        public var description: String
        /// It came by itself from a range of addresses, and is configured nowhere.
        public var isDynamic = false
        /// RFC 4271 §8.2.2
        @AsText public var state: SessionState
        /// Why it is not up, if that is known: `held down`, the last error.
        public var reason: String?
        /// How long the session is up, or how long ago it went down; absent if it never was up. Router time: it goes on
        /// through a switchover.
        public var stateAge: TimeSpan?
        public var messagesReceived: UInt64
        public var messagesSent: UInt64
        /// Octets written and not acknowledged by the neighbour.
        public var queued: Int
        public var families: [BGPFamilyView]
    }
    public struct Table: Hashable, Sendable, Codable {
        @AsText public var family: RouteFamily
        public var prefixes: Int
        public var paths: Int
    }
    /// Absent without a configuration.
    public var routerID: RouterID?
    public var routerAS: ASNumber
    public var tables: [Table]
    /// Distinct sets of path attributes.
    public var attributeSets: Int
    /// Octets of the tables.
    public var memory: Int
    /// In ascending order of address.
    public var neighbors: [Neighbor]
}

/// One section of `show bgp neighbors`.
public struct BGPNeighborView: Hashable, Sendable, Codable {
    public var summary: BGPSummaryView.Neighbor
    /// From its OPEN.
    public var routerID: RouterID?
    /// `external`, `internal`, or `confederation` for one of another member of ours (RFC 5065)
    public var kind: String
    /// What we are to the neighbour: on the session as it stands, or in the next OPEN.
    public var localAS: ASNumber
    /// Peer groups that it is in.
    public var groups: [String]
    /// The range from which it came by itself; absent for one that is configured.
    public var range: IPPrefix?
    public var localAddress: IPAddress?
    public var localPort: UInt16?
    public var remotePort: UInt16?
    public var isShutdown: Bool
    public var passive: Bool
    /// Seconds, as negotiated; 0 for no keepalives. Absent before that.
    public var holdTime: UInt16?
    public var keepaliveInterval: UInt16?
    public var configuredHoldTime: UInt16
    public var counters: NeighborCounters
    /// As text, `route-refresh`, `four-octet-as 65001`, `multiprotocol ipv4-unicast`.
    public var capabilitiesSent: [String]
    public var capabilitiesReceived: [String]
    public var hasPassword: Bool
    public var minimumHopLimit: UInt8
    public var multihop: UInt8
    /// RFC 9234: what we are to the neighbour, and what it says of itself; absent: nothing.
    public var role: String?
    public var remoteRole: String?
    /// RFC 4456: a client of our cluster.
    public var isReflectorClient: Bool
    public var gracefulRestart = BGPRestartView()
    public var importPolicies: [String]
    public var exportPolicies: [String]
    /// RFC 8212 keeps routes in or out because a policy is missing.
    public var importIsMissing: Bool
    public var exportIsMissing: Bool
    public var establishedCount: UInt32
    public var droppedCount: UInt32
    public var lastNotificationSent: String?
    public var lastNotificationReceived: String?
    /// The end of the session before, in words, and how long ago.
    public var lastError: String?
    public var lastErrorAge: TimeSpan?
}

extension BGPInstance {
    /// All neighbours in ascending order of address.
    public var neighborSummaries: [NeighborSummary] {
        neighbors.indices.compactMap { slot in
            neighbor(PeerIndex(UInt16(slot))).map { neighbor in
                NeighborSummary(
                    address: neighbor.configuration.address, state: neighbor.state, isHeldDown: isHeldDown(neighbor),
                    flaps: flaps(neighbor))
            }
        }.sorted { $0.address < $1.address }
    }

    /// Tables and all neighbours. Linear in the tables.
    public func summaryView(at now: Instant) -> BGPSummaryView {
        let tables = rib.summary
        return BGPSummaryView(
            routerID: configuration?.routerID, routerAS: configuration?.routerAS ?? .zero,
            tables: tables.families.map {
                BGPSummaryView.Table(family: $0.family, prefixes: $0.prefixes, paths: $0.paths)
            }, attributeSets: tables.attributeSets, memory: tables.octets,
            neighbors: neighborSummaries.compactMap { neighborView($0.address, at: now)?.summary })
    }

    /// The neighbour with this address.
    public func neighborView(_ address: IPAddress, at now: Instant) -> BGPNeighborView? {
        guard let peer = peerIndex(address), let neighbor = neighbor(peer) else { return nil }
        let session = neighbor.establishedSlot.flatMap { neighbor[$0] } ?? neighbor.incoming ?? neighbor.own
        let configured = neighbor.configuration
        let isInternal = isInternal(neighbor)
        let needsPolicy = !isInternal && configuration?.ebgpRequiresPolicy ?? true
        let remoteRoles = session.remoteOpen?.capabilities.roles ?? []
        return BGPNeighborView(
            summary: summary(peer, neighbor, session, at: now), routerID: session.remoteOpen?.identifier,
            kind: kind(neighbor).rawValue,
            localAS: session.localOpen?.asNumber
                ?? configuration?.localAS(towards: configured, answersAsRouter: neighbor.answersAsRouter) ?? .zero,
            groups: configured.membership?.groups ?? [], range: configured.range, localAddress: session.tuple?.local,
            localPort: session.tuple?.localPort, remotePort: session.tuple?.remotePort, isShutdown: configured.isShutdown,
            passive: configured.passive, holdTime: session.negotiated?.holdTime,
            keepaliveInterval: session.negotiated.map { $0.holdTime / 3 }, configuredHoldTime: configured.timers.hold,
            counters: neighbor.counters, capabilitiesSent: session.localOpen?.capabilities.words ?? [],
            capabilitiesReceived: session.remoteOpen?.capabilities.words ?? [], hasPassword: !configured.md5Key.isEmpty,
            minimumHopLimit: configured.ttlSecurityHops > 0 ? 255 - (configured.ttlSecurityHops - 1) : 0,
            multihop: configured.multihop, role: configured.role?.description,
            remoteRole: remoteRoles.isEmpty ? nil : PeeringRole.words(remoteRoles),
            isReflectorClient: configured.isReflectorClient, gracefulRestart: restartView(neighbor, session, at: now),
            importPolicies: configured.importPolicies,
            exportPolicies: configured.exportPolicies, importIsMissing: needsPolicy && configured.importPolicies.isEmpty,
            exportIsMissing: needsPolicy && configured.exportPolicies.isEmpty, establishedCount: neighbor.establishedCount,
            droppedCount: flaps(neighbor), lastNotificationSent: neighbor.lastNotificationSent?.description,
            lastNotificationReceived: neighbor.lastNotificationReceived?.description,
            lastError: neighbor.lastNotificationSent.map { "sent: \($0)" }
                ?? neighbor.lastNotificationReceived.map { "received: \($0)" }
                ?? (neighbor.lastDownReason.isEmpty ? nil : neighbor.lastDownReason),
            lastErrorAge: neighbor.lastDownAt.map { TimeSpan(atLeastZero: now - $0) })
    }

    private func summary(
        _ peer: PeerIndex, _ neighbor: Neighbor, _ session: Session, at now: Instant
    ) -> BGPSummaryView.Neighbor {
        let isUp = neighbor.state == .established
        let since = isUp ? neighbor.establishedSlot.flatMap { neighbor[$0]?.establishedAt } : neighbor.lastDownAt
        return BGPSummaryView.Neighbor(
            address: neighbor.configuration.address, remoteAS: neighbor.configuration.remoteAS,
            description: neighbor.configuration.description, isDynamic: neighbor.configuration.range != nil,
            state: neighbor.state,
            reason: isUp
                ? nil : isHeldDown(neighbor) ? "held down" : neighbor.lastDownReason.isEmpty ? nil : neighbor.lastDownReason,
            stateAge: since.map { TimeSpan(atLeastZero: now - $0) },
            messagesReceived: neighbor.counters.received.messages, messagesSent: neighbor.counters.sent.messages,
            queued: session.unacknowledged,
            families: neighbor.configuration.families.map { configured in
                let negotiated = session.negotiated
                let isNegotiated = negotiated?.families.contains(configured.family) ?? false
                let isKept = neighbor.retention?.families.contains(configured.family) ?? false
                let counts = isNegotiated || isKept ? rib.acceptedCounts(peer, configured.family) : nil
                return BGPFamilyView(
                    family: configured.family, isNegotiated: isNegotiated,
                    isDisabled: session.disabledFamilies.contains(configured.family),
                    isComplete: session.completeFamilies.contains(configured.family),
                    received: rib.prefixCount(peer, configured.family), accepted: counts?.accepted, best: counts?.best,
                    advertised: rib.advertisedCount(peer, configured.family),
                    maximumPrefixes: configured.limit(isInternal: isInternal(neighbor)) ?? 0,
                    addPathReceive: negotiated?.receivesPathIDs.contains(configured.family) ?? false,
                    addPathSend: negotiated?.sendsPathIDs.contains(configured.family) ?? false
                        ? min(configured.addPath.send, AddPathConfiguration.pathsMaximum) : nil,
                    extendedNextHop: negotiated?.ipv6NextHops.contains(configured.family) ?? false,
                    stale: rib.staleCount(peer, configured.family),
                    staleFor: staleUntil(peer, neighbor, configured.family).map { TimeSpan(atLeastZero: $0 - now) },
                    isLongLivedStale: neighbor.retention?.inLongLivedPeriod.contains(configured.family) ?? false,
                    isRefreshing: session.refreshing.contains(configured.family))
            })
    }

    /// When the stale routes of a family go whatever happens; `nil`: there are none, or they are going.
    private func staleUntil(_ peer: PeerIndex, _ neighbor: Neighbor, _ family: RouteFamily) -> Instant? {
        guard let retention = neighbor.retention, retention.families.contains(family) else {
            return timers.deadline(of: timer(.refreshStale, peer, family))
        }
        if let long = retention.longLived.first(where: { $0.family == family }) {
            return long.deadline ?? retention.restartDeadline + .seconds(Int(long.time))
        }
        return neighbor.establishedSlot == nil ? retention.restartDeadline : retention.staleDeadline
    }

    private func restartView(_ neighbor: Neighbor, _ session: Session, at now: Instant) -> BGPRestartView {
        let negotiated = session.negotiated, restart = negotiated?.gracefulRestart
        let awaited = neighbor.establishedSlot == nil ? neighbor.retention?.restartDeadline : nil
        return BGPRestartView(
            mode: neighbor.configuration.gracefulRestart.mode.rawValue, isNegotiated: restart != nil,
            hasNotification: negotiated?.gracefulNotification ?? false,
            restartTime: restart.map { TimeSpan(.seconds(Int($0.time))) }, isRestarting: restart?.isRestarting ?? false,
            preserved: RouteFamily.allCases.filter { restart?.families.contains($0) ?? false }.map(\.description),
            longLived: negotiated?.longLivedGracefulRestart?.families.map { "\($0.family) \($0.time) s" } ?? [],
            awaitedFor: awaited.flatMap { $0 > now ? TimeSpan($0 - now) : nil })
    }

    private func isHeldDown(_ neighbor: Neighbor) -> Bool {
        neighbor.configuration.isShutdown || neighbor.isBlocked || neighbor.isQuarantined
    }
    private func flaps(_ neighbor: Neighbor) -> UInt32 {
        neighbor.establishedCount &- (neighbor.establishedSlot == nil ? 0 : 1)
    }

    /// The neighbour with this address, while its session is up, or its routes outlive it.
    public func establishedPeer(_ address: IPAddress) -> PeerIndex? {
        guard let peer = peerIndex(address), let neighbor = neighbor(peer),
            neighbor.establishedSlot != nil || neighbor.retention != nil
        else { return nil }
        return peer
    }

    public func hasNeighbor(_ address: IPAddress) -> Bool { peerIndex(address) != nil }

    /// The neighbour behind an index, for views of routes.
    public func neighborAddress(_ peer: PeerIndex) -> IPAddress? { neighbor(peer)?.configuration.address }
}

extension Capabilities {
    /// One text for each.
    fileprivate var words: [String] {
        var list = RouteFamily.allCases.filter { families.contains($0) }.map { "multiprotocol \($0)" }
        if routeRefresh { list.append("route-refresh") }
        if enhancedRouteRefresh { list.append("enhanced-route-refresh") }
        if extendedMessages { list.append("extended-messages") }
        for family in RouteFamily.allCases {
            switch (receivesPathIDs.contains(family), sendsPathIDs.contains(family)) {
            case (true, true): list.append("add-path \(family) receive and send")
            case (true, false): list.append("add-path \(family) receive")
            case (false, true): list.append("add-path \(family) send")
            case (false, false): break
            }
        }
        list += RouteFamily.allCases.filter { ipv6NextHops.contains($0) }.map { "extended-next-hop \($0)" }
        if !roles.isEmpty { list.append("role \(PeeringRole.words(roles))") }
        if let number = fourOctetAS { list.append("four-octet-as \(number)") }
        if let restart = gracefulRestart {
            var words = ["graceful-restart"] + RouteFamily.allCases.filter { restart.families.contains($0) }.map(\.description)
            if !restart.families.isEmpty { words.append("\(restart.time) s") }
            if restart.hasNotification { words.append("notification") }
            if restart.isRestarting { words.append("restarting") }
            list.append(words.joined(separator: " "))
        }
        if let restart = longLivedGracefulRestart {
            let families = restart.families.map { " \($0.family) \($0.time) s" }
            list.append("long-lived-graceful-restart" + families.joined())
        }
        return list + others.map { "code \($0)" }
    }
}
