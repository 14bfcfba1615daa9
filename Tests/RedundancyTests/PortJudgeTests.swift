import Machine
import Records
import Redundancy
import Testing

/// The rows of `PortJudge`'s table, each with its LAN. Controller 0 is the active, unless a row says otherwise.
@Suite struct PortJudgeRowTests {
    typealias Talker = PortWorld.Talker

    /// A world that has learned what is usual.
    func world(_ talkers: [Talker], follows: Bool = false) -> PortWorld {
        var world = PortWorld(talkers: talkers)
        world.follows = follows
        world.run(6000)
        #expect(!world.isBlamed(0) && !world.isBlamed(1))
        #expect(world.changes.isEmpty)
        return world
    }

    func expectNobody(_ world: inout PortWorld, for milliseconds: Int = 20_000, _ comment: Comment? = nil) {
        world.run(milliseconds) { $0.isBlamed(0) || $0.isBlamed(1) }
        #expect(!world.isBlamed(0), comment)
        #expect(!world.isBlamed(1), comment)
        #expect(world.changes.isEmpty, comment)
    }

    @Test("Row 1: a LAN on which nobody speaks, or everybody stopped, is no fault")
    func quiet() {
        var silent = world([])
        #expect(silent.health(0) == PortHealth(inward: .good, outward: .good))
        expectNobody(&silent)
        var stopped = world(PortWorld.busy())
        for i in stopped.talkers.indices { stopped.talkers[i].isSilent = true }
        expectNobody(&stopped)
        #expect(stopped.health(0) == PortHealth(inward: .good, outward: .good))
    }

    @Test("Row 1: a quiet LAN is not called for more than a moment")
    func quietIsCheap() {
        var stopped = world(PortWorld.busy())
        for i in stopped.talkers.indices { stopped.talkers[i].isSilent = true }
        let before = stopped.advertisementsSent
        stopped.run(10_000)
        // Two controllers, ten a second.
        #expect(stopped.advertisementsSent - before < 260)
    }

    @Test("Row 2: an active that loses its input among neighbours that speak only to it hands over within 300 ms")
    func deafAmongUnicast() {
        for interval in [5, 20, 60] {
            var world = world([Talker(kind: .unicast, interval: interval)])
            world.lines[0][0].inward = false
            let found = world.run(1000) { !$0.changes.isEmpty }
            #expect(found < 300, "\(interval) ms: \(found)")
            #expect(world.health(0).inward == .deaf)
            #expect(!world.isBlamed(1))
            let why = world.changes.first?.why ?? ""
            #expect(why.contains("interface 0 does not hear: nothing for"), "\(why)")
        }
    }

    @Test("Row 2: with one BFD session of 300 ms and nothing else it takes less than 800 ms from the last packet")
    func deafWithBFDOnly() {
        for seed in 0..<8 {
            var world = PortWorld(talkers: PortWorld.onlyBFD, seed: UInt64(seed))
            world.follows = false
            world.run(6000 + seed * 37)
            world.lines[0][0].inward = false
            let found = world.run(2000) { !$0.changes.isEmpty }
            #expect(found < 800, "\(found)")
            #expect(!world.isBlamed(1))
        }
    }

    @Test("Row 2: what is usual after the change of role is learned anew, and the port that was deaf stays behind")
    func handsOver() {
        var world = world(PortWorld.busy(), follows: true)
        world.lines[0][0].inward = false
        let found = world.run(1000) { $0.active == 1 }
        #expect(found < 300)
        world.run(30_000)
        #expect(world.active == 1)
        #expect(world.changes.count == 1, "\(world.changes)")
        world.lines[0][0].inward = true
        world.run(30_000)
        #expect(world.health(0) == PortHealth(inward: .good, outward: .good))
        #expect(world.changes.count == 1, "nothing moves back by itself: \(world.changes)")
    }

    @Test("Row 3: a standby that loses its input is found by the groups that the active hears")
    func standbyDeaf() {
        var world = world(PortWorld.busy())
        world.lines[1][0].inward = false
        let found = world.run(5000) { $0.health(1).inward == .deaf }
        #expect(found < 1000)
        expectStays(&world, blamed: 1)
    }

    func expectStays(_ world: inout PortWorld, blamed: Int, for milliseconds: Int = 10_000) {
        world.run(milliseconds) { $0.isBlamed(1 - blamed) }
        #expect(world.isBlamed(blamed))
        #expect(!world.isBlamed(1 - blamed))
    }

