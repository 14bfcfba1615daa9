import Machine

/// RFC 8985 §5.2: what one connection knows of the order in which its segments arrive. Spans of time are nanoseconds, as this is
/// counted with every ACK.
struct RACK: Sendable {
    /// The reordering window is no smaller than this: a timer is not heard of sooner.
    static let windowMinimum: Int64 = 1_000_000
    /// §6.2, step 4: after so many recoveries without D-SACK the window is small again.
    static let persistence = 16
    static let wideningMaximum = 64

    /// RACK.xmit_ts and RACK.end_seq: of the segment delivered that was sent last.
    private(set) var latest: (sentAt: Instant, end: Int64)?
    /// RACK.rtt
    private(set) var roundTrip: Int64 = 0
    /// RACK.min_RTT: of this period and the one before, as paths change (§6.2, step 1).
    private(set) var minimumRoundTrip: Int64?
    private var periodMinimum: Int64?
    private var periodEnd = Instant.zero
    static let period = Duration.minutes(5)
    /// RACK.fack
    private var forward: Int64 = .min
    private(set) var isReorderingSeen = false
    /// RACK.reo_wnd_mult
    private(set) var widening = 1
    private var persist = 0
    /// RACK.dsack_round
    private var roundEnd: Int64?

    /// §6.2, steps 1–3, for a segment that the peer has now. `isOlder` tells that the answer is to an earlier copy of it.
    mutating func delivered(_ segment: SentSegments.Segment, now: Instant, isOlder: Bool) {
        let measured = now.nanoseconds - segment.sentAt.nanoseconds
        if segment.isRetransmitted {
            if isOlder { return }
            if let least = minimumRoundTrip, measured < least { return }
        } else {
            if now >= periodEnd {
                minimumRoundTrip = periodMinimum
                periodMinimum = nil
                periodEnd = now + Self.period
            }
            periodMinimum = min(periodMinimum ?? measured, measured)
            minimumRoundTrip = min(minimumRoundTrip ?? measured, measured)
            if segment.end < forward { isReorderingSeen = true }
        }
        forward = max(forward, segment.end)
        if let latest, segment.sentAt < latest.sentAt || segment.sentAt == latest.sentAt && segment.end <= latest.end {
            return
        }
        latest = (segment.sentAt, segment.end)
        roundTrip = measured
    }

    /// §6.2, step 4: a D-SACK, at most one a round trip, makes the window wider.
    mutating func duplicateReported(unacknowledged: Int64, next: Int64) {
        if let roundEnd, unacknowledged < roundEnd { return }
        roundEnd = next
        widening = min(widening + 1, Self.wideningMaximum)
        persist = Self.persistence
    }
    mutating func recoveryEnded() {
        persist -= 1
        if persist <= 0 { widening = 1 }
    }
    /// A retransmission was for nothing.
    mutating func reorderingProven() { isReorderingSeen = true }

    /// RACK.reo_wnd. `isRecovering`: in fast recovery, or after a timeout.
    func window(smoothed: Int64?, isRecovering: Bool, sackedSegments: Int) -> Int64 {
        if !isReorderingSeen, isRecovering || sackedSegments >= SACKScoreboard.duplicateThreshold { return 0 }
        let wide = (minimumRoundTrip ?? 0) * Int64(widening) / 4
        return max(min(wide, smoothed ?? wide), Self.windowMinimum)
    }

    /// What was taken for the answer to a segment was none.
    mutating func forgetLatest() { latest = nil }

    /// A new stream of segments: what was known of those before says nothing.
    mutating func rewind() {
        latest = nil
        forward = .min
        roundEnd = nil
    }
}

/// What a recovery changed, so that it can be taken back when it was for nothing: by D-SACK of all that it sent again (RFC 3708),
/// or by an ACK that is older than that (RFC 3522).
struct RecoveryUndo: Sendable, BitwiseCopyable {
    var congestion: CongestionControl
    /// It was a timeout and not a fast retransmit: the path was slow, and not out of order.
    var isTimeout: Bool
    /// RetransmitTS of RFC 3522: when the first segment was sent again.
    var sentAt: Instant?
    /// SND.UNA and SND.MAX when it began.
    var start: Int64
    var end: Int64
    /// Octets sent again less those that the peer reported as duplicates.
    var outstanding = 0
    var resent = 0
}

/// RFC 5682 §3.1: after a timeout the first new acknowledgement lets out segments never sent before, and the second tells whether
/// what was sent before the timeout arrives without being sent again.
enum ForwardRecovery: Sendable {
    case off
    /// Step 2: the first segment was sent again.
    case isRetransmitted
    /// Step (2b): up to two.
    static let probes = 2
    /// Step 3: so many new segments may go, and nothing is sent again before the next ACK.
    case isProbing(left: Int)

    var isProbing: Bool { if case .isProbing = self { true } else { false } }
}

/// RFC 8985 §5.3: TLP.end_seq and TLP.is_retrans of the probe that is on its way.
struct LossProbe: Sendable, BitwiseCopyable {
    var end: Int64
    var isRetransmission: Bool
    /// Octets on their way when it went, for the window if it turns out to have mended a loss.
    var inFlight: Int
}

/// What one ACK says of segments.
struct Delivery: Sendable, BitwiseCopyable {
    /// Octets that the peer was not known to have.
    var octets = 0
    /// Some of them were sent once, before `recoveryPoint`.
    var hasOriginal = false
    /// Round trip in nanoseconds of the segment among them that was sent last and only once.
    var roundTrip: Int64?
    /// After the last octet of what the peer reports to have got twice (RFC 2883).
    var duplicateEnd: Int64?
    /// A recovery was taken back by it, and that one was a fast retransmit.
    var takesBack = false
    var provesReordering = false
}

/// Proportional rate reduction, RFC 9937, in octets.
struct RateReduction: Sendable, BitwiseCopyable {
    /// RecoverFS
    var flight: Int
    /// prr_delivered and prr_out
    var delivered = 0
    var out = 0

    /// The window after an ACK that says that so much more was delivered. `isSafe`: SND.UNA moved, and nothing more is lost.
    mutating func window(delivered new: Int, pipe: Int, threshold: Int, segment: Int, isSafe: Bool) -> Int {
        delivered += new
        var count: Int
        if pipe > threshold {
            // In proportion to what is delivered, rounded up; no product of these is larger than 2^62.
            count = (delivered * threshold + flight - 1) / max(1, flight) - out
        } else {
            count = max(delivered - out, new)
            if isSafe { count += segment }
            count = min(count, threshold - pipe)
        }
        // A fast retransmit goes in any case.
        if out == 0 { count = max(count, segment) }
        return pipe + max(0, count)
    }
}
