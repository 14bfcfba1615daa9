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
    /// An instance as it is now, with the names of the router's interfaces. The copy shares its memory with the engine's
    /// until the engine writes.
    private struct OSPFNow {
        var instance: OSPFInstance
        var names: [String]
        var time: Instant

        func name(_ id: InterfaceID) -> String {
            Int(id.value) < names.count ? names[Int(id.value)] : id.description
        }
        func span(_ duration: Duration) -> TimeSpan { TimeSpan(max(.zero, duration)) }
        func span(since instant: Instant) -> TimeSpan { span(time - instant) }
    }

    func ospf(_ query: OSPFQuery) async throws -> OSPFView {
        let time = try await edge.look { controller, now in controller.routerTime(at: now) }
        let now = try await engine.inspect { engine in
            let instance =
                switch query.instance {
                case .ospf: engine.ospf
                case .ospfv3: engine.ospfv3
                case .ospfv3ipv4: engine.ospfv3IPv4
                }
            return OSPFNow(instance: instance, names: engine.configuration.interfaces.map(\.name), time: time)
        }
        var view = OSPFView(isConfigured: now.instance.configuration != nil)
        guard let configuration = now.instance.configuration else { return view }
        switch query.part {
        case .summary: view.summary = Self.summary(now, configuration)
        case .neighbors:
            view.neighbors = now.instance.neighborViews(at: time)
                .filter { neighbor in
                    guard let name = query.only.map({ NeighborName($0) }) else { return true }
                    return name.address == .v4(neighbor.routerID) || name.matches(neighbor.address, on: neighbor.interfaceName)
                }
                .map { Self.entry($0, now) }
        case .interfaces:
            view.interfaces = now.instance.interfaceViews(at: time)
                .filter { query.only == nil || $0.name == query.only }
                .map { Self.entry($0, now) }
        case .database: try Self.database(&view, query, now, configuration)
        case .routes: try Self.routes(&view, query, now)
        case .spf: view.spf = Self.spf(now, configuration)
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

    // MARK: parts

    private static func summary(_ now: OSPFNow, _ configuration: OSPFConfiguration) -> OSPFView.Summary {
        let interfaces = now.instance.interfaceViews(at: now.time)
        let databases = now.instance.databaseViews()
        var ids = configuration.areas.map(\.areaID) + interfaces.map(\.areaID)
        ids.sort()
        var areas: [OSPFView.Area] = []
        for id in ids where areas.last?.id != id.description {
            let own = interfaces.filter { $0.areaID == id }
            areas.append(
                .init(
                    id: "\(id)", kind: "\(configuration.area(id).kind)", interfaces: own.count,
                    fullNeighbors: own.reduce(0) { $0 + $1.fullNeighbors },
                    lsas: databases.first { $0.id == .area(id.raw) }?.count ?? 0))
        }
        return OSPFView.Summary(
            version: Int(configuration.version.rawValue), family: configuration.family == .ipv4 ? "IPv4" : "IPv6",
            routerID: "\(configuration.routerID)", isBorderRouter: now.instance.isAreaBorderRouter, areas: areas,
            externalLSAs: databases.first { $0.id == .autonomousSystem }?.count ?? 0,
            routes: now.instance.routes.count, calculations: now.instance.log.count)
    }

    private static func entry(_ view: OSPFNeighborView, _ now: OSPFNow) -> OSPFView.Neighbor {
        let isShared = now.instance.configuration?.interfaces.first { $0.name == view.interfaceName }?.network == .broadcast
        let role = !isShared ? "-" : view.isDesignatedRouter ? "DR" : view.isBackupDesignatedRouter ? "Backup" : "DROther"
        return OSPFView.Neighbor(
            routerID: "\(view.routerID)", address: "\(view.address)", interface: view.interfaceName,
            area: "\(view.areaID)", state: "\(view.state)", role: role, priority: Int(view.priority),
            stateAge: now.span(since: view.changed), deadTime: now.span(view.deadTime),
            graceTime: view.graceTime.map { now.span($0) },
            bfd: view.isBFDWanted ? (view.isBFDUp ? "up" : "down") : nil, retransmissions: view.retransmissions,
            requests: view.requests, stateChanges: view.stateChanges, lastReason: view.lastReason)
    }

    private static func entry(_ view: OSPFInterfaceView, _ now: OSPFNow) -> OSPFView.Interface {
        func packets(_ counts: [UInt64]) -> [OSPFView.Counter] {
            OSPFPacketType.allCases.compactMap { type in
                let at = Int(type.rawValue)
                guard at < counts.count, counts[at] > 0 else { return nil }
                return .init(name: "\(type)", count: counts[at])
            }
        }
        let drops = OSPFDrop.allCases.compactMap { reason -> OSPFView.Counter? in
            let at = Int(reason.rawValue)
            guard at < view.counters.drops.count, view.counters.drops[at] > 0 else { return nil }
            return .init(name: "\(reason)", count: view.counters.drops[at])
        }
        return OSPFView.Interface(
            name: view.name, area: "\(view.areaID)", network: "\(view.network)", state: "\(view.state)",
            isPassive: view.isPassive, address: view.address.map { "\($0)" }, cost: Int(view.cost),
            priority: Int(view.priority), designatedRouter: view.designatedRouter.map { "\($0)" },
            backupDesignatedRouter: view.backupDesignatedRouter.map { "\($0)" },
            helloDue: view.helloDue.map { now.span($0) }, neighbors: view.neighbors, fullNeighbors: view.fullNeighbors,
            received: packets(view.counters.received), sent: packets(view.counters.sent), dropped: drops)
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
        _ view: inout OSPFView, _ query: OSPFQuery, _ now: OSPFNow, _ configuration: OSPFConfiguration
    ) throws {
        let start = try query.after.map { try place($0) }
        let limit = max(1, min(10_000, query.limit))
        let origin = query.only.flatMap { IPv4Address($0) }
        var page: [OSPFView.LSA] = []
        var last: (DatabaseID, LSAKey)?
        var isFull = false
        for id in now.instance.database.databaseIDs where !isFull {
            if let start, id < start.0 { continue }
            let from = start.flatMap { $0.0 == id ? $0.1 : nil }
            let name = now.instance.name(of: id)
            now.instance.database.walk(id, from: from) { _, entry in
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
                page.append(Self.entry(entry, name, query, now, configuration))
                last = (id, key)
                return true
            }
        }
        view.lsas = page
        if isFull, let last { view.next = place(last.0, last.1) }
    }

    private static func entry(
        _ entry: LSDB.Entry, _ name: String, _ query: OSPFQuery, _ now: OSPFNow, _ configuration: OSPFConfiguration
    ) -> OSPFView.LSA {
        func hexadecimal(_ value: UInt32, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let header = entry.lsa.header
        return OSPFView.LSA(
            database: name, type: "\(header.key.type)", linkStateID: "\(IPv4Address(raw: header.key.linkStateID))",
            advertisingRouter: "\(IPv4Address(raw: header.key.advertisingRouter))", age: Int(entry.age(at: now.time)),
            sequence: hexadecimal(UInt32(bitPattern: header.sequence), 8),
            checksum: hexadecimal(UInt32(header.checksum), 4), length: Int(header.length), isOwn: entry.isOwn,
            contents: query.detail
                ? entry.lsa.contents(version: configuration.version, family: configuration.family) : nil)
    }

    // MARK: routes and calculations

    private static func routes(_ view: inout OSPFView, _ query: OSPFQuery, _ now: OSPFNow) throws {
        func prefix(_ text: String) throws -> IPPrefix {
            guard let prefix = IPPrefix(text) else {
                throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no prefix")
            }
            return prefix
        }
        let only = try query.only.map(prefix), after = try query.after.map(prefix)
        let limit = max(1, min(10_000, query.limit))
        var page: [OSPFView.Route] = []
        for route in now.instance.routes {
            if let only, route.prefix != only { continue }
            if let after, route.prefix <= after { continue }
            if page.count == limit {
                view.next = page.last?.prefix
                break
            }
            page.append(
                .init(
                    prefix: "\(route.prefix)", kind: route.isNSSA ? "\(route.type) (NSSA)" : "\(route.type)",
                    area: "\(IPv4Address(raw: route.area))", cost: route.cost,
                    type2Cost: route.type == .externalType2 ? route.type2Cost : nil, tag: route.tag,
                    advertisingRouter: "\(IPv4Address(raw: route.advertisingRouter))",
                    nextHops: route.nextHops.map { hop in
                        switch hop {
                        case .via(let address, let interface): "\(address) \(now.name(interface))"
                        case .connected(let interface): "connected \(now.name(interface))"
                        case .gateway(let address): "\(address)"
                        case .blackhole: "dropped"
                        }
                    }))
        }
        view.routes = page
    }

    private static func spf(_ now: OSPFNow, _ configuration: OSPFConfiguration) -> OSPFView.SPF {
        let runs = now.instance.log.entries.reversed().map {
            OSPFView.SPF.Run(
                age: now.span(since: $0.time), delay: now.span($0.time - $0.trigger), changes: $0.changes,
                routes: $0.routes)
        }
        var ids = configuration.areas.map(\.areaID) + now.instance.interfaceViews(at: now.time).map(\.areaID)
        ids.sort()
        var routers: [OSPFView.SPF.Router] = []
        var last: IPv4Address?
        for id in ids where id != last {
            last = id
            routers += now.instance.routers(in: id.raw).map {
                .init(
                    area: "\(id)", routerID: "\(IPv4Address(raw: $0.routerID))", distance: $0.distance,
                    isBorderRouter: $0.flags.contains(.border), isBoundaryRouter: $0.flags.contains(.boundary))
            }
        }
        return OSPFView.SPF(runs: runs, routers: routers)
    }
}
