import Machine
import Records
import Routing
import Wire

/// One area of `show ospf`.
public struct OSPFAreaView: Hashable, Sendable, Codable {
    public var id: IPv4Address
    public var kind: String
    public var interfaces: Int
    public var fullNeighbors: Int
    public var lsas: Int
}

/// `show ospf`
public struct OSPFSummaryView: Hashable, Sendable, Codable {
    public var version: UInt8
    /// `IPv4`, `IPv6`
    public var family: String
    public var routerID: IPv4Address
    public var isBorderRouter: Bool
    public var isStubRouter: Bool
    public var areas: [OSPFAreaView]
    public var externalLSAs: Int
    public var routes: Int
    /// Calculations of routes since this controller began.
    public var calculations: UInt64
}

/// One line of `show ospf interfaces`.
public struct OSPFInterfaceView: Hashable, Sendable, Codable {
    public var name: String
    public var area: IPv4Address
    @AsText public var network: OSPFNetworkType
    /// RFC 2328 §9.1
    @AsText public var state: OSPFInterfaceState
    public var isPassive: Bool
    /// The address we speak from; absent where the interface has none of the family.
    public var address: IPAddress?
    public var cost: UInt16
    public var priority: UInt8
    /// Router IDs. Known for OSPFv2 only when the router is a neighbour or we are it.
    public var designatedRouter: IPv4Address?
    public var backupDesignatedRouter: IPv4Address?
    /// Until the next Hello; absent while none is sent.
    public var helloDue: TimeSpan?
    public var neighbors: Int
    public var fullNeighbors: Int
    /// Packets by type, and why others were not taken; only what occurred.
    public var received: [Counter]
    public var sent: [Counter]
    public var dropped: [Counter]
}

/// One line of `show ospf neighbors`.
public struct OSPFNeighborView: Hashable, Sendable, Codable {
    public var routerID: IPv4Address
    public var address: IPAddress
    public var interface: String
    public var area: IPv4Address
    /// RFC 2328 §10.1
    @AsText public var state: OSPFNeighborState
    /// `DR`, `Backup`, `DROther` or, on point-to-point links, `-`.
    public var role: String
    public var priority: UInt8
    /// How long it is in that state.
    public var stateAge: TimeSpan
    /// Until RouterDeadInterval is over.
    public var deadTime: TimeSpan
    /// What is left of a grace period in which we help (RFC 3623).
    public var graceTime: TimeSpan?
    /// `up` or `down`; absent without BFD.
    public var bfd: String?
    /// LSAs that it has to acknowledge, and that we ask it for.
    public var retransmissions: Int
    public var requests: Int
    public var stateChanges: UInt64
    public var lastReason: String
}

/// One LSA of `show ospf database`.
public struct OSPFLSAView: Hashable, Sendable, Codable {
    /// `area 0.0.0.0`, `AS`, `link eth0`
    public var database: String
    public var type: String
    public var linkStateID: IPv4Address
    public var advertisingRouter: IPv4Address
    /// Seconds.
    public var age: UInt16
    /// In hexadecimal, as other routers show it.
    public var sequence: String
    public var checksum: String
    public var length: UInt16
    public var isOwn: Bool
    /// With detail: a line for each thing it says.
    public var contents: [String]?
}

/// One line of `show ospf routes`.
public struct OSPFRouteView: Hashable, Sendable, Codable {
    public var prefix: IPPrefix
    public var kind: String
    public var area: IPv4Address
    public var cost: UInt32
    /// Of an external path of type 2.
    public var type2Cost: UInt32?
    public var tag: UInt32
    public var advertisingRouter: IPv4Address
    public var nextHops: [String]
}

/// `show ospf spf`
public struct OSPFCalculationView: Hashable, Sendable, Codable {
    public struct Run: Hashable, Sendable, Codable {
        public var age: TimeSpan
        /// From the first change that it answers.
        public var delay: TimeSpan
        /// LSAs and routes that were different.
        public var changes: Int
        public var routes: Int
    }
    public struct Router: Hashable, Sendable, Codable {
        public var area: IPv4Address
        public var routerID: IPv4Address
        public var distance: UInt32
        public var isBorderRouter: Bool
        public var isBoundaryRouter: Bool
    }
    /// The newest first.
    public var runs: [Run]
    public var routers: [Router]
}

