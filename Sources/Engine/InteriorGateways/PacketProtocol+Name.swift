import ISIS
import OSPF
import RIP
import Records

extension PacketProtocol {
    /// As operators know it.
    public var name: String {
        switch self {
        case .ospfv2: "OSPFv2"
        case .ospfv3: "OSPFv3"
        case .isis: "IS-IS"
        case .rip: "RIP"
        case .ripng: "RIPng"
        default: description
        }
    }
}
