import Machine
import Records
import Wire

// Opening: RFC 9293 §3.5 for SYN-SENT and the simultaneous open. A passive open is a half-open entry of the stack until its
// third segment, so SYN-RECEIVED here is only ever the simultaneous one.
extension Connection {
    /// Takes over what the peer's SYN says. `identity` then has everything but what only ESTABLISHED fixes.
    mutating func learn(_ h: SegmentHeader, now: Instant, configuration: TCPConfiguration) {
        identity.initialReceiveSequence = h.sequence
        identity.peerMaximumSegmentSize = PeerOffer.segmentSize(h, remote: identity.tuple.remote)
        identity.peerWindowShift = h.windowShift
        identity.windowShift = h.windowShift == nil ? 0 : configuration.windowShift
        identity.selectiveAcknowledgment = h.selectiveAcknowledgmentPermitted
        identity.timestamps = h.hasTimestamps
        timestampRecent = h.timestampValue
        timestampRecentAt = now
        timestampNewest = h.timestampValue
        receiveNext = 0
        setSegmentSize()
        congestion = CongestionControl(
            initial: CongestionControl.initialWindow(segment: segmentSize, configuration), configuration)
        // RFC 9293 §3.10.7.3: SND.WND of a SYN is never scaled (RFC 7323 §2.2).
        takeWindow(Int(h.window), sequence: -1, acknowledgment: -1)
    }

    /// Sends our SYN, or SYN-ACK in SYN-RECEIVED: first or again.
    mutating func sendSYN(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        let configuration = shared.configuration
        var segment = OutgoingSegment(
            localPort: identity.tuple.localPort, remotePort: identity.tuple.remotePort,
            sequence: identity.initialSendSequence, flags: .syn)
        segment.maximumSegmentSize = UInt16(clamping: localSegmentSize)
        segment.windowShift = configuration.windowShift
        segment.selectiveAcknowledgmentPermitted = true
        segment.hasTimestamps = true
        segment.timestampValue = timestamp(at: now)
        if state == .synReceived {
            segment.flags = [.syn, .ack]
            segment.acknowledgment = identity.initialReceiveSequence &+ 1
            if identity.peerWindowShift == nil { segment.windowShift = nil }
            segment.selectiveAcknowledgmentPermitted = identity.selectiveAcknowledgment
            segment.hasTimestamps = identity.timestamps
            segment.timestampEcho = timestampRecent
            lastAcknowledgmentSent = 0
        }
        let window = min(configuration.receiveBuffer, 65_535)
        segment.window = UInt16(window)
        receiveEdge = max(receiveEdge, Int64(window))
        sendNext = max(sendNext, 0)
        sendMaximum = max(sendMaximum, 0)
        transmit(segment, count: 0, from: 0, &shared, &out)
        if handshakeRetries == 0 { timed = (0, now) } else { timed = nil }
        timers.set(.retransmit, at: now + timeout.current)
    }

    /// RFC 9293 §3.10.7.3: SYN-SENT.
    mutating func receiveSynSent(
        _ h: SegmentHeader, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        // First, the ACK bit: only our SYN can be acknowledged.
        if h.flags.contains(.ack), h.acknowledgment != identity.initialSendSequence &+ 1 {
            shared.counters.droppedBadAcknowledgment += 1
            if !h.flags.contains(.rst) { reset(answering: h, now: now, &shared, &out) }
            return
        }
        // Second, the RST bit.
        if h.flags.contains(.rst) {
            if h.flags.contains(.ack) { end(.refused, &shared, &out) } else { shared.counters.droppedReset += 1 }
            return
        }
        // Fourth, the SYN bit. Payload and FIN on it are left for the peer to send again.
        guard h.flags.contains(.syn) else {
            shared.counters.droppedNoConnection += 1
            // A twin that died in a simultaneous open may have told the peer that we are open. What the peer's SYN said is lost
            // with it, and the peer answers our SYN with such ACKs for ever: it is told to begin anew.
            if isRestoredConnect, h.flags.contains(.ack) { reset(answering: h, now: now, &shared, &out) }
            return
        }
        learn(h, now: now, configuration: shared.configuration)
        if h.flags.contains(.ack) {
            // The ACK that completes this open waits until the twin knows of the connection (`receiveCommitted` is -1).
            receiveCommitted = -1
            receiveApplied = 0
            handshakeDone(sendOffset: 0, now: now, &shared)
            shared.counters.connected += 1
            emit(.tcpConnected(connection, identity), offset: 0, &shared, &out)
        } else {
            // RFC 9293 §3.5, figure 8: simultaneous open.
            state = .synReceived
            handshakeRetries = 0
            sendSYN(now: now, &shared, &out)
        }
    }

