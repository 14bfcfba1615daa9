import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

/// Which of a prefix's paths a neighbour gets, against the oracle that works it out for each neighbour alone.
@Suite struct ViewTests {
    /// Neighbours of every view, with and without path identifiers either way.
    static func world(_ seed: UInt64, _ views: [ExportView]) -> RIBWorld {
        var world = RIBWorld(seed: seed &+ 9000, peers: 8)
        for i in 0..<8 {
            let view = views[i % views.count]
            world.oracle.peers[i].session.view = view
            if case .several = view, i != 3 { world.oracle.peers[i].session.sendsPathIDs = [.ipv4Unicast, .ipv6Unicast] }
            if i % 2 == 0 { world.oracle.peers[i].session.receivesPathIDs = [.ipv4Unicast, .ipv6Unicast] }
        }
        // A neighbour that takes identifiers and yet gets the best path alone.
        if views.contains(.best) { world.oracle.peers[1].session.sendsPathIDs = .ipv4Unicast }
        return world
    }

    private func churn(_ world: inout RIBWorld, _ place: String) throws {
        try world.churn(place)
        #expect(!world.rib.tables.ipv4Unicast.locRIB.keepsAltered)
    }

    @Test(arguments: 1...10)
    func `RFC 7947 §2.3: policy hides no path behind a better one`(seed: UInt64) throws {
        var world = Self.world(seed, [.bestAccepted])
        try churn(&world, "seed \(seed)")
    }

    @Test(arguments: 1...10)
    func `RFC 7911: several paths, each under an identifier of its own`(seed: UInt64) throws {
        var world = Self.world(seed &+ 100, [.several(UInt8(1 + seed % 5))])
        try churn(&world, "seed \(seed)")
    }

    @Test(arguments: 1...10)
    func `neighbours of all views side by side`(seed: UInt64) throws {
        var world = Self.world(seed &+ 200, [.best, .bestAccepted, .several(3)])
        try churn(&world, "seed \(seed)")
    }

