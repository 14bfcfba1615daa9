import Machine
import Records
import Routing
import Wire

/// Which of two instances of an LSP is newer (ISO 10589 §7.3.16.2).
enum LSPOrder: Hashable {
    case newer, same, older
    /// Same number, both alive, different checksums: two routers with one ID, or a router that forgot its numbers.
    case confused

    /// How what a neighbour has compares with what we have.
    init(received: LSPEntry, held: LSPDatabase.Entry) {
        if held.isRequested {
            self = .newer
        } else if received.sequenceNumber != held.sequence {
            self = received.sequenceNumber > held.sequence ? .newer : .older
        } else if (received.remainingLifetime == 0) != held.isPurged {
            // At equal numbers the end is the news.
            self = held.isPurged ? .older : .newer
        } else if held.isPurged || received.checksum == held.checksum {
            self = .same
        } else {
            self = .confused
        }
    }
}

/// Link state PDUs as they come in (ISO 10589 §7.3.15.1 and §7.3.16).
extension ISISInstance {
    /// §7.3.15.1 (a): PDUs of the update process count only from a neighbour that is up.
    func neighbor(_ station: MACAddress, _ circuit: Circuit, _ level: Level) -> Adjacency? {
        circuit.adjacencies.first { $0.station == station && $0.isUp(level) }
    }

    mutating func receive(
        _ header: LSPHeader, _ bytes: [UInt8], from station: MACAddress, on circuit: Circuit, at now: Instant,
        into effects: inout [Effect]
    ) {
        let level = header.level
        let number = circuit.number
        counters.lspsReceived &+= 1
        // (a) (5): from whom.
        guard let neighbor = neighbor(station, circuit, level) else { return counters.count(.noAdjacency) }
        // (a) (4): by password. An LSP keeps the authentication of its origin; only the level's keys count.
        let authentication = lspAuthentication(level)
        guard Authentication.verify(bytes.span.bytes, with: authentication, at: now).isAccepted else {
            return counters.count(.authentication)
        }
        let pdu = Array(bytes.prefix(header.pduLength))
        if header.isPurge, authentication != nil, !LSPHeader.isSoundPurge(pdu.span.bytes) {
            // RFC 6233 §3: whoever shortens the lifetime of an authentic LSP leaves its TLVs in place.
            return counters.count(.badPurge)
        }
        let held = databases[level.index].slot(of: header.id)
        // (c) and §7.3.16.1: one of ours.
        if header.id.system == ownID {
            if receiveOwn(header, held, neighbor, circuit, at: now, into: &effects) { return }
        }
        guard let held, !databases[level.index].entries[held].isRequested else {
            if header.isPurge {
                // §7.3.16.4 (a): nothing to end here. It is acknowledged and forgotten.
                if let held { databases[level.index].remove(held) }
                if !circuit.isBroadcast { sendPSNP([header.entry], level, circuit, at: now, into: &effects) }
                return
            }
            guard hasRoom(level) else { return databaseIsFull(level, at: now, into: &effects) }
            return accept(header, pdu, circuit, at: now, into: &effects)
        }
        switch LSPOrder(received: header.entry, held: databases[level.index].entries[held]) {
        case .newer:
            // (e) (1)
            accept(header, pdu, circuit, at: now, into: &effects)
        case .same:
            // (e) (2)
            databases[level.index].clearSRM(held, number)
            if !circuit.isBroadcast { askOrAcknowledge(held, level, circuit, at: now, into: &effects) }
        case .older:
            // (e) (3)
            databases[level.index].setSRM(held, number)
            databases[level.index].clearSSN(held, number)
        case .confused:
            // §7.3.16.2: as though the one we hold had come to its end. Its owner, if there is one, makes a newer one.
            event(.warning, "\(level) LSP \(header.id) exists twice under one sequence number", into: &effects)
            purge(held, level, receivedFrom: neighbor.system, at: now)
        }
    }

