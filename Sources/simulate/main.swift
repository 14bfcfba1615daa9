import Simulator

/// What the command line asks for. Read by hand: this program belongs to the pure core, which has no dependency.
struct Arguments {
    var seeds = 200
    var first: UInt64 = 1
    var faults = 4
    var isTraced = false

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
            case "--faults": faults = Int(clamping: number(after: word))
            case "--trace": isTraced = true
            default: Self.refuse("unknown argument '\(word)'")
            }
        }
    }

    static func refuse(_ sentence: String) -> Never {
        print("simulate: \(sentence)")
        print("usage: simulate [--seeds N] [--seed S] [--faults N] [--trace]")
        exitProcess(2)
    }
}

let arguments = Arguments(Array(CommandLine.arguments.dropFirst()))
var failed = 0
for seed in arguments.first..<(arguments.first + UInt64(arguments.seeds)) {
    var options = SimulationOptions()
    options.isTraced = arguments.isTraced
    let simulation = Simulation(seed: seed, options: options)
    simulation.runPhases(faults: arguments.faults)
    if arguments.isTraced { for line in simulation.traceLines { print(line) } }
    if let finding = simulation.findings.first {
        failed += 1
        print("seed \(seed) FAILED \(finding)")
        print("  replay: simulate --seed \(seed) --faults \(arguments.faults) --trace")
    } else if arguments.seeds == 1 {
        print("seed \(seed) ok: \(simulation.summary)")
    }
}
print("\(arguments.seeds - failed) of \(arguments.seeds) seeds passed")
exitProcess(failed == 0 ? 0 : 1)
