import Policy
import Routing
import Testing
import Wire

@testable import BGP

/// What a path of BGP can be asked for, and what is changed in it.
@Suite struct PolicyFactsTests {
    private typealias Bench = PolicyTests.Bench

    /// 100 100 100 200 {300,65000} 64512, from 10.0.0.1.
    private static var route: RouteAttributes {
        var route = RouteAttributes()
        route.origin = .igp
        route.path = [
            .init(type: 2, numbers: [100, 100, 100, 200].map { ASNumber($0) }),
            .init(type: 1, numbers: [300, 65000].map { ASNumber($0) }), .init(type: 2, numbers: [ASNumber(64512)]),
        ]
        route.nextHop = .v4(IPv4Address(10, 0, 0, 1))
        route.med = 10
        route.communities = [Community(1, 1), Community(2, 150)]
        route.largeCommunities = [LargeCommunity(5, 6, 7)]
        route.others = [
            .init(flags: 0x40, type: AttributeCode.atomicAggregate, value: []),
            .init(flags: 0xc0, type: AttributeCode.aggregator, value: [0, 0, 0, 200, 10, 0, 0, 9]),
            .init(flags: 0x80, type: AttributeCode.originatorID, value: [10, 0, 0, 7]),
            .init(flags: 0x80, type: AttributeCode.clusterList, value: [0, 0, 0, 1, 0, 0, 0, 2]),
            .init(flags: 0xc0, type: AttributeCode.onlyToCustomer, value: [0, 0, 0, 100]),
        ]
        route.extendedCommunities = [
            ExtendedCommunity("rt:65000:1")!, ExtendedCommunity("rt:192.0.2.1:5")!, ExtendedCommunity("origin-validation:valid")!,
        ]
        return route
    }

    private static func definitions(_ definitions: inout PolicyDefinitions) {
        definitions.prefixSets += [
            PrefixSetConfiguration(name: "hops", entries: [.orLonger(IPPrefix("10.0.0.0/24")!)]),
            PrefixSetConfiguration(name: "far", entries: [.orLonger(IPPrefix("10.1.0.0/24")!)]),
        ]
        definitions.asPathSets = [
            ASPathSetConfiguration(name: "from-100", expressions: ["_77_", "^100_"]),
            ASPathSetConfiguration(name: "from-77", expressions: ["^77_"]),
        ]
        definitions.asSets = [
            ASSetConfiguration(name: "known", numbers: ASNumberSet([100...300, 64512...65534])),
            ASSetConfiguration(name: "few", numbers: ASNumberSet([100...200])),
        ]
        definitions.communitySets += [
            CommunitySetConfiguration(name: "same", entries: [.standard(Community(1, 1)), .standardRange(2...2, 100...200)]),
            CommunitySetConfiguration(name: "less", entries: [.standard(Community(1, 1))]),
            CommunitySetConfiguration(
                name: "targets",
                entries: [
                    .extendedPattern(.administered(kind: 2, forms: 1, global: 65000...65001, local: 0...9)),
                    .largeRange(5...5, 0...9, 7...8),
                ]),
            CommunitySetConfiguration(
                name: "others", entries: [.extendedPattern(.bits(0x4300_0000_0000_0000, mask: 0xffff_0000_0000_00ff))]),
            CommunitySetConfiguration(
                name: "none",
                entries: [
                    .standardRange(2...2, 151...200), .largeRange(5...5, 7...9, 7...8),
                    .extended(ExtendedCommunity("soo:65000:1")!),
                    .extendedPattern(.administered(kind: 2, forms: 4, global: 0...UInt32.max, local: 0...UInt32.max)),
                ]),
        ]
    }

    private static func accepts(_ conditions: [PolicyCondition], _ route: RouteAttributes = Self.route) -> Bool {
        var bench = Bench()
        let called = [
            PolicyConfiguration(name: "yes", statements: [PolicyStatement(actions: [.setMED(99)], result: .accept)]),
            PolicyConfiguration(name: "no", statements: []),
        ]
        let policy = PolicyConfiguration(name: "p", statements: [PolicyStatement(conditions: conditions, result: .accept)])
        return bench.run([policy], calling: called, route, more: definitions) != nil
    }

