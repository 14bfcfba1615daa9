import Machine

/// RFC 9438 in whole numbers: octets for windows, milliseconds for the curve's time. It computes what congestion avoidance does;
/// slow start and loss are `CongestionControl`'s.
///
/// With C = 0.4 segments/s³ and β = 0.7 (§5). A window of 8 MiB is at most 32 s away from its plateau, so times beyond a minute
/// are all the same and no product overflows.
struct Cubic: Sendable, BitwiseCopyable {
    /// W_max, where the curve is flat; 0 while there is none.
    private var plateau = 0
    /// cwnd_prior: the window before the last reduction.
    private var prior = 0
    /// t_epoch, moved on by times in which the window was not what limited us (§4.2, §5.8).
    private var epoch: Instant?
    /// K in milliseconds.
    private var period: Int64 = 0
    /// W_est: the window that Reno would have (§4.3).
    private var estimate = 0
    /// Octets acknowledged since `estimate` last grew.
    private var counted = 0
    /// What `window` has grown by and is less than an octet, in octets times the window.
    private var credit = 0
    /// When the last ACK was looked at.
    private var seen = Instant.zero

    private static let longest: Int64 = 60_000

    /// §4.6, §4.7: a congestion event. Returns ssthresh.
    mutating func reduced(window: Int, inFlight: Int, segment: Int) -> Int {
        prior = window
        // Fast convergence: a plateau that is not reached again has moved down, so some of it is left to others.
        plateau = window < plateau ? window * 17 / 20 : window
        epoch = nil
        return max(inFlight * 7 / 10, 2 * segment)
    }

    /// §4.8: after a timeout the curve begins where congestion avoidance does.
    mutating func timedOut() { plateau = 0 }

    /// Slow start: the next ACK in congestion avoidance begins a new stage.
    mutating func interrupted() { epoch = nil }

    /// Until now the window was not what limited us.
    mutating func rested(until now: Instant) {
        if let epoch {
            self.epoch = Instant(nanoseconds: epoch.nanoseconds + max(0, now.nanoseconds - seen.nanoseconds))
        }
        seen = now
    }

    /// §4.2–§4.5: the window after so many octets were acknowledged in congestion avoidance. `smoothed` is SRTT in nanoseconds.
    mutating func increased(window: Int, acknowledged: Int, segment: Int, smoothed: Int64, now: Instant) -> Int {
        let window = max(1, window), octets = min(acknowledged, window)
        seen = now
        if epoch == nil { begin(window: window, segment: segment, now: now) }
        let elapsed = (now.nanoseconds - (epoch ?? now).nanoseconds) / 1_000_000

        // §4.3: W_est += α · segments acknowledged / cwnd, a whole segment at a time. α is 3(1 - β)/(1 + β) = 9/17 until the
        // window before the reduction is reached, then 1.
        counted += octets
        let step = estimate < prior ? window * 17 / 9 : window
        if counted >= step {
            counted -= step
            estimate += segment
        }
        // Reno's region.
        if curve(at: elapsed, segment: segment) < estimate { return max(window, estimate) }

        // §4.4, §4.5: towards where the curve is a round trip from now, and at most half as much again in one.
        let target = min(max(curve(at: elapsed + smoothed / 1_000_000, segment: segment), window), window + window / 2)
        credit += octets * (target - window)
        let grown = credit / window
        credit -= grown * window
        return window + grown
    }

    /// A stage of congestion avoidance begins.
    private mutating func begin(window: Int, segment: Int, now: Instant) {
        epoch = now
        estimate = window
        counted = 0
        credit = 0
        // §4.2: K = ∛((W_max - cwnd_epoch) / C) in segments and seconds. §4.10: a window that grew beyond W_max, or never had
        // one, is its own plateau.
        if plateau <= window {
            plateau = window
            period = 0
        } else {
            period = Self.cubeRoot(Int64(plateau - window) * 2_500_000_000 / Int64(max(1, segment)))
        }
    }

    /// W_cubic(t) = C · (t - K)³ + W_max
    private func curve(at milliseconds: Int64, segment: Int) -> Int {
        let t = min(max(milliseconds - period, -Self.longest), Self.longest)
        return plateau + Int(t * t * t / 1000) * segment / 2_500_000
    }

    /// The largest whole number whose cube is no larger.
    static func cubeRoot(_ number: Int64) -> Int64 {
        guard number > 0 else { return 0 }
        var root: Int64 = 0
        // 2^21 cubed is the largest power of two below 2^63 that is a cube.
        var bit: Int64 = 1 << 20
        while bit > 0 {
            let next = root + bit
            if next * next * next <= number { root = next }
            bit >>= 1
        }
        return root
    }
}
