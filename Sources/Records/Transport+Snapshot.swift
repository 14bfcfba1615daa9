import Machine
import Wire

extension PacketAddress: Fielded {
    public static let blank = PacketAddress.ip(.blank)

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        var number: UInt8 = station == nil ? 0 : 1
        try visitor.number(&number)
        switch number {
        case 0:
            var address = IPAddress.blank
            if case .ip(let own) = self { address = own }
            try visitor.nested(&address)
            self = .ip(address)
        case 1:
            var raw = station?.raw ?? 0
            try visitor.number(&raw)
            self = .station(MACAddress(raw: raw))
        default: try visitor.require(false, "packet address")
        }
    }
}

extension PacketSubscription: Fielded {
    public static var blank: Self { .init(interface: InterfaceID(0), packetProtocol: .ip(.ipv4, number: 0), groups: []) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&packetProtocol, "packet protocol")
        try visitor.list(&groups)
    }
}

extension ConnectionTuple: Fielded {
    public static var blank: Self {
        .init(interface: InterfaceID(0), local: .blank, localPort: 0, remote: .blank, remotePort: 0)
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&local)
        try visitor.field(&localPort)
        try visitor.field(&remote)
        try visitor.field(&remotePort)
    }
}

extension ConnectionOwner: Fielded {
    public static var blank: Self { .init() }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&instance, \.value, StreamProtocolID.init)
        try visitor.field(&endpoint, \.value, StreamEndpointID.init)
    }
}

extension TransportOptions: Fielded {
    public static var blank: Self { .init() }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.block(&md5Key)
        try visitor.require(md5Key.count <= 80, "MD5 key")
        try visitor.field(&hopLimit)
        try visitor.field(&minimumHopLimit)
        try visitor.field(&dscp)
        try visitor.field(&maximumSegmentSize)
    }
}

extension ConnectionIdentity: Fielded {
    public static var blank: Self {
        .init(
            tuple: .blank, initialSendSequence: 0, initialReceiveSequence: 0, peerMaximumSegmentSize: 0, peerWindowShift: nil,
            windowShift: 0, selectiveAcknowledgment: false, timestamps: false, timestampOffset: 0, options: .blank)
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&tuple)
        try visitor.field(&initialSendSequence)
        try visitor.field(&initialReceiveSequence)
        try visitor.field(&peerMaximumSegmentSize)
        try visitor.field(&peerWindowShift)
        try visitor.field(&windowShift)
        // RFC 7323 §2.3: a shift is at most 14.
        try visitor.require(windowShift <= 14 && peerWindowShift ?? 0 <= 14, "window shift")
        try visitor.field(&selectiveAcknowledgment)
        try visitor.field(&timestamps)
        try visitor.field(&timestampOffset)
        try visitor.field(&options)
    }
}

extension ConnectRequest: Fielded {
    public static var blank: Self {
        .init(
            connection: ConnectionID(0), owner: .blank, tuple: .blank, initialSendSequence: 0, timestampOffset: 0,
            options: .blank)
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&connection, \.value, ConnectionID.init)
        try visitor.field(&owner)
        try visitor.field(&tuple)
        try visitor.field(&initialSendSequence)
        try visitor.field(&timestampOffset)
        try visitor.field(&options)
    }
}

extension LineCardImage.TimeWait: Fielded {
    public static var blank: Self {
        .init(
            connection: ConnectionID(0), identity: .blank, sentOffset: 0, receivedOffset: 0, peerTimestamp: 0, since: .zero)
    }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&connection, \.value, ConnectionID.init)
        try visitor.field(&identity)
        try visitor.field(&sentOffset)
        try visitor.field(&receivedOffset)
        try visitor.field(&peerTimestamp)
        try visitor.field(&since)
    }
}

extension BFDPeer: Fielded {
    public static var blank: Self { .init(interface: nil, local: .blank, remote: .blank) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&interface, \.value, InterfaceID.init)
        try visitor.field(&local)
        try visitor.field(&remote)
    }
}

extension BFDSequenceClock: Fielded {
    public static var blank: Self { .init(base: 0, since: .zero, quantum: 1) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&base)
        try visitor.field(&since)
        try visitor.field(&quantum)
    }
}

extension BFDStatus: Fielded {
    public static var blank: Self { .init() }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&state, "BFD state")
        try visitor.field(&diagnostic, "BFD diagnostic")
        try visitor.field(&remoteDiscriminator)
        try visitor.field(&remoteState, "BFD state")
        try visitor.field(&remoteDiagnostic, "BFD diagnostic")
        try visitor.field(&remoteMinRx)
        try visitor.field(&remoteDesiredMinTx)
        try visitor.field(&remoteMultiplier)
        try visitor.field(&remoteDemand)
        try visitor.field(&remoteIsIndependent)
        try visitor.field(&transmitInUse)
        try visitor.field(&receiveInUse)
        try visitor.field(&isPolled)
        try visitor.field(&sequence)
        try visitor.field(&receivedSequence)
    }
}
