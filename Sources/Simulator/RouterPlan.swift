import BGP
import Engine
import RIP
import Records
import Wire

/// The configuration of the simulated router: one interface, one external neighbour per station, everything accepted;
/// with routed stations OSPF, IS-IS and RIP besides.
enum RouterPlan {
    static let routerAS: UInt32 = 65000

    /// - Parameter isTrunk: the stations are on one of two VLANs of the device.
    static func configuration(
        peerCount: Int, revision: UInt64 = 1, hasGateways: Bool = false, isTrunk: Bool = false
    ) -> RouterConfiguration {
        var bgp = BGPConfiguration(routerAS: ASNumber(routerAS), routerID: RouterID(raw: Simulation.routerAddress.raw))
        bgp.policies = [PolicyConfiguration(name: "all", statements: [], otherwise: .accept)]
        for number in 0..<peerCount {
            let address = IPv4Address(raw: Simulation.routerAddress.raw + 10 + UInt32(number))
            var neighbor = NeighborConfiguration(address: .v4(address), remoteAS: ASNumber(65001 + UInt32(number)))
            neighbor.importPolicies = ["all"]
            neighbor.exportPolicies = ["all"]
            bgp.neighbors.append(neighbor)
        }
        var interface = InterfaceConfiguration(
            name: "lan", virtualMAC: Simulation.routerMAC,
            addresses: [.init(address: .v4(Simulation.routerAddress), prefixLength: 24)])
        var interfaces = [interface]
        if isTrunk {
            interface.vlan = Trunk.stations
            // Nobody but the two controllers is there.
            var spare = InterfaceConfiguration(
                name: "spare", virtualMAC: Simulation.routerMAC,
                addresses: [.init(address: .v4(IPv4Address(198, 18, 1, 1)), prefixLength: 24)])
            spare.vlan = Trunk.spare
            interfaces = [interface, spare]
        }
        // Something that differs from one revision to the next and that no peer hears of.
        bgp.testing.trapOnPrefix = .v4(IPv4Prefix(packed: RandomWeather.poison))
        bgp.testing.notesTrap = true
        let routes = [
            StaticRouteConfiguration(
                prefix: .v4(IPv4Prefix(IPv4Address(raw: 0xc000_0200 + UInt32(truncatingIfNeeded: revision & 127)), 32)),
                destination: .blackhole)
        ]
        var result = RouterConfiguration(
            hostname: "simulated", interfaces: interfaces, staticRoutes: routes, bgp: bgp)
        if hasGateways {
            result.ospf = GatewayPlan.ospf(
                routerID: Simulation.routerAddress, interfaces: result.interfaces, priority: 10)
            result.isis = GatewayPlan.isis(system: 0x0000_0000_0001, interfaces: result.interfaces, priority: 64)
            result.rip = GatewayPlan.rip(interfaces: result.interfaces)
            // Split horizon leaves nothing else to tell on the only network that there is.
            result.rip?.defaultOriginate = RIPDefaultOriginate(always: true)
        }
        return result
    }

    static func encoded(
        peerCount: Int, revision: UInt64 = 1, hasGateways: Bool = false, isTrunk: Bool = false
    ) -> [UInt8] {
        // The plan is ours and small: it can be encoded.
        guard let bytes = try? configuration(
            peerCount: peerCount, revision: revision, hasGateways: hasGateways, isTrunk: isTrunk
        ).encoded() else {
            preconditionFailure("the simulated router's configuration can be encoded")
        }
        return bytes
    }
}
