import Wire

/// The router file as it grows. Sections that are empty are not written.
struct RouterDraft {
    /// An interface as far as the other configuration tells.
    struct Interface {
        var addresses: [String] = []
        var isLoopback = false
        var mtu: Int?
        var vlan: Int?
    }

    var hostname: String?
    var interfaces: [String: Interface] = [:]
    /// In order of appearance.
    private(set) var interfaceNames: [String] = []
    var keyChains = Mapping()
    var bfd = Mapping()
    var statics: [Node] = []
    var prefixSets = Mapping()
    var communitySets = Mapping()
    var asPathSets = Mapping()
    var policies = Mapping()
    var aggregates: [Node] = []
    var redistribute: [Node] = []
    var sections = Mapping()

    private(set) var notes: [Conversion.Note] = []
    private(set) var statements = 0

    // MARK: what is told

    /// A statement is named by so many of its characters.
    private static let shownMaximum = 200

    mutating func count() { statements += 1 }
    mutating func note(_ kind: Conversion.Note.Kind, _ line: Int, _ statement: String, _ reason: String) {
        let shown = statement.count > Self.shownMaximum ? statement.prefix(Self.shownMaximum) + " …" : statement[...]
        notes.append(Conversion.Note(kind: kind, line: line, statement: String(shown), reason: reason))
        if kind == .needless { statements -= 1 }
    }

    // MARK: interfaces

    mutating func interface(_ name: String, _ change: (inout Interface) -> Void = { _ in }) {
        if interfaces[name] == nil {
            interfaceNames.append(name)
            var fresh = Interface()
            fresh.isLoopback = name == "lo" || name.lowercased().hasPrefix("loopback") || name.hasPrefix("dummy")
            interfaces[name] = fresh
        }
        change(&interfaces[name]!)
    }

    /// Those with an address in the prefix.
    func interfaces(in prefix: String) -> [String] {
        guard let prefix = IPPrefix(prefix) else { return [] }
        return interfaceNames.filter { name in
            interfaces[name]!.addresses.contains { text in
                IPAddress(text.prefix { $0 != "/" }).map { prefix.contains($0) } ?? false
            }
        }
    }

    /// The first address of an interface in a family.
    func address(of name: String, isIPv6: Bool) -> String? {
        interfaces[name]?.addresses.first { $0.contains(":") == isIPv6 }.map { String($0.prefix { $0 != "/" }) }
    }

    // MARK: networks

    /// What BGP originates: a prefix once, of several statements what the last one says.
    mutating func addNetwork(_ network: Mapping) {
        guard case .scalar(let prefix)? = network["prefix"] else { return }
        sections[mapping: "bgp"][element: "networks", "prefix", prefix] = network
    }

    // MARK: policies

    /// A statement at the end of a policy.
    mutating func append(_ statement: Mapping, toPolicy name: String) {
        policies[list: name].append(.mapping(statement))
    }

    /// A policy of one statement that all of several policies must accept, or the one itself.
    mutating func conjunction(_ names: [String], as name: String) -> String {
        if names.count == 1 { return names[0] }
        let match = Node.list(names.map { .mapping(Mapping(["policy": .scalar($0)])) })
        policies[name] = .list([.mapping(Mapping(["match": match, "then": .scalar("accept")]))])
        return name
    }

    // MARK: the text

    func yaml(from dialect: Conversion.Dialect) -> String {
        var file = Mapping()
        if let hostname { file["hostname"] = .scalar(hostname) }
        if !interfaceNames.isEmpty { file["interfaces"] = .list(writtenInterfaces) }
        func put(_ key: String, _ node: Node, unless isEmpty: Bool) { if !isEmpty { file[key] = node } }
        put("key-chains", .list(keyChains.entries.map(\.node)), unless: keyChains.isEmpty)
        put("bfd", .mapping(bfd), unless: bfd.isEmpty)
        put("static-routes", .list(statics), unless: statics.isEmpty)
        put("prefix-sets", .mapping(prefixSets), unless: prefixSets.isEmpty)
        put("community-sets", .mapping(communitySets), unless: communitySets.isEmpty)
        put("as-path-sets", .mapping(asPathSets), unless: asPathSets.isEmpty)
        put("policies", .mapping(policies), unless: policies.isEmpty)
        put("aggregates", .list(aggregates), unless: aggregates.isEmpty)
        put("redistribute", .list(redistribute), unless: redistribute.isEmpty)
        for entry in sections.entries { put(entry.key, entry.node, unless: false) }
        return "# From a configuration of \(dialect.name). What could not be said here is in the list that came with it.\n"
            + Node.yaml(file)
    }

    private var writtenInterfaces: [Node] {
        var router = 0
        return interfaceNames.map { name in
            let interface = interfaces[name]!
            var written = Mapping(["name": .scalar(name)])
            if interface.isLoopback {
                written["loopback"] = Node(true)
            } else {
                // The MAC that the network sees hangs on it, and each network wants another.
                router += 1
                written["virtual-router-id"] = Node(min(router, 255))
            }
            if let vlan = interface.vlan { written["vlan"] = Node(vlan) }
            if let mtu = interface.mtu { written["mtu"] = Node(mtu) }
            written["addresses"] = Node(interface.addresses)
            return .mapping(written)
        }
    }
}

extension Conversion.Dialect {
    /// For people.
    public var name: String {
        switch self {
        case .frr: "FRRouting"
        case .bird: "BIRD"
        case .openbgpd: "OpenBGPD"
        }
    }
}
