import Machine
import Records
import Wire

// The bytes of a record on the replication channel.
//
// ```
//  0      1                9
//  +------+----------------+----------------------- - -
//  | kind |  time (ns)     | body, by kind
//  +------+----------------+----------------------- - -
// ```
//
// Network order throughout. Indices are not sent with each record: a batch is contiguous and names its first. Every
// length is checked against a bound before anything is reserved, since the channel's peer may be anybody who got that far.

/// Of the records. Two controllers agree on the older schema that both speak (DESIGN §6).
public enum RecordSchema {
    /// The schema that this release writes.
    public static let current: UInt16 = 4
    /// The oldest that it still reads and writes.
    public static let oldest: UInt16 = 4
    public static let part = SchemaMap.Part("records", oldest: oldest, newest: current)

    /// Whether a record can be shipped to a twin with whom this schema was agreed. The kinds of a schema are fixed: who adds one
    /// begins a new schema, so that a twin that does not know the kind is refused at the handshake and never meets it.
    static func has(_ kind: Kind, in schema: UInt16) -> Bool { kind.since <= schema }

    /// Bounds of what a record may hold, in octets.
    public static let receivedOctetsMaximum = 65_536
    public static let configurationOctetsMaximum = 8 << 20
    public static let textOctetsMaximum = 4096
    public static let keyOctetsMaximum = 80

    enum Kind: UInt8 {
        case time = 0
        case tcpAccepted = 1
        case tcpConnected = 2
        case tcpReceived = 3
        case tcpAcknowledged = 4
        case tcpPeerFinished = 5
        case tcpClosed = 6
        case interfaceState = 7
        case configure = 8
        case command = 9
        case mastership = 10
        case quarantined = 11
        case packetReceived = 12
        case bfd = 13
        case redundancy = 14
        case memoryExhausted = 15
        case neighbor = 16

        /// The schema that brought it.
        var since: UInt16 {
            switch self {
            case .time, .tcpAccepted, .tcpConnected, .tcpReceived, .tcpAcknowledged, .tcpPeerFinished, .tcpClosed,
                .interfaceState, .configure, .command, .mastership, .quarantined, .packetReceived, .bfd, .redundancy,
                .memoryExhausted:
                2
            case .neighbor: 3
            }
        }
    }
}

extension ByteWriter {
    /// Appends a record without its index.
    public mutating func record(_ record: Record) {
        func head(_ kind: RecordSchema.Kind, _ writer: inout ByteWriter) {
            writer.u8(kind.rawValue)
            writer.u64(UInt64(bitPattern: record.time.nanoseconds))
        }
        switch record.body {
        case .time:
            head(.time, &self)
        case .tcpAccepted(let connection, let identity):
            head(.tcpAccepted, &self)
            u32(connection.value)
            connectionIdentity(identity)
        case .tcpConnected(let connection, let identity):
            head(.tcpConnected, &self)
            u32(connection.value)
            connectionIdentity(identity)
        case .tcpReceived(let connection, let octets, let peerTimestamp):
            head(.tcpReceived, &self)
            u32(connection.value)
            u32(peerTimestamp)
            u32(UInt32(octets.count))
            append(octets)
        case .tcpAcknowledged(let connection, let offset):
            head(.tcpAcknowledged, &self)
            u32(connection.value)
            u64(offset)
        case .tcpPeerFinished(let connection):
            head(.tcpPeerFinished, &self)
            u32(connection.value)
        case .tcpClosed(let connection, let end):
            head(.tcpClosed, &self)
            u32(connection.value)
            u8(end.rawValue)
        case .interfaceState(let interface, let isUp):
            head(.interfaceState, &self)
            u16(interface.value)
            u8(isUp ? 1 : 0)
        case .configure(let revision, let octets):
            head(.configure, &self)
            u64(revision)
            u32(UInt32(octets.count))
            append(octets)
        case .command(let command):
            head(.command, &self)
            engineCommand(command)
        case .mastership(let controller, let epoch, let isFresh):
            head(.mastership, &self)
            u8(controller.rawValue)
            u64(epoch.value)
            u8(isFresh ? 1 : 0)
        case .redundancy(let isRedundant):
            head(.redundancy, &self)
            u8(isRedundant ? 1 : 0)
        case .neighbor(let binding):
            head(.neighbor, &self)
            u16(binding.interface.value)
            mac(binding.mac)
            address(binding.address)
        case .quarantined(let poison):
            head(.quarantined, &self)
            switch poison {
            case .other: u8(0)
            case .connection(let connection, let octets, let message):
                u8(1)
                u32(connection.value)
                u16(message)
                u32(UInt32(octets.count))
                append(octets)
            case .packet(let packet, let message):
                u8(message == 0 ? 2 : 3)
                if message != 0 { u16(message) }
                receivedPacket(packet)
            case .session(let discriminator):
                u8(4)
                u32(discriminator)
            case .timers(let number, let body):
                u8(5)
                u8(number)
                // Its time is that of the whole.
                self.record(Record(index: record.index, time: .zero, body: body))
            }
        case .packetReceived(let packet):
            head(.packetReceived, &self)
            receivedPacket(packet)
        case .bfd(let report):
            head(.bfd, &self)
            u32(report.discriminator)
            bfdStatus(report.status)
        case .memoryExhausted:
            head(.memoryExhausted, &self)
        }
    }

