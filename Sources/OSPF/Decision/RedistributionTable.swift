import Machine
import Records
import Routing
import Wire

/// Routes of other protocols that this router announces as externals, ascending by prefix.
public struct RedistributionTable: Sendable, Equatable {
    public struct Entry: Hashable, Sendable {
        public var prefix: IPPrefix
        public var route: RedistributedRoute
    }
    public private(set) var entries: [Entry] = []
    /// Rolling: whatever the order in which they came.
    public private(set) var digest = StateDigest()

    public init() {}

    public var isEmpty: Bool { entries.isEmpty }

    public subscript(prefix: IPPrefix) -> RedistributedRoute? {
        let at = position(of: prefix)
        return at < entries.count && entries[at].prefix == prefix ? entries[at].route : nil
    }

    private func position(of prefix: IPPrefix) -> Int {
        entries.sortedIndex { $0.prefix < prefix }
    }

    /// Takes news in: one at a time by search, many by one walk over the table.
    ///
    /// - Returns: whether anything changed.
    @discardableResult
    public mutating func apply(_ updates: [RedistributionUpdate]) -> Bool {
        let before = digest
        if updates.count <= 8 {
            for update in updates { applyOne(update) }
            return digest != before
        }
        // The last word about a prefix counts.
        let sorted = updates.enumerated().sorted {
            ($0.element.prefix, $0.offset) < ($1.element.prefix, $1.offset)
        }
        var merged: [Entry] = []
        merged.reserveCapacity(entries.count + updates.count)
        var old = 0
        for (i, item) in sorted.enumerated() {
            if i + 1 < sorted.count, sorted[i + 1].element.prefix == item.element.prefix { continue }
            let update = item.element
            while old < entries.count, entries[old].prefix < update.prefix {
                merged.append(entries[old])
                old += 1
            }
            if old < entries.count, entries[old].prefix == update.prefix {
                digest.remove(Self.hash(entries[old]))
                old += 1
            }
            if let route = update.route {
                let entry = Entry(prefix: update.prefix, route: route)
                digest.add(Self.hash(entry))
                merged.append(entry)
            }
        }
        merged.append(contentsOf: entries[old...])
        entries = merged
        return digest != before
    }

    private mutating func applyOne(_ update: RedistributionUpdate) {
        let at = position(of: update.prefix)
        if at < entries.count, entries[at].prefix == update.prefix {
            digest.remove(Self.hash(entries[at]))
            entries.remove(at: at)
        }
        if let route = update.route {
            let entry = Entry(prefix: update.prefix, route: route)
            digest.add(Self.hash(entry))
            entries.insert(entry, at: at)
        }
    }

    private static func hash(_ entry: Entry) -> UInt64 {
        var digest = StateDigest(0x7d1)
        entry.mix(into: &digest)
        return digest.value
    }

    // MARK: snapshot

    public func write(to writer: inout SnapshotWriter) { writer.writeList(entries) { $0.write(to: &$1) } }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        entries = try reader.readList { r throws(DecodeError) in try Entry(from: &r) }
        for (i, entry) in entries.enumerated() {
            if i > 0, entry.prefix <= entries[i - 1].prefix {
                throw DecodeError("redistributed routes", at: reader.position, .badValue)
            }
            digest.add(Self.hash(entry))
        }
    }
}

extension RedistributionTable.Entry: Fielded {
    public static var blank: Self { .init(prefix: .blank, route: .blank) }

    public mutating func visit<V: FieldVisitor>(_ visitor: inout V) throws(V.Failure) {
        try visitor.field(&prefix)
        try visitor.field(&route)
    }
}
