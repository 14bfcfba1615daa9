import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

/// Whole routers together: areas, borders, externals and what of it each of them routes by.
@Suite struct AreaTests {
    static let areaOne = IPv4Address(0, 0, 0, 1), areaTwo = IPv4Address(0, 0, 0, 2)

    /// 0 —(backbone)— 1 —(area 1)— 2, and 0 —(area 2)— 3.
    static func network(
        _ version: OSPFVersion, family: AddressFamily? = nil, kind: OSPFAreaKind = .normal,
        _ change: (inout OSPFConfiguration) -> Void = { _ in }
    ) -> VirtualNetwork {
        let net = VirtualNetwork(version: version, family: family)
        for _ in 0..<4 {
            net.addRouter { configuration in
                configuration.areas = [OSPFAreaConfiguration(areaID: areaOne, kind: kind)]
                change(&configuration)
            }
        }
        net.connect([0, 1])
        net.connect([1, 2], network: .pointToPoint, area: areaOne)
        net.connect([0, 3], network: .pointToPoint, area: areaTwo)
        return net
    }

    static func prefix(_ net: VirtualNetwork, _ segment: Int) -> IPPrefix {
        net.family == .ipv4
            ? .v4(IPv4Prefix(IPv4Address(10, 0, UInt8(segment), 0), 24))
            : .v6(IPv6Prefix(IPv6Address(high: 0x2001_0db8_0000_0000 | UInt64(segment + 1), low: 0), 64))
    }
    static func external(_ net: VirtualNetwork, _ n: UInt8) -> IPPrefix {
        net.family == .ipv4
            ? .v4(IPv4Prefix(IPv4Address(192, 0, n, 0), 24))
            : .v6(IPv6Prefix(IPv6Address(high: 0x2001_0db8_0001_0000 | UInt64(n), low: 0), 64))
    }

    struct World: CustomStringConvertible, Sendable {
        var version: OSPFVersion
        var family: AddressFamily
        var description: String { "\(version) for \(family)" }
    }
    static let worlds = [
        World(version: .v2, family: .ipv4), World(version: .v3, family: .ipv6), World(version: .v3, family: .ipv4),
    ]

    @Test(arguments: worlds) func `routes lead from area to area, and externals everywhere`(_ world: World) {
        let net = Self.network(world.version, family: world.family)
        net.start()
        net.run(.seconds(70))
        #expect(net.isConverged)
        #expect(net.routers.map(\.isAreaBorderRouter) == [true, true, false, false])
        // Two hops of cost ten beyond each router's own link, and the link itself.
        #expect(net.routes[3][Self.prefix(net, 1)]?.metric == 30)
        #expect(net.routes[3][Self.prefix(net, 1)]?.kind == OSPFPathType.interArea.rawValue)
        #expect(net.routes[2][Self.prefix(net, 2)]?.metric == 30)
        #expect(net.routes[2][Self.prefix(net, 0)]?.metric == 20)
        #expect(net.routes[3][Self.prefix(net, 2)] == nil)

        net.give(
            2,
            .redistribute([
                RedistributionUpdate(Self.external(net, 7), RedistributedRoute(source: .static, metric: 55, tag: 9)),
                RedistributionUpdate(
                    Self.external(net, 8), RedistributedRoute(source: .static, metric: 5, isExternalMetric: false)),
            ]))
        net.run(.seconds(20))
        #expect(net.routes[3][Self.external(net, 7)].map { [$0.metric, UInt32($0.kind), $0.tag] } == [55, 3, 9])
        #expect(net.routes[3][Self.external(net, 8)].map { [$0.metric, UInt32($0.kind)] } == [35, 2])
        net.give(2, .redistribute([RedistributionUpdate(Self.external(net, 7), nil)]))
        net.run(.seconds(20))
        #expect(net.routes[3][Self.external(net, 7)] == nil)
        #expect(net.routes[3][Self.external(net, 8)] != nil)
        // The boundary router's link goes, and everything behind it.
        net.segments[1].isCut = true
        net.run(.seconds(60))
        #expect(net.routes[3][Self.external(net, 8)] == nil)
        #expect(net.routes[0][Self.external(net, 8)] == nil)
    }

