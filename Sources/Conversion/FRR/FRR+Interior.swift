import Wire

/// What FRR says of protocols at its interfaces, until it is known which area each is in.
struct FRRInterfaces {
    struct Settings {
        var area: String?
        var settings = Mapping()
        var isPassive = false
    }
    /// By protocol (`ospf`, `ospfv3`, `isis`, `rip`, `ripng`) and interface.
    private(set) var all: [String: [String: Settings]] = [:]
    private(set) var order: [String: [String]] = [:]
    var isPassiveByDefault: Set<String> = []

    mutating func change(_ proto: String, _ name: String, _ body: (inout Settings) -> Void) {
        if all[proto]?[name] == nil { order[proto, default: []].append(name) }
        body(&all[proto, default: [:]][name, default: Settings()])
    }
    subscript(proto: String) -> [(name: String, settings: Settings)] {
        (order[proto] ?? []).map { ($0, all[proto]![$0]!) }
    }
}

extension FRRReader {
    private var interfaceName: String {
        if case .interface(let name) = context { name } else { "" }
    }
    private mutating func at(_ proto: String, _ key: String, _ node: Node) {
        interfaceSettings.change(proto, interfaceName) { $0.settings[key] = node }
    }
    private mutating func seconds(_ proto: String, _ key: String, _ text: String) throws {
        guard Int(text) != nil else { throw Unmapped("'\(text)' is no number of seconds") }
        at(proto, key, .scalar(text + "s"))
    }
    private mutating func addKey(_ proto: String, _ key: Mapping) {
        interfaceSettings.change(proto, interfaceName) {
            $0.settings[mapping: "authentication"][list: "keys"].append(.mapping(key))
        }
    }

    // MARK: interfaces

    static let interfaceRules: [Rule] =
        [
            Rule("description ...") { r, _ in r.needless("a description") },
            Rule("ip address *") { r, found in r.draft.interface(r.interfaceName) { $0.addresses.append(found[0]) } },
            Rule("ipv6 address *") { r, found in r.draft.interface(r.interfaceName) { $0.addresses.append(found[0]) } },
            Rule("mtu *") { r, found in r.draft.interface(r.interfaceName) { $0.mtu = Int(found[0]) } },
            Rule("bandwidth *") { r, _ in r.changed("costs do not follow from bandwidths; say them") },
            Rule("no shutdown") { r, _ in r.needless("an interface is used if it is named") },
            Rule("link-detect") { r, _ in r.needless("carrier is always watched") },
            Rule("no link-detect") { r, _ in r.changed("carrier is always watched") },
            Rule("no ipv6 nd suppress-ra") { _, _ in throw Unmapped("router advertisements are the host's") },
            Rule("ipv6 nd suppress-ra") { r, _ in r.needless("no router advertisements are sent") },
            Rule("ipv6 nd ...") { _, _ in throw Unmapped("router advertisements are the host's") },
        ] + ospfInterfaceRules + isisInterfaceRules + ripInterfaceRules

