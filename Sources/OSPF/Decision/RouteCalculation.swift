import Machine
import Records
import Routing
import SPF
import Wire

/// RFC 2328 §16: the routing table, from the link state databases; RFC 5340 §4.8 and RFC 3101 §2.5 with it.
///
/// The RFC calculates everything anew and in four stages. Here each LSA's statements are *sources*: "this prefix, at
/// this metric, beyond this vertex". A source hangs on its destination and on what its path depends on, so a change
/// touches what it concerns:
/// - A router or network LSA changes the graph of its area (`AreaTopology`). Shortest paths are calculated again
///   (§16.1),
///   and the sources of the vertices whose distance or first hops changed are looked at.
/// - A summary changes its one destination (§16.2), an external its one prefix (§16.4, §16.6).
/// - A path to an AS boundary router that changed concerns its externals; a route within the AS that changed, those
///   whose forwarding address it covers.
///
/// Then routes of the destinations that were touched are chosen from their sources, and only differences leave. The
/// outcome is a function of databases and local state alone, whatever the changes were by which they came to be; the
/// tests hold it against a calculation that does all of §16 from the start.
///
/// Choices where the RFC leaves one: an area border router is one with an interface in the backbone and in another area
/// (RFC 3509 §2.1's reading); others look at the summaries of all their areas. A link of ours is used while our own LSA
/// has it *and* the adjacency is there, so that a lost neighbour is not used while MinLSInterval holds our LSA back.
///
/// Files: `AreaTopology` (graph and vertices), `PathSources` (the tables), `+Databases` (LSAs to sources), `+Paths`
/// (sources to routes), `+NextHops`, `+Snapshot`.
public struct RouteCalculation: Sendable {
    /// What a calculation brought.
    public struct Outcome: Sendable {
        /// Differences for the routing table manager, ascending by prefix.
        public var updates: [RouteUpdate] = []
        /// Prefixes whose entry in the routing table is another than before, ascending: what summaries depend on.
        public var changedPrefixes: [IPPrefix] = []
        /// AS boundary routers whose entry is another than before, ascending: what summaries of type 4 depend on.
        public var changedRouters: [UInt32] = []
        /// Areas whose shortest paths were calculated, ascending.
        public var areas: [UInt32] = []
        /// Whether this router became or ceased to be an area border router.
        public var isBorderChanged = false
    }

    /// A router of an NSSA that says that it is an area border router.
    struct BorderRouter: Hashable, Sendable {
        var area: UInt32
        var routerID: UInt32
        var flags: RouterLSABody.Flags
    }

    /// Ascending by area ID.
    var areas: [AreaTopology] = []
    var prefixes: KeyedArena<PrefixRecord>
    var routers: KeyedArena<RouterRecord>
    var sources = Arena<PathSource>()
    /// LSAs that have sources.
    var lsas: KeyedArena<LSARecord>
    var forwarding = ForwardingAddresses()
    /// Internal routes by prefix length: which lengths a longest match has to try.
    var internalCounts = [UInt32](repeating: 0, count: 129)

    // Work of a calculation.
    var dirtyPrefixes: [UInt32] = []
    var dirtyRouters: [UInt32] = []
    var changedInternal: [IPPrefix] = []
    /// Vertices that may have lost their last source, by area.
    var loose: [(area: UInt32, vertex: UInt32)] = []
    /// Whether addresses of neighbours may have changed.
    var areNeighborsDirty = false

    /// Rolling, over the routes: equal on two controllers that came to the same table.
    public internal(set) var digest = StateDigest()
    /// As of the last calculation.
    var local: LocalState?
    /// Whether everything is to be built from the databases: at the start, after a snapshot, with a new configuration.
    var needsRebuild = true
    /// RFC 2328 §3.3: whether this router is an area border router, as of the last calculation.
    public internal(set) var isBorderRouter = false
    /// Border routers of NSSAs, ascending by area and Router ID.
    var borders: [BorderRouter] = []
    /// Calculations of shortest paths since this controller began; not replicated.
    public internal(set) var shortestPathRuns: UInt64 = 0

