import Machine
import Records
import Redundancy
import Testing

@testable import Simulator

/// The pair: both controllers with everything below them, and whatever can go wrong around them.
@Suite struct PairTests {
    @Test(arguments: Scenario.all.map(\.name)) func `each scenario keeps its promise`(name: String) throws {
        let scenario = try #require(Scenario.named(name))
        for seed: UInt64 in 1...2 {
            let simulation = scenario.simulation(seed: seed)
            #expect(simulation.findings == [], "simulate --scenario \(name) --seed \(seed) --trace")
        }
    }

    @Test(arguments: 1...20) func `no seed breaks a promise`(seed: Int) {
        let simulation = Simulation(seed: UInt64(seed), options: SimulationOptions())
        simulation.runPhases()
        #expect(simulation.findings == [], "simulate --seed \(seed) --trace")
        // A run in which nothing was compared has shown nothing.
        #expect(simulation.checkers.lockstep.comparisons > 50)
    }

    @Test(arguments: 1...20) func `no seed breaks a promise of a pair that decides by itself`(seed: Int) {
        var options = SimulationOptions()
        options.arbiter = .link
        let simulation = Simulation(seed: UInt64(seed), options: options)
        simulation.runPhases()
        #expect(simulation.findings == [], "simulate --seed \(seed) --arbiter link --trace")
    }

    @Test(arguments: 1...20) func `no seed breaks a promise of a pair with a witness`(seed: Int) {
        var options = SimulationOptions()
        options.arbiter = .witness
        let simulation = Simulation(seed: UInt64(seed), options: options)
        simulation.runPhases()
        #expect(simulation.findings == [], "simulate --seed \(seed) --arbiter witness --trace")
    }

    @Test func `the same seed gives the same run, to the last step`() {
        func run(_ seed: UInt64) -> [String] {
            var options = SimulationOptions()
            options.isTraced = true
            let simulation = Simulation(seed: seed, options: options)
            simulation.runPhases()
            return simulation.traceLines + [simulation.summary]
        }
        #expect(run(11) == run(11))
        #expect(run(11) != run(12))
    }

    @Test func `one controller alone serves its peers`() {
        var options = SimulationOptions()
        options.isSingle = true
        for seed: UInt64 in 1...5 {
            let simulation = Simulation(seed: seed, options: options)
            simulation.comeUp()
            RandomWeather.churn(simulation, steps: 100, within: .seconds(2))
            simulation.run(until: simulation.now + .seconds(3))
            simulation.settle()
            #expect(simulation.findings == [])
        }
    }

    @Test func `without a twin a kill is seen by every peer`() {
        // The control run: what the pair hides must be visible when there is no pair.
        var options = SimulationOptions()
        options.isSingle = true
        let simulation = Simulation(seed: 3, options: options)
        simulation.comeUp()
        simulation.perform(.kill(.a))
        simulation.run(until: simulation.now + .milliseconds(500))
        simulation.perform(.start(.a))
        simulation.run(until: simulation.now + .seconds(10))
        #expect(!simulation.findings.isEmpty)
    }
}

/// Tests of the tests: a bug that is planted must be found.
@Suite struct PlantedBugTests {
    /// Whether one of the seeds finds it, and says so in these words.
    static func isFound(_ bug: PlantedBug, as words: String, seeds: Int) -> Bool {
        var options = SimulationOptions()
        options.plantedBug = bug
        for seed in 1...seeds {
            let simulation = Simulation(seed: UInt64(seed), options: options)
            simulation.runPhases()
            if simulation.findings.contains(where: { $0.contains(words) }) { return true }
        }
        return false
    }

    @Test func `an acknowledgement that leaves before its record is stored is found as lost octets`() {
        var options = SimulationOptions()
        options.plantedBug = .releaseBeforeCommit
        // Dense updates, so that something is always under way, and a kill in their midst.
        let isFound = (1...30).contains { seed in
            let simulation = Simulation(seed: UInt64(seed), options: options)
            simulation.comeUp()
            for _ in 0..<3 where simulation.findings.isEmpty {
                RandomWeather.churn(simulation, steps: 200, within: .milliseconds(200))
                simulation.run(until: simulation.now + .milliseconds(simulation.random.number(in: 20...150)))
                simulation.inject(RandomWeather.Fault.kill)
                simulation.run(until: simulation.now + .milliseconds(300))
                simulation.becomeRedundant()
            }
            return simulation.findings.contains { $0.contains("octets acknowledged") }
        }
        #expect(isFound)
    }

