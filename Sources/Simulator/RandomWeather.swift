import Machine
import Records

/// Draws a run from its seed: peers that announce and withdraw, faults that the pair must survive, then healing.
///
/// One fault that takes a controller or the channel at a time, so that a copy is left somewhere: the next one comes when
/// the pair is redundant again. Lesser ones (a poor LAN, a slow engine, a stutter, a pass through a snapshot) come beside
/// it. What two great faults at once do is for scenarios.
enum RandomWeather {
    /// The faults of the safety phase.
    enum Fault: CaseIterable {
        case kill, killMidway, crash, freeze, stutter, switchover, switchoverKill
        case breakChannel, cutChannel, stallChannel
        case standbyKill, standbyKillMidway, standbyKillInBulk, standbyFreeze, standbySlow
        case unplug, poison, trap, hang, memory, force, offline
        /// Every cable of one controller is out, the redundancy link's too.
        case standbyIsolated, activeIsolated
        /// The active's every cable is out, but for the one to the vote.
        case stranded
        /// A standby that is left behind, and then its active dies: nothing may be resumed that is stale. The redundancy link
        /// is cut, and the active dies before or after it has gone on alone. Here sessions may be lost, octets may not.
        case standbyStale, cutKill
        /// The redundancy link is cut in the midst of a hand-over.
        case switchoverCut
        /// Both hosts stand still, and go on at about the same time.
        case bothFreeze
        /// A port keeps its carrier and does not hear, or is not heard.
        case deaf, mute, standbyDeaf, standbyMute
        /// With a vote: nothing passes between the two; or nobody reaches the vote, or it starts again, with its file or
        /// without.
        case partition, voteCut, voteRestart, voteLost
    }
    /// What goes on beside a fault.
    enum Nuisance: CaseIterable {
        case none, lan, snapshot, softClear, cutPeer, oneWay, commit
        /// Datagrams of the redundancy link are lost, come twice, or late.
        case poorLink
        /// One controller does not reach the vote for a moment.
        case poorVote
    }

    static let poison = (UInt64(203) << 24 | UInt64(113) << 8 | UInt64(66)) << 8 | 32

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

    /// Links behind routed stations go down and come back at random.
    static func flap(_ simulation: Simulation, count: Int, within: Duration) {
        for _ in 0..<count {
            let station = simulation.random.number(in: 0...(simulation.routedStations.count - 1))
            let links = simulation.routedStations[station].links.count
            guard links > 0 else { continue }
            let link = simulation.random.number(in: 0...(links - 1))
            let down = simulation.now + .microseconds(simulation.random.number(in: 0...Int(within.inNanoseconds / 1000)))
            simulation.schedule(.link(station: station, link: link, isUp: false), at: down)
            let up = down + .milliseconds(simulation.random.number(in: 1...800))
            simulation.schedule(.link(station: station, link: link, isUp: true), at: up)
        }
    }
}

extension Simulation {
    /// Runs the phases of one seed; the findings say what went wrong.
    public func runPhases(faults: Int = 4) {
        guard comeUp() else { return }
        for _ in 0..<faults where findings.isEmpty {
            RandomWeather.churn(self, steps: random.number(in: 5...30), within: .milliseconds(400))
            run(until: now + .milliseconds(random.number(in: 1...300)))
            inject(RandomWeather.Nuisance.allCases[random.number(in: 0...(RandomWeather.Nuisance.allCases.count - 1))])
            if options.isRude, random.chance(1, in: 2) { beRude() }
            if neighborhood.lanCount == 2, random.chance(1, in: 2) {
                inject(RandomWeather.LANFault.allCases[random.number(in: 0...(RandomWeather.LANFault.allCases.count - 1))])
            } else if neighborhood.hasStrangers, random.chance(1, in: 2) {
                injectStranger()
            } else {
                inject(RandomWeather.Fault.allCases[random.number(in: 0...(RandomWeather.Fault.allCases.count - 1))])
            }
            RandomWeather.churn(self, steps: random.number(in: 5...30), within: .milliseconds(600))
            if !routedStations.isEmpty { RandomWeather.flap(self, count: random.number(in: 1...8), within: .milliseconds(800)) }
            // Sometimes for so long that a controller which is mute, or waits for nobody, is seen.
            let patience = random.chance(1, in: 8) ? random.number(in: 1500...4000) : random.number(in: 100...900)
            run(until: now + .milliseconds(patience))
            guard becomeRedundant() else { return }
        }
        settle()
    }

