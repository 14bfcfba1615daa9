import Wire

/// The two messages of RFC 4861 that a router with static addresses needs, and RFC 3810's question.
///
/// The caller has checked the ICMPv6 checksum and that the hop limit is 255 (RFC 4861 §7.1).
enum NeighborMessage: Equatable {
    /// RFC 4861 §4.3. `link` is the source link-layer address option.
    case solicitation(target: IPv6Address, link: MACAddress?)
    /// RFC 4861 §4.4. `link` is the target link-layer address option.
    case advertisement(target: IPv6Address, link: MACAddress?, flags: AdvertisementFlags)

    struct AdvertisementFlags: OptionSet {
        var rawValue: UInt8
        static let router = AdvertisementFlags(rawValue: 0x80)
        static let solicited = AdvertisementFlags(rawValue: 0x40)
        static let override = AdvertisementFlags(rawValue: 0x20)
    }

    /// Options in one message; RFC 4861 names five types, none of them repeated here.
    static let optionsMaximum = 16

    /// Reads a whole ICMPv6 message of type 135 or 136.
    init(_ bytes: RawSpan) throws(DecodeError) {
        var r = ByteReader(bytes)
        let type = try r.u8("ICMPv6 type")
        // RFC 4861 §7.1.1, §7.1.2: code 0, length of 24 or more, target not multicast, no option of length 0.
        guard try r.u8("ICMPv6 code") == 0 else { throw DecodeError("ICMPv6 code", at: 1, .badValue) }
        try r.skip(2, "ICMPv6 checksum")
        let flags = AdvertisementFlags(rawValue: try r.u8("ND flags"))
        try r.skip(3, "ND reserved")
        let target = try r.ipv6("ND target")
        guard !target.isMulticast else { throw DecodeError("ND target", at: 8, .badValue) }
        var link: MACAddress? = nil
        let wanted: UInt8 = type == ICMPv6.neighborSolicitation ? 1 : 2
        var options = 0
        while !r.isAtEnd {
            options += 1
            guard options <= Self.optionsMaximum else { throw DecodeError("ND options", at: r.offset, .badValue) }
            let option = try r.u8("ND option type")
            let length = Int(try r.u8("ND option length")) * 8
            guard length > 0 else { throw DecodeError("ND option length", at: r.offset - 1, .badLength) }
            var body = try r.reader(length - 2, "ND option")
            if option == wanted, length == 8 {
                let mac = try body.mac("ND link-layer address")
                guard !mac.isGroup else { throw DecodeError("ND link-layer address", at: body.offset - 6, .badValue) }
                link = mac
            }
        }
        switch type {
        case ICMPv6.neighborSolicitation: self = .solicitation(target: target, link: link)
        case ICMPv6.neighborAdvertisement: self = .advertisement(target: target, link: link, flags: flags)
        default: throw DecodeError("ICMPv6 type", at: 0, .unsupported)
        }
    }

    /// Writes the message with a checksum of zero.
    func write(to w: inout ByteWriter) {
        let target: IPv6Address, link: MACAddress?, option: UInt8
        switch self {
        case .solicitation(let t, let l):
            (target, link, option) = (t, l, 1)
            w.u8(ICMPv6.neighborSolicitation)
            w.u8(0)
            w.u16(0)
            w.u32(0)
        case .advertisement(let t, let l, let flags):
            (target, link, option) = (t, l, 2)
            w.u8(ICMPv6.neighborAdvertisement)
            w.u8(0)
            w.u16(0)
            w.u32(UInt32(flags.rawValue) << 24)
        }
        w.ipv6(target)
        if let link {
            w.u8(option)
            w.u8(1)
            w.mac(link)
        }
    }
}

extension IPv6Address {
    /// RFC 4291 §2.5.6 and appendix A: the link-local address of an Ethernet address (modified EUI-64).
    init(linkLocalOf mac: MACAddress) {
        let high = mac.raw >> 24 & 0xff_ffff
        let low = mac.raw & 0xff_ffff
        self.init(high: 0xfe80_0000_0000_0000, low: (high << 40 | 0xff_fe00_0000 | low) ^ 0x0200_0000_0000_0000)
    }
    static let allNodes = IPv6Address(high: 0xff02_0000_0000_0000, low: 1)
    /// RFC 3810 §5.2.14: where MLDv2 reports go.
    static let allMLDv2Routers = IPv6Address(high: 0xff02_0000_0000_0000, low: 0x16)
    /// RFC 2464 §7: 33:33 and the last 32 bits.
    var multicastMAC: MACAddress { MACAddress(raw: 0x3333_0000_0000 | low & 0xffff_ffff) }
}
