import BFD
import BGP
import Machine
import Records
import Routing
import Wire

extension EngineState {
    mutating func apply(_ record: Record, into effects: inout [IndexedEffect]) {
        applied = record.index
        now = record.time
        for event in keyChains.advance(to: now) { effects.append(IndexedEffect(index: applied, effect: .event(event))) }
        var wishes = Wishes()
        // Before any timer fires: these would be fatal again.
        if case .quarantined(.timers(let number, _)) = record.body { stop(number, into: &effects) }
        let released = interior.takeReleased(at: now)
        if !released.isEmpty { resume(released, &wishes, into: &effects) }
        streams.fireTimers(at: now, into: &wishes.streams)
        interior.fireTimers(at: now, into: &wishes.interior)
        bfd.release(at: now)

        switch record.body.carried {
        case .time:
            break
        case .tcpAccepted(let id, let identity), .tcpConnected(let id, let identity):
            open(id, identity, &wishes, into: &effects)
        case .tcpReceived(let id, let bytes, let peerTimestamp):
            if let owner = transport.received(id, bytes, peerTimestamp: peerTimestamp) {
                streams.handle(.received(id, bytes), for: owner.instance, at: now, into: &wishes.streams)
            }
        case .tcpAcknowledged(let id, let offset):
            if let owner = transport.acknowledged(id, offset) {
                streams.handle(.acknowledged(id, offset: offset), for: owner.instance, at: now, into: &wishes.streams)
            }
        case .tcpPeerFinished(let id):
            if let owner = transport.peerFinished(id) {
                streams.handle(.finished(id), for: owner.instance, at: now, into: &wishes.streams)
            }
        case .tcpClosed(let id, let end):
            if let owner = transport.close(id, end, at: now) {
                streams.handle(.closed(id, end), for: owner.instance, at: now, into: &wishes.streams)
            }
        case .interfaceState(let id, let isUp):
            if routes.setInterface(id, isUp: isUp) {
                let name = Int(id.value) < configuration.interfaces.count ? configuration.interfaces[Int(id.value)].name : "\(id)"
                note(.notice, "interface \(name) is \(isUp ? "up" : "down")", into: &effects)
                effects.append(IndexedEffect(index: applied, effect: .gateways(routes.gateways)))
                effects.append(IndexedEffect(index: applied, effect: .listeners(listeners)))
                interior.tellAll(.interface(id, isUp: isUp), at: now, into: &wishes.interior)
                updateBFDClients()
            }
        case .configure(let revision, let bytes):
            configure(revision, bytes, wishes: &wishes, effects: &effects)
        case .command(let command):
            run(command, wishes: &wishes, effects: &effects)
        case .mastership(let controller, let epoch, let isFresh):
            self.epoch = epoch
            systemDigest.mix(epoch.value)
            // Whoever takes over is alone until it says otherwise.
            noteRedundancy(false, &wishes)
            streams.tellAll(.takenOver, at: now, into: &wishes.streams)
            note(
                .notice,
                "controller \(controller) speaks as the router under epoch \(epoch)"
                    + (isFresh ? "; its copy was stale, sessions begin anew" : ""), into: &effects)
            if isFresh { startAnew(wishes: &wishes) }
        case .redundancy(let isRedundant):
            systemDigest.mix(isRedundant ? 1 : 0)
            noteRedundancy(isRedundant, &wishes)
        case .bfd(let report):
            apply(report, &wishes, into: &effects)
        case .memoryExhausted:
            streams.shed(at: now, into: &wishes.streams)
        case .neighbor(let binding):
            binding.mix(into: &systemDigest)
            neighbors.note(binding)
        case .packetReceived(let packet):
            receive(packet, &wishes)
        case .quarantined(let poison):
            quarantine(poison, of: record, wishes: &wishes, effects: &effects)
            // Whoever is given this record has lost the twin by it. The record of the take-over may come later than the pause
            // in which whoever was fatal is let in again.
            noteRedundancy(false, &wishes)
        }
        settle(&wishes, into: &effects)
        tellBFD(into: &effects)
        watchFirstRoutes(into: &effects)
    }

    private mutating func noteRedundancy(_ isRedundant: Bool, _ wishes: inout Wishes) {
        streams.noteRedundancy(isRedundant, at: now, into: &wishes.streams)
        interior.noteRedundancy(isRedundant, at: now, into: &wishes.interior)
        bfd.note(isRedundant: isRedundant, at: now)
    }

    func note(_ severity: Event.Severity, _ message: String, into effects: inout [IndexedEffect]) {
        effects.append(IndexedEffect(index: applied, effect: .event(Event(severity, "engine", message))))
    }

