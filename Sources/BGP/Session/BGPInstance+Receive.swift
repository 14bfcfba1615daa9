import Machine
import Records
import Routing
import Wire

/// Buffers of the receive path that keep their capacity from one UPDATE to the next.
struct ReceiveScratch: Sendable {
    var attributes = PathAttributes()
    /// An attribute block that does not lie in one piece, or one with the next hop of MP_REACH_NLRI before it.
    var key: [UInt8] = []
    var canonical = ByteWriter()
    /// Which message of the record is at work, from 1.
    var message = 0
}

/// From octets to messages, and what messages do.
extension BGPInstance {
    mutating func receive(
        _ bytes: [UInt8], on connection: ConnectionID, at now: Instant, into effects: inout [Effect]
    ) {
        guard let owner = owners[connection] else { return }
        if owner.isChallenger { return receiveChallenger(bytes, owner.peer, at: now, into: &effects) }
        guard var session = neighbor(owner.peer)?[owner.slot] else { return }
        let peer = owner.peer, slot = owner.slot
        let i = Int(peer.value)
        neighbors[i]!.counters.received.octets &+= UInt64(bytes.count)
        var octets = bytes
        if !session.partial.isEmpty {
            octets = session.partial
            octets += bytes
            session.partial = []
            neighbors[i]![slot]!.partial = []
        }
        let buffer = octets
        var position = 0
        scratch.message = 0
        /// KEEPALIVE or UPDATE in Established. The machine hears of them once per record: all of them are of one moment.
        var heard = false
        var hasUpdates = false, hasKeepalive = false
        while buffer.count - position >= MessageHeader.size {
            let isExtended = neighbors[i]![slot]!.negotiated?.extendedMessages ?? false
            let header: MessageHeader
            do {
                header = try MessageHeader(buffer.span.bytes, at: position, extended: isExtended)
            } catch {
                run(.headerError(error), peer, slot, reason: "sent \(error)", at: now, into: &effects)
                return
            }
            guard buffer.count - position >= header.length else { break }
            let body = buffer.span.bytes.extracting((position + MessageHeader.size)..<(position + header.length))
            position += header.length
            noteMessage()
            neighbors[i]!.counters.received.messages &+= 1
            let isEstablished = neighbors[i]![slot]!.isEstablished
            if isEstablished, header.type == .update {
                heard = true
                hasUpdates = true
                // As many as there are, without asking each time whether the session still is.
                let fault = receiveUpdates(
                    body, then: buffer, &position, peer, slot, isExtended: isExtended, at: now, into: &effects)
                if let fault {
                    run(.updateError(fault), peer, slot, reason: "sent \(fault)", at: now, into: &effects)
                    return
                }
                // Too many prefixes end the session as well.
                guard owners[connection] != nil else { return }
                continue
            }
            if isEstablished, header.type == .keepalive {
                neighbors[i]!.counters.received.keepalives &+= 1
                heard = true
                hasKeepalive = true
                continue
            }
            if let source = fatalSource(peer, at: now), fatalInputs.isKnown(header.type.rawValue, body, from: source.name) {
                neighbors[i]!.counters.quarantined &+= 1
                let farewell = NotificationMessage.cease(
                    .administrativeReset, communication: "this message could not be processed before")
                run(.automaticStop(farewell), peer, slot, reason: "sent again what was fatal", at: now, into: &effects)
            } else {
                handle(header.type, body, peer, slot, at: now, into: &effects)
            }
            // Whatever ended the session also ended the meaning of what follows.
            guard owners[connection] != nil else { return }
        }
        if position < buffer.count { neighbors[i]![slot]!.partial = Array(buffer[position...]) }
        if heard {
            noteFirstRoutes(peer, hasUpdates: hasUpdates, hasKeepalive: hasKeepalive, at: now)
            run(.update, peer, slot, reason: "", at: now, into: &effects)
        }
        if rib.hasMetTrap, trapMessage == 0 { trapMessage = scratch.message }
    }

