import ArgumentParser
import Foundation
import Machine
import OSPF
import Records
import Routing
import Wire

/// What the OSPF calculation costs in a network made by formula: the first one, one that answers a link whose metric
/// changed, and one that answers an external.
struct OSPFBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ospf", abstract: "OSPFv2: first calculation and one-link change in a large area.")

    @Option(help: "How many routers.") var routers = 1000
    @Option(help: "How many links.") var links = 5000
    @Option(help: "AS external LSAs.") var externals = 0
    @Option(help: "How many times a link changes.") var changes = 1000
    @Flag(help: "Print JSON.") var json = false

    struct Result: Codable {
        var routers: Int
        var links: Int
        var routes: Int
        var firstCalculationMilliseconds: Double
        /// Both ends' LSAs taken in and the calculation that follows.
        var linkChangeMilliseconds: Double
        var longestLinkChangeMilliseconds: Double
        var routesPerLinkChange: Double
        /// An external that goes and comes back; no shortest paths. Absent without externals.
        var externalChangeMilliseconds: Double?
    }

    func validate() throws {
        if !(2...60_000).contains(routers) { throw ValidationError("--routers is 2 to 60000") }
        if !(routers - 1...1_000_000).contains(links) {
            throw ValidationError("--links is at least --routers less one, at most 1000000")
        }
        if !(0...1_000_000).contains(externals) { throw ValidationError("--externals is 0 to 1000000") }
        if changes < 1 { throw ValidationError("--changes is at least 1") }
    }

    func run() throws {
        var network = OSPFBenchNetwork(routers: routers, links: links, externals: externals)
        let result = network.run(changes: changes)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            return print(String(decoding: try encoder.encode(result), as: UTF8.self))
        }
        print("\(result.routers) routers, \(result.links) links, \(result.routes) routes")
        print(String(format: "first calculation %.2f ms", result.firstCalculationMilliseconds))
        print(
            String(
                format: "one link changes: %.3f ms (longest %.3f ms), %.1f routes", result.linkChangeMilliseconds,
                result.longestLinkChangeMilliseconds, result.routesPerLinkChange))
        if let external = result.externalChangeMilliseconds { print(String(format: "one external: %.4f ms", external)) }
    }
}

/// Routers in a random tree with more links across, each link with a network of four addresses; the first one calculates.
private struct OSPFBenchNetwork {
    private var links: [[RouterLSABody.Link]]
    private var random = RandomNumbers(seed: 1)
    private var database = LSDB()
    private var calculation = RouteCalculation(seed: 1)
    private var sequence: Int32 = 0
    private let linkCount: Int
    private let externals: Int
    /// The last router announces the externals.
    private var boundary: Int { links.count - 1 }

    init(routers: Int, links count: Int, externals: Int) {
        links = [[RouterLSABody.Link]](repeating: [], count: routers)
        linkCount = count
        self.externals = externals
        for router in 1..<routers { join(router, random.number(in: 0...(router - 1)), router - 1) }
        for number in routers - 1..<count {
            let a = random.number(in: 0...(routers - 1))
            join(a, (a + random.number(in: 1...(routers - 1))) % routers, number)
        }
    }

    private static func id(_ router: Int) -> UInt32 { UInt32(router) + 1 }

    private mutating func join(_ a: Int, _ b: Int, _ number: Int) {
        let metric = UInt16(random.number(in: 1...100))
        let network = 0x0a00_0000 | UInt32(number) << 2
        for (near, far, host) in [(a, b, UInt32(1)), (b, a, 2)] {
            links[near].append(.init(type: .pointToPoint, metric: metric, id: Self.id(far), data: network | host))
            links[near].append(.init(type: .stub, metric: metric, id: network, data: 0xffff_fffc))
        }
    }

    private mutating func install(_ lsa: LSA, _ id: DatabaseID, isOwn: Bool) {
        database.install(lsa, in: id, isOwn: isOwn, at: .zero, due: .distantFuture)
    }

