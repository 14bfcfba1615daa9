import Machine
import Records
import Routing
import Wire

/// Sequence numbers PDUs as they come in (ISO 10589 §7.3.15.2).
extension ISISInstance {
    mutating func receive(
        _ csnp: CSNP, _ pdu: RawSpan, from station: MACAddress, on circuit: Circuit, at now: Instant,
        into effects: inout [Effect]
    ) {
        let level = csnp.level
        guard neighbor(station, circuit, level) != nil else { return counters.count(.noAdjacency) }
        guard Authentication.verify(pdu, with: snpAuthentication(level), at: now).isAccepted else {
            return counters.count(.authentication)
        }
        guard csnp.start <= csnp.end else { return counters.count(.malformed) }
        for entry in csnp.entries where entry.id >= csnp.start && entry.id <= csnp.end {
            compare(entry, level, circuit, at: now, into: &effects)
        }
        // (c): what lies in the range and is not told of, the neighbour does not have.
        var told = csnp.entries.map(\.id)
        if !zip(told, told.dropFirst()).allSatisfy({ $0 < $1 }) { told.sort() }
        var next = 0
        var position = databases[level.index].position(of: csnp.start)
        while position < databases[level.index].count {
            let slot = databases[level.index].slot(at: position)
            let entry = databases[level.index].entries[slot]
            guard entry.id <= csnp.end else { break }
            position += 1
            while next < told.count, told[next] < entry.id { next += 1 }
            if next < told.count, told[next] == entry.id { continue }
            // A purge would be news to nobody.
            if !entry.isRequested, !entry.isPurged, entry.remainingLifetime(at: now) > 0 {
                databases[level.index].setSRM(slot, circuit.number)
            }
        }
    }

    mutating func receive(
        _ psnp: PSNP, _ pdu: RawSpan, from station: MACAddress, on circuit: Circuit, at now: Instant,
        into effects: inout [Effect]
    ) {
        let level = psnp.level
        guard neighbor(station, circuit, level) != nil else { return counters.count(.noAdjacency) }
        guard Authentication.verify(pdu, with: snpAuthentication(level), at: now).isAccepted else {
            return counters.count(.authentication)
        }
        // (a) (4): on a LAN they are for the designated IS.
        guard !circuit.isBroadcast || circuit.isDesignated(level, by: ownID) else { return counters.count(.notDesignated) }
        for entry in psnp.entries { compare(entry, level, circuit, at: now, into: &effects) }
    }

    /// LSPs that are asked for at a time: a quarter of those that may be held, and 8192 at most.
    private var requestedMaximum: Int { min(Int(configuration?.limits.lsps ?? 0) / 4, 8192) }

    /// (b): what a neighbour says it has, against what we have.
    private mutating func compare(
        _ entry: LSPEntry, _ level: Level, _ circuit: Circuit, at now: Instant, into effects: inout [Effect]
    ) {
        let number = circuit.number
        if entry.sequenceNumber != 0, isFatal(entry, level, at: now) {
            ignore(entry, level, circuit, at: now)
            return
        }
        guard let slot = databases[level.index].slot(of: entry.id) else {
            // (b) (5): unknown here and alive there: ask for it. What is ours and unknown here we do not want back.
            guard entry.remainingLifetime != 0, entry.checksum != 0, entry.sequenceNumber != 0 else { return }
            // Whoever makes names up fills no more than this, and takes no room from LSPs. What is left out is told
            // of in the next CSNP again.
            guard databases[level.index].requestedCount < requestedMaximum else {
                return counters.count(.tooManyRequested)
            }
            let slot = databases[level.index].insertRequested(entry.id, expiry: now + Self.zeroAgeLifetime)
            askOrAcknowledge(slot, level, circuit, at: now, into: &effects)
            return
        }
        if databases[level.index].entries[slot].isRequested {
            if entry.sequenceNumber != 0 { askOrAcknowledge(slot, level, circuit, at: now, into: &effects) }
            return
        }
        switch LSPOrder(received: entry, held: databases[level.index].entries[slot]) {
        case .same:
            // (b) (2): on a point-to-point circuit an acknowledgement.
            if !circuit.isBroadcast { databases[level.index].clearSRM(slot, number) }
        case .older:
            // (b) (3)
            databases[level.index].clearSSN(slot, number)
            databases[level.index].setSRM(slot, number)
        case .newer:
            if entry.id.system == ownID, originators[level.index].owns(entry.id) {
                // §7.3.16.1: nobody else makes our LSPs.
                counters.ownLSPsContested &+= 1
                originators[level.index].contest(entry.id, above: entry.sequenceNumber)
                scheduleGeneration(level, at: now)
                return
            }
            // (b) (4)
            if !circuit.isBroadcast { databases[level.index].clearSRM(slot, number) }
            askOrAcknowledge(slot, level, circuit, at: now, into: &effects)
        case .confused:
            if entry.id.system == ownID, originators[level.index].owns(entry.id) {
                counters.ownLSPsContested &+= 1
                originators[level.index].contest(entry.id, above: entry.sequenceNumber)
                scheduleGeneration(level, at: now)
                return
            }
            // Whether it is damaged there or here the LSP itself will tell: both ends hear of the other's.
            askOrAcknowledge(slot, level, circuit, at: now, into: &effects)
            databases[level.index].setSRM(slot, number)
        }
    }
}
