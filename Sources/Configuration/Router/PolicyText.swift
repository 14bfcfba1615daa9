import Policy
import Wire

extension PolicyDefinitions {
    /// The router's own AS is known only in the `bgp` section: statements that prepend it are finished after that.
    static let ownAS = ASNumber.zero

    /// Policies that are there without being defined.
    static let builtIn = [
        PolicyConfiguration(name: "accept-all", statements: [PolicyStatement(result: .accept)]),
        PolicyConfiguration(name: "reject-all", statements: [PolicyStatement(result: .reject)]),
    ]

    /// What an operator wrote of these.
    var written: PolicyDefinitions {
        var written = self
        written.policies.removeAll { policy in Self.builtIn.contains(policy) }
        return written
    }

    /// Names that may be used.
    var policyNames: [String] { Self.policyNames(policies.map(\.name)) }
    static func policyNames(_ own: [String]) -> [String] { own + builtIn.map(\.name).filter { !own.contains($0) } }

    /// With the built-in policies that are used, and the own AS in the place of its mark.
    func finished(routerAS: ASNumber?, uses: [PolicyUse]) -> PolicyDefinitions {
        var result = self
        let used = Set(uses.flatMap(\.names) + uses.compactMap(\.rules).flatMap(\.calls) + policies.flatMap(\.calls))
        for policy in Self.builtIn where used.contains(policy.name) && self.policy(policy.name) == nil {
            result.policies.append(policy)
        }
        for p in result.policies.indices { result.policies[p].finish(routerAS) }
        return result
    }
}

extension PolicyConfiguration {
    mutating func finish(_ routerAS: ASNumber?) {
        guard let routerAS else { return }
        for s in statements.indices {
            statements[s].actions = statements[s].actions.map { action in
                if case .prepend(PolicyDefinitions.ownAS, let count) = action {
                    return .prepend(asNumber: routerAS, count: count)
                }
                return action
            }
        }
    }
}

/// The sections `prefix-sets`, `community-sets` and `policies`.
enum PolicyText {
    static let entriesMaximum = 65_536
    static let statementsMaximum = 4_096

    static var prefixSets: Setting<PolicyDefinitions> {
        sets("prefix-sets", "prefix set", \.prefixSets, prefixEntry, "Prefixes under a name; ge and le as in FRR.") {
            PrefixSetConfiguration(name: $0, entries: $1)
        } _: {
            ($0.name, $0.entries)
        }
    }
    static var communitySets: Setting<PolicyDefinitions> {
        sets("community-sets", "community set", \.communitySets, communityEntry, "Communities under a name (RFC 1997, RFC 8092).")
        {
            CommunitySetConfiguration(name: $0, entries: $1)
        } _: {
            ($0.name, $0.entries)
        }
    }

    private static func sets<Entry, Set>(
        _ key: String, _ what: String, _ path: WritableKeyPath<PolicyDefinitions, [Set]>, _ entry: Kind<Entry>,
        _ sentence: String,
        _ set: @escaping (String, [Entry]) -> Set, _ parts: @escaping (Set) -> (name: String, entries: [Entry])
    ) -> Setting<PolicyDefinitions> {
        Setting(key, values: "NAME: a list of \(entry.values)", sentence) { field, section in
            for (name, value) in field.named("name for a \(what)") {
                section[keyPath: path].append(set(name, value.list(atMost: entriesMaximum)?.compactMap(entry.read) ?? []))
            }
        }
        .written(when: { !$0[keyPath: path].isEmpty }) { section, writer in
            writer.section(key) { writer in
                for (name, entries) in section[keyPath: path].map(parts) {
                    writer.list(YAMLWriter.scalar(name), entries.map(entry.text))
                }
            }
        }
    }

    /// `PREFIX [ge N] [le N]`
    static var prefixEntry: Kind<PrefixRange> {
        Kind(values: "PREFIX, PREFIX ge N, PREFIX le N or both", read: { readPrefixEntry($0) }, text: { text(of: $0) })
    }

    private static func readPrefixEntry(_ field: Field) -> PrefixRange? {
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
        return PrefixRange(prefix, minimumLength: low, maximumLength: high)
    }

    private static func text(of entry: PrefixRange) -> String {
        let bits = entry.prefix.family == .ipv4 ? 32 : 128
        var text = "\(entry.prefix)"
        if entry.minimumLength != entry.prefix.length || entry.maximumLength != entry.prefix.length {
            if entry.minimumLength != entry.prefix.length { text += " ge \(entry.minimumLength)" }
            if entry.maximumLength != bits || entry.minimumLength == entry.prefix.length { text += " le \(entry.maximumLength)" }
        }
        return YAMLWriter.scalar(text)
    }

