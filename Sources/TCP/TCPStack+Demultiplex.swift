import Machine
import Records
import Wire

// Which connection a segment is for.
extension TCPStack {
    /// Takes one TCP segment (header and payload, which may be a super-frame of up to 65,535 octets), after the IP layer
    /// found it to be for one of our addresses. `remote` must be a unicast address.
    public mutating func receive(
        _ segment: RawSpan, from remote: IPAddress, to local: IPAddress, interface: InterfaceID, hopLimit: UInt8,
        checksum: TCPChecksumState = .verify, at now: Instant, into effects: inout [TCPEffect]
    ) {
        shared.counters.segmentsIn += 1
        let h: SegmentHeader
        do throws(DecodeError) {
            h = try SegmentHeader(segment)
        } catch {
            shared.counters.droppedMalformed += 1
            return
        }
        guard isChecksumRight(h, segment, checksum, from: remote, to: local) else {
            shared.counters.droppedChecksum += 1
            return
        }
        let key = FlowKey(
            local: local, localPort: h.destinationPort, remote: remote, remotePort: h.sourcePort, interface: interface)
        if let flow = flows[key] {
            if flow >= 0 {
                if receive(h, segment, slot: Int(flow), hopLimit: hopLimit, at: now, into: &effects) { return }
            } else {
                receiveHalfOpen(h, segment, entry: Int(~flow), hopLimit: hopLimit, at: now, into: &effects)
                return
            }
        }
        let tuple = ConnectionTuple(
            interface: interface, local: local, localPort: h.destinationPort, remote: remote, remotePort: h.sourcePort)
        let listener = listener(local: local, port: h.destinationPort, remote: remote)
        // A configured peer's address is guarded on every port: what it may send to one it may send to all.
        if let guardian = listener ?? listenerIndex[ListenerKey(local: local, port: 0, remote: remote)],
            !passes(h, segment, listeners[Int(guardian)].options, hopLimit, tuple, now, &effects)
        {
            return
        }
        if let listener, h.flags.isDisjoint(with: [.ack, .rst]) {
            if h.flags.contains(.syn) {
                receiveSYN(h, tuple, listener: listener, at: now, into: &effects)
            } else {
                // RFC 9293 §3.10.7.2, fourth: neither SYN nor ACK nor RST says anything to a listener; no answer.
                shared.counters.droppedNoConnection += 1
            }
            return
        }
        if let listener, h.flags.isDisjoint(with: [.syn, .rst]),
            completeTwinsHandshake(h, segment, tuple, listener: listener, at: now, into: &effects)
        {
            return
        }
        shared.counters.droppedNoConnection += 1
        refuse(h, tuple, at: now, into: &effects)
    }

    private mutating func isChecksumRight(
        _ h: SegmentHeader, _ segment: RawSpan, _ state: TCPChecksumState, from remote: IPAddress, to local: IPAddress
    ) -> Bool {
        switch state {
        case .trusted:
            return true
        case .partial:
            shared.counters.unfinishedChecksums += 1
            return true
        case .verify:
            let pseudo = PseudoHeader(source: remote, destination: local, length: segment.byteCount)
            switch pseudo.judge(segment, field: h.checksum) {
            case .valid:
                return true
            case .unfinished:
                shared.counters.unfinishedChecksums += 1
                return true
            case .wrong:
                return false
            }
        }
    }

    /// RFC 5082 and RFC 2385: what does not pass is dropped without an answer, and sometimes mentioned.
    mutating func passes(
        _ h: SegmentHeader, _ segment: RawSpan, _ options: TransportOptions, _ hopLimit: UInt8, _ tuple: ConnectionTuple,
        _ now: Instant, _ effects: inout [TCPEffect]
    ) -> Bool {
        if hopLimit < options.minimumHopLimit {
            shared.counters.droppedHopLimit += 1
            if dropEvents.take(at: now) {
                effects.append(
                    .event(
                        Event(
                            .warning, "tcp",
                            "segments from \(tuple.remote) have TTL \(hopLimit), less than \(options.minimumHopLimit)")))
            }
            return false
        }
        if options.md5Key.isEmpty, h.md5Offset == 0 { return true }
        if let signature = MD5Signature(key: options.md5Key),
            signature.accepts(segment, h, source: tuple.remote, destination: tuple.local)
        {
            return true
        }
        shared.counters.droppedSignature += 1
        if dropEvents.take(at: now) {
            let what = options.md5Key.isEmpty ? "an unexpected" : h.md5Offset == 0 ? "no" : "a wrong"
            effects.append(
                .event(Event(.warning, "tcp", "segments from \(tuple.remote) carry \(what) MD5 signature")))
        }
        return false
    }

