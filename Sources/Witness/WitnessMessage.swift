import Machine
import Records
import Redundancy
import Wire

/// What a controller and a witness say to each other, inside TLS.
///
/// Each message is a frame: a length of two octets, a kind, its fields in network order. A connection begins with `hello`;
/// then the controller asks, one request at a time, and pings while it has nothing to ask. Which pair and which of its
/// controllers is asking is not in any message: it follows from the key that TLS has proven.
public enum WitnessWire {
    public static let version: UInt8 = 1
    public static let port: UInt16 = 7181
    /// Octets of a frame without its length. Whoever announces more is cut off.
    public static let frameMaximum = 256
    /// Shortest and longest lease that can be asked for.
    public static let leases = Duration.milliseconds(100)...Duration.seconds(60)

    /// A frame with its length.
    static func framed(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        let at = writer.reserve16()
        body(&writer)
        writer.patchLength16(at)
        return writer.bytes
    }
}

/// From a controller.
public enum WitnessRequest: Hashable, Sendable {
    /// `session` is random for each start of a process: a process that starts knows nothing of the router's sessions.
    /// `isFirst`: no witness has welcomed this process yet.
    case hello(session: UInt64, lease: Duration, isFirst: Bool)
    /// `number` grows with each request and stays the same when one is repeated. `isTwinEligible` is what the controller was
    /// last told of its twin's copy, for a witness that lost its memory.
    case ask(number: UInt64, ArbiterRequest, isTwinEligible: Bool)
    case ping(UInt64)

    public func frame() -> [UInt8] {
        WitnessWire.framed { writer in
            switch self {
            case .hello(let session, let lease, let isFirst):
                writer.u8(1)
                writer.u8(WitnessWire.version)
                writer.u64(session)
                writer.u64(UInt64(bitPattern: lease.inNanoseconds))
                writer.u8(isFirst ? 1 : 0)
            case .ask(let number, let request, let isTwinEligible):
                writer.u8(2)
                writer.u64(number)
                let (kind, epoch, flag): (UInt8, Epoch, Bool) =
                    switch request {
                    case .acquire(let least, let isResuming): (1, least, isResuming)
                    case .renew(let epoch): (2, epoch, isTwinEligible)
                    case .release(let epoch): (3, epoch, false)
                    case .setTwinEligible(let epoch, let isEligible): (4, epoch, isEligible)
                    }
                writer.u8(kind)
                writer.u64(epoch.value)
                writer.u8(flag ? 1 : 0)
            case .ping(let number):
                writer.u8(3)
                writer.u64(number)
            }
        }
    }

    /// - Parameter frame: without its length.
    public init(decoding frame: RawSpan) throws(DecodeError) {
        var reader = ByteReader(frame)
        switch try reader.u8("kind of request") {
        case 1:
            guard try reader.u8("version") == WitnessWire.version else { throw DecodeError("version", at: 1, .unsupported) }
            let session = try reader.u64("session")
            let lease = Duration.nanoseconds(Int64(clamping: try reader.u64("lease")))
            guard WitnessWire.leases.contains(lease) else { throw DecodeError("lease", at: 10, .badValue) }
            let flag = try reader.u8("flag")
            guard flag < 2, session != 0 else { throw DecodeError("session", at: 2, .badValue) }
            self = .hello(session: session, lease: lease, isFirst: flag == 1)
        case 2:
            let number = try reader.u64("number")
            guard number > 0 else { throw DecodeError("number", at: 1, .badValue) }
            let kind = try reader.u8("request")
            let epoch = Epoch(try reader.u64("epoch"))
            let flag = try reader.u8("flag")
            guard flag < 2 else { throw DecodeError("flag", at: 18, .badValue) }
            let request: ArbiterRequest
            switch kind {
            case 1: request = .acquire(atLeast: epoch, isResuming: flag == 1)
            case 2: request = .renew(epoch)
            case 3: request = .release(epoch)
            case 4: request = .setTwinEligible(epoch, flag == 1)
            default: throw DecodeError("request", at: 9, .badValue)
            }
            self = .ask(number: number, request, isTwinEligible: kind == 2 && flag == 1)
        case 3: self = .ping(try reader.u64("number"))
        default: throw DecodeError("kind of request", at: 0, .unsupported)
        }
        try reader.expectEnd("request")
    }
}

/// From a witness.
public enum WitnessAnswer: Hashable, Sendable {
    /// `knowsNothingFor`: it lost its memory or starts for the first time, and grants nothing for so long.
    case welcome(knowsNothingFor: Duration)
    case answer(number: UInt64, VoteAnswer)
    case pong(UInt64)
    /// The connection ends with this.
    case refusal(String)

    /// Octets of a reason.
    static let textMaximum = 200

    public func frame() -> [UInt8] {
        WitnessWire.framed { writer in
            switch self {
            case .welcome(let silence):
                writer.u8(1)
                writer.u8(WitnessWire.version)
                writer.u64(UInt64(bitPattern: silence.inNanoseconds))
            case .answer(let number, let answer):
                writer.u8(2)
                writer.u64(number)
                Self.encode(answer, &writer)
            case .pong(let number):
                writer.u8(3)
                writer.u64(number)
            case .refusal(let reason):
                writer.u8(4)
                Self.encode(reason, &writer)
            }
        }
    }

