/// The ones' complement sum of RFC 1071, over any number of pieces.
@frozen
public struct InternetChecksum: Sendable {
    @usableFromInline var sum: UInt64 = 0
    /// Whether the pieces so far had an odd number of octets, so that the next one starts in the low half of a word.
    @usableFromInline var odd = false

    @inlinable public init() {}

    @inlinable
    public mutating func add(_ value: UInt16) { sum &+= UInt64(value) }

    @inlinable
    public mutating func add32(_ value: UInt32) { sum &+= UInt64(value >> 16) &+ UInt64(value & 0xffff) }

    @inlinable
    public mutating func add(_ bytes: RawSpan) {
        let count = bytes.byteCount
        var i = 0
        var s = sum
        if odd, count > 0 {
            s &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt8.self))
            i = 1
            odd = false
        }
        // 32 bits at a time into 64 cannot overflow for any packet; RFC 1071 §2 (B): byte order does not matter
        // as long as it is the same for all, but the partial sums here are kept in network order.
        while i &+ 4 <= count {
            let word = UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt32.self))
            s &+= UInt64(word)
            i &+= 4
        }
        if i &+ 2 <= count {
            s &+= UInt64(UInt16(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt16.self)))
            i &+= 2
        }
        if i < count {
            s &+= UInt64(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)) << 8
            odd = true
        }
        sum = s
    }

    /// The folded sum, not complemented: what offloading senders leave in the field.
    @inlinable
    public var folded: UInt16 {
        var s = sum
        while s >> 16 != 0 { s = (s & 0xffff) &+ (s >> 16) }
        return UInt16(truncatingIfNeeded: s)
    }

    /// The value for the checksum field.
    @inlinable
    public var value: UInt16 { ~folded }
}