    mutating func bfdStatus(_ status: BFDStatus) {
        u8(status.state.rawValue)
        u8(status.diagnostic.rawValue)
        u32(status.remoteDiscriminator)
        u8(status.remoteState.rawValue)
        u8(status.remoteDiagnostic.rawValue)
        u32(status.remoteMinRx)
        u32(status.remoteDesiredMinTx)
        u8(status.remoteMultiplier)
        u8(
            (status.remoteDemand ? 1 : 0) | (status.isPolled ? 2 : 0) | (status.receivedSequence != nil ? 4 : 0)
                | (status.remoteIsIndependent ? 8 : 0))
        u32(status.transmitInUse)
        u32(status.receiveInUse)
        u32(status.sequence.base)
        u64(UInt64(bitPattern: status.sequence.since.nanoseconds))
        u64(UInt64(bitPattern: status.sequence.quantum))
        u32(status.receivedSequence ?? 0)
    }

    mutating func engineCommand(_ command: EngineCommand) {
        switch command {
        case .clearNeighbor(let address, let reason):
            u8(0)
            text(address)
            text(reason)
        case .softClearIn(let address):
            u8(1)
            text(address)
        case .softClearOut(let address):
            u8(2)
            text(address)
        case .testHang: u8(3)
        case .testTrap: u8(4)
        case .clearAdjacency(let packetProtocol, let neighbor):
            u8(5)
            u32(packetProtocol.rawValue)
            text(neighbor)
        case .clearSession(let neighbor):
            u8(6)
            text(neighbor)
        case .clearCache(let address):
            u8(7)
            text(address)
        }
    }

    mutating func receivedPacket(_ packet: ReceivedPacket) {
        u16(packet.interface.value)
        u32(packet.packetProtocol.rawValue)
        packetAddress(packet.source)
        packetAddress(packet.destination)
        u16(packet.sourcePort)
        u8(packet.hopLimit)
        u32(UInt32(packet.bytes.count))
        append(packet.bytes)
    }

    mutating func packetAddress(_ address: PacketAddress) {
        switch address {
        case .ip(let address): self.address(address)
        case .station(let address):
            u8(48)
            mac(address)
        }
    }

    /// A 16-bit length and UTF-8, cut at the bound.
    mutating func text(_ string: String) {
        let octets = Array(string.utf8.prefix(RecordSchema.textOctetsMaximum))
        u16(UInt16(octets.count))
        append(octets)
    }

    mutating func address(_ address: IPAddress) {
        switch address {
        case .v4(let address):
            u8(4)
            ipv4(address)
        case .v6(let address):
            u8(6)
            ipv6(address)
        }
    }

