import Wire

/// A filter of BIRD as statements of a policy: conditions, attributes that are set, `accept` and `reject`, `if` with `else`.
/// Functions, loops and variables are programs, which a policy is not. Where a policy names a set, the statements have a list:
/// `RouterDraft.named` gives it a name.
struct BIRDFilter {
    /// Conditions that must all hold.
    typealias Conjunction = [Mapping]

    private var tokens: ArraySlice<Token>
    private let constants: [String: [Token]]
    /// Addresses of BGP neighbours by the names of their protocols.
    private let neighbors: [String: String]
    /// Whose routes those of other protocols are, by name.
    private let kinds: [String: String]
    /// Sources that it asks for: routes of theirs must come into BGP first.
    private(set) var sources: Set<String> = []
    /// Sources that it wants any other than.
    private(set) var excluded: Set<String> = []
    private(set) var statements: [Mapping] = []

    init(_ body: [Token], constants: [String: [Token]], neighbors: [String: String], kinds: [String: String]) {
        tokens = body[...]
        self.constants = constants
        self.neighbors = neighbors
        self.kinds = kinds
    }

    /// The whole body of a filter.
    mutating func readBody() throws { try readSequence(under: []) }

    /// `where EXPRESSION`: what it is true of is accepted.
    mutating func readCondition() throws {
        for conjunction in try disjunction() { statements.append(Self.statement(conjunction, Mapping(), "accept")) }
        guard tokens.isEmpty else { throw Unmapped("'\(tokens.first!.text)' is not understood") }
    }

    private static func statement(_ conditions: Conjunction, _ set: Mapping, _ then: String) -> Mapping {
        var statement = Mapping()
        if conditions.count == 1 {
            statement["match"] = .mapping(conditions[0])
        } else if !conditions.isEmpty {
            statement["match"] = .list(conditions.map { .mapping($0) })
        }
        if !set.isEmpty { statement["set"] = .mapping(set) }
        statement["then"] = .scalar(then)
        return statement
    }

    /// Of parentheses and branches.
    private var depth = 0
    private static let depthMaximum = 32
    private mutating func deeper() throws {
        guard depth < Self.depthMaximum else { throw Unmapped("deeper than \(Self.depthMaximum) within each other") }
        depth += 1
    }

    // MARK: statements

    private var next: Token? { tokens.first }
    private mutating func take() throws -> Token {
        guard let token = tokens.popFirst() else { throw Unmapped("it ends too early") }
        return token
    }
    private mutating func takeSign(_ sign: String) -> Bool {
        guard next?.isSign(sign) == true else { return false }
        tokens = tokens.dropFirst()
        return true
    }
    private mutating func takeWord(_ word: String) -> Bool {
        guard next?.isWord(word) == true else { return false }
        tokens = tokens.dropFirst()
        return true
    }
    private mutating func expect(_ sign: String) throws {
        guard takeSign(sign) else { throw Unmapped("'\(sign)' is expected before '\(next?.text ?? "the end")'") }
    }

    /// Statements up to a closing brace or the end, under conditions that hold already.
    /// - Returns: whether all of it ends in a decision.
    @discardableResult
    private mutating func readSequence(under conditions: Conjunction) throws -> Bool {
        var set = Mapping()
        func flushed(_ then: String) -> Mapping { Self.statement(conditions, set, then) }
        while let token = next, !token.isSign("}") {
            if takeSign(";") { continue }
            if token.isWord("accept") || token.isWord("reject") {
                tokens = tokens.dropFirst()
                skipToEnd()
                statements.append(Self.statement(conditions, token.text == "accept" ? set : Mapping(), token.text))
                return true
            }
            if takeWord("if") {
                if !set.isEmpty { statements.append(flushed("next")) }
                set = Mapping()
                if try readIf(under: conditions) { return true }
            } else if token.isWord("print") || token.isWord("printn") {
                skipStatement()
            } else {
                try readAssignment(into: &set)
            }
        }
        if !set.isEmpty { statements.append(flushed("next")) }
        return false
    }

    private mutating func skipStatement() {
        while let token = next, !token.isSign(";"), !token.isSign("}") { tokens = tokens.dropFirst() }
    }
    /// What follows a decision is never reached.
    private mutating func skipToEnd() {
        var depth = 0
        while let token = next {
            if token.isSign("{") { depth += 1 }
            if token.isSign("}") {
                if depth == 0 { return }
                depth -= 1
            }
            tokens = tokens.dropFirst()
        }
    }