    @Test("Row 3: an active cut in both directions is found as soon as neighbours ask for it by groups")
    func cutBothWays() {
        var world = world(PortWorld.busy())
        world.lines[0][0].inward = false
        world.lines[0][0].outward = false
        let found = world.run(5000) { !$0.changes.isEmpty }
        #expect(found < 600, "\(found)")
        #expect(world.health(0).inward == .deaf)
        expectStays(&world, blamed: 0)
    }

    @Test("Row 4: a controller that has heard nobody since its port has carrier is deaf, once the twin heard others")
    func deafFromTheBeginning() {
        var world = PortWorld(talkers: PortWorld.busy())
        world.follows = false
        world.lines[1][0].inward = false
        world.run(4000)
        #expect(world.health(1).inward == .deaf)
        #expect(!world.isBlamed(0))
        var empty = PortWorld()
        empty.lines[1][0].inward = false
        expectNobody(&empty, "where nobody speaks it is not known whose fault it is")
    }

    @Test("Row 5: an active that is not heard is found by its standby, and hands over")
    func mute() {
        var world = world(PortWorld.busy(), follows: true)
        world.lines[0][0].outward = false
        let found = world.run(2000) { $0.active == 1 }
        #expect(found < 600, "\(found)")
        #expect(world.health(0).outward == .mute)
        #expect(world.changes.first?.why.contains("is not heard: the twin hears others") ?? false, "\(world.changes)")
        expectStays(&world, blamed: 0)
        #expect(world.changes.count == 1)
    }

    @Test("Row 5: the same for the standby's output; the active stays")
    func standbyMute() {
        var world = world(PortWorld.busy(), follows: true)
        world.lines[1][0].outward = false
        let found = world.run(2000) { $0.health(1).outward == .mute }
        #expect(found < 600, "\(found)")
        expectStays(&world, blamed: 1)
        #expect(world.changes.isEmpty)
        world.lines[1][0].outward = true
        let healed = world.run(5000) { !$0.isBlamed(1) }
        #expect((2000..<2300).contains(healed), "good for two seconds before it counts")
    }

    @Test("Row 5: a mute port on a LAN whose groups speak once in two seconds is found before BGP's hold time")
    func muteAmongFewGroups() {
        var world = PortWorld(talkers: [
            Talker(side: 0, kind: .unicast, interval: 300), Talker(side: 0, kind: .groupOther, interval: 2000),
        ])
        world.follows = false
        world.run(20_000)
        world.lines[0][0].outward = false
        let found = world.run(9000) { !$0.changes.isEmpty }
        #expect(found < 6000, "\(found)")
        #expect(!world.isBlamed(1))
    }

    @Test("Row 6: a segment that is split behind the switches is nobody's fault")
    func split() {
        var world = world(PortWorld.busy())
        world.isSplit[0] = true
        expectNobody(&world)
    }

    @Test("Row 6: also where the active's half speaks to it alone")
    func splitWithGroupsOnOneSide() {
        var world = world([
            Talker(side: 0, kind: .unicast, interval: 20), Talker(side: 1, kind: .groupIPv4, interval: 100),
            Talker(side: 1, kind: .groupOther, interval: 300),
        ])
        world.isSplit[0] = true
        expectNobody(&world)
    }

    @Test("Row 7: a standby cut in both directions finds itself deaf; nobody calls the active mute")
    func standbyCutBothWays() {
        var world = world(PortWorld.busy())
        world.lines[1][0].inward = false
        world.lines[1][0].outward = false
        world.run(3000) { $0.isBlamed(1) }
        #expect(world.health(1).inward == .deaf)
        expectStays(&world, blamed: 1)
    }

    @Test("Row 8: an active that hears what is sent to it, but no groups, is partly deaf; less than good, more than deaf")
    func noMulticast() {
        var world = world(PortWorld.busy())
        world.lines[0][0].groupsIn = false
        let found = world.run(5000) { !$0.changes.isEmpty }
        #expect(found < 1500, "\(found)")
        #expect(world.health(0).inward == .partlyDeaf)
        #expect(world.health(0).points == 2)
        #expect(!world.isBlamed(1), "the twin is not mute")
        #expect(world.changes.first?.why.contains("hears no groups of") ?? false, "\(world.changes)")
        world.lines[0][0].groupsIn = true
        let healed = world.run(9000) { !$0.isBlamed(0) }
        #expect((2000..<3000).contains(healed))
    }

