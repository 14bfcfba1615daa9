import Machine
import Records
import Testing
import Wire

@testable import LineCard

/// Packets of routing protocols on their way to the log and from the engine to the wire.
@Suite struct PacketTests {
    static let everything = PacketProtocol.all

    static func bench(
        _ wanted: [PacketProtocol] = everything, vlan: UInt16 = 0, mtu: UInt16 = 1500,
        more: [InterfaceConfiguration] = []
    ) -> Bench {
        var bench = Bench([Bench.interface(vlan: vlan, mtu: mtu)] + more)
        bench.handle(.engine(.subscriptions(wanted.map { PacketSubscription(interface: InterfaceID(0), packetProtocol: $0) })))
        bench.out = []
        return bench
    }

    static func packets(_ effects: [LineCardEffect]) -> [ReceivedPacket] {
        effects.compactMap { if case .record(.packetReceived(let packet)) = $0 { packet } else { nil } }
    }

    static func udp(
        _ payload: [UInt8], from source: IPAddress = .v4(Bench.peer4), port: UInt16 = 520, to destination: IPAddress,
        _ destinationPort: UInt16
    ) -> [UInt8] {
        UDPHeader.datagram(payload, from: source, port, to: destination, destinationPort)
    }

    static func llc(
        _ pdu: [UInt8], to destination: MACAddress, header: [UInt8] = [0xfe, 0xfe, 3], length: Int? = nil, vlan: UInt16 = 0
    ) -> [UInt8] {
        let frame = header + pdu
        var bytes = Bench.ethernet(UInt16(length ?? frame.count), frame, to: destination, vlan: vlan)
        while bytes.count < 60 { bytes.append(0xee) }
        return bytes
    }

    // MARK: OSPF

