import Records
import Wire

/// A list of statements, tried in order. The first whose conditions all hold runs its actions; if its result is
/// `.next`, the following statements go on with the changed route.
public struct PolicyConfiguration: Hashable, Sendable, Codable {
    public var name: String
    /// At most 4,096.
    public var statements: [PolicyStatement]
    /// What happens to a route that no statement decided: `.next` hands it to the following policy of the list, and
    /// after the last one it is rejected.
    public var otherwise: PolicyResult

    public init(name: String, statements: [PolicyStatement], otherwise: PolicyResult = .reject) {
        self.name = name
        self.statements = statements
        self.otherwise = otherwise
    }

    /// Policies that its statements call.
    public var calls: [String] {
        statements.flatMap(\.conditions).compactMap { if case .policy(let name) = $0 { name } else { nil } }
    }
}

public struct PolicyStatement: Hashable, Sendable, Codable {
    /// All must hold, asked in order; empty always holds.
    public var conditions: [PolicyCondition]
    /// Run in order, on a copy: a route that is rejected in the end is not changed.
    public var actions: [PolicyAction]
    public var result: PolicyResult

    public init(conditions: [PolicyCondition] = [], actions: [PolicyAction] = [], result: PolicyResult) {
        self.conditions = conditions
        self.actions = actions
        self.result = result
    }
}

public enum PolicyResult: UInt8, Hashable, Sendable, Codable, CaseIterable {
    case accept = 0
    case reject = 1
    case next = 2
}

/// What is asked of a route. One that does not have what is asked for does not meet the condition.
public enum PolicyCondition: Hashable, Sendable, Codable {
    // Of the prefix.
    case prefixSet(String)
    case notPrefixSet(String)
    /// In one of these.
    case prefixes([PrefixRange])
    // Of BGP's attributes.
    /// At least one of the set's entries is on the route.
    case anyCommunity(String)
    /// Each of the set's entries is matched by a community of the route.
    case allCommunities(String)
    case noCommunity(String)
    /// RFC 4271 §9.1.2.2 (a) counts: an AS_SET is one.
    case asPathLength(minimum: UInt16, maximum: UInt16)
    case asPathContains(ASNumber)
    case originAS(ASNumber)
    /// The first AS of the path.
    case neighborAS(ASNumber)
    case origin(Origin)
    case med(minimum: UInt32, maximum: UInt32)
    case localPreference(minimum: UInt32, maximum: UInt32)
    /// What validated payloads say of its origin (RFC 6811).
    case validity(OriginValidity)
    // Of where it comes from and goes to.
    /// On import the neighbour that sent the route, on export the one that will get it.
    case neighbor(IPAddress)
    case source(RouteSource)
    case family(FamilyCode)
    /// The next hop lies in this prefix.
    case nextHop(IPPrefix)
    case protocols([RouteProtocol])
    case kinds([RouteKind])
    // Of what routes of all protocols have.
    case tags([UInt32])
    /// The metric in the routing table; in BGP MULTI_EXIT_DISC.
    case metric(minimum: UInt32, maximum: UInt32)
    /// That policy accepts the route, which then is as that policy leaves it.
    case policy(String)
}

/// Where a route of BGP came into this router.
public enum RouteSource: UInt8, Hashable, Sendable, Codable, CaseIterable, BitwiseCopyable {
    case local = 0
    case external = 1
    case `internal` = 2
}

/// What a protocol tells apart among its routes: intra-area, level 2, external type 1, …
public struct RouteKind: Hashable, Sendable, Codable {
    /// OSPFv3's kinds are OSPF's.
    public var `protocol`: RouteProtocol
    /// As the protocol numbers them.
    public var kind: UInt8

    public init(_ protocol: RouteProtocol, _ kind: UInt8) {
        self.protocol = `protocol` == .ospfv3 ? .ospf : `protocol`
        self.kind = kind
    }
}

/// RFC 6811 §2: what the validated payloads say of a route's origin.
public enum OriginValidity: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// No payload covers the prefix.
    case notFound = 0
    /// At least one payload matches.
    case valid = 1
    /// At least one covers the prefix, and none matches.
    case invalid = 2

    public var description: String {
        switch self {
        case .notFound: "not found"
        case .valid: "valid"
        case .invalid: "invalid"
        }
    }
}

/// What is changed in a route. What it cannot have is left alone.
public enum PolicyAction: Hashable, Sendable, Codable {
    // BGP's attributes.
    case setLocalPreference(UInt32)
    case setMED(UInt32)
    case removeMED
    case setOrigin(Origin)
    case addCommunities([Community])
    case setCommunities([Community])
    /// Removes every standard and large community that the set matches.
    case removeCommunities(String)
    case addLargeCommunities([LargeCommunity])
    case setLargeCommunities([LargeCommunity])
    /// Puts `asNumber` `count` times (1…32) in front of the path.
    case prepend(asNumber: ASNumber, count: UInt8)
    case setNextHop(IPAddress)
    case setNextHopSelf
    // What routes of all protocols have.
    /// The metric under which it is announced; in BGP MULTI_EXIT_DISC.
    case setMetric(UInt32)
    /// OSPF: type 2 or 1; IS-IS: external or internal.
    case setMetricType(isExternal: Bool)
    case setTag(UInt32)
    /// IS-IS: a set of bits (1: level 1, 2: level 2).
    case setLevels(UInt8)
}
