import Machine
import Records
import Routing
import SPF
import Wire

/// The decision process with what it is told besides LSPs.
struct Calculation: Sendable {
    /// By level: own nodes, this router and its pseudonodes; how what they say is cut into LSPs.
    var fragments: [[OwnLSPFragments]] = [[], []]
    var redistributed = RedistributedRoutes()
    /// By level: summaries that stand for something.
    var summaries: [[IPPrefix]] = [[], []]
    var routes: RouteCalculation
    /// Levels whose links or neighbours changed since `routes` heard of them; empty between records.
    var staleLevels: RouteCalculation.Set1And2 = []

    init(seed: UInt64) { routes = RouteCalculation(seed: seed) }

    var digest: UInt64 {
        var digest = routes.digest
        digest.mix(redistributed.digest.value)
        return digest.value
    }
}

/// One run of the decision process, for display; each controller remembers its own.
public struct SPFRun: Sendable, Hashable {
    public var at: Instant
    /// Levels whose paths were calculated; empty when only prefixes were looked at.
    public var paths: RouteCalculation.Set1And2
    /// Routes that changed.
    public var updates: Int
    public static let remembered = 32
}

extension ISISInstance {
    // MARK: what own LSPs say

    /// All LSPs that this router should have at a level, ascending.
    mutating func ownFragments(_ level: Level, at now: Instant, into effects: inout [Effect]) -> [OwnFragment] {
        guard let configuration else { return [] }
        let room = max(256, LSPBuilder.bodyMaximum(size: largestLSP(level), authentication: lspAuthentication(level)))
        var nodes: [(node: NodeID, contents: OwnLSPContents)] = []
        let own = sources(level).contents(configuration)
        nodes.append((NodeID(ownID), own.contents))
        if calculation.summaries[level.index] != own.summaries {
            calculation.summaries[level.index] = own.summaries
            calculation.routes.setDiscards(Self.union(calculation.summaries))
            scheduleCalculation(at: now)
        }
        for case let circuit? in circuits where circuit.isActive && circuit.isDesignated(level, by: ownID) {
            var members = [ownID]
            for adjacency in circuit.adjacencies where adjacency.isUp(level) && !adjacency.isSuppressed {
                members.append(adjacency.system)
            }
            nodes.append(
                (
                    circuit.lans[level.index].lanID,
                    .pseudonode(level: level, members: members.sorted(), style: configuration.metricStyle)
                ))
        }
        nodes.sort { $0.node < $1.node }
        var kept: [OwnLSPFragments] = []
        var result: [OwnFragment] = []
        for (node, contents) in nodes {
            var fragments = calculation.fragments[level.index].first { $0.node == node } ?? OwnLSPFragments(node: node)
            let omittedBefore = fragments.omitted
            _ = fragments.update(contents, bodyMaximum: room)
            if fragments.omitted > 0, omittedBefore == 0 {
                let what = "\(fragments.omitted) announcements are left out"
                event(.alarm, "\(level) LSPs of \(node) are full; \(what)", into: &effects)
            }
            for number in UInt8.min...UInt8.max {
                guard let body = fragments.body(number) else { continue }
                result.append(
                    OwnFragment(
                        id: LSPID(node, fragment: number), flags: fragments.flags(number), body: body))
            }
            kept.append(fragments)
        }
        calculation.fragments[level.index] = kept
        return result
    }

    private func sources(_ level: Level) -> OwnLSPSources {
        var sources = OwnLSPSources(level: level)
        sources.links = localLinks(level)
        sources.redistributed = Array(
            calculation.redistributed.entries.prefix(Int(configuration?.limits.redistributedMaximum ?? 0)))
        sources.isOverloaded = isOverloaded(level)
        sources.isAttached = configuration?.attachedBit.isSent == true && calculation.routes.isAttached
        (sources.leakedIPv4, sources.leakedIPv6) = calculation.routes.leaks(into: level)
        for case let circuit? in circuits where circuit.isUp && circuit.levels.contains(level) {
            let metrics = circuit.configuration[level]
            guard let device = interfaces[safe: circuit.number] else { continue }
            for entry in device.addresses {
                let prefix: IPPrefix
                switch entry.address {
                case .v4(let address):
                    prefix = .v4(IPv4Prefix(address, min(entry.prefixLength, 32)))
                    sources.ipv4Addresses.append(address)
                case .v6(let address):
                    if address.isLinkLocal { continue }
                    prefix = .v6(IPv6Prefix(address, min(entry.prefixLength, 128)))
                    sources.ipv6Addresses.append(address)
                }
                let isHost = prefix.length == (prefix.family == .ipv4 ? 32 : 128)
                sources.prefixes.append(
                    LocalPrefix(
                        prefix, metric: metrics.metric, ipv6Metric: metrics.ipv6Metric, tag: circuit.configuration.tag,
                        isNode: device.isLoopback && isHost))
            }
        }
        return sources
    }

    /// Links to neighbours and LANs, ascending by interface.
    func localLinks(_ level: Level) -> [LocalLink] {
        var links: [LocalLink] = []
        for case let circuit? in circuits where circuit.isActive && circuit.hasUp(level) {
            let metrics = circuit.configuration[level]
            let bits: UInt8
            let node: NodeID
            if circuit.isBroadcast {
                node = circuit.lans[level.index].lanID
                guard node.isPseudonode else { continue }
                bits = Self.topologyBits(topologies(circuit))
            } else {
                // RFC 5306 §3.2.1: one that starts and asks for it is not told of yet.
                guard let adjacency = circuit.adjacencies.first(where: { $0.isUp(level) }), !adjacency.isSuppressed else {
                    continue
                }
                node = NodeID(adjacency.system)
                bits = adjacency.topologies
            }
            links.append(
                LocalLink(
                    interface: circuit.interface, node: node, metric: metrics.metric, ipv6Metric: metrics.ipv6Metric,
                    isStandard: bits & 1 != 0, isIPv6: bits & 2 != 0))
        }
        return links
    }