    mutating func connectionIdentity(_ identity: ConnectionIdentity) {
        u16(identity.tuple.interface.value)
        address(identity.tuple.local)
        u16(identity.tuple.localPort)
        address(identity.tuple.remote)
        u16(identity.tuple.remotePort)
        u32(identity.initialSendSequence)
        u32(identity.initialReceiveSequence)
        u16(identity.peerMaximumSegmentSize)
        u8(identity.peerWindowShift ?? 255)
        u8(identity.windowShift)
        u8((identity.selectiveAcknowledgment ? 1 : 0) | (identity.timestamps ? 2 : 0))
        u32(identity.timestampOffset)
        let options = identity.options
        u8(UInt8(truncatingIfNeeded: min(options.md5Key.count, RecordSchema.keyOctetsMaximum)))
        append(options.md5Key.prefix(RecordSchema.keyOctetsMaximum))
        u8(options.hopLimit)
        u8(options.minimumHopLimit)
        u8(options.dscp)
        u16(options.maximumSegmentSize)
    }
}

extension ByteReader {
    /// Reads what `ByteWriter.record` wrote and gives it this index.
    @_lifetime(self: copy self)
    /// - Parameter schema: what was agreed with whoever wrote it.
    public mutating func record(index: LogIndex, schema: UInt16 = RecordSchema.current) throws(DecodeError) -> Record {
        let at = offset
        guard let kind = RecordSchema.Kind(rawValue: try u8("record kind")), RecordSchema.has(kind, in: schema) else {
            throw DecodeError("record kind", at: at, .unsupported)
        }
        let time = Instant(nanoseconds: Int64(bitPattern: try u64("record time")))
        guard time >= .zero else { throw DecodeError("record time", at: at + 1, .badValue) }
        return Record(index: index, time: time, body: try recordBody(kind, schema))
    }

    @_lifetime(self: copy self)
    mutating func recordBody(_ kind: RecordSchema.Kind, _ schema: UInt16) throws(DecodeError) -> RecordBody {
        switch kind {
        case .time:
            return .time
        case .tcpAccepted:
            let connection = try connectionID()
            return .tcpAccepted(connection, try connectionIdentity())
        case .tcpConnected:
            let connection = try connectionID()
            return .tcpConnected(connection, try connectionIdentity())
        case .tcpReceived:
            let connection = try connectionID()
            let peerTimestamp = try u32("peer timestamp")
            let count = try length(RecordSchema.receivedOctetsMaximum, "received octets")
            return .tcpReceived(connection, bytes: try array(count, "received octets"), peerTimestamp: peerTimestamp)
        case .tcpAcknowledged:
            let connection = try connectionID()
            return .tcpAcknowledged(connection, offset: try u64("acknowledged offset"))
        case .tcpPeerFinished:
            return .tcpPeerFinished(try connectionID())
        case .tcpClosed:
            let connection = try connectionID()
            let at = offset
            guard let end = ConnectionEnd(rawValue: try u8("connection end")) else {
                throw DecodeError("connection end", at: at, .badValue)
            }
            return .tcpClosed(connection, end)
        case .interfaceState:
            let interface = InterfaceID(try u16("interface"))
            return .interfaceState(interface, isUp: try flag("interface state"))
        case .configure:
            let revision = try u64("revision")
            let count = try length(RecordSchema.configurationOctetsMaximum, "configuration")
            return .configure(revision: revision, try array(count, "configuration"))
        case .command:
            return .command(try engineCommand())
        case .mastership:
            let controller = try controllerID()
            let epoch = Epoch(try u64("epoch"))
            return .mastership(controller, epoch, isFresh: try flag("fresh start"))
        case .redundancy:
            return .redundancy(try flag("redundancy"))
        case .neighbor:
            let interface = InterfaceID(try u16("interface"))
            let at = offset
            let mac = try mac("a neighbour's MAC address")
            guard !mac.isGroup else { throw DecodeError("a neighbour's MAC address", at: at, .badValue) }
            return .neighbor(NeighborBinding(interface: interface, address: try address("a neighbour's address"), mac: mac))
        case .quarantined:
            let at = offset
            switch try u8("quarantined input") {
            case 0: return .quarantined(.other)
            case 1:
                let connection = try connectionID()
                let message = try u16("fatal message")
                let count = try length(RecordSchema.receivedOctetsMaximum, "fatal octets")
                return .quarantined(.connection(connection, octets: try array(count, "fatal octets"), message: message))
            case 2: return .quarantined(.packet(try receivedPacket()))
            case 3:
                let message = try u16("fatal message")
                guard message != 0 else { throw DecodeError("fatal message", at: offset - 2, .badValue) }
                return .quarantined(.packet(try receivedPacket(), message: message))
            case 4: return .quarantined(.session(try u32("BFD discriminator")))
            case 5:
                let number = try u8("protocol")
                // No fault is within another, or octets of anybody could nest without end.
                var ahead = self
                guard try ahead.u8("record kind") != RecordSchema.Kind.quarantined.rawValue else {
                    throw DecodeError("quarantined input", at: offset, .badValue)
                }
                let inner = try record(index: .zero, schema: schema)
                guard inner.time == .zero else { throw DecodeError("record time", at: at, .badValue) }
                return .quarantined(.timers(number, inner.body))
            default: throw DecodeError("quarantined input", at: at, .badValue)
            }
        case .packetReceived:
            return .packetReceived(try receivedPacket())
        case .bfd:
            let discriminator = try u32("BFD discriminator")
            return .bfd(BFDReport(discriminator: discriminator, status: try bfdStatus()))
        case .memoryExhausted:
            return .memoryExhausted
        }
    }

