import Machine
import Records
import Testing
import Wire

@testable import Policy

@Suite struct PolicyProgramTests {
    static func run(
        _ use: PolicyUse, _ definitions: PolicyDefinitions = PolicyDefinitions(), prefix: String = "10.0.0.0/8",
        metric: UInt32 = 5, tag: UInt32 = 0
    ) -> (route: OfferedRoute, outcome: PolicyOutcome) {
        let program = PolicyProgram(PolicyChain(use, in: definitions))
        var route = OfferedRoute(metric: metric, tag: tag)
        let prefix = IPPrefix(prefix)!
        let context = RouteContext(family: FamilyCode(unicast: prefix.family), kind: RouteKind(.ospf, 1))
        let outcome = program.run(&route, in: (), context, prefixClass: program.classOf(prefix))
        return (route, outcome)
    }

    @Test func `without a policy nothing is accepted`() {
        #expect(!Self.run(PolicyUse()).outcome.isAccepted)
        #expect(!Self.run(PolicyUse(["missing"])).outcome.isAccepted)
    }

    @Test func `who decided is said by policy and statement, or by policy alone`() {
        let definitions = PolicyDefinitions(policies: [
            PolicyConfiguration(
                name: "a",
                statements: [
                    PolicyStatement(conditions: [.tags([1])], result: .reject),
                    PolicyStatement(conditions: [.tags([2])], result: .accept),
                ], otherwise: .next),
            PolicyConfiguration(name: "b", statements: [], otherwise: .accept),
        ])
        let use = PolicyUse(["a", "b"])
        #expect(Self.run(use, definitions, tag: 1).outcome.decision == PolicyDecision(policy: "a", statement: 1))
        #expect(Self.run(use, definitions, tag: 2).outcome.decision == PolicyDecision(policy: "a", statement: 2))
        #expect(Self.run(use, definitions, tag: 3).outcome.decision == PolicyDecision(policy: "b", statement: nil))
        #expect(Self.run(PolicyUse(["a"]), definitions, tag: 3).outcome.decision == nil)
    }

    @Test func `a policy that is called changes the route if it accepts it, and leaves it alone if it does not`() {
        func definitions(_ result: PolicyResult) -> PolicyDefinitions {
            PolicyDefinitions(policies: [
                PolicyConfiguration(
                    name: "outer",
                    statements: [
                        PolicyStatement(conditions: [.policy("inner")], actions: [.setMetric(1)], result: .next),
                        PolicyStatement(conditions: [.tags([7])], actions: [.setLevels(1)], result: .accept),
                    ], otherwise: .accept),
                PolicyConfiguration(
                    name: "inner", statements: [PolicyStatement(actions: [.setTag(7)], result: result)], otherwise: .accept),
            ])
        }
        let accepted = Self.run(PolicyUse(["outer"]), definitions(.accept))
        #expect(accepted.route.tag == 7 && accepted.route.metric == 1 && accepted.route.levels == 1)
        let rejected = Self.run(PolicyUse(["outer"]), definitions(.reject))
        #expect(rejected.outcome.isAccepted && !rejected.outcome.isChanged)
        #expect(rejected.route.tag == nil && rejected.route.metric == nil && rejected.route.levels == nil)
        // `next` hands it to what the policy says of the rest, with what was changed.
        #expect(Self.run(PolicyUse(["outer"]), definitions(.next)).route.levels == 1)
    }

