import BGP
import Engine
import Records
import Wire

extension RouterText {
    /// The configuration in the one canonical spelling: defaults left out, peer groups written out, sections in the
    /// order of the manual. Reading it gives an equal configuration.
    public static func text(of configuration: RouterConfiguration) -> String {
        var writer = YAMLWriter()
        writer.line("hostname", YAMLWriter.scalar(configuration.hostname))
        if !configuration.interfaces.isEmpty {
            writer.section("interfaces") { writer in
                for interface in configuration.interfaces { writer.element { write(interface, &$0) } }
            }
        }
        if let bfd = configuration.bfd { write(bfd, &writer) }
        if !configuration.staticRoutes.isEmpty {
            writer.section("static-routes") { writer in
                for route in configuration.staticRoutes { writer.element { write(route, &$0) } }
            }
        }
        if let aggregates = configuration.aggregates { write(aggregates, &writer) }
        if let rules = configuration.redistribution { write(rules, &writer) }
        if let ospf = configuration.ospf { write(ospf, as: "ospf", &writer) }
        if let ospf = configuration.ospfv3 { write(ospf, as: "ospfv3", &writer) }
        if let ospf = configuration.ospfv3ipv4 { write(ospf, as: "ospfv3-ipv4", &writer) }
        if let isis = configuration.isis {
            write(isis, configuration.interfaces, hostname: configuration.hostname, &writer)
        }
        if let rip = configuration.rip { write(rip, as: "rip", &writer) }
        if let rip = configuration.ripng { write(rip, as: "ripng", &writer) }
        if let bgp = configuration.bgp { write(bgp, &writer) }
        if configuration.testing.isEnabled {
            writer.section("testing") {
                $0.line("enabled", "true")
                if let prefix = configuration.bgp?.testing.trapOnPrefix {
                    $0.line("trap-on-prefix", YAMLWriter.scalar("\(prefix)"))
                }
            }
        }
        return writer.text
    }

    private static func scalar(_ value: some CustomStringConvertible) -> String { YAMLWriter.scalar(value.description) }
    private static func scalars(_ values: [some CustomStringConvertible]) -> [String] { values.map { scalar($0) } }

    private static func write(_ interface: InterfaceConfiguration, _ writer: inout YAMLWriter) {
        writer.line("name", scalar(interface.name))
        if interface.isLoopback {
            writer.line("loopback", "true")
        } else if (0x0000_5e00_0101...0x0000_5e00_01ff).contains(interface.virtualMAC.raw) {
            writer.line("virtual-router-id", "\(interface.virtualMAC.raw & 0xff)")
        } else {
            writer.line("mac", scalar(interface.virtualMAC))
        }
        if interface.vlan != 0 { writer.line("vlan", "\(interface.vlan)") }
        if interface.mtu != 1500 { writer.line("mtu", "\(interface.mtu)") }
        writer.list("addresses", interface.addresses.map { scalar("\($0.address)/\($0.prefixLength)") })
    }

    private static func write(_ route: StaticRouteConfiguration, _ writer: inout YAMLWriter) {
        writer.line("prefix", scalar(route.prefix))
        switch route.destination {
        case .nextHop(let address): writer.line("next-hop", scalar(address))
        case .blackhole: writer.line("blackhole", "true")
        }
        if route.distance != 1 { writer.line("distance", "\(route.distance)") }
        if route.tag != 0 { writer.line("tag", "\(route.tag)") }
        write(bfd: route.bfd, &writer)
    }

    // MARK: policy

