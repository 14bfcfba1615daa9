import Records
import Wire

// One language of policy for the whole router.
//
// A *policy* is a list of statements. Each asks conditions of a route, changes it, and accepts it, rejects it or hands it on.
// BGP's import and export, redistribution, aggregates and the leaking of routes between IS-IS levels all name the same
// policies (`PolicyUse`); what differs is what a route can be asked there (`RouteFacts`).
//
// - `PolicyDefinitions`: sets and policies as the configuration has them.
// - `PolicyConfiguration`: one policy; conditions and actions.
// - `PolicyChain`: a use of policies with everything that they name: a value that can be compared and stored.
// - `PolicyProgram`: a chain made ready to run, a flat list of steps.
// - `PrefixClassifier`: which prefix sets a prefix is in, for all sets of a program by one look-up.
//
// A route's fate depends on its attributes, which many prefixes share, and on the prefix only through the prefix sets that
// the program names. So a prefix is boiled down to its *class*, and whoever has many prefixes with equal attributes asks
// once for each class.

/// Sets and policies under their names, as the model of OpenConfig (openconfig-routing-policy) has them.
///
/// Names are unique within each list. Whatever a policy names is there, and no policy calls itself, directly or through
/// others: who reads a configuration checks that, and what is missing all the same holds for no route.
public struct PolicyDefinitions: Hashable, Sendable, Codable {
    public var prefixSets: [PrefixSetConfiguration] = []
    public var communitySets: [CommunitySetConfiguration] = []
    public var policies: [PolicyConfiguration] = []
    public var asPathSets: [ASPathSetConfiguration] {
        get { usedASPathSets ?? [] }
        set { usedASPathSets = newValue.isEmpty ? nil : newValue }
    }
    public var asSets: [ASSetConfiguration] {
        get { usedASSets ?? [] }
        set { usedASSets = newValue.isEmpty ? nil : newValue }
    }
    /// `nil` where there are none: a configuration that was stored before they were known reads as it did.
    private var usedASPathSets: [ASPathSetConfiguration]?
    private var usedASSets: [ASSetConfiguration]?

    public init(
        prefixSets: [PrefixSetConfiguration] = [], communitySets: [CommunitySetConfiguration] = [],
        policies: [PolicyConfiguration] = []
    ) {
        self.prefixSets = prefixSets
        self.communitySets = communitySets
        self.policies = policies
    }

    public var isEmpty: Bool {
        prefixSets.isEmpty && communitySets.isEmpty && policies.isEmpty && asPathSets.isEmpty && asSets.isEmpty
    }

    public func policy(_ name: String) -> PolicyConfiguration? { policies.first { $0.name == name } }

    /// Those that `uses` name, with everything that they name in turn, in the order in which they stand here. Two of these
    /// are equal if nothing that matters to the uses differs.
    public func only(for uses: [PolicyUse]) -> PolicyDefinitions {
        var reached: [String] = []
        var waiting = uses.flatMap(\.names) + uses.compactMap(\.rules).flatMap(\.calls)
        while let name = waiting.popLast() {
            guard !reached.contains(name), let policy = policy(name) else { continue }
            reached.append(name)
            waiting += policy.calls
        }
        let used = policies.filter { reached.contains($0.name) }
        let statements = (used + uses.compactMap(\.rules)).flatMap(\.statements)
        var prefixNames: Set<String> = [], communityNames: Set<String> = []
        var pathNames: Set<String> = [], numberNames: Set<String> = []
        for condition in statements.flatMap(\.everyCondition) {
            switch condition {
            case .prefixSet(let name), .notPrefixSet(let name), .nextHopSet(let name): prefixNames.insert(name)
            case .anyCommunity(let name), .allCommunities(let name), .noCommunity(let name), .exactCommunities(let name):
                communityNames.insert(name)
            case .asPathSet(let name): pathNames.insert(name)
            case .asSet(_, let name): numberNames.insert(name)
            default: break
            }
        }
        for action in statements.flatMap(\.everyAction) {
            switch action {
            case .removeCommunities(let name): communityNames.insert(name)
            case .replaceAS(.set(let name), _), .removeAS(.set(let name)): numberNames.insert(name)
            default: break
            }
        }
        var result = PolicyDefinitions(
            prefixSets: prefixSets.filter { prefixNames.contains($0.name) },
            communitySets: communitySets.filter { communityNames.contains($0.name) }, policies: used)
        result.asPathSets = asPathSets.filter { pathNames.contains($0.name) }
        result.asSets = asSets.filter { numberNames.contains($0.name) }
        return result
    }

