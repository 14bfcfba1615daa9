import Routing
import Wire

// What operators see. Made from a copy of the RIB, on whatever thread asks: nothing here is on the engine's time.

/// Path attributes in words.
public struct AttributesView: Hashable, Sendable, Codable {
    public var origin: Origin
    /// As operators write it: AS_SETs in braces.
    public var asPath: String
    public var nextHop: IPAddress?
    public var linkLocal: IPv6Address?
    public var med: UInt32?
    public var localPreference: UInt32?
    public var communities: [String]
    public var largeCommunities: [String]
    /// Whatever else is there: type, flags and value in hexadecimal.
    public var others: [String]

    init(_ route: RouteAttributes) {
        origin = route.origin
        asPath = route.pathText
        nextHop = route.nextHop
        linkLocal = route.linkLocal
        med = route.med
        localPreference = route.localPreference
        communities = route.communities.map(\.description)
        largeCommunities = route.largeCommunities.map(\.description)
        others = route.others.map { other in
            func hex(_ octet: UInt8) -> String { (octet < 16 ? "0" : "") + String(octet, radix: 16) }
            return "type \(other.type) flags \(hex(other.flags)) value " + other.value.map(hex).joined()
        }
    }
}

/// One path to a prefix.
public struct PathView: Hashable, Sendable, Codable {
    public var source: RouteSource
    /// `nil` for the router itself.
    public var neighbor: IPAddress?
    public var isBest: Bool
    /// Why it cannot be chosen; `nil` when it can.
    public var ineligibility: Ineligibility?
    /// For the best path the step that told it from the next best one, for another the step by which it lost.
    public var decidedBy: DecisionStep?
    /// In words.
    public var reason: String
    /// Cost to the next hop; `nil` when it is unreachable.
    public var metric: UInt32?
    /// As received.
    public var received: AttributesView
    /// After import policy; `nil` when rejected.
    public var accepted: AttributesView?
}

/// A prefix with all its paths, the best one first, the others in the order of their neighbours.
public struct RouteView: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    public var paths: [PathView]
}

/// A route of Adj-RIB-In or Adj-RIB-Out.
public struct NeighborRouteView: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// Adj-RIB-In: as received. Adj-RIB-Out: as the neighbour gets it, with four-octet AS numbers.
    public var attributes: AttributesView
    /// Adj-RIB-In: whether policy took it. Adj-RIB-Out: always.
    public var isAccepted: Bool
}

/// Sizes.
public struct RIBSummary: Hashable, Sendable, Codable {
    public struct Family: Hashable, Sendable, Codable {
        public var family: RouteFamily
        /// Prefixes known, whether with a best route or not.
        public var prefixes: Int
        public var bestRoutes: Int
        public var paths: Int
        public var groups: [Group]
    }
    public struct Group: Hashable, Sendable, Codable {
        public var neighbors: [IPAddress]
        public var advertised: Int
        /// Prefixes whose change is not encoded yet.
        public var pending: Int
        /// Octets encoded that not every member has taken.
        public var queued: Int
        /// Members that are not yet, or no longer, with the group.
        public var catchingUp: [IPAddress]
    }
    public var families: [Family]
    public var attributeSets: Int
    public var nextHops: Int
    /// Octets of the large tables.
    public var octets: Int
}

extension RIB {
    /// The prefix with all its paths.
    public func route(_ prefix: IPPrefix) -> RouteView? {
        switch prefix {
        case .v4(let p): v4.prefixes.find(p).flatMap { v4.view($0, shared) }
        case .v6(let p): v6.prefixes.find(p).flatMap { v6.view($0, shared) }
        }
    }
    /// The longest prefix with a best route that covers the address.
    public func route(covering address: IPAddress) -> RouteView? {
        switch address {
        case .v4(let a):
            v4.prefixes.longestMatch(a) { v4.entries[Int($0)].best != 0 }.flatMap { v4.view($0, shared) }
        case .v6(let a):
            v6.prefixes.longestMatch(a) { v6.entries[Int($0)].best != 0 }.flatMap { v6.view($0, shared) }
        }
    }
    /// Prefixes in ascending order, those after `last`, at most `limit`.
    public func routes(_ family: RouteFamily, after last: IPPrefix?, limit: Int) -> [RouteView] {
        switch family {
        case .ipv4Unicast:
            v4.prefixes.ordered(after: last.flatMap { IPv4Prefix($0) }, limit: limit).compactMap { v4.view($0, shared) }
        case .ipv6Unicast:
            v6.prefixes.ordered(after: last.flatMap { IPv6Prefix($0) }, limit: limit).compactMap { v6.view($0, shared) }
        }
    }
    /// What the peer announced, in ascending order, those after `last`, at most `limit`.
    public func received(
        from peer: PeerIndex, _ family: RouteFamily, after last: IPPrefix?, limit: Int
    ) -> [NeighborRouteView] {
        guard let source = source(peer) else { return [] }
        return switch family {
        case .ipv4Unicast: v4.received(source, after: last.flatMap { IPv4Prefix($0) }, limit, shared)
        case .ipv6Unicast: v6.received(source, after: last.flatMap { IPv6Prefix($0) }, limit, shared)
        }
    }
    /// What the peer's group advertises to it, in ascending order, those after `last`, at most `limit`.
    public func advertised(
        to peer: PeerIndex, _ family: RouteFamily, after last: IPPrefix?, limit: Int
    ) -> [NeighborRouteView] {
        guard let source = source(peer) else { return [] }
        return switch family {
        case .ipv4Unicast: v4.advertised(source, after: last.flatMap { IPv4Prefix($0) }, limit, shared)
        case .ipv6Unicast: v6.advertised(source, after: last.flatMap { IPv6Prefix($0) }, limit, shared)
        }
    }
    /// How many prefixes are advertised to the peer. Linear in the table: its own routes do not count.
    public func advertisedCount(_ peer: PeerIndex, _ family: RouteFamily) -> Int {
        guard let source = source(peer) else { return 0 }
        return family == .ipv4Unicast ? v4.advertisedCount(source) : v6.advertisedCount(source)
    }

