import BGP
import Machine
import RTR
import Records
import Routing
import Testing
import Wire

@testable import Engine

/// The door for protocols over connections: whose a connection is, several processes beside each other, and the second
/// protocol behind it.
@Suite struct StreamTests {
    static let cache = IPAddress("192.0.2.200")!

    static func fixture(_ change: (inout RouterConfiguration) -> Void = { _ in }) throws -> EngineFixture {
        let fixture = EngineFixture()
        try fixture.configure(
            EngineFixture.configuration(peers: 1) { configuration in
                configuration.rtr = RTRConfiguration(caches: [CacheConfiguration(address: cache)])
                change(&configuration)
            })
        return fixture
    }

    /// The newest request to connect.
    static func request(_ fixture: EngineFixture) -> ConnectRequest? {
        guard case .image(let image) = fixture.engine.perform(.image) else { return nil }
        return image.pendingConnects.last
    }

    static func identity(_ tuple: ConnectionTuple, _ options: TransportOptions = TransportOptions()) -> ConnectionIdentity {
        ConnectionIdentity(
            tuple: tuple, initialSendSequence: 1, initialReceiveSequence: 1, peerMaximumSegmentSize: 1460, peerWindowShift: 7,
            windowShift: 7, selectiveAcknowledgment: true, timestamps: true, timestampOffset: 0, options: options)
    }

    /// RFC 8210, written apart from the codec under test.
    static func payload(_ network: UInt8, origin: UInt8) -> [UInt8] {
        [1, 4, 0, 0, 0, 0, 0, 20, 1, 24, 24, 0, 198, 51, network, 0, 0, 0, 0, origin]
    }
    static let response: [UInt8] = [1, 3, 0, 9, 0, 0, 0, 8]
    static let end: [UInt8] = [1, 7, 0, 9, 0, 0, 0, 24, 0, 0, 0, 5, 0, 0, 14, 16, 0, 0, 2, 88, 0, 0, 28, 32]

    @Test func `a cache is connected to, asked, and heard, beside BGP`() throws {
        let fixture = try Self.fixture()
        fixture.establish(0)
        let request = try #require(Self.request(fixture))
        #expect(request.tuple.remote == Self.cache && request.tuple.remotePort == 323)
        #expect(request.owner.instance == .rtr)
        fixture.apply(.tcpConnected(request.connection, Self.identity(request.tuple, request.options)))
        #expect(fixture.log.last?.hasSuffix("send \(request.connection) 1 2 0 0 0 0 0 8") == true)
        fixture.apply(.tcpReceived(request.connection, bytes: Self.response + Self.payload(100, origin: 7), peerTimestamp: 0))
        fixture.apply(.tcpReceived(request.connection, bytes: Self.end, peerTimestamp: 0))
        let prefix = IPPrefix("198.51.100.0/24")!
        #expect(fixture.engine.rtr.table.validity(of: prefix, origin: 7) == .valid)
        #expect(fixture.engine.rtr.table.validity(of: prefix, origin: 8) == .invalid)
        // BGP has heard nothing of it, and its session goes on.
        #expect(fixture.engine.bgp.neighborSummaries.map(\.state) == [.established])
        fixture.apply(.tcpClosed(request.connection, .resetByPeer))
        #expect(fixture.engine.bgp.neighborSummaries.map(\.state) == [.established])
        #expect(fixture.engine.rtr.cacheViews(at: fixture.now)[0].state == .waiting)
    }

