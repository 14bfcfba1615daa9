import Machine
import Records

/// Draws a run from its seed: peers that announce and withdraw, faults that the pair must survive, then healing.
///
/// One fault at a time leaves a copy somewhere: the next one comes when the pair is redundant again, or after so long
/// that it must not be; what two faults at once do is for scenarios.
enum RandomWeather {
    /// The faults of the safety phase.
    enum Fault: CaseIterable {
        case kill, crash, freeze, switchover, breakChannel, standbyKill, standbyFreeze, snapshot, lan, poison
    }

    static func prefix(_ random: inout RandomNumbers, count: Int) -> UInt64 {
        UInt64(0x0a00_0000 + random.number(in: 0...(count - 1)) * 256) << 8 | 24
    }

    static func churn(_ simulation: Simulation, steps: Int, within: Duration) {
        for _ in 0..<steps {
            let time = simulation.now + .microseconds(simulation.random.number(in: 0...Int(within.inNanoseconds / 1000)))
            let station = simulation.random.number(in: 0...(simulation.stations.count - 1))
            let prefix = prefix(&simulation.random, count: 40)
            if simulation.random.chance(2, in: 3) {
                // Tails of AS numbers that no station has.
                let tail = (0..<simulation.random.number(in: 0...3)).map { _ in UInt32(simulation.random.number(in: 100...120)) }
                simulation.schedule(.announce(station: station, prefix: prefix, tail: tail), at: time)
            } else {
                simulation.schedule(.withdraw(station: station, prefix: prefix), at: time)
            }
        }
    }
}

extension Simulation {
    /// Runs the phases of one seed; the findings say what went wrong.
    public func runPhases(faults: Int = 4) {
        start()
        run(until: now + .seconds(4))
        guard waitUntil(.seconds(20), { self.allEstablished && (self.isRedundant || self.options.isSingle) }) else {
            return find("the router did not come up: active \(active.map { "\($0)" } ?? "none"), redundant \(isRedundant)")
        }
        for _ in 0..<faults where findings.isEmpty {
            RandomWeather.churn(self, steps: random.number(in: 5...30), within: .milliseconds(400))
            run(until: now + .milliseconds(random.number(in: 1...300)))
            inject(RandomWeather.Fault.allCases[random.number(in: 0...(RandomWeather.Fault.allCases.count - 1))])
            RandomWeather.churn(self, steps: random.number(in: 5...30), within: .milliseconds(600))
            run(until: now + .milliseconds(random.number(in: 100...900)))
            heal()
            guard waitUntil(.seconds(30), { self.isRedundant || self.options.isSingle }) else {
                return find("the pair did not become redundant again")
            }
        }
        // Liveness: nothing is wrong any more, so everything must settle.
        run(until: now + .seconds(3))
        if findings.isEmpty { checkers.finish(self) }
    }

    var allEstablished: Bool { stations.allSatisfy { $0.speaker.state == .established } }

    /// Moves time until it is so; `false` if it never was.
    @discardableResult
    func waitUntil(_ limit: Duration, _ isSo: () -> Bool) -> Bool {
        let end = now + limit
        while findings.isEmpty, now < end {
            if isSo() { return true }
            run(until: min(end, now + .milliseconds(50)))
        }
        return findings.isEmpty && isSo()
    }

    private func inject(_ fault: RandomWeather.Fault) {
        guard !options.isSingle, let active else { return }
        let standby = active.other
        switch fault {
        case .kill: perform(.kill(active))
        case .crash: perform(.crash(active))
        case .freeze: perform(.freeze(active))
        case .switchover: perform(.switchover(active))
        case .breakChannel: perform(.breakChannel)
        case .standbyKill: perform(.kill(standby))
        case .standbyFreeze: perform(.freeze(standby))
        case .snapshot: perform(.passThroughSnapshot(random.chance(1, in: 2) ? active : standby))
        case .lan:
            for port in 0..<(2 + stations.count) {
                perform(
                    .weather(
                        port: port, loss: random.number(in: 0...300), duplication: random.number(in: 0...300),
                        reordering: random.number(in: 0...500)))
            }
        case .poison:
            // One station announces the prefix that is fatal to an engine; only its own session may suffer.
            let station = random.number(in: 0...(stations.count - 1))
            poison(station: station)
        }
    }

    func poison(station: Int) {
        stations[station].expectLoss()
        speak(station) { $0.announce(UInt64(203) << 32 | UInt64(113) << 16 | UInt64(66) << 8 | 32, tail: []) }
        // It is not announced again when the session comes back.
        speak(station) { $0.forget(UInt64(203) << 32 | UInt64(113) << 16 | UInt64(66) << 8 | 32) }
    }

    /// Everything that was broken is mended: processes run, the channel can connect, the LAN is fair.
    private func heal() {
        for id in ControllerID.allCases {
            perform(.wake(id))
            if node(id).life == .dead, !options.isSingle || id == .a { perform(.start(id)) }
        }
        for port in 0..<(2 + stations.count) {
            perform(.healPort(port))
            perform(.weather(port: port, loss: 0, duplication: 0, reordering: 0))
        }
    }
}
