import BFD
import BGP
import Machine
import Records
import Testing
import Wire

@testable import Engine

@Suite struct EngineBFDTests {
    static let peer = BFDPeer(
        interface: InterfaceID(0), local: .v4(EngineFixture.routerAddress), remote: .v4(EngineFixture.peerAddress(0)))

    static func fixture(seed: UInt64 = 7, _ change: (inout RouterConfiguration) -> Void = { _ in }) throws -> EngineFixture {
        let fixture = EngineFixture(seed: seed)
        try fixture.configure(
            EngineFixture.configuration(peers: 2) { configuration in
                configuration.bgp?.neighbors[0].bfd = ""
                change(&configuration)
            })
        return fixture
    }

    static func sessions(_ fixture: EngineFixture) -> [BFDSession] {
        guard case .image(let image) = fixture.engine.perform(.image) else { return [] }
        return image.bfdSessions
    }

    /// What a line card would report.
    static func report(
        _ fixture: EngineFixture, _ state: BFDState, remote: BFDState = .up, _ diagnostic: BFDDiagnostic = .none,
        at place: Int = 0
    ) {
        let list = sessions(fixture)
        guard place < list.count else { return }
        var status = list[place].status
        status.state = state
        status.remoteState = remote
        status.diagnostic = diagnostic
        status.remoteDiscriminator = 99
        fixture.apply(.bfd(BFDReport(discriminator: list[place].discriminator, status: status)))
    }

    @Test func `a BGP neighbour with bfd has a session over its interface, told to the line card and in its image`() throws {
        let fixture = try Self.fixture()
        let sessions = Self.sessions(fixture)
        #expect(sessions.map(\.peer) == [Self.peer])
        #expect(sessions[0].discriminator != 0)
        #expect(BFDPort.sources.contains(sessions[0].sourcePort))
        #expect(fixture.log.contains { $0.contains("bfdSessions") && $0.contains("set") })
        try fixture.configure(EngineFixture.configuration(peers: 2), revision: 2)
        #expect(Self.sessions(fixture).isEmpty)
        #expect(fixture.log.last { $0.contains("bfdSessions") }?.contains("remove") == true)
    }

    @Test func `RFC 9384: a session that goes down ends BGP with Cease and BFD Down; one that never came up does not`() throws {
        let fixture = try Self.fixture()
        fixture.establish(0)
        fixture.establish(1)
        Self.report(fixture, .initializing, remote: .down)
        Self.report(fixture, .down, remote: .down, .detectionTimeExpired)
        #expect(fixture.notifications(0).isEmpty)
        Self.report(fixture, .up)
        Self.report(fixture, .down, remote: .down, .detectionTimeExpired)
        #expect(fixture.notifications(0) == [[6, 10]])
        #expect(fixture.notifications(1).isEmpty)
    }

    @Test func `RFC 5882 §3.2: a neighbour that shuts BFD down ends nothing, not even when it comes back`() throws {
        let fixture = try Self.fixture()
        fixture.establish(0)
        Self.report(fixture, .up)
        Self.report(fixture, .down, remote: .adminDown, .neighborSignaledDown)
        Self.report(fixture, .initializing, remote: .down)
        Self.report(fixture, .down, remote: .down, .detectionTimeExpired)
        #expect(fixture.notifications(0).isEmpty)
        Self.report(fixture, .up)
        Self.report(fixture, .down, remote: .down, .neighborSignaledDown)
        #expect(fixture.notifications(0) == [[6, 10]])
    }

    @Test func `profiles: the peer's own entry before the client's, the interface's and the defaults`() throws {
        func profile(_ tx: UInt32) -> BFDProfile { BFDProfile(desiredMinTx: tx) }
        var bfd = BFDConfiguration(
            defaults: profile(1),
            profiles: [
                .init(name: "fast", profile: profile(2)), .init(name: "slow", profile: profile(3)),
                .init(name: "own", profile: profile(4)),
            ])
        func tx(_ bfd: BFDConfiguration, named: String) throws -> UInt32? {
            let fixture = try Self.fixture { configuration in
                configuration.bfd = bfd
                configuration.bgp?.neighbors[0].bfd = named
            }
            return Self.sessions(fixture).first?.parameters.desiredMinTx
        }
        #expect(try tx(bfd, named: "") == 1)
        bfd.interfaces = [BFDInterfaceConfiguration(interface: "lan", profile: "slow")]
        #expect(try tx(bfd, named: "") == 3)
        #expect(try tx(bfd, named: "fast") == 2)
        bfd.peers = [BFDPeerConfiguration(remote: Self.peer.remote, profile: "own", isShutdown: true)]
        #expect(try tx(bfd, named: "fast") == 4)
    }

