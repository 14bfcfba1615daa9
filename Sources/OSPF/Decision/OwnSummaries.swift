import Records
import Routing
import Wire

/// RFC 2328 §12.4.3, RFC 5340 §4.4.3.4 and §4.4.3.5: what an area border router says in one area of the others.
public struct OwnSummaries {
    private let local: LocalState
    private let calculation: RouteCalculation
    private let database: LSDB
    private var version: OSPFVersion { local.configuration.version }

    /// - Parameters:
    ///   - calculation: as of the last calculation of routes.
    ///   - database: where OSPFv3's numbers of LSAs are looked up.
    public init(local: LocalState, calculation: RouteCalculation, database: LSDB) {
        self.local = local
        self.calculation = calculation
        self.database = database
    }

    /// The types that `lsas` speaks of: own LSAs of these types that it does not name are to be flushed.
    public static func types(_ version: OSPFVersion) -> [LSAType] {
        version == .v2 ? [.summaryNetwork, .summaryRouter] : [.interAreaPrefix, .interAreaRouter]
    }

    /// Summaries for an area that we are attached to, ascending by key. None if we are no area border router.
    public func lsas(into area: UInt32) -> [WantedLSA] {
        let isAttached = local.interfaces.contains { $0.areaID == area && $0.state != .down }
        guard calculation.isBorderRouter, isAttached else { return [] }
        let networks = self.networks(into: area)
        let type: LSAType = version == .v2 ? .summaryNetwork : .interAreaPrefix
        let prefixes = networks.map(\.prefix)
        let ids =
            version == .v2
            ? LinkStateIDs.ospfv2(prefixes)
            : LinkStateIDs.ospfv3(
                prefixes, type: type, in: .area(area), family: local.configuration.family, database)
        var list: [WantedLSA] = []
        for (network, id) in zip(networks, ids) {
            guard let id else { continue }
            let body = InterAreaPrefixLSABody(metric: metric(network.cost), prefix: network.prefix)
            list.append(wanted(type, id, area, body.encoded(version: version)))
        }
        for router in routers(into: area) {
            let body = InterAreaRouterLSABody(
                metric: metric(router.cost), router: router.routerID, options: router.options)
            list.append(
                wanted(
                    version == .v2 ? .summaryRouter : .interAreaRouter, router.routerID, area,
                    body.encoded(version: version)))
        }
        return list.sorted { $0.key < $1.key }
    }

    private func wanted(_ type: LSAType, _ id: UInt32, _ area: UInt32, _ body: [UInt8]) -> WantedLSA {
        var options: UInt8 = 0
        if version == .v2, kind(area).importsExternals { options = UInt8(OSPFOptions.external.rawValue) }
        return WantedLSA(
            database: .area(area), key: LSAKey(type: type, linkStateID: id, advertisingRouter: local.routerID),
            options: options, body: body)
    }

    private func kind(_ area: UInt32) -> OSPFAreaKind { local.configuration.area(IPv4Address(raw: area)).kind }

    /// RFC 6987 §4: a stub router may say that it is a bad way between areas, too.
    private func metric(_ cost: UInt32) -> UInt32 {
        if local.isStubRouter, let metric = local.configuration.stubRouter?.summaryMetric { return metric }
        return cost
    }

    /// Whether packets for it would go back into the area that hears of it.
    private func leads(into area: UInt32, _ nextHops: [NextHop]) -> Bool {
        nextHops.contains { hop in
            switch hop {
            case .via(_, let id), .connected(let id): local.interfaces.contains { $0.id == id && $0.areaID == area }
            case .gateway, .blackhole: false
            }
        }
    }

    private func networks(into area: UInt32) -> [(prefix: IPPrefix, cost: UInt32)] {
        let configuration = local.configuration.area(IPv4Address(raw: area))
        var found: [(prefix: IPPrefix, cost: UInt32)] = []
        // RFC 2328 §12.4.3.1, RFC 3101 §2.7: the default into areas that know no externals.
        let hasDefault = configuration.kind.isStub || configuration.kind == .nssaNoSummary
        if configuration.kind.importsSummaries {
            var ranges: [(prefix: IPPrefix, cost: UInt32)] = []
            for route in calculation.routes where !route.type.isExternal && !route.isDiscard {
                if route.area == area || leads(into: area, route.nextHops) { continue }
                if route.cost >= InterAreaPrefixLSABody.infinity { continue }
                switch route.type {
                case .interArea:
                    // What came from the backbone does not go back into it.
                    if area == 0 || hasDefault && route.prefix.isDefault { continue }
                    found.append((route.prefix, route.cost))
                case .intraArea:
                    guard let range = range(of: route) else {
                        found.append((route.prefix, route.cost))
                        continue
                    }
                    guard range.isAdvertised else { continue }
                    ranges.append((range.prefix, range.cost ?? route.cost))
                case .externalType1, .externalType2: continue
                }
            }
            // §12.4.3: a range costs as much as what is farthest in it; RFC 1583 took the nearest.
            ranges.sort { ($0.prefix, $0.cost) < ($1.prefix, $1.cost) }
            for (i, range) in ranges.enumerated() {
                let isFirst = i == 0 || ranges[i - 1].prefix != range.prefix
                let isLast = i + 1 == ranges.count || ranges[i + 1].prefix != range.prefix
                if local.configuration.rfc1583Compatibility ? isFirst : isLast { found.append(range) }
            }
        }
        if hasDefault {
            let isIPv4 = local.configuration.family == .ipv4
            let prefix: IPPrefix = isIPv4 ? .v4(IPv4Prefix(.any, 0)) : .v6(IPv6Prefix(.any, 0))
            found.removeAll { $0.prefix == prefix }
            found.append((prefix, configuration.defaultCost))
        }
        // One prefix may be a range and a network, or in two areas: the cheaper way counts.
        found.sort { ($0.prefix, $0.cost) < ($1.prefix, $1.cost) }
        var unique: [(prefix: IPPrefix, cost: UInt32)] = []
        for entry in found where unique.last?.prefix != entry.prefix { unique.append(entry) }
        return unique
    }

    /// The longest range of the route's own area that covers it.
    private func range(of route: CalculatedRoute) -> OSPFAreaRange? {
        var best: OSPFAreaRange?
        for range in local.configuration.area(IPv4Address(raw: route.area)).ranges
        where range.prefix.covers(route.prefix) && range.prefix.length >= best?.prefix.length ?? 0 {
            best = range
        }
        return best
    }

    private func routers(into area: UInt32) -> [CalculatedRouter] {
        guard kind(area).importsExternals else { return [] }
        return calculation.boundaryRouters.filter { router in
            router.area != area && !leads(into: area, router.nextHops)
                && router.cost < InterAreaPrefixLSABody.infinity && (area != 0 || router.type == .intraArea)
        }
    }
}
