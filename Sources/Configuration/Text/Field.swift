import Wire

/// A value of the file with its path, and the questions that a configuration asks of it. Each question answers `nil`
/// and notes a problem when the value is not what was asked for; reading goes on, so that one run names every problem.
struct Field {
    let tree: YAMLTree
    let path: String
    let problems: Problems

    func error(_ message: String) {
        problems.add(.error, line: tree.line, column: tree.column, path: path, message)
    }
    func warn(_ message: String) {
        problems.add(.warning, line: tree.line, column: tree.column, path: path, message)
    }
    /// Notes the problem and is the `nil` that follows from it.
    func wrong<T>(_ message: String) -> T? {
        error(message)
        return nil
    }

    var isNothing: Bool {
        if case .nothing = tree.content { true } else { false }
    }
    var isList: Bool {
        if case .list = tree.content { true } else { false }
    }
    var isMapping: Bool {
        if case .mapping = tree.content { true } else { false }
    }
    /// The text of a scalar, without a problem if it is none.
    var scalar: String? {
        if case .scalar(let text, _) = tree.content { text } else { nil }
    }

    private func scalar(_ wanted: String) -> String? {
        scalar ?? wrong("\(wanted) is expected, not \(tree.kind)")
    }

    /// - Parameters:
    ///   - length: octets of UTF-8.
    func text(_ length: ClosedRange<Int>, _ wanted: String = "text") -> String? {
        guard let text = scalar(wanted) else { return nil }
        guard length.contains(text.utf8.count) else {
            return wrong("\(wanted) of \(length.lowerBound) to \(length.upperBound) octets is expected, not \(text.utf8.count)")
        }
        guard !text.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 }) else {
            return wrong("control characters are not allowed")
        }
        return text
    }

    /// A path; a relative one begins in `directory`, which has no slash at its end.
    func path(in directory: String) -> String? {
        guard let text = text(1...1024, "a path") else { return nil }
        return text.hasPrefix("/") || directory.isEmpty ? text : "\(directory)/\(text)"
    }

    /// The file of a shared key, or those of two of which the first is presented and both are accepted.
    func keyFiles(in directory: String) -> [String]? {
        guard let list = list(atMost: 2) else { return nil }
        let paths = list.compactMap { $0.path(in: directory) }
        guard paths.count == list.count else { return nil }
        guard Set(paths).count == max(paths.count, 1) else {
            return wrong(paths.isEmpty ? "a path is expected" : "the same file stands twice")
        }
        return paths
    }

    /// A name: letters, digits and `-_.`, not too long.
    func name(_ wanted: String, length: ClosedRange<Int> = 1...64) -> String? {
        guard let text = scalar(wanted) else { return nil }
        if let reason = Self.nameProblem(text, length) { return wrong("'\(text.prefix(80))' is no name: \(reason)") }
        return text
    }
    static func nameProblem(_ text: String, _ length: ClosedRange<Int> = 1...64) -> String? {
        guard length.contains(text.utf8.count) else {
            return "it must have \(length.lowerBound) to \(length.upperBound) characters"
        }
        let isFine = text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        return isFine ? nil : "only letters, digits, '-', '_' and '.' are allowed"
    }

    func flag() -> Bool? {
        guard let text = scalar("true or false") else { return nil }
        switch text {
        case "true": return true
        case "false": return false
        case "yes", "on", "True", "TRUE": return wrong("'\(text)' is no flag; write true")
        case "no", "off", "False", "FALSE": return wrong("'\(text)' is no flag; write false")
        default: return wrong("'\(text.prefix(40))' is no flag; write true or false")
        }
    }

    func number<T: FixedWidthInteger>(_ range: ClosedRange<T>, _ wanted: String = "a number") -> T? {
        let expected = "\(wanted) from \(range.lowerBound) to \(range.upperBound)"
        guard let text = scalar(expected) else { return nil }
        // `Int("+5")` would be accepted: a file says a number in one way.
        guard let first = text.utf8.first, first != UInt8(ascii: "+"), let value = T(text), range.contains(value) else {
            return wrong("'\(text.prefix(40))' is not allowed; write \(expected)")
        }
        return value
    }

    /// `N` or `N..M`
    func range<T: FixedWidthInteger>(_ bounds: ClosedRange<T>) -> ClosedRange<T>? {
        let expected = "a number or a range N..M from \(bounds.lowerBound) to \(bounds.upperBound)"
        guard let text = scalar(expected) else { return nil }
        var ends: [T] = []
        if let dots = text.firstRange(of: "..") {
            ends = [T(text[..<dots.lowerBound]), T(text[dots.upperBound...])].compactMap { $0 }
        } else if let value = T(text) {
            ends = [value, value]
        }
        guard ends.count == 2, ends[0] <= ends[1], bounds.contains(ends[0]), bounds.contains(ends[1]),
            !text.contains("+")
        else { return wrong("'\(text.prefix(40))' is not allowed; write \(expected)") }
        return ends[0]...ends[1]
    }

    /// A number and a unit; without a unit it is seconds.
    func duration(_ range: ClosedRange<Duration>) -> Duration? {
        let expected = "a time from \(DurationText.text(range.lowerBound)) to \(DurationText.text(range.upperBound))"
        guard let text = scalar(expected) else { return nil }
        guard let value = DurationText.parse(text) else {
            return wrong("'\(text.prefix(40))' is no time; write a number and ms, s, m or h, like 10ms")
        }
        guard range.contains(value) else { return wrong("\(DurationText.text(value)) is not allowed; write \(expected)") }
        return value
    }

    func size() -> UInt64? {
        let units: [(String, UInt64)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)]
        guard let text = scalar("a size like 512MiB") else { return nil }
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let number = UInt64(text.dropLast(3)), number > 0, number < 1 << 20, !text.hasPrefix("+") else { break }
            return number * factor
        }
        return wrong("'\(text.prefix(40))' is no size; write a number and KiB, MiB, GiB or TiB")
    }

    func choice(_ words: [String]) -> String? {
        guard let text = scalar(Spelling.choice(words)) else { return nil }
        guard words.contains(text) else {
            return wrong("'\(text.prefix(40))' is not allowed; " + Spelling.suggestion(for: text, among: words))
        }
        return text
    }

    func address() -> IPAddress? {
        guard let text = scalar("an IP address") else { return nil }
        return IPAddress(text) ?? wrong("'\(text.prefix(60))' is no IPv4 or IPv6 address")
    }

    func prefix() -> IPPrefix? {
        guard let text = scalar("a prefix") else { return nil }
        return Self.prefix(text) { wrong($0) }
    }
    /// Parses a prefix and says precisely why it is none.
    static func prefix(_ text: String, _ wrong: (String) -> IPPrefix?) -> IPPrefix? {
        if let prefix = IPPrefix(text) { return prefix }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]) else {
            if IPAddress(text) != nil { return wrong("'\(text)' has no length; write \(text)/\(text.contains(":") ? 128 : 32)") }
            return wrong("'\(text.prefix(60))' is no prefix; write it like 192.0.2.0/24 or 2001:db8::/32")
        }
        let bits: UInt8 = address.family == .ipv4 ? 32 : 128
        guard let length = UInt8(parts[1]), length <= bits, !parts[1].hasPrefix("+") else {
            return wrong("the length '\(parts[1].prefix(20))' is not allowed; write a number from 0 to \(bits)")
        }
        return wrong("'\(text)' has bits beyond its length; did you mean \(IPPrefix(address, length))?")
    }

    /// The value under a key of a mapping, before anybody asks whether the rest of it is right; else the field itself.
    func at(_ key: String) -> Field {
        guard case .mapping(let pairs) = tree.content, let pair = pairs.first(where: { $0.key == key }) else { return self }
        return Field(tree: pair.value, path: MappingReader.join(path, key), problems: problems)
    }

    /// A mapping whose keys are names that the operator gives.
    func named(
        _ what: String, length: ClosedRange<Int> = 1...64
    ) -> [(name: String, field: Field)] {
        (MappingReader(anyKeysOf: self)?.entries ?? []).filter { name, field in
            guard let reason = Self.nameProblem(name, length) else { return true }
            field.error("'\(name.prefix(80))' is no \(what): \(reason)")
            return false
        }.map { ($0.key, $0.field) }
    }

    /// The elements of a list; a single value is a list of one, nothing an empty one.
    func list(atMost maximum: Int) -> [Field]? {
        switch tree.content {
        case .nothing: return []
        case .scalar, .mapping: return [self]
        case .list(let list):
            guard list.count <= maximum else {
                return wrong("\(list.count) entries are too many; at most \(maximum) are allowed")
            }
            return list.enumerated().map { Field(tree: $1, path: "\(path)[\($0)]", problems: problems) }
        }
    }
}

/// Times as people write them.
enum DurationText {
    static func parse(_ text: String) -> Duration? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard !digits.isEmpty, digits.utf8.count <= 9, let number = Int(digits) else { return nil }
        switch text[digits.endIndex...] {
        case "ms": return .milliseconds(number)
        case "", "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        case "h": return .seconds(number * 3600)
        default: return nil
        }
    }
    static func range(_ range: ClosedRange<Duration>) -> String { "\(text(range.lowerBound))…\(text(range.upperBound))" }

    static func text(_ duration: Duration) -> String {
        let milliseconds = duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
        if milliseconds == 0 { return "0s" }
        if milliseconds % 3_600_000 == 0 { return "\(milliseconds / 3_600_000)h" }
        if milliseconds % 60_000 == 0 { return "\(milliseconds / 60_000)m" }
        if milliseconds % 1000 == 0 { return "\(milliseconds / 1000)s" }
        return "\(milliseconds)ms"
    }
}
