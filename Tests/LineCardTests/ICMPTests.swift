import Machine
import Records
import Testing
import Wire

@testable import LineCard

@Suite struct ICMPTests {
    @Test func `RFC 792: an echo request is answered with its own octets`() throws {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.receive(Bench.ipv4(1, Bench.echo([1, 2, 3, 4, 5])))
        let frames = bench.takeFrames()
        try #require(frames.count == 1)
        let d = try Dissected(frames[0])
        #expect(d.v4?.source == Bench.v4)
        #expect(d.v4?.destination == Bench.peer4)
        #expect(d.payload == Bench.echo([1, 2, 3, 4, 5], type: 0))
    }

    @Test func `RFC 4443 §4.2: an ICMPv6 echo request is answered, to the link-local address too`() throws {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        for address in [Bench.v6, Bench.linkLocal] {
            bench.receive(
                Bench.icmpv6([128, 0, 0, 0, 1, 2, 3, 4, 9], from: Bench.peer6, to: address, hopLimit: 64))
            let frames = bench.takeFrames()
            try #require(frames.count == 1)
            let d = try Dissected(frames[0])
            #expect(d.v6?.source == address)
            #expect(d.payload[0] == 129)
            #expect(Array(d.payload[4...]) == [1, 2, 3, 4, 9])
        }
    }

