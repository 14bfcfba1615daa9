import BFD
import BGP
import Engine
import Policy
import Wire

/// The `bgp` section.
struct BGPText {
    let networks: ConnectedNetworks
    let staticRoutes: [StaticRouteConfiguration]
    let definitions: PolicyDefinitions
    let bfd: BFDConfiguration?
    /// Lists of policies that were looked at: many neighbors have the same.
    private let looked = Seen<[String]>()

    static let neighborsMaximum = 4_096
    static let networksMaximum = 65_536

    init(
        networks: ConnectedNetworks, staticRoutes: [StaticRouteConfiguration], definitions: PolicyDefinitions,
        bfd: BFDConfiguration?
    ) {
        self.networks = networks
        self.staticRoutes = staticRoutes
        self.definitions = definitions
        self.bfd = bfd
    }

    var section: Section<BGPConfiguration> {
        Section(
            BGPConfiguration(routerAS: .zero, routerID: RouterID(raw: 1)),
            foreign: [
                "local-as": "as", "asn": "as", "neighbours": "neighbors", "neighbor": "neighbors", "groups": "peer-groups",
                "ebgp-requires-policy": "require-policy", "network": "networks",
                "local-preference": "default-local-preference", "cluster": "cluster-id", "rr-cluster-id": "cluster-id",
                "client-to-client": "client-to-client-reflection",
            ].merging(GracefulRestartText.foreign) { own, _ in own }
        ) {
            Setting("as", \.routerAS, .asNumber, "The router's own.").required()
            Setting("router-id", \.routerID, .routerID, "Like an address, not 0.0.0.0 (RFC 6286 §2.1).").required()
            Setting(
                "require-policy", \.ebgpRequiresPolicy, .flag,
                "RFC 8212: an external neighbor without policy gets and gives nothing.")
            Setting(
                "default-local-preference", \.defaultLocalPreference, .number(0...UInt32.max),
                "Of routes to which no policy gives one.")
            Setting("cluster-id", \.clusterID, .routerID, "Of which we are a reflector (RFC 4456 §7); the router id otherwise.")
            Setting(
                "client-to-client-reflection", \.clientToClientReflection, .flag,
                "False where clients have sessions with each other.")
            Setting(
                "graceful-restart", in: \.gracefulRestart,
                "Of neighbors, and of the router itself where both controllers were away (RFC 4724)."
            ) { _ in GracefulRestartText.process }
            Setting("distance", in: \.distances, "Administrative distances.") { _ in
                Section(DistanceConfiguration(), isWhole: true) {
                    Setting("external", \.external, .number(1...255), "Of routes of external neighbors.")
                    Setting("internal", \.internal, .number(1...255), "Of routes of internal neighbors.")
                    Setting("local", \.local, .number(1...255), "Of routes that the router originates.")
                }
            }
            Setting("networks", each: \.networks, atMost: Self.networksMaximum, "Routes that the router originates.") { _ in
                network
            }
            groups
            neighbors
        }
    }

    // MARK: networks

    private var network: Section<OriginatedNetwork> {
        let prefix = Kind<IPPrefix>.prefix.once { "\($0) is originated twice" }
        let usual = OriginatedNetwork(prefix: .v4(IPv4Prefix(.any, 0)))
        return Section(
            usual, foreign: ["community": "communities", "metric": "med"],
            short: .init(values: prefix.values) { field, network in
                guard let value = prefix.read(field) else { return false }
                network.prefix = value
                return true
            } text: { network in
                network == OriginatedNetwork(prefix: network.prefix) ? prefix.text(network.prefix) : nil
            }
        ) {
            Setting("prefix", \.prefix, prefix, "What is originated.").required()
            Setting("next-hop", \.nextHop, .address, "For internal neighbors; our own address otherwise.")
            Setting("med", \.med, .number(0...UInt32.max), "MULTI_EXIT_DISC.")
            Setting("communities", \.communities, .list(atMost: 255, .community), "RFC 1997.")
            Setting("large-communities", \.largeCommunities, .list(atMost: 255, .largeCommunity), "RFC 8092.")
        } check: { network, fields in
            if let nextHop = network.nextHop, nextHop.family != network.prefix.family {
                fields["next-hop"]?.error("\(nextHop) is not of the family of \(network.prefix)")
            }
        }
    }

