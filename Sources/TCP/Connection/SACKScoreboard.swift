import Machine

/// What the peer holds above SND.UNA: RFC 6675's scoreboard as sorted ranges of stream offsets, apart from each other. What
/// that means for the segments that we remember is in `SentSegments`; it also says what a twin need not send again.
struct SACKScoreboard: Sendable {
    struct Range: Sendable, BitwiseCopyable, Equatable {
        var start: Int64
        var end: Int64
    }
    /// Ranges kept. SACK is advice: what does not fit is only resent needlessly.
    static let maximum = 256
    /// RFC 5681 §3.2 and RFC 6675 §2, DupThresh.
    static let duplicateThreshold = 3

    private(set) var ranges: [Range] = []
    /// Octets in `ranges`.
    private(set) var octets = 0

    var isEmpty: Bool { ranges.isEmpty }
    var highest: Int64? { ranges.last?.end }

    /// RFC 6675 §5, Update(). True when the block said something new: `news` gets each part that is, with the range that is known
    /// to be whole since.
    @discardableResult
    mutating func add(_ start: Int64, _ end: Int64, news: (_ part: Range, _ whole: Range) -> Void = { _, _ in }) -> Bool {
        let low = place(endingAtOrAfter: start)
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
        if last == low, ranges.count >= Self.maximum { return false }
        var from = joined.start
        for i in low..<last {
            if ranges[i].start > from { news(Range(start: from, end: ranges[i].start), joined) }
            from = ranges[i].end
        }
        if joined.end > from { news(Range(start: from, end: joined.end), joined) }
        if last == low {
            ranges.insert(joined, at: low)
        } else {
            ranges[low] = joined
            if last > low + 1 { ranges.removeSubrange((low + 1)..<last) }
        }
        octets += grown
        return true
    }

    /// The place of the first range that ends there or later.
    private func place(endingAtOrAfter offset: Int64) -> Int {
        ranges.sortedIndex { $0.end < offset }
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

    /// The range that holds `offset`, or the next one above.
    func rangeAtOrAbove(_ offset: Int64) -> Range? {
        let place = place(endingAtOrAfter: offset + 1)
        return place < ranges.count ? ranges[place] : nil
    }
}
