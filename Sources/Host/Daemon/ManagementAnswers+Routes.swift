import BGP
import Engine
import ISIS
import Machine
import Management
import OSPF
import Policy
import Records
import Routing
import Wire

// `show route`. All views are made from a copy of the tables, on the caller's thread.

extension ManagementAnswers {
    /// What a query asks for, checked.
    private struct Selection {
        var families: [RouteFamily]
        var prefix: IPPrefix?
        var match: RouteQuery.Match
        var after: IPPrefix?
        var limit: Int
        var isDetailed: Bool
    }
    /// The tables of one moment.
    private struct Tables: Sendable {
        var bgp: BGPInstance
        var ipv4: RoutingTable<IPv4Prefix>
        var ipv6: RoutingTable<IPv6Prefix>
        var interfaces: [InterfaceConfiguration]
    }

    private static func selection(_ query: RouteQuery) throws -> Selection {
        var families = RouteFamily.configurable
        var prefix: IPPrefix?
        if let text = query.prefix {
            guard let parsed = IPPrefix(text) ?? IPAddress(text).map(host) else {
                throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no prefix and no address")
            }
            prefix = parsed
            families = [parsed.family == .ipv4 ? .ipv4Unicast : .ipv6Unicast]
        }
        if let text = query.family {
            guard let family = RouteFamily.configurable.first(where: { $0.description == text }) else {
                throw ManagementFailure(
                    .badRequest, "'\(text.prefix(32))' is no family; write ipv4-unicast or ipv6-unicast")
            }
            families = families.filter { $0 == family }
        }
        var after: IPPrefix?
        if let text = query.after {
            guard let parsed = IPPrefix(text) else {
                throw ManagementFailure(.badRequest, "'after' is not what an answer before said under 'next'")
            }
            after = parsed
            if parsed.family == .ipv6 { families = families.filter { $0 == .ipv6Unicast } }
        }
        return Selection(
            families: families, prefix: prefix, match: query.match, after: after, limit: max(1, min(10_000, query.limit)),
            isDetailed: query.detail)
    }

    private static func host(_ address: IPAddress) -> IPPrefix {
        switch address {
        case .v4(let v4): .v4(IPv4Prefix(v4, 32))
        case .v6(let v6): .v6(IPv6Prefix(v6, 128))
        }
    }

    func routes(_ query: RouteQuery) async throws -> RoutesView {
        let selection = try Self.selection(query)
        let tables = try await engine.inspect { engine in
            Tables(
                bgp: engine.bgp, ipv4: engine.ipv4Routes, ipv6: engine.ipv6Routes,
                interfaces: engine.configuration.interfaces)
        }
        if let text = query.receivedFrom ?? query.advertisedTo {
            guard query.receivedFrom == nil || query.advertisedTo == nil else {
                throw ManagementFailure(.badRequest, "received from one and advertised to another cannot be asked at once")
            }
            guard let address = IPAddress(text), let peer = Self.peer(address, tables.bgp) else {
                throw ManagementFailure(.notFound, "there is no neighbour \(text.prefix(64))")
            }
            return Self.neighborRoutes(selection, tables.bgp, peer, address, isReceived: query.receivedFrom != nil)
        }
        var view = RoutesView(routes: [], total: 0)
        for family in selection.families {
            if family == .ipv4Unicast {
                view.total += UInt64(tables.ipv4.count)
            } else {
                view.total += UInt64(tables.ipv6.count)
            }
            guard view.next == nil, view.routes.count < selection.limit else { continue }
            if family == .ipv4Unicast {
                Self.collect(tables.ipv4, tables, selection, &view)
            } else {
                Self.collect(tables.ipv6, tables, selection, &view)
            }
        }
        return view
    }

    static func peer(_ address: IPAddress, _ bgp: BGPInstance) -> PeerIndex? {
        bgp.peerIndex(address)
    }

    // MARK: the routing table

