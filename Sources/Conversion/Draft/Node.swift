import Wire

/// A piece of a router file: what YAML can say, with the keys in the order in which they were put.
indirect enum Node: Hashable, Sendable {
    case scalar(String)
    /// Written with quotation marks whatever is in it.
    case text(String)
    case list([Node])
    case mapping(Mapping)

    init(_ flag: Bool) { self = .scalar(flag ? "true" : "false") }
    init(_ number: some BinaryInteger) { self = .scalar(String(number)) }
    init(_ words: [String]) { self = .list(words.map { .scalar($0) }) }
}

/// Keys and what belongs to them, in order.
struct Mapping: Hashable, Sendable {
    struct Entry: Hashable, Sendable {
        var key: String
        var node: Node
    }
    private(set) var entries: [Entry] = []

    init() {}
    init(_ entries: KeyValuePairs<String, Node>) { for (key, node) in entries { self[key] = node } }

    var isEmpty: Bool { entries.isEmpty }

    subscript(key: String) -> Node? {
        get { entries.first { $0.key == key }?.node }
        set {
            let at = entries.firstIndex { $0.key == key }
            switch (at, newValue) {
            case (let at?, let node?): entries[at].node = node
            case (let at?, nil): entries.remove(at: at)
            case (nil, let node?): entries.append(Entry(key: key, node: node))
            case (nil, nil): break
            }
        }
    }

    /// The mapping under a key, made when it is absent.
    subscript(mapping key: String) -> Mapping {
        get { if case .mapping(let mapping)? = self[key] { mapping } else { Mapping() } }
        set { self[key] = .mapping(newValue) }
    }
    /// The list under a key, made when it is absent.
    subscript(list key: String) -> [Node] {
        get { if case .list(let list)? = self[key] { list } else { [] } }
        set { self[key] = .list(newValue) }
    }
    /// The element of the list under `key` whose `name` is `value`, made when it is absent.
    subscript(element key: String, name: String, value: String) -> Mapping {
        get {
            for case .mapping(let mapping) in self[list: key] where mapping[name] == .scalar(value) { return mapping }
            return Mapping([name: .scalar(value)])
        }
        set {
            var list = self[list: key]
            let at = list.firstIndex { if case .mapping(let mapping) = $0 { mapping[name] == .scalar(value) } else { false } }
            if let at { list[at] = .mapping(newValue) } else { list.append(.mapping(newValue)) }
            self[list: key] = list
        }
    }
}

extension Node {
    /// Block style, but for lists of plain words and for mappings of a few of them.
    static func yaml(_ mapping: Mapping) -> String {
        var text = ""
        for entry in mapping.entries { entry.node.write(under: entry.key, indent: 0, into: &text) }
        return text
    }

    private static let lineMaximum = 110

    private func write(under key: String, indent: Int, into text: inout String) {
        let margin = String(repeating: " ", count: indent)
        let head = margin + Self.quoted(key) + ":"
        if let flow, head.count + flow.count < Self.lineMaximum {
            text += "\(head) \(flow)\n"
            return
        }
        text += head + "\n"
        switch self {
        case .scalar, .text: break
        case .mapping(let mapping):
            for entry in mapping.entries { entry.node.write(under: entry.key, indent: indent + 2, into: &text) }
        case .list(let list): for node in list { node.writeElement(indent: indent + 2, into: &text) }
        }
    }

    private func writeElement(indent: Int, into text: inout String) {
        let margin = String(repeating: " ", count: indent)
        if let flow, margin.count + flow.count < Self.lineMaximum {
            text += "\(margin)- \(flow)\n"
            return
        }
        guard case .mapping(let mapping) = self else { return }
        var block = ""
        for entry in mapping.entries { entry.node.write(under: entry.key, indent: indent + 2, into: &block) }
        text += margin + "- " + block.dropFirst(indent + 2)
    }

    /// The whole on one line; `nil` for what had better not be there: a mapping in which there is a list of mappings.
    private var flow: String? {
        switch self {
        case .scalar(let word): return Self.quoted(word)
        case .text(let text): return text.inDoubleQuotes
        case .list(let list):
            let parts = list.compactMap(\.flow)
            let isPlain = !list.contains { if case .mapping = $0 { true } else { false } }
            return isPlain && parts.count == list.count ? "[\(parts.joined(separator: ", "))]" : nil
        case .mapping(let mapping):
            var parts: [String] = []
            for entry in mapping.entries {
                guard let flow = entry.node.flow else { return nil }
                parts.append("\(Self.quoted(entry.key)): \(flow)")
            }
            return "{\(parts.joined(separator: ", "))}"
        }
    }

    /// As it is where YAML reads a plain word or number, else in quotation marks.
    private static func quoted(_ word: String) -> String {
        let first = word.unicodeScalars.first
        let isPlain =
            !word.isEmpty && first.map { $0.properties.isAlphabetic || ("0"..."9").contains($0) || $0 == "/" } ?? false
            && word.unicodeScalars.allSatisfy {
                $0.isASCII && ($0.properties.isAlphabetic || "0123456789_./-".unicodeScalars.contains($0))
            }
        let isReserved = ["yes", "no", "on", "off", "null", "y", "n"].contains(word.lowercased())
        // A prefix or address is a word, a number with a leading zero or an exponent would not stay what it is.
        let looksNumeric = first.map { ("0"..."9").contains($0) } ?? false
        let isNumber = looksNumeric && Int(word) != nil && (word == "0" || !word.hasPrefix("0"))
        let isTime = looksNumeric && ["s", "ms", "m", "h"].contains(String(word.drop { ("0"..."9").contains($0) }))
        let isAddress = looksNumeric && word.contains(".") && word.split(separator: ".").count == 4
        if isPlain, !isReserved, !looksNumeric || isNumber || isTime || isAddress { return word }
        return word.inDoubleQuotes
    }
}
