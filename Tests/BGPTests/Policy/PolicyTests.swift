import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

@Suite struct PolicyTests {
    struct Bench {
        var shared = RIBShared(
            attributes: AttributeTable(
                parameters: .init(routerAS: 65000, routerID: 1, clusterID: 1, defaultLocalPreference: 100), seed: 3),
            sources: [], policies: PolicyTable(BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 1))))
        mutating func run(
            _ policies: [PolicyConfiguration], calling called: [PolicyConfiguration] = [], _ route: RouteAttributes,
            prefix: String = "20.0.0.0/16",
            source: RouteSource = .external,
            isExport: Bool = false, sets: [PrefixSetConfiguration] = [], communities: [CommunitySetConfiguration] = [],
            more: (inout PolicyDefinitions) -> Void = { _ in }
        ) -> RouteAttributes? {
            var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 1))
            configuration.definitions = PolicyDefinitions(
                prefixSets: sets, communitySets: communities, policies: policies + called)
            more(&configuration.definitions)
            shared.policies.configure(configuration)
            let chain = shared.policies.chain(policies.map(\.name), neighbor: .v4(IPv4Address(10, 0, 0, 1)))
            let octets = route.encoded()
            let handle = shared.attributes.intern(octets.span.bytes, marks: route.marks)
            let prefix = IPPrefix(prefix)!
            var run = PolicyRun(chain: chain, family: RouteFamily(prefix.family), isExport: isExport)
            run.begin(handle)
            let outcome = run.outcome(prefix, source, &shared)
            if outcome == 0 { return nil }
            return shared.attributes.attributes(outcome)
        }
    }
    var route: RouteAttributes {
        var r = RouteAttributes()
        r.origin = .igp
        r.path = [.init(type: 2, numbers: [ASNumber(100), ASNumber(200)])]
        r.nextHop = .v4(IPv4Address(10, 0, 0, 1))
        return r
    }

    @Test func `the first statement that holds decides, next goes on with the changed route`() {
        var bench = Bench()
        let policy = PolicyConfiguration(
            name: "p",
            statements: [
                PolicyStatement(actions: [.addCommunities([Community(1, 1)])], result: .next),
                PolicyStatement(conditions: [.anyCommunity("one")], actions: [.setLocalPreference(150)], result: .accept),
                PolicyStatement(result: .reject),
            ])
        let sets = [CommunitySetConfiguration(name: "one", entries: [.standard(Community(1, 1))])]
        let result = bench.run([policy], route, communities: sets)
        #expect(result?.localPreference == 150 && result?.communities == [Community(1, 1)])
    }
    @Test func `what no statement and no policy decides is rejected`() {
        var bench = Bench()
        let undecided = PolicyConfiguration(name: "a", statements: [], otherwise: .next)
        #expect(bench.run([undecided], route) == nil)
        let second = PolicyConfiguration(name: "b", statements: [], otherwise: .accept)
        #expect(bench.run([undecided, second], route) == route)
        #expect(bench.run([PolicyConfiguration(name: "c", statements: [])], route) == nil)
    }
    @Test func `every condition holds for what it names and not for another`() {
        var bench = Bench()
        var full = route
        full.med = 10
        full.localPreference = 120
        full.communities = [Community(1, 1), Community(2, 2)]
        full.largeCommunities = [LargeCommunity(5, 6, 7)]
        let sets = [
            PrefixSetConfiguration(name: "in", entries: [.init(IPPrefix("20.0.0.0/8")!, minimumLength: 16, maximumLength: 24)]),
            PrefixSetConfiguration(name: "out", entries: [.init(IPPrefix("30.0.0.0/8")!)]),
        ]
        let communities = [
            CommunitySetConfiguration(name: "both", entries: [.standard(Community(1, 1)), .standard(Community(2, 2))]),
            CommunitySetConfiguration(name: "half", entries: [.standardOfAS(1), .standard(Community(3, 3))]),
            CommunitySetConfiguration(name: "none", entries: [.standard(Community(3, 3))]),
            CommunitySetConfiguration(name: "large", entries: [.largeOfFunction(5, 6)]),
            CommunitySetConfiguration(name: "other", entries: [.largeOfAS(6), .large(LargeCommunity(5, 6, 8))]),
        ]
        let holding: [PolicyCondition] = [
            .prefixSet("in"), .notPrefixSet("out"), .anyCommunity("half"), .anyCommunity("large"), .allCommunities("both"),
            .noCommunity("none"), .noCommunity("other"), .asPathLength(minimum: 2, maximum: 2), .asPathContains(ASNumber(200)),
            .originAS(ASNumber(200)), .neighborAS(ASNumber(100)), .neighbor(.v4(IPv4Address(10, 0, 0, 1))),
            .nextHop(IPPrefix("10.0.0.0/24")!), .origin(.igp), .family(RouteFamily.ipv4Unicast.code),
            .med(minimum: 10, maximum: 10),
            .localPreference(minimum: 120, maximum: 200), .source(.external), .metric(minimum: 10, maximum: 10),
            .protocols([.bgp]), .kinds([RouteKind(.bgp, RouteSource.external.rawValue)]),
            .prefixes([.orLonger(IPPrefix("20.0.0.0/8")!)]), .policy("yes"),
        ]
        let failing: [PolicyCondition] = [
            .prefixSet("out"), .notPrefixSet("in"), .anyCommunity("none"), .anyCommunity("other"), .allCommunities("half"),
            .noCommunity("both"), .asPathLength(minimum: 3, maximum: 9), .asPathContains(ASNumber(300)), .originAS(ASNumber(100)),
            .neighborAS(ASNumber(200)), .neighbor(.v4(IPv4Address(10, 0, 0, 2))), .nextHop(IPPrefix("10.1.0.0/24")!),
            .origin(.egp), .family(RouteFamily.ipv6Unicast.code), .med(minimum: 11, maximum: 20),
            .localPreference(minimum: 0, maximum: 119),
            .source(.internal), .metric(minimum: 11, maximum: 12), .protocols([.ospf]), .kinds([RouteKind(.ospf, 1)]),
            .prefixes([.init(IPPrefix("20.0.0.0/8")!)]), .policy("no"), .tags([0]), .validity(.valid),
        ]
        for (conditions, expected) in [(holding, true), (failing, false)] {
            for condition in conditions {
                let policy = PolicyConfiguration(
                    name: "p", statements: [PolicyStatement(conditions: [condition], result: .accept)])
                let called = [
                    PolicyConfiguration(name: "yes", statements: [], otherwise: .accept),
                    PolicyConfiguration(name: "no", statements: []),
                ]
                #expect(
                    (bench.run([policy], calling: called, full, sets: sets, communities: communities) != nil) == expected,
                    "\(condition)")
            }
        }
    }
    @Test func `every action changes what it names`() {
        var bench = Bench()
        var start = route
        start.med = 1
        start.communities = [Community(1, 1), Community(2, 2)]
        start.largeCommunities = [LargeCommunity(1, 1, 1)]
        let communities = [CommunitySetConfiguration(name: "ones", entries: [.standardOfAS(1), .largeOfAS(1)])]
        func after(_ action: PolicyAction, isExport: Bool = false) -> RouteAttributes? {
            let policy = PolicyConfiguration(name: "p", statements: [PolicyStatement(actions: [action], result: .accept)])
            return bench.run([policy], start, isExport: isExport, communities: communities)
        }
        #expect(after(.setLocalPreference(7))?.localPreference == 7)
        #expect(after(.setMED(7))?.med == 7)
        #expect(after(.setMED(7))?.marks == [])
        #expect(after(.setMED(7), isExport: true)?.marks == .medIsOurs)
        #expect(after(.removeMED)?.med == nil)
        #expect(after(.setOrigin(.egp))?.origin == .egp)
        #expect(
            after(.addCommunities([Community(2, 2), Community(3, 3)]))?.communities == [
                Community(1, 1), Community(2, 2), Community(3, 3),
            ])
        #expect(after(.setCommunities([Community(3, 3)]))?.communities == [Community(3, 3)])
        let removed = after(.removeCommunities("ones"))
        #expect(removed?.communities == [Community(2, 2)] && removed?.largeCommunities == [])
        #expect(after(.addLargeCommunities([LargeCommunity(2, 2, 2)]))?.largeCommunities.count == 2)
        #expect(after(.setLargeCommunities([]))?.largeCommunities == [])
        #expect(after(.prepend(asNumber: ASNumber(9), count: 2))?.path[0].numbers == [9, 9, 100, 200].map { ASNumber($0) })
        #expect(after(.setNextHop(.v4(IPv4Address(1, 1, 1, 1))), isExport: true)?.nextHop == .v4(IPv4Address(1, 1, 1, 1)))
        #expect(after(.setNextHop(.v6(.any)))?.nextHop == start.nextHop)
        #expect(after(.setNextHopSelf)?.nextHop == .v4(.any))
    }
    @Test func `an unchanged route keeps its set, so that nothing is stored twice`() {
        var bench = Bench()
        let policy = PolicyConfiguration(name: "p", statements: [], otherwise: .accept)
        _ = bench.run([policy], route)
        #expect(bench.shared.attributes.count == 1)
    }
    @Test func `attributes survive being taken apart and put together`() {
        var r = route
        r.med = 0
        r.localPreference = 1
        r.communities = (0..<100).map { Community(1, UInt16($0)) }
        r.largeCommunities = [LargeCommunity(1, 2, 3)]
        r.path.append(.init(type: 1, numbers: [ASNumber(70000)]))
        r.others = [
            .init(flags: 0x40, type: 6, value: []), .init(flags: 0xc0, type: 16, value: [UInt8](repeating: 1, count: 264)),
            .init(flags: 0xe0, type: 200, value: [1]),
        ]
        let octets = r.encoded()
        #expect(RouteAttributes(canonical: octets.span.bytes) == r)
        var v6 = r
        v6.nextHop = .v6(IPv6Address(high: 1, low: 2))
        v6.linkLocal = IPv6Address(high: 0xfe80 << 48, low: 3)
        let octets6 = v6.encoded()
        #expect(RouteAttributes(canonical: octets6.span.bytes) == v6)
    }
}
