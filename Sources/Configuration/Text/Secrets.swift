/// Passwords and keys in the text of a router configuration, which people show each other: they are hidden unless asked for.
///
/// What stands for a hidden one names it, so that a text which was shown, edited and applied again keeps its secrets.
public enum Secrets {
    /// Keys whose values are secret, wherever they stand.
    static var keys: Set<String> { SettingsReference.secretKeys }
    private static let sign = "<hidden"

    /// A revision's text in one of its two spellings, whose secrets are numbered.
    public struct Source: Hashable, Sendable {
        public var revision: UInt64
        /// The one canonical spelling instead of the author's own.
        public var isCanonical: Bool
        public init(revision: UInt64, isCanonical: Bool) {
            self.revision = revision
            self.isCanonical = isCanonical
        }
    }

    /// The text with its secrets hidden.
    /// - Returns: `nil` if they cannot be told from the rest with certainty; the canonical text then says the same.
    public static func hide(in text: String, of source: Source) -> String? {
        guard let before = tree(text), let places = places(in: text, of: before) else { return nil }
        var number = 0
        let hidden = comments(
            hiddenIn: replace(places, in: text) { _ in
                number += 1
                return mark(source, number)
            })
        // Whatever was not understood would show: what is secret is hidden now, and all the rest stands as it did.
        guard let after = tree(hidden), isSame(before, after, isSecret: false) else { return nil }
        return hidden
    }

    /// Lines of a comparison of canonical texts, each of which has one key at most.
    public static func hide(in lines: [String]) -> [String] {
        lines.map { line in
            guard let colon = line.firstRange(of: ": ") else { return line }
            let key = line[..<colon.lowerBound].drop { "+- ".contains($0) }
            return keys.contains(String(key)) ? line[..<colon.upperBound] + sign + ">" : line
        }
    }

    /// The revisions whose secrets a text takes over.
    public static func sources(of text: String) -> Set<Source> {
        guard text.contains(sign), let tree = tree(text), let places = places(in: text, of: tree) else { return [] }
        return Set(places.compactMap { reference($0.value)?.source })
    }

    /// The secrets of a text, in the order in which they stand.
    public static func values(in text: String) -> [String] {
        tree(text).flatMap { places(in: text, of: $0) }?.map(\.value) ?? []
    }

    /// The text with what its hidden secrets stand for. One that leads nowhere stays, and is refused when the text is read.
    /// - Parameter values: of each source.
    public static func reveal(in text: String, _ values: [Source: [String]]) -> String {
        guard text.contains(sign), let tree = tree(text), let places = places(in: text, of: tree) else { return text }
        return replace(places, in: text) { place in
            guard let (source, number) = reference(place.value), let list = values[source], list.indices.contains(number - 1)
            else { return nil }
            return YAMLWriter.scalar(list[number - 1])
        }
    }

    /// Whether a value is what stands for a hidden secret.
    static func isHidden(_ value: String) -> Bool { value == sign + ">" || reference(value) != nil }

    // MARK: what stands for a secret

    private static func mark(_ source: Source, _ number: Int) -> String {
        "\(sign):\(source.revision)/\(source.isCanonical ? "c" : "")\(number)>"
    }
    private static func reference(_ value: String) -> (source: Source, number: Int)? {
        guard value.hasPrefix(sign + ":"), value.hasSuffix(">"), value.utf8.count < 48 else { return nil }
        let parts = value.dropFirst(sign.count + 1).dropLast().split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let revision = UInt64(parts[0]) else { return nil }
        let isCanonical = parts[1].hasPrefix("c")
        guard let number = Int(isCanonical ? parts[1].dropFirst() : parts[1]), number > 0 else { return nil }
        return (Source(revision: revision, isCanonical: isCanonical), number)
    }

    // MARK: where they stand

    /// A secret in a text, by unicode scalars.
    private struct Place {
        var value: String
        var range: Range<Int>
    }

    private static func tree(_ text: String) -> YAMLTree? { YAMLTree.parse(Array(text.utf8), Problems(file: "")) }

