import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

/// A default route that is made for a neighbour, the time between changes, and prefixes beyond a limit.
@Suite struct OriginateTests {
    private static let condition = IPPrefix("203.0.113.0/24")!

    /// A router with one neighbour that tells it something, and one that hears of it.
    private struct World {
        var rib: RIB
        var configuration: BGPConfiguration
        var now = Instant.zero
        var receiver = Receiver()

        init(_ change: (inout NeighborConfiguration) -> Void, definitions: PolicyDefinitions = PolicyDefinitions()) {
            configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID("1.1.1.1")!)
            configuration.ebgpRequiresPolicy = false
            configuration.definitions = definitions
            rib = RIB(configuration: configuration, seed: 1)
            for i in 0..<2 {
                var neighbor = NeighborConfiguration(
                    address: .v4(IPv4Address(10, 0, 0, UInt8(i + 1))), remoteAS: ASNumber(UInt32(101 + i)))
                if i == 1 { change(&neighbor) }
                var session = RIBSession(
                    identifier: RouterID("2.2.2.\(i + 1)")!, families: .ipv4Unicast, fourOctetAS: true,
                    extendedMessages: false)
                session.nextHopIPv4 = IPv4Address(10, 0, 0, 254)
                session.view = neighbor.view.exportView
                rib.establish(PeerIndex(UInt16(i)), neighbor: neighbor, session: session)
            }
            wait(.milliseconds(10))
        }
        mutating func announce(_ prefixes: [IPPrefix], from peer: UInt16 = 0) {
            var route = RouteAttributes()
            route.origin = .igp
            route.path = [.init(type: 2, numbers: [ASNumber(101)])]
            route.nextHop = .v4(IPv4Address(10, 0, 0, 1))
            let octets = route.encoded()
            let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
            rib.resolveNewNextHops { _ in .reachable(metric: 0) }
            for prefix in prefixes {
                rib.announce(RIB.nlri(prefix).span.bytes, .ipv4Unicast, from: PeerIndex(peer), attributes: handle)
            }
        }
        mutating func withdraw(_ prefix: IPPrefix) {
            rib.withdraw(RIB.nlri(prefix).span.bytes, .ipv4Unicast, from: PeerIndex(0))
        }
        /// Everything that is due within this time.
        mutating func wait(_ duration: Duration) {
            let end = now + duration
            advertise()
            while let next = rib.nextDeadline, next <= end {
                now = max(now, next)
                advertise()
            }
            now = end
        }
        private mutating func advertise() {
            rib.advertise(at: now)
            for peer in 0..<2 {
                var sent: [UInt8] = []
                rib.takeOutput(for: PeerIndex(UInt16(peer)), limit: .max) { sent += $0 }
                if peer == 1 { receiver.read(sent[...]) }
            }
        }
        mutating func restore() throws {
            var writer = SnapshotWriter()
            rib.write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            rib = try RIB(from: &reader)
        }
        func got(_ prefix: IPPrefix) -> RouteAttributes? { receiver.paths[prefix]?.values.first }
    }
    private static let everything = IPPrefix("0.0.0.0/0")!

    @Test(arguments: [NeighborView.best, .bestAccepted])
    func `a default route hangs on a prefix, through a snapshot as well`(view: NeighborView) throws {
        var world = World {
            $0.view = view
            $0.defaultOriginate = true
            $0.defaultRoute.condition = Self.condition
        }
        #expect(world.got(Self.everything) == nil)
        world.announce([Self.condition])
        world.wait(.milliseconds(50))
        #expect(world.got(Self.everything)?.path.map(\.numbers) == [[ASNumber(65000)]])
        try world.restore()
        world.withdraw(Self.condition)
        world.wait(.milliseconds(50))
        #expect(world.got(Self.everything) == nil)
        world.announce([Self.condition])
        world.wait(.milliseconds(50))
        #expect(world.got(Self.everything) != nil)
    }

    @Test func `without its own a neighbour gets the default route that others announce`() {
        var world = World {
            $0.defaultOriginate = true
            $0.defaultRoute.condition = Self.condition
        }
        world.announce([Self.everything])
        world.wait(.milliseconds(50))
        #expect(world.got(Self.everything)?.path.map(\.numbers) == [[ASNumber(65000), ASNumber(101)]])
        world.announce([Self.condition])
        world.wait(.milliseconds(50))
        #expect(world.got(Self.everything)?.path.map(\.numbers) == [[ASNumber(65000)]])
    }

    @Test func `a policy says what the default route goes with, or that there is none`() {
        var definitions = PolicyDefinitions()
        definitions.policies = [
            PolicyConfiguration(
                name: "shape", statements: [PolicyStatement(actions: [.setMED(7)], result: .accept)]),
            PolicyConfiguration(name: "none", statements: [PolicyStatement(result: .reject)]),
        ]
        let shaped = World(
            {
                $0.defaultOriginate = true; $0.defaultRoute.policy = "shape"
            }, definitions: definitions)
        #expect(shaped.got(Self.everything)?.med == 7)
        let rejected = World(
            {
                $0.defaultOriginate = true; $0.defaultRoute.policy = "none"
            }, definitions: definitions)
        #expect(rejected.got(Self.everything) == nil)
    }

    @Test func `what changes within the interval goes out together, and what comes after a pause at once`() {
        var world = World { $0.advertisementInterval = 30 }
        let prefixes = (0..<3).map { IPPrefix.v4(IPv4Prefix(IPv4Address(20, 0, UInt8($0), 0), 24)) }
        world.announce([prefixes[0]])
        world.wait(.milliseconds(50))
        // The first round was when the session came up.
        #expect(world.got(prefixes[0]) != nil)
        world.announce([prefixes[1]])
        world.wait(.seconds(20))
        #expect(world.got(prefixes[1]) == nil)
        world.withdraw(prefixes[0])
        world.wait(.seconds(11))
        #expect(world.got(prefixes[1]) != nil && world.got(prefixes[0]) == nil)
        world.wait(.seconds(60))
        world.announce([prefixes[2]])
        world.wait(.milliseconds(10))
        #expect(world.got(prefixes[2]) != nil)
    }

    @Test func `prefixes beyond a limit are not taken where that is wanted, and there is room again for others`() throws {
        var driver = Driver {
            $0.neighbors[0].families[0].maximumPrefixes = 2
            $0.neighbors[0].families[0].discardsExtra = true
        }
        driver.establish()
        func update(_ nlri: [UInt8], withdrawn: [UInt8] = []) -> [UInt8] {
            Build.message(
                2,
                Build.update(
                    withdrawn: withdrawn, attributes: nlri.isEmpty ? [] : Build.origin + Build.path4(65001) + Build.nextHop,
                    nlri: nlri))
        }
        driver.receive(update([24, 20, 0, 0, 24, 20, 0, 1, 24, 20, 0, 2, 24, 20, 0, 3]))
        #expect(driver.state == .established && driver.prefixes[0] == 2)
        #expect(driver.detail.counters.beyondLimit == 2)
        #expect(driver.messages.contains { $0.contains("2 announcements beyond the limit") })
        // What is there can change, and one that goes makes room.
        driver.receive(update([24, 20, 0, 1]))
        #expect(driver.detail.counters.beyondLimit == 2)
        driver.receive(update([], withdrawn: [24, 20, 0, 0]))
        driver.receive(update([24, 20, 0, 9]))
        #expect(driver.prefixes[0] == 2)
        #expect(driver.instance.rib.route(IPPrefix("20.0.9.0/24")!) != nil)
        #expect(driver.instance.rib.route(IPPrefix("20.0.3.0/24")!) == nil)
        var writer = SnapshotWriter()
        driver.instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        driver.instance = try BGPInstance(from: &reader)
        driver.receive(update([24, 20, 0, 10]))
        #expect(driver.prefixes[0] == 2 && driver.state == .established)
    }
}
