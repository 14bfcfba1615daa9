import Machine

/// How a connection shares a path with others.
public enum CongestionAlgorithm: Sendable, BitwiseCopyable {
    /// RFC 9438 with the slow start of RFC 9406.
    case cubic
    /// RFC 5681
    case reno
}

/// The congestion window in octets: RFC 5681 with the byte counting of RFC 3465, and CUBIC for avoidance. Recovery itself is in
/// `Connection+Recovery`. It is one flat value, so that a copy is what a reduction for nothing is taken back to (RFC 9438 §4.9).
struct CongestionControl: Sendable, BitwiseCopyable {
    /// RFC 3465 §2.3 recommends two segments per ACK, RFC 9406 §4.3 eight. Peers behind receive offload answer a whole train with
    /// one ACK, and the bursts that this allows are no longer than the initial window of RFC 6928, which the path must bear.
    static let growthSegmentsPerAcknowledgment = 10

    private(set) var window: Int
    /// ssthresh; `Int.max` before the first loss (RFC 5681 §3.1: arbitrarily high).
    private(set) var threshold = Int.max
    private let maximum: Int
    private let algorithm: CongestionAlgorithm
    private var counted = 0
    private var cubic = Cubic()
    private var slowStart = HyStart()

    init(initial: Int, _ configuration: TCPConfiguration) {
        window = initial
        maximum = configuration.congestionWindowMaximum
        algorithm = configuration.congestionAlgorithm
    }

    /// RFC 6928 §2: min (segments * MSS, max (2 * MSS, octets)).
    static func initialWindow(segment: Int, _ configuration: TCPConfiguration) -> Int {
        min(configuration.initialWindowSegments * segment, max(2 * segment, configuration.initialWindowOctets))
    }

    var isSlowStart: Bool { window < threshold }

    /// New data was acknowledged outside of recovery, while the window was what limited us. `smoothed` is SRTT in
    /// nanoseconds.
    mutating func acknowledged(_ octets: Int, segment: Int, smoothed: Int64, now: Instant) {
        if isSlowStart {
            let most = min(octets, Self.growthSegmentsPerAcknowledgment * segment)
            window += slowStart.isConservative ? most / HyStart.growthDivisor : most
            cubic.interrupted()
        } else if algorithm == .cubic {
            window = cubic.increased(window: window, acknowledged: octets, segment: segment, smoothed: smoothed, now: now)
        } else {
            // RFC 5681 §3.1: one segment per window's worth.
            counted += octets
            if counted >= window {
                counted -= window
                window += segment
            }
        }
        window = min(window, maximum)
    }

    /// New data was acknowledged, or is sent after a pause, and the window did not limit us.
    mutating func rested(until now: Instant) { cubic.rested(until: now) }

    /// A round trip of the first slow start, in nanoseconds.
    mutating func measured(_ roundTrip: Int64, unacknowledged: Int64, next: Int64) {
        guard algorithm == .cubic, threshold == .max else { return }
        if slowStart.measured(roundTrip, unacknowledged: unacknowledged, next: next) {
            threshold = window
            slowStart = HyStart()
        }
    }

    /// RFC 5681 §3.2 (2), equation (4), or RFC 9438 §4.6.
    mutating func reduce(inFlight: Int, segment: Int) {
        counted = 0
        slowStart = HyStart()
        switch algorithm {
        case .cubic: threshold = cubic.reduced(window: window, inFlight: inFlight, segment: segment)
        case .reno: threshold = max(inFlight / 2, 2 * segment)
        }
    }
    /// A recovery that is of no congestion.
    mutating func keep() { threshold = window }
    mutating func setToThreshold() { window = threshold }
    /// RFC 9937: what an ACK lets out during recovery.
    mutating func reduceInRecovery(to octets: Int) { window = min(octets, maximum) }
    /// A reduction that was for nothing. RFC 9438 §4.9.2: the window, unless it has grown as large since.
    mutating func restore(_ before: CongestionControl) {
        if window <= before.window { self = before } else { threshold = max(threshold, before.threshold) }
    }
    /// RFC 5681 §3.2 (3): three segments have left the network.
    mutating func inflate(segments: Int, segment: Int) { window = threshold + segments * segment }
    mutating func inflate(by octets: Int) { window = min(window + octets, maximum) }
    mutating func deflate(by octets: Int, atLeast least: Int) { window = max(window - octets, least) }
    /// RFC 6582 §3.2 (3): full acknowledgement, option 1.
    mutating func leave(inFlight: Int, segment: Int) {
        window = min(threshold, max(inFlight, segment) + segment)
    }
    /// RFC 5681 §3.1: the loss window after a timeout.
    mutating func collapse(segment: Int) {
        window = segment
        cubic.timedOut()
    }
    /// RFC 5681 §4.1: after an idle time longer than RTO the restart window.
    mutating func restart(initial: Int) { window = min(window, initial) }
}
