import Foundation
import Testing

/// The sources read by a test: the promises of the house that a compiler does not check. Each rule proves itself by offences
/// that it must find.
@Suite struct HouseTests {
    @Test func `the sources are found`() {
        #expect(House.onDisk.sources.count > 400)
        #expect(House.onDisk.files.count > 600)
    }

    @Test("the house keeps its rules", arguments: Rule.all)
    func holds(_ rule: Rule) {
        for finding in rule.findings(.onDisk) { Issue.record("\(rule.name): \(finding)") }
    }

    @Test("a planted offence is found", arguments: Rule.all)
    func finds(_ rule: Rule) {
        let findings = rule.findings(House(planted: rule.planted))
        #expect(findings.count == rule.count, "\(findings)")
    }

    @Test func `a wall clock in a comment or a string is not mistaken for one in code`() {
        let code = SourceText.code(of: "let a = \"Date()\" // Date()\n/* Date() */ let b = 1\nlet c = Date()")
        #expect(code.map { $0.contains("Date()") } == [false, false, true])
    }

    @Test func `the package names the same targets as the graph`() throws {
        let package = try String(contentsOf: House.root.appendingPathComponent("Package.swift"), encoding: .utf8)
        for target in Layers.layers.joined() { #expect(package.contains("\"\(target)\""), "\(target)") }
    }
}
