import Machine
import Records
import Redundancy
import Wire

/// Runs with a name: each shows one promise, or a mistake that was once made. The seed still decides delays and times.
public struct Scenario: Sendable {
    public let name: String
    /// One sentence.
    public let promise: String
    let options: SimulationOptions
    let run: @Sendable (Simulation) -> Void

    init(
        _ name: String, _ promise: String, options: SimulationOptions = SimulationOptions(),
        _ run: @escaping @Sendable (Simulation) -> Void
    ) {
        self.name = name
        self.promise = promise
        self.options = options
        self.run = run
    }

    /// Runs it; the findings say what went wrong.
    public func simulation(seed: UInt64, isTraced: Bool = false) -> Simulation {
        var options = options
        options.isTraced = isTraced
        let simulation = Simulation(seed: seed, options: options)
        run(simulation)
        return simulation
    }

    public static func named(_ name: String) -> Scenario? { all.first { $0.name == name } }

    /// Brings the pair up, lets peers talk, does something to the active, mends it and looks.
    private static func once(_ name: String, _ promise: String, _ fault: RandomWeather.Fault) -> Scenario {
        Scenario(name, promise) { s in
            guard s.comeUp() else { return }
            for _ in 0..<3 where s.findings.isEmpty {
                RandomWeather.churn(s, steps: 60, within: .milliseconds(500))
                s.run(until: s.now + .milliseconds(s.random.number(in: 50...250)))
                s.inject(fault)
                s.run(until: s.now + .milliseconds(600))
                guard s.becomeRedundant() else { return }
            }
            s.settle()
        }
    }

    private static var linked: SimulationOptions {
        var options = SimulationOptions()
        options.arbiter = .link
        return options
    }

    /// The same for a pair that decides by itself.
    private static func paired(_ name: String, _ promise: String, _ fault: RandomWeather.Fault) -> Scenario {
        let plain = once(name, promise, fault)
        return Scenario(name, promise, options: linked, plain.run)
    }

    /// The twin must speak while the active is cut off, not only when all is mended.
    private static func reaching(
        _ name: String, _ promise: String, _ fault: RandomWeather.Fault, _ arbiter: ArbiterKind
    ) -> Scenario {
        var options = SimulationOptions()
        options.arbiter = arbiter
        return Scenario(name, promise, options: options) { s in
            guard s.comeUp() else { return }
            for _ in 0..<3 where s.findings.isEmpty {
                RandomWeather.churn(s, steps: 60, within: .milliseconds(500))
                s.run(until: s.now + .milliseconds(s.random.number(in: 50...250)))
                guard let before = s.active else { return s.find("nobody is active before anything has happened") }
                s.inject(fault)
                s.run(until: s.now + .milliseconds(900))
                let node = s.node(before.other)
                if node.controller.state != .activeAlone || node.turn.gateUntil <= node.clock(s.now) {
                    s.find("900 ms after '\(fault)' of \(before) its twin is \(node.controller.state) and may not speak")
                }
                guard s.becomeRedundant() else { return }
            }
            s.settle()
        }
    }

    /// One direction of one port, with carrier: who speaks afterwards is decided within the time of a peer's BFD.
    private static func oneWay(
        _ name: String, _ promise: String, _ fault: RandomWeather.Fault, mustChange: Bool, isQuiet: Bool = false
    ) -> Scenario {
        Scenario(name, promise, options: linked) { s in
            guard s.comeUp() else { return }
            if !isQuiet {
                // Long enough to know what is usual on this segment.
                s.chatter(for: .seconds(6))
                RandomWeather.churn(s, steps: 200, within: .seconds(4))
            }
            s.run(until: s.now + .milliseconds(3000 + s.random.number(in: 0...1500)))
            guard let before = s.active else { return s.find("nobody is active before anything has happened") }
            s.inject(fault)
            s.run(until: s.now + .milliseconds(900))
            if (s.active != before) != mustChange {
                s.find("900 ms after '\(fault)' \(s.active.map { "\($0)" } ?? "nobody") is active, and \(before) was")
            }
            guard s.becomeRedundant() else { return }
            s.settle()
        }
    }

    private static func routed(stations: Int = 3, routers: Int = 4) -> SimulationOptions {
        var options = SimulationOptions()
        options.peerCount = 2
        options.routedStationCount = stations
        options.routersPerStation = routers
        return options
    }

