import Machine
import Wire

/// Sources with a forwarding address, in the order of the addresses, so that those whose way changes with an internal
/// route lie together. What is gone is found out late: an entry is only a hint.
struct ForwardingAddresses: Sendable {
    struct Entry: Sendable {
        var address: IPAddress
        var source: UInt32

        static func isBefore(_ a: Entry, _ b: Entry) -> Bool {
            a.address != b.address ? a.address < b.address : a.source < b.source
        }
    }
    private var sorted: [Entry] = []
    private var added: [Entry] = []
    private var removals = 0

    init() {}

    mutating func add(_ address: IPAddress, _ source: UInt32) { added.append(Entry(address: address, source: source)) }
    mutating func noteRemoval() { removals += 1 }

    /// Brings the order up to date. `isLive` says whether a source still has the address.
    mutating func settle(_ isLive: (Entry) -> Bool) {
        guard !added.isEmpty || removals > sorted.count / 2 else { return }
        added.sort(by: Entry.isBefore)
        var merged: [Entry] = []
        merged.reserveCapacity(sorted.count + added.count)
        var i = 0, j = 0
        while i < sorted.count || j < added.count {
            let takesOld = j == added.count || i < sorted.count && Entry.isBefore(sorted[i], added[j])
            let entry = takesOld ? sorted[i] : added[j]
            if takesOld { i += 1 } else { j += 1 }
            if isLive(entry), merged.last.map({ Entry.isBefore($0, entry) }) ?? true { merged.append(entry) }
        }
        sorted = merged
        added.removeAll(keepingCapacity: true)
        removals = 0
    }

    /// Sources whose address the prefix covers, after `settle`.
    func within(_ prefix: IPPrefix, _ body: (Entry) -> Void) {
        let first: IPAddress
        switch prefix {
        case .v4(let prefix): first = .v4(prefix.address)
        case .v6(let prefix): first = .v6(prefix.address)
        }
        var low = sorted.sortedIndex { $0.address < first }
        while low < sorted.count, prefix.contains(sorted[low].address) {
            body(sorted[low])
            low += 1
        }
    }
}

extension IPPrefix {
    var isDefault: Bool { length == 0 }
}
