import Machine
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
        var low = 0, high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].prefix < prefix { low = middle + 1 } else { high = middle }
        }
        return low
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
        var writer = SnapshotWriter()
        write(entry, to: &writer)
        return seededHash(writer.bytes.span.bytes, seed: 0x7d1)
    }

    // MARK: snapshot

    private static func write(_ entry: Entry, to writer: inout SnapshotWriter) {
        let route = entry.route
        entry.prefix.write(to: &writer)
        writer.write(route.source.rawValue)
        writer.write(route.metric != nil)
        writer.write(route.metric ?? 0)
        writer.write(route.isExternalMetric)
        writer.write(route.tag)
        writer.write(route.levels)
        writer.write(route.nextHop != nil)
        route.nextHop?.write(to: &writer)
    }

    public func write(to writer: inout SnapshotWriter) {
        writer.writeList(entries) { entry, w in Self.write(entry, to: &w) }
    }

    public init(from reader: inout SnapshotReader) throws(DecodeError) {
        entries = try reader.readList { r throws(DecodeError) in
            let prefix = try IPPrefix(from: &r)
            guard let source = RouteProtocol(rawValue: try r.read()) else {
                throw DecodeError("route protocol", at: r.position, .badValue)
            }
            let hasMetric = try r.readBool()
            let metric: UInt32 = try r.read()
            let isExternal = try r.readBool()
            let tag: UInt32 = try r.read()
            let levels: UInt8 = try r.read()
            let nextHop = try r.readBool() ? try IPAddress(from: &r) : nil
            return Entry(
                prefix: prefix,
                route: RedistributedRoute(
                    source: source, metric: hasMetric ? metric : nil, isExternalMetric: isExternal, tag: tag,
                    levels: levels, nextHop: nextHop))
        }
        for (i, entry) in entries.enumerated() {
            if i > 0, entry.prefix <= entries[i - 1].prefix {
                throw DecodeError("redistributed routes", at: reader.position, .badValue)
            }
            digest.add(Self.hash(entry))
        }
    }
}
