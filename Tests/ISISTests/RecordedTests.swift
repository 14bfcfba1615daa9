import Machine
import RecordedSteps
import Records
import Routing
import Testing
import Wire

@testable import ISIS

@Suite struct RecordedTests {
    private static func recorder(_ title: String, _ network: VirtualNetwork) -> StepRecorder {
        let recorder = StepRecorder(title)
        network.observer = { router, input, effects in
            recorder.step(
                at: network.now, "r\(router + 1)", input.text(summary), outcome: effects.flatMap { $0.lines(summary) },
                state: state(network, router))
        }
        return recorder
    }

    private static func state(_ network: VirtualNetwork, _ router: Int) -> [String] {
        var lines: [String] = []
        for (i, circuit) in network.machine(router).circuits.enumerated() {
            guard let circuit else { continue }
            lines += circuit.adjacencies.map { "if\(i) adjacency \($0.system) \($0.state)" }
            if let designated = circuit.lans[1].designated { lines.append("if\(i) designated \(designated)") }
        }
        return lines + network.database(router).map { "LSP \($0)" }
    }

    /// What a PDU says, in words.
    private static func summary(_ bytes: [UInt8]) -> String {
        func text(_ entry: LSPEntry) -> String {
            "\(entry.id) #\(entry.sequenceNumber) lifetime \(entry.remainingLifetime) checksum \(String(entry.checksum, radix: 16))"
        }
        let span = bytes.span.bytes
        guard let type = PDUHeader.peekType(span) else { return "no IS-IS" }
        let words: [String]
        switch type {
        case .level1LANHello, .level2LANHello:
            guard let hello = try? LANHello(span) else { return "bad \(type)" }
            words = [
                "of \(hello.source), holds \(hello.holdingTime) s, priority \(hello.priority), LAN \(hello.lanID)",
                "hears \(hello.contents.lanNeighbors.map { "\($0)" }.joined(separator: " "))",
            ]
        case .pointToPointHello:
            guard let hello = try? PointToPointHello(span) else { return "bad \(type)" }
            let way = hello.contents.threeWay
            words = [
                "of \(hello.source), holds \(hello.holdingTime) s",
                way.map { "three-way \($0.state)\($0.neighbor.map { ", hears \($0)" } ?? "")" } ?? "two-way",
            ]
        case .level1LSP, .level2LSP:
            guard let header = try? LSPHeader(span) else { return "bad \(type)" }
            words = [text(header.entry)]
        case .level1CSNP, .level2CSNP:
            guard let numbers = try? CSNP(span) else { return "bad \(type)" }
            words = ["of \(numbers.source), \(numbers.start) to \(numbers.end)"] + numbers.entries.map(text)
        case .level1PSNP, .level2PSNP:
            guard let numbers = try? PSNP(span) else { return "bad \(type)" }
            words = ["of \(numbers.source)"] + numbers.entries.map(text)
        }
        return "\(type) " + words.joined(separator: "; ")
    }

    @Test func `ISO 10589 §8.4: an adjacency on a LAN, its designated IS and its CSNP`() throws {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b]) { $1.level2.priority = UInt8(60 + $0) }
        let recorder = Self.recorder("IS-IS: two routers on a LAN, level 2, until the designated IS has sent CSNPs", network)
        network.start()
        network.run(.seconds(35))
        #expect(network.upNeighbors(a) == [network.id(b)])
        #expect(network.database(a) == network.database(b))
        try recorder.hold("adjacency-lan")
    }

    @Test func `ISO 10589 §7.3.15: what a CSNP shows to be missing is asked for and acknowledged`() throws {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint)
        // Each LSP is lost once before the adjacency tells of all by a CSNP.
        var lost: Set<String> = []
        network.passes = { from, _, packet in
            guard let header = try? LSPHeader(packet.bytes.span.bytes) else { return true }
            return !lost.insert("\(from.router) \(header.id)").inserted
        }
        let recorder = Self.recorder("IS-IS: two routers on a point-to-point circuit; each LSP is lost when first sent", network)
        network.start()
        network.run(.seconds(15))
        #expect(network.database(a) == network.database(b))
        try recorder.hold("csnp-and-psnp")
    }

    @Test func `ISO 10589 §7.3.16.4: whoever ends purges what it said`() throws {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(20))
        let recorder = Self.recorder("IS-IS: two routers on a point-to-point circuit; one of them ends", network)
        network.input(a, .configure(nil, network.routers[a].interfaces))
        network.run(.seconds(5))
        #expect(network.upNeighbors(b).isEmpty)
        try recorder.hold("purge")
    }
}
