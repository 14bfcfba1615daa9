import Machine
import Policy
import Wire

/// One address family of a `VRPTable`: prefixes with dense numbers, and for each a chain of payloads.
struct VRPFamilyTable<Key: PrefixKey>: Sendable {
    /// 16 octets without padding: the snapshot holds them as they are.
    struct Node: ArenaElement, Sendable, BitwiseCopyable {
        var origin: UInt32
        /// The next of the same prefix, by its number plus 1; 0: none.
        var next: UInt32
        /// Number of the prefix; `.max`: the node is free.
        var prefix: UInt32
        var maximumLength: UInt8
        /// Sets of sources, a bit for each: who says it in force, and what a step of each will change.
        var live: UInt8 = 0
        /// In a step of a whole part: the source says it. In another: the source's bit in `live` will be turned.
        var pending: UInt8 = 0
        /// The source's journal names it.
        var touched: UInt8 = 0

        var isVacant: Bool { prefix == .max }
        mutating func vacate() { prefix = .max }
    }

    private var prefixes: PrefixTable<Key>
    /// By number of the prefix: the first of its nodes plus 1; 0: none.
    private var heads: [UInt32] = []
    private var nodes = Arena<Node>()
    /// By source: nodes that its step has touched.
    private var journals: [[UInt32]] = Array(repeating: [], count: VRPTable.sourcesMaximum)
    /// By source: its step replaces all that it has.
    private var isWhole: [Bool] = Array(repeating: false, count: VRPTable.sourcesMaximum)
    /// By source, in force.
    private(set) var counts: [Int] = Array(repeating: 0, count: VRPTable.sourcesMaximum)
    /// Nodes that anybody says in force.
    private(set) var liveCount = 0
    private(set) var digest = StateDigest()
    /// Prefixes of payloads that came into force or went out of it since `takeChanges`. No part of the state: whoever
    /// changes the table takes them.
    private var changes: [Key] = []

    init(seed: UInt64) { prefixes = PrefixTable(seed: seed) }

    var nodeCount: Int { nodes.count }
    var journalCount: Int { journals.reduce(0) { $0 + $1.count } }

    // MARK: questions

    func validity(of prefix: Key, origin: UInt32?) -> OriginValidity {
        var isCovered = false
        var length = Int(prefix.length)
        while length >= 0 {
            defer { length -= 1 }
            guard prefixes.lengthCounts[length] != 0, let number = prefixes.find(Key(prefix.address, UInt8(length))) else {
                continue
            }
            var next = heads[Int(number)]
            while next != 0 {
                let node = nodes[Int(next - 1)]
                next = node.next
                guard node.live != 0 else { continue }
                isCovered = true
                // RFC 6811 §2: no route is matched by a payload of AS 0.
                if let origin, origin != 0, node.origin == origin, prefix.length <= node.maximumLength { return .valid }
            }
        }
        return isCovered ? .invalid : .notFound
    }

    func covering(_ prefix: Key) -> [VRP] {
        var found: [VRP] = []
        for length in stride(from: Int(prefix.length), through: 0, by: -1) where prefixes.lengthCounts[length] != 0 {
            if let number = prefixes.find(Key(prefix.address, UInt8(length))) { found += live(of: number) }
        }
        return found
    }

    var all: [VRP] { prefixes.ordered().flatMap { live(of: $0) } }

    private func live(of number: UInt32) -> [VRP] {
        var found: [VRP] = []
        var next = heads[Int(number)]
        while next != 0 {
            let node = nodes[Int(next - 1)]
            next = node.next
            if node.live != 0 {
                found.append(
                    VRP(prefix: prefixes[number].anyFamily, maximumLength: node.maximumLength, origin: node.origin))
            }
        }
        return found.sorted()
    }

    // MARK: steps

    mutating func begin(_ source: Int, isWhole: Bool) {
        rollback(source)
        self.isWhole[source] = isWhole
    }

