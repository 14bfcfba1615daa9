import Machine
import RIP
import Records
import Routing
import Testing
import Wire

@testable import Engine

/// Fatal packets of interior gateway protocols, from the record down to the protocol, and what operators hear of neighbours.
@Suite struct QuarantineTests {
    static let neighbor = IPv4Address(192, 0, 2, 77)

    static func fixture(seed: UInt64 = 7) throws -> EngineFixture {
        let fixture = EngineFixture(seed: seed)
        try fixture.configure(EngineFixture.configuration(peers: 1) { configuration in
            configuration.rip = RIPConfiguration(version: .v2, interfaces: [RIPInterfaceConfiguration(name: "lan")])
        })
        return fixture
    }

    /// A response of the neighbour with these prefixes of 24 bits.
    static func response(_ networks: [IPv4Address], metric: UInt8 = 3) -> ReceivedPacket {
        var w = ByteWriter()
        w.u32(0x0202_0000)
        for network in networks {
            w.u32(0x0002_0000)
            w.ipv4(network)
            w.u32(0xffff_ff00)
            w.u32(0)
            w.u32(UInt32(metric))
        }
        return ReceivedPacket(
            interface: InterfaceID(0), packetProtocol: .rip, source: .ip(.v4(neighbor)),
            destination: .ip(.v4(IPv4Address(224, 0, 0, 9))), sourcePort: 520, bytes: w.bytes)
    }
    static let good = IPv4Address(172, 16, 0, 0), bad = IPv4Address(203, 0, 113, 0)

    static func has(_ fixture: EngineFixture, _ network: IPv4Address) -> Bool {
        fixture.engine.ipv4Routes.lookup(IPv4Address(raw: network.raw + 1)) != nil
    }

    @Test func `The redundancy of the pair reaches a protocol that is configured before or after it`() throws {
        for isBefore in [true, false] {
            let fixture = EngineFixture()
            if !isBefore { fixture.apply(.redundancy(true)) }
            try fixture.configure(EngineFixture.configuration(peers: 1) { configuration in
                configuration.rip = RIPConfiguration(version: .v2, interfaces: [RIPInterfaceConfiguration(name: "lan")])
            })
            if isBefore { fixture.apply(.redundancy(true)) }
            fixture.apply(.quarantined(.packet(Self.response([Self.bad, Self.good]), message: 1)))
            fixture.pass(.seconds(1))
            fixture.apply(.packetReceived(Self.response([Self.good])))
            #expect(!Self.has(fixture, Self.good))
            fixture.pass(.milliseconds(1100))
            fixture.apply(.packetReceived(Self.response([Self.good, Self.bad])))
            #expect(Self.has(fixture, Self.good) && !Self.has(fixture, Self.bad))
        }
    }

    @Test func `Whoever takes over is alone: the fatal neighbor waits until it is not`() throws {
        let fixture = try Self.fixture()
        fixture.apply(.redundancy(true))
        fixture.apply(.quarantined(.packet(Self.response([Self.bad]))))
        fixture.apply(.mastership(.b, Epoch(9), isFresh: false))
        fixture.pass(.seconds(500))
        fixture.apply(.packetReceived(Self.response([Self.good])))
        #expect(!Self.has(fixture, Self.good))
        fixture.apply(.redundancy(true))
        fixture.pass(.milliseconds(2100))
        fixture.apply(.packetReceived(Self.response([Self.good])))
        #expect(Self.has(fixture, Self.good))
    }