    private mutating func handle(
        _ type: MessageType, _ body: RawSpan, _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant,
        into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        switch type {
        case .open: handleOpen(body, peer, slot, at: now, into: &effects)
        case .keepalive:
            neighbors[i]!.counters.received.keepalives &+= 1
            run(.keepalive, peer, slot, reason: "unexpected KEEPALIVE", at: now, into: &effects)
        case .update:
            run(.update, peer, slot, reason: "unexpected UPDATE", at: now, into: &effects)
        case .notification:
            let notification = NotificationMessage(body: body)
            neighbors[i]!.counters.received.notifications &+= 1
            neighbors[i]!.lastNotificationReceived = notification
            if notification.code == NotificationMessage.Code.open.rawValue,
                notification.subcode == NotificationMessage.OpenSubcode.roleMismatch.rawValue
            {
                // Nobody refused it here, so the strictness is over there: it may want a role of which we say nothing.
                let own = neighbors[i]!.configuration.role
                let advice = own.map { "it must be \($0.counterpart) there, or role: \($0) be another one here" }
                event(
                    .warning, peer,
                    "role mismatch: the neighbor refuses us as \(own?.description ?? "one without role"); "
                        + (advice ?? "write role: here, the counterpart of what it is"), into: &effects)
            }
            if notification.code == NotificationMessage.Code.open.rawValue,
                notification.subcode == NotificationMessage.OpenSubcode.badPeerAS.rawValue
            {
                tryOtherAS(peer, into: &effects)
            }
            let isVersion =
                notification.code == NotificationMessage.Code.open.rawValue
                && notification.subcode == NotificationMessage.OpenSubcode.unsupportedVersionNumber.rawValue
            let failures = neighbors[i]!.failures
            run(
                isVersion ? .notificationVersionError : .notification, peer, slot, reason: "received \(notification)",
                at: now, into: &effects)
            if notification.code == NotificationMessage.Code.cease.rawValue,
                notification.subcode == NotificationMessage.CeaseSubcode.connectionCollision.rawValue
            {
                // The neighbour closed the loser of a collision, as RFC 4271 §6.8 wants: no failure of either.
                neighbors[i]!.failures = min(neighbors[i]!.failures, failures)
            }
        case .routeRefresh:
            neighbors[i]!.counters.received.routeRefreshes &+= 1
            guard neighbors[i]![slot]?.isEstablished == true else {
                run(.routeRefresh, peer, slot, reason: "unexpected ROUTE-REFRESH", at: now, into: &effects)
                return
            }
            if let fault = receiveRefresh(body, peer, slot, at: now, into: &effects) {
                run(.headerError(fault), peer, slot, reason: "sent \(fault)", at: now, into: &effects)
            }
        }
    }

    // MARK: OPEN

    private mutating func handleOpen(
        _ body: RawSpan, _ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        guard var neighbor = neighbors[i], let session = neighbor[slot] else { return }
        let remote: OpenMessage
        let negotiated: NegotiatedSession
        let local = session.localOpen ?? openMessage(for: neighbor, at: now)
        do {
            remote = try OpenMessage(body: body)
            if neighbor.configuration.range != nil, neighbor.establishedSlot == nil, let asNumber = asNumber(of: neighbor, remote)
            {
                neighbor.configuration.remoteAS = asNumber
                neighbors[i]!.configuration.remoteAS = asNumber
            }
            negotiated = try self.negotiated(local, remote, neighbor)
        } catch {
            if error == .open(.roleMismatch), let remote = try? OpenMessage(body: body) {
                explainRoles(remote.capabilities.roles, peer, into: &effects)
            }
            run(.openError(error), peer, slot, reason: "sent \(error)", at: now, into: &effects)
            return
        }
        let expects =
            session.machine.state == .openSent
            || session.machine.isDelayOpenTimerRunning
        // RFC 4271 §6.8. Only an OPEN that we wait for can bring a collision about.
        if expects, let other = neighbor[slot.other], let known = other.remoteOpen,
            other.machine.state == .openConfirm && known.identifier == remote.identifier || other.isEstablished
        {
            if other.isEstablished || winner(local: local, remote: remote) != slot {
                run(.openCollisionDump, peer, slot, reason: "lost a collision", at: now, into: &effects)
                return
            }
            run(.openCollisionDump, peer, slot.other, reason: "lost a collision", at: now, into: &effects)
        }
        if expects {
            neighbors[i]![slot]!.localOpen = local
            neighbors[i]![slot]!.remoteOpen = remote
            neighbors[i]![slot]!.negotiated = negotiated
        }
        run(.open(holdTime: negotiated.holdTime), peer, slot, reason: "unexpected OPEN", at: now, into: &effects)
    }

