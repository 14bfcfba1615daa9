import Machine
import Records
import Testing
import Wire

@testable import TCP

@Suite struct HeldAcknowledgmentTests {
    @Test func `no acknowledgement passes what is committed`() {
        Script.run(
            """
            passive mss 1000
            hold
            < 1:1001 ack 1
            < 1001:2001 ack 1
            +100ms write 100
            > P. 1:101 ack 1
            +100ms commit
            > . 101:101 ack 2001
            """)
    }

    @Test func `a delayed acknowledgement is delayed from the commit on`() {
        Script.run(
            """
            passive mss 1000
            hold
            < 1:101 ack 1
            +30ms commit
            +40ms > . 1:1 ack 101
            """)
    }

    @Test func `the ACK that completes an active open waits for the commit`() {
        var script = Script()
        script.harness.commitsAtOnce = false
        let request = script.request()
        script.harness.give(.connect(request))
        script.run(
            """
            > S 0:1 win 65535 mss 1460 sackOK wscale 6 ts
            < S. 0:1 ack 1 mss 1000
            record connected
            +100ms < S. 0:1 ack 1 mss 1000
            +100ms commit
            > . 1:1 ack 1
            """)
    }

    @Test func `FIN is acknowledged when its record is committed`() {
        Script.run(
            """
            passive mss 1000
            hold
            < F. 1:101 ack 1
            record received 99 peerFinished
            +1s commit
            > . 1:1 ack 101
            """)
    }

    @Test func `a segment sent again before its commit is not answered until then`() {
        Script.run(
            """
            passive mss 1000
            hold
            < 1:1001 ack 1
            +10ms < 1:1001 ack 1
            +10ms commit
            > . 1:1 ack 1001
            < 1:1001 ack 1
            > . 1:1 ack 1001
            """)
    }

    @Test func `duplicate ACKs with SACK wait for the commit, for they would read as loss`() {
        Script.run(
            """
            passive mss 1000 sack
            hold
            < 1:2001 ack 1
            < 3001:4001 ack 1
            < 4001:5001 ack 1
            +1ms write 10
            > P. 1:11 ack 1 nosack
            +1ms commit
            > . 11:11 ack 2001 sack 3001:5001
            """)
    }

    @Test func `commits in part acknowledge in part`() {
        var script = Script.run(
            """
            passive mss 1000
            hold
            < 1:1001 ack 1
            < 1001:2001 ack 1
            < 2001:3001 ack 1
            < 3001:4001 ack 1
            """)
        script.harness.give(.committed(LogIndex(script.harness.index - 2)))
        script.run("+0 > . 1:1 ack 2001")
        script.run("commit\n> . 1:1 ack 4001")
    }

    @Test func `a standby that never answers stops the peer at the edge of the window`() {
        var configuration = TCPConfiguration()
        configuration.receiveBuffer = 10_000
        let script = Script.run(
            """
            passive mss 1000
            hold
            < 1:5001 ack 1
            < 5001:10001 ack 1
            < 10001:15001 ack 1
            > . 1:1 ack 1
            """, Harness(configuration: configuration))
        #expect(script.harness.received.count == 10_000)
        #expect(script.harness.stack.connectionStatuses()[0].heldBack == 10_000)
    }

    @Test func `RST in answer to an acknowledgement that lags is believed`() {
        Script.run(
            """
            passive mss 1000
            hold
            < 1:1001 ack 1
            write 10
            > P. 1:11 ack 1
            < R 1:1
            record received 1000 closed.resetByPeer
            """)
    }

    @Test func `single octets with slow commits make a bounded number of records`() {
        var script = Script.run("passive mss 1000\nhold")
        for i in 1...3000 { script.harness.receive(script.segment(["\(i):\(i + 1)", "ack", "1"])) }
        #expect(script.harness.records.count == 1 + TCPConfiguration().recordsUncommitted)
        script.harness.commitAll()
        script.harness.commitAll()
        #expect(script.harness.received == Script.pattern(0, 3000))
        #expect(script.harness.records.count == 2 + TCPConfiguration().recordsUncommitted)
        #expect(script.harness.drain().last?.header.acknowledgment == script.initialReceive &+ 3001)
    }

    @Test func `a connection in LAST-ACK stays until the peer's FIN is acknowledged`() {
        Script.run(
            """
            passive mss 1000
            hold
            < F. 1:2 ack 1
            finish
            > F. 1:2 ack 1
            < . 2:2 ack 2
            record peerFinished closed.finished
            +10ms < F. 1:2 ack 2
            commit
            > . 2:2 ack 2
            < F. 1:2 ack 2
            > . 2:2 ack 2
            """)
    }
}
