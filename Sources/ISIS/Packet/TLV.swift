import Wire

/// Codes of the variable-length fields ("TLVs") that are read or written here. A PDU may hold any others: they are
/// passed over (ISO 10589 §9.3: codes that are not recognised are ignored, and passed through in LSPs).
public enum TLVCode {
    public static let areaAddresses: UInt8 = 1
    /// Neighbours with narrow metrics, in LSPs.
    public static let isNeighbors: UInt8 = 2
    /// Stations heard, in LAN hellos.
    public static let lanNeighbors: UInt8 = 6
    public static let padding: UInt8 = 8
    public static let lspEntries: UInt8 = 9
    public static let authentication: UInt8 = 10
    /// RFC 6232.
    public static let purgeOriginator: UInt8 = 13
    /// RFC 5305 §3.
    public static let extendedISReachability: UInt8 = 22
    /// RFC 1195 §5.3.
    public static let ipInternalReachability: UInt8 = 128
    public static let protocolsSupported: UInt8 = 129
    public static let ipExternalReachability: UInt8 = 130
    public static let ipInterfaceAddresses: UInt8 = 132
    /// RFC 5305 §4.3.
    public static let teRouterID: UInt8 = 134
    /// RFC 5305 §4.
    public static let extendedIPReachability: UInt8 = 135
    /// RFC 5301.
    public static let hostname: UInt8 = 137
    /// RFC 5306.
    public static let restart: UInt8 = 211
    /// RFC 5120 §7.
    public static let mtISReachability: UInt8 = 222
    public static let multiTopology: UInt8 = 229
    /// RFC 5308.
    public static let ipv6InterfaceAddresses: UInt8 = 232
    /// RFC 5120 §7.3, §7.4.
    public static let mtIPReachability: UInt8 = 235
    public static let ipv6Reachability: UInt8 = 236
    public static let mtIPv6Reachability: UInt8 = 237
    /// RFC 5303.
    public static let threeWayAdjacency: UInt8 = 240
    /// RFC 7981: tolerated.
    public static let routerCapability: UInt8 = 242
}

/// Network layer protocols by their identifiers in TLV 129 (RFC 1195 §5.3.1).
public enum ProtocolID {
    public static let ipv4: UInt8 = 0xcc
    public static let ipv6: UInt8 = 0x8e
}

/// A number of RFC 5120 with the bits that go with it in TLV 229.
public struct TopologyMembership: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// 0…4095
    public var id: UInt16
    /// In LSPs: the router is overloaded in this topology.
    public var isOverloaded: Bool
    /// In level 1 LSPs: the router leads to other areas in this topology.
    public var isAttached: Bool

    public init(id: UInt16, isOverloaded: Bool = false, isAttached: Bool = false) {
        self.id = id & 0xfff
        self.isOverloaded = isOverloaded
        self.isAttached = isAttached
    }
    public static func < (a: Self, b: Self) -> Bool { a.field < b.field }

    init(field: UInt16) {
        id = field & 0xfff
        isOverloaded = field & 0x8000 != 0
        isAttached = field & 0x4000 != 0
    }
    var field: UInt16 { id | (isOverloaded ? 0x8000 : 0) | (isAttached ? 0x4000 : 0) }
}

/// TLVs that several PDUs share.
enum TLV {
    static let valueMaximum = 255

    /// Walks over all TLVs of a part of a PDU and makes sure that they fill it exactly.
    @_lifetime(reader: copy reader)
    static func checkFraming(_ reader: inout ByteReader) throws(DecodeError) {
        while !reader.isAtEnd {
            _ = try reader.u8("TLV code")
            try reader.skip(Int(try reader.u8("TLV length")), "TLV value")
        }
    }

    @_lifetime(value: copy value)
    static func areaAddresses(_ value: inout ByteReader, into areas: inout [AreaAddress]) throws(DecodeError) {
        while !value.isAtEnd {
            let start = value.offset
            let length = Int(try value.u8("area address length"))
            guard let area = AreaAddress(try value.array(length, "area address")) else {
                throw DecodeError("area address length", at: start, .badLength)
            }
            areas.append(area)
        }
    }

    @_lifetime(value: copy value)
    static func ipv4Addresses(_ value: inout ByteReader, into addresses: inout [IPv4Address]) throws(DecodeError) {
        while !value.isAtEnd { addresses.append(try value.ipv4("IP interface address")) }
    }

    @_lifetime(value: copy value)
    static func ipv6Addresses(_ value: inout ByteReader, into addresses: inout [IPv6Address]) throws(DecodeError) {
        while !value.isAtEnd { addresses.append(try value.ipv6("IPv6 interface address")) }
    }

    @_lifetime(value: copy value)
    static func topologies(_ value: inout ByteReader, into list: inout [TopologyMembership]) throws(DecodeError) {
        while !value.isAtEnd { list.append(TopologyMembership(field: try value.u16("MT ID"))) }
    }

    /// One TLV. `body` must not write more than 255 octets.
    static func write(_ code: UInt8, into writer: inout ByteWriter, _ body: (inout ByteWriter) -> Void) {
        writer.u8(code)
        let at = writer.count
        writer.u8(0)
        body(&writer)
        precondition(writer.count - at - 1 <= valueMaximum, "the value of a TLV fits its length octet")
        writer.patch8(at, UInt8(writer.count - at - 1))
    }

    /// As many TLVs as the items need, none when there are none.
    static func writeList<T>(
        _ code: UInt8, _ items: [T], octets: (T) -> Int, into writer: inout ByteWriter, _ body: (T, inout ByteWriter) -> Void
    ) {
        var next = 0
        while next < items.count {
            write(code, into: &writer) { writer in
                var room = valueMaximum
                while next < items.count, octets(items[next]) <= room {
                    room -= octets(items[next])
                    body(items[next], &writer)
                    next += 1
                }
            }
        }
    }

    static func writeAreas(_ areas: [AreaAddress], into writer: inout ByteWriter) {
        writeList(TLVCode.areaAddresses, areas, octets: { 1 + Int($0.length) }, into: &writer) { area, writer in
            writer.u8(area.length)
            writer.append(area.octets)
        }
    }

    /// Padding up to `size` octets in all. One octet that is left over stays away: no TLV is that small.
    static func pad(to size: Int, into writer: inout ByteWriter) {
        while size - writer.count >= 2 {
            var length = min(size - writer.count - 2, valueMaximum)
            // Never leave a single octet for the next round.
            if size - writer.count - 2 - length == 1, length > 0 { length -= 1 }
            write(TLVCode.padding, into: &writer) { $0.zeros(length) }
        }
    }
}
