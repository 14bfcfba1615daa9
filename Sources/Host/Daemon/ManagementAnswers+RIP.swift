import Engine
import Management
import RIP
import Wire

extension ManagementAnswers {
    func rip(_ query: RIPQuery) async throws -> RIPView {
        guard query.name == "rip" || query.name == "ripng" else {
            throw ManagementFailure(.badRequest, "'\(query.name.prefix(32))' is neither rip nor ripng")
        }
        let now = try await routerNow()
        let isNextGeneration = query.name == "ripng"
        // The copy shares its memory with the engine's until the engine writes.
        let rip = try await engine.inspect { engine in isNextGeneration ? engine.ripng : engine.rip }
        var view = RIPView(name: query.name, isConfigured: rip.configuration != nil)
        guard view.isConfigured else { return view }
        switch query.part {
        case .neighbors: view.neighbors = rip.neighborViews(at: now)
        case .interfaces: view.interfaces = rip.interfaceViews(at: now)
        case .routes:
            let limit = max(1, min(10_000, query.limit))
            let only = try query.prefix.map(Self.prefix), after = try query.after.map(Self.prefix)
            let routes =
                only.map { rip.routeView($0, at: now).map { [$0] } ?? [] } ?? rip.routeViews(after: after, limit: limit, at: now)
            view.routes = RIPRoutesView(
                total: UInt64(rip.routeCounts.all), routes: routes,
                next: only == nil && routes.count == limit ? routes.last.map { "\($0.prefix)" } : nil)
        }
        return view
    }

    /// A prefix that somebody wrote.
    static func prefix(_ text: String) throws -> IPPrefix {
        guard let prefix = IPPrefix(text) else {
            throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no prefix")
        }
        return prefix
    }
}
