import Machine
import Testing
import Wire

@Suite struct SnapshotSectionsTests {
    private static let old = SnapshotSection(1, "old", schemas: 1...2)
    private static let new = SnapshotSection(7, "new", schemas: 4...4)
    private static let newest = SnapshotFormat(newest: [old, new])

    /// A state that has learnt a second number in schema 2 of its section.
    private struct State: Equatable {
        var first: UInt32 = 5
        var second: UInt32 = 9

        func encoded(_ format: SnapshotFormat) -> [UInt8] {
            var writer = SnapshotWriter(as: format)
            writer.section(old) { w in
                w.write(first)
                if w.schema > 1 { w.write(second) }
            }
            writer.section(new) { $0.write("new") }
            return writer.bytes
        }

        init() {}
        init(_ bytes: [UInt8], _ format: SnapshotFormat) throws(SnapshotError) {
            let sections = try SnapshotSections(bytes, as: format)
            // Sections are found by number, in whichever order they are asked for.
            _ = try sections.read(new) { r throws(DecodeError) in try r.readString() }
            (first, second) = try sections.read(old) { r throws(DecodeError) in
                let first: UInt32 = try r.read()
                return (first, r.schema > 1 ? try r.read() : 0)
            }
        }
    }

    private static func refusal(_ bytes: [UInt8], _ format: SnapshotFormat = newest) -> String? {
        do throws(SnapshotError) {
            _ = try State(bytes, format)
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// Where the header of the second section begins.
    private static let second = 4 + 12 + 8

    @Test func `each section is written in the schema that was agreed, and comes back`() throws {
        var state = State()
        #expect(try State(state.encoded(Self.newest), Self.newest) == state)
        let older = try SnapshotFormat([Self.old, Self.new]) { $0 == Self.old ? 1 : 4 }
        #expect(older[Self.old] == 1)
        let bytes = state.encoded(older)
        #expect(bytes.count == state.encoded(Self.newest).count - 4)
        state.second = 0
        #expect(try State(bytes, older) == state)
    }

    @Test func `a form that this release does not have cannot be agreed on`() {
        #expect(
            throws: SnapshotError.unwritable(section: "old", schema: 3, known: 1...2)
        ) { try SnapshotFormat([Self.old]) { _ in 3 } }
    }

    @Test func `what is not the snapshot that was agreed on is refused in words`() throws {
        let bytes = State().encoded(Self.newest)
        #expect(Self.refusal(bytes) == nil)

        var other = bytes
        other[0] = 5
        #expect(Self.refusal(other) == "the snapshot is laid out in form 5, this release knows form 6")

        other = bytes
        other[Self.second] = 8
        #expect(Self.refusal(other) == "the snapshot has section 8 at octet 24, which this release does not know")

        other = bytes
        other[6] = 3
        #expect(
            Self.refusal(other)
                == "section 'old' of the snapshot has schema 3, agreed was 2, and this release reads 1 to 2")
        let older = try SnapshotFormat([Self.old, Self.new]) { $0 == Self.old ? 1 : 4 }
        #expect(
            Self.refusal(bytes, older)
                == "section 'old' of the snapshot has schema 2, agreed was 1, and this release reads 1 to 2")

        #expect(
            Self.refusal(bytes + bytes[4..<Self.second]) == "section 'old' is twice in the snapshot")
        #expect(Self.refusal(Array(bytes[..<Self.second])) == "section 'new' is missing from the snapshot")

        // A length of more than there is, of less than was written, and of more than was written.
        other = bytes
        other[Self.second + 11] = 1
        #expect(Self.refusal(other)?.hasPrefix("section 'new' of the snapshot says that it has ") == true)
        other = bytes
        other[Self.second + 4] -= 1
        #expect(Self.refusal(other)?.contains("ends early") == true)
        other = bytes + [0]
        other[Self.second + 4] += 1
        #expect(Self.refusal(other) == "section 'new' of the snapshot is damaged: snapshot at octet 47: trailing")
    }

    @Test func `no section can be read beyond its end, and no truncation is taken`() {
        let bytes = State().encoded(Self.newest)
        for length in bytes.indices { #expect(Self.refusal(Array(bytes[..<length])) != nil, "\(length)") }
        // A string that would reach into what follows its section.
        var writer = SnapshotWriter(as: Self.newest)
        writer.section(Self.new) { $0.write(UInt64(20)) }
        writer.section(Self.old) { w in for n in 0..<4 { w.write(UInt64(n)) } }
        #expect(Self.refusal(writer.bytes) == "section 'new' of the snapshot is damaged: snapshot at octet 24: truncated")
    }
}
