/// Filters by name, and those that are written where they are used.
extension BIRDReader {
    /// `import all`, `export none`, `import filter NAME`, `export where …`, `import filter { … }`, `import keep filtered`
    ///
    /// - Parameter place: for a policy without a name, like `import-uplink`.
    /// - Returns: the policy, and whose routes it asks for; `nil` for what is no filter.
    mutating func policy(_ statement: BIRDStatement, place: String) throws -> (name: String, sources: Set<String>)? {
        let words = Array(statement.words.dropFirst())
        switch words.first {
        case "all": return (draft.policy(acceptingAll: true), Set(origins))
        case "none": return (draft.policy(acceptingAll: false), [])
        case "where":
            var filter = BIRDFilter(Array(statement.tokens.dropFirst(2)), constants: constants, neighbors: neighbors)
            try filter.readCondition()
            return (put(filter, under: place), filter.sources)
        case "filter":
            if statement.block != nil, words.count == 1 {
                var filter = BIRDFilter(statement.body, constants: constants, neighbors: neighbors)
                try filter.readBody()
                return (put(filter, under: place), filter.sources)
            }
            guard words.count == 2 else { throw Unmapped("a filter's name is expected") }
            return try policy(named: words[1])
        case let name? where words.count == 1 && filters[name] != nil: return try policy(named: name)
        case "keep", "limit", "table", "block": return nil
        default: throw Unmapped("a filter is expected")
        }
    }

    private mutating func policy(named name: String) throws -> (name: String, sources: Set<String>) {
        guard let definition = filters[name] else { throw Unmapped("there is no filter '\(name)'") }
        var filter = BIRDFilter(definition.body, constants: constants, neighbors: neighbors)
        do { try filter.readBody() } catch let unmapped as Unmapped {
            throw Unmapped("filter \(name): \(unmapped.reason)")
        }
        return (put(filter, under: name), filter.sources)
    }

    private mutating func put(_ filter: BIRDFilter, under name: String) -> String {
        draft.policies[name] = .list(filter.statements.map { .mapping(draft.named($0)) })
        return name
    }

    /// Routes that a protocol is to announce of others.
    mutating func redistribute(_ sources: Set<String>, into target: String, _ policy: String?) {
        for source in sources.sorted() where source != target && !(source == "bgp" && target == "bgp") {
            var entry = Mapping(["from": .scalar(source), "into": .scalar(target)])
            let isThere = draft.redistribute.contains { node in
                if case .mapping(let mapping) = node {
                    mapping["from"] == entry["from"] && mapping["into"] == entry["into"]
                } else {
                    false
                }
            }
            if isThere { continue }
            if let policy, policy != "all" { entry["policy"] = .scalar(policy) }
            draft.redistribute.append(.mapping(entry))
        }
    }
}
