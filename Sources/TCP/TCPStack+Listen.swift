import Machine
import Records
import Wire

// The door: listeners and half-open connections.
extension TCPStack {
    /// Half-open entries stay when their listener stays as it was.
    mutating func setListeners(_ list: [Listener]) {
        let old = listeners
        listeners = list
        listenerIndex.removeAll(keepingCapacity: true)
        rangeIndex.removeAll(keepingCapacity: true)
        for (i, listener) in list.enumerated() {
            let key = Self.key(of: listener)
            // The first of two that say the same.
            if listenerIndex[key] == nil { listenerIndex[key] = Int32(i) }
            if let length = listener.remoteLength {
                let own = ListenerKey(local: listener.local, port: listener.localPort, remote: listener.local)
                let at = rangeIndex[own]?.firstIndex { (list[Int($0)].remoteLength ?? 0) < length }
                rangeIndex[own, default: []].insert(Int32(i), at: at ?? rangeIndex[own]?.count ?? 0)
                continue
            }
            let pair = ListenerKey(local: listener.local, port: 0, remote: listener.remote)
            if listenerIndex[pair] == nil { listenerIndex[pair] = Int32(i) }
        }
        backlogs = Array(repeating: [], count: list.count)
        answers = Array(repeating: TokenBucket(perSecond: configuration.answersPerPeerPerSecond), count: list.count)
        var entries = halfOpen.indices.filter { halfOpen[$0] != nil }
        entries.sort { halfOpen[$0]!.serial < halfOpen[$1]!.serial }
        for entry in entries {
            let before = old[Int(halfOpen[entry]!.listener)]
            if let i = listenerIndex[Self.key(of: before)], listeners[Int(i)] == before {
                halfOpen[entry]!.listener = i
                backlogs[Int(i)].append(Int32(entry))
            } else {
                dropHalfOpen(entry)
            }
        }
    }

    private static func key(of listener: Listener) -> ListenerKey {
        ListenerKey(
            local: listener.local, port: listener.localPort, remote: listener.remote, length: listener.remoteLength)
    }

    /// Who listens for what comes from there: who names the address, or the longest prefix that has it. There are few ranges.
    func listener(local: IPAddress, port: UInt16, remote: IPAddress) -> Int32? {
        if let exact = listenerIndex[ListenerKey(local: local, port: port, remote: remote)] { return exact }
        guard !rangeIndex.isEmpty else { return nil }
        return rangeIndex[ListenerKey(local: local, port: port, remote: local)]?.first {
            let listener = listeners[Int($0)]
            return IPPrefix(listener.remote, listener.remoteLength ?? 0).contains(remote)
        }
    }

    /// RFC 9293 §3.10.7.2: LISTEN.
    mutating func receiveSYN(
        _ h: SegmentHeader, _ tuple: ConnectionTuple, listener: Int32, at now: Instant, into effects: inout [TCPEffect]
    ) {
        guard liveConnections + halfOpenCount < configuration.connectionsMaximum + configuration.backlogMaximum,
            liveConnections < configuration.connectionsMaximum
        else {
            shared.counters.droppedSYN += 1
            return
        }
        if backlogs[Int(listener)].count >= configuration.backlogPerListener {
            shared.counters.backlogEvictions += 1
            forgetHalfOpen(Int(backlogs[Int(listener)][0]))
        }
        guard halfOpenCount < configuration.backlogMaximum else {
            shared.counters.droppedSYN += 1
            return
        }
        halfOpenSerial += 1
        let size = PeerOffer.segmentSize(h, remote: tuple.remote)
        let offer = OfferCode(
            segmentSize: size, windowShift: h.windowShift, selectiveAcknowledgment: h.selectiveAcknowledgmentPermitted)
        let entry = HalfOpen(
            tuple: tuple, listener: listener,
            initialSendSequence: initialSequence.number(for: tuple, answering: h.sequence, offer: offer, at: now),
            initialReceiveSequence: h.sequence, peerMaximumSegmentSize: size, peerWindowShift: h.windowShift,
            selectiveAcknowledgment: h.selectiveAcknowledgmentPermitted, timestamps: h.hasTimestamps,
            timestampOffset: initialSequence.timestampOffset(for: tuple), timestampRecent: h.timestampValue,
            window: h.window, retries: 0, sentAt: now, serial: halfOpenSerial)
        let slot: Int
        if let free = freeHalfOpen.popLast() {
            slot = Int(free)
            halfOpen[slot] = entry
        } else {
            slot = halfOpen.count
            halfOpen.append(entry)
        }
        halfOpenCount += 1
        backlogs[Int(listener)].append(Int32(slot))
        flows[FlowKey(tuple)] = ~Int32(slot)
        sendSYNAcknowledgment(slot, at: now, into: &effects)
    }

