import Wire

/// Route maps: each of their statements is one of a policy of the same name.
extension FRRReader {
    /// `route-map NAME permit 10`
    mutating func openRouteMap(_ name: String, _ words: [String]) throws {
        finishRouteMap()
        guard words.count == 4, words[2] == "permit" || words[2] == "deny", Int(words[3]) != nil else {
            context = .ignored(reason: "in a route map of another form", isNeedless: false)
            throw Unmapped("route-map NAME permit|deny NUMBER is expected")
        }
        context = .routeMap(policy: name)
        routeMapStatement = Mapping(["then": .scalar(words[2] == "permit" ? "accept" : "reject")])
        routeMapMatches = []
    }

    mutating func finishRouteMap() {
        guard case .routeMap(let policy) = context, !routeMapStatement.isEmpty else { return }
        var statement = Mapping()
        if routeMapMatches.count == 1 {
            statement["match"] = routeMapMatches[0]
        } else if !routeMapMatches.isEmpty {
            statement["match"] = Self.merged(routeMapMatches)
        }
        if routeMapStatement["then"] != .scalar("reject"), let set = routeMapStatement["set"] { statement["set"] = set }
        statement["then"] = routeMapStatement["then"]
        draft.append(statement, toPolicy: policy)
        routeMapStatement = Mapping()
        routeMapMatches = []
    }

    /// One mapping where no key is wanted twice, else a list of them.
    private static func merged(_ matches: [Node]) -> Node {
        var all = Mapping()
        for case .mapping(let match) in matches {
            for entry in match.entries {
                if all[entry.key] != nil { return .list(matches) }
                all[entry.key] = entry.node
            }
        }
        return .mapping(all)
    }

    mutating func match(_ key: String, _ node: Node) { routeMapMatches.append(.mapping(Mapping([key: node]))) }
    mutating func set(_ key: String, _ node: Node) { routeMapStatement[mapping: "set"][key] = node }

    /// The list's set, or the policy that stands for it.
    private mutating func matchPrefixList(_ name: String) {
        if prefixLists.isSet(name) {
            match("prefix-set", .scalar(name))
            // The list may follow after the route map.
            pendingSets.append(name)
        } else {
            match("policy", .scalar(Self.policy(ofList: name)))
        }
    }

    private static func number(_ text: String) throws -> Node {
        guard UInt32(text) != nil else { throw Unmapped("'\(text)' is no number") }
        return .scalar(text)
    }

