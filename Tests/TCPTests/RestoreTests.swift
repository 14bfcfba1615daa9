import Machine
import Records
import Testing
import Wire

@testable import TCP

@Suite struct RestoreTests {
    @Test func `an idle connection announces itself by an ACK and three duplicates`() {
        Script.run(
            """
            passive mss 1000
            restore una 0 end 0 received 0
            > . 1:1 ack 1 > . 1:1 ack 1 > . 1:1 ack 1 > . 1:1 ack 1
            < 1:101 ack 1
            +40ms > . 1:1 ack 101
            record received 100
            """)
    }

    @Test func `the oldest unacknowledged segment goes at once with a question, and the rest as the answer allows`() {
        Script.run(
            """
            passive mss 1000
            restore una 500 end 2700 received 100
            > . 501:1501 ack 101
            > . 500:500 ack 101
            +1ms < 101:101 ack 501 win 2000
            > . 1501:2501 ack 101
            > . ack 101 > . ack 101 > . ack 101
            +1ms < 101:101 ack 2501 win 3000
            > P. 2501:2701 ack 101
            """)
    }

    @Test func `the answer may say that the twin sent it all`() {
        Script.run(
            """
            passive mss 1000
            restore una 500 end 2700 received 100
            > . 501:1501 ack 101
            > . 500:500 ack 101
            +1ms < 101:101 ack 2701
            > . ack 101 > . ack 101 > . ack 101
            record acknowledged 2700
            """)
    }

    @Test func `the peer may acknowledge what only the twin sent`() {
        Script.run(
            """
            passive mss 1000 win 65535
            restore una 0 end 40000 received 0
            > 1:1001
            > . 0:0 ack 1
            +1ms < 1:1 ack 39001 win 5000
            > P. 39001:40001
            > . ack 1 > . ack 1 > . ack 1
            record acknowledged 39000
            +1ms < 1:1 ack 40001
            record acknowledged 40000
            """)
    }

    @Test func `what the twin lost comes again by the short timer`() {
        Script.run(
            """
            passive mss 1000
            restore una 0 end 100 received 0
            > P. 1:101 > . 0:0
            +250ms > P. 1:101
            """)
    }

    @Test func `a shut window is obeyed by the twin`() {
        for options in ["", "sack ts"] {
            var script = Script.run("passive mss 1000 win 5000 \(options)")
            script.harness.give(.send(script.connection, Script.pattern(0, 20_000)[...]))
            let first = script.harness.drain()
            let una = 1 + first.reduce(0) { $0 + $1.payload.count }
            script.run("< ack \(una) win 0")
            let size = first[0].payload.count
            script.run(
                """
                restore una \(una - 1) end 20000 received 0
                > \(una):\(una + size)
                > . \(una - 1):\(una - 1)
                +1ms < ack \(una) win 0
                > . ack 1 > . ack 1 > . ack 1
                +249ms > \(una):\(una + 1)
                < ack \(una) win 0
                +500ms > \(una):\(una + 1)
                < ack \(una) win 1100
                > . \(una):\(una + size)
                """)
        }
    }

    @Test func `a RST after a takeover is exact, or becomes exact by the peer's answer`() {
        Script.run(
            """
            passive mss 1000
            restore una 500 end 40000 received 0
            > 501:1501
            > . 500:500
            abort
            > R. 501:501 ack 1
            > . 500:500 ack 1
            < ack 30001
            > R 30001:30001
            """)
        // The same where the answer has come already.
        Script.run(
            """
            passive mss 1000
            restore una 500 end 40000 received 0
            > 501:1501
            > . 500:500
            < 1:1 ack 39001 win 200
            > . 39201:39201 ack 1 > . ack 1 > . ack 1
            abort
            > R. 39200:39200 ack 1
            """)
    }

