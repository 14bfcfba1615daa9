import Machine
import Records
import Testing
import Wire

@testable import TCP

/// A stack with its log and a queue of arrivals, at one end of a wire.
private struct Endpoint {
    var stack: TCPStack
    let address: IPAddress
    var pending: [(index: UInt64, at: Instant)] = []
    var index: UInt64 = 0
    var committed: UInt64 = 0
    /// How long a record needs to be committed.
    var commitDelay = Duration.zero
    /// How long the engine needs for a record, if the stack is told of it at all.
    var applyDelay: Duration?
    var applying: [(index: UInt64, at: Instant)] = []
    /// What the engine of this end knows: kept from records, so that it is what an image is made of.
    var image = LineCardImage()
    var transport: LineCardImage.Connection?
    var received: [UInt8] = []
    var closed: ConnectionEnd?
    /// Records appended but not committed, with what they did to the engine's state before.
    var uncommitted: [(index: UInt64, body: RecordBody)] = []

    mutating func apply(_ body: RecordBody) {
        switch body {
        case .tcpAccepted(let id, let identity), .tcpConnected(let id, let identity):
            transport = LineCardImage.Connection(
                connection: id, identity: identity, receivedOffset: 0, peerFinished: false, peerTimestamp: 0,
                stream: TransmitStream())
            if id.value % 2 == 0 { image.nextAcceptedConnection = ConnectionID(id.value + 2) }
        case .tcpReceived(_, let bytes, let timestamp):
            received += bytes
            transport?.receivedOffset += UInt64(bytes.count)
            transport?.peerTimestamp = timestamp
        case .tcpAcknowledged(_, let offset):
            transport?.stream.acknowledge(upTo: offset)
        case .tcpPeerFinished:
            transport?.peerFinished = true
        case .tcpClosed(_, let reason):
            closed = reason
            transport = nil
        default: break
        }
    }
}

/// Two stacks, a wire that loses, doubles, delays and reorders, and a log at each end whose commits come late.
private struct Pair {
    struct Flight {
        var at: Instant
        var serial: UInt64
        var to: Int
        var bytes: [UInt8]
    }
    var ends: [Endpoint]
    var random: RandomNumbers
    var now = Instant(nanoseconds: 1_000_000_000)
    var flights: [Flight] = []
    var serial: UInt64 = 0
    var loss = 0
    var isHealed = false
    var takeovers = 0
    var framesSent = 0
    var jitter = 0
    /// Octets that an end has been told are acknowledged; never beyond what the other's committed log holds.
    var problems: [String] = []

    init(
        seed: UInt64, loss: Int, jitter: Int, commitDelay: Duration = .zero, applyDelay: Duration? = nil,
        receiveBuffer: Int? = nil
    ) {
        random = RandomNumbers(seed: seed)
        self.loss = loss
        self.jitter = jitter
        var configuration = TCPConfiguration()
        configuration.headroom = 0
        // One end may finish long before the other.
        configuration.finWaitTimeout = .seconds(3600)
        if let receiveBuffer { configuration.receiveBuffer = receiveBuffer }
        let addresses = [IPAddress("10.0.0.1")!, IPAddress("10.0.0.2")!]
        ends = addresses.map { Endpoint(stack: TCPStack(configuration: configuration), address: $0) }
        for i in 0..<2 {
            ends[i].commitDelay = commitDelay
            ends[i].applyDelay = applyDelay
            ends[i].image.sequenceSecret = seed &+ UInt64(i)
            ends[i].image.interfaces = [
                InterfaceConfiguration(name: "lan", virtualMAC: MACAddress(raw: 2), mtu: 1500, addresses: [])
            ]
        }
        var options = TransportOptions()
        if random.chance(1, in: 4) { options.md5Key = [1, 2, 3] }
        if random.chance(1, in: 3) { options.maximumSegmentSize = UInt16(random.number(in: 216...1460)) }
        ends[1].image.listeners = [
            Listener(local: addresses[1], localPort: 179, remote: addresses[0], options: options)
        ]
        for i in 0..<2 { give(i, .restore(ends[i].image)) }
        give(
            0,
            .connect(
                ConnectRequest(
                    connection: ConnectionID(1),
                    tuple: ConnectionTuple(
                        interface: InterfaceID(0), local: addresses[0], localPort: 50_000, remote: addresses[1],
                        remotePort: 179),
                    initialSendSequence: UInt32(truncatingIfNeeded: random.next()), timestampOffset: 5, options: options)))
    }

