import Wire

// Policies made ready to run.
//
// A route's fate depends on its attribute set, which is shared by many prefixes, and on the prefix only through the
// prefix sets that its policies name. So the prefix is boiled down to a *pattern*, one bit per prefix set, and the
// outcome for (set, pattern) is worked out once per message or export bucket, however many prefixes there are in it.

/// The configuration's policies and the chains that neighbours use, each chain once.
struct PolicyTable: Sendable {
    /// Numbers are kept by sources and groups; a chain that nobody uses any more is empty until it is used again.
    private(set) var chains: [PolicyChain] = []
    private var configuration: BGPConfiguration

    init(_ configuration: BGPConfiguration) { self.configuration = configuration }

    /// New chains are compiled from here on.
    mutating func configure(_ new: BGPConfiguration) { configuration = new }

    /// Index of the chain for a list of policy names; a chain that names the neighbour is the neighbour's own.
    mutating func chain(_ names: [String], neighbor: IPAddress) -> Int32 {
        let definition = PolicyChain.Definition(names, neighbor: neighbor, configuration)
        if let known = chains.firstIndex(where: { $0.definition == definition }) { return Int32(known) }
        let chain = PolicyChain(definition)
        if let vacant = chains.firstIndex(where: { $0.definition == .vacant }) {
            chains[vacant] = chain
            return Int32(vacant)
        }
        chains.append(chain)
        return Int32(chains.count - 1)
    }

    /// Forgets chains that are not among `used`.
    mutating func keepOnly(_ used: [Int32]) {
        for index in chains.indices where !used.contains(Int32(index)) { chains[index] = PolicyChain(.vacant) }
    }

    /// As in the snapshot.
    var definitions: [PolicyChain.Definition] { chains.map(\.definition) }
    init(_ configuration: BGPConfiguration, definitions: [PolicyChain.Definition]) {
        self.configuration = configuration
        chains = definitions.map { PolicyChain($0) }
    }
}

struct PolicyChain: Sendable {
    /// In place of an index: everything passes unchanged.
    static let acceptAll: Int32 = -1
    /// RFC 8212: an external neighbour without policy.
    static let rejectAll: Int32 = -2

    /// What a chain was made from, with all that it names.
    struct Definition: Hashable, Sendable, Codable {
        var policies: [PolicyConfiguration]
        /// Only when a condition asks for the neighbour.
        var neighbor: IPAddress?
        var prefixSets: [PrefixSetConfiguration]
        var communitySets: [CommunitySetConfiguration]
        static let vacant = Definition()

        private init() {
            policies = []
            prefixSets = []
            communitySets = []
        }

        /// A name that is missing stands for nothing: the parser refuses such a configuration.
        init(_ names: [String], neighbor: IPAddress, _ configuration: BGPConfiguration) {
            policies = names.compactMap { name in configuration.policies.first { $0.name == name } }
            var prefixNames: [String] = []
            var communityNames: [String] = []
            let statements = policies.flatMap(\.statements)
            for condition in statements.flatMap(\.conditions) {
                switch condition {
                case .prefixSet(let name), .notPrefixSet(let name):
                    if !prefixNames.contains(name) { prefixNames.append(name) }
                case .anyCommunity(let name), .allCommunities(let name), .noCommunity(let name):
                    if !communityNames.contains(name) { communityNames.append(name) }
                case .neighbor: self.neighbor = neighbor
                default: break
                }
            }
            for action in statements.flatMap(\.actions) {
                if case .removeCommunities(let name) = action, !communityNames.contains(name) { communityNames.append(name) }
            }
            prefixSets = prefixNames.map { name in
                configuration.prefixSets.first { $0.name == name } ?? PrefixSetConfiguration(name: name, entries: [])
            }
            communitySets = communityNames.compactMap { name in configuration.communitySets.first { $0.name == name } }
        }
    }

