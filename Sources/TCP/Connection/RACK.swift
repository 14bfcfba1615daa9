import Machine

/// RFC 8985 §5.2: what one connection knows of the order in which its segments arrive.
struct RACK: Sendable {
    /// The reordering window is no smaller than this: a timer is not heard of sooner.
    static let windowMinimum = Duration.milliseconds(1)
    /// §6.2, step 4: after so many recoveries without D-SACK the window is small again.
    static let persistence = 16
    static let multiplierMaximum = 64

    /// RACK.xmit_ts and RACK.end_seq: of the segment delivered that was sent last.
    private(set) var latest: (sentAt: Instant, end: Int64)?
    /// RACK.rtt
    private(set) var roundTrip = Duration.zero
    /// RACK.min_RTT: of this period and the one before, as paths change (§6.2, step 1).
    private(set) var minimumRoundTrip: Duration?
    private var periodMinimum: Duration?
    private var periodEnd = Instant.zero
    static let period = Duration.minutes(5)
    /// RACK.fack
    private var forward: Int64 = .min
    private(set) var isReorderingSeen = false
    private var multiplier = 1
    private var persist = 0
    /// RACK.dsack_round
    private var roundEnd: Int64?

    /// §6.2, steps 1–3, for a segment that the peer has now. `isOlder` tells that the answer is to an earlier copy of it.
    mutating func delivered(_ segment: SentSegments.Segment, now: Instant, isOlder: Bool) {
        let measured = now - segment.sentAt
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
        multiplier = min(multiplier + 1, Self.multiplierMaximum)
        persist = Self.persistence
    }
    mutating func recoveryEnded() {
        persist -= 1
        if persist <= 0 { multiplier = 1 }
    }
    /// A retransmission was for nothing.
    mutating func reorderingProven() { isReorderingSeen = true }

    /// RACK.reo_wnd. `isRecovering`: in fast recovery, or after a timeout.
    func window(smoothed: Duration?, isRecovering: Bool, sackedSegments: Int) -> Duration {
        if !isReorderingSeen, isRecovering || sackedSegments >= SACKScoreboard.duplicateThreshold { return .zero }
        let wide = (minimumRoundTrip ?? .zero) * multiplier / 4
        return max(min(wide, smoothed ?? wide), Self.windowMinimum)
    }

    /// A new stream of segments: what was known of those before says nothing.
    mutating func rewind() {
        latest = nil
        forward = .min
        roundEnd = nil
    }
}

/// What a recovery changed, so that it can be taken back when its retransmissions were all for nothing (RFC 3708).
struct RecoveryUndo: Sendable, BitwiseCopyable {
    var window: Int
    var threshold: Int
    var start: Int64
    var end: Int64
    /// Octets sent again less those that the peer reported as duplicates.
    var outstanding = 0
    var resent = 0
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
