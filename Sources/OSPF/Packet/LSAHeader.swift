import Wire

/// What names an LSA; its instances differ in sequence number, checksum and age (RFC 2328 §12.1, RFC 5340 §4.4).
///
/// The order is that of type, Link State ID, advertising router: the order of tables and of display.
public struct LSAKey: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var type: LSAType
    /// RFC 2328 §12.1.4; an address in OSPFv2 for most types, a plain number in OSPFv3.
    public var linkStateID: UInt32
    /// Router ID of the originator.
    public var advertisingRouter: UInt32

    @inlinable public init(type: LSAType, linkStateID: UInt32, advertisingRouter: UInt32) {
        self.type = type
        self.linkStateID = linkStateID
        self.advertisingRouter = advertisingRouter
    }
    @inlinable public static func < (a: Self, b: Self) -> Bool {
        if a.type != b.type { return a.type < b.type }
        if a.linkStateID != b.linkStateID { return a.linkStateID < b.linkStateID }
        return a.advertisingRouter < b.advertisingRouter
    }
    /// RFC 2328 §12.1.4: whether a router-LSA of OSPFv2 has its originator's Router ID for a name.
    public func isSound(version: OSPFVersion) -> Bool {
        version == .v3 || type != .router || linkStateID == advertisingRouter
    }
    public var description: String {
        "\(type) \(IPv4Address(raw: linkStateID)) of \(IPv4Address(raw: advertisingRouter))"
    }
}

/// RFC 2328 A.4.1, RFC 5340 A.4.2: the twenty octets before every LSA's body.
public struct LSAHeader: Hashable, Sendable, BitwiseCopyable {
    /// Octets of the header.
    public static let size = 20
    /// Where the checksum lies.
    public static let checksumOffset = 16
    /// RFC 2328 B: an LSA of this age is on its way out (seconds).
    public static let maxAge: UInt16 = 3600
    /// RFC 2328 B: instances whose ages differ by more are told apart by age (seconds).
    public static let maxAgeDifference: UInt16 = 900
    /// RFC 2328 §12.1.6: S(1)
    public static let initialSequence = Int32.min + 1
    /// RFC 2328 §12.1.6
    public static let maxSequence = Int32.max
    /// RFC 4136 and RFC 1793 §2.1: the age never grows.
    public static let doNotAge: UInt16 = 0x8000

    /// Seconds; may have the bit `doNotAge`.
    public var age: UInt16
    /// OSPFv2 only; OSPFv3 has its options in bodies.
    public var options: UInt8
    public var key: LSAKey
    public var sequence: Int32
    public var checksum: UInt16
    /// Of the whole LSA in octets.
    public var length: UInt16

    public init(
        age: UInt16 = 0, options: UInt8 = 0, key: LSAKey, sequence: Int32 = LSAHeader.initialSequence,
        checksum: UInt16 = 0, length: UInt16 = 20
    ) {
        self.age = age
        self.options = options
        self.key = key
        self.sequence = sequence
        self.checksum = checksum
        self.length = length
    }

    /// Whether an LSA of this name and sequence number can be anybody's.
    ///
    /// A router-LSA of OSPFv2 is named by its originator (RFC 2328 §12.1.4): under another name it would be taken for
    /// a second one of a router that never made it (VU#229804). The least sequence number is reserved (§12.1.6).
    public func isSound(version: OSPFVersion) -> Bool {
        key.isSound(version: version) && sequence != Int32.min
    }

    /// Reads a header and no more; whether the length is that of anything is the caller's to see.
    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        age = try reader.u16("LS age")
        let word = try reader.u16("LS type")
        if version == .v2 {
            options = UInt8(word >> 8)
        } else {
            options = 0
        }
        let type = LSAType(rawValue: version == .v2 ? word & 0xff : word)
        let linkStateID = try reader.u32("link state ID")
        key = LSAKey(type: type, linkStateID: linkStateID, advertisingRouter: try reader.u32("advertising router"))
        sequence = Int32(bitPattern: try reader.u32("LS sequence number"))
        checksum = try reader.u16("LS checksum")
        length = try reader.u16("LSA length")
        if length < UInt16(Self.size) { throw DecodeError("LSA length", at: reader.offset - 2, .badLength) }
    }

    public func write(to writer: inout ByteWriter, version: OSPFVersion) {
        writer.u16(age)
        switch version {
        case .v2:
            writer.u8(options)
            writer.u8(UInt8(truncatingIfNeeded: key.type.rawValue))
        case .v3:
            writer.u16(key.type.rawValue)
        }
        writer.u32(key.linkStateID)
        writer.u32(key.advertisingRouter)
        writer.u32(UInt32(bitPattern: sequence))
        writer.u16(checksum)
        writer.u16(length)
    }

    /// The age without the bit that stops it, at most `maxAge`.
    @inlinable public var effectiveAge: UInt16 { min(age & ~Self.doNotAge, Self.maxAge) }
    @inlinable public var isMaxAge: Bool { effectiveAge == Self.maxAge }

    /// What one instance of an LSA is against another.
    public enum Recency: Hashable, Sendable {
        case newer
        case same
        case older
    }

    /// RFC 2328 §13.1: whether this instance is more recent than `other`, which must be of the same LSA.
    public func recency(against other: LSAHeader) -> Recency {
        if sequence != other.sequence { return sequence > other.sequence ? .newer : .older }
        if checksum != other.checksum { return checksum > other.checksum ? .newer : .older }
        if isMaxAge != other.isMaxAge { return isMaxAge ? .newer : .older }
        let (mine, its) = (effectiveAge, other.effectiveAge)
        if mine > its, mine - its > Self.maxAgeDifference { return .older }
        if its > mine, its - mine > Self.maxAgeDifference { return .newer }
        return .same
    }
}
