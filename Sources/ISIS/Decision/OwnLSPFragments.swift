import Machine
import Wire

/// The contents of one node of ours, cut into LSPs (ISO 10589 §7.3.4.6) so that a change touches as few of them as can be:
/// what stays, stays in the LSP that it is in; what is new goes to the first that has room; what goes leaves a hole.
/// The place of an item depends on history, so it is state.
public struct OwnLSPFragments: Sendable {
    /// What an LSP must say from now on.
    public struct Change: Equatable, Sendable {
        /// LSP number.
        public var fragment: UInt8
        public var flags: LSPHeader.Flags
        /// TLVs; `nil`: it has nothing left to say and is to be purged.
        public var body: [UInt8]?
    }

    /// A neighbour or prefix in the TLV that carries it.
    enum Item: Hashable, Sendable {
        case neighbor(NeighborReach)
        case ipv4(IPv4Reach)
        case ipv6(IPv6Reach)
    }

    struct Placed: Sendable, Equatable {
        var item: Item
        var fragment: UInt8
    }

    public let node: NodeID
    /// Ascending.
    private(set) var placed: [Placed] = []
    /// The part of LSP number zero that comes before any item.
    private var fixed: [UInt8] = []
    private var flags: LSPHeader.Flags = []
    /// Octets of TLVs that an LSP holds.
    private var room = 0
    /// By LSP number, as they were told last; derived from the above.
    private var bodies: [[UInt8]?] = []
    /// Items for which 256 LSPs have no room: the last in order, which are prefixes.
    public private(set) var omitted = 0

    static let fragmentsMaximum = 256
    /// No item is larger: an IPv6 prefix with tag and flags takes 32.
    private static let itemMaximum = 40

    public init(node: NodeID) { self.node = node }

    /// How many LSPs there are.
    public var count: Int { bodies.reduce(0) { $0 + ($1 == nil ? 0 : 1) } }
    /// What an LSP says now; `nil` when there is none of this number.
    public func body(_ fragment: UInt8) -> [UInt8]? { Int(fragment) < bodies.count ? bodies[Int(fragment)] : nil }
    public func flags(_ fragment: UInt8) -> LSPHeader.Flags {
        fragment == 0 ? flags : flags.intersection(.level2)
    }

    /// Puts new contents in place of the old.
    ///
    /// - Parameter bodyMaximum: octets of TLVs that an LSP holds, from `LSPBuilder.bodyMaximum`; at least 256.
    /// - Returns: what changes, ascending by LSP number.
    public mutating func update(_ contents: OwnLSPContents, bodyMaximum: Int) -> [Change] {
        let items = Self.items(contents)
        let newFixed = Self.encodeFixed(contents, room: bodyMaximum)
        var isDirty = [Bool](repeating: false, count: Self.fragmentsMaximum)
        if newFixed != fixed || contents.flags != flags || bodies.isEmpty { isDirty[0] = true }
        let flagsChanged = contents.flags != flags
        let typeChanged = contents.flags.intersection(.level2) != flags.intersection(.level2)
        fixed = newFixed
        flags = contents.flags
        room = bodyMaximum
        place(items, &isDirty)
        if typeChanged { for fragment in bodies.indices where bodies[fragment] != nil { isDirty[fragment] = true } }
        return encode(isDirty, flagsChanged: flagsChanged, typeChanged: typeChanged)
    }

    // MARK: placing

    private mutating func place(_ items: [Item], _ isDirty: inout [Bool]) {
        var load = FragmentLoad(fixed: fixed.count, room: room)
        var result: [Placed] = []
        result.reserveCapacity(items.count)
        var homeless: [Item] = []
        // Both lists ascend: what is in both stays where it is, even when its metric is another now.
        var old = 0
        for item in items {
            while old < placed.count, placed[old].item.isIdentityLess(item) {
                isDirty[Int(placed[old].fragment)] = true
                old += 1
            }
            if old < placed.count, !item.isIdentityLess(placed[old].item) {
                let was = placed[old]
                old += 1
                if was.item != item { isDirty[Int(was.fragment)] = true }
                if load.add(item, to: Int(was.fragment)) {
                    result.append(Placed(item: item, fragment: was.fragment))
                } else {
                    isDirty[Int(was.fragment)] = true
                    homeless.append(item)
                }
            } else {
                homeless.append(item)
            }
        }
        while old < placed.count {
            isDirty[Int(placed[old].fragment)] = true
            old += 1
        }
        omitted = 0
        var first = 0
        var added: [Placed] = []
        for item in homeless {
            while first < Self.fragmentsMaximum, load.isFull(first, for: Self.itemMaximum) { first += 1 }
            var fragment = first
            while fragment < Self.fragmentsMaximum, !load.add(item, to: fragment) { fragment += 1 }
            guard fragment < Self.fragmentsMaximum else {
                omitted += 1
                continue
            }
            isDirty[fragment] = true
            added.append(Placed(item: item, fragment: UInt8(fragment)))
        }
        placed = Self.merge(result, added)
    }