    /// Starts everything and waits until the router is one: sessions up, and a standby in lock step.
    @discardableResult
    func comeUp() -> Bool {
        // Some have a table to tell at once, so that a bulk update has something to carry.
        for station in stations.indices where random.chance(1, in: 3) {
            let count = random.number(in: 10...400)
            let first = UInt64(0x1400_0000 + station * 0x10000)
            speak(station) { $0.announce((0..<count).map { (first + UInt64($0) * 16) << 8 | 28 }, tail: [77]) }
        }
        start()
        let isUp = waitUntil(.seconds(24)) {
            self.allEstablished && self.allAdjacent && (self.isRedundant || self.options.isSingle)
        }
        if !isUp, findings.isEmpty {
            find("the router did not come up: active \(active.map { "\($0)" } ?? "none"), redundant \(isRedundant)")
        }
        expectNoLosses()
        return findings.isEmpty
    }

    /// Mends everything and waits until the pair is one again.
    @discardableResult
    func becomeRedundant() -> Bool {
        heal()
        guard !options.isSingle, findings.isEmpty else { return findings.isEmpty }
        // What was broken a moment ago may be noticed a moment from now.
        var since: Instant?
        let isSteady = waitWhileMending(.seconds(30)) {
            since = self.isRedundant ? since ?? self.now : nil
            return since.map { max($0 + .milliseconds(300), self.lossesExpectedUntil) <= self.now } ?? false
        }
        expectNoLosses()
        if !isSteady, findings.isEmpty {
            find("the pair did not become redundant again: \(nodes.map { "\($0.id) \($0.controller.state)" })")
        }
        return findings.isEmpty
    }

    /// Liveness: nothing is wrong any more, so everything must come to rest as it should be.
    func settle() {
        guard findings.isEmpty else { return }
        heal()
        becomePolite()
        waitWhileMending(.seconds(40)) { self.allEstablished && (self.isRedundant || self.options.isSingle) }
        // A peer's TCP may wait some seconds before it tries again what the LAN had swallowed.
        waitWhileMending(.seconds(60)) { SessionChecker.areViewsRight(self) && self.allWatched }
        if !routedStations.isEmpty {
            // Comparing all tables takes longer than a step of the other waits.
            waitWhileMending(.seconds(40), lookingEvery: .seconds(1)) { GatewayChecker.isRight(self) }
        }
        waitWhileMending(.seconds(1)) { false }
        if !routedStations.isEmpty {
            // What links did while they flapped may be calculated once more, seconds later (RFC 8405 §5).
            waitWhileMending(.seconds(40), lookingEvery: .seconds(1)) { GatewayChecker.isRight(self) }
        }
        if findings.isEmpty { checkers.finish(self) }
    }

    /// As `waitUntil`, in a world where processes that die are started again: what is fatal may be said again at any moment,
    /// and would leave a pair of one.
    @discardableResult
    func waitWhileMending(
        _ limit: Duration, lookingEvery pause: Duration = .milliseconds(20), _ isSo: () -> Bool
    ) -> Bool {
        var lookAt = now
        return waitUntil(limit) {
            restartDead()
            guard now >= lookAt else { return false }
            lookAt = now + pause
            return isSo()
        }
    }

    /// What a service manager does with a process that has died by itself.
    private func restartDead() {
        for id in ControllerID.allCases where node(id).life == .dead && (!options.isSingle || id == .a) { perform(.start(id)) }
    }

    var allEstablished: Bool {
        for i in stations.indices where stations[i].speaker.state != .established { return false }
        return true
    }

