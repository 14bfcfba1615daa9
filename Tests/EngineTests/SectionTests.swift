import BFD
import BGP
import Machine
import RecordedSteps
import Records
import Testing
import Wire

@testable import Engine
@testable import ISIS
@testable import OSPF
@testable import RIP
@testable import RTR

/// The octets of each section of a snapshot, held against `Recorded/sections.txt`: a twin of another release takes sections of
/// one schema number for the same form.
@Suite struct SectionTests {
    /// A router that has something in every section.
    private static func router() throws -> EngineFixture {
        let fixture = EngineFixture(seed: 12)
        try fixture.configure(
            EngineFixture.configuration(peers: 2) { configuration in
                configuration.interfaces[0].addresses.append(.init(address: IPAddress("2001:db8::1")!, prefixLength: 64))
                configuration.bgp?.neighbors[0].bfd = ""
                configuration.bfd = BFDConfiguration()
                configuration.keyChains = [KeyChain(name: "core", keys: [.init(id: 1, algorithm: .hmacSHA1, secret: "old")])]
                configuration.rtr = RTRConfiguration(caches: [CacheConfiguration(address: StreamTests.cache)])
                var link = OSPFInterfaceConfiguration(name: "lan", areaID: .any, network: .pointToPoint)
                link.cost = 7
                configuration.ospf = OSPFConfiguration(
                    version: .v2, routerID: EngineFixture.routerAddress, areas: [OSPFAreaConfiguration(areaID: .any)],
                    interfaces: [link])
                configuration.ospfv3 = OSPFConfiguration(
                    version: .v3, routerID: EngineFixture.routerAddress, areas: [OSPFAreaConfiguration(areaID: .any)],
                    interfaces: [link])
                configuration.isis = ISISConfiguration(systemID: SystemID(raw: 1), areaAddresses: [AreaAddress("49.0001")!])
                configuration.isis?.levels = .level2
                configuration.isis?.interfaces = [ISISInterfaceConfiguration(interface: 0)]
                configuration.rip = RIPConfiguration(version: .v2, interfaces: [RIPInterfaceConfiguration(name: "lan")])
                configuration.ripng = RIPConfiguration(version: .ng, interfaces: [RIPInterfaceConfiguration(name: "lan")])
                configuration.staticRoutes = [
                    StaticRouteConfiguration(prefix: IPPrefix("10.8.0.0/16")!, destination: .nextHop(IPAddress("192.0.2.99")!)),
                    StaticRouteConfiguration(prefix: IPPrefix("2001:db8:8::/48")!, destination: .blackhole),
                ]
                configuration.redistribution = [
                    RedistributionConfiguration(from: .static, into: .ospf),
                    RedistributionConfiguration(from: .static, into: .bgp),
                ]
                configuration.aggregates = [AggregateConfiguration(prefix: IPPrefix("10.0.0.0/8")!, tag: 9)]
            })
        fixture.apply(.mastership(.a, Epoch(1), isFresh: false))
        fixture.apply(.redundancy(true))
        for n in 0..<2 { fixture.establish(n) }
        for i in 0..<5 {
            fixture.announce(i % 2, IPv4Prefix(IPv4Address(raw: 0x0a01_0000 | UInt32(i) << 8), 24), tail: [UInt32(100 + i)])
        }
        EngineBFDTests.report(fixture, .up)
        if let request = StreamTests.request(fixture) {
            fixture.apply(.tcpConnected(request.connection, StreamTests.identity(request.tuple, request.options)))
            let octets = StreamTests.response + StreamTests.payload(100, origin: 7) + StreamTests.end
            fixture.apply(.tcpReceived(request.connection, bytes: octets, peerTimestamp: 0))
        }
        for packet in packets { fixture.apply(.packetReceived(packet)) }
        fixture.pass(.seconds(12))
        // A message cut in two, and a packet that killed the twin.
        fixture.receive(1, Array(fixture.announcement(1, IPv4Prefix("10.2.0.0/16")!).prefix(30)))
        fixture.apply(.quarantined(.packet(QuarantineTests.response([QuarantineTests.bad]), message: 1)))
        return fixture
    }

