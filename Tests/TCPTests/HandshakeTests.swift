import Machine
import Records
import Testing
import Wire

@testable import TCP

@Suite struct HandshakeTests {
    @Test func `a passive open answers SYN with SYN-ACK and is accepted at the third segment`() {
        let script = Script.run(
            """
            < S 0:1 win 1000 mss 1460 sackOK wscale 7 ts 5:0
            > S. 0:1 ack 1 win 65535 mss 1460 sackOK wscale 5 ts ecr 5
            record
            < . 1:1 ack 1 win 1000 ts 6:0
            record accepted
            """)
        guard case .tcpAccepted(let id, let identity) = script.harness.records[0] else { return #expect(Bool(false)) }
        #expect(id == ConnectionID(2))
        #expect(identity.peerMaximumSegmentSize == 1460)
        #expect(identity.peerWindowShift == 7)
        #expect(identity.windowShift == 5)
        #expect(identity.selectiveAcknowledgment && identity.timestamps)
        #expect(identity.initialReceiveSequence == script.initialReceive)
    }

    @Test func `options that the peer does not offer are not in our SYN-ACK`() {
        Script.run(
            """
            < S 0:1 win 1000
            > S. 0:1 ack 1 wscale none nots
            < . 1:1 ack 1
            record accepted
            """)
    }
}
