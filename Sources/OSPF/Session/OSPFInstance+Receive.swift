import Machine
import Records
import Routing
import Wire

/// RFC 2328 §8.2, RFC 5340 §4.2.2: receiving packets.
extension OSPFInstance {
    mutating func receive(_ packet: ReceivedPacket, at now: Instant, into effects: inout [Effect]) {
        let id = packet.interface
        guard packet.packetProtocol == packetProtocol, let interface = interface(id), interface.speaks,
            let source = packet.source.ip, let destination = packet.destination.ip
        else { return }
        // Whoever was fatal is not heard before somebody could survive it.
        if !fatal.isEmpty, fatal.isHeld(packet.source, on: id, at: now) { return drop(.quarantined, on: id) }
        let screened = fatal.isEmpty ? Screened.whole : screened(packet, at: now)
        if case .unreadable = screened { return drop(.quarantined, on: id) }
        if !screened.isNothing { watch.begins(packet: packet.bytes) }
        var bytes = packet.bytes
        var header: OSPFPacketHeader
        do { header = try OSPFPacketHeader(bytes.span.bytes, version: version) } catch {
            return drop(.malformed, on: id)
        }
        // RFC 5340 §4.2.2: other instances on the link are none of our business.
        if version == .v3, header.instanceID != configuration?.instanceID { return drop(.instanceMismatch, on: id) }
        guard header.areaID == interface.areaID else { return drop(.areaMismatch, on: id) }
        guard isSourceOnLink(source, interface) else { return drop(.badSource, on: id) }
        guard isForUs(destination, interface) else { return drop(.badDestination, on: id) }
        if interface.configuration.ttlSecurity == true, packet.hopLimit != 255 { return drop(.hopLimit, on: id) }
        // §8.1: on a point-to-point link Hellos go to the group, which no router passes on. By unicast anybody in the
        // world could be a neighbour there, where any source is taken.
        if header.type == .hello, !interface.isBroadcast, !isGroup(destination) { return drop(.badDestination, on: id) }
        guard header.routerID != 0 else { return drop(.malformed, on: id) }

        let checked: PacketAuthentication.Checked
        do {
            checked = try PacketAuthentication.check(
                bytes.span.bytes, header, version: version, interface.configuration.authentication, source: source,
                destination: destination, at: now)
        } catch {
            return drop(error == .badChecksum || error == .badLength ? .malformed : .authentication, on: id)
        }
        // Behind the check: what is not genuine is no reason for an alarm.
        guard header.routerID != routerID else { return heardOwnID(source, on: id, at: now, into: &effects) }
        let index = neighborIndex(routerID: header.routerID, source: source, on: interface)
        if let index, !isFresh(checked, header.type, of: index) {
            return drop(.replay, on: id)
        }
        var ignored: [LSAHeader] = []
        switch screened {
        case .whole: break
        case .nothing, .unreadable: return refuseFatal(packet, header.type, from: index, at: now, into: &effects)
        case .without(let headers, let rest):
            ignored = headers
            bytes = rest
            header.length = UInt16(truncatingIfNeeded: rest.count)
        }
        let body: OSPFPacket.Body
        do {
            body = try OSPFPacket(bytes.span.bytes, header: header, bodyStart: checked.bodyStart, version: version).body
        } catch { return drop(.malformed, on: id) }
        interfaces[Int(id.value)]?.counters.received[Int(header.type.rawValue)] &+= 1

        if case .hello(let hello) = body {
            return receive(
                hello, routerID: header.routerID, source: source, on: id, sequence: checked.sequence, at: now,
                into: &effects)
        }
        // §8.2: everything but a Hello must come from a neighbour.
        guard let index, neighbor(index)?.routerID == header.routerID else { return drop(.unknownNeighbor, on: id) }
        // A point-to-point neighbour is known by its Router ID; it speaks from where its Hellos come.
        guard neighbor(index)?.address == source else { return drop(.badSource, on: id) }
        if let sequence = checked.sequence {
            neighbors[Int(index.value)]?.sequences[Int(header.type.rawValue)] = sequence
        }
        switch body {
        case .hello: break
        case .databaseDescription(let packet): receive(packet, from: index, on: id, at: now, into: &effects)
        case .linkStateRequest(let packet): receiveRequest(packet.keys, from: index, on: id, at: now, into: &effects)
        case .linkStateUpdate(let packet):
            receiveUpdate(packet.lsas, without: ignored, from: index, on: id, at: now, into: &effects)
        case .linkStateAcknowledgment(let packet):
            receiveAcknowledgement(packet.headers, from: index, on: id, at: now, into: &effects)
        }
    }

