import Routing
import Wire

/// Bounds of metrics.
public enum MetricLimit {
    /// RFC 1195 §5.3: six bits.
    public static let narrowLink: UInt32 = 63
    /// ISO 10589 §7.2.6, MaxPathMetric.
    public static let narrowPath: UInt32 = 1023
    /// RFC 5305 §3: a link of this metric is for other uses than routes.
    public static let wideLinkUnusable: UInt32 = 0xff_ffff
    /// RFC 5305 §4, MAX_PATH_METRIC; RFC 5308 §2 has the same.
    public static let widePath: UInt32 = 0xfe00_0000
}

/// A neighbour as an LSP names it.
public struct NeighborReach: Hashable, Comparable, Sendable, BitwiseCopyable {
    public var node: NodeID
    public var metric: UInt32
    /// MT ID; 0 for TLVs without one.
    public var topology: UInt16
    /// TLV 2: six bits of metric.
    public var isNarrow: Bool
    /// Octets of sub-TLVs, for display: they are in the LSP.
    public var subTLVOctets: UInt8

    public init(
        _ node: NodeID, metric: UInt32, topology: UInt16 = 0, isNarrow: Bool = false, subTLVOctets: UInt8 = 0
    ) {
        self.node = node
        self.metric = metric
        self.topology = topology
        self.isNarrow = isNarrow
        self.subTLVOctets = subTLVOctets
    }
    public static func < (a: Self, b: Self) -> Bool {
        if a.topology != b.topology { return a.topology < b.topology }
        if a.node != b.node { return a.node < b.node }
        if a.metric != b.metric { return a.metric < b.metric }
        return !a.isNarrow && b.isNarrow
    }
}

/// How an LSP speaks of a prefix.
public struct ReachFlags: OptionSet, Hashable, Sendable, BitwiseCopyable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The up/down bit: it came from level 2, or from another area (RFC 5302 §2, RFC 5305 §4.1).
    public static let down = ReachFlags(rawValue: 1)
    /// TLV 130, the X bit of TLV 236, or X of RFC 7794: from another protocol.
    public static let external = ReachFlags(rawValue: 2)
    /// Narrow only: the metric compares with no internal one (RFC 5302 §2.1, the I/E bit).
    public static let externalMetric = ReachFlags(rawValue: 4)
    /// TLV 128 or 130.
    public static let narrow = ReachFlags(rawValue: 8)
    /// RFC 7794 §2.1: R, another level's route announced again.
    public static let readvertised = ReachFlags(rawValue: 16)
    /// RFC 7794 §2.1: N, names the node.
    public static let node = ReachFlags(rawValue: 32)
}

/// A prefix as an LSP announces it.
public struct PrefixReach<Key: PrefixKey>: Hashable, Sendable {
    public var prefix: Key
    public var metric: UInt32
    /// RFC 5130 sub-TLV 1, the first of them; 0 is none.
    public var tag: UInt32
    /// MT ID; 0 for TLVs without one.
    public var topology: UInt16
    public var flags: ReachFlags

    public init(_ prefix: Key, metric: UInt32, flags: ReachFlags = [], tag: UInt32 = 0, topology: UInt16 = 0) {
        self.prefix = prefix
        self.metric = metric
        self.flags = flags
        self.tag = tag
        self.topology = topology
    }
}

extension PrefixReach: Comparable {
    public static func < (a: Self, b: Self) -> Bool {
        if a.prefix != b.prefix { return a.prefix < b.prefix }
        if a.topology != b.topology { return a.topology < b.topology }
        if a.flags != b.flags { return a.flags.rawValue < b.flags.rawValue }
        if a.metric != b.metric { return a.metric < b.metric }
        return a.tag < b.tag
    }
}

public typealias IPv4Reach = PrefixReach<IPv4Prefix>
public typealias IPv6Reach = PrefixReach<IPv6Prefix>

/// The codes of sub-TLVs of prefixes.
enum PrefixSubTLV {
    /// RFC 5130 §3.1.
    static let tag: UInt8 = 1
    /// RFC 7794 §2.1.
    static let attributeFlags: UInt8 = 4
}

enum Reachability {
    // MARK: neighbours

    /// TLV 2 (ISO 10589 §9.8): the virtual flag, then per neighbour four metrics and its ID.
    @_lifetime(value: copy value)
    static func narrowNeighbors(_ value: inout ByteReader, into list: inout [NeighborReach]) throws(DecodeError) {
        _ = try value.u8("virtual flag")
        while !value.isAtEnd {
            let metric = UInt32(try value.u8("default metric") & 0x3f)
            try value.skip(3, "other metrics")
            list.append(NeighborReach(try value.nodeID("neighbor ID"), metric: metric, isNarrow: true))
        }
    }

