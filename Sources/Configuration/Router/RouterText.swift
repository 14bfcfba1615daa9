import BGP
import Engine
import Records
import Wire

/// Reads router configurations: the whole file, or every reason why not.
public enum RouterText {
    /// - Parameters:
    ///   - file: for messages.
    public static func read(_ bytes: [UInt8], file: String) -> ConfigurationResult<RouterConfiguration> {
        let problems = Problems(file: file)
        let value = YAMLTree.parse(bytes, problems).flatMap { tree in
            var reader = RouterTextReader(Field(tree: tree, path: "", problems: problems))
            return reader?.read()
        }
        return ConfigurationResult(value, problems)
    }

    static let keys = [
        "hostname", "interfaces", "bfd", "static-routes", "aggregates", "redistribute", "prefix-sets", "community-sets",
        "policies", "ospf", "ospfv3", "ospfv3-ipv4", "isis", "rip", "ripng", "bgp", "testing",
    ]
    static let interfacesMaximum = 256
    static let addressesMaximum = 64
    static let staticRoutesMaximum = 65_536
    static let setEntriesMaximum = 65_536
    static let statementsMaximum = 4_096
    static let neighborsMaximum = 4_096
    static let networksMaximum = 65_536

    /// Policies that are there without being defined.
    static let builtIn = [
        PolicyConfiguration(name: "accept-all", statements: [PolicyStatement(result: .accept)]),
        PolicyConfiguration(name: "reject-all", statements: [PolicyStatement(result: .reject)]),
    ]
}

/// Reads the sections in an order in which each can check the names of those before.
struct RouterTextReader {
    let top: MappingReader
    var configuration = RouterConfiguration()
    /// Own addresses and connected networks; filled by `readInterfaces`.
    var networks = ConnectedNetworks()

    init?(_ root: Field) {
        guard
            let top = MappingReader(
                root, keys: RouterText.keys,
                foreign: [
                    "router-id": "bgp.router-id", "as": "bgp.as", "neighbors": "bgp.neighbors", "static": "static-routes",
                    "routes": "static-routes", "redistribution": "redistribute", "aggregate": "aggregates",
                    "route-maps": "policies", "filters": "policies", "prefix-lists": "prefix-sets",
                    "community-lists": "community-sets", "controller": "it in the controller's own file",
                    "redundancy": "it in the controller's own file",
                ])
        else { return nil }
        self.top = top
    }

    /// - Returns: a value that counts only if no error was noted.
    mutating func read() -> RouterConfiguration {
        if let name = top["hostname"]?.name("a host name") { configuration.hostname = name }
        readInterfaces()
        configuration.bfd = top["bfd"].flatMap { BFDTextReader.read($0, interfaces: configuration.interfaces) }
        readStaticRoutes()
        let policies = PolicyTextReader.read(top)
        if let field = top["bgp"] {
            configuration.bgp = BGPTextReader.read(
                field, networks: networks, staticRoutes: configuration.staticRoutes, policies: policies, bfd: configuration.bfd)
        } else if let policies = top["policies"] ?? top["prefix-sets"] ?? top["community-sets"] {
            policies.warn("nothing uses this without a 'bgp' section")
        }
        readInteriorGateways()
        // A section without entries is no section.
        let rules = top["redistribute"].map { RedistributionTextReader.readRules($0) } ?? []
        configuration.redistribution = rules.isEmpty ? nil : rules
        let aggregates = top["aggregates"].map { RedistributionTextReader.readAggregates($0) } ?? []
        configuration.aggregates = aggregates.isEmpty ? nil : aggregates
        readTesting()
        return configuration
    }

    private mutating func readInteriorGateways() {
        let interfaces = configuration.interfaces
        configuration.ospf = top["ospf"].flatMap {
            OSPFTextReader.read($0, version: .v2, family: .ipv4, interfaces: interfaces)
        }
        configuration.ospfv3 = top["ospfv3"].flatMap {
            OSPFTextReader.read($0, version: .v3, family: .ipv6, interfaces: interfaces)
        }
        configuration.ospfv3ipv4 = top["ospfv3-ipv4"].flatMap {
            OSPFTextReader.read($0, version: .v3, family: .ipv4, interfaces: interfaces)
        }
        configuration.isis = top["isis"].flatMap {
            ISISTextReader.read($0, interfaces: interfaces, hostname: configuration.hostname)
        }
        configuration.rip = top["rip"].flatMap { RIPTextReader.read($0, version: .v2, interfaces: interfaces) }
        configuration.ripng = top["ripng"].flatMap { RIPTextReader.read($0, version: .ng, interfaces: interfaces) }
    }

    // MARK: interfaces

