import Machine
import Records
import Wire

// Taking over (DESIGN §4, §10): the stack of an image is one whose connections are all in the middle.
extension TCPStack {
    /// Forgets everything and goes on from `image`. What connections say at once is in the effects already: ACKs, and what
    /// was not acknowledged, from the oldest octet on. Counters stay.
    mutating func restore(_ image: LineCardImage, at now: Instant, into effects: inout [TCPEffect]) {
        let counters = shared.counters
        self = TCPStack(configuration: configuration)
        shared.counters = counters
        interfaces = image.interfaces
        initialSequence = InitialSequence(secret: image.sequenceSecret)
        nextAccepted = image.nextAcceptedConnection
        setListeners(image.listeners)
        restoredAt = now
        for old in image.timeWaits.suffix(configuration.timeWaitMaximum) { restore(old, at: now) }
        for connection in image.connections {
            knownFlows.insert(FlowKey(connection.identity.tuple))
            restore(connection, at: now)
        }
        handle(.endOfBatch, at: now, into: &effects)
        // The same SYN with the same ISS as the twin's.
        for request in image.pendingConnects {
            handle(.connect(request), at: now, into: &effects)
            if let slot = slot(of: request.connection) { connections[slot]!.isRestoredConnect = true }
        }
    }

    private mutating func restore(_ image: LineCardImage.Connection, at now: Instant) {
        let identity = image.identity
        let slot = reserveSlot()
        let state: TCPState =
            switch (image.stream.isFinished, image.peerFinished) {
            case (false, false): .established
            case (false, true): .closeWait
            case (true, false): .finWait1
            // CLOSING or LAST-ACK, which differ only in the TIME-WAIT after: the one that answers late segments.
            case (true, true): .closing
            }
        var connection = Connection(
            image.connection, slot: slot, identity: identity, state: state, stream: image.stream,
            localSegmentSize: segmentSize(of: identity.tuple, identity.options), now: now, configuration: configuration)
        // All of the stream may have been sent by the twin, and be acknowledged any time.
        connection.sendMaximum = connection.sendEnd
        // The peer's window is not in the image, and may be shut. One segment (and a FIN) goes, with a question that the peer
        // answers at once; the answer says how much may follow.
        connection.sendWindow = connection.segmentSize + 1
        connection.sendWindowMaximum = 65_535 << Int(identity.peerWindowShift ?? 0)
        connection.windowUpdate = nil
        connection.timeout = RetransmissionTimeout(
            initial: configuration.retransmissionTimeoutRestored, minimum: configuration.retransmissionTimeoutMinimum,
            maximum: configuration.retransmissionTimeoutMaximum)
        let received = Int64(clamping: image.receivedOffset) + (image.peerFinished ? 1 : 0)
        connection.receiveNext = received
        connection.receiveCommitted = received
        connection.receiveApplied = received
        connection.receiveEdge = received
        // The twin may have promised as much, and a window does not shrink (RFC 9293 §3.8.6).
        let growth = configuration.receiveBufferMaximum - connection.receiveBuffer
        if growth > 0, shared.receiveGrowth + growth <= configuration.receiveGrowthMaximum {
            shared.receiveGrowth += growth
            connection.receiveBuffer = configuration.receiveBufferMaximum
        }
        connection.receiveMark = (received, now)
        connection.lastAcknowledgmentSent = received
        connection.peerFinished = image.peerFinished
        if image.peerFinished { connection.finOffset = received - 1 }
        connection.timestampRecent = image.peerTimestamp
        // The log knows TSvals from data only. Before the first octet there is none, and the first segment sets it.
        if image.receivedOffset == 0 { connection.timestampRecentAt = now - Connection.timestampLifetime }
        connection.timestampNewest = image.peerTimestamp
        connection.restoredAcknowledgments = configuration.restoredAcknowledgments
        insert(connection)
        enqueue(Int(slot))
    }

    private mutating func restore(_ image: LineCardImage.TimeWait, at now: Instant) {
        let end = image.since + configuration.timeWait
        guard end > now else { return }
        let slot = reserveSlot()
        var stream = TransmitStream(start: image.sentOffset)
        stream.finish()
        var connection = Connection(
            image.connection, slot: slot, identity: image.identity, state: .timeWait, stream: stream,
            localSegmentSize: segmentSize(of: image.identity.tuple, image.identity.options), now: now,
            configuration: configuration)
        connection.sendUnacknowledged = connection.sendEnd
        connection.sendNext = connection.sendEnd
        connection.sendMaximum = connection.sendEnd
        connection.sendWindowMaximum = 65_535 << Int(image.identity.peerWindowShift ?? 0)
        let received = Int64(clamping: image.receivedOffset) + 1
        connection.receiveNext = received
        connection.receiveCommitted = received
        connection.receiveApplied = received
        connection.receiveEdge = received
        connection.lastAcknowledgmentSent = received
        connection.peerFinished = true
        connection.finOffset = received - 1
        connection.timestampRecent = image.peerTimestamp
        connection.timestampNewest = image.peerTimestamp
        connection.timers.set(.lifetime, at: end)
        insert(connection)
        settle(Int(slot), at: now)
    }
}