    private static func write(_ bgp: BGPConfiguration, _ writer: inout YAMLWriter) {
        if !bgp.prefixSets.isEmpty {
            writer.section("prefix-sets") { writer in
                for set in bgp.prefixSets {
                    writer.list(scalar(set.name), set.entries.map { YAMLWriter.scalar(text(of: $0)) })
                }
            }
        }
        if !bgp.communitySets.isEmpty {
            writer.section("community-sets") { writer in
                for set in bgp.communitySets {
                    writer.list(scalar(set.name), set.entries.map { YAMLWriter.scalar(text(of: $0)) })
                }
            }
        }
        let policies = bgp.policies.filter { policy in !builtIn.contains(policy) }
        if !policies.isEmpty {
            writer.section("policies") { writer in
                for policy in policies { write(policy, &writer) }
            }
        }
        writer.section("bgp") { write(main: bgp, &$0) }
    }

    static func text(of entry: PrefixSetConfiguration.Entry) -> String {
        let bits = entry.prefix.family == .ipv4 ? 32 : 128
        var text = "\(entry.prefix)"
        if entry.minimumLength == entry.maximumLength, entry.minimumLength == entry.prefix.length { return text }
        if entry.minimumLength != entry.prefix.length { text += " ge \(entry.minimumLength)" }
        if entry.maximumLength != bits || entry.minimumLength == entry.prefix.length { text += " le \(entry.maximumLength)" }
        return text
    }

    private static func text(of entry: CommunitySetConfiguration.Entry) -> String {
        switch entry {
        case .standard(let community): "\(community)"
        case .standardOfAS(let number): "\(number):*"
        case .large(let community): "\(community)"
        case .largeOfAS(let global): "\(global):*:*"
        case .largeOfFunction(let global, let function): "\(global):\(function):*"
        }
    }

    private static func write(_ policy: PolicyConfiguration, _ writer: inout YAMLWriter) {
        func statements(_ writer: inout YAMLWriter) {
            for statement in policy.statements { writer.element { write(statement, &$0) } }
        }
        let name = scalar(policy.name)
        if policy.otherwise == .reject, !policy.statements.isEmpty {
            writer.section(name, statements)
        } else {
            writer.section(name) { writer in
                if policy.statements.isEmpty {
                    writer.line("statements", "[]")
                } else {
                    writer.section("statements", statements)
                }
                writer.line("otherwise", word(policy.otherwise))
            }
        }
    }

    private static func word(_ result: PolicyResult) -> String {
        switch result {
        case .accept: "accept"
        case .reject: "reject"
        case .next: "next"
        }
    }
    private static func word(_ origin: Origin) -> String {
        switch origin {
        case .igp: "igp"
        case .egp: "egp"
        case .incomplete: "incomplete"
        }
    }

    private static func write(_ statement: PolicyStatement, _ writer: inout YAMLWriter) {
        write("match", statement.conditions.map { item($0) }, &writer)
        write("set", statement.actions.map { item($0) }, &writer)
        writer.line("then", word(statement.result))
    }

    /// A mapping, or a list of mappings when a key is there twice.
    private static func write(_ key: String, _ items: [(key: String, value: String)], _ writer: inout YAMLWriter) {
        if items.isEmpty { return }
        writer.section(key) { writer in
            let isRepeated = Set(items.map(\.key)).count < items.count
            for item in items {
                if isRepeated {
                    writer.element { $0.line(item.key, item.value) }
                } else {
                    writer.line(item.key, item.value)
                }
            }
        }
    }

    private static func range<T: FixedWidthInteger>(_ minimum: T, _ maximum: T) -> String {
        minimum == maximum ? "\(minimum)" : "\(minimum)..\(maximum)"
    }
    private static func flow(_ values: [String]) -> String { "[" + values.joined(separator: ", ") + "]" }

