import Machine
import RecordedSteps
import Records
import Routing
import Testing
import Wire

@testable import OSPF

@Suite struct RecordedTests {
    private static func recorder(_ title: String, _ net: VirtualNetwork) -> StepRecorder {
        let recorder = StepRecorder(title)
        let summary = { OSPFPacket.summary($0, net.version) }
        net.observer = { router, input, effects in
            recorder.step(
                at: net.now, "r\(router + 1)", input.text(summary), outcome: effects.flatMap { $0.lines(summary) },
                state: state(net, router))
        }
        return recorder
    }

    private static func state(_ net: VirtualNetwork, _ router: Int) -> [String] {
        let machine = net.routers[router]
        var lines: [String] = []
        for (i, interface) in machine.interfaces.enumerated() {
            guard let interface else { continue }
            lines.append("if\(i) \(interface.state)")
            for neighbor in interface.neighbors.compactMap({ machine.neighbor($0) }) {
                lines.append("if\(i) neighbor \(IPv4Address(raw: neighbor.routerID)) \(neighbor.state)")
            }
        }
        for id in machine.database.databaseIDs { lines += net.contents(router, id).map { "\(id): \($0)" } }
        return lines
    }

    @Test func `RFC 2328 §10: from Down to Full`() throws {
        for (version, name) in [(OSPFVersion.v2, "adjacency-v2"), (.v3, "adjacency-v3")] {
            let net = VirtualNetwork(version: version)
            for _ in 0..<2 { net.addRouter() }
            net.connect([0, 1], network: .pointToPoint)
            let recorder = Self.recorder("OSPF\(version): two routers on a point-to-point link, from Down to Full", net)
            net.start()
            net.run(.seconds(19))
            #expect(net.states(of: 0) == [.full])
            try recorder.hold(name)
        }
    }

    @Test func `RFC 2328 §9.4: three routers choose a DR, and its Backup follows it`() throws {
        let net = VirtualNetwork()
        for _ in 0..<3 { net.addRouter() }
        net.connect([0, 1, 2]) { $1.priority = UInt8($0 + 1) }
        let recorder = Self.recorder("OSPFv2: three routers on a LAN choose DR and Backup; the DR falls silent", net)
        net.start()
        net.run(.seconds(55))
        #expect((0..<3).map { net.lanState($0) } == [.drOther, .backup, .dr])
        net.isAlive[2] = false
        net.run(.seconds(45))
        #expect((0..<2).map { net.lanState($0) } == [.backup, .dr])
        try recorder.hold("dr-election")
    }

    @Test func `RFC 2328 §12.4, §14.1: an LSA is refreshed, and flushed at the end`() throws {
        let net = VirtualNetwork()
        for _ in 0..<2 { net.addRouter() }
        net.connect([0, 1], network: .pointToPoint) {
            $1.helloInterval = 600
            $1.routerDeadInterval = 2400
        }
        let recorder = Self.recorder("OSPFv2: an adjacency with Hellos every 600 s; refresh after 1,800 s; one router ends", net)
        net.start()
        net.run(.seconds(1900))
        #expect(net.states(of: 1) == [.full])
        net.give(0, .configure(nil, net.devices[0]))
        net.run(.seconds(10))
        try recorder.hold("refresh-and-flush")
    }
}

extension OSPFPacket {
    /// What a packet without authentication says, in words.
    static func summary(_ bytes: [UInt8], _ version: OSPFVersion) -> String {
        func address(_ raw: UInt32) -> String { "\(IPv4Address(raw: raw))" }
        func text(_ header: LSAHeader) -> String {
            "\(header.key) #\(String(UInt32(bitPattern: header.sequence), radix: 16)) age \(header.age)"
        }
        guard let header = try? OSPFPacketHeader(bytes.span.bytes, version: version),
            let packet = try? OSPFPacket(
                bytes.span.bytes, header: header, bodyStart: OSPFPacketHeader.size(version), version: version)
        else { return "no OSPF" }
        let words: [String]
        switch packet.body {
        case .hello(let hello):
            words = [
                "every \(hello.helloInterval) s, dead \(hello.routerDeadInterval) s, priority \(hello.priority)",
                "DR \(address(hello.designatedRouter)) Backup \(address(hello.backupDesignatedRouter))",
                "hears \(hello.neighbors.isEmpty ? "nobody" : hello.neighbors.map(address).joined(separator: " "))",
            ]
        case .databaseDescription(let description):
            let flags: [(DatabaseDescriptionPacket.Flags, String)] = [(.initial, "I"), (.more, "M"), (.master, "MS")]
            let set = flags.filter { description.flags.contains($0.0) }.map(\.1)
            words =
                [
                    "MTU \(description.mtu) \(set.joined(separator: "+")) #\(String(description.sequence, radix: 16))"
                ] + description.headers.map(text)
        case .linkStateRequest(let request): words = request.keys.map { "\($0)" }
        case .linkStateUpdate(let update): words = update.lsas.map { text($0.header) }
        case .linkStateAcknowledgment(let acknowledgment): words = acknowledgment.headers.map(text)
        }
        return "\(header.type) of \(address(header.routerID)): " + words.joined(separator: "; ")
    }
}
