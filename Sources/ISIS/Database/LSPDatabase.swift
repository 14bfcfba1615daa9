import Machine
import Wire

/// The link state database of one level (ISO 10589 §7.3.3): LSPs by their ID, how long each has to live, and for each
/// circuit the flags that say what is to be sent (SRM) and what is to be acknowledged (SSN).
///
/// LSPs live in slots that never move, so a flag is one bit of a set per circuit. A sorted table of IDs leads to the
/// slots and is walked for CSNPs. Lifetimes are deadlines in a heap; nobody counts them down. The digest follows each
/// change in O(1).
public struct LSPDatabase: Sendable {
    /// What is known of an LSP besides its octets. Without padding: it goes into snapshots as it lies in memory.
    public struct Entry: ArenaElement, Sendable, BitwiseCopyable, Equatable {
        var rawID: UInt64
        /// When the remaining lifetime ends; for a purge, when it may be forgotten.
        var expiry: Int64
        /// Of what the decision process looks at: flags and TLVs, but not authentication.
        public var contentHash: UInt64
        /// What this entry adds to the digest.
        var stateHash: UInt64
        public var sequence: UInt32
        public var checksum: UInt16
        var flags: UInt8
        var spare: UInt8 = 0

        public var id: LSPID { LSPID(raw: rawID) }
        /// Zero remaining lifetime: kept until everybody has seen the end (§7.3.16.4, ZeroAgeLifetime).
        public var isPurged: Bool { flags & 1 != 0 }
        /// Only known from a neighbour's CSNP and asked for: sequence number zero, no octets (§7.3.15.2 (b) (5)).
        public var isRequested: Bool { flags & 2 != 0 }
        /// In use; a free slot otherwise.
        var isUsed: Bool { flags & 0x80 != 0 }
        public var isVacant: Bool { !isUsed }
        public mutating func vacate() {
            self = Entry(rawID: 0, expiry: 0, contentHash: 0, stateHash: 0, sequence: 0, checksum: 0, flags: 0)
        }
        public var expiryTime: Instant { Instant(nanoseconds: expiry) }

        /// Seconds, rounded up, so that an LSP is never sent with zero before its time.
        public func remainingLifetime(at now: Instant) -> UInt16 {
            if isPurged || isRequested { return 0 }
            let left = max(0, (expiryTime - now).inNanoseconds)
            return UInt16(clamping: (left + 999_999_999) / 1_000_000_000)
        }
        public static func == (a: Entry, b: Entry) -> Bool {
            a.rawID == b.rawID && a.expiry == b.expiry && a.contentHash == b.contentHash && a.sequence == b.sequence
                && a.checksum == b.checksum && a.flags == b.flags
        }
    }

    /// Flags towards one circuit.
    struct CircuitFlags: Sendable, Equatable {
        /// Send Routeing Message.
        var srm = BitSet()
        /// Members of `srm` whose turn to be sent it is.
        var unsent = BitSet()
        /// Members of `srm` sent since the retransmission timer fired last.
        var recent = BitSet()
        /// Send Sequence Number.
        var ssn = BitSet()
        /// Where the next search for something to send begins, so that no LSP waits for ever behind others.
        var cursor: UInt32 = 0
    }

    public let level: Level
    private let seed: UInt64
    /// By slot.
    public private(set) var entries = Arena<Entry>()
    /// By slot: the PDU as it came, or as it was made; the remaining lifetime in it is not current.
    private var octets: [[UInt8]] = []
    /// Ascending by ID.
    private var sortedIDs: [UInt64] = []
    private var sortedSlots: [UInt32] = []
    /// By circuit; empty where the level does not run.
    private(set) var circuits: [CircuitFlags] = []
    private var timers = TimerTable<UInt32>()
    public private(set) var digest = StateDigest()
    /// Entries that are only asked for; they have a bound of their own.
    private(set) var requestedCount = 0
    /// Of all LSPs.
    private(set) var octetCount = 0

    public init(level: Level, seed: UInt64) {
        self.level = level
        self.seed = seed
    }

    // MARK: looking

    public var count: Int { sortedIDs.count }
    /// Without what is only asked for.
    var lspCount: Int { sortedIDs.count - requestedCount }

    /// The slot of the LSP.
    public func slot(of id: LSPID) -> Int? {
        let at = position(of: id)
        guard at < sortedIDs.count, sortedIDs[at] == id.raw else { return nil }
        return Int(sortedSlots[at])
    }

