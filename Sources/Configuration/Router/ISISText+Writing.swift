import ISIS
import Records
import Wire

extension RouterText {
    static func write(
        _ isis: ISISConfiguration, _ interfaces: [InterfaceConfiguration], hostname: String, _ writer: inout YAMLWriter
    ) {
        let usual = ISISConfiguration(systemID: isis.systemID, areaAddresses: isis.areaAddresses)
        writer.section("isis") { writer in
            writer.list(
                "net",
                isis.areaAddresses.map {
                    YAMLWriter.scalar("\(NetworkEntityTitle(area: $0, system: isis.systemID))")
                })
            if isis.levels != usual.levels { writer.line("levels", name(isis.levels)) }
            if isis.hostname != hostname { writer.line("hostname", YAMLWriter.scalar(isis.hostname)) }
            if isis.metricStyle != usual.metricStyle {
                writer.line("metric-style", ISISTextReader.styles.first { $0.style == isis.metricStyle }!.name)
            }
            if !isis.isIPv4Enabled || !isis.isIPv6Enabled {
                writer.list("families", (isis.isIPv4Enabled ? ["ipv4"] : []) + (isis.isIPv6Enabled ? ["ipv6"] : []))
            }
            if isis.topologies.contains(.ipv6Unicast) { writer.line("multi-topology", "true") }
            writeAuthentication(isis, &writer)
            writeLSP(isis, usual, &writer)
            writePolicy(isis, usual, &writer)
            guard !isis.interfaces.isEmpty else { return }
            writer.section("interfaces") { writer in
                for interface in isis.interfaces where Int(interface.interface) < interfaces.count {
                    writer.element { write(interface, interfaces[Int(interface.interface)], &$0) }
                }
            }
        }
    }

    private static func name(_ levels: ISISLevels) -> String { ISISTextReader.levels.first { $0.levels == levels }!.name }

    private static func writeAuthentication(_ isis: ISISConfiguration, _ writer: inout YAMLWriter) {
        let isUsual = isis.level1.authenticatesSNP && isis.level2.authenticatesSNP
        guard isis.level1.authentication != nil || isis.level2.authentication != nil || !isUsual else { return }
        writer.section("authentication") { writer in
            if let chain = isis.level1.authentication { write(chain, as: "level-1", &writer) }
            if let chain = isis.level2.authentication { write(chain, as: "level-2", &writer) }
            if !isUsual { writer.line("snp", "false") }
        }
    }

    private static func write(_ chain: ISISKeyChain, as key: String, _ writer: inout YAMLWriter) {
        writer.section(key) { writer in
            writer.section("keys") { writer in
                for key in chain.keys {
                    writer.element { writer in
                        let hasNumber = key.algorithm != .clearText && key.algorithm != .hmacMD5
                        if hasNumber { writer.line("id", "\(key.id)") }
                        writer.line("algorithm", ISISTextReader.algorithms.first { $0.algorithm == key.algorithm }!.name)
                        writer.line("secret", YAMLWriter.scalar(String(decoding: key.secret, as: UTF8.self)))
                    }
                }
            }
            if chain.isSendOnly { writer.line("send-only", "true") }
        }
    }

    private static func writeLSP(_ isis: ISISConfiguration, _ usual: ISISConfiguration, _ writer: inout YAMLWriter) {
        let values: [(String, UInt32, UInt32, String)] = [
            ("mtu", UInt32(isis.lspMTU), UInt32(usual.lspMTU), ""),
            ("lifetime", UInt32(isis.lspLifetime), UInt32(usual.lspLifetime), "s"),
            ("refresh", UInt32(isis.lspRefresh), UInt32(usual.lspRefresh), "s"),
            ("pacing", UInt32(isis.lspPacing), UInt32(usual.lspPacing), "ms"),
            ("retransmit", UInt32(isis.lspRetransmit), UInt32(usual.lspRetransmit), "s"),
            ("psnp-interval", UInt32(isis.psnpInterval), UInt32(usual.psnpInterval), "ms"),
            ("initial-delay", isis.generation.initialDelay, usual.generation.initialDelay, "ms"),
            ("second-delay", isis.generation.secondDelay, usual.generation.secondDelay, "ms"),
            ("maximum-delay", isis.generation.maximumDelay, usual.generation.maximumDelay, "ms"),
        ]
        if values.contains(where: { $0.1 != $0.2 }) {
            writer.section("lsp") { writer in
                for (key, value, usual, unit) in values where value != usual { writer.line(key, "\(value)\(unit)") }
            }
        }
        if isis.spf != usual.spf {
            writer.section("spf-timers") { writer in
                writer.line("initial-delay", "\(isis.spf.initialDelay)ms")
                writer.line("short-delay", "\(isis.spf.shortDelay)ms")
                writer.line("long-delay", "\(isis.spf.longDelay)ms")
                writer.line("time-to-learn", "\(isis.spf.timeToLearn)ms")
                writer.line("hold-down", "\(isis.spf.holdDown)ms")
            }
        }
    }

