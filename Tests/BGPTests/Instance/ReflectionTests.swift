import Machine
import Routing
import Testing
import Wire

@testable import BGP

/// RFC 4456: what a route reflector passes on, to whom, and what it makes of it.
@Suite struct ReflectionTests {
    // MARK: against the oracle

    /// Two external neighbours, three clients, three internal neighbours that are none.
    private static func world(_ seed: UInt64) -> RIBWorld {
        var world = RIBWorld(seed: seed &+ 4456, peers: 8)
        for i in 0..<8 where i != 0 && i != 3 {
            world.oracle.peers[i].isExternal = false
            world.oracle.peers[i].neighbor.remoteAS = world.oracle.configuration.routerAS
            world.oracle.peers[i].neighbor.importPolicies = i == 4 ? ["prefer"] : []
            world.oracle.peers[i].neighbor.exportPolicies = i == 6 ? ["shape"] : []
            world.oracle.peers[i].neighbor.isReflectorClient = i == 1 || i == 4 || i == 7
            world.oracle.peers[i].neighbor.nextHopSelf = i == 5 || i == 7
            world.oracle.peers[i].neighbor.nextHopSelfReflected = i == 7
        }
        world.drawsLoops = true
        return world
    }

    @Test(arguments: 1...20)
    func `clients, others and external neighbours get what a slow full computation says`(seed: UInt64) throws {
        var world = Self.world(seed)
        if seed % 4 == 0 {
            world.oracle.configuration.clientToClientReflection = false
            let configuration = world.oracle.configuration
            world.both { $0.configure(configuration) }
        }
        if seed % 3 == 0 {
            for i in 0..<8 {
                world.oracle.peers[i].session.view = [.best, .bestAccepted, .several(3)][i % 3]
                if i % 3 == 2 { world.oracle.peers[i].session.sendsPathIDs = [.ipv4Unicast, .ipv6Unicast] }
                if i % 2 == 0 { world.oracle.peers[i].session.receivesPathIDs = [.ipv4Unicast, .ipv6Unicast] }
            }
        }
        try world.churn("seed \(seed)")
    }

    @Test(arguments: 1...8)
    func `another cluster, and clients that tell each other or not, reach every neighbour`(seed: UInt64) throws {
        var world = Self.world(seed &+ 100)
        for i in 0..<8 { world.establish(i) }
        for round in 0..<8 {
            for _ in 0..<40 { RIBTests().step(&world) }
            if world.random.chance(1, in: 2) { world.advance(6) { _ in .max } }
            var configuration = world.oracle.configuration
            configuration.clusterID =
                [nil, RouterID(raw: 0x0a00_0099), RouterID(raw: 0x0202_0202)][world.random.number(in: 0...2)]
            configuration.clientToClientReflection = world.random.chance(1, in: 2)
            world.oracle.configuration = configuration
            world.both { $0.configure(configuration) }
            if world.random.chance(1, in: 2) { try world.snapshot() }
            world.settle()
            world.check("seed \(seed), round \(round)")
        }
    }

    // MARK: tables

    /// Which kind of neighbour a source or a receiver is.
    enum Kind: CaseIterable { case external, other, client }

