import BGP
import Wire

/// Neighbours, what they have in common, and ranges from which they come by themselves.
extension BGPText {
    // MARK: peer groups

    var groups: Setting<BGPConfiguration> {
        var setting = Setting<BGPConfiguration>(
            "peer-groups", values: "NAME: …", "What neighbors have in common: any key of a neighbor but address."
        ) { field, bgp in
            let section = group(bgp)
            for (name, value) in field.named("name for a peer group") {
                // One that nobody uses must be right, too.
                var settings = section.usual
                _ = section.read(value, into: &settings)
                bgp.groups.append(PeerGroupConfiguration(name: name, settings: settings, said: section.said(by: value)))
            }
        }
        setting.differs = { bgp, _ in !bgp.groups.isEmpty }
        setting.write = { bgp, writer in
            let section = group(bgp)
            writer.section("peer-groups") { writer in
                for group in bgp.groups {
                    if group.said.isEmpty { writer.line(group.name, "{}") } else { write(group, section, &writer) }
                }
            }
        }
        return setting
    }

    private func write(
        _ group: PeerGroupConfiguration, _ section: Section<NeighborConfiguration>, _ writer: inout YAMLWriter
    ) {
        writer.section(group.name) { writer in
            writer.saying(group.said) { section.write(group.settings, &$0) }
        }
    }

    private func group(_ bgp: BGPConfiguration) -> Section<NeighborConfiguration> {
        var hints = Self.foreign
        hints["peer-group"] = "the settings here; a group has no group"
        hints["address"] = "it at the neighbor"
        let settings = neighbor(bgp, nil)
        return Section(settings.usual, foreign: hints) { settings.settings }
    }

    /// What the groups of a configuration say, by name.
    private func known(_ fields: MappingReader) -> [(name: String, field: Field)] {
        let groups = fields["peer-groups"].flatMap { MappingReader(anyKeysOf: $0)?.entries } ?? []
        return groups.filter { ($0.field.isMapping || $0.field.isNothing) && Field.nameProblem($0.key) == nil }
            .map { ($0.key, $0.field) }
    }

    /// A neighbour's groups: one, or a list of which the later one counts.
    func membership(_ groups: [String]) -> Setting<NeighborConfiguration> {
        let known = Kind<String>.known("peer group", groups)
        var setting = Setting<NeighborConfiguration>(
            "peer-group", values: "the name of a peer group, or a list of them", words: groups,
            "What it has in common with others; of what several say the later one counts."
        ) { field, neighbor in
            guard let list = field.list(atMost: Self.groupsOfNeighborMaximum) else { return }
            let once = known.once { "'\($0)' is named twice" }
            neighbor.membership = GroupMembership(groups: list.compactMap(once.read))
        }
        setting.differs = { neighbor, _ in neighbor.membership != nil }
        setting.write = { neighbor, writer in writer.list("peer-group", neighbor.membership?.groups ?? []) }
        return setting
    }
    private static let groupsOfNeighborMaximum = 16

    // MARK: neighbours

    var neighbors: Setting<BGPConfiguration> {
        func section(_ bgp: BGPConfiguration, _ groups: [String]) -> Section<NeighborConfiguration> {
            let settings = neighbor(bgp, groups)
            return Section(settings.usual, foreign: Self.foreign) {
                Setting("address", \.address, .address.once { "there is another neighbor \($0)" }, "Of the neighbor.").required()
                settings.settings
            } check: { neighbor, fields in
                if fields["families"] == nil { neighbor.families = families([RouteFamily(neighbor.address.family)], fields) }
                check(neighbor, fields, bgp)
            }
        }
        var setting = Setting<BGPConfiguration>(
            "neighbors", each: \.neighbors, atMost: Self.neighborsMaximum,
            "What a neighbor does not say itself comes from its peer group."
        ) { section($0, []) }
        setting.read = { fields, bgp in
            guard let list = fields["neighbors"]?.list(atMost: Self.neighborsMaximum) else { return false }
            let known = Dictionary(known(fields).map { ($0.name, $0.field) }, uniquingKeysWith: { first, _ in first })
            let section = section(bgp, self.known(fields).map(\.name))
            for field in list {
                var neighbor = section.usual
                let groups = (field.at("peer-group").list(atMost: Self.groupsOfNeighborMaximum) ?? []).reversed()
                    .compactMap { $0.scalar.flatMap { known[$0] } }
                guard section.read(field, into: &neighbor, over: groups) else { continue }
                neighbor.membership?.said = section.said(by: field).filter { $0 != "address" && $0 != "peer-group" }
                // Elsewhere it stands at each family.
                if neighbor.membership == nil { neighbor.commonPrefixLimit = nil }
                bgp.neighbors.append(neighbor)
            }
            return true
        }
        setting.write = { bgp, writer in
            if bgp.neighbors.isEmpty { return writer.line("neighbors", "[]") }
            let section = section(bgp, bgp.groups.map(\.name))
            writer.section("neighbors") { writer in
                for neighbor in bgp.neighbors {
                    writer.element { writer in
                        guard let membership = neighbor.membership else { return section.write(neighbor, &writer) }
                        writer.saying(["address", "peer-group"] + membership.said) { section.write(neighbor, &$0) }
                    }
                }
            }
        }
        return setting
    }

