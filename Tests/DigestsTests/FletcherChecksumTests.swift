import Digests
import Machine
import Testing

@Suite struct FletcherChecksumTests {
    /// RFC 905 Annex B, sum by sum, without anything clever.
    private static func sums(_ bytes: [UInt8]) -> (Int, Int) {
        var c0 = 0, c1 = 0
        for octet in bytes {
            c0 = (c0 + Int(octet)) % 255
            c1 = (c1 + c0) % 255
        }
        return (c0, c1)
    }

    @Test func `RFC 905 Annex B: octets with their checksum sum up to zero, and any changed octet shows`() {
        func isValid(_ bytes: [UInt8], from start: Int) -> Bool { FletcherChecksum.isValid(bytes.span.bytes, from: start) }
        var random = RandomNumbers(seed: 7)
        for (length, start, field) in [
            (16, 0, 12), (27, 2, 16), (300, 0, 298), (1497, 2, 2), (9000, 12, 24), (65_535, 0, 65_533),
        ] {
            var bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            // Whatever stands in the field before does not count.
            let sum = FletcherChecksum.compute(bytes.span.bytes, from: start, field: field)
            bytes[field] = UInt8(sum >> 8)
            bytes[field + 1] = UInt8(sum & 255)
            #expect(sum >> 8 != 0 && sum & 255 != 0)
            #expect(isValid(bytes, from: start))
            #expect(Self.sums(Array(bytes[start...])) == (0, 0))
            #expect(FletcherChecksum.compute(bytes.span.bytes, from: start, field: field) == sum)
            for _ in 0..<50 {
                var broken = bytes
                let place = random.number(in: start...(length - 1))
                broken[place] ^= UInt8(1 << random.number(in: 0...7))
                #expect(!isValid(broken, from: start))
            }
        }
    }

    @Test func `the greatest sums do not run over`() {
        let bytes = [UInt8](repeating: 255, count: 70_000)
        let sum = FletcherChecksum.compute(bytes.span.bytes, field: 0)
        var whole = bytes
        whole[0] = UInt8(sum >> 8)
        whole[1] = UInt8(sum & 255)
        #expect(Self.sums(whole) == (0, 0))
    }
}
