import Machine
import Records
import Routing
import Testing
import Wire

@testable import ISIS

/// What was fatal to a controller (DESIGN §7) when it is said again.
@Suite struct QuarantineTests {
    static let foreign = FloodingTests.foreign
    static func lsp(_ sequence: UInt32 = 5, lifetime: UInt16 = 1000, host: String = "fatal") -> [UInt8] {
        FloodingTests.lsp(foreign, sequence, lifetime: lifetime, host: host)
    }
    static func entry(_ network: VirtualNetwork, _ router: Int) -> LSPDatabase.Entry? {
        guard let entry = FloodingTests.entry(network, router, foreign), !entry.isRequested else { return nil }
        return entry
    }

    static func received(
        _ bytes: [UInt8], _ network: VirtualNetwork, _ port: VirtualNetwork.Port, from router: Int, _ interface: Int = 0
    ) -> ReceivedPacket {
        ReceivedPacket(
            interface: InterfaceID(UInt16(port.interface)), packetProtocol: .isis,
            source: .station(network.station(router, interface)), destination: .station(ISISGroup.level2), bytes: bytes)
    }

    /// 0 — 1 — 2 in a row. 2 has an LSP of somebody behind it, and it has killed the twin of 1.
    static func row(_ bytes: [UInt8] = lsp()) -> VirtualNetwork {
        let network = VirtualNetwork()
        let routers = (1...3).map { network.add($0) }
        network.join([routers[0], routers[1]], .pointToPoint)
        network.join([routers[1], routers[2]], .pointToPoint)
        network.start()
        network.run(.seconds(40))
        // What 2 says of it does not reach 1 but as the fatal packet.
        network.passes = { from, to, packet in
            !(from.router == 2 && to.router == 1 && (try? LSPHeader(packet.bytes.span.bytes))?.id == foreign)
        }
        network.inject(bytes, to: .init(router: 2, interface: 0), from: network.station(1, 1))
        network.input(1, .fault(received(bytes, network, .init(router: 1, interface: 1), from: 2), message: 0))
        network.passes = { _, _, _ in true }
        return network
    }

    @Test func `Its sender is held down until somebody could survive it, and nobody else is`() {
        let network = Self.row()
        #expect(network.upNeighbors(1) == [network.id(0)])
        network.run(.seconds(120))
        #expect(network.upNeighbors(1) == [network.id(0)], "nobody could survive it in another form")
        network.input(1, .redundancy(true))
        network.run(.milliseconds(1900))
        #expect(network.upNeighbors(1) == [network.id(0)])
        network.run(.seconds(60))
        #expect(network.upNeighbors(1) == [network.id(0), network.id(2)])
    }

    @Test func `7.3.15.1 (e): on a point-to-point circuit it is acknowledged, never asked for, and nobody repeats it`() {
        let network = Self.row()
        network.input(1, .redundancy(true))
        network.run(.seconds(60))
        #expect(Self.entry(network, 1) == nil && Self.entry(network, 0) == nil && Self.entry(network, 2) != nil)
        var heard = 0, asked = 0
        network.witness = { port, packet in
            let pdu = packet.bytes.span.bytes
            if port.router == 2, (try? LSPHeader(pdu))?.id == Self.foreign { heard += 1 }
            if port.router == 1, let psnp = try? PSNP(pdu), psnp.entries.contains(where: { $0.id == Self.foreign }) { asked += 1 }
        }
        network.run(.seconds(60))
        #expect(heard == 0 && asked == 0)
        network.inject(Self.lsp(lifetime: 77), to: .init(router: 1, interface: 1), from: network.station(2))
        #expect(asked == 1, "whoever says it again gets a PSNP")
        #expect(Self.entry(network, 1) == nil)
        // From anybody else it is the same.
        network.inject(Self.lsp(lifetime: 900), to: .init(router: 1, interface: 0), from: network.station(0))
        #expect(asked == 2 && Self.entry(network, 1) == nil)
        network.run(.seconds(10))
        #expect(Self.entry(network, 2)?.sequence == 5)
        #expect(network.machine(1).counters[.quarantined] >= 3)
    }

    @Test(arguments: 0..<3)
    func `7.3.15.2: on a LAN no CSNP makes anybody ask for it or say it again, whoever is designated`(designated: Int) {
        let network = VirtualNetwork()
        let routers = (1...3).map { network.add($0) }
        network.join(routers) { router, interface in interface.level2.priority = router == designated ? 100 : 10 }
        network.start()
        network.run(.seconds(60))
        #expect(network.upNeighbors(1).count == 2)
        network.passes = { _, to, packet in
            !(to.router == 1 && (try? LSPHeader(packet.bytes.span.bytes))?.id == Self.foreign)
        }
        network.inject(Self.lsp(), to: .init(router: 2, interface: 0), from: network.station(0))
        network.inject(Self.lsp(), to: .init(router: 0, interface: 0), from: network.station(2))
        network.input(1, .fault(Self.received(Self.lsp(), network, .init(router: 1, interface: 0), from: 2), message: 0))
        network.passes = { _, _, _ in true }
        network.input(1, .redundancy(true))
        network.run(.seconds(90))
        #expect(network.upNeighbors(1).count == 2)
        var heard = 0, asked = 0
        network.witness = { port, packet in
            let pdu = packet.bytes.span.bytes
            if (try? LSPHeader(pdu))?.id == Self.foreign { heard += 1 }
            if let psnp = try? PSNP(pdu), psnp.entries.contains(where: { $0.id == Self.foreign }) { asked += 1 }
        }
        network.run(.seconds(120))
        #expect(heard == 0 && asked == 0)
        #expect(Self.entry(network, 1) == nil && Self.entry(network, 0) != nil && Self.entry(network, 2) != nil)
    }