    private static let holding: [PolicyCondition] = [
        .asPathSet("from-100"), .asPath("_200_"), .asPath("^100_100_100_200_300_64512$"), .asPath("^.*_200_65000_64512$"),
        .asSet(.neighbor, "few"), .asSet(.origin, "known"), .asSet(.anywhere, "few"), .asSet(.everywhere, "known"),
        .asNumbers(.neighbor, ASNumberSet([90...110])), .asNumbers(.everywhere, ASNumberSet([0...UInt32.max])),
        .number(.distinctASPathLength, minimum: 4, maximum: 4), .number(.asRepetition, minimum: 3, maximum: 3),
        .number(.asSetCount, minimum: 1, maximum: .max), .number(.ownASCount, minimum: 1, maximum: 1),
        .number(.communityCount, minimum: 2, maximum: 2), .number(.largeCommunityCount, minimum: 1, maximum: 1),
        .number(.extendedCommunityCount, minimum: 3, maximum: 3), .number(.atomicAggregate, minimum: 1, maximum: .max),
        .number(.aggregatorAS, minimum: 200, maximum: 200), .number(.originator, minimum: 0x0a00_0007, maximum: 0x0a00_0007),
        .number(.clusterListLength, minimum: 2, maximum: 2), .number(.onlyToCustomer, minimum: 100, maximum: 100),
        .exactCommunities("same"), .anyCommunity("targets"), .allCommunities("targets"), .anyCommunity("others"),
        .noCommunity("none"), .nextHopSet("hops"), .neighbors([IPPrefix("10.0.0.0/30")!, IPPrefix("20.0.0.0/8")!]),
        .not([.policy("no")]), .not([.med(minimum: 11, maximum: 12)]), .not([.policy("yes"), .policy("no")]),
        .any([[.policy("no")], [.med(minimum: 10, maximum: 10), .origin(.igp)]]), .any([[.origin(.igp)], [.policy("no")]]),
        .not([.any([[.policy("no")], [.origin(.egp)]])]), .any([[.not([.origin(.egp)])]]),
    ]
    private static let failing: [PolicyCondition] = [
        .asPathSet("from-77"), .asPathSet("missing"), .asPath("_77_"), .asPath("("), .asSet(.neighbor, "missing"),
        .asSet(.everywhere, "few"), .asNumbers(.origin, ASNumberSet([300...300])),
        .number(.distinctASPathLength, minimum: 5, maximum: 9), .number(.asRepetition, minimum: 0, maximum: 2),
        .number(.asSetCount, minimum: 0, maximum: 0), .number(.ownASCount, minimum: 0, maximum: 0),
        .number(.communityCount, minimum: 3, maximum: 9), .number(.atomicAggregate, minimum: 0, maximum: 0),
        .number(.aggregatorAS, minimum: 0, maximum: 199), .number(.originator, minimum: 1, maximum: 1),
        .number(.clusterListLength, minimum: 0, maximum: 1), .number(.onlyToCustomer, minimum: 101, maximum: .max),
        .exactCommunities("less"), .exactCommunities("targets"), .exactCommunities("none"), .anyCommunity("none"),
        .noCommunity("others"), .nextHopSet("far"), .neighbors([IPPrefix("10.0.0.0/32")!]), .neighbors([]),
        .not([.policy("yes")]), .not([.origin(.igp), .med(minimum: 10, maximum: 10)]), .not([]), .any([]),
        .any([[.policy("no")], [.origin(.egp)], [.origin(.igp), .origin(.egp)]]), .not([.not([.origin(.egp)])]),
    ]

    @Test(arguments: holding.indices) func `a condition holds for what it names`(index: Int) {
        #expect(Self.accepts([Self.holding[index]]), "\(Self.holding[index])")
        #expect(!Self.accepts([.not([Self.holding[index]])]), "\(Self.holding[index])")
    }
    @Test(arguments: failing.indices) func `a condition does not hold for another`(index: Int) {
        #expect(!Self.accepts([Self.failing[index]]), "\(Self.failing[index])")
        #expect(Self.accepts([.not([Self.failing[index]])]), "\(Self.failing[index])")
    }

