import Machine
import Records
import Routing
import Testing
import Wire
@testable import ISIS

@Suite struct RouteTests {
    @Test func `two routers on a LAN reach what lies behind each other`() {
        let network = VirtualNetwork()
        let a = network.add(1, levels: .level1And2), b = network.add(2, levels: .level1And2)
        network.join([a, b])
        network.join([a])
        network.join([b])
        network.start()
        network.run(.seconds(60))
        let offer = network.routers[a].routes[IPPrefix("10.0.3.0/24")!]
        #expect(offer?.metric == 20)
        #expect(offer?.nextHops == [.via(network.routers[b].interfaces[0].addresses[0].address, InterfaceID(0))])
        let six = network.routers[b].routes[
            IPPrefix("2001:db8:0:2::/64") ?? .v6(IPv6Prefix(IPv6Address(high: 0x2001_0db8_0000_0002, low: 0), 64))]
        #expect(six?.nextHops == [.via(.v6(IPv6Address(linkLocalOf: network.station(a))), InterfaceID(0))])
        // The link goes: so do the routes.
        network.wires[0].isCut = true
        network.run(.seconds(60))
        #expect(network.routers[a].routes.isEmpty)
    }
}
