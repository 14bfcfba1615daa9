import Testing

@testable import Configuration

@Suite struct TextDifferenceTests {
    @Test func `equal texts have no difference`() {
        #expect(TextDifference.lines(from: "a\nb\n", to: "a\nb\n") == [])
    }

    @Test func `a change is shown below the lines that it belongs to`() throws {
        let old = try #require(read(RouterTextTests.complete).value)
        var new = old
        new.hostname = "border2"
        new.bgp?.neighbors[1].timers.hold = 30
        new.bgp?.neighbors.remove(at: 2)
        let lines = TextDifference.lines(from: RouterText.text(of: old), to: RouterText.text(of: new))
        #expect(
            lines.starts(with: [
                "- hostname: border1",
                "+ hostname: border2", "  bgp:", "  …", "    neighbors:", "  …", "      - address: 2001:db8:18::99", "  …",
                "+       timers:", "+         hold: 30",
            ]))
        #expect(lines.contains("-     - address: 192.0.2.1"))
        #expect(!lines.contains { $0.contains("from-customer:") })
    }

    @Test func `what is added to a list is shown as one piece, however alike its neighbours are`() {
        let old = "neighbors:\n  - address: 1\n    import: all\n    export: all\n"
        let new = old + "  - address: 2\n    import: all\n    export: all\n"
        #expect(
            TextDifference.lines(from: old, to: new) == [
                "  neighbors:", "  …", "+   - address: 2", "+     import: all", "+     export: all",
            ])
        #expect(
            TextDifference.lines(from: new, to: old) == [
                "  neighbors:", "  …", "-   - address: 2", "-     import: all", "-     export: all",
            ])
    }

    @Test func `very different and very long texts are compared without end`() {
        let old = (0..<20_000).map { "a\($0)" }.joined(separator: "\n")
        let new = (0..<20_000).map { "b\($0)" }.joined(separator: "\n")
        #expect(TextDifference.lines(from: old, to: new).count == 40_000)
    }
}