    /// The PDU in the slot; empty for one that is only asked for.
    public func bytes(_ slot: Int) -> [UInt8] { octets[slot] }

    /// The place in ascending order at which the ID stands or would stand.
    public func position(of id: LSPID) -> Int {
        sortedIDs.sortedIndex { $0 < id.raw }
    }

    /// The slot at a place in ascending order, 0 ..< count.
    public func slot(at position: Int) -> Int { Int(sortedSlots[position]) }

    // MARK: changing

    /// Puts an LSP in place of what was there under its ID. Flags stay; they are the caller's to set.
    ///
    /// - Parameter expiry: the end of the remaining lifetime, or of a purge's zero age.
    /// - Returns: the slot, and whether the decision process sees a difference.
    @discardableResult
    mutating func install(
        _ id: LSPID, sequence: UInt32, checksum: UInt16, isPurged: Bool, expiry: Instant, bytes: [UInt8]
    ) -> (slot: Int, isNewContent: Bool) {
        let slot = slot(of: id) ?? insert(id)
        let wasAlive = entries[slot].sequence != 0 && !entries[slot].isPurged && !entries[slot].isRequested
        let before = entries[slot].contentHash
        if entries[slot].isRequested { requestedCount -= 1 }
        octetCount += bytes.count - octets[slot].count
        entries[slot].sequence = sequence
        entries[slot].checksum = checksum
        entries[slot].flags = 0x80 | (isPurged ? 1 : 0)
        entries[slot].contentHash = isPurged ? 0 : Self.contentHash(of: bytes, seed: seed)
        octets[slot] = bytes
        setExpiry(slot, expiry)
        return (slot, isPurged ? wasAlive : !wasAlive || before != entries[slot].contentHash)
    }

    /// ISO 10589 §7.3.15.2 (b) (5): an entry of sequence number zero, so that a PSNP can ask for the LSP.
    mutating func insertRequested(_ id: LSPID, expiry: Instant) -> Int {
        let slot = insert(id)
        entries[slot].flags = 0x82
        requestedCount += 1
        setExpiry(slot, expiry)
        return slot
    }

    /// Moves the end of the remaining lifetime, and nothing else.
    mutating func setExpiry(_ slot: Int, _ expiry: Instant) {
        entries[slot].expiry = expiry.nanoseconds
        timers.set(UInt32(slot), at: expiry)
        rehash(slot)
    }

    /// Forgets an LSP and all flags about it.
    mutating func remove(_ slot: Int) {
        let id = entries[slot].id
        let at = position(of: id)
        sortedIDs.remove(at: at)
        sortedSlots.remove(at: at)
        for circuit in circuits.indices {
            clearSRM(slot, circuit)
            clearSSN(slot, circuit)
        }
        timers.cancel(UInt32(slot))
        digest.remove(entries[slot].stateHash)
        if entries[slot].isRequested { requestedCount -= 1 }
        octetCount -= octets[slot].count
        entries.remove(UInt32(slot))
        octets[slot] = []
    }

    private mutating func insert(_ id: LSPID) -> Int {
        let slot = Int(
            entries.insert(
                Entry(rawID: id.raw, expiry: 0, contentHash: 0, stateHash: 0, sequence: 0, checksum: 0, flags: 0x80)))
        if slot == octets.count { octets.append([]) }
        entries[slot].stateHash = stateHash(slot)
        digest.add(entries[slot].stateHash)
        let at = position(of: id)
        sortedIDs.insert(id.raw, at: at)
        sortedSlots.insert(UInt32(slot), at: at)
        return slot
    }

    private func stateHash(_ slot: Int) -> UInt64 {
        let entry = entries[slot]
        let first = seededHash(entry.rawID, UInt64(bitPattern: entry.expiry), seed: seed)
        let second = seededHash(
            UInt64(entry.sequence) << 32 | UInt64(entry.checksum) << 16 | UInt64(entry.flags), entry.contentHash, seed: first)
        return seededHash(second, UInt64(slot), seed: seed)
    }

    private mutating func rehash(_ slot: Int) {
        digest.remove(entries[slot].stateHash)
        entries[slot].stateHash = stateHash(slot)
        digest.add(entries[slot].stateHash)
    }