    // MARK: ranges

    var listen: Setting<BGPConfiguration> {
        func section(_ bgp: BGPConfiguration, _ groups: [String]) -> Section<ListenRangeConfiguration> {
            let usual = ListenRangeConfiguration(
                prefix: .v4(IPv4Prefix(.any, 0)), group: "", template: NeighborConfiguration(address: .v4(.any), remoteAS: .zero))
            return Section(
                usual,
                foreign: [
                    "range": "prefix", "group": "peer-group", "remote-as": "as", "as-set": "as", "asn": "as",
                    "maximum": "limit", "max": "limit",
                ]
            ) {
                Setting("prefix", \.prefix, .prefix.once { "\($0) stands twice" }, "From whose addresses neighbors may come.")
                    .required()
                Setting("peer-group", \.group, .known("peer group", groups), "What such a neighbor is.").required()
                Setting(
                    "as", \.asNumbers, asNumbers(bgp.routerAS),
                    "Of which one must be the neighbor's; remote-as of the group otherwise. Several are of external neighbors.")
                Setting(
                    "limit", \.limit, .number(1...UInt16(Self.neighborsMaximum)),
                    "Neighbors of this range at a time; configured ones do not count.")
            }
        }
        var setting = Setting<BGPConfiguration>(
            "listen", each: \.ranges, atMost: ListenRangeConfiguration.rangesMaximum,
            "Ranges from which neighbors come by themselves: whoever connects from there and is no configured neighbor."
        ) { section($0, $0.groups.map(\.name)) }
        setting.read = { fields, bgp in
            guard let list = fields["listen"]?.list(atMost: ListenRangeConfiguration.rangesMaximum) else { return false }
            let known = known(fields)
            let section = section(bgp, known.map(\.name))
            for field in list {
                var range = section.usual
                guard section.read(field, into: &range), let group = known.first(where: { $0.name == range.group })?.field
                else { continue }
                complete(&range, group, field, bgp)
                bgp.ranges.append(range)
            }
            return true
        }
        return setting
    }

    /// What neighbours of the range are, from the group that it names.
    private func complete(
        _ range: inout ListenRangeConfiguration, _ group: Field, _ field: Field, _ bgp: BGPConfiguration
    ) {
        let section = self.group(bgp)
        guard let fields = MappingReader(group, keys: section.keys, foreign: section.foreign) else { return }
        range.template = section.usual
        _ = section.read(group, into: &range.template)
        range.template.address = range.prefix.address
        if fields["families"] == nil { range.template.families = families([RouteFamily(range.prefix.family)], fields) }
        if let limit = range.template.commonPrefixLimit {
            for i in range.template.families.indices where range.template.families[i].maximumPrefixes == 0 {
                range.template.families[i].maximumPrefixes = limit
            }
        }
        range.template.commonPrefixLimit = nil
        let own = range.template.remoteAS
        if range.asNumbers.isEmpty, own != .zero { range.template.remoteAS = own }
        let numbers = range.accepted
        guard let first = numbers.first else {
            // One that is wrong was reported.
            guard MappingReader(anyKeysOf: field)?["as"] == nil else { return }
            return field.error("'as' is missing; write the AS numbers of neighbors here, or remote-as in the group")
        }
        let isOne = numbers.count == 1 && first.first == first.last
        if !isOne, bgp.routerAS != .zero, numbers.contains(where: { $0.contains(bgp.routerAS) }) {
            return field.at("as").error("internal neighbors have a range of their own; AS \(bgp.routerAS) is ours")
        }
        if !isOne, let member = bgp.confederation?.members.first(where: { member in numbers.contains { $0.contains(member) } }) {
            return field.at("as").error("members of the confederation have a range each; AS \(member) is one")
        }
        range.template.remoteAS = isOne ? first.first : .zero
        if range.template.bfd != nil {
            field.at("peer-group").error("BFD watches configured neighbors; the group of a range has no 'bfd'")
        }
        checkTraits(range.template, fields, field.at("prefix"), bgp)
        let reach = staticRoutes.contains { $0.prefix.contains(range.prefix.address) }
        if networks.interface(reaching: range.prefix.address) == nil, !reach {
            field.at("prefix").warn("no connected network or static route leads to \(range.prefix)")
        }
    }

    private func asNumbers(_ routerAS: ASNumber) -> Kind<[ASNumberRange]> {
        let number = remoteAS(routerAS)
        let range = Kind<ASNumberRange>(
            values: "\(number.values), or N..M", words: number.words,
            read: { field in
                guard let text = field.scalar, let dots = text.firstRange(of: "..") else {
                    return number.read(field).map { ASNumberRange($0, $0) }
                }
                guard let first = ASNumber(text[..<dots.lowerBound]), let last = ASNumber(text[dots.upperBound...]),
                    first != .zero, first.raw <= last.raw
                else { return field.wrong("'\(text.prefix(40))' is no range of AS numbers; write it like 64512..64999") }
                return ASNumberRange(first, last)
            }, text: { $0.first == $0.last ? "\($0.first)" : "\($0.first)..\($0.last)" })
        return .list(atMost: 64, range)
    }
}
