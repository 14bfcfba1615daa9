import Machine
import Policy
import Records
import Routing
import SPF
import Wire

/// From LSPs to routes: shortest paths for each level and topology, then the best announcement of each prefix.
///
/// `update` takes an LSP apart and keeps graphs and prefixes current; `run` does what follows from all changes since the
/// last one, and says only what is different. A change of prefixes alone calculates no path; a change of links works
/// out again only what lies on nodes that are farther, nearer or reached another way.
///
/// What is published depends on LSPs, configuration and adjacencies alone, not on the order of events. So a snapshot
/// holds what was published and whether a run is due; graphs and announcements are made again from the LSPs.
public struct RouteCalculation: Sendable {
    /// What the next run has to do.
    public enum Pending: UInt8, Comparable, Sendable {
        case nothing = 0
        /// Prefixes only (partial route calculation).
        case routes = 1
        /// Shortest paths, too.
        case paths = 2
        public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    }

    public struct Result: Sendable {
        /// IPv4 before IPv6, each ascending.
        public var updates: [RouteUpdate] = []
        /// Levels whose own LSPs announce other routes of the other level now.
        public var leaksChanged: Set1And2 = []
        public var attachedChanged = false
        /// Levels whose paths were calculated, for statistics.
        public var calculated: Set1And2 = []

        public init() {}
    }