    private mutating func readInterfaces() {
        guard let list = top["interfaces"]?.list(atMost: RouterText.interfacesMaximum) else { return }
        var names: Set<String> = []
        for field in list {
            guard
                let mapping = MappingReader(
                    field, keys: ["name", "loopback", "virtual-router-id", "mac", "vlan", "mtu", "addresses"],
                    foreign: ["address": "addresses", "vrid": "virtual-router-id", "device": "it in the controller's own file"])
            else { continue }
            let name = mapping.required("name").flatMap { field in
                field.name("an interface name", length: 1...15).flatMap { name in
                    names.insert(name).inserted ? name : field.wrong("there is another interface '\(name)'")
                }
            }
            let isLoopback = mapping["loopback"]?.flag() ?? false
            let mac = isLoopback ? loopbackMAC(mapping) : mac(mapping)
            let vlan = mapping["vlan"].map { $0.number(1...4094 as ClosedRange<UInt16>, "a VLAN") } ?? 0
            let mtu = mapping["mtu"].map { $0.number(1280...9216 as ClosedRange<UInt16>, "an MTU") } ?? 1500
            var addresses: [InterfaceConfiguration.Address] = []
            if let field = mapping.required("addresses"), let list = field.list(atMost: RouterText.addressesMaximum) {
                if list.isEmpty { field.error("at least one address is needed") }
                for field in list {
                    guard let address = address(field) else { continue }
                    addresses.append(address)
                    networks.add(address, of: name ?? field.path, field)
                }
            }
            configuration.interfaces.append(
                InterfaceConfiguration(
                    name: name ?? "", virtualMAC: mac ?? MACAddress(raw: 0), vlan: vlan ?? 0, mtu: mtu ?? 1500,
                    addresses: addresses, isLoopback: isLoopback))
        }
    }

    /// No device carries it, so it has no station address.
    private func loopbackMAC(_ mapping: MappingReader) -> MACAddress? {
        for key in ["mac", "virtual-router-id", "vlan"] { mapping[key]?.error("a loopback interface has none") }
        return MACAddress(raw: 0)
    }

    /// RFC 5798 §7.3: 00:00:5e:00:01 and the virtual router's number. (Its IPv6 block, 02, is not used: one MAC serves both.)
    private func mac(_ mapping: MappingReader) -> MACAddress? {
        switch (mapping["mac"], mapping["virtual-router-id"]) {
        case (let field?, nil):
            guard let text = field.text(1...40, "a MAC address") else { return nil }
            guard let mac = MACAddress(text) else {
                return field.wrong("'\(text)' is no MAC address; write it like 02:4c:53:00:00:01")
            }
            guard !mac.isGroup, mac.raw != 0 else { return field.wrong("\(mac) is not the address of one station") }
            return mac
        case (nil, let field?):
            return field.number(1...255 as ClosedRange<UInt64>, "a number").map { MACAddress(raw: 0x0000_5e00_0100 | $0) }
        case (let field?, _?): return field.wrong("'mac' and 'virtual-router-id' exclude each other")
        case (nil, nil):
            return mapping.field.wrong("the virtual MAC is missing; write virtual-router-id: 1 or mac: 02:…")
        }
    }

