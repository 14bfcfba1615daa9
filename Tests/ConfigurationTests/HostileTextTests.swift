import Machine
import Testing

@testable import Configuration

/// Files that nobody meant as a configuration: each ends in problems or in a value, never in a trap, and soon.
@Suite struct HostileTextTests {
    private func errors(_ bytes: [UInt8]) -> [ConfigurationProblem] {
        let router = RouterText.read(bytes, file: "f").errors
        let controller = ControllerText.read(bytes, file: "f", directory: "/etc").errors
        #expect(router.count <= Problems.maximum + 1 && controller.count <= Problems.maximum + 1)
        return router
    }
    private func errors(_ text: String) -> [ConfigurationProblem] { errors(Array(text.utf8)) }

    @Test func `a bomb of aliases is refused before it is read`() {
        var text = "a: &a [x, x]\n"
        for i in 0..<40 {
            let name = "b\(i)", last = i == 0 ? "a" : "b\(i - 1)"
            text += "\(name): &\(name) [*\(last), *\(last)]\n"
        }
        #expect(
            errors(text).map(\.message) == [
                "the file has more than 10 aliases; name shared settings in a peer group instead"
            ])
    }

    @Test func `a few aliases are followed`() {
        let result = read(
            """
            interfaces:
              - {name: a, virtual-router-id: 1, addresses: &x [198.18.0.1/24]}
              - {name: b, virtual-router-id: 1, addresses: *x}
            """)
        #expect(result.errors.map(\.message) == ["198.18.0.1 is an address of interface 'a' already"])
    }

    @Test(arguments: ["[", "{a: ", "- ", "? ", "{? ", "[[a]: "])
    func `deep nesting is refused`(piece: String) {
        for count in [65, 900, 1_100, 100_000] {
            #expect(!errors(String(repeating: piece, count: count)).isEmpty)
            let closed = String(repeating: "[", count: count) + String(repeating: "]", count: count)
            #expect(!errors(closed).isEmpty)
        }
    }

    @Test func `indentation as deep as it goes is refused`() {
        var text = ""
        for i in 0..<1_500 { text += String(repeating: " ", count: i) + "a:\n" }
        #expect(!errors(text).isEmpty)
    }

    @Test func `a file that is too large or no text is refused`() {
        #expect(
            errors([UInt8](repeating: 0x20, count: YAMLLimits.octets + 1)).map(\.message) == [
                "the file has 4194305 octets; at most 4194304 are accepted"
            ])
        #expect(errors([0xff, 0xfe, 0x41]).map(\.message) == ["the file is not text in UTF-8"])
        #expect(!errors([0]).isEmpty)
        #expect(!errors("a: \u{7}").isEmpty)
    }

    @Test func `a key that is written twice is refused with its place`() {
        let problem = errors("hostname: a\nbgp: {}\nhostname: b\n").first
        #expect(problem?.message == "the key 'hostname' is written more than once in this mapping; keep one (again in line 3)")
        #expect(problem?.line == 1)
        #expect(
            errors("bgp: {as: 1, as: 2}").first?.message == "the key 'as' is written more than once in this mapping; keep one")
    }

    @Test(arguments: [
        "a: b: c", "\ta: 1", "a: [1", "--- a\n--- b", "*x", "? [a]\n: b", "!!binary x: y", "%YAML 9.9\n---\na: 1", "a: 'x",
        "\"\\x\"", "<<: {a: 1}", "- a", "42", "'text'",
    ])
    func `what is no mapping of ours has a problem with a place`(text: String) throws {
        let problem = try #require(errors(text).first)
        #expect(problem.line >= 1 && problem.column >= 1)
    }

    @Test func `a colon at an end within brackets is explained`() {
        #expect(errors("static-routes:\n  - {prefix: ::/0, blackhole: true}").contains { $0.message.contains("quote") })
    }

    @Test func `problems are bounded`() {
        let text = (0..<5_000).map { "key\($0): 1\n" }.joined()
        let result = read(text)
        #expect(result.problems.count == Problems.maximum + 1)
        #expect(result.problems.last?.message == "and 4900 more problems")
    }

    @Test func `every truncation of a good file is read without a trap`() {
        let bytes = Array(RouterTextTests.complete.utf8)
        for count in stride(from: 0, to: bytes.count, by: 7) { _ = errors(Array(bytes[..<count])) }
    }

    @Test func `no damaged octet makes a trap`() {
        var random = RandomNumbers(seed: 7)
        let bytes = Array(RouterTextTests.complete.utf8)
        let signs = Array("[]{}&*!|>'\"%@`#,:?- \n\t~\u{0}".utf8)
        for _ in 0..<1_500 {
            var damaged = bytes
            for _ in 0..<random.number(in: 1...4) {
                let place = random.number(in: 0...(damaged.count - 1))
                switch random.number(in: 0...2) {
                case 0: damaged[place] = signs[random.number(in: 0...(signs.count - 1))]
                case 1: damaged.remove(at: place)
                default: damaged.insert(UInt8(random.number(in: 0...255)), at: place)
                }
            }
            let result = RouterText.read(damaged, file: "f")
            #expect((result.value == nil) == !result.errors.isEmpty)
            if let value = result.value {
                #expect(RouterText.read(Array(RouterText.text(of: value).utf8), file: "f").value == value)
            }
        }
    }
}
