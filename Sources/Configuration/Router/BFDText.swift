import BFD
import Engine
import Records
import Wire

/// The section `bfd`, and the key `bfd` of those who want neighbours watched.
struct BFDText {
    /// Interfaces of the router, for their names.
    let interfaces: [InterfaceConfiguration]
    /// Of the router.
    let chains: [KeyChain]

    static let profilesMaximum = 256
    static let foreign = [
        "transmit-interval": "transmit", "receive-interval": "receive", "min-tx": "transmit", "min-rx": "receive",
        "desired-min-tx": "transmit", "required-min-rx": "receive", "detect-multiplier": "multiplier",
        "detect-mult": "multiplier", "passive-mode": "passive: true", "echo-mode": "nothing; there is no echo function",
        "profile": "profiles", "neighbors": "peers", "peer": "peers", "interface": "interfaces", "auth": "authentication",
        "password": "authentication",
    ]

    var section: Section<BFDConfiguration> {
        Section(BFDConfiguration(), foreign: Self.foreign) {
            profile(BFDProfile()).settings.map { setting in
                // A section that says nothing is still there.
                let setting = setting.at(\BFDConfiguration.defaults)
                return setting.key == "multiplier"
                    ? setting.written { $0.defaults.multiplier != BFDProfile().multiplier || $0 == BFDConfiguration() } : setting
            }
            Setting("defaults", in: \.defaults, "The keys above, for those who like them apart from the rest.") { bfd in
                profile(bfd.defaults)
            }.unwritten()
            profiles
            Setting("interfaces", values: "INTERFACE: PROFILE", "The profile of sessions on an interface.") { field, bfd in
                let profile = Kind<String>.known("profile", bfd.profiles.map(\.name))
                for (name, value) in MappingReader(anyKeysOf: field)?.entries ?? [] {
                    let names = interfaces.map(\.name)
                    if !names.contains(name) {
                        value.error(
                            "there is no interface '\(name.prefix(40))'" + Spelling.hint(for: name, among: names))
                    } else if let profile = profile.read(value) {
                        bfd.interfaces.append(BFDInterfaceConfiguration(interface: name, profile: profile))
                    }
                }
            }.written(when: { !$0.interfaces.isEmpty }) { bfd, writer in
                writer.section("interfaces") { writer in
                    for entry in bfd.interfaces {
                        writer.line(YAMLWriter.scalar(entry.interface), YAMLWriter.scalar(entry.profile))
                    }
                }
            }
            Setting("peers", each: \.peers, atMost: 4096, "The profile of sessions with one address; first of all.") { bfd in
                peer(bfd.profiles.map(\.name))
            }
        }
    }

    private var profiles: Setting<BFDConfiguration> {
        Setting(
            "profiles", values: "NAME: …, at most \(Self.profilesMaximum)",
            "What a profile does not say it takes from the keys above."
        ) { field, bfd in
            if let all = MappingReader(anyKeysOf: field), all.entries.count > Self.profilesMaximum {
                field.error("at most \(Self.profilesMaximum) profiles are possible")
            }
            let section = profile(bfd.defaults)
            for (name, value) in field.named("name for a profile").prefix(Self.profilesMaximum) {
                if ["true", "false", "none"].contains(name) {
                    value.error("a profile cannot be called '\(name)'")
                    continue
                }
                var profile = bfd.defaults
                if section.read(value, into: &profile) {
                    bfd.profiles.append(BFDNamedProfile(name: name, profile: profile))
                }
            }
        }
        .naming { profile($0.defaults) }
        .written(when: { !$0.profiles.isEmpty }) { bfd, writer in
            writer.section("profiles") { writer in
                for entry in bfd.profiles {
                    let name = YAMLWriter.scalar(entry.name)
                    if entry.profile == bfd.defaults {
                        writer.line(name, "{}")
                    } else {
                        writer.section(name) { profile(bfd.defaults).write(entry.profile, &$0) }
                    }
                }
            }
        }
    }

    /// What a profile says beyond `base`.
    private func profile(_ base: BFDProfile) -> Section<BFDProfile> {
        Section(base, foreign: Self.foreign) {
            Setting("interval", \.interval, .microseconds(BFDProfile.intervalRange), "Transmit and receive at once.").unwritten()
            Setting("transmit", \.desiredMinTx, .microseconds(BFDProfile.intervalRange), "Desired Min TX Interval.")
            Setting("receive", \.requiredMinRx, .microseconds(BFDProfile.intervalRange), "Required Min RX Interval.")
            Setting("multiplier", \.multiplier, .number(2...255), "Packets that may be missing.")
            Setting("passive", \.isPassive, .flag, "Wait until the neighbor begins.")
            Setting(
                "minimum-ttl", \.minimumHopLimit, .number(1...255, "a TTL"),
                "Several hops: packets with a smaller TTL are dropped.")
            Setting("authentication", in: \.authentication, absent: "none", "RFC 5880 §6.7.") { _ in authentication }
        }
    }