    @Test func `policies that call each other in a circle, or too deep, are found and end all the same`() {
        func chain(_ count: Int, _ last: String) -> PolicyDefinitions {
            PolicyDefinitions(
                policies: (0..<count).map {
                    PolicyConfiguration(
                        name: "p\($0)",
                        statements: [
                            PolicyStatement(
                                conditions: [.policy($0 == count - 1 ? last : "p\($0 + 1)")], actions: [], result: .accept)
                        ])
                })
        }
        #expect(chain(3, "p0").callFault(from: "p0") == .circle(["p0", "p1", "p2", "p0"]))
        #expect(chain(3, "p1").callFault(from: "p0") == .circle(["p1", "p2", "p1"]))
        #expect(chain(8, "none").callFault(from: "p0") == nil)
        guard case .tooDeep = chain(9, "none").callFault(from: "p0") else {
            Issue.record("nine in a row are too many")
            return
        }
        // Each calls the one behind it twice: 2^30 ways, few steps to find out.
        let wide = PolicyDefinitions(
            policies: (0..<30).map { number in
                let call = PolicyStatement(conditions: [.policy("p\(number + 1)")], result: .next)
                return PolicyConfiguration(name: "p\(number)", statements: [call, call])
            })
        #expect(wide.callFault(from: "p25") == nil)
        #expect(wide.callFault(from: "p0") != nil)
        // What a configuration should not have had is rejected, not run for ever.
        #expect(!Self.run(PolicyUse(["p0"]), chain(3, "p0")).outcome.isAccepted)
        #expect(!Self.run(PolicyUse(["p0"]), wide).outcome.isAccepted)
    }

    @Test func `a use has of the definitions what it names, directly or through others, and nothing else`() {
        let all = PolicyDefinitions(
            prefixSets: ["x", "y", "z"].map { PrefixSetConfiguration(name: $0, entries: []) },
            communitySets: ["c", "d"].map { CommunitySetConfiguration(name: $0, entries: []) },
            policies: [
                PolicyConfiguration(
                    name: "a", statements: [PolicyStatement(conditions: [.prefixSet("x"), .policy("b")], result: .accept)]),
                PolicyConfiguration(
                    name: "b",
                    statements: [
                        PolicyStatement(conditions: [.notPrefixSet("y")], actions: [.removeCommunities("c")], result: .accept)
                    ]),
                PolicyConfiguration(name: "other", statements: [PolicyStatement(conditions: [.prefixSet("z")], result: .accept)]),
            ])
        let used = all.only(for: [PolicyUse(["a"])])
        #expect(used.policies.map(\.name) == ["a", "b"])
        #expect(used.prefixSets.map(\.name) == ["x", "y"] && used.communitySets.map(\.name) == ["c"])
        #expect(all.only(for: []).isEmpty)
        let rules = PolicyUse(
            rules: PolicyConfiguration(
                name: "", statements: [PolicyStatement(conditions: [.policy("b"), .anyCommunity("d")], result: .accept)]))
        #expect(all.only(for: [rules]).communitySets.map(\.name) == ["c", "d"])
        #expect(all.only(for: [rules]).policies.map(\.name) == ["b"])
    }

