import Machine
import Records
import Routing
import Wire

/// What it means that a neighbour comes and goes, whatever the kind of circuit.
extension ISISInstance {
    private func levels(_ usage: ISISLevels) -> [Level] { Level.allCases.filter { usage.contains($0) } }

    private func describe(_ adjacency: Adjacency, _ circuit: Circuit) -> String {
        let name = hostname(adjacency.system).map { " (\($0))" } ?? ""
        return "adjacency \(adjacency.usage) with \(adjacency.system)\(name) on \(self.name(circuit))"
    }

    func holdTimer(_ adjacency: Adjacency, _ number: Int, _ which: UInt8) -> ISISTimer {
        ISISTimer(.hold, circuit: UInt16(number), level: which, name: adjacency.system.raw)
    }

    mutating func setHoldTimer(_ adjacency: Adjacency, _ number: Int, _ which: UInt8, at now: Instant) {
        timers.set(holdTimer(adjacency, number, which), at: now + .seconds(Int64(adjacency.holdingTime)))
    }

    // MARK: up

    mutating func becomeUp(_ number: Int, _ index: Int, at now: Instant, into effects: inout [Effect]) {
        guard circuits[number]?.adjacencies[safe: index] != nil else { return }
        circuits[number]?.adjacencies[index].state = .up
        circuits[number]?.adjacencies[index].upSince = now
        guard let circuit = circuits[number] else { return }
        let adjacency = circuit.adjacencies[index]
        event(.notice, "\(describe(adjacency, circuit)) is up", into: &effects)
        wantBFD(number, index, into: &effects)
        for level in levels(adjacency.usage) {
            databases[level.index].reserveCircuit(number)
            if circuit.isBroadcast {
                hastenHello(number, level.rawValue, at: now)
            } else {
                // §7.3.17: it is to have everything; its and our CSNP take back what it has already (§7.3.15.2).
                databases[level.index].setAllSRM(number)
                sendCSNPs(number, level, at: now, into: &effects)
                let interval = circuit.configuration.pointToPointCSNPInterval
                if interval > 0 {
                    timers.set(ISISTimer(.csnp, circuit, level), at: now + jittered(.seconds(Int64(interval))))
                }
            }
            scheduleGeneration(level, at: now)
            adjacencySetChanged(level)
        }
    }

    // MARK: down

    /// It is heard, but no longer hears us.
    mutating func becomeInitializing(
        _ number: Int, _ index: Int, reason: String, at now: Instant, into effects: inout [Effect]
    ) {
        guard let circuit = circuits[number], let adjacency = circuit.adjacencies[safe: index] else { return }
        circuits[number]?.adjacencies[index].state = .initializing
        circuits[number]?.adjacencies[index].upSince = nil
        circuits[number]?.adjacencies[index].isRestarting = false
        circuits[number]?.flaps &+= 1
        event(.warning, "\(describe(adjacency, circuit)) is down: \(reason)", into: &effects)
        endBFD(number, adjacency, into: &effects)
        circuits[number]?.adjacencies[index].bfd = nil
        circuits[number]?.adjacencies[index].isBFDUp = nil
        afterLoss(adjacency, number, at: now, into: &effects)
    }

    /// The adjacency is gone.
    mutating func lose(
        _ adjacency: Adjacency, _ number: Int, reason: String, at now: Instant, into effects: inout [Effect]
    ) {
        guard let circuit = circuits[number],
            let index = circuit.index(of: adjacency.system, usage: adjacency.usage)
        else { return }
        circuits[number]?.adjacencies.remove(at: index)
        let which = circuit.isBroadcast ? adjacency.usage.rawValue : 0
        timers.cancel(holdTimer(adjacency, number, which))
        if adjacency.isUp {
            circuits[number]?.flaps &+= 1
            event(.warning, "\(describe(adjacency, circuit)) is down: \(reason)", into: &effects)
            endBFD(number, adjacency, into: &effects)
            afterLoss(adjacency, number, at: now, into: &effects)
        } else {
            event(.info, "\(describe(adjacency, circuit)) did not come up: \(reason)", into: &effects)
        }
        // The neighbour hears of it by the next hello.
        hastenHello(number, which, at: now)
    }

    private mutating func afterLoss(_ adjacency: Adjacency, _ number: Int, at now: Instant, into effects: inout [Effect]) {
        for level in levels(adjacency.usage) {
            if circuits[number]?.hasUp(level) != true {
                // Nobody is left to send to or to acknowledge.
                databases[level.index].clearFlags(number)
                timers.cancel(ISISTimer(.psnp, circuit: UInt16(number), level: level.rawValue))
                timers.cancel(ISISTimer(.retransmit, circuit: UInt16(number), level: level.rawValue))
                if circuits[number]?.isBroadcast == false {
                    timers.cancel(ISISTimer(.csnp, circuit: UInt16(number), level: level.rawValue))
                }
            }
            scheduleGeneration(level, at: now)
            adjacencySetChanged(level)
            elect(number, level, at: now, into: &effects)
        }
    }

