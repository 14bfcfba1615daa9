import Routing
import Wire

/// A prefix as NLRI spells it (RFC 4271 §4.3, RFC 4760 §5): a length in bits, then as many octets as that needs.
protocol NLRIKey: NLRIPrefix {
    /// The prefix at `offset` and its size in octets; `nil` if there is none. Host bits are cleared.
    static func read(_ nlri: RawSpan, at offset: Int) -> (packed: Packed, size: Int)?
    /// Writes the prefix, at most `sizeMaximum` octets; returns how many.
    static func write(_ packed: Packed, to target: UnsafeMutablePointer<UInt8>) -> Int
    static var sizeMaximum: Int { get }
    static var zeroAddress: Address { get }
    /// From the two words of a next hop.
    static func address(high: UInt64, low: UInt64) -> Address
}

extension IPv4Prefix: NLRIKey {
    @inline(__always)
    static func read(_ nlri: RawSpan, at offset: Int) -> (packed: UInt64, size: Int)? {
        let length = nlri.u8(offset)
        let size = (Int(length) &+ 7) >> 3
        let left = nlri.byteCount &- offset &- 1
        guard length <= 32, size <= left else { return nil }
        var raw: UInt32 = 0
        if left >= 4 {
            raw = nlri.u32(offset &+ 1)
        } else {
            for k in 0..<size { raw |= UInt32(nlri.u8(offset &+ 1 &+ k)) << UInt32(24 &- 8 &* k) }
        }
        raw &= IPv4Prefix.mask(length)
        return (UInt64(raw) << 8 | UInt64(length), size &+ 1)
    }
    @inline(__always)
    static func write(_ packed: UInt64, to target: UnsafeMutablePointer<UInt8>) -> Int {
        let length = UInt8(truncatingIfNeeded: packed)
        unsafe target[0] = length
        // Four octets always, of which as many count as the length says: the caller leaves room.
        unsafe UnsafeMutableRawPointer(target + 1).storeBytes(
            of: UInt32(truncatingIfNeeded: packed >> 8).bigEndian, as: UInt32.self)
        return 1 &+ (Int(length) &+ 7) >> 3
    }
    static var sizeMaximum: Int { 5 }
    static var zeroAddress: IPv4Address { .any }
    @inline(__always)
    static func address(high: UInt64, low: UInt64) -> IPv4Address { IPv4Address(raw: UInt32(truncatingIfNeeded: low)) }
}

extension IPv6Prefix: NLRIKey {
    @inline(__always)
    static func read(_ nlri: RawSpan, at offset: Int) -> (packed: PackedIPv6Prefix, size: Int)? {
        let length = nlri.u8(offset)
        let size = (Int(length) &+ 7) >> 3
        guard length <= 128, size <= nlri.byteCount &- offset &- 1 else { return nil }
        var high: UInt64 = 0, low: UInt64 = 0
        for k in 0..<size {
            let octet = UInt64(nlri.u8(offset &+ 1 &+ k))
            if k < 8 { high |= octet << UInt64(56 &- 8 &* k) } else { low |= octet << UInt64(120 &- 8 &* k) }
        }
        let mask = IPv6Prefix.mask(length)
        return (PackedIPv6Prefix(high: high & mask.high, low: low & mask.low, length: UInt64(length)), size &+ 1)
    }
    @inline(__always)
    static func write(_ packed: PackedIPv6Prefix, to target: UnsafeMutablePointer<UInt8>) -> Int {
        unsafe target[0] = UInt8(truncatingIfNeeded: packed.length)
        unsafe UnsafeMutableRawPointer(target + 1).storeBytes(of: packed.high.bigEndian, as: UInt64.self)
        unsafe UnsafeMutableRawPointer(target + 9).storeBytes(of: packed.low.bigEndian, as: UInt64.self)
        return 1 &+ (Int(packed.length) &+ 7) >> 3
    }
    static var sizeMaximum: Int { 17 }
    static var zeroAddress: IPv6Address { .any }
    @inline(__always)
    static func address(high: UInt64, low: UInt64) -> IPv6Address { IPv6Address(high: high, low: low) }
}
