import Machine
import Records
import Testing
import Wire

@testable import LineCard

@Suite struct ReassemblyTests {
    static func key(_ n: UInt32, source: UInt32 = 1) -> Reassembly.Key {
        Reassembly.Key(
            interface: InterfaceID(0), source: .v4(IPv4Address(raw: 0x0a00_0000 + source)), destination: .v4(Bench.v4),
            identification: n, protocolNumber: 6)
    }
    static let data = (0..<4000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }

    struct Feeder {
        var table = Reassembly()
        mutating func add(
            _ n: UInt32, _ range: Range<Int>, more: Bool, source: UInt32 = 1, bytes: [UInt8]? = nil, at now: Instant = .zero
        ) -> Reassembly.Outcome {
            let part = bytes ?? Array(ReassemblyTests.data[range])
            return table.add(
                ReassemblyTests.key(n, source: source), offset: range.lowerBound, moreFragments: more,
                protocolNumber: 6, part.span.bytes, at: now)
        }
    }

    @Test func `fragments in every order come together`() {
        let ranges = [0..<1000, 1000..<2000, 2000..<3000, 3000..<4000]
        var random = RandomNumbers(seed: 3)
        for n in 0..<50 {
            var feeder = Feeder()
            let order = ranges.indices.shuffled(using: &random)
            for (k, i) in order.enumerated() {
                let outcome = feeder.add(UInt32(n), ranges[i], more: i != 3)
                if k < 3 {
                    #expect(outcome == .waiting)
                } else {
                    #expect(outcome == .complete(Self.data, protocolNumber: 6))
                }
            }
            #expect(feeder.table.octets == 0)
            #expect(feeder.table.nextDeadline == nil)
        }
    }

    @Test func `an exact duplicate is ignored`() {
        var feeder = Feeder()
        #expect(feeder.add(1, 0..<1000, more: true) == .waiting)
        #expect(feeder.add(1, 0..<1000, more: true) == .waiting)
        #expect(feeder.add(1, 1000..<1500, more: false) == .complete(Array(Self.data[..<1500]), protocolNumber: 6))
    }

    @Test func `RFC 5722 §4: an overlap drops the datagram, later fragments included`() {
        for overlap in [992..<1992, 0..<1008, 8..<16, 500..<508] {
            var feeder = Feeder()
            #expect(feeder.add(1, 0..<1000, more: true) == .waiting)
            let start = overlap.lowerBound & ~7
            #expect(feeder.add(1, start..<(start + overlap.count & ~7), more: true) == .refused)
            #expect(feeder.add(1, 1000..<1500, more: false) == .refused)
            #expect(feeder.table.octets == 0)
        }
    }

    @Test func `a duplicate with other octets is an attack`() {
        var feeder = Feeder()
        _ = feeder.add(1, 0..<1000, more: true)
        #expect(feeder.add(1, 0..<1000, more: true, bytes: [UInt8](repeating: 0, count: 1000)) == .refused)
    }

    @Test func `a second end, or octets beyond the end, are refused`() {
        var feeder = Feeder()
        _ = feeder.add(1, 1000..<1500, more: false)
        #expect(feeder.add(1, 2000..<2100, more: false) == .refused)
        feeder = Feeder()
        _ = feeder.add(2, 1000..<1500, more: false)
        #expect(feeder.add(2, 2000..<2008, more: true) == .refused)
        feeder = Feeder()
        _ = feeder.add(3, 2000..<2008, more: true)
        #expect(feeder.add(3, 1000..<1500, more: false) == .refused)
    }

    @Test func `RFC 8200 §4.5: odd lengths in the middle, nothing at all, and more than 65,535 octets are refused`() {
        var feeder = Feeder()
        #expect(feeder.add(1, 0..<1001, more: true) == .refused)
        #expect(feeder.add(2, 8..<8, more: true) == .refused)
        #expect(feeder.add(3, 65_528..<65_536, more: false, bytes: [UInt8](repeating: 0, count: 8)) == .refused)
    }

