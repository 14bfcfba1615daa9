import Machine
import Records
import Routing
import SPF
import Wire

// What an operator sees of IS-IS. Plain values, put together when somebody asks.

/// A circuit: `show isis interface`.
public struct ISISInterfaceView: Sendable, Hashable {
    public struct LevelView: Sendable, Hashable {
        public var level: Level
        public var metric: UInt32
        public var priority: UInt8
        public var helloInterval: Duration
        public var adjacencies: Int
        /// On a LAN with neighbours.
        public var designated: SystemID?
        public var lanID: NodeID
        public var isDesignated: Bool
        /// LSPs that are still to be sent or acknowledged.
        public var waiting: Int
    }
    public var interface: InterfaceID
    public var name: String
    public var isUp: Bool
    public var isPassive: Bool
    public var networkType: ISISNetworkType
    public var levels: ISISLevels
    public var circuitID: UInt8
    public var adjacencyLosses: UInt32
    public var byLevel: [LevelView]
}

/// A neighbour: `show isis adjacency`.
public struct ISISAdjacencyView: Sendable, Hashable {
    public var system: SystemID
    public var hostname: String?
    public var interface: InterfaceID
    public var interfaceName: String
    public var levels: ISISLevels
    public var state: Adjacency.State
    /// Seconds until it ends without another hello.
    public var holdTimeLeft: Int
    public var holdingTime: UInt16
    public var priority: UInt8
    public var station: MACAddress
    public var areas: [AreaAddress]
    public var ipv4: [IPv4Address]
    public var ipv6: [IPv6Address]
    public var isMultiTopology: Bool
    public var isRestarting: Bool
    /// `nil` without BFD.
    public var isBFDUp: Bool?
    /// How long it is up.
    public var upFor: Duration?
    /// Adjacencies of the circuit that were lost.
    public var circuitLosses: UInt32
}

/// An LSP: `show isis database`.
public struct ISISDatabaseView: Sendable {
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
    public var flags: LSPHeader.Flags
    /// With detail only.
    public var contents: LSPContents?
}

/// `show isis summary`.
public struct ISISSummaryView: Sendable {
    public var systemID: SystemID
    public var areas: [AreaAddress]
    public var levels: ISISLevels
    public var hostname: String
    public var isOverloaded: Bool
    /// The attached bit of our level 1 LSP.
    public var isAttached: Bool
    public var adjacenciesUp: Int
    /// By level.
    public var lsps: [Int]
    public var ownLSPs: [Int]
    public var ipv4Routes: Int
    public var ipv6Routes: Int
    public var backoff: String
    public var counters: ISISCounters
    public var spfLog: [SPFRun]
}

/// `show isis hostname`.
public struct ISISHostnameView: Sendable, Hashable {
    public var system: SystemID
    public var level: Level
    public var hostname: String
}

extension ISISInstance {
    public var interfaceViews: [ISISInterfaceView] {
        circuits.compactMap { circuit in
            guard let circuit else { return nil }
            let byLevel = Level.allCases.filter { circuit.levels.contains($0) }.map { level in
                let plan = circuit.configuration[level]
                let lan = circuit.lans[level.index]
                let flags =
                    circuit.number < databases[level.index].circuits.count
                    ? databases[level.index].circuits[circuit.number].srm.count : 0
                return ISISInterfaceView.LevelView(
                    level: level, metric: plan.metric, priority: plan.priority,
                    helloInterval: .milliseconds(Int64(plan.helloInterval)),
                    adjacencies: circuit.adjacencies.count { $0.isUp(level) }, designated: lan.designated,
                    lanID: lan.lanID, isDesignated: circuit.isDesignated(level, by: ownID), waiting: flags)
            }
            return ISISInterfaceView(
                interface: circuit.interface, name: name(circuit), isUp: circuit.isUp,
                isPassive: circuit.configuration.isPassive, networkType: circuit.configuration.networkType,
                levels: circuit.levels, circuitID: circuit.circuitID, adjacencyLosses: circuit.flaps, byLevel: byLevel)
        }
    }

    public func adjacencyViews(at now: Instant) -> [ISISAdjacencyView] {
        var names = NameCache(self)
        var views: [ISISAdjacencyView] = []
        for case let circuit? in circuits {
            for adjacency in circuit.adjacencies {
                let which = circuit.isBroadcast ? adjacency.usage.rawValue : 0
                let deadline = timers.deadline(of: holdTimer(adjacency, circuit.number, which))
                views.append(
                    ISISAdjacencyView(
                        system: adjacency.system, hostname: names[adjacency.system], interface: circuit.interface,
                        interfaceName: name(circuit), levels: adjacency.usage, state: adjacency.state,
                        holdTimeLeft: Int(deadline.map { max(0, ($0 - now).inMilliseconds) / 1000 } ?? 0),
                        holdingTime: adjacency.holdingTime, priority: adjacency.priority, station: adjacency.station,
                        areas: adjacency.areas, ipv4: adjacency.ipv4, ipv6: adjacency.ipv6,
                        isMultiTopology: adjacency.topologies & 2 != 0, isRestarting: adjacency.isRestarting,
                        isBFDUp: adjacency.bfd == nil ? nil : adjacency.isBFDUp ?? false,
                        upFor: adjacency.upSince.map { now - $0 }, circuitLosses: circuit.flaps))
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
            views.append(
                ISISDatabaseView(
                    level: level, id: entry.id, hostname: names[entry.id.system], sequence: entry.sequence,
                    checksum: entry.checksum, remainingLifetime: entry.remainingLifetime(at: now), isPurged: entry.isPurged,
                    isOwn: entry.id.system == ownID, octets: bytes.count,
                    flags: LSPHeader.Flags(rawValue: bytes.count >= LSPHeader.length ? bytes[LSPHeader.length - 1] : 0),
                    contents: detail ? LSPContents(bytes.span.bytes) : nil))
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
                views.append(ISISHostnameView(system: entry.id.system, level: database.level, hostname: name))
            }
        }
        return views
    }

    public var summaryView: ISISSummaryView? {
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
            systemID: configuration.systemID, areas: configuration.areaAddresses, levels: configuration.levels,
            hostname: configuration.hostname,
            isOverloaded: Level.allCases.contains { configuration.levels.contains($0) && isOverloaded($0) },
            isAttached: configuration.attachedBit.isSent && calculation.routes.isAttached, adjacenciesUp: up,
            lsps: databases.map(\.count), ownLSPs: originators.map(\.own.count), ipv4Routes: routes.ipv4,
            ipv6Routes: routes.ipv6, backoff: state, counters: counters, spfLog: spfLog)
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
