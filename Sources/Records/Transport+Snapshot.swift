import Machine
import Wire

extension IPAddress: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        switch self {
        case .v4(let a):
            writer.write(UInt8(4))
            writer.write(a.raw)
        case .v6(let a):
            writer.write(UInt8(6))
            writer.write(a.high)
            writer.write(a.low)
        }
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        switch try reader.read(UInt8.self) {
        case 4: self = .v4(IPv4Address(raw: try reader.read()))
        case 6:
            let high: UInt64 = try reader.read()
            self = .v6(IPv6Address(high: high, low: try reader.read()))
        default: throw DecodeError("address family", at: reader.position, .badValue)
        }
    }
}

extension PacketAddress: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(station != nil)
        switch self {
        case .ip(let address): address.write(to: &writer)
        case .station(let address): writer.write(address.raw)
        }
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self = try reader.readBool() ? .station(MACAddress(raw: try reader.read())) : .ip(try IPAddress(from: &reader))
    }
}

extension PacketSubscription: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(interface.value)
        writer.write(packetProtocol.rawValue)
        writer.writeList(groups) { group, w in group.write(to: &w) }
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let interface = InterfaceID(try reader.read())
        guard let number = PacketProtocol(rawValue: try reader.read()) else {
            throw DecodeError("packet protocol", at: reader.position, .badValue)
        }
        self.init(
            interface: interface, packetProtocol: number,
            groups: try reader.readList { r throws(DecodeError) in try PacketAddress(from: &r) })
    }
}

extension ConnectionTuple: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(interface.value)
        local.write(to: &writer)
        writer.write(localPort)
        remote.write(to: &writer)
        writer.write(remotePort)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let interface = InterfaceID(try reader.read())
        let local = try IPAddress(from: &reader)
        let localPort: UInt16 = try reader.read()
        let remote = try IPAddress(from: &reader)
        self.init(
            interface: interface, local: local, localPort: localPort, remote: remote, remotePort: try reader.read())
    }
}

extension ConnectionOwner: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.write(instance.value)
        writer.write(endpoint.value)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let instance = StreamProtocolID(try reader.read())
        self.init(instance, StreamEndpointID(try reader.read()))
    }
}

extension TransportOptions: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        writer.writeBlock(md5Key)
        writer.write(hopLimit)
        writer.write(minimumHopLimit)
        writer.write(dscp)
        writer.write(maximumSegmentSize)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        self.init()
        md5Key = try reader.readBlock(of: UInt8.self)
        guard md5Key.count <= 80 else { throw DecodeError("MD5 key", at: reader.position, .badLength) }
        hopLimit = try reader.read()
        minimumHopLimit = try reader.read()
        dscp = try reader.read()
        maximumSegmentSize = try reader.read()
    }
}

extension ConnectionIdentity: Snapshotting {
    public func write(to writer: inout SnapshotWriter) {
        tuple.write(to: &writer)
        writer.write(initialSendSequence)
        writer.write(initialReceiveSequence)
        writer.write(peerMaximumSegmentSize)
        writer.write(peerWindowShift ?? 255)
        writer.write(windowShift)
        writer.write(selectiveAcknowledgment)
        writer.write(timestamps)
        writer.write(timestampOffset)
        options.write(to: &writer)
    }
    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        let tuple = try ConnectionTuple(from: &reader)
        let sendSequence: UInt32 = try reader.read()
        let receiveSequence: UInt32 = try reader.read()
        let segmentSize: UInt16 = try reader.read()
        let peerShift: UInt8 = try reader.read()
        let shift: UInt8 = try reader.read()
        // RFC 7323 §2.3: a shift is at most 14.
        guard peerShift <= 14 || peerShift == 255, shift <= 14 else {
            throw DecodeError("window shift", at: reader.position, .badValue)
        }
        let selective = try reader.readBool()
        let timestamps = try reader.readBool()
        let offset: UInt32 = try reader.read()
        self.init(
            tuple: tuple, initialSendSequence: sendSequence, initialReceiveSequence: receiveSequence,
            peerMaximumSegmentSize: segmentSize, peerWindowShift: peerShift == 255 ? nil : peerShift,
            windowShift: shift, selectiveAcknowledgment: selective, timestamps: timestamps, timestampOffset: offset,
            options: try TransportOptions(from: &reader))
    }
}
