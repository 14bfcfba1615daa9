import Records
import Wire

/// What the decision sees of this router itself: interfaces and adjacencies as the session machinery has them. From it
/// own LSAs are made and next hops are found; both are functions of it.
public struct LocalState: Sendable {
    public var configuration: OSPFConfiguration
    /// Interfaces that OSPF is configured on and that exist, ascending by `InterfaceID`, those that are down included.
    public var interfaces: [LocalInterface]
    /// RFC 6987: whether this router asks others to route around it now (always, or still within its time after the
    /// start).
    public var isStubRouter: Bool

    public init(configuration: OSPFConfiguration, interfaces: [LocalInterface], isStubRouter: Bool) {
        self.configuration = configuration
        self.interfaces = interfaces
        self.isStubRouter = isStubRouter
    }

    public var routerID: UInt32 { configuration.routerID.raw }
}

/// One interface, RFC 2328 §9.
public struct LocalInterface: Hashable, Sendable {
    public var id: InterfaceID
    public var configuration: OSPFInterfaceConfiguration
    /// Addresses and MTU.
    public var device: InterfaceConfiguration
    public var state: OSPFInterfaceState
    /// By interface address (OSPFv2) or Router ID (OSPFv3); 0 for none.
    public var dr: UInt32
    public var bdr: UInt32
    /// RFC 5340 §4.2.1 Interface ID; not 0.
    public var interfaceNumber: UInt32
    /// Where OSPFv3 speaks from.
    public var linkLocal: IPv6Address
    /// In 2-Way or better, ascending by Router ID.
    public var neighbors: [LocalNeighbor]

    public init(
        id: InterfaceID, configuration: OSPFInterfaceConfiguration, device: InterfaceConfiguration,
        state: OSPFInterfaceState, dr: UInt32 = 0, bdr: UInt32 = 0, interfaceNumber: UInt32, linkLocal: IPv6Address,
        neighbors: [LocalNeighbor] = []
    ) {
        self.id = id
        self.configuration = configuration
        self.device = device
        self.state = state
        self.dr = dr
        self.bdr = bdr
        self.interfaceNumber = interfaceNumber
        self.linkLocal = linkLocal
        self.neighbors = neighbors
    }

    public var areaID: UInt32 { configuration.areaID.raw }
}

/// A neighbour on an interface, RFC 2328 §10.
public struct LocalNeighbor: Hashable, Sendable {
    public var routerID: UInt32
    /// The source of its packets: what a next hop through it is.
    public var address: IPAddress
    /// RFC 5340: the Interface ID that its Hellos say; 0 with OSPFv2.
    public var interfaceNumber: UInt32
    /// Whether our LSAs announce the adjacency: Full, or helped through a graceful restart (RFC 3623 §3.1).
    public var isAdjacent: Bool
    /// Of its Hellos or Database Descriptions.
    public var options: UInt32

    public init(routerID: UInt32, address: IPAddress, interfaceNumber: UInt32 = 0, isAdjacent: Bool, options: UInt32 = 0) {
        self.routerID = routerID
        self.address = address
        self.interfaceNumber = interfaceNumber
        self.isAdjacent = isAdjacent
        self.options = options
    }
}

/// An LSA that this router is to originate, as the decision says it; sequence number, age and checksum are the
/// database's.
public struct WantedLSA: Hashable, Sendable {
    public var database: DatabaseID
    public var key: LSAKey
    /// OSPFv2's options octet of the header.
    public var options: UInt8
    public var body: [UInt8]

    public init(database: DatabaseID, key: LSAKey, options: UInt8 = 0, body: [UInt8]) {
        self.database = database
        self.key = key
        self.options = options
        self.body = body
    }
}
