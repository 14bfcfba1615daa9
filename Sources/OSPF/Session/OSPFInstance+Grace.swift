import Machine
import Records
import Routing
import Wire

/// RFC 3623 §3 and RFC 5187 §3: helping a neighbour through its graceful restart.
extension OSPFInstance {
    /// What a grace LSA says: RFC 3623 Appendix A, RFC 5187 §2.
    struct GraceRequest: Hashable, Sendable {
        /// Seconds.
        var period: UInt32
        /// OSPFv2: the restarting router's address on the link, for broadcast networks.
        var address: UInt32?

        init?(_ lsa: LSA, version: OSPFVersion) {
            switch version {
            case .v2: guard lsa.key.type == .opaqueLink, lsa.key.linkStateID >> 24 == 3 else { return nil }
            case .v3: guard lsa.key.type == .grace else { return nil }
            }
            var period: UInt32?
            var reader = lsa.body
            while reader.remaining >= 4 {
                guard let type = try? reader.u16("TLV type"), let length = try? reader.u16("TLV length"),
                    let value = try? reader.span(Int(length), "TLV value")
                else { return nil }
                var inner = ByteReader(value)
                if type == 1, length == 4 { period = try? inner.u32("grace period") }
                if type == 3, length == 4 { address = try? inner.u32("IP interface address") }
                // TLVs are padded to four octets.
                let padding = (4 - Int(length) & 3) & 3
                guard (try? reader.skip(min(padding, reader.remaining), "padding")) != nil else { return nil }
            }
            guard let period else { return nil }
            self.period = period
        }
    }

    /// A newer instance of some LSA came from a neighbour: it may be its grace LSA.
    mutating func heardGraceLSA(_ lsa: LSA, from index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        guard let request = GraceRequest(lsa, version: version), let sender = neighbor(index),
            let interface = interface(sender.interface), let settings = configuration?.gracefulRestartHelper
        else { return }
        // Who restarts: the originator, on a broadcast network of OSPFv2 the one with the address.
        guard
            let restarting = interface.neighbors.first(where: {
                guard let neighbor = neighbor($0) else { return false }
                if version == .v2, interface.isBroadcast, let address = request.address {
                    return identity(of: neighbor) == address
                }
                return neighbor.routerID == lsa.key.advertisingRouter
            }), let neighbor = neighbor(restarting)
        else { return }
        if lsa.header.isMaxAge {
            // §3.2 (1): it says that it is done.
            if neighbor.graceDeadline != nil {
                endGrace(restarting, reason: "it flushed its grace LSA", at: now, into: &effects)
            }
            return
        }
        // §3.1: (1) full adjacency, or help under way; (2) nothing changed since; (3) the period is not over; (4) our
        // own policy. (5), a restart of our own, we do not do.
        let age = UInt32(lsa.header.effectiveAge)
        guard settings.isEnabled, neighbor.state == .full || neighbor.graceDeadline != nil, request.period > age,
            request.period <= UInt32(settings.gracePeriodMaximum)
        else { return }
        if settings.strictLSAChecking, neighbor.graceDeadline == nil, hasTopologyPending(neighbor) { return }
        let deadline = now + .seconds(Int(request.period - age))
        neighbors[Int(restarting.value)]?.graceDeadline = deadline
        neighbors[Int(restarting.value)]?.deadDeadline = max(neighbor.deadDeadline, deadline)
        timers.set(OSPFTimer(.grace, restarting.value), at: deadline)
        event(
            .notice,
            "neighbor \(IPv4Address(raw: neighbor.routerID)) on \(interface.device.name) restarts; "
                + "helping for \(request.period - age) s", into: &effects)
    }

    private static func isTopology(_ type: LSAType, _ version: OSPFVersion) -> Bool {
        switch version {
        // RFC 3623 §3.2: types 1 to 5 and 7.
        case .v2: type.rawValue <= 5 || type.rawValue == 7
        // RFC 5187 §3.2: what it is in OSPFv3, types that do not bear on routes left out.
        case .v3: (1...9).contains(type.functionCode) && type != .link
        }
    }

    /// §3.1 (2): changes are on their way to the neighbour that it has not acknowledged.
    private func hasTopologyPending(_ neighbor: OSPFNeighbor) -> Bool {
        neighbor.retransmissions.handles.contains {
            database[$0].map { Self.isTopology($0.lsa.key.type, version) } ?? false
        }
    }

    /// §3.2 (3): with strict checking, a changed LSA that the restarting neighbour would have to know ends the help.
    mutating func topologyChanged(_ key: LSAKey, for index: NeighborIndex, at now: Instant, into effects: inout [Effect]) {
        guard configuration?.gracefulRestartHelper.strictLSAChecking == true, Self.isTopology(key.type, version),
            // What the neighbour itself says anew is the restart's own doing.
            key.advertisingRouter != neighbor(index)?.routerID
        else { return }
        endGrace(index, reason: "the topology changed", at: now, into: &effects)
    }

    /// §3.2: whatever the reason, the segment's DR is chosen anew and our LSAs say what is true.
    mutating func endGrace(_ index: NeighborIndex, reason: String, at now: Instant, into effects: inout [Effect]) {
        guard let neighbor = neighbor(index), neighbor.graceDeadline != nil,
            let interface = interface(neighbor.interface)
        else { return }
        neighbors[Int(index.value)]?.graceDeadline = nil
        timers.cancel(OSPFTimer(.grace, index.value))
        // The Inactivity Timer waited for the grace period; from here on it is RouterDeadInterval's again.
        let deadline = now + .seconds(Int(interface.configuration.routerDeadInterval))
        neighbors[Int(index.value)]?.deadDeadline = deadline
        timers.set(OSPFTimer(.inactivity, index.value), at: deadline)
        event(
            .notice, "neighbor \(IPv4Address(raw: neighbor.routerID)) on \(interface.device.name): help ends: \(reason)",
            into: &effects)
        dirty.link(neighbor.interface, area: interface.areaID)
        interfaceEvent(.neighborChange, neighbor.interface, at: now, into: &effects)
    }
}
