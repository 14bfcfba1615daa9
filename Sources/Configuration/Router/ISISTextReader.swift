import ISIS
import Records
import Wire

/// The section `isis`.
struct ISISTextReader {
    /// Interfaces of the router; their places are what the configuration names them by.
    let interfaces: [InterfaceConfiguration]
    private var configuration: ISISConfiguration
    private var interfaceNames: Set<String> = []

    static let keys = [
        "net", "levels", "hostname", "metric-style", "interfaces", "multi-topology", "families", "authentication", "lsp",
        "spf-timers", "overload", "attached-bit", "distance", "maximum-paths", "leak-up", "leak-down", "summaries",
        "default-metric", "restart-helper", "three-way", "lifetime-protection", "purge-originator", "limits",
    ]

    static func read(_ field: Field, interfaces: [InterfaceConfiguration], hostname: String) -> ISISConfiguration? {
        guard
            let mapping = MappingReader(
                field, keys: keys,
                foreign: [
                    "system-id": "net", "area": "net", "is-type": "levels", "level": "levels", "interface": "interfaces",
                    "redistribute": "redistribute at the top level", "topology": "multi-topology",
                    "area-password": "authentication",
                    "domain-password": "authentication", "lsp-mtu": "lsp: {mtu: N}", "set-overload-bit": "overload",
                ])
        else { return nil }
        var areas: [AreaAddress] = []
        var system: SystemID?
        if let field = mapping.required("net", "write it like 49.0001.0000.0000.0001.00") {
            for field in field.list(atMost: 3) ?? [] {
                guard let text = field.text(1...60, "a network entity title") else { continue }
                guard let title = NetworkEntityTitle(text), title.system != .zero else {
                    field.error("'\(text)' is no network entity title; write it like 49.0001.0000.0000.0001.00")
                    continue
                }
                if let system, system != title.system { field.error("all titles must have the system \(system)") }
                system = title.system
                if areas.contains(title.area) {
                    field.error("area \(title.area) is written twice")
                } else {
                    areas.append(title.area)
                }
            }
        }
        var reader = ISISTextReader(
            interfaces: interfaces,
            configuration: ISISConfiguration(systemID: system ?? .zero, areaAddresses: areas.sorted()))
        reader.configuration.hostname = hostname
        reader.read(mapping)
        return reader.configuration
    }

    private init(interfaces: [InterfaceConfiguration], configuration: ISISConfiguration) {
        self.interfaces = interfaces
        self.configuration = configuration
    }

    static let levels: [(name: String, levels: ISISLevels)] = [("1", .level1), ("2", .level2), ("1-2", .level1And2)]
    static let styles: [(name: String, style: ISISMetricStyle)] = [
        ("wide", .wide), ("narrow", .narrow), ("transition", .transition),
    ]

    private func levels(_ field: Field) -> ISISLevels? {
        field.choice(Self.levels.map(\.name)).flatMap { word in Self.levels.first { $0.name == word }?.levels }
    }

    private mutating func read(_ mapping: MappingReader) {
        if let levels = mapping["levels"].flatMap({ levels($0) }) { configuration.levels = levels }
        if let name = mapping["hostname"]?.text(0...255, "a host name") { configuration.hostname = name }
        if let word = mapping["metric-style"]?.choice(Self.styles.map(\.name)) {
            configuration.metricStyle = Self.styles.first { $0.name == word }!.style
        }
        if let field = mapping["families"] {
            let words = (field.list(atMost: 2) ?? []).compactMap { $0.choice(["ipv4", "ipv6"]) }
            if words.isEmpty { field.error("at least one family is needed: ipv4 or ipv6") }
            configuration.isIPv4Enabled = words.contains("ipv4")
            configuration.isIPv6Enabled = words.contains("ipv6")
        }
        if let field = mapping["multi-topology"] {
            configuration.topologies = field.flag() == true ? [.ipv6Unicast] : []
        }
        if let field = mapping["authentication"],
            let levels = MappingReader(field, keys: ["level-1", "level-2", "snp"])
        {
            configuration.level1.authentication = levels["level-1"].flatMap { Self.keyChain($0) }
            configuration.level2.authentication = levels["level-2"].flatMap { Self.keyChain($0) }
            if let flag = levels["snp"]?.flag() {
                configuration.level1.authenticatesSNP = flag
                configuration.level2.authenticatesSNP = flag
            }
        }
        readLSP(mapping)
        readPolicy(mapping)
        for field in mapping["interfaces"]?.list(atMost: RouterText.interfacesMaximum) ?? [] {
            if let interface = interface(field) { configuration.interfaces.append(interface) }
        }
        configuration.interfaces.sort { $0.interface < $1.interface }
    }

