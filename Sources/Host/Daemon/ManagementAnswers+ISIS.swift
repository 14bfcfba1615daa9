import Engine
import ISIS
import Machine
import Management
import Records
import Routing
import Wire

extension ManagementAnswers {
    func isis(_ query: ISISQuery) async throws -> ISISView {
        let now = try await edge.look { controller, now in controller.routerTime(at: now) }
        // The copy shares its memory with the engine's until the engine writes.
        let isis = try await engine.inspect { engine in engine.isis }
        var view = ISISView(isConfigured: isis.configuration != nil)
        guard let configuration = isis.configuration else { return view }
        if let level = query.level, level != 1, level != 2 {
            throw ManagementFailure(.badRequest, "\(level) is no level; there are 1 and 2")
        }
        let levels = Level.allCases.filter {
            configuration.levels.contains($0) && (query.level == nil || query.level == Int($0.rawValue))
        }
        switch query.part {
        case .summary: view.summary = isis.summaryView.map { Self.entry($0, now) }
        case .neighbors:
            view.neighbors = isis.adjacencyViews(at: now)
                .filter { entry in levels.contains { entry.levels.contains($0) } }
                .filter { query.only == nil || "\($0.system)" == query.only || $0.hostname == query.only }
                .map { Self.entry($0) }
        case .interfaces: view.interfaces = isis.interfaceViews.map { Self.entry($0, levels) }
        case .database: try Self.database(&view, query, levels, isis, now)
        case .routes: try Self.routes(&view, query, isis)
        case .spf: view.paths = levels.flatMap { isis.pathViews($0) }.map { Self.entry($0, isis) }
        case .hostnames:
            view.hostnames = isis.hostnameViews.filter { levels.contains($0.level) }.map {
                .init(level: Int($0.level.rawValue), system: "\($0.system)", hostname: $0.hostname)
            }
        }
        return view
    }

    // MARK: summary, neighbours, interfaces

    private static func entry(_ view: ISISSummaryView, _ now: Instant) -> ISISView.Summary {
        var entry = ISISView.Summary(
            system: "\(view.systemID)", hostname: view.hostname, areas: view.areas.map { "\($0)" }, levels: "\(view.levels)")
        entry.isOverloaded = view.isOverloaded
        entry.isAttached = view.isAttached
        entry.adjacenciesUp = view.adjacenciesUp
        entry.databases = Level.allCases.filter { view.levels.contains($0) }.map {
            .init(level: Int($0.rawValue), lsps: view.lsps[$0.index], ownLSPs: view.ownLSPs[$0.index])
        }
        entry.ipv4Routes = view.ipv4Routes
        entry.ipv6Routes = view.ipv6Routes
        entry.backoff = view.backoff
        entry.runs = view.spfLog.map { run in
            .init(
                age: TimeSpan(.nanoseconds(max(0, (now - run.at).inNanoseconds))),
                levels: Level.allCases.filter { run.paths.contains($0) }.map { Int($0.rawValue) }, updates: run.updates)
        }
        let counters = view.counters
        entry.counters = [
            .init(name: "received", count: counters.received), .init(name: "sent", count: counters.sent),
            .init(name: "LSPs received", count: counters.lspsReceived), .init(name: "sent", count: counters.lspsSent),
            .init(name: "sent again", count: counters.lspsRetransmitted),
            .init(name: "made", count: counters.ownLSPsGenerated), .init(name: "refreshed", count: counters.ownLSPsRefreshed),
            .init(name: "purged", count: counters.purges), .init(name: "contested", count: counters.ownLSPsContested),
            .init(name: "calculations", count: counters.spfRuns),
        ]
        entry.dropped = ISISDrop.allCases.filter { counters[$0] > 0 }.map { .init(name: "\($0)", count: counters[$0]) }
        return entry
    }