    private mutating func readIf(under conditions: Conjunction) throws -> Bool {
        let cases = try disjunction()
        guard takeWord("then") else { throw Unmapped("'then' is expected before '\(next?.text ?? "the end")'") }
        let branch = tokens
        var isDecided = false
        for conjunction in cases {
            tokens = branch
            isDecided = try readBranch(under: conditions + conjunction)
        }
        guard takeWord("else") else { return false }
        guard isDecided else { throw Unmapped("'else' after a branch that decides nothing") }
        return try readBranch(under: conditions)
    }

    private mutating func readBranch(under conditions: Conjunction) throws -> Bool {
        try deeper()
        defer { depth -= 1 }
        if takeSign("{") {
            let isDecided = try readSequence(under: conditions)
            try expect("}")
            return isDecided
        }
        if takeWord("if") { return try readIf(under: conditions) }
        let token = next
        if token?.isWord("accept") == true || token?.isWord("reject") == true {
            tokens = tokens.dropFirst()
            while let token = next, !token.isSign(";") { _ = try take(); _ = token }
            _ = takeSign(";")
            statements.append(Self.statement(conditions, Mapping(), token!.text))
            return true
        }
        var set = Mapping()
        try readAssignment(into: &set)
        _ = takeSign(";")
        statements.append(Self.statement(conditions, set, "next"))
        return false
    }

    /// `bgp_local_pref = 200`, `bgp_community.add((65000, 1))`
    private mutating func readAssignment(into set: inout Mapping) throws {
        let token = try take()
        guard token.kind == .word else { throw Unmapped("'\(token.text)' is not understood") }
        if takeSign("=") {
            let value = try value()
            guard let key = Self.attributes[token.text] else { throw Unmapped("'\(token.text)' is not set by policies") }
            if key == "origin" {
                set[key] = .scalar(value.replacingOccurrences("ORIGIN_", "").lowercased())
            } else {
                set[key] = .scalar(value)
            }
            return
        }
        guard let dot = token.text.lastIndex(of: "."), takeSign("(") else {
            throw Unmapped("'\(token.text)' is no assignment: functions are to be written out")
        }
        let (attribute, method) = (String(token.text[..<dot]), String(token.text[token.text.index(after: dot)...]))
        switch (attribute, method) {
        case ("bgp_path", "prepend"):
            let asn = try value()
            let before = set[mapping: "prepend"]
            let count = before["as"] == .scalar(asn) ? (Int(before["count"]?.word ?? "0") ?? 0) + 1 : 1
            set["prepend"] = .mapping(Mapping(["as": .scalar(asn), "count": Node(count)]))
        case ("bgp_community", "add"): set[list: "add-communities"].append(.text(try community()))
        case ("bgp_large_community", "add"): set[list: "add-large-communities"].append(.text(try community()))
        case ("bgp_community", "delete"), ("bgp_large_community", "delete"):
            set["remove-communities"] = .list(try communities().map { .text($0) })
        default: throw Unmapped("'\(token.text)' is not done by policies")
        }
        try expect(")")
    }

    private static let attributes = [
        "bgp_local_pref": "local-preference", "bgp_med": "med", "bgp_origin": "origin", "bgp_next_hop": "next-hop",
        "ospf_metric1": "metric", "ospf_metric2": "metric", "ospf_tag": "tag", "rip_metric": "metric", "rip_tag": "tag",
    ]

    // MARK: values

    /// A number, address or name of a constant.
    private mutating func value() throws -> String {
        let token = try take()
        if token.kind == .sign { throw Unmapped("'\(token.text)' is no value: what is computed is to be written out") }
        let found = constants[token.text]
        if let found, found.count == 1 { return found[0].text }
        if next?.isSign("+") == true || next?.isSign("*") == true { throw Unmapped("what is computed is to be written out") }
        return token.text
    }

    /// `(65000, 1)`, `(65000, 1, 2)`; the opening parenthesis may have been taken.
    private mutating func community() throws -> String {
        guard takeSign("(") else {
            let token = try take()
            guard let constant = constants[token.text] else { throw Unmapped("'\(token.text)' is no community") }
            return constant.filter { $0.kind == .word }.map(\.text).joined(separator: ":")
        }
        var parts = [try value()]
        while takeSign(",") { parts.append(try value()) }
        try expect(")")
        return parts.joined(separator: ":")
    }

    /// One, or a set `[(65000, *), …]`.
    private mutating func communities() throws -> [String] {
        guard takeSign("[") else { return [try community()] }
        var all = [try community()]
        while takeSign(",") { all.append(try community()) }
        try expect("]")
        return all
    }

