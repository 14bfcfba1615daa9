import Wire

/// A family that BGP carries here, as a small number: an index for tables, and the name under which everything about the
/// family is found (`RoutedFamily`, `FamilyTables`).
@frozen
public struct RouteFamily: RawRepresentable, Hashable, Comparable, Sendable, Codable, CaseIterable, BitwiseCopyable,
    LosslessStringConvertible
{
    public let rawValue: UInt8

    /// `nil` for a number that this release has no family for.
    @inlinable public init?(rawValue: UInt8) {
        guard rawValue < Self.count else { return nil }
        self.rawValue = rawValue
    }
    @usableFromInline init(known rawValue: UInt8) { self.rawValue = rawValue }

    public static let ipv4Unicast = RouteFamily(known: 0)
    public static let ipv6Unicast = RouteFamily(known: 1)
    /// RFC 8277: with an MPLS label. Its routes are kept and passed on; nothing is forwarded by them yet.
    public static let ipv4LabelledUnicast = RouteFamily(known: 2)
    public static let ipv6LabelledUnicast = RouteFamily(known: 3)
    /// Telephone numbers.
    public static let e164 = RouteFamily(known: 4)

    /// How many there are: the size of tables indexed by `rawValue`.
    @inlinable public static var count: UInt8 { 5 }
    /// In ascending order of number.
    public static let allCases = (0..<count).map { RouteFamily(known: $0) }
    /// Those that a configuration file may name.
    public static let configurable: [RouteFamily] = [.ipv4Unicast, .ipv6Unicast]

    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    @inlinable public var index: Int { Int(rawValue) }

    /// `nil` for a pair that this release does not carry.
    public init?(_ code: FamilyCode) {
        for number in 0..<Self.count where RouteFamily(known: number).code == code {
            self.init(known: number)
            return
        }
        return nil
    }
    public init?(afi: UInt16, safi: UInt8) { self.init(FamilyCode(afi: afi, safi: safi)) }
    /// Unicast of an address family.
    public init(_ family: AddressFamily) { self = family == .ipv4 ? .ipv4Unicast : .ipv6Unicast }

    public var code: FamilyCode { type.code }
    public var afi: UInt16 { code.afi }
    public var safi: UInt8 { code.safi }
    /// The family of its prefixes' addresses; `nil` when they are none.
    public var addressFamily: AddressFamily? { AddressFamily(rawValue: afi) }
    /// RFC 8950 §4: whether a capability can give its routes IPv6 next hops. Only families of IPv4 need one: others have them
    /// anyway.
    public var canExtendNextHop: Bool { addressFamily == .ipv4 && !type.nextHops.contains(.ipv6) }
    /// As configuration and views spell it: `ipv4-unicast`.
    public var description: String { type.name }
}

/// A set of families, as negotiated on a session: one bit for each number.
@frozen
public struct RouteFamilySet: OptionSet, Hashable, Sendable, Codable, BitwiseCopyable {
    public var rawValue: UInt64
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
    public static let ipv4Unicast = RouteFamilySet(.ipv4Unicast)
    public static let ipv6Unicast = RouteFamilySet(.ipv6Unicast)
    @inlinable public init(_ family: RouteFamily) { rawValue = 1 << UInt64(family.rawValue) }
    @inlinable public func contains(_ family: RouteFamily) -> Bool { rawValue >> UInt64(family.rawValue) & 1 == 1 }
}
