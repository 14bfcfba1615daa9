import Wire

/// The checksum of LSPs: two sums modulo 255 over everything from the LSP ID on (ISO 8473 §6.11, ISO 10589 §9.8; the
/// arithmetic is that of RFC 905 Annex B).
public enum FletcherChecksum {
    /// Octets that can be added before the second sum has to be reduced to stay within 32 bits.
    private static let runMaximum = 4096

    /// Both sums over all octets, each 0…254.
    private static func sums(_ bytes: RawSpan) -> (c0: UInt32, c1: UInt32) {
        var c0: UInt32 = 0, c1: UInt32 = 0
        var i = 0
        while i < bytes.byteCount {
            let end = min(i &+ runMaximum, bytes.byteCount)
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
    /// ISO 8473, is the caller's to refuse: no LSP in circulation has one (ISO 10589 §7.3.14.2).
    public static func isValid(_ bytes: RawSpan) -> Bool { sums(bytes) == (0, 0) }

    /// The checksum for octets whose two octets at `position` are zero. It is never zero in either octet.
    public static func compute(_ bytes: RawSpan, at position: Int) -> UInt16 {
        precondition(position >= 0 && position + 2 <= bytes.byteCount, "the checksum lies within what it covers")
        let (c0, c1) = sums(bytes)
        // RFC 905 Annex B: X = -C1 + (L-n)·C0 and Y = C1 - (L-n+1)·C0 with n the one-based place of X.
        let behind = Int64(bytes.byteCount - position - 1)
        var x = (behind * Int64(c0) - Int64(c1)) % 255
        if x <= 0 { x += 255 }
        var y = (Int64(c1) - (behind + 1) * Int64(c0)) % 255
        if y <= 0 { y += 255 }
        return UInt16(x) << 8 | UInt16(y)
    }
}
