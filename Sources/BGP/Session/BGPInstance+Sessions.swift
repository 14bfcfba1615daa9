import Machine
import Records
import Routing
import Wire

/// What the machines' actions mean: timers, connections, the RIB.
extension BGPInstance {
    // MARK: events

    /// Hands one event to a machine and does what it asks.
    ///
    /// - Parameter reason: for the log, when the session goes down by it.
    mutating func run(
        _ event: SessionEvent, _ peer: PeerIndex, _ slot: SessionSlot, reason: String, at now: Instant,
        into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard var session = neighbors[i]?[slot] else { return }
        let ending = SessionEnding(
            isOfSession: session.isEstablished,
            keepsRoutes: session.isEstablished
                && event.keepsRoutes(session.negotiated, received: neighbors[i]!.lastNotificationReceived),
            reason: reason)
        var actions: [SessionAction] = []
        session.machine.handle(event, into: &actions)
        neighbors[i]![slot] = session
        for action in actions {
            perform(action, peer, slot, ending, at: now, into: &effects)
        }
        settle(peer, at: now, into: &effects)
    }

    private mutating func perform(
        _ action: SessionAction, _ peer: PeerIndex, _ slot: SessionSlot, _ ending: SessionEnding, at now: Instant,
        into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        let configured = neighbors[i]!.configuration.timers
        switch action {
        case .startConnectRetryTimer:
            timers.set(timer(.connectRetry, peer, slot), at: now + jittered(.seconds(Int(configured.connectRetry))))
        case .stopConnectRetryTimer: timers.cancel(timer(.connectRetry, peer, slot))
        case .startDelayOpenTimer:
            timers.set(timer(.delayOpen, peer, slot), at: now + jittered(.seconds(Int(configured.delayOpen))))
        case .stopDelayOpenTimer: timers.cancel(timer(.delayOpen, peer, slot))
        case .startHoldTimer(let seconds): startHoldTimer(seconds, peer, slot, at: now)
        case .startKeepaliveTimer:
            timers.set(timer(.keepalive, peer, slot), at: now + jittered(keepaliveTime(peer, slot)))
        case .initiateConnection:
            neighbors[i]!.own.isConnecting = true
            effects.append(.connect(endpoint(peer)))
        case .sendOpen: sendOpen(peer, slot, at: now, into: &effects)
        case .sendKeepalive:
            neighbors[i]!.counters.sent.keepalives &+= 1
            send(KeepaliveMessage.encoded, peer, slot, at: now, into: &effects)
        case .sendNotification(let due):
            // RFC 8538 §5.1: so that the neighbour keeps nothing either.
            let isHard = ending.isOfSession && due.isLasting && neighbors[i]![slot]!.negotiated?.gracefulNotification == true
            let notification = isHard ? due.asHardReset : due
            neighbors[i]!.lastNotificationSent = notification
            neighbors[i]!.counters.sent.notifications &+= 1
            send(notification.encoded, peer, slot, at: now, into: &effects)
        case .dropConnection: drop(peer, slot, at: now, into: &effects)
        case .abortConnection:
            if let connection = neighbors[i]![slot]!.connection {
                owners[connection] = nil
                effects.append(.abort(connection))
            }
            neighbors[i]![slot]!.forgetConnection()
        case .announceEstablished: establish(peer, slot, at: now, into: &effects)
        case .releaseResources:
            if ending.isOfSession {
                disestablish(peer, slot, ending, at: now, into: &effects)
            } else if neighbors[i]![slot]!.isOpen {
                event(.info, peer, "connection given up: \(ending.reason)", into: &effects)
            }
            for kind in [SessionTimer.Kind.hold, .keepalive, .delayOpen, .sendHold, .refresh] {
                timers.cancel(timer(kind, peer, slot))
            }
            neighbors[i]![slot]!.forgetNegotiation()
        case .dampOscillation:
            // A neighbour that cannot even bring up its own attempts does not keep us from ours.
            if slot == .own || ending.isOfSession { neighbors[i]!.failures = min(neighbors[i]!.failures + 1, 30) }
        }
    }

