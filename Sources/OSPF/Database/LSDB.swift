import Machine
import Wire

/// The link state databases of all scopes in one table (RFC 2328 §12.2, RFC 5340 §4.4.1).
///
/// LSAs have handles, small numbers by which lists refer to them; a slot is given again after its LSA is gone. Each
/// database has its own index in the order of the keys. Ages are not counted up: an LSA knows when it was installed.
///
/// What changes is noted, so that routes are calculated from what is new; a refresh that says the same is no change.
public struct LSDB: Sendable {
    /// An LSA and what the database knows of it.
    public struct Entry: Sendable {
        public var database: DatabaseID
        /// With the age that it had at `installed`.
        public internal(set) var lsa: LSA
        public internal(set) var installed: Instant
        /// Whether we made this instance.
        public internal(set) var isOwn: Bool
        /// Whether it came by flooding, not in answer to a request: RFC 2328 §13 (5) (a) asks.
        var wasFlooded = false
        /// On how many retransmission lists it is: RFC 2328 §14 keeps a MaxAge LSA until that is none.
        var retransmissions: UInt32 = 0
        /// Whether `changes` names it already.
        var isNoted = false
        /// Whether it is at MaxAge, or was a moment ago, and on the list of what is to be removed.
        var isFlushing = false
        /// What an LSA of ours is to say next, once MinLSInterval or the flush of this instance is over.
        var pending: Pending?
        /// How many changes of an LSA of ours came in a row, without a quiet time between.
        var haste: UInt8 = 0
        /// RFC 2328 §13 (8): when this instance was last sent in answer to an older one.
        var answered = Instant.zero

        /// RFC 2328 §12.1.1 at a time; without the bit DoNotAge, at most MaxAge.
        public func age(at now: Instant) -> UInt16 {
            let age = lsa.header.effectiveAge
            if lsa.header.age & LSAHeader.doNotAge != 0 { return age }
            let passed = (now - installed).inNanoseconds / 1_000_000_000
            return UInt16(clamping: min(Int64(age) + max(passed, 0), Int64(LSAHeader.maxAge)))
        }
        public func isMaxAge(at now: Instant) -> Bool { age(at: now) >= LSAHeader.maxAge }

        /// The header as it would be sent now.
        public func header(at now: Instant) -> LSAHeader {
            var header = lsa.header
            header.age = age(at: now) | (header.age & LSAHeader.doNotAge)
            return header
        }
    }

    /// Contents of an LSA of ours.
    struct Pending: Hashable, Sendable {
        var options: UInt8
        var body: [UInt8]

        func matches(_ lsa: LSA) -> Bool {
            lsa.header.options == options && lsa.octets.count == LSAHeader.size + body.count
                && lsa.octets[LSAHeader.size...].elementsEqual(body)
        }
    }

    /// What became different since the changes were last taken. The LSA is looked up: it may be there, at MaxAge, or
    /// gone.
    public struct Change: Hashable, Sendable {
        public var database: DatabaseID
        public var key: LSAKey
    }

    struct Database: Sendable {
        var id: DatabaseID
        var index = KeyIndex()
        /// RFC 4750's sum of the checksums, by which people compare databases.
        var checksums: UInt32 = 0
    }

    /// By handle; `nil` where the handle is free.
    private(set) var slots = Arena<Entry?>()
    /// Ascending.
    private(set) var databases: [Database] = []
    public private(set) var changes: [Change] = []
    /// LSAs of other routers in all databases.
    public private(set) var foreignCount = 0
    /// Rolling: a word per LSA, whatever the order in which they came.
    public private(set) var digest = StateDigest()
    var wheel = AgeWheel()

    public init() {}

    // MARK: look-up

    private func position(of id: DatabaseID) -> Int {
        databases.sortedIndex { $0.id < id }
    }

    private func database(_ id: DatabaseID) -> Int? {
        let at = position(of: id)
        return at < databases.count && databases[at].id == id ? at : nil
    }

    public func handle(of key: LSAKey, in id: DatabaseID) -> LSAHandle? {
        database(id).flatMap { databases[$0].index.find(key) }
    }

