import Wire

/// Reads a bgpd.conf of OpenBGPD: lines, blocks in braces, and rules of which the last one that matches decides.
struct OpenBGPDReader {
    var draft = RouterDraft()
    private var macros: [String: [Token]] = [:]
    /// Addresses of neighbours by the groups they are in.
    var groups: [String: [String]] = [:]
    /// Addresses that groups give their neighbours for their own end.
    private var ownAddresses: [String: [String]] = [:]
    var holdTime: String?
    var rules: [Rule] = []
    private var tokens: ArraySlice<Token> = []

    struct Rule {
        enum Verdict: String { case allow, deny, match }
        var verdict: Verdict
        var isQuick: Bool
        var isImport: Bool
        /// Of the neighbour: `any`, `ebgp`, `ibgp`, an address, a group.
        var peers: [String]
        var conditions: [Mapping]
        var set: Mapping
        var line: Int
        var text: String
    }

    static func read(_ text: String) -> RouterDraft {
        var reader = OpenBGPDReader()
        let tokens = Lexer.tokens(text, signs: ["!=", ">=", "<=", "><", "-"].filter { $0 != "-" }, keepsLines: true)
        for line in Self.lines(tokens) { reader.readTop(line) }
        reader.finish()
        return reader.draft
    }

    /// Lines, a block in braces being one with what stands before it.
    private static func lines(_ tokens: [Token]) -> [ArraySlice<Token>] {
        var lines: [ArraySlice<Token>] = []
        var start = 0, depth = 0
        for (at, token) in tokens.enumerated() {
            if token.isSign("{") { depth += 1 }
            if token.isSign("}") { depth = max(0, depth - 1) }
            if token.isSign("\n"), depth == 0 {
                if at > start { lines.append(tokens[start..<at]) }
                start = at + 1
            }
        }
        if start < tokens.count { lines.append(tokens[start...]) }
        return lines
    }

    static func text(_ line: ArraySlice<Token>) -> String {
        var words: [String] = []
        for token in line {
            if token.isSign("{") { return (words + ["{ … }"]).joined(separator: " ") }
            if !token.isSign("\n") { words.append(token.kind == .text ? "\"\(token.text)\"" : token.text) }
        }
        return words.joined(separator: " ")
    }

    /// Counts a line, and names it if it can't be carried over.
    mutating func attempt(_ line: ArraySlice<Token>, _ body: (inout OpenBGPDReader) throws -> Void) {
        guard let first = line.first else { return }
        draft.count()
        do { try body(&self) } catch let unmapped as Unmapped {
            draft.note(.left, first.line, Self.text(line), unmapped.reason)
        } catch {
            draft.note(.left, first.line, Self.text(line), "\(error)")
        }
    }
    func needless(_ line: ArraySlice<Token>, _ reason: String, _ draft: inout RouterDraft) {
        draft.note(.needless, line.first?.line ?? 0, Self.text(line), reason)
    }

    /// `$name` is what the macro of that name is.
    func expanded(_ line: ArraySlice<Token>) -> ArraySlice<Token> {
        var out: [Token] = []
        var rest = line
        while let token = rest.popFirst() {
            if token.isSign("$"), let word = rest.popFirst() {
                // A colon after the name belongs to a community.
                let name = String(word.text.prefix { $0 != ":" })
                let tail = String(word.text.dropFirst(name.count))
                var value = (macros[name] ?? [word]).map { Token(kind: $0.kind, text: $0.text, line: word.line) }
                if !tail.isEmpty, macros[name] != nil, let last = value.indices.last { value[last].text += tail }
                out += value
            } else {
                out.append(token)
            }
        }
        return out[...]
    }

    // MARK: the top

