import OSPF
import Records
import Wire

/// The sections `ospf` (OSPFv2), `ospfv3` (OSPFv3 for IPv6) and `ospfv3-ipv4` (OSPFv3 for IPv4, RFC 5838).
struct OSPFTextReader {
    let version: OSPFVersion
    let family: AddressFamily
    /// Interfaces of the router; an area's must be among them.
    let interfaces: [InterfaceConfiguration]
    private var configuration: OSPFConfiguration
    private var areaIDs: Set<IPv4Address> = []
    private var interfaceNames: Set<String> = []

    static let areasMaximum = 256
    static let rangesMaximum = 1024

    static func read(
        _ field: Field, version: OSPFVersion, family: AddressFamily, interfaces: [InterfaceConfiguration]
    ) -> OSPFConfiguration? {
        guard
            let mapping = MappingReader(
                field,
                keys: [
                    "router-id", "areas", "distance", "default-metric", "spf-timers", "lsa-timers", "stub-router",
                    "default-originate", "maximum-paths", "graceful-restart-helper", "rfc1583-compatibility", "limits",
                ] + (version == .v3 ? ["instance-id"] : []),
                foreign: [
                    "area": "areas", "interfaces": "them under their area", "redistribute": "redistribute at the top level",
                    "max-metric": "stub-router", "default-information": "default-originate", "timers": "spf-timers or lsa-timers",
                    "ecmp": "maximum-paths", "rfc1583compat": "rfc1583-compatibility",
                ])
        else { return nil }
        let id = mapping.required("router-id").flatMap { $0.routerID() }
        var reader = OSPFTextReader(
            version: version, family: family, interfaces: interfaces,
            configuration: OSPFConfiguration(version: version, family: family, routerID: id ?? IPv4Address(raw: 1)))
        // RFC 5838 §2.1
        if version == .v3, family == .ipv4 { reader.configuration.instanceID = 64 }
        reader.read(mapping)
        return reader.configuration
    }

    private init(
        version: OSPFVersion, family: AddressFamily, interfaces: [InterfaceConfiguration], configuration: OSPFConfiguration
    ) {
        self.version = version
        self.family = family
        self.interfaces = interfaces
        self.configuration = configuration
    }

    private mutating func read(_ mapping: MappingReader) {
        if let field = mapping["instance-id"] {
            let range: ClosedRange<UInt8> = family == .ipv6 ? 0...31 : 64...95
            if let number = field.number(range) { configuration.instanceID = number }
        }
        readDistance(mapping)
        if let metric = mapping["default-metric"]?.number(0...16_777_214 as ClosedRange<UInt32>) {
            configuration.defaultMetric = metric
        }
        if let paths = mapping["maximum-paths"]?.number(1...64 as ClosedRange<UInt8>) { configuration.maximumPaths = paths }
        if let flag = mapping["rfc1583-compatibility"]?.flag() { configuration.rfc1583Compatibility = flag }
        readTimers(mapping)
        readStubRouter(mapping)
        if let field = mapping["default-originate"] { configuration.defaultOriginate = Self.defaultOriginate(field) }
        if let field = mapping["graceful-restart-helper"],
            let helper = MappingReader(field, keys: ["enabled", "strict-lsa-checking", "grace-period-maximum"])
        {
            if let flag = helper["enabled"]?.flag() { configuration.gracefulRestartHelper.isEnabled = flag }
            if let flag = helper["strict-lsa-checking"]?.flag() { configuration.gracefulRestartHelper.strictLSAChecking = flag }
            if let time = helper["grace-period-maximum"]?.seconds(1...1800) {
                configuration.gracefulRestartHelper.gracePeriodMaximum = time
            }
        }
        if let field = mapping["limits"],
            let limits = MappingReader(field, keys: ["lsas", "neighbors-per-interface", "redistributed"])
        {
            if let number = limits["lsas"]?.number(16...10_000_000 as ClosedRange<UInt32>) {
                configuration.limits.lsasMaximum = number
            }
            if let number = limits["neighbors-per-interface"]?.number(1...4096 as ClosedRange<UInt16>) {
                configuration.limits.neighborsPerInterface = number
            }
            if let number = limits["redistributed"]?.number(0...1_000_000 as ClosedRange<UInt32>) {
                configuration.limits.redistributed = number
            }
        }
        guard let list = mapping.required("areas")?.list(atMost: Self.areasMaximum) else { return }
        for field in list { readArea(field) }
        configuration.areas.sort { $0.areaID < $1.areaID }
    }