    @Test func `a route that lacks an attribute is not asked for its number`() {
        var bare = Self.route
        bare.others = []
        bare.path = []
        for what in [RouteNumber.aggregatorAS, .originator, .onlyToCustomer] {
            #expect(!Self.accepts([.number(what, minimum: 0, maximum: .max)], bare))
        }
        for what in [RouteNumber.clusterListLength, .atomicAggregate, .asRepetition, .distinctASPathLength, .ownASCount] {
            #expect(Self.accepts([.number(what, minimum: 0, maximum: 0)], bare))
        }
        #expect(!Self.accepts([.asNumbers(.neighbor, ASNumberSet([0...UInt32.max]))], bare))
        #expect(Self.accepts([.asSet(.everywhere, "few"), .asPath("^$")], bare))
    }

    /// Facts stay taken apart from one class of prefixes to the next, and nothing that an action changed does.
    @Test func `what one class of prefixes changes is not there for the next one`() {
        var bench = Bench()
        let sets = [PrefixSetConfiguration(name: "in", entries: [.orLonger(IPPrefix("20.0.0.0/8")!)])]
        let policy = PolicyConfiguration(
            name: "p",
            statements: [
                PolicyStatement(
                    conditions: [.prefixSet("in"), .asPathSet("from-100")], actions: [.removeAS(.all)], result: .next),
                PolicyStatement(conditions: [.prefixSet("in"), .asPathSet("from-100")], result: .reject),
                PolicyStatement(
                    conditions: [.anyCommunity("same"), .prefixSet("in")], actions: [.setCommunities([])], result: .next),
                PolicyStatement(
                    conditions: [.anyCommunity("same"), .asPathSet("from-100")], actions: [.setMED(1)], result: .accept),
            ], otherwise: .accept)
        #expect(bench.run([policy], Self.route, prefix: "20.0.0.0/16", sets: sets, more: Self.definitions)?.communities == [])
        // The same set of attributes through the same run.
        let chain = bench.shared.policies.chain(["p"], neighbor: .v4(IPv4Address(10, 0, 0, 1)))
        let octets = Self.route.encoded()
        var run = PolicyRun(chain: chain, family: .ipv4Unicast, isExport: false)
        run.begin(bench.shared.attributes.intern(octets.span.bytes, marks: []))
        for (prefix, count, med) in [("30.0.0.0/16", 2, 1), ("20.0.0.0/16", 0, 10), ("31.0.0.0/16", 2, 1)]
            as [(String, Int, UInt32)]
        {
            let handle = run.outcome(IPPrefix(prefix)!, .external, &bench.shared)
            let after = bench.shared.attributes.withOctets(handle) { RouteAttributes(canonical: $0) }
            #expect(after.communities.count == count && after.med == med, "\(prefix)")
        }
    }

    // MARK: actions

    private static func after(
        _ action: PolicyAction, _ route: RouteAttributes = Self.route, isExport: Bool = false
    ) -> RouteAttributes? {
        var bench = Bench()
        let policy = PolicyConfiguration(name: "p", statements: [PolicyStatement(actions: [action], result: .accept)])
        return bench.run([policy], route, isExport: isExport, more: definitions)
    }
    private static func path(_ action: PolicyAction) -> String? { after(action)?.pathText }

    @Test func `numbers are raised and lowered within their bounds`() {
        #expect(Self.after(.adjustMED(5))?.med == 15)
        #expect(Self.after(.adjustMED(-20))?.med == 0)
        #expect(Self.after(.adjustMetric(.max))?.med == .max)
        #expect(Self.after(.adjustMED(1), isExport: true)?.marks == .medIsOurs)
        var bare = Self.route
        bare.med = nil
        #expect(Self.after(.adjustMED(5), bare)?.med == 5)
        // The preference that the route would have.
        #expect(Self.after(.adjustLocalPreference(-1))?.localPreference == 99)
        bare.localPreference = .max - 1
        #expect(Self.after(.adjustLocalPreference(7), bare)?.localPreference == .max)
    }

