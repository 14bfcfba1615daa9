import Policy
import Wire

/// A path of BGP as policies see it. Its attributes are taken apart when the first condition or action asks for what the table
/// cannot say of them.
struct PathFacts: RouteFacts {
    typealias Store = AttributeTable

    private let handle: UInt32
    private let family: RouteFamily
    /// The set's marks are for what leaves.
    private let isExport: Bool
    /// Of a chain that asks for it.
    private let neighbor: IPAddress?
    private(set) var route: RouteAttributes?
    /// What `route` was before the first action.
    private var original: RouteAttributes?
    /// A bit for each of the first 64 path sets: which ones were asked about the path before the first action, and which match.
    private var asked: UInt64 = 0
    private var matched: UInt64 = 0

    /// As before the first action, with what is known of that: as good for another class of prefixes.
    var unchanged: PathFacts {
        var facts = self
        facts.route = original ?? route
        facts.original = nil
        return facts
    }

    init(_ handle: UInt32, family: RouteFamily, isExport: Bool, neighbor: IPAddress?) {
        self.handle = handle
        self.family = family
        self.isExport = isExport
        self.neighbor = neighbor
    }

    /// A route that is in no table.
    init(_ route: RouteAttributes, family: RouteFamily, isExport: Bool, neighbor: IPAddress?) {
        self.init(0, family: family, isExport: isExport, neighbor: neighbor)
        self.route = route
    }

    private mutating func loaded(_ table: borrowing AttributeTable) -> RouteAttributes {
        if let route { return route }
        let new = table.attributes(handle)
        route = new
        return new
    }

    mutating func number(_ number: RouteNumber, in store: borrowing AttributeTable) -> UInt32? {
        if route == nil, let known = Self.number(number, of: store[handle]) { return known }
        let route = loaded(store)
        let routerAS = ASNumber(store.parameters.routerAS)
        return switch number {
        case .localPreference: route.localPreference ?? store.parameters.defaultLocalPreference
        case .ownASCount: UInt32(route.path.reduce(0) { $0 + $1.numbers.count { $0 == routerAS } })
        default: route.number(number)
        }
    }

    /// What the table says of a set without looking at its octets.
    private static func number(_ number: RouteNumber, of set: AttributeSet) -> UInt32? {
        switch number {
        case .weight: UInt32(set.weight)
        case .asPathLength: set.pathLength
        case .neighborAS: set.neighborAS == 0 ? nil : set.neighborAS
        case .origin: UInt32(set.origin.rawValue)
        case .med, .metric: set.flags.contains(.hasMED) ? set.med : nil
        case .localPreference: set.localPreference
        case .clusterListLength: UInt32(set.clusterCount)
        case .onlyToCustomer: set.flags.contains(.isOnlyToCustomer) ? set.onlyToCustomer : nil
        default: nil
        }
    }

    mutating func nextHop(in store: borrowing AttributeTable) -> IPAddress? { loaded(store).nextHop }
    mutating func pathContains(_ number: ASNumber, in store: borrowing AttributeTable) -> Bool {
        loaded(store).path.contains { $0.numbers.contains(number) }
    }
    mutating func path(_ place: ASPathPlace, isIn numbers: ASNumberSet, in store: borrowing AttributeTable) -> Bool {
        let route = loaded(store)
        return switch place {
        case .neighbor: route.neighborAS.map(numbers.contains) ?? false
        case .origin: route.originAS.map(numbers.contains) ?? false
        case .anywhere: route.path.contains { $0.numbers.contains(where: numbers.contains) }
        case .everywhere: route.path.allSatisfy { $0.numbers.allSatisfy(numbers.contains) }
        }
    }
    mutating func pathMatches(
        _ automata: [ASPathAutomaton], number: Int32, in store: borrowing AttributeTable
    ) -> Bool {
        let bit: UInt64 = number < 64 && original == nil ? 1 << UInt64(number) : 0
        if asked & bit != 0 { return matched & bit != 0 }
        let isMatched = pathMatches(automata, in: store)
        asked |= bit
        if isMatched { matched |= bit }
        return isMatched
    }
    private func pathMatches(_ automata: [ASPathAutomaton], in store: borrowing AttributeTable) -> Bool {
        if let route { return automata.contains { $0.accepts(route.path) } }
        return store.withOctets(handle) { octets in
            var isMatched = false
            forEachAttribute(octets) { _, type, value in
                guard type == AttributeCode.asPath else { return }
                for automaton in automata where automaton.accepts(canonicalPath: value) {
                    isMatched = true
                    return
                }
            }
            return isMatched
        }
    }
    mutating func hasCommunity(_ entry: CommunitySetConfiguration.Entry, in store: borrowing AttributeTable) -> Bool {
        let route = loaded(store)
        return switch entry {
        case .standard, .standardOfAS, .standardRange: route.communities.contains { entry.matches($0) }
        case .large, .largeOfAS, .largeOfFunction, .largeRange: route.largeCommunities.contains { entry.matches($0) }
        case .extended, .extendedPattern: route.extendedCommunities.contains { entry.matches($0) }
        }
    }
    mutating func hasCommunity(of set: CommunityMatcher, in store: borrowing AttributeTable) -> Bool {
        let route = loaded(store)
        return set.matchesAny(route.communities, route.largeCommunities, route.extendedCommunities)
    }
    mutating func hasNoCommunity(but set: CommunityMatcher, in store: borrowing AttributeTable) -> Bool {
        let route = loaded(store)
        return set.matchesAll(route.communities, route.largeCommunities, route.extendedCommunities)
    }
    mutating func removeCommunities(_ set: CommunityMatcher, in store: borrowing AttributeTable) {
        var changed = loaded(store)
        if original == nil { original = changed }
        route = nil
        changed.communities.removeAll(where: set.matches)
        changed.largeCommunities.removeAll(where: set.matches)
        // Kept in another form: taken apart only if one of them goes.
        let extended = changed.extendedCommunities
        if extended.contains(where: set.matches) { changed.extendedCommunities = extended.filter { !set.matches($0) } }
        route = changed
    }

