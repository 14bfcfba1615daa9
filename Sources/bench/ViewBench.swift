import ArgumentParser
import BGP
import Foundation
import Machine
import Wire

/// What each view of an update group costs: some neighbours announce the same prefixes, others in one group get what the
/// view says.
struct ViewBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "views", abstract: "BGP: one path, the best that policy lets pass, or several, for each prefix.")

    @Option(help: "How many prefixes.")
    var prefixes = 200_000
    @Option(help: "How many neighbours announce all of them.")
    var sources = 4
    @Option(help: "How many neighbours are told.")
    var receivers = 20

    func run() throws {
        print("\(prefixes) prefixes from \(sources) neighbours to \(receivers)")
        for (name, view) in [
            ("best", ExportView.best), ("best accepted", .bestAccepted), ("two", .several(2)), ("four", .several(4)),
        ] {
            let result = measure(view)
            print(
                String(
                    format: "%@: %.3f µs per path in, %.3f µs per prefix when the best path goes, %d octets out",
                    name.padding(toLength: 13, withPad: " ", startingAt: 0), result.perPath, result.perLoss, result.octets))
        }
    }

    private func measure(_ view: ExportView) -> (perPath: Double, perLoss: Double, octets: Int) {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 1))
        configuration.ebgpRequiresPolicy = false
        var rib = RIB(configuration: configuration, seed: 1)
        for number in 0..<(sources + receivers) {
            let address = EngineBench.address(number)
            var session = RIBSession(
                identifier: RouterID(raw: address.raw), families: .ipv4Unicast, fourOctetAS: true, extendedMessages: false,
                nextHopIPv4: EngineBench.routerAddress)
            session.view = view
            if case .several = view { session.sendsPathIDs = .ipv4Unicast }
            rib.establish(
                PeerIndex(UInt16(number)),
                neighbor: NeighborConfiguration(address: .v4(address), remoteAS: ASNumber(65001 + UInt32(number))),
                session: session)
        }
        var now = Instant.zero
        var octets = 0
        func tell() {
            repeat {
                now = now + .milliseconds(10)
                rib.advertise(at: now)
                for number in 0..<(sources + receivers) {
                    rib.takeOutput(for: PeerIndex(UInt16(number)), limit: .max) { octets += $0.count }
                }
                _ = rib.takeIPv4Changes()
            } while rib.nextDeadline != nil
        }
        tell()
        var start = EngineBench.cpuSeconds()
        let perMessage = 20
        for first in stride(from: 0, to: prefixes, by: perMessage) {
            var nlri: [UInt8] = []
            for number in first..<min(first + perMessage, prefixes) {
                nlri += [24, UInt8(20 + number >> 16), UInt8(number >> 8 & 255), UInt8(number & 255)]
            }
            for source in (0..<sources).reversed() {
                // The last to come is the best.
                let path: [UInt32] = [UInt32(65001 + source)] + Array(repeating: 100 + UInt32(first % 3000), count: source + 1)
                var block: [UInt8] = [0x40, 1, 1, 0, 0x40, 2, UInt8(2 + 4 * path.count), 2, UInt8(path.count)]
                for number in path { block += BenchTable.word(number) }
                block += [0x40, 3, 4]
                block += BenchTable.word(EngineBench.address(source).raw)
                let context = AttributeContext(0)
                let handle =
                    rib.attributes(forKey: block.span.bytes, context: context)
                    ?? rib.insertAttributes(key: block.span.bytes, context: context, canonical: block.span.bytes)
                rib.resolveNewNextHops { _ in .reachable(metric: 0) }
                rib.announce(nlri.span.bytes, .ipv4Unicast, from: PeerIndex(UInt16(source)), attributes: handle)
            }
            if first / perMessage % 500 == 499 { tell() }
        }
        tell()
        let announced = EngineBench.cpuSeconds() - start
        let sent = octets
        start = EngineBench.cpuSeconds()
        rib.close(PeerIndex(0))
        tell()
        let lost = EngineBench.cpuSeconds() - start
        return (announced * 1e6 / Double(prefixes * sources), lost * 1e6 / Double(prefixes), sent)
    }
}
