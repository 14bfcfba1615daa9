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
            > S. 0:1 ack 1 win 65535 mss 1460 sackOK wscale 6 ts ecr 5
            record
            < . 1:1 ack 1 win 1000 ts 6:0
            record accepted
            """)
        guard case .tcpAccepted(let id, let identity) = script.harness.records[0] else { return #expect(Bool(false)) }
        #expect(id == ConnectionID(2))
        #expect(identity.peerMaximumSegmentSize == 1460)
        #expect(identity.peerWindowShift == 7)
        #expect(identity.windowShift == 6)
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

@Suite struct ActiveOpenTests {
    @Test func `an active open sends SYN, again when nobody answers, and is given up after three minutes`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        script.run(
            """
            > S 0:1 win 65535 mss 1460 sackOK wscale 6 ts
            +1s > S 0:1
            +2s > S 0:1
            +4s > S 0:1
            +8s > S 0:1
            +16s > S 0:1
            +32s > S 0:1
            +60s > S 0:1
            +57s record closed.timedOut
            """)
    }

    @Test func `RST refuses a connect only when it acknowledges our SYN`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        script.run(
            """
            > S 0:1
            < R. 0:0 ack 99
            record
            < R 0:0
            record
            < R. 0:0 ack 1
            record closed.refused
            """)
    }

    @Test func `a SYN-ACK that acknowledges something else gets RST`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        script.run(
            """
            > S 0:1
            < S. 0:1 ack 500
            > R 500:500
            < S. 0:1 ack 1 mss 1000
            > . 1:1 ack 1
            record connected
            """)
    }

    @Test func `RFC 9293 §3.5: simultaneous open`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        script.run(
            """
            > S 0:1
            < S 0:1 mss 1000 wscale 2
            > S. 0:1 ack 1
            record
            < S. 0:1 ack 1 win 1000
            > . 1:1 ack 1
            record connected
            """)
        script.establish()
        script.run(
            """
            write 10
            > P. 1:11 ack 1
            """)
    }

    @Test func `RFC 5961 in SYN-RECEIVED: a RST or SYN that is not exact is challenged, an exact RST refuses`() {
        var script = Script()
        script.harness.give(.connect(script.request()))
        script.run(
            """
            > S 0:1
            < S 0:1 mss 1000 wscale 2
            > S. 0:1 ack 1
            < R 100:100
            > . 1:1 ack 1
            < S 50:51
            > . 1:1 ack 1
            < . 900000:900000 ack 1
            > . 1:1 ack 1
            < R 2000000:2000000
            record
            < R 1:1
            record closed.refused
            """)
        #expect(script.harness.stack.counters.challengesOut == 3)
    }

    @Test func `a simultaneous open that a twin left behind is begun anew`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        var image = LineCardImage()
        image.pendingConnects = [request]
        script.run(
            """
            > S 0:1
            < S 0:1 mss 1000
            > S. 0:1 ack 1
            """)
        script.harness.give(.restore(image))
        // The peer is established and answers the SYN with a challenge.
        script.run(
            """
            > S 0:1
            < . 1:1 ack 1
            > R 1:1
            record
            +1s > S 0:1
            < S. 0:1 ack 1 mss 1000
            > . 1:1 ack 1
            record connected
            """)
        // Who connects for the first time has no twin, and RFC 9293 §3.10.7.3, fifth, holds.
        script = Script()
        script.harness.give(.connect(script.request()))
        script.run(
            """
            > S 0:1
            < . 1:1 ack 1
            record
            """)
    }

    @Test func `what is written before the connection is there goes when it is`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        script.connection = request.connection
        script.run(
            """
            > S 0:1
            write 10
            < S. 0:1 ack 1 mss 1000
            > P. 1:11 ack 1
            """)
    }

    @Test func `an address without a neighbour ends a connect`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        script.harness.give(.neighborUnreachable(Harness.interface, Harness.remote))
        #expect(script.harness.closedReasons == [.unreachable])
        #expect(script.harness.stack.nextDeadline == nil)
    }

    @Test func `aborting a connect leaves nothing`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        script.harness.sent = []
        script.harness.give(.abort(request.connection))
        #expect(script.harness.sent.isEmpty)
        #expect(script.harness.records.isEmpty)
        #expect(script.harness.stack.connectionStatuses().isEmpty)
    }

    @Test func `a bare pseudo-header sum is accepted as a checksum and counted`() {
        var script = Script()
        var bytes = script.segment(["S", "0:1", "mss", "1000"])
        var sum = InternetChecksum()
        PseudoHeader(source: Harness.remote, destination: Harness.local, length: bytes.count).sum(into: &sum)
        bytes[16] = UInt8(sum.folded >> 8)
        bytes[17] = UInt8(sum.folded & 255)
        script.harness.receive(bytes)
        #expect(script.harness.drain().count == 1)
        #expect(script.harness.stack.counters.unfinishedChecksums == 1)
        bytes[16] ^= 0x55
        script.harness.receive(bytes)
        #expect(script.harness.stack.counters.droppedChecksum == 1)
    }
}

@Suite struct IPv6Tests {
    private let local = IPAddress("fe80::1")!
    private let remote = IPAddress("fe80::2")!

    private func segment(_ flags: SegmentFlags, _ sequence: UInt32, _ acknowledgment: UInt32) -> [UInt8] {
        var s = OutgoingSegment(localPort: 5000, remotePort: 179, sequence: sequence, flags: flags)
        s.acknowledgment = acknowledgment
        s.window = 1000
        return s.write(
            headroom: 0, local: remote, remote: local, stream: TransmitStream(), offset: 0, count: 0, signature: nil)
    }

    @Test func `a link-local peer is known by its interface, and answered on it`() throws {
        var configuration = TCPConfiguration()
        configuration.headroom = 58
        var stack = TCPStack(configuration: configuration)
        var effects: [TCPEffect] = []
        stack.handle(
            .listeners([Listener(local: local, localPort: 179, remote: remote, options: TransportOptions())]), at: .zero,
            into: &effects)
        func give(_ bytes: [UInt8], _ interface: UInt16) {
            stack.receive(
                bytes.span.bytes, from: remote, to: local, interface: InterfaceID(interface), hopLimit: 255, at: .zero,
                into: &effects)
        }
        give(segment(.syn, 100, 0), 3)
        guard case .transmit(let answer)? = effects.first else {
            Issue.record("no SYN-ACK")
            return
        }
        #expect(answer.interface == InterfaceID(3))
        #expect(answer.remote == remote)
        let octets = Array(answer.bytes[58...])
        let header = try SegmentHeader(octets.span.bytes)
        #expect(header.flags == [.syn, .ack])
        // RFC 9293 §3.7.1: the MTU less 60.
        #expect(header.maximumSegmentSize == 1440)
        effects = []
        // The same addresses on another link are somebody else.
        give(segment(.ack, 101, header.sequence &+ 1), 4)
        #expect(stack.counters.accepted == 0)
        give(segment(.ack, 101, header.sequence &+ 1), 3)
        #expect(stack.counters.accepted == 1)
        #expect(stack.connectionStatuses()[0].maximumSegmentSize == 1220)
    }
}
