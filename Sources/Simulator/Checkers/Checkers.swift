import Controller
import Engine
import Machine
import Records
import Redundancy

/// The small independent watchers of a run. Each looks at one promise; what it finds ends the run.
struct Checkers {
    private var mastership = MastershipChecker()
    private(set) var lockstep = LockstepChecker()
    private(set) var acknowledgements = AcknowledgementChecker()
    private var sessions = SessionChecker()
    private var bounds = BoundsChecker()
    private var gateways = GatewayChecker()
    private(set) var quarantines = 0
    /// Their sessions are gone: octets that still come in on them are looked at by nobody.
    private var quarantined: [ConnectionID] = []
    /// Octets with which a packet of a routing protocol ends that is fatal.
    static let packetPoisonMark: [UInt8] = [0xde, 0xad, 0x6f, 0x66, 0x66, 0x00, 0x42, 0x42]
    /// Octets that make an LSA, an LSP or an entry fatal: the address of a prefix, 203.0.113.66.
    static let contentPoisonMark: [UInt8] = [203, 0, 113, 66]

    init(options: SimulationOptions) {}

    mutating func look(at simulation: Simulation) {
        // What peers complain of is rare and cheap to look for; every 16th step is often enough to stop near the cause.
        if simulation.steps & 15 == 0 {
            mastership.look(at: simulation)
            sessions.look(at: simulation)
            gateways.look(at: simulation)
        }
        if simulation.steps & 1023 == 0 { bounds.look(at: simulation) }
    }

    mutating func transmitted(_ frame: [UInt8], by node: ControllerNode, in simulation: Simulation) {
        mastership.transmitted(frame, by: node, in: simulation)
    }

    mutating func engine(_ work: EngineWork, _ report: EngineReport, of node: ControllerNode, in simulation: Simulation) {
        if case .apply(let records) = work {
            for record in records {
                guard case .quarantined(let poison) = record.body else { continue }
                quarantines += 1
                if case .connection(let connection, _, _) = poison, !quarantined.contains(connection) {
                    quarantined.append(connection)
                }
            }
        }
        lockstep.engine(work, report, of: node, in: simulation)
        acknowledgements.engine(report, of: node, quarantined: quarantined, in: simulation)
    }

    mutating func state(_ state: ControllerState, _ epoch: Epoch, of node: ControllerNode, in simulation: Simulation) {
        mastership.state(state, epoch, of: node, in: simulation)
    }

    enum Fatal {
        case crash(LogIndex)
        case hang(LogIndex)
    }

    /// The first record of the work that would be fatal, and how. What peers say is found by the engine itself, which may know
    /// it and pass it by (`Engine.trapMet`).
    func fatal(in work: EngineWork) -> Fatal? {
        guard case .apply(let records) = work else { return nil }
        for record in records {
            switch record.body {
            case .command(.testTrap): return .crash(record.index)
            case .command(.testHang): return .hang(record.index)
            default: continue
            }
        }
        return nil
    }

    /// At the end of the liveness phase: everything must be well again.
    mutating func finish(_ simulation: Simulation) {
        sessions.look(at: simulation)
        sessions.finish(simulation)
        gateways.finish(simulation)
        guard simulation.isRedundant else { return }
        let a = simulation.nodes[0], b = simulation.nodes[1]
        if a.applied == b.applied, a.encodedState() != b.encodedState() {
            simulation.find("the engines are at index \(a.applied) and encode differently")
        }
    }
}