    private static func entry(_ view: ISISAdjacencyView) -> ISISView.Neighbor {
        var entry = ISISView.Neighbor(
            system: "\(view.system)", hostname: view.hostname, interface: view.interfaceName, levels: "\(view.levels)",
            state: "\(view.state)", holdTimeLeft: TimeSpan(.seconds(view.holdTimeLeft)), holdingTime: view.holdingTime,
            priority: Int(view.priority), station: "\(view.station)")
        entry.areas = view.areas.map { "\($0)" }
        entry.addresses = view.ipv4.map { "\($0)" } + view.ipv6.map { "\($0)" }
        entry.isMultiTopology = view.isMultiTopology
        entry.isRestarting = view.isRestarting
        entry.bfd = view.isBFDUp.map { $0 ? "up" : "down" }
        entry.upFor = view.upFor.map { TimeSpan($0) }
        return entry
    }

    private static func entry(_ view: ISISInterfaceView, _ levels: [Level]) -> ISISView.Interface {
        ISISView.Interface(
            name: view.name, isUp: view.isUp, isPassive: view.isPassive,
            network: view.networkType == .broadcast ? "broadcast" : "point-to-point", circuitID: Int(view.circuitID),
            adjacencyLosses: UInt64(view.adjacencyLosses),
            levels: view.byLevel.filter { levels.contains($0.level) }.map {
                .init(
                    level: Int($0.level.rawValue), metric: $0.metric, priority: Int($0.priority),
                    helloInterval: TimeSpan($0.helloInterval), adjacencies: $0.adjacencies,
                    lan: $0.designated == nil ? nil : "\($0.lanID)", isDesignated: $0.isDesignated, waiting: $0.waiting)
            })
    }

    // MARK: database

    /// A page: level 1 before level 2, each ascending. `after` is a level and an LSP ID.
    private static func database(
        _ view: inout ISISView, _ query: ISISQuery, _ levels: [Level], _ isis: ISISInstance, _ now: Instant
    ) throws {
        var only: LSPID?
        var only0: SystemID?
        if let text = query.only {
            only = LSPID(text)
            only0 = only == nil ? SystemID(text) ?? isis.hostnameViews.first { $0.hostname == text }?.system : nil
            if only == nil, only0 == nil {
                throw ManagementFailure(.notFound, "'\(text.prefix(64))' is no LSP ID, system ID or known host name")
            }
        }
        var start: (level: Int, id: LSPID)?
        if let after = query.after {
            let parts = after.split(separator: " ")
            guard parts.count == 2, let level = Int(parts[0]), let id = LSPID(parts[1]) else {
                throw ManagementFailure(.badRequest, "'\(after.prefix(64))' is no place in the database")
            }
            start = (level, id)
        }
        let limit = max(1, min(10_000, query.limit))
        var page: [ISISDatabaseView] = []
        for level in levels {
            for lsp in isis.databaseViews(level, id: only, detail: false, at: now) {
                if let start, (Int(level.rawValue), lsp.id) <= start { continue }
                if let only0, lsp.id.system != only0 { continue }
                if page.count == limit {
                    view.next = page.last.map { "\($0.level.rawValue) \($0.id)" }
                    break
                }
                page.append(lsp)
            }
            if view.next != nil { break }
        }
        view.lsps = page.map { lsp in
            // Only what is shown is taken apart.
            let contents =
                query.detail
                ? isis.databaseViews(lsp.level, id: lsp.id, detail: true, at: now).first?.contents.map { Self.lines($0) } : nil
            return ISISView.LSP(
                level: Int(lsp.level.rawValue), id: "\(lsp.id)", hostname: lsp.hostname, sequence: lsp.sequence,
                checksum: lsp.checksum, remainingLifetime: lsp.remainingLifetime, isPurged: lsp.isPurged, isOwn: lsp.isOwn,
                octets: lsp.octets, isAttached: lsp.flags.contains(.attached), isOverloaded: lsp.flags.contains(.overload),
                contents: contents)
        }
    }