    /// How many of the peer's routes policy took, and how many of these are the best of their prefix. Linear in its routes.
    public func acceptedCounts(_ peer: PeerIndex, _ family: RouteFamily) -> (accepted: Int, best: Int) {
        guard let source = source(peer) else { return (0, 0) }
        return family == .ipv4Unicast ? v4.acceptedCounts(source) : v6.acceptedCounts(source)
    }

    public var summary: RIBSummary {
        RIBSummary(
            families: [v4.summary(shared), v6.summary(shared)], attributeSets: shared.attributes.count,
            nextHops: nextHops.count, octets: shared.attributes.octetsInUse + v4.octetsInUse + v6.octetsInUse)
    }
}

extension AttributeTable {
    func view(_ handle: UInt32) -> AttributesView {
        AttributesView(withOctets(handle) { RouteAttributes(canonical: $0) })
    }
    var octetsInUse: Int { arena.storage.count + sets.count * MemoryLayout<AttributeSet>.stride + 42 * count }
}

extension FamilyRIB {
    func view(_ number: UInt32, _ shared: borrowing RIBShared) -> RouteView? {
        let entry = entries[Int(number)]
        guard entry.head != 0 else { return nil }
        var paths: [UInt32] = []
        var path = entry.head
        while path != 0 {
            paths.append(path)
            path = store.paths[Int(path)].next
        }
        paths.sort { a, b in
            if (a == entry.best) != (b == entry.best) { return a == entry.best }
            return store.owner(a) < store.owner(b)
        }
        // What the best path beat last is what an operator wants to know of it.
        let decisive = paths.dropFirst().compactMap { lost($0, entry.best, number, shared) }.max { $0.rawValue < $1.rawValue }
        let views = paths.map { path in
            let p = store.paths[Int(path)]
            let source = shared.sources[Int(store.owner(path))]
            let why = Decision.ineligibility(p.accepted, source, shared.attributes)
            let isBest = path == entry.best
            let step =
                isBest ? decisive ?? .eligible : why == nil && entry.best != 0 ? lost(path, entry.best, number, shared) : nil
            let metric = shared.attributes.nextHops.metric(shared.attributes[p.accepted == 0 ? p.received : p.accepted].nextHop)
            let reason: String
            if let why {
                reason = why.explanation
            } else if isBest {
                reason = (step ?? .eligible).explanation
            } else {
                reason = step.map { "best has \($0.explanation)" } ?? "not decided yet"
            }
            return PathView(
                source: source.kind, neighbor: source.kind == .local ? nil : source.address, isBest: isBest, ineligibility: why,
                decidedBy: step, reason: reason, metric: metric == NextHopTable.unreachable ? nil : metric,
                received: shared.attributes.view(p.received),
                accepted: p.accepted == 0 ? nil : shared.attributes.view(p.accepted))
        }
        return RouteView(prefix: prefixes[number].anyFamily, paths: views)
    }

    /// By which step `path` loses to the best one; `nil` when it is not eligible or nothing was chosen.
    private func lost(_ path: UInt32, _ best: UInt32, _ number: UInt32, _ shared: borrowing RIBShared) -> DecisionStep? {
        guard best != 0, path != best else { return nil }
        let p = store.paths[Int(path)], b = store.paths[Int(best)]
        let sp = shared.sources[Int(store.owner(path))], sb = shared.sources[Int(store.owner(best))]
        guard Decision.ineligibility(p.accepted, sp, shared.attributes) == nil, b.accepted != 0 else { return nil }
        let own = shared.attributes[p.accepted], chosen = shared.attributes[b.accepted]
        if own.rank != chosen.rank { return Decision.stepOfRank(own.rank, chosen.rank) }
        if losesByMED(path, number, own.rank, shared) { return .med }
        return Decision.compareLate(own, sp, store.owner(path), chosen, sb, store.owner(best), shared.attributes).step
    }