    private mutating func readLSP(_ mapping: MappingReader) {
        if let field = mapping["lsp"],
            let lsp = MappingReader(
                field,
                keys: [
                    "mtu", "lifetime", "refresh", "pacing", "retransmit", "psnp-interval", "initial-delay", "second-delay",
                    "maximum-delay",
                ])
        {
            if let number = lsp["mtu"]?.number(512...9000 as ClosedRange<UInt16>) { configuration.lspMTU = number }
            if let time = lsp["lifetime"]?.seconds(350...65_535) { configuration.lspLifetime = time }
            if let time = lsp["refresh"]?.seconds(1...65_235) { configuration.lspRefresh = time }
            if Int(configuration.lspRefresh) + 300 > Int(configuration.lspLifetime) {
                field.error("refresh must be at least 300 s less than lifetime")
            }
            if let time = lsp["pacing"]?.milliseconds(.milliseconds(1) ... .seconds(1)) { configuration.lspPacing = UInt16(time) }
            if let time = lsp["retransmit"]?.seconds(1...600) { configuration.lspRetransmit = time }
            if let time = lsp["psnp-interval"]?.milliseconds(.milliseconds(100) ... .seconds(10)) {
                configuration.psnpInterval = UInt16(time)
            }
            let range = Duration.zero...Duration.seconds(120)
            if let time = lsp["initial-delay"]?.milliseconds(range) { configuration.generation.initialDelay = time }
            if let time = lsp["second-delay"]?.milliseconds(range) { configuration.generation.secondDelay = time }
            if let time = lsp["maximum-delay"]?.milliseconds(range) { configuration.generation.maximumDelay = time }
        }
        if let field = mapping["spf-timers"],
            let timers = MappingReader(
                field, keys: ["initial-delay", "short-delay", "long-delay", "time-to-learn", "hold-down"])
        {
            let range = Duration.zero...Duration.seconds(60)
            if let time = timers["initial-delay"]?.milliseconds(range) { configuration.spf.initialDelay = time }
            if let time = timers["short-delay"]?.milliseconds(range) { configuration.spf.shortDelay = time }
            if let time = timers["long-delay"]?.milliseconds(range) { configuration.spf.longDelay = time }
            if let time = timers["time-to-learn"]?.milliseconds(range) { configuration.spf.timeToLearn = time }
            if let time = timers["hold-down"]?.milliseconds(range) { configuration.spf.holdDown = time }
            if configuration.spf.holdDown <= configuration.spf.timeToLearn {
                field.error("hold-down must be above time-to-learn (RFC 8405 §5)")
            }
        }
    }

    private mutating func readPolicy(_ mapping: MappingReader) {
        if let field = mapping["overload"] {
            if field.isMapping, let overload = MappingReader(field, keys: ["always", "on-startup"]) {
                configuration.overload.isSet = overload["always"]?.flag() ?? false
                configuration.overload.onStartup = overload["on-startup"]?.seconds(0...65_535).map { UInt32($0) } ?? 0
            } else {
                configuration.overload.isSet = field.flag() ?? false
            }
        }
        if let field = mapping["attached-bit"], let bit = MappingReader(field, keys: ["send", "receive"]) {
            if let flag = bit["send"]?.flag() { configuration.attachedBit.isSent = flag }
            if let flag = bit["receive"]?.flag() { configuration.attachedBit.isHonored = flag }
        }
        if let field = mapping["distance"] {
            let range: ClosedRange<UInt8> = 1...255
            if field.isMapping, let distances = MappingReader(field, keys: ["level-1", "level-2", "external"]) {
                if let value = distances["level-1"]?.number(range) { configuration.level1Distance = value }
                if let value = distances["level-2"]?.number(range) { configuration.level2Distance = value }
                if let value = distances["external"]?.number(range) { configuration.externalDistance = value }
            } else if let value = field.number(range) {
                configuration.level1Distance = value
                configuration.level2Distance = value
                configuration.externalDistance = value
            }
        }
        if let paths = mapping["maximum-paths"]?.number(1...64 as ClosedRange<UInt8>) { configuration.maximumPaths = paths }
        if let field = mapping["leak-up"] { configuration.leakingUp = leaking(field) }
        if let field = mapping["leak-down"] { configuration.leakingDown = leaking(field) }
        for field in mapping["summaries"]?.list(atMost: 4096) ?? [] {
            if let summary = summary(field) { configuration.summaries.append(summary) }
        }
        if let metric = mapping["default-metric"]?.number(0...16_777_215 as ClosedRange<UInt32>) {
            configuration.redistributionMetric = metric
        }
        if let flag = mapping["restart-helper"]?.flag() { configuration.isRestartHelper = flag }
        if let word = mapping["three-way"]?.choice(["optional", "required"]) {
            configuration.requiresThreeWay = word == "required"
        }
        if let flag = mapping["lifetime-protection"]?.flag() { configuration.lifetimeProtection = flag }
        if let flag = mapping["purge-originator"]?.flag() { configuration.purgeOriginator = flag }
        let bounds = ["lsps", "adjacencies", "routes", "octets", "redistributed"]
        if let field = mapping["limits"], let limits = MappingReader(field, keys: bounds) {
            if let number = limits["lsps"]?.number(16...1_000_000 as ClosedRange<UInt32>) { configuration.limits.lsps = number }
            if let number = limits["adjacencies"]?.number(1...1024 as ClosedRange<UInt16>) {
                configuration.limits.adjacencies = number
            }
            if let number = limits["routes"]?.number(16...10_000_000 as ClosedRange<UInt32>) {
                configuration.limits.routes = number
            }
            if let number = limits["octets"]?.number(65_536...1_073_741_824 as ClosedRange<UInt32>) {
                configuration.limits.octets = number
            }
            if let number = limits["redistributed"]?.number(0...1_000_000 as ClosedRange<UInt32>) {
                configuration.limits.redistributed = number
            }
        }
    }

