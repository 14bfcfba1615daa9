import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

@Suite struct RIBTests {
    /// One step of churn, drawn from the world's own numbers.
    func step(_ world: inout RIBWorld) {
        let i = world.random.number(in: 0...(world.oracle.peers.count - 1))
        if world.restartStep(i) { return }
        switch world.random.number(in: 0...19) {
        case 0: world.close(i)
        case 1, 2: world.establish(i)
        case 3:
            let hops = RIBWorld.nextHops + RIBWorld.nextHops6
            let hop = hops[world.random.number(in: 0...(hops.count - 1))]
            world.setNextHop(hop, world.random.chance(1, in: 3) ? nil : UInt32(world.random.number(in: 0...3)) * 10)
        case 4:
            if world.oracle.peers[i].isUp {
                let family: RouteFamily = world.random.chance(1, in: 2) ? .ipv4Unicast : .ipv6Unicast
                world.both { $0.refresh(PeerIndex(UInt16(i)), family) }
            }
        case 5:
            // Policy of a session changes while it is up.
            if world.oracle.peers[i].isUp, world.oracle.peers[i].isExternal {
                world.oracle.peers[i].neighbor.importPolicies = [world.random.chance(1, in: 2) ? "all" : "prefer"]
                world.oracle.peers[i].neighbor.exportPolicies =
                    world.random.chance(1, in: 4) ? [] : [world.random.chance(1, in: 2) ? "all" : "shape"]
                let neighbor = world.oracle.peers[i].neighbor
                world.both { $0.update(PeerIndex(UInt16(i)), neighbor: neighbor) }
            }
        case 6...8:
            let prefix = world.pool[world.random.number(in: 0...(world.pool.count - 1))]
            if world.oracle.peers[i].isUp { world.withdraw(i, prefix) }
        default:
            guard world.oracle.peers[i].isUp else { return }
            var family: RouteFamily = world.random.chance(1, in: 4) ? .ipv6Unicast : .ipv4Unicast
            if !world.oracle.peers[i].session.families.contains(family) { family = .ipv4Unicast }
            var chosen: [IPPrefix] = []
            for _ in 0..<world.random.number(in: 1...5) {
                let prefix = world.pool[world.random.number(in: 0...(world.pool.count - 1))]
                if RouteFamily(prefix.family) == family, !chosen.contains(prefix) { chosen.append(prefix) }
            }
            let route = world.drawRoute(i, family)
            world.announce(i, chosen, route)
        }
    }

    @Test(arguments: 1...20)
    func `restarts and refreshes in any order end as a slow full computation says`(seed: UInt64) throws {
        var world = RIBWorld(seed: seed &+ 4724, peers: 8)
        world.drawsRestarts = true
        if seed % 3 == 0 {
            for i in 0..<8 where i % 2 == 0 { world.oracle.peers[i].session.receivesPathIDs = [.ipv4Unicast, .ipv6Unicast] }
        }
        try world.churn("seed \(seed)")
    }

