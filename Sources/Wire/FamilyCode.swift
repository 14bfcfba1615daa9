/// AFI and SAFI as they stand on the wire (RFC 4760 §3), of any family, carried here or not.
@frozen
public struct FamilyCode: Hashable, Comparable, Sendable, Codable, BitwiseCopyable, CustomStringConvertible {
    /// Address Family Identifier, as IANA gives it out: 1 is IPv4, 2 IPv6, 8 E.164.
    public var afi: UInt16
    /// Subsequent Address Family Identifier: 1 is unicast, 4 unicast with labels (RFC 8277 §2).
    public var safi: UInt8
    @inlinable public init(afi: UInt16, safi: UInt8) {
        self.afi = afi
        self.safi = safi
    }
    /// Unicast of an address family.
    @inlinable public init(unicast family: AddressFamily) { self.init(afi: family.rawValue, safi: 1) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.afi != b.afi ? a.afi < b.afi : a.safi < b.safi }
    public var description: String { "AFI \(afi) SAFI \(safi)" }
}
