import Machine
import Records
import Wire

// SEGMENT ARRIVES in the synchronized states: RFC 9293 §3.10.7.4 in its order, with RFC 5961 and RFC 7323 where they
// change it. What is special here: octets that came in order go into a record, and only when that record is committed may
// they be acknowledged (`receiveCommitted`), so RCV.NXT runs ahead of what we acknowledge.
extension Connection {
    mutating func receive(
        _ h: SegmentHeader, _ segment: RawSpan, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        segmentsIn += 1
        var start = receivedOffset(h.sequence)
        let hasData = h.sequenceLength > 0

        // RFC 7323 §5.3 R1: PAWS. §3.2: a segment without the option is dropped, except RST.
        if identity.timestamps, !h.flags.contains(.rst) {
            guard h.hasTimestamps || h.flags.contains(.syn) else {
                shared.counters.droppedOldTimestamp += 1
                return
            }
            if h.hasTimestamps, distance(from: timestampRecent, to: h.timestampValue) < 0, isTimestampRecentValid(now) {
                shared.counters.droppedOldTimestamp += 1
                challenge(now: now, isFree: h.payloadCount > 0, &shared)
                return
            }
        }

        // RFC 5961 §4.2: a SYN is answered by a challenge ACK wherever it lies.
        if h.flags.contains(.syn) {
            shared.counters.droppedSYN += 1
            challenge(now: now, isFree: false, &shared)
            return
        }

        // RFC 5961 §3.2: only an exact RST resets. A peer that answers one of our segments takes its number from our
        // acknowledgement, which may lag behind RCV.NXT while a record waits for its commit: that is exact, too.
        if h.flags.contains(.rst) {
            // RFC 1337 §3 (F1): TIME-WAIT is not cut short.
            if state == .timeWait { return }
            if start == receiveNext || start == lastAcknowledgmentSent {
                end(.resetByPeer, &shared, &out)
            } else {
                shared.counters.droppedReset += 1
                if start > receiveNext, start < receiveEdge { challenge(now: now, isFree: false, &shared) }
            }
            return
        }

        // First, the sequence number: something of it must lie in the window (RFC 9293 §3.10.7.4, table 6). A segment
        // without data at the right edge is what a peer sends that has filled the window.
        var payload = segment.extracting(h.headerLength..<segment.byteCount)
        let end = start + Int64(h.sequenceLength)
        let isAcceptable =
            hasData
            ? end > receiveNext && start < receiveEdge
            : start >= receiveNext && start <= receiveEdge
        if !isAcceptable {
            if hasData, end <= receiveNext {
                duplicateArrived(start: start, end: end, now: now, &shared)
                // Its ACK is as good as any other: two ends that both retransmit must not wait for each other. So is its
                // timestamp, which our answer must echo, if it lies where a retransmission can lie.
                if h.flags.contains(.ack), isAcknowledgmentAcceptable(h) {
                    if receiveNext - start <= windowMaximum { takeTimestamp(h, at: start, now: now) }
                    acknowledge(h, at: start, now: now, &shared, &out)
                }
            } else {
                shared.counters.droppedOutOfWindow += 1
                challenge(now: now, isFree: h.payloadCount > 0, &shared)
            }
            return
        }

        // Fifth, the ACK field. RFC 5961 §5.2: not older than the largest window, not newer than what was sent.
        guard h.flags.contains(.ack) else {
            shared.counters.droppedBadAcknowledgment += 1
            return
        }
        guard isAcknowledgmentAcceptable(h) else {
            shared.counters.droppedBadAcknowledgment += 1
            challenge(now: now, isFree: false, &shared)
            return
        }
        // Only now is the segment likely to be the peer's: TS.Recent must not follow a stranger's, or PAWS would drop the
        // peer's own from then on.
        takeTimestamp(h, at: start, now: now)
        acknowledge(h, at: start, now: now, &shared, &out)
        if isGone { return }

        // Sixth, urgent data: RFC 6093 §4 has no use for it here; the octets stay in the stream.

        // Seventh, the payload: cut to the window, then in order or out of it.
        guard hasData else { return }
        if peerFinished {
            // RFC 9293 §3.10.7.4: after the peer's FIN there is no text.
            acknowledgeNow = true
            return
        }
        var carriesFin = h.flags.contains(.fin)
        if start < receiveNext {
            payload = payload.extracting(Int(min(receiveNext - start, Int64(payload.byteCount)))..<payload.byteCount)
            start = receiveNext
        }
        let limit = finOffset ?? receiveEdge
        if start + Int64(payload.byteCount) > limit {
            payload = payload.extracting(0..<Int(max(0, limit - start)))
            carriesFin = false
        }
        if state == .finWait2 { timers.set(.lifetime, at: now + shared.configuration.finWaitTimeout) }
        peerSegment = max(peerSegment, min(payload.byteCount, localSegmentSize))
        // Eighth, FIN: a place in the stream, known even before what is missing in front of it.
        if carriesFin, finOffset == nil {
            let offset = start + Int64(payload.byteCount)
            // A FIN before octets that came already is a lie; the octets stand.
            if reassembly.islands.last.map({ $0.end <= offset }) ?? true { finOffset = offset }
        }
        if start == receiveNext {
            if payload.byteCount > 0 {
                if h.hasTimestamps { timestampNewest = h.timestampValue }
                deliver(payload, &shared, &out)
                joinReassembled(&shared, &out)
                tuneReceiveBuffer(now: now, &shared)
            }
        } else {
            shared.counters.outOfOrderSegmentsIn += 1
            let before = reassembly.octets
            if payload.byteCount > 0 {
                if !reassembly.insert(payload, at: start) {
                    shared.counters.droppedReassembly += 1
                } else if reassembly.octets == before {
                    duplicated = (start, start + Int64(payload.byteCount))
                }
            }
            // RFC 5681 §4.2: a duplicate ACK for each, bounded by what one batch can bring.
            duplicateAcknowledgments = min(duplicateAcknowledgments + 1, 64)
        }
        if let finOffset, finOffset == receiveNext { peerFin(now: now, &shared, &out) }
    }

