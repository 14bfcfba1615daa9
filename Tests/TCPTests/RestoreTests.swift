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

    @Test func `unacknowledged octets go at once, from the oldest on`() {
        Script.run(
            """
            passive mss 1000
            restore una 500 end 2700 received 100
            > . 501:1501 ack 101 > . 1501:2501 ack 101 > P. 2501:2701 ack 101
            > . 2701:2701 ack 101
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
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            > 5001:6001 > 6001:7001 > 7001:8001 > 8001:9001 > 9001:10001
            > . 10001:10001 ack 1
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
            > P. 1:101 > . 101:101
            +250ms > P. 1:101
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
            > . ack 6
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