    /// Two routers of one Router ID take each other's LSAs back in turns; nobody sees why unless it is said.
    private mutating func heardOwnID(
        _ source: IPAddress, on id: InterfaceID, at now: Instant, into effects: inout [Effect]
    ) {
        drop(.duplicateRouterID, on: id)
        let timer = OSPFTimer(.duplicate, UInt32(id.value))
        guard !timers.isRunning(timer), let interface = interface(id) else { return }
        timers.set(timer, at: now + .seconds(60))
        event(
            .alarm, "\(source) on \(interface.device.name) has our Router ID \(IPv4Address(raw: routerID))", into: &effects)
    }

    private func isGroup(_ destination: IPAddress) -> Bool {
        switch destination {
        case .v4(let address): address.isMulticast
        case .v6(let address): address.isMulticast
        }
    }

    /// §8.2: from the network of a broadcast link; any address at the other end of a point-to-point link. OSPFv3 speaks
    /// from link-local addresses (RFC 5340 §2.5).
    private func isSourceOnLink(_ source: IPAddress, _ interface: OSPFInterface) -> Bool {
        switch (version, source) {
        case (.v2, .v4(let address)):
            guard let primary = interface.primary, address != primary.address, !address.isMulticast, address != .any else {
                return false
            }
            return !interface.isBroadcast || IPv4Prefix(primary.address, min(primary.prefixLength, 32)).contains(address)
        case (.v3, .v6(let address)): return address.isLinkLocal && address != interface.linkLocal
        default: return false
        }
    }

    /// §8.2: to our address or AllSPFRouters; to AllDRouters only as DR or Backup.
    private func isForUs(_ destination: IPAddress, _ interface: OSPFInterface) -> Bool {
        if destination == (version == .v2 ? Self.allSPFRouters : Self.allSPFRoutersV6) { return true }
        if destination == (version == .v2 ? Self.allDRouters : Self.allDRoutersV6) {
            return interface.state == .dr || interface.state == .backup
        }
        return interface.device.addresses.contains { $0.address == destination } || destination == source(on: interface)
    }

    /// RFC 2328 §D.4.3: not less than the last one. RFC 7474 §3 and RFC 7166 §4.1 want it greater, for each type of
    /// packet.
    private func isFresh(
        _ checked: PacketAuthentication.Checked, _ type: OSPFPacketType, of index: NeighborIndex
    ) -> Bool {
        guard let neighbor = neighbor(index), let sequence = checked.sequence else { return true }
        if checked.isExtended { return sequence > neighbor.sequences[Int(type.rawValue)] }
        // One counter for all types.
        return sequence >= (neighbor.sequences.max() ?? 0)
    }

    mutating func receiveUpdate(
        _ lsas: [LSA], without ignored: [LSAHeader] = [], from index: NeighborIndex, on id: InterfaceID, at now: Instant,
        into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(index), neighbor.state >= .exchange else { return drop(.neighborState, on: id) }
        ignore(ignored, from: index, on: id, at: now, into: &effects)
        for (number, lsa) in lsas.enumerated() {
            // Any of them may end the exchange by an error, and then the rest is not looked at.
            guard let state = self.neighbor(index)?.state, state >= .exchange else { return watch.ends() }
            watch.begins(number + 1, lsa.octets[...])
            receive(lsa, from: index, on: id, at: now, into: &effects)
        }
        watch.ends()
        requestsMoved(index, at: now, into: &effects)
    }
}
