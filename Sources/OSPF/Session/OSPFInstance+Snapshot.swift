import Machine
import Records
import Routing
import SPF
import Wire

extension OSPFInstance: Snapshotting {
    /// The form of what follows. A change of it is a number more here.
    public static let section = SnapshotSection(9, "ospf", schemas: 1...1)

    public func write(to writer: inout SnapshotWriter) {
        writer.write(random.state)
        writer.writeCold(configuration)
        writer.writeCold(devices)
        writer.writeBlock(carrierLost.map(\.value))
        writer.writeList(interfaces) { interface, w in
            w.write(interface != nil)
            interface?.write(to: &w)
        }
        writer.writeList(neighbors) { neighbor, w in
            w.write(neighbor != nil)
            neighbor?.write(to: &w)
        }
        database.write(to: &writer)
        timers.write(to: &writer) { $0.write(to: &$1) }
        writer.write(lastSequence)
        writer.write(started)
        writer.writeBlock(flushing.map(\.raw))
        dirty.write(to: &writer)
        backOff.write(to: &writer)
        writer.write(needsCalculation)
        writeDecision(to: &writer)
        fatal.write(to: &writer)
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init(seed: 0)
        random.state = try reader.read()
        configuration = try reader.readCold()
        devices = try reader.readCold()
        carrierLost = try reader.readBlock(of: UInt16.self).map { InterfaceID($0) }
        let settings = configuration
        let list = devices
        interfaces = try reader.readList { r throws(DecodeError) -> OSPFInterface? in
            guard try r.readBool() else { return nil }
            return try OSPFInterface(from: &r, settings, list)
        }
        neighbors = try reader.readList { r throws(DecodeError) -> OSPFNeighbor? in
            try r.readBool() ? try OSPFNeighbor(from: &r) : nil
        }
        database = try LSDB(from: &reader, version: version)
        timers = try TimerTable(from: &reader) { r throws(DecodeError) in try OSPFTimer(from: &r) }
        lastSequence = try reader.read()
        started = try reader.readInstant()
        flushing = try reader.readBlock(of: UInt32.self).map { LSAHandle($0) }
        dirty = try OriginationWork(from: &reader)
        backOff = try SPFBackOff(from: &reader)
        needsCalculation = try reader.readBool()
        try settle(at: reader.position)
        try readDecision(from: &reader)
        fatal = try FatalMemory(from: &reader)
    }

    /// What the rest of the code takes for granted must hold for any octets; and counts are made again.
    private mutating func settle(at position: Int) throws(DecodeError) {
        let refusal = DecodeError("OSPF state", at: position, .badValue)
        for (i, interface) in interfaces.enumerated() {
            guard let interface else { continue }
            guard Int(interface.id.value) == i else { throw refusal }
            for index in interface.neighbors where neighbor(index)?.interface != interface.id { throw refusal }
        }
        for neighbor in neighbors {
            guard let neighbor else { continue }
            guard interface(neighbor.interface) != nil else { throw refusal }
            for handle in neighbor.retransmissions.handles {
                guard database[handle] != nil else { throw refusal }
                database.retain(handle)
            }
            if neighbor.state == .exchange || neighbor.state == .loading { exchanging += 1 }
        }
        for handle in flushing {
            guard database[handle] != nil, database.beginFlush(handle) else { throw refusal }
        }
    }
}

extension OSPFInstance {
    /// Equal on two controllers at equal log indices. A few words per interface and neighbour; the databases keep their
    /// own current.
    public var digest: StateDigest {
        var digest = StateDigest()
        digest.mix(random.state)
        digest.mix(lastSequence)
        digest.mix(database.digest.value)
        digest.mix(UInt64(flushing.count) << 32 | UInt64(exchanging))
        digest.mix(UInt64(backOff.state.rawValue) << 1 | (needsCalculation ? 1 : 0))
        for interface in interfaces {
            guard let interface else { continue }
            interface.mix(into: &digest)
        }
        for neighbor in neighbors {
            guard let neighbor else { continue }
            neighbor.mix(into: &digest)
        }
        digest.mix(UInt64(bitPattern: timers.next?.nanoseconds ?? -1))
        mixDecision(into: &digest)
        digest.mix(fatal.digest)
        return digest
    }
}

extension OSPFInterface: Fielded {
    static var blank: Self {
        .init(
            id: InterfaceID(0), configuration: OSPFInterfaceConfiguration(name: "", areaID: .any),
            device: InterfaceConfiguration(name: "", virtualMAC: MACAddress(raw: 0), addresses: []))
    }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&id, \.value, InterfaceID.init)
        visitor.derived(configuration)
        visitor.derived(device)
        try visitor.field(&isUp)
        try visitor.field(&state, "OSPF interface state")
        try visitor.field(&dr)
        try visitor.field(&bdr)
        try visitor.block(&neighbors, \.value, NeighborIndex.init)
        try visitor.list(&delayedAcknowledgements)
        visitor.derived(floodQueue)
        try visitor.field(&changed)
        visitor.derived(counters)
    }

    /// Settings and device are those of the configuration in force.
    init(
        from reader: inout SnapshotReader, _ settings: OSPFConfiguration?, _ devices: [InterfaceConfiguration]
    ) throws(DecodeError) {
        try self.init(from: &reader)
        guard Int(id.value) < devices.count,
            let configuration = settings?.interfaces.first(where: { $0.name == devices[Int(id.value)].name })
        else { throw DecodeError("OSPF interface", at: reader.position, .badValue) }
        self.configuration = configuration
        device = devices[Int(id.value)]
    }
}

extension DatabaseDescriptionMark: Fielded {
    static var blank: Self { .init(flags: 0, options: 0, sequence: 0) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&flags)
        try visitor.field(&options)
        try visitor.field(&sequence)
    }
}

extension OSPFNeighbor: Fielded {
    static var blank: Self { .init(interface: InterfaceID(0), routerID: 0, address: .blank) }

    mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&routerID)
        try visitor.field(&address)
        try visitor.field(&interfaceNumber)
        try visitor.field(&state, "OSPF neighbor state")
        try visitor.field(&priority)
        try visitor.field(&options)
        try visitor.field(&dr)
        try visitor.field(&bdr)
        try visitor.field(&deadDeadline)
        try visitor.field(&isMaster)
        try visitor.field(&ddSequence)
        try visitor.field(&lastReceived)
        try visitor.block(&lastDescription)
        try visitor.field(&hasMore)
        try visitor.field(&summaryNext)
        try visitor.field(&summaryEnd)
        try visitor.part(&requests)
        try visitor.part(&retransmissions)
        try visitor.field(&graceDeadline)
        try visitor.field(&isBFDWanted)
        try visitor.field(&isBFDUp)
        try visitor.block(&sequences)
        try visitor.require(sequences.count == 6, "OSPF neighbor")
        try visitor.field(&changed)
        visitor.derived(stateChanges)
        try visitor.field(&lastReason)
    }
}
