import Policy
import Wire

extension Kind where Value == CommunitySetConfiguration.Entry {
    /// A community, or a pattern of them.
    static var communityEntry: Kind {
        Kind(values: "A:B, A:B:C, rt:A:B, soo:A:B, each part a number, N..M or *, or a name like no-export") { field in
            guard let text = field.text(1...80, "a community") else { return nil }
            if let entry = CommunityText.entry(text) { return entry }
            return field.wrong(
                "'\(text)' is no community; write A:B, A:B:C, rt:A:B or soo:A:B, each part a number, N..M or *, "
                    + "a name like no-export, or 0x and 16 digits of which * is any")
        } text: {
            YAMLWriter.scalar(CommunityText.text($0))
        }
    }
}

/// Entries of community sets as operators write them.
private enum CommunityText {
    static func entry(_ text: String) -> CommunitySetConfiguration.Entry? {
        if let community = Community(text) { return .standard(community) }
        if let large = LargeCommunity(text) { return .large(large) }
        if text.hasPrefix("0x") { return bits(text) }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2, let high: ClosedRange<UInt16> = range(parts[0]), let low: ClosedRange<UInt16> = range(parts[1]) {
            return high.count == 1 && low == 0...UInt16.max ? .standardOfAS(high.lowerBound) : .standardRange(high, low)
        }
        if parts.count == 3, let global: ClosedRange<UInt32> = range(parts[0]), let local1: ClosedRange<UInt32> = range(parts[1]),
            let local2: ClosedRange<UInt32> = range(parts[2])
        {
            if global.count == 1, local2 == 0...UInt32.max {
                if local1 == 0...UInt32.max { return .largeOfAS(global.lowerBound) }
                if local1.count == 1 { return .largeOfFunction(global.lowerBound, local1.lowerBound) }
            }
            return .largeRange(global, local1, local2)
        }
        return extended(text, parts)
    }

    /// `N`, `N..M` or `*`
    private static func range<Number: FixedWidthInteger>(_ text: Substring) -> ClosedRange<Number>? {
        if text == "*" { return Number.min...Number.max }
        let ends = text.split(separator: "..", omittingEmptySubsequences: false)
        guard ends.count <= 2, !text.contains("+"), !text.contains("-"), let low = Number(ends[0]),
            let high = Number(ends[ends.count - 1]), low <= high
        else { return nil }
        return low...high
    }

    private static let validationMask: UInt64 = 0xffff_0000_0000_00ff

    private static func extended(_ text: String, _ parts: [Substring]) -> CommunitySetConfiguration.Entry? {
        if let community = ExtendedCommunity(text) {
            // RFC 8097 §2: reserved octets are ignored.
            return parts[0] == "origin-validation"
                ? .extendedPattern(.bits(community.raw, mask: validationMask)) : .extended(community)
        }
        if text == "origin-validation:*" {
            return .extendedPattern(.bits(ExtendedCommunity.originValidationType << 48, mask: 0xffff << 48))
        }
        guard parts.count == 3 else { return nil }
        if parts[0] == "link-bandwidth", parts[2] == "*" {
            let type = ExtendedCommunity.linkBandwidthType << 48
            if parts[1] == "*" { return .extendedPattern(.bits(type, mask: 0xffff << 48)) }
            return UInt16(parts[1]).map { .extendedPattern(.bits(type | UInt64($0) << 32, mask: 0xffff_ffff << 32)) }
        }
        guard let kind = ExtendedCommunity.Kind(name: parts[0]), let (forms, global) = administrators(parts[1]),
            let local: ClosedRange<UInt32> = range(parts[2])
        else { return nil }
        return .extendedPattern(.administered(kind: kind.rawValue, forms: forms, global: global, local: local))
    }

