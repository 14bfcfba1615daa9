import OSPF
import Records
import Wire

/// The sections `ospf` (OSPFv2), `ospfv3` (OSPFv3 for IPv6) and `ospfv3-ipv4` (OSPFv3 for IPv4, RFC 5838).
struct OSPFText {
    let version: OSPFVersion
    let family: AddressFamily
    /// Interfaces of the router; an area's must be among them.
    let interfaces: [InterfaceConfiguration]
    /// Of the router.
    let chains: [KeyChain]
    /// An interface is in one area.
    private let interfaceNames = Seen<String>()

    static let areasMaximum = 256
    static let rangesMaximum = 1024
    private static let metrics: ClosedRange<UInt32> = 0...16_777_214

    init(version: OSPFVersion, family: AddressFamily, interfaces: [InterfaceConfiguration], chains: [KeyChain]) {
        self.version = version
        self.family = family
        self.interfaces = interfaces
        self.chains = chains
    }

    var section: Section<OSPFConfiguration> {
        var usual = OSPFConfiguration(version: version, family: family, routerID: IPv4Address(raw: 1))
        // RFC 5838 §2.1
        if version == .v3, family == .ipv4 { usual.instanceID = 64 }
        return Section(
            usual,
            foreign: [
                "area": "areas", "interfaces": "them under their area", "redistribute": "redistribute at the top level",
                "max-metric": "stub-router", "default-information": "default-originate", "timers": "spf-timers or lsa-timers",
                "ecmp": "maximum-paths", "rfc1583compat": "rfc1583-compatibility",
            ]
        ) {
            Setting("router-id", \.routerID, .routerID, "Like an address, not 0.0.0.0.").required()
            if version == .v3 {
                Setting(
                    "instance-id", \.instanceID, .number(family == .ipv6 ? 0...31 : 64...95),
                    "RFC 5838 §2.1: 0…31 are IPv6, 64…95 IPv4.")
            }
            Setting("distance", in: \.distances, "Administrative distances.") { _ in distances }
            Setting(
                "default-metric", \.defaultMetric, .number(Self.metrics), "Of redistributed routes to which no policy gives one.")
            Setting("maximum-paths", \.maximumPaths, .number(1...64), "Ways that share the load.")
            Setting(
                "rfc1583-compatibility", \.rfc1583Compatibility, .flag,
                "How externals are chosen (RFC 2328 §16.4.1); the same on all routers.")
            Setting("spf-timers", in: \.spfTimers, "When routes are calculated (RFC 8405).") { _ in .backoff }
            Setting("lsa-timers", in: \.lsaTimers, "When LSAs are made and taken.") { _ in lsaTimers }
            Setting("stub-router", in: \.stubRouter, "Others go around this router (RFC 6987).") { _ in stubRouter }
            Setting("default-originate", in: \.defaultOriginate, "A default route for the AS.") { _ in Self.originate }
            Setting("graceful-restart-helper", in: \.gracefulRestartHelper, "RFC 3623, RFC 5187.") { _ in helper }
            Setting("limits", in: \.limits, "What others can make this router hold.") { _ in limits }
            Setting(
                "areas", each: \.areasWithInterfaces, atMost: Self.areasMaximum, "Areas and the interfaces in them."
            ) { _ in area }.required()
        }
    }

    private var distances: Section<OSPFDistances> {
        let kind = Kind<UInt8>.number(1...255)
        return Section(
            OSPFDistances(), isWhole: true,
            short: .init(values: "\(kind.values) for all") { field, distances in
                guard let all = kind.read(field) else { return false }
                (distances.intraArea, distances.interArea, distances.external) = (all, all, all)
                return true
            }
        ) {
            Setting("intra-area", \.intraArea, kind, "Of routes within an area.")
            Setting("inter-area", \.interArea, kind, "Of routes between areas.")
            Setting("external", \.external, kind, "Of routes from outside the AS.")
        }
    }

    private var lsaTimers: Section<OSPFLSATimers> {
        Section(OSPFLSATimers(), isWhole: true) {
            Setting(
                "initial-delay", \.initialDelay, .milliseconds(0...600_000), "Before an own LSA that was quiet changes.")
            Setting(
                "minimum-interval", \.minimumInterval, .milliseconds(0...600_000),
                "MinLSInterval: between two changes of one LSA.")
            Setting(
                "minimum-arrival", \.minimumArrival, .milliseconds(0...600_000), "MinLSArrival: what comes sooner is not taken.")
            Setting("refresh", \.refreshInterval, .seconds(60...1800), "LSRefreshTime.")
        }
    }

