import ISIS
import Policy
import Records
import Wire

/// The section `isis`.
struct ISISText {
    /// Interfaces of the router; their places are what the configuration names them by.
    let interfaces: [InterfaceConfiguration]
    /// The router's own.
    let hostname: String
    /// Policies that leaking between levels may name.
    let definitions: PolicyDefinitions
    let chains: [KeyChain]

    private static let metrics: ClosedRange<UInt32> = 1...16_777_214
    private static var levels: Kind<ISISLevels> { .choice(["1": .level1, "2": .level2, "1-2": .level1And2]) }

    private var usual: ISISConfiguration {
        var usual = ISISConfiguration(systemID: .zero, areaAddresses: [])
        usual.hostname = hostname
        return usual
    }

    var section: Section<ISISConfiguration> {
        Section(
            usual,
            foreign: [
                "system-id": "net", "area": "net", "is-type": "levels", "level": "levels", "interface": "interfaces",
                "redistribute": "redistribute at the top level", "topology": "multi-topology",
                "area-password": "authentication", "domain-password": "authentication", "lsp-mtu": "lsp: {mtu: N}",
                "set-overload-bit": "overload",
            ]
        ) {
            net
            Setting("levels", \.levels, Self.levels, "Of the router.")
            Setting("hostname", \.hostname, .text(0...255, "a host name"), "RFC 5301; \"\" announces none.")
            Setting(
                "metric-style", \.metricStyle, .choice(["wide": .wide, "narrow": .narrow, "transition": .transition]),
                "RFC 5305; transition sends and understands both.")
            families
            Setting(
                "multi-topology", \.isMultiTopology, .flag, "IPv6 by a topology of its own (RFC 5120); else it follows IPv4.")
            Setting("authentication", in: \.self, "Of LSPs; hellos have theirs at the interface.") { _ in authentication }
            Setting("lsp", in: \.self, "LSPs of this router, and how they are told.") { _ in lsp }
            Setting("spf-timers", in: \.spf, "When routes are calculated (RFC 8405).") { _ in .backoff }
            Setting("overload", in: \.overload, "Others go around this router.") { _ in overload }
            Setting("attached-bit", in: \.attachedBit, "How level 1 finds the way out.") { _ in attachedBit }
            Setting("distance", in: \.self, "Administrative distances.") { _ in distance }
            Setting("maximum-paths", \.maximumPaths, .number(1...64), "Ways that share the load.")
            leaking(
                "leak-up", \.leakingUp, "Level 1 routes in level 2: true, false, or rules of which the first that matches counts."
            )
            leaking("leak-down", \.leakingDown, "Level 2 routes in level 1 (RFC 5302).")
            Setting("summaries", each: \.summaries, atMost: 4096, "One prefix in place of what it covers.") { _ in summary }
            Setting(
                "default-metric", \.redistributionMetric, .number(0...16_777_215),
                "Of redistributed routes to which no policy gives one.")
            Setting("restart-helper", \.isRestartHelper, .flag, "Help neighbors that restart (RFC 5306).")
            Setting(
                "three-way", \.requiresThreeWay, .choice(["optional": false, "required": true]),
                "required: point-to-point neighbors without RFC 5303 stay down.")
            Setting("lifetime-protection", \.lifetimeProtection, .flag, "RFC 7987.")
            Setting("purge-originator", \.purgeOriginator, .flag, "RFC 6232.")
            Setting("limits", in: \.limits, "What others can make this router hold.") { _ in limits }
            Setting("interfaces", each: \.interfaces, atMost: RouterText.interfacesMaximum, "Where it runs.") { interface($0) }
        } check: { isis, _ in
            isis.interfaces.sort { $0.interface < $1.interface }
        }
    }

    private var net: Setting<ISISConfiguration> {
        Setting("net", values: "a network entity title, or up to 3", "Area, system, 00: 49.0001.1921.6800.1001.00.") {
            field, isis in
            var system: SystemID?
            for field in field.list(atMost: 3) ?? [] {
                guard let text = field.text(1...60, "a network entity title") else { continue }
                guard let title = NetworkEntityTitle(text), title.system != .zero else {
                    field.error("'\(text)' is no network entity title; write it like 49.0001.0000.0000.0001.00")
                    continue
                }
                if let system, system != title.system { field.error("all titles must have the system \(system)") }
                system = title.system
                if isis.areaAddresses.contains(title.area) {
                    field.error("area \(title.area) is written twice")
                } else {
                    isis.areaAddresses.append(title.area)
                }
            }
            isis.systemID = system ?? .zero
            isis.areaAddresses.sort()
        }
        .written(when: { _ in true }) { isis, writer in
            writer.list(
                "net",
                isis.areaAddresses.map { YAMLWriter.scalar("\(NetworkEntityTitle(area: $0, system: isis.systemID))") })
        }
        .required("write it like 49.0001.0000.0000.0001.00")
    }

