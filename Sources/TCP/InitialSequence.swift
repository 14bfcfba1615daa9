import Machine
import Records
import Wire

/// Where sequence numbers and timestamps of a connection begin.
///
/// RFC 6528 §3: ISN = M + F(local, local port, remote, remote port, secret). M is a clock of 4 µs ticks, here router
/// time, and F is SipHash-2-4. Both controllers have the secret and the time, so both could derive the number.
public struct InitialSequence: Sendable {
    private let key: (UInt64, UInt64)

    public init(secret: UInt64) {
        key = (mix64(secret ^ 0x736f_6d65_7073_6575), mix64(secret &+ 0x646f_7261_6e64_6f6d))
    }

    /// The ISS of a connection that opens now.
    public func number(for tuple: ConnectionTuple, at now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: now.nanoseconds / 4000) &+ UInt32(truncatingIfNeeded: hash(tuple, purpose: 1))
    }

    /// RFC 7323 §5.4: an offset per connection, so that a TSval tells no stranger how long the router runs, and one
    /// connection nothing about another.
    public func timestampOffset(for tuple: ConnectionTuple) -> UInt32 {
        UInt32(truncatingIfNeeded: hash(tuple, purpose: 2))
    }

    private func hash(_ tuple: ConnectionTuple, purpose: UInt8) -> UInt64 {
        var w = ByteWriter(capacity: 40)
        w.u8(purpose)
        for address in [tuple.local, tuple.remote] {
            switch address {
            case .v4(let a): w.ipv4(a)
            case .v6(let a): w.ipv6(a)
            }
        }
        w.u16(tuple.localPort)
        w.u16(tuple.remotePort)
        return sipHash24(w.bytes.span.bytes, key: key)
    }
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash for short inputs.
func sipHash24(_ bytes: RawSpan, key: (UInt64, UInt64)) -> UInt64 {
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
        for j in 0..<8 { word |= UInt64(bytes.octet(i + j)) << UInt64(8 * j) }
        v3 ^= word
        round()
        round()
        v0 ^= word
        i += 8
    }
    var last = UInt64(count & 0xff) << 56
    var shift: UInt64 = 0
    while i < count {
        last |= UInt64(bytes.octet(i)) << shift
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