    /// `true`, `false`, or a list of rules.
    private func leaking(_ field: Field) -> ISISLeaking {
        if case .scalar = field.tree.content { return ISISLeaking(isEnabled: field.flag() ?? false) }
        var rules: [ISISLeaking.Rule] = []
        for field in field.list(atMost: 4096) ?? [] {
            guard let mapping = MappingReader(field, keys: ["prefix", "ge", "le", "permit"]),
                let prefix = mapping.required("prefix").flatMap({ $0.prefix() })
            else { continue }
            let most: UInt8 = prefix.family == .ipv4 ? 32 : 128
            let low = mapping["ge"]?.number(prefix.length...most)
            let high = mapping["le"]?.number((low ?? prefix.length)...most)
            rules.append(
                ISISLeaking.Rule(
                    prefix, minimumLength: low ?? prefix.length, maximumLength: high ?? (low == nil ? prefix.length : most),
                    isPermitted: mapping["permit"]?.flag() ?? true))
        }
        return ISISLeaking(isEnabled: true, rules: rules)
    }

    private func summary(_ field: Field) -> ISISSummary? {
        guard field.isMapping else { return field.prefix().map { ISISSummary(prefix: $0) } }
        guard let mapping = MappingReader(field, keys: ["prefix", "levels", "metric", "tag"]),
            let prefix = mapping.required("prefix").flatMap({ $0.prefix() })
        else { return nil }
        var value = ISISSummary(prefix: prefix)
        if let levels = mapping["levels"].flatMap({ levels($0) }) { value.levels = levels }
        value.metric = mapping["metric"]?.number(1...16_777_214 as ClosedRange<UInt32>)
        value.tag = mapping["tag"]?.number(0...UInt32.max) ?? 0
        return value
    }

    // MARK: interfaces

    static let interfaceKeys = [
        "name", "levels", "network", "passive", "padding", "metric", "ipv6-metric", "hello", "multiplier", "priority",
        "level-1", "level-2", "csnp-interval", "point-to-point-csnp-interval", "bfd", "authentication", "tag",
        "multi-topology",
    ]
    static let paddings: [(name: String, padding: ISISHelloPadding)] = [
        ("always", .always), ("until-adjacency", .untilAdjacency), ("never", .never),
    ]

