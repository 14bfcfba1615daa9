import BGP
import Wire

/// The sets and policies of a router configuration, with the names that others may use.
struct PolicySection {
    var prefixSets: [PrefixSetConfiguration] = []
    var communitySets: [CommunitySetConfiguration] = []
    var policies: [PolicyConfiguration] = []
    /// The router's own AS is known only in the `bgp` section: statements that prepend it are finished there.
    static let ownAS = ASNumber.zero

    /// Names that a neighbour can use.
    var policyNames: [String] {
        policies.map(\.name) + RouterText.builtIn.map(\.name).filter { name in !policies.contains { $0.name == name } }
    }

    /// The policies with the built-in ones that are `used`, and the own AS in the place of its mark.
    func finished(routerAS: ASNumber, used: Set<String>) -> [PolicyConfiguration] {
        var result = policies
        for policy in RouterText.builtIn where used.contains(policy.name) && !policies.contains(where: { $0.name == policy.name })
        {
            result.append(policy)
        }
        for p in result.indices {
            for s in result[p].statements.indices {
                result[p].statements[s].actions = result[p].statements[s].actions.map { action in
                    if case .prepend(Self.ownAS, let count) = action { return .prepend(asNumber: routerAS, count: count) }
                    return action
                }
            }
        }
        return result
    }
}

struct PolicyTextReader {
    private var section = PolicySection()

    static func read(_ top: MappingReader) -> PolicySection {
        var reader = PolicyTextReader()
        if let field = top["prefix-sets"] { reader.readPrefixSets(field) }
        if let field = top["community-sets"] { reader.readCommunitySets(field) }
        if let field = top["policies"] { reader.readPolicies(field) }
        return reader.section
    }

    private func named(_ field: Field, _ what: String) -> [(key: String, field: Field)] {
        guard let mapping = MappingReader(anyKeysOf: field) else { return [] }
        return mapping.entries.filter { name, value in
            guard let reason = Field.nameProblem(name) else { return true }
            value.error("'\(name.prefix(80))' is no name for a \(what): \(reason)")
            return false
        }
    }

    // MARK: sets

    private mutating func readPrefixSets(_ field: Field) {
        for (name, value) in named(field, "prefix set") {
            let entries = value.list(atMost: RouterText.setEntriesMaximum)?.compactMap { Self.prefixEntry($0) } ?? []
            section.prefixSets.append(PrefixSetConfiguration(name: name, entries: entries))
        }
    }

    /// `PREFIX [ge N] [le N]`
    static func prefixEntry(_ field: Field) -> PrefixSetConfiguration.Entry? {
        guard let text = field.text(1...80, "a prefix") else { return nil }
        let words = text.split(separator: " ").map(String.init)
        guard let first = words.first, let prefix = Field.prefix(first, { field.wrong($0) }) else {
            return words.isEmpty ? field.wrong("a prefix is expected") : nil
        }
        let bits: UInt8 = prefix.family == .ipv4 ? 32 : 128
        var minimum: UInt8?, maximum: UInt8?
        var rest = words.dropFirst()
        while let word = rest.popFirst() {
            guard word == "ge" || word == "le" else {
                return field.wrong("'\(word)' is not expected here; write PREFIX, PREFIX ge N, PREFIX le N or both")
            }
            guard let text = rest.popFirst(), let length = UInt8(text), !text.hasPrefix("+"), length <= bits else {
                return field.wrong("'\(word)' needs a length from \(prefix.length) to \(bits)")
            }
            guard length >= prefix.length else {
                return field.wrong("'\(word) \(length)' is shorter than \(prefix) itself")
            }
            guard word == "ge" ? minimum == nil : maximum == nil else { return field.wrong("'\(word)' is written twice") }
            if word == "ge" { minimum = length } else { maximum = length }
        }
        // As FRR and OpenConfig understand it: `ge` alone is open upwards, `le` alone begins at the prefix.
        let low = minimum ?? prefix.length
        let high = maximum ?? (minimum == nil ? prefix.length : bits)
        guard low <= high else { return field.wrong("'ge \(low)' is above 'le \(high)'") }
        return PrefixSetConfiguration.Entry(prefix, minimumLength: low, maximumLength: high)
    }

    private mutating func readCommunitySets(_ field: Field) {
        for (name, value) in named(field, "community set") {
            let entries = value.list(atMost: RouterText.setEntriesMaximum)?.compactMap { communityEntry($0) } ?? []
            section.communitySets.append(CommunitySetConfiguration(name: name, entries: entries))
        }
    }

