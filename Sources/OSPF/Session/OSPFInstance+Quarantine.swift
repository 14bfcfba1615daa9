import Machine
import Records
import Routing
import Wire

/// What becomes of a neighbour whose packet killed a controller (DESIGN §7), and of what it says again.
///
/// Its adjacency ends in place of the process, and it is held down until somebody could survive it in another form
/// (`FatalMemory`). What was fatal is remembered: an LSA by its name with sequence number and checksum, and by its content,
/// whoever tells of it, since all routers of the area do; another packet by its sender and what it does not change.
///
/// An LSA that is known is acknowledged and ignored: neither installed nor flooded, but nobody says it for ever, and
/// the exchange with whoever has it comes to its end. The older instance that may be here stays until it is as old as
/// it may become. Any other packet that is known is dropped. Where that would leave an adjacency that waits for ever for
/// an answer, the adjacency ends, and is tried again after `FatalMemory.holdMaximum`.
extension OSPFInstance {
    /// What is left of a packet.
    enum Screened {
        case whole
        /// It was fatal.
        case nothing
        /// It was fatal, and has not even a header.
        case unreadable
        /// The update without what was fatal in it, and the headers of that.
        case without([LSAHeader], rest: [UInt8])

        var isNothing: Bool { if case .nothing = self { true } else { false } }
    }

    /// Once per packet, and only if anything was ever fatal.
    func screened(_ packet: ReceivedPacket, at now: Instant) -> Screened {
        let source = FatalMemory.name(packet.source, on: packet.interface)
        guard let outline = OSPFPacketOutline(packet.bytes, version: version) else {
            return fatal.isKnown(Self.unreadable(packet, source), at: now) ? .unreadable : .whole
        }
        if fatal.isKnown(outline.form(from: source), at: now) { return .nothing }
        guard let lsas = outline.lsas else { return .whole }
        var kept: [Range<Int>] = [], ignored: [LSAHeader] = []
        for lsa in lsas {
            if !fatal.isKnown(outline.form(of: lsa), at: now) {
                kept.append(lsa)
            } else if let header = outline.header(of: lsa) {
                ignored.append(header)
            }
        }
        return kept.count == lsas.count ? .whole : .without(ignored, rest: outline.update(of: kept))
    }

    private static func unreadable(_ packet: ReceivedPacket, _ source: UInt64) -> FatalForm {
        FatalForm(exact: [seededHash(packet.bytes.span.bytes, seed: source)])
    }

    /// What is not asked for in an exchange, because it would be ignored.
    func isFatal(_ header: LSAHeader, at now: Instant) -> Bool {
        !fatal.isEmpty && fatal.isKnown(OSPFPacketOutline.form(of: header, version: version), at: now)
    }

    /// Behind authentication: LSAs that are known are acknowledged, whoever sent them, and nothing waits for them.
    mutating func ignore(
        _ headers: [LSAHeader], from index: NeighborIndex, on id: InterfaceID, at now: Instant, into effects: inout [Effect]
    ) {
        guard let interface = interface(id) else { return }
        for header in headers {
            drop(.quarantined, on: id)
            let handle = databaseID(of: header.key.type, on: interface).flatMap {
                self.database.handle(of: header.key, in: $0)
            }
            if let handle, let entry = database[handle] {
                let order = header.recency(against: entry.header(at: now))
                // RFC 2328 §13 (8), or §13.4 without a look at what was made in our name. Not at the pace of whoever asks.
                if order == .older || entry.isOwn && header.sequence < LSAHeader.maxSequence {
                    let minimum = Duration.milliseconds(Int(configuration?.lsaTimers.minimumArrival ?? 1000))
                    if now < entry.answered + minimum, entry.answered != .zero { continue }
                    database.noteAnswer(handle, at: now)
                    if order != .older {
                        outbid(handle, header.sequence, at: now, into: &effects)
                    } else {
                        sendUpdate([handle], to: index, at: now, into: &effects)
                    }
                    continue
                }
                // The neighbour would answer the older instance with this one, over and over.
                _ = removeRetransmission(handle, index)
            }
            directAcknowledgements.append((index, header))
            neighbors[Int(index.value)]?.requests.remove(header.key)
        }
    }

