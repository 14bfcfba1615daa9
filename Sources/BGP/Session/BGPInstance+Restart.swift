import Machine
import Records
import Routing
import Wire

/// How a session ends: what it means for the routes that it brought, and what the neighbour is told.
struct SessionEnding {
    /// It was up.
    var isOfSession: Bool
    /// Routes may outlive it.
    var keepsRoutes: Bool
    /// For the log.
    var reason: String
}

extension SessionEvent {
    /// Whether routes may outlive a session that ends by this: RFC 4724 §4.2 and §5, RFC 8538 §4.
    /// - Parameter received: the NOTIFICATION that came last.
    func keepsRoutes(_ negotiated: NegotiatedSession?, received: NotificationMessage?) -> Bool {
        guard let negotiated, negotiated.gracefulRestart != nil else { return false }
        return switch self {
        // RFC 4724 §4.2: a new connection is an end of the old one like any other.
        case .tcpFails, .openCollisionDump: true
        case .notification, .notificationVersionError: negotiated.gracefulNotification && received?.isHardReset != true
        // RFC 8538 §4: who sends a NOTIFICATION keeps the routes as who receives it does.
        case .headerError(let sent), .openError(let sent), .updateError(let sent), .manualStop(let sent),
            .automaticStop(let sent):
            negotiated.gracefulNotification && !sent.isLasting
        default: negotiated.gracefulNotification
        }
    }
}

/// Restarts of neighbours: RFC 4724 §4.2 with RFC 8538 and RFC 9494.
///
///     session ends ──► Restart Time ──► (long-lived period, by family) ──► the routes go
///           ▲               │ the neighbour is back: what its OPEN does not speak of goes
///           └───────────────▼
///                     stale routes are replaced ──► End-of-RIB, or the stale timer: the rest goes
extension BGPInstance {
    // MARK: the session ends

