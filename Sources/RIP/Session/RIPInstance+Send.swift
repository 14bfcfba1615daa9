import Machine
import Records
import Wire

/// To whom a message goes, and from where.
struct Reply: Equatable {
    var interface: InterfaceID
    /// A group, a broadcast address, or a router on the link.
    var destination: IPAddress
    /// Ours; `nil`: the one on the destination's network.
    var source: IPAddress?
    /// 0: the port of routers.
    var port: UInt16 = 0
    var messageVersion: UInt8
}

/// RFC 2453 §3.10, RFC 2080 §2.5: updates.
extension RIPInstance {
    /// RFC 2453 §4.5: 224.0.0.9; RFC 2080 §2.5: ff02::9.
    static let groupIPv4 = IPAddress.v4(IPv4Address(224, 0, 0, 9))
    static let groupIPv6 = IPAddress.v6(IPv6Address(high: 0xff02_0000_0000_0000, low: 9))

    // MARK: when

    /// RFC 2453 §3.8: "every 30 seconds", off by a small random time.
    mutating func scheduleRegularUpdate(_ id: InterfaceID, at now: Instant) {
        guard let interval = configuration?.timers.update, Int(id.value) < interfaces.count else { return }
        let milliseconds = Int(interval) * 1000
        let jitter = milliseconds / 6
        setRegularUpdate(id, now + .milliseconds(milliseconds + random.number(in: -jitter...jitter)))
    }

    mutating func setRegularUpdate(_ id: InterfaceID, _ deadline: Instant) {
        interfaces[Int(id.value)].regularAt = deadline
        timers.set(.regular(id), at: deadline)
    }

