import Machine
import Wire

/// Link State IDs of our own LSAs about prefixes.
enum LinkStateIDs {
    /// RFC 2328 Appendix E, as a function of what is announced: of prefixes with one address the shortest has the
    /// address itself, the others have their host bits set. A host route whose address is taken has no name and is left
    /// out; so is one whose name is another's address.
    ///
    /// - Parameter prefixes: ascending, no two equal.
    /// - Returns: one for each, `nil` where there is none.
    static func ospfv2(_ prefixes: [IPPrefix]) -> [UInt32?] {
        var ids: [UInt32?] = []
        ids.reserveCapacity(prefixes.count)
        /// Names with host bits, and whose they are.
        var taken: [(id: UInt32, at: Int)] = []
        var last: UInt32?
        for prefix in prefixes {
            guard case .v4(let network) = prefix else {
                ids.append(nil)
                continue
            }
            if network.address.raw != last {
                last = network.address.raw
                ids.append(last)
                continue
            }
            let id = network.length == 32 ? nil : network.address.raw | ~IPv4Prefix.mask(network.length)
            ids.append(id)
            if let id { taken.append((id, ids.count - 1)) }
        }
        // The names with host bits against the addresses, and against each other: 10.0.0.0/16 and 10.0.128.0/17 share
        // one, which is the first's.
        taken.sort { ($0.id, $0.at) < ($1.id, $1.at) }
        for (i, name) in taken.enumerated() {
            let isDouble = i > 0 && taken[i - 1].id == name.id
            if isDouble || contains(prefixes, IPv4Address(raw: name.id)) { ids[name.at] = nil }
        }
        return ids
    }

    private static func contains(_ prefixes: [IPPrefix], _ address: IPv4Address) -> Bool {
        let first = IPAddress.v4(address)
        let low = prefixes.sortedIndex { $0.address < first }
        return low < prefixes.count && prefixes[low].address == first
    }

    /// RFC 5340 §4.4.3.4: a number without meaning. A prefix that is announced keeps its number; others get the lowest
    /// that are free, in their order. What is in the database says which, so nothing has to be remembered.
    ///
    /// - Parameter prefixes: ascending, no two equal.
    static func ospfv3(
        _ prefixes: [IPPrefix], type: LSAType, in id: DatabaseID, family: AddressFamily, _ database: LSDB
    ) -> [UInt32?] {
        var known: [(prefix: IPPrefix, id: UInt32)] = []
        var used: [UInt32] = []
        for entry in database.entries(of: type, in: id) where entry.isOwn {
            used.append(entry.lsa.key.linkStateID)
            if entry.lsa.header.isMaxAge { continue }
            if let prefix = prefix(of: entry.lsa, family) { known.append((prefix, entry.lsa.key.linkStateID)) }
        }
        used.sort()
        known.sort { ($0.prefix, $0.id) < ($1.prefix, $1.id) }
        var ids: [UInt32?] = []
        ids.reserveCapacity(prefixes.count)
        var place = 0
        for prefix in prefixes {
            while place < known.count, known[place].prefix < prefix { place += 1 }
            ids.append(place < known.count && known[place].prefix == prefix ? known[place].id : nil)
        }
        var next: UInt32 = 1
        var passed = 0
        for i in ids.indices where ids[i] == nil {
            while true {
                while passed < used.count, used[passed] < next { passed += 1 }
                guard passed < used.count, used[passed] == next else { break }
                next += 1
            }
            ids[i] = next
            next += 1
        }
        return ids
    }

    private static func prefix(of lsa: LSA, _ family: AddressFamily) -> IPPrefix? {
        var reader = lsa.body
        switch lsa.key.type {
        case .interAreaPrefix:
            return try? InterAreaPrefixLSABody(
                from: &reader, version: .v3, family: family, linkStateID: lsa.key.linkStateID
            ).prefix
        case .externalV3, .nssaV3:
            return try? ExternalLSABody(
                from: &reader, version: .v3, family: family, linkStateID: lsa.key.linkStateID
            ).prefix
        default: return nil
        }
    }
}
