/// The checksum of an LSA: ISO 8473's, as RFC 905 Annex B defines it and RFC 2328 §12.1.7 applies it, over the whole
/// LSA but its age.
public enum FletcherChecksum {
    /// How many octets can be summed before the second sum must be brought below 255 again: C1 grows by at most
    /// 255 n (n + 1) / 2 + 254 (n + 1), which stays below 2^32 up to here.
    @usableFromInline static let run = 5802

    /// Both sums of the octets from `start` on, those at `hole` and `hole + 1` counted as zero.
    @inlinable
    static func sums(_ bytes: RawSpan, from start: Int, hole: Int) -> (c0: UInt32, c1: UInt32) {
        var c0: UInt32 = 0
        var c1: UInt32 = 0
        var i = start
        while i < bytes.byteCount {
            let end = min(i &+ run, bytes.byteCount)
            while i < end {
                let octet = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt8.self)
                if i != hole, i != hole &+ 1 { c0 &+= UInt32(octet) }
                c1 &+= c0
                i &+= 1
            }
            c0 %= 255
            c1 %= 255
        }
        return (c0, c1)
    }

    /// The value for the checksum field at `field`, whose present content does not count, of what begins at `start`.
    @inlinable
    public static func compute(_ bytes: RawSpan, from start: Int, field: Int) -> UInt16 {
        let (c0, c1) = sums(bytes, from: start, hole: field)
        // RFC 905 Annex B.3: with L octets and the field at octet n (from 1), X = (L - n) C0 - C1 and
        // Y = C1 - (L - n + 1) C0, modulo 255; and zero, which would say "no checksum", is written as 255.
        let rest = UInt32(truncatingIfNeeded: (bytes.byteCount - field - 1) % 255)
        var x = (rest * c0 + 255 - c1) % 255
        var y = (c1 + (255 - (rest + 1) % 255) * c0) % 255
        if x == 0 { x = 255 }
        if y == 0 { y = 255 }
        return UInt16(truncatingIfNeeded: x << 8 | y)
    }

    /// Whether the sums over everything from `start` on, the field included, are both zero.
    @inlinable
    public static func verify(_ bytes: RawSpan, from start: Int) -> Bool {
        let (c0, c1) = sums(bytes, from: start, hole: -2)
        return c0 == 0 && c1 == 0
    }
}
