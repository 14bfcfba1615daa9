import Controller
import Engine
import Machine
import Records
import Redundancy
import Testing
import Wire

/// The table of partitions of Docs/mastership.md, row by row, and what once went wrong.
@Suite struct PairArbiterTests {
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

    @Test("Nothing is cut and the active dies: its host says so, and the standby resumes at once")
    func activeDies() {
        let world = pair()
        let died = world.now
        world.kill(world.a)
        #expect(world.run(.milliseconds(50)) { world.b.state.isActive })
        #expect(world.now - died <= .milliseconds(5))
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
        #expect(
            world.a.frames.count == sent,
            "\(world.a.frames.dropFirst(sent).map { ($0.at, $0.epoch) }) frozen at \(froze); \(world.trace.suffix(30).joined(separator: "\n"))"
        )
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

    @Test("A forged beat neither keeps a standby silent nor makes an active step down")
    func forged() {
        let world = pair()
        let forged = Beat(
            pairID: 77, controller: .b, bootNonce: 5, sequence: 1, state: .activeAlone, epoch: Epoch(1000))
        world.broadcast(forged.frame(key: PairKey(high: 9, low: 9)), from: nil)
        world.run(.milliseconds(50))
        #expect(world.isRedundant)
        #expect(world.a.state == .active)
    }

    // MARK: what once went wrong

    /// Looks every 100 µs: never two speakers.
    private func watchMasters(_ world: PairWorld, for duration: Duration, _ what: String = "") {
        let end = world.now + duration
        while world.now < end {
            world.run(.microseconds(100))
            if world.masters > 1 {
                Issue.record("two speakers \(what)")
                return
            }
        }
    }

    @Test(
        "After a hand-over the old active takes over from the new one, and is not mute a lease later", arguments: [true, false])
    func afterHandOver(isFrozen: Bool) {
        let world = pair()
        world.ask(world.a, .switchover(reason: "test"))
        #expect(world.run(.seconds(1)) { world.isRedundant && world.b.state == .active })
        world.run(.milliseconds(500))
        if isFrozen { world.freeze(world.b) } else { world.kill(world.b) }
        #expect(world.run(.milliseconds(200)) { world.a.state.isActive })
        for _ in 0..<20 {
            world.run(.milliseconds(50))
            #expect(world.a.state == .activeAlone)
            #expect(world.now < world.a.lease.until, "who is the router can speak")
        }
        #expect(!world.said("sessions start anew"))
    }

    @Test("The target of a hand-over dies at any moment: the old active goes on, and can speak")
    func targetDies() {
        for step in 0..<60 {
            let world = pair()
            world.ask(world.a, .switchover(reason: "test"))
            world.run(.microseconds(Int64(50 * step)))
            world.kill(world.b)
            #expect(world.run(.seconds(3)) { world.a.state.isActive }, "step \(step)")
            world.run(.milliseconds(300))
            #expect(world.a.state == .activeAlone, "step \(step)")
            #expect(world.now < world.a.lease.until, "step \(step)")
            #expect(!world.said("sessions start anew"), "step \(step)")
        }
    }

    @Test("A standby whose every cable is out has no vote, and a healthy active is not unseated when it is plugged in again")
    func standbyUnplugged() {
        let world = pair()
        cutChannel(world)
        world.isSegmentCut = true
        world.give(.link(InterfaceID(0), isUp: false), to: world.b)
        world.run(.seconds(5))
        #expect(world.a.state == .activeAlone)
        #expect(!world.b.state.isActive)
        world.isSegmentCut = false
        world.give(.link(InterfaceID(0), isUp: true), to: world.b)
        watchMasters(world, for: .seconds(1))
        #expect(world.a.state == .activeAlone)
        healChannel(world)
        #expect(world.run(.seconds(4)) { world.isRedundant })
        #expect(world.a.state == .active)
        #expect(!world.said("sessions start anew"))
        #expect(!world.said("stepping down"))
    }

    @Test("A standby that slept while the active went on alone and died does not resume its stale copy")
    func sleeper() {
        for sleep: Int64 in [80, 150, 400, 900] {
            let world = pair()
            world.freeze(world.b)
            world.run(.milliseconds(sleep - 20))
            #expect(world.a.state == .activeAlone || sleep < 120)
            let wasAlone = world.a.state == .activeAlone
            world.kill(world.a)
            world.run(.milliseconds(20))
            world.wake(world.b)
            world.run(.milliseconds(500))
            if wasAlone {
                #expect(!world.b.state.isActive || world.said("sessions start anew", by: world.b), "after \(sleep) ms")
            }
        }
    }

    @Test("Only the channel is cut, and the active dies at any moment after: nothing that it committed alone is lost")
    func cutThenDeath() {
        for step in 0..<150 {
            let world = pair()
            cutChannel(world)
            for i in 0..<step {
                // Something to commit, all the time.
                if i % 5 == 0 {
                    world.ask(world.a, .commit(revision: UInt64(2 + i), PairWorld.router("192.0.2.9")), id: UInt64(i))
                }
                world.run(.milliseconds(1))
            }
            let committed = world.status(world.a).committedIndex
            world.answersForTheDead = false
            world.kill(world.a)
            world.run(.milliseconds(300))
            guard world.b.state.isActive, !world.said("sessions start anew", by: world.b) else { continue }
            #expect(world.status(world.b).lastIndex >= committed, "\(step) ms after the cut")
        }
    }

