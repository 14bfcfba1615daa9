import Machine
import Records
import Routing
import SPF
import Wire

/// What the decision keeps between two inputs.
struct DecisionState: Sendable {
    var calculation: RouteCalculation
    /// Routes of other protocols to announce.
    var redistributed = RedistributionTable()
    /// RFC 2328 §3.3: whether our router LSAs say that we are an AS boundary router.
    var isBoundaryRouter = false
    /// When externals were last worked out; with many of them that is not done for each of their changes.
    var externalsMade: Instant?
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
                guard let neighbor = neighbor(index), neighbor.state >= .twoWay || neighbor.graceDeadline != nil else {
                    return nil
                }
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

    // MARK: own LSAs

    mutating func redistribute(_ updates: [RedistributionUpdate], into effects: inout [Effect]) {
        let limit = Int(configuration?.limits.redistributedMaximum ?? .max)
        let before = decision.redistributed.entries.count
        guard decision.redistributed.apply(updates) else { return }
        dirty.externals = true
        let count = decision.redistributed.entries.count
        if before <= limit, count > limit {
            event(.alarm, "\(count) routes are redistributed; the first \(limit) are announced", into: &effects)
        }
    }

    /// RFC 2328 §12.4: looks again at the own LSAs that what happened may have changed.
    mutating func originateWhatIsDirty(at now: Instant, into effects: inout [Effect]) {
        guard !dirty.isEmpty, !dirty.isDelayed, let local = localState else { return }
        let initialDelay = local.configuration.lsaTimers.initialDelay
        if initialDelay > 0, !dirty.isWaitOver {
            dirty.isDelayed = true
            timers.set(OSPFTimer(.origination), at: now + .milliseconds(Int(initialDelay)))
            return
        }
        var work = dirty.take()
        if work.externals || work.isEverything { makeExternals(local, &work, at: now, into: &effects) }
        if work.isTopology {
            // Next hops and links of ours depend on the same state, whether or not an LSA says it differently.
            askForCalculation(at: now)
            makeTopology(local, work, at: now, into: &effects)
        }
        if work.summaries || work.isEverything { makeSummaries(local, at: now, into: &effects) }
    }

    private func attachedAreas(_ local: LocalState) -> [UInt32] {
        var areas: [UInt32] = []
        for interface in local.interfaces where !areas.contains(interface.areaID) { areas.append(interface.areaID) }
        return areas.sorted()
    }

    private mutating func makeTopology(
        _ local: LocalState, _ work: OriginationWork, at now: Instant, into effects: inout [Effect]
    ) {
        let externals = ownExternals(local)
        let types: [LSAType] = version == .v2 ? [.router, .network] : [.routerV3, .networkV3, .intraAreaPrefix]
        for area in attachedAreas(local) where work.isEverything || work.areas.contains(area) {
            let topology = OwnTopology(
                local: local, isBorder: RouteCalculation.isBorderRouter(local), isBoundary: decision.isBoundaryRouter,
                isTranslator: externals.isTranslator(of: area)
                    && local.configuration.area(IPv4Address(raw: area)).nssaTranslator == .always,
                database: database)
            let wanted = topology.lsas(of: area)
            for lsa in wanted { want(lsa, at: now, into: &effects) }
            endOthers(types, in: .area(area), wanted.map(\.key).sorted(), at: now, into: &effects)
        }
    }

    private mutating func makeSummaries(_ local: LocalState, at now: Instant, into effects: inout [Effect]) {
        let summaries = OwnSummaries(local: local, calculation: decision.calculation, database: database)
        for area in attachedAreas(local) {
            let wanted = summaries.lsas(into: area)
            for lsa in wanted { want(lsa, at: now, into: &effects) }
            endOthers(OwnSummaries.types(version), in: .area(area), wanted.map(\.key), at: now, into: &effects)
        }
    }

    private func ownExternals(_ local: LocalState) -> OwnExternals {
        OwnExternals(
            local: local, calculation: decision.calculation, redistributed: decision.redistributed, database: database)
    }

