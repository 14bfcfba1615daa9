import Engine
import ISIS
import Machine
import Management
import Wire

extension ManagementAnswers {
    func isis(_ query: ISISQuery) async throws -> ISISView {
        let now = try await routerNow()
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
        case .summary: view.summary = isis.summaryView(at: now)
        case .neighbors:
            view.neighbors = isis.adjacencyViews(levels, at: now)
                .filter { query.only == nil || "\($0.system)" == query.only || $0.hostname == query.only }
        case .interfaces: view.interfaces = isis.interfaceViews(levels)
        case .database: try Self.database(&view, query, levels, isis, now)
        case .routes:
            let limit = max(1, min(10_000, query.limit))
            let page = isis.routeViews(
                only: try query.only.map(Self.prefix), after: try query.after.map(Self.prefix), limit: limit)
            view.routes = page.filter { query.level == nil || Int($0.kind.level.rawValue) == query.level }
            if query.only == nil, page.count == limit { view.next = page.last.map { "\($0.prefix)" } }
        case .spf: view.paths = levels.flatMap { isis.pathViews($0) }
        case .hostnames: view.hostnames = isis.hostnameViews.filter { levels.contains($0.level) }
        }
        return view
    }

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
        // Only what is shown is taken apart.
        view.lsps =
            query.detail
            ? page.compactMap { isis.databaseViews($0.level, id: $0.id, detail: true, at: now).first } : page
    }
}