    private static func collect<Key: PrefixKey>(
        _ table: RoutingTable<Key>, _ tables: Tables, _ selection: Selection, _ view: inout RoutesView
    ) {
        func add(_ prefix: Key) {
            let offers = table.offers(for: prefix)
            if !offers.isEmpty { view.routes.append(route(prefix.anyFamily, offers, tables, selection)) }
        }
        let after: Key? = selection.after.flatMap { key($0) }
        guard let wanted = selection.prefix else {
            let page = table.page(after: after, limit: selection.limit - view.routes.count + 1)
            for (i, route) in page.enumerated() {
                guard view.routes.count < selection.limit else {
                    if i > 0 { view.next = "\(page[i - 1].prefix.anyFamily)" }
                    return
                }
                add(route.prefix)
            }
            return
        }
        guard let only: Key = key(wanted) else { return }
        switch selection.match {
        case .exact: add(only)
        case .longest: if let route = table.lookup(only.address) { add(route.prefix) }
        case .within:
            for route in table.page(after: after, limit: .max) where wanted.covers(route.prefix.anyFamily) {
                guard view.routes.count < selection.limit else {
                    view.next = view.routes.last?.prefix
                    return
                }
                add(route.prefix)
            }
        }
    }

    private static func key<Key: PrefixKey>(_ prefix: IPPrefix) -> Key? {
        switch prefix {
        case .v4(let v4): v4 as? Key
        case .v6(let v6): v6 as? Key
        }
    }

    private static func route<Key: PrefixKey>(
        _ prefix: IPPrefix, _ offers: [RoutingTable<Key>.Route], _ tables: Tables, _ selection: Selection
    ) -> RoutesView.Route {
        var paths = offers.map { offer in
            var path = RoutesView.Path(
                isBest: offer.isActive, isInstalled: offer.isActive, protocol: offer.source.description,
                distance: offer.distance)
            switch offer.nextHop {
            case .connected(let id): path.interface = name(id, tables)
            case .gateway(let address): path.nextHop = address.description
            case .via(let address, let interface):
                path.nextHop = address.description
                path.interface = name(interface, tables)
            case .blackhole: path.note = "blackhole"
            }
            if offer.source != .connected, offer.source != .bgp { path.metric = offer.metric }
            path.kind = kind(offer.source, offer.kind)
            if offer.tag != 0 { path.tag = offer.tag }
            if offer.nextHops.count > 1 { path.nextHops = offer.nextHops.map { text($0, tables) } }
            if !offer.backup.isEmpty { path.backup = offer.backup.map { text($0, tables) } }
            if offer.isActive {
                path.group = offer.group
                path.ways = offer.resolved.map { text($0, tables) }
                if offer.isBlackhole {
                    path.note = "blackhole"
                } else if offer.resolved.isEmpty {
                    path.note = "no way to the next hop, packets are dropped"
                }
            }
            return path
        }
        // BGP shows its own paths with their attributes, the best one in the place of its offer.
        if let known = tables.bgp.rib.route(prefix) {
            let index = paths.firstIndex { $0.protocol == RouteProtocol.bgp.description }
            for (i, bgp) in known.paths.enumerated() {
                if i == 0, let index, bgp.isBest {
                    paths[index].bgp = view(bgp)
                } else if selection.isDetailed {
                    paths.append(
                        RoutesView.Path(
                            isBest: false, isInstalled: false, protocol: RouteProtocol.bgp.description, distance: 0,
                            nextHop: (bgp.accepted ?? bgp.received).nextHop?.description, note: bgp.reason, bgp: view(bgp)))
                }
            }
        }
        return RoutesView.Route(prefix: "\(prefix)", paths: paths)
    }

    private static func text(_ nextHop: NextHop, _ tables: Tables) -> String {
        switch nextHop {
        case .connected(let interface): "on \(name(interface, tables))"
        case .gateway(let address): "\(address)"
        case .via(let address, let interface): "\(address) on \(name(interface, tables))"
        case .blackhole: "blackhole"
        }
    }

    private static func text(_ way: FIBNextHop, _ tables: Tables) -> String {
        (way.gateway.map { "\($0) " } ?? "") + "on \(name(way.interface, tables))"
    }

