import Wire

/// RFC 2328 A.3.1
public enum OSPFPacketType: UInt8, Hashable, Sendable, BitwiseCopyable, CaseIterable,
    CustomStringConvertible
{
    case hello = 1
    case databaseDescription = 2
    case linkStateRequest = 3
    case linkStateUpdate = 4
    case linkStateAcknowledgment = 5

    public var description: String {
        switch self {
        case .hello: "Hello"
        case .databaseDescription: "Database Description"
        case .linkStateRequest: "Link State Request"
        case .linkStateUpdate: "Link State Update"
        case .linkStateAcknowledgment: "Link State Acknowledgment"
        }
    }
}

/// RFC 2328 A.3.1 (24 octets), RFC 5340 A.3.1 (16 octets): the header of every OSPF packet.
public struct OSPFPacketHeader: Hashable, Sendable, BitwiseCopyable {
    public var type: OSPFPacketType
    /// Octets of the packet, header included, without what authentication and RFC 5613 append. At least the header's
    /// size.
    public var length: UInt16
    public var routerID: UInt32
    public var areaID: UInt32
    public var checksum: UInt16
    /// OSPFv3; 0 in OSPFv2.
    public var instanceID: UInt8
    /// OSPFv2 AuType; 0 in OSPFv3.
    public var authenticationType: UInt16
    /// OSPFv2's eight octets of authentication; 0 in OSPFv3.
    public var authentication: UInt64

    public static func size(_ version: OSPFVersion) -> Int { version == .v2 ? 24 : 16 }
    /// Where checksum, AuType and authentication lie.
    static let checksumOffset = 12
    static let authenticationTypeOffset = 14
    static let authenticationOffset = 16

    public init(type: OSPFPacketType, routerID: UInt32, areaID: UInt32, instanceID: UInt8 = 0) {
        self.type = type
        length = 0
        self.routerID = routerID
        self.areaID = areaID
        checksum = 0
        self.instanceID = instanceID
        authenticationType = 0
        authentication = 0
    }

    /// Reads the header of a packet that came in. What the version is not, what is no packet type, and a length that is
    /// less than a header or more than there is, are refused.
    public init(_ bytes: RawSpan, version: OSPFVersion) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let number = try reader.u8("version")
        guard number == version.rawValue else { throw DecodeError("version", at: 0, .unsupported) }
        guard let type = OSPFPacketType(rawValue: try reader.u8("packet type")) else {
            throw DecodeError("packet type", at: 1, .unsupported)
        }
        self.type = type
        length = try reader.u16("packet length")
        guard Int(length) >= Self.size(version), Int(length) <= bytes.byteCount else {
            throw DecodeError("packet length", at: 2, .badLength)
        }
        routerID = try reader.u32("router ID")
        areaID = try reader.u32("area ID")
        checksum = try reader.u16("checksum")
        switch version {
        case .v2:
            instanceID = 0
            authenticationType = try reader.u16("AuType")
            authentication = try reader.u64("authentication")
        case .v3:
            instanceID = try reader.u8("instance ID")
            _ = try reader.u8("reserved")
            authenticationType = 0
            authentication = 0
        }
    }

    /// Writes the header with length, checksum and authentication still open; `PacketAuthentication.seal` closes them.
    public func write(to writer: inout ByteWriter, version: OSPFVersion) {
        writer.u8(version.rawValue)
        writer.u8(type.rawValue)
        writer.u16(0)
        writer.u32(routerID)
        writer.u32(areaID)
        writer.u16(0)
        switch version {
        case .v2:
            writer.u16(0)
            writer.u64(0)
        case .v3:
            writer.u8(instanceID)
            writer.u8(0)
        }
    }
}
