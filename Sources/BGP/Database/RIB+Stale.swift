import Wire

// Routes that outlive what brought them.
//
// - A neighbour restarts (RFC 4724 §4.2): its session is suspended, its source and the routes of some families stay, and count
//   as before. When it is back the source goes on: what it announces takes the place of what is stale.
// - Later they are stale for long (RFC 9494 §4.2): the least preferred of all, and marked with LLGR_STALE.
// - A neighbour begins to say all again (RFC 7313 §4) while its session is up.
//
// To mark is a number (`AdjRIBIn`); what is still stale in the end is removed in slices.
extension RIB {
    /// The session is down, and the routes of these families stay as stale.
    /// - Parameter dropping: of these, the families of which nothing stays that was stale already.
    /// - Returns: `false`: it restarted too often for its routes to be told apart, so nothing is kept.
    public mutating func suspend(_ peer: PeerIndex, keeping kept: RouteFamilySet, dropping: RouteFamilySet) -> Bool {
        guard let source = source(peer), var session = sessions[source], !kept.isEmpty,
            tables.askAll(CanMark(source: source), shared).allSatisfy({ $0 })
        else {
            close(peer)
            return false
        }
        // Policies of the neighbour go on to be in force for what is kept.
        session.session.families = []
        sessions[source] = session
        shared.sources[source].families = []
        shared.sources[source].state = .retained
        tables.runAll(Depart(source: source), &shared)
        for family in RouteFamily.allCases {
            guard kept.contains(family) else {
                discard(family, source)
                continue
            }
            if dropping.contains(family) { tables.run(PurgeStale(source: source), on: family, &shared) }
            tables.run(MarkStale(source: source), on: family, &shared)
        }
        return true
    }

    /// A neighbour whose session was suspended is back.
    /// - Parameter kept: families whose stale routes stay until they are announced again or purged. The others' go.
    /// - Returns: of which families they stay indeed: of none of a router that is another one, or names its paths otherwise.
    public mutating func resume(
        _ peer: PeerIndex, neighbor: NeighborConfiguration, session: RIBSession, keeping kept: RouteFamilySet
    ) -> RouteFamilySet {
        guard !kept.isEmpty, let source = source(peer), shared.sources[source].state == .retained,
            shared.sources[source].identifier == session.identifier.raw
        else {
            establish(peer, neighbor: neighbor, session: session)
            return []
        }
        // With other path identifiers (RFC 7911) nothing that is kept would be found again.
        let isOther = shared.sources[source].receivesPathIDs.symmetricDifference(session.receivesPathIDs)
        let kept = kept.subtracting(isOther)
        for family in RouteFamily.allCases where !kept.contains(family) { discard(family, source) }
        shared.sources[source].longLived.formIntersection(kept)
        shared.sources[source].receivesPathIDs = session.receivesPathIDs
        shared.sources[source].state = .up
        apply(Session(neighbor: neighbor, session: session), source, isNew: false)
        return kept
    }

    /// Removes all routes of a family, in slices; those that are announced from here on stay.
    private mutating func discard(_ family: RouteFamily, _ source: Int) {
        tables.run(MarkStale(source: source), on: family, &shared)
        purge(family, source)
    }
    private mutating func purge(_ family: RouteFamily, _ source: Int) {
        shared.sources[source].longLived.remove(RouteFamilySet(family))
        tables.run(PurgeStale(source: source), on: family, &shared)
    }

    /// RFC 7313 §4: the peer, whose session is up, begins to say all again.
    /// - Returns: `false`: it begins again and again without an end, and is not heeded.
    public mutating func markStale(_ peer: PeerIndex, _ family: RouteFamily) -> Bool {
        guard let source = source(peer), tables.ask(CanMark(source: source), of: family, shared) else { return false }
        tables.run(MarkStale(source: source), on: family, &shared)
        return true
    }
    /// Removes what is still stale, in slices (RFC 4724 §4.2, RFC 7313 §4). Returns how much that is.
    @discardableResult
    public mutating func purgeStale(_ peer: PeerIndex, _ family: RouteFamily) -> Int {
        guard let source = source(peer) else { return 0 }
        let count = staleCount(peer, family)
        purge(family, source)
        return count
    }
    /// RFC 9494 §4.2: what is kept of the family gets LLGR_STALE, in slices, or goes if it has NO_LLGR.
    public mutating func beginLongLived(_ peer: PeerIndex, _ family: RouteFamily) {
        guard let source = source(peer) else { return }
        shared.sources[source].longLived.insert(RouteFamilySet(family))
        tables.run(AddTask(.reimport, source), on: family, &shared)
    }
    /// Routes of the peer that were not announced again since they were marked.
    public func staleCount(_ peer: PeerIndex, _ family: RouteFamily) -> Int {
        guard let source = source(peer) else { return 0 }
        return tables.ask(StaleCount(source: source), of: family, shared)
    }

    // MARK: after a cold start

    /// RFC 4724 §4.1: of these families no route is announced, and the routing table manager is told of none, until
    /// `selectRoutes`.
    public mutating func deferSelection(_ families: RouteFamilySet) { shared.deferred = families }
    public mutating func selectRoutes(_ family: RouteFamily) { shared.deferred.remove(RouteFamilySet(family)) }
    public var deferred: RouteFamilySet { shared.deferred }
    /// Whether routes were selected of which the routing table manager has not been told yet.
    public var hasUntoldRoutes: Bool { tables.askAll(HasUntold(), shared).contains(true) }
}
