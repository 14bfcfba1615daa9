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

extension CalculatedRoute: Fielded {
    public static var blank: Self {
        .init(
            prefix: .blank, type: .intraArea, area: 0, cost: 0, type2Cost: 0, tag: 0, advertisingRouter: 0, isNSSA: false,
            nextHops: [])
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&prefix)
        try visitor.field(&type, "path type")
        try visitor.field(&area)
        try visitor.field(&cost)
        try visitor.field(&type2Cost)
        try visitor.field(&tag)
        try visitor.field(&advertisingRouter)
        try visitor.field(&isNSSA)
        try visitor.list(&nextHops)
    }

    var digestWord: UInt64 {
        var digest = StateDigest(0x0597)
        mix(into: &digest)
        return digest.value
    }
}

extension CalculatedRouter: Fielded {
    public static var blank: Self {
        .init(routerID: 0, type: .intraArea, area: 0, cost: 0, nextHops: [], options: [])
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&routerID)
        try visitor.field(&type, "path type")
        try visitor.field(&area)
        try visitor.field(&cost)
        try visitor.list(&nextHops)
        try visitor.field(&options, "options of a router")
    }
}