    @Test func `RFC 2328 §A.1: OSPF to AllSPFRouters, AllDRouters and our address becomes a record`() throws {
        var bench = Self.bench()
        for (group, mac) in [
            (IPv4Address(224, 0, 0, 5), "01:00:5e:00:00:05"), (IPv4Address(224, 0, 0, 6), "01:00:5e:00:00:06"),
            (Bench.v4, "\(Bench.ours)"),
        ] {
            bench.receive(Bench.ipv4(89, [2, 1, 9], to: group, mac: MACAddress(mac)!))
            #expect(
                Self.packets(bench.take()) == [
                    ReceivedPacket(
                        interface: InterfaceID(0), packetProtocol: .ospfv2, source: .ip(.v4(Bench.peer4)),
                        destination: .ip(.v4(group)), hopLimit: 64, bytes: [2, 1, 9])
                ])
        }
        #expect(bench.card.counters.packetsIn[.ospfv2] == 3)
    }

    @Test func `RFC 5340 §A.1: OSPFv3 to ff02::5, ff02::6 and our link-local address becomes a record`() throws {
        var bench = Self.bench()
        let neighbor = IPv6Address("fe80::2")!
        for group in [IPv6Address.allSPFRouters, .allDRouters, Bench.linkLocal] {
            let mac = group.isMulticast ? group.multicastMAC : Bench.ours
            bench.receive(Bench.ipv6(89, [3, 1], from: neighbor, to: group, hopLimit: 1, mac: mac))
            let packets = Self.packets(bench.take())
            #expect(packets.map(\.packetProtocol) == [.ospfv3])
            #expect(packets.first?.destination == .ip(.v6(group)))
            #expect(packets.first?.hopLimit == 1)
        }
    }

    @Test func `OSPF that nobody wants is dropped, with an ICMP error for our address and none for groups`() {
        var bench = Self.bench([.rip])
        bench.receive(Bench.ipv4(89, [2], to: .allSPFRouters, mac: IPv4Address.allSPFRouters.multicastMAC))
        bench.receive(Bench.ipv6(89, [3], to: .allSPFRouters, mac: IPv6Address.allSPFRouters.multicastMAC))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.otherDestination] == 2)
        bench.introducePeer()
        bench.receive(Bench.ipv4(89, [2]))
        #expect(Self.packets(bench.out).isEmpty)
        #expect(bench.takeFrames().count == 1)
        #expect(bench.card.counters[.notSubscribed] == 1)
    }

    @Test func `a packet to the address of another interface names the interface that captured it`() {
        let other = InterfaceConfiguration(
            name: "other", virtualMAC: MACAddress("02:00:5e:00:01:02")!,
            addresses: [.init(address: IPAddress("10.1.0.1")!, prefixLength: 24)])
        var bench = Self.bench(more: [other])
        bench.receive(Bench.ipv4(89, [2, 4], to: IPv4Address("10.1.0.1")!))
        #expect(Self.packets(bench.take()).map(\.interface) == [InterfaceID(0)])
    }

    @Test func `fragments of an OSPF packet to a group are put together`() {
        var bench = Self.bench()
        let whole = (0..<3000).map { UInt8(truncatingIfNeeded: $0) }
        let mac = IPv4Address.allSPFRouters.multicastMAC
        bench.receive(Bench.ipv4(89, Array(whole[1480...]), to: .allSPFRouters, offset: 1480, more: false, mac: mac))
        bench.receive(Bench.ipv4(89, Array(whole[..<1480]), to: .allSPFRouters, offset: 0, more: true, mac: mac))
        #expect(Self.packets(bench.take()).map(\.bytes) == [whole])
    }

    @Test func `groups are for their own protocol: no TCP, ICMP or other UDP through them`() {
        var bench = Self.bench()
        let mac = IPv4Address.allSPFRouters.multicastMAC
        bench.receive(Bench.ipv4(6, [UInt8](repeating: 0, count: 20), to: .allSPFRouters, mac: mac))
        bench.receive(Bench.ipv4(1, Bench.echo([1]), to: .allSPFRouters, mac: mac))
        bench.receive(Bench.ipv4(89, [2], to: .allRIPRouters, mac: mac))
        #expect(bench.card.counters[.otherDestination] == 3)
        bench.receive(
            Bench.ipv4(
                17, Self.udp([1], to: .v4(.allRIPRouters), 67), to: .allRIPRouters, mac: IPv4Address.allRIPRouters.multicastMAC))
        bench.receive(Bench.ipv4(17, Self.udp([1], to: .v4(.broadcast), 67), to: .broadcast, mac: .broadcast))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.unknownProtocol] == 2)
    }

    @Test func `a packet beyond the bound of a record is dropped`() {
        var bench = Self.bench()
        let whole = [UInt8](repeating: 7, count: RecordLimits.packetOctets + 8)
        var offset = 0
        while offset < whole.count {
            let end = min(offset + 1480, whole.count)
            bench.receive(Bench.ipv4(89, Array(whole[offset..<end]), offset: offset, more: end < whole.count))
            offset = end
        }
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.packetTooLong] == 1)
    }

    // MARK: RIP

    @Test func `RFC 2453 §4.6: RIP by group, broadcast and unicast, with the source port`() {
        var bench = Self.bench()
        for (destination, mac) in [
            (IPv4Address.allRIPRouters, IPv4Address.allRIPRouters.multicastMAC), (IPv4Address("10.0.0.255")!, .broadcast),
            (.broadcast, .broadcast), (Bench.v4, Bench.ours),
        ] {
            bench.receive(Bench.ipv4(17, Self.udp([2, 2], port: 1024, to: .v4(destination), 520), to: destination, mac: mac))
            let packets = Self.packets(bench.take())
            #expect(packets.map(\.packetProtocol) == [.rip])
            #expect(packets.first?.sourcePort == 1024)
            #expect(packets.first?.bytes == [2, 2])
        }
    }

    @Test func `RFC 2080 §2: RIPng by ff02::9 and unicast`() {
        var bench = Self.bench()
        for destination in [IPv6Address.allRIPngRouters, Bench.linkLocal] {
            let datagram = Self.udp([1, 1], from: .v6(IPv6Address("fe80::2")!), port: 521, to: .v6(destination), 521)
            let mac = destination.isMulticast ? destination.multicastMAC : Bench.ours
            bench.receive(Bench.ipv6(17, datagram, from: IPv6Address("fe80::2")!, to: destination, hopLimit: 255, mac: mac))
            let packets = Self.packets(bench.take())
            #expect(packets.map(\.packetProtocol) == [.ripng])
            #expect(packets.first?.hopLimit == 255)
        }
    }

    @Test func `RFC 768: a wrong checksum is dropped; none over IPv4 and a bare pseudo-header sum are taken`() {
        var bench = Self.bench()
        var datagram = Self.udp([2, 2, 0, 0], to: .v4(Bench.v4), 520)
        datagram[6] ^= 1
        bench.receive(Bench.ipv4(17, datagram))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.malformedUDP] == 1)
        (datagram[6], datagram[7]) = (0, 0)
        bench.receive(Bench.ipv4(17, datagram))
        #expect(Self.packets(bench.take()).count == 1)
        let pseudo = UDPHeader.pseudoHeader(from: .v4(Bench.peer4), to: .v4(Bench.v4), length: datagram.count)!.folded
        (datagram[6], datagram[7]) = (UInt8(pseudo >> 8), UInt8(pseudo & 255))
        bench.receive(Bench.ipv4(17, datagram))
        #expect(Self.packets(bench.take()).count == 1)
        // RFC 8200 §8.1: IPv6 knows no datagram without a checksum.
        var v6 = Self.udp([1, 1], from: .v6(Bench.peer6), port: 521, to: .v6(Bench.v6), 521)
        (v6[6], v6[7]) = (0, 0)
        bench.receive(Bench.ipv6(17, v6))
        #expect(Self.packets(bench.take()).isEmpty)
    }

    @Test func `a UDP length beyond the packet is malformed; octets behind it are cut off`() {
        var bench = Self.bench()
        var datagram = Self.udp([2, 2, 0, 0], to: .v4(Bench.v4), 520)
        bench.receive(Bench.ipv4(17, datagram + [9, 9, 9]))
        #expect(Self.packets(bench.take()).map(\.bytes) == [[2, 2, 0, 0]])
        datagram[5] = 200
        bench.receive(Bench.ipv4(17, datagram))
        bench.receive(Bench.ipv4(17, [2, 8, 2, 8]))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.malformedUDP] == 2)
    }

    // MARK: IS-IS

    @Test func `ISO 10589 §8.4.8: LLC to the four groups and our MAC, trimmed to the 802.3 length, tagged or not`() {
        for vlan: UInt16 in [0, 42] {
            var bench = Self.bench(vlan: vlan)
            for text in ["01:80:c2:00:00:14", "01:80:c2:00:00:15", "09:00:2b:00:00:05", "09:00:2b:00:00:04", "\(Bench.ours)"] {
                let mac = MACAddress(text)!
                bench.receive(Self.llc([0x83, 27, 1], to: mac, vlan: vlan))
                #expect(
                    Self.packets(bench.take()) == [
                        ReceivedPacket(
                            interface: InterfaceID(0), packetProtocol: .isis, source: .station(Bench.peer),
                            destination: .station(mac), hopLimit: 255, bytes: [0x83, 27, 1])
                    ])
            }
        }
    }

    @Test func `LLC for others, with a lying length, or unwanted is dropped and counted`() {
        var bench = Self.bench()
        let group = LLC.groups[0]
        bench.receive(Self.llc([1], to: group, header: [0x42, 0x42, 3]))
        bench.receive(Self.llc([1], to: group, length: 1400))
        bench.receive(Self.llc([1], to: group, length: 2))
        #expect(bench.card.counters[.llc] == 2)
        #expect(bench.card.counters[.notSubscribed] == 1)
        bench.receive(Self.llc([1], to: MACAddress("01:80:c2:00:00:00")!))
        #expect(bench.card.counters[.otherDestination] == 1)
        bench.handle(.engine(.subscriptions([])))
        bench.receive(Self.llc([1], to: group))
        #expect(bench.card.counters[.notSubscribed] == 2)
        #expect(Self.packets(bench.take()).isEmpty)
    }

    @Test func `IS-IS goes out behind an 802.3 length, and behind type 8870 where the length ends`() throws {
        var bench = Self.bench(mtu: 9000)
        for count in [10, 1497, 5000] {
            let pdu = [UInt8](repeating: 0x83, count: count)
            bench.handle(
                .engine(
                    .send(
                        OutgoingPacket(
                            interface: InterfaceID(0), packetProtocol: .isis, source: .station(Bench.ours),
                            destination: .station(LLC.groups[1]), bytes: pdu))))
            let frames = bench.takeFrames()
            try #require(frames.count == 1)
            let d = try Dissected(frames[0])
            #expect(d.ethernet.destination == LLC.groups[1])
            #expect(d.ethernet.type == (count < 1533 ? UInt16(count + 3) : 0x8870))
            #expect(Array(frames[0].dropFirst(14)) == [0xfe, 0xfe, 3] + pdu)
            // What we send can be read back.
            var peer = Self.bench(mtu: 9000)
            peer.receive(Array(frames[0][..<6] + [2, 1, 1, 1, 1, 1] + frames[0][12...]))
            #expect(Self.packets(peer.take()).map(\.bytes) == [pdu])
        }
    }

    // MARK: send

    @Test func `RFC 1112 §6.4 and RFC 2464 §7: groups become MAC addresses; TTL and CS6 are as they should be`() throws {
        var bench = Self.bench()
        bench.handle(
            .engine(
                .send(
                    OutgoingPacket(
                        interface: InterfaceID(0), packetProtocol: .ospfv2, source: .ip(.v4(Bench.v4)),
                        destination: .ip(.v4(.allSPFRouters)), hopLimit: 1, bytes: [2, 1, 0, 4]))))
        bench.handle(
            .engine(
                .send(
                    OutgoingPacket(
                        interface: InterfaceID(0), packetProtocol: .ripng, source: .ip(.v6(Bench.linkLocal)),
                        destination: .ip(.v6(.allRIPngRouters)), hopLimit: 255, bytes: [2, 1]))))
        let frames = try bench.takeFrames().map { try Dissected($0) }
        try #require(frames.count == 2)
        #expect(frames[0].ethernet.destination == MACAddress("01:00:5e:00:00:05")!)
        #expect(frames[0].v4?.protocolNumber == 89)
        #expect(frames[0].v4?.hopLimit == 1)
        #expect(frames[0].v4?.trafficClass == 0xc0)
        #expect(frames[0].payload == [2, 1, 0, 4])
        #expect(frames[1].ethernet.destination == MACAddress("33:33:00:00:00:09")!)
        #expect(frames[1].v6?.hopLimit == 255)
        let datagram = frames[1].payload
        var r = ByteReader(datagram.span.bytes)
        let header = try UDPHeader(from: &r)
        #expect(header.sourcePort == 521 && header.destinationPort == 521)
        let isValid = UDPHeader.isValid(
            datagram.span.bytes, checksum: header.checksum, from: .v6(Bench.linkLocal), to: .v6(.allRIPngRouters))
        #expect(isValid)
    }

    @Test func `a unicast packet waits for ARP or ND on its interface, link-local neighbours too`() throws {
        var bench = Self.bench()
        let neighbor = IPv6Address("fe80::77")!
        bench.handle(
            .engine(
                .send(
                    OutgoingPacket(
                        interface: InterfaceID(0), packetProtocol: .ospfv3, source: .ip(.v6(Bench.linkLocal)),
                        destination: .ip(.v6(neighbor)), bytes: [3, 2]))))
        #expect(try bench.takeFrames().map { try Dissected($0).neighbor } == [.solicitation(target: neighbor, link: Bench.ours)])
        bench.receive(
            Bench.neighbor(
                .advertisement(target: neighbor, link: Bench.peer, flags: [.solicited, .override]), from: neighbor,
                to: Bench.linkLocal))
        let frames = try bench.takeFrames().map { try Dissected($0) }
        #expect(frames.map(\.payload) == [[3, 2]])
        #expect(frames.first?.ethernet.destination == Bench.peer)
        #expect(frames.first?.v6?.hopLimit == 1)
    }

    @Test func `RFC 2453 §3.9.1: an answer goes to the port that asked`() throws {
        var bench = Self.bench()
        bench.introducePeer()
        bench.handle(
            .engine(
                .send(
                    OutgoingPacket(
                        interface: InterfaceID(0), packetProtocol: .rip, source: .ip(.v4(Bench.v4)),
                        destination: .ip(.v4(Bench.peer4)), hopLimit: 64, destinationPort: 3333, bytes: [2, 2]))))
        let frame = try #require(try bench.takeFrames().map { try Dissected($0) }.first)
        #expect(Array(frame.payload[..<4]) == [520 >> 8, 520 & 255, 3333 >> 8, 3333 & 255])
    }

    @Test func `a packet longer than the MTU goes out in fragments, to a group too`() throws {
        var bench = Self.bench()
        let whole = (0..<4000).map { UInt8(truncatingIfNeeded: $0) }
        for (number, source, group) in [
            (PacketProtocol.ospfv2, IPAddress.v4(Bench.v4), IPAddress.v4(.allSPFRouters)),
            (.ospfv3, .v6(Bench.linkLocal), .v6(.allSPFRouters)),
        ] {
            bench.handle(
                .engine(
                    .send(
                        OutgoingPacket(
                            interface: InterfaceID(0), packetProtocol: number, source: .ip(source), destination: .ip(group),
                            bytes: whole))))
            let frames = bench.takeFrames()
            #expect(frames.count == 3)
            var peer = Self.bench()
            for frame in frames {
                // From another station and another address, or it would be our own come back.
                var frame = frame
                frame[11] ^= 0x55
                if source.family == .ipv6 { frame[14 + 23] ^= 0x55 }
                guard source.family == .ipv4 else {
                    peer.receive(frame)
                    continue
                }
                var r = ByteReader(frame.span.bytes)
                let ethernet = try EthernetHeader(from: &r)
                var length = 0
                var header = try IPv4Header(from: &r, payloadLength: &length)
                header.source = Bench.peer4
                var w = ByteWriter()
                ethernet.write(to: &w)
                header.write(to: &w, payloadLength: length)
                w.append(try r.array(length, "payload"))
                peer.receive(w.bytes)
            }
            #expect(Self.packets(peer.take()).map(\.bytes) == [whole])
        }
    }

    @Test func `what cannot be sent is counted: no such interface, no destination, two families`() {
        var bench = Self.bench()
        for packet in [
            OutgoingPacket(
                interface: InterfaceID(9), packetProtocol: .ospfv2, source: .ip(.v4(Bench.v4)),
                destination: .ip(.v4(.allSPFRouters)), bytes: [1]),
            OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .ospfv2, source: .ip(.v4(Bench.v4)),
                destination: .ip(.v6(.allSPFRouters)), bytes: [1]),
            OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .isis, source: .ip(.v4(Bench.v4)),
                destination: .ip(.v6(.allSPFRouters)), bytes: [1]),
            OutgoingPacket(
                interface: InterfaceID(0), packetProtocol: .rip, source: .ip(.v4(Bench.v4)), destination: .ip(.v4(.any)),
                bytes: [1]),
        ] { bench.handle(.engine(.send(packet))) }
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters.unroutable == 4)
    }

    // MARK: membership, floods, loopback

    @Test func `RFC 3810: joining OSPFv3 and RIPng reports their groups at once, and in every report`() throws {
        var bench = Bench([Bench.interface()])
        bench.handle(
            .engine(
                .subscriptions([
                    PacketSubscription(interface: InterfaceID(0), packetProtocol: .ospfv3),
                    PacketSubscription(interface: InterfaceID(0), packetProtocol: .ripng),
                ])))
        let frames = try bench.takeFrames().map { try Dissected($0) }
        try #require(frames.count == 1)
        let report = frames[0].payload
        for group in [IPv6Address.allSPFRouters, .allDRouters, .allRIPngRouters] {
            var w = ByteWriter()
            w.ipv6(group)
            #expect((0..<(report.count - 15)).contains { Array(report[$0..<($0 + 16)]) == w.bytes })
        }
    }

    @Test func `a flood of one protocol on one interface is cut and leaves the others alone`() {
        var bench = Self.bench()
        let frame = Bench.ipv4(89, [2, 1])
        for _ in 0..<(LineCard.packetBurst + 100) { bench.receive(frame) }
        #expect(Self.packets(bench.take()).count == LineCard.packetBurst)
        #expect(bench.card.counters[.flood] == 100)
        bench.receive(Self.llc([1], to: LLC.groups[0]))
        #expect(Self.packets(bench.take()).count == 1)
        // A database at full speed: 20,000 a second for ever.
        bench.advance(.seconds(1))
        for _ in 0..<20_000 {
            bench.advance(.microseconds(50))
            bench.receive(frame)
        }
        #expect(Self.packets(bench.take()).count == 20_000)
    }

    @Test func `TCP acknowledges when its own record is committed, whatever other records are beside it`() throws {
        var wire = Wire2()
        let start = wire.now
        wire.router.card.handle(
            .engine(.subscriptions([PacketSubscription(interface: InterfaceID(0), packetProtocol: .ospfv2)])), at: start,
            into: &wire.router.discarded)
        let data = try #require(wire.peer.send([1, 2, 3, 4, 5], at: start).first)
        func acknowledged(_ effects: [LineCardEffect]) -> UInt32 {
            effects.reduce(0) { highest, effect in
                guard case .transmit(_, let frame) = effect, frame[12] == 8, frame[13] == 0, frame[23] == 6 else {
                    return highest
                }
                return max(highest, frame[42..<46].reduce(0) { $0 << 8 | UInt32($1) })
            }
        }
        let sequence = data[38..<42].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        var card = wire.router.card
        var effects: [LineCardEffect] = []
        card.receive(Bench.ipv4(89, [2, 1]).span.bytes, on: InterfaceID(0), at: start, into: &effects)
        card.receive(data.span.bytes, on: InterfaceID(0), at: start, into: &effects)
        card.receive(Bench.ipv4(89, [2, 1]).span.bytes, on: InterfaceID(0), at: start, into: &effects)
        card.handle(.endOfBatch, at: start, into: &effects)
        var index = wire.router.index, records: [RecordBody] = []
        for effect in effects {
            guard case .record(let body) = effect else { continue }
            records.append(body)
            index = index.next
            card.handle(.logged(index), at: start, into: &effects)
        }
        #expect(records.count == 3)
        let own = try #require(records.firstIndex { if case .tcpReceived = $0 { true } else { false } })
        // Everything before TCP's record is stored, it is not: a second long nothing is acknowledged.
        let first = wire.router.index.value
        card.handle(.committed(LogIndex(first + UInt64(own))), at: start, into: &effects)
        card.handle(.endOfBatch, at: start, into: &effects)
        var now = start
        while let next = card.nextDeadline, next <= start + .seconds(1) {
            now = max(now, next)
            card.handle(.time, at: now, into: &effects)
        }
        #expect(acknowledged(effects) <= sequence)
        card.handle(.committed(LogIndex(first + UInt64(own) + 1)), at: now, into: &effects)
        card.handle(.endOfBatch, at: now, into: &effects)
        while let next = card.nextDeadline, next <= start + .seconds(2) {
            now = max(now, next)
            card.handle(.time, at: now, into: &effects)
        }
        #expect(acknowledged(effects) == sequence + 5)
    }

    @Test func `a take-over subscribes from the image`() {
        var bench = Bench()
        var image = LineCardImage()
        image.interfaces = [Bench.interface()]
        image.subscriptions = [PacketSubscription(interface: InterfaceID(0), packetProtocol: .isis)]
        bench.handle(.takeOver(image))
        bench.out = []
        bench.receive(Self.llc([5], to: LLC.groups[1]))
        #expect(Self.packets(bench.take()).map(\.bytes) == [[5]])
    }

    @Test func `a loopback's address is answered for on the wire, and nothing is sent or announced on it`() throws {
        let loopback = InterfaceConfiguration(
            name: "lo", virtualMAC: Bench.ours, addresses: [.init(address: IPAddress("10.9.9.9")!, prefixLength: 32)],
            isLoopback: true)
        var bench = Bench()
        var image = LineCardImage()
        image.interfaces = [Bench.interface(), loopback]
        bench.handle(.takeOver(image))
        bench.advance(.seconds(2))
        for effect in bench.take() {
            if case .transmit(let id, _) = effect { #expect(id == InterfaceID(0)) }
        }
        bench.introducePeer()
        bench.receive(Bench.ipv4(1, Bench.echo([7]), to: IPv4Address("10.9.9.9")!))
        let out = bench.take()
        guard case .transmit(InterfaceID(0), let frame)? = out.first else {
            Issue.record("no echo reply")
            return
        }
        #expect(try Dissected(frame).v4?.source == IPv4Address("10.9.9.9")!)
        // A neighbour of the same number is not reached through it, and its carrier is nobody's to take away.
        bench.handle(.link(InterfaceID(1), isUp: false))
        #expect(bench.card.status.interfaces[1].isUp)
        bench.handle(
            .engine(
                .send(
                    OutgoingPacket(
                        interface: InterfaceID(1), packetProtocol: .ospfv2, source: .ip(.v4(Bench.v4)),
                        destination: .ip(.v4(.allSPFRouters)), bytes: [1]))))
        #expect(bench.take().isEmpty)
    }

    @Test func `what nobody here has heard of can be subscribed to: another IP protocol, port and LLC header`() throws {
        let vrrp = PacketProtocol.ip(.ipv4, number: 112), port = PacketProtocol.udp(.ipv6, port: 6666)
        let spanningTree = PacketProtocol.llc(0x424203)
        let group = IPv4Address(224, 0, 0, 18), bridges = MACAddress("01:80:c2:00:00:00")!
        var bench = Bench([Bench.interface()])
        bench.handle(
            .engine(
                .subscriptions([
                    PacketSubscription(interface: InterfaceID(0), packetProtocol: vrrp, groups: [.ip(.v4(group))]),
                    PacketSubscription(interface: InterfaceID(0), packetProtocol: port, groups: []),
                    PacketSubscription(interface: InterfaceID(0), packetProtocol: spanningTree, groups: [.station(bridges)]),
                ])))
        bench.out = []
        bench.receive(Bench.ipv4(112, [0x21], to: group, mac: group.multicastMAC))
        bench.receive(Bench.ipv6(17, Self.udp([7], from: .v6(Bench.peer6), port: 1, to: .v6(Bench.v6), 6666)))
        bench.receive(Self.llc([9], to: bridges, header: [0x42, 0x42, 3]))
        #expect(Self.packets(bench.take()).map(\.packetProtocol) == [vrrp, port, spanningTree])
        // The same groups are nothing to others.
        bench.receive(Bench.ipv4(89, [2], to: group, mac: group.multicastMAC))
        bench.receive(Self.llc([9], to: LLC.groups[0], header: [0x42, 0x42, 3]))
        #expect(bench.take().isEmpty && bench.card.counters[.otherDestination] == 2)
        bench.handle(
            .engine(
                .send(
                    OutgoingPacket(
                        interface: InterfaceID(0), packetProtocol: spanningTree, source: .station(Bench.ours),
                        destination: .station(bridges), bytes: [1, 2]))))
        #expect(bench.takeFrames().map { Array($0[14..<19]) } == [[0x42, 0x42, 3, 1, 2]])
        bench.handle(
            .engine(
                .send(
                    OutgoingPacket(
                        interface: InterfaceID(0), packetProtocol: vrrp, source: .ip(.v4(Bench.v4)),
                        destination: .ip(.v4(group)), hopLimit: 255, bytes: [0x21]))))
        let frame = try #require(try bench.takeFrames().map { try Dissected($0) }.first)
        #expect(frame.v4?.protocolNumber == 112 && frame.payload == [0x21])
    }

    @Test func `truncations and flipped bits of wanted packets never trap`() {
        var bench = Self.bench()
        let seeds = [
            Bench.ipv4(17, Self.udp([2, 2, 0, 0], to: .v4(Bench.v4), 520)), Bench.ipv4(89, [2, 1, 0, 4]),
            Bench.ipv6(17, Self.udp([1, 1], from: .v6(Bench.peer6), port: 521, to: .v6(Bench.v6), 521)),
            Self.llc([0x83, 1, 2], to: LLC.groups[0]), Self.llc([0x83, 1, 2], to: LLC.groups[0], vlan: 1),
        ]
        for seed in seeds {
            for end in 0..<seed.count { bench.receive(Array(seed[..<end])) }
            for bit in 0..<(seed.count * 8) {
                var frame = seed
                frame[bit / 8] ^= 1 << UInt8(bit % 8)
                bench.receive(frame)
            }
        }
        #expect(bench.card.counters.drops > 0)
    }
}
