import Machine
import Records
import Routing
import Wire

/// A new configuration, commands, and faults.
extension BGPInstance {
    /// Brings the instance to a new configuration and touches only what differs: a neighbour that is gone or whose
    /// session parameters changed ends its session, a changed policy runs over the routes, the rest stays.
    mutating func configure(_ new: BGPConfiguration, at now: Instant, into effects: inout [Effect]) {
        let old = configuration
        if let old, old == new { return }
        let isOther = old.map { $0.routerAS != new.routerAS || $0.routerID != new.routerID } ?? true
        /// What we are to a neighbour, or it to us, may change with the confederation.
        func isOtherKind(_ neighbor: Neighbor) -> Bool {
            guard let old, old.confederation != new.confederation else { return false }
            let known = neighbor.configuration
            return old.kind(of: known) != new.kind(of: known)
                || old.localAS(towards: known, answersAsRouter: neighbor.answersAsRouter)
                    != new.localAS(towards: known, answersAsRouter: neighbor.answersAsRouter)
        }
        for i in neighbors.indices {
            guard let neighbor = neighbors[i] else { continue }
            let peer = PeerIndex(UInt16(i))
            guard let wanted = wanted(neighbor, in: new) else {
                stop(peer, .cease(.peerDeconfigured), reason: "no longer configured", at: now, into: &effects)
                fatalInputs.forget(FatalInputs.name(neighbor.configuration.address))
                remove(peer)
                continue
            }
            if wanted.isShutdown, !neighbor.configuration.isShutdown {
                // RFC 9003
                let notification = NotificationMessage.cease(
                    .administrativeShutdown, communication: wanted.shutdownMessage)
                stop(peer, notification, reason: "administrative shutdown", at: now, into: &effects)
            } else if isOther || isOtherKind(neighbor) || neighbor.answersAsRouter && wanted.localAS?.dualAS != true
                || !wanted.hasSameSession(as: neighbor.configuration)
            {
                let isSame = !isOther && !isOtherKind(neighbor) && wanted.hasSameRoutes(as: neighbor.configuration)
                stop(
                    peer, .cease(.otherConfigurationChange), reason: "configuration change", keepsRoutes: isSame, at: now,
                    into: &effects)
            }
        }
        let isFirst = configuration == nil
        configuration = new
        // Before the first route of our own.
        if isFirst { beginColdStart(at: now, into: &effects) }
        rib.configure(new)
        for i in neighbors.indices where neighbors[i]?.configuration.range != nil {
            guard let wanted = wanted(neighbors[i]!, in: new) else { continue }
            adopt(wanted, PeerIndex(UInt16(i)), at: now, into: &effects)
        }
        for wanted in new.neighbors {
            if let peer = peerIndex(wanted.address) {
                adopt(wanted, peer, at: now, into: &effects)
            } else if let peer = freeIndex() {
                let neighbor = Neighbor(configuration: wanted)
                if Int(peer.value) < neighbors.count { neighbors[Int(peer.value)] = neighbor } else { neighbors.append(neighbor) }
            } else {
                effects.append(.event(Event(.alarm, "bgp", "neighbor \(wanted.address): no room for another neighbor")))
            }
        }
        updateListeners(into: &effects)
        for i in neighbors.indices {
            guard let neighbor = neighbors[i], !neighbor.configuration.isShutdown, !neighbor.isBlocked,
                !neighbor.isQuarantined, neighbor.own.machine.state == .idle, neighbor.incoming == nil
            else { continue }
            let peer = PeerIndex(UInt16(i))
            // One that was stopped just now waits its IdleHoldTime, so that its end of the connection can close.
            if timers.isRunning(timer(.idleHold, peer, .own)) { continue }
            startMachine(peer, at: now, into: &effects)
        }
        resolveNextHops(into: &effects)
    }