    @Test(arguments: [PlantedBug.aloneUnheard, .staleResumes])
    func `random seeds find a mistake in who may speak`(bug: PlantedBug) {
        var options = SimulationOptions()
        options.plantedBug = bug
        options.arbiter = bug.arbiter
        let isFound = (1...24 as ClosedRange<UInt64>).contains { seed in
            let simulation = Simulation(seed: seed, options: options)
            simulation.runPhases()
            return !simulation.findings.isEmpty
        }
        #expect(isFound, "simulate --plant \(bug.rawValue)")
    }

    /// Each mistake, with the fault in which it shows. Random seeds find them, too: `simulate --plant BUG --seeds 500`.
    @Test(arguments: [
        (PlantedBug.votesWithoutCarrier, RandomWeather.Fault.standbyIsolated), (.segmentsUnheard, .cutChannel),
        (.boundToTheDead, .standbyKill), (.trustsItselfAfterSleep, .standbyStale),
    ])
    func `a mistake in who may speak is found`(bug: PlantedBug, fault: RandomWeather.Fault) {
        func findings(_ seed: UInt64, _ bug: PlantedBug?, _ arbiter: ArbiterKind) -> [String] {
            var options = SimulationOptions()
            options.plantedBug = bug
            options.arbiter = arbiter
            options.peerCount = 3
            let simulation = Simulation(seed: seed, options: options)
            simulation.comeUp()
            for _ in 0..<2 where simulation.findings.isEmpty {
                RandomWeather.churn(simulation, steps: 40, within: .milliseconds(300))
                simulation.run(until: simulation.now + .milliseconds(simulation.random.number(in: 50...250)))
                simulation.inject(fault)
                simulation.run(until: simulation.now + .milliseconds(1500))
                simulation.becomeRedundant()
            }
            return simulation.findings
        }
        let seed = (1...16 as ClosedRange<UInt64>).first { !findings($0, bug, bug.arbiter).isEmpty }
        guard let seed else {
            Issue.record("no seed finds \(bug)")
            return
        }
        #expect(findings(seed, nil, bug.arbiter) == [], "the finding of seed \(seed) must be the mistake's")
    }

    @Test func `a mastership that is taken back without a word of the twin is found`() {
        func findings(_ seed: UInt64, _ bug: PlantedBug?) -> [String] {
            var options = SimulationOptions()
            options.plantedBug = bug
            options.arbiter = .link
            options.peerCount = 4
            let simulation = Simulation(seed: seed, options: options)
            simulation.comeUp()
            for _ in 0..<6 where simulation.findings.isEmpty {
                guard let active = simulation.active else { break }
                simulation.perform(.switchover(active))
                simulation.perform(.breakChannelAtTakeOver(.microseconds(simulation.random.number(in: 0...60))))
                RandomWeather.churn(simulation, steps: 60, within: .milliseconds(3))
                simulation.run(until: simulation.now + .milliseconds(60))
                simulation.becomeRedundant()
            }
            return simulation.findings
        }
        let seed = (1...24 as ClosedRange<UInt64>).first { !findings($0, .reclaimsUnasked).isEmpty }
        guard let seed else {
            Issue.record("no seed finds it")
            return
        }
        #expect(findings(seed, nil) == [], "the finding of seed \(seed) must be the mistake's")
    }

    @Test func `a record that is dropped in shipping is found as a difference between the engines`() {
        #expect(Self.isFound(.recordDropped, as: "records of index", seeds: 10))
    }

    @Test func `effects in another order are found as a difference between the engines`() {
        #expect(Self.isFound(.effectsReordered, as: "effects of index", seeds: 10))
    }
}
