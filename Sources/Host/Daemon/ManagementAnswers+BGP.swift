import BGP
import Engine
import Machine
import Management
import Wire

extension ManagementAnswers {
    func routerNow() async throws -> Instant {
        try await edge.look { controller, now in controller.routerTime(at: now) }
    }

    /// The engine's tables as they are now. The copy shares their memory until the engine writes, so making a view of it
    /// costs the engine no time; it is dropped as soon as the view is made.
    private func bgpNow() async throws -> BGPInstance { try await engine.inspect { engine in engine.bgp } }

    func bgpSummary() async throws -> BGPSummaryView {
        let now = try await routerNow()
        return try await bgpNow().summaryView(at: now)
    }

    func bgpNeighbors(_ address: String?) async throws -> BGPNeighborsView {
        let now = try await routerNow()
        let bgp = try await bgpNow()
        let wanted = bgp.neighborSummaries.map(\.address).filter { address == nil || $0.description == address }
        if let address, wanted.isEmpty { throw ManagementFailure(.notFound, "there is no neighbour \(address)") }
        return BGPNeighborsView(neighbors: wanted.compactMap { bgp.neighborView($0, at: now) })
    }
}