    mutating func give(_ i: Int, _ input: TCPInput) {
        var effects: [TCPEffect] = []
        ends[i].stack.handle(input, at: now, into: &effects)
        take(i, &effects)
        endOfBatch(i)
    }

    mutating func endOfBatch(_ i: Int) {
        for _ in 0..<2 {
            var effects: [TCPEffect] = []
            ends[i].stack.handle(.endOfBatch, at: now, into: &effects)
            take(i, &effects)
        }
    }

    private mutating func take(_ i: Int, _ effects: inout [TCPEffect]) {
        for effect in effects {
            switch effect {
            case .transmit(let t): launch(from: i, t.bytes)
            case .record(let body):
                ends[i].index += 1
                let index = ends[i].index
                var more: [TCPEffect] = []
                ends[i].stack.handle(.logged(LogIndex(index)), at: now, into: &more)
                ends[i].uncommitted.append((index, body))
                if let delay = ends[i].applyDelay {
                    let last = ends[i].applying.last?.at ?? now
                    ends[i].applying.append((index, max(last, now) + delay))
                }
                if ends[i].commitDelay == .zero {
                    commit(i, upTo: index)
                } else {
                    ends[i].pending.append((index, now + ends[i].commitDelay))
                }
            case .event: break
            }
        }
    }

    /// Commits and applies: the engine here is one that only ever sees committed records.
    private mutating func commit(_ i: Int, upTo index: UInt64) {
        while let first = ends[i].uncommitted.first, first.index <= index {
            ends[i].apply(first.body)
            ends[i].uncommitted.removeFirst()
        }
        ends[i].committed = index
        var more: [TCPEffect] = []
        ends[i].stack.handle(.committed(LogIndex(index)), at: now, into: &more)
        take(i, &more)
    }

    private mutating func launch(from i: Int, _ bytes: [UInt8]) {
        framesSent += 1
        check(from: i, bytes)
        if !isHealed, random.chance(loss, in: 100) { return }
        let copies = !isHealed && random.chance(loss, in: 200) ? 2 : 1
        for _ in 0..<copies {
            var delay = 100_000
            if !isHealed, jitter > 0 { delay += random.number(in: 0...jitter) }
            serial += 1
            flights.append(Flight(at: now + .nanoseconds(delay), serial: serial, to: 1 - i, bytes: bytes))
        }
    }

    /// What an acknowledgement promises must be in committed records.
    private mutating func check(from i: Int, _ bytes: [UInt8]) {
        guard let transport = ends[i].transport, let h = try? SegmentHeader(bytes.span.bytes), h.flags.contains(.ack),
            h.flags.isDisjoint(with: [.syn, .rst])
        else { return }
        let promised = distance(from: transport.identity.initialReceiveSequence &+ 1, to: h.acknowledgment)
        let held = Int64(transport.receivedOffset) + (transport.peerFinished ? 1 : 0)
        if promised > held { problems.append("end \(i) acknowledged \(promised) of \(held)") }
    }

