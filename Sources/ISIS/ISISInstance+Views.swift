import Machine
import Records
import Routing
import SPF
import Wire

// What an operator sees of IS-IS. Plain values, put together when somebody asks.

/// A circuit: `show isis interface`.
public struct ISISInterfaceView: Hashable, Sendable, Codable {
    public struct LevelView: Hashable, Sendable, Codable {
        public var level: Level
        public var metric: UInt32
        public var priority: UInt8
        public var helloInterval: TimeSpan
        public var adjacencies: Int
        /// The LAN by its designated IS; absent where there is none.
        public var lan: NodeID?
        public var isDesignated: Bool
        /// LSPs that are still to be sent or acknowledged.
        public var waiting: Int
    }
    public var name: String
    public var isUp: Bool
    public var isPassive: Bool
    /// `broadcast`, `point-to-point`
    public var network: String
    public var circuitID: UInt8
    public var adjacencyLosses: UInt32
    public var levels: [LevelView]
}

/// A neighbour: `show isis adjacency`.
public struct ISISAdjacencyView: Hashable, Sendable, Codable {
    @AsText public var system: SystemID
    public var hostname: String?
    public var interface: String
    @AsText public var levels: ISISLevels
    @AsText public var state: Adjacency.State
    /// Until it ends without another hello, in whole seconds.
    public var holdTimeLeft: TimeSpan
    public var holdingTime: UInt16
    public var priority: UInt8
    public var station: MACAddress
    public var areas: [String]
    public var addresses: [IPAddress]
    public var isMultiTopology: Bool
    public var isRestarting: Bool
    /// `up`, `down`; absent without BFD.
    public var bfd: String?
    /// How long it is up.
    public var upFor: TimeSpan?
}

/// An LSP: `show isis database`.
public struct ISISDatabaseView: Hashable, Sendable, Codable {
    public var level: Level
    public var id: LSPID
    public var hostname: String?
    public var sequence: UInt32
    public var checksum: UInt16
    /// Seconds; 0 is a purge.
    public var remainingLifetime: UInt16
    public var isPurged: Bool
    public var isOwn: Bool
    public var octets: Int
    public var isAttached: Bool
    public var isOverloaded: Bool
    /// With detail: a line for each thing it says.
    public var contents: [String]?
}

/// `show isis summary`.
public struct ISISSummaryView: Hashable, Sendable, Codable {
    public struct Database: Hashable, Sendable, Codable {
        public var level: Level
        public var lsps: Int
        public var ownLSPs: Int
    }
    public struct Run: Hashable, Sendable, Codable {
        public var age: TimeSpan
        /// Levels whose paths were calculated; none when only prefixes were looked at.
        public var levels: [Level]
        /// Routes that changed.
        public var updates: Int
    }
    @AsText public var system: SystemID
    public var hostname: String
    public var areas: [String]
    @AsText public var levels: ISISLevels
    public var isOverloaded: Bool
    /// The attached bit of our level 1 LSP.
    public var isAttached: Bool
    public var adjacenciesUp: Int
    public var databases: [Database]
    public var ipv4Routes: Int
    public var ipv6Routes: Int
    /// RFC 8405: `quiet`, `short wait`, `long wait`
    public var backoff: String
    /// The newest last.
    public var runs: [Run]
    public var counters: [Counter]
    /// Why PDUs were not taken; only reasons that occurred.
    public var dropped: [Counter]
}

/// `show isis hostname`.
public struct ISISHostnameView: Hashable, Sendable, Codable {
    public var level: Level
    @AsText public var system: SystemID
    public var hostname: String
}

extension ISISInstance {
    /// - Parameter levels: what of an interface to show.
    public func interfaceViews(_ levels: [Level] = Level.allCases) -> [ISISInterfaceView] {
        circuits.compactMap { circuit in
            guard let circuit else { return nil }
            let byLevel = levels.filter { circuit.levels.contains($0) }.map { level in
                let plan = circuit.configuration[level]
                let lan = circuit.lans[level.index]
                let flags =
                    circuit.number < databases[level.index].circuits.count
                    ? databases[level.index].circuits[circuit.number].srm.count : 0
                return ISISInterfaceView.LevelView(
                    level: level, metric: plan.metric, priority: plan.priority,
                    helloInterval: TimeSpan(.milliseconds(Int64(plan.helloInterval))),
                    adjacencies: circuit.adjacencies.count { $0.isUp(level) }, lan: lan.designated == nil ? nil : lan.lanID,
                    isDesignated: circuit.isDesignated(level, by: ownID), waiting: flags)
            }
            return ISISInterfaceView(
                name: name(circuit), isUp: circuit.isUp, isPassive: circuit.configuration.isPassive,
                network: circuit.configuration.networkType == .broadcast ? "broadcast" : "point-to-point",
                circuitID: circuit.circuitID, adjacencyLosses: circuit.flaps, levels: byLevel)
        }
    }