    let definition: Definition
    private var policies: [PolicyConfiguration] { definition.policies }
    private var neighbor: IPAddress? { definition.neighbor }
    private var communitySets: [CommunitySetConfiguration] { definition.communitySets }
    /// Prefix sets that the conditions name, each once; the pattern has a bit for each of the first 64.
    private let matchers: [PrefixMatcher]
    private let matcherNames: [String]
    var usesPrefix: Bool { !matchers.isEmpty }
    /// With more prefix sets than bits a pattern says not all, and outcomes are worked out per prefix.
    var isMemoizable: Bool { matchers.count <= 64 }

    init(_ definition: Definition) {
        self.definition = definition
        matchers = definition.prefixSets.map { PrefixMatcher($0) }
        matcherNames = definition.prefixSets.map(\.name)
    }

    /// 0 when no prefix set is named, or when there is no prefix: none holds then.
    @inline(__always)
    func pattern(of prefix: IPPrefix?) -> UInt64 {
        guard usesPrefix, let prefix else { return 0 }
        return pattern(prefix)
    }

    func pattern(_ prefix: IPPrefix) -> UInt64 {
        var pattern: UInt64 = 0
        for (i, matcher) in matchers.prefix(64).enumerated() where matcher.contains(prefix) { pattern |= 1 << UInt64(i) }
        return pattern
    }

    /// Where the route stands.
    struct Context {
        var source: RouteSource
        var family: RouteFamily
        /// The set's marks are for what leaves.
        var isExport: Bool
    }

    /// The set after policy, 0 when rejected. `prefix` is looked at only where the pattern has no bit.
    func evaluate(
        _ handle: UInt32, pattern: UInt64, prefix: IPPrefix?, _ context: Context, _ attributes: inout AttributeTable
    ) -> UInt32 {
        // Taken apart only when a condition or an action asks: most routes meet conditions on their prefix alone.
        var route: RouteAttributes? = nil
        func load(_ attributes: borrowing AttributeTable) -> RouteAttributes {
            let marks = attributes[handle].marks
            return attributes.withOctets(handle) { RouteAttributes(canonical: $0, marks: marks) }
        }
        let defaultLocalPreference = attributes.parameters.defaultLocalPreference
        var isChanged = false
        var result = PolicyResult.reject
        policies: for policy in policies {
            result = .next
            for statement in policy.statements {
                var holdsAll = true
                for condition in statement.conditions {
                    if let outcome = holdsForPrefix(condition, pattern: pattern, prefix: prefix, context) {
                        holdsAll = outcome
                    } else {
                        if route == nil { route = load(attributes) }
                        holdsAll = route.map { holds(condition, $0, defaultLocalPreference) } ?? false
                    }
                    if !holdsAll { break }
                }
                if !holdsAll { continue }
                for action in statement.actions {
                    if route == nil { route = load(attributes) }
                    run(action, on: &route!, context)
                    isChanged = true
                }
                if statement.result != .next {
                    result = statement.result
                    break policies
                }
            }
            if policy.otherwise != .next {
                result = policy.otherwise
                break
            }
        }
        guard result == .accept else { return 0 }
        guard isChanged, let route else { return handle }
        let octets = route.encoded()
        // An attribute block that no longer fits a message cannot be kept.
        guard octets.count <= 0xffff else { return 0 }
        return attributes.intern(octets.span.bytes, marks: route.marks)
    }

    private func isInSet(_ name: String, pattern: UInt64, prefix: IPPrefix?) -> Bool {
        guard let index = matcherNames.firstIndex(of: name) else { return false }
        if index < 64 { return pattern >> UInt64(index) & 1 == 1 }
        return prefix.map { matchers[index].contains($0) } ?? false
    }

    /// `nil` for a condition that looks at attributes.
    private func holdsForPrefix(
        _ condition: PolicyCondition, pattern: UInt64, prefix: IPPrefix?, _ context: Context
    ) -> Bool? {
        switch condition {
        case .prefixSet(let name): isInSet(name, pattern: pattern, prefix: prefix)
        case .notPrefixSet(let name): !isInSet(name, pattern: pattern, prefix: prefix)
        case .neighbor(let address): neighbor == address
        case .family(let family): context.family == family
        case .source(let source): context.source == source
        default: nil
        }
    }

