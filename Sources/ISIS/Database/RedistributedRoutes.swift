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
        var low = 0, high = entries.count
        while low < high {
            let middle = (low + high) >> 1
            if entries[middle].prefix < update.prefix { low = middle + 1 } else { high = middle }
        }
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
        switch entry.prefix {
        case .v4(let prefix): digest.mix(UInt64(prefix.address.raw) << 8 | UInt64(prefix.length))
        case .v6(let prefix):
            digest.mix(prefix.address.high)
            digest.mix(prefix.address.low)
            digest.mix(UInt64(prefix.length) << 32)
        }
        let route = entry.route
        digest.mix(UInt64(route.source.rawValue) << 16 | UInt64(route.levels) << 8 | (route.isExternalMetric ? 1 : 0))
        digest.mix(route.metric.map { UInt64($0) } ?? .max)
        digest.mix(UInt64(route.tag))
        return digest.value
    }
}

extension RedistributedRoutes: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        writer.writeList(entries) { entry, w in
            switch entry.prefix {
            case .v4(let prefix):
                w.write(UInt8(4))
                w.write(prefix.address.raw)
                w.write(prefix.length)
            case .v6(let prefix):
                w.write(UInt8(6))
                w.write(prefix.address.high)
                w.write(prefix.address.low)
                w.write(prefix.length)
            }
            w.write(entry.route.source.rawValue)
            w.write(entry.route.metric != nil)
            w.write(entry.route.metric ?? 0)
            w.write(entry.route.isExternalMetric)
            w.write(entry.route.tag)
            w.write(entry.route.levels)
        }
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        entries = try reader.readList { r throws(DecodeError) in
            let prefix: IPPrefix
            let at = r.position
            if try r.read(UInt8.self) == 4 {
                let address = IPv4Address(raw: try r.read())
                let length: UInt8 = try r.read()
                guard length <= 32 else { throw DecodeError("prefix", at: at, .badValue) }
                prefix = .v4(IPv4Prefix(address, length))
            } else {
                let high: UInt64 = try r.read()
                let address = IPv6Address(high: high, low: try r.read())
                let length: UInt8 = try r.read()
                guard length <= 128 else { throw DecodeError("prefix", at: at, .badValue) }
                prefix = .v6(IPv6Prefix(address, length))
            }
            guard let source = RouteProtocol(rawValue: try r.read()) else { throw DecodeError("route", at: at, .badValue) }
            let hasMetric = try r.readBool()
            let metric: UInt32 = try r.read()
            let isExternal = try r.readBool()
            let tag: UInt32 = try r.read()
            return (
                prefix,
                RedistributedRoute(
                    source: source, metric: hasMetric ? metric : nil, isExternalMetric: isExternal, tag: tag,
                    levels: try r.read())
            )
        }
        for (a, b) in zip(entries, entries.dropFirst()) where a.prefix >= b.prefix {
            throw DecodeError("redistributed routes", at: reader.position, .badValue)
        }
        for entry in entries { digest.add(Self.hash(entry)) }
    }
}
