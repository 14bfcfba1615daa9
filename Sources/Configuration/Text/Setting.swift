/// One thing that an operator can say: its key, where it is kept, which values it has and what the manual says of it.
///
/// Reading, the canonical text, the help with spelling, the manual, completion and the hiding of secrets come from it. What
/// concerns several settings at once is the `check` of their section.
struct Setting<Root> {
    let key: String
    /// For the manual.
    let sentence: String
    /// What can stand there, for the manual, and the words of it that can be counted.
    var values: String
    var words: [String] = []
    var isSecret = false
    /// What is said when it is not there; `nil`: it need not be.
    var missing: String?
    /// Written even if it is as usual.
    var isAlwaysWritten = false
    /// Not in the manual.
    var isHidden = false
    /// How what is within it is reached.
    var shape = SettingEntry.Shape.mapping
    /// What can stand in place of the settings within it, and those.
    var nested: ((Root) -> (short: String?, entries: [SettingEntry]))?
    /// Of a mapping whose parts may come from elsewhere, one by one: what it says itself (`Section.said`).
    var said: ((Root, Field) -> [String])?
    /// The value as the canonical text has it; `nil`: none.
    var text: (Root) -> String? = { _ in nil }
    /// Whether two roots differ here.
    var differs: (Root, Root) -> Bool = { _, _ in false }
    /// - Returns: `false` if there is no value; then a problem says why.
    var read: (MappingReader, inout Root) -> Bool
    var write: (Root, inout YAMLWriter) -> Void = { _, _ in }

    init(key: String, sentence: String, values: String, read: @escaping (MappingReader, inout Root) -> Bool) {
        self.key = key
        self.sentence = sentence
        self.values = values
        self.read = read
    }

    /// It must be there.
    func required(_ explanation: String = "") -> Setting {
        var setting = always()
        setting.missing = explanation
        return setting
    }
    /// The canonical text has it even if it is as usual.
    func always() -> Setting {
        var setting = self
        setting.isAlwaysWritten = true
        return setting
    }
    /// The manual does not speak of it.
    func hidden() -> Setting {
        var setting = self
        setting.isHidden = true
        return setting
    }
    /// It is another word for what other settings say: the canonical text has those.
    func unwritten() -> Setting {
        var setting = self
        setting.differs = { _, _ in false }
        setting.text = { _ in nil }
        return setting
    }
    /// Written where this holds, whatever is usual.
    func written(when condition: @escaping (Root) -> Bool) -> Setting {
        var setting = self
        setting.differs = { root, _ in condition(root) }
        return setting
    }
    func written(when condition: @escaping (Root) -> Bool, _ write: @escaping (Root, inout YAMLWriter) -> Void) -> Setting {
        var setting = written(when: condition)
        setting.write = write
        return setting
    }

    /// The same setting of a part of something larger.
    func at<Outer>(_ path: WritableKeyPath<Outer, Root>) -> Setting<Outer> {
        var setting = Setting<Outer>(
            key: key, sentence: sentence, values: values, read: { [read] in read($0, &$1[keyPath: path]) })
        setting.words = words
        setting.isSecret = isSecret
        setting.missing = missing
        setting.isAlwaysWritten = isAlwaysWritten
        setting.isHidden = isHidden
        setting.shape = shape
        setting.nested = nested.map { nested in { nested($0[keyPath: path]) } }
        setting.said = said.map { said in { said($0[keyPath: path], $1) } }
        setting.text = { [text] in text($0[keyPath: path]) }
        setting.differs = { [differs] in differs($0[keyPath: path], $1[keyPath: path]) }
        setting.write = { [write] in write($0[keyPath: path], &$1) }
        return setting
    }
}

// MARK: one value

extension Setting {
    init<Value: Equatable>(_ key: String, _ path: WritableKeyPath<Root, Value>, _ kind: Kind<Value>, _ sentence: String) {
        self.init(key, path, kind, sentence) { _ in kind }
    }

    /// - Parameter actual: the kind of value where it depends on what stands before.
    init<Value: Equatable>(
        _ key: String, _ path: WritableKeyPath<Root, Value>, _ kind: Kind<Value>, _ sentence: String,
        in actual: @escaping (Root) -> Kind<Value>
    ) {
        self.init(key: key, sentence: sentence, values: kind.values) { fields, root in
            guard let value = fields[key].flatMap(actual(root).read) else { return false }
            root[keyPath: path] = value
            return true
        }
        words = kind.words
        isSecret = kind.isSecret
        text = { kind.text($0[keyPath: path]) }
        differs = { $0[keyPath: path] != $1[keyPath: path] }
        write = { root, writer in actual(root).write(key, root[keyPath: path], &writer) }
    }