    /// What holds between any two events of a neighbour: an incoming machine that came to its end is gone, and one of
    /// our own in Idle has a reason to be there, or a timer that will start it.
    private mutating func settle(_ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i] else { return }
        if let incoming = neighbor.incoming, incoming.connection == nil {
            timers.cancel(timer(.connectRetry, peer, .incoming))
            neighbors[i]!.incoming = nil
        }
        if neighbor.configuration.range != nil { awaitReturn(peer, at: now) }
        if neighbor.challenger != nil, neighbor.establishedSlot == nil {
            return promoteChallenger(peer, at: now, into: &effects)
        }
        guard !neighbor.configuration.isShutdown, !neighbor.isBlocked, !neighbor.isQuarantined,
            neighbor.own.machine.state == .idle, neighbors[i]!.incoming == nil, !timers.isRunning(timer(.idleHold, peer, .own))
        else { return }
        // RFC 4271 §8.1.1 IdleHoldTime: doubled by each failure that follows another.
        let configured = neighbor.configuration.timers
        let doublings = max(Int(neighbor.failures) - 1, 0)
        let seconds = min(Int(configured.idleHoldMinimum) << min(doublings, 16), Int(configured.idleHoldMaximum))
        timers.set(timer(.idleHold, peer, .own), at: now + jittered(.seconds(seconds)))
    }

    // MARK: timers

    func timer(_ kind: SessionTimer.Kind, _ peer: PeerIndex, _ slot: SessionSlot) -> SessionTimer {
        SessionTimer(kind: kind, slot: slot, number: UInt32(peer.value))
    }
    func timer(_ kind: SessionTimer.Kind, _ peer: PeerIndex, _ family: RouteFamily) -> SessionTimer {
        SessionTimer(kind, peer, family)
    }

    mutating func fireTimers(at now: Instant, into effects: inout [Effect]) {
        while let due = timers.popDue(at: now) {
            switch due.kind {
            case .linger:
                let connection = ConnectionID(due.number)
                if let at = lingering.firstIndex(of: connection) {
                    lingering.remove(at: at)
                    effects.append(.abort(connection))
                }
                continue
            case .housekeeping:
                keepHouse(at: now, into: &effects)
                continue
            case .selectionDeferral:
                judgeSelection(at: now, into: &effects)
                continue
            default: break
            }
            let peer = PeerIndex(UInt16(truncatingIfNeeded: due.number))
            guard let neighbor = neighbor(peer) else { continue }
            switch due.kind {
            case .connectRetry:
                run(.connectRetryTimerExpires, peer, due.slot, reason: "no connection in time", at: now, into: &effects)
            case .delayOpen:
                run(.delayOpenTimerExpires, peer, due.slot, reason: "", at: now, into: &effects)
            case .hold:
                guard let deadline = neighbor[due.slot]?.holdDeadline else { continue }
                if deadline > now {
                    timers.set(due, at: deadline)
                } else {
                    run(.holdTimerExpires, peer, due.slot, reason: "hold timer expired", at: now, into: &effects)
                }
            case .keepalive:
                guard let session = neighbor[due.slot] else { continue }
                // RFC 4271 §8.2.2: whatever was sent since restarted the timer, here with the shortest jitter.
                let quietUntil = session.lastSent + keepaliveTime(peer, due.slot) * 3 / 4
                if session.isEstablished, quietUntil > now {
                    timers.set(due, at: quietUntil)
                } else {
                    run(.keepaliveTimerExpires, peer, due.slot, reason: "", at: now, into: &effects)
                }
            case .idleHold:
                startMachine(peer, at: now, into: &effects)
            case .sendHold:
                guard let session = neighbor[due.slot], session.unacknowledged > 0 else { continue }
                let deadline = session.lastProgress + sendHoldTime(session)
                if deadline > now {
                    timers.set(due, at: deadline)
                } else {
                    neighbors[Int(peer.value)]!.lastNotificationSent = .sendHoldTimerExpired
                    run(
                        .sendHoldTimerExpires, peer, due.slot, reason: "the neighbor stopped reading", at: now,
                        into: &effects)
                }
            case .refresh: serveRefresh(peer, due.slot, at: now)
            case .quarantine: endQuarantine(peer, at: now, into: &effects)
            case .challenge: challengeTimedOut(peer, at: now, into: &effects)
            case .restart: endRestartTime(peer, at: now, into: &effects)
            case .stale: endStaleTime(peer, into: &effects)
            case .longLivedStale: if let family = due.family { endLongLivedTime(peer, family, into: &effects) }
            case .refreshStale:
                guard let family = due.family, let slot = neighbor.establishedSlot else { continue }
                endRefresh(family, peer, slot, isOverdue: true, into: &effects)
            case .forget: forget(peer, at: now, into: &effects)
            case .linger, .housekeeping, .selectionDeferral: break
            }
        }
    }

    mutating func startMachine(_ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(peer), !neighbor.configuration.isShutdown, !neighbor.isQuarantined else { return }
        // A neighbour that was blocked for its prefixes gets a new chance when its restart time is over.
        neighbors[Int(peer.value)]!.isBlocked = false
        neighbors[Int(peer.value)]!.own.machine.isPassive = neighbor.configuration.passive
        neighbors[Int(peer.value)]!.own.machine.delayOpen = neighbor.configuration.timers.delayOpen > 0
        run(neighbor.configuration.passive ? .startPassive : .start, peer, .own, reason: "", at: now, into: &effects)
    }

    private mutating func startHoldTimer(_ seconds: UInt16, _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant) {
        let key = timer(.hold, peer, slot)
        guard seconds > 0 else {
            neighbors[Int(peer.value)]![slot]!.holdDeadline = nil
            return timers.cancel(key)
        }
        let deadline = now + .seconds(Int(seconds))
        let before = neighbors[Int(peer.value)]![slot]!.holdDeadline
        neighbors[Int(peer.value)]![slot]!.holdDeadline = deadline
        // A later deadline waits until the entry in the table fires; an earlier one cannot.
        if let before, before <= deadline, timers.isRunning(key) { return }
        timers.set(key, at: deadline)
    }

    /// RFC 4271 §4.4 and §10: a third of the negotiated Hold Time.
    private func keepaliveTime(_ peer: PeerIndex, _ slot: SessionSlot) -> Duration {
        let hold = neighbor(peer)?[slot]?.machine.holdTime ?? 0
        return .milliseconds(max(1, Int(hold)) * 1000 / 3)
    }

    /// RFC 9687 §4: eight minutes, or twice the hold time when that is more.
    private func sendHoldTime(_ session: Session) -> Duration {
        max(Self.sendHoldMinimum, .seconds(2 * Int(session.machine.holdTime)))
    }

    // MARK: sending

    /// Appends control messages to the stream, in order with whatever was written before.
    mutating func send(
        _ bytes: [UInt8], _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]
    ) {
        guard let connection = neighbors[Int(peer.value)]?[slot]?.connection else { return }
        effects.append(.send(connection, bytes[...]))
        neighbors[Int(peer.value)]!.counters.sent.messages &+= 1
        noteSent(bytes.count, peer, slot, at: now)
    }

    mutating func noteSent(_ count: Int, _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant) {
        let i = Int(peer.value)
        neighbors[i]!.counters.sent.octets &+= UInt64(count)
        guard var session = neighbors[i]![slot] else { return }
        if session.unacknowledged == 0 {
            session.lastProgress = now
            let key = timer(.sendHold, peer, slot)
            if session.isEstablished, !timers.isRunning(key) { timers.set(key, at: now + sendHoldTime(session)) }
        }
        session.sentOffset += UInt64(count)
        session.lastSent = now
        neighbors[i]![slot] = session
        if session.isEstablished { updateOutlet(peer) }
    }

    mutating func acknowledge(
        _ offset: UInt64, on connection: ConnectionID, at now: Instant, into effects: inout [Effect]
    ) {
        guard let owner = owners[connection], !owner.isChallenger else { return }
        let i = Int(owner.peer.value)
        guard var session = neighbors[i]?[owner.slot], offset > session.acknowledgedOffset else { return }
        session.acknowledgedOffset = min(offset, session.sentOffset)
        session.lastProgress = now
        neighbors[i]![owner.slot] = session
        if session.isEstablished { updateOutlet(owner.peer) }
        if challengers > 0 { heard(connection, offset: offset, at: now, into: &effects) }
    }

    /// What we offer this neighbour.
    func openMessage(for neighbor: Neighbor, at now: Instant) -> OpenMessage {
        let configuration = neighbor.configuration
        var capabilities = Capabilities()
        capabilities.hasMultiprotocol = true
        for family in configuration.families {
            let set = RouteFamilySet(family.family)
            capabilities.families.insert(set)
            if family.addPath.receive { capabilities.receivesPathIDs.insert(set) }
            if family.addPath.sends { capabilities.sendsPathIDs.insert(set) }
            if family.extendedNextHop, family.family.canExtendNextHop { capabilities.ipv6NextHops.insert(set) }
        }
        capabilities.routeRefresh = configuration.routeRefresh
        capabilities.enhancedRouteRefresh = configuration.routeRefresh
        offerRestart(configuration, at: now, in: &capabilities)
        capabilities.extendedMessages = configuration.extendedMessages
        let own =
            self.configuration?.localAS(towards: configuration, answersAsRouter: neighbor.answersAsRouter) ?? .zero
        // RFC 9234 §4.1: to another AS.
        if let role = configuration.role, kind(neighbor) == .external { capabilities.roles = [role.rawValue] }
        capabilities.fourOctetAS = own
        return OpenMessage(
            asNumber: own, holdTime: configuration.timers.hold,
            identifier: self.configuration?.routerID ?? RouterID(raw: 0), capabilities: capabilities)
    }

    private mutating func sendOpen(
        _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]
    ) {
        let open = openMessage(for: neighbors[Int(peer.value)]!, at: now)
        neighbors[Int(peer.value)]![slot]!.localOpen = open
        send(open.encoded, peer, slot, at: now, into: &effects)
    }

    // MARK: connections

    func endpoint(_ peer: PeerIndex) -> StreamEndpoint {
        let neighbor = neighbors[Int(peer.value)]!.configuration
        return StreamEndpoint(
            number: StreamEndpointID(peer.value), local: neighbor.localAddress, localPort: Self.port,
            remote: neighbor.address, remotePort: neighbor.port,
            options: neighbor.transportOptions(routerAS: configuration?.routerAS ?? .zero))
    }

    mutating func connecting(_ peer: PeerIndex, _ connection: ConnectionID, into effects: inout [Effect]) {
        guard let neighbor = neighbor(peer), neighbor.own.isConnecting, neighbor.own.connection == nil else {
            effects.append(.abort(connection))
            return
        }
        neighbors[Int(peer.value)]!.own.connection = connection
        owners[connection] = Owner(peer: peer, slot: .own)
    }

    mutating func opened(
        _ connection: ConnectionID, _ identity: ConnectionIdentity, _ addresses: SessionAddresses, _ peer: PeerIndex,
        isOurs: Bool, at now: Instant, into effects: inout [Effect]
    ) {
        if isOurs {
            guard let owner = owners[connection], neighbors[Int(owner.peer.value)]?.own.isConnecting == true else {
                effects.append(.abort(connection))
                return
            }
            begin(connection, identity.tuple, addresses, owner.peer, .own, at: now)
            run(.tcpConnected, owner.peer, .own, reason: "", at: now, into: &effects)
            return
        }
        if Int(peer.value) >= Self.neighborsMaximum {
            return welcome(connection, identity, addresses, range: Int(peer.value), at: now, into: &effects)
        }
        guard let neighbor = neighbor(peer), neighbor.configuration.address == identity.tuple.remote,
            owners[connection] == nil
        else {
            effects.append(.abort(connection))
            return
        }
        if neighbor.establishedSlot != nil {
            return challenge(connection, identity.tuple, addresses, peer, at: now, into: &effects)
        }
        // RFC 4271 §8.2.2: in Idle we refuse connections.
        guard neighbor.own.machine.state != .idle || neighbor.incoming != nil else {
            event(.debug, peer, "connection refused in Idle", into: &effects)
            effects.append(.abort(connection))
            return
        }
        // Two in the same direction are no collision: the neighbour has given up the first one.
        if neighbor.incoming != nil {
            run(.openCollisionDump, peer, .incoming, reason: "the neighbor connected again", at: now, into: &effects)
        }
        admit(connection, identity.tuple, addresses, peer, at: now, into: &effects)
    }

    /// A connection of the neighbour's gets a machine.
    mutating func admit(
        _ connection: ConnectionID, _ tuple: ConnectionTuple, _ addresses: SessionAddresses, _ peer: PeerIndex,
        at now: Instant, into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(peer) else { return }
        var session = Session(machine: Neighbor.machine(neighbor.configuration, isPassive: true))
        session.connection = connection
        neighbors[Int(peer.value)]!.incoming = session
        owners[connection] = Owner(peer: peer, slot: .incoming)
        begin(connection, tuple, addresses, peer, .incoming, at: now)
        run(.startPassive, peer, .incoming, reason: "", at: now, into: &effects)
        run(.tcpConnected, peer, .incoming, reason: "", at: now, into: &effects)
    }

    private mutating func begin(
        _ connection: ConnectionID, _ tuple: ConnectionTuple, _ addresses: SessionAddresses, _ peer: PeerIndex,
        _ slot: SessionSlot, at now: Instant
    ) {
        guard var session = neighbors[Int(peer.value)]?[slot] else { return }
        session.isConnecting = false
        session.isOpen = true
        session.tuple = tuple
        session.addresses = addresses
        session.lastProgress = now
        neighbors[Int(peer.value)]![slot] = session
    }

    mutating func closed(_ connection: ConnectionID, _ end: ConnectionEnd, at now: Instant, into effects: inout [Effect]) {
        if let at = lingering.firstIndex(of: connection) {
            lingering.remove(at: at)
            timers.cancel(SessionTimer(kind: .linger, number: connection.value))
            return
        }
        guard let owner = owners.removeValue(forKey: connection) else { return }
        if owner.isChallenger { return forgetChallenger(owner.peer) }
        neighbors[Int(owner.peer.value)]![owner.slot]!.connection = nil
        neighbors[Int(owner.peer.value)]![owner.slot]!.isConnecting = false
        run(.tcpFails, owner.peer, owner.slot, reason: "connection \(end)", at: now, into: &effects)
    }

    /// Lets the connection of a slot go: after FIN when it is up, at once when it is not.
    private mutating func drop(_ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]) {
        guard let session = neighbors[Int(peer.value)]?[slot] else { return }
        if let connection = session.connection {
            owners[connection] = nil
            if session.isOpen {
                finish(connection, at: now, into: &effects)
            } else {
                effects.append(.abort(connection))
            }
        }
        neighbors[Int(peer.value)]![slot]!.forgetConnection()
    }

    mutating func finish(_ connection: ConnectionID, at now: Instant, into effects: inout [Effect]) {
        effects.append(.finish(connection))
        let at = lingering.firstIndex { $0 > connection } ?? lingering.count
        lingering.insert(connection, at: at)
        timers.set(SessionTimer(kind: .linger, number: connection.value), at: now + Self.lingerTime)
    }

    public func peerIndex(_ address: IPAddress) -> PeerIndex? {
        for (i, neighbor) in neighbors.enumerated() where neighbor?.configuration.address == address {
            return PeerIndex(UInt16(i))
        }
        return nil
    }

    // MARK: established and not

    private mutating func establish(
        _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], let session = neighbor[slot], let negotiated = session.negotiated,
            let remote = session.remoteOpen
        else { return }
        neighbors[i]![slot]!.establishedAt = now
        neighbors[i]!.establishedCount &+= 1
        neighbors[i]!.warnedFamilies = []
        neighbors[i]!.isWarnedOfPaths = false
        neighbors[i]!.lastUpdate = now
        neighbors[i]!.hasBeenQuiet = false
        hasFirstRoutesNews = true
        timers.cancel(timer(.idleHold, peer, .own))
        timers.set(timer(.sendHold, peer, slot), at: now + sendHoldTime(session))
        updateOutlet(peer)
        var ribSession = RIBSession(
            identifier: remote.identifier, families: negotiated.families, fourOctetAS: negotiated.fourOctetAS,
            extendedMessages: negotiated.extendedMessages, nextHopIPv4: session.addresses.ipv4,
            nextHopIPv6: session.addresses.ipv6, linkLocal: session.addresses.linkLocal)
        ribSession.receivesPathIDs = negotiated.receivesPathIDs
        ribSession.sendsPathIDs = negotiated.sendsPathIDs
        ribSession.takesIPv6NextHops = negotiated.ipv6NextHops
        ribSession.takesLongLivedStale =
            remote.capabilities.longLivedGracefulRestart != nil
            && remote.capabilities.gracefulRestart != nil
        ribSession.answersAsRouter = neighbor.answersAsRouter
        ribSession.view = neighbor.configuration.view.exportView
        ribSession.views = neighbor.configuration.families.compactMap { family in
            negotiated.sendsPathIDs.contains(family.family)
                ? RIBSession.FamilyView(family: family.family, view: .several(family.addPath.send)) : nil
        }
        event(
            .notice, peer,
            "session established, hold time \(negotiated.holdTime) s, identifier \(remote.identifier)", into: &effects)
        resume(peer, negotiated, ribSession, at: now, into: &effects)
        // RFC 4271 §6.8: whatever else is under way with this neighbour has lost.
        if neighbor[slot.other] != nil, neighbor[slot.other]!.machine.state != .idle {
            run(.openCollisionDump, peer, slot.other, reason: "another connection is established", at: now, into: &effects)
        }
    }

    private mutating func disestablish(
        _ peer: PeerIndex, _ slot: SessionSlot, _ ending: SessionEnding, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], let session = neighbor[slot] else { return }
        updateOutlet(peer)
        hasFirstRoutesNews = true
        for family in RouteFamily.allCases { timers.cancel(timer(.refreshStale, peer, family)) }
        event(.warning, peer, "session down: \(ending.reason)", into: &effects)
        if !ending.keepsRoutes || !retain(peer, session, at: now, into: &effects) {
            dropRetention(peer)
            rib.close(peer)
        }
        let uptime = now - (session.establishedAt ?? now)
        // A session that held for as long as the longest pause has shown that it is sound.
        if uptime >= .seconds(Int(neighbor.configuration.timers.idleHoldMaximum)) { neighbors[i]!.failures = 0 }
        neighbors[i]!.lastDownReason = ending.reason
        neighbors[i]!.lastDownAt = now
    }
}