    @Test("Row 9: where only unicast is usual, a mute standby is not told from lost multicast")
    func muteAmongUnicast() {
        var world = world([Talker(kind: .unicast, interval: 20)])
        world.lines[1][0].outward = false
        expectNobody(&world)
        #expect(world.judges[0].twinHealth(InterfaceID(0), at: world.instant).outward == .unknown)
    }

    @Test("Row 10: on a quiet LAN nobody knows whether the one is mute or the other deaf")
    func ambiguous() {
        for (controller, isInward) in [(0, true), (0, false), (1, true), (1, false)] {
            var world = world([])
            if isInward { world.lines[controller][0].inward = false } else { world.lines[controller][0].outward = false }
            expectNobody(&world)
        }
    }

    @Test("Row 11: a standby that became mute does not make an active deaf whose LAN becomes quiet later, or earlier")
    func order() {
        for isMuteFirst in [true, false] {
            var world = world([Talker(kind: .unicast, interval: 20)])
            if isMuteFirst { world.lines[1][0].outward = false } else { world.talkers[0].isSilent = true }
            expectNobody(&world, for: 1000)
            world.lines[1][0].outward = false
            world.talkers[0].isSilent = true
            expectNobody(&world)
        }
    }

    @Test("Row 12: a segment that died for all is nobody's fault")
    func deadSegment() {
        var world = world(PortWorld.busy())
        for controller in 0...1 {
            world.lines[controller][0].inward = false
            world.lines[controller][0].outward = false
        }
        expectNobody(&world)
    }

    @Test("Row 13: one family that only the twin still hears; it counts, also where the other families go on")
    func oneFamily() {
        for family in 0...2 {
            var world = world(PortWorld.busy())
            world.lines[0][0].familyIn[family] = false
            let found = world.run(9000) { !$0.changes.isEmpty }
            #expect(found < 1500, "family \(family): \(found)")
            #expect(world.health(0).inward == .partlyDeaf)
            #expect(!world.isBlamed(1), "family \(family)")
        }
    }

    @Test("Row 13: a family that ends for both, or that one of them never heard, is no fault")
    func familyOfOne() {
        var world = world(PortWorld.busy())
        for i in world.talkers.indices where world.talkers[i].kind == .groupIPv6 { world.talkers[i].isSilent = true }
        expectNobody(&world)
        var pruned = PortWorld(talkers: PortWorld.busy())
        pruned.lines[1][0].familyIn[1] = false
        expectNobody(&pruned)
    }

    @Test("Row 14: without heartbeats nothing new is found, and no role changes")
    func noHeartbeats() {
        for (a, b) in [(false, false), (true, false)] {
            var world = world(PortWorld.busy(), follows: true)
            world.isChannelUp = [a, b]
            world.run(200)
            world.lines[0][0].inward = false
            world.run(20_000)
            #expect(world.health(0).inward == .unknown)
            #expect(!world.isBlamed(0))
            #expect(world.changes.isEmpty)
            // As soon as the channel is back the fault is found by the groups; it is still there.
            world.isChannelUp = [true, true]
            let found = world.run(3000) { $0.active == 1 }
            #expect(found < 1500, "\(found)")
        }
    }

    @Test("Row 14: an old verdict stays while heartbeats are lost")
    func oldVerdict() {
        var world = world(PortWorld.busy())
        world.lines[0][0].inward = false
        world.run(1000)
        world.isChannelUp = [false, false]
        world.run(5000)
        #expect(world.health(0).inward == .deaf)
        world.lines[0][0].inward = true
        world.run(3000)
        #expect(world.health(0).inward == .good)
    }

    @Test("Row 15: a twin without carrier, or one that does not advertise, is no witness")
    func noWitness() {
        var world = world(PortWorld.busy(), follows: true)
        world.setCarrier(1, false)
        world.run(10_000) { $0.isBlamed(0) }
        #expect(!world.isBlamed(0))
        #expect(world.health(1) == PortHealth(inward: .noCarrier, outward: .unknown))
        var still = PortWorld(talkers: PortWorld.busy())
        still.advertises = [true, false]
        expectNobody(&still)
        still.lines[0][0].inward = false
        still.run(3000)
        #expect(still.health(0).inward == .partlyDeaf, "groups are still compared, and the twin hears our advertisements")
        #expect(!still.isBlamed(1))
    }

