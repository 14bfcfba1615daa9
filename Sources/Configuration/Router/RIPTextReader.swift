import RIP
import Records
import Wire

/// The sections `rip` (RIPv2) and `ripng` (RIPng).
struct RIPTextReader {
    let version: RIPVersion
    /// Interfaces of the router; those named here must be among them.
    let interfaces: [InterfaceConfiguration]
    private var configuration: RIPConfiguration
    private var interfaceNames: Set<String> = []

    static let neighborsMaximum = 64
    static let horizons: [(name: String, horizon: RIPSplitHorizon)] = [
        ("poisoned-reverse", .poisonedReverse), ("simple", .simple), ("none", .none),
    ]
    static let sendModes: [(name: String, mode: RIPSendMode)] = [
        ("2", .v2), ("1", .v1), ("1-compatible", .v1Compatible), ("none", .none),
    ]
    static let receiveModes: [(name: String, mode: RIPReceiveMode)] = [
        ("2", .v2), ("1", .v1), ("both", .both), ("none", .none),
    ]
    static let algorithms: [(name: String, algorithm: RIPKey.Algorithm)] = [
        ("md5", .md5), ("hmac-sha-1", .hmacSHA1), ("hmac-sha-256", .hmacSHA256), ("hmac-sha-384", .hmacSHA384),
        ("hmac-sha-512", .hmacSHA512),
    ]

    static func read(_ field: Field, version: RIPVersion, interfaces: [InterfaceConfiguration]) -> RIPConfiguration? {
        guard
            let mapping = MappingReader(
                field,
                keys: [
                    "interfaces", "timers", "distance", "default-metric", "default-originate", "maximum-paths", "limits",
                ],
                foreign: [
                    "interface": "interfaces", "network": "interfaces", "networks": "interfaces",
                    "redistribute": "redistribute at the top level", "default-information": "default-originate",
                    "ecmp": "maximum-paths", "version": "send and receive at an interface",
                    "passive-interface": "passive: true at an interface", "neighbor": "neighbors at an interface",
                    "neighbors": "neighbors at an interface", "offset-list": "metric or metric-offset at an interface",
                ])
        else { return nil }
        var reader = RIPTextReader(version: version, interfaces: interfaces)
        reader.read(mapping)
        return reader.configuration
    }

    private init(version: RIPVersion, interfaces: [InterfaceConfiguration]) {
        self.version = version
        self.interfaces = interfaces
        configuration = RIPConfiguration(version: version)
    }

    private mutating func read(_ mapping: MappingReader) {
        if let value = mapping["distance"]?.number(1...255 as ClosedRange<UInt8>) { configuration.distance = value }
        if let value = mapping["maximum-paths"]?.number(1...64 as ClosedRange<UInt8>) { configuration.maximumPaths = value }
        if let value = mapping["default-metric"]?.number(1...16 as ClosedRange<UInt8>, "a metric") {
            configuration.defaultMetric = value
        }
        readTimers(mapping)
        readDefaultOriginate(mapping)
        readLimits(mapping)
        guard let list = mapping["interfaces"]?.list(atMost: RouterText.interfacesMaximum) else {
            return mapping.field.warn("without 'interfaces' \(version) runs nowhere")
        }
        for field in list { if let value = interface(field) { configuration.interfaces.append(value) } }
    }

    private mutating func readTimers(_ mapping: MappingReader) {
        guard let field = mapping["timers"],
            let fields = MappingReader(
                field, keys: ["update", "timeout", "garbage", "triggered-initial", "triggered-minimum", "triggered-maximum"],
                foreign: [
                    "invalid": "timeout", "flush": "garbage", "holddown": "garbage", "basic": "update, timeout and garbage",
                ])
        else { return }
        func whole(_ key: String, _ range: ClosedRange<UInt32>) -> UInt32? {
            let limits = Duration.seconds(Int(range.lowerBound)) ... .seconds(Int(range.upperBound))
            guard let field = fields[key], let time = field.duration(limits) else { return nil }
            guard time.components.attoseconds == 0 else { return field.wrong("whole seconds are expected") }
            return UInt32(time.components.seconds)
        }
        if let value = whole("update", 1...3_600) { configuration.timers.update = UInt16(value) }
        if let value = whole("timeout", 2...36_000) { configuration.timers.timeout = value }
        if let value = whole("garbage", 1...36_000) { configuration.timers.garbage = value }
        func milliseconds(_ key: String, _ maximum: Int, _ place: WritableKeyPath<RIPTimers, UInt16>) {
            guard let value = fields[key]?.milliseconds(.zero ... .milliseconds(maximum)) else { return }
            configuration.timers[keyPath: place] = UInt16(value)
        }
        milliseconds("triggered-initial", 5_000, \.triggeredInitial)
        milliseconds("triggered-minimum", 60_000, \.triggeredMinimum)
        milliseconds("triggered-maximum", 60_000, \.triggeredMaximum)
        if configuration.timers.timeout <= UInt32(configuration.timers.update) {
            (fields["timeout"] ?? field).error(
                "routes would time out between two updates; write a timeout of several times update")
        }
        if configuration.timers.triggeredMaximum < configuration.timers.triggeredMinimum {
            (fields["triggered-maximum"] ?? field).error("this is below triggered-minimum")
        }
    }