    /// Whose communities, and in which forms: a bit for each.
    private static func administrators(_ text: Substring) -> (forms: UInt8, global: ClosedRange<UInt32>)? {
        func bit(_ form: ExtendedCommunity.Form) -> UInt8 { 1 << form.rawValue }
        if text == "*" { return (bit(.twoOctetAS) | bit(.address) | bit(.fourOctetAS), 0...UInt32.max) }
        if let (form, number) = ExtendedCommunity.administrator(text) { return (bit(form), number...number) }
        let isLong = text.hasSuffix("L")
        guard let numbers: ClosedRange<UInt32> = range(isLong ? text.dropLast() : text) else { return nil }
        if isLong || numbers.lowerBound > 0xffff { return (bit(.fourOctetAS), numbers) }
        return (bit(.twoOctetAS) | (numbers.upperBound > 0xffff ? bit(.fourOctetAS) : 0), numbers)
    }

    /// `0x` and hexadecimal digits, `*` for any; one at the end may stand for all that are left.
    private static func bits(_ text: String) -> CommunitySetConfiguration.Entry? {
        var digits = Array(text.dropFirst(2))
        if digits.last == "*", digits.count < 16 { digits += Array(repeating: "*", count: 16 - digits.count) }
        guard digits.count == 16 else { return nil }
        var value: UInt64 = 0, mask: UInt64 = 0
        for digit in digits {
            value <<= 4
            mask <<= 4
            if digit == "*" { continue }
            guard digit.isASCII, let number = digit.hexDigitValue else { return nil }
            value |= UInt64(number)
            mask |= 0xf
        }
        return mask == .max ? .extended(ExtendedCommunity(raw: value)) : .extendedPattern(.bits(value, mask: mask))
    }

    // MARK: text

    static func text(_ entry: CommunitySetConfiguration.Entry) -> String {
        switch entry {
        case .standard(let community): "\(community)"
        case .standardOfAS(let number): "\(number):*"
        case .standardRange(let high, let low): "\(part(high)):\(part(low))"
        case .large(let community): "\(community)"
        case .largeOfAS(let global): "\(global):*:*"
        case .largeOfFunction(let global, let function): "\(global):\(function):*"
        case .largeRange(let global, let local1, let local2): "\(part(global)):\(part(local1)):\(part(local2))"
        case .extended(let community): "\(community)"
        case .extendedPattern(.bits(let value, let mask)): text(value, mask)
        case .extendedPattern(.administered(let kind, let forms, let global, let local)):
            "\((ExtendedCommunity.Kind(rawValue: kind) ?? .routeTarget).name):\(administrators(forms, global)):\(part(local))"
        }
    }

    private static func part<Number: FixedWidthInteger>(_ range: ClosedRange<Number>) -> String {
        if range == Number.min...Number.max { return "*" }
        return range.lowerBound == range.upperBound ? "\(range.lowerBound)" : "\(range.lowerBound)..\(range.upperBound)"
    }

    private static func administrators(_ forms: UInt8, _ global: ClosedRange<UInt32>) -> String {
        switch forms {
        case 1 << ExtendedCommunity.Form.address.rawValue: "\(IPv4Address(raw: global.lowerBound))"
        case 1 << ExtendedCommunity.Form.fourOctetAS.rawValue where global.lowerBound <= 0xffff:
            "\(global.lowerBound == global.upperBound ? "\(global.lowerBound)" : "\(global.lowerBound)..\(global.upperBound)")L"
        default: part(global)
        }
    }

    private static func text(_ value: UInt64, _ mask: UInt64) -> String {
        switch (value >> 48, mask) {
        case (ExtendedCommunity.originValidationType, validationMask): return "\(ExtendedCommunity(raw: value))"
        case (ExtendedCommunity.originValidationType, 0xffff << 48): return "origin-validation:*"
        case (ExtendedCommunity.linkBandwidthType, 0xffff << 48): return "link-bandwidth:*:*"
        case (ExtendedCommunity.linkBandwidthType, 0xffff_ffff << 32): return "link-bandwidth:\(value >> 32 & 0xffff):*"
        default:
            let digits = zip(ExtendedCommunity.hexadecimal(value), ExtendedCommunity.hexadecimal(mask))
            return "0x" + String(digits.map { $1 == "0" ? "*" : $0 })
        }
    }
}
