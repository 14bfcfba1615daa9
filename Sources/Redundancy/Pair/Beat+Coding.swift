import Machine
import Records
import Wire

// A beat as octets: the body with its tag, as a datagram or in a frame.
//
//  0      4   5    6     7      8
//  | LSBT | 2 | id | st. | flags| pair | nonce | sequence | echo nonce | echo | epoch | greatest | router time | clock
//  | links up 2 | links 2 | memory 1 | ports: length 2, octets | tag 8 |

extension Beat {
    public static let magic: UInt32 = 0x4c53_4254
    /// IEEE 802 local experimental EtherType 1.
    public static let etherType: UInt16 = 0x88b5
    private static let vlanType: UInt16 = 0x8100
    /// Locally administered group address.
    public static let destination = MACAddress(raw: 0x0300_4c53_0001)
    private static let version: UInt8 = 2
    private static let tagSize = 8
    /// Octets of any beat as a datagram.
    public static let datagramMaximum = 256 + portsMaximum
    /// Octets of a frame, without FCS, that no device pads.
    private static let frameMinimum = 60

    /// The octets of a datagram.
    public func datagram(key: PairKey) -> [UInt8] {
        var writer = ByteWriter(capacity: 128 + ports.count)
        write(to: &writer, key: key)
        return writer.bytes
    }

    /// A whole Ethernet frame; the source address is left zero for the host. `vlan` 0: untagged.
    public func frame(key: PairKey, vlan: UInt16 = 0) -> [UInt8] {
        var writer = ByteWriter(capacity: 160 + ports.count)
        writer.mac(Self.destination)
        writer.zeros(6)
        if vlan != 0 {
            // IEEE 802.1Q: priority 7, network control.
            writer.u16(Self.vlanType)
            writer.u16(0xe000 | vlan & 0xfff)
        }
        writer.u16(Self.etherType)
        write(to: &writer, key: key)
        if writer.count < Self.frameMinimum { writer.zeros(Self.frameMinimum - writer.count) }
        return writer.bytes
    }

    private func write(to writer: inout ByteWriter, key: PairKey) {
        let start = writer.count
        writer.u32(Self.magic)
        writer.u8(Self.version)
        writer.u8(controller.rawValue)
        writer.u8(state.rawValue)
        writer.u8(flags.rawValue)
        for word in [pairID, bootNonce, sequence, echoNonce, echo, epoch.value, greatest.value] { writer.u64(word) }
        writer.u64(UInt64(bitPattern: routerTime.nanoseconds))
        writer.u64(UInt64(bitPattern: clock.nanoseconds))
        writer.u16(health.linksUp)
        writer.u16(health.links)
        writer.u8(health.memoryPressure)
        let ports = ports.prefix(Self.portsMaximum)
        writer.u16(UInt16(ports.count))
        writer.append(Array(ports))
        writer.u64(sipHash24(writer.bytes.span.bytes.extracting(start..<writer.count), key: (key.low, key.high)))
    }

    /// Whether a frame is a beat by its EtherType, tagged or not, at the cost of two loads.
    @inlinable public static func isOne(_ frame: RawSpan) -> Bool {
        offset(in: frame) != nil
    }

    /// Where the body of a beat begins in a frame.
    @usableFromInline static func offset(in frame: RawSpan) -> Int? {
        guard frame.byteCount >= 32 else { return nil }
        func type(at offset: Int) -> UInt16 {
            unsafe UInt16(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
        let outer = type(at: 12)
        if outer == etherType { return 14 }
        return outer == vlanType && type(at: 16) == etherType ? 18 : nil
    }

    public static func isDatagram(_ octets: RawSpan) -> Bool {
        guard octets.byteCount >= 32 else { return false }
        return unsafe UInt32(bigEndian: octets.unsafeLoadUnaligned(as: UInt32.self)) == magic
    }

    /// From a frame; what stands behind the tag is padding.
    public init(frame: RawSpan, keys: [PairKey]) throws(DecodeError) {
        guard let offset = Self.offset(in: frame) else { throw DecodeError("beat", at: 12, .badValue) }
        try self.init(decoding: frame.extracting(offset..<frame.byteCount), keys: keys)
    }

    /// From a datagram or the body of a frame. Nothing of it is believed before the tag is right under one of the keys.
    public init(decoding octets: RawSpan, keys: [PairKey]) throws(DecodeError) {
        var reader = ByteReader(octets)
        guard try reader.u32("beat magic") == Self.magic else { throw DecodeError("beat magic", at: 0, .badChecksum) }
        guard try reader.u8("beat version") == Self.version else { throw DecodeError("beat version", at: 4, .unsupported) }
        controller = try reader.controllerID()
        state = try reader.controllerState()
        flags = Flags(rawValue: try reader.u8("flags")).intersection(.all)
        pairID = try reader.u64("pair")
        bootNonce = try reader.u64("boot nonce")
        sequence = try reader.u64("sequence")
        echoNonce = try reader.u64("echo nonce")
        echo = try reader.u64("echo")
        epoch = Epoch(try reader.u64("epoch"))
        greatest = Epoch(try reader.u64("greatest epoch"))
        routerTime = Instant(nanoseconds: Int64(bitPattern: try reader.u64("router time")))
        clock = Instant(nanoseconds: Int64(bitPattern: try reader.u64("clock")))
        health = Health()
        health.linksUp = try reader.u16("links up")
        health.links = try reader.u16("links")
        health.memoryPressure = try reader.u8("memory pressure")
        let count = Int(try reader.u16("port report"))
        guard count <= Self.portsMaximum else { throw DecodeError("port report", at: reader.offset - 2, .badLength) }
        ports = [UInt8](copying: try reader.span(count, "port report"))
        let end = reader.offset
        let tag = try reader.u64("beat tag")
        let signed = octets.extracting(0..<end)
        guard keys.contains(where: { sipHash24(signed, key: ($0.low, $0.high)) == tag }) else {
            throw DecodeError("beat tag", at: end, .badChecksum)
        }
        // Above it the next epoch could not be counted any more.
        guard epoch <= Self.epochMaximum, greatest <= Self.epochMaximum else {
            throw DecodeError("epoch", at: 48, .badValue)
        }
        // 2^62 ns are 146 years: more is not a time, and could overflow sums.
        guard routerTime >= .zero, routerTime.nanoseconds < 1 << 62, clock >= .zero, clock.nanoseconds < 1 << 62 else {
            throw DecodeError("time", at: 64, .badValue)
        }
        greatest = max(greatest, epoch)
    }
}
