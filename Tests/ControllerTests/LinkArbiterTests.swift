import Controller
import Machine
import Records
import Redundancy
import Testing

/// `LinkArbiter`'s table of partitions, row by row.
@Suite struct LinkArbiterTests {
    private func pair() -> PairWorld { FailureTests.pair(arbiter: .link) }

    /// The channel swallows everything and nobody is told.
    private func cutChannel(_ world: PairWorld) {
        world.isMuted = [true, true]
        world.isChannelCut = true
    }
    private func healChannel(_ world: PairWorld) {
        world.isMuted = [false, false]
        world.isChannelCut = false
        world.connect()
    }

    @Test("Nothing is cut and the active dies: the standby resumes within two advertisements")
    func activeDies() {
        let world = pair()
        let died = world.now
        world.kill(world.a)
        #expect(world.run(.milliseconds(50)) { world.b.state.isActive })
        #expect(world.now - died <= .milliseconds(12))
        #expect(!world.said("sessions start anew"))
        world.restart(world.a)
        #expect(world.run(.seconds(1)) { world.isRedundant })
    }

    @Test("Nothing is cut and the active freezes: never two masters, and the sleeper says nothing when it wakes")
    func activeFreezes() {
        let world = pair()
        let sent = world.a.frames.count
        let froze = world.now
        world.freeze(world.a)
        while world.now - froze < .milliseconds(300) {
            world.run(.microseconds(500))
            #expect(world.masters <= 1)
        }
        #expect(world.b.state.isActive)
        #expect(world.b.frames[0].at - froze <= .milliseconds(120))
        world.wake(world.a)
        for _ in 0..<200 {
            world.run(.microseconds(500))
            #expect(world.masters <= 1)
        }
        #expect(world.a.frames.count == sent)
        #expect(world.run(.seconds(2)) { world.isRedundant })
        #expect(!world.said("sessions start anew"))
    }

    @Test("Only the channel is cut: the active goes on alone, the standby stays silent and becomes stale, and joins again")
    func channelOnly() {
        let world = pair()
        cutChannel(world)
        for _ in 0..<1000 {
            world.run(.microseconds(500))
            #expect(world.masters <= 1)
            #expect(!world.b.state.isActive)
        }
        #expect(world.a.state == .activeAlone)
        #expect(world.b.state == .syncing)
        // What A does now is known to A alone; B must not resume after it.
        world.ask(world.a, .commit(revision: 2, PairWorld.router("192.0.2.9")))
        world.run(.milliseconds(5))
        #expect(!world.announcements(of: 9, by: world.a).isEmpty)
        healChannel(world)
        #expect(world.run(.seconds(2)) { world.isRedundant })
        #expect(world.a.state == .active)
        #expect(world.b.engine.engine.revision == 2)
    }

    @Test("Channel and segment are cut: two masters, each on its side; when the cut heals the lower epoch steps down")
    func everything() {
        let world = pair()
        cutChannel(world)
        world.isSegmentCut = true
        world.run(.milliseconds(400))
        #expect(world.a.state == .activeAlone)
        #expect(world.b.state == .activeAlone)
        #expect(world.a.controller.epoch != world.b.controller.epoch)
        world.isSegmentCut = false
        world.run(.milliseconds(50))
        #expect(world.masters == 1)
        #expect(world.b.state.isActive, "the higher epoch stays")
        healChannel(world)
        #expect(world.run(.seconds(2)) { world.isRedundant })
    }

    @Test("The segment is cut and the channel lives: nothing happens")
    func segmentOnly() {
        let world = pair()
        world.isSegmentCut = true
        world.run(.milliseconds(500))
        #expect(world.isRedundant)
        #expect(world.a.state == .active)
    }

    @Test("A graceful switchover needs no third party")
    func graceful() {
        let world = pair()
        for i in 0..<10 {
            let active = i % 2 == 0 ? world.a : world.b
            world.ask(active, .switchover(reason: "\(i)"), id: UInt64(i))
            for _ in 0..<100 {
                world.run(.microseconds(500))
                #expect(world.masters <= 1)
            }
            #expect(world.isRedundant && !active.state.isActive, "switchover \(i)")
        }
        #expect(!world.said("sessions start anew"))
    }

    @Test("A forged advertisement neither keeps a standby silent nor makes an active step down")
    func forged() {
        let world = pair()
        let forged = Advertisement(
            pairID: 77, controller: .b, state: .activeAlone, isTwinEligible: false, epoch: Epoch(1000), bootNonce: 5,
            sequence: 1)
        world.broadcast(forged.frame(key: Advertisement.Key(high: 9, low: 9)), from: nil)
        world.run(.milliseconds(50))
        #expect(world.isRedundant)
        #expect(world.a.state == .active)
    }
}
