import BFD
import BGP
import Engine
import Wire

/// The `bgp` section.
struct BGPTextReader {
    let networks: ConnectedNetworks
    let staticRoutes: [StaticRouteConfiguration]
    let policies: PolicySection
    let bfd: BFDConfiguration?
    private var configuration: BGPConfiguration
    private var usedPolicies: Set<String> = []
    /// The router's own AS, unless that was wrong: then nothing is concluded from it.
    private var routerAS: ASNumber?

    static func read(
        _ field: Field, networks: ConnectedNetworks, staticRoutes: [StaticRouteConfiguration], policies: PolicySection,
        bfd: BFDConfiguration?
    ) -> BGPConfiguration? {
        guard
            let mapping = MappingReader(
                field,
                keys: [
                    "as", "router-id", "require-policy", "default-local-preference", "distance", "networks", "peer-groups",
                    "neighbors",
                ],
                foreign: [
                    "local-as": "as", "asn": "as", "neighbours": "neighbors", "neighbor": "neighbors", "groups": "peer-groups",
                    "ebgp-requires-policy": "require-policy", "network": "networks",
                    "local-preference": "default-local-preference",
                ])
        else { return nil }
        let number = mapping.required("as").flatMap { $0.asNumber() }
        let identifier = mapping.required("router-id").flatMap { field -> RouterID? in
            guard let text = field.text(1...40, "a router id") else { return nil }
            // RFC 6286 §2.1
            guard let id = RouterID(text), id.raw != 0 else {
                return field.wrong("'\(text)' is no router id; write it like an IPv4 address that is not 0.0.0.0")
            }
            return id
        }
        var reader = BGPTextReader(
            networks: networks, staticRoutes: staticRoutes, policies: policies, bfd: bfd,
            configuration: BGPConfiguration(routerAS: number ?? ASNumber(1), routerID: identifier ?? RouterID(raw: 1)),
            routerAS: number)
        reader.read(mapping)
        return reader.configuration
    }

    private mutating func read(_ mapping: MappingReader) {
        if let flag = mapping["require-policy"]?.flag() { configuration.ebgpRequiresPolicy = flag }
        if let value = mapping["default-local-preference"]?.number(0...UInt32.max) {
            configuration.defaultLocalPreference = value
        }
        if let field = mapping["distance"],
            let distances = MappingReader(field, keys: ["external", "internal", "local"])
        {
            let range: ClosedRange<UInt8> = 1...255
            if let value = distances["external"]?.number(range) { configuration.distances.external = value }
            if let value = distances["internal"]?.number(range) { configuration.distances.internal = value }
            if let value = distances["local"]?.number(range) { configuration.distances.local = value }
        }
        readNetworks(mapping)
        readNeighbors(mapping)
        configuration.prefixSets = policies.prefixSets
        configuration.communitySets = policies.communitySets
        configuration.policies = policies.finished(routerAS: configuration.routerAS, used: usedPolicies)
    }

    // MARK: networks

    private mutating func readNetworks(_ mapping: MappingReader) {
        guard let list = mapping["networks"]?.list(atMost: RouterText.networksMaximum) else { return }
        var seen: Set<IPPrefix> = []
        for field in list {
            guard let network = network(field) else { continue }
            if seen.insert(network.prefix).inserted {
                configuration.networks.append(network)
            } else {
                field.error("\(network.prefix) is originated twice")
            }
        }
    }

    private func network(_ field: Field) -> OriginatedNetwork? {
        guard field.isMapping else { return field.prefix().map { OriginatedNetwork(prefix: $0) } }
        guard
            let mapping = MappingReader(
                field, keys: ["prefix", "next-hop", "med", "communities", "large-communities"],
                foreign: ["community": "communities", "metric": "med"]),
            let prefix = mapping.required("prefix").flatMap({ $0.prefix() })
        else { return nil }
        var network = OriginatedNetwork(prefix: prefix)
        if let field = mapping["next-hop"], let nextHop = field.address() {
            if nextHop.family != prefix.family { field.error("\(nextHop) is not of the family of \(prefix)") }
            network.nextHop = nextHop
        }
        network.med = mapping["med"]?.number(0...UInt32.max)
        network.communities = mapping["communities"]?.communities() ?? []
        network.largeCommunities = mapping["large-communities"]?.largeCommunities() ?? []
        return network
    }

    // MARK: neighbours

