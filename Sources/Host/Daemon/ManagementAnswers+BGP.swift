import BGP
import Engine
import Foundation
import Machine
import Management
import Records
import Routing
import Wire

extension ManagementAnswers {
    private func routerNow() async throws -> Int64 {
        try await edge.look { controller, now in controller.routerTime(at: now).nanoseconds }
    }

    private static func age(_ since: Int64?, _ now: Int64) -> TimeSpan? {
        since.map { TimeSpan(.nanoseconds(max(0, now - $0))) }
    }

    private static func families(_ detail: NeighborDetail?) -> [BGPFamilyView] {
        (detail?.families ?? []).map {
            BGPFamilyView(
                family: $0.family.description, isNegotiated: $0.isNegotiated, received: UInt64($0.prefixesReceived),
                maximumPrefixes: $0.maximumPrefixes)
        }
    }

    private static func summary(_ detail: NeighborDetail, _ now: Int64) -> BGPSummaryView.Neighbor {
        let summary = detail.summary
        let isUp = summary.state == .established
        return BGPSummaryView.Neighbor(
            address: summary.address.description, remoteAS: summary.remoteAS.raw, description: summary.description,
            state: summary.state.description,
            reason: isUp ? nil : summary.isHeldDown ? "held down" : detail.lastDownReason.isEmpty ? nil : detail.lastDownReason,
            stateAge: age(isUp ? summary.establishedAt : detail.lastDownAt, now) ?? TimeSpan(.nanoseconds(now)),
            messagesReceived: summary.messagesReceived, messagesSent: summary.messagesSent,
            queued: UInt64(detail.unacknowledged), families: families(detail))
    }

    func bgpSummary() async throws -> BGPSummaryView {
        let now = try await routerNow()
        return try await engine.inspect { engine in
            let configuration = engine.bgp.configuration
            var view = BGPSummaryView(
                routerID: configuration?.routerID.description ?? "", routerAS: configuration?.routerAS.raw ?? 0,
                tables: [
                    .init(family: RouteFamily.ipv4Unicast.description, prefixes: UInt64(engine.ipv4Routes.count), paths: 0),
                    .init(family: RouteFamily.ipv6Unicast.description, prefixes: UInt64(engine.ipv6Routes.count), paths: 0),
                ],
                neighbors: engine.bgp.neighborSummaries.compactMap { summary in
                    engine.bgp.neighborDetail(summary.address).map { Self.summary($0, now) }
                })
            for i in view.tables.indices {
                view.tables[i].paths = view.neighbors.reduce(0) { sum, neighbor in
                    sum + (neighbor.families.first { $0.family == view.tables[i].family }?.received ?? 0)
                }
            }
            return view
        }
    }

    func bgpNeighbors(_ address: String?) async throws -> BGPNeighborsView {
        let now = try await routerNow()
        let view = try await engine.inspect { engine in
            BGPNeighborsView(neighbors: engine.bgp.neighborSummaries.compactMap { summary -> BGPNeighborView? in
                guard address == nil || summary.address.description == address,
                    let detail = engine.bgp.neighborDetail(summary.address)
                else { return nil }
                let configured = engine.bgp.configuration?.neighbors.first { $0.address == summary.address }
                return Self.neighbor(detail, configured, requirePolicy: engine.bgp.configuration?.ebgpRequiresPolicy ?? true, now)
            })
        }
        if let address, view.neighbors.isEmpty { throw ManagementFailure(.notFound, "there is no neighbour \(address)") }
        return view
    }

    private static func neighbor(
        _ detail: NeighborDetail, _ configured: NeighborConfiguration?, requirePolicy: Bool, _ now: Int64
    ) -> BGPNeighborView {
        func messages(_ direction: NeighborCounters.Direction) -> BGPNeighborView.Messages {
            var messages = BGPNeighborView.Messages()
            messages.update = direction.updates
            messages.keepalive = direction.keepalives
            messages.notification = direction.notifications
            messages.routeRefresh = direction.routeRefreshes
            messages.open = direction.messages
                - min(direction.messages, direction.updates + direction.keepalives + direction.notifications + direction.routeRefreshes)
            return messages
        }
        var view = BGPNeighborView(
            summary: summary(detail, now), routerID: detail.remoteIdentifier?.description,
            kind: detail.isInternal ? "internal" : "external", localAddress: detail.localAddress?.description,
            localPort: detail.localPort, remotePort: detail.remotePort, isShutdown: configured?.isShutdown ?? false,
            passive: configured?.passive ?? false, holdTime: detail.holdTime,
            keepaliveInterval: detail.holdTime.map { $0 / 3 }, configuredHoldTime: configured?.timers.hold ?? 0,
            received: messages(detail.counters.received), sent: messages(detail.counters.sent),
            capabilitiesSent: capabilities(detail.localCapabilities),
            capabilitiesReceived: capabilities(detail.remoteCapabilities),
            importPolicies: detail.importPolicies, exportPolicies: detail.exportPolicies)
        view.importIsMissing = requirePolicy && !detail.isInternal && detail.importPolicies.isEmpty
        view.exportIsMissing = requirePolicy && !detail.isInternal && detail.exportPolicies.isEmpty
        view.droppedCount = UInt64(detail.summary.flaps)
        view.establishedCount = UInt64(detail.summary.flaps) + (detail.summary.state == .established ? 1 : 0)
        view.treatedAsWithdraw = detail.counters.malformedUpdates
        view.lastError = detail.lastNotificationSent.map { "sent: \($0)" }
            ?? detail.lastNotificationReceived.map { "received: \($0)" }
            ?? (detail.lastDownReason.isEmpty ? nil : detail.lastDownReason)
        view.lastErrorAge = age(detail.lastDownAt, now)
        return view
    }

