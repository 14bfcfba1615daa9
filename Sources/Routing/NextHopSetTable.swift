import Machine
import Records
import Wire

/// Where packets of a route go: a router, or several that share the load, and what takes their place at once when none
/// of them leads anywhere any more.
public struct NextHopSet: Hashable, Sendable {
    /// Ascending, without duplicates, at least one.
    public var nextHops: [NextHop]
    /// The same; empty for none.
    public var backup: [NextHop]

    public init(_ nextHops: [NextHop], backup: [NextHop] = []) {
        self.nextHops = nextHops
        self.backup = backup
    }

    var digestHash: UInt64 {
        var hash = UInt64(nextHops.count)
        for nextHop in nextHops { hash = seededHash(hash, nextHop.digestHash, seed: 1) }
        for nextHop in backup { hash = seededHash(hash, nextHop.digestHash, seed: 2) }
        return hash
    }
}

/// Sets of next hops with small numbers and counted uses, so that a route holds 32 bits; and what each set means on the
/// wire now. Routes name a set, and the forwarding table's groups are the sets: when the way to a next hop changes, the
/// sets that hold it change and no route does.
struct NextHopSetTable<Key: PrefixKey>: Sendable {
    /// A set of the kind that nearly all routes of a full table have, without an array to allocate and hash.
    struct Pair: Hashable, Sendable {
        var primary: Key.Address
        /// Equal to `primary` for none.
        var backup: Key.Address

        var set: NextHopSet {
            NextHopSet(
                [.gateway(Key.address(primary))], backup: backup == primary ? [] : [.gateway(Key.address(backup))])
        }
    }

    private(set) var sets: [NextHopSet] = []
    /// Offers that name the set; 0 where the number is free.
    private var uses: [UInt32] = []
    /// Ascending; empty: packets are dropped.
    private(set) var resolved: [[FIBNextHop]] = []
    /// Freed numbers, the one freed first in front. A number rests before it is given again, so that within one
    /// update of a kernel it does not mean two things.
    private var free = Queue<UInt32>()
    static var rest: Int { 64 }

    // Looked up, never iterated.
    private var numbers: [NextHopSet: UInt32] = [:]
    private var pairs: [Pair: UInt32] = [:]

    // What the forwarding table is still to hear. No part of the state: it is empty whenever a snapshot is taken.
    private var isChanged: [Bool] = []
    private var changed: [UInt32] = []
    private var isAnnounced: [Bool] = []
    private var gone: [UInt32] = []

    /// Of the sets in use and their resolution.
    private(set) var digest = StateDigest()

    init() {}

    var capacity: Int { sets.count }
    func uses(of number: UInt32) -> UInt32 { uses[Int(number)] }
    func isPresent(_ number: UInt32) -> Bool { Int(number) < uses.count && uses[Int(number)] > 0 }

    // MARK: uses

    @inline(__always)
    mutating func retain(_ number: UInt32) { uses[Int(number)] &+= 1 }

    /// The number of the set, with one use more. `isNew`: it has to be resolved.
    mutating func retain(_ set: NextHopSet) -> (number: UInt32, isNew: Bool) {
        if let number = numbers[set] {
            retain(number)
            return (number, false)
        }
        return (add(set), true)
    }

    @inline(__always)
    mutating func retain(_ pair: Pair) -> (number: UInt32, isNew: Bool) {
        if let number = pairs[pair] {
            retain(number)
            return (number, false)
        }
        return retain(pair.set)
    }

    private mutating func add(_ set: NextHopSet) -> UInt32 {
        let number: UInt32
        if free.count >= Self.rest, let rested = free.popFirst() {
            number = rested
            sets[Int(number)] = set
            uses[Int(number)] = 1
            resolved[Int(number)] = []
        } else {
            number = UInt32(sets.count)
            sets.append(set)
            uses.append(1)
            resolved.append([])
            isChanged.append(false)
            isAnnounced.append(false)
        }
        remember(set, number)
        digest.add(hash(number))
        change(number)
        return number
    }

    private mutating func remember(_ set: NextHopSet, _ number: UInt32) {
        numbers[set] = number
        if let pair = Self.pair(set) { pairs[pair] = number }
    }

    private static func pair(_ set: NextHopSet) -> Pair? {
        guard set.nextHops.count == 1, set.backup.count <= 1, case .gateway(let address) = set.nextHops[0],
            let primary = Key.own(address)
        else { return nil }
        guard let second = set.backup.first else { return Pair(primary: primary, backup: primary) }
        guard case .gateway(let address) = second, let backup = Key.own(address) else { return nil }
        return Pair(primary: primary, backup: backup)
    }

    /// `true` when that was the last use: the number is free and what the set held may be let go.
    @inline(__always)
    mutating func release(_ number: UInt32) -> Bool {
        uses[Int(number)] &-= 1
        return uses[Int(number)] == 0
    }