    public subscript(handle: LSAHandle) -> Entry? {
        Int(handle.raw) < slots.capacity ? slots[handle.raw] : nil
    }

    /// The LSA, at whatever age.
    public func entry(_ key: LSAKey, in id: DatabaseID) -> Entry? { handle(of: key, in: id).flatMap { self[$0] } }

    /// The LSA unless it is being flushed: RFC 2328 §16.1 and on look at no LSA of MaxAge. (One that grows to MaxAge is
    /// marked when its time comes.)
    public func lsa(_ key: LSAKey, in id: DatabaseID) -> LSA? {
        guard let entry = entry(key, in: id), !entry.lsa.header.isMaxAge else { return nil }
        return entry.lsa
    }

    public func count(in id: DatabaseID) -> Int { database(id).map { databases[$0].index.count } ?? 0 }
    public func checksumSum(of id: DatabaseID) -> UInt32 { database(id).map { databases[$0].checksums } ?? 0 }
    /// All databases that hold something, ascending.
    public var databaseIDs: [DatabaseID] { databases.compactMap { $0.index.count > 0 ? $0.id : nil } }
    public var count: Int { slots.count }
    /// One above the highest handle ever given.
    public var handleEnd: UInt32 { UInt32(truncatingIfNeeded: slots.capacity) }

    /// Walks a database in the order of its keys, from a key on, until `body` returns false.
    public func walk(_ id: DatabaseID, from key: LSAKey? = nil, _ body: (LSAHandle, Entry) -> Bool) {
        guard let at = database(id) else { return }
        databases[at].index.walk(from: key) { item in
            guard let entry = slots[item.handle.raw] else { return true }
            return body(item.handle, entry)
        }
    }

    /// The LSAs of one type in a database, in the order of their keys, those at MaxAge included.
    public func entries(of type: LSAType, in id: DatabaseID) -> [Entry] {
        var found: [Entry] = []
        walk(id, from: LSAKey(type: type, linkStateID: 0, advertisingRouter: 0)) { _, entry in
            guard entry.lsa.key.type == type else { return false }
            found.append(entry)
            return true
        }
        return found
    }

    // MARK: change

    /// Installs an instance in place of the one before (RFC 2328 §13.2) and sets when it is due next.
    ///
    /// - Returns: the handle, and whether the content differs from what was there.
    @discardableResult
    public mutating func install(
        _ lsa: LSA, in id: DatabaseID, isOwn: Bool, at now: Instant, due: Instant
    ) -> (handle: LSAHandle, isChange: Bool) {
        let entry = Entry(database: id, lsa: lsa, installed: now, isOwn: isOwn)
        var at = position(of: id)
        if at == databases.count || databases[at].id != id { databases.insert(Database(id: id), at: at) }
        if let handle = databases[at].index.find(lsa.key), let old = slots[handle.raw] {
            digest.remove(Self.hash(old))
            databases[at].checksums &+= UInt32(lsa.header.checksum) &- UInt32(old.lsa.header.checksum)
            if old.isOwn != isOwn { foreignCount += isOwn ? -1 : 1 }
            let isChange = !old.lsa.hasSameContent(as: lsa)
            slots[handle.raw]?.lsa = lsa
            slots[handle.raw]?.installed = now
            slots[handle.raw]?.isOwn = isOwn
            if let entry = self[handle] { digest.add(Self.hash(entry)) }
            if isChange { note(handle) }
            wheel.set(handle, at: due)
            return (handle, isChange)
        }
        digest.add(Self.hash(entry))
        let handle = LSAHandle(slots.insert(entry))
        at = position(of: id)
        databases[at].index.insert(lsa.key, handle)
        databases[at].checksums &+= UInt32(lsa.header.checksum)
        if !isOwn { foreignCount += 1 }
        wheel.set(handle, at: due)
        // One that comes at MaxAge was not there before and is as good as not there now.
        let isChange = !lsa.header.isMaxAge
        if isChange { note(handle) }
        return (handle, isChange)
    }

