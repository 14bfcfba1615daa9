import Machine
import Records
import Wire

/// What a controller under the `link` arbiter says of itself on the service segments: a second path beside the channel,
/// so that a cut channel alone does not make two masters.
///
/// An Ethernet frame to the multicast address 03:00:4c:53:00:01 (locally administered) with EtherType 0x88B5 (IEEE 802
/// local experimental 1). It carries a 64-bit SipHash-2-4 over its content under a key of the pair, since a segment has
/// strangers on it: a forged advertisement could keep a standby silent, or make an active step down.
public struct Advertisement: Hashable, Sendable {
    public static let etherType: UInt16 = 0x88b5
    public static let destination = MACAddress(raw: 0x0300_4c53_0001)
    /// Octets of a frame, without FCS.
    public static let size = 64

    public struct Key: Hashable, Sendable {
        public var high: UInt64
        public var low: UInt64
        public init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }
    }

    public var pairID: UInt64
    public var controller: ControllerID
    public var state: ControllerState
    /// Whether the sender, being active, counts its twin as in sync.
    public var isTwinEligible: Bool
    public var epoch: Epoch
    public var bootNonce: UInt64
    /// Grows with every advertisement of one start, so that a recorded one is of no use.
    public var sequence: UInt64

    public init(
        pairID: UInt64, controller: ControllerID, state: ControllerState, isTwinEligible: Bool, epoch: Epoch,
        bootNonce: UInt64, sequence: UInt64
    ) {
        self.pairID = pairID
        self.controller = controller
        self.state = state
        self.isTwinEligible = isTwinEligible
        self.epoch = epoch
        self.bootNonce = bootNonce
        self.sequence = sequence
    }

    /// Whether a frame is an advertisement by its EtherType, at the cost of one load.
    public static func isOne(_ frame: RawSpan) -> Bool {
        guard frame.byteCount >= size else { return false }
        return unsafe frame.unsafeLoad(fromByteOffset: 12, as: UInt8.self) == 0x88
            && frame.unsafeLoad(fromByteOffset: 13, as: UInt8.self) == 0xb5
    }

    /// The whole frame; the source address is left zero for the host.
    public func frame(key: Key) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.size)
        writer.mac(Self.destination)
        writer.zeros(6)
        writer.u16(Self.etherType)
        writer.u8(1)
        writer.u8(controller.rawValue)
        writer.u8(state.rawValue)
        writer.u8(isTwinEligible ? 1 : 0)
        writer.u64(pairID)
        writer.u64(epoch.value)
        writer.u64(bootNonce)
        writer.u64(sequence)
        writer.zeros(Self.size - 8 - writer.count)
        let tag = sipHash24(writer.bytes.span.bytes.extracting(14..<(Self.size - 8)), key: (key.low, key.high))
        writer.u64(tag)
        return writer.bytes
    }

    public init(decoding frame: RawSpan, key: Key) throws(DecodeError) {
        guard frame.byteCount >= Self.size else { throw DecodeError("advertisement", at: 0, .truncated) }
        var tagReader = ByteReader(frame.extracting((Self.size - 8)..<Self.size), base: Self.size - 8)
        let tag = sipHash24(frame.extracting(14..<(Self.size - 8)), key: (key.low, key.high))
        guard try tagReader.u64("advertisement tag") == tag else {
            throw DecodeError("advertisement tag", at: Self.size - 8, .badChecksum)
        }
        var reader = ByteReader(frame.extracting(14..<(Self.size - 8)), base: 14)
        guard try reader.u8("advertisement version") == 1 else {
            throw DecodeError("advertisement version", at: 14, .unsupported)
        }
        controller = try reader.controllerID()
        state = try reader.controllerState()
        isTwinEligible = try reader.flag("twin eligible")
        pairID = try reader.u64("pair")
        epoch = Epoch(try reader.u64("epoch"))
        bootNonce = try reader.u64("boot nonce")
        sequence = try reader.u64("sequence")
    }
}