    var allAdjacent: Bool { allWatched && routedStations.allSatisfy(\.isAdjacent) }
    /// BFD's sessions are up, as every station sees them.
    var allWatched: Bool {
        guard neighborhood.bfd != nil else { return true }
        return stations.allSatisfy(\.isWatchedOrNeedNotBe) && routedStations.allSatisfy(\.isWatched)
    }

    /// Moves time until it is so; `false` if it never was.
    @discardableResult
    func waitUntil(_ limit: Duration, _ isSo: () -> Bool) -> Bool {
        let end = now + limit
        while findings.isEmpty, now < end {
            if isSo() { return true }
            run(until: min(end, now + .milliseconds(20)))
        }
        return findings.isEmpty && isSo()
    }

    func inject(_ nuisance: RandomWeather.Nuisance) {
        note("NUISANCE \(nuisance)")
        let station = random.number(in: 0...(stations.count - 1))
        switch nuisance {
        case .none: break
        case .lan:
            for port in 0..<portCount {
                perform(
                    .weather(
                        // Three packets in a row are lost somewhere in a long run, and no router can help that.
                        port: port, loss: random.number(in: 0...300) * (neighborhood.bfd == nil ? 1 : 0),
                        duplication: random.number(in: 0...300),
                        reordering: random.number(in: 0...500)))
            }
        case .snapshot:
            if let active { perform(.passThroughSnapshot(random.chance(1, in: 2) || options.isSingle ? active : active.other)) }
        case .softClear:
            let address = stations[station].speaker.address.description
            perform(.command(random.chance(1, in: 2) ? .softClearIn(address: address) : .softClearOut(address: address)))
        case .commit: perform(.commit)
        case .poorLink:
            perform(
                .linkWeather(
                    loss: random.number(in: 0...500), duplication: random.number(in: 0...500),
                    reordering: random.number(in: 0...500)))
        case .poorVote:
            guard hasVote else { return }
            let id: ControllerID = random.chance(1, in: 2) ? .a : .b
            perform(.cutVote(id))
            schedule(.healVote(id), at: now + .milliseconds(random.number(in: 1...1500)))
            expectWatchLosses(shorterThan: .seconds(3))
        case .cutPeer:
            perform(.cutPort(2 + station, inward: true, outward: true))
            if neighborhood.bfd != nil { stations[station].expectLosses() }
            healSoon(port: 2 + station)
        case .oneWay:
            let inward = random.chance(1, in: 2)
            // With `link` a controller that hears its twin on neither path cannot know who of the two lives: the last row
            // of the table in Docs/mastership.md.
            // The same with a vote beside another fault.
            let least = options.arbiter == .leasefile ? 0 : 2
            let port = random.number(in: least...(1 + stations.count))
            perform(.cutPort(port, inward: inward, outward: !inward))
            if port < 2 {
                expectWatchLosses(lan: 0, shorterThan: portJudgement)
                expectDamping()
            } else if neighborhood.bfd != nil {
                stations[port - 2].expectLosses()
            }
            healSoon(port: port)
        }
    }

    /// Before its TCP waits so long between two attempts that a hold time passes: a plain router would lose the session.
    private func healSoon(port: Int) {
        guard port >= 2 else { return }
        schedule(.healPort(port), at: now + .milliseconds(random.number(in: 100...900)))
    }

