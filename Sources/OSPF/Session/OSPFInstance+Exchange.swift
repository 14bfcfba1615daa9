import Machine
import Records
import Routing
import Wire

/// RFC 2328 §10.6…§10.9: the database exchange.
extension OSPFInstance {
    private static let master = DatabaseDescriptionPacket.Flags.master
    private static let more = DatabaseDescriptionPacket.Flags.more
    private static let initial = DatabaseDescriptionPacket.Flags.initial

    // MARK: ExStart

    /// §10.3: "declares itself master and starts sending Database Description Packets, with I, M and MS set".
    mutating func startExchange(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(index.value)
        guard let neighbor = neighbor(index) else { return }
        // The first sequence number is one that the neighbour has not seen of late; the next attempt takes the next.
        let first = neighbor.ddSequence == 0 ? UInt32(truncatingIfNeeded: random.next() >> 33) : neighbor.ddSequence
        neighbors[i]?.ddSequence = first &+ 1
        neighbors[i]?.isMaster = true
        neighbors[i]?.lastReceived = nil
        neighbors[i]?.hasMore = true
        sendDescription([], flags: [.initial, .more, .master], to: index, at: now, into: &effects)
        setDescriptionTimer(index, at: now)
    }

    private mutating func setDescriptionTimer(_ index: NeighborIndex, at now: Instant) {
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        timers.set(
            OSPFTimer(.databaseDescription, index.value),
            at: now + .seconds(Int(interface.configuration.retransmitInterval)))
    }