    private var families: Setting<ISISConfiguration> {
        let kind = Kind.list(atMost: 2, Kind<String>.choice(["ipv4": "ipv4", "ipv6": "ipv6"]))
        return Setting("families", values: kind.values, words: kind.words, "Families that take part; both otherwise.") {
            field, isis in
            let words = kind.read(field) ?? []
            if field.list(atMost: 2)?.isEmpty == true { field.error("at least one family is needed: ipv4 or ipv6") }
            isis.isIPv4Enabled = words.contains("ipv4")
            isis.isIPv6Enabled = words.contains("ipv6")
        }
        .written(when: { !$0.isIPv4Enabled || !$0.isIPv6Enabled }) { isis, writer in
            writer.list("families", (isis.isIPv4Enabled ? ["ipv4"] : []) + (isis.isIPv6Enabled ? ["ipv6"] : []))
        }
    }

    // MARK: LSPs and calculation

    private var lsp: Section<ISISConfiguration> {
        Section(usual) {
            Setting(
                "mtu", \.lspMTU, .number(512...9000), "Octets of the largest; less where an interface of the level carries less.")
            Setting("lifetime", \.lspLifetime, .seconds(350...65_535), "MaxAge.")
            Setting("refresh", \.lspRefresh, .seconds(1...65_235), "At least 300 s less than lifetime.")
            Setting("pacing", \.lspPacing, .milliseconds(1...1000), "Between LSPs on an interface.")
            Setting("retransmit", \.lspRetransmit, .seconds(1...600), "Point-to-point: until an LSP is sent again.")
            Setting("psnp-interval", \.psnpInterval, .milliseconds(100...10_000), "For so long acknowledgements are gathered.")
            Setting(
                "initial-delay", \.generation.initialDelay, .milliseconds(0...120_000),
                "Own LSPs that keep changing are held back: first so long,")
            Setting(
                "second-delay", \.generation.secondDelay, .milliseconds(0...120_000),
                "then so long, and from there twice as long each time,")
            Setting("maximum-delay", \.generation.maximumDelay, .milliseconds(0...120_000), "at most so long.")
        } check: { isis, fields in
            if Int(isis.lspRefresh) + 300 > Int(isis.lspLifetime) {
                fields.field.error("refresh must be at least 300 s less than lifetime")
            }
        }
    }

    private var overload: Section<ISISOverload> {
        Section(
            ISISOverload(),
            short: .init(values: "true or false") { field, overload in
                overload.isSet = field.flag() ?? false
                return true
            }
        ) {
            Setting("always", \.isSet, .flag, "The overload bit is set.").always()
            Setting("on-startup", \.onStartup, .startup, "For so long after IS-IS began.")
        }
    }

    private var attachedBit: Section<ISISAttachedBit> {
        Section(ISISAttachedBit(), isWhole: true) {
            Setting("send", \.isSent, .flag, "Set it in level 1 while level 2 reaches another area.")
            Setting("receive", \.isHonored, .flag, "A default route towards the nearest router that sets it.")
        }
    }

    private var distance: Section<ISISConfiguration> {
        let kind = Kind<UInt8>.number(1...255)
        return Section(
            usual, isWhole: true,
            short: .init(values: "\(kind.values) for all") { field, isis in
                guard let all = kind.read(field) else { return false }
                (isis.level1Distance, isis.level2Distance, isis.externalDistance) = (all, all, all)
                return true
            }
        ) {
            Setting("level-1", \.level1Distance, kind, "Of level 1.")
            Setting("level-2", \.level2Distance, kind, "Of level 2.")
            Setting("external", \.externalDistance, kind, "Of routes with an external metric.")
        }
    }

    private var limits: Section<ISISLimits> {
        Section(ISISLimits(), isWhole: true) {
            Setting("lsps", \.lsps, .number(16...1_000_000), "LSPs of a level.")
            Setting("adjacencies", \.adjacencies, .number(1...1024), "Of a circuit and level.")
            Setting("routes", \.routes, .number(16...10_000_000), "Prefixes in the LSPs of a level.")
            Setting(
                "octets", \.octets, .number(65_536...1_073_741_824),
                "Octets of the LSPs of a level; \(ISISLimits.octetsDefault) otherwise.")
            Setting(
                "redistributed", \.redistributed, .number(0...1_000_000),
                "Routes of other protocols; an alarm tells of more than \(ISISLimits.redistributedDefault) or this.")
        }
    }

