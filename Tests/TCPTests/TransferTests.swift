import Machine
import Records
import Testing
import Wire

@testable import TCP

@Suite struct TransferTests {
    @Test func `octets in order become one record per batch`() {
        Script.run(
            """
            passive mss 1000
            << 1:1001 ack 1
            << 1001:2001 ack 1
            < 2001:2501 ack 1
            > . 1:1 ack 2501
            record received 2500
            """)
    }

    @Test func `a record has at most 65536 octets`() {
        let script = Script.run(
            """
            passive mss 1460 wscale 0
            < 1:101 ack 1
            +40ms > . 1:1 ack 101
            << 101:40101 ack 1
            << 40101:80101 ack 1
            < 80101:120101 ack 1
            > . 1:1 ack 65637
            > . 1:1 ack 120101
            record received 100 received 65536 received 54464
            """)
        #expect(script.harness.received == Script.pattern(0, 120_100))
    }

    @Test func `RFC 9293 §3.8.6.3: a lone segment is acknowledged after the delay, every second at once`() {
        Script.run(
            """
            passive mss 1460
            < 1:101 ack 1
            +40ms > . 1:1 ack 101
            < 101:1561 ack 1
            < 1561:3021 ack 1
            > . 1:1 ack 3021
            """)
    }

    @Test func `data of ours carries the acknowledgement`() {
        Script.run(
            """
            passive mss 1460
            < 1:101 ack 1
            +10ms write 50
            > P. 1:51 ack 101
            +100ms < ack 51
            record received 100 acknowledged 50
            """)
    }

    @Test func `writes of one batch make full segments`() {
        var script = Script()
        script.run("passive mss 1000")
        for i in 0..<5 { script.harness.handle(.send(script.connection, Script.pattern(i * 500, 500)[...])) }
        script.harness.finishTurn()
        script.run("+0 > . 1:1001 > . 1001:2001 > P. 2001:2501")
    }

    @Test func `the initial window is ten segments and grows with what is acknowledged`() {
        Script.run(
            """
            passive mss 1000 win 65535
            write 30000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            > 5001:6001 > 6001:7001 > 7001:8001 > 8001:9001 > 9001:10001
            +10ms < ack 2001
            > 10001:11001 > 11001:12001 > 12001:13001 > 13001:14001
            """)
    }

    @Test func `an acknowledgement becomes a record when all is acknowledged, when much is, or after 5 ms`() {
        Script.run(
            """
            passive mss 1000 win 65535
            write 3000
            > 1:1001 > 1001:2001 > 2001:3001
            +1ms < ack 1001
            record
            +4ms < ack 2001
            record
            +1ms record acknowledged 2000
            < ack 3001
            record acknowledged 3000
            """)
    }

    @Test func `a segment out of order gets a duplicate ACK with SACK at once, the filled hole an ACK at once`() {
        Script.run(
            """
            passive mss 1000 sack
            < 1001:2001 ack 1
            > . 1:1 ack 1 sack 1001:2001
            < 3001:4001 ack 1
            > . 1:1 ack 1 sack 3001:4001 1001:2001
            < 5001:6001 ack 1
            > . 1:1 ack 1 sack 5001:6001 3001:4001 1001:2001
            < 1:1001 ack 1
            > . 1:1 ack 2001 sack 5001:6001 3001:4001
            < 2001:3001 ack 1
            > . 1:1 ack 4001 sack 5001:6001
            < 4001:5001 ack 1
            > . 1:1 ack 6001 nosack
            record received 2000 received 2000 received 2000
            """)
    }

    @Test func `without SACK each segment out of order gets a duplicate ACK`() {
        Script.run(
            """
            passive mss 1000
            << 1001:2001 ack 1
            << 2001:3001 ack 1
            < 3001:4001 ack 1
            > . ack 1 > . ack 1 > . ack 1
            """)
    }

    @Test func `overlapping segments are cut, and what came first stays`() {
        let script = Script.run(
            """
            passive mss 1000
            < 1:501 ack 1
            < 251:1251 ack 1
            < 2001:3001 ack 1
            > . ack 1251
            > . ack 1251
            < 1001:2501 ack 1
            > . ack 3001
            < 1:3001 ack 1
            > . ack 3001
            """)
        #expect(script.harness.received == Script.pattern(0, 3000))
    }

    @Test func `octets beyond the window are cut off`() {
        var configuration = TCPConfiguration()
        configuration.receiveBuffer = 4096
        let script = Script.run(
            """
            passive mss 1000
            hold
            < 1:3001 ack 1
            < 3001:6001 ack 1
            < 4097:5097 ack 1
            > . ack 1 win 4096
            commit
            > . ack 4097 win 4096
            """, Harness(configuration: configuration))
        #expect(script.harness.received.count == 4096)
    }