    static let routeMapRules: [Rule] = [
        Rule("description ...") { r, _ in r.needless("a description") },
        Rule("match ip address prefix-list *") { $0.matchPrefixList($1[0]) },
        Rule("match ipv6 address prefix-list *") { $0.matchPrefixList($1[0]) },
        Rule("match ip address *") { $0.matchPrefixList($1[0]) },
        Rule("match ipv6 address *") { $0.matchPrefixList($1[0]) },
        Rule("match ip next-hop address *") { $0.match("next-hop", .scalar($1[0] + "/32")) },
        Rule("match ipv6 next-hop address *") { $0.match("next-hop", .scalar($1[0] + "/128")) },
        Rule("match as-path *") { r, found in
            if r.deniedPaths.contains(word(found[0])) {
                r.match("policy", .scalar(policy(ofPaths: found[0])))
            } else {
                r.match("as-path-set", .scalar(word(found[0])))
            }
        },
        Rule("match community * exact-match") { $0.match("exact-communities", .scalar(word($1[0]))) },
        Rule("match community *") { $0.match("community", .scalar(word($1[0]))) },
        Rule("match community * any") { $0.match("community", .scalar(word($1[0]))) },
        Rule("match large-community *") { $0.match("community", .scalar(word($1[0]))) },
        Rule("match large-community * exact-match") { $0.match("exact-communities", .scalar(word($1[0]))) },
        Rule("match extcommunity *") { $0.match("community", .scalar(word($1[0]))) },
        Rule("match ip next-hop prefix-list *") { r, found in
            r.match("next-hop-set", .scalar(found[0]))
            r.pendingSets.append(found[0])
        },
        Rule("match metric *") { $0.match("metric", try number($1[0])) },
        Rule("match local-preference *") { $0.match("local-preference", try number($1[0])) },
        Rule("match tag *") { $0.match("tag", try number($1[0])) },
        Rule("match origin *") { $0.match("origin", .scalar($1[0])) },
        Rule("match peer local") { r, _ in r.match("source", .scalar("local")) },
        Rule("match peer *") { r, found in
            guard IPAddress(found[0]) != nil else { throw Unmapped("a neighbor is matched by its address") }
            r.match("neighbor", .scalar(found[0]))
        },
        Rule("match rpki valid") { r, _ in r.match("rpki", .scalar("valid")) },
        Rule("match rpki invalid") { r, _ in r.match("rpki", .scalar("invalid")) },
        Rule("match rpki notfound") { r, _ in r.match("rpki", .scalar("not-found")) },
        Rule("match source-protocol *") { $0.match("protocol", .scalar(try protocolName($1[0]))) },
        Rule("set local-preference *") { r, found in
            let isChange = found[0].hasPrefix("+") || found[0].hasPrefix("-")
            guard UInt32(isChange ? String(found[0].dropFirst()) : found[0]) != nil else {
                throw Unmapped("a number is expected")
            }
            r.set("local-preference", isChange ? .text(found[0]) : .scalar(found[0]))
        },
        Rule("set metric *") { r, found in
            let isChange = found[0].hasPrefix("+") || found[0].hasPrefix("-")
            guard UInt32(isChange ? String(found[0].dropFirst()) : found[0]) != nil else {
                throw Unmapped("a number is expected")
            }
            r.set("metric", isChange ? .text(found[0]) : .scalar(found[0]))
        },
        Rule("set weight *") { $0.set("weight", try number($1[0])) },
        Rule("set tag *") { $0.set("tag", try number($1[0])) },
        Rule("set origin *") { $0.set("origin", .scalar($1[0])) },
        Rule("set ip next-hop peer-address") { r, _ in r.set("next-hop", .scalar("peer-address")) },
        Rule("set ipv6 next-hop peer-address") { r, _ in r.set("next-hop", .scalar("peer-address")) },
        Rule("set ip next-hop unchanged") { r, _ in r.set("next-hop", .scalar("unchanged")) },
        Rule("set ip next-hop *") { $0.set("next-hop", .scalar($1[0])) },
        Rule("set ipv6 next-hop global *") { $0.set("next-hop", .scalar($1[0])) },
        Rule("set ipv6 next-hop prefer-global") { r, _ in r.needless("the global address is preferred") },
        Rule("set metric-type type-1") { r, _ in r.set("metric-type", Node(1)) },
        Rule("set metric-type type-2") { r, _ in r.set("metric-type", Node(2)) },
        Rule("set as-path prepend last-as *") { $0.set("prepend", .mapping(Mapping(["last": try number($1[0])]))) },
        Rule("set as-path exclude all") { r, _ in r.set("remove-as", .scalar("all")) },
        Rule("set as-path exclude ...") { $0.set("remove-as", Node($1)) },
        Rule("set as-path replace any") { r, _ in r.set("replace-as", .scalar("all")) },
        Rule("set as-path replace *") { $0.set("replace-as", try number($1[0])) },
        Rule("set as-path prepend ...") { r, found in
            guard let asn = found.first, found.allSatisfy({ $0 == asn }), !found.isEmpty, UInt32(asn) != nil else {
                throw Unmapped("one AS is prepended several times; different ones want a statement each")
            }
            r.set("prepend", .mapping(Mapping(["as": .scalar(asn), "count": Node(found.count)])))
        },
        Rule("set community none") { r, _ in r.set("communities", .list([])) },
        Rule("set community ...") { r, found in
            var communities = found
            let isAdded = communities.last == "additive"
            if isAdded { communities.removeLast() }
            r.set(isAdded ? "add-communities" : "communities", .list(communities.map { .text($0) }))
        },
        Rule("set large-community none") { r, _ in r.set("large-communities", .list([])) },
        Rule("set large-community ...") { r, found in
            var communities = found
            let isAdded = communities.last == "additive"
            if isAdded { communities.removeLast() }
            r.set(isAdded ? "add-large-communities" : "large-communities", .list(communities.map { .text($0) }))
        },
        Rule("set extcommunity rt ...") { r, found in r.set("extended-communities", .list(found.map { .text("rt:\($0)") })) },
        Rule("set extcommunity soo *") { r, found in r.set("extended-communities", .list(found.map { .text("soo:\($0)") })) },
        Rule("set comm-list * delete") { $0.set("remove-communities", .scalar(word($1[0]))) },
        Rule("set large-comm-list * delete") { $0.set("remove-communities", .scalar(word($1[0]))) },
        Rule("call *") { $0.match("policy", .scalar($1[0])) },
        Rule("on-match next") { r, _ in r.goOn() },
        Rule("on-match goto *") { _, _ in throw Unmapped("statements follow each other; write policies that call others") },
        Rule("continue") { r, _ in r.goOn() },
        Rule("continue *") { _, _ in throw Unmapped("statements follow each other; write policies that call others") },
    ]

    private mutating func goOn() {
        guard routeMapStatement["then"] == .scalar("accept") else { return }
        routeMapStatement["then"] = .scalar("next")
        changed("if no later statement decides, the route is rejected here and accepted there: end the policy with accept")
    }

    /// A source of routes as it is called here.
    static func protocolName(_ name: String) throws -> String {
        switch name {
        case "connected", "static", "bgp", "ospf", "isis", "rip", "ripng": return name
        case "ospf6": return "ospfv3"
        default: throw Unmapped("routes of '\(name)' are not known here")
        }
    }
}
