/// RFC 1321. Broken as a hash for strangers, and exactly what RFC 2385, RFC 2328 and RFC 5304 ask for.
public struct MD5: Sendable {
    public typealias Digest = InlineArray<16, UInt8>

    private var a: UInt32 = 0x6745_2301
    private var b: UInt32 = 0xefcd_ab89
    private var c: UInt32 = 0x98ba_dcfe
    private var d: UInt32 = 0x1032_5476
    private var block = InlineArray<64, UInt8>(repeating: 0)
    private var filled = 0
    private var total: UInt64 = 0

    public init() {}

    public mutating func update(_ bytes: RawSpan) {
        total &+= UInt64(bytes.byteCount)
        var i = 0
        if filled > 0 {
            while i < bytes.byteCount, filled < 64 {
                block[filled] = bytes.octet(i)
                filled += 1
                i += 1
            }
            guard filled == 64 else { return }
            compressBlock()
            filled = 0
        }
        while i + 64 <= bytes.byteCount {
            compress(bytes, at: i)
            i += 64
        }
        while i < bytes.byteCount {
            block[filled] = bytes.octet(i)
            filled += 1
            i += 1
        }
    }

    /// RFC 1321 §3.1–3.2: a one bit, zeros up to 56 modulo 64, the length in bits.
    public consuming func finish() -> Digest {
        let bits = total &* 8
        block[filled] = 0x80
        filled += 1
        if filled > 56 {
            while filled < 64 {
                block[filled] = 0
                filled += 1
            }
            compressBlock()
            filled = 0
        }
        while filled < 56 {
            block[filled] = 0
            filled += 1
        }
        for i in 0..<8 { block[56 + i] = UInt8(truncatingIfNeeded: bits >> UInt64(8 * i)) }
        compressBlock()
        var digest = Digest(repeating: 0)
        for i in 0..<4 {
            digest[i] = UInt8(truncatingIfNeeded: a >> UInt32(8 * i))
            digest[4 + i] = UInt8(truncatingIfNeeded: b >> UInt32(8 * i))
            digest[8 + i] = UInt8(truncatingIfNeeded: c >> UInt32(8 * i))
            digest[12 + i] = UInt8(truncatingIfNeeded: d >> UInt32(8 * i))
        }
        return digest
    }

    private mutating func compressBlock() {
        let full = block
        compress(full.span.bytes, at: 0)
    }

    /// RFC 1321 §3.4: four rounds of sixteen steps over one block of 64 octets.
    private mutating func compress(_ bytes: RawSpan, at base: Int) {
        var a = a, b = b, c = c, d = d
        for i in 0..<64 {
            let mixed: UInt32
            let word: Int
            switch i >> 4 {
            case 0:
                mixed = (b & c) | (~b & d)
                word = i
            case 1:
                mixed = (d & b) | (~d & c)
                word = (5 &* i &+ 1) & 15
            case 2:
                mixed = b ^ c ^ d
                word = (3 &* i &+ 5) & 15
            default:
                mixed = c ^ (b | ~d)
                word = (7 &* i) & 15
            }
            let sum = a &+ mixed &+ Self.sines[i] &+ bytes.littleEndianWord(base &+ 4 &* word)
            let shift = Self.shifts[(i >> 4) &* 4 &+ (i & 3)]
            a = d
            d = c
            c = b
            b = b &+ (sum << shift | sum >> (32 &- shift))
        }
        self.a &+= a
        self.b &+= b
        self.c &+= c
        self.d &+= d
    }

    private static let shifts: InlineArray<16, UInt32> = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]

    /// RFC 1321 §3.4: the integer part of 2^32 |sin(i + 1)|.
    private static let sines: InlineArray<64, UInt32> = [
        0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
        0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
        0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
        0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
        0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
        0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
        0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
        0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
    ]
}
