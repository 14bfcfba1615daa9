import Machine
import Records
import Routing
import Wire

/// RFC 2328 §9.1, without Attempt's companions: what is announced but not spoken on is `loopback`, as is an interface
/// that was made passive (RFC 2328 §9.1 says of Loopback that its address is announced as a host).
public enum OSPFInterfaceState: UInt8, Hashable, Comparable, Sendable, CaseIterable, LosslessStringConvertible {
    case down = 0
    case loopback = 1
    case waiting = 2
    case pointToPoint = 3
    case drOther = 4
    case backup = 5
    case dr = 6

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var description: String {
        switch self {
        case .down: "Down"
        case .loopback: "Loopback"
        case .waiting: "Waiting"
        case .pointToPoint: "Point-to-point"
        case .drOther: "DR Other"
        case .backup: "Backup"
        case .dr: "DR"
        }
    }
}

/// RFC 2328 §9.2
enum OSPFInterfaceEvent: Sendable {
    case interfaceUp
    case waitTimer
    case backupSeen
    case neighborChange
    case interfaceDown
}

/// RFC 2328 §9: the interface data structure.
struct OSPFInterface: Sendable {
    var id: InterfaceID
    var configuration: OSPFInterfaceConfiguration
    /// The router's own view: addresses, MTU, station.
    var device: InterfaceConfiguration
    var isUp = true
    var state = OSPFInterfaceState.down
    /// As Hellos name them; 0 for none.
    var dr: UInt32 = 0
    var bdr: UInt32 = 0
    /// Numbers of the neighbours, ascending by Router ID.
    var neighbors: [NeighborIndex] = []
    /// RFC 2328 §13.5: headers that wait for a delayed acknowledgement.
    var delayedAcknowledgements: [LSAHeader] = []
    /// What is to be flooded here at the end of the present input; empty between inputs.
    var floodQueue: [LSAHandle] = []
    /// When the state last changed.
    var changed = Instant.zero
    /// Not state that a peer would notice.
    var counters = OSPFInterfaceCounters()

    init(id: InterfaceID, configuration: OSPFInterfaceConfiguration, device: InterfaceConfiguration) {
        self.id = id
        self.configuration = configuration
        self.device = device
    }

    var areaID: UInt32 { configuration.areaID.raw }
    var isBroadcast: Bool { configuration.network == .broadcast }

    /// The first IPv4 address, which names us on the link in OSPFv2.
    var primary: (address: IPv4Address, prefixLength: UInt8)? {
        for entry in device.addresses {
            if case .v4(let address) = entry.address { return (address, entry.prefixLength) }
        }
        return nil
    }

    /// RFC 5340 §2.5: OSPFv3 speaks from a link-local address: the one that was configured, else RFC 4291 Appendix A's
    /// of the station's address.
    var linkLocal: IPv6Address {
        for entry in device.addresses {
            if case .v6(let address) = entry.address, address.isLinkLocal { return address }
        }
        let mac = device.virtualMAC.raw
        let high = (mac >> 24 ^ 0x02_0000) << 40
        return IPv6Address(high: 0xfe80 << 48, low: high | 0xff_fe00_0000 | mac & 0xff_ffff)
    }

    /// Whether Hellos are sent and packets taken.
    var speaks: Bool { state > .loopback }
    /// RFC 5340 §4.2.1: what the neighbour calls our interface; not 0.
    var interfaceNumber: UInt32 { UInt32(id.value) + 1 }
}

/// What an interface counted since this controller began. Not replicated.
public struct OSPFInterfaceCounters: Hashable, Sendable {
    /// By packet type, 1 (Hello) to 5 (Link State Acknowledgment); 0 is not used.
    public var received = [UInt64](repeating: 0, count: 6)
    public var sent = [UInt64](repeating: 0, count: 6)
    /// By the raw value of `OSPFDrop`.
    public var drops = [UInt64](repeating: 0, count: OSPFDrop.allCases.count)
    public var lsasReceived: UInt64 = 0
    public var lsasFlooded: UInt64 = 0
    public var lsasRetransmitted: UInt64 = 0
}

/// Why a packet or an LSA was not taken.
public enum OSPFDrop: UInt8, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// Not an OSPF packet of our version, or a length or checksum is wrong.
    case malformed = 0
    case authentication = 1
    /// RFC 2328 §D.4.3, RFC 7474, RFC 7166: the sequence number is not newer.
    case replay = 2
    case areaMismatch = 3
    case instanceMismatch = 4
    /// RFC 2328 §8.2: not from the link's network, or our own.
    case badSource = 5
    case badDestination = 6
    case duplicateRouterID = 7
    case networkMaskMismatch = 8
    case helloIntervalMismatch = 9
    case deadIntervalMismatch = 10
    /// The E-bit or N-bit says another kind of area.
    case optionMismatch = 11
    case familyMismatch = 12
    case unknownNeighbor = 13
    /// The neighbour is not in a state in which the packet counts.
    case neighborState = 14
    case tooManyNeighbors = 15
    case mtuMismatch = 16
    case lsaChecksum = 17
    case lsaType = 18
    /// RFC 2328 §13 (3), RFC 3101: does not belong into this area, or is not about what an LSA may be about.
    case lsaScope = 19
    /// RFC 2328 §13 (5) (a) MinLSArrival.
    case lsaTooSoon = 20
    case lsaOlder = 21
    case lsaDuplicate = 22
    case databaseFull = 23
    /// Its body cannot be read: it is kept and flooded, and says nothing here.
    case lsaBody = 24
    case badRequest = 25
    case quarantined = 26
    /// RFC 5082: the TTL is not 255.
    case hopLimit = 27

    public var description: String {
        switch self {
        case .malformed: "malformed packet"
        case .authentication: "authentication failed"
        case .replay: "sequence number not newer"
        case .areaMismatch: "area mismatch"
        case .instanceMismatch: "instance ID mismatch"
        case .badSource: "source not on the link"
        case .badDestination: "destination not ours"
        case .duplicateRouterID: "our own Router ID"
        case .networkMaskMismatch: "network mask mismatch"
        case .helloIntervalMismatch: "HelloInterval mismatch"
        case .deadIntervalMismatch: "RouterDeadInterval mismatch"
        case .optionMismatch: "area type mismatch"
        case .familyMismatch: "address family mismatch"
        case .unknownNeighbor: "unknown neighbor"
        case .neighborState: "not expected in the neighbor's state"
        case .tooManyNeighbors: "too many neighbors"
        case .mtuMismatch: "MTU mismatch"
        case .lsaChecksum: "LSA checksum"
        case .lsaType: "LSA type not stored"
        case .lsaScope: "LSA out of place"
        case .lsaTooSoon: "LSA sooner than MinLSArrival"
        case .lsaOlder: "LSA older than ours"
        case .lsaDuplicate: "LSA known already"
        case .databaseFull: "database full"
        case .lsaBody: "malformed LSA"
        case .badRequest: "bad link state request"
        case .quarantined: "quarantined"
        case .hopLimit: "TTL below 255"
        }
    }
}