    /// One step of virtual time. False when nothing will happen until `limit`.
    mutating func step(until limit: Instant = Instant(nanoseconds: .max - 1)) -> Bool {
        var next = Instant.distantFuture
        for f in flights where f.at < next { next = f.at }
        for end in ends {
            if let d = end.stack.nextDeadline, d < next { next = d }
            if let p = end.pending.first, p.at < next { next = p.at }
            if let a = end.applying.first, a.at < next { next = a.at }
        }
        guard next <= limit else { return false }
        now = max(now, next)
        for i in 0..<2 {
            var isCommitted = false
            while let p = ends[i].pending.first, p.at <= now {
                ends[i].pending.removeFirst()
                commit(i, upTo: p.index)
                isCommitted = true
            }
            while let a = ends[i].applying.first, a.at <= now {
                ends[i].applying.removeFirst()
                give(i, .applied(LogIndex(a.index)))
            }
            if isCommitted { endOfBatch(i) }
            if let d = ends[i].stack.nextDeadline, d <= now { give(i, .time) }
        }
        var due = flights.filter { $0.at <= now }
        flights.removeAll { $0.at <= now }
        due.sort { $0.at != $1.at ? $0.at < $1.at : $0.serial < $1.serial }
        for flight in due {
            var effects: [TCPEffect] = []
            ends[flight.to].stack.receive(
                flight.bytes.span.bytes, from: ends[1 - flight.to].address, to: ends[flight.to].address,
                interface: InterfaceID(0), hopLimit: 1, at: now, into: &effects)
            take(flight.to, &effects)
        }
        if !due.isEmpty { for i in 0..<2 { endOfBatch(i) } }
        return true
    }

    /// The engine of end `i` writes: into its own copy of the stream and into the stack's.
    mutating func write(_ i: Int, _ bytes: [UInt8]) {
        guard let id = ends[i].transport?.connection else { return }
        ends[i].transport!.stream.append(bytes[...])
        give(i, .send(id, bytes[...]))
    }
    mutating func finish(_ i: Int) {
        guard let id = ends[i].transport?.connection else { return }
        ends[i].transport!.stream.finish()
        give(i, .finish(id))
    }

    /// The active of end `i` dies with all that was not committed, and its twin rebuilds from what the engine knows.
    mutating func takeOver(_ i: Int) {
        takeovers += 1
        var image = ends[i].image
        if let transport = ends[i].transport { image.connections = [transport] }
        ends[i].pending = []
        ends[i].applying = []
        ends[i].uncommitted = []
        // Frames that left already are on the wire; those of the same instant may or may not be.
        ends[i].stack = TCPStack(configuration: ends[i].stack.configuration)
        give(i, .restore(image))
    }
}

@Suite struct LossyWireTests {
    /// Both ends send, at random moments, what the seed says; then both finish, and everything must have arrived and ended.
    private func run(
        seed: UInt64, loss: Int, jitter: Int, commitDelay: Duration = .zero, takeovers: Int = 0, octets: Int = 80_000,
        applyDelay: Duration? = nil, receiveBuffer: Int? = nil
    ) {
        var pair = Pair(
            seed: seed, loss: loss, jitter: jitter, commitDelay: commitDelay, applyDelay: applyDelay,
            receiveBuffer: receiveBuffer)
        var random = RandomNumbers(seed: seed ^ 0xabcdef)
        var steps = 0
        // A connect that is lost is the engine's to repeat; here the SYN is simply sent again.
        while pair.ends[0].transport == nil || pair.ends[1].transport == nil {
            steps += 1
            guard steps < 20_000, pair.step() else {
                Issue.record("seed \(seed): never established")
                return
            }
        }
        var sent: [[UInt8]] = [[], []]
        var left = [octets, octets / 4]
        var due = takeovers
        while left[0] + left[1] > 0 {
            let i = random.number(in: 0...1)
            let count = min(left[i], random.number(in: 1...9000))
            if count > 0 {
                let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                sent[i] += bytes
                left[i] -= count
                pair.write(i, bytes)
            }
            for _ in 0..<random.number(in: 0...6) {
                steps += 1
                _ = pair.step()
                if due > 0, random.chance(1, in: 40) {
                    due -= 1
                    pair.takeOver(random.number(in: 0...1))
                }
            }
        }
        pair.finish(0)
        let soon = pair.now + .seconds(30)
        for _ in 0..<random.number(in: 0...30) { _ = pair.step(until: soon) }
        pair.finish(1)
        // Safety is over, now liveness: a wire that heals, and an end that must come.
        let healed = steps + 2000
        while pair.ends[0].closed == nil || pair.ends[1].closed == nil {
            steps += 1
            if steps > healed { pair.isHealed = true }
            guard steps < 200_000, pair.step() else { break }
        }
        #expect(pair.problems.isEmpty, "seed \(seed)")
        #expect(pair.now < Instant(nanoseconds: 600_000_000_000), "seed \(seed) took \(pair.now)")
        for i in 0..<2 {
            if pair.ends[1 - i].received != sent[i] {
                Issue.record(
                    "seed \(seed): end \(1 - i) has \(pair.ends[1 - i].received.count) of \(sent[i].count) octets\n\(pair.ends[0].stack.connectionStatuses())\n\(pair.ends[1].stack.connectionStatuses())"
                )
            }
            if pair.ends[i].closed != .finished {
                Issue.record("seed \(seed): end \(i) closed as \(String(describing: pair.ends[i].closed)) \(pair.now)")
            }
        }
    }

