/// RFC 4360 §2: eight octets, the first of which, mostly with the second, say what the others are.
///
/// As text: `rt:65000:1`, `rt:192.0.2.1:1` and `rt:70000:1` for route targets (§4), `soo:…` for origins of routes (§5), in the
/// forms of a two-octet AS, an IPv4 address (§3.1, §3.2) and a four-octet AS (RFC 5668), in which a number that would fit two
/// octets has an L: `rt:65000L:1`; `link-bandwidth:65000:125000000`, in octets per second; `origin-validation:valid` (RFC 8097);
/// anything else in hexadecimal, `0x030c000000000008`.
@frozen
public struct ExtendedCommunity: Hashable, Comparable, Sendable, BitwiseCopyable {
    public var raw: UInt64
    @inlinable public init(raw: UInt64) { self.raw = raw }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.raw < b.raw }

    /// How the six octets behind the type are divided (RFC 4360 §3, RFC 5668 §2): whose it is, and a number of theirs.
    public enum Form: UInt8, CaseIterable, Sendable {
        /// An AS of two octets, a number of four.
        case twoOctetAS = 0
        /// An address, a number of two octets.
        case address = 1
        /// An AS of four octets, a number of two.
        case fourOctetAS = 2

        /// Bits of the number at the end.
        public var localBits: UInt64 { self == .twoOctetAS ? 32 : 16 }
    }

    /// RFC 4360 §4 and §5: transitive, with this low-order octet of the type.
    public enum Kind: UInt8, CaseIterable, Sendable {
        case routeTarget = 0x02
        case routeOrigin = 0x03

        public var name: String { self == .routeTarget ? "rt" : "soo" }
        /// By what operators call it.
        public init?(name: some StringProtocol) {
            switch name {
            case "rt": self = .routeTarget
            case "soo", "ro": self = .routeOrigin
            default: return nil
            }
        }
    }

    public init(_ kind: Kind, _ form: Form, global: UInt32, local: UInt32) {
        let bits = form.localBits
        raw =
            UInt64(form.rawValue) << 56 | UInt64(kind.rawValue) << 48 | UInt64(global) << bits & 0xffff_ffff_ffff
            | UInt64(local) & ((1 << bits) - 1)
    }

    public var form: Form? { Form(rawValue: UInt8(raw >> 56)) }
    public var kind: Kind? { form == nil ? nil : Kind(rawValue: UInt8(truncatingIfNeeded: raw >> 48)) }
    /// Of those that have a form.
    public var global: UInt32 {
        form == .twoOctetAS ? UInt32(raw >> 32 & 0xffff) : UInt32(raw >> 16 & 0xffff_ffff)
    }
    public var local: UInt32 { UInt32(form == .twoOctetAS ? raw & 0xffff_ffff : raw & 0xffff) }

    /// draft-ietf-idr-link-bandwidth: non-transitive, a two-octet AS and a number of IEEE 754 in octets per second.
    public static let linkBandwidthType: UInt64 = 0x4004
    /// RFC 8097 §2: five reserved octets and the state.
    public static let originValidationType: UInt64 = 0x4300
    /// In the order of their numbers.
    public static let originValidationStates = ["valid", "not-found", "invalid"]

    /// - Parameter speed: octets per second, kept as the nearest number that the form has.
    public init(linkBandwidthOf asNumber: UInt16, speed: UInt64) {
        raw = Self.linkBandwidthType << 48 | UInt64(asNumber) << 32 | UInt64(SinglePrecision.bits(speed))
    }
    public init(originValidation state: UInt8) { raw = Self.originValidationType << 48 | UInt64(state) }

    /// Octets per second; `nil`: it is no link bandwidth, or none that is a whole number.
    public var linkBandwidth: UInt64? {
        raw >> 48 == Self.linkBandwidthType ? SinglePrecision.whole(UInt32(raw & 0xffff_ffff)) : nil
    }
}

