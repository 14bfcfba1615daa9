/// RFC 1997: the AS in the high half, by convention.
@frozen
public struct Community: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var raw: UInt32
    @inlinable public init(raw: UInt32) { self.raw = raw }
    @inlinable public init(_ high: UInt16, _ low: UInt16) { raw = UInt32(high) << 16 | UInt32(low) }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    public static let noExport = Community(raw: 0xffff_ff01)
    public static let noAdvertise = Community(raw: 0xffff_ff02)
    public static let noExportSubconfed = Community(raw: 0xffff_ff03)
    /// RFC 3765
    public static let noPeer = Community(raw: 0xffff_ff04)
    /// RFC 7999
    public static let blackhole = Community(raw: 0xffff_029a)
    /// RFC 8326
    public static let gracefulShutdown = Community(raw: 0xffff_0000)
    /// RFC 9494 §3.2: kept for long after its session.
    public static let llgrStale = Community(raw: 0xffff_0006)
    /// RFC 9494 §3.3: not to be kept so.
    public static let noLLGR = Community(raw: 0xffff_0007)

    private static let names: [(String, Community)] = [
        ("no-export", .noExport), ("no-advertise", .noAdvertise), ("no-export-subconfed", .noExportSubconfed),
        ("no-peer", .noPeer), ("blackhole", .blackhole), ("graceful-shutdown", .gracefulShutdown),
        ("llgr-stale", .llgrStale), ("no-llgr", .noLLGR),
    ]

    /// Parses `high:low` or a registered name.
    public init?(_ text: some StringProtocol) {
        if let named = Self.names.first(where: { text == $0.0 }) {
            self = named.1
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let high = UInt16(parts[0]), let low = UInt16(parts[1]) else { return nil }
        self.init(high, low)
    }
    public var description: String {
        Self.names.first { $0.1 == self }?.0 ?? "\(raw >> 16):\(raw & 0xffff)"
    }
}

/// RFC 8092: three four-octet parts.
@frozen
public struct LargeCommunity: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var global: UInt32
    public var local1: UInt32
    public var local2: UInt32
    @inlinable public init(_ global: UInt32, _ local1: UInt32, _ local2: UInt32) {
        self.global = global
        self.local1 = local1
        self.local2 = local2
    }
    @inlinable public static func < (a: Self, b: Self) -> Bool {
        a.global != b.global ? a.global < b.global : a.local1 != b.local1 ? a.local1 < b.local1 : a.local2 < b.local2
    }
    /// Parses `global:local1:local2`.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let g = UInt32(parts[0]), let a = UInt32(parts[1]), let b = UInt32(parts[2]) else {
            return nil
        }
        self.init(g, a, b)
    }
    public var description: String { "\(global):\(local1):\(local2)" }
}

extension Community: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(raw: try decoder.singleValueContainer().decode(UInt32.self))
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(raw)
    }
}
extension LargeCommunity: Codable {}