    /// TLV 22 and 222 (RFC 5305 §3, RFC 5120 §7.1).
    @_lifetime(value: copy value)
    static func wideNeighbors(
        _ value: inout ByteReader, topology: UInt16, into list: inout [NeighborReach]
    ) throws(DecodeError) {
        while !value.isAtEnd {
            let node = try value.nodeID("neighbor ID")
            let metric = try value.u24("metric")
            let length = try value.u8("sub-TLVs length")
            try value.skip(Int(length), "sub-TLVs")
            list.append(NeighborReach(node, metric: metric, topology: topology, subTLVOctets: length))
        }
    }

    // MARK: prefixes

    /// TLV 128 and 130 (RFC 1195 §5.3, RFC 5302 §2).
    @_lifetime(value: copy value)
    static func narrowPrefixes(
        _ value: inout ByteReader, isExternal: Bool, into list: inout [IPv4Reach]
    ) throws(DecodeError) {
        while !value.isAtEnd {
            let field = try value.u8("default metric")
            try value.skip(3, "other metrics")
            let address = try value.ipv4("IP address")
            let maskAt = value.offset
            let mask = try value.u32("subnet mask")
            let length = UInt8((~mask).leadingZeroBitCount)
            guard IPv4Prefix.mask(length) == mask else { throw DecodeError("subnet mask", at: maskAt, .badValue) }
            var flags: ReachFlags = .narrow
            if field & 0x80 != 0 { flags.insert(.down) }
            if field & 0x40 != 0 { flags.insert(.externalMetric) }
            if isExternal { flags.insert(.external) }
            list.append(IPv4Reach(IPv4Prefix(address, length), metric: UInt32(field & 0x3f), flags: flags))
        }
    }

    /// TLV 135 and 235 (RFC 5305 §4, RFC 5120 §7.3).
    @_lifetime(value: copy value)
    static func widePrefixes(
        _ value: inout ByteReader, topology: UInt16, into list: inout [IPv4Reach]
    ) throws(DecodeError) {
        while !value.isAtEnd {
            let metric = try value.u32("metric")
            let controlAt = value.offset
            let control = try value.u8("control")
            let length = control & 0x3f
            guard length <= 32 else { throw DecodeError("prefix length", at: controlAt, .badValue) }
            var raw: UInt32 = 0
            for i in 0..<(UInt32(length) + 7) / 8 { raw |= UInt32(try value.u8("prefix")) << (24 - 8 * i) }
            var reach = IPv4Reach(IPv4Prefix(IPv4Address(raw: raw), length), metric: metric, topology: topology)
            if control & 0x80 != 0 { reach.flags.insert(.down) }
            if control & 0x40 != 0 {
                var sub = try value.reader(Int(try value.u8("sub-TLVs length")), "sub-TLVs")
                try prefixSubTLVs(&sub, &reach)
            }
            list.append(reach)
        }
    }

    /// TLV 236 and 237 (RFC 5308 §2, RFC 5120 §7.4).
    @_lifetime(value: copy value)
    static func ipv6Prefixes(
        _ value: inout ByteReader, topology: UInt16, into list: inout [IPv6Reach]
    ) throws(DecodeError) {
        while !value.isAtEnd {
            let metric = try value.u32("metric")
            let control = try value.u8("control")
            let lengthAt = value.offset
            let length = try value.u8("prefix length")
            guard length <= 128 else { throw DecodeError("prefix length", at: lengthAt, .badValue) }
            var high: UInt64 = 0, low: UInt64 = 0
            for i in 0..<(UInt64(length) + 7) / 8 {
                let octet = UInt64(try value.u8("prefix"))
                if i < 8 { high |= octet << (56 - 8 * i) } else { low |= octet << (120 - 8 * i) }
            }
            let prefix = IPv6Prefix(IPv6Address(high: high, low: low), length)
            var reach = IPv6Reach(prefix, metric: metric, topology: topology)
            if control & 0x80 != 0 { reach.flags.insert(.down) }
            if control & 0x40 != 0 { reach.flags.insert(.external) }
            if control & 0x20 != 0 {
                var sub = try value.reader(Int(try value.u8("sub-TLVs length")), "sub-TLVs")
                try prefixSubTLVs(&sub, &reach)
            }
            list.append(reach)
        }
    }

