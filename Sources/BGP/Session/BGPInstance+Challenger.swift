import Machine
import Records
import Routing
import Wire

// A further connection of a neighbour whose session is up.
//
// RFC 4271 §6.8 closes it. But a neighbour that lost its power sent no FIN: it has no session any more, and until our hold
// timer expires it would be turned away again and again. RFC 4724 §4.2 takes the new connection for the end of the old one,
// among speakers that agreed on graceful restart; but that would let a second connection that is only a mistake end a session
// that lives. So the old connection is asked, unless the new OPEN has the Restart State bit, by which a speaker of graceful
// restart says that it knows of no session.
//
//  1. The new connection is accepted and says nothing (RFC 4271 §8.1.1 DelayOpen knows this silence). The neighbour's OPEN
//     must come within `openPatience` and be acceptable: whoever cannot complete a handshake from the neighbour's address, or
//     does not know its AS, gets no further.
//  2. A KEEPALIVE leaves on the old connection. Its acknowledgement, or any octet of the neighbour there, says that the
//     session lives: the new connection is closed with Cease/7. A neighbour that has forgotten the old connection answers
//     with RST; one that may not (RFC 2385) says nothing, and `questionPatience` ends that.
//  3. Then the old connection is closed and the new one goes on where it stopped: our OPEN, our KEEPALIVE.
//
// One at a time, and of its octets one OPEN. All of it is records and timers; after a switchover the time begins again, since
// the new active has to hear the answer itself.
extension BGPInstance {
    static let openPatience = Duration.seconds(10)
    /// A round trip with a delayed acknowledgement (RFC 9293 §3.8.6.3: at most 500 ms) and one retransmission.
    static let questionPatience = Duration.milliseconds(1500)

    /// A connection of a neighbour whose session is up.
    mutating func challenge(
        _ connection: ConnectionID, _ tuple: ConnectionTuple, _ addresses: SessionAddresses, _ peer: PeerIndex,
        at now: Instant, into effects: inout [Effect]
    ) {
        let i = Int(peer.value)
        if let known = neighbors[i]?.challenger {
            // The question that is under way is answered first.
            guard known.question == nil else {
                effects.append(.send(connection, NotificationMessage.cease(.connectionCollision).encoded[...]))
                finish(connection, at: now, into: &effects)
                return
            }
            dropChallenger(peer, .cease(.connectionCollision), at: now, into: &effects)
        }
        neighbors[i]!.challenger = Challenger(connection: connection, tuple: tuple, addresses: addresses)
        challengers += 1
        owners[connection] = Owner(peer: peer, slot: .incoming, isChallenger: true)
        timers.set(timer(.challenge, peer, .own), at: now + Self.openPatience)
    }

