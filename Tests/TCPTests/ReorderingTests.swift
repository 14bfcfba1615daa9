import Machine
import Records
import Testing
import Wire

@testable import TCP

/// RFC 8985, 2883, 3708, 9937: late is not lost.
@Suite struct ReorderingTests {
    // MARK: what we tell

    @Test func `RFC 2883: octets that came twice are told once`() {
        Script.run(
            """
            passive mss 1000 sack
            < 1:1001 ack 1
            +40ms > . ack 1001 nosack
            < 1:1001 ack 1
            > . ack 1001 sack 1:1001
            < 1001:2001 ack 1
            +40ms > . ack 2001 nosack
            """)
    }

    @Test func `RFC 2883: octets that came twice out of order are told before the block that holds them`() {
        Script.run(
            """
            passive mss 1000 sack
            < 1001:2001 ack 1
            > . ack 1 sack 1001:2001
            < 1001:2001 ack 1
            > . ack 1 sack 1001:2001 1001:2001
            < 2001:3001 ack 1
            > . ack 1 sack 1001:3001
            < 4001:5001 ack 1
            > . ack 1 sack 4001:5001 1001:3001
            < 2001:3001 ack 1
            > . ack 1 sack 2001:3001 1001:3001 4001:5001
            < 1:1001 ack 1
            > . ack 3001 sack 4001:5001
            < 3001:4001 ack 1
            > . ack 5001 nosack
            """)
    }

    @Test func `without SACK nothing is told of duplicates`() {
        Script.run(
            """
            passive mss 1000
            < 1:1001 ack 1
            +40ms > . ack 1001 nosack
            < 1:1001 ack 1
            > . ack 1001 nosack
            """)
    }

    @Test func `what came twice before its commit is told after it`() {
        Script.run(
            """
            passive mss 1000 sack
            hold
            < 1:1001 ack 1
            < 1:1001 ack 1
            write 10
            > P. 1:11 ack 1 nosack
            commit
            > . ack 1001 sack 1:1001
            """)
    }

    // MARK: what we believe

    /// Round trips of 20 ms are known, ten segments are on their way.
    private func flight(_ options: String = "") -> Script {
        Script.run(
            """
            passive mss 1000 sack rtt 20ms \(options)
            write 2000
            > 1:1001 > P. 1001:2001
            +20ms < ack 2001
            write 10000
            > 2001:3001 > 3001:4001 > 4001:5001 > 5001:6001 > 6001:7001
            > 7001:8001 > 8001:9001 > 9001:10001 > 10001:11001 > P. 11001:12001
            """)
    }

    @Test func `RFC 8985 §6.2: a segment that is a little late is waited for a quarter of a round trip`() {
        var script = flight()
        script.run(
            """
            +20ms < ack 2001 sack 3001:4001
            +1ms < ack 4001
            +20ms < ack 12001
            """)
        #expect(script.harness.stack.counters.fastRetransmits == 0)
        script = flight()
        script.run(
            """
            +20ms < ack 2001 sack 3001:4001
            < ack 2001 sack 3001:5001
            +5ms > 2001:3001
            +20ms < ack 12001
            """)
        #expect(script.harness.stack.counters.fastRetransmits == 1)
    }

    @Test func `a segment that is SACKed in parts is delivered with the last of them`() {
        var script = flight()
        script.run(
            """
            +20ms < ack 2001 sack 3001:3501
            < ack 2001 sack 3001:4001
            < ack 2001 sack 3001:6001
            > 2001:3001
            """)
    }

    @Test func `RFC 8985 §6.2: a retransmission that is lost is found by what was sent after it`() {
        var script = flight()
        script.run(
            """
            write 10000
            +20ms < ack 2001 sack 3001:6001
            > 2001:3001
            < ack 2001 sack 3001:12001
            > . 12001:13001 > . 13001:14001 > . 14001:15001 > . 15001:16001 > . 16001:17001 > . 17001:18001
            +20ms < ack 2001 sack 3001:13001
            > 2001:3001 > . 18001:19001
            +20ms < ack 19001
            > . 19001:20001 > . 20001:21001 > P. 21001:22001
            """)
        #expect(script.harness.stack.counters.retransmissionTimeouts == 0)
    }

