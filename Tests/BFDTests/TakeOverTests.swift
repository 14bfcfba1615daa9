import Machine
import Records
import Testing
import Wire

@testable import BFD

@Suite struct TakeOverTests {
    static let kinds: [BFDAuthenticationType?] = [nil] + BFDAuthenticationType.allCases.map(Optional.init)

    static func parameters(_ type: BFDAuthenticationType?, multiplier: UInt8 = 3) -> BFDSessionParameters {
        .init(
            desiredMinTx: 50_000, requiredMinRx: 50_000, multiplier: multiplier,
            authentication: type.map {
                BFDAuthentication(type: $0, chain: KeyChain(keys: [.init(id: 1, algorithm: .md5, secret: [9, 9])]))
            })
    }

    @Test(arguments: kinds)
    func `DESIGN §4: a session at 50 ms × 3 survives a hundred take-overs, each after 80 ms of silence`(
        type: BFDAuthenticationType?
    ) {
        let pair = Pair.up(Self.parameters(type), Self.parameters(type))
        #expect(pair.a.state == .up)
        for round in 0..<100 {
            pair.run(.milliseconds(200 + round * 7 % 90))
            // Dead: what was sent arrives, nothing is received or sent.
            let dead = pair.a.instance
            pair.a.instance = BFDInstance(seed: 0)
            let session = pair.a.session
            pair.run(.milliseconds(80))
            _ = dead
            pair.a.session = session
            pair.takeOver(pair.a, seed: UInt64(round))
        }
        pair.run(.seconds(10))
        #expect(pair.b.view?.counters.timesDown == 0)
        #expect(pair.b.instance.counters[.sequence] == 0)
        #expect(pair.a.state == .up && pair.b.state == .up)
        #expect(pair.a.session.discriminator == 0xa0a0)
    }

    @Test func `the new line card transmits at once, with state Up and the same discriminators`() {
        let pair = Pair.up()
        pair.a.sent = []
        pair.takeOver(pair.a)
        #expect(pair.a.sent.count == 1)
        #expect(pair.a.sent[0].packet.state == BFDState.up.rawValue)
        #expect(pair.a.sent[0].packet.myDiscriminator == 0xa0a0)
        #expect(pair.a.sent[0].packet.yourDiscriminator == 0xb0b0)
        #expect(pair.a.reports.last?.status.state == .up)
    }

    @Test func `detection starts again with a full Detection Time`() {
        let pair = Pair.up()
        pair.passes = { toB, _ in toB }
        pair.run(.milliseconds(100))
        #expect(pair.a.state == .up)
        pair.takeOver(pair.a)
        pair.run(.milliseconds(140))
        #expect(pair.a.state == .up)
        pair.run(.milliseconds(15))
        #expect(pair.a.state == .down)
    }

    @Test func `a Poll Sequence that was under way goes on`() {
        let pair = Pair.up()
        pair.passes = { toB, bytes in toB || bytes[1] & 0x10 == 0 }
        pair.configure(pair.a) { $0.desiredMinTx = 400_000 }
        pair.run(.milliseconds(60))
        #expect(!pair.a.session.status.isPolled)
        pair.takeOver(pair.a)
        pair.a.sent = []
        pair.run(.milliseconds(60))
        #expect(pair.a.sent.contains { $0.packet.poll })
        pair.passes = { _, _ in true }
        pair.run(.seconds(3))
        #expect(pair.a.view?.transmitInterval == 400_000)
        #expect(pair.b.view?.counters.timesDown == 0)
    }

