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

extension NextHop {
    func write(to writer: inout SnapshotWriter) {
        switch self {
        case .connected(let interface):
            writer.write(UInt8(0))
            writer.write(interface.value)
        case .gateway(let address):
            writer.write(UInt8(1))
            address.write(to: &writer)
        case .blackhole:
            writer.write(UInt8(2))
        case .via(let address, let interface):
            writer.write(UInt8(3))
            address.write(to: &writer)
            writer.write(interface.value)
        }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        switch try reader.read(UInt8.self) {
        case 0: self = .connected(InterfaceID(try reader.read()))
        case 1: self = .gateway(try IPAddress(from: &reader))
        case 2: self = .blackhole
        case 3:
            let address = try IPAddress(from: &reader)
            self = .via(address, InterfaceID(try reader.read()))
        default: throw DecodeError("next hop", at: reader.position, .badValue)
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