    @Test func `memory, datagrams and datagrams of one source are bounded`() {
        var feeder = Feeder()
        for n in 0..<1000 {
            _ = feeder.add(UInt32(n), 0..<1000, more: true, source: 1)
            #expect(feeder.table.count <= Reassembly.datagramsPerSourceMaximum)
        }
        for source in 0..<1000 {
            _ = feeder.add(1, 0..<1000, more: true, source: UInt32(source + 2))
            #expect(feeder.table.count <= Reassembly.datagramsMaximum)
        }
        let big = [UInt8](repeating: 1, count: 60_000)
        for source in 0..<1000 {
            _ = feeder.add(9, 8..<60_008, more: true, source: UInt32(source + 2), bytes: big)
            #expect(feeder.table.octets <= Reassembly.octetsMaximum)
        }
    }

    @Test func `a flood of one source leaves the datagram of another alone`() {
        var feeder = Feeder()
        #expect(feeder.add(1, 0..<1000, more: true, source: 1) == .waiting)
        for n in 0..<1000 { _ = feeder.add(UInt32(n), 0..<8, more: true, source: 2) }
        #expect(feeder.add(1, 1000..<1008, more: false, source: 1) == .complete(Array(Self.data[..<1008]), protocolNumber: 6))
    }

    @Test func `tiny fragments beyond the bound are refused`() {
        var feeder = Feeder()
        var refused = false
        for n in 0..<200 where feeder.add(1, (n * 8)..<(n * 8 + 8), more: true) == .refused { refused = true }
        #expect(refused)
        #expect(feeder.table.octets == 0)
    }

    @Test func `after 60 s what is not whole is forgotten`() {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        let echo = Bench.echo(Array(Self.data[..<2000]))
        bench.receive(Bench.ipv4(1, Array(echo[..<1480]), offset: 0, more: true))
        #expect(bench.card.nextDeadline != nil)
        bench.advance(.seconds(61))
        #expect(bench.card.counters[.fragmentTimeout] == 1)
        bench.receive(Bench.ipv4(1, Array(echo[1480...]), offset: 1480))
        #expect(bench.take().isEmpty)
    }

    @Test func `a large ping over IPv4 is put together, and its answer leaves in fragments below the MTU`() throws {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        let echo = Bench.echo(Self.data)
        for (offset, more) in [(2960, false), (0, true), (1480, true)] {
            let end = more ? offset + 1480 : echo.count
            let part = Array(echo[offset..<min(end, echo.count)])
            bench.receive(Bench.ipv4(1, part, offset: offset, more: offset + part.count < echo.count))
        }
        #expect(bench.card.counters.echoRequests == 1)
        let frames = bench.takeFrames()
        #expect(frames.count == 3)
        var feeder = Reassembly()
        var whole: [UInt8] = []
        for frame in frames {
            #expect(frame.count <= 1514)
            let d = try Dissected(frame)
            let header = try #require(d.v4)
            if case .complete(let bytes, _) = feeder.add(
                Self.key(UInt32(header.identification)), offset: header.fragmentOffset,
                moreFragments: header.moreFragments, protocolNumber: 1, d.payload.span.bytes, at: .zero)
            {
                whole = bytes
            }
        }
        #expect(whole.dropFirst(8).elementsEqual(Self.data))
        #expect(whole.first == 0)
        var checksum = InternetChecksum()
        checksum.add(whole.span.bytes)
        #expect(checksum.folded == 0xffff)
    }

    @Test func `a large ping over IPv6 is put together and answered in fragments`() throws {
        var bench = Bench([Bench.interface()])
        bench.introducePeer()
        let frame = Bench.icmpv6([128, 0, 0, 0, 1, 2, 3, 4] + Self.data, from: Bench.peer6, to: Bench.v6, hopLimit: 64)
        let message = Array(frame[54...])
        for offset in stride(from: 0, to: message.count, by: 1448) {
            let part = Array(message[offset..<min(offset + 1448, message.count)])
            let more: UInt8 = offset + part.count < message.count ? 1 : 0
            bench.receive(
                Bench.ipv6(44, [58, 0, UInt8(offset >> 8), UInt8(offset & 0xf8) | more, 0, 0, 0, 9] + part))
        }
        #expect(bench.card.counters.reassembled == 1)
        let frames = bench.takeFrames()
        #expect(frames.count == 3)
        for frame in frames {
            #expect(frame.count <= 1514)
            #expect(try Dissected(frame).v6?.nextHeader == 44)
        }
    }
}
