import Records
import Routing
import Testing
import Wire

@testable import OSPF

@Suite struct SampleDomainTests {
    static let versions: [OSPFVersion] = [.v2, .v3]

    /// RFC 2328 Figure 2, with H1 as network 21. Serial lines have no networks; Ia and Ib are networks 31 and 32.
    static func figure2(
        _ version: OSPFVersion, area1: UInt32 = 0, area2: UInt32 = 0, family: AddressFamily? = nil
    ) -> SampleDomain {
        var domain = SampleDomain(version, routers: 1...12, family: family)
        domain.network(1, area: area1, [(1, 3)])
        domain.network(2, area: area1, [(2, 3)])
        domain.network(3, area: area1, [(4, 1), (1, 1), (2, 1), (3, 1)])
        domain.network(4, area: area1, [(3, 2)])
        domain.line(3, 8, 6, 6)
        domain.line(4, 8, 5, 8)
        domain.line(5, 7, 6, 6)
        domain.line(5, 6, 7, 6)
        domain.line(6, 7, 10, 5)
        domain.network(32, [(6, 7)])
        domain.network(31, [(10, 5)])
        domain.network(6, area: area2, [(10, 1), (7, 1), (8, 1)])
        domain.network(7, area: area2, [(8, 4)])
        domain.network(8, area: area2, [(10, 3), (11, 2)])
        domain.network(9, area: area2, [(9, 1), (11, 1), (12, 1)])
        domain.network(10, area: area2, [(12, 2)])
        domain.network(11, area: area2, [(9, 3)])
        domain.network(21, area: area2, [(12, 10)])
        for (network, metric) in [(12, 8), (13, 8), (14, 8)] as [(Int, UInt32)] {
            domain.announce(5, domain.external(network), metric: metric)
        }
        for (network, metric) in [(12, 2), (15, 9)] as [(Int, UInt32)] {
            domain.announce(7, domain.external(network), metric: metric)
        }
        return domain
    }

    @Test(arguments: versions)
    func `RFC 2328 §2.1: RT6 has the routing table of tables 2 and 3`(version: OSPFVersion) {
        var domain = Self.figure2(version)
        let isSettled = domain.settle()
        #expect(isSettled)
        let table: [(Int, UInt32, UInt32)] = [
            (1, 3, 10), (2, 3, 10), (3, 3, 7), (4, 3, 8), (32, 6, 7), (31, 10, 12), (6, 10, 8), (7, 10, 12),
            (8, 10, 10), (9, 10, 11), (10, 10, 13), (11, 10, 14), (21, 10, 21),
        ]
        for (network, next, distance) in table {
            let route = domain.route(6, domain.prefix(network))
            #expect(route?.cost == distance && route?.type == .intraArea, "N\(network)")
            #expect(domain.first(6, domain.prefix(network)) == [next], "N\(network)")
        }
        let externals: [(Int, UInt32, UInt32)] = [(12, 10, 10), (13, 5, 14), (14, 5, 14), (15, 10, 17)]
        for (network, next, distance) in externals {
            let route = domain.route(6, domain.external(network))
            #expect(route?.cost == distance && route?.type == .externalType1, "N\(network)")
            #expect(domain.first(6, domain.external(network)) == [next], "N\(network)")
        }
        #expect(domain.calculations[6]!.boundaryRouters.map { [$0.routerID, $0.cost] } == [[5, 6], [7, 8]])
    }

    @Test func `RFC 5838 §2.5: OSPFv3 for IPv4 finds IPv4 next hops in link-LSAs`() {
        var domain = Self.figure2(.v3, family: .ipv4)
        let isSettled = domain.settle()
        #expect(isSettled)
        for (network, next, distance) in [(1, 3, 10), (6, 10, 8), (21, 10, 21)] as [(Int, UInt32, UInt32)] {
            #expect(domain.route(6, domain.prefix(network))?.cost == distance)
            #expect(domain.first(6, domain.prefix(network)) == [next])
        }
        // On a network with several routers as well as on a line.
        #expect(domain.route(1, domain.prefix(4))?.nextHops == [.via(IPAddress("10.0.3.3")!, InterfaceID(3))])
        #expect(domain.route(6, domain.external(13))?.cost == 14)
    }

