/// Why a decoder refused some bytes: which field, where, and what was wrong.
///
/// `offset` counts octets from the start of the outermost view that was being read.
public struct DecodeError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Reason: Equatable, Sendable {
        /// Fewer octets left than the field needs.
        case truncated
        /// A length field disagrees with what encloses it or with the field's own rules.
        case badLength
        /// A value outside the range its specification allows.
        case badValue
        /// Octets left over where there must be none.
        case trailing
        /// A checksum, digest or marker does not match.
        case badChecksum
        /// A version or type this release does not speak.
        case unsupported
    }

    public var field: StaticString
    public var offset: Int
    public var reason: Reason

    @inlinable
    public init(_ field: StaticString, at offset: Int, _ reason: Reason) {
        self.field = field
        self.offset = offset
        self.reason = reason
    }

    public static func == (a: DecodeError, b: DecodeError) -> Bool {
        a.offset == b.offset && a.reason == b.reason && a.field.description == b.field.description
    }

    public var description: String { "\(field) at octet \(offset): \(reason)" }
}

/// A checked, zero-copy cursor over bytes in network order. It never reads past its end: it throws.
@frozen
public struct ByteReader: ~Escapable {
    /// The view this cursor moves over.
    public let bytes: RawSpan
    /// Octets consumed of `bytes`.
    public var position: Int
    /// Where `bytes` begins within the outermost view; only for error messages.
    public let base: Int

    @_lifetime(copy bytes)
    @inlinable @inline(__always)
    public init(_ bytes: RawSpan, base: Int = 0) {
        self.bytes = bytes
        self.position = 0
        self.base = base
    }

    @inlinable @inline(__always)
    public var remaining: Int { bytes.byteCount - position }

    @inlinable @inline(__always)
    public var isAtEnd: Bool { position == bytes.byteCount }

    /// Offset of the next octet within the outermost view.
    @inlinable @inline(__always)
    public var offset: Int { base + position }

    @inlinable @inline(__always)
    func need(_ count: Int, _ field: StaticString) throws(DecodeError) {
        // One unsigned comparison also refuses a negative count.
        if UInt(bitPattern: count) > UInt(bitPattern: remaining) { throw DecodeError(field, at: offset, .truncated) }
    }

    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func u8(_ field: StaticString) throws(DecodeError) -> UInt8 {
        try need(1, field)
        let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt8.self)
        position &+= 1
        return value
    }

    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func u16(_ field: StaticString) throws(DecodeError) -> UInt16 {
        try need(2, field)
        let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt16.self)
        position &+= 2
        return UInt16(bigEndian: value)
    }

    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func u24(_ field: StaticString) throws(DecodeError) -> UInt32 {
        let high = try u8(field)
        return UInt32(high) << 16 | UInt32(try u16(field))
    }

    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func u32(_ field: StaticString) throws(DecodeError) -> UInt32 {
        try need(4, field)
        let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt32.self)
        position &+= 4
        return UInt32(bigEndian: value)
    }

    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func u64(_ field: StaticString) throws(DecodeError) -> UInt64 {
        try need(8, field)
        let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: UInt64.self)
        position &+= 8
        return UInt64(bigEndian: value)
    }

    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func skip(_ count: Int, _ field: StaticString) throws(DecodeError) {
        try need(count, field)
        position &+= count
    }

    /// The next `count` octets as a view of their own.
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func span(_ count: Int, _ field: StaticString) throws(DecodeError) -> RawSpan {
        try need(count, field)
        let part = bytes.extracting(position..<(position &+ count))
        position &+= count
        return part
    }

    /// A cursor over the next `count` octets, which are consumed here.
    @_lifetime(copy self)
    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func reader(_ count: Int, _ field: StaticString) throws(DecodeError) -> ByteReader {
        let start = offset
        return ByteReader(try span(count, field), base: start)
    }

    @_lifetime(self: copy self)
    public mutating func array(_ count: Int, _ field: StaticString) throws(DecodeError) -> [UInt8] {
        [UInt8](copying: try span(count, field))
    }

    @inlinable
    public func expectEnd(_ field: StaticString) throws(DecodeError) {
        if !isAtEnd { throw DecodeError(field, at: offset, .trailing) }
    }
}

extension Array where Element == UInt8 {
    /// A copy of the octets of a view.
    @inlinable
    public init(copying span: RawSpan) {
        self = unsafe span.withUnsafeBytes { unsafe Array($0) }
    }
}