    static let groupKeys = [
        "remote-as", "description", "local-address", "passive", "port", "families", "max-prefix", "max-paths", "import", "export",
        "password", "ttl-security", "multihop", "timers", "shutdown", "next-hop-self", "remove-private-as", "allow-as-in",
        "enforce-first-as", "send-communities", "default-originate", "route-refresh", "extended-messages", "bfd",
    ]
    static let foreign = [
        "md5": "password", "md5-key": "password", "hold-time": "timers: {hold: N}", "hold": "timers: {hold: N}",
        "keepalive": "timers: {hold: N}; keepalives go every third of the hold time", "ebgp-multihop": "multihop",
        "remote-asn": "remote-as", "peer-as": "remote-as", "as": "remote-as", "update-source": "local-address",
        "source": "local-address", "neighbor": "address", "peer": "address", "group": "peer-group", "gtsm": "ttl-security",
        "import-policy": "import", "export-policy": "export", "maximum-prefix": "max-prefix",
        "maximum-paths": "max-paths", "afi-safi": "families",
        "address-families": "families", "disabled": "shutdown: true", "enabled": "shutdown: true or false",
        "allowas-in": "allow-as-in", "route-map": "import or export", "connect-retry": "timers: {connect-retry: N}",
    ]
    static let timerKeys = ["hold", "connect-retry", "idle-hold", "idle-hold-maximum", "delay-open"]
    static let foreignTimers = [
        "hold-time": "hold", "keepalive": "only hold; keepalives go every third of what was agreed",
        "connect": "connect-retry",
    ]

    private mutating func readNeighbors(_ mapping: MappingReader) {
        var groups: [String: MappingReader] = [:]
        var groupNames: [String] = []
        if let field = mapping["peer-groups"], let all = MappingReader(anyKeysOf: field) {
            for (name, value) in all.entries {
                if let reason = Field.nameProblem(name) {
                    value.error("'\(name.prefix(80))' is no name for a peer group: \(reason)")
                    continue
                }
                var hints = Self.foreign
                hints["peer-group"] = "the settings here; a group has no group"
                hints["address"] = "it at the neighbor"
                guard let group = MappingReader(value, keys: Self.groupKeys, foreign: hints) else { continue }
                groups[name] = group
                groupNames.append(name)
                // Read for its problems alone: a group that nobody uses must be right, too.
                _ = neighbor(
                    LayeredReader(own: group, base: nil), NeighborConfiguration(address: .v4(.any), remoteAS: .zero), nil)
            }
        }
        guard let list = mapping["neighbors"]?.list(atMost: RouterText.neighborsMaximum) else { return }
        var seen: Set<IPAddress> = []
        for field in list {
            guard let own = MappingReader(field, keys: ["address", "peer-group"] + Self.groupKeys, foreign: Self.foreign) else {
                continue
            }
            var group: MappingReader?
            if let field = own["peer-group"], let name = field.name("the name of a peer group") {
                group = groups[name]
                if group == nil {
                    let near = Spelling.nearest(to: name, among: groupNames).map { "; did you mean '\($0)'?" } ?? ""
                    field.error("there is no peer group '\(name)'\(near)")
                }
            }
            let layers = LayeredReader(own: own, base: group)
            let remoteAS = self.remoteAS(layers, field)
            guard let place = own.required("address"), let address = place.address() else { continue }
            guard seen.insert(address).inserted else {
                place.error("there is another neighbor \(address)")
                continue
            }
            let start = NeighborConfiguration(address: address, remoteAS: remoteAS ?? .zero)
            let neighbor = neighbor(layers, start, remoteAS)
            check(neighbor, layers, place, isExternal: routerAS != nil && remoteAS != nil && remoteAS != routerAS)
            configuration.neighbors.append(neighbor)
        }
    }

    private func remoteAS(_ layers: LayeredReader, _ neighbor: Field) -> ASNumber? {
        guard let field = layers["remote-as"] else {
            return neighbor.wrong("'remote-as' is missing; write the AS number or internal")
        }
        if field.scalar == "internal" { return routerAS }
        if field.scalar == "external" { return field.wrong("write the neighbor's AS number instead of external") }
        return field.asNumber()
    }

