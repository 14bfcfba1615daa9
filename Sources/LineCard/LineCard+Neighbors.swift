import Machine
import Records
import TCP
import Wire

/// Resolution: RFC 826 and RFC 4861 §7.2, §7.3, by one set of rules.
extension LineCard {
    /// When a question is repeated. The first repetitions are quick, because right after a take-over a switch may not
    /// know our port yet, and a BFD session of 50 ms times 3 that was found dead after 50 has no 100 left to lose with one
    /// question; six unanswered questions are an answer.
    static let solicitationDelays: [Duration] = [
        .milliseconds(20), .milliseconds(80), .milliseconds(200), .milliseconds(400), .seconds(1), .seconds(1),
    ]
    /// RFC 4861 §10 MAX_UNICAST_SOLICIT and RETRANS_TIMER.
    static let unicastSolicitationsMaximum = 3
    static let unicastSolicitationDelay = Duration.seconds(1)

    /// Sends a frame whose destination is still empty to a neighbour, now or when it has answered.
    /// - Parameter isAnswer: to somebody who may be anybody, like the one who sent a ping.
    mutating func send(
        _ frame: consuming [UInt8], on i: Int, to nextHop: IPAddress, for remote: IPAddress, owner: InterfaceID,
        isAnswer: Bool = false, at now: Instant, into effects: inout [LineCardEffect]
    ) {
        let key = NeighborCache.Key(interface: interfaces[i].id, address: nextHop)
        guard let slot = neighbors.slot(of: key) else {
            let slot = neighbors.insert(key)
            timers.cancel(.neighbor(slot))
            neighbors.entries[slot].isUsed = true
            neighbors.entries[slot].isPeer = !isAnswer
            _ = neighbors.enqueue(.init(frame: frame, remote: remote, interface: owner), at: slot)
            solicit(slot, at: now, into: &effects)
            return
        }
        neighbors.entries[slot].isUsed = true
        if !isAnswer { neighbors.entries[slot].isPeer = true }
        switch neighbors.entries[slot].state {
        case .free, .incomplete:
            counters.unresolved += UInt64(neighbors.enqueue(.init(frame: frame, remote: remote, interface: owner), at: slot))
            return
        case .reachable:
            if now - neighbors.entries[slot].confirmed >= NeighborCache.reachableTime {
                // RFC 4861 §7.3.3, at once: the frame goes out, and so does a question to the one who answered last.
                neighbors.entries[slot].state = .probing
                neighbors.entries[slot].tries = 0
                solicit(slot, at: now, into: &effects)
            }
        case .probing:
            break
        case .recalled:
            if neighbors.entries[slot].tries == 0 { solicit(slot, at: now, into: &effects) }
        }
        note(slot, at: now, into: &effects)
        address(&frame, to: neighbors.entries[slot].mac)
        put(frame, on: i, into: &effects)
    }

    /// What the controller knew that spoke before.
    mutating func recall(_ bindings: [NeighborBinding]) {
        for binding in bindings where Int(binding.interface.value) < interfaces.count && isUp(binding.interface) {
            let slot = neighbors.insert(.init(interface: binding.interface, address: binding.address))
            neighbors.entries[slot].state = .recalled
            neighbors.entries[slot].mac = binding.mac
            neighbors.entries[slot].isNoted = true
        }
    }

    /// Puts it into the log where a neighbour is that we send to. If too many say something new, with the next frame.
    private mutating func note(_ slot: Int, at now: Instant, into effects: inout [LineCardEffect]) {
        guard neighbors.entries[slot].isPeer, !neighbors.entries[slot].isNoted, notes.take(at: now) else { return }
        neighbors.entries[slot].isNoted = true
        let entry = neighbors.entries[slot]
        unlogged.append(isTCP: false)
        effects.append(
            .record(.neighbor(.init(interface: entry.key.interface, address: entry.key.address, mac: entry.mac))))
    }

    private func address(_ frame: inout [UInt8], to mac: MACAddress) {
        for k in 0..<6 { frame[k] = UInt8(truncatingIfNeeded: mac.raw >> UInt64(40 - 8 * k)) }
    }

    /// Asks for a neighbour: everybody while it is unknown, itself while it is being confirmed.
    private mutating func solicit(_ slot: Int, at now: Instant, into effects: inout [LineCardEffect]) {
        let entry = neighbors.entries[slot]
        let i = Int(entry.key.interface.value)
        let unicast = entry.state == .probing ? entry.mac : nil
        let delay = unicast == nil ? Self.solicitationDelays[entry.tries] : Self.unicastSolicitationDelay
        neighbors.entries[slot].tries += 1
        timers.set(.neighbor(slot), at: now + delay)
        counters.solicitations += 1
        switch entry.key.address {
        case .v4(let target):
            guard let source = interfaces[i].sourceV4(for: target) else { return }
            sendARP(
                .init(
                    operation: .request, senderMAC: interfaces[i].mac, sender: source,
                    targetMAC: unicast ?? MACAddress(raw: 0), target: target),
                to: unicast ?? .broadcast, on: i, into: &effects)
        case .v6(let target):
            let group = target.solicitedNode
            sendNeighborMessage(
                .solicitation(target: target, link: interfaces[i].mac), from: interfaces[i].sourceV6(for: target),
                to: unicast == nil ? group : target, mac: unicast ?? group.multicastMAC, on: i, into: &effects)
        }
    }

