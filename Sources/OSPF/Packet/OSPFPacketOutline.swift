import Machine
import Records
import Routing
import Wire

/// Where the parts of an OSPF packet are, read with nothing but the lengths in it. Apart from the decoders on purpose: an
/// octet string that was fatal to those must not meet them again to be recognised.
struct OSPFPacketOutline {
    private let bytes: [UInt8]
    private let version: OSPFVersion
    /// RFC 2328 A.3.1: not necessarily one that there is.
    let type: UInt8
    /// OSPFv3; 0 in OSPFv2.
    let instanceID: UInt8
    private let body: Range<Int>
    /// Of a Link State Update whose LSAs can be told apart.
    let lsas: [Range<Int>]?

    /// `nil` for what is not even a header, or has a length that does not fit it.
    init?(_ bytes: [UInt8], version: OSPFVersion) {
        let size = OSPFPacketHeader.size(version)
        guard bytes.count >= size, bytes[0] == version.rawValue else { return nil }
        let end = Int(bytes[2]) << 8 | Int(bytes[3])
        guard end >= size, end <= bytes.count else { return nil }
        self.bytes = bytes
        self.version = version
        type = bytes[1]
        instanceID = version == .v3 ? bytes[14] : 0
        body = size..<end
        lsas = type == OSPFPacketType.linkStateUpdate.rawValue ? Self.lsas(bytes, body) : nil
    }

    private static func lsas(_ bytes: [UInt8], _ body: Range<Int>) -> [Range<Int>]? {
        guard body.count >= LinkStateUpdatePacket.fixedSize else { return nil }
        var ranges: [Range<Int>] = []
        var at = body.lowerBound + LinkStateUpdatePacket.fixedSize
        while at < body.upperBound {
            guard body.upperBound - at >= LSAHeader.size else { return nil }
            let length = Int(bytes[at + 18]) << 8 | Int(bytes[at + 19])
            guard length >= LSAHeader.size, body.upperBound - at >= length else { return nil }
            ranges.append(at..<(at + length))
            at += length
        }
        return ranges
    }

    // MARK: forms

    /// What the LSA is known by: its content, which stays when it is refreshed; its instance; and its name.
    func form(of lsa: Range<Int>) -> FatalForm {
        let at = lsa.lowerBound
        let name = Self.name(
            type: version == .v2 ? UInt16(bytes[at + 3]) : UInt16(bytes[at + 2]) << 8 | UInt16(bytes[at + 3]),
            u32(at + 4), u32(at + 8), version)
        let content = seededHash(
            bytes.span.bytes.extracting((at + LSAHeader.size)..<lsa.upperBound),
            seed: name &+ (version == .v2 ? UInt64(bytes[at + 2]) : 0))
        let instance = Self.instance(name, sequence: u32(at + 12), checksum: UInt16(bytes[at + 16]) << 8 | UInt16(bytes[at + 17]))
        return FatalForm(exact: [content, instance], common: name)
    }

    /// What can be known again of an LSA by its header alone.
    static func form(of header: LSAHeader, version: OSPFVersion) -> FatalForm {
        let key = header.key
        let name = name(type: key.type.rawValue, key.linkStateID, key.advertisingRouter, version)
        return FatalForm(
            exact: [instance(name, sequence: UInt32(bitPattern: header.sequence), checksum: header.checksum)], common: name)
    }

    private static func name(type: UInt16, _ id: UInt32, _ router: UInt32, _ version: OSPFVersion) -> UInt64 {
        seededHash(UInt64(type) << 8 | UInt64(version.rawValue), UInt64(id) << 32 | UInt64(router), seed: 0x4c53_4100)
    }

    private static func instance(_ name: UInt64, sequence: UInt32, checksum: UInt16) -> UInt64 {
        seededHash(UInt64(sequence), UInt64(checksum), seed: name)
    }

    /// What any other packet is known by: its sender, its type, and of its body what the sender does not change when it
    /// begins anew. A second form of a type makes all packets of this type known.
    func form(from source: UInt64) -> FatalForm {
        let kind = seededHash(source, UInt64(type), seed: 0x4f53_5046)
        let fixed: Range<Int>
        switch OSPFPacketType(rawValue: type) {
        case .hello:
            // Without Designated Router, Backup and neighbours, which are about others and about us.
            fixed = body.prefix(12)
            return FatalForm(exact: [digest([fixed], kind)], common: kind)
        case .databaseDescription:
            // Without flags and sequence number.
            fixed = body.prefix(version == .v2 ? 3 : 6)
            let list = body.dropFirst(DatabaseDescriptionPacket.fixedSize(version))
            return FatalForm(exact: [digest([fixed] + withoutAges(list), kind)], common: kind)
        case .linkStateAcknowledgment:
            return FatalForm(exact: [digest(withoutAges(body), kind)], common: kind)
        case .linkStateRequest, .linkStateUpdate, nil:
            return FatalForm(exact: [digest([body], kind)], common: kind)
        }
    }

    /// LSA headers, each without its first two octets.
    private func withoutAges(_ list: Range<Int>) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var at = list.lowerBound
        while at < list.upperBound {
            let end = min(at + LSAHeader.size, list.upperBound)
            ranges.append(min(at + 2, end)..<end)
            at = end
        }
        return ranges
    }

    private func digest(_ ranges: [Range<Int>], _ seed: UInt64) -> UInt64 {
        ranges.reduce(seed &+ 1) { seededHash(bytes.span.bytes.extracting($1), seed: $0) }
    }

    private func u32(_ at: Int) -> UInt32 {
        UInt32(bytes[at]) << 24 | UInt32(bytes[at + 1]) << 16 | UInt32(bytes[at + 2]) << 8 | UInt32(bytes[at + 3])
    }

    /// The update with these LSAs and no others.
    func update(of kept: [Range<Int>]) -> [UInt8] {
        var octets = [UInt8](bytes[..<body.lowerBound])
        for shift in [24, 16, 8, 0] { octets.append(UInt8(kept.count >> shift & 255)) }
        for lsa in kept { octets += bytes[lsa] }
        return octets
    }

    /// The octets of an LSA's header.
    func header(of lsa: Range<Int>) -> LSAHeader? {
        var reader = ByteReader(bytes.span.bytes.extracting(lsa.prefix(LSAHeader.size)))
        return try? LSAHeader(from: &reader, version: version)
    }
}