    @Test func `A refresh of the same content is known, another is looked into, and after two the name is known`() {
        let network = Self.row()
        network.input(1, .redundancy(true))
        network.run(.seconds(60))
        func inject(_ bytes: [UInt8], fatal: Bool = false) {
            let port = VirtualNetwork.Port(router: 1, interface: 1)
            let packet = Self.received(bytes, network, port, from: 2)
            network.input(1, fatal ? .fault(packet, message: 0) : .packet(packet))
        }
        inject(Self.lsp(6))
        #expect(Self.entry(network, 1) == nil)
        inject(Self.lsp(7, host: "better"))
        #expect(Self.entry(network, 1)?.sequence == 7)
        // One that is older than ours is answered with ours.
        let before = network.routers[1].sent.count
        inject(Self.lsp(5))
        let answers = network.routers[1].sent[before...].compactMap { try? LSPHeader($0.bytes.span.bytes) }
        #expect(answers.contains { $0.id == Self.foreign && $0.sequenceNumber == 7 })
        inject(Self.lsp(8, host: "worse"), fatal: true)
        network.run(.seconds(60))
        #expect(network.upNeighbors(1).count == 2)
        inject(Self.lsp(9, host: "third"))
        #expect(Self.entry(network, 1)?.sequence == 7)
        // Its end has no content and ends what is here.
        inject(LSPBuilder.purge(level: .two, id: Self.foreign, sequenceNumber: 10, originator: nil, key: nil))
        #expect(Self.entry(network, 1)?.isPurged == true)
        #expect(network.machine(1).knows("R3") == false && network.machine(1).knows("r3"))
        network.input(1, .clear(neighbor: "r3"))
        network.run(.seconds(30))
        inject(Self.lsp(11, host: "third"))
        #expect(Self.entry(network, 1)?.sequence == 11)
    }

    @Test func `7.3.16.1: one in our own name is outbid without a look at it`() {
        let network = Self.row()
        let own = LSPID(network.id(1))
        let forged = FloodingTests.lsp(own, 900)
        network.input(1, .fault(Self.received(forged, network, .init(router: 1, interface: 0), from: 0), message: 0))
        network.input(1, .redundancy(true))
        network.run(.seconds(60))
        network.inject(forged, to: .init(router: 1, interface: 1), from: network.station(2))
        network.run(.seconds(30))
        #expect((FloodingTests.entry(network, 1, own)?.sequence ?? 0) > 900)
        #expect(FloodingTests.entry(network, 0, own)?.sequence == FloodingTests.entry(network, 1, own)?.sequence)
    }

    @Test func `A sequence numbers PDU that was fatal ends the adjacency for ten minutes each time`() {
        let network = Self.row()
        let psnp = PSNP(
            level: .two, source: network.id(2),
            entries: [LSPEntry(id: Self.foreign, sequenceNumber: 77, remainingLifetime: 5, checksum: 9)])
        let again = PSNP(
            level: .two, source: network.id(2),
            entries: [LSPEntry(id: Self.foreign, sequenceNumber: 77, remainingLifetime: 4, checksum: 9)])
        let port = VirtualNetwork.Port(router: 1, interface: 1)
        network.input(1, .fault(Self.received(psnp.encoded(), network, port, from: 2), message: 0))
        network.input(1, .redundancy(true))
        network.run(.seconds(60))
        #expect(network.upNeighbors(1).count == 2)
        network.input(1, .packet(Self.received(again.encoded(), network, port, from: 2)))
        #expect(network.upNeighbors(1) == [network.id(0)])
        network.run(.seconds(590))
        #expect(network.upNeighbors(1) == [network.id(0)])
        network.run(.seconds(60))
        #expect(network.upNeighbors(1).count == 2)
    }

    @Test func `All of it passes through a snapshot at any time`() {
        let network = VirtualNetwork()
        let routers = (1...3).map { network.add($0) }
        network.join(routers) { router, interface in interface.level2.priority = router == 1 ? 100 : 10 }
        network.restoreEvery = 3
        network.start()
        network.run(.seconds(30))
        network.inject(Self.lsp(), to: .init(router: 2, interface: 0), from: network.station(0))
        network.input(1, .fault(Self.received(Self.lsp(), network, .init(router: 1, interface: 0), from: 2), message: 0))
        network.input(1, .redundancy(true))
        network.run(.seconds(90))
        #expect(network.mismatches.isEmpty)
        #expect(!network.machine(1).fatal.isEmpty)
    }

    @Test func `No octets are a trap to what remembers fatal octets`() {
        let network = Self.row()
        var random = RandomNumbers(seed: 4)
        let wholes = [
            Self.lsp(),
            PSNP(
                level: .two, source: network.id(2),
                entries: [LSPEntry(id: Self.foreign, sequenceNumber: 1, remainingLifetime: 1, checksum: 1)]
            ).encoded(),
            CSNP(level: .two, source: network.id(2), start: .minimum, end: .maximum, entries: []).encoded(),
            network.routers[2].sent.first { PDUHeader.peekType($0.bytes.span.bytes) == .pointToPointHello }?.bytes ?? [],
        ]
        for whole in wholes {
            #expect(!whole.isEmpty)
            for count in 0...whole.count {
                var octets = Array(whole[..<count])
                for round in 0..<3 {
                    let packet = Self.received(octets, network, .init(router: 1, interface: 1), from: 2)
                    _ = network.machine(1).isFatal(packet, at: network.now)
                    if round == 0 { network.input(1, .fault(packet, message: 0)) }
                    if !octets.isEmpty { octets[random.number(in: 0...(octets.count - 1))] = UInt8(random.number(in: 0...255)) }
                }
            }
        }
        #expect(network.machine(1).fatal.sources.count == 1)
    }
}
