import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

/// What was fatal to a controller (DESIGN §7) when it is said again.
@Suite struct QuarantineTests {
    static func external(
        _ version: OSPFVersion, _ id: UInt32 = 0xcb00_7100, sequence: Int32 = 5, age: UInt16 = 1, metric: UInt8 = 10
    ) -> LSA {
        let body: [UInt8] =
            version == .v2
            ? [255, 255, 255, 0, 0x80, 0, 0, metric, 0, 0, 0, 0, 0, 0, 0, 0]
            : [0, 0, 0, metric, 64, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, UInt8(truncatingIfNeeded: id >> 24), 7, 7, 7]
        return LSA(
            version: version, key: LSAKey(type: version == .v2 ? .external : .externalV3, linkStateID: id, advertisingRouter: 77),
            options: version == .v2 ? 2 : 0, sequence: sequence, age: age, body: body)
    }

    /// 0 — 1 — 2 in a row, all Full. 2 has a fatal LSA of somebody behind it, and it has killed the twin of 1.
    static func poisoned(_ version: OSPFVersion, _ lsas: [LSA]? = nil, message: Int = 0) -> VirtualNetwork {
        let net = FloodingTests.row(version)
        net.routers[2].database.install(
            external(version), in: .autonomousSystem, isOwn: false, at: net.now, due: net.now + .seconds(3599))
        net.inject(lsas ?? [external(version)], from: 2, to: 1, fatal: message)
        return net
    }

    static func acknowledged(_ net: VirtualNetwork, _ router: Int, since mark: Int) -> [LSAHeader] {
        net.sent(router, since: mark).flatMap { sent -> [LSAHeader] in
            if case .linkStateAcknowledgment(let packet) = sent.body { packet.headers } else { [] }
        }
    }

    static func entry(_ net: VirtualNetwork, _ router: Int, _ lsa: LSA) -> LSDB.Entry? {
        net.routers[router].database.entry(lsa.key, in: .autonomousSystem)
    }

    @Test(arguments: OSPFVersion.allCases)
    func `Its sender is held down until somebody could survive it, and nobody else is`(_ version: OSPFVersion) {
        let net = Self.poisoned(version)
        #expect(net.states(of: 1) == [.full])
        net.run(.seconds(120))
        #expect(net.states(of: 1) == [.full], "nobody could survive it in another form")
        net.give(1, .redundancy(true))
        net.run(.milliseconds(1900))
        #expect(net.states(of: 1) == [.full])
        net.run(.seconds(60))
        #expect(net.states(of: 1) == [.full, .full])
        #expect(net.states(of: 2) == [.full])
    }

    @Test(arguments: OSPFVersion.allCases)
    func `RFC 2328 §10.9: an exchange with whoever has it comes to its end without it`(_ version: OSPFVersion) {
        let net = Self.poisoned(version)
        let mark = net.effects[1].count
        net.give(1, .redundancy(true))
        net.run(.seconds(60))
        #expect(net.states(of: 1) == [.full, .full])
        #expect(Self.entry(net, 1, Self.external(version)) == nil && Self.entry(net, 0, Self.external(version)) == nil)
        #expect(Self.entry(net, 2, Self.external(version)) != nil)
        let asked = net.sent(1, since: mark).contains { sent in
            if case .linkStateRequest(let packet) = sent.body { packet.keys.contains(Self.external(version).key) } else { false }
        }
        #expect(!asked)
        #expect(net.neighbor(of: 2, 1)?.retransmissions.isEmpty == true)
    }

    @Test(arguments: OSPFVersion.allCases)
    func `§13.5: it is acknowledged and ignored at any age, from anybody, and what it is packed with goes on`(
        _ version: OSPFVersion
    ) {
        let net = Self.poisoned(version)
        net.give(1, .redundancy(true))
        net.run(.seconds(60))
        for (age, from) in [(9, 2), (600, 0), (3600, 2)] as [(UInt16, Int)] {
            let mark = net.effects[1].count
            let harmless = Self.external(version, 0xc633_6400 + UInt32(age) << 8)
            net.inject([Self.external(version, age: age), harmless], from: from, to: 1)
            let headers = Self.acknowledged(net, 1, since: mark)
            #expect(headers.map(\.key) == [Self.external(version).key])
            #expect(headers.first?.sequence == 5)
            #expect(Self.entry(net, 1, Self.external(version)) == nil)
            #expect(Self.entry(net, 1, harmless) != nil)
        }
        #expect(net.drops(1, .quarantined) >= 3)
        #expect(Self.entry(net, 0, Self.external(version)) == nil, "it is not flooded")
        #expect(net.states(of: 1) == [.full, .full])
    }