    /// SYN-ACK, first or again, and the timer for the next.
    private mutating func sendSYNAcknowledgment(_ slot: Int, at now: Instant, into effects: inout [TCPEffect]) {
        guard let entry = halfOpen[slot] else { return }
        let options = listeners[Int(entry.listener)].options
        var segment = OutgoingSegment(
            localPort: entry.tuple.localPort, remotePort: entry.tuple.remotePort, sequence: entry.initialSendSequence,
            flags: [.syn, .ack])
        segment.acknowledgment = entry.initialReceiveSequence &+ 1
        segment.window = UInt16(min(configuration.receiveBuffer, 65_535))
        segment.maximumSegmentSize = UInt16(clamping: segmentSize(of: entry.tuple, options))
        segment.windowShift = entry.peerWindowShift == nil ? nil : configuration.windowShift
        segment.selectiveAcknowledgmentPermitted = entry.selectiveAcknowledgment
        segment.hasTimestamps = entry.timestamps
        segment.timestampValue =
            UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ entry.timestampOffset
        segment.timestampEcho = entry.timestampRecent
        send(segment, entry.tuple, options, into: &effects)
        let wait = configuration.retransmissionTimeoutInitial.inNanoseconds << Int64(min(entry.retries, 20))
        timers.set(~Int32(slot), at: now + .nanoseconds(wait))
    }

    mutating func halfOpenTimedOut(_ slot: Int, at now: Instant, into effects: inout [TCPEffect]) {
        guard let entry = halfOpen[slot] else { return }
        if Int(entry.retries) >= configuration.synAcknowledgmentRetries {
            shared.counters.backlogTimeouts += 1
            forgetHalfOpen(slot)
            return
        }
        halfOpen[slot]!.retries += 1
        shared.counters.retransmittedSegments += 1
        sendSYNAcknowledgment(slot, at: now, into: &effects)
    }

    mutating func forgetHalfOpen(_ slot: Int) {
        guard let entry = halfOpen[slot] else { return }
        let listener = Int(entry.listener)
        if let at = backlogs[listener].firstIndex(of: Int32(slot)) { backlogs[listener].remove(at: at) }
        dropHalfOpen(slot)
    }

    private mutating func dropHalfOpen(_ slot: Int) {
        guard let entry = halfOpen[slot] else { return }
        let key = FlowKey(entry.tuple)
        if flows[key] == ~Int32(slot) { flows[key] = nil }
        halfOpen[slot] = nil
        freeHalfOpen.append(Int32(slot))
        timers.cancel(~Int32(slot))
        halfOpenCount -= 1
    }