    /// `[ 10.0.0.0/8+, 192.0.2.0/24{25,32} ]`, or a constant's name.
    /// - Parameter isWithin: a prefix without brackets stands for all in it.
    private mutating func prefixes(isWithin: Bool = false) throws -> [String] {
        if let name = next, name.kind == .word, let constant = constants[name.text] {
            tokens = tokens.dropFirst()
            var inner = BIRDFilter(constant, constants: constants, neighbors: neighbors, kinds: kinds)
            return try inner.prefixes(isWithin: isWithin)
        }
        guard takeSign("[") else {
            let one = try prefix()
            let bits = one.contains(":") ? 128 : 32
            return [isWithin && !one.contains(" ") && !one.hasSuffix("/\(bits)") ? "\(one) le \(bits)" : one]
        }
        var all: [String] = []
        repeat { all.append(try prefix()) } while takeSign(",")
        try expect("]")
        return all
    }

    private mutating func prefix() throws -> String {
        var word = try take().text
        let mark = word.last
        if mark == "+" || mark == "-" { word.removeLast() }
        guard let prefix = IPPrefix(word) else { throw Unmapped("'\(word)' is no prefix") }
        let bits = word.contains(":") ? 128 : 32
        if mark == "+" { return Int(prefix.length) == bits ? "\(prefix)" : "\(prefix) le \(bits)" }
        if mark == "-" { throw Unmapped("a pattern of shorter prefixes") }
        guard takeSign("{") else { return "\(prefix)" }
        let low = try value()
        try expect(",")
        let high = try value()
        try expect("}")
        return "\(prefix) ge \(low) le \(high)"
    }

    // MARK: conditions

    /// At most so many statements come of one condition.
    private static let casesMaximum = 64

    /// `a && b || c`: conjunctions of which one must hold.
    private mutating func disjunction() throws -> [Conjunction] {
        var cases = try conjunction()
        while takeSign("||") { cases += try conjunction() }
        guard cases.count <= Self.casesMaximum else { throw Unmapped("a condition of more than \(Self.casesMaximum) cases") }
        return cases
    }

    private mutating func conjunction() throws -> [Conjunction] {
        var cases = try condition()
        while takeSign("&&") {
            let more = try condition()
            guard cases.count * more.count <= Self.casesMaximum else {
                throw Unmapped("a condition of more than \(Self.casesMaximum) cases")
            }
            cases = cases.flatMap { before in more.map { before + $0 } }
        }
        return cases
    }

    private mutating func condition() throws -> [Conjunction] {
        try deeper()
        defer { depth -= 1 }
        if next?.isSign("(") == true, !isCommunity {
            tokens = tokens.dropFirst()
            let cases = try disjunction()
            try expect(")")
            return cases
        }
        if takeSign("!") { return try opposite() }
        if takeWord("true") { return [[]] }
        if takeWord("false") { return [] }
        return [[try comparison()]]
    }

    /// What `!` stands before.
    private mutating func opposite() throws -> [Conjunction] {
        let cases = try condition()
        if cases.isEmpty { return [[]] }
        if cases == [[]] { return [] }
        let any = cases.map { conjunction in conjunction.count == 1 ? Node.mapping(conjunction[0]) : Self.all(conjunction) }
        return [[Mapping(["not": any.count == 1 ? any[0] : .mapping(Mapping(["any": .list(any)]))])]]
    }
    private static func all(_ conjunction: Conjunction) -> Node {
        var all = Mapping()
        for entry in conjunction.flatMap(\.entries) { all[entry.key] = entry.node }
        return .mapping(all)
    }

    /// `(65000, 1) ~ bgp_community`
    private var isCommunity: Bool {
        var rest = tokens.dropFirst()
        var commas = 0
        while let token = rest.popFirst() {
            if token.isSign(",") { commas += 1 }
            if token.isSign(")") { return commas > 0 }
            if token.kind == .sign, !token.isSign(",") { return false }
        }
        return false
    }

