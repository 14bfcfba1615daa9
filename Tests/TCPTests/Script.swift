import Machine
import Records
import Testing
import Wire

@testable import TCP

/// Packetdrill in small. A line is a time (`+10ms`, since the line before; `+0` may be left out) and then one of
///
///     < FLAGS 1:1001 ack 1 win 1000 …     the peer sends
///     > FLAGS 1:1001 ack 1 win 1000 …     we send, at this very time (several on a line: `> … > …`)
///     write N | finish | abort            the engine asks
///     hold | commit | release             records are no longer committed at once | are committed now | at once again
///     record NAME …                       the records since the last such line, by name
///     passive | active OPTIONS            a handshake, checked elsewhere; `mss 1000 sack ts wscale 7 win 65535 rtt 10ms`
///     connect                             the engine asks for a connection
///     restore una A end B received C      the stack is rebuilt from an image
///
/// Numbers count from the SYN of either side (0). What a `>` does not name is not compared. Before anything but `>` happens
/// there must be nothing that we sent and nobody expected: silence is checked by the clock's running, never by waiting.
/// Flags as tcpdump has them: S F R P E W and the dot for ACK.
/// Options: `mss N`, `sackOK`, `wscale N`, `ts VAL:ECR`, `sack A:B C:D`.
struct Script {
    var harness: Harness
    var initialSend: UInt32 = 0
    var initialReceive: UInt32 = 0xffff_f000
    var peerPort: UInt16 = 40_000
    var localPort: UInt16 = 179
    var peerUsesTimestamps = false
    var peerShift: UInt8? = nil
    var connection = ConnectionID(0)
    var identity: ConnectionIdentity?
    var recordsSeen = 0
    var written = 0
    var signature: MD5Signature? = nil
    var activeOptions = TransportOptions()

    init(_ harness: Harness = Harness()) { self.harness = harness }

    @discardableResult
    static func run(
        _ text: String, _ harness: Harness = Harness(), location: SourceLocation = #_sourceLocation
    ) -> Script {
        var script = Script(harness)
        script.run(text, location: location)
        return script
    }

