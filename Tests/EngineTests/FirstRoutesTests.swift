import BGP
import Machine
import OSPF
import Records
import Routing
import Testing
import Wire

@testable import Engine

/// When what a life before left in the kernels may go.
@Suite struct FirstRoutesTests {
    private static let ten = IPv4Prefix("10.0.0.0/8")!

    private static func fixture(peers: Int, _ change: (inout RouterConfiguration) -> Void = { _ in }) throws -> EngineFixture {
        let fixture = EngineFixture()
        fixture.apply(.mastership(.a, Epoch(1), isFresh: true))
        try fixture.configure(EngineFixture.configuration(peers: peers, change))
        return fixture
    }
    private static func endOfRIB(_ fixture: EngineFixture, _ n: Int) {
        fixture.receive(n, fixture.message(2, [0, 0, 0, 0]))
    }
    private static func keepalive(_ fixture: EngineFixture, _ n: Int) { fixture.receive(n, fixture.message(4, [])) }

    @Test func `with End-of-RIB of every neighbor the first routes are complete, at that record and once`() throws {
        let fixture = try Self.fixture(peers: 2)
        fixture.establish(0)
        fixture.announce(0, Self.ten)
        Self.endOfRIB(fixture, 0)
        #expect(fixture.firstRoutes.isEmpty, "the other is not up")
        fixture.establish(1)
        #expect(fixture.firstRoutes.isEmpty)
        Self.endOfRIB(fixture, 1)
        #expect(fixture.firstRoutes == [fixture.index])
        fixture.announce(1, Self.ten)
        Self.endOfRIB(fixture, 1)
        fixture.pass(.seconds(30))
        #expect(fixture.firstRoutes.count == 1)
        #expect(fixture.log.count { $0.contains("the first routes are complete") } == 1)
    }

    @Test func `a neighbor that does not come is not waited for longer than its time`() throws {
        let fixture = try Self.fixture(peers: 3)
        fixture.establish(0)
        Self.endOfRIB(fixture, 0)
        fixture.pass(.milliseconds(59_900))
        #expect(fixture.firstRoutes.isEmpty)
        fixture.pass(.milliseconds(200))
        #expect(fixture.firstRoutes.count == 1)
    }

    @Test func `a neighbor that is shut down is not waited for at all`() throws {
        let fixture = try Self.fixture(peers: 2) { $0.bgp!.neighbors[1].isShutdown = true }
        fixture.establish(0)
        Self.endOfRIB(fixture, 0)
        #expect(fixture.firstRoutes.count == 1)
    }

    @Test func `a speaker that knows no End-of-RIB has said all when it is quiet and sends a KEEPALIVE`() throws {
        let fixture = try Self.fixture(peers: 1)
        fixture.establish(0)
        fixture.pass(.seconds(4))
        fixture.announce(0, Self.ten)
        fixture.pass(.seconds(4))
        Self.keepalive(fixture, 0)
        #expect(fixture.firstRoutes.isEmpty, "four seconds ago it was still talking")
        fixture.pass(.seconds(2))
        #expect(fixture.firstRoutes.isEmpty)
        Self.keepalive(fixture, 0)
        #expect(fixture.firstRoutes == [fixture.index])
    }

    @Test func `a neighbor that is up and never done is waited for to a bound`() throws {
        let fixture = try Self.fixture(peers: 2)
        fixture.establish(0)
        for n in 0..<119 {
            fixture.announce(0, IPv4Prefix(IPv4Address(10, UInt8(n), 0, 0), 16))
            Self.keepalive(fixture, 0)
            fixture.pass(.seconds(3))
        }
        #expect(fixture.firstRoutes.isEmpty)
        fixture.announce(0, Self.ten)
        fixture.pass(.seconds(4))
        #expect(fixture.firstRoutes.count == 1)
        #expect(fixture.log.contains { $0.contains("not every neighbor has said all in 360 s") })
    }

    @Test func `without neighbors there is nothing to wait for, and with an interior protocol a dead interval`() throws {
        let alone = try Self.fixture(peers: 0)
        #expect(alone.firstRoutes.count == 1)
        let interior = try Self.fixture(peers: 0) {
            $0.ospf = OSPFConfiguration(
                version: .v2, routerID: EngineFixture.routerAddress, areas: [OSPFAreaConfiguration(areaID: IPv4Address(raw: 0))],
                interfaces: [OSPFInterfaceConfiguration(name: "lan", areaID: IPv4Address(raw: 0))])
        }
        interior.pass(.milliseconds(59_900))
        #expect(interior.firstRoutes.isEmpty)
        interior.pass(.seconds(2))
        #expect(interior.firstRoutes.count == 1)
    }

    @Test func `before a mastership nothing begins: a standby's engine has the active's routes`() throws {
        let fixture = EngineFixture()
        try fixture.configure(EngineFixture.configuration(peers: 0))
        fixture.pass(.seconds(400))
        #expect(fixture.firstRoutes.isEmpty)
    }

    @Test func `a standby that joins meanwhile keeps what it has, and hears of it at the same record`() throws {
        let fixture = try Self.fixture(peers: 2)
        fixture.establish(0)
        fixture.announce(0, Self.ten)
        guard case .snapshot(let early) = fixture.engine.perform(.snapshot()) else { return }
        var twin = Engine(seed: 1)
        guard case .restored(_, let complete, let digest, let deadline) = twin.perform(.restore(early.encoded())) else {
            Issue.record("refused")
            return
        }
        #expect(complete.isComplete && !complete.hasFirstRoutes)
        #expect(digest == fixture.engine.digest)
        #expect(deadline == fixture.engine.nextDeadline)
        let from = fixture.records.count
        fixture.establish(1)
        Self.endOfRIB(fixture, 0)
        Self.endOfRIB(fixture, 1)
        #expect(fixture.firstRoutes == [fixture.index])
        var heard: [LogIndex] = []
        for record in fixture.records[from...] {
            guard case .applied(let index, _, let fib, _, _) = twin.perform(.apply([record])) else { continue }
            if fib.hasFirstRoutes { heard.append(index) }
        }
        #expect(heard == [fixture.index])
        #expect(twin.digest == fixture.engine.digest)
        guard case .snapshot(let late) = fixture.engine.perform(.snapshot()),
            case .restored(_, let whole, _, _) = twin.perform(.restore(late.encoded()))
        else { return }
        #expect(whole.hasFirstRoutes)
    }
}
