import Machine
import Records
import Routing
import Testing
import Wire

@testable import RTR

/// RFC 8210 §10: several caches; configuration, commands, quarantine.
@Suite struct CacheTests {
    static let mine = [announce("198.51.100.0/24", 24, 1)], theirs = [announce("203.0.113.0/24", 24, 2)]

    @Test func `the most preferred is asked first, and the next one only when it fails`() {
        var d = Driver([Driver.first, Driver.second, Driver.third])
        #expect(d.pending.map(\.endpoint.remote) == [Driver.first])
        d.wait(.seconds(100))
        #expect(d.pending.count == 1, "a connect takes its time")
        d.refuse()
        #expect(d.pending.map(\.endpoint.remote) == [Driver.second])
        d.refuse()
        #expect(d.pending.map(\.endpoint.remote) == [Driver.third])
        d.accept()
        d.answer(Self.theirs, from: 2)
        #expect(d.client.cacheViews(at: d.now).map(\.isInUse) == [false, false, true])
    }

    @Test func `of equal preference the first; the order is the configuration's`() {
        let d = Driver([Driver.third, Driver.first, Driver.second]) { configuration in
            for i in 0..<3 { configuration.caches[i].preference = i == 0 ? 50 : 10 }
        }
        #expect(d.client.cacheViews(at: d.now).map(\.address) == [Driver.first, Driver.second, Driver.third])
        #expect(d.pending.map(\.endpoint.remote) == [Driver.first])
    }

    @Test func `those that cannot be reached are passed over within one record`() {
        var d = Driver([Driver.first, Driver.second, Driver.third])
        d.unreachable = [Driver.first, Driver.second]
        d.refuse()
        #expect(d.pending.map(\.endpoint.remote) == [Driver.third])
    }

    @Test func `a more preferred cache that comes back replaces the other, without a moment without data`() {
        var d = Driver([Driver.first, Driver.second])
        d.refuse()
        d.accept()
        d.answer(Self.theirs, from: 1)
        #expect(d.validity("203.0.113.0/24", 2) == .valid)
        d.wait(RTRInstance.reconnectMinimum)
        #expect(d.pending.map(\.endpoint.remote) == [Driver.first])
        d.accept()
        d.say([.cacheResponse(session: 1)] + Self.mine)
        #expect(d.validity("203.0.113.0/24", 2) == .valid && d.isOpen(1))
        d.say([.endOfData(session: 1, serial: 1, CacheTiming())])
        #expect(d.validity("203.0.113.0/24", 2) == .notFound && d.validity("198.51.100.0/24", 1) == .valid)
        #expect(!d.isOpen(1) && d.client.cacheViews(at: d.now).map(\.state) == [.synchronized, .idle])
    }

    @Test func `§10: what a lost cache said stays until another has said all`() {
        var d = Driver([Driver.first, Driver.second])
        d.accept()
        d.answer(Self.mine)
        d.give(.closed(d.open[StreamEndpointID(0)]!, .timedOut))
        #expect(d.pending.map(\.endpoint.remote) == [Driver.second])
        d.accept()
        d.say([.cacheResponse(session: 5)] + Self.theirs, from: 1)
        #expect(d.validity("198.51.100.0/24", 1) == .valid)
        d.say([.endOfData(session: 5, serial: 5, CacheTiming())], from: 1)
        #expect(d.validity("198.51.100.0/24", 1) == .notFound && d.validity("203.0.113.0/24", 2) == .valid)
    }

    @Test func `one that loads while another completes is not disturbed`() {
        var d = Driver([Driver.first, Driver.second])
        d.refuse()
        d.accept()
        d.say([.cacheResponse(session: 5)] + Self.theirs, from: 1)
        d.wait(RTRInstance.reconnectMinimum)
        d.accept()
        d.say([.cacheResponse(session: 1)] + Self.mine)
        d.say([.endOfData(session: 5, serial: 5, CacheTiming())], from: 1)
        d.say([announce("192.0.2.0/24", 24, 3), .endOfData(session: 1, serial: 1, CacheTiming())])
        #expect(d.client.table.all.map(\.origin).sorted() == [1, 3])
        #expect(d.client.cacheViews(at: d.now).map(\.isInUse) == [true, false])
    }

