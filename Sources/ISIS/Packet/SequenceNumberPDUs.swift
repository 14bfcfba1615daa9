import Records
import Wire

/// What a sequence numbers PDU says of an LSP (ISO 10589 §9.10).
public struct LSPEntry: Hashable, Comparable, Sendable, BitwiseCopyable {
    public var id: LSPID
    public var sequenceNumber: UInt32
    /// Seconds; 0 says that it is being purged.
    public var remainingLifetime: UInt16
    public var checksum: UInt16

    public static let octets = 16

    public init(id: LSPID, sequenceNumber: UInt32, remainingLifetime: UInt16, checksum: UInt16) {
        self.id = id
        self.sequenceNumber = sequenceNumber
        self.remainingLifetime = remainingLifetime
        self.checksum = checksum
    }
    public static func < (a: Self, b: Self) -> Bool {
        (a.id, a.sequenceNumber, a.remainingLifetime, a.checksum) < (b.id, b.sequenceNumber, b.remainingLifetime, b.checksum)
    }
}

/// Complete sequence numbers PDU (ISO 10589 §9.10, §9.11).
public struct CSNP: Hashable, Sendable {
    public var level: Level
    public var source: SystemID
    /// Bounds of what is described; both belong to it.
    public var start: LSPID
    public var end: LSPID
    /// In the order of the PDU, which need not ascend when somebody else wrote it.
    public var entries: [LSPEntry]

    public init(level: Level, source: SystemID, start: LSPID, end: LSPID, entries: [LSPEntry]) {
        self.level = level
        self.source = source
        self.start = start
        self.end = end
        self.entries = entries
    }

    public init(_ pdu: RawSpan) throws(DecodeError) {
        var reader = ByteReader(pdu)
        let type = try PDUHeader.decode(&reader)
        guard type == .level1CSNP || type == .level2CSNP, let level = type.level else {
            throw DecodeError("PDU type", at: 4, .unsupported)
        }
        self.level = level
        let length = try PDULength.read(&reader, of: type)
        source = try reader.nodeID("source ID").system
        start = try reader.lspID("start LSP ID")
        end = try reader.lspID("end LSP ID")
        entries = try SequenceNumbers.entries(try reader.reader(length - type.headerLength, "PDU length"))
    }

    /// How many entries a PDU of `size` octets holds; at least one.
    public static func entriesMaximum(size: Int, authentication: ISISAuthentication? = nil) -> Int {
        SequenceNumbers.entriesMaximum(size - PDUType.level1CSNP.headerLength, authentication)
    }

    public func encoded(key: KeyChain.Key? = nil) -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + entries.count * 17)
        PDUHeader.encode(.csnp(level), into: &writer)
        let at = writer.reserve16()
        writer.nodeID(NodeID(source))
        writer.lspID(start)
        writer.lspID(end)
        return SequenceNumbers.finish(&writer, entries, lengthAt: at, key)
    }
}

/// Partial sequence numbers PDU (ISO 10589 §9.12, §9.13).
public struct PSNP: Hashable, Sendable {
    public var level: Level
    public var source: SystemID
    public var entries: [LSPEntry]

    public init(level: Level, source: SystemID, entries: [LSPEntry]) {
        self.level = level
        self.source = source
        self.entries = entries
    }

    public init(_ pdu: RawSpan) throws(DecodeError) {
        var reader = ByteReader(pdu)
        let type = try PDUHeader.decode(&reader)
        guard type == .level1PSNP || type == .level2PSNP, let level = type.level else {
            throw DecodeError("PDU type", at: 4, .unsupported)
        }
        self.level = level
        let length = try PDULength.read(&reader, of: type)
        source = try reader.nodeID("source ID").system
        entries = try SequenceNumbers.entries(try reader.reader(length - type.headerLength, "PDU length"))
    }

    /// How many entries a PDU of `size` octets holds; at least one.
    public static func entriesMaximum(size: Int, authentication: ISISAuthentication? = nil) -> Int {
        SequenceNumbers.entriesMaximum(size - PDUType.level1PSNP.headerLength, authentication)
    }

    public func encoded(key: KeyChain.Key? = nil) -> [UInt8] {
        var writer = ByteWriter(capacity: 64 + entries.count * 17)
        PDUHeader.encode(.psnp(level), into: &writer)
        let at = writer.reserve16()
        writer.nodeID(NodeID(source))
        return SequenceNumbers.finish(&writer, entries, lengthAt: at, key)
    }
}

private enum SequenceNumbers {
    static func entries(_ reader: consuming ByteReader) throws(DecodeError) -> [LSPEntry] {
        var list: [LSPEntry] = []
        while !reader.isAtEnd {
            let code = try reader.u8("TLV code")
            var value = try reader.reader(Int(try reader.u8("TLV length")), "TLV value")
            guard code == TLVCode.lspEntries else { continue }
            while !value.isAtEnd {
                let lifetime = try value.u16("remaining lifetime")
                let id = try value.lspID("LSP ID")
                let number = try value.u32("sequence number")
                list.append(
                    LSPEntry(
                        id: id, sequenceNumber: number, remainingLifetime: lifetime, checksum: try value.u16("checksum")))
            }
        }
        return list
    }

    static func entriesMaximum(_ room: Int, _ authentication: ISISAuthentication?) -> Int {
        var room = room - Authentication.octets(authentication)
        var count = 0
        // A TLV holds 15 entries behind its two octets.
        while room >= 2 + LSPEntry.octets {
            let here = min(15, (room - 2) / LSPEntry.octets)
            count += here
            room -= 2 + here * LSPEntry.octets
        }
        return max(count, 1)
    }

    static func finish(
        _ writer: inout ByteWriter, _ entries: [LSPEntry], lengthAt: Int, _ key: KeyChain.Key?
    ) -> [UInt8] {
        if let key { Authentication.reserve(key, into: &writer) }
        TLV.writeList(TLVCode.lspEntries, entries, octets: { _ in LSPEntry.octets }, into: &writer) { entry, writer in
            writer.u16(entry.remainingLifetime)
            writer.lspID(entry.id)
            writer.u32(entry.sequenceNumber)
            writer.u16(entry.checksum)
        }
        writer.patch16(lengthAt, UInt16(clamping: writer.count))
        var bytes = writer.bytes
        if let key { Authentication.seal(&bytes, key: key) }
        return bytes
    }
}