    private static func lines(_ contents: LSPContents) -> [String] {
        var lines: [String] = []
        func list(_ name: String, _ values: [some CustomStringConvertible]) {
            if !values.isEmpty { lines.append(name + " " + values.map(\.description).joined(separator: ", ")) }
        }
        list("areas", contents.areas)
        list("protocols", contents.protocols.map { $0 == ProtocolID.ipv4 ? "IPv4" : $0 == ProtocolID.ipv6 ? "IPv6" : "\($0)" })
        list(
            "topologies",
            contents.topologies.map {
                "\($0.id)" + ($0.isOverloaded ? " overloaded" : "") + ($0.isAttached ? " attached" : "")
            })
        if let name = contents.hostname { lines.append("hostname \(name)") }
        list("addresses", contents.ipv4Addresses)
        list("addresses", contents.ipv6Addresses)
        if let id = contents.teRouterID { lines.append("TE router ID \(id)") }
        list("purged by", contents.purgeOriginators)
        for reach in contents.neighbors.sorted() {
            lines.append(
                "neighbor \(reach.node) metric \(reach.metric)" + (reach.isNarrow ? " narrow" : "")
                    + (reach.topology == 0 ? "" : " topology \(reach.topology)"))
        }
        func prefixes<Key>(_ list: [PrefixReach<Key>]) {
            for reach in list.sorted() {
                var words = ["prefix \(reach.prefix) metric \(reach.metric)"]
                let traits: [(ReachFlags, String)] = [
                    (.narrow, "narrow"), (.external, "external"), (.externalMetric, "external metric"), (.down, "down"),
                    (.readvertised, "readvertised"), (.node, "node"),
                ]
                words += traits.filter { reach.flags.contains($0.0) }.map(\.1)
                if reach.tag != 0 { words.append("tag \(reach.tag)") }
                if reach.topology != 0 { words.append("topology \(reach.topology)") }
                lines.append(words.joined(separator: " "))
            }
        }
        prefixes(contents.ipv4)
        prefixes(contents.ipv6)
        if contents.hasAuthentication { lines.append("authentication") }
        if contents.unknownTLVs > 0 { lines.append("\(contents.unknownTLVs) TLVs of other kinds") }
        if let fault = contents.firstFault { lines.append("\(contents.malformedTLVs) malformed TLVs ignored: \(fault)") }
        return lines
    }

    // MARK: routes and paths

    private static func routes(_ view: inout ISISView, _ query: ISISQuery, _ isis: ISISInstance) throws {
        func prefix(_ text: String) throws -> IPPrefix {
            guard let prefix = IPPrefix(text) else {
                throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no prefix")
            }
            return prefix
        }
        let limit = max(1, min(10_000, query.limit))
        let page = isis.routeViews(only: try query.only.map(prefix), after: try query.after.map(prefix), limit: limit)
        view.routes = page.filter { query.level == nil || Int($0.kind.level.rawValue) == query.level }.map { route in
            .init(
                prefix: "\(route.prefix)", kind: "\(route.kind)", metric: route.metric, distance: Int(route.distance),
                tag: route.tag, isExternal: route.isExternal,
                nextHops: route.nextHops.map { hop in
                    if case .via(let address, let interface) = hop { return "\(address) \(isis.interfaceName(interface))" }
                    return "dropped"
                })
        }
        if query.only == nil, page.count == limit { view.next = page.last.map { "\($0.prefix)" } }
    }

    private static func entry(_ path: ISISPathView, _ isis: ISISInstance) -> ISISView.Path {
        ISISView.Path(
            level: Int(path.level.rawValue), topology: path.topology == .standard ? "standard" : "ipv6-unicast",
            node: "\(path.node)", hostname: path.hostname, metric: path.distance,
            firstHops: path.firstHops.map { hop in
                let name = isis.interfaceName(hop.interface)
                return hop.neighbor.map { "\($0) \(name)" } ?? name
            }, isOverloaded: path.isOverloaded, isAttached: path.isAttached)
    }
}
