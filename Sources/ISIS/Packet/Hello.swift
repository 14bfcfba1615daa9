import Records
import Wire

/// The point-to-point three-way adjacency option (RFC 5303 §3.1).
public struct ThreeWayAdjacency: Hashable, Sendable {
    public enum State: UInt8, Hashable, Sendable {
        case up = 0
        case initializing = 1
        case down = 2
    }
    public var state: State
    /// The sender's circuit, unique within the sender. RFC 5303 lets old systems leave it out, and all behind it.
    public var extendedCircuitID: UInt32?
    /// Whom the sender hears, and that one's circuit.
    public var neighbor: SystemID?
    public var neighborCircuitID: UInt32?

    public init(
        state: State, extendedCircuitID: UInt32?, neighbor: SystemID? = nil, neighborCircuitID: UInt32? = nil
    ) {
        self.state = state
        self.extendedCircuitID = extendedCircuitID
        self.neighbor = neighbor
        self.neighborCircuitID = neighborCircuitID
    }
}

/// The restart option (RFC 5306 §3.1).
public struct RestartOption: Hashable, Sendable {
    /// RR: the sender restarts and asks to keep the adjacency.
    public var isRequest: Bool
    /// RA: answers a request.
    public var isAcknowledgement: Bool
    /// SA: the sender starts, and asks not to be announced yet.
    public var suppressesAdjacency: Bool
    /// Seconds until the adjacency ends; with RA.
    public var remainingTime: UInt16?
    /// On a LAN: who is answered; with RA.
    public var restartingNeighbor: SystemID?

    public init(
        isRequest: Bool = false, isAcknowledgement: Bool = false, suppressesAdjacency: Bool = false,
        remainingTime: UInt16? = nil, restartingNeighbor: SystemID? = nil
    ) {
        self.isRequest = isRequest
        self.isAcknowledgement = isAcknowledgement
        self.suppressesAdjacency = suppressesAdjacency
        self.remainingTime = remainingTime
        self.restartingNeighbor = restartingNeighbor
    }
}

/// What hellos of all kinds may say in TLVs. A hello with a TLV that contradicts itself is refused as a whole: it is
/// soon repeated.
public struct HelloContents: Hashable, Sendable {
    public var areas: [AreaAddress] = []
    public var protocols: [UInt8] = []
    public var ipv4Addresses: [IPv4Address] = []
    /// RFC 5308 §3: link-local ones.
    public var ipv6Addresses: [IPv6Address] = []
    /// `nil` without TLV 229: the standard topology alone (RFC 5120 §7.2).
    public var topologies: [UInt16]?
    public var restart: RestartOption?
    /// LAN only: stations whose hellos were heard.
    public var lanNeighbors: [MACAddress] = []
    /// Point-to-point only.
    public var threeWay: ThreeWayAdjacency?

    public init() {}

    public func supports(topology: UInt16) -> Bool { topologies?.contains(topology) ?? (topology == 0) }

    init(_ reader: consuming ByteReader) throws(DecodeError) {
        while !reader.isAtEnd {
            let code = try reader.u8("TLV code")
            var value = try reader.reader(Int(try reader.u8("TLV length")), "TLV value")
            switch code {
            case TLVCode.areaAddresses: try TLV.areaAddresses(&value, into: &areas)
            case TLVCode.lanNeighbors:
                while !value.isAtEnd { lanNeighbors.append(try value.mac("LAN address")) }
            case TLVCode.protocolsSupported:
                while !value.isAtEnd { protocols.append(try value.u8("NLPID")) }
            case TLVCode.ipInterfaceAddresses: try TLV.ipv4Addresses(&value, into: &ipv4Addresses)
            case TLVCode.ipv6InterfaceAddresses: try TLV.ipv6Addresses(&value, into: &ipv6Addresses)
            case TLVCode.multiTopology:
                var list = (topologies ?? []).map { TopologyMembership(id: $0) }
                try TLV.topologies(&value, into: &list)
                topologies = list.map(\.id)
            case TLVCode.restart: restart = try RestartOption(&value)
            case TLVCode.threeWayAdjacency: threeWay = try ThreeWayAdjacency(&value)
            default: break
            }
        }
    }

