import Machine
import Records
import Routing
import Wire

/// A configuration takes the place of the one before; what it does not change is not disturbed.
extension OSPFInstance {
    mutating func configure(
        _ new: OSPFConfiguration?, _ devices: [InterfaceConfiguration], at now: Instant, into effects: inout [Effect]
    ) {
        self.devices = devices
        guard let new else { return stop(at: now, into: &effects) }
        let old = configuration
        // Another identity is another router: everything ends and begins anew.
        if let old,
            old.routerID != new.routerID || old.version != new.version || old.family != new.family
                || old.instanceID != new.instanceID
        {
            stop(at: now, into: &effects)
        }
        if configuration == nil { begin(at: now) }
        configuration = new
        if let stub = new.stubRouter, stub.onStartup > 0 {
            let end = started + .seconds(Int(stub.onStartup))
            if end > now { timers.set(OSPFTimer(.stubRouter), at: end) }
        } else {
            timers.cancel(OSPFTimer(.stubRouter))
        }

        var wanted = [OSPFInterface?](repeating: nil, count: devices.count)
        for (i, device) in devices.enumerated() {
            guard let settings = new.interfaces.first(where: { $0.name == device.name }), i <= Int(UInt16.max) else { continue }
            guard new.version == .v3 || device.addresses.contains(where: { $0.address.family == .ipv4 }) else { continue }
            wanted[i] = OSPFInterface(id: InterfaceID(UInt16(i)), configuration: settings, device: device)
        }
        let changedAreas = Self.areasWithOtherHellos(old, new)
        // First what ends, so that no neighbour is told of a mixture.
        for i in interfaces.indices {
            guard let interface = interfaces[i] else { continue }
            let successor = i < wanted.count ? wanted[i] : nil
            guard let successor, !Self.mustRestart(interface, successor),
                !changedAreas.contains(interface.configuration.areaID)
            else {
                interfaceEvent(.interfaceDown, interface.id, at: now, into: &effects)
                dirty.link(interface.id, area: interface.areaID)
                interfaces[i] = nil
                continue
            }
        }
        while interfaces.count < wanted.count { interfaces.append(nil) }
        // Before neighbours are told what is here.
        forgetRefused()
        for i in wanted.indices {
            guard var interface = wanted[i] else { continue }
            if let kept = interfaces[i] {
                adopt(interface, over: kept, at: now, into: &effects)
                continue
            }
            interface.isUp = !carrierLost.contains(interface.id)
            interfaces[i] = interface
            if interface.isUp { interfaceEvent(.interfaceUp, interface.id, at: now, into: &effects) }
        }
        forgetAreas()
        interfaces.removeLast(interfaces.count - wanted.count)
        dirty.everything()
        tellSubscriptions(into: &effects)
    }

    private mutating func begin(at now: Instant) {
        started = now
    }

    /// What cannot change under a neighbour's eyes: it would refuse our Hellos, or know us by another address.
    private static func mustRestart(_ old: OSPFInterface, _ new: OSPFInterface) -> Bool {
        let a = old.configuration, b = new.configuration
        return a.areaID != b.areaID || a.network != b.network || a.isPassive != b.isPassive
            || old.device.name != new.device.name || old.device.isLoopback != new.device.isLoopback
            || old.primary?.address != new.primary?.address || old.primary?.prefixLength != new.primary?.prefixLength
            || old.linkLocal != new.linkLocal
    }

    /// Areas whose kind changed in a way that the E-bit or the N-bit of Hellos tells (RFC 2328 §10.5, RFC 3101 §2.3).
    /// Whether summaries are imported is this router's own affair: no neighbour hears of it but by their coming or
    /// going.
    private static func areasWithOtherHellos(_ old: OSPFConfiguration?, _ new: OSPFConfiguration) -> [IPv4Address] {
        guard let old else { return [] }
        let names = (old.areas + new.areas).map(\.areaID)
        return names.filter {
            let before = old.area($0).kind, after = new.area($0).kind
            return before.importsExternals != after.importsExternals || before.isNSSA != after.isNSSA
        }
    }