    private var stubRouter: Section<OSPFStubRouter> {
        let metric = Kind<UInt32>.number(1...16_777_214)
        return Section(OSPFStubRouter()) {
            Setting("always", \.always, .flag, "Until the configuration says otherwise.")
            Setting("on-startup", \.onStartup, .startup, "For so long after OSPF began.")
            Setting("summary-metric", \.summaryMetric, metric, "Of summaries meanwhile; as they are otherwise.")
            Setting("external-metric", \.externalMetric, metric, "Of externals meanwhile; as they are otherwise.")
            Setting("include-stubs", \.includesStubs, .flag, "Stub networks, too.")
        } check: { stub, fields in
            if !stub.always, stub.onStartup == 0 { fields.field.error("write always: true or on-startup: TIME") }
        }
    }

    private static var originate: Section<OSPFDefaultOriginate> {
        Section(
            OSPFDefaultOriginate(), short: .init(values: "true or false", read: { field, _ in field.flag() == true })
        ) {
            Setting("always", \.always, .flag, "Also while redistribution brings none.").always()
            Setting("metric", \.metric, .number(metrics), "Of the default route.").always()
            Setting(
                "metric-type", \.isExternalMetric, Kind<UInt8>.number(1...2).mapped({ $0 == 2 }, back: { $0 ? 2 : 1 }),
                "1 adds up with the way to us, 2 is greater than any way."
            ).always()
            Setting("tag", \.tag, .number(0...UInt32.max), "Of the default route.")
        }
    }

    private var helper: Section<OSPFGracefulRestartHelper> {
        Section(OSPFGracefulRestartHelper(), isWhole: true) {
            Setting("enabled", \.isEnabled, .flag, "Help neighbors that restart.")
            Setting("strict-lsa-checking", \.strictLSAChecking, .flag, "A change of the topology ends the help.")
            Setting("grace-period-maximum", \.gracePeriodMaximum, .seconds(1...1800), "Who asks for longer is not helped.")
        }
    }

    private var limits: Section<OSPFLimits> {
        Section(OSPFLimits(), isWhole: true) {
            Setting("lsas", \.lsasMaximum, .number(16...10_000_000), "LSAs of others.")
            Setting("neighbors-per-interface", \.neighborsPerInterface, .number(1...4096), "More are not heard.")
            Setting(
                "redistributed", \.redistributed, .number(0...1_000_000),
                "Routes of other protocols; an alarm tells of more than \(OSPFLimits.redistributedDefault) or this.")
        }
    }

    // MARK: areas

    private var area: Section<OSPFArea> {
        Section(
            OSPFArea(area: OSPFAreaConfiguration(areaID: .any)),
            foreign: ["area": "id", "range": "ranges", "stub": "type: stub", "nssa": "type: nssa", "interface": "interfaces"]
        ) {
            Setting(
                "id", \.area.areaID, .areaID.once { "area \($0) is written twice" }, "A number, or like an address."
            ).required()
            Setting(
                "type", \.area.kind,
                .choice([
                    "normal": .normal, "stub": .stub, "totally-stubby": .totallyStubby, "nssa": .nssa,
                    "nssa-no-summary": .nssaNoSummary,
                ]), "RFC 2328 §3.6, RFC 3101.")
            Setting(
                "default-cost", \.area.defaultCost, .number(Self.metrics),
                "Of the default route into a stub area or an NSSA without summaries.")
            Setting(
                "ranges", each: \.area.ranges, atMost: Self.rangesMaximum,
                "An area border router tells these instead of what is in them, and drops the rest."
            ) { _ in range }
            Setting(
                "nssa-ranges", each: \.area.nssaRanges, atMost: Self.rangesMaximum, "The same for type 7 that is translated."
            ) { _ in range }
            Setting(
                "nssa-translator", \.area.nssaTranslator, .choice(["candidate": .candidate, "always": .always, "never": .never]),
                "Candidates elect the highest router ID (RFC 3101 §3.1).")
            Setting("nssa-default-originate", in: \.area.nssaDefaultOriginate, "A default of type 7 into the NSSA.") { _ in
                Self.originate
            }
            Setting("interfaces", each: \.interfaces, atMost: RouterText.interfacesMaximum, "Interfaces in it.") { area in
                interface(area.area.areaID)
            }
        } check: { area, fields in
            if area.area.areaID == .any, area.area.kind != .normal {
                fields["type"]?.error("the backbone, area 0, can only be normal (RFC 2328 §3.6)")
            }
            if !area.area.kind.isNSSA {
                fields["nssa-ranges"]?.error("only an NSSA has these")
                for key in ["nssa-translator", "nssa-default-originate"] { fields[key]?.error("only an NSSA has this") }
            }
        }
    }

