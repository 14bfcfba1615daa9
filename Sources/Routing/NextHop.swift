import Machine
import Records
import Wire

/// Where packets of a route go.
public enum NextHop: Hashable, Sendable {
    /// The destination itself is on this interface's network.
    case connected(InterfaceID)
    /// A router; which interface leads to it is found by resolving the address.
    case gateway(IPAddress)
    /// A router on this interface, as interior protocols name it: nothing is left to resolve.
    case via(IPAddress, InterfaceID)
    /// Packets are dropped.
    case blackhole
}

extension NextHop: Comparable {
    /// A total order: by kind, then address, then interface.
    public static func < (a: NextHop, b: NextHop) -> Bool {
        switch (a, b) {
        case (.connected(let x), .connected(let y)): x < y
        case (.gateway(let x), .gateway(let y)): x < y
        case (.via(let x, let i), .via(let y, let j)): x != y ? x < y : i < j
        default: a.rank < b.rank
        }
    }

    private var rank: Int {
        switch self {
        case .connected: 0
        case .gateway: 1
        case .via: 2
        case .blackhole: 3
        }
    }
}

extension NextHop: Fielded {
    public static let blank = NextHop.blackhole

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        var number: UInt8, address = IPAddress.blank, interface: UInt16 = 0
        switch self {
        case .connected(let own): (number, interface) = (0, own.value)
        case .gateway(let own): (number, address) = (1, own)
        case .blackhole: number = 2
        case .via(let own, let way): (number, address, interface) = (3, own, way.value)
        }
        try visitor.number(&number)
        if number == 1 || number == 3 { try visitor.nested(&address) }
        if number == 0 || number == 3 { try visitor.number(&interface) }
        guard visitor.isReading else { return }
        switch number {
        case 0: self = .connected(InterfaceID(interface))
        case 1: self = .gateway(address)
        case 2: self = .blackhole
        case 3: self = .via(address, InterfaceID(interface))
        default: try visitor.require(false, "next hop")
        }
    }
}

extension NextHop {
    /// Of the value alone, for digests.
    var digestHash: UInt64 {
        switch self {
        case .connected(let interface): seededHash(UInt64(interface.value), 0, seed: 1)
        case .gateway(let address): address.digestHash
        case .via(let address, let interface): seededHash(address.digestHash, UInt64(interface.value), seed: 2)
        case .blackhole: 3
        }
    }
}

extension IPAddress {
    var digestHash: UInt64 {
        switch self {
        case .v4(let a): seededHash(UInt64(a.raw), 0, seed: 4)
        case .v6(let a): seededHash(a.high, a.low, seed: 6)
        }
    }
}
