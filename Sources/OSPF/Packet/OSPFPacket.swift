import Records
import Wire

/// A whole OSPF packet as a value.
public struct OSPFPacket: Hashable, Sendable {
    public enum Body: Hashable, Sendable {
        case hello(HelloPacket)
        case databaseDescription(DatabaseDescriptionPacket)
        case linkStateRequest(LinkStateRequestPacket)
        case linkStateUpdate(LinkStateUpdatePacket)
        case linkStateAcknowledgment(LinkStateAcknowledgmentPacket)

        public var type: OSPFPacketType {
            switch self {
            case .hello: .hello
            case .databaseDescription: .databaseDescription
            case .linkStateRequest: .linkStateRequest
            case .linkStateUpdate: .linkStateUpdate
            case .linkStateAcknowledgment: .linkStateAcknowledgment
            }
        }
    }
    public var header: OSPFPacketHeader
    public var body: Body

    public init(routerID: UInt32, areaID: UInt32, instanceID: UInt8 = 0, _ body: Body) {
        header = OSPFPacketHeader(type: body.type, routerID: routerID, areaID: areaID, instanceID: instanceID)
        self.body = body
    }

    /// Reads the body of a packet whose header was read, and its checksum and authentication checked, before.
    ///
    /// - Parameter bodyStart: what `PacketAuthentication.check` said.
    public init(_ bytes: RawSpan, header: OSPFPacketHeader, bodyStart: Int, version: OSPFVersion) throws(DecodeError) {
        guard bodyStart >= 0, bodyStart <= Int(header.length), Int(header.length) <= bytes.byteCount else {
            throw DecodeError("packet length", at: 2, .badLength)
        }
        self.header = header
        var reader = ByteReader(bytes.extracting(bodyStart..<Int(header.length)), base: bodyStart)
        switch header.type {
        case .hello: body = .hello(try HelloPacket(from: &reader, version: version))
        case .databaseDescription:
            body = .databaseDescription(try DatabaseDescriptionPacket(from: &reader, version: version))
        case .linkStateRequest: body = .linkStateRequest(try LinkStateRequestPacket(from: &reader, version: version))
        case .linkStateUpdate: body = .linkStateUpdate(try LinkStateUpdatePacket(from: &reader, version: version))
        case .linkStateAcknowledgment:
            body = .linkStateAcknowledgment(try LinkStateAcknowledgmentPacket(from: &reader, version: version))
        }
    }

    /// The octets to send.
    ///
    /// - Parameters:
    ///   - key: the one that signs; `nil` without authentication.
    ///   - sequence: the cryptographic sequence number; of no concern without a key.
    ///   - source: the IP source address; it is part of checksums and digests of OSPFv3 and of RFC 7474.
    ///   - destination: as the packet will carry it; part of OSPFv3's checksum.
    public func encoded(
        version: OSPFVersion, key: KeyChain.Key? = nil, sequence: UInt64 = 0, source: IPAddress,
        destination: IPAddress
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: 256)
        header.write(to: &writer, version: version)
        switch body {
        case .hello(let packet): packet.write(to: &writer, version: version)
        case .databaseDescription(let packet): packet.write(to: &writer, version: version)
        case .linkStateRequest(let packet): packet.write(to: &writer, version: version)
        case .linkStateUpdate(let packet): packet.write(to: &writer, version: version)
        case .linkStateAcknowledgment(let packet): packet.write(to: &writer, version: version)
        }
        PacketAuthentication.seal(
            &writer, version: version, key, sequence: sequence, source: source, destination: destination)
        return writer.bytes
    }
}
