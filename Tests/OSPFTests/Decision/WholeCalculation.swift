import Records
import Routing
import SPF
import Wire

@testable import OSPF

/// RFC 2328 §16 from the start and stage by stage, over dictionaries, as slow as it likes: what `RouteCalculation` must
/// come to. It shares the decoders of LSAs with it and nothing else.
struct WholeCalculation {
    let local: LocalState
    let database: LSDB
    var version: OSPFVersion { local.configuration.version }
    var family: AddressFamily { local.configuration.family }

    struct Vertex: Hashable {
        var id: UInt64
        var isNetwork: Bool
    }
    struct Path {
        var distance: UInt32
        /// Interface, first router.
        var hops: Set<FirstHop>
    }
    struct Area {
        var id: UInt32
        var kind: OSPFAreaKind
        var paths: [Vertex: Path] = [:]
        var flags: [UInt32: RouterLSABody.Flags] = [:]
        var options: [UInt32: OSPFOptions] = [:]
    }

    private(set) var routes: [IPPrefix: CalculatedRoute] = [:]
    private var areas: [Area] = []
    private var isBorder = false

    init(_ local: LocalState, _ database: LSDB) {
        self.local = local
        self.database = database
        let attached = local.interfaces.filter { $0.state != .down }.map(\.areaID)
        isBorder = attached.contains(0) && attached.contains { $0 != 0 }
        let ids = Set(local.configuration.areas.map(\.areaID.raw) + local.interfaces.map(\.areaID)).sorted()
        areas = ids.map { Area(id: $0, kind: local.configuration.area(IPv4Address(raw: $0)).kind) }
        for i in areas.indices { shortestPaths(i) }
        intraArea()
        interArea()
        discards()
        externals()
    }

    private func lsas(_ type: LSAType, _ id: DatabaseID) -> [LSA] {
        database.entries(of: type, in: id).map(\.lsa).filter { !$0.header.isMaxAge }
    }

    private func routerBodies(_ area: UInt32) -> [UInt32: [RouterLSABody]] {
        var found: [UInt32: [RouterLSABody]] = [:]
        for lsa in lsas(version == .v2 ? .router : .routerV3, .area(area)) {
            var reader = lsa.body
            if let body = try? RouterLSABody(from: &reader, version: version) {
                found[lsa.key.advertisingRouter, default: []].append(body)
            }
        }
        return found
    }

    // MARK: 16.1

    private mutating func shortestPaths(_ i: Int) {
        let area = areas[i].id
        let root = Vertex(id: UInt64(local.routerID), isNetwork: false)
        let bodies = routerBodies(area)
        var links: [Vertex: [(to: Vertex, metric: UInt32, tag: UInt32)]] = [:]
        for (router, bodies) in bodies {
            areas[i].flags[router] = bodies[0].flags
            areas[i].options[router] = bodies[0].options
            let from = Vertex(id: UInt64(router), isNetwork: false)
            links[from] = []
            for link in bodies.flatMap(\.links) where link.type != .stub {
                var to = Vertex(id: UInt64(link.id), isNetwork: false)
                if link.type == .transit {
                    let wide = UInt64(link.id) << 32 | UInt64(link.neighborInterfaceID)
                    to = Vertex(id: version == .v2 ? UInt64(link.id) : wide, isNetwork: true)
                }
                var tag: UInt32 = 0
                if from == root {
                    let own = local.interfaces.first { interface in
                        guard interface.areaID == area, interface.state > .loopback else { return false }
                        let isIt =
                            version == .v2
                            ? interface.device.addresses.contains { $0.address == .v4(IPv4Address(raw: link.data)) }
                            : interface.interfaceNumber == link.data
                        if link.type == .transit { return isIt && interface.state >= .drOther }
                        return isIt && link.type == .pointToPoint
                            && interface.neighbors.contains { $0.routerID == link.id && $0.isAdjacent }
                    }
                    guard let own else { continue }
                    tag = UInt32(own.id.value)
                }
                links[from]!.append((to, UInt32(link.metric), tag))
            }
        }
        for lsa in lsas(version == .v2 ? .network : .networkV3, .area(area)) {
            var reader = lsa.body
            guard let body = try? NetworkLSABody(from: &reader, version: version) else { continue }
            let id =
                version == .v2
                ? UInt64(lsa.key.linkStateID)
                : UInt64(lsa.key.advertisingRouter) << 32 | UInt64(lsa.key.linkStateID)
            links[Vertex(id: id, isNetwork: true)] = body.routers.map {
                (Vertex(id: UInt64($0), isNetwork: false), 0, 0)
            }
        }
        guard links[root] != nil else { return }
        var found: [Vertex: Path] = [root: Path(distance: 0, hops: [])]
        var settled: Set<Vertex> = []
        while let u = found.keys.filter({ !settled.contains($0) }).min(by: { a, b in
            (found[a]!.distance, a.isNetwork ? 0 : 1, a.id) < (found[b]!.distance, b.isNetwork ? 0 : 1, b.id)
        }) {
            settled.insert(u)
            if !u.isNetwork, u != root, version == .v3 {
                let options = areas[i].options[UInt32(u.id)] ?? []
                if !options.contains(.activeRouter) || family == .ipv6 && !options.contains(.ipv6) { continue }
            }
            for link in links[u] ?? [] {
                guard let back = links[link.to], back.contains(where: { $0.to == u }), !settled.contains(link.to) else {
                    continue
                }
                let distance = found[u]!.distance + link.metric
                var hops = found[u]!.hops
                if u == root {
                    hops = [FirstHop(tag: link.tag, neighbor: link.to.isNetwork ? nil : link.to.id)]
                } else if u.isNetwork {
                    hops = Set(hops.map { $0.neighbor == nil ? FirstHop(tag: $0.tag, neighbor: link.to.id) : $0 })
                }
                if let known = found[link.to], known.distance < distance { continue }
                if let known = found[link.to], known.distance == distance { hops.formUnion(known.hops) }
                let kept = hops.sorted().prefix(Int(local.configuration.maximumPaths))
                found[link.to] = Path(distance: distance, hops: Set(kept))
            }
        }
        areas[i].paths = found
    }

