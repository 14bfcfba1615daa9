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
///  | LSGP   | 2 | id | n  | epoch  | index  | boot nonce| token         |
///  +--------+---+----+----+--------+--------+-----------+---------------+
///  48      50      52                      116
///  +-------+-------+------------------------+
///  | port  | octets| the first 64 of them   |  of the frame in hand; octets 0: none
///  +-------+-------+------------------------+
/// ```
///
/// Version 1 ends before the frame.
public struct DyingGasp: Hashable, Sendable {
    /// Octets of every gasp.
    public static let size = 116
    /// Where the handler writes the frame in hand: interface and length, 2 octets each, and the first `headerSize` octets.
    public static let frameOffset = 48
    public static let headerSize = 64
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
    /// What the line card worked on, if that is where the process died.
    public var frame: Frame?

    /// The beginning of a frame.
    public struct Frame: Hashable, Sendable {
        public var interface: InterfaceID
        /// Of the whole frame.
        public var length: UInt16
        /// At most `headerSize` octets.
        public var header: [UInt8]
        public init(interface: InterfaceID, length: UInt16, header: [UInt8]) {
            self.interface = interface
            self.length = length
            self.header = header
        }
    }

    public init(
        controller: ControllerID, epoch: Epoch, index: LogIndex, message: UInt16 = 0, session: UInt32? = nil, bootNonce: UInt64,
        token: Token, frame: Frame? = nil
    ) {
        self.frame = frame
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
        writer.u8(2)
        writer.u8(controller.rawValue)
        writer.u16(message)
        writer.u64(epoch.value)
        writer.u64(session.map { Self.sessionFlag | UInt64($0) } ?? index.value)
        writer.u64(bootNonce)
        writer.u64(token.high)
        writer.u64(token.low)
        writer.u16(frame?.interface.value ?? 0)
        writer.u16(frame?.length ?? 0)
        let header = (frame?.header ?? []).prefix(Self.headerSize)
        writer.append(header)
        writer.zeros(Self.headerSize - header.count)
        return writer.bytes
    }

    public init(decoding bytes: RawSpan) throws(DecodeError) {
        var reader = ByteReader(bytes)
        guard try reader.u32("gasp magic") == 0x4c53_4750 else { throw DecodeError("gasp magic", at: 0, .badChecksum) }
        let version = try reader.u8("gasp version")
        guard version == 1 || version == 2 else { throw DecodeError("gasp version", at: 4, .unsupported) }
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
        if version == 2 {
            let interface = try reader.u16("port"), length = try reader.u16("length of the frame")
            let header = try reader.array(Self.headerSize, "frame")
            if length > 0 {
                frame = Frame(
                    interface: InterfaceID(interface), length: length,
                    header: Array(header.prefix(min(Int(length), Self.headerSize))))
            }
        }
        try reader.expectEnd("gasp")
    }
}
