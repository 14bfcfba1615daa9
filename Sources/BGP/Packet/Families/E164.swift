import Machine
import Routing
import Wire

/// The first digits of telephone numbers (ITU-T E.164), in international form: at most 15.
struct E164Prefix: TableKey {
    /// The digits from the highest four bits down, the count in the lowest four: the order of numbers is that of digits,
    /// and what is shorter comes first.
    let packed: UInt64

    static var lengthMaximum: UInt8 { 15 }
    /// Fifteen digits that are none.
    static var vacant: UInt64 { .max }
    static var everything: E164Prefix { E164Prefix(packed: 0) }

    /// Digits.
    var length: UInt8 { Self.length(of: packed) }
    @inline(__always) init(packed: UInt64) { self.packed = packed }

    /// Parses `+4930`; `+` alone means every number.
    init?(_ text: some StringProtocol) {
        guard text.utf8.first == UInt8(ascii: "+"), text.utf8.count <= 16 else { return nil }
        var digits: UInt64 = 0, count: UInt64 = 0
        for octet in text.utf8.dropFirst() {
            guard octet >= UInt8(ascii: "0"), octet <= UInt8(ascii: "9") else { return nil }
            digits |= UInt64(octet - UInt8(ascii: "0")) << (60 - 4 * count)
            count += 1
        }
        packed = digits | count
    }
    var description: String {
        (0..<UInt64(length)).reduce(into: "+") { $0 += String(packed >> (60 - 4 * $1) & 15) }
    }

    static func < (a: Self, b: Self) -> Bool { a.packed < b.packed }

    /// The highest four bits of that many digits.
    @inline(__always)
    static func mask(_ digits: UInt8) -> UInt64 { digits == 0 ? 0 : ~0 << (64 &- 4 &* UInt64(digits)) }
    func shortened(to length: UInt8) -> E164Prefix { E164Prefix(packed: packed & Self.mask(length) | UInt64(length)) }
    @inline(__always)
    static func hash(_ packed: UInt64, seed: UInt64) -> UInt64 { seededHash(packed, 0x9e37_79b9_7f4a_7c15, seed: seed) }
    @inline(__always)
    static func length(of packed: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: packed & 15) }
}

/// Telephone numbers: AFI 8 (E.164), SAFI 1. The NLRI are the pairs of length and prefix of RFC 4760 §5, the length in bits,
/// four for each digit, the first one in the upper half of its octet. The next hop is the IP address of whoever can place
/// the call: RFC 4760 leaves the form of a next hop to the family, and this one takes both.
enum E164: RoutedFamily {
    typealias Key = E164Prefix
    static var family: RouteFamily { .e164 }
    static var code: FamilyCode { FamilyCode(afi: 8, safi: 1) }
    static var name: String { "e164" }
    static var nextHops: NextHopForms { [.ipv4, .ipv6] }
    static var bitsMaximum: UInt8 { 60 }
    static var sizeMaximum: Int { 9 }
    static var prefixLimit: UInt32 { 2_000_000 }

    static func read(_ nlri: RawSpan, at offset: Int) -> (key: UInt64, label: UInt32, size: Int)? {
        let bits = nlri.u8(offset)
        let size = (Int(bits) &+ 7) >> 3
        guard bits <= bitsMaximum, bits & 3 == 0, size <= nlri.byteCount &- offset &- 1 else { return nil }
        var digits: UInt64 = 0
        for k in 0..<size { digits |= UInt64(nlri.u8(offset &+ 1 &+ k)) << UInt64(56 &- 8 &* k) }
        let count = bits >> 2
        digits &= E164Prefix.mask(count)
        // A digit above nine: its upper bit and one of the next two.
        guard digits & (digits << 1 | digits << 2) & 0x8888_8888_8888_8880 == 0 else { return nil }
        return (digits | UInt64(count), 0, 1 &+ size)
    }
    static func write(_ key: UInt64, label: UInt32, to target: UnsafeMutablePointer<UInt8>) -> Int {
        unsafe target[0] = 4 &* E164Prefix.length(of: key)
        // Eight octets always, of which as many count as the length says; the count is no digit.
        unsafe UnsafeMutableRawPointer(target + 1).storeBytes(of: (key & ~15).bigEndian, as: UInt64.self)
        return size(key)
    }
    static func size(_ key: UInt64) -> Int { 1 &+ (Int(E164Prefix.length(of: key)) &+ 1) >> 1 }

    static func isUnusable(_ key: UInt64) -> Bool { false }
    static func host(_ address: IPAddress) -> UInt64? { nil }
    static func prefix(_ key: UInt64) -> IPPrefix? { nil }
    static func key(_ prefix: IPPrefix) -> E164Prefix? { nil }
    static func key(_ text: String) -> E164Prefix? { E164Prefix(text) }
}
