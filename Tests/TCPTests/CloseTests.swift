import Machine
import Records
import Testing
import Wire

@testable import TCP

@Suite struct CloseTests {
    @Test func `active close goes through FIN-WAIT-1 and FIN-WAIT-2 to TIME-WAIT`() {
        Script.run(
            """
            passive mss 1460
            finish
            > F. 1:2 ack 1
            < ack 2
            +1s < F. 1:2 ack 2
            > . 2:2 ack 2
            record peerFinished closed.finished
            +1s < F. 1:2 ack 2
            > . 2:2 ack 2
            +70s < . 2:2 ack 2
            > R 2:2
            """)
    }

    @Test func `passive close goes through CLOSE-WAIT and LAST-ACK`() {
        Script.run(
            """
            passive mss 1460
            < F. 1:2 ack 1
            > . 1:1 ack 2
            record peerFinished
            +1s write 10
            > P. 1:11 ack 2
            finish
            > F. 11:12 ack 2
            < . 2:2 ack 12
            record closed.finished
            """)
    }

    @Test func `simultaneous close goes through CLOSING`() {
        Script.run(
            """
            passive mss 1460
            finish
            > F. 1:2 ack 1
            < F. 1:2 ack 1
            > . 2:2 ack 2
            < . 2:2 ack 2
            record peerFinished closed.finished
            """)
    }

    @Test func `a half-closed connection goes on receiving`() {
        Script.run(
            """
            passive mss 1000
            finish
            > F. 1:2 ack 1
            < . 1:1 ack 2
            +1s < . 1:1001 ack 2
            +0 < . 1001:2001 ack 2
            > . 2:2 ack 2001
            record received 1000 received 1000
            """)
    }

    @Test func `FIN goes with the last octets`() {
        Script.run(
            """
            passive mss 1000
            write 500
            > P. 1:501 ack 1
            finish
            > F. 501:502 ack 1
            """)
    }

    @Test func `a peer that stays silent in FIN-WAIT-2 is given up`() {
        Script.run(
            """
            passive mss 1000
            finish
            > F. 1:2 ack 1
            < . 1:1 ack 2
            +60s > R. 2:2 ack 1
            record closed.timedOut
            """)
    }

    @Test func `abort sends RST and leaves no record`() {
        Script.run(
            """
            passive mss 1000
            write 10
            > P. 1:11
            abort
            > R. 11:11 ack 1
            record
            < . 1:1 ack 11
            > R 11:11
            """)
    }

    @Test func `a SYN with a later sequence number opens a connection in TIME-WAIT anew`() {
        let script = Script.run(
            """
            passive mss 1000
            finish
            > F. 1:2 ack 1
            < F. 1:2 ack 2
            > . 2:2 ack 2
            record peerFinished closed.finished
            < S 5000:5001 mss 1000
            > S. ack 5001
            """)
        #expect(script.harness.stack.halfOpenConnections == 1)
    }
}