    func inject(_ fault: RandomWeather.Fault) {
        guard !options.isSingle, let active else { return }
        note("FAULT \(fault)")
        // The vote's answer is part of each change of hands, and a slow one comes late.
        if hasVote { expectWatchLosses(shorterThan: .milliseconds(700)) }
        let standby = active.other
        let soon = now + .microseconds(random.number(in: 0...20_000))
        switch fault {
        case .kill:
            perform(.kill(active))
            if random.chance(1, in: 6) { perform(.loseDatastore(active)) }
        case .killMidway: perform(.fuse(active, random.number(in: 0...40)))
        case .crash: perform(.crash(active))
        case .freeze: perform(.freeze(active))
        case .stutter:
            let id = random.chance(1, in: 2) ? active : standby
            perform(.freeze(id))
            schedule(.wake(id), at: now + .milliseconds(random.number(in: 1...70)))
        case .switchover: perform(.switchover(active))
        case .switchoverKill:
            perform(.switchover(active))
            schedule(.kill(active), at: soon)
        case .standbyStale:
            expectLosses()
            // What the active says of it must not lie in wait for its wake.
            if random.chance(1, in: 2) { perform(.cutChannel) }
            perform(.freeze(standby))
            // Peers have something for the active while it is alone.
            RandomWeather.churn(self, steps: 40, within: .milliseconds(900))
            run(until: now + .milliseconds(random.number(in: 20...900)))
            perform(.kill(active))
            run(until: now + .milliseconds(random.number(in: 0...1000)))
            expectLosses()
            perform(.wake(standby))
            run(until: now + .milliseconds(random.number(in: 0...4000)))
        case .cutKill:
            expectLosses()
            perform(.cutChannel)
            RandomWeather.churn(self, steps: 40, within: .milliseconds(500))
            run(until: now + .milliseconds(random.number(in: 1...500)))
            expectLosses()
            perform(.kill(active))
            run(until: now + .milliseconds(random.number(in: 0...4000)))
        case .switchoverCut:
            // Who holds what is asked of the vote anew, and a copy that has become stale waits (`stale-wait`).
            if hasVote { expectWatchLosses(shorterThan: .seconds(6)) }
            perform(.switchover(active))
            let moment = now + .microseconds(random.number(in: 0...4000))
            switch random.number(in: 0...2) {
            case 0: schedule(.cutChannel, at: moment)
            case 1: schedule(.breakChannel, at: moment)
            default:
                // With what was under way on it; and peers have something to say to whoever is the router.
                perform(.breakChannelAtTakeOver(.microseconds(random.number(in: 0...400))))
                RandomWeather.churn(self, steps: 40, within: .milliseconds(8))
            }
        case .bothFreeze:
            // For a moment they are the network's only copies, and what peers had sent waits in full rings.
            for id in ControllerID.allCases {
                schedule(.freeze(id), at: now + .microseconds(random.number(in: 0...2000)))
            }
            let end = now + .milliseconds(random.number(in: 30...1000))
            expectWatchLosses(shorterThan: end - now + .milliseconds(300))
            for id in ControllerID.allCases { schedule(.wake(id), at: end + .microseconds(random.number(in: 0...2000))) }
            run(until: end + .milliseconds(random.number(in: 5...200)))
        case .breakChannel: perform(.breakChannel)
        case .cutChannel: perform(.cutChannel)
        case .stallChannel:
            perform(
                .stallChannel(
                    towards: random.chance(1, in: 2) ? active : standby, .milliseconds(random.number(in: 1...400))))
        case .standbyKill:
            perform(.kill(standby))
            if random.chance(1, in: 6) { perform(.loseDatastore(standby)) }
        case .standbyKillMidway: perform(.fuse(standby, random.number(in: 0...40)))
        case .standbyKillInBulk:
            perform(.kill(standby))
            run(until: now + .milliseconds(random.number(in: 1...50)))
            perform(.start(standby))
            perform(.fuse(standby, random.number(in: 0...60)))
        case .standbyFreeze: perform(.freeze(standby))
        case .standbySlow: perform(.slow(standby, random.number(in: 2...200)))
        case .unplug:
            expectDamping()
            perform(.unplug(active))
        case .standbyIsolated, .activeIsolated, .stranded:
            let id = fault == .standbyIsolated ? standby : active
            // In whichever order the cables come out.
            perform(.cutChannel)
            schedule(.unplug(id), at: soon)
            if fault != .stranded { perform(.cutVote(id)) }
        case .deaf, .standbyDeaf:
            perform(.cutPort(Int((fault == .deaf ? active : standby).rawValue), inward: false, outward: true))
            expectWatchLosses(lan: 0, shorterThan: portJudgement)
            if fault == .deaf { expectDamping() }
        case .mute, .standbyMute:
            if fault == .mute { expectDamping() }
            perform(.cutPort(Int((fault == .mute ? active : standby).rawValue), inward: true, outward: false))
            expectWatchLosses(lan: 0, shorterThan: portJudgement)
        case .partition: if hasVote { perform(.partition) }
        case .voteCut:
            if hasVote { expectWatchLosses(shorterThan: .seconds(3)) }
            for id in ControllerID.allCases { schedule(.cutVote(id), at: soon) }
        case .voteRestart, .voteLost: perform(.restartWitness(isLost: fault == .voteLost))
        case .trap, .hang:
            perform(.command(fault == .trap ? .testTrap : .testHang))
            // Until the watchdog has seen it the pair looks well; a second fault meanwhile would be two at once.
            waitUntil(.seconds(1)) { self.node(active).life == .dead }
        // The limit costs a session, by design: it has a scenario of its own.
        case .memory: perform(.memory(random.chance(1, in: 2) ? active : standby, .warning))
        case .force: perform(.force(active))
        case .offline: perform(.goOffline(standby))
        case .poison:
            if !routedStations.isEmpty, random.chance(1, in: 2) {
                keepPoison(station: random.number(in: 0...(routedStations.count - 1)))
            } else {
                poison(station: random.number(in: 0...(stations.count - 1)))
            }
        }
    }