    /// SYN-RECEIVED of a simultaneous open: RFC 9293 §3.10.7.4 as far as it concerns this state. True when established, and
    /// the segment is to be read on as that.
    mutating func receiveSynReceived(
        _ h: SegmentHeader, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) -> Bool {
        let offset = receivedOffset(h.sequence)
        if h.flags.contains(.rst) {
            // RFC 5961 §3.2
            if offset == receiveNext {
                end(.refused, &shared, &out)
            } else {
                shared.counters.droppedReset += 1
                if offset > receiveNext, offset < receiveEdge { challengeSynReceived(now: now, &shared, &out) }
            }
            return false
        }
        if h.flags.contains(.syn) {
            // The peer's SYN-ACK of a simultaneous open has its SYN where we have it already.
            guard h.sequence == identity.initialReceiveSequence else {
                // RFC 5961 §4.2
                shared.counters.droppedSYN += 1
                challengeSynReceived(now: now, &shared, &out)
                return false
            }
            guard h.flags.contains(.ack) else {
                sendSYN(now: now, &shared, &out)
                return false
            }
        } else if offset > receiveEdge || offset < receiveNext {
            // RFC 9293 §3.10.7.4, first: an ACK in answer.
            shared.counters.droppedOutOfWindow += 1
            challengeSynReceived(now: now, &shared, &out)
            return false
        }
        guard h.flags.contains(.ack) else { return false }
        guard h.acknowledgment == identity.initialSendSequence &+ 1 else {
            shared.counters.droppedBadAcknowledgment += 1
            reset(answering: h, now: now, &shared, &out)
            return false
        }
        receiveCommitted = 0
        receiveApplied = 0
        handshakeDone(sendOffset: 0, now: now, &shared)
        let shift = h.flags.contains(.syn) ? 0 : (identity.peerWindowShift ?? 0)
        takeWindow(Int(h.window) << Int(shift), sequence: -1, acknowledgment: 0)
        shared.counters.connected += 1
        emit(.tcpConnected(connection, identity), &shared, &out)
        if h.flags.contains(.syn) {
            acknowledgeNow = true
            return false
        }
        return true
    }

    /// The challenge ACK of a state in which `output` says nothing.
    private mutating func challengeSynReceived(now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]) {
        guard challenges.take(at: now) else { return }
        shared.counters.challengesOut += 1
        var segment = OutgoingSegment(
            localPort: identity.tuple.localPort, remotePort: identity.tuple.remotePort, sequence: sequence(ofSent: 0),
            flags: .ack)
        segment.acknowledgment = sequence(ofReceived: 0)
        segment.window = UInt16(clamping: receiveEdge >> Int64(identity.windowShift))
        segment.hasTimestamps = identity.timestamps
        segment.timestampValue = timestamp(at: now)
        segment.timestampEcho = timestampRecent
        transmit(segment, count: 0, from: 0, &shared, &out)
    }

    /// Our SYN was acknowledged.
    mutating func handshakeDone(sendOffset: Int64, now: Instant, _ shared: inout StackShared) {
        state = stream.isFinished ? .finWait1 : .established
        sendUnacknowledged = sendOffset
        sendNext = sendOffset
        sendMaximum = max(sendMaximum, sendOffset)
        if let timed { measured(now - timed.at) }
        timed = nil
        if handshakeRetries > 0 { timeout.handshakeWasRepeated() }
        timers.cancel(.retransmit)
        timers.cancel(.lifetime)
        stalledSince = nil
    }

    /// RFC 9293 §3.10.7.1: a RST that the peer will find acceptable.
    mutating func reset(
        answering h: SegmentHeader, now: Instant, _ shared: inout StackShared, _ out: inout [TCPEffect]
    ) {
        guard challenges.take(at: now) else { return }
        var segment = OutgoingSegment(
            localPort: identity.tuple.localPort, remotePort: identity.tuple.remotePort, sequence: h.acknowledgment,
            flags: .rst)
        segment.window = 0
        shared.counters.resetsOut += 1
        transmit(segment, count: 0, from: 0, &shared, &out)
    }
}

/// What a peer's SYN says, made safe.
enum PeerOffer {
    /// RFC 9293 §3.7.1: without the option 536 for IPv4 and 1220 for IPv6. A smaller offer than 216 (a 256-octet link less
    /// headers) could only serve to make us send a storm of tiny segments.
    static let segmentSizeMinimum: UInt16 = 216

    static func segmentSize(_ h: SegmentHeader, remote: IPAddress) -> UInt16 {
        if h.maximumSegmentSize == 0 { return remote.family == .ipv4 ? 536 : 1220 }
        return max(h.maximumSegmentSize, segmentSizeMinimum)
    }
}