    @Test func `an echo request with a wrong checksum, to a broadcast address or in a broadcast frame gets no answer`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        var wrong = Bench.echo([1, 2, 3])
        wrong[8] ^= 1
        bench.receive(Bench.ipv4(1, wrong))
        bench.receive(Bench.ipv4(1, Bench.echo([1]), to: IPv4Address("10.0.0.255")!, mac: .broadcast))
        bench.receive(Bench.ipv4(1, Bench.echo([1]), mac: .broadcast))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.malformedICMP] == 1)
        #expect(bench.card.counters[.otherDestination] == 1)
        #expect(bench.card.counters[.groupFrame] == 1)
    }

    @Test func `an ICMP message with an unfinished checksum counts as wrong, only TCP and UDP are offloaded`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        var message = Bench.echo([1, 2, 3])
        message[2] = 0
        message[3] = 0
        bench.receive(Bench.ipv4(1, message))
        #expect(bench.take().isEmpty)
    }

    @Test func `sources that nobody can have are dropped`() {
        var bench = Bench([Bench.interface()])
        for source in ["224.0.0.1", "127.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.255"] {
            bench.receive(Bench.ipv4(1, Bench.echo([1]), from: IPv4Address(source)!))
        }
        bench.receive(Bench.icmpv6([128, 0, 0, 0, 1, 2, 3, 4], from: IPv6Address("ff02::1")!, to: Bench.v6))
        bench.receive(Bench.icmpv6([128, 0, 0, 0, 1, 2, 3, 4], from: IPv6Address("::1")!, to: Bench.v6))
        #expect(bench.card.counters[.badSource] == 7)
        #expect(bench.take().isEmpty)
    }

    @Test func `a flood of pings is answered up to the bound`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        for _ in 0..<5000 { bench.receive(Bench.ipv4(1, Bench.echo([1]))) }
        #expect(bench.takeFrames().count == LineCard.echoesPerSecond)
        #expect(bench.card.counters[.rateLimited] == UInt64(5000 - LineCard.echoesPerSecond))
    }

    @Test func `RFC 1122 §3.2.2.1: UDP and unknown protocols to us are unreachable, at a bounded rate`() throws {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.receive(Bench.ipv4(17, [0, 1, 0, 2, 0, 8, 0, 0]))
        bench.receive(Bench.ipv4(99, [1, 2, 3, 4, 5, 6, 7, 8]))
        bench.receive(Bench.ipv6(17, [0, 1, 0, 2, 0, 8, 0, 0]))
        let frames = try bench.takeFrames().map { try Dissected($0) }
        try #require(frames.count == 3)
        #expect(frames[0].payload.prefix(2) == [3, 3])
        #expect(frames[1].payload.prefix(2) == [3, 2])
        #expect(frames[2].payload.prefix(2) == [1, 4])
        #expect(frames[0].payload.count == 8 + 28)
        for _ in 0..<1000 { bench.receive(Bench.ipv4(17, [0, 1, 0, 2, 0, 8, 0, 0])) }
        #expect(bench.takeFrames().count <= LineCard.errorsPerSecond)
    }

    @Test func `no error is sent about a broadcast or multicast`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.receive(Bench.ipv4(17, [0, 1, 0, 2, 0, 8, 0, 0], to: .broadcast, mac: .broadcast))
        bench.receive(Bench.ipv4(17, [0, 1, 0, 2, 0, 8, 0, 0], mac: .broadcast))
        bench.receive(
            Bench.ipv6(
                17, [0, 1, 0, 2, 0, 8, 0, 0], to: .allNodes, mac: IPv6Address.allNodes.multicastMAC))
        #expect(bench.take().isEmpty)
    }

    @Test func `RFC 8200 §4: extension headers are stepped over, and bounded`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        let echo = Array(Bench.icmpv6([128, 0, 0, 0, 1, 2, 3, 4], from: Bench.peer6, to: Bench.v6)[54...])
        func options(_ next: UInt8) -> [UInt8] { [next, 0, 1, 4, 0, 0, 0, 0] }
        // Hop-by-hop, destination options, a routing header with nothing left, echo.
        bench.receive(Bench.ipv6(0, options(60) + options(43) + [58, 0, 0, 0, 0, 0, 0, 0] + echo))
        #expect(bench.takeFrames().count == 1)
        // Segments left.
        bench.receive(Bench.ipv6(43, [58, 0, 0, 1, 0, 0, 0, 0] + echo))
        // Hop-by-hop that is not first.
        bench.receive(Bench.ipv6(60, options(0) + options(58) + echo))
        // An option that must not be ignored.
        bench.receive(Bench.ipv6(60, [58, 0, 0x80, 4, 0, 0, 0, 0] + echo))
        // Nine headers.
        bench.receive(Bench.ipv6(60, (0..<9).flatMap { options($0 == 8 ? 58 : 60) } + echo))
        // A length beyond the packet.
        bench.receive(Bench.ipv6(60, [58, 200, 1, 4, 0, 0, 0, 0]))
        #expect(bench.take().isEmpty)
        #expect(bench.card.counters[.extensionHeader] == 5)
    }

    @Test func `RFC 6946: an atomic fragment is a packet like any other`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        let echo = Array(Bench.icmpv6([128, 0, 0, 0, 1, 2, 3, 4], from: Bench.peer6, to: Bench.v6)[54...])
        bench.receive(Bench.ipv6(44, [58, 0, 0, 0, 0, 0, 0, 1] + echo))
        #expect(bench.takeFrames().count == 1)
        #expect(bench.card.nextDeadline == nil)
    }

    @Test func `RFC 3810 §5.2: a query is answered with the solicited-node groups`() throws {
        var bench = Bench([Bench.interface()])
        var query: [UInt8] = [130, 0, 0, 0, 0, 10, 0, 0]
        query += [UInt8](repeating: 0, count: 20)
        bench.receive(
            Bench.icmpv6(
                query, from: IPv6Address("fe80::99")!, to: .allNodes, hopLimit: 1, mac: IPv6Address.allNodes.multicastMAC))
        let frames = bench.takeFrames()
        try #require(frames.count == 1)
        let d = try Dissected(frames[0])
        #expect(d.v6?.destination == .allMLDv2Routers)
        #expect(d.v6?.hopLimit == 1)
        #expect(d.v6?.nextHeader == 0)
        // Behind the router alert: the report with two groups.
        let report = Array(d.payload[8...])
        #expect(report[0] == 143)
        #expect(report[7] == 2)
        #expect(report.count == 8 + 2 * 20)
        var checksum = InternetChecksum(
            from: Bench.linkLocal, to: .allMLDv2Routers, protocolNumber: 58, length: report.count)
        checksum.add(report.span.bytes)
        #expect(checksum.folded == 0xffff)
    }
}
