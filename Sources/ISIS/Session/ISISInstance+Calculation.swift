import Machine
import Records
import Routing
import Wire

/// What the decision process is told, and when it runs.
struct Calculation: Sendable {
    /// By level: own nodes, this router first, then pseudonodes; how what they say is cut into LSPs.
    var fragments: [[OwnLSPFragments]] = [[], []]
    var redistributed = RedistributedRoutes()
    var digest: UInt64 { redistributed.digest.value }
}

extension ISISInstance {
    // MARK: what own LSPs say

    /// All LSPs that this router should have at a level, ascending.
    mutating func ownFragments(_ level: Level, into effects: inout [Effect]) -> [OwnFragment] {
        guard let configuration else { return [] }
        let room = max(256, LSPBuilder.bodyMaximum(size: Int(configuration.lspMTU), authentication: lspKeys(level)))
        var nodes: [(node: NodeID, contents: OwnLSPContents)] = []
        nodes.append((NodeID(ownID), sources(level).contents(configuration).contents))
        for case let circuit? in circuits where circuit.isActive && circuit.isDesignated(level, by: ownID) {
            var members = [ownID]
            for adjacency in circuit.adjacencies where adjacency.isUp(level) && !adjacency.isSuppressed {
                members.append(adjacency.system)
            }
            nodes.append((
                circuit.lans[level.index].lanID,
                .pseudonode(level: level, members: members.sorted(), style: configuration.metricStyle)))
        }
        nodes.sort { $0.node < $1.node }
        var kept: [OwnLSPFragments] = []
        var result: [OwnFragment] = []
        for (node, contents) in nodes {
            var fragments = calculation.fragments[level.index].first { $0.node == node } ?? OwnLSPFragments(node: node)
            let omittedBefore = fragments.omitted
            _ = fragments.update(contents, bodyMaximum: room)
            if fragments.omitted > 0, omittedBefore == 0 {
                event(.alarm, "\(level) LSPs of \(node) are full; \(fragments.omitted) announcements are left out", into: &effects)
            }
            for number in UInt8.min...UInt8.max {
                guard let body = fragments.body(number) else { continue }
                result.append(OwnFragment(
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
        sources.redistributed = calculation.redistributed.entries
        sources.isOverloaded = isOverloaded(level)
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
                sources.prefixes.append(LocalPrefix(
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
            links.append(LocalLink(
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
                list.append(LocalAdjacency(
                    interface: circuit.interface, system: adjacency.system,
                    ipv4: adjacency.protocols & 1 != 0 ? near ?? adjacency.ipv4.first : nil,
                    ipv6: adjacency.protocols & 2 != 0 ? adjacency.ipv6.first { $0.isLinkLocal } : nil))
            }
        }
        return list.sorted()
    }

    // MARK: news

    mutating func redistribute(_ updates: [RedistributionUpdate], at now: Instant) {
        calculation.redistributed.apply(updates)
        for level in Level.allCases { scheduleGeneration(level, at: now) }
    }

    /// The decision process sees another content of an LSP, ours or a neighbour's.
    mutating func lspChanged(_ slot: Int, _ id: LSPID, _ level: Level, at now: Instant) {
        scheduleCalculation(level, at: now)
    }

    /// The end of an LSP was forgotten; it had no part in routes since it came.
    mutating func lspRemoved(_ slot: Int, _ id: LSPID, _ level: Level, at now: Instant) {}

    mutating func adjacencySetChanged(_ level: Level) {}

    mutating func calculationConfigured(_ level: Level, at now: Instant) {}

    mutating func endCalculation(_ level: Level, at now: Instant, into effects: inout [Effect]) {
        calculation.fragments[level.index] = []
    }

    // MARK: back-off (RFC 8405)

    mutating func scheduleCalculation(_ level: Level, at now: Instant) {
        guard let configuration, configuration.levels.contains(level) else { return }
        let start = backoffs[level.index].event(configuration.spf)
        let timer = ISISTimer(.spf, level)
        if !timers.isRunning(timer) { timers.set(timer, at: now + start.delay) }
        if let learn = start.learn { timers.set(ISISTimer(.learn, level), at: now + learn) }
        timers.set(ISISTimer(.holdDown, level), at: now + start.holdDown)
    }

    mutating func calculate(_ level: Level, at now: Instant, into effects: inout [Effect]) {
        counters.spfRuns &+= 1
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