    // MARK: neighbours

    private static let foreign = [
        "md5": "password", "md5-key": "password", "hold-time": "timers: {hold: N}", "hold": "timers: {hold: N}",
        "keepalive": "timers: {hold: N}; keepalives go every third of the hold time", "ebgp-multihop": "multihop",
        "remote-asn": "remote-as", "peer-as": "remote-as", "as": "remote-as", "update-source": "local-address",
        "source": "local-address", "neighbor": "address", "peer": "address", "group": "peer-group", "gtsm": "ttl-security",
        "import-policy": "import", "export-policy": "export", "maximum-prefix": "max-prefix",
        "maximum-paths": "max-paths", "afi-safi": "families",
        "address-families": "families", "disabled": "shutdown: true", "enabled": "shutdown: true or false",
        "allowas-in": "allow-as-in", "route-map": "import or export", "connect-retry": "timers: {connect-retry: N}",
        "secondary": "view: best-accepted", "add-path": addPathHint, "add-paths": addPathHint, "addpath": addPathHint,
        "addpath-tx-all-paths": "families: {ipv4-unicast: {add-path: {send: all}}}",
        "addpath-tx-best-selected": "families: {ipv4-unicast: {add-path: {send: N}}}",
        "addpath-rx": "families: {ipv4-unicast: {add-path: {receive: true}}}",
        "disable-addpath-rx": "nothing; several paths are received only with add-path: {receive: true}",
        "extended-nexthop": extendedNextHopHint, "extended-next-hop": extendedNextHopHint,
        "capability-extended-nexthop": extendedNextHopHint,
        "override-as": "as-override", "rr-client": "route-reflector-client", "route-reflector": "route-reflector-client",
        "next-hop-self-force": "next-hop-self-reflected", "local-role": "role", "strict-mode": "role-strict",
        "require-roles": "role-strict",
    ].merging(GracefulRestartText.foreign) { own, _ in own }
    private static let addPathHint = "families: {ipv4-unicast: {add-path: {receive: true, send: all}}}"
    private static let extendedNextHopHint = "families: {ipv4-unicast: {extended-next-hop: true}}"

    private var groups: Setting<BGPConfiguration> {
        Setting("peer-groups", values: "NAME: …", "What neighbors have in common: any key of a neighbor but address.") {
            field, bgp in
            let section = group(bgp)
            for (_, value) in field.named("name for a peer group") {
                // Read for its problems alone: a group that nobody uses must be right, too.
                var neighbor = section.usual
                _ = section.read(value, into: &neighbor)
            }
        }
    }

    private var neighbors: Setting<BGPConfiguration> {
        func section(_ bgp: BGPConfiguration, _ groups: [String]) -> Section<NeighborConfiguration> {
            let settings = neighbor(bgp, groups)
            return Section(settings.usual, foreign: Self.foreign) {
                Setting("address", \.address, .address.once { "there is another neighbor \($0)" }, "Of the neighbor.").required()
                settings.settings
            } check: { neighbor, fields in
                if fields["families"] == nil { neighbor.families = families([RouteFamily(neighbor.address.family)], fields) }
                check(neighbor, fields, bgp)
            }
        }
        var setting = Setting<BGPConfiguration>(
            "neighbors", each: \.neighbors, atMost: Self.neighborsMaximum,
            "What a neighbor does not say itself comes from its peer group."
        ) { section($0, []) }
        setting.read = { fields, bgp in
            guard let list = fields["neighbors"]?.list(atMost: Self.neighborsMaximum) else { return false }
            let groups = fields["peer-groups"].flatMap { MappingReader(anyKeysOf: $0)?.entries } ?? []
            let known = Dictionary(
                groups.filter { ($0.field.isMapping || $0.field.isNothing) && Field.nameProblem($0.key) == nil }
                    .map { ($0.key, $0.field) },
                uniquingKeysWith: { first, _ in first })
            let section = section(bgp, groups.map(\.key).filter { known[$0] != nil })
            for field in list {
                var neighbor = section.usual
                let group = field.at("peer-group").scalar.flatMap { known[$0] }
                if section.read(field, into: &neighbor, over: group) { bgp.neighbors.append(neighbor) }
            }
            return true
        }
        return setting
    }