    @Test func `what a policy says of BGP's attributes is told to whoever makes them, as it is in the end`() {
        let sets = [CommunitySetConfiguration(name: "ones", entries: [.standardOfAS(1)])]
        let policy = PolicyConfiguration(
            name: "p",
            statements: [
                PolicyStatement(
                    actions: [
                        .setLocalPreference(9), .addCommunities([Community(1, 1), Community(2, 2), Community(2, 2)]),
                        .addLargeCommunities([LargeCommunity(1, 2, 3)]), .removeCommunities("ones"),
                        .setMetricType(isExternal: false),
                    ], result: .next),
                PolicyStatement(conditions: [.noCommunity("ones")], result: .accept),
            ])
        let result = Self.run(PolicyUse(["p"]), PolicyDefinitions(communitySets: sets, policies: [policy]))
        #expect(result.outcome.isAccepted)
        #expect(
            result.route.attributes == [
                .setLocalPreference(9), .setCommunities([Community(2, 2)]), .setLargeCommunities([LargeCommunity(1, 2, 3)]),
            ])
        #expect(result.route.isExternalMetric == false)
    }

    // MARK: against an interpreter

    /// Random policies that call each other, run by the program and by a walk over the configuration.
    @Test(arguments: 1...60) func `a program does what its statements say, read one by one`(seed: Int) {
        var random = RandomNumbers(seed: UInt64(seed))
        let count = random.number(in: 1...5)
        func condition(_ own: Int, _ random: inout RandomNumbers) -> PolicyCondition {
            switch random.number(in: 0...6) {
            case 0: .tags([UInt32(random.number(in: 0...2))])
            case 1: .metric(minimum: 0, maximum: UInt32(random.number(in: 0...6)))
            case 2: .prefixSet("s\(random.number(in: 0...2))")
            case 3: .notPrefixSet("s\(random.number(in: 0...2))")
            case 4: .prefixes([.orLonger(.v4(IPv4Prefix(IPv4Address(10, 0, 0, 0), UInt8(random.number(in: 6...9)))))])
            case 5: .kinds([RouteKind(.ospf, UInt8(random.number(in: 0...1)))])
            default: own + 1 < count ? .policy("p\(random.number(in: own + 1...count - 1))") : .protocols([.ospf])
            }
        }
        let definitions = PolicyDefinitions(
            prefixSets: (0..<3).map {
                PrefixSetConfiguration(
                    name: "s\($0)", entries: [.orLonger(IPPrefix(["10.0.0.0/8", "10.0.0.0/16", "0.0.0.0/0"][$0])!)])
            },
            policies: (0..<count).map { own in
                PolicyConfiguration(
                    name: "p\(own)",
                    statements: (0..<random.number(in: 0...4)).map { _ in
                        PolicyStatement(
                            conditions: (0..<random.number(in: 0...2)).map { _ in condition(own, &random) },
                            actions: (0..<random.number(in: 0...2)).map { _ in
                                random.chance(1, in: 2)
                                    ? .setTag(UInt32(random.number(in: 0...2))) : .setMetric(UInt32(random.number(in: 0...6)))
                            }, result: [.accept, .reject, .next][random.number(in: 0...2)])
                    }, otherwise: [.accept, .reject, .next][random.number(in: 0...2)])
            })
        for _ in 0..<30 {
            let names = (0..<random.number(in: 1...2)).map { _ in "p\(random.number(in: 0...count - 1))" }
            let prefix = ["10.0.0.0/8", "10.0.0.0/16", "20.0.0.0/8"][random.number(in: 0...2)]
            let metric = UInt32(random.number(in: 0...6)), tag = UInt32(random.number(in: 0...2))
            let result = Self.run(PolicyUse(names), definitions, prefix: prefix, metric: metric, tag: tag)
            var walk = Walk(definitions: definitions, prefix: IPPrefix(prefix)!, metric: metric, tag: tag)
            #expect(result.outcome.isAccepted == walk.run(names))
            if result.outcome.isAccepted {
                #expect(result.route.metric ?? metric == walk.metric && result.route.tag ?? tag == walk.tag)
            }
        }
    }

    struct Walk {
        let definitions: PolicyDefinitions
        let prefix: IPPrefix
        var metric: UInt32
        var tag: UInt32

        mutating func run(_ names: [String]) -> Bool {
            for name in names {
                if let decided = run(definitions.policy(name)!) { return decided }
            }
            return false
        }
        private mutating func run(_ policy: PolicyConfiguration) -> Bool? {
            for statement in policy.statements {
                var holds = true
                for condition in statement.conditions where holds { holds = self.holds(condition) }
                if !holds { continue }
                for action in statement.actions {
                    switch action {
                    case .setTag(let value): tag = value
                    case .setMetric(let value): metric = value
                    default: Issue.record("no such action is drawn")
                    }
                }
                if statement.result != .next { return statement.result == .accept }
            }
            return policy.otherwise == .next ? nil : policy.otherwise == .accept
        }
        private mutating func holds(_ condition: PolicyCondition) -> Bool {
            switch condition {
            case .tags(let tags): return tags.contains(tag)
            case .metric(let low, let high): return metric >= low && metric <= high
            case .prefixSet(let name): return isIn(name)
            case .notPrefixSet(let name): return !isIn(name)
            case .prefixes(let ranges): return ranges.contains { $0.contains(prefix) }
            case .kinds(let kinds): return kinds.contains(RouteKind(.ospf, 1))
            case .protocols(let protocols): return protocols.contains(.ospf)
            case .policy(let name):
                let before = self
                if run([name]) { return true }
                self = before
                return false
            default: return false
            }
        }
        private func isIn(_ name: String) -> Bool {
            definitions.prefixSets.first { $0.name == name }!.entries.contains { $0.contains(prefix) }
        }
    }
}
