import BGP
import ISIS
import OSPF
import Policy
import Records
import Wire

/// What a statement can ask of a route and do with it: one table each, for reading, writing and the manual.
struct PolicyClauses {
    let conditions: [Clause<PolicyCondition>]
    let actions: [Clause<PolicyAction>]

    /// - Parameter policyNames: those that may be called; `nil`: the ones that are defined.
    /// - Parameter instances: where policies with parameters are made; `nil`: nowhere.
    init(_ definitions: PolicyDefinitions, policyNames: [String]? = nil, instances: PolicyInstances? = nil) {
        let calls = Self.call(policyNames ?? definitions.policyNames, instances)
        conditions = Self.conditions(definitions, calls, depth: 1)
        actions = Self.actions(definitions)
    }

    private static func conditions(
        _ definitions: PolicyDefinitions, _ calls: Kind<String>, depth: Int
    ) -> [Clause<PolicyCondition>] {
        prefixConditions(definitions) + communityConditions(definitions) + pathConditions(definitions)
            + attributeConditions(definitions) + sourceConditions(definitions, calls)
            + [
                Clause(
                    "not", nested(definitions, calls, depth), "Not all of these hold; a policy asked here changes nothing.",
                    { .not($0) }
                ) { if case .not(let inner) = $0 { inner } else { nil } },
                Clause(
                    "any", alternatives(definitions, calls, depth), "All of one of these mappings hold.", { .any($0) }
                ) { if case .any(let lists) = $0 { lists } else { nil } },
            ]
    }

    // MARK: of the prefix

    @Listing<Clause<PolicyCondition>> private static func prefixConditions(
        _ definitions: PolicyDefinitions
    ) -> [Clause<PolicyCondition>] {
        let prefixSet = Kind<String>.known("prefix set", definitions.prefixSets.map(\.name))
        Clause("prefix-set", prefixSet, "The prefix is in the set.", { .prefixSet($0) }) {
            if case .prefixSet(let name) = $0 { name } else { nil }
        }
        Clause("not-prefix-set", prefixSet, "The prefix is not in the set.", { .notPrefixSet($0) }) {
            if case .notPrefixSet(let name) = $0 { name } else { nil }
        }
        // Before 'prefix', which could say the same in more words.
        Clause("prefix-length", PrefixLengths.kind, "Of the prefix.", { .prefixes($0.ranges) }) {
            if case .prefixes(let ranges) = $0 { PrefixLengths(ranges) } else { nil }
        }
        Clause(
            "prefix", .list(atMost: PolicyText.entriesMaximum, PolicyText.prefixEntry), "The prefix is in one of these.",
            { .prefixes($0) }
        ) { if case .prefixes(let ranges) = $0 { ranges } else { nil } }
    }

    // MARK: of communities

    @Listing<Clause<PolicyCondition>> private static func communityConditions(
        _ definitions: PolicyDefinitions
    ) -> [Clause<PolicyCondition>] {
        let communitySet = Kind<String>.known("community set", definitions.communitySets.map(\.name))
        Clause("community", communitySet, "Any of the set's entries is on the route.", { .anyCommunity($0) }) {
            if case .anyCommunity(let name) = $0 { name } else { nil }
        }
        Clause("all-communities", communitySet, "Each of the set's entries is on the route.", { .allCommunities($0) }) {
            if case .allCommunities(let name) = $0 { name } else { nil }
        }
        Clause("no-community", communitySet, "None of the set's entries is on the route.", { .noCommunity($0) }) {
            if case .noCommunity(let name) = $0 { name } else { nil }
        }
        Clause(
            "exact-communities", communitySet, "Each of the set's entries, and nothing else of the kinds that the set has.",
            { .exactCommunities($0) }
        ) { if case .exactCommunities(let name) = $0 { name } else { nil } }
        number("community-count", .communityCount, "Standard ones on the route.")
        number("large-community-count", .largeCommunityCount, "Likewise.")
        number("extended-community-count", .extendedCommunityCount, "Likewise.")
    }