    // MARK: routes between levels

    /// `true`, `false`, a list of rules, or the policies that decide.
    private func leaking(
        _ key: String, _ path: WritableKeyPath<ISISConfiguration, ISISLeaking>, _ sentence: String
    ) -> Setting<ISISConfiguration> {
        let rules = Setting<ISISLeaking>(key, each: \.rules, atMost: 4096, sentence) { _ in rule }
        let use = Section(PolicyUse(), foreign: ["route-map": "policy"]) {
            Setting("policy", \.names, PolicyText.names(definitions), "A policy or a list of them, tried in order.").required()
        }
        var setting = Setting<ISISLeaking>(
            key: key, sentence: sentence, values: "true, false, {policy: NAME} or a list"
        ) { fields, leaking in
            guard let field = fields[key] else { return false }
            if field.isMapping {
                leaking = ISISLeaking(isEnabled: true, policy: use.usual)
                guard use.read(field, into: &leaking.use) else { return false }
                PolicyPlace.leaking.check(leaking.use, definitions, field)
                return true
            }
            if field.scalar != nil {
                leaking = ISISLeaking(isEnabled: field.flag() ?? false)
                return true
            }
            leaking.isEnabled = true
            return rules.read(fields, &leaking)
        }
        setting.nested = rules.nested
        setting.text = { "\($0.isEnabled)" }
        setting.differs = { $0 != $1 }
        setting.write = { leaking, writer in
            guard leaking.isEnabled, let policy = leaking.policy else { return writer.line(key, "\(leaking.isEnabled)") }
            if policy.rules == nil {
                writer.section(key) { use.write(policy, &$0) }
            } else {
                rules.write(leaking, &writer)
            }
        }
        return setting.at(path)
    }

    private var rule: Section<LeakingRule> {
        func length(_ rule: LeakingRule, from low: UInt8) -> Kind<UInt8> {
            .number(low...(rule.range.prefix.family == .ipv4 ? 32 : 128))
        }
        let any = Kind<UInt8>.number(0...128)
        return Section(LeakingRule(), isStrict: true) {
            Setting("prefix", \.wholePrefix, .prefix, "What it matches; without ge and le, this prefix alone.").required()
            Setting("ge", \.atLeast, any, "Also longer ones within it, from this length on.") {
                length($0, from: $0.range.prefix.length)
            }
            .written { $0.range.minimumLength != $0.range.prefix.length }
            Setting("le", \.range.maximumLength, any, "Also longer ones within it, up to this length.") {
                length($0, from: $0.range.minimumLength)
            }
            .written {
                ($0.range.minimumLength, $0.range.maximumLength) != ($0.range.prefix.length, $0.range.prefix.length)
            }
            Setting("permit", \.isPermitted, .flag, "false keeps them back.")
        }
    }

    private var summary: Section<ISISSummary> {
        Section(
            ISISSummary(prefix: .v4(IPv4Prefix(.any, 0))),
            short: .init(values: "a prefix") { field, summary in
                guard let prefix = field.prefix() else { return false }
                summary.prefix = prefix
                return true
            }
        ) {
            Setting("prefix", \.prefix, .prefix, "What it covers; a route that drops stands in for the rest.").required()
            Setting("levels", \.levels, Self.levels, "Levels that hear it.")
            Setting("metric", \.metric, .number(Self.metrics), "The least of what it covers otherwise.")
            Setting("tag", \.tag, .number(0...UInt32.max), "RFC 5130.")
        }
    }

    // MARK: interfaces

