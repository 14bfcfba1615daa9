import BGP
import Machine
import Policy
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
                StaticRouteConfiguration(
                    prefix: .v4(IPv4Prefix("10.0.0.0/8")!), destination: .nextHop(IPAddress("198.51.100.2")!), distance: 1),
                StaticRouteConfiguration(
                    prefix: .v4(IPv4Prefix("10.0.0.0/8")!), destination: .nextHop(IPAddress("192.0.2.99")!), distance: 5),
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

    /// RFC 5635 §3: one announcement and every router drops.
    @Test func `a neighbor's route whose next hop policy moves to a discard address is in force and drops`() throws {
        let attacked = IPv4Prefix("203.0.113.66/32")!
        func configuration(drops: Bool) -> RouterConfiguration {
            EngineFixture.configuration(peers: 2) {
                $0.definitions = PolicyDefinitions(policies: [
                    PolicyConfiguration(
                        name: "all",
                        statements: [
                            PolicyStatement(
                                conditions: [.prefixes([PrefixRange(.v4(attacked))])],
                                actions: [.setNextHop(IPAddress("198.18.0.1")!)], result: .accept)
                        ], otherwise: .accept),
                    PolicyConfiguration(name: "out", statements: [], otherwise: .accept),
                ])
                for n in $0.bgp!.neighbors.indices { $0.bgp!.neighbors[n].exportPolicies = ["out"] }
                if drops {
                    $0.staticRoutes = [
                        StaticRouteConfiguration(
                            prefix: .v4(IPv4Prefix("198.18.0.1/32")!), destination: .blackhole)
                    ]
                }
            }
        }
        let fixture = EngineFixture()
        try fixture.configure(configuration(drops: true))
        fixture.establish(0)
        fixture.establish(1)
        fixture.announce(0, attacked)
        fixture.pass(.seconds(1))
        let group = try #require(fixture.kernel.ipv4[attacked])
        #expect(fixture.kernel.groups[group] == [])
        #expect(fixture.view(1) == [attacked])
        // Without the static route nobody can say where the next hop is.
        try fixture.configure(configuration(drops: false), revision: 2)
        fixture.pass(.seconds(1))
        #expect(fixture.kernel.ipv4[attacked] == nil)
        #expect(fixture.view(1) == [])
        #expect(fixture.kernel.faults == 0)
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

    @Test func `DESIGN §7: what was fatal is treated as withdrawn when its neighbor comes back and says it again`() throws {
        let fixture = EngineFixture()
        let poison = IPv4Prefix(IPv4Address(203, 0, 113, 66), 32)
        try fixture.configure(
            EngineFixture.configuration(peers: 3) {
                $0.bgp!.testing.trapOnPrefix = .v4(poison)
                $0.bgp!.testing.notesTrap = true
            })
        for n in 0..<3 { fixture.establish(n) }
        fixture.apply(.redundancy(true))
        fixture.apply(.mastership(.b, Epoch(9), isFresh: false))
        // The record had a part of a message before it, and a harmless one in it.
        let fatal = fixture.announcement(0, ten) + fixture.announcement(0, poison)
        fixture.receive(0, Array(fatal.prefix(30)))
        fixture.apply(.quarantined(.connection(EngineFixture.id(0), octets: Array(fatal.dropFirst(30)))))
        #expect(fixture.notifications(0) == [[6, 4]])
        fixture.apply(.tcpClosed(EngineFixture.id(0), .finished))

        // Nobody else could survive another form of it: the neighbor is not let in.
        fixture.pass(.seconds(40))
        fixture.establish(0, on: 5)
        #expect(fixture.log.last { $0.contains("tcpAbort") }?.contains("\(EngineFixture.id(5))") == true)
        fixture.apply(.redundancy(true))
        fixture.pass(.seconds(3))
        fixture.establish(0, on: 6)
        fixture.announce(0, poison, on: 6)
        fixture.announce(0, ten, tail: [7], on: 6)
        #expect(fixture.engine.trapMet == nil)
        #expect(fixture.notifications(6).isEmpty && fixture.notifications(1).isEmpty && fixture.notifications(2).isEmpty)
        fixture.pass(.seconds(1))
        #expect(fixture.view(2) == [ten], "the other prefix has another path now, and is as good as any")
        #expect(fixture.log.contains { $0.contains("1 announcements were fatal") })

        // In another form it is fatal once more, and then never again.
        fixture.apply(.mastership(.a, Epoch(10), isFresh: false))
        fixture.apply(.quarantined(.connection(EngineFixture.id(6), octets: fixture.announcement(0, poison, tail: [8]))))
        fixture.apply(.tcpClosed(EngineFixture.id(6), .finished))
        fixture.apply(.redundancy(true))
        fixture.pass(.seconds(3))
        fixture.establish(0, on: 8)
        fixture.announce(0, poison, tail: [9, 10], on: 8)
        #expect(fixture.engine.trapMet == nil)
        #expect(fixture.notifications(8).isEmpty)
    }

    @Test func `DESIGN §7: a take-over that took long lets nobody back who could kill the last controller`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 2))
        for n in 0..<2 { fixture.establish(n) }
        fixture.apply(.redundancy(true))
        // The twin had stored it; then a vote had to be waited for.
        fixture.apply(.quarantined(.connection(EngineFixture.id(0))))
        fixture.apply(.tcpClosed(EngineFixture.id(0), .finished))
        fixture.pass(.seconds(3))
        fixture.apply(.mastership(.b, Epoch(9), isFresh: false))
        #expect(!fixture.log.contains { $0.contains("may come back") })
        fixture.establish(0, on: 5)
        #expect(fixture.log.last { $0.contains("tcpAbort") }?.contains("\(EngineFixture.id(5))") == true)
        fixture.apply(.redundancy(true))
        fixture.pass(.seconds(3))
        #expect(fixture.log.contains { $0.contains("may come back") })
    }

    @Test func `RFC 4271 §6.3: what nobody can have a way to is ignored, and so is our own address`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 2))
        fixture.establish(0)
        fixture.establish(1)
        let unusable: [(UInt32, UInt8)] = [
            (0x7f00_0000, 8), (0x7f00_0001, 32), (0xe000_0000, 4), (0xf000_0000, 4), (0xffff_ffff, 32), (0, 8), (0xe000_0000, 3),
            (0x0001_0000, 16), (EngineFixture.routerAddress.raw, 32),
        ]
        for (address, length) in unusable { fixture.announce(0, IPv4Prefix(IPv4Address(raw: address), length)) }
        let usable = [
            IPv4Prefix(IPv4Address(raw: 0), 0), IPv4Prefix(IPv4Address(raw: 0), 1), IPv4Prefix(IPv4Address(raw: 0xc000_0000), 2),
            IPv4Prefix(IPv4Address(223, 255, 255, 0), 24), IPv4Prefix(IPv4Address(raw: 0x0100_0000), 8),
            IPv4Prefix(IPv4Address(raw: EngineFixture.routerAddress.raw & ~1), 31),
        ]
        for prefix in usable { fixture.announce(0, prefix) }
        fixture.pass(.seconds(1))
        #expect(fixture.view(1) == usable.sorted())
        #expect(fixture.log.count { $0.contains("1 announcements of unusable prefixes are ignored") } == unusable.count)
        #expect(fixture.notifications(0).isEmpty)
    }

    @Test func `RFC 4271 §5.1.3: our own address, and that of a whole network, is no next hop`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 2))
        fixture.establish(0)
        fixture.establish(1)
        for (i, nextHop) in [EngineFixture.routerAddress, IPv4Address(192, 0, 2, 255), IPv4Address(192, 0, 2, 0)].enumerated() {
            fixture.announce(0, IPv4Prefix(IPv4Address(10, 9, UInt8(i), 0), 24), nextHop: nextHop)
        }
        fixture.announce(0, ten, nextHop: IPv4Address(192, 0, 2, 77))
        fixture.pass(.seconds(1))
        #expect(fixture.view(1) == [ten])
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
