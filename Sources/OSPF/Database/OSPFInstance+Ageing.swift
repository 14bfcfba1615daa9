import Machine
import Records
import Routing
import Wire

/// RFC 2328 §14 and §12.4's refresh: LSAs grow old, ours are made anew, and what is at MaxAge leaves the database.
extension OSPFInstance {
    /// What the wheel says is due: refreshes of our own LSAs, and the end of others'.
    mutating func fireAges(at now: Instant, into effects: inout [Effect]) {
        while let handle = database.wheel.popDue(at: now) {
            guard let entry = database[handle] else { continue }
            if entry.isOwn, !entry.lsa.header.isMaxAge {
                refresh(handle, at: now, into: &effects)
                continue
            }
            if entry.lsa.header.isMaxAge {
                // A successor of an own LSA waits for the flush; `removeFlushed` makes it.
                continue
            }
            if entry.lsa.header.age & LSAHeader.doNotAge != 0 {
                // RFC 1793 §2.3: one that never grows old goes once it is here for MaxAge and its originator could not be
                // reached for as long: not now, and not the last time that it was looked at. (`haste` says so; of an LSA
                // of somebody else it says nothing else.)
                let isLost = !isOriginatorReachable(entry)
                if isLost, entry.haste > 0 {
                    flushNow(handle, at: now, into: &effects)
                } else {
                    database.setHaste(handle, isLost ? 1 : 0)
                    database.setDue(handle, at: now + .seconds(Int(LSAHeader.maxAge)))
                }
                continue
            }
            let age = entry.age(at: now)
            guard age >= LSAHeader.maxAge else {
                database.setDue(handle, at: now + .seconds(Int(LSAHeader.maxAge - age)))
                continue
            }
            // §14: it is flooded again when it reaches MaxAge, so that all drop it together.
            flushNow(handle, at: now, into: &effects)
        }
    }

    private func isOriginatorReachable(_ entry: LSDB.Entry) -> Bool {
        let router = entry.lsa.key.advertisingRouter
        switch entry.database.scope {
        case .link:
            let link = InterfaceID(UInt16(truncatingIfNeeded: entry.database.number))
            return interface(link)?.neighbors.contains { neighbor($0)?.routerID == router } ?? false
        case .area: return decision.calculation.isReachable(router, in: entry.database.number)
        case .autonomousSystem:
            return decision.calculation.isReachable(router, in: nil) || decision.calculation.boundaryRouter(router) != nil
        }
    }

    /// §14.1: sets the age to MaxAge and floods, our own or one whose time is over.
    mutating func flushNow(_ handle: LSAHandle, at now: Instant, into effects: inout [Effect]) {
        guard let entry = database[handle], !entry.lsa.header.isMaxAge else { return }
        takeOffRetransmissionLists(handle)
        database.setMaxAge(handle, at: now)
        let link = InterfaceID(UInt16(truncatingIfNeeded: entry.database.number))
        if !entry.isOwn, entry.lsa.key.type == .link, let interface = interface(link) {
            dirty.link(link, area: interface.areaID)
        }
        flood(handle, from: nil, on: nil, isTopologyChange: true, at: now, into: &effects)
        beginFlush(handle)
    }

    /// An LSA is at MaxAge now and goes when §14 lets it.
    mutating func beginFlush(_ handle: LSAHandle) {
        guard database.beginFlush(handle) else { return }
        flushing.append(handle)
        mayRemove = true
    }

    /// §14: an LSA of MaxAge goes when it is on no retransmission list and no neighbour is in Exchange or Loading.
    mutating func removeFlushed(at now: Instant, into effects: inout [Effect]) {
        mayRemove = false
        guard exchanging == 0, !flushing.isEmpty else { return }
        var kept: [LSAHandle] = []
        var successors: [WantedLSA] = []
        for handle in flushing {
            guard let entry = database[handle], entry.isFlushing else { continue }
            guard entry.lsa.header.isMaxAge else {
                database.endFlush(handle)
                continue
            }
            guard entry.retransmissions == 0 else {
                kept.append(handle)
                continue
            }
            if let pending = entry.pending {
                successors.append(
                    WantedLSA(database: entry.database, key: entry.lsa.key, options: pending.options, body: pending.body))
            }
            timers.cancel(OSPFTimer(.successor, handle.raw))
            database.remove(handle)
        }
        flushing = kept
        guard !successors.isEmpty else { return }
        // §12.1.6: the old instance with MaxSequenceNumber is gone everywhere, so the sequence begins anew.
        for wanted in successors { want(wanted, at: now, into: &effects) }
        sendFloodQueues(at: now, into: &effects)
    }

    /// Removes LSAs without telling anybody: their link or area is no longer ours, or of another kind.
    mutating func forget(_ handles: [LSAHandle]) {
        guard !handles.isEmpty else { return }
        var isFlushing = false
        for handle in handles {
            takeOffRetransmissionLists(handle)
            if database[handle]?.isFlushing == true { isFlushing = true }
            timers.cancel(OSPFTimer(.successor, handle.raw))
            database.remove(handle)
        }
        if isFlushing { flushing = flushing.filter { database[$0] != nil } }
    }
}
