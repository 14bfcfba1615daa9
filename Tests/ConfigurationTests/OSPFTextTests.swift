import Engine
import OSPF
import Records
import Testing
import Wire

@testable import Configuration

@Suite struct OSPFTextTests {
    private static let router = """
        interfaces:
          - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24, "2001:db8:18::1/64"]}
          - {name: lo, loopback: true, addresses: [192.0.2.1/32]}

        """
    private func ospf(_ keys: String, areas: String = "[{id: 0, interfaces: [lan]}]") -> String {
        Self.router + "ospf:\n  router-id: 192.0.2.1\n  areas: \(areas)\n  " + keys
    }

    static let complete = """
        interfaces:
          - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24, "2001:db8:18::1/64"]}
          - {name: wan, virtual-router-id: 2, addresses: [198.18.1.1/24]}
          - {name: lo, loopback: true, addresses: [192.0.2.1/32]}
        ospf:
          router-id: 192.0.2.1
          maximum-paths: 8
          distance: {intra-area: 100, inter-area: 101, external: 102}
          default-metric: 30
          default-originate: {always: true, metric: 5, metric-type: 1, tag: 9}
          rfc1583-compatibility: true
          spf-timers: {initial-delay: 10ms, short-delay: 100ms, long-delay: 1s, time-to-learn: 200ms, hold-down: 5s}
          lsa-timers: {initial-delay: 5ms, minimum-interval: 4s, minimum-arrival: 900ms, refresh: 20m}
          stub-router: {on-startup: 5m, summary-metric: 100, external-metric: 200, include-stubs: true}
          graceful-restart-helper: {enabled: false, strict-lsa-checking: false, grace-period-maximum: 10m}
          limits: {lsas: 1000, neighbors-per-interface: 16, redistributed: 7}
          areas:
            - id: 0
              interfaces:
                - lo
                - name: lan
                  network: point-to-point
                  cost: 20
                  priority: 0
                  hello: 5s
                  dead: 15s
                  retransmit: 3s
                  transmit-delay: 2s
                  bfd: true
                  mtu-ignore: true
                  suppress-prefixes: true
                  ttl-security: true
                  authentication:
                    keys:
                      - {id: 1, algorithm: hmac-sha-256, secret: one, extended-sequence: true}
                      - {id: 2, algorithm: md5, secret: two}
            - id: 0.0.0.1
              type: nssa
              default-cost: 5
              ranges: [{prefix: 10.0.0.0/16, advertise: false}, {prefix: 10.1.0.0/16, cost: 20}, 10.2.0.0/16]
              nssa-ranges: [{prefix: 10.3.0.0/16, tag: 6}]
              nssa-translator: always
              nssa-default-originate: {always: true, metric: 10}
              interfaces: [{name: wan, passive: true, authentication: {password: clear}}]
        ospfv3:
          router-id: 192.0.2.1
          instance-id: 3
          distance: 90
          stub-router: {always: true}
          default-originate: true
          areas:
            - id: 5
              type: totally-stubby
              interfaces: [{name: lan, hello: 2s, authentication: {keys: [{id: 7, secret: x}]}}, wan]
        ospfv3-ipv4:
          router-id: 192.0.2.1
          areas: [{id: 1, interfaces: [lan]}]
        """