    @Test func `a twin that takes over in the midst of an answer goes on with it, octet for octet`() throws {
        let fixture = try Self.fixture()
        fixture.establish(0)
        let request = try #require(Self.request(fixture))
        let id = request.connection
        fixture.apply(.tcpConnected(id, Self.identity(request.tuple, request.options)))
        let octets = Self.response + (1...30).flatMap { Self.payload($0, origin: 7) }
        // A PDU is cut in two by the end of the record.
        fixture.apply(.tcpReceived(id, bytes: Array(octets[..<330]), peerTimestamp: 0))
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        let firstRecord = fixture.records.count, firstEffect = fixture.log.count
        fixture.apply(.mastership(.b, Epoch(2), isFresh: false))
        fixture.apply(.tcpReceived(id, bytes: Array(octets[330...]) + Self.end, peerTimestamp: 0))
        #expect(fixture.engine.rtr.table.count == 30)
        // A Serial Notify, the poll that follows it in its time, and its answer.
        fixture.pass(.seconds(20))
        fixture.apply(.tcpReceived(id, bytes: [1, 0, 0, 9, 0, 0, 0, 12, 0, 0, 0, 6], peerTimestamp: 0))
        fixture.apply(
            .tcpReceived(
                id, bytes: Self.response + [1, 4, 0, 0, 0, 0, 0, 20, 0, 24, 24, 0, 198, 51, 3, 0, 0, 0, 0, 7] + Self.end,
                peerTimestamp: 0))
        fixture.pass(.seconds(3700))
        #expect(fixture.engine.rtr.table.count == 29)

        let bytes = snapshot.encoded()
        var twin = Engine(seed: 99)
        guard case .restored = twin.perform(.restore(bytes)) else {
            Issue.record("the snapshot was refused")
            return
        }
        #expect(twin.state.encoded() == bytes)
        guard case .image(let image) = twin.perform(.image) else { return }
        #expect(image.connections.map(\.connection).contains(id))
        var effects: [String] = []
        for record in fixture.records[firstRecord...] {
            guard case .applied(_, let list, _, _, _) = twin.perform(.apply([record])) else { return }
            effects += list.map(EngineFixture.text)
        }
        #expect(effects == Array(fixture.log[firstEffect...]) && effects.contains { $0.contains("send \(id)") })
        #expect(twin.digest == fixture.engine.digest)
        let empty = Engine(seed: 99)
        #expect(twin.digest.rtr != empty.digest.rtr)
        #expect(twin.state.encoded() == fixture.engine.state.encoded())
        #expect(twin.rtr.cacheViews(at: fixture.now) == fixture.engine.rtr.cacheViews(at: fixture.now))
    }

    @Test func `a record of a cache that was fatal costs the cache its session, and BGP nothing`() throws {
        let fixture = try Self.fixture()
        fixture.establish(0)
        let request = try #require(Self.request(fixture))
        fixture.apply(.tcpConnected(request.connection, Self.identity(request.tuple, request.options)))
        fixture.apply(
            .quarantined(.connection(request.connection, octets: Self.response + Self.payload(100, origin: 7), message: 2)))
        #expect(fixture.engine.rtr.cacheViews(at: fixture.now)[0].lastFailure == "quarantined")
        #expect(fixture.engine.bgp.neighborSummaries.map(\.state) == [.established])
        fixture.apply(.tcpClosed(request.connection, .finished))
        fixture.apply(.redundancy(true))
        fixture.pass(.seconds(3))
        let again = try #require(Self.request(fixture))
        fixture.apply(.tcpConnected(again.connection, Self.identity(again.tuple, again.options)))
        fixture.engine.plantTrap(ending: [], content: [198, 51, 100])
        fixture.apply(
            .tcpReceived(
                again.connection,
                bytes: Self.response + Self.payload(100, origin: 7) + Self.payload(101, origin: 7) + Self.end, peerTimestamp: 0))
        #expect(fixture.engine.trapMet == nil && fixture.engine.rtr.table.count == 1)
        fixture.engine.plantTrap(ending: [], content: [198, 51, 102])
        fixture.pass(.seconds(3600))
        fixture.apply(.tcpReceived(again.connection, bytes: Self.response + Self.payload(102, origin: 7), peerTimestamp: 0))
        #expect(fixture.engine.trapMet?.message == 2)
        // A fault of a connection that nobody has is said, and does nothing.
        fixture.apply(.quarantined(.connection(ConnectionID(4001), octets: [1], message: 0)))
        #expect(fixture.log.contains { $0.contains("#4001, which is gone") })
    }

