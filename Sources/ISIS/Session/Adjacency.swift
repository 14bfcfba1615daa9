import Machine
import Records
import Wire

/// A neighbour on a circuit as its hellos describe it (ISO 10589 §8.2 and §8.4).
public struct Adjacency: Sendable, Hashable {
    public enum State: UInt8, Hashable, Sendable, CustomStringConvertible {
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

extension Adjacency {
    /// What the twin must have of it.
    func mix(into digest: inout StateDigest) {
        digest.mix(system.raw)
        digest.mix(station.raw)
        digest.mix(UInt64(usage.rawValue) << 32 | UInt64(state.rawValue) << 24 | UInt64(priority) << 16 | UInt64(holdingTime))
        digest.mix(lanID.raw)
        for area in areas { digest.mix(area.octets.span.bytes) }
        for address in ipv4 { digest.mix(UInt64(address.raw)) }
        for address in ipv6 {
            digest.mix(address.high)
            digest.mix(address.low)
        }
        digest.mix(UInt64(protocols) << 8 | UInt64(topologies))
        digest.mix(extendedCircuitID.map { UInt64($0) } ?? .max)
        digest.mix(UInt64(isRestarting ? 1 : 0) | UInt64(isSuppressed ? 2 : 0) | (bfd == nil ? 0 : 4))
        digest.mix(isBFDUp.map { $0 ? 2 : 1 } ?? 0)
    }

    func write(to writer: inout SnapshotWriter) {
        writer.write(system.raw)
        writer.write(station.raw)
        writer.write(usage.rawValue)
        writer.write(state.rawValue)
        writer.write(holdingTime)
        writer.write(priority)
        writer.write(lanID.raw)
        writer.writeList(areas) { area, w in w.writeBlock(area.octets) }
        writer.writeBlock(ipv4.map(\.raw))
        writer.writeBlock(ipv6.flatMap { [$0.high, $0.low] })
        writer.write(protocols)
        writer.write(topologies)
        writer.write(extendedCircuitID != nil)
        writer.write(extendedCircuitID ?? 0)
        writer.write(heard)
        writer.write(upSince)
        writer.write(isRestarting)
        writer.write(isSuppressed)
        writer.write(bfd != nil)
        if let bfd {
            writer.write(bfd.interface?.value ?? .max)
            bfd.local.write(to: &writer)
            bfd.remote.write(to: &writer)
        }
        writer.write(isBFDUp.map { $0 ? UInt8(2) : 1 } ?? 0)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        system = SystemID(raw: try reader.read())
        station = MACAddress(raw: try reader.read())
        guard let usage = ISISLevels(rawValue: try reader.read()), let state = State(rawValue: try reader.read()) else {
            throw DecodeError("adjacency", at: reader.position, .badValue)
        }
        self.usage = usage
        self.state = state
        holdingTime = try reader.read()
        priority = try reader.read()
        lanID = NodeID(raw: try reader.read())
        areas = try reader.readList { r throws(DecodeError) in
            guard let area = AreaAddress(try r.readBlock(of: UInt8.self)) else {
                throw DecodeError("area address", at: r.position, .badValue)
            }
            return area
        }
        ipv4 = try reader.readBlock(of: UInt32.self).map { IPv4Address(raw: $0) }
        let halves = try reader.readBlock(of: UInt64.self)
        ipv6 = stride(from: 0, to: halves.count & ~1, by: 2).map { IPv6Address(high: halves[$0], low: halves[$0 + 1]) }
        protocols = try reader.read()
        topologies = try reader.read()
        let hasCircuit = try reader.readBool()
        let circuit: UInt32 = try reader.read()
        extendedCircuitID = hasCircuit ? circuit : nil
        heard = try reader.readInstant()
        upSince = try reader.readOptionalInstant()
        isRestarting = try reader.readBool()
        isSuppressed = try reader.readBool()
        bfd = nil
        if try reader.readBool() {
            let interface: UInt16 = try reader.read()
            let local = try IPAddress(from: &reader)
            bfd = BFDPeer(
                interface: interface == .max ? nil : InterfaceID(interface), local: local,
                remote: try IPAddress(from: &reader))
        }
        switch try reader.read(UInt8.self) {
        case 1: isBFDUp = false
        case 2: isBFDUp = true
        default: isBFDUp = nil
        }
    }
}