    @Test(arguments: OSPFVersion.allCases) func `a stub area gets a default and no externals, a totally stubby one nothing else`(
        _ version: OSPFVersion
    ) {
        for kind in [OSPFAreaKind.stub, .totallyStubby] {
            let net = Self.network(version, kind: kind)
            net.start()
            net.give(3, .redistribute([RedistributionUpdate(Self.external(net, 7), RedistributedRoute(source: .static))]))
            net.run(.seconds(80))
            #expect(net.routes[1][Self.external(net, 7)] != nil)
            #expect(net.routes[2][Self.external(net, 7)] == nil)
            let everything: IPPrefix = version == .v2 ? .v4(IPv4Prefix(.any, 0)) : .v6(IPv6Prefix(.any, 0))
            #expect(net.routes[2][everything]?.metric == 11)
            #expect((net.routes[2][Self.prefix(net, 2)] != nil) == (kind == .stub))
        }
    }

    @Test(arguments: OSPFVersion.allCases) func `RFC 3101: externals of an NSSA are translated by its border router`(
        _ version: OSPFVersion
    ) {
        let net = Self.network(version, kind: .nssa)
        net.start()
        net.give(2, .redistribute([RedistributionUpdate(Self.external(net, 7), RedistributedRoute(source: .static, metric: 40))]))
        net.run(.seconds(90))
        #expect(net.isConverged)
        #expect(net.routes[1][Self.external(net, 7)]?.metric == 40)
        #expect(net.routes[3][Self.external(net, 7)]?.metric == 40)
        net.give(2, .redistribute([RedistributionUpdate(Self.external(net, 7), nil)]))
        net.run(.seconds(30))
        #expect(net.routes[3][Self.external(net, 7)] == nil)
    }

    @Test(arguments: OSPFVersion.allCases) func `an NSSA that becomes a normal area is Full again after the next Hellos`(
        _ version: OSPFVersion
    ) {
        let net = Self.network(version, kind: .nssa)
        net.start()
        net.give(2, .redistribute([RedistributionUpdate(Self.external(net, 7), RedistributedRoute(source: .static))]))
        net.run(.seconds(60))
        #expect(net.isConverged)
        for router in [1, 2] {
            net.configurations[router].areas = [OSPFAreaConfiguration(areaID: Self.areaOne)]
            net.start([router])
            net.run(.seconds(2))
        }
        net.run(.seconds(40))
        #expect(net.neighbor(of: 1, 2)?.state == .full)
        #expect(net.neighbor(of: 2, 1)?.state == .full)
        let type: LSAType = version == .v2 ? .nssa : .nssaV3
        for router in [1, 2] {
            #expect(net.routers[router].database.entries(of: type, in: .area(Self.areaOne.raw)).isEmpty)
        }
        // What was type 7 is type 5 now.
        #expect(net.routes[3][Self.external(net, 7)] != nil)
        #expect(net.agree(on: .area(Self.areaOne.raw)))
    }

    @Test func `every change of an area's kind ends with Full adjacencies and one view of the area`() {
        let kinds: [OSPFAreaKind] = [.normal, .stub, .totallyStubby, .nssa, .nssaNoSummary]
        for version in OSPFVersion.allCases {
            for (before, after) in kinds.flatMap({ kind in kinds.filter { $0 != kind }.map { (kind, $0) } }) {
                let net = Self.network(version, kind: before)
                net.start()
                net.give(2, .redistribute([RedistributionUpdate(Self.external(net, 7), RedistributedRoute(source: .static))]))
                net.give(3, .redistribute([RedistributionUpdate(Self.external(net, 8), RedistributedRoute(source: .static))]))
                net.run(.seconds(60))
                let changed = net.neighbor(of: 1, 2)?.stateChanges
                for router in net.routers.indices {
                    net.configurations[router].areas = [OSPFAreaConfiguration(areaID: Self.areaOne, kind: after)]
                    net.start([router])
                    net.run(.seconds(1))
                }
                net.run(.seconds(60))
                let what = "\(version): \(before) to \(after)"
                #expect(net.neighbor(of: 1, 2)?.state == .full, "\(what)")
                #expect(net.neighbor(of: 2, 1)?.state == .full, "\(what)")
                #expect(net.agree(on: .area(Self.areaOne.raw)), "\(what)")
                #expect((net.routes[2][Self.external(net, 8)] != nil) == after.importsExternals, "\(what)")
                #expect((net.routes[2][Self.prefix(net, 2)] != nil) == after.importsSummaries, "\(what)")
                // Summaries are the border router's own affair.
                if before.isStub && after.isStub || before.isNSSA && after.isNSSA {
                    #expect(net.neighbor(of: 1, 2)?.stateChanges == changed, "\(what)")
                }
            }
        }
    }