    private static let ospfInterfaceRules: [Rule] = [
        Rule("ip ospf area *") { r, found in r.interfaceSettings.change("ospf", r.interfaceName) { $0.area = found[0] } },
        Rule("ipv6 ospf6 area *") { r, found in r.interfaceSettings.change("ospfv3", r.interfaceName) { $0.area = found[0] } },
        Rule("ip ospf cost *") { $0.at("ospf", "cost", .scalar($1[0])) },
        Rule("ipv6 ospf6 cost *") { $0.at("ospfv3", "cost", .scalar($1[0])) },
        Rule("ip ospf hello-interval *") { try $0.seconds("ospf", "hello", $1[0]) },
        Rule("ipv6 ospf6 hello-interval *") { try $0.seconds("ospfv3", "hello", $1[0]) },
        Rule("ip ospf dead-interval minimal hello-multiplier *") { _, _ in
            throw Unmapped("hellos are a second apart at least; use BFD")
        },
        Rule("ip ospf dead-interval *") { try $0.seconds("ospf", "dead", $1[0]) },
        Rule("ipv6 ospf6 dead-interval *") { try $0.seconds("ospfv3", "dead", $1[0]) },
        Rule("ip ospf retransmit-interval *") { try $0.seconds("ospf", "retransmit", $1[0]) },
        Rule("ipv6 ospf6 retransmit-interval *") { try $0.seconds("ospfv3", "retransmit", $1[0]) },
        Rule("ip ospf transmit-delay *") { try $0.seconds("ospf", "transmit-delay", $1[0]) },
        Rule("ipv6 ospf6 transmit-delay *") { try $0.seconds("ospfv3", "transmit-delay", $1[0]) },
        Rule("ip ospf priority *") { $0.at("ospf", "priority", .scalar($1[0])) },
        Rule("ipv6 ospf6 priority *") { $0.at("ospfv3", "priority", .scalar($1[0])) },
        Rule("ip ospf network *") { $0.at("ospf", "network", .scalar(try network($1[0]))) },
        Rule("ipv6 ospf6 network *") { $0.at("ospfv3", "network", .scalar(try network($1[0]))) },
        Rule("ip ospf network * ...") { _, _ in throw Unmapped("this kind of network is not spoken") },
        Rule("ip ospf passive") { r, _ in r.interfaceSettings.change("ospf", r.interfaceName) { $0.isPassive = true } },
        Rule("ipv6 ospf6 passive") { r, _ in r.interfaceSettings.change("ospfv3", r.interfaceName) { $0.isPassive = true } },
        Rule("ip ospf mtu-ignore") { r, _ in r.at("ospf", "mtu-ignore", Node(true)) },
        Rule("ipv6 ospf6 mtu-ignore") { r, _ in r.at("ospfv3", "mtu-ignore", Node(true)) },
        Rule("ip ospf bfd ...") { r, _ in r.at("ospf", "bfd", Node(true)) },
        Rule("ipv6 ospf6 bfd ...") { r, _ in r.at("ospfv3", "bfd", Node(true)) },
        Rule("ip ospf prefix-suppression") { r, _ in r.at("ospf", "suppress-prefixes", Node(true)) },
        Rule("ip ospf authentication message-digest") { r, _ in r.needless("a key says it") },
        Rule("ip ospf authentication key-chain *") { r, found in
            r.interfaceSettings.change("ospf", r.interfaceName) {
                $0.settings[mapping: "authentication"]["key-chain"] = .scalar(found[0])
            }
        },
        Rule("ip ospf authentication") { r, _ in r.needless("a password says it") },
        Rule("ip ospf authentication-key *") { r, found in
            r.interfaceSettings.change("ospf", r.interfaceName) {
                $0.settings[mapping: "authentication"]["password"] = .text(found[0])
            }
        },
        Rule("ip ospf message-digest-key * md5 *") { r, found in
            r.addKey("ospf", Mapping(["id": .scalar(found[0]), "algorithm": .scalar("md5"), "secret": .text(found[1])]))
        },
        Rule("ipv6 ospf6 authentication key-id * hash-algo * key *") { r, found in
            r.addKey(
                "ospfv3",
                Mapping(["id": .scalar(found[0]), "algorithm": .scalar(found[1]), "secret": .text(found[2])]))
        },
        Rule("ipv6 ospf6 authentication keychain *") { r, found in
            r.interfaceSettings.change("ospfv3", r.interfaceName) {
                $0.settings[mapping: "authentication"]["key-chain"] = .scalar(found[0])
            }
        },
        Rule("ipv6 ospf6 instance-id *") { r, found in r.draft.sections[mapping: "ospfv3"]["instance-id"] = .scalar(found[0]) },
    ]

    private static func network(_ kind: String) throws -> String {
        guard kind == "broadcast" || kind == "point-to-point" else { throw Unmapped("'\(kind)' networks are not spoken") }
        return kind
    }

