import Records
import Wire

extension PacketProtocol {
    /// RFC 2453 §3.6
    public static var rip: PacketProtocol { .udp(.ipv4, port: 520) }
    /// RFC 2080 §2
    public static var ripng: PacketProtocol { .udp(.ipv6, port: 521) }
}
