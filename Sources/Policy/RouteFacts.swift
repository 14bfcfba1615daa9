import Records
import Wire

/// What stands around a route, the same for many: it costs nothing to ask.
public struct RouteContext: Sendable {
    public var family: FamilyCode
    public var kind: RouteKind
    public var neighbor: IPAddress?
    public var validity: OriginValidity?

    public init(family: FamilyCode, kind: RouteKind, neighbor: IPAddress? = nil, validity: OriginValidity? = nil) {
        self.family = family
        self.kind = kind
        self.neighbor = neighbor
        self.validity = validity
    }
}

/// A route as policies see it: what it can be asked, and how it is changed. A copy is a route of its own.
///
/// It is loaded when the first condition asks, from a store that it does not keep: most routes meet conditions on their
/// prefix alone.
public protocol RouteFacts {
    associatedtype Store

    /// `nil`: it has none.
    mutating func number(_ number: RouteNumber, in store: borrowing Store) -> UInt32?
    mutating func nextHop(in store: borrowing Store) -> IPAddress?
    mutating func pathContains(_ number: ASNumber, in store: borrowing Store) -> Bool
    /// Whether the ASes in that place of the path are among these.
    mutating func path(_ place: ASPathPlace, isIn numbers: ASNumberSet, in store: borrowing Store) -> Bool
    /// Whether one of the automata accepts the path. They are always the same under one number.
    mutating func pathMatches(_ automata: [ASPathAutomaton], number: Int32, in store: borrowing Store) -> Bool
    /// Whether one of its communities matches.
    mutating func hasCommunity(_ entry: CommunitySetConfiguration.Entry, in store: borrowing Store) -> Bool
    /// Whether one of its communities is in the set.
    mutating func hasCommunity(of set: CommunityMatcher, in store: borrowing Store) -> Bool
    /// Whether each of its communities, of those kinds that the set has, is in the set.
    mutating func hasNoCommunity(but set: CommunityMatcher, in store: borrowing Store) -> Bool
    mutating func removeCommunities(_ set: CommunityMatcher, in store: borrowing Store)
    /// Any but `removeCommunities`. What the route cannot have is left alone.
    mutating func perform(_ action: PolicyAction, in store: borrowing Store)
}

/// A route of the routing table on its way to another protocol, or to another level of its own.
public struct OfferedRoute: RouteFacts, Sendable {
    private var ownMetric: UInt32
    private var ownTag: UInt32
    private var ownNextHop: IPAddress?
    /// What policy said; `nil` where it said nothing.
    public private(set) var metric: UInt32?
    public private(set) var tag: UInt32?
    public private(set) var isExternalMetric: Bool?
    public private(set) var levels: UInt8?
    private var communities: [Community] = []
    private var largeCommunities: [LargeCommunity] = []
    private var extendedCommunities: [ExtendedCommunity] = []
    private var otherAttributes: [PolicyAction] = []
    /// What policy said of BGP's attributes, for whoever makes them.
    public var attributes: [PolicyAction] {
        otherAttributes + (communities.isEmpty ? [] : [.setCommunities(communities)])
            + (largeCommunities.isEmpty ? [] : [.setLargeCommunities(largeCommunities)])
            + (extendedCommunities.isEmpty ? [] : [.setExtendedCommunities(extendedCommunities)])
    }

    /// - Parameter nextHop: `nil` when there is none, or more than one.
    public init(metric: UInt32, tag: UInt32, nextHop: IPAddress? = nil) {
        ownMetric = metric
        ownTag = tag
        ownNextHop = nextHop
    }

    public func number(_ number: RouteNumber, in store: borrowing Void) -> UInt32? {
        switch number {
        case .metric: metric ?? ownMetric
        case .tag: tag ?? ownTag
        case .communityCount: UInt32(communities.count)
        case .largeCommunityCount: UInt32(largeCommunities.count)
        case .extendedCommunityCount: UInt32(extendedCommunities.count)
        default: nil
        }
    }
    public func nextHop(in store: borrowing Void) -> IPAddress? { ownNextHop }
    public func pathContains(_ number: ASNumber, in store: borrowing Void) -> Bool { false }
    public func path(_ place: ASPathPlace, isIn numbers: ASNumberSet, in store: borrowing Void) -> Bool { false }
    public func pathMatches(_ automata: [ASPathAutomaton], number: Int32, in store: borrowing Void) -> Bool { false }
    /// It has those that policy gave it.
    public func hasCommunity(_ entry: CommunitySetConfiguration.Entry, in store: borrowing Void) -> Bool {
        communities.contains { entry.matches($0) } || largeCommunities.contains { entry.matches($0) }
            || extendedCommunities.contains { entry.matches($0) }
    }
    public func hasCommunity(of set: CommunityMatcher, in store: borrowing Void) -> Bool {
        set.matchesAny(communities, largeCommunities, extendedCommunities)
    }
    public func hasNoCommunity(but set: CommunityMatcher, in store: borrowing Void) -> Bool {
        set.matchesAll(communities, largeCommunities, extendedCommunities)
    }
    public mutating func removeCommunities(_ set: CommunityMatcher, in store: borrowing Void) {
        communities.removeAll(where: set.matches)
        largeCommunities.removeAll(where: set.matches)
        extendedCommunities.removeAll(where: set.matches)
    }

    public mutating func perform(_ action: PolicyAction, in store: borrowing Void) {
        switch action {
        case .setMetric(let value): metric = value
        case .adjustMetric(let change): metric = PolicyAction.adjusting(metric ?? ownMetric, by: change)
        case .setMetricType(let isExternal): isExternalMetric = isExternal
        case .setTag(let value): tag = value
        case .setLevels(let value): levels = value
        case .addCommunities(let list): communities = communities.adding(list)
        case .setCommunities(let list): communities = [].adding(list)
        case .addLargeCommunities(let list): largeCommunities = largeCommunities.adding(list)
        case .setLargeCommunities(let list): largeCommunities = [].adding(list)
        case .addExtendedCommunities(let list): extendedCommunities = extendedCommunities.adding(list)
        case .setExtendedCommunities(let list): extendedCommunities = [].adding(list)
        case .setWeight, .setLocalPreference, .adjustLocalPreference, .setMED, .adjustMED, .removeMED, .setOrigin, .prepend,
            .prependLast,
            .replaceAS, .removeAS, .setNextHop, .setNextHopSelf, .setNextHopPeer, .keepNextHop:
            otherAttributes.append(action)
        case .removeCommunities: break
        }
    }
}

extension PolicyProgram {
    /// Runs over a route of the routing table, and says whether it is taken.
    public func accepts(
        _ route: inout OfferedRoute, _ prefix: IPPrefix, _ source: RouteProtocol, _ kind: UInt8
    ) -> Bool {
        let context = RouteContext(
            family: FamilyCode(unicast: prefix.family), kind: RouteKind(source, kind))
        return run(&route, in: (), context, prefixClass: classOf(prefix)).isAccepted
    }
}

extension Array where Element: Equatable {
    /// With those of `new` that are not there yet behind it, each once.
    public func adding(_ new: [Element]) -> [Element] {
        var result = self
        for value in new where !result.contains(value) { result.append(value) }
        return result
    }
}
