import Engine
import Machine
import Management
import RIP
import Wire

extension ManagementAnswers {
    func rip(_ query: RIPQuery) async throws -> RIPView {
        guard query.name == "rip" || query.name == "ripng" else {
            throw ManagementFailure(.badRequest, "'\(query.name.prefix(32))' is neither rip nor ripng")
        }
        let now = try await edge.look { controller, now in controller.routerTime(at: now).nanoseconds }
        let isNextGeneration = query.name == "ripng"
        // The copy shares its memory with the engine's until the engine writes.
        let rip = try await engine.inspect { engine in isNextGeneration ? engine.ripng : engine.rip }
        var view = RIPView(name: query.name, isConfigured: rip.configuration != nil)
        guard view.isConfigured else { return view }
        switch query.part {
        case .neighbors: view.neighbors = rip.neighborViews.map { Self.entry($0, now) }
        case .interfaces: view.interfaces = rip.interfaceViews.map { Self.entry($0, now) }
        case .routes: view.routes = try Self.routes(query, rip, now)
        }
        return view
    }

    private static func since(_ then: Int64, _ now: Int64) -> TimeSpan { TimeSpan(.nanoseconds(max(0, now - then))) }
    private static func until(_ then: Int64, _ now: Int64) -> TimeSpan { TimeSpan(.nanoseconds(max(0, then - now))) }

    private static func entry(_ neighbor: RIPNeighborView, _ now: Int64) -> RIPNeighborEntry {
        RIPNeighborEntry(
            address: "\(neighbor.address)", interface: neighbor.interface, version: Int(neighbor.version),
            age: since(neighbor.firstHeardAt, now), silence: since(neighbor.lastHeardAt, now),
            routes: UInt64(neighbor.routeCount), responses: neighbor.responses, badPackets: neighbor.badPackets,
            badRoutes: neighbor.badRoutes, bfd: neighbor.isBFDUp.map { $0 ? "up" : "down" })
    }

    private static func entry(_ interface: RIPInterfaceView, _ now: Int64) -> RIPInterfaceEntry {
        RIPInterfaceEntry(
            name: interface.name, isUp: interface.isUp, isPassive: interface.isPassive,
            splitHorizon: interface.splitHorizon, metric: Int(interface.metric), metricOffset: Int(interface.metricOffset),
            send: interface.sendVersion, receive: interface.receiveVersion, authentication: interface.authentication,
            neighbors: UInt64(interface.neighborCount), nextUpdate: interface.nextUpdateAt.map { until($0, now) },
            requestsReceived: interface.requestsReceived, responsesReceived: interface.responsesReceived,
            packetsSent: interface.packetsSent, regularUpdates: interface.regularUpdates,
            triggeredUpdates: interface.triggeredUpdates,
            dropped: interface.dropped.map { .init(reason: $0.reason, count: $0.count) })
    }

    private static func routes(_ query: RIPQuery, _ rip: RIPInstance, _ now: Int64) throws -> RIPRoutesView {
        func prefix(_ text: String) throws -> IPPrefix {
            guard let prefix = IPPrefix(text) else {
                throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no prefix")
            }
            return prefix
        }
        let limit = max(1, min(10_000, query.limit))
        let found: [RIPRouteView]
        if let text = query.prefix {
            found = rip.routeView(try prefix(text)).map { [$0] } ?? []
        } else {
            found = rip.routeViews(after: try query.after.map(prefix), limit: limit)
        }
        let isFull = query.prefix == nil && found.count == limit
        return RIPRoutesView(
            total: UInt64(rip.routeCounts.all), routes: found.map { entry($0, now) },
            next: isFull ? found.last.map { "\($0.prefix)" } : nil)
    }

    private static func entry(_ route: RIPRouteView, _ now: Int64) -> RIPRoutesView.Route {
        RIPRoutesView.Route(
            prefix: "\(route.prefix)", kind: route.kind.rawValue, metric: Int(route.metric), tag: Int(route.tag),
            gateways: route.gateways.map {
                .init(
                    address: "\($0.address)", interface: $0.interface, neighbor: "\($0.neighbor)",
                    timeout: until($0.expiresAt, now))
            }, garbage: route.forgottenAt.map { until($0, now) })
    }
}
