/// A form of statement: words that must be there, `*` for any one, `...` at the end for whatever is left.
struct Pattern: Sendable {
    private let words: [Substring]
    private let takesRest: Bool

    init(_ text: StaticString) {
        let all = "\(text)".split(separator: " ")
        takesRest = all.last == "..."
        words = takesRest ? all.dropLast() : all
    }

    /// What stands in the places of `*` and `...`; `nil` when the statement has another form.
    func match(_ statement: [String]) -> [String]? {
        guard takesRest ? statement.count >= words.count : statement.count == words.count else { return nil }
        var found: [String] = []
        for (word, form) in zip(statement, words) {
            if form == "*" { found.append(word) } else if word.lowercased() != form.lowercased() { return nil }
        }
        if takesRest { found += statement[words.count...] }
        return found
    }
}
