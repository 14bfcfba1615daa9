import BGP
import Engine
import OSPF
import Policy
import RTR
import RIP
import Records
import Wire

/// Reads and writes router configurations: the whole file, or every reason why not.
public enum RouterText {
    /// - Parameters:
    ///   - file: for messages.
    public static func read(_ bytes: [UInt8], file: String) -> ConfigurationResult<RouterConfiguration> {
        let problems = Problems(file: file)
        var draft = RouterDraft()
        let isRead = YAMLTree.parse(bytes, problems).map { tree in
            section.read(Field(tree: tree, path: "", problems: problems), into: &draft)
        }
        return ConfigurationResult(isRead == true ? draft.finished : nil, problems)
    }

    /// The configuration in the one canonical spelling: defaults left out, peer groups written out, sections in the
    /// order of the manual. Reading it gives an equal configuration.
    public static func text(of configuration: RouterConfiguration) -> String {
        var writer = YAMLWriter()
        let definitions = configuration.definitions?.written ?? PolicyDefinitions()
        section.write(RouterDraft(configuration: configuration, definitions: definitions), &writer)
        return writer.text
    }

    /// A condition of a policy as the file has it: `as-path-set: customers`.
    public static func text(of condition: PolicyCondition) -> String {
        let text = Clause.text([condition], PolicyClauses(PolicyDefinitions()).conditions)
        return String(text.dropFirst().dropLast())
    }

    static let interfacesMaximum = 256
    static let staticRoutesMaximum = 65_536

    /// All that a router configuration can say. Each section can check the names of those before it.
    static var section: Section<RouterDraft> {
        let networks = ConnectedNetworks()
        return Section(
            RouterDraft(),
            foreign: [
                "router-id": "bgp.router-id", "key-chain": "key-chains", "keychain": "key-chains", "keychains": "key-chains",
                "as": "bgp.as", "neighbors": "bgp.neighbors", "static": "static-routes",
                "routes": "static-routes", "redistribution": "redistribute", "aggregate": "aggregates",
                "route-maps": "policies", "filters": "policies", "prefix-lists": "prefix-sets",
                "community-lists": "community-sets", "as-path-lists": "as-path-sets", "as-lists": "as-sets",
                "controller": "it in the controller's own file",
                "redundancy": "it in the controller's own file",
            ]
        ) {
            Setting("hostname", \.configuration.hostname, .name("a host name"), "Of the router.").always()
            Setting("interfaces", each: \.configuration.interfaces, atMost: interfacesMaximum, "What the network sees.") { _ in
                InterfaceText(networks: networks).section
            }
            Setting(
                "key-chains", each: \.keyChains, atMost: KeyChain.chainsMaximum,
                "Keys that change by time; protocols name them with key-chain under authentication."
            ) { _ in KeyChainText.section }
            Setting("bfd", in: \.configuration.bfd, "How neighbors are watched; who is, is said where they are.") { draft in
                BFDText(interfaces: draft.configuration.interfaces, chains: draft.keyChains).section
            }
            Setting(
                "static-routes", each: \.configuration.staticRoutes, atMost: staticRoutesMaximum, "Routes of the operator."
            ) { draft in StaticRouteText(networks: networks, bfd: draft.configuration.bfd).section }
            PolicyText.prefixSets.at(\.definitions)
            PolicyText.communitySets.at(\.definitions)
            PolicyText.asPathSets.at(\.definitions)
            PolicyText.asSets.at(\.definitions)
            PolicyText.policies.at(\.definitions)
            Setting(
                "aggregates", each: \.aggregates, atMost: RedistributionText.aggregatesMaximum,
                "Routes that stand for more specific ones."
            ) { RedistributionText.aggregate($0.definitions) }
            Setting(
                "redistribute", each: \.redistribution, atMost: RedistributionText.rulesMaximum,
                "What protocols announce of each other."
            ) { RedistributionText.rule($0.definitions) }
            ospf("ospf", \.configuration.ospf, .v2, .ipv4, "OSPFv2.")
            ospf("ospfv3", \.configuration.ospfv3, .v3, .ipv6, "OSPFv3 for IPv6.")
            ospf("ospfv3-ipv4", \.configuration.ospfv3ipv4, .v3, .ipv4, "OSPFv3 for IPv4 (RFC 5838).")
            Setting("isis", in: \.configuration.isis, "IS-IS.") { draft in
                ISISText(
                    interfaces: draft.configuration.interfaces, hostname: draft.configuration.hostname,
                    definitions: draft.definitions, chains: draft.keyChains
                ).section
            }
            Setting("rip", in: \.configuration.rip, "RIPv2.") { draft in
                RIPText(version: .v2, interfaces: draft.configuration.interfaces, chains: draft.keyChains).section
            }
            Setting("ripng", in: \.configuration.ripng, "RIPng.") { draft in
                RIPText(version: .ng, interfaces: draft.configuration.interfaces, chains: draft.keyChains).section
            }
            Setting("bgp", in: \.configuration.bgp, "BGP.") { draft in
                BGPText(
                    networks: networks, staticRoutes: draft.configuration.staticRoutes, definitions: draft.definitions,
                    bfd: draft.configuration.bfd
                ).section
            }
            Setting("rpki", in: \.configuration.rtr, "Caches that say which AS may originate what (RFC 8210, RFC 6811).") { _ in
                RTRText(networks: networks).section
            }
            Setting("testing", in: \.self, "Failure injection.") { _ in testing }.hidden()
        } check: { draft, fields in
            if draft.configuration.policyUses.isEmpty {
                ["policies", "prefix-sets", "community-sets", "as-path-sets", "as-sets"].lazy.compactMap { fields[$0] }.first?
                    .warn("nothing uses this: BGP's neighbors, redistribute, aggregates and isis name policies")
            }
        }
    }

