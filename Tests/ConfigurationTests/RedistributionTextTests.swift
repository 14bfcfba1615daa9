import BGP
import Engine
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
        var term = RoutePolicyTerm()
        term.prefixes = [PrefixRange(IPPrefix("2001:db8::/32")!, minimumLength: 48, maximumLength: 64)]
        term.tags = [7]
        term.metricMinimum = 0
        term.metricMaximum = 100
        #expect(
            aggregates[1].contributors
                == RoutePolicyConfiguration([term, RoutePolicyTerm(isAccepted: false)], acceptsOthers: true))
        let rules = try #require(configuration.redistribution)
        #expect(rules.map(\.target) == [.ospf, .isis, .ripng, .bgp])
        #expect(rules[0].metric == 20 && rules[0].isExternalMetric == false && rules[0].tag == 100)
        let first = try #require(rules[0].policy?.terms.first)
        #expect(first.kinds == [1, 0] && first.metric == 7 && first.isExternalMetric == true && first.tag == 0)
        #expect(first.prefixes?.first == PrefixRange(IPPrefix("10.0.0.0/8")!, minimumLength: 16, maximumLength: 32))
        #expect(rules[0].policy?.acceptsOthers == true)
        #expect(rules[1].levels == 3 && rules[1].isExternalMetric == false)
        #expect(rules[1].policy == RoutePolicyConfiguration())
        #expect(rules[2].policy?.terms.first?.kinds == [1, 6])

        let text = RouterText.text(of: configuration)
        let again = read(text)
        #expect(again.problems.isEmpty)
        #expect(again.value == configuration)
        #expect(again.value.map { RouterText.text(of: $0) } == text)
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
            "redistribute: [{from: bgp, into: ospf, rules: [{set: {metric: 1}, then: reject}]}]",
            "nothing can be set on a route that is not announced"
        ),
        ("redistribute: [{from: bgp, into: ospf, route-map: X}]", "unknown key; write rules"),
        ("aggregates: [{prefix: 10.0.0.1/32}]", "nothing is more specific than 10.0.0.1/32"),
        ("aggregates: [{prefix: 10.0.0.0/8}, {prefix: 10.0.0.0/8}]", "there is another aggregate 10.0.0.0/8"),
    ])
    func `a wrong rule is refused`(text: String, message: String) {
        #expect(read(router(text)).errors.map(\.message) == [message])
    }
}