    private func nextHops(_ path: Path) -> [NextHop] {
        Set(
            path.hops.compactMap { hop -> NextHop? in
                guard let interface = local.interfaces.first(where: { UInt32($0.id.value) == hop.tag }) else { return nil }
                guard let router = hop.neighbor else { return .connected(interface.id) }
                guard let neighbor = interface.neighbors.first(where: { UInt64($0.routerID) == router }) else { return nil }
                return .via(neighbor.address, interface.id)
            }
        ).sorted()
    }

    private mutating func offer(_ route: CalculatedRoute) {
        guard let known = routes[route.prefix] else {
            routes[route.prefix] = route
            return
        }
        if (known.type, known.cost) < (route.type, route.cost) { return }
        if (known.type, known.cost) > (route.type, route.cost) {
            routes[route.prefix] = route
            return
        }
        var merged = (known.area, known.advertisingRouter) > (route.area, route.advertisingRouter) ? known : route
        merged.nextHops = Array(
            Set(known.nextHops + route.nextHops).sorted().prefix(Int(local.configuration.maximumPaths)))
        routes[route.prefix] = merged
    }

    private mutating func intraArea() {
        for area in areas {
            var found: [(vertex: Vertex, prefix: IPPrefix, metric: UInt32, router: UInt32)] = []
            if version == .v2 {
                for (router, bodies) in routerBodies(area.id) {
                    for link in bodies.flatMap(\.links) where link.type == .stub {
                        let length = UInt8(link.data.nonzeroBitCount)
                        found.append(
                            (
                                Vertex(id: UInt64(router), isNetwork: false),
                                .v4(IPv4Prefix(IPv4Address(raw: link.id), length)), UInt32(link.metric), router
                            ))
                    }
                }
                for lsa in lsas(.network, .area(area.id)) {
                    var reader = lsa.body
                    guard let body = try? NetworkLSABody(from: &reader, version: .v2) else { continue }
                    let prefix = IPv4Prefix(IPv4Address(raw: lsa.key.linkStateID), UInt8(body.mask.nonzeroBitCount))
                    found.append(
                        (
                            Vertex(id: UInt64(lsa.key.linkStateID), isNetwork: true), .v4(prefix), 0,
                            lsa.key.advertisingRouter
                        ))
                }
            } else {
                for lsa in lsas(.intraAreaPrefix, .area(area.id)) {
                    var reader = lsa.body
                    guard let body = try? IntraAreaPrefixLSABody(from: &reader, family: family) else { continue }
                    let router = UInt64(body.reference.advertisingRouter)
                    let vertex =
                        body.reference.type == .routerV3
                        ? Vertex(id: router, isNetwork: false)
                        : Vertex(id: router << 32 | UInt64(body.reference.linkStateID), isNetwork: true)
                    for prefix in body.prefixes {
                        found.append((vertex, prefix.prefix, UInt32(prefix.metric), lsa.key.advertisingRouter))
                    }
                }
            }
            for entry in found {
                guard let path = area.paths[entry.vertex] else { continue }
                let isOwn = entry.vertex == Vertex(id: UInt64(local.routerID), isNetwork: false)
                var hops = nextHops(path)
                if isOwn {
                    hops = local.interfaces.filter { interface in
                        interface.areaID == area.id && interface.state != .down
                            && interface.device.addresses.contains {
                                entry.prefix.covers(IPPrefix($0.address, 128))
                            }
                    }.map { .connected($0.id) }
                } else if hops.isEmpty {
                    continue
                }
                offer(
                    CalculatedRoute(
                        prefix: entry.prefix, type: .intraArea, area: area.id, cost: path.distance + entry.metric,
                        type2Cost: 0, tag: 0, advertisingRouter: entry.router, isNSSA: false, nextHops: hops))
            }
        }
    }

