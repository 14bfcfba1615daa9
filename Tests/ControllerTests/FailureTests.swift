import Engine
import Machine
import Records
import Redundancy
import Testing

@testable import Controller

/// DESIGN §7 and §8: what fails, and what is never allowed to happen meanwhile.
@Suite struct FailureTests {
    /// A redundant pair with A active, after a moment of rest.
    static func pair(arbiter: ArbiterKind = .leasefile, _ change: @escaping (inout ControllerConfiguration) -> Void = { _ in })
        -> PairWorld
    {
        let world = PairWorld(arbiter: arbiter, configure: change)
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant }, "\(world.trace.suffix(20))")
        world.run(.milliseconds(100))
        return world
    }

    @Test("FIG. 7, 22, 27: nothing leaves before the standby has stored the record that caused it")
    func gate() {
        let world = Self.pair()
        world.channelDelay = .milliseconds(5)
        world.run(.milliseconds(20))
        let asked = world.now
        // A new address: announcing it is an effect of the record.
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(9))
        #expect(world.a.engine.engine.revision == 1, "what could kill the engine is with the twin first")
        #expect(world.announcements(of: 9, by: world.a).isEmpty)
        world.run(.milliseconds(3))
        let announced = world.announcements(of: 9, by: world.a)
        #expect(!announced.isEmpty)
        #expect(announced.allSatisfy { $0 - asked >= .milliseconds(10) }, "there and back")
    }

    @Test("FIG. 6B: configured so, the active applies at once, and still sends nothing before the commit")
    func appliesAtOnce() {
        let world = Self.pair { $0.storesBeforeApplying = false }
        world.channelDelay = .milliseconds(5)
        world.run(.milliseconds(20))
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(9))
        #expect(world.a.engine.engine.revision == 2)
        #expect(world.announcements(of: 9, by: world.a).isEmpty)
    }

    @Test("FIG. 15: the standby stores and acknowledges first, and applies no further than the active has")
    func standbyWaits() {
        let world = Self.pair()
        world.a.isHanging = true
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(5))
        let status = world.status(world.b)
        #expect(status.storedIndex == world.status(world.a).lastIndex)
        #expect(status.appliedIndex < status.storedIndex)
        #expect(world.b.engine.engine.revision == 1)
    }

    @Test("FIG. 13: after the active's process dies the standby speaks within a millisecond, in the next epoch")
    func kill() {
        let world = Self.pair()
        let epoch = world.a.controller.epoch
        let died = world.now
        world.kill(world.a)
        #expect(world.run(.milliseconds(10)) { !world.b.frames.isEmpty })
        #expect(world.b.frames[0].at - died < .milliseconds(1))
        #expect(world.b.state == .activeAlone)
        #expect(world.b.controller.epoch > epoch)
        #expect(world.status(world.b).switchovers.last?.outcome == "done")
        #expect(
            world.status(world.b).switchovers.last?.steps.map(\.name).prefix(2) == [
                "1302 the other does not own mastership", "1304 all tasks active",
            ])
        #expect(!world.said("sessions start anew"))
    }

    @Test("A killed controller that comes back joins, and the pair is redundant by itself")
    func rejoin() {
        let world = Self.pair()
        world.kill(world.a)
        world.run(.milliseconds(50))
        world.restart(world.a)
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.b.state == .active)
        #expect(world.a.state == .standby)
        // And the other way round.
        world.kill(world.b)
        #expect(world.run(.milliseconds(10)) { world.a.state == .activeAlone })
        #expect(!world.said("sessions start anew"))
    }

    @Test("DESIGN §7: records that are stored and not applied are applied by the one who takes over")
    func storedRecordsSurvive() {
        let world = Self.pair()
        world.engineDelay = .milliseconds(20)
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(1))
        #expect(world.status(world.b).appliedIndex < world.status(world.b).storedIndex)
        world.engineDelay = .microseconds(20)
        world.kill(world.a)
        world.run(.milliseconds(30))
        #expect(world.b.state == .activeAlone)
        #expect(world.b.engine.engine.revision == 2)
    }

    @Test("DESIGN §8: a frozen active is replaced; when it wakes it sends nothing under the old epoch and rejoins")
    func freeze() {
        let world = Self.pair()
        let epoch = world.a.controller.epoch
        let sent = world.a.frames.count
        let froze = world.now
        world.freeze(world.a)
        #expect(world.run(.milliseconds(200)) { world.b.state.isActive })
        #expect(world.now - froze <= .milliseconds(110))
        #expect(world.b.frames[0].at - froze <= .milliseconds(110))
        // Something is waiting for it when it wakes: an ARP request for the router's address.
        world.broadcast(arpRequest(for: 1), from: nil)
        world.run(.milliseconds(300))
        world.wake(world.a)
        world.run(.milliseconds(5))
        #expect(world.a.frames.count == sent, "not one frame of epoch \(epoch)")
        #expect(!world.a.state.isActive)
        #expect(world.said("stepping down", by: world.a))
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.b.state == .active)
    }

    @Test("A pause that nobody noticed costs nothing: the lease is renewed before anything leaves")
    func shortFreeze() {
        let world = Self.pair()
        let epoch = world.a.controller.epoch
        world.freeze(world.a)
        world.run(.milliseconds(42))
        let before = world.a.frames.count
        world.broadcast(arpRequest(for: 1), from: nil)
        world.run(.milliseconds(1))
        world.wake(world.a)
        world.run(.milliseconds(2))
        #expect(world.a.controller.epoch == epoch)
        #expect(world.a.state.isActive)
        #expect(world.a.frames.count > before, "the ARP request is answered")
    }

    @Test("DESIGN §7: a standby that does not acknowledge is waited for 250 ms, then left behind, and comes back")
    func stalledStandby() {
        let world = Self.pair()
        let asked = world.now
        // Heartbeats pass, acknowledgements do not.
        world.tamper = { from, message in
            if from == .b, case .stored = message { return nil }
            return message
        }
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(240))
        #expect(world.announcements(of: 9, by: world.a).isEmpty)
        #expect(world.a.state == .active)
        world.run(.milliseconds(20))
        #expect(world.a.state == .activeAlone)
        let announced = world.announcements(of: 9, by: world.a)
        #expect(!announced.isEmpty)
        #expect(announced.allSatisfy { $0 - asked >= .milliseconds(250) })
        #expect(!world.lease.isEligible(.b), "it was made ineligible first")
        #expect(world.said("redundancy lost", by: world.a))
        world.tamper = nil
        #expect(world.run(.seconds(1)) { world.isRedundant })
    }

    @Test("A dead standby does not hold up the active, and is replaced when it comes back")
    func deadStandby() {
        let world = Self.pair()
        world.kill(world.b)
        world.run(.milliseconds(1))
        #expect(world.a.state == .activeAlone)
        #expect(!world.lease.isEligible(.b))
        world.restart(world.b)
        #expect(world.run(.seconds(1)) { world.isRedundant })
    }

    @Test("DESIGN §5: different digests are an alarm, take redundancy away and heal by a new bulk update")
    func digestMismatch() {
        let world = Self.pair()
        world.b.isDigestWrong = true
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(2))
        #expect(world.said("redundancy lost, going on alone: digests differ", by: world.a))
        #expect(world.events.contains { $0.event.severity == .alarm && $0.event.message.contains("differs") })
        world.b.isDigestWrong = false
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.status(world.a).digestMismatches >= 1)
        #expect(world.status(world.a).bulkUpdates >= 2)
    }

    @Test("DESIGN §7: the record that a dying gasp names is quarantined, logged, and everything else goes on")
    func quarantine() {
        let world = Self.pair()
        world.a.isHanging = true
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(1))
        let index = LogIndex(world.status(world.a).lastIndex)
        #expect(world.status(world.b).storedIndex == index.value)
        world.crash(world.a, in: index)
        world.run(.milliseconds(20))
        #expect(world.b.state == .activeAlone)
        #expect(world.status(world.b).quarantined == [index.value])
        #expect(world.b.engine.engine.revision == 1, "the poisonous record did not run")
        #expect(world.said("is quarantined", by: world.b))
    }

    @Test("DESIGN §7: an active whose engine hangs names the record, hands over and ends")
    func engineHangs() {
        let world = Self.pair()
        world.a.isHanging = true
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(1))
        let index = LogIndex(world.status(world.a).lastIndex)
        let frames = world.a.frames.count
        world.give(.engineStuck(index), to: world.a)
        world.run(.milliseconds(5))
        #expect(world.a.exits.count == 1)
        #expect(world.a.frames.count == frames)
        #expect(world.b.state == .activeAlone)
        #expect(world.status(world.b).quarantined == [index.value])
        world.restart(world.a)
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(!world.said("sessions start anew"))
    }

    @Test(
        "DESIGN §7: the BFD session whose packet killed a line card is held by the other, and comes back when the pair is redundant"
    )
    func quarantinedSession() {
        let world = Self.pair()
        world.ask(world.a, .commit(revision: 2, PairWorld.watchedRouter(["192.0.2.20", "192.0.2.21"])))
        world.run(.milliseconds(50))
        let before = world.b.engine.engine.bfdSessions.map(\.session)
        #expect(before.count == 2)
        world.crash(world.a, in: LogIndex(1 << 63 | UInt64(before[0].discriminator)))
        world.run(.milliseconds(50))
        #expect(world.b.state == .activeAlone)
        #expect(world.b.controller.lineCardStatus.bfdSessions.map(\.session.peer) == [before[1].peer])
        #expect(world.said("is replaced by a fault of the BFD session", by: world.b))
        world.run(.seconds(20))
        #expect(world.b.controller.lineCardStatus.bfdSessions.count == 1)
        world.restart(world.a)
        #expect(world.run(.seconds(1)) { world.isRedundant })
        world.run(.seconds(3))
        let after = world.b.controller.lineCardStatus.bfdSessions.map(\.session)
        #expect(Set(after.map(\.peer)) == Set(before.map(\.peer)))
        #expect(after.first { $0.peer == before[0].peer }?.discriminator != before[0].discriminator)
    }

    @Test("A gasp that does not carry the twin's token is ignored")
    func forgedGasp() {
        let world = Self.pair()
        var gasp = world.a.gasp!
        gasp[40] ^= 1
        world.give(.datagram(gasp), to: world.b)
        world.give(.datagram([1, 2, 3]), to: world.b)
        world.run(.milliseconds(20))
        #expect(world.isRedundant)
        #expect(world.a.state == .active)
        #expect(world.said("was ignored", by: world.b))
    }

    @Test("DESIGN §8: a stale standby that must take over starts the sessions anew")
    func doubleFailure() {
        let world = Self.pair()
        world.reconnects = false
        // B falls behind: A goes on alone; then A dies too.
        world.closeChannel()
        world.run(.milliseconds(100))
        #expect(world.a.state == .activeAlone)
        #expect(world.b.state != .active)
        world.kill(world.a)
        world.deliver(.channelClosed(reason: "seen dead", isProcessDead: true), to: world.b)
        world.run(.milliseconds(300))
        #expect(world.b.state == .activeAlone)
        #expect(world.said("sessions start anew", by: world.b))
    }

    @Test("Router time does not go back when another controller takes over")
    func routerTime() {
        let world = Self.pair()
        let before = world.a.controller.routerTime(at: world.now)
        world.kill(world.a)
        world.run(.milliseconds(5))
        #expect(world.b.state == .activeAlone)
        let after = world.b.controller.routerTime(at: world.now)
        #expect(after > before + .milliseconds(5))
        #expect(after < before + .milliseconds(50), "and does not leap either")
    }

    @Test("The arbiter is away: the active falls silent when its lease ends, and speaks again when it is back")
    func arbiterAway() {
        let world = Self.pair()
        world.isArbiterDown = true
        world.run(.milliseconds(100))
        let before = world.a.frames.count
        world.broadcast(arpRequest(for: 1), from: nil)
        world.run(.milliseconds(10))
        #expect(world.a.frames.count == before)
        #expect(world.masters == 0)
    }

    @Test("At no instant of a random life are there two masters", arguments: 1...20)
    func neverTwoMasters(seed: UInt64) {
        var random = RandomNumbers(seed: seed)
        let world = PairWorld()
        world.start()
        for round in 0..<40 {
            let node = world.nodes[random.number(in: 0...1)]
            switch random.number(in: 0...9) {
            case 0: if node.isAlive { world.kill(node) }
            case 1: if node.isAlive { node.isFrozen ? world.wake(node) : world.freeze(node) }
            case 2: if node.isAlive { world.closeChannel() }
            case 3, 4: world.ask(node, .switchover(reason: "round \(round)"))
            case 5: world.ask(node, .commit(revision: UInt64(round + 2), PairWorld.router("192.0.2.\(round + 2)")))
            case 6: world.isMuted[random.number(in: 0...1)].toggle()
            default: break
            }
            for _ in 0..<random.number(in: 1...120) {
                world.run(.microseconds(500))
                #expect(world.masters <= 1, "seed \(seed), round \(round) at \(world.now)")
            }
            for node in world.nodes where !node.isAlive && random.chance(1, in: 2) { world.restart(node) }
        }
        // Liveness: a healed world becomes redundant.
        // A transport that swallowed octets cannot go on: what comes next would not fit.
        if world.isMuted.contains(true) {
            world.closeChannel()
            world.run(.milliseconds(1))
        }
        world.isMuted = [false, false]
        for node in world.nodes {
            if node.isFrozen { world.wake(node) }
            if !node.isAlive { world.restart(node) }
        }
        world.connect()
        #expect(world.run(.seconds(5)) { world.isRedundant }, "seed \(seed): \(world.trace.suffix(25).joined(separator: "\n"))")
        world.run(.milliseconds(100))
        #expect(world.a.engine.engine.digest == world.b.engine.engine.digest)
        var epochs: [Epoch] = []
        for node in world.nodes { for frame in node.frames { epochs.append(frame.epoch) } }
        #expect(
            epochs.allSatisfy { epoch in
                !(world.a.frames.contains { $0.epoch == epoch } && world.b.frames.contains { $0.epoch == epoch })
            }, "no epoch is spoken by both")
    }

    /// Somebody asks who has 192.0.2.`last`.
    private func arpRequest(for last: UInt8) -> [UInt8] {
        [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 99, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 99, 192, 0, 2, 99]
            + [0, 0, 0, 0, 0, 0, 192, 0, 2, last]
    }
}

