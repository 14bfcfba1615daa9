import Records
import Wire

/// A question after an address, in the controller's own name: after one of the router's own, which whoever is the router
/// answers with the router's MAC, or after a neighbour's, to see whether this controller's port carries both ways. An ARP probe (RFC 5227 §2.1.1) or, without an IPv4 address, a Neighbor Solicitation for duplicate address
/// detection (RFC 4862 §5.4.2).
enum SegmentQuestion {
    /// `nil` for an interface without an address.
    static func frame(for interface: InterfaceConfiguration) -> [UInt8]? {
        for entry in interface.addresses {
            if case .v4(let address) = entry.address { return arp(address, vlan: interface.vlan) }
        }
        for entry in interface.addresses {
            if case .v6(let address) = entry.address { return solicitation(address, vlan: interface.vlan) }
        }
        return nil
    }

    static func frame(for address: IPAddress, vlan: UInt16) -> [UInt8] {
        switch address {
        case .v4(let address): arp(address, vlan: vlan)
        case .v6(let address): solicitation(address, vlan: vlan)
        }
    }

    /// Whether a frame is a question as we ask them: an ARP probe, or a solicitation from the unspecified address. The twin's are
    /// such, and prove no third party.
    static func isQuestion(_ frame: RawSpan) -> Bool {
        guard frame.byteCount >= 42 else { return false }
        func word(_ offset: Int) -> UInt16 {
            unsafe UInt16(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
        let start = word(12) == 0x8100 ? 18 : 14
        switch word(start - 2) {
        case 0x0806: return frame.byteCount >= start + 28 && word(start + 6) == 1 && word(start + 14) == 0 && word(start + 16) == 0
        case 0x86dd:
            guard frame.byteCount >= start + 44, word(start + 6) >> 8 == 58, word(start + 40) >> 8 == 135 else { return false }
            return (0..<8).allSatisfy { word(start + 8 + 2 * $0) == 0 }
        default: return false
        }
    }

    /// Whether a frame answers a question: an ARP reply (RFC 826), or a Neighbor Advertisement (RFC 4861 §4.4).
    static func isAnswer(_ frame: RawSpan) -> Bool {
        guard frame.byteCount >= 42 else { return false }
        func word(_ offset: Int) -> UInt16 {
            unsafe UInt16(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
        }
        let start = word(12) == 0x8100 ? 18 : 14
        switch word(start - 2) {
        case 0x0806: return word(start + 6) == 2
        case 0x86dd:
            // Type 136, right after the fixed header.
            return frame.byteCount >= start + 44 && word(start + 6) >> 8 == 58 && word(start + 40) >> 8 == 136
        default: return false
        }
    }

    private static func ethernet(_ writer: inout ByteWriter, to destination: MACAddress, type: UInt16, vlan: UInt16) {
        writer.mac(destination)
        writer.zeros(6)
        if vlan != 0 {
            writer.u16(0x8100)
            writer.u16(vlan & 0xfff)
        }
        writer.u16(type)
    }

    private static func arp(_ address: IPv4Address, vlan: UInt16) -> [UInt8] {
        var writer = ByteWriter(capacity: 64)
        ethernet(&writer, to: MACAddress(raw: 0xffff_ffff_ffff), type: 0x0806, vlan: vlan)
        writer.u16(1)
        writer.u16(0x0800)
        writer.u8(6)
        writer.u8(4)
        writer.u16(1)
        // The sender: its hardware address is filled in by the host, its protocol address is zero.
        writer.zeros(10)
        writer.zeros(6)
        writer.u32(address.raw)
        while writer.count < 60 { writer.u8(0) }
        return writer.bytes
    }

    private static func solicitation(_ address: IPv6Address, vlan: UInt16) -> [UInt8] {
        // RFC 4291 §2.7.1: the solicited-node group of the address, from the unspecified one.
        let group = IPv6Address(high: 0xff02_0000_0000_0000, low: 0x0000_0001_ff00_0000 | address.low & 0xff_ffff)
        var body = ByteWriter(capacity: 24)
        body.u8(135)
        body.u8(0)
        body.u16(0)
        body.u32(0)
        body.u64(address.high)
        body.u64(address.low)
        var sum = InternetChecksum()
        // RFC 8200 §8.1: the source is unspecified and adds nothing.
        for word in [group.high, group.low] {
            sum.add32(UInt32(truncatingIfNeeded: word >> 32))
            sum.add32(UInt32(truncatingIfNeeded: word))
        }
        sum.add32(24)
        sum.add32(58)
        sum.add(body.bytes.span.bytes)
        let check = sum.value
        body.bytes[2] = UInt8(check >> 8)
        body.bytes[3] = UInt8(check & 255)
        var writer = ByteWriter(capacity: 96)
        ethernet(&writer, to: MACAddress(raw: 0x3333_0000_0000 | group.low & 0xffff_ffff), type: 0x86dd, vlan: vlan)
        writer.u32(0x6000_0000)
        writer.u16(24)
        writer.u8(58)
        writer.u8(255)
        writer.zeros(16)
        writer.u64(group.high)
        writer.u64(group.low)
        writer.append(body.bytes)
        return writer.bytes
    }

    /// Where the sender's hardware address stands in an ARP frame, and `nil` in any other.
    static func ownMACOffset(_ frame: [UInt8]) -> Int? {
        guard frame.count >= 42 else { return nil }
        let type = UInt16(frame[12]) << 8 | UInt16(frame[13])
        if type == 0x0806 { return 22 }
        return type == 0x8100 && frame[16] == 0x08 && frame[17] == 0x06 ? 26 : nil
    }
}

extension [UInt8] {
    /// Puts the sender's own address where a frame of `ControllerOutput.ask` or `.advertise` has left room for it.
    public mutating func fillSource(_ mac: MACAddress) {
        guard count >= 14 else { return }
        func octet(_ i: Int) -> UInt8 { UInt8(truncatingIfNeeded: mac.raw >> UInt64(40 - 8 * i)) }
        for i in 0..<6 { self[6 + i] = octet(i) }
        if let offset = SegmentQuestion.ownMACOffset(self) { for i in 0..<6 { self[offset + i] = octet(i) } }
    }
}