    /// Everything from the octet of flags on, without the TLVs that say who speaks (authentication, 10) or purged (13).
    static func contentHash(of bytes: [UInt8], seed: UInt64) -> UInt64 {
        guard bytes.count >= 27 else { return 0 }
        var digest = StateDigest(seed)
        digest.mix(UInt64(bytes[26]))
        let span = bytes.span.bytes
        var at = 27
        while at + 2 <= bytes.count {
            let end = at + 2 + Int(bytes[at + 1])
            guard end <= bytes.count else { break }
            if bytes[at] != 10 && bytes[at] != 13 { digest.mix(span.extracting(at..<end)) }
            at = end
        }
        return digest.value
    }

    // MARK: lifetimes

    var nextDeadline: Instant? { timers.next }

    /// A slot whose time is over; its timer runs no longer.
    mutating func popExpired(at now: Instant) -> Int? { timers.popDue(at: now).map { Int($0) } }

    // MARK: flags

    private func flagHash(_ slot: Int, _ circuit: Int, _ kind: UInt64) -> UInt64 {
        seededHash(UInt64(slot) << 8 | kind, UInt64(circuit), seed: seed)
    }

    /// Makes room for the flags of a circuit.
    mutating func reserveCircuit(_ circuit: Int) {
        while circuits.count <= circuit { circuits.append(CircuitFlags()) }
    }

    /// Sets SRM: the LSP is to be sent on the circuit, now.
    mutating func setSRM(_ slot: Int, _ circuit: Int) {
        reserveCircuit(circuit)
        if circuits[circuit].srm.insert(UInt32(slot)) { digest.add(flagHash(slot, circuit, 1)) }
        circuits[circuit].recent.remove(UInt32(slot))
        if circuits[circuit].unsent.insert(UInt32(slot)) { digest.add(flagHash(slot, circuit, 2)) }
    }

    mutating func clearSRM(_ slot: Int, _ circuit: Int) {
        guard circuit < circuits.count, circuits[circuit].srm.remove(UInt32(slot)) else { return }
        digest.remove(flagHash(slot, circuit, 1))
        if circuits[circuit].unsent.remove(UInt32(slot)) { digest.remove(flagHash(slot, circuit, 2)) }
        circuits[circuit].recent.remove(UInt32(slot))
    }

    mutating func setSSN(_ slot: Int, _ circuit: Int) {
        reserveCircuit(circuit)
        if circuits[circuit].ssn.insert(UInt32(slot)) { digest.add(flagHash(slot, circuit, 3)) }
    }

    mutating func clearSSN(_ slot: Int, _ circuit: Int) {
        guard circuit < circuits.count, circuits[circuit].ssn.remove(UInt32(slot)) else { return }
        digest.remove(flagHash(slot, circuit, 3))
    }

    /// Whether any circuit still has to hear of the LSP.
    func isSRMAnywhere(_ slot: Int) -> Bool { circuits.contains { $0.srm.contains(UInt32(slot)) } }

    func hasUnsent(_ circuit: Int) -> Bool { circuit < circuits.count && !circuits[circuit].unsent.isEmpty }
    func hasSRM(_ circuit: Int) -> Bool { circuit < circuits.count && !circuits[circuit].srm.isEmpty }
    func hasSSN(_ circuit: Int) -> Bool { circuit < circuits.count && !circuits[circuit].ssn.isEmpty }

    /// The next LSP to send on the circuit. On a LAN (`isKept` false) its SRM is clear afterwards (§7.3.15.6: no one
    /// will acknowledge it, CSNPs mend a loss); on a point-to-point circuit it stays until acknowledged.
    mutating func takeUnsent(_ circuit: Int, isKept: Bool) -> Int? {
        guard circuit < circuits.count else { return nil }
        guard
            let number = circuits[circuit].unsent.next(from: circuits[circuit].cursor)
                ?? circuits[circuit].unsent.next(from: 0)
        else { return nil }
        let slot = Int(number)
        circuits[circuit].cursor = number + 1
        circuits[circuit].unsent.remove(number)
        digest.remove(flagHash(slot, circuit, 2))
        if isKept {
            circuits[circuit].recent.insert(UInt32(slot))
        } else if circuits[circuit].srm.remove(UInt32(slot)) {
            digest.remove(flagHash(slot, circuit, 1))
        }
        return slot
    }

    /// The retransmission timer of a point-to-point circuit: what was sent before the last time and has not been
    /// acknowledged is due again (§7.3.15.6: at least minimumLSPTransmissionInterval between, at most twice that here).
    mutating func retransmit(_ circuit: Int) {
        guard circuit < circuits.count else { return }
        var from: UInt32 = 0
        while let slot = circuits[circuit].srm.next(from: from) {
            from = slot + 1
            if circuits[circuit].recent.contains(slot) { continue }
            if circuits[circuit].unsent.insert(slot) { digest.add(flagHash(Int(slot), circuit, 2)) }
        }
        circuits[circuit].recent.removeAll()
    }

