import Machine
import Records
import Routing
import Wire

/// Sending what flags ask for (ISO 10589 §7.3.15.3 to §7.3.15.6 and §7.3.17).
extension ISISInstance {
    /// At the end of every record: circuits with LSPs that wait send a burst, unless the last one was too short ago.
    mutating func flush(at now: Instant, into effects: inout [Effect]) {
        for number in circuits.indices {
            guard databases[0].hasUnsent(number) || databases[1].hasUnsent(number) else { continue }
            if timers.isRunning(ISISTimer(.transmit, circuit: UInt16(number))) { continue }
            sendBurst(number, at: now, into: &effects)
        }
    }

    private mutating func sendBurst(_ number: Int, at now: Instant, into effects: inout [Effect]) {
        guard let circuit = circuit(number) else { return }
        var left = Self.burst
        for level in Level.allCases {
            guard circuit.isActive, circuit.levels.contains(level), circuit.hasUp(level) else {
                databases[level.index].clearFlags(number)
                continue
            }
            while left > 0, let slot = databases[level.index].takeUnsent(number, isKept: !circuit.isBroadcast) {
                if sendLSP(slot, level, circuit, at: now, into: &effects) { left -= 1 }
            }
            if !circuit.isBroadcast, databases[level.index].hasSRM(number) { startRetransmission(circuit, level, at: now) }
        }
        timers.set(
            ISISTimer(.transmit, circuit: UInt16(number)),
            at: now + .milliseconds(Int64(max(1, configuration?.lspPacing ?? 10))))
    }

    private mutating func startRetransmission(_ circuit: Circuit, _ level: Level, at now: Instant) {
        let timer = ISISTimer(.retransmit, circuit, level)
        guard !timers.isRunning(timer) else { return }
        timers.set(timer, at: now + .seconds(Int64(max(1, configuration?.lspRetransmit ?? 5))))
    }

    /// Octets of the largest LSP that we make at a level. ISO 10589 §7.3.4.2 wants every link of the level to carry it;
    /// of those that are not ours we know nothing, and have `lspMTU` for them.
    func largestLSP(_ level: Level) -> Int {
        var size = Int(configuration?.lspMTU ?? 0)
        for case let circuit? in circuits where circuit.levels.contains(level) && !circuit.configuration.isPassive {
            size = min(size, circuit.frameOctets)
        }
        return size
    }

    /// - Returns: whether a frame left. An LSP larger than the link can carry stays here (§7.3.15.6 cannot help it), and
    ///   an event tells of it.
    private mutating func sendLSP(
        _ slot: Int, _ level: Level, _ circuit: Circuit, at now: Instant, into effects: inout [Effect]
    ) -> Bool {
        var bytes = databases[level.index].bytes(slot)
        guard !bytes.isEmpty, bytes.count <= circuit.frameOctets else {
            counters.count(.tooLarge)
            databases[level.index].clearSRM(slot, circuit.number)
            let timer = ISISTimer(.tooLarge, circuit)
            if !bytes.isEmpty, !timers.isRunning(timer) {
                timers.set(timer, at: now + .seconds(60))
                let id = databases[level.index].entries[slot].id
                event(
                    .alarm,
                    "\(level) LSP \(id) of \(bytes.count) octets does not fit \(name(circuit)), which carries "
                        + "\(circuit.frameOctets); neighbors there do not get it", into: &effects)
            }
            return false
        }
        let entry = databases[level.index].entries[slot]
        LSPBuilder.setRemainingLifetime(entry.remainingLifetime(at: now), in: &bytes)
        counters.lspsSent &+= 1
        transmit(bytes, circuit, level, into: &effects)
        return true
    }

    /// §7.3.15.6: what a neighbour did not acknowledge goes again.
    mutating func retransmit(_ number: Int, _ level: Level, at now: Instant) {
        guard let circuit = circuit(number), !circuit.isBroadcast, databases[level.index].hasSRM(number) else { return }
        databases[level.index].retransmit(number)
        startRetransmission(circuit, level, at: now)
    }

    /// SRM on every circuit that has a neighbour of the level, except where the LSP came from.
    mutating func flood(_ slot: Int, _ level: Level, except: Int? = nil) {
        for number in circuits.indices where number != except {
            guard let circuit = circuits[number], circuit.isActive, circuit.hasUp(level) else { continue }
            databases[level.index].setSRM(slot, number)
        }
    }

    // MARK: sequence numbers

    func entry(_ slot: Int, _ level: Level, at now: Instant) -> LSPEntry {
        let entry = databases[level.index].entries[slot]
        return LSPEntry(
            id: entry.id, sequenceNumber: entry.sequence, remainingLifetime: entry.remainingLifetime(at: now),
            checksum: entry.isRequested ? 0 : entry.checksum)
    }

