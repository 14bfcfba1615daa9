import Policy
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
    /// What policy gave it in this router; absent without any.
    public var weight: UInt16?
    public var communities: [String]
    public var largeCommunities: [String]
    /// RFC 4360
    public var extendedCommunities: [String]
    /// RFC 4456 §8
    public var originatorID: RouterID?
    public var clusterList: [RouterID]
    /// RFC 9234 §5: the AS that said that the route goes to customers only.
    public var onlyToCustomer: ASNumber?
    /// Whatever else is there: type, flags and value in hexadecimal.
    public var others: [String]

    init(_ route: RouteAttributes) {
        origin = route.origin
        asPath = route.pathText
        nextHop = route.nextHop
        linkLocal = route.linkLocal
        med = route.med
        localPreference = route.localPreference
        weight = route.weight == 0 ? nil : route.weight
        communities = route.communities.map(\.description)
        largeCommunities = route.largeCommunities.map(\.description)
        extendedCommunities = route.extendedCommunities.map(\.description)
        func numbers(_ type: UInt8) -> [UInt32] {
            guard let value = route.others.first(where: { $0.type == type })?.value else { return [] }
            return stride(from: 0, to: value.count / 4 * 4, by: 4).map { at in
                value[at..<(at + 4)].reduce(0) { $0 << 8 | UInt32($1) }
            }
        }
        originatorID = numbers(AttributeCode.originatorID).first.map { RouterID(raw: $0) }
        clusterList = numbers(AttributeCode.clusterList).map { RouterID(raw: $0) }
        onlyToCustomer = numbers(AttributeCode.onlyToCustomer).first.map { ASNumber($0) }
        let known = [
            AttributeCode.originatorID, AttributeCode.clusterList, AttributeCode.onlyToCustomer,
            AttributeCode.extendedCommunities,
        ]
        others = route.others.filter { !known.contains($0.type) }.map { other in
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
    /// RFC 7911: as the neighbour calls it; `nil` when it gives no identifiers.
    public var pathID: UInt32?
    /// With labels only: of 20 bits.
    public var label: UInt32?
    public var isBest: Bool
    /// Its neighbour restarted, or began a refresh, and has not announced it again.
    public var isStale: Bool
    /// Why it cannot be chosen; `nil` when it can.
    public var ineligibility: Ineligibility?
    /// For the best path the step that told it from the next best one, for another the step by which it lost.
    public var decidedBy: DecisionStep?
    /// In words.
    public var reason: String
    /// Cost to the next hop; `nil` when it is unreachable.
    public var metric: UInt32?
    /// What the RPKI says of its origin as received; `nil` while nobody says anything, or it is of no IP prefix.
    public var validity: OriginValidity?
    /// As received.
    public var received: AttributesView
    /// After import policy; `nil` when rejected, or not shown to policy for being a route leak.
    public var accepted: AttributesView?
}

/// A destination with all its paths, the best one first, the others in the order of their neighbours.
public struct RouteView: Hashable, Sendable, Codable {
    public var destination: RouteDestination
    public var paths: [PathView]
}

/// A route of Adj-RIB-In or Adj-RIB-Out.
public struct NeighborRouteView: Hashable, Sendable, Codable {
    public var destination: RouteDestination
    /// With labels only: of 20 bits.
    public var label: UInt32?
    /// RFC 7911, where the neighbour gives or takes path identifiers.
    public var pathID: UInt32?
    /// Adj-RIB-In: as received. Adj-RIB-Out: as the neighbour gets it, with four-octet AS numbers.
    public var attributes: AttributesView
    /// Adj-RIB-In: whether policy took it. Adj-RIB-Out: always.
    public var isAccepted: Bool
    /// Adj-RIB-In: not announced again since the neighbour restarted or began a refresh.
    public var isStale: Bool = false
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
    /// The destination with all its paths.
    public func route(_ destination: RouteDestination) -> RouteView? {
        tables.ask(Find(destination: destination), of: destination.family, shared)
    }
    /// Of the family of unicast.
    public func route(_ prefix: IPPrefix) -> RouteView? { route(RouteDestination(prefix)) }
    /// The longest destination with a best route that contains this one.
    public func route(covering destination: RouteDestination) -> RouteView? {
        tables.ask(Cover(destination: destination), of: destination.family, shared)
    }
    /// The longest prefix of unicast with a best route that covers the address.
    public func route(covering address: IPAddress) -> RouteView? {
        switch address {
        case .v4(let a): route(covering: RouteDestination(.v4(IPv4Prefix(a, 32))))
        case .v6(let a): route(covering: RouteDestination(.v6(IPv6Prefix(a, 128))))
        }
    }
    /// Destinations in ascending order, those after `last`, at most `limit`.
    public func routes(_ family: RouteFamily, after last: RouteDestination?, limit: Int) -> [RouteView] {
        tables.ask(List(last: last, limit: limit), of: family, shared)
    }
    /// What the peer announced, in ascending order, those after `last`, at most `limit`.
    public func received(
        from peer: PeerIndex, _ family: RouteFamily, after last: RouteDestination?, limit: Int
    ) -> [NeighborRouteView] {
        guard let source = source(peer) else { return [] }
        return tables.ask(Received(source: source, last: last, limit: limit), of: family, shared)
    }
    /// What the peer's group advertises to it, in ascending order, those after `last`, at most `limit` destinations.
    public func advertised(
        to peer: PeerIndex, _ family: RouteFamily, after last: RouteDestination?, limit: Int
    ) -> [NeighborRouteView] {
        guard let source = source(peer) else { return [] }
        return tables.ask(Advertised(source: source, last: last, limit: limit), of: family, shared)
    }
    /// How many routes are advertised to the peer. Linear in the table: its own routes do not count.
    public func advertisedCount(_ peer: PeerIndex, _ family: RouteFamily) -> Int {
        guard let source = source(peer) else { return 0 }
        return tables.ask(AdvertisedCount(source: source), of: family, shared)
    }

    /// How many of the peer's routes policy took, and how many of these are the best of their prefix. Linear in its routes.
    public func acceptedCounts(_ peer: PeerIndex, _ family: RouteFamily) -> (accepted: Int, best: Int) {
        guard let source = source(peer) else { return (0, 0) }
        return tables.ask(AcceptedCounts(source: source), of: family, shared)
    }

    /// Families of which nothing is known and that no session carries are left out, but for those of every router.
    public var summary: RIBSummary {
        let families = tables.askAll(Summary(), shared).filter { own in
            RouteFamily.configurable.contains(own.family) || own.prefixes > 0 || !own.groups.isEmpty
        }
        return RIBSummary(
            families: families, attributeSets: shared.attributes.count, nextHops: nextHops.count,
            octets: tables.askAll(OctetsInUse(), shared).reduce(shared.attributes.octetsInUse, +))
    }
}

// MARK: questions

private struct Find: TableQuery {
    var destination: RouteDestination
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> RouteView? {
        guard let key = destination.key(of: Family.self), let number = table.prefixes.find(key) else { return nil }
        return table.view(number, shared)
    }
}

private struct Cover: TableQuery {
    var destination: RouteDestination
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> RouteView? {
        guard let key = destination.key(of: Family.self) else { return nil }
        let number = table.prefixes.longestMatch(containing: key) { table.locRIB.entries[Int($0)].best != 0 }
        return number.flatMap { table.view($0, shared) }
    }
}

private struct List: TableQuery {
    var last: RouteDestination?
    var limit: Int
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> [RouteView] {
        var views: [RouteView] = []
        for number in table.prefixes.ordered(after: last?.key(of: Family.self), limit: limit) {
            if let view = table.view(number, shared) { views.append(view) }
        }
        return views
    }
}

private struct Received: TableQuery {
    var source: Int
    var last: RouteDestination?
    var limit: Int
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> [NeighborRouteView] {
        table.received(source, after: last?.key(of: Family.self), limit, shared)
    }
}

private struct Advertised: TableQuery {
    var source: Int
    var last: RouteDestination?
    var limit: Int
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> [NeighborRouteView] {
        table.advertised(source, after: last?.key(of: Family.self), limit, shared)
    }
}

private struct AdvertisedCount: TableQuery {
    var source: Int
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Int {
        table.advertisedCount(source)
    }
}

private struct AcceptedCounts: TableQuery {
    var source: Int
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> (accepted: Int, best: Int) {
        table.acceptedCounts(source, shared)
    }
}

private struct Summary: TableQuery {
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> RIBSummary.Family {
        table.summary(shared)
    }
}

private struct OctetsInUse: TableQuery {
    func answer<Family: RoutedFamily>(_ table: FamilyRIB<Family>, _ shared: borrowing RIBShared) -> Int { table.octetsInUse }
}

extension AttributeTable {
    func view(_ handle: UInt32) -> AttributesView {
        AttributesView(attributes(handle))
    }
    /// Taken apart.
    func attributes(_ handle: UInt32) -> RouteAttributes {
        let set = self[handle]
        return withOctets(handle) { RouteAttributes(canonical: $0, marks: set.marks, weight: set.weight) }
    }
    var octetsInUse: Int { arena.storage.count + sets.count * MemoryLayout<AttributeSet>.stride + 42 * count }
}

extension FamilyRIB {
    func view(_ number: UInt32, _ shared: borrowing RIBShared) -> RouteView? {
        let entry = locRIB.entries[Int(number)]
        guard entry.head != 0 else { return nil }
        var paths: [UInt32] = []
        var path = entry.head
        while path != 0 {
            paths.append(path)
            path = adjRIBIn.paths[Int(path)].next
        }
        paths.sort { a, b in
            if (a == entry.best) != (b == entry.best) { return a == entry.best }
            let oa = adjRIBIn.owner(a), ob = adjRIBIn.owner(b)
            return oa != ob ? oa < ob : adjRIBIn.identity(a).id < adjRIBIn.identity(b).id
        }
        // What the best path beat last is what an operator wants to know of it.
        let decisive = paths.dropFirst().compactMap { lost($0, entry.best, number, shared) }.max { $0.rawValue < $1.rawValue }
        let prefix = shared.payloads.map { $0.count > 0 } == true ? Family.prefix(prefixes.keys[Int(number)]) : nil
        let views = paths.map { path in
            let p = adjRIBIn.paths[Int(path)]
            let source = shared.sources[Int(adjRIBIn.owner(path))]
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
                source: source.kind, neighbor: source.kind == .local ? nil : source.address,
                pathID: source.receivesPathIDs.contains(family) ? adjRIBIn.identity(path).id : nil,
                label: Family.hasLabels ? adjRIBIn.identity(path).label : nil, isBest: isBest,
                isStale: adjRIBIn.isStale(path), ineligibility: why,
                decidedBy: step, reason: reason, metric: metric == NextHopTable.unreachable ? nil : metric,
                validity: prefix.map { shared.validity(of: $0, p.received) },
                received: shared.attributes.view(p.received),
                accepted: isTaken(p, shared) ? shared.attributes.view(p.accepted) : nil)
        }
        return RouteView(destination: RouteDestination(Family.self, prefixes[number]), paths: views)
    }

    /// Import policy took it. A route leak, or a loop that is found before policy, was not shown to it.
    private func isTaken(_ path: Path, _ shared: borrowing RIBShared) -> Bool {
        path.accepted != 0 && shared.attributes[path.accepted].marks.isDisjoint(with: [.isLeak, .isLoop])
    }

    /// By which step `path` loses to the best one; `nil` when it is not eligible or nothing was chosen.
    private func lost(_ path: UInt32, _ best: UInt32, _ number: UInt32, _ shared: borrowing RIBShared) -> DecisionStep? {
        guard best != 0, path != best else { return nil }
        let p = adjRIBIn.paths[Int(path)], b = adjRIBIn.paths[Int(best)]
        let sp = shared.sources[Int(adjRIBIn.owner(path))]
        guard Decision.ineligibility(p.accepted, sp, shared.attributes) == nil, b.accepted != 0 else { return nil }
        let own = shared.attributes[p.accepted], chosen = shared.attributes[b.accepted]
        if own.rank != chosen.rank { return Decision.stepOfRank(own.rank, chosen.rank) }
        if losesByMED(path, number, own.rank, shared) { return .med }
        return compareLate(path, best, shared).step
    }

    /// How far a page of received paths may go beyond its limit.
    private static var morePaths: Int { 256 }

    func received(_ source: Int, after last: Key?, _ limit: Int, _ shared: borrowing RIBShared) -> [NeighborRouteView] {
        var found: [(key: Key, path: UInt32)] = []
        var page = adjRIBIn.firstPage(source)
        while page != 0 {
            let first = (page - 1) << AdjRIBIn.pageBits
            for path in first..<(first + UInt32(AdjRIBIn.pageSize)) where adjRIBIn.paths[Int(path)].received != 0 {
                let key = prefixes[adjRIBIn.paths[Int(path)].prefix]
                if let last, key <= last { continue }
                found.append((key, path))
            }
            page = adjRIBIn.pageAfter(page, source)
        }
        found.sort { a, b in a.key != b.key ? a.key < b.key : adjRIBIn.identity(a.path).id < adjRIBIn.identity(b.path).id }
        let hasPathIDs = shared.sources[source].receivesPathIDs.contains(family)
        // The next page begins behind a destination, so the paths to the last one stay together, as far as that has a bound.
        var end = min(limit, found.count)
        while end > 0, end < found.count, end - limit < Self.morePaths, found[end].key == found[end - 1].key { end += 1 }
        return found[..<end].map { key, path in
            let p = adjRIBIn.paths[Int(path)], identity = adjRIBIn.identity(path)
            return NeighborRouteView(
                destination: RouteDestination(Family.self, key), label: Family.hasLabels ? identity.label : nil,
                pathID: hasPathIDs ? identity.id : nil, attributes: shared.attributes.view(p.received),
                isAccepted: isTaken(p, shared), isStale: adjRIBIn.isStale(path))
        }
    }

    private func group(of source: Int) -> UpdateGroup? {
        guard source < members.count, members[source].group != 0 else { return nil }
        return groups.first { $0.id == members[source].group }
    }

    /// Places of a prefix that the source, a member of the group, gets.
    private func visible(_ number: UInt32, to source: Int, _ group: borrowing UpdateGroup) -> [Int] {
        let places = (0..<group.out.width).filter { k in
            let route = group.out.route(number, k)
            return route.handle != 0 && Int(route.source) != source
        }
        if case .several = group.parameters.view { return places }
        return Array(places.prefix(1))
    }

    func advertised(_ source: Int, after last: Key?, _ limit: Int, _ shared: borrowing RIBShared) -> [NeighborRouteView] {
        guard let group = group(of: source) else { return [] }
        var keys: [Key] = []
        group.out.forEachAdvertised { number in
            let key = prefixes[number]
            if let last, key <= last { return }
            if !visible(number, to: source, group).isEmpty { keys.append(key) }
        }
        keys.sort()
        // For display the numbers are not squeezed into two octets.
        var parameters = group.parameters
        parameters.fourOctetAS = true
        let encoder = ExportEncoder(Family.self, parameters: parameters)
        var views: [NeighborRouteView] = []
        for key in keys.prefix(limit) {
            guard let number = prefixes.find(key) else { continue }
            for k in visible(number, to: source, group) {
                let handle = group.out.route(number, k).handle
                var octets: [UInt8] = []
                let marks = shared.attributes[handle].marks
                let encoded = shared.attributes.withOctets(handle) { encoder.encode($0, marks: marks, to: &octets) }
                var route = RouteAttributes(canonical: octets.span.bytes)
                if let nextHop = encoded.nextHop { route.nextHop = nextHop }
                route.linkLocal = encoded.linkLocal
                let label = encoded.isOurs ? LabelField.implicitNull : group.out.label(number, k)
                views.append(
                    NeighborRouteView(
                        destination: RouteDestination(Family.self, key), label: Family.hasLabels ? label : nil,
                        pathID: parameters.sendsPathIDs ? parameters.pathID(k) : nil, attributes: AttributesView(route),
                        isAccepted: true))
            }
        }
        return views
    }

    func acceptedCounts(_ source: Int, _ shared: borrowing RIBShared) -> (accepted: Int, best: Int) {
        var accepted = 0, best = 0
        var page = adjRIBIn.firstPage(source)
        while page != 0 {
            let first = (page - 1) << AdjRIBIn.pageBits
            for path in first..<(first + UInt32(AdjRIBIn.pageSize)) {
                let p = adjRIBIn.paths[Int(path)]
                guard p.received != 0, isTaken(p, shared) else { continue }
                accepted += 1
                if locRIB.entries[Int(p.prefix)].best == path { best += 1 }
            }
            page = adjRIBIn.pageAfter(page, source)
        }
        return (accepted, best)
    }

    func advertisedCount(_ source: Int) -> Int {
        guard let group = group(of: source) else { return 0 }
        if group.out.width == 1 {
            return group.out.routes.reduce(0) { $0 + ($1.handle != 0 && Int($1.source) != source ? 1 : 0) }
        }
        var count = 0
        group.out.forEachAdvertised { count += visible($0, to: source, group).count }
        return count
    }

    func summary(_ shared: borrowing RIBShared) -> RIBSummary.Family {
        let addresses = shared.sources.map(\.address)
        let groups = groups.map { group in
            RIBSummary.Group(
                neighbors: group.cohorts.flatMap(\.members).sorted().map { addresses[Int($0)] }, advertised: group.out.count,
                pending: group.cohorts[0].pending.count, queued: group.cohorts.reduce(0) { $0 + $1.queue.octetCount },
                catchingUp: group.cohorts.dropFirst().flatMap(\.members).sorted().map { addresses[Int($0)] })
        }
        return RIBSummary.Family(
            family: family, prefixes: prefixes.count, bestRoutes: locRIB.count,
            paths: adjRIBIn.holdings.reduce(0) { $0 + Int($1.count) }, groups: groups)
    }
    var octetsInUse: Int {
        prefixes.capacity * (MemoryLayout<Key.Packed>.stride + 8) + locRIB.entries.count * MemoryLayout<Entry>.stride
            + adjRIBIn.paths.count * MemoryLayout<Path>.stride
            + adjRIBIn.identities.count * MemoryLayout<PathIdentity>.stride
            + groups.reduce(0) { $0 + $1.out.routes.count * MemoryLayout<AdvertisedRoute>.stride + 4 * $1.out.labels.count }
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
        case .routeLeak: "route leak: it was to go to customers only (RFC 9234)"
        }
    }
}
