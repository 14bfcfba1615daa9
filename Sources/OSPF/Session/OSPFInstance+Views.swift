import Machine
import Records
import Wire

/// An interface, for display.
public struct OSPFInterfaceView: Hashable, Sendable {
    public var interface: InterfaceID
    public var name: String
    public var areaID: IPv4Address
    public var network: OSPFNetworkType
    public var isPassive: Bool
    public var state: OSPFInterfaceState
    /// When the state last changed.
    public var changed: Instant
    /// The address we speak from; `nil` where the interface has none of the family.
    public var address: IPAddress?
    public var cost: UInt16
    public var priority: UInt8
    /// Router IDs; `nil` for none. Known for OSPFv2 only when the router is a neighbour or we are it.
    public var designatedRouter: IPv4Address?
    public var backupDesignatedRouter: IPv4Address?
    /// Until the next Hello; `nil` while none is sent.
    public var helloDue: Duration?
    public var neighbors: Int
    public var fullNeighbors: Int
    public var counters: OSPFInterfaceCounters
}

/// A neighbour, for display.
public struct OSPFNeighborView: Hashable, Sendable {
    public var interface: InterfaceID
    public var interfaceName: String
    public var areaID: IPv4Address
    public var routerID: IPv4Address
    public var address: IPAddress
    public var state: OSPFNeighborState
    public var changed: Instant
    public var priority: UInt8
    public var isDesignatedRouter: Bool
    public var isBackupDesignatedRouter: Bool
    public var options: OSPFOptions
    /// Until RouterDeadInterval is over.
    public var deadTime: Duration
    /// What is left of a grace period in which we help (RFC 3623).
    public var graceTime: Duration?
    public var isBFDWanted: Bool
    public var isBFDUp: Bool
    /// LSAs that it has to acknowledge, that we ask it for, and that we have still to describe to it.
    public var retransmissions: Int
    public var requests: Int
    public var isMaster: Bool
    public var stateChanges: UInt64
    public var lastReason: String
}

/// What a database holds, for display.
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
    /// Ascending by `InterfaceID`.
    public func interfaceViews(at now: Instant) -> [OSPFInterfaceView] {
        interfaces.compactMap { interface in
            guard let interface else { return nil }
            return OSPFInterfaceView(
                interface: interface.id, name: interface.device.name, areaID: interface.configuration.areaID,
                network: interface.configuration.network, isPassive: interface.configuration.isPassive,
                state: interface.state, changed: interface.changed, address: source(on: interface),
                cost: interface.configuration.cost, priority: interface.configuration.priority,
                designatedRouter: routerID(named: interface.dr, on: interface),
                backupDesignatedRouter: routerID(named: interface.bdr, on: interface),
                helloDue: timers.deadline(of: OSPFTimer(.hello, UInt32(interface.id.value))).map { $0 - now },
                neighbors: interface.neighbors.count,
                fullNeighbors: interface.neighbors.filter { neighbor($0)?.state == .full }.count,
                counters: interface.counters)
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
                        interface: interface.id, interfaceName: interface.device.name,
                        areaID: interface.configuration.areaID, routerID: IPv4Address(raw: neighbor.routerID),
                        address: neighbor.address, state: neighbor.state, changed: neighbor.changed,
                        priority: neighbor.priority, isDesignatedRouter: interface.isBroadcast && interface.dr == name,
                        isBackupDesignatedRouter: interface.isBroadcast && interface.bdr == name,
                        options: OSPFOptions(rawValue: neighbor.options), deadTime: neighbor.deadDeadline - now,
                        graceTime: neighbor.graceDeadline.map { $0 - now }, isBFDWanted: neighbor.isBFDWanted,
                        isBFDUp: neighbor.isBFDUp, retransmissions: neighbor.retransmissions.count,
                        requests: neighbor.requests.count, isMaster: neighbor.isMaster,
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

    /// The name of the interface whose link-scope database this is.
    public func name(of id: DatabaseID) -> String {
        guard id.scope == .link, let interface = interface(InterfaceID(UInt16(truncatingIfNeeded: id.number))) else {
            return id.description
        }
        return "link \(interface.device.name)"
    }
}
