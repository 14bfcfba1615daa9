/// The checksum of LSAs and LSPs: two sums modulo 255 (ISO 8473 §6.11; the arithmetic is that of RFC 905 Annex B), applied to
/// an LSA but its age (RFC 2328 §12.1.7) and to an LSP from its LSP ID on (ISO 10589 §9.8).
public enum FletcherChecksum {
    /// How many octets can be summed before the second sum must be brought below 255 again: C1 grows by at most
    /// 255 n (n + 1) / 2 + 254 (n + 1), which stays below 2^32 up to here.
    private static let run = 5802

    /// Both sums over all octets from `start` on, each 0…254.
    private static func sums(_ bytes: RawSpan, from start: Int) -> (c0: UInt32, c1: UInt32) {
        var c0: UInt32 = 0, c1: UInt32 = 0
        var i = start
        while i < bytes.byteCount {
            let end = min(i &+ run, bytes.byteCount)
            while i < end {
                c0 &+= UInt32(unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self))
                c1 &+= c0
                i &+= 1
            }
            c0 %= 255
            c1 %= 255
        }
        return (c0, c1)
    }

    /// Whether octets that hold their checksum are sound: both sums vanish. A checksum of zero, "not computed" for
    /// ISO 8473, is the caller's to refuse: no LSA and no LSP in circulation has one.
    public static func isValid(_ bytes: RawSpan, from start: Int = 0) -> Bool { sums(bytes, from: start) == (0, 0) }

    /// The checksum whose two octets stand at `field`, of what begins at `start`. What is there now does not count. It is
    /// never zero in either octet.
    /// - Precondition: the field lies within what it covers.
    public static func compute(_ bytes: RawSpan, from start: Int = 0, field: Int) -> UInt16 {
        precondition(start >= 0 && field >= start && field + 2 <= bytes.byteCount, "the checksum lies within what it covers")
        let sums = sums(bytes, from: start)
        // The octets of the field are taken out of both sums: each stands in C1 as often as octets follow it, and once.
        let behind = Int64(bytes.byteCount - field - 1)
        let high = Int64(unsafe bytes.unsafeLoad(fromByteOffset: field, as: UInt8.self))
        let low = Int64(unsafe bytes.unsafeLoad(fromByteOffset: field + 1, as: UInt8.self))
        let c0 = Int64(sums.c0) - high - low
        let c1 = Int64(sums.c1) - high * (behind + 1) - low * behind
        // RFC 905 Annex B.3: with L octets and the field at octet n (from 1), X = (L - n) C0 - C1 and
        // Y = C1 - (L - n + 1) C0, modulo 255; and zero, which would say "no checksum", is written as 255.
        var x = (behind * c0 - c1) % 255
        if x <= 0 { x += 255 }
        var y = (c1 - (behind + 1) * c0) % 255
        if y <= 0 { y += 255 }
        return UInt16(x) << 8 | UInt16(y)
    }
}