    private mutating func readDefaultOriginate(_ mapping: MappingReader) {
        guard let field = mapping["default-originate"] else { return }
        guard field.isMapping else {
            if field.flag() == true { configuration.defaultOriginate = RIPDefaultOriginate() }
            return
        }
        guard let fields = MappingReader(field, keys: ["always", "metric", "tag"]) else { return }
        var value = RIPDefaultOriginate()
        if let flag = fields["always"]?.flag() { value.always = flag }
        if let metric = fields["metric"]?.number(1...15 as ClosedRange<UInt8>, "a metric") { value.metric = metric }
        if let tag = fields["tag"]?.number(0...UInt16.max) { value.tag = tag }
        configuration.defaultOriginate = value
    }

    private mutating func readLimits(_ mapping: MappingReader) {
        guard let field = mapping["limits"],
            let fields = MappingReader(
                field, keys: ["routes", "routes-per-neighbor", "neighbors-per-interface", "requests-per-second"])
        else { return }
        let routes: ClosedRange<UInt32> = 1...1_000_000
        if let value = fields["routes"]?.number(routes) { configuration.limits.routesMaximum = value }
        if let value = fields["routes-per-neighbor"]?.number(routes) { configuration.limits.routesPerNeighbor = value }
        if let value = fields["neighbors-per-interface"]?.number(1...4_096 as ClosedRange<UInt16>) {
            configuration.limits.neighborsPerInterface = value
        }
        if let value = fields["requests-per-second"]?.number(1...10_000 as ClosedRange<UInt16>) {
            configuration.limits.requestsPerSecond = value
        }
    }

    // MARK: interfaces

    private mutating func interface(_ field: Field) -> RIPInterfaceConfiguration? {
        if !field.isMapping { return name(field).map { RIPInterfaceConfiguration(name: $0) } }
        let own = version == .v2 ? ["send", "receive", "authentication", "ttl-security"] : []
        guard
            let mapping = MappingReader(
                field,
                keys: ["name", "passive", "split-horizon", "metric", "metric-offset", "neighbors", "bfd", "suppress-prefixes"]
                    + own,
                foreign: [
                    "cost": "metric", "poison-reverse": "split-horizon: poisoned-reverse", "neighbor": "neighbors",
                    "offset-in": "metric", "offset-out": "metric-offset", "password": "authentication", "keys": "authentication",
                    "version": "send and receive",
                ]),
            let name = mapping.required("name").flatMap({ name($0) })
        else { return nil }
        var value = RIPInterfaceConfiguration(name: name)
        if let flag = mapping["passive"]?.flag() { value.isPassive = flag }
        if let word = mapping["split-horizon"]?.choice(Self.horizons.map(\.name)),
            let known = Self.horizons.first(where: { $0.name == word })
        {
            value.splitHorizon = known.horizon
        }
        if let metric = mapping["metric"]?.number(1...15 as ClosedRange<UInt8>, "a metric") { value.metric = metric }
        if let offset = mapping["metric-offset"]?.number(0...15 as ClosedRange<UInt8>) { value.metricOffset = offset }
        if let flag = mapping["bfd"]?.flag() { value.bfd = flag }
        if let flag = mapping["suppress-prefixes"]?.flag() { value.suppressesPrefixes = flag }
        if let field = mapping["neighbors"] { value.neighbors = neighbors(field, name) }
        guard version == .v2 else { return value }
        if let flag = mapping["ttl-security"]?.flag() { value.ttlSecurity = flag }
        if let word = mapping["send"]?.choice(Self.sendModes.map(\.name)),
            let known = Self.sendModes.first(where: { $0.name == word })
        {
            value.send = known.mode
        }
        if let word = mapping["receive"]?.choice(Self.receiveModes.map(\.name)),
            let known = Self.receiveModes.first(where: { $0.name == word })
        {
            value.receive = known.mode
        }
        if let field = mapping["authentication"], let authentication = authentication(field) {
            value.authentication = authentication
            if value.send == .v1 || value.receive == .v1 {
                field.error("version 1 knows no authentication (RFC 2453 §4.1)")
            }
        }
        return value
    }

