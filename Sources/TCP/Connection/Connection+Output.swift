import Machine
import Records
import Wire

// What leaves at the end of a batch: what is lost, what is new, and if nothing carried the acknowledgement, an ACK.
extension Connection {
    /// Segments in one go. Then others have their turn and arrivals are read, and we go on at once.
    static let burstSegments = 128

    /// Everything that may be sent now.
    mutating func output(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        // Before the record of the handshake is committed, nothing may say that we are open.
        guard isSynchronized, receiveCommitted >= 0, !isGone else { return }
        if state == .timeWait {
            if acknowledgeNow { sendAcknowledgment(now: now, &shared, &out) }
            return
        }
        let before = segmentsOut
        if sendEnd > sendUnacknowledged {
            if stalledSince == nil { stalledSince = now }
            restartIfIdle(now: now, configuration: shared.configuration)
            sendData(now: now, &shared, &out)
        }
        sendAcknowledgments(hasSent: segmentsOut != before, now: now, &shared, &out)
    }

    // MARK: data

    private mutating func sendData(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        let segment = payloadMaximum
        var budget = Self.burstSegments
        if !forward.isProbing { resendLost(segment: segment, budget: &budget, now: now, &shared, &out) }
        var pipe = pipe

        // RFC 3042: the first two duplicates let a new segment out each. After a timeout what they would let out is not new.
        let isLimited = !identity.selectiveAcknowledgment && !inRecovery && !isAfterTimeout
        let room = isLimited ? min(duplicates, 2) * segmentSize : 0
        isCongestionLimited = sent.lost > 0
        var isWindowLimited = false
        while budget > 0 {
            if sent.lost > 0 {
                // RFC 5682 §3.1, step (2b)
                guard case .isProbing(let left) = forward, left > 0 else { break }
            }
            // After a timeout, what the peer has SACKed since is not sent again.
            var ceiling = dataEnd
            if sendNext < sendMaximum, let range = scoreboard.rangeAtOrAbove(sendNext) {
                if range.start <= sendNext {
                    sendNext = range.end
                    continue
                }
                ceiling = min(ceiling, range.start)
            }
            if let count = pathProbeLength(pipe: pipe, now: now) {
                pathSearch!.probe = (sendNext, sendNext + Int64(count), pathSearch!.candidate)
                sendSegment(at: sendNext, count: count, fin: false, now: now, &shared, &out)
                noteSent(count, isRetransmitted: false, now: now)
                sendNext += Int64(count)
                pipe += count
                budget -= 1
                continue
            }
            let available = ceiling - sendNext
            let isFin = stream.isFinished && ceiling == dataEnd && sendNext <= dataEnd
            guard available > 0 || isFin else { break }
            let open = sendUnacknowledged + Int64(sendWindow) - sendNext
            let count = Int(max(0, min(available, Int64(segment), open)))
            // RFC 9293 §3.8.6.2.1 with Nagle off: a whole segment, or all there is, or half the largest window.
            if count < segment, Int64(count) < available || open <= 0, count < max(1, sendWindowMaximum / 2) {
                isWindowLimited = true
                break
            }
            // One segment may always be out: a window of less than that is an accident of its arithmetic.
            if pipe > 0, pipe + max(count, 1) > congestion.window + room || sent.isFull {
                isCongestionLimited = true
                break
            }
            let withFin = isFin && Int64(count) == available && open > Int64(count)
            guard count > 0 || withFin else {
                isWindowLimited = true
                break
            }
            let isRetransmitted = sendNext < sendMaximum
            sendSegment(at: sendNext, count: count, fin: withFin, now: now, &shared, &out)
            probes = 0
            isProbeDue = true
            if case .isProbing(let left) = forward { forward = .isProbing(left: left - 1) }
            let length = count + (withFin ? 1 : 0)
            noteSent(length, isRetransmitted: isRetransmitted, now: now)
            sendNext += Int64(length)
            sendMaximum = max(sendMaximum, sendNext)
            pipe += length
            budget -= 1
        }
        if case .isProbing(ForwardRecovery.probes) = forward {
            // Nothing new could go, so that nothing will be found out.
            forward = .off
            resendLost(segment: segment, budget: &budget, now: now, &shared, &out)
        }
        if budget == 0 { timers.set(.burst, at: now) }

        if inFlight > 0 {
            timers.cancel(.persist)
            if !timers.isRunning(.retransmit) { timers.set(.retransmit, at: now + timeout.current) }
            if isProbeDue { scheduleProbe(now: now, configuration: shared.configuration) }
        } else if isWindowLimited, !timers.isRunning(.persist) {
            // RFC 9293 §3.8.6.1: the first probe after one RTO.
            timers.set(.persist, at: now + timeout.doubled(probes))
        }
    }