    private func group(_ bgp: BGPConfiguration) -> Section<NeighborConfiguration> {
        var hints = Self.foreign
        hints["peer-group"] = "the settings here; a group has no group"
        hints["address"] = "it at the neighbor"
        let settings = neighbor(bgp, nil)
        return Section(settings.usual, foreign: hints) { settings.settings }
    }

    /// Everything of a neighbour but its address.
    /// - Parameter groups: `nil`: this is one.
    private func neighbor(_ bgp: BGPConfiguration, _ groups: [String]?) -> Section<NeighborConfiguration> {
        let remote = Setting<NeighborConfiguration>(
            "remote-as", \.remoteAS, remoteAS(bgp.routerAS), "Its AS; internal: our own. Here or in the group.")
        let policy = policyNames
        var usual = NeighborConfiguration(address: .v4(.any), remoteAS: .zero)
        usual.gracefulRestart = bgp.gracefulRestart
        return Section(usual) {
            if let groups {
                Setting("peer-group", values: "the name of a peer group", words: groups, "What it has in common with others.") {
                    field, _ in
                    _ = Kind<String>.known("peer group", groups).read(field)
                }
                remote.required("write the AS number or internal")
            } else {
                remote
            }
            Setting("description", \.description, .text(0...255, "a description"), "For people.")
            Setting(
                "local-address", \.localAddress, .address,
                "One of the router's; the one on the network that reaches the neighbor otherwise.")
            Setting("port", \.port, .number(1...65535, "a port"), "To connect to.")
            familySettings
            Setting("import", \.importPolicies, policy, "A policy or a list of them, tried in order.")
            Setting("export", \.exportPolicies, policy, "Likewise.")
            // RFC 2385 §4.5 leaves the length open; Linux and the others stop at 80.
            Setting("password", \.md5Key, .secret(1...80, "a password"), "TCP MD5 (RFC 2385).")
            Setting(
                "ttl-security", \.ttlSecurityHops, .number(1...254, "a number of hops"),
                "At most so many hops away (RFC 5082).")
            Setting(
                "multihop", \.multihop, .number(1...255, "a TTL"),
                "An external neighbor not on a connected network; not with ttl-security.")
            Setting("timers", in: \.timers, "Of the session.") { _ in timers }
            Setting("bfd", \.bfd, .bfdWish(bfd), "The session ends when BFD says that the path is down.")
            Setting("shutdown", \.shutdown, shutdown, "A text is for the neighbor (RFC 9003).")
            Setting("passive", \.passive, .flag, "Never connect, only accept.")
            Setting("next-hop-self", \.nextHopSelf, .flag, "Our own address as next hop for internal neighbors.")
            Setting(
                "next-hop-self-reflected", \.nextHopSelfReflected, .flag, "The same for what is reflected; with next-hop-self.")
            Setting("route-reflector-client", \.isReflectorClient, .flag, "An internal neighbor, of our cluster (RFC 4456).")
            Setting(
                "remove-private-as", \.privateAS, Self.privateAS,
                "Private AS numbers (RFC 6996) leave the path; replace: ours stands for each.")
            Setting("as-override", \.overridesAS, .flag, "Our AS in place of the external neighbor's in the path it gets.")
            Setting("allow-as-in", \.allowASIn, .number(0...10), "How often our own AS may be in a received path.")
            Setting("enforce-first-as", \.enforceFirstAS, .flag, "RFC 4271 §6.3; false towards route servers.")
            Setting(
                "role", \.role, .one(of: PeeringRole.allCases),
                "What we are to an external neighbor (RFC 9234): provider if it is our customer.")
            Setting("role-strict", \.roleStrict, .flag, "No session with a neighbor that does not say its role.")
            Setting("send-communities", \.sendCommunities, .flag, "Of all kinds.")
            Setting("default-originate", \.defaultOriginate, .flag, "A default route for this neighbor.")
            Setting("route-refresh", \.routeRefresh, .flag, "RFC 2918, and RFC 7313 where the neighbor speaks it.")
            Setting(
                "graceful-restart", in: \.gracefulRestart, "With this neighbor; what it does not say comes from the process."
            ) { _ in GracefulRestartText.neighbor(bgp.gracefulRestart) }
            Setting("extended-messages", \.extendedMessages, .flag, "RFC 8654.")
            Setting(
                "view", \.view, .word,
                "The path that it gets: the best if export lets it pass, or the best that export lets pass (RFC 7947 §2.3).")
            Setting(
                "max-paths", \.maximumPaths, Self.limit("a number of paths"),
                "All families together, rejected ones too; \(NeighborConfiguration.pathsDefault) otherwise.")
        }
    }

