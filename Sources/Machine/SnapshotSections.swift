import Wire

// A snapshot is a sequence of sections, so that each protocol's encoding has a schema of its own: two releases that differ in
// one protocol differ in one number, and a reader names what it cannot read.
//
// ```
//  0        4        6        8                16
//  +--------+--------+--------+----------------+----------------- - -
//  | layout | number | schema | octets         | what the section holds
//  +--------+--------+--------+----------------+----------------- - -
//           |<---- again for each section ...
// ```

/// One part of a snapshot that has a schema of its own.
public struct SnapshotSection: Hashable, Sendable {
    /// Given once and never to another section, whatever becomes of this one.
    public let number: UInt16
    /// For people, and for the handshake.
    public let name: String
    /// The forms that this release writes and reads, from 1 on.
    public let schemas: ClosedRange<UInt16>

    public init(_ number: UInt16, _ name: String, schemas: ClosedRange<UInt16>) {
        self.number = number
        self.name = name
        self.schemas = schemas
    }
}

/// In which schema each section is written and read: what the two have agreed on, or what is newest here. A value of this type
/// only names schemas that this release has, so that encoding by it cannot fail.
public struct SnapshotFormat: Hashable, Sendable {
    /// Of the sequence itself: the first word of every snapshot.
    public static let layout: UInt16 = 6

    struct Entry: Hashable, Sendable {
        var section: SnapshotSection
        var schema: UInt16
    }
    let entries: [Entry]

    /// Each in its newest form.
    public init(newest sections: [SnapshotSection]) {
        entries = sections.map { Entry(section: $0, schema: $0.schemas.upperBound) }
    }

    /// - Parameter agreed: the schema of each section.
    /// - Throws: `unwritable` if this release does not have that form.
    public init(_ sections: [SnapshotSection], agreed: (SnapshotSection) -> UInt16) throws(SnapshotError) {
        var entries: [Entry] = []
        for section in sections {
            let schema = agreed(section)
            guard section.schemas.contains(schema) else {
                throw .unwritable(section: section.name, schema: schema, known: section.schemas)
            }
            entries.append(Entry(section: section, schema: schema))
        }
        self.entries = entries
    }

    /// The schema in which a section is written; 0 for one that is not.
    public subscript(section: SnapshotSection) -> UInt16 { entries.first { $0.section == section }?.schema ?? 0 }
}

/// Why octets are not the snapshot that was agreed on, in words for an operator.
public enum SnapshotError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The sequence of sections is of another make.
    case layout(found: UInt32)
    case unknownSection(number: UInt16, at: Int)
    case unreadableSchema(section: String, found: UInt16, agreed: UInt16, known: ClosedRange<UInt16>)
    case repeated(section: String)
    case missing(section: String)
    /// More octets are announced than there are.
    case wrongLength(section: String, octets: UInt64, left: Int)
    /// What a section holds is not what its schema says.
    case damaged(section: String, DecodeError)
    /// The header of a section, or of the whole, is cut off.
    case cut(DecodeError)
    /// A form was agreed on that this release does not have.
    case unwritable(section: String, schema: UInt16, known: ClosedRange<UInt16>)

    public var description: String {
        switch self {
        case .layout(let found):
            "the snapshot is laid out in form \(found), this release knows form \(SnapshotFormat.layout)"
        case .unknownSection(let number, let at):
            "the snapshot has section \(number) at octet \(at), which this release does not know"
        case .unreadableSchema(let section, let found, let agreed, let known):
            "section '\(section)' of the snapshot has schema \(found), agreed was \(agreed), and this release reads "
                + Self.text(known)
        case .repeated(let section): "section '\(section)' is twice in the snapshot"
        case .missing(let section): "section '\(section)' is missing from the snapshot"
        case .wrongLength(let section, let octets, let left):
            "section '\(section)' of the snapshot says that it has \(octets) octets, \(left) are left"
        case .damaged(let section, let error): "section '\(section)' of the snapshot is damaged: \(error)"
        case .cut(let error): "the snapshot ends early: \(error)"
        case .unwritable(let section, let schema, let known):
            "section '\(section)' of the snapshot would have to be of schema \(schema), and this release has \(Self.text(known))"
        }
    }

    private static func text(_ known: ClosedRange<UInt16>) -> String {
        known.count == 1 ? "\(known.lowerBound)" : "\(known.lowerBound) to \(known.upperBound)"
    }
}

extension SnapshotWriter {
    /// - Parameter format: what the sections that follow are written in.
    public init(as format: SnapshotFormat) {
        self.init()
        self.format = format
        write(UInt32(SnapshotFormat.layout))
    }

    /// One section. Its length is put in afterwards, so that nothing is copied.
    public mutating func section(_ section: SnapshotSection, _ body: (inout SnapshotWriter) -> Void) {
        schema = format[section]
        write(section.number)
        write(schema)
        let place = bytes.count
        write(UInt64(0))
        body(&self)
        patch(UInt64(bytes.count - place - 8), at: place)
    }
}

/// The sections of a snapshot, found and checked before any is read.
public struct SnapshotSections: Sendable {
    private struct Place: Sendable {
        var number: UInt16
        var schema: UInt16
        var octets: Range<Int>
    }
    private let bytes: [UInt8]
    private var places: [Place] = []

    /// - Parameter format: what must be there, no more and no less.
    public init(_ bytes: [UInt8], as format: SnapshotFormat) throws(SnapshotError) {
        self.bytes = bytes
        var reader = SnapshotReader(bytes)
        let layout: UInt32
        do throws(DecodeError) { layout = try reader.read() } catch { throw .cut(error) }
        guard layout == SnapshotFormat.layout else { throw .layout(found: layout) }
        while reader.position < bytes.count { try find(&reader, format) }
        for entry in format.entries where !places.contains(where: { $0.number == entry.section.number }) {
            throw .missing(section: entry.section.name)
        }
    }

    private mutating func find(_ reader: inout SnapshotReader, _ format: SnapshotFormat) throws(SnapshotError) {
        let at = reader.position
        let number: UInt16, schema: UInt16, octets: UInt64
        do throws(DecodeError) {
            number = try reader.read()
            schema = try reader.read()
            octets = try reader.read()
        } catch {
            throw .cut(error)
        }
        guard let entry = format.entries.first(where: { $0.section.number == number }) else {
            throw .unknownSection(number: number, at: at)
        }
        let name = entry.section.name
        guard schema == entry.schema else {
            throw .unreadableSchema(section: name, found: schema, agreed: entry.schema, known: entry.section.schemas)
        }
        guard !places.contains(where: { $0.number == number }) else { throw .repeated(section: name) }
        let left = bytes.count - reader.position
        guard octets <= UInt64(left) else { throw .wrongLength(section: name, octets: octets, left: left) }
        let range = reader.position..<(reader.position + Int(octets))
        places.append(Place(number: number, schema: schema, octets: range))
        reader.skip(to: range.upperBound)
    }

    /// What `body` makes of a section, which must read it to its end.
    public func read<T>(
        _ section: SnapshotSection, _ body: (inout SnapshotReader) throws(DecodeError) -> T
    ) throws(SnapshotError) -> T {
        guard let place = places.first(where: { $0.number == section.number }) else { throw .missing(section: section.name) }
        var reader = SnapshotReader(bytes, within: place.octets, schema: place.schema)
        do throws(DecodeError) {
            let value = try body(&reader)
            try reader.expectEnd()
            return value
        } catch {
            throw .damaged(section: section.name, error)
        }
    }
}
