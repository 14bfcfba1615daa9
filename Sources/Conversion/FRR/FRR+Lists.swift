import Wire

/// Lists of prefixes: a set where all of it is permitted, else a policy, since the order counts.
struct FRRLists {
    struct Entry {
        var isPermitted: Bool
        var form: String
        var sequence: Int
    }
    private(set) var names: [String] = []
    private(set) var entries: [String: [Entry]] = [:]

    mutating func add(_ name: String, _ entry: Entry) {
        if entries[name] == nil { names.append(name) }
        entries[name, default: []].append(entry)
    }
    subscript(name: String) -> [Entry]? { entries[name] }
    /// Whether a set can stand for it.
    func isSet(_ name: String) -> Bool { entries[name]?.allSatisfy(\.isPermitted) ?? true }
}

extension FRRReader {
    /// The name under which the list's policy goes; route maps may have the same names.
    static func policy(ofList name: String) -> String { "prefix-list-\(name)" }
    static func policy(ofPaths name: String) -> String { "as-path-list-\(name)" }

    mutating func addPrefix(
        _ name: String, _ action: String, _ prefix: String, _ bounds: [String], _ sequence: String?
    ) throws {
        guard action == "permit" || action == "deny" else { throw Unmapped("'\(action)' is neither permit nor deny") }
        let before = prefixLists[name] ?? []
        let number = sequence.flatMap { Int($0) } ?? (before.map(\.sequence).max() ?? 0) + 5
        for form in try Self.forms(prefix, bounds, isIPv6: statement.hasPrefix("ipv6")) {
            prefixLists.add(name, FRRLists.Entry(isPermitted: action == "permit", form: form, sequence: number))
        }
    }

    /// `10.0.0.0/8 le 24` as it is written in sets.
    private static func forms(_ prefix: String, _ bounds: [String], isIPv6: Bool) throws -> [String] {
        if prefix == "any" { return [isIPv6 ? "::/0 le 128" : "0.0.0.0/0 le 32"] }
        let parts = prefix.split(separator: "/")
        guard parts.count == 2, let address = IPAddress(parts[0]), let length = UInt8(parts[1]) else {
            throw Unmapped("'\(prefix)' is no prefix")
        }
        var form = "\(IPPrefix(address, length))"
        var rest = bounds[...]
        while let word = rest.popFirst(), let bound = rest.popFirst() {
            guard word == "ge" || word == "le", UInt8(bound) != nil else { throw Unmapped("'\(word) \(bound)' is no bound") }
            form += " \(word) \(bound)"
        }
        return [form]
    }

    mutating func addAccess(_ name: String, _ words: [String]) throws {
        var words = words[...]
        guard let action = words.popFirst(), action == "permit" || action == "deny" else {
            if words.first == nil || name == "remark" { return }
            return needless("a remark")
        }
        if words.first == "ip" { throw Unmapped("an extended access list") }
        guard var prefix = words.popFirst() else { throw Unmapped("a prefix is missing") }
        var bounds = ["le", "32"]
        if prefix == "host", let address = words.popFirst() { prefix = "\(address)/32" }
        if let next = words.popFirst() {
            if next == "exact-match" {
                bounds = []
            } else if let wild = IPv4Address(next), let length = IPv4Address(raw: ~wild.raw).prefixLength {
                prefix += "/\(length)"
            } else {
                throw Unmapped("'\(next)' is unknown here")
            }
        }
        if prefix.contains(":") { bounds = bounds.isEmpty ? [] : ["le", "128"] }
        if !prefix.contains("/"), prefix != "any" { prefix += "/32" }
        try addPrefix(name, action, prefix, prefix.hasSuffix("/32") || prefix == "any" ? [] : bounds, nil)
    }

