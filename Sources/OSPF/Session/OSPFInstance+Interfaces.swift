import Machine
import Records
import Routing
import Wire

/// RFC 2328 §9: the interface state machine and what its states mean.
extension OSPFInstance {
    static let allSPFRouters = IPAddress.v4(IPv4Address(224, 0, 0, 5))
    static let allDRouters = IPAddress.v4(IPv4Address(224, 0, 0, 6))
    static let allSPFRoutersV6 = IPAddress.v6(IPv6Address(high: 0xff02 << 48, low: 5))
    static let allDRoutersV6 = IPAddress.v6(IPv6Address(high: 0xff02 << 48, low: 6))

    /// What Hellos call us on the link: the interface address, or the Router ID (RFC 5340 §4.2.1).
    func ownIdentity(on interface: OSPFInterface) -> UInt32 {
        version == .v2 ? interface.primary?.address.raw ?? 0 : routerID
    }
    func identity(of neighbor: OSPFNeighbor) -> UInt32 {
        guard version == .v2 else { return neighbor.routerID }
        if case .v4(let address) = neighbor.address { return address.raw }
        return 0
    }

    // MARK: §9.3 the state machine

    mutating func interfaceEvent(_ event: OSPFInterfaceEvent, _ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id) else { return }
        switch (interface.state, event) {
        case (.down, .interfaceUp):
            if interface.configuration.isPassive || interface.configuration.network == .loopback {
                setState(.loopback, id, at: now, into: &effects)
            } else if !interface.isBroadcast {
                setState(.pointToPoint, id, at: now, into: &effects)
                startHellos(id, at: now, into: &effects)
            } else if interface.configuration.priority == 0 {
                setState(.drOther, id, at: now, into: &effects)
                startHellos(id, at: now, into: &effects)
            } else {
                setState(.waiting, id, at: now, into: &effects)
                timers.set(
                    OSPFTimer(.wait, UInt32(id.value)), at: now + .seconds(Int(interface.configuration.routerDeadInterval)))
                startHellos(id, at: now, into: &effects)
            }
        case (.waiting, .backupSeen), (.waiting, .waitTimer):
            timers.cancel(OSPFTimer(.wait, UInt32(id.value)))
            electDesignatedRouter(id, at: now, into: &effects)
        case (.drOther, .neighborChange), (.backup, .neighborChange), (.dr, .neighborChange):
            electDesignatedRouter(id, at: now, into: &effects)
        case (.down, _): break
        case (_, .interfaceDown):
            for kind in [OSPFTimer.Kind.hello, .wait, .delayedAcknowledgement] {
                timers.cancel(OSPFTimer(kind, UInt32(id.value)))
            }
            // §9.3: all interface variables are reset, and KillNbr goes to every neighbour, as LLDown does here.
            for neighbor in interface.neighbors { neighborEvent(.llDown, neighbor, at: now, into: &effects) }
            interfaces[Int(id.value)]?.dr = 0
            interfaces[Int(id.value)]?.bdr = 0
            interfaces[Int(id.value)]?.delayedAcknowledgements = []
            interfaces[Int(id.value)]?.floodQueue = []
            setState(.down, id, at: now, into: &effects)
            forgetLinkDatabase(id)
        default: break
        }
    }

    private mutating func setState(_ state: OSPFInterfaceState, _ id: InterfaceID, at now: Instant, into effects: inout [Effect])
    {
        guard let old = interface(id)?.state, old != state else { return }
        interfaces[Int(id.value)]?.state = state
        interfaces[Int(id.value)]?.changed = now
        if let interface = interface(id) {
            event(.info, "interface \(interface.device.name): \(old) to \(state)", into: &effects)
            dirty.link(id, area: interface.areaID)
            // Areas come and go with their interfaces, and so do networks that forwarding addresses may be on.
            dirty.summaries = true
            dirty.externals = true
        }
    }

    /// A link's own LSAs go with the link: nobody else has it.
    private mutating func forgetLinkDatabase(_ id: InterfaceID) {
        var handles: [LSAHandle] = []
        database.walk(.link(id.value)) { handle, _ in
            handles.append(handle)
            return true
        }
        forget(handles)
    }

    // MARK: §9.4 the election

    mutating func electDesignatedRouter(_ id: InterfaceID, at now: Instant, into effects: inout [Effect]) {
        guard let interface = interface(id), interface.isBroadcast, interface.state > .loopback else { return }
        let own = DesignatedRouterElection.Candidate(
            identity: ownIdentity(on: interface), routerID: routerID, priority: interface.configuration.priority,
            declaredDR: interface.dr, declaredBDR: interface.bdr)
        let others = interface.neighbors.compactMap { index -> DesignatedRouterElection.Candidate? in
            guard let neighbor = neighbor(index), neighbor.state >= .twoWay else { return nil }
            return DesignatedRouterElection.Candidate(
                identity: identity(of: neighbor), routerID: neighbor.routerID, priority: neighbor.priority,
                declaredDR: neighbor.dr, declaredBDR: neighbor.bdr)
        }
        let result = DesignatedRouterElection.elect(own: own, others: others)
        // (5)
        let state: OSPFInterfaceState =
            result.dr == own.identity ? .dr : result.bdr == own.identity ? .backup : .drOther
        interfaces[Int(id.value)]?.dr = result.dr
        interfaces[Int(id.value)]?.bdr = result.bdr
        setState(state, id, at: now, into: &effects)
        guard result.dr != interface.dr || result.bdr != interface.bdr else { return }
        dirty.link(id, area: interface.areaID)
        // (7): with another DR or Backup, which adjacencies there must be is another question.
        for neighbor in interface.neighbors where (self.neighbor(neighbor)?.state ?? .down) >= .twoWay {
            neighborEvent(.adjOK, neighbor, at: now, into: &effects)
        }
    }

    /// RFC 2328 §10.4: whether to become adjacent with a neighbour that is in 2-Way at least.
    func wantsAdjacency(with neighbor: OSPFNeighbor) -> Bool {
        guard let interface = interface(neighbor.interface) else { return false }
        if !interface.isBroadcast { return true }
        // The Waiting interface has no DR yet.
        if interface.state == .dr || interface.state == .backup { return true }
        let identity = identity(of: neighbor)
        return identity != 0 && (identity == interface.dr || identity == interface.bdr)
    }

    // MARK: carrier

    mutating func setCarrier(_ id: InterfaceID, isUp: Bool, at now: Instant, into effects: inout [Effect]) {
        let at = carrierLost.firstIndex { $0 >= id } ?? carrierLost.count
        let isLost = at < carrierLost.count && carrierLost[at] == id
        if isUp, isLost { carrierLost.remove(at: at) }
        if !isUp, !isLost { carrierLost.insert(id, at: at) }
        guard let interface = interface(id), interface.isUp != isUp else { return }
        interfaces[Int(id.value)]?.isUp = isUp
        interfaceEvent(isUp ? .interfaceUp : .interfaceDown, id, at: now, into: &effects)
    }
}
