import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

extension VirtualNetwork {
    /// Has `router` get a packet as if `other` had sent it on the first link that both are on.
    /// - Parameter fatal: the packet killed the twin, in this LSA of it; `nil`: it is to be looked into.
    func inject(
        _ body: OSPFPacket.Body, from other: Int, to router: Int, destination: IPAddress? = nil, fatal: Int? = nil
    ) {
        guard
            let segment = segments.first(where: { s in
                s.members.contains { $0.router == router } && s.members.contains { $0.router == other }
            }), let here = segment.members.first(where: { $0.router == router }),
            let there = segment.members.first(where: { $0.router == other }),
            let sender = routers[other].interface(there.interface), let source = routers[other].source(on: sender)
        else { return }
        let target = destination ?? (version == .v2 ? OSPFInstance.allSPFRouters : OSPFInstance.allSPFRoutersV6)
        let packet = OSPFPacket(
            routerID: configurations[other].routerID.raw, areaID: sender.areaID,
            instanceID: configurations[other].instanceID, body)
        let bytes = packet.encoded(version: version, source: source, destination: target)
        let received = ReceivedPacket(
            interface: here.interface, packetProtocol: version == .v2 ? .ospfv2 : .ospfv3, source: .ip(source),
            destination: .ip(target), bytes: bytes)
        give(router, fatal.map { .fault(received, message: $0) } ?? .packet(received))
    }

    func inject(_ lsas: [LSA], from other: Int, to router: Int, fatal: Int? = nil) {
        inject(.linkStateUpdate(LinkStateUpdatePacket(lsas: lsas)), from: other, to: router, fatal: fatal)
    }

    /// What `router` sent since the count of effects was `mark`.
    func sent(_ router: Int, since mark: Int) -> [(packet: OutgoingPacket, body: OSPFPacket.Body)] {
        effects[router][mark...].compactMap { effect in
            guard case .send(let packet) = effect,
                let header = try? OSPFPacketHeader(packet.bytes.span.bytes, version: version),
                let whole = try? OSPFPacket(
                    packet.bytes.span.bytes, header: header, bodyStart: OSPFPacketHeader.size(version), version: version)
            else { return nil }
            return (packet, whole.body)
        }
    }
    func drops(_ router: Int, _ reason: OSPFDrop) -> UInt64 {
        routers[router].interfaces.reduce(0) { $0 + ($1?.counters.drops[Int(reason.rawValue)] ?? 0) }
    }
}

@Suite struct FloodingTests {
    /// 0 — 1 — 2 in a row, all Full.
    static func row(_ version: OSPFVersion = .v2, _ change: (inout OSPFConfiguration) -> Void = { _ in }) -> VirtualNetwork {
        let net = VirtualNetwork(version: version)
        for _ in 0..<3 { net.addRouter(change) }
        net.connect([0, 1], network: .pointToPoint)
        net.connect([1, 2], network: .pointToPoint)
        net.start()
        net.run(.seconds(40))
        return net
    }

    static let stranger: UInt32 = 0x0a63_6363

