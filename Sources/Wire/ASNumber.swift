/// An autonomous system number, four octets (RFC 6793).
@frozen
public struct ASNumber: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var raw: UInt32
    @inlinable public init(_ raw: UInt32) { self.raw = raw }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    /// RFC 6793 §9: stands in two-octet fields for a number that does not fit.
    public static let transition = ASNumber(23456)
    /// RFC 7607: reserved, never on the wire.
    public static let zero = ASNumber(0)
    /// RFC 6996 §5: 64512…65534 and 4200000000…4294967294.
    public var isPrivate: Bool { (64512...65534).contains(raw) || (4_200_000_000...4_294_967_294).contains(raw) }
    /// The number as a two-octet field says it: itself, or AS_TRANS.
    @inlinable public var twoOctets: UInt16 { raw > 0xffff ? 23456 : UInt16(truncatingIfNeeded: raw) }

    /// Parses asplain (RFC 5396 §2) or asdot+ (`1.10`).
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.first != UInt8(ascii: "+"), parts.last?.utf8.first != UInt8(ascii: "+") else { return nil }
        if parts.count == 1, let raw = UInt32(text) {
            self.raw = raw
        } else if parts.count == 2, let high = UInt16(parts[0]), let low = UInt16(parts[1]) {
            raw = UInt32(high) << 16 | UInt32(low)
        } else {
            return nil
        }
    }
    public var description: String { "\(raw)" }
}

extension ASNumber: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(UInt32.self))
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(raw)
    }
}
