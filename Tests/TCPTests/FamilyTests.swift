import Machine
import Records
import Testing
import Wire

@testable import TCP

/// The families of packet scripts that stacks are measured by, as far as no other suite has them.
@Suite struct FamilyTests {
    // MARK: options

    @Test func `RFC 3168 §6.1.1: a SYN that asks for ECN is answered without, and ECN bits of others are not read`() {
        Script.run(
            """
            < SEW 0:1 win 1000 mss 1000 sackOK
            > S. 0:1 ack 1 mss 1460
            < . 1:1 ack 1
            record accepted
            < PE. 1:101 ack 1
            +40ms > . 1:1 ack 101
            < PW. 101:201 ack 1
            +40ms > . 1:1 ack 201
            record received 100 received 100
            """)
    }

    @Test func `RFC 7323 §2.3: a shift of more than 14 is 14, and a window without the option is not scaled`() {
        let script = Script.run("passive mss 1000 wscale 15 win 1")
        #expect(script.harness.stack.connectionStatuses()[0].sendWindow == 1 << 14)
        Script.run(
            """
            passive mss 1000 win 500
            write 3000
            > 1:501
            +10ms < ack 501 win 600
            > 501:1101
            +10ms < ack 1101 win 10000
            > 1101:2101 > P. 2101:3001
            """)
    }

    @Test func `RFC 7323 §2.2: the window of a SYN-ACK is never scaled`() {
        var script = Script()
        script.harness.give(.connect(script.request()))
        script.run(
            """
            > S 0:1 wscale 6
            +10ms < S. 0:1 ack 1 mss 1000 wscale 10 win 2000
            > . 1:1 ack 1
            """)
        #expect(script.harness.stack.connectionStatuses()[0].sendWindow == 2000)
    }

    @Test func `RFC 7323 §3.2: timestamps that were not agreed on are not read; agreed on, a segment without is dropped`() {
        Script.run(
            """
            passive mss 1000
            < P. 1:101 ack 1 ts 5000:1
            +40ms > . 1:1 ack 101 nots
            < P. 101:201 ack 1 ts 1:1
            +40ms > . 1:1 ack 201 nots
            record received 100 received 100
            """)
        let script = Script.run(
            """
            passive mss 1000 ts
            < P. 1:101 ack 1 nots
            +1s < P. 1:101 ack 1
            +40ms > . 1:1 ack 101 ts
            record received 100
            """)
        #expect(script.harness.stack.counters.droppedOldTimestamp == 1)
        // RFC 7323 §3.2: but a RST is believed.
        Script.run("passive mss 1000 ts\n < R. 1:1 ack 1 nots\n record closed.resetByPeer")
    }

    @Test func `RFC 7323 §5.3: a segment with an old timestamp is dropped, be it in the window, but for a RST`() {
        Script.run(
            """
            passive mss 1000 ts rtt 0ms
            < P. 1:101 ack 1 ts 9000:0
            +40ms > . 1:1 ack 101 ecr 9000
            < P. 101:201 ack 1 ts 8999:0
            > . 1:1 ack 101 ecr 9000
            < P. 101:201 ack 1 ts 9000:0
            +40ms > . 1:1 ack 201
            < R. 201:201 ack 1 ts 1:0
            record received 100 received 100 closed.resetByPeer
            """)
    }

    @Test func `RFC 7323 §5.5: after 24 days an old timestamp is as good as any`() {
        var script = Script.run(
            """
            passive mss 1000 ts rtt 0ms
            < P. 1:101 ack 1 ts 9000:0
            +40ms > . 1:1 ack 101
            """)
        script.harness.advance(by: .seconds(24 * 24 * 3600))
        script.run("< P. 101:201 ack 1 ts 5:0\n +40ms > . 1:1 ack 201 ecr 5\n record received 100 received 100")
    }

    @Test func `RFC 9293 §3.7.1: without an MSS option segments are 536 octets, and a large one is cut to our link`() {
        Script.run("passive\n write 1100\n > 1:537 > 537:1073 > P. 1073:1101\n +10ms < ack 1101")
        Script.run("passive mss 9000\n write 2000\n > 1:1461 > P. 1461:2001\n +10ms < ack 2001")
    }

    @Test func `RFC 6691: timestamps come out of the MSS, and SACK blocks out of a segment that carries them`() {
        Script.run(
            """
            passive mss 1000 ts sack
            < 1001:2001 ack 1
            > . 1:1 ack 1 sack 1001:2001
            write 2000
            > . 1:977 ack 1 sack 1001:2001 > . 977:1953 ack 1 sack 1001:2001 > P. 1953:2001 sack 1001:2001
            """)
    }

    // MARK: keep-alive and probes of the peer

    @Test func `RFC 9293 §3.8.4: a keep-alive is answered, with an old octet or without`() {
        Script.run(
            """
            passive mss 1000
            < P. 1:101 ack 1
            +40ms > . 1:1 ack 101
            +60s < . 100:100 ack 1
            > . 1:1 ack 101
            +60s < . 100:101 ack 1
            > . 1:1 ack 101
            record received 100
            """)
    }