    @Test func `attempts that fail come more seldom, up to the Retry Interval`() {
        var d = Driver()
        d.unreachable = [Driver.first]
        d.refuse()
        var attempts: [Int64] = []
        let start = d.now
        while d.now - start < .seconds(3000), let next = d.client.nextDeadline {
            d.now = next
            d.give(.time)
            attempts.append((d.now - start).inMilliseconds / 1000)
        }
        #expect(Array(attempts.prefix(8)) == [10, 30, 70, 150, 310, 630, 1230, 1830])
    }

    // MARK: configuration and commands

    @Test func `what is configured away ends in good order, and nothing of it stays`() {
        var d = Driver([Driver.first, Driver.second])
        d.accept()
        d.answer(Self.mine)
        d.give(.configure(Driver.configuration([Driver.second])))
        #expect(!d.isOpen() && d.client.table.count == 0)
        #expect(d.pending.map(\.endpoint.remote) == [Driver.second])
        d.accept()
        d.answer(Self.theirs, from: 1)
        #expect(d.client.table.count == 1)
        d.give(.configure(nil))
        #expect(d.open.isEmpty && d.client.table.count == 0 && d.client.cacheViews(at: d.now).isEmpty)
        d.wait(RTRInstance.lingerTime)
        #expect(d.log.last?.hasPrefix("abort") == true)
        #expect(d.client.nextDeadline == nil)
    }

    @Test func `a session goes on under a configuration that does not concern it`() {
        var d = Driver([Driver.first])
        d.accept()
        d.answer(Self.mine)
        var other = Driver.configuration([Driver.first, Driver.second])
        other.caches[0].description = "here"
        d.give(.configure(other))
        #expect(d.isOpen() && d.view().isInUse && d.pending.isEmpty)
        other.caches[1].preference = 1
        d.give(.configure(other))
        #expect(d.pending.map(\.endpoint.remote) == [Driver.second])
        other.caches[0].md5Key = "secret"
        d.give(.configure(other))
        #expect(!d.isOpen() && d.client.table.count == 1)
    }

    @Test func `an operator's clear asks for everything anew and keeps what is in force`() {
        var d = Driver()
        d.accept()
        d.answer(Self.mine)
        _ = d.take()
        d.give(.command(.clearCache(address: "192.0.2.99")))
        #expect(d.isOpen() && d.events.last?.severity == .warning)
        d.give(.command(.clearCache(address: "")))
        #expect(d.client.table.count == 1)
        d.accept()
        #expect(d.take() == [.resetQuery])
    }

    // MARK: quarantine

