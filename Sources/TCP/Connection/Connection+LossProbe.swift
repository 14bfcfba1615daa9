import Machine
import Wire

// RFC 8985 §7, tail loss probes: when an ACK is overdue and nothing behind it could tell of a loss, one segment more asks for it,
// long before RTO would.
extension Connection {
    /// §7.2: where the reordering timer, a recovery or RTO look after what is on its way, no probe does. §7.3: one at a time, and
    /// none twice without a round trip measured between, or their retransmissions would keep RTO from being measured.
    private var mayProbe: Bool {
        identity.selectiveAcknowledgment && !inRecovery && !isAfterTimeout && sent.sackedSegments == 0 && sent.lost == 0
            && lossProbe == nil && isMeasuredSinceProbe && inFlight > 0 && sendWindow > 0 && sendNext == sendMaximum
    }

    /// §7.2: PTO, after something new was sent or SND.UNA moved. As a probe without a measurement is none, there is always one
    /// here, and no PTO of a second.
    mutating func scheduleProbe(now: Instant, configuration: TCPConfiguration) {
        isProbeDue = false
        guard mayProbe, let smoothed = timeout.smoothed, let expiration = timers.deadline(.retransmit),
            !timers.isRunning(.reorder)
        else {
            timers.cancel(.lossProbe)
            return
        }
        var wait = max(2 * smoothed, configuration.probeTimeoutMinimum.inNanoseconds)
        // RFC 9293 §3.8.6.3: a peer answers two full segments at once; of less it may keep the ACK, whatever the number of
        // segments.
        if inFlight < Int64(2 * segmentSize) { wait += configuration.peerDelayedAcknowledgment.inNanoseconds }
        timers.set(.lossProbe, at: min(Instant(nanoseconds: now.nanoseconds + wait), expiration))
    }

    /// §7.3
    mutating func probeTail(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard mayProbe, isSynchronized, receiveCommitted >= 0 else { return }
        shared.counters.tailLossProbes += 1
        isMeasuredSinceProbe = false
        let most = payloadMaximum
        let available = dataEnd - sendNext
        let open = sendUnacknowledged + Int64(sendWindow) - sendNext
        let count = Int(max(0, min(available, Int64(most), open)))
        let isFin = stream.isFinished && available >= 0 && Int64(count) == available && open > Int64(count)
        // Something new, if there is any and the peer's window allows it: it does not count towards the congestion window.
        if !sent.isFull, isFin || count > 0 && (count == most || Int64(count) == available) {
            sendSegment(at: sendNext, count: count, fin: isFin, now: now, &shared, &out)
            let length = count + (isFin ? 1 : 0)
            noteSent(length, isRetransmitted: false, now: now)
            sendNext += Int64(length)
            lossProbe = LossProbe(end: sendNext, isRetransmission: false, inFlight: Int(inFlight))
        } else if let last = sent.last {
            // The segment sent last, or as much of its end as fits beside the options now.
            let end = min(last.end, dataEnd)
            let start = max(last.start, end - Int64(most))
            sendSegment(at: start, count: Int(end - start), fin: last.end > dataEnd, now: now, &shared, &out)
            sent.resentLast(at: now)
            lossProbe = LossProbe(end: sendNext, isRetransmission: true, inFlight: Int(inFlight))
        }
        timers.set(.retransmit, at: now + timeout.current)
    }

    /// §7.4.2: whether the probe mended a loss by itself, which must count as one. SND.UNA has moved, if it does.
    mutating func judgeProbe(acknowledging offset: Int64, _ delivery: Delivery, isDuplicate: Bool) {
        guard let probe = lossProbe, offset >= probe.end else { return }
        if !probe.isRetransmission || delivery.duplicateEnd == probe.end {
            lossProbe = nil
        } else if offset > probe.end {
            lossProbe = nil
            guard !inRecovery, !isAfterTimeout else { return }
            congestion.reduce(inFlight: max(probe.inFlight, Int(inFlight)), segment: segmentSize)
            congestion.setToThreshold()
        } else if isDuplicate {
            lossProbe = nil
        }
    }
}