    // MARK: of the path

    @Listing<Clause<PolicyCondition>> private static func pathConditions(
        _ definitions: PolicyDefinitions
    ) -> [Clause<PolicyCondition>] {
        let pathSet = Kind<String>.known("AS path set", definitions.asPathSets.map(\.name))
        Clause("as-path", PolicyText.asPathExpression, "A regular expression over the AS numbers of the path.", { .asPath($0) }) {
            if case .asPath(let text) = $0 { text } else { nil }
        }
        Clause("not-as-path", PolicyText.asPathExpression, "Likewise, if it does not match.", { .not([.asPath($0)]) }) { _ in nil
        }
        Clause("as-path-set", pathSet, "Any of the set's expressions matches the path.", { .asPathSet($0) }) {
            if case .asPathSet(let name) = $0 { name } else { nil }
        }
        Clause("not-as-path-set", pathSet, "None of the set's expressions does.", { .not([.asPathSet($0)]) }) { _ in nil }
        Clause(
            "as-path-length", .range(0...UInt16.max), "RFC 4271 §9.1.2.2 (a) counts so many.",
            { .asPathLength(minimum: $0.lowerBound, maximum: $0.upperBound) }
        ) { if case .asPathLength(let low, let high) = $0 { low...high } else { nil } }
        ases("as-path-contains", .anywhere, definitions, "Somewhere in the path; several: one of them.")
        ases("as-path-only", .everywhere, definitions, "The path has no others.")
        ases("origin-as", .origin, definitions, "Last in the path.")
        ases("neighbor-as", .neighbor, definitions, "First in the path.")
        number("distinct-as-path-length", .distinctASPathLength, "As as-path-length, each AS once.")
        number("as-repetition", .asRepetition, "How often one AS stands in a row in the path, at most.")
        number("own-as-count", .ownASCount, "How often our own AS stands in the path.")
        flag("as-set", .asSetCount, "The path has an AS_SET.")
    }

    // MARK: of other attributes

    @Listing<Clause<PolicyCondition>> private static func attributeConditions(
        _ definitions: PolicyDefinitions
    ) -> [Clause<PolicyCondition>] {
        Clause(
            "rpki", .choice(["valid": OriginValidity.valid, "invalid": .invalid, "not-found": .notFound]),
            "What validated payloads say of its origin (RFC 6811).", { .validity($0) }
        ) { if case .validity(let validity) = $0 { validity } else { nil } }
        Clause("next-hop", .prefix, "The next hop lies in it.", { .nextHop($0) }) {
            if case .nextHop(let prefix) = $0 { prefix } else { nil }
        }
        Clause(
            "next-hop-set", Kind<String>.known("prefix set", definitions.prefixSets.map(\.name)), "The next hop is in the set.",
            { .nextHopSet($0) }
        ) { if case .nextHopSet(let name) = $0 { name } else { nil } }
        Clause("origin", origin, "ORIGIN of the route.", { .origin($0) }) {
            if case .origin(let origin) = $0 { origin } else { nil }
        }
        number("weight", .weight, "What policy gave it in this router.")
        flag("atomic-aggregate", .atomicAggregate, "The route has ATOMIC_AGGREGATE.")
        number("aggregator-as", .aggregatorAS, "The AS in AGGREGATOR.")
        Clause(
            "originator-id", .parsed("a router identifier", atMost: 15, { RouterID($0) }) { "'\($0)' is no router identifier" },
            "ORIGINATOR_ID (RFC 4456).", { .number(.originator, minimum: $0.raw, maximum: $0.raw) }
        ) { if case .number(.originator, let value, _) = $0 { RouterID(raw: value) } else { nil } }
        number("cluster-list-length", .clusterListLength, "Clusters that the route passed (RFC 4456).")
        number("only-to-customer", .onlyToCustomer, "The AS in the attribute OTC (RFC 9234).")
        Clause("family", family, "Of the route.", { .family($0) }) {
            if case .family(let family) = $0 { family } else { nil }
        }
        Clause(
            "med", .range(0...UInt32.max), "MULTI_EXIT_DISC of the route.",
            { .med(minimum: $0.lowerBound, maximum: $0.upperBound) }
        ) { if case .med(let low, let high) = $0 { low...high } else { nil } }
        Clause(
            "local-preference", .range(0...UInt32.max), "LOCAL_PREF of the route.",
            { .localPreference(minimum: $0.lowerBound, maximum: $0.upperBound) }
        ) { if case .localPreference(let low, let high) = $0 { low...high } else { nil } }
    }

