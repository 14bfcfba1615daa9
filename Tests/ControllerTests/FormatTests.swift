import Controller
import Engine
import Machine
import Records
import Redundancy
import Testing

/// Two controllers of different releases.
@Suite struct FormatTests {
    private static let section = "snapshot/bgp"

    private static func world(a: ClosedRange<UInt16>?, b: ClosedRange<UInt16>?) -> PairWorld {
        PairWorld { configuration in
            guard let range = configuration.id == .a ? a : b else { return }
            configuration.schemas = Controller.schemas.with(.init(section, range))
        }
    }

    /// The snapshot that went over the channel last.
    private static func snapshot(in world: PairWorld) -> [UInt8] {
        var bytes: [UInt8] = []
        for (_, message) in world.messages {
            switch message {
            case .bulkBegin: bytes = []
            case .bulkChunk(_, _, let octets): bytes += octets
            default: break
            }
        }
        return bytes
    }

    @Test func `the map names everything that crosses the channel, and fits into an introduction`() {
        let names = Controller.schemas.parts.map(\.name)
        #expect(names.contains("channel") && names.contains("records") && names.contains("configuration"))
        for section in EngineSnapshot.sections { #expect(names.contains("snapshot/\(section.name)")) }
        // The host adds its own.
        #expect(names.count < SchemaMap.partsMaximum)
        #expect(names.allSatisfy { $0.utf8.count <= SchemaMap.nameMaximum })
    }

    @Test(arguments: [(1...2, 1...1), (1...1, 1...3), (1...1, 1...1)] as [(ClosedRange<UInt16>, ClosedRange<UInt16>)])
    func `two that read different ranges agree on the older schema and use it`(
        _ a: ClosedRange<UInt16>, _ b: ClosedRange<UInt16>
    ) throws {
        let world = Self.world(a: a, b: b)
        world.start()
        #expect(world.run(.seconds(5)) { world.isRedundant })
        for node in world.nodes {
            #expect(node.controller.agreement?[Self.section] == 1)
            #expect(node.controller.agreement?["records"] == RecordSchema.current)
            #expect(world.said("the twin is of another release", by: node) == (a != b))
        }
        let format = try SnapshotFormat(EngineSnapshot.sections) { $0.name == "bgp" ? 1 : $0.schemas.upperBound }
        _ = try SnapshotSections(Self.snapshot(in: world), as: format)
        // What it took over is the router.
        world.kill(world.a)
        #expect(world.run(.seconds(2)) { world.b.state == .activeAlone })
        #expect(!world.said("sessions start anew"))
    }

    @Test func `two without a common schema of one section refuse each other and say which controller to update`() {
        let world = Self.world(a: 2...2, b: 1...1)
        world.start()
        world.run(.seconds(2))
        #expect(!world.isRedundant)
        let words =
            "the two releases cannot be combined: of 'snapshot/bgp' controller A speaks schema 2 and controller B speaks "
            + "schema 1: update controller B, which has the older release"
        for node in world.nodes { #expect(world.said(words, by: node)) }
        #expect(world.status(world.b).warnings.contains { $0.contains(words) })
    }

    @Test func `a section that only one of the two has is a reason to refuse`() {
        let world = PairWorld { configuration in
            if configuration.id == .b { configuration.schemas = configuration.schemas.with(.init("snapshot/ldp", 1...1)) }
        }
        world.start()
        world.run(.seconds(2))
        #expect(!world.isRedundant)
        for node in world.nodes {
            #expect(
                world.said(
                    "controller A does not know 'snapshot/ldp': update controller A, which has the older release", by: node))
        }
    }

    @Test func `a section that can be done without does not part the two`() {
        let world = PairWorld { configuration in
            if configuration.id == .b { configuration.schemas = configuration.schemas.with(.init("snapshot/ldp", 0...1)) }
        }
        world.start()
        #expect(world.run(.seconds(5)) { world.isRedundant })
        #expect(world.nodes.allSatisfy { $0.controller.agreement?["snapshot/ldp"] == 0 })
    }

    @Test func `what the maps promise and the engine does not have is refused before anything is sent in it`() {
        let world = Self.world(a: 1...3, b: 1...3)
        world.start()
        world.run(.seconds(2))
        #expect(!world.isRedundant)
        #expect(world.said("section 'bgp' of the snapshot would have to be of schema 3, and this release has 1 to 2"))
    }
}