    private var range: Section<OSPFAreaRange> {
        let prefix = Kind<IPPrefix>.prefix(of: family).once { "\($0) is written twice" }
        return Section(
            OSPFAreaRange(prefix: .v4(IPv4Prefix(.any, 0))),
            short: .init(values: prefix.values) { field, range in
                guard let value = prefix.read(field) else { return false }
                range.prefix = value
                return true
            }
        ) {
            Setting("prefix", \.prefix, prefix, "What it covers.").required()
            Setting("advertise", \.isAdvertised, .flag, "false hides what it covers.")
            Setting("cost", \.cost, .number(Self.metrics), "The largest within it otherwise.")
            Setting("tag", \.tag, .number(0...UInt32.max), "Of a range of type 7.")
        }
    }

    // MARK: interfaces

    private func interface(_ area: IPv4Address) -> Section<OSPFInterfaceConfiguration> {
        let name = Kind<String>.interface(of: interfaces)
            .once(in: interfaceNames) { "interface '\($0)' is in an area already" }
        return Section(
            OSPFInterfaceConfiguration(name: "", areaID: area),
            foreign: [
                "hello-interval": "hello", "dead-interval": "dead", "interface": "name", "type": "network", "metric": "cost",
                "retransmit-interval": "retransmit", "key": "authentication", "network-type": "network",
            ],
            short: .init(values: name.values) { field, interface in
                guard let name = name.read(field) else { return false }
                (interface.name, interface.network) = (name, usualNetwork(name))
                return true
            }
        ) {
            Setting("name", \.name, name, "An interface of the router.").required()
            // Written always: what is usual depends on the interface.
            Setting(
                "network", \.network,
                .choice(["broadcast": .broadcast, "point-to-point": .pointToPoint, "loopback": .loopback]),
                "point-to-point, also on a LAN of two (RFC 5309); loopback: host routes only, which cost nothing."
            ).always()
            Setting("passive", \.isPassive, .flag, "Announce its networks and speak with nobody.")
            Setting("cost", \.cost, .number(1...65_535), "Interface output cost.")
            // RFC 2328 §C.3: the RouterDeadInterval is four times the HelloInterval unless it is said.
            Setting("hello", \.hello, .seconds(1...65_535), "HelloInterval: the same on all routers of the link.")
            Setting(
                "dead", \.routerDeadInterval, .seconds(1...65_535), "RouterDeadInterval: likewise; four times hello otherwise."
            ).written { $0.routerDeadInterval != 4 * UInt32($0.helloInterval) }
            Setting("retransmit", \.retransmitInterval, .seconds(1...3600), "Until an LSA is sent again.")
            Setting("transmit-delay", \.transmitDelay, .seconds(1...3600), "By which LSAs age on the link.")
            Setting("priority", \.priority, .number(0...255), "0 is never designated router.")
            Setting("bfd", \.bfd, .flag, "BFD watches the neighbors.")
            Setting("mtu-ignore", \.ignoresMTU, .flag, "Take neighbors with another MTU (RFC 2328 §10.6).")
            Setting(
                "suppress-prefixes", \.suppressesPrefixes, .flag, "The network between routers is not announced (RFC 6860).")
            Setting(
                "ttl-security", \.hasTTLSecurity, .flag, "Send with a TTL of 255 and take nothing else; both ends (RFC 5082).")
            Setting("authentication", in: \.authentication, "RFC 2328 §D, RFC 5709; OSPFv3: RFC 7166.") { _ in authentication }
        } check: { interface, fields in
            interface.authentication = interface.authentication.unlessEmpty
            if fields["network"] == nil { interface.network = usualNetwork(interface.name) }
            if interface.routerDeadInterval <= UInt32(interface.helloInterval) {
                fields["dead"]?.error("this must be longer than the hello interval")
            }
        }
    }

    private func usualNetwork(_ name: String) -> OSPFNetworkType {
        interfaces.first { $0.name == name }?.isLoopback == true ? .loopback : .broadcast
    }

