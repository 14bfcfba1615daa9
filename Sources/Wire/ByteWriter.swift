/// An append-only buffer in network order. Length fields are reserved first and patched afterwards.
@frozen
public struct ByteWriter: Sendable {
    public var bytes: [UInt8]

    @inlinable
    public init(capacity: Int = 0) {
        bytes = []
        if capacity > 0 { bytes.reserveCapacity(capacity) }
    }

    @inlinable @inline(__always)
    public var count: Int { bytes.count }

    @inlinable @inline(__always)
    public mutating func u8(_ value: UInt8) { bytes.append(value) }

    @inlinable @inline(__always)
    public mutating func u16(_ value: UInt16) {
        withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    @inlinable @inline(__always)
    public mutating func u24(_ value: UInt32) {
        u8(UInt8(truncatingIfNeeded: value >> 16))
        u16(UInt16(truncatingIfNeeded: value))
    }

    @inlinable @inline(__always)
    public mutating func u32(_ value: UInt32) {
        withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    @inlinable @inline(__always)
    public mutating func u64(_ value: UInt64) {
        withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    @inlinable
    public mutating func append(_ span: RawSpan) {
        unsafe span.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }

    @inlinable
    public mutating func append(_ array: [UInt8]) { bytes.append(contentsOf: array) }

    @inlinable
    public mutating func append(_ slice: ArraySlice<UInt8>) { bytes.append(contentsOf: slice) }

    @inlinable
    public mutating func zeros(_ count: Int) { bytes.append(contentsOf: repeatElement(0, count: count)) }

    /// Reserves a 16-bit field and returns where it lies, for `patch16`.
    @inlinable
    public mutating func reserve16() -> Int {
        let at = bytes.count
        u16(0)
        return at
    }

    @inlinable
    public mutating func reserve32() -> Int {
        let at = bytes.count
        u32(0)
        return at
    }

    @inlinable
    public mutating func patch8(_ at: Int, _ value: UInt8) { bytes[at] = value }

    @inlinable
    public mutating func patch16(_ at: Int, _ value: UInt16) {
        bytes[at] = UInt8(truncatingIfNeeded: value >> 8)
        bytes[at + 1] = UInt8(truncatingIfNeeded: value)
    }

    @inlinable
    public mutating func patch32(_ at: Int, _ value: UInt32) {
        patch16(at, UInt16(truncatingIfNeeded: value >> 16))
        patch16(at + 2, UInt16(truncatingIfNeeded: value))
    }

    /// Writes the number of octets that follow the 16-bit field at `at`.
    @inlinable
    public mutating func patchLength16(_ at: Int) { patch16(at, UInt16(truncatingIfNeeded: bytes.count - at - 2)) }
}
