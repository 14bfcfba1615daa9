import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// Neighbours that come by themselves.
@Suite struct RangeTests {
    private static let ranges = IPPrefix("10.0.1.0/24")!

    private static func configuration(
        _ change: (inout ListenRangeConfiguration) -> Void = { _ in }
    ) -> BGPConfiguration {
        var configuration = Configurations.node(65000, "10.0.0.1", neighbors: [("10.0.0.2", 65001)])
        var template = NeighborConfiguration(address: ranges.address, remoteAS: .zero)
        template.families = [FamilyConfiguration(.ipv4Unicast)]
        var range = ListenRangeConfiguration(
            prefix: ranges, group: "clients", template: template, asNumbers: [ASNumberRange(ASNumber(100), ASNumber(200))])
        change(&range)
        configuration.ranges = [range]
        return configuration
    }

    /// A router to whom others come.
    private struct World {
        var instance = BGPInstance(seed: 3)
        var now = Instant.zero
        var effects: [BGPInstance.Effect] = []
        var next: UInt32 = 2

        init(_ configuration: BGPConfiguration = RangeTests.configuration()) { give(.configure(configuration)) }

        mutating func give(_ input: BGPInstance.Input) {
            var out: [BGPInstance.Effect] = []
            instance.handle(input, at: now, into: &out)
            effects += out
            for case .track(let address) in out { give(.nextHop(address, .reachable(metric: 0))) }
        }
        mutating func wait(_ duration: Duration) {
            let end = now + duration
            while let next = instance.nextDeadline, next <= end {
                now = max(now, next)
                give(.time)
            }
            now = end
        }
        /// The endpoint of the range.
        var endpoint: StreamEndpoint? { listened.first { $0.remoteLength != nil } }
        var listened: [StreamEndpoint] {
            effects.reversed().compactMap { if case .listen(let list) = $0 { list } else { nil } }.first ?? []
        }
        mutating func connect(_ address: String) -> ConnectionID {
            let id = ConnectionID(next)
            next += 2
            give(
                .opened(
                    id, Driver.identity(IPAddress(address)!), SessionAddresses(ipv4: IPv4Address("10.0.0.1")),
                    StreamEndpointID(4096), isOurs: false))
            return id
        }
        mutating func open(_ id: ConnectionID, as number: UInt32, identifier: UInt32 = 77) {
            var capabilities = Capabilities()
            capabilities.hasMultiprotocol = true
            capabilities.families = [.ipv4Unicast]
            capabilities.fourOctetAS = ASNumber(number)
            let open = OpenMessage(
                asNumber: ASNumber(number), holdTime: 90, identifier: RouterID(raw: identifier), capabilities: capabilities)
            give(.received(id, open.encoded))
            give(.received(id, Driver.keepalive))
        }
        func isAborted(_ id: ConnectionID) -> Bool {
            effects.contains { if case .abort(let other) = $0 { id == other } else { false } }
        }
        func view(_ address: String) -> BGPNeighborView? { instance.neighborView(IPAddress(address)!, at: now) }
        /// Goes on as its twin.
        mutating func switchOver() throws {
            var writer = SnapshotWriter()
            instance.write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            let twin = try BGPInstance(from: &reader)
            #expect(twin.digest == instance.digest)
            instance = twin
        }
    }

    @Test func `who connects from a range is a neighbour at once, with the AS that it says`() throws {
        var world = World()
        #expect(world.endpoint?.range == Self.ranges && world.endpoint?.number == StreamEndpointID(4096))
        let id = world.connect("10.0.1.7")
        world.open(id, as: 150)
        let view = try #require(world.view("10.0.1.7"))
        #expect(view.summary.state == .established && view.summary.remoteAS == ASNumber(150))
        #expect(view.range == Self.ranges && view.groups == ["clients"])
        // Now it is one with an endpoint of its own, and the range is there for others.
        #expect(world.listened.contains { $0.remote == IPAddress("10.0.1.7")! && $0.remoteLength == nil })
        #expect(world.endpoint != nil)
    }

    @Test func `another AS than those of the range is refused`() {
        var world = World()
        world.open(world.connect("10.0.1.7"), as: 201)
        #expect(world.view("10.0.1.7")?.summary.state != .established)
        #expect(world.instance.neighbor(PeerIndex(1))?.lastNotificationSent == .open(.badPeerAS))
    }