    mutating func perform(_ action: PolicyAction, in store: borrowing AttributeTable) {
        var changed = loaded(store)
        if original == nil { original = changed }
        // Whoever holds its arrays alone changes them in place.
        route = nil
        apply(action, to: &changed, store.parameters.defaultLocalPreference)
        route = changed
    }

    /// What policy said of a route that is only now made.
    /// - Parameter usual: LOCAL_PREF where none was set.
    static func performing(
        _ actions: [PolicyAction], on route: RouteAttributes, family: RouteFamily, defaultLocalPreference usual: UInt32
    ) -> RouteAttributes {
        let facts = PathFacts(0, family: family, isExport: false, neighbor: nil)
        var made = route
        for action in actions { facts.apply(action, to: &made, usual) }
        return made
    }

    private func apply(_ action: PolicyAction, to route: inout RouteAttributes, _ defaultLocalPreference: UInt32) {
        switch action {
        case .setWeight(let value): if !isExport { route.weight = value }
        case .setLocalPreference(let value): route.localPreference = value
        case .adjustLocalPreference(let change):
            route.localPreference = PolicyAction.adjusting(route.localPreference ?? defaultLocalPreference, by: change)
        case .setMED(let value), .setMetric(let value): setMED(value, of: &route)
        case .adjustMED(let change), .adjustMetric(let change): setMED(PolicyAction.adjusting(route.med, by: change), of: &route)
        case .removeMED:
            route.med = nil
            route.marks.remove(.medIsOurs)
        case .setOrigin(let origin): route.origin = origin
        case .addCommunities(let list): route.communities = route.communities.adding(list)
        case .setCommunities(let list): route.communities = [].adding(list)
        case .addLargeCommunities(let list): route.largeCommunities = route.largeCommunities.adding(list)
        case .setLargeCommunities(let list): route.largeCommunities = [].adding(list)
        case .addExtendedCommunities(let list): route.extendedCommunities = route.extendedCommunities.adding(list)
        case .setExtendedCommunities(let list): route.extendedCommunities = [].adding(list)
        case .prepend(let number, let count): route.prepend(number, count: Int(count))
        case .prependLast(let count):
            if let last = route.neighborAS { route.prepend(last, count: Int(count)) }
        case .replaceAS(let selection, let number): route.replace(selection, with: number)
        case .removeAS(let selection): route.remove(selection)
        case .setNextHop(let address): setNextHop(address, of: &route)
        case .setNextHopPeer:
            if isExport { setNextHopSelf(of: &route) } else if let neighbor { setNextHop(neighbor, of: &route) }
        case .setNextHopSelf: setNextHopSelf(of: &route)
        case .keepNextHop:
            // RFC 4271 §5.1.3 (2): a third party's. One that stands for ourselves is filled in all the same.
            if isExport { route.marks.insert(.nextHopIsOurs) }
        case .removeCommunities, .setMetricType, .setTag, .setLevels: break
        }
    }

