import BGP
import Engine
import Policy
import Records
import Testing
import Wire

@testable import Configuration

/// The smallest configuration with a neighbour, and places where a test adds something.
func router(
    neighbor: String = "", bgp: String = "", top: String = "", import policy: String = "accept-all"
) -> String {
    """
    interfaces:
      - name: lan
        virtual-router-id: 1
        addresses: [198.18.0.1/24, 2001:db8:18::1/64]
    \(top)
    bgp:
      as: 65000
      router-id: 198.18.0.1
      \(bgp.replacing("\n", with: "\n  "))
      neighbors:
        - address: 198.18.0.11
          remote-as: 65001
          import: \(policy)
          export: accept-all
          \(neighbor.replacing("\n", with: "\n      "))
    """
}

func read(_ text: String) -> ConfigurationResult<RouterConfiguration> {
    RouterText.read(Array(text.utf8), file: "router.yaml")
}
func problems(_ text: String) -> [String] { read(text).problems.map(\.description) }

@Suite struct RouterTextTests {
    @Test func `the shortest configuration gets the defaults`() throws {
        let result = read(router())
        #expect(result.problems.isEmpty)
        let configuration = try #require(result.value)
        #expect(
            configuration.interfaces == [
                InterfaceConfiguration(
                    name: "lan", virtualMAC: MACAddress(raw: 0x0000_5e00_0101),
                    addresses: [
                        .init(address: IPAddress("198.18.0.1")!, prefixLength: 24),
                        .init(address: IPAddress("2001:db8:18::1")!, prefixLength: 64),
                    ])
            ])
        var neighbor = NeighborConfiguration(address: IPAddress("198.18.0.11")!, remoteAS: ASNumber(65001))
        neighbor.importPolicies = ["accept-all"]
        neighbor.exportPolicies = ["accept-all"]
        var bgp = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID("198.18.0.1")!)
        bgp.neighbors = [neighbor]
        #expect(configuration.bgp == bgp)
        #expect(
            configuration.definitions?.policies == [
                PolicyConfiguration(name: "accept-all", statements: [PolicyStatement(result: .accept)])
            ])
    }

    static let complete = """
        hostname: border1
        interfaces:
          - name: lan
            mac: 02:4c:53:00:00:01
            vlan: 100
            mtu: 9000
            addresses: [198.18.0.1/24, "2001:db8:18::1/64"]
          - {name: other, virtual-router-id: 255, addresses: [203.0.113.1/31]}
        static-routes:
          - {prefix: 10.0.0.0/8, next-hop: 198.18.0.254}
          - {prefix: "::/0", next-hop: "2001:db8:18::2", distance: 250, tag: 7}
          - prefix: 192.0.2.0/24
            blackhole: true
        prefix-sets:
          customers:
            - 198.51.100.0/24
            - 10.0.0.0/8 ge 16 le 24
            - 2001:db8::/32 le 48
            - 172.16.0.0/12 ge 20
            - 0.0.0.0/0 le 32
          empty: []
        community-sets:
          tagged: [65000:100, 65000:*, 65000:1:2, 65000:1:*, 65000:*:*, no-export]
        policies:
          from-customer:
            - match:
                prefix-set: customers
                as-path-length: 1..10
                family: ipv4-unicast
                next-hop: 198.18.0.0/24
              set: {local-preference: 200, add-communities: [65000:100, blackhole], med: none}
              then: accept
            - match: [{community: tagged}, {community: tagged}, {no-community: tagged}]
              set: {remove-communities: tagged, prepend: {count: 3}, next-hop: self, large-communities: [65000:1:2]}
              then: next
            - match: {neighbor: 198.18.0.11, neighbor-as: 65001, origin-as: 1.1, as-path-contains: 7, origin: egp, med: 5..9, local-preference: 100, source: external, not-prefix-set: empty, all-communities: tagged}
              then: reject
          pass:
            statements:
              - set: {communities: [], origin: incomplete, next-hop: 198.18.0.1, add-large-communities: 1:2:3}
                then: next
            otherwise: next
          nothing: {statements: [], otherwise: accept}
        bgp:
          as: 65000
          router-id: 198.18.0.1
          require-policy: false
          default-local-preference: 150
          cluster-id: 198.18.0.9
          client-to-client-reflection: false
          distance: {external: 21, internal: 201, local: 202}
          networks:
            - 203.0.113.0/24
            - {prefix: "2001:db8:5::/48", next-hop: "2001:db8:18::2", med: 10, communities: [65000:1], large-communities: [65000:1:2]}
          peer-groups:
            transit:
              remote-as: 65001
              timers: {hold: 30, connect-retry: 5}
              import: [from-customer, pass]
              export: accept-all
              ttl-security: 1
          neighbors:
            - address: 198.18.0.11
              peer-group: transit
              description: "FRR: the \\"first\\" # one"
              password: 's3cr&t: "x"'
              families:
                ipv4-unicast: {max-prefix: 1000, warning: 80, restart: 5m}
                ipv6-unicast: {}
              timers: {hold: 9s}
            - address: 2001:db8:18::99
              remote-as: internal
              next-hop-self: true
              next-hop-self-reflected: true
              route-reflector-client: true
              extended-messages: false
              allow-as-in: 2
              families: [ipv6-unicast, ipv4-unicast]
            - address: 192.0.2.1
              remote-as: 65003
              multihop: 5
              passive: true
              port: 1179
              local-address: 198.18.0.1
              shutdown: "maintenance until 10:00"
              default-originate: true
              remove-private-as: replace
              as-override: true
              enforce-first-as: false
              send-communities: false
              route-refresh: false
              max-prefix: 7
              max-paths: none
              role: rs-client
              role-strict: true
            - address: 198.18.0.12
              remote-as: 65004
              import: accept-all
              export: accept-all
              max-prefix: none
              max-paths: 12
            - address: 198.18.0.13
              remote-as: 65005
              import: accept-all
              export: accept-all
              families: {ipv4-unicast: {warning: 50, restart: 5m}}
            - address: 198.18.0.14
              remote-as: internal
              view: best-accepted
              families:
                ipv4-unicast: {max-prefix: none, add-path: {receive: true, send: all}, extended-next-hop: true}
                ipv6-unicast: {add-path: {send: 4}}
        """

    @Test func `a neighbour takes from its group what it does not say itself`() throws {
        let result = read(Self.complete)
        #expect(result.errors.isEmpty)
        // What an operator of RFC 8950 must know.
        #expect(result.problems.map(\.path) == ["bgp.neighbors[5].families"])
        let bgp = try #require(result.value?.bgp)
        let first = bgp.neighbors[0]
        #expect(first.remoteAS == ASNumber(65001))
        #expect(first.timers.hold == 9)
        #expect(first.timers.connectRetry == 5)
        #expect(first.importPolicies == ["from-customer", "pass"])
        #expect(first.ttlSecurityHops == 1)
        #expect(first.md5Key == "s3cr&t: \"x\"")
        #expect(first.families[0].maximumPrefixes == 1000)
        #expect(first.families[0].restartMinutes == 5)
        #expect(bgp.neighbors[1].remoteAS == ASNumber(65000))
        #expect(bgp.neighbors[2].shutdownMessage == "maintenance until 10:00")
        #expect(
            bgp.neighbors[2].families == [
                {
                    var family = FamilyConfiguration(.ipv4Unicast)
                    family.maximumPrefixes = 7
                    return family
                }()
            ])
        #expect(bgp.neighbors[2].pathLimit == nil)
        #expect(bgp.neighbors[2].removePrivateAS && bgp.neighbors[2].replacesPrivateAS && bgp.neighbors[2].overridesAS)
        #expect(bgp.neighbors[2].role == .rsClient && bgp.neighbors[2].roleStrict)
        #expect(bgp.neighbors[0].role == nil && !bgp.neighbors[0].roleStrict)
        #expect(bgp.clusterID == RouterID("198.18.0.9") && !bgp.clientToClientReflection)
        #expect(bgp.neighbors[1].isReflectorClient && bgp.neighbors[1].nextHopSelfReflected)
        #expect(bgp.neighbors[3].families[0].limit(isInternal: false) == nil)
        #expect(bgp.neighbors[3].pathLimit == 12)
        #expect(bgp.neighbors[4].families[0].limit(isInternal: false) == 2_000_000)
        #expect(bgp.neighbors[4].families[0].limit(isInternal: true) == nil)
        #expect(bgp.neighbors[4].pathLimit == 4_000_000)
        let several = bgp.neighbors[5]
        #expect(several.view == .bestAccepted && several.families.map(\.extendedNextHop) == [true, false])
        #expect(several.families.map(\.addPath.receive) == [true, false])
        #expect(several.families.map(\.addPath.send) == [AddPathConfiguration.all, 4])
        let definitions = try #require(result.value?.definitions)
        #expect(definitions.policies[0].statements[1].actions[1] == .prepend(asNumber: ASNumber(65000), count: 3))
        #expect(
            definitions.prefixSets[0].entries.map { "\($0.prefix) \($0.minimumLength) \($0.maximumLength)" } == [
                "198.51.100.0/24 24 24", "10.0.0.0/8 16 24", "2001:db8::/32 32 48", "172.16.0.0/12 20 32", "0.0.0.0/0 0 32",
            ])
    }

    @Test func `the canonical text reads back as the same configuration`() throws {
        for text in [Self.complete, router(), "hostname: h"] {
            let configuration = try #require(read(text).value)
            let canonical = RouterText.text(of: configuration)
            let again = read(canonical)
            #expect(again.errors.map(\.description) == [])
            #expect(again.value == configuration)
            #expect(try RouterText.text(of: #require(again.value)) == canonical)
        }
    }

    @Test func `the engine's octets give the same configuration`() throws {
        let configuration = try #require(read(Self.complete).value)
        #expect(try RouterConfiguration(decoding: configuration.encoded()) == configuration)
    }

    @Test func `an empty file is an empty configuration`() throws {
        #expect(read("").value == RouterConfiguration())
        #expect(read("# nothing\n").value == RouterConfiguration())
    }

    // MARK: what is wrong

    @Test func `an unknown key names its place, its path and the nearest word`() {
        #expect(
            problems(router(neighbor: "discription: x")) == [
                "router.yaml:15:7: bgp.neighbors[0].discription: unknown key; did you mean 'description'?"
            ])
        #expect(problems("bpg: {}") == ["router.yaml:1:1: bpg: unknown key; did you mean 'bgp'?"])
    }

    @Test func `words of other routers are explained`() {
        #expect(
            problems(router(neighbor: "ebgp-multihop: 2")) == [
                "router.yaml:15:7: bgp.neighbors[0].ebgp-multihop: unknown key; write multihop"
            ])
    }

    @Test func `all problems are told at once, in the order of the file`() {
        let text = router(neighbor: "timers: {hold: 2}\nport: 0\nfamilies: [ipv5]", bgp: "require-policy: yes")
        #expect(
            problems(text) == [
                "router.yaml:9:19: bgp.require-policy: 'yes' is no flag; write true",
                "router.yaml:15:22: bgp.neighbors[0].timers.hold: a hold time is 0 or at least 3s",
                "router.yaml:16:13: bgp.neighbors[0].port: '0' is not allowed; write a port from 1 to 65535",
                "router.yaml:17:18: bgp.neighbors[0].families[0]: 'ipv5' is not allowed; it can be ipv4-unicast or ipv6-unicast",
            ])
        #expect(read(text).value == nil)
    }

    @Test(arguments: [
        ("shutdown: [a]", "true, false or a text is expected, not a list"),
        ("password: ''", "a password of 1 to 80 octets is expected, not 0"),
        ("port: 1e3", "'1e3' is not allowed; write a port from 1 to 65535"),
        ("port: +179", "'+179' is not allowed; write a port from 1 to 65535"),
        ("timers: 90", "a mapping is expected, not '90'"),
        ("timers: {hold: 10x}", "'10x' is no time; write a number and ms, s, m or h, like 10ms"),
        ("timers: {hold: 500ms}", "whole seconds are expected"),
        ("timers: {idle-hold: 20, idle-hold-maximum: 10}", "this is below idle-hold, 20s"),
        ("multihop: 2\nttl-security: 1", "'multihop' and 'ttl-security' exclude each other; ttl-security: N allows N hops"),
        ("local-address: 198.18.0.2", "198.18.0.2 is no address of the router; it has 198.18.0.1"),
        ("local-address: 2001:db8:18::1", "2001:db8:18::1 is not of the family of 198.18.0.11"),
        ("peer-group: none", "there is no peer group 'none'"),
        ("families: {}", "at least one family is needed: ipv4-unicast or ipv6-unicast"),
        ("families: [ipv4-unicast, ipv4-unicast]", "ipv4-unicast is written twice"),
        (
            "families: {ipv4-unicast: {max-prefix: none, warning: 50}}",
            "with 'max-prefix: none' there is no limit of which these could say something"
        ),
        (
            "families: {ipv6-unicast: {extended-next-hop: true}}",
            "ipv6-unicast has IPv6 next hops without it; it is for families of IPv4"
        ),
        (
            "families: {ipv4-unicast: {add-path: {send: 1}}}",
            "'1' is not allowed; write a number of paths, all, or none, from 2 to 16"
        ),
        (
            "families: {ipv4-unicast: {add-path: {tx: all}}}",
            "unknown key; write send"
        ),
        (
            "addpath-tx-all-paths: true",
            "unknown key; write families: {ipv4-unicast: {add-path: {send: all}}}"
        ),
        ("view: all", "'all' is not allowed; it can be best or best-accepted"),
        ("max-prefix: 0", "'0' is not allowed; write a number of prefixes, or none, from 1 to 4294967294"),
        ("max-paths: many", "'many' is not allowed; write a number of paths, or none, from 1 to 4294967294"),
        ("remove-private-as: some", "'some' is not allowed; it can be true, false or replace"),
        ("role-strict: true", "'role-strict' needs 'role': what we are to the neighbor"),
        (
            "route-reflector-client: true",
            "only an internal neighbor is a client (RFC 4456 §6); AS 65001 is not ours, 65000"
        ),
        ("next-hop-self-reflected: true", "'next-hop-self-reflected' needs 'next-hop-self: true'"),
        ("allow-as-in: 11", "'11' is not allowed; write a number of times, or origin, from 0 to 10"),
    ])
    func `a wrong value of a neighbour is refused`(text: String, message: String) {
        #expect(read(router(neighbor: text)).errors.map(\.message) == [message])
    }

    @Test func `roles are words for what we are, and none of an internal neighbour`() {
        for role in PeeringRole.allCases {
            #expect(read(router(neighbor: "role: \(role)")).value?.bgp?.neighbors[0].role == role)
        }
        let wrong = read(router(neighbor: "role: transit")).errors.map(\.message)
        #expect(wrong.count == 1 && wrong[0].contains("rs-client"))
        let inside = router(bgp: "peer-groups: {inside: {remote-as: internal, role: peer}}").replacing(
            "remote-as: 65001", with: "peer-group: inside")
        #expect(read(inside).errors.map(\.message) == ["a role is towards another AS (RFC 9234 §4); this neighbor is internal"])
    }

    @Test(arguments: [
        ("- {prefix: 10.0.0.1/8, blackhole: true}", "'10.0.0.1/8' has bits beyond its length; did you mean 10.0.0.0/8?"),
        ("- {prefix: 10.0.0.0, blackhole: true}", "'10.0.0.0' has no length; write 10.0.0.0/32"),
        ("- {prefix: 10.0.0.0/33, blackhole: true}", "the length '33' is not allowed; write a number from 0 to 32"),
        ("- {prefix: 10.0.0.0/8}", "the destination is missing; write next-hop or blackhole: true"),
        ("- {prefix: 10.0.0.0/8, next-hop: 198.18.0.1}", "198.18.0.1 is the router itself"),
        ("- {prefix: 10.0.0.0/8, next-hop: 198.18.0.2, blackhole: true}", "'next-hop' and 'blackhole' exclude each other"),
        ("- {prefix: 10.0.0.0/8, next-hop: \"2001:db8:18::2\"}", "2001:db8:18::2 is not of the family of 10.0.0.0/8"),
        (
            "- {prefix: 10.0.0.0/8, blackhole: true}\n  - {prefix: 10.0.0.0/8, blackhole: true, tag: 1}",
            "the route to 10.0.0.0/8 with this destination is written twice"
        ),
    ])
    func `a wrong static route is refused`(text: String, message: String) {
        #expect(read(router(top: "static-routes:\n  " + text)).errors.map(\.message) == [message])
    }

    @Test(arguments: [
        (
            "{name: b, virtual-router-id: 2, addresses: [198.18.0.129/25]}",
            "198.18.0.128/25 overlaps with 198.18.0.0/24 of interface 'a'"
        ),
        ("{name: b, virtual-router-id: 2, addresses: [198.18.0.1/24]}", "198.18.0.1 is an address of interface 'a' already"),
        ("{name: a, virtual-router-id: 2, addresses: [198.19.0.1/24]}", "there is another interface 'a'"),
        ("{name: b, addresses: [198.19.0.1/24]}", "the virtual MAC is missing; write virtual-router-id: 1 or mac: 02:…"),
        (
            "{name: b, virtual-router-id: 2, mac: 02:00:00:00:00:01, addresses: [198.19.0.1/24]}",
            "'mac' and 'virtual-router-id' exclude each other"
        ),
        (
            "{name: b, mac: 03:00:00:00:00:01, addresses: [198.19.0.1/24]}",
            "03:00:00:00:00:01 is not the address of one station"
        ),
        ("{name: b, virtual-router-id: 2, addresses: []}", "at least one address is needed"),
        (
            "{name: b, virtual-router-id: 2, addresses: [198.19.0.1]}",
            "'198.19.0.1' has no prefix length; write it like 198.19.0.1/24"
        ),
        (
            "{name: b, virtual-router-id: 2, addresses: [198.19.0.0/24]}",
            "198.19.0.0 is the network itself, not an address in it"
        ),
        (
            "{name: b, virtual-router-id: 2, addresses: [198.19.0.255/24]}",
            "198.19.0.255 is the broadcast address of its network"
        ),
        ("{name: b, virtual-router-id: 2, addresses: [224.0.0.1/24]}", "224.0.0.1 cannot be a router's address"),
        (
            "{name: 'b c', virtual-router-id: 2, addresses: [198.19.0.1/24]}",
            "'b c' is no name: only letters, digits, '-', '_' and '.' are allowed"
        ),
    ])
    func `a wrong interface is refused`(text: String, message: String) {
        let first = "{name: a, virtual-router-id: 1, addresses: [198.18.0.1/24]}"
        #expect(read("interfaces:\n  - \(first)\n  - \(text)").errors.map(\.message) == [message])
    }

    @Test(arguments: [
        ("prefix-sets: {a: [10.0.0.0/8 ge 4]}", "'ge 4' is shorter than 10.0.0.0/8 itself"),
        ("prefix-sets: {a: [10.0.0.0/8 ge 24 le 20]}", "'ge 24' is above 'le 20'"),
        (
            "prefix-sets: {a: [10.0.0.0/8 gt 20]}",
            "'gt' is not expected here; write PREFIX, PREFIX ge N, PREFIX le N or both"
        ),
        ("prefix-sets: {a: [10.0.0.0/8 le]}", "'le' needs a length from 8 to 32"),
        (
            "community-sets: {a: ['65536:1']}",
            "'65536:1' is no community; write A:B, A:B:C, rt:A:B or soo:A:B, each part a number, N..M or *, "
                + "a name like no-export, or 0x and 16 digits of which * is any"
        ),
        (
            "prefix-sets: {good: []}\npolicies: {p: [{match: {prefix-set: god}, then: accept}]}",
            "there is no prefix set 'god'; did you mean 'good'?"
        ),
        ("policies: {p: [{match: {community: x}, then: accept}]}", "there is no community set 'x'"),
        ("policies: {p: [{set: {med: 1}}]}", "'then' is missing; write accept, reject or next"),
        ("policies: {p: [{then: permit}]}", "'permit' is not allowed; it can be accept, reject or next"),
        (
            "policies: {p: [{set: {prepend: {count: 33}}, then: accept}]}",
            "'33' is not allowed; write a number from 1 to 32"
        ),
        (
            "policies: {p: [{match: {as-path-length: 9..1}, then: accept}]}",
            "'9..1' is not allowed; write a number or a range N..M from 0 to 65535"
        ),
        (
            "policies: {p: [{match: {origin-as: 0}, then: accept}]}",
            "0 is no AS number; write a number from 1 to 4294967295"
        ),
        (
            "policies: {accept-all: [{then: reject}]}",
            "'accept-all' is there already and always does the same; choose another name"
        ),
        ("policies: {p: {match: {}}}", "unknown key; write a list of statements: - match: …"),
    ])
    func `a wrong policy or set is refused`(text: String, message: String) {
        #expect(read(router(top: text)).errors.map(\.message).contains(message))
    }

    @Test func `a policy that does not exist is found by its near name`() {
        #expect(
            problems(router(top: "policies: {from-customer: [{then: accept}]}", import: "from-costumer")) == [
                "router.yaml:13:15: bgp.neighbors[0].import: there is no policy 'from-costumer'; did you mean 'from-customer'?"
            ])
    }

    @Test func `a neighbour must be reachable, somebody else and there once`() {
        func errors(_ address: String, _ more: String = "") -> [String] {
            read(
                router().replacing("address: 198.18.0.11", with: "address: \(address)")
                    .replacing("remote-as: 65001", with: "remote-as: 65001\n      \(more)")
            ).errors.map(\.message)
        }
        #expect(
            errors("192.0.2.1") == [
                "192.0.2.1 is on no connected network; connected: 198.18.0.0/24; for a neighbor farther away write multihop: 2 or more"
            ])
        #expect(errors("192.0.2.1", "multihop: 2") == [])
        #expect(errors("192.0.2.1", "ttl-security: 2") == [])
        #expect(errors("192.0.2.1", "ttl-security: 1").count == 1)
        #expect(errors("198.18.0.1") == ["198.18.0.1 is the router itself"])
        #expect(errors("224.0.0.5") == ["224.0.0.5 cannot be a neighbor's address"])
        #expect(
            errors("fe80::1") == [
                "a link-local address does not say on which interface; use a global address of the neighbor"
            ])
        #expect(
            errors("198.18.0.11\n      remote-as: 1\n    - address: 198.18.0.11").contains(
                "there is another neighbor 198.18.0.11"))
    }

    @Test func `an external neighbour without policy is a warning that cites RFC 8212`() throws {
        let result = read(router().replacing("      import: accept-all\n", with: ""))
        #expect(result.value != nil)
        #expect(
            result.problems.map(\.description) == [
                "router.yaml:11:16: warning: bgp.neighbors[0].address: without 'import' nothing is accepted from this external "
                    + "neighbor (RFC 8212); write import: accept-all if that is not wanted"
            ])
        #expect(read(router(bgp: "require-policy: false").replacing("      import: accept-all\n", with: "")).problems.isEmpty)
    }

    @Test func `a group that nobody uses is checked, and one that many use is reported once`() {
        let group = "peer-groups: {g: {hold: 3, port: 99999}}"
        let expected = ["bgp.peer-groups.g.hold", "bgp.peer-groups.g.port"]
        #expect(read(router(bgp: group)).errors.map(\.path) == expected)
        #expect(read(router(neighbor: "peer-group: g", bgp: group)).errors.map(\.path) == expected)
    }

    @Test func `failure injection is hidden behind its own switch and warns`() throws {
        let result = read(router(top: "testing: {enabled: true, trap-on-prefix: 203.0.113.0/24}"))
        #expect(result.value?.testing.isEnabled == true)
        #expect(result.value?.bgp?.testing.trapOnPrefix == IPPrefix("203.0.113.0/24"))
        #expect(result.warnings.count == 1)
        #expect(
            read(router(top: "testing: {trap-on-prefix: 203.0.113.0/24}")).errors.map(\.message) == [
                "this needs enabled: true beside it"
            ])
    }
}

@Suite struct LargeConfigurationTests {
    @Test func `as many neighbours as are allowed fit a file and a record, and one more is refused`() throws {
        func text(_ count: Int) -> String {
            var text = """
                interfaces:
                  - {name: lan, virtual-router-id: 1, addresses: [10.0.0.1/16]}
                bgp:
                  as: 65000
                  router-id: 10.0.0.1
                  peer-groups:
                    clients: {import: accept-all, export: accept-all, timers: {hold: 30}, max-prefix: 1000}
                  neighbors:

                """
            for i in 0..<count {
                text +=
                    "    - {address: 10.0.\(1 + i / 250).\(1 + i % 250), remote-as: \(4_200_000_000 + i), peer-group: clients}\n"
            }
            return text
        }
        let result = read(text(4096))
        #expect(result.problems.isEmpty)
        let configuration = try #require(result.value)
        let octets = try configuration.encoded()
        // The replication channel carries 8 MiB.
        #expect(octets.count < 1 << 20)
        #expect(try RouterConfiguration(decoding: octets) == configuration)
        #expect(read(text(4097)).errors.map(\.message) == ["4097 entries are too many; at most 4096 are allowed"])
    }
}
