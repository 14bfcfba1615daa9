import Machine
import Records
import Routing
import Wire

/// RFC 2328 §8.1: sending packets.
extension OSPFInstance {
    /// Octets of a packet's body that fit the interface's MTU.
    func room(on interface: OSPFInterface) -> Int {
        let ip = version == .v2 ? 20 : 40
        let overhead = PacketAuthentication.overhead(version: version, interface.configuration.authentication)
        let mtu = min(Int(interface.device.mtu), RecordLimits.packetOctets)
        return max(mtu - ip - OSPFPacketHeader.size(version) - overhead, 128)
    }

    /// Where a packet for one neighbour goes: §8.1: on point-to-point links everything goes to AllSPFRouters.
    func unicast(to neighbor: OSPFNeighbor, on interface: OSPFInterface) -> IPAddress {
        if interface.isBroadcast { return neighbor.address }
        return version == .v2 ? Self.allSPFRouters : Self.allSPFRoutersV6
    }

    func source(on interface: OSPFInterface) -> IPAddress? {
        if version == .v3 { return .v6(interface.linkLocal) }
        return interface.primary.map { .v4($0.address) }
    }

    /// Puts header and authentication around a body and sends it.
    mutating func send(
        _ type: OSPFPacketType, _ body: [UInt8], on id: InterfaceID, to destination: IPAddress, at now: Instant,
        into effects: inout [Effect]
    ) {
        guard let interface = interface(id), let source = source(on: interface) else { return }
        let key = interface.configuration.authentication?.sendingKey(at: now)
        // Never without authentication where it is asked for.
        if interface.configuration.authentication != nil, key?.isUsable != true { return }
        var writer = ByteWriter(capacity: body.count + 128)
        OSPFPacketHeader(
            type: type, routerID: routerID, areaID: interface.areaID, instanceID: configuration?.instanceID ?? 0
        ).write(to: &writer, version: version)
        writer.append(body)
        var sequence: UInt64 = 0
        if let key, key.algorithm != .clearText { sequence = nextSequence(key, at: now) }
        PacketAuthentication.seal(
            &writer, version: version, key, sequence: sequence, source: source, destination: destination)
        interfaces[Int(id.value)]?.counters.sent[Int(type.rawValue)] &+= 1
        effects.append(
            .send(
                OutgoingPacket(
                    interface: id, packetProtocol: packetProtocol, source: .ip(source), destination: .ip(destination),
                    hopLimit: interface.configuration.ttlSecurity == true ? 255 : 1, bytes: writer.bytes)))
    }

    /// A cryptographic sequence number that is never less than any before, whichever controller speaks, and that a
    /// later life of the pair goes on from: the router's time after the point in time at which that began
    /// (`sequenceBase`).
    ///
    /// RFC 2328 §D.4.3 has 32 bits and allows equal numbers: seconds. RFC 7474 §3 and RFC 7166 §4.1 have 64 bits that
    /// must grow with every packet: seconds above, microseconds below, and one more where two packets fall together.
    private mutating func nextSequence(_ key: KeyChain.Key, at now: Instant) -> UInt64 {
        let base = configuration?.sequenceBase ?? 0
        let time = UInt64(clamping: now.nanoseconds)
        let seconds = base &+ time / 1_000_000_000
        let isLong = version == .v3 || key.isExtended
        let precise = seconds << 20 | time / 1000 % 1_000_000
        lastSequence = max(lastSequence &+ (isLong ? 1 : 0), precise)
        return isLong ? lastSequence : lastSequence >> 20
    }

    // MARK: Link State Updates

    /// Sends LSAs in as few packets as fit the MTU; an LSA that is larger goes alone and in fragments (RFC 2328 §A.1).
    mutating func sendUpdates(
        _ handles: [LSAHandle], on id: InterfaceID, to destination: IPAddress, at now: Instant, into effects: inout [Effect]
    ) {
        guard let interface = interface(id) else { return }
        let room = room(on: interface)
        let delay = interface.configuration.transmitDelay
        var writer = ByteWriter(capacity: room)
        writer.u32(0)
        var count: UInt32 = 0
        for handle in handles {
            guard let entry = database[handle] else { continue }
            if count > 0, writer.count + entry.lsa.octets.count > room {
                writer.patch32(0, count)
                send(.linkStateUpdate, writer.bytes, on: id, to: destination, at: now, into: &effects)
                writer.bytes.removeAll(keepingCapacity: true)
                writer.u32(0)
                count = 0
            }
            let at = writer.count
            writer.append(entry.lsa.octets)
            // §13.3 (5): the age grows by InfTransDelay, up to MaxAge.
            let age = min(entry.age(at: now) &+ delay, LSAHeader.maxAge)
            writer.patch16(at, age | entry.lsa.header.age & LSAHeader.doNotAge)
            count += 1
        }
        guard count > 0 else { return }
        writer.patch32(0, count)
        send(.linkStateUpdate, writer.bytes, on: id, to: destination, at: now, into: &effects)
    }

    mutating func sendUpdate(
        _ handles: [LSAHandle], to index: NeighborIndex, at now: Instant, into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }
        sendUpdates(handles, on: neighbor.interface, to: unicast(to: neighbor, on: interface), at: now, into: &effects)
    }
}