    mutating func sendRegularUpdate(_ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id), interface.isRunning else { return }
        scheduleRegularUpdate(id, at: now)
        for target in updateTargets(id) { _ = sendTable(target, isRegular: true, at: now, into: &effects) }
        interfaces[Int(id.value)].counters.regularUpdates &+= 1
    }

    /// RFC 2453 §3.10.1: the routes whose change flag is set, on all interfaces.
    mutating func sendTriggeredUpdate(at now: Instant, into effects: inout [Effect]) {
        guard let limits = configuration?.timers else { return }
        timers.cancel(.triggered)
        let running = interfaces.indices.filter { interfaces[$0].isRunning }.map {
            InterfaceID(UInt16(truncatingIfNeeded: $0))
        }
        let targets = running.map { updateTargets($0) }
        let (batch, hasMore) = takeChanged(targets: targets.reduce(0) { $0 + $1.count })
        guard !batch.isEmpty else { return }
        for (id, targets) in zip(running, targets) {
            for target in targets {
                if !isForVersion1(target) {
                    sendRoutes(batch, target, at: now, into: &effects)
                } else if !hasMore {
                    _ = sendTable(target, isRegular: true, at: now, into: &effects)
                }
            }
            if !hasMore { interfaces[Int(id.value)].counters.triggeredUpdates &+= 1 }
        }
        if hasMore {
            timers.set(.triggered, at: now + Self.stepInterval)
            return
        }
        let least = Int(min(limits.triggeredMinimum, limits.triggeredMaximum))
        let most = Int(max(limits.triggeredMinimum, limits.triggeredMaximum))
        triggeredNotBefore = now + .milliseconds(random.number(in: least...most))
    }

    // MARK: where to

    /// Where updates go on an interface.
    func updateTargets(_ id: InterfaceID) -> [Reply] {
        guard let interface = interface(id), interface.isRunning, let rip = interface.rip else { return [] }
        var targets: [Reply] = []
        let messageVersion: UInt8 = version == .ng || rip.send == .v1 ? 1 : 2
        if interface.sendsUpdates {
            for source in interface.sources {
                let destination: IPAddress
                switch version {
                case .ng: destination = Self.groupIPv6
                // RFC 2453 §5.1: messages that a version 1 router should hear are broadcast.
                case .v2: destination = rip.send == .v2 ? Self.groupIPv4 : .v4(.broadcast)
                }
                targets.append(
                    Reply(
                        interface: id, destination: destination, source: source.address, messageVersion: messageVersion))
            }
        }
        guard version == .ng || rip.send != .none else { return targets }
        for neighbor in rip.neighbors where interface.source(for: neighbor) != nil {
            targets.append(Reply(interface: id, destination: neighbor, messageVersion: messageVersion))
        }
        return targets
    }

    /// Begins a message; `nil` where there is no address to send it from, or no key to sign it with.
    mutating func writer(_ command: UInt8, _ reply: Reply, at now: Instant) -> RIPPacketWriter? {
        guard let interface = interface(reply.interface), let rip = interface.rip,
            reply.source != nil || interface.source(for: reply.destination) != nil
        else { return nil }
        let key = rip.authentication?.sendingKey(at: now)
        // Never without authentication where it is asked for.
        guard rip.authentication == nil || key != nil else { return nil }
        let ticks = now.nanoseconds / (1_000_000_000 / Self.sequenceTicksPerSecond)
        return RIPPacketWriter(
            version: version, messageVersion: reply.messageVersion, command: command, key: key,
            mtu: interface.settings.mtu, sequence: max(sequence, UInt32(truncatingIfNeeded: ticks)))
    }

    mutating func send(_ writer: inout RIPPacketWriter, _ reply: Reply, into effects: inout [Effect]) {
        let messages = writer.finish()
        sequence = max(sequence, writer.sequence)
        guard let interface = interface(reply.interface),
            let source = reply.source ?? interface.source(for: reply.destination)
        else { return }
        let hopLimit: UInt8 = version == .ng || interface.rip?.ttlSecurity == true ? 255 : 1
        for bytes in messages {
            effects.append(
                .send(
                    OutgoingPacket(
                        interface: reply.interface, packetProtocol: version.packetProtocol, source: .ip(source),
                        destination: .ip(reply.destination), hopLimit: hopLimit, destinationPort: reply.port,
                        bytes: bytes)))
        }
        interfaces[Int(reply.interface.value)].counters.packetsSent &+= UInt64(messages.count)
    }

    // MARK: what

    /// RFC 2453 §4.3: what version 1 routers hear is what they can understand.
    func isForVersion1(_ reply: Reply) -> Bool {
        version == .v2 && (reply.messageVersion == 1 || interface(reply.interface)?.rip?.send == .v1Compatible)
    }

    /// RFC 2453 §3.10.2: a response with all routes (`nil`) or some.
    /// - Parameter isGoodbye: all of them are unreachable from here on.
    mutating func sendRoutes(
        _ numbers: [UInt32]?, _ reply: Reply, isGoodbye: Bool = false, at now: Instant, into effects: inout [Effect]
    ) {
        guard let interface = interface(reply.interface), var writer = writer(RIPFormat.response, reply, at: now) else {
            return
        }
        let source = reply.source ?? interface.source(for: reply.destination)
        if let summaries = version1Summaries(reply, isGoodbye: isGoodbye) {
            for summary in summaries { writer.add(summary) }
        } else if let numbers {
            for number in numbers { add(number, to: &writer, reply.interface, source, isGoodbye: isGoodbye) }
        } else {
            for number in 0..<UInt32(table.capacity) where table.isPresent(number) {
                add(number, to: &writer, reply.interface, source, isGoodbye: isGoodbye)
            }
        }
        send(&writer, reply, into: &effects)
    }

    /// A part of the table.
    ///
    /// - Parameters:
    ///   - first: where in the table it begins; for version 1, which of the networks that it is told of.
    ///   - limit: entries looked at, at most.
    /// - Returns: where it goes on; `nil` at the end of the table.
    mutating func sendPart(
        _ reply: Reply, from first: UInt32, limit: Int, at now: Instant, into effects: inout [Effect]
    ) -> UInt32? {
        guard let interface = interface(reply.interface), interface.isRunning,
            var writer = writer(RIPFormat.response, reply, at: now)
        else { return nil }
        let source = reply.source ?? interface.source(for: reply.destination)
        let end: Int
        var next = Int(first)
        if let summaries = version1Summaries(reply, isGoodbye: false) {
            end = summaries.count
            while next < end, next < Int(first) + limit {
                writer.add(summaries[next])
                next += 1
            }
        } else {
            end = table.capacity
            var left = limit
            while next < end, left > 0 {
                if table.isPresent(UInt32(next)) {
                    add(UInt32(next), to: &writer, reply.interface, source, isGoodbye: false)
                    left -= 1
                }
                next += 1
            }
        }
        send(&writer, reply, into: &effects)
        return next < end ? UInt32(next) : nil
    }

    private func add(
        _ number: UInt32, to writer: inout RIPPacketWriter, _ id: InterfaceID, _ source: IPAddress?, isGoodbye: Bool
    ) {
        guard var route = announcement(number, on: id) else { return }
        if isGoodbye { route.metric = RIPFormat.infinity }
        let destination = table.destination(number)
        switch version {
        case .v2:
            let prefix = destination.unmapped
            var via = IPv4Address.any
            // RFC 2453 §4.4: a router on the same network that is nearer than we are.
            if case .v4(let hop)? = route.nextHop, case .v4(let own)? = source, route.metric < RIPFormat.infinity,
                hop != own, let (ours, _) = interface(id)?.network(of: hop), ours == own
            {
                via = hop
            }
            writer.add(
                RIPv2Entry(
                    family: 2, tag: route.tag, address: prefix.address, mask: IPv4Prefix.mask(prefix.length),
                    nextHop: via, metric: UInt32(route.metric)))
        case .ng:
            var via: IPv6Address?
            if case .v6(let hop)? = route.nextHop, hop.isLinkLocal, route.metric < RIPFormat.infinity { via = hop }
            writer.add(
                RIPngEntry(
                    address: destination.address, tag: route.tag, length: destination.length, metric: route.metric),
                via: via)
        }
    }

    /// What is said of a destination on an interface, with split horizon and the interface's offset; `nil`: nothing.
    func announcement(_ number: UInt32, on id: InterfaceID) -> Announcement? {
        guard var result = announcement(number), let rip = interface(id)?.rip else { return nil }
        let route = table[number]
        var isHere = false
        if route.connected != nil {
            // All stations of a network know that it is there.
            if rip.splitHorizon != .none, interface(id)?.networks.contains(table.destination(number)) == true {
                return nil
            }
        } else if route.foreign == nil {
            var isFirst = true
            table.forEachPath(of: number) { _, path in
                guard let other = neighbor(path.neighbor)?.interface else { return }
                if other == id { isHere = true }
                // A next hop is of use only on the link that it is on.
                if isFirst, other != id { result.nextHop = nil }
                isFirst = false
            }
        } else if case .v6? = result.nextHop {
            // A redistributed route's next hop is a link-local address of a link that we do not know.
            result.nextHop = nil
        }
        if isHere {
            switch rip.splitHorizon {
            case .none: break
            case .simple: return nil
            case .poisonedReverse:
                // RFC 2453 §3.4.3: "infinity toward the gateway".
                result.metric = RIPFormat.infinity
                result.nextHop = nil
            }
        }
        result.metric = min(result.metric &+ min(rip.metricOffset, RIPFormat.infinity), RIPFormat.infinity)
        return result
    }

    /// RFC 2453 §4.3, RFC 1058 §3.2: subnets of the link's own natural network that have its mask, and hosts in it;
    /// other networks as natural networks; nothing that is larger. Always the whole table: a natural network stands
    /// for subnets that did not change, too.
    ///
    /// - Returns: ascending by prefix; `nil` where a version 2 router listens.
    private func version1Summaries(_ reply: Reply, isGoodbye: Bool) -> [RIPv2Entry]? {
        guard isForVersion1(reply), let interface = interface(reply.interface),
            case .v4(let address)? = reply.source ?? interface.source(for: reply.destination),
            let (_, network) = interface.network(of: address)
        else { return nil }
        var summaries: [(prefix: IPv4Prefix, metric: UInt8)] = []
        for number in 0..<UInt32(table.capacity) where table.isPresent(number) {
            guard let route = announcement(number, on: reply.interface),
                let shown = Self.version1Form(table.destination(number).unmapped, on: network)
            else { continue }
            summaries.append((shown, isGoodbye ? RIPFormat.infinity : route.metric))
        }
        summaries.sort { ($0.prefix, $0.metric) < ($1.prefix, $1.metric) }
        let hasMask = reply.messageVersion > 1
        var entries: [RIPv2Entry] = []
        for (i, summary) in summaries.enumerated() where i == 0 || summaries[i - 1].prefix != summary.prefix {
            entries.append(
                RIPv2Entry(
                    family: 2, tag: 0, address: summary.prefix.address,
                    mask: hasMask ? IPv4Prefix.mask(summary.prefix.length) : 0, nextHop: .any,
                    metric: UInt32(summary.metric)))
        }
        return entries
    }

    /// How a version 1 router is told of a prefix; `nil`: it cannot be.
    static func version1Form(_ prefix: IPv4Prefix, on network: IPv4Prefix) -> IPv4Prefix? {
        if prefix.length == 0 { return prefix }
        let natural = RIPv2Entry.naturalLength(prefix.address)
        guard prefix.length >= natural else { return nil }
        let whole = IPv4Prefix(prefix.address, natural)
        guard network.length >= natural, whole.contains(network.address) else { return whole }
        return prefix.length == network.length || prefix.length == 32 ? prefix : nil
    }
}
