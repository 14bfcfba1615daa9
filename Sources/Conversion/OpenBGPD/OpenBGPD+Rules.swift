import Wire

/// Rules: all are looked at, the last one that matches decides, `quick` ends the search, `match` only sets.
///
/// Here the first that matches decides. So the quick ones come first, then what `match` sets, and then the others from the last
/// to the first; nothing that no rule allows passes.
extension OpenBGPDReader {
    mutating func readRule(_ line: ArraySlice<Token>) throws {
        var rest = Array(line.filter { !$0.isSign("\n") })[...]
        guard let verdict = rest.popFirst().flatMap({ Rule.Verdict(rawValue: $0.text) }) else { throw Unmapped("no rule") }
        var rule = Rule(
            verdict: verdict, isQuick: false, isImport: true, peers: [], conditions: [], set: Mapping(),
            line: line.first?.line ?? 0, text: Self.text(line))
        if rest.first?.isWord("quick") == true {
            rule.isQuick = true
            rest = rest.dropFirst()
        }
        guard let direction = rest.popFirst()?.text, direction == "from" || direction == "to" else {
            throw Unmapped("'from' or 'to' is expected")
        }
        rule.isImport = direction == "from"
        rule.peers = try Self.peers(&rest)
        while let token = rest.popFirst() { try readCondition(token, &rest, into: &rule) }
        rules.append(rule)
    }

    /// `any`, `ebgp`, `group "x"`, `AS 65001`, `{ 192.0.2.1, 192.0.2.2 }`
    private static func peers(_ tokens: inout ArraySlice<Token>) throws -> [String] {
        guard let first = tokens.popFirst() else { throw Unmapped("a neighbor is expected") }
        if first.isSign("{") {
            var all: [String] = []
            while let token = tokens.popFirst(), !token.isSign("}") { if !token.isSign(",") { all.append(token.text) } }
            return all
        }
        switch first.text {
        case "group": return ["group \(tokens.popFirst()?.text ?? "")"]
        case "AS": throw Unmapped("a neighbor's AS; name the neighbors")
        default: return [first.text]
        }
    }

    private mutating func readCondition(_ token: Token, _ rest: inout ArraySlice<Token>, into rule: inout Rule) throws {
        func add(_ key: String, _ node: Node) { rule.conditions.append(Mapping([key: node])) }
        switch token.text {
        case "prefix":
            var prefixes = try Self.prefixes(&rest)
            if rest.first?.isWord("or-longer") == true {
                rest = rest.dropFirst()
                prefixes = prefixes.map { $0.contains(" ") ? $0 : "\($0) le \($0.contains(":") ? 128 : 32)" }
            }
            add("prefix", Node(prefixes))
        case "prefix-set":
            guard let name = rest.popFirst()?.text, draft.prefixSets[name] != nil else {
                throw Unmapped("there is no such set of prefixes")
            }
            if rest.first?.isWord("or-longer") == true {
                rest = rest.dropFirst()
                let longer = draft.prefixSets[list: name].compactMap(\.word).map {
                    $0.contains(" ") ? $0 : "\($0) le \($0.contains(":") ? 128 : 32)"
                }
                add("prefix", Node(longer))
            } else {
                add("prefix-set", .scalar(name))
            }
        case "inet":
            if rest.first?.isWord("prefixlen") != true {
                add("family", .scalar("ipv4-unicast"))
            } else {
                try addLengths("0.0.0.0/0", 32, &rest, &rule)
            }
        case "inet6":
            if rest.first?.isWord("prefixlen") != true {
                add("family", .scalar("ipv6-unicast"))
            } else {
                try addLengths("::/0", 128, &rest, &rule)
            }
        case "prefixlen": throw Unmapped("a length of prefixes wants inet or inet6 before it")
        case "source-as": add("origin-as", .scalar(try Self.number(&rest)))
        case "peer-as": add("neighbor-as", .scalar(try Self.number(&rest)))
        case "transit-as", "AS": add("as-path-contains", .scalar(try Self.number(&rest)))
        case "max-as-len": add("as-path-length", .scalar("\((Int(try Self.number(&rest)) ?? 0) + 1)..65535"))
        case "community", "large-community": add("community", .list([.text(Self.community(rest.popFirst()?.text ?? ""))]))
        case "ovs":
            switch rest.popFirst()?.text {
            case "valid": add("rpki", .scalar("valid"))
            case "invalid": add("rpki", .scalar("invalid"))
            case "not-found": add("rpki", .scalar("not-found"))
            default: throw Unmapped("a state of origin validation is expected")
            }
        case "nexthop":
            guard let address = rest.popFirst()?.text, IPAddress(address) != nil else {
                throw Unmapped("a next hop is an address")
            }
            add("next-hop", .scalar(address + (address.contains(":") ? "/128" : "/32")))
        case "med", "metric": add("med", .scalar(try Self.number(&rest)))
        case "set":
            rule.set = try Self.set(rest)
            rest = []
        case let other: throw Unmapped("'\(other)' is no condition that is known here")
        }
    }

