import Machine
import Records
import Testing
import Wire

@testable import TCP

/// One stack under virtual time with a log beside it. The peer is the test.
struct Harness {
    static let local = IPAddress("10.0.0.1")!
    static let remote = IPAddress("10.0.0.2")!
    static let interface = InterfaceID(0)

    struct Sent {
        var at: Instant
        var to: IPAddress
        var hopLimit: UInt8
        var header: SegmentHeader
        var payload: [UInt8]
        var bytes: [UInt8]
    }

    var stack: TCPStack
    var now = Instant(nanoseconds: 1_000_000_000)
    var sent: [Sent] = []
    var records: [RecordBody] = []
    var events: [Event] = []
    var index: UInt64 = 0
    /// Whether records are committed at once, as when the controller is alone.
    var commitsAtOnce = true

    init(
        listener options: TransportOptions = TransportOptions(), configuration: TCPConfiguration = TCPConfiguration(),
        listens: Bool = true
    ) {
        var configuration = configuration
        configuration.headroom = 0
        stack = TCPStack(configuration: configuration)
        var image = LineCardImage()
        image.sequenceSecret = 0x1234
        image.interfaces = [
            InterfaceConfiguration(name: "lan", virtualMAC: MACAddress(raw: 2), mtu: 1500, addresses: [])
        ]
        if listens {
            image.listeners = [
                Listener(local: Self.local, localPort: 179, remote: Self.remote, options: options)
            ]
        }
        give(.restore(image))
    }

    /// An input, and then the end of the turn as a line card has it.
    mutating func give(_ input: TCPInput) {
        handle(input)
        finishTurn()
    }

    mutating func handle(_ input: TCPInput) {
        var effects: [TCPEffect] = []
        stack.handle(input, at: now, into: &effects)
        take(effects)
    }

    mutating func finishTurn() {
        handle(.endOfBatch)
        handle(.endOfBatch)
    }

    mutating func commitAll() {
        handle(.committed(LogIndex(index)))
        finishTurn()
    }

    private mutating func take(_ effects: [TCPEffect]) {
        for effect in effects {
            switch effect {
            case .transmit(let t):
                let header = try! SegmentHeader(t.bytes.span.bytes)
                let verdict = PseudoHeader(source: t.local, destination: t.remote, length: t.bytes.count)
                    .judge(t.bytes.span.bytes, field: header.checksum)
                if verdict != .valid { Issue.record("a segment was sent with a wrong checksum") }
                sent.append(
                    Sent(
                        at: now, to: t.remote, hopLimit: t.hopLimit, header: header,
                        payload: Array(t.bytes[header.headerLength...]), bytes: t.bytes))
            case .record(let body):
                records.append(body)
                index += 1
                handle(.logged(LogIndex(index)))
            case .event(let event):
                events.append(event)
            }
        }
        if commitsAtOnce, !effects.isEmpty, index > 0 { handle(.committed(LogIndex(index))) }
    }

    /// A segment from the peer; `turn` ends the batch.
    mutating func receive(
        _ bytes: [UInt8], from remote: IPAddress = Self.remote, hopLimit: UInt8 = 255, turn: Bool = true,
        checksum: TCPChecksumState = .verify
    ) {
        var effects: [TCPEffect] = []
        stack.receive(
            bytes.span.bytes, from: remote, to: Self.local, interface: Self.interface, hopLimit: hopLimit,
            checksum: checksum, at: now, into: &effects)
        take(effects)
        if turn { finishTurn() }
    }

    /// Runs the clock, firing what is due on the way.
    mutating func advance(to end: Instant) {
        while let next = stack.nextDeadline, next <= end {
            now = max(now, next)
            give(.time)
        }
        now = end
    }
    mutating func advance(by duration: Duration) { advance(to: now + duration) }

    mutating func drain() -> [Sent] {
        defer { sent = [] }
        return sent
    }

    var received: [UInt8] {
        records.flatMap { body -> [UInt8] in
            if case .tcpReceived(_, let bytes, _) = body { bytes } else { [] }
        }
    }
    var closedReasons: [ConnectionEnd] {
        records.compactMap { if case .tcpClosed(_, let reason) = $0 { reason } else { nil } }
    }
}
