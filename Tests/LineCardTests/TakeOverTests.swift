import Machine
import Records
import Testing
import Wire

@testable import LineCard

@Suite struct TakeOverTests {
    /// One line per frame, with the time.
    static func announcements(_ bench: inout Bench, until end: Duration) throws -> [String] {
        var lines: [String] = []
        func note(_ bench: inout Bench) throws {
            for frame in bench.takeFrames() {
                let d = try Dissected(frame)
                let what =
                    if let arp = d.arp {
                        "arp \(arp.sender) is-at \(arp.senderMAC)"
                    } else if case .advertisement(let target, let link, _)? = d.neighbor {
                        "na \(target) is-at \(link!)"
                    } else {
                        "mld"
                    }
                lines.append("\((bench.now - .zero).inMilliseconds) \(what) to \(d.ethernet.destination)")
            }
        }
        try note(&bench)
        let stop = bench.now + end
        while let next = bench.card.nextDeadline, next <= stop {
            bench.now = next
            bench.handle(.time)
            try note(&bench)
        }
        return lines
    }

    @Test func `taking over announces every address four times in a second, and the port every 10 ms at first`() throws {
        var bench = Bench()
        var image = LineCardImage()
        image.interfaces = [Bench.interface()]
        bench.handle(.takeOver(image))
        let lines = try Self.announcements(&bench, until: .seconds(10))
        let round = [
            "arp 10.0.0.1 is-at \(Bench.ours) to ff:ff:ff:ff:ff:ff",
            "na 2001:db8::1 is-at \(Bench.ours) to 33:33:00:00:00:01",
            "na \(Bench.linkLocal) is-at \(Bench.ours) to 33:33:00:00:00:01",
            "mld to 33:33:00:00:00:16",
        ]
        #expect(
            lines == stride(from: 0, through: 200, by: 10).flatMap { t in
                ([0, 50, 200].contains(t) ? round : [round[0]]).map { "\(t) \($0)" }
            } + round.map { "1000 \($0)" })
        #expect(bench.card.nextDeadline == nil)
    }

    @Test func `before a take-over and after standing down nothing is answered and nothing is sent`() {
        var bench = Bench()
        let ask = Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4)
        bench.receive(ask)
        bench.handle(.engine(.interfaces([Bench.interface()])))
        bench.handle(.endOfBatch)
        bench.advance(.seconds(5))
        #expect(bench.take().isEmpty)
        var image = LineCardImage()
        image.interfaces = [Bench.interface()]
        bench.handle(.takeOver(image))
        bench.receive(ask)
        #expect(!bench.take().isEmpty)
        bench.handle(.standDown)
        #expect(bench.card.nextDeadline == nil)
        bench.receive(ask)
        bench.advance(.seconds(5))
        #expect(bench.take().isEmpty)
        #expect(bench.card.status.neighbors.isEmpty)
        #expect(bench.card.counters[.silent] == 2)
    }

    @Test func `a new address is announced, the interfaces that stay are not disturbed`() throws {
        var bench = Bench([Bench.interface("a", ["10.0.0.1/24"]), Bench.interface("b", ["10.1.0.1/24"])])
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4))
        _ = bench.take()
        bench.handle(
            .engine(.interfaces([Bench.interface("a", ["10.0.0.1/24"]), Bench.interface("b", ["10.1.0.7/24"])])))
        let out = bench.take()
        let senders = try out.compactMap { effect -> IPv4Address? in
            guard case .transmit(let id, let frame) = effect else { return nil }
            #expect(id == InterfaceID(1))
            return try Dissected(frame).arp?.sender
        }
        #expect(senders == [IPv4Address("10.1.0.7")!])
        #expect(bench.card.status.neighbors.count == 1)
        bench.handle(.engine(.interfaces([])))
        #expect(bench.card.status.neighbors.isEmpty)
        bench.receive(Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4))
        #expect(bench.card.counters[.unknownInterface] == 1)
    }

    @Test func `without carrier nothing leaves; when it comes back the addresses are announced`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        bench.handle(.link(InterfaceID(0), isUp: false))
        bench.receive(Bench.ipv4(1, Bench.echo([1])))
        bench.advance(.seconds(5))
        #expect(bench.take().isEmpty)
        bench.handle(.link(InterfaceID(0), isUp: true))
        #expect(bench.takeFrames().count == 4)
    }

    @Test func `the probe hears a stranger, and not the twin`() throws {
        var bench = Bench()
        bench.handle(.probeAddresses([Bench.interface()]))
        let asked = try bench.takeFrames().map { try Dissected($0) }
        #expect(asked.count == 2)
        #expect(asked[0].arp?.isProbe == true)
        #expect(asked[1].neighbor == .solicitation(target: Bench.v6, link: nil))
        // From the virtual MAC they would move the switch's port from the active.
        #expect(asked.allSatisfy { $0.ethernet.source != Bench.ours && !$0.ethernet.source.isGroup })
        let us = asked[0].ethernet.source
        bench.receive(Bench.arp(.reply, from: Bench.ours, Bench.v4, target: .any, to: us))
        bench.receive(Bench.arp(.reply, from: Bench.peer, Bench.v4, target: .any, to: us))
        bench.receive(
            Bench.neighbor(
                .advertisement(target: Bench.v6, link: Bench.peer, flags: [.override]), from: Bench.v6, to: .allNodes,
                mac: IPv6Address.allNodes.multicastMAC))
        bench.receive(Bench.ipv4(1, Bench.echo([1])))
        bench.advance(.milliseconds(399))
        #expect(bench.takeFrames().count == 4)
        bench.advance(.milliseconds(1))
        #expect(
            bench.take() == [
                .probeResult([
                    ProbeConflict(interface: InterfaceID(0), address: .v4(Bench.v4), owner: Bench.peer),
                    ProbeConflict(interface: InterfaceID(0), address: .v6(Bench.v6), owner: Bench.peer),
                ])
            ])
        #expect(bench.card.nextDeadline == nil)
        #expect(!bench.card.isSpeaking)
    }

    @Test func `a probe that nobody answers is empty, the twin's own answers included`() {
        var bench = Bench()
        bench.handle(.probeAddresses([Bench.interface()]))
        bench.receive(Bench.arp(.request, from: Bench.ours, Bench.v4, target: Bench.v4))
        bench.advance(.seconds(1))
        #expect(bench.take().last == .probeResult([]))
    }
}
