import Wire

/// RFC 5340 A.4.1: an address prefix as OSPFv3 writes it, with its options. RFC 5838 §2: IPv4 in an IPv4 instance.
public struct LSAPrefix: Hashable, Sendable, BitwiseCopyable {
    /// RFC 5340 A.4.1.1
    public struct Options: OptionSet, Hashable, Sendable, BitwiseCopyable {
        public var rawValue: UInt8
        @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// NU: not for unicast calculations.
        public static let noUnicast = Options(rawValue: 0x01)
        /// LA: an address of the advertising router.
        public static let localAddress = Options(rawValue: 0x02)
        /// P: NSSA prefixes with it are translated.
        public static let propagate = Options(rawValue: 0x08)
        /// DN (RFC 6565).
        public static let down = Options(rawValue: 0x10)
    }
    public var prefix: IPPrefix
    public var options: Options
    /// Of an intra-area-prefix LSA; 0 elsewhere, where the field is reserved or says something else.
    public var metric: UInt16

    public init(_ prefix: IPPrefix, options: Options = [], metric: UInt16 = 0) {
        self.prefix = prefix
        self.options = options
        self.metric = metric
    }

    /// Reads length, options, the sixteen bits that mean something else in every LSA, and the address.
    @_lifetime(reader: copy reader)
    init(from reader: inout ByteReader, family: AddressFamily) throws(DecodeError) {
        let at = reader.offset
        let length = try reader.u8("prefix length")
        options = Options(rawValue: try reader.u8("prefix options"))
        metric = try reader.u16("prefix metric")
        guard length <= (family == .ipv4 ? 32 : 128) else { throw DecodeError("prefix length", at: at, .badValue) }
        var words: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        if length > 0 { words.0 = try reader.u32("prefix") }
        if length > 32 { words.1 = try reader.u32("prefix") }
        if length > 64 { words.2 = try reader.u32("prefix") }
        if length > 96 { words.3 = try reader.u32("prefix") }
        switch family {
        case .ipv4: prefix = .v4(IPv4Prefix(IPv4Address(raw: words.0), length))
        case .ipv6:
            let address = IPv6Address(
                high: UInt64(words.0) << 32 | UInt64(words.1), low: UInt64(words.2) << 32 | UInt64(words.3))
            prefix = .v6(IPv6Prefix(address, length))
        }
    }

    func write(to writer: inout ByteWriter, third: UInt16) {
        writer.u8(prefix.length)
        writer.u8(options.rawValue)
        writer.u16(third)
        let words = (Int(prefix.length) + 31) / 32
        switch prefix {
        case .v4(let prefix): if words > 0 { writer.u32(prefix.address.raw) }
        case .v6(let prefix):
            for i in 0..<words {
                let half = i < 2 ? prefix.address.high : prefix.address.low
                writer.u32(UInt32(truncatingIfNeeded: half >> (i % 2 == 0 ? 32 : 0)))
            }
        }
    }
}

/// RFC 2328 A.4.4 (type 3), RFC 5340 A.4.5: a network in another area.
public struct InterAreaPrefixLSABody: Hashable, Sendable {
    /// 24 bits; LSInfinity is no path.
    public var metric: UInt32
    public var prefix: IPPrefix
    /// OSPFv3.
    public var prefixOptions: LSAPrefix.Options

    /// RFC 2328 Appendix B LSInfinity
    public static let infinity: UInt32 = 0xff_ffff

    public init(metric: UInt32, prefix: IPPrefix, prefixOptions: LSAPrefix.Options = []) {
        self.metric = metric
        self.prefix = prefix
        self.prefixOptions = prefixOptions
    }

    @_lifetime(reader: copy reader)
    public init(
        from reader: inout ByteReader, version: OSPFVersion, family: AddressFamily, linkStateID: UInt32
    ) throws(DecodeError) {
        switch version {
        case .v2:
            let mask = try reader.u32("network mask")
            guard isMask(mask) else { throw DecodeError("network mask", at: reader.offset - 4, .badValue) }
            prefix = .v4(OSPF.prefix(linkStateID, mask: mask))
            prefixOptions = []
            metric = try reader.u32("metric") & 0xff_ffff
        case .v3:
            metric = try reader.u32("metric") & 0xff_ffff
            let described = try LSAPrefix(from: &reader, family: family)
            prefix = described.prefix
            prefixOptions = described.options
        }
    }