    // MARK: 16.2

    private func borderPath(_ area: Area, _ router: UInt32) -> Path? {
        guard router != local.routerID, !area.flags[router, default: []].isDisjoint(with: [.border, .boundary]) else {
            return nil
        }
        return area.paths[Vertex(id: UInt64(router), isNetwork: false)]
    }

    private mutating func interArea() {
        let intra = routes
        for area in areas where !isBorder || area.id == 0 {
            for lsa in lsas(version == .v2 ? .summaryNetwork : .interAreaPrefix, .area(area.id)) {
                var reader = lsa.body
                guard
                    let body = try? InterAreaPrefixLSABody(
                        from: &reader, version: version, family: family, linkStateID: lsa.key.linkStateID),
                    body.metric < 0xff_ffff, let path = borderPath(area, lsa.key.advertisingRouter)
                else { continue }
                let isOurRange =
                    isBorder
                    && local.configuration.areas.contains { configured in
                        configured.ranges.contains { $0.prefix == body.prefix }
                            && intra.values.contains { body.prefix.covers($0.prefix) && $0.area == configured.areaID.raw }
                    }
                let hops = nextHops(path)
                if isOurRange || hops.isEmpty { continue }
                offer(
                    CalculatedRoute(
                        prefix: body.prefix, type: .interArea, area: area.id, cost: path.distance + body.metric,
                        type2Cost: 0, tag: 0, advertisingRouter: lsa.key.advertisingRouter, isNSSA: false,
                        nextHops: hops))
            }
        }
    }

    // MARK: ranges

    private mutating func discards() {
        guard isBorder else { return }
        let within = routes.values.filter { $0.type == .intraArea }
        for area in local.configuration.areas {
            for range in area.ranges
            where range.isAdvertised && routes[range.prefix]?.type != .intraArea
                || range.isAdvertised && routes[range.prefix]?.nextHops == [.blackhole]
            {
                guard within.contains(where: { range.prefix.covers($0.prefix) && $0.area == area.areaID.raw }) else {
                    continue
                }
                routes[range.prefix] = CalculatedRoute(
                    prefix: range.prefix, type: .intraArea, area: area.areaID.raw, cost: 0, type2Cost: 0, tag: 0,
                    advertisingRouter: local.routerID, isNSSA: false, nextHops: [.blackhole])
            }
        }
    }

    // MARK: 16.4

    private func preference(_ type: OSPFPathType, _ area: UInt32) -> UInt8 {
        local.configuration.rfc1583Compatibility ? 0 : type == .intraArea && area != 0 ? 0 : 1
    }

    private func boundary(_ router: UInt32) -> CalculatedRouter? {
        var found: [(UInt8, CalculatedRouter)] = []
        for area in areas where area.kind.importsExternals && area.flags[router, default: []].contains(.boundary) {
            guard let path = area.paths[Vertex(id: UInt64(router), isNetwork: false)], !nextHops(path).isEmpty else {
                continue
            }
            found.append(
                (
                    preference(.intraArea, area.id),
                    CalculatedRouter(
                        routerID: router, type: .intraArea, area: area.id, cost: path.distance, nextHops: nextHops(path),
                        options: [])
                ))
        }
        let best = found.min { a, b in
            (a.0, a.1.cost, UInt32.max - a.1.area) < (b.0, b.1.cost, UInt32.max - b.1.area)
        }
        if let best { return best.1 }
        var inter: CalculatedRouter?
        for area in areas where area.kind.importsExternals && (!isBorder || area.id == 0) {
            for lsa in lsas(version == .v2 ? .summaryRouter : .interAreaRouter, .area(area.id)) {
                var reader = lsa.body
                guard
                    let body = try? InterAreaRouterLSABody(
                        from: &reader, version: version, linkStateID: lsa.key.linkStateID),
                    body.router == router, body.metric < 0xff_ffff,
                    let path = borderPath(area, lsa.key.advertisingRouter), !nextHops(path).isEmpty
                else { continue }
                let cost = path.distance + body.metric
                if let known = inter, known.cost < cost { continue }
                var hops = Set(nextHops(path))
                var id = area.id
                if let known = inter, known.cost == cost {
                    hops.formUnion(known.nextHops)
                    id = max(id, known.area)
                }
                inter = CalculatedRouter(
                    routerID: router, type: .interArea, area: id, cost: cost,
                    nextHops: Array(hops.sorted().prefix(Int(local.configuration.maximumPaths))), options: [])
            }
        }
        return inter
    }

