import Machine
import Records

/// What the neighbours of interior protocols saw: no adjacency was lost; and in the end the simulated router and every
/// router of every station have the routes that they would have if the router had never failed.
struct GatewayChecker {
    private var reported = 0

    mutating func look(at simulation: Simulation) {
        var count = 0
        for station in simulation.routedStations { count += station.violations.count }
        guard count > reported else { return }
        reported = count
        for station in simulation.routedStations { for sentence in station.violations { simulation.find(sentence) } }
    }

    /// All routes of interior protocols in a world, with the place of each.
    static func routes(in simulation: Simulation) -> [String] {
        guard let active = simulation.active else { return [] }
        var lines = simulation.node(active).interiorRoutes.map { "router: \($0)" }
        for station in simulation.routedStations {
            for router in 0..<station.routerCount {
                lines += station.routes(of: router).map { "station \(station.number) router \(router): \($0)" }
            }
        }
        return lines
    }

    static func isRight(_ simulation: Simulation) -> Bool {
        simulation.allAdjacent && routes(in: simulation) == simulation.expectedRoutes
    }

    mutating func finish(_ simulation: Simulation) {
        if simulation.neighborhood.bfd != nil, let active = simulation.active,
            !simulation.node(active).isStaticRouteActive(RouterPlan.watchedRoute)
        {
            simulation.find("the route that hangs on BFD is not in force in the end")
        }
        guard !simulation.routedStations.isEmpty else { return }
        look(at: simulation)
        for station in simulation.routedStations where !station.isAdjacent {
            simulation.find("station \(station.number): the \(station.gatewayProtocol) adjacency is not up in the end")
        }
        for station in simulation.routedStations where simulation.neighborhood.bfd != nil && !station.isWatched {
            simulation.find("station \(station.number): the BFD session is not up in the end")
        }
        let right = simulation.expectedRoutes, found = Self.routes(in: simulation)
        guard right != found else { return }
        let missing = right.filter { !found.contains($0) }, more = found.filter { !right.contains($0) }
        simulation.find(
            "routes are not those of a router that never failed: \(missing.count) are missing (\(missing.first ?? "none")), "
                + "\(more.count) are too many (\(more.first ?? "none"))")
    }
}