    private func communityEntry(_ field: Field) -> CommunitySetConfiguration.Entry? {
        guard let text = field.text(1...60, "a community") else { return nil }
        if let community = Community(text) { return .standard(community) }
        if let large = LargeCommunity(text) { return .large(large) }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, parts[1] == "*", let high = UInt16(parts[0]) { return .standardOfAS(high) }
        if parts.count == 3, parts[2] == "*", let global = UInt32(parts[0]) {
            if parts[1] == "*" { return .largeOfAS(global) }
            if let function = UInt32(parts[1]) { return .largeOfFunction(global, function) }
        }
        return field.wrong(
            "'\(text)' is no community; write A:B, A:*, A:B:C, A:B:*, A:*:* or a name like no-export")
    }

    // MARK: policies

    private mutating func readPolicies(_ field: Field) {
        for (name, value) in named(field, "policy") {
            var otherwise = PolicyResult.reject
            var list = value
            if value.isMapping {
                guard
                    let mapping = MappingReader(
                        value, keys: ["statements", "otherwise"],
                        foreign: ["match": "a list of statements: - match: …", "then": "a list of statements: - then: …"])
                else { continue }
                if let result = mapping["otherwise"].flatMap({ result($0) }) { otherwise = result }
                guard let statements = mapping.required("statements") else { continue }
                list = statements
            }
            let statements = list.list(atMost: RouterText.statementsMaximum)?.compactMap { statement($0) } ?? []
            if let reserved = RouterText.builtIn.first(where: { $0.name == name }),
                statements != reserved.statements || otherwise != reserved.otherwise
            {
                value.error("'\(name)' is there already and always does the same; choose another name")
            }
            section.policies.append(PolicyConfiguration(name: name, statements: statements, otherwise: otherwise))
        }
    }

    private func result(_ field: Field) -> PolicyResult? {
        switch field.choice(["accept", "reject", "next"]) {
        case "accept": .accept
        case "reject": .reject
        case "next": .next
        default: nil
        }
    }

    private func statement(_ field: Field) -> PolicyStatement? {
        guard
            let mapping = MappingReader(
                field, keys: ["match", "set", "then"],
                foreign: ["if": "match", "action": "then", "conditions": "match", "actions": "set"])
        else { return nil }
        let conditions =
            mapping["match"].map { items($0, Self.conditionKeys, Self.foreignConditions).compactMap { condition($0, $1) } } ?? []
        let actions = mapping["set"].map { items($0, Self.actionKeys, Self.foreignActions).compactMap { action($0, $1) } } ?? []
        guard let result = mapping.required("then", "write accept, reject or next").flatMap({ result($0) }) else { return nil }
        if result == .reject, let set = mapping["set"] { set.warn("a route that is rejected is not changed") }
        return PolicyStatement(conditions: conditions, actions: actions, result: result)
    }

    /// The keys and values of a mapping or of a list of mappings, in the order of the file.
    private func items(_ field: Field, _ keys: [String], _ foreign: [String: String]) -> [(String, Field)] {
        let mappings = field.isList ? field.list(atMost: 64) ?? [] : [field]
        return mappings.flatMap { mapping -> [(String, Field)] in
            guard let reader = MappingReader(mapping, keys: keys, foreign: foreign) else { return [] }
            return reader.entries.filter { keys.contains($0.key) }.map { ($0.key, $0.field) }
        }
    }

    static let conditionKeys = [
        "prefix-set", "not-prefix-set", "community", "all-communities", "no-community", "as-path-length", "as-path-contains",
        "origin-as", "neighbor-as", "neighbor", "next-hop", "origin", "family", "med", "local-preference", "source",
    ]
    static let foreignConditions = [
        "prefix": "prefix-set: NAME", "prefix-list": "prefix-set", "communities": "community", "community-set": "community",
        "local-pref": "local-preference", "metric": "med", "as-path": "as-path-contains or as-path-length",
    ]
    static let actionKeys = [
        "local-preference", "med", "origin", "communities", "add-communities", "remove-communities", "large-communities",
        "add-large-communities", "prepend", "next-hop",
    ]
    static let foreignActions = [
        "local-pref": "local-preference", "metric": "med", "community": "communities or add-communities",
        "as-path-prepend": "prepend", "large-community": "large-communities or add-large-communities",
    ]

    private func set(_ field: Field, _ names: [String], _ what: String) -> String? {
        guard let name = field.name("the name of a \(what)") else { return nil }
        guard names.contains(name) else {
            let near = Spelling.nearest(to: name, among: names).map { "; did you mean '\($0)'?" } ?? ""
            return field.wrong("there is no \(what) '\(name)'\(near)")
        }
        return name
    }
    private func prefixSet(_ field: Field) -> String? { set(field, section.prefixSets.map(\.name), "prefix set") }
    private func communitySet(_ field: Field) -> String? { set(field, section.communitySets.map(\.name), "community set") }

