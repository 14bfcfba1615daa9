import Machine
import Records
import Redundancy

// Named runs with neighbours that speak BFD, OSPFv3 and RIPng, with two LANs, with peers that behave badly, and with strangers.

extension Scenario {
    static let withNeighbors: [Scenario] = watched + lans + rude + strangers

    // MARK: BFD, OSPFv3, RIPng

    private static func fast(isAuthenticated: Bool = true) -> SimulationOptions {
        var options = SimulationOptions()
        options.bfdInterval = 50
        options.isBFDAuthenticated = isAuthenticated
        return options
    }

    private static func interior(stations: Int, interval: Int, twoLANs: Bool) -> SimulationOptions {
        var options = SimulationOptions()
        options.peerCount = 2
        options.routedStationCount = stations
        options.routersPerStation = 2
        options.bfdInterval = interval
        options.isBFDAuthenticated = true
        options.hasSecondLAN = twoLANs
        return options
    }

    private static func once(
        _ name: String, _ promise: String, _ options: SimulationOptions, rounds: Int = 2, _ fault: RandomWeather.Fault
    ) -> Scenario {
        Scenario(name, promise, options: options) { s in
            guard s.comeUp() else { return }
            for _ in 0..<rounds where s.findings.isEmpty {
                RandomWeather.churn(s, steps: 30, within: .milliseconds(500))
                if !s.routedStations.isEmpty { RandomWeather.flap(s, count: 6, within: .milliseconds(800)) }
                s.run(until: s.now + .milliseconds(s.random.number(in: 50...500)))
                s.inject(fault)
                s.run(until: s.now + .milliseconds(1200))
                guard s.becomeRedundant() else { return }
                s.run(until: s.now + .seconds(1))
            }
            s.settle()
        }
    }

    private static let watched: [Scenario] = [
        once("bfd-kill", "SIGKILL of the active costs no BFD session of 50 ms × 3", fast(), .kill),
        once("bfd-crash", "nor does a crash", fast(isAuthenticated: false), .crash),
        once("bfd-freeze", "nor an active that freezes", fast(), .freeze),
        once("bfd-graceful", "nor a graceful switchover", fast(), .switchover),
        once("bfd-hang", "nor an engine that hangs", fast(isAuthenticated: false), .hang),
        once("bfd-unplug", "nor a cable that is pulled", fast(), rounds: 1, .unplug),
        Scenario(
            "bfd-port-bounces",
            "a neighbour whose port is down for a moment in the middle of a hand-over is spoken to when it is back",
            options: fast()
        ) { s in
            guard s.comeUp(), let active = s.active else { return }
            s.run(until: s.now + .seconds(1))
            // Shorter than one of the three intervals, and over between the second question for its address and the third.
            let port = s.neighborhood.port(ofPeer: 0)
            s.perform(.cutPort(port, inward: true, outward: true))
            s.schedule(.healPort(port), at: s.now + .milliseconds(45))
            s.run(until: s.now + .milliseconds(18))
            s.inject(.switchover)
            s.run(until: s.now + .seconds(1))
            if s.active == active { s.find("there was no hand-over") }
            guard s.becomeRedundant() else { return }
            s.settle()
        },
        once("bfd-standby-kill", "a standby that joins anew knows every BFD session", fast(), .standbyKill),
        once(
            "every-protocol-kill", "SIGKILL costs no adjacency of OSPF, IS-IS, RIP, OSPFv3 or RIPng and no BFD session",
            interior(stations: 5, interval: 50, twoLANs: false), .kill),
        once(
            "every-protocol-freeze", "nor does an active that freezes",
            interior(stations: 5, interval: 300, twoLANs: false), .freeze),
        Scenario(
            "ipv6-poison", "a packet of OSPFv3 or RIPng that is fatal costs its sender the adjacency, and nobody else",
            options: interior(stations: 5, interval: 300, twoLANs: false)
        ) { s in
            guard s.comeUp() else { return }
            for station in 3...4 where s.findings.isEmpty {
                let epoch = s.nodes.map { $0.controller.epoch }.max()
                s.perform(.poisonPacket(station: station))
                if !s.waitUntil(.seconds(5), { s.nodes.map { $0.controller.epoch }.max() != epoch }), s.findings.isEmpty {
                    s.find("the packet of station \(station) was not fatal")
                }
                s.run(until: s.now + .milliseconds(500))
                guard s.becomeRedundant() else { return }
                s.waitUntil(.seconds(20)) { s.allAdjacent }
                s.expectNoLosses()
            }
            s.settle()
        },
    ]

    // MARK: two LANs

