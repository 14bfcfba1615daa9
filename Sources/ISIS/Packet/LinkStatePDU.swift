import Digests
import Records
import Wire

/// The fixed part of a link state PDU (ISO 10589 §9.8, §9.9), and how such PDUs are made.
public struct LSPHeader: Hashable, Sendable {
    public struct Flags: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// P: partition repair, which nobody does for IP (RFC 1195 §3.1).
        public static let partition = Flags(rawValue: 0x80)
        /// ATT, default metric: leads to other areas.
        public static let attached = Flags(rawValue: 0x08)
        /// LSPDBOL: not to be used for transit.
        public static let overload = Flags(rawValue: 0x04)
        /// IS type bits: 1 is level 1 only, 3 is level 2 (and maybe level 1).
        public static let level1 = Flags(rawValue: 0x01)
        public static let level2 = Flags(rawValue: 0x03)
    }

    /// Octets of the fixed part.
    public static let length = 27
    /// Where fields lie that are changed in place.
    static let lifetimePosition = 10
    static let idPosition = 12
    static let checksumPosition = 24

    public var level: Level
    public var id: LSPID
    public var sequenceNumber: UInt32
    /// Seconds; 0 for a purge.
    public var remainingLifetime: UInt16
    public var checksum: UInt16
    public var flags: Flags
    /// Octets of the PDU.
    public var pduLength: Int

    public var isPurge: Bool { remainingLifetime == 0 }
    public var entry: LSPEntry {
        LSPEntry(id: id, sequenceNumber: sequenceNumber, remainingLifetime: remainingLifetime, checksum: checksum)
    }

    /// Reads and checks a received LSP: fields, framing of its TLVs, and the checksum (ISO 10589 §7.3.14.2, §7.3.15.1).
    /// A purge's checksum is not looked at (§7.3.16.4: only the header is kept).
    ///
    /// Octets behind the PDU length are not of the LSP: keep the first `pduLength` only.
    public init(_ pdu: RawSpan) throws(DecodeError) {
        var reader = ByteReader(pdu)
        let type = try PDUHeader.decode(&reader)
        guard type == .level1LSP || type == .level2LSP, let level = type.level else {
            throw DecodeError("PDU type", at: 4, .unsupported)
        }
        self.level = level
        pduLength = try PDULength.read(&reader, of: type)
        remainingLifetime = try reader.u16("remaining lifetime")
        id = try reader.lspID("LSP ID")
        sequenceNumber = try reader.u32("sequence number")
        checksum = try reader.u16("checksum")
        flags = Flags(rawValue: try reader.u8("LSP flags"))
        // Sequence number zero means "none of it" in a PSNP and never is an LSP's (§7.3.15.2 (b) (5)).
        guard sequenceNumber != 0 else { throw DecodeError("sequence number", at: 20, .badValue) }
        var rest = try reader.reader(pduLength - Self.length, "PDU length")
        try TLV.checkFraming(&rest)
        guard remainingLifetime != 0 else { return }
        guard checksum != 0, FletcherChecksum.isValid(pdu.extracting(Self.idPosition..<pduLength)) else {
            throw DecodeError("checksum", at: Self.checksumPosition, .badChecksum)
        }
    }

    /// Whether a purge holds nothing but what a purge may: authentication, who made it, and a hostname (RFC 5304 §2,
    /// RFC 6232 §3, RFC 6233 §3). With authentication in force, another is to be ignored, since whoever purges by
    /// setting the lifetime of an authentic LSP to zero leaves its TLVs in place.
    public static func isSoundPurge(_ pdu: RawSpan) -> Bool {
        do {
            var reader = ByteReader(pdu)
            try reader.skip(length, "header")
            while !reader.isAtEnd {
                let code = try reader.u8("TLV code")
                try reader.skip(Int(try reader.u8("TLV length")), "TLV value")
                switch code {
                case TLVCode.authentication, TLVCode.purgeOriginator, TLVCode.hostname: break
                default: return false
                }
            }
            return true
        } catch {
            return false
        }
    }
}

/// Makes LSPs.
public enum LSPBuilder {
    /// Octets for TLVs in an LSP of at most `size` octets, beside authentication.
    public static func bodyMaximum(size: Int, authentication: ISISAuthentication?) -> Int {
        size - LSPHeader.length - Authentication.octets(authentication)
    }

    /// A complete LSP around TLVs that are encoded already.
    /// - Parameter key: the one that signs; `nil` without authentication.
    public static func encode(
        level: Level, id: LSPID, sequenceNumber: UInt32, remainingLifetime: UInt16, flags: LSPHeader.Flags, body: [UInt8],
        key: KeyChain.Key?
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: LSPHeader.length + body.count + (key.map(Authentication.octets) ?? 0))
        PDUHeader.encode(.lsp(level), into: &writer)
        let at = writer.reserve16()
        writer.u16(remainingLifetime)
        writer.lspID(id)
        writer.u32(sequenceNumber)
        writer.u16(0)
        writer.u8(flags.rawValue)
        if let key { Authentication.reserve(key, into: &writer) }
        writer.append(body)
        writer.patch16(at, UInt16(clamping: writer.count))
        var bytes = writer.bytes
        if let key { Authentication.seal(&bytes, key: key) }
        let position = LSPHeader.checksumPosition - LSPHeader.idPosition
        let sum = FletcherChecksum.compute(bytes.span.bytes.extracting(droppingFirst: LSPHeader.idPosition), field: position)
        bytes[LSPHeader.checksumPosition] = UInt8(sum >> 8)
        bytes[LSPHeader.checksumPosition + 1] = UInt8(truncatingIfNeeded: sum)
        return bytes
    }

    /// A purge: the header alone, with who makes it (RFC 6232 §3) and authentication where these are in force.
    ///
    /// - Parameters:
    ///   - originator: this system, to name it; `nil` leaves the TLV out.
    ///   - receivedFrom: the neighbour whose LSP made us purge, if it was one.
    ///   - hostname: of this system; goes with `originator`.
    ///   - key: the one that signs; `nil` without authentication.
    public static func purge(
        level: Level, id: LSPID, sequenceNumber: UInt32, originator: SystemID?, receivedFrom: SystemID? = nil,
        hostname: String = "", key: KeyChain.Key?
    ) -> [UInt8] {
        var writer = ByteWriter(capacity: 32)
        if let originator {
            TLV.write(TLVCode.purgeOriginator, into: &writer) { writer in
                writer.u8(receivedFrom == nil ? 1 : 2)
                writer.systemID(originator)
                if let receivedFrom { writer.systemID(receivedFrom) }
            }
            LSPContents.writeHostname(hostname, into: &writer)
        }
        let isType: LSPHeader.Flags = level == .one ? .level1 : .level2
        return encode(
            level: level, id: id, sequenceNumber: sequenceNumber, remainingLifetime: 0, flags: isType, body: writer.bytes,
            key: key)
    }

    /// The checksum does not cover the lifetime (ISO 10589 §9.8), nor does authentication.
    public static func setRemainingLifetime(_ seconds: UInt16, in pdu: inout [UInt8]) {
        guard pdu.count >= LSPHeader.length else { return }
        pdu[LSPHeader.lifetimePosition] = UInt8(seconds >> 8)
        pdu[LSPHeader.lifetimePosition + 1] = UInt8(truncatingIfNeeded: seconds)
    }
}
