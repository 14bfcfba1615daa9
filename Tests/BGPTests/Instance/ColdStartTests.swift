import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// RFC 4724 §4.1: the router itself was away, both controllers of it.
@Suite struct ColdStartTests {
    typealias Speaker = RestartWorld.Speaker

    /// The watching neighbour is up and has said all, if it says anything of restarts.
    private static func world(
        isHandedOver: Bool = false, watcher: Capabilities.GracefulRestart? = .init(isRestarting: false, time: 0, families: []),
        _ change: (inout BGPConfiguration) -> Void = { _ in }
    ) -> RestartWorld {
        var world = RestartWorld(
            isHandedOver: isHandedOver, watcherOpen: { $0.capabilities.gracefulRestart = watcher }
        ) {
            $0.gracefulRestart.mode = .full
            $0.gracefulRestart.selectionDeferralTime = 240
            for i in $0.neighbors.indices { $0.neighbors[i].gracefulRestart.mode = .full }
            $0.networks = [OriginatedNetwork(prefix: RestartWorld.prefix(200))]
            change(&$0)
        }
        for message in [Build.update(), Build.update(attributes: Build.unreach6([]))] {
            world.driver.give(.received(ConnectionID(1000), Build.message(2, message)))
        }
        return world
    }

    @Test(arguments: [false, true])
    func `no route is announced or used before every neighbour has said all`(isHandedOver: Bool) {
        var world = Self.world(isHandedOver: isHandedOver)
        world.driver.wait(.seconds(20))
        #expect(world.told() == [] && world.watcher.endOfRIB.isEmpty)
        world.connect(2)
        world.announce(1...3)
        world.driver.wait(.milliseconds(50))
        #expect(world.told() == [] && world.watcher.endOfRIB.isEmpty)
        #expect(world.driver.instance.rib.takeIPv4Changes().isEmpty)
        #expect(world.driver.instance.firstRoutes == .awaited)
        world.endOfRIB()
        world.driver.wait(.milliseconds(50))
        #expect(world.told() == [1, 2, 3, 200] && world.watcher.endOfRIB == [.ipv4Unicast])
        #expect(world.driver.instance.rib.takeIPv4Changes().count == 4)
        world.endOfRIB(.ipv6Unicast)
        world.driver.wait(.milliseconds(50))
        #expect(world.told() == [1, 2, 3, 200] && world.watcher.endOfRIB == [.ipv4Unicast, .ipv6Unicast])
        #expect(world.driver.instance.firstRoutes == .complete)
        world.announce(4...4)
        world.driver.wait(.milliseconds(50))
        #expect(world.told() == [1, 2, 3, 4, 200] && world.driver.instance.rib.takeIPv4Changes().count == 1)
    }

    @Test func `who restarts too, or promises no End-of-RIB, is not waited for`() {
        for speaker in [Speaker(isRestarting: true), Speaker(hasCapability: false)] {
            var world = Self.world()
            world.connect(2, speaker)
            world.announce(1...3)
            world.driver.wait(.milliseconds(50))
            #expect(world.told() == [1, 2, 3, 200], "\(speaker)")
        }
    }

    @Test func `who is not there is waited for as long as it could be keeping our routes, and who does not end for the set time`()
    {
        var absent = Self.world()
        absent.driver.wait(.seconds(119))
        #expect(absent.told() == [])
        absent.driver.wait(.seconds(1))
        #expect(absent.told() == [200])

        var endless = Self.world { $0.gracefulRestart.selectionDeferralTime = 150 }
        endless.connect(2)
        endless.announce(1...3)
        for _ in 0..<7 {
            endless.driver.wait(.seconds(20))
            endless.driver.receive(Driver.keepalive)
        }
        #expect(endless.told() == [])
        endless.driver.wait(.seconds(11))
        #expect(endless.told() == [1, 2, 3, 200])
    }

    @Test func `OPENs say that the router restarted for the Restart Time, and of nothing but a cold start`() throws {
        func isRestarting(_ world: inout RestartWorld, _ id: UInt32) throws -> Bool? {
            world.clear()
            world.driver.accept(id)
            let body = Array(world.driver.sent[19...])
            return try OpenMessage(body: body.span.bytes).capabilities.gracefulRestart?.isRestarting
        }
        var world = Self.world()
        #expect(try isRestarting(&world, 2) == true)
        world.lose()
        world.driver.wait(.seconds(121))
        #expect(try isRestarting(&world, 4) == false)
        // What was configured later is no restart.
        var later = RestartWorld()
        later.reconfigure { for i in $0.neighbors.indices { $0.neighbors[i].gracefulRestart.mode = .full } }
        later.pause()
        #expect(try isRestarting(&later, 2) == false)
        #expect(later.driver.instance.rib.deferred == [])
    }

    @Test func `many routes that waited are told in slices`() {
        var world = Self.world()
        world.driver.instance.rib.tables.ipv4Unicast.limits.slice = 10
        world.connect(2)
        world.announce(1...100)
        world.driver.give(.time)
        world.endOfRIB()
        #expect(world.driver.instance.rib.takeIPv4Changes().count <= 10)
        var count = 10, steps = 0
        while world.driver.instance.rib.hasUntoldRoutes, steps < 100 {
            #expect(world.driver.instance.firstRoutes == .awaited)
            world.driver.now = world.driver.now + .milliseconds(1)
            world.driver.give(.time)
            let new = world.driver.instance.rib.takeIPv4Changes().count
            #expect(new <= 10)
            count += new
            steps += 1
        }
        #expect(count == 101)
    }
}
