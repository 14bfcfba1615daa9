import Machine
import Records
import Routing
import Wire

/// What kind of route won, in the order of preference of RFC 5302 §3.2 as RFC 7775 §3 completes it. The raw value is the
/// `kind` of the offer.
public enum ISISRouteKind: UInt8, Hashable, Comparable, Sendable, CaseIterable, LosslessStringConvertible {
    /// Level 1, up: intra-area, and redistributed into the area with an internal metric.
    case level1 = 1
    /// Level 2, up: likewise, and what other areas pass up.
    case level2 = 2
    /// Level 2 with the down bit. RFC 7775 §3.3 puts it into one class with `level2`, so that no route is of this kind;
    /// texts of configurations may name it.
    case level2Down = 3
    /// Level 1 with the down bit: from level 2.
    case level1Down = 4
    /// The same with metrics that compare with no internal one: narrow metrics only.
    case level1External = 5
    case level2External = 6
    case level1DownExternal = 7
    /// Towards the nearest router with the attached bit (ISO 10589 §7.2.9.1).
    case attached = 8
    /// Drops what a summary of ours promises and nobody has.
    case discard = 9

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var isExternal: Bool { self >= .level1External && self <= .level1DownExternal }
    public var level: Level {
        switch self {
        case .level1, .level1Down, .level1External, .level1DownExternal, .attached: .one
        case .level2, .level2Down, .level2External, .discard: .two
        }
    }

    init(_ level: Level, _ flags: ReachFlags) {
        let isDown = flags.contains(.down)
        if flags.contains(.externalMetric) {
            self = level == .two ? .level2External : isDown ? .level1DownExternal : .level1External
        } else if level == .one {
            self = isDown ? .level1Down : .level1
        } else {
            self = .level2
        }
    }

    public var description: String {
        switch self {
        case .level1: "L1"
        case .level2: "L2"
        case .level2Down: "L2 down"
        case .level1Down: "L1 inter-area"
        case .level1External: "L1 external"
        case .level2External: "L2 external"
        case .level1DownExternal: "L1 inter-area external"
        case .attached: "L1 default"
        case .discard: "discard"
        }
    }
}

/// The prefixes of one family: who announces each, and what was last offered for it.
struct PrefixRoutes<Key: PrefixKey>: Sendable {
    /// One announcement, in a list with the others of its prefix.
    struct Announcement: ArenaElement, Sendable, BitwiseCopyable {
        /// `none` in a place that is not in use.
        var node: UInt32
        var metric: UInt32
        var tag: UInt32
        var next: UInt32
        var topology: UInt16
        var flags: ReachFlags
        /// Level, and in bit 7 whether it is the attached bit's.
        var source: UInt8

        var isVacant: Bool { node == .max }
        mutating func vacate() { node = .max }
    }
    /// What the routing table has from us.
    struct Published: Sendable, Equatable {
        var offer: RouteOffer
        /// Of the announcement that won: for the other level.
        var flags: ReachFlags
    }

    static var none: UInt32 { .max }
    static var attachedMark: UInt8 { 0x80 }

    private(set) var table: PrefixTable<Key>
    /// By number of the prefix.
    private var heads: [UInt32] = []
    var published: [Published?] = []
    private var isDirty: [Bool] = []
    private var isDiscard: [Bool] = []
    private(set) var dirty: [UInt32] = []
    private var announcements = Arena<Announcement>()
    private(set) var publishedCount = 0
    private(set) var digest = StateDigest()

    init(seed: UInt64) { table = PrefixTable(seed: seed) }

    // MARK: announcements

    private mutating func number(_ prefix: Key) -> UInt32 {
        let number = table.insert(prefix)
        while heads.count <= Int(number) {
            heads.append(Self.none)
            published.append(nil)
            isDirty.append(false)
            isDiscard.append(false)
        }
        return number
    }

    mutating func markDirty(_ prefix: Key) {
        if let number = table.find(prefix) { mark(number) }
    }
    private mutating func mark(_ number: UInt32) {
        if isDirty[Int(number)] { return }
        isDirty[Int(number)] = true
        dirty.append(number)
    }
    mutating func markAll() {
        for number in 0..<UInt32(table.capacity) where table.isPresent(number) { mark(number) }
    }

