import Redundancy
import Simulator

/// What the command line asks for. Read by hand: this program belongs to the pure core, which has no dependency.
struct Arguments {
    var seeds = 200
    var first: UInt64 = 1
    var faults = 4
    var isTraced = false
    var isVerbose = false
    /// Neighbours of interior gateway protocols in random runs.
    var routed = 0
    var arbiter = ArbiterKind.leasefile
    /// Nothing beside what every seed has.
    var isPlain = false
    /// A bug to plant, to see a checker find it.
    var planted: PlantedBug?
    /// Empty: random runs. `all`: every scenario.
    var scenario = ""

    init(_ words: [String]) {
        var words = words[...]
        func number(after option: String) -> UInt64 {
            guard let text = words.popFirst(), let value = UInt64(text) else { Self.refuse("\(option) needs a number") }
            return value
        }
        while let word = words.popFirst() {
            switch word {
            case "--seeds": seeds = Int(clamping: number(after: word))
            case "--seed":
                first = number(after: word)
                seeds = 1
            case "--from": first = number(after: word)
            case "--faults": faults = Int(clamping: number(after: word))
            case "--routed": routed = min(12, Int(clamping: number(after: word)))
            case "--plain": isPlain = true
            case "--trace": isTraced = true
            case "--verbose": isVerbose = true
            case "--scenario":
                guard let name = words.popFirst() else { Self.refuse("--scenario needs a name") }
                scenario = name
            case "--plant":
                guard let bug = words.popFirst().flatMap(PlantedBug.init(rawValue:)) else {
                    Self.refuse("--plant needs one of \(PlantedBug.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                planted = bug
                arbiter = bug.arbiter
            case "--arbiter":
                guard let kind = words.popFirst().flatMap(ArbiterKind.init(rawValue:)), kind != .etcd else {
                    Self.refuse("--arbiter needs leasefile, link or witness")
                }
                arbiter = kind
            case "--list":
                for scenario in Scenario.all { print("\(scenario.name): \(scenario.promise)") }
                exitProcess(0)
            default: Self.refuse("unknown argument '\(word)'")
            }
        }
    }

    static func refuse(_ sentence: String) -> Never {
        print("simulate: \(sentence)")
        print("usage: simulate [--seeds N] [--from S] [--seed S] [--faults N] [--routed N] [--plain]")
        print(
            "                [--scenario NAME|all] [--list] [--arbiter leasefile|link|witness] [--plant BUG] [--verbose] [--trace]"
        )
        exitProcess(2)
    }
}

/// Runs one seed, says one line about it when asked or when it failed, and whether it passed.
func passes(_ simulation: Simulation, _ name: String, replay: String, _ arguments: Arguments) -> Bool {
    if arguments.isTraced { for line in simulation.traceLines { print(line) } }
    guard let finding = simulation.findings.first else {
        if arguments.isVerbose || arguments.seeds == 1 { print("\(name) ok: \(simulation.summary)") }
        return true
    }
    print("\(name) FAILED \(finding)")
    print("  replay: simulate \(replay) --trace")
    return false
}

let arguments = Arguments(Array(CommandLine.arguments.dropFirst()))
let scenarios = arguments.scenario == "all" ? Scenario.all : Scenario.all.filter { $0.name == arguments.scenario }
if !arguments.scenario.isEmpty, scenarios.isEmpty {
    Arguments.refuse("no scenario is called '\(arguments.scenario)'; --list names them")
}
var passed = 0, failed = 0
for seed in arguments.first..<(arguments.first + UInt64(arguments.seeds)) {
    if scenarios.isEmpty {
        var options = SimulationOptions()
        options.isTraced = arguments.isTraced
        options.arbiter = arguments.arbiter
        options.routedStationCount = arguments.routed
        if let bug = arguments.planted { options.show(bug) } else if !arguments.isPlain { options.vary(by: seed) }
        let simulation = Simulation(seed: seed, options: options)
        simulation.runPhases(faults: arguments.faults)
        var replay = "--seed \(seed) --faults \(arguments.faults)"
        if arguments.routed > 0 { replay += " --routed \(arguments.routed)" }
        if arguments.isPlain { replay += " --plain" }
        if let bug = arguments.planted { replay += " --plant \(bug.rawValue)" }
        if arguments.arbiter != .leasefile { replay += " --arbiter \(arguments.arbiter.rawValue)" }
        if passes(simulation, "seed \(seed)", replay: replay, arguments) { passed += 1 } else { failed += 1 }
    }
    for scenario in scenarios {
        let simulation = scenario.simulation(seed: seed, isTraced: arguments.isTraced)
        let replay = "--scenario \(scenario.name) --seed \(seed)"
        if passes(simulation, "\(scenario.name) \(seed)", replay: replay, arguments) { passed += 1 } else { failed += 1 }
    }
}
print("\(passed) of \(passed + failed) runs passed")
exitProcess(failed == 0 ? 0 : 1)
