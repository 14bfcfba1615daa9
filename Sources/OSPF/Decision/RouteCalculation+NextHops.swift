import Machine
import Records
import Routing
import SPF
import Wire

/// RFC 2328 §16.1.1, RFC 5340 §4.8.2: from first hops to addresses.
extension RouteCalculation {
    /// The next hops of a set of first hops of an area's tree, ascending.
    mutating func nextHops(area: Int, set: UInt32, _ database: LSDB) -> [NextHop] {
        if Int(set) < areas[area].hopCache.count, let known = areas[area].hopCache[Int(set)] { return known }
        var hops: [NextHop] = []
        for first in areas[area].tree.firstHops(inSet: set) {
            if let hop = lookUp(first, area, database) { hops.append(hop) }
        }
        hops.sort()
        var unique: [NextHop] = []
        for hop in hops where unique.last != hop { unique.append(hop) }
        if Int(set) >= areas[area].hopCache.count {
            areas[area].hopCache.append(
                contentsOf: repeatElement(nil, count: Int(set) + 1 - areas[area].hopCache.count))
        }
        areas[area].hopCache[Int(set)] = unique
        return unique
    }

    private mutating func lookUp(_ first: FirstHop, _ area: Int, _ database: LSDB) -> NextHop? {
        let low = areas[area].resolved.sortedIndex { $0.hop < first }
        if low < areas[area].resolved.count, areas[area].resolved[low].hop == first {
            return areas[area].resolved[low].nextHop
        }
        let nextHop = resolve(first, area, database)
        areas[area].resolved.insert((first, nextHop), at: low)
        return nextHop
    }

    /// Looks everything up again that was looked up before, and says whether all is as it was. What is not asked for
    /// any more is forgotten on the way.
    mutating func resolvesAsBefore(_ area: Int, _ database: LSDB) -> Bool {
        var isSame = true
        for i in areas[area].resolved.indices {
            let now = resolve(areas[area].resolved[i].hop, area, database)
            if now != areas[area].resolved[i].nextHop { isSame = false }
        }
        if !isSame || areas[area].resolved.count > 4096 {
            areas[area].resolved = []
            areas[area].hopCache = []
        }
        return isSame
    }

    private func resolve(_ first: FirstHop, _ area: Int, _ database: LSDB) -> NextHop? {
        guard let local, let interface = local.interfaces.first(where: { UInt32($0.id.value) == first.tag }) else {
            return nil
        }
        guard let identifier = first.neighbor else { return .connected(interface.id) }
        let router = UInt32(truncatingIfNeeded: identifier)
        let known = interface.neighbors.first { $0.routerID == router }
        switch (local.configuration.version, local.configuration.family) {
        case (.v2, _):
            if let known { return .via(known.address, interface.id) }
            return addressOnLink(router, interface, area, database).map { .via($0, interface.id) }
        case (.v3, .ipv6):
            if let known { return .via(known.address, interface.id) }
            return linkAddress(router, interface, .ipv6, database).map { .via($0, interface.id) }
        case (.v3, .ipv4):
            // RFC 5838 §2.5: the IPv4 address is in the link-LSA only.
            return linkAddress(router, interface, .ipv4, database).map { .via($0, interface.id) }
        }
    }

    /// §16.1.1: the Link Data of the router's own link to the network that we share.
    private func addressOnLink(
        _ router: UInt32, _ interface: LocalInterface, _ area: Int, _ database: LSDB
    ) -> IPAddress? {
        let key = LSAKey(type: .router, linkStateID: router, advertisingRouter: router)
        guard let lsa = database.lsa(key, in: .area(areas[area].id)) else { return nil }
        var reader = lsa.body
        guard let body = try? RouterLSABody(from: &reader, version: .v2) else { return nil }
        for link in body.links where link.type == .transit {
            let address = IPAddress.v4(IPv4Address(raw: link.data))
            let isOnLink = interface.device.addresses.contains {
                IPPrefix($0.address, $0.prefixLength).contains(address)
            }
            if isOnLink { return address }
        }
        return nil
    }

    private func linkAddress(
        _ router: UInt32, _ interface: LocalInterface, _ family: AddressFamily, _ database: LSDB
    ) -> IPAddress? {
        var found: IPAddress?
        let start = LSAKey(type: .link, linkStateID: 0, advertisingRouter: 0)
        database.walk(.link(interface.id.value), from: start) { _, entry in
            let lsa = entry.lsa
            guard lsa.key.type == .link else { return false }
            guard lsa.key.advertisingRouter == router, !lsa.header.isMaxAge else { return true }
            var reader = lsa.body
            guard let body = try? LinkLSABody(from: &reader, family: family) else { return true }
            found = body.address
            return false
        }
        return found
    }

    /// Our own networks: the interfaces of the area that have an address in the prefix.
    func ownInterfaces(_ prefix: IPPrefix, area: UInt32) -> [NextHop] {
        guard let local else { return [] }
        return local.interfaces.filter { interface in
            interface.areaID == area && interface.state != .down
                && interface.device.addresses.contains {
                    prefix.contains($0.address) && $0.prefixLength >= prefix.length
                }
        }.map { .connected($0.id) }
    }

    /// Both, ascending, at most as many as configured.
    func merge(_ a: [NextHop], _ b: [NextHop]) -> [NextHop] {
        let limit = Int(local?.configuration.maximumPaths ?? 64)
        if a == b || b.isEmpty { return a }
        if a.isEmpty { return b }
        var merged: [NextHop] = []
        for hop in (a + b).sorted() where merged.last != hop { merged.append(hop) }
        return Array(merged.prefix(max(1, limit)))
    }
}
