import Machine
import Records
import Routing
import SPF
import Wire

/// The bulk update: everything that `digest` stands for, and the timers.
extension ISISInstance: Snapshotting {
    /// The form of what follows. A change of it is a number more here.
    public static let section = SnapshotSection(10, "isis", schemas: 1...1)

    public func write(to writer: inout SnapshotWriter) {
        writer.write(configuration != nil)
        if let configuration { writer.writeCold(configuration) }
        writer.writeCold(interfaces)
        writer.writeBlock(downInterfaces.map { $0 ? UInt8(1) : 0 })
        writer.write(UInt64(circuits.count))
        for circuit in circuits {
            writer.write(circuit != nil)
            circuit?.write(to: &writer)
        }
        for database in databases { database.write(to: &writer) }
        for originator in originators { originator.write(to: &writer) }
        backoff.write(to: &writer)
        calculation.write(to: &writer)
        timers.write(to: &writer) { timer, w in timer.write(to: &w) }
        writer.write(random.state)
        writer.write(overloadReasons)
        fatal.write(to: &writer)
        writer.writeList(ignored) { $0.write(to: &$1) }
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(seed: 0)
        if try reader.readBool() { configuration = try reader.readCold(ISISConfiguration.self) }
        interfaces = try reader.readCold()
        downInterfaces = try reader.readBlock(of: UInt8.self).map { $0 != 0 }
        let count = try reader.readCount()
        guard count <= interfaces.count else { throw DecodeError("circuits", at: reader.position, .badLength) }
        for number in 0..<count {
            guard try reader.readBool() else {
                circuits.append(nil)
                continue
            }
            guard let configuration, let wanted = plannedCircuit(number, configuration) else {
                throw DecodeError("circuit", at: reader.position, .badValue)
            }
            var circuit = Circuit(
                interface: InterfaceID(UInt16(number)), configuration: wanted.configuration, levels: wanted.levels,
                circuitID: 0, on: interfaces[number])
            try circuit.visit(&reader)
            circuits.append(circuit)
        }
        databases = [try LSPDatabase(from: &reader), try LSPDatabase(from: &reader)]
        guard databases[0].level == .one, databases[1].level == .two else {
            throw DecodeError("databases", at: reader.position, .badValue)
        }
        originators = [try Originator(from: &reader), try Originator(from: &reader)]
        backoff = try SPFBackOff(from: &reader)
        calculation = try Calculation(from: &reader)
        timers = try TimerTable(from: &reader) { r throws(DecodeError) in try ISISTimer(from: &r) }
        random = RandomNumbers(seed: try reader.read())
        overloadReasons = try reader.read()
        fatal = try FatalMemory(from: &reader)
        ignored = try reader.readList { r throws(DecodeError) in try IgnoredLSP(from: &r) }
        guard ignored.count <= IgnoredLSP.listMaximum else {
            throw DecodeError("ignored LSPs", at: reader.position, .badLength)
        }
        restoreCalculation()
    }

    /// The decision process keeps what it published; the rest it makes again from what is restored above.
    private mutating func restoreCalculation() {
        calculation.routes.configure(configuration)
        for level in Level.allCases {
            calculation.routes.setLocal(level, links: localLinks(level), adjacencies: localAdjacencies(level))
        }
        calculation.routes.setDiscards(Self.union(calculation.summaries))
        for level in Level.allCases {
            let database = databases[level.index]
            for position in 0..<database.count {
                let slot = database.slot(at: position)
                let entry = database.entries[slot]
                if entry.isPurged || entry.isRequested { continue }
                calculation.routes.update(level, entry.id, pdu: database.bytes(slot))
            }
        }
        calculation.routes.finishRestore()
    }
}

extension Calculation: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        for level in fragments { writer.writeList(level) { fragments, w in fragments.write(to: &w) } }
        redistributed.write(to: &writer)
        for level in summaries { writer.writeList(level) { prefix, w in w.write(prefix.description) } }
        routes.write(to: &writer)
    }
    init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(seed: 0)
        for level in 0..<2 {
            fragments[level] = try reader.readList { r throws(DecodeError) in try OwnLSPFragments(from: &r) }
        }
        redistributed = try RedistributedRoutes(from: &reader)
        for level in 0..<2 {
            summaries[level] = try reader.readList { r throws(DecodeError) in
                guard let prefix = IPPrefix(try r.readString()) else {
                    throw DecodeError("summary", at: r.position, .badValue)
                }
                return prefix
            }
        }
        routes = try RouteCalculation(from: &reader)
    }
}
