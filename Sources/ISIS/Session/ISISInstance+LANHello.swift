import Machine
import Records
import Routing
import Wire

/// Level 1 and level 2 hellos on a LAN (ISO 10589 §8.4.2).
extension ISISInstance {
    mutating func receive(
        _ hello: LANHello, _ pdu: RawSpan, from station: MACAddress, on circuit: Circuit, at now: Instant,
        into effects: inout [Effect]
    ) {
        let number = circuit.number
        let level = hello.level
        guard hello.holdingTime > 0, !station.isGroup else { return counters.count(.malformed) }
        guard Authentication.verify(pdu, with: circuit.configuration.authentication, at: now).isAccepted else {
            return counters.count(.authentication)
        }
        guard hello.source != ownID else { return heardOwnID(station, circuit, at: now, into: &effects) }
        let usage: ISISLevels = level == .one ? .level1 : .level2
        let known = circuit.index(of: hello.source, usage: usage)
        // §8.4.2.2 (a): level 1 neighbours share an area. One that moved to another area is a neighbour no longer.
        if level == .one, !sharesArea(hello.contents.areas) {
            counters.count(.areaMismatch)
            if let known {
                lose(circuit.adjacencies[known], number, reason: "area mismatch", at: now, into: &effects)
            }
            return
        }
        // §8.4.2.2 (c): the same system from another station is another adjacency.
        if let known, circuit.adjacencies[known].station != station {
            lose(circuit.adjacencies[known], number, reason: "its station changed", at: now, into: &effects)
        }
        let index: Int
        if let present = circuits[number]?.index(of: hello.source, usage: usage) {
            index = present
        } else {
            let count = circuit.adjacencies.count { $0.usage == usage }
            guard count < Int(configuration?.limits.adjacencies ?? 0) else { return counters.count(.tooManyAdjacencies) }
            let adjacency = Adjacency(
                system: hello.source, station: station, usage: usage, holdingTime: hello.holdingTime, heard: now)
            index = circuits[number]?.insert(adjacency) ?? 0
            // It learns of us the sooner.
            hastenHello(number, level.rawValue, at: now)
        }
        guard var adjacency = circuits[number]?.adjacencies[index] else { return }
        let before = adjacency
        adjacency.holdingTime = hello.holdingTime
        adjacency.priority = hello.priority
        adjacency.lanID = hello.lanID
        take(hello.contents, into: &adjacency, circuit, at: now)
        let isHelping = help(&adjacency, hello.contents.restart)
        circuits[number]?.adjacencies[index] = adjacency
        if !(isHelping && before.isRestarting) {
            // RFC 5306 §3.2.1 (a): the timer goes on while a restart is repeated.
            setHoldTimer(adjacency, number, level.rawValue, at: now)
        }
        // §8.4.2.2 (b): two-way once it lists our station.
        let hearsUs = hello.contents.lanNeighbors.contains(circuit.station)
        switch (adjacency.state, hearsUs) {
        case (.initializing, true):
            becomeUp(number, index, at: now, into: &effects)
        case (.up, false) where !isHelping:
            becomeInitializing(number, index, reason: "it no longer hears us", at: now, into: &effects)
        default:
            if differs(before, adjacency) { adjacencyChanged(number, usage, at: now) }
        }
        if isHelping {
            let isFirst = !before.isRestarting
            answerRestart(number, level.rawValue, hello.source, isFirst: isFirst, at: now, into: &effects)
        }
        if before.state != circuits[number]?.adjacencies[safe: index]?.state || before.priority != adjacency.priority
            || before.lanID != adjacency.lanID
        {
            elect(number, level, at: now, into: &effects)
        }
    }

    /// Two routers of one name take each other's LSPs back in turns; nobody sees why unless it is said.
    mutating func heardOwnID(
        _ station: MACAddress, _ circuit: Circuit, at now: Instant, into effects: inout [Effect]
    ) {
        counters.count(.ownSystemID)
        let timer = ISISTimer(.duplicate, circuit)
        guard !timers.isRunning(timer) else { return }
        timers.set(timer, at: now + .seconds(60))
        event(.alarm, "\(station) on \(name(circuit)) has our system ID \(ownID)", into: &effects)
    }

    func sharesArea(_ areas: [AreaAddress]) -> Bool {
        guard let own = configuration?.areaAddresses else { return false }
        return areas.contains { own.contains($0) }
    }

    /// What hellos of both kinds tell.
    func take(_ contents: HelloContents, into adjacency: inout Adjacency, _ circuit: Circuit, at now: Instant) {
        adjacency.heard = now
        adjacency.areas = Array(contents.areas.prefix(Int(PDUHeader.maximumAreas)))
        adjacency.ipv4 = Array(contents.ipv4Addresses.prefix(Adjacency.addressesMaximum))
        adjacency.ipv6 = Array(contents.ipv6Addresses.prefix(Adjacency.addressesMaximum))
        adjacency.protocols =
            (contents.protocols.contains(ProtocolID.ipv4) ? 1 : 0)
            | (contents.protocols.contains(ProtocolID.ipv6) ? 2 : 0)
        adjacency.topologies = Self.topologyBits(contents.topologies) & Self.topologyBits(topologies(circuit))
        adjacency.isSuppressed = configuration?.isRestartHelper == true && contents.restart?.suppressesAdjacency == true
    }

    /// Whether our LSP or our routes would look different.
    func differs(_ a: Adjacency, _ b: Adjacency) -> Bool {
        a.state == .up
            && (a.ipv4 != b.ipv4 || a.ipv6 != b.ipv6 || a.protocols != b.protocols
                || a.topologies != b.topologies || a.isSuppressed != b.isSuppressed)
    }

    /// RFC 5306 §3.2.1: a neighbour that is up and asks to restart keeps its adjacency.
    /// - Returns: whether this hello is such a request and we help.
    func help(_ adjacency: inout Adjacency, _ option: RestartOption?) -> Bool {
        guard configuration?.isRestartHelper == true, adjacency.isUp, let option, option.isRequest else {
            adjacency.isRestarting = false
            return false
        }
        adjacency.isRestarting = true
        return true
    }
}

extension Array {
    subscript(safe index: Int) -> Element? { index >= 0 && index < count ? self[index] : nil }
}
