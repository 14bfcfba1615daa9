import BGP
import Machine
import Records
import Routing
import Testing
import Wire

/// Sessions against a neighbour played by hand.
@Suite struct SessionTests {
    @Test("RFC 6608: an UPDATE before Established is a Finite State Machine Error")
    func early() {
        var driver = Driver()
        driver.accept()
        driver.receive(Build.message(2, HostileTests.v4))
        #expect(driver.notification == .state(.unexpectedInOpenSent, [2]))
        driver.wait(.seconds(30))
        driver.accept(4)
        driver.receive(driver.open())
        driver.effects = []
        driver.receive(driver.open())
        #expect(driver.notification == .state(.unexpectedInOpenConfirm, [1]))
    }

    @Test("the hold time is the smaller one, keepalives go at a third of it")
    func timers() {
        var driver = Driver()
        driver.accept()
        driver.receive(driver.open { $0.holdTime = 9 })
        driver.receive(Driver.keepalive)
        #expect(driver.detail.holdTime == 9)
        driver.effects = []
        for _ in 0..<10 {
            driver.wait(.seconds(3))
            driver.receive(Driver.keepalive)
        }
        let keepalives = driver.sent.count / 19
        #expect((10...14).contains(keepalives))
        #expect(driver.state == .established)
        driver.wait(.milliseconds(8999))
        #expect(driver.state == .established)
        driver.wait(.milliseconds(2))
        #expect(driver.notification == .holdTimerExpired)
    }

    @Test("a hold time of zero needs no keepalives and sends none")
    func noTimers() {
        var driver = Driver()
        driver.accept()
        driver.receive(driver.open { $0.holdTime = 0 })
        driver.receive(Driver.keepalive)
        driver.give(.acknowledged(driver.connection, offset: .max))
        driver.effects = []
        driver.wait(.seconds(7200))
        #expect(driver.state == .established)
        #expect(driver.sent.isEmpty)
    }

    @Test("RFC 4271 §6.8: a second connection beside an established one that answers is closed")
    func second() {
        var driver = Driver()
        driver.establish(2)
        driver.accept(4)
        driver.receive(driver.open())
        driver.give(.acknowledged(ConnectionID(2), offset: .max))
        #expect(driver.notification == .cease(.connectionCollision))
        #expect(driver.isFinished)
        #expect(driver.state == .established)
    }

    @Test("a neighbour that connects again before OPEN replaces its own first connection")
    func again() {
        var driver = Driver()
        driver.accept(2)
        driver.accept(4)
        #expect(driver.state == .openSent)
        driver.receive(driver.open())
        driver.receive(Driver.keepalive)
        #expect(driver.state == .established)
    }

    /// Both connections are in OpenConfirm or OpenSent when the second OPEN comes.
    @Test("RFC 4271 §6.8: the connection of the higher identifier wins", arguments: [("10.0.0.9", true), ("10.0.0.0", false)])
    func collision(identifier: String, incomingWins: Bool) {
        var driver = Driver { $0.neighbors[0].passive = false }
        driver.give(.connecting(StreamEndpointID(0), ConnectionID(1)))
        driver.accept(2)
        driver.give(
            .opened(ConnectionID(1), Driver.identity(driver.remote), SessionAddresses(), StreamEndpointID(0), isOurs: true))
        let open = driver.open { $0.identifier = RouterID(identifier)! }
        // The OPEN on our own connection comes first.
        driver.give(.received(ConnectionID(1), open))
        driver.effects = []
        driver.receive(open)
        var finished: [ConnectionID] = []
        for case .finish(let id) in driver.effects { finished.append(id) }
        #expect(finished == [incomingWins ? ConnectionID(1) : ConnectionID(2)])
        let winner = ConnectionID(incomingWins ? 2 : 1)
        driver.give(.received(winner, Driver.keepalive))
        #expect(driver.state == .established)
        #expect(driver.instance.neighborSummaries[0].flaps == 0)
    }

    @Test("connections are refused in Idle while a failure is paused over")
    func refusedInIdle() {
        var driver = Driver { $0.neighbors[0].timers.idleHoldMinimum = 30 }
        driver.establish(2)
        driver.receive(NotificationMessage.cease(.administrativeReset).encoded)
        #expect(driver.state == .idle)
        driver.accept(4)
        #expect(driver.isAborted)
        driver.wait(.seconds(31))
        driver.accept(6)
        #expect(driver.state == .openSent)
    }

    @Test("RFC 4271 §8.1.1 IdleHoldTime doubles with each failure and starts again after a session that held")
    func damping() {
        func pause(_ driver: inout Driver) -> Duration {
            let from = driver.now
            while driver.state == .idle { driver.wait(.milliseconds(100)) }
            return driver.now - from
        }
        var driver = Driver()
        var id: UInt32 = 2
        var pauses: [Duration] = []
        for _ in 0..<8 {
            driver.establish(id)
            id += 2
            driver.receive(NotificationMessage.cease(.administrativeReset).encoded)
            pauses.append(pause(&driver))
        }
        for (i, expected) in [1, 1, 2, 4, 8, 16, 32, 64].enumerated() where i > 0 {
            // RFC 4271 §10: the jitter takes up to a quarter off.
            let least = Duration.milliseconds(expected * 750), most = Duration.milliseconds(expected * 2000 + 200)
            #expect(pauses[i] >= least && pauses[i] <= most, "pause \(i) was \(pauses[i])")
        }
        driver.establish(id)
        for _ in 0..<10 {
            driver.wait(.seconds(30))
            driver.receive(Driver.keepalive)
        }
        driver.receive(NotificationMessage.cease(.administrativeReset).encoded)
        #expect(pause(&driver) <= .milliseconds(1200))
    }

