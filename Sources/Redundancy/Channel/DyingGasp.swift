import Records
import Wire

/// The one message that a crashing process sends from its signal handler (DESIGN §7): which record was fatal.
///
/// It is a datagram on a path of its own, since a signal handler cannot run TLS. The token in it was drawn by the sender
/// for this session and went to the twin in `Hello`, inside the channel, so that nobody else can forge a gasp. The frame
/// is prepared beforehand; the handler only writes the index, and the number of the message in the record.
///
/// ```
///  0        4   5    6    8        16       24          32              48
///  +--------+---+----+----+--------+--------+-----------+---------------+
///  | LSGP   | 1 | id | n  | epoch  | index  | boot nonce| token         |
///  +--------+---+----+----+--------+--------+-----------+---------------+
/// ```
public struct DyingGasp: Hashable, Sendable {
    /// Octets of every gasp.
    public static let size = 48
    /// Where the handler writes the index of the record being applied, 8 octets in network order.
    public static let indexOffset = 16
    /// Where it writes which message of the record, 2 octets in network order.
    public static let messageOffset = 6

    static let sessionFlag: UInt64 = 1 << 63

    /// Drawn at random for each start of a process.
    public struct Token: Hashable, Sendable {
        public var high: UInt64
        public var low: UInt64
        public init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }
    }

    public var controller: ControllerID
    public var epoch: Epoch
    /// The record being applied; 0 when the engine was not applying.
    public var index: LogIndex
    /// The discriminator of the BFD session whose packet the line card was looking into; `nil` when it was looking into none.
    /// On the wire it takes the place of the index, with the highest bit set, which no index has.
    public var session: UInt32?
    /// Which message in the record, from 1; 0 if that is not known.
    public var message: UInt16
    public var bootNonce: UInt64
    public var token: Token

    public init(
        controller: ControllerID, epoch: Epoch, index: LogIndex, message: UInt16 = 0, session: UInt32? = nil, bootNonce: UInt64,
        token: Token
    ) {
        self.controller = controller
        self.epoch = epoch
        self.index = index
        self.message = message
        self.session = session
        self.bootNonce = bootNonce
        self.token = token
    }

    public func encoded() -> [UInt8] {
        var writer = ByteWriter(capacity: Self.size)
        writer.u32(0x4c53_4750)
        writer.u8(1)
        writer.u8(controller.rawValue)
        writer.u16(message)
        writer.u64(epoch.value)
        writer.u64(session.map { Self.sessionFlag | UInt64($0) } ?? index.value)
        writer.u64(bootNonce)
        writer.u64(token.high)
        writer.u64(token.low)
        return writer.bytes
    }

    public init(decoding bytes: RawSpan) throws(DecodeError) {
        var reader = ByteReader(bytes)
        guard try reader.u32("gasp magic") == 0x4c53_4750 else { throw DecodeError("gasp magic", at: 0, .badChecksum) }
        guard try reader.u8("gasp version") == 1 else { throw DecodeError("gasp version", at: 4, .unsupported) }
        controller = try reader.controllerID()
        message = try reader.u16("message")
        epoch = Epoch(try reader.u64("epoch"))
        let word = try reader.u64("index")
        let isSession = word & Self.sessionFlag != 0
        index = isSession ? .zero : LogIndex(word)
        session = isSession ? UInt32(truncatingIfNeeded: word) : nil
        bootNonce = try reader.u64("boot nonce")
        let high = try reader.u64("token")
        token = Token(high: high, low: try reader.u64("token"))
        try reader.expectEnd("gasp")
    }
}
