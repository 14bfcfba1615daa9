import Wire

/// Reads a witness's file.
public enum WitnessText {
    /// - Parameters:
    ///   - directory: where relative paths begin; that of the file. Without a slash at its end.
    public static func read(_ bytes: [UInt8], file: String, directory: String) -> ConfigurationResult<WitnessFile> {
        let problems = Problems(file: file)
        let value = YAMLTree.parse(bytes, problems).flatMap { tree in
            read(Field(tree: tree, path: "", problems: problems), directory)
        }
        return ConfigurationResult(value, problems)
    }

    static let keys = ["listen", "port", "store", "lease-maximum", "pairs", "log-level"]
    /// Each has a record in the file and its keys in memory.
    static let pairsMaximum = 1000

    private static func read(_ root: Field, _ directory: String) -> WitnessFile? {
        guard
            let top = MappingReader(
                root, keys: keys,
                foreign: [
                    "address": "listen", "file": "store", "datastore": "store", "pair": "pairs", "lease": "lease-maximum",
                ])
        else { return nil }
        let listen = top.required("listen", "the address on which controllers reach this witness").flatMap { $0.address() }
        let pairs = top.required("pairs", "write PAIR: {key-file: PATH} for each").flatMap { self.pairs($0, directory) }
        var file = WitnessFile(listen: listen ?? .v4(.init(raw: 0)), pairs: pairs ?? [])
        if let port = top["port"]?.number(1...65535 as ClosedRange<UInt16>, "a port") { file.port = port }
        if let path = top["store"].flatMap({ $0.path(in: directory) }) { file.store = path }
        if let lease = top["lease-maximum"]?.duration(.milliseconds(100)...(.seconds(60))) { file.leaseMaximum = lease }
        if let word = top["log-level"]?.choice(ControllerFile.LogLevel.allCases.map(\.rawValue)) {
            file.logLevel = ControllerFile.LogLevel(rawValue: word) ?? .info
        }
        return listen == nil || pairs == nil ? nil : file
    }

    private static func pairs(_ field: Field, _ directory: String) -> [WitnessFile.Pair]? {
        guard let mapping = MappingReader(anyKeysOf: field) else { return nil }
        if mapping.entries.isEmpty { return field.wrong("at least one pair is needed") }
        if mapping.entries.count > pairsMaximum { return field.wrong("at most \(pairsMaximum) pairs share a witness") }
        return mapping.entries.compactMap { name, value in
            if let reason = Field.nameProblem(name) {
                return value.wrong("'\(name.prefix(40))' is no name of a pair: \(reason)")
            }
            guard
                let pair = MappingReader(
                    value, keys: ["key-file"],
                    foreign: [
                        "key": "key-file: PATH, the key itself does not belong here"
                    ])
            else { return nil }
            return pair.required("key-file", "the secret that the witness shares with this pair").flatMap {
                $0.keyFiles(in: directory)
            }
            .map { WitnessFile.Pair(name: name, keyFiles: $0) }
        }
    }
}