    private func interface(_ isis: ISISConfiguration) -> Section<ISISInterfaceConfiguration> {
        let name = Kind<String>.interface(of: interfaces).once { "interface '\($0)' is written twice" }
            .mapped(
                { name in UInt16(interfaces.firstIndex { $0.name == name } ?? 0) },
                back: { interfaces.indices.contains(Int($0)) ? interfaces[Int($0)].name : "" })
        func isUsuallyPassive(_ place: UInt16) -> Bool {
            interfaces.indices.contains(Int(place)) && interfaces[Int(place)].isLoopback
        }
        return Section(
            ISISInterfaceConfiguration(interface: 0),
            foreign: [
                "hello-interval": "hello", "hello-multiplier": "multiplier", "circuit-type": "levels", "level": "levels",
                "type": "network", "interface": "name", "hello-padding": "padding", "password": "authentication",
            ],
            short: .init(values: name.values) { field, interface in
                guard let place = name.read(field) else { return false }
                (interface.interface, interface.isPassive) = (place, isUsuallyPassive(place))
                return true
            }
        ) {
            Setting("name", \.interface, name, "An interface of the router.").required()
            Setting("levels", \.levels, Self.levels, "Within the router's.")
            Setting(
                "network", \.networkType, .choice(["broadcast": .broadcast, "point-to-point": .pointToPoint]),
                "point-to-point, also on a LAN of two (RFC 5309).")
            Setting(
                "passive", \.isPassive, .flag, "Announce its addresses and speak with nobody; usual on loopbacks."
            ).written { $0.isPassive != isUsuallyPassive($0.interface) }
            Setting(
                "padding", \.padding, .choice(["always": .always, "until-adjacency": .untilAdjacency, "never": .never]),
                "Of hellos, to the full MTU.")
            // What stands here is for both levels, and is written here where both have the same.
            level(isis.metricStyle).settings.map { setting in
                let differs = setting.differs
                return setting.at(\ISISInterfaceConfiguration.bothLevels).written {
                    $0.level1 == $0.level2 && differs($0.level1, ISISInterfaceLevelConfiguration())
                }
            }
            Setting("level-1", in: \.level1, "The five above for this level only.") { _ in level(isis.metricStyle) }
                .written { $0.level1 != $0.level2 && $0.level1 != ISISInterfaceLevelConfiguration() }
            Setting("level-2", in: \.level2, "Likewise.") { _ in level(isis.metricStyle) }
                .written { $0.level1 != $0.level2 && $0.level2 != ISISInterfaceLevelConfiguration() }
            Setting("csnp-interval", \.csnpInterval, .seconds(1...600), "Between CSNPs of the designated IS.")
            Setting(
                "point-to-point-csnp-interval", \.pointToPointCSNPInterval, .seconds(0...600),
                "0: only when an adjacency comes up.")
            Setting("bfd", \.bfd, .flag, "BFD watches the neighbors.")
            Setting("authentication", in: \.authentication, "Of hellos.") { _ in keys }
            Setting("tag", \.tag, .number(0...UInt32.max), "Of its addresses (RFC 5130).")
            Setting("multi-topology", \.isMultiTopology, .flag, "Whether IPv6's topology is here; as the router otherwise.")
        } check: { interface, fields in
            if fields["passive"] == nil { interface.isPassive = isUsuallyPassive(interface.interface) }
            interface.authentication = interface.authentication.unlessEmpty
            if interface.levels.intersection(isis.levels) == nil {
                fields["levels"]?.error("the router does not run this level")
            }
        }
    }

    private func level(_ style: ISISMetricStyle) -> Section<ISISInterfaceLevelConfiguration> {
        let metric = Kind<UInt32>.number(style == .narrow ? 1...63 : Self.metrics)
        return Section(ISISInterfaceLevelConfiguration()) {
            Setting("metric", \.metric, metric, "At most 63 where metrics are narrow.")
            Setting("ipv6-metric", \.ipv6Metric, metric, "In the IPv6 topology; as metric otherwise.")
            Setting(
                "hello", \.helloInterval, .milliseconds(100...600_000),
                "Between hellos; the designated IS sends three times as often.")
            Setting("multiplier", \.helloMultiplier, .number(2...100), "The holding time in hellos.")
            Setting("priority", \.priority, .number(0...127), "For the election of the designated IS.")
        }
    }

    // MARK: authentication

    private var authentication: Section<ISISConfiguration> {
        Section(usual) {
            Setting("level-1", in: \.level1.authentication, "The area password.") { _ in keys }
            Setting("level-2", in: \.level2.authentication, "The domain password.") { _ in keys }
            Setting("snp", \.authenticatesSNP, .flag, "Sequence numbers PDUs, too.")
        } check: { isis, _ in
            isis.level1.authentication = isis.level1.authentication.unlessEmpty
            isis.level2.authentication = isis.level2.authentication.unlessEmpty
        }
    }

    private var keys: Section<ISISAuthentication> {
        Section(
            ISISAuthentication(chain: KeyChain()),
            foreign: ["key": "keys", "password": "keys", "type": "keys with an algorithm"]
        ) {
            Setting("keys", each: \.chain.keysInPlace, atMost: 8, "The first signs, all verify.") { _ in key }
            KeyChainText.reference(chains, Self.use).at(\ISISAuthentication.chain)
            Setting("send-only", \.isSendOnly, .flag, "Sign, but take what is not signed as well.")
        } check: { _, fields in
            KeyChainText.checkOne(of: ["keys", "key-chain"], fields)
        }
    }

