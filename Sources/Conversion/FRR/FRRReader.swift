/// Reads a configuration of FRRouting: lines, some of which open a context for those that follow.
///
/// Each context is a table of rules, tried from the top; a statement for which there is none is left, and named.
struct FRRReader {
    /// Where a line stands.
    enum Context: Hashable {
        case top
        case interface(String)
        case bgp
        /// `ipv4-unicast`, `ipv6-unicast`, or another that is not carried.
        case family(String)
        case ospf, ospf6, isis, rip, ripng
        case routeMap(policy: String)
        case keyChain(String)
        case key(chain: String, id: String)
        case bfd
        case bfdProfile(String)
        case bfdPeer(Int)
        /// What follows belongs to something that a router file has no place for.
        case ignored(reason: String, isNeedless: Bool)
    }

    struct Rule: Sendable {
        var pattern: Pattern
        var apply: @Sendable (inout FRRReader, [String]) throws -> Void
        init(_ pattern: StaticString, _ apply: @escaping @Sendable (inout FRRReader, [String]) throws -> Void) {
            self.pattern = Pattern(pattern)
            self.apply = apply
        }
    }

    var draft = RouterDraft()
    var context = Context.top
    private(set) var line = 0
    private(set) var statement = ""

    // MARK: what is put together at the end
    var neighbors = FRRNeighbors()
    var ospfNetworks: [(line: Int, statement: String, prefix: String, area: String)] = []
    var ripNetworks: [(line: Int, statement: String, section: String, prefix: String)] = []
    var ripNeighbors: [(line: Int, statement: String, address: String)] = []
    var isisFamilies: Set<String> = []
    var prefixLists = FRRLists()
    var interfaceSettings = FRRInterfaces()
    /// The route map whose statement is being read.
    var routeMapStatement = Mapping()
    var routeMapMatches: [Node] = []
    var defaultRouterID: String?
    /// Sets that were named before their lists came.
    var pendingSets: [String] = []
    /// Lists of paths with something denied in them, which a set can not stand for.
    var deniedPaths: Set<String> = []

    static func read(_ text: String) -> RouterDraft {
        var reader = FRRReader()
        // No other character ends a line there, and a description may hold any.
        let lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
        for (number, line) in lines.enumerated() {
            reader.line = number + 1
            reader.read(line)
        }
        reader.finishRouteMap()
        reader.finishInterfaces()
        reader.finishNeighbors()
        reader.finishPrefixLists()
        return reader.draft
    }

    private mutating func read(_ line: Substring) {
        statement = String(line).trimmed
        if statement.isEmpty || statement.hasPrefix("!") || statement.hasPrefix("#") { return }
        let words = statement.split(whereSeparator: \.isWhitespace).map(String.init)
        switch words[0] {
        case "exit", "end", "quit", "exit-address-family", "exit-route-map", "exit-vrf", "exit-vni": return leave(words[0])
        default: break
        }
        draft.count()
        do {
            if try enter(words) { return }
            if case .ignored = context, line.first?.isWhitespace == false, try isAtTop(words) { return }
            if case .ignored(let reason, let isNeedless) = context {
                return draft.note(isNeedless ? .needless : .left, self.line, statement, reason)
            }
            for rule in rules where try apply(rule, words) { return }
            // Who forgets `exit` goes on at the top.
            for rule in Self.topRules where try apply(rule, words) { return }
            throw Unmapped("unknown here")
        } catch let unmapped as Unmapped {
            draft.note(.left, self.line, statement, unmapped.reason)
        } catch {
            draft.note(.left, self.line, statement, "\(error)")
        }
    }

    /// Who forgets `exit` after what is left out goes on at the top, not indented.
    private mutating func isAtTop(_ words: [String]) throws -> Bool {
        guard let rule = Self.topRules.first(where: { $0.pattern.match(words) != nil }) else { return false }
        context = .top
        return try apply(rule, words)
    }

    private mutating func apply(_ rule: Rule, _ words: [String]) throws -> Bool {
        guard let found = rule.pattern.match(words) else { return false }
        try rule.apply(&self, found)
        return true
    }

    private var rules: [Rule] {
        switch context {
        case .top, .ignored: Self.topRules
        case .interface: Self.interfaceRules
        case .bgp: Self.bgpRules
        case .family: Self.familyRules
        case .ospf: Self.ospfRules
        case .ospf6: Self.ospf6Rules
        case .isis: Self.isisRules
        case .rip, .ripng: Self.ripRules
        case .routeMap: Self.routeMapRules
        case .keyChain, .key: Self.keyRules
        case .bfd, .bfdProfile, .bfdPeer: Self.bfdRules
        }
    }

    // MARK: notes

