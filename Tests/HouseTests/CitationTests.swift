import Foundation
import Testing

/// What comments and documents point to must be there.
@Suite struct CitationTests {
    private static func documents() throws -> [(name: String, text: String)] {
        let folder = House.root.appendingPathComponent("Docs")
        let names = FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String] ?? []
        return try names.filter { $0.hasSuffix(".md") }.sorted().map { name in
            (name, try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8))
        }
    }

    @Test func `every section of the design that a source cites is there`() throws {
        let design = try #require(try Self.documents().first { $0.name == "design.md" }).text
        let sections = Set(
            design.split(separator: "\n").compactMap { line in
                line.hasPrefix("## ") ? Int(line.dropFirst(3).prefix { $0.isNumber }) : nil
            })
        var cited = 0
        for source in House.onDisk.sources {
            let text = try String(contentsOf: House.root.appendingPathComponent(source.path), encoding: .utf8)
            for part in text.components(separatedBy: "DESIGN §").dropFirst() {
                let number = Int(part.prefix { $0.isNumber })
                cited += 1
                #expect(number.map(sections.contains) ?? false, "\(source.path): DESIGN §\(part.prefix(4))")
            }
        }
        #expect(cited > 20)
    }

    @Test func `no document links to a file that is not there`() throws {
        var links = 0
        for (name, text) in try Self.documents() {
            let folder = House.root.appendingPathComponent("Docs/\(name)").deletingLastPathComponent()
            for part in text.components(separatedBy: "](").dropFirst() {
                let target = part.prefix { $0 != ")" && $0 != "#" }
                guard !target.isEmpty, !target.contains("://") else { continue }
                links += 1
                #expect(
                    FileManager.default.fileExists(atPath: folder.appendingPathComponent(String(target)).path),
                    "\(name) links to \(target)")
            }
        }
        #expect(links > 10)
    }
}
