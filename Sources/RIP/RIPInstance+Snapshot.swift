import Machine
import Records
import Routing
import Wire

/// Everything a neighbour would notice if it were lost.
extension RIPInstance {
    /// The form of what follows. A change of it is a number more here.
    public static let section = SnapshotSection(11, "rip", schemas: 1...1)

    public var digest: StateDigest {
        var result = table.digest
        result.mix(random.state)
        result.mix(UInt64(sequence) << 2 | (isTableLimitReported ? 1 : 0) | (isForeignLimitReported ? 2 : 0))
        result.mix(UInt64(bitPattern: triggeredNotBefore.nanoseconds))
        result.mix(UInt64(bitPattern: timers.next?.nanoseconds ?? -1))
        result.mix(UInt64(changed.count))
        for table in pending {
            let place = UInt64(table.reply.interface.value) << 32 | UInt64(table.next)
            result.mix(place << 1 | (table.isRegular ? 1 : 0))
        }
        result.mix(configuration == nil ? 0 : UInt64(version.rawValue))
        for interface in interfaces { interface.mix(into: &result) }
        for (index, neighbor) in neighbors.enumerated() {
            guard let neighbor else { continue }
            result.mix(UInt64(index))
            neighbor.mix(into: &result)
        }
        result.mix(fatal.digest)
        return result
    }

    public func write(to writer: inout SnapshotWriter) {
        writer.write(configuration != nil)
        if let configuration { writer.writeCold(configuration) }
        writer.write(random.state)
        writer.write(sequence)
        writer.write(triggeredNotBefore)
        writer.write(isTableLimitReported)
        writer.write(isForeignLimitReported)
        writer.write(redistributedDefault != nil)
        redistributedDefault?.write(to: &writer)
        writer.writeList(interfaces) { $0.write(to: &$1) }
        writer.writeList(neighbors) { neighbor, w in
            w.write(neighbor != nil)
            neighbor?.write(to: &w)
        }
        table.write(to: &writer)
        writer.writeBlock(changed)
        writer.writeList(pending) { $0.write(to: &$1) }
        timers.write(to: &writer) { $0.write(to: &$1) }
        fatal.write(to: &writer)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(seed: 0)
        if try reader.readBool() { configuration = try reader.readCold(RIPConfiguration.self) }
        random.state = try reader.read()
        sequence = try reader.read()
        triggeredNotBefore = try reader.readInstant()
        isTableLimitReported = try reader.readBool()
        isForeignLimitReported = try reader.readBool()
        if try reader.readBool() { redistributedDefault = try ForeignRoute(from: &reader) }
        let version = configuration?.version ?? .v2
        interfaces = try reader.readList { r throws(DecodeError) in
            var interface = try RIPInterface(from: &r)
            interface.derive(version)
            return interface
        }
        neighbors = try reader.readList { r throws(DecodeError) -> RIPNeighbor? in
            try r.readBool() ? try RIPNeighbor(from: &r) : nil
        }
        let refused = DecodeError("RIP instance", at: reader.position, .badValue)
        guard interfaces.count <= Int(UInt16.max) else { throw refused }
        for neighbor in neighbors where neighbor.map({ Int($0.interface.value) >= interfaces.count }) ?? false {
            throw refused
        }
        table = try RouteTable(from: &reader)
        guard table.pathsHold({ neighbor($0) != nil }) else { throw refused }
        changed = try reader.readBlock(of: UInt32.self)
        for number in changed where Int(number) >= table.capacity { throw refused }
        pending = try reader.readList { r throws(DecodeError) in try PendingTable(from: &r) }
        // Regular ones stand before all others.
        let regularCount = pending.prefix { $0.isRegular }.count
        guard pending.count - regularCount <= Self.pendingMaximum, !pending.dropFirst(regularCount).contains(where: \.isRegular)
        else { throw refused }
        timers = try TimerTable(from: &reader) { r throws(DecodeError) in try RIPTimer(from: &r) }
        fatal = try FatalMemory(from: &reader)
        orderNeighbors()
    }
}

extension RIPTimer {
    func write(to writer: inout SnapshotWriter) {
        switch self {
        case .regular(let id):
            writer.write(UInt8(0))
            writer.write(id.value)
        case .triggered:
            writer.write(UInt8(1))
        case .path(let number, let neighbor):
            writer.write(UInt8(2))
            writer.write(number)
            writer.write(neighbor)
        case .garbage(let number):
            writer.write(UInt8(3))
            writer.write(number)
        case .neighbor(let index):
            writer.write(UInt8(4))
            writer.write(index)
        case .pending:
            writer.write(UInt8(5))
        }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        switch try reader.read(UInt8.self) {
        case 0: self = .regular(InterfaceID(try reader.read()))
        case 1: self = .triggered
        case 2:
            let number: UInt32 = try reader.read()
            self = .path(number, neighbor: try reader.read())
        case 3: self = .garbage(try reader.read())
        case 4: self = .neighbor(try reader.read())
        case 5: self = .pending
        default: throw DecodeError("RIP timer", at: reader.position, .badValue)
        }
    }
}
