/// What the peer holds above SND.UNA: RFC 6675's scoreboard as sorted ranges of stream offsets, apart from each other.
struct SACKScoreboard: Sendable {
    struct Range: Sendable, BitwiseCopyable, Equatable {
        var start: Int64
        var end: Int64
    }
    /// Ranges kept. SACK is advice: what does not fit is only resent needlessly.
    static let maximum = 256
    /// RFC 6675 §2, DupThresh.
    static let duplicateThreshold = 3

    private(set) var ranges: [Range] = []
    /// Octets in `ranges`.
    private(set) var octets = 0

    var isEmpty: Bool { ranges.isEmpty }
    var highest: Int64? { ranges.last?.end }

    /// RFC 6675 §5, Update(). True when the block said something new.
    mutating func add(_ start: Int64, _ end: Int64) -> Bool {
        var low = 0, high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].end < start { low = middle + 1 } else { high = middle }
        }
        var last = low
        var joined = Range(start: start, end: end)
        var covered = 0
        while last < ranges.count, ranges[last].start <= end {
            joined.start = min(joined.start, ranges[last].start)
            joined.end = max(joined.end, ranges[last].end)
            covered += Int(ranges[last].end - ranges[last].start)
            last += 1
        }
        let grown = Int(joined.end - joined.start) - covered
        guard grown > 0 else { return false }
        if last == low {
            guard ranges.count < Self.maximum else { return false }
            ranges.insert(joined, at: low)
        } else {
            ranges[low] = joined
            if last > low + 1 { ranges.removeSubrange((low + 1)..<last) }
        }
        octets += grown
        return true
    }

    mutating func acknowledge(upTo offset: Int64) {
        var spent = 0
        while spent < ranges.count, ranges[spent].end <= offset {
            octets -= Int(ranges[spent].end - ranges[spent].start)
            spent += 1
        }
        if spent > 0 { ranges.removeFirst(spent) }
        if !ranges.isEmpty, ranges[0].start < offset {
            octets -= Int(offset - ranges[0].start)
            ranges[0].start = offset
        }
    }

    mutating func removeAll() {
        ranges.removeAll(keepingCapacity: true)
        octets = 0
    }

    /// RFC 6675 §4, IsLost() for all octets at once: those not SACKed below this offset are lost. It is where, counted from
    /// the top, DupThresh ranges or more than (DupThresh - 1) segments of octets have been SACKed.
    func lostBelow(segment: Int) -> Int64 {
        var sum: Int64 = 0
        var i = ranges.count
        while i > 0 {
            i -= 1
            sum += ranges[i].end - ranges[i].start
            if ranges.count - i >= Self.duplicateThreshold || sum > Int64((Self.duplicateThreshold - 1) * segment) {
                return ranges[i].start
            }
        }
        return .min
    }

    /// RFC 6675 §4, SetPipe(): octets between `una` and `next` thought to be in the network.
    func pipe(una: Int64, next: Int64, highRetransmitted: Int64, segment: Int) -> Int {
        let lost = lostBelow(segment: segment)
        var pipe: Int64 = 0
        var position = una
        func gap(_ end: Int64) {
            guard end > position else { return }
            // (a) not lost: sent and on its way; (b) retransmitted: on its way (again).
            pipe += max(0, end - max(position, lost))
            pipe += max(0, min(end, highRetransmitted) - position)
        }
        for range in ranges {
            if range.start >= next { break }
            gap(range.start)
            position = max(position, range.end)
        }
        gap(next)
        return Int(pipe)
    }

    /// Octets SACKed between two offsets.
    func octets(from start: Int64, to end: Int64) -> Int {
        var sum: Int64 = 0
        for range in ranges {
            if range.start >= end { break }
            sum += max(0, min(range.end, end) - max(range.start, start))
        }
        return Int(sum)
    }

    /// The first octets at or after `offset` that are not SACKed but lie below the highest that is: where they begin, and
    /// where the next range begins.
    func hole(from offset: Int64) -> Range? {
        var position = offset
        for range in ranges {
            if range.end <= position { continue }
            if range.start > position { return Range(start: position, end: range.start) }
            position = range.end
        }
        return nil
    }

    /// The range that holds `offset`, or the next one above.
    func rangeAtOrAbove(_ offset: Int64) -> Range? {
        for range in ranges where range.end > offset { return range }
        return nil
    }
}
