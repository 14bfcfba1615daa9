import Machine
import Records
import Wire

/// IS-IS on one interface (ISO 10589 §8: a circuit). Its number towards the database is that of the interface.
struct Circuit: Sendable {
    /// What a broadcast circuit knows of each level (§8.4).
    struct LAN: Sendable, Equatable {
        /// §8.4.5: nobody is elected until two hello intervals have gone by since the circuit came up.
        var isWaiting = true
        /// The designated IS, once there is one.
        var designated: SystemID?
        /// The name that the designated IS gave the LAN; zero until it is known.
        var lanID = NodeID.zero
    }

    let interface: InterfaceID
    var configuration: ISISInterfaceConfiguration
    /// Those of the instance and the interface.
    var levels: ISISLevels
    /// The interface has carrier and the circuit takes part.
    var isUp = false
    /// §7.2.7: names the LAN when we are designated; 1…255, unique among broadcast circuits; 0 when there were no more.
    var circuitID: UInt8
    /// Ascending by (level, system, station). Point-to-point: at most one.
    var adjacencies: [Adjacency] = []
    /// By level.
    var lans = [LAN(), LAN()]
    /// Hellos that were moved forward and have not gone yet: bit 0 point-to-point, bits 1 and 2 the levels.
    var hastened: UInt8 = 0
    /// Adjacencies that were lost since the circuit exists.
    var flaps: UInt32 = 0
    /// Octets of the largest frame behind the LLC header.
    var frameOctets: Int
    /// Our addresses on it, as hellos say them.
    var ipv4: [IPv4Address] = []
    var ipv6: [IPv6Address] = []
    var station: MACAddress

    init(
        interface: InterfaceID, configuration: ISISInterfaceConfiguration, levels: ISISLevels, circuitID: UInt8,
        on device: InterfaceConfiguration
    ) {
        self.interface = interface
        self.configuration = configuration
        self.levels = levels
        self.circuitID = circuitID
        frameOctets = 0
        station = device.virtualMAC
        take(device)
    }

    /// What follows from the interface.
    mutating func take(_ device: InterfaceConfiguration) {
        // The three octets of LLC stand within the MTU: 1497 octets of PDU for 1500.
        frameOctets = Int(device.mtu) - 3
        station = device.virtualMAC
        ipv4 = []
        ipv6 = []
        var hasIPv6 = false
        for entry in device.addresses {
            switch entry.address {
            case .v4(let address): if ipv4.count < Adjacency.addressesMaximum { ipv4.append(address) }
            case .v6(let address):
                hasIPv6 = true
                if address.isLinkLocal, ipv6.count < Adjacency.addressesMaximum { ipv6.append(address) }
            }
        }
        // RFC 5308 §3: hellos carry link-local addresses only. The line card answers for the one made of the station.
        if hasIPv6, ipv6.isEmpty { ipv6 = [IPv6Address(linkLocalOf: device.virtualMAC)] }
    }

    var isBroadcast: Bool { configuration.networkType == .broadcast }
    /// Speaks and listens.
    var isActive: Bool { isUp && !configuration.isPassive }
    var number: Int { Int(interface.value) }
    /// RFC 5303: unique within the router, never zero.
    var extendedCircuitID: UInt32 { UInt32(interface.value) + 1 }

    /// Levels as hellos are sent: each of a LAN, one for both on a point-to-point circuit.
    var helloLevels: [UInt8] {
        if !isBroadcast { return [0] }
        return Level.allCases.filter { levels.contains($0) }.map(\.rawValue)
    }

    /// The lower level of the circuit: it rules timers that are not per level.
    var lowestLevel: Level { levels.contains(.one) ? .one : .two }

    func index(of system: SystemID, usage: ISISLevels?) -> Int? {
        adjacencies.firstIndex { $0.system == system && (usage == nil || $0.usage == usage) }
    }

    func hasUp(_ level: Level) -> Bool { adjacencies.contains { $0.isUp(level) } }
    var hasUp: Bool { adjacencies.contains { $0.isUp } }

    func isDesignated(_ level: Level, by own: SystemID) -> Bool { isBroadcast && lans[level.index].designated == own }

    /// Keeps the order.
    mutating func insert(_ adjacency: Adjacency) -> Int {
        let at =
            adjacencies.firstIndex {
                ($0.usage.rawValue, $0.system, $0.station) > (adjacency.usage.rawValue, adjacency.system, adjacency.station)
            } ?? adjacencies.count
        adjacencies.insert(adjacency, at: at)
        return at
    }
}

extension IPv6Address {
    /// RFC 4291 §2.5.6 and appendix A: the link-local address of an Ethernet address (modified EUI-64).
    init(linkLocalOf station: MACAddress) {
        let upper = (station.raw >> 24) ^ 0x02_0000
        self.init(high: 0xfe80_0000_0000_0000, low: upper << 40 | 0xff_fe00_0000 | station.raw & 0xff_ffff)
    }
}

extension Circuit.LAN: Fielded {
    static var blank: Self { .init() }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&isWaiting)
        try visitor.field(&designated, \.raw, SystemID.init(raw:))
        try visitor.field(&lanID, \.raw, NodeID.init(raw:))
    }
}

extension Circuit: Fielded {
    static var blank: Self {
        .init(
            interface: InterfaceID(0), configuration: ISISInterfaceConfiguration(interface: 0), levels: .level1, circuitID: 0,
            on: InterfaceConfiguration(name: "", virtualMAC: MACAddress(raw: 0), addresses: []))
    }

    /// What the configuration does not tell: a circuit that is read is one that the configuration has made before.
    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        visitor.derived(interface)
        visitor.derived(configuration)
        visitor.derived(levels)
        try visitor.field(&isUp)
        try visitor.field(&circuitID)
        try visitor.list(&adjacencies)
        try visitor.list(&lans)
        try visitor.require(lans.count == 2, "levels of a circuit")
        try visitor.field(&hastened)
        try visitor.field(&flaps)
        visitor.derived(frameOctets)
        visitor.derived(ipv4)
        visitor.derived(ipv6)
        visitor.derived(station)
    }
}
