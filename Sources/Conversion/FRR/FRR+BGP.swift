import Wire

/// Neighbours and groups as FRR has them: settings of the session, and of each family.
struct FRRNeighbors {
    struct Family {
        var isActive: Bool?
        var settings = Mapping()
        var policies: [String: [String]] = [:]
    }
    struct Neighbor {
        var isGroup = false
        var group: String?
        var settings = Mapping()
        var families: [String: Family] = [:]
        /// Named before it was given an AS or a group.
        var line: Int
        var updateSource: String?
    }
    private(set) var names: [String] = []
    private(set) var all: [String: Neighbor] = [:]
    var defaultHold: String?
    /// `no bgp default ipv4-unicast`
    var hasDefaultFamily = true

    mutating func change(_ name: String, line: Int, _ body: (inout Neighbor) throws -> Void) rethrows {
        if all[name] == nil {
            names.append(name)
            all[name] = Neighbor(line: line)
        }
        try body(&all[name]!)
    }
    subscript(name: String) -> Neighbor? { all[name] }
}

extension FRRReader {
    private mutating func neighbor(_ name: String, _ body: (inout FRRNeighbors.Neighbor) throws -> Void) rethrows {
        try neighbors.change(name, line: line, body)
    }
    private mutating func setting(_ name: String, _ key: String, _ node: Node) { neighbor(name) { $0.settings[key] = node } }
    /// Of the family in whose context the line stands, IPv4 unicast outside of every one.
    private mutating func family(_ name: String, _ body: (inout FRRNeighbors.Family) -> Void) throws {
        var key = "ipv4-unicast"
        if case .family(let said) = context { key = said }
        guard key == "ipv4-unicast" || key == "ipv6-unicast" else { throw Unmapped("this family is not carried") }
        neighbor(name) { body(&$0.families[key, default: FRRNeighbors.Family()]) }
    }
    private mutating func familySetting(_ name: String, _ key: String, _ node: Node) throws {
        try family(name) { $0.settings[key] = node }
    }
    private mutating func filter(_ name: String, _ direction: String, _ policy: String) throws {
        guard direction == "in" || direction == "out" else { throw Unmapped("'\(direction)' is neither in nor out") }
        try family(name) { $0.policies[direction == "in" ? "import" : "export", default: []].append(policy) }
    }
    private mutating func bgp(_ key: String, _ node: Node) { draft.sections[mapping: "bgp"][key] = node }
    private mutating func bestPath(_ rule: String) { draft.sections[mapping: "bgp"][mapping: "best-path"][rule] = Node(true) }

    // MARK: the process

