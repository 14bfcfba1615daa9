import Machine
import Records
import TCP
import Testing
import Wire

@testable import LineCard

@Suite struct FuzzTests {
    /// Whole frames of every kind that the line card reads.
    static func corpus() -> [[UInt8]] {
        let echo6 = Bench.icmpv6([128, 0, 0, 0, 1, 2, 3, 4, 5, 6], from: Bench.peer6, to: Bench.v6)
        var tcp: [UInt8] = [0x30, 0x39, 0, 179, 0, 0, 0, 1, 0, 0, 0, 0, 0x60, 2, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4]
        var pseudo = InternetChecksum()
        pseudo.add32(Bench.peer4.raw)
        pseudo.add32(Bench.v4.raw)
        pseudo.add32(6)
        pseudo.add32(UInt32(tcp.count))
        tcp[16] = UInt8(pseudo.folded >> 8)
        tcp[17] = UInt8(pseudo.folded & 255)
        var quoted = ByteWriter()
        quoted.append([3, 4, 0, 0, 0, 0, 5, 0])
        IPv4Header(source: Bench.v4, destination: Bench.peer4, protocolNumber: 6, hopLimit: 1)
            .write(to: &quoted, payloadLength: 20)
        quoted.append([0, 179, 0x30, 0x39, 0, 0, 0, 1])
        var checksum = InternetChecksum()
        checksum.add(quoted.bytes.span.bytes)
        quoted.patch16(2, checksum.value)
        return [
            Bench.arp(.request, from: Bench.peer, Bench.peer4, target: Bench.v4),
            Bench.arp(.reply, from: Bench.peer, Bench.peer4, target: Bench.v4),
            Bench.neighbor(.solicitation(target: Bench.v6, link: Bench.peer), from: Bench.peer6, to: Bench.v6.solicitedNode),
            Bench.neighbor(
                .advertisement(target: Bench.peer6, link: Bench.peer, flags: [.solicited]), from: Bench.peer6, to: Bench.v6),
            Bench.ipv4(1, Bench.echo([1, 2, 3, 4, 5, 6, 7, 8])),
            Bench.ipv4(1, Array(Bench.echo([UInt8](repeating: 7, count: 100))[..<64]), more: true),
            Bench.ipv4(1, Array(Bench.echo([UInt8](repeating: 7, count: 100))[64...]), offset: 64),
            Bench.ipv4(1, quoted.bytes),
            Bench.ipv4(6, tcp),
            Bench.ipv4(17, [0, 1, 0, 2, 0, 8, 0, 0]),
            echo6,
            Bench.ipv6(44, [58, 0, 0, 1, 0, 0, 0, 1] + Array(echo6[54...61])),
            Bench.ipv6(0, [60, 0, 1, 4, 0, 0, 0, 0, 58, 0, 1, 4, 0, 0, 0, 0] + Array(echo6[54...])),
            Bench.ethernet(64, [0xfe, 0xfe, 3]),
        ]
    }

    /// Puts right the IPv4 header checksum, so that a mutation behind it is read at all.
    static func mend(_ frame: inout [UInt8]) {
        guard frame.count >= 34, frame[12] == 8, frame[13] == 0 else { return }
        let length = Int(frame[14] & 15) * 4
        guard length >= 20, frame.count >= 14 + length else { return }
        frame[24] = 0
        frame[25] = 0
        var checksum = InternetChecksum()
        checksum.add(frame.span.bytes.extracting(14..<(14 + length)))
        frame[24] = UInt8(checksum.value >> 8)
        frame[25] = UInt8(checksum.value & 255)
    }

    @Test func `every truncation and every flipped bit of every frame is survived`() throws {
        for frame in Self.corpus() {
            var bench = Bench([Bench.interface()])
            bench.introducePeer()
            for n in 0..<frame.count { bench.receive(Array(frame.prefix(n))) }
            for bit in 0..<(8 * frame.count) {
                var flipped = frame
                flipped[bit / 8] ^= 1 << UInt8(bit % 8)
                bench.receive(flipped)
                Self.mend(&flipped)
                bench.receive(flipped)
            }
            for effect in bench.take() {
                if case .transmit(_, let out) = effect {
                    #expect(out.count <= 1514)
                    _ = try Dissected(out)
                }
            }
        }
    }

    @Test(arguments: 0..<8) func `random mutations and lengths never trap, and what leaves is well formed`(seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        var bench = Bench([Bench.interface(), Bench.interface("tagged", vlan: 5, ["192.0.2.1/24"])])
        let corpus = Self.corpus()
        for _ in 0..<20_000 {
            var frame = corpus[random.number(in: 0...(corpus.count - 1))]
            for _ in 0..<random.number(in: 0...6) {
                guard !frame.isEmpty else { break }
                switch random.number(in: 0...3) {
                case 0: frame[random.number(in: 0...(frame.count - 1))] = UInt8(truncatingIfNeeded: random.next())
                case 1: frame.removeLast(random.number(in: 0...min(frame.count, 20)))
                case 2: frame.append(UInt8(truncatingIfNeeded: random.next()))
                default:
                    let at = random.number(in: 0...(frame.count - 1))
                    frame.insert(UInt8(truncatingIfNeeded: random.next()), at: at)
                }
            }
            if random.chance(3, in: 4) { Self.mend(&frame) }
            bench.receive(frame, on: UInt16(random.number(in: 0...2)))
            if random.chance(1, in: 50) { bench.advance(.milliseconds(random.number(in: 0...2000))) }
            if random.chance(1, in: 20) { bench.handle(.endOfBatch) }
            for effect in bench.take() {
                guard case .transmit(_, let out) = effect else { continue }
                #expect(out.count <= 1518)
                _ = try Dissected(out)
            }
            #expect(bench.card.reassembly.octets <= Reassembly.octetsMaximum)
        }
    }

    @Test func `a super-frame of 65,000 octets is taken apart like any other`() {
        var bench = Bench([Bench.interface()])
        let before = bench.card.status.tcp.segmentsIn
        bench.receive(Bench.ipv4(6, [UInt8](repeating: 0x50, count: 65_000)))
        #expect(bench.card.status.tcp.segmentsIn == before + 1)
    }
}
