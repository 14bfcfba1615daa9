import BGP
import Machine
import Records
import Testing
import Wire

@testable import Engine

@Suite struct EngineTests {
    private let ten = IPv4Prefix("10.0.0.0/8")!

    @Test func `a route goes from one peer to the others, into the routing table, and never back`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 3))
        for n in 0..<3 { fixture.establish(n) }
        fixture.announce(0, ten)
        fixture.pass(.seconds(1))
        #expect(fixture.view(0) == [])
        #expect(fixture.view(1) == [ten])
        #expect(fixture.view(2) == [ten])
        let route = fixture.engine.ipv4Routes.lookup(IPv4Address("10.1.2.3")!)
        #expect(route?.source == .bgp)
        #expect(route?.nextHop == .gateway(.v4(EngineFixture.peerAddress(0))))
        fixture.withdraw(0, ten)
        fixture.pass(.seconds(1))
        #expect(fixture.view(1) == [])
        #expect(fixture.engine.ipv4Routes.lookup(IPv4Address("10.1.2.3")!) == nil)
    }

    @Test func `an interface that goes down takes the routes behind it away, and brings them back`() throws {
        let fixture = EngineFixture()
        try fixture.configure(
            EngineFixture.configuration(peers: 2) {
                $0.interfaces.append(
                    InterfaceConfiguration(
                        name: "far", virtualMAC: MACAddress(raw: 0x5e00_0102),
                        addresses: [.init(address: IPAddress("198.51.100.1")!, prefixLength: 24)]))
                $0.bgp!.neighbors[0].enforceFirstAS = false
            })
        fixture.establish(0)
        fixture.establish(1)
        fixture.announce(0, ten, nextHop: IPv4Address("198.51.100.9")!)
        fixture.pass(.seconds(1))
        // RFC 4271 §5.1.3: an external neighbour may name a third party only on the subnet that is shared with it; what
        // it names must still be resolvable.
        let before = fixture.view(1)
        fixture.apply(.interfaceState(InterfaceID(1), isUp: false))
        fixture.pass(.seconds(1))
        #expect(fixture.view(1) == [])
        #expect(fixture.engine.ipv4Routes.lookup(IPv4Address("198.51.100.9")!) == nil)
        fixture.apply(.interfaceState(InterfaceID(1), isUp: true))
        fixture.pass(.seconds(1))
        #expect(fixture.view(1) == before)
        #expect(before == [ten])
    }

    @Test func `of two static routes the usable one with the lower distance is in force`() throws {
        let fixture = EngineFixture()
        let configuration = EngineFixture.configuration(peers: 0) {
            $0.interfaces.append(
                InterfaceConfiguration(
                    name: "far", virtualMAC: MACAddress(raw: 0x5e00_0102),
                    addresses: [.init(address: IPAddress("198.51.100.1")!, prefixLength: 24)]))
            $0.staticRoutes = [
                StaticRouteConfiguration(prefix: .v4(IPv4Prefix("10.0.0.0/8")!), destination: .nextHop(IPAddress("198.51.100.2")!), distance: 1),
                StaticRouteConfiguration(prefix: .v4(IPv4Prefix("10.0.0.0/8")!), destination: .nextHop(IPAddress("192.0.2.99")!), distance: 5),
            ]
        }
        try fixture.configure(configuration)
        let address = IPv4Address("10.0.0.1")!
        #expect(fixture.engine.ipv4Routes.lookup(address)?.nextHop == .gateway(IPAddress("198.51.100.2")!))
        fixture.apply(.interfaceState(InterfaceID(1), isUp: false))
        #expect(fixture.engine.ipv4Routes.lookup(address)?.nextHop == .gateway(IPAddress("192.0.2.99")!))
        fixture.apply(.interfaceState(InterfaceID(1), isUp: true))
        #expect(fixture.engine.ipv4Routes.lookup(address)?.nextHop == .gateway(IPAddress("198.51.100.2")!))
        try fixture.configure(EngineFixture.configuration(peers: 0), revision: 2)
        #expect(fixture.engine.ipv4Routes.lookup(address) == nil)
    }

    @Test func `changed distances reach routes that are there already`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 1))
        fixture.establish(0)
        fixture.announce(0, ten)
        fixture.pass(.seconds(1))
        #expect(fixture.engine.ipv4Routes.lookup(IPv4Address("10.0.0.1")!)?.distance == 20)
        try fixture.configure(EngineFixture.configuration(peers: 1) { $0.bgp!.distances.external = 77 }, revision: 2)
        #expect(fixture.engine.ipv4Routes.lookup(IPv4Address("10.0.0.1")!)?.distance == 77)
        #expect(fixture.notifications(0).isEmpty)
    }

    @Test func `a configuration that cannot be read leaves the one in force alone`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 1))
        fixture.establish(0)
        fixture.apply(.configure(revision: 2, [1, 2, 3]))
        #expect(fixture.engine.revision == 1)
        #expect(fixture.log.last?.contains("cannot be read") == true)
        #expect(fixture.notifications(0).isEmpty)
    }

    @Test func `DESIGN §7: quarantine costs one session and nothing else`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 3))
        for n in 0..<3 { fixture.establish(n) }
        fixture.announce(1, ten)
        fixture.apply(.quarantined(.connection(EngineFixture.id(0))))
        fixture.pass(.seconds(1))
        #expect(fixture.notifications(0).count == 1)
        #expect(fixture.notifications(1).isEmpty && fixture.notifications(2).isEmpty)
        #expect(fixture.view(2) == [ten])
    }

    @Test func `DESIGN §8: a fresh take-over forgets every connection and gives no number twice`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 2))
        fixture.establish(0)
        fixture.establish(1)
        fixture.apply(.mastership(.b, Epoch(9), isFresh: true))
        guard case .image(let image) = fixture.engine.perform(.image) else { throw Unexpected() }
        #expect(image.connections.isEmpty)
        #expect(image.nextAcceptedConnection.value > EngineFixture.id(1).value)
        #expect(image.listeners.count == 2)
    }

    @Test func `failure injection is refused unless testing is enabled`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 1))
        fixture.apply(.command(.testHang))
        fixture.apply(.command(.testTrap))
        #expect(fixture.log.filter { $0.contains("failure injection is refused") }.count == 2)
    }

    @Test func `the line card's image holds connections, streams and listeners`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 2))
        fixture.establish(0)
        guard case .image(let image) = fixture.engine.perform(.image) else { throw Unexpected() }
        #expect(image.index == fixture.index)
        #expect(image.interfaces.map(\.name) == ["lan"])
        #expect(image.listeners.map(\.remote) == [.v4(EngineFixture.peerAddress(0)), .v4(EngineFixture.peerAddress(1))])
        let connection = try #require(image.connections.first)
        var octets = ByteWriter()
        connection.stream.copy(from: 0, count: .max, into: &octets)
        #expect(octets.bytes == fixture.sent[0])
        fixture.apply(.tcpAcknowledged(EngineFixture.id(0), offset: UInt64(fixture.sent[0].count)))
        guard case .image(let later) = fixture.engine.perform(.image) else { throw Unexpected() }
        #expect(later.connections[0].stream.count == 0)
        #expect(later.connections[0].stream.end == UInt64(fixture.sent[0].count))
    }

    @Test func `records for connections that nobody knows change nothing`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 1))
        let stranger = ConnectionID(998)
        fixture.apply(.tcpReceived(stranger, bytes: [1, 2, 3], peerTimestamp: 0))
        fixture.apply(.tcpAcknowledged(stranger, offset: 5))
        fixture.apply(.tcpPeerFinished(stranger))
        fixture.apply(.tcpClosed(stranger, .resetByPeer))
        fixture.apply(.quarantined(.connection(stranger)))
        fixture.apply(.interfaceState(InterfaceID(77), isUp: false))
        fixture.establish(0)
        #expect(fixture.notifications(0).isEmpty)
    }

    struct Unexpected: Error {}
}
