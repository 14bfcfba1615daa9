import Wire

/// Policies with parameters, while a file is read: each set of values that they are called with is a policy of its own, so that
/// values cost nothing when routes are looked at. The canonical text has these policies under their own names.
final class PolicyInstances {
    /// Sets of values, of all policies together.
    static let maximum = 256
    private static let lengthMaximum = 64

    private struct Template {
        var field: Field
        /// In the order of the file.
        var usual: [(name: String, value: String)]
    }
    private var templates: [String: Template] = [:]
    /// By template and values.
    private var known: [[String]: String] = [:]
    private var taken: Set<String>
    private var waiting: [(name: String, field: Field)] = []

    init(_ policies: [(name: String, field: Field)]) {
        taken = Set(policies.map(\.name))
        for (name, field) in policies where field.isMapping {
            let parameters = field.at("parameters")
            guard parameters.path != field.path else { continue }
            templates[name] = Template(field: field, usual: Self.values(parameters))
        }
    }

    /// Names with a scalar each.
    private static func values(_ field: Field) -> [(name: String, value: String)] {
        guard field.isMapping || field.isNothing else { return field.wrong("a mapping is expected: NAME: VALUE") ?? [] }
        return (MappingReader(anyKeysOf: field)?.entries ?? []).compactMap { name, value in
            guard name.utf8.allSatisfy(isNamePart), name.first?.isLetter == true else {
                return value.wrong("'\(name.prefix(40))' is no name for a parameter; write letters and digits")
            }
            return value.text(0...lengthMaximum, "a value").map { (name, $0) }
        }
    }

    /// The policy as it is without values of a caller.
    func usual(_ name: String, _ field: Field) -> Field {
        guard let template = templates[name] else { return field }
        return field.replacing(template.usual)
    }

    /// The name of the policy with these values: a mapping of parameters.
    func instance(of name: String, _ with: Field) -> String? {
        let own = Self.values(with)
        guard let template = templates[name] else {
            return with.wrong("policy '\(name)' has no parameters; give it some: parameters: {NAME: VALUE}")
        }
        let names = template.usual.map(\.name)
        if let unknown = own.first(where: { !names.contains($0.name) }) {
            return with.wrong(
                "policy '\(name)' has no parameter '\(unknown.name)'; " + Spelling.suggestion(for: unknown.name, among: names))
        }
        let values = template.usual.map { usual in (usual.name, own.first { $0.name == usual.name }?.value ?? usual.value) }
        let key = [name] + values.map(\.1)
        if let known = known[key] { return known }
        guard known.count < Self.maximum else {
            return with.wrong("policies are called with more than \(Self.maximum) sets of values")
        }
        var number = 1
        while !taken.insert("\(name.prefix(56)).\(number)").inserted { number += 1 }
        let instance = "\(name.prefix(56)).\(number)"
        known[key] = instance
        waiting.append((instance, template.field.replacing(values)))
        return instance
    }

    /// One that was called and is not read yet.
    func next() -> (name: String, field: Field)? { waiting.isEmpty ? nil : waiting.removeFirst() }

    fileprivate static func isNamePart(_ letter: UInt8) -> Bool {
        switch letter {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"):
            true
        default: false
        }
    }
}

extension Field {
    /// With the value in the place of each `$name`, in all scalars but those under `parameters`.
    fileprivate func replacing(_ values: [(name: String, value: String)]) -> Field {
        func replaced(_ tree: YAMLTree, _ isTop: Bool) -> YAMLTree {
            var result = tree
            switch tree.content {
            case .nothing: break
            case .scalar(let text, let isQuoted):
                result.content = .scalar(replacing(text, values, tree), isQuoted: isQuoted)
            case .list(let list): result.content = .list(list.map { replaced($0, false) })
            case .mapping(let pairs):
                result.content = .mapping(
                    pairs.map { pair in
                        var pair = pair
                        if !isTop || pair.key != "parameters" { pair.value = replaced(pair.value, false) }
                        return pair
                    })
            }
            return result
        }
        return Field(tree: replaced(tree, true), path: path, problems: problems)
    }

    private func replacing(_ text: String, _ values: [(name: String, value: String)], _ tree: YAMLTree) -> String {
        guard text.contains("$") else { return text }
        var result = ""
        var rest = text[...]
        while let mark = rest.firstIndex(of: "$") {
            result += rest[..<mark]
            rest = rest[rest.index(after: mark)...]
            // `$` without a name is the end of an AS path.
            guard rest.first?.isLetter == true else {
                result += "$"
                continue
            }
            let name = String(rest.prefix { $0.utf8.allSatisfy(PolicyInstances.isNamePart) })
            rest = rest.dropFirst(name.count)
            guard let value = values.first(where: { $0.name == name })?.value else {
                problems.add(
                    .error, line: tree.line, column: tree.column, path: path,
                    "there is no parameter '\(name.prefix(40))'" + Spelling.hint(for: name, among: values.map(\.name)))
                continue
            }
            result += value
        }
        return result + rest
    }
}