    @Test func `§12.4 (1): a refresh of the same content is known, asked for once, and nothing waits for it`() {
        let net = Self.poisoned(.v2)
        net.inject([Self.external(.v2, sequence: 6)], from: 1, to: 2)
        net.give(1, .redundancy(true))
        net.run(.seconds(60))
        #expect(net.states(of: 1) == [.full, .full])
        #expect(net.neighbor(of: 1, 2)?.requests.isEmpty == true)
        #expect(net.neighbor(of: 2, 1)?.retransmissions.isEmpty == true)
        #expect(Self.entry(net, 1, Self.external(.v2)) == nil)
        #expect(Self.entry(net, 2, Self.external(.v2))?.lsa.header.sequence == 6)
    }

    @Test func `Another content is looked into after one fault, and the name alone is known after two`() {
        let net = Self.poisoned(.v2)
        net.give(1, .redundancy(true))
        net.run(.seconds(60))
        net.inject([Self.external(.v2, sequence: 7, metric: 20)], from: 2, to: 1)
        #expect(Self.entry(net, 1, Self.external(.v2))?.lsa.header.sequence == 7)
        net.inject([Self.external(.v2, sequence: 8, metric: 30)], from: 2, to: 1, fatal: 1)
        net.run(.seconds(60))
        #expect(net.states(of: 1) == [.full, .full])
        net.inject([Self.external(.v2, sequence: 9, metric: 40)], from: 0, to: 1)
        #expect(Self.entry(net, 1, Self.external(.v2))?.lsa.header.sequence == 7)
        // The operator knows better.
        #expect(net.routers[1].knows("10.0.1.3") && !net.routers[1].knows("10.0.1.9"))
        net.give(1, .clear(neighbor: "10.0.1.3"))
        net.run(.seconds(60))
        net.inject([Self.external(.v2, sequence: 10, metric: 50)], from: 2, to: 1)
        #expect(Self.entry(net, 1, Self.external(.v2))?.lsa.header.sequence == 10)
    }

    @Test func `The LSA that the dying gasp names is remembered, and not those beside it`() {
        let harmless = Self.external(.v2, 0xc633_6400)
        let net = Self.poisoned(.v2, [harmless, Self.external(.v2)], message: 2)
        net.give(1, .redundancy(true))
        net.run(.seconds(60))
        net.inject([harmless, Self.external(.v2)], from: 2, to: 1)
        #expect(Self.entry(net, 1, harmless) != nil && Self.entry(net, 1, Self.external(.v2)) == nil)
        // Numbers are those of LSAs that are looked into.
        let third = Self.external(.v2, 0xc633_6500)
        net.inject([Self.external(.v2), third], from: 2, to: 1, fatal: 1)
        net.run(.seconds(60))
        net.inject([third], from: 2, to: 1)
        #expect(Self.entry(net, 1, third) == nil)
    }