    /// A value that may be absent.
    init<Value: Equatable>(_ key: String, _ path: WritableKeyPath<Root, Value?>, _ kind: Kind<Value>, _ sentence: String) {
        self.init(key, path, kind, sentence) { _ in kind }
    }
    init<Value: Equatable>(
        _ key: String, _ path: WritableKeyPath<Root, Value?>, _ kind: Kind<Value>, _ sentence: String,
        in actual: @escaping (Root) -> Kind<Value>
    ) {
        self.init(key: key, sentence: sentence, values: kind.values) { fields, root in
            guard let value = fields[key].flatMap(actual(root).read) else { return false }
            root[keyPath: path] = value
            return true
        }
        words = kind.words
        isSecret = kind.isSecret
        text = { $0[keyPath: path].map(kind.text) }
        differs = { $0[keyPath: path] != $1[keyPath: path] }
        write = { root, writer in
            if let value = root[keyPath: path] { actual(root).write(key, value, &writer) }
        }
    }

    /// What is read and written in a way of its own.
    init(
        _ key: String, values: String, words: [String] = [], _ sentence: String,
        read: @escaping (Field, inout Root) -> Void
    ) {
        self.init(key: key, sentence: sentence, values: values) { fields, root in
            guard let field = fields[key] else { return false }
            read(field, &root)
            return true
        }
        self.words = words
    }
}

// MARK: what has settings of its own

extension Setting {
    /// A part of the root that is always there.
    init<Part: Equatable>(
        _ key: String, in path: WritableKeyPath<Root, Part>, _ sentence: String, _ section: @escaping (Root) -> Section<Part>
    ) {
        self.init(key: key, sentence: sentence, values: "") { fields, root in
            guard let field = fields[key] else { return false }
            return section(root).read(field, into: &root[keyPath: path], over: fields.beneath(key))
        }
        nested = { section($0).description }
        said = { section($0).said(by: $1) }
        differs = { root, _ in section(root).differs(root[keyPath: path]) }
        write = { root, writer in
            writer.section(key) { section(root).write(root[keyPath: path], &$0) }
        }
    }

    /// A part that may be absent.
    /// - Parameter absent: what is written where it is usually there and here is not.
    init<Part: Equatable>(
        _ key: String, in path: WritableKeyPath<Root, Part?>, absent: String? = nil, _ sentence: String,
        _ section: @escaping (Root) -> Section<Part>
    ) {
        self.init(key: key, sentence: sentence, values: "") { fields, root in
            guard let field = fields[key] else { return false }
            let section = section(root)
            var part = section.usual
            let isComplete = section.read(field, into: &part, over: fields.beneath(key))
            root[keyPath: path] = isComplete || field.isMapping ? part : nil
            return isComplete
        }
        nested = { section($0).description }
        said = { section($0).said(by: $1) }
        differs = { $0[keyPath: path] != $1[keyPath: path] }
        write = { root, writer in
            if let part = root[keyPath: path] {
                writer.section(key) { section(root).write(part, &$0) }
            } else if let absent {
                writer.line(key, absent)
            }
        }
    }

    /// A list of parts.
    init<Part: Equatable>(
        _ key: String, each path: WritableKeyPath<Root, [Part]>, atMost maximum: Int, _ sentence: String,
        _ section: @escaping (Root) -> Section<Part>
    ) {
        self.init(key: key, sentence: sentence, values: "a list, at most \(maximum)") { fields, root in
            guard let list = fields[key]?.list(atMost: maximum) else { return false }
            let section = section(root)
            root[keyPath: path] = list.compactMap { field in
                var part = section.usual
                // One that lacks something is still there: its name is no unknown one.
                return section.read(field, into: &part) || field.isMapping ? part : nil
            }
            return true
        }
        nested = { section($0).description }
        shape = .list
        differs = { root, _ in !root[keyPath: path].isEmpty }
        write = { root, writer in
            if root[keyPath: path].isEmpty { return writer.line(key, "[]") }
            let section = section(root)
            writer.section(key) { writer in
                for part in root[keyPath: path] {
                    writer.element { writer in
                        if let text = section.short?.text(part) { writer.value(text) } else { section.write(part, &writer) }
                    }
                }
            }
        }
    }

    /// Settings under names that the operator gives.
    func naming<Part>(_ section: @escaping (Root) -> Section<Part>) -> Setting {
        var setting = self
        setting.nested = { section($0).description }
        setting.shape = .named
        return setting
    }
}
