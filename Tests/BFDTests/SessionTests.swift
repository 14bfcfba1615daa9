import Machine
import Records
import Testing
import Wire

@testable import BFD

@Suite struct SessionTests {
    // MARK: §6.2 the state machine

    @Test func `§6.2: two ends come up by the three-way handshake and stay up`() {
        let pair = Pair.up()
        #expect(pair.a.state == .up && pair.b.state == .up)
        #expect(pair.a.states.last == .up)
        #expect(pair.a.session.status.remoteDiscriminator == 0xb0b0)
        let before = pair.a.reports.count
        pair.run(.seconds(60))
        #expect(pair.a.reports.count == before)
        #expect(pair.a.state == .up && pair.b.state == .up)
    }

    @Test(arguments: [
        (BFDState.down, BFDState.down, BFDState.initializing), (.down, .initializing, .up), (.down, .up, .down),
        (.down, .adminDown, .down), (.initializing, .down, .initializing), (.initializing, .initializing, .up),
        (.initializing, .up, .up), (.initializing, .adminDown, .down), (.up, .down, .down), (.up, .initializing, .up),
        (.up, .up, .up), (.up, .adminDown, .down), (.adminDown, .down, .adminDown), (.adminDown, .up, .adminDown),
    ])
    func `§6.8.6: every state and every received state`(from: BFDState, received: BFDState, to: BFDState) {
        let pair = Pair()
        pair.a.session.parameters.isShutdown = from == .adminDown
        pair.start()
        switch from {
        case .initializing: pair.deliver(Pair.packet(to: pair.a, state: .down), to: pair.a)
        case .up: pair.deliver(Pair.packet(to: pair.a, state: .initializing), to: pair.a)
        case .down, .adminDown: break
        }
        #expect(pair.a.view?.session.status.state == from)
        pair.deliver(Pair.packet(to: pair.a, state: received), to: pair.a)
        #expect(pair.a.view?.session.status.state == to)
        if from == .up || from == .initializing, to == .down {
            #expect(pair.a.session.status.diagnostic == .neighborSignaledDown)
        }
    }

    @Test func `§6.8.4: silence for a Detection Time takes the session down with diagnostic 1, not earlier`() {
        let pair = Pair.up()
        pair.passes = { toB, _ in toB }  // a hears nothing any more
        pair.run(.milliseconds(100))
        #expect(pair.a.state == .up)
        pair.run(.milliseconds(60))
        #expect(pair.a.state == .down)
        #expect(pair.a.session.status.diagnostic == .detectionTimeExpired)
        // §6.8.1: bfd.RemoteDiscr becomes 0.
        #expect(pair.a.session.status.remoteDiscriminator == 0)
        // b hears that a is down.
        pair.run(.milliseconds(5))
        #expect(pair.b.states.suffix(2) != [.up, .up])
        #expect(pair.b.session.status.remoteDiagnostic == .detectionTimeExpired)
        pair.passes = { _, _ in true }
        pair.run(.seconds(5))
        #expect(pair.a.state == .up && pair.b.state == .up)
        #expect(pair.a.session.status.diagnostic == .none)
    }

    @Test func `§6.8.4: the Detection Time is the neighbour's multiplier times the greater of both ends' intervals`() {
        let pair = Pair.up(
            .init(desiredMinTx: 100_000, requiredMinRx: 300_000),
            .init(desiredMinTx: 50_000, requiredMinRx: 20_000, multiplier: 5))
        #expect(pair.a.view?.detectionTime == 1_500_000)
        #expect(pair.b.view?.detectionTime == 300_000)
        #expect(pair.a.view?.transmitInterval == 100_000)
        #expect(pair.b.view?.transmitInterval == 300_000)
    }

    // MARK: §6.8.3, §6.8.7 intervals

    @Test func `§6.8.3: not more than a packet a second before the session is Up`() {
        let pair = Pair()
        pair.passes = { _, _ in false }
        pair.start()
        pair.run(.seconds(20))
        #expect((20...27).contains(pair.a.sent.count))
        for (first, second) in zip(pair.a.sent, pair.a.sent.dropFirst()) {
            let gap = (second.at - first.at).inMilliseconds
            #expect(gap >= 750 && gap <= 1000)
        }
        #expect(pair.a.sent.allSatisfy { $0.packet.desiredMinTx == 1_000_000 && $0.packet.requiredMinRx == 50_000 })
    }

    @Test func `§6.8.7: periodic packets are jittered by 0 to 25 %, with a multiplier of 1 by 10 to 25 %`() {
        for multiplier: UInt8 in [3, 1] {
            let pair = Pair.up(.init(desiredMinTx: 50_000, requiredMinRx: 50_000, multiplier: multiplier))
            pair.a.sent = []
            pair.run(.seconds(20))
            let gaps = zip(pair.a.sent, pair.a.sent.dropFirst()).map { ($1.at - $0.at).inNanoseconds / 1000 }
            #expect(gaps.count > 300)
            #expect(gaps.allSatisfy { $0 >= 37_500 && $0 <= (multiplier == 1 ? 45_000 : 50_000) })
            #expect(Set(gaps).count > 50)
        }
    }