    /// Takes over what can change without a new session.
    private mutating func adopt(
        _ wanted: NeighborConfiguration, _ peer: PeerIndex, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        let before = neighbors[i]!.configuration
        guard before != wanted else { return }
        neighbors[i]!.configuration = wanted
        if wanted.localAS?.dualAS != true { neighbors[i]!.answersAsRouter = false }
        if wanted.range == nil { timers.cancel(timer(.forget, peer, .own)) }
        neighbors[i]!.own.machine.isPassive = wanted.passive
        neighbors[i]!.own.machine.delayOpen = wanted.timers.delayOpen > 0
        if neighbors[i]!.establishedSlot != nil || neighbors[i]!.retention != nil {
            rib.update(peer, neighbor: wanted, view: wanted.view.exportView)
        }
        let isLimitOther = before.families != wanted.families || before.maximumPaths != wanted.maximumPaths
        if wanted.isShutdown {
            timers.cancel(timer(.idleHold, peer, .own))
        } else if isLimitOther, neighbors[i]!.isBlocked {
            // A larger maximum is a new chance, now and not when the pause is over.
            neighbors[i]!.isBlocked = false
            timers.cancel(timer(.idleHold, peer, .own))
        } else if isLimitOther, let slot = neighbors[i]!.establishedSlot {
            // A smaller one counts now, not with the next prefix.
            judgeWarnings(peer)
            enforceMaximum(peer, slot, at: now, into: &effects)
        }
    }

    /// A slot without neighbour whose former routes are gone; `nil` when all 4,096 are taken.
    func freeIndex() -> PeerIndex? {
        for i in neighbors.indices where neighbors[i] == nil && rib.isEmpty(PeerIndex(UInt16(i))) {
            return PeerIndex(UInt16(i))
        }
        return neighbors.count < 4096 ? PeerIndex(UInt16(neighbors.count)) : nil
    }

    func updateListeners(into effects: inout [Effect]) {
        var endpoints: [StreamEndpoint] = []
        for i in neighbors.indices {
            guard let neighbor = neighbors[i], !neighbor.configuration.isShutdown else { continue }
            endpoints.append(endpoint(PeerIndex(UInt16(i))))
        }
        endpoints += rangeEndpoints
        effects.append(.listen(endpoints.sorted { ($0.remote, $0.number) < ($1.remote, $1.number) }))
    }

    /// RFC 4271 §8.1.2 ManualStop on every connection of the neighbour.
    private mutating func stop(
        _ peer: PeerIndex, _ notification: NotificationMessage, reason: String, keepsRoutes: Bool = false, at now: Instant,
        into effects: inout [Effect]
    ) {
        // A new beginning: what failed before counts no more, and the next start is near.
        neighbors[Int(peer.value)]?.failures = 0
        timers.cancel(timer(.idleHold, peer, .own))
        dropChallenger(peer, notification, at: now, into: &effects)
        run(.manualStop(notification), peer, .incoming, reason: reason, at: now, into: &effects)
        run(.manualStop(notification), peer, .own, reason: reason, at: now, into: &effects)
        if !keepsRoutes { dropRetention(peer) }
    }

    // MARK: commands

    mutating func perform(_ command: EngineCommand, at now: Instant, into effects: inout [Effect]) {
        switch command {
        case .clearNeighbor(let address, let reason):
            guard let peer = named(address, into: &effects) else { return }
            let notification = NotificationMessage.cease(.administrativeReset, communication: reason)
            neighbors[Int(peer.value)]!.isBlocked = false
            // The operator knows better than we do, whatever this neighbour has done.
            neighbors[Int(peer.value)]!.isQuarantined = false
            timers.cancel(timer(.quarantine, peer, .own))
            fatalInputs.forget(FatalInputs.name(neighbors[Int(peer.value)]!.configuration.address))
            stop(peer, notification, reason: "administrative reset", at: now, into: &effects)
        case .softClearIn(let address):
            guard let peer = named(address, into: &effects), let slot = neighbors[Int(peer.value)]!.establishedSlot,
                let negotiated = neighbors[Int(peer.value)]![slot]!.negotiated
            else { return }
            guard negotiated.routeRefresh else {
                // The Adj-RIB-In holds everything that was received, so policy can run again without asking.
                rib.reapplyImportPolicy(peer)
                return
            }
            for family in RouteFamily.allCases where negotiated.families.contains(family) {
                neighbors[Int(peer.value)]!.counters.sent.routeRefreshes &+= 1
                send(RouteRefreshMessage(family).encoded, peer, slot, at: now, into: &effects)
            }
        case .softClearOut(let address):
            guard let peer = named(address, into: &effects), let slot = neighbors[Int(peer.value)]!.establishedSlot,
                let negotiated = neighbors[Int(peer.value)]![slot]!.negotiated
            else { return }
            // As if the neighbour had asked; an operator is not made to wait.
            neighbors[Int(peer.value)]![slot]!.pendingRefresh.formUnion(negotiated.families)
            neighbors[Int(peer.value)]![slot]!.refreshedAt = nil
            serveRefresh(peer, slot, at: now)
        case .clearAdjacency, .clearSession, .clearCache, .testHang, .testTrap:
            // The engine's own.
            break
        }
    }