    /// Something of a neighbour changed that our LSPs or next hops show.
    mutating func adjacencyChanged(_ number: Int, _ usage: ISISLevels, at now: Instant) {
        for level in levels(usage) {
            scheduleGeneration(level, at: now)
            adjacencySetChanged(level)
        }
    }

    mutating func holdingTimeExpired(
        _ number: Int, _ which: UInt8, _ system: SystemID, at now: Instant, into effects: inout [Effect]
    ) {
        guard let circuit = circuit(number) else { return }
        let usage = circuit.isBroadcast ? ISISLevels(rawValue: which) : nil
        guard let index = circuit.index(of: system, usage: usage) else { return }
        lose(circuit.adjacencies[index], number, reason: "holding time expired", at: now, into: &effects)
    }

    // MARK: restart (RFC 5306)

    /// RFC 5306 §3.2.1: answers a neighbour's request. With the first one it gets everything anew.
    mutating func answerRestart(
        _ number: Int, _ which: UInt8, _ neighbor: SystemID, isFirst: Bool, at now: Instant, into effects: inout [Effect]
    ) {
        guard let circuit = circuits[number] else { return }
        let usage = circuit.isBroadcast ? ISISLevels(rawValue: which) : nil
        guard let index = circuit.index(of: neighbor, usage: usage) else { return }
        let adjacency = circuit.adjacencies[index]
        let left = timers.deadline(of: holdTimer(adjacency, number, which)).map { ($0 - now).inMilliseconds / 1000 } ?? 0
        emitHello(circuit, which, answering: (neighbor, UInt16(clamping: left)), at: now, into: &effects)
        guard isFirst else { return }
        event(.notice, "\(describe(adjacency, circuit)) is held while the neighbor restarts", into: &effects)
        for level in levels(adjacency.usage) {
            // (b): on a LAN the designated IS, or who would be, brings the restarting router up to date.
            guard !circuit.isBroadcast || circuit.isDesignated(level, by: ownID) else { continue }
            sendCSNPs(number, level, at: now, into: &effects)
            databases[level.index].setAllSRM(number)
        }
    }

    // MARK: BFD (RFC 5882)

    private mutating func wantBFD(_ number: Int, _ index: Int, into effects: inout [Effect]) {
        guard let circuit = circuits[number], circuit.configuration.bfd, let adjacency = circuit.adjacencies[safe: index],
            adjacency.bfd == nil
        else { return }
        let peer: BFDPeer
        if configuration?.isIPv4Enabled == true, let local = circuit.ipv4.first, let remote = adjacency.ipv4.first {
            peer = BFDPeer(interface: circuit.interface, local: .v4(local), remote: .v4(remote))
        } else if configuration?.isIPv6Enabled == true, let local = circuit.ipv6.first, let remote = adjacency.ipv6.first {
            peer = BFDPeer(interface: circuit.interface, local: .v6(local), remote: .v6(remote))
        } else {
            return
        }
        let isShared = circuit.adjacencies.contains { $0.bfd == peer }
        circuits[number]?.adjacencies[index].bfd = peer
        circuits[number]?.adjacencies[index].isBFDUp = circuit.adjacencies.first { $0.bfd == peer }?.isBFDUp
        if !isShared { effects.append(.bfd(peer, isWanted: true)) }
    }

    /// Both levels of a LAN share a session; the last one ends it. Called after the adjacency left, or before it
    /// forgets.
    private mutating func endBFD(_ number: Int, _ adjacency: Adjacency, into effects: inout [Effect]) {
        guard let peer = adjacency.bfd else { return }
        let others = circuits[number]?.adjacencies.contains {
            $0.bfd == peer && !($0.system == adjacency.system && $0.usage == adjacency.usage)
        }
        if others != true { effects.append(.bfd(peer, isWanted: false)) }
    }

    /// After a change of configuration: sessions that are wanted now and those that no longer are.
    mutating func reviewBFD(_ number: Int, into effects: inout [Effect]) {
        guard let circuit = circuits[number] else { return }
        for index in circuit.adjacencies.indices {
            if circuit.configuration.bfd {
                if circuit.adjacencies[index].isUp { wantBFD(number, index, into: &effects) }
            } else if let adjacency = circuits[number]?.adjacencies[index], adjacency.bfd != nil {
                endBFD(number, adjacency, into: &effects)
                circuits[number]?.adjacencies[index].bfd = nil
                circuits[number]?.adjacencies[index].isBFDUp = nil
            }
        }
    }

    /// RFC 5882 §4.2: only a change from up to down ends an adjacency.
    mutating func bfd(_ peer: BFDPeer, isUp: Bool, at now: Instant, into effects: inout [Effect]) {
        guard let interface = peer.interface, let circuit = circuit(Int(interface.value)) else { return }
        let number = circuit.number
        var lost: [Adjacency] = []
        for (index, adjacency) in circuit.adjacencies.enumerated() where adjacency.bfd == peer {
            if !isUp, adjacency.isBFDUp == true { lost.append(adjacency) }
            circuits[number]?.adjacencies[index].isBFDUp = isUp
        }
        for adjacency in lost { lose(adjacency, number, reason: "BFD session down", at: now, into: &effects) }
    }
}
