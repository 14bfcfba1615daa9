import Machine
import Records
import Routing
import Wire

/// The designated IS of a LAN and level (ISO 10589 §8.4.5).
extension ISISInstance {
    /// Two hello intervals after the circuit came up, when everybody was heard.
    mutating func electFirst(_ number: Int, _ level: Level, at now: Instant, into effects: inout [Effect]) {
        circuits[number]?.lans[level.index].isWaiting = false
        elect(number, level, at: now, into: &effects)
    }

    /// Runs after every change among the neighbours.
    mutating func elect(_ number: Int, _ level: Level, at now: Instant, into effects: inout [Effect]) {
        guard let circuit = circuit(number), circuit.isBroadcast, circuit.levels.contains(level) else { return }
        let lan = circuit.lans[level.index]
        guard !lan.isWaiting else { return }
        var elected: SystemID?
        var lanID = NodeID.zero
        // Who is alone on the LAN needs no pseudonode.
        if circuit.isActive, circuit.hasUp(level) {
            // The highest priority; then the highest station. Without a number for the LAN we cannot be it.
            var best =
                circuit.circuitID == 0
                ? (-1, MACAddress(raw: 0)) : (Int(circuit.configuration[level].priority), circuit.station)
            elected = circuit.circuitID == 0 ? nil : ownID
            lanID = circuit.circuitID == 0 ? .zero : NodeID(ownID, pseudonode: circuit.circuitID)
            for adjacency in circuit.adjacencies where adjacency.isUp(level) {
                guard (Int(adjacency.priority), adjacency.station) > best else { continue }
                best = (Int(adjacency.priority), adjacency.station)
                elected = adjacency.system
                // It names the LAN; until it knows that it is elected, nobody can.
                let named = adjacency.lanID
                lanID = named.system == adjacency.system && named.isPseudonode ? named : .zero
            }
        }
        guard elected != lan.designated || lanID != lan.lanID else { return }
        let was = lan.designated == ownID
        circuits[number]?.lans[level.index].designated = elected
        circuits[number]?.lans[level.index].lanID = lanID
        if elected != lan.designated {
            let who = elected.map { $0 == ownID ? "this router" : hostname($0) ?? $0.description } ?? "nobody"
            event(.info, "\(level) designated IS on \(name(circuit)) is \(who)", into: &effects)
        }
        // Our LSP names the LAN; the pseudonode's LSPs appear, or are purged with our resignation.
        scheduleGeneration(level, at: now)
        adjacencySetChanged(level)
        hastenHello(number, level.rawValue, at: now)
        let timer = ISISTimer(.csnp, circuit, level)
        if elected == ownID, !was {
            timers.set(timer, at: now + jittered(.seconds(Int64(circuit.configuration.csnpInterval))))
        } else if elected != ownID, was {
            timers.cancel(timer)
        }
    }
}