    private static var communityEntry: Kind<CommunitySetConfiguration.Entry> {
        Kind(values: "A:B, A:*, A:B:C, A:B:*, A:*:* or a name like no-export") { field in
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
        } text: { entry in
            let text =
                switch entry {
                case .standard(let community): "\(community)"
                case .standardOfAS(let number): "\(number):*"
                case .large(let community): "\(community)"
                case .largeOfAS(let global): "\(global):*:*"
                case .largeOfFunction(let global, let function): "\(global):\(function):*"
                }
            return YAMLWriter.scalar(text)
        }
    }

    // MARK: policies

    private static var results: Kind<PolicyResult> { .choice(["accept": .accept, "reject": .reject, "next": .next]) }

    static var policies: Setting<PolicyDefinitions> {
        Setting("policies", values: "NAME: a list of statements, or NAME: {statements: …, otherwise: …}", "Tried in order.") {
            field, definitions in
            let named = field.named("name for a policy")
            let clauses = PolicyClauses(definitions, policyNames: PolicyDefinitions.policyNames(named.map(\.name)))
            let long = policy(clauses)
            for (name, value) in named {
                var policy = long.usual
                if value.isMapping {
                    guard long.read(value, into: &policy) else { continue }
                } else {
                    let statement = statement(clauses)
                    policy.statements =
                        value.list(atMost: statementsMaximum)?.compactMap { field in
                            var value = statement.usual
                            return statement.read(field, into: &value) ? value : nil
                        } ?? []
                }
                policy.name = name
                if let reserved = PolicyDefinitions.builtIn.first(where: { $0.name == name }), policy != reserved {
                    value.error("'\(name)' is there already and always does the same; choose another name")
                }
                definitions.policies.append(policy)
            }
            var circles: Set<Set<String>> = []
            for (name, value) in named {
                switch definitions.callFault(from: name) {
                case .circle(let names):
                    guard circles.insert(Set(names)).inserted else { continue }
                    value.error("policies call each other in a circle: " + names.joined(separator: ", "))
                case .tooDeep(let names):
                    value.error(
                        "policies call each other \(names.count) deep, at most \(PolicyProgram.depthMaximum) may: "
                            + names.joined(separator: ", "))
                case nil: break
                }
            }
        }
        .naming { policy(PolicyClauses($0)) }
        .written(when: { !$0.policies.isEmpty }) { definitions, writer in
            let clauses = PolicyClauses(definitions)
            writer.section("policies") { writer in
                for policy in definitions.policies {
                    let name = YAMLWriter.scalar(policy.name)
                    guard policy.otherwise == .reject, !policy.statements.isEmpty else {
                        writer.section(name) { Self.policy(clauses).write(policy, &$0) }
                        continue
                    }
                    let statement = statement(clauses)
                    writer.section(name) { writer in
                        for value in policy.statements { writer.element { statement.write(value, &$0) } }
                    }
                }
            }
        }
    }

    private static func policy(_ clauses: PolicyClauses) -> Section<PolicyConfiguration> {
        Section(
            PolicyConfiguration(name: "", statements: []),
            foreign: ["match": "a list of statements: - match: …", "then": "a list of statements: - then: …"]
        ) {
            Setting("statements", each: \.statements, atMost: statementsMaximum, "The first that matches and decides counts.") {
                _ in
                statement(clauses)
            }.required()
            Setting("otherwise", \.otherwise, results, "What becomes of a route that no statement decided.").always()
        }
    }

    static func statement(_ clauses: PolicyClauses) -> Section<PolicyStatement> {
        Section(
            PolicyStatement(result: .accept),
            foreign: ["if": "match", "action": "then", "conditions": "match", "actions": "set"]
        ) {
            Clause.setting(
                "match", \.conditions, "All must hold; none always holds.", clauses.conditions,
                foreign: [
                    "prefix-list": "prefix-set", "communities": "community", "community-set": "community",
                    "local-pref": "local-preference", "as-path": "as-path-contains or as-path-length", "call": "policy",
                    "route-type": "kind",
                ])
            Clause.setting(
                "set", \.actions, "What is changed.", clauses.actions,
                foreign: [
                    "local-pref": "local-preference", "community": "communities or add-communities",
                    "as-path-prepend": "prepend", "large-community": "large-communities or add-large-communities",
                ])
            Setting("then", \.result, results, "next: go on with the changed route.").required("write accept, reject or next")
        } check: { statement, fields in
            if statement.result == .reject { fields["set"]?.warn("a route that is rejected is not changed") }
        }
    }

