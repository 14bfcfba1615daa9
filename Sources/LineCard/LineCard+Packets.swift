import BFD
import Machine
import Records
import Wire

/// Packets of routing protocols, whole: what is wanted becomes a record, what the engine sends becomes frames.
///
/// The line card looks at frame, IP header, UDP checksum and destination, and at nothing of the protocol. IPv4 groups
/// need no IGMP: all that are wanted lie in 224.0.0.0/24, which every switch must flood (RFC 4541 §2.1.2 (2)) and no
/// router forwards. IPv6 has no such block, so MLD reports ours (RFC 3810, `reportGroups`).
extension LineCard {
    /// DSCP CS6, "network control" (RFC 4594 §3.2), without which a full link loses hellos first.
    static let networkControl: UInt8 = 48 << 2

    // MARK: what is wanted

    mutating func subscribe(to list: [PacketSubscription], into effects: inout [LineCardEffect]) {
        subscriptions = list
        let before = interfaces.map(\.wanted)
        noteSubscriptions()
        for i in interfaces.indices {
            let joined = interfaces[i].wanted.subtracting(before[i])
            // Not left to the next query: a snooping switch would keep the first hellos from us until then.
            if joined.contains(.ospfv3) || joined.contains(.ripng), !interfaces[i].isLoopback, isUp(interfaces[i].id) {
                reportGroups(on: i, into: &effects)
            }
        }
    }

    mutating func noteSubscriptions() {
        for i in interfaces.indices { interfaces[i].wanted = PacketProtocolSet() }
        for subscription in subscriptions where Int(subscription.interface.value) < interfaces.count {
            interfaces[Int(subscription.interface.value)].wanted.insert(subscription.packetProtocol)
        }
    }

    /// Whether an IPv4 group or broadcast address is one of a wanted protocol, for that protocol's packets only.
    func isMember(of group: IPv4Address, protocolNumber: UInt8, on i: Int) -> Bool {
        switch protocolNumber {
        case UpperLayer.ospf:
            // RFC 2328 §A.1
            return (group == .allSPFRouters || group == .allDRouters) && interfaces[i].wanted.contains(.ospfv2)
        case UpperLayer.udp:
            // RFC 2453 §4.6, §3.6; RIP-1 knows only broadcast. Everybody else's broadcasts end at the port.
            return (group == .allRIPRouters || !group.isMulticast) && interfaces[i].wanted.contains(.rip)
        default:
            return false
        }
    }

    // MARK: receive

    mutating func receiveOSPF(
        _ number: PacketProtocol, _ payload: RawSpan, _ quoted: RawSpan, _ origin: PacketOrigin, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        guard interfaces[origin.captured].wanted.contains(number) else {
            drop(.notSubscribed)
            return sendUnreachable(UpperLayer.ospf, about: quoted, origin, at: now, into: &effects)
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
            let number: PacketProtocol
            switch (header.destinationPort, origin.source.family) {
            case (PacketProtocol.ripPort, .ipv4): number = .rip
            case (PacketProtocol.ripngPort, .ipv6): number = .ripng
            case (BFDPort.singleHop, _) where bfd.isInUse, (BFDPort.multihop, _) where bfd.isInUse:
                return receiveBFD(whole, header, origin, at: now, into: &effects)
            default:
                drop(.unknownProtocol)
                return sendUnreachable(UpperLayer.udp, about: quoted, origin, at: now, into: &effects)
            }
            guard interfaces[origin.captured].wanted.contains(number) else {
                drop(.notSubscribed)
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

    /// IEEE 802.2 behind a length field (or behind the type that stands for a length too great for one): IS-IS, which
    /// runs beside IP.
    mutating func receiveLLC(
        _ frame: RawSpan, _ ethernet: EthernetHeader, on i: Int, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        var r = ByteReader(frame)
        do {
            guard try r.u24("LLC header") == LLC.isoNetworkLayer else { return drop(.llc) }
            // Ethernet pads short frames; the length says where the PDU ends.
            let length = ethernet.type == EtherType.longLLC ? frame.byteCount : Int(ethernet.type)
            guard length >= LLC.length, length <= frame.byteCount else { return drop(.llc) }
            guard !ethernet.destination.isGroup || LLC.groups.contains(ethernet.destination) else {
                return drop(.otherDestination)
            }
            guard interfaces[i].wanted.contains(.isis) else { return drop(.notSubscribed) }
            record(
                .isis, frame.extracting(LLC.length..<length), from: .station(ethernet.source),
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
        guard interfaces[i].floodGuards[PacketProtocolSet.position(number)].take(at: now) else { return drop(.flood) }
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
        if packet.packetProtocol == .isis { return sendLLC(packet, on: i, into: &effects) }
        guard let source = packet.source.ip, let destination = packet.destination.ip,
            let delivery = delivery(to: destination, on: i)
        else {
            counters.unroutable += 1
            return
        }
        var protocolNumber = UpperLayer.ospf
        var payload = packet.bytes
        switch packet.packetProtocol {
        case .ospfv2, .ospfv3, .isis: break
        case .rip, .ripng:
            protocolNumber = UpperLayer.udp
            let port = packet.packetProtocol == .rip ? PacketProtocol.ripPort : PacketProtocol.ripngPort
            payload = UDPHeader.datagram(
                payload, from: source, port, to: destination, packet.destinationPort == 0 ? port : packet.destinationPort)
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

    private mutating func sendLLC(_ packet: OutgoingPacket, on i: Int, into effects: inout [LineCardEffect]) {
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
        w.u24(LLC.isoNetworkLayer)
        w.append(packet.bytes)
        counters.packetsOut[.isis] += 1
        put(w.bytes, on: i, into: &effects)
    }
}

/// IEEE 802.2, as far as ISO 10589 §8.4.8 uses it.
enum LLC {
    static let length = 3
    /// DSAP and SSAP FE, unnumbered information.
    static let isoNetworkLayer: UInt32 = 0xfefe03
    /// ISO 10589 Table 9: AllL1ISs, AllL2ISs, AllIntermediateSystems, AllEndSystems.
    static let groups = [
        MACAddress(raw: 0x0180_c200_0014), MACAddress(raw: 0x0180_c200_0015), MACAddress(raw: 0x0900_2b00_0005),
        MACAddress(raw: 0x0900_2b00_0004),
    ]
}

extension PacketProtocol {
    /// RFC 2453 §3.6
    static let ripPort: UInt16 = 520
    /// RFC 2080 §2
    static let ripngPort: UInt16 = 521
}

extension IPv4Address {
    /// RFC 2328 §A.1
    static let allSPFRouters = IPv4Address(224, 0, 0, 5)
    static let allDRouters = IPv4Address(224, 0, 0, 6)
    /// RFC 2453 §4.6
    static let allRIPRouters = IPv4Address(224, 0, 0, 9)
    /// RFC 1112 §6.4: 01-00-5E and the last 23 bits.
    var multicastMAC: MACAddress { MACAddress(raw: 0x0100_5e00_0000 | UInt64(raw & 0x7f_ffff)) }
}
