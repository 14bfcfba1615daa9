import Wire

/// Static routes, interior protocols, BFD and caches of BIRD.
extension BIRDReader {
    // MARK: static

    mutating func readStatic(_ block: [BIRDStatement]) {
        for statement in block {
            attempt(statement) { reader in
                let words = statement.words
                switch words.first ?? "" {
                case "ipv4", "ipv6", "check", "preference", "disabled": reader.needless(statement, "a table of BIRD's own")
                case "route": try reader.addRoute(words, statement)
                case let other: throw Unmapped("'\(other)' is not said of static routes")
                }
            }
        }
    }

    private mutating func addRoute(_ words: [String], _ statement: BIRDStatement) throws {
        guard words.count >= 3, let prefix = IPPrefix(value(words[1])) else { throw Unmapped("a prefix is expected") }
        var route = Mapping(["prefix": .scalar("\(prefix)")])
        switch words[2] {
        case "via":
            guard words.count >= 4 else { throw Unmapped("a next hop is missing") }
            let hop = String(value(words[3]).prefix { $0 != "%" })
            guard IPAddress(hop) != nil else { throw Unmapped("a static route leads to an address, not to an interface alone") }
            if words.dropFirst(4).contains("via") { throw Unmapped("a static route has one next hop") }
            route["next-hop"] = .scalar(hop)
            if words.contains("bfd") { changed(statement, "BFD does not watch static routes here") }
        case "blackhole", "unreachable", "prohibit":
            route["blackhole"] = Node(true)
            if words[2] != "blackhole" { changed(statement, "packets are dropped without an answer") }
        case let other: throw Unmapped("'\(other)' is no way for a static route")
        }
        if statement.block?.isEmpty == false {
            changed(statement, "attributes are set where the route is redistributed, by a policy")
        }
        draft.statics.append(.mapping(route))
    }

    // MARK: OSPF

    mutating func readOSPF(_ statement: BIRDStatement, _ block: [BIRDStatement]) {
        let isV3 = statement.words.contains("v3")
        let isIPv4 = block.contains { $0.words.first == "ipv4" }
        let section = !isV3 ? "ospf" : isIPv4 ? "ospfv3-ipv4" : "ospfv3"
        draft.sections[mapping: section] = draft.sections[mapping: section]
        if let routerID { draft.sections[mapping: section]["router-id"] = .scalar(routerID) }
        for inner in block {
            attempt(inner) { reader in
                let words = inner.words
                switch words.first ?? "" {
                case "ipv4", "ipv6": reader.readInteriorChannel(inner, section)
                case "area":
                    guard words.count == 2 else { throw Unmapped("an area is expected") }
                    reader.readArea(words[1], inner.block ?? [], section)
                case "rfc1583compat": reader.draft.sections[mapping: section]["rfc1583-compatibility"] = Node(words.last == "yes")
                case "stub":
                    if words.last == "yes" {
                        reader.draft.sections[mapping: section][mapping: "stub-router"]["always"] = Node(true)
                    }
                case "ecmp":
                    if let limit = words.firstIndex(of: "limit"), limit + 1 < words.count {
                        reader.draft.sections[mapping: section]["maximum-paths"] = .scalar(words[limit + 1])
                    } else if words.last == "no" {
                        reader.draft.sections[mapping: section]["maximum-paths"] = Node(1)
                    }
                case "router": if words.count == 3 { reader.draft.sections[mapping: section]["router-id"] = .scalar(words[2]) }
                case "graceful", "tick", "merge", "debug", "description", "vrf": reader.needless(inner, "of BIRD itself")
                case "instance": reader.draft.sections[mapping: section]["instance-id"] = words.last.map { .scalar($0) }
                case let other: throw Unmapped("'\(other)' is not said of OSPF")
                }
            }
        }
    }

