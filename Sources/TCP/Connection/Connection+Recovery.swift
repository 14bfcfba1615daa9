import Machine
import Wire

// Loss: by SACK and time with SACK (RFC 8985 in place of RFC 6675, see `+SACK`), RFC 6582 (NewReno) without, RFC 3042 for the
// first two duplicates, RFC 5681 for the timeout. The segments themselves are sent by `+Output` at the end of the batch.
extension Connection {
    /// Between a timeout and the acknowledgement of all that was sent before it.
    var isAfterTimeout: Bool { !inRecovery && sendUnacknowledged < recoveryPoint }

    /// Octets thought to be in the network.
    var pipe: Int { identity.selectiveAcknowledgment ? sent.inFlight : Int(inFlight) }

    /// A duplicate ACK without SACK. With SACK it says little, but a peer whose own twin has taken over says it on purpose: it
    /// has lost what it SACKed.
    mutating func duplicateArrived(now: Instant, _ shared: inout StackShared) {
        duplicates += 1
        if inRecovery {
            // RFC 6582 §3.2 (4): one more segment has left the network. With SACK the pipe says so itself.
            if !identity.selectiveAcknowledgment { congestion.inflate(by: segmentSize) }
            return
        }
        guard duplicates == SACKScoreboard.duplicateThreshold, sendNext > sendUnacknowledged else { return }
        if identity.selectiveAcknowledgment {
            // After a timeout, what was sent before it does not start a recovery again.
            guard sendUnacknowledged >= recoveryPoint, sent.loseFirst() else { return }
            enterRecovery(now: now, &shared)
            congestion.setToThreshold()
        } else {
            // RFC 6582 §3.2 (2), (3)
            guard sendUnacknowledged > recoveryPoint else { return }
            enterRecovery(now: now, &shared)
            congestion.inflate(segments: SACKScoreboard.duplicateThreshold, segment: segmentSize)
        }
    }

    /// RFC 5681 §3.2 (2).
    mutating func enterRecovery(now: Instant, _ shared: inout StackShared) {
        inRecovery = true
        recoveryPoint = sendMaximum
        shared.counters.fastRetransmits += 1
        undo = RecoveryUndo(congestion: congestion, isTimeout: false, start: sendUnacknowledged, end: sendMaximum)
        dropProbe()
        reduction = RateReduction(flight: max(1, Int(inFlight)))
        if isPathProbeLost(now: now) {
            congestion.keep()
        } else {
            congestion.reduce(inFlight: Int(inFlight), segment: segmentSize)
        }
        timed = nil
        isRetransmissionDue = true
    }

    /// SND.UNA has moved: what that means for the windows.
    mutating func recoveryAdvanced(acked: Int, inFlight before: Int, _ delivery: Delivery, now: Instant) {
        guard inRecovery else {
            if isCongestionLimited || before >= congestion.window {
                if let roundTrip = delivery.roundTrip {
                    congestion.measured(roundTrip, unacknowledged: sendUnacknowledged, next: sendNext)
                }
                congestion.acknowledged(acked, segment: segmentSize, smoothed: timeout.smoothed ?? 0, now: now)
            } else {
                congestion.rested(until: now)
            }
            return
        }
        if sendUnacknowledged >= recoveryPoint {
            inRecovery = false
            isRetransmissionDue = false
            if identity.selectiveAcknowledgment {
                congestion.setToThreshold()
                rack.recoveryEnded()
            } else {
                congestion.leave(inFlight: Int(inFlight), segment: segmentSize)
            }
            return
        }
        if !identity.selectiveAcknowledgment {
            // RFC 6582 §3.2 (3): a partial acknowledgement. The next hole is resent, the window deflated by what was
            // acknowledged and, if that was a segment or more, inflated by one.
            congestion.deflate(by: acked, atLeast: segmentSize)
            if acked >= segmentSize { congestion.inflate(by: segmentSize) }
            isRetransmissionDue = true
        }
    }

    /// RFC 6298 §5.4–5.6 and RFC 5681 §3.1: the first octet that is not acknowledged goes again, and then the others. What SACK
    /// told is thrown away: the peer may have reneged (RFC 2018 §8), or its active may have died with what it SACKed.
    mutating func retransmissionTimedOut(now: Instant, _ shared: inout StackShared) {
        shared.counters.retransmissionTimeouts += 1
        let isRepeated = timedOutAt == sendUnacknowledged
        let wasRecovering = inRecovery || isAfterTimeout
        // RFC 5682 §3.1, step 1: not while another recovery goes on.
        forward = identity.selectiveAcknowledgment && !wasRecovering ? .isRetransmitted : .off
        if !isRepeated {
            undo =
                wasRecovering
                ? nil : RecoveryUndo(congestion: congestion, isTimeout: true, start: sendUnacknowledged, end: sendMaximum)
            congestion.reduce(inFlight: Int(inFlight), segment: segmentSize)
            timeoutsInARow = 0
        }
        timedOutAt = sendUnacknowledged
        timeoutsInARow += 1
        let size = segmentSize
        pathTimedOut(now: now)
        congestion.collapse(segment: segmentSize)
        timeout.expired()
        guard identity.selectiveAcknowledgment, segmentSize == size, sent.isWhole(from: sendUnacknowledged, to: sendNext),
            !sent.isEmpty
        else { return rewind() }
        // RFC 8985 §6.3. What was sent stays known, as it may only be late.
        recoveryPoint = sendMaximum
        inRecovery = false
        sent.timedOut(patience: rack.roundTrip + reorderingWindow, now: now)
        scoreboard.removeAll()
        duplicates = 0
        timed = nil
        isRetransmissionDue = true
        timers.cancel(.reorder)
        dropProbe()
    }

    /// RFC 8985 §7.1: a recovery needs no probe.
    private mutating func dropProbe() {
        lossProbe = nil
        timers.cancel(.lossProbe)
    }

    /// Back to the first octet that is not acknowledged, with nothing known of those after it.
    mutating func rewind() {
        recoveryPoint = sendMaximum
        forgetSent()
    }

    /// What was sent is sent again, and is looked at anew.
    mutating func forgetSent() {
        scoreboard.removeAll()
        sent.removeAll()
        rack.rewind()
        undo = nil
        forward = .off
        inRecovery = false
        isRetransmissionDue = false
        duplicates = 0
        timed = nil
        sendNext = sendUnacknowledged
        timers.cancel(.reorder)
        dropProbe()
    }
}