    /// ISO 10589 §9.5, RFC 5304, RFC 5310.
    private static let use = KeyChainText.Use(
        name: "IS-IS", algorithms: [.clearText, .hmacMD5, .hmacSHA1, .hmacSHA224, .hmacSHA256, .hmacSHA384, .hmacSHA512],
        identifiers: 0...65_535, source: "RFC 5310 §3.1: 16 bits", nameless: [.clearText, .hmacMD5]
    ) { _ in KeyChain.Key.secretMaximum }

    private var key: Section<KeyChain.Key> {
        Section(
            KeyChain.Key(id: 0, algorithm: .hmacSHA256, secret: ""), foreign: ["password": "secret"]
        ) {
            Setting("id", \.number, .number(0...UInt16.max), "Of the algorithms of RFC 5310, hmac-sha-….")
                .written { $0.hasNumber }
            Setting("algorithm", \.algorithm, KeyChainText.kind(of: Self.use.algorithms), "RFC 5304, RFC 5310.").always()
            Setting("secret", \.secretText, .secret(1...254), "The key itself.").required()
        } check: { key, fields in
            // RFC 5310 §3.1: what both sides call the key is part of every packet.
            if key.hasNumber {
                _ = fields.required("id", "keys of RFC 5310 have a number")
            } else if let field = fields["id"] {
                field.error("only keys of RFC 5310 (hmac-sha-…) have a number")
            }
        }
    }
}

extension ISISConfiguration {
    fileprivate var isMultiTopology: Bool {
        get { topologies.contains(.ipv6Unicast) }
        set { topologies = newValue ? [.ipv6Unicast] : [] }
    }
    fileprivate var authenticatesSNP: Bool {
        get { level1.authenticatesSNP && level2.authenticatesSNP }
        set { (level1.authenticatesSNP, level2.authenticatesSNP) = (newValue, newValue) }
    }
}

extension ISISInterfaceConfiguration {
    fileprivate var isMultiTopology: Bool? {
        get { topologies?.contains(.ipv6Unicast) }
        set { topologies = newValue.map { $0 ? [.ipv6Unicast] : [] } }
    }
    fileprivate var bothLevels: ISISInterfaceLevelConfiguration {
        get { level1 }
        set { (level1, level2) = (newValue, newValue) }
    }
}

extension ISISAuthentication? {
    /// Without keys there is no authentication.
    fileprivate var unlessEmpty: Self { self?.chain.keys.isEmpty == true ? nil : self }
}

/// A statement of a policy about what leaks, as the short form has it. The first that matches decides, and what none matches
/// is kept back.
struct LeakingRule: Equatable {
    var range = PrefixRange(.v4(IPv4Prefix(.any, 0)))
    var isPermitted = true

    init() {}
    /// `nil`: a statement that says something else.
    init?(_ statement: PolicyStatement) {
        guard statement.conditions.count == 1, case .prefixes(let ranges) = statement.conditions[0], ranges.count == 1 else {
            return nil
        }
        range = ranges[0]
        isPermitted = statement.result == .accept
    }
    var statement: PolicyStatement {
        PolicyStatement(conditions: [.prefixes([range])], result: isPermitted ? .accept : .reject)
    }

    /// The prefix alone, until `ge` or `le` say otherwise.
    fileprivate var wholePrefix: IPPrefix {
        get { range.prefix }
        set { range = PrefixRange(newValue) }
    }
    /// As FRR and OpenConfig understand it: `ge` alone is open upwards.
    fileprivate var atLeast: UInt8 {
        get { range.minimumLength }
        set { (range.minimumLength, range.maximumLength) = (newValue, range.prefix.family == .ipv4 ? 32 : 128) }
    }
}

extension ISISLeaking {
    fileprivate var use: PolicyUse {
        get { policy ?? PolicyUse() }
        set { policy = newValue }
    }
    /// An empty list is as no policy.
    var rules: [LeakingRule] {
        get { policy?.rules?.statements.compactMap { LeakingRule($0) } ?? [] }
        set {
            policy =
                newValue.isEmpty
                ? nil : PolicyUse(rules: PolicyConfiguration(name: "", statements: newValue.map(\.statement)))
        }
    }
}

extension KeyChain.Key {
    fileprivate var hasNumber: Bool { algorithm != .clearText && algorithm != .hmacMD5 }
    fileprivate var number: UInt16? {
        get { hasNumber ? UInt16(exactly: id) : nil }
        set { id = UInt64(newValue ?? 0) }
    }
}
