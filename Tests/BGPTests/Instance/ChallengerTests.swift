import BGP
import Machine
import Records
import Testing
import Wire

/// A further connection of a neighbour whose session is up: RFC 4271 §6.8 when the session lives, and what happens when the
/// neighbour lost its power and knows nothing of it.
@Suite struct ChallengerTests {
    /// A session on connection 2, and a connection 4 whose OPEN came.
    private static func challenged() -> Driver {
        var driver = Driver { $0.networks = [OriginatedNetwork(prefix: IPPrefix("192.0.2.0/24")!)] }
        driver.establish(2)
        driver.wait(.seconds(5))
        driver.give(.acknowledged(ConnectionID(2), offset: .max))
        driver.effects = []
        driver.accept(4)
        #expect(driver.effects.isEmpty, "nothing is said before its OPEN")
        driver.receive(driver.open())
        return driver
    }

    @Test("an old connection that answers stays, and the new one is closed with Cease/7")
    func alive() {
        var driver = Self.challenged()
        #expect(driver.sent(2) == Driver.keepalive, "the question")
        #expect(driver.sent(4).isEmpty)
        driver.give(.acknowledged(ConnectionID(2), offset: .max))
        #expect(driver.notification == .cease(.connectionCollision))
        #expect(driver.isFinished)
        #expect(driver.state == .established)
        driver.wait(.seconds(20))
        #expect(driver.state == .established)
        #expect(driver.instance.neighborSummaries[0].flaps == 0)
    }

    @Test("octets on the old connection are an answer, too")
    func talks() {
        var driver = Self.challenged()
        driver.give(.received(ConnectionID(2), Driver.keepalive))
        #expect(driver.notification == .cease(.connectionCollision))
        #expect(driver.state == .established)
    }

    @Test("a neighbour that has forgotten the old connection is back with the new one at once")
    func reset() {
        var driver = Self.challenged()
        let before = driver.now
        driver.give(.closed(ConnectionID(2), .resetByPeer))
        #expect(driver.sent(4).count > 19 + Driver.keepalive.count, "OPEN and KEEPALIVE")
        driver.receive(Driver.keepalive)
        #expect(driver.state == .established)
        #expect(driver.now == before)
        driver.receive(Build.message(2, HostileTests.v4))
        #expect(driver.prefixes[0] == 2)
        driver.wait(.seconds(60))
        #expect(driver.state == .established)
    }

    @Test("an old connection that says nothing is closed after a moment, and the new one goes on")
    func silent() {
        var driver = Self.challenged()
        driver.wait(.milliseconds(1400))
        #expect(driver.sent(4).isEmpty)
        driver.wait(.milliseconds(200))
        #expect(driver.sent(2).suffix(21) == NotificationMessage.cease(.connectionCollision).encoded[...])
        driver.receive(Driver.keepalive)
        #expect(driver.state == .established)
        #expect(driver.messages.contains { $0.contains("does not answer here") })
    }

    @Test(
        "who does not send an acceptable OPEN ends nothing",
        arguments: [
            [], [0xff, 0xff], [UInt8](repeating: 0, count: 19), Driver.keepalive,
        ] as [[UInt8]])
    func stranger(octets: [UInt8]) {
        var driver = Driver()
        driver.establish(2)
        driver.accept(4)
        if !octets.isEmpty { driver.receive(octets) }
        driver.wait(.seconds(11))
        #expect(driver.isFinished)
        #expect(driver.state == .established)
        #expect(!driver.messages.contains { $0.contains("old connection") }, "the session is not even asked")
    }

    @Test("the OPEN of another AS is answered as in any other state, and the session is not asked")
    func foreignOpen() {
        var driver = Driver()
        driver.establish(2)
        driver.accept(4)
        driver.receive(
            driver.open {
                $0.asField = 65099
                $0.capabilities.fourOctetAS = ASNumber(65099)
            })
        #expect(driver.notification == .open(.badPeerAS))
        #expect(driver.sent(2).isEmpty)
        driver.wait(.seconds(20))
        #expect(driver.state == .established)
    }

    @Test("an OPEN in pieces is one OPEN, and nothing may follow it")
    func pieces() {
        var driver = Driver()
        driver.establish(2)
        driver.accept(4)
        let open = driver.open()
        for octet in open { driver.receive([octet]) }
        #expect(driver.sent(2) == Driver.keepalive)
        driver.receive(Driver.keepalive)
        #expect(driver.notification == .cease(.connectionCollision))
        #expect(driver.state == .established)
    }

