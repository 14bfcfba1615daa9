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
        for area in areas.sorted() {
            var writer = ByteWriter()
            writer.u16(0)
            let count = writer.reserve16()
            var links: UInt16 = 0
            for interface in local.interfaces where interface.areaID == area {
                for neighbor in interface.neighbors where neighbor.isAdjacent {
                    writer.u32(neighbor.routerID)
                    writer.u32(interface.interfaceNumber)
                    writer.u32(1 << 24 | UInt32(interface.configuration.cost))
                    links += 1
                }
            }
            writer.patch16(count, links)
            let key = LSAKey(
                type: version == .v2 ? .router : .routerV3, linkStateID: version == .v2 ? routerID : 0,
                advertisingRouter: routerID)
            want(
                WantedLSA(database: .area(area), key: key, options: version == .v2 ? 2 : 0, body: writer.bytes), at: now,
                into: &effects)
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
