import Machine
import Records
import TCP
import Testing
import Wire

@testable import LineCard

/// A line card with the least that stands for an engine: it logs records, commits them at once and keeps what an image
/// needs.
struct MiniEngine {
    var card: LineCard
    var image = LineCardImage()
    var index = LogIndex.zero
    var received: [UInt8] = []
    var events: [Event] = []
    /// Records are logged, but not yet stored on the twin.
    var holdsCommit = false
    /// What nobody looks at.
    var discarded: [LineCardEffect] = []

    var connection: ConnectionID? { image.connections.first?.connection }

    init(seed: UInt64, _ interfaces: [InterfaceConfiguration], listenTo remote: IPAddress, at local: IPAddress) {
        card = LineCard(seed: seed)
        image.interfaces = interfaces
        image.listeners = [Listener(local: local, localPort: 179, remote: remote, options: TransportOptions())]
        image.sequenceSecret = 99
    }

    mutating func start(at now: Instant) -> [[UInt8]] {
        let image = image
        return turn(at: now) { card, out in card.handle(.takeOver(image), at: now, into: &out) }
    }

    mutating func connect(from local: IPAddress, to remote: IPAddress, at now: Instant) -> [[UInt8]] {
        let request = ConnectRequest(
            connection: ConnectionID(1),
            tuple: ConnectionTuple(
                interface: InterfaceID(0), local: local, localPort: 40000, remote: remote, remotePort: 179),
            initialSendSequence: 0xffff_f000, timestampOffset: 5, options: TransportOptions())
        return turn(at: now) { card, out in card.handle(.engine(.tcpConnect(request)), at: now, into: &out) }
    }

    mutating func send(_ bytes: [UInt8], at now: Instant) -> [[UInt8]] {
        image.connections[0].stream.append(bytes[...])
        let connection = image.connections[0].connection
        return turn(at: now) { card, out in card.handle(.engine(.tcpSend(connection, bytes[...])), at: now, into: &out) }
    }

    /// Another controller with the same engine state in the place of this one.
    mutating func takeOver(seed: UInt64, at now: Instant) -> [[UInt8]] {
        card = LineCard(seed: seed)
        return start(at: now)
    }

    mutating func turn(at now: Instant, _ body: (inout LineCard, inout [LineCardEffect]) -> Void) -> [[UInt8]] {
        var frames: [[UInt8]] = []
        var effects: [LineCardEffect] = []
        body(&card, &effects)
        card.handle(.endOfBatch, at: now, into: &effects)
        while !effects.isEmpty {
            let round = effects
            effects = []
            for effect in round {
                switch effect {
                case .transmit(_, let frame): frames.append(frame)
                case .event(let event): events.append(event)
                case .record(let body):
                    index = index.next
                    note(body)
                    card.handle(.logged(index), at: now, into: &effects)
                    if !holdsCommit { card.handle(.committed(index), at: now, into: &effects) }
                case .addressConflict, .probeResult: break
                }
            }
            card.handle(.endOfBatch, at: now, into: &effects)
        }
        return frames
    }

    private mutating func note(_ body: RecordBody) {
        switch body {
        case .tcpAccepted(let id, let identity), .tcpConnected(let id, let identity):
            image.connections = [
                .init(
                    connection: id, identity: identity, receivedOffset: 0, peerFinished: false, peerTimestamp: 0,
                    stream: TransmitStream())
            ]
        case .tcpReceived(_, let bytes, let timestamp):
            received += bytes
            image.connections[0].receivedOffset += UInt64(bytes.count)
            image.connections[0].peerTimestamp = timestamp
        case .tcpAcknowledged(_, let offset): image.connections[0].stream.acknowledge(upTo: offset)
        case .tcpPeerFinished: image.connections[0].peerFinished = true
        case .tcpClosed: image.connections = []
        default: break
        }
    }
}

/// Two of them on a wire of 50 µs; frames from the peer can be changed on their way.
struct Wire2 {
    var router: MiniEngine
    var peer: MiniEngine
    var now = Instant.zero
    var queue: [(at: Instant, toRouter: Bool, frame: [UInt8])] = []
    /// What an offloading sender and a capture make of frames on their way to the router.
    var alter: ([[UInt8]]) -> [[UInt8]] = { $0 }
    var routerFrames: [[UInt8]] = []

