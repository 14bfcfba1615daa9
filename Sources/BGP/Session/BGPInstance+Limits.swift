import Machine
import Records
import Wire

/// What a neighbour may have here: limits that the operator set or that hold without a word of his, and what happens when
/// memory runs out in spite of them.
extension BGPInstance {
    /// How long a neighbour that was let go of for want of memory stays down.
    static let shedMinutes: UInt16 = 10

    /// RFC 4271 §6.7: ends the session of a neighbour that has more than it may have, and warns before.
    mutating func enforceMaximum(_ peer: PeerIndex, _ slot: SessionSlot, at now: Instant, into effects: inout [Effect]) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i] else { return }
        for excess in Self.excesses(of: neighbor.configuration, isInternal: isInternal(neighbor), rib: rib, peer) {
            let what = "more than \(excess.maximum) \(excess.what)"
            event(.warning, peer, excess.family.map { "\($0): \(what)" } ?? what, into: &effects)
            dropChallenger(peer, excess.notification, at: now, into: &effects)
            run(.automaticStop(excess.notification), peer, slot, reason: what, at: now, into: &effects)
            block(peer, restartMinutes: excess.restartMinutes, at: now)
            return
        }
        for family in neighbor.configuration.families where !neighbor.warnedFamilies.contains(family.family) {
            guard let maximum = family.limit(isInternal: isInternal(neighbor)) else { continue }
            let count = rib.prefixCount(peer, family.family)
            guard count * 100 > Int(maximum) * Int(family.warningPercent) else { continue }
            neighbors[i]!.warnedFamilies.insert(RouteFamilySet(family.family))
            event(.warning, peer, "\(family.family): \(count) of at most \(maximum) prefixes", into: &effects)
        }
        if !neighbor.isWarnedOfPaths, let maximum = neighbor.configuration.pathLimit {
            let count = pathCount(peer)
            guard count * 100 > Int(maximum) * Int(Self.pathsWarningPercent) else { return }
            neighbors[i]!.isWarnedOfPaths = true
            event(.warning, peer, "\(count) of at most \(maximum) paths", into: &effects)
        }
    }

    private static let pathsWarningPercent: UInt8 = 75

    /// A limit that a neighbour is beyond.
    struct Excess: Hashable {
        /// `nil`: all families together.
        var family: RouteFamily?
        var count: Int
        var maximum: UInt32
        var restartMinutes: UInt16
        var what: String { family == nil ? "paths" : "prefixes" }

        /// RFC 4486 §4; the data names a family, so for all of them together there is none.
        var notification: NotificationMessage {
            family.map { .maximumPrefixes($0, maximum) } ?? .cease(.maximumPrefixes)
        }
    }

    /// Every limit of `configuration`, in force or not, that ends the session with what the neighbour has now: before policy,
    /// since what is rejected takes room, too.
    static func excesses(
        of configuration: NeighborConfiguration, isInternal: Bool, rib: borrowing RIB, _ peer: PeerIndex
    ) -> [Excess] {
        var found: [Excess] = []
        var total = 0
        for family in RouteFamily.allCases { total += rib.prefixCount(peer, family) }
        for family in configuration.families where !family.warningOnly && !family.discardsExtra {
            guard let maximum = family.limit(isInternal: isInternal) else { continue }
            let count = rib.prefixCount(peer, family.family)
            guard count > Int(maximum) else { continue }
            found.append(
                Excess(family: family.family, count: count, maximum: maximum, restartMinutes: family.restartMinutes))
        }
        if let maximum = configuration.pathLimit, total > Int(maximum) {
            // As its families say; where they say nothing an operator is waited for.
            let restart = configuration.families.map(\.restartMinutes).max() ?? 0
            found.append(Excess(family: nil, count: total, maximum: maximum, restartMinutes: restart))
        }
        return found
    }

    /// After a change of the limits: what was warned of may be warned of again.
    mutating func judgeWarnings(_ peer: PeerIndex) {
        neighbors[Int(peer.value)]!.warnedFamilies = []
        neighbors[Int(peer.value)]!.isWarnedOfPaths = false
    }

    /// Of all families, before policy: those that were rejected take room, too.
    func pathCount(_ peer: PeerIndex) -> Int {
        var count = 0
        for family in RouteFamily.allCases { count += rib.prefixCount(peer, family) }
        return count
    }

    /// Paths of the neighbour that has the most, of those that are up.
    public var largestNeighbor: Int {
        var most = 0
        for i in neighbors.indices where neighbors[i]?.establishedSlot != nil {
            most = max(most, pathCount(PeerIndex(UInt16(i))))
        }
        return most
    }

    /// The active's memory is at its limit, and the standby's tables are as large: a switchover would help nobody, and a
    /// process that the kernel ends takes every session with it. The neighbour that costs the most goes; of equal ones the
    /// first. Whether that was enough the memory says.
    mutating func shed(at now: Instant, into effects: inout [Effect]) {
        // What is kept of a neighbour that is not there goes first.
        var stalest: (peer: PeerIndex, count: Int)?
        for i in neighbors.indices where neighbors[i]?.retention != nil && neighbors[i]?.establishedSlot == nil {
            let peer = PeerIndex(UInt16(i)), count = pathCount(peer)
            if count > stalest?.count ?? 0 { stalest = (peer, count) }
        }
        if let stalest {
            event(
                .alarm, stalest.peer,
                "memory is at its limit: \(stalest.count) routes that were kept for its return are let go of",
                into: &effects)
            return dropRetention(stalest.peer)
        }
        var most: (peer: PeerIndex, slot: SessionSlot, count: Int)?
        for i in neighbors.indices {
            guard let slot = neighbors[i]?.establishedSlot else { continue }
            let peer = PeerIndex(UInt16(i)), count = pathCount(peer)
            if count > most?.count ?? 0 { most = (peer, slot, count) }
        }
        guard let most else {
            let message = "memory is at its limit, and no neighbor has routes that could be let go of"
            effects.append(.event(Event(.alarm, "bgp", message)))
            return
        }
        event(
            .alarm, most.peer,
            "memory is at its limit: this neighbor has the most routes, \(most.count), and is let go of; it "
                + "stays down for \(Self.shedMinutes) minutes, or until it is cleared", into: &effects)
        let notification = NotificationMessage.cease(.outOfResources)
        dropChallenger(most.peer, notification, at: now, into: &effects)
        run(.automaticStop(notification), most.peer, most.slot, reason: "out of memory", at: now, into: &effects)
        block(most.peer, restartMinutes: Self.shedMinutes, at: now)
    }

    /// Keeps a neighbour down until its restart time is over, or until an operator clears it.
    private mutating func block(_ peer: PeerIndex, restartMinutes: UInt16, at now: Instant) {
        let i = Int(peer.value)
        neighbors[i]!.isBlocked = true
        hasFirstRoutesNews = true
        let key = timer(.idleHold, peer, .own)
        timers.cancel(key)
        if restartMinutes > 0 { timers.set(key, at: now + .minutes(Int(restartMinutes))) }
    }
}