    private static func encode(_ text: String, _ writer: inout ByteWriter) {
        var text = Substring(text)
        while text.utf8.count > textMaximum { text.removeLast() }
        writer.u8(UInt8(text.utf8.count))
        writer.append(Array(text.utf8))
    }

    private static func encode(_ answer: VoteAnswer, _ writer: inout ByteWriter) {
        func put(_ kind: UInt8, _ epoch: Epoch, _ flag: UInt8 = 0, _ time: Duration = .zero, _ writer: inout ByteWriter) {
            writer.u8(kind)
            writer.u64(epoch.value)
            writer.u8(flag)
            writer.u64(UInt64(bitPattern: time.inNanoseconds))
        }
        switch answer {
        case .granted(let epoch, let lease, let mayResume): put(1, epoch, mayResume ? 1 : 0, lease, &writer)
        case .denied(let holder, let epoch, let after): put(2, epoch, holder.map { $0.rawValue + 1 } ?? 0, after, &writer)
        case .renewed(let epoch, let lease): put(3, epoch, 0, lease, &writer)
        case .released(let epoch): put(4, epoch, 0, .zero, &writer)
        case .twinEligibility(let epoch, let isEligible): put(5, epoch, isEligible ? 1 : 0, .zero, &writer)
        case .lost(let epoch): put(6, epoch, 0, .zero, &writer)
        case .notCurrent(let epoch): put(8, epoch, 0, .zero, &writer)
        case .unavailable(let reason):
            writer.u8(7)
            encode(reason, &writer)
        }
    }

    /// - Parameter frame: without its length.
    public init(decoding frame: RawSpan) throws(DecodeError) {
        var reader = ByteReader(frame)
        switch try reader.u8("kind of answer") {
        case 1:
            guard try reader.u8("version") == WitnessWire.version else { throw DecodeError("version", at: 1, .unsupported) }
            self = .welcome(knowsNothingFor: try Self.time(&reader))
        case 2:
            let number = try reader.u64("number")
            self = .answer(number: number, try Self.answer(&reader))
        case 3: self = .pong(try reader.u64("number"))
        case 4: self = .refusal(try Self.text(&reader))
        default: throw DecodeError("kind of answer", at: 0, .unsupported)
        }
        try reader.expectEnd("answer")
    }

    private static func time(_ reader: inout ByteReader) throws(DecodeError) -> Duration {
        let nanoseconds = try reader.u64("time")
        // An hour is longer than anything that a witness says.
        guard nanoseconds <= 3_600_000_000_000 else { throw DecodeError("time", at: 0, .badValue) }
        return .nanoseconds(Int64(nanoseconds))
    }

    private static func text(_ reader: inout ByteReader) throws(DecodeError) -> String {
        let count = Int(try reader.u8("length of a reason"))
        guard count <= textMaximum else { throw DecodeError("length of a reason", at: 0, .badLength) }
        return String(decoding: try reader.array(count, "reason"), as: UTF8.self)
    }

    private static func answer(_ reader: inout ByteReader) throws(DecodeError) -> VoteAnswer {
        let kind = try reader.u8("answer")
        if kind == 7 { return .unavailable(try text(&reader)) }
        let epoch = Epoch(try reader.u64("epoch"))
        let flag = try reader.u8("flag")
        let time = try time(&reader)
        guard flag < (kind == 2 ? 3 : 2) else { throw DecodeError("flag", at: 0, .badValue) }
        switch kind {
        case 1: return .granted(epoch, lease: time, mayResume: flag == 1)
        case 2: return .denied(holder: flag == 0 ? nil : ControllerID(rawValue: flag - 1), epoch, retryAfter: time)
        case 3: return .renewed(epoch, lease: time)
        case 4: return .released(epoch)
        case 5: return .twinEligibility(epoch, flag == 1)
        case 6: return .lost(epoch)
        case 8: return .notCurrent(epoch)
        default: throw DecodeError("answer", at: 0, .badValue)
        }
    }
}

/// Cuts a stream of octets into frames. It never holds more than one frame that is not complete.
public struct WitnessFrames: Sendable {
    private var buffer: [UInt8] = []

    public init() {}

    /// Takes octets and gives the frames that are complete, without their lengths.
    public mutating func take(_ bytes: some Sequence<UInt8>) throws(DecodeError) -> [[UInt8]] {
        buffer.append(contentsOf: bytes)
        var frames: [[UInt8]] = []
        var at = 0
        while buffer.count - at >= 2 {
            let length = Int(buffer[at]) << 8 | Int(buffer[at + 1])
            guard (1...WitnessWire.frameMaximum).contains(length) else { throw DecodeError("length", at: 0, .badLength) }
            guard buffer.count - at >= 2 + length else { break }
            frames.append(Array(buffer[(at + 2)..<(at + 2 + length)]))
            at += 2 + length
        }
        buffer.removeFirst(at)
        return frames
    }
}
