import Records
import Wire

@testable import LineCard

/// What routing protocols subscribe to, as their RFCs have it: the line card itself knows none of them.
extension PacketProtocol {
    static let ospfv2 = PacketProtocol.ip(.ipv4, number: 89), ospfv3 = PacketProtocol.ip(.ipv6, number: 89)
    static let isis = PacketProtocol.llc(0xfefe03)
    static let rip = PacketProtocol.udp(.ipv4, port: 520), ripng = PacketProtocol.udp(.ipv6, port: 521)
    static let all = [ospfv2, ospfv3, isis, rip, ripng]

    var groups: [PacketAddress] {
        switch self {
        case .ospfv2: [.ip(.v4(.allSPFRouters)), .ip(.v4(.allDRouters))]
        case .ospfv3: [.ip(.v6(.allSPFRouters)), .ip(.v6(.allDRouters))]
        case .isis: LLC.groups.map { .station($0) }
        case .rip: [.ip(.v4(.allRIPRouters)), .ip(.v4(.broadcast))]
        case .ripng: [.ip(.v6(.allRIPngRouters))]
        default: []
        }
    }
}

extension PacketSubscription {
    init(interface: InterfaceID, packetProtocol: PacketProtocol) {
        self.init(interface: interface, packetProtocol: packetProtocol, groups: packetProtocol.groups)
    }
}

extension LLC {
    /// ISO 10589 Table 9.
    static let groups = [
        MACAddress(raw: 0x0180_c200_0014), MACAddress(raw: 0x0180_c200_0015), MACAddress(raw: 0x0900_2b00_0005),
        MACAddress(raw: 0x0900_2b00_0004),
    ]
}

extension IPv4Address {
    static let allSPFRouters = IPv4Address(224, 0, 0, 5), allDRouters = IPv4Address(224, 0, 0, 6)
    static let allRIPRouters = IPv4Address(224, 0, 0, 9)
}

extension IPv6Address {
    static let allSPFRouters = IPv6Address(high: 0xff02_0000_0000_0000, low: 5)
    static let allDRouters = IPv6Address(high: 0xff02_0000_0000_0000, low: 6)
    static let allRIPngRouters = IPv6Address(high: 0xff02_0000_0000_0000, low: 9)
}