    /// - Parameter levels: those of at least one of them.
    public func adjacencyViews(_ levels: [Level] = Level.allCases, at now: Instant) -> [ISISAdjacencyView] {
        var names = NameCache(self)
        var views: [ISISAdjacencyView] = []
        for case let circuit? in circuits {
            for adjacency in circuit.adjacencies where levels.contains(where: { adjacency.usage.contains($0) }) {
                let which = circuit.isBroadcast ? adjacency.usage.rawValue : 0
                let deadline = timers.deadline(of: holdTimer(adjacency, circuit.number, which))
                views.append(
                    ISISAdjacencyView(
                        system: adjacency.system, hostname: names[adjacency.system], interface: name(circuit),
                        levels: adjacency.usage, state: adjacency.state,
                        holdTimeLeft: TimeSpan(.seconds(deadline.map { max(0, ($0 - now).inMilliseconds) / 1000 } ?? 0)),
                        holdingTime: adjacency.holdingTime, priority: adjacency.priority, station: adjacency.station,
                        areas: adjacency.areas.map(\.description),
                        addresses: adjacency.ipv4.map(IPAddress.v4) + adjacency.ipv6.map(IPAddress.v6),
                        isMultiTopology: adjacency.topologies & 2 != 0, isRestarting: adjacency.isRestarting,
                        bfd: adjacency.bfd == nil ? nil : adjacency.isBFDUp ?? false ? "up" : "down",
                        upFor: adjacency.upSince.map { TimeSpan(now - $0) }))
            }
        }
        return views
    }

    /// Ascending by LSP ID.
    /// - Parameter id: only this one, or all.
    public func databaseViews(_ level: Level, id: LSPID? = nil, detail: Bool, at now: Instant) -> [ISISDatabaseView] {
        let database = databases[level.index]
        var names = NameCache(self)
        var views: [ISISDatabaseView] = []
        for position in 0..<database.count {
            let slot = database.slot(at: position)
            let entry = database.entries[slot]
            if entry.isRequested || id.map({ $0 != entry.id }) ?? false { continue }
            let bytes = database.bytes(slot)
            let flags = LSPHeader.Flags(rawValue: bytes.count >= LSPHeader.length ? bytes[LSPHeader.length - 1] : 0)
            views.append(
                ISISDatabaseView(
                    level: level, id: entry.id, hostname: names[entry.id.system], sequence: entry.sequence,
                    checksum: entry.checksum, remainingLifetime: entry.remainingLifetime(at: now), isPurged: entry.isPurged,
                    isOwn: entry.id.system == ownID, octets: bytes.count,
                    isAttached: flags.contains(.attached), isOverloaded: flags.contains(.overload),
                    contents: detail ? LSPContents(bytes.span.bytes).lines : nil))
        }
        return views
    }

    public var hostnameViews: [ISISHostnameView] {
        var views: [ISISHostnameView] = []
        for database in databases {
            for position in 0..<database.count {
                let slot = database.slot(at: position)
                let entry = database.entries[slot]
                guard entry.id.fragment == 0, !entry.id.node.isPseudonode, !entry.isPurged, !entry.isRequested,
                    let name = LSPContents(database.bytes(slot).span.bytes).hostname
                else { continue }
                views.append(ISISHostnameView(level: database.level, system: entry.id.system, hostname: name))
            }
        }
        return views
    }