    init(vlan: UInt16 = 0, mtu: UInt16 = 1500, ipv6: Bool = false) {
        let a: IPAddress = ipv6 ? .v6(Bench.v6) : .v4(Bench.v4)
        let b: IPAddress = ipv6 ? .v6(Bench.peer6) : .v4(Bench.peer4)
        let length: UInt8 = ipv6 ? 64 : 24
        router = MiniEngine(
            seed: 1,
            [
                InterfaceConfiguration(
                    name: "lan", virtualMAC: Bench.ours, vlan: vlan, mtu: mtu,
                    addresses: [.init(address: a, prefixLength: length)])
            ], listenTo: b, at: a)
        peer = MiniEngine(
            seed: 2,
            [
                InterfaceConfiguration(
                    name: "lan", virtualMAC: Bench.peer, vlan: vlan, mtu: mtu,
                    addresses: [.init(address: b, prefixLength: length)])
            ], listenTo: a, at: b)
        fromRouter(router.start(at: now))
        fromPeer(peer.start(at: now))
        fromPeer(peer.connect(from: b, to: a, at: now))
        run(.milliseconds(50))
    }

    mutating func fromRouter(_ frames: [[UInt8]]) {
        routerFrames += frames
        for frame in frames { queue.append((now + .microseconds(50), false, frame)) }
    }
    mutating func fromPeer(_ frames: [[UInt8]]) {
        for frame in alter(frames) { queue.append((now + .microseconds(50), true, frame)) }
    }

    mutating func run(_ duration: Duration) {
        let end = now + duration
        while true {
            let times = [queue.first?.at, router.card.nextDeadline, peer.card.nextDeadline].compactMap { $0 }
            guard let next = times.min(), next <= end else { break }
            now = max(now, next)
            let time = now
            if let first = queue.first, first.at <= now {
                queue.removeFirst()
                if first.toRouter {
                    fromRouter(
                        router.turn(at: now) { card, out in
                            card.receive(first.frame.span.bytes, on: InterfaceID(0), at: time, into: &out)
                        })
                } else {
                    fromPeer(
                        peer.turn(at: now) { card, out in
                            card.receive(first.frame.span.bytes, on: InterfaceID(0), at: time, into: &out)
                        })
                }
                continue
            }
            fromRouter(router.turn(at: now) { card, out in card.handle(.time, at: time, into: &out) })
            fromPeer(peer.turn(at: now) { card, out in card.handle(.time, at: time, into: &out) })
        }
        now = end
    }
}

/// Where TCP begins in an untagged frame, or nil.
private func tcpOffset(_ frame: [UInt8]) -> Int? {
    if frame[12] == 0x08, frame[13] == 0, frame[23] == 6 { return 34 }
    if frame[12] == 0x86, frame[13] == 0xdd, frame[20] == 6 { return 54 }
    return nil
}

/// The sum over the pseudo-header, folded.
private func pseudoSum(_ frame: [UInt8], _ offset: Int) -> InternetChecksum {
    var sum = InternetChecksum()
    let addresses = offset == 34 ? 26..<34 : 22..<54
    sum.add(frame.span.bytes.extracting(addresses))
    sum.add32(6)
    sum.add32(UInt32(frame.count - offset))
    return sum
}

private func unfinished(_ frame: [UInt8]) -> [UInt8] {
    guard let offset = tcpOffset(frame) else { return frame }
    var frame = frame
    let sum = pseudoSum(frame, offset).folded
    frame[offset + 16] = UInt8(sum >> 8)
    frame[offset + 17] = UInt8(sum & 255)
    return frame
}

/// Joins segments that follow on each other as GRO does, with the unfinished checksum that it leaves.
private func coalesced(_ frames: [[UInt8]]) -> [[UInt8]] {
    var out: [[UInt8]] = []
    for frame in frames {
        guard let offset = tcpOffset(frame), let last = out.last, tcpOffset(last) == offset else {
            out.append(frame)
            continue
        }
        let header = offset + Int(frame[offset + 12] >> 4) * 4
        func sequence(_ f: [UInt8]) -> UInt32 { f[(offset + 4)..<(offset + 8)].reduce(0) { $0 << 8 | UInt32($1) } }
        let held = last.count - offset - Int(last[offset + 12] >> 4) * 4
        guard frame.count > header, held > 0, sequence(frame) == sequence(last) &+ UInt32(held), last.count < 60_000 else {
            out.append(frame)
            continue
        }
        var joined = last + frame[header...]
        joined[offset + 13] |= frame[offset + 13]
        if offset == 34 {
            let total = joined.count - 14
            joined[16] = UInt8(total >> 8)
            joined[17] = UInt8(total & 255)
            FuzzTests.mend(&joined)
        } else {
            let length = joined.count - 54
            joined[18] = UInt8(length >> 8)
            joined[19] = UInt8(length & 255)
        }
        out[out.count - 1] = joined
    }
    return out.map(unfinished)
}

