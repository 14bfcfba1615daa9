import BGP
import Engine
import Foundation
import ISIS
import Policy
import Records
import Routing
import Testing
import Wire

@testable import Configuration

/// A router with two interfaces and these sections.
private func router(_ sections: String) -> String {
    """
    hostname: r1
    interfaces:
      - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24, "2001:db8:18::1/64"]}
      - {name: core, virtual-router-id: 2, addresses: [198.18.1.1/31]}

    """ + sections
}

@Suite struct RedistributionTextTests {
    @Test func `the shortest rule takes every route as it is`() {
        let result = read(router("redistribute: [{from: ospf, into: bgp}]"))
        #expect(result.problems.isEmpty)
        #expect(result.value?.redistribution == [RedistributionConfiguration(from: .ospf, into: .bgp)])
    }

    static let complete = """
        aggregates:
          - {prefix: 10.0.0.0/8, distance: 150, tag: 9, summary-only: true}
          - prefix: "2001:db8::/32"
            rules:
              - {match: {prefix: ["2001:db8::/32 ge 48 le 64"], tag: 7, metric: 0..100}, then: accept}
              - {then: reject}
            otherwise: accept
        redistribute:
          - from: bgp
            into: ospf
            metric: 20
            metric-type: 1
            tag: 100
            rules:
              - match: {prefix: [10.0.0.0/8 ge 16, 192.0.2.0/24], tag: [1, 2], kind: [external, local], metric: 5}
                set: {metric: 7, metric-type: 2, tag: 0}
                then: accept
              - {match: {kind: internal}, then: reject}
            otherwise: accept
          - {from: connected, into: isis, level: 1-2, metric-type: internal, rules: []}
          - {from: isis, into: ripng, metric: 16, rules: [{match: {kind: [level-1, level-2-external]}, then: accept}]}
          - {from: aggregate, into: bgp}
        """