    private mutating func configure(
        _ revision: UInt64, _ bytes: [UInt8], wishes: inout Wishes, effects: inout [IndexedEffect]
    ) {
        systemDigest.mix(revision)
        systemDigest.mix(bytes.span.bytes)
        let new: RouterConfiguration
        do {
            new = try RouterConfiguration(decoding: bytes)
        } catch {
            // The management side encoded and checked it; another release's twin may still send what we cannot read.
            note(.alarm, "configuration revision \(revision) cannot be read and is not in force: \(error)", into: &effects)
            return
        }
        neighbors.configure(new.interfaces, before: configuration.interfaces)
        configuration = new
        self.revision = revision
        let told = keyChains.configure(new.keyChains ?? [], at: now)
        for event in told { effects.append(IndexedEffect(index: applied, effect: .event(event))) }
        routes.configure(new, distances: new.bgp?.distances ?? DistanceConfiguration())
        effects.append(IndexedEffect(index: applied, effect: .interfaces(new.interfaces)))
        effects.append(IndexedEffect(index: applied, effect: .gateways(routes.gateways)))
        bfd.configure(new.bfd ?? BFDConfiguration(), interfaces: new.interfaces)
        updateBFDClients()
        streams.configure(new, at: now, into: &wishes.streams)
        let active = InteriorGatewayID.allCases.map { interior.isActive($0) }
        interior.configure(new, at: now, into: &wishes.interior)
        for id in InteriorGatewayID.allCases where interior.isActive(id) && !active[Int(id.rawValue)] {
            tellRedistributed(id, &wishes)
        }
        for place in new.interfaces.indices {
            let id = InterfaceID(UInt16(place))
            interior.tellAll(.interface(id, isUp: routes.interfaceState(id)), at: now, into: &wishes.interior)
        }
        note(.notice, "configuration revision \(revision) is in force", into: &effects)
    }

    private mutating func quarantine(
        _ poison: Poison, of record: Record, wishes: inout Wishes, effects: inout [IndexedEffect]
    ) {
        let whose: String
        switch poison {
        case .connection(let id, _, _): whose = "connection \(id)" + (transport.owner(of: id) == nil ? ", which is gone" : "")
        case .packet(let packet, let message):
            quarantine(packet, message: Int(message), &wishes)
            whose = "\(packet.packetProtocol.name) neighbor \(packet.source)"
        case .session(let discriminator):
            whose = bfd.hold(discriminator, at: now).map { "the BFD session with \($0)" } ?? "a BFD session that is gone"
            updateStaticRoutes()
        case .timers, .other: whose = "no connection"
        }
        note(
            .alarm, "record \(record.index) was fatal to the other controller and is replaced by a fault of \(whose)",
            into: &effects)
        if case .connection(let id, let octets, let message) = poison, let owner = transport.owner(of: id) {
            streams.handle(.fault(id, octets, message: Int(message)), for: owner.instance, at: now, into: &wishes.streams)
        }
    }

    private mutating func run(_ command: EngineCommand, wishes: inout Wishes, effects: inout [IndexedEffect]) {
        switch command {
        case .clearNeighbor(let address, _), .softClearIn(let address), .softClearOut(let address):
            streams.run(command, neighbor: address, at: now, into: &wishes.streams)
        case .clearCache:
            streams.handle(.command(command), for: .rtr, at: now, into: &wishes.streams)
        case .clearAdjacency(let packetProtocol, let neighbor):
            if neighbor.isEmpty { interior.releaseHeld(InteriorGatewayID.receivers(of: packetProtocol), at: now) }
            for id in InteriorGatewayID.receivers(of: packetProtocol) {
                interior.handle(.clear(neighbor: neighbor), for: id, at: now, into: &wishes.interior)
            }
        case .clearSession(let neighbor):
            let name = NeighborName(neighbor)
            let meant = bfd.entries.map(\.peer).filter { neighbor.isEmpty || isNamed($0, name) }
            bfd.startAnew { meant.contains($0) }
            updateStaticRoutes()
        case .testHang:
            guard configuration.testing.isEnabled else {
                return note(.warning, "failure injection is refused: 'testing' is not enabled", into: &effects)
            }
            Self.hang()
        case .testTrap:
            guard configuration.testing.isEnabled else {
                return note(.warning, "failure injection is refused: 'testing' is not enabled", into: &effects)
            }
            preconditionFailure("the operator asked the engine to trap on this record")
        }
    }

    /// Never returns. Not for the optimiser, which may take a loop without effects away.
    @inline(never) @_optimize(none)
    private static func hang() {
        var turns: UInt64 = 1
        while turns != 0 { turns = mix64(turns) | 1 }
    }

    /// DESIGN §8: a stale copy must not resume sessions with wrong sequence numbers.
    private mutating func startAnew(wishes: inout Wishes) {
        let lost =
            transport.connections.map { ($0.connection, $0.owner) } + transport.pendingConnects.map { ($0.connection, $0.owner) }
        transport.reset()
        for (id, owner) in lost {
            streams.handle(.closed(id, .aborted), for: owner.instance, at: now, into: &wishes.streams)
        }
        interior.tellAll(.clear(neighbor: nil), at: now, into: &wishes.interior)
        bfd.startAnew()
        neighbors.removeAll()
        updateStaticRoutes()
    }
}
