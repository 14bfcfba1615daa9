import Machine
import Routing
import Wire

/// Where the parts of a PDU are, read with nothing but the lengths in it. Apart from the decoders on purpose: octets that
/// were fatal to those must not meet them again to be recognised.
struct PDUOutline {
    private let bytes: [UInt8]
    let type: PDUType

    /// `nil` for what has no type that we know, or not even its fixed part.
    init?(_ bytes: [UInt8]) {
        guard let type = PDUHeader.peekType(bytes.span.bytes), bytes.count >= type.headerLength else { return nil }
        self.bytes = bytes
        self.type = type
    }

    // MARK: link state PDUs

    /// What a sequence numbers PDU would say of this LSP; `nil` for other PDUs.
    var lsp: (level: Level, entry: LSPEntry)? {
        guard type == .level1LSP || type == .level2LSP, let level = type.level else { return nil }
        let id = number(LSPHeader.idPosition, 8)
        return (
            level,
            LSPEntry(
                id: LSPID(raw: id), sequenceNumber: UInt32(truncatingIfNeeded: number(20, 4)),
                remainingLifetime: UInt16(truncatingIfNeeded: number(LSPHeader.lifetimePosition, 2)),
                checksum: UInt16(truncatingIfNeeded: number(LSPHeader.checksumPosition, 2)))
        )
    }

    /// What the LSP is known by: its content, which stays when it is refreshed; its instance; and its name.
    func form(_ level: Level, _ entry: LSPEntry) -> FatalForm {
        var form = Self.form(of: entry, level)
        // The end of an LSP has no content, and ends what is of that name here.
        guard entry.remainingLifetime != 0 else { return form }
        let length = Int(number(8, 2))
        let pdu = length >= LSPHeader.length && length < bytes.count ? [UInt8](bytes[..<length]) : bytes
        form.exact.append(LSPDatabase.contentHash(of: pdu, seed: Self.name(entry.id, level)))
        return form
    }

    /// What can be known again of an LSP by what a sequence numbers PDU says of it.
    static func form(of entry: LSPEntry, _ level: Level) -> FatalForm {
        let name = name(entry.id, level)
        let isPurge = entry.remainingLifetime == 0
        let instance = seededHash(
            UInt64(entry.sequenceNumber), UInt64(entry.checksum) << 1 | (isPurge ? 1 : 0), seed: name)
        return FatalForm(exact: [instance], common: isPurge ? nil : name)
    }

    private static func name(_ id: LSPID, _ level: Level) -> UInt64 {
        seededHash(id.raw, UInt64(level.rawValue), seed: 0x4c53_5000)
    }

    // MARK: the others

    /// What any other PDU is known by: its sender, its type, and what its sender does not change when it begins anew. A
    /// second form of a type makes all PDUs of this type known.
    func form(from source: UInt64) -> FatalForm {
        let kind = seededHash(source, UInt64(type.rawValue), seed: 0x4953_4953)
        var digest = StateDigest(kind)
        switch type {
        case .level1LSP, .level2LSP: digest.mix(bytes.span.bytes)
        case .level1LANHello, .level2LANHello, .pointToPointHello:
            // Circuit type and source; without the holding time, priority and who is designated.
            digest.mix(bytes.span.bytes.extracting(8..<15))
        case .level1CSNP, .level2CSNP, .level1PSNP, .level2PSNP: break
        }
        var at = type.headerLength
        while at + 2 <= bytes.count {
            let end = at + 2 + Int(bytes[at + 1])
            guard end <= bytes.count else {
                digest.mix(bytes.span.bytes.extracting(at..<bytes.count))
                break
            }
            mix(bytes[at], (at + 2)..<end, into: &digest)
            at = end
        }
        return FatalForm(exact: [digest.value], common: kind)
    }

    private func mix(_ code: UInt8, _ value: Range<Int>, into digest: inout StateDigest) {
        switch code {
        case TLVCode.lanNeighbors, TLVCode.padding, TLVCode.authentication, TLVCode.restart, TLVCode.threeWayAdjacency: return
        case TLVCode.lspEntries:
            // Without remaining lifetimes.
            var at = value.lowerBound
            while at < value.upperBound {
                let end = min(at + LSPEntry.octets, value.upperBound)
                digest.mix(bytes.span.bytes.extracting(min(at + 2, end)..<end))
                at = end
            }
        default:
            digest.mix(UInt64(code))
            digest.mix(bytes.span.bytes.extracting(value))
        }
    }

    private func number(_ at: Int, _ count: Int) -> UInt64 {
        bytes[at..<(at + count)].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