    /// What comes now may cost sessions, in a plain router too.
    func expectLosses() {
        for i in stations.indices { stations[i].expectLosses() }
        for station in routedStations { station.expectLosses() }
        lossesExpectedUntil = max(lossesExpectedUntil, now + (neighborhood.bfd?.detectionTime ?? .zero))
    }

    /// One station announces the prefix that is fatal to an engine; only its own session may suffer.
    func poison(station: Int) {
        guard stations[station].speaker.state == .established, stations.allSatisfy({ $0.speaker.poison == nil }) else { return }
        // It must not wait for the LAN, and come while some other fault has left a single copy; nor be said into a session
        // that has ended and does not know it yet.
        for port in 0..<portCount { perform(.healPort(port)) }
        guard waitUntil(.seconds(30), { SessionChecker.areViewsRight(self) && self.isRedundant }) else { return }
        stations[station].expectLoss()
        let crashesBefore = crashes
        let isVaried = random.chance(1, in: 3)
        speak(station) { $0.poison(RandomWeather.poison, isVaried: isVaried) }
        waitUntil(.seconds(20)) { self.stations[station].speaker.state != .established }
        // It comes back when somebody could survive it, and says it again: in its other form it is fatal once more. Another
        // great fault meanwhile would be two at once.
        for round in 0..<(isVaried ? 2 : 1) {
            if round > 0 {
                // It may have come while the pair was waited for.
                guard waitUntil(.seconds(30), { self.crashes > crashesBefore + round }) else {
                    if findings.isEmpty { find("what is fatal in another form did not come") }
                    return
                }
            }
            run(until: now + .milliseconds(random.number(in: 50...900)))
            guard becomeRedundant() else { return }
        }
        if !waitUntil(.seconds(30), { self.stations[station].speaker.state == .established }), findings.isEmpty {
            find("the neighbour whose input was fatal did not come back")
        }
    }

    /// Everything that was broken is mended: processes run, the channel can connect, the LAN is fair.
    func heal() {
        for id in ControllerID.allCases where !options.isSingle || id == .a {
            perform(.wake(id))
            perform(.memory(id, .none))
            perform(.goOnline(id))
            node(id).fuse = nil
            node(id).slowness = 1
            if node(id).life == .dead { perform(.start(id)) }
            perform(.healVote(id))
        }
        perform(.healChannel)
        perform(.linkWeather(loss: 0, duplication: 0, reordering: 0))
        for port in 0..<portCount {
            if bridge.twins[port], bridge.ports[port].isCutInward || bridge.ports[port].isCutOutward { portTroubleAt = now }
            perform(.healPort(port))
            perform(.weather(port: port, loss: 0, duplication: 0, reordering: 0))
        }
        for id in ControllerID.allCases where !options.isSingle || id == .a { perform(.plug(id)) }
        for station in routedStations.indices {
            for link in routedStations[station].links.indices { perform(.link(station: station, link: link, isUp: true)) }
        }
    }
}
