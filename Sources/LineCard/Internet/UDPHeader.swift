import Wire

/// RFC 768.
struct UDPHeader: Equatable {
    static let length = 8

    var sourcePort: UInt16
    var destinationPort: UInt16
    /// Octets behind the header.
    var payloadLength: Int
    var checksum: UInt16

    /// Reads the header; the datagram may be followed by octets that its length does not count.
    @_lifetime(r: copy r)
    init(from r: inout ByteReader) throws(DecodeError) {
        let start = r.offset
        sourcePort = try r.u16("UDP source port")
        destinationPort = try r.u16("UDP destination port")
        let length = Int(try r.u16("UDP length"))
        checksum = try r.u16("UDP checksum")
        guard length >= Self.length, length - Self.length <= r.remaining else {
            throw DecodeError("UDP length", at: start + 4, .badLength)
        }
        payloadLength = length - Self.length
    }

    /// The sum of RFC 768's or RFC 8200 §8.1's pseudo-header; `nil` for two families.
    static func pseudoHeader(from source: IPAddress, to destination: IPAddress, length: Int) -> InternetChecksum? {
        switch (source, destination) {
        case (.v4(let a), .v4(let b)):
            var sum = InternetChecksum()
            sum.add32(a.raw)
            sum.add32(b.raw)
            sum.add32(UInt32(UpperLayer.udp))
            sum.add32(UInt32(truncatingIfNeeded: length))
            return sum
        case (.v6(let a), .v6(let b)):
            return InternetChecksum(from: a, to: b, protocolNumber: UpperLayer.udp, length: length)
        default:
            return nil
        }
    }

    /// Whether a datagram, header and payload, may be believed. Over IPv4 a checksum of zero means that there is none;
    /// a sender that leaves the sum to its hardware puts the pseudo-header's into the field (DESIGN §10).
    static func isValid(_ datagram: RawSpan, checksum: UInt16, from source: IPAddress, to destination: IPAddress) -> Bool {
        guard let pseudo = pseudoHeader(from: source, to: destination, length: datagram.byteCount) else { return false }
        // RFC 8200 §8.1: over IPv6 there must be one.
        if checksum == 0 { return source.family == .ipv4 }
        var whole = pseudo
        whole.add(datagram)
        return whole.folded == 0xffff || checksum == pseudo.folded
    }

    /// A whole datagram; empty for two families or what no length field can hold.
    static func datagram(
        _ payload: [UInt8], from source: IPAddress, _ sourcePort: UInt16, to destination: IPAddress,
        _ destinationPort: UInt16
    ) -> [UInt8] {
        let length = Self.length + payload.count
        guard length <= 0xffff, var sum = pseudoHeader(from: source, to: destination, length: length) else { return [] }
        var w = ByteWriter(capacity: length)
        w.u16(sourcePort)
        w.u16(destinationPort)
        w.u16(UInt16(length))
        w.u16(0)
        w.append(payload)
        sum.add(w.bytes.span.bytes)
        // RFC 768: a sum of zero is sent as all ones.
        w.patch16(6, sum.value == 0 ? 0xffff : sum.value)
        return w.bytes
    }
}