    @_lifetime(self: copy self)
    mutating func bfdState() throws(DecodeError) -> BFDState {
        let at = offset
        guard let state = BFDState(rawValue: try u8("BFD state")) else { throw DecodeError("BFD state", at: at, .badValue) }
        return state
    }

    @_lifetime(self: copy self)
    mutating func bfdDiagnostic() throws(DecodeError) -> BFDDiagnostic {
        let at = offset
        let value = try u8("BFD diagnostic")
        guard value < 32 else { throw DecodeError("BFD diagnostic", at: at, .badValue) }
        return BFDDiagnostic(rawValue: value)
    }

    @_lifetime(self: copy self)
    mutating func bfdStatus() throws(DecodeError) -> BFDStatus {
        var status = BFDStatus()
        status.state = try bfdState()
        status.diagnostic = try bfdDiagnostic()
        status.remoteDiscriminator = try u32("BFD remote discriminator")
        status.remoteState = try bfdState()
        status.remoteDiagnostic = try bfdDiagnostic()
        status.remoteMinRx = try u32("BFD remote receive interval")
        status.remoteDesiredMinTx = try u32("BFD remote transmit interval")
        status.remoteMultiplier = try u8("BFD remote multiplier")
        let flags = try u8("BFD flags")
        guard flags < 16 else { throw DecodeError("BFD flags", at: offset - 1, .badValue) }
        status.remoteDemand = flags & 1 != 0
        status.isPolled = flags & 2 != 0
        status.remoteIsIndependent = flags & 8 != 0
        status.transmitInUse = try u32("BFD transmit interval")
        status.receiveInUse = try u32("BFD receive interval")
        status.sequence.base = try u32("BFD sequence base")
        status.sequence.since = Instant(nanoseconds: Int64(bitPattern: try u64("BFD sequence time")))
        status.sequence.quantum = Int64(bitPattern: try u64("BFD sequence quantum"))
        guard status.sequence.since >= .zero, status.sequence.quantum > 0 else {
            throw DecodeError("BFD sequence clock", at: offset - 16, .badValue)
        }
        let received = try u32("BFD received sequence")
        guard flags & 4 != 0 || received == 0 else { throw DecodeError("BFD received sequence", at: offset - 4, .badValue) }
        status.receivedSequence = flags & 4 != 0 ? received : nil
        return status
    }

