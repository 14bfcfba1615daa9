/// What can be written in the files, as the tables of settings have it: the manual, completion, and which keys are secret.
public enum SettingsReference {
    private static var files: [(title: String, name: String, entries: [SettingEntry])] {
        [
            ("Router configuration", "router", RouterText.section.description.entries),
            ("Controller file", "controller", ControllerSections(directory: "").file.description.entries),
            ("Witness file", "witness", WitnessText.section("").description.entries),
        ]
    }

    /// `Docs/reference.md`.
    public static var manual: String {
        var text = """
            # Settings

            Every key of every file, with its values and its default. [configuration.md](configuration.md) says how the files are
            meant; `lockstepctl config reference` writes this from the tables by which the files are read. `[]` stands for an
            element of a list, `NAME` for a name that you give, **bold** for what must be there.

            """
        for file in files {
            text += "\n## \(file.title)\n"
            let plain = file.entries.filter(\.entries.isEmpty)
            text += table(plain.flatMap { rows($0, "") })
            var before: [(key: String, rows: [String])] = []
            for entry in file.entries where !entry.entries.isEmpty {
                text += "\n### \(entry.key)\n\n\(about(entry))\n"
                let all = entry.entries.flatMap { rows($0, "") }
                // Two versions of one protocol have most settings in common.
                if let like = before.first(where: { other in all.count { other.rows.contains($0) } * 5 > all.count * 4 }) {
                    let less = like.rows.filter { !all.contains($0) }.compactMap { $0.split(separator: " ").dropFirst().first }
                    let without = less.isEmpty ? "" : ", except " + less.joined(separator: ", ")
                    text += "\nAs `\(like.key)`\(without):\n"
                    text += table(all.filter { !like.rows.contains($0) })
                } else {
                    text += table(all)
                }
                before.append((entry.key, all))
            }
        }
        return text
    }

    private static func table(_ rows: [String]) -> String {
        rows.isEmpty ? "" : "\n| key | values | default | |\n|---|---|---|---|\n" + rows.joined(separator: "\n") + "\n"
    }

    private static func about(_ entry: SettingEntry) -> String {
        let values = [entry.values, entry.short ?? ""].filter { !$0.isEmpty }.joined(separator: "; or in its place: ")
        return entry.sentence + (values.isEmpty ? "" : " (\(values))") + (entry.isRequired ? " Must be there." : "")
    }

    /// A setting and those within it.
    private static func rows(_ entry: SettingEntry, _ path: String) -> [String] {
        func cell(_ text: String) -> String { text.replacing("|", with: "\\|") }
        let key = path + entry.key
        let values = [entry.values, entry.short ?? ""].filter { !$0.isEmpty }.joined(separator: "; or ")
        let name = entry.isRequired ? "**`\(key)`**" : "`\(key)`"
        let usual = entry.isRequired || entry.isSecret ? nil : entry.usual
        return ["| \(name) | \(cell(values)) | \(usual.map { cell("`\($0)`") } ?? "") | \(cell(entry.sentence)) |"]
            + entry.entries.flatMap { rows($0, key + entry.shape.separator) }
    }

    /// What may stand where a path ends: keys under `bgp.neighbors.re`, values under `isis.metric-style:`.
    /// - Parameters:
    ///   - path: keys with dots between them, without the numbers of elements.
    ///   - file: `router`, `controller` or `witness`.
    public static func completions(of path: String, in file: String = "router") -> [String] {
        let (keys, value) =
            path.firstIndex(of: ":").map {
                (String(path[..<$0]), String(path[path.index(after: $0)...].drop { $0 == " " }))
            } ?? (path, nil)
        var parts = keys.split(separator: ".", omittingEmptySubsequences: false).map { String($0.prefix { $0 != "[" }) }
        let last = value == nil ? parts.popLast() ?? "" : ""
        var entries = files.first { $0.name == file }?.entries ?? []
        var found: SettingEntry?
        var isName = false
        for part in parts {
            if isName {
                isName = false
                continue
            }
            guard let entry = entries.first(where: { $0.key == part }) else { return [] }
            found = entry
            entries = entry.entries
            isName = entry.shape == .named
        }
        if let value { return found?.words.filter { $0.hasPrefix(value) } ?? [] }
        return isName ? [] : entries.map(\.key).filter { $0.hasPrefix(last) }
    }

    /// Keys whose values are secret, wherever they stand.
    static let secretKeys: Set<String> = {
        var keys: Set<String> = []
        func visit(_ entry: SettingEntry) {
            if entry.isSecret { keys.insert(entry.key) }
            for entry in entry.entries { visit(entry) }
        }
        for file in files { for entry in file.entries { visit(entry) } }
        return keys
    }()
}