    func encode(into writer: inout ByteWriter) {
        TLV.writeAreas(areas, into: &writer)
        TLV.writeList(TLVCode.protocolsSupported, protocols, octets: { _ in 1 }, into: &writer) { $1.u8($0) }
        TLV.writeList(TLVCode.ipInterfaceAddresses, ipv4Addresses, octets: { _ in 4 }, into: &writer) { $1.ipv4($0) }
        TLV.writeList(TLVCode.ipv6InterfaceAddresses, ipv6Addresses, octets: { _ in 16 }, into: &writer) { $1.ipv6($0) }
        if let topologies {
            TLV.writeList(TLVCode.multiTopology, topologies, octets: { _ in 2 }, into: &writer) { $1.u16($0 & 0xfff) }
        }
        restart?.encode(into: &writer)
        threeWay?.encode(into: &writer)
        TLV.writeList(TLVCode.lanNeighbors, lanNeighbors, octets: { _ in 6 }, into: &writer) { $1.mac($0) }
    }
}

/// Level 1 and level 2 LAN IS to IS hello (ISO 10589 §9.5, §9.6).
public struct LANHello: Hashable, Sendable {
    public var level: Level
    /// Levels the sender serves on the circuit.
    public var circuitType: ISISLevels
    public var source: SystemID
    /// Seconds.
    public var holdingTime: UInt16
    /// 0…127
    public var priority: UInt8
    /// The designated IS and its number for the LAN, as the sender sees it.
    public var lanID: NodeID
    public var contents: HelloContents

    public init(
        level: Level, circuitType: ISISLevels, source: SystemID, holdingTime: UInt16, priority: UInt8, lanID: NodeID,
        contents: HelloContents = HelloContents()
    ) {
        self.level = level
        self.circuitType = circuitType
        self.source = source
        self.holdingTime = holdingTime
        self.priority = priority
        self.lanID = lanID
        self.contents = contents
    }

    public init(_ pdu: RawSpan) throws(DecodeError) {
        var reader = ByteReader(pdu)
        let type = try PDUHeader.decode(&reader)
        guard type == .level1LANHello || type == .level2LANHello, let level = type.level else {
            throw DecodeError("PDU type", at: 4, .unsupported)
        }
        self.level = level
        circuitType = try ISISLevels(circuitType: &reader)
        source = try reader.systemID("source ID")
        holdingTime = try reader.u16("holding time")
        let length = try PDULength.read(&reader, of: type)
        priority = try reader.u8("priority") & 0x7f
        lanID = try reader.nodeID("LAN ID")
        contents = try HelloContents(try reader.reader(length - type.headerLength, "PDU length"))
    }

    /// - Parameter size: octets to pad to; fewer than the PDU has add nothing.
    public func encoded(paddedTo size: Int = 0, key: KeyChain.Key? = nil) -> [UInt8] {
        var writer = ByteWriter(capacity: max(size, 128))
        PDUHeader.encode(.lanHello(level), into: &writer)
        writer.u8(circuitType.rawValue)
        writer.systemID(source)
        writer.u16(holdingTime)
        let at = writer.reserve16()
        writer.u8(priority & 0x7f)
        writer.nodeID(lanID)
        return finishHello(&writer, contents, lengthAt: at, size: size, key)
    }
}

/// Point-to-point IS to IS hello (ISO 10589 §9.7).
public struct PointToPointHello: Hashable, Sendable {
    public var circuitType: ISISLevels
    public var source: SystemID
    /// Seconds.
    public var holdingTime: UInt16
    public var localCircuitID: UInt8
    public var contents: HelloContents

    public init(
        circuitType: ISISLevels, source: SystemID, holdingTime: UInt16, localCircuitID: UInt8,
        contents: HelloContents = HelloContents()
    ) {
        self.circuitType = circuitType
        self.source = source
        self.holdingTime = holdingTime
        self.localCircuitID = localCircuitID
        self.contents = contents
    }

    public init(_ pdu: RawSpan) throws(DecodeError) {
        var reader = ByteReader(pdu)
        let type = try PDUHeader.decode(&reader)
        guard type == .pointToPointHello else { throw DecodeError("PDU type", at: 4, .unsupported) }
        circuitType = try ISISLevels(circuitType: &reader)
        source = try reader.systemID("source ID")
        holdingTime = try reader.u16("holding time")
        let length = try PDULength.read(&reader, of: type)
        localCircuitID = try reader.u8("local circuit ID")
        contents = try HelloContents(try reader.reader(length - type.headerLength, "PDU length"))
    }