    /// In the order of the text; one that several aliases lead to stands once.
    /// - Returns: `nil` if one is written in a way that is not followed here.
    private static func places(in text: String, of tree: YAMLTree) -> [Place]? {
        let scalars = Array(text.unicodeScalars)
        var starts = [0]
        for (i, scalar) in scalars.enumerated() where scalar == "\n" { starts.append(i + 1) }
        var places: [Int: Place] = [:]
        var isClear = true
        func visit(_ tree: YAMLTree, isSecret: Bool) {
            switch tree.content {
            case .nothing: break
            case .list(let list): for element in list { visit(element, isSecret: isSecret) }
            case .mapping(let pairs): for pair in pairs { visit(pair.value, isSecret: isSecret || keys.contains(pair.key)) }
            case .scalar(let value, _):
                guard isSecret else { return }
                guard starts.indices.contains(tree.line - 1),
                    let range = range(of: value, at: starts[tree.line - 1] + tree.column - 1, scalars)
                else {
                    isClear = false
                    return
                }
                places[range.lowerBound] = Place(value: value, range: range)
            }
        }
        visit(tree, isSecret: false)
        return isClear ? places.values.sorted { $0.range.lowerBound < $1.range.lowerBound } : nil
    }

    /// Where a scalar that begins here ends. Plain ones on one line and quoted ones are followed.
    private static func range(of value: String, at start: Int, _ scalars: [Unicode.Scalar]) -> Range<Int>? {
        var start = start
        // An anchor or a tag before it belongs to it.
        while start < scalars.count, scalars[start] == "&" || scalars[start] == "!" {
            while start < scalars.count, scalars[start] != " ", scalars[start] != "\n" { start += 1 }
            while start < scalars.count, scalars[start] == " " { start += 1 }
        }
        guard start < scalars.count else { return nil }
        let quote = scalars[start]
        guard quote == "\"" || quote == "'" else {
            let plain = Array(value.unicodeScalars)
            guard !plain.isEmpty, scalars[start...].starts(with: plain) else { return nil }
            return start..<start + plain.count
        }
        var end = start + 1
        while end < scalars.count {
            if scalars[end] == "\\", quote == "\"" {
                end += 2
            } else if scalars[end] != quote {
                end += 1
            } else if quote == "'", end + 1 < scalars.count, scalars[end + 1] == "'" {
                end += 2
            } else {
                return start..<end + 1
            }
        }
        return nil
    }

    /// - Parameter replacement: `nil` leaves what is there.
    private static func replace(_ places: [Place], in text: String, _ replacement: (Place) -> String?) -> String {
        let scalars = Array(text.unicodeScalars)
        var result = String.UnicodeScalarView()
        var next = 0
        for place in places {
            guard let new = replacement(place) else { continue }
            result.append(contentsOf: scalars[next..<place.range.lowerBound])
            result.append(contentsOf: new.unicodeScalars)
            next = place.range.upperBound
        }
        result.append(contentsOf: scalars[next...])
        return String(result)
    }

    /// A key that somebody turned into a comment is still one.
    private static func comments(hiddenIn text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            guard line.drop(while: { $0 == " " }).hasPrefix("#") else { return String(line) }
            for key in keys.sorted() {
                if let found = line.firstRange(of: key + ":") { return line[..<found.upperBound] + " " + sign + ">" }
            }
            return String(line)
        }.joined(separator: "\n")
    }

    private static func isSame(_ a: YAMLTree, _ b: YAMLTree, isSecret: Bool) -> Bool {
        switch (a.content, b.content) {
        case (.nothing, .nothing): true
        case (.scalar(let x, _), .scalar(let y, _)): isSecret ? isHidden(y) : x == y
        case (.list(let x), .list(let y)): x.count == y.count && zip(x, y).allSatisfy { isSame($0, $1, isSecret: isSecret) }
        case (.mapping(let x), .mapping(let y)):
            x.count == y.count
                && zip(x, y).allSatisfy {
                    $0.key == $1.key && isSame($0.value, $1.value, isSecret: isSecret || keys.contains($0.key))
                }
        default: false
        }
    }
}

extension Field {
    /// A password or key in octets of UTF-8; what stands for a hidden one is none.
    func secret(_ length: ClosedRange<Int>, _ wanted: String = "a secret") -> String? {
        if let scalar, Secrets.isHidden(scalar) {
            return wrong(
                "'\(scalar)' stands for a hidden secret, which only 'config apply' puts back, at a controller that keeps "
                    + "that revision; write the secret itself, or begin with 'config show --secrets'")
        }
        return text(length, wanted)
    }
}
