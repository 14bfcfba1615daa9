import Machine

/// At most `rate` a second, with as many at once. RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f).
struct TokenBucket: BitwiseCopyable {
    private let interval: Int64
    private let burst: Int64
    /// When the bucket is full again.
    private var fullAt: Int64 = 0

    /// - Parameter burst: how many at once; as many as in a second unless it says otherwise.
    init(perSecond rate: Int, burst: Int? = nil) {
        interval = 1_000_000_000 / Int64(max(1, rate))
        self.burst = interval * Int64(max(1, burst ?? rate))
    }

    mutating func take(at now: Instant) -> Bool {
        let base = max(fullAt, now.nanoseconds)
        guard base - now.nanoseconds + interval <= burst else { return false }
        fullAt = base + interval
        return true
    }
}
