import Machine
import Records
import TCP
import Wire

@testable import LineCard

/// A line card on a bench: one or more interfaces, a clock moved by hand, frames built by hand.
struct Bench {
    var card = LineCard(seed: 7)
    var now = Instant.zero
    var out: [LineCardEffect] = []

    static let ours = MACAddress("02:00:5e:00:01:01")!
    static let peer = MACAddress("02:aa:00:00:00:02")!
    static let v4 = IPv4Address("10.0.0.1")!
    static let v6 = IPv6Address("2001:db8::1")!
    static let peer4 = IPv4Address("10.0.0.2")!
    static let peer6 = IPv6Address("2001:db8::2")!
    static let linkLocal = IPv6Address("fe80::5eff:fe00:101")!

    static func interface(
        _ name: String = "lan", vlan: UInt16 = 0, mtu: UInt16 = 1500, _ addresses: [String] = ["10.0.0.1/24", "2001:db8::1/64"]
    ) -> InterfaceConfiguration {
        InterfaceConfiguration(
            name: name, virtualMAC: ours, vlan: vlan, mtu: mtu,
            addresses: addresses.map { text in
                let parts = text.split(separator: "/")
                return .init(address: IPAddress(String(parts[0]))!, prefixLength: UInt8(parts[1])!)
            })
    }

    /// Silent.
    init() {}

    /// Speaking; the announcements are over and forgotten.
    init(_ interfaces: [InterfaceConfiguration], gateways: [Gateway] = []) {
        var image = LineCardImage()
        image.interfaces = interfaces
        image.gateways = gateways
        handle(.takeOver(image))
        advance(.seconds(2))
        out = []
    }

    mutating func handle(_ input: LineCardInput) { card.handle(input, at: now, into: &out) }

    mutating func receive(_ frame: [UInt8], on interface: UInt16 = 0) {
        card.receive(frame.span.bytes, on: InterfaceID(interface), at: now, into: &out)
    }

    /// Moves the clock from deadline to deadline.
    mutating func advance(_ duration: Duration) {
        let end = now + duration
        while let next = card.nextDeadline, next <= end {
            now = max(now, next)
            handle(.time)
        }
        now = end
    }

    /// Takes what came out.
    mutating func take() -> [LineCardEffect] {
        defer { out = [] }
        return out
    }
    mutating func takeFrames() -> [[UInt8]] {
        take().compactMap { if case .transmit(_, let frame) = $0 { frame } else { nil } }
    }

    /// The peer is known, so that nothing waits for it.
    mutating func introducePeer() {
        receive(Self.arp(.request, from: Self.peer, Self.peer4, target: Self.v4))
        receive(
            Self.neighbor(
                .solicitation(target: Self.v6, link: Self.peer), from: Self.peer6, to: Self.v6.solicitedNode,
                mac: Self.v6.solicitedNode.multicastMAC))
        out = []
    }

    /// Lets TCP send a segment.
    mutating func transmit(_ t: TCPTransmission) {
        card.tcpEffects.append(.transmit(t))
        card.drainTCP(at: now, into: &out)
    }

    // MARK: frames

    static func ethernet(
        _ type: UInt16, _ payload: [UInt8], to destination: MACAddress = ours, from source: MACAddress = peer,
        vlan: UInt16 = 0
    ) -> [UInt8] {
        var w = ByteWriter()
        EthernetHeader(destination: destination, source: source, vlan: vlan, type: type).write(to: &w)
        w.append(payload)
        return w.bytes
    }

    static func arp(
        _ operation: ARPPacket.Operation, from mac: MACAddress, _ sender: IPv4Address, target: IPv4Address,
        to destination: MACAddress = .broadcast, vlan: UInt16 = 0
    ) -> [UInt8] {
        var w = ByteWriter()
        ARPPacket(
            operation: operation, senderMAC: mac, sender: sender, targetMAC: MACAddress(raw: 0), target: target
        ).write(to: &w)
        return ethernet(EtherType.arp, w.bytes, to: destination, from: mac, vlan: vlan)
    }