    /// - Parameter size: octets to pad to; fewer than the PDU has add nothing.
    public func encoded(paddedTo size: Int = 0, key: KeyChain.Key? = nil) -> [UInt8] {
        var writer = ByteWriter(capacity: max(size, 128))
        PDUHeader.encode(.pointToPointHello, into: &writer)
        writer.u8(circuitType.rawValue)
        writer.systemID(source)
        writer.u16(holdingTime)
        let at = writer.reserve16()
        writer.u8(localCircuitID)
        return finishHello(&writer, contents, lengthAt: at, size: size, key)
    }
}

private func finishHello(
    _ writer: inout ByteWriter, _ contents: HelloContents, lengthAt: Int, size: Int, _ key: KeyChain.Key?
) -> [UInt8] {
    if let key { Authentication.reserve(key, into: &writer) }
    contents.encode(into: &writer)
    TLV.pad(to: size, into: &writer)
    writer.patch16(lengthAt, UInt16(clamping: writer.count))
    var bytes = writer.bytes
    if let key { Authentication.seal(&bytes, key: key) }
    return bytes
}

extension ISISLevels {
    /// ISO 10589 §9.5: the six upper bits are reserved; a value of 0 makes the PDU one to ignore.
    @_lifetime(reader: copy reader)
    init(circuitType reader: inout ByteReader) throws(DecodeError) {
        let at = reader.offset
        guard let value = ISISLevels(rawValue: try reader.u8("circuit type") & 3) else {
            throw DecodeError("circuit type", at: at, .badValue)
        }
        self = value
    }
}

/// The PDU length field: octets behind it are not of the PDU, fewer than it says are an error.
enum PDULength {
    /// Where the field lies.
    static func position(_ type: PDUType) -> Int {
        switch type {
        case .level1LANHello, .level2LANHello, .pointToPointHello: 17
        default: 8
        }
    }

    @_lifetime(reader: copy reader)
    static func read(_ reader: inout ByteReader, of type: PDUType) throws(DecodeError) -> Int {
        let at = reader.offset
        let length = Int(try reader.u16("PDU length"))
        guard length >= type.headerLength else { throw DecodeError("PDU length", at: at, .badLength) }
        guard length <= reader.bytes.byteCount else { throw DecodeError("PDU length", at: at, .truncated) }
        return length
    }
}

extension ThreeWayAdjacency {
    /// RFC 5303 §3.1: 1, 5, 11 or 15 octets; what comes behind is for a future version.
    @_lifetime(value: copy value)
    init(_ value: inout ByteReader) throws(DecodeError) {
        let at = value.offset
        guard let state = State(rawValue: try value.u8("three-way state")) else {
            throw DecodeError("three-way state", at: at, .badValue)
        }
        self.init(state: state, extendedCircuitID: nil)
        if value.isAtEnd { return }
        extendedCircuitID = try value.u32("extended local circuit ID")
        if value.isAtEnd { return }
        neighbor = try value.systemID("neighbor system ID")
        if value.isAtEnd { return }
        neighborCircuitID = try value.u32("neighbor extended circuit ID")
    }

    func encode(into writer: inout ByteWriter) {
        TLV.write(TLVCode.threeWayAdjacency, into: &writer) { writer in
            writer.u8(state.rawValue)
            guard let extendedCircuitID else { return }
            writer.u32(extendedCircuitID)
            guard let neighbor else { return }
            writer.systemID(neighbor)
            guard let neighborCircuitID else { return }
            writer.u32(neighborCircuitID)
        }
    }
}

extension RestartOption {
    @_lifetime(value: copy value)
    init(_ value: inout ByteReader) throws(DecodeError) {
        let flags = try value.u8("restart flags")
        self.init(
            isRequest: flags & 1 != 0, isAcknowledgement: flags & 2 != 0, suppressesAdjacency: flags & 4 != 0)
        if value.isAtEnd { return }
        remainingTime = try value.u16("restart remaining time")
        if value.isAtEnd { return }
        restartingNeighbor = try value.systemID("restarting neighbor ID")
    }

    func encode(into writer: inout ByteWriter) {
        TLV.write(TLVCode.restart, into: &writer) { writer in
            writer.u8((isRequest ? 1 : 0) | (isAcknowledgement ? 2 : 0) | (suppressesAdjacency ? 4 : 0))
            guard isAcknowledgement || remainingTime != nil else { return }
            writer.u16(remainingTime ?? 0)
            guard let restartingNeighbor else { return }
            writer.systemID(restartingNeighbor)
        }
    }
}
