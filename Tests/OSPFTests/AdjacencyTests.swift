import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

@Suite struct AdjacencyTests {
    static func pair(
        _ version: OSPFVersion = .v2, _ network: OSPFNetworkType = .pointToPoint,
        _ change: (Int, inout OSPFInterfaceConfiguration) -> Void = { _, _ in }
    ) -> VirtualNetwork {
        let net = VirtualNetwork(version: version)
        net.addRouter()
        net.addRouter()
        net.connect([0, 1], network: network, change)
        net.start()
        return net
    }

    @Test(arguments: OSPFVersion.allCases) func `two routers on a point-to-point link become adjacent at once`(
        _ version: OSPFVersion
    ) {
        let net = Self.pair(version)
        net.run(.seconds(25))
        #expect(net.states(of: 0) == [.full])
        #expect(net.states(of: 1) == [.full])
        #expect(net.agree(on: .area(0)))
        #expect(net.contents(0, .area(0)).count >= 2)
        let drops = net.routers[0].interface(InterfaceID(0))?.counters.drops ?? []
        let reasons = OSPFDrop.allCases.filter { drops[Int($0.rawValue)] > 0 }
        #expect(reasons.allSatisfy { $0 == .lsaDuplicate || $0 == .neighborState }, "\(reasons)")
    }

    @Test(arguments: OSPFVersion.allCases)
    func `§9.4: five routers on a LAN choose one DR and one Backup, and the Backup takes over`(_ version: OSPFVersion) {
        let net = VirtualNetwork(version: version)
        for _ in 0..<5 { net.addRouter() }
        net.connect([0, 1, 2, 3, 4])
        net.start()
        net.run(.seconds(60))
        #expect(net.isConverged)
        // The highest Router ID of equal priorities.
        #expect((0..<5).map { net.lanState($0) } == [.drOther, .drOther, .drOther, .backup, .dr])
        #expect(net.states(of: 0).sorted() == [.twoWay, .twoWay, .full, .full])
        #expect(net.agree(on: .area(0)))

        net.isAlive[4] = false
        net.run(.seconds(60))
        #expect((0..<4).map { net.lanState($0) } == [.drOther, .drOther, .backup, .dr])
        #expect(net.isConverged)
        #expect(net.agree(on: .area(0)))
        // (the old DR comes back and leaves things as they are)
        net.isAlive[4] = true
        net.routers[4] = OSPFInstance(seed: 99)
        net.start([4])
        net.run(.seconds(60))
        #expect(net.lanState(3) == .dr)
        #expect(net.lanState(4) == .drOther)
        #expect(net.isConverged)
        #expect(net.agree(on: .area(0)))
    }

    @Test func `§9.4 (1): a router of priority 0 is never chosen`() {
        let net = Self.pair(.v2, .broadcast) { router, interface in interface.priority = router == 1 ? 0 : 1 }
        net.run(.seconds(60))
        #expect(net.lanState(0) == .dr)
        #expect(net.lanState(1) == .drOther)
        #expect(net.states(of: 0) == [.full])
    }

    @Test func `§10.6: the router with the higher ID becomes master`() {
        let net = Self.pair()
        net.run(.seconds(25))
        #expect(net.neighbor(of: 1, 0)?.isMaster == true)
        #expect(net.neighbor(of: 0, 1)?.isMaster == false)
    }

    @Test func `§10.6: a neighbor whose MTU is larger gets no exchange, unless told to ignore it`() {
        for ignores in [false, true] {
            let net = VirtualNetwork()
            net.addRouter()
            net.addRouter()
            net.connect([0, 1], network: .pointToPoint) { $1.ignoresMTU = ignores }
            net.devices[0][0].mtu = 9000
            net.start()
            net.run(.seconds(40))
            #expect((net.states(of: 0) == [.full]) == ignores)
            let drops = net.routers[1].interface(InterfaceID(0))?.counters.drops ?? []
            #expect((drops[Int(OSPFDrop.mtuMismatch.rawValue)] > 0) == !ignores)
        }
    }

