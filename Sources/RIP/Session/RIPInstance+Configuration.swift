import Machine
import Records
import Routing
import Wire

/// What comes and goes: the configuration, interfaces, the protocol itself.
extension RIPInstance {
    /// How long after its start an interface sends its first whole update, in milliseconds.
    static let firstUpdateDelay = 100...1_000

    mutating func configure(
        _ new: RIPConfiguration?, _ list: [InterfaceConfiguration], at now: Instant, into effects: inout [Effect]
    ) {
        let old = configuration
        if let old, new == nil || new?.version != old.version { stop(at: now, into: &effects) }
        configuration = new ?? configuration
        let version = configuration?.version ?? .v2
        // Interfaces may have other numbers from here on; the next regular update tells what was cut short.
        pending = []
        timers.cancel(.pending)
        let before = interfaces
        let wasRunning = old != nil && old?.version == new?.version

        // Interfaces are known by their names; their numbers may have changed.
        interfaces = list.prefix(Int(UInt16.max)).map { settings in
            var interface = RIPInterface(settings: settings, rip: new?.interface(settings.name), version: version)
            if let known = before.first(where: { $0.settings.name == settings.name }) {
                interface.isUp = known.isUp
                interface.regularAt = known.regularAt
                interface.nextRefusalEvent = known.nextRefusalEvent
                interface.requestSecond = known.requestSecond
                interface.requests = known.requests
                interface.counters = known.counters
            }
            return interface
        }
        guard let new else {
            configuration = nil
            if old != nil { effects.append(.subscriptions([])) }
            return
        }
        effects.append(.subscriptions(subscriptions))
        renumberNeighbors(before, at: now, into: &effects)
        for position in before.indices { timers.cancel(.regular(InterfaceID(UInt16(truncatingIfNeeded: position)))) }

        var networks: [Destination] = []
        for interface in before { networks.append(contentsOf: interface.networks) }
        for interface in interfaces { networks.append(contentsOf: interface.networks) }
        for destination in networks { recomputeConnected(destination, at: now) }
        if old?.defaultOriginate != new.defaultOriginate || !wasRunning {
            setForeign(defaultDestination, redistributedDefault, at: now)
        }
        if let old, wasRunning { adapt(old, new, at: now) }

        for (position, interface) in interfaces.enumerated() {
            let id = InterfaceID(UInt16(truncatingIfNeeded: position))
            guard interface.isRunning else {
                interfaces[position].regularAt = nil
                continue
            }
            let known = wasRunning ? before.first { $0.settings.name == interface.settings.name } : nil
            if let known, known.isRunning, let regularAt = known.regularAt {
                setRegularUpdate(id, regularAt)
                // What is heard under other rules is asked for again.
                if known.rip != interface.rip || known.settings.addresses != interface.settings.addresses {
                    requestTable(on: id, at: now, into: &effects)
                }
            } else {
                start(id, at: now, into: &effects)
            }
        }
    }

    /// Ascending.
    var subscriptions: [PacketSubscription] {
        // RFC 2453 §3.6: version 1 knows nothing but broadcast.
        let groups: [PacketAddress] = version == .v2 ? [.ip(Self.groupIPv4), .ip(.v4(.broadcast))] : [.ip(Self.groupIPv6)]
        return interfaces.indices.filter { interfaces[$0].rip != nil && !interfaces[$0].settings.isLoopback }.map {
            PacketSubscription(
                interface: InterfaceID(UInt16(truncatingIfNeeded: $0)), packetProtocol: version.packetProtocol, groups: groups)
        }
    }

