import Machine
import Records
import Routing
import Wire

/// Hellos on a point-to-point circuit (ISO 10589 §8.2.4, RFC 5303).
extension ISISInstance {
    mutating func receive(
        _ hello: PointToPointHello, _ pdu: RawSpan, from station: MACAddress, on circuit: Circuit, at now: Instant,
        into effects: inout [Effect]
    ) {
        let number = circuit.number
        guard hello.holdingTime > 0, !station.isGroup else { return counters.count(.malformed) }
        guard Authentication.verify(pdu, with: circuit.configuration.authentication, at: now).isAccepted else {
            return counters.count(.authentication)
        }
        guard hello.source != ownID else { return heardOwnID(station, circuit, at: now, into: &effects) }
        if hello.contents.threeWay == nil, configuration?.requiresThreeWay == true {
            return counters.count(.threeWayMissing)
        }
        // RFC 5303 §3.2: a hello that names another neighbour, or another of our circuits, is not for us.
        if let threeWay = hello.contents.threeWay, let named = threeWay.neighbor {
            guard named == ownID, threeWay.neighborCircuitID ?? circuit.extendedCircuitID == circuit.extendedCircuitID
            else { return counters.count(.threeWayMismatch) }
        }
        let isKnown = circuit.adjacencies.first?.system == hello.source
        // §8.2.4.2: what both can do, by areas and levels.
        guard let usage = usage(hello, circuit) else {
            counters.count(.areaMismatch)
            if isKnown, let adjacency = circuit.adjacencies.first {
                lose(adjacency, number, reason: "no level in common", at: now, into: &effects)
            }
            return
        }
        if let adjacency = circuit.adjacencies.first {
            if adjacency.system != hello.source {
                lose(adjacency, number, reason: "another system took its place", at: now, into: &effects)
            } else if adjacency.usage != usage {
                lose(adjacency, number, reason: "its levels or areas changed", at: now, into: &effects)
            } else if adjacency.station != station {
                lose(adjacency, number, reason: "its station changed", at: now, into: &effects)
            }
        }
        if circuits[number]?.adjacencies.isEmpty != false {
            // RFC 5303 §3.2, down and "up" received: it holds an adjacency of which we know nothing. It stays down
            // until our "down" has made the other begin anew, or else its database would not be exchanged.
            if hello.contents.threeWay?.state == .up { return hastenHello(number, 0, at: now) }
            let adjacency = Adjacency(
                system: hello.source, station: station, usage: usage, holdingTime: hello.holdingTime, heard: now)
            _ = circuits[number]?.insert(adjacency)
            hastenHello(number, 0, at: now)
        }
        guard var adjacency = circuits[number]?.adjacencies[0] else { return }
        let before = adjacency
        adjacency.holdingTime = hello.holdingTime
        if let id = hello.contents.threeWay?.extendedCircuitID { adjacency.extendedCircuitID = id }
        take(hello.contents, into: &adjacency, circuit, at: now)
        let isHelping = help(&adjacency, hello.contents.restart)
        circuits[number]?.adjacencies[0] = adjacency
        if !(isHelping && before.isRestarting) { setHoldTimer(adjacency, number, 0, at: now) }
        switch nextState(hello.contents.threeWay?.state) {
        case .up where adjacency.state != .up: becomeUp(number, 0, at: now, into: &effects)
        case .initializing where adjacency.state == .up && !isHelping:
            becomeInitializing(number, 0, reason: "it no longer hears us", at: now, into: &effects)
        default: if differs(before, adjacency) { adjacencyChanged(number, usage, at: now) }
        }
        if isHelping { answerRestart(number, 0, hello.source, isFirst: !before.isRestarting, at: now, into: &effects) }
        // What it said of the handshake and what we say of it now need an answer unless both are up.
        if hello.contents.threeWay?.state != .up || !circuitIsUp(number) { hastenHello(number, 0, at: now) }
    }

    private func circuitIsUp(_ number: Int) -> Bool { circuits[number]?.hasUp == true }

    /// RFC 5303 §3.2, the table of states. Who is known at all is initializing or up here; down has no adjacency.
    ///
    ///     received       down          initializing   up
    ///     initializing   initializing  up             up
    ///     up             initializing  up             up
    private func nextState(_ received: ThreeWayAdjacency.State?) -> Adjacency.State {
        switch received {
        // Without the option ISO 10589 §8.2.4.2 holds: whoever is heard is up.
        case nil, .initializing, .up: .up
        case .down: .initializing
        }
    }

    /// ISO 10589 §8.2.4.2 tables 5 to 8: levels that both ends serve; level 1 only within an area.
    private func usage(_ hello: PointToPointHello, _ circuit: Circuit) -> ISISLevels? {
        guard let common = circuit.levels.intersection(hello.circuitType) else { return nil }
        if sharesArea(hello.contents.areas) { return common }
        return common.contains(.two) ? .level2 : nil
    }
}
