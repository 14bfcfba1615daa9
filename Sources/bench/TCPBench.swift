import Foundation
import Machine
import Records
import TCP
import Wire

/// One sender of bulk data over a long fat path: what its stack costs, without packets and without a second thread. The path
/// is virtual; only the sender's calls are timed.
struct TCPBench {
    struct Result: Codable {
        var name = ""
        var segments = 0
        var retransmitted = 0
        /// CPU of the sender for each data segment: sending it, and its share of the acknowledgements.
        var nanosecondsPerSegment = 0.0
        /// The longest call: one burst of arrivals, or a timer.
        var longestMicroseconds = 0.0
        /// Virtual time until all was acknowledged.
        var seconds = 0.0
        /// What was acknowledged in that time.
        var megabitsPerSecond = 0.0
    }

    /// How the path treats the n-th data segment.
    struct Path: Sendable {
        var name: String
        var isLost: @Sendable (Int) -> Bool
        /// Every so many segments one is late by half a round trip.
        var lateEvery = 0
        var roundTrip = Duration.milliseconds(20)
        /// Nanoseconds that a segment occupies the wire: 10 Gbit/s.
        var spacing = 1200
        /// What the narrowest queue holds, in segments; what comes when it is full is lost.
        var queue = Int.max
    }

    static let paths = [
        Path(name: "straight", isLost: { _ in false }),
        Path(name: "one lost in 1000", isLost: { mix64(UInt64($0)) % 1000 == 0 }),
        Path(name: "one lost in 50", isLost: { mix64(UInt64($0)) % 50 == 0 }),
        Path(name: "every second of 4000 lost, once", isLost: { $0 > 12_000 && $0 <= 16_000 && $0 % 2 == 0 }),
        Path(name: "one late in 100", isLost: { _ in false }, lateEvery: 100),
        Path(
            name: "1 Gbit/s, 100 ms, a queue of 2000", isLost: { _ in false }, roundTrip: .milliseconds(100), spacing: 12_000,
            queue: 2000),
    ]

    private struct Frame {
        var at: Int64
        var serial: Int
        var bytes: [UInt8]
    }

    private var stacks: [TCPStack] = []
    private var indices: [UInt64] = [0, 0]
    private var addresses = [IPAddress("10.0.0.1")!, IPAddress("10.0.0.2")!]
    private var frames: [[Frame]] = [[], []]
    private var heads = [0, 0]
    private var late: [Frame] = []
    private var now = Instant(nanoseconds: 1_000_000_000)
    private var wireFree: Int64 = 0
    private let path: Path
    private var serial = 0
    private var acknowledged: UInt64 = 0
    private var connection: ConnectionID?
    private var spent = 0.0
    private var longest = 0.0
    private var isTiming = false

    private init(_ path: Path) {
        self.path = path
        var configuration = TCPConfiguration()
        configuration.receiveBuffer = 4 << 20
        for i in 0..<2 {
            stacks.append(TCPStack(configuration: configuration))
            var image = LineCardImage()
            image.sequenceSecret = UInt64(7 + i)
            image.interfaces = [
                InterfaceConfiguration(name: "lan", virtualMAC: MACAddress(raw: 2), mtu: 1500, addresses: [])
            ]
            if i == 1 {
                image.listeners = [
                    Listener(local: addresses[1], localPort: 179, remote: addresses[0], options: TransportOptions())
                ]
            }
            give(i, .restore(image))
        }
        give(
            0,
            .connect(
                ConnectRequest(
                    connection: ConnectionID(1),
                    tuple: ConnectionTuple(
                        interface: InterfaceID(0), local: addresses[0], localPort: 50_000, remote: addresses[1],
                        remotePort: 179),
                    initialSendSequence: 1, timestampOffset: 5, options: TransportOptions())))
    }

    static func run(_ path: Path, octets: Int) -> Result {
        var bench = TCPBench(path)
        while bench.connection == nil, bench.step() {}
        bench.isTiming = true
        let begin = bench.now
        let piece = [UInt8](repeating: 7, count: 256 << 10)
        var written = 0
        while bench.acknowledged < UInt64(octets) {
            while written < octets, written - Int(bench.acknowledged) < 12 << 20 {
                bench.give(0, .send(bench.connection!, piece[...]))
                written += piece.count
            }
            guard bench.step() else { break }
        }
        let counters = bench.stacks[0].counters
        var result = Result(name: path.name, segments: bench.serial, retransmitted: Int(counters.retransmittedSegments))
        result.nanosecondsPerSegment = bench.spent * 1e9 / Double(max(1, bench.serial))
        result.longestMicroseconds = bench.longest * 1e6
        result.seconds = Double((bench.now - begin).inNanoseconds) / 1e9
        result.megabitsPerSecond = Double(bench.acknowledged) * 8 / 1e6 / max(result.seconds, 1e-9)
        return result
    }

