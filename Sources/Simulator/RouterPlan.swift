import BGP
import Engine
import Records
import Wire

/// The configuration of the simulated router: one interface, one external neighbour per station, everything accepted.
enum RouterPlan {
    static let routerAS: UInt32 = 65000

    static func configuration(peerCount: Int) -> RouterConfiguration {
        var bgp = BGPConfiguration(routerAS: ASNumber(routerAS), routerID: RouterID(raw: Simulation.routerAddress.raw))
        bgp.policies = [PolicyConfiguration(name: "all", statements: [], otherwise: .accept)]
        for number in 0..<peerCount {
            let address = IPv4Address(raw: Simulation.routerAddress.raw + 10 + UInt32(number))
            var neighbor = NeighborConfiguration(address: .v4(address), remoteAS: ASNumber(65001 + UInt32(number)))
            neighbor.importPolicies = ["all"]
            neighbor.exportPolicies = ["all"]
            bgp.neighbors.append(neighbor)
        }
        let interface = InterfaceConfiguration(
            name: "lan", virtualMAC: Simulation.routerMAC,
            addresses: [.init(address: .v4(Simulation.routerAddress), prefixLength: 24)])
        return RouterConfiguration(hostname: "simulated", interfaces: [interface], bgp: bgp)
    }

    static func encoded(peerCount: Int) -> [UInt8] {
        // The plan is ours and small: it can be encoded.
        guard let bytes = try? configuration(peerCount: peerCount).encoded() else {
            preconditionFailure("the simulated router's configuration can be encoded")
        }
        return bytes
    }
}
