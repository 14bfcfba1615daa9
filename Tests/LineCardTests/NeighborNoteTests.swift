import Machine
import Records
import Testing
import Wire

@testable import LineCard

/// What the log is told of neighbours, and what a line card makes of it when its controller takes over.
@Suite struct NeighborNoteTests {
    private static let other = MACAddress("02:aa:00:00:00:77")!
    private static let known = NeighborBinding(interface: InterfaceID(0), address: .v4(Bench.peer4), mac: Bench.peer)

    private static func notes(_ effects: [LineCardEffect]) -> [NeighborBinding] {
        effects.compactMap { if case .record(.neighbor(let binding)) = $0 { binding } else { nil } }
    }
    /// The announcements are over and forgotten.
    private static func takenOver(_ neighbors: [NeighborBinding]) -> Bench {
        var bench = Bench()
        var image = LineCardImage()
        image.interfaces = [Bench.interface()]
        image.neighbors = neighbors
        bench.handle(.takeOver(image))
        bench.advance(.seconds(2))
        bench.out = []
        return bench
    }
    private static func send(_ bench: inout Bench) {
        bench.transmit(AddressResolutionTests.segment(to: .v4(Bench.peer4), from: .v4(Bench.v4)))
    }

    @Test func `a neighbour that we send to is noted once, and again when it moves`() {
        var bench = Bench([Bench.interface()])
        Self.send(&bench)
        let answer = Bench.arp(.reply, from: Bench.peer, Bench.peer4, target: Bench.v4, to: Bench.ours)
        #expect(Self.notes(bench.take()).isEmpty)
        bench.receive(answer)
        #expect(Self.notes(bench.take()) == [Self.known])
        bench.receive(answer)
        Self.send(&bench)
        #expect(Self.notes(bench.take()).isEmpty)
        bench.receive(Bench.arp(.request, from: Self.other, Bench.peer4, target: Bench.peer4))
        #expect(Self.notes(bench.take()).map(\.mac) == [Self.other])
    }

    @Test func `who only asks us is noted when we send to it`() {
        var bench = Bench([Bench.interface()])
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4))
        #expect(Self.notes(bench.take()).isEmpty)
        Self.send(&bench)
        #expect(Self.notes(bench.take()) == [Self.known])
    }

    @Test func `who only pings us is not noted`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.receive(Bench.ipv4(1, Bench.echo([7])))
        let out = bench.take()
        #expect(!out.isEmpty && Self.notes(out).isEmpty)
        Self.send(&bench)
        #expect(Self.notes(bench.take()) == [Self.known])
    }

    @Test func `a liar on the network does not fill the log`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        Self.send(&bench)
        for n in 0..<20_000 {
            let mac = MACAddress(raw: 0x02_0000_0000 + UInt64(n))
            bench.receive(Bench.arp(.request, from: mac, Bench.peer4, target: Bench.peer4))
        }
        #expect(Self.notes(bench.take()).count <= NeighborCache.entriesMaximum)
        // The truth is noted in the end.
        bench.advance(.seconds(1))
        Self.send(&bench)
        #expect(Self.notes(bench.take()).map(\.mac) == [MACAddress(raw: 0x02_0000_0000 + 19_999)])
    }

    @Test func `after a take-over a frame goes at once to where the neighbour was, and everybody is asked`() throws {
        var bench = Self.takenOver([Self.known])
        Self.send(&bench)
        var frames = try bench.takeFrames().map { try Dissected($0) }
        try #require(frames.count == 2)
        #expect(frames[0].arp?.operation == .request && frames[0].ethernet.destination == .broadcast)
        #expect(frames[1].v4 != nil && frames[1].ethernet.destination == Bench.peer)
        // Nobody answers: frames go on, and questions, as to somebody unknown.
        bench.advance(.milliseconds(350))
        Self.send(&bench)
        frames = try bench.takeFrames().map { try Dissected($0) }
        #expect(frames.filter { $0.arp != nil }.count == 3)
        #expect(frames.last?.ethernet.destination == Bench.peer && frames.last?.v4 != nil)
        // Until it is clear that nobody is there.
        bench.advance(.seconds(10))
        #expect(bench.takeFrames().count == 2)
        #expect(bench.card.status.neighbors.isEmpty && bench.card.nextDeadline == nil)
        Self.send(&bench)
        #expect(try bench.takeFrames().map { try Dissected($0).arp?.operation } == [.request])
    }

    @Test func `what was known before gives way to an answer, and is noted only if it is another`() throws {
        for mac in [Bench.peer, Self.other] {
            var bench = Self.takenOver([Self.known])
            Self.send(&bench)
            _ = bench.take()
            bench.receive(Bench.arp(.reply, from: mac, Bench.peer4, target: Bench.v4, to: Bench.ours))
            #expect(Self.notes(bench.take()).map(\.mac) == (mac == Bench.peer ? [] : [mac]))
            Self.send(&bench)
            let frames = bench.takeFrames()
            try #require(frames.count == 1)
            #expect(try Dissected(frames[0]).ethernet.destination == mac)
            #expect(bench.card.nextDeadline == nil)
        }
    }

    @Test func `RFC 4861 §7.2.5: an advertisement without override is better than a memory`() throws {
        var bench = Self.takenOver([.init(interface: InterfaceID(0), address: .v6(Bench.peer6), mac: Self.other)])
        let segment = AddressResolutionTests.segment(to: .v6(Bench.peer6), from: .v6(Bench.v6))
        bench.transmit(segment)
        #expect(try bench.takeFrames().map { try Dissected($0).ethernet.destination }.last == Self.other)
        bench.receive(
            Bench.neighbor(
                .advertisement(target: Bench.peer6, link: Bench.peer, flags: [.solicited]), from: Bench.peer6, to: Bench.v6))
        bench.transmit(segment)
        #expect(try bench.takeFrames().map { try Dissected($0).ethernet.destination } == [Bench.peer])
    }

    @Test func `of a port without carrier, and of an interface that is not there, nothing is recalled`() {
        var bench = Bench()
        bench.handle(.link(InterfaceID(0), isUp: false))
        var image = LineCardImage()
        image.interfaces = [Bench.interface()]
        image.neighbors = [Self.known, .init(interface: InterfaceID(9), address: .v4(Bench.peer4), mac: Bench.peer)]
        bench.handle(.takeOver(image))
        #expect(bench.card.status.neighbors.isEmpty)
    }
}