    private static func item(_ condition: PolicyCondition) -> (key: String, value: String) {
        switch condition {
        case .prefixSet(let name): ("prefix-set", scalar(name))
        case .notPrefixSet(let name): ("not-prefix-set", scalar(name))
        case .anyCommunity(let name): ("community", scalar(name))
        case .allCommunities(let name): ("all-communities", scalar(name))
        case .noCommunity(let name): ("no-community", scalar(name))
        case .asPathLength(let minimum, let maximum): ("as-path-length", range(minimum, maximum))
        case .asPathContains(let number): ("as-path-contains", "\(number)")
        case .originAS(let number): ("origin-as", "\(number)")
        case .neighborAS(let number): ("neighbor-as", "\(number)")
        case .neighbor(let address): ("neighbor", scalar(address))
        case .nextHop(let prefix): ("next-hop", scalar(prefix))
        case .origin(let origin): ("origin", word(origin))
        case .family(let family): ("family", "\(family)")
        case .med(let minimum, let maximum): ("med", range(minimum, maximum))
        case .localPreference(let minimum, let maximum): ("local-preference", range(minimum, maximum))
        case .source(.local): ("source", "local")
        case .source(.external): ("source", "external")
        case .source(.internal): ("source", "internal")
        }
    }

    private static func item(_ action: PolicyAction) -> (key: String, value: String) {
        switch action {
        case .setLocalPreference(let value): ("local-preference", "\(value)")
        case .setMED(let value): ("med", "\(value)")
        case .removeMED: ("med", "none")
        case .setOrigin(let origin): ("origin", word(origin))
        case .addCommunities(let list): ("add-communities", flow(scalars(list)))
        case .setCommunities(let list): ("communities", flow(scalars(list)))
        case .removeCommunities(let name): ("remove-communities", scalar(name))
        case .addLargeCommunities(let list): ("add-large-communities", flow(scalars(list)))
        case .setLargeCommunities(let list): ("large-communities", flow(scalars(list)))
        case .prepend(let number, let count): ("prepend", "{as: \(number), count: \(count)}")
        case .setNextHop(let address): ("next-hop", scalar(address))
        case .setNextHopSelf: ("next-hop", "self")
        }
    }

    // MARK: BGP

    private static func write(main bgp: BGPConfiguration, _ writer: inout YAMLWriter) {
        writer.line("as", "\(bgp.routerAS)")
        writer.line("router-id", "\(bgp.routerID)")
        if !bgp.ebgpRequiresPolicy { writer.line("require-policy", "false") }
        if bgp.defaultLocalPreference != 100 { writer.line("default-local-preference", "\(bgp.defaultLocalPreference)") }
        if bgp.distances != DistanceConfiguration() {
            writer.section("distance") {
                $0.line("external", "\(bgp.distances.external)")
                $0.line("internal", "\(bgp.distances.internal)")
                $0.line("local", "\(bgp.distances.local)")
            }
        }
        if !bgp.networks.isEmpty {
            writer.section("networks") { writer in
                for network in bgp.networks { writer.element { write(network, &$0) } }
            }
        }
        if !bgp.neighbors.isEmpty {
            writer.section("neighbors") { writer in
                for neighbor in bgp.neighbors { writer.element { write(neighbor, &$0) } }
            }
        }
    }

    private static func write(_ network: OriginatedNetwork, _ writer: inout YAMLWriter) {
        if network == OriginatedNetwork(prefix: network.prefix) { return writer.value(scalar(network.prefix)) }
        writer.line("prefix", scalar(network.prefix))
        if let nextHop = network.nextHop { writer.line("next-hop", scalar(nextHop)) }
        if let med = network.med { writer.line("med", "\(med)") }
        if !network.communities.isEmpty { writer.list("communities", scalars(network.communities)) }
        if !network.largeCommunities.isEmpty { writer.list("large-communities", scalars(network.largeCommunities)) }
    }