    /// LSAs that areas of the kind they are of now refuse. Were they kept, they would be described to neighbours, which
    /// would refuse them in every exchange until they reach MaxAge; every router of the area forgets them by itself.
    private mutating func forgetRefused() {
        for id in database.databaseIDs where id.scope == .area {
            var refused: [LSAHandle] = []
            database.walk(id) { handle, entry in
                if isAllowed(entry.lsa.key.type, in: id.number) != nil { refused.append(handle) }
                return true
            }
            forget(refused)
        }
    }

    /// Takes over what may change while neighbours stay.
    private mutating func adopt(
        _ new: OSPFInterface, over old: OSPFInterface, at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(new.id.value)
        interfaces[i]?.configuration = new.configuration
        interfaces[i]?.device = new.device
        if old.configuration.helloInterval != new.configuration.helloInterval, old.speaks {
            helloTimer(new.id, at: now, into: &effects)
        }
        if old.configuration.priority != new.configuration.priority {
            interfaceEvent(.neighborChange, new.id, at: now, into: &effects)
        }
        if old.configuration.bfd != new.configuration.bfd {
            for index in old.neighbors where (neighbor(index)?.state ?? .down) >= .twoWay {
                wantBFD(index, new.configuration.bfd, into: &effects)
            }
        }
    }

    /// Databases of areas and links that we are no longer part of.
    private mutating func forgetAreas() {
        for id in database.databaseIDs {
            let isOurs: Bool
            switch id.scope {
            case .link: isOurs = interfaces.contains { $0.map { UInt32($0.id.value) == id.number } ?? false }
            case .area: isOurs = interfaces.contains { $0?.areaID == id.number }
            case .autonomousSystem:
                isOurs = interfaces.contains { $0.map { areaKind($0.areaID).importsExternals } ?? false }
            }
            guard !isOurs else { continue }
            forgetDatabase(id)
        }
    }

    mutating func forgetDatabase(_ id: DatabaseID) {
        var handles: [LSAHandle] = []
        database.walk(id) { handle, _ in
            handles.append(handle)
            return true
        }
        forget(handles)
    }

    /// The end in good order: our LSAs are flushed, routes withdrawn, and a last Hello names no neighbour, so that all
    /// of them drop us at once (RFC 2328 §10.2 1-WayReceived) and not after RouterDeadInterval.
    private mutating func stop(at now: Instant, into effects: inout [Effect]) {
        guard configuration != nil else { return }
        for raw in 0..<database.handleEnd {
            let handle = LSAHandle(raw)
            if let entry = database[handle], entry.isOwn {
                forgetSuccessor(handle)
                flushNow(handle, at: now, into: &effects)
            }
        }
        sendFloodQueues(at: now, into: &effects)
        for id in interfaceIDs {
            let neighbors = interface(id)?.neighbors ?? []
            let spoke = interface(id)?.speaks == true
            for index in neighbors { neighborEvent(.killNbr("OSPF ends"), index, at: now, into: &effects) }
            if spoke { sendHello(id, at: now, into: &effects) }
            interfaceEvent(.interfaceDown, id, at: now, into: &effects)
        }
        withdrawRoutes(into: &effects)
        let spent = self
        self = OSPFInstance(seed: 0)
        random = spent.random
        decision = DecisionState(seed: random.next())
        // What there is to announce is told once; it stays for the next beginning.
        decision.redistributed = spent.decision.redistributed
        devices = spent.devices
        carrierLost = spent.carrierLost
        lastSequence = spent.lastSequence
        log = spent.log
        effects.append(.subscriptions([]))
    }

    private func tellSubscriptions(into effects: inout [Effect]) {
        let groups =
            version == .v2 ? [Self.allSPFRouters, Self.allDRouters] : [Self.allSPFRoutersV6, Self.allDRoutersV6]
        effects.append(
            .subscriptions(
                interfaces.compactMap {
                    guard let interface = $0, !interface.configuration.isPassive, interface.configuration.network != .loopback
                    else { return nil }
                    return PacketSubscription(
                        interface: interface.id, packetProtocol: packetProtocol, groups: groups.map { .ip($0) })
                }))
    }

    /// RFC 6987: whether we ask others to route around us now.
    var isStubRouter: Bool {
        guard let stub = configuration?.stubRouter else { return false }
        return stub.always || timers.isRunning(OSPFTimer(.stubRouter))
    }
}
