import Machine
import Records
import Wire

// What SACK says of segments, and what their times say of those that it does not mention: RFC 2018, 2883, 8985, 3708.
extension Connection {
    /// Takes from an ACK what the peer has now. Returns how many octets are new. SND.UNA moves later.
    mutating func takeDelivered(_ h: SegmentHeader, upTo offset: Int64, now: Instant) -> Int {
        var octets = 0
        var order = rack
        // RFC 8985 §6.2, step 2: an echo from before the retransmission is of the first copy.
        let echoed = identity.timestamps && h.hasTimestamps && h.timestampEcho != 0
        func note(_ segment: SentSegments.Segment) {
            octets += segment.count
            let isOlder = echoed && distance(from: timestamp(at: segment.sentAt), to: h.timestampEcho) < 0
            order.delivered(segment, now: now, isOlder: isOlder)
        }
        var list = SentSegments()
        swap(&list, &sent)
        if offset > sendUnacknowledged { list.acknowledge(upTo: offset, note) }
        let least = max(sendUnacknowledged, offset)
        for i in 0..<h.blockCount {
            let left = sentOffset(h.blocks[i].left), right = sentOffset(h.blocks[i].right)
            // Blocks of octets never sent are lies.
            guard right > left, right <= sendMaximum, left >= 0 else { continue }
            if left < least {
                if i == 0, right <= least { duplicateReported(left, right, order: &order) }
                continue
            }
            if i == 0, h.blockCount > 1 {
                // RFC 2883 §4: a first block within the second is of what came twice.
                let outer = sentOffset(h.blocks[1].left), end = sentOffset(h.blocks[1].right)
                if outer <= left, right <= end {
                    duplicateReported(left, right, order: &order)
                    continue
                }
            }
            // Where a known range grows, only what is new of it is looked for.
            let known = scoreboard.rangeAtOrAbove(left)
            if scoreboard.add(left, right) {
                var start = left, news = left
                if let known, known.start <= left { (start, news) = (known.start, known.end) }
                list.sack(start, right, news: news, note)
            }
        }
        swap(&list, &sent)
        rack = order
        return octets
    }

    /// RFC 2883, RFC 3708 §3: the peer got these octets twice. When all that a recovery sent again was for nothing, so was the
    /// reduction of the window: segments were late and not lost.
    private mutating func duplicateReported(_ left: Int64, _ right: Int64, order: inout RACK) {
        order.duplicateReported(unacknowledged: sendUnacknowledged, next: sendNext)
        guard undo != nil, left >= undo!.start, right <= undo!.end else { return }
        undo!.outstanding -= Int(right - left)
        if undo!.resent > 0, undo!.outstanding <= 0 {
            order.reorderingProven()
            takeBackRecovery()
        }
    }

    private mutating func takeBackRecovery() {
        guard let before = undo else { return }
        undo = nil
        congestion.restore(window: before.window, threshold: before.threshold)
        if inRecovery {
            inRecovery = false
            isRetransmissionDue = false
        }
        recoveryPoint = min(recoveryPoint, sendUnacknowledged)
        isRecoveryTakenBack = true
    }

    /// RFC 8985 §6.2, steps 4 and 5, and what follows for the window.
    mutating func judgeSent(delivered: Int, hasMoved: Bool, now: Instant, _ shared: inout StackShared) {
        if isRecoveryTakenBack {
            isRecoveryTakenBack = false
            shared.counters.spuriousRecoveries += 1
            sent.forgive()
        }
        let hasLost = detectLost(now: now, &shared)
        guard inRecovery, reduction != nil else { return }
        let window = reduction!.window(
            delivered: delivered, pipe: sent.inFlight, threshold: congestion.threshold, segment: segmentSize,
            isSafe: hasMoved && !hasLost)
        congestion.reduceInRecovery(to: window)
    }

    /// Marks what is lost by now, begins a recovery if that is news, and sets the timer for what may only be late.
    private mutating func detectLost(now: Instant, _ shared: inout StackShared) -> Bool {
        guard let latest = rack.latest, !sent.isEmpty else {
            timers.cancel(.reorder)
            return false
        }
        let window = rack.window(
            smoothed: timeout.smoothed.map { .nanoseconds($0) }, isRecovering: inRecovery || isAfterTimeout,
            sackedSegments: sent.sackedSegments)
        let (hasLost, wait) = sent.detectLost(before: latest, patience: rack.roundTrip + window, now: now)
        if let wait { timers.set(.reorder, at: now + wait) } else { timers.cancel(.reorder) }
        // After a timeout what is lost is sent again within that recovery, whose window is small already.
        if hasLost, !inRecovery, !isAfterTimeout { enterRecovery(now: now, &shared) }
        return hasLost
    }

    /// The reordering timer.
    mutating func reorderingTimedOut(now: Instant, _ shared: inout StackShared) {
        let wasInRecovery = inRecovery
        _ = detectLost(now: now, &shared)
        guard inRecovery, reduction != nil, !wasInRecovery || sent.lost > 0 else { return }
        let window = reduction!.window(
            delivered: 0, pipe: sent.inFlight, threshold: congestion.threshold, segment: segmentSize, isSafe: false)
        congestion.reduceInRecovery(to: window)
    }
}
