import Machine
import Records
import Testing
import Wire

@testable import TCP

/// RFC 5682, RFC 3522, RFC 3708, RFC 9438 §4.9: a timeout for nothing is found out and taken back.
@Suite struct SpuriousTimeoutTests {
    /// Ten segments, the probe for them and the timeout; the window was 10,000 before.
    private func stalled(_ options: String = "", write: Int = 10_000) -> Script {
        var script = Script.run("passive mss \(options.isEmpty ? 1000 : 1012) sack rtt 20ms \(options)")
        script.harness.give(.send(script.connection, Script.pattern(0, write)[...]))
        script.written = write
        script.harness.advance(by: .milliseconds(240))
        let sent = script.harness.drain()
        #expect(sent.count == 12 && sent.last?.header.sequence == script.initialSend &+ 1)
        return script
    }
    private func status(_ script: Script) -> TCPConnectionStatus { script.harness.stack.connectionStatuses()[0] }

    @Test func `RFC 5682 §3.1: segments that arrive without being sent again show that the path was slow`() {
        var script = stalled(write: 20_000)
        #expect(status(script).congestionWindow == 1000)
        script.run(
            """
            +10ms < ack 1001
            # New ones, and not 1001:3001.
            > . 11001:12001 > . 12001:13001
            +1ms < ack 2001
            """)
        // The window is what it was, and what was on its way is on its way.
        #expect(status(script).congestionWindow >= 10_000 && status(script).slowStartThreshold == nil)
        #expect(script.harness.stack.counters.spuriousRecoveries == 1)
        script.run(
            """
            +1ms < ack 10001
            > . 13001:14001 > . 14001:15001 > . 15001:16001 > . 16001:17001 > . 17001:18001 > . 18001:19001
            > P. 19001:20001
            +20ms < ack 20001
            """)
        #expect(script.harness.stack.counters.retransmittedSegments == 1)
    }

    @Test func `RFC 5682 §3.1: SACK of what was sent before the timeout shows it as well`() {
        var script = stalled(write: 20_000)
        script.run(
            """
            +10ms < ack 1001
            > . 11001:12001 > . 12001:13001
            +1ms < ack 1001 sack 2001:3001
            """)
        #expect(script.harness.stack.counters.spuriousRecoveries == 1)
    }

    @Test func `RFC 5682 §3.1: SACK of the new ones alone shows that the old ones are lost`() {
        var script = stalled(write: 20_000)
        script.run(
            """
            +10ms < ack 1001
            > . 11001:12001 > . 12001:13001
            +20ms < ack 1001 sack 11001:12001
            > 1001:2001
            """)
        #expect(script.harness.stack.counters.spuriousRecoveries == 0)
        #expect(status(script).slowStartThreshold == 7700)
    }

    @Test func `RFC 5682 §3.1: a duplicate first, or nothing new to send, and it goes on as after any timeout`() {
        var script = stalled(write: 20_000)
        script.run(
            """
            +10ms < ack 1
            +10ms < ack 1001
            > 1001:2001 > 2001:3001
            """)
        script = stalled(write: 10_000)
        script.run(
            """
            +10ms < ack 1001
            > 1001:2001 > 2001:3001
            """)
    }

    @Test func `RFC 5682 §3.1: not when the timeout is within a recovery`() {
        var script = Script.run("passive mss 1000 sack rtt 20ms")
        script.harness.give(.send(script.connection, Script.pattern(0, 20_000)[...]))
        script.written = 20_000
        script.harness.sent = []
        script.run(
            """
            +20ms < ack 1 sack 1001:4001
            > 1:1001
            +200ms > 1:1001
            +10ms < ack 2001
            > 2001:3001 > 3001:4001 > 4001:5001
            """)
    }