    @_lifetime(sub: copy sub)
    private static func prefixSubTLVs<Key>(_ sub: inout ByteReader, _ reach: inout PrefixReach<Key>) throws(DecodeError) {
        while !sub.isAtEnd {
            let code = try sub.u8("sub-TLV code")
            var value = try sub.reader(Int(try sub.u8("sub-TLV length")), "sub-TLV value")
            switch code {
            case PrefixSubTLV.tag:
                // RFC 5130 §3.1: one or more tags; an implementation may look at the first only.
                let tag = try value.u32("administrative tag")
                if reach.tag == 0 { reach.tag = tag }
            case PrefixSubTLV.attributeFlags:
                guard !value.isAtEnd else { continue }
                let bits = try value.u8("prefix attribute flags")
                if bits & 0x80 != 0 { reach.flags.insert(.external) }
                if bits & 0x40 != 0 { reach.flags.insert(.readvertised) }
                if bits & 0x20 != 0 { reach.flags.insert(.node) }
            default: break
            }
        }
    }

    // MARK: writing one entry

    static func writeNarrow(_ reach: NeighborReach, into writer: inout ByteWriter) {
        writer.u8(UInt8(min(reach.metric, MetricLimit.narrowLink)))
        // Delay, expense and error metrics are not supported: their S bits.
        for _ in 0..<3 { writer.u8(0x80) }
        writer.nodeID(reach.node)
    }

    static func writeWide(_ reach: NeighborReach, into writer: inout ByteWriter) {
        writer.nodeID(reach.node)
        writer.u24(min(reach.metric, MetricLimit.wideLinkUnusable))
        writer.u8(0)
    }

    static func writeNarrow(_ reach: IPv4Reach, into writer: inout ByteWriter) {
        var field = UInt8(min(reach.metric, MetricLimit.narrowLink))
        if reach.flags.contains(.down) { field |= 0x80 }
        if reach.flags.contains(.externalMetric) { field |= 0x40 }
        writer.u8(field)
        for _ in 0..<3 { writer.u8(0x80) }
        writer.ipv4(reach.prefix.address)
        writer.u32(IPv4Prefix.mask(reach.prefix.length))
    }

    static func writeWide(_ reach: IPv4Reach, into writer: inout ByteWriter) {
        let sub = subTLVs(tag: reach.tag, flags: reach.flags)
        writer.u32(reach.metric)
        writer.u8((reach.flags.contains(.down) ? 0x80 : 0) | (sub.isEmpty ? 0 : 0x40) | reach.prefix.length)
        for i in 0..<(UInt32(reach.prefix.length) + 7) / 8 {
            writer.u8(UInt8(truncatingIfNeeded: reach.prefix.address.raw >> (24 - 8 * i)))
        }
        writeSubTLVs(sub, into: &writer)
    }

    static func write(_ reach: IPv6Reach, into writer: inout ByteWriter) {
        // RFC 7794 §2.1: TLVs 236 and 237 have an X bit of their own.
        let sub = subTLVs(tag: reach.tag, flags: reach.flags.subtracting(.external))
        writer.u32(reach.metric)
        var control: UInt8 = reach.flags.contains(.down) ? 0x80 : 0
        if reach.flags.contains(.external) { control |= 0x40 }
        if !sub.isEmpty { control |= 0x20 }
        writer.u8(control)
        writer.u8(reach.prefix.length)
        let address = reach.prefix.address
        for i in 0..<(UInt64(reach.prefix.length) + 7) / 8 {
            writer.u8(UInt8(truncatingIfNeeded: i < 8 ? address.high >> (56 - 8 * i) : address.low >> (120 - 8 * i)))
        }
        writeSubTLVs(sub, into: &writer)
    }

    private static func subTLVs(tag: UInt32, flags: ReachFlags) -> [UInt8] {
        var writer = ByteWriter()
        if tag != 0 {
            writer.u8(PrefixSubTLV.tag)
            writer.u8(4)
            writer.u32(tag)
        }
        var bits: UInt8 = 0
        if flags.contains(.external) { bits |= 0x80 }
        if flags.contains(.readvertised) { bits |= 0x40 }
        if flags.contains(.node) { bits |= 0x20 }
        if bits != 0 {
            writer.u8(PrefixSubTLV.attributeFlags)
            writer.u8(1)
            writer.u8(bits)
        }
        return writer.bytes
    }

    private static func writeSubTLVs(_ sub: [UInt8], into writer: inout ByteWriter) {
        guard !sub.isEmpty else { return }
        writer.u8(UInt8(sub.count))
        writer.append(sub)
    }
}
