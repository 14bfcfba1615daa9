import Wire

/// Reads a configuration of BIRD 2: statements that end with `;` or with a block in braces.
struct BIRDReader {
    var draft = RouterDraft()
    private(set) var constants: [String: [Token]] = [:]
    private(set) var filters: [String: BIRDStatement] = [:]
    private var templates: [String: BIRDStatement] = [:]
    /// Addresses of BGP neighbours by the names of their protocols.
    private(set) var neighbors: [String: String] = [:]
    /// Whose routes those of other protocols are, by name.
    private(set) var kinds: [String: String] = [:]
    var routerID: String?
    /// Kinds of routes that this router has of its own, in the order in which they came.
    var origins: [String] = []

    static func read(_ text: String) -> RouterDraft {
        var reader = BIRDReader()
        let tokens = Lexer.tokens(text, signs: ["[=", "=]", "&&", "||", "!~", "!=", "<=", ">=", ".."])
        let statements = BIRDStatement.parse(tokens)
        reader.collect(statements)
        for statement in statements { reader.read(statement) }
        reader.finish()
        return reader.draft
    }

    // MARK: notes

    mutating func left(_ statement: BIRDStatement, _ reason: String) { draft.note(.left, statement.line, statement.text, reason) }
    mutating func changed(_ statement: BIRDStatement, _ reason: String) {
        draft.note(.changed, statement.line, statement.text, reason)
    }
    mutating func needless(_ statement: BIRDStatement, _ reason: String) {
        draft.note(.needless, statement.line, statement.text, reason)
    }

    /// Counts a statement, and names it if it can't be carried over.
    mutating func attempt(_ statement: BIRDStatement, _ body: (inout BIRDReader) throws -> Void) {
        draft.count()
        do { try body(&self) } catch let unmapped as Unmapped { left(statement, unmapped.reason) } catch {
            left(statement, "\(error)")
        }
    }

    // MARK: the top

    /// What others name before or after it stands.
    private mutating func collect(_ statements: [BIRDStatement]) {
        for statement in statements {
            let words = statement.words
            switch words.first {
            case "define":
                guard let equals = statement.tokens.firstIndex(where: { $0.isSign("=") }), equals == 2 else { continue }
                constants[words[1]] = Array(statement.tokens[(equals + 1)...])
            case "filter": if words.count == 2 { filters[words[1]] = statement }
            case "template": if words.count >= 3, statement.block != nil { templates[words[2]] = statement }
            case "protocol":
                if words.count >= 3, words[1] == "bgp", words[2] != "from",
                    let address = Self.neighborAddress(statement.block ?? [])
                {
                    neighbors[words[2]] = address
                }
            case "router": if words.dropFirst().first == "id", words.count == 3 { routerID = words[2] }
            case "ipv4", "ipv6": break
            default: break
            }
            if words.first == "protocol", words.count >= 2 {
                let origin = ["static": "static", "ospf": "ospf", "rip": "rip", "direct": "connected"][words[1]]
                if words.count >= 3, let origin { kinds[words[2]] = origin }
                if let origin, !origins.contains(origin), !(statement.block ?? []).contains(where: { $0.words == ["disabled"] }) {
                    origins.append(origin)
                }
            }
        }
    }

    private static func neighborAddress(_ block: [BIRDStatement]) -> String? {
        for statement in block where statement.words.first == "neighbor" { return statement.words.dropFirst().first }
        return nil
    }

    private mutating func read(_ statement: BIRDStatement) {
        attempt(statement) { reader in
            let words = statement.words
            switch words.first ?? "" {
            case "log", "debug", "watchdog", "timeformat", "mrtdump", "eval", "threads", "cli", "thread":
                reader.needless(statement, "of BIRD itself")
            case "router": if words.count != 3 { throw Unmapped("router id is an address") }
            case "hostname": reader.draft.hostname = words.dropFirst().first
            case "define", "filter": break
            case "function": throw Unmapped("functions are to be written out as policies")
            case "template":
                if words.dropFirst().first != "bgp" { throw Unmapped("templates are those of BGP") }
            case "ipv4", "ipv6":
                if words.count == 3, words[1] == "table", words[2] == "master4" || words[2] == "master6" {
                    reader.needless(statement, "the router's own table")
                } else {
                    throw Unmapped("there is one table for each family")
                }
            case "protocol": try reader.readProtocol(statement)
            case "graceful": reader.needless(statement, "the pair makes it needless")
            default: throw Unmapped("unknown here")
            }
        }
    }

    private mutating func readProtocol(_ statement: BIRDStatement) throws {
        let block = statement.block ?? []
        switch statement.words.dropFirst().first ?? "" {
        case "device", "kernel", "direct":
            for inner in block {
                draft.count()
                needless(inner, "interfaces and the kernel are the controller's")
            }
        case "static": readStatic(block)
        case "ospf": readOSPF(statement, block)
        case "rip": readRIP(statement, block)
        case "bfd": readBFD(block)
        case "bgp": try readBGP(statement, block)
        case "rpki": readRPKI(block)
        case let other:
            for inner in block {
                draft.count()
                left(inner, "in protocol \(other)")
            }
            throw Unmapped("protocol \(other) is not spoken")
        }
    }

    /// A template's statements, and those of the one that it is made from, before those of the protocol.
    func expanded(_ statement: BIRDStatement, _ block: [BIRDStatement], depth: Int = 0) throws -> [BIRDStatement] {
        guard let from = statement.words.firstIndex(of: "from"), from + 1 < statement.words.count else { return block }
        guard depth < BIRDStatement.depthMaximum else { throw Unmapped("templates that are made from each other") }
        guard let template = templates[statement.words[from + 1]] else {
            throw Unmapped("there is no template '\(statement.words[from + 1])'")
        }
        return try expanded(template, template.block ?? [], depth: depth + 1) + block
    }

    /// A word, or what a constant of that name is.
    func value(_ word: String) -> String {
        if let constant = constants[word], constant.count == 1 { return constant[0].text }
        return word
    }

    private mutating func finish() {
        for name in draft.interfaceNames where draft.interfaces[name]!.addresses.isEmpty {
            draft.note(.changed, 0, "interface \(name)", "its addresses are the host's in BIRD; write them here")
        }
        for section in ["bgp", "ospf", "ospfv3"] {
            guard draft.sections[section] != nil, draft.sections[mapping: section]["router-id"] == nil else { continue }
            draft.sections[mapping: section]["router-id"] = .scalar(routerID ?? "192.0.2.1")
            if routerID == nil {
                draft.note(.changed, 0, "router id", "BIRD takes it from an interface; write the right one in place of 192.0.2.1")
            }
        }
    }
}
