import Wire

/// RFC 2328 A.3.2, RFC 5340 A.3.2
public struct HelloPacket: Hashable, Sendable {
    /// OSPFv2; 0 on point-to-point links.
    public var networkMask: UInt32
    /// OSPFv3.
    public var interfaceID: UInt32
    /// Seconds.
    public var helloInterval: UInt16
    /// Seconds; OSPFv3 has sixteen bits for it.
    public var routerDeadInterval: UInt32
    public var options: OSPFOptions
    public var priority: UInt8
    /// An interface address in OSPFv2, a Router ID in OSPFv3; 0 is none.
    public var designatedRouter: UInt32
    public var backupDesignatedRouter: UInt32
    /// Router IDs, in the order of the packet.
    public var neighbors: [UInt32]

    public init(
        networkMask: UInt32 = 0, interfaceID: UInt32 = 0, helloInterval: UInt16, routerDeadInterval: UInt32,
        options: OSPFOptions, priority: UInt8, designatedRouter: UInt32, backupDesignatedRouter: UInt32,
        neighbors: [UInt32]
    ) {
        self.networkMask = networkMask
        self.interfaceID = interfaceID
        self.helloInterval = helloInterval
        self.routerDeadInterval = routerDeadInterval
        self.options = options
        self.priority = priority
        self.designatedRouter = designatedRouter
        self.backupDesignatedRouter = backupDesignatedRouter
        self.neighbors = neighbors
    }

    /// - Parameter reader: over the body: what the packet's length leaves after the header.
    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        switch version {
        case .v2:
            interfaceID = 0
            networkMask = try reader.u32("network mask")
            helloInterval = try reader.u16("HelloInterval")
            options = OSPFOptions(rawValue: UInt32(try reader.u8("options")))
            priority = try reader.u8("router priority")
            routerDeadInterval = try reader.u32("RouterDeadInterval")
        case .v3:
            networkMask = 0
            interfaceID = try reader.u32("interface ID")
            priority = try reader.u8("router priority")
            options = OSPFOptions(rawValue: try reader.u24("options"))
            helloInterval = try reader.u16("HelloInterval")
            routerDeadInterval = UInt32(try reader.u16("RouterDeadInterval"))
        }
        designatedRouter = try reader.u32("designated router")
        backupDesignatedRouter = try reader.u32("backup designated router")
        guard reader.remaining % 4 == 0 else { throw DecodeError("neighbors", at: reader.offset, .badLength) }
        neighbors = []
        neighbors.reserveCapacity(reader.remaining / 4)
        while !reader.isAtEnd { neighbors.append(try reader.u32("neighbor")) }
    }

    public func write(to writer: inout ByteWriter, version: OSPFVersion) {
        switch version {
        case .v2:
            writer.u32(networkMask)
            writer.u16(helloInterval)
            writer.u8(UInt8(truncatingIfNeeded: options.rawValue))
            writer.u8(priority)
            writer.u32(routerDeadInterval)
        case .v3:
            writer.u32(interfaceID)
            writer.u8(priority)
            writer.u24(options.rawValue)
            writer.u16(helloInterval)
            writer.u16(UInt16(clamping: routerDeadInterval))
        }
        writer.u32(designatedRouter)
        writer.u32(backupDesignatedRouter)
        for neighbor in neighbors { writer.u32(neighbor) }
    }
}

