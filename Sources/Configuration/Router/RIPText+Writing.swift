import RIP
import Wire

extension RouterText {
    /// `key` names the section: `rip` or `ripng`.
    static func write(_ rip: RIPConfiguration, as key: String, _ writer: inout YAMLWriter) {
        let usual = RIPConfiguration(version: rip.version)
        writer.section(key) { writer in
            if rip.distance != usual.distance { writer.line("distance", "\(rip.distance)") }
            if rip.maximumPaths != usual.maximumPaths { writer.line("maximum-paths", "\(rip.maximumPaths)") }
            if rip.defaultMetric != usual.defaultMetric { writer.line("default-metric", "\(rip.defaultMetric)") }
            if let originate = rip.defaultOriginate {
                writer.section("default-originate") { writer in
                    writer.line("always", "\(originate.always)")
                    writer.line("metric", "\(originate.metric)")
                    if originate.tag != 0 { writer.line("tag", "\(originate.tag)") }
                }
            }
            if rip.timers != usual.timers { writer.section("timers") { write(rip.timers, usual.timers, &$0) } }
            if rip.limits != usual.limits {
                writer.section("limits") { writer in
                    writer.line("routes", "\(rip.limits.routesMaximum)")
                    writer.line("routes-per-neighbor", "\(rip.limits.routesPerNeighbor)")
                    writer.line("neighbors-per-interface", "\(rip.limits.neighborsPerInterface)")
                    writer.line("requests-per-second", "\(rip.limits.requestsPerSecond)")
                }
            }
            if rip.interfaces.isEmpty { return writer.line("interfaces", "[]") }
            writer.section("interfaces") { writer in
                for interface in rip.interfaces { writer.element { write(interface, &$0) } }
            }
        }
    }

    private static func write(_ timers: RIPTimers, _ usual: RIPTimers, _ writer: inout YAMLWriter) {
        let values: [(String, UInt32, UInt32, String)] = [
            ("update", UInt32(timers.update), UInt32(usual.update), "s"),
            ("timeout", timers.timeout, usual.timeout, "s"),
            ("garbage", timers.garbage, usual.garbage, "s"),
            ("triggered-initial", UInt32(timers.triggeredInitial), UInt32(usual.triggeredInitial), "ms"),
            ("triggered-minimum", UInt32(timers.triggeredMinimum), UInt32(usual.triggeredMinimum), "ms"),
            ("triggered-maximum", UInt32(timers.triggeredMaximum), UInt32(usual.triggeredMaximum), "ms"),
        ]
        for (key, value, usual, unit) in values where value != usual { writer.line(key, "\(value)\(unit)") }
    }

    private static func write(_ interface: RIPInterfaceConfiguration, _ writer: inout YAMLWriter) {
        let usual = RIPInterfaceConfiguration(name: interface.name)
        writer.line("name", YAMLWriter.scalar(interface.name))
        if interface.isPassive { writer.line("passive", "true") }
        if interface.splitHorizon != usual.splitHorizon,
            let known = RIPTextReader.horizons.first(where: { $0.horizon == interface.splitHorizon })
        {
            writer.line("split-horizon", known.name)
        }
        if interface.metric != usual.metric { writer.line("metric", "\(interface.metric)") }
        if interface.metricOffset != usual.metricOffset { writer.line("metric-offset", "\(interface.metricOffset)") }
        if interface.send != usual.send, let known = RIPTextReader.sendModes.first(where: { $0.mode == interface.send }) {
            writer.line("send", known.name)
        }
        if interface.receive != usual.receive,
            let known = RIPTextReader.receiveModes.first(where: { $0.mode == interface.receive })
        {
            writer.line("receive", known.name)
        }
        switch interface.authentication {
        case .none: break
        case .simple(let password):
            writer.section("authentication") { $0.line("password", YAMLWriter.scalar(password)) }
        case .cryptographic(let keys):
            writer.section("authentication") { writer in
                writer.section("keys") { writer in
                    for key in keys { writer.element { write(key, &$0) } }
                }
            }
        }
        if !interface.neighbors.isEmpty {
            writer.list("neighbors", interface.neighbors.map { YAMLWriter.scalar("\($0)") })
        }
        if interface.bfd { writer.line("bfd", "true") }
        if interface.ttlSecurity { writer.line("ttl-security", "true") }
        if interface.suppressesPrefixes { writer.line("suppress-prefixes", "true") }
    }

    private static func write(_ key: RIPKey, _ writer: inout YAMLWriter) {
        writer.line("id", "\(key.id)")
        if let known = RIPTextReader.algorithms.first(where: { $0.algorithm == key.algorithm }) {
            writer.line("algorithm", known.name)
        }
        writer.line("secret", YAMLWriter.scalar(key.secret))
    }
}
