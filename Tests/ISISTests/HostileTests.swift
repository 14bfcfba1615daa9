import Digests
import Machine
import Records
import Routing
import Testing
import Wire
@testable import ISIS

/// Whatever a neighbour sends costs it its adjacency at most, and others nothing.
@Suite struct HostileTests {
    /// Three routers on a LAN, and two on a wire: all kinds of PDUs.
    private func network() -> VirtualNetwork {
        let network = VirtualNetwork()
        let a = network.add(1, levels: .level1And2), b = network.add(2, levels: .level1And2)
        let c = network.add(3, levels: .level1And2)
        network.join([a, b, c])
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(60))
        return network
    }

    @Test func `mangled PDUs never trap, and the network heals`() {
        let network = network()
        let recorded = network.routers.flatMap { router in router.sent }
        var random = RandomNumbers(seed: 99)
        for round in 0..<6000 {
            let packet = recorded[random.number(in: 0...(recorded.count - 1))]
            var bytes = packet.bytes
            switch round % 3 {
            case 0: bytes[random.number(in: 0...(bytes.count - 1))] = UInt8(random.number(in: 0...255))
            case 1: bytes.removeLast(random.number(in: 0...(bytes.count - 1)))
            default:
                for _ in 0..<random.number(in: 1...20) {
                    bytes[random.number(in: 0...min(bytes.count - 1, 120))] ^= UInt8(1 << random.number(in: 0...7))
                }
            }
            // A damaged LSP with a sound checksum says more.
            if round % 2 == 0, bytes.count > 40, PDUHeader.peekType(bytes.span.bytes)?.headerLength == 27,
                [18, 20].contains(bytes[4] & 31)
            {
                bytes[24] = 0
                bytes[25] = 0
                let sum = FletcherChecksum.compute(bytes.span.bytes.extracting(droppingFirst: 12), field: 12)
                bytes[24] = UInt8(sum >> 8)
                bytes[25] = UInt8(sum & 255)
                bytes[8] = UInt8(bytes.count >> 8)
                bytes[9] = UInt8(bytes.count & 255)
            }
            let interface = random.number(in: 0...1)
            network.inject(bytes, to: .init(router: 0, interface: interface), from: network.station(1, interface))
            if round % 100 == 0 { network.run(.milliseconds(500)) }
        }
        #expect(network.machine(0).counters.dropsTotal > 1000)
        network.run(.seconds(150))
        for level in Level.allCases {
            let known = network.upNeighbors(0, level).filter { $0 == network.id(1) || $0 == network.id(2) }
            #expect(known.count == 3)
            let ours = (0..<3).map { router in
                network.database(router, level).filter { entry in
                    (0..<3).contains { entry.hasPrefix("\(network.id($0))") }
                }
            }
            #expect(ours[0] == ours[1])
            #expect(ours[0] == ours[2])
        }
    }

    @Test func `a storm of hellos from strangers is bounded, and answered by few hellos`() {
        let network = network()
        let before = network.routers[0].sent.count
        for i in 0..<5000 {
            var hello = LANHello(
                level: .two, circuitType: .level2, source: SystemID(raw: UInt64(i + 1)), holdingTime: 30, priority: 127,
                lanID: NodeID(SystemID(raw: UInt64(i + 1)), pseudonode: 1))
            hello.contents.areas = [AreaAddress("49.0001")!]
            network.inject(
                hello.encoded(), to: .init(router: 0, interface: 0), from: MACAddress(raw: 0x0200_aa00_0000 | UInt64(i)))
        }
        #expect(network.machine(0).circuits[0]?.adjacencies.count { $0.usage == .level2 } == 256)
        #expect(network.machine(0).counters[.tooManyAdjacencies] > 0)
        network.run(.seconds(1))
        #expect(network.routers[0].sent.count - before < 20)
        // None of them hears us, so none is up and none is designated.
        #expect(network.machine(0).circuits[0]?.lans[1].designated == network.id(2))
        network.run(.seconds(60))
        #expect(network.machine(0).circuits[0]?.adjacencies.count == 4)
    }

    @Test func `timers do not grow with hellos`() {
        let network = network()
        let hello = network.routers[1].sent.last { PDUHeader.peekType($0.bytes.span.bytes) == .level2LANHello }
        let before = network.machine(0).timers.inFiringOrder.count
        for _ in 0..<10_000 {
            network.inject(hello?.bytes ?? [], to: .init(router: 0, interface: 0), from: network.station(1))
        }
        #expect(network.machine(0).timers.inFiringOrder.count <= before + 2)
    }

    @Test func `our own frames are not taken for a neighbour's`() {
        let network = network()
        let recorded = network.routers[0].sent
        for packet in recorded {
            network.inject(packet.bytes, to: .init(router: 0, interface: 0), from: network.station(0))
        }
        #expect(network.machine(0).counters[.ownSystemID] == UInt64(recorded.count))
        // The same system from another station: a duplicate ID.
        let hello = network.routers[0].sent.first { PDUHeader.peekType($0.bytes.span.bytes) == .level2LANHello }
        network.inject(hello?.bytes ?? [], to: .init(router: 0, interface: 0), from: MACAddress(raw: 0x0200_0000_7777))
        #expect(network.machine(0).counters[.ownSystemID] == UInt64(recorded.count + 1))
    }

    @Test func `an ID length or a number of areas that is not ours is dropped by name`() {
        let network = network()
        var bytes = network.routers[1].sent[0].bytes
        bytes[3] = 4
        network.inject(bytes, to: .init(router: 0, interface: 0), from: network.station(1))
        bytes[3] = 0
        bytes[7] = 5
        network.inject(bytes, to: .init(router: 0, interface: 0), from: network.station(1))
        #expect(network.machine(0).counters[.idLength] == 1)
        #expect(network.machine(0).counters[.maximumAreas] == 1)
    }
}
