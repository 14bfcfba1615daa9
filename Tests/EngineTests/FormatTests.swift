import Machine
import Records
import Testing
import Wire

@testable import Engine

/// The snapshot as a sequence of sections.
@Suite struct FormatTests {
    private static func populated() throws -> EngineFixture {
        let fixture = EngineFixture(seed: 6)
        try fixture.configure(EngineFixture.configuration(peers: 3))
        for n in 0..<3 { fixture.establish(n) }
        for i in 0..<40 {
            fixture.announce(i % 3, IPv4Prefix(IPv4Address(raw: 0x0a00_0000 | UInt32(i) << 8), 24), tail: [UInt32(100 + i % 5)])
        }
        return fixture
    }

    /// Number, schema and octets of each section, header included.
    static func sections(of bytes: [UInt8]) -> [(number: UInt16, schema: UInt16, octets: [UInt8])] {
        var list: [(number: UInt16, schema: UInt16, octets: [UInt8])] = []
        var at = 4
        while at < bytes.count {
            func value(_ offset: Int, _ count: Int) -> Int {
                (0..<count).reduce(0) { $0 | Int(bytes[at + offset + $1]) << (8 * $1) }
            }
            let end = at + 12 + value(4, 8)
            list.append((UInt16(value(0, 2)), UInt16(value(2, 2)), Array(bytes[at..<end])))
            at = end
        }
        return list
    }

    private static func refusal(_ bytes: [UInt8], as format: SnapshotFormat = EngineSnapshot.newest) -> String? {
        var engine = Engine(seed: 1)
        let before = engine.digest
        guard case .restoreFailed(let error) = engine.perform(.restore(bytes, as: format)) else { return nil }
        #expect(engine.digest == before)
        return "\(error)"
    }

    @Test func `every section has a number and a name of its own, and is written once, in order`() throws {
        let sections = EngineSnapshot.sections
        for (i, section) in sections.enumerated() {
            #expect(section.schemas.lowerBound > 0)
            #expect(!sections[..<i].contains { $0.number == section.number || $0.name == section.name })
        }
        let written = Self.sections(of: try Self.populated().engine.state.encoded())
        #expect(written.map(\.number) == sections.map(\.number))
        #expect(written.map(\.schema) == sections.map(\.schemas.upperBound))
    }

    @Test func `the sections come back in any order, each as it was`() throws {
        let fixture = try Self.populated()
        let bytes = fixture.engine.state.encoded()
        let turned = Array(bytes[..<4]) + Self.sections(of: bytes).reversed().flatMap(\.octets)
        let twin = try EngineState(decoding: turned)
        #expect(twin.digest == fixture.engine.digest)
        #expect(twin.encoded() == bytes)
        for (one, other) in zip(Self.sections(of: twin.encoded()), Self.sections(of: bytes)) {
            #expect(one.octets == other.octets, "section \(one.number)")
        }
    }

    @Test func `a section that is missing, twice, unknown, or of another schema or length is named`() throws {
        let bytes = try Self.populated().engine.state.encoded()
        let list = Self.sections(of: bytes)
        for (i, section) in EngineSnapshot.sections.enumerated() {
            func with(_ change: (inout [[UInt8]]) -> Void) -> String? {
                var parts = list.map(\.octets)
                change(&parts)
                return Self.refusal(Array(bytes[..<4]) + parts.joined())
            }
            #expect(with { _ in } == nil)
            #expect(with { $0.remove(at: i) } == "section '\(section.name)' is missing from the snapshot")
            #expect(with { $0.append($0[i]) } == "section '\(section.name)' is twice in the snapshot")
            #expect(with { $0[i][0] = 200 }?.hasPrefix("the snapshot has section 200 at octet ") == true)
            let (oldest, newest) = (section.schemas.lowerBound, section.schemas.upperBound)
            let known = oldest == newest ? "\(newest)" : "\(oldest) to \(newest)"
            #expect(
                with { $0[i][2] = 9 }
                    == "section '\(section.name)' of the snapshot has schema 9, agreed was \(newest), and this release reads \(known)"
            )
            #expect(with { $0[i][11] = 1 }?.hasPrefix("section '\(section.name)' of the snapshot says that it has ") == true)
            // An octet more than its schema has, within the section.
            #expect(
                with { parts in
                    parts[i].append(0)
                    parts[i][4] &+= 1
                    if parts[i][4] == 0 { parts[i][5] += 1 }
                }?.hasPrefix("section '\(section.name)' of the snapshot is damaged: ") == true)
        }
        #expect(Self.refusal([5, 0, 0, 0] + bytes[4...]) == "the snapshot is laid out in form 5, this release knows form 6")
        #expect(Self.refusal([]) == "the snapshot ends early: snapshot at octet 0: truncated")
    }

    @Test func `a snapshot of another schema than was agreed is refused, though it could be read`() throws {
        let bytes = try Self.populated().engine.state.encoded()
        let sections = EngineSnapshot.sections.map {
            $0.name == "rip" ? SnapshotSection($0.number, $0.name, schemas: 1...2) : $0
        }
        let agreed = SnapshotFormat(newest: sections)
        #expect(
            Self.refusal(bytes, as: agreed)
                == "section 'rip' of the snapshot has schema 1, agreed was 2, and this release reads 1 to 2")
    }

    @Test func `mutants of a whole snapshot never trap, and what is taken goes on`() throws {
        var random = RandomNumbers(seed: 11)
        let fixture = try Self.populated()
        let bytes = fixture.engine.state.encoded()
        var taken = 0
        for _ in 0..<1500 {
            var mutant = bytes
            for _ in 0...random.number(in: 0...2) {
                let at = random.number(in: 0...(mutant.count - 1))
                switch random.number(in: 0...3) {
                case 0: mutant[at] ^= 1 << UInt8(random.number(in: 0...7))
                case 1: mutant[at] = UInt8(random.number(in: 0...255))
                case 2: mutant[at] = random.chance(1, in: 2) ? 0 : 255
                default: mutant.remove(at: at)
                }
            }
            var engine = Engine(seed: 1)
            if case .restored = engine.perform(.restore(mutant)) { taken += 1 }
        }
        // Most octets are values of which any is as good as another.
        #expect(taken > 0)
    }
}
