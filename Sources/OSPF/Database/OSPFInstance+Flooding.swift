import Machine
import Records
import Routing
import Wire

/// RFC 2328 §13: the flooding procedure.
extension OSPFInstance {
    /// The database into which an LSA of this type goes that is received on the interface.
    func databaseID(of type: LSAType, on interface: OSPFInterface) -> DatabaseID? {
        switch type.scope(in: version) {
        case .link: .link(interface.id.value)
        case .area: .area(interface.areaID)
        case .autonomousSystem: .autonomousSystem
        case nil: nil
        }
    }

    /// Whether LSAs of a database are told on an interface.
    func belongs(_ id: DatabaseID, on interface: OSPFInterface) -> Bool {
        switch id.scope {
        case .link: id.number == UInt32(interface.id.value)
        case .area: id.number == interface.areaID
        case .autonomousSystem: areaKind(interface.areaID).importsExternals
        }
    }

    func areaKind(_ area: UInt32) -> OSPFAreaKind { configuration?.area(IPv4Address(raw: area)).kind ?? .normal }

    /// RFC 5250 §3.1: opaque LSAs go only to neighbours that said the O-bit. OSPFv3 tells everything.
    func understands(_ neighbor: OSPFNeighbor, _ type: LSAType) -> Bool {
        version == .v3 || !type.isOpaque || neighbor.options & 0x40 != 0
    }

    /// RFC 2328 §13 (2) and (3), RFC 3101 §2.2, RFC 5250 §3.1, RFC 5340 §4.5.1: whether an LSA of this type may come
    /// into the area at all.
    func isAllowed(_ type: LSAType, in area: UInt32) -> OSPFDrop? {
        guard let scope = type.scope(in: version) else { return .lsaType }
        let kind = areaKind(area)
        if scope == .autonomousSystem, !kind.importsExternals { return .lsaScope }
        if type == .nssa || type == .nssaV3, !kind.isNSSA { return .lsaScope }
        return nil
    }

    // MARK: §13 receiving

    /// One LSA of a Link State Update.
    mutating func receive(
        _ lsa: LSA, from index: NeighborIndex, on id: InterfaceID, at now: Instant, into effects: inout [Effect]
    ) {
        guard let interface = interface(id), let neighbor = neighbor(index) else { return }
        interfaces[Int(id.value)]?.counters.lsasReceived &+= 1
        // (1)
        guard lsa.isChecksumValid else { return drop(.lsaChecksum, on: id) }
        // Neither installed nor flooded nor acknowledged, as if it were damaged. What is said in our own name is
        // fought like any other forgery (§13.4), so that it goes from where it was believed.
        let isUnsound = !lsa.header.isSound(version: version)
        if isUnsound, lsa.header.sequence == Int32.min || lsa.key.advertisingRouter != routerID {
            return drop(.lsaScope, on: id)
        }
        // (2), (3)
        let type = lsa.key.type
        if let reason = isAllowed(type, in: interface.areaID) { return drop(reason, on: id) }
        guard let database = databaseID(of: type, on: interface) else { return drop(.lsaType, on: id) }
        let handle = self.database.handle(of: lsa.key, in: database)
        let old = handle.flatMap { self.database[$0] }

        // (4)
        if old == nil, lsa.header.isMaxAge, exchanging == 0 {
            directAcknowledgements.append((index, lsa.header))
            return
        }

        let recency: LSAHeader.Recency = old.map { lsa.header.recency(against: $0.header(at: now)) } ?? .newer
        switch recency {
        case .newer:
            // (5) (a): an instance is not taken sooner than MinLSArrival after one that was flooded. One that was asked
            // for in the exchange may be followed at once by what its originator says of the new adjacency.
            if let old, old.wasFlooded, !old.lsa.header.isMaxAge,
                now < old.installed + .milliseconds(Int(configuration?.lsaTimers.minimumArrival ?? 1000))
            {
                return drop(.lsaTooSoon, on: id)
            }
            // The calculation looks into the body when its time has come, on both controllers. Looked into here, while only
            // one of them does, an LSA that is fatal is known by its own record. One that cannot be read is kept and
            // flooded all the same: others may know what it means.
            if !lsa.header.isMaxAge, !lsa.isReadable(version: version, family: configuration?.family ?? .ipv4) {
                drop(.lsaBody, on: id)
            }
            let isOwn = isSelfOriginated(lsa.key)
            if old == nil, !isOwn, self.database.foreignCount >= Int(configuration?.limits.lsasMaximum ?? .max) {
                tellOverflow(at: now, into: &effects)
                return drop(.databaseFull, on: id)
            }
            // (5) (b), (c), (d): flooding looks at the request lists before the new instance takes the old one's place
            // on the retransmission lists; handles stay, so both happen to one handle.
            if let handle { takeOffRetransmissionLists(handle) }
            let installed = install(lsa, in: database, isOwn: isOwn, at: now)
            self.database.setFlooded(installed.handle, neighbor.requests.header(of: lsa.key) == nil)
            // RFC 5340 §4.4.3.9: the DR tells the prefixes of the link, from the link LSAs.
            if installed.isChange, type == .link { dirty.link(id, area: interface.areaID) }
            let isFloodedBack = flood(
                installed.handle, from: index, on: id, isTopologyChange: installed.isChange, at: now, into: &effects)
            // (5) (f)
            let isAnswered = isOwn ? defend(installed.handle, old, at: now, into: &effects) : false
            // (5) (e), §13.5. A newer instance, or the end of this one, is the answer to one of ours: an acknowledgement
            // that comes after it would take a second copy off the neighbour's list that we have not seen.
            if !isFloodedBack, !isAnswered {
                acknowledge(lsa.header, isDuplicate: false, from: neighbor, index, on: id, at: now)
            }
            heardGraceLSA(lsa, from: index, at: now, into: &effects)
        case .same, .older:
            // (6): the neighbour described a newer instance than it sends.
            if neighbor.requests.header(of: lsa.key) != nil {
                return neighborEvent(.badLSReq, index, at: now, into: &effects)
            }
            guard let handle, let old else { return }
            if recency == .same {
                // (7)
                drop(.lsaDuplicate, on: id)
                if removeRetransmission(handle, index) {
                    acknowledge(lsa.header, isDuplicate: true, from: neighbor, index, on: id, at: now)
                } else {
                    directAcknowledgements.append((index, lsa.header))
                }
                return
            }
            // (8)
            drop(.lsaOlder, on: id)
            let copy = old.header(at: now)
            if copy.isMaxAge, copy.sequence == LSAHeader.maxSequence { return }
            // Not sooner than MinLSArrival after the last answer of this kind; what a neighbour sends in bulk then gets
            // one.
            let minimum = Duration.milliseconds(Int(configuration?.lsaTimers.minimumArrival ?? 1000))
            if now < old.answered + minimum, old.answered != .zero { return }
            self.database.noteAnswer(handle, at: now)
            sendUpdate([handle], to: index, at: now, into: &effects)
        }
    }

