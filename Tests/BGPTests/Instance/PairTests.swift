import BGP
import Machine
import Records
import Routing
import Testing
import Wire

/// Two instances against each other over the virtual wire.
@Suite struct PairTests {
    func wire(_ configurations: [BGPConfiguration] = Configurations.pair(), seed: UInt64 = 1) -> VirtualWire {
        var wire = VirtualWire(configurations, addresses: ["10.0.0.1", "10.0.0.2"], seed: seed)
        wire.start(configurations)
        return wire
    }

    @Test("a session comes up and carries routes of both families")
    func comesUp() {
        var wire = wire()
        wire.run(.seconds(20))
        #expect(wire.state(0) == .established)
        #expect(wire.state(1) == .established)
        let detail = wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!
        #expect(detail.summary.families.map(\.received) == [1, 1])
        #expect(detail.summary.families.map(\.isNegotiated) == [true, true])
        #expect(detail.summary.families.map(\.isComplete) == [true, true])
        #expect(detail.holdTime == 90)
        #expect(wire.nodes[0].neighborSummaries[0].flaps == 0)
    }

    @Test("both ends connect at once and one connection is left, for any seed", arguments: 1...40 as ClosedRange<UInt64>)
    func collision(seed: UInt64) {
        var wire = wire(seed: seed)
        wire.run(.seconds(60))
        #expect(wire.state(0) == .established)
        #expect(wire.state(1) == .established)
        #expect(wire.nodes[0].neighborSummaries[0].flaps == 0)
        // RFC 4271 §6.8: node 1 has the higher identifier, so its connection is kept, unless the other was first.
        #expect(wire.partner.count == 2)
    }

    @Test("an idle session stays up on keepalives")
    func staysUp() {
        var wire = wire()
        wire.run(.seconds(3600))
        #expect(wire.state(0) == .established)
        #expect(wire.nodes[0].neighborSummaries[0].flaps == 0)
        let received = wire.nodes[0].neighborView(IPAddress("10.0.0.2")!, at: .zero)!.counters.received
        // RFC 4271 §4.4: at most one in a third of the hold time, less the jitter.
        #expect((3600 / 30...3600 * 4 / (3 * 30) + 4).contains(Int(received.keepalives)))
    }

    @Test("octet by octet gives the same streams as whole")
    func chunks() {
        var whole = wire()
        whole.run(.seconds(30))
        var single = wire()
        single.chunk = 1
        single.run(.seconds(30))
        #expect(single.streams == whole.streams)
        #expect(single.events == whole.events)
    }

    @Test("instances that are written and read again after every few inputs do the same", arguments: [1, 3, 7])
    func snapshots(every: Int) {
        var plain = wire()
        plain.run(.seconds(100))
        plain.give(0, .command(.clearNeighbor(address: "10.0.0.2", reason: "test")))
        plain.run(.seconds(100))
        var restored = wire()
        restored.snapshotsEvery = every
        restored.run(.seconds(100))
        restored.give(0, .command(.clearNeighbor(address: "10.0.0.2", reason: "test")))
        restored.run(.seconds(100))
        #expect(restored.trace == plain.trace)
        #expect(restored.streams == plain.streams)
        #expect(restored.nodes[0].digest == plain.nodes[0].digest)
    }

    @Test("the restored instance reads on in the middle of a message")
    func snapshotInMessage() {
        var plain = wire()
        plain.chunk = 5
        plain.run(.seconds(20))
        var restored = wire()
        restored.chunk = 5
        restored.snapshotsEvery = 1
        restored.run(.seconds(20))
        #expect(restored.trace == plain.trace)
        #expect(restored.state(1) == .established)
    }

