import Wire

/// The area part of a network entity title: 1 to 13 octets (ISO 10589 §7.1.1), for IP commonly `49.0001`.
public struct AreaAddress: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The octets, left-aligned over both words; the rest is zero.
    let high: UInt64
    let low: UInt64
    /// Octets, 1…13.
    public let length: UInt8

    public static let lengthMaximum = 13

    /// `nil` unless there are 1…13 octets.
    public init?(_ octets: [UInt8]) {
        guard (1...Self.lengthMaximum).contains(octets.count) else { return nil }
        var high: UInt64 = 0, low: UInt64 = 0
        for (i, octet) in octets.enumerated() {
            if i < 8 { high |= UInt64(octet) << UInt64(56 - 8 * i) } else { low |= UInt64(octet) << UInt64(120 - 8 * i) }
        }
        self.high = high
        self.low = low
        length = UInt8(octets.count)
    }

    public var octets: [UInt8] {
        var octets: [UInt8] = []
        octets.reserveCapacity(Int(length))
        for i in 0..<Int(length) {
            let word = i < 8 ? high >> UInt64(56 - 8 * i) : low >> UInt64(120 - 8 * i)
            octets.append(UInt8(truncatingIfNeeded: word))
        }
        return octets
    }

    /// By octets from the left; the shorter one first where one begins the other.
    public static func < (a: Self, b: Self) -> Bool {
        if a.high != b.high { return a.high < b.high }
        if a.low != b.low { return a.low < b.low }
        return a.length < b.length
    }

    /// Parses hexadecimal octets, with dots between octets wherever the writer likes them: `49.0001`, `47.0023.0001`.
    public init?(_ text: some StringProtocol) {
        guard let octets = parseDottedHexadecimal(text) else { return nil }
        self.init(octets)
    }

    /// The first octet (AFI), then groups of two octets.
    public var description: String { dottedHexadecimal(octets) }
}

/// A network entity title: area address, system identifier and the selector 0 (ISO 10589 §7.1.1), as configured.
public struct NetworkEntityTitle: Hashable, Sendable, CustomStringConvertible {
    public var area: AreaAddress
    public var system: SystemID

    public init(area: AreaAddress, system: SystemID) {
        self.area = area
        self.system = system
    }

    /// Parses `49.0001.1921.6800.1001.00`; the selector must be 0.
    public init?(_ text: some StringProtocol) {
        guard let octets = parseDottedHexadecimal(text), (8...20).contains(octets.count), octets.last == 0,
            let area = AreaAddress(Array(octets.dropLast(7)))
        else { return nil }
        self.area = area
        system = SystemID(raw: octets.dropLast().suffix(6).reduce(0) { $0 << 8 | UInt64($1) })
    }

    public var description: String { "\(area).\(system).00" }
}

/// Octets in hexadecimal with dots between octets; `nil` for anything else.
func parseDottedHexadecimal(_ text: some StringProtocol) -> [UInt8]? {
    var octets: [UInt8] = []
    var pending: UInt8?
    var isAfterDot = true
    for character in text.utf8 {
        if character == UInt8(ascii: ".") {
            guard pending == nil, !isAfterDot else { return nil }
            isAfterDot = true
            continue
        }
        let digit: UInt8
        switch character {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = character - UInt8(ascii: "A") + 10
        default: return nil
        }
        isAfterDot = false
        if let high = pending {
            guard octets.count < 20 else { return nil }
            octets.append(high << 4 | digit)
            pending = nil
        } else {
            pending = digit
        }
    }
    guard pending == nil, !isAfterDot else { return nil }
    return octets
}

func dottedHexadecimal(_ octets: [UInt8]) -> String {
    var text = ""
    for (i, octet) in octets.enumerated() {
        if i % 2 == 1 { text += "." }
        text += hexadecimal(UInt64(octet), digits: 2)
    }
    return text
}

extension AreaAddress: Codable {
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = AreaAddress(try container.decode([UInt8].self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "an area address has 1 to 13 octets")
        }
        self = value
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(octets)
    }
}
