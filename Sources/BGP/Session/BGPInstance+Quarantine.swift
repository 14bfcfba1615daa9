import Machine
import Records
import Routing
import Wire

/// What becomes of a neighbour whose input killed a controller (DESIGN §7), and of the same input when it comes again.
///
/// Its session ends in place of the process. What the fatal record held is remembered (`FatalInputs`), because the
/// neighbour says it again in its next session: there it is treated as withdrawn. And since it may come in another form,
/// which nobody can know beforehand, the neighbour is held down until another controller is there to survive it:
/// `quarantinePause` after the pair has become redundant again, or for `quarantineMaximum` if it does not.
extension BGPInstance {
    static let quarantinePause = FatalMemory.pause
    static let quarantineMaximum = FatalMemory.holdMaximum

    /// A record of this connection would have killed the router.
    /// - Parameters:
    ///   - octets: what it brought of the stream, if that was it.
    ///   - message: which of the messages that end in them, from 1; 0: any of them.
    mutating func fault(
        _ connection: ConnectionID, _ octets: [UInt8], message: Int, at now: Instant, into effects: inout [Effect]
    ) {
        guard let owner = owners[connection], let neighbor = neighbor(owner.peer) else {
            effects.append(.event(Event(.alarm, "bgp", "a quarantined record belongs to no BGP session")))
            return
        }
        let peer = owner.peer
        if !octets.isEmpty {
            let begun = (owner.isChallenger ? neighbor.challenger?.octets : neighbor[owner.slot]?.partial) ?? []
            fatalInputs.learn(
                begun + octets, message: message, from: FatalInputs.name(neighbor.configuration.address),
                pathIDs: pathIDs(owner, neighbor, at: now), at: now)
        }
        neighbors[Int(peer.value)]!.isQuarantined = true
        timers.cancel(timer(.idleHold, peer, .own))
        // Whoever is given this record has lost the twin by it, whatever was said of redundancy before. The record of the
        // take-over, which says so, may come later than the pause.
        timers.set(timer(.quarantine, peer, .own), at: now + Self.quarantineMaximum)
        event(
            .alarm, peer,
            "quarantined: a message of this neighbor could not be processed; it stays down until the pair is "
                + "redundant again, for \(Self.quarantineMaximum.inMilliseconds / 60_000) minutes at most, or until it is cleared",
            into: &effects)
        let farewell = NotificationMessage.cease(
            .administrativeReset, communication: "your last message could not be processed")
        dropChallenger(peer, farewell, at: now, into: &effects)
        run(.automaticStop(farewell), peer, owner.slot, reason: "quarantined", at: now, into: &effects)
        run(.automaticStop(farewell), peer, owner.slot.other, reason: "quarantined", at: now, into: &effects)
        dropRetention(peer)
    }

    /// RFC 7911: how the prefixes of a fatal record are to be read. One that holds the OPEN, too, was agreed on nowhere: then
    /// either nothing was, or what we offer.
    private func pathIDs(_ owner: Owner, _ neighbor: Neighbor, at now: Instant) -> [RouteFamilySet] {
        if !owner.isChallenger, let negotiated = neighbor[owner.slot]?.negotiated { return [negotiated.receivesPathIDs] }
        let offered = openMessage(for: neighbor, at: now).capabilities.receivesPathIDs
        return offered.isEmpty ? [[]] : [[], offered]
    }

    /// Who is held down may come back when somebody could survive it.
    mutating func noteRedundancy(_ isRedundant: Bool, at now: Instant) {
        guard isRedundant != self.isRedundant else { return }
        self.isRedundant = isRedundant
        for i in neighbors.indices where neighbors[i]?.isQuarantined ?? false {
            timers.set(
                timer(.quarantine, PeerIndex(UInt16(i)), .own),
                at: now + (isRedundant ? Self.quarantinePause : Self.quarantineMaximum))
        }
    }

    mutating func endQuarantine(_ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        guard neighbor(peer)?.isQuarantined ?? false else { return }
        neighbors[Int(peer.value)]!.isQuarantined = false
        event(.notice, peer, "may come back: what was fatal is known, and is treated as withdrawn", into: &effects)
        guard let neighbor = neighbor(peer), !neighbor.isBlocked, neighbor.own.machine.state == .idle, neighbor.incoming == nil
        else { return }
        startMachine(peer, at: now, into: &effects)
    }

    /// Whether anything is remembered of this neighbour: once per record.
    func fatalSource(_ peer: PeerIndex, at now: Instant) -> (name: UInt64, faults: UInt32)? {
        guard !fatalInputs.isEmpty, let address = neighbor(peer)?.configuration.address else { return nil }
        let name = FatalInputs.name(address), faults = fatalInputs.faults(of: name, at: now)
        return faults > 0 ? (name, faults) : nil
    }
}
