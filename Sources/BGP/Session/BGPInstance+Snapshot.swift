import Machine
import Records
import Routing
import Wire

extension BGPInstance {
    /// The form of what follows. A change of it is a number more here.
    public static let section = SnapshotSection(6, "bgp", schemas: 2...2)

    public func write(to writer: inout SnapshotWriter) {
        writer.write(random.state)
        writer.write(configuration != nil)
        if let configuration { writer.writeCold(configuration) }
        writer.writeList(neighbors) { neighbor, w in
            w.write(neighbor != nil)
            neighbor?.write(to: &w)
        }
        writer.writeBlock(lingering.map(\.value))
        timers.write(to: &writer) { $0.write(to: &$1) }
        writer.write(needsHousekeeping)
        writer.writeList(trackedNextHops) { $0.write(to: &$1) }
        writer.writeList(nextHopStates) { state, w in
            switch state {
            case .unreachable: w.write(false)
            case .reachable(let metric):
                w.write(true)
                w.write(metric)
            }
        }
        writer.writeBlock(checkedAS.map(\.raw))
        fatalInputs.write(to: &writer)
        writer.write(isRedundant)
        writer.write(coldStart != nil)
        coldStart?.write(to: &writer)
        arrivals.write(to: &writer)
        rib.write(to: &writer)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(seed: 0)
        random.state = try reader.read()
        if try reader.readBool() { configuration = try reader.readCold(BGPConfiguration.self) }
        neighbors = try reader.readList { r throws(DecodeError) -> Neighbor? in
            try r.readBool() ? try Neighbor(from: &r) : nil
        }
        guard neighbors.count <= 4096 else { throw DecodeError("neighbors", at: reader.position, .badLength) }
        lingering = try reader.readBlock(of: UInt32.self).map { ConnectionID($0) }
        timers = try TimerTable(from: &reader) { r throws(DecodeError) in try SessionTimer(from: &r) }
        needsHousekeeping = try reader.readBool()
        trackedNextHops = try reader.readList { r throws(DecodeError) in try IPAddress(from: &r) }
        nextHopStates = try reader.readList { r throws(DecodeError) -> NextHopState in
            try r.readBool() ? .reachable(metric: try r.read()) : .unreachable
        }
        checkedAS = try reader.readBlock(of: UInt32.self).map { ASNumber($0) }
        fatalInputs = try FatalInputs(from: &reader)
        isRedundant = try reader.readBool()
        if try reader.readBool() { coldStart = try ColdStart(from: &reader) }
        arrivals = try Arrivals(from: &reader)
        rib = try RIB(from: &reader)
        // What the rest of the code takes for granted about these must hold for any bytes.
        guard trackedNextHops.count == nextHopStates.count else { throw DecodeError("BGP state", at: reader.position, .badValue) }
        for i in neighbors.indices {
            guard let neighbor = neighbors[i] else { continue }
            updateOutlet(PeerIndex(UInt16(i)))
            if let connection = neighbor.challenger?.connection {
                owners[connection] = Owner(peer: PeerIndex(UInt16(i)), slot: .incoming, isChallenger: true)
                challengers += 1
            }
            for slot in [SessionSlot.own, .incoming] {
                guard let connection = neighbor[slot]?.connection else { continue }
                owners[connection] = Owner(peer: PeerIndex(UInt16(i)), slot: slot)
            }
        }
    }
}

extension BGPInstance {
    /// Equal on two controllers at equal log indices. Costs a few words per session; the RIB keeps its own current.
    public var digest: StateDigest {
        var digest = StateDigest()
        digest.mix(random.state)
        digest.mix(rib.digest.value)
        for (i, neighbor) in neighbors.enumerated() {
            guard let neighbor else { continue }
            digest.mix(UInt64(i))
            digest.mix(UInt64(neighbor.failures) << 2 | (neighbor.isQuarantined ? 2 : 0) | (neighbor.isBlocked ? 1 : 0))
            mix(neighbor.own, into: &digest)
            if let incoming = neighbor.incoming { mix(incoming, into: &digest) }
            if let challenger = neighbor.challenger {
                digest.mix(UInt64(challenger.connection.value))
                digest.mix(challenger.question ?? .max)
                digest.mix(challenger.octets.span.bytes)
            }
            neighbor.retention?.mix(into: &digest)
            digest.mix(
                UInt64(bitPattern: neighbor.lastUpdate.nanoseconds) << 2 | (neighbor.hasBeenQuiet ? 2 : 0)
                    | (neighbor.isWarnedOfPaths ? 1 : 0))
            digest.mix(UInt64(neighbor.configuration.remoteAS.raw) << 1 | (neighbor.answersAsRouter ? 1 : 0))
        }
        digest.mix(fatalInputs.digest)
        coldStart?.mix(into: &digest)
        arrivals.mix(into: &digest)
        digest.mix(UInt64(trackedNextHops.count) << 32 | UInt64(lingering.count))
        digest.mix(UInt64(bitPattern: timers.next?.nanoseconds ?? -1))
        return digest
    }

    private func mix(_ session: Session, into digest: inout StateDigest) {
        let flags = UInt64(session.machine.state.rawValue) | (session.isConnecting ? 8 : 0) | (session.isOpen ? 16 : 0)
        digest.mix(flags << 32 | UInt64(session.connection?.value ?? 0))
        guard session.isOpen else { return }
        digest.mix(session.sentOffset)
        digest.mix(session.acknowledgedOffset)
        digest.mix(UInt64(session.machine.holdTime) << 32 | UInt64(session.machine.connectRetryCounter))
        digest.mix(UInt64(bitPattern: session.holdDeadline?.nanoseconds ?? -1))
        digest.mix(UInt64(bitPattern: session.lastSent.nanoseconds))
        digest.mix(UInt64(session.remoteOpen?.identifier.raw ?? 0))
        digest.mix(session.completeFamilies.rawValue << 32 ^ session.refreshing.rawValue)
        digest.mix(session.partial.span.bytes)
    }
}