    private static func merge(_ a: [Placed], _ b: [Placed]) -> [Placed] {
        if b.isEmpty { return a }
        var merged: [Placed] = []
        merged.reserveCapacity(a.count + b.count)
        var i = 0, j = 0
        while i < a.count || j < b.count {
            if j == b.count || i < a.count && a[i].item < b[j].item {
                merged.append(a[i])
                i += 1
            } else {
                merged.append(b[j])
                j += 1
            }
        }
        return merged
    }

    private static func items(_ contents: OwnLSPContents) -> [Item] {
        var items: [Item] = []
        items.reserveCapacity(contents.neighbors.count + contents.ipv4.count + contents.ipv6.count)
        for reach in contents.neighbors { items.append(.neighbor(reach)) }
        for reach in contents.ipv4 { items.append(.ipv4(reach)) }
        for reach in contents.ipv6 { items.append(.ipv6(reach)) }
        items.sort()
        return items
    }

    // MARK: encoding

    private mutating func encode(_ isDirty: [Bool], flagsChanged: Bool, typeChanged: Bool) -> [Change] {
        if bodies.isEmpty { bodies = [[UInt8]?](repeating: nil, count: Self.fragmentsMaximum) }
        var members = [[Int]](repeating: [], count: Self.fragmentsMaximum)
        for (i, entry) in placed.enumerated() where isDirty[Int(entry.fragment)] { members[Int(entry.fragment)].append(i) }
        var changes: [Change] = []
        for fragment in isDirty.indices where isDirty[fragment] {
            // LSP number zero is there as long as the node is (ISO 10589 §7.3.4.6).
            let body: [UInt8]? =
                fragment == 0 || !members[fragment].isEmpty
                ? encode(members[fragment], isZero: fragment == 0) : nil
            let isNews = body != bodies[fragment] || typeChanged || fragment == 0 && flagsChanged
            bodies[fragment] = body
            guard isNews else { continue }
            changes.append(Change(fragment: UInt8(fragment), flags: flags(UInt8(fragment)), body: body))
        }
        return changes
    }

    private func encode(_ members: [Int], isZero: Bool) -> [UInt8] {
        var writer = ByteWriter(capacity: room)
        if isZero { writer.append(fixed) }
        var i = 0
        while i < members.count {
            let (code, topology) = (placed[members[i]].item.code, placed[members[i]].item.topology)
            TLV.write(code, into: &writer) { writer in
                var left = TLV.valueMaximum
                if code == TLVCode.isNeighbors {
                    writer.u8(0)
                    left -= 1
                }
                if topology != 0 {
                    writer.u16(topology)
                    left -= 2
                }
                while i < members.count {
                    let item = placed[members[i]].item
                    guard item.code == code, item.topology == topology, item.octets <= left else { return }
                    left -= item.octets
                    item.write(into: &writer)
                    i += 1
                }
            }
        }
        return writer.bytes
    }

    /// TLVs that appear once, in LSP number zero; of addresses, as many as there is room for.
    private static func encodeFixed(_ contents: OwnLSPContents, room: Int) -> [UInt8] {
        var writer = ByteWriter()
        TLV.writeAreas(contents.areas, into: &writer)
        TLV.writeList(TLVCode.protocolsSupported, contents.protocols, octets: { _ in 1 }, into: &writer) { $1.u8($0) }
        TLV.writeList(TLVCode.multiTopology, contents.topologies, octets: { _ in 2 }, into: &writer) { $1.u16($0.field) }
        if writer.count + 2 + contents.hostname.utf8.count <= room {
            LSPContents.writeHostname(contents.hostname, into: &writer)
        }
        let left = room - writer.count
        let ipv4 = contents.ipv4Addresses.prefix(max(0, min(63, (left - 2) / 4)))
        TLV.writeList(TLVCode.ipInterfaceAddresses, Array(ipv4), octets: { _ in 4 }, into: &writer) { $1.ipv4($0) }
        let ipv6 = contents.ipv6Addresses.prefix(max(0, min(15, (room - writer.count - 2) / 16)))
        TLV.writeList(TLVCode.ipv6InterfaceAddresses, Array(ipv6), octets: { _ in 16 }, into: &writer) { $1.ipv6($0) }
        return writer.bytes
    }
}

