import RIP
import Records
import Wire

/// The sections `rip` (RIPv2) and `ripng` (RIPng).
struct RIPText {
    let version: RIPVersion
    /// Interfaces of the router; those named here must be among them.
    let interfaces: [InterfaceConfiguration]
    /// Of the router.
    let chains: [KeyChain]

    static let neighborsMaximum = 64

    var section: Section<RIPConfiguration> {
        Section(
            RIPConfiguration(version: version),
            foreign: [
                "interface": "interfaces", "network": "interfaces", "networks": "interfaces",
                "redistribute": "redistribute at the top level", "default-information": "default-originate",
                "ecmp": "maximum-paths", "version": "send and receive at an interface",
                "passive-interface": "passive: true at an interface", "neighbor": "neighbors at an interface",
                "neighbors": "neighbors at an interface", "offset-list": "metric or metric-offset at an interface",
            ]
        ) {
            Setting("distance", \.distance, .number(1...255), "Administrative distance.")
            Setting(
                "maximum-paths", \.maximumPaths, .number(1...64),
                "Neighbors that share the load; 1: the first of equals, as RFC 2453 has it.")
            Setting(
                "default-metric", \.defaultMetric, .number(1...16, "a metric"),
                "Of redistributed routes to which no policy gives one.")
            Setting("default-originate", in: \.defaultOriginate, "A default route for all neighbors.") { _ in originate }
            Setting("timers", in: \.timers, "RFC 2453 §3.8, RFC 2080 §2.3.") { _ in timers }
            Setting("limits", in: \.limits, "What neighbors can make this router hold or do.") { _ in limits }
            Setting("interfaces", each: \.interfaces, atMost: RouterText.interfacesMaximum, "Where it runs.") { _ in interface }
                .always()
        } check: { _, fields in
            if fields["interfaces"]?.list(atMost: .max) == nil {
                fields.field.warn("without 'interfaces' \(version) runs nowhere")
            }
        }
    }

    private var originate: Section<RIPDefaultOriginate> {
        Section(
            RIPDefaultOriginate(), short: .init(values: "true or false", read: { field, _ in field.flag() == true })
        ) {
            Setting("always", \.always, .flag, "Also without a redistributed default route.").always()
            Setting("metric", \.metric, .number(1...15, "a metric"), "Of the default route.").always()
            Setting("tag", \.tag, .number(0...UInt16.max), "Of the default route.")
        }
    }

    private var timers: Section<RIPTimers> {
        Section(
            RIPTimers(),
            foreign: [
                "invalid": "timeout", "flush": "garbage", "holddown": "garbage", "basic": "update, timeout and garbage",
            ]
        ) {
            Setting("update", \.update, .seconds(1...3_600), "Between regular updates, off by up to a sixth at random.")
            Setting("timeout", \.timeout, .seconds(2...36_000), "Until a route that nobody confirmed is unreachable.")
            Setting("garbage", \.garbage, .seconds(1...36_000), "For so long it is announced as such before it is forgotten.")
            Setting("triggered-initial", \.triggeredInitial, .milliseconds(0...5_000), "The first change gathers others so long.")
            Setting(
                "triggered-minimum", \.triggeredMinimum, .milliseconds(0...60_000),
                "From one triggered update to the next, at random between this and the maximum.")
            Setting("triggered-maximum", \.triggeredMaximum, .milliseconds(0...60_000), "At least the minimum.")
        } check: { timers, fields in
            if timers.timeout <= UInt32(timers.update) {
                (fields["timeout"] ?? fields.field).error(
                    "routes would time out between two updates; write a timeout of several times update")
            }
            if timers.triggeredMaximum < timers.triggeredMinimum {
                (fields["triggered-maximum"] ?? fields.field).error("this is below triggered-minimum")
            }
        }
    }

    private var limits: Section<RIPLimits> {
        Section(RIPLimits(), isWhole: true) {
            Setting("routes", \.routesMaximum, .number(1...1_000_000), "Prefixes learned from all neighbors.")
            Setting("routes-per-neighbor", \.routesPerNeighbor, .number(1...1_000_000), "Prefixes learned from one.")
            Setting("neighbors-per-interface", \.neighborsPerInterface, .number(1...4_096), "More are not heard.")
            Setting("requests-per-second", \.requestsPerSecond, .number(1...10_000), "More on one interface are not answered.")
        }
    }

    // MARK: interfaces