    @Test("RFC 4724 §4.1: a router that lost both controllers comes back, and its neighbour used its routes all the time")
    func coldStart() {
        let configurations = Configurations.pair { $0.gracefulRestart.mode = .full }
        var wire = wire(configurations)
        wire.run(.seconds(20))
        let view = { (wire: VirtualWire) in wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: wire.now)!.summary.families }
        #expect(view(wire).map(\.received) == [1, 1])
        let ends = wire.partner.keys.filter { $0.node == 1 }
        wire.partner = [:]
        wire.queue = []
        wire.listeners[0] = []
        wire.nodes[0] = BGPInstance(seed: 99)
        for end in ends { wire.give(1, .closed(ConnectionID(end.connection), .resetByPeer)) }
        wire.run(.seconds(30))
        #expect(view(wire).map(\.stale) == [1, 1] && view(wire).map(\.accepted) == [1, 1])
        wire.give(0, .configure(configurations[0]))
        wire.run(.seconds(60))
        #expect(wire.state(0) == .established && wire.state(1) == .established)
        #expect(view(wire).map(\.stale) == [0, 0] && view(wire).map(\.received) == [1, 1])
        #expect(wire.nodes[0].firstRoutes == .complete)
        #expect(wire.events[1].contains { $0.contains("is back") })
        #expect(wire.events[1].contains { $0.contains("no stale routes go") })
    }

    @Test("a reset by an operator reaches the neighbour with its text, and the session comes back")
    func clear() {
        var wire = wire()
        wire.run(.seconds(20))
        wire.give(0, .command(.clearNeighbor(address: "10.0.0.2", reason: "new line card")))
        wire.run(.seconds(1))
        let detail = wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!
        #expect(detail.lastNotificationReceived == "Cease: hard reset (6/9), Cease: administrative reset (6/4) \"new line card\"")
        wire.run(.seconds(60))
        #expect(wire.state(0) == .established)
        #expect(wire.nodes[0].neighborSummaries[0].flaps == 1)
        #expect(wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!.summary.families.map(\.received) == [1, 1])
    }

    @Test("an administrative shutdown says so and stays down until it is taken back")
    func shutdown() {
        let configurations = Configurations.pair()
        var wire = wire(configurations)
        wire.run(.seconds(20))
        var down = configurations[0]
        down.neighbors[0].isShutdown = true
        down.neighbors[0].shutdownMessage = "maintenance"
        wire.give(0, .configure(down))
        wire.run(.seconds(300))
        #expect(wire.state(0) == .idle)
        #expect(wire.state(1) != .established)
        let detail = wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!
        #expect(
            detail.lastNotificationReceived == "Cease: hard reset (6/9), Cease: administrative shutdown (6/2) \"maintenance\"")
        #expect(detail.summary.families.map(\.received) == [0, 0])
        wire.give(0, .configure(configurations[0]))
        wire.run(.seconds(200))
        #expect(wire.state(0) == .established)
    }

    @Test("a configuration that changes nothing about a session leaves it alone")
    func reconfigure() {
        let configurations = Configurations.pair()
        var wire = wire(configurations)
        wire.run(.seconds(20))
        var changed = configurations[0]
        changed.neighbors[0].description = "upstream"
        changed.networks.append(OriginatedNetwork(prefix: IPPrefix("198.51.100.0/24")!))
        wire.give(0, .configure(changed))
        wire.run(.seconds(20))
        #expect(wire.nodes[0].neighborSummaries[0].flaps == 0)
        #expect(wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!.summary.families.map(\.received) == [2, 1])
        changed.neighbors[0].timers.hold = 30
        wire.give(0, .configure(changed))
        wire.run(.seconds(60))
        #expect(wire.nodes[0].neighborSummaries[0].flaps == 1)
        #expect(wire.nodes[0].neighborView(IPAddress("10.0.0.2")!, at: .zero)!.holdTime == 30)
    }

    @Test("a neighbour that is no longer configured gets Cease/3 and is forgotten")
    func deconfigured() {
        let configurations = Configurations.pair()
        var wire = wire(configurations)
        wire.run(.seconds(20))
        var none = configurations[0]
        none.neighbors = []
        wire.give(0, .configure(none))
        wire.run(.seconds(5))
        #expect(wire.nodes[0].neighborSummaries.isEmpty)
        let detail = wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!
        #expect(detail.lastNotificationReceived == "Cease: hard reset (6/9), Cease: peer deconfigured (6/3)")
        wire.give(0, .configure(configurations[0]))
        wire.run(.seconds(200))
        #expect(wire.state(0) == .established)
    }

    @Test("a wrong remote AS is answered with Bad Peer AS, ever more slowly")
    func badAS() {
        var configurations = Configurations.pair()
        configurations[1].neighbors[0].remoteAS = ASNumber(65009)
        var wire = wire(configurations)
        wire.run(.seconds(60))
        let detail = wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!
        #expect(detail.lastNotificationSent == "OPEN Message Error: bad peer as (2/2)")
        let first = wire.events[1].count
        wire.run(.seconds(600))
        let later = wire.events[1].count
        #expect(later > first)
        #expect(later - first < 300)
    }

    @Test("the hold timer ends a session with a neighbour that went silent")
    func holdTimer() {
        var wire = wire()
        wire.run(.seconds(20))
        // Neither data nor acknowledgements reach node 0.
        wire.deaf = [0]
        wire.run(.seconds(100))
        #expect(wire.events[0].contains { $0.contains("hold timer expired") })
        #expect(wire.nodes[0].neighborSummaries[0].flaps >= 1)
    }

    @Test("quarantine resets the one session and names it")
    func quarantine() {
        var wire = wire()
        wire.run(.seconds(20))
        let connection = wire.partner.keys.first { $0.node == 1 }!.connection
        wire.give(1, .fault(ConnectionID(connection), [], message: 0))
        wire.run(.milliseconds(10))
        #expect(wire.events[1].contains { $0.contains("quarantined") })
        let detail = wire.nodes[0].neighborView(IPAddress("10.0.0.2")!, at: .zero)!
        #expect(
            detail.lastNotificationReceived
                == "Cease: hard reset (6/9), Cease: administrative reset (6/4) \"your last message could not be processed\"")
        #expect(wire.state(0) != .established, "held down")
        wire.give(1, .redundancy(true))
        wire.run(.seconds(60))
        #expect(wire.state(0) == .established)
    }

    @Test("too many prefixes end the session with Cease/1 and it stays down")
    func maximumPrefixes() {
        let networks = (0..<5).map { "192.0.\($0).0/24" }
        var configurations = Configurations.pair(networks: networks)
        configurations[1].neighbors[0].families[0].maximumPrefixes = 4
        var wire = wire(configurations)
        wire.run(.seconds(300))
        #expect(wire.state(1) == .idle)
        #expect(wire.nodes[1].neighborSummaries[0].isHeldDown)
        let detail = wire.nodes[0].neighborView(IPAddress("10.0.0.2")!, at: .zero)!
        #expect(detail.lastNotificationReceived == "Cease: hard reset (6/9), Cease: maximum prefixes (6/1)")
        wire.give(1, .command(.clearNeighbor(address: "10.0.0.1", reason: "")))
        wire.run(.milliseconds(100))
        #expect(!wire.nodes[1].neighborSummaries[0].isHeldDown)
    }

    @Test("a neighbour held down for its prefixes comes back after its restart time")
    func maximumPrefixesRestart() {
        let networks = (0..<5).map { "192.0.\($0).0/24" }
        var configurations = Configurations.pair(networks: networks)
        configurations[1].neighbors[0].families[0].maximumPrefixes = 4
        configurations[1].neighbors[0].families[0].restartMinutes = 2
        var wire = wire(configurations)
        wire.run(.seconds(600))
        let flaps = wire.nodes[1].neighborSummaries[0].flaps
        #expect((3...5).contains(flaps))
    }

    @Test("a passive pair never connects; one passive end is enough to be called")
    func passive() {
        var both = wire(Configurations.pair { $0.passive = true })
        both.run(.seconds(100))
        #expect(both.state(0) == .active)
        var configurations = Configurations.pair()
        configurations[0].neighbors[0].passive = true
        var one = wire(configurations)
        one.run(.seconds(60))
        #expect(one.state(0) == .established)
    }

    @Test("DelayOpen waits for the neighbour's OPEN")
    func delayOpen() {
        var configurations = Configurations.pair()
        configurations[0].neighbors[0].timers.delayOpen = 30
        var wire = wire(configurations)
        wire.run(.seconds(5))
        #expect(wire.state(0) == .established)
    }

    @Test("route refresh brings the routes again")
    func routeRefresh() {
        var wire = wire()
        wire.run(.seconds(20))
        let before = wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!.counters.received.updates
        wire.give(1, .command(.softClearIn(address: "10.0.0.1")))
        wire.run(.seconds(5))
        let after = wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)!
        #expect(after.counters.received.updates >= before + 2)
        #expect(after.droppedCount == 0)
    }

    @Test("what nobody is listening for is refused without a trace in memory")
    func stranger() {
        var wire = wire()
        wire.run(.seconds(20))
        let digest = wire.nodes[0].digest
        wire.give(
            0,
            .opened(
                ConnectionID(100),
                ConnectionIdentity(
                    tuple: ConnectionTuple(
                        interface: InterfaceID(0), local: IPAddress("10.0.0.1")!, localPort: 179,
                        remote: IPAddress("10.9.9.9")!, remotePort: 4000),
                    initialSendSequence: 0, initialReceiveSequence: 0, peerMaximumSegmentSize: 1460,
                    peerWindowShift: nil, windowShift: 0, selectiveAcknowledgment: false, timestamps: false,
                    timestampOffset: 0, options: TransportOptions()), SessionAddresses(), StreamEndpointID(0),
                isOurs: false))
        #expect(wire.trace[0].last == "abort #100")
        #expect(wire.nodes[0].digest == digest)
    }
}