    // MARK: of where it comes from, and what routes of all protocols have

    @Listing<Clause<PolicyCondition>> private static func sourceConditions(
        _ definitions: PolicyDefinitions, _ calls: Kind<String>
    ) -> [Clause<PolicyCondition>] {
        Clause(
            "neighbor", neighbors, "On import who sent it, on export who will get it; several: one of them.",
            { neighbors in
                if neighbors.count == 1, neighbors[0].isHost { .neighbor(neighbors[0].address) } else { .neighbors(neighbors) }
            }
        ) { condition in
            switch condition {
            case .neighbor(let address): [.host(address)]
            case .neighbors(let prefixes): prefixes
            default: nil
            }
        }
        Clause(
            "source", .choice(["local": RouteSource.local, "external": .external, "internal": .internal]),
            "How the route came into this router by BGP.", { .source($0) }
        ) { if case .source(let source) = $0 { source } else { nil } }
        Clause(
            "protocol", .list(atMost: RouteProtocol.allCases.count, .one(of: RouteProtocol.allCases)), "Whose route it is.",
            { .protocols($0) }
        ) { if case .protocols(let protocols) = $0 { protocols } else { nil } }
        Clause(
            "kind", .list(atMost: kinds.count, .choice(kinds)), "What its protocol tells apart, like external-1 or level-2.",
            { .kinds($0) }
        ) { if case .kinds(let kinds) = $0 { kinds } else { nil } }
        Clause("tag", .list(atMost: 256, .number(0...UInt32.max)), "One of these; BGP's routes have none.", { .tags($0) }) {
            if case .tags(let tags) = $0 { tags } else { nil }
        }
        Clause(
            "metric", .range(0...UInt32.max), "Of the route; in BGP as med.",
            { .metric(minimum: $0.lowerBound, maximum: $0.upperBound) }
        ) { if case .metric(let low, let high) = $0 { low...high } else { nil } }
        Clause(
            "policy", calls, "That policy accepts the route, and may have changed it.", { .policy($0) }
        ) { if case .policy(let name) = $0 { name } else { nil } }
    }

    private static func number(_ key: String, _ what: RouteNumber, _ sentence: String) -> Clause<PolicyCondition> {
        Clause(
            key, .range(0...UInt32.max), sentence,
            { .number(what, minimum: $0.lowerBound, maximum: $0.upperBound) }
        ) { if case .number(what, let low, let high) = $0 { low...high } else { nil } }
    }

    /// Whether there is one at all.
    private static func flag(_ key: String, _ what: RouteNumber, _ sentence: String) -> Clause<PolicyCondition> {
        Clause(key, .flag, sentence, { .number(what, minimum: $0 ? 1 : 0, maximum: $0 ? .max : 0) }) {
            if case .number(what, let low, _) = $0 { low > 0 } else { nil }
        }
    }

    private static func ases(
        _ key: String, _ place: ASPathPlace, _ definitions: PolicyDefinitions, _ sentence: String
    ) -> Clause<PolicyCondition> {
        Clause(key, ASChoice.kind(definitions), sentence, { $0.condition(place) }) { ASChoice($0, place) }
    }