    /// What the protocol tells apart, for the eye.
    private static func kind(_ source: RouteProtocol, _ kind: UInt8) -> String? {
        switch source {
        case .bgp: RouteSource(rawValue: kind).map { "\($0)" }
        case .ospf, .ospfv3: OSPFPathType(rawValue: kind).map { "\($0)" }
        case .isis: ISISRouteKind(rawValue: kind).map { "\($0)" }
        case .connected, .static, .rip, .ripng, .aggregate: nil
        }
    }

    private static func name(_ id: InterfaceID, _ tables: Tables) -> String {
        Int(id.value) < tables.interfaces.count ? tables.interfaces[Int(id.value)].name : "\(id)"
    }

    // MARK: BGP

    private static func view(_ path: PathView) -> RoutesView.BGP {
        var view = view(path.accepted ?? path.received)
        view.neighbor = path.neighbor?.description
        view.pathID = path.pathID
        view.rpki = path.validity.map { "\($0)" }
        if path.isStale { view.stale = path.accepted?.communities.contains("llgr-stale") == true ? "for long" : "yes" }
        view.lostBy = path.isBest ? nil : path.reason
        return view
    }

    static func view(_ attributes: AttributesView) -> RoutesView.BGP {
        var view = RoutesView.BGP(
            asPath: attributes.asPath, origin: "\(attributes.origin)", localPreference: attributes.localPreference,
            med: attributes.med, communities: attributes.communities, largeCommunities: attributes.largeCommunities,
            unknown: attributes.others)
        if !attributes.extendedCommunities.isEmpty { view.extendedCommunities = attributes.extendedCommunities }
        view.weight = attributes.weight
        view.originatorID = attributes.originatorID?.description
        if !attributes.clusterList.isEmpty { view.clusterList = attributes.clusterList.map(\.description) }
        view.onlyToCustomer = attributes.onlyToCustomer?.raw
        return view
    }

    private static func neighborRoutes(
        _ selection: Selection, _ bgp: BGPInstance, _ peer: PeerIndex, _ address: IPAddress, isReceived: Bool
    ) -> RoutesView {
        var view = RoutesView(routes: [], total: 0)
        for family in selection.families {
            view.total += UInt64(
                isReceived ? bgp.rib.prefixCount(peer, family) : bgp.rib.advertisedCount(peer, family))
            guard view.next == nil, view.routes.count < selection.limit else { continue }
            let after = selection.after.map { RouteDestination($0) }.flatMap { $0.family == family ? $0 : nil }
            // A filter may leave out any number of routes, so then the whole table is gone through.
            let limit = selection.prefix == nil ? selection.limit - view.routes.count + 1 : Int.max
            let page =
                isReceived
                ? bgp.rib.received(from: peer, family, after: after, limit: limit)
                : bgp.rib.advertised(to: peer, family, after: after, limit: limit)
            for route in page where route.destination.prefix.map({ matches($0, selection) }) ?? true {
                // RFC 7911: a page does not part the paths to one destination.
                guard view.routes.count < selection.limit || view.routes.last?.prefix == "\(route.destination)" else {
                    view.next = view.routes.last?.prefix
                    break
                }
                var path = RoutesView.Path(
                    isBest: false, isInstalled: false, protocol: RouteProtocol.bgp.description, distance: 0,
                    nextHop: route.attributes.nextHop?.description, note: route.isAccepted ? nil : "rejected by policy")
                path.bgp = Self.view(route.attributes)
                path.bgp?.pathID = route.pathID
                if isReceived { path.bgp?.neighbor = address.description }
                if route.isStale { path.bgp?.stale = "yes" }
                view.routes.append(RoutesView.Route(prefix: "\(route.destination)", paths: [path]))
            }
            if view.next == nil, page.count >= limit { view.next = view.routes.last?.prefix }
        }
        return view
    }

    private static func matches(_ prefix: IPPrefix, _ selection: Selection) -> Bool {
        guard let wanted = selection.prefix else { return true }
        return switch selection.match {
        case .exact: prefix == wanted
        case .longest: prefix.covers(wanted)
        case .within: wanted.covers(prefix)
        }
    }
}
