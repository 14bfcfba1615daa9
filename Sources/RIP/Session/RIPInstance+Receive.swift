import Machine
import Records
import Wire

/// RFC 2453 §3.9, RFC 2080 §2.4: a datagram, from its sender down to its entries.
extension RIPInstance {
    mutating func receive(_ packet: ReceivedPacket, at now: Instant, into effects: inout [Effect]) {
        guard let configuration, packet.packetProtocol == configuration.version.packetProtocol,
            let interface = interface(packet.interface)
        else { return }
        guard let rip = interface.rip, interface.isUp, configuration.version == .ng || rip.receive != .none else {
            return refuse(packet, .notEnabled, at: now, into: &effects)
        }
        guard let source = packet.source.ip, source.family == configuration.version.family else {
            return refuse(packet, .badSource, at: now, into: &effects)
        }
        // RFC 2453 §3.9.2: "whether the datagram is from one of the router's own addresses".
        if isOwn(source, on: packet.interface) { return refuse(packet, .ownPacket, at: now, into: &effects) }
        guard isOnLink(source, interface) else { return refuse(packet, .badSource, at: now, into: &effects) }
        if rip.ttlSecurity, packet.hopLimit != 255 { return refuse(packet, .badHopLimit, at: now, into: &effects) }
        // Whoever was fatal is not heard before somebody could survive it.
        if !fatal.isEmpty, fatal.isHeld(packet.source, on: packet.interface, at: now) || isFatal(packet, at: now) {
            return refuse(packet, .fault, at: now, into: &effects)
        }
        watch.begins(packet: packet.bytes)

        let bytes = packet.bytes
        let body = bytes.count - RIPFormat.headerLength
        guard body >= 0, bytes.count <= Int(RecordLimits.packetOctets) else {
            return refuse(packet, .badLength, at: now, into: &effects)
        }
        let command = bytes[0]
        let messageVersion = bytes[1]
        guard command == RIPFormat.request || command == RIPFormat.response else {
            return refuse(packet, .badCommand, at: now, into: &effects)
        }
        var entries = RIPFormat.headerLength..<bytes.count
        switch configuration.version {
        case .v2:
            switch checkVersion2(packet, rip, at: now) {
            case .success(let range): entries = range
            case .failure(let refusal): return refuse(packet, refusal.reason, at: now, into: &effects)
            }
        case .ng:
            guard messageVersion == 1 else { return refuse(packet, .badVersion, at: now, into: &effects) }
        }
        guard entries.count.isMultiple(of: RIPFormat.entryLength) else {
            return refuse(packet, .badLength, at: now, into: &effects)
        }
        if command == RIPFormat.request {
            interfaces[Int(packet.interface.value)].counters.requestsReceived &+= 1
            answer(packet, source, messageVersion, entries, at: now, into: &effects)
        } else {
            interfaces[Int(packet.interface.value)].counters.responsesReceived &+= 1
            receiveResponse(packet, source, messageVersion, entries, at: now, into: &effects)
        }
    }

    private func isOwn(_ source: IPAddress, on id: InterfaceID) -> Bool {
        if case .v6(let a) = source, a.isLinkLocal { return interface(id)?.addresses.contains(source) == true }
        return interfaces.contains { $0.addresses.contains(source) }
    }

    /// RFC 2453 §3.9.2: "from a valid neighbor": on a directly connected network; RFC 2080 §2.4.2: link-local.
    private func isOnLink(_ source: IPAddress, _ interface: RIPInterface) -> Bool {
        switch source {
        case .v4(let address):
            guard let (_, network) = interface.network(of: address), !address.isMulticast else { return false }
            // The network's own address and its broadcast address are nobody's, but on links of two (RFC 3021).
            let host = address.raw & ~IPv4Prefix.mask(network.length)
            return network.length >= 31 || (host != 0 && host != ~IPv4Prefix.mask(network.length))
        case .v6(let address): return address.isLinkLocal
        }
    }