    @Test(arguments: 1...24)
    func `every neighbour ends up with what a slow full computation says, through churn and restores`(seed: UInt64) throws {
        var world = RIBWorld(seed: seed, peers: 8)
        if seed % 2 == 0 {
            // Everything in slices, cursors and laggards all the time.
            world.limits = RIBLimits(
                flush: world.random.number(in: 3...20), slice: world.random.number(in: 5...300),
                lag: world.random.number(in: 100...2000))
        }
        for i in 0..<8 { world.establish(i) }
        for round in 0..<12 {
            for _ in 0..<60 {
                step(&world)
                if world.random.chance(1, in: 3) {
                    var draws: [Int] = []
                    for _ in 0..<8 { draws.append(world.random.chance(1, in: 3) ? 0 : world.random.chance(1, in: 2) ? 1 : .max) }
                    world.advance(world.random.number(in: 0...6)) { draws[$0] }
                }
                if world.random.chance(1, in: 40) { try world.snapshot() }
            }
            world.settle()
            world.check("seed \(seed), round \(round)")
        }
        for i in 0..<8 { world.close(i) }
        world.settle()
        #expect(world.rib.tables.ipv4Unicast.prefixes.count == 0)
        #expect(world.rib.tables.ipv6Unicast.prefixes.count == 0)
        // The default routes that were made for a neighbour stay.
        #expect(world.rib.shared.attributes.count == 2)
        #expect(
            world.rib.tables.ipv4Unicast.locRIB.digest == StateDigest()
                && world.rib.tables.ipv6Unicast.locRIB.digest == StateDigest())
        #expect(world.rib.tables.ipv4Unicast.groups.isEmpty)
    }

    @Test(arguments: 1...8)
    func `networks of our own compete, and configuration changes reach every neighbour`(seed: UInt64) throws {
        var world = RIBWorld(seed: seed &+ 100, peers: 6)
        for i in 0..<6 { world.establish(i) }
        for round in 0..<6 {
            for _ in 0..<30 { step(&world) }
            var configuration = world.oracle.configuration
            configuration.networks = []
            for k in 0..<4 where world.random.chance(2, in: 3) {
                var network = OriginatedNetwork(prefix: world.pool[k * 11])
                network.med = world.random.chance(1, in: 2) ? 5 : nil
                configuration.networks.append(network)
            }
            if world.random.chance(1, in: 2) {
                configuration.definitions.policies[1].statements[0].actions = [
                    .setLocalPreference(UInt32(world.random.number(in: 1...3)) * 70)
                ]
            }
            if world.random.chance(1, in: 3) { configuration.defaultLocalPreference = 100 + UInt32(round) }
            world.oracle.configuration = configuration
            world.both { $0.configure(configuration) }
            if world.random.chance(1, in: 2) { try world.snapshot() }
            world.settle()
            world.check("seed \(seed), round \(round)")
        }
    }

    @Test func `a new neighbour gets the table once, then End-of-RIB, and nothing again`() {
        var world = RIBWorld(seed: 5, peers: 3)
        world.establish(0)
        var route = world.drawRoute(0, .ipv4Unicast)
        route.communities = []
        route.path = [.init(type: 2, numbers: [ASNumber(101)])]
        let v4 = world.pool.filter { $0.family == .ipv4 }
        world.announce(0, v4, route)
        world.settle()
        world.establish(1)
        world.settle()
        #expect(world.receivers[1].endOfRIB == [.ipv4Unicast, .ipv6Unicast])
        #expect(world.receivers[1].paths.count == v4.count)
        // One message with everything, and two markers.
        #expect(world.receivers[1].messages == 3)
        // The source itself hears nothing but its own markers: its routes do not come back.
        #expect(world.receivers[0].messages == 2)
    }

    @Test func `the octets are encoded once for a group, and no route comes back to its source`() {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 1))
        configuration.ebgpRequiresPolicy = false
        var rib = RIB(configuration: configuration, seed: 1)
        for i in 0..<3 {
            var session = RIBSession(
                identifier: RouterID(raw: UInt32(i + 1)), families: .ipv4Unicast, fourOctetAS: true, extendedMessages: false)
            session.nextHopIPv4 = IPv4Address(10, 0, 0, 254)
            rib.establish(
                PeerIndex(UInt16(i)),
                neighbor: NeighborConfiguration(
                    address: .v4(IPv4Address(10, 0, 0, UInt8(i + 1))), remoteAS: ASNumber(UInt32(100 + i))),
                session: session)
        }
        #expect(rib.tables.ipv4Unicast.groups.count == 1)
        rib.advertise(at: .zero)
        for i in 0..<3 { rib.takeOutput(for: PeerIndex(UInt16(i)), limit: .max) { _ in } }
        var route = RouteAttributes()
        route.path = [.init(type: 2, numbers: [ASNumber(100)])]
        route.nextHop = .v4(IPv4Address(10, 0, 0, 1))
        let octets = route.encoded()
        let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
        rib.resolveNewNextHops { _ in .reachable(metric: 0) }
        let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(20, 0, 0, 0), 8))
        rib.announce(RIB.nlri(prefix).span.bytes, .ipv4Unicast, from: PeerIndex(0), attributes: handle)
        rib.advertise(at: .zero + .milliseconds(10))
        var given: [[ArraySlice<UInt8>]] = [[], [], []]
        for i in 0..<3 { rib.takeOutput(for: PeerIndex(UInt16(i)), limit: .max) { given[i].append($0) } }
        #expect(given[0].isEmpty)
        #expect(given[1] == given[2])
        #expect(given[1].count == 1)
        // The same memory, not only the same octets.
        let first = unsafe given[1][0].withUnsafeBufferPointer { $0.baseAddress }
        let second = unsafe given[2][0].withUnsafeBufferPointer { $0.baseAddress }
        #expect(unsafe first == second)
    }

    @Test func `a member that lags too far leaves its group, and comes back with the right table`() {
        var world = RIBWorld(seed: 11, peers: 2)
        // Both external, same policies: one group.
        for i in 0..<2 {
            world.oracle.peers[i].neighbor.importPolicies = ["all"]
            world.oracle.peers[i].session.extendedMessages = false
        }
        world.establish(0)
        world.establish(1)
        world.settle()
        #expect(world.rib.tables.ipv4Unicast.groups.count == 1)
        // A third source feeds; neighbour 1 reads nothing.
        var separated = false
        for k in 0..<700 {
            var route = world.drawRoute(0, .ipv4Unicast)
            route.path = [.init(type: 2, numbers: [ASNumber(101), ASNumber(UInt32(1000 + k))])]
            route.communities = (0..<450).map { Community(5, UInt16($0)) }
            world.announce(0, [world.pool[k % 40]], route)
            // The feeding neighbour is no receiver of its own routes, so it counts as having taken everything.
            world.advance(6) { $0 == 1 ? 0 : .max }
            let group = world.rib.tables.ipv4Unicast.groups[0]
            separated = separated || group.cohorts.count > 1
            #expect(group.cohorts.allSatisfy { $0.queue.octetCount < 2 * RIBLimits().lag })
        }
        #expect(separated)
        world.settle()
        #expect(world.rib.tables.ipv4Unicast.groups[0].cohorts.count == 1)
        world.check("after the lag")
    }

    @Test func `a snapshot cut short or altered is refused and never traps`() throws {
        var world = RIBWorld(seed: 3, peers: 4)
        for i in 0..<4 { world.establish(i) }
        for _ in 0..<60 { step(&world) }
        world.advance(3) { _ in 1 }
        var writer = SnapshotWriter()
        world.rib.write(to: &writer)
        var random = RandomNumbers(seed: 9)
        for _ in 0..<300 {
            let end = random.number(in: 0...(writer.bytes.count - 1))
            var reader = SnapshotReader(Array(writer.bytes[..<end]))
            #expect(throws: DecodeError.self) { _ = try RIB(from: &reader) }
        }
        var refused = 0
        for _ in 0..<300 {
            var bytes = writer.bytes
            bytes[random.number(in: 0...(bytes.count - 1))] ^= UInt8(1 << random.number(in: 0...7))
            var reader = SnapshotReader(bytes)
            if (try? RIB(from: &reader)) == nil { refused += 1 }
        }
        #expect(refused > 0)
    }
}
