/// SHA-256 and SHA-224 (FIPS 180-4 §6.2, §6.3): one compression, two beginnings, two lengths.
struct SHA256: Sendable {
    private var state: State
    private var buffer = BlockBuffer<64>()
    private let count: Int

    /// - Parameter isShort: SHA-224.
    init(isShort: Bool = false) {
        state = State(words: isShort ? Self.shortBeginning : Self.beginning)
        count = isShort ? 28 : 32
    }

    mutating func update(_ bytes: RawSpan) { buffer.absorb(bytes, into: &state) }

    func finish() -> DigestValue {
        var state = state
        var buffer = buffer
        buffer.pad(into: &state)
        var digest = DigestValue(count: count)
        // What the shorter form cuts off is not part of the digest.
        for i in 0..<(count / 4) { digest.put(state.words[i], at: 4 * i) }
        return digest
    }

    private struct State: Compression, Sendable {
        var words: InlineArray<8, UInt32>

        mutating func compress(_ bytes: RawSpan, at base: Int) {
            var schedule = InlineArray<16, UInt32>(repeating: 0)
            for i in 0..<16 { schedule[i] = bytes.bigEndianWord(base &+ 4 &* i) }
            var a = words[0], b = words[1], c = words[2], d = words[3]
            var e = words[4], f = words[5], g = words[6], h = words[7]
            for i in 0..<64 {
                let slot = i & 15
                if i >= 16 {
                    let early = schedule[(i &+ 1) & 15]
                    let late = schedule[(i &+ 14) & 15]
                    let small0 = (early >> 7 | early << 25) ^ (early >> 18 | early << 14) ^ early >> 3
                    let small1 = (late >> 17 | late << 15) ^ (late >> 19 | late << 13) ^ late >> 10
                    schedule[slot] = schedule[slot] &+ small0 &+ schedule[(i &+ 9) & 15] &+ small1
                }
                let big1 = (e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^ (e >> 25 | e << 7)
                let choice = (e & f) ^ (~e & g)
                let first = h &+ big1 &+ choice &+ SHA256.constants[i] &+ schedule[slot]
                let big0 = (a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^ (a >> 22 | a << 10)
                let majority = (a & b) ^ (a & c) ^ (b & c)
                h = g
                g = f
                f = e
                e = d &+ first
                d = c
                c = b
                b = a
                a = first &+ big0 &+ majority
            }
            words[0] &+= a
            words[1] &+= b
            words[2] &+= c
            words[3] &+= d
            words[4] &+= e
            words[5] &+= f
            words[6] &+= g
            words[7] &+= h
        }
    }

    /// FIPS 180-4 §5.3: fractions of the square roots of the first eight primes.
    private static let beginning: InlineArray<8, UInt32> = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]
    /// FIPS 180-4 §5.3: fractions of the square roots of the ninth to the sixteenth prime, their lower halves.
    private static let shortBeginning: InlineArray<8, UInt32> = [
        0xc105_9ed8, 0x367c_d507, 0x3070_dd17, 0xf70e_5939, 0xffc0_0b31, 0x6858_1511, 0x64f9_8fa7, 0xbefa_4fa4,
    ]
    /// FIPS 180-4 §4.2: fractions of the cube roots of the first 64 primes.
    fileprivate static let constants: InlineArray<64, UInt32> = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}
