import Wire

/// How a value is written: what the reader asks of a field, what the writer says, and what the manual calls it.
struct Kind<Value> {
    /// For the manual: `1…255`, `true or false`.
    var values: String
    /// Every word that can stand there, if they can be counted.
    var words: [String] = []
    /// Hidden from whoever does not ask for it (`Secrets`).
    var isSecret = false
    /// `nil`, and a problem at the field, for anything else.
    var read: (Field) -> Value?
    var text: (Value) -> String
    /// Of a list: each on a line of its own if one does not hold them.
    var elements: ((Value) -> [String])?

    /// Writes `key: value`.
    func write(_ key: String, _ value: Value, _ writer: inout YAMLWriter) {
        if let elements { writer.list(key, elements(value)) } else { writer.line(key, text(value)) }
    }

    /// The same words for another type.
    func mapped<Other>(_ value: @escaping (Value) -> Other, back: @escaping (Other) -> Value) -> Kind<Other> {
        Kind<Other>(
            values: values, words: words, isSecret: isSecret, read: { self.read($0).map(value) }, text: { text(back($0)) })
    }
}

/// What occurred while one table was read.
final class Seen<Value: Hashable> {
    private(set) var values: Set<Value> = []
    /// - Returns: `false` if it was there already.
    func note(_ value: Value) -> Bool { values.insert(value).inserted }
}

extension Kind where Value: Hashable {
    /// Each value may stand once in what is read with this table; `message` says of another that it is too many.
    func once(_ message: @escaping (Value) -> String) -> Kind { once(in: Seen(), message) }

    func once(in seen: Seen<Value>, _ message: @escaping (Value) -> String) -> Kind {
        var kind = self
        kind.read = { field in
            guard let value = read(field) else { return nil }
            return seen.note(value) ? value : field.wrong(message(value))
        }
        return kind
    }
}

// MARK: numbers and times

extension Kind where Value: FixedWidthInteger {
    static func number(_ range: ClosedRange<Value>, _ wanted: String = "a number") -> Kind {
        Kind(
            values: "\(range.lowerBound)…\(range.upperBound)", read: { $0.number(range, wanted) }, text: { "\($0)" })
    }

    /// Whole seconds, written with this unit.
    static func seconds(_ range: ClosedRange<Value>, unit: String = "s") -> Kind {
        whole(range, .seconds(1), "whole seconds are expected", unit)
    }
    static func milliseconds(_ range: ClosedRange<Value>) -> Kind { whole(range, .milliseconds(1), "", "ms") }
    static func minutes(_ range: ClosedRange<Value>) -> Kind {
        whole(range, .seconds(60), "whole minutes are expected", "m")
    }
    static func microseconds(_ range: ClosedRange<Value>) -> Kind {
        var kind = whole(range, .microseconds(1), "", "")
        kind.text = { DurationText.text(.microseconds(Int64($0))) }
        return kind
    }

    /// A time that is a multiple of `unit`.
    private static func whole(_ range: ClosedRange<Value>, _ unit: Duration, _ otherwise: String, _ name: String) -> Kind {
        let bounds = unit * Int(range.lowerBound)...unit * Int(range.upperBound)
        return Kind(
            values: DurationText.range(bounds),
            read: { field in
                guard let time = field.duration(bounds) else { return nil }
                let (count, rest) = time.dividedReportingRest(by: unit)
                return rest == .zero ? Value(count) : field.wrong(otherwise)
            }, text: { "\($0)\(name)" })
    }
}

extension Duration {
    /// How often `unit`, which is at least a microsecond, fits in, and what is left.
    fileprivate func dividedReportingRest(by unit: Duration) -> (count: Int64, rest: Duration) {
        func microseconds(_ time: Duration) -> Int64 {
            time.components.seconds * 1_000_000 + time.components.attoseconds / 1_000_000_000_000
        }
        let count = microseconds(self) / microseconds(unit)
        return (count, self - unit * Int(count))
    }
}

extension Kind where Value == Duration {
    static func duration(_ range: ClosedRange<Duration>) -> Kind {
        Kind(values: DurationText.range(range), read: { $0.duration(range) }, text: { DurationText.text($0) })
    }
}

// MARK: words

extension Kind where Value == Bool {
    static var flag: Kind {
        Kind(values: "true or false", words: ["true", "false"], read: { $0.flag() }, text: { "\($0)" })
    }
}

extension Kind where Value: Equatable {
    /// One of these words.
    static func choice(_ pairs: KeyValuePairs<String, Value>) -> Kind { choice(pairs.map { ($0.key, $0.value) }) }

