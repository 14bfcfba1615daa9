import BFD
import Engine
import Records
import Wire

/// The section `bfd`, and the key `bfd` of those who want neighbours watched.
struct BFDTextReader {
    /// Interfaces of the router, for their names.
    let interfaces: [InterfaceConfiguration]
    private var configuration = BFDConfiguration()

    static let profileKeys = ["interval", "transmit", "receive", "multiplier", "passive", "minimum-ttl", "authentication"]
    static let foreign = [
        "transmit-interval": "transmit", "receive-interval": "receive", "min-tx": "transmit", "min-rx": "receive",
        "desired-min-tx": "transmit", "required-min-rx": "receive", "detect-multiplier": "multiplier",
        "detect-mult": "multiplier", "passive-mode": "passive: true", "echo-mode": "nothing; there is no echo function",
        "profile": "profiles", "neighbors": "peers", "peer": "peers", "interface": "interfaces", "auth": "authentication",
        "password": "authentication",
    ]
    static let types: [(name: String, type: BFDAuthenticationType)] = [
        ("password", .simplePassword), ("md5", .keyedMD5), ("meticulous-md5", .meticulousKeyedMD5), ("sha1", .keyedSHA1),
        ("meticulous-sha1", .meticulousKeyedSHA1),
    ]

    static func read(_ field: Field, interfaces: [InterfaceConfiguration]) -> BFDConfiguration? {
        guard
            let mapping = MappingReader(
                field, keys: profileKeys + ["defaults", "profiles", "interfaces", "peers"], foreign: foreign)
        else { return nil }
        var reader = BFDTextReader(interfaces: interfaces)
        reader.read(mapping)
        return reader.configuration
    }

    private init(interfaces: [InterfaceConfiguration]) { self.interfaces = interfaces }

    private mutating func read(_ mapping: MappingReader) {
        configuration.defaults = profile(mapping, BFDProfile())
        // The same keys, for those who like them apart from the rest.
        if let own = mapping["defaults"].flatMap({ MappingReader($0, keys: Self.profileKeys, foreign: Self.foreign) }) {
            configuration.defaults = profile(own, configuration.defaults)
        }
        if let field = mapping["profiles"], let all = MappingReader(anyKeysOf: field) {
            if all.entries.count > 256 { field.error("at most 256 profiles are possible") }
            for (name, value) in all.entries.prefix(256) {
                if let reason = Field.nameProblem(name) {
                    value.error("'\(name.prefix(80))' is no name for a profile: \(reason)")
                } else if ["true", "false", "none"].contains(name) {
                    value.error("a profile cannot be called '\(name)'")
                } else if let own = MappingReader(value, keys: Self.profileKeys, foreign: Self.foreign) {
                    configuration.profiles.append(
                        BFDNamedProfile(name: name, profile: profile(own, configuration.defaults)))
                }
            }
        }
        if let field = mapping["interfaces"], let all = MappingReader(anyKeysOf: field) {
            for (name, value) in all.entries {
                guard interfaces.contains(where: { $0.name == name }) else {
                    let near =
                        Spelling.nearest(to: name, among: interfaces.map(\.name))
                        .map { "; did you mean '\($0)'?" } ?? ""
                    value.error("there is no interface '\(name.prefix(40))'\(near)")
                    continue
                }
                if let profile = profileName(value) {
                    configuration.interfaces.append(BFDInterfaceConfiguration(interface: name, profile: profile))
                }
            }
        }
        for field in mapping["peers"]?.list(atMost: 4096) ?? [] {
            if let peer = peer(field) { configuration.peers.append(peer) }
        }
    }

    /// What a section says beyond `base`.
    private func profile(_ mapping: MappingReader, _ base: BFDProfile) -> BFDProfile {
        var value = base
        let range = Duration.milliseconds(10)...Duration.seconds(60)
        func interval(_ key: String) -> UInt32? {
            mapping[key]?.duration(range).map { time in
                UInt32(time.components.seconds) * 1_000_000 + UInt32(time.components.attoseconds / 1_000_000_000_000)
            }
        }
        if let both = interval("interval") { (value.desiredMinTx, value.requiredMinRx) = (both, both) }
        if let time = interval("transmit") { value.desiredMinTx = time }
        if let time = interval("receive") { value.requiredMinRx = time }
        if let number = mapping["multiplier"]?.number(2...255 as ClosedRange<UInt8>) { value.multiplier = number }
        if let flag = mapping["passive"]?.flag() { value.isPassive = flag }
        if let ttl = mapping["minimum-ttl"]?.number(1...255 as ClosedRange<UInt8>, "a TTL") { value.minimumHopLimit = ttl }
        if let field = mapping["authentication"] {
            value.authentication = field.scalar == "none" ? nil : authentication(field)
        }
        return value
    }

