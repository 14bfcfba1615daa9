import Controller
import Engine
import Machine
import Records
import Redundancy
import Testing

/// What was in force last comes back, and nothing older does (DESIGN §13).
@Suite struct ConfigurationTests {
    static let old = PairWorld.router("192.0.2.1")
    static let new = PairWorld.router("192.0.2.9")

    private func position(_ epoch: UInt64, _ index: UInt64, _ revision: UInt64) -> ConfigurationPosition {
        ConfigurationPosition(epoch: Epoch(epoch), index: LogIndex(index), revision: revision)
    }

    @Test func `after a cold start of both the later configuration is in force, not the one with the greater number`() {
        // A counted up to 30 in epoch 4, then B went on alone and was given revision 12 in epoch 5.
        let world = PairWorld {
            $0.lastEpoch = Epoch($0.id == .a ? 4 : 5)
            $0.initialConfiguration = $0.id == .a ? (30, Self.old) : (12, Self.new)
            $0.initialPosition = $0.id == .a ? self.position(4, 900, 30) : self.position(5, 2, 12)
            $0.isPreferred = $0.id == .a
        }
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.b.state == .active)
        #expect(world.a.engine.engine.revision == 12)
        #expect(world.a.engine.engine.configuration == world.b.engine.engine.configuration)
    }

    @Test func `both controllers say at which position a configuration came into force`() {
        let world = PairWorld()
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        world.ask(world.a, .commit(revision: 2, Self.new))
        world.run(.milliseconds(20))
        #expect(world.a.configured.map(\.revision) == [1, 2])
        #expect(world.a.configured.last == world.b.configured.last)
        #expect(world.a.configured.last?.epoch == world.a.controller.epoch)
        #expect(world.a.configured[0] < world.a.configured[1])
    }

    @Test func `a configuration is not said to be in force before the standby has stored it`() {
        let world = PairWorld()
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        world.isMuted[0] = true
        world.ask(world.a, .commit(revision: 2, Self.new))
        world.run(.milliseconds(10))
        #expect(world.a.configured.map(\.revision) == [1])
        // The active goes on alone: then it is in force here.
        world.run(.seconds(1))
        #expect(world.a.configured.map(\.revision) == [1, 2])
    }

    @Test func `a configuration that kills the engine is never said to be in force on the controller that died of it`() {
        let world = PairWorld()
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        world.a.isHanging = true
        world.ask(world.a, .commit(revision: 2, Self.new))
        world.run(.milliseconds(10))
        let fatal = LogIndex(world.status(world.a).lastIndex)
        #expect(world.a.configured.map(\.revision) == [1])
        world.crash(world.a, in: fatal)
        world.run(.milliseconds(100))
        #expect(world.b.state == .activeAlone)
        #expect(!world.b.configured.contains { $0.revision == 2 })
    }

    @Test func `what was stored and not yet applied when the active died is told to the datastore`() {
        let world = PairWorld()
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        // The standby has stored the record; the active's word that it applied it does not come any more.
        world.tamper = { from, message in
            if case .applied = message, from == .a { return nil }
            return message
        }
        world.ask(world.a, .commit(revision: 2, Self.new))
        world.run(.milliseconds(1))
        world.kill(world.a)
        world.run(.milliseconds(200))
        #expect(world.b.state == .activeAlone)
        #expect(world.b.engine.engine.revision == 2)
        #expect(world.b.configured.last?.revision == 2)
    }

    @Test func `a number that was given is not given again`() {
        let world = PairWorld()
        world.start()
        #expect(world.run(.seconds(1)) { world.isRedundant })
        world.ask(world.a, .commit(revision: 2, Self.new), id: 1)
        world.ask(world.a, .commit(revision: 2, Self.old), id: 2)
        world.run(.milliseconds(20))
        #expect(world.a.answers.contains { $0.0.value == 2 && $0.1 == .refused("number 2 is taken: the newest revision is 2") })
        #expect(world.a.controller.newestRevision == 2)
        #expect(world.b.controller.newestRevision == 2)
        #expect(world.a.engine.engine.configuration == world.b.engine.engine.configuration)
    }

    // MARK: a lost configuration

    /// - Parameters:
    ///   - twinHad: when the other's was in force; it never was, if it is from the router file of a first start.
    private static func lost(
        _ id: ControllerID, twinHad position: ConfigurationPosition = .init(epoch: Epoch(1), index: LogIndex(2), revision: 1)
    ) -> (inout ControllerConfiguration) -> Void {
        {
            guard $0.id == id else { return $0.initialPosition = position }
            $0.initialConfiguration = nil
            $0.hasLostConfiguration = true
        }
    }

    @Test func `a controller that lost its configuration does not become active without its twin`() {
        let world = PairWorld(configure: Self.lost(.a))
        world.b.isAlive = false
        world.isChannelCut = true
        world.start()
        world.run(.seconds(10))
        #expect(world.a.state == .booting)
        #expect(world.a.frames.isEmpty)
        #expect(world.status(world.a).parts.first?.reason.contains("config apply") == true)
        // The twin comes, and with it what was in force.
        world.isChannelCut = false
        world.restart(world.b)
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.b.state == .active)
        #expect(world.a.engine.engine.revision == 1)
        // From now on it has what it needs.
        world.kill(world.b)
        world.run(.milliseconds(200))
        #expect(world.a.state == .activeAlone)
    }

    @Test func `a controller that lost its configuration waits again when the twin goes before the copy is complete`() {
        let world = PairWorld(configure: Self.lost(.a))
        world.snapshotDelay = .seconds(5)
        world.start()
        #expect(world.run(.seconds(1)) { world.b.state == .activeAlone })
        world.run(.milliseconds(50))
        world.kill(world.b)
        world.run(.seconds(10))
        #expect(world.a.state == .booting)
        #expect(world.a.frames.isEmpty)
    }

    @Test func `a copy that was being restored when the twin went is enough to begin with`() {
        let world = PairWorld(configure: Self.lost(.a))
        world.engineDelay = .milliseconds(5)
        world.start()
        let isRestoring = world.run(.seconds(2)) { world.a.works.contains { if case .restore = $0 { true } else { false } } }
        #expect(isRestoring)
        world.kill(world.b)
        #expect(world.run(.seconds(5)) { world.a.state == .activeAlone })
        #expect(world.a.engine.engine.revision == 1)
    }

    @Test func `an operator's configuration ends the wait`() {
        let world = PairWorld(configure: Self.lost(.a))
        world.b.isAlive = false
        world.isChannelCut = true
        world.start()
        world.run(.seconds(1))
        world.ask(world.a, .commit(revision: 8, Self.new))
        world.run(.milliseconds(200))
        #expect(world.a.state == .activeAlone)
        #expect(world.a.engine.engine.revision == 8)
        #expect(world.a.configured.map(\.revision) == [8])
    }

    @Test func `without a twin a controller that lost its configuration begins with none`() {
        let world = PairWorld {
            $0.isSingle = true
            Self.lost(.a)(&$0)
        }
        world.give(.start(failedTests: []), to: world.a)
        world.run(.milliseconds(10))
        #expect(world.a.state == .activeAlone)
        #expect(world.a.engine.engine.revision == 0)
    }

    @Test func `the router file of a first start is not used while the twin knows of a later configuration`() {
        let world = PairWorld(configure: Self.lost(.b, twinHad: .none))
        world.start()
        world.run(.seconds(5))
        #expect(world.a.state == .booting)
        #expect(world.b.state == .booting)
        #expect(world.said("the router file of a first start is not used", by: world.a))
        world.ask(world.b, .commit(revision: 2, Self.new))
        #expect(world.run(.seconds(2)) { world.isRedundant })
        #expect(world.a.engine.engine.revision == 2)
    }

    @Test func `an active says loudly that its twin holds a later configuration, and goes on`() {
        let world = PairWorld {
            $0.lastEpoch = Epoch($0.id == .a ? 1 : 2)
            $0.initialConfiguration = $0.id == .a ? (3, Self.old) : (7, Self.new)
            $0.initialPosition = $0.id == .a ? self.position(1, 2, 3) : self.position(9, 40, 7)
        }
        world.b.isAlive = false
        world.start()
        #expect(world.run(.seconds(1)) { world.a.state == .activeAlone })
        world.restart(world.b)
        world.run(.milliseconds(100))
        #expect(world.said("has revision 7", by: world.a))
        #expect(world.a.engine.engine.revision == 3)
        #expect(world.a.controller.newestRevision == 7)
    }

    @Test func `so it does when its own counts as later only because it began before the twin was there`() {
        let world = PairWorld {
            $0.lastEpoch = Epoch(5)
            $0.initialConfiguration = $0.id == .a ? (7, Self.old) : (8, Self.new)
            $0.initialPosition = $0.id == .a ? self.position(5, 50, 7) : self.position(5, 100, 8)
        }
        world.b.isAlive = false
        world.start()
        #expect(world.run(.seconds(1)) { world.a.state == .activeAlone })
        world.restart(world.b)
        #expect(world.run(.seconds(1)) { world.isRedundant })
        #expect(world.said("has revision 8", by: world.a))
        #expect(world.b.engine.engine.revision == 7)
    }
}
