import RecordedSteps
import Testing

@testable import TCP

@Suite struct RecordedTests {
    /// Lines of a `Script` without what is expected.
    private static func record(_ title: String, _ name: String, _ lines: String, in harness: Harness = Harness()) throws {
        var script = Script(harness)
        let recorder = StepRecorder(title)
        for line in lines.split(separator: "\n") {
            script.act(String(line)) { script, line in
                let sent = script.harness.drain()
                if script.initialSend == 0, let first = sent.first(where: { $0.header.flags.contains(.syn) }) {
                    script.initialSend = first.header.sequence
                }
                let records = script.harness.records[script.recordsSeen...].map { "record " + Script.name($0) }
                let events = script.harness.events.map { "event \($0)" }
                if !records.isEmpty { script.establish() }
                script.harness.events = []
                recorder.step(
                    at: script.harness.now, "stack", line,
                    outcome: sent.flatMap { ["> " + script.describe($0)] + StepRecorder.octets($0.bytes) } + records + events)
            }
        }
        try recorder.hold(name)
    }

    @Test func `RFC 9293 §3.5: a handshake either way, and octets that wait for the log`() throws {
        try Self.record(
            "TCP: the peer connects with all options; what it sends is acknowledged when it is stored; both finish", "handshake",
            """
            < S 0:1 win 65535 mss 1460 sackOK wscale 7
            +10ms < . 1:1 ack 1 win 512
            hold
            +5ms < P. 1:101 ack 1 win 512
            +50ms commit
            release
            write 300
            +10ms < . 101:101 ack 301 win 512
            +10ms < F. 101:102 ack 301 win 512
            finish
            +10ms < . 102:102 ack 302 win 512
            """)
        try Self.record(
            "TCP: we connect, and the peer answers the second SYN", "connect",
            """
            connect
            +1500ms < S. 0:1 ack 1 win 65535 mss 1000 sackOK
            """, in: Harness(listens: false))
    }

    @Test func `RFC 6298, RFC 8985: what is lost comes again`() throws {
        try Self.record(
            "TCP: of five segments the second is lost; then all, and the timer backs off", "retransmission",
            """
            < S 0:1 win 65535 mss 1000 sackOK
            +10ms < . 1:1 ack 1 win 65535
            write 5000
            +10ms < . ack 1001 win 65535
            < . ack 1001 win 65535 sack 2001:3001
            < . ack 1001 win 65535 sack 2001:5001
            +20ms < . ack 5001 win 65535
            write 1000
            +5s < . ack 6001 win 65535
            """)
    }

    @Test func `DESIGN §4: another line card takes over a connection with octets on their way`() throws {
        try Self.record(
            "TCP: a connection is taken over with 1,500 octets unacknowledged", "take-over",
            """
            < S 0:1 win 65535 mss 1000
            +10ms < . 1:1 ack 1 win 65535
            write 2000
            +1ms < 1:101 ack 501 win 65535
            restore una 500 end 2000 received 100
            +10ms < . 101:101 ack 1501 win 65535
            +10ms < . 101:101 ack 2001 win 65535
            """)
    }
}