/// What a database holds.
public struct OSPFDatabaseView: Hashable, Sendable {
    public struct TypeCount: Hashable, Sendable {
        public var type: LSAType
        public var count: Int
    }
    public var id: DatabaseID
    public var count: Int
    /// RFC 4750: the sum of all checksums.
    public var checksumSum: UInt32
    /// Ascending by type.
    public var types: [TypeCount]
}

extension OSPFInstance {
    /// `nil` without a configuration.
    public func summaryView() -> OSPFSummaryView? {
        guard let configuration else { return nil }
        let databases = databaseViews()
        return OSPFSummaryView(
            version: configuration.version.rawValue, family: configuration.family == .ipv4 ? "IPv4" : "IPv6",
            routerID: configuration.routerID, isBorderRouter: isAreaBorderRouter, isStubRouter: isStubRouter,
            areas: areaIDs.map { id in
                let own = interfaces.compactMap { $0 }.filter { $0.configuration.areaID == id }
                return OSPFAreaView(
                    id: id, kind: "\(configuration.area(id).kind)", interfaces: own.count,
                    fullNeighbors: own.reduce(0) { $0 + fullNeighbors($1) },
                    lsas: databases.first { $0.id == .area(id.raw) }?.count ?? 0)
            }, externalLSAs: databases.first { $0.id == .autonomousSystem }?.count ?? 0, routes: routes.count,
            calculations: log.count)
    }

    /// Areas that are configured or have interfaces, ascending.
    private var areaIDs: [IPv4Address] {
        var ids = configuration?.areas.map(\.areaID) ?? []
        ids += interfaces.compactMap { $0?.configuration.areaID }
        ids.sort()
        return ids.indices.filter { $0 == 0 || ids[$0] != ids[$0 - 1] }.map { ids[$0] }
    }

    private func fullNeighbors(_ interface: OSPFInterface) -> Int {
        interface.neighbors.count { neighbor($0)?.state == .full }
    }

    /// Ascending by `InterfaceID`.
    public func interfaceViews(at now: Instant) -> [OSPFInterfaceView] {
        interfaces.compactMap { interface in
            guard let interface else { return nil }
            func packets(_ counts: [UInt64]) -> [Counter] {
                Counter.occurred { (type: OSPFPacketType) in counts[Int(type.rawValue)] }
            }
            let counters = interface.counters
            return OSPFInterfaceView(
                name: interface.device.name, area: interface.configuration.areaID, network: interface.configuration.network,
                state: interface.state, isPassive: interface.configuration.isPassive, address: source(on: interface),
                cost: interface.configuration.cost, priority: interface.configuration.priority,
                designatedRouter: routerID(named: interface.dr, on: interface),
                backupDesignatedRouter: routerID(named: interface.bdr, on: interface),
                helloDue: timers.deadline(of: OSPFTimer(.hello, UInt32(interface.id.value)))
                    .map { TimeSpan(atLeastZero: $0 - now) }, neighbors: interface.neighbors.count,
                fullNeighbors: fullNeighbors(interface), received: packets(counters.received), sent: packets(counters.sent),
                dropped: Counter.occurred { (reason: OSPFDrop) in counters.drops[Int(reason.rawValue)] })
        }
    }

    /// Whom the DR fields mean.
    private func routerID(named identity: UInt32, on interface: OSPFInterface) -> IPv4Address? {
        guard identity != 0 else { return nil }
        if identity == ownIdentity(on: interface) { return IPv4Address(raw: routerID) }
        for index in interface.neighbors {
            if let neighbor = neighbor(index), self.identity(of: neighbor) == identity {
                return IPv4Address(raw: neighbor.routerID)
            }
        }
        return version == .v3 ? IPv4Address(raw: identity) : nil
    }

    /// By interface, then ascending by Router ID.
    public func neighborViews(at now: Instant) -> [OSPFNeighborView] {
        var views: [OSPFNeighborView] = []
        for interface in interfaces {
            guard let interface else { continue }
            for index in interface.neighbors {
                guard let neighbor = neighbor(index) else { continue }
                let name = identity(of: neighbor)
                views.append(
                    OSPFNeighborView(
                        routerID: IPv4Address(raw: neighbor.routerID), address: neighbor.address,
                        interface: interface.device.name, area: interface.configuration.areaID, state: neighbor.state,
                        role: !interface.isBroadcast
                            ? "-" : interface.dr == name ? "DR" : interface.bdr == name ? "Backup" : "DROther",
                        priority: neighbor.priority, stateAge: TimeSpan(atLeastZero: now - neighbor.changed),
                        deadTime: TimeSpan(atLeastZero: neighbor.deadDeadline - now),
                        graceTime: neighbor.graceDeadline.map { TimeSpan(atLeastZero: $0 - now) },
                        bfd: neighbor.isBFDWanted ? neighbor.isBFDUp ? "up" : "down" : nil,
                        retransmissions: neighbor.retransmissions.count, requests: neighbor.requests.count,
                        stateChanges: neighbor.stateChanges, lastReason: neighbor.lastReason))
            }
        }
        return views
    }

