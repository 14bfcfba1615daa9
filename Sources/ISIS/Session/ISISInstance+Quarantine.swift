import Machine
import Records
import Routing
import Wire

/// An LSP that was fatal and that neighbours on a circuit have: our CSNPs there tell of it as though we had it, too, or
/// they would send it again after each.
struct IgnoredLSP: Hashable, Sendable {
    static let listMaximum = 256

    var level: Level
    var circuit: UInt16
    var id: LSPID
    var sequence: UInt32
    var checksum: UInt16
    /// When its remaining lifetime ends.
    var expiry: Instant

    func entry(at now: Instant) -> LSPEntry {
        let left = max(0, (expiry - now).inNanoseconds)
        return LSPEntry(
            id: id, sequenceNumber: sequence, remainingLifetime: UInt16(clamping: (left + 999_999_999) / 1_000_000_000),
            checksum: checksum)
    }
}

/// What becomes of a neighbour whose packet killed a controller (DESIGN §7), and of what it says again.
///
/// Its adjacency ends in place of the process, and it is held down until somebody could survive it in another form
/// (`FatalMemory`). What was fatal is remembered: an LSP by its ID with sequence number and checksum, and by its content,
/// whoever sends it, since all routers of the level do; another PDU by its sender and what it does not change.
///
/// An LSP that is known is acknowledged and ignored: neither stored nor sent on. On a point-to-point circuit a PSNP says
/// that it came; CSNPs of ours tell of it on the circuits where it is heard, and nobody is asked for it. The older one
/// that may be here stays to the end of its lifetime. Any other PDU that is known is dropped; if it is not a hello, the
/// adjacency ends and is tried again after `FatalMemory.holdMaximum`, because an answer would be waited for for ever.
extension ISISInstance {
    /// Whether a PDU was fatal; once for each, and only if anything ever was.
    func isFatal(_ packet: ReceivedPacket, at now: Instant) -> Bool {
        let source = FatalMemory.name(packet.source, on: packet.interface)
        guard let outline = PDUOutline(packet.bytes) else {
            return fatal.isKnown(Self.unreadable(packet, source), at: now)
        }
        if let lsp = outline.lsp, fatal.isKnown(outline.form(lsp.level, lsp.entry), at: now) { return true }
        return fatal.isKnown(outline.form(from: source), at: now)
    }

    private static func unreadable(_ packet: ReceivedPacket, _ source: UInt64) -> FatalForm {
        FatalForm(exact: [seededHash(packet.bytes.span.bytes, seed: source)])
    }

    /// Whether a neighbour tells of an LSP that would be ignored.
    func isFatal(_ entry: LSPEntry, _ level: Level, at now: Instant) -> Bool {
        !fatal.isEmpty && fatal.isKnown(PDUOutline.form(of: entry, level), at: now)
    }

    /// A PDU that was fatal: whatever can be done without looking into it.
    mutating func refuseFatal(
        _ packet: ReceivedPacket, _ type: PDUType, from station: MACAddress, on circuit: Circuit, at now: Instant,
        into effects: inout [Effect]
    ) {
        counters.count(.quarantined)
        if let (level, entry) = PDUOutline(packet.bytes)?.lsp {
            guard neighbor(station, circuit, level) != nil else { return counters.count(.noAdjacency) }
            guard Authentication.verify(packet.bytes.span.bytes, with: lspAuthentication(level), at: now).isAccepted else {
                return counters.count(.authentication)
            }
            // §7.3.15.1 (e): acknowledged, as though it were stored.
            if ignore(entry, level, circuit, at: now), !circuit.isBroadcast {
                sendPSNP([entry], level, circuit, at: now, into: &effects)
            }
            return
        }
        let isHello = type == .pointToPointHello || type == .level1LANHello || type == .level2LANHello
        guard !isHello, let level = type.level, neighbor(station, circuit, level) != nil,
            Authentication.verify(packet.bytes.span.bytes, with: snpAuthentication(level), at: now).isAccepted
        else { return }
        fatal.hold(packet.source, on: packet.interface, until: now + FatalMemory.holdMaximum)
        loseAll(station, circuit.number, reason: "it repeats a packet that was fatal", at: now, into: &effects)
    }

    /// The neighbours on the circuit have an LSP that was fatal: neither it nor the one before is said or asked for there.
    /// - Returns: whether that is all there is to it; one that is older than what is here is answered with that.
    @discardableResult
    mutating func ignore(_ entry: LSPEntry, _ level: Level, _ circuit: Circuit, at now: Instant) -> Bool {
        if entry.id.system == ownID, originators[level.index].owns(entry.id) {
            // §7.3.16.1: nobody else makes our LSPs, and this takes no look at what was made.
            counters.ownLSPsContested &+= 1
            originators[level.index].contest(entry.id, above: entry.sequenceNumber)
            scheduleGeneration(level, at: now)
            return false
        }
        if let slot = databases[level.index].slot(of: entry.id) {
            if databases[level.index].entries[slot].isRequested {
                databases[level.index].remove(slot)
            } else if LSPOrder(received: entry, held: databases[level.index].entries[slot]) == .older {
                databases[level.index].setSRM(slot, circuit.number)
                databases[level.index].clearSSN(slot, circuit.number)
                return false
            } else {
                databases[level.index].clearSRM(slot, circuit.number)
                databases[level.index].clearSSN(slot, circuit.number)
            }
        }
        let number = UInt16(truncatingIfNeeded: circuit.number)
        ignored.removeAll {
            $0.expiry <= now || $0.id == entry.id && $0.level == level && $0.circuit == number
        }
        guard entry.remainingLifetime > 0 else { return true }
        if ignored.count == IgnoredLSP.listMaximum { ignored.removeFirst() }
        ignored.append(
            IgnoredLSP(
                level: level, circuit: number, id: entry.id, sequence: entry.sequenceNumber, checksum: entry.checksum,
                expiry: now + .seconds(Int64(entry.remainingLifetime))))
        return true
    }

