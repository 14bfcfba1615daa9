import Machine
import Records
import Routing
import Wire

/// LSPs of our own: made, repeated, defended, withdrawn (ISO 10589 §7.3.5 to §7.3.9 and §7.3.16).
extension ISISInstance {
    /// Something that our LSPs say may have changed. Changes that come close together make one LSP.
    mutating func scheduleGeneration(_ level: Level, at now: Instant) {
        guard let configuration, configuration.levels.contains(level) else { return }
        let timer = ISISTimer(.generate, level)
        guard !timers.isRunning(timer) else { return }
        timers.set(timer, at: now + originators[level.index].nextDelay(configuration.generation, at: now))
    }

    /// Makes what changed, and nothing else.
    mutating func generate(_ level: Level, at now: Instant, into effects: inout [Effect]) {
        guard let configuration, configuration.levels.contains(level) else { return }
        originators[level.index].ran(at: now)
        let fragments = ownFragments(level, at: now, into: &effects)
        for fragment in fragments {
            let at = originators[level.index].obtain(fragment.id)
            let own = originators[level.index][at]
            if own.exhaustedUntil > now.nanoseconds { continue }
            let hash = bodyHash(fragment)
            if own.bodyHash == hash { continue }
            say(fragment, level, bodyHash: hash, at: now, into: &effects)
        }
        // What we said before and have no more to say is purged: fragments, and pseudonodes of which we resigned
        // (§8.4.5 (c)).
        var next = 0
        while next < originators[level.index].own.count {
            let own = originators[level.index][next]
            if fragments.contains(where: { $0.id.raw == own.rawID }) {
                next += 1
                continue
            }
            withdraw(LSPID(raw: own.rawID), level, at: now)
        }
    }

    private func bodyHash(_ fragment: OwnFragment) -> UInt64 {
        var digest = StateDigest(0x0_5e1f)
        digest.mix(UInt64(fragment.flags.rawValue))
        digest.mix(fragment.body.span.bytes)
        return digest.value | 1
    }

    /// Puts an LSP into the world under the next number.
    private mutating func say(
        _ fragment: OwnFragment, _ level: Level, bodyHash: UInt64, at now: Instant, into effects: inout [Effect]
    ) {
        guard let configuration else { return }
        let index = originators[level.index].obtain(fragment.id)
        let slot = databases[level.index].slot(of: fragment.id)
        let held = slot.map { databases[level.index].entries[$0].sequence } ?? 0
        let (sequence, overflow) = max(held, originators[level.index][index].floor).addingReportingOverflow(1)
        guard !overflow else { return exhaust(fragment.id, level, at: now, into: &effects) }
        let bytes = LSPBuilder.encode(
            level: level, id: fragment.id, sequenceNumber: sequence, remainingLifetime: configuration.lspLifetime,
            flags: fragment.flags, body: fragment.body, key: lspKey(level, at: now))
        let checksum = UInt16(bytes[LSPHeader.checksumPosition]) << 8 | UInt16(bytes[LSPHeader.checksumPosition + 1])
        let result = databases[level.index].install(
            fragment.id, sequence: sequence, checksum: checksum, isPurged: false,
            expiry: now + .seconds(Int64(configuration.lspLifetime)), bytes: bytes)
        originators[level.index].said(index, bodyHash: bodyHash)
        counters.ownLSPsGenerated &+= 1
        // §7.3.7: with jitter, so that the LSPs of a network do not come in waves.
        timers.set(
            ISISTimer(.refresh, level, fragment.id), at: now + jittered(.seconds(Int64(max(1, configuration.lspRefresh)))))
        flood(result.slot, level)
        if result.isNewContent { lspChanged(result.slot, fragment.id, level, at: now) }
    }

    /// maximumLSPGenerationInterval is over: the same content under the next number. No route is calculated for it.
    mutating func refresh(_ level: Level, _ id: LSPID, at now: Instant, into effects: inout [Effect]) {
        guard let index = originators[level.index].index(of: id), let slot = databases[level.index].slot(of: id),
            !databases[level.index].entries[slot].isPurged
        else { return }
        let bytes = databases[level.index].bytes(slot)
        guard let fragment = OwnFragment(id: id, lsp: bytes) else { return }
        counters.ownLSPsRefreshed &+= 1
        say(fragment, level, bodyHash: originators[level.index][index].bodyHash, at: now, into: &effects)
    }

    /// §7.3.16.1: there is no higher number. The LSP dies out everywhere before it begins anew with 1.
    private mutating func exhaust(_ id: LSPID, _ level: Level, at now: Instant, into effects: inout [Effect]) {
        guard let configuration else { return }
        let until = now + .seconds(Int64(configuration.lspLifetime)) + Self.zeroAgeLifetime
        event(.alarm, "\(level) LSP \(id) is out of sequence numbers and silent until it died out", into: &effects)
        let index = originators[level.index].obtain(id)
        // Others have what is newest, which need not be what we hold: a forger's number is above ours, and a purge under
        // ours would be old news.
        let highest = originators[level.index][index].floor
        originators[level.index].exhausted(index, until: until)
        timers.cancel(ISISTimer(.refresh, level, id))
        timers.set(ISISTimer(.exhausted, level, id), at: until + .milliseconds(1))
        guard let slot = databases[level.index].slot(of: id) else { return }
        let entry = databases[level.index].entries[slot]
        if !entry.isPurged || entry.sequence < highest {
            purge(slot, level, receivedFrom: nil, above: highest, at: now)
        }
    }