    private mutating func readDistance(_ mapping: MappingReader) {
        guard let field = mapping["distance"] else { return }
        let range: ClosedRange<UInt8> = 1...255
        guard field.isMapping else {
            if let all = field.number(range) {
                configuration.distances.intraArea = all
                configuration.distances.interArea = all
                configuration.distances.external = all
            }
            return
        }
        guard let distances = MappingReader(field, keys: ["intra-area", "inter-area", "external"]) else { return }
        if let value = distances["intra-area"]?.number(range) { configuration.distances.intraArea = value }
        if let value = distances["inter-area"]?.number(range) { configuration.distances.interArea = value }
        if let value = distances["external"]?.number(range) { configuration.distances.external = value }
    }

    private mutating func readTimers(_ mapping: MappingReader) {
        if let field = mapping["spf-timers"],
            let timers = MappingReader(
                field, keys: ["initial-delay", "short-delay", "long-delay", "time-to-learn", "hold-down"])
        {
            let range = Duration.zero...Duration.seconds(600)
            if let time = timers["initial-delay"]?.milliseconds(range) { configuration.spfTimers.initialDelay = time }
            if let time = timers["short-delay"]?.milliseconds(range) { configuration.spfTimers.shortDelay = time }
            if let time = timers["long-delay"]?.milliseconds(range) { configuration.spfTimers.longDelay = time }
            if let time = timers["time-to-learn"]?.milliseconds(range) { configuration.spfTimers.timeToLearn = time }
            if let time = timers["hold-down"]?.milliseconds(range) { configuration.spfTimers.holdDown = time }
        }
        if let field = mapping["lsa-timers"],
            let timers = MappingReader(
                field, keys: ["initial-delay", "minimum-interval", "minimum-arrival", "refresh"])
        {
            let range = Duration.zero...Duration.seconds(600)
            if let time = timers["initial-delay"]?.milliseconds(range) { configuration.lsaTimers.initialDelay = time }
            if let time = timers["minimum-interval"]?.milliseconds(range) { configuration.lsaTimers.minimumInterval = time }
            if let time = timers["minimum-arrival"]?.milliseconds(range) { configuration.lsaTimers.minimumArrival = time }
            if let time = timers["refresh"]?.seconds(60...1800) { configuration.lsaTimers.refreshInterval = time }
        }
    }

    private mutating func readStubRouter(_ mapping: MappingReader) {
        guard let field = mapping["stub-router"],
            let stub = MappingReader(
                field, keys: ["always", "on-startup", "summary-metric", "external-metric", "include-stubs"])
        else { return }
        let metric: ClosedRange<UInt32> = 1...16_777_214
        var value = OSPFStubRouter(always: stub["always"]?.flag() ?? false)
        value.onStartup = stub["on-startup"]?.seconds(0...65_535).map { UInt32($0) } ?? 0
        value.summaryMetric = stub["summary-metric"]?.number(metric)
        value.externalMetric = stub["external-metric"]?.number(metric)
        value.includesStubs = stub["include-stubs"]?.flag() ?? false
        if !value.always, value.onStartup == 0 { field.error("write always: true or on-startup: TIME") }
        configuration.stubRouter = value
    }

    static func defaultOriginate(_ field: Field) -> OSPFDefaultOriginate? {
        guard field.isMapping else {
            return field.flag() == true ? OSPFDefaultOriginate() : nil
        }
        guard let mapping = MappingReader(field, keys: ["always", "metric", "metric-type", "tag"]) else { return nil }
        var value = OSPFDefaultOriginate()
        if let flag = mapping["always"]?.flag() { value.always = flag }
        if let metric = mapping["metric"]?.number(0...16_777_214 as ClosedRange<UInt32>) { value.metric = metric }
        if let type = mapping["metric-type"]?.number(1...2 as ClosedRange<UInt8>) { value.isExternalMetric = type == 2 }
        if let tag = mapping["tag"]?.number(0...UInt32.max) { value.tag = tag }
        return value
    }

    // MARK: areas

    private mutating func readArea(_ field: Field) {
        guard
            let mapping = MappingReader(
                field,
                keys: [
                    "id", "type", "default-cost", "ranges", "nssa-ranges", "nssa-translator", "nssa-default-originate",
                    "interfaces",
                ],
                foreign: ["area": "id", "range": "ranges", "stub": "type: stub", "nssa": "type: nssa", "interface": "interfaces"])
        else { return }
        guard let idField = mapping.required("id"), let id = idField.areaID() else { return }
        if !areaIDs.insert(id).inserted { idField.error("area \(id) is written twice") }
        var area = OSPFAreaConfiguration(areaID: id)
        if let field = mapping["type"], let type = field.choice(Self.kinds.map(\.name)) {
            area.kind = Self.kinds.first { $0.name == type }!.kind
            if id == .any, area.kind != .normal { field.error("the backbone, area 0, can only be normal (RFC 2328 §3.6)") }
        }
        if let cost = mapping["default-cost"]?.number(0...16_777_214 as ClosedRange<UInt32>) { area.defaultCost = cost }
        area.ranges = ranges(mapping["ranges"])
        if let field = mapping["nssa-ranges"] {
            if !area.kind.isNSSA { field.error("only an NSSA has these") }
            area.nssaRanges = ranges(field)
        }
        if let field = mapping["nssa-translator"], let word = field.choice(["candidate", "always", "never"]) {
            if !area.kind.isNSSA { field.error("only an NSSA has this") }
            area.nssaTranslator = word == "always" ? .always : word == "never" ? .never : .candidate
        }
        if let field = mapping["nssa-default-originate"] {
            if !area.kind.isNSSA { field.error("only an NSSA has this") }
            area.nssaDefaultOriginate = Self.defaultOriginate(field)
        }
        configuration.areas.append(area)
        for field in mapping["interfaces"]?.list(atMost: RouterText.interfacesMaximum) ?? [] {
            if let interface = interface(field, area: id) { configuration.interfaces.append(interface) }
        }
    }