    /// A policy that is called, or `{name: …, with: {…}}`.
    private static func call(_ names: [String], _ instances: PolicyInstances?) -> Kind<String> {
        let known = Kind<String>.known("policy", names)
        return Kind(
            values: "\(known.values), or {name: …, with: {NAME: VALUE}}", words: known.words,
            read: { field in
                guard field.isMapping else { return known.read(field) }
                guard let fields = MappingReader(field, keys: ["name", "with"]),
                    let name = fields.required("name").flatMap(known.read)
                else { return nil }
                guard let with = fields["with"] else { return name }
                guard let instances else { return with.wrong("values are given only within the section 'policies'") }
                return instances.instance(of: name, with)
            }, text: known.text)
    }

    // MARK: conditions of conditions

    private static func nested(
        _ definitions: PolicyDefinitions, _ calls: Kind<String>, _ depth: Int
    ) -> Kind<[PolicyCondition]> {
        Kind(
            values: "a mapping as in match",
            read: { field in
                guard depth < PolicyCondition.depthMaximum else {
                    return field.wrong("conditions are at most \(PolicyCondition.depthMaximum) deep")
                }
                var items: [PolicyCondition] = []
                let count = Clause.read(
                    field, into: &items, conditions(definitions, calls, depth: depth + 1), foreign: foreignConditions)
                if count == 0 { return field.wrong("a condition is expected here") }
                return items.count == count ? items : nil
            }, text: { Clause.text($0, conditions(definitions, calls, depth: depth + 1)) })
    }

    private static func alternatives(
        _ definitions: PolicyDefinitions, _ calls: Kind<String>, _ depth: Int
    ) -> Kind<[[PolicyCondition]]> {
        let one = nested(definitions, calls, depth)
        return Kind(
            values: "a list of mappings as in match",
            read: { field in
                guard field.isList else { return field.wrong("a list is expected: any: [{…}, {…}]") }
                guard let list = field.list(atMost: 256) else { return nil }
                let values = list.compactMap(one.read)
                return values.count == list.count && !values.isEmpty ? values : nil
            }, text: { "[" + $0.map(one.text).joined(separator: ", ") + "]" })
    }

    /// Words of other routers.
    static let foreignConditions = [
        "prefix-list": "prefix-set", "communities": "community", "community-set": "community",
        "local-pref": "local-preference", "call": "policy", "route-type": "kind", "peer": "neighbor",
        "large-community": "community", "extcommunity": "community", "as-path-list": "as-path-set",
    ]

    /// What protocols tell apart among their routes, in words.
    static let kinds: [(word: String, value: RouteKind)] =
        [
            ("local", RouteSource.local), ("external", .external), ("internal", .internal),
        ].map { ($0.0, RouteKind(.bgp, $0.1.rawValue)) }
        + [
            ("intra-area", OSPFPathType.intraArea), ("inter-area", .interArea), ("external-1", .externalType1),
            ("external-2", .externalType2),
        ].map { ($0.0, RouteKind(.ospf, $0.1.rawValue)) }
        + [
            ("level-1", ISISRouteKind.level1), ("level-2", .level2), ("level-1-down", .level1Down), ("level-2-down", .level2Down),
            ("level-1-external", .level1External), ("level-2-external", .level2External),
            ("level-1-down-external", .level1DownExternal), ("attached", .attached), ("discard", .discard),
        ].map { ($0.0, RouteKind(.isis, $0.1.rawValue)) }

    private static var family: Kind<FamilyCode> {
        Kind<RouteFamily>.one(of: RouteFamily.configurable)
            .mapped({ $0.code }, back: { RouteFamily($0) ?? .ipv4Unicast })
    }

    static var origin: Kind<Origin> { .choice(["igp": .igp, "egp": .egp, "incomplete": .incomplete]) }

    /// An address is the prefix that has it alone.
    private static var neighbors: Kind<[IPPrefix]> {
        .list(
            atMost: 4096,
            Kind(
                values: "an IP address or a prefix",
                read: { field in field.scalar.flatMap { IPAddress($0) }.map { .host($0) } ?? field.prefix() },
                text: { YAMLWriter.scalar($0.isHost ? "\($0.address)" : "\($0)") }))
    }
}
