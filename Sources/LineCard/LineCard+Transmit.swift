import Machine
import Records
import TCP
import Wire

/// A segment's way out: route, headers in front of it, neighbour, frame.
extension LineCard {
    /// By which interface and to which neighbour a packet for `remote` goes. `home` is the interface to which the
    /// connection belongs.
    func route(to remote: IPAddress, home: Int?) -> (interface: Int, nextHop: IPAddress)? {
        if case .v6(let a) = remote, a.isLinkLocal { return home.map { ($0, remote) } }
        if let home, interfaces[home].connectedLength(remote) >= 0 { return (home, remote) }
        if let i = connectedInterface(remote) { return (i, remote) }
        for gateway in gateways where gateway.prefix.contains(remote) {
            if case .v6(let a) = gateway.nextHop, a.isLinkLocal {
                if let home { return (home, gateway.nextHop) }
            } else if let i = connectedInterface(gateway.nextHop) {
                return (i, gateway.nextHop)
            }
        }
        return nil
    }

    private func connectedInterface(_ address: IPAddress) -> Int? {
        var best = -1
        var found: Int? = nil
        for i in interfaces.indices {
            let length = interfaces[i].connectedLength(address)
            if length > best { (best, found) = (length, i) }
        }
        return found
    }

    /// Wraps a TCP segment in place: the headroom of its octets, which come beside `t`, has room for every header of
    /// ours. No allocation on this way.
    mutating func transmit(
        _ t: TCPTransmission, _ bytes: consuming [UInt8], at now: Instant, into effects: inout [LineCardEffect]
    ) {
        let home = Int(t.interface.value)
        guard let (i, nextHop) = route(to: t.remote, home: home < interfaces.count ? home : nil) else {
            counters.unroutable += 1
            return
        }
        let mac = interfaces[i].mac, vlan = interfaces[i].vlan
        let headroom = tcp.configuration.headroom
        let segmentLength = bytes.count - headroom
        // The scratch is taken, not copied, so that it has one owner while it is written.
        var header = ByteWriter()
        swap(&header.bytes, &headerScratch)
        header.bytes.removeAll(keepingCapacity: true)
        switch (t.local, t.remote) {
        case (.v4(let local), .v4(let remote)):
            EthernetHeader(destination: MACAddress(raw: 0), source: mac, vlan: vlan, type: EtherType.ipv4)
                .write(to: &header)
            // DF, so that a path's MTU is learnt (RFC 1191) and the identification may stay 0 (RFC 6864 §4.1).
            IPv4Header(
                source: local, destination: remote, protocolNumber: UpperLayer.tcp, hopLimit: t.hopLimit,
                trafficClass: t.dscp << 2
            ).write(to: &header, payloadLength: segmentLength)
        case (.v6(let local), .v6(let remote)):
            EthernetHeader(destination: MACAddress(raw: 0), source: mac, vlan: vlan, type: EtherType.ipv6)
                .write(to: &header)
            IPv6Header(
                source: local, destination: remote, nextHeader: UpperLayer.tcp, hopLimit: t.hopLimit,
                trafficClass: t.dscp << 2
            ).write(to: &header, payloadLength: segmentLength)
        default:
            preconditionFailure("both ends of a connection are of one family")
        }
        let start = headroom - header.count
        precondition(start >= 0, "the headroom holds an Ethernet header with a tag and an IPv6 header")
        bytes.replaceSubrange(0..<headroom, with: header.bytes)
        swap(&header.bytes, &headerScratch)
        send(bytes, on: i, to: nextHop, for: t.remote, owner: t.interface, at: now, into: &effects)
    }

    /// A frame that is complete: counted and gone.
    mutating func put(_ frame: [UInt8], on i: Int, into effects: inout [LineCardEffect]) {
        guard isUp(interfaces[i].id), !interfaces[i].isLoopback else {
            counters.linkDown += 1
            return
        }
        counters.framesOut += 1
        counters.octetsOut += UInt64(frame.count)
        effects.append(.transmit(interfaces[i].id, frame))
    }

    /// Where the frames of a datagram go.
    enum Delivery {
        /// To a neighbour that ARP or ND finds.
        case neighbor(IPAddress)
        /// The same, to somebody who asked us.
        case answer(IPAddress)
        /// To a group, or to everybody.
        case group(MACAddress)
    }