    private var authentication: Section<BFDAuthentication> {
        Section(
            BFDAuthentication(type: .keyedSHA1, chain: KeyChain()),
            foreign: ["key": "keys", "secret": "keys: [{id: 1, secret: …}]"],
            short: .init(values: "none") { field, _ in
                if field.scalar != "none" { field.error("a mapping is expected, not \(field.tree.kind)") }
                return false
            }
        ) {
            Setting("type", \.type, Self.types, "How packets are signed.").required()
            Setting("keys", each: \.chain.keysInPlace, atMost: 16, "The first signs, each verifies.") { authentication in
                key(authentication.type)
            }
            chain
        } check: { authentication, fields in
            KeyChainText.checkOne(of: ["keys", "key-chain"], fields)
            if authentication.chain.keys.isEmpty { fields["keys"]?.error("at least one key is needed") }
        }
    }

    private static var types: Kind<BFDAuthenticationType> {
        .choice([
            "password": .simplePassword, "md5": .keyedMD5, "meticulous-md5": .meticulousKeyedMD5, "sha1": .keyedSHA1,
            "meticulous-sha1": .meticulousKeyedSHA1,
        ])
    }

    /// What the keys of the chain can be depends on the type.
    private var chain: Setting<BFDAuthentication> {
        func setting(_ type: BFDAuthenticationType) -> Setting<BFDAuthentication> {
            let use = KeyChainText.Use(
                name: "BFD of type \(Self.types.text(type))", algorithms: [type.algorithm], identifiers: 0...255,
                source: "RFC 5880 §4.2: 8 bits", nameless: []
            ) { _ in type.secretOctetsMaximum }
            return KeyChainText.reference(chains, use).at(\BFDAuthentication.chain)
        }
        var chain = setting(.keyedSHA1)
        chain.read = { setting($1.type).read($0, &$1) }
        return chain
    }

    private func key(_ type: BFDAuthenticationType) -> Section<KeyChain.Key> {
        Section(
            KeyChain.Key(id: 0, algorithm: type.algorithm, secret: [UInt8]()),
            foreign: ["password": "secret", "key": "secret"]
        ) {
            Setting("id", \.id, .number(0...255).once { "there is another key \($0)" }, "The key's number.").required()
            Setting(
                "secret", \.secret, .octets(1...type.secretOctetsMaximum),
                "RFC 5880 §6.7.3; SHA1 takes 20 octets, the others 16."
            ).required()
        }
    }

    private func peer(_ profiles: [String]) -> Section<BFDPeerConfiguration> {
        let seen = Seen<BFDPeerConfiguration>()
        return Section(
            BFDPeerConfiguration(remote: .v4(.any)),
            foreign: ["peer": "address", "neighbor": "address", "source": "local-address", "disabled": "shutdown: true"]
        ) {
            Setting("address", \.remote, .address, "Of the neighbor.").required()
            Setting("local-address", \.local, .address, "Only from this address of ours; any otherwise.")
            Setting(
                "interface", \.interface, .interface(of: interfaces), "Only on this interface; any, and several hops, otherwise.")
            Setting("profile", \.profile, .known("profile", profiles), "How it is watched.")
            Setting("shutdown", \.isShutdown, .flag, "AdminDown, which some neighbors take for a failure.")
        } check: { peer, fields in
            if peer.isShutdown {
                fields["shutdown"]?.warn("the neighbor hears AdminDown; FRR and BIRD end the BGP session that they watch with it")
            }
            if !seen.note(BFDPeerConfiguration(remote: peer.remote, local: peer.local, interface: peer.interface)) {
                fields.field.error("peer \(peer.remote) is written twice")
            }
        }
    }
}

extension BFDProfile {
    /// Both intervals.
    fileprivate var interval: UInt32 {
        get { desiredMinTx }
        set { (desiredMinTx, requiredMinRx) = (newValue, newValue) }
    }
}

extension Kind where Value == String? {
    /// The key `bfd` of one who may want neighbours watched: `true`, `false` or a profile. `nil` is no wish.
    static func bfdWish(_ bfd: BFDConfiguration?) -> Kind {
        let profile = Kind<String>.known(
            "BFD profile", bfd?.profiles.map(\.name) ?? [], wanted: "true, false or the name of a BFD profile")
        return Kind(
            values: profile.values, words: ["true", "false"] + profile.words,
            read: { field in
                switch field.scalar {
                case "true": .some("")
                case "false": .some(nil)
                default: profile.read(field).map { .some($0) }
                }
            }, text: { wish in wish.map { $0.isEmpty ? "true" : profile.text($0) } ?? "false" })
    }
}