/// A limit of a new configuration that a neighbour is beyond already.
public struct LimitExcess: Hashable, Sendable {
    public var neighbor: IPAddress
    /// `nil`: the paths of all families together.
    public var family: RouteFamily?
    /// What the neighbour has now.
    public var count: Int
    public var maximum: UInt32
    /// Minutes until the session is tried again; 0: an operator must clear it.
    public var restartMinutes: UInt16
}

extension BGPInstance {
    /// Sessions that end with Cease/1 as soon as this configuration is in force, in its order of neighbours.
    public func excesses(under new: BGPConfiguration) -> [LimitExcess] {
        var found: [LimitExcess] = []
        for wanted in new.neighbors where !wanted.isShutdown {
            guard let peer = peerIndex(wanted.address), let neighbor = neighbor(peer), neighbor.establishedSlot != nil,
                wanted.hasSameSession(as: neighbor.configuration)
            else { continue }
            let isInternal = new.kind(of: wanted) != .external
            guard let first = Self.excesses(of: wanted, isInternal: isInternal, rib: rib, peer).first else { continue }
            found.append(
                LimitExcess(
                    neighbor: wanted.address, family: first.family, count: first.count, maximum: first.maximum,
                    restartMinutes: first.restartMinutes))
        }
        return found
    }
}