    private mutating func timed(_ end: Int, _ body: (inout TCPStack, inout [TCPEffect]) -> Void) {
        var effects: [TCPEffect] = []
        if end == 0, isTiming {
            let start = Self.cpuSeconds()
            body(&stacks[0], &effects)
            let elapsed = Self.cpuSeconds() - start
            spent += elapsed
            longest = max(longest, elapsed)
        } else {
            body(&stacks[end], &effects)
        }
        take(end, effects)
    }

    private mutating func give(_ end: Int, _ input: TCPInput) {
        let at = now
        timed(end) { $0.handle(input, at: at, into: &$1) }
        endTurn(end)
    }

    private mutating func endTurn(_ end: Int) {
        let at = now
        for _ in 0..<2 { timed(end) { $0.handle(.endOfBatch, at: at, into: &$1) } }
    }

    private mutating func take(_ end: Int, _ effects: [TCPEffect]) {
        for effect in effects {
            switch effect {
            case .transmit(let t): launch(end, t.bytes)
            case .record(let body):
                indices[end] += 1
                let index = LogIndex(indices[end])
                var more: [TCPEffect] = []
                stacks[end].handle(.logged(index), at: now, into: &more)
                stacks[end].handle(.committed(index), at: now, into: &more)
                stacks[end].handle(.applied(index), at: now, into: &more)
                if end == 0 {
                    if case .tcpConnected(let id, _) = body { connection = id }
                    if case .tcpAcknowledged(_, let offset) = body { acknowledged = offset }
                }
                take(end, more)
            case .event: break
            }
        }
    }

    private mutating func launch(_ end: Int, _ bytes: [UInt8]) {
        let delay = path.roundTrip.inNanoseconds / 2
        guard end == 0, bytes.count > 700 else {
            frames[end].append(Frame(at: now.nanoseconds + delay, serial: 0, bytes: bytes))
            return
        }
        serial += 1
        if path.isLost(serial) { return }
        let begin = max(wireFree, now.nanoseconds)
        if (begin - now.nanoseconds) / Int64(path.spacing) >= Int64(path.queue) { return }
        wireFree = begin + Int64(path.spacing)
        let frame = Frame(at: wireFree + delay, serial: serial, bytes: bytes)
        if path.lateEvery > 0, serial % path.lateEvery == 0 {
            late.append(Frame(at: frame.at + delay, serial: serial, bytes: bytes))
        } else {
            frames[0].append(frame)
        }
    }

    private mutating func step() -> Bool {
        var next = Int64.max
        for i in 0..<2 {
            if heads[i] < frames[i].count { next = min(next, frames[i][heads[i]].at) }
            if let deadline = stacks[i].nextDeadline { next = min(next, deadline.nanoseconds) }
        }
        if let first = late.first { next = min(next, first.at) }
        guard next < .max else { return false }
        now = max(now, Instant(nanoseconds: next))
        for i in 0..<2 {
            let to = 1 - i
            var isHeard = false
            while heads[i] < frames[i].count, frames[i][heads[i]].at <= now.nanoseconds {
                deliver(frames[i][heads[i]].bytes, to: to)
                frames[i][heads[i]].bytes = []
                heads[i] += 1
                isHeard = true
            }
            if i == 0 {
                while let first = late.first, first.at <= now.nanoseconds {
                    deliver(first.bytes, to: to)
                    late.removeFirst()
                    isHeard = true
                }
            }
            if heads[i] > 4096, heads[i] * 2 > frames[i].count {
                frames[i].removeFirst(heads[i])
                heads[i] = 0
            }
            if isHeard { endTurn(to) }
            if let deadline = stacks[to].nextDeadline, deadline <= now { give(to, .time) }
        }
        return true
    }

    private mutating func deliver(_ bytes: [UInt8], to end: Int) {
        let at = now, local = addresses[end], remote = addresses[1 - end]
        timed(end) { stack, effects in
            stack.receive(
                bytes.span.bytes.extracting(58..<bytes.count), from: remote, to: local, interface: InterfaceID(0), hopLimit: 1,
                checksum: .verify, at: at, into: &effects)
        }
    }

    static func cpuSeconds() -> Double {
        var t = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
        return Double(t.tv_sec) + Double(t.tv_nsec) / 1e9
    }
}