    /// Neighbours with the addresses at which packets reach them.
    func localAdjacencies(_ level: Level) -> [LocalAdjacency] {
        var list: [LocalAdjacency] = []
        for case let circuit? in circuits where circuit.isActive {
            for adjacency in circuit.adjacencies where adjacency.isUp(level) {
                let device = interfaces[safe: circuit.number]
                // Of several addresses the one on our network, where we can ask for its station.
                let near = adjacency.ipv4.first { candidate in
                    device?.addresses.contains { entry in
                        guard case .v4(let own) = entry.address else { return false }
                        return IPv4Prefix(own, min(entry.prefixLength, 32)).contains(candidate)
                    } ?? false
                }
                list.append(
                    LocalAdjacency(
                        interface: circuit.interface, system: adjacency.system,
                        ipv4: adjacency.protocols & 1 != 0 ? near ?? adjacency.ipv4.first : nil,
                        ipv6: adjacency.protocols & 2 != 0 ? adjacency.ipv6.first { $0.isLinkLocal } : nil))
            }
        }
        return list.sorted()
    }

    // MARK: news

    mutating func redistribute(_ updates: [RedistributionUpdate], at now: Instant, into effects: inout [Effect]) {
        let limit = Int(configuration?.limits.redistributedMaximum ?? .max)
        let before = calculation.redistributed.entries.count
        calculation.redistributed.apply(updates)
        let count = calculation.redistributed.entries.count
        if before <= limit, count > limit {
            event(.alarm, "\(count) routes are redistributed; the first \(limit) are announced", into: &effects)
        }
        for level in Level.allCases { scheduleGeneration(level, at: now) }
    }

    /// The decision process sees another content of an LSP, ours or a neighbour's.
    mutating func lspChanged(_ slot: Int, _ id: LSPID, _ level: Level, at now: Instant) {
        let isAlive = !databases[level.index].entries[slot].isPurged
        calculation.routes.update(level, id, pdu: isAlive ? databases[level.index].bytes(slot) : nil)
        scheduleCalculation(at: now)
    }

    mutating func adjacencySetChanged(_ level: Level) {
        calculation.staleLevels.insert(RouteCalculation.Set1And2(level))
    }

    /// At the end of a record: links and neighbours as they are now.
    mutating func updateLocal(at now: Instant) {
        guard !calculation.staleLevels.isEmpty else { return }
        for level in Level.allCases where calculation.staleLevels.contains(level) {
            calculation.routes.setLocal(level, links: localLinks(level), adjacencies: localAdjacencies(level))
        }
        calculation.staleLevels = []
        scheduleCalculation(at: now)
    }

    mutating func calculationConfigured(at now: Instant) {
        calculation.routes.configure(configuration)
        for level in Level.allCases { adjacencySetChanged(level) }
        scheduleCalculation(at: now)
    }

    /// A level ends: nothing of it counts any more.
    mutating func endCalculation(_ level: Level, _ database: LSPDatabase, at now: Instant) {
        calculation.fragments[level.index] = []
        calculation.summaries[level.index] = []
        for position in 0..<database.count {
            calculation.routes.update(level, database.entries[database.slot(at: position)].id, nil)
        }
        calculation.routes.setLocal(level, links: [], adjacencies: [])
        calculation.routes.setDiscards(Self.union(calculation.summaries))
        scheduleCalculation(at: now)
    }

    /// The protocol ends: all routes go at once.
    mutating func endCalculation(at now: Instant, into effects: inout [Effect]) {
        calculation.routes.configure(nil)
        let result = calculation.routes.run()
        if !result.updates.isEmpty { effects.append(.routes(result.updates)) }
        calculation.routes = RouteCalculation(seed: random.next())
        calculation.staleLevels = []
    }

    static func union(_ lists: [[IPPrefix]]) -> [IPPrefix] {
        var all: [IPPrefix] = []
        for prefix in lists.flatMap({ $0 }).sorted() where all.last != prefix { all.append(prefix) }
        return all
    }

    // MARK: back-off (RFC 8405)

    /// An IGP event, if there is anything to calculate.
    mutating func scheduleCalculation(at now: Instant) {
        guard let configuration, calculation.routes.pending != .nothing else { return }
        let start = backoff.event(configuration.spf)
        if !timers.isRunning(ISISTimer(.spf)) { timers.set(ISISTimer(.spf), at: now + start.delay) }
        if let learn = start.learn { timers.set(ISISTimer(.learn), at: now + learn) }
        timers.set(ISISTimer(.holdDown), at: now + start.holdDown)
    }

    mutating func calculate(at now: Instant, into effects: inout [Effect]) {
        let result = calculation.routes.run()
        counters.spfRuns &+= 1
        if spfLog.count == SPFRun.remembered { spfLog.removeFirst() }
        spfLog.append(SPFRun(at: now, paths: result.calculated, updates: result.updates.count))
        if !result.updates.isEmpty { effects.append(.routes(result.updates)) }
        for level in Level.allCases
        where result.leaksChanged.contains(level) || result.attachedChanged && level == .one {
            scheduleGeneration(level, at: now)
        }
    }

    /// RFC 5301: the name that a system gave itself.
    func hostname(_ system: SystemID) -> String? {
        for database in databases {
            guard let slot = database.slot(of: LSPID(system)), !database.entries[slot].isPurged else { continue }
            if let name = LSPContents(database.bytes(slot).span.bytes).hostname, !name.isEmpty { return name }
        }
        return nil
    }
}
