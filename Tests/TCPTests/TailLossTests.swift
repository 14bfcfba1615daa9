import Machine
import Records
import Testing
import Wire

@testable import TCP

/// RFC 8985 §7: tail loss probes.
@Suite struct TailLossTests {
    @Test func `§7.3: the last segment goes again after two round trips, and its SACK shows what is lost before it`() {
        let script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 5000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > P. 4001:5001
            +20ms < ack 2001
            # Of 2001:5001 only the probe arrives.
            +40ms > P. 4001:5001
            +20ms < ack 2001 sack 4001:5001
            > 2001:3001
            +20ms < ack 3001 sack 4001:5001
            > 3001:4001
            +20ms < ack 5001
            record acknowledged 2000 acknowledged 3000 acknowledged 5000
            """)
        #expect(script.harness.stack.counters.retransmissionTimeouts == 0)
        #expect(script.harness.stack.counters.tailLossProbes == 1)
        #expect(script.harness.stack.counters.fastRetransmits == 1)
    }

    @Test func `§7.3: what was never sent goes before what was, whatever the congestion window says`() {
        let script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 20000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            > 5001:6001 > 6001:7001 > 7001:8001 > 8001:9001 > 9001:10001
            +40ms > . 10001:11001
            +20ms < ack 1 sack 10001:11001
            > 1:1001
            """)
        #expect(script.harness.stack.counters.tailLossProbes == 1)
    }

    @Test func `§7.3: what the peer's window does not allow is no probe; the last segment is`() {
        Script.run(
            """
            passive mss 1000 sack win 3000 rtt 20ms
            write 5000
            > 1:1001 > 1001:2001 > 2001:3001
            +40ms > . 2001:3001
            +20ms < ack 3001 win 3000
            > 3001:4001 > P. 4001:5001
            +20ms < ack 5001
            """)
    }

    @Test func `a FIN is probed for like an octet`() {
        Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 2500
            > 1:1001 > 1001:2001 > P. 2001:2501
            finish
            > F. 2501:2502
            +40ms > F. 2501:2502
            +20ms < ack 2502
            """)
    }

    @Test func `§7.2: the ACK of less than two segments may be kept, so that the probe goes in place of the first timeout`() {
        let script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 100
            > P. 1:101
            write 100
            > P. 101:201
            +200ms > P. 101:201
            # RTO begins with the probe, and is not doubled by it.
            +200ms > 1:101 > P. 101:201
            """)
        #expect(script.harness.stack.counters.tailLossProbes == 1)
        #expect(script.harness.stack.counters.retransmissionTimeouts == 1)
    }

    @Test func `§7.2: on a LAN a probe waits for a few milliseconds`() {
        Script.run(
            """
            passive mss 1000 sack rtt 100us
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            +10ms > P. 2001:3001
            """)
    }

    @Test func `§7.3: one probe until a round trip is measured, and then RTO`() {
        let script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            +40ms > P. 2001:3001
            +200ms > 1:1001
            +400ms > 1:1001
            """)
        #expect(script.harness.stack.counters.tailLossProbes == 1)
    }

    @Test func `without SACK there is no probe`() {
        Script.run(
            """
            passive mss 1000 rtt 20ms
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            +200ms > 1:1001
            """)
    }

    @Test func `§7.2: with something SACKed the reordering timer looks after the rest`() {
        let script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            +20ms < ack 1 sack 2001:3001
            +5ms > 1:1001
            +20ms < ack 1001 sack 2001:3001
            > 1001:2001
            +20ms < ack 3001
            """)
        #expect(script.harness.stack.counters.tailLossProbes == 0)
    }

    /// Three segments, of which the last goes again as a probe, and what the window is then.
    private func probed(_ text: String) -> (before: Int, after: Int) {
        var script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            +40ms > P. 2001:3001
            """)
        let before = script.harness.stack.connectionStatuses()[0].congestionWindow
        script.run(text)
        return (before, script.harness.stack.connectionStatuses()[0].congestionWindow)
    }

    @Test func `§7.4.2: a loss that the probe has mended reduces the window`() {
        let (before, after) = probed(
            """
            +20ms < ack 3001
            write 100
            > P. 3001:3101
            +20ms < ack 3101
            """)
        #expect(after < before)
    }

    @Test func `§7.4.2, case 1: a probe that came twice reduces nothing`() {
        let (before, after) = probed(
            """
            < ack 3001
            +20ms < ack 3001 sack 2001:3001
            write 100
            > P. 3001:3101
            +20ms < ack 3101
            """)
        #expect(after >= before)
    }

    @Test func `§7.4.2, case 2: so does a duplicate ACK without SACK`() {
        let (before, after) = probed(
            """
            < ack 3001
            +20ms < ack 3001
            write 100
            > P. 3001:3101
            +20ms < ack 3101
            """)
        #expect(after >= before)
    }

    @Test func `a probe that came twice does not widen the reordering window`() {
        var script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            +40ms > P. 2001:3001
            < ack 3001
            +20ms < ack 3001 sack 2001:3001
            """)
        #expect(script.harness.stack.connections[0]?.rack.widening == 1)
        script.run("+1ms < ack 3001 sack 1001:2001")
        #expect(script.harness.stack.connections[0]?.rack.widening == 2)
    }

    @Test func `after a takeover nothing is measured, so that RTO comes and no probe`() {
        let script = Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            restore una 0 end 3000 received 0
            > 1:1001 > . 0:0
            +250ms > 1:1001
            """)
        #expect(script.harness.stack.counters.tailLossProbes == 0)
    }
}