    @Test func `urgent data is read as data`() {
        var script = Script()
        script.run("passive mss 1000")
        var bytes = script.segment(["1:11", "ack", "1"])
        bytes[13] |= 0x20
        bytes[19] = 5
        script.harness.receive(bytes, checksum: .trusted)
        #expect(script.harness.received.count == 10)
    }

    // MARK: windows of the peer

    @Test func `the right edge of our window never moves left while commits are missing`() {
        Script.run(
            """
            passive mss 1000 wscale 0
            < 1:1001 ack 1
            +40ms > . ack 1001 win 16384
            hold
            < 1001:2001 ack 1
            < 2001:3001 ack 1
            write 10
            > P. 1:11 ack 1001 win 16384
            commit
            > . 11:11 ack 3001 win 16384
            """)
    }

    /// Fills the window each round trip of `milliseconds`, some times. Returns the windows that were advertised.
    private func fill(_ turns: Int, _ milliseconds: Int, _ configuration: TCPConfiguration = TCPConfiguration()) -> [Int] {
        var script = Script(Harness(configuration: configuration))
        script.harness.receive(script.segment(["S", "0:1", "mss", "1460", "wscale", "7"]))
        script.initialSend = script.harness.drain()[0].header.sequence
        script.harness.advance(by: .milliseconds(milliseconds))
        script.harness.receive(script.segment([".", "1:1", "ack", "1"]))
        var next = 1, edge = 65_536
        var windows: [Int] = []
        for _ in 0..<turns {
            while next < edge {
                let end = min(next + 60_000, edge)
                script.harness.receive(script.segment(["\(next):\(end)", "ack", "1"]), turn: false)
                next = end
            }
            script.harness.finishTurn()
            script.harness.advance(by: .milliseconds(milliseconds))
            guard let last = script.harness.drain().last?.header else { break }
            windows.append(Int(last.window) << 6)
            edge = Int(last.acknowledgment &- script.initialReceive) + windows.last!
        }
        return windows
    }

    @Test func `the receive buffer grows for a peer that fills it in a round trip, to its bound`() {
        let most = TCPConfiguration().receiveBufferMaximum
        let windows = fill(6, 100)
        #expect(windows.first == 1 << 20)
        #expect(windows.last! > most - 128 && windows.last! <= most)
        #expect(zip(windows, windows.dropFirst()).allSatisfy { $0 <= $1 })
        // All connections together have a bound, too.
        var configuration = TCPConfiguration()
        configuration.receiveGrowthMaximum = 1 << 20
        #expect(fill(6, 100, configuration).last! <= 2 << 20)
    }

    @Test func `the receive buffer does not grow for a peer that fills it slowly`() {
        var script = Script()
        script.harness.receive(script.segment(["S", "0:1", "mss", "1460", "wscale", "7"]))
        script.initialSend = script.harness.drain()[0].header.sequence
        script.harness.advance(by: .milliseconds(1))
        script.harness.receive(script.segment([".", "1:1", "ack", "1"]))
        for i in 0..<40 {
            script.harness.receive(script.segment(["\(1 + i * 60_000):\(1 + (i + 1) * 60_000)", "ack", "1"]))
            script.harness.advance(by: .milliseconds(1))
        }
        #expect(script.harness.stack.connectionStatuses()[0].receiveWindow <= 1 << 20)
    }

    @Test func `a slow engine closes the window and opens it again`() {
        var configuration = TCPConfiguration()
        configuration.receiveBuffer = 8000
        Script.run(
            """
            passive mss 1000
            applied
            < 1:4001 ack 1
            > . ack 4001 win 4000
            < 4001:8001 ack 1
            > . ack 8001 win 0
            +100ms applied
            > . ack 8001 win 8000
            """, Harness(configuration: configuration))
    }

    @Test func `RFC 9293 §3.8.6.1: a zero window is probed, at growing intervals`() {
        Script.run(
            """
            passive mss 1000 win 2000
            write 5000
            > 1:1001 > 1001:2001
            < ack 2001 win 0
            +200ms > 2001:2002
            < ack 2001 win 0
            +400ms > 2001:2002
            < ack 2001 win 0
            +800ms > 2001:2002
            +10ms < ack 2002 win 5000
            > 2002:3002 > 3002:4002 > P. 4002:5001
            """)
    }