    @Test("Two VLANs on one device: a cut channel alone still makes no two masters")
    func vlans() {
        let interfaces = ["lan", "lan2"].enumerated().map { i, name in
            InterfaceConfiguration(
                name: name, virtualMAC: MACAddress("02:00:00:00:00:01")!, vlan: UInt16(10 * (i + 1)),
                addresses: [.init(address: IPAddress("192.0.\(2 + i).1")!, prefixLength: 24)])
        }
        let router = try! RouterConfiguration(interfaces: interfaces, testing: .init(isEnabled: true)).encoded()
        let world = FailureTests.pair(arbiter: .link) { $0.initialConfiguration = (1, router) }
        cutChannel(world)
        watchMasters(world, for: .milliseconds(600))
        #expect(world.a.state == .activeAlone)
        #expect(world.b.state == .syncing)
    }

    @Test("A twin that remembers a greater epoch joins: the active raises its own above it")
    func lowerEpoch() {
        let world = pair()
        world.kill(world.b)
        world.run(.milliseconds(100))
        world.b.lastEpoch = Epoch(1000)
        world.restart(world.b)
        #expect(world.run(.seconds(3)) { world.isRedundant })
        #expect(world.a.controller.epoch > Epoch(1000))
        #expect(world.a.state == .active)
    }

    @Test("Recordings of an earlier start are worth nothing: a take-over is not delayed by them")
    func recordings() {
        let world = pair()
        cutChannel(world)
        world.run(.milliseconds(100))
        let recorded = world.b.heard.filter { frame in Beat.isOne(frame.span.bytes) }
        #expect(recorded.count > 3)
        healChannel(world)
        #expect(world.run(.seconds(4)) { world.isRedundant })
        world.kill(world.a)
        world.run(.milliseconds(100))
        world.restart(world.a)
        #expect(world.run(.seconds(4)) { world.isRedundant && world.b.state == .active })
        world.ask(world.b, .switchover(reason: "back"))
        #expect(world.run(.seconds(4)) { world.isRedundant && world.a.state == .active })
        world.answersForTheDead = false
        world.kill(world.a)
        let died = world.now
        while world.now - died < .milliseconds(120), !world.b.state.isActive {
            for frame in recorded.prefix(3) { world.broadcast(frame, from: nil) }
            world.run(.milliseconds(5))
        }
        #expect(world.b.state.isActive)
        #expect(world.now - died <= .milliseconds(100))
    }

    @Test("A frame from our own address that neither controller sent: the active stays and says so, a starter stays silent")
    func stranger() {
        let world = pair()
        var frame: [UInt8] = [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6]
        frame += Array(repeating: 0, count: 46)
        world.run(.seconds(2))
        world.broadcast(frame, from: nil)
        world.run(.milliseconds(50))
        #expect(world.a.state == .active)
        #expect(world.said("another host speaks as this router", by: world.a))
        #expect(!world.said("another host", by: world.b))
    }

    @Test("The last frames of who lets the router go are no stranger's")
    func lastFrames() {
        let world = pair()
        var frame: [UInt8] = [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6]
        frame += Array(repeating: 0, count: 46)
        world.run(.seconds(2))
        world.ask(world.a, .switchover(reason: "test"))
        // What a had sent is on its way while it says that it holds no more, and afterwards.
        let end = world.now + .milliseconds(900)
        while world.now < end {
            world.broadcast(frame, from: .a)
            world.run(.milliseconds(1))
            #expect(!world.status(world.b).warnings.contains { $0.contains("another host") })
        }
        #expect(world.b.state == .active)
        #expect(!world.said("another host"))
    }

    @Test("A third controller made from the twin's files comes over the redundancy link: the twin is heard, so it is refused")
    func clone() {
        for isActives in [true, false] {
            let world = pair()
            world.run(.seconds(2))
            let (victim, twin) = isActives ? (world.a, world.b) : (world.b, world.a)
            let epoch = world.a.controller.epoch
            // The host gives it the place of the channel that is open, and in every word it is the twin.
            let copy = Hello(
                routerName: "r1", pairID: 77, controller: twin.id, state: .booting, epoch: .zero, wasActive: false,
                isPreferred: true, bootNonce: 4711, configuration: .none, gaspToken: DyingGasp.Token(high: 1, low: 2),
                keyShare: PairKey(high: 3, low: 4), arbiter: .link, schemas: Controller.schemas)
            world.closeChannel("another connection")
            world.run(.milliseconds(2))
            world.deliver(.channelOpened, to: victim)
            world.deliver(.channelReceived(ChannelMessage.hello(copy).encoded()), to: victim)
            watchMasters(world, for: .milliseconds(300))
            #expect(world.said("is a third controller running from a copy of its files?", by: victim))
            #expect(world.a.state.isActive)
            #expect(world.a.controller.epoch == epoch)
            #expect(world.run(.seconds(5)) { world.isRedundant })
        }
    }