    private mutating func readTop(_ raw: ArraySlice<Token>) {
        // NAME = "value"
        if raw.count >= 3, raw[raw.startIndex + 1].isSign("="), raw.first?.kind == .word {
            let value = raw.dropFirst(2).map(\.text).joined(separator: " ")
            draft.count()
            macros[raw.first!.text] = Lexer.tokens(value, signs: [])
            return
        }
        let line = expanded(raw)
        attempt(raw) { reader in
            let words = line.map(\.text)
            switch words.first ?? "" {
            case "AS":
                guard words.count >= 2 else { throw Unmapped("an AS number is missing") }
                reader.draft.sections[mapping: "bgp"]["as"] = .scalar(words[1])
            case "router-id": reader.draft.sections[mapping: "bgp"]["router-id"] = words.dropFirst().first.map { .scalar($0) }
            case "holdtime": if words.count == 2 { reader.holdTime = words[1] }
            case "network": try reader.readNetwork(line)
            case "prefix-set": try reader.readPrefixSet(line)
            case "neighbor": try reader.readNeighbor(line, in: nil, group: Mapping())
            case "group": try reader.readGroup(line)
            case "allow", "deny", "match": try reader.readRule(line)
            case "rtr": try reader.readCache(line)
            case "nexthop", "fib-update", "fib-priority", "log", "listen", "socket", "dump", "rde", "transparent-as",
                "connect-retry",
                "roa-set", "origin-set", "aspa-set", "reject", "staletime":
                let isKnown = ["log", "listen", "socket", "fib-update", "fib-priority", "nexthop"].contains(words[0])
                guard isKnown else { throw Unmapped("'\(words[0])' is not said here") }
                reader.needless(raw, "of the daemon itself, or as it is", &reader.draft)
            case "as-set": try reader.readASSet(line)
            case "include": throw Unmapped("other files are to be put in place first")
            case let other: throw Unmapped("'\(other)' is unknown here")
            }
        }
    }

    private mutating func readNetwork(_ line: ArraySlice<Token>) throws {
        let words = line.map(\.text)
        var prefixes: [String] = []
        if words.count >= 3, words[1] == "prefix-set" {
            prefixes = draft.prefixSets[list: words[2]].compactMap(\.word)
        } else if words.count >= 2, let prefix = IPPrefix(words[1]) {
            prefixes = ["\(prefix)"]
        }
        guard !prefixes.isEmpty, prefixes.allSatisfy({ IPPrefix($0) != nil }) else {
            throw Unmapped("redistribute says whose routes BGP announces; a network is a prefix here")
        }
        var network = Mapping()
        if let start = line.firstIndex(where: { $0.isWord("set") }) ?? line.firstIndex(where: { $0.isSign("{") }) {
            let set = try Self.set(line[start...])
            if let med = set["med"] { network["med"] = med }
            if let communities = set["add-communities"] { network["communities"] = communities }
            if let large = set["add-large-communities"] { network["large-communities"] = large }
        }
        for prefix in prefixes {
            var one = Mapping(["prefix": .scalar(prefix)])
            for entry in network.entries { one[entry.key] = entry.node }
            draft.addNetwork(one)
        }
    }

    private mutating func readPrefixSet(_ line: ArraySlice<Token>) throws {
        let words = line.filter { !$0.isSign("\n") }
        guard words.count >= 2 else { throw Unmapped("a name is missing") }
        let name = words[words.startIndex + 1].text
        var rest = Array(words.dropFirst(2))[...]
        draft.prefixSets[name] = Node(try Self.prefixes(&rest))
    }

    /// `{ 10.0.0.0/8 prefixlen >= 8, 192.0.2.0/24 or-longer }`, or one of them.
    static func prefixes(_ tokens: inout ArraySlice<Token>) throws -> [String] {
        var all: [String] = []
        let isBlock = tokens.first?.isSign("{") == true
        if isBlock { tokens = tokens.dropFirst() }
        while let token = tokens.first {
            if token.isSign("}") {
                tokens = tokens.dropFirst()
                break
            }
            if token.isSign(",") || token.isSign("\n") {
                tokens = tokens.dropFirst()
                continue
            }
            guard let prefix = IPPrefix(token.text) else {
                if !isBlock { break }
                throw Unmapped("'\(token.text)' is no prefix")
            }
            tokens = tokens.dropFirst()
            all.append(try bounded(prefix, &tokens))
            if !isBlock { break }
        }
        return all
    }

    private static func bounded(_ prefix: IPPrefix, _ tokens: inout ArraySlice<Token>) throws -> String {
        let bits = prefix.family == .ipv4 ? 32 : 128
        switch tokens.first?.text {
        case "or-longer":
            tokens = tokens.dropFirst()
            return Int(prefix.length) == bits ? "\(prefix)" : "\(prefix) le \(bits)"
        case "maxlen":
            tokens = tokens.dropFirst()
            return "\(prefix) le \(tokens.popFirst()?.text ?? "\(bits)")"
        case "prefixlen":
            tokens = tokens.dropFirst()
            guard let (low, high) = try lengths(&tokens, bits) else { return "\(prefix)" }
            return "\(prefix) ge \(max(low, Int(prefix.length))) le \(high)"
        default: return "\(prefix)"
        }
    }

