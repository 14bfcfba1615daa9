import Machine
import Records
import Testing
import Wire

@testable import TCP

@Suite struct HostileTests {
    // MARK: RFC 5961

    @Test func `RFC 5961 §3.2: only an exact RST resets; one in the window is challenged, others are dropped`() {
        let script = Script.run(
            """
            passive mss 1000
            < R 100:100
            > . 1:1 ack 1
            < R 2000000:2000000
            < R 1:1
            record closed.resetByPeer
            """)
        #expect(script.harness.stack.counters.droppedReset == 2)
    }

    @Test func `RFC 5961 §4.2: a SYN is challenged wherever it lies`() {
        Script.run(
            """
            passive mss 1000
            < S 1:2
            > . 1:1 ack 1
            < S 9000000:9000001
            > . 1:1 ack 1
            < S. 50:51 ack 1
            > . 1:1 ack 1
            record
            """)
    }

    @Test func `RFC 5961 §5.2: an ACK older than the window or newer than what was sent is challenged, its data dropped`() {
        let script = Script.run(
            """
            passive mss 1000 win 1000
            < 1:101 ack 100000
            > . 1:1 ack 1
            < 1:101 ack -5000
            > . 1:1 ack 1
            record
            """)
        #expect(script.harness.stack.counters.droppedBadAcknowledgment == 2)
    }

    @Test func `RFC 5961 §7: challenges are limited`() {
        var script = Script.run("passive mss 1000")
        for i in 0..<1000 { script.harness.receive(script.segment(["R", "\(100 + i):\(100 + i)"])) }
        #expect(script.harness.drain().count == TCPConfiguration().challengesPerSecond)
        script.harness.advance(by: .seconds(1))
        script.harness.receive(script.segment(["R", "100:100"]))
        #expect(script.harness.drain().count == 1)
    }

    @Test func `RFC 7323 §5: PAWS drops a segment with an old timestamp and answers it`() {
        let script = Script.run(
            """
            passive mss 1000 ts
            < 1:101 ack 1 ts 5000:0
            +40ms > . ack 101 ecr 5000
            < 101:201 ack 1 ts 4999:0
            > . ack 101 ecr 5000
            < 101:201 ack 1 ts 5001:0
            < 201:301 ack 1 nots
            +40ms > . ack 201 ecr 5001
            record received 100 received 100
            """)
        #expect(script.harness.stack.counters.droppedOldTimestamp == 2)
    }

    @Test func `RFC 7323 §4.3: the echo is of the earliest segment that is not acknowledged`() {
        Script.run(
            """
            passive mss 1460 ts
            < 1:101 ack 1 ts 5000:0
            +10ms < 101:201 ack 1 ts 5010:0
            +30ms > . ack 201 ecr 5000
            """)
    }

    @Test func `RFC 5961 §5, RFC 7323 §5.3: TS.Recent does not follow a segment whose ACK cannot be the peer's`() {
        let script = Script.run(
            """
            passive mss 1000 ts rtt 0ms
            < P. 1:101 ack 5000000 ts 900000000:0
            > . 1:1 ack 1 ecr 2000
            +1s < P. 1:101 ack 1 ts 2001:0
            +40ms > . 1:1 ack 101 ecr 2001
            < P 101:201 ts 900000000:0
            < P. 101:201 ack -5000000 ts 900000000:0
            > . 1:1 ack 101 ecr 2001
            < P. 1:101 ack 5000000 ts 900000000:0
            > . 1:1 ack 101 ecr 2001
            < P. 101:201 ack 1 ts 2002:0
            +40ms > . 1:1 ack 201 ecr 2002
            record received 100 received 100
            """)
        #expect(script.harness.stack.counters.droppedOldTimestamp == 0)
    }

