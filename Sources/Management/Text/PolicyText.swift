import Foundation

extension PolicyView {
    public var lines: [String] { Array(trials.map(\.lines).joined(separator: [""])) }
}

extension PolicyView.Trial {
    public var lines: [String] {
        let names = policies.isEmpty ? "" : " by \(policies.joined(separator: ", "))"
        var lines = [
            "\(prefix)\(pathID.map { ", path \($0)" } ?? "") is \(isAccepted ? "accepted" : "rejected")\(names): \(reason)"
        ]
        lines += (misses ?? []).map { miss in
            "  statement \(miss.statement) of policy '\(miss.policy)' is passed over, since this does not hold: \(miss.condition)"
        }
        let old = Self.attributes(before, nextHopBefore)
        let new = after.map { Self.attributes($0, nextHopAfter) }
        for (i, attribute) in old.enumerated() {
            if let new, new[i].value != attribute.value {
                lines.append("  \(attribute.name) \(attribute.value) becomes \(new[i].value)")
            } else if attribute.value != "none" {
                lines.append("  \(attribute.name) \(attribute.value)")
            }
        }
        if let rpki = before.rpki { lines.append("  origin \(rpki) in the RPKI") }
        return lines
    }

    /// The same names in the same order for every route.
    private static func attributes(_ route: RoutesView.BGP, _ nextHop: String?) -> [(name: String, value: String)] {
        func list(_ values: [String]) -> String { values.isEmpty ? "none" : values.joined(separator: " ") }
        return [
            ("AS path", route.asPath.isEmpty ? "empty" : route.asPath), ("origin", route.origin), ("next hop", nextHop ?? "none"),
            ("weight", route.weight.map { "\($0)" } ?? "none"),
            ("local preference", route.localPreference.map { "\($0)" } ?? "none"), ("MED", route.med.map { "\($0)" } ?? "none"),
            ("communities", list(route.communities)), ("large communities", list(route.largeCommunities)),
            ("extended communities", list(route.extendedCommunities ?? [])),
            ("other attributes", list(route.unknown)),
        ]
    }
}
