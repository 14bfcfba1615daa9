import BGP
import Engine
import ISIS
import OSPF
import Routing
import Wire

/// The sections `redistribute` and `aggregates`: what protocols announce of each other.
struct RedistributionTextReader {
    static let rulesMaximum = 64
    static let termsMaximum = 1_024
    static let aggregatesMaximum = 1_024
    static let sources: [RouteProtocol] = [.connected, .static, .bgp, .ospf, .ospfv3, .isis, .rip, .ripng, .aggregate]
    static let targets: [RouteProtocol] = [.bgp, .ospf, .ospfv3, .isis, .rip, .ripng]

    /// What a protocol tells apart among its routes, in words; `kind` of an offer.
    static func kinds(of source: RouteProtocol) -> [(word: String, value: UInt8)] {
        switch source {
        case .bgp:
            [
                ("local", RouteSource.local.rawValue), ("external", RouteSource.external.rawValue),
                ("internal", RouteSource.internal.rawValue),
            ]
        case .ospf, .ospfv3:
            [
                ("intra-area", OSPFPathType.intraArea.rawValue), ("inter-area", OSPFPathType.interArea.rawValue),
                ("external-1", OSPFPathType.externalType1.rawValue), ("external-2", OSPFPathType.externalType2.rawValue),
            ]
        case .isis:
            [
                ("level-1", ISISRouteKind.level1.rawValue), ("level-2", ISISRouteKind.level2.rawValue),
                ("level-1-down", ISISRouteKind.level1Down.rawValue), ("level-2-down", ISISRouteKind.level2Down.rawValue),
                ("level-1-external", ISISRouteKind.level1External.rawValue),
                ("level-2-external", ISISRouteKind.level2External.rawValue),
                ("level-1-down-external", ISISRouteKind.level1DownExternal.rawValue),
                ("attached", ISISRouteKind.attached.rawValue), ("discard", ISISRouteKind.discard.rawValue),
            ]
        case .connected, .static, .rip, .ripng, .aggregate: []
        }
    }

    /// Which bits of a set of levels.
    static let levels: [(word: String, value: UInt8)] = [("1", 1), ("2", 2), ("1-2", 3)]

    // MARK: redistribute

    static func readRules(_ field: Field) -> [RedistributionConfiguration] {
        var rules: [RedistributionConfiguration] = []
        for field in field.list(atMost: rulesMaximum) ?? [] {
            guard let rule = readRule(field) else { continue }
            if rules.contains(where: { $0.source == rule.source && $0.target == rule.target }) {
                field.error("'\(rule.target)' takes routes of '\(rule.source)' already; put all rules in one place")
            }
            rules.append(rule)
        }
        return rules
    }

    private static func readRule(_ field: Field) -> RedistributionConfiguration? {
        guard
            let mapping = MappingReader(
                field, keys: ["from", "into", "metric", "metric-type", "tag", "level", "rules", "otherwise"],
                foreign: [
                    "source": "from", "target": "into", "to": "into", "route-map": "rules", "policy": "rules", "filter": "rules",
                    "protocol": "from", "levels": "level",
                ])
        else { return nil }
        let source = mapping.required("from").flatMap { named($0, sources) }
        let target = mapping.required("into").flatMap { named($0, targets) }
        guard let source, let target else { return nil }
        if source == target { return field.wrong("a protocol announces its own routes anyway") }
        var rule = RedistributionConfiguration(from: source, into: target)
        let changes = readChanges(mapping, target)
        rule.metric = changes.metric
        rule.isExternalMetric = changes.isExternalMetric
        rule.tag = changes.tag
        rule.levels = changes.levels
        rule.policy = readPolicy(mapping, source, target, field)
        return rule
    }

    private static func named(_ field: Field, _ protocols: [RouteProtocol]) -> RouteProtocol? {
        guard let word = field.choice(protocols.map(\.description)) else { return nil }
        return protocols.first { $0.description == word }
    }

    /// Without rules every route is taken; with rules one that none of them decided is refused, unless `otherwise` says so.
    private static func readPolicy(
        _ mapping: MappingReader, _ source: RouteProtocol?, _ target: RouteProtocol?, _ field: Field
    ) -> RoutePolicyConfiguration? {
        let otherwise = mapping["otherwise"]?.choice(["accept", "reject"])
        guard let rules = mapping["rules"] else {
            if let field = mapping["otherwise"] { field.error("this needs 'rules' beside it") }
            return nil
        }
        var policy = RoutePolicyConfiguration(acceptsOthers: otherwise == "accept")
        for field in rules.list(atMost: termsMaximum) ?? [] {
            if let term = readTerm(field, source, target) { policy.terms.append(term) }
        }
        return policy
    }

