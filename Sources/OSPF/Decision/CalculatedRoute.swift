import Machine
import Records
import Routing
import Wire

/// RFC 2328 §11 "path-type", in the order of preference. The raw value is `RouteOffer.kind`.
public enum OSPFPathType: UInt8, Hashable, Comparable, Sendable, CaseIterable, CustomStringConvertible {
    case intraArea = 0
    case interArea = 1
    case externalType1 = 2
    case externalType2 = 3

    public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
    public var isExternal: Bool { self >= .externalType1 }
    public var description: String {
        switch self {
        case .intraArea: "intra-area"
        case .interArea: "inter-area"
        case .externalType1: "external type 1"
        case .externalType2: "external type 2"
        }
    }
}

/// RFC 2328 §11: an entry of the routing table whose destination is a network.
public struct CalculatedRoute: Hashable, Sendable {
    public var prefix: IPPrefix
    public var type: OSPFPathType
    /// The area that the path leads through first.
    public var area: UInt32
    /// To the network; for type 2 to the AS boundary router or forwarding address.
    public var cost: UInt32
    /// Of an external path of type 2, else 0.
    public var type2Cost: UInt32
    public var tag: UInt32
    /// Whose LSA it is. With several of equal cost, the one that RFC 3101 §2.5 (6) (e) prefers.
    public var advertisingRouter: UInt32
    /// Learned from a type-7 LSA.
    public var isNSSA: Bool
    /// Ascending, at most as many as configured.
    public var nextHops: [NextHop]

    /// Whether packets leave for the network itself by one of our interfaces. Such a route is another protocol's to
    /// offer.
    public var isConnected: Bool {
        nextHops.allSatisfy { if case .connected = $0 { true } else { false } }
    }

    /// Whether packets are dropped: the route of one of our own ranges.
    public var isDiscard: Bool { nextHops == [.blackhole] }

    /// What a summary or a forwarding address makes of it: type 2 counts beyond any cost within the AS.
    var metric: UInt32 { type == .externalType2 ? type2Cost : cost }
}

/// RFC 2328 §11: an entry of the routing table whose destination is an AS boundary router.
public struct CalculatedRouter: Hashable, Sendable {
    public var routerID: UInt32
    /// Intra- or inter-area.
    public var type: OSPFPathType
    public var area: UInt32
    public var cost: UInt32
    public var nextHops: [NextHop]
    /// OSPFv3: what its router LSA or inter-area-router LSA says.
    public var options: OSPFOptions
}

// MARK: snapshot

extension CalculatedRoute {
    var digestWord: UInt64 {
        var writer = SnapshotWriter()
        write(to: &writer)
        return seededHash(writer.bytes.span.bytes, seed: 0x0597)
    }

    func write(to writer: inout SnapshotWriter) {
        prefix.writeState(to: &writer)
        writer.write(type.rawValue)
        writer.write(area)
        writer.write(cost)
        writer.write(type2Cost)
        writer.write(tag)
        writer.write(advertisingRouter)
        writer.write(isNSSA)
        writer.writeList(nextHops) { hop, w in hop.writeState(to: &w) }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        prefix = try IPPrefix(stateFrom: &reader)
        guard let type = OSPFPathType(rawValue: try reader.read()) else {
            throw DecodeError("path type", at: reader.position, .badValue)
        }
        self.type = type
        area = try reader.read()
        cost = try reader.read()
        type2Cost = try reader.read()
        tag = try reader.read()
        advertisingRouter = try reader.read()
        isNSSA = try reader.readBool()
        nextHops = try reader.readList { r throws(DecodeError) in try NextHop(stateFrom: &r) }
    }
}

extension CalculatedRouter {
    func write(to writer: inout SnapshotWriter) {
        writer.write(routerID)
        writer.write(type.rawValue)
        writer.write(area)
        writer.write(cost)
        writer.write(options.rawValue)
        writer.writeList(nextHops) { hop, w in hop.writeState(to: &w) }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        routerID = try reader.read()
        guard let type = OSPFPathType(rawValue: try reader.read()) else {
            throw DecodeError("path type", at: reader.position, .badValue)
        }
        self.type = type
        area = try reader.read()
        cost = try reader.read()
        options = OSPFOptions(rawValue: try reader.read())
        nextHops = try reader.readList { r throws(DecodeError) in try NextHop(stateFrom: &r) }
    }
}

extension RouteOffer {
    func writeState(to writer: inout SnapshotWriter) {
        writer.write(metric)
        writer.write(kind)
        writer.write(distance)
        writer.write(tag)
        writer.writeList(nextHops) { hop, w in hop.writeState(to: &w) }
    }

    init(stateFrom reader: inout SnapshotReader) throws(DecodeError) {
        let metric: UInt32 = try reader.read()
        let kind: UInt8 = try reader.read()
        let distance: UInt8 = try reader.read()
        let tag: UInt32 = try reader.read()
        let nextHops = try reader.readList { r throws(DecodeError) in try NextHop(stateFrom: &r) }
        self.init(nextHops: nextHops, metric: metric, kind: kind, distance: distance, tag: tag)
    }
}

extension IPAddress {
    func writeState(to writer: inout SnapshotWriter) {
        switch self {
        case .v4(let address):
            writer.write(UInt8(4))
            writer.write(address.raw)
        case .v6(let address):
            writer.write(UInt8(6))
            writer.write(address.high)
            writer.write(address.low)
        }
    }

    init(stateFrom reader: inout SnapshotReader) throws(DecodeError) {
        switch try reader.read(UInt8.self) {
        case 4: self = .v4(IPv4Address(raw: try reader.read()))
        case 6:
            let high: UInt64 = try reader.read()
            self = .v6(IPv6Address(high: high, low: try reader.read()))
        default: throw DecodeError("address", at: reader.position, .badValue)
        }
    }
}

extension IPPrefix {
    func writeState(to writer: inout SnapshotWriter) {
        switch self {
        case .v4(let prefix): IPAddress.v4(prefix.address).writeState(to: &writer)
        case .v6(let prefix): IPAddress.v6(prefix.address).writeState(to: &writer)
        }
        writer.write(length)
    }

    init(stateFrom reader: inout SnapshotReader) throws(DecodeError) {
        let address = try IPAddress(stateFrom: &reader)
        let length: UInt8 = try reader.read()
        guard length <= (address.family == .ipv4 ? 32 : 128) else {
            throw DecodeError("prefix length", at: reader.position, .badValue)
        }
        switch address {
        case .v4(let address): self = .v4(IPv4Prefix(address, length))
        case .v6(let address): self = .v6(IPv6Prefix(address, length))
        }
    }
}

extension NextHop {
    func writeState(to writer: inout SnapshotWriter) {
        switch self {
        case .connected(let interface):
            writer.write(UInt8(0))
            writer.write(interface.value)
        case .gateway(let address):
            writer.write(UInt8(1))
            address.writeState(to: &writer)
        case .via(let address, let interface):
            writer.write(UInt8(2))
            address.writeState(to: &writer)
            writer.write(interface.value)
        case .blackhole: writer.write(UInt8(3))
        }
    }

    init(stateFrom reader: inout SnapshotReader) throws(DecodeError) {
        switch try reader.read(UInt8.self) {
        case 0: self = .connected(InterfaceID(try reader.read()))
        case 1: self = .gateway(try IPAddress(stateFrom: &reader))
        case 2:
            let address = try IPAddress(stateFrom: &reader)
            self = .via(address, InterfaceID(try reader.read()))
        case 3: self = .blackhole
        default: throw DecodeError("next hop", at: reader.position, .badValue)
        }
    }
}
