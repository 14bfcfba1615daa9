import Machine
import Routing
import Wire

/// A prefix as NLRI of IP spell it (RFC 4271 §4.3, RFC 4760 §5): a length in bits, then as many octets as that needs.
protocol UnicastPrefix: PrefixKey {
    /// The prefix of that length whose octets begin at `offset`; `nil` if it is too long or they run out.
    static func read(_ nlri: RawSpan, at offset: Int, length: UInt8) -> Packed?
    /// Writes the address, always all its octets, of which as many count as the length says: the caller leaves room.
    static func writeAddress(_ packed: Packed, to target: UnsafeMutablePointer<UInt8>)
    /// Octets of an address.
    static var addressSize: Int { get }
    /// From the two words of a next hop.
    static func address(high: UInt64, low: UInt64) -> Address
    /// Whether a next hop is of this family.
    static func isOwn(_ nextHop: NextHopTable.Entry) -> Bool
    var isUnusable: Bool { get }
    /// Parses `10.0.0.0/8`.
    init?(text: String)
}

extension IPv4Prefix: UnicastPrefix {
    @inline(__always)
    static func read(_ nlri: RawSpan, at offset: Int, length: UInt8) -> UInt64? {
        let size = (Int(length) &+ 7) >> 3
        let left = nlri.byteCount &- offset
        guard length <= 32, size <= left else { return nil }
        var raw: UInt32 = 0
        if left >= 4 {
            raw = nlri.u32(offset)
        } else {
            for k in 0..<size { raw |= UInt32(nlri.u8(offset &+ k)) << UInt32(24 &- 8 &* k) }
        }
        raw &= IPv4Prefix.mask(length)
        return UInt64(raw) << 8 | UInt64(length)
    }
    @inline(__always)
    static func writeAddress(_ packed: UInt64, to target: UnsafeMutablePointer<UInt8>) {
        unsafe UnsafeMutableRawPointer(target).storeBytes(
            of: UInt32(truncatingIfNeeded: packed >> 8).bigEndian, as: UInt32.self)
    }
    static var addressSize: Int { 4 }
    @inline(__always)
    static func address(high: UInt64, low: UInt64) -> IPv4Address { IPv4Address(raw: UInt32(truncatingIfNeeded: low)) }
    @inline(__always)
    static func isOwn(_ nextHop: NextHopTable.Entry) -> Bool { !nextHop.isIPv6 }
    @inline(__always)
    var isUnusable: Bool {
        // Groups, and what was never given out, up to the broadcast address; 0.0.0.0/8 and 127.0.0.0/8.
        let first = address.raw >> 24
        return first >= 224 ? length >= 3 : length >= 8 && (first == 0 || first == 127)
    }
    init?(text: String) { self.init(text) }
}

extension IPv6Prefix: UnicastPrefix {
    @inline(__always)
    static func read(_ nlri: RawSpan, at offset: Int, length: UInt8) -> PackedIPv6Prefix? {
        let size = (Int(length) &+ 7) >> 3
        guard length <= 128, size <= nlri.byteCount &- offset else { return nil }
        var high: UInt64 = 0, low: UInt64 = 0
        for k in 0..<size {
            let octet = UInt64(nlri.u8(offset &+ k))
            if k < 8 { high |= octet << UInt64(56 &- 8 &* k) } else { low |= octet << UInt64(120 &- 8 &* k) }
        }
        let mask = IPv6Prefix.mask(length)
        return PackedIPv6Prefix(high: high & mask.high, low: low & mask.low, length: UInt64(length))
    }
    @inline(__always)
    static func writeAddress(_ packed: PackedIPv6Prefix, to target: UnsafeMutablePointer<UInt8>) {
        unsafe UnsafeMutableRawPointer(target).storeBytes(of: packed.high.bigEndian, as: UInt64.self)
        unsafe UnsafeMutableRawPointer(target + 8).storeBytes(of: packed.low.bigEndian, as: UInt64.self)
    }
    static var addressSize: Int { 16 }
    @inline(__always)
    static func address(high: UInt64, low: UInt64) -> IPv6Address { IPv6Address(high: high, low: low) }
    /// The router itself is number 0 of next hops, whose entry is of no family.
    @inline(__always)
    static func isOwn(_ nextHop: NextHopTable.Entry) -> Bool { nextHop.isIPv6 || nextHop.high | nextHop.low == 0 }
    @inline(__always)
    var isUnusable: Bool {
        // ff00::/8, fe80::/10, the unspecified and the loopback address, IPv4-mapped ones (RFC 4291 §2.5.5.2).
        if length >= 8, address.isMulticast { return true }
        if length >= 10, address.isLinkLocal { return true }
        guard address.high == 0 else { return false }
        return length == 128 && address.low <= 1 || length >= 96 && address.low >> 32 == 0xffff
    }
    init?(text: String) { self.init(text) }
}

/// A family whose destinations are prefixes of IP addresses. Longest match comes with them (`PrefixTable`).
protocol PrefixFamily: RoutedFamily where Key: UnicastPrefix {}

extension PrefixFamily {
    @inline(__always)
    static func isUnusable(_ key: Key.Packed) -> Bool { Key(packed: key).isUnusable }
    static func host(_ address: IPAddress) -> Key.Packed? { Key.own(address).map { Key($0, Key.lengthMaximum).packed } }
    @inline(__always)
    static func prefix(_ key: Key.Packed) -> IPPrefix? { Key(packed: key).anyFamily }
    static func key(_ prefix: IPPrefix) -> Key? { Key(prefix) }
    static func key(_ text: String) -> Key? { Key(text: text) }
}
