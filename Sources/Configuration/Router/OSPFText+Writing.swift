import OSPF
import Wire

extension RouterText {
    /// `key` names the section: `ospf`, `ospfv3` or `ospfv3-ipv4`.
    static func write(_ ospf: OSPFConfiguration, as key: String, _ writer: inout YAMLWriter) {
        let usual = OSPFConfiguration(version: ospf.version, family: ospf.family, routerID: ospf.routerID)
        writer.section(key) { writer in
            writer.line("router-id", YAMLWriter.scalar("\(ospf.routerID)"))
            if ospf.version == .v3, ospf.instanceID != (ospf.family == .ipv4 ? 64 : 0) {
                writer.line("instance-id", "\(ospf.instanceID)")
            }
            if ospf.distances != usual.distances {
                writer.section("distance") { writer in
                    writer.line("intra-area", "\(ospf.distances.intraArea)")
                    writer.line("inter-area", "\(ospf.distances.interArea)")
                    writer.line("external", "\(ospf.distances.external)")
                }
            }
            if ospf.defaultMetric != usual.defaultMetric { writer.line("default-metric", "\(ospf.defaultMetric)") }
            if ospf.maximumPaths != usual.maximumPaths { writer.line("maximum-paths", "\(ospf.maximumPaths)") }
            if ospf.rfc1583Compatibility { writer.line("rfc1583-compatibility", "true") }
            writeTimers(ospf, usual, &writer)
            if let stub = ospf.stubRouter {
                writer.section("stub-router") { writer in
                    if stub.always { writer.line("always", "true") }
                    if stub.onStartup != 0 { writer.line("on-startup", "\(stub.onStartup)s") }
                    if let metric = stub.summaryMetric { writer.line("summary-metric", "\(metric)") }
                    if let metric = stub.externalMetric { writer.line("external-metric", "\(metric)") }
                    if stub.includesStubs { writer.line("include-stubs", "true") }
                }
            }
            if let originate = ospf.defaultOriginate { write(originate, as: "default-originate", &writer) }
            let helper = ospf.gracefulRestartHelper
            if helper != usual.gracefulRestartHelper {
                writer.section("graceful-restart-helper") { writer in
                    writer.line("enabled", "\(helper.isEnabled)")
                    writer.line("strict-lsa-checking", "\(helper.strictLSAChecking)")
                    writer.line("grace-period-maximum", "\(helper.gracePeriodMaximum)s")
                }
            }
            if ospf.limits != usual.limits {
                writer.section("limits") { writer in
                    writer.line("lsas", "\(ospf.limits.lsasMaximum)")
                    writer.line("neighbors-per-interface", "\(ospf.limits.neighborsPerInterface)")
                    if let number = ospf.limits.redistributed { writer.line("redistributed", "\(number)") }
                }
            }
            writer.section("areas") { writer in
                for area in ospf.areas {
                    writer.element { write(area, ospf.interfaces.filter { $0.areaID == area.areaID }, &$0) }
                }
            }
        }
    }

    private static func writeTimers(_ ospf: OSPFConfiguration, _ usual: OSPFConfiguration, _ writer: inout YAMLWriter) {
        let spf = ospf.spfTimers
        if spf != usual.spfTimers {
            writer.section("spf-timers") { writer in
                writer.line("initial-delay", "\(spf.initialDelay)ms")
                writer.line("short-delay", "\(spf.shortDelay)ms")
                writer.line("long-delay", "\(spf.longDelay)ms")
                writer.line("time-to-learn", "\(spf.timeToLearn)ms")
                writer.line("hold-down", "\(spf.holdDown)ms")
            }
        }
        let lsa = ospf.lsaTimers
        if lsa != usual.lsaTimers {
            writer.section("lsa-timers") { writer in
                writer.line("initial-delay", "\(lsa.initialDelay)ms")
                writer.line("minimum-interval", "\(lsa.minimumInterval)ms")
                writer.line("minimum-arrival", "\(lsa.minimumArrival)ms")
                writer.line("refresh", "\(lsa.refreshInterval)s")
            }
        }
    }