    private static let isisInterfaceRules: [Rule] = [
        Rule("ip router isis *") { r, _ in r.runISIS("ipv4") },
        Rule("ipv6 router isis *") { r, _ in r.runISIS("ipv6") },
        Rule("isis circuit-type *") { $0.at("isis", "levels", .scalar(try levels($1[0]))) },
        Rule("isis metric *") { $0.at("isis", "metric", .scalar($1[0])) },
        Rule("isis metric * *") { r, found in
            r.interfaceSettings.change("isis", r.interfaceName) { $0.settings[mapping: found[0]]["metric"] = .scalar(found[1]) }
        },
        Rule("isis network point-to-point") { r, _ in r.at("isis", "network", .scalar("point-to-point")) },
        Rule("isis passive") { r, _ in r.at("isis", "passive", Node(true)) },
        Rule("isis hello-interval *") { try $0.seconds("isis", "hello", $1[0]) },
        Rule("isis hello-interval * *") { r, found in
            r.interfaceSettings.change("isis", r.interfaceName) {
                $0.settings[mapping: found[0]]["hello"] = .scalar(found[1] + "s")
            }
        },
        Rule("isis hello-multiplier *") { $0.at("isis", "multiplier", .scalar($1[0])) },
        Rule("isis hello-multiplier * *") { r, found in
            r.interfaceSettings.change("isis", r.interfaceName) {
                $0.settings[mapping: found[0]]["multiplier"] = .scalar(found[1])
            }
        },
        Rule("isis priority *") { $0.at("isis", "priority", .scalar($1[0])) },
        Rule("isis priority * *") { r, found in
            r.interfaceSettings.change("isis", r.interfaceName) { $0.settings[mapping: found[0]]["priority"] = .scalar(found[1]) }
        },
        Rule("isis csnp-interval *") { try $0.seconds("isis", "csnp-interval", $1[0]) },
        Rule("isis psnp-interval *") { r, _ in
            r.changed("acknowledgements are gathered as lsp.psnp-interval says, for all interfaces")
        },
        Rule("no isis hello padding") { r, _ in r.at("isis", "padding", .scalar("never")) },
        Rule("isis hello padding during-adjacency-formation") { r, _ in r.at("isis", "padding", .scalar("until-adjacency")) },
        Rule("isis bfd ...") { r, _ in r.at("isis", "bfd", Node(true)) },
        Rule("isis password md5 *") { r, found in
            r.addKey("isis", Mapping(["algorithm": .scalar("hmac-md5"), "secret": .text(found[0])]))
        },
        Rule("isis password clear *") { r, found in
            r.addKey("isis", Mapping(["algorithm": .scalar("clear-text"), "secret": .text(found[0])]))
        },
        Rule("isis three-way-handshake") { r, _ in r.needless("offered always") },
        Rule("no isis three-way-handshake") { r, _ in r.changed("the three-way handshake is always offered") },
        Rule("no isis mpls ldp-sync") { r, _ in r.needless("there is no LDP") },
        Rule("isis fast-reroute ...") { _, _ in throw Unmapped("fast reroute is not done") },
    ]

    private mutating func runISIS(_ family: String) {
        interfaceSettings.change("isis", interfaceName) { $0.settings = $0.settings }
        isisFamilies.insert(family)
    }

    private static func levels(_ text: String) throws -> String {
        switch text {
        case "level-1", "level-1-only": return "1"
        case "level-2", "level-2-only": return "2"
        case "level-1-2": return "1-2"
        default: throw Unmapped("'\(text)' is no level")
        }
    }

