import Machine
import Records
import Routing
import Wire

/// Routes of other protocols that our LSPs announce, ascending by prefix.
struct RedistributedRoutes: Sendable {
    private(set) var entries: [(prefix: IPPrefix, route: RedistributedRoute)] = []
    private(set) var digest = StateDigest()

    /// One pass over both lists, whatever the order of the news; of two about one prefix the later counts.
    mutating func apply(_ updates: [RedistributionUpdate]) {
        var sorted = updates.enumerated().map { (offset: $0.offset, update: $0.element) }
        sorted.sort { ($0.update.prefix, $0.offset) < ($1.update.prefix, $1.offset) }
        if sorted.count == 1 { return applyOne(sorted[0].update) }
        var merged: [(prefix: IPPrefix, route: RedistributedRoute)] = []
        merged.reserveCapacity(entries.count + sorted.count)
        var old = 0, new = 0
        while new < sorted.count {
            let update = sorted[new].update
            if new + 1 < sorted.count, sorted[new + 1].update.prefix == update.prefix {
                new += 1
                continue
            }
            new += 1
            while old < entries.count, entries[old].prefix < update.prefix {
                merged.append(entries[old])
                old += 1
            }
            if old < entries.count, entries[old].prefix == update.prefix {
                digest.remove(Self.hash(entries[old]))
                old += 1
            }
            guard let route = update.route else { continue }
            merged.append((update.prefix, route))
            digest.add(Self.hash((update.prefix, route)))
        }
        merged.append(contentsOf: entries[old...])
        entries = merged
    }

    private mutating func applyOne(_ update: RedistributionUpdate) {
        let low = entries.sortedIndex { $0.prefix < update.prefix }
        if low < entries.count, entries[low].prefix == update.prefix {
            digest.remove(Self.hash(entries[low]))
            entries.remove(at: low)
        }
        guard let route = update.route else { return }
        entries.insert((update.prefix, route), at: low)
        digest.add(Self.hash(entries[low]))
    }

    private static func hash(_ entry: (prefix: IPPrefix, route: RedistributedRoute)) -> UInt64 {
        var digest = StateDigest(0x8ed1)
        entry.prefix.mix(into: &digest)
        entry.route.mix(into: &digest)
        return digest.value
    }
}

extension RedistributedRoutes: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeList(entries) { entry, w in
            entry.prefix.write(to: &w)
            entry.route.write(to: &w)
        }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        entries = try reader.readList { r throws(DecodeError) in
            (prefix: try IPPrefix(from: &r), route: try RedistributedRoute(from: &r))
        }
        for (a, b) in zip(entries, entries.dropFirst()) where a.prefix >= b.prefix {
            throw DecodeError("redistributed routes", at: reader.position, .badValue)
        }
        for entry in entries { digest.add(Self.hash(entry)) }
    }
}