    @_lifetime(self: copy self)
    mutating func connectionID() throws(DecodeError) -> ConnectionID { ConnectionID(try u32("connection")) }

    @_lifetime(self: copy self)
    mutating func controllerID() throws(DecodeError) -> ControllerID {
        let at = offset
        guard let id = ControllerID(rawValue: try u8("controller")) else {
            throw DecodeError("controller", at: at, .badValue)
        }
        return id
    }

    @_lifetime(self: copy self)
    mutating func flag(_ field: StaticString) throws(DecodeError) -> Bool {
        let at = offset
        let value = try u8(field)
        guard value < 2 else { throw DecodeError(field, at: at, .badValue) }
        return value == 1
    }

    /// A 32-bit length that is at most `bound`.
    @_lifetime(self: copy self)
    mutating func length(_ bound: Int, _ field: StaticString) throws(DecodeError) -> Int {
        let at = offset
        let count = Int(try u32(field))
        guard count <= bound else { throw DecodeError(field, at: at, .badLength) }
        return count
    }

    @_lifetime(self: copy self)
    mutating func text(_ field: StaticString) throws(DecodeError) -> String {
        let at = offset
        let count = Int(try u16(field))
        guard count <= RecordSchema.textOctetsMaximum else { throw DecodeError(field, at: at, .badLength) }
        return String(decoding: try array(count, field), as: UTF8.self)
    }

    @_lifetime(self: copy self)
    mutating func address(_ field: StaticString) throws(DecodeError) -> IPAddress {
        let at = offset
        switch try u8(field) {
        case 4: return .v4(try ipv4(field))
        case 6: return .v6(try ipv6(field))
        default: throw DecodeError(field, at: at, .badValue)
        }
    }

    @_lifetime(self: copy self)
    mutating func packetProtocol() throws(DecodeError) -> PacketProtocol {
        let at = offset
        guard let number = PacketProtocol(rawValue: try u32("packet protocol")) else {
            throw DecodeError("packet protocol", at: at, .unsupported)
        }
        return number
    }

    @_lifetime(self: copy self)
    mutating func packetAddress(_ field: StaticString) throws(DecodeError) -> PacketAddress {
        let at = offset
        switch try u8(field) {
        case 4: return .ip(.v4(try ipv4(field)))
        case 6: return .ip(.v6(try ipv6(field)))
        case 48: return .station(try mac(field))
        default: throw DecodeError(field, at: at, .badValue)
        }
    }

    @_lifetime(self: copy self)
    mutating func receivedPacket() throws(DecodeError) -> ReceivedPacket {
        let interface = InterfaceID(try u16("interface"))
        let packetProtocol = try packetProtocol()
        let source = try packetAddress("packet source")
        let destination = try packetAddress("packet destination")
        let port = try u16("source port")
        let hopLimit = try u8("hop limit")
        let count = try length(RecordLimits.packetOctets, "packet")
        return ReceivedPacket(
            interface: interface, packetProtocol: packetProtocol, source: source, destination: destination,
            sourcePort: port, hopLimit: hopLimit, bytes: try array(count, "packet"))
    }

    @_lifetime(self: copy self)
    mutating func engineCommand() throws(DecodeError) -> EngineCommand {
        let at = offset
        switch try u8("command") {
        case 0:
            let address = try text("neighbor")
            return .clearNeighbor(address: address, reason: try text("reason"))
        case 1: return .softClearIn(address: try text("neighbor"))
        case 2: return .softClearOut(address: try text("neighbor"))
        case 3: return .testHang
        case 4: return .testTrap
        case 5:
            let packetProtocol = try packetProtocol()
            return .clearAdjacency(packetProtocol, neighbor: try text("neighbor"))
        case 6: return .clearSession(neighbor: try text("neighbor"))
        case 7: return .clearCache(address: try text("cache"))
        default: throw DecodeError("command", at: at, .unsupported)
        }
    }