    private static func ospf(
        _ key: String, _ path: WritableKeyPath<RouterDraft, OSPFConfiguration?>, _ version: OSPFVersion,
        _ family: AddressFamily, _ sentence: String
    ) -> Setting<RouterDraft> {
        Setting(key, in: path, sentence) { draft in
            OSPFText(
                version: version, family: family, interfaces: draft.configuration.interfaces, chains: draft.keyChains
            ).section
        }
    }

    private static var testing: Section<RouterDraft> {
        Section(RouterDraft()) {
            Setting("enabled", \.configuration.testing.isEnabled, .flag, "An operator's command can hang or crash this router.")
            Setting("trap-on-prefix", \.trapOnPrefix, .prefix, "Whoever announces it crashes this router.")
                .written { $0.configuration.testing.isEnabled && $0.trapOnPrefix != nil }
        } check: { draft, fields in
            if draft.configuration.testing.isEnabled {
                fields.field.warn("failure injection is enabled; an operator's command can hang or crash this router")
            } else {
                fields["trap-on-prefix"]?.error("this needs enabled: true beside it")
            }
        }
    }
}

/// A router configuration while it is read: names of policies are known before the section that keeps them.
struct RouterDraft: Equatable {
    var configuration = RouterConfiguration()
    var definitions = PolicyDefinitions()

    /// With the definitions as they are used.
    var finished: RouterConfiguration {
        var result = configuration
        let own = result.bgp?.routerAS
        let all = definitions.finished(routerAS: own, uses: result.policyUses)
        result.definitions = all.isEmpty ? nil : all
        for i in result.redistribution?.indices ?? 0..<0 { result.redistribution?[i].policy?.rules?.finish(own) }
        return result
    }

    // A section without entries is no section.
    var aggregates: [AggregateConfiguration] {
        get { configuration.aggregates ?? [] }
        set { configuration.aggregates = newValue.isEmpty ? nil : newValue }
    }
    var keyChains: [KeyChain] {
        get { configuration.keyChains ?? [] }
        set { configuration.keyChains = newValue.isEmpty ? nil : newValue }
    }
    var redistribution: [RedistributionConfiguration] {
        get { configuration.redistribution ?? [] }
        set { configuration.redistribution = newValue.isEmpty ? nil : newValue }
    }
    var trapOnPrefix: IPPrefix? {
        get { configuration.bgp?.testing.trapOnPrefix }
        set { configuration.bgp?.testing.trapOnPrefix = newValue }
    }
}
