import Machine
import Records
import Wire

/// ARP (RFC 826) with address conflict detection (RFC 5227), and Neighbor Discovery (RFC 4861) beside it.
extension LineCard {
    mutating func receiveARP(
        _ bytes: RawSpan, _ ethernet: EthernetHeader, on i: Int, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        let packet: ARPPacket
        do { packet = try ARPPacket(bytes) } catch { return drop(.malformedARP) }
        counters.arpIn += 1
        let mac = interfaces[i].mac
        // Our own words, repeated by somebody (a loop, or the twin's probe): neither a neighbour nor a conflict.
        guard packet.senderMAC != mac else { return drop(.ownSource) }
        if interfaces[i].index(of: .v4(packet.sender)) != nil {
            return conflict(.v4(packet.sender), packet.senderMAC, on: i, at: now, into: &effects)
        }
        let isForUs = interfaces[i].index(of: .v4(packet.target)) != nil
        if packet.isProbe {
            // RFC 5227 §2.1.1: somebody wants to know whether the address is free. It is not.
            guard isForUs else { return }
            guard mayAnswer(.v4(packet.sender), packet.senderMAC, on: i, at: now) else { return drop(.rateLimited) }
            return answerARP(packet, on: i, into: &effects)
        }
        switch packet.operation {
        case .request:
            // Before it is learned: by asking nobody becomes one that we know.
            var isAdmitted = true
            if isForUs { isAdmitted = mayAnswer(.v4(packet.sender), packet.senderMAC, on: i, at: now) }
            // RFC 826: who asks us will want an answer to what it sends next, so its address is worth an entry.
            // A gratuitous one updates what we have.
            learn(
                .v4(packet.sender), packet.senderMAC, on: i, .claim, create: isForUs, at: now, into: &effects)
            guard isAdmitted else { return drop(.rateLimited) }
            if isForUs { answerARP(packet, on: i, into: &effects) }
        case .reply:
            learn(.v4(packet.sender), packet.senderMAC, on: i, .answer, create: false, at: now, into: &effects)
        }
    }

    private mutating func answerARP(_ packet: ARPPacket, on i: Int, into effects: inout [LineCardEffect]) {
        sendARP(
            .init(
                operation: .reply, senderMAC: interfaces[i].mac, sender: packet.target, targetMAC: packet.senderMAC,
                target: packet.sender),
            to: packet.senderMAC, on: i, into: &effects)
    }

    /// Whether an answer may go out: neighbours that we send to have a bucket of their own. (That somebody asked us makes
    /// an entry in the cache, too, but no neighbour that anything depends on.)
    mutating func mayAnswer(_ address: IPAddress, _ mac: MACAddress, on i: Int, at now: Instant) -> Bool {
        let slot = neighbors.slot(of: NeighborCache.Key(interface: interfaces[i].id, address: address))
        if let slot, neighbors.entries[slot].isUsed, neighbors.entries[slot].mac == mac {
            return interfaces[i].knownAnswers.take(at: now)
        }
        return interfaces[i].otherAnswers.take(at: now)
    }

    /// Where a neighbour is, if it has said so.
    private func knownMAC(_ address: IPAddress, on i: Int) -> MACAddress? {
        guard let slot = neighbors.slot(of: NeighborCache.Key(interface: interfaces[i].id, address: address)),
            neighbors.entries[slot].state != .free, neighbors.entries[slot].state != .incomplete
        else { return nil }
        return neighbors.entries[slot].mac
    }

    mutating func sendARP(
        _ packet: ARPPacket, to destination: MACAddress, from source: MACAddress? = nil, on i: Int,
        into effects: inout [LineCardEffect]
    ) {
        var w = ByteWriter(capacity: EthernetHeader.taggedLength + ARPPacket.length)
        EthernetHeader(
            destination: destination, source: source ?? interfaces[i].mac, vlan: interfaces[i].vlan, type: EtherType.arp
        ).write(to: &w)
        packet.write(to: &w)
        put(w.bytes, on: i, into: &effects)
    }

    // MARK: Neighbor Discovery