    /// What CSNPs on the circuit tell of besides the database, ascending by ID.
    func ignoredEntries(_ number: Int, _ level: Level, at now: Instant) -> [LSPEntry] {
        guard !ignored.isEmpty else { return [] }
        return ignored.filter { Int($0.circuit) == number && $0.level == level && $0.expiry > now }.map { $0.entry(at: now) }
            .sorted { $0.id < $1.id }
    }

    /// A newer one was stored, and is what CSNPs tell of from here on.
    mutating func endIgnoring(_ id: LSPID, _ level: Level, _ sequence: UInt32) {
        guard !ignored.isEmpty else { return }
        ignored.removeAll { $0.id == id && $0.level == level && $0.sequence <= sequence }
    }

    /// The packet that killed the other controller is not looked into; whoever sent it is held down.
    mutating func fault(_ packet: ReceivedPacket, at now: Instant, into effects: inout [Effect]) {
        guard configuration != nil else { return }
        counters.count(.quarantined)
        let source = FatalMemory.name(packet.source, on: packet.interface)
        let form: FatalForm
        if let outline = PDUOutline(packet.bytes) {
            form = outline.lsp.map { outline.form($0.level, $0.entry) } ?? outline.form(from: source)
        } else {
            form = Self.unreadable(packet, source)
        }
        fatal.learn([form], from: packet.source, on: packet.interface, at: now)
        event(
            .alarm,
            "neighbor \(packet.source) is held down: a packet of it could not be processed. It may come back when the "
                + "pair is redundant again, after \(FatalMemory.holdMaximum.inMilliseconds / 60_000) minutes, or when it is cleared",
            into: &effects)
        guard case .station(let station) = packet.source else { return }
        loseAll(
            station, Int(packet.interface.value), reason: "a packet of it was fatal to the other controller", at: now,
            into: &effects)
    }

    private mutating func loseAll(
        _ station: MACAddress, _ number: Int, reason: String, at now: Instant, into effects: inout [Effect]
    ) {
        guard let circuit = circuit(number) else { return }
        for adjacency in circuit.adjacencies.reversed() where adjacency.station == station {
            lose(adjacency, number, reason: reason, at: now, into: &effects)
        }
    }

    // MARK: the operator

    /// Adjacencies end and form anew by the next hellos. What was remembered of the neighbour as fatal is forgotten.
    /// - Parameter neighbor: a name; empty: all of them; `nil`: all of them, and nothing is forgotten.
    mutating func clear(neighbor: String?, at now: Instant, into effects: inout [Effect]) {
        let name = neighbor.flatMap { $0.isEmpty ? nil : NeighborName($0) }
        var meant = fatal.sources.filter { source in name.map { isNamed(source, $0) } ?? true }
        for number in circuits.indices {
            guard let circuit = circuits[number] else { continue }
            for adjacency in circuit.adjacencies.reversed() where name.map({ isNamed(adjacency, circuit, $0) }) ?? true {
                meant += fatal.sources.filter {
                    $0.address == .station(adjacency.station) && $0.interface == circuit.interface
                }
                lose(adjacency, number, reason: "cleared by the operator", at: now, into: &effects)
            }
        }
        guard neighbor != nil else { return }
        fatal.forget { meant.contains($0) }
        if fatal.isEmpty { ignored.removeAll() }
    }

    /// By system identifier, host name, station or address.
    private func isNamed(_ adjacency: Adjacency, _ circuit: Circuit, _ name: NeighborName) -> Bool {
        let text = name.text.lowercased()
        if adjacency.system.description == text || MACAddress(text) == adjacency.station { return true }
        let interface = self.name(circuit)
        if adjacency.ipv4.contains(where: { name.matches(.v4($0), on: interface) }) { return true }
        if adjacency.ipv6.contains(where: { name.matches(.v6($0), on: interface) }) { return true }
        return hostname(adjacency.system) == name.text
    }

    private func isNamed(_ source: FatalMemory.Source, _ name: NeighborName) -> Bool {
        source.address.station != nil && source.address.station == MACAddress(name.text.lowercased())
    }

    /// Whether a neighbour, or somebody who is held down, has this name: a system identifier, a host name, a station or an
    /// address, with `%` and the interface if need be.
    public func knows(_ name: String) -> Bool {
        let name = NeighborName(name)
        for circuit in circuits {
            guard let circuit else { continue }
            if circuit.adjacencies.contains(where: { isNamed($0, circuit, name) }) { return true }
        }
        return fatal.sources.contains { isNamed($0, name) }
    }

    /// System identifiers of the neighbours, and stations of those who are held down.
    public var neighborNames: [String] {
        var names: [String] = []
        for circuit in circuits {
            for adjacency in circuit?.adjacencies ?? [] where !names.contains("\(adjacency.system)") {
                names.append("\(adjacency.system)")
            }
        }
        let known = circuits.flatMap { $0?.adjacencies.map { PacketAddress.station($0.station) } ?? [] }
        for source in fatal.sources where !known.contains(source.address) { names.append("\(source.address)") }
        return names
    }
}

extension IgnoredLSP: Fielded {
    static var blank: Self {
        .init(level: .one, circuit: 0, id: LSPID(raw: 0), sequence: 0, checksum: 0, expiry: .zero)
    }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&level, "level of an LSP")
        try visitor.field(&circuit)
        try visitor.field(&id, \.raw, LSPID.init(raw:))
        try visitor.field(&sequence)
        try visitor.field(&checksum)
        try visitor.field(&expiry)
    }
}
