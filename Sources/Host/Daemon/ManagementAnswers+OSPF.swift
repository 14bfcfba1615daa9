import Engine
import ISIS
import Machine
import Management
import OSPF
import RIP
import Records
import Routing
import Wire

extension ManagementAnswers {
    func ospf(_ query: OSPFQuery) async throws -> OSPFView {
        let now = try await routerNow()
        // The copy shares its memory with the engine's until the engine writes.
        let ospf = try await engine.inspect { engine in
            switch query.instance {
            case .ospf: engine.ospf
            case .ospfv3: engine.ospfv3
            case .ospfv3ipv4: engine.ospfv3IPv4
            }
        }
        var view = OSPFView(isConfigured: ospf.configuration != nil)
        guard view.isConfigured else { return view }
        switch query.part {
        case .summary: view.summary = ospf.summaryView()
        case .neighbors:
            view.neighbors = ospf.neighborViews(at: now).filter { neighbor in
                guard let name = query.only.map({ NeighborName($0) }) else { return true }
                return name.address == .v4(neighbor.routerID) || name.matches(neighbor.address, on: neighbor.interface)
            }
        case .interfaces:
            view.interfaces = ospf.interfaceViews(at: now).filter { query.only == nil || $0.name == query.only }
        case .database: try Self.database(&view, query, ospf, now)
        case .routes:
            let limit = max(1, min(10_000, query.limit))
            let routes = ospf.routeViews(
                only: try query.only.map(Self.prefix), after: try query.after.map(Self.prefix), limit: limit + 1)
            view.routes = Array(routes.prefix(limit))
            if routes.count > limit { view.next = "\(routes[limit - 1].prefix)" }
        case .spf: view.spf = ospf.calculationView(at: now)
        }
        if let only = query.only, view.neighbors?.isEmpty == true || view.interfaces?.isEmpty == true {
            throw ManagementFailure(.notFound, "OSPF knows no '\(only.prefix(64))' there")
        }
        return view
    }

    func clear(_ order: ClearAdjacencies) async throws -> String {
        let neighbor = order.neighbor == "*" ? "" : order.neighbor
        guard !order.neighbor.isEmpty else {
            throw ManagementFailure(.badRequest, "write whose neighbour is meant, or * for all")
        }
        if order.routing == "bfd" {
            let refusal = try await engine.inspect { engine in engine.refusal(toClearBFD: neighbor) }
            if let refusal { throw ManagementFailure(.notFound, refusal) }
            _ = try await request(.command(.clearSession(neighbor: neighbor)))
            return neighbor.isEmpty ? "cleared all sessions" : "cleared \(neighbor)"
        }
        if order.routing == "rpki" { return try await clearCaches(neighbor) }
        let kind: PacketProtocol
        switch order.routing {
        case "ospf": kind = .ospfv2
        case "ospfv3": kind = .ospfv3
        case "isis": kind = .isis
        case "rip": kind = .rip
        case "ripng": kind = .ripng
        default: throw ManagementFailure(.badRequest, "'\(order.routing.prefix(32))' has no adjacencies")
        }
        let refusal = try await engine.inspect { engine in engine.refusal(toClear: kind, neighbor) }
        if let refusal { throw ManagementFailure(.notFound, refusal) }
        _ = try await request(.command(.clearAdjacency(kind, neighbor: neighbor)))
        return neighbor.isEmpty ? "cleared all neighbours" : "cleared \(neighbor)"
    }

    // MARK: database

    /// A place in the databases: scope, number, type, Link State ID and originator as numbers.
    private static func place(_ id: DatabaseID, _ key: LSAKey) -> String {
        "\(id.scope.rawValue) \(id.number) \(key.type.rawValue) \(key.linkStateID) \(key.advertisingRouter)"
    }

    private static func place(_ text: String) throws -> (DatabaseID, LSAKey) {
        let parts = text.split(separator: " ").compactMap { UInt32($0) }
        guard parts.count == 5, let scope = FloodingScope(rawValue: UInt8(clamping: parts[0])),
            let type = UInt16(exactly: parts[2])
        else { throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no place in the databases") }
        return (
            DatabaseID(scope: scope, number: parts[1]),
            LSAKey(type: LSAType(rawValue: type), linkStateID: parts[3], advertisingRouter: parts[4])
        )
    }

    private static func database(
        _ view: inout OSPFView, _ query: OSPFQuery, _ ospf: OSPFInstance, _ now: Instant
    ) throws {
        let start = try query.after.map { try place($0) }
        let limit = max(1, min(10_000, query.limit))
        let origin = query.only.flatMap { IPv4Address($0) }
        var page: [OSPFLSAView] = []
        var last: (DatabaseID, LSAKey)?
        var isFull = false
        for id in ospf.database.databaseIDs where !isFull {
            if let start, id < start.0 { continue }
            let from = start.flatMap { $0.0 == id ? $0.1 : nil }
            ospf.database.walk(id, from: from) { _, entry in
                let key = entry.lsa.key
                if let from, key == from { return true }
                if let origin {
                    if key.advertisingRouter != origin.raw { return true }
                } else if let only = query.only, "\(key.type)" != only {
                    return true
                }
                if page.count == limit {
                    isFull = true
                    return false
                }
                page.append(ospf.view(entry, in: id, detail: query.detail, at: now))
                last = (id, key)
                return true
            }
        }
        view.lsas = page
        if isFull, let last { view.next = place(last.0, last.1) }
    }
}