/// RFC 2328 A.3.3, RFC 5340 A.3.3
public struct DatabaseDescriptionPacket: Hashable, Sendable {
    public struct Flags: OptionSet, Hashable, Sendable, BitwiseCopyable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// MS: the sender is master.
        public static let master = Flags(rawValue: 1)
        /// M: more follow.
        public static let more = Flags(rawValue: 2)
        /// I: the first of the exchange.
        public static let initial = Flags(rawValue: 4)
        /// R: out-of-band resynchronization (RFC 4811).
        public static let resynchronization = Flags(rawValue: 8)
    }
    /// Octets of the largest IP packet that the interface sends whole; 0 on virtual links.
    public var mtu: UInt16
    public var options: OSPFOptions
    public var flags: Flags
    public var sequence: UInt32
    public var headers: [LSAHeader]

    /// Octets before the list of headers.
    public static func fixedSize(_ version: OSPFVersion) -> Int { version == .v2 ? 8 : 12 }

    public init(mtu: UInt16, options: OSPFOptions, flags: Flags, sequence: UInt32, headers: [LSAHeader] = []) {
        self.mtu = mtu
        self.options = options
        self.flags = flags
        self.sequence = sequence
        self.headers = headers
    }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        switch version {
        case .v2:
            mtu = try reader.u16("interface MTU")
            options = OSPFOptions(rawValue: UInt32(try reader.u8("options")))
        case .v3:
            _ = try reader.u8("reserved")
            options = OSPFOptions(rawValue: try reader.u24("options"))
            mtu = try reader.u16("interface MTU")
            _ = try reader.u8("reserved")
        }
        flags = Flags(rawValue: try reader.u8("flags"))
        sequence = try reader.u32("DD sequence number")
        headers = try LSAHeader.list(from: &reader, version: version)
    }

    public func write(to writer: inout ByteWriter, version: OSPFVersion) {
        switch version {
        case .v2:
            writer.u16(mtu)
            writer.u8(UInt8(truncatingIfNeeded: options.rawValue))
        case .v3:
            writer.u8(0)
            writer.u24(options.rawValue)
            writer.u16(mtu)
            writer.u8(0)
        }
        writer.u8(flags.rawValue)
        writer.u32(sequence)
        for header in headers { header.write(to: &writer, version: version) }
    }
}

/// RFC 2328 A.3.4, RFC 5340 A.3.4
public struct LinkStateRequestPacket: Hashable, Sendable {
    public var keys: [LSAKey]
    /// Octets of one request.
    public static let keySize = 12

    public init(keys: [LSAKey]) { self.keys = keys }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        guard reader.remaining % Self.keySize == 0 else { throw DecodeError("requests", at: reader.offset, .badLength) }
        keys = []
        keys.reserveCapacity(reader.remaining / Self.keySize)
        while !reader.isAtEnd {
            let word = try reader.u32("LS type")
            guard word >> 16 == 0 else { throw DecodeError("LS type", at: reader.offset - 4, .badValue) }
            let id = try reader.u32("link state ID")
            keys.append(
                LSAKey(
                    type: LSAType(rawValue: UInt16(truncatingIfNeeded: word)), linkStateID: id,
                    advertisingRouter: try reader.u32("advertising router")))
        }
    }

    public func write(to writer: inout ByteWriter, version: OSPFVersion) {
        for key in keys {
            writer.u32(UInt32(key.type.rawValue))
            writer.u32(key.linkStateID)
            writer.u32(key.advertisingRouter)
        }
    }
}

/// RFC 2328 A.3.5, RFC 5340 A.3.5
public struct LinkStateUpdatePacket: Hashable, Sendable {
    public var lsas: [LSA]
    /// Octets before the LSAs.
    public static let fixedSize = 4

    public init(lsas: [LSA]) { self.lsas = lsas }

    /// Takes the LSAs out. One that is cut short makes the whole packet bad: no boundary after it can be trusted.
    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        let at = reader.offset
        let count = try reader.u32("number of LSAs")
        guard count <= UInt32(truncatingIfNeeded: reader.remaining / LSAHeader.size) else {
            throw DecodeError("number of LSAs", at: at, .badLength)
        }
        lsas = []
        lsas.reserveCapacity(Int(count))
        for _ in 0..<count { lsas.append(try LSA(from: &reader, version: version)) }
        try reader.expectEnd("Link State Update")
    }

    public func write(to writer: inout ByteWriter, version: OSPFVersion) {
        writer.u32(UInt32(lsas.count))
        for lsa in lsas { writer.append(lsa.octets) }
    }
}

/// RFC 2328 A.3.6, RFC 5340 A.3.6
public struct LinkStateAcknowledgmentPacket: Hashable, Sendable {
    public var headers: [LSAHeader]

    public init(headers: [LSAHeader]) { self.headers = headers }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        headers = try LSAHeader.list(from: &reader, version: version)
    }

    public func write(to writer: inout ByteWriter, version: OSPFVersion) {
        for header in headers { header.write(to: &writer, version: version) }
    }
}

extension LSAHeader {
    /// Headers up to the end.
    @_lifetime(reader: copy reader)
    static func list(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) -> [LSAHeader] {
        guard reader.remaining % size == 0 else { throw DecodeError("LSA headers", at: reader.offset, .badLength) }
        var headers: [LSAHeader] = []
        headers.reserveCapacity(reader.remaining / size)
        while !reader.isAtEnd { headers.append(try LSAHeader(from: &reader, version: version)) }
        return headers
    }
}