    private func address(_ field: Field) -> InterfaceConfiguration.Address? {
        guard let text = field.text(1...60, "an address with its prefix length") else { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard let address = IPAddress(parts[0]), parts.count <= 2 else {
            return field.wrong("'\(text)' is no address; write it like 198.18.0.1/24 or 2001:db8::1/64")
        }
        let bits: UInt8 = address.family == .ipv4 ? 32 : 128
        guard parts.count == 2 else {
            return field.wrong("'\(text)' has no prefix length; write it like \(text)/\(bits == 32 ? 24 : 64)")
        }
        guard let length = UInt8(parts[1]), (1...bits).contains(length), !parts[1].hasPrefix("+") else {
            return field.wrong("the prefix length '\(parts[1])' is not allowed; write a number from 1 to \(bits)")
        }
        switch address {
        case .v4(let v4):
            let mask = IPv4Prefix.mask(length)
            if v4.isMulticast || v4.isLoopback || v4 == .any || v4 == .broadcast {
                return field.wrong("\(address) cannot be a router's address")
            }
            if length < 31, v4.raw & ~mask == 0 {
                return field.wrong("\(address) is the network itself, not an address in it")
            }
            if length < 31, v4.raw | mask == .max {
                return field.wrong("\(address) is the broadcast address of its network")
            }
        case .v6(let v6):
            if v6.isMulticast || v6.isLoopback || v6 == .any { return field.wrong("\(address) cannot be a router's address") }
        }
        return InterfaceConfiguration.Address(address: address, prefixLength: length)
    }

    // MARK: static routes

    private mutating func readStaticRoutes() {
        guard let list = top["static-routes"]?.list(atMost: RouterText.staticRoutesMaximum) else { return }
        var seen: Set<StaticRouteConfiguration> = []
        for field in list {
            guard
                let mapping = MappingReader(
                    field, keys: ["prefix", "next-hop", "blackhole", "distance", "tag", "bfd"],
                    foreign: ["via": "next-hop", "gateway": "next-hop", "metric": "distance"])
            else { continue }
            let prefix = mapping.required("prefix").flatMap { $0.prefix() }
            let distance = mapping["distance"].map { $0.number(1...255 as ClosedRange<UInt8>) } ?? 1
            let tag = mapping["tag"].map { $0.number(0...UInt32.max) } ?? 0
            guard let prefix, let destination = destination(mapping, prefix) else { continue }
            if destination == .blackhole { mapping["bfd"]?.error("nobody is there to watch; the route has no next hop") }
            let route = StaticRouteConfiguration(
                prefix: prefix, destination: destination, distance: distance ?? 1, tag: tag ?? 0,
                bfd: BFDTextReader.wish(mapping["bfd"], configuration.bfd))
            // Distance and tag apart, it is the same route.
            if seen.insert(StaticRouteConfiguration(prefix: prefix, destination: destination)).inserted {
                configuration.staticRoutes.append(route)
            } else {
                field.error("the route to \(prefix) with this destination is written twice")
            }
        }
    }

    private func destination(_ mapping: MappingReader, _ prefix: IPPrefix) -> StaticRouteConfiguration.Destination? {
        let isBlackhole = mapping["blackhole"].map { $0.flag() } ?? false
        guard let isBlackhole else { return nil }
        guard let field = mapping["next-hop"] else {
            return isBlackhole ? .blackhole : mapping.field.wrong("the destination is missing; write next-hop or blackhole: true")
        }
        if isBlackhole { return field.wrong("'next-hop' and 'blackhole' exclude each other") }
        guard let nextHop = field.address() else { return nil }
        guard nextHop.family == prefix.family else { return field.wrong("\(nextHop) is not of the family of \(prefix)") }
        if networks.isOwn(nextHop) { return field.wrong("\(nextHop) is the router itself") }
        if networks.interface(reaching: nextHop) == nil {
            field.warn(
                "\(nextHop) is on no connected network\(networks.hint(nextHop.family)); the route waits for one that leads there")
        }
        return .nextHop(nextHop)
    }

    // MARK: testing

    private mutating func readTesting() {
        guard let field = top["testing"],
            let mapping = MappingReader(field, keys: ["enabled", "trap-on-prefix"])
        else { return }
        let isEnabled = mapping["enabled"]?.flag() ?? false
        configuration.testing.isEnabled = isEnabled
        if isEnabled { field.warn("failure injection is enabled; an operator's command can hang or crash this router") }
        guard let trap = mapping["trap-on-prefix"], let prefix = trap.prefix() else { return }
        if !isEnabled { trap.error("this needs enabled: true beside it") }
        configuration.bgp?.testing.trapOnPrefix = prefix
    }
}

/// The networks that the router's interfaces are on.
struct ConnectedNetworks {
    private var entries: [(address: IPAddress, network: IPPrefix, interface: String)] = []

    /// Notes what cannot be: an address twice, one network on two interfaces.
    mutating func add(_ address: InterfaceConfiguration.Address, of interface: String, _ field: Field) {
        let network = address.address.prefix(address.prefixLength)
        if case .v6(let v6) = address.address, v6.isLinkLocal {
            // Every interface has this network.
        } else if let same = entries.first(where: { $0.address == address.address }) {
            field.error("\(address.address) is an address of interface '\(same.interface)' already")
        } else if let other = entries.first(where: {
            $0.interface != interface && ($0.network.covers(network) || network.covers($0.network))
        }) {
            field.error("\(network) overlaps with \(other.network) of interface '\(other.interface)'")
        }
        entries.append((address.address, network, interface))
    }

    func isOwn(_ address: IPAddress) -> Bool { entries.contains { $0.address == address } }
    func interface(reaching address: IPAddress) -> String? { entries.first { $0.network.contains(address) }?.interface }
    func hasAddress(of family: AddressFamily) -> Bool { entries.contains { $0.address.family == family } }
    var addresses: [IPAddress] { entries.map(\.address) }
    /// "; connected are …"
    func hint(_ family: AddressFamily) -> String {
        let networks = entries.filter { $0.network.family == family }.prefix(4).map { "\($0.network)" }
        return networks.isEmpty
            ? "; no interface has an \(family == .ipv4 ? "IPv4" : "IPv6") address"
            : "; connected: \(networks.joined(separator: ", "))\(entries.count > 4 ? ", …" : "")"
    }
}
