import Machine
import Records
import Routing
import Wire

@testable import OSPF

/// Several routers that tell each other everything at once: each works out its own LSAs, all LSAs reach whom they may
/// reach, until nobody has anything new to say. What is left out is the wire.
struct SampleDomain {
    let version: OSPFVersion
    var locals: [UInt32: LocalState] = [:]
    var redistributed: [UInt32: RedistributionTable] = [:]
    var calculations: [UInt32: RouteCalculation] = [:]
    var databases: [UInt32: LSDB] = [:]
    private var nextNetwork = 200

    let family: AddressFamily

    init(_ version: OSPFVersion, routers: ClosedRange<UInt32>, family: AddressFamily? = nil) {
        self.version = version
        let family = family ?? (version == .v2 ? .ipv4 : .ipv6)
        self.family = family
        for id in routers {
            let configuration = OSPFConfiguration(
                version: version, family: family, routerID: IPv4Address(raw: id))
            locals[id] = LocalState(configuration: configuration, interfaces: [], isStubRouter: false)
        }
    }

    func prefix(_ network: Int) -> IPPrefix {
        family == .ipv4 ? IPPrefix("10.0.\(network).0/24")! : IPPrefix("2001:db8:0:\(network)::/64")!
    }
    func external(_ network: Int) -> IPPrefix {
        family == .ipv4 ? IPPrefix("172.16.\(network).0/24")! : IPPrefix("2001:db8:ff:\(network)::/64")!
    }
    func host(_ network: Int, _ router: UInt32) -> IPAddress {
        switch prefix(network).address {
        case .v4(let address): .v4(IPv4Address(raw: address.raw + router))
        case .v6(let address): .v6(IPv6Address(high: address.high, low: UInt64(router)))
        }
    }
    private func speaker(_ network: Int, _ router: UInt32) -> IPAddress {
        version == .v2 ? host(network, router) : .v6(IPv6Address(high: 0xfe80 << 48, low: UInt64(router)))
    }

    private func interfaceID(_ network: Int) -> InterfaceID { InterfaceID(UInt16(network)) }

    private mutating func attach(
        _ router: UInt32, _ network: Int, area: UInt32, _ type: OSPFNetworkType, cost: UInt16,
        state: OSPFInterfaceState, address: IPAddress?, length: UInt8, dr: UInt32, neighbors: [UInt32]
    ) {
        var configuration = OSPFInterfaceConfiguration(
            name: "n\(network)", areaID: IPv4Address(raw: area), network: type)
        configuration.cost = cost
        let device = InterfaceConfiguration(
            name: "n\(network)", virtualMAC: MACAddress(raw: 1),
            addresses: address.map { [.init(address: $0, prefixLength: length)] } ?? [])
        let list = neighbors.sorted().map {
            LocalNeighbor(
                routerID: $0, address: speaker(network, $0), interfaceNumber: UInt32(network) + 1, isAdjacent: true)
        }
        var identity = dr
        if version == .v2, dr != 0, case .v4(let address) = host(network, dr) { identity = address.raw }
        locals[router]!.interfaces.append(
            LocalInterface(
                id: interfaceID(network), configuration: configuration, device: device, state: state, dr: identity,
                interfaceNumber: UInt32(network) + 1, linkLocal: IPv6Address(high: 0xfe80 << 48, low: UInt64(router)),
                neighbors: list))
        locals[router]!.interfaces.sort { $0.id < $1.id }
    }

    /// A network; the first router is its Designated Router. With one router it is a stub.
    mutating func network(_ number: Int, area: UInt32 = 0, _ routers: [(UInt32, UInt16)]) {
        let length: UInt8 = family == .ipv4 ? 24 : 64
        for (router, cost) in routers {
            attach(
                router, number, area: area, .broadcast, cost: cost,
                state: router == routers[0].0 ? .dr : .drOther, address: host(number, router), length: length,
                dr: routers[0].0, neighbors: routers.map(\.0).filter { $0 != router })
        }
    }

    /// A serial line without a network of its own.
    mutating func line(_ a: UInt32, _ costA: UInt16, _ b: UInt32, _ costB: UInt16, area: UInt32 = 0) {
        let number = nextNetwork
        nextNetwork += 1
        for (near, cost, far) in [(a, costA, b), (b, costB, a)] {
            attach(
                near, number, area: area, .pointToPoint, cost: cost, state: .pointToPoint,
                address: host(number, near), length: family == .ipv4 ? 24 : 64, dr: 0, neighbors: [far])
            let at = locals[near]!.interfaces.firstIndex { $0.id == interfaceID(number) }!
            locals[near]!.interfaces[at].configuration.suppressesPrefixes = true
        }
    }

    mutating func announce(
        _ router: UInt32, _ prefix: IPPrefix, metric: UInt32, isType2: Bool = false, tag: UInt32 = 0
    ) {
        redistributed[router, default: RedistributionTable()].apply([
            RedistributionUpdate(
                prefix,
                RedistributedRoute(source: .static, metric: metric, isExternalMetric: isType2, tag: tag))
        ])
    }

    mutating func configure(_ router: UInt32, _ change: (inout OSPFConfiguration) -> Void) {
        change(&locals[router]!.configuration)
    }
    mutating func configureAll(_ area: OSPFAreaConfiguration) {
        for id in locals.keys { locals[id]!.configuration.areas.append(area) }
    }