    /// Sends an upper layer's octets from one of our addresses by the best route. Only for what we answer; TCP keeps
    /// below the MTU by itself.
    mutating func sendDatagram(
        _ payload: [UInt8], protocolNumber: UInt8, from local: IPAddress, to remote: IPAddress, home: Int,
        at now: Instant, into effects: inout [LineCardEffect]
    ) {
        guard let (i, nextHop) = route(to: remote, home: home) else {
            counters.unroutable += 1
            return
        }
        sendDatagram(
            payload, protocolNumber: protocolNumber, from: local, to: remote, hopLimit: 64, on: i,
            delivery: .answer(nextHop), at: now, into: &effects)
    }

    /// Sends an upper layer's octets on an interface, in fragments when they are longer than its MTU.
    mutating func sendDatagram(
        _ payload: [UInt8], protocolNumber: UInt8, from local: IPAddress, to remote: IPAddress, hopLimit: UInt8,
        trafficClass: UInt8 = 0, on i: Int, delivery: Delivery, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        let mac = interfaces[i].mac, vlan = interfaces[i].vlan, mtu = interfaces[i].mtu
        var station = MACAddress(raw: 0)
        if case .group(let group) = delivery { station = group }
        switch (local, remote) {
        case (.v4(let source), .v4(let destination)):
            var header = IPv4Header(
                source: source, destination: destination, protocolNumber: protocolNumber, hopLimit: hopLimit,
                trafficClass: trafficClass)
            header.mayFragment = true
            identification &+= 1
            header.identification = UInt16(truncatingIfNeeded: identification)
            let room = (mtu - IPv4Header.length) & ~7
            var offset = 0
            repeat {
                let whole = offset == 0 && payload.count <= mtu - IPv4Header.length
                let count = whole ? payload.count : min(room, payload.count - offset)
                header.fragmentOffset = offset
                header.moreFragments = offset + count < payload.count
                var w = ByteWriter(capacity: EthernetHeader.taggedLength + IPv4Header.length + count)
                EthernetHeader(destination: station, source: mac, vlan: vlan, type: EtherType.ipv4).write(to: &w)
                header.write(to: &w, payloadLength: count)
                w.append(payload[offset..<(offset + count)])
                deliver(w.bytes, delivery, on: i, for: remote, at: now, into: &effects)
                offset += count
            } while offset < payload.count
        case (.v6(let source), .v6(let destination)):
            var header = IPv6Header(
                source: source, destination: destination, nextHeader: protocolNumber, hopLimit: hopLimit,
                trafficClass: trafficClass)
            let fits = payload.count <= mtu - IPv6Header.length
            if !fits {
                header.nextHeader = ExtensionHeader.fragment
                identification &+= 1
            }
            let room = (mtu - IPv6Header.length - 8) & ~7
            var offset = 0
            repeat {
                let count = fits ? payload.count : min(room, payload.count - offset)
                var w = ByteWriter(capacity: EthernetHeader.taggedLength + IPv6Header.length + 8 + count)
                EthernetHeader(destination: station, source: mac, vlan: vlan, type: EtherType.ipv6).write(to: &w)
                header.write(to: &w, payloadLength: count + (fits ? 0 : 8))
                if !fits {
                    w.u8(protocolNumber)
                    w.u8(0)
                    w.u16(UInt16(offset) | (offset + count < payload.count ? 1 : 0))
                    w.u32(identification)
                }
                w.append(payload[offset..<(offset + count)])
                deliver(w.bytes, delivery, on: i, for: remote, at: now, into: &effects)
                offset += count
            } while offset < payload.count
        default:
            counters.unroutable += 1
        }
    }

    private mutating func deliver(
        _ frame: consuming [UInt8], _ delivery: Delivery, on i: Int, for remote: IPAddress, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        switch delivery {
        case .neighbor(let nextHop):
            send(frame, on: i, to: nextHop, for: remote, owner: interfaces[i].id, at: now, into: &effects)
        case .answer(let nextHop):
            send(
                frame, on: i, to: nextHop, for: remote, owner: interfaces[i].id, isAnswer: true, at: now, into: &effects)
        case .group:
            put(frame, on: i, into: &effects)
        }
    }
}
