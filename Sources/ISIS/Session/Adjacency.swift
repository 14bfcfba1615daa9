import Machine
import Records
import Wire

/// A neighbour on a circuit as its hellos describe it (ISO 10589 §8.2 and §8.4).
public struct Adjacency: Sendable, Hashable {
    public enum State: UInt8, Hashable, Sendable, CaseIterable, LosslessStringConvertible {
        /// Heard, but it has not said that it hears us (§8.4.2.2; RFC 5303 §3.2).
        case initializing = 1
        case up = 2
        public var description: String { self == .up ? "Up" : "Initializing" }
    }

    public var system: SystemID
    /// Its Ethernet address (SNPA).
    public var station: MACAddress
    /// On a LAN one level; on a point-to-point circuit what both ends can do (§8.2.4.2).
    public var usage: ISISLevels
    public var state = State.initializing
    /// What its hellos ask for, in seconds.
    public var holdingTime: UInt16
    /// LAN only (§8.4.5).
    public var priority: UInt8 = 0
    /// The LAN ID of its newest hello: whom it takes for the designated IS.
    public var lanID = NodeID.zero
    /// At most 3 (§7.1.5).
    public var areas: [AreaAddress] = []
    /// TLV 132 and 232; at most `addressesMaximum` each.
    public var ipv4: [IPv4Address] = []
    public var ipv6: [IPv6Address] = []
    /// NLPID of TLV 129: bit 0 IPv4, bit 1 IPv6.
    public var protocols: UInt8 = 0
    /// RFC 5120 TLV 229: the topologies both ends run here: bit 0 standard, bit 1 IPv6 unicast.
    public var topologies: UInt8 = 1
    /// RFC 5303: the neighbour's extended local circuit ID, if it uses the three-way handshake.
    public var extendedCircuitID: UInt32?
    /// When the newest hello came, for display.
    public var heard: Instant
    /// When it came up last.
    public var upSince: Instant?
    /// RFC 5306 §3.2.1: the neighbour restarts and we hold the adjacency for it.
    public var isRestarting = false
    /// RFC 5306 §3.2.1: SA: not to be told of in our LSP yet.
    public var isSuppressed = false
    /// The session with BFD that was asked for, if any.
    public var bfd: BFDPeer?
    /// What BFD says; `nil` before it says anything.
    public var isBFDUp: Bool?

    /// Addresses kept of a neighbour's hello.
    public static let addressesMaximum = 16

    init(system: SystemID, station: MACAddress, usage: ISISLevels, holdingTime: UInt16, heard: Instant) {
        self.system = system
        self.station = station
        self.usage = usage
        self.holdingTime = holdingTime
        self.heard = heard
    }

    var isUp: Bool { state == .up }
    func isUp(_ level: Level) -> Bool { state == .up && usage.contains(level) }
}

extension AreaAddress: Fielded {
    public static let blank = AreaAddress([0])!

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        var octets = self.octets
        try visitor.octets(of: &octets)
        guard visitor.isReading else { return }
        if let area = AreaAddress(octets) { self = area } else { try visitor.require(false, "area address") }
    }
}

extension Adjacency: Fielded {
    public static var blank: Self {
        .init(system: .zero, station: MACAddress(raw: 0), usage: .level1, holdingTime: 0, heard: .zero)
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&system, \.raw, SystemID.init(raw:))
        try visitor.field(&station, \.raw, MACAddress.init(raw:))
        try visitor.field(&usage, "levels of an adjacency")
        try visitor.field(&state, "state of an adjacency")
        try visitor.field(&holdingTime)
        try visitor.field(&priority)
        try visitor.field(&lanID, \.raw, NodeID.init(raw:))
        try visitor.list(&areas)
        try visitor.block(&ipv4, \.raw, IPv4Address.init(raw:))
        visitor.begin()
        var halves = ipv6.flatMap { [$0.high, $0.low] }
        try visitor.octets(of: &halves)
        try visitor.require(halves.count & 1 == 0, "addresses of an adjacency")
        if visitor.isReading {
            ipv6 = stride(from: 0, to: halves.count, by: 2).map { IPv6Address(high: halves[$0], low: halves[$0 + 1]) }
        }
        try visitor.field(&protocols)
        try visitor.field(&topologies)
        try visitor.field(&extendedCircuitID)
        try visitor.field(&heard)
        try visitor.field(&upSince)
        try visitor.field(&isRestarting)
        try visitor.field(&isSuppressed)
        try visitor.field(&bfd)
        try visitor.field(&isBFDUp)
    }
}
