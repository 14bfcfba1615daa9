import Machine
import Records
import Routing
import Wire

/// RFC 2328 §12.4: our own LSAs. What they say is the decision's; when they are made is here.
extension OSPFInstance {
    /// §12.4 and §13.4: whether this router is (or was) the originator.
    func isSelfOriginated(_ key: LSAKey) -> Bool {
        if key.advertisingRouter == routerID { return true }
        // §13.4: an OSPFv2 network LSA is ours by the address that it is about, too: our Router ID may have changed.
        guard version == .v2, key.type == .network else { return false }
        return interfaces.contains { $0?.primary?.address.raw == key.linkStateID }
    }

    /// How long after an instance of ours the next one may follow: MinLSArrival and a little for what the way takes,
    /// doubled by each change that follows another, up to MinLSInterval.
    private func wait(after entry: LSDB.Entry) -> Duration {
        guard let settings = configuration?.lsaTimers else { return .zero }
        let first = Int(settings.minimumArrival) + 50
        return .milliseconds(min(first << Int(min(entry.haste, 8)), Int(settings.minimumInterval)))
    }

    /// Notes that a new instance says something else than the one before.
    private mutating func noteChange(_ handle: LSAHandle, _ old: LSDB.Entry, at now: Instant) {
        let quiet = Duration.milliseconds(2 * Int(configuration?.lsaTimers.minimumInterval ?? 5000))
        database.setHaste(handle, now - old.installed >= quiet ? 0 : min(old.haste + 1, 8))
    }

    /// When an LSA that is made now is refreshed: before LSRefreshTime by up to a tenth of it, so that what was made
    /// together is not refreshed together.
    private mutating func refreshTime(at now: Instant) -> Instant {
        now + jittered(.seconds(Int(configuration?.lsaTimers.refreshInterval ?? 1800)))
    }

    /// Makes an LSA, or changes it, as soon as its timers allow. What says the same already is left alone.
    mutating func want(_ wanted: WantedLSA, at now: Instant, into effects: inout [Effect]) {
        guard let handle = database.handle(of: wanted.key, in: wanted.database), let entry = database[handle] else {
            return originate(wanted, sequence: LSAHeader.initialSequence, at: now, into: &effects)
        }
        let content = LSDB.Pending(options: wanted.options, body: wanted.body)
        if entry.isOwn, !entry.lsa.header.isMaxAge, content.matches(entry.lsa) {
            // §12.4: nothing changed; a change that waited and was taken back goes.
            forgetSuccessor(handle)
            return
        }
        let due = entry.installed + wait(after: entry)
        if !entry.isOwn || now >= due {
            succeed(handle, content, at: now, into: &effects)
            if entry.isOwn { noteChange(handle, entry, at: now) }
        } else {
            // §12.4: not within MinLSInterval of the instance before.
            database.setPending(handle, content)
            if !entry.lsa.header.isMaxAge || entry.lsa.header.sequence < LSAHeader.maxSequence {
                timers.set(OSPFTimer(.successor, handle.raw), at: due)
            }
        }
    }

    /// A change that waited is not wanted any more, or was made.
    mutating func forgetSuccessor(_ handle: LSAHandle) {
        database.setPending(handle, nil)
        timers.cancel(OSPFTimer(.successor, handle.raw))
    }

    mutating func successorTimer(_ handle: LSAHandle, at now: Instant, into effects: inout [Effect]) {
        guard let entry = database[handle], entry.isOwn, let content = entry.pending else { return }
        succeed(handle, content, at: now, into: &effects)
        noteChange(handle, entry, at: now)
    }

    /// Ends an LSA of ours (§14.1).
    mutating func unwant(_ key: LSAKey, in id: DatabaseID, at now: Instant, into effects: inout [Effect]) {
        guard let handle = database.handle(of: key, in: id), database[handle]?.isOwn == true else { return }
        forgetSuccessor(handle)
        flushNow(handle, at: now, into: &effects)
    }