    /// Three external neighbours offer a prefix to a fourth, whose policy takes nothing that passed AS 103.
    private func offers(_ view: ExportView, sendsPathIDs: Bool = false) -> RIBWorld {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 0x0a00_0001))
        configuration.definitions.policies = [
            PolicyConfiguration(name: "all", statements: [], otherwise: .accept),
            PolicyConfiguration(
                name: "not103",
                statements: [PolicyStatement(conditions: [.asPathContains(ASNumber(103))], actions: [], result: .reject)],
                otherwise: .accept),
        ]
        var world = RIBWorld(seed: 4, peers: 5, configuration: configuration)
        for hop in RIBWorld.nextHops { world.oracle.reachable[hop] = 0 }
        for i in [0, 1, 3, 4] {
            world.oracle.peers[i].neighbor.importPolicies = ["all"]
            world.oracle.peers[i].neighbor.exportPolicies = ["not103"]
            world.oracle.peers[i].neighbor.allowASIn = 0
            world.oracle.peers[i].session.view = view
            world.oracle.peers[i].session.extendedMessages = false
            if sendsPathIDs { world.oracle.peers[i].session.sendsPathIDs = .ipv4Unicast }
            world.establish(i)
        }
        world.settle()
        for (i, path) in [(0, [101, 103]), (1, [101, 7, 8]), (3, [102, 7, 8, 9])] {
            var route = RouteAttributes()
            route.origin = .igp
            route.path = [.init(type: 2, numbers: path.map { ASNumber(UInt32($0)) })]
            route.nextHop = RIBWorld.nextHops[i]
            world.announce(i, [world.pool[0]], route)
        }
        world.settle()
        return world
    }

    private func paths(_ world: RIBWorld, _ i: Int) -> [String] {
        (world.receivers[i].paths[world.pool[0]] ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key): \($0.value.pathText)" }
    }

    @Test func `what each view gives is seen in the smallest case`() {
        let best = offers(.best)
        #expect(best.rib.tables.ipv4Unicast.groups.count == 1)
        // Policy hides everything.
        for i in [0, 1, 3, 4] { #expect(paths(best, i).isEmpty) }

        let accepted = offers(.bestAccepted)
        for i in [0, 3, 4] { #expect(paths(accepted, i) == ["0: 65000 101 7 8"]) }
        // The one from which that came gets the next one.
        #expect(paths(accepted, 1) == ["0: 65000 102 7 8 9"])

        let several = offers(.several(2), sendsPathIDs: true)
        #expect(paths(several, 4) == ["1: 65000 101 7 8", "2: 65000 102 7 8 9"])
        #expect(paths(several, 1) == ["2: 65000 102 7 8 9"])
        #expect(paths(several, 3) == ["1: 65000 101 7 8"])
        #expect(several.rib.advertisedCount(PeerIndex(4), .ipv4Unicast) == 2)
        let views = several.rib.advertised(to: PeerIndex(4), .ipv4Unicast, after: nil, limit: 10)
        #expect(views.map(\.pathID) == [1, 2] && views.map(\.attributes.asPath) == ["65000 101 7 8", "65000 102 7 8 9"])
    }

    @Test func `a path keeps its identifier when another one goes or a better one comes`() {
        var world = offers(.several(3), sendsPathIDs: true)
        #expect(paths(world, 4) == ["1: 65000 101 7 8", "2: 65000 102 7 8 9"])
        let messages = world.receivers[4].messages
        world.withdraw(1, world.pool[0])
        world.settle()
        #expect(paths(world, 4) == ["2: 65000 102 7 8 9"])
        #expect(world.receivers[4].messages == messages + 1)
        var route = RouteAttributes()
        route.origin = .igp
        route.path = [.init(type: 2, numbers: [ASNumber(101)])]
        route.nextHop = RIBWorld.nextHops[0]
        world.announce(0, [world.pool[0]], route)
        world.settle()
        #expect(paths(world, 4) == ["1: 65000 101", "2: 65000 102 7 8 9"])
        #expect(world.receivers[4].messages == messages + 2)
        world.check("at the end")
    }

    @Test func `paths of one source are told apart by their identifiers, and one of them is replaced or withdrawn alone`() {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 1))
        configuration.ebgpRequiresPolicy = false
        var rib = RIB(configuration: configuration, seed: 1)
        var session = RIBSession(
            identifier: RouterID(raw: 2), families: .ipv4Unicast, fourOctetAS: true, extendedMessages: false)
        session.receivesPathIDs = .ipv4Unicast
        let address = IPAddress("10.0.0.1")!
        rib.establish(PeerIndex(0), neighbor: NeighborConfiguration(address: address, remoteAS: ASNumber(100)), session: session)
        let nlri = RIB.nlri(IPPrefix("20.0.0.0/8")!)
        func announce(_ id: UInt32, _ rib: inout RIB, med: UInt32, path: [UInt32] = [100]) {
            var route = RouteAttributes()
            route.path = [.init(type: 2, numbers: path.map { ASNumber($0) })]
            route.nextHop = address
            route.med = med
            let octets = route.encoded()
            let handle = rib.insertAttributes(
                key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
            rib.resolveNewNextHops { _ in .reachable(metric: 0) }
            rib.announce((Build.u32(id) + nlri).span.bytes, .ipv4Unicast, from: PeerIndex(0), attributes: handle)
        }
        func paths(_ rib: RIB) -> [String] {
            (rib.route(IPPrefix("20.0.0.0/8")!)?.paths ?? []).map { "\($0.pathID ?? 0) med \($0.received.med ?? 0) \($0.reason)" }
        }
        announce(7, &rib, med: 5)
        announce(9, &rib, med: 5)
        announce(8, &rib, med: 4, path: [100, 200])
        #expect(rib.prefixCount(PeerIndex(0), .ipv4Unicast) == 3)
        #expect(
            paths(rib) == [
                "7 med 5 lower path identifier", "8 med 4 best has shorter AS path", "9 med 5 best has lower path identifier",
            ])
        #expect(rib.received(from: PeerIndex(0), .ipv4Unicast, after: nil, limit: 9).map(\.pathID) == [7, 8, 9])
        announce(9, &rib, med: 3)
        #expect(paths(rib).first == "9 med 3 lower MED from the same neighbouring AS")
        rib.withdraw((Build.u32(9) + nlri).span.bytes, .ipv4Unicast, from: PeerIndex(0))
        // One that nobody announced.
        rib.withdraw((Build.u32(1) + nlri).span.bytes, .ipv4Unicast, from: PeerIndex(0))
        #expect(rib.prefixCount(PeerIndex(0), .ipv4Unicast) == 2)
        #expect(paths(rib).first?.hasPrefix("7 ") ?? false)
        for id: UInt32 in [7, 8] { rib.withdraw((Build.u32(id) + nlri).span.bytes, .ipv4Unicast, from: PeerIndex(0)) }
        #expect(paths(rib).isEmpty && rib.tables.ipv4Unicast.locRIB.digest == StateDigest())
    }
}