    private mutating func name(_ field: Field) -> String? {
        guard let name = field.interfaceName(of: interfaces) else { return nil }
        guard interfaceNames.insert(name).inserted else { return field.wrong("interface '\(name)' is written twice") }
        let isUsable = interfaces.first { $0.name == name }.map { interface in
            interface.isLoopback || version == .ng || interface.addresses.contains { $0.address.family == version.family }
        }
        if isUsable == false { field.warn("interface '\(name)' has no IPv4 address; nothing is sent there") }
        return name
    }

    private func neighbors(_ field: Field, _ name: String) -> [IPAddress] {
        var seen: Set<IPAddress> = []
        return (field.list(atMost: Self.neighborsMaximum) ?? []).compactMap { entry in
            guard let address = entry.address() else { return nil }
            guard address.family == version.family else {
                return entry.wrong("\(address) is not of the family of \(version)")
            }
            guard seen.insert(address).inserted else { return entry.wrong("\(address) is written twice") }
            switch address {
            case .v6(let v6) where !v6.isLinkLocal:
                return entry.wrong("\(address) is not link-local, and RIPng routers know each other by such addresses")
            case .v6: return address
            case .v4:
                let own = interfaces.first { $0.name == name }?.addresses ?? []
                if own.contains(where: { $0.address == address }) { return entry.wrong("\(address) is the router itself") }
                guard own.contains(where: { $0.address.family == .ipv4 && $0.address.prefix($0.prefixLength).contains(address) })
                else { return entry.wrong("\(address) is on no network of interface '\(name)'") }
                return address
            }
        }
    }

    private func authentication(_ field: Field) -> RIPAuthentication? {
        guard
            let mapping = MappingReader(
                field, keys: ["password", "keys"],
                foreign: [
                    "type": "password (simple) or keys (cryptographic)", "mode": "password (simple) or keys (cryptographic)",
                    "key": "keys", "key-chain": "keys",
                ])
        else { return nil }
        switch (mapping["password"], mapping["keys"]) {
        case (let field?, nil): return field.secret(1...16, "a password").map { .simple($0) }
        case (let field?, _?): return field.wrong("'password' and 'keys' exclude each other")
        case (nil, nil): return field.wrong("write password or keys")
        case (nil, let field?):
            var seen: Set<UInt8> = []
            var keys: [RIPKey] = []
            let list = field.list(atMost: 16) ?? []
            if list.isEmpty { field.error("at least one key is needed") }
            for entry in list {
                guard let key = key(entry) else { continue }
                if seen.insert(key.id).inserted { keys.append(key) } else { entry.error("key \(key.id) is written twice") }
            }
            return keys.isEmpty ? nil : .cryptographic(keys)
        }
    }

    private func key(_ field: Field) -> RIPKey? {
        guard
            let mapping = MappingReader(
                field, keys: ["id", "algorithm", "secret"], foreign: ["key": "secret", "password": "secret", "type": "algorithm"])
        else { return nil }
        let id = mapping.required("id").flatMap { $0.number(0...255 as ClosedRange<UInt8>) }
        let word = mapping["algorithm"]?.choice(Self.algorithms.map(\.name)) ?? "md5"
        let algorithm = Self.algorithms.first { $0.name == word }?.algorithm
        let secret = mapping.required("secret").flatMap { $0.secret(algorithm == .md5 ? 1...16 : 1...64) }
        guard let id, let algorithm, let secret else { return nil }
        return RIPKey(id: id, algorithm: algorithm, secret: secret)
    }
}
