import Machine
import Records
import TCP
import Wire

/// Where a packet came from, for the layers above.
struct PacketOrigin {
    /// Position of the interface that has the destination address; that which captured it for a group.
    var interface: Int
    /// Position of the interface that captured it.
    var captured: Int
    var sourceMAC: MACAddress
    var source: IPAddress
    var destination: IPAddress
    var hopLimit: UInt8
    /// RFC 6980: Neighbor Discovery never comes in fragments.
    var wasFragmented = false
}

/// A frame's way in.
extension LineCard {
    /// Takes a captured frame: Ethernet without FCS, whole, at most a super-frame of some 65,600 octets.
    public mutating func receive(
        _ frame: RawSpan, on id: InterfaceID, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        counters.framesIn += 1
        counters.octetsIn += UInt64(frame.byteCount)
        guard mode != .silent else { return drop(.silent) }
        let i = Int(id.value)
        guard i < interfaces.count else { return drop(.unknownInterface) }
        var r = ByteReader(frame)
        do {
            let header = try EthernetHeader(from: &r)
            let mac = interfaces[i].mac
            guard
                header.destination == mac || header.destination.isGroup
                    || mode == .probing && header.destination == probe?.mac
            else { return drop(.otherStation) }
            guard header.source != mac else { return drop(.ownSource) }
            guard !header.source.isGroup else { return drop(.malformedEthernet) }
            guard header.vlan == interfaces[i].vlan else { return drop(.wrongVLAN) }
            if header.type < EtherType.minimum || header.type == EtherType.longLLC {
                guard mode == .speaking else { return drop(.silent) }
                return receiveLLC(try r.span(r.remaining, "LLC frame"), header, on: i, at: now, into: &effects)
            }
            let payload = try r.span(r.remaining, "Ethernet payload")
            if mode == .probing {
                return probeReceive(payload, header, on: i)
            }
            switch header.type {
            case EtherType.ipv4: receiveIPv4(payload, header, on: i, at: now, into: &effects)
            case EtherType.ipv6: receiveIPv6(payload, header, on: i, at: now, into: &effects)
            case EtherType.arp: receiveARP(payload, header, on: i, at: now, into: &effects)
            default: drop(.unknownType)
            }
        } catch {
            drop(.malformedEthernet)
        }
    }

    mutating func drop(_ reason: DropReason) { counters[reason] += 1 }

    /// The interface that has this address of ours: the one that captured the packet if it does, else any.
    func home(of address: IPAddress, capturedOn i: Int) -> Int? {
        if interfaces[i].index(of: address) != nil { return i }
        // A link-local address means something on its own link only.
        if case .v6(let a) = address, a.isLinkLocal { return nil }
        for j in interfaces.indices where j != i && interfaces[j].index(of: address) != nil { return j }
        return nil
    }

    // MARK: IPv4

    private mutating func receiveIPv4(
        _ packet: RawSpan, _ ethernet: EthernetHeader, on i: Int, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        var r = ByteReader(packet)
        do {
            var length = 0
            let header = try IPv4Header(from: &r, payloadLength: &length)
            let source = header.source
            // RFC 1122 §3.2.1.3: these are never sources.
            guard !source.isMulticast, source.raw >> 24 != 0, !source.isLoopback, !interfaces[i].isBroadcast(source) else {
                return drop(.badSource)
            }
            if interfaces[i].index(of: .v4(source)) != nil {
                conflict(.v4(source), ethernet.source, on: i, at: now, into: &effects)
                return drop(.badSource)
            }
            let home: Int
            if header.destination.isMulticast || interfaces[i].isBroadcast(header.destination) {
                guard isMember(of: header.destination, protocolNumber: header.protocolNumber, on: i) else {
                    return drop(.otherDestination)
                }
                home = i
            } else {
                guard let found = self.home(of: .v4(header.destination), capturedOn: i) else {
                    return drop(.otherDestination)
                }
                guard !ethernet.destination.isGroup else { return drop(.groupFrame) }
                home = found
            }
            let headerLength = r.position
            let payload = try r.span(length, "IPv4 payload")
            var origin = PacketOrigin(
                interface: home, captured: i, sourceMAC: ethernet.source, source: .v4(source),
                destination: .v4(header.destination),
                hopLimit: header.hopLimit)
            guard header.isFragment else {
                let quoted = packet.extracting(0..<min(headerLength + 8, headerLength + length))
                return receiveUpper(header.protocolNumber, payload, quoted, origin, at: now, into: &effects)
            }
            counters.fragmentsIn += 1
            let key = Reassembly.Key(
                interface: interfaces[i].id, source: origin.source, destination: origin.destination,
                identification: UInt32(header.identification), protocolNumber: header.protocolNumber)
            let outcome = reassembly.add(
                key, offset: header.fragmentOffset, moreFragments: header.moreFragments,
                protocolNumber: header.protocolNumber, payload, at: now)
            afterFragment()
            switch outcome {
            case .waiting: return
            case .refused: return drop(.fragmentRefused)
            case .complete(let bytes, let number):
                counters.reassembled += 1
                origin.wasFragmented = true
                receiveUpper(number, bytes.span.bytes, RawSpan(), origin, at: now, into: &effects)
            }
        } catch {
            drop(.malformedIPv4)
        }
    }

    private mutating func afterFragment() {
        if let next = reassembly.nextDeadline {
            if !timers.isRunning(.reassembly) { timers.set(.reassembly, at: next) }
        } else {
            timers.cancel(.reassembly)
        }
    }

    // MARK: IPv6

