import Machine
import Wire

/// A key that is a prefix of addresses: what longest-prefix match and the routing tables of IP need besides.
public protocol PrefixKey: TableKey {
    associatedtype Address: Hashable & Comparable & Sendable & BitwiseCopyable

    static var family: AddressFamily { get }

    var address: Address { get }
    /// Clears the host bits.
    init(_ address: Address, _ length: UInt8)
    var anyFamily: IPPrefix { get }
    /// `nil` when the prefix is of the other family.
    init?(_ prefix: IPPrefix)
    static func address(_ address: Address) -> IPAddress
    /// `nil` when the address is of the other family.
    static func own(_ address: IPAddress) -> Address?
}

extension PrefixKey {
    @inlinable @inline(__always)
    public func shortened(to length: UInt8) -> Self { Self(address, length) }
}

extension IPv4Prefix: PrefixKey {
    @inlinable public static var family: AddressFamily { .ipv4 }
    @inlinable public static var lengthMaximum: UInt8 { 32 }
    @inlinable public static var vacant: UInt64 { .max }
    @inlinable public static var everything: IPv4Prefix { IPv4Prefix(.any, 0) }
    /// Address in the upper part and length in the lowest octet: the order of numbers is the order of prefixes.
    @inlinable @inline(__always)
    public var packed: UInt64 { UInt64(address.raw) << 8 | UInt64(length) }
    @inlinable @inline(__always)
    public init(packed: UInt64) {
        self.init(IPv4Address(raw: UInt32(truncatingIfNeeded: packed >> 8)), UInt8(truncatingIfNeeded: packed))
    }
    public var anyFamily: IPPrefix { .v4(self) }
    public init?(_ prefix: IPPrefix) {
        guard case .v4(let p) = prefix else { return nil }
        self = p
    }
    public static func address(_ address: IPv4Address) -> IPAddress { .v4(address) }
    public static func own(_ address: IPAddress) -> IPv4Address? {
        if case .v4(let own) = address { return own }
        return nil
    }
    @inlinable @inline(__always)
    public static func hash(_ packed: UInt64, seed: UInt64) -> UInt64 {
        seededHash(packed, 0x9e37_79b9_7f4a_7c15, seed: seed)
    }
    @inlinable @inline(__always)
    public static func length(of packed: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: packed) }
}

/// An IPv6 prefix in three words.
@frozen
public struct PackedIPv6Prefix: Hashable, Sendable, BitwiseCopyable {
    public var high: UInt64
    public var low: UInt64
    public var length: UInt64
    @inlinable public init(high: UInt64, low: UInt64, length: UInt64) {
        self.high = high
        self.low = low
        self.length = length
    }
}

extension IPv6Prefix: PrefixKey {
    @inlinable public static var family: AddressFamily { .ipv6 }
    @inlinable public static var lengthMaximum: UInt8 { 128 }
    @inlinable public static var everything: IPv6Prefix { IPv6Prefix(.any, 0) }
    @inlinable public static var vacant: PackedIPv6Prefix { PackedIPv6Prefix(high: .max, low: .max, length: .max) }
    @inlinable @inline(__always)
    public var packed: PackedIPv6Prefix {
        PackedIPv6Prefix(high: address.high, low: address.low, length: UInt64(length))
    }
    @inlinable @inline(__always)
    public init(packed: PackedIPv6Prefix) {
        self.init(IPv6Address(high: packed.high, low: packed.low), UInt8(truncatingIfNeeded: packed.length))
    }
    public var anyFamily: IPPrefix { .v6(self) }
    public init?(_ prefix: IPPrefix) {
        guard case .v6(let p) = prefix else { return nil }
        self = p
    }
    public static func address(_ address: IPv6Address) -> IPAddress { .v6(address) }
    public static func own(_ address: IPAddress) -> IPv6Address? {
        if case .v6(let own) = address { return own }
        return nil
    }
    @inlinable @inline(__always)
    public static func hash(_ packed: PackedIPv6Prefix, seed: UInt64) -> UInt64 {
        seededHash(packed.high, packed.low ^ packed.length << 56 ^ packed.length, seed: seed)
    }
    @inlinable @inline(__always)
    public static func length(of packed: PackedIPv6Prefix) -> UInt8 { UInt8(truncatingIfNeeded: packed.length) }
}