    mutating func finishPrefixLists() {
        for name in pendingSets where !prefixLists.isSet(name) {
            draft.policies = Self.replacing(.scalar(name), by: .scalar(Self.policy(ofList: name)), in: draft.policies)
        }
        for name in pendingSets where prefixLists[name] == nil {
            // FRR lets every route pass that is held against a list that is not there.
            draft.prefixSets[name] = Node(["0.0.0.0/0 le 32", "::/0 le 128"])
        }
        for name in prefixLists.names {
            let entries = (prefixLists[name] ?? []).sorted { $0.sequence < $1.sequence }
            if prefixLists.isSet(name) {
                draft.prefixSets[name] = Node(entries.map(\.form))
                draft.policies[Self.policy(ofList: name)] = .list([
                    .mapping(Mapping(["match": .mapping(Mapping(["prefix-set": .scalar(name)])), "then": .scalar("accept")]))
                ])
            } else {
                for entry in entries {
                    draft.append(
                        Mapping([
                            "match": .mapping(Mapping(["prefix": Node([entry.form])])),
                            "then": .scalar(entry.isPermitted ? "accept" : "reject"),
                        ]), toPolicy: Self.policy(ofList: name))
                }
            }
        }
        // A policy that nobody asks for says nothing.
        let asked = draft.askedPolicies
        for name in prefixLists.names where !asked.contains(Self.policy(ofList: name)) {
            draft.policies[Self.policy(ofList: name)] = nil
        }
    }

    /// A set that turned out to need a policy, wherever it is named.
    private static func replacing(_ set: Node, by policy: Node, in mapping: Mapping) -> Mapping {
        func replace(_ node: Node) -> Node {
            switch node {
            case .scalar, .text: return node
            case .list(let list): return .list(list.map(replace))
            case .mapping(let old):
                var new = Mapping()
                for entry in old.entries {
                    if entry.key == "prefix-set", entry.node == set {
                        new["policy"] = policy
                    } else {
                        new[entry.key] = replace(entry.node)
                    }
                }
                return .mapping(new)
            }
        }
        if case .mapping(let replaced) = replace(.mapping(mapping)) { return replaced }
        return mapping
    }

    // MARK: paths and communities

    /// Names of sets are words: FRR has numbers, too.
    static func word(_ name: String) -> String { Int(name) == nil ? name : "list-\(name)" }

    mutating func addPath(_ name: String, _ action: String, _ expression: [String]) throws {
        guard action == "permit" || action == "deny" else { throw Unmapped("'\(action)' is neither permit nor deny") }
        let text = expression.joined(separator: " ")
        let policy = Self.policy(ofPaths: name)
        let name = Self.word(name)
        if action == "permit" { draft.asPathSets[list: name].append(.text(text)) }
        draft.append(
            Mapping([
                "match": .mapping(Mapping(["as-path": .text(text)])), "then": .scalar(action == "permit" ? "accept" : "reject"),
            ]), toPolicy: policy)
        if action == "deny" { deniedPaths.insert(name) }
    }

    /// `standard NAME permit 65000:1 65000:2`, `expanded NAME permit EXPRESSION`, a number for a name.
    mutating func addCommunities(_ words: [String]) throws {
        var words = words[...]
        var isExpanded = false
        if words.first == "standard" || words.first == "expanded" { isExpanded = words.removeFirst() == "expanded" }
        guard let name = words.popFirst() else { throw Unmapped("a name is missing") }
        if let number = Int(name) { isExpanded = number >= 100 }
        if words.first == "seq" { words = words.dropFirst(2) }
        guard let action = words.popFirst() else { throw Unmapped("permit or deny is missing") }
        guard action == "permit" else { throw Unmapped("a set has what is permitted; write a statement that rejects for this") }
        guard !isExpanded else { throw Unmapped("an expression over communities; write a set with ranges for it") }
        guard var community = words.popFirst() else { throw Unmapped("a community is missing") }
        if community == "rt" || community == "soo", let value = words.popFirst() { community += ":" + value }
        guard words.isEmpty else { throw Unmapped("several communities that must all be there; write a set and all-communities") }
        draft.communitySets[list: Self.word(name)].append(.text(community))
    }
}

extension RouterDraft {
    /// Policies that somebody names.
    var askedPolicies: Set<String> {
        var found: Set<String> = []
        func look(_ node: Node) {
            switch node {
            case .scalar, .text: break
            case .list(let list): for node in list { look(node) }
            case .mapping(let mapping):
                for entry in mapping.entries {
                    look(entry.node)
                    guard ["policy", "import", "export"].contains(entry.key) else { continue }
                    switch entry.node {
                    case .scalar(let name): found.insert(name)
                    case .list(let names): for case .scalar(let name) in names { found.insert(name) }
                    default: break
                    }
                }
            }
        }
        for node in [Node.mapping(policies), .mapping(sections), .list(redistribute), .list(aggregates)] { look(node) }
        return found
    }
}