    /// RFC 9293 §3.10.7.4 for SYN-RECEIVED of a passive open.
    mutating func receiveHalfOpen(
        _ h: SegmentHeader, _ segment: RawSpan, entry slot: Int, hopLimit: UInt8, at now: Instant,
        into effects: inout [TCPEffect]
    ) {
        guard let entry = halfOpen[slot] else { return }
        let listener = listeners[Int(entry.listener)]
        guard passes(h, segment, listener.options, hopLimit, entry.tuple, now, &effects) else { return }
        let expected = entry.initialReceiveSequence &+ 1
        let ahead = distance(from: expected, to: h.sequence)
        if h.flags.contains(.rst) {
            if ahead == 0 {
                forgetHalfOpen(slot)
            } else {
                // RFC 5961 §3.2 holds in SYN-RECEIVED, too.
                shared.counters.droppedReset += 1
                if ahead > 0, ahead < 65_535 { challenge(entry, listener.options, at: now, into: &effects) }
            }
            return
        }
        if h.flags.contains(.syn) {
            if h.sequence == entry.initialReceiveSequence, !h.flags.contains(.ack) {
                // The peer did not get our SYN-ACK.
                if answers[Int(entry.listener)].take(at: now) { sendSYNAcknowledgment(slot, at: now, into: &effects) }
            } else {
                // RFC 5961 §4.2: a peer that really started anew answers the ACK with an exact RST.
                shared.counters.droppedSYN += 1
                challenge(entry, listener.options, at: now, into: &effects)
            }
            return
        }
        guard ahead >= 0, ahead <= 65_535 else {
            shared.counters.droppedOutOfWindow += 1
            challenge(entry, listener.options, at: now, into: &effects)
            return
        }
        guard h.flags.contains(.ack) else {
            shared.counters.droppedBadAcknowledgment += 1
            return
        }
        guard h.acknowledgment == entry.initialSendSequence &+ 1 else {
            shared.counters.droppedBadAcknowledgment += 1
            refuse(h, entry.tuple, at: now, into: &effects)
            return
        }
        if entry.timestamps, h.hasTimestamps, distance(from: entry.timestampRecent, to: h.timestampValue) < 0 {
            shared.counters.droppedOldTimestamp += 1
            return
        }
        forgetHalfOpen(slot)
        accept(entry, listener, h, segment, at: now, into: &effects)
    }

    /// For how long after a takeover a twin's handshake may be completed, and how long before it the SYN may have come, in
    /// steps of 1.05 s: by then every peer has repeated what it sends first.
    private static let handshakeMemory = Duration.seconds(64)
    private static let handshakeSteps: UInt32 = 61
    /// For how long what only looks like such a handshake gets no answer: a peer repeats its first octets within this. Later it
    /// is an old connection of which this router knows nothing, and its peer must hear so.
    private static let handshakePatience = Duration.seconds(4)

    /// A segment to a listener that belongs to no connection, just after a takeover. If it completes a handshake of the
    /// twin, the connection is accepted from what the ISS says; if it only looks so (the peer's first octets come again
    /// soon), there is no answer. True when the segment is dealt with. An ISS is guessed by one segment in 270,000, and only
    /// as many are looked at as a peer gets answers.
    mutating func completeTwinsHandshake(
        _ h: SegmentHeader, _ segment: RawSpan, _ tuple: ConnectionTuple, listener: Int32, at now: Instant,
        into effects: inout [TCPEffect]
    ) -> Bool {
        guard let restoredAt, now - restoredAt < Self.handshakeMemory, !knownFlows.contains(FlowKey(tuple)) else {
            return false
        }
        let iss = h.acknowledgment &- 1, irs = h.sequence &- 1
        switch initialSequence.trace(iss, for: tuple, answering: irs, before: restoredAt, steps: Self.handshakeSteps) {
        case .foreign:
            return false
        case .wrong:
            guard now - restoredAt < Self.handshakePatience else { return false }
            _ = answers[Int(listener)].take(at: now)
            return true
        case .offer(let offer):
            guard answers[Int(listener)].take(at: now) else { return true }
            let offset = initialSequence.timestampOffset(for: tuple)
            if h.hasTimestamps {
                // What the SYN-ACK said and the peer echoes is router time, of not long ago.
                let clock = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ offset
                guard (0...128_000).contains(distance(from: h.timestampEcho, to: clock)) else { return true }
            }
            halfOpenSerial += 1
            let entry = HalfOpen(
                tuple: tuple, listener: listener, initialSendSequence: iss, initialReceiveSequence: irs,
                peerMaximumSegmentSize: offer.segmentSize, peerWindowShift: offer.windowShift,
                selectiveAcknowledgment: offer.selectiveAcknowledgment, timestamps: h.hasTimestamps,
                timestampOffset: offset, timestampRecent: h.timestampValue, window: h.window, retries: -1, sentAt: now,
                serial: halfOpenSerial)
            accept(entry, listeners[Int(listener)], h, segment, at: now, into: &effects)
            return true
        }
    }