    static let kinds: [(name: String, kind: OSPFAreaKind)] = [
        ("normal", .normal), ("stub", .stub), ("totally-stubby", .totallyStubby), ("nssa", .nssa),
        ("nssa-no-summary", .nssaNoSummary),
    ]

    private func ranges(_ field: Field?) -> [OSPFAreaRange] {
        var result: [OSPFAreaRange] = []
        for field in field?.list(atMost: Self.rangesMaximum) ?? [] {
            var range: OSPFAreaRange
            if field.isMapping {
                guard let mapping = MappingReader(field, keys: ["prefix", "advertise", "cost", "tag"]),
                    let prefix = mapping.required("prefix").flatMap({ $0.prefix() })
                else { continue }
                range = OSPFAreaRange(prefix: prefix)
                if let flag = mapping["advertise"]?.flag() { range.isAdvertised = flag }
                range.cost = mapping["cost"]?.number(0...16_777_214 as ClosedRange<UInt32>)
                range.tag = mapping["tag"]?.number(0...UInt32.max)
            } else {
                guard let prefix = field.prefix() else { continue }
                range = OSPFAreaRange(prefix: prefix)
            }
            if range.prefix.family != family { field.error("\(range.prefix) is not of the family of this section") }
            if result.contains(where: { $0.prefix == range.prefix }) { field.error("\(range.prefix) is written twice") }
            result.append(range)
        }
        return result
    }

    // MARK: interfaces

    static let networks: [(name: String, network: OSPFNetworkType)] = [
        ("broadcast", .broadcast), ("point-to-point", .pointToPoint), ("loopback", .loopback),
    ]

    private mutating func interface(_ field: Field, area: IPv4Address) -> OSPFInterfaceConfiguration? {
        guard field.isMapping else {
            return name(field).map { OSPFInterfaceConfiguration(name: $0, areaID: area, network: defaultNetwork($0)) }
        }
        guard
            let mapping = MappingReader(
                field,
                keys: [
                    "name", "network", "passive", "cost", "hello", "dead", "retransmit", "transmit-delay", "priority", "bfd",
                    "mtu-ignore", "suppress-prefixes", "ttl-security", "authentication",
                ],
                foreign: [
                    "hello-interval": "hello", "dead-interval": "dead", "interface": "name", "type": "network", "metric": "cost",
                    "retransmit-interval": "retransmit", "key": "authentication", "network-type": "network",
                ]), let name = mapping.required("name").flatMap({ self.name($0) })
        else { return nil }
        var value = OSPFInterfaceConfiguration(name: name, areaID: area, network: defaultNetwork(name))
        if let word = mapping["network"]?.choice(Self.networks.map(\.name)) {
            value.network = Self.networks.first { $0.name == word }!.network
        }
        if let flag = mapping["passive"]?.flag() { value.isPassive = flag }
        if let flag = mapping["ttl-security"]?.flag(), flag { value.ttlSecurity = true }
        if let cost = mapping["cost"]?.number(1...65_535 as ClosedRange<UInt16>) { value.cost = cost }
        if let time = mapping["hello"]?.seconds(1...65_535) {
            value.helloInterval = time
            // RFC 2328 §C.3: four times the HelloInterval unless it is said.
            value.routerDeadInterval = 4 * UInt32(time)
        }
        if let field = mapping["dead"], let time = field.seconds(1...65_535) {
            value.routerDeadInterval = UInt32(time)
            if time <= value.helloInterval { field.error("this must be longer than the hello interval") }
        }
        if let time = mapping["retransmit"]?.seconds(1...3600) { value.retransmitInterval = time }
        if let time = mapping["transmit-delay"]?.seconds(1...3600) { value.transmitDelay = time }
        if let priority = mapping["priority"]?.number(0...255 as ClosedRange<UInt8>) { value.priority = priority }
        if let flag = mapping["bfd"]?.flag() { value.bfd = flag }
        if let flag = mapping["mtu-ignore"]?.flag() { value.ignoresMTU = flag }
        if let flag = mapping["suppress-prefixes"]?.flag() { value.suppressesPrefixes = flag }
        if let field = mapping["authentication"] { value.authentication = authentication(field) ?? .none }
        return value
    }

