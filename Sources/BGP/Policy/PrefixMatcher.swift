import Routing
import Wire

/// A prefix set made ready for look-ups: the entries sorted by prefix, and for each length that occurs one binary search.
struct PrefixMatcher: Sendable {
    private struct List<Key: PrefixKey>: Sendable {
        var prefixes: [Key] = []
        /// Bounds of the length, parallel to `prefixes`. Several entries may have one prefix.
        var bounds: [(minimum: UInt8, maximum: UInt8)] = []
        /// Lengths of `prefixes` that occur, ascending.
        var lengths: [UInt8] = []

        init(_ entries: [PrefixSetConfiguration.Entry]) {
            var found: [(prefix: Key, minimum: UInt8, maximum: UInt8)] = []
            for entry in entries {
                guard let prefix = Key(entry.prefix) else { continue }
                found.append((prefix, entry.minimumLength, entry.maximumLength))
            }
            found.sort { a, b in
                if a.prefix != b.prefix { return a.prefix < b.prefix }
                return a.minimum != b.minimum ? a.minimum < b.minimum : a.maximum < b.maximum
            }
            var present = [Bool](repeating: false, count: 129)
            for f in found {
                prefixes.append(f.prefix)
                bounds.append((f.minimum, f.maximum))
                present[Int(f.prefix.length)] = true
            }
            lengths = present.indices.filter { present[$0] }.map { UInt8($0) }
        }

        func contains(_ key: Key) -> Bool {
            for length in lengths {
                if length > key.length { return false }
                let covering = Key(key.address, length)
                var low = 0, high = prefixes.count
                while low < high {
                    let middle = (low + high) / 2
                    if prefixes[middle] < covering { low = middle + 1 } else { high = middle }
                }
                while low < prefixes.count, prefixes[low] == covering {
                    if key.length >= bounds[low].minimum, key.length <= bounds[low].maximum { return true }
                    low += 1
                }
            }
            return false
        }
    }

    private var v4: List<IPv4Prefix>
    private var v6: List<IPv6Prefix>

    init(_ set: PrefixSetConfiguration) {
        v4 = List(set.entries)
        v6 = List(set.entries)
    }

    func contains(_ prefix: IPPrefix) -> Bool {
        switch prefix {
        case .v4(let p): v4.contains(p)
        case .v6(let p): v6.contains(p)
        }
    }
    func contains(_ prefix: IPv4Prefix) -> Bool { v4.contains(prefix) }
    func contains(_ prefix: IPv6Prefix) -> Bool { v6.contains(prefix) }
}
