import Routing
import Wire

/// A prefix as NLRI carry it.
public protocol NLRIPrefix: PrefixKey {
    /// Reads one prefix whose length octet was read already; host bits are cleared (RFC 4271 §4.3: their value is
    /// irrelevant). Throws when the length is out of range or the octets run out.
    static func decodeNLRI(_ length: UInt8, _ reader: inout ByteReader) throws(DecodeError) -> Self
    /// Writes length and octets.
    func encodeNLRI(into writer: inout ByteWriter)
    /// RFC 4271 §6.3: semantically incorrect, such as a multicast address, and what is like it (RFC 6890): no neighbour can
    /// have a way to it. The prefix is ignored.
    var isUnusable: Bool { get }
}

extension NLRIPrefix {
    /// Octets of the encoded form: 1…5 or 1…17.
    @inlinable @inline(__always)
    public var encodedSize: Int { 1 + (Int(length) + 7) / 8 }
}

extension IPv4Prefix: NLRIPrefix {
    @inline(__always)
    public static func decodeNLRI(_ length: UInt8, _ reader: inout ByteReader) throws(DecodeError) -> IPv4Prefix {
        guard length <= 32 else { throw DecodeError("NLRI length", at: reader.offset - 1, .badLength) }
        let raw: UInt32
        switch (length &+ 7) / 8 {
        case 0: raw = 0
        case 1: raw = UInt32(try reader.u8("NLRI")) << 24
        case 2: raw = UInt32(try reader.u16("NLRI")) << 16
        case 3: raw = try reader.u24("NLRI") << 8
        default: raw = try reader.u32("NLRI")
        }
        return IPv4Prefix(IPv4Address(raw: raw), length)
    }
    @inline(__always)
    public func encodeNLRI(into writer: inout ByteWriter) {
        writer.u8(length)
        let raw = address.raw
        switch (length &+ 7) / 8 {
        case 0: break
        case 1: writer.u8(UInt8(truncatingIfNeeded: raw >> 24))
        case 2: writer.u16(UInt16(truncatingIfNeeded: raw >> 16))
        case 3: writer.u24(raw >> 8)
        default: writer.u32(raw)
        }
    }
    @inline(__always)
    public var isUnusable: Bool {
        // Groups, and what was never given out, up to the broadcast address; 0.0.0.0/8 and 127.0.0.0/8.
        let first = address.raw >> 24
        return first >= 224 ? length >= 3 : length >= 8 && (first == 0 || first == 127)
    }
}

extension IPv6Prefix: NLRIPrefix {
    public static func decodeNLRI(_ length: UInt8, _ reader: inout ByteReader) throws(DecodeError) -> IPv6Prefix {
        guard length <= 128 else { throw DecodeError("NLRI length", at: reader.offset - 1, .badLength) }
        let octets = (Int(length) + 7) / 8
        var high: UInt64 = 0, low: UInt64 = 0
        if octets >= 8 {
            high = try reader.u64("NLRI")
            for i in 8..<octets { low |= UInt64(try reader.u8("NLRI")) << UInt64((15 - i) * 8) }
        } else {
            for i in 0..<octets { high |= UInt64(try reader.u8("NLRI")) << UInt64((7 - i) * 8) }
        }
        return IPv6Prefix(IPv6Address(high: high, low: low), length)
    }
    public func encodeNLRI(into writer: inout ByteWriter) {
        writer.u8(length)
        let octets = (Int(length) + 7) / 8
        for i in 0..<octets {
            let word = i < 8 ? address.high >> UInt64((7 - i) * 8) : address.low >> UInt64((15 - i) * 8)
            writer.u8(UInt8(truncatingIfNeeded: word))
        }
    }
    @inline(__always)
    public var isUnusable: Bool {
        // ff00::/8, fe80::/10, the unspecified and the loopback address, IPv4-mapped ones (RFC 4291 §2.5.5.2).
        if length >= 8, address.isMulticast { return true }
        if length >= 10, address.isLinkLocal { return true }
        guard address.high == 0 else { return false }
        return length == 128 && address.low <= 1 || length >= 96 && address.low >> 32 == 0xffff
    }
}

/// Walks a field of NLRI. What was read before a fault may be used before the fault is known: the fault ends the session
/// or the family, and with it everything that the field had said.
public struct NLRIReader: ~Escapable {
    @usableFromInline var reader: ByteReader

    @_lifetime(copy bytes)
    @inline(__always)
    public init(_ bytes: RawSpan) { reader = ByteReader(bytes) }

    /// The next prefix, or `nil` at the end.
    @_lifetime(self: copy self)
    @inline(__always)
    public mutating func next<Prefix: NLRIPrefix>(_: Prefix.Type = Prefix.self) throws(DecodeError) -> Prefix? {
        if reader.isAtEnd { return nil }
        let length = try reader.u8("NLRI length")
        return try Prefix.decodeNLRI(length, &reader)
    }
}