    @Test(arguments: versions)
    func `RFC 2328 §3.4: what RT3 and RT4 say of area 1 and into it`(version: OSPFVersion) {
        var domain = Self.figure2(version, area1: 1, area2: 2)
        let isSettled = domain.settle()
        #expect(isSettled)
        // Table 4: networks of area 1, into the backbone.
        for (network, three, four) in [(1, 4, 4), (2, 4, 4), (3, 1, 1), (4, 2, 3)] as [(Int, UInt32, UInt32)] {
            #expect(domain.summary(3, domain.prefix(network), into: 0) == three, "N\(network)")
            #expect(domain.summary(4, domain.prefix(network), into: 0) == four, "N\(network)")
        }
        // Table 5: the backbone's view, into area 1. (Without RT11's virtual link N8 and what is behind it is in area
        // 2.)
        for (network, three, four) in [(6, 16, 15), (7, 20, 19), (8, 18, 18)] as [(Int, UInt32, UInt32)] {
            #expect(domain.summary(3, domain.prefix(network), into: 1) == three, "N\(network)")
            #expect(domain.summary(4, domain.prefix(network), into: 1) == four, "N\(network)")
        }
        #expect(domain.routerSummary(3, 5, into: 1) == 14 && domain.routerSummary(4, 5, into: 1) == 8)
        #expect(domain.routerSummary(3, 7, into: 1) == 20 && domain.routerSummary(4, 7, into: 1) == 14)
        // Nothing of area 1 goes back into it, and nothing that came from the backbone into the backbone.
        #expect(domain.summary(3, domain.prefix(1), into: 1) == nil)
        #expect(domain.summary(3, domain.prefix(6), into: 0) == nil)
        // §16.2: RT1 within the area takes the nearer border router.
        #expect(domain.first(1, domain.prefix(6)) == [4])
        #expect(domain.route(1, domain.prefix(6))?.cost == 16)
        #expect(domain.route(1, domain.prefix(6))?.type == .interArea)
        #expect(domain.route(1, domain.prefix(8))?.cost == 19)
        #expect(domain.first(1, domain.prefix(8)).sorted() == [3, 4])
        // §16.4: and externals by way of the summaries of their originators.
        #expect(domain.route(1, domain.external(13))?.cost == 17)
        #expect(domain.first(1, domain.external(13)) == [4])
        #expect(domain.route(1, domain.external(15))?.cost == 24)
    }

    @Test(arguments: versions)
    func `RFC 2328 §12.4.3: a range is told instead of what is in it, at the largest cost`(version: OSPFVersion) {
        var domain = Self.figure2(version, area1: 1, area2: 2)
        let range = version == .v2 ? IPPrefix("10.0.0.0/21")! : IPPrefix("2001:db8::/62")!
        var area = OSPFAreaConfiguration(areaID: IPv4Address(raw: 1))
        area.ranges = [OSPFAreaRange(prefix: range)]
        domain.configure(3) { $0.areas = [area] }
        var isSettled = domain.settle()
        #expect(isSettled)
        #expect(domain.summary(3, domain.prefix(1), into: 0) == nil)
        #expect(domain.summary(3, range, into: 0) == 4)
        // RFC 1583 took the smallest.
        domain.configure(3) { $0.rfc1583Compatibility = true }
        isSettled = domain.settle()
        #expect(domain.summary(3, range, into: 0) == 1)
        domain.configure(3) { $0.areas[0].ranges[0].cost = 99 }
        isSettled = domain.settle()
        #expect(domain.summary(3, range, into: 0) == 99)
        domain.configure(3) { $0.areas[0].ranges[0].isAdvertised = false }
        isSettled = domain.settle()
        #expect(domain.summary(3, range, into: 0) == nil && domain.summary(3, domain.prefix(1), into: 0) == nil)
        #expect(isSettled)
    }

    @Test(arguments: versions)
    func `RFC 2328 §3.6: a stub area has a default and no externals; a totally stubby one nothing else`(
        version: OSPFVersion
    ) {
        for kind in [OSPFAreaKind.stub, .totallyStubby] {
            var domain = Self.figure2(version, area1: 1, area2: 2)
            var area = OSPFAreaConfiguration(areaID: IPv4Address(raw: 1), kind: kind)
            area.defaultCost = 5
            domain.configureAll(area)
            let isSettled = domain.settle()
            #expect(isSettled)
            let all = version == .v2 ? IPPrefix("0.0.0.0/0")! : IPPrefix("::/0")!
            #expect(domain.summary(3, all, into: 1) == 5 && domain.summary(3, all, into: 0) == nil)
            #expect(domain.route(1, all)?.cost == 6 && domain.route(1, all)?.type == .interArea)
            #expect(domain.first(1, all) == [3, 4])
            #expect(domain.route(1, domain.external(13)) == nil)
            #expect(domain.routerSummary(3, 5, into: 1) == nil)
            #expect((domain.route(1, domain.prefix(6)) != nil) == (kind == .stub))
            // The border router itself does not believe in its fellow's default.
            #expect(domain.route(3, all) == nil)
        }
    }

