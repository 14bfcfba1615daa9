import Machine
import Routing
import Wire

/// Next hops that routes of all families use, counted, with what the router knows of the way there (RFC 4271 §9.1.2.1).
///
/// Number 0 is the router itself: always reachable at no cost.
struct NextHopTable: Sendable {
    /// 32 octets, no padding. IPv4 lies in `low`.
    struct Entry: BitwiseCopyable, Sendable {
        var high: UInt64
        var low: UInt64
        /// Attribute sets with this next hop; 0 in a free entry.
        var references: UInt32
        /// `unreachable`, or the cost.
        var metric: UInt32
        var flags: UInt32
        /// In a free entry: the next one + 1.
        var nextFree: UInt32
        @inline(__always) var isIPv6: Bool { flags & NextHopTable.isIPv6 != 0 }
    }
    static let unreachable = UInt32.max
    private static let isIPv6: UInt32 = 1
    /// Nobody told us yet. Prefixes announced meanwhile are remembered one by one (`FamilyRIB.awaiting`), so that the
    /// answer, which comes soon, needs no look at all routes.
    private static let isNew: UInt32 = 2

    private(set) var entries: [Entry]
    private var index = HashIndex()
    private var freeHead: UInt32 = 0
    /// Numbers that came since the last `resolveNew`.
    private var new: [UInt32] = []
    /// Numbers that the last `resolveNew` found unreachable; a better answer may still come before the next one.
    private var unanswered: [UInt32] = []
    let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
        entries = [Entry(high: 0, low: 0, references: 1, metric: 0, flags: 0, nextFree: 0)]
    }

    private func hash(_ entry: Entry) -> UInt64 { seededHash(entry.high, entry.low ^ UInt64(entry.flags & 1) << 63, seed: seed) }
    private static func key(_ address: IPAddress) -> Entry {
        switch address {
        case .v4(let a): Entry(high: 0, low: UInt64(a.raw), references: 0, metric: unreachable, flags: 0, nextFree: 0)
        case .v6(let a):
            Entry(high: a.high, low: a.low, references: 0, metric: unreachable, flags: isIPv6, nextFree: 0)
        }
    }

    func find(_ address: IPAddress) -> UInt32? { find(Self.key(address)) }
    private func find(_ key: Entry) -> UInt32? {
        index.find(hash(key)) {
            let e = entries[Int($0)]
            return e.high == key.high && e.low == key.low && e.flags & 1 == key.flags & 1
        }
    }

    /// Counts one use more. The unspecified address is the router itself.
    mutating func retain(_ address: IPAddress) -> UInt32 {
        var key = Self.key(address)
        if key.high == 0, key.low == 0 { return 0 }
        if let number = find(key) {
            entries[Int(number)].references += 1
            return number
        }
        key.references = 1
        key.flags |= Self.isNew
        let number: UInt32
        if freeHead != 0 {
            number = freeHead - 1
            freeHead = entries[Int(number)].nextFree
            entries[Int(number)] = key
        } else {
            number = UInt32(entries.count)
            entries.append(key)
        }
        let hash = hash(key)
        index.insert(number, hash: hash) { [entries, seed] in
            seededHash(entries[Int($0)].high, entries[Int($0)].low ^ UInt64(entries[Int($0)].flags & 1) << 63, seed: seed)
        }
        new.append(number)
        return number
    }

    mutating func release(_ number: UInt32) {
        if number == 0 { return }
        entries[Int(number)].references -= 1
        if entries[Int(number)].references > 0 { return }
        let hash = hash(entries[Int(number)])
        index.remove(number, hash: hash) { [entries, seed] in
            seededHash(entries[Int($0)].high, entries[Int($0)].low ^ UInt64(entries[Int($0)].flags & 1) << 63, seed: seed)
        }
        entries[Int(number)] = Entry(high: 0, low: 0, references: 0, metric: Self.unreachable, flags: 0, nextFree: freeHead)
        freeHead = number + 1
    }

    @inline(__always)
    func metric(_ number: UInt32) -> UInt32 { entries[Int(number)].metric }

    func address(_ number: UInt32) -> IPAddress {
        let e = entries[Int(number)]
        if e.flags & Self.isIPv6 != 0 { return .v6(IPv6Address(high: e.high, low: e.low)) }
        return .v4(IPv4Address(raw: UInt32(truncatingIfNeeded: e.low)))
    }

    /// Whether any next hop is new; asked before `isNew` because it nearly always says no.
    @inline(__always) var mayBeNew: Bool { !new.isEmpty || !unanswered.isEmpty }
    @inline(__always) func isNew(_ number: UInt32) -> Bool { entries[Int(number)].flags & Self.isNew != 0 }

    enum Consequence {
        case nothing
        /// Prefixes that were announced while it was new.
        case awaiting
        /// Any route.
        case all
    }

    /// Sets what is known; returns which routes may be touched by it.
    mutating func set(_ number: UInt32, _ state: NextHopState) -> Consequence {
        let metric =
            switch state {
            case .unreachable: Self.unreachable
            case .reachable(let metric): min(metric, Self.unreachable - 1)
            }
        if entries[Int(number)].metric == metric { return .nothing }
        let wasNew = isNew(number)
        entries[Int(number)].metric = metric
        entries[Int(number)].flags &= Self.isIPv6
        return wasNew ? .awaiting : .all
    }

    var hasNew: Bool { !new.isEmpty }
    /// Next hops that came since the last call. Those of the call before that found no way stop being new.
    mutating func takeNew() -> [UInt32] {
        let taken = new.filter { entries[Int($0)].references > 0 && isNew($0) }
        new.removeAll(keepingCapacity: true)
        for number in unanswered { entries[Int(number)].flags &= Self.isIPv6 }
        for number in taken { entries[Int(number)].flags |= Self.isNew }
        unanswered = taken
        return taken
    }

    /// In ascending order.
    var addresses: [IPAddress] {
        entries.indices.dropFirst().filter { entries[$0].references > 0 }.map { address(UInt32($0)) }.sorted()
    }
}

extension NextHopTable: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.write(seed)
        writer.writeBlock(entries)
        index.write(to: &writer)
        writer.write(freeHead)
        writer.writeBlock(new)
        writer.writeBlock(unanswered)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        seed = try reader.read()
        entries = try reader.readBlock(of: Entry.self)
        index = try HashIndex(from: &reader)
        freeHead = try reader.read()
        new = try reader.readBlock(of: UInt32.self)
        unanswered = try reader.readBlock(of: UInt32.self)
        let refused = DecodeError("next hops", at: reader.position, .badValue)
        guard !entries.isEmpty, index.isWithin(entries.count), Int(freeHead) <= entries.count else { throw refused }
        for number in new + unanswered where Int(number) >= entries.count { throw refused }
        for entry in entries where Int(entry.nextFree) > entries.count { throw refused }
    }
}
