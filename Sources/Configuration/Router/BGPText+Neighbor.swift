import BFD
import BGP
import Engine
import Policy
import Wire

/// What can be said of a neighbour.
extension BGPText {
    // MARK: neighbours

    static let foreign = [
        "md5": "password", "md5-key": "password", "hold-time": "timers: {hold: N}", "hold": "timers: {hold: N}",
        "keepalive": "timers: {hold: N}; keepalives go every third of the hold time", "ebgp-multihop": "multihop",
        "remote-asn": "remote-as", "peer-as": "remote-as", "as": "remote-as", "update-source": "local-address",
        "source": "local-address", "neighbor": "address", "peer": "address", "group": "peer-group", "gtsm": "ttl-security",
        "import-policy": "import", "export-policy": "export", "maximum-prefix": "max-prefix",
        "maximum-paths": "max-paths", "afi-safi": "families",
        "address-families": "families", "disabled": "shutdown: true", "enabled": "shutdown: true or false",
        "allowas-in": "allow-as-in", "disable-connected-check": "multihop: 1", "route-map": "import or export",
        "connect-retry": "timers: {connect-retry: N}",
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
    static let addPathHint = "families: {ipv4-unicast: {add-path: {receive: true, send: all}}}"
    static let extendedNextHopHint = "families: {ipv4-unicast: {extended-next-hop: true}}"

    /// Everything of a neighbour but its address.
    /// - Parameter groups: `nil`: this is one.
    func neighbor(_ bgp: BGPConfiguration, _ groups: [String]?) -> Section<NeighborConfiguration> {
        let remote = Setting<NeighborConfiguration>(
            "remote-as", \.remoteAS, remoteAS(bgp.routerAS), "Its AS; internal: our own. Here or in the group.")
        let policy = policyNames
        var usual = NeighborConfiguration(address: .v4(.any), remoteAS: .zero)
        usual.gracefulRestart = bgp.gracefulRestart
        return Section(usual) {
            if let groups {
                membership(groups)
                remote.required("write the AS number or internal")
            } else {
                remote
            }
            Setting("description", \.description, .text(0...255, "a description"), "For people.")
            Setting(
                "local-address", \.localAddress, .address,
                "One of the router's; the one on the network that reaches the neighbor otherwise.")
            Setting("port", \.port, .number(1...65535, "a port"), "To connect to.")
            familySettings(isOfGroup: groups == nil)
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
            Setting(
                "allow-as-in", \.ownAS, Self.ownAS,
                "How often our own AS may be in a received path; origin: any number of times if the route began there.")
            Setting("local-as", in: \.localAS, "Another AS than the router's towards an external neighbor (RFC 7705).") { _ in
                localAS
            }
            Setting("enforce-first-as", \.enforceFirstAS, .flag, "RFC 4271 §6.3; false towards route servers.")
            Setting(
                "role", \.role, .one(of: PeeringRole.allCases),
                "What we are to an external neighbor (RFC 9234): provider if it is our customer.")
            Setting("role-strict", \.roleStrict, .flag, "No session with a neighbor that does not say its role.")
            Setting("send-communities", \.sendCommunities, .flag, "Of all kinds.")
            defaultOriginate
            Setting(
                "advertisement-interval", \.advertisementInterval, .seconds(0...600, unit: ""),
                "Between two rounds of changes (RFC 4271 §9.2.1.1); what comes meanwhile goes out together.")
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

    func remoteAS(_ routerAS: ASNumber) -> Kind<ASNumber> {
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
    var policyNames: Kind<[String]> {
        var kind = PolicyText.names(definitions)
        kind.read = { [read = kind.read] field in
            let names = read(field)
            if let names, looked.note(names) { PolicyPlace.bgp.check(PolicyUse(names), definitions, field) }
            return names
        }
        return kind
    }

    var shutdown: Kind<String?> {
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

    var localAS: Section<LocalASConfiguration> {
        let number = Kind<ASNumber>.asNumber
        return Section(
            LocalASConfiguration(.zero), foreign: ["asn": "as", "number": "as", "no-prepend-as": "no-prepend"],
            short: .init(values: number.values) { field, local in
                guard let value = number.read(field) else { return false }
                local.asNumber = value
                return true
            }
        ) {
            Setting("as", \.asNumber, number, "What we are to the neighbor.").required()
            Setting("no-prepend", \.noPrepend, .flag, "It is not put in front of paths that the neighbor sends.")
            Setting("replace-as", \.replacesAS, .flag, "It stands in place of the router's own in paths that the neighbor gets.")
            Setting("dual-as", \.dualAS, .flag, "The neighbor may know us by the router's own as well.")
        }
    }

    private var defaultOriginate: Setting<NeighborConfiguration> {
        var policy = Kind<String>.known("policy", definitions.policyNames)
        policy.read = { [read = policy.read] field in
            let name = read(field)
            if let name, looked.note([name]) { PolicyPlace.bgp.check(PolicyUse([name]), definitions, field) }
            return name
        }
        var setting = Setting<NeighborConfiguration>(
            "default-originate", in: \.ownDefault, "A default route for this neighbor: true, or more of it."
        ) { _ in
            Section(
                DefaultRouteConfiguration(), foreign: ["route-map": "policy", "condition": "when", "if": "when"],
                short: .init(values: "true or false") { field, _ in field.flag() ?? false }
            ) {
                Setting("policy", \.policy, policy, "One that may reject it, or sets what it goes with.")
                Setting(
                    "when", \.condition, .prefix,
                    "Only while there is a best path to exactly this prefix, and only in its family.")
            }
        }
        let write = setting.write
        setting.write = { neighbor, writer in
            switch neighbor.ownDefault {
            case nil: writer.line("default-originate", "false")
            case DefaultRouteConfiguration(): writer.line("default-originate", "true")
            default: write(neighbor, &writer)
            }
        }
        return setting
    }

    private static var ownAS: Kind<OwnAS> {
        let number = Kind<UInt8>.number(0...10, "a number of times, or origin,")
        return Kind(
            values: "\(number.values) or origin", words: ["origin"],
            read: { field in
                if field.scalar == "origin" { return .asOrigin }
                return number.read(field).map { .times($0) }
            },
            text: { if case .times(let count) = $0 { "\(count)" } else { "origin" } })
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

    var timers: Section<SessionTimersConfiguration> {
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
}

extension NeighborConfiguration {
    /// `nil`: it is not shut down; else RFC 9003's text for the neighbour, which may be empty.
    fileprivate var shutdown: String? {
        get { isShutdown ? shutdownMessage : nil }
        set { (isShutdown, shutdownMessage) = (newValue != nil, newValue ?? "") }
    }
}

/// How often our own AS may be in a received path.
private enum OwnAS: Equatable {
    case times(UInt8)
    case asOrigin
}

extension NeighborConfiguration {
    fileprivate var ownAS: OwnAS {
        get { allowsOwnOrigin ? .asOrigin : .times(allowASIn) }
        set {
            allowsOwnOrigin = newValue == .asOrigin
            if case .times(let count) = newValue { allowASIn = count } else { allowASIn = 0 }
        }
    }
}

extension NeighborConfiguration {
    /// `nil`: there is none.
    fileprivate var ownDefault: DefaultRouteConfiguration? {
        get { defaultOriginate ? defaultRoute : nil }
        set { (defaultOriginate, defaultRoute) = (newValue != nil, newValue ?? DefaultRouteConfiguration()) }
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
