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

/// Next hops with small numbers and counted uses, so that a route holds 32 bits.
struct NextHopTable: Sendable {
    private struct Entry: Sendable {
        var nextHop: NextHop
        var uses: Int
    }
    /// `nil` where the number is free.
    private var entries: [Entry?] = []
    private var free: [UInt32] = []
    /// Looked up, never iterated.
    private var numbers: [NextHop: UInt32] = [:]

    subscript(number: UInt32) -> NextHop { entries[Int(number)]!.nextHop }

    /// The number of the next hop, with one more use. A run of equal next hops costs one look-up in `hint`.
    mutating func retain(_ nextHop: NextHop, hint: inout (nextHop: NextHop, number: UInt32)?) -> UInt32 {
        if let known = hint, known.nextHop == nextHop, entries[Int(known.number)]?.nextHop == nextHop {
            entries[Int(known.number)]!.uses += 1
            return known.number
        }
        let number = retain(nextHop)
        hint = (nextHop, number)
        return number
    }

    mutating func retain(_ nextHop: NextHop) -> UInt32 {
        if let number = numbers[nextHop] {
            entries[Int(number)]!.uses += 1
            return number
        }
        let number: UInt32
        if let reused = free.popLast() {
            number = reused
            entries[Int(reused)] = Entry(nextHop: nextHop, uses: 1)
        } else {
            number = UInt32(entries.count)
            entries.append(Entry(nextHop: nextHop, uses: 1))
        }
        numbers[nextHop] = number
        return number
    }

    mutating func release(_ number: UInt32) {
        entries[Int(number)]!.uses -= 1
        if entries[Int(number)]!.uses == 0 {
            numbers[entries[Int(number)]!.nextHop] = nil
            entries[Int(number)] = nil
            free.append(number)
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

extension NextHopTable: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        // Free numbers keep their order: the next one given out is state.
        writer.writeList(entries) { entry, w in
            w.write(entry != nil)
            guard let entry else { return }
            entry.nextHop.write(to: &w)
            w.write(UInt64(entry.uses))
        }
        writer.writeBlock(free)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        entries = try reader.readList { r throws(DecodeError) in
            guard try r.readBool() else { return nil }
            let nextHop = try NextHop(from: &r)
            return Entry(nextHop: nextHop, uses: Int(clamping: try r.read(UInt64.self)))
        }
        free = try reader.readBlock(of: UInt32.self)
        for number in free where Int(number) >= entries.count || entries[Int(number)] != nil {
            throw DecodeError("next hop table", at: reader.position, .badValue)
        }
        for (number, entry) in entries.enumerated() {
            if let entry { numbers[entry.nextHop] = UInt32(number) }
        }
    }

    /// Whether a restored route may hold this number.
    func isPresent(_ number: UInt32) -> Bool { Int(number) < entries.count && entries[Int(number)] != nil }
}
