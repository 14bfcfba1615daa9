import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// RFC 7705: another AS than the router's towards one neighbour.
@Suite struct LocalASTests {
    /// 65001 with a neighbour outside (65002), to whom it is 64999, and one more (65003).
    private static func wire(
        _ change: (inout LocalASConfiguration) -> Void = { _ in }, expected: UInt32 = 64999
    ) -> VirtualWire {
        var local = LocalASConfiguration(ASNumber(64999))
        change(&local)
        var first = Configurations.node(
            65001, "10.0.0.1", neighbors: [("10.0.0.2", 65002), ("10.0.0.3", 65003)], networks: ["192.0.2.0/24"])
        first.neighbors[0].localAS = local
        let configurations = [
            first,
            Configurations.node(65002, "10.0.0.2", neighbors: [("10.0.0.1", expected)], networks: ["198.51.100.0/24"]),
            Configurations.node(65003, "10.0.0.3", neighbors: [("10.0.0.1", 65001)]),
        ]
        var wire = VirtualWire(configurations, addresses: ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        wire.snapshotsEvery = 3
        wire.start(configurations)
        wire.run(.seconds(120))
        return wire
    }
    private static func path(_ wire: VirtualWire, _ node: Int, _ prefix: String) -> String? {
        wire.nodes[node].rib.route(IPPrefix(prefix)!)?.paths.first?.received.asPath
    }

    @Test func `it stands before the router's own in what the neighbour gets, and before what it sends`() {
        let wire = Self.wire()
        #expect(Self.path(wire, 1, "192.0.2.0/24") == "64999 65001")
        #expect(Self.path(wire, 2, "198.51.100.0/24") == "65001 64999 65002")
        #expect(wire.nodes[0].neighborView(IPAddress("10.0.0.2")!, at: .zero)?.localAS == ASNumber(64999))
        #expect(wire.nodes[0].neighborView(IPAddress("10.0.0.3")!, at: .zero)?.localAS == ASNumber(65001))
    }
    @Test func `with no-prepend others do not see it, with replace-as the neighbour does not see the router's own`() {
        let wire = Self.wire {
            $0.noPrepend = true
            $0.replacesAS = true
        }
        #expect(Self.path(wire, 1, "192.0.2.0/24") == "64999")
        #expect(Self.path(wire, 2, "198.51.100.0/24") == "65001 65002")
    }
    @Test func `a neighbour that knows us by the router's AS is refused, unless it may`() {
        let strict = Self.wire(expected: 65001)
        #expect(strict.nodes[0].neighborSummaries[0].state != .established)
        let dual = Self.wire({ $0.dualAS = true }, expected: 65001)
        #expect(dual.nodes[0].neighborSummaries[0].state == .established)
        // It is as if there were no other AS.
        #expect(Self.path(dual, 1, "192.0.2.0/24") == "65001")
        #expect(Self.path(dual, 2, "198.51.100.0/24") == "65001 65002")
        let usual = Self.wire { $0.dualAS = true }
        #expect(Self.path(usual, 1, "192.0.2.0/24") == "64999 65001")
    }
    @Test func `a change of how it is used needs no new session, another AS does`() {
        var wire = Self.wire()
        var configuration = wire.nodes[0].configuration!
        configuration.neighbors[0].localAS?.noPrepend = true
        configuration.neighbors[0].localAS?.replacesAS = true
        wire.give(0, .configure(configuration))
        wire.run(.seconds(2))
        #expect(Self.path(wire, 1, "192.0.2.0/24") == "64999")
        #expect(Self.path(wire, 2, "198.51.100.0/24") == "65001 65002")
        #expect(wire.nodes[0].neighborView(IPAddress("10.0.0.2")!, at: .zero)?.droppedCount == 0)
        configuration.neighbors[0].localAS = nil
        wire.give(0, .configure(configuration))
        #expect(wire.nodes[0].neighborView(IPAddress("10.0.0.2")!, at: .zero)?.droppedCount == 1)
    }

    // MARK: loops

    private static func driver(_ change: (inout NeighborConfiguration) -> Void) -> Driver {
        var driver = Driver { change(&$0.neighbors[0]) }
        driver.establish()
        return driver
    }
    private static func ineligibility(_ driver: Driver) -> Ineligibility? {
        driver.instance.rib.route(IPPrefix("192.0.2.0/24")!)?.paths.first?.ineligibility
    }
    private static func update(_ path: [UInt8]) -> [UInt8] {
        Build.message(2, Build.update(attributes: Build.origin + path + Build.nextHop, nlri: Build.nlri))
    }

    @Test func `either AS in a path is a loop`() {
        for (numbers, isLoop) in [([65001, 64999], true), ([65001, 65000], true), ([65001, 7], false)] as [([UInt32], Bool)] {
            for noPrepend in [true, false] {
                var driver = Self.driver {
                    $0.localAS = LocalASConfiguration(ASNumber(64999))
                    $0.localAS?.noPrepend = noPrepend
                }
                driver.receive(Self.update(Build.path4(numbers[0], numbers[1])))
                #expect((Self.ineligibility(driver) == .asLoop) == isLoop, "\(numbers)")
            }
        }
    }
    @Test func `both may be in a path as often as is allowed, and a change of that is judged at once`() {
        var driver = Self.driver {
            $0.localAS = LocalASConfiguration(ASNumber(64999))
            $0.allowASIn = 1
        }
        driver.receive(Self.update(Build.path4(65001, 64999)))
        #expect(Self.ineligibility(driver) == nil)
        var configuration = driver.instance.configuration!
        configuration.neighbors[0].allowASIn = 0
        driver.give(.configure(configuration))
        driver.wait(.seconds(1))
        #expect(Self.ineligibility(driver) == .asLoop)
    }
    @Test func `with origin our own AS is allowed where the route began, and nowhere else`() {
        for (numbers, isLoop) in [([65001, 65000], false), ([65000, 7], true), ([65001, 7], false)] as [([UInt32], Bool)] {
            var driver = Self.driver {
                $0.allowsOwnOrigin = true
                $0.enforceFirstAS = false
            }
            driver.receive(Self.update(Build.path4(numbers[0], numbers[1])))
            #expect((Self.ineligibility(driver) == .asLoop) == isLoop, "\(numbers)")
        }
    }
}