    /// What comes in is installed; what goes out is redistribution.
    private mutating func readInteriorChannel(_ channel: BIRDStatement, _ section: String) {
        for inner in channel.block ?? [] {
            attempt(inner) { reader in
                switch inner.words.first ?? "" {
                case "import":
                    if inner.words != ["import", "all"] { throw Unmapped("what an interior protocol says is installed") }
                case "export":
                    guard let policy = try reader.policy(inner, place: "into-\(section)") else { return }
                    reader.redistribute(policy.sources, into: section, policy.name)
                case "table", "preference", "debug": reader.needless(inner, "a table of BIRD's own")
                case let other: throw Unmapped("'\(other)' is not said of a channel")
                }
            }
        }
    }

    private mutating func readArea(_ id: String, _ block: [BIRDStatement], _ section: String) {
        let id = IPv4Address(id).map { $0.raw <= 0xffff ? String($0.raw) : id } ?? id
        func area(_ reader: inout BIRDReader, _ change: (inout Mapping) -> Void) {
            change(&reader.draft.sections[mapping: section][element: "areas", "id", id])
        }
        area(&self) { _ in }
        for inner in block {
            attempt(inner) { reader in
                let words = inner.words
                switch words.first ?? "" {
                case "stub":
                    if words.count == 1 || words.last == "yes" {
                        area(&reader) { $0["type"] = .scalar("stub") }
                    } else if words[1] == "cost" {
                        area(&reader) { $0["default-cost"] = .scalar(words[2]) }
                    }
                case "nssa": area(&reader) { $0["type"] = .scalar("nssa") }
                case "summary":
                    if words.last == "no" {
                        area(&reader) {
                            $0["type"] = .scalar($0["type"] == .scalar("nssa") ? "nssa-no-summary" : "totally-stubby")
                        }
                    }
                case "default": if words.count == 3 { area(&reader) { $0["default-cost"] = .scalar(words[2]) } }
                case "translator": area(&reader) { $0["nssa-translator"] = .scalar(words.last == "yes" ? "always" : "candidate") }
                case "networks":
                    for range in inner.block ?? [] {
                        area(&reader) {
                            var entry = Mapping(["prefix": .scalar(range.words[0])])
                            if range.words.contains("hidden") { entry["advertise"] = Node(false) }
                            $0[list: "ranges"].append(.mapping(entry))
                        }
                    }
                case "interface":
                    let isNothing = (inner.block ?? []).isEmpty
                    for name in words.dropFirst() where name != "," && name != "instance" {
                        if name.contains("*") || name.hasPrefix("-") { throw Unmapped("interfaces are named one by one") }
                        reader.draft.interface(name)
                        var interface = Mapping(["name": .scalar(name)])
                        if !isNothing { reader.readOSPFInterface(inner.block ?? [], into: &interface) }
                        area(&reader) { $0[list: "interfaces"].append(.mapping(interface)) }
                    }
                case let other: throw Unmapped("'\(other)' is not said of an area")
                }
            }
        }
    }

    private mutating func readOSPFInterface(_ block: [BIRDStatement], into interface: inout Mapping) {
        for inner in block {
            var found = interface
            attempt(inner) { reader in
                let words = inner.words
                let value = words.last ?? ""
                switch words.first ?? "" {
                case "cost": found["cost"] = .scalar(value)
                case "hello": found["hello"] = .scalar(value + "s")
                case "dead": found["dead"] = .scalar(value + "s")
                case "retransmit": found["retransmit"] = .scalar(value + "s")
                case "transmit": found["transmit-delay"] = .scalar(value + "s")
                case "priority": found["priority"] = .scalar(value)
                case "stub": found["passive"] = Node(value != "no")
                case "bfd": found["bfd"] = Node(value != "no")
                case "ttl": found["ttl-security"] = Node(value != "no")
                case "type":
                    switch value {
                    case "ptp", "pointopoint": found["network"] = .scalar("point-to-point")
                    case "bcast", "broadcast": found["network"] = .scalar("broadcast")
                    default: throw Unmapped("'\(value)' networks are not spoken")
                    }
                case "authentication": if value == "none" { found["authentication"] = nil }
                case "password":
                    try Self.readPassword(inner, isSimple: Self.isSimple(block), into: &found, algorithms: Self.algorithms)
                case "check", "rx", "tx", "wait", "poll", "strict", "real", "link", "ecmp":
                    reader.needless(inner, "a fine point of BIRD")
                case let other: throw Unmapped("'\(other)' is not said of an interface")
                }
            }
            interface = found
        }
    }