    @Test func `RFC 9293 §3.8.6.1: a probe of our shut window is answered with where we are, and its octet is not taken`() {
        var configuration = TCPConfiguration()
        configuration.receiveBuffer = 4096
        configuration.receiveBufferMaximum = 4096
        var script = Script(Harness(configuration: configuration))
        script.run("passive mss 1024 win 65535 wscale 0\n hold")
        script.run("< 1:1025 ack 1\n < 1025:2049 ack 1\n < 2049:3073 ack 1\n < 3073:4097 ack 1")
        script.harness.sent = []
        let records = script.harness.records.count
        script.harness.receive(script.segment(["P.", "4097:4098", "ack", "1"]))
        let answer = script.harness.drain()
        #expect(answer.count == 1 && answer[0].payload.isEmpty)
        #expect(script.harness.records.count == records)
    }

    // MARK: windows

    @Test func `RFC 9293 §3.8.6.2.1: a window opened by little lets nothing out while data is on its way`() {
        Script.run(
            """
            passive mss 1000 win 4000
            write 10000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001
            +10ms < ack 1001 win 3300
            +10ms < ack 1001 win 4000
            > 4001:5001
            """)
    }

    @Test func `Nagle is off: small writes go as they come, and those of one turn together`() {
        var script = Script.run("passive mss 1000\n write 10\n > P. 1:11\n write 10\n > P. 11:21\n write 1\n > P. 21:22")
        for i in 0..<3 { script.harness.handle(.send(script.connection, Script.pattern(21 + 10 * i, 10)[...])) }
        script.harness.finishTurn()
        script.run("> P. 22:52")
    }

    @Test func `RFC 3042 with SACK: each of the first two reports lets a new segment out, for it has left the path`() {
        Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 30000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            > 5001:6001 > 6001:7001 > 7001:8001 > 8001:9001 > 9001:10001
            +20ms < ack 1 sack 1001:2001
            > 10001:11001
            < ack 1 sack 1001:3001
            > 11001:12001
            < ack 1 sack 1001:4001
            > 1:1001
            """)
    }

    @Test func `ranges that SACK reports in any order grow together, and what is missing is waited for`() {
        Script.run(
            """
            passive mss 1000 sack rtt 20ms
            write 10000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            > 5001:6001 > 6001:7001 > 7001:8001 > 8001:9001 > P. 9001:10001
            +20ms < ack 1 sack 8001:9001
            < ack 1 sack 6001:7001 8001:9001
            < ack 1 sack 7001:8001 6001:7001 8001:9001
            < ack 1 sack 4001:9001
            < ack 1 sack 2001:3001 4001:9001
            # Reordering was seen: three reports prove nothing, a quarter of a round trip does.
            +5ms > 1:1001
            +20ms < ack 10001
            """)
    }

    // MARK: closing

    @Test func `FIN that comes again is acknowledged again, in CLOSE-WAIT and in TIME-WAIT`() {
        Script.run(
            """
            passive mss 1000
            < F. 1:2 ack 1
            > . 1:1 ack 2
            +200ms < F. 1:2 ack 1
            > . 1:1 ack 2
            finish
            > F. 1:2 ack 2
            +10ms < ack 2
            record peerFinished closed.finished
            """)
        Script.run(
            """
            passive mss 1000
            finish
            > F. 1:2 ack 1
            +10ms < ack 2
            +10ms < F. 1:2 ack 2
            > . 2:2 ack 2
            +1s < F. 1:2 ack 2
            > . 2:2 ack 2
            """)
    }

    @Test func `after the peer's FIN we go on sending, with loss and all`() {
        Script.run(
            """
            passive mss 1000
            < F. 1:2 ack 1
            > . 1:1 ack 2
            write 2000
            > 1:1001 ack 2 > P. 1001:2001 ack 2
            +200ms > 1:1001
            +10ms < ack 2001
            finish
            > F. 2001:2002 ack 2
            +400ms > F. 2001:2002
            +10ms < ack 2002
            """)
    }

    @Test func `data with FIN that comes before what is missing closes only when that has come`() {
        Script.run(
            """
            passive mss 1000
            < F. 101:202 ack 1
            > . 1:1 ack 1
            record
            < P. 1:101 ack 1
            > . 1:1 ack 202
            record received 200 peerFinished
            """)
    }

    @Test func `RFC 9293 §3.10.7.4: what comes after FIN is no data, and a FIN elsewhere does not move it`() {
        Script.run(
            """
            passive mss 1000
            < F. 1:102 ack 1
            > . 1:1 ack 102
            < P. 102:202 ack 1
            > . 1:1 ack 102
            < F. 202:203 ack 1
            > . 1:1 ack 102
            record received 100 peerFinished
            """)
    }

    // MARK: opening

    @Test func `data on a SYN is left for the peer to send again`() {
        Script.run(
            """
            < S 0:101 win 1000 mss 1000
            > S. 0:1 ack 1
            < P. 1:101 ack 1
            +40ms > . 1:1 ack 101
            record accepted received 100
            """)
    }

    @Test func `a SYN that comes again gets the same SYN-ACK, and the third segment may carry data and FIN`() {
        Script.run(
            """
            < S 0:1 win 1000 mss 1000
            > S. 0:1 ack 1
            +500ms < S 0:1 win 1000 mss 1000
            > S. 0:1 ack 1
            < F. 1:102 ack 1
            > . 1:1 ack 102
            record accepted received 100 peerFinished
            """)
    }

    // MARK: RTO

    @Test func `RFC 6298 §5.3: each new acknowledgement begins RTO anew`() {
        Script.run(
            """
            passive mss 1000 rtt 20ms
            write 3000
            > 1:1001 > 1001:2001 > P. 2001:3001
            +150ms < ack 1001
            +150ms < ack 2001
            +200ms > P. 2001:3001
            """)
    }
}