    /// Octets of a segment: SACK blocks ride along while we miss something, at the cost of payload.
    var payloadMaximum: Int {
        let blocks = blockCount
        guard blocks > 0 else { return segmentSize }
        let isSigned = signature != nil
        return segmentSize - OutgoingSegment.optionLength(timestamps: identity.timestamps, blocks: blocks, signed: isSigned)
            + OutgoingSegment.optionLength(timestamps: identity.timestamps, blocks: 0, signed: isSigned)
    }

    /// What is lost goes before what is new: with SACK as the window allows, without it RFC 6582's single segment.
    private mutating func resendLost(
        segment: Int, budget: inout Int, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        while budget > 0 {
            let start: Int64, end: Int64
            if identity.selectiveAcknowledgment {
                guard let next = sent.nextLost(segment) else { return }
                // The first goes whatever the window says; one may always be out.
                let isAllowed = isRetransmissionDue || sent.inFlight == 0
                guard isAllowed || sent.inFlight + Int(next.end - next.start) <= congestion.window else { return }
                start = next.start
                end = resend(from: start, segment: Int(next.end - start), now: now, &shared, &out)
                sent.resent(upTo: max(end, start + 1), at: now)
                reduction?.out += Int(end - start)
                undo?.outstanding += Int(end - start)
                if undo?.resent == 0 { undo!.sentAt = now }
                undo?.resent += Int(end - start)
            } else {
                guard inRecovery, isRetransmissionDue else { return }
                start = sendUnacknowledged
                end = resend(from: start, segment: segment, now: now, &shared, &out)
            }
            budget -= 1
            // RFC 6298 §5.1 is about new data; RFC 6582 §4 resets the timer for the first partial ACK. Ours restarts with
            // the ACK that brought us here, which is no earlier.
            if isRetransmissionDue { timers.set(.retransmit, at: now + timeout.current) }
            isRetransmissionDue = false
        }
    }

    /// Sends one segment again, up to what is SACKed or was never sent. Returns the offset after it.
    private mutating func resend(
        from start: Int64, segment: Int, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) -> Int64 {
        var ceiling = min(dataEnd, sendMaximum)
        if let range = scoreboard.rangeAtOrAbove(start), range.start > start { ceiling = min(ceiling, range.start) }
        let count = Int(max(0, min(ceiling - start, Int64(segment))))
        let fin = stream.isFinished && start + Int64(count) == dataEnd && sendMaximum > dataEnd
        guard count > 0 || fin else { return start + Int64(segment) }
        sendSegment(at: start, count: count, fin: fin, now: now, &shared, &out)
        return start + Int64(count) + (fin ? 1 : 0)
    }

    /// A segment of so many octets of sequence space has left at SND.NXT.
    mutating func noteSent(_ length: Int, isRetransmitted: Bool, now: Instant) {
        guard identity.selectiveAcknowledgment else { return }
        sent.append(sendNext, sendNext + Int64(length), at: now, isRetransmitted: isRetransmitted)
        if inRecovery { reduction?.out += length }
    }

    /// RFC 5681 §4.1: after a pause longer than RTO the window is that of a new connection.
    private mutating func restartIfIdle(now: Instant, configuration: TCPConfiguration) {
        guard inFlight == 0 else { return }
        congestion.rested(until: now)
        guard now - lastSent > timeout.current else { return }
        congestion.restart(initial: CongestionControl.initialWindow(segment: segmentSize, configuration))
    }

    mutating func sendSegment(
        at offset: Int64, count: Int, fin: Bool, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        var flags: SegmentFlags = .ack
        if fin {
            flags.insert(.fin)
            if receiveCommitted < receiveNext { finWithoutAcknowledgment = true }
        }
        // RFC 9293 §3.9.1.2: PSH on the last of what there is.
        if count > 0, offset + Int64(count) == dataEnd { flags.insert(.psh) }
        let end = offset + Int64(count) + (fin ? 1 : 0)
        if offset < sendMaximum {
            retransmittedSegments += 1
            shared.counters.retransmittedSegments += 1
            // Karn: the answer to this could be to the first copy.
            if let timed, timed.end > offset { self.timed = nil }
        } else if timed == nil {
            timed = (end, now)
        }
        lastSent = now
        sendMaximum = max(sendMaximum, end)
        shared.counters.octetsOut += UInt64(count)
        var segment = header(flags, at: offset, now: now, &shared)
        addBlocks(&segment)
        transmit(segment, count: count, from: UInt64(clamping: offset), &shared, &out)
    }

    // MARK: acknowledgements