    /// `nil` without a configuration.
    public func summaryView(at now: Instant) -> ISISSummaryView? {
        guard let configuration else { return nil }
        var up = 0
        for case let circuit? in circuits { up += circuit.adjacencies.count { $0.isUp } }
        let routes = calculation.routes.routeCount
        let state =
            switch backoff.state {
            case .quiet: "quiet"
            case .shortWait: "short wait"
            case .longWait: "long wait"
            }
        return ISISSummaryView(
            system: configuration.systemID, hostname: configuration.hostname,
            areas: configuration.areaAddresses.map(\.description), levels: configuration.levels,
            isOverloaded: Level.allCases.contains { configuration.levels.contains($0) && isOverloaded($0) },
            isAttached: configuration.attachedBit.isSent && calculation.routes.isAttached, adjacenciesUp: up,
            databases: Level.allCases.filter { configuration.levels.contains($0) }.map {
                ISISSummaryView.Database(
                    level: $0, lsps: databases[$0.index].count, ownLSPs: originators[$0.index].own.count)
            }, ipv4Routes: routes.ipv4, ipv6Routes: routes.ipv6, backoff: state,
            runs: spfLog.map { run in
                ISISSummaryView.Run(
                    age: TimeSpan(atLeastZero: now - run.at), levels: Level.allCases.filter { run.paths.contains($0) },
                    updates: run.updates)
            },
            counters: [
                Counter("received", counters.received), Counter("sent", counters.sent),
                Counter("LSPs received", counters.lspsReceived), Counter("sent", counters.lspsSent),
                Counter("sent again", counters.lspsRetransmitted), Counter("made", counters.ownLSPsGenerated),
                Counter("refreshed", counters.ownLSPsRefreshed), Counter("purged", counters.purges),
                Counter("contested", counters.ownLSPsContested), Counter("calculations", counters.spfRuns),
            ], dropped: Counter.occurred { (drop: ISISDrop) in counters[drop] })
    }
}

extension LSPContents {
    /// What it says, a line for each thing.
    fileprivate var lines: [String] {
        var lines: [String] = []
        func list(_ name: String, _ values: [some CustomStringConvertible]) {
            if !values.isEmpty { lines.append(name + " " + values.map(\.description).joined(separator: ", ")) }
        }
        list("areas", areas)
        list("protocols", protocols.map { $0 == ProtocolID.ipv4 ? "IPv4" : $0 == ProtocolID.ipv6 ? "IPv6" : "\($0)" })
        list(
            "topologies",
            topologies.map {
                "\($0.id)" + ($0.isOverloaded ? " overloaded" : "") + ($0.isAttached ? " attached" : "")
            })
        if let name = hostname { lines.append("hostname \(name)") }
        list("addresses", ipv4Addresses)
        list("addresses", ipv6Addresses)
        if let id = teRouterID { lines.append("TE router ID \(id)") }
        list("purged by", purgeOriginators)
        for reach in neighbors.sorted() {
            lines.append(
                "neighbor \(reach.node) metric \(reach.metric)" + (reach.isNarrow ? " narrow" : "")
                    + (reach.topology == 0 ? "" : " topology \(reach.topology)"))
        }
        func prefixes<Key>(_ list: [PrefixReach<Key>]) {
            for reach in list.sorted() {
                var words = ["prefix \(reach.prefix) metric \(reach.metric)"]
                let traits: [(ReachFlags, String)] = [
                    (.narrow, "narrow"), (.external, "external"), (.externalMetric, "external metric"), (.down, "down"),
                    (.readvertised, "readvertised"), (.node, "node"),
                ]
                words += traits.filter { reach.flags.contains($0.0) }.map(\.1)
                if reach.tag != 0 { words.append("tag \(reach.tag)") }
                if reach.topology != 0 { words.append("topology \(reach.topology)") }
                lines.append(words.joined(separator: " "))
            }
        }
        prefixes(ipv4)
        prefixes(ipv6)
        if hasAuthentication { lines.append("authentication") }
        if unknownTLVs > 0 { lines.append("\(unknownTLVs) TLVs of other kinds") }
        if let fault = firstFault { lines.append("\(malformedTLVs) malformed TLVs ignored: \(fault)") }
        return lines
    }
}

/// Host names while one view is put together: of neighbouring LSPs the same name is asked for again and again.
private struct NameCache {
    private let machine: ISISInstance
    private var last: (system: SystemID, name: String?)?
    init(_ machine: ISISInstance) { self.machine = machine }
    subscript(system: SystemID) -> String? {
        mutating get {
            if let last, last.system == system { return last.name }
            let name = machine.hostname(system)
            last = (system, name)
            return name
        }
    }
}
