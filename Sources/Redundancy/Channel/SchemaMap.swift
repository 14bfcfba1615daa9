import Wire

/// Which forms of what passes between the two a release reads and writes, part by part: two releases that follow each other
/// tell each other in the handshake, and use the newest form of each part that both know (DESIGN §6).
///
/// Parts are named, so that a later release can add one. A part that only one of the two knows is not used.
public struct SchemaMap: Hashable, Sendable {
    public struct Part: Hashable, Sendable {
        public var name: String
        public var oldest: UInt16
        public var newest: UInt16
        public init(_ name: String, oldest: UInt16, newest: UInt16) {
            self.name = name
            self.oldest = oldest
            self.newest = newest
        }
    }
    /// By name, without a name twice.
    public private(set) var parts: [Part]

    /// Parts of a map, and octets of a name.
    public static let partsMaximum = 32
    public static let nameMaximum = 32

    public init(_ parts: [Part]) {
        self.parts = parts.sorted { $0.name < $1.name }
    }

    /// What the two cannot agree on, or nothing.
    public func difference(_ twin: SchemaMap) -> (ours: Part, theirs: Part)? {
        for ours in parts {
            guard let theirs = twin[ours.name] else { continue }
            if theirs.newest < ours.oldest || ours.newest < theirs.oldest { return (ours, theirs) }
        }
        return nil
    }

    /// The newest form of each part that both know; to be asked for only when there is no `difference`.
    public func agreed(with twin: SchemaMap) -> [(name: String, schema: UInt16)] {
        parts.compactMap { ours in twin[ours.name].map { (ours.name, min(ours.newest, $0.newest)) } }
    }

    public subscript(name: String) -> Part? { parts.first { $0.name == name } }

    func write(to writer: inout ByteWriter) {
        let listed = parts.prefix(Self.partsMaximum)
        writer.u8(UInt8(listed.count))
        for part in listed {
            writer.text(String(decoding: part.name.utf8.prefix(Self.nameMaximum), as: UTF8.self))
            writer.u16(part.oldest)
            writer.u16(part.newest)
        }
    }

    init(from reader: inout ByteReader) throws(DecodeError) {
        let at = reader.offset
        let count = Int(try reader.u8("schemas"))
        guard count <= Self.partsMaximum else { throw DecodeError("schemas", at: at, .badLength) }
        var parts: [Part] = []
        for _ in 0..<count {
            let at = reader.offset
            let name = try reader.text("name of a schema")
            guard !name.isEmpty, name.utf8.count <= Self.nameMaximum, !parts.contains(where: { $0.name == name }) else {
                throw DecodeError("name of a schema", at: at, .badValue)
            }
            let oldest = try reader.u16("oldest schema"), newest = try reader.u16("newest schema")
            guard oldest <= newest else { throw DecodeError("newest schema", at: reader.offset - 2, .badValue) }
            parts.append(Part(name, oldest: oldest, newest: newest))
        }
        self.init(parts)
    }
}