    /// Keeps of the routes what may be kept. Called while the session's agreements are known.
    /// - Returns: whether anything is kept.
    mutating func retain(_ peer: PeerIndex, _ session: Session, at now: Instant, into effects: inout [Effect]) -> Bool {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], let negotiated = session.negotiated, let restart = negotiated.gracefulRestart
        else { return false }
        let families = negotiated.families.subtracting(session.disabledFamilies)
        // RFC 9494 §4.2: a time of zero is none.
        let short = restart.time == 0 ? [] : families.intersection(restart.families)
        let long = longLivedFamilies(neighbor, negotiated, families)
        let before = neighbor.retention
        var retention = Retention(
            families: long.reduce(into: short) { $0.insert(RouteFamilySet($1.family)) }, restartDeadline: now, staleDeadline: now)
        guard !retention.families.isEmpty else { return false }
        let settings = neighbor.configuration.gracefulRestart
        let time = short.isEmpty ? 0 : min(restart.time, settings.staleRoutesTime)
        retention.restartDeadline = now + .seconds(Int(time))
        retention.staleDeadline = now + .seconds(Int(settings.staleRoutesTime))
        retention.longLived = long
        var dropping = RouteFamilySet()
        if let before {
            // A period that began goes on, whatever the neighbour says before it has said all (RFC 9494 §4.2).
            for old in before.longLived where old.deadline != nil {
                retention.longLived.removeAll { $0.family == old.family }
                if retention.families.contains(old.family) { retention.longLived.append(old) }
            }
            retention.longLived.sort { $0.family < $1.family }
            // RFC 4724 §4.2: of two restarts in a row the routes of before the first one go; not so under RFC 8538 §4.1, where
            // they have the time that they had.
            let wasShort = before.families.subtracting(before.inLongLivedPeriod)
            if negotiated.gracefulNotification {
                if !wasShort.isEmpty { retention.staleDeadline = min(retention.staleDeadline, before.staleDeadline) }
            } else {
                dropping = wasShort
            }
        }
        guard rib.suspend(peer, keeping: retention.families, dropping: dropping) else {
            event(.warning, peer, "restarted too often without an End-of-RIB: no route is kept", into: &effects)
            return false
        }
        retention.restartDeadline = min(retention.restartDeadline, retention.staleDeadline)
        cancelRetentionTimers(peer, except: retention.inLongLivedPeriod)
        neighbors[i]!.retention = retention
        neighbors[i]!.counters.restarts &+= 1
        let names = Self.names(retention.families)
        let seconds = (retention.restartDeadline - now).inMilliseconds / 1000
        event(.notice, peer, "may be restarting: its routes of \(names) are kept as stale for \(seconds) s", into: &effects)
        if retention.restartDeadline <= now {
            endRestartTime(peer, at: now, into: &effects)
        } else {
            timers.set(timer(.restart, peer, .own), at: retention.restartDeadline)
            // RFC 9494 §4.2: of families that are not listed the Restart Time is 0.
            beginLongLivedPeriod(peer, of: retention.families.subtracting(short), at: now, into: &effects)
        }
        return true
    }

    /// RFC 9494 §4.2: families for which both ends know a time, and which time that is.
    private func longLivedFamilies(
        _ neighbor: Neighbor, _ negotiated: NegotiatedSession, _ families: RouteFamilySet
    ) -> [Retention.LongLived] {
        guard let offered = negotiated.longLivedGracefulRestart else { return [] }
        return offered.families.compactMap { entry in
            let own = neighbor.configuration.families.first { $0.family == entry.family }?.longLivedStaleTime ?? 0
            let time = min(entry.time, own)
            return time > 0 && families.contains(entry.family) ? .init(family: entry.family, time: time) : nil
        }
    }

    static func names(_ families: RouteFamilySet) -> String {
        RouteFamily.allCases.filter { families.contains($0) }.map(\.description).joined(separator: ", ")
    }

    // MARK: the neighbour is back

    /// Families whose stale routes may stay, now that the neighbour's new OPEN is known.
    private func confirmed(_ retention: Retention, by negotiated: NegotiatedSession) -> RouteFamilySet {
        // RFC 4724 §4.2, RFC 9494 §4.2: no capability, no routes.
        guard let restart = negotiated.gracefulRestart else { return [] }
        var confirmed = retention.families.intersection(negotiated.families)
        let long = retention.inLongLivedPeriod
        for family in RouteFamily.allCases where confirmed.contains(family) {
            let isListed = restart.families.contains(family)
            var isPreserved = isListed && restart.forwarding.contains(family)
            if long.contains(family) {
                // RFC 9494 §5: an F bit that is clear in the other capability would clear the state as well.
                let isKeptLong = negotiated.longLivedGracefulRestart?[family]?.isPreserved ?? false
                isPreserved = isKeptLong && (isPreserved || !isListed)
            }
            if !isPreserved { confirmed.remove(RouteFamilySet(family)) }
        }
        return confirmed
    }

    /// The session is up: tells the RIB, and lets go of what the neighbour did not preserve.
    mutating func resume(
        _ peer: PeerIndex, _ negotiated: NegotiatedSession, _ ribSession: RIBSession, at now: Instant,
        into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i] else { return }
        guard var retention = neighbor.retention else {
            return rib.establish(peer, neighbor: neighbor.configuration, session: ribSession)
        }
        let kept = rib.resume(
            peer, neighbor: neighbor.configuration, session: ribSession, keeping: confirmed(retention, by: negotiated))
        let lost = retention.families.subtracting(kept)
        for family in RouteFamily.allCases where lost.contains(family) { retention.forget(family) }
        cancelRetentionTimers(peer, except: retention.inLongLivedPeriod)
        neighbors[i]!.retention = kept.isEmpty ? nil : retention
        if !lost.isEmpty {
            event(
                .notice, peer, "is back and did not preserve \(Self.names(lost)): the stale routes go", into: &effects)
        }
        guard !kept.isEmpty else { return }
        event(.notice, peer, "is back: \(Self.names(kept)) stay until they are announced again", into: &effects)
        timers.set(timer(.stale, peer, .own), at: retention.staleDeadline)
    }

    /// RFC 4724 §4.2: End-of-RIB.
    mutating func finishRestart(_ peer: PeerIndex, _ family: RouteFamily, into effects: inout [Effect]) {
        guard neighbor(peer)?.retention?.families.contains(family) == true else { return }
        letGo(peer, family, "has said all of \(family)", into: &effects)
    }

    // MARK: time is up

    /// The neighbour is not back within its Restart Time.
    mutating func endRestartTime(_ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        guard let retention = neighbor(peer)?.retention, neighbor(peer)?.establishedSlot == nil else { return }
        beginLongLivedPeriod(peer, of: retention.families, at: now, into: &effects)
        let long = neighbor(peer)?.retention?.inLongLivedPeriod ?? []
        for family in RouteFamily.allCases where retention.families.subtracting(long).contains(family) {
            letGo(peer, family, "is not back in time with \(family)", into: &effects)
        }
    }

    private mutating func beginLongLivedPeriod(
        _ peer: PeerIndex, of families: RouteFamilySet, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard var retention = neighbors[i]?.retention else { return }
        for at in retention.longLived.indices where families.contains(retention.longLived[at].family) {
            let entry = retention.longLived[at], family = entry.family
            // Also once more after another restart: what has become stale since then is to be marked as well.
            rib.beginLongLived(peer, family)
            guard entry.deadline == nil else { continue }
            let deadline = now + .seconds(Int(entry.time))
            retention.longLived[at].deadline = deadline
            timers.set(timer(.longLivedStale, peer, family), at: deadline)
            event(.notice, peer, "\(family): its routes are stale for long now (RFC 9494), for \(entry.time) s", into: &effects)
        }
        neighbors[i]!.retention = retention
    }

    /// RFC 4724 §4.2, the stale timer: the neighbour is back and has not said all.
    mutating func endStaleTime(_ peer: PeerIndex, into effects: inout [Effect]) {
        guard let retention = neighbor(peer)?.retention else { return }
        let over = retention.families.subtracting(retention.inLongLivedPeriod)
        for family in RouteFamily.allCases where over.contains(family) {
            letGo(peer, family, "has not said all of \(family) in time", into: &effects)
        }
    }

    /// RFC 9494 §4.2: whether or not the neighbour is back.
    mutating func endLongLivedTime(_ peer: PeerIndex, _ family: RouteFamily, into effects: inout [Effect]) {
        guard neighbor(peer)?.retention?.inLongLivedPeriod.contains(family) == true else { return }
        letGo(peer, family, "\(family) was stale for long", into: &effects)
    }

    /// Removes what is still stale of a family.
    private mutating func letGo(_ peer: PeerIndex, _ family: RouteFamily, _ why: String, into effects: inout [Effect]) {
        let i = Int(peer.value)
        let count = rib.purgeStale(peer, family)
        neighbors[i]!.counters.staleRoutesRemoved &+= UInt64(count)
        neighbors[i]!.retention?.forget(family)
        timers.cancel(timer(.longLivedStale, peer, family))
        event(.notice, peer, "\(why): \(count == 0 ? "no" : "\(count)") stale routes go", into: &effects)
        if neighbors[i]!.retention?.families.isEmpty == true { dropRetention(peer) }
    }

    /// Nothing is kept of former sessions any more.
    mutating func dropRetention(_ peer: PeerIndex) {
        let i = Int(peer.value)
        guard let retention = neighbor(peer)?.retention else { return }
        neighbors[i]!.retention = nil
        cancelRetentionTimers(peer, except: [])
        if neighbors[i]!.establishedSlot == nil { return rib.close(peer) }
        for family in RouteFamily.allCases where retention.families.contains(family) { rib.purgeStale(peer, family) }
    }

    private mutating func cancelRetentionTimers(_ peer: PeerIndex, except kept: RouteFamilySet) {
        timers.cancel(timer(.restart, peer, .own))
        timers.cancel(timer(.stale, peer, .own))
        for family in RouteFamily.allCases where !kept.contains(family) {
            timers.cancel(timer(.longLivedStale, peer, family))
        }
    }

    // MARK: the router itself

    /// What our OPEN says (RFC 4724 §3, RFC 9494 §3.1).
    func offerRestart(_ configuration: NeighborConfiguration, at now: Instant, in capabilities: inout Capabilities) {
        let settings = configuration.gracefulRestart
        guard settings.mode != .off else { return }
        var restart = Capabilities.GracefulRestart(
            isRestarting: coldStart.map { now < $0.restartingUntil } ?? false, time: 0, families: [], hasNotification: true)
        if settings.mode == .full {
            restart.time = settings.restartTime
            // The kernels keep what they forward by, and the operator says that this counts (RFC 4724 §4.1).
            restart.families = capabilities.families
            restart.forwarding = capabilities.families
        } else {
            restart.isRestarting = false
        }
        capabilities.gracefulRestart = restart
        // RFC 9494 §5: only where it was asked for, by family.
        guard configuration.families.contains(where: { $0.longLivedStaleTime > 0 }) else { return }
        var longLived = Capabilities.LongLivedGracefulRestart()
        if settings.mode == .full {
            for family in configuration.families where family.longLivedStaleTime > 0 {
                longLived.set(.init(family.family, time: family.longLivedStaleTime, isPreserved: true))
            }
        }
        capabilities.longLivedGracefulRestart = longLived
    }

    /// The first configuration of the instance's life: whoever was asked to keep our routes may be doing so.
    mutating func beginColdStart(at now: Instant, into effects: inout [Effect]) {
        guard let configuration else { return }
        let full = configuration.neighbors.filter { $0.gracefulRestart.mode == .full && !$0.isShutdown }
        guard let longest = full.map(\.gracefulRestart.restartTime).max() else { return }
        let patience = Duration.seconds(Int(configuration.gracefulRestart.selectionDeferralTime))
        coldStart = ColdStart(restartingUntil: now + .seconds(Int(longest)), selectionDeadline: now + patience)
        watchSelection(at: now)
        rib.deferSelection(full.flatMap(\.families).reduce(into: []) { $0.insert(RouteFamilySet($1.family)) })
        hasFirstRoutesNews = true
        let message = "cold start: routes of \(Self.names(rib.deferred)) are selected when every neighbor has said all"
        effects.append(.event(Event(.notice, "bgp", message)))
    }

    /// Looks again when those that are not up are no longer waited for, and when there was time enough.
    private mutating func watchSelection(at now: Instant) {
        guard let coldStart else { return }
        let first = min(coldStart.restartingUntil, coldStart.selectionDeadline)
        let next = first > now ? first : coldStart.selectionDeadline
        timers.set(SessionTimer(kind: .selectionDeferral, number: 0), at: next)
    }

    /// RFC 4724 §4.1: selects routes of those families of which all is said, or of all when there was time enough.
    mutating func judgeSelection(at now: Instant, into effects: inout [Effect]) {
        guard let coldStart else { return }
        let isOverdue = now >= coldStart.selectionDeadline
        // By then a neighbour that kept our routes has given them up.
        let awaitsAbsent = now < coldStart.restartingUntil
        for family in RouteFamily.allCases where rib.deferred.contains(family) {
            if !isOverdue, neighbors.contains(where: { isAwaited($0, family, awaitsAbsent) }) { continue }
            rib.selectRoutes(family)
            hasFirstRoutesNews = true
            let why = isOverdue ? "not every neighbor has said all in time" : "every neighbor has said all"
            effects.append(.event(Event(.notice, "bgp", "\(family): \(why), routes are selected")))
        }
        let key = SessionTimer(kind: .selectionDeferral, number: 0)
        if rib.deferred.isEmpty {
            timers.cancel(key)
        } else if !timers.isRunning(key) {
            watchSelection(at: now)
        }
    }

    /// Those that restart as well, and those that never say that they are done, are not waited for.
    private func isAwaited(_ neighbor: Neighbor?, _ family: RouteFamily, _ awaitsAbsent: Bool) -> Bool {
        guard let neighbor, neighbor.configuration.gracefulRestart.mode != .off, !neighbor.configuration.isShutdown,
            !neighbor.isBlocked, !neighbor.isQuarantined,
            neighbor.configuration.families.contains(where: { $0.family == family })
        else { return false }
        guard let slot = neighbor.establishedSlot, let session = neighbor[slot], let negotiated = session.negotiated else {
            return awaitsAbsent
        }
        guard negotiated.families.contains(family), let restart = negotiated.gracefulRestart, !restart.isRestarting else {
            return false
        }
        return !session.completeFamilies.union(session.disabledFamilies).contains(family)
    }
}
