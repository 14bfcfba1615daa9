import Machine
import Records
import Redundancy
import Testing
import Witness

@Suite struct WitnessStateTests {
    let lease = Duration.seconds(1)
    func resume(_ least: UInt64) -> ArbiterRequest { .acquire(atLeast: Epoch(least), isResuming: true) }
    func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: milliseconds * 1_000_000) }

    /// A witness and the clients of two of its pairs, with counters as their queues have.
    struct World {
        var state: WitnessState
        var numbers: [WitnessState.Client: UInt64] = [:]
        var lease = Duration.seconds(1)

        init(found: [WitnessRecord?] = [nil, nil], isLost: Bool = false, at now: Instant = .zero) {
            state = WitnessState(
                names: ["r1", "r2"], found: found, lost: [isLost, isLost], leaseMaximum: .seconds(10), at: now)
        }
        static func client(_ pair: Int, _ controller: ControllerID) -> WitnessState.Client {
            .init(pair: pair, controller: controller)
        }
        static func session(_ client: WitnessState.Client) -> UInt64 {
            UInt64(client.pair * 10) + UInt64(client.controller.rawValue) + 1
        }

        mutating func hello(_ pair: Int, _ id: ControllerID, session: UInt64? = nil, isFirst: Bool = true, at now: Instant) {
            let client = Self.client(pair, id)
            _ = state.hello(client, session: session ?? Self.session(client), lease: lease, isFirst: isFirst, at: now)
        }
        mutating func ask(
            _ pair: Int, _ id: ControllerID, _ request: ArbiterRequest, hint: Bool = false, at now: Instant
        ) -> VoteAnswer? {
            let client = Self.client(pair, id)
            numbers[client, default: 0] += 1
            return again(pair, id, request, hint: hint, at: now)
        }
        mutating func again(
            _ pair: Int, _ id: ControllerID, _ request: ArbiterRequest, hint: Bool = false, at now: Instant
        ) -> VoteAnswer? {
            let client = Self.client(pair, id)
            let reply = state.ask(
                client, session: Self.session(client), number: numbers[client] ?? 1, request, isTwinEligible: hint, at: now)
            guard case .answer(_, let answer) = reply.answer else { return nil }
            return answer
        }
        /// What is on the disk, in a new process.
        func restarted(isLost: Bool = false, at now: Instant) -> World {
            var next = World(found: isLost ? [nil, nil] : state.records.map { $0 }, isLost: isLost, at: now)
            next.numbers = numbers
            return next
        }
    }

    func pair() -> World {
        var world = World()
        world.hello(0, .a, at: at(0))
        world.hello(0, .b, at: at(0))
        #expect(world.ask(0, .a, .acquire(atLeast: .zero), at: at(0)) == .granted(Epoch(1), lease: lease, mayResume: false))
        #expect(world.ask(0, .a, .setTwinEligible(Epoch(1), true), at: at(0)) == .twinEligibility(Epoch(1), true))
        return world
    }

    @Test func `A twin whose copy is current is granted mastership at once, a stale one when the lease has run out`() {
        var world = pair()
        var stale = world
        #expect(world.ask(0, .b, resume(1), at: at(10)) == .granted(Epoch(2), lease: lease, mayResume: true))
        #expect(world.ask(0, .a, .renew(Epoch(1)), at: at(11)) == .lost(Epoch(2)))
        _ = stale.ask(0, .a, .setTwinEligible(Epoch(1), false), at: at(5))
        #expect(stale.ask(0, .b, resume(1), at: at(10)) == .notCurrent(Epoch(1)))
        #expect(
            stale.ask(0, .b, .acquire(atLeast: Epoch(1)), at: at(10))
                == .denied(holder: .a, Epoch(1), retryAfter: .milliseconds(990)))
        #expect(
            stale.ask(0, .b, .acquire(atLeast: Epoch(1)), at: at(1000))
                == .granted(Epoch(2), lease: lease, mayResume: false))
    }

    @Test func `One pair knows nothing of another`() {
        var world = pair()
        world.hello(1, .b, at: at(0))
        let before = world.state.records[0]
        #expect(world.ask(1, .b, .acquire(atLeast: .zero), at: at(1)) == .granted(Epoch(1), lease: lease, mayResume: false))
        #expect(world.ask(1, .b, .release(Epoch(1)), at: at(1)) == .released(Epoch(1)))
        #expect(world.state.records[0] == before)
    }

    @Test func `A new process of a controller knows nothing, and the one before it is refused`() {
        var world = pair()
        world.hello(0, .b, session: 99, at: at(5))
        #expect(world.ask(0, .b, .acquire(atLeast: .zero), at: at(6)) == nil, "the session before")
        #expect(!world.state.records[0].word[isCurrent: .b])
    }

    @Test func `The same process on a new connection is the same`() {
        var world = pair()
        world.hello(0, .b, isFirst: false, at: at(5))
        #expect(world.state.records[0].word[isCurrent: .b])
        world.hello(0, .b, isFirst: true, at: at(5))
        #expect(world.state.records[0].word[isCurrent: .b], "its welcome was lost")
    }

    @Test func `A grant that is asked for again is the same grant, as long as it holds`() {
        var world = pair()
        #expect(world.ask(0, .b, resume(1), at: at(10)) == .granted(Epoch(2), lease: lease, mayResume: true))
        #expect(world.again(0, .b, resume(1), at: at(50)) == .granted(Epoch(2), lease: lease, mayResume: true))
        #expect(world.state.records[0].word.epoch == Epoch(2))
        // The holder says that its twin's copy is current, and the twin takes over.
        _ = world.ask(0, .b, .setTwinEligible(Epoch(2), true), at: at(60))
        var late = world
        #expect(world.ask(0, .a, resume(2), at: at(70)) == .granted(Epoch(3), lease: lease, mayResume: true))
        late = world
        late.numbers[World.client(0, .b)]! -= 1
        #expect(late.again(0, .b, resume(1), at: at(80)) == nil, "an older request than the last one")
    }

    @Test func `A release that is asked for again is not carried out twice`() {
        var world = pair()
        #expect(world.ask(0, .a, .release(Epoch(1)), at: at(10)) == .released(Epoch(1)))
        #expect(world.ask(0, .b, resume(1), at: at(11)) == .granted(Epoch(2), lease: lease, mayResume: true))
        #expect(world.again(0, .a, .release(Epoch(1)), at: at(12)) == .released(Epoch(1)))
        #expect(world.state.records[0].word.holder == .b)
    }

    @Test func `After a restart with its file words are as before, and every lease may just have begun`() {
        var world = pair()
        _ = world.ask(0, .a, .setTwinEligible(Epoch(1), false), at: at(1))
        world = world.restarted(at: at(900))
        #expect(
            world.ask(0, .b, .acquire(atLeast: .zero), at: at(1100))
                == .denied(holder: .a, Epoch(1), retryAfter: .milliseconds(800)))
        #expect(world.ask(0, .a, .renew(Epoch(1)), at: at(1200)) == .renewed(Epoch(1), lease: lease))
    }

    @Test func `A released mastership stays reserved over a restart`() {
        var world = pair()
        _ = world.ask(0, .a, .release(Epoch(1)), at: at(1))
        world = world.restarted(at: at(900))
        #expect(
            world.ask(0, .a, .acquire(atLeast: .zero), at: at(1100))
                == .denied(holder: nil, Epoch(1), retryAfter: .milliseconds(800)))
        #expect(world.ask(0, .b, .acquire(atLeast: .zero), at: at(1100)) == .granted(Epoch(2), lease: lease, mayResume: true))
    }

    @Test func `A witness that lost its file grants nothing for longer than the longest lease`() {
        var world = World(isLost: true, at: at(0))
        world.hello(0, .b, at: at(0))
        let silence = WitnessState.silence(.seconds(10))
        #expect(silence > .seconds(10))
        #expect(world.ask(0, .b, .acquire(atLeast: Epoch(5)), at: at(0)) == .denied(holder: nil, .zero, retryAfter: silence))
        #expect(
            world.ask(0, .b, .acquire(atLeast: Epoch(5)), at: .zero + silence)
                == .granted(Epoch(6), lease: lease, mayResume: false))
    }

    @Test func `A witness that lost its file adopts the holder that renews, with what it knows of its twin`() {
        var world = pair().restarted(isLost: true, at: at(100))
        world.hello(0, .a, isFirst: false, at: at(100))
        #expect(world.ask(0, .a, .renew(Epoch(1)), hint: true, at: at(101)) == .renewed(Epoch(1), lease: lease))
        world.hello(0, .b, isFirst: false, at: at(102))
        #expect(world.state.records[0].word[isCurrent: .b])
        #expect(world.ask(0, .b, .renew(Epoch(1)), hint: true, at: at(103)) == .lost(Epoch(1)))
        // Of two that claim it, the higher epoch is the later one.
        #expect(world.ask(0, .b, .renew(Epoch(2)), hint: false, at: at(104)) == .renewed(Epoch(2), lease: lease))
        #expect(world.ask(0, .a, .renew(Epoch(1)), hint: true, at: at(105)) == .lost(Epoch(2)))
    }

    @Test func `A witness that lost its file lets the holder that it adopted hand over, and nobody else take over`() {
        var world = pair().restarted(isLost: true, at: at(100))
        world.hello(0, .a, isFirst: false, at: at(100))
        world.hello(0, .b, isFirst: false, at: at(101))
        _ = world.ask(0, .a, .renew(Epoch(1)), hint: true, at: at(102))
        let silence = WitnessState.silence(.seconds(10))
        #expect(
            world.ask(0, .b, resume(1), at: at(103))
                == .denied(holder: .a, Epoch(1), retryAfter: silence - .milliseconds(3)), "the holder has not let it go")
        #expect(world.ask(0, .a, .release(Epoch(1)), at: at(104)) == .released(Epoch(1)))
        #expect(world.ask(0, .b, resume(1), at: at(105)) == .granted(Epoch(2), lease: lease, mayResume: true))
        #expect(world.ask(0, .a, .renew(Epoch(1)), hint: true, at: at(106)) == .lost(Epoch(2)))
    }

    @Test func `A twin that reaches the witness after its copy was called current is the one that the holder means`() {
        var world = World()
        world.hello(0, .a, at: at(0))
        _ = world.ask(0, .a, .acquire(atLeast: .zero), at: at(0))
        _ = world.ask(0, .a, .setTwinEligible(Epoch(1), true), at: at(0))
        world.hello(0, .b, at: at(1))
        #expect(world.ask(0, .b, resume(1), at: at(2)) == .notCurrent(Epoch(1)))
        _ = world.ask(0, .a, .renew(Epoch(1)), hint: true, at: at(3))
        #expect(world.ask(0, .b, resume(1), at: at(4)) == .granted(Epoch(2), lease: lease, mayResume: true))
    }

    @Test func `A process that knows nothing does not overtake a lease, whatever is said of its copy`() {
        var world = pair()
        _ = world.ask(0, .a, .renew(Epoch(1)), hint: true, at: at(3))
        #expect(
            world.ask(0, .b, .acquire(atLeast: Epoch(1)), at: at(10))
                == .denied(holder: .a, Epoch(1), retryAfter: .milliseconds(993)))
    }

    @Test func `Who released mastership and wants it back from a silent twin gets it, and then the twin does not`() {
        var world = pair()
        _ = world.ask(0, .a, .release(Epoch(1)), at: at(1))
        #expect(world.ask(0, .a, resume(1), at: at(60)) == .granted(Epoch(2), lease: lease, mayResume: true))
        #expect(world.ask(0, .b, resume(1), at: at(61)) == .notCurrent(Epoch(2)))
    }

    @Test func `A witness with its file adopts nobody`() {
        var world = pair()
        #expect(world.ask(0, .b, .renew(Epoch(9)), hint: true, at: at(5)) == .lost(Epoch(1)))
    }

    @Test func `What changes nothing needs no disk`() {
        var world = pair()
        let client = World.client(0, .a)
        let renewal = world.state.ask(
            client, session: World.session(client), number: 3, .renew(Epoch(1)), isTwinEligible: true, at: at(5))
        #expect(!renewal.isChanged)
        let change = world.state.ask(
            client, session: World.session(client), number: 4, .setTwinEligible(Epoch(1), false), isTwinEligible: false, at: at(5)
        )
        #expect(change.isChanged)
    }
}
