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
