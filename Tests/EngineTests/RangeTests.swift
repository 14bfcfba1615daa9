import BGP
import Machine
import Records
import Testing
import Wire

@testable import Engine

/// Neighbours that come by themselves, through the engine: who listens, whose a connection is, and what a twin knows of it.
@Suite struct RangeTests {
    private static func fixture() throws -> EngineFixture {
        let fixture = EngineFixture(seed: 5)
        try fixture.configure(
            EngineFixture.configuration(peers: 1) { configuration in
                var template = configuration.bgp!.neighbors[0]
                template.md5Key = "shared"
                configuration.bgp!.ranges = [
                    ListenRangeConfiguration(
                        prefix: IPPrefix("192.0.2.0/24")!, group: "clients", template: template,
                        asNumbers: [ASNumberRange(ASNumber(65002), ASNumber(65100))])
                ]
            })
        return fixture
    }

    @Test func `the line card listens to the range with its key, and to neighbours with theirs`() throws {
        let fixture = try Self.fixture()
        guard case .image(let image) = fixture.engine.perform(.image) else { return #expect(Bool(false)) }
        let range = try #require(image.listeners.first { $0.remoteLength == 24 })
        #expect(range.local == .v4(EngineFixture.routerAddress) && range.options.md5Key == Array("shared".utf8))
        let single = try #require(image.listeners.first { $0.remoteLength == nil })
        #expect(single.remote == .v4(EngineFixture.peerAddress(0)) && single.options.md5Key.isEmpty)
    }

    @Test func `a connection is the neighbour's before it is the range's, and a twin goes on with both`() throws {
        let fixture = try Self.fixture()
        fixture.establish(0)
        fixture.establish(1)
        #expect(fixture.engine.bgp.neighborSummaries.map(\.state) == [.established, .established])
        let own = try #require(fixture.engine.bgp.neighborView(.v4(EngineFixture.peerAddress(0)), at: fixture.now))
        let came = try #require(fixture.engine.bgp.neighborView(.v4(EngineFixture.peerAddress(1)), at: fixture.now))
        #expect(own.range == nil && came.range == IPPrefix("192.0.2.0/24"))
        fixture.announce(1, IPv4Prefix("10.1.0.0/16")!)
        let bytes = fixture.engine.state.encoded()
        let twin = try EngineState(decoding: bytes)
        #expect(twin.encoded() == bytes)
        #expect(twin.listeners == fixture.engine.state.listeners)
        #expect(twin.digest == fixture.engine.state.digest)
        // The one that came has a listener of its own now.
        #expect(twin.listeners.contains { $0.remote == .v4(EngineFixture.peerAddress(1)) && $0.remoteLength == nil })
    }
}