    private static func isSimple(_ block: [BIRDStatement]) -> Bool {
        block.contains { $0.words == ["authentication", "simple"] }
            || block.contains { $0.words == ["authentication", "plaintext"] }
    }

    private static let algorithms = [
        "hmac sha1": "hmac-sha-1", "hmac sha256": "hmac-sha-256", "hmac sha384": "hmac-sha-384", "hmac sha512": "hmac-sha-512",
        "keyed md5": "md5",
    ]

    /// `password "text" { id 1; algorithm hmac sha256; }`
    private static func readPassword(
        _ statement: BIRDStatement, isSimple: Bool, into interface: inout Mapping, algorithms: [String: String]
    ) throws {
        guard statement.words.count == 2 else { throw Unmapped("a password is expected") }
        if isSimple {
            interface[mapping: "authentication"]["password"] = .text(statement.words[1])
            return
        }
        var key = Mapping(["id": .scalar("1")])
        for inner in statement.block ?? [] {
            switch inner.words.first {
            case "id": key["id"] = .scalar(inner.words.last ?? "1")
            case "algorithm":
                guard let algorithm = algorithms[inner.words.dropFirst().joined(separator: " ")] else {
                    throw Unmapped("'\(inner.words.dropFirst().joined(separator: " "))' is no algorithm that is known here")
                }
                key["algorithm"] = .scalar(algorithm)
            default: throw Unmapped("keys that change by time stand in key-chains")
            }
        }
        key["secret"] = .text(statement.words[1])
        interface[mapping: "authentication"][list: "keys"].append(.mapping(key))
    }

    // MARK: RIP, BFD, caches

    mutating func readRIP(_ statement: BIRDStatement, _ block: [BIRDStatement]) {
        let section = statement.words.contains("ng") ? "ripng" : "rip"
        draft.sections[mapping: section] = draft.sections[mapping: section]
        for inner in block {
            attempt(inner) { reader in
                let words = inner.words
                switch words.first ?? "" {
                case "ipv4", "ipv6": reader.readInteriorChannel(inner, section)
                case "ecmp": if words.last == "no" { reader.draft.sections[mapping: section]["maximum-paths"] = Node(1) }
                case "interface":
                    for name in words.dropFirst() where name != "," {
                        if name.contains("*") || name.hasPrefix("-") { throw Unmapped("interfaces are named one by one") }
                        reader.draft.interface(name)
                        var interface = Mapping(["name": .scalar(name)])
                        reader.readRIPInterface(inner.block ?? [], section, into: &interface)
                        reader.draft.sections[mapping: section][list: "interfaces"].append(.mapping(interface))
                    }
                case "debug", "infinity", "description", "vrf": reader.needless(inner, "of BIRD itself")
                case let other: throw Unmapped("'\(other)' is not said of RIP")
                }
            }
        }
    }

    private mutating func readRIPInterface(_ block: [BIRDStatement], _ section: String, into interface: inout Mapping) {
        for inner in block {
            var found = interface
            attempt(inner) { reader in
                let words = inner.words
                let value = words.last ?? ""
                switch (words.first ?? "", words.dropFirst().first ?? "") {
                case ("metric", _): found["metric"] = .scalar(value)
                case ("passive", _): found["passive"] = Node(value != "no")
                case ("split", _): if value == "no" { found["split-horizon"] = .scalar("none") }
                case ("poison", _): if value == "no" { found["split-horizon"] = .scalar("simple") }
                case ("update", _): reader.timer("update", value, section, inner)
                case ("timeout", _): reader.timer("timeout", value, section, inner)
                case ("garbage", _): reader.timer("garbage", value, section, inner)
                case ("ttl", "security"): found["ttl-security"] = Node(value != "no")
                case ("authentication", _): break
                case ("password", _):
                    try Self.readPassword(inner, isSimple: Self.isSimple(block), into: &found, algorithms: Self.algorithms)
                case ("mode", _): break
                case ("version", _): if value != "2" { throw Unmapped("say send and receive") }
                case ("check", _), ("rx", _), ("tx", _), ("address", _), ("port", _):
                    reader.needless(inner, "a fine point of BIRD")
                case (let other, _): throw Unmapped("'\(other)' is not said of an interface")
                }
            }
            interface = found
        }
    }