    @Test("a stream that is not acknowledged holds at most its window, and goes on when it is")
    func flowControl() {
        var driver = Driver {
            // About 1.7 MB of announcements: each route has attributes of its own.
            $0.networks = (0..<24000).map {
                var network = OriginatedNetwork(prefix: .v4(IPv4Prefix(IPv4Address(raw: 0x0b00_0000 + UInt32($0) << 8), 24)))
                network.med = UInt32($0)
                return network
            }
        }
        driver.accept()
        driver.receive(driver.open())
        driver.receive(Driver.keepalive)
        driver.wait(.seconds(30))
        let first = driver.sent.count
        #expect(first >= BGPInstance.transmitWindow / 2)
        #expect(first <= BGPInstance.transmitWindow + 65536)
        #expect(driver.detail.summary.queued == first)
        driver.receive(Driver.keepalive)
        driver.give(.acknowledged(driver.connection, offset: UInt64(first)))
        driver.wait(.seconds(5))
        #expect(driver.sent.count > first + 1000)
    }

    @Test("RFC 9687: a neighbour that keeps talking but does not read is let go")
    func sendHold() {
        var driver = Driver { $0.networks = [OriginatedNetwork(prefix: IPPrefix("192.0.2.0/24")!)] }
        driver.establish()
        for _ in 0..<20 {
            driver.wait(.seconds(29))
            if driver.state == .established { driver.receive(Driver.keepalive) }
        }
        #expect(driver.isAborted)
        #expect(driver.messages.contains { $0.contains("stopped reading") })
        #expect(driver.detail.lastNotificationSent == "Send Hold Timer Expired (8/0)")
    }

    @Test("a neighbour that reads is never let go for it")
    func sendHoldProgress() {
        var driver = Driver()
        driver.establish()
        for _ in 0..<100 {
            driver.wait(.seconds(29))
            driver.receive(Driver.keepalive)
            driver.give(.acknowledged(driver.connection, offset: .max))
        }
        #expect(driver.state == .established)
    }

    @Test("the listeners are the neighbours that may connect, in order")
    func listeners() {
        let driver = Driver { configuration in
            for (address, isDown) in [("10.0.0.9", false), ("10.0.0.3", false), ("10.0.0.5", true)] {
                var neighbor = NeighborConfiguration(address: IPAddress(address)!, remoteAS: ASNumber(65009))
                neighbor.isShutdown = isDown
                neighbor.passive = true
                configuration.neighbors.append(neighbor)
            }
        }
        guard case .listen(let endpoints)? = driver.effects.first(where: { if case .listen = $0 { true } else { false } })
        else { return #expect(Bool(false), "no listeners") }
        #expect(endpoints.map(\.remote.description) == ["10.0.0.2", "10.0.0.3", "10.0.0.9"])
    }

    @Test("next hops are asked for once, and let go when no route uses them")
    func nextHops() {
        var driver = Driver()
        driver.establish()
        driver.receive(Build.message(2, HostileTests.v4))
        driver.receive(Build.message(2, HostileTests.v4))
        var tracked: [IPAddress] = []
        for case .track(let address) in driver.effects { tracked.append(address) }
        #expect(tracked == [IPAddress("10.0.0.2")!])
        driver.receive(Build.message(2, Build.update(withdrawn: Build.nlri + [16, 10, 1])))
        driver.effects = []
        for _ in 0..<5 {
            driver.wait(.seconds(29))
            driver.receive(Driver.keepalive)
        }
        var released: [IPAddress] = []
        for case .untrack(let address) in driver.effects { released.append(address) }
        #expect(released == [IPAddress("10.0.0.2")!])
    }

    @Test("a flood of ROUTE-REFRESH costs one pass over the table at a time, and the last one is served")
    func refreshFlood() {
        var driver = Driver { $0.networks = [OriginatedNetwork(prefix: IPPrefix("192.0.2.0/24")!)] }
        driver.establish()
        driver.wait(.seconds(10))
        let before = driver.detail.counters.sent.updates
        for _ in 0..<100 { driver.receive(RouteRefreshMessage(.ipv4Unicast).encoded) }
        let flooded = driver.detail.counters.sent.updates
        #expect(flooded <= before + 2)
        driver.wait(.seconds(10))
        #expect(driver.detail.counters.sent.updates > flooded)
        #expect(driver.detail.counters.sent.updates <= before + 4)
    }

    @Test("a large record of many updates does what single ones do")
    func batches() {
        var messages: [[UInt8]] = []
        for i in 0..<200 {
            let path = Build.path4(65001, UInt32(i % 7 + 1))
            messages.append(
                Build.message(
                    2, Build.update(attributes: Build.origin + path + Build.nextHop, nlri: [24, 10, UInt8(i), 0])))
            if i % 13 == 0 { messages.append(Driver.keepalive) }
        }
        var together = Driver()
        together.establish()
        together.receive(messages.flatMap { $0 })
        var single = Driver()
        single.establish()
        for message in messages { single.receive(message) }
        #expect(together.prefixes == [200, 0])
        #expect(single.prefixes == [200, 0])
        #expect(together.detail.counters.received == single.detail.counters.received)
        #expect(together.detail.counters.received.messages == UInt64(messages.count + 2))
        #expect(together.instance.rib.digest == single.instance.rib.digest)
    }
}
