import Wire

/// Reads a witness's file.
public enum WitnessText {
    /// - Parameters:
    ///   - directory: where relative paths begin; that of the file. Without a slash at its end.
    public static func read(_ bytes: [UInt8], file: String, directory: String) -> ConfigurationResult<WitnessFile> {
        let problems = Problems(file: file)
        let section = section(directory)
        var value = section.usual
        let isRead = YAMLTree.parse(bytes, problems).map { tree in
            section.read(Field(tree: tree, path: "", problems: problems), into: &value)
        }
        return ConfigurationResult(isRead == true ? value : nil, problems)
    }

    /// Each has a record in the file and its keys in memory.
    static let pairsMaximum = 1000

    static func section(_ directory: String) -> Section<WitnessFile> {
        Section(
            WitnessFile(listen: .v4(.any), pairs: []),
            foreign: [
                "address": "listen", "file": "store", "datastore": "store", "pair": "pairs", "lease": "lease-maximum",
            ]
        ) {
            Setting("listen", \.listen, .address, "Where controllers reach it.")
                .required("the address on which controllers reach this witness")
            Setting("port", \.port, .number(1...65535, "a port"), "TCP.")
            Setting("store", \.store, .path(in: directory), "The one file that must not be forgotten, on a disk.")
            Setting(
                "lease-maximum", \.leaseMaximum, .duration(.milliseconds(100)...(.seconds(60))),
                "The longest lease that a controller may ask for.")
            Setting("pairs", values: "PAIR: …, 1…\(pairsMaximum)", "Each with its secret.") { field, file in
                let count = MappingReader(anyKeysOf: field)?.entries.count
                if count == 0 { field.error("at least one pair is needed") }
                if let count, count > pairsMaximum { return field.error("at most \(pairsMaximum) pairs share a witness") }
                for (name, value) in field.named("name of a pair") {
                    var pair = WitnessFile.Pair(name: name, keyFiles: [])
                    if Self.pair(directory).read(value, into: &pair) { file.pairs.append(pair) }
                }
            }
            .naming { _ in pair(directory) }
            .required("write PAIR: {key-file: PATH} for each")
            Setting("log-level", \.logLevel, .word, "What its own log has.")
        }
    }

    private static func pair(_ directory: String) -> Section<WitnessFile.Pair> {
        Section(
            WitnessFile.Pair(name: "", keyFiles: []),
            foreign: ["key": "key-file: PATH, the key itself does not belong here"]
        ) {
            Setting("key-file", \.keyFiles, ControllerSections(directory: directory).keyFiles, "Its secret.")
                .required("the secret that the witness shares with this pair")
        }
    }
}
