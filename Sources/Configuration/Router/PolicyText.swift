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
        for s in statements.indices { statements[s].finish(routerAS) }
    }
}

extension PolicyStatement {
    fileprivate mutating func finish(_ routerAS: ASNumber) {
        actions = actions.map { action in
            switch action {
            case .prepend(PolicyDefinitions.ownAS, let count): .prepend(asNumber: routerAS, count: count)
            case .replaceAS(let selection, with: PolicyDefinitions.ownAS): .replaceAS(selection, with: routerAS)
            default: action
            }
        }
        for s in statements.indices { statements[s].finish(routerAS) }
        for s in otherwise.indices { otherwise[s].finish(routerAS) }
    }
}

/// The sections `prefix-sets`, `community-sets`, `as-path-sets`, `as-sets` and `policies`.
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
        sets(
            "community-sets", "community set", \.communitySets, .communityEntry,
            "Communities under a name (RFC 1997, RFC 8092, RFC 4360)."
        ) {
            CommunitySetConfiguration(name: $0, entries: $1)
        } _: {
            ($0.name, $0.entries)
        }
    }
    static var asPathSets: Setting<PolicyDefinitions> {
        sets(
            "as-path-sets", "AS path set", \.asPathSets, asPathExpression,
            "Regular expressions over AS paths, of which any may match."
        ) {
            ASPathSetConfiguration(name: $0, expressions: $1)
        } _: {
            ($0.name, $0.expressions)
        } check: { set in
            let expressions = set.expressions.compactMap { try? ASPathExpression($0) }
            if (try? ASPathAutomaton.automata(expressions)) != nil { return nil }
            return "its expressions are too much together; write once what many have in common, or divide the set"
        }
    }
    static var asSets: Setting<PolicyDefinitions> {
        sets("as-sets", "AS set", \.asSets, .asRange, "AS numbers under a name.", startsWithLetter: true) {
            ASSetConfiguration(name: $0, numbers: ASNumberSet($1))
        } _: {
            ($0.name, $0.numbers.ranges)
        }
    }

    static var asPathExpression: Kind<String> {
        Kind("an expression over AS numbers, like _65001_ or 65001 .*") { field in
            guard let text = field.text(0...ASPathExpression.lengthMaximum, "an expression over AS numbers") else { return nil }
            do {
                _ = try ASPathAutomaton([ASPathExpression(text)])
                return text
            } catch let problem as ASPathExpression.Problem {
                return field.wrong("'\(text.prefix(60))', character \(problem.position): \(problem.message)")
            } catch {
                return field.wrong("'\(text.prefix(60))': \(error)")
            }
        }
    }

    private static func sets<Entry, Set>(
        _ key: String, _ what: String, _ path: WritableKeyPath<PolicyDefinitions, [Set]>, _ entry: Kind<Entry>,
        _ sentence: String, startsWithLetter: Bool = false,
        _ set: @escaping (String, [Entry]) -> Set, _ parts: @escaping (Set) -> (name: String, entries: [Entry]),
        check: @escaping (Set) -> String? = { _ in nil }
    ) -> Setting<PolicyDefinitions> {
        Setting(key, values: "NAME: a list of \(entry.values)", sentence) { field, section in
            for (name, value) in field.named("name for a \(what)") {
                if startsWithLetter, name.first?.isLetter != true {
                    value.error("'\(name)' could be taken for a number; choose a name that begins with a letter")
                }
                let set = set(name, value.list(atMost: entriesMaximum)?.compactMap(entry.read) ?? [])
                if let reason = check(set) { value.error(reason) }
                section[keyPath: path].append(set)
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

    // MARK: policies

    private static var results: Kind<PolicyResult> { .choice(["accept": .accept, "reject": .reject, "next": .next]) }

    static var policies: Setting<PolicyDefinitions> {
        Setting("policies", values: "NAME: a list of statements, or NAME: {statements: …, otherwise: …}", "Tried in order.") {
            field, definitions in
            let named = field.named("name for a policy")
            let instances = PolicyInstances(named)
            let clauses = PolicyClauses(
                definitions, policyNames: PolicyDefinitions.policyNames(named.map(\.name)), instances: instances)
            for (name, value) in named {
                guard let policy = read(instances.usual(name, value), name, clauses) else { continue }
                if let reserved = PolicyDefinitions.builtIn.first(where: { $0.name == name }), policy != reserved {
                    value.error("'\(name)' is there already and always does the same; choose another name")
                }
                definitions.policies.append(policy)
            }
            while let (name, value) = instances.next() {
                if let policy = read(value, name, clauses) { definitions.policies.append(policy) }
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

    /// In either form.
    private static func read(_ field: Field, _ name: String, _ clauses: PolicyClauses) -> PolicyConfiguration? {
        let long = policy(clauses)
        var policy = long.usual
        policy.name = name
        if field.isMapping { return long.read(field, into: &policy) ? policy : nil }
        let statement = statement(clauses)
        policy.statements =
            field.list(atMost: statementsMaximum)?.compactMap { field in
                var value = statement.usual
                return statement.read(field, into: &value) ? value : nil
            } ?? []
        return policy
    }

    private static func policy(_ clauses: PolicyClauses) -> Section<PolicyConfiguration> {
        Section(
            PolicyConfiguration(name: "", statements: []),
            foreign: ["match": "a list of statements: - match: …", "then": "a list of statements: - then: …"]
        ) {
            Setting("parameters", values: "NAME: VALUE", "$NAME stands for the value, or for the one that a caller gives.") {
                _, _ in
            }
            Setting("statements", each: \.statements, atMost: statementsMaximum, "The first that matches and decides counts.") {
                _ in
                statement(clauses)
            }.required()
            Setting("otherwise", \.otherwise, results, "What becomes of a route that no statement decided.").always()
        }
    }

    /// - Parameter depth: of statements within statements.
    static func statement(_ clauses: PolicyClauses, depth: Int = 1) -> Section<PolicyStatement> {
        Section(
            PolicyStatement(result: .next),
            foreign: ["if": "match", "action": "then", "conditions": "match", "actions": "set", "otherwise": "else"]
        ) {
            Clause.setting(
                "match", \.conditions, "All must hold; none always holds.", clauses.conditions,
                foreign: PolicyClauses.foreignConditions)
            Clause.setting(
                "set", \.actions, "What is changed.", clauses.actions,
                foreign: [
                    "local-pref": "local-preference", "community": "communities or add-communities",
                    "as-path-prepend": "prepend", "large-community": "large-communities or add-large-communities",
                    "extcommunity": "extended-communities or add-extended-communities", "as-path-replace": "replace-as",
                    "as-path-exclude": "remove-as",
                ])
            nested("statements", \.statements, "Tried in order after that, within this one.", clauses, depth)
            nested("else", \.otherwise, "Tried in order where match does not hold.", clauses, depth)
            result
                .written { $0.result != .next || $0.statements.isEmpty && $0.otherwise.isEmpty }
        } check: { statement, fields in
            if fields["then"] == nil, fields["statements"] == nil, fields["else"] == nil {
                _ = fields.required("then", "write accept, reject or next")
            }
            if statement.result == .reject, statement.statements.isEmpty {
                fields["set"]?.warn("a route that is rejected is not changed")
            }
        }
    }

    private static var result: Setting<PolicyStatement> {
        var setting = Setting(
            "then", \PolicyStatement.result, results,
            "next: go on with the changed route. May be left out beside statements and else, what they decide comes before.")
        // Nothing is usual where it must be there.
        setting.text = { _ in nil }
        return setting
    }

    private static func nested(
        _ key: String, _ path: WritableKeyPath<PolicyStatement, [PolicyStatement]>, _ sentence: String,
        _ clauses: PolicyClauses, _ depth: Int
    ) -> Setting<PolicyStatement> {
        var setting = Setting(key, each: path, atMost: statementsMaximum, sentence) { _ in
            statement(clauses, depth: depth + 1)
        }
        // They are what is described around them.
        setting.nested = nil
        let read = setting.read
        setting.read = { fields, statement in
            guard depth < PolicyStatement.depthMaximum else {
                fields[key]?.error("statements are at most \(PolicyStatement.depthMaximum) deep")
                return false
            }
            return read(fields, &statement)
        }
        return setting
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

    /// In the order of the file.
    /// - Returns: how many keys there are; fewer items if something is wrong with them.
    @discardableResult
    static func read(_ field: Field, into items: inout [Item], _ clauses: [Clause], foreign: [String: String]) -> Int {
        var count = 0
        for mapping in field.isList ? field.list(atMost: 64) ?? [] : [field] {
            let reader = MappingReader(mapping, keys: clauses.map(\.key), foreign: foreign)
            for (key, value) in reader?.entries ?? [] {
                count += 1
                if let item = clauses.first(where: { $0.key == key })?.read(value) { items.append(item) }
            }
        }
        return count
    }

    private static func lines(_ items: [Item], _ clauses: [Clause]) -> [(key: String, text: String)] {
        items.compactMap { item in
            clauses.lazy.compactMap { clause in clause.text(item).map { (key: clause.key, text: $0) } }.first
        }
    }

    /// On one line.
    static func text(_ items: [Item], _ clauses: [Clause]) -> String {
        let lines = lines(items, clauses)
        let texts = lines.map { "\($0.key): \($0.text)" }
        return Set(lines.map(\.key)).count < lines.count
            ? "[" + texts.map { "{\($0)}" }.joined(separator: ", ") + "]" : "{" + texts.joined(separator: ", ") + "}"
    }

    /// A mapping of clauses, or a list of mappings where a key is wanted twice; in the order of the file.
    static func setting<Root>(
        _ key: String, _ path: WritableKeyPath<Root, [Item]>, _ sentence: String, _ clauses: [Clause], foreign: [String: String]
    ) -> Setting<Root> {
        var setting = Setting<Root>(key, values: "a mapping, or a list of mappings where a key is wanted twice", sentence) {
            field, root in
            read(field, into: &root[keyPath: path], clauses, foreign: foreign)
        }
        .written(when: { !$0[keyPath: path].isEmpty }) { root, writer in
            let items = lines(root[keyPath: path], clauses)
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