    static func external(
        _ id: UInt32 = 0xc000_0200, router: UInt32 = stranger, sequence: Int32 = LSAHeader.initialSequence, age: UInt16 = 1,
        metric: UInt8 = 10
    ) -> LSA {
        LSA(
            version: .v2, key: LSAKey(type: .external, linkStateID: id, advertisingRouter: router), options: 2,
            sequence: sequence, age: age, body: [255, 255, 255, 0, 0x80, 0, 0, metric, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `an LSA reaches everybody and leaves no retransmission behind`() {
        let net = Self.row()
        net.inject([Self.external()], from: 0, to: 1)
        net.run(.seconds(8))
        #expect(net.routers[2].database.entry(Self.external().key, in: .autonomousSystem) != nil)
        for neighbor in net.routers[1].neighbors { #expect(neighbor?.retransmissions.isEmpty == true) }
        // InfTransDelay of each link it crossed.
        #expect(net.routers[2].database.entry(Self.external().key, in: .autonomousSystem)?.lsa.header.age == 2)
    }

    @Test func `§13 (1): an LSA with a wrong checksum is not taken`() {
        let net = Self.row()
        var octets = Self.external().octets
        octets[25] ^= 1
        var reader = ByteReader(octets.span.bytes)
        guard let bad = try? LSA(from: &reader, version: .v2) else {
            Issue.record("not read")
            return
        }
        net.inject([bad], from: 0, to: 1)
        #expect(net.drops(1, .lsaChecksum) == 1)
        #expect(net.routers[1].database.count(in: .autonomousSystem) == 0)
    }

    @Test func `§13 (2) and (3): unknown types and externals in a stub area are not taken`() {
        let net = Self.row { $0.areas = [OSPFAreaConfiguration(areaID: .any, kind: .stub)] }
        net.inject([Self.external()], from: 0, to: 1)
        let odd = LSA(
            version: .v2, key: LSAKey(type: LSAType(rawValue: 6), linkStateID: 1, advertisingRouter: 9), body: [0, 0, 0, 0])
        net.inject([odd], from: 0, to: 1)
        let nssa = LSA(version: .v2, key: LSAKey(type: .nssa, linkStateID: 1, advertisingRouter: 9), body: [0, 0, 0, 0])
        net.inject([nssa], from: 0, to: 1)
        #expect(net.drops(1, .lsaScope) == 2)
        #expect(net.drops(1, .lsaType) == 1)
        #expect(net.routers[1].database.count == net.routers[0].database.count)
    }

    @Test func `§13 (4): MaxAge of what we do not have is acknowledged directly and forgotten`() {
        let net = Self.row()
        let mark = net.effects[1].count
        net.inject([Self.external(age: 3600)], from: 0, to: 1)
        let sent = net.sent(1, since: mark)
        #expect(sent.count == 1)
        if case .linkStateAcknowledgment(let packet)? = sent.first?.body {
            #expect(packet.headers.map(\.key) == [Self.external().key])
        } else {
            Issue.record("no acknowledgement")
        }
        #expect(net.routers[1].database.count(in: .autonomousSystem) == 0)
    }

    @Test func `§13 (5) (a): a flooded instance is not followed by another within MinLSArrival`() {
        let net = Self.row()
        net.inject([Self.external()], from: 0, to: 1)
        net.inject([Self.external(sequence: LSAHeader.initialSequence + 1)], from: 0, to: 1)
        #expect(net.drops(1, .lsaTooSoon) == 1)
        net.run(.milliseconds(1001))
        net.inject([Self.external(sequence: LSAHeader.initialSequence + 2)], from: 0, to: 1)
        #expect(net.drops(1, .lsaTooSoon) == 1)
        #expect(
            net.routers[1].database.entry(Self.external().key, in: .autonomousSystem)?.lsa.header.sequence
                == LSAHeader.initialSequence + 2)
    }

    @Test func `§13 (7): a duplicate is acknowledged directly, unless it is an implied acknowledgement`() {
        let net = Self.row()
        net.inject([Self.external()], from: 0, to: 1)
        net.run(.seconds(7))
        var mark = net.effects[1].count
        net.inject([Self.external()], from: 0, to: 1)
        let direct = net.sent(1, since: mark)
        #expect(direct.count == 1)
        if case .linkStateAcknowledgment? = direct.first?.body {} else { Issue.record("no acknowledgement") }
        // Flooded to 2, which answers with the same instance in place of an acknowledgement.
        net.loses = { $0.from == 2 }
        net.inject([Self.external(0xc000_0300)], from: 0, to: 1)
        #expect(net.neighbor(of: 1, 2)?.retransmissions.count == 1)
        mark = net.effects[1].count
        net.inject([Self.external(0xc000_0300)], from: 2, to: 1)
        #expect(net.neighbor(of: 1, 2)?.retransmissions.count == 0)
        #expect(net.sent(1, since: mark).isEmpty)
    }

    @Test func `§13 (8): an older instance is answered with ours, and not more often than MinLSArrival`() {
        let net = Self.row()
        net.inject([Self.external(sequence: 5)], from: 0, to: 1)
        net.run(.seconds(7))
        let mark = net.effects[1].count
        for sequence in 1...3 as ClosedRange<Int32> { net.inject([Self.external(sequence: sequence)], from: 0, to: 1) }
        let sent = net.sent(1, since: mark)
        #expect(sent.count == 1)
        if case .linkStateUpdate(let packet)? = sent.first?.body {
            #expect(packet.lsas.map(\.header.sequence) == [5])
        } else {
            Issue.record("no update")
        }
        #expect(net.drops(1, .lsaOlder) == 3)
    }

    @Test func `§13.4: a forged instance of an own LSA is outbid, wherever it comes from`() {
        let net = Self.row()
        let victim = net.configurations[2].routerID.raw
        let key = LSAKey(type: .router, linkStateID: victim, advertisingRouter: victim)
        guard let before = net.routers[2].database.entry(key, in: .area(0)) else {
            Issue.record("no router LSA")
            return
        }
        net.run(.seconds(10))
        let forged = LSA(
            version: .v2, key: key, options: 2, sequence: before.lsa.header.sequence + 1000, age: 1, body: [0, 0, 0, 0])
        net.inject([forged], from: 0, to: 1)
        net.run(.seconds(10))
        for router in 0..<3 {
            let entry = net.routers[router].database.entry(key, in: .area(0))
            #expect(entry?.lsa.header.sequence == before.lsa.header.sequence + 1001)
            #expect(entry?.lsa.octets[20...] == before.lsa.octets[20...])
        }
        // What we do not announce is flushed.
        let absent = LSA(
            version: .v2, key: LSAKey(type: .external, linkStateID: 7 << 8, advertisingRouter: victim), options: 2, sequence: 9,
            age: 1, body: Self.external().octets.suffix(16).map { $0 })
        net.inject([absent], from: 0, to: 1)
        net.run(.seconds(20))
        for router in net.routers { #expect(router.database.entry(absent.key, in: .autonomousSystem) == nil) }
    }

    @Test func `§13.4: a storm of forged instances is answered once per MinLSArrival`() {
        let net = Self.row()
        let victim = net.configurations[1].routerID.raw
        let key = LSAKey(type: .router, linkStateID: victim, advertisingRouter: victim)
        let mark = net.effects[1].count
        for i in 1...200 as ClosedRange<Int32> {
            net.inject([LSA(version: .v2, key: key, sequence: 1000 + i * 2, body: [0, 0, 0, 0])], from: 0, to: 1)
        }
        #expect(net.sent(1, since: mark).count < 8)
        #expect(net.drops(1, .lsaTooSoon) == 199)
    }

    @Test func `§12.1.6: MaxSequenceNumber is flushed before the sequence begins anew`() {
        let net = Self.row()
        let victim = net.configurations[2].routerID.raw
        let key = LSAKey(type: .router, linkStateID: victim, advertisingRouter: victim)
        guard let body = net.routers[2].database.entry(key, in: .area(0))?.lsa.octets[20...] else {
            Issue.record("no router LSA")
            return
        }
        net.run(.seconds(10))
        net.inject(
            [LSA(version: .v2, key: key, options: 2, sequence: LSAHeader.maxSequence, body: [0, 0, 0, 0])], from: 0, to: 1)
        net.run(.seconds(20))
        for router in 0..<3 {
            let entry = net.routers[router].database.entry(key, in: .area(0))
            #expect(entry.map { $0.lsa.header.sequence < LSAHeader.initialSequence + 3 } == true)
            #expect(entry?.lsa.octets[20...] == body)
        }
    }

    @Test func `§14: what nobody refreshes reaches MaxAge, is flooded and goes everywhere`() {
        let net = Self.row()
        net.inject([Self.external(age: 3000)], from: 0, to: 1)
        net.run(.seconds(560))
        #expect(net.routers[2].database.count(in: .autonomousSystem) == 1)
        net.run(.seconds(60))
        for router in net.routers { #expect(router.database.count(in: .autonomousSystem) == 0) }
        #expect(net.routers[1].flushing.isEmpty)
    }

    @Test func `§12.4: own LSAs are refreshed before LSRefreshTime, and nothing is calculated for it`() {
        let net = Self.row()
        net.run(.seconds(60))
        let runs = net.routers.map(\.log.count)
        let id = net.configurations[0].routerID.raw
        let key = LSAKey(type: .router, linkStateID: id, advertisingRouter: id)
        let before = net.routers[2].database.entry(key, in: .area(0))?.lsa.header.sequence ?? 0
        net.run(.seconds(1800))
        #expect(net.routers[2].database.entry(key, in: .area(0))?.lsa.header.sequence == before + 1)
        #expect(net.routers.map(\.log.count) == runs)
        #expect(net.agree(on: .area(0)))
    }

    @Test func `RFC 5250 §3.1: opaque LSAs are flooded within their scope`() {
        let net = Self.row()
        func opaque(_ type: LSAType) -> LSA {
            LSA(
                version: .v2, key: LSAKey(type: type, linkStateID: 200 << 24, advertisingRouter: Self.stranger), options: 2,
                body: [0, 1, 0, 0])
        }
        net.inject([opaque(.opaqueLink), opaque(.opaqueArea), opaque(.opaqueAS)], from: 0, to: 1)
        net.run(.seconds(10))
        #expect(net.routers[1].database.entry(opaque(.opaqueLink).key, in: .link(0)) != nil)
        #expect(net.routers[2].database.databaseIDs.contains { $0.scope == .link } == false)
        #expect(net.routers[2].database.entry(opaque(.opaqueArea).key, in: .area(0)) != nil)
        #expect(net.routers[2].database.entry(opaque(.opaqueAS).key, in: .autonomousSystem) != nil)
    }

    @Test func `RFC 5340 §4.5.1: an unknown LSA is flooded as its U-bit says`() {
        let net = Self.row(.v3)
        func unknown(_ type: UInt16) -> LSA {
            LSA(
                version: .v3, key: LSAKey(type: LSAType(rawValue: type), linkStateID: 1, advertisingRouter: Self.stranger),
                body: [1, 2, 3, 4])
        }
        net.inject([unknown(0xa1ff), unknown(0xc1ff), unknown(0x21ff), unknown(0x61ff)], from: 0, to: 1)
        net.run(.seconds(10))
        #expect(net.routers[2].database.entry(unknown(0xa1ff).key, in: .area(0)) != nil)
        #expect(net.routers[2].database.entry(unknown(0xc1ff).key, in: .autonomousSystem) != nil)
        #expect(net.routers[1].database.entry(unknown(0x21ff).key, in: .link(0)) != nil)
        #expect(net.routers[2].database.entry(unknown(0x21ff).key, in: .area(0)) == nil)
        #expect(net.drops(1, .lsaType) == 1)
    }

    @Test func `a full database refuses what is new, says so once, and goes on`() {
        let net = Self.row { $0.limits.lsasMaximum = 50 }
        for i in 0..<200 as Range<UInt32> { net.inject([Self.external(i << 8)], from: 0, to: 1) }
        #expect(net.routers[1].database.foreignCount == 50)
        #expect(net.drops(1, .databaseFull) >= 150)
        #expect(net.events.filter { $0.contains("the database is full") && $0.contains("10.255.0.2") }.count == 1)
        net.run(.seconds(30))
        #expect(net.states(of: 1) == [.full, .full])
    }

    @Test func `a thousand LSAs are described, asked for and sent, in few packets`() {
        let net = VirtualNetwork()
        for _ in 0..<2 { net.addRouter() }
        net.connect([0, 1], network: .pointToPoint)
        net.start([0])
        net.run(.seconds(1))
        for i in 0..<1000 as Range<UInt32> {
            let lsa = Self.external(i << 8)
            net.routers[0].database.install(
                lsa, in: .autonomousSystem, isOwn: false, at: net.now, due: net.now + .seconds(3600))
        }
        net.start([1])
        net.run(.seconds(25))
        #expect(net.states(of: 1) == [.full])
        #expect(net.routers[1].database.count(in: .autonomousSystem) == 1000)
        #expect(net.packetsSent < 150)
        #expect(net.agree(on: .autonomousSystem))
    }

    @Test func `RFC 3623 §3: a restarting neighbor is announced as Full until its grace ends`() {
        for changes in [false, true] {
            let net = Self.row()
            let id = net.configurations[2].routerID.raw
            let grace = LSA(
                version: .v2, key: LSAKey(type: .opaqueLink, linkStateID: 3 << 24, advertisingRouter: id), options: 2,
                body: [0, 1, 0, 4, 0, 0, 0, 120, 0, 2, 0, 1, 1, 0, 0, 0])
            net.inject([grace], from: 2, to: 1)
            net.isAlive[2] = false
            net.run(.seconds(80))
            #expect(net.neighbor(of: 1, 2)?.isAdjacent == true)
            let key = LSAKey(
                type: .router, linkStateID: net.configurations[1].routerID.raw,
                advertisingRouter: net.configurations[1].routerID.raw)
            let links = net.routers[0].database.entry(key, in: .area(0))?.lsa.octets.count ?? 0
            if changes {
                // §3.2 (3)
                net.inject([Self.external()], from: 0, to: 1)
                net.run(.seconds(1))
                #expect(net.neighbor(of: 1, 2)?.graceDeadline == nil)
            } else {
                net.routers[2] = OSPFInstance(seed: 5)
                net.isAlive[2] = true
                net.start([2])
                net.run(.seconds(30))
                #expect(net.neighbor(of: 1, 2)?.state == .full)
                #expect(net.routers[0].database.entry(key, in: .area(0))?.lsa.octets.count == links)
            }
            net.run(.seconds(100))
            #expect(net.neighbor(of: 1, 2)?.isAdjacent == (changes ? nil : true))
        }
    }

    @Test func `a router that is told to stop says goodbye and its LSAs go`() {
        let net = Self.row()
        net.inject([Self.external()], from: 0, to: 1)
        net.run(.seconds(5))
        net.give(2, .configure(nil, net.devices[2]))
        net.run(.milliseconds(100))
        #expect(net.neighbor(of: 1, 2)?.state == .`init`)
        let id = net.configurations[2].routerID.raw
        #expect(net.routers[0].database.lsa(LSAKey(type: .router, linkStateID: id, advertisingRouter: id), in: .area(0)) == nil)
        #expect(net.routers[2].nextDeadline == nil)
    }
}
