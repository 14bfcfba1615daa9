import Machine
import Records
import Routing
import Wire

/// What the decision keeps between two inputs.
struct DecisionState: Sendable {
    var calculation: RouteCalculation
    /// When the first change came that the next calculation answers.
    var trigger: Instant?

    init(seed: UInt64) { calculation = RouteCalculation(seed: seed) }
}

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

    // MARK: own LSAs

    /// RFC 2328 §12.4: looks again at the own LSAs that what happened may have changed.
    mutating func originateWhatIsDirty(at now: Instant, into effects: inout [Effect]) {
        guard !dirty.isEmpty, !dirty.isDelayed, let local = localState else { return }
        let initialDelay = local.configuration.lsaTimers.initialDelay
        if initialDelay > 0, !dirty.isWaitOver {
            dirty.isDelayed = true
            timers.set(OSPFTimer(.origination), at: now + .milliseconds(Int(initialDelay)))
            return
        }
        let work = dirty.take()
        // Next hops and links of ours depend on the same state, whether or not an LSA says it differently.
        askForCalculation(at: now)
        var areas: [UInt32] = []
        for interface in local.interfaces where work.isEverything || work.areas.contains(interface.areaID) {
            if !areas.contains(interface.areaID) { areas.append(interface.areaID) }
        }
        let topology = OwnTopology(
            local: local, isBorder: RouteCalculation.isBorderRouter(local), isBoundary: false, database: database)
        for area in areas.sorted() {
            let wanted = topology.lsas(of: area)
            for lsa in wanted { want(lsa, at: now, into: &effects) }
            endOthers(in: .area(area), wanted.map(\.key), at: now, into: &effects)
        }
    }

    /// Ends own topology LSAs that are not wanted any more: the network of a link whose DR we were, and what went with it.
    private mutating func endOthers(
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

    // MARK: routes

    /// RFC 8405 §5.3: a change of the databases is an IGP event.
    mutating func noteDatabaseChanges(at now: Instant) {
        guard !database.changes.isEmpty else { return }
        askForCalculation(at: now)
    }

    private mutating func askForCalculation(at now: Instant) {
        guard !needsCalculation, let settings = configuration?.spfTimers else { return }
        needsCalculation = true
        decision.trigger = now
        let answer = backOff.igpEvent(settings)
        timers.set(OSPFTimer(.spfHoldDown), at: now + .milliseconds(Int(settings.holdDown)))
        if answer.startsLearn { timers.set(OSPFTimer(.spfLearn), at: now + .milliseconds(Int(settings.timeToLearn))) }
        if !timers.isRunning(OSPFTimer(.spf)) { timers.set(OSPFTimer(.spf), at: now + answer.delay) }
    }

    /// RFC 8405's SPF_TIMER fired.
    mutating func calculate(at now: Instant, into effects: inout [Effect]) {
        guard needsCalculation, let local = localState else { return }
        needsCalculation = false
        let changes = database.takeChanges()
        let outcome = decision.calculation.calculate(changes, local: local, database: database)
        if !outcome.updates.isEmpty { effects.append(.routes(outcome.updates)) }
        if outcome.isBorderChanged { dirty.everything() }
        log.append(
            SPFLog.Entry(
                trigger: decision.trigger ?? now, time: now, changes: changes.count, routes: outcome.updates.count))
    }

    /// All routes go: the protocol ends.
    mutating func withdrawRoutes(into effects: inout [Effect]) {
        let gone = decision.calculation.routes.filter { !$0.isConnected }.map { RouteUpdate($0.prefix, nil) }
        if !gone.isEmpty { effects.append(.routes(gone)) }
    }

    /// The routing table of the protocol, ascending by prefix.
    public var routes: [CalculatedRoute] { decision.calculation.routes }
    public var boundaryRouters: [CalculatedRouter] { decision.calculation.boundaryRouters }
    public var isAreaBorderRouter: Bool { decision.calculation.isBorderRouter }
    /// Distances to the routers of an area, ascending by Router ID.
    public func routers(in area: UInt32) -> [(routerID: UInt32, distance: UInt32, flags: RouterLSABody.Flags)] {
        decision.calculation.routers(in: area)
    }

    // MARK: snapshot

    func writeDecision(to writer: inout SnapshotWriter) {
        writer.write(decision.calculation.seed)
        writer.write(decision.trigger)
        decision.calculation.write(to: &writer)
    }

    mutating func readDecision(from reader: inout SnapshotReader) throws(DecodeError) {
        decision = DecisionState(seed: try reader.read())
        decision.trigger = try reader.readOptionalInstant()
        decision.calculation = try RouteCalculation(from: &reader, seed: decision.calculation.seed)
    }

    func mixDecision(into digest: inout StateDigest) {
        digest.mix(UInt64(decision.calculation.isBorderRouter ? 1 : 0))
    }
}
