/// Filters by name, and those that are written where they are used.
extension BIRDReader {
    /// `import all`, `export none`, `import filter NAME`, `export where …`, `import filter { … }`, `import keep filtered`
    ///
    /// - Parameter place: for a policy without a name, like `import-uplink`.
    /// - Returns: the policy, and whose routes it asks for; `nil` for what is no filter.
    mutating func policy(
        _ statement: BIRDStatement, place: String, isOfBGP: Bool = false
    ) throws -> (name: String, sources: Set<String>)? {
        let words = Array(statement.words.dropFirst())
        switch words.first {
        case "all": return (draft.policy(acceptingAll: true), Set(origins))
        case "none": return (draft.policy(acceptingAll: false), [])
        case "where":
            var filter = BIRDFilter(
                Array(statement.tokens.dropFirst(2)), constants: constants, neighbors: neighbors, kinds: kinds)
            try filter.readCondition()
            return (put(filter, under: place, isOfBGP), sources(of: filter))
        case "filter":
            if statement.block != nil, words.count == 1 {
                var filter = BIRDFilter(statement.body, constants: constants, neighbors: neighbors, kinds: kinds)
                try filter.readBody()
                return (put(filter, under: place, isOfBGP), sources(of: filter))
            }
            guard words.count == 2 else { throw Unmapped("a filter's name is expected") }
            return try policy(named: words[1], isOfBGP)
        case let name? where words.count == 1 && filters[name] != nil: return try policy(named: name, isOfBGP)
        case "keep", "limit", "table", "block": return nil
        default: throw Unmapped("a filter is expected")
        }
    }

    private mutating func policy(named name: String, _ isOfBGP: Bool) throws -> (name: String, sources: Set<String>) {
        guard let definition = filters[name] else { throw Unmapped("there is no filter '\(name)'") }
        var filter = BIRDFilter(definition.body, constants: constants, neighbors: neighbors, kinds: kinds)
        do { try filter.readBody() } catch let unmapped as Unmapped {
            throw Unmapped("filter \(name): \(unmapped.reason)")
        }
        return (put(filter, under: name, isOfBGP), sources(of: filter))
    }

    private func sources(of filter: BIRDFilter) -> Set<String> {
        filter.excluded.isEmpty ? filter.sources : filter.sources.union(origins).subtracting(filter.excluded)
    }

    private mutating func put(_ filter: BIRDFilter, under name: String, _ isOfBGP: Bool) -> String {
        let statements = filter.statements.map { Node.mapping(draft.named(isOfBGP ? Self.withinBGP($0) : $0)) }
        // One filter in both places is two policies if it asks for sources.
        var name = name
        if let known = draft.policies[name], known != .list(statements) { name += isOfBGP ? "-bgp" : "-redistributed" }
        draft.policies[name] = .list(statements)
        return name
    }

    /// What comes to a policy of BGP is a route of BGP: one that it has of another protocol is one of its own.
    private static func withinBGP(_ statement: Mapping) -> Mapping {
        func local(_ conditions: Mapping) -> Mapping {
            var changed = Mapping()
            for entry in conditions.entries {
                switch (entry.key, entry.node) {
                case ("protocol", .list(let names)):
                    let hasBGP = names.contains(.scalar("bgp"))
                    if hasBGP, names.count > 1 { continue }
                    if hasBGP {
                        changed["not"] = .mapping(Mapping(["source": .scalar("local")]))
                    } else {
                        changed["source"] = .scalar("local")
                    }
                case (_, .mapping(let inner)): changed[entry.key] = .mapping(local(inner))
                case ("any", .list(let all)), ("match", .list(let all)):
                    changed[entry.key] = .list(all.map { if case .mapping(let one) = $0 { .mapping(local(one)) } else { $0 } })
                default: changed[entry.key] = entry.node
                }
            }
            return changed
        }
        var changed = statement
        switch statement["match"] {
        case .mapping(let conditions)?:
            let conditions = local(conditions)
            changed["match"] = conditions.isEmpty ? nil : .mapping(conditions)
        case .list(let all)?:
            let kept = all.compactMap { node -> Node? in
                guard case .mapping(let one) = node else { return node }
                let conditions = local(one)
                return conditions.isEmpty ? nil : .mapping(conditions)
            }
            changed["match"] = kept.isEmpty ? nil : kept.count == 1 ? kept[0] : .list(kept)
        default: break
        }
        // `match` stands first, also where it was taken out and put back.
        var ordered = Mapping()
        for key in ["match", "set", "then"] { if let node = changed[key] { ordered[key] = node } }
        return ordered
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
