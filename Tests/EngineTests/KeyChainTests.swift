import BFD
import Machine
import OSPF
import Records
import Testing
import Wire

@testable import Engine

@Suite struct KeyChainTests {
    static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    /// Key 1 signs until 100 s, key 2 from there until 1,000,000 s.
    static let chain = KeyChain(
        name: "core",
        keys: [
            .init(id: 1, algorithm: .hmacSHA1, secret: "old", send: .init(until: at(100)), accept: .init(until: at(120))),
            .init(id: 2, algorithm: .hmacSHA256, secret: "new", send: .init(from: at(100), until: at(1_000_000))),
        ])

    static func configuration(_ chain: KeyChain = chain) -> RouterConfiguration {
        EngineFixture.configuration(peers: 1) { configuration in
            configuration.keyChains = [chain]
            var ospf = OSPFConfiguration(version: .v2, routerID: EngineFixture.routerAddress)
            var interface = OSPFInterfaceConfiguration(name: "lan", areaID: .any)
            interface.authentication = chain
            ospf.interfaces = [interface]
            configuration.ospf = ospf
            configuration.bgp?.neighbors[0].bfd = ""
            var bfd = BFDConfiguration()
            bfd.defaults.authentication = BFDAuthentication(type: .keyedSHA1, chain: chain)
            configuration.bfd = bfd
        }
    }

    private static func told(_ fixture: EngineFixture) -> [String] {
        fixture.log.filter { $0.contains("keys: ") }.map { String($0[$0.firstRange(of: "keys: ")!.upperBound...]) }
    }

    @Test func `which key signs is told once: at the configuration, at each change, a week before the end and at it`() throws {
        let fixture = EngineFixture()
        try fixture.configure(Self.configuration())
        #expect(Self.told(fixture).count == 1)
        #expect(Self.told(fixture)[0].hasPrefix("key 1 of key chain core signs; it is 1970-01-01T00:00:01Z here"))
        fixture.pass(.seconds(98))
        #expect(Self.told(fixture).count == 1)
        fixture.pass(.seconds(2))
        #expect(Self.told(fixture).count == 2)
        #expect(Self.told(fixture)[1].hasPrefix("key 2 of key chain core signs from now on"))
        try fixture.configure(Self.configuration(), revision: 2)
        #expect(Self.told(fixture).count == 2, "nothing changed")
        fixture.now = Self.at(1_000_000 - 7 * 86_400)
        fixture.apply(.time)
        #expect(Self.told(fixture).count == 3)
        #expect(Self.told(fixture)[2].contains("ends at 1970-01-12T13:46:40Z, and no key follows"))
        fixture.now = Self.at(1_000_000)
        fixture.apply(.time)
        fixture.apply(.time)
        #expect(Self.told(fixture).count == 4)
        #expect(Self.told(fixture)[3].contains("no key of key chain core is in its send lifetime; key 2 signs as though"))
        #expect(fixture.log.last { $0.contains("keys: ") }?.contains("alarm") == true)
    }

    @Test func `a configuration whose last key ends within a week, or ended, says so at once`() throws {
        let fixture = EngineFixture()
        fixture.now = Self.at(999_999)
        try fixture.configure(Self.configuration())
        #expect(Self.told(fixture).count == 2)
        #expect(Self.told(fixture)[1].contains("no key follows"))
        let late = EngineFixture()
        late.now = Self.at(1_000_001)
        try late.configure(Self.configuration())
        #expect(Self.told(late).count == 1)
        #expect(Self.told(late)[0].contains("is in its send lifetime"))
    }

    @Test(arguments: [50, 99, 101, 150]) func `an engine that was restored signs with the same key and tells the same`(
        seconds: Int
    ) throws {
        let fixture = EngineFixture()
        try fixture.configure(Self.configuration())
        fixture.pass(.seconds(seconds))
        guard case .snapshot(let snapshot) = fixture.engine.perform(.snapshot()) else { return }
        let bytes = snapshot.encoded()
        var twin = Engine(seed: 99)
        guard case .restored = twin.perform(.restore(bytes)) else {
            Issue.record("the snapshot was refused")
            return
        }
        #expect(twin.nextDeadline == fixture.engine.nextDeadline)
        let firstRecord = fixture.records.count, firstEffect = fixture.log.count
        fixture.pass(.seconds(120))
        var effects: [String] = []
        for record in fixture.records[firstRecord...] {
            guard case .applied(_, let list, _, _, _) = twin.perform(.apply([record])) else { return }
            effects += list.map(EngineFixture.text)
        }
        #expect(effects == Array(fixture.log[firstEffect...]))
        #expect(effects.contains { $0.contains("OutgoingPacket") })
        #expect(twin.digest == fixture.engine.digest && twin.state.encoded() == fixture.engine.state.encoded())
        // Its line card gets the same keys.
        guard case .image(let mine) = fixture.engine.perform(.image), case .image(let its) = twin.perform(.image) else { return }
        #expect(mine.bfdSessions.map(\.parameters) == its.bfdSessions.map(\.parameters))
        #expect(mine.bfdSessions.first?.parameters.authentication?.chain == Self.chain)
    }
}