    @Test func `a path is lengthened, and its ASes are replaced or left out`() {
        #expect(Self.path(.prependLast(count: 2)) == "100 100 100 100 100 200 {300,65000} 64512")
        #expect(Self.path(.replaceAS(.isPrivate, with: ASNumber(7))) == "100 100 100 200 {300,7} 7")
        #expect(Self.path(.replaceAS(.set("few"), with: ASNumber(7))) == "7 7 7 7 {300,65000} 64512")
        #expect(Self.path(.replaceAS(.all, with: ASNumber(7))) == "7 7 7 7 {7,7} 7")
        #expect(Self.path(.removeAS(.isPrivate)) == "100 100 100 200 {300}")
        #expect(Self.path(.removeAS(.numbers(ASNumberSet([100...300])))) == "{65000} 64512")
        #expect(Self.path(.removeAS(.set("missing"))) == Self.route.pathText)
        var bare = Self.route
        bare.path = []
        #expect(Self.after(.prependLast(count: 2), bare)?.path == [])
    }

    @Test func `extended communities are set, added and removed by pattern`() {
        let one = ExtendedCommunity("soo:1:1")!
        #expect(Self.after(.addExtendedCommunities([one, one]))?.extendedCommunities.count == 4)
        #expect(Self.after(.setExtendedCommunities([one]))?.extendedCommunities == [one])
        let none = Self.after(.setExtendedCommunities([]))
        #expect(none?.extendedCommunities == [] && none?.others.count == 5)
        let less = Self.after(.removeCommunities("targets"))
        #expect(less?.extendedCommunities.map(\.description) == ["rt:192.0.2.1:5", "origin-validation:valid"])
        #expect(less?.largeCommunities == [] && less?.communities.count == 2)
    }

    @Test func `a weight is told apart from none, and does not leave`() {
        var bench = Bench()
        let policy = PolicyConfiguration(
            name: "p",
            statements: [
                PolicyStatement(conditions: [.number(.weight, minimum: 0, maximum: 0)], actions: [.setWeight(9)], result: .next),
                PolicyStatement(conditions: [.number(.weight, minimum: 9, maximum: 9)], result: .accept),
            ])
        let chain = {
            _ = bench.run([policy], Self.route)
            return bench.shared.policies.chain(["p"], neighbor: .v4(IPv4Address(10, 0, 0, 1)))
        }()
        let octets = Self.route.encoded()
        let plain = bench.shared.attributes.intern(octets.span.bytes, marks: [])
        var run = PolicyRun(chain: chain, family: .ipv4Unicast, isExport: false)
        run.begin(plain)
        let heavy = run.outcome(IPPrefix("20.0.0.0/16")!, .external, &bench.shared)
        #expect(heavy != plain && bench.shared.attributes[heavy].weight == 9 && bench.shared.attributes[plain].weight == 0)
        #expect(bench.shared.attributes.octets(heavy) == octets)
        var parameters = bench.shared.attributes.parameters
        parameters.defaultLocalPreference = 7
        bench.shared.attributes.reconfigure(parameters)
        #expect(bench.shared.attributes[heavy].weight == 9 && bench.shared.attributes[heavy].localPreference == 7)
        #expect(Self.after(.setWeight(9), isExport: true)?.weight == 0)
    }

    @Test func `the next hop can be the neighbour's, and can stay as it is`() {
        var far = Self.route
        far.nextHop = .v4(IPv4Address(172, 16, 0, 1))
        #expect(Self.after(.setNextHopPeer, far)?.nextHop == .v4(IPv4Address(10, 0, 0, 1)))
        #expect(Self.after(.setNextHopPeer, far, isExport: true)?.nextHop == .v4(.any))
        let kept = Self.after(.keepNextHop, far, isExport: true)
        #expect(kept?.nextHop == far.nextHop && kept?.marks == .nextHopIsOurs)
        #expect(Self.after(.keepNextHop, far)?.marks == [])
    }
}