    /// Of all look-ups.
    var seed: UInt64 { prefixes.seed }

    /// - Parameter seed: of all look-ups, so that nobody outside can make up names that collide.
    public init(seed: UInt64) {
        prefixes = KeyedArena(seed: seed)
        routers = KeyedArena(seed: seed)
        lsas = KeyedArena(seed: seed)
    }

    // MARK: look-up

    /// The entry of the routing table for exactly this prefix.
    public func route(for prefix: IPPrefix) -> CalculatedRoute? {
        prefixNumber(prefix).flatMap { prefixes[$0].route }
    }

    /// The routing table's networks, ascending by prefix.
    public var routes: [CalculatedRoute] {
        prefixes.places.compactMap { $0.isUsed ? $0.route : nil }.sorted { $0.prefix < $1.prefix }
    }

    /// The routing table's AS boundary routers, ascending.
    public var boundaryRouters: [CalculatedRouter] {
        routers.places.compactMap(\.route).sorted { $0.routerID < $1.routerID }
    }

    /// The way to an AS boundary router.
    public func boundaryRouter(_ id: UInt32) -> CalculatedRouter? {
        routerNumber(id).flatMap { routers[$0].route }
    }

    /// Routers of an NSSA that have a path and say that they are area border routers, as of the last calculation,
    /// ascending; RFC 3101 §3.1 asks.
    public func borderRouters(in area: UInt32) -> [(routerID: UInt32, flags: RouterLSABody.Flags)] {
        borders.filter { $0.area == area }.map { ($0.routerID, $0.flags) }
    }

    /// Notes them down: they are asked for between two calculations, by a restored instance too.
    private mutating func noteBorders() {
        borders = []
        for area in areas where area.kind.isNSSA {
            for (number, vertex) in area.vertices.places.enumerated()
            where vertex.isUsed && !vertex.key.isNetwork && vertex.flags.contains(.border) && area.path(to: UInt32(number)) != nil
            {
                borders.append(
                    BorderRouter(
                        area: area.id, routerID: UInt32(truncatingIfNeeded: vertex.key.identifier),
                        flags: vertex.flags))
            }
        }
        borders.sort { ($0.area, $0.routerID) < ($1.area, $1.routerID) }
    }

    /// Distances to the routers of an area that have a path, ascending by Router ID; for display.
    public func routers(in area: UInt32) -> [(routerID: UInt32, distance: UInt32, flags: RouterLSABody.Flags)] {
        guard let at = areaPosition(area) else { return [] }
        let area = areas[at]
        var found: [(routerID: UInt32, distance: UInt32, flags: RouterLSABody.Flags)] = []
        for (number, vertex) in area.vertices.places.enumerated() where vertex.isUsed && !vertex.key.isNetwork {
            guard let path = area.path(to: UInt32(number)) else { continue }
            found.append((UInt32(truncatingIfNeeded: vertex.key.identifier), path.distance, vertex.flags))
        }
        return found.sorted { $0.routerID < $1.routerID }
    }

    /// Whether a router had a path as of the last calculation, in an area or (`nil`) in any.
    func isReachable(_ router: UInt32, in area: UInt32?) -> Bool {
        areas.contains { topology in
            guard area == nil || topology.id == area, let vertex = topology.router(router) else { return false }
            return topology.path(to: vertex) != nil
        }
    }

    // MARK: the calculation

