import BGP
import Engine
import ISIS
import OSPF
import Records
import Routing
import Wire

/// The sections `redistribute` and `aggregates`: what protocols announce of each other.
enum RedistributionText {
    static let rulesMaximum = 64
    static let termsMaximum = 1_024
    static let aggregatesMaximum = 1_024
    static let sources: [RouteProtocol] = [.connected, .static, .bgp, .ospf, .ospfv3, .isis, .rip, .ripng, .aggregate]
    static let targets: [RouteProtocol] = [.bgp, .ospf, .ospfv3, .isis, .rip, .ripng]

    /// What a protocol tells apart among its routes, in words; `kind` of an offer.
    private static func kinds(of source: RouteProtocol?) -> [(word: String, value: UInt8)] {
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
        case .connected, .static, .rip, .ripng, .aggregate, nil: []
        }
    }

    // MARK: redistribute

    static var rule: Section<RedistributionConfiguration> {
        let seen = Seen<[RouteProtocol]>()
        return Section(
            RedistributionConfiguration(from: .connected, into: .bgp),
            foreign: [
                "source": "from", "target": "into", "to": "into", "route-map": "rules", "policy": "rules", "filter": "rules",
                "protocol": "from", "levels": "level",
            ], isStrict: true
        ) {
            Setting("from", \.source, .one(of: sources), "Whose routes.").required()
            Setting("into", \.target, .one(of: targets), "Who announces them; one entry for each pair.").required()
            changes { $0.target }
            policy(\.policy) { ($0.source, $0.target) }
        } check: { rule, fields in
            checkOtherwise(fields)
            if rule.source == rule.target {
                fields.field.error("a protocol announces its own routes anyway")
            } else if !seen.note([rule.source, rule.target]) {
                fields.field.error("'\(rule.target)' takes routes of '\(rule.source)' already; put all rules in one place")
            }
        }
    }

    /// What is changed in a route on its way to `target`.
    private static func changes<Root: RouteChanges>(
        _ target: @escaping (Root) -> RouteProtocol?
    ) -> [Setting<Root>] {
        func only<Value: Equatable>(_ values: String, _ reason: String) -> Kind<Value> {
            Kind(values: values, read: { $0.wrong(reason) }, text: { "\($0)" })
        }
        func metric(_ target: RouteProtocol?) -> Kind<UInt32> {
            let maximum: UInt32 =
                switch target {
                case .rip, .ripng: 16
                case .ospf, .ospfv3: 16_777_214
                case .isis: 4_261_412_864
                default: .max
                }
            return .number((target == .rip || target == .ripng ? 1 : 0)...maximum, "a metric")
        }
        func type(_ target: RouteProtocol?) -> Kind<Bool> {
            switch target {
            case .ospf, .ospfv3: .choice(["1": false, "2": true])
            case .isis: .choice(["internal": false, "external": true])
            default:
                only("into ospf: 1 or 2; into isis: internal or external", "only OSPF and IS-IS have types of metrics")
            }
        }
        func level(_ target: RouteProtocol?) -> Kind<UInt8> {
            target == .isis
                ? .choice(["1": 1, "2": 2, "1-2": 3]) : only("into isis: 1, 2 or 1-2", "only IS-IS has levels")
        }
        return [
            Setting("metric", \.metric, metric(nil), "The target's default otherwise; into bgp MED is the route's metric.") {
                metric(target($0))
            },
            Setting("metric-type", \.isExternalMetric, type(nil), "2 or external otherwise.") { type(target($0)) },
            Setting("tag", \.tag, .number(0...UInt32.max, "a tag"), "That of the route otherwise."),
            Setting("level", \.levels, level(nil), "2 otherwise.") { level(target($0)) },
        ]
    }

    // MARK: rules

    /// Without rules every route is taken; with rules one that none of them decided is refused, unless `otherwise` says so.
    private static func policy<Root>(
        _ path: WritableKeyPath<Root, RoutePolicyConfiguration?>,
        _ ends: @escaping (Root) -> (source: RouteProtocol?, target: RouteProtocol?)
    ) -> [Setting<Root>] {
        [
            Setting(
                "rules", each: path.appending(path: \Optional<RoutePolicyConfiguration>.terms), atMost: termsMaximum,
                "Tried in order, the first that matches decides; every route otherwise."
            ) { root in term(ends(root).source, ends(root).target) }
            .written { $0[keyPath: path] != nil },
            Setting(
                "otherwise", path.appending(path: \Optional<RoutePolicyConfiguration>.acceptsOthers),
                .choice(["accept": true, "reject": false]),
                "What becomes of routes that no rule decided."),
        ]
    }

    private static func checkOtherwise(_ fields: MappingReader) {
        if fields["rules"] == nil { fields["otherwise"]?.error("this needs 'rules' beside it") }
    }

    private static func term(_ source: RouteProtocol?, _ target: RouteProtocol?) -> Section<RoutePolicyTerm> {
        Section(RoutePolicyTerm(), foreign: ["action": "then", "if": "match"]) {
            Setting("match", in: \.self, "All must hold; none always holds.") { _ in match(source) }
            Setting("set", in: \.self, "What is changed.") { _ in Section(RoutePolicyTerm()) { changes { _ in target } } }
            Setting("then", \.isAccepted, .choice(["accept": true, "reject": false]), "Whether it is announced.").required()
        } check: { term, fields in
            if !term.isAccepted || target == nil {
                fields["set"]?.error("nothing can be set on a route that is not announced")
            }
        }
    }

    private static func match(_ source: RouteProtocol?) -> Section<RoutePolicyTerm> {
        let known = kinds(of: source)
        let range = PolicyText.prefixEntry.mapped(
            { PrefixRange($0.prefix, minimumLength: $0.minimumLength, maximumLength: $0.maximumLength) },
            back: { .init($0.prefix, minimumLength: $0.minimumLength, maximumLength: $0.maximumLength) })
        var kind = Kind.list(atMost: known.count, Kind<UInt8>.choice(known))
        if known.isEmpty { kind.read = { $0.wrong("routes of this source are all of one kind") } }
        kind.values = "kinds of routes of the source"
        return Section(
            RoutePolicyTerm(), foreign: ["prefix-list": "prefix", "prefix-set": "prefix"]
        ) {
            Setting("prefix", \.prefixes, .list(atMost: PolicyText.entriesMaximum, range), "In one of these.")
            Setting("tag", \.tags, .list(atMost: 256, .number(0...UInt32.max)), "One of these.")
            Setting("kind", \.kinds, kind, "What the source tells apart, like external-1 or level-2.")
            Setting("metric", \.metrics, .range(0...UInt32.max), "The route's.")
        }
    }

    // MARK: aggregates

    static var aggregate: Section<AggregateConfiguration> {
        Section(
            AggregateConfiguration(prefix: .v4(IPv4Prefix(.any, 0))),
            foreign: ["suppress": "summary-only", "network": "prefix", "contributors": "rules"]
        ) {
            Setting(
                "prefix", \.prefix, .prefix.once { "there is another aggregate \($0)" },
                "Offered, dropping packets, while a more specific route is in force."
            ).required()
            Setting("distance", \.distance, .number(1...255), "Administrative distance.")
            Setting("tag", \.tag, .number(0...UInt32.max), "For rules.")
            Setting(
                "summary-only", \.suppressesContributors, .flag,
                "Routes that it stands for are not announced to other protocols.")
            policy(\.contributors) { _ in (nil, nil) }
        } check: { aggregate, fields in
            checkOtherwise(fields)
            let prefix = aggregate.prefix
            if prefix.length == (prefix.family == .ipv4 ? 32 : 128) {
                fields.field.error("nothing is more specific than \(prefix)")
            }
        }
    }
}

/// What is changed in a route on its way from one protocol to another.
private protocol RouteChanges {
    var metric: UInt32? { get set }
    var isExternalMetric: Bool? { get set }
    var tag: UInt32? { get set }
    var levels: UInt8? { get set }
}
extension RedistributionConfiguration: RouteChanges {}
extension RoutePolicyTerm: RouteChanges {}

extension RoutePolicyTerm {
    fileprivate var metrics: ClosedRange<UInt32>? {
        get {
            guard metricMinimum != nil || metricMaximum != nil else { return nil }
            let low = metricMinimum ?? 0
            return low...max(low, metricMaximum ?? .max)
        }
        set { (metricMinimum, metricMaximum) = (newValue?.lowerBound, newValue?.upperBound) }
    }
}

extension RoutePolicyConfiguration? {
    fileprivate var terms: [RoutePolicyTerm] {
        get { self?.terms ?? [] }
        set { self = RoutePolicyConfiguration(newValue, acceptsOthers: self?.acceptsOthers ?? false) }
    }
    /// Of no meaning without rules.
    fileprivate var acceptsOthers: Bool {
        get { self?.acceptsOthers ?? false }
        set { self?.acceptsOthers = newValue }
    }
}
