/// RFC 4271 §4.3 (a). A lower value is preferred.
@frozen
public enum Origin: UInt8, Hashable, Comparable, Sendable, Codable, CaseIterable, BitwiseCopyable {
    case igp = 0
    case egp = 1
    case incomplete = 2
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
