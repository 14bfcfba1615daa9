import Machine
import Wire

/// Protocols whose packets the line card hands to the engine whole, as records, and sends for it.
public enum PacketProtocol: UInt8, Hashable, Sendable, Codable, CaseIterable, CustomStringConvertible {
    /// IPv4 protocol 89 (RFC 2328).
    case ospfv2 = 1
    /// IPv6 next header 89 (RFC 5340).
    case ospfv3 = 2
    /// LLC FE-FE-03 in an IEEE 802.3 frame (ISO 10589, RFC 1195).
    case isis = 3
    /// UDP port 520 over IPv4 (RFC 2453).
    case rip = 4
    /// UDP port 521 over IPv6 (RFC 2080).
    case ripng = 5

    public var description: String {
        switch self {
        case .ospfv2: "OSPFv2"
        case .ospfv3: "OSPFv3"
        case .isis: "IS-IS"
        case .rip: "RIP"
        case .ripng: "RIPng"
        }
    }
}

/// Where a packet comes from or goes to: an IP address, or a station for what runs beside IP.
public enum PacketAddress: Hashable, Sendable, CustomStringConvertible {
    case ip(IPAddress)
    case station(MACAddress)

    public var ip: IPAddress? {
        if case .ip(let address) = self { return address }
        return nil
    }
    public var station: MACAddress? {
        if case .station(let address) = self { return address }
        return nil
    }
    public var description: String {
        switch self {
        case .ip(let address): "\(address)"
        case .station(let address): "\(address)"
        }
    }
}

/// A packet of a routing protocol as it came from the wire. The line card has checked frame, IP header and UDP
/// checksum and that the protocol is wanted on the interface; nothing of the octets.
public struct ReceivedPacket: Hashable, Sendable {
    /// The interface that captured it.
    public var interface: InterfaceID
    public var packetProtocol: PacketProtocol
    public var source: PacketAddress
    public var destination: PacketAddress
    /// UDP source port; 0 for what has none.
    public var sourcePort: UInt16
    /// IPv4 TTL or IPv6 hop limit; 255 for what has none.
    public var hopLimit: UInt8
    /// What follows the IP, UDP or LLC header; at most `RecordLimits.packetOctets`. IS-IS without the padding of the
    /// Ethernet frame.
    public var bytes: [UInt8]

    public init(
        interface: InterfaceID, packetProtocol: PacketProtocol, source: PacketAddress, destination: PacketAddress,
        sourcePort: UInt16 = 0, hopLimit: UInt8 = 1, bytes: [UInt8]
    ) {
        self.interface = interface
        self.packetProtocol = packetProtocol
        self.source = source
        self.destination = destination
        self.sourcePort = sourcePort
        self.hopLimit = hopLimit
        self.bytes = bytes
    }

    /// Names the packet by all of its octets.
    public var fingerprint: UInt64 {
        seededHash(bytes.span.bytes, seed: UInt64(interface.value) << 8 | UInt64(packetProtocol.rawValue))
    }
}

/// A packet that the engine wants sent. Headers, the UDP checksum and fragments (IP) are the line card's business.
public struct OutgoingPacket: Hashable, Sendable {
    public var interface: InterfaceID
    public var packetProtocol: PacketProtocol
    /// One of our addresses on the interface; the virtual MAC for IS-IS.
    public var source: PacketAddress
    /// A group or a neighbour; a unicast IP address is resolved by ARP or ND on this interface.
    public var destination: PacketAddress
    /// IPv4 TTL or IPv6 hop limit; ignored for IS-IS.
    public var hopLimit: UInt8
    /// UDP destination port; 0 means the port of the protocol. (RIP answers the port that asked: RFC 2453 §3.9.1.)
    public var destinationPort: UInt16
    public var bytes: [UInt8]

    public init(
        interface: InterfaceID, packetProtocol: PacketProtocol, source: PacketAddress, destination: PacketAddress,
        hopLimit: UInt8 = 1, destinationPort: UInt16 = 0, bytes: [UInt8]
    ) {
        self.interface = interface
        self.packetProtocol = packetProtocol
        self.source = source
        self.destination = destination
        self.hopLimit = hopLimit
        self.destinationPort = destinationPort
        self.bytes = bytes
    }
}

/// A protocol that is wanted on an interface: the line card takes its packets to our addresses and to its groups there.
public struct PacketSubscription: Hashable, Comparable, Sendable {
    public var interface: InterfaceID
    public var packetProtocol: PacketProtocol

    public init(interface: InterfaceID, packetProtocol: PacketProtocol) {
        self.interface = interface
        self.packetProtocol = packetProtocol
    }
    public static func < (a: Self, b: Self) -> Bool {
        (a.interface.value, a.packetProtocol.rawValue) < (b.interface.value, b.packetProtocol.rawValue)
    }
}

/// Bounds of what a record may hold.
public enum RecordLimits {
    /// Octets of a packet: the largest interface MTU there is.
    public static let packetOctets = 9216
}