    @Test func `RFC 7323 §4.3: a segment that came already is answered with its own timestamp`() {
        Script.run(
            """
            passive mss 1000 ts
            < P. 1:101 ack 1 ts 5000:0
            +40ms > . 1:1 ack 101 ecr 5000
            +200ms < P. 1:101 ack 1 ts 5240:0
            > . 1:1 ack 101 ecr 5240
            # An older one of the two, late, does not turn it back.
            < P. 1:101 ack 1 ts 5239:0
            > . 1:1 ack 101 ecr 5240
            # Nothing that the peer sends again lies so far back.
            < P. -5000000:-4999900 ack 1 ts 6000:0
            > . 1:1 ack 101 ecr 5240
            """)
    }

    // MARK: the door

    @Test func `a SYN from somebody who is not configured gets RST, and RSTs are limited`() {
        var script = Script()
        let stranger = IPAddress("10.0.0.66")!
        var segment = OutgoingSegment(localPort: 1000, remotePort: 179, sequence: 5, flags: .syn)
        segment.window = 100
        let bytes = segment.write(
            headroom: 0, local: stranger, remote: Harness.local, stream: TransmitStream(), offset: 0, count: 0,
            signature: nil)
        script.harness.receive(bytes, from: stranger)
        let answer = script.harness.drain()
        #expect(answer.count == 1)
        #expect(answer[0].to == stranger)
        #expect(answer[0].header.flags == [.rst, .ack])
        #expect(answer[0].header.acknowledgment == 6)
        for _ in 0..<1000 { script.harness.receive(bytes, from: stranger) }
        #expect(script.harness.drain().count == TCPConfiguration().resetsPerSecond - 1)
        #expect(script.harness.stack.halfOpenConnections == 0)
    }

    @Test func `RFC 5961 §3.2 in SYN-RECEIVED: a RST in the window is challenged, an exact one ends it`() {
        let script = Script.run(
            """
            < S 0:1 mss 1000 ts 7:0
            > S. 0:1 ack 1
            < R 100:100
            > . 1:1 ack 1 ecr 7
            < R 900000:900000
            < R 1:1
            """)
        #expect(script.harness.stack.halfOpenConnections == 0)
        #expect(script.harness.stack.counters.droppedReset == 2)
    }

    @Test func `RFC 9293 §3.10.7.2: a segment without SYN, ACK and RST gets no answer from a listener`() {
        let script = Script.run(
            """
            < P 1:101
            < F 1:2
            < FP 1:2
            """)
        #expect(script.harness.stack.counters.droppedNoConnection == 3)
    }

    @Test func `RFC 5082: a configured peer's TTL is looked at on every port`() {
        var options = TransportOptions()
        options.minimumHopLimit = 255
        options.hopLimit = 255
        var script = Script(Harness(listener: options))
        script.localPort = 50_001
        script.peerPort = 179
        let bytes = script.segment([".", "1:101", "ack", "77"])
        script.harness.receive(bytes, hopLimit: 254)
        #expect(script.harness.drain().isEmpty)
        #expect(script.harness.stack.counters.droppedHopLimit == 1)
        script.harness.receive(bytes, hopLimit: 255)
        #expect(script.harness.drain().map(\.header.flags) == [.rst])
    }

    @Test func `strangers take no answers from peers, nor one peer from another`() {
        var script = Script()
        let other = IPAddress("10.0.0.3")!
        script.harness.give(
            .listeners([
                Listener(local: Harness.local, localPort: 179, remote: Harness.remote, options: TransportOptions()),
                Listener(local: Harness.local, localPort: 179, remote: other, options: TransportOptions()),
            ]))
        let stranger = IPAddress("10.0.0.66")!
        func segment(_ from: IPAddress) -> [UInt8] {
            var s = OutgoingSegment(localPort: 1000, remotePort: 179, sequence: 5, flags: .ack)
            s.acknowledgment = 9
            return s.write(
                headroom: 0, local: from, remote: Harness.local, stream: TransmitStream(), offset: 0, count: 0,
                signature: nil)
        }
        for _ in 0..<1000 { script.harness.receive(segment(stranger), from: stranger) }
        #expect(script.harness.drain().count == TCPConfiguration().resetsPerSecond)
        for _ in 0..<1000 { script.harness.receive(segment(other), from: other) }
        #expect(script.harness.drain().count == TCPConfiguration().answersPerPeerPerSecond)
        script.harness.receive(segment(Harness.remote))
        #expect(script.harness.drain().count == 1)
    }