    @Test("The channel is replaced by a new one at once: what follows from the end of the old one does not close it")
    func replaced() {
        let world = pair()
        world.run(.seconds(2))
        world.reconnects = false
        world.closeChannel("another connection")
        world.run(.milliseconds(2))
        world.connect()
        #expect(world.run(.seconds(2)) { world.isRedundant })
        world.run(.seconds(1))
        #expect(world.isChannelUp)
        #expect(world.isRedundant)
    }

    @Test("A controller with another key boots beside a healthy router: it hears the router answer, stays silent and says why")
    func wrongKey() {
        let world = pair()
        world.kill(world.b)
        world.run(.milliseconds(300))
        // Its channel is refused and its beats mean nothing to the other.
        world.reconnects = false
        world.isChannelCut = true
        world.b.key = PairKey(high: 5, low: 6)
        world.restart(world.b)
        watchMasters(world, for: .seconds(8))
        #expect(world.a.state == .activeAlone)
        #expect(!world.b.state.isActive)
        #expect(world.said("it is not the twin as configured here", by: world.b))
        // The real one is gone: somebody has to be the router.
        world.kill(world.a)
        #expect(world.run(.seconds(10)) { world.b.state.isActive })
    }

    @Test("The channel is lost at any moment of a hand-over: never two speakers, and one router in the end")
    func cutMidway() {
        for step in 0..<80 {
            let world = pair()
            world.ask(world.a, .switchover(reason: "test"))
            world.run(.microseconds(Int64(40 * step)))
            cutChannel(world)
            watchMasters(world, for: .milliseconds(400), "\(40 * step) us into the hand-over")
            world.run(.seconds(2))
            #expect(world.masters == 1, "step \(step)")
            healChannel(world)
            #expect(world.run(.seconds(5)) { world.isRedundant }, "step \(step)")
            #expect(!world.said("sessions start anew"), "step \(step)")
        }
    }

    @Test("The standby stumbles before, in or after a hand-over: it resumes, or the old active goes on, and no session is lost")
    func stumblesInHandOver() {
        // From so long before the order on, for so long.
        for pause: Int64 in [18, 25, 45] {
            for offset: Int64 in stride(from: -pause * 1000, through: 3_000, by: 700) {
                let world = pair()
                func handOver() { world.ask(world.a, .switchover(reason: "test")) }
                if offset >= 0 {
                    handOver()
                    if offset > 0 { world.run(.microseconds(offset)) }
                    world.freeze(world.b)
                    world.run(.milliseconds(pause))
                    world.wake(world.b)
                } else {
                    world.freeze(world.b)
                    world.run(.microseconds(-offset))
                    handOver()
                    world.run(.microseconds(pause * 1000 + offset))
                    world.wake(world.b)
                }
                for _ in 0..<400 {
                    world.run(.microseconds(500))
                    #expect(world.masters <= 1, "\(pause) ms, \(offset) us")
                }
                #expect(world.run(.seconds(2)) { world.isRedundant }, "\(pause) ms, \(offset) us")
                #expect(
                    !world.said("sessions start anew"),
                    "\(pause) ms, \(offset) us; \(world.trace.suffix(30).joined(separator: "\n"))")
            }
        }
    }

    @Test("Both freeze and wake together: never two speakers, and nothing changes hands")
    func bothFreeze() {
        for length: Int64 in [30, 60, 200, 1000] {
            let world = pair()
            world.freeze(world.a)
            world.freeze(world.b)
            world.run(.milliseconds(length))
            world.wake(length % 3 == 0 ? world.b : world.a)
            world.wake(world.a)
            world.wake(world.b)
            watchMasters(world, for: .milliseconds(400), "after \(length) ms")
            #expect(world.run(.seconds(4)) { world.isRedundant })
            #expect(!world.said("sessions start anew"))
        }
    }

    @Test("Lease file, channel cut, the active stumbles: the stale twin waits, and no session is lost")
    func staleTwinIsSlow() {
        let world = FailureTests.pair()
        cutChannel(world)
        world.run(.milliseconds(600))
        #expect(world.a.state == .activeAlone)
        world.freeze(world.a)
        world.run(.milliseconds(120))
        world.wake(world.a)
        world.run(.milliseconds(500))
        #expect(world.a.state == .activeAlone)
        #expect(!world.b.state.isActive)
        #expect(!world.said("sessions start anew"))
    }

    @Test("Datagrams of the redundancy link are lost, one in twenty: the pair stays redundant")
    func lossyLink() {
        let world = pair()
        var random = RandomNumbers(seed: 5)
        world.losesDatagram = { random.chance(5, in: 100) }
        for _ in 0..<200 {
            world.run(.milliseconds(50))
            #expect(world.isRedundant)
        }
        #expect(!world.said("redundancy lost"))
    }
}