    /// §10.8: the master repeats until it is answered; the slave only answers. In ExStart both are masters.
    mutating func descriptionTimer(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index), neighbor.isMaster,
            neighbor.state == .exStart || neighbor.state == .exchange
        else { return }
        repeatDescription(index, at: now, into: &effects)
        setDescriptionTimer(index, at: now)
    }

    // MARK: §10.8 sending

    /// §10.3 NegotiationDone: what is to be described is what is in the database now.
    mutating func beginSummary(_ index: NeighborIndex, at now: Instant) {
        let i = Int(index.value)
        neighbors[i]?.summaryNext = 0
        neighbors[i]?.summaryEnd = database.handleEnd
        // LSAs of MaxAge are not described but flooded, so that their end is acknowledged.
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        for handle in flushing {
            guard let entry = database[handle], entry.lsa.header.isMaxAge, belongs(entry.database, on: interface),
                understands(neighbor, entry.lsa.key.type)
            else { continue }
            addRetransmission(handle, index, at: now)
        }
    }

    private func isDescribed(_ raw: UInt32, to neighbor: OSPFNeighbor, on interface: OSPFInterface) -> Bool {
        guard let entry = database[LSAHandle(raw)], !entry.lsa.header.isMaxAge, belongs(entry.database, on: interface) else {
            return false
        }
        return understands(neighbor, entry.lsa.key.type)
    }

    private mutating func sendNextDescription(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(index.value)
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        let room = (room(on: interface) - DatabaseDescriptionPacket.fixedSize(version)) / LSAHeader.size
        var headers: [LSAHeader] = []
        var next = neighbor.summaryNext
        while next < neighbor.summaryEnd {
            if isDescribed(next, to: neighbor, on: interface) {
                // One more than fits tells that there is more.
                if headers.count == room { break }
                if let entry = database[LSAHandle(next)] { headers.append(entry.header(at: now)) }
            }
            next += 1
        }
        neighbors[i]?.summaryNext = next
        let hasMore = next < neighbor.summaryEnd
        neighbors[i]?.hasMore = hasMore
        var flags: DatabaseDescriptionPacket.Flags = []
        if neighbor.isMaster { flags.insert(.master) }
        if hasMore { flags.insert(.more) }
        sendDescription(headers, flags: flags, to: index, at: now, into: &effects)
        if neighbor.isMaster { setDescriptionTimer(index, at: now) }
    }

    private mutating func sendDescription(
        _ headers: [LSAHeader], flags: DatabaseDescriptionPacket.Flags, to index: NeighborIndex, at now: Instant,
        into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        let packet = DatabaseDescriptionPacket(
            mtu: interface.device.mtu, options: options(on: interface, forDescription: true), flags: flags,
            sequence: neighbor.ddSequence, headers: headers)
        var writer = ByteWriter(capacity: 12 + headers.count * LSAHeader.size)
        packet.write(to: &writer, version: version)
        neighbors[Int(index.value)]?.lastDescription = writer.bytes
        repeatDescription(index, at: now, into: &effects)
    }

    private mutating func repeatDescription(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface),
            !neighbor.lastDescription.isEmpty
        else { return }
        send(
            .databaseDescription, neighbor.lastDescription, on: neighbor.interface,
            to: unicast(to: neighbor, on: interface), at: now, into: &effects)
    }

    // MARK: §10.6 receiving

    mutating func receive(
        _ packet: DatabaseDescriptionPacket, from index: NeighborIndex, on id: InterfaceID, at now: Instant,
        into effects: inout [Effect]
    ) {
        let i = Int(index.value)
        guard let interface = interface(id) else { return }
        // What the neighbour sends whole we could not take.
        if packet.mtu > interface.device.mtu, !interface.configuration.ignoresMTU {
            drop(.mtuMismatch, on: id)
            if neighbors[i]?.lastReason != Self.mtuReason {
                neighbors[i]?.lastReason = Self.mtuReason
                event(
                    .warning,
                    "neighbor \(IPv4Address(raw: neighbor(index)?.routerID ?? 0)) on \(interface.device.name): "
                        + "its MTU is \(packet.mtu), ours \(interface.device.mtu); no exchange", into: &effects)
            }
            return
        }
        if neighbor(index)?.state == .`init` { neighborEvent(.twoWayReceived, index, at: now, into: &effects) }
        guard let neighbor = neighbor(index) else { return }
        let mark = DatabaseDescriptionMark(
            flags: packet.flags.rawValue, options: packet.options.rawValue, sequence: packet.sequence)
        switch neighbor.state {
        case .down, .`init`, .twoWay: drop(.neighborState, on: id)
        case .exStart:
            let flags = packet.flags.intersection([.initial, .more, .master])
            if flags == [.initial, .more, .master], packet.headers.isEmpty, neighbor.routerID > routerID {
                // The neighbour is master.
                neighbors[i]?.isMaster = false
                neighbors[i]?.ddSequence = packet.sequence
                timers.cancel(OSPFTimer(.databaseDescription, index.value))
            } else if !flags.contains(.initial), !flags.contains(.master), packet.sequence == neighbor.ddSequence,
                neighbor.routerID < routerID
            {
                neighbors[i]?.isMaster = true
            } else {
                return drop(.neighborState, on: id)
            }
            neighbors[i]?.options = packet.options.rawValue
            neighborEvent(.negotiationDone, index, at: now, into: &effects)
            neighbors[i]?.lastReceived = mark
            accept(packet, from: index, at: now, into: &effects)
        case .exchange:
            if neighbor.lastReceived == mark {
                // A duplicate: the master passes over it, the slave answers again.
                if !neighbor.isMaster { repeatDescription(index, at: now, into: &effects) }
                return
            }
            let expected = neighbor.isMaster ? neighbor.ddSequence : neighbor.ddSequence &+ 1
            guard packet.flags.contains(.master) != neighbor.isMaster, !packet.flags.contains(.initial),
                packet.options.rawValue == neighbor.options, packet.sequence == expected
            else { return neighborEvent(.seqNumberMismatch, index, at: now, into: &effects) }
            neighbors[i]?.lastReceived = mark
            accept(packet, from: index, at: now, into: &effects)
        case .loading, .full:
            if neighbor.lastReceived == mark {
                if !neighbor.isMaster { repeatDescription(index, at: now, into: &effects) }
                return
            }
            neighborEvent(.seqNumberMismatch, index, at: now, into: &effects)
        }
    }

    private static let mtuReason = "MTU mismatch"

    /// §10.6 at its end: the packet is the next one of the exchange.
    private mutating func accept(
        _ packet: DatabaseDescriptionPacket, from index: NeighborIndex, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(index.value)
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface), let configuration else { return }
        for header in packet.headers {
            // A router whose area was an NSSA a moment ago may have type 7 still; §10.6 names type 5 alone as what
            // ends the exchange, and this one is of no use to anybody.
            if header.key.type == (version == .v2 ? .nssa : .nssaV3), !areaKind(interface.areaID).isNSSA { continue }
            guard isAllowed(header.key.type, in: interface.areaID) == nil,
                let id = databaseID(of: header.key.type, on: interface)
            else { return neighborEvent(.seqNumberMismatch, index, at: now, into: &effects) }
            if let entry = database.entry(header.key, in: id), header.recency(against: entry.header(at: now)) != .newer {
                continue
            }
            // What would be discarded when it comes is not asked for, or the exchange would never end.
            if !header.isSound(version: version), header.key.advertisingRouter != routerID { continue }
            if header.sequence == Int32.min || isFatal(header, at: now) { continue }
            // An LSA that is gone by its age is not worth asking for.
            if header.isMaxAge, database.handle(of: header.key, in: id) == nil { continue }
            guard (neighbors[i]?.requests.count ?? 0) < Int(configuration.limits.listMaximum) else {
                return neighborEvent(.killNbr("it describes too many LSAs"), index, at: now, into: &effects)
            }
            neighbors[i]?.requests.insert(header)
        }
        let hasMore = packet.flags.contains(.more)
        if neighbor.isMaster {
            neighbors[i]?.ddSequence = neighbor.ddSequence &+ 1
            if !neighbor.hasMore, !hasMore {
                neighborEvent(.exchangeDone, index, at: now, into: &effects)
            } else {
                sendNextDescription(index, at: now, into: &effects)
            }
        } else {
            neighbors[i]?.ddSequence = packet.sequence
            sendNextDescription(index, at: now, into: &effects)
            if !hasMore, self.neighbor(index)?.hasMore == false {
                neighborEvent(.exchangeDone, index, at: now, into: &effects)
            }
        }
        // §10.9: asking may begin before the exchange is over.
        if self.neighbor(index)?.state == .exchange { requestsMoved(index, at: now, into: &effects) }
    }

    // MARK: §10.9 asking

    /// Entries left the request list, or came onto it: the next request goes out when the last one is answered.
    mutating func requestsMoved(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index) else { return }
        if neighbor.requests.isEmpty {
            timers.cancel(OSPFTimer(.linkStateRequest, index.value))
            if neighbor.state == .loading { neighborEvent(.loadingDone, index, at: now, into: &effects) }
        } else if neighbor.requests.outstanding == 0, neighbor.state == .exchange || neighbor.state == .loading {
            sendRequest(index, at: now, into: &effects)
        }
    }

    mutating func sendRequest(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(index.value)
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        let room = min(room(on: interface) / LinkStateRequestPacket.keySize, Self.requestWindow)
        guard let keys = neighbors[i]?.requests.next(room), !keys.isEmpty else { return }
        neighbors[i]?.requests.outstanding = keys.count
        var writer = ByteWriter(capacity: keys.count * LinkStateRequestPacket.keySize)
        LinkStateRequestPacket(keys: keys).write(to: &writer, version: version)
        send(
            .linkStateRequest, writer.bytes, on: neighbor.interface, to: unicast(to: neighbor, on: interface), at: now,
            into: &effects)
        timers.set(
            OSPFTimer(.linkStateRequest, index.value), at: now + .seconds(Int(interface.configuration.retransmitInterval)))
    }

    private static let requestWindow = 512

    mutating func requestTimer(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index), neighbor.state == .exchange || neighbor.state == .loading else { return }
        sendRequest(index, at: now, into: &effects)
    }

    // MARK: §10.7 answering

    mutating func receiveRequest(
        _ keys: [LSAKey], from index: NeighborIndex, on id: InterfaceID, at now: Instant, into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(index), let interface = interface(id) else { return }
        guard neighbor.state >= .exchange else { return drop(.neighborState, on: id) }
        var handles: [LSAHandle] = []
        for key in keys {
            guard let database = databaseID(of: key.type, on: interface), belongs(database, on: interface),
                let handle = self.database.handle(of: key, in: database)
            else {
                drop(.badRequest, on: id)
                return neighborEvent(.badLSReq, index, at: now, into: &effects)
            }
            handles.append(handle)
        }
        sendUpdate(handles, to: index, at: now, into: &effects)
    }
}