    private mutating func describe(_ router: Int) {
        sequence += 1
        let flags: RouterLSABody.Flags = router == boundary && externals > 0 ? [.boundary] : []
        let body = RouterLSABody(flags: flags, links: links[router]).encoded(version: .v2)
        let key = LSAKey(type: .router, linkStateID: Self.id(router), advertisingRouter: Self.id(router))
        install(
            LSA(version: .v2, key: key, options: 2, sequence: sequence, body: body), .area(0), isOwn: router == 0)
    }

    private mutating func announce(_ number: Int) {
        sequence += 1
        let prefix = IPv4Prefix(IPv4Address(raw: 0x2000_0000 | UInt32(number) << 8), 24)
        let body = ExternalLSABody(prefix: .v4(prefix), isType2: true, metric: 20).encoded(version: .v2)
        let key = LSAKey(
            type: .external, linkStateID: prefix.address.raw, advertisingRouter: Self.id(boundary))
        install(
            LSA(version: .v2, key: key, options: 2, sequence: sequence, body: body), .autonomousSystem, isOwn: false)
    }

    private var local: LocalState {
        var interfaces: [LocalInterface] = []
        for (i, link) in links[0].enumerated() where link.type == .pointToPoint {
            let device = InterfaceConfiguration(
                name: "e\(i)", virtualMAC: MACAddress(raw: 2),
                addresses: [.init(address: .v4(IPv4Address(raw: link.data)), prefixLength: 30)])
            let configuration = OSPFInterfaceConfiguration(name: device.name, areaID: .any, network: .pointToPoint)
            let far = LocalNeighbor(routerID: link.id, address: .v4(IPv4Address(raw: link.data ^ 3)), isAdjacent: true)
            interfaces.append(
                LocalInterface(
                    id: InterfaceID(UInt16(truncatingIfNeeded: i)), configuration: configuration, device: device,
                    state: .pointToPoint, interfaceNumber: UInt32(i) + 1, linkLocal: .any, neighbors: [far]))
        }
        return LocalState(
            configuration: OSPFConfiguration(version: .v2, routerID: IPv4Address(raw: Self.id(0))),
            interfaces: interfaces, isStubRouter: false)
    }

    private static func milliseconds(_ body: () -> Void) -> Double {
        let before = EngineBench.cpuSeconds()
        body()
        return (EngineBench.cpuSeconds() - before) * 1e3
    }

    mutating func run(changes: Int) -> OSPFBench.Result {
        let local = local
        for router in links.indices { describe(router) }
        for number in 0..<externals { announce(number) }
        var routes = 0
        let first = Self.milliseconds {
            routes = calculation.calculate(database.takeChanges(), local: local, database: database).updates.count
        }
        var total = 0.0, longest = 0.0, updates = 0
        for change in 0..<changes {
            let a = change % links.count
            guard !links[a].isEmpty else { continue }
            let i = change / links.count * 2 % links[a].count
            let link = links[a][i]
            let b = Int(link.id) - 1
            let metric: UInt16 = link.metric > 50 ? 1 : 100
            links[a][i].metric = metric
            if let back = links[b].firstIndex(where: { $0.type == .pointToPoint && $0.data == link.data ^ 3 }) {
                links[b][back].metric = metric
            }
            describe(a)
            describe(b)
            let time = Self.milliseconds {
                let changed = database.takeChanges()
                updates += calculation.calculate(changed, local: local, database: database).updates.count
            }
            total += time
            longest = max(longest, time)
        }
        var external: Double?
        if externals > 0 {
            let key = LSAKey(type: .external, linkStateID: 0x2000_0000, advertisingRouter: Self.id(boundary))
            var spent = 0.0
            for _ in 0..<changes {
                if let handle = database.handle(of: key, in: .autonomousSystem) {
                    database.setMaxAge(handle, at: .zero)
                }
                for isBack in [false, true] {
                    if isBack { announce(0) }
                    spent += Self.milliseconds {
                        _ = calculation.calculate(database.takeChanges(), local: local, database: database)
                    }
                }
            }
            external = spent / Double(changes * 2)
        }
        return OSPFBench.Result(
            routers: links.count, links: linkCount, routes: routes, firstCalculationMilliseconds: first,
            linkChangeMilliseconds: total / Double(changes), longestLinkChangeMilliseconds: longest,
            routesPerLinkChange: Double(updates) / Double(changes), externalChangeMilliseconds: external)
    }
}