    private func addLengths(_ prefix: String, _ bits: Int, _ rest: inout ArraySlice<Token>, _ rule: inout Rule) throws {
        rest = rest.dropFirst()
        guard let (low, high) = try Self.lengths(&rest, bits) else { throw Unmapped("a length is expected") }
        rule.conditions.append(Mapping(["prefix": Node(["\(prefix) ge \(low) le \(high)"])]))
    }

    private static func number(_ rest: inout ArraySlice<Token>) throws -> String {
        guard let token = rest.popFirst(), UInt32(token.text) != nil else {
            throw Unmapped("one number is expected; several want a rule each")
        }
        guard rest.first?.text == "-", let high = rest.dropFirst().first, UInt32(high.text) != nil else { return token.text }
        rest = rest.dropFirst(2)
        return "\(token.text)..\(high.text)"
    }

    /// `GRACEFUL_SHUTDOWN` as it is called here.
    private static func community(_ text: String) -> String {
        let names = [
            "GRACEFUL_SHUTDOWN": "graceful-shutdown", "NO_EXPORT": "no-export", "NO_ADVERTISE": "no-advertise",
            "NO_EXPORT_SUBCONFED": "no-export-subconfed", "NO_PEER": "no-peer", "BLACKHOLE": "blackhole",
        ]
        return names[text] ?? text
    }

    /// `{ localpref 100 community 65000:1 prepend-self 2 }`
    static func set(_ tokens: ArraySlice<Token>) throws -> Mapping {
        var set = Mapping()
        var rest = tokens.filter { !$0.isSign("\n") && !$0.isSign("{") && !$0.isSign("}") && !$0.isSign(",") }[...]
        if rest.first?.isWord("set") == true { rest = rest.dropFirst() }
        while let token = rest.popFirst() {
            switch token.text {
            case "localpref": set["local-preference"] = .scalar(try absolute(&rest))
            case "med", "metric": set["med"] = .scalar(try absolute(&rest))
            case "origin": set["origin"] = rest.popFirst().map { .scalar($0.text) }
            case "nexthop":
                let value = rest.popFirst()?.text ?? ""
                guard value == "self" || IPAddress(value) != nil else {
                    throw Unmapped("nexthop \(value) is not set by policies")
                }
                set["next-hop"] = .scalar(value)
            case "prepend-self": set["prepend"] = .mapping(Mapping(["count": .scalar(try absolute(&rest))]))
            case "community", "large-community":
                guard let value = rest.popFirst() else { throw Unmapped("a community is missing") }
                if value.isWord("delete") {
                    set["remove-communities"] = .list([.text(community(rest.popFirst()?.text ?? ""))])
                } else if token.text == "community" {
                    set[list: "add-communities"].append(.text(community(value.text)))
                } else {
                    set[list: "add-large-communities"].append(.text(value.text))
                }
            case let other: throw Unmapped("'\(other)' is not set by policies")
            }
        }
        return set
    }

