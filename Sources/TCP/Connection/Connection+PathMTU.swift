import Machine
import Records
import Wire

/// RFC 4821: the search for what a path carries when no ICMP tells. Sizes are MSS, without TCP's options.
struct PathSearch: Sendable, BitwiseCopyable {
    /// RFC 4821 §7.3: after this long a path may have become wider.
    static let again = Duration.minutes(10)
    /// A search that is within so many octets is over.
    static let grain = 16

    /// What is in use.
    var low: Int
    /// What may work.
    var high: Int
    /// What was in use before the path fell silent.
    let full: Int
    /// A segment of the size that is tried, while it is on its way.
    var probe: (start: Int64, end: Int64, size: Int)?
    var notBefore: Instant

    /// What to try next. All first: most paths that fell silent were not there, and carry what they carried before.
    var candidate: Int { high == full ? full : (low + high + 1) / 2 }

    mutating func found(_ size: Int, at now: Instant) {
        low = size
        probe = nil
        settle(at: now)
    }
    mutating func failed(_ size: Int, at now: Instant) {
        high = min(high, size - 1)
        probe = nil
        settle(at: now)
    }
    private mutating func settle(at now: Instant) {
        guard high - low < Self.grain else { return }
        high = full
        notBefore = now + Self.again
    }
}

// Packetization layer path MTU discovery.
extension Connection {
    /// MSS in use, without options.
    private var maximumSegment: Int { min(localSegmentSize, Int(identity.peerMaximumSegmentSize), pathSegmentSize) }

    /// RFC 4821 §7.7, a full-stop timeout: full segments that go unanswered again and again may be too large for the path. A
    /// smaller size is taken, and a larger one tried once octets get through. Called before the first segment is sent again.
    mutating func pathTimedOut(now: Instant) {
        if let probe = pathSearch?.probe {
            // Lost together with all others it proves nothing; lost alone it was too large.
            if sendUnacknowledged == probe.start, timeoutsInARow == 1 { pathSearch!.failed(probe.size, at: now) }
            pathSearch!.probe = nil
        }
        guard timeoutsInARow == 3 || timeoutsInARow == 5, isSynchronized else { return }
        // RFC 4821 §7.2 begins with 1,024 octets for IPv4; then the floor of `reducePath`. IPv6 has only its minimum.
        let isIPv4 = identity.tuple.local.family == .ipv4
        let before = maximumSegment
        let options = before - segmentSize
        let largest = min(before, Int(min(dataEnd - sendUnacknowledged, 65_535)) + options)
        let smaller = isIPv4 ? (largest > 984 ? 984 : 512) : 1220
        // Every path carries 1,280 octets, so that what is smaller is hardly lost for its size. Where even less gets through is
        // found when the search has begun.
        guard smaller < largest, largest > 1240 || isIPv4 && pathSearch != nil else { return }
        pathSearch = PathSearch(
            low: smaller, high: pathSearch?.full ?? before, full: pathSearch?.full ?? before, probe: nil, notBefore: now)
        pathSegmentSize = smaller
        setSegmentSize()
    }

    /// The path was away and is back, so that its silence said nothing of sizes.
    mutating func restorePath() {
        guard let search = pathSearch, timeoutsInARow > 0 else { return }
        pathSearch = nil
        pathSegmentSize = search.full
        setSegmentSize()
    }

    /// SND.UNA has moved.
    mutating func pathAcknowledged(now: Instant) {
        guard let probe = pathSearch?.probe, sendUnacknowledged >= probe.end else { return }
        pathSearch!.found(probe.size, at: now)
        pathSegmentSize = probe.size
        setSegmentSize()
    }

    /// Whether what is lost is the segment whose size was tried: RFC 4821 §7.6.2, no sign of congestion.
    mutating func isPathProbeLost(now: Instant) -> Bool {
        guard let probe = pathSearch?.probe else { return false }
        guard sendUnacknowledged == probe.start else {
            pathSearch!.probe = nil
            return false
        }
        pathSearch!.failed(probe.size, at: now)
        return true
    }

    /// Octets of a segment that tries a larger size, or nothing: there must be enough behind it to tell its loss from others
    /// (RFC 4821 §7.4).
    func pathProbeLength(pipe: Int, now: Instant) -> Int? {
        guard let search = pathSearch, search.probe == nil, now >= search.notBefore, timeoutsInARow == 0, !inRecovery,
            !isAfterTimeout, duplicates == 0, scoreboard.isEmpty, sendNext == sendMaximum
        else { return nil }
        let length = search.candidate - (maximumSegment - segmentSize)
        let train = length + 4 * segmentSize
        let open = sendUnacknowledged + Int64(sendWindow) - sendNext
        guard length > segmentSize, Int64(train) <= min(dataEnd - sendNext, open), train <= congestion.window,
            pipe + length <= congestion.window
        else { return nil }
        return length
    }
}
