/// At most `rate` things a second, and so many at once; for answers to strangers (RFC 1812 §4.3.2.8, RFC 4443 §2.4 (f),
/// RFC 5961 §7) and whatever else must not be asked of us without end. Full at first.
public struct TokenBucket: Sendable, BitwiseCopyable {
    private let interval: Int64
    private let burst: Int64
    /// When the bucket will have been full, if nothing more is taken.
    private var fullAt: Int64 = .min

    /// - Parameters:
    ///   - rate: from 1.
    ///   - burst: how many at once; as many as in a second unless it says otherwise.
    public init(perSecond rate: Int, burst: Int? = nil) {
        interval = 1_000_000_000 / Int64(max(1, rate))
        self.burst = interval * Int64(max(1, burst ?? rate))
    }

    /// Whether there was one left.
    public mutating func take(at now: Instant) -> Bool {
        let base = max(fullAt, now.nanoseconds)
        guard base - now.nanoseconds + interval <= burst else { return false }
        fullAt = base + interval
        return true
    }
}
