import Machine
import Records
import Wire

// A message on the wire: a 32-bit length of what follows, an octet for the kind, the body.

/// Bounds of the replication channel, in octets or entries.
public enum ChannelLimit {
    /// Of a frame before the twin is known.
    public static let firstFrame = 2048
    /// Of any frame: one record of the greatest size and its surroundings, or one transaction.
    public static let frame = max(RecordSchema.configurationOctetsMaximum, mirror) + 65_536
    /// A batch of records is cut at this size.
    public static let batch = 1 << 20
    public static let recordsInBatch = 65_536
    public static let chunk = 256 << 10
    /// Octets of a snapshot that are under way without acknowledgement.
    public static let bulkWindow = 4 << 20
    /// Of a whole snapshot.
    public static let snapshot: UInt64 = 16 << 30
    /// Of a datastore's transaction: the greatest configuration with its text.
    public static let mirror = 13 << 20
    public static let forwardedFrame = 65_600
    public static let forwardedFrames = 1024
}

/// Of the frames and messages after the introduction.
public enum ChannelSchema {
    public static let part = SchemaMap.Part("channel", 1...1)
}

extension ChannelMessage {
    enum Kind: UInt8 {
        case hello = 1
        case refuse = 2
        case nudge = 3
        case goodbye = 4
        case records = 5
        case stored = 6
        case applied = 7
        case verified = 8
        case inSync = 9
        case join = 10
        case bulkBegin = 11
        case bulkChunk = 12
        case bulkReceived = 13
        case bulkEnd = 14
        case bulkRefused = 15
        case switchover = 16
        case frames = 17
        case mirror = 18
        case mirrorAnswer = 19
        case leaving = 20
    }

