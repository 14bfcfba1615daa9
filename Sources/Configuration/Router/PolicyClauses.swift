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
    init(_ definitions: PolicyDefinitions, policyNames: [String]? = nil) {
        conditions = Self.conditions(definitions, policyNames ?? definitions.policyNames)
        actions = Self.actions(definitions)
    }

    @Listing<Clause<PolicyCondition>> private static func conditions(
        _ definitions: PolicyDefinitions, _ policyNames: [String]
    ) -> [Clause<PolicyCondition>] {
        let prefixSet = Kind<String>.known("prefix set", definitions.prefixSets.map(\.name))
        let communitySet = Kind<String>.known("community set", definitions.communitySets.map(\.name))
        Clause(
            "prefix", .list(atMost: PolicyText.entriesMaximum, PolicyText.prefixEntry), "The prefix is in one of these.",
            { .prefixes($0) }
        ) { if case .prefixes(let ranges) = $0 { ranges } else { nil } }
        Clause("prefix-set", prefixSet, "The prefix is in the set.", { .prefixSet($0) }) {
            if case .prefixSet(let name) = $0 { name } else { nil }
        }
        Clause("not-prefix-set", prefixSet, "The prefix is not in the set.", { .notPrefixSet($0) }) {
            if case .notPrefixSet(let name) = $0 { name } else { nil }
        }
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
            "as-path-length", .range(0...UInt16.max), "RFC 4271 §9.1.2.2 (a) counts so many.",
            { .asPathLength(minimum: $0.lowerBound, maximum: $0.upperBound) }
        ) { if case .asPathLength(let low, let high) = $0 { low...high } else { nil } }
        Clause("as-path-contains", .asNumber, "Somewhere in the path.", { .asPathContains($0) }) {
            if case .asPathContains(let number) = $0 { number } else { nil }
        }
        Clause("origin-as", .asNumber, "Last in the path.", { .originAS($0) }) {
            if case .originAS(let number) = $0 { number } else { nil }
        }
        Clause("neighbor-as", .asNumber, "First in the path.", { .neighborAS($0) }) {
            if case .neighborAS(let number) = $0 { number } else { nil }
        }
        Clause(
            "rpki", .choice(["valid": OriginValidity.valid, "invalid": .invalid, "not-found": .notFound]),
            "What validated payloads say of its origin (RFC 6811).", { .validity($0) }
        ) { if case .validity(let validity) = $0 { validity } else { nil } }
        Clause("neighbor", .address, "On import who sent it, on export who will get it.", { .neighbor($0) }) {
            if case .neighbor(let address) = $0 { address } else { nil }
        }
        Clause("next-hop", .prefix, "The next hop lies in it.", { .nextHop($0) }) {
            if case .nextHop(let prefix) = $0 { prefix } else { nil }
        }
        Clause("origin", origin, "ORIGIN of the route.", { .origin($0) }) {
            if case .origin(let origin) = $0 { origin } else { nil }
        }
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
            "policy", .known("policy", policyNames), "That policy accepts the route, and may have changed it.", { .policy($0) }
        ) { if case .policy(let name) = $0 { name } else { nil } }
    }

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

    @Listing<Clause<PolicyAction>> private static func actions(_ definitions: PolicyDefinitions) -> [Clause<PolicyAction>] {
        let communities = Kind.list(atMost: 255, Kind<Community>.community)
        let large = Kind.list(atMost: 255, Kind<LargeCommunity>.largeCommunity)
        Clause("local-preference", .number(0...UInt32.max), "LOCAL_PREF.", { .setLocalPreference($0) }) {
            if case .setLocalPreference(let value) = $0 { value } else { nil }
        }
        Clause("med", med, "MULTI_EXIT_DISC; none takes it away.", { $0.map { .setMED($0) } ?? .removeMED }) {
            switch $0 {
            case .setMED(let value): .some(value)
            case .removeMED: .some(nil)
            default: nil
            }
        }
        Clause("origin", origin, "ORIGIN.", { .setOrigin($0) }) {
            if case .setOrigin(let origin) = $0 { origin } else { nil }
        }
        Clause("communities", communities, "Replaces all.", { .setCommunities($0) }) {
            if case .setCommunities(let list) = $0 { list } else { nil }
        }
        Clause("add-communities", communities, "Adds these.", { .addCommunities($0) }) {
            if case .addCommunities(let list) = $0 { list } else { nil }
        }
        Clause(
            "remove-communities", Kind<String>.known("community set", definitions.communitySets.map(\.name)),
            "Standard and large ones that the set matches.", { .removeCommunities($0) }
        ) { if case .removeCommunities(let name) = $0 { name } else { nil } }
        Clause("large-communities", large, "Replaces all.", { .setLargeCommunities($0) }) {
            if case .setLargeCommunities(let list) = $0 { list } else { nil }
        }
        Clause("add-large-communities", large, "Adds these.", { .addLargeCommunities($0) }) {
            if case .addLargeCommunities(let list) = $0 { list } else { nil }
        }
        Clause("prepend", prepending, "So often in front of the path; our own AS otherwise.", { $0.action }) {
            if case .prepend(let number, let count) = $0 { Prepending(asNumber: number, count: count) } else { nil }
        }
        Clause("next-hop", nextHop, "self: our own address.", { $0.map { .setNextHop($0) } ?? .setNextHopSelf }) {
            switch $0 {
            case .setNextHop(let address): .some(address)
            case .setNextHopSelf: .some(nil)
            default: nil
            }
        }
        Clause("metric", .number(0...UInt32.max, "a metric"), "Under which it is announced; in BGP as med.", { .setMetric($0) }) {
            if case .setMetric(let value) = $0 { value } else { nil }
        }
        Clause(
            "metric-type", .metricType, "Of OSPF (1 or 2) and IS-IS (internal or external).", { .setMetricType(isExternal: $0) }
        ) { if case .setMetricType(let isExternal) = $0 { isExternal } else { nil } }
        Clause("tag", .number(0...UInt32.max, "a tag"), "Under which it is announced.", { .setTag($0) }) {
            if case .setTag(let value) = $0 { value } else { nil }
        }
        Clause("level", .levels, "Of IS-IS that announce it.", { .setLevels($0) }) {
            if case .setLevels(let value) = $0 { value } else { nil }
        }
    }

    private static var family: Kind<FamilyCode> {
        Kind<RouteFamily>.one(of: RouteFamily.configurable)
            .mapped({ $0.code }, back: { RouteFamily($0) ?? .ipv4Unicast })
    }

    private static var origin: Kind<Origin> { .choice(["igp": .igp, "egp": .egp, "incomplete": .incomplete]) }

    private static var med: Kind<UInt32?> { or("none", .number(0...UInt32.max)) }
    private static var nextHop: Kind<IPAddress?> { or("self", .address) }

    /// A value, or a word in its place.
    private static func or<Value>(_ word: String, _ kind: Kind<Value>) -> Kind<Value?> {
        Kind(
            values: "\(kind.values) or \(word)", words: [word],
            read: { field in field.scalar == word ? .some(nil) : kind.read(field).map { .some($0) } },
            text: { $0.map(kind.text) ?? word })
    }

    private struct Prepending: Equatable {
        var asNumber = PolicyDefinitions.ownAS
        var count: UInt8 = 1
        var action: PolicyAction { .prepend(asNumber: asNumber, count: count) }
    }
    private static var prepending: Kind<Prepending> {
        let section = Section(Prepending()) {
            Setting("as", \.asNumber, .asNumber, "Our own otherwise.")
            Setting("count", \.count, .number(1...32), "So often.")
        }
        return Kind(
            values: "{as: AS, count: 1…32}",
            read: { field in
                var value = section.usual
                return section.read(field, into: &value) ? value : nil
            }, text: { "{as: \($0.asNumber), count: \($0.count)}" })
    }
}