    /// Everything of a neighbour but its address and AS.
    private mutating func neighbor(
        _ layers: LayeredReader, _ start: NeighborConfiguration, _ remoteAS: ASNumber?
    ) -> NeighborConfiguration {
        var result = start
        if remoteAS == nil, start.remoteAS == .zero, let field = layers["remote-as"], field.scalar != "internal" {
            _ = field.asNumber()
        }
        func flag(_ key: String, _ place: WritableKeyPath<NeighborConfiguration, Bool>) {
            if let value = layers[key]?.flag() { result[keyPath: place] = value }
        }
        flag("passive", \.passive)
        flag("next-hop-self", \.nextHopSelf)
        flag("remove-private-as", \.removePrivateAS)
        flag("enforce-first-as", \.enforceFirstAS)
        flag("send-communities", \.sendCommunities)
        flag("default-originate", \.defaultOriginate)
        flag("route-refresh", \.routeRefresh)
        flag("extended-messages", \.extendedMessages)
        if let text = layers["description"]?.text(0...255, "a description") { result.description = text }
        if let port = layers["port"]?.number(1...65535 as ClosedRange<UInt16>, "a port") { result.port = port }
        if let count = layers["allow-as-in"]?.number(0...10 as ClosedRange<UInt8>) { result.allowASIn = count }
        // RFC 2385 §4.5 leaves the length open; Linux and the others stop at 80.
        if let key = layers["password"]?.secret(1...80, "a password") { result.md5Key = key }
        if let hops = layers["ttl-security"]?.number(1...254 as ClosedRange<UInt8>, "a number of hops") {
            result.ttlSecurityHops = hops
        }
        if let ttl = layers["multihop"]?.number(1...255 as ClosedRange<UInt8>, "a TTL") { result.multihop = ttl }
        if let local = layers["local-address"]?.address() { result.localAddress = local }
        if let field = layers["bfd"] { result.bfd = BFDTextReader.wish(field, bfd) }
        readShutdown(layers, &result)
        readTimers(layers, &result.timers)
        if let field = layers["max-paths"] { result.maximumPaths = Self.limit(field, "a number of paths") }
        result.families = families(layers, result.address)
        if let field = layers["import"] { result.importPolicies = policyNames(field) }
        if let field = layers["export"] { result.exportPolicies = policyNames(field) }
        return result
    }

    private func readShutdown(_ layers: LayeredReader, _ result: inout NeighborConfiguration) {
        guard let field = layers["shutdown"] else { return }
        switch field.scalar {
        case "true": result.isShutdown = true
        case "false": result.isShutdown = false
        default:
            // RFC 9003 §2
            guard let text = field.text(1...255, "true, false or a text") else { return }
            result.isShutdown = true
            result.shutdownMessage = text
        }
    }

    private func readTimers(_ layers: LayeredReader, _ timers: inout SessionTimersConfiguration) {
        guard let fields = layers.nested("timers", keys: Self.timerKeys, foreign: Self.foreignTimers) else { return }
        if let field = fields["hold"], let hold = field.seconds(0...65535) {
            // RFC 4271 §4.2
            if hold == 1 || hold == 2 { field.error("a hold time is 0 or at least 3s") }
            timers.hold = hold
        }
        if let value = fields["connect-retry"]?.seconds(1...65535) { timers.connectRetry = value }
        if let value = fields["idle-hold"]?.seconds(0...3600) {
            timers.idleHoldMinimum = value
            timers.idleHoldMaximum = max(value, timers.idleHoldMaximum)
        }
        if let field = fields["idle-hold-maximum"], let value = field.seconds(0...3600) {
            if value < timers.idleHoldMinimum { field.error("this is below idle-hold, \(timers.idleHoldMinimum)s") }
            timers.idleHoldMaximum = value
        }
        if let value = fields["delay-open"]?.seconds(0...240) { timers.delayOpen = value }
    }

    /// A number, or `none` for no limit, which is something else than to say nothing.
    private static func limit(_ field: Field, _ wanted: String) -> UInt32? {
        if field.scalar == "none" { return FamilyConfiguration.unlimited }
        return field.number(1...(UInt32.max - 1), "\(wanted), or none,")
    }

