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
        try fixture.configure(
            EngineFixture.configuration(peers: 1) { configuration in
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
            try fixture.configure(
                EngineFixture.configuration(peers: 1) { configuration in
                    configuration.rip = RIPConfiguration(version: .v2, interfaces: [RIPInterfaceConfiguration(name: "lan")])
                })
            if isBefore { fixture.apply(.redundancy(true)) }
            fixture.apply(.quarantined(.packet(Self.response([Self.bad, Self.good]), message: 1)))
            // The record itself says that the twin is lost.
            fixture.pass(.seconds(5))
            fixture.apply(.packetReceived(Self.response([Self.good])))
            #expect(!Self.has(fixture, Self.good))
            fixture.apply(.redundancy(true))
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
        fixture.apply(.quarantined(.packet(Self.response([Self.bad]))))
        fixture.apply(.redundancy(true))
        fixture.pass(.seconds(3))
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
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
        fixture.apply(.quarantined(.packet(Self.response([Self.good, Self.bad]), message: 2)))
        fixture.apply(.redundancy(true))
        fixture.pass(.seconds(3))
        fixture.apply(.packetReceived(Self.response([Self.bad, Self.good])))
        #expect(fixture.engine.trapMet == nil && Self.has(fixture, Self.good))
        fixture.apply(.packetReceived(Self.response([Self.good, Self.bad], metric: 4)))
        #expect(fixture.engine.trapMet?.index == fixture.index)
        #expect(fixture.engine.trapMet?.message == 2)
    }

    @Test func `A protocol whose timers were fatal is stopped alone, and the record that they were due in counts`() throws {
        let fixture = try Self.fixture()
        fixture.establish(0)
        fixture.apply(.redundancy(true))
        fixture.apply(.packetReceived(Self.response([Self.good])))
        let prefix = IPv4Prefix(IPv4Address(10, 0, 0, 0), 8)
        fixture.apply(
            .quarantined(
                .timers(
                    InteriorGatewayID.rip.rawValue,
                    .tcpReceived(EngineFixture.id(0), bytes: fixture.announcement(0, prefix), peerTimestamp: 0))))
        #expect(!Self.has(fixture, Self.good))
        #expect(fixture.engine.ipv4Routes.active(prefix) != nil, "what BGP heard in the same record is there")
        #expect(fixture.notifications(0).isEmpty)
        #expect(fixture.engine.rip.configuration == nil)
        #expect(fixture.log.last { $0.contains("subscriptions") }?.contains("RIP") == false)

        // Whoever takes over is alone. Nothing of the protocol runs, whatever is configured or heard.
        fixture.apply(.mastership(.b, Epoch(9), isFresh: false))
        fixture.apply(.packetReceived(Self.response([Self.good])))
        try fixture.configure(fixture.engine.configuration, revision: 2)
        fixture.pass(.seconds(500))
        #expect(fixture.engine.rip.configuration == nil && !Self.has(fixture, Self.good))
        // All of this passes through a snapshot.
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        var engine = Engine(seed: 0)
        _ = engine.perform(.restore(snapshot.encoded()))
        #expect(engine.digest == fixture.engine.digest && engine.nextDeadline == fixture.engine.nextDeadline)
        fixture.engine = engine

        fixture.apply(.redundancy(true))
        fixture.pass(.milliseconds(1900))
        #expect(fixture.engine.rip.configuration == nil)
        fixture.pass(.milliseconds(200))
        #expect(fixture.engine.rip.configuration != nil)
        #expect(fixture.log.last { $0.contains("subscriptions") }?.contains("UDP port 520") == true)
        fixture.apply(.packetReceived(Self.response([Self.good])))
        #expect(Self.has(fixture, Self.good))
        // Once more, and the pause doubles; the operator need not wait.
        fixture.apply(.quarantined(.timers(InteriorGatewayID.rip.rawValue, .time)))
        fixture.apply(.redundancy(true))
        fixture.pass(.milliseconds(3900))
        #expect(fixture.engine.rip.configuration == nil)
        fixture.apply(.command(.clearAdjacency(.rip, neighbor: "")))
        fixture.apply(.time)
        #expect(fixture.engine.rip.configuration != nil)
        // A protocol that is not there is nobody's fault.
        fixture.apply(.quarantined(.timers(InteriorGatewayID.isis.rawValue, .time)))
        fixture.apply(.quarantined(.timers(99, .time)))
    }

    @Test func `The progress mark says whose timers run, and nothing while none do`() throws {
        let word = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
        defer { unsafe word.deallocate() }
        unsafe word.initialize(to: 7)
        var random = RandomNumbers(seed: 1)
        var interior = InteriorGateways(random: &random)
        var watch = PacketWatch()
        watch.progress = unsafe ProgressMark(word)
        interior.setWatch(watch)
        var wishes: [InteriorGatewayWish] = []
        interior.fireTimers(at: .zero, into: &wishes)
        var noted = unsafe word.pointee
        #expect(noted == 7, "none is configured")
        var configuration = RouterConfiguration(interfaces: [
            InterfaceConfiguration(
                name: "lan", virtualMAC: MACAddress(raw: 0x5e00_0101),
                addresses: [.init(address: .v4(Self.neighbor), prefixLength: 24)])
        ])
        configuration.rip = RIPConfiguration(version: .v2, interfaces: [RIPInterfaceConfiguration(name: "lan")])
        interior.configure(configuration, at: .zero, into: &wishes)
        interior.fireTimers(at: .zero + .seconds(60), into: &wishes)
        noted = unsafe word.pointee
        #expect(noted == 0)
    }

    @Test func `An operator who names nobody hears who there is`() throws {
        let fixture = try Self.fixture()
        #expect(fixture.engine.refusal(toClear: .rip, "192.0.2.77") == "there is no RIP neighbour '192.0.2.77', and no other")
        fixture.apply(.packetReceived(Self.response([Self.good])))
        #expect(fixture.engine.refusal(toClear: .rip, "192.0.2.77") == nil)
        #expect(fixture.engine.refusal(toClear: .rip, "") == nil)
        #expect(
            fixture.engine.refusal(toClear: .rip, "192.0.2.78") == "there is no RIP neighbour '192.0.2.78'; there are: 192.0.2.77"
        )
        #expect(fixture.engine.refusal(toClear: .ospfv3, "fe80::1")?.hasSuffix("and no other") == true)
        // Whoever is held down is no neighbour now, and can be named.
        fixture.apply(.quarantined(.packet(Self.response([Self.bad]))))
        #expect(fixture.engine.refusal(toClear: .rip, "192.0.2.77") == nil)
        fixture.apply(.command(.clearAdjacency(.rip, neighbor: "192.0.2.77")))
        fixture.apply(.packetReceived(Self.response([Self.good])))
        #expect(Self.has(fixture, Self.good))
    }

    @Test func `A report that was fatal holds that BFD session alone, until somebody could survive the next`() throws {
        let fixture = try EngineBFDTests.fixture { $0.bgp?.neighbors[1].bfd = "" }
        fixture.establish(0)
        fixture.apply(.redundancy(true))
        for place in 0..<2 { EngineBFDTests.report(fixture, .up, at: place) }
        let before = EngineBFDTests.sessions(fixture)
        let fatal = before[0]
        fixture.apply(.quarantined(.session(fatal.discriminator)))
        #expect(EngineBFDTests.sessions(fixture).map(\.peer) == [before[1].peer])
        #expect(fixture.log.last { $0.contains("bfdSessions") }?.contains("remove(\(fatal.discriminator))") == true)
        fixture.apply(.bfd(BFDReport(discriminator: fatal.discriminator, status: fatal.status)))
        #expect(fixture.notifications(0).isEmpty, "it is no failure of the path")
        fixture.apply(.mastership(.b, Epoch(9), isFresh: false))
        fixture.pass(.seconds(500))
        #expect(EngineBFDTests.sessions(fixture).count == 1)
        // All of this passes through a snapshot.
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        var engine = Engine(seed: 0)
        _ = engine.perform(.restore(snapshot.encoded()))
        #expect(engine.digest == fixture.engine.digest && engine.nextDeadline == fixture.engine.nextDeadline)
        fixture.engine = engine
        fixture.apply(.redundancy(true))
        fixture.pass(.milliseconds(1900))
        #expect(EngineBFDTests.sessions(fixture).count == 1)
        fixture.pass(.milliseconds(200))
        let after = EngineBFDTests.sessions(fixture)
        #expect(Set(after.map(\.peer)) == Set(before.map(\.peer)))
        #expect(after.first { $0.peer == fatal.peer }?.discriminator != fatal.discriminator)
        #expect(after.first { $0.peer != fatal.peer }?.discriminator == before[1].discriminator)
        #expect(after.first { $0.peer == fatal.peer }?.status.state == .down)
        fixture.apply(.quarantined(.session(4711)))
        #expect(fixture.log.contains { $0.contains("a BFD session that is gone") })
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
