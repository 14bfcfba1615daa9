import Machine
import Records
import Testing
import Wire

@testable import Engine

@Suite struct DeterminismTests {
    /// Random churn of four peers, resets and interface changes included.
    private static func churn(_ fixture: EngineFixture, _ random: inout RandomNumbers, steps: Int) {
        for _ in 0..<steps {
            let n = random.number(in: 0...3)
            let prefix = IPv4Prefix(IPv4Address(raw: 0x0a00_0000 | UInt32(random.number(in: 0...60)) << 8), 24)
            switch random.number(in: 0...20) {
            case 0...11:
                fixture.announce(
                    n, prefix, tail: (0..<random.number(in: 0...3)).map { _ in UInt32(random.number(in: 100...105)) })
            case 12...16: fixture.withdraw(n, prefix)
            case 17:
                fixture.apply(
                    .tcpAcknowledged(EngineFixture.id(n), offset: UInt64(n < fixture.sent.count ? fixture.sent[n].count : 0)))
            case 18: fixture.pass(.milliseconds(random.number(in: 1...3000)))
            case 19: fixture.apply(.command(.softClearOut(address: EngineFixture.peerAddress(n).description)))
            default: fixture.apply(.interfaceState(InterfaceID(0), isUp: random.chance(1, in: 2)))
            }
        }
    }

    private static func started(_ seed: UInt64) throws -> EngineFixture {
        let fixture = EngineFixture(seed: seed)
        try fixture.configure(EngineFixture.configuration(peers: 4))
        for n in 0..<4 { fixture.establish(n) }
        return fixture
    }

    @Test(arguments: 1...15) func `the same records give the same effects, digests and snapshot`(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        let fixture = try Self.started(5)
        Self.churn(fixture, &random, steps: 300)
        var twin = Engine(seed: 5)
        var effects: [String] = []
        // The twin gets the records in pieces of other sizes.
        var at = 0
        while at < fixture.records.count {
            let count = min(fixture.records.count - at, random.number(in: 1...17))
            guard case .applied(_, let list, _, _, _) = twin.perform(.apply(Array(fixture.records[at..<(at + count)]))) else {
                return
            }
            effects += list.map(EngineFixture.text)
            at += count
        }
        #expect(effects == fixture.log)
        #expect(twin.digest == fixture.engine.digest)
        #expect(twin.state.encoded() == fixture.engine.state.encoded())
    }

    @Test(arguments: 1...25) func `an engine restored from a snapshot goes on like the one that grew up`(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed) &* 77)
        let fixture = try Self.started(6)
        Self.churn(fixture, &random, steps: random.number(in: 0...250))
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        let firstRecord = fixture.records.count, firstEffect = fixture.log.count
        // The snapshot is encoded after the engine went on: it must not have moved with it.
        Self.churn(fixture, &random, steps: 150)
        let bytes = snapshot.encoded()
        var twin = Engine(seed: 99)
        guard case .restored(let index, _, _, _) = twin.perform(.restore(bytes)) else {
            Issue.record("the snapshot was refused: \(twin.perform(.restore(bytes)))")
            return
        }
        #expect(index == snapshot.index)
        #expect(twin.state.encoded() == bytes)
        var effects: [String] = []
        for record in fixture.records[firstRecord...] {
            guard case .applied(_, let list, _, _, _) = twin.perform(.apply([record])) else { return }
            effects += list.map(EngineFixture.text)
        }
        #expect(effects == Array(fixture.log[firstEffect...]))
        #expect(twin.digest == fixture.engine.digest)
        #expect(twin.state.encoded() == fixture.engine.state.encoded())
    }

    @Test(arguments: 1...8) func `a kernel that is told every update has what a restored engine gives as the whole`(seed: Int)
        throws
    {
        var random = RandomNumbers(seed: UInt64(seed) &* 31)
        let fixture = try Self.started(6)
        for _ in 0..<6 {
            Self.churn(fixture, &random, steps: 60)
            var twin = Engine(seed: 1)
            guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()),
                case .restored(_, let whole, _, _) = twin.perform(.restore(snapshot.encoded()))
            else {
                Issue.record("no snapshot")
                return
            }
            var kernel = KernelTable()
            kernel.take(whole)
            #expect(kernel == fixture.kernel)
            #expect(kernel.faults == 0)
            var active = 0
            twin.ipv4Routes.forEachPrefix { prefix in
                guard let route = twin.ipv4Routes.active(prefix) else { return }
                active += 1
                #expect(kernel.ipv4[prefix] == route.group)
                #expect(kernel.groups[route.group] == route.resolved)
            }
            #expect(kernel.ipv4.count == active)
        }
    }

    @Test func `a damaged snapshot is refused and never traps`() throws {
        var random = RandomNumbers(seed: 3)
        let fixture = try Self.started(6)
        Self.churn(fixture, &random, steps: 80)
        let bytes = fixture.engine.state.encoded()
        var refused = 0
        for length in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 400)) {
            var engine = Engine(seed: 1)
            if case .restoreFailed = engine.perform(.restore(Array(bytes[..<length]))) {
                refused += 1
            } else {
                Issue.record("\(length) octets were taken for a snapshot")
            }
        }
        #expect(refused > 300)
    }
}
