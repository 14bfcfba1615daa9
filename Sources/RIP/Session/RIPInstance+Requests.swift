import Machine
import Records
import Wire

/// RFC 2453 §3.9.1, RFC 2080 §2.4.1: requests, of others and our own.
extension RIPInstance {
    /// - Parameter entries: where they are in the message.
    mutating func answer(
        _ packet: ReceivedPacket, _ source: IPAddress, _ messageVersion: UInt8, _ entries: Range<Int>, at now: Instant,
        into effects: inout [Effect]
    ) {
        guard let configuration, let interface = interface(packet.interface), let rip = interface.rip else { return }
        // "If there are no entries, no response is given."
        guard !entries.isEmpty else { return refuse(packet, .requestIgnored, at: now, into: &effects) }
        let isRouter = packet.sourcePort == version.port
        // A silent router does not answer the requests of routers, but those of who looks for a fault; its unicast
        // neighbours are routers that it speaks to.
        if interface.isSilent, isRouter, !rip.neighbors.contains(source) {
            return refuse(packet, .requestIgnored, at: now, into: &effects)
        }
        // RFC 2453 §5.1: who sends version 2 only does not answer a request of version 1.
        if version == .v2, messageVersion == 1, rip.send == .v2 || rip.send == .none {
            return refuse(packet, .requestIgnored, at: now, into: &effects)
        }
        guard interfaces[Int(packet.interface.value)].admitsRequest(at: now, limit: configuration.limits.requestsPerSecond)
        else { return refuse(packet, .tooManyRequests, at: now, into: &effects) }

        let reply = Reply(
            interface: packet.interface, destination: source, port: packet.sourcePort,
            messageVersion: version == .v2 ? min(messageVersion, 2) : 1)
        switch version {
        case .v2: answerVersion2(packet.bytes, entries, reply, at: now, into: &effects)
        case .ng: answerNextGeneration(packet.bytes, entries, reply, at: now, into: &effects)
        }
    }

    private mutating func answerVersion2(
        _ bytes: [UInt8], _ entries: Range<Int>, _ reply: Reply, at now: Instant, into effects: inout [Effect]
    ) {
        var reader = ByteReader(bytes.span.bytes.extracting(entries))
        var asked: [RIPv2Entry] = []
        while !reader.isAtEnd, let entry = try? RIPv2Entry.read(&reader) { asked.append(entry) }
        if asked.count == 1, asked[0].family == 0, asked[0].metric == UInt32(RIPFormat.infinity) {
            // "This is a request to send the entire routing table", by the normal process, with split horizon.
            return answerWithTable(reply, at: now, into: &effects)
        }
        guard let interface = interface(reply.interface), case .v4(let address) = reply.destination,
            let (_, network) = interface.network(of: address),
            var writer = writer(RIPFormat.response, reply, at: now)
        else { return }
        // "Examine the list of RTEs one by one": what is in the table, without split horizon, for who looks for a fault.
        for var entry in asked {
            var metric = UInt32(RIPFormat.infinity)
            let length = reply.messageVersion == 1 || entry.mask == 0 ? nil : entry.maskLength
            if entry.family == 2, reply.messageVersion == 1 || entry.mask == 0 || length != nil {
                let prefix =
                    length.map { IPv4Prefix(entry.address, $0) }
                    ?? RIPv2Entry.inferred(entry.address, on: network)
                if let number = table.find(Destination(mapping: prefix)), let known = announcement(number) {
                    metric = UInt32(min(known.metric, RIPFormat.infinity))
                }
            }
            entry.metric = metric
            writer.add(entry)
        }
        send(&writer, reply, into: &effects)
    }

    private mutating func answerWithTable(_ reply: Reply, at now: Instant, into effects: inout [Effect]) {
        guard !sendTable(reply, at: now, into: &effects) else { return }
        let position = Int(reply.interface.value)
        if position < interfaces.count { interfaces[position].counters.count(.tooManyRequests) }
    }

    private mutating func answerNextGeneration(
        _ bytes: [UInt8], _ entries: Range<Int>, _ reply: Reply, at now: Instant, into effects: inout [Effect]
    ) {
        var reader = ByteReader(bytes.span.bytes.extracting(entries))
        var asked: [RIPngEntry] = []
        while !reader.isAtEnd, let entry = try? RIPngEntry.read(&reader) { asked.append(entry) }
        // RFC 2080 §2.4.1: "the prefix is zero, the prefix length is zero, and the metric is infinity".
        if asked == [.wholeTable] { return answerWithTable(reply, at: now, into: &effects) }
        guard var writer = writer(RIPFormat.response, reply, at: now) else { return }
        for var entry in asked {
            let number = entry.length <= 128 ? table.find(IPv6Prefix(entry.address, entry.length)) : nil
            entry.metric = min(number.flatMap { announcement($0)?.metric } ?? RIPFormat.infinity, RIPFormat.infinity)
            writer.add(entry)
        }
        send(&writer, reply, into: &effects)
    }

    /// "Normally a router that starts asks its neighbours for their tables": by group or broadcast, and those that are
    /// only reached by unicast.
    mutating func requestTable(on id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id), interface.isRunning else { return }
        for target in updateTargets(id) {
            guard var writer = writer(RIPFormat.request, target, at: now) else { continue }
            switch version {
            case .v2: writer.add(RIPv2Entry.wholeTable)
            case .ng: writer.add(RIPngEntry.wholeTable)
            }
            send(&writer, target, into: &effects)
        }
    }
}
