import Foundation
import Testing

@testable import Configuration

@Suite struct SettingsReferenceTests {
    private func entries(_ entries: [SettingEntry], _ path: String = "") -> [(path: String, entry: SettingEntry)] {
        entries.flatMap { entry in
            [(path + entry.key, entry)] + self.entries(entry.entries, path + entry.key + entry.shape.separator)
        }
    }
    private var all: [(path: String, entry: SettingEntry)] {
        entries(RouterText.section.description.entries) + entries(ControllerSections(directory: "").file.description.entries)
            + entries(WitnessText.section("").description.entries)
    }

    @Test func `the manual is what the tables say`() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Docs/reference.md")
        #expect(
            try String(contentsOf: file, encoding: .utf8) == SettingsReference.manual,
            "write it anew: lockstepctl config reference > Docs/reference.md")
    }

    @Test func `every setting says what it is for and which values it has`() {
        #expect(all.count > 300)
        for (path, entry) in all {
            #expect(!entry.sentence.isEmpty, "\(path)")
            #expect(!entry.values.isEmpty || !entry.entries.isEmpty, "\(path)")
        }
    }

    @Test func `no key stands twice in one mapping`() {
        func check(_ entries: [SettingEntry], _ path: String) {
            #expect(Set(entries.map(\.key)).count == entries.count, "\(path)")
            for entry in entries { check(entry.entries, path + "." + entry.key) }
        }
        check(RouterText.section.description.entries, "router")
        check(ControllerSections(directory: "").file.description.entries, "controller")
    }

    @Test func `what is hidden is what the tables call secret`() {
        #expect(Secrets.keys == ["password", "secret"])
        // Each of them names keys of whole secrets only: another setting of that name would be hidden as well.
        for (path, entry) in all where Secrets.keys.contains(entry.key) { #expect(entry.isSecret, "\(path)") }
    }

    @Test func `failure injection is in no manual`() {
        #expect(!SettingsReference.manual.contains("trap-on-prefix"))
        #expect(!SettingsReference.completions(of: "").contains("testing"))
    }

    @Test(arguments: [
        ("ospf", ["ospf", "ospfv3", "ospfv3-ipv4"]), ("bgp.neighbors[3].remo", ["remote-as", "remove-private-as"]),
        ("bfd.profiles.fast.multi", ["multiplier"]), ("isis.metric-style:", ["wide", "narrow", "transition"]),
        ("isis.metric-style: w", ["wide"]), ("bfd.profiles.", []), ("nothing.at.all", []),
        ("rip.interfaces.send: 1", ["1", "1-compatible"]),
        (
            "policies.p.statements.match.as-",
            ["as-path", "as-path-set", "as-path-length", "as-path-contains", "as-path-only", "as-repetition", "as-set"]
        ),
    ])
    func `a path is completed`(path: String, expected: [String]) {
        #expect(SettingsReference.completions(of: path) == expected)
    }

    @Test func `the other files are completed as well`() {
        #expect(SettingsReference.completions(of: "redundancy.ke", in: "controller") == ["key-file"])
        #expect(SettingsReference.completions(of: "guard:", in: "controller") == ["check", "install", "ignore"])
        #expect(SettingsReference.completions(of: "pairs.p.", in: "witness") == ["key-file"])
        #expect(SettingsReference.completions(of: "", in: "no file") == [])
    }
}