    @Test func `a connection that nobody listens for is aborted, and its number is not given again`() throws {
        let fixture = try Self.fixture()
        let stranger = ConnectionTuple(
            interface: InterfaceID(0), local: .v4(EngineFixture.routerAddress), localPort: 179, remote: IPAddress("192.0.2.250")!,
            remotePort: 4000)
        fixture.apply(.tcpAccepted(ConnectionID(8), Self.identity(stranger)))
        #expect(fixture.log.last?.contains("tcpAbort") == true)
        // A cache is connected to and never listened to.
        var tuple = stranger
        tuple.remote = Self.cache
        fixture.apply(.tcpAccepted(ConnectionID(10), Self.identity(tuple)))
        #expect(fixture.log.last?.contains("tcpAbort") == true)
        guard case .image(let image) = fixture.engine.perform(.image) else { return }
        #expect(image.nextAcceptedConnection == ConnectionID(12) && image.connections.isEmpty)
        #expect(image.listeners.map(\.remote) == [.v4(EngineFixture.peerAddress(0))])
        #expect(image.listeners.map(\.owner) == [ConnectionOwner(.bgp, StreamEndpointID(0))])
    }

    @Test func `a stale copy begins anew with caches, too`() throws {
        let fixture = try Self.fixture()
        let request = try #require(Self.request(fixture))
        fixture.apply(.tcpConnected(request.connection, Self.identity(request.tuple, request.options)))
        fixture.apply(.mastership(.b, Epoch(9), isFresh: true))
        #expect(fixture.engine.rtr.cacheViews(at: fixture.now)[0].state != .asking)
        fixture.pass(.seconds(11))
        let again = try #require(Self.request(fixture))
        #expect(again.connection > request.connection)
    }

    // MARK: several processes

    /// The neighbour of number 1 is that of another BGP process.
    static func twoProcesses() throws -> EngineFixture {
        let fixture = EngineFixture()
        let both = EngineFixture.configuration(peers: 2)
        var other = both.bgp!
        other.neighbors.removeFirst()
        try fixture.configure(
            EngineFixture.configuration(peers: 1) { configuration in
                configuration.bgpProcesses = [BGPProcessConfiguration(number: 3, name: "exchange", bgp: other)]
            })
        return fixture
    }

    static func process(_ fixture: EngineFixture) -> BGPInstance? { fixture.engine.bgpProcess(3) }

    @Test func `two BGP processes have sessions and tables of their own, and the router's alone has routes`() throws {
        let fixture = try Self.twoProcesses()
        for n in 0...1 { fixture.establish(n) }
        let process = try #require(Self.process(fixture))
        #expect(fixture.engine.bgp.neighborSummaries.map(\.address) == [.v4(EngineFixture.peerAddress(0))])
        #expect(process.neighborSummaries.map(\.address) == [.v4(EngineFixture.peerAddress(1))])
        #expect(process.neighborSummaries.map(\.state) == [.established])
        let mine = IPv4Prefix("10.1.0.0/16")!, theirs = IPv4Prefix("10.2.0.0/16")!
        fixture.announce(0, mine)
        fixture.announce(1, theirs)
        #expect(fixture.engine.bgp.rib.route(.v4(mine)) != nil && fixture.engine.bgp.rib.route(.v4(theirs)) == nil)
        #expect(Self.process(fixture)?.rib.route(.v4(theirs)) != nil)
        #expect(fixture.engine.ipv4Routes.active(mine)?.source == .bgp)
        #expect(fixture.engine.ipv4Routes.active(theirs) == nil)
        #expect(fixture.view(0).isEmpty && fixture.view(1).isEmpty, "nothing leaks from one to the other")
        // Commands find whose neighbour is meant.
        fixture.apply(.command(.clearNeighbor(address: "\(EngineFixture.peerAddress(1))", reason: "")))
        #expect(fixture.engine.bgp.neighborSummaries.map(\.state) == [.established])
        #expect(Self.process(fixture)?.neighborSummaries.map(\.state) != [.established])
    }