    mutating func announce(_ reach: PrefixReach<Key>, node: UInt32, source: UInt8) {
        let number = number(reach.prefix)
        let entry = Announcement(
            node: node, metric: reach.metric, tag: reach.tag, next: heads[Int(number)], topology: reach.topology,
            flags: reach.flags, source: source)
        heads[Int(number)] = announcements.insert(entry)
        mark(number)
    }

    mutating func withdraw(_ reach: PrefixReach<Key>, node: UInt32, source: UInt8) {
        guard let number = table.find(reach.prefix) else { return }
        var previous = Self.none
        var at = heads[Int(number)]
        while at != Self.none {
            let entry = announcements[at]
            if entry.node == node, entry.source == source, entry.metric == reach.metric, entry.flags == reach.flags,
                entry.tag == reach.tag, entry.topology == reach.topology
            {
                if previous == Self.none {
                    heads[Int(number)] = entry.next
                } else {
                    announcements[previous].next = entry.next
                }
                announcements.remove(at)
                mark(number)
                return
            }
            previous = at
            at = entry.next
        }
    }

    /// Both lists ascend; only what differs is touched.
    mutating func replace(_ old: [PrefixReach<Key>], by new: [PrefixReach<Key>], node: UInt32, source: UInt8) {
        var i = 0, j = 0
        while i < old.count || j < new.count {
            if i < old.count, j < new.count, old[i] == new[j] {
                i += 1
                j += 1
            } else if j == new.count || i < old.count && old[i] < new[j] {
                withdraw(old[i], node: node, source: source)
                i += 1
            } else {
                announce(new[j], node: node, source: source)
                j += 1
            }
        }
    }

    @inline(__always)
    func forEachAnnouncement(of number: UInt32, _ body: (Announcement) -> Void) {
        var at = heads[Int(number)]
        while at != Self.none {
            let entry = announcements[at]
            body(entry)
            at = entry.next
        }
    }

    // MARK: discard routes

    mutating func setDiscard(_ prefix: Key, _ isWanted: Bool) {
        let number = number(prefix)
        isDiscard[Int(number)] = isWanted
        mark(number)
    }
    func wantsDiscard(_ number: UInt32) -> Bool { isDiscard[Int(number)] }

    // MARK: publishing

    /// The prefixes to look at, ascending, so that news come in an order that history has no part in.
    mutating func takeDirty() -> [UInt32] {
        var numbers: [UInt32] = []
        swap(&numbers, &dirty)
        for number in numbers { isDirty[Int(number)] = false }
        let table = table
        numbers.sort { table[$0] < table[$1] }
        return numbers
    }

    /// - Returns: whether that is news.
    mutating func publish(_ number: UInt32, _ new: Published?) -> Bool {
        let old = published[Int(number)]
        let isNews = old != new
        if isNews {
            if let old {
                digest.remove(hash(number, old))
                publishedCount -= 1
            }
            if let new {
                digest.add(hash(number, new))
                publishedCount += 1
            }
            published[Int(number)] = new
        }
        if new == nil, heads[Int(number)] == Self.none, !isDiscard[Int(number)] { table.remove(number) }
        return isNews
    }

    private func hash(_ number: UInt32, _ route: Published) -> UInt64 {
        var digest = StateDigest(Key.hash(table[number].packed, seed: 0x15))
        digest.mix(UInt64(route.offer.metric) << 32 | UInt64(route.offer.tag))
        digest.mix(UInt64(route.offer.kind) << 16 | UInt64(route.offer.distance) << 8 | UInt64(route.flags.rawValue))
        for nextHop in route.offer.nextHops {
            switch nextHop {
            case .via(.v4(let address), let interface): digest.mix(UInt64(address.raw) << 16 | UInt64(interface.value))
            case .via(.v6(let address), let interface):
                digest.mix(address.high)
                digest.mix(address.low ^ UInt64(interface.value) << 48)
            default: digest.mix(1)
            }
        }
        return digest.value
    }

    /// Published routes in the order of prefixes.
    var inOrder: [(prefix: Key, route: Published)] {
        var list: [(prefix: Key, route: Published)] = []
        list.reserveCapacity(publishedCount)
        for number in 0..<UInt32(published.count) {
            if let route = published[Int(number)] { list.append((table[number], route)) }
        }
        list.sort { $0.prefix < $1.prefix }
        return list
    }

    mutating func restore(_ prefix: Key, _ route: Published) { _ = publish(number(prefix), route) }
}
