/// Finds declarations whose name stands nowhere else, neither in the sources nor in the tests.
///
/// It works on names, so it finds only what is certainly dead: a name that two declarations share counts as used. Numbers of
/// a registry (cases with values, static constants) are there to be complete, and what a protocol of a library asks for is
/// called by the library.
enum DeadDeclarations {
    private static let demanded: Set<String> = [
        "description", "debugDescription", "allKeys", "codingPath", "unownedExecutor", "channelActive", "channelInactive",
        "channelRead", "channelReadComplete", "channelWritabilityChanged", "errorCaught", "handlerAdded", "handlerRemoved",
        "testDescription", "configuration", "buildBlock", "buildOptional", "buildEither", "buildArray", "buildExpression",
    ]

    static func findings(in house: House) -> [String] {
        var uses: [Substring: Int] = [:]
        for file in house.files {
            for line in file.text.split(separator: "\n") where !line.drop(while: { $0 == " " }).hasPrefix("//") {
                for word in line.split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" }) {
                    uses[word, default: 0] += 1
                }
            }
        }
        let declaration =
            #/
            ^\s*(?:(?:@\w+(?:\([^)]*\))?|public|private|fileprivate|internal|package|final|mutating|indirect|static|lazy|weak
            |borrowing|consuming|nonisolated|(?:private|internal|fileprivate)\(set\))\s+)*
            (func|var|let|struct|class|enum|actor|protocol|typealias)\s+([A-Za-z_]\w*)
            /#
        return house.files.flatMap { file -> [String] in
            file.lines.enumerated().compactMap { number, line in
                guard let match = line.firstMatch(of: declaration), uses[match.2] == 1 else { return nil }
                let name = String(match.2)
                if demanded.contains(name) || (match.1 == "let" && line.contains("static ")) { return nil }
                // A test's own types have members for what is tested, such as codings, to find.
                if file.isTest, match.1 == "var" { return nil }
                // The test library calls these by their attributes.
                let before = number > 0 ? file.lines[number - 1] : ""
                if file.isTest, isTest(line) || isTest(before) || name.hasSuffix("Tests") || before.hasSuffix(")") { return nil }
                return "\(file.path):\(number + 1): nobody names '\(name)'"
            }
        }
    }

    private static func isTest(_ line: String) -> Bool { line.contains("@Test") || line.contains("@Suite") }
}