    @Test func `changed parameters reach the line card under the same discriminator`() throws {
        let fixture = try Self.fixture()
        let before = Self.sessions(fixture)
        try fixture.configure(
            EngineFixture.configuration(peers: 2) { configuration in
                configuration.bgp?.neighbors[0].bfd = ""
                configuration.bfd = BFDConfiguration(defaults: BFDProfile(multiplier: 9))
            }, revision: 2)
        let after = Self.sessions(fixture)
        #expect(after.map(\.discriminator) == before.map(\.discriminator))
        #expect(after[0].parameters.multiplier == 9)
        #expect(fixture.log.contains { $0.contains("bfdSessions") && $0.contains("multiplier: 9") })
    }

    @Test func `two clients share a session; it ends with the last`() {
        var registry = BFDRegistry(seed: 1)
        #expect(registry.want(Self.peer, .interior(.ospf)) == nil)
        #expect(registry.want(Self.peer, .bgp, profile: "x") == nil)
        #expect(registry.entries.count == 1)
        #expect(registry.entries[0].interests.map(\.client) == [.bgp, .interior(.ospf)])
        var status = registry.entries[0].status
        status.state = .up
        let discriminator = registry.entries[0].discriminator
        #expect(
            registry.apply(BFDReport(discriminator: discriminator, status: status))
                == [
                    BFDNews(client: .bgp, peer: Self.peer, isUp: true),
                    BFDNews(client: .interior(.ospf), peer: Self.peer, isUp: true),
                ])
        #expect(registry.apply(BFDReport(discriminator: discriminator, status: status)).isEmpty)
        #expect(registry.want(Self.peer, .interior(.isis)) == true)
        for client in [BFDClient.bgp, .interior(.ospf)] { registry.unwant(Self.peer, client) }
        #expect(registry.entries.count == 1)
        registry.unwant(Self.peer, .interior(.isis))
        #expect(registry.entries.isEmpty)
        #expect(registry.takeChanges().last == .remove(discriminator))
        #expect(registry.apply(BFDReport(discriminator: discriminator, status: status)).isEmpty)
        #expect(
            registry.digest
                == {
                    var d = StateDigest(); d.mix(registryState(registry)); return d
                }())
    }

    private func registryState(_ registry: BFDRegistry) -> UInt64 {
        var writer = SnapshotWriter()
        registry.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        return (try? reader.read(UInt64.self)) ?? 0
    }

    @Test func `discriminators and source ports are unique among 4,096 sessions, and there are no more`() {
        var registry = BFDRegistry(seed: 3)
        for i in 0..<4200 {
            registry.want(
                BFDPeer(interface: nil, local: Self.peer.local, remote: .v4(IPv4Address(raw: 0x0a00_0000 + UInt32(i)))), .bgp)
        }
        #expect(registry.entries.count == 4096)
        #expect(Set(registry.entries.map(\.discriminator)).count == 4096)
        #expect(Set(registry.entries.map(\.sourcePort)).count == 4096)
    }

    @Test func `an interface that goes down keeps the session, so that its end is noticed`() throws {
        let fixture = try Self.fixture()
        let before = Self.sessions(fixture).map(\.discriminator)
        fixture.apply(.interfaceState(InterfaceID(0), isUp: false))
        #expect(Self.sessions(fixture).map(\.discriminator) == before)
        fixture.apply(.interfaceState(InterfaceID(0), isUp: true))
        #expect(Self.sessions(fixture).map(\.discriminator) == before)
    }

    @Test func `RFC 5883: a neighbour behind a router is watched over several hops from the address of its connection`() throws {
        let far = IPAddress("203.0.113.9")!
        let fixture = try Self.fixture { configuration in
            var neighbor = NeighborConfiguration(address: far, remoteAS: ASNumber(65009))
            neighbor.multihop = 5
            neighbor.bfd = ""
            configuration.bgp?.neighbors = [neighbor]
        }
        #expect(Self.sessions(fixture).isEmpty)
        fixture.apply(
            .tcpAccepted(
                ConnectionID(2),
                ConnectionIdentity(
                    tuple: ConnectionTuple(
                        interface: InterfaceID(0), local: .v4(EngineFixture.routerAddress), localPort: 179, remote: far,
                        remotePort: 4000),
                    initialSendSequence: 1, initialReceiveSequence: 1, peerMaximumSegmentSize: 1460, peerWindowShift: 7,
                    windowShift: 7, selectiveAcknowledgment: true, timestamps: true, timestampOffset: 0,
                    options: TransportOptions())))
        #expect(
            Self.sessions(fixture).map(\.peer)
                == [BFDPeer(interface: nil, local: .v4(EngineFixture.routerAddress), remote: far)])
        fixture.apply(.interfaceState(InterfaceID(0), isUp: false))
        #expect(Self.sessions(fixture).count == 1)
    }

    @Test func `a restored engine has the same sessions and goes on octet for octet`() throws {
        var random = RandomNumbers(seed: 4)
        let fixture = try Self.fixture { configuration in configuration.bgp?.neighbors[1].bfd = "fast" }
        fixture.establish(0)
        func churn() {
            for _ in 0..<40 {
                let state = BFDState(rawValue: UInt8(random.number(in: 0...3))) ?? .down
                let remote = BFDState(rawValue: UInt8(random.number(in: 0...3))) ?? .down
                Self.report(fixture, state, remote: remote, at: random.number(in: 0...1))
            }
        }
        churn()
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        let bytes = snapshot.encoded()
        let from = fixture.records.count, logged = fixture.log.count
        churn()
        var twin = Engine(seed: 1)
        guard case .restored = twin.perform(.restore(bytes)) else {
            Issue.record("refused")
            return
        }
        #expect(twin.state.encoded() == bytes)
        var effects: [String] = []
        for record in fixture.records[from...] {
            guard case .applied(_, let list, _, _, _) = twin.perform(.apply([record])) else { return }
            effects += list.map(EngineFixture.text)
        }
        #expect(effects == Array(fixture.log[logged...]))
        #expect(twin.digest == fixture.engine.digest)
        #expect(twin.state.bfd.sessions == fixture.engine.state.bfd.sessions)
    }

    @Test func `a static route with bfd is in the table while its session is up, and through an administrative shutdown`() throws
    {
        let prefix = IPv4Prefix(IPv4Address(10, 0, 0, 0), 8), other = IPv4Prefix(IPv4Address(11, 0, 0, 0), 8)
        let fixture = try Self.fixture { configuration in
            configuration.bgp = nil
            configuration.staticRoutes = [
                StaticRouteConfiguration(prefix: .v4(prefix), destination: .nextHop(Self.peer.remote), bfd: ""),
                StaticRouteConfiguration(prefix: .v4(other), destination: .nextHop(Self.peer.remote)),
            ]
        }
        func isPresent(_ prefix: IPv4Prefix) -> Bool {
            guard case .image(let image) = fixture.engine.perform(.image) else { return false }
            return image.gateways.contains { $0.prefix == .v4(prefix) }
        }
        #expect(Self.sessions(fixture).map(\.peer) == [Self.peer])
        #expect(!isPresent(prefix) && isPresent(other))
        Self.report(fixture, .up)
        #expect(isPresent(prefix))
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        var twin = Engine(seed: 1)
        guard case .restored = twin.perform(.restore(snapshot.encoded())), case .image(let image) = twin.perform(.image) else {
            Issue.record("refused")
            return
        }
        #expect(image.gateways.contains { $0.prefix == .v4(prefix) })
        #expect(twin.digest == fixture.engine.digest)
        Self.report(fixture, .down, remote: .adminDown, .neighborSignaledDown)
        #expect(isPresent(prefix))
        Self.report(fixture, .up)
        Self.report(fixture, .down, remote: .down, .detectionTimeExpired)
        #expect(!isPresent(prefix) && isPresent(other))
        Self.report(fixture, .up)
        #expect(isPresent(prefix))
    }

    @Test func `DESIGN §8: a stale copy begins every session under a new discriminator`() throws {
        let fixture = try Self.fixture()
        Self.report(fixture, .up)
        let before = Self.sessions(fixture)
        fixture.apply(.mastership(.b, Epoch(9), isFresh: true))
        let after = Self.sessions(fixture)
        #expect(after.map(\.peer) == before.map(\.peer))
        #expect(after[0].discriminator != before[0].discriminator)
        #expect(after[0].status.state == .down)
    }
}