    @Test func `a next hop that both watch is told to both, and let go of when neither does`() throws {
        let fixture = try Self.twoProcesses()
        for n in 0...1 { fixture.establish(n) }
        let hop = IPv4Address(192, 0, 2, 99)
        let prefix = IPv4Prefix("10.1.0.0/16")!
        for n in 0...1 { fixture.announce(n, prefix, nextHop: hop) }
        fixture.apply(.interfaceState(InterfaceID(0), isUp: false))
        // Routes behind a next hop are decided again in slices.
        fixture.pass(.seconds(1))
        #expect(fixture.engine.ipv4Routes.active(prefix) == nil)
        fixture.apply(.interfaceState(InterfaceID(0), isUp: true))
        fixture.pass(.seconds(1))
        #expect(fixture.engine.ipv4Routes.active(prefix)?.source == .bgp)
        fixture.withdraw(1, prefix)
        // The process lets go of it within a minute; the sessions hold for 90 seconds.
        fixture.pass(.seconds(70))
        #expect(fixture.engine.ipv4Routes.active(prefix)?.source == .bgp)
        fixture.apply(.interfaceState(InterfaceID(0), isUp: false))
        // Routes behind a next hop are decided again in slices.
        fixture.pass(.seconds(1))
        #expect(fixture.engine.ipv4Routes.active(prefix) == nil, "the one that still has a route hears of it")
    }

    @Test func `processes pass through a snapshot, and one that is configured away ends in good order`() throws {
        let fixture = try Self.twoProcesses()
        fixture.apply(.redundancy(true))
        for n in 0...1 { fixture.establish(n) }
        fixture.announce(1, IPv4Prefix("10.2.0.0/16")!)
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        var twin = Engine(seed: 0)
        guard case .restored = twin.perform(.restore(snapshot.encoded())) else {
            Issue.record("the snapshot was refused")
            return
        }
        #expect(twin.digest == fixture.engine.digest)
        let first = fixture.records.count, firstEffect = fixture.log.count
        fixture.announce(1, IPv4Prefix("10.3.0.0/16")!)
        try fixture.configure(EngineFixture.configuration(peers: 1), revision: 2)
        #expect(fixture.notifications(1) == [[6, 3]], "Cease, peer de-configured")
        #expect(fixture.notifications(0).isEmpty)
        #expect(Self.process(fixture)?.neighborSummaries.isEmpty == true)
        var effects: [String] = []
        for record in fixture.records[first...] {
            guard case .applied(_, let list, _, _, _) = twin.perform(.apply([record])) else { return }
            effects += list.map(EngineFixture.text)
        }
        #expect(effects == Array(fixture.log[firstEffect...]))
        #expect(twin.digest == fixture.engine.digest && twin.state.encoded() == fixture.engine.state.encoded())
    }

    @Test func `whoever has the largest neighbor lets go of it when memory runs out`() throws {
        let fixture = try Self.twoProcesses()
        for n in 0...1 { fixture.establish(n) }
        fixture.announce(0, IPv4Prefix("10.1.0.0/16")!)
        for n in 0..<3 { fixture.announce(1, IPv4Prefix(IPv4Address(10, 2, UInt8(n), 0), 24)) }
        fixture.apply(.memoryExhausted)
        #expect(fixture.engine.bgp.neighborSummaries.map(\.state) == [.established])
        #expect(fixture.notifications(1) == [[6, 8]], "Cease, out of resources")
    }

    @Test func `routes that a protocol hands over itself are its own in the routing table`() throws {
        let fixture = try Self.fixture()
        let prefix = IPPrefix("10.7.0.0/16")!
        let offer = RouteOffer(nextHops: [.gateway(IPAddress("192.0.2.77")!)], metric: 0, distance: 20)
        var wishes = Wishes()
        wishes.streams[Int(StreamProtocolID.bgp.value)] = [.routes([RouteUpdate(prefix, offer)])]
        // One that has no name in the routing table has no part in it.
        wishes.streams[Int(StreamProtocolID.rtr.value)] = [.routes([RouteUpdate(IPPrefix("10.8.0.0/16")!, offer)])]
        var effects: [IndexedEffect] = []
        fixture.engine.state.settle(&wishes, into: &effects)
        #expect(fixture.engine.ipv4Routes.active(IPv4Prefix("10.7.0.0/16")!)?.source == .bgp)
        #expect(fixture.engine.ipv4Routes.active(IPv4Prefix("10.8.0.0/16")!) == nil)
    }
}
