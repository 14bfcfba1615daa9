import Wire

/// RFC 8200 §3.
struct IPv6Header: Equatable {
    static let length = 40

    var source: IPv6Address
    var destination: IPv6Address
    var nextHeader: UInt8
    var hopLimit: UInt8
    var trafficClass: UInt8 = 0

    init(
        source: IPv6Address, destination: IPv6Address, nextHeader: UInt8, hopLimit: UInt8, trafficClass: UInt8 = 0
    ) {
        self.source = source
        self.destination = destination
        self.nextHeader = nextHeader
        self.hopLimit = hopLimit
        self.trafficClass = trafficClass
    }

    /// Reads the header and leaves `r` behind it; `payloadLength` includes extension headers. Ethernet may pad.
    @_lifetime(r: copy r)
    init(from r: inout ByteReader, payloadLength: inout Int) throws(DecodeError) {
        let start = r.offset
        let word = try r.u32("IPv6 version")
        guard word >> 28 == 6 else { throw DecodeError("IPv6 version", at: start, .unsupported) }
        trafficClass = UInt8(truncatingIfNeeded: word >> 20)
        payloadLength = Int(try r.u16("IPv6 payload length"))
        nextHeader = try r.u8("IPv6 next header")
        hopLimit = try r.u8("IPv6 hop limit")
        source = try r.ipv6("IPv6 source")
        destination = try r.ipv6("IPv6 destination")
        guard payloadLength <= r.remaining else { throw DecodeError("IPv6 payload length", at: start + 4, .badLength) }
    }

    func write(to w: inout ByteWriter, payloadLength: Int) {
        w.u32(6 << 28 | UInt32(trafficClass) << 20)
        w.u16(UInt16(truncatingIfNeeded: payloadLength))
        w.u8(nextHeader)
        w.u8(hopLimit)
        w.ipv6(source)
        w.ipv6(destination)
    }
}

/// RFC 8200 §4: the extension headers that a host steps over on its way to the upper layer.
enum ExtensionHeader {
    static let hopByHop: UInt8 = 0
    static let routing: UInt8 = 43
    static let fragment: UInt8 = 44
    static let none: UInt8 = 59
    static let destinationOptions: UInt8 = 60

    /// Extension headers in one packet; RFC 8504 §5.3 lets a host bound them.
    static let headersMaximum = 8
    /// Options in one header, RFC 8504 §5.3.
    static let optionsMaximum = 8

    /// Steps over one header of `kind`, which is not a fragment header, and returns what comes next.
    /// It throws when the packet must be dropped, be it malformed or not for us to obey.
    @_lifetime(r: copy r)
    static func skip(_ kind: UInt8, _ r: inout ByteReader) throws(DecodeError) -> UInt8 {
        let start = r.offset
        let next = try r.u8("extension next header")
        let length = Int(try r.u8("extension length")) * 8 + 6
        var body = try r.reader(length, "extension header")
        if kind == routing {
            try body.skip(1, "routing type")
            // RFC 8200 §4.4: with no segments left an unknown type is stepped over. We route for nobody here.
            guard try body.u8("segments left") == 0 else { throw DecodeError("segments left", at: start + 3, .unsupported) }
            return next
        }
        var options = 0
        while !body.isAtEnd {
            let type = try body.u8("option type")
            if type == 0 { continue }
            let size = Int(try body.u8("option length"))
            try body.skip(size, "option")
            options += 1
            guard options <= optionsMaximum else { throw DecodeError("options", at: start, .badValue) }
            // RFC 8200 §4.2: the two highest bits say whether who does not know an option may go on. PadN has 00, and
            // so has RFC 2711's router alert.
            guard type >> 6 == 0 else { throw DecodeError("option type", at: start, .unsupported) }
        }
        return next
    }
}
