/// SHA-1 (FIPS 180-4 §6.1). Collisions can be made; as an HMAC it still stands.
struct SHA1: Sendable {
    private var state = State()
    private var buffer = BlockBuffer<64>()

    mutating func update(_ bytes: RawSpan) { buffer.absorb(bytes, into: &state) }

    func finish() -> DigestValue {
        var state = state
        var buffer = buffer
        buffer.pad(into: &state)
        var digest = DigestValue(count: 20)
        digest.put(state.a, at: 0)
        digest.put(state.b, at: 4)
        digest.put(state.c, at: 8)
        digest.put(state.d, at: 12)
        digest.put(state.e, at: 16)
        return digest
    }

    private struct State: Compression, Sendable {
        var a: UInt32 = 0x6745_2301
        var b: UInt32 = 0xefcd_ab89
        var c: UInt32 = 0x98ba_dcfe
        var d: UInt32 = 0x1032_5476
        var e: UInt32 = 0xc3d2_e1f0

        mutating func compress(_ bytes: RawSpan, at base: Int) {
            // FIPS 180-4 §6.1.3: the schedule needs no more than the last sixteen words.
            var words = InlineArray<16, UInt32>(repeating: 0)
            for i in 0..<16 { words[i] = bytes.bigEndianWord(base &+ 4 &* i) }
            var a = a, b = b, c = c, d = d, e = e
            for i in 0..<80 {
                let slot = i & 15
                if i >= 16 {
                    let next = words[(i &+ 13) & 15] ^ words[(i &+ 8) & 15] ^ words[(i &+ 2) & 15] ^ words[slot]
                    words[slot] = next << 1 | next >> 31
                }
                let mixed: UInt32
                let constant: UInt32
                switch i {
                case ..<20: (mixed, constant) = ((b & c) ^ (~b & d), 0x5a82_7999)
                case ..<40: (mixed, constant) = (b ^ c ^ d, 0x6ed9_eba1)
                case ..<60: (mixed, constant) = ((b & c) ^ (b & d) ^ (c & d), 0x8f1b_bcdc)
                default: (mixed, constant) = (b ^ c ^ d, 0xca62_c1d6)
                }
                let next = (a << 5 | a >> 27) &+ mixed &+ e &+ constant &+ words[slot]
                e = d
                d = c
                c = b << 30 | b >> 2
                b = a
                a = next
            }
            self.a &+= a
            self.b &+= b
            self.c &+= c
            self.d &+= d
            self.e &+= e
        }
    }
}
