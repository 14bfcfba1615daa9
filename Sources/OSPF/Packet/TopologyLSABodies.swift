import Wire

/// RFC 2328 A.4.2, RFC 5340 A.4.3: a router's links. One form for both versions; fields of the other version are zero.
public struct RouterLSABody: Hashable, Sendable {
    public struct Flags: OptionSet, Hashable, Sendable, BitwiseCopyable {
        public var rawValue: UInt8
        @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// B: area border router.
        public static let border = Flags(rawValue: 0x01)
        /// E: AS boundary router.
        public static let boundary = Flags(rawValue: 0x02)
        /// V: end of a virtual link.
        public static let virtualLink = Flags(rawValue: 0x04)
        /// Nt: translates type 7 whatever the election says (RFC 3101 §3.1).
        public static let translator = Flags(rawValue: 0x10)
    }

    public enum LinkType: UInt8, Hashable, Sendable, BitwiseCopyable {
        case pointToPoint = 1
        case transit = 2
        /// OSPFv2 only.
        case stub = 3
        case virtual = 4
    }

    public struct Link: Hashable, Sendable, BitwiseCopyable {
        public var type: LinkType
        public var metric: UInt16
        /// OSPFv2 Link ID; OSPFv3 Neighbor Router ID.
        public var id: UInt32
        /// OSPFv2 Link Data; OSPFv3 our Interface ID.
        public var data: UInt32
        /// OSPFv3 Neighbor Interface ID.
        public var neighborInterfaceID: UInt32

        public init(type: LinkType, metric: UInt16, id: UInt32, data: UInt32, neighborInterfaceID: UInt32 = 0) {
            self.type = type
            self.metric = metric
            self.id = id
            self.data = data
            self.neighborInterfaceID = neighborInterfaceID
        }
    }

    public var flags: Flags
    /// OSPFv3; OSPFv2 has them in the header.
    public var options: OSPFOptions
    public var links: [Link]

    public init(flags: Flags, options: OSPFOptions = [], links: [Link]) {
        self.flags = flags
        self.options = options
        self.links = links
    }

    /// Reads a body. Links of a type that is not known are left out.
    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        flags = Flags(rawValue: try reader.u8("router flags"))
        links = []
        switch version {
        case .v2:
            options = []
            _ = try reader.u8("reserved")
            let count = try reader.u16("number of links")
            guard Int(count) <= reader.remaining / 12 else {
                throw DecodeError("number of links", at: reader.offset - 2, .badLength)
            }
            links.reserveCapacity(Int(count))
            for _ in 0..<count {
                let id = try reader.u32("Link ID")
                let data = try reader.u32("Link Data")
                let type = LinkType(rawValue: try reader.u8("link type"))
                let services = try reader.u8("number of TOS")
                let metric = try reader.u16("link metric")
                try reader.skip(4 * Int(services), "TOS metrics")
                if let type { links.append(Link(type: type, metric: metric, id: id, data: data)) }
            }
        case .v3:
            options = OSPFOptions(rawValue: try reader.u24("options"))
            guard reader.remaining % 16 == 0 else { throw DecodeError("links", at: reader.offset, .badLength) }
            links.reserveCapacity(reader.remaining / 16)
            while !reader.isAtEnd {
                let type = LinkType(rawValue: try reader.u8("link type"))
                _ = try reader.u8("reserved")
                let metric = try reader.u16("link metric")
                let interface = try reader.u32("Interface ID")
                let neighborInterface = try reader.u32("Neighbor Interface ID")
                let neighbor = try reader.u32("Neighbor Router ID")
                guard let type, type != .stub else { continue }
                links.append(
                    Link(
                        type: type, metric: metric, id: neighbor, data: interface,
                        neighborInterfaceID: neighborInterface))
            }
        }
    }

    public func encoded(version: OSPFVersion) -> [UInt8] {
        var writer = ByteWriter(capacity: 4 + 16 * links.count)
        writer.u8(flags.rawValue)
        switch version {
        case .v2:
            writer.u8(0)
            writer.u16(UInt16(clamping: links.count))
            for link in links {
                writer.u32(link.id)
                writer.u32(link.data)
                writer.u8(link.type.rawValue)
                writer.u8(0)
                writer.u16(link.metric)
            }
        case .v3:
            writer.u24(options.rawValue)
            for link in links {
                writer.u8(link.type.rawValue)
                writer.u8(0)
                writer.u16(link.metric)
                writer.u32(link.data)
                writer.u32(link.neighborInterfaceID)
                writer.u32(link.id)
            }
        }
        return writer.bytes
    }
}

/// RFC 2328 A.4.3, RFC 5340 A.4.4: the routers on a network, as its Designated Router sees them.
public struct NetworkLSABody: Hashable, Sendable {
    /// OSPFv2.
    public var mask: UInt32
    /// OSPFv3.
    public var options: OSPFOptions
    /// Router IDs, the Designated Router's own among them.
    public var routers: [UInt32]

    public init(mask: UInt32 = 0, options: OSPFOptions = [], routers: [UInt32]) {
        self.mask = mask
        self.options = options
        self.routers = routers
    }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        let word = try reader.u32("network mask")
        mask = version == .v2 ? word : 0
        options = OSPFOptions(rawValue: version == .v3 ? word & 0xff_ffff : 0)
        if version == .v2, !isMask(mask) { throw DecodeError("network mask", at: reader.offset - 4, .badValue) }
        guard reader.remaining % 4 == 0 else { throw DecodeError("attached routers", at: reader.offset, .badLength) }
        routers = []
        routers.reserveCapacity(reader.remaining / 4)
        while !reader.isAtEnd { routers.append(try reader.u32("attached router")) }
    }

    public func encoded(version: OSPFVersion) -> [UInt8] {
        var writer = ByteWriter(capacity: 4 + 4 * routers.count)
        writer.u32(version == .v2 ? mask : options.rawValue & 0xff_ffff)
        for router in routers { writer.u32(router) }
        return writer.bytes
    }
}

/// Whether the ones of a mask are all before its zeros.
@inline(__always)
func isMask(_ mask: UInt32) -> Bool { ~mask & (~mask &+ 1) == 0 }

/// The prefix of an address and a mask that `isMask`.
@inline(__always)
func prefix(_ address: UInt32, mask: UInt32) -> IPv4Prefix {
    IPv4Prefix(IPv4Address(raw: address), UInt8(truncatingIfNeeded: mask.nonzeroBitCount))
}