    private var interface: Section<RIPInterfaceConfiguration> {
        let name = Kind<String>.interface(of: interfaces).once { "interface '\($0)' is written twice" }
        return Section(
            RIPInterfaceConfiguration(name: ""),
            foreign: [
                "cost": "metric", "poison-reverse": "split-horizon: poisoned-reverse", "neighbor": "neighbors",
                "offset-in": "metric", "offset-out": "metric-offset", "password": "authentication", "keys": "authentication",
                "version": "send and receive",
            ],
            short: .init(values: name.values) { field, interface in
                guard let name = name.read(field) else { return false }
                interface.name = name
                checkUse(name, field)
                return true
            }
        ) {
            Setting("name", \.name, name, "An interface of the router.").required()
            Setting(
                "passive", \.isPassive, .flag,
                "Announce its network elsewhere, send nothing here but to neighbors; loopbacks always are.")
            Setting(
                "split-horizon", \.splitHorizon,
                .choice(["poisoned-reverse": .poisonedReverse, "simple": .simple, "none": .none]),
                "How routes are announced where they were learned (RFC 2453 §3.4.3).")
            Setting("metric", \.metric, .number(1...15, "a metric"), "Added to what neighbors announce.")
            Setting("metric-offset", \.metricOffset, .number(0...15), "Added to what is announced here.")
            if version == .v2 {
                Setting(
                    "send", \.send, .choice(["2": .v2, "1": .v1, "1-compatible": .v1Compatible, "none": .none]),
                    "1-compatible: version 2 by broadcast (RFC 2453 §5.1).")
                Setting(
                    "receive", \.receive, .choice(["2": .v2, "1": .v1, "both": .both, "none": .none]),
                    "Versions that are heard (RFC 2453 §5.1).")
                Setting("authentication", in: \.authentication, "RFC 2453 §4.1, RFC 4822.") { _ in authentication }
            }
            Setting(
                "neighbors", \.neighbors, .list(atMost: Self.neighborsMaximum, .address),
                "Also by unicast; link-local addresses with RIPng.")
            Setting("bfd", \.bfd, .flag, "BFD watches the neighbors.")
            if version == .v2 {
                Setting("ttl-security", \.ttlSecurity, .flag, "Send with TTL 255 and hear nothing else (RFC 5082).")
            }
            Setting("suppress-prefixes", \.suppressesPrefixes, .flag, "Do not announce this interface's networks.")
        } check: { interface, fields in
            fields["name"].map { checkUse(interface.name, $0) }
            fields["neighbors"].map { checkNeighbors($0, of: interface.name) }
            if let field = fields["authentication"], interface.authentication != nil,
                interface.send == .v1 || interface.receive == .v1
            {
                field.error("version 1 knows no authentication (RFC 2453 §4.1)")
            }
        }
    }

    private func checkUse(_ name: String, _ field: Field) {
        let isUsable = interfaces.first { $0.name == name }.map { interface in
            interface.isLoopback || version == .ng || interface.addresses.contains { $0.address.family == version.family }
        }
        if isUsable == false { field.warn("interface '\(name)' has no IPv4 address; nothing is sent there") }
    }

    private func checkNeighbors(_ field: Field, of name: String) {
        let seen = Seen<IPAddress>()
        let own = interfaces.first { $0.name == name }?.addresses ?? []
        for entry in field.list(atMost: Self.neighborsMaximum) ?? [] {
            guard let address = entry.address() else { continue }
            if address.family != version.family {
                entry.error("\(address) is not of the family of \(version)")
            } else if !seen.note(address) {
                entry.error("\(address) is written twice")
            } else if case .v6(let v6) = address {
                if v6.isLinkLocal { continue }
                entry.error("\(address) is not link-local, and RIPng routers know each other by such addresses")
            } else if own.contains(where: { $0.address == address }) {
                entry.error("\(address) is the router itself")
            } else if !own.contains(where: { IPPrefix($0.address, $0.prefixLength).contains(address) }) {
                entry.error("\(address) is on no network of interface '\(name)'")
            }
        }
    }

    private var authentication: Section<KeyChain> {
        Section(
            KeyChain(),
            foreign: [
                "type": "password (simple) or keys (cryptographic)", "mode": "password (simple) or keys (cryptographic)",
                "key": "keys",
            ]
        ) {
            Setting("password", \.password, .secret(1...16, "a password"), "In clear (RFC 2453 §4.1).")
            Setting("keys", each: \.digestKeysInPlace, atMost: 16, "RFC 4822: the first signs, all verify.") { _ in key }
            KeyChainText.reference(chains, Self.use)
        } check: { chain, fields in
            KeyChainText.checkOne(of: ["password", "keys", "key-chain"], fields)
            if chain.keys.isEmpty { fields["keys"]?.error("at least one key is needed") }
        }
    }

    /// RFC 2453 §4.1, RFC 4822.
    private static let use = KeyChainText.Use(
        name: "RIPv2", algorithms: [.clearText, .md5, .hmacSHA1, .hmacSHA256, .hmacSHA384, .hmacSHA512],
        identifiers: 0...255, source: "RFC 4822 §2.1: 8 bits"
    ) { $0 == .clearText || $0 == .md5 ? 16 : KeyChain.Key.secretMaximum }

    private var key: Section<KeyChain.Key> {
        let algorithms = Self.use.algorithms.filter { $0 != .clearText }
        return Section(
            KeyChain.Key(id: 0, algorithm: .md5, secret: ""),
            foreign: ["key": "secret", "password": "secret", "type": "algorithm"]
        ) {
            Setting("id", \.id, .number(0...255).once { "key \($0) is written twice" }, "The key's number.").required()
            Setting("algorithm", \.algorithm, KeyChainText.kind(of: algorithms), "RFC 4822 §3.2.").always()
            Setting("secret", \.secretText, .secret(1...64), "With md5 at most 16 octets.") {
                $0.algorithm == .md5 ? .secret(1...16) : .secret(1...64)
            }
            .required()
        }
    }
}