    private func remoteAS(_ routerAS: ASNumber) -> Kind<ASNumber> {
        var kind = Kind<ASNumber>.asNumber
        kind.values += " or internal"
        kind.words = ["internal"]
        kind.read = { [read = kind.read] field in
            switch field.scalar {
            // Unless our own was wrong: then nothing is concluded from it.
            case "internal": routerAS == .zero ? nil : routerAS
            case "external": field.wrong("write the neighbor's AS number instead of external")
            default: read(field)
            }
        }
        return kind
    }

    /// What it names is looked at once more where routes of BGP are concerned.
    private var policyNames: Kind<[String]> {
        var kind = PolicyText.names(definitions)
        kind.read = { [read = kind.read] field in
            let names = read(field)
            if let names, looked.note(names) { PolicyPlace.bgp.check(PolicyUse(names), definitions, field) }
            return names
        }
        return kind
    }

    private var shutdown: Kind<String?> {
        Kind(
            values: "true, false or a text", words: ["true", "false"],
            read: { field in
                switch field.scalar {
                case "true": .some("")
                case "false": .some(nil)
                // RFC 9003 §2
                default: field.text(1...255, "true, false or a text").map { .some($0) }
                }
            }, text: { $0.map { $0.isEmpty ? "true" : YAMLWriter.scalar($0) } ?? "false" })
    }

    private static var privateAS: Kind<PrivateAS> {
        Kind(
            values: "true, false or replace", words: ["true", "false", "replace"],
            read: { field in
                // What others call it: every private number goes here, whatever stands beside it.
                if field.scalar == "all" { return .removed }
                return field.choice(["true", "false", "replace"]).flatMap(PrivateAS.init)
            }, text: \.rawValue)
    }

    private var timers: Section<SessionTimersConfiguration> {
        Section(
            SessionTimersConfiguration(),
            foreign: [
                "hold-time": "hold", "keepalive": "only hold; keepalives go every third of what was agreed",
                "connect": "connect-retry",
            ]
        ) {
            Setting(
                "hold", \.hold, .seconds(0...65535, unit: ""), "0 or at least 3s. Keepalives go every third of what was agreed.")
            Setting("connect-retry", \.connectRetry, .seconds(1...65535, unit: ""), "Between attempts to connect.")
            Setting("idle-hold", \.idleHold, .seconds(0...3600, unit: ""), "Pause after a failure, doubles up to the maximum.")
            Setting("idle-hold-maximum", \.idleHoldMaximum, .seconds(0...3600, unit: ""), "At least idle-hold.")
            Setting("delay-open", \.delayOpen, .seconds(0...240, unit: ""), "RFC 4271 §8.1.1 DelayOpenTime.")
        } check: { timers, fields in
            // RFC 4271 §4.2
            if timers.hold == 1 || timers.hold == 2 { fields["hold"]?.error("a hold time is 0 or at least 3s") }
            if timers.idleHoldMaximum < timers.idleHoldMinimum {
                fields["idle-hold-maximum"]?.error("this is below idle-hold, \(timers.idleHoldMinimum)s")
            }
        }
    }

    // MARK: families

    /// A number, or `none` for no limit, which is something else than to say nothing.
    private static func limit(_ wanted: String) -> Kind<UInt32> {
        let number = Kind<UInt32>.number(1...(UInt32.max - 1), "\(wanted), or none,")
        return Kind(
            values: "\(number.values) or none", words: ["none"],
            read: { $0.scalar == "none" ? FamilyConfiguration.unlimited : number.read($0) },
            text: { $0 == FamilyConfiguration.unlimited ? "none" : "\($0)" })
    }