    @Test func `a RST never lies beyond the window, and is SND.NXT within it`() {
        Script.run(
            """
            passive mss 1000 win 5000
            write 20000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            < ack 1001 win 2000
            abort
            > R. 3000:3000 ack 1
            """)
        Script.run(
            """
            passive mss 1000 win 5000
            write 2000
            > 1:1001 > 1001:2001
            abort
            > R. 2001:2001 ack 1
            """)
        Script.run(
            """
            passive mss 1000 win 1000
            write 2000
            > 1:1001
            < ack 1001 win 0
            +200ms > 1001:1002
            abort
            > R. 1001:1001 ack 1
            """)
    }

    // MARK: connections that are in no record

    private static func image(_ script: Script) -> LineCardImage {
        var image = LineCardImage()
        image.sequenceSecret = 0x1234
        image.interfaces = script.harness.stack.interfaces
        image.listeners = [
            Listener(local: Harness.local, localPort: 179, remote: Harness.remote, options: TransportOptions())
        ]
        image.nextAcceptedConnection = ConnectionID(2)
        return image
    }

    @Test(arguments: ["mss 1460 sackOK wscale 7 ts 5:0", "mss 1460", "", "mss 536 wscale 0", "mss 9000 sackOK wscale 14"])
    func `a handshake that the twin left half open is completed`(_ offer: String) {
        var script = Script()
        script.harness.receive(script.segment(["S", "0:1"] + offer.split(separator: " ").map(String.init)))
        let answer = script.harness.drain()[0].header
        script.initialSend = answer.sequence
        script.harness.advance(by: .seconds(3))
        script.harness.sent = []
        script.harness.give(.restore(Self.image(script)))
        let ts = offer.contains("ts") ? "ts 3005:\(answer.timestampValue)" : ""
        // The peer is established and writes; what it says first was lost with the twin.
        script.run(
            """
            < P. 101:201 ack 1 \(ts)
            record
            +200ms < P. 1:101 ack 1 \(ts)
            record accepted received 100
            +40ms > . 1:1 ack 101
            < P. 101:201 ack 1 \(ts)
            """)
        script.establish()
        let identity = script.identity!
        #expect(identity.initialSendSequence == answer.sequence)
        #expect(identity.initialReceiveSequence == script.initialReceive)
        #expect(identity.timestamps == offer.contains("ts"))
        #expect(identity.selectiveAcknowledgment == offer.contains("sackOK"))
        #expect(
            identity.peerWindowShift
                == (offer.contains("wscale 7") ? 7 : offer.contains("wscale 14") ? 14 : offer.contains("wscale") ? 0 : nil))
        #expect(identity.peerMaximumSegmentSize == (offer.contains("1460") ? 1460 : offer.contains("9000") ? 8940 : 536))
    }

    @Test func `an old connection of which the router that began anew knows nothing hears so within seconds`() {
        var script = Script()
        script.harness.receive(script.segment(["S", "0:1"]))
        script.initialSend = script.harness.drain()[0].header.sequence
        script.harness.advance(by: .seconds(3))
        script.harness.sent = []
        script.harness.give(.restore(Self.image(script)))
        // Far into its streams: nothing that the peer says completes a handshake. For a moment it might be one.
        script.run(
            """
            < P. 5001:5020 ack 3001
            +5s < P. 5001:5020 ack 3001
            > R 3001:3001
            """)
    }

    @Test func `an acknowledgement that no twin can have asked for gets RST`() {
        var script = Script()
        script.harness.receive(script.segment(["S", "0:1"]))
        script.initialSend = script.harness.drain()[0].header.sequence
        script.harness.advance(by: .seconds(80))
        script.harness.sent = []
        script.harness.give(.restore(Self.image(script)))
        // Too old.
        script.run("< . 1:1 ack 1\n> R 1:1")
        // Too late: the peer has given up by then.
        script.harness.receive(script.segment(["S", "0:1"]))
        script.initialSend = script.harness.drain()[0].header.sequence
        script.harness.give(.restore(Self.image(script)))
        script.harness.advance(by: .seconds(64))
        script.run("< . 1:1 ack 1\n> R 1:1\nrecord")
    }

    @Test func `a guess opens nothing`() {
        var script = Script()
        var random = RandomNumbers(seed: 4)
        script.harness.give(.restore(Self.image(script)))
        for _ in 0..<3000 {
            script.initialSend = UInt32(truncatingIfNeeded: random.next())
            script.harness.receive(script.segment([".", "1:1", "ack", "1"]))
            script.harness.advance(by: .milliseconds(1))
        }
        #expect(script.harness.records.isEmpty)
    }

    @Test func `a peer in LAST-ACK is acknowledged after a takeover`() {
        var script = Script.run(
            """
            passive mss 1000 ts
            finish
            > F. 1:2 ack 1
            < 1:1 ack 2
            < F. 1:2 ack 2 ts 3000:0
            > . 2:2 ack 2
            record peerFinished closed.finished
            """)
        var image = Self.image(script)
        image.timeWaits = [
            LineCardImage.TimeWait(
                connection: script.connection, identity: script.identity!, sentOffset: 0, receivedOffset: 0,
                peerTimestamp: 3000, since: script.harness.now)
        ]
        script.harness.advance(by: .seconds(20))
        script.harness.give(.restore(image))
        script.run(
            """
            < F. 1:2 ack 2 ts 3001:0
            > . 2:2 ack 2
            < R 2:2
            < F. 1:2 ack 2 ts 3002:0
            > . 2:2 ack 2
            +65s < F. 1:2 ack 2 ts 3003:0
            > R 2:2
            record
            """)
    }

    @Test func `timestamps go on where the twin was`() {
        var script = Script.run("passive mss 1000 ts\nwrite 10\n> P. 1:11 ts")
        script.harness.advance(by: .milliseconds(5))
        script.harness.give(.send(script.connection, Script.pattern(10, 10)[...]))
        let twin = script.harness.drain()[0].header.timestampValue
        script.run("restore una 20 end 20 received 0\n> . > . > . > .")
        script.harness.advance(by: .milliseconds(7))
        script.harness.give(.send(script.connection, Script.pattern(20, 10)[...]))
        #expect(script.harness.drain()[0].header.timestampValue == twin &+ 7)
    }

    @Test func `a half-closed connection stays half closed, and FIN is sent again`() {
        Script.run(
            """
            passive mss 1000
            restore una 0 end 10 received 5 finished
            > FP. 1:12 ack 6
            > . 0:0 ack 6
            +1ms < 6:6 ack 12
            > . ack 6 > . ack 6 > . ack 6
            record acknowledged 10
            +1ms < F. 6:7 ack 12
            > . 12:12 ack 7
            record peerFinished closed.finished
            """)
    }

    @Test func `after the peer's FIN nothing more is read, and ours ends the connection`() {
        Script.run(
            """
            passive mss 1000
            restore una 0 end 0 received 5 peerFinished
            > . 1:1 ack 7 > . ack 7 > . ack 7 > . ack 7
            finish
            > F. 1:2 ack 7
            < 7:7 ack 2
            record closed.finished
            """)
    }

    @Test func `a pending connect sends the same SYN again`() {
        var script = Script()
        let request = script.request()
        script.harness.give(.connect(request))
        let first = script.harness.drain()
        var image = LineCardImage()
        image.pendingConnects = [request]
        script.harness.give(.restore(image))
        let second = script.harness.drain()
        #expect(first.count == 1 && second.count == 1)
        #expect(first[0].bytes == second[0].bytes)
    }

    @Test func `numbers of accepted connections go on from the image`() {
        var script = Script()
        var image = LineCardImage()
        image.nextAcceptedConnection = ConnectionID(40)
        image.listeners = [
            Listener(local: Harness.local, localPort: 179, remote: Harness.remote, options: TransportOptions())
        ]
        script.harness.give(.restore(image))
        script.run("passive mss 1000")
        #expect(script.connection == ConnectionID(40))
    }

    @Test func `two controllers give the same ISS to the same SYN at the same time`() {
        var a = Script(), b = Script()
        a.harness.receive(a.segment(["S", "0:1"]))
        b.harness.receive(b.segment(["S", "0:1"]))
        #expect(a.harness.sent[0].bytes == b.harness.sent[0].bytes)
    }
}
