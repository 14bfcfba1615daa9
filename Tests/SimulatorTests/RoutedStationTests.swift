import Machine
import Records
import Testing

@testable import Simulator

/// Neighbours of interior gateway protocols, and the topologies behind them.
@Suite struct RoutedStationTests {
    private func options(routers: Int = 4) -> SimulationOptions {
        var options = SimulationOptions()
        options.peerCount = 2
        options.routedStationCount = 3
        options.routersPerStation = routers
        return options
    }

    @Test func `a calm world has routes of every protocol at every router`() {
        let simulation = Simulation(seed: 4, options: options())
        let routes = simulation.expectedRoutes
        for word in ["ospf", "isis", "rip"] {
            // Networks and links behind the station that speaks it.
            #expect(routes.count { $0.hasPrefix("router: ") && $0.contains(" \(word) ") } >= 5, "\(word)")
        }
        for station in 0..<3 {
            for router in 0..<4 {
                #expect(routes.contains { $0.hasPrefix("station \(station) router \(router): ") })
            }
        }
    }

    @Test func `the same seed gives the same topology, another one another`() {
        func shape(_ seed: UInt64) -> [String] {
            let plan = StationPlan(number: 0, routerCount: 30, seed: seed)
            return plan.links.map { "\($0.a)-\($0.b)" }
        }
        #expect(shape(1) == shape(1))
        #expect(shape(1) != shape(2))
        #expect(shape(1).count >= 29)
    }

    @Test func `interfaces and links of a plan name each other`() {
        let plan = StationPlan(number: 1, routerCount: 40, seed: 9)
        for link in plan.links {
            for router in [link.a, link.b] {
                #expect(plan.link(of: router, at: plan.interface(of: router, on: link.number)) == link.number)
            }
        }
        #expect(plan.link(of: 0, at: InterfaceID(0)) == nil)
    }

    @Test func `without a twin a kill costs every neighbour its adjacency`() {
        // The control run: what the pair hides must be visible when there is no pair.
        var options = options()
        options.isSingle = true
        let simulation = Simulation(seed: 3, options: options)
        simulation.comeUp()
        simulation.perform(.kill(.a))
        for station in simulation.stations.indices { simulation.stations[station].expectLoss() }
        simulation.run(until: simulation.now + .seconds(20))
        #expect(simulation.findings.contains { $0.contains("lost its") && $0.contains("adjacency") })
    }

    @Test func `routes that a healthy router would have and this one has not are found`() throws {
        let simulation = Simulation(seed: 5, options: options())
        simulation.comeUp()
        simulation.perform(.link(station: 0, link: 0, isUp: false))
        simulation.run(until: simulation.now + .seconds(10))
        simulation.checkers.finish(simulation)
        let finding = try #require(simulation.findings.first)
        #expect(finding.contains("routes are not those of a router that never failed"))
    }

    @Test(arguments: 1...3) func `engines that pass through their snapshots keep all adjacencies`(seed: Int) {
        let simulation = Simulation(seed: UInt64(100 + seed), options: options())
        simulation.comeUp()
        for _ in 0..<12 where simulation.findings.isEmpty {
            RandomWeather.flap(simulation, count: 4, within: .milliseconds(600))
            simulation.run(until: simulation.now + .milliseconds(simulation.random.number(in: 20...900)))
            simulation.perform(.passThroughSnapshot(simulation.random.chance(1, in: 2) ? .a : .b))
        }
        simulation.settle()
        #expect(simulation.findings == [])
        #expect(simulation.routedStations.allSatisfy { $0.adjacencies == 1 && $0.losses == 0 })
    }

    @Test(arguments: 0..<3) func `a quarantine that forgets is found: the second controller dies of what the first died of`(
        station: Int
    ) {
        for forgets in [false, true] {
            let simulation = Simulation(seed: 77, options: options())
            simulation.comeUp()
            for _ in 0..<3 { simulation.routedStations[station].expectLoss() }
            simulation.perform(.keepPoison(station: station, form: 1))
            simulation.waitUntil(.seconds(20)) { simulation.nodes.contains { $0.life == .dead } }
            simulation.run(until: simulation.now + .milliseconds(300))
            #expect(simulation.nodes.count { $0.life == .dead } == 1)
            if forgets { simulation.perform(.command(simulation.routedStations[station].clearing)) }
            for _ in 0..<200 where simulation.nodes.contains(where: { $0.life != .dead }) {
                simulation.run(until: simulation.now + .milliseconds(100))
            }
            #expect(simulation.nodes.count { $0.life == .dead } == (forgets ? 2 : 1), "forgets: \(forgets)")
        }
    }
}