    private func holds(_ condition: PolicyCondition, _ route: RouteAttributes, _ defaultLocalPreference: UInt32) -> Bool {
        switch condition {
        case .anyCommunity(let name):
            return entries(name).contains { entry in isOn(route, entry) }
        case .allCommunities(let name):
            return entries(name).allSatisfy { entry in isOn(route, entry) }
        case .noCommunity(let name):
            return !entries(name).contains { entry in isOn(route, entry) }
        case .asPathLength(let minimum, let maximum):
            return route.pathLength >= Int(minimum) && route.pathLength <= Int(maximum)
        case .asPathContains(let number): return route.path.contains { $0.numbers.contains(number) }
        case .originAS(let number): return route.originAS == number
        case .neighborAS(let number): return route.neighborAS == number
        case .nextHop(let within):
            guard let nextHop = route.nextHop else { return false }
            switch (within, nextHop) {
            case (.v4(let p), .v4(let a)): return p.contains(a)
            case (.v6(let p), .v6(let a)): return p.contains(a)
            default: return false
            }
        case .origin(let origin): return route.origin == origin
        case .med(let minimum, let maximum): return route.med.map { $0 >= minimum && $0 <= maximum } ?? false
        case .localPreference(let minimum, let maximum):
            let value = route.localPreference ?? defaultLocalPreference
            return value >= minimum && value <= maximum
        case .prefixSet, .notPrefixSet, .neighbor, .family, .source:
            preconditionFailure("holdsForPrefix answers these")
        }
    }

    private func entries(_ name: String) -> [CommunitySetConfiguration.Entry] {
        communitySets.first { $0.name == name }?.entries ?? []
    }
    private func isOn(_ route: RouteAttributes, _ entry: CommunitySetConfiguration.Entry) -> Bool {
        route.communities.contains { Self.matches($0, entry) } || route.largeCommunities.contains { Self.matches($0, entry) }
    }
    private static func matches(_ community: Community, _ entry: CommunitySetConfiguration.Entry) -> Bool {
        switch entry {
        case .standard(let wanted): community == wanted
        case .standardOfAS(let high): community.raw >> 16 == UInt32(high)
        default: false
        }
    }
    private static func matches(_ community: LargeCommunity, _ entry: CommunitySetConfiguration.Entry) -> Bool {
        switch entry {
        case .large(let wanted): community == wanted
        case .largeOfAS(let global): community.global == global
        case .largeOfFunction(let global, let local1): community.global == global && community.local1 == local1
        default: false
        }
    }

    private func run(_ action: PolicyAction, on route: inout RouteAttributes, _ context: Context) {
        switch action {
        case .setLocalPreference(let value): route.localPreference = value
        case .setMED(let value):
            route.med = value
            if context.isExport { route.marks.insert(.medIsOurs) }
        case .removeMED:
            route.med = nil
            route.marks.remove(.medIsOurs)
        case .setOrigin(let origin): route.origin = origin
        case .addCommunities(let list): route.communities = Self.union(route.communities, list)
        case .setCommunities(let list): route.communities = Self.union([], list)
        case .removeCommunities(let name):
            let entries = entries(name)
            route.communities.removeAll { community in entries.contains { Self.matches(community, $0) } }
            route.largeCommunities.removeAll { community in entries.contains { Self.matches(community, $0) } }
        case .addLargeCommunities(let list): route.largeCommunities = Self.union(route.largeCommunities, list)
        case .setLargeCommunities(let list): route.largeCommunities = Self.union([], list)
        case .prepend(let number, let count): route.prepend(number, count: Int(count))
        case .setNextHop(let address):
            // A next hop that the family cannot have means nothing here.
            guard context.family.type.takes(address) else { return }
            route.nextHop = address
            route.linkLocal = nil
            if context.isExport { route.marks.insert(.nextHopIsOurs) }
        case .setNextHopSelf:
            route.nextHop = context.family.type.ownNextHop
            route.linkLocal = nil
            route.marks.remove(.nextHopIsOurs)
        }
    }

    /// Keeps the order in which they stand, each once.
    private static func union<T: Equatable>(_ old: [T], _ new: [T]) -> [T] {
        var result = old
        for value in new where !result.contains(value) { result.append(value) }
        return result
    }
}
