import Machine

/// The segments between SND.UNA and SND.NXT in order of their octets, with what RFC 8985 §5.1 keeps of each. Only where the
/// peer reports by SACK.
///
/// There is one entry for each segment sent since SND.NXT last went back; what lies between two of them is SACKed.
struct SentSegments: Sendable {
    enum State: UInt8, Sendable {
        /// Sent, and as far as we know on its way.
        case inFlight
        /// To be sent again.
        case lost
        /// The peer has it.
        case sacked
    }
    struct Segment: Sendable, BitwiseCopyable {
        var start: Int64
        /// After the last octet, FIN included.
        var end: Int64
        /// When it was sent last.
        var sentAt: Instant
        var state: State
        /// Some octet of it was sent before, or reported before, so that its arrival measures nothing.
        var isRetransmitted: Bool
        /// Sent again after others: its place in time is in `again`, not here.
        var isOutOfOrder = false
        var count: Int { Int(end - start) }
    }

    /// Segments on their way at most. With full Ethernet segments this is more than the largest window; a peer that asks for
    /// small ones gets fewer octets.
    static let maximum = 8192

    private var list: [Segment] = []
    /// Entries before this one are acknowledged; they go when they are the greater part.
    private var first = 0
    /// Octets on their way: the pipe of RFC 6675, by RFC 8985's judgement of what is lost.
    private(set) var inFlight = 0
    /// Octets to be sent again.
    private(set) var lost = 0
    /// Segments SACKed.
    private(set) var sackedSegments = 0
    /// No entry before this place is `.lost`.
    private var lostHint = 0
    /// RFC 8985 §6.2, step 5, asks for two lists in order of time, so that an ACK looks only at what it changes. One is this
    /// list itself, where no entry before this place is on its way in its order.
    private var oldest = 0
    /// The other: what was sent again, in the order of that. An entry whose segment has arrived, or was sent yet again, is passed
    /// over. There are no more than segments.
    private var again = Queue<(start: Int64, sentAt: Instant)>()

    var isEmpty: Bool { first == list.count }
    var isFull: Bool { list.count - first >= Self.maximum }
    var segments: ArraySlice<Segment> { list[first...] }
    /// The segment before SND.NXT.
    var last: Segment? { isEmpty ? nil : list[list.count - 1] }

    /// A segment sent at SND.NXT.
    mutating func append(_ start: Int64, _ end: Int64, at now: Instant, isRetransmitted: Bool) {
        list.append(Segment(start: start, end: end, sentAt: now, state: .inFlight, isRetransmitted: isRetransmitted))
        inFlight += Int(end - start)
    }

    mutating func removeAll() {
        list.removeAll(keepingCapacity: true)
        first = 0
        inFlight = 0
        lost = 0
        sackedSegments = 0
        lostHint = 0
        oldest = 0
        again.removeAll()
    }

    private mutating func leave(_ state: State, _ count: Int) {
        switch state {
        case .inFlight: inFlight -= count
        case .lost: lost -= count
        case .sacked: break
        }
    }

    /// SND.UNA moves. `delivered` gets each segment that the peer was not known to have.
    mutating func acknowledge(upTo offset: Int64, _ delivered: (Segment) -> Void) {
        while first < list.count, list[first].end <= offset {
            let segment = list[first]
            leave(segment.state, segment.count)
            if segment.state == .sacked { sackedSegments -= 1 } else { delivered(segment) }
            first += 1
        }
        if first < list.count, list[first].start < offset {
            leave(list[first].state, Int(offset - list[first].start))
            list[first].start = offset
        }
        if first == list.count {
            removeAll()
        } else if first > 64, first * 2 > list.count {
            list.removeFirst(first)
            lostHint = max(0, lostHint - first)
            oldest = max(0, oldest - first)
            first = 0
        }
        lostHint = max(lostHint, first)
        oldest = max(oldest, first)
    }

    /// Where the first segment lies that ends after `offset`.
    private func place(after offset: Int64) -> Int {
        list[first...].sortedIndex { $0.end <= offset }
    }

    /// The peer has the octets `whole`, of which it had not told `news` before. A segment of which it has a part is not counted;
    /// it will be sent again whole.
    mutating func sack(
        _ whole: SACKScoreboard.Range, news: SACKScoreboard.Range, _ delivered: (Segment) -> Void
    ) {
        var i = place(after: news.start)
        while i < list.count, list[i].start < news.end {
            if list[i].start >= whole.start, list[i].end <= whole.end, list[i].state != .sacked {
                leave(list[i].state, list[i].count)
                sackedSegments += 1
                delivered(list[i])
                list[i].state = .sacked
            }
            i += 1
        }
    }