    private static func absolute(_ rest: inout ArraySlice<Token>) throws -> String {
        guard let token = rest.popFirst(), UInt32(token.text) != nil, !token.text.hasPrefix("+") else {
            throw Unmapped("what is added to a value is not said; a number is")
        }
        return token.text
    }

    // MARK: the end

    mutating func finish() {
        if draft.sections["bgp"] != nil {
            if draft.sections[mapping: "bgp"]["router-id"] == nil {
                draft.sections[mapping: "bgp"]["router-id"] = .scalar("192.0.2.1")
                draft.note(
                    .changed, 0, "router-id", "OpenBGPD takes it from an interface; write the right one in place of 192.0.2.1")
            }
        }
        guard case .list(let neighbors)? = draft.sections[mapping: "bgp"]["neighbors"] else { return }
        let own = draft.sections[mapping: "bgp"]["as"]
        var written: [Node] = []
        for case .mapping(var neighbor) in neighbors {
            let address = neighbor["address"]?.word ?? ""
            let group = groups.first { $0.value.contains(address) }?.key
            let shared = group.map { $0.split(separator: " ").joined(separator: "-") }
            let asn =
                neighbor["remote-as"]
                ?? shared.flatMap { draft.sections[mapping: "bgp"][mapping: "peer-groups"][mapping: $0]["remote-as"] }
            for isImport in [true, false] {
                let chosen = rules.filter { rule in
                    rule.isImport == isImport
                        && rule.peers.contains { peer in
                            switch peer {
                            case "any": true
                            case "ebgp": asn != own
                            case "ibgp": asn == own
                            default: peer == address || group.map { peer == "group \($0)" } ?? false
                            }
                        }
                }
                neighbor[isImport ? "import" : "export"] = Node([policy(chosen, isImport)])
            }
            written.append(.mapping(neighbor))
        }
        draft.sections[mapping: "bgp"]["neighbors"] = .list(written)
        if rules.contains(where: { $0.verdict == .match && !$0.isQuick }) {
            let rule = rules.first { $0.verdict == .match && !$0.isQuick }!
            draft.note(
                .changed, rule.line, rule.text, "what match sets is set before the rules that decide, whatever their order")
        }
    }

    /// The policy of these rules, which those with the same share.
    private mutating func policy(_ rules: [Rule], _ isImport: Bool) -> String {
        var statements: [Node] = []
        func statement(_ rule: Rule) -> Mapping {
            var statement = Mapping()
            if rule.conditions.count == 1 {
                statement["match"] = .mapping(rule.conditions[0])
            } else if !rule.conditions.isEmpty {
                statement["match"] = .list(rule.conditions.map { .mapping($0) })
            }
            if !rule.set.isEmpty, rule.verdict != .deny { statement["set"] = .mapping(rule.set) }
            statement["then"] = .scalar(rule.verdict == .allow ? "accept" : rule.verdict == .deny ? "reject" : "next")
            return statement
        }
        let quick = rules.filter(\.isQuick)
        let sets = rules.filter { !$0.isQuick && $0.verdict == .match }
        let others = rules.filter { !$0.isQuick && $0.verdict != .match }.reversed()
        for rule in quick + sets + others {
            statements.append(.mapping(draft.named(statement(rule))))
            // Nothing comes after what matches everything.
            if rule.conditions.isEmpty, rule.verdict != .match { break }
        }
        if statements.isEmpty { return draft.policy(acceptingAll: false) }
        let kind = isImport ? "import" : "export"
        if let known = draft.policies.entries.first(where: { $0.node == .list(statements) && $0.key.hasPrefix(kind) }) {
            return known.key
        }
        let number = draft.policies.entries.count { $0.key.hasPrefix(kind) }
        let name = number == 0 ? "\(kind)-rules" : "\(kind)-rules-\(number + 1)"
        draft.policies[name] = .list(statements)
        return name
    }
}
