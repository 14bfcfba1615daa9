import Machine
import Wire

/// What the headers of a packet that is not TCP say it belongs to. It is all that the line card looks at and all that a
/// record names; who speaks which protocol is for its own target to say (`PacketProtocol.ospfv2` is OSPF's).
public enum PacketProtocol: RawRepresentable, Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// IPv4 protocol or IPv6 next header.
    case ip(AddressFamily, number: UInt8)
    /// A UDP port of ours.
    case udp(AddressFamily, port: UInt16)
    /// DSAP, SSAP and control of IEEE 802.2, one octet each, in an IEEE 802.3 frame.
    case llc(UInt32)

    /// The kind in the highest octet and what it says below.
    public var rawValue: UInt32 {
        switch self {
        case .ip(.ipv4, let number): 1 << 24 | UInt32(number)
        case .ip(.ipv6, let number): 2 << 24 | UInt32(number)
        case .udp(.ipv4, let port): 3 << 24 | UInt32(port)
        case .udp(.ipv6, let port): 4 << 24 | UInt32(port)
        case .llc(let header): 5 << 24 | header & 0xff_ffff
        }
    }
    public init?(rawValue: UInt32) {
        let value = rawValue & 0xff_ffff
        let family: AddressFamily = rawValue >> 24 & 1 == 1 ? .ipv4 : .ipv6
        switch rawValue >> 24 {
        case 1, 2:
            guard value <= 0xff else { return nil }
            self = .ip(family, number: UInt8(value))
        case 3, 4:
            guard value <= 0xffff else { return nil }
            self = .udp(family, port: UInt16(value))
        case 5: self = .llc(value)
        default: return nil
        }
    }

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }

    public var description: String {
        func name(_ family: AddressFamily) -> String { family == .ipv4 ? "IPv4" : "IPv6" }
        return switch self {
        case .ip(let family, let number): "\(name(family)) protocol \(number)"
        case .udp(let family, let port): "UDP port \(port) over \(name(family))"
        case .llc(let header): "LLC \(String(header, radix: 16))"
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
    /// What follows the IP, UDP or LLC header; at most `RecordLimits.packetOctets`. LLC without the padding of the
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
        seededHash(bytes.span.bytes, seed: UInt64(interface.value) << 32 | UInt64(packetProtocol.rawValue))
    }
}

/// A packet that the engine wants sent. Headers, the UDP checksum and fragments (IP) are the line card's business.
public struct OutgoingPacket: Hashable, Sendable {
    public var interface: InterfaceID
    public var packetProtocol: PacketProtocol
    /// One of our addresses on the interface; the virtual MAC for LLC.
    public var source: PacketAddress
    /// A group or a neighbour; a unicast IP address is resolved by ARP or ND on this interface.
    public var destination: PacketAddress
    /// IPv4 TTL or IPv6 hop limit; ignored for LLC.
    public var hopLimit: UInt8
    /// UDP destination port; 0 means the port of the protocol.
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

/// Packets that are wanted from an interface: the line card takes those to our addresses and to these groups there.
public struct PacketSubscription: Hashable, Comparable, Sendable {
    public var interface: InterfaceID
    public var packetProtocol: PacketProtocol
    /// Of its family, or stations for LLC. 255.255.255.255 stands for every broadcast address of the interface.
    public var groups: [PacketAddress]

    public init(interface: InterfaceID, packetProtocol: PacketProtocol, groups: [PacketAddress]) {
        self.interface = interface
        self.packetProtocol = packetProtocol
        self.groups = groups
    }
    /// By interface, then by protocol.
    public static func < (a: Self, b: Self) -> Bool {
        (a.interface.value, a.packetProtocol.rawValue) < (b.interface.value, b.packetProtocol.rawValue)
    }
}

/// Bounds of what a record may hold.
public enum RecordLimits {
    /// Octets of a packet: the largest interface MTU there is.
    public static let packetOctets = 9216
}