    /// A segment for a connection. False: it was in TIME-WAIT, and this SYN opens it anew.
    private mutating func receive(
        _ h: SegmentHeader, _ segment: RawSpan, slot: Int, hopLimit: UInt8, at now: Instant,
        into effects: inout [TCPEffect]
    ) -> Bool {
        if hopLimit < connections[slot]!.identity.options.minimumHopLimit || h.md5Offset > 0
            || connections[slot]!.signature != nil
        {
            let options = connections[slot]!.identity.options
            let tuple = connections[slot]!.identity.tuple
            guard passes(h, segment, options, hopLimit, tuple, now, &effects) else { return true }
        }
        switch connections[slot]!.state {
        case .synSent:
            connections[slot]!.receiveSynSent(h, now: now, &shared, &effects)
        case .synReceived:
            if connections[slot]!.receiveSynReceived(h, now: now, &shared, &effects) {
                connections[slot]!.receive(h, segment, now: now, &shared, &effects)
            }
        case .timeWait where h.flags.contains(.syn) && h.flags.isDisjoint(with: [.ack, .rst, .fin]):
            // RFC 9293 §3.10.7.4, RFC 6191: a newer SYN may open the connection anew.
            if connections[slot]!.mayReopen(h) {
                remove(slot)
                return false
            }
            connections[slot]!.receive(h, segment, now: now, &shared, &effects)
        default:
            connections[slot]!.receive(h, segment, now: now, &shared, &effects)
        }
        if !connections[slot]!.isGone { enqueue(slot) }
        settle(slot, at: now)
        return true
    }

    /// RFC 9293 §3.10.7.1: RST to what belongs to nobody.
    mutating func refuse(
        _ h: SegmentHeader, _ tuple: ConnectionTuple, at now: Instant, into effects: inout [TCPEffect]
    ) {
        guard !h.flags.contains(.rst) else { return }
        // A peer with a key believes signed RSTs only; it may know a connection that we, started anew, do not.
        let pair =
            listenerIndex[ListenerKey(local: tuple.local, port: 0, remote: tuple.remote)]
            ?? listener(local: tuple.local, port: tuple.localPort, remote: tuple.remote)
        guard pair.map({ answers[Int($0)].take(at: now) }) ?? resets.take(at: now) else { return }
        var segment = OutgoingSegment(
            localPort: tuple.localPort, remotePort: tuple.remotePort, sequence: 0, flags: [.rst, .ack])
        if h.flags.contains(.ack) {
            segment.sequence = h.acknowledgment
            segment.flags = .rst
        } else {
            segment.acknowledgment = h.sequence &+ UInt32(truncatingIfNeeded: h.sequenceLength)
        }
        shared.counters.resetsOut += 1
        var options = pair.map { listeners[Int($0)].options } ?? TransportOptions()
        if pair == nil { options.hopLimit = Self.hopLimitToStrangers }
        send(segment, tuple, options, into: &effects)
    }

    /// TTL of a RST to somebody who is not configured: it may be far away.
    private static let hopLimitToStrangers: UInt8 = 64

    /// Sends a segment that belongs to no connection.
    mutating func send(
        _ segment: OutgoingSegment, _ tuple: ConnectionTuple, _ options: TransportOptions,
        into effects: inout [TCPEffect]
    ) {
        shared.counters.segmentsOut += 1
        let bytes = segment.write(
            headroom: configuration.headroom, local: tuple.local, remote: tuple.remote, stream: TransmitStream(), offset: 0,
            count: 0, signature: MD5Signature(key: options.md5Key))
        effects.append(
            .transmit(
                TCPTransmission(
                    interface: tuple.interface, local: tuple.local, remote: tuple.remote, hopLimit: options.hopLimit,
                    dscp: options.dscp, bytes: bytes)))
    }

    // MARK: ICMP

    /// RFC 5927: an ICMP error must quote a sequence number in flight, and then still ends no established connection.
    mutating func unreachable(_ error: ICMPError, at now: Instant, into effects: inout [TCPEffect]) {
        let key = FlowKey(
            local: error.local, localPort: error.localPort, remote: error.remote, remotePort: error.remotePort,
            interface: error.interface)
        guard let flow = flows[key], flow >= 0, connections[Int(flow)]!.isInFlight(error.sequence) else {
            shared.counters.droppedICMP += 1
            return
        }
        let slot = Int(flow)
        switch error.kind {
        case .unreachable, .refused:
            shared.counters.softErrors += 1
            connections[slot]!.softErrors += 1
            // RFC 9293 §3.9.2.2: a soft error ends nothing (MUST-56); if the connect fails in the end, it says why. A hard one
            // ends a connect; RFC 5927 §5.2 has it end nothing that is established.
            if error.kind == .refused, connections[slot]!.state == .synSent {
                connections[slot]!.end(.unreachable, &shared, &effects)
            }
        case .packetTooBig(let mtu):
            if connections[slot]!.reducePath(mtu: mtu) { enqueue(slot) } else { shared.counters.droppedICMP += 1 }
        }
        settle(slot, at: now)
    }

    mutating func neighborUnreachable(
        _ interface: InterfaceID, _ address: IPAddress, at now: Instant, into effects: inout [TCPEffect]
    ) {
        for slot in connections.indices {
            guard let connection = connections[slot], connection.state == .synSent,
                connection.identity.tuple.interface == interface, connection.identity.tuple.remote == address
            else { continue }
            connections[slot]!.end(.unreachable, &shared, &effects)
            settle(slot, at: now)
        }
    }
}