    // MARK: uses

    /// `policy`, or `rules` with `otherwise` in place of it.
    static func use<Root>(
        _ path: WritableKeyPath<Root, PolicyUse?>, _ definitions: PolicyDefinitions, _ sentence: String
    ) -> [Setting<Root>] {
        let clauses = PolicyClauses(definitions)
        return [
            Setting(
                "policy", path.appending(path: \Optional<PolicyUse>.policyNames), names(definitions),
                "A policy or a list of them, tried in order. \(sentence)"),
            Setting(
                "rules", each: path.appending(path: \Optional<PolicyUse>.statements), atMost: statementsMaximum,
                "Statements of a policy that is for this place alone."
            ) { _ in statement(clauses) }
            .written { $0[keyPath: path]?.rules != nil },
            Setting(
                "otherwise", path.appending(path: \Optional<PolicyUse>.acceptsOthers),
                .choice(["accept": true, "reject": false]),
                "What becomes of routes that no rule decided."),
        ]
    }

    static func checkUse(_ use: PolicyUse?, _ fields: MappingReader) {
        if fields["rules"] == nil { fields["otherwise"]?.error("this needs 'rules' beside it") }
        if fields["policy"] != nil { fields["rules"]?.error("write either 'policy' or 'rules'") }
    }

    /// A policy or a list of them.
    static func names(_ definitions: PolicyDefinitions) -> Kind<[String]> {
        .list(atMost: 64, .known("policy", definitions.policyNames))
    }
}

/// A condition or an action: its key and its value.
struct Clause<Item> {
    let key: String
    let sentence: String
    let values: String
    let words: [String]
    let read: (Field) -> Item?
    /// `nil`: it is another one.
    let text: (Item) -> String?

    init<Value>(
        _ key: String, _ kind: Kind<Value>, _ sentence: String, _ item: @escaping (Value) -> Item,
        _ value: @escaping (Item) -> Value?
    ) {
        self.key = key
        self.sentence = sentence
        values = kind.values
        words = kind.words
        read = { kind.read($0).map(item) }
        text = { value($0).map(kind.text) }
    }

    /// A mapping of clauses, or a list of mappings where a key is wanted twice; in the order of the file.
    static func setting<Root>(
        _ key: String, _ path: WritableKeyPath<Root, [Item]>, _ sentence: String, _ clauses: [Clause], foreign: [String: String]
    ) -> Setting<Root> {
        var setting = Setting<Root>(key, values: "a mapping, or a list of mappings where a key is wanted twice", sentence) {
            field, root in
            for mapping in field.isList ? field.list(atMost: 64) ?? [] : [field] {
                let reader = MappingReader(mapping, keys: clauses.map(\.key), foreign: foreign)
                for (key, value) in reader?.entries ?? [] {
                    if let item = clauses.first(where: { $0.key == key })?.read(value) { root[keyPath: path].append(item) }
                }
            }
        }
        .written(when: { !$0[keyPath: path].isEmpty }) { root, writer in
            let items = root[keyPath: path].compactMap { item in
                clauses.lazy.compactMap { clause in clause.text(item).map { (key: clause.key, text: $0) } }.first
            }
            let isRepeated = Set(items.map(\.key)).count < items.count
            writer.section(key) { writer in
                for item in items {
                    if isRepeated {
                        writer.element { $0.line(item.key, item.text) }
                    } else {
                        writer.line(item.key, item.text)
                    }
                }
            }
        }
        setting.nested = { _ in
            (
                nil,
                clauses.map {
                    SettingEntry(key: $0.key, values: $0.values, words: $0.words, sentence: $0.sentence)
                }
            )
        }
        return setting
    }
}

extension PolicyUse? {
    fileprivate var policyNames: [String] {
        get { self?.names ?? [] }
        set { self = PolicyUse(newValue) }
    }
    fileprivate var statements: [PolicyStatement] {
        get { self?.rules?.statements ?? [] }
        set {
            self = PolicyUse(
                rules: PolicyConfiguration(name: "", statements: newValue, otherwise: self?.rules?.otherwise ?? .reject))
        }
    }
    /// Of no meaning without rules.
    fileprivate var acceptsOthers: Bool {
        get { self?.rules?.otherwise == .accept }
        set { self?.rules?.otherwise = newValue ? .accept : .reject }
    }
}