    static let bgpRules: [Rule] =
        [
            Rule("bgp router-id *") { $0.bgp("router-id", .scalar($1[0])) },
            Rule("bgp cluster-id *") { r, found in
                let id = UInt32(found[0]).map { IPv4Address(raw: $0).description } ?? found[0]
                r.bgp("cluster-id", .scalar(id))
            },
            Rule("bgp default local-preference *") { $0.bgp("default-local-preference", .scalar($1[0])) },
            Rule("no bgp client-to-client reflection") { r, _ in r.bgp("client-to-client-reflection", Node(false)) },
            Rule("no bgp ebgp-requires-policy") { r, _ in r.bgp("require-policy", Node(false)) },
            Rule("bgp ebgp-requires-policy") { r, _ in r.bgp("require-policy", Node(true)) },
            Rule("no bgp default ipv4-unicast") { r, _ in r.neighbors.hasDefaultFamily = false },
            Rule("bgp default ipv4-unicast") { r, _ in r.neighbors.hasDefaultFamily = true },
            Rule("no bgp network import-check") { r, _ in r.needless("a network is originated whatever else is there") },
            Rule("bgp network import-check") { r, _ in r.changed("a network is originated whatever else is there") },
            Rule("bgp log-neighbor-changes") { r, _ in r.needless("they are always told of") },
            Rule("no bgp log-neighbor-changes") { r, _ in r.needless("they are always told of") },
            Rule("coalesce-time *") { r, _ in r.needless("of FRR itself") },
            Rule("bgp always-compare-med") { r, _ in r.bestPath("always-compare-med") },
            Rule("bgp bestpath med missing-as-worst") { r, _ in r.bestPath("missing-med-as-worst") },
            Rule("bgp bestpath med confed") { r, _ in r.bestPath("confederation-med") },
            Rule("bgp bestpath med confed missing-as-worst") { r, _ in
                r.bestPath("confederation-med")
                r.bestPath("missing-med-as-worst")
            },
            Rule("bgp bestpath as-path ignore") { r, _ in r.bestPath("ignore-as-path") },
            Rule("bgp bestpath as-path multipath-relax") { r, _ in r.changed("one best path is installed") },
            Rule("bgp bestpath compare-routerid") { r, _ in r.needless("router identifiers are compared") },
            Rule("bgp confederation identifier *") { r, found in
                r.draft.sections[mapping: "bgp"][mapping: "confederation"]["identifier"] = .scalar(found[0])
            },
            Rule("bgp confederation peers ...") { r, found in
                r.draft.sections[mapping: "bgp"][mapping: "confederation"]["members"] = Node(found)
            },
            Rule("bgp listen range * peer-group *") { r, found in
                guard IPPrefix(found[0]) != nil else { throw Unmapped("'\(found[0])' is no prefix") }
                r.draft.sections[mapping: "bgp"][list: "listen"].append(
                    .mapping(Mapping(["prefix": .scalar(found[0]), "peer-group": .scalar(found[1])])))
                r.neighbor(found[1]) { $0.isGroup = true }
            },
            Rule("bgp listen limit *") { r, _ in r.changed("each range has a limit of its own, 100 without a word") },
            Rule("bgp deterministic-med") { r, _ in r.needless("MED is always compared so") },
            Rule("no bgp suppress-duplicates") { r, _ in r.needless("nothing is said twice") },
            Rule("bgp fast-external-failover") { r, _ in r.needless("a session ends with its link, unless redundancy spares it")
            },
            Rule("timers bgp * *") { r, found in
                r.neighbors.defaultHold = found[1]
                r.checkKeepalive(found[0], found[1])
            },
            Rule("distance bgp * * *") { r, found in
                for (key, value) in zip(["external", "internal", "local"], found) {
                    r.draft.sections[mapping: "bgp"][mapping: "distance"][key] = .scalar(value)
                }
            },
            Rule("bgp graceful-restart") { r, _ in r.bgp("graceful-restart", .scalar("full")) },
            Rule("bgp graceful-restart-disable") { r, _ in r.bgp("graceful-restart", .scalar("off")) },
            Rule("bgp graceful-restart restart-time *") { r, found in
                r.draft.sections[mapping: "bgp"][mapping: "graceful-restart"]["restart-time"] = .scalar(found[0] + "s")
            },
            Rule("bgp graceful-restart stalepath-time *") { r, found in
                r.draft.sections[mapping: "bgp"][mapping: "graceful-restart"]["stale-routes-time"] = .scalar(found[0] + "s")
            },
            Rule("bgp graceful-restart select-defer-time *") { r, found in
                r.draft.sections[mapping: "bgp"][mapping: "graceful-restart"]["selection-deferral-time"] = .scalar(found[0] + "s")
            },
            Rule("bgp graceful-restart preserve-fw-state") { r, _ in r.needless("forwarding goes on") },
            Rule("rpki ...") { _, _ in throw Unmapped("caches stand in a section of their own, rpki") },
        ] + neighborRules + familyRules

    // MARK: neighbours

