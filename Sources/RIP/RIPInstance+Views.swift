import Machine
import Records
import Wire

/// One line of `show rip interfaces`.
public struct RIPInterfaceView: Hashable, Sendable, Codable {
    public var name: String
    public var isUp: Bool
    public var isPassive: Bool
    public var splitHorizon: String
    public var metric: UInt8
    public var metricOffset: UInt8
    /// Versions sent and heard; empty for RIPng.
    public var send: String
    public var receive: String
    /// `none`, `simple`, or the algorithm of the key that signs.
    public var authentication: String
    public var neighbors: Int
    /// Until the next regular update.
    public var nextUpdate: TimeSpan?
    public var requestsReceived: UInt64
    public var responsesReceived: UInt64
    public var packetsSent: UInt64
    public var regularUpdates: UInt64
    public var triggeredUpdates: UInt64
    /// Reasons that occurred.
    public var dropped: [Counter]
}

/// One line of `show rip neighbors`.
public struct RIPNeighborView: Hashable, Sendable, Codable {
    public var address: IPAddress
    public var interface: String
    /// Of its last response.
    public var version: UInt8
    /// How long it is known, and since it was heard last.
    public var age: TimeSpan
    public var silence: TimeSpan
    public var routes: UInt32
    public var responses: UInt64
    public var badPackets: UInt64
    public var badRoutes: UInt64
    /// `up`, `down`, or absent when BFD does not watch it.
    public var bfd: String?
    /// BFD lost it and it is not believed.
    public var isIgnored: Bool
}

/// One destination of `show rip routes`.
public struct RIPRouteView: Hashable, Sendable, Codable {
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        case connected
        case redistributed
        case learned
        /// Unreachable, and announced as such for a while.
        case garbage
    }
    public struct Gateway: Hashable, Sendable, Codable {
        public var address: IPAddress
        public var interface: String
        /// Who announced it.
        public var neighbor: IPAddress
        /// Until it times out.
        public var timeout: TimeSpan
    }
    public var prefix: IPPrefix
    /// What is announced of it.
    public var kind: Kind
    public var metric: UInt8
    public var tag: UInt16
    /// Learned, whatever is announced.
    public var gateways: [Gateway]
    /// Until it is forgotten.
    public var garbage: TimeSpan?
}

extension RIPInstance {
    /// Interfaces that RIP runs on, in order of their numbers.
    public func interfaceViews(at now: Instant) -> [RIPInterfaceView] {
        interfaces.enumerated().compactMap { position, interface in
            guard let rip = interface.rip else { return nil }
            let id = InterfaceID(UInt16(truncatingIfNeeded: position))
            let counters = interface.counters
            return RIPInterfaceView(
                name: interface.settings.name, isUp: interface.isUp, isPassive: interface.isSilent,
                splitHorizon: rip.splitHorizon.description, metric: rip.metric, metricOffset: rip.metricOffset,
                send: version == .v2 ? rip.send.description : "",
                receive: version == .v2 ? rip.receive.description : "",
                authentication: version == .v2 ? rip.authentication?.description ?? "none" : "none",
                neighbors: neighborOrder.count { neighbor($0)?.interface == id },
                nextUpdate: interface.regularAt.map { TimeSpan(atLeastZero: $0 - now) },
                requestsReceived: counters.requestsReceived,
                responsesReceived: counters.responsesReceived, packetsSent: counters.packetsSent,
                regularUpdates: counters.regularUpdates, triggeredUpdates: counters.triggeredUpdates,
                dropped: Counter.occurred { (reason: RIPDropReason) in counters[reason] })
        }
    }

    /// Neighbours in order of interface and address.
    public func neighborViews(at now: Instant) -> [RIPNeighborView] {
        neighborOrder.compactMap { index in
            guard let neighbor = neighbor(index) else { return nil }
            return RIPNeighborView(
                address: neighbor.address, interface: name(neighbor.interface), version: neighbor.version,
                age: TimeSpan(atLeastZero: now - neighbor.firstHeard), silence: TimeSpan(atLeastZero: now - neighbor.lastHeard),
                routes: neighbor.routeCount, responses: neighbor.responses, badPackets: neighbor.badPackets,
                badRoutes: neighbor.badRoutes, bfd: neighbor.bfdLocal == nil ? nil : neighbor.bfdWasUp ? "up" : "down",
                isIgnored: neighbor.ignoredUntil != nil)
        }
    }

    /// Destinations in order of prefixes.
    /// - Parameters:
    ///   - prefix: those after it; `nil` from the first.
    ///   - limit: at most so many.
    public func routeViews(after prefix: IPPrefix? = nil, limit: Int, at now: Instant) -> [RIPRouteView] {
        let after = prefix.flatMap { Destination($0, version: version) }
        return table.ordered(after: after, limit: limit).compactMap { view($0, now) }
    }

    /// The destination with this prefix.
    public func routeView(_ prefix: IPPrefix, at now: Instant) -> RIPRouteView? {
        Destination(prefix, version: version).flatMap { table.find($0) }.flatMap { view($0, now) }
    }

    /// Destinations in the table, and of them those with learned routes.
    public var routeCounts: (all: Int, learned: Int) { (table.count, table.learnedCount) }

    private func view(_ number: UInt32, _ now: Instant) -> RIPRouteView? {
        guard let announced = announcement(number) else { return nil }
        let route = table[number]
        var gateways: [RIPRouteView.Gateway] = []
        table.forEachPath(of: number) { _, path in
            guard let neighbor = neighbor(path.neighbor) else { return }
            gateways.append(
                RIPRouteView.Gateway(
                    address: path.nextHop, interface: name(neighbor.interface), neighbor: neighbor.address,
                    timeout: TimeSpan(atLeastZero: path.deadline - now)))
        }
        let kind: RIPRouteView.Kind =
            route.connected != nil
            ? .connected : route.foreign != nil ? .redistributed : route.pathCount > 0 ? .learned : .garbage
        return RIPRouteView(
            prefix: table.destination(number).prefix(version: version), kind: kind, metric: announced.metric,
            tag: announced.tag, gateways: gateways, garbage: route.garbageAt.map { TimeSpan(atLeastZero: $0 - now) })
    }
}
