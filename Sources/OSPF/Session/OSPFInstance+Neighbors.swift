import Machine
import Records
import Routing
import Wire

/// RFC 2328 §10.3: the neighbour state machine.
extension OSPFInstance {
    mutating func neighborEvent(
        _ event: OSPFNeighborEvent, _ index: NeighborIndex, at now: Instant, into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(index) else { return }
        switch (neighbor.state, event) {
        case (.down, .helloReceived):
            setState(.`init`, index, event, at: now, into: &effects)
        case (.`init`, .twoWayReceived):
            if wantsAdjacency(with: neighbor) {
                setState(.exStart, index, event, at: now, into: &effects)
                startExchange(index, at: now, into: &effects)
            } else {
                setState(.twoWay, index, event, at: now, into: &effects)
            }
        case (.exStart, .negotiationDone):
            setState(.exchange, index, event, at: now, into: &effects)
            beginSummary(index, at: now)
        case (.exchange, .exchangeDone):
            timers.cancel(OSPFTimer(.databaseDescription, index.value))
            if neighbor.requests.isEmpty {
                setState(.full, index, event, at: now, into: &effects)
            } else {
                setState(.loading, index, event, at: now, into: &effects)
                sendRequest(index, at: now, into: &effects)
            }
        case (.loading, .loadingDone):
            setState(.full, index, event, at: now, into: &effects)
        case (.twoWay, .adjOK):
            if wantsAdjacency(with: neighbor) {
                setState(.exStart, index, event, at: now, into: &effects)
                startExchange(index, at: now, into: &effects)
            }
        case (.exStart..., .adjOK):
            if !wantsAdjacency(with: neighbor) {
                clearLists(index)
                setState(.twoWay, index, event, at: now, into: &effects)
            }
        case (.exchange..., .seqNumberMismatch), (.exchange..., .badLSReq):
            clearLists(index)
            setState(.exStart, index, event, at: now, into: &effects)
            startExchange(index, at: now, into: &effects)
        case (_, .killNbr), (_, .llDown), (_, .inactivityTimer):
            removeNeighbor(index, event, at: now, into: &effects)
        case (.twoWay..., .oneWayReceived):
            // RFC 3623 §3.1: a restarting neighbour has forgotten us and learns of us again.
            if neighbor.graceDeadline != nil { return }
            clearLists(index)
            setState(.`init`, index, event, at: now, into: &effects)
        default: break
        }
    }

    /// §10.3 "clear the lists": of Database summary, Link state request and Link state retransmission.
    mutating func clearLists(_ index: NeighborIndex) {
        let i = Int(index.value)
        guard let neighbor = neighbor(index) else { return }
        for kind in [OSPFTimer.Kind.databaseDescription, .linkStateRequest, .retransmission] {
            timers.cancel(OSPFTimer(kind, index.value))
        }
        for handle in neighbor.retransmissions.handles { database.release(handle) }
        if !neighbor.retransmissions.isEmpty { mayRemove = true }
        neighbors[i]?.retransmissions = RetransmissionList()
        neighbors[i]?.requests.removeAll()
        neighbors[i]?.summaryNext = 0
        neighbors[i]?.summaryEnd = 0
        neighbors[i]?.hasMore = false
    }

    /// What follows from every change of state.
    private mutating func setState(
        _ state: OSPFNeighborState, _ index: NeighborIndex, _ cause: OSPFNeighborEvent, at now: Instant,
        into effects: inout [Effect]
    ) {
        let i = Int(index.value)
        guard let before = neighbor(index), before.state != state else { return }
        neighbors[i]?.state = state
        neighbors[i]?.changed = now
        neighbors[i]?.stateChanges &+= 1
        neighbors[i]?.lastReason = "\(cause)"
        guard let neighbor = neighbor(index), let interface = interface(neighbor.interface) else { return }

        let wasExchanging = before.state == .exchange || before.state == .loading
        let isExchanging = state == .exchange || state == .loading
        if wasExchanging != isExchanging { exchanging += isExchanging ? 1 : -1 }
        if wasExchanging, !isExchanging, exchanging == 0 { mayRemove = true }

        let severity: Event.Severity = state == .full || before.state == .full ? .notice : .info
        self.event(
            severity,
            "neighbor \(IPv4Address(raw: neighbor.routerID)) on \(interface.device.name): "
                + "\(before.state) to \(state) (\(cause))", into: &effects)

        if (before.state == .full) != (state == .full), before.isAdjacent != neighbor.isAdjacent {
            dirty.link(neighbor.interface, area: interface.areaID)
        }
        // RFC 5882 §4.4.1: watched from the moment both sides hear each other.
        if state >= .twoWay, interface.configuration.bfd, !neighbor.isBFDWanted { wantBFD(index, true, into: &effects) }
        if state < .twoWay, neighbor.isBFDWanted { wantBFD(index, false, into: &effects) }
        // §9.2 NeighborChange: bidirectional communication came or went.
        if (before.state >= .twoWay) != (state >= .twoWay) {
            dirty.link(neighbor.interface, area: interface.areaID)
            interfaceEvent(.neighborChange, neighbor.interface, at: now, into: &effects)
        }
    }

