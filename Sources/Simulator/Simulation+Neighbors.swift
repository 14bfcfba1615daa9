import Machine
import Records

// Faults of one LAN of several, peers that behave badly, and what may be lost by either.

/// What a peer does that no peer should.
public enum Rudeness: CaseIterable, Sendable {
    /// It says its whole table again, and again.
    case repeatsTable
    /// It asks for the router's whole table many times.
    case asksAgain
    /// It withdraws what it never announced.
    case withdrawsTheUnknown
    /// One prefix comes and goes a hundred times.
    case flapsRoute
    /// Its operator clears the session.
    case resets
    /// Its host is started again, and the router is not told.
    case restarts
    /// Whatever it says comes late.
    case answersLate
    /// One direction of its cable is broken, for longer than a hold time may be.
    case losesDirection
    /// It takes nothing for a while.
    case shutsWindow
}

extension RandomWeather {
    /// What happens to one LAN while the other is well. `active…` is the active's port there, `standby…` the other's.
    enum LANFault: CaseIterable {
        case activePulled, standbyPulled, activeMute, standbyMute, activeDeaf, standbyDeaf, slow
    }
}

extension Simulation {
    /// Within which a port that hears or speaks badly is found, and mastership has changed hands (Docs/mastership.md).
    /// A vote has to be asked twice, for a release and for a grant, and may be slow both times.
    /// Who has just started has yet to learn what is usual on a segment.
    var portJudgement: Duration {
        if now - startedAt < .seconds(2) { return .seconds(3) }
        return .milliseconds(hasVote ? 1500 : 700)
    }

    // MARK: what may be lost

    /// What comes now takes longer than the detection time of some sessions of BFD, at some neighbours: nobody promises them.
    func expectWatchLosses(lan: Int? = nil, shorterThan limit: Duration) {
        guard let bfd = neighborhood.bfd, bfd.detectionTime < limit else { return }
        for i in stations.indices where lan == nil || neighborhood.lan(ofPeer: i) == lan { stations[i].expectLosses() }
        for i in routedStations.indices where lan == nil || neighborhood.lan(ofRouted: i) == lan {
            routedStations[i].expectLosses()
        }
        lossesExpectedUntil = max(lossesExpectedUntil, now + limit)
    }

    /// The pair is well: from now on every loss counts again.
    func expectNoLosses() {
        for i in stations.indices { stations[i].expectNoLoss() }
        for station in routedStations { station.expectNoLoss() }
    }

    /// A port that fails soon after a change of hands waits for the next one: links that flap cost one (`RoleDamper`). And one
    /// that was bad counts as bad for two seconds after it works again.
    func expectDamping() {
        let isChanged = roleChangedAt.map { now - $0 < .seconds(10) } ?? false
        let isTroubled = portTroubleAt.map { now - $0 < .seconds(4) } ?? false
        if isChanged || isTroubled { expectWatchLosses(shorterThan: .seconds(5)) }
    }

    // MARK: one LAN

    func inject(_ fault: RandomWeather.LANFault, lan given: Int? = nil) {
        guard !options.isSingle, let active else { return }
        let lan = given ?? random.number(in: 0...(neighborhood.lanCount - 1))
        note("FAULT \(fault) of LAN \(lan)")
        if hasVote { expectWatchLosses(shorterThan: .milliseconds(700)) }
        let isActives = fault == .activePulled || fault == .activeMute || fault == .activeDeaf
        let id = isActives ? active : active.other
        let port = neighborhood.port(of: id, lan: lan)
        if isActives { expectDamping() }
        switch fault {
        case .activePulled, .standbyPulled: perform(.pull(id, lan: lan))
        case .activeMute, .standbyMute:
            perform(.cutPort(port, inward: true, outward: false))
            expectWatchLosses(lan: lan, shorterThan: portJudgement)
        case .activeDeaf, .standbyDeaf:
            perform(.cutPort(port, inward: false, outward: true))
            expectWatchLosses(lan: lan, shorterThan: portJudgement)
        case .slow:
            // Shorter than what two packets of the fastest BFD may come apart.
            let pause = random.number(in: 1...20)
            for port in bridge.ports.indices where bridge.lans[port] == lan { perform(.slowPort(port, milliseconds: pause)) }
        }
    }

    // MARK: bad manners

    /// Some peer behaves badly.
    func beRude() {
        let station = random.number(in: 0...(stations.count - 1))
        if !routedStations.isEmpty, random.chance(1, in: 3) {
            let number = random.number(in: 0...(routedStations.count - 1))
            return schedule(.restartStation(number), at: now + .milliseconds(random.number(in: 0...200)))
        }
        let rudeness = Rudeness.allCases[random.number(in: 0...(Rudeness.allCases.count - 1))]
        schedule(.rude(station: station, rudeness), at: now + .milliseconds(random.number(in: 0...200)))
    }

    /// Peers mend their ways.
    func becomePolite() {
        for station in stations.indices where stations[station].isWindowShut { perform(.openWindow(station: station)) }
    }

    func behave(_ rudeness: Rudeness, station: Int) {
        let port = neighborhood.port(ofPeer: station)
        // What is fatal is counted session by session.
        let mayEnd = stations[station].speaker.poison == nil
        switch rudeness {
        case .repeatsTable: for _ in 0..<3 { speak(station) { $0.repetition() } }
        case .asksAgain: for _ in 0..<20 { speak(station) { $0.refreshRequest() } }
        case .withdrawsTheUnknown:
            let prefixes = (0..<30).map { _ in RandomWeather.prefix(&random, count: 80) }
            speak(station) { $0.needlessWithdrawal(prefixes) }
        case .flapsRoute:
            let prefix = RandomWeather.prefix(&random, count: 40)
            var time = now
            for round in 0..<100 {
                time = time + .microseconds(random.number(in: 0...8000))
                let isThere = round & 1 == 0
                let comes = Act.announce(station: station, prefix: prefix, tail: [101])
                schedule(isThere ? comes : .withdraw(station: station, prefix: prefix), at: time)
            }
        case .resets:
            guard mayEnd else { return }
            transmit(stations[station].reset(at: now), from: port)
            reschedule(station: station)
        case .restarts:
            guard mayEnd else { return }
            transmit(stations[station].restart(number: station, seed: random.next(), at: now), from: port)
            reschedule(station: station)
        case .answersLate:
            let limit = neighborhood.bfd.map { Int($0.detectionTime.inMilliseconds) / 3 } ?? 400
            perform(.slowPort(port, milliseconds: random.number(in: 10...min(400, limit))))
        case .losesDirection:
            guard mayEnd else { return }
            stations[station].expectLosses()
            let inward = random.chance(1, in: 2)
            perform(.cutPort(port, inward: inward, outward: !inward))
            schedule(.healPort(port), at: now + .milliseconds(random.number(in: 500...12_000)))
        case .shutsWindow:
            // Shorter than its own patience with a router that may not even send a KEEPALIVE.
            let hold = Int(stations[station].speaker.holdSeconds) * 1000
            let isLong = random.chance(1, in: 8)
            stations[station].shutWindow()
            schedule(
                .openWindow(station: station),
                at: now + .milliseconds(random.number(in: 100...(isLong ? hold * 5 / 9 : min(4000, hold * 5 / 9)))))
        }
    }
}
