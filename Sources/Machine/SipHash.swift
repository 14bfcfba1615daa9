/// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash that is safe to use on short messages from strangers.
public func sipHash24(_ bytes: RawSpan, key: (UInt64, UInt64)) -> UInt64 {
    var v0 = key.0 ^ 0x736f_6d65_7073_6575
    var v1 = key.1 ^ 0x646f_7261_6e64_6f6d
    var v2 = key.0 ^ 0x6c79_6765_6e65_7261
    var v3 = key.1 ^ 0x7465_6462_7974_6573

    func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { x << n | x >> (64 - n) }
    func round() {
        v0 &+= v1
        v1 = rotate(v1, 13) ^ v0
        v0 = rotate(v0, 32)
        v2 &+= v3
        v3 = rotate(v3, 16) ^ v2
        v0 &+= v3
        v3 = rotate(v3, 21) ^ v0
        v2 &+= v1
        v1 = rotate(v1, 17) ^ v2
        v2 = rotate(v2, 32)
    }

    let count = bytes.byteCount
    var i = 0
    while i + 8 <= count {
        var word: UInt64 = 0
        for j in 0..<8 { word |= UInt64(unsafe bytes.unsafeLoad(fromByteOffset: i + j, as: UInt8.self)) << UInt64(8 * j) }
        v3 ^= word
        round()
        round()
        v0 ^= word
        i += 8
    }
    var last = UInt64(count & 0xff) << 56
    var shift: UInt64 = 0
    while i < count {
        last |= UInt64(unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)) << shift
        shift += 8
        i += 1
    }
    v3 ^= last
    round()
    round()
    v0 ^= last
    v2 ^= 0xff
    for _ in 0..<4 { round() }
    return v0 ^ v1 ^ v2 ^ v3
}
