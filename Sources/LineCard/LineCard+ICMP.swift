import Machine
import Records
import TCP
import Wire

/// ICMP (RFC 792, RFC 1122 §3.2.2) and ICMPv6 (RFC 4443): echo, errors about our segments, and few errors of our own.
extension LineCard {
    mutating func receiveICMPv4(
        _ message: RawSpan, _ source: IPv4Address, _ origin: PacketOrigin, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        var checksum = InternetChecksum()
        checksum.add(message)
        guard checksum.folded == 0xffff else { return drop(.malformedICMP) }
        var r = ByteReader(message)
        do {
            let type = try r.u8("ICMP type")
            let code = try r.u8("ICMP code")
            try r.skip(2, "ICMP checksum")
            let word = try r.u32("ICMP rest of header")
            switch type {
            case ICMPv4.echoRequest:
                guard code == 0 else { return drop(.malformedICMP) }
                echo(message, type: ICMPv4.echoReply, origin, at: now, into: &effects)
            case ICMPv4.destinationUnreachable, ICMPv4.timeExceeded, ICMPv4.parameterProblem:
                counters.icmpErrorsIn += 1
                let tooBig = type == ICMPv4.destinationUnreachable && code == ICMPv4.codeFragmentationNeeded
                // RFC 1122 §4.2.3.9: hard errors.
                let isHard =
                    type == ICMPv4.destinationUnreachable && (code == ICMPv4.codeProtocol || code == ICMPv4.codePort)
                // The quoted header: no checksum test, routers on the way change it and some forget the checksum.
                guard try r.u8("quoted version") >> 4 == 4 else { return drop(.malformedICMP) }
                r.position -= 1
                let headerLength = Int(try r.u8("quoted version") & 15) * 4
                try r.skip(5, "quoted header")
                let fragment = try r.u16("quoted fragment offset")
                try r.skip(1, "quoted TTL")
                let inside = try r.u8("quoted protocol")
                try r.skip(2, "quoted checksum")
                let local = try r.ipv4("quoted source")
                let remote = try r.ipv4("quoted destination")
                guard headerLength >= IPv4Header.length, fragment & 0x1fff == 0 else { return drop(.malformedICMP) }
                try r.skip(headerLength - IPv4Header.length, "quoted options")
                guard inside == UpperLayer.tcp else { return drop(.unknownProtocol) }
                try errorToTCP(
                    &r, local: .v4(local), remote: .v4(remote),
                    kind: tooBig ? .packetTooBig(mtu: Int(word & 0xffff)) : isHard ? .refused : .unreachable, origin,
                    at: now, into: &effects)
            default:
                drop(.unknownProtocol)
            }
        } catch {
            drop(.malformedICMP)
        }
    }

    mutating func receiveICMPv6(
        _ message: RawSpan, _ source: IPv6Address, _ origin: PacketOrigin, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        guard case .v6(let destination) = origin.destination else { return }
        var checksum = InternetChecksum(
            from: source, to: destination, protocolNumber: ICMPv6.protocolNumber, length: message.byteCount)
        checksum.add(message)
        guard checksum.folded == 0xffff else { return drop(.malformedICMP) }
        var r = ByteReader(message)
        do {
            let type = try r.u8("ICMPv6 type")
            let code = try r.u8("ICMPv6 code")
            try r.skip(2, "ICMPv6 checksum")
            let word = try r.u32("ICMPv6 rest of header")
            switch type {
            case ICMPv6.neighborSolicitation, ICMPv6.neighborAdvertisement:
                // RFC 4861 §7.1: a hop limit of 255 proves that it comes from this link. RFC 6980 §5: no fragments.
                guard origin.hopLimit == 255, !origin.wasFragmented else { return drop(.malformedICMP) }
                counters.neighborDiscoveryIn += 1
                receiveNeighborMessage(
                    try NeighborMessage(message), source, destination, origin, at: now, into: &effects)
            case ICMPv6.listenerQuery:
                // RFC 3810 §6.2: link-local source and hop limit 1.
                guard source.isLinkLocal, origin.hopLimit == 1, !origin.wasFragmented else { return drop(.malformedICMP) }
                guard mayAnswer(.v6(source), origin.sourceMAC, on: origin.interface, at: now) else {
                    return drop(.rateLimited)
                }
                reportGroups(on: origin.interface, into: &effects)
            case ICMPv6.echoRequest:
                // RFC 4443 §4.2 leaves multicast echo to us, and we keep silent.
                guard code == 0, !destination.isMulticast, source != .any else { return drop(.malformedICMP) }
                echo(message, type: ICMPv6.echoReply, origin, at: now, into: &effects)
            case ICMPv6.destinationUnreachable, ICMPv6.packetTooBig, ICMPv6.timeExceeded, ICMPv6.parameterProblem:
                counters.icmpErrorsIn += 1
                guard try r.u8("quoted version") >> 4 == 6 else { return drop(.malformedICMP) }
                try r.skip(5, "quoted header")
                let inside = try r.u8("quoted next header")
                try r.skip(1, "quoted hop limit")
                let local = try r.ipv6("quoted source")
                let remote = try r.ipv6("quoted destination")
                // We send no extension headers in front of TCP, so there are none to step over.
                guard inside == UpperLayer.tcp else { return drop(.unknownProtocol) }
                // What IPv4 has as "protocol" and "port unreachable" (RFC 4443 §3.1, §3.4).
                let isHard =
                    type == ICMPv6.destinationUnreachable && code == ICMPv6.codePort
                    || type == ICMPv6.parameterProblem && code == ICMPv6.codeNextHeader
                let mtu = Int(min(word, 65_535))
                try errorToTCP(
                    &r, local: .v6(local), remote: .v6(remote),
                    kind: type == ICMPv6.packetTooBig ? .packetTooBig(mtu: mtu) : isHard ? .refused : .unreachable, origin,
                    at: now, into: &effects)
            default:
                drop(.unknownProtocol)
            }
        } catch {
            drop(.malformedICMP)
        }
    }