    /// RFC 8985 §6.2, step 5: those that were sent before the segment `rack` and have had `patience` to arrive are lost.
    /// Returns how long the others that were sent before it have, if there are any: RFC 8985 takes the last of them, of which we
    /// know only that it was sent no later than `rack`. Spans are nanoseconds, as this is done with every ACK.
    mutating func detectLost(
        before rack: (sentAt: Instant, end: Int64), patience: Int64, now: Instant
    ) -> (isLost: Bool, wait: Int64?) {
        var isLost = false, isWaiting = false
        let due = now.nanoseconds - patience
        while oldest < list.count {
            if list[oldest].state == .inFlight, !list[oldest].isOutOfOrder {
                guard Self.wasSent(list[oldest], before: rack) else { break }
                isWaiting = list[oldest].sentAt.nanoseconds > due
                if isWaiting { break }
                markLost(oldest)
                isLost = true
            }
            oldest += 1
        }
        while let (start, sentAt) = again.first {
            let i = place(after: start)
            if i < list.count, list[i].state == .inFlight, list[i].isOutOfOrder, list[i].sentAt == sentAt {
                guard Self.wasSent(list[i], before: rack) else { break }
                if sentAt.nanoseconds > due {
                    isWaiting = true
                    break
                }
                markLost(i)
                isLost = true
            }
            again.removeFirst(1)
        }
        return (isLost, isWaiting ? rack.sentAt.nanoseconds - due : nil)
    }

    private static func wasSent(_ segment: Segment, before rack: (sentAt: Instant, end: Int64)) -> Bool {
        segment.sentAt < rack.sentAt || segment.sentAt == rack.sentAt && segment.end < rack.end
    }

    private mutating func markLost(_ i: Int) {
        inFlight -= list[i].count
        lost += list[i].count
        list[i].state = .lost
        lostHint = min(lostHint, i)
    }

    /// The oldest segment is lost, whatever is known of others. False when there is none on its way.
    mutating func loseFirst() -> Bool {
        guard first < list.count, list[first].state == .inFlight else { return false }
        markLost(first)
        return true
    }

    /// Whether no octet is missing: what the peer had reported when SND.NXT passed it is in no segment.
    func isWhole(from start: Int64, to end: Int64) -> Bool {
        var next = start
        for segment in list[first...] {
            guard segment.start == next else { return false }
            next = segment.end
        }
        return next == end
    }

    /// RFC 8985 §6.3, after a timeout: the first segment is lost, and each that was sent so long ago. What the peer reported is
    /// lost as well, as it may have thrown it away (RFC 2018 §8).
    mutating func timedOut(patience: Int64, now: Instant) {
        for i in first..<list.count {
            switch list[i].state {
            case .inFlight:
                if i == first || now.nanoseconds - list[i].sentAt.nanoseconds >= patience { markLost(i) }
            case .sacked:
                sackedSegments -= 1
                list[i].state = .lost
                list[i].isRetransmitted = true
                lost += list[i].count
            case .lost: break
            }
        }
        lostHint = first
        orderAgain()
    }

    /// What was taken for lost and not sent again is on its way after all.
    mutating func forgive() {
        for i in first..<list.count where list[i].state == .lost {
            list[i].state = .inFlight
            inFlight += list[i].count
            lost -= list[i].count
        }
        orderAgain()
    }

    /// The order of time, from the beginning.
    private mutating func orderAgain() {
        oldest = first
        again.removeAll()
        for segment in list[first...] where segment.state == .inFlight && segment.isOutOfOrder {
            again.append((segment.start, segment.sentAt))
        }
        again.sort { $0.sentAt != $1.sentAt ? $0.sentAt < $1.sentAt : $0.start < $1.start }
    }

    /// The first octets to be sent again: at most `length`, for a segment may have become smaller since.
    mutating func nextLost(_ length: Int) -> (start: Int64, end: Int64)? {
        guard lost > 0 else { return nil }
        while lostHint < list.count, list[lostHint].state != .lost { lostHint += 1 }
        guard lostHint < list.count else { return nil }
        let segment = list[lostHint]
        return (segment.start, min(segment.end, segment.start + Int64(max(1, length))))
    }

    /// Those octets of `nextLost` were sent again.
    mutating func resent(upTo end: Int64, at now: Instant) {
        let segment = list[lostHint]
        if end < segment.end {
            list[lostHint].start = end
            list.insert(segment, at: lostHint)
            list[lostHint].end = end
            if oldest > lostHint { oldest += 1 }
        }
        list[lostHint].state = .inFlight
        let count = list[lostHint].count
        lost -= count
        inFlight += count
        noteAgain(lostHint, at: now)
        lostHint += 1
    }

    /// The segment before SND.NXT, on its way, was sent again, or the end of it.
    mutating func resentLast(at now: Instant) {
        guard !isEmpty, list[list.count - 1].state == .inFlight else { return }
        noteAgain(list.count - 1, at: now)
    }

    private mutating func noteAgain(_ i: Int, at now: Instant) {
        list[i].sentAt = now
        list[i].isRetransmitted = true
        list[i].isOutOfOrder = true
        again.append((list[i].start, now))
    }
}