    private static let neighborRules: [Rule] = [
        Rule("neighbor * peer-group") { r, found in r.neighbor(found[0]) { $0.isGroup = true } },
        Rule("neighbor * interface peer-group *") { _, _ in throw Unmapped("a neighbor has an address") },
        Rule("neighbor * interface remote-as *") { _, _ in throw Unmapped("a neighbor has an address") },
        Rule("neighbor * interface ...") { _, _ in throw Unmapped("a neighbor has an address") },
        Rule("neighbor * peer-group *") { r, found in
            r.neighbor(found[0]) { $0.group = found[1] }
            r.neighbor(found[1]) { $0.isGroup = true }
        },
        Rule("neighbor * remote-as external") { _, _ in throw Unmapped("an external neighbor's AS is said as a number") },
        Rule("neighbor * remote-as *") { r, found in
            r.setting(found[0], "remote-as", .scalar(found[1]))
            if IPAddress(found[0]) == nil { r.neighbor(found[0]) { $0.isGroup = true } }
        },
        Rule("neighbor * description ...") { $0.setting($1[0], "description", .text($1.dropFirst().joined(separator: " "))) },
        Rule("neighbor * password ...") { $0.setting($1[0], "password", .text($1.dropFirst().joined(separator: " "))) },
        Rule("neighbor * timers connect *") { r, found in
            r.neighbor(found[0]) { $0.settings[mapping: "timers"]["connect-retry"] = .scalar(found[1] + "s") }
        },
        Rule("neighbor * timers delayopen *") { r, found in
            r.neighbor(found[0]) { $0.settings[mapping: "timers"]["delay-open"] = .scalar(found[1] + "s") }
        },
        Rule("neighbor * timers * *") { r, found in
            r.neighbor(found[0]) { $0.settings[mapping: "timers"]["hold"] = .scalar(found[2] + "s") }
            r.checkKeepalive(found[1], found[2])
        },
        Rule("neighbor * ebgp-multihop") { r, found in r.setting(found[0], "multihop", Node(255)) },
        Rule("neighbor * ebgp-multihop *") { $0.setting($1[0], "multihop", .scalar($1[1])) },
        Rule("neighbor * ttl-security hops *") { $0.setting($1[0], "ttl-security", .scalar($1[1])) },
        Rule("neighbor * update-source *") { r, found in r.neighbor(found[0]) { $0.updateSource = found[1] } },
        Rule("neighbor * port *") { $0.setting($1[0], "port", .scalar($1[1])) },
        Rule("neighbor * passive") { r, found in r.setting(found[0], "passive", Node(true)) },
        Rule("neighbor * shutdown") { r, found in r.setting(found[0], "shutdown", Node(true)) },
        Rule("no neighbor * shutdown") { r, found in r.setting(found[0], "shutdown", Node(false)) },
        Rule("neighbor * shutdown message ...") { $0.setting($1[0], "shutdown", .text($1.dropFirst().joined(separator: " "))) },
        Rule("neighbor * bfd") { r, found in r.setting(found[0], "bfd", Node(true)) },
        Rule("neighbor * bfd profile *") { $0.setting($1[0], "bfd", .scalar($1[1])) },
        Rule("neighbor * bfd check-control-plane-failure") { r, _ in r.needless("a session says for itself what it depends on") },
        Rule("neighbor * bfd * * *") { r, found in
            let name = "of-\(found[0].filter { $0.isLetter || $0.isNumber })"
            r.draft.bfd[mapping: "profiles"][name] = .mapping(
                Mapping([
                    "multiplier": .scalar(found[1]), "receive": .scalar(found[2] + "ms"), "transmit": .scalar(found[3] + "ms"),
                ]))
            r.setting(found[0], "bfd", .scalar(name))
        },
        Rule("neighbor * enforce-first-as") { r, found in r.setting(found[0], "enforce-first-as", Node(true)) },
        Rule("no neighbor * enforce-first-as") { r, found in r.setting(found[0], "enforce-first-as", Node(false)) },
        Rule("no neighbor * send-community ...") { r, found in r.setting(found[0], "send-communities", Node(false)) },
        Rule("neighbor * local-role *") { $0.setting($1[0], "role", .scalar(roleName($1[1]))) },
        Rule("neighbor * local-role * strict-mode") { r, found in
            r.setting(found[0], "role", .scalar(roleName(found[1])))
            r.setting(found[0], "role-strict", Node(true))
        },
        Rule("neighbor * local-as *") { $0.setting($1[0], "local-as", .scalar($1[1])) },
        Rule("neighbor * local-as * no-prepend ...") { r, found in
            var own = Mapping(["as": .scalar(found[1]), "no-prepend": Node(true)])
            if found.contains("replace-as") { own["replace-as"] = Node(true) }
            if found.contains("dual-as") { own["dual-as"] = Node(true) }
            r.setting(found[0], "local-as", .mapping(own))
        },
        Rule("neighbor * advertisement-interval *") { $0.setting($1[0], "advertisement-interval", .scalar($1[1])) },
        Rule("neighbor * capability dynamic") { r, _ in r.needless("no neighbor needs it") },
        Rule("neighbor * capability extended-nexthop") { r, found in
            r.neighbor(found[0]) {
                $0.families["ipv4-unicast", default: FRRNeighbors.Family()].settings["extended-next-hop"] = Node(true)
            }
        },
        Rule("neighbor * disable-connected-check") { r, found in
            r.setting(found[0], "multihop", Node(1))
            r.changed("multihop of 1 is what stands for it")
        },
        Rule("neighbor * graceful-restart-helper") { r, found in r.setting(found[0], "graceful-restart", .scalar("helper")) },
        Rule("neighbor * graceful-restart-disable") { r, found in r.setting(found[0], "graceful-restart", .scalar("off")) },
        Rule("neighbor * graceful-restart") { r, found in r.setting(found[0], "graceful-restart", .scalar("full")) },
        Rule("neighbor * extended-optional-parameters") { r, _ in r.needless("sent where they are needed") },
    ]