extension ExtendedCommunity: CustomStringConvertible {
    /// Parses what `description` says.
    public init?(_ text: some StringProtocol) {
        if text.hasPrefix("0x") {
            let digits = text.dropFirst(2)
            guard digits.utf8.count == 16, digits.allSatisfy(\.isHexDigit), let raw = UInt64(digits, radix: 16) else {
                return nil
            }
            self.init(raw: raw)
            return
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.allSatisfy({ !$0.hasPrefix("+") }), let name = parts.first else { return nil }
        switch (name, parts.count) {
        case ("link-bandwidth", 3):
            guard let asNumber = UInt16(parts[1]), let speed = UInt64(parts[2]) else { return nil }
            self.init(linkBandwidthOf: asNumber, speed: speed)
        case ("origin-validation", 2):
            guard let state = Self.originValidationStates.firstIndex(where: { $0 == parts[1] }) else { return nil }
            self.init(originValidation: UInt8(state))
        case (_, 3):
            guard let kind = Kind(name: name), let (form, global) = Self.administrator(parts[1]), let local = UInt32(parts[2]),
                form == .twoOctetAS || local <= 0xffff
            else { return nil }
            self.init(kind, form, global: global, local: local)
        default: return nil
        }
    }

    /// Whose it is: `65000`, `70000`, `65000L` or an address.
    public static func administrator(_ text: some StringProtocol) -> (form: Form, global: UInt32)? {
        if let address = IPv4Address(String(text)) { return (.address, address.raw) }
        if text.hasSuffix("L"), let number = ASNumber(text.dropLast()) { return (.fourOctetAS, number.raw) }
        guard let number = ASNumber(text) else { return nil }
        return (number.raw <= 0xffff ? .twoOctetAS : .fourOctetAS, number.raw)
    }

    public var description: String {
        if let kind, let form {
            let administrator =
                switch form {
                case .address: "\(IPv4Address(raw: global))"
                case .fourOctetAS where global <= 0xffff: "\(global)L"
                case .twoOctetAS, .fourOctetAS: "\(global)"
                }
            return "\(kind.name):\(administrator):\(local)"
        }
        if let linkBandwidth { return "link-bandwidth:\(raw >> 32 & 0xffff):\(linkBandwidth)" }
        if raw >> 8 == Self.originValidationType << 40, Int(raw & 0xff) < Self.originValidationStates.count {
            return "origin-validation:\(Self.originValidationStates[Int(raw & 0xff)])"
        }
        return "0x" + Self.hexadecimal(raw)
    }

    /// Sixteen digits.
    public static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

extension ExtendedCommunity: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(raw: try decoder.singleValueContainer().decode(UInt64.self))
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(raw)
    }
}

/// IEEE 754 single precision, by integers alone: what computes the same on every machine.
private enum SinglePrecision {
    /// The nearest number, the even one of two.
    static func bits(_ value: UInt64) -> UInt32 {
        guard value > 0 else { return 0 }
        var exponent = 63 - UInt64(value.leadingZeroBitCount)
        var fraction = value
        if exponent > 23 {
            let shift = exponent - 23
            let rest = value & ((1 << shift) - 1), half: UInt64 = 1 << (shift - 1)
            fraction = value >> shift
            if rest > half || rest == half && fraction & 1 == 1 { fraction += 1 }
            if fraction == 1 << 24 {
                fraction >>= 1
                exponent += 1
            }
        } else {
            fraction = value << (23 - exponent)
        }
        return UInt32(exponent + 127) << 23 | UInt32(fraction & 0x7f_ffff)
    }

    /// `nil` for what is no whole number below 2^64.
    static func whole(_ bits: UInt32) -> UInt64? {
        if bits == 0 { return 0 }
        let exponent = Int(bits >> 23) - 127
        guard (0...63).contains(exponent) else { return nil }
        let fraction = UInt64(bits & 0x7f_ffff) | 0x80_0000
        if exponent >= 23 { return fraction << UInt64(exponent - 23) }
        let shift = UInt64(23 - exponent)
        return fraction & ((1 << shift) - 1) == 0 ? fraction >> shift : nil
    }
}