    private mutating func tellOverflow(at now: Instant, into effects: inout [Effect]) {
        let timer = OSPFTimer(.overflow)
        guard !timers.isRunning(timer) else { return }
        timers.set(timer, at: now + .seconds(60))
        let count = database.foreignCount
        event(.alarm, "the database is full with \(count) LSAs of other routers; new ones are refused", into: &effects)
    }

    /// §13.2, and §14's due time.
    mutating func install(
        _ lsa: LSA, in id: DatabaseID, isOwn: Bool, at now: Instant
    ) -> (handle: LSAHandle, isChange: Bool) {
        let header = lsa.header
        let isEternal = header.age & LSAHeader.doNotAge != 0
        let left = Int(LSAHeader.maxAge) - Int(header.effectiveAge)
        let due = isEternal ? now + .seconds(Int(LSAHeader.maxAge)) : now + .seconds(left)
        let result = database.install(lsa, in: id, isOwn: isOwn, at: now, due: due)
        if header.isMaxAge {
            database.stopAgeing(result.handle)
            beginFlush(result.handle)
        }
        return result
    }

    // MARK: §13.3

    /// Floods an LSA out of all interfaces where it belongs.
    ///
    /// - Parameters:
    ///   - index: from whom it came, on `received`; `nil` for our own.
    ///   - isTopologyChange: RFC 3623 §3.2's question: whether the content is new.
    /// - Returns: whether it went out of the interface on which it came.
    @discardableResult
    mutating func flood(
        _ handle: LSAHandle, from index: NeighborIndex?, on received: InterfaceID?, isTopologyChange: Bool,
        at now: Instant, into effects: inout [Effect]
    ) -> Bool {
        guard let entry = database[handle] else { return false }
        let header = entry.header(at: now)
        var isFloodedBack = false
        for i in interfaces.indices {
            guard let interface = interfaces[i], interface.speaks, belongs(entry.database, on: interface) else { continue }
            var isOnAList = false
            // (1)
            for other in interface.neighbors {
                let o = Int(other.value)
                guard let state = neighbors[o]?.state, state >= .exchange else { continue }
                // (1) (b): the exchange may ask for it still.
                if state != .full, let wanted = neighbors[o]?.requests.header(of: header.key) {
                    switch header.recency(against: wanted) {
                    case .older: continue
                    case .same:
                        neighbors[o]?.requests.remove(header.key)
                        requestsMoved(other, at: now, into: &effects)
                        continue
                    case .newer:
                        neighbors[o]?.requests.remove(header.key)
                        requestsMoved(other, at: now, into: &effects)
                    }
                }
                // (1) (c)
                if other == index { continue }
                // RFC 5250 §3.1
                if let neighbor = neighbors[o], !understands(neighbor, header.key.type) { continue }
                // (1) (d)
                addRetransmission(handle, other, at: now)
                isOnAList = true
                if isTopologyChange, neighbors[o]?.graceDeadline != nil {
                    topologyChanged(header.key, for: other, at: now, into: &effects)
                }
            }
            // (2)
            guard isOnAList else { continue }
            if interface.id == received {
                // (3)
                if let index, let sender = neighbor(index), interface.isBroadcast {
                    let identity = identity(of: sender)
                    if identity != 0, identity == interface.dr || identity == interface.bdr { continue }
                }
                // (4)
                if interface.state == .backup { continue }
                isFloodedBack = true
            }
            // (5)
            queueFlood(handle, on: i)
        }
        return isFloodedBack
    }