    private static func roleName(_ role: String) -> String {
        switch role {
        case "rs-server": "rs"
        default: role
        }
    }

    /// Keepalives go every third of the hold time.
    private mutating func checkKeepalive(_ keepalive: String, _ hold: String) {
        guard let keepalive = Int(keepalive), let hold = Int(hold), keepalive * 3 != hold else { return }
        changed("keepalives go every third of the hold time, not every \(keepalive) s")
    }

    // MARK: families

    static let familyRules: [Rule] = [
        Rule("neighbor * activate") { r, found in try r.family(found[0]) { $0.isActive = true } },
        Rule("no neighbor * activate") { r, found in try r.family(found[0]) { $0.isActive = false } },
        Rule("neighbor * route-map * *") { try $0.filter($1[0], $1[2], $1[1]) },
        Rule("neighbor * prefix-list * *") { try $0.filter($1[0], $1[2], policy(ofList: $1[1])) },
        Rule("neighbor * distribute-list * *") { try $0.filter($1[0], $1[2], policy(ofList: $1[1])) },
        Rule("neighbor * filter-list * *") { try $0.filter($1[0], $1[2], policy(ofPaths: $1[1])) },
        Rule("neighbor * next-hop-self") { r, found in try r.familySetting(found[0], "next-hop-self", Node(true)) },
        Rule("neighbor * next-hop-self force") { r, found in
            try r.familySetting(found[0], "next-hop-self", Node(true))
            try r.familySetting(found[0], "next-hop-self-reflected", Node(true))
        },
        Rule("neighbor * next-hop-self all") { r, found in
            try r.familySetting(found[0], "next-hop-self", Node(true))
            try r.familySetting(found[0], "next-hop-self-reflected", Node(true))
        },
        Rule("neighbor * maximum-prefix * ...") { r, found in
            try r.familySetting(found[0], "max-prefix", .scalar(found[1]))
            var rest = found.dropFirst(2)
            while let word = rest.popFirst() {
                switch word {
                case "warning-only": try r.familySetting(found[0], "warning-only", Node(true))
                case "restart": try r.familySetting(found[0], "restart", .scalar((rest.popFirst() ?? "1") + "m"))
                case "force": r.changed("routes count before policy, as it is")
                default:
                    guard let share = Int(word) else { throw Unmapped("'\(word)' is unknown here") }
                    try r.familySetting(found[0], "warning", Node(share))
                }
            }
        },
        Rule("neighbor * send-community") { r, _ in r.needless("communities of all kinds are sent") },
        Rule("neighbor * send-community *") { r, _ in r.needless("communities of all kinds are sent") },
        Rule("neighbor * soft-reconfiguration inbound") { r, _ in r.needless("what a neighbor said is always kept") },
        Rule("neighbor * route-reflector-client") { r, found in
            try r.familySetting(found[0], "route-reflector-client", Node(true))
        },
        Rule("neighbor * remove-private-AS ...") { r, found in
            let replaces = found.contains { $0.lowercased() == "replace-as" }
            try r.familySetting(found[0], "remove-private-as", replaces ? .scalar("replace") : Node(true))
        },
        Rule("neighbor * as-override") { r, found in try r.familySetting(found[0], "as-override", Node(true)) },
        Rule("neighbor * allowas-in") { r, found in try r.familySetting(found[0], "allow-as-in", Node(3)) },
        Rule("neighbor * allowas-in *") { r, found in
            guard Int(found[1]) != nil || found[1] == "origin" else { throw Unmapped("our own AS is allowed so many times") }
            try r.familySetting(found[0], "allow-as-in", .scalar(found[1]))
        },
        Rule("neighbor * default-originate") { r, found in try r.familySetting(found[0], "default-originate", Node(true)) },
        Rule("neighbor * default-originate route-map *") { r, found in
            try r.familySetting(found[0], "default-originate", .mapping(Mapping(["policy": .scalar(found[1])])))
        },
        Rule("neighbor * addpath-tx-all-paths") { r, found in
            try r.family(found[0]) { $0.settings[mapping: "add-path"]["send"] = .scalar("all") }
        },
        Rule("neighbor * addpath-tx-best-selected *") { r, found in
            try r.family(found[0]) { $0.settings[mapping: "add-path"]["send"] = .scalar(found[1]) }
        },
        Rule("neighbor * disable-addpath-rx") { r, found in
            try r.family(found[0]) { $0.settings[mapping: "add-path"]["receive"] = Node(false) }
        },
        Rule("network *") { try $0.addNetwork($1[0]) },
        Rule("network * route-map *") { r, found in
            try r.addNetwork(found[0])
            r.changed("what the route map sets is to be said at the network, or by policies of export")
        },
        Rule("network * mask *") { r, found in
            guard let length = IPv4Address(found[1])?.prefixLength else { throw Unmapped("'\(found[1])' is no mask") }
            try r.addNetwork("\(found[0])/\(length)")
        },
        Rule("aggregate-address * ...") { r, found in
            guard let prefix = IPPrefix(found[0]) else { throw Unmapped("'\(found[0])' is no prefix") }
            var aggregate = Mapping(["prefix": .scalar("\(prefix)")])
            for word in found.dropFirst() {
                guard word == "summary-only" else { throw Unmapped("'\(word)' is not said of an aggregate") }
                aggregate["summary-only"] = Node(true)
            }
            r.draft.aggregates.append(.mapping(aggregate))
            r.redistributes("aggregate", into: "bgp")
        },
        Rule("redistribute * ...") { try $0.redistribute($1[0], Array($1.dropFirst()), into: "bgp") },
        Rule("maximum-paths ibgp *") { _, _ in throw Unmapped("one best path is installed") },
        Rule("maximum-paths *") { r, found in
            if found[0] != "1" { throw Unmapped("one best path is installed") }
        },
        Rule("exit-address-family") { _, _ in },
    ]