    @Test func `redistributed routes are bounded, in the order of prefixes, and an alarm tells of it`() {
        let net = Self.network(.v2) { $0.limits.redistributed = 100 }
        net.start()
        net.run(.seconds(60))
        func give(_ range: Range<UInt32>, isThere: Bool) {
            net.give(
                2,
                .redistribute(
                    range.map {
                        RedistributionUpdate(
                            .v4(IPv4Prefix(IPv4Address(raw: 0xac10_0000 | $0 << 8), 24)),
                            isThere ? RedistributedRoute(source: .bgp) : nil)
                    }))
            net.run(.seconds(20))
        }
        give(50..<250, isThere: true)
        #expect(net.routers[3].database.count(in: .autonomousSystem) == 100)
        #expect(net.events.count { $0.contains("200 routes are redistributed; the first 100") } == 1)
        give(100..<250, isThere: false)
        give(0..<10, isThere: true)
        #expect(net.routers[3].database.count(in: .autonomousSystem) == 60)
        #expect(net.events.count { $0.contains("are redistributed") } == 1)
    }

    @Test func `RFC 2328 §12.4.1: the host route of a loopback address costs nothing`() {
        let net = VirtualNetwork()
        net.addRouter()
        net.addRouter()
        net.connect([0, 1], network: .pointToPoint)
        net.connect([1], network: .loopback)
        net.start()
        net.run(.seconds(30))
        let host = IPPrefix.v4(IPv4Prefix(IPv4Address(10, 0, 1, 2), 32))
        #expect(net.routes[0][host]?.metric == 10)
        // RFC 6987 §2 lets a stub router raise what leads to itself as well.
        net.configurations[1].stubRouter = OSPFStubRouter(always: true)
        net.configurations[1].stubRouter?.includesStubs = true
        net.start([1])
        net.run(.seconds(20))
        let raised: UInt32 = 65_545
        #expect(net.routes[0][host]?.metric == raised)
    }

    @Test func `RFC 6987: a stub router is passed by while there is another way, and used for what is its own`() {
        let net = VirtualNetwork()
        for i in 0..<4 { net.addRouter { if i == 1 { $0.stubRouter = OSPFStubRouter(onStartup: 100) } } }
        // 0 — 1 — 3 is short, 0 — 2 — 3 is long.
        net.connect([0, 1], network: .pointToPoint)
        net.connect([1, 3], network: .pointToPoint)
        net.connect([0, 2], network: .pointToPoint) { $1.cost = 100 }
        net.connect([2, 3], network: .pointToPoint) { $1.cost = 100 }
        let behind = net.connect([3])
        net.start()
        net.run(.seconds(60))
        let target = Self.prefix(net, behind)
        func gateway() -> [NextHop]? { net.routes[0][target]?.nextHops }
        #expect(gateway() == [.via(.v4(IPv4Address(10, 0, 2, 3)), InterfaceID(1))])
        #expect(net.routes[0][Self.prefix(net, 1)] != nil)
        net.run(.seconds(80))
        #expect(gateway() == [.via(.v4(IPv4Address(10, 0, 0, 2)), InterfaceID(0))])
    }

    @Test func `two ways of equal cost are both used, and one alone once the other breaks`() {
        let net = VirtualNetwork()
        for _ in 0..<4 { net.addRouter() }
        net.connect([0, 1], network: .pointToPoint)
        net.connect([0, 2])
        net.connect([1, 3], network: .pointToPoint)
        net.connect([2, 3])
        let behind = net.connect([3])
        net.start()
        net.run(.seconds(70))
        let target = Self.prefix(net, behind)
        #expect(net.routes[0][target]?.nextHops.count == 2)
        let before = net.now
        net.give(1, .interface(InterfaceID(1), isUp: false))
        net.run(.milliseconds(300))
        #expect(net.routes[0][target]?.nextHops == [.via(.v4(IPv4Address(10, 0, 1, 3)), InterfaceID(1))], "since \(before)")
    }

    @Test func `five hundred externals come and go in proportion, and a second protocol end withdraws all`() {
        let net = Self.network(.v2)
        net.start()
        net.run(.seconds(60))
        let updates = (0..<500 as Range<UInt32>).map {
            RedistributionUpdate(.v4(IPv4Prefix(IPv4Address(raw: 0xac10_0000 | $0 << 8), 24)), RedistributedRoute(source: .bgp))
        }
        net.give(2, .redistribute(updates))
        net.run(.seconds(15))
        #expect(net.routers[3].database.count(in: .autonomousSystem) == 500)
        #expect(net.routes[3].count { $0.value.kind == 3 } == 500)
        net.give(3, .configure(nil, net.devices[3]))
        #expect(net.routes[3].isEmpty)
        net.give(2, .configure(nil, net.devices[2]))
        net.run(.seconds(15))
        #expect(net.routers[0].database.count(in: .autonomousSystem) == 0)
        #expect(net.routers[0].flushing.isEmpty)
    }
}