    /// RFC 7323 §4.3 (2), §5.3 R3: TS.Recent follows the segment that our last ACK was waiting for.
    private mutating func takeTimestamp(_ h: SegmentHeader, at start: Int64, now: Instant) {
        guard h.hasTimestamps, identity.timestamps, start <= lastAcknowledgmentSent,
            distance(from: timestampRecent, to: h.timestampValue) >= 0 || !isTimestampRecentValid(now)
        else { return }
        timestampRecent = h.timestampValue
        timestampRecentAt = now
    }

    /// RFC 7323 §5.5: after 24 days TS.Recent says nothing.
    private func isTimestampRecentValid(_ now: Instant) -> Bool { now - timestampRecentAt < Self.timestampLifetime }
    static let timestampLifetime = Duration.seconds(24 * 24 * 3600)

    private func isAcknowledgmentAcceptable(_ h: SegmentHeader) -> Bool {
        let offset = sentOffset(h.acknowledgment)
        return offset <= sendMaximum && offset >= sendUnacknowledged - Int64(sendWindowMaximum)
    }

    /// A segment that lies wholly before RCV.NXT. The peer lacks our ACK: it gets it again at once, unless the commit for
    /// those octets is still on its way, for then the ACK is, too.
    private mutating func duplicateArrived(start: Int64, end: Int64, now: Instant, _ shared: inout StackShared) {
        shared.counters.duplicateSegmentsIn += 1
        // Not of a FIN, which is no octet, and not of what cannot be a retransmission.
        let octets = min(end, finOffset ?? end)
        if octets > start, receiveNext - start <= windowMaximum { duplicated = (start, octets) }
        if end <= receiveCommitted {
            acknowledgeNow = true
        } else {
            acknowledgeAt = max(acknowledgeAt ?? 0, end)
        }
        if state == .timeWait { timers.set(.lifetime, at: now + shared.configuration.timeWait) }
    }

    /// RFC 5961 §7: an ACK that says where we are. Free of the limit are answers to data: somebody who retransmits must be
    /// helped, and a stranger gains nothing that he did not pay for with a segment as large.
    mutating func challenge(now: Instant, isFree: Bool, _ shared: inout StackShared) {
        guard isFree || challenges.take(at: now) else { return }
        shared.counters.challengesOut += 1
        acknowledgeNow = true
    }

    /// Octets in order.
    private mutating func deliver(_ payload: RawSpan, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        let most = shared.configuration.recordOctetsMaximum
        var taken = 0
        if received.isEmpty { received.reserveCapacity(max(expectedRecord, min(payload.byteCount, most))) }
        while taken < payload.byteCount {
            let count = min(payload.byteCount - taken, most - received.count)
            let part = payload.extracting(taken..<(taken + count))
            unsafe part.withUnsafeBytes { unsafe received.append(contentsOf: $0) }
            taken += count
            receiveNext += Int64(count)
            if received.count == most { flushReceived(&shared, &out) }
        }
    }