    /// RFC 9234 §4.2: the roles of both ends do not fit. What each of them says, and what can be written here about it.
    private func explainRoles(_ roles: [UInt8], _ peer: PeerIndex, into effects: inout [Effect]) {
        guard let configuration = neighbor(peer)?.configuration else { return }
        let own = configuration.role.map { "we are \($0) here" } ?? "we have no role here"
        let said = "role mismatch: \(own), the neighbor says \(PeeringRole.words(roles))"
        let advice: String
        if roles.count > 1 {
            advice = "it must say one (RFC 9234 §4.2), which is configured there"
        } else if let other = roles.first.flatMap(PeeringRole.init) {
            advice =
                "write role: \(other.counterpart) here"
                + (configuration.role.map { ", or role \($0.counterpart) there" } ?? "")
        } else if let role = configuration.role {
            advice =
                roles.isEmpty
                ? "write role-strict: false here, or role \(role.counterpart) there" : "write role \(role.counterpart) there"
        } else {
            advice = "write a role here"
        }
        event(.warning, peer, "\(said); \(advice)", into: &effects)
    }

    /// RFC 4271 §6.8: the connection that the speaker with the higher identifier opened; with equal ones (RFC 6286 §2.3)
    /// the one of the larger AS.
    private func winner(local: OpenMessage, remote: OpenMessage) -> SessionSlot {
        if local.identifier != remote.identifier { return local.identifier > remote.identifier ? .own : .incoming }
        return local.asNumber > remote.asNumber ? .own : .incoming
    }

    /// Whether both OPENs go together, and what follows.
    func negotiated(
        _ local: OpenMessage, _ remote: OpenMessage, _ neighbor: Neighbor
    ) throws(NotificationMessage) -> NegotiatedSession {
        let kind = kind(neighbor)
        return try NegotiatedSession(
            local: local, remote: remote, remoteAS: neighbor.configuration.remoteAS, isInternal: kind == .internal,
            requiresRole: kind == .external && neighbor.configuration.roleStrict)
    }

    func kind(_ neighbor: Neighbor) -> NeighborKind { configuration?.kind(of: neighbor.configuration) ?? .external }

    /// Of our own AS, or of our confederation (RFC 5065 §5.3).
    func isInternal(_ neighbor: Neighbor) -> Bool { kind(neighbor) != .external }