    private static let ripInterfaceRules: [Rule] = [
        Rule("ip rip authentication mode text") { r, _ in r.needless("a password says it") },
        Rule("ip rip authentication mode md5 ...") { r, _ in r.needless("a key says it") },
        Rule("ip rip authentication key-chain *") { r, found in
            r.interfaceSettings.change("rip", r.interfaceName) {
                $0.settings[mapping: "authentication"]["key-chain"] = .scalar(found[0])
            }
        },
        Rule("ip rip authentication string *") { r, found in
            r.interfaceSettings.change("rip", r.interfaceName) {
                $0.settings[mapping: "authentication"]["password"] = .text(found[0])
            }
        },
        Rule("ip rip send version *") { $0.at("rip", "send", .scalar($1[0])) },
        Rule("ip rip send version 1 2") { _, _ in throw Unmapped("one version is sent") },
        Rule("ip rip receive version *") { $0.at("rip", "receive", .scalar($1[0])) },
        Rule("ip rip receive version 1 2") { r, _ in r.at("rip", "receive", .scalar("both")) },
        Rule("ip rip split-horizon poisoned-reverse") { r, _ in r.at("rip", "split-horizon", .scalar("poisoned-reverse")) },
        Rule("no ip rip split-horizon") { r, _ in r.at("rip", "split-horizon", .scalar("none")) },
        Rule("ip split-horizon") { r, _ in r.at("rip", "split-horizon", .scalar("simple")) },
        Rule("ipv6 ripng split-horizon poisoned-reverse") { r, _ in r.at("ripng", "split-horizon", .scalar("poisoned-reverse")) },
        Rule("no ipv6 ripng split-horizon") { r, _ in r.at("ripng", "split-horizon", .scalar("none")) },
        Rule("ip rip bfd ...") { r, _ in r.at("rip", "bfd", Node(true)) },
    ]

    // MARK: OSPF

    private mutating func area(_ section: String, _ id: String, _ change: (inout Mapping) -> Void) {
        change(&draft.sections[mapping: section][element: "areas", "id", areaID(id)])
    }

    /// A number, or like an address: one form, so that both name one area.
    private func areaID(_ text: String) -> String {
        IPv4Address(text).map { $0.raw <= 0xffff ? String($0.raw) : text } ?? text
    }

    private static func areaRules(_ section: String) -> [Rule] {
        [
            Rule("area * stub no-summary") { r, found in r.area(section, found[0]) { $0["type"] = .scalar("totally-stubby") } },
            Rule("area * stub") { r, found in r.area(section, found[0]) { $0["type"] = .scalar("stub") } },
            Rule("area * nssa no-summary") { r, found in r.area(section, found[0]) { $0["type"] = .scalar("nssa-no-summary") } },
            Rule("area * nssa translate-always") { r, found in
                r.area(section, found[0]) {
                    $0["type"] = .scalar("nssa")
                    $0["nssa-translator"] = .scalar("always")
                }
            },
            Rule("area * nssa translate-never") { r, found in
                r.area(section, found[0]) {
                    $0["type"] = .scalar("nssa")
                    $0["nssa-translator"] = .scalar("never")
                }
            },
            Rule("area * nssa translate-candidate") { r, found in r.area(section, found[0]) { $0["type"] = .scalar("nssa") } },
            Rule("area * nssa") { r, found in r.area(section, found[0]) { $0["type"] = .scalar("nssa") } },
            Rule("area * default-cost *") { r, found in r.area(section, found[0]) { $0["default-cost"] = .scalar(found[1]) } },
            Rule("area * range * not-advertise") { r, found in
                r.area(section, found[0]) {
                    $0[list: "ranges"].append(.mapping(Mapping(["prefix": .scalar(found[1]), "advertise": Node(false)])))
                }
            },
            Rule("area * range * cost *") { r, found in
                r.area(section, found[0]) {
                    $0[list: "ranges"].append(.mapping(Mapping(["prefix": .scalar(found[1]), "cost": .scalar(found[2])])))
                }
            },
            Rule("area * range *") { r, found in
                r.area(section, found[0]) { $0[list: "ranges"].append(.mapping(Mapping(["prefix": .scalar(found[1])]))) }
            },
            Rule("area * range * advertise") { r, found in
                r.area(section, found[0]) { $0[list: "ranges"].append(.mapping(Mapping(["prefix": .scalar(found[1])]))) }
            },
            Rule("auto-cost reference-bandwidth *") { r, _ in r.changed("costs do not follow from bandwidths; say them") },
            Rule("redistribute * ...") { try $0.redistribute($1[0], Array($1.dropFirst()), into: section) },
            Rule("default-information originate ...") { r, found in
                var value = Mapping()
                var rest = found[...]
                while let word = rest.popFirst() {
                    switch word {
                    case "always": value["always"] = Node(true)
                    case "metric": value["metric"] = rest.popFirst().map { .scalar($0) }
                    case "metric-type": value["metric-type"] = rest.popFirst().map { .scalar($0) }
                    default: throw Unmapped("'\(word)' is not said of the default route")
                    }
                }
                r.draft.sections[mapping: section]["default-originate"] = value.isEmpty ? Node(true) : .mapping(value)
            },
            Rule("default-metric *") { $0.draft.sections[mapping: section]["default-metric"] = .scalar($1[0]) },
            Rule("distance *") { $0.draft.sections[mapping: section]["distance"] = .scalar($1[0]) },
            Rule("distance ospf ...") { try $0.distances(section, $1) },
            Rule("distance ospf6 ...") { try $0.distances(section, $1) },
            Rule("maximum-paths *") { $0.draft.sections[mapping: section]["maximum-paths"] = .scalar($1[0]) },
            Rule("log-adjacency-changes ...") { r, _ in r.needless("they are always told of") },
            Rule("timers throttle spf * * *") { r, found in
                r.draft.sections[mapping: section]["spf-timers"] = .mapping(
                    Mapping([
                        "initial-delay": .scalar(found[0] + "ms"), "short-delay": .scalar(found[1] + "ms"),
                        "long-delay": .scalar(found[2] + "ms"),
                    ]))
                r.changed("the delays are those of RFC 8405, which has no exponential phase")
            },
            Rule("timers throttle lsa all *") { r, found in
                r.draft.sections[mapping: section][mapping: "lsa-timers"]["minimum-interval"] = .scalar(found[0] + "ms")
            },
            Rule("timers lsa min-arrival *") { r, found in
                r.draft.sections[mapping: section][mapping: "lsa-timers"]["minimum-arrival"] = .scalar(found[0] + "ms")
            },
            Rule("graceful-restart helper enable ...") { r, _ in r.needless("neighbors that restart are helped") },
            Rule("graceful-restart helper-only ...") { r, _ in r.needless("neighbors that restart are helped") },
            Rule("graceful-restart ...") { r, _ in r.needless("the pair makes it needless") },
        ]
    }

