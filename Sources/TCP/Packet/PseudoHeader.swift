import Wire

/// What the checksum and signatures of TCP cover besides the segment: RFC 9293 §3.1 for IPv4, RFC 8200 §8.1 for IPv6.
struct PseudoHeader: Sendable, BitwiseCopyable {
    static let protocolNumber: UInt8 = 6

    var source: IPAddress
    var destination: IPAddress
    /// Octets of TCP header, options and payload.
    var length: Int

    @inline(__always)
    func sum(into checksum: inout InternetChecksum) {
        Self.add(source, to: &checksum)
        Self.add(destination, to: &checksum)
        checksum.add32(UInt32(Self.protocolNumber))
        checksum.add32(UInt32(truncatingIfNeeded: length))
    }

    @inline(__always)
    private static func add(_ address: IPAddress, to checksum: inout InternetChecksum) {
        switch address {
        case .v4(let a):
            checksum.add32(a.raw)
        case .v6(let a):
            checksum.add32(UInt32(truncatingIfNeeded: a.high >> 32))
            checksum.add32(UInt32(truncatingIfNeeded: a.high))
            checksum.add32(UInt32(truncatingIfNeeded: a.low >> 32))
            checksum.add32(UInt32(truncatingIfNeeded: a.low))
        }
    }

    /// The octets that a signature digests first. RFC 2385 names only IPv4; for IPv6 the pseudo-header of RFC 8200 stands in
    /// its place, as every implementation has it.
    func write(to writer: inout ByteWriter) {
        switch (source, destination) {
        case (.v4(let s), .v4(let d)):
            writer.ipv4(s)
            writer.ipv4(d)
            writer.u8(0)
            writer.u8(Self.protocolNumber)
            writer.u16(UInt16(truncatingIfNeeded: length))
        default:
            for address in [source, destination] {
                switch address {
                case .v6(let a): writer.ipv6(a)
                case .v4(let a): writer.ipv6(IPv6Address(high: 0, low: 0xffff_0000_0000 | UInt64(a.raw)))
                }
            }
            writer.u32(UInt32(truncatingIfNeeded: length))
            writer.u32(UInt32(Self.protocolNumber))
        }
    }

    enum Verdict { case valid, unfinished, wrong }

    /// Judges a received segment's checksum. A sender that leaves the sum to its hardware puts the folded pseudo-header sum
    /// into the field, and a veth pair hands it over like that (DESIGN §10).
    func judge(_ segment: RawSpan, field: UInt16) -> Verdict {
        var pseudo = InternetChecksum()
        sum(into: &pseudo)
        var whole = pseudo
        whole.add(segment)
        // A right checksum makes the whole sum -0.
        if whole.folded == 0xffff { return .valid }
        return field == pseudo.folded ? .unfinished : .wrong
    }
}
