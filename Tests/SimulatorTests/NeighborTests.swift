import Machine
import Records
import Redundancy
import Testing
import Wire

@testable import Simulator

/// Neighbours that speak BFD, a second LAN, peers that behave badly, and strangers.
@Suite struct NeighborTests {
    private func options(_ change: (inout SimulationOptions) -> Void) -> SimulationOptions {
        var options = SimulationOptions()
        options.peerCount = 3
        change(&options)
        return options
    }

    @Test(arguments: [ArbiterKind.leasefile, .link, .witness])
    func `no seed breaks a promise to neighbours of every kind`(arbiter: ArbiterKind) {
        for seed: UInt64 in 1...3 {
            let simulation = Simulation(
                seed: seed,
                options: options {
                    $0.arbiter = arbiter
                    $0.isRude = true
                    $0.hasSecondLAN = seed & 1 == 0
                    $0.hasStrangers = seed & 1 == 1
                    $0.bfdInterval = seed & 2 == 0 ? 50 : 300
                    $0.isBFDAuthenticated = seed & 2 == 0
                })
            simulation.runPhases(faults: 2)
            #expect(simulation.findings == [], "seed \(seed), \(arbiter)")
        }
    }

    @Test func `the draw of neighbours leaves most seeds as they are, and misses nothing`() {
        var plain = 0, bfd = 0, lans = 0, routed = 0, strangers = 0, rude = 0
        for seed in 1...4000 as ClosedRange<UInt64> {
            var options = SimulationOptions()
            options.vary(by: seed)
            bfd += options.bfdInterval == nil ? 0 : 1
            lans += options.hasSecondLAN ? 1 : 0
            routed += options.routedStationCount > 0 ? 1 : 0
            strangers += options.hasStrangers ? 1 : 0
            rude += options.isRude ? 1 : 0
            let hasNeighbors = options.bfdInterval != nil || options.hasSecondLAN || options.routedStationCount > 0
            plain += hasNeighbors || options.hasStrangers ? 0 : 1
        }
        #expect(plain > 3400)
        for count in [bfd, lans, routed, strangers, rude] { #expect(count > 8) }
    }

    @Test func `without a twin a kill costs every BFD session`() {
        // The control run: what the pair hides must be visible when there is no pair.
        let simulation = Simulation(
            seed: 3,
            options: options {
                $0.isSingle = true
                $0.bfdInterval = 300
            })
        simulation.comeUp()
        #expect(simulation.findings == [])
        simulation.perform(.kill(.a))
        simulation.run(until: simulation.now + .seconds(2))
        #expect(simulation.findings.contains { $0.contains("lost its BFD session") })
    }

    @Test func `a route that hangs on BFD is out of the table while its next hop is away`() {
        let simulation = Simulation(
            seed: 5,
            options: options {
                $0.isSingle = true
                $0.bfdInterval = 50
            })
        simulation.comeUp()
        #expect(simulation.node(.a).isStaticRouteActive(RouterPlan.watchedRoute))
        simulation.stations[0].expectLosses()
        simulation.perform(.cutPort(2, inward: true, outward: true))
        simulation.run(until: simulation.now + .seconds(1))
        #expect(!simulation.node(.a).isStaticRouteActive(RouterPlan.watchedRoute))
        simulation.settle()
        #expect(simulation.findings == [])
    }

    @Test func `nothing passes from one LAN to the other`() {
        var bridge = Bridge(lans: [0, 0, 1, 0, 1, 1])
        var random = RandomNumbers(seed: 1)
        var frame = [UInt8](repeating: 0xff, count: 6) + [2, 0, 0, 0, 0, 1, 8, 6]
        frame += [UInt8](repeating: 0, count: 46)
        #expect(bridge.forward(frame, from: 0, random: &random).map(\.port) == [1, 3])
        #expect(bridge.forward(frame, from: 2, random: &random).map(\.port) == [4, 5])
        // The same address may be on both, and is learnt on each.
        let answer = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 6] + [UInt8](repeating: 0, count: 46)
        #expect(bridge.forward(answer, from: 3, random: &random).map(\.port) == [0])
        #expect(bridge.forward(answer, from: 5, random: &random).map(\.port) == [2])
    }

