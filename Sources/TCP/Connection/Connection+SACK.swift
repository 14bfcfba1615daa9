import Machine
import Records
import Wire

// What SACK says of segments, and what their times say of those that it does not mention: RFC 2018, 2883, 8985, 3708, 3522.
extension Connection {
    /// Takes from an ACK what the peer has now. SND.UNA moves later.
    mutating func takeDelivered(_ h: SegmentHeader, upTo offset: Int64, now: Instant) -> Delivery {
        var delivery = Delivery()
        var order = rack
        let sendUnacknowledged = sendUnacknowledged, recoveryPoint = recoveryPoint
        // RFC 8985 §6.2, step 2: an echo from before the retransmission is of the first copy.
        let echoed = identity.timestamps && h.hasTimestamps && h.timestampEcho != 0
        let timestamps = (offset: identity.timestampOffset, echo: h.timestampEcho)
        func note(_ segment: SentSegments.Segment) {
            delivery.octets += segment.count
            if !segment.isRetransmitted {
                delivery.roundTrip = now.nanoseconds - segment.sentAt.nanoseconds
                if segment.end <= recoveryPoint { delivery.hasOriginal = true }
            }
            let sent = Self.timestamp(at: segment.sentAt, offset: timestamps.offset)
            let isOlder = echoed && distance(from: sent, to: timestamps.echo) < 0
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
                if i == 0, right <= least { duplicateReported(left, right, order: &order, &delivery) }
                continue
            }
            if i == 0, h.blockCount > 1 {
                // RFC 2883 §4: a first block within the second is of what came twice.
                let outer = sentOffset(h.blocks[1].left), end = sentOffset(h.blocks[1].right)
                if outer <= left, right <= end {
                    duplicateReported(left, right, order: &order, &delivery)
                    continue
                }
            }
            scoreboard.add(left, right) { part, whole in list.sack(whole, news: part, note) }
        }
        swap(&list, &sent)
        rack = order
        if offset > sendUnacknowledged, undo != nil {
            // RFC 3522 §3.2 (4)–(6): the first ACK that is new since the retransmission tells which copy it answers. Where both
            // left within a millisecond it does not, and nothing is taken back.
            if echoed, let at = undo!.sentAt, distance(from: timestamp(at: at), to: h.timestampEcho) < 0 {
                takeBackRecovery(&delivery)
            } else {
                undo!.sentAt = nil
            }
        }
        return delivery
    }

    /// RFC 2883, RFC 3708 §3: the peer got these octets twice. When all that a recovery sent again was for nothing, so was the
    /// reduction of the window: segments were late and not lost.
    private mutating func duplicateReported(_ left: Int64, _ right: Int64, order: inout RACK, _ delivery: inout Delivery) {
        delivery.duplicateEnd = right
        // A probe that was for nothing says nothing of the order in which segments arrive.
        if lossProbe?.isRetransmission == true, lossProbe?.end == right { return }
        order.duplicateReported(unacknowledged: sendUnacknowledged, next: sendNext)
        guard undo != nil, left >= undo!.start, right <= undo!.end else { return }
        undo!.outstanding -= Int(right - left)
        if undo!.resent > 0, undo!.outstanding <= 0 { takeBackRecovery(&delivery) }
    }

    /// What the recovery did was for nothing.
    private mutating func takeBackRecovery(_ delivery: inout Delivery) {
        guard let before = undo else { return }
        undo = nil
        forward = .off
        delivery.provesReordering = !before.isTimeout
        congestion.restore(before.congestion)
        if inRecovery {
            inRecovery = false
            isRetransmissionDue = false
        }
        recoveryPoint = min(recoveryPoint, sendUnacknowledged)
        delivery.takesBack = true
    }

    /// RFC 5682 §3.1, steps 2 and 3, with what SACK says. SND.UNA has moved, if it does.
    mutating func judgeTimeout(_ delivery: inout Delivery, hasMoved: Bool) {
        guard hasMoved || delivery.octets > 0 || duplicates > 0 else { return }
        switch forward {
        case .off: break
        case .isRetransmitted:
            // (2b), if there is something new that could go; (2a) otherwise.
            let hasNew = sendNext == sendMaximum && sendEnd > sendNext && sendUnacknowledged + Int64(sendWindow) > sendNext
            forward = hasMoved && sendUnacknowledged < recoveryPoint && hasNew ? .isProbing(left: ForwardRecovery.probes) : .off
        case .isProbing:
            // (3b): what was sent before the timeout, and not again, arrives.
            if delivery.hasOriginal { takeBackRecovery(&delivery) }
            forward = .off
        }
    }

    /// RFC 8985 §6.2, steps 4 and 5, and what follows for the window.
    mutating func judgeSent(_ delivery: Delivery, hasMoved: Bool, now: Instant, _ shared: inout StackShared) {
        if delivery.takesBack {
            shared.counters.spuriousRecoveries += 1
            // What RACK took for the retransmission was the first copy, which says nothing of those that were sent after it.
            if delivery.provesReordering { rack.reorderingProven() } else { rack.forgetLatest() }
            sent.forgive()
        }
        let hasLost = detectLost(now: now, &shared)
        guard inRecovery, reduction != nil else { return }
        let window = reduction!.window(
            delivered: delivery.octets, pipe: sent.inFlight, threshold: congestion.threshold, segment: segmentSize,
            isSafe: hasMoved && !hasLost)
        congestion.reduceInRecovery(to: window)
    }

    /// RACK.reo_wnd now, in nanoseconds.
    var reorderingWindow: Int64 {
        rack.window(
            smoothed: timeout.smoothed, isRecovering: inRecovery || isAfterTimeout, sackedSegments: sent.sackedSegments)
    }

    /// Marks what is lost by now, begins a recovery if that is news, and sets the timer for what may only be late.
    private mutating func detectLost(now: Instant, _ shared: inout StackShared) -> Bool {
        guard let latest = rack.latest, !sent.isEmpty else {
            timers.cancel(.reorder)
            return false
        }
        let (hasLost, wait) = sent.detectLost(before: latest, patience: rack.roundTrip + reorderingWindow, now: now)
        if let wait {
            timers.set(.reorder, at: Instant(nanoseconds: now.nanoseconds + wait))
            // RFC 8985 §8: one of these timers at a time.
            timers.cancel(.lossProbe)
        } else {
            timers.cancel(.reorder)
        }
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