    private mutating func receiveIPv6(
        _ packet: RawSpan, _ ethernet: EthernetHeader, on i: Int, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        var r = ByteReader(packet)
        do {
            var length = 0
            let header = try IPv6Header(from: &r, payloadLength: &length)
            guard !header.source.isMulticast, !header.source.isLoopback else { return drop(.badSource) }
            if interfaces[i].index(of: .v6(header.source)) != nil {
                conflict(.v6(header.source), ethernet.source, on: i, at: now, into: &effects)
                return drop(.badSource)
            }
            var origin = PacketOrigin(
                interface: i, captured: i, sourceMAC: ethernet.source, source: .v6(header.source),
                destination: .v6(header.destination),
                hopLimit: header.hopLimit)
            if header.destination.isMulticast {
                guard isMember(of: header.destination, on: i) else { return drop(.otherDestination) }
            } else {
                guard let home = home(of: .v6(header.destination), capturedOn: i) else { return drop(.otherDestination) }
                guard !ethernet.destination.isGroup else { return drop(.groupFrame) }
                origin.interface = home
            }
            let payload = try r.span(length, "IPv6 payload")
            let quoted = packet.extracting(first: IPv6Header.length + length)
            receiveIPv6Payload(
                header.nextHeader, payload, quoted, origin, capturedOn: i, isFirst: true, at: now, into: &effects)
        } catch {
            drop(.malformedIPv6)
        }
    }

    /// RFC 4291 §2.7.1: all nodes, the solicited-node groups of our addresses, and those that are subscribed to.
    /// All-routers has nothing for us: we send no router advertisements.
    private func isMember(of group: IPv6Address, on i: Int) -> Bool {
        if group == .allNodes { return true }
        for entry in interfaces[i].wanted where entry.groups.contains(.ip(.v6(group))) { return true }
        for own in interfaces[i].addresses {
            if case .v6(let a) = own.address, a.solicitedNode == group { return true }
        }
        return false
    }

    /// Walks the extension headers (RFC 8200 §4). `quoted` is the packet for an ICMPv6 error, or empty.
    private mutating func receiveIPv6Payload(
        _ next: UInt8, _ payload: RawSpan, _ quoted: RawSpan, _ origin: PacketOrigin, capturedOn i: Int,
        isFirst: Bool, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        var next = next
        var r = ByteReader(payload)
        for step in 0...ExtensionHeader.headersMaximum {
            do {
                switch next {
                case ExtensionHeader.hopByHop:
                    // RFC 8200 §4.1: nowhere but first.
                    guard step == 0, isFirst else { return drop(.extensionHeader) }
                    next = try ExtensionHeader.skip(next, &r)
                case ExtensionHeader.destinationOptions, ExtensionHeader.routing:
                    next = try ExtensionHeader.skip(next, &r)
                case ExtensionHeader.fragment:
                    // A fragment inside what fragments made: nobody honest does that.
                    guard isFirst else { return drop(.extensionHeader) }
                    let inside = try r.u8("fragment next header")
                    try r.skip(1, "fragment reserved")
                    let field = try r.u16("fragment offset")
                    let identification = try r.u32("fragment identification")
                    let offset = Int(field & 0xfff8)
                    let more = field & 1 != 0
                    var origin = origin
                    origin.wasFragmented = true
                    let piece = try r.span(r.remaining, "fragment")
                    if offset == 0, !more {
                        // RFC 6946: an atomic fragment is a whole packet, whatever others of that number do.
                        return receiveIPv6Payload(
                            inside, piece, RawSpan(), origin, capturedOn: i, isFirst: false, at: now, into: &effects)
                    }
                    counters.fragmentsIn += 1
                    let key = Reassembly.Key(
                        interface: interfaces[i].id, source: origin.source, destination: origin.destination,
                        identification: identification, protocolNumber: 0)
                    let outcome = reassembly.add(
                        key, offset: offset, moreFragments: more, protocolNumber: inside, piece, at: now)
                    afterFragment()
                    switch outcome {
                    case .waiting: return
                    case .refused: return drop(.fragmentRefused)
                    case .complete(let bytes, let number):
                        counters.reassembled += 1
                        return receiveIPv6Payload(
                            number, bytes.span.bytes, RawSpan(), origin, capturedOn: i, isFirst: false, at: now,
                            into: &effects)
                    }
                case ExtensionHeader.none:
                    return
                default:
                    let upper = try r.span(r.remaining, "IPv6 upper layer")
                    return receiveUpper(next, upper, quoted, origin, at: now, into: &effects)
                }
            } catch {
                return drop(.extensionHeader)
            }
        }
        drop(.extensionHeader)
    }

    // MARK: the upper layer

    private mutating func receiveUpper(
        _ protocolNumber: UInt8, _ payload: RawSpan, _ quoted: RawSpan, _ origin: PacketOrigin, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        switch (protocolNumber, origin.source) {
        case (UpperLayer.tcp, _):
            // A multicast destination never gets here with TCP inside: RFC 9293 §3.10.7 has no such segments.
            if case .v6(let a) = origin.destination, a.isMulticast { return drop(.groupFrame) }
            if origin.source == .v6(.any) { return drop(.badSource) }
            tcp.receive(
                payload, from: origin.source, to: origin.destination, interface: interfaces[origin.interface].id,
                hopLimit: origin.hopLimit, checksum: .verify, at: now, into: &tcpEffects)
            if !tcpEffects.isEmpty { drainTCP(at: now, into: &effects) }
        case (ICMPv4.protocolNumber, .v4(let source)):
            receiveICMPv4(payload, source, origin, at: now, into: &effects)
        case (ICMPv6.protocolNumber, .v6(let source)):
            receiveICMPv6(payload, source, origin, at: now, into: &effects)
        case (UpperLayer.udp, _):
            receiveUDP(payload, quoted, origin, at: now, into: &effects)
        default:
            receiveIP(protocolNumber, payload, quoted, origin, at: now, into: &effects)
        }
    }
}