    @Test("a neighbour that reads slowly is given time as long as it reads")
    func slow() {
        var driver = Driver {
            $0.networks = (0..<2000).map {
                var network = OriginatedNetwork(prefix: .v4(IPv4Prefix(IPv4Address(raw: 0x0b00_0000 + UInt32($0) << 8), 24)))
                network.med = UInt32($0)
                return network
            }
        }
        driver.establish(2)
        driver.wait(.seconds(10))
        driver.accept(4)
        driver.receive(driver.open())
        for offset in UInt64(1)...20 {
            driver.wait(.seconds(1))
            driver.give(.acknowledged(ConnectionID(2), offset: offset * 100))
            #expect(driver.sent(4).isEmpty, "neither closed nor gone on with")
        }
        driver.give(.acknowledged(ConnectionID(2), offset: .max))
        #expect(driver.notification == .cease(.connectionCollision))
        #expect(driver.state == .established)
    }

    @Test("one question at a time: a third connection is closed, a second without OPEN gives way")
    func third() {
        var driver = Self.challenged()
        driver.accept(6)
        #expect(driver.notification == .cease(.connectionCollision))
        #expect(driver.isFinished)
        driver.give(.closed(ConnectionID(2), .resetByPeer))
        driver.give(.received(ConnectionID(4), Driver.keepalive))
        #expect(driver.state == .established)

        var other = Driver()
        other.establish(2)
        other.accept(4)
        other.accept(6)
        #expect(other.finished.contains(ConnectionID(4)) && !other.isFinished)
        other.receive(other.open())
        #expect(other.sent(2) == Driver.keepalive)
    }

    @Test("after a switchover the old connection has its time again")
    func takenOver() {
        var driver = Self.challenged()
        driver.wait(.milliseconds(1400))
        driver.give(.takenOver)
        driver.wait(.milliseconds(1400))
        #expect(driver.state == .established)
        #expect(driver.sent(4).isEmpty)
        driver.give(.acknowledged(ConnectionID(2), offset: .max))
        #expect(driver.notification == .cease(.connectionCollision))
    }

    @Test("what an operator ends takes the new connection along")
    func cleared() {
        var driver = Self.challenged()
        driver.give(.command(.clearNeighbor(address: "10.0.0.2", reason: "")))
        #expect(driver.state == .idle)
        #expect(driver.finished == [ConnectionID(2), ConnectionID(4)] || driver.finished == [ConnectionID(4), ConnectionID(2)])
        driver.give(.closed(ConnectionID(4), .finished))
        driver.wait(.seconds(5))
        driver.establish(8)
    }

    @Test("a connection that goes by itself is forgotten")
    func gone() {
        var driver = Self.challenged()
        driver.give(.closed(ConnectionID(4), .resetByPeer))
        driver.wait(.seconds(5))
        #expect(driver.state == .established)
        driver.give(.closed(ConnectionID(2), .resetByPeer))
        #expect(driver.state != .established)
    }

    @Test("a restored instance goes on with the question")
    func snapshot() throws {
        var driver = Self.challenged()
        var writer = SnapshotWriter()
        driver.instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var twin = driver
        twin.instance = try BGPInstance(from: &reader)
        try reader.expectEnd()
        #expect(twin.instance.digest == driver.instance.digest)
        for step in 0..<2 {
            if step == 0 {
                driver.wait(.seconds(2))
                twin.wait(.seconds(2))
            } else {
                driver.receive(Driver.keepalive)
                twin.receive(Driver.keepalive)
            }
            #expect(twin.sent(2) == driver.sent(2))
            #expect(twin.sent(4) == driver.sent(4))
            #expect(twin.instance.digest == driver.instance.digest)
        }
        #expect(twin.state == .established)
    }
}

extension Driver {
    func sent(_ number: UInt32) -> [UInt8] {
        effects.reduce(into: []) { bytes, effect in
            if case .send(let id, let slice) = effect, id == ConnectionID(number) { bytes += slice }
        }
    }
    var finished: [ConnectionID] {
        effects.compactMap { if case .finish(let id) = $0 { id } else { nil } }
    }
}
