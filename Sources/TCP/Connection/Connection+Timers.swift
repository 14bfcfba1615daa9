import Machine
import Records
import Wire

// Time.
extension Connection {
    /// Fires what is due, in a fixed order.
    mutating func fire(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        if timers.take(.lifetime, at: now) { lifetimeEnded(now: now, &shared, &out) }
        if isGone { return }
        // Where PTO and RTO fall together the probe goes, and RTO begins anew (RFC 8985 §7.2).
        if timers.take(.lossProbe, at: now) { probeTail(now: now, &shared, &out) }
        if timers.take(.retransmit, at: now) {
            retransmit(now: now, &shared, &out)
        }
        if isGone { return }
        if timers.take(.persist, at: now) { probe(now: now, &shared, &out) }
        if isGone { return }
        if timers.take(.reorder, at: now) { reorderingTimedOut(now: now, &shared) }
        if timers.take(.delayedAcknowledgment, at: now) { acknowledgeNow = true }
        if timers.take(.report, at: now) { flushReport(now: now, isForced: true, &shared, &out) }
        _ = timers.take(.burst, at: now)
        output(now: now, &shared, &out)
    }

    private mutating func lifetimeEnded(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        switch state {
        case .timeWait:
            end(.finished, &shared, &out)
        case .synSent, .synReceived:
            end(softErrors > 0 ? .unreachable : .timedOut, &shared, &out)
        default:
            sendReset(now: now, &shared, &out)
            end(.timedOut, &shared, &out)
        }
    }

    /// A timer runs that has gone off for the same octet before.
    var isStalledByPath: Bool {
        if timers.isRunning(.retransmit) { return isSynchronized ? timedOutAt == sendUnacknowledged : handshakeRetries > 0 }
        return timers.isRunning(.persist) && probes > 0
    }

    /// What the timer would do, at `due`; the answer, if there is one before, sets the timer anew.
    mutating func resume(at due: Instant) {
        if timers.isRunning(.retransmit) {
            timeout.takeBack()
            restorePath()
            timers.advance(.retransmit, to: due)
        } else {
            probes = 0
            timers.advance(.persist, to: due)
        }
    }

    private func isStalled(_ now: Instant, _ configuration: TCPConfiguration) -> Bool {
        stalledSince.map { now - $0 >= configuration.userTimeout } ?? false
    }

    private mutating func retransmit(
        now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        guard isSynchronized else {
            handshakeRetries += 1
            timeout.expired()
            shared.counters.retransmittedSegments += 1
            sendSYN(now: now, &shared, &out)
            return
        }
        if isStalled(now, shared.configuration) {
            sendReset(now: now, &shared, &out)
            end(.timedOut, &shared, &out)
            return
        }
        guard sendMaximum > sendUnacknowledged else { return }
        if sendWindow == 0 {
            // RFC 9293 §3.8.6: the window shrank over what was sent. The peer drops that, so that its silence is not loss; it
            // is probed as any other that is shut.
            rewind()
            probe(now: now, &shared, &out)
            return
        }
        retransmissionTimedOut(now: now, &shared)
    }

    /// RFC 9293 §3.8.6.1: with the window shut (or too small to be worth a segment) and nothing in flight, send something
    /// anyway: what fits, or one octet.
    private mutating func probe(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard isSynchronized, sendEnd > sendUnacknowledged, inFlight == 0 else { return }
        if isStalled(now, shared.configuration) {
            sendReset(now: now, &shared, &out)
            end(.timedOut, &shared, &out)
            return
        }
        shared.counters.zeroWindowProbes += 1
        let count = Int(min(Int64(max(1, min(sendWindow, segmentSize))), dataEnd - sendUnacknowledged))
        let fin = stream.isFinished && sendUnacknowledged + Int64(count) == dataEnd && (count == 0 || sendWindow > count)
        sendSegment(at: sendUnacknowledged, count: count, fin: fin, now: now, &shared, &out)
        timed = nil
        probes += 1
        timers.set(.persist, at: now + timeout.doubled(probes))
    }
}
