import BFD
import BGP
import Machine
import Records
import Testing
import Wire

@testable import Engine

/// What the author of a change is told before it is made.
@Suite struct ConsequenceTests {
    private static func messages(_ fixture: EngineFixture, _ new: RouterConfiguration) -> [String] {
        fixture.engine.consequences(of: new).map { "\($0.path): \($0.message)" }
    }

    @Test func `a limit below what a neighbor has is named with the neighbor, the numbers and the way back`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 2))
        for n in 0..<2 { fixture.establish(n) }
        for n in 0..<3 { fixture.announce(0, IPv4Prefix(IPv4Address(10, UInt8(n), 0, 0), 16)) }
        let new = EngineFixture.configuration(peers: 2) { configuration in
            for n in 0..<2 { configuration.bgp!.neighbors[n].families[0].maximumPrefixes = 2 }
        }
        #expect(
            Self.messages(fixture, new) == [
                "bgp.neighbors: neighbor 192.0.2.10 has 3 prefixes of ipv4-unicast, more than the new limit of 2: its session ends at "
                    + "once (Cease/1) and stays down until 'clear bgp 192.0.2.10' or a larger limit"
            ])
        #expect(fixture.notifications(0).isEmpty)
        try fixture.configure(new, revision: 2)
        #expect(fixture.notifications(0) == [[6, 1]])
        #expect(fixture.notifications(1).isEmpty)
        #expect(Self.messages(fixture, EngineFixture.configuration(peers: 2)).isEmpty)
    }

    @Test func `BFD that is switched off or shut down under a session that is up is named, and not where BGP ends with it`()
        throws
    {
        let fixture = try EngineBFDTests.fixture()
        fixture.establish(0)
        func with(_ change: (inout RouterConfiguration) -> Void) -> [String] {
            Self.messages(
                fixture,
                EngineFixture.configuration(peers: 2) {
                    $0.bgp!.neighbors[0].bfd = ""
                    change(&$0)
                })
        }
        #expect(with { $0.bgp!.neighbors[0].bfd = nil }.isEmpty, "it never came up")
        EngineBFDTests.report(fixture, .up)
        #expect(with { _ in }.isEmpty)
        #expect(with { $0.bgp!.neighbors[0].bfd = nil }.count == 1)
        #expect(
            with { $0.bgp!.neighbors[0].bfd = nil }.first?.contains("is no longer wanted: its last packets say AdminDown") == true
        )
        let peer = BFDPeerConfiguration(remote: .v4(EngineFixture.peerAddress(0)), isShutdown: true)
        #expect(with { $0.bfd = BFDConfiguration(peers: [peer]) }.first?.contains("is shut down") == true)
        #expect(with { $0.bgp!.neighbors[0].isShutdown = true }.isEmpty)
        #expect(with { $0.bgp!.neighbors.removeFirst() }.isEmpty)
        #expect(with { $0.bgp = nil }.isEmpty)
    }

    @Test func `memory that ran out costs the neighbor with the most routes its session, and each record one`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 3))
        for n in 0..<3 { fixture.establish(n) }
        fixture.announce(0, IPv4Prefix("10.0.0.0/8")!)
        for n in 0..<3 { fixture.announce(1, IPv4Prefix(IPv4Address(20, UInt8(n), 0, 0), 16)) }
        fixture.pass(.seconds(1))
        #expect(fixture.view(2).count == 4)
        fixture.apply(.memoryExhausted)
        fixture.pass(.seconds(1))
        #expect(fixture.notifications(1) == [[6, 8]])
        #expect(fixture.notifications(0).isEmpty && fixture.notifications(2).isEmpty)
        #expect(fixture.view(2) == [IPv4Prefix("10.0.0.0/8")!])
        #expect(fixture.log.contains { $0.contains("alarm") && $0.contains("neighbor 192.0.2.11: memory is at its limit") })
        fixture.apply(.memoryExhausted)
        #expect(fixture.notifications(0) == [[6, 8]])
        fixture.apply(.memoryExhausted)
        #expect(fixture.notifications(2).isEmpty)
    }
}