    /// Appends the whole frame.
    public func write(to writer: inout ByteWriter) {
        let start = writer.reserve32()
        switch self {
        case .hello(let hello):
            writer.u8(Kind.hello.rawValue)
            hello.write(to: &writer)
        case .refuse(let reason):
            writer.u8(Kind.refuse.rawValue)
            writer.text(reason)
        case .nudge:
            writer.u8(Kind.nudge.rawValue)
        case .goodbye(let reason, let fatal):
            writer.u8(Kind.goodbye.rawValue)
            writer.u64(fatal.value)
            writer.text(reason)
        case .leaving(let reason):
            writer.u8(Kind.leaving.rawValue)
            writer.text(reason)
        case .records(let epoch, let records):
            writer.u8(Kind.records.rawValue)
            writer.u64(epoch.value)
            writer.u64(records.first?.index.value ?? 0)
            writer.u32(UInt32(records.count))
            for record in records { writer.record(record) }
        case .stored(let index):
            writer.u8(Kind.stored.rawValue)
            writer.u64(index.value)
        case .applied(let index, let digest):
            writer.u8(Kind.applied.rawValue)
            writer.u64(index.value)
            writer.replicaDigest(digest)
        case .verified(let index, let difference):
            writer.u8(Kind.verified.rawValue)
            writer.u64(index.value)
            writer.u16(difference)
        case .inSync(let isInSync, let from):
            writer.u8(Kind.inSync.rawValue)
            writer.u8(isInSync ? 1 : 0)
            writer.u64(from)
        case .join:
            writer.u8(Kind.join.rawValue)
        case .bulkBegin(let number, let index, let octets, let digest):
            writer.u8(Kind.bulkBegin.rawValue)
            writer.u32(number)
            writer.u64(index.value)
            writer.u64(octets)
            writer.replicaDigest(digest)
        case .bulkChunk(let number, let offset, let octets):
            writer.u8(Kind.bulkChunk.rawValue)
            writer.u32(number)
            writer.u64(offset)
            writer.u32(UInt32(octets.count))
            writer.append(octets)
        case .bulkReceived(let number, let octets):
            writer.u8(Kind.bulkReceived.rawValue)
            writer.u32(number)
            writer.u64(octets)
        case .bulkEnd(let number, let hash):
            writer.u8(Kind.bulkEnd.rawValue)
            writer.u32(number)
            writer.u64(hash)
        case .bulkRefused(let number, let reason):
            writer.u8(Kind.bulkRefused.rawValue)
            writer.u32(number)
            writer.text(reason)
        case .switchover(let message):
            writer.u8(Kind.switchover.rawValue)
            writer.switchover(message)
        case .frames(let frames):
            writer.u8(Kind.frames.rawValue)
            writer.u16(UInt16(frames.count))
            for frame in frames {
                writer.u16(frame.interface.value)
                writer.u32(UInt32(frame.octets.count))
                writer.append(frame.octets)
            }
        case .mirror(let transaction, let octets):
            writer.u8(Kind.mirror.rawValue)
            writer.u64(transaction)
            writer.u32(UInt32(octets.count))
            writer.append(octets)
        case .mirrorAnswer(let transaction, let refusal):
            writer.u8(Kind.mirrorAnswer.rawValue)
            writer.u64(transaction)
            writer.text(refusal)
        }
        writer.patch32(start, UInt32(writer.count - start - 4))
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// Reads what follows the length.
    /// - Parameter records: the schema of records that was agreed.
    public init(decoding bytes: RawSpan, records schema: UInt16 = RecordSchema.current) throws(DecodeError) {
        var reader = ByteReader(bytes)
        guard let kind = Kind(rawValue: try reader.u8("message kind")) else {
            throw DecodeError("message kind", at: 0, .unsupported)
        }
        switch kind {
        case .hello: self = .hello(try Hello(from: &reader))
        case .refuse: self = .refuse(reason: try reader.text("reason"))
        case .nudge: self = .nudge
        case .goodbye:
            let fatal = LogIndex(try reader.u64("fatal index"))
            self = .goodbye(reason: try reader.text("reason"), fatal: fatal)
        case .leaving: self = .leaving(reason: try reader.text("reason"))
        case .records:
            let epoch = Epoch(try reader.u64("epoch"))
            self = .records(epoch, try reader.records(schema))
        case .stored: self = .stored(LogIndex(try reader.u64("stored")))
        case .applied:
            let index = LogIndex(try reader.u64("applied"))
            self = .applied(index, try reader.replicaDigest())
        case .verified:
            let index = LogIndex(try reader.u64("verified"))
            self = .verified(index, difference: try reader.u16("difference"))
        case .inSync:
            let isInSync = try reader.flag("in sync")
            self = .inSync(isInSync, from: try reader.u64("beat"))
        case .join: self = .join
        case .bulkBegin:
            let number = try reader.u32("bulk number")
            let index = LogIndex(try reader.u64("bulk index"))
            let octets = try reader.u64("bulk octets")
            guard octets <= ChannelLimit.snapshot else {
                throw DecodeError("bulk octets", at: reader.offset - 8, .badLength)
            }
            self = .bulkBegin(number: number, index: index, octets: octets, try reader.replicaDigest())
        case .bulkChunk:
            let number = try reader.u32("bulk number")
            let at = try reader.u64("bulk offset")
            let count = try reader.length(ChannelLimit.chunk, "bulk chunk")
            self = .bulkChunk(number: number, offset: at, try reader.array(count, "bulk chunk"))
        case .bulkReceived:
            let number = try reader.u32("bulk number")
            self = .bulkReceived(number: number, octets: try reader.u64("bulk octets"))
        case .bulkEnd:
            let number = try reader.u32("bulk number")
            self = .bulkEnd(number: number, hash: try reader.u64("bulk hash"))
        case .bulkRefused:
            let number = try reader.u32("bulk number")
            self = .bulkRefused(number: number, reason: try reader.text("reason"))
        case .switchover: self = .switchover(try reader.switchover())
        case .frames:
            let count = Int(try reader.u16("frames"))
            guard count <= ChannelLimit.forwardedFrames else { throw DecodeError("frames", at: 1, .badLength) }
            var frames: [ForwardedFrame] = []
            for _ in 0..<count {
                let interface = InterfaceID(try reader.u16("interface"))
                let length = try reader.length(ChannelLimit.forwardedFrame, "frame")
                frames.append(ForwardedFrame(interface: interface, octets: try reader.array(length, "frame")))
            }
            self = .frames(frames)
        case .mirror:
            let transaction = try reader.u64("transaction")
            let count = try reader.length(ChannelLimit.mirror, "transaction")
            self = .mirror(transaction: transaction, try reader.array(count, "transaction"))
        case .mirrorAnswer:
            let transaction = try reader.u64("transaction")
            self = .mirrorAnswer(transaction: transaction, refusal: try reader.text("refusal"))
        }
        try reader.expectEnd("message")
    }
}

extension ByteWriter {
    mutating func replicaDigest(_ digest: ReplicaDigest) {
        let values = digest.values.prefix(16)
        u8(UInt8(values.count))
        for value in values { u64(value) }
    }

