import BFD
import Machine
import Records
import Wire

/// BFD over UDP: RFC 5881 §4 and RFC 5883 §5.
extension LineCard {
    mutating func changeBFD(_ list: [BFDSessionChange], at now: Instant, into effects: inout [LineCardEffect]) {
        for change in list { bfd.apply(change, at: now, into: &bfdEffects) }
        // A new session speaks at once.
        fireBFD(at: now, into: &effects)
    }

    mutating func fireBFD(at now: Instant, into effects: inout [LineCardEffect]) {
        if let next = bfd.nextDeadline, next <= now { bfd.fire(at: now, into: &bfdEffects) }
        drainBFD(at: now, into: &effects)
    }

    /// `datagram` is as long as the UDP length says.
    mutating func receiveBFD(
        _ datagram: RawSpan, _ header: UDPHeader, _ origin: PacketOrigin, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        let isGroup =
            switch origin.destination {
            case .v4(let address): address.isMulticast || interfaces[origin.captured].isBroadcast(address)
            case .v6(let address): address.isMulticast
            }
        guard !isGroup,
            UDPHeader.isValid(datagram, checksum: header.checksum, from: origin.source, to: origin.destination)
        else { return bfd.drop(.notUnicast) }
        bfd.receive(
            datagram.extracting(droppingFirst: UDPHeader.length), from: origin.source, to: origin.destination,
            on: interfaces[origin.captured].id, isMultihop: header.destinationPort == BFDPort.multihop,
            hopLimit: origin.hopLimit, at: now, into: &bfdEffects)
        drainBFD(at: now, into: &effects)
    }

    private mutating func drainBFD(at now: Instant, into effects: inout [LineCardEffect]) {
        guard !bfdEffects.isEmpty else { return }
        var list: [BFDEffect] = []
        swap(&list, &bfdEffects)
        for effect in list {
            switch effect {
            case .transmit(let transmission): transmit(transmission, at: now, into: &effects)
            case .report(let report):
                unlogged.append(isTCP: false)
                effects.append(.record(.bfd(report)))
            }
        }
        // Kept for its capacity.
        list.removeAll(keepingCapacity: true)
        if bfdEffects.isEmpty { swap(&list, &bfdEffects) }
    }

    private mutating func transmit(
        _ transmission: BFDTransmission, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        let peer = transmission.peer
        let i: Int, nextHop: IPAddress
        if let interface = peer.interface {
            i = Int(interface.value)
            nextHop = peer.remote
            guard i < interfaces.count, !interfaces[i].isLoopback else {
                counters.unroutable += 1
                return
            }
        } else {
            let home = interfaces.firstIndex { $0.index(of: peer.local) != nil }
            guard let route = route(to: peer.remote, home: home) else {
                counters.unroutable += 1
                return
            }
            (i, nextHop) = route
        }
        let datagram = UDPHeader.datagram(
            transmission.bytes, from: peer.local, transmission.sourcePort, to: peer.remote,
            peer.interface == nil ? BFDPort.multihop : BFDPort.singleHop)
        guard !datagram.isEmpty else {
            counters.unroutable += 1
            return
        }
        sendDatagram(
            datagram, protocolNumber: UpperLayer.udp, from: peer.local, to: peer.remote, hopLimit: 255,
            trafficClass: Self.networkControl, on: i, delivery: .neighbor(nextHop), at: now, into: &effects)
    }
}
