import Engine
import ISIS
import Policy
import Records
import Testing
import Wire

@testable import Configuration

/// A router with two interfaces, and what its `isis` section says.
private func isis(_ section: String) -> String {
    """
    hostname: r1
    interfaces:
      - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24, "2001:db8:18::1/64"]}
      - {name: core, virtual-router-id: 2, addresses: [198.18.1.1/31]}
    isis:
      \(section.replacing("\n", with: "\n  "))
    """
}

@Suite struct ISISTextTests {
    @Test func `the shortest section gets the defaults and the router's name`() throws {
        let result = read(isis("net: 49.0001.1921.6800.1001.00\ninterfaces: [{name: lan}]"))
        #expect(result.problems.isEmpty)
        var expected = ISISConfiguration(
            systemID: SystemID("1921.6800.1001")!, areaAddresses: [AreaAddress("49.0001")!])
        expected.hostname = "r1"
        expected.interfaces = [ISISInterfaceConfiguration(interface: 0)]
        #expect(result.value?.isis == expected)
    }

    static let complete = """
        net: [49.0002.1921.6800.1001.00, 49.0001.1921.6800.1001.00]
        levels: 1-2
        hostname: ""
        families: [ipv4, ipv6]
        metric-style: transition
        multi-topology: true
        maximum-paths: 64
        distance: {level-1: 110, level-2: 112, external: 120}
        lsp: {mtu: 1400, lifetime: 65535, refresh: 65000, pacing: 33ms, retransmit: 3, psnp-interval: 500ms,
          initial-delay: 0, second-delay: 100ms, maximum-delay: 2s}
        spf-timers: {initial-delay: 10ms, short-delay: 100ms, long-delay: 1s, time-to-learn: 200ms, hold-down: 5s}
        overload: {always: true, on-startup: 5m}
        attached-bit: {send: false, receive: false}
        leak-up:
          - {prefix: 10.0.0.0/8, ge: 16, le: 24}
          - {prefix: "::/0", le: 128, permit: false}
          - {prefix: 192.0.2.0/24}
        leak-down: true
        summaries:
          - {prefix: 10.0.0.0/8, levels: 1-2, metric: 7, tag: 9}
          - 2001:db8::/32
        default-metric: 50
        restart-helper: false
        three-way: required
        lifetime-protection: false
        purge-originator: false
        limits: {lsps: 1000, adjacencies: 10, routes: 5000}
        authentication:
          snp: false
          level-1: {keys: {algorithm: hmac-md5, secret: area}}
          level-2:
            keys:
              - {id: 2, algorithm: hmac-sha-256, secret: new key}
              - {id: 1, algorithm: hmac-sha-1, secret: "old: key"}
            send-only: true
        interfaces:
          - name: core
            network: point-to-point
            levels: 2
            metric: 40
            hello: 333ms
            padding: until-adjacency
            point-to-point-csnp-interval: 60
            bfd: true
            multi-topology: false
            authentication: {keys: [{algorithm: clear-text, secret: plain}]}
          - name: lan
            passive: true
            csnp-interval: 20
            tag: 5
            priority: 100
            level-1: {metric: 10, ipv6-metric: 20, multiplier: 4}
            level-2: {priority: 0}
        """