    private mutating func addNetwork(_ text: String) throws {
        guard let prefix = IPPrefix(text) else { throw Unmapped("'\(text)' is no prefix") }
        draft.addNetwork(Mapping(["prefix": .scalar("\(prefix)")]))
    }

    /// `redistribute connected metric 5 route-map NAME`
    mutating func redistribute(_ source: String, _ words: [String], into target: String) throws {
        var entry = Mapping(["from": .scalar(try Self.protocolName(source)), "into": .scalar(target)])
        var rest = words[...]
        while let word = rest.popFirst() {
            switch word {
            case "metric": entry["metric"] = rest.popFirst().map { .scalar($0) }
            case "metric-type": entry["metric-type"] = rest.popFirst().map { .scalar($0.replacingType) }
            case "tag": entry["tag"] = rest.popFirst().map { .scalar($0) }
            case "route-map": entry["policy"] = rest.popFirst().map { .scalar($0) }
            case "level-1": entry["level"] = Node(1)
            case "level-2": entry["level"] = Node(2)
            default: throw Unmapped("'\(word)' is not said of redistribution")
            }
        }
        draft.redistribute.removeAll { $0.isRedistribution(of: entry) }
        draft.redistribute.append(.mapping(entry))
    }

    private mutating func redistributes(_ source: String, into target: String) {
        let entry = Mapping(["from": .scalar(source), "into": .scalar(target)])
        if !draft.redistribute.contains(where: { $0.isRedistribution(of: entry) }) { draft.redistribute.append(.mapping(entry)) }
    }

    // MARK: the end

    mutating func finishNeighbors() {
        guard draft.sections["bgp"] != nil else { return }
        if draft.sections[mapping: "bgp"]["router-id"] == nil { bgp("router-id", .scalar(defaultRouterID ?? someRouterID)) }
        for name in neighbors.names.filter({ neighbors[$0]!.isGroup }) + neighbors.names.filter({ !neighbors[$0]!.isGroup }) {
            write(name, neighbors[name]!)
        }
    }

