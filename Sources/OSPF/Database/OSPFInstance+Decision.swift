import Machine
import Records
import Routing
import Wire

/// Where the session machinery and the decision meet: what it sees of us, what it wants announced, when it calculates.
extension OSPFInstance {
    /// What the decision sees of this router.
    var localState: LocalState? {
        guard let configuration else { return nil }
        let list = interfaces.compactMap { interface -> LocalInterface? in
            guard let interface else { return nil }
            let neighbors = interface.neighbors.compactMap { index -> LocalNeighbor? in
                guard let neighbor = neighbor(index), neighbor.state >= .twoWay || neighbor.graceDeadline != nil else { return nil }
                return LocalNeighbor(
                    routerID: neighbor.routerID, address: neighbor.address, interfaceNumber: neighbor.interfaceNumber,
                    isAdjacent: neighbor.isAdjacent, options: neighbor.options)
            }
            return LocalInterface(
                id: interface.id, configuration: interface.configuration, device: interface.device, state: interface.state,
                dr: interface.dr, bdr: interface.bdr, interfaceNumber: interface.interfaceNumber,
                linkLocal: interface.linkLocal, neighbors: neighbors)
        }
        return LocalState(configuration: configuration, interfaces: list, isStubRouter: isStubRouter)
    }

    mutating func redistribute(_ updates: [RedistributionUpdate]) {}

    /// RFC 2328 §12.4: looks again at the own LSAs that what happened may have changed.
    mutating func originateWhatIsDirty(at now: Instant, into effects: inout [Effect]) {
        guard !dirty.isEmpty, let local = localState else { return }
        _ = dirty.take()
        var areas: [UInt32] = []
        for interface in local.interfaces where !areas.contains(interface.areaID) { areas.append(interface.areaID) }
        let topology = OwnTopology(local: local, isBorder: false, isBoundary: false, database: database)
        for area in areas.sorted() {
            let wanted = topology.lsas(of: area)
            for lsa in wanted { want(lsa, at: now, into: &effects) }
            // What is not wanted any more: the network of a link whose DR we were, and what went with it.
            var kept: [LSAKey] = wanted.map(\.key)
            kept.sort()
            unwantOthers(in: .area(area), kept, at: now, into: &effects)
        }
    }

    /// Ends own topology LSAs of a database that are not in the sorted list.
    private mutating func unwantOthers(
        in id: DatabaseID, _ kept: [LSAKey], at now: Instant, into effects: inout [Effect]
    ) {
        let types: [LSAType] = version == .v2 ? [.router, .network] : [.routerV3, .networkV3, .intraAreaPrefix]
        for type in types {
            for entry in database.entries(of: type, in: id)
            where entry.isOwn && !entry.lsa.header.isMaxAge && !kept.contains(entry.lsa.key) {
                unwant(entry.lsa.key, in: id, at: now, into: &effects)
            }
        }
    }

    mutating func withdrawRoutes(into effects: inout [Effect]) {}

    /// RFC 8405 §5.3: a change of the databases is an IGP event.
    mutating func noteDatabaseChanges(at now: Instant) {
        guard !database.changes.isEmpty, !needsCalculation, let settings = configuration?.spfTimers else { return }
        needsCalculation = true
        trigger(settings, at: now)
    }

    private mutating func trigger(_ settings: OSPFSPFTimers, at now: Instant) {
        let answer = backOff.igpEvent(settings)
        timers.set(OSPFTimer(.spfHoldDown), at: now + .milliseconds(Int(settings.holdDown)))
        if answer.startsLearn { timers.set(OSPFTimer(.spfLearn), at: now + .milliseconds(Int(settings.timeToLearn))) }
        if !timers.isRunning(OSPFTimer(.spf)) { timers.set(OSPFTimer(.spf), at: now + answer.delay) }
    }

    mutating func calculate(at now: Instant, into effects: inout [Effect]) {
        needsCalculation = false
        let changes = database.takeChanges()
        log.append(SPFLog.Entry(trigger: now, time: now, changes: changes.count, routes: 0))
    }
}

/// What the decision keeps between two inputs.
struct DecisionState: Sendable {}

extension OSPFInstance {
    func writeDecision(to writer: inout SnapshotWriter) {}
    mutating func readDecision(from reader: inout SnapshotReader) throws(DecodeError) {}
    func mixDecision(into digest: inout StateDigest) {}
}