    @Test(arguments: versions)
    func `RFC 3101 §3: an NSSA's externals come out translated by the border router with the highest Router ID`(
        version: OSPFVersion
    ) {
        var domain = Self.figure2(version, area1: 1, area2: 2)
        domain.configureAll(OSPFAreaConfiguration(areaID: IPv4Address(raw: 1), kind: .nssa))
        for border in [3, 4] as [UInt32] {
            domain.configure(border) {
                $0.areas[0].nssaDefaultOriginate = OSPFDefaultOriginate(
                    always: true, metric: 7, isExternalMetric: true)
            }
        }
        domain.announce(1, domain.external(40), metric: 3, isType2: true, tag: 77)
        let isSettled = domain.settle()
        #expect(isSettled)
        // §2.4: a P-bit and a forwarding address of the originator.
        let seven = domain.externals(1, in: .area(1)).first { $0.body.prefix == domain.external(40) }
        #expect(seven?.body.forwardingAddress != nil && seven?.body.tag == 77)
        if version == .v2 {
            #expect(seven?.options == 8)
        } else {
            #expect(seven?.body.prefixOptions == [.propagate])
        }
        // §3.1: RT4 translates, RT3 does not.
        let four = domain.externals(4, in: .autonomousSystem)
        #expect(four.map(\.body.prefix) == [domain.external(40)])
        #expect(four.first?.body.forwardingAddress == seven?.body.forwardingAddress)
        #expect(four.first?.body.isType2 == true && four.first?.body.metric == 3 && four.first?.body.tag == 77)
        #expect(domain.externals(3, in: .autonomousSystem).isEmpty)
        // The rest of the AS finds it by the forwarding address, and RT2 in the area by type 7.
        #expect(domain.route(6, domain.external(40))?.type == .externalType2)
        #expect(domain.route(6, domain.external(40))?.isNSSA == false)
        #expect(domain.first(6, domain.external(40)) == [3])
        #expect(domain.route(2, domain.external(40))?.isNSSA == true)
        #expect(domain.first(2, domain.external(40)) == [1])
        // §2.3: the default for the inside, from both border routers, which do not use each other's.
        let all = version == .v2 ? IPPrefix("0.0.0.0/0")! : IPPrefix("::/0")!
        #expect(domain.route(1, all)?.type == .externalType2 && domain.route(1, all)?.type2Cost == 7)
        #expect(domain.first(1, all) == [3, 4])
        #expect(domain.route(3, all) == nil)
        // The AS's externals stay out.
        #expect(domain.route(1, domain.external(13)) == nil)
        // §3.1: Nt takes the work from the election.
        domain.configure(3) { $0.areas[0].nssaTranslator = .always }
        let isSettledAgain = domain.settle()
        #expect(isSettledAgain)
        #expect(domain.externals(3, in: .autonomousSystem).count == 1)
        #expect(domain.externals(4, in: .autonomousSystem).isEmpty)
    }

    @Test(arguments: versions)
    func `RFC 3101 §3.2: type 7 within a range is told as the range`(version: OSPFVersion) {
        var domain = Self.figure2(version, area1: 1, area2: 2)
        var area = OSPFAreaConfiguration(areaID: IPv4Address(raw: 1), kind: .nssaNoSummary)
        let range = version == .v2 ? IPPrefix("172.16.0.0/16")! : IPPrefix("2001:db8:ff::/48")!
        area.nssaRanges = [OSPFAreaRange(prefix: range)]
        domain.configureAll(area)
        domain.announce(1, domain.external(40), metric: 3, isType2: true)
        domain.announce(2, domain.external(41), metric: 9, isType2: true)
        let isSettled = domain.settle()
        #expect(isSettled)
        let four = domain.externals(4, in: .autonomousSystem)
        #expect(four.map(\.body.prefix) == [range])
        #expect(four.first?.body.metric == 10 && four.first?.body.isType2 == true)
        #expect(four.first?.body.forwardingAddress == nil)
        // §2.7: without summaries the default is a summary.
        let all = version == .v2 ? IPPrefix("0.0.0.0/0")! : IPPrefix("::/0")!
        #expect(domain.route(1, all)?.type == .interArea)
        #expect(domain.route(1, domain.prefix(6)) == nil)
    }