    @_lifetime(self: copy self)
    mutating func connectionIdentity() throws(DecodeError) -> ConnectionIdentity {
        let interface = InterfaceID(try u16("interface"))
        let local = try address("local address")
        let localPort = try u16("local port")
        let remote = try address("remote address")
        let remotePort = try u16("remote port")
        guard local.family == remote.family else { throw DecodeError("remote address", at: offset, .badValue) }
        let initialSendSequence = try u32("ISS")
        let initialReceiveSequence = try u32("IRS")
        let peerMaximumSegmentSize = try u16("peer MSS")
        let peerShift = try u8("peer window shift")
        let shift = try u8("window shift")
        // RFC 7323 §2.3: no shift above 14.
        guard peerShift == 255 || peerShift <= 14, shift <= 14 else {
            throw DecodeError("window shift", at: offset - 1, .badValue)
        }
        let flags = try u8("identity flags")
        guard flags < 4 else { throw DecodeError("identity flags", at: offset - 1, .badValue) }
        let timestampOffset = try u32("timestamp offset")
        var options = TransportOptions()
        let keyLength = Int(try u8("key length"))
        guard keyLength <= RecordSchema.keyOctetsMaximum else {
            throw DecodeError("key length", at: offset - 1, .badLength)
        }
        options.md5Key = try array(keyLength, "key")
        options.hopLimit = try u8("hop limit")
        options.minimumHopLimit = try u8("minimum hop limit")
        options.dscp = try u8("DSCP")
        options.maximumSegmentSize = try u16("MSS")
        return ConnectionIdentity(
            tuple: ConnectionTuple(
                interface: interface, local: local, localPort: localPort, remote: remote, remotePort: remotePort),
            initialSendSequence: initialSendSequence, initialReceiveSequence: initialReceiveSequence,
            peerMaximumSegmentSize: peerMaximumSegmentSize, peerWindowShift: peerShift == 255 ? nil : peerShift,
            windowShift: shift, selectiveAcknowledgment: flags & 1 != 0, timestamps: flags & 2 != 0,
            timestampOffset: timestampOffset, options: options)
    }
}

extension Record {
    /// What the record costs in a queue, in octets: its variable part and a fixed amount for the rest.
    public var cost: Int {
        switch body {
        case .tcpReceived(_, let octets, _): 64 + octets.count
        case .configure(_, let octets): 64 + octets.count
        case .packetReceived(let packet), .quarantined(.packet(let packet, _)): 96 + packet.bytes.count
        case .quarantined(.connection(_, let octets, _)): 64 + octets.count
        case .quarantined(.timers(_, let body)): Record(index: index, time: time, body: body).cost + 64
        case .bfd: 128
        default: 64
        }
    }

    /// Whose fault this record is, if it poisons the engine.
    public var poison: Poison { poison(message: 0) }
    /// - Parameter message: which one in it, from 1; 0 if that is not known.
    public func poison(message: UInt16) -> Poison {
        if message >= Poison.firstTimersMessage {
            let number = UInt8(truncatingIfNeeded: message)
            // What stood in the place of another record has no more than its time to bring.
            if case .quarantined = body.carried { return .timers(number, .time) }
            return .timers(number, body.carried)
        }
        return switch body {
        case .tcpReceived(let connection, let octets, _): .connection(connection, octets: octets, message: message)
        case .tcpAccepted(let connection, _), .tcpConnected(let connection, _), .tcpAcknowledged(let connection, _),
            .tcpPeerFinished(let connection), .tcpClosed(let connection, _):
            .connection(connection)
        case .packetReceived(let packet): .packet(packet, message: message)
        case .quarantined(let poison): poison
        case .bfd(let report): .session(report.discriminator)
        case .time, .interfaceState, .configure, .command, .mastership, .redundancy, .memoryExhausted, .neighbor: .other
        }
    }
}
