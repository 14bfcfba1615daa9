import Machine
import Records
import Wire

/// RFC 5880 §6.8.3 and §6.8.7.
extension BFDInstance {
    /// Brings what we announce and what governs our timers to what is wanted in the state of the moment.
    mutating func adoptIntervals(_ slot: Int, at now: Instant) {
        guard let session = sessions[slot], !session.isPolling, !session.awaitsClearFinal else { return }
        let minTx = session.wantedMinTx, minRx = session.parameters.requiredMinRx
        let isChange = minTx != session.announcedMinTx || minRx != session.announcedMinRx
        sessions[slot]?.announcedMinTx = minTx
        sessions[slot]?.announcedMinRx = minRx
        guard session.status.state == .up else {
            // "In any case other than those explicitly called out above, timing parameter changes MUST be effected
            // immediately."
            sessions[slot]?.status.transmitInUse = minTx
            sessions[slot]?.status.receiveInUse = minRx
            return paceSequence(slot, at: now)
        }
        guard isChange else { return }
        // An increase of what we send and a decrease of what we want to hear wait for the end of the Poll Sequence.
        sessions[slot]?.status.transmitInUse = min(minTx, session.status.transmitInUse)
        sessions[slot]?.status.receiveInUse = max(minRx, session.status.receiveInUse)
        sessions[slot]?.isPolling = true
        sessions[slot]?.status.isPolled = false
        paceSequence(slot, at: now)
        scheduleReceive(slot, at: now)
    }

    /// The F bit came: RFC 5880 §6.5.
    mutating func endPoll(_ slot: Int, at now: Instant) {
        guard let session = sessions[slot], session.isPolling else { return }
        sessions[slot]?.isPolling = false
        sessions[slot]?.awaitsClearFinal = true
        sessions[slot]?.status.isPolled = true
        sessions[slot]?.status.transmitInUse = session.announcedMinTx
        sessions[slot]?.status.receiveInUse = session.announcedMinRx
        paceSequence(slot, at: now)
    }

    /// The clock of sequence numbers follows the pace of the packets.
    func pace(_ session: Session) -> Int64 { max(1, session.transmitInterval / 1000 * 750) }

    mutating func paceSequence(_ slot: Int, at now: Instant) {
        guard let session = sessions[slot], session.parameters.authentication != nil,
            session.status.sequence.quantum != pace(session)
        else { return }
        sessions[slot]?.restartSequence(at: now)
    }

    /// After anything that the transmit timer depends on: RFC 5880 §6.8.3, "the local system cannot wait longer than the
    /// new interval between the previous packet transmission and the next one".
    mutating func rescheduleTransmit(_ slot: Int, at now: Instant) {
        guard let session = sessions[slot] else { return }
        guard session.transmitsPeriodically else {
            if session.transmitAt != nil { cancel(slot, .transmit) }
            return
        }
        guard let sent = session.sentAt else {
            if session.transmitAt == nil { setTransmit(slot, at: now) }
            return
        }
        let latest = sent + .nanoseconds(session.transmitInterval)
        if let armed = session.transmitAt, armed <= latest { return }
        setTransmit(slot, at: max(now, sent + .nanoseconds(session.jittered(session.transmitInterval, &random))))
    }

    mutating func transmitTimer(_ slot: Int, at now: Instant, into effects: inout [BFDEffect]) {
        guard let session = sessions[slot] else { return }
        if let end = session.endsAt, now >= end { return remove(slot) }
        if session.transmitsPeriodically { transmit(slot, at: now, into: &effects) }
    }

    /// A packet with everything that is true now, and the time of the next.
    mutating func transmit(_ slot: Int, at now: Instant, into effects: inout [BFDEffect]) {
        sessions[slot]?.sentAt = now
        emit(slot, at: now, into: &effects)
        guard let session = sessions[slot], session.transmitsPeriodically else { return cancel(slot, .transmit) }
        var interval = session.transmitInterval
        if session.endsAt != nil { interval = min(interval, 1_000_000_000) }
        setTransmit(slot, at: now + .nanoseconds(session.jittered(interval, &random)))
    }

    /// RFC 5880 §6.8.7, "The contents of transmitted BFD Control packets MUST be set as follows".
    mutating func emit(_ slot: Int, at now: Instant, into effects: inout [BFDEffect]) {
        guard let session = sessions[slot] else { return }
        var packet = ControlPacket(
            diagnostic: session.status.diagnostic.rawValue, state: session.status.state.rawValue,
            multiplier: session.parameters.multiplier, myDiscriminator: session.discriminator,
            yourDiscriminator: session.status.remoteDiscriminator, desiredMinTx: session.announcedMinTx,
            requiredMinRx: session.announcedMinRx)
        // Never both: a Final answers, it does not ask.
        packet.final = session.owesFinal
        packet.poll = session.isPolling && !session.owesFinal
        // The twin goes on with the session when this control plane dies.
        packet.controlPlaneIndependent = true
        sessions[slot]?.owesFinal = false
        var w = ByteWriter(capacity: ControlPacket.length + 28)
        if let authentication = session.parameters.authentication {
            // Of the controller's time, as the sequence number is: the twin signs with the same key.
            guard let key = authentication.chain.sendingKey(at: now) else { return }
            packet.authenticationPresent = true
            packet.totalLength = UInt8(truncatingIfNeeded: ControlPacket.length + authentication.sectionLength(key))
            packet.write(to: &w)
            let sequence = sessions[slot]?.nextSequence(at: now) ?? 0
            authentication.sign(&w, with: key, sequence: sequence)
        } else {
            packet.write(to: &w)
        }
        sessions[slot]?.counters.packetsOut &+= 1
        counters.packetsOut &+= 1
        effects.append(.transmit(BFDTransmission(peer: session.peer, sourcePort: session.sourcePort, bytes: w.bytes)))
    }
}
