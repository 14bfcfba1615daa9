import Wire

/// RFC 791 §3.1. Options are stepped over; nothing here obeys a source route.
struct IPv4Header: Equatable {
    static let length = 20

    var source: IPv4Address
    var destination: IPv4Address
    var protocolNumber: UInt8
    var hopLimit: UInt8
    /// The DSCP, 0…63, and ECN's two bits below it.
    var trafficClass: UInt8 = 0
    var identification: UInt16 = 0
    var mayFragment = false
    var moreFragments = false
    /// In octets, a multiple of 8.
    var fragmentOffset = 0

    var isFragment: Bool { moreFragments || fragmentOffset != 0 }

    init(
        source: IPv4Address, destination: IPv4Address, protocolNumber: UInt8, hopLimit: UInt8, trafficClass: UInt8 = 0
    ) {
        self.source = source
        self.destination = destination
        self.protocolNumber = protocolNumber
        self.hopLimit = hopLimit
        self.trafficClass = trafficClass
    }

    /// Reads a header and leaves `r` at the payload; `payloadLength` is what the total length says, never more than is there.
    /// Ethernet pads short frames, so `r` may have more.
    @_lifetime(r: copy r)
    init(from r: inout ByteReader, payloadLength: inout Int) throws(DecodeError) {
        let start = r.position
        let whole = r.bytes.extracting(droppingFirst: start)
        let first = try r.u8("IPv4 version")
        guard first >> 4 == 4 else { throw DecodeError("IPv4 version", at: start, .unsupported) }
        let headerLength = Int(first & 15) * 4
        guard headerLength >= Self.length else { throw DecodeError("IPv4 header length", at: start, .badLength) }
        trafficClass = try r.u8("IPv4 traffic class")
        let total = Int(try r.u16("IPv4 total length"))
        identification = try r.u16("IPv4 identification")
        let fragment = try r.u16("IPv4 fragment offset")
        mayFragment = fragment & 0x4000 == 0
        moreFragments = fragment & 0x2000 != 0
        fragmentOffset = Int(fragment & 0x1fff) * 8
        hopLimit = try r.u8("IPv4 TTL")
        protocolNumber = try r.u8("IPv4 protocol")
        try r.skip(2, "IPv4 checksum")
        source = try r.ipv4("IPv4 source")
        destination = try r.ipv4("IPv4 destination")
        try r.skip(headerLength - Self.length, "IPv4 options")
        guard total >= headerLength, total <= whole.byteCount else {
            throw DecodeError("IPv4 total length", at: start + 2, .badLength)
        }
        payloadLength = total - headerLength
        var checksum = InternetChecksum()
        checksum.add(whole.extracting(first: headerLength))
        guard checksum.folded == 0xffff else { throw DecodeError("IPv4 checksum", at: start + 10, .badChecksum) }
    }

    /// Writes a header without options, checksum included.
    func write(to w: inout ByteWriter, payloadLength: Int) {
        let start = w.count
        w.u8(0x45)
        w.u8(trafficClass)
        w.u16(UInt16(truncatingIfNeeded: Self.length + payloadLength))
        w.u16(identification)
        w.u16((mayFragment ? 0 : 0x4000) | (moreFragments ? 0x2000 : 0) | UInt16(fragmentOffset / 8))
        w.u8(hopLimit)
        w.u8(protocolNumber)
        w.u16(0)
        w.ipv4(source)
        w.ipv4(destination)
        var checksum = InternetChecksum()
        checksum.add(w.bytes.span.bytes.extracting(droppingFirst: start))
        w.patch16(start + 10, checksum.value)
    }
}