    @Test func `a world of two LANs tells on each what it heard on the other`() {
        let simulation = Simulation(
            seed: 6,
            options: options {
                $0.hasSecondLAN = true
                $0.routedStationCount = 4
                $0.routersPerStation = 2
            })
        let routes = simulation.expectedRoutes
        for station in 0..<4 {
            let other = station ^ 1
            // Routes of the other station of the same protocol, whose networks have its number.
            let ipv6 = other == 0 ? "2001:db8:1::" : "2001:db8:1:\(other)::"
            let networks = ["172.\(16 + other >> 4).\((other << 4) & 255).", ipv6]
            #expect(
                routes.contains { line in
                    line.hasPrefix("station \(station) router 1: ") && networks.contains { line.contains($0) }
                }, "station \(station)")
        }
    }

    @Test func `a peer whose window is shut is told nothing, and everything when it opens`() {
        let simulation = Simulation(
            seed: 8,
            options: options {
                $0.isSingle = true
                $0.holdSeconds = 90
            })
        simulation.comeUp()
        simulation.run(until: simulation.now + .seconds(2))
        simulation.stations[0].shutWindow()
        // Something must be said for the router to hear that it may say no more.
        simulation.speak(0) { $0.announce(0x3000_0000 << 8 | 24, tail: []) }
        simulation.run(until: simulation.now + .seconds(1))
        let before = simulation.stations[0].speaker.learnt.count
        simulation.speak(1) { $0.announce((0..<500).map { (0x1600_0000 + UInt64($0) * 16) << 8 | 28 }, tail: [7]) }
        simulation.run(until: simulation.now + .seconds(5))
        #expect(simulation.stations[2].speaker.learnt.count >= 500)
        #expect(simulation.stations[0].speaker.learnt.count < before + 100)
        simulation.settle()
        #expect(simulation.findings == [])
        #expect(simulation.stations[0].speaker.learnt.count >= 500)
        #expect(simulation.stations[0].speaker.establishments == 1)
    }

    @Test func `a peer that is started again without a word comes back, and it alone was away`() {
        let simulation = Simulation(seed: 9, options: options { $0.isSingle = true })
        simulation.comeUp()
        for station in 0..<3 {
            simulation.perform(.rude(station: station, .restarts))
            simulation.run(until: simulation.now + .seconds(3))
        }
        simulation.settle()
        #expect(simulation.findings == [])
        #expect(simulation.stations.map(\.speaker.establishments) == [2, 2, 2])
    }

    @Test func `a forger hears the pair, and has something to say of every kind`() {
        let simulation = Simulation(seed: 2, options: options { $0.hasStrangers = true })
        simulation.comeUp()
        simulation.run(until: simulation.now + .seconds(2))
        for forgery in Forgery.allCases where forgery != .datagrams {
            #expect(!simulation.forger.frames(forgery, random: &simulation.random).isEmpty, "\(forgery)")
        }
    }

    @Test func `a third controller without anybody beside it becomes the router`() {
        // The control run: what keeps it silent must be the pair.
        let simulation = Simulation(seed: 2, options: options { $0.hasStrangers = true })
        simulation.comeUp()
        for id in ControllerID.allCases { simulation.perform(.kill(id)) }
        for station in simulation.stations.indices { simulation.stations[station].expectLoss() }
        simulation.perform(.startIntruder(.wrongKey))
        simulation.run(until: simulation.now + .seconds(8))
        #expect(simulation.intruder?.spoken ?? 0 > 0)
    }
}

/// Mistakes that only these neighbours can show.
@Suite struct PlantedNeighborTests {
    @Test func `a third controller that is believed to be the twin is found`() {
        func findings(_ bug: PlantedBug?) -> [String] {
            var options = SimulationOptions()
            options.show(.believesEveryStart)
            options.plantedBug = bug
            options.arbiter = .link
            let simulation = Simulation(seed: 3, options: options)
            simulation.comeUp()
            guard let active = simulation.active else { return ["nobody is active"] }
            simulation.perform(.startIntruder(.clone))
            simulation.perform(.intrude(on: active.other))
            simulation.run(until: simulation.now + .seconds(1))
            return simulation.findings
        }
        #expect(findings(.believesEveryStart).contains { $0.contains("believes a third controller (clone)") })
        #expect(findings(nil) == [])
    }

    /// More of them, and the mistakes above, are found by `simulate --plant BUG --seeds 300`.
    @Test(arguments: [(PlantedBug.sessionsForgotten, "lost its BFD session"), (.wrongPort, "")])
    func `random seeds find a mistake that shows to such neighbours`(bug: PlantedBug, words: String) {
        func findings(_ seed: UInt64, isPlanted: Bool) -> [String] {
            var options = SimulationOptions()
            options.show(bug)
            if !isPlanted { options.plantedBug = nil }
            options.arbiter = bug.arbiter
            let simulation = Simulation(seed: seed, options: options)
            simulation.runPhases()
            return simulation.findings
        }
        let seed = (1...16 as ClosedRange<UInt64>).first { seed in
            findings(seed, isPlanted: true).contains { words.isEmpty || $0.contains(words) }
        }
        guard let seed else {
            Issue.record("no seed finds it: simulate --plant \(bug.rawValue)")
            return
        }
        #expect(findings(seed, isPlanted: false) == [], "the finding of seed \(seed) must be the mistake's")
    }
}