    /// - Parameter mustChange: whether the twin must be the router 900 ms later.
    private static func lan(
        _ name: String, _ promise: String, interval: Int, arbiter: ArbiterKind = .leasefile, mustChange: Bool,
        _ fault: RandomWeather.LANFault
    ) -> Scenario {
        var options = SimulationOptions()
        options.hasSecondLAN = true
        options.bfdInterval = interval
        options.arbiter = arbiter
        return Scenario(name, promise, options: options) { s in
            guard s.comeUp() else { return }
            for round in 0..<2 where s.findings.isEmpty {
                RandomWeather.churn(s, steps: 60, within: .milliseconds(900))
                // A change of hands too soon after the one before is damped.
                s.run(until: s.now + .milliseconds(5000 + s.random.number(in: 0...1500)))
                guard let before = s.active else { return s.find("nobody is active before anything has happened") }
                s.inject(fault, lan: round)
                RandomWeather.churn(s, steps: 60, within: .milliseconds(900))
                s.run(until: s.now + .milliseconds(900))
                if (s.active != before) != mustChange {
                    s.find("900 ms after '\(fault)' \(s.active.map { "\($0)" } ?? "nobody") is active, and \(before) was")
                }
                guard s.becomeRedundant() else { return }
            }
            s.settle()
        }
    }

    private static let lans: [Scenario] = [
        Scenario(
            "two-lans", "what is learnt on one LAN goes out on the other, by every protocol, whatever the active does",
            options: interior(stations: 4, interval: 300, twoLANs: true)
        ) { s in
            guard s.comeUp() else { return }
            for fault in [RandomWeather.Fault.kill, .switchover] where s.findings.isEmpty {
                RandomWeather.churn(s, steps: 30, within: .milliseconds(500))
                RandomWeather.flap(s, count: 6, within: .milliseconds(800))
                s.run(until: s.now + .milliseconds(s.random.number(in: 50...500)))
                s.inject(fault)
                s.run(until: s.now + .milliseconds(1200))
                guard s.becomeRedundant() else { return }
            }
            s.settle()
        },
        lan(
            "one-lan-pulled", "the active's cable to one LAN is pulled: the twin has both, and no BFD session is lost",
            interval: 50, mustChange: true, .activePulled),
        lan(
            "one-lan-pulled-link", "the same without a lease file",
            interval: 50, arbiter: .link, mustChange: true, .activePulled),
        lan(
            "one-lan-standby-pulled", "the standby's cable to one LAN is pulled, which changes nothing",
            interval: 50, mustChange: false, .standbyPulled),
        lan(
            "one-lan-mute", "the active is not heard on one LAN: the twin takes over within 300 ms × 3",
            interval: 300, arbiter: .link, mustChange: true, .activeMute),
        lan(
            "one-lan-deaf", "the active does not hear one LAN: the twin takes over within 300 ms × 3",
            interval: 300, arbiter: .link, mustChange: true, .activeDeaf),
        lan("one-lan-slow", "a LAN that is slow changes nothing", interval: 50, mustChange: false, .slow),
    ]

    // MARK: bad manners

    private static func rude(
        _ name: String, _ promise: String, peers: Int = 3, _ rudeness: Rudeness, after pause: ClosedRange<Int>
    ) -> Scenario {
        var options = SimulationOptions()
        options.peerCount = peers
        return Scenario(name, promise, options: options) { s in
            guard s.comeUp() else { return }
            for round in 0..<3 where s.findings.isEmpty {
                RandomWeather.churn(s, steps: 60, within: .milliseconds(800))
                s.run(until: s.now + .milliseconds(200))
                s.perform(.rude(station: round % peers, rudeness))
                s.run(until: s.now + .milliseconds(s.random.number(in: pause)))
                s.inject(RandomWeather.Fault.kill)
                s.run(until: s.now + .milliseconds(600))
                guard s.becomeRedundant() else { return }
            }
            s.settle()
        }
    }

    private static let rude: [Scenario] = [
        rude("peer-repeats", "a peer that says its table again and again changes nothing", .repeatsTable, after: 0...20),
        rude(
            "peer-asks-again", "a peer that asks for everything twenty times gets it, from both controllers",
            .asksAgain, after: 0...20),
        rude(
            "peer-withdraws", "a peer that withdraws what it never announced changes nothing",
            .withdrawsTheUnknown, after: 0...20),
        rude("peer-flaps", "a prefix that comes and goes a hundred times ends as its peer left it", .flapsRoute, after: 0...300),
        rude("peer-resets", "a session that its peer cleared comes back, while the active dies", .resets, after: 0...1200),
        rude(
            "peer-restarts", "a peer that was started again without a FIN gets its session back, and nobody else loses one",
            .restarts, after: 0...1200),
        rude("peer-late", "a peer that answers late keeps its session", .answersLate, after: 0...600),
        rude(
            "peer-loses-direction", "a peer that is not heard, or does not hear, loses its own session at most",
            .losesDirection, after: 0...900),
        windowShut,
    ]

    private static var windowShut: Scenario {
        var options = SimulationOptions()
        options.peerCount = 3
        options.holdSeconds = 240
        return Scenario(
            "window-shut", "a peer that takes nothing for two minutes holds nobody up and keeps its session",
            options: options
        ) { s in
            guard s.comeUp() else { return }
            s.stations[0].shutWindow()
            for round in 0..<4 where s.findings.isEmpty {
                // More than what waits in a window.
                let first = UInt64(0x1500_0000 + round * 0x10_0000)
                s.speak(1) { $0.announce((0..<3000).map { (first + UInt64($0) * 16) << 8 | 28 }, tail: [78]) }
                RandomWeather.churn(s, steps: 60, within: .seconds(20))
                s.run(until: s.now + .seconds(30))
                if round & 1 == 0 { s.inject(RandomWeather.Fault.kill) }
                s.run(until: s.now + .milliseconds(500))
                guard s.becomeRedundant() else { return }
                let speakers = s.stations.map(\.speaker)
                if SessionChecker.expectedView(of: speakers[2], among: speakers).count != speakers[2].learnt.count {
                    s.find("somebody whose window is open has not got everything after 30 s")
                }
            }
            s.settle()
        }
    }