    /// `>= 24`, `= 24`, `24 - 32`, `> 24`
    static func lengths(_ tokens: inout ArraySlice<Token>, _ bits: Int) throws -> (Int, Int)? {
        guard let first = tokens.popFirst() else { return nil }
        func number() throws -> Int {
            guard let number = tokens.popFirst().flatMap({ Int($0.text) }) else { throw Unmapped("a length is expected") }
            return number
        }
        switch first.text {
        case "=": let length = try number(); return (length, length)
        case ">=": return (try number(), bits)
        case ">":
            if tokens.first?.isSign("=") == true {
                tokens = tokens.dropFirst()
                return (try number(), bits)
            }
            return (try number() + 1, bits)
        case "<=": return (0, try number())
        case "<": return (0, try number() - 1)
        default:
            guard let low = Int(first.text) else { throw Unmapped("'\(first.text)' is no length") }
            if tokens.first?.text == "-" {
                tokens = tokens.dropFirst()
                return (low, try number())
            }
            return (low, low)
        }
    }

    private mutating func readASSet(_ line: ArraySlice<Token>) throws {
        throw Unmapped("sets of AS numbers are to be written as expressions over paths")
    }

    private mutating func readCache(_ line: ArraySlice<Token>) throws {
        let words = line.filter { !$0.isSign("\n") }.map(\.text)
        guard words.count >= 2, IPAddress(words[1]) != nil else { throw Unmapped("a cache has an address") }
        var cache = Mapping(["address": .scalar(words[1])])
        if let at = words.firstIndex(of: "descr"), at + 1 < words.count { cache["description"] = .text(words[at + 1]) }
        if let at = words.firstIndex(of: "port"), at + 1 < words.count { cache["port"] = .scalar(words[at + 1]) }
        if let at = words.firstIndex(of: "local-address"), at + 1 < words.count {
            cache["local-address"] = .scalar(words[at + 1])
        }
        draft.sections[mapping: "rpki"][list: "caches"].append(.mapping(cache))
    }

    // MARK: neighbours

    /// The lines within the outermost braces.
    static func inside(_ line: ArraySlice<Token>) -> [ArraySlice<Token>] {
        guard let open = line.firstIndex(where: { $0.isSign("{") }), let close = line.lastIndex(where: { $0.isSign("}") }),
            open < close
        else { return [] }
        return lines(Array(line[(open + 1)..<close]))
    }

    private mutating func readGroup(_ line: ArraySlice<Token>) throws {
        let words = line.map(\.text)
        guard words.count >= 2 else { throw Unmapped("a name is missing") }
        let name = words[1]
        groups[name] = groups[name] ?? []
        var settings = Mapping()
        let inner = Self.inside(line)
        for statement in inner where statement.first?.isWord("neighbor") != true {
            attempt(statement) { try $0.readSetting(statement, &settings) }
        }
        let key = name.split(separator: " ").joined(separator: "-")
        // A group may have an address of each family, of which a neighbor takes its own.
        ownAddresses[name] = inner.filter { $0.first?.isWord("local-address") == true }.compactMap { $0.dropFirst().first?.text }
        settings["local-address"] = nil
        draft.sections[mapping: "bgp"][mapping: "peer-groups"][key] = .mapping(settings)
        for statement in inner where statement.first?.isWord("neighbor") == true {
            attempt(statement) { try $0.readNeighbor(statement, in: name, group: settings) }
        }
    }

    private mutating func readNeighbor(_ line: ArraySlice<Token>, in group: String?, group settings: Mapping) throws {
        let words = line.map(\.text)
        guard words.count >= 2 else { throw Unmapped("an address is missing") }
        guard IPAddress(words[1]) != nil else { throw Unmapped("a neighbor has one address") }
        var neighbor = Mapping(["address": .scalar(words[1])])
        if let group {
            neighbor["peer-group"] = .scalar(group.split(separator: " ").joined(separator: "-"))
            groups[group]?.append(words[1])
            if let own = ownAddresses[group]?.last(where: { $0.contains(":") == words[1].contains(":") }) {
                neighbor["local-address"] = .scalar(own)
            }
        }
        for statement in Self.inside(line) { attempt(statement) { try $0.readSetting(statement, &neighbor) } }
        if let holdTime, neighbor[mapping: "timers"]["hold"] == nil, settings[mapping: "timers"]["hold"] == nil {
            neighbor[mapping: "timers"]["hold"] = .scalar(holdTime + "s")
        }
        draft.sections[mapping: "bgp"][list: "neighbors"].append(.mapping(neighbor))
    }