    /// A source and a receiver, and what the receiver gets of a route.
    private static func passed(
        _ from: Kind, _ to: Kind, route: RouteAttributes, _ change: (inout BGPConfiguration) -> Void = { _ in },
        receiver changeReceiver: (inout NeighborConfiguration) -> Void = { _ in }
    ) -> RouteAttributes? {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID("1.1.1.1")!)
        configuration.ebgpRequiresPolicy = false
        change(&configuration)
        var rib = RIB(configuration: configuration, seed: 1)
        for (i, kind) in [from, to].enumerated() {
            var session = RIBSession(
                identifier: RouterID("2.2.2.\(i)")!, families: .ipv4Unicast, fourOctetAS: true, extendedMessages: false)
            session.nextHopIPv4 = IPv4Address(10, 0, 0, 254)
            var neighbor = NeighborConfiguration(
                address: .v4(IPv4Address(10, 0, 0, UInt8(i + 1))),
                remoteAS: kind == .external ? ASNumber(UInt32(101 + i)) : ASNumber(65000))
            neighbor.isReflectorClient = kind == .client
            if i == 1 { changeReceiver(&neighbor) }
            rib.establish(PeerIndex(UInt16(i)), neighbor: neighbor, session: session)
        }
        let octets = route.encoded()
        let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
        rib.resolveNewNextHops { _ in .reachable(metric: 0) }
        rib.announce(RIB.nlri(prefix).span.bytes, .ipv4Unicast, from: PeerIndex(0), attributes: handle)
        rib.advertise(at: .zero + .milliseconds(10))
        var sent: [UInt8] = []
        rib.takeOutput(for: PeerIndex(1), limit: .max) { sent += $0 }
        var receiver = Receiver()
        receiver.read(sent[...])
        return receiver.paths[prefix]?[0]
    }
    private static let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(20, 0, 0, 0), 8))
    private static func route(_ change: (inout RouteAttributes) -> Void = { _ in }) -> RouteAttributes {
        var route = RouteAttributes()
        route.origin = .egp
        route.path = [.init(type: 2, numbers: [ASNumber(7), ASNumber(8)])]
        route.nextHop = .v4(IPv4Address(10, 9, 9, 9))
        route.med = 5
        route.localPreference = 77
        route.communities = [Community(1, 2)]
        change(&route)
        return route
    }
    private static func other(_ type: UInt8, _ identifiers: String...) -> RouteAttributes.Other {
        .init(flags: 0x80, type: type, value: identifiers.flatMap { Build.u32(RouterID($0)!.raw) })
    }

    @Test("§6: who gets what from whom")
    func rules() {
        for from in Kind.allCases {
            for to in Kind.allCases {
                for tellsClients in [true, false] {
                    let got = Self.passed(from, to, route: Self.route()) { $0.clientToClientReflection = tellsClients }
                    let isPassed: Bool =
                        switch (from, to) {
                        case (.other, .other): false
                        case (.client, .client): tellsClients
                        default: true
                        }
                    #expect((got != nil) == isPassed, "\(from) to \(to)")
                    let isReflected = from != .external && to != .external
                    #expect(got?.others.map(\.type) == (isPassed ? isReflected ? [9, 10] : [] : nil))
                }
            }
        }
    }

    @Test("§8: ORIGINATOR_ID is made once, the cluster stands in front, and nothing else changes")
    func attributes() {
        let first = Self.passed(.client, .other, route: Self.route())
        #expect(first == Self.route { $0.others = [Self.other(9, "2.2.2.0"), Self.other(10, "1.1.1.1")] })
        let second = Self.passed(
            .other, .client, route: Self.route { $0.others = [Self.other(9, "9.9.9.9"), Self.other(10, "3.3.3.3", "4.4.4.4")] }
        ) { $0.clusterID = RouterID("5.5.5.5") }
        #expect(
            second == Self.route { $0.others = [Self.other(9, "9.9.9.9"), Self.other(10, "5.5.5.5", "3.3.3.3", "4.4.4.4")] })
        // One of zeros is one, however odd.
        let zeros = Self.passed(.client, .client, route: Self.route { $0.others = [Self.other(9, "0.0.0.0")] })
        #expect(zeros == Self.route { $0.others = [Self.other(9, "0.0.0.0"), Self.other(10, "1.1.1.1")] })
        // What comes after in the order of types stays where it belongs.
        let tail = RouteAttributes.Other(flags: 0xe0, type: 99, value: [1, 2])
        let long = (0..<70).map { "6.0.0.\($0)" }
        var list = Self.other(10)
        list.value = long.flatMap { Build.u32(RouterID($0)!.raw) }
        let got = Self.passed(.client, .client, route: Self.route { $0.others = [list, tail] })
        #expect(got?.others.map(\.type) == [9, 10, 99])
        #expect(got?.others[1].value == [1, 1, 1, 1] + list.value)
    }

    @Test("§10: the next hop is not ours unless that is said of reflected routes, too")
    func nextHop() {
        let own = IPAddress.v4(IPv4Address(10, 0, 0, 254))
        let plain = Self.passed(.client, .client, route: Self.route()) { _ in
        } receiver: {
            $0.nextHopSelf = true
        }
        #expect(plain?.nextHop == Self.route().nextHop)
        let forced = Self.passed(.client, .client, route: Self.route()) { _ in
        } receiver: {
            $0.nextHopSelf = true
            $0.nextHopSelfReflected = true
        }
        #expect(forced?.nextHop == own)
        // From outside it is as it always was.
        let external = Self.passed(.external, .client, route: Self.route()) { _ in
        } receiver: {
            $0.nextHopSelf = true
        }
        #expect(external?.nextHop == own)
    }

    // MARK: loops

    @Test("§8: a route that came back is kept, counted and shown with its reason; another cluster makes it a route")
    func loops() {
        var driver = Driver(isInternal: true) { $0.neighbors[0].isReflectorClient = true }
        driver.establish()
        func announce(_ attributes: [UInt8], _ last: UInt8) {
            let base = Build.origin + Build.path4(7) + Build.nextHop + Build.localPref
            driver.receive(Build.message(2, Build.update(attributes: base + attributes, nlri: [24, 192, 0, last])))
        }
        announce(Build.attribute(0x80, 9, [10, 0, 0, 1]), 1)
        announce(Build.attribute(0x80, 9, [9, 9, 9, 9]) + Build.attribute(0x80, 10, [1, 1, 1, 1, 10, 0, 0, 1]), 2)
        announce(Build.attribute(0x80, 9, [9, 9, 9, 9]) + Build.attribute(0x80, 10, [1, 1, 1, 1, 10, 0, 0, 2]), 3)
        func path(_ last: UInt8) -> PathView? {
            driver.instance.rib.route(IPPrefix.v4(IPv4Prefix(IPv4Address(192, 0, last, 0), 24)))?.paths.first
        }
        #expect(driver.state == .established)
        #expect(driver.prefixes[0] == 3)
        #expect(driver.detail.counters.reflectionLoops == 2)
        #expect([1, 2, 3].map { path($0)?.isBest } == [false, false, true])
        #expect(path(1)?.ineligibility == .reflectionLoop && path(2)?.ineligibility == .reflectionLoop)
        #expect(path(2)?.reason == "our own identifier or cluster is in the route")
        #expect(path(2)?.received.originatorID == RouterID("9.9.9.9"))
        #expect(path(2)?.received.clusterList == [RouterID("1.1.1.1")!, RouterID("10.0.0.1")!])
        var configuration = driver.instance.configuration!
        configuration.clusterID = RouterID("10.0.0.2")
        driver.give(.configure(configuration))
        driver.wait(.seconds(1))
        #expect(driver.state == .established)
        #expect([1, 2, 3].map { path($0)?.isBest } == [false, true, false])
    }

    @Test("RFC 7606 §7.9, §7.10: from an external neighbour both are discarded, and so no loop is found in them")
    func external() {
        var driver = Driver { $0.ebgpRequiresPolicy = false }
        driver.establish()
        let attributes =
            Build.origin + Build.path4(65001) + Build.nextHop + Build.attribute(0x80, 9, [10, 0, 0, 1])
            + Build.attribute(0x80, 10, [10, 0, 0, 1])
        driver.receive(Build.message(2, Build.update(attributes: attributes, nlri: Build.nlri)))
        let path = driver.instance.rib.route(IPPrefix.v4(IPv4Prefix(IPv4Address(192, 0, 2, 0), 24)))?.paths.first
        #expect(path?.isBest == true && path?.received.originatorID == nil && path?.received.clusterList == [])
        #expect(driver.detail.counters.reflectionLoops == 0)
    }

    @Test("to be a client is seen in the view, and begins the session anew")
    func client() {
        var driver = Driver(isInternal: true)
        driver.establish()
        #expect(!driver.detail.isReflectorClient)
        var configuration = driver.instance.configuration!
        configuration.neighbors[0].isReflectorClient = true
        driver.give(.configure(configuration))
        #expect(driver.notification == .cease(.otherConfigurationChange))
        #expect(driver.detail.isReflectorClient)
    }

    // MARK: several routers

    /// Two reflectors, each with sessions to both clients and to each other, and an originator behind the first client's AS.
    private static func wire(sharedCluster: Bool, snapshotsEvery: Int) -> VirtualWire {
        let names = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]
        func node(_ own: Int, clients: [Int], others: [Int]) -> BGPConfiguration {
            var configuration = Configurations.node(65000, names[own], neighbors: (clients + others).map { (names[$0], 65000) })
            for i in configuration.neighbors.indices { configuration.neighbors[i].isReflectorClient = i < clients.count }
            configuration.networks =
                own < 2 ? [] : [OriginatedNetwork(prefix: .v4(IPv4Prefix(IPv4Address(20, UInt8(own), 0, 0), 16)))]
            if sharedCluster, own < 2 { configuration.clusterID = RouterID("7.7.7.7") }
            return configuration
        }
        let configurations = [
            node(0, clients: [2, 3], others: [1]), node(1, clients: [2, 3], others: [0]), node(2, clients: [], others: [0, 1]),
            node(3, clients: [], others: [0, 1]),
        ]
        var wire = VirtualWire(configurations, addresses: names)
        wire.snapshotsEvery = snapshotsEvery
        wire.start(configurations)
        return wire
    }

    @Test("two reflectors for the same clients come to rest, in one cluster or two", arguments: [true, false], [0, 5])
    func redundant(sharedCluster: Bool, snapshotsEvery: Int) {
        var wire = Self.wire(sharedCluster: sharedCluster, snapshotsEvery: snapshotsEvery)
        wire.run(.seconds(60))
        let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(20, 2, 0, 0), 16))
        let far = wire.nodes[3].rib.route(prefix)
        // By both reflectors, each with its cluster.
        #expect(far?.paths.count == 2)
        #expect(far?.paths.first?.isBest == true)
        #expect(far?.paths.first?.received.originatorID == RouterID("10.0.0.3"))
        #expect(far?.paths.first?.received.nextHop == IPAddress("10.0.0.3"))
        let clusters = far?.paths.map { $0.received.clusterList.map(\.description) }
        #expect(clusters == (sharedCluster ? [["7.7.7.7"], ["7.7.7.7"]] : [["10.0.0.1"], ["10.0.0.2"]]))
        // The originator gets its own route back from nobody that it would take.
        let near = wire.nodes[2].rib.route(prefix)
        #expect(near?.paths.first?.source == .local)
        #expect(near?.paths.dropFirst().allSatisfy { $0.ineligibility == .reflectionLoop } == true)
        // Between the reflectors, one cluster takes nothing of the other's that came from a client of both.
        let across = wire.nodes[0].rib.route(prefix)?.paths.first { $0.neighbor == IPAddress("10.0.0.2") }
        #expect(across?.ineligibility == (sharedCluster ? .reflectionLoop : nil))
        #expect(wire.nodes[0].rib.route(prefix)?.paths.first?.neighbor == IPAddress("10.0.0.3"))
        // Nothing more to say.
        let octets = wire.streams
        wire.run(.seconds(5))
        let later = wire.streams.values.reduce(0) { $0 + $1.count } - octets.values.reduce(0) { $0 + $1.count }
        #expect(later % 19 == 0, "keepalives alone")
        // It goes everywhere.
        var configuration = wire.nodes[2].configuration!
        configuration.networks = []
        wire.give(2, .configure(configuration))
        wire.run(.seconds(10))
        for node in 0..<4 { #expect(wire.nodes[node].rib.route(prefix) == nil) }
    }
}