    /// Every process has one; FRR takes the highest address.
    var someRouterID: String {
        let addresses = draft.interfaceNames.compactMap { draft.address(of: $0, isIPv6: false) }.compactMap { IPv4Address($0) }
        return (addresses.max() ?? IPv4Address(192, 0, 2, 1)).description
    }

    private mutating func write(_ name: String, _ neighbor: FRRNeighbors.Neighbor) {
        var written = neighbor.isGroup ? Mapping() : Mapping(["address": .scalar(name)])
        if let group = neighbor.group { written["peer-group"] = .scalar(group) }
        for entry in neighbor.settings.entries { written[entry.key] = entry.node }
        if let hold = neighbors.defaultHold, neighbor.group == nil, written[mapping: "timers"]["hold"] == nil {
            written[mapping: "timers"]["hold"] = .scalar(hold + "s")
        }
        if let source = neighbor.updateSource {
            if let address = IPAddress(source) != nil ? source : draft.address(of: source, isIPv6: name.contains(":")) {
                written["local-address"] = .scalar(address)
            } else {
                draft.note(
                    .left, neighbor.line, "neighbor \(name) update-source \(source)", "the interface has no address in this file")
            }
        }
        writeFamilies(of: name, neighbor, into: &written)
        if neighbor.isGroup {
            draft.sections[mapping: "bgp"][mapping: "peer-groups"][name] = .mapping(written)
        } else if IPAddress(name) != nil {
            draft.sections[mapping: "bgp"][list: "neighbors"].append(.mapping(written))
        } else {
            draft.note(.left, neighbor.line, "neighbor \(name)", "a neighbor has an address")
        }
    }

    /// What FRR says by family and is one here: policies and attributes of the neighbour.
    private mutating func writeFamilies(of name: String, _ neighbor: FRRNeighbors.Neighbor, into written: inout Mapping) {
        let group = neighbor.group.flatMap { neighbors[$0] }
        var active: [String] = []
        for key in ["ipv4-unicast", "ipv6-unicast"] {
            let isDefault = key == "ipv4-unicast" && neighbors.hasDefaultFamily && !neighbor.isGroup
            if neighbor.families[key]?.isActive ?? group?.families[key]?.isActive ?? isDefault { active.append(key) }
        }
        var families = Mapping()
        var policies: [String: [[String]]] = [:]
        for key in ["ipv4-unicast", "ipv6-unicast"] {
            guard let family = neighbor.families[key], active.contains(key) || neighbor.isGroup else { continue }
            for entry in family.settings.entries {
                if Self.isOfFamily(entry.key) {
                    families[mapping: key][entry.key] = entry.node
                } else {
                    written[entry.key] = entry.node
                }
            }
            for (direction, names) in family.policies { policies[direction, default: []].append(names) }
        }
        if !families.isEmpty {
            for key in active where families[key] == nil { families[key] = .mapping(Mapping()) }
            written["families"] = .mapping(families)
        } else if !active.isEmpty, neighbor.group == nil || !neighbor.families.isEmpty {
            written["families"] = Node(active)
        }
        for direction in ["import", "export"] {
            guard let said = policies[direction] else { continue }
            let chosen = said.map {
                draft.conjunction($0, as: "\(direction)-\(name.filter { $0.isLetter || $0.isNumber || $0 == "-" })")
            }
            if Set(chosen).count > 1 {
                draft.note(
                    .changed, neighbor.line, "neighbor \(name)",
                    "both families had policies of their own for \(direction); here they are tried in order")
            }
            var unique: [String] = []
            for policy in chosen where !unique.contains(policy) { unique.append(policy) }
            written[direction] = Node(unique)
        }
    }

    private static func isOfFamily(_ key: String) -> Bool {
        ["max-prefix", "warning", "warning-only", "restart", "add-path", "extended-next-hop"].contains(key)
    }
}

extension Node {
    fileprivate func isRedistribution(of entry: Mapping) -> Bool {
        guard case .mapping(let mapping) = self else { return false }
        return mapping["from"] == entry["from"] && mapping["into"] == entry["into"]
    }
}

extension String {
    /// `type-1` and `1` are the same.
    fileprivate var replacingType: String { hasPrefix("type-") ? String(dropFirst(5)) : self }
}