    /// A set of levels, maybe empty.
    public struct Set1And2: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public init(_ level: Level) { rawValue = level.rawValue }
        public func contains(_ level: Level) -> Bool { rawValue & level.rawValue != 0 }
    }

    /// The two families, as places in arrays.
    enum Family {
        static let ipv4 = 0
        static let ipv6 = 1
    }

    public private(set) var configuration: ISISConfiguration?
    /// By level: which routes it hears of the other; `nil` is all of them.
    private(set) var leakPrograms: [PolicyProgram?] = [nil, nil]
    public private(set) var pending = Pending.nothing
    /// Level 2 reaches another area (ISO 10589 §7.2.9.2): for the attached bit of our level 1 LSP.
    public private(set) var isAttached = false
    /// Runs of shortest paths by level, and of prefixes alone; not state.
    public private(set) var pathRuns = [0, 0]
    public private(set) var routeRuns = 0

    private let seed: UInt64
    private(set) var levels: [LevelTopology]
    private(set) var ipv4: PrefixRoutes<IPv4Prefix>
    private(set) var ipv6: PrefixRoutes<IPv6Prefix>
    /// By level; ascending.
    private var adjacencies: [[LocalAdjacency]] = [[], []]
    /// By level: neighbours whose addresses changed, since routes through them changed whatever the paths.
    private var affected: [[FirstHop]] = [[], []]
    /// Between the parts of a restore.
    private var restoredPending = Pending.nothing
    /// Ascending.
    private var discards: [IPPrefix] = []
    /// By level: prefixes that LSPs announce, each as often as it is announced.
    private(set) var announcementCount = [0, 0]
    /// By level and plane, then family: next hops by number of the set; valid within one run.
    private var resolved: [[[[NextHop]?]]] = []

    public init(seed: UInt64) {
        self.seed = seed
        levels = [LevelTopology(level: .one, seed: seed), LevelTopology(level: .two, seed: seed)]
        ipv4 = PrefixRoutes(seed: seed)
        ipv6 = PrefixRoutes(seed: seed)
    }

    public var digest: StateDigest {
        var digest = StateDigest(ipv4.digest.value)
        digest.mix(ipv6.digest.value)
        digest.mix(UInt64(pending.rawValue) << 1 | (isAttached ? 1 : 0))
        return digest
    }

    public var routeCount: (ipv4: Int, ipv6: Int) { (ipv4.publishedCount, ipv6.publishedCount) }

    // MARK: input

    /// Puts a configuration in force. LSPs stay; everything is calculated anew at the next run.
    public mutating func configure(_ new: ISISConfiguration?) {
        let old = configuration
        configuration = new
        let definitions = new?.definitions ?? PolicyDefinitions()
        leakPrograms = [new?.leakingDown.policy, new?.leakingUp.policy].map { use in
            use.map { PolicyProgram(PolicyChain($0, in: definitions)) }
        }
        if let new, let old, Self.isSameForRoutes(old, new) { return }
        let root = NodeID(new?.systemID ?? .zero)
        let topologies = new.map(Self.topologies) ?? []
        for level in Level.allCases {
            let isRun = new?.levels.contains(level) ?? false
            levels[level.index].configure(
                root: root, style: new?.metricStyle ?? .wide, topologies: isRun ? topologies : [])
        }
        reannounce()
        raise(.paths)
    }

    /// What the router itself has at a level: complete, replaces what it had.
    public mutating func setLocal(_ level: Level, links: [LocalLink], adjacencies new: [LocalAdjacency]) {
        if levels[level.index].setLinks(links) { raise(.paths) }
        let new = new.sorted()
        let old = adjacencies[level.index]
        guard new != old else { return }
        adjacencies[level.index] = new
        for adjacency in Self.difference(old, new) {
            affected[level.index].append(
                FirstHop(tag: UInt32(adjacency.interface.value), neighbor: NodeID(adjacency.system).raw))
        }
        raise(.routes)
    }

    /// Prefixes for which a route that drops is wanted: summaries that stand for something. Complete.
    public mutating func setDiscards(_ prefixes: [IPPrefix]) {
        let new = prefixes.sorted()
        guard new != discards else { return }
        // Both ascend.
        var i = 0, j = 0
        while i < discards.count || j < new.count {
            if j == new.count || i < discards.count && discards[i] < new[j] {
                setDiscard(discards[i], false)
                i += 1
            } else {
                if i < discards.count, discards[i] == new[j] { i += 1 } else { setDiscard(new[j], true) }
                j += 1
            }
        }
        discards = new
        raise(.routes)
    }

    private mutating func setDiscard(_ prefix: IPPrefix, _ isWanted: Bool) {
        switch prefix {
        case .v4(let prefix): ipv4.setDiscard(prefix, isWanted)
        case .v6(let prefix): ipv6.setDiscard(prefix, isWanted)
        }
    }

    /// Tells of an LSP that is new or has new contents; `nil` when it is purged or gone. Own ones, too: those of LANs
    /// that we are the designated IS of count like anybody's.
    public mutating func update(_ level: Level, _ id: LSPID, _ contents: LSPContents?) {
        let number = levels[level.index].number(of: id.node)
        let before = number.map { levels[level.index].nodes[$0] }
        guard let change = levels[level.index].update(id, contents) else { return }
        announcementCount[level.index] += (change.new?.prefixCount ?? 0) - (change.old?.prefixCount ?? 0)
        if change.graphChanged { raise(.paths) }
        // Whether level 2 leads to another area hangs on areas, too.
        if level == .two, change.old?.areas != change.new?.areas { raise(.routes) }
        let after = levels[level.index].nodes[change.node]
        let source = level.rawValue
        if change.wasUsable, after.isUsable {
            ipv4.replace(change.old?.ipv4 ?? [], by: change.new?.ipv4 ?? [], node: change.node, source: source)
            ipv6.replace(change.old?.ipv6 ?? [], by: change.new?.ipv6 ?? [], node: change.node, source: source)
        } else if change.wasUsable, let before {
            announce(before.fragments, change.node, source, isThere: false)
        } else if after.isUsable {
            announce(after.fragments, change.node, source, isThere: true)
        }
        if level == .one { announceAttached(change.node, before: before, after: after) }
        levels[level.index].collect(change.node)
        if !ipv4.dirty.isEmpty || !ipv6.dirty.isEmpty { raise(.routes) }
    }

    /// The same from the octets of an LSP that was accepted; `nil` when it is purged or gone.
    public mutating func update(_ level: Level, _ id: LSPID, pdu: [UInt8]?) {
        update(level, id, pdu.map { LSPContents($0.span.bytes) })
    }

    private mutating func announce(
        _ fragments: [LevelTopology.Fragment], _ node: UInt32, _ source: UInt8, isThere: Bool
    ) {
        for fragment in fragments {
            ipv4.replace(isThere ? [] : fragment.ipv4, by: isThere ? fragment.ipv4 : [], node: node, source: source)
            ipv6.replace(isThere ? [] : fragment.ipv6, by: isThere ? fragment.ipv6 : [], node: node, source: source)
        }
    }

    /// ISO 10589 §7.2.9.1: a level 1 system with the attached bit leads to everywhere, as a default route of its own kind.
    private mutating func announceAttached(_ node: UInt32, before: LevelTopology.Node?, after: LevelTopology.Node) {
        let source = Level.one.rawValue | PrefixRoutes<IPv4Prefix>.attachedMark
        func change(_ topology: ISISTopology) -> Bool? {
            let was = before?.isAttached(topology) ?? false
            return was == after.isAttached(topology) ? nil : !was
        }
        if let isThere = change(.standard) {
            let reach = [IPv4Reach(IPv4Prefix(.any, 0), metric: 0)]
            ipv4.replace(isThere ? [] : reach, by: isThere ? reach : [], node: node, source: source)
        }
        let topology = ipv6Topology
        if let isThere = change(topology) {
            let reach = [IPv6Reach(IPv6Prefix(.any, 0), metric: 0, topology: topology.rawValue)]
            ipv6.replace(isThere ? [] : reach, by: isThere ? reach : [], node: node, source: source)
        }
    }

    private var ipv6Topology: ISISTopology { configuration.map(Self.ipv6Topology) ?? .standard }
    private static func ipv6Topology(_ configuration: ISISConfiguration) -> ISISTopology {
        configuration.topologies.contains(.ipv6Unicast) ? .ipv6Unicast : .standard
    }
    private static func topologies(_ configuration: ISISConfiguration) -> [ISISTopology] {
        let ipv6 = ipv6Topology(configuration)
        if ipv6 == .standard { return [.standard] }
        var list: [ISISTopology] = []
        if configuration.isIPv4Enabled { list.append(.standard) }
        if configuration.isIPv6Enabled { list.append(ipv6) }
        return list
    }
    /// Whether two configurations make the same routes of the same LSPs.
    private static func isSameForRoutes(_ a: ISISConfiguration, _ b: ISISConfiguration) -> Bool {
        a.systemID == b.systemID && a.levels == b.levels && a.metricStyle == b.metricStyle && a.topologies == b.topologies
            && a.isIPv4Enabled == b.isIPv4Enabled && a.isIPv6Enabled == b.isIPv6Enabled
            && a.maximumPaths == b.maximumPaths && a.level1Distance == b.level1Distance
            && a.level2Distance == b.level2Distance && a.externalDistance == b.externalDistance
            && a.attachedBit == b.attachedBit && a.areaAddresses == b.areaAddresses
    }

    /// Adjacencies that are in one list only, or in both with other addresses.
    private static func difference(_ a: [LocalAdjacency], _ b: [LocalAdjacency]) -> [LocalAdjacency] {
        var list: [LocalAdjacency] = []
        var i = 0, j = 0
        while i < a.count || j < b.count {
            if i < a.count, j < b.count, a[i] == b[j] {
                i += 1
                j += 1
            } else if j == b.count || i < a.count && a[i] < b[j] {
                list.append(a[i])
                i += 1
            } else {
                list.append(b[j])
                j += 1
            }
        }
        return list
    }

    private mutating func raise(_ new: Pending) { pending = max(pending, new) }

    /// Builds the announcements from what the LSPs say; what was published stays known.
    private mutating func reannounce() {
        let (known4, known6) = (ipv4.inOrder, ipv6.inOrder)
        ipv4 = PrefixRoutes(seed: seed)
        ipv6 = PrefixRoutes(seed: seed)
        for (prefix, route) in known4 { ipv4.restore(prefix, route) }
        for (prefix, route) in known6 { ipv6.restore(prefix, route) }
        for prefix in discards { setDiscard(prefix, true) }
        for level in Level.allCases {
            for number in levels[level.index].nodes.numbers {
                let node = levels[level.index].nodes[number]
                guard node.isUsable else { continue }
                announce(node.fragments, UInt32(number), level.rawValue, isThere: true)
                if level == .one { announceAttached(UInt32(number), before: nil, after: node) }
            }
        }
        ipv4.markAll()
        ipv6.markAll()
    }

    // MARK: restoring

    var seedForSnapshot: UInt64 { seed }

    mutating func restore(
        _ pending: Pending, isAttached: Bool, _ first: [(IPv4Prefix, PrefixRoutes<IPv4Prefix>.Published)],
        _ second: [(IPv6Prefix, PrefixRoutes<IPv6Prefix>.Published)]
    ) {
        restoredPending = pending
        self.isAttached = isAttached
        for (prefix, route) in first { ipv4.restore(prefix, route) }
        for (prefix, route) in second { ipv6.restore(prefix, route) }
    }

    /// Everything is there again: what is due is what was due. The next run works out all, and finds the same news as if
    /// it had looked at less.
    public mutating func finishRestore() {
        ipv4.markAll()
        ipv6.markAll()
        pending = restoredPending
        restoredPending = .nothing
    }

    // MARK: running

    /// Does what is pending.
    public mutating func run() -> Result {
        var result = Result()
        guard pending != .nothing else { return result }
        if pending == .routes { routeRuns &+= 1 }
        pending = .nothing
        resolved = levels.map { level in level.planes.flatMap { _ in [[[NextHop]?]](repeating: [], count: 2) } }
        for level in Level.allCases {
            for plane in levels[level.index].planes.indices where levels[level.index].planes[plane].isDirty {
                if !result.calculated.contains(level) { pathRuns[level.index] &+= 1 }
                result.calculated.insert(Set1And2(level))
                for node in levels[level.index].calculate(plane) { markPrefixes(of: node, at: level, plane) }
            }
            markAffected(level)
        }
        decideAttached(&result)
        selectIPv4(&result)
        selectIPv6(&result)
        return result
    }

    /// The plane by which a family is routed at a level.
    private func plane(_ family: Int, _ level: Level) -> Int? {
        guard let configuration, family == Family.ipv4 ? configuration.isIPv4Enabled : configuration.isIPv6Enabled else {
            return nil
        }
        return levels[level.index].plane(family == Family.ipv4 ? .standard : Self.ipv6Topology(configuration))
    }

    private mutating func markPrefixes(of node: UInt32, at level: Level, _ plane: Int) {
        let entry = levels[level.index].nodes[node]
        guard entry.isUsable else { return }
        if self.plane(Family.ipv4, level) == plane {
            for fragment in entry.fragments { for reach in fragment.ipv4 { ipv4.markDirty(reach.prefix) } }
            if level == .one, entry.isAttached(.standard) { ipv4.markDirty(IPv4Prefix(.any, 0)) }
        }
        if self.plane(Family.ipv6, level) == plane {
            for fragment in entry.fragments { for reach in fragment.ipv6 { ipv6.markDirty(reach.prefix) } }
            if level == .one, entry.isAttached(ipv6Topology) { ipv6.markDirty(IPv6Prefix(.any, 0)) }
        }
    }

    /// Marks what is reached through neighbours whose addresses changed.
    private mutating func markAffected(_ level: Level) {
        let hops = affected[level.index]
        guard !hops.isEmpty else { return }
        affected[level.index] = []
        for plane in levels[level.index].planes.indices {
            /// By set: 1 when a neighbour in question is in it, 2 when none is.
            var known: [UInt8] = []
            for number in levels[level.index].nodes.numbers where levels[level.index].nodes[number].isUsable {
                guard let path = levels[level.index].path(to: UInt32(number), plane: plane) else { continue }
                let set = Int(path.set)
                while known.count <= set { known.append(0) }
                if known[set] == 0 {
                    let members = levels[level.index].planes[plane].tree.firstHops(inSet: path.set)
                    known[set] = members.contains { hops.contains($0) } ? 1 : 2
                }
                if known[set] == 1 { markPrefixes(of: UInt32(number), at: level, plane) }
            }
        }
    }

    /// ISO 10589 §7.2.9.2: attached while level 2 reaches a system that shares no area with us.
    private mutating func decideAttached(_ result: inout Result) {
        var reaches = false
        if let configuration, configuration.levels == .level1And2 {
            let level = levels[Level.two.index]
            search: for plane in level.planes.indices {
                for (number, node) in level.nodes.places.enumerated() where node.isUsable && !node.id.isPseudonode {
                    guard node.id != level.root, level.path(to: UInt32(number), plane: plane) != nil else { continue }
                    var hasArea = false, shares = false
                    for fragment in node.fragments {
                        for area in fragment.areas {
                            hasArea = true
                            if configuration.areaAddresses.contains(area) { shares = true }
                        }
                    }
                    if hasArea, !shares {
                        reaches = true
                        break search
                    }
                }
            }
        }
        guard reaches != isAttached else { return }
        isAttached = reaches
        result.attachedChanged = true
        ipv4.markDirty(IPv4Prefix(.any, 0))
        ipv6.markDirty(IPv6Prefix(.any, 0))
    }

    private mutating func selectIPv4(_ result: inout Result) {
        for number in ipv4.takeDirty() {
            let best = best(of: number, in: ipv4, Family.ipv4)
            let old = ipv4.published[Int(number)]
            let prefix = ipv4.table[number]
            guard ipv4.publish(number, best) else { continue }
            note(old?.offer, best?.offer, &result)
            if old?.offer != best?.offer { result.updates.append(RouteUpdate(.v4(prefix), best?.offer)) }
        }
    }

    private mutating func selectIPv6(_ result: inout Result) {
        for number in ipv6.takeDirty() {
            let best = best(of: number, in: ipv6, Family.ipv6)
            let old = ipv6.published[Int(number)]
            let prefix = ipv6.table[number]
            guard ipv6.publish(number, best) else { continue }
            note(old?.offer, best?.offer, &result)
            if old?.offer != best?.offer { result.updates.append(RouteUpdate(.v6(prefix), best?.offer)) }
        }
    }

    private func note(_ old: RouteOffer?, _ new: RouteOffer?, _ result: inout Result) {
        for offer in [old, new] {
            guard let offer, let kind = ISISRouteKind(rawValue: offer.kind) else { continue }
            if Self.leaks(kind, into: .one) { result.leaksChanged.insert(Set1And2(.one)) }
            if Self.leaks(kind, into: .two) { result.leaksChanged.insert(Set1And2(.two)) }
        }
    }

    /// The best of all announcements of a prefix.
    private mutating func best<Key>(
        of number: UInt32, in routes: PrefixRoutes<Key>, _ family: Int
    ) -> PrefixRoutes<Key>.Published? {
        guard let configuration else { return nil }
        var kind = ISISRouteKind.discard
        var cost = UInt64.max
        var winner: (node: NodeID, announcement: PrefixRoutes<Key>.Announcement)?
        var nextHops: [NextHop] = []
        var entries: [PrefixRoutes<Key>.Announcement] = []
        routes.forEachAnnouncement(of: number) { entries.append($0) }
        for entry in entries {
            guard let level = Level(rawValue: entry.source & 3), let plane = plane(family, level) else { continue }
            guard entry.topology == levels[level.index].topologies[plane].rawValue else { continue }
            let node = levels[level.index].ids[Int(entry.node)]
            guard node != levels[level.index].root else { continue }
            let isAttached = entry.source & PrefixRoutes<Key>.attachedMark != 0
            // Of IPv4 prefixes, those of the metrics that are understood; IPv6 has wide ones only.
            if family == Family.ipv4, !isAttached {
                guard configuration.metricStyle != (entry.flags.contains(.narrow) ? .wide : .narrow) else { continue }
            }
            if isAttached, self.isAttached || !configuration.attachedBit.isHonored { continue }
            let thisKind = isAttached ? .attached : ISISRouteKind(level, entry.flags)
            guard thisKind <= kind else { continue }
            guard let path = levels[level.index].path(to: entry.node, plane: plane) else { continue }
            guard let thisCost = Self.cost(entry, path.distance, thisKind, configuration) else { continue }
            guard thisKind < kind || thisCost <= cost else { continue }
            let hops = resolve(level, plane, path.set, family)
            guard !hops.isEmpty else { continue }
            if thisKind < kind || thisCost < cost {
                (kind, cost, winner, nextHops) = (thisKind, thisCost, (node, entry), hops)
            } else {
                nextHops = Self.union(nextHops, hops)
                // The tag of the lowest system, whatever came first.
                if let known = winner,
                    (node, entry.tag, entry.flags.rawValue)
                        < (known.node, known.announcement.tag, known.announcement.flags.rawValue)
                {
                    winner = (node, entry)
                }
            }
        }
        guard let winner else {
            guard routes.wantsDiscard(number) else { return nil }
            return PrefixRoutes.Published(
                offer: RouteOffer(
                    nextHops: [.blackhole], metric: 0, kind: ISISRouteKind.discard.rawValue,
                    distance: configuration.level2Distance), flags: [])
        }
        let paths = max(1, Int(configuration.maximumPaths))
        if nextHops.count > paths { nextHops.removeLast(nextHops.count - paths) }
        return PrefixRoutes.Published(
            offer: RouteOffer(
                nextHops: nextHops, metric: kind.isExternal ? winner.announcement.metric : UInt32(clamping: cost),
                kind: kind.rawValue,
                distance: kind.isExternal ? configuration.externalDistance : configuration.distance(kind.level),
                tag: winner.announcement.tag), flags: winner.announcement.flags)
    }

    /// What a path to a prefix costs, as a number that compares within its kind; `nil` for too much.
    private static func cost<Key>(
        _ entry: PrefixRoutes<Key>.Announcement, _ distance: UInt32, _ kind: ISISRouteKind,
        _ configuration: ISISConfiguration
    ) -> UInt64? {
        // RFC 1195 §3.10.2: external metrics first, then the way to who announced them.
        if kind.isExternal { return UInt64(entry.metric) << 32 | UInt64(distance) }
        // RFC 5305 §4: a prefix whose own metric exceeds MAX_PATH_METRIC is for other uses than routes.
        guard entry.metric <= MetricLimit.widePath else { return nil }
        let sum = UInt64(entry.metric) + UInt64(distance)
        let isNarrow = entry.flags.contains(.narrow) && configuration.metricStyle == .narrow
        return sum <= UInt64(isNarrow ? MetricLimit.narrowPath : MetricLimit.widePath) ? sum : nil
    }

    static func union(_ a: [NextHop], _ b: [NextHop]) -> [NextHop] {
        if a == b { return a }
        var merged: [NextHop] = []
        merged.reserveCapacity(a.count + b.count)
        var i = 0, j = 0
        while i < a.count || j < b.count {
            if j == b.count || i < a.count && a[i] < b[j] {
                merged.append(a[i])
                i += 1
            } else {
                if i < a.count, a[i] == b[j] { i += 1 }
                merged.append(b[j])
                j += 1
            }
        }
        return merged
    }

    /// The next hops of a set of first hops: those neighbours whose address of the family is known.
    private mutating func resolve(_ level: Level, _ plane: Int, _ set: UInt32, _ family: Int) -> [NextHop] {
        let at = plane * 2 + family
        if Int(set) < resolved[level.index][at].count, let known = resolved[level.index][at][Int(set)] { return known }
        var hops: [NextHop] = []
        for first in levels[level.index].planes[plane].tree.firstHops(inSet: set) {
            guard let raw = first.neighbor else { continue }
            let interface = InterfaceID(UInt16(truncatingIfNeeded: first.tag))
            guard let adjacency = adjacency(level, interface, NodeID(raw: raw).system) else { continue }
            if family == Family.ipv4 {
                if let address = adjacency.ipv4 { hops.append(.via(.v4(address), interface)) }
            } else if let address = adjacency.ipv6 {
                hops.append(.via(.v6(address), interface))
            }
        }
        hops.sort()
        var unique: [NextHop] = []
        for hop in hops where unique.last != hop { unique.append(hop) }
        while resolved[level.index][at].count <= Int(set) { resolved[level.index][at].append(nil) }
        resolved[level.index][at][Int(set)] = unique
        return unique
    }

    private func adjacency(_ level: Level, _ interface: InterfaceID, _ system: SystemID) -> LocalAdjacency? {
        let list = adjacencies[level.index]
        let low = list.sortedIndex { $0.interface != interface ? $0.interface < interface : $0.system < system }
        guard low < list.count, list[low].interface == interface, list[low].system == system else { return nil }
        return list[low]
    }
}