/// How full each LSP is, by an upper bound that needs no encoding: the items of one TLV code fill at least 211 octets of
/// each of its TLVs but the last.
private struct FragmentLoad {
    private static let codes = 9
    private static let filledAtLeast = 211
    private static let header = 4
    private let room: Int
    /// By LSP number and code: octets of items.
    private var sums: [Int32]
    private var used: [Int32]

    init(fixed: Int, room: Int) {
        self.room = room
        sums = [Int32](repeating: 0, count: OwnLSPFragments.fragmentsMaximum * Self.codes)
        used = [Int32](repeating: 0, count: OwnLSPFragments.fragmentsMaximum)
        used[0] = Int32(clamping: fixed)
    }

    private static func cost(_ sum: Int) -> Int { sum == 0 ? 0 : sum + header * (sum / filledAtLeast + 1) }

    func isFull(_ fragment: Int, for octets: Int) -> Bool { Int(used[fragment]) + octets + Self.header > room }

    /// Adds the item when it fits.
    mutating func add(_ item: OwnLSPFragments.Item, to fragment: Int) -> Bool {
        let at = fragment * Self.codes + item.codeIndex
        let before = Int(sums[at])
        let after = before + item.octets
        let total = Int(used[fragment]) - Self.cost(before) + Self.cost(after)
        guard total <= room else { return false }
        sums[at] = Int32(after)
        used[fragment] = Int32(total)
        return true
    }
}

extension OwnLSPFragments.Item: Comparable {
    var code: UInt8 {
        switch self {
        case .neighbor(let reach):
            reach.isNarrow
                ? TLVCode.isNeighbors
                : reach.topology == 0 ? TLVCode.extendedISReachability : TLVCode.mtISReachability
        case .ipv4(let reach):
            reach.flags.contains(.narrow)
                ? (reach.flags.contains(.external) ? TLVCode.ipExternalReachability : TLVCode.ipInternalReachability)
                : reach.topology == 0 ? TLVCode.extendedIPReachability : TLVCode.mtIPReachability
        case .ipv6(let reach): reach.topology == 0 ? TLVCode.ipv6Reachability : TLVCode.mtIPv6Reachability
        }
    }
    /// Links before prefixes, so that what has no room is never a link.
    var codeIndex: Int {
        switch code {
        case TLVCode.isNeighbors: 0
        case TLVCode.extendedISReachability: 1
        case TLVCode.mtISReachability: 2
        case TLVCode.ipInternalReachability: 3
        case TLVCode.extendedIPReachability: 4
        case TLVCode.mtIPReachability: 5
        case TLVCode.ipv6Reachability: 6
        case TLVCode.mtIPv6Reachability: 7
        default: 8
        }
    }
    var topology: UInt16 {
        switch self {
        case .neighbor(let reach): reach.topology
        case .ipv4(let reach): reach.topology
        case .ipv6(let reach): reach.topology
        }
    }

    /// Octets within the TLV.
    var octets: Int {
        switch self {
        case .neighbor: 11
        case .ipv4(let reach):
            reach.flags.contains(.narrow)
                ? 12
                : 5 + (Int(reach.prefix.length) + 7) / 8 + Self.subTLVOctets(reach.tag, reach.flags)
        case .ipv6(let reach):
            6 + (Int(reach.prefix.length) + 7) / 8 + Self.subTLVOctets(reach.tag, reach.flags.subtracting(.external))
        }
    }
    private static func subTLVOctets(_ tag: UInt32, _ flags: ReachFlags) -> Int {
        let sub = (tag == 0 ? 0 : 6) + (flags.isDisjoint(with: [.external, .readvertised, .node]) ? 0 : 3)
        return sub == 0 ? 0 : sub + 1
    }

    func write(into writer: inout ByteWriter) {
        switch self {
        case .neighbor(let reach):
            if reach.isNarrow {
                Reachability.writeNarrow(reach, into: &writer)
            } else {
                Reachability.writeWide(reach, into: &writer)
            }
        case .ipv4(let reach):
            if reach.flags.contains(.narrow) {
                Reachability.writeNarrow(reach, into: &writer)
            } else {
                Reachability.writeWide(reach, into: &writer)
            }
        case .ipv6(let reach): Reachability.write(reach, into: &writer)
        }
    }

