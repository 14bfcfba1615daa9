import Machine
import Wire

// Loss: RFC 6675 with SACK, RFC 6582 (NewReno) without, RFC 3042 for the first two duplicates, RFC 5681 for the timeout.
// The segments themselves are sent by `+Output` at the end of the batch.
extension Connection {
    /// Between a timeout and the acknowledgement of all that was sent before it.
    var isAfterTimeout: Bool { !inRecovery && sendUnacknowledged < recoveryPoint }

    /// Octets thought to be in the network: RFC 6675's pipe, or the flight size where there is nothing SACKed.
    var pipe: Int {
        if scoreboard.isEmpty { return Int(inFlight) }
        // RFC 6675 §5.1: what was sent before the timeout counts as lost, and all below SND.NXT that the peer does not hold was
        // sent again since. That SACKed octets lie above it says nothing of those copies.
        if isAfterTimeout { return Int(inFlight) - scoreboard.octets(from: sendUnacknowledged, to: sendNext) }
        return scoreboard.pipe(
            una: sendUnacknowledged, next: sendNext, highRetransmitted: highRetransmitted, segment: segmentSize)
    }

    /// A duplicate ACK, or one that SACKs more.
    mutating func duplicateArrived(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        duplicates += 1
        if inRecovery {
            // RFC 6582 §3.2 (4): one more segment has left the network. With SACK the pipe says so itself.
            if !identity.selectiveAcknowledgment { congestion.inflate(by: segmentSize) }
            return
        }
        let isLost: Bool
        if identity.selectiveAcknowledgment {
            // RFC 6675 §5 (1), (2). After a timeout, what was sent before it does not start a recovery again.
            isLost =
                (duplicates >= SACKScoreboard.duplicateThreshold
                    || sendUnacknowledged < scoreboard.lostBelow(segment: segmentSize))
                && sendUnacknowledged >= recoveryPoint
        } else {
            // RFC 6582 §3.2 (2)
            isLost = duplicates == SACKScoreboard.duplicateThreshold && sendUnacknowledged > recoveryPoint
        }
        guard isLost, sendNext > sendUnacknowledged else { return }
        // RFC 6675 §5 (4), RFC 6582 §3.2 (2), (3)
        inRecovery = true
        recoveryPoint = sendMaximum
        shared.counters.fastRetransmits += 1
        if isPathProbeLost(now: now) {
            congestion.keep()
        } else {
            congestion.reduce(inFlight: Int(inFlight), segment: segmentSize)
        }
        highRetransmitted = sendUnacknowledged
        rescued = false
        if identity.selectiveAcknowledgment {
            congestion.setToThreshold()
        } else {
            congestion.inflate(segments: SACKScoreboard.duplicateThreshold, segment: segmentSize)
        }
        timed = nil
        isRetransmissionDue = true
    }

    /// SND.UNA has moved: what that means for the windows.
    mutating func recoveryAdvanced(acked: Int, inFlight before: Int, _ shared: inout StackShared) {
        guard inRecovery else {
            if isCongestionLimited || before >= congestion.window {
                congestion.acknowledged(acked, segment: segmentSize)
            }
            return
        }
        if sendUnacknowledged >= recoveryPoint {
            inRecovery = false
            isRetransmissionDue = false
            if identity.selectiveAcknowledgment {
                congestion.setToThreshold()
            } else {
                congestion.leave(inFlight: Int(inFlight), segment: segmentSize)
            }
            return
        }
        highRetransmitted = max(highRetransmitted, sendUnacknowledged)
        if !identity.selectiveAcknowledgment {
            // RFC 6582 §3.2 (3): a partial acknowledgement. The next hole is resent, the window deflated by what was
            // acknowledged and, if that was a segment or more, inflated by one.
            congestion.deflate(by: acked, atLeast: segmentSize)
            if acked >= segmentSize { congestion.inflate(by: segmentSize) }
            isRetransmissionDue = true
        }
    }

    /// RFC 6298 §5.4–5.6 and RFC 5681 §3.1: go back to the first octet that is not acknowledged. The scoreboard is thrown
    /// away: the peer may have reneged (RFC 2018 §8), or its active may have died with what it SACKed.
    mutating func retransmissionTimedOut(now: Instant, _ shared: inout StackShared) {
        shared.counters.retransmissionTimeouts += 1
        if timedOutAt != sendUnacknowledged { congestion.reduce(inFlight: Int(inFlight), segment: segmentSize) }
        if timedOutAt != sendUnacknowledged { timeoutsInARow = 0 }
        timedOutAt = sendUnacknowledged
        timeoutsInARow += 1
        pathTimedOut(now: now)
        congestion.collapse(segment: segmentSize)
        timeout.expired()
        rewind()
    }

    /// Back to the first octet that is not acknowledged, with nothing known of those after it.
    mutating func rewind() {
        scoreboard.removeAll()
        inRecovery = false
        isRetransmissionDue = false
        recoveryPoint = sendMaximum
        duplicates = 0
        timed = nil
        sendNext = sendUnacknowledged
    }
}
