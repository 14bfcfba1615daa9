import Foundation
import Testing

/// The sources read by a test: the promises of STYLE that a compiler does not check.
@Suite struct HouseTests {
    /// Layers from the floor up. An import may only point to an earlier layer; within a layer none knows another,
    /// except on the floor, whose rooms are stacked in the order given.
    static let layers: [[String]] = [
        ["Wire"], ["Machine"], ["Records"],
        ["Routing", "SPF", "Digests"],
        ["TCP", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR"],
        ["Engine", "LineCard", "Redundancy", "Datastore"],
        ["Controller", "Witness"],
        ["Configuration", "Management", "Identity", "CHost", "CPcap"],
        ["Host", "WitnessServer", "Simulator"],
        ["lockstepd", "lockstepctl", "lockstep-witness", "simulate", "bench"],
    ]
    /// Targets that must be the same on both controllers: no clock, no chance, no I/O, no hash order.
    static let deterministic = [
        "Wire", "Machine", "Records", "Routing", "SPF", "Digests", "TCP", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR",
        "Engine", "LineCard", "Redundancy", "Witness", "Controller", "Simulator",
    ]

    /// Targets that compute with integers only.
    static let integral = [
        "Machine", "Records", "Routing", "SPF", "Digests", "BGP", "OSPF", "ISIS", "RIP", "BFD", "RTR", "Engine",
    ]

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    struct Source {
        var target: String
        var path: String
        /// Comments and string contents are blanked out; line numbers are kept.
        var lines: [String]
    }

    static let sources: [Source] = {
        let folder = root.appendingPathComponent("Sources")
        let names = FileManager.default.enumerator(atPath: folder.path)?.allObjects as? [String] ?? []
        return names.filter { $0.hasSuffix(".swift") }.sorted().compactMap { name in
            guard let text = try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8) else { return nil }
            return Source(
                target: String(name.prefix { $0 != "/" }), path: "Sources/" + name, lines: SourceText.code(of: text))
        }
    }()

    static func imports(of source: Source) -> [(line: Int, module: String)] {
        source.lines.enumerated().compactMap { number, line in
            var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            while let first = words.first, first.hasPrefix("@") || ["public", "internal", "private"].contains(first) {
                words.removeFirst()
            }
            guard words.first == "import", words.count > 1 else { return nil }
            let kinds: Set<Substring> = ["struct", "class", "enum", "func", "protocol", "typealias", "var"]
            let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
            return (number + 1, String(name.prefix { $0 != "." }))
        }
    }

    @Test func `the sources are found`() {
        #expect(Self.sources.count > 20)
        let known = Set(Self.layers.joined())
        for target in Set(Self.sources.map(\.target)) {
            #expect(known.contains(target), "\(target) has no place in the target graph: say in HouseTests where it belongs")
        }
    }

    @Test func `arrows only point down`() {
        var height: [String: Int] = [:]
        for (level, names) in Self.layers.enumerated() { for name in names { height[name] = level } }
        for source in Self.sources {
            for (line, module) in Self.imports(of: source) {
                guard let target = height[source.target], let imported = height[module] else { continue }
                #expect(imported < target, "\(source.path):\(line): \(source.target) must not know \(module)")
            }
        }
    }

    @Test func `what is deterministic imports nothing that could do I/O`() {
        let allowed = Set(Self.deterministic)
        for source in Self.sources where allowed.contains(source.target) {
            for (line, module) in Self.imports(of: source) {
                #expect(allowed.contains(module), "\(source.path):\(line): \(source.target) must not import \(module)")
            }
        }
    }

    @Test func `no clock and no chance below the host`() {
        let forbidden = [
            "ContinuousClock", "SuspendingClock", "Date()", "DispatchTime", "clock_gettime", "gettimeofday",
            "SystemRandomNumberGenerator", ".random(in", ".randomElement(", ".shuffled()", ".shuffle()", "arc4random",
            "Hasher()", ".hashValue", "ObjectIdentifier", "Task {", "Task.sleep", "DispatchQueue", "Thread(",
            "ProcessInfo", "getenv",
        ]
        for source in Self.sources where Self.deterministic.contains(source.target) {
            for (number, line) in source.lines.enumerated() {
                for word in forbidden where line.contains(word) {
                    Issue.record("\(source.path):\(number + 1): '\(word)' is not deterministic")
                }
            }
        }
    }

    @Test func `no floating point in the engine`() {
        // Codable demands the members for floating point of its coders; theirs refuse.
        let coders: Set<String> = ["Sources/Machine/BinaryEncoder.swift", "Sources/Machine/BinaryDecoder.swift"]
        for source in Self.sources
        where Self.integral.contains(source.target) && !coders.contains(source.path) {
            for (number, line) in source.lines.enumerated() {
                for word in [": Double", ": Float", "Double(", "Float("] where line.contains(word) {
                    Issue.record("\(source.path):\(number + 1): '\(word)' in an engine target")
                }
            }
        }
    }

    @Test func `hashed collections are looked up but never iterated`() {
        for target in Self.deterministic {
            let files = Self.sources.filter { $0.target == target }
            for finding in HashOrder.findings(in: files.map { ($0.path, $0.lines) }) { Issue.record("\(finding)") }
        }
    }

    @Test func `a hash-ordered loop is found`() {
        let planted = [
            "struct A {", "    var sessions: [PeerIndex: Session] = [:]", "    var seen = Set<Int>()",
            "    func f() { for (k, v) in sessions { use(k, v) } }", "    func g() { seen.forEach { use($0) } }",
            "    func h() -> [Session] { sessions.values.map { $0 } }", "    func ok() -> Session? { sessions[3] }", "}",
        ]
        #expect(HashOrder.findings(in: [("planted.swift", planted)]).count == 3)
    }

    @Test func `a wall clock in a comment or a string is not mistaken for one in code`() {
        let code = SourceText.code(of: "let a = \"Date()\" // Date()\n/* Date() */ let b = 1\nlet c = Date()")
        #expect(code.map { $0.contains("Date()") } == [false, false, true])
    }

    @Test func `files stay within what one can hold in the head`() {
        for source in Self.sources where source.lines.count > 900 {
            Issue.record("\(source.path) has \(source.lines.count) lines: split it by meaning")
        }
    }

    @Test func `no unfinished work is left in the sources`() {
        for source in Self.sources {
            guard let text = try? String(contentsOf: Self.root.appendingPathComponent(source.path), encoding: .utf8) else {
                continue
            }
            for mark in ["TO" + "DO", "FIX" + "ME", "XX" + "X:"] where text.contains(mark) {
                Issue.record("\(source.path): '\(mark)'")
            }
        }
    }

    @Test func `the package names the same targets as this test`() throws {
        let package = try String(contentsOf: Self.root.appendingPathComponent("Package.swift"), encoding: .utf8)
        for target in Self.layers.joined() { #expect(package.contains("\"\(target)\""), "\(target)") }
    }
}