    /// What neighbours of the interior gateway protocols say.
    private static var packets: [ReceivedPacket] {
        let neighbor = IPAddress("192.0.2.20")!, group = IPAddress("224.0.0.5")!
        let hello = OSPFPacket(
            routerID: 0xc000_0214, areaID: 0,
            .hello(
                HelloPacket(
                    networkMask: 0xffff_ff00, helloInterval: 10, routerDeadInterval: 40, options: .external, priority: 1,
                    designatedRouter: 0, backupDesignatedRouter: 0, neighbors: [EngineFixture.routerAddress.raw])))
        let station = MACAddress(raw: 0x5e00_0202)
        var contents = HelloContents()
        contents.areas = [AreaAddress("49.0001")!]
        contents.protocols = [0xcc, 0x8e]
        contents.ipv4Addresses = [IPv4Address("192.0.2.20")!]
        contents.lanNeighbors = [MACAddress(raw: 0x5e00_0101)]
        let lanHello = LANHello(
            level: .two, circuitType: .level2, source: SystemID(raw: 2), holdingTime: 30, priority: 64,
            lanID: NodeID(SystemID(raw: 2), pseudonode: 1), contents: contents)
        let lsp = LSPBuilder.encode(
            level: .two, id: LSPID(SystemID(raw: 2)), sequenceNumber: 5, remainingLifetime: 1000, flags: .level2,
            body: [TLVCode.hostname, 1, 120], key: nil)
        func isis(_ bytes: [UInt8]) -> ReceivedPacket {
            ReceivedPacket(
                interface: InterfaceID(0), packetProtocol: .isis, source: .station(station),
                destination: .station(ISISGroup.level2), hopLimit: 255, bytes: bytes)
        }
        return [
            ReceivedPacket(
                interface: InterfaceID(0), packetProtocol: .ospfv2, source: .ip(neighbor), destination: .ip(group),
                bytes: hello.encoded(version: .v2, source: neighbor, destination: group)),
            isis(lanHello.encoded()), isis(lsp), QuarantineTests.response([QuarantineTests.good]),
        ]
    }

    /// FNV-1a, of 64 bits: apart from the digests of the engine, which may change.
    private static func hash(_ octets: [UInt8]) -> String {
        let value = octets.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return String(value, radix: 16)
    }

    @Test func `a section whose octets change has another schema`() throws {
        let bytes = try Self.router().engine.state.encoded()
        let written = FormatTests.sections(of: bytes)
        // What is compared says something: it is state that another engine goes on from.
        let twin = try EngineState(decoding: bytes)
        #expect(twin.encoded() == bytes)

        let recording = Recording("sections")
        var blocks: [String] = []
        for (section, found) in zip(EngineSnapshot.sections, written) {
            let octets = Array(found.octets.dropFirst(12))
            let head = "\(section.name) schema \(found.schema): \(octets.count) octets, \(Self.hash(octets))"
            blocks.append(([head] + (octets.count <= 1024 ? StepRecorder.octets(octets) : [])).joined(separator: "\n"))
        }
        if Recording.isWriting { try recording.write(blocks.joined(separator: "\n\n") + "\n") }
        let recorded = (recording.text ?? "").split(separator: "\n\n").map { $0.hasSuffix("\n") ? $0.dropLast() : $0 }
        for (section, block) in zip(EngineSnapshot.sections, blocks) {
            guard let old = recorded.first(where: { $0.hasPrefix("\(section.name) schema ") }) else {
                Issue.record("section \(section.name) is not on record: LOCKSTEP_RECORD=1 records it")
                continue
            }
            guard old != block else { continue }
            let schema = block.prefix { $0 != ":" }
            Issue.record(
                """
                \(old.hasPrefix("\(schema):")
                    ? "raise the schema number of section \(section.name): its octets have changed. If they are other values in "
                        + "the same form, because the engine does something else, LOCKSTEP_RECORD=1 records them"
                    : "section \(section.name) has another schema: LOCKSTEP_RECORD=1 records it")
                \(Recording.difference(recorded: String(old), now: block) ?? "")
                """)
        }
        #expect(recorded.count == blocks.count, "there are other sections than on record")
    }
}