    private static func writePolicy(_ isis: ISISConfiguration, _ usual: ISISConfiguration, _ writer: inout YAMLWriter) {
        if isis.overload != usual.overload {
            writer.section("overload") { writer in
                writer.line("always", "\(isis.overload.isSet)")
                if isis.overload.onStartup != 0 { writer.line("on-startup", "\(isis.overload.onStartup)s") }
            }
        }
        if isis.attachedBit != usual.attachedBit {
            writer.section("attached-bit") { writer in
                writer.line("send", "\(isis.attachedBit.isSent)")
                writer.line("receive", "\(isis.attachedBit.isHonored)")
            }
        }
        if (isis.level1Distance, isis.level2Distance, isis.externalDistance)
            != (usual.level1Distance, usual.level2Distance, usual.externalDistance)
        {
            writer.section("distance") { writer in
                writer.line("level-1", "\(isis.level1Distance)")
                writer.line("level-2", "\(isis.level2Distance)")
                writer.line("external", "\(isis.externalDistance)")
            }
        }
        if isis.maximumPaths != usual.maximumPaths { writer.line("maximum-paths", "\(isis.maximumPaths)") }
        if isis.leakingUp != usual.leakingUp { write(isis.leakingUp, as: "leak-up", &writer) }
        if isis.leakingDown != usual.leakingDown { write(isis.leakingDown, as: "leak-down", &writer) }
        if !isis.summaries.isEmpty {
            writer.section("summaries") { writer in
                for summary in isis.summaries {
                    writer.element { writer in
                        writer.line("prefix", YAMLWriter.scalar("\(summary.prefix)"))
                        if summary.levels != .level2 { writer.line("levels", name(summary.levels)) }
                        if let metric = summary.metric { writer.line("metric", "\(metric)") }
                        if summary.tag != 0 { writer.line("tag", "\(summary.tag)") }
                    }
                }
            }
        }
        if isis.redistributionMetric != 0 { writer.line("default-metric", "\(isis.redistributionMetric)") }
        if !isis.isRestartHelper { writer.line("restart-helper", "false") }
        if isis.requiresThreeWay { writer.line("three-way", "required") }
        if !isis.lifetimeProtection { writer.line("lifetime-protection", "false") }
        if !isis.purgeOriginator { writer.line("purge-originator", "false") }
        if isis.limits != usual.limits {
            writer.section("limits") { writer in
                writer.line("lsps", "\(isis.limits.lsps)")
                writer.line("adjacencies", "\(isis.limits.adjacencies)")
                writer.line("routes", "\(isis.limits.routes)")
                if let number = isis.limits.octets { writer.line("octets", "\(number)") }
                if let number = isis.limits.redistributed { writer.line("redistributed", "\(number)") }
            }
        }
    }

    private static func write(_ leaking: ISISLeaking, as key: String, _ writer: inout YAMLWriter) {
        guard leaking.isEnabled, !leaking.rules.isEmpty else { return writer.line(key, "\(leaking.isEnabled)") }
        writer.section(key) { writer in
            for rule in leaking.rules {
                writer.element { writer in
                    writer.line("prefix", YAMLWriter.scalar("\(rule.prefix)"))
                    if rule.minimumLength != rule.prefix.length { writer.line("ge", "\(rule.minimumLength)") }
                    if (rule.minimumLength, rule.maximumLength) != (rule.prefix.length, rule.prefix.length) {
                        writer.line("le", "\(rule.maximumLength)")
                    }
                    if !rule.isPermitted { writer.line("permit", "false") }
                }
            }
        }
    }

    // MARK: interfaces

    private static func write(
        _ value: ISISInterfaceConfiguration, _ interface: InterfaceConfiguration, _ writer: inout YAMLWriter
    ) {
        let usual = ISISInterfaceConfiguration(interface: value.interface)
        writer.line("name", YAMLWriter.scalar(interface.name))
        if value.levels != usual.levels { writer.line("levels", name(value.levels)) }
        if value.networkType == .pointToPoint { writer.line("network", "point-to-point") }
        if value.isPassive != interface.isLoopback { writer.line("passive", "\(value.isPassive)") }
        if value.padding != usual.padding {
            writer.line("padding", ISISTextReader.paddings.first { $0.padding == value.padding }!.name)
        }
        if value.level1 == value.level2 {
            write(value.level1, usual.level1, &writer)
        } else {
            if value.level1 != usual.level1 { writer.section("level-1") { write(value.level1, usual.level1, &$0) } }
            if value.level2 != usual.level2 { writer.section("level-2") { write(value.level2, usual.level2, &$0) } }
        }
        if value.csnpInterval != usual.csnpInterval { writer.line("csnp-interval", "\(value.csnpInterval)s") }
        if value.pointToPointCSNPInterval != usual.pointToPointCSNPInterval {
            writer.line("point-to-point-csnp-interval", "\(value.pointToPointCSNPInterval)s")
        }
        if value.bfd { writer.line("bfd", "true") }
        if let chain = value.authentication { write(chain, as: "authentication", &writer) }
        if value.tag != 0 { writer.line("tag", "\(value.tag)") }
        if let topologies = value.topologies { writer.line("multi-topology", "\(topologies.contains(.ipv6Unicast))") }
    }

    private static func write(
        _ level: ISISInterfaceLevelConfiguration, _ usual: ISISInterfaceLevelConfiguration, _ writer: inout YAMLWriter
    ) {
        if level.metric != usual.metric { writer.line("metric", "\(level.metric)") }
        if let metric = level.ipv6Metric { writer.line("ipv6-metric", "\(metric)") }
        if level.helloInterval != usual.helloInterval { writer.line("hello", "\(level.helloInterval)ms") }
        if level.helloMultiplier != usual.helloMultiplier { writer.line("multiplier", "\(level.helloMultiplier)") }
        if level.priority != usual.priority { writer.line("priority", "\(level.priority)") }
    }
}
