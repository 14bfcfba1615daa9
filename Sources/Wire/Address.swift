/// An IPv4 address. `raw` is in host order, so that comparing numbers compares addresses.
@frozen
public struct IPv4Address: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var raw: UInt32
    @inlinable public init(raw: UInt32) { self.raw = raw }
    @inlinable public init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        raw = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    public static let any = IPv4Address(raw: 0)
    public static let broadcast = IPv4Address(raw: .max)
    /// 127.0.0.0/8
    public var isLoopback: Bool { raw >> 24 == 127 }
    /// 224.0.0.0/4
    public var isMulticast: Bool { raw >> 28 == 14 }

    /// Parses dotted decimal: four numbers without leading zeros or blanks; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        var raw: UInt32 = 0
        var parts = 0, digits = 0
        var value: UInt32 = 0
        for c in text.utf8 {
            if c == UInt8(ascii: ".") {
                guard digits > 0, parts < 3 else { return nil }
                raw = raw << 8 | value
                parts += 1
                digits = 0
                value = 0
            } else {
                guard c >= 48, c <= 57, digits < 3, !(digits > 0 && value == 0) else { return nil }
                value = value * 10 + UInt32(c - 48)
                digits += 1
                guard value <= 255 else { return nil }
            }
        }
        guard parts == 3, digits > 0 else { return nil }
        self.raw = raw << 8 | value
    }

    public var description: String { "\(raw >> 24).\(raw >> 16 & 255).\(raw >> 8 & 255).\(raw & 255)" }
}

/// An IPv6 address as two halves in host order.
@frozen
public struct IPv6Address: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var high: UInt64
    public var low: UInt64
    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.high != b.high ? a.high < b.high : a.low < b.low }

    public static let any = IPv6Address(high: 0, low: 0)
    /// fe80::/10
    public var isLinkLocal: Bool { high >> 54 == 0x3fa }
    /// ff00::/8
    public var isMulticast: Bool { high >> 56 == 0xff }
    public var isLoopback: Bool { high == 0 && low == 1 }
    /// RFC 4291 §2.7.1: ff02::1:ff00:0/104 with the last 24 bits of this address.
    public var solicitedNode: IPv6Address {
        IPv6Address(high: 0xff02_0000_0000_0000, low: 0x0000_0001_ff00_0000 | low & 0xff_ffff)
    }

    /// The 16-bit group `index` (0 is the leftmost).
    @inlinable public func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64((3 - (index & 3)) * 16))
    }

    /// Parses the text forms of RFC 4291 §2.2, the one with an embedded IPv4 address included; no zone.
    public init?(_ text: some StringProtocol) {
        var groups: [UInt16] = []
        var gap: Int? = nil
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 3, parts.count <= 9 else { return nil }
        for (i, part) in parts.enumerated() {
            if part.isEmpty {
                // An empty part is half of "::"; at either end it needs its neighbour to be empty as well.
                if i == 0 {
                    guard parts[1].isEmpty else { return nil }
                    continue
                }
                if i == parts.count - 1 {
                    guard parts[i - 1].isEmpty else { return nil }
                    continue
                }
                guard gap == nil else { return nil }
                gap = groups.count
                continue
            }
            if i == parts.count - 1, part.contains(".") {
                guard let v4 = IPv4Address(part) else { return nil }
                groups.append(UInt16(v4.raw >> 16))
                groups.append(UInt16(v4.raw & 0xffff))
                continue
            }
            guard part.utf8.count <= 4, let value = UInt16(part, radix: 16), part.utf8.first != UInt8(ascii: "+") else {
                return nil
            }
            groups.append(value)
        }
        if let gap {
            guard groups.count <= 7 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        high = groups[0..<4].reduce(0) { $0 << 16 | UInt64($1) }
        low = groups[4..<8].reduce(0) { $0 << 16 | UInt64($1) }
    }

    /// RFC 5952 §4: lower case, no leading zeros, the longest (first of equals) run of two or more zero groups as "::".
    public var description: String {
        if high == 0, low >> 32 == 0xffff { return "::ffff:\(IPv4Address(raw: UInt32(truncatingIfNeeded: low)))" }
        var bestStart = -1, bestLength = 1
        var i = 0
        while i < 8 {
            var j = i
            while j < 8, group(j) == 0 { j += 1 }
            if j - i > bestLength {
                bestStart = i
                bestLength = j - i
            }
            i = max(j, i + 1)
        }
        var text = ""
        i = 0
        while i < 8 {
            if i == bestStart {
                text += "::"
                i += bestLength
                continue
            }
            if !text.isEmpty, !text.hasSuffix(":") { text += ":" }
            text += String(group(i), radix: 16)
            i += 1
        }
        return text
    }
}

/// An address of either family.
@frozen
public enum IPAddress: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    case v4(IPv4Address)
    case v6(IPv6Address)

    public init?(_ text: some StringProtocol) {
        if let v4 = IPv4Address(text) {
            self = .v4(v4)
        } else if let v6 = IPv6Address(text) {
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
        case .v4(let a): a.description
        case .v6(let a): a.description
        }
    }
}

/// Address family numbers as BGP and the IANA registry spell them.
@frozen
public enum AddressFamily: UInt16, Sendable, Hashable, CaseIterable, Codable, BitwiseCopyable {
    case ipv4 = 1
    case ipv6 = 2
}

/// A 48-bit Ethernet address, right-aligned in `raw`.
@frozen
public struct MACAddress: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    public var raw: UInt64
    @inlinable public init(raw: UInt64) { self.raw = raw & 0xffff_ffff_ffff }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    public static let broadcast = MACAddress(raw: 0xffff_ffff_ffff)
    @inlinable public var isGroup: Bool { raw >> 40 & 1 == 1 }

    /// Six two-digit hexadecimal groups with colons.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6 else { return nil }
        var raw: UInt64 = 0
        for part in parts {
            guard part.utf8.count == 2, part.utf8.first != UInt8(ascii: "+"), let byte = UInt8(part, radix: 16) else {
                return nil
            }
            raw = raw << 8 | UInt64(byte)
        }
        self.raw = raw
    }

    public var description: String {
        (0..<6).map { i in
            let byte = UInt8(truncatingIfNeeded: raw >> UInt64((5 - i) * 8))
            return (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined(separator: ":")
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func ipv4(_ field: StaticString) throws(DecodeError) -> IPv4Address {
        IPv4Address(raw: try u32(field))
    }
    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func ipv6(_ field: StaticString) throws(DecodeError) -> IPv6Address {
        let high = try u64(field)
        return IPv6Address(high: high, low: try u64(field))
    }
    @_lifetime(self: copy self)
    @inlinable @inline(__always)
    public mutating func mac(_ field: StaticString) throws(DecodeError) -> MACAddress {
        let high = try u16(field)
        return MACAddress(raw: UInt64(high) << 32 | UInt64(try u32(field)))
    }
}

extension ByteWriter {
    @inlinable public mutating func ipv4(_ address: IPv4Address) { u32(address.raw) }
    @inlinable public mutating func ipv6(_ address: IPv6Address) {
        u64(address.high)
        u64(address.low)
    }
    @inlinable public mutating func mac(_ address: MACAddress) {
        u16(UInt16(truncatingIfNeeded: address.raw >> 32))
        u32(UInt32(truncatingIfNeeded: address.raw))
    }
}