    private static func readTerm(_ field: Field, _ source: RouteProtocol?, _ target: RouteProtocol?) -> RoutePolicyTerm? {
        guard let mapping = MappingReader(field, keys: ["match", "set", "then"], foreign: ["action": "then", "if": "match"])
        else { return nil }
        guard let word = mapping.required("then")?.choice(["accept", "reject"]) else { return nil }
        var term = RoutePolicyTerm(isAccepted: word == "accept")
        if let field = mapping["match"],
            let match = MappingReader(
                field, keys: ["prefix", "tag", "kind", "metric"], foreign: ["prefix-list": "prefix", "prefix-set": "prefix"])
        {
            term.prefixes = match["prefix"]?.list(atMost: RouterText.setEntriesMaximum)?.compactMap { field in
                PolicyTextReader.prefixEntry(field).map {
                    PrefixRange($0.prefix, minimumLength: $0.minimumLength, maximumLength: $0.maximumLength)
                }
            }
            term.tags = match["tag"]?.list(atMost: 256)?.compactMap { $0.number(0...UInt32.max) }
            if let range = match["metric"]?.range(0...UInt32.max) {
                term.metricMinimum = range.lowerBound
                term.metricMaximum = range.upperBound
            }
            if let field = match["kind"] { term.kinds = readKinds(field, source) }
        }
        if let field = mapping["set"] {
            guard term.isAccepted, target != nil else {
                return field.wrong("nothing can be set on a route that is not announced")
            }
            if let set = MappingReader(field, keys: ["metric", "metric-type", "tag", "level"]) {
                let changes = readChanges(set, target)
                term.metric = changes.metric
                term.isExternalMetric = changes.isExternalMetric
                term.tag = changes.tag
                term.levels = changes.levels
            }
        }
        return term
    }

    private static func readKinds(_ field: Field, _ source: RouteProtocol?) -> [UInt8]? {
        let known = source.map { kinds(of: $0) } ?? []
        if known.isEmpty { return field.wrong("routes of this source are all of one kind") }
        return field.list(atMost: known.count)?.compactMap { field in
            guard let word = field.choice(known.map(\.word)) else { return nil }
            return known.first { $0.word == word }?.value
        }
    }

    private static func readChanges(_ mapping: MappingReader, _ target: RouteProtocol?) -> RoutePolicyTerm {
        var changes = RoutePolicyTerm()
        let metricMaximum: UInt32 =
            switch target {
            case .rip, .ripng: 16
            case .ospf, .ospfv3: 16_777_214
            case .isis: 4_261_412_864
            default: .max
            }
        let metricMinimum: UInt32 = target == .rip || target == .ripng ? 1 : 0
        changes.metric = mapping["metric"]?.number(metricMinimum...metricMaximum, "a metric")
        changes.tag = mapping["tag"]?.number(0...UInt32.max, "a tag")
        if let field = mapping["metric-type"] {
            switch target {
            case .ospf, .ospfv3: changes.isExternalMetric = field.choice(["1", "2"]).map { $0 == "2" }
            case .isis: changes.isExternalMetric = field.choice(["internal", "external"]).map { $0 == "external" }
            default: field.error("only OSPF and IS-IS have types of metrics")
            }
        }
        if let field = mapping["level"] {
            if target == .isis {
                changes.levels = field.choice(levels.map(\.word)).flatMap { word in levels.first { $0.word == word }?.value }
            } else {
                field.error("only IS-IS has levels")
            }
        }
        return changes
    }

    // MARK: aggregates

    static func readAggregates(_ field: Field) -> [AggregateConfiguration] {
        var aggregates: [AggregateConfiguration] = []
        for field in field.list(atMost: aggregatesMaximum) ?? [] {
            guard
                let mapping = MappingReader(
                    field, keys: ["prefix", "distance", "tag", "summary-only", "rules", "otherwise"],
                    foreign: ["suppress": "summary-only", "network": "prefix", "contributors": "rules"])
            else { continue }
            let distance = mapping["distance"]?.number(1...255 as ClosedRange<UInt8>) ?? 200
            let tag = mapping["tag"]?.number(0...UInt32.max) ?? 0
            let suppresses = mapping["summary-only"]?.flag() ?? false
            let contributors = readPolicy(mapping, nil, nil, field)
            guard let prefix = mapping.required("prefix")?.prefix() else { continue }
            if prefix.length == (prefix.family == .ipv4 ? 32 : 128) { field.error("nothing is more specific than \(prefix)") }
            if aggregates.contains(where: { $0.prefix == prefix }) { field.error("there is another aggregate \(prefix)") }
            aggregates.append(
                AggregateConfiguration(
                    prefix: prefix, distance: distance, tag: tag, contributors: contributors,
                    suppressesContributors: suppresses))
        }
        return aggregates
    }
}