    /// Said a little differently, or to be looked at.
    mutating func changed(_ reason: String) { draft.note(.changed, line, statement, reason) }
    /// Of the other program alone.
    mutating func needless(_ reason: String) { draft.note(.needless, line, statement, reason) }

    // MARK: contexts

    private mutating func leave(_ word: String) {
        finishRouteMap()
        switch (word, context) {
        case ("end", _): context = .top
        case (_, .family): context = .bgp
        case (_, .key(let chain, _)): context = .keyChain(chain)
        case (_, .bfdProfile), (_, .bfdPeer): context = .bfd
        default: context = .top
        }
    }

    mutating func open(_ new: Context) {
        finishRouteMap()
        context = new
    }

    /// Whether the line opened a context.
    private mutating func enter(_ words: [String]) throws -> Bool {
        switch (words[0], words.dropFirst().first) {
        case ("interface", let name?):
            // An older `router ospf6` names its interfaces so.
            if context == .ospf6, words.count > 2 { return false }
            if words.count > 2 { throw Unmapped("only the default VRF is carried") }
            draft.interface(name)
            open(.interface(name))
        case ("router", "bgp"):
            guard words.count >= 3 else { throw Unmapped("an AS number is missing") }
            guard words.count == 3 else {
                open(.ignored(reason: "in a BGP instance that is not the default one", isNeedless: false))
                throw Unmapped("there is one BGP instance")
            }
            draft.sections[mapping: "bgp"]["as"] = .scalar(words[2])
            open(.bgp)
        case ("router", "ospf"):
            guard words.count == 2 else {
                open(.ignored(reason: "in an OSPF instance that is not the default one", isNeedless: false))
                throw Unmapped("there is one OSPF instance")
            }
            draft.sections[mapping: "ospf"] = draft.sections[mapping: "ospf"]
            open(.ospf)
        case ("router", "ospf6"):
            draft.sections[mapping: "ospfv3"] = draft.sections[mapping: "ospfv3"]
            open(.ospf6)
        case ("router", "isis"):
            draft.sections[mapping: "isis"] = draft.sections[mapping: "isis"]
            open(.isis)
        case ("router", "rip"):
            draft.sections[mapping: "rip"] = draft.sections[mapping: "rip"]
            open(.rip)
        case ("router", "ripng"):
            draft.sections[mapping: "ripng"] = draft.sections[mapping: "ripng"]
            open(.ripng)
        case ("router", let other?):
            open(.ignored(reason: "in router \(other)", isNeedless: false))
            throw Unmapped("\(other) is not spoken")
        case ("address-family", let family?):
            let second = words.count > 2 ? words[2] : "unicast"
            open(.family("\(family)-\(second)"))
            guard ["ipv4-unicast", "ipv6-unicast"].contains("\(family)-\(second)") else {
                throw Unmapped("this family is not carried")
            }
        case ("route-map", let name?): try openRouteMap(name, words)
        case ("key", "chain"):
            guard words.count == 3 else { throw Unmapped("a name is missing") }
            draft.keyChains[words[2]] = .mapping(Mapping(["name": .scalar(words[2]), "keys": .list([])]))
            open(.keyChain(words[2]))
        case ("key", let id?):
            guard case .keyChain(let chain) = keyChainContext else { return false }
            var keys = draft.keyChains[mapping: chain]
            // What a chain of FRR does not name is MD5.
            keys[list: "keys"].append(.mapping(Mapping(["id": .scalar(id), "algorithm": .scalar("md5")])))
            draft.keyChains[mapping: chain] = keys
            open(.key(chain: chain, id: id))
        case ("bfd", nil): open(.bfd)
        case ("profile", let name?):
            guard isInBFD else { return false }
            draft.bfd[mapping: "profiles"][mapping: name] = draft.bfd[mapping: "profiles"][mapping: name]
            open(.bfdProfile(name))
        case ("peer", let address?):
            guard isInBFD else { return false }
            try openBFDPeer(address, Array(words.dropFirst(2)))
        case ("line", _), ("vrf", _), ("nexthop-group", _), ("pbr-map", _), ("segment-routing", _), ("mpls", _), ("l2vpn", _):
            let isNeedless = words[0] == "line"
            open(.ignored(reason: isNeedless ? "of FRR's own terminal" : "\(words[0]) is not carried", isNeedless: isNeedless))
            if isNeedless { needless("of FRR's own terminal") } else { throw Unmapped("\(words[0]) is not carried") }
        default: return false
        }
        return true
    }

    private var keyChainContext: Context {
        if case .key(let chain, _) = context { .keyChain(chain) } else { context }
    }
    private var isInBFD: Bool {
        switch context {
        case .bfd, .bfdProfile, .bfdPeer: true
        default: false
        }
    }
}

extension String {
    var trimmed: String {
        var text = Substring(self)
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
