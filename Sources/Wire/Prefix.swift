/// An IPv4 prefix with its host bits clear.
@frozen
public struct IPv4Prefix: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public let address: IPv4Address
    /// 0…32
    public let length: UInt8

    /// Clears the host bits. `length` must be 0…32.
    @inlinable
    public init(_ address: IPv4Address, _ length: UInt8) {
        precondition(length <= 32, "an IPv4 prefix has at most 32 bits")
        self.address = IPv4Address(raw: address.raw & Self.mask(length))
        self.length = length
    }

    @inlinable public static func mask(_ length: UInt8) -> UInt32 { length == 0 ? 0 : ~0 << (32 - UInt32(length)) }
    @inlinable public func contains(_ a: IPv4Address) -> Bool { a.raw & Self.mask(length) == address.raw }
    @inlinable public func covers(_ p: IPv4Prefix) -> Bool { p.length >= length && contains(p.address) }
    @inlinable public static func < (a: Self, b: Self) -> Bool {
        a.address != b.address ? a.address < b.address : a.length < b.length
    }

    /// Parses `a.b.c.d/len`; host bits must be clear.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv4Address(parts[0]), let length = UInt8(parts[1]), length <= 32,
            parts[1].utf8.first != UInt8(ascii: "+"), address.raw & ~Self.mask(length) == 0
        else { return nil }
        self.init(address, length)
    }

    public var description: String { "\(address)/\(length)" }
}

/// An IPv6 prefix with its host bits clear.
@frozen
public struct IPv6Prefix: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public let address: IPv6Address
    /// 0…128
    public let length: UInt8

    /// 100::/64, of which nothing is ever delivered (RFC 6666).
    public static let discardOnly = IPv6Prefix(IPv6Address(high: 0x0100_0000_0000_0000, low: 0), 64)

    /// Clears the host bits. `length` must be 0…128.
    @inlinable
    public init(_ address: IPv6Address, _ length: UInt8) {
        precondition(length <= 128, "an IPv6 prefix has at most 128 bits")
        let mask = Self.mask(length)
        self.address = IPv6Address(high: address.high & mask.high, low: address.low & mask.low)
        self.length = length
    }

    @inlinable public static func mask(_ length: UInt8) -> (high: UInt64, low: UInt64) {
        if length == 0 { return (0, 0) }
        if length <= 64 { return (~0 << (64 - UInt64(length)), 0) }
        return (~0, ~0 << (128 - UInt64(length)))
    }
    @inlinable public func contains(_ a: IPv6Address) -> Bool {
        let mask = Self.mask(length)
        return a.high & mask.high == address.high && a.low & mask.low == address.low
    }
    @inlinable public func covers(_ p: IPv6Prefix) -> Bool { p.length >= length && contains(p.address) }
    @inlinable public static func < (a: Self, b: Self) -> Bool {
        a.address != b.address ? a.address < b.address : a.length < b.length
    }

    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPv6Address(parts[0]), let length = UInt8(parts[1]), length <= 128,
            parts[1].utf8.first != UInt8(ascii: "+")
        else { return nil }
        self.init(address, length)
        guard self.address == address else { return nil }
    }

    public var description: String { "\(address)/\(length)" }
}

/// A prefix of either family, for configuration and display; tables keep the families apart.
@frozen
public enum IPPrefix: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    case v4(IPv4Prefix)
    case v6(IPv6Prefix)

    public init?(_ text: some StringProtocol) {
        if let v4 = IPv4Prefix(text) {
            self = .v4(v4)
        } else if let v6 = IPv6Prefix(text) {
            self = .v6(v6)
        } else {
            return nil
        }
    }

    public var family: AddressFamily {
        switch self {
        case .v4: .ipv4
        case .v6: .ipv6
        }
    }
    public var length: UInt8 {
        switch self {
        case .v4(let p): p.length
        case .v6(let p): p.length
        }
    }
    /// The prefix of an address; host bits are cleared, and a length beyond the family's is the family's.
    public init(_ address: IPAddress, _ length: UInt8) {
        switch address {
        case .v4(let a): self = .v4(IPv4Prefix(a, min(length, 32)))
        case .v6(let a): self = .v6(IPv6Prefix(a, min(length, 128)))
        }
    }
    /// Its bits before the length.
    public var address: IPAddress {
        switch self {
        case .v4(let p): .v4(p.address)
        case .v6(let p): .v6(p.address)
        }
    }
    public func contains(_ address: IPAddress) -> Bool {
        switch (self, address) {
        case (.v4(let p), .v4(let a)): p.contains(a)
        case (.v6(let p), .v6(let a)): p.contains(a)
        default: false
        }
    }
    public func covers(_ other: IPPrefix) -> Bool {
        switch (self, other) {
        case (.v4(let a), .v4(let b)): a.covers(b)
        case (.v6(let a), .v6(let b)): a.covers(b)
        default: false
        }
    }
    public static func < (a: Self, b: Self) -> Bool {
        switch (a, b) {
        case (.v4(let a), .v4(let b)): a < b
        case (.v6(let a), .v6(let b)): a < b
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
    public var description: String {
        switch self {
        case .v4(let p): p.description
        case .v6(let p): p.description
        }
    }
}