    private mutating func withdraw(_ id: LSPID, _ level: Level, at now: Instant) {
        guard let index = originators[level.index].index(of: id) else { return }
        originators[level.index].remove(index)
        timers.cancel(ISISTimer(.refresh, level, id))
        timers.cancel(ISISTimer(.exhausted, level, id))
        if let slot = databases[level.index].slot(of: id), !databases[level.index].entries[slot].isPurged {
            purge(slot, level, receivedFrom: nil, at: now)
        }
    }

    /// Everything of ours is taken back, before the protocol or the level ends.
    mutating func withdrawAll(_ level: Level, at now: Instant) {
        while let own = originators[level.index].own.last { withdraw(LSPID(raw: own.rawID), level, at: now) }
    }

    // MARK: keys

    /// LSPs of ours that are out were signed with the key before, which others accept for a while yet. All are said again under
    /// the new one at once: a router that hears one later, from whomever, may accept nothing else by then.
    mutating func signAnew(_ level: Level, at now: Instant, into effects: inout [Effect]) {
        awaitNextKey(level, at: now)
        guard configuration?.levels.contains(level) == true else { return }
        originators[level.index].invalidate()
        generate(level, at: now, into: &effects)
    }

    mutating func awaitNextKey(_ level: Level, at now: Instant) {
        guard let next = lspAuthentication(level)?.chain.nextChange(after: now) else {
            return timers.cancel(ISISTimer(.key, level))
        }
        timers.set(ISISTimer(.key, level), at: next)
    }

    // MARK: ends

    /// §7.3.16.4: zero remaining lifetime, flooded everywhere and remembered for ZeroAgeLifetime.
    ///
    /// - Parameter number: a sequence number that others have; the purge's is not below it.
    mutating func purge(
        _ slot: Int, _ level: Level, receivedFrom: SystemID?, above number: UInt32 = 0, at now: Instant
    ) {
        var entry = databases[level.index].entries[slot]
        entry.sequence = max(entry.sequence, number)
        let originator = configuration?.purgeOriginator == true ? configuration?.systemID : nil
        let bytes = LSPBuilder.purge(
            level: level, id: entry.id, sequenceNumber: entry.sequence, originator: originator, receivedFrom: receivedFrom,
            hostname: configuration?.hostname ?? "", key: lspKey(level, at: now))
        let checksum = UInt16(bytes[LSPHeader.checksumPosition]) << 8 | UInt16(bytes[LSPHeader.checksumPosition + 1])
        counters.purges &+= 1
        let result = databases[level.index].install(
            entry.id, sequence: entry.sequence, checksum: checksum, isPurged: true, expiry: now + Self.zeroAgeLifetime,
            bytes: bytes)
        flood(result.slot, level)
        if result.isNewContent { lspChanged(result.slot, entry.id, level, at: now) }
    }

    /// A lifetime is over, or a purge was remembered long enough.
    mutating func expire(_ slot: Int, _ level: Level, at now: Instant, into effects: inout [Effect]) {
        let entry = databases[level.index].entries[slot]
        if entry.isPurged || entry.isRequested {
            // The end of one of ours that a point-to-point neighbour has not acknowledged: should it be forgotten here,
            // the neighbour holds what it purges for the rest of that lifetime, and no CSNP tells of it.
            if entry.isPurged, entry.id.system == ownID, databases[level.index].isSRMAnywhere(slot) {
                return databases[level.index].setExpiry(slot, now + Self.zeroAgeLifetime)
            }
            return databases[level.index].remove(slot)
        }
        if originators[level.index].owns(entry.id) { return refresh(level, entry.id, at: now, into: &effects) }
        event(.info, "\(level) LSP \(entry.id) expired", into: &effects)
        purge(slot, level, receivedFrom: nil, at: now)
    }

    // MARK: overload (§7.2.8.1)

    func isOverloaded(_ level: Level) -> Bool {
        configuration?.overload.isSet == true || overloadReasons & 1 != 0 || overloadReasons & level.rawValue << 1 != 0
    }

    /// - Parameter reason: a bit of `overloadReasons`.
    mutating func setOverload(_ reason: UInt8, at now: Instant) {
        overloadReasons |= reason
        for level in Level.allCases { scheduleGeneration(level, at: now) }
    }

    /// - Parameter which: 0 for the start, else the level whose database was full.
    mutating func endOverload(_ which: UInt8, at now: Instant) {
        overloadReasons &= ~(which == 0 ? 1 : which << 1)
        for level in Level.allCases { scheduleGeneration(level, at: now) }
    }
}

/// What one own LSP says, before it has a number and a signature.
struct OwnFragment: Sendable, Hashable {
    var id: LSPID
    var flags: LSPHeader.Flags
    /// TLVs without authentication.
    var body: [UInt8]

    init(id: LSPID, flags: LSPHeader.Flags, body: [UInt8]) {
        self.id = id
        self.flags = flags
        self.body = body
    }

    /// What an LSP of ours says.
    init?(id: LSPID, lsp: [UInt8]) {
        guard lsp.count >= LSPHeader.length else { return nil }
        self.id = id
        flags = LSPHeader.Flags(rawValue: lsp[LSPHeader.length - 1])
        body = []
        body.reserveCapacity(lsp.count)
        var at = LSPHeader.length
        while at + 2 <= lsp.count {
            let end = at + 2 + Int(lsp[at + 1])
            guard end <= lsp.count else { return nil }
            if lsp[at] != TLVCode.authentication { body.append(contentsOf: lsp[at..<end]) }
            at = end
        }
    }
}
