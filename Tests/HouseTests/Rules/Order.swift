/// What keeps the sources readable: nothing unfinished, nothing that nobody uses, nothing too long.
enum Order {
    /// Lines of a file.
    static let fileMaximum = 900
    /// Lines of a function, from its first line to its closing brace.
    static let functionMaximum = 150

    private static let longBody = String(repeating: "        g(\"{\")\n", count: functionMaximum)

    static let rules = [
        Rule(
            name: "files stay within what one can hold in the head",
            findings: { house in
                house.sources.filter { $0.lines.count > fileMaximum }.map { "\($0.path) has \($0.lines.count) lines" }
            },
            planted: ["Sources/TCP/A.swift": String(repeating: "let a = 1\n", count: fileMaximum + 1)], count: 1),
        Rule(
            name: "functions stay within what one can hold in the head", findings: longFunctions,
            planted: [
                "Sources/TCP/A.swift": "struct A {\n    func f() {\n\(longBody)    }\n    func ok() {\n    }\n}\n",
                "Sources/TCP/B.swift": "extension A {\n    init(\n        a: Int\n    ) {\n\(longBody)    }\n}\n",
            ], count: 2),
        Rule(
            name: "no unfinished work is left in the sources",
            findings: unfinished, planted: ["Sources/TCP/A.swift": "// \(marks[0]): later\n// \(marks[1])\n"], count: 2),
        Rule(
            name: "every file has something in it, and a place", findings: strayFiles,
            planted: [
                "Sources/TCP/A.swift": "", "Sources/TCP/B.swift.orig": "let a = 1", "Sources/Redundancy/*.swift": "let b = 2",
                "Docs/c.md~": "text", "Sources/TCP/D.swift": "let d = 3", "Tests/TCPTests/Recorded/open.txt": "text",
                "Tests/TCPTests/Recorded/close.txt": "text", "Tests/TCPTests/E.swift": "let e = \"close\"",
            ], count: 5),
        Rule(
            name: "nothing is declared that nobody names", findings: DeadDeclarations.findings,
            planted: [
                "Sources/TCP/A.swift": """
                public struct Used {
                    var unused = 1
                    func neither() -> Used { Used() }
                    var description: String { "" }
                    enum Flags { static let urgent = 0x20 }
                }
                func tested() {}
                """,
                "Tests/TCPTests/A.swift": "@Test func name() { tested() }\nfunc nobody() {}\n",
            ], count: 3),
    ]

    /// In two parts, since tests are sources, too.
    private static let marks: [String] = ["TO" + "DO", "FIX" + "ME", "XX" + "X:"]

    private static func unfinished(_ house: House) -> [String] {
        house.files.flatMap { file in
            marks.filter { file.text.contains($0) }.map { "\(file.path): '\($0)'" }
        }
    }

    private static func longFunctions(_ house: House) -> [String] {
        house.sources.flatMap { source -> [String] in
            let start = #/^(\s*)(?:[@\w()]+\s+)*(?:func\s+`?\S|init[?(<]|subscript[(<])/#
            var findings: [String] = []
            for (number, line) in source.lines.enumerated() {
                guard let match = line.firstMatch(of: start), !line.hasSuffix("}") else { continue }
                // The formatter puts the closing brace under the first word.
                let closing = String(match.1) + "}"
                guard let end = source.lines[(number + 1)...].firstIndex(where: { $0.hasPrefix(closing) }) else { continue }
                let length = end - number + 1
                if length > functionMaximum { findings.append("\(source.path):\(number + 1): a function of \(length) lines") }
            }
            return findings
        }
    }

    private static func strayFiles(_ house: House) -> [String] {
        let name = #/[A-Za-z0-9_.+-]+/#
        let strays = ["~", ".orig", ".rej", ".bak", ".swp", ".log", ".tmp"]
        return house.tracked.compactMap { path, size in
            let last = path.split(separator: "/").last ?? ""
            if size == 0, last != "__init__.py" { return "\(path) is empty" }
            if last.wholeMatch(of: name) == nil || strays.contains(where: last.hasSuffix) { return "\(path) is a stray file" }
            // Each recording is compared with by a test of its target.
            let parts = path.split(separator: "/")
            if parts.count == 4, parts[2] == "Recorded", let name = last.split(separator: ".").first,
                !house.files.contains(where: { $0.isTest && $0.target == parts[1] && $0.text.contains("\"\(name)\"") })
            {
                return "\(path) is a recording that no test names"
            }
            return nil
        }
    }
}
