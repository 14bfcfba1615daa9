import Machine
import Policy
import Wire

/// Routes whose origin may be valid otherwise than before (RFC 6811 §5): one pass over the prefixes, in slices, serves all
/// changes that came before it began, and only what lies under one of them is judged again.
struct PayloadScan: Sendable {
    /// For the next pass.
    private(set) var waiting: [IPPrefix] = []
    /// Of the pass under way.
    private(set) var scanned: [IPPrefix] = []
    var cursor: UInt32 = 0
    /// Made from `scanned`.
    private(set) var covering = CoveringPrefixes([])
    private static let waitingMaximum = 65_536

    var isIdle: Bool { waiting.isEmpty && scanned.isEmpty }

    mutating func add(_ prefixes: [IPPrefix]) {
        waiting += prefixes
        if waiting.count > Self.waitingMaximum {
            waiting = [.v4(IPv4Prefix(.any, 0)), .v6(IPv6Prefix(.any, 0))]
        }
    }

    mutating func begin() {
        scanned = waiting
        waiting = []
        cursor = 0
        covering = CoveringPrefixes(scanned)
    }
    mutating func end() { scanned = [] }
}

extension PayloadScan: Snapshotting {
    func write(to writer: inout SnapshotWriter) {
        for list in [waiting, scanned] {
            writer.writeList(list) { prefix, w in prefix.write(to: &w) }
        }
        writer.write(cursor)
    }

    init(from reader: inout SnapshotReader) throws(DecodeError) {
        func prefixes(_ reader: inout SnapshotReader) throws(DecodeError) -> [IPPrefix] {
            try reader.readList { r throws(DecodeError) in try IPPrefix(from: &r) }
        }
        waiting = try prefixes(&reader)
        scanned = try prefixes(&reader)
        cursor = try reader.read()
        covering = CoveringPrefixes(scanned)
    }
}

extension FamilyRIB {
    /// Routes under these prefixes are to be judged again, if anybody asks whether they are valid.
    mutating func payloadsChanged(_ prefixes: [IPPrefix], _ shared: borrowing RIBShared) {
        if adjRIBIn.isUnused || !asksForValidity(shared) { return }
        payloadScan.add(prefixes)
    }

    private func asksForValidity(_ shared: borrowing RIBShared) -> Bool {
        for source in shared.sources.indices where shared.policies.asksForValidity(shared.sources[source].importChain) {
            return true
        }
        return groups.contains { shared.policies.asksForValidity($0.parameters.chain) }
    }

    mutating func scanPayloads(_ budget: inout Int, _ shared: inout RIBShared) {
        while budget > 0, !payloadScan.isIdle {
            if payloadScan.scanned.isEmpty { payloadScan.begin() }
            let isExported = groups.contains { shared.policies.asksForValidity($0.parameters.chain) }
            while budget > 0, Int(payloadScan.cursor) < locRIB.entries.count {
                budget -= 1
                let number = payloadScan.cursor
                payloadScan.cursor += 1
                guard locRIB.entries[Int(number)].head != 0, prefixes.isPresent(number),
                    let prefix = Family.prefix(prefixes.keys[Int(number)]), payloadScan.covering.cover(prefix)
                else { continue }
                judgeAgain(number, isExported: isExported, &budget, &shared)
            }
            if Int(payloadScan.cursor) >= locRIB.entries.count { payloadScan.end() }
        }
    }

    private mutating func judgeAgain(
        _ number: UInt32, isExported: Bool, _ budget: inout Int, _ shared: inout RIBShared
    ) {
        var path = locRIB.entries[Int(number)].head
        while path != 0 {
            let next = adjRIBIn.paths[Int(path)].next
            let source = Int(adjRIBIn.owner(path))
            if shared.policies.asksForValidity(shared.sources[source].importChain) {
                budget -= 1
                reimport(path, source, &shared)
            }
            path = next
        }
        // Export asks anew; what comes out as before is not sent again.
        if isExported {
            locRIB.changed.insert(number)
            locRIB.noteAltered(number)
        }
    }
}
