import Policy
import Records
import Wire

extension PolicyClauses {
    @Listing<Clause<PolicyAction>> static func actions(_ definitions: PolicyDefinitions) -> [Clause<PolicyAction>] {
        let communities = Kind.list(atMost: 255, Kind<Community>.community)
        let large = Kind.list(atMost: 255, Kind<LargeCommunity>.largeCommunity)
        let extended = Kind.list(atMost: 255, Kind<ExtendedCommunity>.extendedCommunity)
        Clause(
            "weight", .number(0...UInt16.max), "In this router alone: the highest counts before LOCAL_PREF does.",
            { .setWeight($0) }
        ) { if case .setWeight(let value) = $0 { value } else { nil } }
        Clause(
            "local-preference", change("a number"), "LOCAL_PREF; +N and -N change what is there.",
            { $0.isRelative ? .adjustLocalPreference($0.value) : .setLocalPreference(UInt32($0.value)) }
        ) { action in
            switch action {
            case .setLocalPreference(let value): Change(value)
            case .adjustLocalPreference(let value): Change(by: value)
            default: nil
            }
        }
        Clause(
            "med", or("none", change("a number")), "MULTI_EXIT_DISC; +N and -N change what is there, none takes it away.",
            { $0.map { $0.isRelative ? .adjustMED($0.value) : .setMED(UInt32($0.value)) } ?? .removeMED }
        ) { action in
            switch action {
            case .setMED(let value): .some(Change(value))
            case .adjustMED(let value): .some(Change(by: value))
            case .removeMED: .some(nil)
            default: nil
            }
        }
        Clause("origin", origin, "ORIGIN.", { .setOrigin($0) }) {
            if case .setOrigin(let origin) = $0 { origin } else { nil }
        }
        Clause("communities", communities, "Replaces all.", { .setCommunities($0) }) {
            if case .setCommunities(let list) = $0 { list } else { nil }
        }
        Clause("add-communities", communities, "Adds these.", { .addCommunities($0) }) {
            if case .addCommunities(let list) = $0 { list } else { nil }
        }
        Clause(
            "remove-communities", Kind<String>.known("community set", definitions.communitySets.map(\.name)),
            "Those that the set matches, of all kinds.", { .removeCommunities($0) }
        ) { if case .removeCommunities(let name) = $0 { name } else { nil } }
        Clause("large-communities", large, "Replaces all.", { .setLargeCommunities($0) }) {
            if case .setLargeCommunities(let list) = $0 { list } else { nil }
        }
        Clause("add-large-communities", large, "Adds these.", { .addLargeCommunities($0) }) {
            if case .addLargeCommunities(let list) = $0 { list } else { nil }
        }
        Clause("extended-communities", extended, "Replaces all.", { .setExtendedCommunities($0) }) {
            if case .setExtendedCommunities(let list) = $0 { list } else { nil }
        }
        Clause("add-extended-communities", extended, "Adds these.", { .addExtendedCommunities($0) }) {
            if case .addExtendedCommunities(let list) = $0 { list } else { nil }
        }
        Clause("prepend", Prepending.kind, "So often in front of the path; our own AS otherwise.", { $0.action }) {
            Prepending($0)
        }
        Clause(
            "replace-as", Replacement.kind(definitions), "These ASes in the path become another one; our own otherwise.",
            { .replaceAS($0.selection, with: $0.asNumber) }
        ) {
            if case .replaceAS(let selection, let number) = $0 {
                Replacement(selection: selection, asNumber: number)
            } else {
                nil
            }
        }
        Clause("remove-as", ASSelection.kind(definitions), "These ASes leave the path.", { .removeAS($0) }) {
            if case .removeAS(let selection) = $0 { selection } else { nil }
        }
        Clause(
            "next-hop", nextHop, "self: our own address; peer-address: the neighbor's on import; unchanged: as it is, on export.",
            { $0.action }
        ) { NextHopChoice($0) }
        Clause(
            "metric", change("a metric"), "Under which it is announced; +N and -N change what is there; in BGP as med.",
            { $0.isRelative ? .adjustMetric($0.value) : .setMetric(UInt32($0.value)) }
        ) { action in
            switch action {
            case .setMetric(let value): Change(value)
            case .adjustMetric(let value): Change(by: value)
            default: nil
            }
        }
        Clause(
            "metric-type", .metricType, "Of OSPF (1 or 2) and IS-IS (internal or external).", { .setMetricType(isExternal: $0) }
        ) { if case .setMetricType(let isExternal) = $0 { isExternal } else { nil } }
        Clause("tag", .number(0...UInt32.max, "a tag"), "Under which it is announced.", { .setTag($0) }) {
            if case .setTag(let value) = $0 { value } else { nil }
        }
        Clause("level", .levels, "Of IS-IS that announce it.", { .setLevels($0) }) {
            if case .setLevels(let value) = $0 { value } else { nil }
        }
    }

    /// A value, or a word in its place.
    private static func or<Value>(_ word: String, _ kind: Kind<Value>) -> Kind<Value?> {
        Kind(
            values: "\(kind.values) or \(word)", words: [word],
            read: { field in field.scalar == word ? .some(nil) : kind.read(field).map { .some($0) } },
            text: { $0.map(kind.text) ?? word })
    }