    @Test func `every key is read`() throws {
        let result = read(isis(Self.complete))
        #expect(result.problems.map(\.description) == [])
        let isis = try #require(result.value?.isis)
        #expect(isis.areaAddresses == [AreaAddress("49.0001")!, AreaAddress("49.0002")!])
        #expect(isis.hostname == "")
        #expect(isis.metricStyle == .transition)
        #expect(isis.topologies == [.ipv6Unicast])
        #expect([isis.maximumPaths, isis.level1Distance, isis.level2Distance, isis.externalDistance] == [64, 110, 112, 120])
        #expect(
            [isis.lspMTU, isis.lspLifetime, isis.lspRefresh, isis.lspPacing, isis.lspRetransmit] == [1400, 65535, 65000, 33, 3])
        #expect(isis.generation == ISISThrottle(initialDelay: 0, secondDelay: 100, maximumDelay: 2000))
        #expect(
            [isis.spf.initialDelay, isis.spf.shortDelay, isis.spf.longDelay, isis.spf.timeToLearn, isis.spf.holdDown]
                == [10, 100, 1000, 200, 5000])
        #expect(isis.psnpInterval == 500)
        #expect(isis.overload.isSet && isis.overload.onStartup == 300)
        #expect(!isis.attachedBit.isSent && !isis.attachedBit.isHonored)
        let ten = PrefixRange(IPPrefix("10.0.0.0/8")!, minimumLength: 16, maximumLength: 24)
        #expect(
            isis.leakingUp.rules == [
                LeakingRule(PolicyStatement(conditions: [.prefixes([ten])], result: .accept)),
                LeakingRule(PolicyStatement(conditions: [.prefixes([.orLonger(IPPrefix("::/0")!)])], result: .reject)),
                LeakingRule(PolicyStatement(conditions: [.prefixes([PrefixRange(IPPrefix("192.0.2.0/24")!)])], result: .accept)),
            ])
        #expect(isis.leakingDown == ISISLeaking(isEnabled: true))
        #expect(isis.summaries.map(\.metric) == [7, nil])
        #expect(isis.summaries[0].levels == .level1And2 && isis.summaries[0].tag == 9)
        #expect(isis.redistributionMetric == 50)
        #expect(!isis.isRestartHelper && isis.requiresThreeWay && !isis.lifetimeProtection && !isis.purgeOriginator)
        #expect([Int(isis.limits.lsps), Int(isis.limits.adjacencies), Int(isis.limits.routes)] == [1000, 10, 5000])
        #expect(
            isis.level1.authentication
                == ISISAuthentication(chain: KeyChain(keys: [.init(id: 0, algorithm: .hmacMD5, secret: "area")])))
        #expect(!isis.level1.authenticatesSNP && !isis.level2.authenticatesSNP)
        var chain = ISISAuthentication(
            chain: KeyChain(firstSigns: [
                .init(id: 2, algorithm: .hmacSHA256, secret: "new key"), .init(id: 1, algorithm: .hmacSHA1, secret: "old: key"),
            ]))
        chain.isSendOnly = true
        #expect(isis.level2.authentication == chain)
        #expect(isis.interfaces.map(\.interface) == [0, 1])
        let lan = isis.interfaces[0], core = isis.interfaces[1]
        #expect(lan.isPassive && lan.csnpInterval == 20 && lan.tag == 5 && lan.levels == .level1And2)
        #expect([lan.level1.metric, lan.level1.ipv6Metric ?? 0, lan.level2.metric] == [10, 20, 10])
        #expect([lan.level1.priority, lan.level2.priority, lan.level1.helloMultiplier] == [100, 0, 4])
        #expect(core.networkType == .pointToPoint && core.levels == .level2 && core.bfd && core.topologies == [])
        #expect(core.level1.metric == 40 && core.level2.metric == 40 && core.level2.helloInterval == 333)
        #expect(core.padding == .untilAdjacency && core.pointToPointCSNPInterval == 60)
        #expect(core.authentication?.chain.keys.first?.algorithm == .clearText)
    }

    @Test func `what is written reads back as it was`() throws {
        for section in [
            Self.complete, "net: 49.0001.1921.6800.1001.00\ninterfaces: lan",
            "net: 47.0023.0001.0000.0000.0001.00\nlevels: 2\noverload: true\ndistance: 90\nfamilies: ipv6\n"
                + "leak-up: false\nhostname: other\ninterfaces: [{name: core, level-2: {metric: 9}}]",
        ] {
            let first = try #require(read(isis(section)).value)
            let text = RouterText.text(of: first)
            let second = read(text)
            #expect(second.problems.map(\.description) == [])
            #expect(second.value == first)
            #expect(second.value.map { RouterText.text(of: $0) } == text)
        }
    }

    @Test(arguments: [
        ("interfaces: []", "isis: 'net' is missing"),
        ("net: 49.0001.1921.6800.1001.01", "is no network entity title"),
        ("net: 49.0001.0000.0000.0000.00", "is no network entity title"),
        ("net: [49.0001.1921.6800.1001.00, 49.0002.1921.6800.1002.00]", "must have the system 1921.6800.1001"),
        ("net: 49.0001.1921.6800.1001.00\ninterfaces: [{name: lam}]", "did you mean 'lan'?"),
        ("net: 49.0001.1921.6800.1001.00\ninterfaces: [lan, {name: lan}]", "'lan' is written twice"),
        ("net: 49.0001.1921.6800.1001.00\nlevel: 2", "isis.level: unknown key; write levels"),
        ("net: 49.0001.1921.6800.1001.00\ninterfaces: [{name: lan, hello-interval: 2}]", "unknown key; write hello"),
        ("net: 49.0001.1921.6800.1001.00\ninterfaces: [{name: lan, metric: 16777215}]", "from 1 to 16777214"),
        ("net: 49.0001.1921.6800.1001.00\nmetric-style: narrow\ninterfaces: [{name: lan, metric: 64}]", "from 1 to 63"),
        ("net: 49.0001.1921.6800.1001.00\nlsp: {lifetime: 1000, refresh: 900}", "at least 300 s less"),
        ("net: 49.0001.1921.6800.1001.00\nlevels: 1\ninterfaces: [{name: lan, levels: 2}]", "does not run this level"),
        ("net: 49.0001.1921.6800.1001.00\nauthentication: {level-2: {keys: [{secret: x}]}}", "'id' is missing; keys of RFC 5310"),
        ("net: 49.0001.1921.6800.1001.00\nspf-timers: {time-to-learn: 10s}", "hold-down must be above"),
        ("net: 49.0001.1921.6800.1001.00\nfamilies: []", "at least one family"),
        ("net: 49.0001.1921.6800.1001.00\nleak-up: [{prefix: 10.0.0.0/8, ge: 4}]", "from 8 to 32"),
    ]) func `a mistake is named with its place`(_ section: String, _ message: String) {
        let result = read(isis(section))
        #expect(result.value == nil)
        #expect(result.problems.contains { $0.description.contains(message) }, "\(result.problems.map(\.description))")
    }
}
