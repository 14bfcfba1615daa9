import Wire

/// EtherType numbers (IEEE 802, IANA registry).
enum EtherType {
    static let ipv4: UInt16 = 0x0800
    static let arp: UInt16 = 0x0806
    static let vlan: UInt16 = 0x8100
    static let ipv6: UInt16 = 0x86dd
    /// Values below are a length (IEEE 802.3 §3.2.6): an LLC frame.
    static let minimum: UInt16 = 0x0600
    /// An LLC frame longer than a length field can say (IEEE 802.1AC Annex B).
    static let longLLC: UInt16 = 0x8870
}

/// An Ethernet II header with at most one 802.1Q tag. What comes next is `EtherType`, or the length of an LLC frame.
struct EthernetHeader: Equatable {
    static let length = 14
    static let taggedLength = 18

    var destination: MACAddress
    var source: MACAddress
    /// 0 for untagged and for priority tags (IEEE 802.1Q §9.6: VID 0 means no VLAN).
    var vlan: UInt16 = 0
    var type: UInt16

    var headerLength: Int { vlan == 0 ? Self.length : Self.taggedLength }

    init(destination: MACAddress, source: MACAddress, vlan: UInt16 = 0, type: UInt16) {
        self.destination = destination
        self.source = source
        self.vlan = vlan
        self.type = type
    }

    @_lifetime(r: copy r)
    init(from r: inout ByteReader) throws(DecodeError) {
        destination = try r.mac("Ethernet destination")
        source = try r.mac("Ethernet source")
        type = try r.u16("EtherType")
        if type == EtherType.vlan {
            vlan = try r.u16("802.1Q tag") & 0x0fff
            type = try r.u16("EtherType")
        }
    }

    func write(to w: inout ByteWriter) {
        w.mac(destination)
        w.mac(source)
        if vlan != 0 {
            w.u16(EtherType.vlan)
            // IEEE 802.1Q §6.9.3: priority 6 is internetwork control, which is all that we send.
            w.u16(6 << 13 | vlan)
        }
        w.u16(type)
    }
}
