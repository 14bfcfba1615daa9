import Wire

/// Protocols of kind `bgp`: a neighbour each.
extension BIRDReader {
    mutating func readBGP(_ statement: BIRDStatement, _ block: [BIRDStatement]) throws {
        let all = try expanded(statement, block)
        let name = statement.words.count > 2 && statement.words[2] != "from" ? statement.words[2] : "bgp\(statement.line)"
        var neighbor = Mapping()
        var families: [String] = [], familySettings = Mapping()
        var isInternal = false
        if !draft.sections[mapping: "bgp"].isEmpty || !all.isEmpty {
            draft.sections[mapping: "bgp"] = draft.sections[mapping: "bgp"]
        }
        if let routerID { draft.sections[mapping: "bgp"]["router-id"] = .scalar(routerID) }
        for inner in all {
            attempt(inner) { reader in
                let words = inner.words.map { reader.value($0) }
                if try reader.readChannel(inner, name, &neighbor, &families, &familySettings) { return }
                try reader.readSession(inner, words, &neighbor, &isInternal)
            }
        }
        guard neighbor["address"] != nil else { throw Unmapped("a neighbor's address is missing") }
        for direction in ["import", "export"] { gather(direction, statement, &neighbor) }
        neighbor["description"] = neighbor["description"] ?? .text(name)
        if !familySettings.isEmpty {
            for family in families where familySettings[family] == nil { familySettings[family] = .mapping(Mapping()) }
            neighbor["families"] = .mapping(familySettings)
        } else if !families.isEmpty {
            neighbor["families"] = Node(families)
        }
        draft.sections[mapping: "bgp"][list: "neighbors"].append(.mapping(neighbor))
    }

    /// One list for both families, which had a filter each.
    private mutating func gather(_ direction: String, _ statement: BIRDStatement, _ neighbor: inout Mapping) {
        var names: [Node] = []
        for family in ["ipv4-unicast", "ipv6-unicast"] {
            if let name = neighbor["\(direction) \(family)"], !names.contains(name) { names.append(name) }
            neighbor["\(direction) \(family)"] = nil
        }
        if names.isEmpty { return }
        neighbor[direction] = .list(names)
        if names.count > 1 {
            changed(statement, "both families had filters of their own for \(direction); here they are tried in order")
        }
    }

    // MARK: the session

    private mutating func readSession(
        _ statement: BIRDStatement, _ words: [String], _ neighbor: inout Mapping, _ isInternal: inout Bool
    ) throws {
        let isOn = words.last != "no" && words.last != "off"
        switch (words.first ?? "", words.dropFirst().first ?? "") {
        case ("local", _):
            var rest = words.dropFirst()
            while let word = rest.popFirst() {
                switch word {
                case "as":
                    guard let asn = rest.popFirst() else { throw Unmapped("an AS number is missing") }
                    let known = draft.sections[mapping: "bgp"]["as"]
                    if let known, known != .scalar(asn) { throw Unmapped("the router has one AS, \(known.word ?? "")") }
                    draft.sections[mapping: "bgp"]["as"] = .scalar(asn)
                case "port": _ = rest.popFirst()
                default:
                    if IPAddress(word) != nil {
                        neighbor["local-address"] = .scalar(word)
                    } else {
                        throw Unmapped("'\(word)' is unknown here")
                    }
                }
            }
        case ("neighbor", _):
            var rest = words.dropFirst()
            while let word = rest.popFirst() {
                switch word {
                case "as": neighbor["remote-as"] = rest.popFirst().map { .scalar($0) }
                case "port": neighbor["port"] = rest.popFirst().map { .scalar($0) }
                case "internal": neighbor["remote-as"] = .scalar("internal")
                case "external": throw Unmapped("an external neighbor's AS is said as a number")
                case "range": throw Unmapped("a neighbor has one address")
                default:
                    guard IPAddress(word) != nil else { throw Unmapped("'\(word)' is no address") }
                    neighbor["address"] = .scalar(word)
                }
            }
        case ("source", "address"): neighbor["local-address"] = words.last.map { .scalar($0) }
        case ("description", _): neighbor["description"] = words.last.map { .text($0) }
        case ("password", _): neighbor["password"] = words.last.map { .text($0) }
        case ("multihop", _): neighbor["multihop"] = .scalar(words.count > 1 ? words[1] : "64")
        case ("direct", _): break
        case ("ttl", "security"): if isOn { neighbor["ttl-security"] = Node(1) }
        case ("hold", "time"): neighbor[mapping: "timers"]["hold"] = words.last.map { .scalar($0 + "s") }
        case ("keepalive", "time"): changed(statement, "keepalives go every third of the hold time")
        case ("connect", "retry"): neighbor[mapping: "timers"]["connect-retry"] = words.last.map { .scalar($0 + "s") }
        case ("connect", "delay"): neighbor[mapping: "timers"]["delay-open"] = words.last.map { .scalar($0 + "s") }
        case ("passive", _): neighbor["passive"] = Node(isOn)
        case ("disabled", _): neighbor["shutdown"] = Node(isOn)
        case ("bfd", _): neighbor["bfd"] = Node(isOn)
        case ("confederation", "member"): break
        case ("confederation", _):
            draft.sections[mapping: "bgp"][mapping: "confederation"]["identifier"] = words.last.map { .scalar($0) }
            changed(statement, "the other members stand under confederation")
        case ("rr", "client"): neighbor["route-reflector-client"] = Node(true)
        case ("rr", "cluster"): draft.sections[mapping: "bgp"]["cluster-id"] = words.last.map { .scalar($0) }
        case ("allow", "local"), ("allow", "as"):
            neighbor["allow-as-in"] = .scalar(words.last.flatMap { Int($0) }.map { "\(min($0, 10))" } ?? "1")
        case ("enforce", "first"): neighbor["enforce-first-as"] = Node(isOn)
        case ("local", "role"), ("role", _): neighbor["role"] = words.last.map { .scalar($0.replacingOccurrences("_", "-")) }
        case ("require", "roles"): neighbor["role-strict"] = Node(isOn)
        case ("default", "bgp_local_pref"):
            draft.sections[mapping: "bgp"]["default-local-preference"] = words.last.map { .scalar($0) }
        case ("enable", "route"): neighbor["route-refresh"] = Node(isOn)
        case ("enable", "extended"): neighbor["extended-messages"] = Node(isOn)
        case ("interpret", "communities"), ("advertise", "ipv4"), ("advertise", "hostname"), ("capabilities", _),
            ("strict", "bind"),
            ("free", "bind"), ("debug", _), ("startup", "hold"), ("graceful", "restart"), ("error", "wait"), ("error", "forget"),
            ("path", "metric"), ("interface", _), ("check", "link"), ("long", "lived"), ("setkey", _), ("deterministic", "med"),
            ("vrf", _):
            needless(statement, "as it is, or of BIRD itself")
        case ("local_pref", _): break
        case (let first, let second): throw Unmapped("'\(first)\(second.isEmpty ? "" : " " + second)' is not said of a neighbor")
        }
    }

