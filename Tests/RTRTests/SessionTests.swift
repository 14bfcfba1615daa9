import Machine
import Records
import Routing
import Testing
import Wire

@testable import RTR

/// RFC 8210 §8: the four conversations, version negotiation, and what a cache can do wrong.
@Suite struct SessionTests {
    static let some = [announce("198.51.100.0/24", 26, 64_496), announce("2001:db8::/32", 48, 64_497)]

    @Test func `§8.1: a Reset Query, and nothing is in force before End of Data`() {
        var d = Driver()
        #expect(d.pending.map(\.endpoint.remotePort) == [323])
        d.accept()
        #expect(d.take() == [.resetQuery])
        d.say([.cacheResponse(session: 9)] + Self.some)
        #expect(d.validity("198.51.100.0/24", 64_496) == .notFound)
        d.say([.endOfData(session: 9, serial: 77, CacheTiming())])
        #expect(d.validity("198.51.100.0/25", 64_496) == .valid)
        #expect(d.validity("198.51.100.0/27", 64_496) == .invalid)
        #expect(d.validity("2001:db8:1::/48", 64_497) == .valid)
        let view = d.view()
        #expect(view.state == .synchronized && view.isInUse && view.version == 1 && view.serial == 77 && view.payloads == 2)
    }

    @Test func `§8.2: a Serial Query after the Refresh Interval brings what changed`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some, serial: 5, timing: CacheTiming(refresh: 30, retry: 10, expire: 900))
        _ = d.take()
        d.wait(.seconds(29))
        #expect(d.take().isEmpty)
        d.wait(.seconds(1))
        #expect(d.take() == [.serialQuery(session: 9, serial: 5)])
        d.answer([withdraw("198.51.100.0/24", 26, 64_496), announce("203.0.113.0/24", 24, 1)], serial: 6)
        #expect(d.validity("198.51.100.0/24", 64_496) == .notFound)
        #expect(d.validity("203.0.113.0/24", 1) == .valid)
        #expect(d.view().serial == 6)
        // The null set is an answer, too.
        d.wait(.seconds(3600))
        #expect(d.take() == [.serialQuery(session: 9, serial: 6)])
        d.answer([], serial: 6)
        #expect(d.view().state == .synchronized)
    }

    @Test func `§8.3: Cache Reset is followed by a Reset Query; what is in force stays until its answer is complete`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some)
        d.wait(.seconds(3600))
        _ = d.take()
        d.say([.cacheReset])
        #expect(d.take() == [.resetQuery])
        d.say([.cacheResponse(session: 10), announce("203.0.113.0/24", 24, 1)])
        #expect(d.validity("198.51.100.0/24", 64_496) == .valid)
        d.say([.endOfData(session: 10, serial: 1, CacheTiming())])
        #expect(d.validity("198.51.100.0/24", 64_496) == .notFound)
        #expect(d.validity("203.0.113.0/24", 1) == .valid)
        #expect(d.view().session == 10)
    }

    @Test func `§8.4: No Data Available is tried again after the Retry Interval`() {
        var d = Driver()
        d.accept()
        _ = d.take()
        d.say([.errorReport(code: 2, pdu: [], text: "not yet")])
        #expect(!d.isOpen() && d.view().state == .waiting && d.take().isEmpty)
        d.wait(.seconds(599))
        #expect(d.pending.isEmpty)
        d.wait(.seconds(1))
        #expect(d.pending.count == 1)
        d.accept()
        #expect(d.take() == [.resetQuery])
    }

    @Test func `§8.1: after a lost connection what is known is asked on from`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some, serial: 5)
        d.give(.finished(d.open[StreamEndpointID(0)]!))
        #expect(d.validity("198.51.100.0/24", 64_496) == .valid)
        d.wait(RTRInstance.reconnectMinimum)
        _ = d.take()
        d.accept()
        #expect(d.take() == [.serialQuery(session: 9, serial: 5)])
    }

    // MARK: §5.2

    @Test func `§5.2: a Serial Notify is followed at once, but not more often than that`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some, serial: 5)
        _ = d.take()
        d.wait(.seconds(20))
        d.say([.serialNotify(session: 9, serial: 5)])
        #expect(d.take().isEmpty, "nothing new")
        d.say([.serialNotify(session: 9, serial: 6)])
        #expect(d.take() == [.serialQuery(session: 9, serial: 5)])
        // While the answer comes in another is noted.
        d.say([
            .cacheResponse(session: 9), .serialNotify(session: 9, serial: 7), .endOfData(session: 9, serial: 6, CacheTiming()),
        ])
        #expect(d.take().isEmpty)
        for _ in 0..<100 { d.say([.serialNotify(session: 9, serial: 7)]) }
        #expect(d.take().isEmpty)
        d.wait(RTRInstance.notifyInterval)
        #expect(d.take() == [.serialQuery(session: 9, serial: 6)])
    }

    @Test func `§7: a Serial Notify before the version is agreed upon is ignored, whatever it says`() {
        var d = Driver()
        d.accept()
        _ = d.take()
        for version: UInt8 in [0, 1, 77] { d.say([.serialNotify(session: 1, serial: 1)], version: version) }
        #expect(d.isOpen() && d.take().isEmpty)
        d.answer(Self.some)
        #expect(d.view().isInUse)
    }

    // MARK: §7

    @Test func `§7: a cache that answers in version 0 is spoken to in version 0`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some, serial: 5, timing: nil, version: 0)
        #expect(d.view().version == 0 && d.view().payloads == 2)
        // RFC 6810 has no intervals: the defaults.
        #expect(d.view().refresh == 3600 && d.view().expire == 7200)
        d.sent = []
        d.wait(.seconds(3600))
        #expect(d.sent.map(\.version) == [0])
        d.answer([], serial: 5, timing: nil, version: 0)
        d.say([.cacheReset], version: 1)
        #expect(d.takeError() == 8, "§7: another version after that")
        #expect(!d.isOpen())
    }

    @Test(arguments: 0...2) func `§7: a cache that knows version 0 alone and closes is asked again at once in version 0`(how: Int)
    {
        var d = Driver()
        d.accept()
        let id = d.open[StreamEndpointID(0)]!
        switch how {
        case 0: d.say([.errorReport(code: 4, pdu: PDU.resetQuery.encoded(version: 1), text: "")], version: 0)
        case 1: d.give(.finished(id))
        default: d.give(.closed(id, .resetByPeer))
        }
        #expect(d.pending.count == 1)
        d.sent = []
        d.accept()
        #expect(d.sent.map(\.version) == [0] && d.sent.map(\.pdu) == [.resetQuery])
        d.answer(Self.some, timing: nil, version: 0)
        #expect(d.view().isInUse)
        // One that does not answer in version 0 either waits like any other, and hears version 1 next.
        var other = Driver()
        other.accept()
        other.give(.closed(other.open[StreamEndpointID(0)]!, .resetByPeer))
        other.accept()
        other.give(.closed(other.open[StreamEndpointID(0)]!, .resetByPeer))
        #expect(other.pending.isEmpty)
        other.wait(RTRInstance.reconnectMinimum)
        other.sent = []
        other.accept()
        #expect(other.sent.map(\.version) == [1])
    }

    @Test func `§7: an unknown version ends the session with Unsupported Protocol Version`() {
        var d = Driver()
        d.accept()
        d.say([.cacheResponse(session: 1)], version: 2)
        #expect(d.takeError() == 4)
        #expect(!d.isOpen())
    }

    @Test func `§5.10: router keys are counted; version 0 has none`() {
        var d = Driver()
        let key = RouterKey(identifier: Array(0..<20), asNumber: 1, publicKeyInfo: [1, 2, 3])
        d.accept()
        d.answer([.routerKey(key, isAnnounced: true), .routerKey(key, isAnnounced: true)])
        #expect(d.view().routerKeys == 2)
        d.wait(.seconds(3600))
        d.answer([.routerKey(key, isAnnounced: false)], serial: 2)
        #expect(d.view().routerKeys == 1)
        var old = Driver()
        old.accept()
        old.say([.cacheResponse(session: 1), .routerKey(key, isAnnounced: true)], version: 0)
        #expect(old.takeError() == 5)
    }

    // MARK: §12

    @Test func `§12: each mistake has its code, ends the session, and leaves what is in force`() {
        let one = Self.some[0]
        let mistakes: [(UInt16, [PDU])] = [
            (0, [.cacheResponse(session: 9), .cacheResponse(session: 9)]),
            (0, [one]),
            (0, [.endOfData(session: 9, serial: 6, CacheTiming())]),
            (3, [.cacheResponse(session: 9), .resetQuery]),
            (6, [.cacheResponse(session: 9), withdraw("203.0.113.0/24", 24, 1)]),
            (7, [.cacheResponse(session: 9), one]),
            (7, [.cacheResponse(session: 9), announce("203.0.113.0/24", 24, 1), announce("203.0.113.0/24", 24, 1)]),
        ]
        for (code, said) in mistakes {
            var d = Driver()
            d.accept()
            d.answer(Self.some, serial: 5)
            d.wait(.seconds(3600))
            _ = d.take()
            d.say(said)
            #expect(d.takeError() == code, "\(said)")
            #expect(!d.isOpen() && d.view().state == .waiting)
            #expect(d.client.table.count == 2 && d.validity("198.51.100.0/24", 64_496) == .valid)
            // The Retry Interval of §6.
            d.wait(.seconds(599))
            #expect(d.pending.isEmpty)
            d.wait(.seconds(1))
            d.accept()
            #expect(d.take() == [.serialQuery(session: 9, serial: 5)])
        }
    }

    @Test func `§5.3: a withdrawal and then an announcement of the same is one change`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some)
        d.wait(.seconds(3600))
        d.answer([withdraw("198.51.100.0/24", 26, 64_496), announce("198.51.100.0/24", 26, 64_496)], serial: 2)
        #expect(d.view().serial == 2 && d.validity("198.51.100.0/24", 64_496) == .valid)
    }

    @Test func `§5.5: an answer to a Reset Query only announces`() {
        var d = Driver()
        d.accept()
        d.say([.cacheResponse(session: 9), withdraw("198.51.100.0/24", 26, 64_496)])
        #expect(d.takeError() == 6)
    }

    @Test func `§5.1: another Session ID ends the session with Corrupt Data, and its data are flushed`() {
        for said: [PDU] in [
            [.serialNotify(session: 10, serial: 6)], [.cacheResponse(session: 10)],
            [.cacheResponse(session: 9), .endOfData(session: 10, serial: 6, CacheTiming())],
            [.cacheResponse(session: 9), .endOfData(session: 9, serial: 4, CacheTiming())],
        ] {
            var d = Driver()
            d.accept()
            d.answer(Self.some, serial: 5)
            if case .serialNotify = said[0] { d.wait(.seconds(20)) } else { d.wait(.seconds(3600)) }
            _ = d.take()
            d.say(said)
            #expect(d.takeError() == 0, "\(said)")
            #expect(d.client.table.count == 0 && d.view().serial == nil)
            d.wait(RTRInstance.reconnectMinimum)
            d.accept()
            #expect(d.take() == [.resetQuery])
        }
    }

    @Test func `§5.11: an Error Report is never answered with one`() {
        for octets in [
            PDU.errorReport(code: 0, pdu: [1, 2, 3], text: "no").encoded(version: 1),
            [1, 10, 0, 0, 0, 0, 0, 16, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], [1, 10, 0, 0, 0xff, 0xff, 0xff, 0xff],
            [1, 10, 0, 0, 0, 0, 0, 8],
        ] {
            var d = Driver()
            d.accept()
            _ = d.take()
            d.say(octets: octets)
            #expect(!d.isOpen() && d.take().isEmpty)
        }
    }

    @Test func `octets that can be no PDU end the session before they are waited for`() {
        for octets: [UInt8] in [
            [1, 4, 0, 0, 0, 0, 0, 21], [1, 3, 0, 0, 0, 0, 0, 0], [1, 99, 0, 0, 0x7f, 0xff, 0xff, 0xff],
            Array("HTTP/1.1 400 Bad Request".utf8),
        ] {
            var d = Driver()
            d.accept()
            d.say(octets: octets)
            #expect(!d.isOpen())
            #expect(d.takeError() != nil)
        }
    }

    @Test func `a cache that is silent, or dribbles, is given up`() {
        var d = Driver()
        d.accept()
        d.wait(RTRInstance.patience)
        #expect(!d.isOpen() && d.view().lastFailure == "no answer in time")
        d.wait(.seconds(600))
        d.accept()
        d.say([.cacheResponse(session: 1)])
        for n in 0..<59 {
            d.wait(.seconds(10))
            d.say([announce("10.\(n).0.0/16", 16, 1)])
        }
        #expect(d.isOpen())
        d.wait(.seconds(20))
        #expect(!d.isOpen() && d.client.table.count == 0)
    }

    @Test func `more payloads than the limit are refused, and cost the others nothing`() {
        var d = Driver { $0.maximumPayloads = 3 }
        d.accept()
        d.say([.cacheResponse(session: 1)] + (0..<3).map { announce("10.\($0).0.0/16", 16, 1) })
        #expect(d.isOpen())
        d.say([announce("10.3.0.0/16", 16, 1)])
        #expect(d.takeError() == 1)
        #expect(d.events.contains { $0.severity == .alarm })
        // What was staged is gone: there is room again.
        d.wait(.seconds(600))
        d.accept()
        d.answer((0..<3).map { announce("10.\($0 + 10).0.0/16", 16, 1) })
        #expect(d.client.table.count == 3)
    }

    // MARK: §6

    @Test func `§6: data expire when no query succeeds, and stay if one does`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some, timing: CacheTiming(refresh: 100, retry: 50, expire: 700))
        d.wait(.seconds(100))
        d.answer([], serial: 1, timing: CacheTiming(refresh: 100, retry: 50, expire: 700))
        d.give(.closed(d.open[StreamEndpointID(0)]!, .timedOut))
        d.unreachable = [Driver.first]
        d.wait(.seconds(699))
        #expect(d.client.table.count == 2)
        d.wait(.seconds(1))
        #expect(d.client.table.count == 0)
        #expect(d.events.contains { $0.message.contains("expired") })
        d.unreachable = []
        d.wait(.seconds(60))
        _ = d.take()
        d.accept()
        #expect(d.take() == [.resetQuery])
    }

    @Test func `§6: data that expire while a whole answer comes in go, and the answer stays`() {
        var d = Driver()
        d.accept()
        d.answer(Self.some, timing: CacheTiming(refresh: 590, retry: 50, expire: 600))
        d.wait(.seconds(590))
        d.say([.cacheReset])
        d.say([.cacheResponse(session: 10), Self.some[0]])
        d.wait(.seconds(10))
        #expect(d.client.table.count == 0 && d.isOpen())
        d.say([Self.some[1], .endOfData(session: 10, serial: 1, CacheTiming())])
        #expect(d.client.table.count == 2)
    }

    @Test func `the operator's intervals count before the cache's`() {
        var d = Driver {
            $0.refresh = 20
            $0.retry = 7
            $0.expire = 1000
        }
        d.accept()
        d.answer(Self.some)
        #expect(d.view().refresh == 20 && d.view().retry == 7 && d.view().expire == 1000)
        d.wait(.seconds(20))
        d.say([.cacheResponse(session: 9), .resetQuery])
        d.wait(.seconds(7))
        #expect(d.pending.count == 1)
    }
}