    // MARK: strangers

    private static func strange(_ arbiter: ArbiterKind) -> SimulationOptions {
        var options = SimulationOptions()
        options.hasStrangers = true
        options.peerCount = 3
        options.arbiter = arbiter
        return options
    }

    /// Whoever was active still is, in the epoch that it had.
    private static func isUnmoved(_ s: Simulation, _ before: ControllerID, _ epoch: Epoch, _ what: String) -> Bool {
        if s.findings.isEmpty, s.active != before || s.node(before).controller.epoch != epoch {
            s.find("after '\(what)' \(s.active.map { "\($0)" } ?? "nobody") is active, and \(before) was, in epoch \(epoch)")
        }
        return s.findings.isEmpty
    }

    private static func forger(_ name: String, _ promise: String, _ arbiter: ArbiterKind) -> Scenario {
        Scenario(name, promise, options: strange(arbiter)) { s in
            guard s.comeUp() else { return }
            s.run(until: s.now + .seconds(2))
            guard let before = s.active else { return s.find("nobody is active before anything has happened") }
            let epoch = s.node(before).controller.epoch
            for round in 0..<2 {
                if round > 0 { s.run(until: s.now + .seconds(11)) }
                for forgery in Forgery.allCases where s.findings.isEmpty {
                    RandomWeather.churn(s, steps: 30, within: .milliseconds(300))
                    // RFC 5227 §2.4 allows one defence in ten seconds.
                    for _ in 0..<(forgery == .addressClaim ? 1 : 3) {
                        s.perform(.forge(forgery))
                        s.run(until: s.now + .milliseconds(s.random.number(in: 1...150)))
                    }
                    s.run(until: s.now + .milliseconds(500))
                    guard isUnmoved(s, before, epoch, "\(forgery)") else { return }
                    if !s.isRedundant { s.find("'\(forgery)' cost the pair its redundancy") }
                    guard let words = Self.alarm(forgery) else { continue }
                    let isTold = s.events[Int(before.rawValue)].contains { $0.severity >= .warning && $0.message.contains(words) }
                    if !isTold { s.find("nobody was told of '\(forgery)'") }
                }
            }
            s.settle()
        }
    }

    /// What the active says of it.
    private static func alarm(_ forgery: Forgery) -> String? {
        switch forgery {
        case .virtualMAC: "another host speaks as this router"
        case .datagrams: "beats come over the redundancy link that are not the twin's"
        case .recordings, .wrongKey, .hostAddress, .addressClaim: nil
        }
    }

    private static func third(_ name: String, _ promise: String, _ arbiter: ArbiterKind) -> Scenario {
        Scenario(name, promise, options: strange(arbiter)) { s in
            guard s.comeUp() else { return }
            s.run(until: s.now + .seconds(2))
            for kind in Intruder.Kind.allCases {
                for isActives in [true, false] where s.findings.isEmpty {
                    guard let before = s.active else { return s.find("nobody is active before anything has happened") }
                    let epoch = s.node(before).controller.epoch
                    s.perform(.startIntruder(kind))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 100...1500)))
                    RandomWeather.churn(s, steps: 30, within: .milliseconds(300))
                    s.perform(.intrude(on: isActives ? before : before.other))
                    s.run(until: s.now + .milliseconds(700))
                    guard isUnmoved(s, before, epoch, "\(kind)") else { return }
                    if kind != .wrongKey, s.intruder?.refusal == nil { s.find("the third controller '\(kind)' was not refused") }
                    let isTold = s.waitUntil(.seconds(6)) {
                        s.intruder?.events.contains { $0.severity == .alarm && $0.message.contains("stays silent") } ?? false
                    }
                    if !isTold, s.findings.isEmpty { s.find("the third controller '\(kind)' does not say why it is silent") }
                    s.perform(.stopIntruder)
                    guard s.becomeRedundant() else { return }
                }
            }
            let told = s.events.joined().filter { $0.severity == .alarm && $0.message.contains("peer is refused") }
            if s.findings.isEmpty, told.count < 5 { s.find("the pair told of \(told.count) third controllers alone") }
            s.settle()
        }
    }

    private static let strangers: [Scenario] = [
        forger("forger", "who records and forges the pair's words moves nobody, and an alarm tells", .leasefile),
        forger("forger-link", "the same without a lease file", .link),
        forger("forger-witness", "the same with a witness", .witness),
        third(
            "third-controller", "a third controller, of whatever kind, stays silent and moves nobody, and alarms tell",
            .leasefile),
        third("third-controller-link", "the same without a lease file", .link),
        third("third-controller-witness", "the same with a witness", .witness),
    ]
}