    private mutating func challenge(
        _ entry: HalfOpen, _ options: TransportOptions, at now: Instant, into effects: inout [TCPEffect]
    ) {
        guard answers[Int(entry.listener)].take(at: now) else { return }
        shared.counters.challengesOut += 1
        var segment = OutgoingSegment(
            localPort: entry.tuple.localPort, remotePort: entry.tuple.remotePort,
            sequence: entry.initialSendSequence &+ 1, flags: .ack)
        segment.acknowledgment = entry.initialReceiveSequence &+ 1
        segment.window = UInt16(min(configuration.receiveBuffer, 65_535))
        if entry.timestamps {
            segment.hasTimestamps = true
            segment.timestampValue = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000) &+ entry.timestampOffset
            segment.timestampEcho = entry.timestampRecent
        }
        send(segment, entry.tuple, options, into: &effects)
    }

    /// The third segment: the connection is established, and the engine hears of it.
    private mutating func accept(
        _ entry: HalfOpen, _ listener: Listener, _ h: SegmentHeader, _ segment: RawSpan, at now: Instant,
        into effects: inout [TCPEffect]
    ) {
        guard liveConnections < configuration.connectionsMaximum else {
            shared.counters.droppedSYN += 1
            return
        }
        let identity = ConnectionIdentity(
            tuple: entry.tuple, initialSendSequence: entry.initialSendSequence,
            initialReceiveSequence: entry.initialReceiveSequence,
            peerMaximumSegmentSize: entry.peerMaximumSegmentSize, peerWindowShift: entry.peerWindowShift,
            windowShift: entry.peerWindowShift == nil ? 0 : configuration.windowShift,
            selectiveAcknowledgment: entry.selectiveAcknowledgment, timestamps: entry.timestamps,
            timestampOffset: entry.timestampOffset, options: listener.options)
        let id = nextAccepted
        nextAccepted = ConnectionID(id.value &+ 2)
        let index = reserveSlot()
        var connection = Connection(
            id, slot: index, identity: identity, state: .established, stream: TransmitStream(),
            localSegmentSize: segmentSize(of: entry.tuple, listener.options), now: now, configuration: configuration)
        connection.receiveCommitted = 0
        connection.lastAcknowledgmentSent = 0
        connection.receiveEdge = Int64(min(configuration.receiveBuffer, 65_535))
        connection.timestampRecent = entry.timestampRecent
        connection.timestampNewest = entry.timestampRecent
        connection.takeWindow(Int(h.window) << Int(entry.peerWindowShift ?? 0), sequence: -1, acknowledgment: 0)
        if entry.retries == 0 {
            connection.measured(now - entry.sentAt)
        } else if entry.retries > 0 {
            connection.timeout.handshakeWasRepeated()
        }
        insert(connection)
        if let restoredAt, now - restoredAt < Self.handshakeMemory, knownFlows.count < Self.knownFlowsMaximum {
            knownFlows.insert(FlowKey(entry.tuple))
        }
        shared.counters.accepted += 1
        connections[Int(index)]!.emit(.tcpAccepted(id, identity), offset: 0, &shared, &effects)
        connections[Int(index)]!.receive(h, segment, now: now, &shared, &effects)
        if !connections[Int(index)]!.isGone { enqueue(Int(index)) }
        settle(Int(index), at: now)
    }
}