    private func defaultNetwork(_ name: String) -> OSPFNetworkType {
        interfaces.first { $0.name == name }?.isLoopback == true ? .loopback : .broadcast
    }

    private mutating func name(_ field: Field) -> String? {
        guard let name = field.interfaceName(of: interfaces) else { return nil }
        guard interfaceNames.insert(name).inserted else { return field.wrong("interface '\(name)' is in an area already") }
        return name
    }

    private func authentication(_ field: Field) -> OSPFAuthentication? {
        guard
            let mapping = MappingReader(
                field, keys: version == .v2 ? ["password", "keys"] : ["keys"],
                foreign: [
                    "type": version == .v2 ? "password (simple) or keys (cryptographic)" : "keys", "key": "keys",
                ])
        else { return nil }
        switch (mapping["password"], mapping["keys"]) {
        case (let field?, nil): return field.secret(1...8, "a password").map { .simple($0) }
        case (let field?, _?): return field.wrong("'password' and 'keys' exclude each other")
        case (nil, nil): return field.wrong("write \(version == .v2 ? "password or " : "")keys")
        case (nil, let field?):
            var keys: [OSPFKey] = []
            for field in field.list(atMost: 16) ?? [] {
                guard let key = key(field) else { continue }
                if keys.contains(where: { $0.id == key.id }) { field.error("key \(key.id) is written twice") }
                keys.append(key)
            }
            return keys.isEmpty ? nil : .cryptographic(keys)
        }
    }

    static let algorithms: [(name: String, algorithm: OSPFKey.Algorithm)] = [
        ("md5", .md5), ("hmac-sha-1", .hmacSHA1), ("hmac-sha-256", .hmacSHA256), ("hmac-sha-384", .hmacSHA384),
        ("hmac-sha-512", .hmacSHA512),
    ]

    private func key(_ field: Field) -> OSPFKey? {
        guard
            let mapping = MappingReader(
                field, keys: ["id", "algorithm", "secret"] + (version == .v2 ? ["extended-sequence"] : []),
                foreign: ["key": "secret", "password": "secret", "type": "algorithm"])
        else { return nil }
        let algorithms = version == .v2 ? Self.algorithms : Array(Self.algorithms.dropFirst())
        let range: ClosedRange<UInt16> = version == .v2 ? 0...255 : 1...65_535
        let id = mapping.required("id").flatMap { $0.number(range) }
        let word = mapping["algorithm"]?.choice(algorithms.map(\.name)) ?? (version == .v2 ? "md5" : "hmac-sha-256")
        let algorithm = algorithms.first { $0.name == word }?.algorithm
        let secret = mapping.required("secret").flatMap { $0.secret(algorithm == .md5 ? 1...16 : 1...64) }
        let isExtended = mapping["extended-sequence"]?.flag() ?? false
        guard let id, let algorithm, let secret else { return nil }
        if isExtended, algorithm == .md5 { field.error("RFC 7474 goes with the HMAC algorithms") }
        return OSPFKey(id: id, algorithm: algorithm, secret: secret, extendedSequence: isExtended)
    }
}

extension Field {
    /// A router identifier: like an IPv4 address, not 0.0.0.0.
    func routerID() -> IPv4Address? {
        guard let text = text(1...40, "a router id") else { return nil }
        guard let id = IPv4Address(text), id != .any else {
            return wrong("'\(text)' is no router id; write it like an IPv4 address that is not 0.0.0.0")
        }
        return id
    }

    /// An area: a number, or written like an IPv4 address.
    func areaID() -> IPv4Address? {
        guard let text = text(1...40, "an area") else { return nil }
        if let id = IPv4Address(text) { return id }
        guard let number = UInt32(text), !text.hasPrefix("+") else {
            return wrong("'\(text)' is no area; write a number or something like 0.0.0.1")
        }
        return IPv4Address(raw: number)
    }

    /// The name of one of the router's interfaces.
    func interfaceName(of interfaces: [InterfaceConfiguration]) -> String? {
        guard let name = text(1...15, "the name of an interface") else { return nil }
        let names = interfaces.map(\.name)
        guard names.contains(name) else {
            return wrong("there is no interface '\(name)'; " + Spelling.suggestion(for: name, among: names))
        }
        return name
    }

    /// Whole milliseconds.
    func milliseconds(_ range: ClosedRange<Duration>) -> UInt32? {
        duration(range).map { UInt32($0.components.seconds * 1000 + $0.components.attoseconds / 1_000_000_000_000_000) }
    }
}
