import Digests
import Wire

/// An LSA as it is stored and flooded: its octets, and its header taken apart once.
public struct LSA: Hashable, Sendable {
    public private(set) var header: LSAHeader
    /// The whole LSA, header included, with the age that `header` says.
    public private(set) var octets: [UInt8]

    public var key: LSAKey { header.key }

    /// Takes an LSA out of an update: as many octets as its header says. The checksum is not looked at (RFC 2328 §13
    /// (1) is the flooding's step, and its own reason to count).
    @_lifetime(reader: copy reader)
    public init(from reader: inout ByteReader, version: OSPFVersion) throws(DecodeError) {
        var ahead = reader
        header = try LSAHeader(from: &ahead, version: version)
        octets = try reader.array(Int(header.length), "LSA")
    }

    /// Makes an LSA of its parts: length and checksum are worked out here.
    ///
    /// - Parameter body: what follows the header; at most 65,515 octets.
    public init(
        version: OSPFVersion, key: LSAKey, options: UInt8 = 0, sequence: Int32 = LSAHeader.initialSequence,
        age: UInt16 = 0, body: [UInt8]
    ) {
        precondition(body.count <= Int(UInt16.max) - LSAHeader.size, "an LSA has at most 65,535 octets")
        header = LSAHeader(
            age: age, options: options, key: key, sequence: sequence, checksum: 0,
            length: UInt16(LSAHeader.size + body.count))
        var writer = ByteWriter(capacity: LSAHeader.size + body.count)
        header.write(to: &writer, version: version)
        writer.append(body)
        header.checksum = FletcherChecksum.compute(
            writer.bytes.span.bytes, from: 2, field: LSAHeader.checksumOffset)
        writer.patch16(LSAHeader.checksumOffset, header.checksum)
        octets = writer.bytes
    }

    /// RFC 2328 §12.1.7: a checksum of zero is a failure, too.
    public var isChecksumValid: Bool { header.checksum != 0 && FletcherChecksum.isValid(octets.span.bytes, from: 2) }

    /// Changes the age alone, which the checksum does not cover.
    public mutating func setAge(_ age: UInt16) {
        header.age = age
        octets[0] = UInt8(age >> 8)
        octets[1] = UInt8(age & 0xff)
    }

    /// The body, for a decoder. Offsets in errors count from the start of the LSA.
    public var body: ByteReader {
        @_lifetime(borrow self)
        get {
            let bytes = octets.span.bytes
            return ByteReader(bytes.extracting(LSAHeader.size..<bytes.byteCount), base: LSAHeader.size)
        }
    }

    /// Whether body and options say the same, so that a refresh and not a change happened (RFC 2328 §13.2's question).
    public func hasSameContent(as other: LSA) -> Bool {
        guard header.length == other.header.length, header.options == other.header.options,
            header.isMaxAge == other.header.isMaxAge
        else { return false }
        return octets[LSAHeader.size...] == other.octets[LSAHeader.size...]
    }
}
