import Machine
import Records
import Redundancy
import Testing

/// Links that come and go must cost next to nothing.
@Suite struct PortFlapTests {
    /// A minute in which carriers flap, each with a random phase of 0.1–1 s.
    func flap(_ controllers: [Int], seed: UInt64, seconds: Int = 60, inStep: Bool = false) -> PortWorld {
        var world = PortWorld(talkers: PortWorld.busy(), seed: seed)
        world.run(5000)
        var next = [0, 0]
        world.run(1)
        let end = world.now + seconds * 1000
        var random = RandomNumbers(seed: seed &+ 99)
        while world.now < end {
            let later = world.now + random.number(in: 100...1000)
            for controller in controllers where next[controller] <= world.now {
                world.setCarrier(controller, !world.lines[controller][0].hasCarrier)
                next[controller] = inStep ? later : world.now + random.number(in: 100...1000)
            }
            world.run(1)
        }
        return world
    }

    @Test("A carrier of the active that flaps for a minute costs one change of role", arguments: 0..<2)
    func active(seed: UInt64) {
        let world = flap([0], seed: seed)
        #expect(world.changes.count == 1, "\(world.changes)")
        #expect(world.active == 1)
    }

    @Test("A carrier of the standby that flaps costs none", arguments: 0..<2)
    func standby(seed: UInt64) {
        #expect(flap([1], seed: seed).changes.isEmpty)
    }

    @Test("Both flapping in step, as by a switch that restarts, cost none", arguments: 0..<2)
    func inStep(seed: UInt64) {
        #expect(flap([0, 1], seed: seed, inStep: true).changes.isEmpty)
    }

    @Test("Both flapping, each for itself: they begin together, and nothing changes", arguments: 0..<2)
    func both(seed: UInt64) {
        #expect(flap([0, 1], seed: seed).changes.isEmpty)
    }

    @Test("Heartbeats that flap change no role, on a healthy LAN and on one that is split", arguments: 0..<2)
    func channel(seed: UInt64) {
        var world = PortWorld(talkers: PortWorld.busy(), seed: seed)
        world.run(5000)
        var random = RandomNumbers(seed: seed)
        for i in 0..<120 {
            let isUp = i % 2 == 1
            world.isChannelUp = [isUp, isUp || random.chance(1, in: 2)]
            world.isSplit[0] = i > 60
            world.run(random.number(in: 100...1000)) { $0.isBlamed(0) || $0.isBlamed(1) }
            #expect(!world.isBlamed(0) && !world.isBlamed(1))
        }
        #expect(world.changes.isEmpty)
    }

    @Test("A service link whose input flaps at 0.1–1 s costs one change of role", arguments: 0..<2)
    func grey(seed: UInt64) {
        var world = PortWorld(talkers: PortWorld.busy(), seed: seed)
        world.run(5000)
        var random = RandomNumbers(seed: seed)
        for _ in 0..<110 {
            world.lines[0][0].inward.toggle()
            world.run(random.number(in: 100...1000)) { $0.isBlamed(1) }
            #expect(!world.isBlamed(1))
        }
        #expect(world.changes.count == 1)
    }

    @Test("Two carriers that fail in turn, each good again in between, are followed more and more slowly")
    func inTurn() {
        var world = PortWorld(talkers: PortWorld.busy())
        world.run(5000)
        let began = world.now
        for i in 0..<80 {
            world.setCarrier(i % 2, false)
            world.run(1000)
            world.setCarrier(i % 2, true)
            world.run(2750)
        }
        // 300 s: at 0, 2, 6, 14, 30, 62, 122, 182, 242 s at the earliest.
        #expect((4...9).contains(world.changes.count), "\(world.changes.map { $0.at - began })")
        for (i, pair) in zip(world.changes, world.changes.dropFirst()).enumerated() {
            #expect(pair.1.at - pair.0.at >= min(2000 << i, 60_000) - 20)
        }
    }

    @Test("No change while the twin's copy is not in lock step; the first moment it is, there is one")
    func notReady() {
        var world = PortWorld(talkers: PortWorld.busy())
        world.run(5000)
        world.isTwinReady = false
        world.lines[0][0].inward = false
        world.run(5000)
        #expect(world.isBlamed(0))
        #expect(world.changes.isEmpty)
        world.isTwinReady = true
        world.run(1)
        #expect(world.changes.count == 1)
    }
}