extension FailureTests {
    @Test("A gasp that comes when its copy is the router already says nothing of the copy after it")
    func lateGasp() {
        let world = PairWorld()
        world.start()
        #expect(world.run(.seconds(4)) { world.isRedundant })
        var late = world.a.gasp!
        late[DyingGasp.indexOffset + 7] = 3
        world.kill(world.a)
        #expect(world.run(.seconds(1)) { world.b.state.isActive })
        world.give(.datagram(late), to: world.b)
        #expect(world.said("the twin died in record", by: world.b))
        #expect(world.b.controller.fatal == nil)
        // b gives the router away and follows; then the new active dies, and its gasp is on the way for a moment.
        world.restart(world.a)
        #expect(world.run(.seconds(4)) { world.isRedundant })
        world.ask(world.b, .switchover(reason: "test"))
        #expect(world.run(.seconds(4)) { world.isRedundant && world.a.state == .active })
        #expect(world.b.controller.fatal == nil)
    }

    @Test("A gasp comes more than once, and overtakes the record that it names: the second does not end the wait for it")
    func repeatedGasp() {
        let world = Self.pair()
        let gasp = world.a.gasp!
        let index = LogIndex(world.status(world.b).lastIndex + 1)
        var named = gasp
        for i in 0..<8 { named[DyingGasp.indexOffset + i] = UInt8(truncatingIfNeeded: index.value >> UInt64(56 - 8 * i)) }
        world.channelDelay = .microseconds(400)
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        for _ in 0..<3 { world.deliver(.datagram(named), to: world.b) }
        // What the dead process had sent arrives, and then the end.
        world.run(.microseconds(700))
        world.kill(world.a)
        world.run(.milliseconds(100))
        #expect(world.b.state == .activeAlone)
        #expect(world.status(world.b).quarantined == [index.value], "it came, and was not run")
    }
}
