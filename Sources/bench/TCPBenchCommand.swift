import ArgumentParser
import Foundation

/// `bench tcp`
struct TCPBenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tcp", abstract: "TCP: one sender over a virtual path, straight, with losses and with late segments.")

    @Option(help: "Octets to send over each path, in MiB.")
    var size = 100
    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let results = TCPBench.paths.map { TCPBench.run($0, octets: max(1, min(size, 4096)) << 20) }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(results), as: UTF8.self))
            return
        }
        for result in results {
            let name = result.name.padding(toLength: 34, withPad: " ", startingAt: 0)
            print(
                name,
                String(
                    format: "%7d segments, %5d again, %5.0f ns each, longest call %5.0f µs; %6.2f s, %5.0f Mbit/s",
                    result.segments, result.retransmitted, result.nanosecondsPerSegment, result.longestMicroseconds,
                    result.seconds, result.megabitsPerSecond))
        }
    }
}
