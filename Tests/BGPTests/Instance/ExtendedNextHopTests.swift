import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// IPv4 routes with IPv6 next hops (RFC 8950) on sessions.
@Suite struct ExtendedNextHopTests {
    private static let linkLocal: [UInt8] = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [2]

    private static func driver(isAgreed: Bool = true) -> Driver {
        var driver = Driver { $0.neighbors[0].families[0].extendedNextHop = true }
        driver.accept()
        driver.receive(driver.open { if isAgreed { $0.capabilities.ipv6NextHops = .ipv4Unicast } })
        driver.receive(Driver.keepalive)
        driver.effects = []
        return driver
    }
    private static func reach(_ nextHop: [UInt8], _ nlri: [UInt8] = Build.nlri) -> [UInt8] {
        let value: [UInt8] = [0, 1, 1, UInt8(nextHop.count)] + nextHop + [0] + nlri
        return Build.message(
            2, Build.update(attributes: Build.attribute(0x80, 14, value) + Build.origin + Build.path4(65001)))
    }

    @Test func `§3: sixteen or thirty-two octets are an IPv6 next hop of IPv4 prefixes`() throws {
        var driver = Self.driver()
        #expect(driver.detail.summary.families.map(\.extendedNextHop) == [true, false])
        driver.receive(Self.reach(Build.nextHop6))
        driver.receive(Self.reach(Build.nextHop6 + Self.linkLocal, [16, 198, 51]))
        driver.receive(Self.reach([10, 0, 0, 2], [8, 20]))
        driver.wait(.seconds(1))
        #expect(driver.state == .established && driver.prefixes == [3, 0])
        func path(_ prefix: String) throws -> AttributesView {
            try #require(driver.instance.rib.route(IPPrefix(prefix)!)?.paths.first?.received)
        }
        #expect(try path("192.0.2.0/24").nextHop == IPAddress("2001:db8::2"))
        #expect(try path("198.51.0.0/16").nextHop == IPAddress("2001:db8::2"))
        #expect(try path("198.51.0.0/16").linkLocal == IPv6Address("fe80::2"))
        #expect(try path("20.0.0.0/8").nextHop == IPAddress("10.0.0.2"))
        // RFC 4760 §4: they are withdrawn by either field.
        let unreach = Build.attribute(0x80, 15, [0, 1, 1] + Build.nlri)
        driver.receive(Build.message(2, Build.update(attributes: unreach)))
        driver.receive(Build.message(2, Build.update(withdrawn: [16, 198, 51])))
        driver.wait(.seconds(1))
        #expect(driver.prefixes == [1, 0])
    }

    @Test func `a length that nobody agreed on disables the family`() {
        for (isAgreed, count) in [(false, 16), (false, 32), (true, 0), (true, 5), (true, 24), (true, 48)] {
            var driver = Self.driver(isAgreed: isAgreed)
            let nextHop = Array((Build.nextHop6 + Self.linkLocal + Build.nextHop6).prefix(count))
            driver.receive(Self.reach(nextHop))
            #expect(driver.state == .established)
            #expect(driver.detail.summary.families.map(\.isDisabled) == [true, false], "\(count) octets")
        }
        // RFC 8950 is for families of IPv4 alone, whatever a neighbour says.
        var driver = Self.driver()
        driver.receive(
            Build.message(
                2,
                Build.update(attributes: Build.reach6(Build.nlri6, nextHop: [10, 0, 0, 2]) + Build.origin + Build.path4(65001))))
        #expect(driver.detail.summary.families.map(\.isDisabled) == [false, true])
    }

    @Test func `a next hop that is no host makes withdrawals`() {
        var driver = Self.driver()
        driver.receive(Self.reach(Build.nextHop6))
        #expect(driver.prefixes == [1, 0])
        driver.receive(Self.reach([0xff, 2] + [UInt8](repeating: 0, count: 14)))
        #expect(driver.state == .established && driver.prefixes == [0, 0])
    }

    /// A ─ B ═ C over IPv6, all with IPv4 routes alone; B and C are of one AS.
    private static func wire(_ isAgreed: Bool) -> VirtualWire {
        func own(_ extended: Bool) -> (inout NeighborConfiguration) -> Void {
            { neighbor in
                neighbor.families = [FamilyConfiguration(.ipv4Unicast)]
                neighbor.families[0].extendedNextHop = extended
            }
        }
        let nodes = [
            Configurations.node(65001, "10.0.0.1", neighbors: [("2001:db8::2", 65002)], networks: ["192.0.2.0/24"], own(true)),
            Configurations.node(65002, "10.0.0.2", neighbors: [("2001:db8::1", 65001), ("2001:db8::3", 65002)], own(true)),
            Configurations.node(65002, "10.0.0.3", neighbors: [("2001:db8::2", 65002)], own(isAgreed)),
        ]
        var wire = VirtualWire(nodes, addresses: (1...3).map { "2001:db8::\($0)" })
        wire.snapshotsEvery = 2
        wire.start(nodes)
        wire.run(.seconds(30))
        return wire
    }

    @Test func `§5: over IPv6 a router names itself by its IPv6 address, and a next hop that stays is as it was`() throws {
        let wire = Self.wire(true)
        let prefix = IPPrefix("192.0.2.0/24")!
        for node in 1...2 {
            let path = try #require(wire.nodes[node].rib.route(prefix)?.paths.first)
            #expect(path.isBest && path.received.nextHop == IPAddress("2001:db8::1"), "node \(node)")
            #expect(path.received.linkLocal == (node == 1 ? IPv6Address("fe80::1") : nil))
        }
    }

    @Test func `§5: who did not say that it can gets no such route`() {
        let wire = Self.wire(false)
        #expect(wire.state(2) == .established)
        #expect(wire.nodes[1].rib.route(IPPrefix("192.0.2.0/24")!)?.paths.first?.isBest == true)
        #expect(wire.nodes[2].rib.route(IPPrefix("192.0.2.0/24")!) == nil)
    }
}