    mutating func neighborTimer(_ slot: Int, at now: Instant, into effects: inout [LineCardEffect]) {
        let entry = neighbors.entries[slot]
        switch entry.state {
        case .free, .reachable:
            return
        case .incomplete:
            if entry.tries < Self.solicitationDelays.count { return solicit(slot, at: now, into: &effects) }
            counters.unresolved += UInt64(entry.queue.count)
            neighbors.remove(slot)
            // Each waiting frame's destination hears of it once; a gateway may carry several.
            for k in entry.queue.indices {
                let waiting = entry.queue[k]
                if entry.queue[..<k].contains(where: { $0.remote == waiting.remote && $0.interface == waiting.interface }) {
                    continue
                }
                toTCP(.neighborUnreachable(waiting.interface, waiting.remote), at: now, into: &effects)
            }
        case .probing:
            if entry.tries >= Self.unicastSolicitationsMaximum {
                neighbors.entries[slot].state = .incomplete
                neighbors.entries[slot].tries = 0
            }
            solicit(slot, at: now, into: &effects)
        case .recalled:
            if entry.tries < Self.solicitationDelays.count { return solicit(slot, at: now, into: &effects) }
            // It is not where it was. The next frame begins from nothing.
            neighbors.remove(slot)
        }
    }

    enum Evidence {
        /// It answered our question.
        case answer
        /// It asked us, or announced itself with the right to replace what we know.
        case claim
        /// RFC 4861 §7.2.5: an advertisement without the override flag.
        case hint
    }

    /// Takes over what a neighbour says about itself. `create`: an entry is made if there is none.
    mutating func learn(
        _ address: IPAddress, _ mac: MACAddress, on i: Int, _ evidence: Evidence, create: Bool, at now: Instant,
        into effects: inout [LineCardEffect]
    ) {
        let key = NeighborCache.Key(interface: interfaces[i].id, address: address)
        let slot: Int
        var isFound = false
        if let known = neighbors.slot(of: key) {
            slot = known
            let entry = neighbors.entries[slot]
            isFound = entry.state == .incomplete || entry.state == .recalled && entry.mac != mac
        } else {
            isFound = true
            // Only our neighbours have business here; a stranger's address would only take a slot.
            guard create, interfaces[i].connectedLength(address) >= 0 else { return }
            slot = neighbors.insert(key)
            timers.cancel(.neighbor(slot))
        }
        let entry = neighbors.entries[slot]
        if entry.state == .reachable || entry.state == .probing, entry.mac != mac, evidence == .hint {
            // RFC 4861 §7.2.5: it may be right or not; ask when next used.
            neighbors.entries[slot].confirmed = now - NeighborCache.reachableTime
            return
        }
        neighbors.entries[slot].isNoted = entry.isNoted && entry.mac == mac
        neighbors.entries[slot].mac = mac
        neighbors.entries[slot].state = .reachable
        neighbors.entries[slot].confirmed = now
        neighbors.entries[slot].tries = 0
        timers.cancel(.neighbor(slot))
        if !entry.queue.isEmpty {
            for waiting in neighbors.takeQueue(slot) {
                var frame = waiting.frame
                self.address(&frame, to: mac)
                put(frame, on: i, into: &effects)
            }
        }
        if !neighbors.entries[slot].isNoted { note(slot, at: now, into: &effects) }
        // What did not fit the queue, or was dropped with it when nobody answered, waits for timers that backed off.
        if isFound, isSpeaking, resumptions.take(at: now) {
            resumeConnections(at: now, into: &effects) { $0 == i && $1 == address }
        }
    }

    mutating func forgetNeighbors(of id: InterfaceID) {
        for slot in neighbors.entries.indices
        where neighbors.entries[slot].state != .free && neighbors.entries[slot].key.interface == id {
            neighbors.remove(slot)
            timers.cancel(.neighbor(slot))
        }
    }

    /// Neighbours that have answered, by interface, the newest answers first; at most `limit` of each. Looks at the whole
    /// table: for a second's clock, not for a frame's.
    public func answeringNeighbors(limit: Int) -> [[IPAddress]] {
        var newest = [[(confirmed: Instant, address: IPAddress)]](repeating: [], count: interfaces.count)
        for entry in neighbors.entries where entry.state == .reachable {
            let i = Int(entry.key.interface.value)
            guard i < newest.count else { continue }
            let place = newest[i].firstIndex { $0.confirmed < entry.confirmed } ?? newest[i].count
            guard place < limit else { continue }
            newest[i].insert((entry.confirmed, entry.key.address), at: place)
            if newest[i].count > limit { newest[i].removeLast() }
        }
        return newest.map { $0.map(\.address) }
    }
}