    static func icmpv6(
        _ message: [UInt8], from source: IPv6Address, to destination: IPv6Address, hopLimit: UInt8 = 255,
        mac: MACAddress = ours, sourceMAC: MACAddress = peer
    ) -> [UInt8] {
        var message = message
        message[2] = 0
        message[3] = 0
        var checksum = InternetChecksum(from: source, to: destination, protocolNumber: 58, length: message.count)
        checksum.add(message.span.bytes)
        message[2] = UInt8(checksum.value >> 8)
        message[3] = UInt8(checksum.value & 255)
        return ipv6(58, message, from: source, to: destination, hopLimit: hopLimit, mac: mac, sourceMAC: sourceMAC)
    }

    static func neighbor(
        _ message: NeighborMessage, from source: IPv6Address, to destination: IPv6Address, mac: MACAddress = ours,
        sourceMAC: MACAddress = peer, hopLimit: UInt8 = 255
    ) -> [UInt8] {
        var w = ByteWriter()
        message.write(to: &w)
        return icmpv6(w.bytes, from: source, to: destination, hopLimit: hopLimit, mac: mac, sourceMAC: sourceMAC)
    }

    static func ipv6(
        _ next: UInt8, _ payload: [UInt8], from source: IPv6Address = peer6, to destination: IPv6Address = v6,
        hopLimit: UInt8 = 64, mac: MACAddress = ours, sourceMAC: MACAddress = peer
    ) -> [UInt8] {
        var w = ByteWriter()
        IPv6Header(source: source, destination: destination, nextHeader: next, hopLimit: hopLimit)
            .write(to: &w, payloadLength: payload.count)
        w.append(payload)
        return ethernet(EtherType.ipv6, w.bytes, to: mac, from: sourceMAC)
    }

    static func ipv4(
        _ number: UInt8, _ payload: [UInt8], from source: IPv4Address = peer4, to destination: IPv4Address = v4,
        identification: UInt16 = 1, offset: Int = 0, more: Bool = false, mac: MACAddress = ours,
        sourceMAC: MACAddress = peer, vlan: UInt16 = 0
    ) -> [UInt8] {
        var w = ByteWriter()
        var header = IPv4Header(source: source, destination: destination, protocolNumber: number, hopLimit: 64)
        header.identification = identification
        header.mayFragment = true
        header.fragmentOffset = offset
        header.moreFragments = more
        header.write(to: &w, payloadLength: payload.count)
        w.append(payload)
        return ethernet(EtherType.ipv4, w.bytes, to: mac, from: sourceMAC, vlan: vlan)
    }

    /// An ICMP echo request with a right checksum.
    static func echo(_ data: [UInt8], type: UInt8 = 8) -> [UInt8] {
        var message: [UInt8] = [type, 0, 0, 0, 0x12, 0x34, 0, 1] + data
        var checksum = InternetChecksum()
        checksum.add(message.span.bytes)
        message[2] = UInt8(checksum.value >> 8)
        message[3] = UInt8(checksum.value & 255)
        return message
    }
}

/// A frame of ours, taken apart again; every checksum is checked on the way.
struct Dissected: Equatable {
    var ethernet: EthernetHeader
    var arp: ARPPacket?
    var v4: IPv4Header?
    var v6: IPv6Header?
    var neighbor: NeighborMessage?
    var payload: [UInt8] = []

    init(_ frame: [UInt8]) throws {
        var r = ByteReader(frame.span.bytes)
        ethernet = try EthernetHeader(from: &r)
        var length = 0
        switch ethernet.type {
        case EtherType.arp:
            arp = try ARPPacket(try r.span(r.remaining, "ARP"))
        case EtherType.ipv4:
            var inner = ByteReader(try r.span(r.remaining, "IPv4"))
            v4 = try IPv4Header(from: &inner, payloadLength: &length)
            payload = try inner.array(length, "payload")
        case EtherType.ipv6:
            var inner = ByteReader(try r.span(r.remaining, "IPv6"))
            let header = try IPv6Header(from: &inner, payloadLength: &length)
            v6 = header
            payload = try inner.array(length, "payload")
            if header.nextHeader == 58 {
                var checksum = InternetChecksum(
                    from: header.source, to: header.destination, protocolNumber: 58, length: length)
                checksum.add(payload.span.bytes)
                if checksum.folded != 0xffff { throw DecodeError("ICMPv6 checksum", at: 0, .badChecksum) }
                neighbor = try? NeighborMessage(payload.span.bytes)
            }
        default:
            break
        }
    }
}
