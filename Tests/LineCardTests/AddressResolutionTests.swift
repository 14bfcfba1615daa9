import Machine
import Records
import TCP
import Testing
import Wire

@testable import LineCard

@Suite struct AddressResolutionTests {
    @Test func `RFC 826: a request for our address is answered from the virtual MAC`() throws {
        var bench = Bench([Bench.interface()])
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4))
        let frames = bench.takeFrames()
        try #require(frames.count == 1)
        let d = try Dissected(frames[0])
        #expect(d.ethernet == EthernetHeader(destination: Bench.peer, source: Bench.ours, type: EtherType.arp))
        #expect(
            d.arp
                == ARPPacket(
                    operation: .reply, senderMAC: Bench.ours, sender: Bench.v4, targetMAC: Bench.peer, target: Bench.peer4))
    }

    @Test func `a request for another address is not answered and teaches nothing new`() {
        var bench = Bench([Bench.interface()])
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: IPv4Address("10.0.0.9")!))
        #expect(bench.take().isEmpty)
        #expect(bench.card.status.neighbors.isEmpty)
    }

    @Test func `RFC 5227 §2.1.1: a probe for our address is answered and is no conflict`() throws {
        var bench = Bench([Bench.interface()])
        bench.receive(Bench.arp(.request, from: Bench.peer, .any, target: Bench.v4))
        let out = bench.take()
        #expect(out.count == 1)
        #expect(bench.card.counters.conflicts == 0)
    }

    @Test func `RFC 5227 §2.4: our address from another MAC is a conflict, spoken of once per interval and defended`() throws {
        var bench = Bench([Bench.interface()])
        let intruder = MACAddress("02:bb:00:00:00:09")!
        let frame = Bench.arp(.request, from: intruder, Bench.v4, target: Bench.v4)
        bench.receive(frame)
        bench.receive(frame)
        let out = bench.take()
        let conflicts = out.filter { $0 == .addressConflict(InterfaceID(0), .v4(Bench.v4), intruder) }
        #expect(conflicts.count == 1)
        let events = out.filter { if case .event(let e) = $0 { e.severity == .alarm } else { false } }
        #expect(events.count == 1)
        let frames = out.compactMap { if case .transmit(_, let f) = $0 { f } else { nil } }
        try #require(frames.count == 1)
        #expect(try Dissected(frames[0]).arp?.sender == Bench.v4)
        #expect(bench.card.counters.conflicts == 2)
        bench.advance(.seconds(11))
        bench.receive(frame)
        #expect(bench.take().contains(.addressConflict(InterfaceID(0), .v4(Bench.v4), intruder)))
    }

    @Test func `an IP packet from our own address is a conflict, for both families`() {
        var bench = Bench([Bench.interface()])
        bench.receive(Bench.ipv4(6, [0, 1, 2, 3], from: Bench.v4))
        #expect(bench.take().contains(.addressConflict(InterfaceID(0), .v4(Bench.v4), Bench.peer)))
        bench.receive(Bench.ipv6(6, [0, 1, 2, 3], from: Bench.v6))
        #expect(bench.take().contains(.addressConflict(InterfaceID(0), .v6(Bench.v6), Bench.peer)))
        #expect(bench.card.counters[.badSource] == 2)
    }

    @Test func `our own frame, captured back, is neither conflict nor neighbour`() {
        var bench = Bench([Bench.interface()])
        bench.receive(Bench.arp(.request, from: Bench.ours, Bench.v4, target: Bench.v4))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.ownSource] == 1)
        #expect(bench.card.counters.conflicts == 0)
    }

    @Test func `RFC 4861 §7.2.4: a solicitation to the solicited-node group is answered with R, S and O`() throws {
        var bench = Bench([Bench.interface()])
        for address in [Bench.v6, Bench.linkLocal] {
            bench.receive(
                Bench.neighbor(
                    .solicitation(target: address, link: Bench.peer), from: Bench.peer6, to: address.solicitedNode,
                    mac: address.solicitedNode.multicastMAC))
            let frames = bench.takeFrames()
            try #require(frames.count == 1)
            let d = try Dissected(frames[0])
            #expect(d.ethernet.destination == Bench.peer)
            #expect(d.v6?.hopLimit == 255)
            #expect(d.v6?.source == address)
            #expect(
                d.neighbor
                    == .advertisement(target: address, link: Bench.ours, flags: [.router, .solicited, .override]))
        }
    }

    @Test func `RFC 4862 §5.4.3: duplicate address detection for our address is answered to all nodes`() throws {
        var bench = Bench([Bench.interface()])
        bench.receive(
            Bench.neighbor(
                .solicitation(target: Bench.v6, link: nil), from: .any, to: Bench.v6.solicitedNode,
                mac: Bench.v6.solicitedNode.multicastMAC))
        let frames = bench.takeFrames()
        try #require(frames.count == 1)
        let d = try Dissected(frames[0])
        #expect(d.v6?.destination == .allNodes)
        #expect(d.neighbor == .advertisement(target: Bench.v6, link: Bench.ours, flags: [.router, .override]))
    }

    @Test func `RFC 4861 §7.1.1: a solicitation with a hop limit below 255 is dropped`() {
        var bench = Bench([Bench.interface()])
        bench.receive(
            Bench.neighbor(
                .solicitation(target: Bench.v6, link: Bench.peer), from: Bench.peer6, to: Bench.v6, hopLimit: 254))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.malformedICMP] == 1)
    }

    @Test func `RFC 6980 §5: a solicitation in a fragment is dropped`() {
        var bench = Bench([Bench.interface()])
        let frame = Bench.neighbor(.solicitation(target: Bench.v6, link: Bench.peer), from: Bench.peer6, to: Bench.v6)
        let message = Array(frame[54...])
        bench.receive(Bench.ipv6(44, [58, 0, 0, 0, 0, 0, 0, 1] + message, hopLimit: 255))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.malformedICMP] == 1)
    }

    @Test func `an advertisement of our address by another MAC is a conflict`() {
        var bench = Bench([Bench.interface()])
        bench.receive(
            Bench.neighbor(
                .advertisement(target: Bench.v6, link: Bench.peer, flags: [.override]), from: Bench.peer6, to: .allNodes,
                mac: IPv6Address.allNodes.multicastMAC))
        #expect(bench.take().contains(.addressConflict(InterfaceID(0), .v6(Bench.v6), Bench.peer)))
    }

    // MARK: resolving

    static func segment(to remote: IPAddress, from local: IPAddress) -> TCPTransmission {
        var bytes = [UInt8](repeating: 0, count: TCPConfiguration().headroom)
        bytes += [UInt8](repeating: 0xee, count: 20)
        return TCPTransmission(
            interface: InterfaceID(0), local: local, remote: remote, hopLimit: 255, dscp: 48, bytes: bytes)
    }

    @Test func `a segment for an unknown neighbour asks by broadcast, waits, and goes out with the answer`() throws {
        var bench = Bench([Bench.interface()])
        bench.transmit(Self.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
        var frames = bench.takeFrames()
        try #require(frames.count == 1)
        let ask = try Dissected(frames[0])
        #expect(ask.ethernet.destination == .broadcast)
        #expect(ask.arp?.operation == .request)
        #expect(ask.arp?.target == Bench.peer4)
        bench.receive(Bench.arp(.reply, from: Bench.peer, Bench.peer4, target: Bench.v4, to: Bench.ours))
        frames = bench.takeFrames()
        try #require(frames.count == 1)
        let d = try Dissected(frames[0])
        #expect(d.ethernet == EthernetHeader(destination: Bench.peer, source: Bench.ours, type: EtherType.ipv4))
        #expect(d.v4?.hopLimit == 255)
        #expect(d.v4?.trafficClass == 192)
        #expect(d.v4?.mayFragment == false)
        #expect(d.payload == [UInt8](repeating: 0xee, count: 20))
        #expect(bench.card.nextDeadline == nil)
    }

    @Test func `the same over IPv6 asks the solicited-node group`() throws {
        var bench = Bench([Bench.interface()])
        bench.transmit(Self.segment(to: .v6(Bench.peer6), from: .v6(Bench.v6)))
        var frames = bench.takeFrames()
        try #require(frames.count == 1)
        let ask = try Dissected(frames[0])
        #expect(ask.ethernet.destination == Bench.peer6.solicitedNode.multicastMAC)
        #expect(ask.v6?.source == Bench.v6)
        #expect(ask.neighbor == .solicitation(target: Bench.peer6, link: Bench.ours))
        bench.receive(
            Bench.neighbor(
                .advertisement(target: Bench.peer6, link: Bench.peer, flags: [.solicited, .override]), from: Bench.peer6,
                to: Bench.v6))
        frames = bench.takeFrames()
        try #require(frames.count == 1)
        let d = try Dissected(frames[0])
        #expect(d.ethernet.destination == Bench.peer)
        #expect(d.v6?.nextHeader == 6)
        #expect(d.payload == [UInt8](repeating: 0xee, count: 20))
    }

    @Test func `a lost question costs 20 ms, and not what is left of a BFD session`() {
        var bench = Bench([Bench.interface()])
        bench.transmit(Self.segment(to: .v6(Bench.peer6), from: .v6(Bench.v6)))
        #expect(bench.takeFrames().count == 1)
        bench.advance(.milliseconds(20))
        #expect(bench.takeFrames().count == 1)
    }

    @Test func `six questions without an answer end in silence, and the queue is bounded`() {
        var bench = Bench([Bench.interface()])
        for _ in 0..<400 {
            bench.transmit(Self.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
        }
        #expect(bench.card.status.neighbors[0].queued == NeighborCache.queueMaximum)
        #expect(bench.card.counters.unresolved == UInt64(400 - NeighborCache.queueMaximum))
        bench.advance(.seconds(10))
        #expect(bench.takeFrames().count == 6)
        #expect(bench.card.status.neighbors.isEmpty)
        #expect(bench.card.counters.unresolved == 400)
        #expect(bench.card.nextDeadline == nil)
    }

    @Test func `what waits for an answer is bounded in octets, and leaves in order when it comes`() throws {
        var cache = NeighborCache()
        let slot = cache.insert(.init(interface: InterfaceID(0), address: .v4(Bench.peer4)))
        var gone = 0
        for n in 0..<100 as Range<UInt8> {
            let frame = [n] + [UInt8](repeating: 0, count: 1499)
            gone += cache.enqueue(.init(frame: frame, remote: .v4(Bench.peer4), interface: InterfaceID(0)), at: slot)
        }
        #expect(cache.entries[slot].queue.count == 32 && gone == 68)
        #expect(cache.takeQueue(slot).map { $0.frame[0] } == Array(68..<100))
        #expect(cache.entries[slot].queuedOctets == 0)
        for n in 0..<100 as Range<UInt8> {
            gone = cache.enqueue(.init(frame: [n, 0, 0], remote: .v4(Bench.peer4), interface: InterfaceID(0)), at: slot)
            #expect(gone == 0)
        }
        #expect(cache.entries[slot].queue.count == 100)
        cache.remove(slot)
        #expect(cache.entries[slot].queuedOctets == 0)
    }

    @Test func `after the reachable time a neighbour is asked by unicast while frames go on`() throws {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.advance(.seconds(31))
        bench.transmit(Self.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
        let frames = try bench.takeFrames().map { try Dissected($0) }
        try #require(frames.count == 2)
        #expect(frames[0].arp?.operation == .request)
        #expect(frames[0].ethernet.destination == Bench.peer)
        #expect(frames[1].v4 != nil)
        // Nobody answers: three by unicast, then by broadcast, then it is forgotten.
        bench.advance(.seconds(20))
        let rest = try bench.takeFrames().map { try Dissected($0) }
        #expect(rest.prefix(2).allSatisfy { $0.ethernet.destination == Bench.peer })
        #expect(rest.dropFirst(2).allSatisfy { $0.ethernet.destination == .broadcast })
        #expect(rest.count == 8)
        #expect(!bench.card.status.neighbors.contains { $0.address == .v4(Bench.peer4) })
    }

    @Test func `a neighbour that moves to another MAC by gratuitous ARP is followed`() throws {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        let new = MACAddress("02:aa:00:00:00:77")!
        bench.receive(Bench.arp(.request, from: new, Bench.peer4, target: Bench.peer4))
        bench.transmit(Self.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
        let frames = bench.takeFrames()
        try #require(frames.count == 1)
        #expect(try Dissected(frames[0]).ethernet.destination == new)
    }

    @Test func `RFC 4861 §7.2.5: an advertisement without an address says none, and confirms one that is known`() throws {
        var bench = Bench([Bench.interface()])
        bench.transmit(Self.segment(to: .v6(Bench.peer6), from: .v6(Bench.v6)))
        _ = bench.take()
        let bare = Bench.neighbor(
            .advertisement(target: Bench.peer6, link: nil, flags: [.solicited, .override]), from: Bench.peer6, to: Bench.v6)
        bench.receive(bare)
        #expect(bench.takeFrames().isEmpty)
        #expect(bench.card.counters[.malformedICMP] == 1)
        bench.receive(
            Bench.neighbor(
                .advertisement(target: Bench.peer6, link: Bench.peer, flags: [.solicited, .override]), from: Bench.peer6,
                to: Bench.v6))
        #expect(bench.takeFrames().count == 1)
        bench.receive(bare)
        #expect(bench.card.counters[.malformedICMP] == 1)
        #expect(bench.card.status.neighbors.first { $0.address == .v6(Bench.peer6) }?.mac == Bench.peer)
    }

    @Test func `a flood of questions silences us neither on another interface nor towards those we talk to`() {
        let wan = InterfaceConfiguration(
            name: "wan", virtualMAC: MACAddress("02:00:5e:00:01:02")!,
            addresses: [.init(address: IPAddress("10.0.1.1")!, prefixLength: 24)])
        var bench = Bench([Bench.interface(), wan])
        bench.introducePeer()
        bench.transmit(Self.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
        bench.transmit(Self.segment(to: .v6(Bench.peer6), from: .v6(Bench.v6)))
        _ = bench.take()
        for i in 0..<5000 as Range<UInt64> {
            let stranger = MACAddress(raw: 0x0200_dd00_0000 | i)
            let address = IPv4Address(raw: 0x0a00_0000 | UInt32(100 + i % 100))
            bench.receive(Bench.arp(.request, from: stranger, i % 2 == 0 ? .any : address, target: Bench.v4))
        }
        // The two of `introducePeer` were strangers, too.
        #expect(bench.takeFrames().count == LineCard.answersPerSecond - 2)
        #expect(bench.card.counters[.rateLimited] == 5002 - UInt64(LineCard.answersPerSecond))
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4))
        #expect(bench.takeFrames().count == 1)
        bench.receive(
            Bench.neighbor(
                .solicitation(target: Bench.v6, link: Bench.peer), from: Bench.peer6, to: Bench.v6.solicitedNode,
                mac: Bench.v6.solicitedNode.multicastMAC))
        #expect(bench.takeFrames().count == 1)
        bench.receive(
            Bench.arp(
                .request, from: MACAddress("02:aa:00:00:00:07")!, IPv4Address("10.0.1.7")!, target: IPv4Address("10.0.1.1")!),
            on: 1)
        #expect(bench.takeFrames().count == 1)
    }

    @Test func `strangers that ask for us cannot push out the neighbour in use`() throws {
        var bench = Bench([Bench.interface("lan", ["10.0.0.1/8"])])
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4))
        for n in 0..<5000 {
            if n % 500 == 0 {
                bench.transmit(Self.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
            }
            let stranger = IPv4Address(raw: 0x0a01_0000 + UInt32(n))
            bench.receive(Bench.arp(.request, from: Bench.peer, stranger, target: Bench.v4))
        }
        #expect(bench.card.status.neighbors.count == NeighborCache.entriesMaximum)
        #expect(bench.card.status.neighbors.contains { $0.address == .v4(Bench.peer4) && $0.mac == Bench.peer })
    }

    // MARK: routes and tags

    @Test func `a distant peer is reached by the longest matching gateway`() throws {
        var bench = Bench(
            [Bench.interface(), Bench.interface("wan", ["192.0.2.1/24"])],
            gateways: [
                Gateway(prefix: IPPrefix("0.0.0.0/0")!, nextHop: IPAddress("10.0.0.254")!),
                Gateway(prefix: IPPrefix("198.51.100.0/24")!, nextHop: IPAddress("192.0.2.254")!),
            ])
        bench.transmit(Self.segment(to: IPAddress("198.51.100.7")!, from: .v4(Bench.v4)))
        guard case .transmit(let id, let frame)? = bench.take().first else {
            Issue.record("nothing was sent")
            return
        }
        #expect(id == InterfaceID(1))
        #expect(try Dissected(frame).arp?.target == IPv4Address("192.0.2.254")!)
        bench.transmit(Self.segment(to: IPAddress("203.0.113.7")!, from: .v4(Bench.v4)))
        #expect(try Dissected(bench.takeFrames()[0]).arp?.target == IPv4Address("10.0.0.254")!)
        bench.handle(.gateways([]))
        bench.transmit(Self.segment(to: IPAddress("203.0.113.7")!, from: .v4(Bench.v4)))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters.unroutable == 1)
    }

    @Test func `a tagged interface answers in its VLAN and hears nothing else`() throws {
        var bench = Bench([Bench.interface(vlan: 100)])
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4))
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4, vlan: 99))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.wrongVLAN] == 2)
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4, vlan: 100))
        let frames = bench.takeFrames()
        try #require(frames.count == 1)
        #expect(try Dissected(frames[0]).ethernet.vlan == 100)
        bench.transmit(Self.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
        let d = try Dissected(bench.takeFrames()[0])
        #expect(d.ethernet.vlan == 100)
        #expect(d.v4?.protocolNumber == 6)
    }

    @Test func `frames for other stations, of other types and of LLC are counted by their reason`() {
        var bench = Bench([Bench.interface()])
        bench.receive(Bench.ethernet(0x0800, [], to: MACAddress("02:cc:00:00:00:01")!))
        bench.receive(Bench.ethernet(0x88cc, [1, 2, 3]))
        bench.receive(Bench.ethernet(64, [0xfe, 0xfe, 3]))
        bench.receive(Bench.ethernet(0x0800, [], from: .broadcast))
        bench.receive([1, 2, 3])
        bench.receive(Bench.ethernet(0x0800, []), on: 9)
        let c = bench.card.counters
        #expect(c[.otherStation] == 1)
        #expect(c[.unknownType] == 1)
        #expect(c[.llc] == 1)
        #expect(c[.malformedEthernet] == 2)
        #expect(c[.unknownInterface] == 1)
        #expect(bench.take().isEmpty)
    }
}
