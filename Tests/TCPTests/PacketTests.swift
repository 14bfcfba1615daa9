import Machine
import Records
import Testing
import Wire

@testable import TCP

private func sip(_ bytes: [UInt8], _ key: (UInt64, UInt64)) -> UInt64 { sipHash24(bytes.span.bytes, key: key) }
private func accepts(_ signature: MD5Signature, _ bytes: [UInt8], _ h: SegmentHeader) -> Bool {
    signature.accepts(bytes.span.bytes, h, source: Harness.remote, destination: Harness.local)
}
private func judge(_ pseudo: PseudoHeader, _ bytes: [UInt8], _ field: UInt16) -> PseudoHeader.Verdict {
    pseudo.judge(bytes.span.bytes, field: field)
}
private func read(_ bytes: some Collection<UInt8>) throws -> SegmentHeader { try SegmentHeader(Array(bytes).span.bytes) }

@Suite struct PacketTests {
    @Test func `SipHash-2-4 gives the vectors of its paper`() {
        let key: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
        let input = (0..<15).map { UInt8($0) }
        #expect(sip(input, key) == 0xa129_ca61_49be_45e5)
        #expect(sip([], key) == 0x726f_db47_dd0e_0e31)
    }

    private func segment(signed: Bool) -> [UInt8] {
        var s = OutgoingSegment(localPort: 179, remotePort: 50_000, sequence: 1, flags: [.syn, .ack])
        s.acknowledgment = 77
        s.window = 500
        s.maximumSegmentSize = 1460
        s.windowShift = 5
        s.selectiveAcknowledgmentPermitted = true
        s.hasTimestamps = true
        s.timestampValue = 0x0102_0304
        s.timestampEcho = 0x0506_0708
        return s.write(
            headroom: 0, local: Harness.remote, remote: Harness.local, stream: TransmitStream(), offset: 0, count: 0,
            signature: signed ? MD5Signature(key: Array("secret".utf8)) : nil)
    }

    @Test(arguments: [false, true])
    func `what is written is what is read`(_ signed: Bool) throws {
        let bytes = segment(signed: signed)
        let h = try SegmentHeader(bytes.span.bytes)
        #expect(h.sourcePort == 179 && h.destinationPort == 50_000)
        #expect(h.sequence == 1 && h.acknowledgment == 77 && h.window == 500)
        #expect(h.flags == [.syn, .ack])
        #expect(h.maximumSegmentSize == 1460 && h.windowShift == 5 && h.selectiveAcknowledgmentPermitted)
        #expect(h.timestampValue == 0x0102_0304 && h.timestampEcho == 0x0506_0708)
        #expect((h.md5Offset > 0) == signed)
        #expect(h.headerLength == bytes.count && h.headerLength <= 60)
        if signed {
            let signature = MD5Signature(key: Array("secret".utf8))!
            #expect(accepts(signature, bytes, h))
            let wrong = MD5Signature(key: Array("Secret".utf8))!
            #expect(!accepts(wrong, bytes, h))
        }
    }

    @Test func `a header cut anywhere throws and never traps`() {
        let bytes = segment(signed: true)
        for count in 0..<bytes.count {
            #expect(throws: DecodeError.self) { _ = try read(bytes[..<count]) }
        }
    }

    @Test func `every bit flip of a header is read or refused`() {
        let bytes = segment(signed: true)
        var accepted = 0
        for bit in 0..<(bytes.count * 8) {
            var copy = bytes
            copy[bit / 8] ^= 1 << UInt8(bit % 8)
            if (try? read(copy)) != nil { accepted += 1 }
        }
        #expect(accepted > 0)
    }

    @Test(arguments: [
        [UInt8](arrayLiteral: 2, 0, 0, 0), [2, 1, 0, 0], [2, 8, 0, 0], [8, 4, 1, 1], [5, 3, 0, 0], [253, 9, 0, 0],
    ])
    func `an option whose length cannot be right makes the segment malformed`(_ option: [UInt8]) {
        var w = ByteWriter()
        w.zeros(12)
        w.u8(6 << 4)
        w.zeros(7)
        w.append(option)
        #expect(throws: DecodeError.self) { _ = try read(w.bytes) }
    }

    @Test func `unknown options are skipped and nothing follows the end of options`() throws {
        var w = ByteWriter()
        w.zeros(12)
        w.u8(8 << 4)
        w.zeros(7)
        w.append([253, 4, 9, 9, 2, 4, 2, 24, 0, 8, 10, 3] as [UInt8])
        let h = try SegmentHeader(w.bytes.span.bytes)
        #expect(h.maximumSegmentSize == 536)
        #expect(!h.hasTimestamps)
    }

    @Test func `a checksum is valid, unfinished or wrong`() throws {
        var bytes = segment(signed: false)
        let pseudo = PseudoHeader(source: Harness.remote, destination: Harness.local, length: bytes.count)
        let field = UInt16(bytes[16]) << 8 | UInt16(bytes[17])
        #expect(judge(pseudo, bytes, field) == .valid)
        bytes[4] ^= 1
        #expect(judge(pseudo, bytes, field) == .wrong)
        var sum = InternetChecksum()
        pseudo.sum(into: &sum)
        bytes[16] = UInt8(sum.folded >> 8)
        bytes[17] = UInt8(sum.folded & 255)
        #expect(judge(pseudo, bytes, sum.folded) == .unfinished)
    }

    @Test func `IPv6 segments carry a right checksum`() throws {
        let a = IPAddress("2001:db8::1")!, b = IPAddress("2001:db8::2")!
        let s = OutgoingSegment(localPort: 1, remotePort: 2, sequence: 3, flags: .ack)
        let bytes = s.write(
            headroom: 58, local: a, remote: b, stream: TransmitStream(), offset: 0, count: 0, signature: nil)
        let segment = Array(bytes[58...])
        #expect(bytes[..<58].allSatisfy { $0 == 0 })
        // By hand: pseudo-header words 2001 0db8 .. 1, 2001 0db8 .. 2, length 20, next header 6; then the header.
        var sum = 0x2001 + 0x0db8 + 1 + 0x2001 + 0x0db8 + 2 + 20 + 6
        for i in stride(from: 0, to: segment.count, by: 2) where i != 16 {
            sum += Int(segment[i]) << 8 | Int(segment[i + 1])
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        #expect(UInt16(segment[16]) << 8 | UInt16(segment[17]) == ~UInt16(sum))
    }

    @Test func `initial sequence numbers grow with time and differ by connection and secret`() {
        func tuple(_ port: UInt16) -> ConnectionTuple {
            ConnectionTuple(
                interface: Harness.interface, local: Harness.local, localPort: 179, remote: Harness.remote, remotePort: port)
        }
        let one = InitialSequence(secret: 1)
        let start = one.number(for: tuple(1), at: .zero)
        // RFC 6528 §3: one tick each 4 µs.
        #expect(one.number(for: tuple(1), at: Instant(nanoseconds: 4_000_000)) == start &+ 1000)
        #expect(one.number(for: tuple(2), at: .zero) != start)
        #expect(InitialSequence(secret: 2).number(for: tuple(1), at: .zero) != start)
        #expect(InitialSequence(secret: 1).number(for: tuple(1), at: .zero) == start)
        #expect(one.timestampOffset(for: tuple(1)) != start)
    }
}
