import Wire

/// RFC 5065: an AS that is made of several, and is one to the world outside.
public struct ConfederationConfiguration: Hashable, Sendable, Codable {
    /// What we all are to the world outside.
    public var identifier: ASNumber
    /// Member ASes beside our own, which is the router's AS; at most 1,024, ascending.
    public var members: [ASNumber] = []

    public init(identifier: ASNumber, members: [ASNumber] = []) {
        self.identifier = identifier
        self.members = members
    }
}

/// What a neighbour is to us.
public enum NeighborKind: String, Hashable, Sendable, Codable {
    /// Of the router's own AS.
    case `internal`
    /// RFC 5065: of another member of our confederation.
    case confederation
    /// Of another AS, or outside of our confederation.
    case external
}

/// Rules of the decision process that an operator changes, by the names that FRR and others have for them.
public struct BestPathConfiguration: Hashable, Sendable, Codable {
    /// MULTI_EXIT_DISC is compared whatever AS the paths are from.
    public var alwaysCompareMED = false
    /// A path without MULTI_EXIT_DISC has the worst one, and not the best.
    public var missingMEDAsWorst = false
    /// RFC 5065: MULTI_EXIT_DISC is compared among paths that began in our confederation and come over the same member.
    public var comparesConfederationMED = false
    /// The length of AS_PATH decides nothing.
    public var ignoresPathLength = false
    public init() {}

    var rules: DecisionRules {
        var rules: DecisionRules = []
        if alwaysCompareMED { rules.insert(.alwaysCompareMED) }
        if missingMEDAsWorst { rules.insert(.missingMEDAsWorst) }
        if comparesConfederationMED { rules.insert(.confederationMED) }
        if ignoresPathLength { rules.insert(.ignorePathLength) }
        return rules
    }
}

/// `BestPathConfiguration` in an octet.
struct DecisionRules: OptionSet, Hashable, Sendable, BitwiseCopyable {
    var rawValue: UInt8
    static let alwaysCompareMED = DecisionRules(rawValue: 1)
    static let missingMEDAsWorst = DecisionRules(rawValue: 2)
    static let confederationMED = DecisionRules(rawValue: 4)
    static let ignorePathLength = DecisionRules(rawValue: 8)
}

extension BGPConfiguration {
    /// What the world outside knows us by (RFC 5065 §4).
    public var externalAS: ASNumber { confederation?.identifier ?? routerAS }

    public func kind(of neighbor: NeighborConfiguration) -> NeighborKind {
        if neighbor.remoteAS == routerAS { return .internal }
        return confederation?.members.contains(neighbor.remoteAS) == true ? .confederation : .external
    }

    /// The AS that we are to a neighbour: among members of a confederation our own, to others its identifier (RFC 5065 §4), or
    /// the one that we have towards this neighbour alone (RFC 7705).
    /// - Parameter answersAsRouter: `LocalASConfiguration.dualAS`: the neighbour wants the usual one.
    func localAS(towards neighbor: NeighborConfiguration, answersAsRouter: Bool) -> ASNumber {
        if kind(of: neighbor) != .external { return routerAS }
        return answersAsRouter ? externalAS : neighbor.localAS?.asNumber ?? externalAS
    }
}