    private var familySettings: [Setting<NeighborConfiguration>] {
        let words = RouteFamily.configurable.map(\.description)
        let atLeastOne = "at least one family is needed: \(Spelling.choice(words))"
        let list = Kind<RouteFamily>.one(of: RouteFamily.configurable)
        var families = Setting<NeighborConfiguration>(
            key: "families", sentence: "That of the address otherwise; the long form says more of each.",
            values: "a list of \(list.values), or FAMILY: …"
        ) { fields, neighbor in
            guard let field = fields["families"] else { return false }
            guard field.isMapping else {
                let once = list.once { "\($0) is written twice" }
                let entries = field.list(atMost: 16) ?? []
                if entries.isEmpty { field.error(atLeastOne) }
                neighbor.families = self.families(entries.compactMap(once.read), fields)
                return true
            }
            guard let mapping = MappingReader(field, keys: words) else { return false }
            if mapping.entries.isEmpty { field.error(atLeastOne) }
            neighbor.families = mapping.entries.compactMap { name, value in
                guard let known = RouteFamily.configurable.first(where: { $0.description == name }) else { return nil }
                var result = self.families([known], fields)[0]
                _ = Self.family.read(value, into: &result)
                if result.maximumPrefixes == FamilyConfiguration.unlimited,
                    MappingReader(anyKeysOf: value)?.entries.contains(where: { Self.ofLimit.contains($0.key) }) == true
                {
                    value.error("with 'max-prefix: none' there is no limit of which these could say something")
                }
                if result.extendedNextHop, !known.canExtendNextHop {
                    value.at("extended-next-hop").error("\(known) has IPv6 next hops without it; it is for families of IPv4")
                }
                return result
            }
            return true
        }
        families.words = words
        families.nested = { _ in Self.family.description }
        families.differs = { neighbor, _ in
            neighbor.families != [FamilyConfiguration(RouteFamily(neighbor.address.family))]
        }
        families.write = { neighbor, writer in
            if neighbor.families.allSatisfy({ $0 == FamilyConfiguration($0.family) }) {
                return writer.list("families", neighbor.families.map { "\($0.family)" })
            }
            writer.section("families") { writer in
                for family in neighbor.families {
                    if family == FamilyConfiguration(family.family) {
                        writer.line("\(family.family)", "{}")
                    } else {
                        writer.section("\(family.family)") { Self.family.write(family, &$0) }
                    }
                }
            }
        }
        let limit = Setting<NeighborConfiguration>(
            "max-prefix", values: Self.limit("").values, words: ["none"],
            "Prefixes of each family before policy (RFC 4271 §6.7); the default of the kind of session otherwise."
        ) { field, _ in _ = Self.limit("a number of prefixes").read(field) }
        return [families, limit]
    }

    /// With the limit that the neighbour has for each.
    private func families(_ families: [RouteFamily], _ fields: MappingReader) -> [FamilyConfiguration] {
        let limit = fields["max-prefix"].flatMap(Self.limit("a number of prefixes").read)
        return families.map { family in
            var result = FamilyConfiguration(family)
            if let limit { result.maximumPrefixes = limit }
            return result
        }
    }

    /// What says something of the limit of a family.
    private static let ofLimit: Set<String> = ["warning", "warning-only", "restart"]