    private var authentication: Section<KeyChain> {
        Section(
            KeyChain(),
            foreign: ["type": version == .v2 ? "password (simple) or keys (cryptographic)" : "keys", "key": "keys"]
        ) {
            if version == .v2 {
                Setting("password", \.password, .secret(1...8, "a password"), "In clear (RFC 2328 §D.1).")
            }
            Setting("keys", each: \.digestKeysInPlace, atMost: 16, "The first signs, all verify.") { _ in key }
            KeyChainText.reference(chains, use)
        } check: { _, fields in
            KeyChainText.checkOne(of: (version == .v2 ? ["password"] : []) + ["keys", "key-chain"], fields)
        }
    }

    /// RFC 2328 §D, RFC 5709; RFC 7166.
    private var use: KeyChainText.Use {
        let digests: [KeyChain.Algorithm] = [.hmacSHA1, .hmacSHA256, .hmacSHA384, .hmacSHA512]
        guard version == .v2 else {
            return KeyChainText.Use(
                name: "OSPFv3", algorithms: digests, identifiers: 1...65_535, source: "RFC 7166 §4.1: 16 bits and not 0"
            ) { _ in KeyChain.Key.secretMaximum }
        }
        return KeyChainText.Use(
            name: "OSPFv2", algorithms: [.clearText, .md5] + digests, identifiers: 0...255, source: "RFC 2328 §D.3: 8 bits"
        ) { $0 == .clearText ? 8 : $0 == .md5 ? 16 : KeyChain.Key.secretMaximum }
    }

    private var key: Section<KeyChain.Key> {
        let algorithms = use.algorithms.filter { $0 != .clearText }
        return Section(
            KeyChain.Key(id: 0, algorithm: version == .v2 ? .md5 : .hmacSHA256, secret: ""),
            foreign: ["key": "secret", "password": "secret", "type": "algorithm"]
        ) {
            Setting(
                "id", \.id, .number(version == .v2 ? 0...255 : 1...65_535).once { "key \($0) is written twice" },
                "The key's number."
            ).required()
            Setting("algorithm", \.algorithm, KeyChainText.kind(of: algorithms), "How it signs.").always()
            Setting("secret", \.secretText, .secret(1...64), "With md5 at most 16 octets.") {
                $0.algorithm == .md5 ? .secret(1...16) : .secret(1...64)
            }.required()
            if version == .v2 {
                Setting("extended-sequence", \.extendedSequence, .flag, "RFC 7474; not with md5.")
            }
        } check: { key, fields in
            if key.extendedSequence, key.algorithm == .md5 { fields.field.error("RFC 7474 goes with the HMAC algorithms") }
        }
    }
}

/// An area with its interfaces, as the text has them.
private struct OSPFArea: Equatable {
    var area: OSPFAreaConfiguration
    var interfaces: [OSPFInterfaceConfiguration] = []
}

extension OSPFConfiguration {
    /// Ascending, whatever the order of the file.
    fileprivate var areasWithInterfaces: [OSPFArea] {
        get { areas.map { area in OSPFArea(area: area, interfaces: interfaces.filter { $0.areaID == area.areaID }) } }
        set {
            let sorted = newValue.sorted { $0.area.areaID < $1.area.areaID }
            areas = sorted.map(\.area)
            interfaces = sorted.flatMap(\.interfaces)
        }
    }
}

extension OSPFInterfaceConfiguration {
    /// The HelloInterval, with which goes the RouterDeadInterval.
    fileprivate var hello: UInt16 {
        get { helloInterval }
        set { (helloInterval, routerDeadInterval) = (newValue, 4 * UInt32(newValue)) }
    }
    fileprivate var hasTTLSecurity: Bool {
        get { ttlSecurity == true }
        set { ttlSecurity = newValue ? true : nil }
    }
}

extension Kind where Value == IPv4Address {
    static var routerID: Kind {
        .parsed("a router id", atMost: 40, { IPv4Address($0).flatMap { $0 == .any ? nil : $0 } }) {
            "'\($0)' is no router id; write it like an IPv4 address that is not 0.0.0.0"
        }
    }
    /// A number, or written like an IPv4 address.
    fileprivate static var areaID: Kind {
        .parsed(
            "an area", atMost: 40,
            { text in IPv4Address(text) ?? (text.hasPrefix("+") ? nil : UInt32(text).map { IPv4Address(raw: $0) }) }
        ) { "'\($0)' is no area; write a number or something like 0.0.0.1" }
    }
}