    /// §7.3.15.2: the whole database in as many CSNPs as it takes; their ranges join without a gap.
    mutating func sendCSNPs(_ number: Int, _ level: Level, at now: Instant, into effects: inout [Effect]) {
        guard let circuit = circuit(number), circuit.isActive else { return }
        let key = snpKey(level, at: now)
        let room = CSNP.entriesMaximum(size: circuit.frameOctets, authentication: snpAuthentication(level))
        let database = databases[level.index]
        let ignored = ignoredEntries(number, level, at: now)
        var start = LSPID.minimum
        var position = 0, next = 0
        while true {
            var entries: [LSPEntry] = []
            entries.reserveCapacity(min(room, database.count - position + ignored.count - next))
            while position < database.count || next < ignored.count, entries.count < room {
                let slot = position < database.count ? database.slot(at: position) : nil
                let id = slot.map { database.entries[$0].id }
                if next < ignored.count, id.map({ ignored[next].id <= $0 }) ?? true {
                    // In place of the older one that is here.
                    if ignored[next].id == id { position += 1 }
                    entries.append(ignored[next])
                    next += 1
                    continue
                }
                position += 1
                // What is only asked for is not held (sequence number zero).
                if let slot, !database.entries[slot].isRequested { entries.append(entry(slot, level, at: now)) }
            }
            let isLast = position >= database.count && next >= ignored.count
            let end = isLast ? .maximum : entries.last?.id ?? .maximum
            let csnp = CSNP(level: level, source: ownID, start: start, end: end, entries: entries)
            transmit(csnp.encoded(key: key), circuit, level, into: &effects)
            if isLast || end == .maximum { return }
            start = LSPID(raw: end.raw + 1)
        }
    }

    mutating func sendPeriodicCSNP(_ number: Int, _ level: Level, at now: Instant, into effects: inout [Effect]) {
        guard let circuit = circuit(number), circuit.isActive else { return }
        let interval: UInt16
        if circuit.isBroadcast {
            guard circuit.isDesignated(level, by: ownID) else { return }
            interval = circuit.configuration.csnpInterval
        } else {
            interval = circuit.configuration.pointToPointCSNPInterval
            guard interval > 0, circuit.hasUp(level) else { return }
        }
        sendCSNPs(number, level, at: now, into: &effects)
        timers.set(ISISTimer(.csnp, circuit, level), at: now + jittered(.seconds(Int64(max(1, interval)))))
    }

    /// Sets SSN and sees to it that a PSNP follows: after partialSNPInterval, or as soon as one is full.
    mutating func askOrAcknowledge(
        _ slot: Int, _ level: Level, _ circuit: Circuit, at now: Instant, into effects: inout [Effect]
    ) {
        let number = circuit.number
        databases[level.index].setSSN(slot, number)
        if databases[level.index].circuits[number].ssn.count >= psnpRoom(circuit, level) {
            return sendPSNP(number, level, at: now, into: &effects)
        }
        let timer = ISISTimer(.psnp, circuit, level)
        guard !timers.isRunning(timer) else { return }
        timers.set(timer, at: now + jittered(.milliseconds(Int64(max(10, configuration?.psnpInterval ?? 1000)))))
    }

    private func psnpRoom(_ circuit: Circuit, _ level: Level) -> Int {
        PSNP.entriesMaximum(size: circuit.frameOctets, authentication: snpAuthentication(level))
    }

    /// §7.3.15.4: SSN flags become PSNPs: acknowledgements on a point-to-point circuit, requests on a LAN.
    mutating func sendPSNP(_ number: Int, _ level: Level, at now: Instant, into effects: inout [Effect]) {
        guard let circuit = circuit(number), circuit.isActive, databases[level.index].hasSSN(number) else { return }
        timers.cancel(ISISTimer(.psnp, circuit, level))
        // The designated IS has nobody to ask: what it lacks comes with the next flood.
        let isSent = circuit.hasUp(level) && !circuit.isDesignated(level, by: ownID)
        let room = psnpRoom(circuit, level)
        var entries: [LSPEntry] = []
        var from: UInt32 = 0
        while let next = databases[level.index].circuits[number].ssn.next(from: from) {
            from = next + 1
            let slot = Int(next)
            databases[level.index].clearSSN(slot, number)
            entries.append(entry(slot, level, at: now))
            if entries.count == room {
                if isSent { sendPSNP(entries, level, circuit, at: now, into: &effects) }
                entries.removeAll(keepingCapacity: true)
            }
        }
        if isSent, !entries.isEmpty { sendPSNP(entries, level, circuit, at: now, into: &effects) }
    }

    mutating func sendPSNP(
        _ entries: [LSPEntry], _ level: Level, _ circuit: Circuit, at now: Instant, into effects: inout [Effect]
    ) {
        let psnp = PSNP(level: level, source: ownID, entries: entries.sorted { $0.id < $1.id })
        transmit(psnp.encoded(key: snpKey(level, at: now)), circuit, level, into: &effects)
    }
}