    mutating func stage(
        _ prefix: Key, _ maximumLength: UInt8, _ origin: UInt32, isAnnounced: Bool, by source: Int, room: Int
    ) -> VRPTable.Staging {
        let mask = UInt8(1) << UInt8(source)
        let number: UInt32
        let (known, count) = prefixes.find(prefix).map { find($0, maximumLength, origin) } ?? (nil, 0)
        if let known {
            number = known
        } else {
            guard isAnnounced else { return .unknown }
            guard room > 0, count < VRPTable.perPrefixMaximum else { return .full }
            number = add(prefix, maximumLength, origin)
        }
        let place = Int(number)
        let before = isWhole[source] ? nodes[place].pending : nodes[place].pending ^ nodes[place].live
        guard (before & mask != 0) != isAnnounced else { return isAnnounced ? .duplicate : .unknown }
        nodes[place].pending ^= mask
        if nodes[place].pending & mask != 0 {
            digest.add(hash(place, source, staged: true))
        } else {
            digest.remove(hash(place, source, staged: true))
        }
        if nodes[place].touched & mask == 0 {
            nodes[place].touched |= mask
            journals[source].append(number)
        }
        return .done
    }

    mutating func commit(_ source: Int) {
        let mask = UInt8(1) << UInt8(source)
        if isWhole[source], counts[source] > 0 {
            // What was not said again is gone.
            for place in nodes.places.indices where nodes[place].live & mask != 0 && nodes[place].touched & mask == 0 {
                setLive(place, source, false)
                removeIfUnused(UInt32(place))
            }
        }
        let touched = takeJournal(source)
        for number in touched {
            let place = Int(number)
            let isPending = nodes[place].pending & mask != 0
            let isLive = nodes[place].live & mask != 0
            clear(place, source)
            setLive(place, source, isWhole[source] ? isPending : isLive != isPending)
            removeIfUnused(number)
        }
        isWhole[source] = false
    }

    mutating func rollback(_ source: Int) {
        let touched = takeJournal(source)
        for number in touched {
            clear(Int(number), source)
            removeIfUnused(number)
        }
        isWhole[source] = false
    }

    mutating func remove(_ source: Int, keepsStep: Bool) {
        if !keepsStep || !isWhole[source] { rollback(source) }
        guard counts[source] > 0 else { return }
        let mask = UInt8(1) << UInt8(source)
        for place in nodes.places.indices where nodes[place].live & mask != 0 {
            setLive(place, source, false)
            removeIfUnused(UInt32(place))
        }
    }

    private mutating func takeJournal(_ source: Int) -> [UInt32] {
        var taken: [UInt32] = []
        swap(&taken, &journals[source])
        return taken
    }

    /// Nothing is staged of the node by the source any more.
    private mutating func clear(_ place: Int, _ source: Int) {
        let mask = UInt8(1) << UInt8(source)
        if nodes[place].pending & mask != 0 { digest.remove(hash(place, source, staged: true)) }
        nodes[place].pending &= ~mask
        nodes[place].touched &= ~mask
    }

    private mutating func setLive(_ place: Int, _ source: Int, _ isLive: Bool) {
        let mask = UInt8(1) << UInt8(source)
        guard (nodes[place].live & mask != 0) != isLive else { return }
        let before = nodes[place].live
        nodes[place].live ^= mask
        if isLive {
            digest.add(hash(place, source, staged: false))
            counts[source] += 1
            if before == 0 {
                liveCount += 1
                noteChange(place)
            }
        } else {
            digest.remove(hash(place, source, staged: false))
            counts[source] -= 1
            if nodes[place].live == 0 {
                liveCount -= 1
                noteChange(place)
            }
        }
    }

    private mutating func noteChange(_ place: Int) {
        if changes.count <= VRPTable.changesMaximum { changes.append(prefixes[nodes[place].prefix]) }
    }

    /// Prefixes whose routes may be valid otherwise than before, with all under them; ascending. Everything, if these are many.
    mutating func takeChanges() -> [Key] {
        var taken: [Key] = []
        swap(&taken, &changes)
        if taken.count > VRPTable.changesMaximum { return [Key.everything] }
        taken.sort()
        var last: Key?
        taken.removeAll { key in
            defer { last = key }
            return last == key
        }
        return taken
    }

    private func hash(_ place: Int, _ source: Int, staged: Bool) -> UInt64 {
        let node = nodes[place]
        let content = UInt64(node.origin) << 32 | UInt64(node.maximumLength) << 16 | UInt64(source) << 8 | (staged ? 1 : 0)
        return Key.hash(prefixes[node.prefix].packed, seed: content)
    }

    // MARK: nodes

