import Policy
import Wire

/// A path of BGP as policies see it. Its attributes are taken apart when the first condition or action asks for them.
struct PathFacts: RouteFacts {
    typealias Store = AttributeTable

    private let handle: UInt32
    private let family: RouteFamily
    /// The set's marks are for what leaves.
    private let isExport: Bool
    private(set) var route: RouteAttributes?

    init(_ handle: UInt32, family: RouteFamily, isExport: Bool) {
        self.handle = handle
        self.family = family
        self.isExport = isExport
    }

    /// A route that is in no table.
    init(_ route: RouteAttributes, family: RouteFamily, isExport: Bool) {
        self.init(0, family: family, isExport: isExport)
        self.route = route
    }

    private mutating func loaded(_ table: borrowing AttributeTable) -> RouteAttributes {
        if let route { return route }
        let marks = table[handle].marks
        let new = table.withOctets(handle) { RouteAttributes(canonical: $0, marks: marks) }
        route = new
        return new
    }

    mutating func number(_ number: RouteNumber, in store: borrowing AttributeTable) -> UInt32? {
        let route = loaded(store)
        return switch number {
        case .asPathLength: UInt32(route.pathLength)
        case .originAS: route.originAS?.raw
        case .neighborAS: route.neighborAS?.raw
        case .origin: UInt32(route.origin.rawValue)
        case .med, .metric: route.med
        case .localPreference: route.localPreference ?? store.parameters.defaultLocalPreference
        case .tag: nil
        }
    }
    mutating func nextHop(in store: borrowing AttributeTable) -> IPAddress? { loaded(store).nextHop }
    mutating func pathContains(_ number: ASNumber, in store: borrowing AttributeTable) -> Bool {
        loaded(store).path.contains { $0.numbers.contains(number) }
    }
    mutating func hasCommunity(_ entry: CommunitySetConfiguration.Entry, in store: borrowing AttributeTable) -> Bool {
        let route = loaded(store)
        return switch entry {
        case .standard, .standardOfAS: route.communities.contains { entry.matches($0) }
        case .large, .largeOfAS, .largeOfFunction: route.largeCommunities.contains { entry.matches($0) }
        }
    }
    mutating func removeCommunities(_ entries: [CommunitySetConfiguration.Entry], in store: borrowing AttributeTable) {
        var changed = loaded(store)
        route = nil
        changed.communities.removeAll { community in entries.contains { $0.matches(community) } }
        changed.largeCommunities.removeAll { community in entries.contains { $0.matches(community) } }
        route = changed
    }

    mutating func perform(_ action: PolicyAction, in store: borrowing AttributeTable) {
        var changed = loaded(store)
        // The only one who holds its arrays changes them in place.
        route = nil
        apply(action, to: &changed)
        route = changed
    }

    /// What policy said of a route that is only now made.
    static func performing(_ actions: [PolicyAction], on route: RouteAttributes, family: RouteFamily) -> RouteAttributes {
        let facts = PathFacts(0, family: family, isExport: false)
        var made = route
        for action in actions { facts.apply(action, to: &made) }
        return made
    }

    private func apply(_ action: PolicyAction, to route: inout RouteAttributes) {
        switch action {
        case .setLocalPreference(let value): route.localPreference = value
        case .setMED(let value), .setMetric(let value):
            route.med = value
            if isExport { route.marks.insert(.medIsOurs) }
        case .removeMED:
            route.med = nil
            route.marks.remove(.medIsOurs)
        case .setOrigin(let origin): route.origin = origin
        case .addCommunities(let list): route.communities = route.communities.adding(list)
        case .setCommunities(let list): route.communities = [].adding(list)
        case .addLargeCommunities(let list): route.largeCommunities = route.largeCommunities.adding(list)
        case .setLargeCommunities(let list): route.largeCommunities = [].adding(list)
        case .prepend(let number, let count): route.prepend(number, count: Int(count))
        case .setNextHop(let address):
            // A next hop that the family cannot have means nothing here.
            guard family.type.takes(address) else { return }
            route.nextHop = address
            route.linkLocal = nil
            if isExport { route.marks.insert(.nextHopIsOurs) }
        case .setNextHopSelf:
            route.nextHop = family.type.ownNextHop
            route.linkLocal = nil
            route.marks.remove(.nextHopIsOurs)
        case .removeCommunities, .setMetricType, .setTag, .setLevels: break
        }
    }
}