    @Test func `§10.5: Hellos that disagree in a parameter make no neighbor, and the reason is counted`() {
        func reasons(_ change: (Int, inout OSPFInterfaceConfiguration) -> Void, _ more: (VirtualNetwork) -> Void = { _ in })
            -> [OSPFDrop]
        {
            let net = VirtualNetwork()
            net.addRouter()
            net.addRouter()
            net.connect([0, 1], change)
            more(net)
            net.start()
            net.run(.seconds(30))
            #expect(net.states(of: 0).isEmpty)
            let drops = net.routers[0].interface(InterfaceID(0))?.counters.drops ?? []
            return OSPFDrop.allCases.filter { drops[Int($0.rawValue)] > 0 }
        }
        #expect(reasons { if $0 == 1 { $1.helloInterval = 5 } } == [.helloIntervalMismatch])
        #expect(reasons { if $0 == 1 { $1.routerDeadInterval = 50 } } == [.deadIntervalMismatch])
        #expect(reasons { if $0 == 1 { $1.areaID = IPv4Address(0, 0, 0, 1) } } == [.areaMismatch])
        #expect(reasons { if $0 == 1 { $1.authentication = .password("secret") } } == [.authentication])
        #expect(
            reasons { _, _ in
            } _: {
                $0.devices[1][0].addresses[0].prefixLength = 16
            } == [.networkMaskMismatch])
        #expect(
            reasons { _, _ in
            } _: {
                $0.configurations[1].routerID = $0.configurations[0].routerID
            } == [.duplicateRouterID])
        #expect(
            reasons { _, i in
                i.areaID = IPv4Address(0, 0, 0, 1)
            } _: {
                $0.configurations[1].areas = [OSPFAreaConfiguration(areaID: IPv4Address(0, 0, 0, 1), kind: .stub)]
            } == [.optionMismatch])
    }

    @Test(arguments: KeyChain.Algorithm.ospf) func `every algorithm authenticates, and what is replayed is refused`(
        _ algorithm: KeyChain.Algorithm
    ) {
        for (version, extended) in [(OSPFVersion.v2, false), (.v2, true), (.v3, false)] {
            if algorithm == .md5, version == .v3 || extended { continue }
            let net = Self.pair(version) { _, interface in
                interface.authentication = KeyChain(firstSigns: [
                    KeyChain.Key(id: 3, algorithm: algorithm, secret: "a secret", extendedSequence: extended)
                ])
            }
            net.run(.seconds(30))
            #expect(net.states(of: 0) == [.full], "\(version) \(algorithm) \(extended)")
            // Everything that router 0 got, again.
            let packets = net.inputs[0].compactMap { if case .packet(let packet) = $0.input { packet } else { nil } }
            let before = net.routers[0].interface(InterfaceID(0))?.counters.drops[Int(OSPFDrop.replay.rawValue)] ?? 0
            for packet in packets { net.give(0, .packet(packet)) }
            let after = net.routers[0].interface(InterfaceID(0))?.counters.drops[Int(OSPFDrop.replay.rawValue)] ?? 0
            // 32-bit numbers may repeat within their second (§D.4.3): at least what is older is refused.
            #expect(after - before >= UInt64(packets.count) / 2)
            if version == .v3 || extended { #expect(after - before == UInt64(packets.count)) }
            #expect(net.states(of: 0) == [.full])
        }
    }

    @Test func `§10.3 InactivityTimer: silence ends the adjacency after RouterDeadInterval`() {
        let net = Self.pair()
        net.run(.seconds(25))
        net.segments[0].isCut = true
        net.run(.seconds(29))
        #expect(net.states(of: 0) == [.full])
        net.run(.seconds(12))
        #expect(net.states(of: 0).isEmpty)
        #expect(net.events.contains { $0.contains("Full to Down (no Hello within RouterDeadInterval)") })
        net.segments[0].isCut = false
        net.run(.seconds(30))
        #expect(net.states(of: 0) == [.full])
    }

    @Test func `an interface that goes down takes its neighbors with it`() {
        let net = Self.pair()
        net.run(.seconds(25))
        net.give(0, .interface(InterfaceID(0), isUp: false))
        #expect(net.states(of: 0).isEmpty)
        #expect(net.lanState(0) == .down)
        net.give(0, .interface(InterfaceID(0), isUp: true))
        net.run(.seconds(60))
        #expect(net.states(of: 0) == [.full])
        #expect(net.agree(on: .area(0)))
    }

    @Test func `RFC 5882 §4.2: only BFD going from up to down ends the adjacency`() {
        let net = Self.pair { _, interface in interface.bfd = true }
        net.run(.seconds(25))
        let wanted = net.effects[0].compactMap { effect -> BFDPeer? in
            if case .bfd(let peer, isWanted: true) = effect { peer } else { nil }
        }
        #expect(wanted.count == 1)
        guard let peer = wanted.first else { return }
        net.give(0, .bfd(peer, isUp: false))
        #expect(net.states(of: 0) == [.full])
        net.give(0, .bfd(peer, isUp: true))
        net.give(0, .bfd(peer, isUp: false))
        #expect(net.states(of: 0).isEmpty)
        #expect(net.effects[0].contains { if case .bfd(peer, isWanted: false) = $0 { true } else { false } })
    }

    @Test func `an operator clears one neighbor by address and it comes back`() {
        let net = Self.pair()
        net.run(.seconds(25))
        net.give(0, .clear(neighbor: "192.0.2.1"))
        #expect(net.states(of: 0) == [.full])
        net.give(0, .clear(neighbor: "10.0.0.2"))
        #expect(net.states(of: 0).isEmpty)
        net.run(.seconds(60))
        #expect(net.states(of: 0) == [.full])
        #expect(net.states(of: 1) == [.full])
    }

    @Test func `packets that are lost are repeated until the databases agree`() {
        for seed in 1...6 as ClosedRange<UInt64> {
            let net = VirtualNetwork(version: seed & 1 == 0 ? .v3 : .v2)
            for _ in 0..<4 { net.addRouter() }
            net.connect([0, 1, 2, 3])
            net.connect([0, 2], network: .pointToPoint)
            var random = RandomNumbers(seed: seed)
            net.loses = { _ in random.chance(1, in: 4) }
            net.start()
            net.run(.seconds(300))
            net.loses = { _ in false }
            net.run(.seconds(120))
            #expect(net.isConverged, "seed \(seed)")
            #expect(net.agree(on: .area(0)), "seed \(seed)")
            for router in net.routers {
                for neighbor in router.neighbors { #expect(neighbor?.retransmissions.isEmpty != false) }
            }
        }
    }
}