    @Test func `every key is read and written again`() throws {
        let result = read(router(Self.complete))
        #expect(result.problems.map(\.message) == [])
        let configuration = try #require(result.value)
        let aggregates = try #require(configuration.aggregates)
        #expect(
            aggregates[0]
                == AggregateConfiguration(prefix: IPPrefix("10.0.0.0/8")!, distance: 150, tag: 9, suppressesContributors: true))
        let range = PrefixRange(IPPrefix("2001:db8::/32")!, minimumLength: 48, maximumLength: 64)
        let statements = [
            PolicyStatement(conditions: [.prefixes([range]), .tags([7]), .metric(minimum: 0, maximum: 100)], result: .accept),
            PolicyStatement(result: .reject),
        ]
        #expect(
            aggregates[1].contributors
                == PolicyUse(rules: PolicyConfiguration(name: "", statements: statements, otherwise: .accept)))
        let rules = try #require(configuration.redistribution)
        #expect(rules.map(\.target) == [.ospf, .isis, .ripng, .bgp])
        #expect(rules[0].metric == 20 && rules[0].isExternalMetric == false && rules[0].tag == 100)
        let first = try #require(rules[0].policy?.rules?.statements.first)
        #expect(first.actions == [.setMetric(7), .setMetricType(isExternal: true), .setTag(0)])
        #expect(
            first.conditions == [
                .prefixes([
                    PrefixRange(IPPrefix("10.0.0.0/8")!, minimumLength: 16, maximumLength: 32),
                    PrefixRange(IPPrefix("192.0.2.0/24")!),
                ]), .tags([1, 2]), .kinds([RouteKind(.bgp, 1), RouteKind(.bgp, 0)]), .metric(minimum: 5, maximum: 5),
            ])
        #expect(rules[0].policy?.rules?.otherwise == .accept)
        #expect(rules[1].levels == 3 && rules[1].isExternalMetric == false)
        #expect(rules[1].policy == PolicyUse(rules: PolicyConfiguration(name: "", statements: [])))
        #expect(
            rules[2].policy?.rules?.statements.first?.conditions == [.kinds([RouteKind(.isis, 1), RouteKind(.isis, 6)])])

        let text = RouterText.text(of: configuration)
        let again = read(text)
        #expect(again.problems.isEmpty)
        #expect(again.value == configuration)
        #expect(again.value.map { RouterText.text(of: $0) } == text)
    }

    @Test func `one policy serves BGP, redistribution, aggregates and leaking, and is written once`() throws {
        let result = read(
            router(
                """
                prefix-sets: {ours: [10.0.0.0/8 le 24]}
                policies:
                  ours: [{match: {prefix-set: ours}, then: accept}]
                  marked:
                    - {match: {policy: ours}, set: {metric: 7, tag: 3, communities: ["65000:1"], prepend: {count: 2}}, then: accept}
                aggregates: [{prefix: 10.0.0.0/8, policy: ours}]
                redistribute:
                  - {from: static, into: bgp, policy: marked}
                  - {from: static, into: ospf, policy: [ours, reject-all]}
                isis:
                  net: 49.0001.1921.6800.1001.00
                  leak-down: {policy: ours}
                  interfaces: core
                bgp:
                  as: 65000
                  router-id: 198.18.0.1
                  neighbors: [{address: 198.18.0.2, remote-as: 65001, import: ours, export: [marked, accept-all]}]
                """))
        #expect(result.errors.map(\.message) == [])
        // What has no meaning in a place is said there.
        #expect(
            Set(result.problems.map(\.message)) == ["policy 'marked': routes of BGP have no tags"])
        let configuration = try #require(result.value)
        #expect(configuration.aggregates?[0].contributors == PolicyUse(["ours"]))
        #expect(configuration.redistribution?.map(\.policy) == [PolicyUse(["marked"]), PolicyUse(["ours", "reject-all"])])
        #expect(configuration.isis?.leakingDown == ISISLeaking(isEnabled: true, policy: PolicyUse(["ours"])))
        let definitions = try #require(configuration.definitions)
        #expect(definitions.policies.map(\.name) == ["ours", "marked", "accept-all", "reject-all"])
        #expect(
            definitions.policy("marked")?.statements[0].actions.contains(.prepend(asNumber: ASNumber(65000), count: 2)) == true)
        let text = RouterText.text(of: configuration)
        #expect(text.components(separatedBy: "prefix-set: ours").count == 2)
        #expect(read(text).value == configuration)
        #expect(read(text).value.map { RouterText.text(of: $0) } == text)
    }

    @Test func `static routes of one prefix share the load, and may lead over other routes`() {
        let result = read(
            router(
                """
                static-routes:
                  - {prefix: 10.0.0.0/8, next-hop: 198.18.0.9}
                  - {prefix: 10.0.0.0/8, next-hop: 192.0.2.1}
                """))
        #expect(result.value?.staticRoutes.count == 2)
        #expect(
            result.problems.map(\.message) == [
                "192.0.2.1 is on no connected network; connected: 198.18.0.0/24, 198.18.1.0/31; the route waits for one that leads there"
            ])
    }

    @Test(arguments: [
        ("redistribute: [{from: ospf, into: ospf}]", "a protocol announces its own routes anyway"),
        (
            "redistribute: [{from: ospf, into: bgp}, {from: ospf, into: bgp}]",
            "'bgp' takes routes of 'ospf' already; put all rules in one place"
        ),
        ("redistribute: [{from: ospf, into: bgp, metric-type: 1}]", "only OSPF and IS-IS have types of metrics"),
        ("redistribute: [{from: bgp, into: ospf, level: 1}]", "only IS-IS has levels"),
        ("redistribute: [{from: bgp, into: ospf, otherwise: accept}]", "this needs 'rules' beside it"),
        ("redistribute: [{from: bgp, into: rip, metric: 17}]", "'17' is not allowed; write a metric from 1 to 16"),
        (
            "redistribute: [{from: static, into: bgp, rules: [{match: {kind: external}, then: accept}]}]",
            "routes of this source are all of one kind"
        ),
        (
            "redistribute: [{from: static, into: rip, rules: [{set: {metric: 17}, then: accept}]}]",
            "'17' is not allowed; write a metric from 1 to 16"
        ),
        ("redistribute: [{from: bgp, into: ospf, route-map: X}]", "unknown key; write policy"),
        (
            "redistribute: [{from: bgp, into: ospf, policy: p, rules: []}]\npolicies: {p: [{then: accept}]}",
            "write either 'policy' or 'rules'"
        ),
        (
            "redistribute: [{from: bgp, into: ospf, policy: costumers}]\npolicies: {customers: [{then: accept}]}",
            "there is no policy 'costumers'; did you mean 'customers'?"
        ),
        (
            "redistribute: [{from: bgp, into: ospf, policy: p}]\npolicies: {p: [{match: {origin-as: 3}, then: accept}]}",
            "policy 'p': a route can be asked for the AS path only where BGP imports or exports it"
        ),
        (
            "redistribute: [{from: isis, into: ospf, rules: [{match: {kind: external-1}, then: accept}]}]",
            "routes of isis are of the kinds level-1, level-2, level-1-down, level-2-down, level-1-external, level-2-external, level-1-down-external, attached or discard"
        ),
        (
            "redistribute: [{from: isis, into: ospf, rules: [{match: {protocol: ospf}, then: accept}]}]",
            "only routes of isis come here"
        ),
        (
            "policies: {a: [{match: {policy: b}, then: accept}], b: [{match: {policy: a}, then: accept}]}",
            "policies call each other in a circle: a, b, a"
        ),
        ("aggregates: [{prefix: 10.0.0.1/32}]", "nothing is more specific than 10.0.0.1/32"),
        ("aggregates: [{prefix: 10.0.0.0/8}, {prefix: 10.0.0.0/8}]", "there is another aggregate 10.0.0.0/8"),
    ])
    func `a wrong rule is refused`(text: String, message: String) {
        #expect(read(router(text)).errors.map(\.message) == [message])
    }
}
