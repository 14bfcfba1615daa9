/// The settings of one mapping, in the order of the canonical text, in which they are read as well.
struct Section<Root> {
    /// What holds where the operator says nothing.
    let usual: Root
    let settings: [Setting<Root>]
    /// Words of other routers, and what to write here.
    var foreign: [String: String] = [:]
    /// Where one setting is not as usual the canonical text has all of them.
    var isWhole = false
    /// What must be there comes first, and the rest depends on it.
    var isStrict = false
    /// What may stand in place of the mapping.
    var short: Short?
    /// What concerns several settings at once. Runs once all that must be there is.
    var check: (inout Root, MappingReader) -> Void = { _, _ in }

    /// A scalar in place of a mapping.
    struct Short {
        /// For the manual.
        var values: String
        /// - Returns: `false`: it stands for nothing.
        var read: (Field, inout Root) -> Bool
        /// The element of a list that is written so; `nil`: as a mapping.
        var text: (Root) -> String? = { _ in nil }
    }

    init(
        _ usual: Root, foreign: [String: String] = [:], isWhole: Bool = false, isStrict: Bool = false,
        short: Short? = nil,
        @Listing<Setting<Root>> _ settings: () -> [Setting<Root>],
        check: @escaping (inout Root, MappingReader) -> Void = { _, _ in }
    ) {
        self.usual = usual
        self.foreign = foreign
        self.isWhole = isWhole
        self.isStrict = isStrict
        self.short = short
        self.settings = settings()
        self.check = check
    }

    var keys: [String] { settings.map(\.key) }

    /// Reads a mapping into `root`; everything that is wrong with it is a problem.
    /// - Parameter lower: mappings from which it takes what it does not say itself, the nearest first.
    /// - Returns: `false` if something is missing that must be there.
    func read(_ field: Field, into root: inout Root, over lower: [Field] = []) -> Bool {
        if let short, !field.isMapping { return short.read(field, &root) }
        guard var fields = MappingReader(field, keys: keys, foreign: foreign) else { return false }
        fields.lower = lower.filter(\.isMapping).compactMap { MappingReader(anyKeysOf: $0) }
        var isComplete = true
        for setting in settings {
            if isStrict, !isComplete, setting.missing == nil { continue }
            if fields[setting.key] == nil {
                guard let explanation = setting.missing else { continue }
                isComplete = false
                _ = fields.required(setting.key, explanation)
            } else if !setting.read(fields, &root), setting.missing != nil {
                isComplete = false
            }
        }
        if isComplete { check(&root, fields) }
        return isComplete
    }

    func differs(_ root: Root) -> Bool { settings.contains { $0.differs(root, usual) } }

    func write(_ root: Root, _ writer: inout YAMLWriter) {
        for setting in settings {
            switch writer.isSaid(setting.key) {
            case .notAtAll: continue
            case .inPart: setting.write(root, &writer)
            case .wholly: writer.sayingAll { setting.write(root, &$0) }
            case nil:
                guard isWhole || setting.isAlwaysWritten || setting.differs(root, usual) else { continue }
                setting.write(root, &writer)
            }
        }
    }

    /// What a mapping says itself, in the order of the table: its keys, and within a part that is merged with others those of the
    /// part, behind a dot.
    func said(by field: Field) -> [String] {
        guard field.isMapping, let reader = MappingReader(anyKeysOf: field) else { return [] }
        return settings.flatMap { setting -> [String] in
            guard let value = reader[setting.key] else { return [] }
            guard value.isMapping, let part = setting.said else { return [setting.key] }
            return part(usual, value).map { "\(setting.key).\($0)" }
        }
    }

    /// What the manual says of it.
    var description: (short: String?, entries: [SettingEntry]) {
        (
            short?.values,
            settings.filter { !$0.isHidden }.map { setting in
                let nested = setting.nested?(usual)
                return SettingEntry(
                    key: setting.key, values: setting.values, words: setting.words, usual: setting.text(usual),
                    sentence: setting.sentence, isRequired: setting.missing != nil, isSecret: setting.isSecret,
                    short: nested?.short, shape: setting.shape, entries: nested?.entries ?? [])
            }
        )
    }
}

/// A setting as the manual and completion see it.
struct SettingEntry: Hashable {
    enum Shape {
        case mapping, list, named
        /// Between its key and those within it.
        var separator: String {
            switch self {
            case .mapping: "."
            case .list: "[]."
            case .named: ".NAME."
            }
        }
    }
    var key: String
    var values: String
    var words: [String]
    /// What holds where nothing is said; `nil`: nothing.
    var usual: String?
    var sentence: String
    var isRequired = false
    var isSecret = false
    /// What may stand in place of the settings within it.
    var short: String?
    var shape = Shape.mapping
    /// Settings within it.
    var entries: [SettingEntry] = []
}

/// Lists things one below the other; `if` leaves out those of another version. Each is checked by the compiler alone.
@resultBuilder enum Listing<Element> {
    static func buildExpression(_ element: Element) -> [Element] { [element] }
    static func buildExpression(_ elements: [Element]) -> [Element] { elements }
    static func buildBlock(_ parts: [Element]...) -> [Element] { Array(parts.joined()) }
    static func buildOptional(_ part: [Element]?) -> [Element] { part ?? [] }
    static func buildEither(first part: [Element]) -> [Element] { part }
    static func buildEither(second part: [Element]) -> [Element] { part }
}