    private static func capabilities(_ capabilities: Capabilities?) -> [String] {
        guard let capabilities else { return [] }
        var list = RouteFamily.allCases.filter { capabilities.families.contains($0) }.map { "multiprotocol \($0)" }
        if capabilities.routeRefresh { list.append("route-refresh") }
        if capabilities.enhancedRouteRefresh { list.append("enhanced-route-refresh") }
        if capabilities.extendedMessages { list.append("extended-messages") }
        if let number = capabilities.fourOctetAS { list.append("four-octet-as \(number)") }
        if capabilities.gracefulRestart != nil { list.append("graceful-restart") }
        return list + capabilities.others.map { "code \($0)" }
    }

    // MARK: routes

    private static func host(_ address: IPAddress) -> IPPrefix {
        switch address {
        case .v4(let v4): .v4(IPv4Prefix(v4, 32))
        case .v6(let v6): .v6(IPv6Prefix(v6, 128))
        }
    }

    func routes(_ query: RouteQuery) async throws -> RoutesView {
        guard query.receivedFrom == nil, query.advertisedTo == nil else {
            throw ManagementFailure(.refused, "routes per neighbour are not shown by this release; see 'show bgp neighbors' for their number")
        }
        let limit = max(1, min(10_000, query.limit))
        var family = query.family
        var selected: IPPrefix?
        if let text = query.prefix {
            guard let prefix = IPPrefix(text) ?? IPAddress(text).map(Self.host) else {
                throw ManagementFailure(.badRequest, "'\(text.prefix(64))' is no prefix and no address")
            }
            selected = prefix
            family = prefix.family == .ipv4 ? RouteFamily.ipv4Unicast.description : RouteFamily.ipv6Unicast.description
        }
        if let family, !RouteFamily.allCases.contains(where: { $0.description == family }) {
            throw ManagementFailure(.badRequest, "'\(family.prefix(32))' is no family; write ipv4-unicast or ipv6-unicast")
        }
        let after = query.after.flatMap { IPPrefix($0) }
        let wanted = selected
        let wantedFamily = family
        return try await engine.inspect { engine in
            let interfaces = engine.configuration.interfaces
            var view = RoutesView(routes: [], total: 0)
            let isV4Wanted = wantedFamily != RouteFamily.ipv6Unicast.description
            let isV6Wanted = wantedFamily != RouteFamily.ipv4Unicast.description
            if isV4Wanted { view.total += UInt64(engine.ipv4Routes.count) }
            if isV6Wanted { view.total += UInt64(engine.ipv6Routes.count) }
            if isV4Wanted, after?.family != .ipv6 {
                var start: IPv4Prefix?
                if case .v4(let prefix)? = after { start = prefix }
                var only: IPv4Prefix?
                if case .v4(let prefix)? = wanted { only = prefix }
                Self.collect(engine.ipv4Routes, start, only, query.match, limit, interfaces, &view)
            }
            if isV6Wanted, view.next == nil, view.routes.count < limit {
                var start: IPv6Prefix?
                if case .v6(let prefix)? = after { start = prefix }
                var only: IPv6Prefix?
                if case .v6(let prefix)? = wanted { only = prefix }
                Self.collect(engine.ipv6Routes, start, only, query.match, limit - view.routes.count, interfaces, &view)
            }
            return view
        }
    }

    /// A look must be short: of a table that is searched for prefixes within another one, so many are looked at a time.
    private static let searchLimit = 200_000

    private static func collect<Key: PrefixKey>(
        _ table: RoutingTable<Key>, _ after: Key?, _ only: Key?, _ match: RouteQuery.Match, _ limit: Int,
        _ interfaces: [InterfaceConfiguration], _ view: inout RoutesView
    ) {
        func add(_ offers: [RoutingTable<Key>.Route]) {
            guard let first = offers.first else { return }
            view.routes.append(RoutesView.Route(
                prefix: "\(first.prefix.anyFamily)", paths: offers.map { path($0, interfaces) }))
        }
        guard let only else {
            let page = table.page(after: after, limit: limit + 1)
            for route in page.prefix(limit) { add(table.offers(for: route.prefix)) }
            if page.count > limit { view.next = "\(page[limit - 1].prefix.anyFamily)" }
            return
        }
        switch match {
        case .exact: add(table.offers(for: only))
        case .longest: if let route = longest(table, only) { add(table.offers(for: route.prefix)) }
        case .within:
            let page = table.page(after: after, limit: searchLimit)
            for route in page where only.anyFamily.covers(route.prefix.anyFamily) {
                if view.routes.count == limit {
                    view.next = view.routes.last?.prefix
                    return
                }
                add(table.offers(for: route.prefix))
            }
            if page.count == searchLimit { view.next = page.last.map { "\($0.prefix.anyFamily)" } }
        }
    }

    private static func longest<Key: PrefixKey>(_ table: RoutingTable<Key>, _ prefix: Key) -> RoutingTable<Key>.Route? {
        table.lookup(prefix.address)
    }

    private static func path<Key: PrefixKey>(
        _ route: RoutingTable<Key>.Route, _ interfaces: [InterfaceConfiguration]
    ) -> RoutesView.Path {
        var path = RoutesView.Path(
            isBest: route.isActive, isInstalled: route.isActive, protocol: route.source.description, distance: route.distance)
        switch route.nextHop {
        case .connected(let id):
            path.interface = Int(id.value) < interfaces.count ? interfaces[Int(id.value)].name : "\(id)"
        case .gateway(let address): path.nextHop = address.description
        case .blackhole: path.note = "blackhole"
        }
        return path
    }
}