    /// Working them out costs in proportion to all of them, so after one such time the next waits a little.
    private mutating func makeExternals(
        _ local: LocalState, _ work: inout OriginationWork, at now: Instant, into effects: inout [Effect]
    ) {
        let timer = OSPFTimer(.externals)
        let interval = Self.externalsInterval + .microseconds(20 * decision.redistributed.entries.count)
        if let last = decision.externalsMade, now < last + interval {
            if !timers.isRunning(timer) { timers.set(timer, at: last + interval) }
            return
        }
        timers.cancel(timer)
        decision.externalsMade = now
        let externals = ownExternals(local)
        if externals.isBoundaryRouter != decision.isBoundaryRouter {
            decision.isBoundaryRouter.toggle()
            work.everything()
        }
        var databases = attachedAreas(local).map { DatabaseID.area($0) }
        databases.append(.autonomousSystem)
        for id in databases {
            guard let type = OwnExternals.type(version, in: id) else { continue }
            let wanted = externals.lsas(in: id)
            for lsa in wanted { want(lsa, at: now, into: &effects) }
            endOthers([type], in: id, wanted.map(\.key), at: now, into: &effects)
        }
    }

    private static let externalsInterval = Duration.milliseconds(200)

    /// Ends own LSAs of these types that are not wanted any more.
    ///
    /// - Parameter kept: ascending.
    private mutating func endOthers(
        _ types: [LSAType], in id: DatabaseID, _ kept: [LSAKey], at now: Instant, into effects: inout [Effect]
    ) {
        var ended: [LSAKey] = []
        for type in types {
            var next = 0
            database.walk(id, from: LSAKey(type: type, linkStateID: 0, advertisingRouter: 0)) { _, entry in
                guard entry.lsa.key.type == type else { return false }
                guard entry.isOwn, !entry.lsa.header.isMaxAge else { return true }
                while next < kept.count, kept[next] < entry.lsa.key { next += 1 }
                if next == kept.count || kept[next] != entry.lsa.key { ended.append(entry.lsa.key) }
                return true
            }
        }
        for key in ended { unwant(key, in: id, at: now, into: &effects) }
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
        let start = backOff.event(settings)
        timers.set(OSPFTimer(.spfHoldDown), at: now + start.holdDown)
        if let learn = start.learn { timers.set(OSPFTimer(.spfLearn), at: now + learn) }
        if !timers.isRunning(OSPFTimer(.spf)) { timers.set(OSPFTimer(.spf), at: now + start.delay) }
    }

    /// RFC 8405's SPF_TIMER fired.
    mutating func calculate(at now: Instant, into effects: inout [Effect]) {
        guard needsCalculation, let local = localState else { return }
        needsCalculation = false
        let changes = database.takeChanges()
        let outcome = decision.calculation.calculate(changes, local: local, database: database)
        if !outcome.updates.isEmpty { effects.append(.routes(outcome.updates)) }
        if outcome.isBorderChanged { dirty.everything() }
        if !outcome.changedPrefixes.isEmpty || !outcome.changedRouters.isEmpty { dirty.summaries = true }
        // RFC 3101 §3: what is translated follows the routes, and who translates follows the area's border routers.
        if outcome.isBorderChanged || decision.calculation.isBorderRouter,
            local.configuration.areas.contains(where: { $0.kind.isNSSA }),
            !outcome.changedPrefixes.isEmpty || !outcome.areas.isEmpty || !changes.isEmpty
        {
            dirty.externals = true
        }
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
        decision.redistributed.write(to: &writer)
        writer.write(decision.isBoundaryRouter)
        writer.write(decision.externalsMade)
    }

    mutating func readDecision(from reader: inout SnapshotReader) throws(DecodeError) {
        decision = DecisionState(seed: try reader.read())
        decision.trigger = try reader.readOptionalInstant()
        decision.calculation = try RouteCalculation(from: &reader, seed: decision.calculation.seed)
        decision.redistributed = try RedistributionTable(from: &reader)
        decision.isBoundaryRouter = try reader.readBool()
        decision.externalsMade = try reader.readOptionalInstant()
    }

    func mixDecision(into digest: inout StateDigest) {
        digest.mix(UInt64((decision.calculation.isBorderRouter ? 1 : 0) | (decision.isBoundaryRouter ? 2 : 0)))
        digest.mix(decision.redistributed.digest.value)
    }
}
