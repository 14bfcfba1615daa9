import BFD
import Machine
import Records
import Wire

/// Packets that are not TCP, whole: what is wanted becomes a record, what the engine sends becomes frames.
///
/// A subscription says what a packet's headers must look like and which groups it may go to; the line card knows no protocol
/// by name. It looks at frame, IP header, UDP checksum and destination, and at nothing of what follows. IPv4 groups get no
/// IGMP: those of routing protocols lie in 224.0.0.0/24, which every switch must flood (RFC 4541 §2.1.2 (2)) and no router
/// forwards. IPv6 has no such block, so MLD reports ours (RFC 3810, `reportGroups`).
extension LineCard {
    /// DSCP CS6, "network control" (RFC 4594 §3.2), without which a full link loses hellos first.
    static let networkControl: UInt8 = 48 << 2

    // MARK: what is wanted

    mutating func subscribe(to list: [PacketSubscription], into effects: inout [LineCardEffect]) {
        subscriptions = list
        let before = interfaces.map(\.ipv6Groups)
        noteSubscriptions()
        for i in interfaces.indices where !interfaces[i].isLoopback && isUp(interfaces[i].id) {
            // Not left to the next query: a snooping switch would keep the first hellos from us until then.
            if interfaces[i].ipv6Groups.contains(where: { !before[i].contains($0) }) { reportGroups(on: i, into: &effects) }
        }
    }

    mutating func noteSubscriptions() {
        for i in interfaces.indices { interfaces[i].want(subscriptions.filter { Int($0.interface.value) == i }) }
    }

    /// Whether an IPv4 group or broadcast address is one of something wanted, for packets of this IP protocol only.
    func isMember(of group: IPv4Address, protocolNumber: UInt8, on i: Int) -> Bool {
        for entry in interfaces[i].wanted {
            switch entry.packetProtocol {
            case .ip(.ipv4, number: protocolNumber): break
            // Everybody else's broadcasts end at the port.
            case .udp(.ipv4, port: _) where protocolNumber == UpperLayer.udp: break
            default: continue
            }
            if entry.groups.contains(.ip(.v4(group))) { return true }
            if !group.isMulticast, entry.groups.contains(.ip(.v4(.broadcast))) { return true }
        }
        return false
    }

    // MARK: receive

    mutating func receiveIP(
        _ protocolNumber: UInt8, _ payload: RawSpan, _ quoted: RawSpan, _ origin: PacketOrigin, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        let number = PacketProtocol.ip(origin.source.family, number: protocolNumber)
        guard interfaces[origin.captured].wants(number) else {
            drop(.notSubscribed)
            return sendUnreachable(protocolNumber, about: quoted, origin, at: now, into: &effects)
        }
        record(
            number, payload, from: .ip(origin.source), to: .ip(origin.destination), hopLimit: origin.hopLimit,
            on: origin.captured, at: now, into: &effects)
    }

    mutating func receiveUDP(
        _ datagram: RawSpan, _ quoted: RawSpan, _ origin: PacketOrigin, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        var r = ByteReader(datagram)
        do {
            let header = try UDPHeader(from: &r)
            let whole = datagram.extracting(first: UDPHeader.length + header.payloadLength)
            if bfd.isInUse, header.destinationPort == BFDPort.singleHop || header.destinationPort == BFDPort.multihop {
                return receiveBFD(whole, header, origin, at: now, into: &effects)
            }
            let number = PacketProtocol.udp(origin.source.family, port: header.destinationPort)
            guard interfaces[origin.captured].wants(number) else {
                drop(.unknownProtocol)
                return sendUnreachable(UpperLayer.udp, about: quoted, origin, at: now, into: &effects)
            }
            guard UDPHeader.isValid(whole, checksum: header.checksum, from: origin.source, to: origin.destination) else {
                return drop(.malformedUDP)
            }
            record(
                number, whole.extracting(droppingFirst: UDPHeader.length), from: .ip(origin.source),
                to: .ip(origin.destination), sourcePort: header.sourcePort, hopLimit: origin.hopLimit,
                on: origin.captured, at: now, into: &effects)
        } catch {
            drop(.malformedUDP)
        }
    }

