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
        statements.flatMap(\.everyCondition).compactMap { if case .policy(let name) = $0 { name } else { nil } }
    }
}

public struct PolicyStatement: Hashable, Sendable, Codable {
    /// All must hold, asked in order; empty always holds.
    public var conditions: [PolicyCondition]
    /// Run in order, on a copy: a route that is rejected in the end is not changed.
    public var actions: [PolicyAction]
    /// After the actions, and after `statements` if there are any: for what these did not decide.
    public var result: PolicyResult
    /// Statements within this one, tried in order after its actions.
    public var statements: [PolicyStatement] {
        get { usedStatements ?? [] }
        set { usedStatements = newValue.isEmpty ? nil : newValue }
    }
    /// Tried in order where the conditions do not hold; the next statement goes on with what they did not decide.
    public var otherwise: [PolicyStatement] {
        get { usedOtherwise ?? [] }
        set { usedOtherwise = newValue.isEmpty ? nil : newValue }
    }
    /// `nil` where there are none: a configuration that was stored before they were known reads as it did.
    private var usedStatements: [PolicyStatement]?
    private var usedOtherwise: [PolicyStatement]?

    /// Statements within statements.
    public static let depthMaximum = 6

    public init(conditions: [PolicyCondition] = [], actions: [PolicyAction] = [], result: PolicyResult) {
        self.conditions = conditions
        self.actions = actions
        self.result = result
    }

    /// Conditions of this one and of those within it, also those that stand within others.
    public var everyCondition: [PolicyCondition] {
        conditions.flatMap(\.everyCondition) + (statements + otherwise).flatMap(\.everyCondition)
    }
    /// Actions of this one and of those within it.
    public var everyAction: [PolicyAction] { actions + (statements + otherwise).flatMap(\.everyAction) }
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
    /// Each of the set's entries is matched, and each community of a kind that the set has is matched by an entry.
    case exactCommunities(String)
    /// One of the set's expressions matches the path (`ASPathExpression`).
    case asPathSet(String)
    /// As the operator wrote it.
    case asPath(String)
    /// RFC 4271 §9.1.2.2 (a) counts: an AS_SET is one.
    case asPathLength(minimum: UInt16, maximum: UInt16)
    case asPathContains(ASNumber)
    case originAS(ASNumber)
    /// The first AS of the path.
    case neighborAS(ASNumber)
    /// The set under this name has the AS, or all of them, that stand in this place of the path.
    case asSet(ASPathPlace, String)
    case asNumbers(ASPathPlace, ASNumberSet)
    /// What the route has one of, in these bounds.
    case number(RouteNumber, minimum: UInt32, maximum: UInt32)
    case origin(Origin)
    case med(minimum: UInt32, maximum: UInt32)
    case localPreference(minimum: UInt32, maximum: UInt32)
    /// What validated payloads say of its origin (RFC 6811).
    case validity(OriginValidity)
    // Of where it comes from and goes to.
    /// On import the neighbour that sent the route, on export the one that will get it.
    case neighbor(IPAddress)
    /// In one of these.
    case neighbors([IPPrefix])
    case source(RouteSource)
    case family(FamilyCode)
    /// The next hop lies in this prefix.
    case nextHop(IPPrefix)
    /// The next hop, as a prefix of full length, is in the set.
    case nextHopSet(String)
    case protocols([RouteProtocol])
    case kinds([RouteKind])
    // Of what routes of all protocols have.
    case tags([UInt32])
    /// The metric in the routing table; in BGP MULTI_EXIT_DISC.
    case metric(minimum: UInt32, maximum: UInt32)
    /// That policy accepts the route, which then is as that policy leaves it.
    case policy(String)
    // Of other conditions.
    /// Not all of these hold. A policy that is asked here changes nothing.
    case not([PolicyCondition])
    /// All of one of these lists hold.
    case any([[PolicyCondition]])

    /// Conditions within conditions.
    public static let depthMaximum = 6

    /// This one and those within it.
    public var everyCondition: [PolicyCondition] {
        switch self {
        case .not(let inner): [self] + inner.flatMap(\.everyCondition)
        case .any(let lists): [self] + lists.flatMap { $0 }.flatMap(\.everyCondition)
        default: [self]
        }
    }
}

