import Machine
import Records
import Wire

/// What one controller says of itself, some hundred times a second: the heartbeat of the pair.
///
/// The same message goes on every path between the two: as a datagram over the redundancy link, and as a multicast frame
/// on the service segments that allow it. All paths share one sequence, so that the newest statement is the one that
/// counts whichever way it came, and one echo, so that each knows which of its statements the other has understood:
/// a beat that echoes number *n* was made by somebody who had read number *n* (Docs/mastership.md).
///
/// It is neither inside the channel's TCP nor behind it: a lost segment or a full window does not silence a controller.
/// A 64-bit SipHash-2-4 under the pair's key authenticates it (`PairKey`), since a segment has strangers on it.
public struct Beat: Hashable, Sendable {
    /// Octets of the port report that a beat can carry.
    public static let portsMaximum = 640
    /// No epoch is greater: a pair that changes hands every millisecond needs some thousand years to get there.
    public static let epochMaximum = Epoch(1 << 48)

    /// What the sender says of its copy, or of the twin's.
    public struct Flags: OptionSet, Hashable, Sendable {
        public var rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        /// A holder: your copy is current, and I am bound to it.
        public static let countsTwin = Flags(rawValue: 1)
        /// Not a holder: I hold a copy that I would resume.
        public static let holdsCopy = Flags(rawValue: 2)
        /// A holder that has released mastership wants it back.
        public static let reclaims = Flags(rawValue: 4)
        /// Please answer at once.
        public static let asks = Flags(rawValue: 8)
        /// Mastership is the sender's, whether it speaks already or only prepares to.
        public static let holds = Flags(rawValue: 16)
        /// The sender did not run for a while and does not know yet what it missed: what it claims is not to be relied on.
        public static let doubts = Flags(rawValue: 32)
        static let all: Flags = [.countsTwin, .holdsCopy, .reclaims, .asks, .holds, .doubts]
    }

    public var pairID: UInt64
    public var controller: ControllerID
    /// Random for each start of the sender's process.
    public var bootNonce: UInt64
    /// Grows with every beat of one start, over all paths together.
    public var sequence: UInt64
    /// The newest beat of the twin that the sender has read, on whatever path: whose start, and which. 0 for none.
    public var echoNonce: UInt64
    public var echo: UInt64
    public var state: ControllerState
    /// Of the mastership that the sender has, or last followed.
    public var epoch: Epoch
    /// The greatest epoch that the sender has heard of.
    public var greatest: Epoch
    public var flags: Flags
    public var routerTime: Instant
    /// The sender's own monotonic clock: what a pause of its machine shows in.
    public var clock: Instant
    public var health: Health
    /// The sender's report on its ports, for `PortJudge`; at most `portsMaximum` octets.
    public var ports: [UInt8] = []

    public init(
        pairID: UInt64, controller: ControllerID, bootNonce: UInt64, sequence: UInt64, echoNonce: UInt64 = 0,
        echo: UInt64 = 0, state: ControllerState, epoch: Epoch, greatest: Epoch = .zero, flags: Flags = [],
        routerTime: Instant = .zero, clock: Instant = .zero, health: Health = Health(), ports: [UInt8] = []
    ) {
        self.pairID = pairID
        self.controller = controller
        self.bootNonce = bootNonce
        self.sequence = sequence
        self.echoNonce = echoNonce
        self.echo = echo
        self.state = state
        self.epoch = epoch
        self.greatest = max(epoch, greatest)
        self.flags = flags
        self.routerTime = routerTime
        self.clock = clock
        self.health = health
        self.ports = ports
    }

    public var countsTwin: Bool { flags.contains(.countsTwin) }
    public var holdsCopy: Bool { flags.contains(.holdsCopy) }
    public var reclaims: Bool { flags.contains(.reclaims) }
    public var isHolder: Bool { flags.contains(.holds) }
    public var doubts: Bool { flags.contains(.doubts) }
}

/// Authenticates beats. Both controllers derive it on the channel and keep it in their datastores, so that they know each
/// other on the segments also when the channel has not come up yet. It depends on nothing that is public.
public struct PairKey: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// From what each controller has drawn and told the other inside the channel.
    public init(a: PairKey, b: PairKey, pairID: UInt64) {
        var writer = ByteWriter(capacity: 40)
        for word in [pairID, a.high, a.low, b.high, b.low] { writer.u64(word) }
        high = sipHash24(writer.bytes.span.bytes, key: (a.high ^ b.low, a.low ^ b.high))
        low = sipHash24(writer.bytes.span.bytes, key: (a.low ^ ~b.high, a.high ^ ~b.low))
    }

    /// Tells two keys apart without telling either.
    public var fingerprint: UInt64 {
        var writer = ByteWriter(capacity: 16)
        writer.u64(0x4c6f_636b_7374_6570)
        writer.u64(0x6b65_7966_696e_6765)
        return sipHash24(writer.bytes.span.bytes, key: (low, high))
    }
}
