import BGP
import Engine
import Policy
import RIP
import Records
import Routing
import Wire

/// The configuration of the simulated router: an interface for each LAN, one external neighbour per station, everything
/// accepted; with routed stations OSPF, IS-IS and RIP besides; with BFD, every neighbour is watched, and a static route hangs
/// on the first one.
enum RouterPlan {
    static let routerAS: UInt32 = 65000

    /// - Parameter isTrunk: the stations are on one of two VLANs of the device.
    static func configuration(_ around: Neighborhood, revision: UInt64 = 1, isTrunk: Bool = false) -> RouterConfiguration {
        var bgp = BGPConfiguration(routerAS: ASNumber(routerAS), routerID: RouterID(raw: Simulation.routerAddress.raw))
        for number in 0..<around.peerCount {
            var neighbor = NeighborConfiguration(
                address: .v4(around.address(ofPeer: number)), remoteAS: ASNumber(65001 + UInt32(number)))
            if around.bfd != nil { neighbor.bfd = "" }
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
        let hasIPv6 = around.speaks(.ospfv3) || around.speaks(.ripng)
        if around.lanCount == 2 {
            interfaces.append(
                InterfaceConfiguration(
                    name: "lan2", virtualMAC: Simulation.routerMAC,
                    addresses: [.init(address: .v4(Neighborhood.routerAddress(lan: 1)), prefixLength: 24)]))
        }
        if hasIPv6 {
            for lan in 0..<around.lanCount {
                interfaces[lan].addresses.append(
                    .init(address: .v6(Neighborhood.routerIPv6Address(lan: lan)), prefixLength: 64))
            }
        }
        // Something that differs from one revision to the next and that no peer hears of.
        bgp.testing.trapOnPrefix = .v4(IPv4Prefix(packed: RandomWeather.poison))
        bgp.testing.notesTrap = true
        var routes = [
            StaticRouteConfiguration(
                prefix: .v4(IPv4Prefix(IPv4Address(raw: 0xc000_0200 + UInt32(truncatingIfNeeded: revision & 127)), 32)),
                destination: .blackhole)
        ]
        if around.bfd != nil {
            routes.append(
                StaticRouteConfiguration(
                    prefix: watchedRoute, destination: .nextHop(.v4(around.address(ofPeer: 0))), bfd: ""))
        }
        var result = RouterConfiguration(
            hostname: "simulated", interfaces: interfaces, staticRoutes: routes, bgp: bgp)
        result.definitions = PolicyDefinitions(policies: [PolicyConfiguration(name: "all", statements: [], otherwise: .accept)])
        result.bfd = around.bfd?.configuration
        if around.routedCount > 0 {
            result.ospf = GatewayPlan.ospf(
                routerID: Simulation.routerAddress, interfaces: result.interfaces, priority: 10)
            result.isis = GatewayPlan.isis(system: 0x0000_0000_0001, interfaces: result.interfaces, priority: 64)
            result.rip = GatewayPlan.rip(.v2, interfaces: result.interfaces)
            // Split horizon leaves nothing else to tell where there is only one network.
            result.rip?.defaultOriginate = RIPDefaultOriginate(always: true)
            if around.speaks(.ospfv3) {
                result.ospfv3 = GatewayPlan.ospf(
                    .v3, routerID: Simulation.routerAddress, interfaces: result.interfaces, priority: 10)
            }
            if around.speaks(.ripng) {
                result.ripng = GatewayPlan.rip(.ng, interfaces: result.interfaces)
                result.ripng?.defaultOriginate = RIPDefaultOriginate(always: true)
            }
            if around.bfd != nil { watch(&result) }
        }
        return result
    }

    /// In force only while BFD says that the first peer is there.
    static let watchedRoute = IPPrefix.v4(IPv4Prefix(IPv4Address(198, 51, 100, 0), 24))

    /// Interior neighbours are watched, too, and hear of the route that hangs on BFD.
    private static func watch(_ result: inout RouterConfiguration) {
        GatewayPlan.watch(&result)
        let rules = PolicyConfiguration(
            name: "", statements: [PolicyStatement(conditions: [.prefixes([PrefixRange(watchedRoute)])], result: .accept)])
        result.redistribution = [RouteProtocol.ospf, .isis, .rip].map {
            RedistributionConfiguration(from: .static, into: $0, policy: PolicyUse(rules: rules))
        }
    }

    static func encoded(peerCount: Int) -> [UInt8] {
        encoded(Neighborhood(SimulationOptions(), peerCount: peerCount, seed: 0))
    }

    static func encoded(_ around: Neighborhood, revision: UInt64 = 1, isTrunk: Bool = false) -> [UInt8] {
        // The plan is ours and small: it can be encoded.
        guard let bytes = try? configuration(around, revision: revision, isTrunk: isTrunk).encoded() else {
            preconditionFailure("the simulated router's configuration can be encoded")
        }
        return bytes
    }
}
