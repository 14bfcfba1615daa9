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
        Self.writeCold(configuration, to: &writer)
        Self.writeCold(devices, to: &writer)
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
        configuration = try Self.readCold(OSPFConfiguration?.self, from: &reader)
        devices = try Self.readCold([InterfaceConfiguration].self, from: &reader)
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

    private static func writeCold(_ value: some Encodable, to writer: inout SnapshotWriter) {
        // Our own plain values; the encoder refuses hashed collections and floating point only.
        writer.writeBlock((try? BinaryEncoder().encode(value)) ?? [])
    }

    private static func readCold<T: Decodable>(_: T.Type, from reader: inout SnapshotReader) throws(DecodeError) -> T {
        let octets = try reader.readBlock(of: UInt8.self)
        do { return try BinaryDecoder().decode(T.self, from: octets) } catch {
            throw DecodeError("OSPF configuration", at: reader.position, .badValue)
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
            digest.mix(UInt64(interface.id.value) << 16 | UInt64(interface.state.rawValue) << 8 | (interface.isUp ? 1 : 0))
            digest.mix(UInt64(interface.dr) << 32 | UInt64(interface.bdr))
            digest.mix(UInt64(interface.delayedAcknowledgements.count))
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

extension OSPFInterface {
    func write(to writer: inout SnapshotWriter) {
        writer.write(id.value)
        writer.write(isUp)
        writer.write(state.rawValue)
        writer.write(dr)
        writer.write(bdr)
        writer.writeBlock(neighbors.map(\.value))
        writer.writeList(delayedAcknowledgements) { $0.write(to: &$1) }
        writer.write(changed)
    }

    /// Settings and device are those of the configuration in force.
    init(
        from reader: inout SnapshotReader, _ settings: OSPFConfiguration?, _ devices: [InterfaceConfiguration]
    ) throws(DecodeError) {
        let id = InterfaceID(try reader.read())
        guard Int(id.value) < devices.count,
            let configuration = settings?.interfaces.first(where: { $0.name == devices[Int(id.value)].name })
        else { throw DecodeError("OSPF interface", at: reader.position, .badValue) }
        self.init(id: id, configuration: configuration, device: devices[Int(id.value)])
        isUp = try reader.readBool()
        guard let state = OSPFInterfaceState(rawValue: try reader.read()) else {
            throw DecodeError("OSPF interface state", at: reader.position, .badValue)
        }
        self.state = state
        dr = try reader.read()
        bdr = try reader.read()
        neighbors = try reader.readBlock(of: UInt32.self).map { NeighborIndex($0) }
        delayedAcknowledgements = try reader.readList { r throws(DecodeError) in try LSAHeader(from: &r) }
        changed = try reader.readInstant()
    }
}

extension OSPFNeighbor {
    func mix(into digest: inout StateDigest) {
        digest.mix(UInt64(routerID) << 32 | UInt64(interface.value) << 8 | UInt64(state.rawValue))
        digest.mix(UInt64(dr) << 32 | UInt64(bdr))
        digest.mix(UInt64(ddSequence) << 32 | UInt64(priority) << 8 | (isMaster ? 1 : 0) | (hasMore ? 2 : 0))
        digest.mix(UInt64(summaryNext) << 32 | UInt64(options))
        digest.mix(UInt64(bitPattern: deadDeadline.nanoseconds))
        digest.mix(UInt64(bitPattern: graceDeadline?.nanoseconds ?? -1))
        requests.mix(into: &digest)
        digest.mix(retransmissions.digest.value)
        for sequence in sequences { digest.mix(sequence) }
    }

    func write(to writer: inout SnapshotWriter) {
        writer.write(interface.value)
        writer.write(routerID)
        address.write(to: &writer)
        writer.write(interfaceNumber)
        writer.write(state.rawValue)
        writer.write(priority)
        writer.write(options)
        writer.write(dr)
        writer.write(bdr)
        writer.write(deadDeadline)
        writer.write(isMaster)
        writer.write(ddSequence)
        writer.write(lastReceived != nil)
        if let lastReceived {
            writer.write(lastReceived.flags)
            writer.write(lastReceived.options)
            writer.write(lastReceived.sequence)
        }
        writer.writeBlock(lastDescription)
        writer.write(hasMore)
        writer.write(summaryNext)
        writer.write(summaryEnd)
        requests.write(to: &writer)
        retransmissions.write(to: &writer)
        writer.write(graceDeadline)
        writer.write(isBFDWanted)
        writer.write(isBFDUp)
        writer.writeBlock(sequences)
        writer.write(changed)
        writer.write(lastReason)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        let interface = InterfaceID(try reader.read())
        let routerID: UInt32 = try reader.read()
        self.init(interface: interface, routerID: routerID, address: try IPAddress(from: &reader))
        interfaceNumber = try reader.read()
        guard let state = OSPFNeighborState(rawValue: try reader.read()) else {
            throw DecodeError("OSPF neighbor state", at: reader.position, .badValue)
        }
        self.state = state
        priority = try reader.read()
        options = try reader.read()
        dr = try reader.read()
        bdr = try reader.read()
        deadDeadline = try reader.readInstant()
        isMaster = try reader.readBool()
        ddSequence = try reader.read()
        if try reader.readBool() {
            let flags: UInt8 = try reader.read()
            let options: UInt32 = try reader.read()
            lastReceived = DatabaseDescriptionMark(flags: flags, options: options, sequence: try reader.read())
        }
        lastDescription = try reader.readBlock(of: UInt8.self)
        hasMore = try reader.readBool()
        summaryNext = try reader.read()
        summaryEnd = try reader.read()
        requests = try RequestList(from: &reader)
        retransmissions = try RetransmissionList(from: &reader)
        graceDeadline = try reader.readOptionalInstant()
        isBFDWanted = try reader.readBool()
        isBFDUp = try reader.readBool()
        sequences = try reader.readBlock(of: UInt64.self)
        guard sequences.count == 6 else { throw DecodeError("OSPF neighbor", at: reader.position, .badValue) }
        changed = try reader.readInstant()
        lastReason = try reader.readString()
    }
}
