import Machine

/// RFC 9406, HyStart++: the first slow start ends when round trips grow longer, before a queue overflows and loses half a window.
/// Used while ssthresh is unknown only, as §4.3 recommends.
struct HyStart: Sendable, BitwiseCopyable {
    // §4.3, in nanoseconds where it is time.
    static let thresholdMinimum: Int64 = 4_000_000
    static let thresholdMaximum: Int64 = 16_000_000
    static let thresholdDivisor: Int64 = 8
    static let samples = 8
    static let growthDivisor = 4
    static let conservativeRounds = 5

    /// windowEnd: a round ends when this offset is acknowledged.
    private var roundEnd: Int64?
    /// lastRoundMinRTT, currentRoundMinRTT and cssBaselineMinRtt; `Int64.max` is infinity.
    private var last = Int64.max
    private var current = Int64.max
    private var baseline = Int64.max
    /// rttSampleCount
    private var count = 0
    private var rounds = 0

    /// Conservative slow start: a quarter of the growth while it is looked whether the delay stays.
    var isConservative: Bool { baseline < .max }

    /// §4.2, for an ACK with a round trip that was measured. True when slow start is over.
    mutating func measured(_ roundTrip: Int64, unacknowledged: Int64, next: Int64) -> Bool {
        if roundEnd == nil { roundEnd = next }
        current = min(current, roundTrip)
        count += 1
        if count >= Self.samples {
            if isConservative {
                // It was jitter.
                if current < baseline { baseline = .max }
            } else if last < .max {
                let threshold = max(Self.thresholdMinimum, min(last / Self.thresholdDivisor, Self.thresholdMaximum))
                if current >= last + threshold {
                    baseline = current
                    rounds = 0
                }
            }
        }
        // The ACK that ends a round is of what was sent in it.
        guard let end = roundEnd, unacknowledged >= end else { return false }
        if isConservative {
            rounds += 1
            if rounds >= Self.conservativeRounds { return true }
        }
        roundEnd = next
        last = current
        current = .max
        count = 0
        return false
    }
}