    /// Sets the age to MaxAge: premature ageing (RFC 2328 §14.1), or time did it (§14).
    public mutating func setMaxAge(_ handle: LSAHandle, at now: Instant) {
        guard let old = self[handle] else { return }
        digest.remove(Self.hash(old))
        if !old.lsa.header.isMaxAge { note(handle) }
        slots[handle.raw]?.lsa.setAge(LSAHeader.maxAge)
        slots[handle.raw]?.installed = now
        wheel.remove(handle)
        if let entry = self[handle] { digest.add(Self.hash(entry)) }
    }

    /// Removes an LSA that is on no retransmission list.
    public mutating func remove(_ handle: LSAHandle) {
        guard let old = self[handle], let at = database(old.database) else { return }
        precondition(old.retransmissions == 0, "an LSA that is to be acknowledged stays in the database")
        if !old.lsa.header.isMaxAge { note(handle) }
        digest.remove(Self.hash(old))
        databases[at].index.remove(old.lsa.key)
        databases[at].checksums &-= UInt32(old.lsa.header.checksum)
        if !old.isOwn { foreignCount -= 1 }
        wheel.remove(handle)
        slots.remove(handle.raw)
    }

    /// Sets when the LSA is due next, for a refresh or for MaxAge.
    mutating func setDue(_ handle: LSAHandle, at due: Instant) {
        if self[handle] != nil { wheel.set(handle, at: due) }
    }

    mutating func stopAgeing(_ handle: LSAHandle) { wheel.remove(handle) }

    mutating func setPending(_ handle: LSAHandle, _ content: Pending?) {
        guard let entry = self[handle], entry.pending != content else { return }
        digest.remove(Self.hash(entry))
        slots[handle.raw]?.pending = content
        if let entry = self[handle] { digest.add(Self.hash(entry)) }
    }

    mutating func setFlooded(_ handle: LSAHandle, _ wasFlooded: Bool) {
        if self[handle] != nil { slots[handle.raw]?.wasFlooded = wasFlooded }
    }

    mutating func setHaste(_ handle: LSAHandle, _ haste: UInt8) {
        if self[handle] != nil { slots[handle.raw]?.haste = haste }
    }

    mutating func noteAnswer(_ handle: LSAHandle, at now: Instant) {
        if self[handle] != nil { slots[handle.raw]?.answered = now }
    }

    /// - Returns: whether the LSA was not being flushed already.
    mutating func beginFlush(_ handle: LSAHandle) -> Bool {
        guard let entry = self[handle], !entry.isFlushing else { return false }
        slots[handle.raw]?.isFlushing = true
        return true
    }
    mutating func endFlush(_ handle: LSAHandle) {
        if self[handle] != nil { slots[handle.raw]?.isFlushing = false }
    }

    mutating func retain(_ handle: LSAHandle) { slots[handle.raw]?.retransmissions += 1 }
    mutating func release(_ handle: LSAHandle) {
        if let entry = self[handle], entry.retransmissions > 0 { slots[handle.raw]?.retransmissions -= 1 }
    }

    private mutating func note(_ handle: LSAHandle) {
        guard let entry = self[handle], !entry.isNoted else { return }
        slots[handle.raw]?.isNoted = true
        changes.append(Change(database: entry.database, key: entry.lsa.key))
    }

    /// What changed, in the order in which it did; the list is empty afterwards.
    public mutating func takeChanges() -> [Change] {
        let taken = changes
        changes.removeAll(keepingCapacity: true)
        for change in taken {
            if let handle = handle(of: change.key, in: change.database) { slots[handle.raw]?.isNoted = false }
        }
        return taken
    }

    private static func hash(_ entry: Entry) -> UInt64 {
        let place = UInt64(entry.database.scope.rawValue) << 40 | UInt64(entry.database.number) << 1 | (entry.isOwn ? 1 : 0)
        let content = seededHash(entry.lsa.octets.span.bytes, seed: place)
        let next = entry.pending.map { seededHash($0.body.span.bytes, seed: UInt64($0.options) + 1) } ?? 0
        return seededHash(content ^ next, UInt64(bitPattern: entry.installed.nanoseconds), seed: 0x15db)
    }
}