    private static var family: Section<FamilyConfiguration> {
        Section(
            FamilyConfiguration(.ipv4Unicast),
            foreign: [
                "add-paths": "add-path: {receive: true, send: all}", "addpath": "add-path: {receive: true, send: all}",
                "addpath-tx-all-paths": "add-path: {send: all}", "addpath-tx-best-selected": "add-path: {send: N}",
                "addpath-rx": "add-path: {receive: true}", "disable-addpath-rx": "add-path: {receive: false}",
                "extended-nexthop": "extended-next-hop", "capability-extended-nexthop": "extended-next-hop",
                "secondary": "view: best-accepted at the neighbor", "view": "it at the neighbor",
                "stale-time": "long-lived-stale-time", "long-lived-graceful-restart": "long-lived-stale-time: 1h",
            ]
        ) {
            Setting(
                "max-prefix", \.maximumPrefixes, limit("a number of prefixes"),
                "More end the session with Cease/1.")
            Setting("warning", \.warningPercent, .number(1...100, "per cent"), "At so much of the limit an event warns.")
            Setting("warning-only", \.warningOnly, .flag, "The session goes on.")
            Setting("restart", \.restartMinutes, .minutes(1...65535), "Until the session is tried again; else clear bgp does it.")
            Setting("add-path", in: \.addPath, "Several paths of a prefix, told apart by identifiers (RFC 7911).") { _ in addPath
            }
            Setting(
                "extended-next-hop", \.extendedNextHop, .flag,
                "IPv6 next hops for IPv4 routes, both ways, if the neighbor agrees (RFC 8950).")
            Setting(
                "long-lived-stale-time", \.longLivedStaleTime, longLivedStaleTime,
                "Stale routes are kept for so long as the last resort (RFC 9494); nobody does without a word here.")
        }
    }

    private static var longLivedStaleTime: Kind<UInt32> {
        let time = Kind<UInt32>.seconds(1...0xff_ffff)
        return Kind(
            values: "\(time.values) or none", words: ["none"], read: { $0.scalar == "none" ? 0 : time.read($0) },
            text: { $0 == 0 ? "none" : time.text($0) })
    }

    private static var addPath: Section<AddPathConfiguration> {
        Section(
            AddPathConfiguration(),
            foreign: [
                "rx": "receive", "tx": "send", "both": "receive: true, send: all", "limit": "send: N", "send-max": "send: N",
                "send-path-count": "send: N", "tx-all-paths": "send: all",
            ]
        ) {
            Setting("receive", \.receive, .flag, "Offer to take several; each counts towards the limits.")
            Setting(
                "send", \.send, pathsSent,
                "Offer to send so many at most, the best ones that export lets pass; all: \(AddPathConfiguration.pathsMaximum).")
        }
    }

    private static var pathsSent: Kind<UInt8> {
        let number = Kind<UInt8>.number(2...AddPathConfiguration.pathsMaximum, "a number of paths, all, or none,")
        return Kind(
            values: "\(number.values), all or none", words: ["all", "none"],
            read: { field in
                switch field.scalar {
                case "all": AddPathConfiguration.all
                case "none": 0
                default: number.read(field)
                }
            }, text: { $0 == AddPathConfiguration.all ? "all" : $0 == 0 ? "none" : "\($0)" })
    }

    // MARK: checks

