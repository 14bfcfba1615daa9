import Foundation
import Testing

@testable import Configuration

/// The files of Docs/examples are what operators begin with.
@Suite struct ExampleTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Docs/examples")
    static let names =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).filter { $0.hasSuffix(".yaml") }.sorted()

    @Test func `there are examples, and the list of them names each`() throws {
        let list = try String(contentsOf: Self.folder.appendingPathComponent("README.md"), encoding: .utf8)
        #expect(Self.names.count >= 6)
        for name in Self.names { #expect(list.contains("`\(name)`")) }
    }

    @Test(arguments: names) func `an example is read without a word against it`(name: String) throws {
        let bytes = Array(try Data(contentsOf: Self.folder.appendingPathComponent(name)))
        let kind = ConfigurationKind.of(bytes)
        #expect(
            kind == (name.hasPrefix("controller") ? .controller : name.hasPrefix("witness") ? .witness : .router),
            "told apart by its keys")
        #expect(kind.problems(bytes, file: name, directory: "/etc/lockstep").map(\.description) == [])
        guard kind == .router else { return }
        let configuration = try #require(RouterText.read(bytes, file: name).value)
        let canonical = RouterText.text(of: configuration)
        #expect(RouterText.read(Array(canonical.utf8), file: name).value == configuration)
    }
}