    public func encoded(version: OSPFVersion) -> [UInt8] {
        var writer = ByteWriter(capacity: 28)
        switch version {
        case .v2:
            writer.u32(IPv4Prefix.mask(prefix.length))
            writer.u32(min(metric, Self.infinity))
        case .v3:
            writer.u32(min(metric, Self.infinity))
            LSAPrefix(prefix, options: prefixOptions).write(to: &writer, third: 0)
        }
        return writer.bytes
    }
}

/// RFC 2328 A.4.4 (type 4), RFC 5340 A.4.6: an AS boundary router in another area.
public struct InterAreaRouterLSABody: Hashable, Sendable {
    public var metric: UInt32
    public var router: UInt32
    /// OSPFv3: the options of that router.
    public var options: OSPFOptions

    public init(metric: UInt32, router: UInt32, options: OSPFOptions = []) {
        self.metric = metric
        self.router = router
        self.options = options
    }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion, linkStateID: UInt32) throws(DecodeError) {
        let word = try reader.u32("network mask or options")
        metric = try reader.u32("metric") & 0xff_ffff
        switch version {
        case .v2:
            options = []
            router = linkStateID
        case .v3:
            options = OSPFOptions(rawValue: word & 0xff_ffff)
            router = try reader.u32("destination router ID")
        }
    }

    public func encoded(version: OSPFVersion) -> [UInt8] {
        var writer = ByteWriter(capacity: 12)
        writer.u32(version == .v2 ? 0 : options.rawValue & 0xff_ffff)
        writer.u32(min(metric, InterAreaPrefixLSABody.infinity))
        if version == .v3 { writer.u32(router) }
        return writer.bytes
    }
}

/// RFC 2328 A.4.5, RFC 3101 Appendix B, RFC 5340 A.4.7 and A.4.8: a destination outside the AS, of type 5 or 7.
public struct ExternalLSABody: Hashable, Sendable {
    public var prefix: IPPrefix
    /// OSPFv3; the P-bit of OSPFv2's type 7 is in the header.
    public var prefixOptions: LSAPrefix.Options
    /// E: a type 2 metric, greater than any path within the AS.
    public var isType2: Bool
    /// 24 bits; LSInfinity is no path.
    public var metric: UInt32
    /// `nil`: packets go to the originator.
    public var forwardingAddress: IPAddress?
    public var tag: UInt32

    public init(
        prefix: IPPrefix, prefixOptions: LSAPrefix.Options = [], isType2: Bool, metric: UInt32,
        forwardingAddress: IPAddress? = nil, tag: UInt32 = 0
    ) {
        self.prefix = prefix
        self.prefixOptions = prefixOptions
        self.isType2 = isType2
        self.metric = metric
        self.forwardingAddress = forwardingAddress
        self.tag = tag
    }

    @_lifetime(reader: copy reader)
    public init(
        from reader: inout ByteReader, version: OSPFVersion, family: AddressFamily, linkStateID: UInt32
    ) throws(DecodeError) {
        switch version {
        case .v2:
            let mask = try reader.u32("network mask")
            guard isMask(mask) else { throw DecodeError("network mask", at: reader.offset - 4, .badValue) }
            prefix = .v4(OSPF.prefix(linkStateID, mask: mask))
            prefixOptions = []
            let word = try reader.u32("metric")
            isType2 = word >> 31 == 1
            metric = word & 0xff_ffff
            let address = try reader.ipv4("forwarding address")
            forwardingAddress = address == .any ? nil : .v4(address)
            tag = try reader.u32("external route tag")
        case .v3:
            let word = try reader.u32("metric")
            isType2 = word >> 26 & 1 == 1
            metric = word & 0xff_ffff
            let described = try LSAPrefix(from: &reader, family: family)
            prefix = described.prefix
            prefixOptions = described.options
            forwardingAddress = nil
            if word >> 25 & 1 == 1 {
                let address = try reader.ipv6("forwarding address")
                // RFC 5838 §2.5: an IPv4 address fills the first four octets.
                let v4 = IPv4Address(raw: UInt32(truncatingIfNeeded: address.high >> 32))
                switch family {
                case .ipv4: forwardingAddress = v4 == .any ? nil : .v4(v4)
                case .ipv6: forwardingAddress = address == .any ? nil : .v6(address)
                }
            }
            tag = word >> 24 & 1 == 1 ? try reader.u32("external route tag") : 0
        // A referenced LSA may follow; nothing is known that uses it.
        }
    }

