import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

/// Policies that ask whether a route's origin is valid (RFC 6811), while what the RPKI says changes.
@Suite struct ValidityTests {
    private static func configuration() -> BGPConfiguration {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 0x0a00_0001))
        configuration.definitions = PolicyDefinitions(policies: [
            PolicyConfiguration(name: "all", statements: [], otherwise: .accept),
            PolicyConfiguration(
                name: "prefer",
                statements: [
                    PolicyStatement(conditions: [.validity(.invalid)], result: .reject),
                    PolicyStatement(conditions: [.validity(.valid)], actions: [.setLocalPreference(200)], result: .accept),
                ], otherwise: .accept),
            PolicyConfiguration(
                name: "shape",
                statements: [
                    PolicyStatement(conditions: [.source(.local)], result: .accept),
                    PolicyStatement(conditions: [.validity(.notFound)], actions: [.setMED(7)], result: .accept),
                    PolicyStatement(conditions: [.validity(.invalid)], result: .reject),
                ], otherwise: .accept),
        ])
        return configuration
    }

    private func drawPayloads(_ world: inout RIBWorld) -> [VRP] {
        var list = world.oracle.payloads
        for _ in 0..<world.random.number(in: 1...6) {
            if !list.isEmpty, world.random.chance(1, in: 2) {
                list.remove(at: world.random.number(in: 0...(list.count - 1)))
                continue
            }
            let prefix = world.pool[world.random.number(in: 0...(world.pool.count - 1))]
            let length = UInt8(world.random.number(in: max(0, Int(prefix.length) - 4)...Int(prefix.length)))
            let vrp = VRP(
                prefix: IPPrefix(prefix.address, length),
                maximumLength: UInt8(world.random.number(in: Int(length)...(prefix.family == .ipv4 ? 32 : 128))),
                origin: [0, 101, 102, 103, 104, 65000][world.random.number(in: 0...5)])
            if !list.contains(vrp) { list.append(vrp) }
        }
        return list
    }

    @Test(arguments: 1...16)
    func `every neighbour ends up with what policy says of what the RPKI says, through churn and restores`(seed: UInt64) throws {
        var world = RIBWorld(seed: seed &+ 4000, peers: 8, configuration: Self.configuration())
        for i in 0..<8 where seed % 4 == 0 { world.oracle.peers[i].session.view = .bestAccepted }
        if seed % 2 == 0 {
            world.limits = RIBLimits(
                flush: world.random.number(in: 3...20), slice: world.random.number(in: 5...60),
                lag: world.random.number(in: 100...2000))
        }
        for i in 0..<8 { world.establish(i) }
        for round in 0..<8 {
            for _ in 0..<60 {
                RIBTests().step(&world)
                if world.random.chance(1, in: 6) {
                    let list = drawPayloads(&world)
                    world.setPayloads(list)
                }
                if world.random.chance(1, in: 3) {
                    let reads = world.random.chance(1, in: 2)
                    world.advance(world.random.number(in: 0...6)) { _ in reads ? .max : 0 }
                }
                if world.random.chance(1, in: 30) { try world.snapshot() }
            }
            world.settle()
            world.check("seed \(seed), round \(round)")
        }
    }

    @Test func `what no policy asks for is not looked at again`() {
        var world = RIBWorld(seed: 1, peers: 2)
        for i in 0..<2 { world.establish(i) }
        var route = RouteAttributes()
        route.path = [.init(type: 2, numbers: [ASNumber(101)])]
        route.nextHop = RIBWorld.nextHops[0]
        world.announce(0, [world.pool[0]], route)
        world.settle()
        world.setPayloads([VRP(prefix: world.pool[0], maximumLength: 32, origin: 9)])
        #expect(world.rib.tables.ipv4Unicast.payloadScan.isIdle)
    }

    @Test func `RFC 6811 §2: the origin is the last of a sequence, our own of an empty path, and none of a set`() {
        var table = AttributeTable(
            parameters: .init(routerAS: 65000, routerID: 1, clusterID: 1, defaultLocalPreference: 100), seed: 3)
        func origin(_ segments: [(UInt8, [UInt32])]) -> UInt32? {
            var route = RouteAttributes()
            route.path = segments.map { .init(type: $0.0, numbers: $0.1.map { ASNumber($0) }) }
            let octets = route.encoded()
            let handle = table.intern(octets.span.bytes, marks: [])
            return table.routeOrigin(handle)
        }
        #expect(origin([]) == 65000)
        #expect(origin([(2, [1, 2, 3])]) == 3)
        #expect(origin([(2, [1]), (2, [4, 70000])]) == 70000)
        #expect(origin([(2, [1]), (1, [4, 5])]) == nil)
        #expect(origin([(1, [4]), (2, [5])]) == 5)
        #expect(origin([(3, [64512])]) == 65000 && origin([(2, [7]), (4, [64512])]) == 65000)
    }
}