    /// Neighbours whose interface is gone, or which are no longer on its networks, are lost; others get its number.
    private mutating func renumberNeighbors(
        _ before: [RIPInterface], at now: Instant, into effects: inout [Effect]
    ) {
        var isRenumbered = false
        for index in neighborOrder {
            guard let neighbor = neighbor(index), Int(neighbor.interface.value) < before.count else { continue }
            let name = before[Int(neighbor.interface.value)].settings.name
            let position = interfaces.firstIndex { $0.settings.name == name }
            guard let position, interfaces[position].isRunning,
                let local = interfaces[position].source(for: neighbor.address)
            else {
                removeNeighbor(index, reason: "its interface is not configured", at: now, into: &effects)
                continue
            }
            let id = InterfaceID(UInt16(truncatingIfNeeded: position))
            let wanted = interfaces[position].rip?.bfd == true ? local : nil
            guard id != neighbor.interface || wanted != neighbor.bfdLocal else { continue }
            if let peer = neighbor.bfdPeer { effects.append(.bfd(peer, isWanted: false)) }
            isRenumbered = isRenumbered || id != neighbor.interface
            neighbors[Int(index)]?.interface = id
            neighbors[Int(index)]?.bfdLocal = wanted
            neighbors[Int(index)]?.bfdWasUp = false
            neighbors[Int(index)]?.ignoredUntil = nil
            if let wanted {
                effects.append(.bfd(BFDPeer(interface: id, local: wanted, remote: neighbor.address), isWanted: true))
            }
        }
        guard isRenumbered else { return }
        orderNeighbors()
        for number in 0..<UInt32(table.capacity) where table.isPresent(number) && table[number].pathCount > 0 {
            markDirty(number)
        }
    }

    /// Applies what changed beside the interfaces.
    private mutating func adapt(_ old: RIPConfiguration, _ new: RIPConfiguration, at now: Instant) {
        guard old != new else { return }
        let paths = max(1, new.maximumPaths)
        for number in 0..<UInt32(table.capacity) where table.isPresent(number) {
            let before = announcement(number)
            while table[number].pathCount > paths {
                var last = Path.none
                table.forEachPath(of: number) { index, _ in last = index }
                removePath(number, last)
            }
            settle(number, before, at: now)
            if old.distance != new.distance, table.isPresent(number), table[number].pathCount > 0 { markDirty(number) }
            // Metrics, offsets and split horizon may all be others now.
            if table.isPresent(number) { markChanged(number) }
        }
    }

    mutating func setInterface(_ id: InterfaceID, isUp: Bool, at now: Instant, into effects: inout [Effect]) {
        let position = Int(id.value)
        guard position < interfaces.count, interfaces[position].isUp != isUp else { return }
        interfaces[position].isUp = isUp
        guard configuration != nil, interfaces[position].rip != nil else { return }
        if !isUp {
            timers.cancel(.regular(id))
            interfaces[position].regularAt = nil
            removeNeighbors(on: id, reason: "the interface is down", at: now, into: &effects)
        }
        for destination in interfaces[position].networks { recomputeConnected(destination, at: now) }
        if isUp { start(id, at: now, into: &effects) }
    }

    /// RIP begins on an interface: it asks for the tables of the neighbours and soon sends its own.
    private mutating func start(_ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id), interface.isRunning, !interface.settings.isLoopback else { return }
        if interface.sources.isEmpty {
            effects.append(event(.warning, "\(interface.settings.name) has no IPv4 address; nothing is sent there"))
        }
        requestTable(on: id, at: now, into: &effects)
        setRegularUpdate(id, now + .milliseconds(random.number(in: Self.firstUpdateDelay)))
    }

    /// The end in good order: neighbours hear that nothing is reached through here, and what was learned is withdrawn.
    private mutating func stop(at now: Instant, into effects: inout [Effect]) {
        for position in interfaces.indices where interfaces[position].isRunning {
            for target in updateTargets(InterfaceID(UInt16(truncatingIfNeeded: position))) {
                sendRoutes(nil, target, isGoodbye: true, at: now, into: &effects)
            }
        }
        for index in neighborOrder {
            removeNeighbor(index, reason: "\(version) is not configured", at: now, into: &effects)
        }
        // Withdrawals for what was offered, before the table is emptied.
        var updates: [RouteUpdate] = []
        for number in 0..<UInt32(table.capacity) where table.isPresent(number) && table[number].isOffered {
            updates.append(RouteUpdate(table.destination(number).prefix(version: version), nil))
        }
        if !updates.isEmpty { effects.append(.routes(updates)) }
        table = RouteTable(seed: random.next())
        neighbors = []
        neighborOrder = []
        changed = []
        dirty = []
        pending = []
        redistributedDefault = nil
        isTableLimitReported = false
        triggeredNotBefore = .zero
        timers.removeAll()
        for position in interfaces.indices { interfaces[position].regularAt = nil }
        configuration = nil
    }
}