    /// §7.3.15.1 (e) (1): stored, sent on, acknowledged.
    private mutating func accept(
        _ header: LSPHeader, _ pdu: [UInt8], _ circuit: Circuit, at now: Instant, into effects: inout [Effect]
    ) {
        let level = header.level
        let result = databases[level.index].install(
            header.id, sequence: header.sequenceNumber, checksum: header.checksum, isPurged: header.isPurge,
            expiry: expiry(header, at: now), bytes: pdu)
        endIgnoring(header.id, level, header.sequenceNumber)
        flood(result.slot, level, except: circuit.number)
        databases[level.index].clearSRM(result.slot, circuit.number)
        for other in circuits.indices where other != circuit.number {
            databases[level.index].clearSSN(result.slot, other)
        }
        if circuit.isBroadcast {
            databases[level.index].clearSSN(result.slot, circuit.number)
        } else {
            askOrAcknowledge(result.slot, level, circuit, at: now, into: &effects)
        }
        if result.isNewContent { lspChanged(result.slot, header.id, level, at: now) }
    }

    /// RFC 7987 §2: the remaining lifetime has no checksum. A new LSP lives at least as long as ours would, so that a
    /// damaged or forged number cannot make its owner flood it over and over.
    private func expiry(_ header: LSPHeader, at now: Instant) -> Instant {
        if header.isPurge { return now + Self.zeroAgeLifetime }
        let own = configuration?.lspLifetime ?? 1200
        let seconds =
            configuration?.lifetimeProtection == true
            ? max(header.remainingLifetime, own) : header.remainingLifetime
        return now + .seconds(Int64(seconds))
    }

    /// - Returns: whether the LSP needs nothing more. One of ours that is as we sent it, or older, goes the common way.
    private mutating func receiveOwn(
        _ header: LSPHeader, _ held: Int?, _ neighbor: Adjacency, _ circuit: Circuit, at now: Instant,
        into effects: inout [Effect]
    ) -> Bool {
        let level = header.level
        guard let held, originators[level.index].owns(header.id) else {
            // §7.3.15.1 (c): ours from an earlier life, or a forgery: it is taken out of the world. A purge of what
            // we do not have any more goes the common way.
            if header.isPurge { return false }
            if let held, LSPOrder(received: header.entry, held: databases[level.index].entries[held]) == .older { return false }
            counters.ownLSPsContested &+= 1
            guard hasRoom(level) || held != nil else { return true }
            let slot = databases[level.index].install(
                header.id, sequence: header.sequenceNumber, checksum: header.checksum, isPurged: true,
                expiry: now + Self.zeroAgeLifetime, bytes: []
            ).slot
            purge(slot, level, receivedFrom: neighbor.system, at: now)
            // Whatever we have to say under this name in future must be newer.
            scheduleGeneration(level, at: now)
            return true
        }
        switch LSPOrder(received: header.entry, held: databases[level.index].entries[held]) {
        case .same, .older: return false
        case .newer, .confused:
            // §7.3.16.1: somebody has a newer one, or ended ours. We say it again under a number above.
            counters.ownLSPsContested &+= 1
            originators[level.index].contest(header.id, above: header.sequenceNumber)
            databases[level.index].clearSRM(held, circuit.number)
            scheduleGeneration(level, at: now)
            return true
        }
    }

    /// Whether one more LSP may be held. One that is held already may change: a frame bounds how much it grows.
    private func hasRoom(_ level: Level) -> Bool {
        guard let limits = configuration?.limits else { return false }
        return databases[level.index].lspCount < Int(limits.lsps)
            && databases[level.index].octetCount < Int(limits.octetsMaximum)
            && calculation.routes.announcementCount[level.index] < Int(limits.routes)
    }

    private mutating func databaseIsFull(_ level: Level, at now: Instant, into effects: inout [Effect]) {
        counters.count(.databaseFull)
        // ISO 10589 §7.3.19: whoever cannot hold all LSPs says so and is not used for transit.
        if overloadReasons & level.rawValue << 1 == 0 {
            event(.alarm, "the \(level) database is full; the overload bit is set", into: &effects)
            setOverload(level.rawValue << 1, at: now)
        }
        // waitingTime, 60 s, begins anew with each LSP that finds no room.
        timers.set(ISISTimer(.overload, level), at: now + .seconds(60))
    }
}
