import Machine

/// RFC 6298 in nanoseconds, with integers: `smoothed` and `variation` are SRTT and RTTVAR.
struct RetransmissionTimeout: Sendable, BitwiseCopyable {
    private(set) var smoothed: Int64? = nil
    /// The shortest round trip measured.
    private(set) var least: Int64? = nil
    private var variation: Int64 = 0
    private var base: Int64
    private let minimum: Int64
    private let maximum: Int64
    /// Timeouts since the last round trip that could be measured. RFC 6298 §5.5–5.7 with §3: an acknowledgement that measures
    /// nothing keeps them, or a path slower than RTO would never be measured and have everything sent twice.
    private(set) var backoffs = 0

    init(initial: Duration, minimum: Duration, maximum: Duration) {
        self.base = initial.inNanoseconds
        self.minimum = minimum.inNanoseconds
        self.maximum = maximum.inNanoseconds
    }

    /// RTO with the back-off of RFC 6298 §5.5.
    var current: Duration { doubled(backoffs) }

    /// What is measured, doubled so many times, at most the maximum.
    func doubled(_ times: Int) -> Duration {
        // Six doublings of the minimum pass every maximum that makes sense; 20 keeps the shift defined.
        let shifted = base.multipliedReportingOverflow(by: 1 << Int64(min(times, 20)))
        return .nanoseconds(shifted.overflow ? maximum : min(shifted.partialValue, maximum))
    }

    mutating func sample(_ measured: Duration) {
        let r = max(0, measured.inNanoseconds)
        least = min(least ?? r, r)
        if let srtt = smoothed {
            // RFC 6298 §2.3: RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R'|, then SRTT = 7/8 SRTT + 1/8 R'.
            variation = (3 * variation + abs(srtt - r)) / 4
            smoothed = (7 * srtt + r) / 8
        } else {
            // §2.2
            smoothed = r
            variation = r / 2
        }
        // The clock's grain is far below a microsecond, so that of §2.3's G only the minimum matters.
        base = min(max(smoothed! + 4 * variation, minimum), maximum)
        backoffs = 0
    }

    mutating func expired() { backoffs += 1 }
    /// RFC 6069 §4: the timeouts were of a path that was not there.
    mutating func takeBack() { backoffs = 0 }
    /// RFC 6298 §5.7: a SYN was lost, so data begins with three seconds. Ours begins with the initial value doubled no
    /// further than that.
    mutating func handshakeWasRepeated() {
        base = max(base, 3_000_000_000)
        backoffs = 0
    }
}