    /// After `release` said so; returns what the set was.
    mutating func remove(_ number: UInt32) -> NextHopSet {
        let set = sets[Int(number)]
        digest.remove(hash(number))
        numbers[set] = nil
        if let pair = Self.pair(set) { pairs[pair] = nil }
        sets[Int(number)] = NextHopSet([])
        resolved[Int(number)] = []
        free.append(number)
        if isAnnounced[Int(number)] {
            isAnnounced[Int(number)] = false
            gone.append(number)
        }
        return set
    }

    // MARK: resolution

    mutating func resolve(_ number: UInt32, to hops: [FIBNextHop]) {
        if resolved[Int(number)] == hops { return }
        digest.remove(hash(number))
        resolved[Int(number)] = hops
        digest.add(hash(number))
        change(number)
    }

    private mutating func change(_ number: UInt32) {
        if isChanged[Int(number)] { return }
        isChanged[Int(number)] = true
        changed.append(number)
    }

    private func hash(_ number: UInt32) -> UInt64 {
        var hash = seededHash(UInt64(number), sets[Int(number)].digestHash, seed: 0x6872_6f75)
        for hop in resolved[Int(number)] {
            hash = seededHash(hash, UInt64(hop.interface.value) << 8 | UInt64(hop.weight), seed: hop.gateway?.digestHash ?? 0)
        }
        return hash
    }

    // MARK: forwarding table

    /// The number by which a kernel knows the group: the families' numbers do not meet.
    static func group(_ number: UInt32) -> UInt32 { number << 1 &+ (Key.family == .ipv4 ? 1 : 2) }

    mutating func takeChanges(into update: inout FIBUpdate) {
        if !changed.isEmpty {
            changed.sort()
            for number in changed {
                isChanged[Int(number)] = false
                guard isPresent(number) else { continue }
                isAnnounced[Int(number)] = true
                update.groups.append(FIBUpdate.Group(id: Self.group(number), nextHops: resolved[Int(number)]))
            }
            changed.removeAll(keepingCapacity: changed.count < 4096)
        }
        if !gone.isEmpty {
            gone.sort()
            var last: UInt32? = nil
            for number in gone where number != last {
                last = number
                if !isPresent(number) { update.removedGroups.append(Self.group(number)) }
            }
            gone.removeAll(keepingCapacity: gone.count < 4096)
        }
    }

    func fillComplete(_ update: inout FIBUpdate) {
        for number in sets.indices where uses[number] > 0 {
            update.groups.append(FIBUpdate.Group(id: Self.group(UInt32(number)), nextHops: resolved[number]))
        }
    }

    /// Every number with a use, ascending.
    var present: [UInt32] { uses.indices.filter { uses[$0] > 0 }.map { UInt32($0) } }
}

extension NextHopSetTable {
    /// Numbers, and the order in which freed ones come again. Uses are counted again from the routes, and what sets mean
    /// is worked out again from the table.
    func write(to writer: inout SnapshotWriter) {
        writer.writeList(sets.indices) { number, w in
            w.write(uses[number] > 0)
            guard uses[number] > 0 else { return }
            w.writeList(sets[number].nextHops) { $0.write(to: &$1) }
            w.writeList(sets[number].backup) { $0.write(to: &$1) }
        }
        writer.writeBlock(Array(free))
    }

    /// - Parameter uses: by number, counted from the routes.
    init(from reader: inout SnapshotReader, uses counted: (Int) throws(DecodeError) -> [UInt32]) throws(DecodeError) {
        sets = try reader.readList { r throws(DecodeError) in
            guard try r.readBool() else { return NextHopSet([]) }
            return NextHopSet(
                try r.readList { r throws(DecodeError) in try NextHop(from: &r) },
                backup: try r.readList { r throws(DecodeError) in try NextHop(from: &r) })
        }
        free = Queue(try reader.readBlock(of: UInt32.self))
        uses = try counted(sets.count)
        let refused = DecodeError("next hop sets", at: reader.position, .badValue)
        var isFree = [Bool](repeating: false, count: sets.count)
        for number in free {
            guard Int(number) < sets.count, !isFree[Int(number)] else { throw refused }
            isFree[Int(number)] = true
        }
        resolved = [[FIBNextHop]](repeating: [], count: sets.count)
        isChanged = [Bool](repeating: false, count: sets.count)
        isAnnounced = uses.map { $0 > 0 }
        for number in sets.indices {
            guard isFree[number] == (uses[number] == 0), isFree[number] == sets[number].nextHops.isEmpty,
                numbers[sets[number]] == nil
            else { throw refused }
            if isFree[number] { continue }
            remember(sets[number], UInt32(number))
            digest.add(hash(UInt32(number)))
        }
    }

    /// After a restore: what was worked out again is no news.
    mutating func forgetChanges() {
        for number in changed { isChanged[Int(number)] = false }
        changed.removeAll()
        gone.removeAll()
    }
}
