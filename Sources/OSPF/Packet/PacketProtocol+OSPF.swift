import Records
import Wire

extension PacketProtocol {
    /// IPv4 protocol 89 (RFC 2328 §A.1).
    public static var ospfv2: PacketProtocol { .ip(.ipv4, number: 89) }
    /// IPv6 next header 89 (RFC 5340 §A.1).
    public static var ospfv3: PacketProtocol { .ip(.ipv6, number: 89) }
}