    @Test func `every key is read`() throws {
        let result = read(Self.complete)
        #expect(result.problems.map(\.description) == [])
        let ospf = try #require(result.value?.ospf)
        #expect(ospf.routerID == IPv4Address("192.0.2.1") && ospf.maximumPaths == 8 && ospf.defaultMetric == 30)
        #expect([ospf.distances.intraArea, ospf.distances.interArea, ospf.distances.external] == [100, 101, 102])
        #expect(ospf.defaultOriginate == OSPFDefaultOriginate(always: true, metric: 5, isExternalMetric: false, tag: 9))
        #expect(ospf.rfc1583Compatibility)
        #expect([ospf.spfTimers.initialDelay, ospf.spfTimers.longDelay, ospf.spfTimers.holdDown] == [10, 1000, 5000])
        #expect(ospf.lsaTimers.minimumArrival == 900 && ospf.lsaTimers.refreshInterval == 1200)
        #expect(
            ospf.stubRouter?.onStartup == 300 && ospf.stubRouter?.summaryMetric == 100 && ospf.stubRouter?.includesStubs == true)
        #expect(!ospf.gracefulRestartHelper.isEnabled && ospf.gracefulRestartHelper.gracePeriodMaximum == 600)
        #expect(ospf.limits.lsasMaximum == 1000 && ospf.limits.redistributed == 7)
        #expect(ospf.areas.map(\.areaID) == [IPv4Address(raw: 0), IPv4Address(raw: 1)])
        let area = ospf.areas[1]
        #expect(area.kind == .nssa && area.defaultCost == 5 && area.nssaTranslator == .always)
        #expect(area.ranges.map(\.isAdvertised) == [false, true, true] && area.ranges.map(\.cost) == [nil, 20, nil])
        #expect(area.nssaRanges.first?.tag == 6 && area.nssaDefaultOriginate?.always == true)
        #expect(ospf.interfaces.map(\.name) == ["lo", "lan", "wan"])
        let lo = ospf.interfaces[0], lan = ospf.interfaces[1], wan = ospf.interfaces[2]
        #expect(lo.network == .loopback && lan.network == .pointToPoint && wan.network == .broadcast)
        #expect(lan.cost == 20 && lan.priority == 0 && lan.helloInterval == 5 && lan.routerDeadInterval == 15)
        #expect(lan.bfd && lan.ignoresMTU && lan.suppressesPrefixes && lan.ttlSecurity == true)
        #expect(
            lan.authentication
                == KeyChain(firstSigns: [
                    .init(id: 1, algorithm: .hmacSHA256, secret: "one", extendedSequence: true),
                    .init(id: 2, algorithm: .md5, secret: "two"),
                ]))
        #expect(wan.isPassive && wan.authentication == .password("clear") && wan.areaID == IPv4Address(raw: 1))
        let v3 = try #require(result.value?.ospfv3)
        #expect(v3.instanceID == 3 && v3.distances.external == 90 && v3.defaultOriginate == OSPFDefaultOriginate())
        #expect(v3.interfaces[0].routerDeadInterval == 8)
        #expect(v3.interfaces[0].authentication == KeyChain(keys: [.init(id: 7, algorithm: .hmacSHA256, secret: "x")]))
        #expect(result.value?.ospfv3ipv4?.instanceID == 64)
    }

    @Test func `what is written reads back as it was, whatever the order of the areas`() throws {
        for text in [Self.complete, ospf("", areas: "[{id: 2, interfaces: [lan]}, {id: 0, interfaces: [lo]}]")] {
            let first = try #require(read(text).value)
            let written = RouterText.text(of: first)
            #expect(read(written).problems.map(\.description) == [])
            #expect(read(written).value == first)
            #expect(read(written).value.map { RouterText.text(of: $0) } == written)
        }
    }

    @Test(arguments: [
        ("stub-router: {}", "write always: true or on-startup: TIME"),
        ("stub-router: {always: true, on-startup: 25h}", "write a time from 0s to 24h"),
        ("spf-timers: {time-to-learn: 10s}", "hold-down must be above time-to-learn (RFC 8405 §5)"),
        ("spf-timers: {long-delay: 11m}", "write a time from 0s to 10m"),
        ("distance: 0", "'0' is not allowed; write a number from 1 to 255"),
        ("instance-id: 1", "unknown key"),
        ("max-metric: 1", "unknown key; write stub-router"),
    ])
    func `what cannot be is named`(keys: String, message: String) {
        let found = problems(ospf(keys))
        #expect(found.count == 1 && found[0].contains(message), "\(found)")
    }

    @Test(arguments: [
        ("[{id: 0, type: stub}]", "the backbone, area 0, can only be normal (RFC 2328 §3.6)"),
        ("[{id: 1}, {id: 0.0.0.1}]", "area 0.0.0.1 is written twice"),
        ("[{id: 1, nssa-translator: never}]", "only an NSSA has this"),
        ("[{id: 1, nssa-ranges: [10.0.0.0/8]}]", "only an NSSA has these"),
        ("[{id: 1, ranges: [10.0.0.0/8, 10.0.0.0/8]}]", "10.0.0.0/8 is written twice"),
        ("[{id: 1, ranges: ['2001:db8::/32']}]", "2001:db8::/32 is not of the family of this section"),
        ("[{id: 1, interfaces: [lan]}, {id: 2, interfaces: [{name: lan}]}]", "interface 'lan' is in an area already"),
        ("[{id: 1, interfaces: [{name: lan, hello: 10s, dead: 10s}]}]", "this must be longer than the hello interval"),
        ("[{id: 1, interfaces: [{name: lan, authentication: {}}]}]", "write password, keys or key-chain"),
        (
            "[{id: 1, interfaces: [{name: lan, authentication: {keys: [{id: 1, secret: 12345678901234567}]}}]}]",
            "a secret of 1 to 16 octets is expected, not 17"
        ),
        (
            "[{id: 1, interfaces: [{name: lan, authentication: {keys: [{id: 1, secret: x, extended-sequence: true}]}}]}]",
            "RFC 7474 goes with the HMAC algorithms"
        ),
    ])
    func `an area that cannot be is named`(areas: String, message: String) {
        let found = read(ospf("", areas: areas)).errors.map(\.message)
        #expect(found == [message])
    }
}
