import Yams

/// What a YAML file says, before anybody asks what it means: each value with its place. Scalars are kept as text, so
/// that `65000:100` is never taken for a number in base sixty nor `no` for a flag.
struct YAMLTree {
    indirect enum Content {
        /// Nothing, `~` or `null`.
        case nothing
        /// `isQuoted`: it is text, whatever it looks like.
        case scalar(String, isQuoted: Bool)
        case list([YAMLTree])
        case mapping([Pair])
    }
    struct Pair {
        var key: String
        var line: Int
        var column: Int
        var value: YAMLTree
    }
    var line: Int
    var column: Int
    var content: Content

    var kind: String {
        switch content {
        case .nothing: "nothing"
        case .scalar(let text, _): "'\(text.prefix(40))'"
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }
}

/// Bounds of a file. It may come over the management socket from anybody who may write there.
enum YAMLLimits {
    static let octets = 4 << 20
    static let depth = 64
    /// Values, after aliases were followed.
    static let values = 1 << 20
    /// Aliases multiply: ten of them can make a file some fifty times as large, twenty some three thousand times.
    static let aliases = 10
}

extension YAMLTree {
    /// Reads a file's octets. An empty file is an empty mapping.
    /// - Returns: `nil` if there are errors.
    static func parse(_ bytes: [UInt8], _ problems: Problems) -> YAMLTree? {
        func fail(_ message: String, line: Int = 1, column: Int = 1) -> YAMLTree? {
            problems.add(.error, line: line, column: column, path: "", message)
            return nil
        }
        guard bytes.count <= YAMLLimits.octets else {
            return fail("the file has \(bytes.count) octets; at most \(YAMLLimits.octets) are accepted")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return fail("the file is not text in UTF-8")
        }
        guard !hasManyAliases(bytes) else {
            return fail("the file has more than \(YAMLLimits.aliases) aliases; name shared settings in a peer group instead")
        }
        do {
            // The basic resolver gives no meaning to scalars: that is done here, field by field.
            guard let root = try Parser(yaml: text, resolver: .basic).singleRoot() else {
                return YAMLTree(line: 1, column: 1, content: .nothing)
            }
            var count = 0
            return convert(root, depth: 0, count: &count, problems)
        } catch let error as YamlError {
            let (line, column, message) = describe(error)
            var again = ""
            if case .duplicatedKeysInMapping(let keys, _) = error, let key = keys.min(),
                let second = repetition(of: key, after: line, column: column, bytes)
            {
                again = " (again in line \(second))"
            }
            return fail(message + again + hint(bytes, line: line), line: line, column: column)
        } catch {
            return fail("the file cannot be read as YAML")
        }
    }

    /// Whether there may be more aliases than allowed. Octets that only look like aliases count, too, but then there
    /// must also be something that looks like an anchor; a false alarm is very unlikely and a missed one impossible.
    private static func hasManyAliases(_ bytes: [UInt8]) -> Bool {
        var aliases = 0, anchors = 0
        for i in bytes.indices.dropLast() {
            guard bytes[i] == UInt8(ascii: "*") || bytes[i] == UInt8(ascii: "&") else { continue }
            switch bytes[i + 1] {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "-"), 0x80...:
                if bytes[i] == UInt8(ascii: "*") { aliases += 1 } else { anchors += 1 }
            default: break
            }
        }
        return anchors > 0 && aliases > YAMLLimits.aliases
    }

    private static func convert(_ node: Node, depth: Int, count: inout Int, _ problems: Problems) -> YAMLTree? {
        let line = node.mark?.line ?? 1, column = node.mark?.column ?? 1
        func fail(_ message: String) -> YAMLTree? {
            problems.add(.error, line: line, column: column, path: "", message)
            return nil
        }
        guard depth <= YAMLLimits.depth else { return fail("values are nested deeper than \(YAMLLimits.depth) levels") }
        count += 1
        guard count <= YAMLLimits.values else { return fail("the file holds more than \(YAMLLimits.values) values") }
        switch node {
        case .scalar(let scalar):
            let isPlain = scalar.style == .plain
            if isPlain, scalar.string.isEmpty || scalar.string == "~" || scalar.string == "null" {
                return YAMLTree(line: line, column: column, content: .nothing)
            }
            return YAMLTree(line: line, column: column, content: .scalar(scalar.string, isQuoted: !isPlain))
        case .sequence(let sequence):
            var list: [YAMLTree] = []
            for element in sequence {
                guard let tree = convert(element, depth: depth + 1, count: &count, problems) else { return nil }
                list.append(tree)
            }
            return YAMLTree(line: line, column: column, content: .list(list))
        case .mapping(let mapping):
            var pairs: [Pair] = []
            for (key, value) in mapping {
                guard case .scalar(let name) = key else {
                    problems.add(
                        .error, line: key.mark?.line ?? line, column: key.mark?.column ?? column, path: "",
                        "a key must be a word")
                    return nil
                }
                guard let tree = convert(value, depth: depth + 1, count: &count, problems) else { return nil }
                pairs.append(
                    Pair(
                        key: name.string, line: name.mark?.line ?? line, column: name.mark?.column ?? column, value: tree))
            }
            return YAMLTree(line: line, column: column, content: .mapping(pairs))
        case .alias:
            return fail("an alias leads nowhere")
        }
    }

    private static func describe(_ error: YamlError) -> (line: Int, column: Int, message: String) {
        switch error {
        case .reader(let problem, let offset, _, let text):
            let before = text.prefix(offset ?? 0)
            let line = before.utf8.reduce(1) { $1 == UInt8(ascii: "\n") ? $0 + 1 : $0 }
            let column =
                before.count
                - (before.lastIndex { $0 == "\n" || $0 == "\r\n" }.map {
                    before.distance(from: before.startIndex, to: $0) + 1
                } ?? 0) + 1
            return (line, column, "not YAML: \(problem)")
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            return (mark.line, mark.column, "not YAML: \(problem)")
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.sorted().map { "'\($0.prefix(64))'" }.joined(separator: ", ")
            return (
                context.mark.line, context.mark.column,
                "the key \(names) is written more than once in this mapping; keep one"
            )
        default:
            return (1, 1, "the file cannot be read as YAML")
        }
    }

    /// The line in which a key stands again, if the mapping is written in lines.
    private static func repetition(of key: String, after line: Int, column: Int, _ bytes: [UInt8]) -> Int? {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard line >= 1, line < lines.count, column >= 1 else { return nil }
        let wanted = Array(key.utf8) + [UInt8(ascii: ":")]
        for (i, text) in lines.enumerated().dropFirst(line) {
            let indentation = text.prefix { $0 == UInt8(ascii: " ") }.count
            if indentation == column - 1, text.dropFirst(indentation).starts(with: wanted) { return i + 1 }
            // A line further to the left ends the mapping.
            if indentation < column - 1, indentation < text.count { return nil }
        }
        return nil
    }

    /// The usual stumbling blocks of addresses in YAML.
    private static func hint(_ bytes: [UInt8], line: Int) -> String {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: line, omittingEmptySubsequences: false)
        guard line >= 1, line <= lines.count else { return "" }
        let text = String(decoding: lines[line - 1], as: UTF8.self)
        if text.contains("\t") { return "; indent with spaces, not with tabs" }
        if text.contains("::"), text.contains("{") || text.contains("[") {
            return "; within { } and [ ], quote what begins or ends with a colon: \"::/0\""
        }
        return ""
    }
}