    private mutating func distances(_ section: String, _ words: [String]) throws {
        var rest = words[...]
        while let kind = rest.popFirst(), let value = rest.popFirst() {
            guard ["intra-area", "inter-area", "external"].contains(kind) else { throw Unmapped("'\(kind)' is no kind of route") }
            draft.sections[mapping: section][mapping: "distance"][kind] = .scalar(value)
        }
    }

    static let ospfRules: [Rule] =
        [
            Rule("ospf router-id *") { $0.draft.sections[mapping: "ospf"]["router-id"] = .scalar($1[0]) },
            Rule("router-id *") { $0.draft.sections[mapping: "ospf"]["router-id"] = .scalar($1[0]) },
            Rule("network * area *") { r, found in r.ospfNetworks.append((r.line, r.statement, found[0], r.areaID(found[1]))) },
            Rule("passive-interface default") { r, _ in r.interfaceSettings.isPassiveByDefault.insert("ospf") },
            Rule("passive-interface *") { r, found in r.interfaceSettings.change("ospf", found[0]) { $0.isPassive = true } },
            Rule("no passive-interface *") { r, found in
                r.interfaceSettings.change("ospf", found[0]) { $0.settings["passive"] = Node(false) }
            },
            Rule("ospf rfc1583compatibility") { r, _ in r.draft.sections[mapping: "ospf"]["rfc1583-compatibility"] = Node(true) },
            Rule("compatible rfc1583") { r, _ in r.draft.sections[mapping: "ospf"]["rfc1583-compatibility"] = Node(true) },
            Rule("max-metric router-lsa administrative") { r, _ in
                r.draft.sections[mapping: "ospf"][mapping: "stub-router"]["always"] = Node(true)
            },
            Rule("max-metric router-lsa on-startup *") { r, found in
                r.draft.sections[mapping: "ospf"][mapping: "stub-router"]["on-startup"] = .scalar(found[0] + "s")
            },
            Rule("area * authentication message-digest") { r, _ in r.needless("the keys of its interfaces say it") },
            Rule("area * authentication") { r, _ in r.needless("the passwords of its interfaces say it") },
            Rule("capability opaque") { r, _ in r.needless("opaque LSAs are flooded") },
            Rule("ospf opaque-lsa") { r, _ in r.needless("opaque LSAs are flooded") },
            Rule("ospf abr-type *") { r, found in
                if found[0] != "cisco" && found[0] != "ibm" { throw Unmapped("an area border router is one of RFC 3509") }
                r.needless("an area border router is one of RFC 3509")
            },
        ] + areaRules("ospf")

