import Wire

/// RFC 5250 §3: what an opaque LSA's Link State ID holds.
public struct OpaqueID: Hashable, Sendable, BitwiseCopyable {
    public var type: UInt8
    /// 24 bits.
    public var id: UInt32

    /// RFC 3623 Appendix A
    public static let grace: UInt8 = 3
    /// RFC 7770 §2.2
    public static let routerInformation: UInt8 = 4

    public init(type: UInt8, id: UInt32) {
        self.type = type
        self.id = id & 0xff_ffff
    }
    public init(linkStateID: UInt32) {
        type = UInt8(linkStateID >> 24)
        id = linkStateID & 0xff_ffff
    }
    public var linkStateID: UInt32 { UInt32(type) << 24 | id }
}

/// RFC 3623 Appendix A, RFC 5187 §2.2: a router is about to restart, or has, and asks to be kept.
public struct GraceLSABody: Hashable, Sendable {
    /// RFC 3623 Appendix A.
    public enum Reason: UInt8, Hashable, Sendable {
        case unknown = 0
        case softwareRestart = 1
        case softwareUpgrade = 2
        case switchover = 3
    }
    /// Seconds.
    public var period: UInt32
    public var reason: UInt8
    /// OSPFv2: which of the link's routers it is, on networks that are not point-to-point.
    public var address: IPv4Address?

    public init(period: UInt32, reason: UInt8, address: IPv4Address? = nil) {
        self.period = period
        self.reason = reason
        self.address = address
    }

    /// Period and reason must be there; TLVs that are not known are passed over.
    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader) throws(DecodeError) {
        var period: UInt32?
        var reason: UInt8?
        address = nil
        while reader.remaining >= 4 {
            let type = try reader.u16("TLV type")
            let length = try reader.u16("TLV length")
            // RFC 3623 Appendix A: values are padded to words of four octets.
            let padded = (Int(length) + 3) & ~3
            var value = try reader.reader(padded, "TLV")
            switch (type, length) {
            case (1, 4): period = try value.u32("grace period")
            case (2, 1): reason = try value.u8("restart reason")
            case (3, 4): address = try value.ipv4("IP interface address")
            case (1, _), (2, _), (3, _): throw DecodeError("TLV length", at: value.offset - 2, .badLength)
            default: break
            }
        }
        guard let period, let reason else { throw DecodeError("grace TLVs", at: reader.offset, .truncated) }
        self.period = period
        self.reason = reason
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 24)
        writer.u16(1)
        writer.u16(4)
        writer.u32(period)
        writer.u16(2)
        writer.u16(1)
        writer.u8(reason)
        writer.zeros(3)
        if let address {
            writer.u16(3)
            writer.u16(4)
            writer.ipv4(address)
        }
        return writer.bytes
    }
}

/// RFC 7770 §2.3, §2.4: what a router says it can do.
public struct RouterInformationLSABody: Hashable, Sendable {
    public struct Capabilities: OptionSet, Hashable, Sendable {
        public var rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        // RFC 7770 §2.4 counts bits from the most significant.
        public static let gracefulRestart = Capabilities(rawValue: 1 << 31)
        public static let gracefulRestartHelper = Capabilities(rawValue: 1 << 30)
        public static let stubRouter = Capabilities(rawValue: 1 << 29)
    }
    public var capabilities: Capabilities

    public init(capabilities: Capabilities) { self.capabilities = capabilities }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader) throws(DecodeError) {
        capabilities = []
        while reader.remaining >= 4 {
            let type = try reader.u16("TLV type")
            let length = try reader.u16("TLV length")
            var value = try reader.reader((Int(length) + 3) & ~3, "TLV")
            // RFC 7770 §2.4: one capabilities TLV, the first; longer than what is known is no fault.
            if type == 1, length >= 4, capabilities.isEmpty {
                capabilities = Capabilities(rawValue: try value.u32("capabilities"))
            }
        }
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 8)
        writer.u16(1)
        writer.u16(4)
        writer.u32(capabilities.rawValue)
        return writer.bytes
    }
}
