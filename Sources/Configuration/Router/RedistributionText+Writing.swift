import BGP
import Engine
import Routing
import Wire

extension RouterText {
    static func write(_ rules: [RedistributionConfiguration], _ writer: inout YAMLWriter) {
        writer.section("redistribute") { writer in
            for rule in rules {
                writer.element { writer in
                    writer.line("from", rule.source.description)
                    writer.line("into", rule.target.description)
                    writeChanges(rule.metric, rule.isExternalMetric, rule.tag, rule.levels, rule.target, &writer)
                    if let policy = rule.policy { write(policy, rule.source, rule.target, &writer) }
                }
            }
        }
    }

    static func write(_ aggregates: [AggregateConfiguration], _ writer: inout YAMLWriter) {
        writer.section("aggregates") { writer in
            for aggregate in aggregates {
                writer.element { writer in
                    writer.line("prefix", YAMLWriter.scalar("\(aggregate.prefix)"))
                    if aggregate.distance != 200 { writer.line("distance", "\(aggregate.distance)") }
                    if aggregate.tag != 0 { writer.line("tag", "\(aggregate.tag)") }
                    if aggregate.suppressesContributors { writer.line("summary-only", "true") }
                    if let policy = aggregate.contributors { write(policy, nil, nil, &writer) }
                }
            }
        }
    }

    private static func writeChanges(
        _ metric: UInt32?, _ isExternal: Bool?, _ tag: UInt32?, _ levels: UInt8?, _ target: RouteProtocol?,
        _ writer: inout YAMLWriter
    ) {
        if let metric { writer.line("metric", "\(metric)") }
        if let isExternal {
            writer.line("metric-type", target == .isis ? (isExternal ? "external" : "internal") : (isExternal ? "2" : "1"))
        }
        if let tag { writer.line("tag", "\(tag)") }
        if let levels, let word = RedistributionTextReader.levels.first(where: { $0.value == levels })?.word {
            writer.line("level", YAMLWriter.scalar(word))
        }
    }

    private static func write(
        _ policy: RoutePolicyConfiguration, _ source: RouteProtocol?, _ target: RouteProtocol?, _ writer: inout YAMLWriter
    ) {
        if policy.terms.isEmpty {
            writer.line("rules", "[]")
        } else {
            writer.section("rules") { writer in
                for term in policy.terms { writer.element { write(term, source, target, &$0) } }
            }
        }
        if policy.acceptsOthers { writer.line("otherwise", "accept") }
    }

    private static func write(
        _ term: RoutePolicyTerm, _ source: RouteProtocol?, _ target: RouteProtocol?, _ writer: inout YAMLWriter
    ) {
        if term.prefixes != nil || term.tags != nil || term.kinds != nil || term.metricMinimum != nil || term.metricMaximum != nil
        {
            writer.section("match") { writer in
                if let prefixes = term.prefixes {
                    writer.list(
                        "prefix",
                        prefixes.map { range in
                            YAMLWriter.scalar(
                                text(
                                    of: PrefixSetConfiguration.Entry(
                                        range.prefix, minimumLength: range.minimumLength, maximumLength: range.maximumLength)))
                        })
                }
                if let tags = term.tags { writer.list("tag", tags.map { "\($0)" }) }
                if let kinds = term.kinds {
                    let known = source.map { RedistributionTextReader.kinds(of: $0) } ?? []
                    writer.list("kind", kinds.compactMap { kind in known.first { $0.value == kind }?.word })
                }
                if term.metricMinimum != nil || term.metricMaximum != nil {
                    let low = term.metricMinimum ?? 0, high = term.metricMaximum ?? .max
                    writer.line("metric", low == high ? "\(low)" : "\(low)..\(high)")
                }
            }
        }
        if term.metric != nil || term.isExternalMetric != nil || term.tag != nil || term.levels != nil {
            writer.section("set") {
                writeChanges(term.metric, term.isExternalMetric, term.tag, term.levels, target, &$0)
            }
        }
        writer.line("then", term.isAccepted ? "accept" : "reject")
    }
}