    // MARK: channels

    /// - Returns: whether the statement was one.
    private mutating func readChannel(
        _ statement: BIRDStatement, _ name: String, _ neighbor: inout Mapping, _ families: inout [String],
        _ settings: inout Mapping
    ) throws -> Bool {
        let known = ["ipv4": "ipv4-unicast", "ipv6": "ipv6-unicast"]
        let isChannel = ["ipv4", "ipv6", "vpn4", "vpn6", "flow4", "flow6", "evpn"].contains(statement.words.first ?? "")
        guard isChannel else {
            // Without a channel, `import` and `export` are those of the one there is.
            guard ["import", "export", "next", "add", "extended", "receive", "gateway"].contains(statement.words.first ?? "")
            else {
                return false
            }
            try readChannelStatement(statement, "ipv4-unicast", name, &neighbor, &settings)
            return true
        }
        guard statement.words.count == 1, let family = known[statement.words[0]] else {
            for inner in statement.block ?? [] { attempt(inner) { _ in throw Unmapped("in a channel that is not carried") } }
            throw Unmapped("this family is not carried")
        }
        if !families.contains(family) { families.append(family) }
        for inner in statement.block ?? [] {
            var (found, foundSettings) = (neighbor, settings)
            attempt(inner) { try $0.readChannelStatement(inner, family, name, &found, &foundSettings) }
            (neighbor, settings) = (found, foundSettings)
        }
        return true
    }

    private mutating func readChannelStatement(
        _ statement: BIRDStatement, _ family: String, _ name: String, _ neighbor: inout Mapping, _ settings: inout Mapping
    ) throws {
        let words = statement.words
        switch (words.first ?? "", words.dropFirst().first ?? "") {
        case ("import", "limit"), ("receive", "limit"):
            guard words.count >= 3 else { throw Unmapped("a number is expected") }
            settings[mapping: family]["max-prefix"] = .scalar(value(words[2]))
            switch words.last {
            case "warn": settings[mapping: family]["warning-only"] = Node(true)
            case "restart": settings[mapping: family]["restart"] = .scalar("1m")
            case "block": settings[mapping: family]["discard-extra"] = Node(true)
            default: break
            }
        case ("import", "table"), ("import", "keep"): needless(statement, "what a neighbor said is always kept")
        case ("export", "limit"), ("export", "table"), ("export", "block"): throw Unmapped("what goes out has no limit")
        case ("import", _), ("export", _):
            let direction = words[0]
            guard let policy = try policy(statement, place: "\(direction)-\(name)", isOfBGP: true) else { return }
            // What a template said of the same family counts no more.
            neighbor["\(direction) \(family)"] = .scalar(policy.name)
            if direction == "export" { redistribute(policy.sources, into: "bgp", nil) }
        case ("next", "hop"):
            if words.contains("self") {
                neighbor["next-hop-self"] = Node(true)
                if words.last == "self" { neighbor["next-hop-self-reflected"] = Node(true) }
            } else if words.contains("keep") {
                needless(statement, "a next hop is kept as RFC 4271 has it")
            } else {
                throw Unmapped("set next-hop in a policy of export")
            }
        case ("add", "paths"):
            let what = words.last ?? "on"
            var both = Mapping()
            if ["rx", "on", "yes", "paths"].contains(what) { both["receive"] = Node(true) }
            if ["tx", "on", "yes", "paths"].contains(what) { both["send"] = .scalar("all") }
            settings[mapping: family]["add-path"] = both.isEmpty ? nil : .mapping(both)
        case ("extended", "next"): settings[mapping: family]["extended-next-hop"] = Node(words.last != "off")
        case ("table", _), ("preference", _), ("gateway", _), ("igp", _), ("secondary", _), ("validate", _), ("mandatory", _),
            ("cost", _),
            ("graceful", _), ("debug", _), ("rpki", _), ("link", _), ("require", _), ("missing", _):
            needless(statement, "as it is, or of BIRD itself")
        case (let other, _): throw Unmapped("'\(other)' is not said of a family")
        }
    }
}
