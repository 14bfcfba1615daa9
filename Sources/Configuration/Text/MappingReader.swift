/// A mapping with known keys. Making one notes every key that is unknown.
struct MappingReader {
    let field: Field
    private let pairs: [YAMLTree.Pair]
    /// Position in `pairs`.
    private let index: [String: Int]
    /// Mappings from which this one takes what it does not say itself, the nearest first.
    var lower: [MappingReader] = []

    /// - Parameters:
    ///   - keys: what may stand here.
    ///   - foreign: words of other routers, and what to write here.
    init?(_ field: Field, keys: [String], foreign: [String: String] = [:]) {
        guard let reader = MappingReader(anyKeysOf: field) else { return nil }
        self = reader
        for pair in pairs where !keys.contains(pair.key) {
            let hint = foreign[pair.key].map { "write \($0)" } ?? Spelling.suggestion(for: pair.key, among: keys)
            field.problems.add(
                .error, line: pair.line, column: pair.column, path: Self.join(field.path, pair.key),
                "unknown key; \(hint)")
        }
    }

    /// A mapping whose keys are names that the operator gives.
    init?(anyKeysOf field: Field) {
        self.field = field
        switch field.tree.content {
        case .nothing: pairs = []
        case .mapping(let all): pairs = all
        default:
            field.error("a mapping is expected, not \(field.tree.kind)")
            return nil
        }
        index = Dictionary(pairs.enumerated().map { ($1.key, $0) }, uniquingKeysWith: { first, _ in first })
    }

    static func join(_ path: String, _ key: String) -> String {
        let key = String(key.prefix(64))
        return path.isEmpty ? key : "\(path).\(key)"
    }

    private func field(_ pair: YAMLTree.Pair) -> Field {
        var tree = pair.value
        // Nothing has no place of its own: the key has.
        if case .nothing = tree.content {
            tree.line = pair.line
            tree.column = pair.column
        }
        return Field(tree: tree, path: Self.join(field.path, pair.key), problems: field.problems)
    }

    /// The value of a key, if it is there and not nothing.
    subscript(key: String) -> Field? { own(key) ?? lower.lazy.compactMap { $0.own(key) }.first }

    private func own(_ key: String) -> Field? {
        guard let found = index[key] else { return nil }
        let value = field(pairs[found])
        return value.isNothing ? nil : value
    }
    /// What the mappings below say of a key, less the value that counts: a part of it that is a mapping takes from these what
    /// it does not say itself.
    func beneath(_ key: String) -> [Field] { Array(([self] + lower).compactMap { $0.own(key) }.dropFirst()) }

    /// The value of a key that has to be there.
    func required(_ key: String, _ explanation: String = "") -> Field? {
        if let value = self[key] { return value }
        field.error("'\(key)' is missing\(explanation.isEmpty ? "" : "; \(explanation)")")
        return nil
    }

    /// All keys with their values, in the order of the file.
    var entries: [(key: String, field: Field)] { pairs.map { ($0.key, field($0)) } }
}
