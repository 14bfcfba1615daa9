import Digests
import Wire

/// A scheme that signs segments in an option. MD5 (RFC 2385) is the first; TCP-AO (RFC 5925) takes its place beside it.
///
/// `sequenceExtension` is RFC 5925 §6.2's SNE: the upper half of a 64-bit sequence number. This stack counts stream
/// offsets in 64 bits, so it can always name it; MD5 has no use for it.
protocol SegmentSignature: Sendable {
    static var optionKind: UInt8 { get }
    /// Kind, length and all that follows, in octets.
    static var optionLength: Int { get }

    /// The digest of a whole segment, whose checksum field and signature are taken as zero or absent as the scheme says.
    func digest(of segment: RawSpan, headerLength: Int, pseudoHeader: PseudoHeader, sequenceExtension: UInt32)
        -> InlineArray<16, UInt8>
}

/// RFC 2385: the digest over pseudo-header, header without options, payload and key.
struct MD5Signature: SegmentSignature, Equatable {
    static let optionKind = SegmentHeader.Option.md5Signature
    static let optionLength = 18

    let key: [UInt8]

    /// `nil` for an empty key, which means "no signature".
    init?(key: [UInt8]) {
        guard !key.isEmpty else { return nil }
        self.key = key
    }

    func digest(of segment: RawSpan, headerLength: Int, pseudoHeader: PseudoHeader, sequenceExtension: UInt32)
        -> InlineArray<16, UInt8>
    {
        var md5 = MD5()
        // RFC 2385 §2.0 (1) the pseudo-header, (2) the header without options and with a checksum of zero.
        var head = ByteWriter(capacity: 64)
        pseudoHeader.write(to: &head)
        head.append(segment.extracting(0..<16))
        head.u16(0)
        head.append(segment.extracting(18..<20))
        md5.update(head.bytes.span.bytes)
        // (3) the payload, (4) the key.
        md5.update(segment.extracting(headerLength..<segment.byteCount))
        md5.update(key.span.bytes)
        return md5.finish()
    }

    /// Whether a received segment carries the digest that it should.
    func accepts(_ segment: RawSpan, _ header: SegmentHeader, source: IPAddress, destination: IPAddress) -> Bool {
        guard header.md5Offset > 0 else { return false }
        let pseudo = PseudoHeader(source: source, destination: destination, length: segment.byteCount)
        let right = digest(
            of: segment, headerLength: header.headerLength, pseudoHeader: pseudo, sequenceExtension: 0)
        return equalInConstantTime(
            right.span.bytes, segment.extracting(header.md5Offset..<(header.md5Offset + right.count)))
    }
}
