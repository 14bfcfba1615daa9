import Machine
import Records
import Testing
import Wire
@testable import ISIS

@Suite struct AdjacencyTests {
    @Test func `8.4.2: two routers on a LAN see each other and elect the higher priority`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b]) { router, interface in if router == a { interface.level2.priority = 100 } }
        network.start()
        network.run(.seconds(60))
        #expect(network.upNeighbors(a) == [network.id(b)])
        #expect(network.upNeighbors(b) == [network.id(a)])
        let lan = NodeID(network.id(a), pseudonode: 1)
        for router in [a, b] {
            #expect(network.machine(router).circuits[0]?.lans[1].designated == network.id(a))
            #expect(network.machine(router).circuits[0]?.lans[1].lanID == lan)
        }
        #expect(network.database(a) == network.database(b))
        #expect(network.database(a).count == 3)
        #expect(network.database(a).contains { $0.hasPrefix("\(LSPID(lan))") })
    }

    @Test func `8.4.5: of equal priorities the higher station is designated, and resigning purges the pseudonode`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2), c = network.add(3)
        network.join([a, b, c])
        network.start()
        network.run(.seconds(60))
        let first = LSPID(NodeID(network.id(c), pseudonode: 1))
        for router in [a, b, c] {
            #expect(network.machine(router).circuits[0]?.lans[1].designated == network.id(c))
            #expect(network.database(router).count == 4)
        }
        // The priority of another is raised: the old one resigns at once.
        network.routers[a].configuration.interfaces[0].level2.priority = 127
        network.configure(a)
        network.run(.seconds(30))
        for router in [a, b, c] {
            #expect(network.machine(router).circuits[0]?.lans[1].designated == network.id(a))
            #expect(network.database(router).count == 4)
            #expect(network.database(router) == network.database(a))
            #expect(!network.database(router).contains { $0.hasPrefix("\(first)") })
        }
        let slot = network.machine(b).databases[1].slot(of: first)
        #expect(slot.map { network.machine(b).databases[1].entries[$0].isPurged } == true)
    }

    @Test func `8.4.5: who is alone on a LAN makes no pseudonode`() {
        let network = VirtualNetwork()
        let a = network.add(1)
        network.join([a])
        network.start()
        network.run(.seconds(60))
        #expect(network.machine(a).circuits[0]?.lans[1].designated == nil)
        #expect(network.database(a).count == 1)
    }

    /// The hellos themselves are on record: `csnp-and-psnp`.
    @Test func `RFC 5303 3.2: a point-to-point adjacency comes up at once`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(1))
        #expect(network.upNeighbors(a) == [network.id(b)])
        #expect(network.upNeighbors(b) == [network.id(a)])
        network.run(.seconds(10))
        #expect(network.database(a) == network.database(b))
        #expect(network.database(a).count == 2)
    }

    @Test func `RFC 5303 3.2: whoever lost its memory gets the adjacency anew, and the whole database`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(30))
        let flaps = network.machine(a).circuits[0]?.flaps
        network.routers[b].machine = ISISInstance(seed: 5)
        network.configure(b)
        network.run(.seconds(20))
        #expect(network.machine(a).circuits[0]?.flaps == (flaps ?? 0) + 1)
        #expect(network.upNeighbors(b) == [network.id(a)])
        #expect(network.database(a) == network.database(b))
        // Its own LSP of before had a higher number; the new one is above it.
        #expect(network.database(b).contains { $0.hasPrefix("\(LSPID(network.id(b)))#") })
    }

    @Test func `RFC 5303 3.2: a hello for another neighbour is not for us`() {
        let network = VirtualNetwork()
        let a = network.add(1)
        network.join([a], .pointToPoint)
        network.start()
        network.run(.seconds(1))
        var hello = PointToPointHello(
            circuitType: .level2, source: SystemID(raw: 9), holdingTime: 30, localCircuitID: 1)
        hello.contents.areas = [AreaAddress("49.0001")!]
        hello.contents.threeWay = ThreeWayAdjacency(
            state: .initializing, extendedCircuitID: 4, neighbor: SystemID(raw: 8), neighborCircuitID: 1)
        network.inject(hello.encoded(), to: .init(router: a, interface: 0), from: MACAddress(raw: 0x0200_0000_0909))
        #expect(network.machine(a).counters[.threeWayMismatch] == 1)
        #expect(network.machine(a).circuits[0]?.adjacencies.isEmpty == true)
        hello.contents.threeWay = ThreeWayAdjacency(
            state: .initializing, extendedCircuitID: 4, neighbor: network.id(a), neighborCircuitID: 1)
        network.inject(hello.encoded(), to: .init(router: a, interface: 0), from: MACAddress(raw: 0x0200_0000_0909))
        #expect(network.upNeighbors(a) == [SystemID(raw: 9)])
    }

    @Test func `8.2.4.2: levels and areas decide what a point-to-point adjacency is good for`() {
        // (levels of a, area of a, levels of b, area of b) and what comes of it.
        let cases: [(ISISLevels, String, ISISLevels, String, ISISLevels?)] = [
            (.level1, "49.0001", .level1, "49.0001", .level1),
            (.level1, "49.0001", .level1, "49.0002", nil),
            (.level1, "49.0001", .level2, "49.0001", nil),
            (.level1And2, "49.0001", .level1And2, "49.0001", .level1And2),
            (.level1And2, "49.0001", .level1And2, "49.0002", .level2),
            (.level1And2, "49.0001", .level1, "49.0001", .level1),
            (.level1And2, "49.0001", .level1, "49.0002", nil),
            (.level2, "49.0001", .level2, "49.0002", .level2),
            (.level2, "49.0001", .level1And2, "49.0002", .level2),
        ]
        for (levelsA, areaA, levelsB, areaB, usage) in cases {
            let network = VirtualNetwork()
            let a = network.add(1, area: areaA, levels: levelsA), b = network.add(2, area: areaB, levels: levelsB)
            network.join([a, b], .pointToPoint)
            network.start()
            network.run(.seconds(3))
            #expect(network.machine(a).circuits[0]?.adjacencies.first?.usage == usage)
            #expect(network.machine(b).circuits[0]?.adjacencies.first?.usage == usage)
        }
    }

    @Test func `8.4.2.2: level 1 neighbours on a LAN share an area`() {
        let network = VirtualNetwork()
        let a = network.add(1, area: "49.0001", levels: .level1And2)
        let b = network.add(2, area: "49.0002", levels: .level1And2)
        network.join([a, b])
        network.start()
        network.run(.seconds(30))
        #expect(network.upNeighbors(a, .one).isEmpty)
        #expect(network.upNeighbors(a, .two) == [network.id(b)])
        #expect(network.machine(a).counters[.areaMismatch] > 0)
    }

    @Test func `8.2.3: hellos fill the frame, 1497 octets for an MTU of 1500`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint) { router, interface in
            interface.padding = router == a ? .always : .untilAdjacency
        }
        network.start()
        network.run(.seconds(60))
        func hellos(_ router: Int) -> [Int] {
            network.routers[router].sent.filter { PDUHeader.peekType($0.bytes.span.bytes) == .pointToPointHello }.map(
                \.bytes.count)
        }
        #expect(hellos(a).allSatisfy { $0 == 1497 })
        #expect(hellos(b).first == 1497)
        #expect(hellos(b).last.map { $0 < 200 } == true)
    }

    @Test func `10.1: hellos keep their period less a quarter at most`() {
        let network = VirtualNetwork()
        let a = network.add(1)
        network.join([a], .pointToPoint)
        var times: [Instant] = []
        network.witness = { [unowned network] _, _ in times.append(network.now) }
        network.start()
        network.run(.seconds(600))
        let gaps = zip(times, times.dropFirst()).map { ($1 - $0).inMilliseconds }
        #expect(gaps.allSatisfy { (7500...10_000).contains($0) })
        #expect(Set(gaps).count > 10)
    }

    @Test func `8.2.4: silence for the holding time ends an adjacency`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        let wire = network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(20))
        #expect(network.upNeighbors(a).count == 1)
        network.wires[wire].isCut = true
        network.run(.seconds(19))
        #expect(network.upNeighbors(a).count == 1)
        network.run(.seconds(12))
        #expect(network.upNeighbors(a).isEmpty)
        #expect(network.routers[a].events.last?.contains("holding time expired") == true)
    }

    @Test func `an interface that goes down ends its adjacencies, and its return brings them back`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b])
        network.start()
        network.run(.seconds(40))
        network.input(a, .interface(InterfaceID(0), isUp: false))
        #expect(network.upNeighbors(a).isEmpty)
        network.run(.seconds(40))
        #expect(network.upNeighbors(b).isEmpty)
        network.input(a, .interface(InterfaceID(0), isUp: true))
        network.run(.seconds(40))
        #expect(network.upNeighbors(a) == [network.id(b)])
        #expect(network.database(a) == network.database(b))
    }

    @Test func `the end of the protocol is told: neighbours need not wait for silence`() {
        for type in [ISISNetworkType.broadcast, .pointToPoint] {
            let network = VirtualNetwork()
            let a = network.add(1), b = network.add(2)
            network.join([a, b], type)
            network.start()
            network.run(.seconds(60))
            network.input(a, .configure(nil, network.routers[a].interfaces))
            network.run(.milliseconds(100))
            #expect(network.upNeighbors(b).isEmpty)
            #expect(network.machine(a).nextDeadline == nil)
            #expect(network.routers[a].subscriptions.isEmpty)
            let slot = network.machine(b).databases[1].slot(of: LSPID(network.id(a)))
            #expect(slot.map { network.machine(b).databases[1].entries[$0].isPurged } == true)
        }
    }

    @Test func `RFC 5882 4.2: BFD going down ends the adjacency, BFD that was never up does not`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint) { _, interface in interface.bfd = true }
        network.start()
        network.run(.seconds(20))
        #expect(network.routers[a].bfd.count == 1)
        let peer = BFDPeer(
            interface: InterfaceID(0), local: network.routers[a].interfaces[0].addresses[0].address,
            remote: network.routers[b].interfaces[0].addresses[0].address)
        #expect(network.routers[a].bfd == ["+\(peer)"])
        network.input(a, .bfd(peer, isUp: false))
        #expect(network.upNeighbors(a).count == 1)
        network.input(a, .bfd(peer, isUp: true))
        network.input(a, .bfd(peer, isUp: false))
        #expect(network.upNeighbors(a).isEmpty)
        #expect(network.routers[a].bfd == ["+\(peer)", "-\(peer)"])
    }

    @Test func `the operator ends an adjacency by name, and it forms anew`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(20))
        network.input(a, .clear(neighbor: "r9"))
        #expect(network.upNeighbors(a).count == 1)
        network.input(a, .clear(neighbor: "r2"))
        #expect(network.upNeighbors(a).isEmpty)
        network.run(.seconds(5))
        #expect(network.upNeighbors(a).count == 1)
    }

    @Test func `the sender of a fatal packet begins anew, and the packet is not looked at`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(20))
        network.input(
            a,
            .fault(
                ReceivedPacket(
                    interface: InterfaceID(0), packetProtocol: .isis, source: .station(network.station(b)),
                    destination: .station(ISISGroup.all), bytes: [1, 2, 3]), message: 0))
        #expect(network.upNeighbors(a).isEmpty)
        #expect(network.machine(a).counters[.quarantined] == 1)
    }
}