    private func condition(_ key: String, _ field: Field) -> PolicyCondition? {
        switch key {
        case "prefix-set": return prefixSet(field).map { .prefixSet($0) }
        case "not-prefix-set": return prefixSet(field).map { .notPrefixSet($0) }
        case "community": return communitySet(field).map { .anyCommunity($0) }
        case "all-communities": return communitySet(field).map { .allCommunities($0) }
        case "no-community": return communitySet(field).map { .noCommunity($0) }
        case "as-path-length":
            return field.range(0...UInt16.max).map { .asPathLength(minimum: $0.lowerBound, maximum: $0.upperBound) }
        case "as-path-contains": return field.asNumber().map { .asPathContains($0) }
        case "origin-as": return field.asNumber().map { .originAS($0) }
        case "neighbor-as": return field.asNumber().map { .neighborAS($0) }
        case "neighbor": return field.address().map { .neighbor($0) }
        case "next-hop": return field.prefix().map { .nextHop($0) }
        case "origin": return origin(field).map { .origin($0) }
        case "family": return field.routeFamily().map { .family($0) }
        case "med": return field.range(0...UInt32.max).map { .med(minimum: $0.lowerBound, maximum: $0.upperBound) }
        case "local-preference":
            return field.range(0...UInt32.max).map { .localPreference(minimum: $0.lowerBound, maximum: $0.upperBound) }
        default:
            switch field.choice(["local", "external", "internal"]) {
            case "local": return .source(.local)
            case "external": return .source(.external)
            case "internal": return .source(.internal)
            default: return nil
            }
        }
    }

    private func origin(_ field: Field) -> Origin? {
        switch field.choice(["igp", "egp", "incomplete"]) {
        case "igp": .igp
        case "egp": .egp
        case "incomplete": .incomplete
        default: nil
        }
    }

    private func action(_ key: String, _ field: Field) -> PolicyAction? {
        switch key {
        case "local-preference": return field.number(0...UInt32.max).map { .setLocalPreference($0) }
        case "med": return field.scalar == "none" ? .removeMED : field.number(0...UInt32.max).map { .setMED($0) }
        case "origin": return origin(field).map { .setOrigin($0) }
        case "communities": return field.communities().map { .setCommunities($0) }
        case "add-communities": return field.communities().map { .addCommunities($0) }
        case "large-communities": return field.largeCommunities().map { .setLargeCommunities($0) }
        case "add-large-communities": return field.largeCommunities().map { .addLargeCommunities($0) }
        case "remove-communities": return communitySet(field).map { .removeCommunities($0) }
        case "next-hop": return field.scalar == "self" ? .setNextHopSelf : field.address().map { .setNextHop($0) }
        default:
            guard let mapping = MappingReader(field, keys: ["as", "count"]) else { return nil }
            let number = mapping["as"].map { $0.asNumber() } ?? PolicySection.ownAS
            let count = mapping["count"].map { $0.number(1...32 as ClosedRange<UInt8>) } ?? 1
            guard let number, let count else { return nil }
            return .prepend(asNumber: number, count: count)
        }
    }
}

extension Field {
    /// RFC 7607: 0 is no AS.
    func asNumber() -> ASNumber? {
        guard let text = text(1...20, "an AS number") else { return nil }
        guard let number = ASNumber(text) else {
            return wrong("'\(text)' is no AS number; write a number from 1 to 4294967295")
        }
        guard number != .zero else { return wrong("0 is no AS number; write a number from 1 to 4294967295") }
        if number == .transition { return wrong("23456 stands for other AS numbers (RFC 6793) and is nobody's own") }
        return number
    }
    func routeFamily() -> RouteFamily? {
        guard let word = choice(RouteFamily.configurable.map(\.description)) else { return nil }
        return RouteFamily.configurable.first { $0.description == word }
    }
    func communities() -> [Community]? {
        elements("a community; write A:B or a name like no-export") { Community($0) }
    }
    func largeCommunities() -> [LargeCommunity]? {
        elements("a large community; write A:B:C") { LargeCommunity($0) }
    }
    private func elements<T>(_ wanted: String, _ parse: (String) -> T?) -> [T]? {
        guard let list = list(atMost: 255) else { return nil }
        let values: [T] = list.compactMap { field in
            guard let text = field.text(1...60, wanted) else { return nil }
            return parse(text) ?? field.wrong("'\(text)' is not \(wanted)")
        }
        return values.count == list.count ? values : nil
    }
}
