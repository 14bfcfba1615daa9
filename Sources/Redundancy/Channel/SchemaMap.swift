import Records
import Wire

/// Which forms of what passes between the two a release reads and writes, part by part: two releases that follow each other
/// tell each other in the handshake, and use the newest form of each part that both know (DESIGN §6).
///
/// Parts are named, so that a later release can add one: records, each section of a snapshot, and so on. A part that a map does
/// not have is one of form 0 alone, which says that there is nothing of it. Who can do without a part for a twin that does not
/// know it says so by a range that begins at 0; any other part that only one of the two knows is a reason to refuse.
public struct SchemaMap: Hashable, Sendable {
    public struct Part: Hashable, Sendable {
        public var name: String
        /// 0 if the part can be left out.
        public var oldest: UInt16
        public var newest: UInt16
        public init(_ name: String, oldest: UInt16, newest: UInt16) {
            self.name = name
            self.oldest = oldest
            self.newest = newest
        }
        public init(_ name: String, _ schemas: ClosedRange<UInt16>) {
            self.init(name, oldest: schemas.lowerBound, newest: schemas.upperBound)
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

    /// With this part, in place of one of its name.
    public func with(_ part: Part) -> SchemaMap { SchemaMap(parts.filter { $0.name != part.name } + [part]) }

    /// What the two cannot agree on, by name: one entry each. Both sides find the same.
    public func differences(_ twin: SchemaMap) -> [Difference] {
        names(with: twin).compactMap { name in
            let ours = self[name] ?? Part(name, 0...0), theirs = twin[name] ?? Part(name, 0...0)
            guard theirs.newest < ours.oldest || ours.newest < theirs.oldest else { return nil }
            return Difference(ours: ours, theirs: theirs)
        }
    }

    /// The newest form of each part that both know; to be asked for only when there are no `differences`.
    public func agreed(with twin: SchemaMap) -> SchemaAgreement {
        SchemaAgreement(
            parts.compactMap { ours in
                guard let theirs = twin[ours.name], min(ours.newest, theirs.newest) > 0 else { return nil }
                return .init(name: ours.name, schema: min(ours.newest, theirs.newest))
            })
    }

    public subscript(name: String) -> Part? { parts.first { $0.name == name } }

    private func names(with twin: SchemaMap) -> [String] {
        (parts + twin.parts.filter { self[$0.name] == nil }).map(\.name).sorted()
    }

    /// A part that the two have no common form of.
    public struct Difference: Hashable, Sendable {
        public var ours: Part
        public var theirs: Part

        /// The twin's release is the older one, as far as this part tells.
        public var isTwinOlder: Bool { theirs.newest < ours.oldest }

        func words(_ own: ControllerID) -> String {
            if theirs.newest == 0 { return "controller \(own.other) does not know '\(ours.name)'" }
            if ours.newest == 0 { return "controller \(own) does not know '\(theirs.name)'" }
            // The same sentence on both sides.
            let pair = [(own, ours), (own.other, theirs)].sorted { $0.0.rawValue < $1.0.rawValue }
            return "of '\(ours.name)' "
                + pair.map { "controller \($0.0) speaks schema \(Self.text($0.1))" }.joined(separator: " and ")
        }

        private static func text(_ part: Part) -> String {
            part.oldest == part.newest ? "\(part.newest)" : "\(part.oldest) to \(part.newest)"
        }
    }

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

/// What two maps have in common: the form in which each part passes between the two.
public struct SchemaAgreement: Hashable, Sendable {
    public struct Part: Hashable, Sendable {
        public var name: String
        public var schema: UInt16
    }
    /// By name.
    public let parts: [Part]

    init(_ parts: [Part]) { self.parts = parts }

    /// The schema of a part; 0 if there is nothing of it.
    public subscript(name: String) -> UInt16 { parts.first { $0.name == name }?.schema ?? 0 }
}