    @Test func `§6.5: coming up polls until the Final, once`() {
        let pair = Pair.up()
        let polls = pair.a.sent.filter(\.packet.poll)
        #expect(!polls.isEmpty && polls.count <= 2)
        #expect(polls.allSatisfy { $0.packet.desiredMinTx == 50_000 && !$0.packet.final })
        #expect(pair.b.sent.contains { $0.packet.final && !$0.packet.poll })
        #expect(pair.a.session.status.isPolled)
    }

    @Test func `§6.5: polls go on until a Final comes`() {
        let pair = Pair.up()
        pair.passes = { toB, bytes in toB || bytes[1] & 0x10 == 0 }  // no Final reaches a
        pair.configure(pair.a) { $0.desiredMinTx = 200_000 }
        pair.a.sent = []
        pair.run(.seconds(1))
        #expect(pair.a.sent.count > 15)
        #expect(pair.a.sent.allSatisfy { $0.packet.poll || $0.packet.final })
        pair.passes = { _, _ in true }
        pair.run(.seconds(1))
        pair.a.sent = []
        pair.run(.seconds(1))
        #expect(pair.a.sent.allSatisfy { !$0.packet.poll })
    }

    @Test func `§6.8.3: a greater transmit interval counts when the Poll Sequence has ended`() {
        let pair = Pair.up()
        pair.passes = { toB, bytes in toB || bytes[1] & 0x10 == 0 }
        pair.configure(pair.a) { $0.desiredMinTx = 300_000 }
        pair.run(.milliseconds(300))
        #expect(pair.a.view?.transmitInterval == 50_000)
        #expect(pair.a.sent.last?.packet.desiredMinTx == 300_000)
        #expect(!pair.a.session.status.isPolled)
        pair.passes = { _, _ in true }
        pair.run(.milliseconds(200))
        #expect(pair.a.view?.transmitInterval == 300_000)
        #expect(pair.b.view?.detectionTime == 900_000)
        #expect(pair.a.state == .up && pair.b.state == .up)
    }

    @Test func `§6.8.3: a smaller receive interval counts for detection when the Poll Sequence has ended`() {
        let pair = Pair.up(
            .init(desiredMinTx: 50_000, requiredMinRx: 300_000), .init(desiredMinTx: 50_000, requiredMinRx: 50_000))
        #expect(pair.a.view?.detectionTime == 900_000)
        pair.passes = { toB, bytes in toB || bytes[1] & 0x10 == 0 }
        pair.configure(pair.a) { $0.requiredMinRx = 50_000 }
        pair.run(.milliseconds(300))
        #expect(pair.a.view?.detectionTime == 900_000)
        pair.passes = { _, _ in true }
        pair.run(.milliseconds(300))
        #expect(pair.a.view?.detectionTime == 150_000)
        pair.run(.seconds(5))
        #expect(pair.a.state == .up)
        #expect(pair.a.states.filter { $0 == .up }.count == 1)
    }

    @Test func `§6.8.3: a smaller RemoteMinRxInterval is honoured at once`() {
        let pair = Pair.up(
            .init(desiredMinTx: 50_000, requiredMinRx: 50_000), .init(desiredMinTx: 50_000, requiredMinRx: 2_000_000))
        #expect(pair.a.view?.transmitInterval == 2_000_000)
        pair.configure(pair.b) { $0.requiredMinRx = 50_000 }
        pair.a.sent = []
        pair.run(.milliseconds(400))
        #expect(pair.a.sent.count >= 6)
    }

    @Test func `§6.8.3: changes during a Poll Sequence wait for its end and are polled for in turn`() {
        let pair = Pair.up()
        pair.passes = { toB, bytes in toB || bytes[1] & 0x10 == 0 }
        pair.configure(pair.a) { $0.desiredMinTx = 200_000 }
        pair.run(.milliseconds(100))
        pair.configure(pair.a) { $0.desiredMinTx = 400_000 }
        pair.run(.milliseconds(100))
        #expect(pair.a.sent.last?.packet.desiredMinTx == 200_000)
        pair.passes = { _, _ in true }
        pair.run(.seconds(2))
        #expect(pair.a.view?.transmitInterval == 400_000)
        #expect(pair.a.state == .up && pair.b.view?.detectionTime == 1_200_000)
    }

    @Test func `§6.8.7: a Required Min RX Interval of 0 stops periodic packets, a poll is still answered`() {
        let pair = Pair.up()
        pair.passes = { _, _ in false }
        pair.deliver(Pair.packet(to: pair.a, state: .up) { $0.requiredMinRx = 0 }, to: pair.a)
        pair.a.sent = []
        pair.run(.milliseconds(100))
        #expect(pair.a.sent.isEmpty)
        pair.deliver(Pair.packet(to: pair.a, state: .up) { ($0.requiredMinRx, $0.poll) = (0, true) }, to: pair.a)
        #expect(pair.a.sent.map(\.packet.final) == [true])
    }