    @Test func `RFC 3708: a recovery for nothing is taken back by D-SACK, and the next late segment is waited for`() {
        var script = flight()
        let window = script.harness.stack.connectionStatuses()[0].congestionWindow
        script.run(
            """
            +20ms < ack 2001 sack 3001:4001
            < ack 2001 sack 3001:5001
            < ack 2001 sack 3001:6001
            > 2001:3001
            < ack 7001
            """)
        #expect(script.harness.stack.connectionStatuses()[0].congestionWindow < window)
        #expect(script.harness.stack.connectionStatuses()[0].inRecovery)
        script.run("< ack 7001 sack 2001:3001")
        var status = script.harness.stack.connectionStatuses()[0]
        #expect(status.congestionWindow >= window && !status.inRecovery && status.slowStartThreshold == nil)
        #expect(script.harness.stack.counters.spuriousRecoveries == 1)
        // Three above a hole are no proof any more.
        script.run(
            """
            < ack 7001 sack 8001:11001
            +1ms < ack 12001
            """)
        status = script.harness.stack.connectionStatuses()[0]
        #expect(status.congestionWindow >= window && status.slowStartThreshold == nil)
        #expect(script.harness.stack.counters.fastRetransmits == 1)
    }

    @Test func `D-SACK after the recovery takes it back as well`() {
        var script = flight()
        let window = script.harness.stack.connectionStatuses()[0].congestionWindow
        script.run(
            """
            +20ms < ack 2001 sack 3001:6001
            > 2001:3001
            < ack 12001
            """)
        #expect(script.harness.stack.connectionStatuses()[0].congestionWindow < window)
        script.run("< ack 12001 sack 2001:3001")
        #expect(script.harness.stack.connectionStatuses()[0].congestionWindow >= window)
    }

    @Test func `D-SACK of what was not sent again takes nothing back`() {
        var script = flight()
        script.run(
            """
            +20ms < ack 2001 sack 3001:6001
            > 2001:3001
            < ack 2001 sack 1:1001 3001:6001
            < ack 2001 sack 1001:1501 3001:6001
            """)
        #expect(script.harness.stack.connectionStatuses()[0].inRecovery)
        #expect(script.harness.stack.counters.spuriousRecoveries == 0)
    }

    @Test func `RFC 9937: a loss reduces the window as octets arrive, not at once and not to silence`() {
        var script = flight()
        script.harness.give(.send(script.connection, Script.pattern(12_000, 20_000)[...]))
        script.written = 32_000
        // What the larger window of the first acknowledgement lets out.
        script.harness.sent = []
        var sent: [Int] = []
        script.harness.advance(by: .milliseconds(20))
        let end = Int(script.harness.stack.connectionStatuses()[0].sendNext)
        var sack = 3001
        while sack + 1000 <= end + 1 {
            sack += 1000
            script.harness.receive(script.segment(["ack", "2001", "sack", "3001:\(sack)"]))
            sent.append(script.harness.drain().count)
        }
        // About seven of ten let one out (RFC 9438 §4.6).
        let total = sent.reduce(0, +)
        #expect(total >= sent.count * 7 / 10 - 1 && total <= sent.count * 7 / 10 + 3, "\(sent)")
        #expect((sent.max() ?? 0) <= 3, "\(sent)")
    }

    @Test func `a peer that asks for small segments gets a bounded number of them`() {
        var configuration = TCPConfiguration()
        configuration.initialWindowSegments = 100_000
        configuration.initialWindowOctets = 8 << 20
        var script = Script(Harness(configuration: configuration))
        script.run("passive mss 216 sack wscale 14 win 65535")
        script.harness.give(.send(script.connection, [UInt8](repeating: 1, count: 4 << 20)[...]))
        script.harness.advance(by: .milliseconds(10))
        #expect(script.harness.drain().count == SentSegments.maximum)
        script.harness.receive(script.segment(["ack", "2161"]))
        script.harness.advance(by: .milliseconds(10))
        #expect(script.harness.drain().count == 10)
    }