    /// The node, or how many others the prefix has.
    private func find(_ prefix: UInt32, _ maximumLength: UInt8, _ origin: UInt32) -> (node: UInt32?, count: Int) {
        var next = heads[Int(prefix)], count = 0
        while next != 0 {
            let node = nodes[Int(next - 1)]
            if node.origin == origin, node.maximumLength == maximumLength { return (next - 1, count) }
            next = node.next
            count += 1
        }
        return (nil, count)
    }

    private mutating func add(_ prefix: Key, _ maximumLength: UInt8, _ origin: UInt32) -> UInt32 {
        let number = prefixes.insert(prefix)
        if Int(number) == heads.count { heads.append(0) }
        let node = Node(origin: origin, next: heads[Int(number)], prefix: number, maximumLength: maximumLength)
        let place = nodes.insert(node)
        heads[Int(number)] = place + 1
        return place
    }

    private mutating func removeIfUnused(_ number: UInt32) {
        let node = nodes[Int(number)]
        guard node.live == 0, node.touched == 0 else { return }
        let prefix = Int(node.prefix)
        if heads[prefix] == number + 1 {
            heads[prefix] = node.next
        } else {
            var at = Int(heads[prefix] - 1)
            while nodes[at].next != number + 1 { at = Int(nodes[at].next - 1) }
            nodes[at].next = node.next
        }
        if heads[prefix] == 0 { prefixes.remove(node.prefix) }
        nodes.remove(number)
    }
}

extension VRPFamilyTable: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        prefixes.write(to: &writer)
        writer.writeBlock(heads)
        writer.writeBlock(nodes.places)
        writer.writeBlock(nodes.free)
        writer.writeList(journals) { journal, w in w.writeBlock(journal) }
        writer.writeList(isWhole) { isWhole, w in w.write(isWhole) }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        prefixes = try PrefixTable(from: &reader)
        heads = try reader.readBlock(of: UInt32.self)
        let places = try reader.readBlock(of: Node.self)
        let free = try reader.readBlock(of: UInt32.self)
        nodes = try Arena(places: places, free: free, of: "validated payloads", at: reader.position)
        journals = try reader.readList { r throws(DecodeError) in try r.readBlock(of: UInt32.self) }
        isWhole = try reader.readList { r throws(DecodeError) in try r.readBool() }
        let refused = DecodeError("validated payloads", at: reader.position, .badValue)
        guard heads.count == prefixes.capacity, journals.count == VRPTable.sourcesMaximum,
            isWhole.count == VRPTable.sourcesMaximum
        else { throw refused }
        // What the rest of the code takes for granted must hold for any bytes: every node that is not free hangs in the chain
        // of its prefix, once.
        var reached = 0
        for number in heads.indices {
            var next = heads[number]
            guard (next != 0) == prefixes.isPresent(UInt32(number)) else { throw refused }
            while next != 0 {
                guard nodes.isPresent(next - 1), reached < nodes.count else { throw refused }
                let node = nodes[Int(next - 1)]
                guard node.prefix == UInt32(number), node.live | node.touched != 0, node.pending & ~node.touched == 0,
                    node.maximumLength <= Key.lengthMaximum, node.maximumLength >= prefixes[UInt32(number)].length
                else { throw refused }
                reached += 1
                next = node.next
            }
        }
        guard reached == nodes.count else { throw refused }
        // A prefix that its own hash does not lead to could never be taken out again.
        for number in heads.indices where heads[number] != 0 {
            guard prefixes.find(prefixes[UInt32(number)]) == UInt32(number) else { throw refused }
        }
        var touched = 0
        for (source, journal) in journals.enumerated() {
            for number in journal {
                guard nodes.isPresent(number), nodes[Int(number)].touched & 1 << UInt8(source) != 0
                else { throw refused }
            }
            touched += journal.count
        }
        for place in nodes.places.indices where !nodes[place].isVacant {
            touched -= nodes[place].touched.nonzeroBitCount
            if nodes[place].live != 0 { liveCount += 1 }
            for source in 0..<VRPTable.sourcesMaximum {
                if nodes[place].live & 1 << UInt8(source) != 0 {
                    counts[source] += 1
                    digest.add(hash(place, source, staged: false))
                }
                if nodes[place].pending & 1 << UInt8(source) != 0 { digest.add(hash(place, source, staged: true)) }
            }
        }
        guard touched == 0 else { throw refused }
    }
}