    private mutating func readSetting(_ line: ArraySlice<Token>, _ neighbor: inout Mapping) throws {
        let words = line.filter { !$0.isSign("\n") }.map(\.text)
        let last = words.last ?? ""
        switch (words.first ?? "", words.dropFirst().first ?? "") {
        case ("remote-as", _): neighbor["remote-as"] = .scalar(last)
        case ("descr", _): neighbor["description"] = .text(last)
        case ("local-address", _): neighbor["local-address"] = .scalar(last)
        case ("multihop", _): neighbor["multihop"] = .scalar(last)
        case ("passive", _): neighbor["passive"] = Node(true)
        case ("down", _): neighbor["shutdown"] = words.count > 1 ? .text(last) : Node(true)
        case ("holdtime", "min"): needless(line, "0 or at least 3 s are taken", &draft)
        case ("holdtime", _): neighbor[mapping: "timers"]["hold"] = .scalar(last + "s")
        case ("port", _): neighbor["port"] = .scalar(last)
        case ("tcp", "md5sig"):
            guard words.contains("password") else { throw Unmapped("a key in hexadecimal digits; write the password") }
            neighbor["password"] = .text(last)
        case ("ttl-security", _): if last == "yes" { neighbor["ttl-security"] = Node(1) }
        case ("route-reflector", _):
            neighbor["route-reflector-client"] = Node(true)
            if words.count > 1 { draft.sections[mapping: "bgp"]["cluster-id"] = .scalar(last) }
        case ("max-prefix", _) where words.contains("out"): throw Unmapped("what goes out has no limit")
        case ("max-prefix", _):
            neighbor["max-prefix"] = .scalar(words[1])
            if words.contains("restart") {
                draft.note(.changed, line.first!.line, Self.text(line), "say restart under families, where limits of each stand")
            }
        case ("enforce", "neighbor-as"): neighbor["enforce-first-as"] = Node(last == "yes")
        case ("enforce", "local-as"): if last == "no" { neighbor["allow-as-in"] = Node(10) }
        case ("as-override", _): neighbor["as-override"] = Node(last == "yes")
        case ("remove-private-as", _): neighbor["remove-private-as"] = Node(true)
        case ("role", _): neighbor["role"] = .scalar(last)
        case ("export", "default-route"): neighbor["default-originate"] = Node(true)
        case ("announce", "IPv4"), ("announce", "IPv6"):
            let family = words[1] == "IPv4" ? "ipv4-unicast" : "ipv6-unicast"
            guard last == "unicast" || last == "none" else { throw Unmapped("this family is not carried") }
            var families: [String] = []
            if case .list(let said)? = neighbor["families"] { families = said.compactMap(\.word) }
            families.removeAll { $0 == family }
            if last == "unicast" { families.append(family) }
            neighbor["families"] = families.isEmpty ? nil : Node(families)
        case ("announce", "refresh"): neighbor["route-refresh"] = Node(last != "no")
        case ("announce", "extended"): if words.contains("message") { neighbor["extended-messages"] = Node(last != "no") }
        case ("announce", "as-4byte"), ("announce", "restart"), ("announce", "enhanced"), ("announce", "capabilities"),
            ("announce", "policy"),
            ("announce", "graceful"):
            needless(line, "as it is", &draft)
        case ("announce", "add-path"):
            throw Unmapped("say add-path under families")
        case ("set", _):
            guard let open = line.firstIndex(where: { $0.isSign("{") }) else {
                return try readSet(line.dropFirst(), &neighbor, line)
            }
            try readSet(line[open...], &neighbor, line)
        case (let other, _): throw Unmapped("'\(other)' is not said of a neighbor")
        }
    }

    /// What is set on all that a neighbour says is a policy of import; our own next hop is a setting.
    private mutating func readSet(_ tokens: ArraySlice<Token>, _ neighbor: inout Mapping, _ line: ArraySlice<Token>) throws {
        var set = try Self.set(tokens)
        if set["next-hop"] == .scalar("self") {
            neighbor["next-hop-self"] = Node(true)
            set["next-hop"] = nil
        }
        if !set.isEmpty { throw Unmapped("write the attributes into a policy of import") }
    }
}