    @Test func `whatever report was lost with the old line card, the session comes up without leaving Up at the neighbour`() {
        // The twin knows only the first k reports; the neighbour has gone on.
        let whole = Pair.up()
        for known in 0..<whole.a.reports.count {
            let pair = Pair.up()
            var session = pair.a.session
            session.status = known == 0 ? BFDStatus() : pair.a.reports[known - 1].status
            let isInit = session.status.state != .down
            pair.a.session = session
            pair.takeOver(pair.a)
            pair.run(.seconds(5))
            #expect(pair.a.state == .up && pair.b.state == .up)
            if isInit { #expect(pair.b.view?.counters.timesDown == 0) }
        }
    }

    @Test func `§6.7.3: a packet from before the take-over cannot be played to the new line card`() {
        let pair = Pair.up(Self.parameters(.meticulousKeyedSHA1), Self.parameters(.meticulousKeyedSHA1))
        let old = pair.b.sent.first(where: { $0.packet.state == BFDState.down.rawValue })
        pair.run(.seconds(60))
        pair.takeOver(pair.a)
        if let old { pair.deliver(old.bytes, to: pair.a) }
        #expect(old != nil)
        #expect(pair.a.instance.counters[.sequence] == 1)
        #expect(pair.a.state == .up)
    }

    @Test func `a clock that is a few milliseconds behind at the twin does no harm`() {
        let pair = Pair.up(Self.parameters(.meticulousKeyedSHA1), Self.parameters(.meticulousKeyedSHA1))
        for round in 0..<20 {
            pair.run(.milliseconds(333))
            let real = pair.now
            pair.now = pair.now - .milliseconds(30)
            pair.takeOver(pair.a, seed: UInt64(round))
            pair.now = real
        }
        pair.run(.seconds(1))
        #expect(pair.b.instance.counters[.sequence] == 0)
        #expect(pair.b.view?.counters.timesDown == 0)
    }

    @Test func `AdminDown survives a take-over, and so does what the configuration changed just before it`() {
        let pair = Pair.up()
        pair.configure(pair.a) { $0.isShutdown = true }
        pair.run(.seconds(1))
        pair.takeOver(pair.a)
        pair.run(.seconds(3))
        #expect(pair.a.session.status.state == .adminDown)
        #expect(pair.b.state == .down)
        // Without a report: the engine's parameters are newer than the line card's status.
        pair.a.session.parameters.isShutdown = false
        pair.takeOver(pair.a)
        pair.run(.seconds(5))
        #expect(pair.a.state == .up && pair.b.state == .up)
    }

    @Test func `500 sessions at 50 ms: a second costs what its packets cost`() {
        var instance = BFDInstance(seed: 3)
        var list: [BFDSession] = []
        for i in 0..<500 {
            var session = BFDSession(
                peer: BFDPeer(
                    interface: InterfaceID(0), local: Pair.addressA, remote: .v4(IPv4Address(raw: 0x0a00_0000 + UInt32(i)))),
                discriminator: UInt32(i + 1), sourcePort: 50_000, parameters: .init(desiredMinTx: 50_000, requiredMinRx: 50_000))
            session.status.state = .up
            session.status.remoteState = .up
            session.status.remoteDiscriminator = UInt32(i + 1000)
            session.status.remoteMinRx = 50_000
            session.status.remoteDesiredMinTx = 50_000
            session.status.remoteMultiplier = 3
            session.status.transmitInUse = 50_000
            session.status.receiveInUse = 50_000
            session.status.remoteIsIndependent = true
            list.append(session)
        }
        var now = Instant(nanoseconds: 1)
        var effects: [BFDEffect] = []
        instance.restore(list, at: now, into: &effects)
        let end = now + .seconds(2)
        var packets = 0
        while let next = instance.nextDeadline, next <= end {
            now = next
            effects.removeAll(keepingCapacity: true)
            instance.fire(at: now, into: &effects)
            for effect in effects {
                guard case .transmit(let transmission) = effect else { continue }
                packets += 1
                // The neighbour answers every packet with one of its own.
                let index = Int(transmission.bytes[7]) | Int(transmission.bytes[6]) << 8
                var packet = ControlPacket(
                    diagnostic: 0, state: 3, multiplier: 3, myDiscriminator: UInt32(index + 999),
                    yourDiscriminator: UInt32(index), desiredMinTx: 50_000, requiredMinRx: 50_000)
                packet.controlPlaneIndependent = true
                var w = ByteWriter()
                packet.write(to: &w)
                var out: [BFDEffect] = []
                instance.receive(
                    w.bytes.span.bytes, from: transmission.peer.remote, to: transmission.peer.local, on: InterfaceID(0),
                    isMultihop: false, hopLimit: 255, at: now, into: &out)
                #expect(out.isEmpty)
            }
        }
        // 1/0.875 packets an interval.
        #expect(packets > 500 * 40 && packets < 500 * 54)
        #expect(instance.activities.allSatisfy { $0.session.status.state == .up })
    }
}