    private func authentication(_ field: Field) -> BFDAuthentication? {
        guard
            let mapping = MappingReader(
                field, keys: ["type", "keys"], foreign: ["key": "keys", "secret": "keys: [{id: 1, secret: …}]"]),
            let word = mapping.required("type").flatMap({ $0.choice(Self.types.map(\.name)) }),
            let type = Self.types.first(where: { $0.name == word })?.type,
            let list = mapping.required("keys")?.list(atMost: BFDAuthentication.keysMaximum)
        else { return nil }
        var keys: [BFDKey] = []
        for field in list {
            guard let key = MappingReader(field, keys: ["id", "secret"], foreign: ["password": "secret", "key": "secret"]),
                let id = key.required("id").flatMap({ $0.number(0...255 as ClosedRange<UInt8>) }),
                let secret = key.required("secret").flatMap({ secret($0, type) })
            else { continue }
            if keys.contains(where: { $0.id == id }) {
                field.error("there is another key \(id)")
            } else {
                keys.append(BFDKey(id: id, secret: secret))
            }
        }
        if list.isEmpty { field.error("at least one key is needed") }
        return keys.isEmpty ? nil : BFDAuthentication(type: type, keys: keys)
    }

    /// RFC 5880 §6.7.3: text, or octets in hexadecimal digits after 0x.
    private func secret(_ field: Field, _ type: BFDAuthenticationType) -> [UInt8]? {
        let most = type.secretOctetsMaximum
        guard let text = field.secret(1...(2 * most + 2)) else { return nil }
        guard text.hasPrefix("0x") else {
            let octets = Array(text.utf8)
            return octets.count <= most
                ? octets : field.wrong("a secret of 1 to \(most) octets is expected, not \(octets.count)")
        }
        let digits = Array(text.utf8.dropFirst(2))
        let octets = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)
        }
        guard digits.count % 2 == 0, octets.count * 2 == digits.count, (1...most).contains(octets.count) else {
            return field.wrong("1 to \(most) octets of two hexadecimal digits are expected after 0x")
        }
        return octets
    }

    private func profileName(_ field: Field) -> String? {
        field.name("the name of a profile").flatMap { name in
            let known = configuration.profiles.map(\.name)
            if known.contains(name) { return name }
            let near = Spelling.nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
            return field.wrong("there is no profile '\(name)'\(near)")
        }
    }

    private func peer(_ field: Field) -> BFDPeerConfiguration? {
        guard
            let mapping = MappingReader(
                field, keys: ["address", "local-address", "interface", "profile", "shutdown"],
                foreign: ["peer": "address", "neighbor": "address", "source": "local-address", "disabled": "shutdown: true"]),
            let address = mapping.required("address").flatMap({ $0.address() })
        else { return nil }
        var value = BFDPeerConfiguration(remote: address)
        value.local = mapping["local-address"]?.address()
        value.interface = mapping["interface"]?.interfaceName(of: interfaces)
        value.profile = mapping["profile"].flatMap { profileName($0) }
        value.isShutdown = mapping["shutdown"]?.flag() ?? false
        if value.isShutdown, let field = mapping["shutdown"] {
            field.warn("the neighbor hears AdminDown; FRR and BIRD end the BGP session that they watch with it")
        }
        if let twin = configuration.peers.first(where: {
            $0.remote == value.remote && $0.local == value.local && $0.interface == value.interface
        }) {
            field.error("peer \(twin.remote) is written twice")
        }
        return value
    }

    /// `bfd: true`, `false`, or the name of a profile. `nil` is no wish.
    static func wish(_ field: Field?, _ configuration: BFDConfiguration?) -> String? {
        guard let field else { return nil }
        switch field.scalar {
        case "true": return ""
        case "false": return nil
        default:
            guard let name = field.name("true, false or the name of a BFD profile") else { return nil }
            let known = configuration?.profiles.map(\.name) ?? []
            if known.contains(name) { return name }
            let near = Spelling.nearest(to: name, among: known).map { "; did you mean '\($0)'?" } ?? ""
            return field.wrong("there is no BFD profile '\(name)'\(near)")
        }
    }
}