    /// Behind authentication: the packet was fatal, and cannot be answered.
    mutating func refuseFatal(
        _ packet: ReceivedPacket, _ type: OSPFPacketType, from index: NeighborIndex?, at now: Instant,
        into effects: inout [Effect]
    ) {
        drop(.quarantined, on: packet.interface)
        guard type != .hello, let index, neighbor(index)?.address == packet.source.ip else { return }
        fatal.hold(packet.source, on: packet.interface, until: now + FatalMemory.holdMaximum)
        neighborEvent(.killNbr("it repeats a packet that was fatal"), index, at: now, into: &effects)
    }

    /// This packet killed our twin. It is not looked into.
    /// - Parameter message: which LSA of it, from 1; 0: any of them.
    mutating func fault(_ packet: ReceivedPacket, message: Int, at now: Instant, into effects: inout [Effect]) {
        guard configuration != nil, packet.packetProtocol == packetProtocol else { return }
        let source = FatalMemory.name(packet.source, on: packet.interface)
        let outline = OSPFPacketOutline(packet.bytes, version: version)
        // RFC 5340 §4.2.2: what is another instance's is none of our business.
        if version == .v3, let outline, outline.instanceID != configuration?.instanceID { return }
        drop(.quarantined, on: packet.interface)
        var forms: [FatalForm] = []
        if let outline, let lsas = outline.lsas {
            // What is known already was not looked into, and not counted.
            forms = lsas.map { outline.form(of: $0) }.filter { fatal.isEmpty || !fatal.isKnown($0, at: now) }
            if message > 0 { forms = message <= forms.count ? [forms[message - 1]] : [] }
        }
        if forms.isEmpty { forms = [outline?.form(from: source) ?? Self.unreadable(packet, source)] }
        fatal.learn(forms, from: packet.source, on: packet.interface, at: now)
        event(
            .alarm,
            "neighbor \(packet.source) is held down: a packet of it could not be processed. It may come back when the "
                + "pair is redundant again, after \(FatalMemory.holdMaximum.inMilliseconds / 60_000) minutes, or when it is cleared",
            into: &effects)
        guard let interface = interface(packet.interface), let address = packet.source.ip else { return }
        for index in interface.neighbors where neighbor(index)?.address == address {
            neighborEvent(.killNbr("its packet was quarantined"), index, at: now, into: &effects)
        }
    }

    // MARK: the operator

    /// Whether a neighbour, or somebody who is held down, has this name: an address, with `%` and the interface if need be, or
    /// a Router ID.
    public func knows(_ name: String) -> Bool {
        let name = NeighborName(name)
        return neighbors.contains { $0.map { isNamed($0, name) } ?? false } || fatal.sources.contains { isNamed($0, name) }
    }

    /// Addresses of the neighbours, and of those who are held down.
    public var neighborNames: [String] {
        var names: [String] = []
        for neighbor in neighbors { if let neighbor { names.append("\(neighbor.address)") } }
        for source in fatal.sources where !names.contains("\(source.address)") { names.append("\(source.address)") }
        return names
    }

    private func isNamed(_ neighbor: OSPFNeighbor, _ name: NeighborName) -> Bool {
        name.matches(neighbor.address, on: interface(neighbor.interface)?.device.name)
            || name.address == .v4(IPv4Address(raw: neighbor.routerID)) && name.interface == nil
    }

    private func isNamed(_ source: FatalMemory.Source, _ name: NeighborName) -> Bool {
        source.address.ip.map { name.matches($0, on: interface(source.interface)?.device.name) } ?? false
    }

    /// Adjacencies end and form anew. What was remembered of the neighbour as fatal is forgotten.
    /// - Parameter text: a name; empty: all of them; `nil`: all of them, and nothing is forgotten.
    mutating func clear(_ text: String?, at now: Instant, into effects: inout [Effect]) {
        let name = text.flatMap { $0.isEmpty ? nil : NeighborName($0) }
        var addresses: [(IPAddress, InterfaceID)] = []
        for i in neighbors.indices {
            guard let neighbor = neighbors[i] else { continue }
            if let name, !isNamed(neighbor, name) { continue }
            addresses.append((neighbor.address, neighbor.interface))
            neighborEvent(.killNbr("cleared by the operator"), NeighborIndex(UInt32(i)), at: now, into: &effects)
        }
        guard text != nil else { return }
        let meant = fatal.sources.filter { source in
            name.map { isNamed(source, $0) } ?? true
                || addresses.contains { .ip($0.0) == source.address && $0.1 == source.interface }
        }
        fatal.forget { meant.contains($0) }
    }
}
