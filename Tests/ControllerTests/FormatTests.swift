import Controller
import Engine
import Machine
import Records
import Redundancy
import Testing

/// Two controllers of different releases.
@Suite struct FormatTests {
    private static let section = "snapshot/bgp"
    /// What this release reads and writes of it.
    private static let own = EngineSnapshot.sections.first { $0.name == "bgp" }!.schemas.upperBound

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

    @Test(
        arguments: [
            (FormatTests.own...FormatTests.own + 1, FormatTests.own...FormatTests.own),
            (FormatTests.own...FormatTests.own, FormatTests.own...FormatTests.own + 2),
            (FormatTests.own...FormatTests.own, FormatTests.own...FormatTests.own),
        ]
            as [(ClosedRange<UInt16>, ClosedRange<UInt16>)])
    func `two that read different ranges agree on the older schema and use it`(
        _ a: ClosedRange<UInt16>, _ b: ClosedRange<UInt16>
    ) throws {
        let world = Self.world(a: a, b: b)
        world.start()
        #expect(world.run(.seconds(5)) { world.isRedundant })
        for node in world.nodes {
            #expect(node.controller.agreement?[Self.section] == Self.own)
            #expect(node.controller.agreement?["records"] == RecordSchema.current)
            #expect(world.said("the twin is of another release", by: node) == (a != b))
        }
        let format = try SnapshotFormat(EngineSnapshot.sections) { $0.schemas.upperBound }
        _ = try SnapshotSections(Self.snapshot(in: world), as: format)
        // What it took over is the router.
        world.kill(world.a)
        #expect(world.run(.seconds(2)) { world.b.state == .activeAlone })
        #expect(!world.said("sessions start anew"))
    }

    @Test func `two without a common schema of one section refuse each other and say which controller to update`() {
        let world = Self.world(a: Self.own + 1...Self.own + 1, b: nil)
        world.start()
        world.run(.seconds(2))
        #expect(!world.isRedundant)
        let words =
            "the two releases cannot be combined: of 'snapshot/bgp' controller A speaks schema \(Self.own + 1) and controller B "
            + "speaks schema \(Self.own): update controller B, which has the older release"
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
        let world = Self.world(a: Self.own...Self.own + 1, b: Self.own...Self.own + 1)
        world.start()
        world.run(.seconds(2))
        #expect(!world.isRedundant)
        let words = "section 'bgp' of the snapshot would have to be of schema \(Self.own + 1), and this release has \(Self.own)"
        #expect(world.said(words))
    }
}
