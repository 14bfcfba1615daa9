import Engine
import Policy
import Records
import Routing
import Wire

/// The sections `redistribute` and `aggregates`: what protocols announce of each other.
enum RedistributionText {
    static let rulesMaximum = 64
    static let aggregatesMaximum = 1_024
    static let sources: [RouteProtocol] = [.connected, .static, .bgp, .ospf, .ospfv3, .isis, .rip, .ripng, .aggregate]
    static let targets: [RouteProtocol] = [.bgp, .ospf, .ospfv3, .isis, .rip, .ripng]

    // MARK: redistribute

    static func rule(_ definitions: PolicyDefinitions) -> Section<RedistributionConfiguration> {
        let seen = Seen<[RouteProtocol]>()
        return Section(
            RedistributionConfiguration(from: .connected, into: .bgp),
            foreign: [
                "source": "from", "target": "into", "to": "into", "route-map": "policy", "filter": "policy or rules",
                "protocol": "from", "levels": "level",
            ], isStrict: true
        ) {
            Setting("from", \.source, .one(of: sources), "Whose routes.").required()
            Setting("into", \.target, .one(of: targets), "Who announces them; one entry for each pair.").required()
            Setting(
                "metric", \.metric, .metric(nil), "The target's default otherwise; into bgp MED is the route's metric."
            ) { .metric($0.target) }
            Setting("metric-type", \.isExternalMetric, .metricType, "2 or external otherwise.") { type($0.target) }
            Setting("tag", \.tag, .number(0...UInt32.max, "a tag"), "That of the route otherwise.")
            Setting("level", \.levels, .levels, "2 otherwise.") {
                $0.target == .isis ? .levels : only("into isis: 1, 2 or 1-2", "only IS-IS has levels")
            }
            PolicyText.use(\.policy, definitions, "Every route otherwise.")
        } check: { rule, fields in
            PolicyText.checkUse(rule.policy, fields)
            if let use = rule.policy {
                PolicyPlace.redistribution(rule.source, into: rule.target)
                    .check(use, definitions, fields["rules"] ?? fields["policy"])
            }
            if rule.source == rule.target {
                fields.field.error("a protocol announces its own routes anyway")
            } else if !seen.note([rule.source, rule.target]) {
                fields.field.error("'\(rule.target)' takes routes of '\(rule.source)' already; put all rules in one place")
            }
        }
    }

    private static func only<Value: Equatable>(_ values: String, _ reason: String) -> Kind<Value> {
        Kind(values: values, read: { $0.wrong(reason) }, text: { "\($0)" })
    }

    private static func type(_ target: RouteProtocol) -> Kind<Bool> {
        switch target {
        case .ospf, .ospfv3: .choice(["1": false, "2": true])
        case .isis: .choice(["internal": false, "external": true])
        default: only("into ospf: 1 or 2; into isis: internal or external", "only OSPF and IS-IS have types of metrics")
        }
    }

    // MARK: aggregates

    static func aggregate(_ definitions: PolicyDefinitions) -> Section<AggregateConfiguration> {
        Section(
            AggregateConfiguration(prefix: .v4(IPv4Prefix(.any, 0))),
            foreign: ["suppress": "summary-only", "network": "prefix", "contributors": "policy or rules"]
        ) {
            Setting(
                "prefix", \.prefix, .prefix.once { "there is another aggregate \($0)" },
                "Offered, dropping packets, while a more specific route is in force."
            ).required()
            Setting("distance", \.distance, .number(1...255), "Administrative distance.")
            Setting("tag", \.tag, .number(0...UInt32.max), "For policies.")
            Setting(
                "summary-only", \.suppressesContributors, .flag,
                "Routes that it stands for are not announced to other protocols.")
            PolicyText.use(\.contributors, definitions, "Every more specific route counts otherwise.")
        } check: { aggregate, fields in
            PolicyText.checkUse(aggregate.contributors, fields)
            if let use = aggregate.contributors {
                PolicyPlace.aggregate.check(use, definitions, fields["rules"] ?? fields["policy"])
            }
            let prefix = aggregate.prefix
            if prefix.length == (prefix.family == .ipv4 ? 32 : 128) {
                fields.field.error("nothing is more specific than \(prefix)")
            }
        }
    }
}

extension Kind where Value == UInt32 {
    fileprivate static func metric(_ target: RouteProtocol?) -> Kind { .number(PolicyPlace.metrics(target), "a metric") }
}