    /// RFC 9293 §3.8.6 leaves the size of the window to us: twice what arrives in a round trip, so that it is not the window
    /// that holds the peer. It never shrinks.
    private mutating func tuneReceiveBuffer(now: Instant, _ shared: inout StackShared) {
        let most = shared.configuration.receiveBufferMaximum
        guard receiveBuffer < most, let least = timeout.least, least > 0 else { return }
        let elapsed = (now - receiveMark.at).inNanoseconds
        guard elapsed >= least else { return }
        // Octets of a window and nanoseconds of a round trip: less than 2^62 together.
        let share = Int((receiveNext - receiveMark.offset) * min(least, 1 << 36) / max(1, elapsed))
        receiveMark = (receiveNext, now)
        guard 2 * share > receiveBuffer else { return }
        let room = shared.configuration.receiveGrowthMaximum - shared.receiveGrowth
        let grown = min(most, 2 * share, receiveBuffer + max(0, room))
        shared.receiveGrowth += grown - receiveBuffer
        receiveBuffer = grown
    }

    /// What the segment just delivered connects to.
    private mutating func joinReassembled(_ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard !reassembly.isEmpty else { return }
        // RFC 5681 §4.2: a segment that fills all or part of a gap is acknowledged at once.
        while let island = reassembly.take(upTo: receiveNext) {
            let skip = Int(receiveNext - island.start)
            deliver(island.bytes.span.bytes.extracting(skip..<island.bytes.count), &shared, &out)
        }
        acknowledgeAt = receiveNext
        duplicateAcknowledgments = 0
    }

    /// What came in order becomes a record, at the end of a batch. A record costs more than an octet: a peer that sends
    /// single octets while commits are slow would fill the log with records long before it fills its window. So with many
    /// on their way, small ones wait for a commit, which comes back here, or until they are large.
    mutating func flushBatch(_ shared: inout StackShared, _ out: inout [TCPEffect]) {
        let isCrowded = uncommittedRecords >= shared.configuration.recordsUncommitted
        if isCrowded, received.count < shared.configuration.recordOctetsCrowded { return }
        flushReceived(&shared, &out)
    }

    mutating func flushReceived(_ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard !received.isEmpty else { return }
        uncommittedRecords += 1
        expectedRecord = received.count
        // Taken, not copied.
        var bytes: [UInt8] = []
        swap(&bytes, &received)
        shared.counters.octetsIn += UInt64(bytes.count)
        emit(
            .tcpReceived(connection, bytes: bytes, peerTimestamp: timestampNewest), offset: receiveNext, &shared, &out)
    }

    /// Eighth, FIN in order (RFC 9293 §3.10.7.4): it takes one octet, and a record.
    private mutating func peerFin(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard !peerFinished else { return }
        flushReceived(&shared, &out)
        peerFinished = true
        receiveNext += 1
        reassembly.removeAll()
        emit(.tcpPeerFinished(connection), offset: receiveNext, &shared, &out)
        acknowledgeAt = receiveNext
        switch state {
        case .established:
            state = .closeWait
        case .finWait1:
            // Had our FIN been acknowledged by this segment, we would be in FIN-WAIT-2.
            state = .closing
        case .finWait2:
            enterTimeWait(now: now, &shared, &out)
        default:
            break
        }
    }

    /// Both directions are done. The engine is told now; what stays answers a peer whose last ACK was lost.
    mutating func enterTimeWait(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        emit(.tcpClosed(connection, .finished), &shared, &out)
        state = .timeWait
        timers.cancelAll()
        timers.set(.lifetime, at: now + shared.configuration.timeWait)
    }

    /// A record of ours is committed: its octets may be acknowledged. RFC 9293 §3.8.6.3: at least every second segment.
    mutating func committed(upTo offset: Int64, followsApplied: Bool) {
        uncommittedRecords = max(0, uncommittedRecords - 1)
        let completesOpen = receiveCommitted < 0 && offset >= 0
        receiveCommitted = max(receiveCommitted, offset)
        if !followsApplied { receiveApplied = max(receiveApplied, offset) }
        if completesOpen { acknowledgeNow = true }
        if let at = acknowledgeAt, receiveCommitted >= at {
            acknowledgeAt = nil
            acknowledgeNow = true
        }
    }

    /// The engine has consumed up to here.
    mutating func applied(upTo offset: Int64) { receiveApplied = max(receiveApplied, offset) }
}