    static let ospf6Rules: [Rule] =
        [
            Rule("ospf6 router-id *") { $0.draft.sections[mapping: "ospfv3"]["router-id"] = .scalar($1[0]) },
            Rule("router-id *") { $0.draft.sections[mapping: "ospfv3"]["router-id"] = .scalar($1[0]) },
            Rule("interface * area *") { r, found in r.interfaceSettings.change("ospfv3", found[0]) { $0.area = found[1] } },
            Rule("stub-router administrative") { r, _ in
                r.draft.sections[mapping: "ospfv3"][mapping: "stub-router"]["always"] = Node(true)
            },
        ] + areaRules("ospfv3")

    // MARK: IS-IS

    static let isisRules: [Rule] = [
        Rule("net *") { r, found in
            let nets = r.draft.sections[mapping: "isis"][list: "nets"] + [.scalar(found[0])]
            r.draft.sections[mapping: "isis"][list: "nets"] = nets
        },
        Rule("is-type *") { $0.draft.sections[mapping: "isis"]["levels"] = .scalar(try levels($1[0])) },
        Rule("metric-style *") { $0.draft.sections[mapping: "isis"]["metric-style"] = .scalar($1[0]) },
        Rule("hostname dynamic") { r, _ in r.needless("the host name is announced") },
        Rule("dynamic-hostname") { r, _ in r.needless("the host name is announced") },
        Rule("no hostname dynamic") { r, _ in r.draft.sections[mapping: "isis"]["hostname"] = .text("") },
        Rule("set-overload-bit") { r, _ in r.draft.sections[mapping: "isis"]["overload"] = Node(true) },
        Rule("set-overload-bit on-startup *") { r, found in
            r.draft.sections[mapping: "isis"][mapping: "overload"]["on-startup"] = .scalar(found[0] + "s")
        },
        Rule("attached-bit send") { r, _ in r.draft.sections[mapping: "isis"][mapping: "attached-bit"]["send"] = Node(true) },
        Rule("no attached-bit send") { r, _ in r.draft.sections[mapping: "isis"][mapping: "attached-bit"]["send"] = Node(false) },
        Rule("set-attached-bit") { r, _ in r.draft.sections[mapping: "isis"][mapping: "attached-bit"]["send"] = Node(true) },
        Rule("attached-bit receive ignore") { r, _ in
            r.draft.sections[mapping: "isis"][mapping: "attached-bit"]["receive"] = Node(false)
        },
        Rule("lsp-mtu *") { $0.draft.sections[mapping: "isis"][mapping: "lsp"]["mtu"] = .scalar($1[0]) },
        Rule("max-lsp-lifetime ...") { r, found in
            r.draft.sections[mapping: "isis"][mapping: "lsp"]["lifetime"] = .scalar((found.last ?? "1200") + "s")
        },
        Rule("lsp-refresh-interval ...") { r, found in
            r.draft.sections[mapping: "isis"][mapping: "lsp"]["refresh"] = .scalar((found.last ?? "900") + "s")
        },
        Rule("lsp-gen-interval ...") { r, found in
            r.draft.sections[mapping: "isis"][mapping: "lsp"]["maximum-delay"] = .scalar((found.last ?? "5") + "s")
            r.changed("own LSPs are held back step by step, at most for so long")
        },
        Rule("spf-interval ...") { r, found in
            r.draft.sections[mapping: "isis"][mapping: "spf-timers"]["long-delay"] = .scalar((found.last ?? "5") + "s")
            r.changed("the delays are those of RFC 8405")
        },
        Rule("spf-delay-ietf init-delay * short-delay * long-delay * holddown * time-to-learn *") { r, found in
            let keys = ["initial-delay", "short-delay", "long-delay", "hold-down", "time-to-learn"]
            for (key, value) in zip(keys, found) {
                r.draft.sections[mapping: "isis"][mapping: "spf-timers"][key] = .scalar(value + "ms")
            }
        },
        Rule("area-password md5 * ...") { $0.password("level-1", "hmac-md5", $1) },
        Rule("area-password clear * ...") { $0.password("level-1", "clear-text", $1) },
        Rule("domain-password md5 * ...") { $0.password("level-2", "hmac-md5", $1) },
        Rule("domain-password clear * ...") { $0.password("level-2", "clear-text", $1) },
        Rule("topology ipv6-unicast") { r, _ in r.draft.sections[mapping: "isis"]["multi-topology"] = Node(true) },
        Rule("topology standard") { r, _ in r.needless("the standard topology is always there") },
        Rule("topology ipv4-unicast") { r, _ in r.needless("the standard topology is always there") },
        Rule("log-adjacency-changes") { r, _ in r.needless("they are always told of") },
        Rule("redistribute ipv4 * ...") { try $0.redistribute($1[0], Array($1.dropFirst()), into: "isis") },
        Rule("redistribute ipv6 * ...") { r, found in
            try r.redistribute(found[0], Array(found.dropFirst()), into: "isis")
            r.changed("redistribution is of both families; a policy with a family keeps one out")
        },
        Rule("purge-originator") { r, _ in r.needless("who purges says so") },
    ]