    private mutating func sendAcknowledgments(
        hasSent: Bool, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        if restoredAcknowledgments > 0, announceRestored(now: now, &shared, &out) { return }
        if duplicateAcknowledgments > 0, receiveCommitted == receiveNext {
            // RFC 5681 §4.2. With SACK one says it all; without, the peer counts them.
            let count = identity.selectiveAcknowledgment ? 1 : duplicateAcknowledgments
            duplicateAcknowledgments = 0
            // What the peer has not heard yet moves its SND.UNA first, and is no duplicate.
            let extra = !identity.selectiveAcknowledgment && receiveCommitted > lastAcknowledgmentSent ? 1 : 0
            for _ in 0..<(count + extra) { sendAcknowledgment(now: now, &shared, &out) }
            return
        }
        if hasSent { return }
        let due = receiveCommitted - lastAcknowledgmentSent
        if acknowledgeNow || due >= Int64(2 * peerSegment) || opensWindow {
            sendAcknowledgment(now: now, &shared, &out)
        } else if due > 0, !timers.isRunning(.delayedAcknowledgment) {
            timers.set(.delayedAcknowledgment, at: now + shared.configuration.delayedAcknowledgment)
        }
    }

    /// The ACKs of a restored connection. Where nothing of ours is outstanding all go at once. Else the peer may be ahead of
    /// what we know it has, and would not read an ACK whose sequence number is old to it. So the first asks where it is, and
    /// the duplicates go once the answer has told us.
    private mutating func announceRestored(
        now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) -> Bool {
        let isAhead = windowUpdate == nil && sendMaximum > sendUnacknowledged
        let isFirst = restoredAcknowledgments == shared.configuration.restoredAcknowledgments
        guard !isAhead || isFirst else { return false }
        let count = isAhead ? 1 : restoredAcknowledgments
        restoredAcknowledgments -= count
        if isAhead {
            sendQuestion(now: now, &shared, &out)
        } else {
            for _ in 0..<count { sendAcknowledgment(now: now, &shared, &out) }
        }
        return true
    }

    /// RFC 9293 §3.8.4, as for keep-alive: a sequence number that is old to the peer wherever it is, so that it answers at once
    /// with its own position and window.
    private mutating func sendQuestion(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        let segment = header(.ack, at: sendUnacknowledged - 1, now: now, &shared)
        transmit(segment, count: 0, from: 0, &shared, &out)
    }

    var sendableEdge: Int64 {
        let edge = min(receiveCommitted, receiveApplied) + Int64(receiveBuffer)
        // RFC 9293 §3.8.6.2.2: no small steps of the right edge.
        let step = Int64(min(receiveBuffer / 2, peerSegment))
        return edge >= receiveEdge + step ? edge : receiveEdge
    }

    /// Whether the engine has made so much room that the peer should hear of it without being asked: half the buffer, or
    /// anything to a peer that has hardly a segment left.
    private var opensWindow: Bool {
        let edge = min(sendableEdge, receiveCommitted + windowMaximum)
        let gain = edge - receiveEdge
        guard gain > 0 else { return false }
        let left = receiveEdge - receiveNext
        let half = Int64(receiveBuffer / 2)
        // The window of a SYN cannot be scaled and is small; the first ACK that has another reason opens it.
        return left < Int64(2 * peerSegment) || gain >= half && left < half && receiveEdge > 65_535
    }

    /// The largest window that 16 bits and our shift can say.
    var windowMaximum: Int64 { 65_535 << Int64(identity.windowShift) }

    /// The window field. The right edge that it says never moves left, and rounding goes up, never down.
    private mutating func advertisedWindow() -> UInt16 {
        let shift = Int64(identity.windowShift)
        let room = max(0, sendableEdge - receiveCommitted)
        let units = min((room + (1 << shift) - 1) >> shift, 65_535)
        receiveEdge = max(receiveEdge, receiveCommitted + units << shift)
        return UInt16(units)
    }

    mutating func sendAcknowledgment(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        // RFC 9293 §3.10.7.4: <SEQ=SND.NXT>. SND.NXT goes back here after a timeout, so the highest it was; not beyond the
        // window, though, where the peer would not read it.
        let highest = min(sendMaximum, max(sendNext, sendUnacknowledged + Int64(sendWindow)))
        var segment = header(.ack, at: highest, now: now, &shared)
        addDuplicate(&segment)
        addBlocks(&segment)
        transmit(segment, count: 0, from: 0, &shared, &out)
    }