    mutating func run(_ text: String, location: SourceLocation = #_sourceLocation) {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let code = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)[0]
            var words = code.split(separator: " ").map(String.init)
            guard !words.isEmpty else { continue }
            let place = SourceLocation(
                fileID: location.fileID, filePath: location.filePath, line: location.line + number + 1, column: 1)
            if words[0].hasPrefix("+") {
                let delay = Self.duration(words.removeFirst())
                if delay > .zero {
                    if words.first != ">" || true { silence(place) }
                    let end = harness.now + delay
                    harness.advance(to: end)
                }
            }
            guard let verb = words.first else { continue }
            if verb == ">" {
                for part in words.split(separator: ">") { expect(Array(part), place) }
                continue
            }
            if verb != "record" { silence(place) }
            act(verb, Array(words.dropFirst()), place)
        }
        silence(location)
    }

    // MARK: what happens

    /// One line without what is expected; `each` is told after every timer and after the line.
    mutating func act(
        _ line: String, location: SourceLocation = #_sourceLocation, _ each: (inout Script, String?) -> Void
    ) {
        var words = line.split(separator: " ").map(String.init)
        if words[0].hasPrefix("+") {
            let end = harness.now + Self.duration(words.removeFirst())
            while let next = harness.stack.nextDeadline, next <= end {
                harness.advance(to: max(harness.now, next))
                each(&self, nil)
            }
            harness.advance(to: end)
        }
        act(words[0], Array(words.dropFirst()), location)
        each(&self, words.joined(separator: " "))
    }

    private mutating func act(_ verb: String, _ words: [String], _ place: SourceLocation) {
        switch verb {
        case "<":
            harness.receive(segment(words))
        case "<<":
            // Without the end of the batch: the next segment is of the same burst.
            harness.receive(segment(words), turn: false)
        case "write":
            let count = Int(words[0])!
            harness.give(.send(connection, Self.pattern(written, count)[...]))
            written += count
        case "finish": harness.give(.finish(connection))
        case "abort": harness.give(.abort(connection))
        case "hold": harness.commitsAtOnce = false
        case "commit": harness.commitAll()
        case "release":
            harness.commitsAtOnce = true
            harness.commitAll()
        case "applied":
            harness.give(.applied(LogIndex(harness.index - UInt64(words.first.map { Int($0)! } ?? 0))))
        case "record":
            let names = harness.records[recordsSeen...].map(Self.name)
            #expect(names == Self.joined(words), sourceLocation: place)
            recordsSeen = harness.records.count
        case "passive": passive(words)
        case "active": active(words)
        case "connect": harness.give(.connect(request()))
        case "restore": restore(words)
        default: Issue.record("no such verb: \(verb)", sourceLocation: place)
        }
    }

    /// `received 10` is one word of the expectation.
    private static func joined(_ words: [String]) -> [String] {
        var result: [String] = []
        for word in words {
            if word.first!.isNumber || word.first == "." {
                result[result.count - 1] += " " + word
            } else {
                result.append(word)
            }
        }
        return result
    }

    static func name(_ body: RecordBody) -> String {
        switch body {
        case .tcpAccepted: "accepted"
        case .tcpConnected: "connected"
        case .tcpReceived(_, let bytes, _): "received \(bytes.count)"
        case .tcpAcknowledged(_, let offset): "acknowledged \(offset)"
        case .tcpPeerFinished: "peerFinished"
        case .tcpClosed(_, let reason): "closed.\(reason)"
        default: "?"
        }
    }

    static func pattern(_ start: Int, _ count: Int) -> [UInt8] {
        (start..<(start + count)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    }

    static func duration(_ text: String) -> Duration {
        let body = text.dropFirst()
        if body.hasSuffix("ms") { return .milliseconds(Int(body.dropLast(2))!) }
        if body.hasSuffix("us") { return .microseconds(Int(body.dropLast(2))!) }
        if body.hasSuffix("s") { return .seconds(Int(body.dropLast(1))!) }
        return .zero
    }

    private func silence(_ place: SourceLocation) {
        for s in harness.sent {
            Issue.record("nobody expected at \(s.at): \(describe(s))", sourceLocation: place)
        }
    }

    // MARK: segments

    /// The peer's segment from its words.
    mutating func segment(_ words: [String]) -> [UInt8] {
        var s = OutgoingSegment(localPort: peerPort, remotePort: localPort, sequence: initialReceive, flags: [])
        var flags: SegmentFlags? = nil
        var count = 0
        var first = 0
        var hasAck = false
        s.window = 65_535
        if peerUsesTimestamps {
            s.hasTimestamps = true
            s.timestampValue = 1000 &+ UInt32(truncatingIfNeeded: harness.now.nanoseconds / 1_000_000)
        }
        var i = 0
        while i < words.count {
            let word = words[i]
            i += 1
            switch word {
            case "ack":
                s.acknowledgment = initialSend &+ UInt32(truncatingIfNeeded: Int(words[i])!)
                hasAck = true
                i += 1
            case "win":
                s.window = UInt16(words[i])!
                i += 1
            case "mss":
                s.maximumSegmentSize = UInt16(words[i])!
                i += 1
            case "wscale":
                s.windowShift = UInt8(words[i])!
                i += 1
            case "sackOK": s.selectiveAcknowledgmentPermitted = true
            case "ts":
                let parts = words[i].split(separator: ":")
                s.hasTimestamps = true
                s.timestampValue = UInt32(parts[0])!
                s.timestampEcho = UInt32(parts[1])!
                i += 1
            case "nots": s.hasTimestamps = false
            case "sack":
                while i < words.count, words[i].contains(":") {
                    let parts = words[i].split(separator: ":")
                    s.blocks[s.blockCount] = SACKBlock(
                        left: initialSend &+ UInt32(parts[0])!, right: initialSend &+ UInt32(parts[1])!)
                    s.blockCount += 1
                    i += 1
                }
            default:
                if word.contains(":") {
                    let parts = word.split(separator: ":")
                    first = Int(parts[0])!
                    count = Int(parts[1])! - first
                    s.sequence = initialReceive &+ UInt32(truncatingIfNeeded: first)
                } else {
                    flags = Self.flags(word)
                }
            }
        }
        s.flags = flags ?? (hasAck ? .ack : [])
        if hasAck { s.flags.insert(.ack) }
        if flags == nil, count == 0, first == 0 { s.sequence = initialReceive &+ 1 &+ UInt32(harnessReceived) }
        if s.flags.contains(.fin) || s.flags.contains(.syn) { count = max(0, count - 1) }
        var stream = TransmitStream()
        if count > 0 { stream.append(Self.pattern(first - 1, count)[...]) }
        return s.write(
            headroom: 0, local: Harness.remote, remote: Harness.local, stream: stream, offset: 0, count: count,
            signature: signature)
    }

    /// Where the peer is in its own stream when a segment does not say: after all that we have in order.
    private var harnessReceived: UInt64 {
        harness.stack.connectionStatuses().first?.receiveNext ?? 0
    }

    static func flags(_ word: String) -> SegmentFlags {
        var flags: SegmentFlags = []
        for c in word {
            switch c {
            case "S": flags.insert(.syn)
            case "F": flags.insert(.fin)
            case "R": flags.insert(.rst)
            case "P": flags.insert(.psh)
            case "E": flags.insert(SegmentFlags(rawValue: 64))
            case "W": flags.insert(SegmentFlags(rawValue: 128))
            case ".": flags.insert(.ack)
            default: Issue.record("no such flag: \(word)")
            }
        }
        return flags
    }

    private mutating func expect(_ words: [String], _ place: SourceLocation) {
        guard !harness.sent.isEmpty else {
            Issue.record("nothing was sent; expected \(words.joined(separator: " "))", sourceLocation: place)
            return
        }
        let s = harness.sent.removeFirst()
        let h = s.header
        if h.flags.contains(.syn), initialSend == 0 { initialSend = h.sequence }
        let text = describe(s)
        if s.at != harness.now {
            Issue.record("sent at \(s.at), expected at \(harness.now): \(text)", sourceLocation: place)
        }
        func same(_ what: String, _ a: String, _ b: String) {
            if a != b { Issue.record("\(what) is \(a), expected \(b): \(text)", sourceLocation: place) }
        }
        var i = 0
        while i < words.count {
            let word = words[i]
            i += 1
            switch word {
            case "ack":
                same("ack", "\(h.acknowledgment &- initialReceive)", words[i])
                i += 1
            case "win":
                same("win", "\(h.window)", words[i])
                i += 1
            case "mss":
                same("mss", "\(h.maximumSegmentSize)", words[i])
                i += 1
            case "wscale":
                same("wscale", h.windowShift.map { "\($0)" } ?? "none", words[i])
                i += 1
            case "sackOK": same("sackOK", "\(h.selectiveAcknowledgmentPermitted)", "true")
            case "nosack": same("sack", "\(h.blockCount)", "0")
            case "ts": same("ts", "\(h.hasTimestamps)", "true")
            case "nots": same("ts", "\(h.hasTimestamps)", "false")
            case "ecr":
                same("ecr", "\(h.timestampEcho)", words[i])
                i += 1
            case "sack":
                var k = 0
                while i < words.count, words[i].contains(":") {
                    let block = h.blocks[k]
                    same(
                        "sack", "\(block.left &- initialReceive):\(block.right &- initialReceive)", words[i])
                    k += 1
                    i += 1
                }
                same("blocks", "\(h.blockCount)", "\(k)")
            default:
                if word.contains(":") {
                    let start = h.sequence &- initialSend
                    same("range", "\(start):\(start &+ UInt32(h.sequenceLength))", word)
                    if !s.payload.isEmpty {
                        #expect(s.payload == Self.pattern(Int(start) - 1, s.payload.count), sourceLocation: place)
                    }
                } else {
                    same("flags", Self.text(h.flags), word)
                }
            }
        }
    }

    static func text(_ flags: SegmentFlags) -> String {
        (flags.contains(.syn) ? "S" : "") + (flags.contains(.fin) ? "F" : "") + (flags.contains(.rst) ? "R" : "")
            + (flags.contains(.psh) ? "P" : "") + (flags.rawValue & 64 != 0 ? "E" : "")
            + (flags.rawValue & 128 != 0 ? "W" : "") + (flags.contains(.ack) ? "." : "")
    }

    func describe(_ s: Harness.Sent) -> String {
        let h = s.header
        let start = h.sequence &- initialSend
        var text = "\(Self.text(h.flags)) \(start):\(start &+ UInt32(h.sequenceLength))"
        if h.flags.contains(.ack) { text += " ack \(h.acknowledgment &- initialReceive)" }
        text += " win \(h.window)"
        for i in 0..<h.blockCount {
            text += " sack \(h.blocks[i].left &- initialReceive):\(h.blocks[i].right &- initialReceive)"
        }
        return text
    }

    // MARK: handshakes

    private mutating func takeOptions(_ words: [String]) -> String {
        peerUsesTimestamps = words.contains("ts")
        var text = ""
        var i = 0
        while i < words.count {
            switch words[i] {
            case "mss", "wscale", "win":
                text += " \(words[i]) \(words[i + 1])"
                if words[i] == "wscale" { peerShift = UInt8(words[i + 1])! }
                i += 1
            case "sack": text += " sackOK"
            default: break
            }
            i += 1
        }
        return text
    }

    /// What the handshake measures. Without a word for it a round trip of a LAN with some work at its ends, so that PTO, which is
    /// two of them, is neither nothing nor RTO.
    private static func roundTrip(_ words: [String]) -> Duration {
        words.firstIndex(of: "rtt").map { duration("+" + words[$0 + 1]) } ?? .milliseconds(10)
    }

    private mutating func passive(_ words: [String]) {
        let options = takeOptions(words)
        let window = words.firstIndex(of: "win").map { " win " + words[$0 + 1] } ?? ""
        harness.receive(segment(("S 0:1" + options).split(separator: " ").map(String.init)))
        guard let synAck = harness.drain().first else {
            Issue.record("no SYN-ACK")
            return
        }
        initialSend = synAck.header.sequence
        harness.advance(by: Self.roundTrip(words))
        harness.receive(segment((". 1:1 ack 1" + window).split(separator: " ").map(String.init)))
        establish()
    }

    mutating func request(_ id: UInt32 = 1) -> ConnectRequest {
        peerPort = 179
        localPort = 50_001
        return ConnectRequest(
            connection: ConnectionID(id),
            tuple: ConnectionTuple(
                interface: Harness.interface, local: Harness.local, localPort: localPort, remote: Harness.remote,
                remotePort: peerPort),
            initialSendSequence: 0xffff_ff00, timestampOffset: 77, options: activeOptions)
    }

    private mutating func active(_ words: [String]) {
        harness.give(.connect(request()))
        initialSend = harness.drain()[0].header.sequence
        harness.advance(by: Self.roundTrip(words))
        harness.receive(segment(("S. 0:1 ack 1" + takeOptions(words)).split(separator: " ").map(String.init)))
        _ = harness.drain()
        establish()
    }

    mutating func establish() {
        for body in harness.records {
            switch body {
            case .tcpAccepted(let id, let identity), .tcpConnected(let id, let identity):
                connection = id
                self.identity = identity
            default: break
            }
        }
        if identity == nil { Issue.record("not established") }
        recordsSeen = harness.records.count
    }

    private mutating func restore(_ words: [String]) {
        var image = LineCardImage()
        var una = 0, end = 0, received = 0
        var i = 0
        var finished = false, peerFinished = false
        while i < words.count {
            switch words[i] {
            case "una": una = Int(words[i + 1])!
            case "end": end = Int(words[i + 1])!
            case "received": received = Int(words[i + 1])!
            case "finished":
                finished = true
                i -= 1
            case "peerFinished":
                peerFinished = true
                i -= 1
            default: Issue.record("restore \(words[i])")
            }
            i += 2
        }
        var stream = TransmitStream(start: UInt64(una))
        stream.append(Self.pattern(una, end - una)[...])
        if finished { stream.finish() }
        written = end
        image.connections = [
            LineCardImage.Connection(
                connection: connection, identity: identity!, receivedOffset: UInt64(received), peerFinished: peerFinished,
                peerTimestamp: 1000, stream: stream)
        ]
        image.nextAcceptedConnection = ConnectionID(connection.value + 2)
        image.interfaces = harness.stack.interfaces
        harness.give(.restore(image))
    }
}
