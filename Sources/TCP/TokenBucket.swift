import Machine

/// At most `rate` things a second, and as many at once.
struct TokenBucket: Sendable, BitwiseCopyable {
    private let interval: Int64
    private let burst: Int64
    /// When the bucket will have been full, if nothing more is taken.
    private var fullAt: Int64 = .min

    init(perSecond rate: Int) {
        interval = 1_000_000_000 / Int64(max(1, rate))
        burst = Int64(max(1, rate)) * interval
    }

    mutating func take(at now: Instant) -> Bool {
        let base = max(fullAt, now.nanoseconds)
        guard base - now.nanoseconds + interval <= burst else { return false }
        fullAt = base + interval
        return true
    }
}