// MARK: snapshot

extension LSDB {
    public func write(to writer: inout SnapshotWriter) {
        writer.writeList(slots.places) { entry, w in
            w.write(entry != nil)
            guard let entry else { return }
            entry.database.write(to: &w)
            w.writeBlock(entry.lsa.octets)
            w.write(entry.installed)
            w.write(entry.isOwn)
            w.write(entry.wasFlooded)
            w.write(entry.haste)
            w.write(entry.answered)
            w.write(entry.pending != nil)
            if let pending = entry.pending {
                w.write(pending.options)
                w.writeBlock(pending.body)
            }
        }
        // The next handle given is state.
        writer.writeBlock(slots.free)
        writer.writeList(changes) { change, w in
            change.database.write(to: &w)
            w.write(change.key.type.rawValue)
            w.write(change.key.linkStateID)
            w.write(change.key.advertisingRouter)
        }
        wheel.write(to: &writer)
    }

    /// Retransmission counts are not in it: whoever restores the lists counts again.
    public init(from reader: inout SnapshotReader, version: OSPFVersion) throws(DecodeError) {
        self.init()
        let places = try reader.readList { r throws(DecodeError) -> Entry? in
            guard try r.readBool() else { return nil }
            let id = try DatabaseID(from: &r)
            let octets = try r.readBlock(of: UInt8.self)
            var cursor = ByteReader(octets.span.bytes)
            let lsa = try LSA(from: &cursor, version: version)
            try cursor.expectEnd("LSA")
            let installed = try r.readInstant()
            var entry = Entry(database: id, lsa: lsa, installed: installed, isOwn: try r.readBool())
            entry.wasFlooded = try r.readBool()
            entry.haste = try r.read()
            entry.answered = try r.readInstant()
            if try r.readBool() {
                let options: UInt8 = try r.read()
                entry.pending = Pending(options: options, body: try r.readBlock(of: UInt8.self))
            }
            return entry
        }
        let free = try reader.readBlock(of: UInt32.self)
        slots = try Arena(places: places, free: free, of: "LSDB", at: reader.position)
        try index(at: reader.position)
        changes = try reader.readList { r throws(DecodeError) in
            let id = try DatabaseID(from: &r)
            let type = LSAType(rawValue: try r.read())
            let linkStateID: UInt32 = try r.read()
            return Change(
                database: id, key: LSAKey(type: type, linkStateID: linkStateID, advertisingRouter: try r.read()))
        }
        for change in changes {
            if let handle = handle(of: change.key, in: change.database) { slots[handle.raw]?.isNoted = true }
        }
        wheel = try AgeWheel(from: &reader, handles: slots.capacity)
    }

    /// Builds what follows from the slots: indices, counts, digest.
    private mutating func index(at position: Int) throws(DecodeError) {
        var order: [(id: DatabaseID, entry: KeyIndex.Entry)] = []
        for (i, slot) in slots.places.enumerated() {
            guard let slot else { continue }
            order.append((slot.database, KeyIndex.Entry(key: slot.lsa.key, handle: LSAHandle(UInt32(i)))))
            digest.add(Self.hash(slot))
            if !slot.isOwn { foreignCount += 1 }
        }
        guard order.count == slots.count else { throw DecodeError("LSDB", at: position, .badValue) }
        order.sort { $0.id != $1.id ? $0.id < $1.id : $0.entry.key < $1.entry.key }
        var start = 0
        while start < order.count {
            var end = start
            var database = Database(id: order[start].id)
            while end < order.count, order[end].id == database.id {
                if end > start, order[end].entry.key == order[end - 1].entry.key {
                    throw DecodeError("LSDB", at: position, .badValue)
                }
                let checksum = self[order[end].entry.handle]?.lsa.header.checksum ?? 0
                database.checksums &+= UInt32(checksum)
                end += 1
            }
            database.index = KeyIndex(sorted: order[start..<end].map(\.entry))
            databases.append(database)
            start = end
        }
    }
}