    /// RFC 2453 §3.9, §4.6, §5: version, authentication and the fields that must be zero.
    /// - Returns: where the entries are.
    private mutating func checkVersion2(
        _ packet: ReceivedPacket, _ rip: RIPInterfaceConfiguration, at now: Instant
    ) -> Result<Range<Int>, RIPRefusal> {
        let bytes = packet.bytes
        let messageVersion = bytes[1]
        let whole = RIPFormat.headerLength..<bytes.count
        guard messageVersion > 0, rip.receive.accepts(version: messageVersion) else {
            return .failure(RIPRefusal(.badVersion))
        }
        let longest = RIPFormat.headerLength + RIPFormat.entryLength * RIPFormat.entriesMaximum
        if messageVersion == 1 {
            // RFC 2453 §5.2: where authentication is in use, version 1 would be the way around it.
            guard rip.authentication == nil else { return .failure(RIPRefusal(.authenticationMissing)) }
            guard bytes.count <= longest, whole.count.isMultiple(of: RIPFormat.entryLength) else {
                return .failure(RIPRefusal(.badLength))
            }
            return hasZeros(bytes) ? .success(whole) : .failure(RIPRefusal(.mustBeZero))
        }
        switch RIPAuthenticator.check(bytes, against: rip.authentication, at: now) {
        case .failure(let refusal): return .failure(refusal)
        case .success(let verdict):
            guard verdict.entries.upperBound <= longest else { return .failure(RIPRefusal(.badLength)) }
            if let sequence = verdict.sequence, let source = packet.source.ip,
                let refusal = noteSequence(sequence, packet, source, rip, at: now)
            {
                return .failure(refusal)
            }
            return .success(verdict.entries)
        }
    }

    /// RFC 1058 §3.1: fields of version 1 that must be zero.
    private func hasZeros(_ bytes: [UInt8]) -> Bool {
        guard bytes[2] == 0, bytes[3] == 0 else { return false }
        var start = RIPFormat.headerLength
        while start + RIPFormat.entryLength <= bytes.count {
            // After the address family; and after the address.
            for offset in [2, 3, 8, 9, 10, 11, 12, 13, 14, 15] where bytes[start + offset] != 0 { return false }
            start += RIPFormat.entryLength
        }
        return true
    }

    /// RFC 4822 §2.2: the sequence numbers of a neighbour do not decrease.
    private mutating func noteSequence(
        _ sequence: (key: UInt8, number: UInt32), _ packet: ReceivedPacket, _ source: IPAddress,
        _ rip: RIPInterfaceConfiguration, at now: Instant
    ) -> RIPRefusal? {
        guard let chain = rip.authentication, let index = findNeighbor(packet.interface, source) else { return nil }
        if neighbor(index)?.isReplay(sequence) == true { return RIPRefusal(.authenticationReplayed) }
        neighbors[Int(index)]?.note(sequence, keys: chain.keys.map(\.id))
        return nil
    }

    // MARK: responses

    /// RFC 2453 §3.9.2, RFC 2080 §2.4.2.
    private mutating func receiveResponse(
        _ packet: ReceivedPacket, _ source: IPAddress, _ messageVersion: UInt8, _ entries: Range<Int>, at now: Instant,
        into effects: inout [Effect]
    ) {
        guard packet.sourcePort == version.port else { return refuse(packet, .badPort, at: now, into: &effects) }
        // RFC 2080 §2.4.2: the hop count of periodic and triggered updates is 255.
        if version == .ng, packet.hopLimit != 255 { return refuse(packet, .badHopLimit, at: now, into: &effects) }
        guard let index = findOrAddNeighbor(packet.interface, source, messageVersion, at: now, into: &effects) else {
            return refuse(packet, .tooManyNeighbors, at: now, into: &effects)
        }
        neighbors[Int(index)]?.lastHeard = now
        neighbors[Int(index)]?.version = messageVersion
        neighbors[Int(index)]?.responses &+= 1
        if let end = neighbor(index)?.ignoredUntil {
            guard end <= now else { return refuse(packet, .bfdDown, at: now, into: &effects) }
            neighbors[Int(index)]?.ignoredUntil = nil
        }
        // The first message of a neighbour begins its sequence numbers.
        noteFirstSequence(packet, index)
        switch version {
        case .v2: learnVersion2(packet, source, messageVersion, entries, index, at: now, into: &effects)
        case .ng: learnNextGeneration(packet, entries, index, at: now, into: &effects)
        }
    }