    static func choice(_ pairs: [(word: String, value: Value)]) -> Kind {
        let words = pairs.map(\.word)
        return Kind(
            values: Spelling.choice(words), words: words,
            read: { field in field.choice(words).flatMap { word in pairs.first { $0.word == word }?.value } },
            text: { value in YAMLWriter.scalar(pairs.first { $0.value == value }?.word ?? "") })
    }
}

extension Kind where Value: Equatable & CustomStringConvertible {
    static func one(of values: [Value]) -> Kind { choice(values.map { ($0.description, $0) }) }
}

extension Kind where Value: RawRepresentable & CaseIterable & Equatable, Value.RawValue == String {
    static var word: Kind { choice(Value.allCases.map { ($0.rawValue, $0) }) }
}

extension Kind where Value == String {
    /// - Parameters:
    ///   - length: octets of UTF-8.
    static func text(_ length: ClosedRange<Int>, _ wanted: String = "text") -> Kind {
        Kind(values: "\(wanted), at most \(length.upperBound) octets", read: { $0.text(length, wanted) }, text: YAMLWriter.scalar)
    }

    /// A password or key.
    static func secret(_ length: ClosedRange<Int>, _ wanted: String = "a secret") -> Kind {
        Kind(
            values: "\(wanted), \(length.lowerBound)…\(length.upperBound) octets", isSecret: true,
            read: { $0.secret(length, wanted) }, text: YAMLWriter.scalar)
    }

    /// Letters, digits and `-_.`
    static func name(_ wanted: String, length: ClosedRange<Int> = 1...64) -> Kind {
        Kind(values: wanted, read: { $0.name(wanted, length: length) }, text: YAMLWriter.scalar)
    }

    /// The name of one of those that there are.
    static func known(_ what: String, _ names: [String], wanted: String? = nil) -> Kind {
        let wanted = wanted ?? "the name of a \(what)"
        return Kind(
            values: wanted, words: names,
            read: { field in
                guard let name = field.name(wanted) else { return nil }
                return names.contains(name)
                    ? name : field.wrong("there is no \(what) '\(name)'" + Spelling.hint(for: name, among: names))
            }, text: YAMLWriter.scalar)
    }

    /// A path; a relative one begins in `directory`.
    static func path(in directory: String) -> Kind {
        Kind(values: "a path", read: { $0.path(in: directory) }, text: YAMLWriter.scalar)
    }
}

// MARK: addresses and what else is read from a text

extension Kind where Value: CustomStringConvertible {
    init(_ values: String, read: @escaping (Field) -> Value?) {
        self.init(values: values, read: read, text: { YAMLWriter.scalar($0.description) })
    }

    /// - Parameters:
    ///   - wanted: what is said when it is no text at all.
    ///   - example: what is said when it is another text.
    static func parsed(
        _ wanted: String, atMost length: Int, _ parse: @escaping (String) -> Value?, otherwise: @escaping (String) -> String
    ) -> Kind {
        Kind(wanted) { field in
            guard let text = field.text(1...length, wanted) else { return nil }
            return parse(text) ?? field.wrong(otherwise(text))
        }
    }
}

extension Kind where Value == IPAddress {
    static var address: Kind { Kind("an IP address") { $0.address() } }
}

extension Kind where Value == IPPrefix {
    static var prefix: Kind { Kind("a prefix") { $0.prefix() } }
    static func prefix(of family: AddressFamily) -> Kind {
        Kind("a prefix") { field in
            guard let prefix = field.prefix() else { return nil }
            return prefix.family == family ? prefix : field.wrong("\(prefix) is not of the family of this section")
        }
    }
}

extension Kind where Value == UInt64 {
    /// Octets, with a unit.
    static var size: Kind { Kind(values: "a size like 512MiB", read: { $0.size() }, text: { "\($0)" }) }
}

extension Kind {
    /// `N` or `N..M`
    static func range<Bound: FixedWidthInteger>(_ bounds: ClosedRange<Bound>) -> Kind where Value == ClosedRange<Bound> {
        Kind(
            values: "N or N..M, \(bounds.lowerBound)…\(bounds.upperBound)", read: { $0.range(bounds) },
            text: { $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)..\($0.upperBound)" })
    }

    /// A list on one line, or a single value.
    static func list<Element>(atMost maximum: Int, _ kind: Kind<Element>) -> Kind where Value == [Element] {
        Kind(
            values: "a list: \(kind.values)", words: kind.words,
            read: { field in
                guard let list = field.list(atMost: maximum) else { return nil }
                let values = list.compactMap(kind.read)
                return values.count == list.count ? values : nil
            }, text: { "[" + $0.map(kind.text).joined(separator: ", ") + "]" }, elements: { $0.map(kind.text) })
    }
}