    /// What concerns a neighbour as a whole.
    private func check(_ neighbor: NeighborConfiguration, _ fields: MappingReader, _ bgp: BGPConfiguration) {
        let address = neighbor.address, place = fields["address"] ?? fields.field
        let isExternal = bgp.routerAS != .zero && neighbor.remoteAS != bgp.routerAS
        switch address {
        case .v4(let v4) where v4.isMulticast || v4.isLoopback || v4 == .any || v4 == .broadcast:
            return place.error("\(address) cannot be a neighbor's address")
        case .v6(let v6) where v6.isMulticast || v6.isLoopback || v6 == .any:
            return place.error("\(address) cannot be a neighbor's address")
        case .v6(let v6) where v6.isLinkLocal:
            return place.error("a link-local address does not say on which interface; use a global address of the neighbor")
        default: break
        }
        if networks.isOwn(address) { return place.error("\(address) is the router itself") }
        if neighbor.ttlSecurityHops > 0, neighbor.multihop > 0 {
            (fields["multihop"] ?? place).error("'multihop' and 'ttl-security' exclude each other; ttl-security: N allows N hops")
        }
        let isConnected = networks.interface(reaching: address) != nil
        if !isConnected, isExternal, neighbor.multihop == 0, neighbor.ttlSecurityHops < 2 {
            place.error(
                "\(address) is on no connected network\(networks.hint(address.family)); "
                    + "for a neighbor farther away write multihop: 2 or more")
        } else if !isConnected, !staticRoutes.contains(where: { $0.prefix.contains(address) }) {
            place.warn("no connected network or static route leads to \(address)")
        }
        if let local = neighbor.localAddress, let field = fields["local-address"] {
            if local.family != address.family {
                field.error("\(local) is not of the family of \(address)")
            } else if !networks.isOwn(local) {
                let own = networks.addresses.filter { $0.family == address.family }.prefix(4).map { "\($0)" }
                field.error("\(local) is no address of the router\(own.isEmpty ? "" : "; it has \(own.joined(separator: ", "))")")
            }
        }
        if neighbor.isReflectorClient, isExternal {
            (fields["route-reflector-client"] ?? place)
                .error(
                    "only an internal neighbor is a client (RFC 4456 §6); AS \(neighbor.remoteAS) is not ours, \(bgp.routerAS)")
        }
        if neighbor.overridesAS, !isExternal, bgp.routerAS != .zero {
            (fields["as-override"] ?? place).error("an internal neighbor gets paths as they are; only an external one has this")
        }
        if neighbor.nextHopSelfReflected, !neighbor.nextHopSelf {
            (fields["next-hop-self-reflected"] ?? place).error("'next-hop-self-reflected' needs 'next-hop-self: true'")
        }
        if neighbor.role != nil, !isExternal, bgp.routerAS != .zero {
            (fields["role"] ?? place).error("a role is towards another AS (RFC 9234 §4); this neighbor is internal")
        } else if neighbor.role == nil, neighbor.roleStrict {
            (fields["role-strict"] ?? place).error("'role-strict' needs 'role': what we are to the neighbor")
        }
        GracefulRestartText.check(neighbor, fields, place, isExternal: isExternal)
        for family in neighbor.families where family.family.addressFamily.map({ !networks.hasAddress(of: $0) }) ?? false {
            if family.extendedNextHop, networks.hasAddress(of: .ipv6) { continue }
            (fields["families"] ?? place).warn(
                "no interface has an address of \(family.family), so there is no next hop to announce")
        }
        for family in neighbor.families where family.extendedNextHop && family.family.canExtendNextHop {
            // The routing table has next hops of the prefix's own family (`UnicastFamily.change`).
            (fields["families"] ?? place).warn(
                "routes of \(family.family) with an IPv6 next hop are kept and passed on, but packets are not forwarded by them "
                    + "here; do not put this router in their way (next-hop-self, external neighbors)")
        }
        if isExternal, bgp.ebgpRequiresPolicy, !neighbor.isShutdown {
            let missing = [("import", neighbor.importPolicies.isEmpty), ("export", neighbor.exportPolicies.isEmpty)]
            for (key, isMissing) in missing where isMissing && fields[key] == nil {
                place.warn(
                    "without '\(key)' nothing is \(key == "import" ? "accepted from" : "sent to") this external neighbor "
                        + "(RFC 8212); write \(key): accept-all if that is not wanted")
            }
        }
    }
}

extension NeighborConfiguration {
    /// `nil`: it is not shut down; else RFC 9003's text for the neighbour, which may be empty.
    fileprivate var shutdown: String? {
        get { isShutdown ? shutdownMessage : nil }
        set { (isShutdown, shutdownMessage) = (newValue != nil, newValue ?? "") }
    }
}

private enum PrivateAS: String {
    case kept = "false"
    case removed = "true"
    case replaced = "replace"
}

extension NeighborConfiguration {
    fileprivate var privateAS: PrivateAS {
        get { removePrivateAS ? replacesPrivateAS ? .replaced : .removed : .kept }
        set { (removePrivateAS, replacesPrivateAS) = (newValue != .kept, newValue == .replaced) }
    }
}

extension SessionTimersConfiguration {
    /// The first pause, which the longest is never below.
    fileprivate var idleHold: UInt16 {
        get { idleHoldMinimum }
        set { (idleHoldMinimum, idleHoldMaximum) = (newValue, max(newValue, idleHoldMaximum)) }
    }
}

extension Kind where Value == RouterID {
    fileprivate static var routerID: Kind {
        .parsed("a router id", atMost: 40, { RouterID($0).flatMap { $0.raw == 0 ? nil : $0 } }) {
            "'\($0)' is no router id; write it like an IPv4 address that is not 0.0.0.0"
        }
    }
}