    /// The same with neighbours that speak OSPF, IS-IS and RIP and whose own networks are unstable.
    private static func routedOnce(
        _ name: String, _ promise: String, rounds: Int = 3, stations: Int = 3, routers: Int = 4,
        _ fault: RandomWeather.Fault
    ) -> Scenario {
        Scenario(name, promise, options: routed(stations: stations, routers: routers)) { s in
            guard s.comeUp() else { return }
            for _ in 0..<rounds where s.findings.isEmpty {
                RandomWeather.churn(s, steps: 20, within: .milliseconds(500))
                RandomWeather.flap(s, count: 12, within: .milliseconds(1500))
                s.run(until: s.now + .milliseconds(s.random.number(in: 50...900)))
                s.inject(fault)
                s.run(until: s.now + .milliseconds(1200))
                guard s.becomeRedundant() else { return }
                s.run(until: s.now + .seconds(5))
            }
            s.settle()
        }
    }

    public static let all: [Scenario] =
        [
            Scenario("calm", "a pair without faults tells its peers what a single router would") { s in
                guard s.comeUp() else { return }
                RandomWeather.churn(s, steps: 300, within: .seconds(3))
                s.run(until: s.now + .seconds(4))
                s.settle()
            },
            once("kill", "SIGKILL of the active costs no session", .kill),
            once("kill-midway", "the active dies between any two things that it does", .killMidway),
            once("crash", "a crash with a dying gasp costs no session", .crash),
            once("freeze", "a frozen active that wakes up says nothing under the old epoch", .freeze),
            once("stutter", "a pause near the detection time makes no two masters", .stutter),
            once("graceful", "a graceful switchover costs nothing", .switchover),
            once("graceful-kill", "the old active dies during a graceful switchover", .switchoverKill),
            once("channel-break", "the channel breaks and both know it", .breakChannel),
            once("channel-cut", "the channel goes silent and nobody is told", .cutChannel),
            once("channel-stall", "the channel is half dead for a while", .stallChannel),
            once("standby-kill", "a standby that dies holds nobody up", .standbyKill),
            once("standby-kill-midway", "the standby dies between storing and acknowledging", .standbyKillMidway),
            once("standby-kill-in-bulk", "the standby dies again while it is being brought up to date", .standbyKillInBulk),
            once("standby-freeze", "a frozen standby is left behind after a bounded time", .standbyFreeze),
            once("standby-slow", "a slow standby is waited for, or left behind", .standbySlow),
            once("unplug", "the cable of the active is pulled", .unplug),
            once("poison", "a record that is fatal to an engine costs the session it belongs to, and no other", .poison),
            once("trap", "a command that traps the engine ends one process and is quarantined by the other", .trap),
            once("hang", "an engine that hangs is seen by the watchdog, and the record is quarantined", .hang),
            once("memory-warning", "a warning of memory changes nothing", .memory),
            Scenario("memory", "a router whose memory runs out lets go of the neighbor with the most routes, and of nobody else")
            { s in
                s.speak(0) { $0.announce((0..<600).map { (UInt64(0x3000_0000) + $0 * 256) << 8 | 24 }, tail: [88]) }
                guard s.comeUp() else { return }
                RandomWeather.churn(s, steps: 60, within: .milliseconds(500))
                s.run(until: s.now + .seconds(1))
                guard let active = s.active else { return s.find("nobody is active before anything has happened") }
                s.stations[0].expectLoss()
                s.perform(.memory(active, .critical))
                s.run(until: s.now + .seconds(8))
                if s.active != active { s.find("a switchover for want of memory") }
                if s.stations[0].speaker.state == .established { s.find("the neighbor with the most routes is not let go of") }
                for station in s.stations.dropFirst() where station.speaker.state != .established {
                    s.find("AS \(station.speaker.asNumber): let go of, and it had few routes")
                }
                let address = IPAddress.v4(s.stations[0].speaker.address).description
                s.perform(.command(.clearNeighbor(address: address, reason: "")))
                guard s.becomeRedundant() else { return }
                s.settle()
            },
            Scenario("reboot", "a peer that lost its power and sent no FIN is back within two seconds") { s in
                guard s.comeUp() else { return }
                for round in 0..<6 where s.findings.isEmpty {
                    RandomWeather.churn(s, steps: 20, within: .milliseconds(300))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 0...3000)))
                    let number = round % s.stations.count
                    s.perform(.reboot(station: number))
                    if !s.waitUntil(.seconds(2), { s.stations[number].speaker.state == .established }), s.findings.isEmpty {
                        s.find("AS \(s.stations[number].speaker.asNumber): not back two seconds after its reboot")
                    }
                }
                s.settle()
            },
            Scenario("reboot-kill", "a peer reboots and the active dies, in any order and near each other") { s in
                guard s.comeUp() else { return }
                for round in 0..<4 where s.findings.isEmpty {
                    RandomWeather.churn(s, steps: 20, within: .milliseconds(300))
                    guard let active = s.active else { return }
                    let number = round % s.stations.count
                    s.perform(.reboot(station: number))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 0...1800)))
                    s.perform(.kill(active))
                    if !s.waitUntil(.seconds(15), { s.stations[number].speaker.state == .established }), s.findings.isEmpty {
                        s.find("AS \(s.stations[number].speaker.asNumber): not back after its reboot")
                    }
                    guard s.becomeRedundant() else { return }
                }
                s.settle()
            },
            Scenario(
                "graceful-restart-kill",
                "a peer restarts gracefully and the active dies, near each other: no other peer hears of either"
            ) { s in
                for number in s.stations.indices { s.speak(number) { $0.offerRestart() } }
                guard s.comeUp() else { return }
                for round in 0..<4 where s.findings.isEmpty {
                    RandomWeather.churn(s, steps: 20, within: .milliseconds(300))
                    s.run(until: s.now + .seconds(2))
                    guard let active = s.active else { return }
                    let number = round % s.stations.count
                    let told = s.stations.map(\.speaker.updatesReceived)
                    s.perform(.reboot(station: number))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 0...1800)))
                    s.perform(.kill(active))
                    if !s.waitUntil(.seconds(15), { s.stations[number].speaker.state == .established }), s.findings.isEmpty {
                        s.find("AS \(s.stations[number].speaker.asNumber): not back after its restart")
                    }
                    s.run(until: s.now + .seconds(2))
                    for (other, station) in s.stations.enumerated()
                    where other != number && station.speaker.updatesReceived != told[other] {
                        s.find("AS \(station.speaker.asNumber): was told of the restart of another")
                    }
                    guard s.becomeRedundant() else { return }
                }
                s.settle()
            },
            once("force", "a forced switchover costs no session", .force),
            once("offline", "a standby that the operator takes out comes back", .offline),
            paired("link-kill", "without a lease file: SIGKILL of the active costs no session", .kill),
            paired("link-freeze", "without a lease file: a frozen active that wakes up says nothing", .freeze),
            paired("link-graceful", "without a lease file: a graceful switchover costs nothing", .switchover),
            paired("link-graceful-kill", "without a lease file: the old active dies during a hand-over", .switchoverKill),
            paired("link-channel-cut", "without a lease file: a cut channel alone makes no two masters", .cutChannel),
            paired("link-standby-isolated", "a standby whose every cable is out has no vote", .standbyIsolated),
            paired("link-active-isolated", "an active whose every cable is out is followed by its twin", .activeIsolated),
            reaching("lease-active-isolated", "the same with a lease file", .activeIsolated, .leasefile),
            reaching("witness-active-isolated", "the same with a witness", .activeIsolated, .witness),
            reaching(
                "witness-stranded", "an active that reaches the witness and nobody else is followed by its twin", .stranded,
                .witness),
            reaching("link-isolated", "the same without either", .activeIsolated, .link),
            paired("link-stutter", "without a lease file: a pause near the detection time makes no two masters", .stutter),
            oneWay("deaf", "an active whose port no longer hears hands over to a twin that does", .deaf, mustChange: true),
            oneWay("mute", "an active that is not heard hands over to a twin that is", .mute, mustChange: true),
            oneWay(
                "deaf-quiet", "the same where nobody speaks but to the router, and seldom", .deaf, mustChange: true, isQuiet: true
            ),
            oneWay(
                "mute-quiet", "the same where nobody speaks but to the router, and seldom", .mute, mustChange: true, isQuiet: true
            ),
            oneWay(
                "standby-deaf-quiet", "on a quiet segment a deaf standby changes nothing", .standbyDeaf, mustChange: false,
                isQuiet: true),
            oneWay(
                "standby-mute-quiet", "on a quiet segment a mute standby changes nothing", .standbyMute, mustChange: false,
                isQuiet: true),
            oneWay("standby-deaf", "a standby whose port does not hear changes nothing", .standbyDeaf, mustChange: false),
            oneWay("standby-mute", "a standby that is not heard changes nothing", .standbyMute, mustChange: false),
            Scenario(
                "link-after-hand-over", "the old active takes over from a new one that dies, at any time after", options: linked
            ) { s in
                guard s.comeUp() else { return }
                for _ in 0..<3 where s.findings.isEmpty {
                    guard let active = s.active else { return }
                    s.perform(.switchover(active))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 5...2000)))
                    RandomWeather.churn(s, steps: 30, within: .milliseconds(200))
                    s.perform(.kill(active.other))
                    s.run(until: s.now + .milliseconds(800))
                    guard s.becomeRedundant() else { return }
                }
                s.settle()
            },
            Scenario(
                "routed-calm", "OSPF, IS-IS and RIP neighbours keep their adjacencies while links behind them flap",
                options: routed()
            ) { s in
                guard s.comeUp() else { return }
                RandomWeather.flap(s, count: 40, within: .seconds(6))
                s.run(until: s.now + .seconds(10))
                s.settle()
            },
            routedOnce("routed-kill", "SIGKILL of the active costs no adjacency", .kill),
            routedOnce(
                "routed-kill-midway", "the active dies between any two things that it does, and no adjacency is lost", .killMidway
            ),
            routedOnce("routed-crash", "a crash costs no adjacency", .crash),
            routedOnce("routed-freeze", "a frozen active costs no adjacency", .freeze),
            routedOnce("routed-graceful", "a graceful switchover costs no adjacency", .switchover),
            routedOnce("routed-standby-kill", "a standby that joins anew knows every adjacency", .standbyKill),
            routedOnce("routed-hang", "an engine that hangs costs no adjacency", rounds: 2, .hang),
            routedOnce(
                "routed-large", "a topology of a hundred and more routers survives the active", rounds: 1, stations: 4,
                routers: 40, .kill),
            Scenario(
                "routed-poison", "a packet that is fatal to an engine costs its sender the adjacency, and nobody else",
                options: routed()
            ) { s in
                guard s.comeUp() else { return }
                for station in s.routedStations.indices where s.findings.isEmpty {
                    let epoch = s.nodes.map { $0.controller.epoch }.max()
                    s.perform(.poisonPacket(station: station))
                    if !s.waitUntil(.seconds(5), { s.nodes.map { $0.controller.epoch }.max() != epoch }), s.findings.isEmpty {
                        s.find("the packet of station \(station) was not fatal")
                    }
                    s.run(until: s.now + .milliseconds(500))
                    guard s.becomeRedundant() else { return }
                    s.waitUntil(.seconds(20)) { s.allAdjacent }
                }
                s.settle()
            },
            Scenario(
                "routed-poison-kept",
                "what is fatal is said again, older or in another form, and costs its sender its adjacency alone",
                options: routed()
            ) { s in
                guard s.comeUp() else { return }
                for station in s.routedStations.indices where s.findings.isEmpty { s.keepPoison(station: station) }
                s.settle()
            },
            Scenario("big-table", "a standby joins, dies and joins again while a large table is copied in many chunks") { s in
                s.speak(0) { $0.announce((0..<20_000).map { (UInt64(0x3000_0000) + $0 * 256) << 8 | 24 }, tail: [88]) }
                guard s.comeUp() else { return }
                for _ in 0..<3 where s.findings.isEmpty {
                    guard let active = s.active else { return }
                    s.perform(.kill(active.other))
                    s.run(until: s.now + .milliseconds(20))
                    s.perform(.start(active.other))
                    RandomWeather.churn(s, steps: 100, within: .milliseconds(300))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 5...60)))
                    guard s.becomeRedundant(), let active = s.active else { return }
                    RandomWeather.churn(s, steps: 30, within: .milliseconds(100))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 1...100)))
                    s.perform(.kill(active))
                    s.run(until: s.now + .milliseconds(200))
                    guard s.becomeRedundant() else { return }
                }
                s.settle()
            },
            Scenario(
                "standby-then-active", "the active dies while the standby is away: sessions begin anew, never with old numbers"
            ) { s in
                guard s.comeUp(), let first = s.active else { return }
                s.perform(.kill(first.other))
                s.run(until: s.now + .milliseconds(500))
                RandomWeather.churn(s, steps: 60, within: .milliseconds(500))
                s.run(until: s.now + .milliseconds(600))
                for station in s.stations.indices { s.stations[station].expectLoss() }
                s.perform(.kill(first))
                s.run(until: s.now + .milliseconds(200))
                s.settle()
            },
            Scenario("flapping-channel", "a channel that breaks again and again costs redundancy, not sessions") { s in
                guard s.comeUp() else { return }
                for _ in 0..<15 where s.findings.isEmpty {
                    RandomWeather.churn(s, steps: 20, within: .milliseconds(300))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 1...300)))
                    s.perform(.breakChannel)
                }
                s.settle()
            },
            Scenario("many-switchovers", "forty graceful switchovers in a row, updates flowing") { s in
                guard s.comeUp() else { return }
                for _ in 0..<40 where s.findings.isEmpty {
                    RandomWeather.churn(s, steps: 20, within: .milliseconds(200))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 1...150)))
                    if let active = s.active { s.perform(.switchover(active)) }
                    guard s.becomeRedundant() else { return }
                }
                s.settle()
            },
            Scenario("poor-lan", "loss, duplication and reordering while the active is killed") { s in
                guard s.comeUp() else { return }
                for _ in 0..<3 where s.findings.isEmpty {
                    s.inject(RandomWeather.Nuisance.lan)
                    RandomWeather.churn(s, steps: 60, within: .milliseconds(500))
                    s.run(until: s.now + .milliseconds(s.random.number(in: 50...250)))
                    s.inject(RandomWeather.Fault.kill)
                    s.run(until: s.now + .seconds(1))
                    guard s.becomeRedundant() else { return }
                }
                s.settle()
            },
        ] + withNeighbors
}