    private static func write(_ neighbor: NeighborConfiguration, _ writer: inout YAMLWriter) {
        let usual = NeighborConfiguration(address: neighbor.address, remoteAS: neighbor.remoteAS)
        writer.line("address", scalar(neighbor.address))
        writer.line("remote-as", "\(neighbor.remoteAS)")
        if !neighbor.description.isEmpty { writer.line("description", scalar(neighbor.description)) }
        if let local = neighbor.localAddress { writer.line("local-address", scalar(local)) }
        if neighbor.port != usual.port { writer.line("port", "\(neighbor.port)") }
        write(families: neighbor, &writer)
        if !neighbor.importPolicies.isEmpty { writer.list("import", scalars(neighbor.importPolicies)) }
        if !neighbor.exportPolicies.isEmpty { writer.list("export", scalars(neighbor.exportPolicies)) }
        if !neighbor.md5Key.isEmpty { writer.line("password", scalar(neighbor.md5Key)) }
        if neighbor.ttlSecurityHops != 0 { writer.line("ttl-security", "\(neighbor.ttlSecurityHops)") }
        if neighbor.multihop != 0 { writer.line("multihop", "\(neighbor.multihop)") }
        if neighbor.timers != usual.timers { writer.section("timers") { write(neighbor.timers, &$0) } }
        write(bfd: neighbor.bfd, &writer)
        if neighbor.isShutdown {
            writer.line("shutdown", neighbor.shutdownMessage.isEmpty ? "true" : scalar(neighbor.shutdownMessage))
        }
        func flag(_ key: String, _ place: KeyPath<NeighborConfiguration, Bool>) {
            if neighbor[keyPath: place] != usual[keyPath: place] { writer.line(key, "\(neighbor[keyPath: place])") }
        }
        flag("passive", \.passive)
        flag("next-hop-self", \.nextHopSelf)
        flag("remove-private-as", \.removePrivateAS)
        if neighbor.allowASIn != 0 { writer.line("allow-as-in", "\(neighbor.allowASIn)") }
        flag("enforce-first-as", \.enforceFirstAS)
        flag("send-communities", \.sendCommunities)
        flag("default-originate", \.defaultOriginate)
        flag("route-refresh", \.routeRefresh)
        flag("extended-messages", \.extendedMessages)
        if let limit = neighbor.maximumPaths { writer.line("max-paths", Self.limit(limit)) }
    }

    private static func limit(_ value: UInt32) -> String { value == FamilyConfiguration.unlimited ? "none" : "\(value)" }

    private static func write(families neighbor: NeighborConfiguration, _ writer: inout YAMLWriter) {
        let usual = [FamilyConfiguration(RouteFamily(neighbor.address.family))]
        if neighbor.families == usual { return }
        if neighbor.families.allSatisfy({ $0 == FamilyConfiguration($0.family) }) {
            return writer.list("families", neighbor.families.map { "\($0.family)" })
        }
        writer.section("families") { writer in
            for family in neighbor.families {
                let name = "\(family.family)"
                guard family != FamilyConfiguration(family.family) else {
                    writer.line(name, "{}")
                    continue
                }
                writer.section(name) {
                    if family.maximumPrefixes != 0 { $0.line("max-prefix", Self.limit(family.maximumPrefixes)) }
                    if family.warningPercent != 75 { $0.line("warning", "\(family.warningPercent)") }
                    if family.warningOnly { $0.line("warning-only", "true") }
                    if family.restartMinutes != 0 { $0.line("restart", "\(family.restartMinutes)m") }
                }
            }
        }
    }

    private static func write(_ timers: SessionTimersConfiguration, _ writer: inout YAMLWriter) {
        let usual = SessionTimersConfiguration()
        if timers.hold != usual.hold { writer.line("hold", "\(timers.hold)") }
        if timers.connectRetry != usual.connectRetry { writer.line("connect-retry", "\(timers.connectRetry)") }
        if timers.idleHoldMinimum != usual.idleHoldMinimum { writer.line("idle-hold", "\(timers.idleHoldMinimum)") }
        if timers.idleHoldMaximum != usual.idleHoldMaximum { writer.line("idle-hold-maximum", "\(timers.idleHoldMaximum)") }
        if timers.delayOpen != usual.delayOpen { writer.line("delay-open", "\(timers.delayOpen)") }
    }
}