    /// The instance after the one in the database.
    private mutating func succeed(
        _ handle: LSAHandle, _ content: LSDB.Pending, at now: Instant, into effects: inout [Effect]
    ) {
        guard let entry = database[handle] else { return }
        let sequence = entry.lsa.header.sequence
        guard sequence < LSAHeader.maxSequence else {
            // §12.1.6: the last sequence number there is. The LSA is flushed first, and begins anew once all have seen
            // that.
            database.setPending(handle, content)
            flushNow(handle, at: now, into: &effects)
            return
        }
        let wanted = WantedLSA(
            database: entry.database, key: entry.lsa.key, options: content.options, body: content.body)
        originate(wanted, sequence: sequence + 1, at: now, into: &effects)
    }

    private mutating func originate(
        _ wanted: WantedLSA, sequence: Int32, at now: Instant, into effects: inout [Effect]
    ) {
        guard wanted.body.count <= Int(UInt16.max) - LSAHeader.size else { return }
        let lsa = LSA(
            version: version, key: wanted.key, options: wanted.options, sequence: sequence, age: 0, body: wanted.body)
        if let handle = database.handle(of: wanted.key, in: wanted.database) { takeOffRetransmissionLists(handle) }
        let due = refreshTime(at: now)
        let result = database.install(lsa, in: wanted.database, isOwn: true, at: now, due: due)
        forgetSuccessor(result.handle)
        database.setFlooded(result.handle, false)
        flood(result.handle, from: nil, on: nil, isTopologyChange: result.isChange, at: now, into: &effects)
    }

    /// An own LSA's time has come: a change that waited, or the refresh of §12.4 (1).
    mutating func refresh(_ handle: LSAHandle, at now: Instant, into effects: inout [Effect]) {
        guard let entry = database[handle] else { return }
        let same = LSDB.Pending(options: entry.lsa.header.options, body: Array(entry.lsa.octets[LSAHeader.size...]))
        succeed(handle, entry.pending ?? same, at: now, into: &effects)
    }

    /// What we say of ourselves, again and under a number above one that somebody else used.
    mutating func outbid(_ handle: LSAHandle, _ sequence: Int32, at now: Instant, into effects: inout [Effect]) {
        guard let entry = database[handle], entry.isOwn, !entry.lsa.header.isMaxAge else { return }
        let highest = max(sequence, entry.lsa.header.sequence)
        guard highest < LSAHeader.maxSequence else { return }
        let content =
            entry.pending
            ?? LSDB.Pending(options: entry.lsa.header.options, body: Array(entry.lsa.octets[LSAHeader.size...]))
        let wanted = WantedLSA(database: entry.database, key: entry.lsa.key, options: content.options, body: content.body)
        originate(wanted, sequence: highest + 1, at: now, into: &effects)
    }

    /// §13.4: an instance of an own LSA came that we did not make: from a former life, or forged.
    ///
    /// - Parameter old: what it took the place of.
    /// - Returns: whether something that is more recent was flooded.
    mutating func defend(
        _ handle: LSAHandle, _ old: LSDB.Entry?, at now: Instant, into effects: inout [Effect]
    ) -> Bool {
        guard let entry = database[handle] else { return false }
        var wanted = old?.pending
        if wanted == nil, let old, old.isOwn, !old.lsa.header.isMaxAge {
            wanted = LSDB.Pending(options: old.lsa.header.options, body: Array(old.lsa.octets[LSAHeader.size...]))
        }
        guard let wanted else {
            flushNow(handle, at: now, into: &effects)
            return !entry.lsa.header.isMaxAge
        }
        if entry.lsa.header.isMaxAge, entry.lsa.header.sequence == LSAHeader.maxSequence {
            database.setPending(handle, wanted)
            return false
        }
        succeed(handle, wanted, at: now, into: &effects)
        // What claims to be the next one is heard no sooner than MinLSArrival from here (§13 (5) (a)): a forger
        // cannot have us answer faster than that.
        database.setFlooded(handle, true)
        return true
    }
}