    private struct Candidate {
        var preference: UInt8
        var rank: UInt8
        var route: CalculatedRoute
        var key: (OSPFPathType, UInt32, UInt8, UInt32) { (route.type, route.type2Cost, preference, route.cost) }
    }

    private mutating func externals() {
        let within = routes
        var candidates: [IPPrefix: [Candidate]] = [:]
        func path(to address: IPAddress) -> CalculatedRoute? {
            within.values.filter { $0.prefix.contains(address) && !$0.isDiscard }.max { $0.prefix.length < $1.prefix.length }
        }
        func add(_ lsa: LSA, _ nssa: Area?) {
            var reader = lsa.body
            let origin = lsa.key.advertisingRouter
            guard origin != local.routerID,
                let body = try? ExternalLSABody(
                    from: &reader, version: version, family: family, linkStateID: lsa.key.linkStateID),
                body.metric < 0xff_ffff
            else { return }
            let isPropagated =
                version == .v2
                ? lsa.header.options & 8 != 0 : body.prefixOptions.contains(.propagate)
            if let nssa, body.prefix.length == 0, isBorder, !isPropagated || nssa.kind == .nssaNoSummary { return }
            var way: (type: OSPFPathType, area: UInt32, cost: UInt32, hops: [NextHop])?
            if let nssa {
                guard nssa.flags[origin, default: []].contains(.boundary),
                    let path = nssa.paths[Vertex(id: UInt64(origin), isNetwork: false)]
                else { return }
                way = (.intraArea, nssa.id, path.distance, nextHops(path))
            } else {
                guard let route = boundary(origin) else { return }
                way = (route.type, route.area, route.cost, route.nextHops)
            }
            if let address = body.forwardingAddress {
                let isOurs = local.interfaces.contains { $0.device.addresses.contains { $0.address == address } }
                if isOurs { return }
                guard let route = path(to: address) else { return }
                if let nssa, route.type != .intraArea || route.area != nssa.id { return }
                way = (
                    route.type, route.area, route.cost,
                    route.nextHops.map {
                        if case .connected(let interface) = $0 { return .via(address, interface) }
                        return $0
                    }
                )
            }
            guard let way, !way.hops.isEmpty else { return }
            let type: OSPFPathType = body.isType2 ? .externalType2 : .externalType1
            candidates[body.prefix, default: []].append(
                Candidate(
                    preference: preference(way.type, way.area), rank: nssa == nil ? 1 : isPropagated ? 2 : 0,
                    route: CalculatedRoute(
                        prefix: body.prefix, type: type, area: way.area,
                        cost: way.cost + (body.isType2 ? 0 : body.metric), type2Cost: body.isType2 ? body.metric : 0,
                        tag: body.tag, advertisingRouter: origin, isNSSA: nssa != nil, nextHops: way.hops)))
        }
        for lsa in lsas(version == .v2 ? .external : .externalV3, .autonomousSystem) { add(lsa, nil) }
        for area in areas where area.kind.isNSSA {
            for lsa in lsas(version == .v2 ? .nssa : .nssaV3, .area(area.id)) { add(lsa, area) }
        }
        for (prefix, candidates) in candidates where within[prefix] == nil {
            let best = candidates.map(\.key).min(by: <)!
            let equal = candidates.filter { $0.key == best }
            var named = equal.max { a, b in
                (a.rank, a.route.advertisingRouter, a.route.tag) < (b.rank, b.route.advertisingRouter, b.route.tag)
            }!.route
            let hops = Set(equal.flatMap(\.route.nextHops)).sorted()
            named.nextHops = Array(hops.prefix(Int(local.configuration.maximumPaths)))
            routes[prefix] = named
        }
    }
}