    private mutating func timer(_ key: String, _ value: String, _ section: String, _ statement: BIRDStatement) {
        draft.sections[mapping: section][mapping: "timers"][key] = .scalar(value + "s")
        changed(statement, "timers are those of all interfaces")
    }

    mutating func readBFD(_ block: [BIRDStatement]) {
        for statement in block {
            attempt(statement) { reader in
                switch statement.words.first ?? "" {
                case "interface", "multihop":
                    for inner in statement.block ?? [] {
                        reader.attempt(inner) { try $0.readBFDTimer(inner) }
                    }
                    if statement.words.count > 1, !statement.words[1].contains("*") {
                        reader.changed(statement, "the times are those of all sessions; a profile keeps them to one interface")
                    }
                case "accept", "strict", "debug": reader.needless(statement, "of BIRD itself")
                case "neighbor": throw Unmapped("a session is asked for by the protocol that needs it")
                case let other: throw Unmapped("'\(other)' is not said of BFD")
                }
            }
        }
    }

    private mutating func readBFDTimer(_ statement: BIRDStatement) throws {
        let words = statement.words
        let time = words.dropFirst().filter { $0 != "rx" && $0 != "tx" && $0 != "interval" }
        func milliseconds() throws -> String {
            guard let number = time.first.flatMap({ Int($0) }) else { throw Unmapped("a time is expected") }
            switch time.dropFirst().first {
            case "ms": return "\(number)ms"
            case "us": return "\(max(10, number / 1000))ms"
            default: return "\(number)s"
            }
        }
        switch words.first ?? "" {
        case "interval": draft.bfd["interval"] = .scalar(try milliseconds())
        case "min": draft.bfd[words.contains("rx") ? "receive" : "transmit"] = .scalar(try milliseconds())
        case "multiplier": draft.bfd["multiplier"] = words.last.map { .scalar($0) }
        case "passive": draft.bfd["passive"] = Node(words.last != "no")
        case "idle": needless(statement, "a fine point of BIRD")
        case let other: throw Unmapped("'\(other)' is not said of BFD")
        }
    }

    mutating func readRPKI(_ block: [BIRDStatement]) {
        var cache = Mapping()
        for statement in block {
            attempt(statement) { reader in
                let words = statement.words
                switch words.first ?? "" {
                case "remote":
                    guard words.count >= 2, IPAddress(words[1]) != nil else { throw Unmapped("a cache has an address") }
                    cache["address"] = .scalar(words[1])
                    if let port = words.firstIndex(of: "port"), port + 1 < words.count {
                        cache["port"] = .scalar(words[port + 1])
                    }
                case "port": cache["port"] = words.last.map { .scalar($0) }
                case "roa4", "roa6", "debug": reader.needless(statement, "the table of payloads is the router's own")
                case "refresh", "retry", "expire":
                    reader.draft.sections[mapping: "rpki"][words[0]] = words.last.map { .scalar($0 + "s") }
                case "transport": if words.last != "tcp" { throw Unmapped("caches are asked over TCP") }
                case let other: throw Unmapped("'\(other)' is not said of a cache")
                }
            }
        }
        if !cache.isEmpty { draft.sections[mapping: "rpki"][list: "caches"].append(.mapping(cache)) }
    }
}