    @Test("Row 16: the active's carrier is worth a change of role after the detection time, and two seconds to get well")
    func carrier() {
        var world = world(PortWorld.busy(), follows: true)
        world.setCarrier(0, false)
        let found = world.run(1000) { $0.active == 1 }
        #expect((50...80).contains(found))
        #expect(world.changes.first?.why.contains("interface 0 has no carrier") ?? false)
        world.setCarrier(0, true)
        #expect(world.health(0).inward == .noCarrier)
        let healed = world.run(5000) { !$0.isBlamed(0) }
        #expect((2000...2010).contains(healed))
        #expect(world.changes.count == 1)
    }

    /// A world in which neighbours answer, and say nothing else.
    func quietWorld(_ answerers: [PortWorld.Answerer] = [.init(side: 0), .init(side: 1)]) -> PortWorld {
        var world = world([])
        world.answerers = answerers
        return world
    }

    @Test("Row 17: on a quiet LAN the neighbours' answers say whose port fails, whichever direction it is, within half a second")
    func unanswered() {
        for (controller, isInward) in [(0, true), (0, false), (1, true), (1, false)] {
            var world = quietWorld()
            world.follows = true
            if isInward { world.lines[controller][0].inward = false } else { world.lines[controller][0].outward = false }
            let took = world.run(3000) { $0.isBlamed(controller) }
            #expect(took < 450, "controller \(controller), inward \(isInward): \(took) ms")
            world.run(3000)
            #expect(!world.isBlamed(1 - controller))
            #expect(world.changes.count == (controller == 0 ? 1 : 0), "\(world.changes)")
            #expect(world.active == 1 - controller || controller == 1)
            world.lines[controller][0].inward = true
            world.lines[controller][0].outward = true
            let healed = world.run(9000) { !$0.isBlamed(controller) }
            #expect((1900..<3000).contains(healed), "well again after \(healed) ms")
        }
    }

    @Test("Row 17: neighbours or a segment that die for both are nobody's fault, at any moment of being asked")
    func deadNeighbours() {
        for moment in 0..<150 {
            var world = quietWorld()
            // Something makes both ask.
            world.isSplit[0] = true
            world.run(moment)
            for i in world.answerers.indices { world.answerers[i].isDead = true }
            expectNobody(&world, for: 3000, "neighbours that died after \(moment) ms")
        }
    }

    @Test("Row 17: a split segment with neighbours on either side is nobody's fault, and neighbours are not asked for ever")
    func splitAnswered() {
        var world = quietWorld()
        world.isSplit[0] = true
        expectNobody(&world, for: 5000)
        #expect((20...150).contains(world.questionsAsked), "\(world.questionsAsked)")
    }

    @Test("Row 17: three frames of a hundred are lost, and nobody is blamed", arguments: 1...10 as ClosedRange<UInt64>)
    func lossyAnswers(seed: UInt64) {
        var world = PortWorld(talkers: [], seed: seed)
        world.answerers = [.init(), .init()]
        world.lossPerMille = 30
        expectNobody(&world, for: 60_000)
    }

    @Test("VLANs of a device are ports of their own: one of them deaf is one of two")
    func oneVLAN() {
        var world = PortWorld(ports: 2, talkers: PortWorld.busy(0) + PortWorld.busy(1))
        world.judges[0].names = ["lan0", "lan0.7"]
        world.run(6000)
        world.lines[0][1].inward = false
        let found = world.run(1000) { $0.active == 1 }
        #expect(found < 300)
        #expect(!world.isBlamed(0, port: 0))
        #expect(world.isBlamed(0, port: 1))
        let why = world.changes[0].why
        #expect(
            why.hasPrefix("1 of 2 ports work here, 2 of 2 ports work there; port lan0.7 (interface 1) does not hear"), "\(why)")
    }

    @Test("Equal sums change nothing: each has one port that does not work")
    func ties() {
        var world = PortWorld(ports: 2, talkers: PortWorld.busy(0) + PortWorld.busy(1))
        world.run(6000)
        world.lines[1][1].inward = false
        world.run(3000)
        world.lines[0][0].inward = false
        world.run(10_000)
        #expect(world.isBlamed(0, port: 0) && world.isBlamed(1, port: 1))
        #expect(world.changes.isEmpty)
        #expect(world.judges[0].comparison(at: world.instant).better == .neither)
    }
}

