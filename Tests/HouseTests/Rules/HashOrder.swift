import Foundation

/// Finds loops over dictionaries and sets: their order differs in every process.
///
/// It works on names: a name declared as a dictionary or a set must not be walked in its file, nor in another file of the
/// same type (`Type.swift`, `Type+Concern.swift`) if it is a member. A name that two declarations share can be reported
/// wrongly; another name mends that and reads better, too.
enum HashOrder {
    static func findings(in files: [House.Source]) -> [String] {
        var members: [String: Set<String>] = [:]
        for file in files {
            for line in file.lines where line.hasPrefix("    ") && !line.hasPrefix("     ") {
                members[file.typeName, default: []].formUnion(hashedNames(in: line))
            }
        }
        var findings: [String] = []
        for file in files {
            var names = members[file.typeName] ?? []
            for line in file.lines { names.formUnion(hashedNames(in: line) + hashedParameters(in: line)) }
            for (number, line) in file.lines.enumerated() {
                for name in names.sorted() where walks(name, in: line) {
                    findings.append("\(file.path):\(number + 1): '\(name)' is hashed; its order differs in every process")
                }
            }
        }
        return findings
    }

    /// Parameters of a function that are dictionaries or sets.
    private static func hashedParameters(in line: String) -> [String] {
        guard line.contains("func ") || line.contains("init(") else { return [] }
        return line.matches(of: #/(\w+): (?:Set<|\[[\w.]+: )/#).map { String($0.1) }
    }

    private static func isNamePart(_ c: Character) -> Bool { c.isLetter || c.isNumber || c == "_" }

    /// Names that the line declares with a dictionary or set type.
    static func hashedNames(in line: String) -> [String] {
        guard line.contains("[") || line.contains("Set<") || line.contains("Dictionary<") else { return [] }
        guard
            let keyword = [" var ", " let "].compactMap({ line.range(of: $0) }).min(by: { $0.lowerBound < $1.lowerBound })
                ?? ["var ", "let "].compactMap({ line.hasPrefix($0) ? line.range(of: $0) : nil }).first
        else { return [] }
        let rest = line[keyword.upperBound...]
        let name = String(rest.prefix(while: isNamePart))
        var type = rest.dropFirst(name.count)
        guard let mark = type.first, mark == ":" || type.contains("=") else { return [] }
        if mark == ":" {
            type = type.dropFirst()
        } else if let equals = type.firstIndex(of: "=") {
            type = type[type.index(after: equals)...]
        }
        let text = type.drop { $0 == " " }
        if text.hasPrefix("Set<") || text.hasPrefix("Dictionary<") || text.hasPrefix("[:]") { return [name] }
        guard text.hasPrefix("[") else { return [] }
        // A colon at depth one, before the closing bracket, makes it a dictionary.
        var depth = 0
        for c in text {
            if c == "[" || c == "(" || c == "<" { depth += 1 }
            if c == "]" || c == ")" || c == ">" { depth -= 1 }
            if depth == 0 { return [] }
            if c == ":" && depth == 1 { return [name] }
        }
        return []
    }

    private static let walkers = [
        ".values", ".keys", ".map", ".compactMap", ".flatMap", ".forEach", ".filter", ".reduce", ".sorted", ".enumerated",
        ".first(", ".first ", ".prefix", ".min(", ".max(", ".allSatisfy", ".makeIterator", ".popFirst", ".randomElement",
    ]

    static func walks(_ name: String, in line: String) -> Bool {
        var search = line[...]
        while let range = search.range(of: name) {
            let before = range.lowerBound == line.startIndex ? nil : line[line.index(before: range.lowerBound)]
            let after = line[range.upperBound...]
            search = after
            if let before, isNamePart(before) { continue }
            if let c = after.first, isNamePart(c) { continue }
            // `for x in name {` and `for x in self.name {`
            var head = line[..<range.lowerBound]
            if head.hasSuffix("self.") { head = head.dropLast(5) }
            if head.hasSuffix(" in "), head.contains("for "),
                after.drop(while: { $0 == " " }).first.map({ $0 == "{" || $0 == "w" }) ?? true
            {
                return true
            }
            if before == ".", !line[..<range.lowerBound].hasSuffix("self.") { continue }
            if walkers.contains(where: { after.hasPrefix($0) }) { return true }
        }
        return false
    }
}