    private func named(_ address: String, into effects: inout [Effect]) -> PeerIndex? {
        if let parsed = IPAddress(address), let peer = peerIndex(parsed) { return peer }
        effects.append(.event(Event(.warning, "bgp", "there is no neighbor \(address)")))
        return nil
    }

    // MARK: BFD

    /// RFC 9384: the NOTIFICATION says why, and may not get through; RFC 5882 §4.2: the session ends at once, whatever its
    /// hold timer. It may come up again without BFD, which a neighbour is free to switch off. RFC 5882 §4.3.2.2: the routes go
    /// with it, since BGP has no way to say before that it restarts.
    /// - Parameter isIndependent: RFC 5882 §4.3.1: if the neighbour is restarting it forwards no more, so that is over. In other
    ///   cases (§4.3.2) the silence may be part of the restart.
    mutating func pathDown(_ address: IPAddress, isIndependent: Bool, at now: Instant, into effects: inout [Effect]) {
        guard let peer = peerIndex(address) else { return }
        if isIndependent, neighbor(peer)?.retention != nil, neighbor(peer)?.establishedSlot == nil {
            event(.warning, peer, "BFD down: it does not forward while it restarts, and its stale routes go", into: &effects)
            dropRetention(peer)
        }
        for slot in [SessionSlot.incoming, .own] {
            run(.automaticStop(.cease(.bfdDown)), peer, slot, reason: "BFD down", at: now, into: &effects)
        }
    }
}

extension NeighborConfiguration {
    /// Whether a session under `other` may go on under this.
    func hasSameSession(as other: NeighborConfiguration) -> Bool {
        remoteAS == other.remoteAS && localAddress == other.localAddress && passive == other.passive
            && port == other.port && timers.hold == other.timers.hold && md5Key == other.md5Key
            && ttlSecurityHops == other.ttlSecurityHops && multihop == other.multihop
            && routeRefresh == other.routeRefresh && extendedMessages == other.extendedMessages
            && families.map(\.negotiated) == other.families.map(\.negotiated) && role == other.role
            && roleStrict == other.roleStrict && isReflectorClient == other.isReflectorClient
            && localAS?.asNumber == other.localAS?.asNumber
            && gracefulRestart.hasSameCapability(as: other.gracefulRestart)
    }

    /// Whether routes of a session under `other` mean the same in one under this.
    func hasSameRoutes(as other: NeighborConfiguration) -> Bool {
        remoteAS == other.remoteAS && role == other.role && isReflectorClient == other.isReflectorClient
            && localAS == other.localAS && gracefulRestart.mode != .off
    }
}

extension FamilyConfiguration {
    /// What an OPEN says of it. How many paths are sent belongs to it: identifiers are places among so many.
    fileprivate var negotiated: FamilyConfiguration {
        var part = FamilyConfiguration(family)
        part.addPath = addPath
        part.extendedNextHop = extendedNextHop
        part.longLivedStaleTime = longLivedStaleTime
        return part
    }
}