    func received(_ source: Int, after last: Key?, _ limit: Int, _ shared: borrowing RIBShared) -> [NeighborRouteView] {
        var found: [(key: Key, path: UInt32)] = []
        var page = store.firstPage(source)
        while page != 0 {
            let first = (page - 1) << PathStore.pageBits
            for path in first..<(first + UInt32(PathStore.pageSize)) where store.paths[Int(path)].received != 0 {
                let key = prefixes[store.paths[Int(path)].prefix]
                if let last, key <= last { continue }
                found.append((key, path))
            }
            page = store.pageAfter(page, source)
        }
        found.sort { $0.key < $1.key }
        return found.prefix(limit).map { key, path in
            let p = store.paths[Int(path)]
            return NeighborRouteView(
                prefix: key.anyFamily, attributes: shared.attributes.view(p.received), isAccepted: p.accepted != 0)
        }
    }

    private func group(of source: Int) -> UpdateGroup? {
        guard source < members.count, members[source].group != 0 else { return nil }
        return groups.first { $0.id == members[source].group }
    }

    func advertised(_ source: Int, after last: Key?, _ limit: Int, _ shared: borrowing RIBShared) -> [NeighborRouteView] {
        guard let group = group(of: source) else { return [] }
        var keys: [Key] = []
        for number in group.out.indices where group.out[number].handle != 0 && Int(group.out[number].source) != source {
            let key = prefixes[UInt32(number)]
            if let last, key <= last { continue }
            keys.append(key)
        }
        keys.sort()
        // For display the numbers are not squeezed into two octets.
        var parameters = group.parameters
        parameters.fourOctetAS = true
        let encoder = ExportEncoder(parameters: parameters)
        return keys.prefix(limit).compactMap { key in
            guard let number = prefixes.find(key) else { return nil }
            let handle = group.out[Int(number)].handle
            var octets: [UInt8] = []
            let marks = shared.attributes[handle].marks
            let encoded = shared.attributes.withOctets(handle) { encoder.encode($0, marks: marks, to: &octets) }
            var route = RouteAttributes(canonical: octets.span.bytes)
            if let nextHop = encoded.nextHop { route.nextHop = .v6(nextHop) }
            route.linkLocal = encoded.linkLocal
            return NeighborRouteView(prefix: key.anyFamily, attributes: AttributesView(route), isAccepted: true)
        }
    }

    func acceptedCounts(_ source: Int) -> (accepted: Int, best: Int) {
        var accepted = 0, best = 0
        var page = store.firstPage(source)
        while page != 0 {
            let first = (page - 1) << PathStore.pageBits
            for path in first..<(first + UInt32(PathStore.pageSize)) {
                let p = store.paths[Int(path)]
                guard p.received != 0, p.accepted != 0 else { continue }
                accepted += 1
                if entries[Int(p.prefix)].best == path { best += 1 }
            }
            page = store.pageAfter(page, source)
        }
        return (accepted, best)
    }

    func advertisedCount(_ source: Int) -> Int {
        guard let group = group(of: source) else { return 0 }
        return group.out.reduce(0) { $0 + ($1.handle != 0 && Int($1.source) != source ? 1 : 0) }
    }

    func summary(_ shared: borrowing RIBShared) -> RIBSummary.Family {
        let addresses = shared.sources.map(\.address)
        let groups = groups.map { group in
            RIBSummary.Group(
                neighbors: group.cohorts.flatMap(\.members).sorted().map { addresses[Int($0)] }, advertised: group.outCount,
                pending: group.cohorts[0].pending.count, queued: group.cohorts.reduce(0) { $0 + $1.queue.octetCount },
                catchingUp: group.cohorts.dropFirst().flatMap(\.members).sorted().map { addresses[Int($0)] })
        }
        return RIBSummary.Family(
            family: family, prefixes: prefixes.count, bestRoutes: bestCount,
            paths: store.holdings.reduce(0) { $0 + Int($1.count) }, groups: groups)
    }
    var octetsInUse: Int {
        prefixes.capacity * (MemoryLayout<Key.Packed>.stride + 8) + entries.count * MemoryLayout<Entry>.stride
            + store.paths.count * MemoryLayout<Path>.stride
            + groups.reduce(0) { $0 + $1.out.count * MemoryLayout<AdvertisedRoute>.stride }
    }
}

extension Ineligibility {
    /// What an operator reads.
    public var explanation: String {
        switch self {
        case .rejectedByPolicy: "rejected by import policy"
        case .sessionDown: "session is down"
        case .nextHopUnreachable: "next hop is unreachable"
        case .asLoop: "our own AS is in the path"
        case .reflectionLoop: "our own identifier or cluster is in the route"
        }
    }
}