    mutating func switchover(_ message: SwitchoverMessage) {
        switch message {
        case .announce(let number, let upTo, let reason):
            u8(1)
            u32(number)
            u64(upTo.value)
            text(reason)
        case .replicated(let number, let verified, let difference):
            u8(2)
            u32(number)
            u64(verified.value)
            u16(difference)
        case .beReady(let number):
            u8(3)
            u32(number)
        case .ready(let number):
            u8(4)
            u32(number)
        case .notReady(let number, let reason):
            u8(5)
            u32(number)
            text(reason)
        case .relinquish(let number, let epoch, let last, let digest):
            u8(6)
            u32(number)
            u64(epoch.value)
            u64(last.value)
            replicaDigest(digest)
        case .tookOver(let number, let epoch, let last):
            u8(7)
            u32(number)
            u64(epoch.value)
            u64(last.value)
        case .following(let number):
            u8(8)
            u32(number)
        case .abort(let number, let reason):
            u8(9)
            u32(number)
            text(reason)
        }
    }
}

extension ByteReader {
    @_lifetime(self: copy self)
    mutating func records(_ schema: UInt16) throws(DecodeError) -> [Record] {
        let at = offset
        let first = try u64("first index")
        let count = try length(ChannelLimit.recordsInBatch, "records")
        guard first > 0, count > 0, first < .max - UInt64(count) else { throw DecodeError("records", at: at, .badValue) }
        var records: [Record] = []
        // A record has at least 9 octets, so the reservation is bounded by what is there.
        records.reserveCapacity(min(count, remaining / 9 + 1))
        for i in 0..<UInt64(count) { records.append(try record(index: LogIndex(first + i), schema: schema)) }
        return records
    }

    @_lifetime(self: copy self)
    mutating func replicaDigest() throws(DecodeError) -> ReplicaDigest {
        let at = offset
        let count = Int(try u8("digest parts"))
        guard count <= 16 else { throw DecodeError("digest parts", at: at, .badLength) }
        var values: [UInt64] = []
        for _ in 0..<count { values.append(try u64("digest")) }
        return ReplicaDigest(values)
    }

    @_lifetime(self: copy self)
    mutating func switchover() throws(DecodeError) -> SwitchoverMessage {
        let at = offset
        let kind = try u8("switchover step")
        let number = try u32("switchover number")
        switch kind {
        case 1:
            let upTo = LogIndex(try u64("announced index"))
            return .announce(number: number, upTo: upTo, reason: try text("reason"))
        case 2:
            let verified = LogIndex(try u64("verified index"))
            return .replicated(number: number, verified: verified, difference: try u16("difference"))
        case 3: return .beReady(number: number)
        case 4: return .ready(number: number)
        case 5: return .notReady(number: number, reason: try text("reason"))
        case 6:
            let epoch = Epoch(try u64("epoch"))
            let last = LogIndex(try u64("last index"))
            return .relinquish(number: number, epoch: epoch, last: last, digest: try replicaDigest())
        case 7:
            let epoch = Epoch(try u64("epoch"))
            return .tookOver(number: number, epoch: epoch, last: LogIndex(try u64("last index")))
        case 8: return .following(number: number)
        case 9: return .abort(number: number, reason: try text("reason"))
        default: throw DecodeError("switchover step", at: at, .unsupported)
        }
    }
}