    private mutating func comparison() throws -> Mapping {
        if isCommunity {
            let value = try community()
            let isOpposite = takeSign("!~")
            if !isOpposite { try expect("~") }
            let name = try take().text
            guard name == "bgp_community" || name == "bgp_large_community" else { throw Unmapped("'\(name)' has no communities") }
            return Mapping([isOpposite ? "no-community" : "community": .list([.text(value)])])
        }
        let left = try take().text
        if left == "roa_check" { return try originValidation() }
        let sign = try take().text
        switch (left, sign) {
        case ("net", "~"): return Mapping(["prefix": Node(try prefixes(isWithin: true))])
        case ("net", "="): return Mapping(["prefix": Node(try prefixes())])
        case ("net", "!~"): return Mapping(["not": .mapping(Mapping(["prefix": Node(try prefixes(isWithin: true))]))])
        case ("net", "!="): return Mapping(["not": .mapping(Mapping(["prefix": Node(try prefixes())]))])
        case ("net.len", _):
            return Mapping(["prefix-length": .scalar(try range(sign, 128))])
        case ("source", "="), ("source", "~"):
            let names = try sourceNames()
            sources.formUnion(names)
            return Mapping(["protocol": Node(names)])
        case ("source", "!="), ("source", "!~"):
            let names = try sourceNames()
            excluded.formUnion(names)
            return Mapping(["not": .mapping(Mapping(["protocol": Node(names)]))])
        case ("proto", "="), ("proto", "~"):
            let name = try take().text
            if let kind = kinds[name] {
                sources.insert(kind)
                return Mapping(["protocol": Node([kind])])
            }
            guard let address = neighbors[name] else { throw Unmapped("protocol '\(name)' is no BGP neighbor") }
            return Mapping(["neighbor": .scalar(address)])
        case ("bgp_path", "~"): return Mapping(["as-path": .text(try path())])
        case ("bgp_path.len", _): return Mapping(["as-path-length": .scalar(try range(sign, 65535))])
        case ("bgp_path.last", "="), ("bgp_path.last_nonaggregated", "="): return Mapping(["origin-as": .scalar(try value())])
        case ("bgp_path.first", "="): return Mapping(["neighbor-as": .scalar(try value())])
        case ("bgp_local_pref", _): return Mapping(["local-preference": .scalar(try range(sign, Int(UInt32.max)))])
        case ("bgp_med", _): return Mapping(["med": .scalar(try range(sign, Int(UInt32.max)))])
        case ("bgp_origin", "="):
            return Mapping(["origin": .scalar(try value().replacingOccurrences("ORIGIN_", "").lowercased())])
        case ("bgp_community", "~"), ("bgp_large_community", "~"):
            return Mapping(["community": .list(try communities().map { .text($0) })])
        default: throw Unmapped("'\(left) \(sign)' is no condition of a policy")
        }
    }

    private mutating func range(_ sign: String, _ maximum: Int) throws -> String {
        guard let number = Int(try value()) else { throw Unmapped("a number is expected") }
        switch sign {
        case "=": return "\(number)"
        case "<": return "0..\(max(0, number - 1))"
        case "<=": return "0..\(number)"
        case ">": return "\(min(number + 1, maximum))..\(maximum)"
        case ">=": return "\(number)..\(maximum)"
        default: throw Unmapped("'\(sign)' is not a comparison of numbers that is known here")
        }
    }

    private mutating func sourceNames() throws -> [String] {
        var names: [String] = []
        if takeSign("[") {
            repeat { names.append(try take().text) } while takeSign(",")
            try expect("]")
        } else {
            names = [try take().text]
        }
        let known = [
            "RTS_STATIC": "static", "RTS_DEVICE": "connected", "RTS_INHERIT": "connected", "RTS_BGP": "bgp", "RTS_OSPF": "ospf",
            "RTS_OSPF_IA": "ospf", "RTS_OSPF_EXT1": "ospf", "RTS_OSPF_EXT2": "ospf", "RTS_RIP": "rip",
        ]
        var protocols: [String] = []
        for name in names {
            guard let found = known[name] else { throw Unmapped("'\(name)' is no source of routes that is known here") }
            if !protocols.contains(found) { protocols.append(found) }
        }
        return protocols
    }

    /// `[= * 65001 65002 * =]`
    private mutating func path() throws -> String {
        try expect("[=")
        var parts: [String] = []
        while let token = next, !token.isSign("=]") {
            tokens = tokens.dropFirst()
            switch token.text {
            case "*": parts.append(".*")
            case "?": parts.append(".")
            default:
                guard UInt32(token.text) != nil else { throw Unmapped("'\(token.text)' in a path") }
                parts.append(token.text)
            }
        }
        try expect("=]")
        return parts.joined(separator: " ")
    }

    /// `roa_check(roa4, net, bgp_path.last) = ROA_INVALID`
    private mutating func originValidation() throws -> Mapping {
        try expect("(")
        while let token = next, !token.isSign(")") { _ = try take(); _ = token }
        try expect(")")
        try expect("=")
        switch try take().text {
        case "ROA_VALID": return Mapping(["rpki": .scalar("valid")])
        case "ROA_INVALID": return Mapping(["rpki": .scalar("invalid")])
        case "ROA_UNKNOWN": return Mapping(["rpki": .scalar("not-found")])
        case let other: throw Unmapped("'\(other)' is no state")
        }
    }
}

extension Node {
    var word: String? {
        switch self {
        case .scalar(let word), .text(let word): word
        default: nil
        }
    }
}

extension String {
    func replacingOccurrences(_ part: String, _ other: String) -> String {
        guard !part.isEmpty else { return self }
        return split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
    }
}
