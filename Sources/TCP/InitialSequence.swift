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

    /// The ISS of a passive open, which says what the SYN offered.
    ///
    /// A half-open connection is in no record, so a twin that takes over has nothing but the segment that completes it, and
    /// a peer that has our SYN-ACK takes itself for established. M here advances in steps of 2^18 of its ticks (1.05 s); the
    /// 18 bits below hold the offer and ten bits that check it by the secret, `initialReceiveSequence` and the step.
    func number(
        for tuple: ConnectionTuple, answering initialReceiveSequence: UInt32, offer: OfferCode, at now: Instant
    ) -> UInt32 {
        let step = Self.step(at: now)
        let low = UInt32(offer.value) << 10 | check(tuple, initialReceiveSequence, offer, step)
        return (step << 18 | low) &+ UInt32(truncatingIfNeeded: hash(tuple, purpose: 1))
    }

    /// What an ISS of `number(for:answering:offer:at:)` says.
    enum Trace: Equatable {
        /// It is none from the time in question.
        case foreign
        /// It is of that time, but not for this IRS, or a guess.
        case wrong
        case offer(OfferCode)
    }

    /// Reads an ISS that was given in the `steps` before `end`.
    func trace(
        _ initialSendSequence: UInt32, for tuple: ConnectionTuple, answering initialReceiveSequence: UInt32,
        before end: Instant, steps: UInt32
    ) -> Trace {
        let number = initialSendSequence &- UInt32(truncatingIfNeeded: hash(tuple, purpose: 1))
        let step = number >> 18
        guard (Self.step(at: end) &- step) & 0x3fff <= steps else { return .foreign }
        let offer = OfferCode(value: UInt8(truncatingIfNeeded: number >> 10))
        return check(tuple, initialReceiveSequence, offer, step) == number & 0x3ff ? .offer(offer) : .wrong
    }

    /// 14 bits.
    private static func step(at now: Instant) -> UInt32 {
        UInt32(truncatingIfNeeded: (now.nanoseconds / 4000) >> 18) & 0x3fff
    }

    /// Ten bits.
    private func check(_ tuple: ConnectionTuple, _ sequence: UInt32, _ offer: OfferCode, _ step: UInt32) -> UInt32 {
        let extra = UInt64(sequence) << 32 | UInt64(step) << 16 | UInt64(offer.value)
        return UInt32(truncatingIfNeeded: hash(tuple, purpose: 3, extra)) & 0x3ff
    }

    /// RFC 7323 §5.4: an offset per connection, so that a TSval tells no stranger how long the router runs, and one
    /// connection nothing about another.
    public func timestampOffset(for tuple: ConnectionTuple) -> UInt32 {
        UInt32(truncatingIfNeeded: hash(tuple, purpose: 2))
    }

    private func hash(_ tuple: ConnectionTuple, purpose: UInt8, _ extra: UInt64 = 0) -> UInt64 {
        var w = ByteWriter(capacity: 48)
        w.u8(purpose)
        for address in [tuple.local, tuple.remote] {
            switch address {
            case .v4(let a): w.ipv4(a)
            case .v6(let a): w.ipv6(a)
            }
        }
        w.u16(tuple.localPort)
        w.u16(tuple.remotePort)
        if extra != 0 { w.u64(extra) }
        return sipHash24(w.bytes.span.bytes, key: key)
    }
}

/// What a SYN offered, in eight bits: MSS (3, the next lower of a table), window shift (4, 15 for none), SACK (1).
/// Timestamps are not in it: who uses them has them on every segment.
struct OfferCode: Equatable, Sendable, BitwiseCopyable {
    /// The floor, the default of IPv4, and what Ethernet, tunnels and jumbo frames leave.
    private static let sizes: InlineArray<8, UInt16> = [216, 536, 1200, 1360, 1400, 1440, 1460, 8940]

    var value: UInt8

    init(value: UInt8) { self.value = value }
    init(segmentSize: UInt16, windowShift: UInt8?, selectiveAcknowledgment: Bool) {
        var place = 0
        while place < 7, Self.sizes[place + 1] <= segmentSize { place += 1 }
        value = UInt8(place) << 5 | (windowShift ?? 15) << 1 | (selectiveAcknowledgment ? 1 : 0)
    }

    var segmentSize: UInt16 { Self.sizes[Int(value >> 5)] }
    var windowShift: UInt8? { value >> 1 & 15 == 15 ? nil : value >> 1 & 15 }
    var selectiveAcknowledgment: Bool { value & 1 != 0 }
}