    // MARK: coming and going

    /// Makes the data structure of a neighbour that was not known.
    mutating func addNeighbor(_ routerID: UInt32, _ address: IPAddress, on id: InterfaceID) -> NeighborIndex? {
        guard let interface = interface(id), let limits = configuration?.limits,
            interface.neighbors.count < Int(limits.neighborsPerInterface)
        else {
            drop(.tooManyNeighbors, on: id)
            return nil
        }
        let slot = neighbors.firstIndex { $0 == nil } ?? neighbors.count
        if slot == neighbors.count { neighbors.append(nil) }
        neighbors[slot] = OSPFNeighbor(interface: id, routerID: routerID, address: address)
        let index = NeighborIndex(UInt32(slot))
        let at = interface.neighbors.firstIndex { (neighbor($0)?.routerID ?? 0) > routerID } ?? interface.neighbors.count
        interfaces[Int(id.value)]?.neighbors.insert(index, at: at)
        return index
    }

    private mutating func removeNeighbor(
        _ index: NeighborIndex, _ cause: OSPFNeighborEvent, at now: Instant, into effects: inout [Effect]
    ) {
        guard let neighbor = neighbor(index) else { return }
        if neighbor.graceDeadline != nil {
            neighbors[Int(index.value)]?.graceDeadline = nil
            dirty.link(neighbor.interface, area: interface(neighbor.interface)?.areaID ?? 0)
        }
        clearLists(index)
        setState(.down, index, cause, at: now, into: &effects)
        if self.neighbor(index)?.isBFDWanted == true { wantBFD(index, false, into: &effects) }
        for kind in [OSPFTimer.Kind.inactivity, .grace] { timers.cancel(OSPFTimer(kind, index.value)) }
        interfaces[Int(neighbor.interface.value)]?.neighbors.removeAll { $0 == index }
        neighbors[Int(index.value)] = nil
    }

    /// The neighbour that a packet comes from: by Router ID, except on a broadcast network of OSPFv2, where the source
    /// address names it (RFC 2328 §10, RFC 5340 §4.2.2).
    func neighborIndex(routerID: UInt32, source: IPAddress, on interface: OSPFInterface) -> NeighborIndex? {
        let byAddress = version == .v2 && interface.isBroadcast
        return interface.neighbors.first {
            guard let neighbor = neighbor($0) else { return false }
            return byAddress ? neighbor.address == source : neighbor.routerID == routerID
        }
    }

    // MARK: timers

    mutating func inactivityTimer(_ index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index) else { return }
        if neighbor.deadDeadline > now {
            timers.set(OSPFTimer(.inactivity, index.value), at: neighbor.deadDeadline)
        } else if let grace = neighbor.graceDeadline, grace > now {
            // RFC 3623 §3.1: silence is what a restart looks like.
            neighbors[Int(index.value)]?.deadDeadline = grace
            timers.set(OSPFTimer(.inactivity, index.value), at: grace)
        } else {
            neighborEvent(.inactivityTimer, index, at: now, into: &effects)
        }
    }

    // MARK: BFD (RFC 5882)

    mutating func wantBFD(_ index: NeighborIndex, _ isWanted: Bool, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index), let peer = bfdPeer(neighbor) else { return }
        neighbors[Int(index.value)]?.isBFDWanted = isWanted
        neighbors[Int(index.value)]?.isBFDUp = false
        effects.append(.bfd(peer, isWanted: isWanted))
    }

    func bfdPeer(_ neighbor: OSPFNeighbor) -> BFDPeer? {
        guard let interface = interface(neighbor.interface) else { return nil }
        let local: IPAddress
        if version == .v2 {
            guard let primary = interface.primary else { return nil }
            local = .v4(primary.address)
        } else {
            local = .v6(interface.linkLocal)
        }
        return BFDPeer(interface: neighbor.interface, local: local, remote: neighbor.address)
    }

    mutating func hearBFD(_ peer: BFDPeer, isUp: Bool, at now: Instant, into effects: inout [Effect]) {
        for i in neighbors.indices {
            guard let neighbor = neighbors[i], neighbor.isBFDWanted, bfdPeer(neighbor) == peer else { continue }
            let wasUp = neighbor.isBFDUp
            neighbors[i]?.isBFDUp = isUp
            // RFC 5882 §4.2: only a session that was up can take the adjacency down with it.
            if wasUp, !isUp { neighborEvent(.killNbr("BFD session down"), NeighborIndex(UInt32(i)), at: now, into: &effects) }
        }
    }
}