    mutating func receiveNeighborMessage(
        _ message: NeighborMessage, _ source: IPv6Address, _ destination: IPv6Address, _ origin: PacketOrigin,
        at now: Instant, into effects: inout [LineCardEffect]
    ) {
        let i = origin.interface
        switch message {
        case .solicitation(let target, let link):
            guard interfaces[i].index(of: .v6(target)) != nil else { return drop(.otherDestination) }
            // RFC 4861 §7.1.1: from the unspecified address only to a solicited-node group and without the option.
            // It is somebody's duplicate address detection (RFC 4862 §5.4.3): the answer goes to all.
            if source == .any {
                guard link == nil, destination == target.solicitedNode else { return drop(.malformedICMP) }
                guard mayAnswer(.v6(source), origin.sourceMAC, on: i, at: now) else { return drop(.rateLimited) }
                return sendNeighborMessage(
                    .advertisement(target: target, link: interfaces[i].mac, flags: [.router, .override]), from: target,
                    to: .allNodes, mac: IPv6Address.allNodes.multicastMAC, on: i, into: &effects)
            }
            guard mayAnswer(.v6(source), link ?? origin.sourceMAC, on: i, at: now) else { return drop(.rateLimited) }
            // RFC 4861 §7.2.3, §7.2.4.
            if let link { learn(.v6(source), link, on: i, .claim, create: true, at: now, into: &effects) }
            sendNeighborMessage(
                .advertisement(target: target, link: interfaces[i].mac, flags: [.router, .solicited, .override]),
                from: target, to: source, mac: link ?? origin.sourceMAC, on: i, into: &effects)
        case .advertisement(let target, let link, let flags):
            // RFC 4861 §7.1.2: a solicited one is never multicast.
            guard !(destination.isMulticast && flags.contains(.solicited)) else { return drop(.malformedICMP) }
            if interfaces[i].index(of: .v6(target)) != nil {
                let mac = link ?? origin.sourceMAC
                guard mac != interfaces[i].mac else { return drop(.ownSource) }
                return conflict(.v6(target), mac, on: i, at: now, into: &effects)
            }
            // RFC 4861 §7.2.5: without the option it says no address, and the frame's need not be the target's. It may
            // confirm one that is known.
            guard let mac = link ?? knownMAC(.v6(target), on: i) else { return drop(.malformedICMP) }
            if link == nil, !flags.contains(.solicited) { return }
            // Never makes an entry.
            let evidence: Evidence =
                flags.contains(.override) ? (flags.contains(.solicited) ? .answer : .claim) : .hint
            learn(.v6(target), mac, on: i, evidence, create: false, at: now, into: &effects)
        }
    }

    mutating func sendNeighborMessage(
        _ message: NeighborMessage, from source: IPv6Address, to destination: IPv6Address, mac: MACAddress,
        sourceMAC: MACAddress? = nil, on i: Int, into effects: inout [LineCardEffect]
    ) {
        var body = ByteWriter(capacity: 32)
        message.write(to: &body)
        sendICMPv6(
            &body, from: source, to: destination, mac: mac, sourceMAC: sourceMAC ?? interfaces[i].mac, hopLimit: 255,
            on: i, into: &effects)
    }

    /// A link-scope ICMPv6 message, with its checksum filled in; `routerAlert` puts RFC 2711's option in front.
    private mutating func sendICMPv6(
        _ body: inout ByteWriter, from source: IPv6Address, to destination: IPv6Address, mac: MACAddress,
        sourceMAC: MACAddress, hopLimit: UInt8, routerAlert: Bool = false, on i: Int,
        into effects: inout [LineCardEffect]
    ) {
        var checksum = InternetChecksum(
            from: source, to: destination, protocolNumber: ICMPv6.protocolNumber, length: body.count)
        checksum.add(body.bytes.span.bytes)
        body.patch16(2, checksum.value)
        let alert = routerAlert ? 8 : 0
        var w = ByteWriter(capacity: EthernetHeader.taggedLength + IPv6Header.length + alert + body.count)
        EthernetHeader(
            destination: mac, source: sourceMAC, vlan: interfaces[i].vlan, type: EtherType.ipv6
        ).write(to: &w)
        // DSCP CS6 like everything that keeps a router reachable.
        IPv6Header(
            source: source, destination: destination,
            nextHeader: routerAlert ? ExtensionHeader.hopByHop : ICMPv6.protocolNumber, hopLimit: hopLimit,
            trafficClass: 48 << 2
        ).write(to: &w, payloadLength: alert + body.count)
        if routerAlert {
            w.u8(ICMPv6.protocolNumber)
            w.u8(0)
            w.u32(0x0502_0000)  // router alert with value 0: MLD
            w.u16(0x0100)  // PadN of two octets
        }
        w.append(body.bytes)
        put(w.bytes, on: i, into: &effects)
    }

    /// RFC 3810 §5.2: one report with all our solicited-node groups and those that are subscribed to, so that a snooping
    /// switch lets questions and hellos through.
    mutating func reportGroups(on i: Int, into effects: inout [LineCardEffect]) {
        var groups: [IPv6Address] = []
        for own in interfaces[i].addresses {
            guard case .v6(let a) = own.address, !groups.contains(a.solicitedNode) else { continue }
            groups.append(a.solicitedNode)
        }
        groups += interfaces[i].ipv6Groups
        let room = (interfaces[i].mtu - IPv6Header.length - 16) / 20
        var body = ByteWriter(capacity: 8 + 20 * groups.count)
        body.u8(ICMPv6.listenerReport)
        body.u8(0)
        body.u16(0)
        body.u16(0)
        body.u16(UInt16(min(groups.count, room)))
        for group in groups.prefix(room) {
            // RFC 3810 §5.2.12: MODE_IS_EXCLUDE with no sources, "everything sent to it".
            body.u8(2)
            body.u8(0)
            body.u16(0)
            body.ipv6(group)
        }
        sendICMPv6(
            &body, from: interfaces[i].linkLocal, to: .allMLDv2Routers,
            mac: IPv6Address.allMLDv2Routers.multicastMAC, sourceMAC: interfaces[i].mac, hopLimit: 1, routerAlert: true,
            on: i, into: &effects)
    }
}
