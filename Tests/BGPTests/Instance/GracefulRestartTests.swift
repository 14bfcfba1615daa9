import Machine
import Policy
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// Restarts of a neighbour: RFC 4724 §4.2 with RFC 8538.
@Suite struct GracefulRestartTests {
    typealias Speaker = RestartWorld.Speaker

    @Test func `the capability is offered without families, with the flag of RFC 8538, or not at all`() throws {
        func offered(_ mode: GracefulRestartConfiguration.Mode) throws -> Capabilities.GracefulRestart? {
            var driver = Driver { $0.neighbors[0].gracefulRestart.mode = mode }
            driver.accept()
            let body = Array(driver.sent[19...])
            return try OpenMessage(body: body.span.bytes).capabilities.gracefulRestart
        }
        #expect(try offered(.helper) == .init(isRestarting: false, time: 0, families: [], hasNotification: true))
        #expect(try offered(.off) == nil)
        let both: RouteFamilySet = [.ipv4Unicast, .ipv6Unicast]
        #expect(
            try offered(.full)
                == .init(isRestarting: true, time: 120, families: both, forwarding: both, hasNotification: true))
    }

    @Test(arguments: [false, true])
    func `routes of a lost session stay, are used and announced as before, and go with the Restart Time`(isHandedOver: Bool) {
        var world = RestartWorld(isHandedOver: isHandedOver)
        world.begin()
        #expect(world.told() == [1, 2, 3, 4])
        world.lose()
        #expect(world.driver.state != .established)
        #expect(world.best == [1, 2, 3, 4] && world.stale == [1, 2, 3, 4] && world.told() == [1, 2, 3, 4])
        #expect(world.family.stale == 4 && world.family.received == 4 && world.family.accepted == 4)
        let detail = world.driver.detail
        // Counters are none of what is handed over.
        #expect(detail.counters.restarts == (isHandedOver ? 0 : 1))
        #expect((detail.gracefulRestart.awaitedFor?.seconds ?? 0) > 119)
        world.driver.wait(.seconds(118))
        #expect(world.best == [1, 2, 3, 4])
        world.driver.wait(.seconds(2))
        #expect(world.best == [] && world.told() == [] && world.driver.prefixes == [0, 0])
        #expect(world.driver.detail.counters.staleRoutesRemoved == (isHandedOver ? 0 : 4))
        #expect(world.driver.instance.neighbors[0]?.retention == nil)
    }

    @Test(arguments: [false, true])
    func `what is announced again is no longer stale, and End-of-RIB removes the rest`(isHandedOver: Bool) {
        var world = RestartWorld(isHandedOver: isHandedOver)
        world.begin()
        world.lose()
        world.pause()
        world.connect(4, Speaker(isRestarting: true))
        #expect(world.stale == [1, 2, 3, 4] && world.family.stale == 4)
        world.announce(1...2)
        world.announce(9...9)
        world.withdraw(3...3)
        world.driver.wait(.milliseconds(50))
        #expect(world.stale == [4] && world.best == [1, 2, 4, 9])
        #expect(world.family.stale == 1 && (world.family.staleFor?.seconds ?? 0) > 300)
        world.endOfRIB(.ipv6Unicast)
        #expect(world.best == [1, 2, 4, 9], "of the other family")
        world.endOfRIB()
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [1, 2, 9] && world.stale == [] && world.told() == [1, 2, 9])
        world.driver.wait(.seconds(1))
        #expect(world.driver.instance.neighbors[0]?.retention == nil)
        world.lose(4)
        #expect(world.best == [1, 2, 9], "and again")
    }

    /// What the second OPEN says, and what of the routes is left then.
    @Test func `what the new OPEN does not preserve goes at once`() {
        for (speaker, left) in [
            (Speaker(isRestarting: true), [1, 2, 3, 4]), (Speaker(), [1, 2, 3, 4]),
            (Speaker(isRestarting: true, forwarding: []), []), (Speaker(forwarding: .ipv6Unicast), []),
            (Speaker(families: .ipv6Unicast), []), (Speaker(hasCapability: false), []),
            (Speaker(identifier: "10.0.0.77"), []),
        ] as [(Speaker, [Int])] {
            var world = RestartWorld()
            world.begin()
            world.lose()
            world.pause()
            world.connect(4, speaker)
            world.driver.wait(.milliseconds(50))
            #expect(world.best == left && world.told() == left, "\(speaker)")
            // What is announced right after is of the new session.
            world.announce(7...7)
            world.driver.wait(.milliseconds(50))
            #expect(world.best == left + [7], "\(speaker)")
        }
    }

    @Test func `routes of a family that is not in the capability do not outlive the session`() {
        var world = RestartWorld()
        world.connect(2, Speaker(families: .ipv6Unicast))
        world.announce(1...2)
        world.driver.receive(
            Build.message(2, Build.update(attributes: Build.reach6(Build.nlri6) + Build.origin + Build.path4(65001))))
        world.driver.wait(.milliseconds(50))
        world.lose()
        #expect(world.driver.prefixes == [0, 1] && world.told() == [])
    }

    @Test func `a neighbour that is back and does not say all loses the rest with the stale timer`() {
        var world = RestartWorld()
        world.begin()
        world.lose()
        world.pause()
        world.connect(4, Speaker(isRestarting: true))
        world.announce(1...1)
        for _ in 0..<11 {
            world.driver.wait(.seconds(30))
            world.driver.receive(Driver.keepalive)
        }
        #expect(world.best == [1, 2, 3, 4])
        world.driver.wait(.seconds(25))
        #expect(world.best == [1] && world.driver.state == .established)
    }

    @Test func `a setting bounds what a neighbour asks for`() {
        var world = RestartWorld { $0.neighbors[0].gracefulRestart.staleRoutesTime = 30 }
        world.begin(Speaker(time: 4095))
        world.lose()
        world.driver.wait(.seconds(29))
        #expect(world.best == [1, 2, 3, 4])
        world.driver.wait(.seconds(1))
        #expect(world.best == [])
    }

    @Test func `a Restart Time of zero, no family, or graceful restart off keep nothing`() {
        for (speaker, mode) in [
            (Speaker(time: 0), .helper), (Speaker(families: []), .helper), (Speaker(hasCapability: false), .helper),
            (Speaker(), .off),
        ] as [(Speaker, GracefulRestartConfiguration.Mode)] {
            var world = RestartWorld { $0.neighbors[0].gracefulRestart.mode = mode }
            world.begin(speaker)
            world.lose()
            #expect(world.best == [] && world.told() == [], "\(speaker)")
        }
    }

    // MARK: RFC 8538

    @Test func `a NOTIFICATION ends the routes, unless both ends agreed on RFC 8538 and it is no Hard Reset`() {
        for (hasNotification, notification, isKept) in [
            (false, .cease(.administrativeReset), false), (true, .cease(.administrativeReset), true),
            (true, .cease(.administrativeShutdown), true), (true, .holdTimerExpired, true),
            (true, NotificationMessage.cease(.administrativeReset).asHardReset, false), (true, .cease(.hardReset), false),
        ] as [(Bool, NotificationMessage, Bool)] {
            var world = RestartWorld()
            world.begin(Speaker(hasNotification: hasNotification))
            world.driver.receive(notification.encoded)
            world.driver.wait(.milliseconds(50))
            #expect(world.best == (isKept ? [1, 2, 3, 4] : []), "\(notification)")
        }
    }

    @Test func `silence keeps the routes under RFC 8538 alone`() {
        for hasNotification in [false, true] {
            var world = RestartWorld()
            world.begin(Speaker(hasNotification: hasNotification))
            world.driver.wait(.seconds(91))
            #expect(world.driver.notification == .holdTimerExpired)
            #expect(world.best == (hasNotification ? [1, 2, 3, 4] : []))
        }
    }

    @Test func `an error of the neighbour's keeps its routes under RFC 8538 alone, on both sides`() {
        for hasNotification in [false, true] {
            var world = RestartWorld()
            world.begin(Speaker(hasNotification: hasNotification))
            world.driver.receive(Build.message(2, [0, 9]))
            #expect(world.driver.notification?.isHardReset == false)
            world.driver.wait(.milliseconds(50))
            #expect(world.best == (hasNotification ? [1, 2, 3, 4] : []))
        }
    }

    /// What an operator or a limit does to a neighbour, and the Cease that it is.
    private static var ends: [(String, NotificationMessage, (inout RestartWorld) -> Void)] {
        [
            (
                "clear", .cease(.administrativeReset),
                { $0.driver.give(.command(.clearNeighbor(address: "10.0.0.2", reason: ""))) }
            ),
            ("shutdown", .cease(.administrativeShutdown), { $0.reconfigure { $0.neighbors[0].isShutdown = true } }),
            ("removal", .cease(.peerDeconfigured), { $0.reconfigure { $0.neighbors.removeFirst() } }),
            (
                "limit", .maximumPrefixes(.ipv4Unicast, 2),
                { $0.reconfigure { $0.neighbors[0].families[0].maximumPrefixes = 2 } }
            ),
            ("BFD", .cease(.bfdDown), { $0.driver.give(.bfd(IPAddress("10.0.0.2")!, isUp: false)) }),
            ("memory", .cease(.outOfResources), { $0.driver.give(.memoryExhausted) }),
            (
                "quarantine", .cease(.administrativeReset, communication: "your last message could not be processed"),
                { $0.driver.give(.fault(ConnectionID(2), [], message: 0)) }
            ),
        ]
    }

    @Test(arguments: 0..<7)
    func `an end that is meant to last is a Hard Reset to who knows it, and keeps nothing`(index: Int) {
        let (name, notification, act) = Self.ends[index]
        for hasNotification in [false, true] {
            var world = RestartWorld()
            world.begin(Speaker(hasNotification: hasNotification))
            act(&world)
            world.driver.wait(.milliseconds(50))
            #expect(world.driver.notification == (hasNotification ? notification.asHardReset : notification), "\(name)")
            #expect(world.best == [] && world.told() == [], "\(name)")
        }
    }

    @Test(arguments: [0, 1, 2, 6])
    func `what an operator ends while the neighbour is away keeps nothing either`(index: Int) {
        let (name, _, act) = Self.ends[index]
        var world = RestartWorld()
        world.begin()
        world.lose()
        if name == "quarantine" {
            world.pause()
            world.driver.accept(2)
        }
        #expect(world.best == [1, 2, 3, 4])
        act(&world)
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [] && world.told() == [], "\(name)")
        world.driver.wait(.seconds(400))
    }

    @Test func `a change of the session's parameters is no lasting end, unless the routes would mean something else`() {
        for (hasNotification, isKept, change) in [
            (true, true, { $0.timers.hold = 30 }), (false, false, { $0.timers.hold = 30 }),
            (true, false, { $0.role = .peer }), (true, false, { $0.gracefulRestart.mode = .off }),
            (true, false, { $0.remoteAS = ASNumber(65009) }),
        ] as [(Bool, Bool, (inout NeighborConfiguration) -> Void)] {
            var world = RestartWorld()
            world.begin(Speaker(hasNotification: hasNotification))
            world.reconfigure { change(&$0.neighbors[0]) }
            #expect(world.driver.notification == .cease(.otherConfigurationChange))
            #expect(world.best == (isKept ? [1, 2, 3, 4] : []))
        }
    }

    // MARK: one after another

    @Test(arguments: [false, true])
    func `of two restarts in a row the first one's routes go, or stay their time under RFC 8538`(hasNotification: Bool) {
        let speaker = Speaker(isRestarting: true, hasNotification: hasNotification)
        var world = RestartWorld()
        world.begin(Speaker(hasNotification: hasNotification))
        world.lose()
        world.pause()
        world.connect(4, speaker)
        world.announce(1...1)
        world.lose(4)
        #expect(world.best == (hasNotification ? [1, 2, 3, 4] : [1]))
        #expect(world.stale == world.best)
        world.pause()
        world.connect(6, speaker)
        world.announce(2...2)
        world.driver.wait(.milliseconds(50))
        #expect(world.stale == (hasNotification ? [1, 3, 4] : [1]))
        world.endOfRIB()
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [2] && world.stale == [])
    }

    @Test func `a neighbour that restarts for ever without an end keeps nothing in the end, and breaks nothing`() {
        var world = RestartWorld { $0.neighbors[0].timers.idleHoldMaximum = 1 }
        world.begin(Speaker(hasNotification: true))
        for round in 0..<300 {
            world.lose(UInt32(2 + 2 * round))
            world.pause(2)
            world.connect(UInt32(4 + 2 * round), Speaker(isRestarting: true, hasNotification: true))
            world.announce(UInt8(1 + round % 3)...UInt8(1 + round % 3))
        }
        world.endOfRIB()
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [UInt8(1 + 299 % 3)].map(Int.init))
    }

    @Test func `a connection whose OPEN says that the neighbour restarted takes the place of a session at once`() {
        var world = RestartWorld()
        world.begin()
        world.driver.accept(4)
        world.driver.receive(RestartWorld.open(world.driver, Speaker(isRestarting: true)))
        world.driver.receive(Driver.keepalive)
        #expect(world.driver.state == .established)
        #expect(world.driver.sent(2).isEmpty, "RFC 4724 §4.2: no NOTIFICATION, and no question")
        #expect(world.driver.finished.contains(ConnectionID(2)))
        #expect(world.stale == [1, 2, 3, 4])
        world.announce(1...3)
        world.endOfRIB()
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [1, 2, 3] && world.told() == [1, 2, 3])
    }

    @Test func `one that says nothing of a restart is asked, and what it leaves behind is stale`() {
        var world = RestartWorld()
        world.begin()
        world.driver.accept(4)
        world.driver.receive(RestartWorld.open(world.driver, Speaker()))
        #expect(world.driver.sent(2) == Driver.keepalive)
        world.driver.wait(.seconds(2))
        #expect(world.driver.sent(2) == Driver.keepalive, "no NOTIFICATION")
        world.driver.receive(Driver.keepalive)
        #expect(world.driver.state == .established && world.stale == [1, 2, 3, 4])
    }

    // MARK: the rest of the router

    @Test func `BFD ends a restart if it shares fate with no control plane, else it may be part of the restart`() {
        for isIndependent in [false, true] {
            var world = RestartWorld()
            world.begin()
            world.lose()
            world.driver.give(.bfd(IPAddress("10.0.0.2")!, isUp: false, isIndependent: isIndependent))
            world.driver.wait(.milliseconds(50))
            #expect(world.best == (isIndependent ? [] : [1, 2, 3, 4]))
        }
    }

    @Test func `policy is in force for what is kept`() {
        var world = RestartWorld {
            $0.definitions.policies = [PolicyConfigurations.rejecting]
            $0.ebgpRequiresPolicy = false
        }
        world.begin()
        world.lose()
        world.reconfigure { $0.neighbors[0].importPolicies = ["none"] }
        #expect(world.best == [] && world.told() == [] && world.driver.prefixes == [4, 0])
        world.reconfigure { $0.neighbors[0].importPolicies = [] }
        #expect(world.best == [1, 2, 3, 4])
    }

    @Test func `memory that runs out takes what is kept of absent neighbours first`() {
        var world = RestartWorld()
        world.begin()
        world.lose()
        world.driver.give(.memoryExhausted)
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [] && !world.driver.instance.neighborSummaries[0].isHeldDown)
    }

    @Test func `many stale routes go in slices`() {
        var world = RestartWorld()
        world.driver.instance.rib.tables.ipv4Unicast.limits.slice = 3
        world.connect(2)
        world.announce(1...100)
        world.endOfRIB()
        world.driver.wait(.milliseconds(100))
        world.driver.give(.closed(ConnectionID(2), .resetByPeer))
        #expect(world.best.count == 100)
        world.driver.now = world.driver.now + .seconds(120)
        var steps = 0, left = 100
        repeat {
            world.driver.give(.time)
            let now = world.driver.instance.rib.summary.families[0].paths
            #expect(left - now <= 3)
            left = now
            steps += 1
            world.driver.now = world.driver.now + .milliseconds(1)
        } while left > 0 && steps < 1000
        // A page has 256 places, and each is looked at.
        #expect(steps >= 33 && left == 0)
        world.driver.wait(.milliseconds(200))
        #expect(world.told() == [])
    }
}

enum PolicyConfigurations {
    static let rejecting = PolicyConfiguration(name: "none", statements: [], otherwise: .reject)
}