    private mutating func password(_ level: String, _ algorithm: String, _ found: [String]) {
        var value = Mapping()
        value[list: "keys"] = [.mapping(Mapping(["algorithm": .scalar(algorithm), "secret": .text(found[0])]))]
        draft.sections[mapping: "isis"][mapping: "authentication"][level] = .mapping(value)
        if !found.contains("authenticate") { draft.sections[mapping: "isis"][mapping: "authentication"]["snp"] = Node(false) }
    }

    // MARK: RIP

    private var ripSection: String { context == .ripng ? "ripng" : "rip" }

    static let ripRules: [Rule] = [
        Rule("version 2") { r, _ in r.needless("version 2 is what is spoken") },
        Rule("version 1") { _, _ in throw Unmapped("say it at the interfaces: send and receive") },
        Rule("network *") { r, found in
            let section = r.ripSection
            if found[0].contains("/") {
                r.ripNetworks.append((r.line, r.statement, section, found[0]))
            } else {
                r.interfaceSettings.change(section, found[0]) { $0.settings = $0.settings }
            }
        },
        Rule("neighbor *") { r, found in r.ripNeighbors.append((r.line, r.statement, found[0])) },
        Rule("passive-interface default") { r, _ in r.interfaceSettings.isPassiveByDefault.insert(r.ripSection) },
        Rule("passive-interface *") { r, found in r.interfaceSettings.change(r.ripSection, found[0]) { $0.isPassive = true } },
        Rule("no passive-interface *") { r, found in
            r.interfaceSettings.change(r.ripSection, found[0]) { $0.settings["passive"] = Node(false) }
        },
        Rule("default-metric *") { r, found in r.draft.sections[mapping: r.ripSection]["default-metric"] = .scalar(found[0]) },
        Rule("default-information originate") { r, _ in r.draft.sections[mapping: r.ripSection]["default-originate"] = Node(true)
        },
        Rule("redistribute * ...") { r, found in try r.redistribute(found[0], Array(found.dropFirst()), into: r.ripSection) },
        Rule("distance *") { r, found in r.draft.sections[mapping: r.ripSection]["distance"] = .scalar(found[0]) },
        Rule("timers basic * * *") { r, found in
            for (key, value) in zip(["update", "timeout", "garbage"], found) {
                r.draft.sections[mapping: r.ripSection][mapping: "timers"][key] = .scalar(value + "s")
            }
        },
        Rule("allow-ecmp ...") { r, _ in r.needless("equal routes share the load") },
        Rule("route *") { _, _ in throw Unmapped("make a static route and redistribute it") },
    ]
}