    private mutating func interface(_ field: Field) -> ISISInterfaceConfiguration? {
        guard field.isMapping else { return place(field).map { usual($0) } }
        guard
            let mapping = MappingReader(
                field, keys: Self.interfaceKeys,
                foreign: [
                    "hello-interval": "hello", "hello-multiplier": "multiplier", "circuit-type": "levels", "level": "levels",
                    "type": "network", "interface": "name", "hello-padding": "padding", "password": "authentication",
                ]), let place = mapping.required("name").flatMap({ self.place($0) })
        else { return nil }
        var value = usual(place)
        if let field = mapping["levels"], let levels = levels(field) {
            value.levels = levels
            if levels.intersection(configuration.levels) == nil { field.error("the router does not run this level") }
        }
        if let word = mapping["network"]?.choice(["broadcast", "point-to-point"]) {
            value.networkType = word == "broadcast" ? .broadcast : .pointToPoint
        }
        if let flag = mapping["passive"]?.flag() { value.isPassive = flag }
        if let word = mapping["padding"]?.choice(Self.paddings.map(\.name)) {
            value.padding = Self.paddings.first { $0.name == word }!.padding
        }
        readLevel(mapping, &value.level1)
        readLevel(mapping, &value.level2)
        for (key, level) in [("level-1", Level.one), ("level-2", .two)] {
            guard let field = mapping[key],
                let own = MappingReader(
                    field, keys: ["metric", "ipv6-metric", "hello", "multiplier", "priority"])
            else { continue }
            readLevel(own, &value[level])
        }
        if let time = mapping["csnp-interval"]?.seconds(1...600) { value.csnpInterval = time }
        if let time = mapping["point-to-point-csnp-interval"]?.seconds(0...600) { value.pointToPointCSNPInterval = time }
        if let flag = mapping["bfd"]?.flag() { value.bfd = flag }
        value.authentication = mapping["authentication"].flatMap { Self.keyChain($0) }
        value.tag = mapping["tag"]?.number(0...UInt32.max) ?? 0
        if let field = mapping["multi-topology"] { value.topologies = field.flag() == true ? [.ipv6Unicast] : [] }
        return value
    }

    private func usual(_ place: UInt16) -> ISISInterfaceConfiguration {
        var value = ISISInterfaceConfiguration(interface: place)
        value.isPassive = interfaces[Int(place)].isLoopback
        return value
    }

    private func readLevel(_ mapping: MappingReader, _ level: inout ISISInterfaceLevelConfiguration) {
        let metric: ClosedRange<UInt32> = configuration.metricStyle == .narrow ? 1...63 : 1...16_777_214
        if let value = mapping["metric"]?.number(metric) { level.metric = value }
        if let value = mapping["ipv6-metric"]?.number(metric) { level.ipv6Metric = value }
        if let time = mapping["hello"]?.milliseconds(.milliseconds(100) ... .seconds(600)) { level.helloInterval = time }
        if let value = mapping["multiplier"]?.number(2...100 as ClosedRange<UInt8>) { level.helloMultiplier = value }
        if let value = mapping["priority"]?.number(0...127 as ClosedRange<UInt8>) { level.priority = value }
    }

    private mutating func place(_ field: Field) -> UInt16? {
        guard let name = field.interfaceName(of: interfaces) else { return nil }
        guard interfaceNames.insert(name).inserted else { return field.wrong("interface '\(name)' is written twice") }
        return interfaces.firstIndex { $0.name == name }.map { UInt16($0) }
    }

    // MARK: authentication

    static let algorithms: [(name: String, algorithm: ISISAuthenticationAlgorithm)] = [
        ("clear-text", .clearText), ("hmac-md5", .hmacMD5), ("hmac-sha-1", .hmacSHA1), ("hmac-sha-224", .hmacSHA224),
        ("hmac-sha-256", .hmacSHA256), ("hmac-sha-384", .hmacSHA384), ("hmac-sha-512", .hmacSHA512),
    ]

    private static func keyChain(_ field: Field) -> ISISKeyChain? {
        guard
            let mapping = MappingReader(
                field, keys: ["keys", "send-only"],
                foreign: ["key": "keys", "password": "keys", "type": "keys with an algorithm"]),
            let list = mapping.required("keys")?.list(atMost: 8)
        else { return nil }
        var keys: [ISISKey] = []
        for field in list {
            guard let key = MappingReader(field, keys: ["id", "algorithm", "secret"], foreign: ["password": "secret"]) else {
                continue
            }
            let word = key["algorithm"]?.choice(algorithms.map(\.name)) ?? "hmac-sha-256"
            let algorithm = algorithms.first { $0.name == word }!.algorithm
            let id = key["id"]?.number(0...UInt16.max) ?? 0
            // RFC 5310 §3.1: what both sides call the key is part of every packet.
            if algorithm != .clearText, algorithm != .hmacMD5 {
                _ = key.required("id", "keys of RFC 5310 have a number")
            } else if let field = key["id"] {
                field.error("only keys of RFC 5310 (hmac-sha-…) have a number")
            }
            guard let secret = key.required("secret").flatMap({ $0.secret(1...254) }) else { continue }
            keys.append(ISISKey(id: id, algorithm: algorithm, secret: Array(secret.utf8)))
        }
        guard !keys.isEmpty else { return nil }
        var chain = ISISKeyChain(keys: keys)
        chain.isSendOnly = mapping["send-only"]?.flag() ?? false
        return chain
    }
}