    /// All flags of a circuit end with its last adjacency.
    mutating func clearFlags(_ circuit: Int) {
        guard circuit < circuits.count else { return }
        var from: UInt32 = 0
        while let slot = circuits[circuit].srm.next(from: from) {
            clearSRM(Int(slot), circuit)
            from = slot + 1
        }
        from = 0
        while let slot = circuits[circuit].ssn.next(from: from) {
            clearSSN(Int(slot), circuit)
            from = slot + 1
        }
        circuits[circuit] = CircuitFlags()
    }

    /// SRM of every LSP on the circuit: a new neighbour is to hear of everything (§7.3.17).
    mutating func setAllSRM(_ circuit: Int) {
        for slot in sortedSlots where !entries[Int(slot)].isRequested { setSRM(Int(slot), circuit) }
    }
}

extension LSPDatabase: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(level.rawValue)
        writer.write(seed)
        writer.writeBlock(entries.places)
        writer.writeList(octets) { bytes, w in w.writeBlock(bytes) }
        writer.writeBlock(entries.free)
        writer.writeList(circuits) { flags, w in
            flags.srm.write(to: &w)
            flags.unsent.write(to: &w)
            flags.recent.write(to: &w)
            flags.ssn.write(to: &w)
            w.write(flags.cursor)
        }
        timers.write(to: &writer) { key, w in w.write(key) }
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let at = reader.position
        guard let level = Level(rawValue: try reader.read()) else {
            throw DecodeError("level of a database", at: at, .badValue)
        }
        self.init(level: level, seed: try reader.read())
        let places = try reader.readBlock(of: Entry.self)
        octets = try reader.readList { r throws(DecodeError) in try r.readBlock(of: UInt8.self) }
        let free = try reader.readBlock(of: UInt32.self)
        entries = try Arena(places: places, free: free, of: "LSP database", at: reader.position)
        circuits = try reader.readList { r throws(DecodeError) in
            var flags = CircuitFlags()
            flags.srm = try BitSet(from: &r)
            flags.unsent = try BitSet(from: &r)
            flags.recent = try BitSet(from: &r)
            flags.ssn = try BitSet(from: &r)
            flags.cursor = try r.read()
            return flags
        }
        timers = try TimerTable(from: &reader) { r throws(DecodeError) in try r.read(UInt32.self) }
        try check(at: reader.position)
        index()
    }

    /// A snapshot is the twin's word; what would trap later is refused here.
    private func check(at position: Int) throws(DecodeError) {
        let count = entries.capacity
        guard octets.count == count else { throw DecodeError("LSP database", at: position, .badLength) }
        for flags in circuits {
            guard flags.srm.isWithin(count), flags.unsent.isWithin(count), flags.recent.isWithin(count),
                flags.ssn.isWithin(count)
            else { throw DecodeError("flags", at: position, .badValue) }
            for set in [flags.srm, flags.unsent, flags.recent, flags.ssn] {
                var from: UInt32 = 0
                while let slot = set.next(from: from) {
                    guard entries[slot].isUsed else { throw DecodeError("flags", at: position, .badValue) }
                    from = slot + 1
                }
            }
        }
        for timer in timers.inFiringOrder where Int(timer.key) >= count || !entries[Int(timer.key)].isUsed {
            throw DecodeError("lifetimes", at: position, .badValue)
        }
    }

    /// What follows from the entries and flags: the order and the digest.
    private mutating func index() {
        let used = entries.places.indices.filter { entries[$0].isUsed }.sorted { entries[$0].rawID < entries[$1].rawID }
        sortedIDs = used.map { entries[$0].rawID }
        sortedSlots = used.map { UInt32($0) }
        digest = StateDigest()
        requestedCount = used.count { entries[$0].isRequested }
        octetCount = octets.reduce(0) { $0 + $1.count }
        for slot in used {
            entries[slot].stateHash = stateHash(slot)
            digest.add(entries[slot].stateHash)
        }
        for circuit in circuits.indices {
            let flags = circuits[circuit]
            for (kind, set) in [(UInt64(1), flags.srm), (2, flags.unsent), (3, flags.ssn)] {
                var from: UInt32 = 0
                while let slot = set.next(from: from) {
                    digest.add(flagHash(Int(slot), circuit, kind))
                    from = slot + 1
                }
            }
        }
    }
}