    @Test func `RFC 3522: an echo that is older than the retransmission takes the timeout back at once`() {
        var script = stalled("ts")
        // The harness began at 1 s; the first copies left 20 ms later.
        let offset = script.identity!.timestampOffset
        script.run(
            """
            +10ms < ack 1001 ts 5000:\(offset &+ 1020)
            +1ms < ack 10001 ts 5000:\(offset &+ 1020)
            """)
        #expect(status(script).congestionWindow >= 10_000 && status(script).slowStartThreshold == nil)
        #expect(script.harness.stack.counters.spuriousRecoveries == 1)
        // The back-off ends, as that was a measurement.
        #expect(status(script).backoffs == 0)
    }

    @Test func `RFC 3522: an echo of the retransmission takes nothing back, nor does an older one later`() {
        var script = stalled("ts")
        let offset = script.identity!.timestampOffset
        script.run(
            """
            +10ms < ack 1001 ts 5000:\(offset &+ 1260)
            > 1001:2001 > 2001:3001
            +10ms < ack 2001 ts 5000:\(offset &+ 1020)
            > 3001:4001 > 4001:5001
            """)
        #expect(script.harness.stack.counters.spuriousRecoveries == 0)
    }

    @Test func `RFC 3522: it is the first retransmission that counts, when there were two`() {
        var script = stalled("ts")
        let offset = script.identity!.timestampOffset
        script.run(
            """
            +400ms > 1:1001
            +10ms < ack 1001 ts 5000:\(offset &+ 1260)
            > 1001:2001 > 2001:3001
            """)
        #expect(script.harness.stack.counters.spuriousRecoveries == 0)
        script = stalled("ts")
        script.run("+400ms > 1:1001\n +10ms < ack 1001 ts 5000:\(offset &+ 1020)\n +1ms < ack 10001 ts 5000:\(offset &+ 1020)")
        #expect(script.harness.stack.counters.spuriousRecoveries == 1)
    }

    @Test func `RFC 3522: a fast retransmit for nothing is taken back, too`() {
        var script = Script.run(
            """
            passive mss 1012 sack ts rtt 20ms
            write 5000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > P. 4001:5001
            """)
        let offset = script.identity!.timestampOffset
        script.run(
            """
            +20ms < ack 1 sack 1001:4001 ts 5000:\(offset &+ 1020)
            > 1:1001
            +1ms < ack 4001 ts 5000:\(offset &+ 1020)
            """)
        #expect(script.harness.stack.counters.spuriousRecoveries == 1)
        #expect(status(script).slowStartThreshold == nil && !status(script).inRecovery)
        #expect(script.harness.stack.connections[0]?.rack.isReorderingSeen == true)
    }

    @Test func `RFC 3708: without timestamps D-SACK takes a timeout back, and says nothing of the order of segments`() {
        var script = stalled()
        script.run(
            """
            +10ms < ack 10001
            < ack 10001 sack 1:1001
            """)
        #expect(script.harness.stack.counters.spuriousRecoveries == 1)
        #expect(status(script).congestionWindow >= 10_000 && status(script).slowStartThreshold == nil)
        #expect(script.harness.stack.connections[0]?.rack.isReorderingSeen == false)
    }

    @Test func `RFC 8985 §6.3: what was sent shortly before the timeout is not lost by it`() {
        var script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 2000
            > 1:1001 > P. 1001:2001
            +20ms < ack 2001
            write 3000
            > 2001:3001 > 3001:4001 > P. 4001:5001
            +40ms > P. 4001:5001
            +195ms write 1000
            > P. 5001:6001
            +5ms > 2001:3001
            """)
        // Were 5001:6001 lost, the second acknowledgement would let it out.
        script.run(
            """
            +10ms < ack 3001
            > 3001:4001
            +5ms < ack 5001
            +5ms < ack 6001
            """)
    }

    @Test func `after a timeout what SACK had told is sent again, unless it is told again`() {
        Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 5000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > P. 4001:5001
            +20ms < ack 1 sack 2001:5001
            > 1:1001 > 1001:2001
            +200ms > 1:1001
            # The peer's twin has taken over and knows of nothing.
            +20ms < ack 1001
            > 1001:2001 > 2001:3001
            +20ms < ack 3001
            > 3001:4001 > P. 4001:5001
            +20ms < ack 5001
            """)
    }
}