    @Test func `§6.6: a neighbour in demand mode silences us until it leaves it, except for polls`() {
        let pair = Pair.up()
        pair.passes = { _, _ in false }
        func hear(demand: Bool) { pair.deliver(Pair.packet(to: pair.a, state: .up) { $0.demand = demand }, to: pair.a) }
        hear(demand: true)
        pair.a.sent = []
        for _ in 0..<20 {
            pair.run(.milliseconds(50))
            hear(demand: true)
        }
        #expect(pair.a.sent.isEmpty)
        #expect(pair.a.view?.session.status.state == .up)
        pair.configure(pair.a) { $0.desiredMinTx = 100_000 }
        pair.run(.milliseconds(140))
        #expect(!pair.a.sent.isEmpty && pair.a.sent.allSatisfy(\.packet.poll))
        pair.deliver(Pair.packet(to: pair.a, state: .up) { ($0.demand, $0.final) = (true, true) }, to: pair.a)
        pair.a.sent = []
        pair.run(.milliseconds(120))
        #expect(pair.a.sent.isEmpty)
        hear(demand: false)
        pair.run(.milliseconds(120))
        #expect(!pair.a.sent.isEmpty)
    }

    @Test func `§6.1: a passive end says nothing until it is spoken to`() {
        let pair = Pair(.init(isPassive: true), .init())
        pair.passes = { _, _ in false }
        pair.start()
        pair.run(.seconds(5))
        #expect(pair.a.sent.isEmpty)
        pair.passes = { _, _ in true }
        pair.run(.seconds(10))
        #expect(pair.a.state == .up && pair.b.state == .up)
        // Two passive ends never meet.
        let silent = Pair(.init(isPassive: true), .init(isPassive: true))
        silent.start()
        silent.run(.seconds(5))
        #expect(silent.a.sent.isEmpty && silent.b.sent.isEmpty)
    }

    // MARK: §6.8.16 administrative

    @Test func `§6.8.16: shutting down tells the neighbour, which is no detection, and comes back`() {
        let pair = Pair.up()
        pair.configure(pair.a) { $0.isShutdown = true }
        pair.run(.milliseconds(100))
        #expect(pair.a.state == .adminDown)
        #expect(pair.b.state == .down)
        #expect(pair.b.session.status.remoteState == .adminDown)
        #expect(pair.b.session.status.diagnostic == .neighborSignaledDown)
        #expect(pair.b.session.status.remoteDiagnostic == .administrativelyDown)
        pair.configure(pair.a) { $0.isShutdown = false }
        pair.run(.seconds(5))
        #expect(pair.a.state == .up && pair.b.state == .up)
    }

    @Test func `§6.8.16: a session that is removed says AdminDown for a Detection Time and is gone`() {
        let pair = Pair.up()
        pair.a.sent = []
        pair.a.instance.apply(.remove(0xa0a0), at: pair.now, into: &pair.a.effects)
        pair.collect(pair.a)
        pair.run(.seconds(2))
        #expect(pair.a.sent.count >= 3 && pair.a.sent.count <= 6)
        #expect(pair.a.sent.allSatisfy { $0.packet.state == 0 && $0.packet.diagnostic == 7 })
        #expect(pair.b.session.status.remoteDiagnostic == .administrativelyDown)
        #expect(pair.a.instance.nextDeadline == nil)
        #expect(!pair.a.instance.isInUse)
    }

    // MARK: reports

    @Test func `a neighbour that flaps with every packet does not fill the log`() {
        let pair = Pair()
        pair.passes = { _, _ in false }
        pair.start()
        for i in 0..<3000 {
            pair.deliver(
                Pair.packet(to: pair.a, state: i % 2 == 0 ? .initializing : .down) { $0.requiredMinRx = UInt32(50_000 + i) },
                to: pair.a)
            pair.run(.milliseconds(1))
        }
        // Three seconds: the burst, and ten a second.
        #expect(pair.a.reports.count <= 60)
        #expect(pair.a.instance.counters[.flood] > 1000)
        pair.run(.seconds(5))
        // In the end the engine knows what is true.
        #expect(pair.a.view?.session.status == pair.a.session.status)
    }

    @Test func `timers do not pile up however often things change`() {
        let pair = Pair.up()
        for i in 0..<10_000 {
            pair.configure(pair.a) { $0.desiredMinTx = UInt32(50_000 + i % 7) }
            pair.run(.microseconds(100))
        }
        #expect(pair.a.instance.timers.inFiringOrder.count <= 3)
        #expect(pair.a.state == .up && pair.b.state == .up)
    }

    @Test func `RFC 5883: a multihop session comes up and needs its minimum TTL`() {
        let pair = Pair.up(isMultihop: true)
        #expect(pair.a.state == .up)
        pair.deliver(Pair.packet(to: pair.a, state: .down), to: pair.a, hopLimit: 253)
        #expect(pair.a.instance.counters[.hopLimit] == 1)
        #expect(pair.a.state == .up)
    }
}