    private mutating func queueFlood(_ handle: LSAHandle, on i: Int) {
        guard let id = interfaces[i]?.id else { return }
        if interfaces[i]?.floodQueue.isEmpty == true { floodedInterfaces.append(id) }
        interfaces[i]?.floodQueue.append(handle)
        interfaces[i]?.counters.lsasFlooded &+= 1
    }

    /// Sends what the present input put into the queues, in as few packets as it fits in.
    mutating func sendFloodQueues(at now: Instant, into effects: inout [Effect]) {
        guard !floodedInterfaces.isEmpty else { return }
        let waiting = floodedInterfaces
        floodedInterfaces.removeAll(keepingCapacity: true)
        for id in waiting {
            let queue = interfaces[Int(id.value)]?.floodQueue ?? []
            interfaces[Int(id.value)]?.floodQueue.removeAll(keepingCapacity: true)
            guard let interface = interface(id) else { continue }
            sendUpdates(queue, on: id, to: floodDestination(interface), at: now, into: &effects)
        }
    }

    /// §13.3 (5), §8.1, RFC 5340 §4.5.2.
    func floodDestination(_ interface: OSPFInterface) -> IPAddress {
        let toAll = !interface.isBroadcast || interface.state == .dr || interface.state == .backup
        if version == .v2 { return toAll ? Self.allSPFRouters : Self.allDRouters }
        return toAll ? Self.allSPFRoutersV6 : Self.allDRoutersV6
    }

    // MARK: §13.6 retransmission lists

    mutating func addRetransmission(_ handle: LSAHandle, _ index: NeighborIndex, at now: Instant) {
        let i = Int(index.value)
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        let due = now + .seconds(Int(interface.configuration.retransmitInterval))
        let wasEmpty = neighbor.retransmissions.isEmpty
        if neighbors[i]?.retransmissions.insert(handle, due: due) == true { database.retain(handle) }
        if wasEmpty { timers.set(OSPFTimer(.retransmission, index.value), at: due) }
    }

    /// - Returns: whether the LSA was on the list.
    mutating func removeRetransmission(_ handle: LSAHandle, _ index: NeighborIndex) -> Bool {
        guard neighbors[Int(index.value)]?.retransmissions.remove(handle) == true else { return false }
        database.release(handle)
        if database[handle]?.retransmissions == 0 { mayRemove = true }
        if neighbors[Int(index.value)]?.retransmissions.isEmpty == true {
            timers.cancel(OSPFTimer(.retransmission, index.value))
        }
        return true
    }

    /// §13 (5) (c): a new instance makes the wait for the old one's acknowledgement pointless.
    mutating func takeOffRetransmissionLists(_ handle: LSAHandle) {
        guard let count = database[handle]?.retransmissions, count > 0 else { return }
        for i in neighbors.indices where neighbors[i]?.retransmissions.contains(handle) == true {
            _ = removeRetransmission(handle, NeighborIndex(UInt32(i)))
        }
    }

    mutating func retransmissionTimer(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(index.value)
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        // Bounded per firing: a neighbour that lags behind gets a window of its list, then waits (§13.6 leaves the pace
        // to us).
        var handles: [LSAHandle] = []
        let again = now + .seconds(Int(interface.configuration.retransmitInterval))
        while handles.count < Self.retransmitWindow,
            let handle = neighbors[i]?.retransmissions.takeDue(at: now, again: again)
        {
            handles.append(handle)
        }
        if !handles.isEmpty {
            interfaces[Int(neighbor.interface.value)]?.counters.lsasRetransmitted &+= UInt64(handles.count)
            sendUpdate(handles, to: index, at: now, into: &effects)
        }
        if let due = neighbors[i]?.retransmissions.nextDue() {
            timers.set(OSPFTimer(.retransmission, index.value), at: max(due, now + .milliseconds(50)))
        }
    }

    static let retransmitWindow = 256
}