    /// The order of what is announced, whatever is said of it.
    func isIdentityLess(_ other: Self) -> Bool {
        if codeIndex != other.codeIndex { return codeIndex < other.codeIndex }
        if topology != other.topology { return topology < other.topology }
        switch (self, other) {
        case (.neighbor(let a), .neighbor(let b)): return a.node < b.node
        case (.ipv4(let a), .ipv4(let b)): return a.prefix < b.prefix
        case (.ipv6(let a), .ipv6(let b)): return a.prefix < b.prefix
        default: return false
        }
    }

    static func < (a: Self, b: Self) -> Bool {
        if a.isIdentityLess(b) { return true }
        if b.isIdentityLess(a) { return false }
        switch (a, b) {
        case (.neighbor(let a), .neighbor(let b)): return a < b
        case (.ipv4(let a), .ipv4(let b)): return a < b
        case (.ipv6(let a), .ipv6(let b)): return a < b
        default: return false
        }
    }
}

extension OwnLSPFragments: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(node.raw)
        writer.write(!bodies.isEmpty)
        writer.write(UInt64(room))
        writer.write(flags.rawValue)
        writer.write(UInt64(omitted))
        writer.writeBlock(fixed)
        writer.writeList(placed) { entry, w in
            w.write(entry.fragment)
            entry.item.write(to: &w)
        }
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        node = NodeID(raw: try reader.read())
        let wasUpdated = try reader.readBool()
        room = Int(clamping: try reader.read(UInt64.self))
        flags = LSPHeader.Flags(rawValue: try reader.read())
        omitted = Int(clamping: try reader.read(UInt64.self))
        fixed = try reader.readBlock(of: UInt8.self)
        placed = try reader.readList { r throws(DecodeError) in
            let fragment: UInt8 = try r.read()
            return Placed(item: try Item(from: &r), fragment: fragment)
        }
        guard room <= 65_535 else { throw DecodeError("LSP room", at: reader.position, .badValue) }
        guard wasUpdated else { return }
        var isDirty = [Bool](repeating: false, count: Self.fragmentsMaximum)
        isDirty[0] = true
        for entry in placed { isDirty[Int(entry.fragment)] = true }
        _ = encode(isDirty, flagsChanged: true, typeChanged: true)
    }
}

extension OwnLSPFragments.Item {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .neighbor(let reach):
            writer.write(UInt8(0))
            writer.write(reach.node.raw)
            writer.write(reach.metric)
            writer.write(reach.topology)
            writer.write(reach.isNarrow)
        case .ipv4(let reach):
            writer.write(UInt8(1))
            writer.write(reach.prefix.packed)
            writer.writeAttributes(reach)
        case .ipv6(let reach):
            writer.write(UInt8(2))
            writer.write(reach.prefix.address.high)
            writer.write(reach.prefix.address.low)
            writer.write(reach.prefix.length)
            writer.writeAttributes(reach)
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(DecodeError) {
        switch try reader.read(UInt8.self) {
        case 0:
            let node = NodeID(raw: try reader.read())
            let metric: UInt32 = try reader.read()
            let topology: UInt16 = try reader.read()
            self = .neighbor(NeighborReach(node, metric: metric, topology: topology, isNarrow: try reader.readBool()))
        case 1:
            let packed: UInt64 = try reader.read()
            guard packed & 0xff <= 32 else { throw DecodeError("prefix length", at: reader.position, .badValue) }
            self = .ipv4(try reader.readAttributes(of: IPv4Prefix(packed: packed)))
        case 2:
            let high: UInt64 = try reader.read()
            let low: UInt64 = try reader.read()
            let length: UInt8 = try reader.read()
            guard length <= 128 else { throw DecodeError("prefix length", at: reader.position, .badValue) }
            self = .ipv6(try reader.readAttributes(of: IPv6Prefix(IPv6Address(high: high, low: low), length)))
        default: throw DecodeError("LSP item", at: reader.position, .badValue)
        }
    }
}

extension SnapshotWriter {
    mutating func writeAttributes<Key>(_ reach: PrefixReach<Key>) {
        write(reach.metric)
        write(reach.tag)
        write(reach.topology)
        write(reach.flags.rawValue)
    }
}

extension SnapshotReader {
    mutating func readAttributes<Key>(of prefix: Key) throws(DecodeError) -> PrefixReach<Key> {
        let metric: UInt32 = try read()
        let tag: UInt32 = try read()
        let topology: UInt16 = try read()
        return PrefixReach(
            prefix, metric: metric, flags: ReachFlags(rawValue: try read()), tag: tag, topology: topology)
    }
}
