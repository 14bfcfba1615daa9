/// RFC 5681 with the byte counting of RFC 3465, in octets. Recovery itself is in `Connection+Recovery`; this is the window.
struct CongestionControl: Sendable, BitwiseCopyable {
    /// RFC 3465 §2.3 recommends two segments per ACK. Peers behind receive offload answer a whole train with one ACK, and
    /// the bursts that this allows are no longer than the initial window of RFC 6928, which the path must bear anyway.
    static let growthSegmentsPerAcknowledgment = 10

    private(set) var window: Int
    /// ssthresh; `Int.max` before the first loss (RFC 5681 §3.1: arbitrarily high).
    private(set) var threshold = Int.max
    private let maximum: Int
    private var counted = 0

    init(initial: Int, maximum: Int) {
        window = initial
        self.maximum = maximum
    }

    /// RFC 6928 §2: min (segments * MSS, max (2 * MSS, octets)).
    static func initialWindow(segment: Int, _ configuration: TCPConfiguration) -> Int {
        min(configuration.initialWindowSegments * segment, max(2 * segment, configuration.initialWindowOctets))
    }

    var isSlowStart: Bool { window < threshold }

    /// New data was acknowledged outside of recovery, while the window was what limited us.
    mutating func acknowledged(_ octets: Int, segment: Int) {
        if isSlowStart {
            window += min(octets, Self.growthSegmentsPerAcknowledgment * segment)
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

    /// RFC 5681 §3.2 (2), equation (4).
    mutating func reduce(inFlight: Int, segment: Int) {
        threshold = max(inFlight / 2, 2 * segment)
        counted = 0
    }
    /// A recovery that is of no congestion.
    mutating func keep() { threshold = window }
    mutating func setToThreshold() { window = threshold }
    /// RFC 9937: what an ACK lets out during recovery.
    mutating func reduceInRecovery(to octets: Int) { window = min(octets, maximum) }
    /// A reduction that was for nothing.
    mutating func restore(window before: Int, threshold old: Int) {
        window = max(window, before)
        threshold = max(threshold, old)
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
    mutating func collapse(segment: Int) { window = segment }
    /// RFC 5681 §4.1: after an idle time longer than RTO the restart window.
    mutating func restart(initial: Int) { window = min(window, initial) }
}