@Suite struct TransportTests {
    static let data = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }

    @Test(arguments: [(false, UInt16(0)), (true, 0), (false, 100), (true, 100)])
    func `a connection carries octets both ways in frames within the MTU`(ipv6: Bool, vlan: UInt16) throws {
        var wire = Wire2(vlan: vlan, ipv6: ipv6)
        try #require(wire.router.connection != nil)
        wire.fromPeer(wire.peer.send(Self.data, at: wire.now))
        wire.fromRouter(wire.router.send(Self.data, at: wire.now))
        wire.run(.seconds(2))
        #expect(wire.router.received == Self.data)
        #expect(wire.peer.received == Self.data)
        for frame in wire.routerFrames { #expect(frame.count <= 1500 + (vlan == 0 ? 14 : 18)) }
        #expect(wire.peer.card.status.tcp.unfinishedChecksums == 0)
    }

    @Test(arguments: [false, true]) func `what leaves has complete checksums`(ipv6: Bool) throws {
        var wire = Wire2(ipv6: ipv6)
        wire.fromRouter(wire.router.send(Self.data, at: wire.now))
        wire.run(.seconds(1))
        var segments = 0
        for frame in wire.routerFrames {
            guard let offset = tcpOffset(frame) else { continue }
            segments += 1
            var sum = pseudoSum(frame, offset)
            sum.add(frame.span.bytes.extracting(droppingFirst: offset))
            #expect(sum.folded == 0xffff)
        }
        #expect(segments > 60)
    }

    @Test(arguments: [false, true]) func `unfinished checksums of an offloading sender are taken`(ipv6: Bool) throws {
        var wire = Wire2(ipv6: ipv6)
        wire.alter = { $0.map(unfinished) }
        wire.fromPeer(wire.peer.send(Self.data, at: wire.now))
        wire.run(.seconds(2))
        #expect(wire.router.received == Self.data)
        #expect(wire.router.card.status.tcp.unfinishedChecksums > 50)
    }

    @Test(arguments: [false, true]) func `super-frames far above the MTU are taken`(ipv6: Bool) throws {
        var wire = Wire2(ipv6: ipv6)
        var longest = 0
        wire.alter = { coalesced($0) }
        wire.fromPeer(wire.peer.send(Self.data, at: wire.now))
        for item in wire.queue { longest = max(longest, item.frame.count) }
        wire.run(.seconds(2))
        #expect(wire.router.received == Self.data)
        #expect(longest > 5_000)
    }

    @Test func `a wrong checksum that is not the unfinished one is refused`() throws {
        var wire = Wire2()
        wire.alter = { frames in
            frames.map { frame in
                guard let offset = tcpOffset(frame), frame.count > offset + 40 else { return frame }
                var frame = frame
                frame[frame.count - 1] ^= 0x40
                return frame
            }
        }
        wire.fromPeer(wire.peer.send(Self.data, at: wire.now))
        wire.run(.seconds(2))
        #expect(wire.router.received.isEmpty)
    }

    @Test func `an acknowledgement does not leave before its record is committed`() throws {
        var wire = Wire2()
        wire.router.holdsCommit = true
        wire.fromPeer(wire.peer.send([1, 2, 3], at: wire.now))
        wire.run(.milliseconds(500))
        #expect(wire.router.received == [1, 2, 3])
        #expect(wire.peer.image.connections[0].stream.start == 0)
        let index = wire.router.index, now = wire.now
        wire.fromRouter(wire.router.turn(at: now) { card, out in card.handle(.committed(index), at: now, into: &out) })
        wire.run(.milliseconds(500))
        #expect(wire.peer.image.connections[0].stream.start == 3)
    }

    @Test(arguments: [false, true])
    func `another line card takes over in the middle of both streams, and the peer sees no gap`(ipv6: Bool) throws {
        var wire = Wire2(ipv6: ipv6)
        wire.fromPeer(wire.peer.send(Self.data, at: wire.now))
        wire.fromRouter(wire.router.send(Self.data, at: wire.now))
        for round in 0..<8 {
            wire.run(.microseconds(130))
            // The active is dead: what is on its way to it is lost.
            wire.queue.removeAll { $0.toRouter }
            wire.fromRouter(wire.router.takeOver(seed: UInt64(100 + round), at: wire.now))
        }
        wire.run(.seconds(5))
        #expect(wire.router.received == Self.data)
        #expect(wire.peer.received == Self.data)
        #expect(wire.peer.image.connections.count == 1)
        for frame in wire.routerFrames {
            guard let offset = tcpOffset(frame) else { continue }
            #expect(frame[offset + 13] & 0x04 == 0, "no RST")
        }
    }

    @Test func `RFC 1191: a message that says 'fragmentation needed' makes segments smaller`() throws {
        var wire = Wire2()
        wire.fromRouter(wire.router.send(Self.data, at: wire.now))
        let sent = wire.routerFrames.last { $0.count == 1514 }
        let segment = try #require(sent)
        var message: [UInt8] = [3, 4, 0, 0, 0, 0, 0x03, 0xe8]  // MTU 1000
        message += segment[14..<(14 + 28)]
        var checksum = InternetChecksum()
        checksum.add(message.span.bytes)
        message[2] = UInt8(checksum.value >> 8)
        message[3] = UInt8(checksum.value & 255)
        wire.routerFrames = []
        wire.fromPeer([Bench.ipv4(1, message, from: IPv4Address("10.0.0.77")!)])
        wire.run(.milliseconds(20))
        let lengths = wire.routerFrames.compactMap { tcpOffset($0) == nil ? nil : $0.count }
        #expect(lengths.suffix(20).max() == 1014)
        wire.run(.seconds(3))
        #expect(wire.peer.received == Self.data)
    }

    @Test func `a connect to a neighbour that does not exist ends as unreachable`() throws {
        var engine = MiniEngine(
            seed: 1, [Bench.interface("lan", ["10.0.0.1/24"])], listenTo: .v4(Bench.peer4), at: .v4(Bench.v4))
        var now = Instant.zero
        _ = engine.start(at: now)
        _ = engine.connect(from: .v4(Bench.v4), to: .v4(Bench.peer4), at: now)
        var ended: [RecordBody] = []
        while let next = engine.card.nextDeadline, next < .zero + .seconds(20) {
            now = next
            var out: [LineCardEffect] = []
            engine.card.handle(.time, at: now, into: &out)
            engine.card.handle(.endOfBatch, at: now, into: &out)
            for case .record(let body) in out { ended.append(body) }
        }
        #expect(ended == [.tcpClosed(ConnectionID(1), .unreachable)])
    }

    /// Nothing reaches anybody.
    private func outage(_ duration: Duration, _ wire: inout Wire2) {
        let end = wire.now + duration
        while wire.now < end {
            let next = [wire.router.card.nextDeadline, wire.peer.card.nextDeadline].compactMap { $0 }.min() ?? end
            wire.run(max(.zero, min(next, end) - wire.now))
            wire.queue = []
        }
    }

    @Test func `when carrier is back, what waits for a timer is sent again at once`() throws {
        var wire = Wire2()
        func link(_ isUp: Bool) {
            let now = wire.now
            wire.fromRouter(
                wire.router.turn(at: now) { card, out in
                    card.handle(.link(InterfaceID(0), isUp: isUp), at: now, into: &out)
                })
        }
        link(false)
        wire.fromRouter(wire.router.send([1, 2, 3], at: wire.now))
        outage(.milliseconds(8000), &wire)
        #expect(wire.peer.received.isEmpty)
        link(true)
        wire.run(.milliseconds(10))
        #expect(wire.peer.received == [1, 2, 3])
        // Nothing waits when there is nothing to wait for.
        wire.routerFrames = []
        link(false)
        link(true)
        wire.run(.milliseconds(10))
        #expect(wire.routerFrames.filter { tcpOffset($0) != nil }.isEmpty)
    }

    @Test func `when a neighbour is found that did not answer, what waits for a timer is sent again at once`() throws {
        var wire = Wire2()
        wire.fromRouter(wire.router.send([1, 2, 3], at: wire.now))
        wire.queue = []
        // Long enough for the entry to age, be asked in vain and be forgotten.
        outage(.seconds(60), &wire)
        #expect(wire.peer.received.isEmpty)
        let request = Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4)
        wire.fromPeer([request])
        wire.run(.milliseconds(10))
        #expect(wire.peer.received == [1, 2, 3])
    }
}