    /// Octets on it: less than an OPEN, an OPEN, or what ends it.
    mutating func receiveChallenger(_ bytes: [UInt8], _ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], let challenger = neighbor.challenger else { return }
        let octets = challenger.octets + bytes
        scratch.message = 0
        do throws(NotificationMessage) {
            // RFC 4271 §8.2.2: after OPEN it waits for ours.
            guard challenger.question == nil else { throw NotificationMessage.cease(.connectionCollision) }
            guard octets.count >= MessageHeader.size else {
                neighbors[i]!.challenger!.octets = octets
                return
            }
            let header = try MessageHeader(octets.span.bytes, at: 0, extended: false)
            guard header.type == .open else { throw NotificationMessage.cease(.connectionCollision) }
            guard octets.count >= header.length else {
                neighbors[i]!.challenger!.octets = octets
                return
            }
            guard octets.count == header.length else { throw NotificationMessage.cease(.connectionCollision) }
            // What is fatal in it must be fatal in this record: nothing is looked at for the first time later.
            noteMessage()
            let body = octets.span.bytes.extracting(MessageHeader.size..<header.length)
            if let source = fatalSource(peer, at: now), fatalInputs.isKnown(header.type.rawValue, body, from: source.name) {
                throw NotificationMessage.cease(.connectionRejected)
            }
            let remote = try OpenMessage(body: body)
            let negotiated = try negotiated(openMessage(for: neighbor, at: now), remote, neighbor)
            if negotiated.gracefulRestart?.isRestarting == true, let slot = neighbors[i]?.establishedSlot, isRestartable(peer) {
                neighbors[i]!.challenger!.octets = octets
                run(.tcpFails, peer, slot, reason: "the neighbor has restarted and connected again", at: now, into: &effects)
                return
            }
        } catch {
            return dropChallenger(peer, error, at: now, into: &effects)
        }
        ask(octets, peer, at: now, into: &effects)
    }

    /// RFC 4724 §5: the session that is up had the capability, with a family at least.
    private func isRestartable(_ peer: PeerIndex) -> Bool {
        guard let neighbor = neighbor(peer), let slot = neighbor.establishedSlot else { return false }
        return neighbor[slot]?.negotiated?.gracefulRestart?.families.isEmpty == false
    }

    /// The OPEN is good: does the old connection answer?
    private mutating func ask(_ octets: [UInt8], _ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(peer.value)
        guard let slot = neighbors[i]?.establishedSlot else { return }
        event(.notice, peer, "connected again while its session is up: the old connection is asked for an answer", into: &effects)
        neighbors[i]!.counters.sent.keepalives &+= 1
        send(KeepaliveMessage.encoded, peer, slot, at: now, into: &effects)
        neighbors[i]!.challenger!.octets = octets
        neighbors[i]!.challenger!.question = neighbors[i]![slot]!.sentOffset
        timers.set(timer(.challenge, peer, .own), at: now + Self.questionPatience)
    }

    /// Something came on this connection. If it is a session that was asked, that is the answer.
    ///
    /// - Parameter offset: what the neighbour has of our stream now; `nil`: octets of its own came.
    mutating func heard(_ connection: ConnectionID, offset: UInt64?, at now: Instant, into effects: inout [Effect]) {
        guard challengers > 0, let owner = owners[connection], !owner.isChallenger else { return }
        let peer = owner.peer, i = Int(peer.value)
        guard let question = neighbors[i]?.challenger?.question, neighbors[i]?.establishedSlot == owner.slot else { return }
        if let offset, offset < question {
            // Routes that it has not read yet lie before the question. It reads, or this was under way for long.
            timers.set(timer(.challenge, peer, .own), at: now + Self.questionPatience)
            return
        }
        event(.notice, peer, "the old connection answers; the new one is closed", into: &effects)
        dropChallenger(peer, .cease(.connectionCollision), at: now, into: &effects)
    }

    /// No OPEN came, or no answer.
    mutating func challengeTimedOut(_ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        guard let challenger = neighbor(peer)?.challenger else { return }
        guard challenger.question != nil, let slot = neighbor(peer)?.establishedSlot else {
            return dropChallenger(peer, .cease(.connectionCollision), at: now, into: &effects)
        }
        // What follows is `settle`'s: without a session the challenger takes its place. RFC 4724 §4.2: no NOTIFICATION where it
        // would end what both ends agreed to continue.
        run(
            isRestartable(peer) ? .tcpFails : .openCollisionDump, peer, slot,
            reason: "the neighbor connected again and does not answer here", at: now, into: &effects)
    }

    /// The session is gone: its challenger begins where any other connection does.
    mutating func promoteChallenger(_ peer: PeerIndex, at now: Instant, into effects: inout [Effect]) {
        let i = Int(peer.value)
        guard let neighbor = neighbors[i], let challenger = neighbor.challenger else { return }
        guard !neighbor.configuration.isShutdown, !neighbor.isBlocked, !neighbor.isQuarantined, neighbor.incoming == nil else {
            return dropChallenger(peer, .cease(.connectionRejected), at: now, into: &effects)
        }
        forgetChallenger(peer)
        timers.cancel(timer(.idleHold, peer, .own))
        admit(challenger.connection, challenger.tuple, challenger.addresses, peer, at: now, into: &effects)
        if !challenger.octets.isEmpty { receive(challenger.octets, on: challenger.connection, at: now, into: &effects) }
    }

    mutating func dropChallenger(
        _ peer: PeerIndex, _ notification: NotificationMessage, at now: Instant, into effects: inout [Effect]
    ) {
        guard let connection = neighbor(peer)?.challenger?.connection else { return }
        forgetChallenger(peer)
        owners[connection] = nil
        effects.append(.send(connection, notification.encoded[...]))
        finish(connection, at: now, into: &effects)
    }

    /// Its connection is the caller's business.
    mutating func forgetChallenger(_ peer: PeerIndex) {
        guard neighbor(peer)?.challenger != nil else { return }
        neighbors[Int(peer.value)]!.challenger = nil
        challengers -= 1
        timers.cancel(timer(.challenge, peer, .own))
    }

    /// Another controller speaks: what the old one heard and did not say is lost, so the question is not overdue yet.
    mutating func askAgain(at now: Instant) {
        guard challengers > 0 else { return }
        for i in neighbors.indices where neighbors[i]?.challenger?.question != nil {
            timers.set(timer(.challenge, PeerIndex(UInt16(i)), .own), at: now + Self.questionPatience)
        }
    }
}
