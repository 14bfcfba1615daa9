import Machine
import Records
import Wire

/// RFC 5880 §6.8.6.
extension BFDInstance {
    /// Takes a UDP payload. The caller has checked IP header, checksum and that the destination is ours and no group.
    /// - Parameters:
    ///   - interface: the one that captured it.
    ///   - isMultihop: it came to port 4784.
    public mutating func receive(
        _ payload: RawSpan, from source: IPAddress, to destination: IPAddress, on interface: InterfaceID,
        isMultihop: Bool, hopLimit: UInt8, at now: Instant, into effects: inout [BFDEffect]
    ) {
        counters.packetsIn &+= 1
        let packet: ControlPacket
        do throws(BFDDropReason) { packet = try ControlPacket(payload) } catch { return drop(error) }
        // RFC 5881 §5: without this anybody in the world could speak for our neighbour.
        guard isMultihop || hopLimit == 255 else { return drop(.hopLimit) }

        let slot: Int
        if packet.yourDiscriminator != 0 {
            guard let found = byDiscriminator[packet.yourDiscriminator], let session = sessions[found] else {
                return drop(.unknownDiscriminator)
            }
            // A discriminator can be guessed or overheard; who uses it is still the neighbour, on its interface.
            guard session.peer.remote == source, session.peer.local == destination,
                isMultihop ? session.isMultihop : session.peer.interface == interface
            else { return drop(.wrongPeer) }
            slot = found
        } else {
            guard packet.state == BFDState.down.rawValue || packet.state == BFDState.adminDown.rawValue else {
                return drop(.yourDiscriminatorZero)
            }
            // RFC 5881 §3, RFC 5883 §3: "the source and destination IP addresses", and the interface for one hop.
            let peer = BFDPeer(interface: isMultihop ? nil : interface, local: destination, remote: source)
            guard let found = byPeer[peer], let session = sessions[found], session.endsAt == nil else {
                return drop(.unknownPeer)
            }
            slot = found
        }
        guard let session = sessions[slot] else { return }
        progress.note(UInt64(session.discriminator))
        defer { progress.note(0) }
        guard !isMultihop || hopLimit >= session.parameters.minimumHopLimit else { return drop(.hopLimit, slot) }
        guard packet.authenticationPresent == (session.parameters.authentication != nil) else {
            return drop(packet.authenticationPresent ? .unexpectedAuthentication : .missingAuthentication, slot)
        }
        if let authentication = session.parameters.authentication {
            let sequence: UInt32?
            do throws(BFDDropReason) {
                sequence = try authentication.verify(
                    payload.extracting(first: Int(packet.totalLength)), known: session.status.receivedSequence,
                    window: session.windowIsOpen ? nil : 3 * UInt32(packet.multiplier), at: now)
            } catch {
                return drop(error, slot)
            }
            // Behind the digest: what others forge takes nothing from what the neighbour may say.
            guard sessions[slot]?.packetGuard.take(at: now) == true else { return drop(.flood, slot) }
            sessions[slot]?.status.receivedSequence = sequence
            sessions[slot]?.windowIsOpen = false
            sessions[slot]?.packetsSinceReport += 1
        } else {
            guard sessions[slot]?.packetGuard.take(at: now) == true else { return drop(.flood, slot) }
        }
        sessions[slot]?.counters.packetsIn &+= 1
        accept(packet, slot, at: now, into: &effects)
        settle(slot, at: now, into: &effects)
    }

    private mutating func accept(
        _ packet: ControlPacket, _ slot: Int, at now: Instant, into effects: inout [BFDEffect]
    ) {
        guard let before = sessions[slot]?.status else { return }
        let received = BFDState(rawValue: packet.state) ?? .down
        sessions[slot]?.status.remoteDiscriminator = packet.myDiscriminator
        sessions[slot]?.status.remoteState = received
        sessions[slot]?.status.remoteDiagnostic = BFDDiagnostic(rawValue: packet.diagnostic)
        sessions[slot]?.status.remoteDemand = packet.demand
        sessions[slot]?.status.remoteIsIndependent = packet.controlPlaneIndependent
        sessions[slot]?.status.remoteMinRx = packet.requiredMinRx
        sessions[slot]?.status.remoteDesiredMinTx = packet.desiredMinTx
        sessions[slot]?.status.remoteMultiplier = packet.multiplier
        if packet.final {
            endPoll(slot, at: now)
        } else if sessions[slot]?.awaitsClearFinal == true {
            sessions[slot]?.awaitsClearFinal = false
            adoptIntervals(slot, at: now)
        }
        // "Update the transmit interval as described in section 6.8.2."
        if before.remoteMinRx != packet.requiredMinRx { paceSequence(slot, at: now) }

        // A packet that is authentic has been received as far as bfd.AuthSeqKnown is concerned, in AdminDown as well: its
        // number is known, and must be forgotten in time (RFC 5880 §6.8.1), or a neighbour that begins anew meanwhile is
        // never understood again.
        sessions[slot]?.heardAt = now
        scheduleReceive(slot, at: now)
        // "If bfd.SessionState is AdminDown: Discard the packet"
        guard before.state != .adminDown else { return }
        if received == .adminDown {
            if before.state != .down { enter(.down, .neighborSignaledDown, slot, at: now, into: &effects) }
        } else {
            switch before.state {
            case .down:
                if received == .down {
                    enter(.initializing, before.diagnostic, slot, at: now, into: &effects)
                } else if received == .initializing {
                    enter(.up, .none, slot, at: now, into: &effects)
                }
            case .initializing:
                if received == .initializing || received == .up { enter(.up, .none, slot, at: now, into: &effects) }
            case .up:
                if received == .down { enter(.down, .neighborSignaledDown, slot, at: now, into: &effects) }
            case .adminDown:
                break
            }
        }
        // RFC 5880 §6.6 and §6.8.7: demand mode, a neighbour that wants nothing, a passive end that was spoken to.
        rescheduleTransmit(slot, at: now)
        if packet.poll {
            sessions[slot]?.owesFinal = true
            // "As soon as practicable": with numbers left, now; else in the next periodic packet.
            if sessions[slot]?.hasSequence(at: now) == true || sessions[slot]?.transmitAt == nil {
                emit(slot, at: now, into: &effects)
            }
        }
        // "If the packet was not discarded, it has been received for purposes of the Detection Time expiration rules."
        sessions[slot]?.heardAt = now
        scheduleReceive(slot, at: now)
    }

    /// For the caller, who looks at what is outside the payload.
    public mutating func drop(_ reason: BFDDropReason) { counters[reason] &+= 1 }

    private mutating func drop(_ reason: BFDDropReason, _ slot: Int) {
        sessions[slot]?.counters.drops &+= 1
        drop(reason)
    }
}