    /// What is wrong with the way in which policies call each other.
    public enum CallFault: Hashable, Sendable {
        /// Names from the first to the same one again.
        case circle([String])
        /// One calls the next, more often than `PolicyProgram.depthMaximum` allows.
        case tooDeep([String])
    }

    /// What is wrong with the calls that `name` leads to, if anything is.
    public func callFault(from name: String) -> CallFault? {
        /// Calls within calls below each policy that was looked at.
        var heights: [String: Int] = [:]
        func search(_ path: [String]) -> CallFault? {
            guard let name = path.last else { return nil }
            if path.count > PolicyProgram.depthMaximum { return .tooDeep(path) }
            var height = 0
            for called in policy(name)?.calls ?? [] where policy(called) != nil {
                if let start = path.firstIndex(of: called) { return .circle(Array(path[start...]) + [called]) }
                if heights[called] == nil, let fault = search(path + [called]) { return fault }
                height = max(height, 1 + (heights[called] ?? 0))
                if path.count + height > PolicyProgram.depthMaximum { return .tooDeep(path + [called]) }
            }
            heights[name] = height
            return nil
        }
        return search([name])
    }
}

/// What a place in the configuration says of policy: names of policies, tried in order until one decides, or statements
/// that are written in that place. Neither: no policy.
public struct PolicyUse: Hashable, Sendable, Codable {
    public var names: [String] = []
    /// Instead of names. Its own name is of no meaning.
    public var rules: PolicyConfiguration?

    public init(_ names: [String] = []) { self.names = names }
    public init(rules: PolicyConfiguration) { self.rules = rules }
}

/// Prefixes under one, with lengths between bounds.
public struct PrefixRange: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    /// From the prefix's own length on.
    public var minimumLength: UInt8
    public var maximumLength: UInt8

    /// Exactly this prefix.
    public init(_ prefix: IPPrefix) { self.init(prefix, minimumLength: prefix.length, maximumLength: prefix.length) }
    public init(_ prefix: IPPrefix, minimumLength: UInt8, maximumLength: UInt8) {
        self.prefix = prefix
        self.minimumLength = minimumLength
        self.maximumLength = maximumLength
    }
    /// The prefix and everything under it.
    public static func orLonger(_ prefix: IPPrefix) -> PrefixRange {
        PrefixRange(prefix, minimumLength: prefix.length, maximumLength: prefix.family == .ipv4 ? 32 : 128)
    }

    public func contains(_ other: IPPrefix) -> Bool {
        prefix.covers(other) && other.length >= minimumLength && other.length <= maximumLength
    }
}

/// A named set of prefixes.
public struct PrefixSetConfiguration: Hashable, Sendable, Codable {
    public var name: String
    public var entries: [PrefixRange]
    public init(name: String, entries: [PrefixRange]) {
        self.name = name
        self.entries = entries
    }
}

/// A named set of regular expressions over AS paths, of which any may match.
public struct ASPathSetConfiguration: Hashable, Sendable, Codable {
    public var name: String
    /// As the operator wrote them (`ASPathExpression`).
    public var expressions: [String]
    public init(name: String, expressions: [String]) {
        self.name = name
        self.expressions = expressions
    }
}

/// A named set of AS numbers.
public struct ASSetConfiguration: Hashable, Sendable, Codable {
    public var name: String
    public var numbers: ASNumberSet
    public init(name: String, numbers: ASNumberSet) {
        self.name = name
        self.numbers = numbers
    }
}