    private static func write(_ originate: OSPFDefaultOriginate, as key: String, _ writer: inout YAMLWriter) {
        writer.section(key) { writer in
            writer.line("always", "\(originate.always)")
            writer.line("metric", "\(originate.metric)")
            writer.line("metric-type", originate.isExternalMetric ? "2" : "1")
            if originate.tag != 0 { writer.line("tag", "\(originate.tag)") }
        }
    }

    private static func write(
        _ area: OSPFAreaConfiguration, _ interfaces: [OSPFInterfaceConfiguration], _ writer: inout YAMLWriter
    ) {
        writer.line("id", YAMLWriter.scalar("\(area.areaID)"))
        if area.kind != .normal { writer.line("type", OSPFTextReader.kinds.first { $0.kind == area.kind }!.name) }
        if area.defaultCost != 1 { writer.line("default-cost", "\(area.defaultCost)") }
        write(area.ranges, as: "ranges", &writer)
        write(area.nssaRanges, as: "nssa-ranges", &writer)
        switch area.nssaTranslator {
        case .candidate: break
        case .always: writer.line("nssa-translator", "always")
        case .never: writer.line("nssa-translator", "never")
        }
        if let originate = area.nssaDefaultOriginate { write(originate, as: "nssa-default-originate", &writer) }
        guard !interfaces.isEmpty else { return }
        writer.section("interfaces") { writer in
            for interface in interfaces { writer.element { write(interface, &$0) } }
        }
    }

    private static func write(_ ranges: [OSPFAreaRange], as key: String, _ writer: inout YAMLWriter) {
        guard !ranges.isEmpty else { return }
        writer.section(key) { writer in
            for range in ranges {
                writer.element { writer in
                    writer.line("prefix", YAMLWriter.scalar("\(range.prefix)"))
                    if !range.isAdvertised { writer.line("advertise", "false") }
                    if let cost = range.cost { writer.line("cost", "\(cost)") }
                    if let tag = range.tag { writer.line("tag", "\(tag)") }
                }
            }
        }
    }

    private static func write(_ interface: OSPFInterfaceConfiguration, _ writer: inout YAMLWriter) {
        let usual = OSPFInterfaceConfiguration(name: interface.name, areaID: interface.areaID)
        writer.line("name", YAMLWriter.scalar(interface.name))
        // Written always: what is usual depends on the interface.
        writer.line("network", OSPFTextReader.networks.first { $0.network == interface.network }!.name)
        if interface.isPassive { writer.line("passive", "true") }
        if interface.cost != usual.cost { writer.line("cost", "\(interface.cost)") }
        if interface.helloInterval != usual.helloInterval { writer.line("hello", "\(interface.helloInterval)s") }
        if interface.routerDeadInterval != 4 * UInt32(interface.helloInterval) {
            writer.line("dead", "\(interface.routerDeadInterval)s")
        }
        if interface.retransmitInterval != usual.retransmitInterval {
            writer.line("retransmit", "\(interface.retransmitInterval)s")
        }
        if interface.transmitDelay != usual.transmitDelay { writer.line("transmit-delay", "\(interface.transmitDelay)s") }
        if interface.priority != usual.priority { writer.line("priority", "\(interface.priority)") }
        if interface.bfd { writer.line("bfd", "true") }
        if interface.ignoresMTU { writer.line("mtu-ignore", "true") }
        if interface.suppressesPrefixes { writer.line("suppress-prefixes", "true") }
        if interface.ttlSecurity == true { writer.line("ttl-security", "true") }
        switch interface.authentication {
        case .none: break
        case .simple(let password):
            writer.section("authentication") { $0.line("password", YAMLWriter.scalar(password)) }
        case .cryptographic(let keys):
            writer.section("authentication") { writer in
                writer.section("keys") { writer in
                    for key in keys {
                        writer.element { writer in
                            writer.line("id", "\(key.id)")
                            writer.line("algorithm", OSPFTextReader.algorithms.first { $0.algorithm == key.algorithm }!.name)
                            writer.line("secret", YAMLWriter.scalar(key.secret))
                            if key.extendedSequence { writer.line("extended-sequence", "true") }
                        }
                    }
                }
            }
        }
    }
}
