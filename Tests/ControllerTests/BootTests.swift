import Controller
import Machine
import Records
import Redundancy
import Testing

/// FIG. 10: who is active, and how the other joins.
@Suite struct BootTests {
    @Test("FIG. 10A: of two that boot together A becomes active, B joins and both are redundant")
    func bothBoot() {
        let world = PairWorld()
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant }, "\(world.trace.prefix(30).joined(separator: "\n"))")
        #expect(world.a.state == .active)
        #expect(world.b.state == .standby)
        #expect(world.status(world.a).isAllReady)
        #expect(world.status(world.b).isAllReady)
        #expect(world.a.engine.engine.digest == world.b.engine.engine.digest)
        #expect(world.lease.word.holder == .a)
        #expect(world.lease.isEligible(.b))
    }

    @Test("FIG. 10A: configuration's preference beats the name")
    func preference() {
        let world = PairWorld { $0.isPreferred = $0.id == .b }
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.b.state == .active)
    }

    @Test("FIG. 10A: who was active before keeps mastership")
    func wasActive() {
        let world = PairWorld {
            $0.wasActive = $0.id == .b
            $0.lastEpoch = Epoch(7)
        }
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.b.state == .active)
        #expect(world.b.controller.epoch > Epoch(7))
    }

    @Test("A controller without a twin commits everything at once")
    func single() {
        let world = PairWorld { $0.isSingle = true }
        world.give(.start(failedTests: []), to: world.a)
        world.run(.milliseconds(10))
        #expect(world.a.state == .activeAlone)
        #expect(!world.a.frames.isEmpty, "it announces its address")
        let status = world.status(world.a)
        #expect(status.committedIndex == status.lastIndex)
        #expect(status.parts.map(\.reason) == Array(repeating: "no twin is configured", count: status.parts.count))
    }

    @Test("With the twin away a controller goes first alone after the boot wait, and not before")
    func twinAway() {
        let world = PairWorld()
        world.reconnects = false
        world.isChannelCut = true
        world.b.isAlive = false
        world.start()
        world.run(.milliseconds(190))
        #expect(world.a.state == .booting)
        world.run(.milliseconds(30))
        #expect(world.a.state == .activeAlone)
    }

    @Test("A failed self-test keeps a controller from serving; the twin serves")
    func failedSelfTest() {
        let world = PairWorld()
        world.start(failedTests: [["no permission to capture on lan0"], []])
        world.run(.milliseconds(400))
        #expect(world.a.state == .failed)
        #expect(world.a.frames.isEmpty)
        #expect(world.b.state == .activeAlone)
        #expect(world.said("no permission to capture", by: world.a))
    }

    @Test("FIG. 10B: records that come during the bulk update follow it, none is lost")
    func recordsDuringBulkUpdate() {
        let world = PairWorld()
        world.snapshotDelay = .milliseconds(40)
        world.b.isAlive = false
        world.start()
        world.run(.milliseconds(300))
        #expect(world.a.state == .activeAlone)
        world.restart(world.b)
        world.run(.milliseconds(20))
        for i in 0..<10 { world.ask(world.a, .commit(revision: UInt64(2 + i), PairWorld.router("192.0.2.\(2 + i)"))) }
        #expect(world.run(.seconds(1)) { world.isRedundant })
        world.run(.milliseconds(20))
        #expect(world.b.engine.engine.revision == 11)
        #expect(world.a.engine.engine.digest == world.b.engine.engine.digest)
        #expect(world.b.engine.engine.applied == world.a.engine.engine.applied)
    }

    @Test("DESIGN §6: when the queue behind a bulk update overflows, the join starts again and the router goes on")
    func overflow() {
        let world = PairWorld { $0.queueOctetsMaximum = 1000 }
        world.snapshotDelay = .milliseconds(40)
        world.b.isAlive = false
        world.start()
        world.run(.milliseconds(300))
        world.restart(world.b)
        world.run(.milliseconds(20))
        for i in 0..<10 { world.ask(world.a, .commit(revision: UInt64(2 + i), PairWorld.router("192.0.2.\(2 + i)"))) }
        #expect(world.said("the join starts again", by: world.a))
        #expect(world.a.state == .activeAlone)
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.status(world.a).bulkUpdates == 2)
    }
}

extension ControllerStatus {
    var isAllReady: Bool { !parts.isEmpty && parts.allSatisfy { $0.isReady } }
}
