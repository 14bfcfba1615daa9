import Machine
import Records
import Testing
import Wire

@testable import TCP

/// The retransmission timer: RFC 6298, and RFC 6675 §5.1 for what SACK means after it.
@Suite struct TimeoutTests {
    // MARK: RFC 6298 §5.5–5.7

    @Test func `an ACK that measures nothing leaves the timeout backed off`() {
        Script.run(
            """
            passive mss 1000
            write 100
            > P. 1:101
            +200ms > P. 1:101
            +200ms < ack 101
            write 100
            > P. 101:201
            +400ms > P. 101:201
            +100ms < ack 201
            write 100
            > P. 201:301
            +800ms > P. 201:301
            """)
    }

    @Test func `the first round trip that can be measured ends the back-off`() {
        Script.run(
            """
            passive mss 1000
            write 100
            > P. 1:101
            +200ms > P. 1:101
            +200ms < ack 101
            write 100
            > P. 101:201
            +1ms < ack 201
            write 100
            > P. 201:301
            +200ms > P. 201:301
            """)
    }

    @Test func `a path slower than the timeout is sent one segment twice, and no more`() {
        // 300 ms of round trip, found by the first segment that is sent once.
        Script.run(
            """
            passive mss 1000
            write 100
            > P. 1:101
            +200ms > P. 1:101
            +100ms < ack 101
            write 100
            > P. 101:201
            +300ms < ack 201
            write 100
            > P. 201:301
            +300ms < ack 301
            write 100
            > P. 301:401
            +300ms < ack 401
            """)
    }

    @Test func `with timestamps the answer to a retransmission is a measurement`() {
        var script = Script.run(
            """
            passive mss 1000 ts rtt 0ms
            write 100
            > P. 1:101
            """)
        script.harness.advance(by: .milliseconds(200))
        let echo = script.harness.drain()[0].header.timestampValue
        script.run(
            """
            +10ms < ack 101 ts 2000:\(echo)
            write 100
            > P. 101:201
            +200ms > P. 101:201
            """)
    }

    @Test func `an echo that cannot be ours measures nothing`() {
        Script.run(
            """
            passive mss 1000 ts rtt 0ms
            write 100
            > P. 1:101
            +200ms > P. 1:101
            +10ms < ack 101 ts 2000:3000000000
            write 100
            > P. 101:201
            +400ms > P. 101:201
            """)
    }

    @Test func `RFC 5681 §3.1: ssthresh is reduced once for a segment that times out twice, and again for another`() {
        var script = Script.run(
            """
            passive mss 1000
            write 10000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            > 5001:6001 > 6001:7001 > 7001:8001 > 8001:9001 > P. 9001:10001
            +200ms > 1:1001
            +400ms > 1:1001
            """)
        #expect(script.harness.stack.connectionStatuses()[0].slowStartThreshold == 7000)
        // The back-off has not ended, but this is another segment.
        script.run(
            """
            +10ms < ack 1001
            > 1001:2001 > 2001:3001
            +800ms > 1001:2001
            """)
        #expect(script.harness.stack.connectionStatuses()[0].slowStartThreshold == 2000)
    }

    // MARK: RFC 6675 §5.1

    /// 60 segments were sent, of which those up to 30,000 are acknowledged.
    private func sixty(_ options: String) -> Script {
        var script = Script.run("passive mss 1000 win 65535 \(options)")
        script.harness.give(.send(script.connection, Script.pattern(0, 60_000)[...]))
        script.written = 60_000
        for ack in [10_001, 20_001, 30_001] {
            script.harness.receive(script.segment(["ack", "\(ack)"]))
        }
        #expect(script.harness.drain().last?.header.sequenceLength == 1000)
        #expect(script.harness.stack.connectionStatuses()[0].sendNext == 60_000)
        return script
    }

    @Test func `after a timeout an ACK that says nothing new releases nothing`() {
        var script = sixty("sack rtt 0ms")
        script.run(
            """
            +10ms > P. 59001:60001
            +200ms > . 30001:31001
            +10ms < ack 31001 sack 41001:42001 43001:44001 45001:59001
            > . 31001:32001 > . 32001:33001
            < ack 31001 sack 41001:42001 43001:44001 45001:59001
            < ack 31001 sack 41001:42001 43001:44001 45001:59001
            < ack 31001 sack 41001:42001 43001:44001 45001:59001
            +10ms < ack 33001 sack 41001:42001 43001:44001 45001:59001
            > . 33001:34001 > . 34001:35001 > . 35001:36001 > . 36001:37001
            """)
    }

    @Test func `after a timeout SACK of what was sent since makes room for as much`() {
        var script = sixty("sack rtt 0ms")
        script.run(
            """
            +10ms > P. 59001:60001
            +200ms > . 30001:31001
            +10ms < ack 31001
            > . 31001:32001 > . 32001:33001
            +10ms < ack 31001 sack 32001:33001
            > . 31001:32001 > . 33001:34001
            +10ms < ack 31001 sack 32001:34001
            > . 31001:32001 > . 34001:35001
            """)
    }

    @Test func `after a timeout without SACK duplicates let nothing out`() {
        var script = sixty("")
        script.run(
            """
            +200ms > . 30001:31001
            +10ms < ack 30001
            < ack 30001
            < ack 30001
            +10ms < ack 31001
            > . 31001:32001 > . 32001:33001
            < ack 31001
            < ack 31001
            """)
    }

    @Test func `what is SACKed after a timeout is not sent again, and the rest is, once`() {
        var script = sixty("sack rtt 0ms")
        script.run(
            """
            +10ms > P. 59001:60001
            +200ms > . 30001:31001
            +10ms < ack 31001 sack 32001:58001
            > . 31001:32001 > . 58001:59001
            +10ms < ack 58001
            > P. 59001:60001
            +10ms < ack 60001
            """)
    }
}
