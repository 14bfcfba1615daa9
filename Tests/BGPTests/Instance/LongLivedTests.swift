import Machine
import Policy
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// RFC 9494.
@Suite struct LongLivedTests {
    typealias Speaker = RestartWorld.Speaker

    private static let speaker = Speaker(longLived: [(.ipv4Unicast, 3600, true)])
    private static let back = Speaker(isRestarting: true, longLived: [(.ipv4Unicast, 3600, true)])

    private static func world(
        isHandedOver: Bool = false, time: UInt32 = 86400, watcherAS: UInt32 = 65003, isWatcherAware: Bool = true,
        _ change: (inout BGPConfiguration) -> Void = { _ in }
    ) -> RestartWorld {
        RestartWorld(
            isHandedOver: isHandedOver, watcherAS: watcherAS,
            watcherOpen: {
                $0.capabilities.gracefulRestart = .init(isRestarting: false, time: 0, families: [])
                if isWatcherAware { $0.capabilities.longLivedGracefulRestart = .init() }
            }
        ) {
            $0.neighbors[0].families[0].longLivedStaleTime = time
            change(&$0)
        }
    }

    @Test func `the capability is offered for families that are configured, and with times in full mode`() throws {
        func offered(_ change: (inout NeighborConfiguration) -> Void) throws -> Capabilities.LongLivedGracefulRestart? {
            var driver = Driver { change(&$0.neighbors[0]) }
            driver.accept()
            let body = Array(driver.sent[19...])
            return try OpenMessage(body: body.span.bytes).capabilities.longLivedGracefulRestart
        }
        #expect(try offered { _ in } == nil, "RFC 9494 §5: not by default")
        #expect(try offered { $0.families[0].longLivedStaleTime = 5 }?.families == [])
        #expect(
            try offered {
                $0.families[1].longLivedStaleTime = 5
                $0.gracefulRestart.mode = .full
            }?.families == [.init(.ipv6Unicast, time: 5, isPreserved: true)])
    }

    @Test(arguments: [false, true])
    func `after the Restart Time stale routes stay as a last resort, marked, and go when their time is over`(
        isHandedOver: Bool
    ) {
        var world = Self.world(isHandedOver: isHandedOver)
        world.connect(2, Self.speaker)
        world.announce(1...3)
        world.announce(4...4, communities: [.noLLGR])
        world.endOfRIB()
        world.driver.wait(.milliseconds(50))
        world.lose()
        world.driver.wait(.seconds(119))
        #expect(world.told() == [1, 2, 3, 4])
        #expect(world.told(1)?.communities == [])
        world.driver.wait(.seconds(2))
        #expect(world.best == [1, 2, 3], "RFC 9494 §4.2: NO_LLGR")
        #expect(world.told() == [1, 2, 3])
        #expect(world.told(1)?.communities == [.llgrStale])
        #expect(world.family.isLongLivedStale && world.family.stale == 3)
        #expect((3590...3600).contains(world.family.staleFor?.seconds ?? 0))
        world.driver.wait(.seconds(3590))
        #expect(world.best == [1, 2, 3])
        world.driver.wait(.seconds(10))
        #expect(world.best == [] && world.told() == [])
        #expect(world.driver.instance.neighbors[0]?.retention == nil)
    }

    @Test func `a setting bounds the time, and without one, or without the neighbour's word, there is none`() {
        for (own, speaker, left) in [
            (100, Self.speaker, 220), (0, Self.speaker, 120), (100, Speaker(), 120),
            (100, Speaker(longLived: [(.ipv6Unicast, 50, true)]), 120),
            (100, Speaker(time: 0, longLived: [(.ipv4Unicast, 7, true)]), 7),
            (100, Speaker(families: [], longLived: [(.ipv4Unicast, 9, true)]), 9),
            (100, Speaker(families: .ipv6Unicast, longLived: [(.ipv4Unicast, 9, true)]), 9),
        ] as [(UInt32, Speaker, Int)] {
            var world = Self.world(time: own)
            world.begin(speaker)
            world.lose()
            world.driver.wait(.seconds(left - 1))
            #expect(world.best == [1, 2, 3, 4], "\(speaker)")
            world.driver.wait(.milliseconds(1100))
            #expect(world.best == [], "\(speaker)")
        }
    }

    @Test func `it is the least preferred of all, whatever its preference`() throws {
        var world = Self.world()
        world.begin(Self.speaker)
        // The watching neighbour has a longer way to one of them.
        let longer = Build.update(
            attributes: Build.origin + Build.path4(65003, 7, 8, 9, 10) + Build.nextHop, nlri: [16, 10, 1])
        world.driver.give(.received(ConnectionID(1000), Build.message(2, longer)))
        world.driver.wait(.milliseconds(50))
        #expect(world.route(1)?.paths.first?.neighbor == IPAddress("10.0.0.2"))
        world.lose()
        world.driver.wait(.seconds(60))
        #expect(world.route(1)?.paths.first?.neighbor == IPAddress("10.0.0.2"), "not in the first period")
        world.driver.wait(.seconds(61))
        let paths = try #require(world.route(1)?.paths)
        #expect(paths.first?.neighbor == IPAddress("10.0.0.3") && paths.first?.decidedBy == .longLivedStale)
        #expect(paths.last?.reason == "best has not stale for long (RFC 9494)")
        #expect(paths.last?.isStale == true)
        #expect(world.best == [1, 2, 3, 4])
    }

    @Test func `who does not speak of it gets none, but for an internal neighbour where that is wanted`() {
        for (watcherAS, isAware, isWanted, told) in [
            (65003, true, false, true), (65003, false, false, false), (65000, true, false, true), (65000, false, false, false),
            (65000, false, true, true), (65003, false, true, false),
        ] as [(UInt32, Bool, Bool, Bool)] {
            var world = Self.world(watcherAS: watcherAS, isWatcherAware: isAware) {
                $0.neighbors[1].gracefulRestart.advertisesStaleRoutes = isWanted
                $0.neighbors[1].sendCommunities = isAware
            }
            world.begin(Self.speaker)
            world.lose()
            world.driver.wait(.seconds(121))
            #expect(world.best == [1, 2, 3, 4])
            #expect(world.told() == (told ? [1, 2, 3, 4] : []), "AS \(watcherAS), \(isAware), \(isWanted)")
            guard told else { continue }
            // RFC 9494 §4.6
            #expect(world.told(2)?.communities == (isAware ? [.llgrStale] : [.noExport, .llgrStale]))
            if watcherAS == 65000 { #expect(world.told(2)?.localPreference == (isAware ? 100 : 0)) }
        }
    }

    @Test func `no policy takes the mark away`() {
        var world = Self.world {
            $0.definitions.policies = [
                PolicyConfiguration(
                    name: "strip",
                    statements: [PolicyStatement(conditions: [], actions: [.setCommunities([Community(1, 1)])], result: .accept)],
                    otherwise: .accept)
            ]
            $0.neighbors[0].importPolicies = ["strip"]
            $0.neighbors[1].exportPolicies = ["strip"]
        }
        world.begin(Self.speaker)
        world.lose()
        world.driver.wait(.seconds(121))
        #expect(world.told(1)?.communities == [Community(1, 1), .llgrStale])
        #expect(world.route(1)?.paths.first?.accepted?.communities == ["1:1", "llgr-stale"])
    }

    @Test func `a route that comes with the mark is the least preferred, and goes to those only who speak of it`() {
        for isAware in [true, false] {
            var world = Self.world(isWatcherAware: isAware)
            world.connect(2)
            world.announce(1...1, communities: [.llgrStale])
            world.announce(2...2)
            world.driver.wait(.milliseconds(50))
            #expect(world.best == [1, 2] && world.told() == (isAware ? [1, 2] : [2]))
        }
    }

    // MARK: the neighbour is back

    @Test func `a neighbour that is back in the long-lived period confirms by the flag of RFC 9494`() {
        let families: RouteFamilySet = [.ipv4Unicast, .ipv6Unicast]
        for (speaker, left) in [
            (Self.back, [1, 2, 3, 4]), (Speaker(longLived: [(.ipv4Unicast, 1, false)]), []),
            (Speaker(longLived: [(.ipv6Unicast, 1, true)]), []), (Speaker(), []), (Speaker(hasCapability: false), []),
            (Speaker(families: families, forwarding: [], longLived: [(.ipv4Unicast, 1, true)]), []),
            (Speaker(families: .ipv6Unicast, longLived: [(.ipv4Unicast, 1, true)]), [1, 2, 3, 4]),
        ] as [(Speaker, [Int])] {
            var world = Self.world()
            world.begin(Self.speaker)
            world.lose()
            world.driver.wait(.seconds(200))
            world.connect(4, speaker)
            world.driver.wait(.milliseconds(50))
            #expect(world.best == left, "\(speaker)")
        }
    }

    @Test func `what is said again has no mark, the rest goes at End-of-RIB or with its own timer`() {
        var world = Self.world()
        world.begin(Self.speaker)
        world.lose()
        world.driver.wait(.seconds(200))
        world.connect(4, Self.back)
        world.announce(1...1)
        world.driver.wait(.milliseconds(50))
        #expect(world.told(1)?.communities == [] && world.told(2)?.communities == [.llgrStale])
        var timed = world
        world.endOfRIB()
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [1] && world.told() == [1])
        // The stale timer of RFC 4724 has no part in it.
        for _ in 0..<115 {
            timed.driver.wait(.seconds(30))
            timed.driver.receive(Driver.keepalive)
            timed.driver.give(.acknowledged(timed.driver.connection, offset: .max))
        }
        #expect(timed.best == [1, 2, 3, 4])
        timed.driver.wait(.seconds(80))
        #expect(timed.best == [1])
    }

    @Test(arguments: [false, true])
    func `another restart in the long-lived period gives the older routes no more time`(isHandedOver: Bool) {
        var world = Self.world(isHandedOver: isHandedOver)
        world.begin(Self.speaker)
        world.lose()
        world.driver.wait(.seconds(200))
        world.connect(4, Self.back)
        world.announce(1...1)
        world.lose(4)
        #expect(world.best == [1, 2, 3, 4], "RFC 9494 §4.2: not deleted before their timer")
        #expect(world.told(1)?.communities == [] && world.told(2)?.communities == [.llgrStale])
        world.driver.wait(.seconds(121))
        #expect(world.told(1)?.communities == [.llgrStale])
        // 3600 s after the first period ended.
        world.driver.wait(.seconds(3600 + 120 - 200 - 121 - 2))
        #expect(world.best == [1, 2, 3, 4])
        world.driver.wait(.seconds(3))
        #expect(world.best == [])
    }

    @Test func `a next hop that is lost ends its use in the long-lived period as ever`() {
        var world = Self.world()
        world.begin(Self.speaker)
        world.lose()
        world.driver.wait(.seconds(130))
        world.driver.give(.nextHops([(IPAddress("10.0.0.2")!, .unreachable)]))
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [] && world.told() == [])
        world.driver.give(.nextHops([(IPAddress("10.0.0.2")!, .reachable(metric: 3))]))
        world.driver.wait(.milliseconds(50))
        #expect(world.told() == [1, 2, 3, 4])
    }
}
