import Wire

/// Lays out YAML: block style for structure, one line for short things. Only what `YAMLTree` reads back is written.
struct YAMLWriter {
    private(set) var text = ""
    private var indentation = 0
    /// The next line begins an element of a list: `- ` stands where two blanks of its indentation would.
    private var beginsElement = false
    /// What is to be written, where not the values decide: keys, within sections behind a dot. And the section at work.
    private var said: Set<String>?
    private var path = ""

    enum Said { case notAtAll, inPart, wholly }

    /// Whether a key of the section at work is to be written; `nil`: its value decides.
    func isSaid(_ key: String) -> Said? {
        guard let said else { return nil }
        if said.contains(path + key) { return .wholly }
        return said.contains { $0.hasPrefix(path + key + ".") } ? .inPart : .notAtAll
    }

    /// `body` writes these keys and no others, whatever their values.
    mutating func saying(_ keys: [String], _ body: (inout YAMLWriter) -> Void) {
        let before = (said, path)
        (said, path) = (Set(keys), "")
        body(&self)
        (said, path) = before
    }
    /// `body` writes what differs from what is usual.
    mutating func sayingAll(_ body: (inout YAMLWriter) -> Void) {
        let before = said
        said = nil
        body(&self)
        said = before
    }

    private mutating func begin() {
        let width = beginsElement ? indentation - 2 : indentation
        text += String(repeating: " ", count: width)
        if beginsElement { text += "- " }
        beginsElement = false
    }

    mutating func line(_ key: String, _ value: String) {
        begin()
        text += "\(key): \(value)\n"
    }
    mutating func value(_ value: String) {
        begin()
        text += value + "\n"
    }
    /// `key:` and what `body` writes below it.
    mutating func section(_ key: String, _ body: (inout YAMLWriter) -> Void) {
        begin()
        text += "\(key):\n"
        indentation += 2
        let before = path
        if said != nil { path += "\(key)." }
        body(&self)
        path = before
        indentation -= 2
    }
    /// An element of a list; `body` writes at least one line.
    mutating func element(_ body: (inout YAMLWriter) -> Void) {
        indentation += 2
        beginsElement = true
        body(&self)
        beginsElement = false
        indentation -= 2
    }
    /// A list of scalars: on one line if it is short.
    mutating func list(_ key: String, _ values: [String]) {
        let line = "[" + values.joined(separator: ", ") + "]"
        if line.utf8.count + key.utf8.count + indentation < 100 {
            self.line(key, values.count == 1 ? values[0] : line)
        } else {
            section(key) { writer in
                for value in values { writer.element { $0.value(value) } }
            }
        }
    }

    /// A scalar, in quotes where YAML or our own reading would otherwise see something else in it.
    static func scalar(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: "/"), UInt8(ascii: ":"), UInt8(ascii: " "), UInt8(ascii: "*"):
                true
            default: false
            }
        }
        let first = text.utf8.first, last = text.utf8.last
        let startsWell = first.map { ![0x2d, 0x3a, 0x20, 0x2a].contains($0) } ?? false
        let endsWell = last.map { ![0x3a, 0x20].contains($0) } ?? false
        if isPlain, startsWell, endsWell, !text.contains(": "), text != "null", text != "..." { return text }
        return text.inDoubleQuotes
    }
}