    @Test func `a SYN flood costs a bounded number of entries and the oldest gives way`() {
        var script = Script()
        for port in 1...1000 {
            script.peerPort = UInt16(port)
            script.harness.receive(script.segment(["S", "0:1", "mss", "1000"]))
        }
        #expect(script.harness.stack.halfOpenConnections == TCPConfiguration().backlogPerListener)
        #expect(script.harness.stack.counters.backlogEvictions == 1000 - 64)
        #expect(script.harness.records.isEmpty)
        // The last one is still there and can be completed.
        script.initialSend = script.harness.drain().last!.header.sequence
        script.harness.receive(script.segment([".", "1:1", "ack", "1"]))
        #expect(script.harness.records.count == 1)
        // The others go by themselves.
        script.harness.advance(by: .seconds(60))
        #expect(script.harness.stack.halfOpenConnections == 0)
    }

    @Test func `a SYN-ACK is repeated a few times and then forgotten`() {
        let script = Script.run(
            """
            +2s < S 0:1 mss 1000
            > S. 0:1
            +1s > S. 0:1
            +2s > S. 0:1
            +4s > S. 0:1
            +8s > S. 0:1
            +16s < . 1:1 ack 1
            > R 1:1
            record
            """)
        #expect(script.harness.stack.counters.backlogTimeouts == 1)
    }

    @Test func `a wrong acknowledgement does not complete a handshake`() {
        Script.run(
            """
            < S 0:1 mss 1000
            > S. 0:1
            < . 1:1 ack 77
            > R 77:77
            record
            < S 5:6 mss 1000
            > . 1:1 ack 1
            < R 1:1
            < S 5:6 mss 1000
            > S. ack 6
            """)
    }

    @Test func `RFC 5082: segments with too small a TTL are dropped, and mentioned once`() {
        var options = TransportOptions()
        options.minimumHopLimit = 255
        options.hopLimit = 255
        var script = Script(Harness(listener: options))
        for _ in 0..<10 { script.harness.receive(script.segment(["S", "0:1"]), hopLimit: 254) }
        #expect(script.harness.drain().isEmpty)
        #expect(script.harness.stack.counters.droppedHopLimit == 10)
        #expect(script.harness.events.count == 1)
        script.harness.receive(script.segment(["S", "0:1"]), hopLimit: 255)
        #expect(script.harness.drain().map(\.hopLimit) == [255])
    }

    // MARK: RFC 2385

    private var signed: TransportOptions {
        var options = TransportOptions()
        options.md5Key = Array("key".utf8)
        return options
    }

    @Test func `RFC 2385: a connection with a key works signed, on both sides`() {
        var script = Script(Harness(listener: signed))
        script.signature = MD5Signature(key: signed.md5Key)
        script.run(
            """
            passive mss 1460 sack ts
            write 3000
            > 1:1433 > 1433:2865 > P. 2865:3001
            < 1:101 ack 3001
            +40ms > . ack 101
            < 201:301 ack 3001
            > . ack 101 sack 201:301
            """)
        #expect(script.harness.received.count == 100)
    }

    @Test func `RFC 2385: without the right signature a segment is dropped and mentioned`() {
        var script = Script(Harness(listener: signed))
        script.harness.receive(script.segment(["S", "0:1"]))
        script.signature = MD5Signature(key: Array("other".utf8))
        script.harness.receive(script.segment(["S", "0:1"]))
        #expect(script.harness.drain().isEmpty)
        #expect(script.harness.stack.counters.droppedSignature == 2)
        #expect(script.harness.events.count == 1)
        // A signature where none is configured is refused, too.
        script.harness = Harness()
        script.harness.receive(script.segment(["S", "0:1"]))
        #expect(script.harness.drain().isEmpty)
    }