    /// Brings the routing table up to date.
    ///
    /// - Parameters:
    ///   - changes: all that changed in the databases since the last calculation. LSAs at MaxAge count as gone.
    ///   - local: interfaces, neighbours and configuration as they are now.
    public mutating func calculate(_ changes: [LSDB.Change], local: LocalState, database: LSDB) -> Outcome {
        var outcome = Outcome()
        let wasBorder = isBorderRouter
        let isNewLocal = self.local?.interfaces != local.interfaces
        if needsRebuild || self.local?.configuration != local.configuration {
            self.local = local
            rebuild(database)
        } else {
            self.local = local
            if isNewLocal {
                // Our own links come and go with their adjacencies; what we are attached to names next hops.
                areNeighborsDirty = true
                for i in areas.indices {
                    if let own = areas[i].router(local.routerID) { noteVertexChange(area: UInt32(i), own) }
                }
            }
            for change in changes { apply(change, database) }
        }
        isBorderRouter = Self.isBorderRouter(local)
        outcome.isBorderChanged = isBorderRouter != wasBorder
        if outcome.isBorderChanged { markEverything() }

        for i in areas.indices {
            updateGraph(i, database)
            if areas[i].needsSPF {
                runSPF(i)
                outcome.areas.append(areas[i].id)
            }
        }
        if areNeighborsDirty {
            areNeighborsDirty = false
            for i in areas.indices where !resolvesAsBefore(i, database) { markEverything(in: UInt32(i)) }
        }
        chooseRoutes(database, into: &outcome)
        noteBorders()
        releaseLoose()
        return outcome
    }

    /// Interfaces in the backbone and in another area.
    static func isBorderRouter(_ local: LocalState) -> Bool {
        let attached = local.interfaces.filter { $0.state != .down }
        return attached.contains { $0.areaID == 0 } && attached.contains { $0.areaID != 0 }
    }

    /// §16.1 for one area.
    private mutating func runSPF(_ i: Int) {
        guard let local else { return }
        shortestPathRuns &+= 1
        areas[i].needsSPF = false
        areas[i].hopCache = []
        let changed = areas[i].tree.calculate(areas[i].graph, from: LinkStateGraph.Key(UInt64(local.routerID)))
        for node in changed {
            let key = areas[i].graph.key(of: node)
            guard let vertex = areas[i].vertex(key) else { continue }
            markDependents(area: UInt32(i), vertex)
        }
    }

    private mutating func markEverything(in area: UInt32) {
        areas[Int(area)].hopCache = []
        for number in areas[Int(area)].vertices.numbers { markDependents(area: area, number) }
    }

    private mutating func markEverything() {
        for number in prefixes.numbers where prefixes.isPresent(number) { markPrefix(number, isInternal: true) }
        for number in routers.numbers where routers.isPresent(number) { markRouter(number) }
    }

    /// Starts from the databases. Routes of before stay in their records, so that differences are told against them.
    private mutating func rebuild(_ database: LSDB) {
        guard let local else { return }
        let oldPrefixes = prefixes.places.filter { $0.isUsed && ($0.route != nil || $0.offered != nil) }
        let oldRouters = routers.places.filter { $0.route != nil }
        var fresh = RouteCalculation(seed: seed)
        fresh.local = local
        fresh.isBorderRouter = isBorderRouter
        fresh.shortestPathRuns = shortestPathRuns
        fresh.digest = digest
        fresh.needsRebuild = false
        let configured = local.configuration.areas.map(\.areaID.raw) + local.interfaces.map(\.areaID)
        for id in configured.sorted() where fresh.areas.last?.id != id {
            fresh.areas.append(
                AreaTopology(
                    id: id, kind: local.configuration.area(IPv4Address(raw: id)).kind, seed: seed,
                    maximumPaths: Int(max(1, local.configuration.maximumPaths))))
        }
        for old in oldPrefixes {
            let number = fresh.prefixOrNew(old.prefix)
            fresh.prefixes[number].route = old.route
            fresh.prefixes[number].offered = old.offered
            fresh.markPrefix(number, isInternal: true)
        }
        for old in oldRouters {
            let number = fresh.routerOrNew(old.routerID)
            fresh.routers[number].route = old.route
            fresh.markRouter(number)
        }
        for id in database.databaseIDs {
            database.walk(id) { _, entry in
                fresh.apply(LSDB.Change(database: id, key: entry.lsa.key), database)
                return true
            }
        }
        self = fresh
    }
}