/// A number that a route can be asked for.
public enum RouteNumber: UInt8, Hashable, Sendable, Codable {
    case asPathLength = 0
    case originAS = 1
    case neighborAS = 2
    case origin = 3
    case med = 4
    case localPreference = 5
    case metric = 6
    case tag = 7
    /// As `asPathLength`, each AS once.
    case distinctASPathLength = 8
    /// How often the AS stands in a row that does so most often.
    case asRepetition = 9
    /// AS_SETs in the path.
    case asSetCount = 10
    /// How often our own AS stands in the path.
    case ownASCount = 11
    case communityCount = 12
    case largeCommunityCount = 13
    case extendedCommunityCount = 14
    /// RFC 4271 §5.1.6: 1 if the route has ATOMIC_AGGREGATE, 0 if not.
    case atomicAggregate = 15
    /// RFC 4271 §5.1.7
    case aggregatorAS = 16
    /// RFC 4456 §8; 0 without CLUSTER_LIST.
    case clusterListLength = 17
    /// RFC 4456 §8: ORIGINATOR_ID.
    case originator = 18
    /// RFC 9234 §5
    case onlyToCustomer = 19
    case weight = 20
}

/// Which ASes of a path are asked for.
public enum ASPathPlace: UInt8, Hashable, Sendable, Codable {
    /// The first.
    case neighbor = 0
    /// The last.
    case origin = 1
    /// Any.
    case anywhere = 2
    /// Each; of an empty path it holds.
    case everywhere = 3
}

/// Which ASes of a path are changed.
public enum ASSelection: Hashable, Sendable, Codable {
    case all
    /// RFC 6996 §5
    case isPrivate
    case numbers(ASNumberSet)
    case set(String)

    public func contains(_ number: ASNumber) -> Bool {
        switch self {
        case .all: true
        case .isPrivate: number.isPrivate
        case .numbers(let numbers): numbers.contains(number)
        case .set: false
        }
    }
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
    /// On import, in this router alone: the highest is chosen before LOCAL_PREF is looked at; 0 otherwise.
    case setWeight(UInt16)
    case setLocalPreference(UInt32)
    case setMED(UInt32)
    case removeMED
    case setOrigin(Origin)
    case addCommunities([Community])
    case setCommunities([Community])
    /// Adds to what is there, 0 if there is none; it stays within what four octets hold.
    case adjustLocalPreference(Int64)
    case adjustMED(Int64)
    /// Removes every community that the set matches, of all kinds.
    case removeCommunities(String)
    case addLargeCommunities([LargeCommunity])
    case setLargeCommunities([LargeCommunity])
    case addExtendedCommunities([ExtendedCommunity])
    case setExtendedCommunities([ExtendedCommunity])
    /// Puts `asNumber` `count` times (1…32) in front of the path.
    case prepend(asNumber: ASNumber, count: UInt8)
    /// Repeats the first AS of the path so often (1…32); nothing before an empty path.
    case prependLast(count: UInt8)
    /// Puts `with` in the place of each of these.
    case replaceAS(ASSelection, with: ASNumber)
    case removeAS(ASSelection)
    case setNextHop(IPAddress)
    case setNextHopSelf
    /// On import the neighbour's address, on export our own.
    case setNextHopPeer
    /// On export: the next hop goes as it is, to external neighbours, too.
    case keepNextHop
    // What routes of all protocols have.
    /// The metric under which it is announced; in BGP MULTI_EXIT_DISC.
    case setMetric(UInt32)
    case adjustMetric(Int64)
    /// OSPF: type 2 or 1; IS-IS: external or internal.
    case setMetricType(isExternal: Bool)
    case setTag(UInt32)
    /// IS-IS: a set of bits (1: level 1, 2: level 2).
    case setLevels(UInt8)

    /// `value` and `change`, in the bounds of four octets.
    public static func adjusting(_ value: UInt32?, by change: Int64) -> UInt32 {
        UInt32(clamping: Int64(value ?? 0) + max(-(1 << 32), min(change, 1 << 32)))
    }
}