extension Kind where Value == Bool {
    static var metricType: Kind { .choice([("internal", false), ("external", true), ("1", false), ("2", true)]) }
}
extension Kind where Value == UInt8 {
    /// IS-IS: bits of levels.
    static var levels: Kind { .choice(["1": 1, "2": 2, "1-2": 3]) }
}

extension Kind where Value == ASNumber {
    /// RFC 7607: 0 is no AS.
    static var asNumber: Kind {
        Kind("an AS number") { field in
            guard let text = field.text(1...20, "an AS number") else { return nil }
            guard let number = ASNumber(text) else {
                return field.wrong("'\(text)' is no AS number; write a number from 1 to 4294967295")
            }
            guard number != .zero else { return field.wrong("0 is no AS number; write a number from 1 to 4294967295") }
            if number == .transition {
                return field.wrong("23456 stands for other AS numbers (RFC 6793) and is nobody's own")
            }
            return number
        }
    }
}

extension Kind where Value == Community {
    static var community: Kind { .element("a community; write A:B or a name like no-export") { Community($0) } }
}
extension Kind where Value == LargeCommunity {
    static var largeCommunity: Kind { .element("a large community; write A:B:C") { LargeCommunity($0) } }
}
extension Kind where Value: CustomStringConvertible {
    fileprivate static func element(_ wanted: String, _ parse: @escaping (String) -> Value?) -> Kind {
        .parsed(wanted, atMost: 60, parse) { "'\($0)' is not \(wanted)" }
    }
}