    private func setMED(_ value: UInt32, of route: inout RouteAttributes) {
        route.med = value
        if isExport { route.marks.insert(.medIsOurs) }
    }
    private func setNextHop(_ address: IPAddress, of route: inout RouteAttributes) {
        // A next hop that the family cannot have means nothing here.
        guard family.type.takes(address) else { return }
        route.nextHop = address
        route.linkLocal = nil
        if isExport { route.marks.insert(.nextHopIsOurs) }
    }
    private func setNextHopSelf(of route: inout RouteAttributes) {
        route.nextHop = family.type.ownNextHop
        route.linkLocal = nil
        route.marks.remove(.nextHopIsOurs)
    }
}

extension RouteAttributes {
    /// What needs no more than the attributes; `nil`: there is none.
    fileprivate func number(_ number: RouteNumber) -> UInt32? {
        switch number {
        case .weight: UInt32(weight)
        case .asPathLength: UInt32(pathLength)
        case .originAS: originAS?.raw
        case .neighborAS: neighborAS?.raw
        case .origin: UInt32(origin.rawValue)
        case .med, .metric: med
        case .tag, .localPreference, .ownASCount: nil
        case .distinctASPathLength: UInt32(distinctPathLength)
        case .asRepetition: UInt32(repetition)
        case .asSetCount: UInt32(path.count { $0.type == 1 || $0.type == 4 })
        case .communityCount: UInt32(communities.count)
        case .largeCommunityCount: UInt32(largeCommunities.count)
        case .extendedCommunityCount: UInt32(extendedCommunities.count)
        case .atomicAggregate: value(of: AttributeCode.atomicAggregate) == nil ? 0 : 1
        case .aggregatorAS: word(of: AttributeCode.aggregator, octets: 8)
        case .clusterListLength: UInt32((value(of: AttributeCode.clusterList)?.count ?? 0) / 4)
        case .originator: word(of: AttributeCode.originatorID, octets: 4)
        case .onlyToCustomer: word(of: AttributeCode.onlyToCustomer, octets: 4)
        }
    }

    private func value(of type: UInt8) -> [UInt8]? { others.first { $0.type == type }?.value }
    /// The first four octets.
    private func word(of type: UInt8, octets: Int) -> UInt32? {
        guard let value = value(of: type), value.count == octets else { return nil }
        return value[..<4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// As `pathLength`, each AS of a sequence once.
    private var distinctPathLength: Int {
        let numbers = path.filter { $0.type == 2 }.flatMap(\.numbers).sorted()
        return path.count { $0.type == 1 } + numbers.indices.count { $0 == 0 || numbers[$0] != numbers[$0 - 1] }
    }

    /// How often the AS stands in a row that does so most often.
    private var repetition: Int {
        var most = 0, count = 0
        var last: ASNumber?
        for segment in path where segment.type == 2 || segment.type == 3 {
            for number in segment.numbers {
                count = number == last ? count + 1 : 1
                last = number
                most = max(most, count)
            }
        }
        return most
    }

    fileprivate mutating func replace(_ selection: ASSelection, with number: ASNumber) {
        for i in path.indices {
            for k in path[i].numbers.indices where selection.contains(path[i].numbers[k]) { path[i].numbers[k] = number }
        }
    }
    /// Segments that become empty go, too.
    fileprivate mutating func remove(_ selection: ASSelection) {
        for i in path.indices { path[i].numbers.removeAll(where: selection.contains) }
        path.removeAll { $0.numbers.isEmpty }
    }
}

extension ASPathAutomaton {
    fileprivate func accepts(_ path: [RouteAttributes.Segment]) -> Bool {
        var cursor = beginning
        for segment in path where !isDecided(cursor) {
            read(segment.type, segment.numbers.count, { segment.numbers[$0].raw }, &cursor)
        }
        return accepts(cursor)
    }

    /// Of the attribute's value.
    fileprivate func accepts(canonicalPath value: RawSpan) -> Bool {
        var cursor = beginning
        var i = 0
        while i + 2 <= value.byteCount, !isDecided(cursor) {
            let count = Int(value.u8(i + 1))
            guard i + 2 + 4 * count <= value.byteCount else { break }
            let numbers = i + 2
            read(value.u8(i), count, { value.u32(numbers + 4 * $0) }, &cursor)
            i = numbers + 4 * count
        }
        return accepts(cursor)
    }

    /// RFC 4271 §4.3, RFC 5065 §3: the types 1 and 4 are sets.
    @inline(__always)
    private func read(_ type: UInt8, _ count: Int, _ number: (Int) -> UInt32, _ cursor: inout Cursor) {
        if type == 1 || type == 4 { return read(anyOf: count, number, &cursor) }
        for i in 0..<count where !isDecided(cursor) { read(number(i), &cursor) }
    }
}