    /// The digest was right, and there was no neighbour yet to hold the number of its message.
    private mutating func noteFirstSequence(_ packet: ReceivedPacket, _ index: UInt32) {
        guard let chain = interface(packet.interface)?.rip?.authentication,
            neighbor(index)?.sequences.isEmpty == true, packet.bytes.count >= RIPFormat.headerLength + RIPFormat.entryLength,
            RIPAuthenticator.type(of: packet.bytes) == RIPAuthenticator.cryptographicType
        else { return }
        let b = packet.bytes
        let number = UInt32(b[12]) << 24 | UInt32(b[13]) << 16 | UInt32(b[14]) << 8 | UInt32(b[15])
        neighbors[Int(index)]?.note((b[10], number), keys: chain.keys.map(\.id))
    }

    private mutating func learnVersion2(
        _ packet: ReceivedPacket, _ source: IPAddress, _ messageVersion: UInt8, _ entries: Range<Int>, _ index: UInt32,
        at now: Instant, into effects: inout [Effect]
    ) {
        guard case .v4(let address) = source, let interface = interface(packet.interface),
            let (_, network) = interface.network(of: address)
        else { return }
        let bytes = packet.bytes
        var reader = ByteReader(bytes.span.bytes.extracting(entries))
        var start = entries.lowerBound, number = 0
        defer { watch.ends() }
        while !reader.isAtEnd {
            guard let entry = try? RIPv2Entry.read(&reader) else { return countBadRoute(index, .badLength) }
            let octets = bytes[start..<(start + RIPFormat.entryLength)]
            start += RIPFormat.entryLength
            if !fatal.isEmpty, isFatal(octets, from: index, at: now) {
                countBadRoute(index, .fault)
                continue
            }
            number += 1
            watch.begins(number, octets)
            switch entry.learned(version: messageVersion, on: network, own: interface.ipv4Addresses) {
            case .success(let learned): learn(learned, from: index, at: now, into: &effects)
            case .failure(let refusal): countBadRoute(index, refusal.reason)
            }
        }
    }

    private mutating func learnNextGeneration(
        _ packet: ReceivedPacket, _ entries: Range<Int>, _ index: UInt32, at now: Instant, into effects: inout [Effect]
    ) {
        guard let addresses = interface(packet.interface)?.addresses else { return }
        let bytes = packet.bytes
        var reader = ByteReader(bytes.span.bytes.extracting(entries))
        var nextHop: IPv6Address?
        var start = entries.lowerBound, number = 0
        defer { watch.ends() }
        while !reader.isAtEnd {
            guard let entry = try? RIPngEntry.read(&reader) else { return countBadRoute(index, .badLength) }
            let octets = bytes[start..<(start + RIPFormat.entryLength)]
            start += RIPFormat.entryLength
            if entry.metric == RIPFormat.nextHopMetric {
                // RFC 2080 §2.1.1: one that is not link-local is taken for the unspecified address, the sender.
                nextHop = entry.address.isLinkLocal ? entry.address : nil
                continue
            }
            if !fatal.isEmpty, isFatal(octets, nextHop: nextHop, from: index, at: now) {
                countBadRoute(index, .fault)
                continue
            }
            number += 1
            watch.begins(number, octets)
            if let nextHop, addresses.contains(.v6(nextHop)) {
                countBadRoute(index, .entryNextHop)
                continue
            }
            switch entry.learned(nextHop: nextHop) {
            case .success(let learned): learn(learned, from: index, at: now, into: &effects)
            case .failure(let refusal): countBadRoute(index, refusal.reason)
            }
        }
    }

    // MARK: refusals

    /// Counts a packet that is not used, and tells of those that an attacker or a wrong key sends.
    mutating func refuse(
        _ packet: ReceivedPacket, _ reason: RIPDropReason, at now: Instant, into effects: inout [Effect]
    ) {
        let position = Int(packet.interface.value)
        guard position < interfaces.count else { return }
        interfaces[position].counters.count(reason)
        if let source = packet.source.ip, let index = findNeighbor(packet.interface, source) {
            neighbors[Int(index)]?.badPackets &+= 1
        }
        switch reason {
        case .authenticationMissing, .authenticationUnexpected, .authenticationUnknownKey, .authenticationFailed,
            .authenticationReplayed, .tooManyNeighbors:
            guard interfaces[position].nextRefusalEvent <= now else { return }
            interfaces[position].nextRefusalEvent = now + Self.refusalEventInterval
            effects.append(
                event(.warning, "packet from \(packet.source) on \(name(packet.interface)) refused: \(reason)"))
        default: break
        }
    }
}