    /// Areas that a router has interfaces in.
    func areas(_ router: UInt32) -> [UInt32] { Set(locals[router]!.interfaces.map(\.areaID)).sorted() }

    func wanted(_ router: UInt32) -> [WantedLSA] {
        let local = locals[router]!
        let calculation = calculations[router] ?? RouteCalculation(seed: 1)
        let database = databases[router] ?? LSDB()
        let table = redistributed[router] ?? RedistributionTable()
        let externals = OwnExternals(
            local: local, calculation: calculation, redistributed: table, database: database)
        let summaries = OwnSummaries(local: local, calculation: calculation, database: database)
        var list: [WantedLSA] = []
        for area in areas(router) {
            let topology = OwnTopology(
                local: local, isBorder: RouteCalculation.isBorderRouter(local), isBoundary: externals.isBoundaryRouter,
                isTranslator: externals.isTranslator(of: area)
                    && local.configuration.area(IPv4Address(raw: area)).nssaTranslator == .always,
                database: database)
            list += topology.lsas(of: area)
            list += summaries.lsas(into: area)
            list += externals.lsas(in: .area(area))
        }
        return list + externals.lsas(in: .autonomousSystem)
    }

    /// Goes on until nobody says anything new.
    mutating func settle() -> Bool {
        let ids = locals.keys.sorted()
        for _ in 0..<20 {
            var said: [(router: UInt32, lsa: WantedLSA)] = []
            for router in ids { for lsa in wanted(router) { said.append((router, lsa)) } }
            var isNews = false
            for router in ids {
                var database = LSDB()
                let mine = areas(router)
                for entry in said {
                    let scope = entry.lsa.database
                    switch scope.scope {
                    case .area: guard mine.contains(scope.number) else { continue }
                    case .autonomousSystem:
                        let isOpen = mine.contains {
                            locals[router]!.configuration.area(IPv4Address(raw: $0)).kind.importsExternals
                        }
                        guard isOpen else { continue }
                    case .link:
                        let isOnLink = locals[router]!.interfaces.contains { UInt32($0.id.value) == scope.number }
                        guard isOnLink else { continue }
                    }
                    let lsa = LSA(
                        version: version, key: entry.lsa.key, options: entry.lsa.options, body: entry.lsa.body)
                    database.install(
                        lsa, in: scope, isOwn: entry.router == router, at: .zero, due: .distantFuture)
                }
                if databases[router]?.digest != database.digest { isNews = true }
                databases[router] = database
                var calculation = RouteCalculation(seed: UInt64(router))
                _ = calculation.calculate([], local: locals[router]!, database: database)
                calculations[router] = calculation
            }
            if !isNews { return true }
        }
        return false
    }

    // MARK: questions

    func route(_ router: UInt32, _ prefix: IPPrefix) -> CalculatedRoute? { calculations[router]!.route(for: prefix) }

    /// Routers that the route goes to first; our own number for what is connected.
    func first(_ router: UInt32, _ prefix: IPPrefix) -> [UInt32] {
        guard let route = route(router, prefix) else { return [] }
        return route.nextHops.map { hop in
            guard case .via(let address, let interface) = hop else { return router }
            let neighbors = locals[router]!.interfaces.first { $0.id == interface }!.neighbors
            let known = neighbors.first {
                $0.address == address || host(Int(interface.value), $0.routerID) == address
            }
            return known?.routerID ?? 0
        }
    }

    /// Metric of the summary of a network that a router puts into an area.
    func summary(_ router: UInt32, _ prefix: IPPrefix, into area: UInt32) -> UInt32? {
        for lsa in wanted(router) where lsa.database == .area(area) {
            guard lsa.key.type == .summaryNetwork || lsa.key.type == .interAreaPrefix else { continue }
            let octets = lsa.body
            var reader = ByteReader(octets.span.bytes)
            let body = try? InterAreaPrefixLSABody(
                from: &reader, version: version, family: family, linkStateID: lsa.key.linkStateID)
            if body?.prefix == prefix { return body?.metric }
        }
        return nil
    }

    func routerSummary(_ router: UInt32, _ boundary: UInt32, into area: UInt32) -> UInt32? {
        for lsa in wanted(router) where lsa.database == .area(area) {
            guard lsa.key.type == .summaryRouter || lsa.key.type == .interAreaRouter else { continue }
            let octets = lsa.body
            var reader = ByteReader(octets.span.bytes)
            let body = try? InterAreaRouterLSABody(from: &reader, version: version, linkStateID: lsa.key.linkStateID)
            if body?.router == boundary { return body?.metric }
        }
        return nil
    }

    /// External LSAs that a router wants in a database.
    func externals(_ router: UInt32, in id: DatabaseID) -> [(options: UInt8, body: ExternalLSABody)] {
        var found: [(options: UInt8, body: ExternalLSABody)] = []
        for lsa in wanted(router) where lsa.database == id && lsa.key.type == OwnExternals.type(version, in: id) {
            let octets = lsa.body
            var reader = ByteReader(octets.span.bytes)
            if let body = try? ExternalLSABody(
                from: &reader, version: version, family: family, linkStateID: lsa.key.linkStateID)
            {
                found.append((lsa.options, body))
            }
        }
        return found
    }
}
