import ArgumentParser
import Foundation
import ISIS
import Machine
import Records
import Routing
import Wire

/// What the IS-IS decision process costs in a network made by formula: reading LSPs, the first calculation, and what
/// follows when one link changes its metric.
struct ISISBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "isis", abstract: "IS-IS: first calculation and one-link change in a large area.")

    @Option(help: "How many routers.") var routers = 1000
    @Option(help: "How many links.") var links = 5000
    @Option(help: "Prefixes of each router.") var prefixes = 5
    @Option(help: "How many times a link changes.") var changes = 1000
    @Flag(help: "Print JSON.") var json = false

    struct Result: Codable {
        var routers: Int
        var links: Int
        var routes: Int
        /// Header, checksum and TLVs of all LSPs.
        var readMilliseconds: Double
        var firstCalculationMilliseconds: Double
        /// Both ends' LSPs read and the calculation that follows.
        var linkChangeMilliseconds: Double
        var longestLinkChangeMilliseconds: Double
        var routesPerLinkChange: Double
        /// A change of a prefix: no shortest paths.
        var prefixChangeMilliseconds: Double
    }

    func validate() throws {
        if routers < 2 || routers > 60_000 { throw ValidationError("--routers is 2 to 60000") }
        if links < routers - 1 { throw ValidationError("--links is at least --routers less one") }
        if !(0...100).contains(prefixes) { throw ValidationError("--prefixes is 0 to 100") }
        if changes < 1 { throw ValidationError("--changes is at least 1") }
    }

    func run() throws {
        var network = ISISBenchNetwork(routers: routers, links: links, prefixes: prefixes)
        let result = try network.run(changes: changes)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            return print(String(decoding: try encoder.encode(result), as: UTF8.self))
        }
        print("\(result.routers) routers, \(result.links) links, \(result.routes) routes")
        print(
            String(
                format: "LSPs read %.2f ms, first calculation %.2f ms", result.readMilliseconds,
                result.firstCalculationMilliseconds))
        print(
            String(
                format: "one link changes: %.3f ms (longest %.3f ms), %.1f routes; one prefix: %.4f ms",
                result.linkChangeMilliseconds, result.longestLinkChangeMilliseconds, result.routesPerLinkChange,
                result.prefixChangeMilliseconds))
    }
}

/// Routers in a random tree with more links across, each with a few networks; the first one calculates.
private struct ISISBenchNetwork {
    private let prefixes: Int
    private let linkCount: Int
    private var neighbors: [[NeighborReach]]
    private var random = RandomNumbers(seed: 1)
    private var calculation = RouteCalculation(seed: 1)
    private let area = AreaAddress([0x49, 0, 1])

    init(routers: Int, links: Int, prefixes: Int) {
        self.prefixes = prefixes
        linkCount = links
        neighbors = [[NeighborReach]](repeating: [], count: routers)
        for router in 1..<routers { link(router, random.number(in: 0...(router - 1))) }
        for _ in routers - 1..<links {
            let a = random.number(in: 0...(routers - 1))
            let b = (a + random.number(in: 1...(routers - 1))) % routers
            link(a, b)
        }
    }

    private static func node(_ router: Int) -> NodeID { NodeID(SystemID(raw: UInt64(router) + 1)) }

    private mutating func link(_ a: Int, _ b: Int) {
        let metric = UInt32(random.number(in: 1...100))
        neighbors[a].append(NeighborReach(Self.node(b), metric: metric))
        neighbors[b].append(NeighborReach(Self.node(a), metric: metric))
    }

    private func lsp(_ router: Int, more: Int = 0) -> [UInt8] {
        var contents = OwnLSPContents()
        contents.flags = .level2
        contents.areas = area.map { [$0] } ?? []
        contents.protocols = [ProtocolID.ipv4]
        contents.neighbors = neighbors[router]
        contents.ipv4 = (0..<(prefixes + more)).map {
            let address = IPv4Address(raw: 0x0a00_0000 &+ UInt32(router * 128 + $0) << 6)
            return IPv4Reach(IPv4Prefix(address, 26), metric: 10)
        }
        var fragments = OwnLSPFragments(node: Self.node(router))
        _ = fragments.update(contents, bodyMaximum: 8000)
        return LSPBuilder.encode(
            level: .two, id: LSPID(Self.node(router)), sequenceNumber: 1, remainingLifetime: 1200, flags: .level2,
            body: fragments.body(0) ?? [], key: nil)
    }

    /// What a received LSP goes through.
    private mutating func receive(_ bytes: [UInt8]) throws {
        let header = try LSPHeader(bytes.span.bytes)
        calculation.update(.two, header.id, pdu: bytes)
    }

    private static func milliseconds(_ body: () throws -> Void) rethrows -> Double {
        let before = EngineBench.cpuSeconds()
        try body()
        return (EngineBench.cpuSeconds() - before) * 1e3
    }

    mutating func run(changes: Int) throws -> ISISBench.Result {
        var configuration = ISISConfiguration(systemID: SystemID(raw: 1), areaAddresses: area.map { [$0] } ?? [])
        configuration.levels = .level2
        calculation.configure(configuration)
        var links: [LocalLink] = []
        var adjacencies: [LocalAdjacency] = []
        for (i, reach) in neighbors[0].enumerated() {
            let interface = InterfaceID(UInt16(truncatingIfNeeded: i))
            links.append(LocalLink(interface: interface, node: reach.node, metric: reach.metric))
            adjacencies.append(
                LocalAdjacency(
                    interface: interface, system: reach.node.system, ipv4: IPv4Address(raw: 0xc0a8_0002 &+ UInt32(i) << 8),
                    ipv6: nil))
        }
        calculation.setLocal(.two, links: links, adjacencies: adjacencies)
        let all = (1..<neighbors.count).map { lsp($0) }
        let read = try Self.milliseconds { for bytes in all { try receive(bytes) } }
        let first = Self.milliseconds { _ = calculation.run() }

        var total = 0.0, longest = 0.0, updates = 0, prefixTotal = 0.0
        for change in 0..<changes {
            let a = 1 + change % (neighbors.count - 1)
            let i = change % neighbors[a].count
            let b = Int(neighbors[a][i].node.system.raw) - 1
            let before = neighbors[a][i].metric
            let metric: UInt32 = before > 50 ? 1 : 100
            neighbors[a][i].metric = metric
            if let back = neighbors[b].firstIndex(where: { $0.node == Self.node(a) && $0.metric == before }) {
                neighbors[b][back].metric = metric
            }
            let ends = [a, b].filter { $0 != 0 }.map { lsp($0) }
            let time = try Self.milliseconds {
                for bytes in ends { try receive(bytes) }
                updates += calculation.run().updates.count
            }
            total += time
            longest = max(longest, time)
            let more = lsp(a, more: 1), again = lsp(a)
            prefixTotal += try Self.milliseconds {
                try receive(more)
                _ = calculation.run()
            }
            try receive(again)
            _ = calculation.run()
        }
        return ISISBench.Result(
            routers: neighbors.count, links: linkCount, routes: calculation.routeCount.ipv4, readMilliseconds: read,
            firstCalculationMilliseconds: first, linkChangeMilliseconds: total / Double(changes),
            longestLinkChangeMilliseconds: longest, routesPerLinkChange: Double(updates) / Double(changes),
            prefixChangeMilliseconds: prefixTotal / Double(changes))
    }
}