@Suite struct PortJudgeTimeTests {
    func at(_ milliseconds: Int) -> Instant { Instant(nanoseconds: Int64(milliseconds) * 1_000_000) }

    @Test("A process that slept counts anew: nothing that came meanwhile makes it deaf")
    func pause() {
        var judge = PortJudge(portCount: 1), words = PortReport.Port()
        func report(_ words: PortReport.Port) -> PortReport {
            var report = PortReport()
            report.ports = [words]
            return report
        }
        var counts = FrameCounts()
        counts.add(.groupIPv4)
        counts.add(.unicast)
        var time = 0
        func live(_ steps: Int, hears: Bool) {
            for _ in 0..<steps {
                time += 10
                if hears {
                    judge.noteFrames(InterfaceID(0), counts, at: at(time))
                    judge.heardTwinAdvertisement(InterfaceID(0), sequence: UInt64(time), callsForFast: false, at: at(time))
                }
                words.sent &+= 1
                words.heard &+= 1
                words.groupIPv4 &+= 1
                judge.twinReport(report(words), at: at(time))
            }
        }
        live(400, hears: true)
        #expect(judge.health(InterfaceID(0), at: at(time)).inward == .good)
        // Asleep for 400 ms; heartbeats of all that time are read first, in one burst, then the frames.
        time += 400
        for _ in 0..<40 {
            words.sent &+= 1
            words.heard &+= 1
            words.groupIPv4 &+= 1
            judge.twinReport(report(words), at: at(time))
        }
        judge.tick(at: at(time))
        #expect(judge.health(InterfaceID(0), at: at(time)).inward == .good)
        // Awake, and really deaf.
        live(100, hears: false)
        #expect(judge.health(InterfaceID(0), at: at(time)).inward == .deaf)
        #expect(judge.words(InterfaceID(0), at: at(time)).hasPrefix("interface 0 does not hear: nothing for"))
        judge.forgetTwin(at: at(time))
        #expect(judge.comparison(at: at(time)).better == .neither)
    }

    @Test("An advertisement that is said again proves nothing")
    func repetition() {
        var judge = PortJudge(portCount: 2)
        func hear(_ port: UInt16, _ sequence: UInt64, calls: Bool, _ milliseconds: Int) -> Bool {
            judge.heardTwinAdvertisement(
                InterfaceID(port), sequence: sequence, callsForFast: calls, at: at(milliseconds))
        }
        #expect(hear(0, 5, calls: true, 1))
        #expect(!hear(0, 5, calls: true, 2))
        #expect(!hear(0, 4, calls: true, 2))
        #expect(hear(1, 5, calls: false, 2), "each port has its own")
        #expect(judge.advertisesFast(InterfaceID(0), at: at(3)), "the twin called")
        #expect(!judge.advertisesFast(InterfaceID(1), at: at(3)))
        #expect(!judge.advertisesFast(InterfaceID(0), at: at(200)))
        judge.forgetTwin(at: at(200))
        #expect(hear(0, 1, calls: false, 201), "another start")
    }

    @Test("No deadline before anything happened; the advertisement of a new port is due at once")
    func idle() {
        var judge = PortJudge(portCount: 1)
        #expect(judge.nextDeadline == nil)
        #expect(judge.nextAdvertisement(at: at(5)) == at(5))
        judge.sentAdvertisement(InterfaceID(0), at: at(5))
        #expect(judge.nextAdvertisement(at: at(5)) == at(105))
        #expect(!judge.isAdvertisementDue(InterfaceID(0), at: at(104)))
        #expect(judge.isAdvertisementDue(InterfaceID(0), at: at(105)))
    }

    @Test("A change that did not begin is asked for again a little later and does not count")
    func didNotBegin() {
        var world = PortWorld(talkers: PortWorld.busy())
        world.follows = false
        world.run(6000)
        world.setCarrier(0, false)
        world.run(100) { !$0.changes.isEmpty }
        #expect(world.changes.count == 1)
        world.judges[0].handoverDidNotBegin(at: world.instant)
        #expect(world.judges[0].damper.level(at: world.instant) == 0)
        world.run(500)
        #expect(world.changes.count == 2)
        world.run(1500)
        #expect(world.changes.count == 2, "this one began, as far as the judge knows")
    }
}