    public func encoded(version: OSPFVersion) -> [UInt8] {
        var writer = ByteWriter(capacity: 48)
        let metric = min(metric, InterAreaPrefixLSABody.infinity)
        switch version {
        case .v2:
            writer.u32(IPv4Prefix.mask(prefix.length))
            writer.u32((isType2 ? 1 << 31 : 0) | metric)
            if case .v4(let address)? = forwardingAddress { writer.ipv4(address) } else { writer.u32(0) }
            writer.u32(tag)
        case .v3:
            let flags: UInt32 = (isType2 ? 4 : 0) | (forwardingAddress != nil ? 2 : 0) | (tag != 0 ? 1 : 0)
            writer.u32(flags << 24 | metric)
            LSAPrefix(prefix, options: prefixOptions).write(to: &writer, third: 0)
            writer.address128(forwardingAddress)
            if tag != 0 { writer.u32(tag) }
        }
        return writer.bytes
    }
}

/// RFC 5340 A.4.9: what a router is on one link.
public struct LinkLSABody: Hashable, Sendable {
    public var priority: UInt8
    public var options: OSPFOptions
    /// Its link-local address; its IPv4 address in an IPv4 instance (RFC 5838 §2.5).
    public var address: IPAddress
    public var prefixes: [LSAPrefix]

    public init(priority: UInt8, options: OSPFOptions, address: IPAddress, prefixes: [LSAPrefix]) {
        self.priority = priority
        self.options = options
        self.address = address
        self.prefixes = prefixes
    }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, family: AddressFamily) throws(DecodeError) {
        priority = try reader.u8("router priority")
        options = OSPFOptions(rawValue: try reader.u24("options"))
        let raw = try reader.ipv6("link-local address")
        switch family {
        case .ipv4: address = .v4(IPv4Address(raw: UInt32(truncatingIfNeeded: raw.high >> 32)))
        case .ipv6: address = .v6(raw)
        }
        let count = try reader.u32("number of prefixes")
        guard count <= UInt32(truncatingIfNeeded: reader.remaining / 4) else {
            throw DecodeError("number of prefixes", at: reader.offset - 4, .badLength)
        }
        prefixes = []
        prefixes.reserveCapacity(Int(count))
        for _ in 0..<count { prefixes.append(try LSAPrefix(from: &reader, family: family)) }
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 24 + 20 * prefixes.count)
        writer.u8(priority)
        writer.u24(options.rawValue)
        writer.address128(address)
        writer.u32(UInt32(prefixes.count))
        for prefix in prefixes { prefix.write(to: &writer, third: 0) }
        return writer.bytes
    }
}

/// RFC 5340 A.4.10: prefixes of a router or of a network.
public struct IntraAreaPrefixLSABody: Hashable, Sendable {
    /// The router or network LSA that the prefixes belong to. For a router the Link State ID is 0.
    public var reference: LSAKey
    public var prefixes: [LSAPrefix]

    public init(reference: LSAKey, prefixes: [LSAPrefix]) {
        self.reference = reference
        self.prefixes = prefixes
    }

    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, family: AddressFamily) throws(DecodeError) {
        let count = try reader.u16("number of prefixes")
        let type = LSAType(rawValue: try reader.u16("referenced LS type"))
        let id = try reader.u32("referenced link state ID")
        reference = LSAKey(
            type: type, linkStateID: id, advertisingRouter: try reader.u32("referenced advertising router"))
        guard Int(count) <= reader.remaining / 4 else {
            throw DecodeError("number of prefixes", at: reader.offset - 12, .badLength)
        }
        prefixes = []
        prefixes.reserveCapacity(Int(count))
        for _ in 0..<count { prefixes.append(try LSAPrefix(from: &reader, family: family)) }
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: 12 + 20 * prefixes.count)
        writer.u16(UInt16(clamping: prefixes.count))
        writer.u16(reference.type.rawValue)
        writer.u32(reference.linkStateID)
        writer.u32(reference.advertisingRouter)
        for prefix in prefixes { prefix.write(to: &writer, third: prefix.metric) }
        return writer.bytes
    }
}

extension ByteWriter {
    /// Sixteen octets for an address; an IPv4 address fills the first four; nothing for none.
    mutating func address128(_ address: IPAddress?) {
        switch address {
        case nil: break
        case .v6(let address)?: ipv6(address)
        case .v4(let address)?:
            ipv4(address)
            zeros(12)
        }
    }
}