    /// A number, or what is to be added to one.
    private struct Change: Equatable {
        var value: Int64
        var isRelative: Bool

        init(_ value: UInt32) {
            self.value = Int64(value)
            isRelative = false
        }
        init(by value: Int64) {
            self.value = value
            isRelative = true
        }
    }
    private static func change(_ wanted: String) -> Kind<Change> {
        let absolute = Kind<UInt32>.number(0...UInt32.max, wanted)
        return Kind(
            values: "\(absolute.values), +N or -N",
            read: { field in
                guard let text = field.scalar, let sign = text.first, sign == "+" || sign == "-" else {
                    return absolute.read(field).map { Change($0) }
                }
                guard let size = UInt32(text.dropFirst()), !text.dropFirst().hasPrefix("+") else {
                    return field.wrong("'\(text.prefix(40))' is not allowed; write + or - and a number up to \(UInt32.max)")
                }
                return Change(by: sign == "-" ? -Int64(size) : Int64(size))
            },
            text: { change in
                change.isRelative && change.value >= 0
                    ? YAMLWriter.scalar("+\(change.value)") : YAMLWriter.scalar("\(change.value)")
            })
    }

    private enum NextHopChoice: Equatable {
        case address(IPAddress)
        case own, peer, unchanged

        init?(_ action: PolicyAction) {
            switch action {
            case .setNextHop(let address): self = .address(address)
            case .setNextHopSelf: self = .own
            case .setNextHopPeer: self = .peer
            case .keepNextHop: self = .unchanged
            default: return nil
            }
        }
        var action: PolicyAction {
            switch self {
            case .address(let address): .setNextHop(address)
            case .own: .setNextHopSelf
            case .peer: .setNextHopPeer
            case .unchanged: .keepNextHop
            }
        }
    }
    private static var nextHop: Kind<NextHopChoice> {
        let words: [(word: String, value: NextHopChoice)] = [("self", .own), ("peer-address", .peer), ("unchanged", .unchanged)]
        let address = Kind<IPAddress>.address
        return Kind(
            values: "\(address.values), " + Spelling.choice(words.map(\.word)), words: words.map(\.word),
            read: { field in
                if let choice = words.first(where: { $0.word == field.scalar }) { return choice.value }
                return address.read(field).map { .address($0) }
            },
            text: { choice in
                if case .address(let own) = choice { address.text(own) } else { words.first { $0.value == choice }?.word ?? "" }
            })
    }

    /// What is put in front of the path, and how often.
    private struct Prepending: Equatable {
        var asNumber = PolicyDefinitions.ownAS
        var count: UInt8 = 1
        /// So often whichever AS is first, in place of all that.
        var last: UInt8?
        /// Another word for our own AS and how often.
        var own: UInt8?

        init() {}
        init?(_ action: PolicyAction) {
            switch action {
            case .prepend(let number, let count): (asNumber, self.count) = (number, count)
            case .prependLast(let count): last = count
            default: return nil
            }
        }
        var action: PolicyAction {
            if let last { return .prependLast(count: last) }
            return .prepend(asNumber: asNumber, count: own ?? count)
        }

        static var kind: Kind<Prepending> {
            let section = Section(Prepending()) {
                Setting("as", \.asNumber, .asNumber, "Our own otherwise.")
                Setting("count", \.count, .number(1...32), "So often.")
                Setting("own", \.own, .number(1...32), "Our own AS so often.")
                Setting("last", \.last, .number(1...32), "The AS that is first in the path so often.")
            } check: { _, fields in
                let words = ["own", "last"].filter { fields[$0] != nil }
                if words.count == 2 { fields["last"]?.error("write either 'own' or 'last'") }
                if let word = words.first, fields["as"] != nil || fields["count"] != nil {
                    fields[word]?.error("this says all; leave 'as' and 'count' out")
                }
            }
            return Kind(
                values: "{as: AS, count: 1…32}, {own: 1…32} or {last: 1…32}",
                read: { field in
                    var value = section.usual
                    return section.read(field, into: &value) ? value : nil
                },
                text: { value in
                    value.last.map { "{last: \($0)}" } ?? "{as: \(value.asNumber), count: \(value.count)}"
                })
        }
    }

    private struct Replacement: Equatable {
        var selection = ASSelection.all
        var asNumber = PolicyDefinitions.ownAS

        static func kind(_ definitions: PolicyDefinitions) -> Kind<Replacement> {
            let selection = ASSelection.kind(definitions)
            let section = Section(Replacement()) {
                Setting("as", \.selection, selection, "Which.").required()
                Setting("with", \.asNumber, .asNumber, "Our own otherwise.")
            }
            return Kind(
                values: "\(selection.values), or {as: …, with: AS}", words: selection.words,
                read: { field in
                    guard field.isMapping else { return selection.read(field).map { Replacement(selection: $0) } }
                    var value = section.usual
                    return section.read(field, into: &value) ? value : nil
                }, text: { "{as: \(selection.text($0.selection)), with: \($0.asNumber)}" })
        }
    }
}
