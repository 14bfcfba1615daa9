import Simulator

// Arguments by hand: this program belongs to the pure core, which has no dependency.
var seeds = 200
var first: UInt64 = 1
var isTraced = false
var faults = 4
var arguments = CommandLine.arguments.dropFirst().makeIterator()

func refuse(_ sentence: String) -> Never {
    print("simulate: \(sentence)")
    print("usage: simulate [--seeds N] [--seed S] [--faults N] [--trace]")
    exitProcess(2)
}

func number(after option: String) -> UInt64 {
    guard let text = arguments.next(), let value = UInt64(text) else { refuse("\(option) needs a number") }
    return value
}

while let argument = arguments.next() {
    switch argument {
    case "--seeds": seeds = Int(clamping: number(after: argument))
    case "--seed":
        first = number(after: argument)
        seeds = 1
    case "--faults": faults = Int(clamping: number(after: argument))
    case "--trace": isTraced = true
    default: refuse("unknown argument '\(argument)'")
    }
}

var failed: [UInt64] = []
for seed in first..<(first + UInt64(seeds)) {
    var options = SimulationOptions()
    options.isTraced = isTraced
    let simulation = Simulation(seed: seed, options: options)
    simulation.runPhases(faults: faults)
    if isTraced { for line in simulation.traceLines { print(line) } }
    if !simulation.findings.isEmpty {
        failed.append(seed)
        print("seed \(seed) FAILED: \(simulation.findings[0])")
        print("  replay: simulate --seed \(seed) --faults \(faults) --trace")
    } else if seeds == 1 {
        print("seed \(seed) ok: \(simulation.summary)")
    }
}
print("\(seeds - failed.count) of \(seeds) seeds passed")
exitProcess(failed.isEmpty ? 0 : 1)
