import Routing
import Wire

/// RFC 8277: AFI 1, SAFI 4.
enum IPv4LabelledUnicast: LabelledFamily {
    typealias Key = IPv4Prefix
    static var family: RouteFamily { .ipv4LabelledUnicast }
    static var code: FamilyCode { FamilyCode(afi: 1, safi: 4) }
    static var name: String { "ipv4-labelled-unicast" }
    static var nextHops: NextHopForms { .ipv4 }
    static var bitsMaximum: UInt8 { 24 + 32 }
    static var prefixLimit: UInt32 { 2_000_000 }
}

/// RFC 8277: AFI 2, SAFI 4.
enum IPv6LabelledUnicast: LabelledFamily {
    typealias Key = IPv6Prefix
    static var family: RouteFamily { .ipv6LabelledUnicast }
    static var code: FamilyCode { FamilyCode(afi: 2, safi: 4) }
    static var name: String { "ipv6-labelled-unicast" }
    static var nextHops: NextHopForms { [.ipv6, .ipv6Pair] }
    static var bitsMaximum: UInt8 { 24 + 128 }
    static var prefixLimit: UInt32 { 600_000 }
}

/// A prefix and one label, RFC 8277 §2.2: without the capability of §2.1, which we do not offer, there is no second one,
/// whatever the bit that ends a stack says. The length counts the label's 24 bits.
///
/// A route that is passed on with its next hop keeps its label. Where the next hop becomes ourselves the label is implicit
/// null (`LabelField`): packets then come without label, since nothing here would exchange one.
protocol LabelledFamily: PrefixFamily where Change == NoForwarding {}

extension LabelledFamily {
    static var hasLabels: Bool { true }
    static var sizeMaximum: Int { 4 + Key.addressSize }

    @inline(__always)
    static func read(_ nlri: RawSpan, at offset: Int) -> (key: Key.Packed, label: UInt32, size: Int)? {
        let bits = nlri.u8(offset)
        guard bits >= 24, offset &+ 4 <= nlri.byteCount,
            let key = Key.read(nlri, at: offset &+ 4, length: bits &- 24)
        else { return nil }
        let label =
            UInt32(nlri.u8(offset &+ 1)) << 16 | UInt32(nlri.u8(offset &+ 2)) << 8 | UInt32(nlri.u8(offset &+ 3))
        return (key, label, 1 &+ (Int(bits) &+ 7) >> 3)
    }
    @inline(__always)
    static func write(_ key: Key.Packed, label: UInt32, to target: UnsafeMutablePointer<UInt8>) -> Int {
        unsafe target[0] = 24 &+ Key.length(of: key)
        unsafe target[1] = UInt8(truncatingIfNeeded: label >> 16)
        unsafe target[2] = UInt8(truncatingIfNeeded: label >> 8)
        unsafe target[3] = UInt8(truncatingIfNeeded: label)
        unsafe Key.writeAddress(key, to: target + 4)
        return size(key)
    }
    @inline(__always)
    static func size(_ key: Key.Packed) -> Int { 4 &+ (Int(Key.length(of: key)) &+ 7) >> 3 }
}