    @Test func `it goes through a switchover, and is gone some time after its last connection`() throws {
        var world = World()
        let id = world.connect("10.0.1.7")
        world.open(id, as: 150)
        try world.switchOver()
        #expect(world.view("10.0.1.7")?.summary.state == .established)
        world.give(.closed(id, .resetByPeer))
        world.wait(.seconds(100))
        try world.switchOver()
        #expect(world.view("10.0.1.7")?.summary.state == .active)
        world.wait(.seconds(21))
        #expect(world.view("10.0.1.7") == nil)
        #expect(!world.listened.contains { $0.remote == IPAddress("10.0.1.7")! })
        // The number is free for the next one.
        world.open(world.connect("10.0.1.8"), as: 150)
        #expect(world.instance.peerIndex(IPAddress("10.0.1.8")!) == PeerIndex(1))
    }

    @Test func `who comes again in time is the one that it was`() {
        var world = World()
        let id = world.connect("10.0.1.7")
        world.open(id, as: 150)
        world.give(.closed(id, .resetByPeer))
        world.wait(.seconds(100))
        world.open(world.connect("10.0.1.7"), as: 151)
        world.wait(.seconds(80))
        #expect(world.view("10.0.1.7")?.establishedCount == 2)
        #expect(world.view("10.0.1.7")?.summary.remoteAS == ASNumber(151))
    }

    @Test func `a range has a limit, and no more than so many come in a second`() {
        var world = World(Self.configuration { $0.limit = 3 })
        let first = (1...4).map { world.connect("10.0.1.\($0)") }
        #expect(first.map { world.isAborted($0) } == [false, false, false, true])
        var crowd = World()
        let all = (1...40).map { crowd.connect("10.0.1.\($0)") }
        #expect(all.count { !crowd.isAborted($0) } == Int(Arrivals.perSecond))
        crowd.wait(.seconds(1))
        let late = crowd.connect("10.0.1.99")
        #expect(!crowd.isAborted(late))
        let refusals = crowd.effects.count {
            if case .event(let event) = $0 { event.message.contains("refused") } else { false }
        }
        #expect(refusals == 1)
    }

    @Test func `a command clears it like any other, and it may come again`() {
        var world = World()
        let id = world.connect("10.0.1.7")
        world.open(id, as: 150)
        world.give(.command(.clearNeighbor(address: "10.0.1.7", reason: "")))
        #expect(world.view("10.0.1.7")?.summary.state != .established)
        world.give(.closed(id, .finished))
        world.wait(.seconds(5))
        world.open(world.connect("10.0.1.7"), as: 150)
        #expect(world.view("10.0.1.7")?.summary.state == .established)
    }

    @Test func `a change of its group reaches it, and only what needs a new session ends the one there is`() {
        var world = World()
        world.open(world.connect("10.0.1.7"), as: 150)
        world.give(.configure(Self.configuration { $0.template.exportPolicies = ["nothing"] }))
        #expect(world.view("10.0.1.7")?.exportPolicies == ["nothing"])
        #expect(world.view("10.0.1.7")?.summary.state == .established)
        world.give(.configure(Self.configuration { $0.template.timers.hold = 30 }))
        #expect(world.view("10.0.1.7")?.summary.state != .established)
    }

    @Test func `without its range it is gone, and as a configured neighbour it stays`() {
        var world = World()
        world.open(world.connect("10.0.1.7"), as: 150)
        var configuration = Self.configuration()
        var own = configuration.ranges[0].template
        own.address = IPAddress("10.0.1.7")!
        own.remoteAS = ASNumber(150)
        own.passive = true
        configuration.neighbors.append(own)
        world.give(.configure(configuration))
        #expect(world.view("10.0.1.7")?.summary.state == .established)
        #expect(world.view("10.0.1.7")?.range == nil)
        var other = World()
        other.open(other.connect("10.0.1.7"), as: 150)
        configuration = Self.configuration()
        configuration.ranges = []
        other.give(.configure(configuration))
        #expect(other.view("10.0.1.7") == nil && other.endpoint == nil)
    }

    @Test func `a configured neighbour in the range is none of it`() {
        var configuration = Self.configuration()
        configuration.ranges[0].prefix = IPPrefix("10.0.0.0/24")!
        var world = World(configuration)
        // The engine gives it to the neighbour; should it come with the range's endpoint, it is the neighbour all the same.
        world.wait(.seconds(2))
        _ = world.connect("10.0.0.2")
        #expect(world.view("10.0.0.2")?.range == nil)
        #expect(world.instance.neighborSummaries.count == 1)
    }
}
