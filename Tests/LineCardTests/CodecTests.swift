import Machine
import Testing
import Wire

@testable import LineCard

@Suite struct CodecTests {
    @Test func `an Ethernet header comes back as it was written, with and without a tag`() throws {
        for vlan: UInt16 in [0, 1, 4094] {
            let header = EthernetHeader(destination: Bench.ours, source: Bench.peer, vlan: vlan, type: 0x0800)
            var w = ByteWriter()
            header.write(to: &w)
            #expect(w.count == header.headerLength)
            var r = ByteReader(w.bytes.span.bytes)
            let read = try EthernetHeader(from: &r)
            #expect(read == header)
            let left = r.remaining
            #expect(left == 0)
        }
    }

    @Test func `an ARP packet comes back, and every truncation is refused`() throws {
        let packet = ARPPacket(
            operation: .reply, senderMAC: Bench.ours, sender: Bench.v4, targetMAC: Bench.peer, target: Bench.peer4)
        var w = ByteWriter()
        packet.write(to: &w)
        #expect(try ARPPacket(w.bytes.span.bytes) == packet)
        for n in 0..<w.count {
            let short = Array(w.bytes.prefix(n))
            #expect(throws: DecodeError.self) { _ = try ARPPacket(short.span.bytes) }
        }
    }

    @Test func `an ARP packet with a group address as sender is refused`() {
        var w = ByteWriter()
        ARPPacket(
            operation: .reply, senderMAC: .broadcast, sender: Bench.v4, targetMAC: Bench.peer, target: Bench.peer4
        ).write(to: &w)
        #expect(throws: DecodeError.self) { _ = try ARPPacket(w.bytes.span.bytes) }
    }

    @Test func `an IPv4 header comes back, every truncation and every flipped bit is refused`() throws {
        var header = IPv4Header(
            source: Bench.peer4, destination: Bench.v4, protocolNumber: 6, hopLimit: 255, trafficClass: 192)
        header.identification = 77
        header.mayFragment = true
        header.moreFragments = true
        header.fragmentOffset = 1480
        var w = ByteWriter()
        header.write(to: &w, payloadLength: 8)
        w.zeros(8)
        let bytes = w.bytes
        func read(_ bytes: [UInt8]) throws -> (IPv4Header, Int) {
            var r = ByteReader(bytes.span.bytes)
            var length = 0
            let h = try IPv4Header(from: &r, payloadLength: &length)
            return (h, length)
        }
        #expect(try read(bytes) == (header, 8))
        for n in 0..<bytes.count { #expect(throws: DecodeError.self) { _ = try read(Array(bytes.prefix(n))) } }
        for bit in 0..<(8 * IPv4Header.length) {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: DecodeError.self, "bit \(bit)") { _ = try read(flipped) }
        }
    }

    @Test func `RFC 791 §3.1: options are stepped over`() throws {
        // Router alert and end of list, header length 7 words.
        var bytes: [UInt8] = [
            0x47, 0, 0, 32, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0x94, 4, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4,
        ]
        var checksum = InternetChecksum()
        checksum.add(bytes.span.bytes.extracting(first: 28))
        bytes[10] = UInt8(checksum.value >> 8)
        bytes[11] = UInt8(checksum.value & 255)
        var r = ByteReader(bytes.span.bytes)
        var length = 0
        _ = try IPv4Header(from: &r, payloadLength: &length)
        #expect(length == 4)
        let payload = try r.u32("payload")
        #expect(payload == 0x0102_0304)
    }

    @Test func `an IPv6 header comes back, and every truncation is refused`() throws {
        let header = IPv6Header(
            source: Bench.peer6, destination: Bench.v6, nextHeader: 6, hopLimit: 255, trafficClass: 192)
        var w = ByteWriter()
        header.write(to: &w, payloadLength: 3)
        w.zeros(3)
        let bytes = w.bytes
        var r = ByteReader(bytes.span.bytes)
        var length = 0
        let read = try IPv6Header(from: &r, payloadLength: &length)
        #expect(read == header)
        #expect(length == 3)
        for n in 0..<bytes.count {
            let short = Array(bytes.prefix(n))
            #expect(throws: DecodeError.self) {
                var r = ByteReader(short.span.bytes)
                var length = 0
                _ = try IPv6Header(from: &r, payloadLength: &length)
            }
        }
    }

    @Test func `Neighbor Discovery messages come back, and every truncation is refused`() throws {
        let messages: [NeighborMessage] = [
            .solicitation(target: Bench.v6, link: Bench.peer),
            .solicitation(target: Bench.v6, link: nil),
            .advertisement(target: Bench.v6, link: Bench.peer, flags: [.router, .solicited, .override]),
            .advertisement(target: Bench.v6, link: nil, flags: []),
        ]
        for message in messages {
            var w = ByteWriter()
            message.write(to: &w)
            let bytes = w.bytes
            #expect(try NeighborMessage(bytes.span.bytes) == message)
            // Without its option a message is whole again; anything between is not.
            for n in 0..<bytes.count where n != 24 {
                let short = Array(bytes.prefix(n))
                #expect(throws: DecodeError.self) { _ = try NeighborMessage(short.span.bytes) }
            }
        }
    }

    @Test func `RFC 4861 §7.1.1: an option of length zero is refused`() {
        var w = ByteWriter()
        NeighborMessage.solicitation(target: Bench.v6, link: Bench.peer).write(to: &w)
        w.bytes[25] = 0
        let bytes = w.bytes
        #expect(throws: DecodeError.self) { _ = try NeighborMessage(bytes.span.bytes) }
    }

    @Test func `RFC 4291 appendix A: a link-local address follows from the MAC`() {
        #expect(IPv6Address(linkLocalOf: MACAddress("34:56:78:9a:bc:de")!) == IPv6Address("fe80::3656:78ff:fe9a:bcde")!)
        #expect(IPv6Address(linkLocalOf: Bench.ours) == Bench.linkLocal)
        #expect(IPv6Address("ff02::1:ff00:1")!.multicastMAC == MACAddress("33:33:ff:00:00:01")!)
    }
}
