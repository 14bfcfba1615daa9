import ArgumentParser
import Foundation

/// What the engine costs, without packets. The whole way over the wire, against other routers, is `Scripts/bench`.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measures the engine and its protocols alone.",
        discussion: "Figures are CPU time of one thread. Compare ratios of one run, not absolute times of two machines.",
        subcommands: [
            TableBench.self, ViewBench.self, OSPFBench.self, ISISBench.self, TCPBenchCommand.self, KernelFIBCommand.self,
        ],
        defaultSubcommand: TableBench.self)
}

struct TableBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "table", abstract: "BGP: a full table in and out, snapshots, memory.")

    @Option(help: "Folder with v4.txt.gz and attrs.txt.gz. Without it a table is made by formula.")
    var table: String?
    @Option(help: "How many routes at the most.")
    var routes = 600_000
    @Option(parsing: .upToNextOption, help: "How many peers get the table, one run each.")
    var receivers: [Int] = [0, 1, 20]
    @Flag(help: "Measure instead how fast the forwarding table follows when a next hop of all routes is lost.")
    var fib = false
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        if fib { return try runFIB() }
        let nextHop = EngineBench.address(0).raw
        let table =
            try self.table.map { try BenchTable(folder: $0, peerAS: 65001, nextHop: nextHop, limit: routes) }
            ?? BenchTable(generated: routes, peerAS: 65001, nextHop: nextHop)
        var results: [EngineBench.Result] = []
        for count in receivers { results.append(try EngineBench.run(table, receivers: count)) }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(results), as: UTF8.self))
            return
        }
        print("\(table.routeCount) routes in \(table.messages.count) messages, \(table.octets) octets")
        for result in results {
            print(
                String(
                    format: "%3d receivers: %.3f µs per route, longest record %.1f ms, %.0f octets per route, %d octets out",
                    result.receivers, result.microsecondsPerRoute, result.longestRecordMilliseconds, result.octetsPerRoute,
                    result.outputOctets))
            print(
                String(
                    format:
                        "    snapshot: copy %.3f ms, next record %.1f ms, encode %.0f ms, restore %.0f ms, %d octets; session down %.1f ms",
                    result.snapshotCopyMilliseconds, result.firstRecordAfterSnapshotMilliseconds,
                    result.snapshotEncodeMilliseconds, result.snapshotRestoreMilliseconds, result.snapshotOctets,
                    result.sessionDownMilliseconds))
        }
    }

    private func runFIB() throws {
        let result = try FIBBench.run(routes: routes)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(result), as: UTF8.self))
            return
        }
        print(
            String(
                format: "%d routes, each with a backup (%.3f µs per route of the second table)", result.routes,
                result.microsecondsPerBackupRoute))
        print(
            String(
                format: "next hop lost: update out after %.3f ms with %d groups and %d routes", result.lossMilliseconds,
                result.groupsInUpdate, result.routesInUpdate))
        print(
            String(
                format: "all decided again after %.0f ms of CPU, longest record %.1f ms, %d routes moved",
                result.decidedMilliseconds, result.longestRecordMilliseconds, result.laterRoutes))
    }
}
