import Machine
import Records
import Wire

// The ACK field: SND.UNA, the peer's window, round-trip times, and what the engine is told of it.
extension Connection {
    /// RFC 9293 §3.10.7.4, fifth, for an ACK that is acceptable. `start` is where the segment lies.
    mutating func acknowledge(
        _ h: SegmentHeader, at start: Int64, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        let offset = sentOffset(h.acknowledgment)
        let window = Int(h.window) << Int(identity.peerWindowShift ?? 0)
        var delivery = identity.selectiveAcknowledgment ? takeDelivered(h, upTo: offset, now: now) : Delivery()
        let windowBefore = sendWindow

        // The window first, as recovery below sends by it. RFC 9293: WL1 and WL2 keep an old segment from undoing it.
        if offset >= sendUnacknowledged {
            let isNewer: Bool
            if let last = windowUpdate {
                isNewer = last.sequence < start || last.sequence == start && last.acknowledgment <= offset
            } else {
                isNewer = true
            }
            if isNewer { takeWindow(window, sequence: start, acknowledgment: offset) }
        }

        let hasMoved = offset > sendUnacknowledged
        let repeats = offset == sendUnacknowledged && h.sequenceLength == 0 && h.blockCount == 0 && window == windowBefore
        if hasMoved {
            advance(to: offset, h, delivery, now: now, &shared, &out)
            if isGone { return }
        } else if repeats, sendMaximum > sendUnacknowledged, window > 0 {
            // RFC 5681 §2: a duplicate ACK.
            duplicateArrived(now: now, &shared)
        }
        guard identity.selectiveAcknowledgment else { return }
        judgeTimeout(&delivery, hasMoved: hasMoved)
        judgeProbe(acknowledging: offset, delivery, isDuplicate: repeats)
        // An ACK that says nothing new changes nothing; time alone is the reordering timer's.
        if delivery.octets > 0 || delivery.takesBack { judgeSent(delivery, hasMoved: hasMoved, now: now, &shared) }
    }

    /// SND.WND with its bookkeeping.
    mutating func takeWindow(_ window: Int, sequence: Int64, acknowledgment: Int64) {
        sendWindow = window
        sendWindowMaximum = max(sendWindowMaximum, window)
        windowUpdate = (sequence, acknowledgment)
    }

    /// SND.UNA moves.
    private mutating func advance(
        to offset: Int64, _ h: SegmentHeader, _ delivery: Delivery, now: Instant, _ shared: inout StackShared,
        _ out: inout [TCPEffect]
    ) {
        let acked = Int(offset - sendUnacknowledged)
        let wasInFlight = Int(inFlight)
        sendUnacknowledged = offset
        // After a timeout SND.NXT is behind what the peer holds; after a restore it may hold what only the twin sent.
        sendNext = max(sendNext, offset)
        stream.acknowledge(upTo: UInt64(clamping: offset))
        scoreboard.acknowledge(upTo: offset)
        duplicates = 0
        sample(h, offset: offset, now: now)
        recoveryAdvanced(acked: acked, inFlight: wasInFlight, delivery, now: now)
        timeoutsInARow = 0
        pathAcknowledged(now: now)

        stalledSince = sendUnacknowledged < sendEnd ? now : nil
        // RFC 6298 §5.2, §5.3
        if inFlight > 0 {
            timers.set(.retransmit, at: now + timeout.current)
            isProbeDue = true
        } else {
            timers.cancel(.retransmit)
            timers.cancel(.lossProbe)
        }
        timers.cancel(.persist)
        if sendWindow > 0 { probes = 0 }

        // Our FIN is acknowledged.
        guard stream.isFinished, offset == dataEnd + 1 else { return }
        switch state {
        case .finWait1:
            state = .finWait2
            timers.set(.lifetime, at: now + shared.configuration.finWaitTimeout)
        case .closing:
            enterTimeWait(now: now, &shared, &out)
        case .lastAck:
            // An ordinary FIN in LAST-ACK acknowledges the peer's, so its answer proves that the peer is done. Ours may have
            // gone ahead of that acknowledgement: then the peer still waits for it, and we stay to give it.
            if finWithoutAcknowledgment || receiveCommitted < receiveNext {
                enterTimeWait(now: now, &shared, &out)
            } else {
                end(.finished, &shared, &out)
            }
        default:
            break
        }
    }

    /// RFC 6298 §3: never from a segment that was sent twice, unless its echo tells which one was answered (RFC 7323 §4).
    private mutating func sample(_ h: SegmentHeader, offset: Int64, now: Instant) {
        if let timed, offset >= timed.end {
            measured(now - timed.at)
            self.timed = nil
        } else if timed == nil, identity.timestamps, h.hasTimestamps, h.timestampEcho != 0 {
            let elapsed = distance(from: h.timestampEcho, to: timestamp(at: now))
            // An echo of what we never sent, or of long ago, measures nothing.
            if elapsed >= 0, elapsed < 60_000 { measured(.milliseconds(elapsed)) }
        }
    }

    mutating func measured(_ roundTrip: Duration) {
        timeout.sample(roundTrip)
        isMeasuredSinceProbe = true
    }

    /// `.tcpAcknowledged`, when it is worth a record: all that was sent is acknowledged, or much is, or it waited long.
    mutating func flushReport(now: Instant, isForced: Bool, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard sendUnacknowledged > 0, state != .timeWait else { return }
        let acknowledged = min(UInt64(sendUnacknowledged), stream.end)
        guard acknowledged > reported else { return }
        let isDue =
            isForced || sendUnacknowledged >= sendNext
            || acknowledged - reported >= UInt64(shared.configuration.acknowledgedReportOctets)
        if isDue {
            reported = acknowledged
            timers.cancel(.report)
            emit(.tcpAcknowledged(connection, offset: acknowledged), &shared, &out)
        } else if !timers.isRunning(.report) {
            timers.set(.report, at: now + shared.configuration.acknowledgedReportDelay)
        }
    }
}