    @Test(arguments: versions)
    func `RFC 6987: transit goes around a stub router while its own networks are reached`(version: OSPFVersion) {
        var domain = Self.figure2(version)
        domain.locals[10]!.isStubRouter = true
        let isSettled = domain.settle()
        #expect(isSettled)
        // RT6 to N6 now by RT5 and RT7.
        #expect(domain.first(6, domain.prefix(6)) == [5])
        #expect(domain.route(6, domain.prefix(6))?.cost == 13)
        // Ia is a stub of RT10: still there, at its own cost.
        #expect(domain.route(6, domain.prefix(31))?.cost == 12)
    }

    @Test(arguments: versions)
    func `RFC 2328 §12.4.4.1: a next hop on a network with several routers is the forwarding address`(
        version: OSPFVersion
    ) {
        var domain = Self.figure2(version)
        let gateway = domain.host(3, 99)
        domain.redistributed[1, default: RedistributionTable()].apply([
            RedistributionUpdate(
                domain.external(50),
                RedistributedRoute(source: .bgp, metric: 5, isExternalMetric: false, nextHop: gateway))
        ])
        let isSettled = domain.settle()
        #expect(isSettled)
        #expect(domain.externals(1, in: .autonomousSystem).first?.body.forwardingAddress == gateway)
        // RT2 is on that network: packets go there at once, not by RT1.
        #expect(domain.route(2, domain.external(50))?.nextHops == [.via(gateway, InterfaceID(3))])
        #expect(domain.route(2, domain.external(50))?.cost == 6)
    }

    @Test func `RFC 2328 Appendix E: prefixes with one address get Link State IDs of their own`() {
        let prefixes = ["10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/24", "10.0.0.0/32", "10.0.255.255/32", "10.1.0.0/16"]
            .map { IPPrefix($0)! }
        let ids = LinkStateIDs.ospfv2(prefixes).map { $0.map { "\(IPv4Address(raw: $0))" } }
        #expect(ids == ["10.0.0.0", nil, "10.0.0.255", nil, "10.0.255.255", "10.1.0.0"])
    }

    @Test func `RFC 5340 §4.4.3.4: a prefix keeps its number as long as it is announced`() {
        var database = LSDB()
        let prefixes = (0..<4).map { IPPrefix("2001:db8:\($0)::/48")! }
        for (id, prefix) in [(5, 2), (1, 3)] as [(UInt32, Int)] {
            let body = InterAreaPrefixLSABody(metric: 1, prefix: prefixes[prefix]).encoded(version: .v3)
            let key = LSAKey(type: .interAreaPrefix, linkStateID: id, advertisingRouter: 1)
            database.install(
                LSA(version: .v3, key: key, body: body), in: .area(0), isOwn: true, at: .zero, due: .distantFuture)
        }
        let ids = LinkStateIDs.ospfv3(prefixes, type: .interAreaPrefix, in: .area(0), family: .ipv6, database)
        #expect(ids == [2, 3, 5, 1])
    }

    @Test func `redistributed routes are the same whether they come one by one or many at once`() throws {
        let prefixes = (0..<40).map { IPPrefix("10.\($0).0.0/16")! }
        let route = RedistributedRoute(source: .bgp, metric: 7, tag: 3, nextHop: IPAddress("192.0.2.1"))
        var one = RedistributionTable(), many = RedistributionTable()
        let updates =
            prefixes.shuffled().map { RedistributionUpdate($0, route) }
            + prefixes.prefix(10).map { RedistributionUpdate($0, nil) }
        for update in updates { one.apply([update]) }
        many.apply(updates)
        #expect(one == many && one.entries.count == 30)
        #expect(one.entries.map(\.prefix) == Array(prefixes.dropFirst(10)))
        #expect(one[prefixes[20]] == route && one[prefixes[0]] == nil)
        let isNews = many.apply(updates.suffix(10))
        #expect(!isNews)
    }
}
