import Machine
import Records
import Wire

/// Whether the neighbours have said all that they had when their sessions came up: after a cold start a kernel may hold
/// routes of a life before, and they must not outlive the moment at which it is known that nobody announces them.
public enum FirstRoutes: Sendable, Hashable {
    /// Every neighbour that is wanted is up and has said all.
    case complete
    /// Every one that is up has said all, and others are not up.
    case absent
    /// One that is up has not said all.
    case awaited
}

extension BGPInstance {
    /// So long without an UPDATE, and the KEEPALIVE that then comes counts as End-of-RIB. Not every speaker sends the marker,
    /// and some do only to those who offer graceful restart (RFC 4724 §2): a KEEPALIVE leaves when there was nothing else to say
    /// (RFC 4271 §4.4), in those that have their KeepaliveTimer run through in spite of UPDATEs only if it is quiet as well.
    static let quietTime = Duration.seconds(5)

    /// As `FirstRoutes` says. Neighbours that are shut down or held down are not waited for.
    public var firstRoutes: FirstRoutes {
        // RFC 4724 §4.1: what is there may be all, and the routing table does not have it yet.
        if !rib.deferred.isEmpty || coldStart != nil && rib.hasUntoldRoutes { return .awaited }
        var result = FirstRoutes.complete
        for neighbor in neighbors {
            guard let neighbor, !neighbor.configuration.isShutdown, !neighbor.isBlocked, !neighbor.isQuarantined else { continue }
            guard let slot = neighbor.establishedSlot, let session = neighbor[slot], let negotiated = session.negotiated else {
                // Nobody knows whether one that came by itself will come again.
                if neighbor.configuration.range != nil { continue }
                result = .absent
                continue
            }
            let awaited = negotiated.families.subtracting(session.disabledFamilies).subtracting(session.completeFamilies)
            if !awaited.isEmpty, !neighbor.hasBeenQuiet { return .awaited }
        }
        return result
    }

    /// Whether `firstRoutes` may be another one than at the last call. Between records this is `false`.
    public mutating func takeFirstRoutesNews() -> Bool {
        defer { hasFirstRoutesNews = false }
        return hasFirstRoutesNews
    }

    /// UPDATEs and KEEPALIVEs of a record, which came at one moment.
    @inline(__always)
    mutating func noteFirstRoutes(_ peer: PeerIndex, hasUpdates: Bool, hasKeepalive: Bool, at now: Instant) {
        let i = Int(peer.value)
        guard let hasBeenQuiet = neighbors[i]?.hasBeenQuiet, !hasBeenQuiet else { return }
        if hasUpdates {
            neighbors[i]!.lastUpdate = now
        } else if hasKeepalive, now - neighbors[i]!.lastUpdate >= Self.quietTime {
            neighbors[i]!.hasBeenQuiet = true
            hasFirstRoutesNews = true
        }
    }
}