    private func families(_ layers: LayeredReader, _ address: IPAddress) -> [FamilyConfiguration] {
        let limit = layers["max-prefix"].flatMap { Self.limit($0, "a number of prefixes") }
        func family(_ family: RouteFamily) -> FamilyConfiguration {
            var result = FamilyConfiguration(family)
            if let limit { result.maximumPrefixes = limit }
            return result
        }
        guard let field = layers["families"] else { return [family(RouteFamily(address.family))] }
        guard field.isMapping else {
            let list = field.list(atMost: 16) ?? []
            if list.isEmpty {
                field.error("at least one family is needed: \(Spelling.choice(RouteFamily.configurable.map(\.description)))")
            }
            var seen: Set<RouteFamily> = []
            return list.compactMap { entry in
                entry.routeFamily().flatMap {
                    seen.insert($0).inserted ? family($0) : entry.wrong("\($0) is written twice")
                }
            }
        }
        guard let mapping = MappingReader(field, keys: RouteFamily.configurable.map(\.description)) else { return [] }
        if mapping.entries.isEmpty {
            field.error("at least one family is needed: \(Spelling.choice(RouteFamily.configurable.map(\.description)))")
        }
        return mapping.entries.compactMap { name, value in
            guard let known = RouteFamily.configurable.first(where: { $0.description == name }) else { return nil }
            var result = family(known)
            guard let details = MappingReader(value, keys: ["max-prefix", "warning", "warning-only", "restart"]) else {
                return result
            }
            if let field = details["max-prefix"], let value = Self.limit(field, "a number of prefixes") {
                result.maximumPrefixes = value
            }
            if let value = details["warning"]?.number(1...100 as ClosedRange<UInt8>, "per cent") { result.warningPercent = value }
            if let value = details["warning-only"]?.flag() { result.warningOnly = value }
            if let field = details["restart"], let time = field.duration(.seconds(60)...(.seconds(60 * 65535))) {
                if time.components.seconds % 60 != 0 { field.error("whole minutes are expected") }
                result.restartMinutes = UInt16(time.components.seconds / 60)
            }
            if result.maximumPrefixes == FamilyConfiguration.unlimited,
                details.entries.contains(where: { $0.key != "max-prefix" })
            {
                value.error("with 'max-prefix: none' there is no limit of which these could say something")
            }
            return result
        }
    }

    private mutating func policyNames(_ field: Field) -> [String] {
        let known = policies.policyNames
        return (field.list(atMost: 64) ?? []).compactMap { entry in
            guard let name = entry.name("the name of a policy") else { return nil }
            guard known.contains(name) else {
                let near = Spelling.nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
                return entry.wrong("there is no policy '\(name)'\(near)")
            }
            usedPolicies.insert(name)
            return name
        }
    }

    /// What concerns a neighbour as a whole.
    private func check(
        _ neighbor: NeighborConfiguration, _ layers: LayeredReader, _ place: Field, isExternal: Bool
    ) {
        let address = neighbor.address
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
            (layers["multihop"] ?? place).error("'multihop' and 'ttl-security' exclude each other; ttl-security: N allows N hops")
        }
        let isConnected = networks.interface(reaching: address) != nil
        if !isConnected, isExternal, neighbor.multihop == 0, neighbor.ttlSecurityHops < 2 {
            place.error(
                "\(address) is on no connected network\(networks.hint(address.family)); "
                    + "for a neighbor farther away write multihop: 2 or more")
        } else if !isConnected, !staticRoutes.contains(where: { $0.prefix.contains(address) }) {
            place.warn("no connected network or static route leads to \(address)")
        }
        if let local = neighbor.localAddress, let field = layers["local-address"] {
            if local.family != address.family {
                field.error("\(local) is not of the family of \(address)")
            } else if !networks.isOwn(local) {
                let own = networks.addresses.filter { $0.family == address.family }.prefix(4).map { "\($0)" }
                field.error("\(local) is no address of the router\(own.isEmpty ? "" : "; it has \(own.joined(separator: ", "))")")
            }
        }
        for family in neighbor.families where family.family.addressFamily.map({ !networks.hasAddress(of: $0) }) ?? false {
            (layers["families"] ?? place).warn(
                "no interface has an address of \(family.family), so there is no next hop to announce")
        }
        if isExternal, configuration.ebgpRequiresPolicy, !neighbor.isShutdown {
            let missing = [("import", neighbor.importPolicies.isEmpty), ("export", neighbor.exportPolicies.isEmpty)]
            for (key, isMissing) in missing where isMissing && layers[key] == nil {
                place.warn(
                    "without '\(key)' nothing is \(key == "import" ? "accepted from" : "sent to") this external neighbor "
                        + "(RFC 8212); write \(key): accept-all if that is not wanted")
            }
        }
    }
}
