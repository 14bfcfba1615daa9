import Wire

/// A BGP Identifier: four octets, unique in the AS, not zero (RFC 6286).
@frozen
public struct RouterID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var raw: UInt32
    @inlinable public init(raw: UInt32) { self.raw = raw }
    @inlinable public init(_ address: IPv4Address) { raw = address.raw }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    /// Parses dotted decimal.
    public init?(_ text: some StringProtocol) {
        guard let address = IPv4Address(text) else { return nil }
        raw = address.raw
    }
    public var description: String { IPv4Address(raw: raw).description }
}

extension RouterID: TextCodable {}

/// A neighbour's slot in the instance's tables. It stays the neighbour's own while it is configured, and is reused only
/// after its routes are gone.
@frozen
public struct PeerIndex: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var value: UInt16
    @inlinable public init(_ value: UInt16) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    public var description: String { "peer \(value)" }
}