    /// Hands the error to TCP with the first 8 octets of the quoted segment; TCP checks that it is in flight.
    @_lifetime(r: copy r)
    private mutating func errorToTCP(
        _ r: inout ByteReader, local: IPAddress, remote: IPAddress, kind: ICMPError.Kind, _ origin: PacketOrigin,
        at now: Instant, into effects: inout [LineCardEffect]
    ) throws(DecodeError) {
        let localPort = try r.u16("quoted source port")
        let remotePort = try r.u16("quoted destination port")
        let sequence = try r.u32("quoted sequence number")
        guard let home = home(of: local, capturedOn: origin.interface) else { return drop(.otherDestination) }
        toTCP(
            .unreachable(
                ICMPError(
                    interface: interfaces[home].id, local: local, localPort: localPort, remote: remote,
                    remotePort: remotePort, sequence: sequence, kind: kind)),
            at: now, into: &effects)
    }

    /// RFC 792 and RFC 4443 §4.2: the same octets back with another type.
    private mutating func echo(
        _ message: RawSpan, type: UInt8, _ origin: PacketOrigin, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        guard echoes.take(at: now) else { return drop(.rateLimited) }
        counters.echoRequests += 1
        var reply = [UInt8](copying: message)
        reply[0] = type
        reply[1] = 0
        finishICMP(&reply, from: origin.destination, to: origin.source)
        sendDatagram(
            reply, protocolNumber: protocolNumber(for: origin), from: origin.destination, to: origin.source,
            home: origin.interface, at: now, into: &effects)
    }

    private func protocolNumber(for origin: PacketOrigin) -> UInt8 {
        origin.source.family == .ipv4 ? ICMPv4.protocolNumber : ICMPv6.protocolNumber
    }

    private func finishICMP(_ message: inout [UInt8], from local: IPAddress, to remote: IPAddress) {
        message[2] = 0
        message[3] = 0
        var checksum = InternetChecksum()
        if case (.v6(let source), .v6(let destination)) = (local, remote) {
            checksum = InternetChecksum(
                from: source, to: destination, protocolNumber: ICMPv6.protocolNumber, length: message.count)
        }
        checksum.add(message.span.bytes)
        let value = checksum.value
        message[2] = UInt8(truncatingIfNeeded: value >> 8)
        message[3] = UInt8(truncatingIfNeeded: value)
    }

    /// Nobody listens: RFC 1122 §3.2.2.1 and RFC 4443 §3.1, §3.4. Never about a group, a fragment, an ICMP message or a
    /// source that is nobody; and rarely.
    mutating func sendUnreachable(
        _ protocolNumber: UInt8, about quoted: RawSpan, _ origin: PacketOrigin, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        guard quoted.byteCount > 0, protocolNumber != ICMPv4.protocolNumber, protocolNumber != ICMPv6.protocolNumber
        else { return }
        var w = ByteWriter(capacity: 8 + min(quoted.byteCount, 1240))
        switch origin.destination {
        case .v4(let destination):
            // RFC 1122 §3.2.2: never about what went to many.
            guard !destination.isMulticast, !interfaces[origin.captured].isBroadcast(destination) else { return }
            w.u8(ICMPv4.destinationUnreachable)
            w.u8(protocolNumber == UpperLayer.udp ? ICMPv4.codePort : ICMPv4.codeProtocol)
            w.u16(0)
            w.u32(0)
        case .v6(let destination):
            guard !destination.isMulticast, origin.source != .v6(.any) else { return }
            let isPort = protocolNumber == UpperLayer.udp
            w.u8(isPort ? ICMPv6.destinationUnreachable : ICMPv6.parameterProblem)
            w.u8(isPort ? ICMPv6.codePort : ICMPv6.codeNextHeader)
            w.u16(0)
            // RFC 4443 §3.4 wants a pointer to the field; with extension headers in between we point at the first.
            w.u32(isPort ? 0 : 6)
        }
        guard errors.take(at: now) else { return }
        counters.icmpErrorsOut += 1
        // RFC 4443 §2.4 (c): no more than fits 1,280 octets.
        w.append(quoted.extracting(first: min(quoted.byteCount, 1232)))
        finishICMP(&w.bytes, from: origin.destination, to: origin.source)
        sendDatagram(
            w.bytes, protocolNumber: self.protocolNumber(for: origin), from: origin.destination, to: origin.source,
            home: origin.interface, at: now, into: &effects)
    }
}
