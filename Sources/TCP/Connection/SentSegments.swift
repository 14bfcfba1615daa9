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
        /// Some octet of it was sent before.
        var isRetransmitted: Bool
        var count: Int { Int(end - start) }
    }

    /// Segments on their way at most: each ACK in a recovery looks at all of them. With full Ethernet segments this is more
    /// than the largest window; a peer that asks for small ones gets fewer octets.
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
    /// After the last octet that was sent again: beyond it segments were sent in their order.
    private(set) var retransmittedEnd: Int64 = .min

    var isEmpty: Bool { first == list.count }
    var isFull: Bool { list.count - first >= Self.maximum }
    var segments: ArraySlice<Segment> { list[first...] }

    /// A segment sent at SND.NXT.
    mutating func append(_ start: Int64, _ end: Int64, at now: Instant, isRetransmitted: Bool) {
        list.append(Segment(start: start, end: end, sentAt: now, state: .inFlight, isRetransmitted: isRetransmitted))
        inFlight += Int(end - start)
        if isRetransmitted { retransmittedEnd = max(retransmittedEnd, end) }
    }

    mutating func removeAll() {
        list.removeAll(keepingCapacity: true)
        first = 0
        inFlight = 0
        lost = 0
        sackedSegments = 0
        lostHint = 0
        retransmittedEnd = .min
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
            first = 0
        }
        lostHint = max(lostHint, first)
    }

    /// Where the first segment lies that ends after `offset`.
    private func place(after offset: Int64) -> Int {
        var low = first, high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].end <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The peer has these octets; those before `news` were told before. A segment of which it has a part is not counted; it
    /// will be sent again whole.
    mutating func sack(_ start: Int64, _ end: Int64, news: Int64, _ delivered: (Segment) -> Void) {
        var i = place(after: news)
        while i < list.count, list[i].end <= end {
            if list[i].start >= start, list[i].state != .sacked {
                leave(list[i].state, list[i].count)
                sackedSegments += 1
                delivered(list[i])
                list[i].state = .sacked
            }
            i += 1
        }
    }

    /// RFC 8985 §6.2, step 5: those that were sent before the segment `rack` and have had `patience` to arrive are lost.
    /// Returns how long the others that were sent before it still have, if there are any.
    mutating func detectLost(
        before rack: (sentAt: Instant, end: Int64), patience: Duration, now: Instant
    ) -> (isLost: Bool, wait: Duration?) {
        var isLost = false
        let limit = max(rack.end, retransmittedEnd)
        // In plain numbers: this is the loop over a whole window.
        let due = now.nanoseconds - patience.inNanoseconds
        var longest = Int64.min
        var i = first
        while i < list.count, list[i].start < limit {
            let segment = list[i]
            if segment.state == .inFlight,
                segment.sentAt < rack.sentAt || segment.sentAt == rack.sentAt && segment.end < rack.end
            {
                if segment.sentAt.nanoseconds <= due {
                    markLost(i)
                    isLost = true
                } else {
                    longest = max(longest, segment.sentAt.nanoseconds - due)
                }
            }
            i += 1
        }
        return (isLost, longest == .min ? nil : .nanoseconds(longest))
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

    /// What was taken for lost and not sent again is on its way after all.
    mutating func forgive() {
        for i in first..<list.count where list[i].state == .lost {
            list[i].state = .inFlight
            inFlight += list[i].count
            lost -= list[i].count
        }
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
        }
        list[lostHint].state = .inFlight
        list[lostHint].sentAt = now
        list[lostHint].isRetransmitted = true
        let count = list[lostHint].count
        lost -= count
        inFlight += count
        retransmittedEnd = max(retransmittedEnd, end)
        lostHint += 1
    }
}