    /// RFC 2883 §4: what came twice is told once, in the first block. Only on an ACK without octets, where it costs none, and
    /// only when it lies below what is acknowledged or within the next block, as it would else read as SACK.
    private mutating func addDuplicate(_ segment: inout OutgoingSegment) {
        guard identity.selectiveAcknowledgment, let told = duplicated, receiveCommitted == receiveNext else { return }
        duplicated = nil
        if told.end > receiveCommitted {
            guard let island = reassembly.island(holding: told.start), told.end <= island.end else { return }
            segment.blocks[1] = SACKBlock(
                left: sequence(ofReceived: island.start), right: sequence(ofReceived: island.end))
            segment.blockCount = 1
        }
        segment.blocks[0] = SACKBlock(left: sequence(ofReceived: told.start), right: sequence(ofReceived: told.end))
        segment.blockCount += 1
    }

    /// How many SACK blocks go with the next segment. While in-order octets wait for their commit there are none: blocks
    /// above an acknowledgement that lags would look like loss.
    private var blockCount: Int {
        guard identity.selectiveAcknowledgment, !reassembly.isEmpty, receiveCommitted == receiveNext else { return 0 }
        return min(
            reassembly.islands.count,
            OutgoingSegment.blocksMaximum(timestamps: identity.timestamps, signed: signature != nil))
    }

    private func addBlocks(_ segment: inout OutgoingSegment) {
        let most = blockCount
        guard most > 0 else { return }
        var count = segment.blockCount
        var blocks = segment.blocks
        let room = OutgoingSegment.blocksMaximum(timestamps: identity.timestamps, signed: signature != nil)
        reassembly.blocks(maximum: most) { start, end in
            let block = SACKBlock(left: sequence(ofReceived: start), right: sequence(ofReceived: end))
            guard count < room, count < 2 || block != blocks[1] else { return }
            blocks[count] = block
            count += 1
        }
        segment.blocks = blocks
        segment.blockCount = count
    }

    /// A segment with our acknowledgement and window: whoever calls this sends it.
    private mutating func header(
        _ flags: SegmentFlags, at offset: Int64, now: Instant, _ shared: inout StackShared
    ) -> OutgoingSegment {
        var segment = OutgoingSegment(
            localPort: identity.tuple.localPort, remotePort: identity.tuple.remotePort, sequence: sequence(ofSent: offset),
            flags: flags)
        segment.acknowledgment = sequence(ofReceived: receiveCommitted)
        segment.window = advertisedWindow()
        if identity.timestamps {
            segment.hasTimestamps = true
            segment.timestampValue = timestamp(at: now)
            segment.timestampEcho = timestampRecent
        }
        lastAcknowledgmentSent = receiveCommitted
        acknowledgeNow = false
        timers.cancel(.delayedAcknowledgment)
        return segment
    }

    /// RST for an abort: RFC 9293 §3.10.5, <SEQ=SND.NXT>, with the ACK that RFC 5961 makes peers look at. Not beyond the
    /// peer's window, where it would be dropped without a word: in the window and not exact it is challenged, and what we
    /// answer to the challenge is exact.
    mutating func sendReset(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard isSynchronized || state == .synReceived else { return }
        let isLost = isSynchronized && windowUpdate == nil && sendMaximum > sendUnacknowledged
        let edge = sendUnacknowledged + Int64(isLost ? 0 : sendWindow)
        let offset = sendMaximum <= edge ? sendMaximum : max(sendUnacknowledged, edge - 1)
        var segment = OutgoingSegment(
            localPort: identity.tuple.localPort, remotePort: identity.tuple.remotePort,
            sequence: sequence(ofSent: max(offset, 0)), flags: [.rst, .ack])
        segment.acknowledgment = sequence(ofReceived: max(receiveCommitted, -1))
        shared.counters.resetsOut += 1
        transmit(segment, count: 0, from: 0, &shared, &out)
        // After a takeover the peer may be anywhere in what the twin sent. Its answer to the question gets an exact RST.
        if isLost { sendQuestion(now: now, &shared, &out) }
    }

    /// Hands a finished segment to the line card.
    mutating func transmit(
        _ segment: OutgoingSegment, count: Int, from offset: UInt64, _ shared: inout StackShared,
        _ out: inout [TCPEffect]
    ) {
        segmentsOut += 1
        shared.counters.segmentsOut += 1
        let tuple = identity.tuple
        let bytes = segment.write(
            headroom: shared.configuration.headroom, local: tuple.local, remote: tuple.remote, stream: stream,
            offset: offset, count: count, signature: signature)
        out.append(
            .transmit(
                TCPTransmission(
                    interface: tuple.interface, local: tuple.local, remote: tuple.remote,
                    hopLimit: identity.options.hopLimit, dscp: identity.options.dscp, bytes: bytes)))
    }
}
