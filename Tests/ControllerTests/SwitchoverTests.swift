import Controller
import Engine
import Machine
import Records
import Redundancy
import Testing

/// FIG. 11 and 12, step by step, and every way out of it.
@Suite struct SwitchoverTests {
    @Test("FIG. 11, 12: the steps of a graceful switchover, in order, on each side")
    func graceful() {
        let world = FailureTests.pair()
        world.ask(world.a, .switchover(reason: "maintenance"))
        world.run(.milliseconds(20))
        #expect(world.b.state == .active, "\(world.trace.suffix(40).joined(separator: "\n"))")
        #expect(world.a.state == .standby)
        #expect(world.a.answers.map(\.1) == [.done("controller B is active")])
        #expect(
            world.status(world.a).switchovers.last?.steps.map(\.name) == [
                "1102 switchover is not blocked", "1104 standby is not offline", "1106 announce",
                "1108 block configuration changes", "1110 finish replication", "1112 digests are equal", "1114 be ready",
                "1116 stop reading", "1118 relinquish mastership", "1120 line card to standby",
                "1124 follow the new active", "1126 unblock", "1128 standby",
            ])
        let steps = world.status(world.b).switchovers.last?.steps.map(\.name) ?? []
        #expect(
            steps.map { $0.prefix(4) } == [
                "1202", "1204", "1206", "1208", "1210", "1212", "1214", "1218", "1220", "1222", "1224", "1226",
            ])
        #expect(
            world.status(world.b).bulkUpdates <= 1 && world.status(world.a).bulkUpdates == 0,
            "the old active follows without a new bulk update")
        #expect(world.a.engine.engine.digest == world.b.engine.engine.digest)
        #expect(!world.said("sessions start anew"))
    }

    @Test("A graceful switchover takes less than two milliseconds and leaves no gap in the gate")
    func duration() {
        let world = FailureTests.pair()
        world.ask(world.a, .switchover(reason: "maintenance"))
        world.run(.milliseconds(20))
        let steps = world.status(world.b).switchovers.last?.steps ?? []
        #expect((steps.last?.microseconds ?? .max) < 2000)
        // And it goes on: what B does now waits for A.
        world.channelDelay = .milliseconds(5)
        world.ask(world.b, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(9))
        #expect(world.announcements(of: 9, by: world.b).isEmpty)
        world.run(.milliseconds(3))
        #expect(!world.announcements(of: 9, by: world.b).isEmpty)
    }

    @Test("There and back, a hundred times: always redundant, never a bulk update, one epoch for each")
    func hundredTimes() {
        let world = FailureTests.pair()
        let epoch = world.a.controller.epoch
        for i in 0..<100 {
            let active = i % 2 == 0 ? world.a : world.b
            world.ask(active, .switchover(reason: "\(i)"), id: UInt64(i))
            #expect(world.run(.milliseconds(50)) { world.isRedundant && !active.state.isActive }, "switchover \(i)")
        }
        #expect(world.a.controller.epoch == Epoch(epoch.value + 100))
        #expect(world.status(world.a).bulkUpdates + world.status(world.b).bulkUpdates <= 2)
        #expect(world.a.engine.engine.digest == world.b.engine.engine.digest)
        #expect(world.status(world.a).switchovers.count == SwitchoverHistory.limit)
    }

    @Test("1116: frames that come while nobody reads are handled by the new active")
    func framesInBetween() {
        let world = FailureTests.pair()
        // Mastership is withheld for a while, so that the gap is wide.
        world.tamper = { from, message in
            if from == .a, case .switchover(.relinquish) = message { world.isChannelCut = false }
            return message
        }
        world.channelDelay = .milliseconds(3)
        world.run(.milliseconds(30))
        world.ask(world.a, .switchover(reason: "maintenance"))
        #expect(world.run(.milliseconds(100)) { world.said("1116 stop reading", by: world.a) })
        let asked = world.b.frames.count
        // Only A's port sees it, as behind a switch that has learnt.
        var outputs: [ControllerOutput] = []
        world.a.controller.receive(arpRequest().span.bytes, on: InterfaceID(0), at: world.now, into: &outputs)
        #expect(outputs.isEmpty)
        world.run(.milliseconds(30))
        #expect(world.b.state == .active)
        let answers = world.b.frames[asked...].filter {
            $0.octets[0..<6] == [2, 0, 0, 0, 0, 99] && $0.octets[12..<14] == [8, 6]
        }
        #expect(answers.count == 1, "the one who asked A is answered by B")
    }

    @Test("1102: refused without a twin, on a standby, and while one is under way")
    func refused() {
        let world = FailureTests.pair()
        world.ask(world.b, .switchover(reason: "x"), id: 2)
        #expect(world.b.answers.map(\.1) == [.refused("this controller is not active")])
        world.ask(world.a, .switchover(reason: "x"), id: 3)
        world.ask(world.a, .switchover(reason: "y"), id: 4)
        #expect(world.a.answers.map(\.1) == [.refused("a switchover is under way")])
        world.run(.milliseconds(20))
        world.kill(world.a)
        world.run(.milliseconds(10))
        world.ask(world.b, .switchover(reason: "z"), id: 5)
        #expect(world.b.answers.last?.1 == .refused("no twin is connected"))
    }

    @Test("1104: refused while the standby is offline; online again it joins by itself")
    func offline() {
        let world = FailureTests.pair()
        world.ask(world.b, .goOffline(reason: "upgrade"))
        world.run(.milliseconds(100))
        #expect(world.b.state == .offline)
        #expect(world.a.state == .activeAlone)
        // Somebody wanted it: no alarm, and the words say why.
        #expect(world.said("redundancy ends, going on alone: the twin leaves, offline: upgrade", by: world.a))
        #expect(!world.said("redundancy lost", by: world.a) && !world.said("the twin is lost", by: world.a))
        world.ask(world.a, .switchover(reason: "x"))
        #expect(world.a.answers.map(\.1) == [.refused("the twin is offline")])
        world.kill(world.a)
        world.run(.milliseconds(500))
        #expect(world.b.state == .offline, "it was told not to serve")
        world.restart(world.a)
        world.run(.milliseconds(500))
        #expect(world.a.state == .activeAlone)
        world.ask(world.b, .goOnline)
        #expect(world.run(.seconds(1)) { world.isRedundant })
    }

    @Test("A standby that is stopped in order raises no alarm; one that is killed afterwards does")
    func stopped() {
        let world = FailureTests.pair()
        world.ask(world.b, .leave(reason: "stopped"))
        world.run(.milliseconds(5))
        world.kill(world.b)
        world.run(.milliseconds(500))
        #expect(world.a.state == .activeAlone)
        #expect(world.said("redundancy ends, going on alone: the twin leaves, stopped", by: world.a))
        #expect(world.a.controller.status(at: world.now).twin.farewell == "stopped")
        world.restart(world.b)
        #expect(world.run(.seconds(2)) { world.isRedundant })
        #expect(world.a.controller.status(at: world.now).twin.farewell == nil)
        world.kill(world.b)
        world.run(.milliseconds(500))
        #expect(world.said("redundancy lost, going on alone", by: world.a))
    }

    @Test("1108: configuration and commands are refused while the switchover is under way, and accepted after it")
    func blocked() {
        let world = FailureTests.pair()
        world.ask(world.a, .switchover(reason: "x"), id: 1)
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")), id: 2)
        #expect(world.a.answers.map(\.1) == [.refused("a switchover is under way")])
        world.run(.milliseconds(20))
        world.ask(world.b, .commit(revision: 2, PairWorld.router("192.0.2.9")), id: 3)
        #expect(world.b.answers.last?.1 == .done("revision 2 is record \(world.status(world.b).lastIndex)"))
    }

    /// What the twin answers is changed on its way; the old active must stay in charge.
    static let aborts: [(name: String, says: String, tamper: @Sendable (ControllerID, ChannelMessage) -> ChannelMessage?)] = [
        (
            "1112", "digests differ twice",
            { from, message in
                if from == .b, case .switchover(.replicated(let number, let verified, _)) = message {
                    return .switchover(.replicated(number: number, verified: verified, difference: 4))
                }
                return message
            }
        ),
        (
            "1110", "replication did not finish in time",
            { from, message in
                if from == .b, case .switchover(.replicated) = message { return nil }
                return message
            }
        ),
        (
            "1114", "the standby is not ready: busy",
            { from, message in
                if from == .b, case .switchover(.ready(let number)) = message {
                    return .switchover(.notReady(number: number, reason: "busy"))
                }
                return message
            }
        ),
        (
            "1114 silent", "did not say that it is ready",
            { from, message in
                if from == .b, case .switchover(.ready) = message { return nil }
                return message
            }
        ),
        (
            "1118", "the standby did not take over",
            { from, message in
                if from == .a, case .switchover(.relinquish) = message { return nil }
                return message
            }
        ),
    ]

    @Test("An abort at any step leaves the old active in charge, and the next switchover works", arguments: 0..<5)
    func aborts(number: Int) {
        let (name, says, tamper) = Self.aborts[number]
        let world = FailureTests.pair()
        world.tamper = tamper
        world.ask(world.a, .switchover(reason: name))
        world.run(.seconds(4))
        #expect(world.a.state.isActive, "\(name): \(world.trace.suffix(20).joined(separator: "\n"))")
        #expect(world.a.answers.count == 1)
        if case .refused(let why)? = world.a.answers.first?.1 {
            #expect(why.contains(says))
        } else {
            Issue.record("\(name) was not refused")
        }
        #expect(!world.said("sessions start anew"))
        world.tamper = nil
        #expect(world.run(.seconds(1)) { world.isRedundant })
        world.ask(world.a, .switchover(reason: "again"), id: 9)
        world.run(.milliseconds(100))
        #expect(world.b.state == .active)
        #expect(world.a.state == .standby)
    }

    @Test("The standby dies at any moment of a switchover: the old active goes on", arguments: 0..<40)
    func standbyDies(moment: Int) {
        let world = FailureTests.pair()
        world.ask(world.a, .switchover(reason: "x"))
        world.run(.microseconds(25 * moment))
        world.kill(world.b)
        world.run(.milliseconds(200))
        #expect(world.a.state.isActive, "after \(25 * moment) us: \(world.trace.suffix(20).joined(separator: "\n"))")
        #expect(!world.said("sessions start anew"))
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")), id: 2)
        world.run(.milliseconds(5))
        #expect(world.a.engine.engine.revision == 2)
    }

    @Test("The old active dies at any moment of a switchover: the standby takes over", arguments: 0..<40)
    func activeDies(moment: Int) {
        let world = FailureTests.pair()
        world.ask(world.a, .switchover(reason: "x"))
        world.run(.microseconds(25 * moment))
        world.kill(world.a)
        world.run(.milliseconds(200))
        #expect(world.b.state.isActive, "after \(25 * moment) us: \(world.trace.suffix(20).joined(separator: "\n"))")
        #expect(!world.said("sessions start anew"))
        world.ask(world.b, .commit(revision: 2, PairWorld.router("192.0.2.9")), id: 2)
        world.run(.milliseconds(5))
        #expect(world.b.engine.engine.revision == 2)
    }

    @Test("The channel closes at any moment of a switchover: one is active, and the pair heals", arguments: 0..<40)
    func channelCloses(moment: Int) {
        let world = FailureTests.pair()
        world.ask(world.a, .switchover(reason: "x"))
        world.run(.microseconds(25 * moment))
        world.closeChannel()
        for _ in 0..<400 {
            world.run(.microseconds(500))
            #expect(world.masters <= 1)
        }
        #expect(world.run(.seconds(4)) { world.isRedundant }, "\(world.trace.suffix(20).joined(separator: "\n"))")
        #expect(!world.said("sessions start anew"))
    }

    @Test("A forced switchover gives mastership up at once; the twin takes over as after a failure")
    func forced() {
        let world = FailureTests.pair()
        world.ask(world.a, .forcedSwitchover(reason: "now"))
        world.run(.milliseconds(5))
        #expect(world.b.state == .activeAlone)
        #expect(!world.a.state.isActive)
        #expect(!world.said("sessions start anew"))
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.b.state == .active)
    }

    @Test("An interface that only the active lost calls for a graceful switchover")
    func interfaceLost() {
        let world = FailureTests.pair()
        for node in world.nodes { world.give(.link(InterfaceID(0), isUp: true), to: node) }
        world.give(.link(InterfaceID(0), isUp: false), to: world.a)
        #expect(world.run(.milliseconds(200)) { world.b.state == .active })
        #expect(world.said("interface failure"))
    }

    @Test("Memory that ran out is a record, on both at the same index, and no switchover; a standby's is its own business")
    func memoryRanOut() {
        let world = FailureTests.pair()
        let before = world.a.controller.status(at: world.now).lastIndex
        world.give(.memory(.critical), to: world.b)
        world.run(.milliseconds(100))
        #expect(!world.said("no neighbor has routes"))
        world.give(.memory(.critical), to: world.a)
        world.run(.milliseconds(300))
        #expect(world.a.state == .active)
        #expect(world.isRedundant)
        #expect(world.said("no neighbor has routes"))
        #expect(world.a.controller.status(at: world.now).lastIndex > before)
    }

    private func arpRequest() -> [UInt8] {
        [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 99, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 99, 192, 0, 2, 99]
            + [0, 0, 0, 0, 0, 0, 192, 0, 2, 1]
    }
}