    /// IEEE 802.2 behind a length field (or behind the type that stands for a length too great for one): what runs beside IP.
    mutating func receiveLLC(
        _ frame: RawSpan, _ ethernet: EthernetHeader, on i: Int, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        var r = ByteReader(frame)
        do {
            let number = PacketProtocol.llc(try r.u24("LLC header"))
            // Ethernet pads short frames; the length says where the PDU ends.
            let length = ethernet.type == EtherType.longLLC ? frame.byteCount : Int(ethernet.type)
            guard length >= LLC.length, length <= frame.byteCount else { return drop(.llc) }
            guard let entry = interfaces[i].wanted.first(where: { $0.packetProtocol == number }) else {
                return drop(.notSubscribed)
            }
            guard !ethernet.destination.isGroup || entry.groups.contains(.station(ethernet.destination)) else {
                return drop(.otherDestination)
            }
            record(
                number, frame.extracting(LLC.length..<length), from: .station(ethernet.source),
                to: .station(ethernet.destination), hopLimit: 255, on: i, at: now, into: &effects)
        } catch {
            drop(.llc)
        }
    }

    private mutating func record(
        _ number: PacketProtocol, _ payload: RawSpan, from source: PacketAddress, to destination: PacketAddress,
        sourcePort: UInt16 = 0, hopLimit: UInt8, on i: Int, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        guard payload.byteCount <= RecordLimits.packetOctets else { return drop(.packetTooLong) }
        guard interfaces[i].admits(number, at: now) else { return drop(.flood) }
        counters.packetsIn[number] += 1
        unlogged.append(isTCP: false)
        effects.append(
            .record(
                .packetReceived(
                    ReceivedPacket(
                        interface: interfaces[i].id, packetProtocol: number, source: source, destination: destination,
                        sourcePort: sourcePort, hopLimit: hopLimit, bytes: [UInt8](copying: payload)))))
    }

    // MARK: send

    mutating func send(_ packet: OutgoingPacket, at now: Instant, into effects: inout [LineCardEffect]) {
        let i = Int(packet.interface.value)
        guard i < interfaces.count, !interfaces[i].isLoopback else {
            counters.unroutable += 1
            return
        }
        if case .llc(let header) = packet.packetProtocol { return sendLLC(packet, header, on: i, into: &effects) }
        guard let source = packet.source.ip, let destination = packet.destination.ip,
            let delivery = delivery(to: destination, on: i)
        else {
            counters.unroutable += 1
            return
        }
        let protocolNumber: UInt8
        var payload = packet.bytes
        switch packet.packetProtocol {
        case .ip(_, let number): protocolNumber = number
        case .udp(_, let port):
            protocolNumber = UpperLayer.udp
            payload = UDPHeader.datagram(
                payload, from: source, port, to: destination, packet.destinationPort == 0 ? port : packet.destinationPort)
        case .llc: return
        }
        guard !payload.isEmpty, source.family == destination.family, payload.count <= 0xffff - IPv4Header.length else {
            counters.unroutable += 1
            return
        }
        counters.packetsOut[packet.packetProtocol] += 1
        sendDatagram(
            payload, protocolNumber: protocolNumber, from: source, to: destination, hopLimit: packet.hopLimit,
            trafficClass: Self.networkControl, on: i, delivery: delivery, at: now, into: &effects)
    }

    /// A neighbour's address is resolved on this interface, whatever its prefixes say: a link-local or unnumbered
    /// neighbour is on no connected network.
    private func delivery(to destination: IPAddress, on i: Int) -> Delivery? {
        switch destination {
        case .v4(let address):
            if address.isMulticast { return .group(address.multicastMAC) }
            if interfaces[i].isBroadcast(address) { return .group(.broadcast) }
            return address == .any ? nil : .neighbor(destination)
        case .v6(let address):
            if address.isMulticast { return .group(address.multicastMAC) }
            return address == .any ? nil : .neighbor(destination)
        }
    }

    private mutating func sendLLC(
        _ packet: OutgoingPacket, _ header: UInt32, on i: Int, into effects: inout [LineCardEffect]
    ) {
        let length = LLC.length + packet.bytes.count
        guard let destination = packet.destination.station, length <= interfaces[i].mtu else {
            counters.unroutable += 1
            return
        }
        var w = ByteWriter(capacity: EthernetHeader.taggedLength + length)
        EthernetHeader(
            destination: destination, source: packet.source.station ?? interfaces[i].mac, vlan: interfaces[i].vlan,
            type: length < Int(EtherType.minimum) ? UInt16(length) : EtherType.longLLC
        ).write(to: &w)
        w.u24(header)
        w.append(packet.bytes)
        counters.packetsOut[packet.packetProtocol] += 1
        put(w.bytes, on: i, into: &effects)
    }
}

/// IEEE 802.2 with a control field of one octet.
enum LLC {
    static let length = 3
}

extension IPv4Address {
    /// RFC 1112 §6.4: 01-00-5E and the last 23 bits.
    var multicastMAC: MACAddress { MACAddress(raw: 0x0100_5e00_0000 | UInt64(raw & 0x7f_ffff)) }
}
