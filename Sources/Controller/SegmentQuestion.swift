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
            if case .v6(let address) = entry.address { return solicitation(address, vlan: interface.vlan, isProbe: true) }
        }
        return nil
    }

    static func frame(for address: IPAddress, vlan: UInt16) -> [UInt8] {
        switch address {
        case .v4(let address): arp(address, vlan: vlan)
        case .v6(let address): solicitation(address, vlan: vlan, isProbe: false)
        }
    }

    private static let questionMark: UInt32 = 0x4c53_0001

    /// Whether a frame is a question as we ask them: an ARP probe, a solicitation from the unspecified address or with our mark.
    /// The twin's are such, and prove no third party.
    static func isQuestion(_ frame: RawSpan) -> Bool {
        guard frame.byteCount >= 42 else { return false }
        let start = word(frame, 12) == 0x8100 ? 18 : 14
        switch word(frame, start - 2) {
        case 0x0806:
            return frame.byteCount >= start + 28 && word(frame, start + 6) == 1 && word(frame, start + 14) == 0
                && word(frame, start + 16) == 0
        case 0x86dd:
            // A solicitation has sixteen octets more; the mark is before them.
            guard frame.byteCount >= start + 64, word(frame, start + 6) >> 8 == 58, word(frame, start + 40) >> 8 == 135
            else { return false }
            if word(frame, start + 44) == UInt16(questionMark >> 16), word(frame, start + 46) == UInt16(questionMark & 0xffff) {
                return true
            }
            return (0..<8).allSatisfy { word(frame, start + 8 + 2 * $0) == 0 }
        default: return false
        }
    }

    /// Whether a frame answers a question: an ARP reply (RFC 826), or a Neighbor Advertisement (RFC 4861 §4.4), to one station.
    /// What goes to all may be an announcement, or an answer to another's question.
    static func isAnswer(_ frame: RawSpan) -> Bool {
        guard frame.byteCount >= 42, unsafe frame.unsafeLoadUnaligned(as: UInt8.self) & 1 == 0 else { return false }
        let start = word(frame, 12) == 0x8100 ? 18 : 14
        switch word(frame, start - 2) {
        case 0x0806: return word(frame, start + 6) == 2
        case 0x86dd:
            // Type 136, right after the fixed header.
            return frame.byteCount >= start + 44 && word(frame, start + 6) >> 8 == 58 && word(frame, start + 40) >> 8 == 136
        default: return false
        }
    }

    private static func word(_ frame: RawSpan, _ offset: Int) -> UInt16 {
        unsafe UInt16(bigEndian: frame.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self))
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

    /// RFC 4861 §4.3. Of a neighbour, from the link-local address that belongs to the device's own MAC address (RFC 4291
    /// App. A), so that the answer comes to this controller alone: one to a question from the unspecified address goes to
    /// everybody, and the twin would take it for its own.
    /// - Parameter isProbe: from the unspecified address all the same, which asks whether it is in use.
    private static func solicitation(_ address: IPv6Address, vlan: UInt16, isProbe: Bool) -> [UInt8] {
        // RFC 4291 §2.7.1: the solicited-node group of the address.
        let group = IPv6Address(high: 0xff02_0000_0000_0000, low: 0x0000_0001_ff00_0000 | address.low & 0xff_ffff)
        var writer = ByteWriter(capacity: 96)
        ethernet(&writer, to: MACAddress(raw: 0x3333_0000_0000 | group.low & 0xffff_ffff), type: 0x86dd, vlan: vlan)
        let start = writer.count
        writer.u32(0x6000_0000)
        writer.u16(isProbe ? 24 : 32)
        writer.u8(58)
        writer.u8(255)
        writer.zeros(16)
        writer.u64(group.high)
        writer.u64(group.low)
        // Type, code, checksum; and the reserved field, which receivers must ignore: by it the twin knows its twin's question.
        writer.u8(135)
        writer.zeros(3)
        writer.u32(isProbe ? 0 : questionMark)
        writer.u64(address.high)
        writer.u64(address.low)
        if !isProbe {
            // The source link-layer address, to be filled in by the host as the rest of the source.
            writer.u8(1)
            writer.u8(1)
            writer.zeros(6)
        }
        var frame = writer.bytes
        frame.checkSolicitation(at: start)
        return frame
    }

    /// Where the IPv6 header of a solicitation begins whose source the host fills in; `nil` for any other frame.
    static func solicitationStart(_ frame: [UInt8]) -> Int? {
        guard frame.count >= 86 else { return nil }
        let start = frame[12] == 0x81 && frame[13] == 0 ? 18 : 14
        guard frame.count == start + 72, frame[start - 2] == 0x86, frame[start - 1] == 0xdd, frame[start + 6] == 58,
            frame[start + 40] == 135, frame[start + 64] == 1
        else { return nil }
        return start
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
        guard let start = SegmentQuestion.solicitationStart(self) else { return }
        let address: [UInt8] = [
            0xfe, 0x80, 0, 0, 0, 0, 0, 0, octet(0) ^ 2, octet(1), octet(2), 0xff, 0xfe, octet(3), octet(4), octet(5),
        ]
        for i in 0..<16 { self[start + 8 + i] = address[i] }
        for i in 0..<6 { self[start + 66 + i] = octet(i) }
        checkSolicitation(at: start)
    }

    /// RFC 4443 §2.3: the checksum of an ICMPv6 message that fills the frame, over the pseudo-header, too.
    fileprivate mutating func checkSolicitation(at start: Int) {
        let length = count - start - 40
        self[start + 42] = 0
        self[start + 43] = 0
        var sum = InternetChecksum()
        sum.add(span.bytes.extracting((start + 8)..<(start + 40)))
        sum.add32(UInt32(length))
        sum.add32(58)
        sum.add(span.bytes.extracting((start + 40)..<(start + 40 + length)))
        let check = sum.value
        self[start + 42] = UInt8(check >> 8)
        self[start + 43] = UInt8(check & 255)
    }
}
