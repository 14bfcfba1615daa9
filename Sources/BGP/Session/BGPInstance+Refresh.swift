import Machine
import Records
import Routing
import Wire

/// Routes that are said again: RFC 2918 and RFC 7313.
extension BGPInstance {
    /// A ROUTE-REFRESH in a session that is up.
    /// - Returns: what ends the session.
    mutating func receiveRefresh(
        _ body: RawSpan, _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]
    ) -> NotificationMessage? {
        let i = Int(peer.value)
        guard let negotiated = neighbors[i]?[slot]?.negotiated else { return nil }
        let refresh: RouteRefreshMessage
        do {
            refresh = try RouteRefreshMessage(body: body, enhanced: negotiated.enhancedRouteRefresh)
        } catch {
            // RFC 7313 §5; without what it defines nobody would understand the error.
            return negotiated.enhancedRouteRefresh ? error : nil
        }
        guard let subtype = refresh.subtype else {
            event(.warning, peer, "ROUTE-REFRESH of an unknown subtype is ignored (RFC 7313 §5)", into: &effects)
            return nil
        }
        // RFC 2918 §4: ignored when we did not offer it, or for a family that is not in use.
        guard let family = refresh.family, negotiated.families.contains(family) else { return nil }
        switch subtype {
        case .request:
            guard negotiated.routeRefresh else { return nil }
            neighbors[i]![slot]!.pendingRefresh.insert(RouteFamilySet(family))
            serveRefresh(peer, slot, at: now)
        case .beginning: beginRefresh(family, peer, slot, at: now, into: &effects)
        case .end: endRefresh(family, peer, slot, isOverdue: false, into: &effects)
        }
        return nil
    }

    /// RFC 2918 §4: sends the routes again. Each time costs a pass over the table while the request costs the neighbour
    /// 23 octets, so requests that follow too soon wait, and then count as one.
    mutating func serveRefresh(_ peer: PeerIndex, _ slot: SessionSlot, at now: Instant) {
        guard let session = neighbors[Int(peer.value)]![slot], session.isEstablished else { return }
        let key = timer(.refresh, peer, slot)
        if let last = session.refreshedAt, last + Self.refreshInterval > now {
            if !timers.isRunning(key) { timers.set(key, at: last + Self.refreshInterval) }
            return
        }
        let isMarked = session.negotiated?.enhancedRouteRefresh ?? false
        var waiting = RouteFamilySet()
        for family in RouteFamily.allCases where session.pendingRefresh.contains(family) {
            if !rib.refresh(peer, family, isMarked: isMarked) { waiting.insert(RouteFamilySet(family)) }
        }
        neighbors[Int(peer.value)]![slot]!.pendingRefresh = waiting
        neighbors[Int(peer.value)]![slot]!.refreshedAt = now
        // RFC 7313 §4: not before End-of-RIB.
        if !waiting.isEmpty { timers.set(key, at: now + Self.refreshInterval) }
    }

    /// RFC 7313 §4, BoRR: what is there is stale until it comes again.
    private mutating func beginRefresh(
        _ family: RouteFamily, _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], let session = neighbor[slot] else { return }
        if session.negotiated?.gracefulRestart != nil, !session.completeFamilies.contains(family) {
            event(.warning, peer, "\(family): a refresh that begins before End-of-RIB is ignored (RFC 7313 §4)", into: &effects)
            return
        }
        // What a former session left is none of what is said again.
        guard neighbor.retention?.families.contains(family) != true, rib.markStale(peer, family) else {
            event(.warning, peer, "\(family): a refresh begins while others have not ended, and is ignored", into: &effects)
            return
        }
        neighbors[i]![slot]!.refreshing.insert(RouteFamilySet(family))
        let bound = Duration.seconds(Int(neighbor.configuration.gracefulRestart.staleRoutesTime))
        timers.set(timer(.refreshStale, peer, family), at: now + bound)
        event(.debug, peer, "\(family): a refresh begins", into: &effects)
    }

    /// RFC 7313 §4, EoRR: what did not come again is gone.
    mutating func endRefresh(
        _ family: RouteFamily, _ peer: PeerIndex, _ slot: SessionSlot, isOverdue: Bool, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard neighbors[i]?[slot]?.refreshing.contains(family) == true else {
            if !isOverdue { event(.info, peer, "\(family): a refresh ends that did not begin", into: &effects) }
            return
        }
        neighbors[i]![slot]!.refreshing.remove(RouteFamilySet(family))
        timers.cancel(timer(.refreshStale, peer, family))
        let count = rib.purgeStale(peer, family)
        neighbors[i]!.counters.staleRoutesRemoved &+= UInt64(count)
        guard isOverdue || count > 0 else { return }
        event(
            isOverdue ? .warning : .notice, peer,
            "\(family): a refresh \(isOverdue ? "did not end in time" : "is complete"), \(count) routes that it did not name go",
            into: &effects)
    }
}
