import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

@Suite struct PolicyTrialTests {
    private static var world: RIBWorld {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 0x0a00_0001))
        configuration.definitions = PolicyDefinitions(policies: [
            PolicyConfiguration(name: "all", statements: [], otherwise: .accept),
            PolicyConfiguration(
                name: "prefer",
                statements: [
                    PolicyStatement(conditions: [.validity(.invalid)], result: .reject),
                    PolicyStatement(
                        conditions: [.neighborAS(ASNumber(101))], actions: [.setLocalPreference(200)], result: .accept),
                ]),
            PolicyConfiguration(
                name: "shape", statements: [PolicyStatement(actions: [.setMED(7)], result: .accept)]),
        ])
        var world = RIBWorld(seed: 3, peers: 4, configuration: configuration)
        for i in 0..<4 where world.oracle.peers[i].isExternal {
            world.oracle.peers[i].neighbor.importPolicies = ["prefer"]
            world.oracle.peers[i].neighbor.exportPolicies = ["shape"]
        }
        for i in 0..<4 { world.establish(i) }
        var route = RouteAttributes()
        route.origin = .igp
        route.path = [.init(type: 2, numbers: [ASNumber(101), ASNumber(9)])]
        route.nextHop = RIBWorld.nextHops[0]
        world.announce(0, [world.pool[0]], route)
        world.settle()
        return world
    }

    @Test func `what import policy did with a route that is there is told as it is in the Adj-RIB-In`() throws {
        let world = Self.world
        let trial = try #require(world.rib.importTrials(of: world.pool[0], from: PeerIndex(0)).first)
        #expect(trial.isAccepted && trial.policy == "prefer" && trial.statement == 2 && trial.policies == ["prefer"])
        #expect(trial.reason == "statement 2 of policy 'prefer' accepts it")
        #expect(trial.before.localPreference == nil && trial.after?.localPreference == 200 && trial.validity == nil)
        #expect(world.rib.importTrials(of: world.pool[1], from: PeerIndex(0)).isEmpty)
        #expect(world.rib.importTrials(of: world.pool[0], from: PeerIndex(1)).isEmpty)
    }

    @Test func `a route that policy rejected is still there to be explained, with what the RPKI says of it`() throws {
        var world = Self.world
        world.setPayloads([VRP(prefix: world.pool[0], maximumLength: 32, origin: 10)])
        world.settle()
        let trial = try #require(world.rib.importTrials(of: world.pool[0], from: PeerIndex(0)).first)
        #expect(!trial.isAccepted && trial.statement == 1 && trial.after == nil && trial.validity == .invalid)
        #expect(world.rib.exportTrial(of: world.pool[0], to: PeerIndex(1)) == nil)
    }

    @Test func `of each statement that came before the first condition that did not hold is told`() {
        let world = Self.world
        let definitions = PolicyDefinitions(policies: [
            PolicyConfiguration(
                name: "p",
                statements: [
                    PolicyStatement(conditions: [.origin(.igp), .asPath("_7_"), .origin(.egp)], result: .reject),
                    PolicyStatement(conditions: [.not([.origin(.igp)])], result: .reject),
                    PolicyStatement(conditions: [.any([[.origin(.egp)], [.asPath("_8_")]])], result: .reject),
                    // These concern it, though not all that they ask for holds.
                    PolicyStatement(
                        conditions: [.any([[.origin(.egp)], [.origin(.igp)]])], actions: [.setMED(1)], result: .next),
                    PolicyStatement(conditions: [.not([.policy("inner")])], result: .next),
                    {
                        var outer = PolicyStatement(conditions: [.origin(.igp)], result: .next)
                        outer.statements = [PolicyStatement(conditions: [.asPath("9")], result: .reject)]
                        return outer
                    }(),
                    {
                        var outer = PolicyStatement(conditions: [.policy("inner")], result: .reject)
                        outer.otherwise = [
                            PolicyStatement(conditions: [.origin(.egp)], result: .reject), PolicyStatement(result: .accept),
                        ]
                        return outer
                    }(),
                ]),
            PolicyConfiguration(
                name: "inner", statements: [PolicyStatement(conditions: [.med(minimum: 5, maximum: 6)], result: .accept)]),
        ])
        var route = TrialRoute(prefix: IPPrefix("203.0.113.0/24")!)
        route.asPath = [ASNumber(101)]
        let trial = world.rib.trial(["p"], of: route, definitions: definitions)
        #expect(trial.isAccepted && trial.statement == 7 && trial.reason == "statement 7 else 2 of policy 'p' accepts it")
        let inner = PolicyMiss(policy: "inner", place: "1", condition: .med(minimum: 5, maximum: 6))
        #expect(
            trial.misses == [
                PolicyMiss(policy: "p", place: "1", condition: .asPath("_7_")),
                PolicyMiss(policy: "p", place: "2", condition: .not([.origin(.igp)])),
                PolicyMiss(policy: "p", place: "3", condition: .any([[.origin(.egp)], [.asPath("_8_")]])),
                inner, PolicyMiss(policy: "p", place: "6.1", condition: .asPath("9")),
                inner, PolicyMiss(policy: "p", place: "7", condition: .policy("inner")),
                PolicyMiss(policy: "p", place: "7 else 1", condition: .origin(.egp)),
            ])
    }

    @Test func `what export policy does is told of the best path`() throws {
        let world = Self.world
        let trial = try #require(world.rib.exportTrial(of: world.pool[0], to: PeerIndex(1)))
        #expect(trial.isAccepted && trial.policy == "shape" && trial.after?.med == 7)
        let internalPeer = try #require(world.oracle.peers.firstIndex { !$0.isExternal })
        let free = try #require(world.rib.exportTrial(of: world.pool[0], to: PeerIndex(UInt16(internalPeer))))
        #expect(free.isAccepted && free.policy == nil && free.reason == "there is no policy, and none is needed")
    }

    @Test func `a route that is made up is tried without leaving a trace`() {
        let world = Self.world
        let before = world.rib.digest
        var route = TrialRoute(prefix: IPPrefix("203.0.113.0/24")!)
        route.asPath = [ASNumber(101)]
        let definitions = world.oracle.configuration.definitions
        let accepted = world.rib.trial(["prefer"], of: route, definitions: definitions)
        #expect(accepted.isAccepted && accepted.after?.localPreference == 200)
        route.asPath = [ASNumber(102)]
        let rejected = world.rib.trial(["prefer"], of: route, definitions: definitions)
        #expect(!rejected.isAccepted && rejected.policy == "prefer" && rejected.statement == nil)
        #expect(rejected.reason == "policy 'prefer' rejects what none of its statements decided")
        #expect(world.rib.digest == before)
    }
}
