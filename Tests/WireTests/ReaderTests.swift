import Testing
import Wire

@Suite struct ReaderTests {
    @Test func `what the writer wrote the reader reads`() throws {
        var writer = ByteWriter()
        writer.u8(0x01)
        writer.u16(0x0203)
        writer.u24(0x040506)
        writer.u32(0x0708_090a)
        writer.u64(0x0b0c_0d0e_0f10_1112)
        writer.ipv4(IPv4Address(192, 0, 2, 1))
        writer.ipv6(IPv6Address("2001:db8::1")!)
        writer.mac(MACAddress("02:00:00:00:00:01")!)
        #expect(Array(writer.bytes[0..<18]) == Array(1...18))
        var reader = ByteReader(writer.bytes.span.bytes)
        #expect(try reader.u8("a") == 1)
        #expect(try reader.u16("b") == 0x0203)
        #expect(try reader.u24("c") == 0x040506)
        #expect(try reader.u32("d") == 0x0708_090a)
        #expect(try reader.u64("e") == 0x0b0c_0d0e_0f10_1112)
        #expect(try reader.ipv4("f") == IPv4Address(192, 0, 2, 1))
        #expect(try reader.ipv6("g") == IPv6Address("2001:db8::1")!)
        #expect(try reader.mac("h") == MACAddress("02:00:00:00:00:01")!)
        try reader.expectEnd("end")
    }

    @Test func `reading past the end names the field and the offset, and consumes nothing`() throws {
        let bytes: [UInt8] = [1, 2, 3]
        var reader = ByteReader(bytes.span.bytes, base: 100)
        _ = try reader.u16("first")
        var error: DecodeError? = nil
        do { _ = try reader.u16("second") } catch let e { error = e }
        #expect(error == DecodeError("second", at: 102, .truncated))
        #expect(try reader.u8("third") == 3)
    }

    @Test func `a negative or huge count is refused like any other`() {
        let bytes: [UInt8] = [1, 2, 3]
        for count in [-1, Int.min, Int.max, 4] {
            var reader = ByteReader(bytes.span.bytes)
            var refused = false
            do { try reader.skip(count, "count") } catch { refused = true }
            #expect(refused)
        }
    }

    @Test func `a reader within a reader keeps counting from the outermost`() throws {
        let bytes: [UInt8] = Array(0..<10)
        var outer = ByteReader(bytes.span.bytes)
        try outer.skip(4, "skip")
        var inner = try outer.reader(3, "inner")
        #expect(inner.offset == 4)
        #expect(try inner.u8("x") == 4)
        #expect(outer.offset == 7)
        var failed: DecodeError? = nil
        do { try inner.expectEnd("inner") } catch let e { failed = e }
        #expect(failed == DecodeError("inner", at: 5, .trailing))
    }

    @Test func `patched lengths count what follows them`() {
        var writer = ByteWriter()
        writer.u8(9)
        let at = writer.reserve16()
        writer.u32(0)
        writer.patchLength16(at)
        #expect(writer.bytes == [9, 0, 4, 0, 0, 0, 0])
    }
}

@Suite struct InternetChecksumTests {
    /// Simple and slow: 16-bit words with end-around carry.
    private func oracle(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for i in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[i]) << 8 | (i + 1 < bytes.count ? UInt32(bytes[i + 1]) : 0)
            sum = (sum & 0xffff) + (sum >> 16)
        }
        return ~UInt16(sum)
    }

    @Test func `RFC 1071 §3 example`() {
        var sum = InternetChecksum()
        let bytes: [UInt8] = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]
        sum.add(bytes.span.bytes)
        #expect(sum.folded == 0xddf2)
    }

    @Test func `any split into pieces gives the sum of the whole`() {
        var state: UInt64 = 1
        for length in 0..<80 {
            let bytes = (0..<length).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 56)
            }
            for cut in 0...length {
                var sum = InternetChecksum()
                sum.add(Array(bytes[..<cut]).span.bytes)
                sum.add(Array(bytes[cut...]).span.bytes)
                #expect(sum.value == oracle(bytes) || (sum.folded == 0xffff && oracle(bytes) == 0) || bytes.isEmpty)
            }
        }
    }
}