    /// All databases that hold something, ascending.
    public func databaseViews() -> [OSPFDatabaseView] {
        database.databaseIDs.map { id in
            var types: [OSPFDatabaseView.TypeCount] = []
            database.walk(id) { _, entry in
                if let last = types.indices.last, types[last].type == entry.lsa.key.type {
                    types[last].count += 1
                } else {
                    types.append(OSPFDatabaseView.TypeCount(type: entry.lsa.key.type, count: 1))
                }
                return true
            }
            return OSPFDatabaseView(
                id: id, count: database.count(in: id), checksumSum: database.checksumSum(of: id), types: types)
        }
    }

    /// An LSA of a database.
    /// - Parameter detail: with what it says.
    public func view(_ entry: LSDB.Entry, in database: DatabaseID, detail: Bool, at now: Instant) -> OSPFLSAView {
        func hexadecimal(_ value: UInt32, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return "0x" + String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        let header = entry.lsa.header
        return OSPFLSAView(
            database: name(of: database), type: "\(header.key.type)", linkStateID: IPv4Address(raw: header.key.linkStateID),
            advertisingRouter: IPv4Address(raw: header.key.advertisingRouter), age: entry.age(at: now),
            sequence: hexadecimal(UInt32(bitPattern: header.sequence), 8), checksum: hexadecimal(UInt32(header.checksum), 4),
            length: header.length, isOwn: entry.isOwn,
            contents: detail ? entry.lsa.contents(version: version, family: configuration?.family ?? .ipv4) : nil)
    }

    /// Ascending by prefix.
    /// - Parameters:
    ///   - only: this prefix alone.
    ///   - after: those behind this prefix.
    ///   - limit: at most so many.
    public func routeViews(only: IPPrefix? = nil, after: IPPrefix? = nil, limit: Int = .max) -> [OSPFRouteView] {
        routes.lazy.filter { route in
            only.map { route.prefix == $0 } ?? true && after.map { route.prefix > $0 } ?? true
        }.prefix(limit).map { route in
            OSPFRouteView(
                prefix: route.prefix, kind: route.isNSSA ? "\(route.type) (NSSA)" : "\(route.type)",
                area: IPv4Address(raw: route.area), cost: route.cost,
                type2Cost: route.type == .externalType2 ? route.type2Cost : nil, tag: route.tag,
                advertisingRouter: IPv4Address(raw: route.advertisingRouter),
                nextHops: route.nextHops.map { hop in
                    func name(_ id: InterfaceID) -> String { interface(id)?.device.name ?? "\(id)" }
                    return switch hop {
                    case .via(let address, let interface): "\(address) \(name(interface))"
                    case .connected(let interface): "connected \(name(interface))"
                    case .gateway(let address): "\(address)"
                    case .blackhole: "dropped"
                    }
                })
        }
    }

    /// The last calculations, and the routers of every area with their distances.
    public func calculationView(at now: Instant) -> OSPFCalculationView {
        OSPFCalculationView(
            runs: log.entries.reversed().map {
                OSPFCalculationView.Run(
                    age: TimeSpan(atLeastZero: now - $0.time), delay: TimeSpan(atLeastZero: $0.time - $0.trigger),
                    changes: $0.changes, routes: $0.routes)
            },
            routers: areaIDs.flatMap { area in
                routers(in: area.raw).map {
                    OSPFCalculationView.Router(
                        area: area, routerID: IPv4Address(raw: $0.routerID), distance: $0.distance,
                        isBorderRouter: $0.flags.contains(.border), isBoundaryRouter: $0.flags.contains(.boundary))
                }
            })
    }

    /// The name of the interface whose link-scope database this is.
    public func name(of id: DatabaseID) -> String {
        guard id.scope == .link, let interface = interface(InterfaceID(UInt16(truncatingIfNeeded: id.number))) else {
            return id.description
        }
        return "link \(interface.device.name)"
    }
}