    @Test
    func `a payload that was fatal is passed over when it comes again, and its cache waits until somebody could survive it`()
        throws
    {
        var d = Driver([Driver.first, Driver.second])
        d.give(.redundancy(true))
        d.accept()
        let said = [PDU.cacheResponse(session: 1)] + Self.mine + Self.theirs
        // The beginning of a PDU was in a record before.
        let octets = said.flatMap { $0.encoded(version: 1) }
        d.say(octets: Array(octets[..<10]))
        d.give(.fault(try #require(d.open[StreamEndpointID(0)]), Array(octets[10...]), message: 1))
        d.give(.redundancy(false))
        #expect(!d.isOpen() && d.view().state == .waiting)
        #expect(d.pending.map(\.endpoint.remote) == [Driver.second])
        d.wait(.seconds(500))
        #expect(d.pending.count == 1)
        d.give(.redundancy(true))
        d.wait(.seconds(3))
        #expect(d.pending.map(\.endpoint.remote) == [Driver.second, Driver.first])
        d.pending.removeFirst()
        d.accept()
        d.watch(content: [198, 51, 100])
        d.answer(Self.mine + Self.theirs)
        #expect(d.client.metTrap == nil, "it is known by its octets")
        #expect(d.client.table.all.map(\.origin) == [2] && d.view().counters.quarantined == 1)
        // Its withdrawal is the same thing.
        d.wait(.seconds(3600))
        d.answer([withdraw("198.51.100.0/24", 24, 1)], serial: 2)
        #expect(d.view().counters.quarantined == 2 && d.view().state == .synchronized)
    }

    @Test func `a message that is no payload and was fatal ends the session`() throws {
        var d = Driver()
        d.accept()
        d.give(.fault(try #require(d.open[StreamEndpointID(0)]), PDU.cacheResponse(session: 1).encoded(version: 1), message: 0))
        d.give(.redundancy(true))
        d.wait(.seconds(3))
        d.accept()
        _ = d.take()
        d.say([.cacheResponse(session: 1)])
        #expect(!d.isOpen() && d.takeError() == 1)
        d.give(.command(.clearCache(address: "192.0.2.10")))
        d.accept()
        d.answer(Self.mine)
        #expect(d.view().isInUse, "the operator's word")
    }

    @Test func `the message that meets a trap is named, counted within its record`() {
        var d = Driver()
        d.accept()
        d.watch(content: [203, 0, 113])
        d.say([.cacheResponse(session: 1)])
        d.say(Self.mine + Self.theirs)
        #expect(d.client.metTrap == 2)
    }

    // MARK: snapshots and hostile octets

    @Test func `a client that is restored after every input says and holds the same`() {
        func life(_ isRestored: Bool) -> Driver {
            var d = Driver([Driver.first, Driver.second], isRestoredEachTime: isRestored)
            var random = RandomNumbers(seed: 5)
            for round in 0..<400 {
                if !d.pending.isEmpty, random.chance(2, in: 3) {
                    if random.chance(4, in: 5) { d.accept() } else { d.refuse() }
                }
                let number = UInt16(random.number(in: 0...1))
                let payload = PDU.payload(
                    VRP(
                        prefix: .v4(IPv4Prefix(IPv4Address(raw: UInt32(random.number(in: 0...30)) << 24), 8)), maximumLength: 8,
                        origin: UInt32(random.number(in: 0...2))), isAnnounced: random.chance(2, in: 3))
                let serial = UInt32(round)
                switch random.number(in: 0...12) {
                case 0...3: d.answer([payload], serial: serial, from: number)
                case 4: d.say([.cacheResponse(session: 9)], from: number)
                case 5...7: d.say([payload], from: number)
                case 8: d.say([.endOfData(session: 9, serial: serial, CacheTiming())], from: number)
                case 9: d.say(octets: Array(payload.encoded(version: 1).prefix(random.number(in: 1...19))), from: number)
                case 10: d.say([.cacheReset, .serialNotify(session: 9, serial: serial)], from: number)
                case 11: d.wait(.seconds(random.number(in: 1...3000)))
                default: d.give(.command(.clearCache(address: "")))
                }
            }
            return d
        }
        let grown = life(false), restored = life(true)
        #expect(grown.log == restored.log && grown.log.count > 300)
        #expect(grown.client.digest == restored.client.digest)
        #expect(grown.client.table.all == restored.client.table.all)
    }

    @Test(arguments: 1...40) func `random octets from a cache end its own session and nothing else`(seed: Int) {
        var random = RandomNumbers(seed: UInt64(seed))
        var d = Driver([Driver.first, Driver.second])
        d.refuse()
        d.accept()
        d.answer(Self.theirs, from: 1)
        d.wait(RTRInstance.reconnectMinimum)
        d.accept()
        var octets = ([PDU.cacheResponse(session: 1)] + PDUTests.all + Self.mine).flatMap { $0.encoded(version: 1) }
        for _ in 0..<random.number(in: 1...8) {
            octets[random.number(in: 0...(octets.count - 1))] = UInt8(random.number(in: 0...255))
        }
        var at = 0
        while at < octets.count {
            let count = min(random.number(in: 1...40), octets.count - at)
            d.say(octets: Array(octets[at..<(at + count)]))
            at += count
        }
        #expect(d.validity("203.0.113.0/24", 2) == .valid && d.isOpen(1))
    }

    @Test func `octets one by one do what they do together`() {
        var whole = Driver(), piecemeal = Driver()
        whole.accept()
        piecemeal.accept()
        whole.answer(Self.mine + Self.theirs)
        let octets = ([.cacheResponse(session: 9)] + Self.mine + Self.theirs + [.endOfData(session: 9, serial: 1, CacheTiming())])
            .flatMap { $0.encoded(version: 1) }
        for octet in octets { piecemeal.say(octets: [octet]) }
        #expect(whole.client.digest == piecemeal.client.digest && whole.client.table.count == 2)
    }
}

extension Driver {
    mutating func watch(content: [UInt8]) {
        var watch = PacketWatch()
        watch.fatalContent = content
        client.watch = watch
    }
}