    @Test func `What is remembered passes through a snapshot of the engine`() throws {
        let fixture = try Self.fixture()
        fixture.apply(.redundancy(true))
        fixture.apply(.quarantined(.packet(Self.response([Self.bad]))))
        fixture.pass(.seconds(3))
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot) else { return }
        var engine = Engine(seed: 0)
        guard case .restored = engine.perform(.restore(snapshot.encoded())) else {
            Issue.record("the snapshot cannot be restored")
            return
        }
        #expect(engine.digest == fixture.engine.digest)
        fixture.engine = engine
        fixture.apply(.packetReceived(Self.response([Self.bad, Self.good])))
        #expect(Self.has(fixture, Self.good) && !Self.has(fixture, Self.bad))
    }

    @Test func `A copy that is stale begins anew with everybody, and forgets nothing that was fatal`() throws {
        let fixture = try Self.fixture()
        fixture.apply(.quarantined(.packet(Self.response([Self.bad]))))
        fixture.apply(.mastership(.b, Epoch(9), isFresh: true))
        fixture.apply(.redundancy(true))
        fixture.pass(.seconds(3))
        fixture.apply(.packetReceived(Self.response([Self.bad, Self.good])))
        #expect(Self.has(fixture, Self.good) && !Self.has(fixture, Self.bad))
        fixture.apply(.command(.clearAdjacency(.rip, neighbor: "")))
        fixture.apply(.packetReceived(Self.response([Self.bad])))
        #expect(Self.has(fixture, Self.bad), "the operator's word for all of them")
    }

    @Test func `A trap is met by what is looked into, and not by what is known`() throws {
        let fixture = try Self.fixture()
        fixture.engine.plantTrap(ending: [9, 9, 9], content: [203, 0, 113])
        fixture.apply(.redundancy(true))
        fixture.apply(.quarantined(.packet(Self.response([Self.good, Self.bad]), message: 2)))
        fixture.pass(.seconds(3))
        fixture.apply(.packetReceived(Self.response([Self.bad, Self.good])))
        #expect(fixture.engine.trapMet == nil && Self.has(fixture, Self.good))
        fixture.apply(.packetReceived(Self.response([Self.good, Self.bad], metric: 4)))
        #expect(fixture.engine.trapMet?.index == fixture.index)
        #expect(fixture.engine.trapMet?.message == 2)
    }

    @Test func `An operator who names nobody hears who there is`() throws {
        let fixture = try Self.fixture()
        #expect(fixture.engine.refusal(toClear: .rip, "192.0.2.77") == "there is no RIP neighbour '192.0.2.77', and no other")
        fixture.apply(.packetReceived(Self.response([Self.good])))
        #expect(fixture.engine.refusal(toClear: .rip, "192.0.2.77") == nil)
        #expect(fixture.engine.refusal(toClear: .rip, "") == nil)
        #expect(
            fixture.engine.refusal(toClear: .rip, "192.0.2.78") == "there is no RIP neighbour '192.0.2.78'; there are: 192.0.2.77")
        #expect(fixture.engine.refusal(toClear: .ospfv3, "fe80::1")?.hasSuffix("and no other") == true)
        // Whoever is held down is no neighbour now, and can be named.
        fixture.apply(.quarantined(.packet(Self.response([Self.bad]))))
        #expect(fixture.engine.refusal(toClear: .rip, "192.0.2.77") == nil)
        fixture.apply(.command(.clearAdjacency(.rip, neighbor: "192.0.2.77")))
        fixture.apply(.packetReceived(Self.response([Self.good])))
        #expect(Self.has(fixture, Self.good))
    }

    @Test func `Clearing a BFD session begins it anew under another discriminator, and nobody takes it for a failure`() throws {
        let fixture = try EngineBFDTests.fixture { $0.bgp?.neighbors[1].bfd = "" }
        let before = EngineBFDTests.sessions(fixture)
        #expect(before.count == 2)
        fixture.establish(0)
        EngineBFDTests.report(fixture, .up, at: before[0].peer == EngineBFDTests.peer ? 0 : 1)
        let name = "\(EngineFixture.peerAddress(0))"
        #expect(fixture.engine.refusal(toClearBFD: name) == nil && fixture.engine.refusal(toClearBFD: name + "%lan") == nil)
        #expect(fixture.engine.refusal(toClearBFD: name + "%wan")?.contains("there are: ") == true)
        #expect(fixture.engine.refusal(toClearBFD: "192.0.2.99")?.contains(name) == true)
        fixture.apply(.command(.clearSession(neighbor: name)))
        let after = EngineBFDTests.sessions(fixture)
        #expect(after.count == 2)
        func discriminator(_ list: [BFDSession], _ n: Int) -> UInt32? {
            list.first { $0.peer.remote == .v4(EngineFixture.peerAddress(n)) }?.discriminator
        }
        #expect(discriminator(after, 0) != discriminator(before, 0) && discriminator(after, 0) != nil)
        #expect(discriminator(after, 1) == discriminator(before, 1))
        #expect(fixture.notifications(0).isEmpty)
    }
}
