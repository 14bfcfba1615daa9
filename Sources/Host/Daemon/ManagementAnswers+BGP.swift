import BGP
import Engine
import Foundation
import Machine
import Management
import Records
import Routing
import Wire

extension ManagementAnswers {
    func routerNow() async throws -> Instant {
        try await edge.look { controller, now in controller.routerTime(at: now) }
    }

    private static func age(_ since: Int64?, _ now: Int64) -> TimeSpan? {
        since.map { TimeSpan(.nanoseconds(max(0, now - $0))) }
    }

    private static func families(_ detail: NeighborDetail?) -> [BGPFamilyView] {
        (detail?.families ?? []).map {
            var view = BGPFamilyView(
                family: $0.family.description, isNegotiated: $0.isNegotiated, received: UInt64($0.prefixesReceived),
                maximumPrefixes: $0.maximumPrefixes)
            view.addPathReceive = $0.receivesPathIDs ? true : nil
            view.addPathSend = $0.pathsSent
            view.extendedNextHop = $0.hasIPv6NextHops ? true : nil
            return view
        }
    }

    private static func summary(_ detail: NeighborDetail, _ now: Int64) -> BGPSummaryView.Neighbor {
        let summary = detail.summary
        let isUp = summary.state == .established
        return BGPSummaryView.Neighbor(
            address: summary.address.description, remoteAS: summary.remoteAS.raw, description: summary.description,
            state: summary.state.description,
            reason: isUp ? nil : summary.isHeldDown ? "held down" : detail.lastDownReason.isEmpty ? nil : detail.lastDownReason,
            stateAge: age(isUp ? summary.establishedAt : detail.lastDownAt, now),
            messagesReceived: summary.messagesReceived, messagesSent: summary.messagesSent,
            queued: UInt64(detail.unacknowledged), families: families(detail))
    }

    /// The engine's tables as they are now. The copy shares their memory until the engine writes, so making a view of it
    /// costs the engine no time; it is dropped as soon as the view is made.
    private func bgpNow() async throws -> BGPInstance { try await engine.inspect { engine in engine.bgp } }

    private static func countRoutes(_ view: inout BGPSummaryView.Neighbor, _ address: IPAddress, _ bgp: BGPInstance) {
        guard let peer = peer(address, bgp) else { return }
        for i in view.families.indices where view.families[i].isNegotiated {
            guard let family = RouteFamily.allCases.first(where: { $0.description == view.families[i].family }) else { continue }
            let (accepted, best) = bgp.rib.acceptedCounts(peer, family)
            view.families[i].accepted = UInt64(accepted)
            view.families[i].best = UInt64(best)
            view.families[i].advertised = UInt64(bgp.rib.advertisedCount(peer, family))
        }
    }

    func bgpSummary() async throws -> BGPSummaryView {
        let now = try await routerNow().nanoseconds
        let bgp = try await bgpNow()
        let tables = bgp.rib.summary
        return BGPSummaryView(
            routerID: bgp.configuration?.routerID.description ?? "", routerAS: bgp.configuration?.routerAS.raw ?? 0,
            tables: tables.families.map {
                .init(family: $0.family.description, prefixes: UInt64($0.prefixes), paths: UInt64($0.paths))
            },
            attributeSets: UInt64(tables.attributeSets), memory: UInt64(tables.octets),
            neighbors: bgp.neighborSummaries.compactMap { summary in
                guard let detail = bgp.neighborDetail(summary.address) else { return nil }
                var view = Self.summary(detail, now)
                Self.countRoutes(&view, summary.address, bgp)
                return view
            })
    }

    func bgpNeighbors(_ address: String?) async throws -> BGPNeighborsView {
        let now = try await routerNow().nanoseconds
        let bgp = try await bgpNow()
        let view = BGPNeighborsView(
            neighbors: bgp.neighborSummaries.compactMap { summary -> BGPNeighborView? in
                guard address == nil || summary.address.description == address,
                    let detail = bgp.neighborDetail(summary.address)
                else { return nil }
                let configured = bgp.configuration?.neighbors.first { $0.address == summary.address }
                var view = Self.neighbor(detail, configured, requirePolicy: bgp.configuration?.ebgpRequiresPolicy ?? true, now)
                Self.countRoutes(&view.summary, summary.address, bgp)
                return view
            })
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
            messages.open =
                direction.messages
                - min(
                    direction.messages,
                    direction.updates + direction.keepalives + direction.notifications + direction.routeRefreshes)
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
        view.hasPassword = configured?.md5Key.isEmpty == false
        view.multihop = configured?.multihop ?? 0
        if detail.isReflectorClient { view.isReflectorClient = true }
        if detail.counters.reflectionLoops > 0 { view.reflectionLoops = detail.counters.reflectionLoops }
        view.role = detail.role?.description
        if let roles = detail.remoteCapabilities?.roles, !roles.isEmpty { view.remoteRole = PeeringRole.words(roles) }
        if detail.counters.routeLeaks > 0 { view.routeLeaks = detail.counters.routeLeaks }
        if let hops = configured?.ttlSecurityHops, hops > 0 { view.minimumHopLimit = 255 - (hops - 1) }
        view.droppedCount = UInt64(detail.summary.flaps)
        view.establishedCount = UInt64(detail.summary.flaps) + (detail.summary.state == .established ? 1 : 0)
        view.treatedAsWithdraw = detail.counters.malformedUpdates
        if detail.counters.martians > 0 { view.unusable = detail.counters.martians }
        if detail.counters.quarantined > 0 { view.quarantined = detail.counters.quarantined }
        view.lastError =
            detail.lastNotificationSent.map { "sent: \($0)" }
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
        for family in RouteFamily.allCases {
            switch (capabilities.receivesPathIDs.contains(family), capabilities.sendsPathIDs.contains(family)) {
            case (true, true): list.append("add-path \(family) receive and send")
            case (true, false): list.append("add-path \(family) receive")
            case (false, true): list.append("add-path \(family) send")
            case (false, false): break
            }
        }
        list += RouteFamily.allCases.filter { capabilities.ipv6NextHops.contains($0) }.map { "extended-next-hop \($0)" }
        if !capabilities.roles.isEmpty { list.append("role \(PeeringRole.words(capabilities.roles))") }
        if let number = capabilities.fourOctetAS { list.append("four-octet-as \(number)") }
        if capabilities.gracefulRestart != nil { list.append("graceful-restart") }
        return list + capabilities.others.map { "code \($0)" }
    }
}