    /// RFC 7705 in the form that operators know as dual-as: a neighbour that does not know us by the one AS is tried with the
    /// other one.
    private mutating func tryOtherAS(_ peer: PeerIndex, into effects: inout [Effect]) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], neighbor.configuration.localAS?.dualAS == true, neighbor.establishedSlot == nil,
            let configuration, kind(neighbor) == .external
        else { return }
        neighbors[i]!.answersAsRouter.toggle()
        let next = configuration.localAS(towards: neighbor.configuration, answersAsRouter: !neighbor.answersAsRouter)
        event(.notice, peer, "the neighbor refuses our AS; the next attempt is as AS \(next)", into: &effects)
    }

    // MARK: UPDATE

    /// What stays the same for all UPDATEs of one record.
    private struct UpdateSetting {
        var peer: PeerIndex
        var context: UpdateContext
        /// The neighbour's AS when the first AS is checked.
        var firstAS: ASNumber?
        /// Context of the attribute table, without the kind of next hop.
        var key: UInt32
    }

    /// Where the next hop of a set of attributes came from: the key of the attribute table begins with it. Of which family
    /// the routes are does not matter.
    private enum ReachKind: UInt32 {
        case plain = 0
        case multiprotocolIPv4 = 1
        case multiprotocolIPv6 = 2
    }

    /// Takes the UPDATE in `first`, and those that follow it without another message between.
    private mutating func receiveUpdates(
        _ first: RawSpan, then buffer: [UInt8], _ position: inout Int, _ peer: PeerIndex, _ slot: SessionSlot,
        isExtended: Bool, at now: Instant, into effects: inout [Effect]
    ) -> NotificationMessage? {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], let session = neighbor[slot], let negotiated = session.negotiated,
            let configuration
        else { return nil }
        let kind = kind(neighbor), isInternal = kind != .external
        let firstAS = !isInternal && neighbor.configuration.enforceFirstAS ? neighbor.configuration.remoteAS : nil
        var setting = UpdateSetting(
            peer: peer,
            context: UpdateContext(
                routerAS: configuration.routerAS, fourOctetAS: negotiated.fourOctetAS, isInternal: isInternal,
                families: negotiated.families.subtracting(session.disabledFamilies),
                pathIDs: negotiated.receivesPathIDs, ipv6NextHops: negotiated.ipv6NextHops),
            firstAS: firstAS, key: 0)
        if configuration.confederation != nil, isInternal {
            setting.context.confederation = kind == .internal ? .allowed : .leading
        }
        setting.key =
            UInt32(setting.context.attributeKey) | checkedASIndex(firstAS) << (UpdateContext.attributeKeyWidth + 2)
        let fatal = fatalSource(peer, at: now)
        let martians = rib.martians, leaks = rib.leaks, loops = rib.reflectionLoops, extras = rib.extras
        var count: UInt64 = 0, screened = 0
        var worst: AttributeFault?
        var faulty: UInt64 = 0
        var failure: NotificationMessage?
        do {
            var fault = try take(first, fatal, setting, slot, &screened, at: now, into: &effects)
            count += 1
            while true {
                if let found = fault {
                    faulty += 1
                    if worst == nil { worst = found }
                    if case .disableAddressFamily(let family) = found.handling {
                        disable(family, setting.peer, slot, into: &effects)
                        setting.context.families.remove(RouteFamilySet(family))
                    }
                }
                guard buffer.count - position >= MessageHeader.size,
                    let header = try? MessageHeader(buffer.span.bytes, at: position, extended: isExtended),
                    header.type == .update, buffer.count - position >= header.length
                else { break }
                let body = buffer.span.bytes.extracting((position + MessageHeader.size)..<(position + header.length))
                noteMessage()
                fault = try take(body, fatal, setting, slot, &screened, at: now, into: &effects)
                position += header.length
                count += 1
            }
        } catch {
            count += 1
            faulty += 1
            failure = error
        }
        neighbors[i]!.counters.received.updates &+= count
        neighbors[i]!.counters.received.messages &+= count - 1
        neighbors[i]!.counters.malformedUpdates &+= faulty
        if rib.martians > martians {
            neighbors[i]!.counters.martians &+= UInt64(rib.martians - martians)
            event(.warning, peer, "\(rib.martians - martians) announcements of unusable prefixes are ignored", into: &effects)
        }
        if rib.extras > extras {
            neighbors[i]!.counters.beyondLimit &+= UInt64(rib.extras - extras)
            event(.warning, peer, "\(rib.extras - extras) announcements beyond the limit of prefixes are ignored", into: &effects)
        }
        // No event: between two reflectors of one cluster this is how it has to be.
        neighbors[i]!.counters.reflectionLoops &+= UInt64(rib.reflectionLoops - loops)
        if rib.leaks > leaks {
            neighbors[i]!.counters.routeLeaks &+= UInt64(rib.leaks - leaks)
            event(
                .warning, peer, "\(rib.leaks - leaks) announcements are route leaks (RFC 9234) and will not be chosen",
                into: &effects)
        }
        if screened > 0 {
            neighbors[i]!.counters.quarantined &+= UInt64(screened)
            event(
                .warning, peer, "\(screened) announcements were fatal to a controller before and are treated as withdrawn",
                into: &effects)
        }
        resolveNextHops(into: &effects)
        if failure == nil { enforceMaximum(setting.peer, slot, at: now, into: &effects) }
        if let worst {
            // RFC 7606 §6; one line a record, however many there were, so that a flood of faults is no flood of events.
            event(.warning, peer, "malformed UPDATE (\(faulty) in this run): \(worst)", into: &effects)
        }
        return failure
    }

    private mutating func disable(
        _ family: RouteFamily, _ peer: PeerIndex, _ slot: SessionSlot, into effects: inout [Effect]
    ) {
        neighbors[Int(peer.value)]![slot]!.disabledFamilies.insert(RouteFamilySet(family))
        hasFirstRoutesNews = true
        neighbors[Int(peer.value)]!.retention?.forget(family)
        rib.withdrawAll(family, from: peer)
        event(.warning, peer, "\(family) disabled until the session ends (RFC 4760 §7)", into: &effects)
    }

    /// Work on the next message of the record begins: should it be fatal, the gasp says which one it was.
    @inline(__always)
    mutating func noteMessage() {
        if rib.hasMetTrap, trapMessage == 0 { trapMessage = scratch.message }
        scratch.message += 1
        progress.note(UInt64(scratch.message))
    }

    /// One UPDATE, without what was fatal before.
    @inline(__always)
    private mutating func take(
        _ body: RawSpan, _ fatal: (name: UInt64, faults: UInt32)?, _ setting: UpdateSetting, _ slot: SessionSlot,
        _ screened: inout Int, at now: Instant, into effects: inout [Effect]
    ) throws(NotificationMessage) -> AttributeFault? {
        guard let fatal,
            let rest = fatalInputs.screened(
                body, from: fatal.name, faults: fatal.faults, pathIDs: setting.context.pathIDs)
        else {
            return try process(body, setting, slot, at: now, into: &effects)
        }
        screened += max(rest.count, 1)
        if let family = rest.family, !rest.withdrawn.isEmpty, setting.context.families.contains(family) {
            let withdrawn = rest.withdrawn
            rib.withdraw(withdrawn.span.bytes, family, from: setting.peer)
        }
        guard !rest.body.isEmpty else { return nil }
        let left = rest.body
        return try process(left.span.bytes, setting, slot, at: now, into: &effects)
    }

    /// One UPDATE. Returns the fault that it could be taken in spite of.
    private mutating func process(
        _ body: RawSpan, _ setting: UpdateSetting, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]
    ) throws(NotificationMessage) -> AttributeFault? {
        let update = try UpdateMessage(body: body, context: setting.context)
        let peer = setting.peer
        // RFC 7606 §5.3, before anything is done: the fields of NLRI must be read as a whole.
        let hasPathIDs = setting.context.pathIDs.contains(.ipv4Unicast)
        guard IPv4Unicast.isSound(update.withdrawn, hasPathIDs: hasPathIDs),
            IPv4Unicast.isSound(update.nlri, hasPathIDs: hasPathIDs)
        else {
            throw .update(.invalidNetworkField)
        }
        var fault = update.disabling
        var usesReach = update.reachFamily != nil, usesUnreach = update.unreachFamily != nil
        for (family, nlri) in [(update.reachFamily, 0), (update.unreachFamily, 1)] {
            guard let family else { continue }
            let span = nlri == 0 ? update.reachNLRI : update.unreachNLRI
            guard !family.type.isSound(span, hasPathIDs: setting.context.pathIDs.contains(family)) else { continue }
            let found = update.nlriFault(inMultiprotocol: family, context: setting.context)
            if case .sessionReset(let notification) = found.handling { throw notification }
            fault = found
            if update.reachFamily == family { usesReach = false }
            if update.unreachFamily == family { usesUnreach = false }
        }

        let takesIPv4 = setting.context.families.contains(.ipv4Unicast)
        if takesIPv4, !update.withdrawn.isEmpty { rib.withdraw(update.withdrawn, .ipv4Unicast, from: peer) }
        if usesUnreach, let family = update.unreachFamily, !update.unreachNLRI.isEmpty {
            rib.withdraw(update.unreachNLRI, family, from: peer)
        }
        var found: AttributeFault?
        if takesIPv4, !update.nlri.isEmpty {
            if let attributes = try attributes(of: update, .plain, setting, &found) {
                rib.announce(update.nlri, .ipv4Unicast, from: peer, attributes: attributes)
            } else {
                rib.withdraw(update.nlri, .ipv4Unicast, from: peer)
            }
        }
        if usesReach, let family = update.reachFamily, !update.reachNLRI.isEmpty {
            let kind = update.reachNextHop.family == .ipv4 ? ReachKind.multiprotocolIPv4 : .multiprotocolIPv6
            if let attributes = try attributes(of: update, kind, setting, &found) {
                rib.announce(update.reachNLRI, family, from: peer, attributes: attributes)
            } else {
                rib.withdraw(update.reachNLRI, family, from: peer)
            }
        }
        if !update.hasReachableNLRI { try examineWithoutNLRI(update, setting, slot, into: &effects) }
        return fault ?? found
    }

    /// RFC 7606 §5.2, and End-of-RIB.
    private mutating func examineWithoutNLRI(
        _ update: borrowing UpdateMessage, _ setting: UpdateSetting, _ slot: SessionSlot, into effects: inout [Effect]
    ) throws(NotificationMessage) {
        if let family = update.endOfRIB {
            if setting.context.families.contains(family) {
                let i = Int(setting.peer.value)
                if !neighbors[i]![slot]!.completeFamilies.contains(family) {
                    neighbors[i]![slot]!.completeFamilies.insert(RouteFamilySet(family))
                    hasFirstRoutesNews = true
                    event(.info, setting.peer, "\(family): End-of-RIB", into: &effects)
                    finishRestart(setting.peer, family, into: &effects)
                }
            }
            return
        }
        update.gatherBlock(into: &scratch.key)
        guard !scratch.key.isEmpty || update.listFault != nil else { return }
        let block = scratch.key
        let fault = scratch.attributes.decode(
            block: block.span.bytes, context: setting.context, hasReachableNLRI: false)
        if case .sessionReset(let notification) = update.handling(of: fault)?.handling { throw notification }
    }

    /// The attributes for one field of announcements; `nil`: treat it as withdrawn.
    @inline(__always)
    private mutating func attributes(
        of update: borrowing UpdateMessage, _ kind: ReachKind, _ setting: UpdateSetting, _ found: inout AttributeFault?
    ) throws(NotificationMessage) -> AttributeHandle? {
        let context = AttributeContext(setting.key | kind.rawValue << UpdateContext.attributeKeyWidth)
        // A list that was cut short could look like a sound one that was seen before.
        if update.listFault == nil, kind == .plain, update.isBlockContiguous {
            if let known = rib.attributes(forKey: update.block, context: context) { return known }
        }
        var blockAt = 0
        update.gatherBlock(into: &scratch.key)
        if kind != .plain {
            var prefix = ByteWriter(capacity: 33)
            switch update.reachNextHop {
            case .v4(let address): prefix.ipv4(address)
            case .v6(let address): prefix.ipv6(address)
            }
            prefix.ipv6(update.reachLinkLocal ?? .any)
            scratch.key.insert(contentsOf: prefix.bytes, at: 0)
            blockAt = prefix.count
        }
        if update.listFault == nil, kind != .plain || !update.isBlockContiguous {
            if let known = rib.attributes(forKey: scratch.key.span.bytes, context: context) { return known }
        }
        guard try validate(update, kind, blockAt, setting, &found) else { return nil }
        // Local names, so that the views do not hold on to the whole instance.
        let key = scratch.key, canonical = scratch.canonical.bytes
        return rib.insertAttributes(key: key.span.bytes, context: context, canonical: canonical.span.bytes)
    }

    /// Reads the block at `blockAt` of the scratch key and writes its canonical form. False: treat as withdrawn.
    private mutating func validate(
        _ update: borrowing UpdateMessage, _ kind: ReachKind, _ blockAt: Int, _ setting: UpdateSetting,
        _ found: inout AttributeFault?
    ) throws(NotificationMessage) -> Bool {
        let key = scratch.key
        let own = scratch.attributes.decode(
            block: key.span.bytes.extracting(blockAt..<key.count), context: setting.context, hasReachableNLRI: true)
        var fault = update.handling(of: own)
        func note(_ new: AttributeFault) {
            if fault == nil || fault!.handling.strength < new.handling.strength { fault = new }
        }
        if kind == .plain, let missing = update.missingAttribute(in: scratch.attributes) { note(missing) }
        if kind != .plain, !update.reachNextHop.isValidNextHop {
            note(
                AttributeFault(
                    type: .mpReachNLRI, handling: .treatAsWithdraw, reason: "next hop is not a host address",
                    notification: .update(.optionalAttributeError)))
        }
        if let firstAS = setting.firstAS, scratch.attributes.neighborAS != firstAS {
            // RFC 7606 §7.2
            note(
                AttributeFault(
                    type: .asPath, handling: .treatAsWithdraw, reason: "the first AS is not the neighbor's",
                    notification: .update(.malformedASPath)))
        }
        if let fault {
            if found == nil || found!.handling.strength < fault.handling.strength { found = fault }
            switch fault.handling {
            case .attributeDiscard: break
            case .treatAsWithdraw, .disableAddressFamily: return false
            case .sessionReset(let notification): throw notification
            }
        }
        scratch.canonical.bytes.removeAll(keepingCapacity: true)
        switch (kind, update.reachNextHop) {
        case (.multiprotocolIPv4, .v4(let address)): scratch.attributes.setNextHop(address)
        // RFC 4760 §3: NEXT_HOP beside MP_REACH_NLRI is ignored.
        case (.multiprotocolIPv6, _): scratch.attributes.setNextHop(nil)
        default: break
        }
        var reach: MultiprotocolNextHop?
        if kind == .multiprotocolIPv6, case .v6(let address) = update.reachNextHop {
            reach = MultiprotocolNextHop(global: address, linkLocal: update.reachLinkLocal ?? .any)
        }
        scratch.attributes.encode(into: &scratch.canonical, fourOctetAS: true, reach: reach)
        // Two-octet AS numbers take twice the room here: a path that fills an extended message (RFC 8654) fits none any more.
        guard scratch.canonical.bytes.count <= MessageHeader.extendedLengthMaximum else {
            found =
                found
                ?? AttributeFault(
                    type: .asPath, handling: .treatAsWithdraw, reason: "no message has room for it with four-octet numbers",
                    notification: .update(.malformedASPath))
            return false
        }
        return true
    }

    /// The position of an AS in the table of checked ones, plus one; 0 for no check.
    private mutating func checkedASIndex(_ asNumber: ASNumber?) -> UInt32 {
        guard let asNumber else { return 0 }
        if let at = checkedAS.firstIndex(of: asNumber) { return UInt32(at) + 1 }
        checkedAS.append(asNumber)
        return UInt32(checkedAS.count)
    }
}
