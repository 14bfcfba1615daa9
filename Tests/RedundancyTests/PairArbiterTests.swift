import Machine
import Records
import Redundancy
import Testing

/// What a controller believes of its copy, from what its twin's beats say.
@Suite struct PairArbiterTests {
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// Controller A, whose copy the holder B has called current since beat 900 of the start with nonce 9.
    struct World {
        var watch = TwinWatch(nonce: 1, interval: .milliseconds(10), lostMaximum: 5)
        var arbiter = PairArbiter(id: .a, lastEpoch: Epoch(3), staleWait: .seconds(3))

        init(at now: Instant) {
            watch.start(at: now)
            watch.vouched(9, at: now)
            hear(start: 9, sequence: 900, flags: [.holds, .countsTwin], at: now)
            arbiter.told(inSync: true, epoch: Epoch(3), from: 900, watch: watch)
        }

        mutating func hear(start: UInt64, sequence: UInt64, epoch: Epoch = Epoch(3), flags: Beat.Flags, at now: Instant) {
            _ = watch.ran(at: now)
            let due = watch.takeDue(at: now, isForced: true)
            let beat = Beat(
                pairID: 1, controller: .b, bootNonce: start, sequence: sequence, echoNonce: 1, echo: due?.sequence ?? 0,
                state: flags.contains(.holds) ? .activeAlone : .syncing, epoch: epoch, flags: flags, clock: now)
            let hearing = watch.hear(beat, on: .link, at: now)
            #expect(hearing == .new || hearing == .newStart)
            arbiter.heard(beat, watch: watch, at: now)
        }
    }

    @Test func `A twin that was started again and holds nothing leaves the router to us, though it counts its beats anew`() {
        var world = World(at: at(1000))
        world.hear(start: 9, sequence: 901, flags: [.holds, .countsTwin], at: at(1010))
        #expect(!world.arbiter.isHeir(world.watch))
        // A handshake vouches for the new process.
        world.watch.vouched(10, at: at(1500))
        world.hear(start: 10, sequence: 1, flags: [], at: at(1510))
        #expect(world.arbiter.isCurrent && world.arbiter.isHeir(world.watch))
    }

    @Test func `A twin that was started again and began the router anew makes our copy stale with its first beat`() {
        var world = World(at: at(1000))
        world.watch.vouched(10, at: at(1500))
        world.hear(start: 10, sequence: 1, epoch: Epoch(5), flags: .holds, at: at(1510))
        #expect(!world.arbiter.isCurrent)
    }

    @Test func `What the same process said before it called our copy current says nothing of it`() {
        var world = World(at: at(1000))
        world.arbiter.told(inSync: true, epoch: Epoch(3), from: 905, watch: world.watch)
        world.hear(start: 9, sequence: 904, flags: .holds, at: at(1010))
        #expect(world.arbiter.isCurrent)
        world.hear(start: 9, sequence: 906, flags: .holds, at: at(1020))
        #expect(!world.arbiter.isCurrent)
    }
}
