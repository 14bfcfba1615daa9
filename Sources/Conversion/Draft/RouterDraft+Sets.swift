/// Sets of what another language writes where it is used.
extension RouterDraft {
    private static let places: Set = ["community", "no-community", "remove-communities"]

    /// The statement with a name in place of each list that must be a set.
    mutating func named(_ statement: Mapping) -> Mapping {
        var named = Mapping()
        for entry in statement.entries {
            switch (entry.key, entry.node) {
            case ("match", .list(let conditions)), ("any", .list(let conditions)):
                named[entry.key] = .list(
                    conditions.map { node in
                        guard case .mapping(let condition) = node else { return node }
                        return .mapping(self.named(condition))
                    })
            case ("match", .mapping(let condition)), ("set", .mapping(let condition)), ("not", .mapping(let condition)):
                named[entry.key] = .mapping(self.named(condition))
            case (let key, .list(let list)):
                named[key] = Self.places.contains(key) ? .scalar(communitySet(of: list)) : entry.node
            default: named[entry.key] = entry.node
            }
        }
        return named
    }

    /// The name of a set with these members, a new one if need be.
    private mutating func communitySet(of members: [Node]) -> String {
        if let known = communitySets.entries.first(where: { $0.node == .list(members) }) { return known.key }
        var number = communitySets.entries.count + 1
        while communitySets["communities-\(number)"] != nil { number += 1 }
        communitySets["communities-\(number)"] = .list(members)
        return "communities-\(number)"
    }

    /// A policy that accepts everything, or nothing.
    mutating func policy(acceptingAll: Bool) -> String {
        let name = acceptingAll ? "all" : "none"
        policies[name] = .list([.mapping(Mapping(["then": .scalar(acceptingAll ? "accept" : "reject")]))])
        return name
    }
}