    @Test func `§13 (8): an older one than ours is answered with ours, and an own one is outbid`() {
        let net = Self.poisoned(.v2)
        net.give(1, .redundancy(true))
        net.run(.seconds(60))
        net.inject([Self.external(.v2, sequence: 9, metric: 20)], from: 0, to: 1)
        let mark = net.effects[1].count
        net.inject([Self.external(.v2)], from: 2, to: 1)
        #expect(Self.acknowledged(net, 1, since: mark).isEmpty)
        #expect(
            net.sent(1, since: mark).contains { sent in
                if case .linkStateUpdate(let packet) = sent.body { packet.lsas.map(\.header.sequence) == [9] } else { false }
            })
        let own = net.configurations[1].routerID.raw
        let key = LSAKey(type: .router, linkStateID: own, advertisingRouter: own)
        let forged = LSA(version: .v2, key: key, options: 2, sequence: 0x1000, body: [0, 0, 0, 0])
        net.inject([forged], from: 2, to: 1, fatal: 0)
        net.run(.seconds(60))
        net.inject([forged], from: 0, to: 1)
        #expect(net.routers[1].database.entry(key, in: .area(0))?.lsa.header.sequence == 0x1001)
        net.run(.seconds(10))
        #expect(net.routers[0].database.entry(key, in: .area(0))?.lsa.header.sequence == 0x1001)
    }

    @Test func `A body is looked into when its LSA comes, and not first by the calculation`() {
        let net = FloodingTests.row()
        var odd = Self.external(.v2)
        odd = LSA(version: .v2, key: odd.key, options: 2, sequence: 5, age: 1, body: [255, 255, 255])
        net.inject([odd], from: 0, to: 1)
        #expect(net.drops(1, .lsaBody) == 1)
        net.run(.seconds(8))
        #expect(Self.entry(net, 2, odd) != nil, "it is flooded all the same")
        net.inject([Self.external(.v2, 0xc633_6400)], from: 0, to: 1)
        #expect(net.drops(1, .lsaBody) == 1)
    }

    @Test func `A packet that cannot be answered ends the adjacency for ten minutes each time`() {
        let net = FloodingTests.row()
        let body = OSPFPacket.Body.linkStateRequest(
            LinkStateRequestPacket(keys: [LSAKey(type: .router, linkStateID: 9, advertisingRouter: 9)]))
        net.inject(body, from: 2, to: 1, fatal: 0)
        net.give(1, .redundancy(true))
        net.run(.seconds(60))
        #expect(net.states(of: 1) == [.full, .full])
        net.inject(body, from: 2, to: 1)
        #expect(net.states(of: 1) == [.full])
        net.run(.seconds(590))
        #expect(net.states(of: 1) == [.full])
        net.run(.seconds(60))
        #expect(net.states(of: 1) == [.full, .full])
        net.inject(body, from: 0, to: 1)
        #expect(net.states(of: 1) != [.full], "of another neighbor it is what it always was")
    }

    @Test func `A Hello that was fatal is known whomever it lists, and the neighbor stays away until it is cleared`() {
        let net = FloodingTests.row()
        let interface = net.routers[2].interface(InterfaceID(0))!.configuration
        let hello = HelloPacket(
            helloInterval: interface.helloInterval, routerDeadInterval: interface.routerDeadInterval, options: .external,
            priority: interface.priority, designatedRouter: 0, backupDesignatedRouter: 0, neighbors: [1, 2, 3])
        net.inject(.hello(hello), from: 2, to: 1, fatal: 0)
        net.give(1, .redundancy(true))
        net.run(.seconds(120))
        #expect(net.states(of: 1) == [.full])
        net.give(1, .clear(neighbor: ""))
        net.run(.seconds(60))
        #expect(net.states(of: 1) == [.full, .full])
    }

    @Test(arguments: OSPFVersion.allCases)
    func `No octets are a trap to what remembers fatal octets`(_ version: OSPFVersion) {
        let net = Self.poisoned(version)
        let source = net.routers[2].source(on: net.routers[2].interface(InterfaceID(0))!)!
        let bodies: [OSPFPacket.Body] = [
            .linkStateUpdate(LinkStateUpdatePacket(lsas: [Self.external(version), Self.external(version, 1)])),
            .linkStateAcknowledgment(LinkStateAcknowledgmentPacket(headers: [Self.external(version).header])),
            .databaseDescription(
                DatabaseDescriptionPacket(
                    mtu: 1500, options: [], flags: .more, sequence: 1, headers: [Self.external(version).header])),
            .hello(
                HelloPacket(
                    helloInterval: 10, routerDeadInterval: 40, options: [], priority: 1, designatedRouter: 0,
                    backupDesignatedRouter: 0, neighbors: [1])),
        ]
        var random = RandomNumbers(seed: 8)
        for body in bodies {
            let whole = OSPFPacket(routerID: 9, areaID: 0, body).encoded(version: version, source: source, destination: source)
            for count in 0...whole.count {
                var octets = Array(whole[..<count])
                for round in 0..<3 {
                    let packet = ReceivedPacket(
                        interface: InterfaceID(1), packetProtocol: version == .v2 ? .ospfv2 : .ospfv3, source: .ip(source),
                        destination: .ip(source), bytes: octets)
                    _ = net.routers[1].screened(packet, at: net.now)
                    if round == 0 { net.give(1, .fault(packet, message: random.number(in: 0...3))) }
                    if !octets.isEmpty { octets[random.number(in: 0...(octets.count - 1))] = UInt8(random.number(in: 0...255)) }
                }
            }
        }
        #expect(net.routers[1].fatal.sources.count == 1)
    }
}