    @Test func `RFC 8985 §6.2: the least round trip is that of the last minutes`() {
        var rack = RACK()
        func deliver(_ milliseconds: Int, at seconds: Int) {
            let now = Instant(nanoseconds: Int64(seconds) * 1_000_000_000)
            let segment = SentSegments.Segment(
                start: 0, end: 1, sentAt: now - .milliseconds(milliseconds), state: .inFlight, isRetransmitted: false)
            rack.delivered(segment, now: now, isOlder: false)
        }
        deliver(10, at: 1)
        deliver(40, at: 2)
        #expect(rack.minimumRoundTrip == 10_000_000)
        deliver(40, at: 302)
        #expect(rack.minimumRoundTrip == 10_000_000)
        deliver(40, at: 603)
        #expect(rack.minimumRoundTrip == 40_000_000)
        deliver(20, at: 604)
        #expect(rack.minimumRoundTrip == 20_000_000)
    }

    @Test func `one in a hundred a millisecond late costs no rate`() {
        // Two stacks, 200 µs apart; every hundredth segment takes a millisecond more.
        func rate(late: Bool) -> Int {
            var harness = Harness()
            var script = Script(harness)
            script.run("passive mss 1460 sack win 65535 wscale 7")
            harness = script.harness
            let total = 4_000_000
            harness.give(.send(script.connection, [UInt8](repeating: 1, count: total)[...]))
            var flights: [(at: Instant, start: Int, end: Int)] = []
            var acks: [(at: Instant, words: [String])] = []
            var got = SACKScoreboard()
            var next = 1, serial = 0
            var wire = harness.now
            let begin = harness.now
            while next <= total {
                for s in harness.drain() where !s.payload.isEmpty {
                    serial += 1
                    let start = Int(s.header.sequence &- script.initialSend)
                    let delay = late && serial % 100 == 0 ? 1100 : 100
                    // 1 Gbit/s
                    wire = max(wire, harness.now) + .microseconds(12)
                    flights.append((wire + .microseconds(delay), start, start + s.payload.count))
                }
                let times = [flights.map(\.at).min(), acks.map(\.at).min(), harness.stack.nextDeadline].compactMap { $0 }
                guard let now = times.min() else { break }
                harness.now = max(harness.now, now)
                if let d = harness.stack.nextDeadline, d <= harness.now { harness.give(.time) }
                let arrived = flights.filter { $0.at <= harness.now }.sorted { ($0.at, $0.start) < ($1.at, $1.start) }
                flights.removeAll { $0.at <= harness.now }
                for f in arrived {
                    var words: [String] = []
                    if f.end <= next || !got.add(Int64(f.start), Int64(f.end)) { words.append("\(f.start):\(f.end)") }
                    if let r = got.rangeAtOrAbove(Int64(next)), Int(r.start) <= next {
                        next = Int(r.end)
                        got.acknowledge(upTo: r.end)
                    }
                    for r in got.ranges.suffix(3 - words.count) { words.append("\(r.start):\(r.end)") }
                    acks.append(
                        (harness.now + .microseconds(100), ["ack", "\(next)"] + (words.isEmpty ? [] : ["sack"] + words)))
                }
                let heard = acks.filter { $0.at <= harness.now }
                acks.removeAll { $0.at <= harness.now }
                for ack in heard {
                    script.harness = harness
                    let bytes = script.segment(ack.words)
                    harness.receive(bytes)
                }
                if harness.now - begin > .seconds(20) { break }
            }
            #expect(next == total + 1)
            return Int((harness.now - begin).inNanoseconds / 1000)
        }
        let straight = rate(late: false), late = rate(late: true)
        #expect(late < straight * 5 / 4, "\(straight) µs without, \(late) µs with late segments")
    }
}