    @Test func `RST to a peer with a key is signed`() {
        var script = Script(Harness(listener: signed))
        script.signature = MD5Signature(key: signed.md5Key)
        script.harness.receive(script.segment([".", "1:1", "ack", "1"]))
        let sent = script.harness.drain()
        #expect(sent.count == 1 && sent[0].header.flags == .rst)
        #expect(sent[0].header.md5Offset > 0)
    }

    // MARK: memory

    @Test func `a thousand holes are kept to a bounded number of islands`() {
        var script = Script.run("passive mss 1000 wscale 5")
        for i in 0..<1000 {
            let start = 10 + 4 * i
            script.harness.receive(script.segment(["\(start):\(start + 1)", "ack", "1"]))
        }
        #expect(script.harness.stack.connections[0]!.reassembly.islands.count == TCPConfiguration().reassemblyIslands)
        #expect(script.harness.stack.counters.droppedReassembly > 0)
        // And the stream is whole once the peer sends it.
        script.harness.receive(script.segment(["1:5001", "ack", "1"]))
        #expect(script.harness.received == Script.pattern(0, 5000))
    }

    @Test func `SACK blocks are kept to a bounded number of ranges`() {
        var board = SACKScoreboard()
        for i in 0..<10_000 { _ = board.add(Int64(4 * i), Int64(4 * i + 1)) }
        #expect(board.ranges.count == SACKScoreboard.maximum)
    }

    @Test func `no segment, however mangled, traps or opens anything`() {
        var random = RandomNumbers(seed: 7)
        for round in 0..<40 {
            var configuration = TCPConfiguration()
            configuration.receiveBuffer = 20_000
            var script = Script(Harness(configuration: configuration))
            script.run(round % 2 == 0 ? "passive mss 1000 sack ts wscale 3" : "active mss 1000 sack wscale 3")
            if round % 3 == 0 { script.harness.commitsAtOnce = false }
            for _ in 0..<400 {
                if random.chance(1, in: 8) {
                    let bytes = [UInt8](repeating: 7, count: random.number(in: 1...3000))
                    script.harness.handle(.send(script.connection, bytes[...]))
                }
                let base = random.number(in: -2000...25_000)
                let length = random.number(in: 0...3000)
                let ack = random.number(in: -3000...8000)
                var words = ["\(base):\(base + length)", "ack", "\(ack)", "win", "\(random.number(in: 0...65_535))"]
                let kinds = [".", ".", ".", ".", "F.", "P.", "S", "R.", "S.", "FSRP."]
                words.insert(kinds[random.number(in: 0...(kinds.count - 1))], at: 0)
                if random.chance(1, in: 3) {
                    let left = random.number(in: 0...8000)
                    words += ["sack", "\(left):\(left + random.number(in: 0...2000))"]
                }
                var bytes = script.segment(words)
                for _ in 0..<random.number(in: 0...2) {
                    bytes[random.number(in: 0...(min(bytes.count, 60) - 1))] = UInt8(random.number(in: 0...255))
                }
                if random.chance(1, in: 10) { bytes.removeLast(random.number(in: 0...bytes.count)) }
                script.harness.receive(bytes, turn: random.chance(1, in: 2), checksum: .trusted)
                if random.chance(1, in: 5) { script.harness.advance(by: .milliseconds(random.number(in: 0...500))) }
                if random.chance(1, in: 20) { script.harness.commitAll() }
                script.harness.sent = []
            }
            for status in script.harness.stack.connectionStatuses() {
                #expect(status.outOfOrderOctets + status.heldBack <= 20_000 + 64 + 65_535)
            }
        }
    }
}
