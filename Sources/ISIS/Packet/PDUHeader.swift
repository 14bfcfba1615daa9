import Wire

/// Level 1 is routing within an area, level 2 between areas (ISO 10589 §7.1.4).
@frozen
public enum Level: UInt8, Hashable, Comparable, Sendable, Codable, CaseIterable, BitwiseCopyable, CustomStringConvertible {
    case one = 1
    case two = 2
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    /// 0 for level 1, 1 for level 2.
    @inlinable public var index: Int { Int(rawValue) &- 1 }
    @inlinable public var other: Level { self == .one ? .two : .one }
    public var description: String { "L\(rawValue)" }
}

/// The PDUs of ISO 10589 §9 by their type numbers.
@frozen
public enum PDUType: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    case level1LANHello = 15
    case level2LANHello = 16
    case pointToPointHello = 17
    case level1LSP = 18
    case level2LSP = 20
    case level1CSNP = 24
    case level2CSNP = 25
    case level1PSNP = 26
    case level2PSNP = 27

    /// `nil` for the point-to-point hello, which speaks for both.
    public var level: Level? {
        switch self {
        case .level1LANHello, .level1LSP, .level1CSNP, .level1PSNP: .one
        case .level2LANHello, .level2LSP, .level2CSNP, .level2PSNP: .two
        case .pointToPointHello: nil
        }
    }

    /// Octets of the fixed part, the length indicator's value (ISO 10589 §9.5 to §9.13).
    public var headerLength: Int {
        switch self {
        case .level1LANHello, .level2LANHello, .level1LSP, .level2LSP: 27
        case .pointToPointHello: 20
        case .level1CSNP, .level2CSNP: 33
        case .level1PSNP, .level2PSNP: 17
        }
    }

    public static func lanHello(_ level: Level) -> PDUType { level == .one ? .level1LANHello : .level2LANHello }
    public static func lsp(_ level: Level) -> PDUType { level == .one ? .level1LSP : .level2LSP }
    public static func csnp(_ level: Level) -> PDUType { level == .one ? .level1CSNP : .level2CSNP }
    public static func psnp(_ level: Level) -> PDUType { level == .one ? .level1PSNP : .level2PSNP }

    public var description: String {
        switch self {
        case .level1LANHello: "L1 LAN IIH"
        case .level2LANHello: "L2 LAN IIH"
        case .pointToPointHello: "P2P IIH"
        case .level1LSP: "L1 LSP"
        case .level2LSP: "L2 LSP"
        case .level1CSNP: "L1 CSNP"
        case .level2CSNP: "L2 CSNP"
        case .level1PSNP: "L1 PSNP"
        case .level2PSNP: "L2 PSNP"
        }
    }
}

/// The eight octets that every PDU begins with (ISO 10589 §9.5 ff).
public enum PDUHeader {
    public static let length = 8
    /// Intradomain Routeing Protocol Discriminator.
    public static let discriminator: UInt8 = 0x83
    /// Meant by 0 in the field, too.
    public static let idLength: UInt8 = 6
    /// Meant by 0 in the field, too.
    public static let maximumAreas: UInt8 = 3

    /// Checks what all PDUs have in common and tells the type. The reader is left behind the eight octets.
    ///
    /// ISO 10589 §8.2.4.2 (a), §8.4.2.1: a PDU with another ID length or number of areas is discarded (and an event
    /// tells of it, since the other system is configured for another domain): the error's field is `"ID length"` or
    /// `"maximum area addresses"`.
    @_lifetime(reader: copy reader)
    public static func decode(_ reader: inout ByteReader) throws(DecodeError) -> PDUType {
        let start = reader.offset
        guard try reader.u8("discriminator") == discriminator else {
            throw DecodeError("discriminator", at: start, .unsupported)
        }
        let indicated = try reader.u8("header length")
        guard try reader.u8("version extension") == 1 else {
            throw DecodeError("version extension", at: start + 2, .unsupported)
        }
        let ids = try reader.u8("ID length")
        guard ids == 0 || ids == idLength else { throw DecodeError("ID length", at: start + 3, .unsupported) }
        // The three upper bits are reserved: transmitted as zero, ignored on receipt.
        guard let type = PDUType(rawValue: try reader.u8("PDU type") & 0x1f) else {
            throw DecodeError("PDU type", at: start + 4, .unsupported)
        }
        guard try reader.u8("version") == 1 else { throw DecodeError("version", at: start + 5, .unsupported) }
        _ = try reader.u8("reserved")
        let areas = try reader.u8("maximum area addresses")
        guard areas == 0 || areas == maximumAreas else {
            throw DecodeError("maximum area addresses", at: start + 7, .unsupported)
        }
        guard Int(indicated) == type.headerLength else { throw DecodeError("header length", at: start + 1, .badLength) }
        return type
    }

    public static func encode(_ type: PDUType, into writer: inout ByteWriter) {
        writer.u8(discriminator)
        writer.u8(UInt8(type.headerLength))
        writer.u8(1)
        writer.u8(0)
        writer.u8(type.rawValue)
        writer.u8(1)
        writer.u8(0)
        writer.u8(0)
    }

    /// The type of a PDU whose header may be unsound; for counters.
    public static func peekType(_ bytes: RawSpan) -> PDUType? {
        guard bytes.byteCount > 4 else { return nil }
        return PDUType(rawValue: unsafe bytes.unsafeLoad(fromByteOffset: 4, as: UInt8.self) & 0x1f)
    }
}