    @Test func `a zero window for ever ends by the user timeout`() {
        let script = Script.run(
            """
            passive mss 1000 win 0
            write 10
            """)
        var harness = script.harness
        harness.commitsAtOnce = true
        for _ in 0..<400 {
            harness.advance(by: .seconds(1))
            if let last = harness.sent.last, last.payload.count == 1 {
                harness.sent = []
                harness.receive(script.copySegment(["ack", "1", "win", "0"]))
            }
        }
        #expect(harness.closedReasons == [.timedOut])
    }

    @Test func `RFC 9293 §3.8.6.1: data does not inherit the pauses between probes`() {
        for options in ["", "sack ts"] {
            var script = Script.run("passive mss 1012 win 1000 \(options)")
            script.harness.give(.send(script.connection, Script.pattern(0, 3000)[...]))
            let first = script.harness.drain()
            script.run("< ack \(1 + first[0].payload.count) win 0")
            let una = 1 + first[0].payload.count
            for pause in [200, 400, 800, 1600, 3200, 6400, 12_800] {
                script.run("+\(pause)ms > \(una):\(una + 1)\n < ack \(una) win 0")
            }
            script.harness.advance(by: .seconds(1))
            script.harness.receive(script.segment(["ack", "\(una)", "win", "65535"]))
            #expect(script.harness.drain().count == 2)
            let at = script.harness.now
            script.harness.advance(by: .milliseconds(250))
            // With SACK RTO begins with the probe that asks for the ACK.
            let later = script.harness.drain()
            let probed = options.isEmpty ? at : later[0].at
            #expect(probed - at < .milliseconds(20))
            #expect(later.first { $0.at > probed }?.at == probed + .milliseconds(200))
        }
    }

    @Test func `a window that shuts over what was sent is probed at once when the timer goes off, and is no loss`() {
        let script = Script.run(
            """
            passive mss 1000 win 4000
            write 8000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001
            < ack 1001 win 0
            +200ms > 1001:1002
            < ack 1001 win 0
            +400ms > 1001:1002
            < ack 1001 win 0
            +800ms > 1001:1002
            < ack 1001 win 4000
            > 1001:2001 > 2001:3001 > 3001:4001 > 4001:5001
            +200ms > 1001:2001
            """)
        #expect(script.harness.stack.counters.retransmissionTimeouts == 1)
    }

    @Test func `a peer that takes an octet with each probe and stays shut is probed at growing intervals`() {
        Script.run(
            """
            passive mss 1000 win 1000
            write 5000
            > 1:1001
            < ack 1001 win 0
            +200ms > 1001:1002
            < ack 1002 win 0
            +400ms > 1002:1003
            < ack 1003 win 0
            +800ms > 1003:1004
            < ack 1004 win 3000
            > 1004:2004 > 2004:3004 > 3004:4004
            < ack 4004 win 0
            +200ms > 4004:4005
            """)
    }

    @Test func `a small window that is always open is filled without growing pauses`() {
        Script.run(
            """
            passive mss 1000 win 3000
            write 5000
            > 1:1001 > 1001:2001 > 2001:3001
            < ack 3001 win 100
            +200ms > 3001:3101
            < ack 3101 win 100
            +200ms > 3101:3201
            < ack 3201 win 100
            +200ms > 3201:3301
            """)
    }

    @Test func `RFC 9293 §3.8.6.2.1: a tiny window gets no tiny segments while others are in flight`() {
        Script.run(
            """
            passive mss 1000 win 1200
            write 4000
            > 1:1001
            < ack 1001 win 1200
            > 1001:2001
            """)
    }

    @Test func `a window that shrinks is obeyed`() {
        Script.run(
            """
            passive mss 1000 win 4000
            write 8000
            > 1:1001 > 1001:2001 > 2001:3001 > 3001:4001
            < ack 1001 win 1000
            +200ms > 1001:2001
            """)
    }

    @Test func `a tiny MSS is raised to a floor`() {
        Script.run(
            """
            passive mss 8
            write 500
            > 1:217 > 217:433 > P. 433:501
            """)
    }

    @Test func `an old segment does not undo a newer window`() {
        Script.run(
            """
            passive mss 1000 win 1000
            write 1000
            > P. 1:1001
            < 1:101 ack 1001 win 3000
            < 101:101 ack 501 win 0
            write 3000
            > 1001:2001 ack 101 > 2001:3001 > P. 3001:4001
            """)
    }
}

extension Script {
    /// A segment without moving this script.
    func copySegment(_ words: [String]) -> [UInt8] {
        var copy = self
        return copy.segment(words)
    }
}