    @Test(arguments: 0..<8)
    func `streams arrive whole over a perfect wire`(_ seed: UInt64) { run(seed: seed, loss: 0, jitter: 0) }

    @Test(arguments: 0..<36)
    func `streams arrive whole over a wire that loses, doubles and reorders`(_ seed: UInt64) {
        run(seed: seed, loss: Int(seed % 12), jitter: seed % 3 == 0 ? 2_000_000 : 20_000)
    }

    @Test(arguments: 0..<28)
    func `streams arrive whole when commits come late, and no acknowledgement passes a commit`(_ seed: UInt64) {
        run(
            seed: seed, loss: Int(seed % 6), jitter: 50_000, commitDelay: .microseconds(Int(50 + 400 * (seed % 7))))
    }

    @Test(arguments: 0..<24)
    func `a slow engine and a small buffer throttle the peer and lose nothing`(_ seed: UInt64) {
        run(
            seed: seed, loss: Int(seed % 4), jitter: 20_000, commitDelay: .microseconds(Int(200 * (seed % 3))),
            octets: 60_000, applyDelay: .microseconds(Int(100 + 1000 * (seed % 5))),
            receiveBuffer: 4096 + 1024 * Int(seed % 16))
    }

    @Test(arguments: 0..<50)
    func `the peer sees one unbroken stream while actives die and twins take over`(_ seed: UInt64) {
        run(
            seed: seed, loss: Int(seed % 5), jitter: seed % 2 == 0 ? 0 : 200_000,
            commitDelay: .microseconds(Int(300 * (seed % 4))), takeovers: 1 + Int(seed % 6))
    }

    @Test func `a copy of a stack does what the original does`() {
        // A stack is a value: nothing in it is shared, so that the same inputs give the same octets.
        var script = Script.run("passive mss 1000 sack ts")
        let id = script.connection
        var random = RandomNumbers(seed: 3)
        var sent = 0
        for round in 0..<200 {
            var copy = script.harness
            let start = random.number(in: 1...5000)
            let bytes = script.segment(["\(start):\(start + random.number(in: 0...1500))", "ack", "1"])
            let data = [UInt8](repeating: UInt8(round), count: random.number(in: 1...3000))
            let pause = Duration.milliseconds(random.number(in: 0...300))
            func go(_ h: inout Harness) -> [[UInt8]] {
                h.receive(bytes)
                h.give(.send(id, data[...]))
                h.advance(by: pause)
                return h.drain().map(\.bytes)
            }
            let one = go(&copy), other = go(&script.harness)
            #expect(one == other)
            sent += one.count
        }
        #expect(sent > 100)
    }
}
