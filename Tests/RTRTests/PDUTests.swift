import Machine
import Routing
import Testing
import Wire

@testable import RTR

/// RFC 8210 §5: octets to values and back.
@Suite struct PDUTests {
    static let all: [PDU] = [
        .serialNotify(session: 0x1234, serial: 0x0102_0304), .serialQuery(session: 1, serial: .max), .resetQuery,
        .cacheResponse(session: .max), announce("198.51.100.0/24", 32, 64_496), withdraw("0.0.0.0/0", 0, 0),
        announce("2001:db8::/32", 48, 4_200_000_000), withdraw("::/0", 128, 1),
        .endOfData(session: 7, serial: 9, CacheTiming(refresh: 1, retry: 2, expire: 600)), .cacheReset,
        .routerKey(
            RouterKey(identifier: Array(0..<20), asNumber: 64_497, publicKeyInfo: [0x30, 0x59, 1, 2, 3]), isAnnounced: true),
        .routerKey(RouterKey(identifier: Array(1...20), asNumber: 1, publicKeyInfo: []), isAnnounced: false),
        .errorReport(code: 2, pdu: [1, 2, 0, 0, 0, 0, 0, 8], text: "keine Daten – später"),
        .errorReport(code: 0, pdu: [], text: ""),
    ]

    static func decode(_ bytes: [UInt8]) -> PDU? {
        guard bytes.count >= PDUHeader.size else { return nil }
        var r = ByteReader(bytes.span.bytes)
        guard let header = try? PDUHeader(from: &r), header.isPlausible, header.length == bytes.count else { return nil }
        return try? PDU(header, body: bytes.span.bytes.extracting(PDUHeader.size..<bytes.count))
    }

    @Test func `what was encoded is read again, in either version`() {
        for pdu in Self.all {
            let bytes = pdu.encoded(version: 1)
            #expect(bytes[0] == 1 && Self.decode(bytes) == pdu)
        }
        // RFC 6810 §5.8: 12 octets and no timing.
        let old = PDU.endOfData(session: 3, serial: 4, nil).encoded(version: 0)
        #expect(old == [0, 7, 0, 3, 0, 0, 0, 12, 0, 0, 0, 4])
        #expect(Self.decode(old) == .endOfData(session: 3, serial: 4, nil))
    }

    @Test func `RFC 8210 §5.6: the octets of an IPv4 Prefix`() {
        #expect(
            announce("192.0.2.0/24", 26, 65_551).encoded(version: 1)
                == [1, 4, 0, 0, 0, 0, 0, 20, 1, 24, 26, 0, 192, 0, 2, 0, 0, 1, 0, 15])
    }

    @Test func `RFC 8210 §5.1: what a prefix cannot be is refused`() {
        func octets(_ change: (inout [UInt8]) -> Void) -> PDU? {
            var bytes = announce("192.0.2.0/24", 26, 65_551).encoded(version: 1)
            change(&bytes)
            return Self.decode(bytes)
        }
        #expect(octets { _ in } != nil)
        #expect(octets { $0[9] = 27 } == nil, "longer than the maximum")
        #expect(octets { $0[10] = 33 } == nil, "longer than an address")
        #expect(octets { $0[15] = 1 } == nil, "a bit beyond the length")
        #expect(octets { $0[7] = 21 } == nil)
        // Reserved fields and flags are ignored on receipt.
        #expect(
            octets {
                $0[11] = 9; $0[8] = 0xff; $0[2] = 7
            } == announce("192.0.2.0/24", 26, 65_551))
    }

    @Test func `no truncation and no flipped bit is more than refused`() {
        var refused = 0, taken = 0
        for pdu in Self.all {
            let bytes = pdu.encoded(version: 1)
            for count in 0..<bytes.count {
                #expect(Self.decode(Array(bytes[..<count])) == nil)
            }
            for bit in 0..<(bytes.count * 8) {
                var mutant = bytes
                mutant[bit / 8] ^= 1 << UInt8(bit % 8)
                guard let read = Self.decode(mutant) else {
                    refused += 1
                    continue
                }
                taken += 1
                // What is understood can be said again, and is then understood as the same.
                #expect(Self.decode(read.encoded(version: mutant[0] == 0 ? 0 : 1)) == read)
            }
        }
        #expect(refused > 100 && taken > 100)
    }

    @Test func `RFC 8210 §6: intervals are moved into their bounds, and a poll comes before the end`() {
        #expect(CacheTiming().bounded == CacheTiming(refresh: 3600, retry: 600, expire: 7200))
        #expect(CacheTiming(refresh: 0, retry: 0, expire: 0).bounded == CacheTiming(refresh: 1, retry: 1, expire: 600))
        #expect(
            CacheTiming(refresh: .max, retry: .max, expire: .max).bounded
                == CacheTiming(refresh: 86_400, retry: 7200, expire: 172_800))
        #expect(
            CacheTiming(refresh: 3600, retry: 7200, expire: 700).bounded == CacheTiming(refresh: 699, retry: 699, expire: 700))
    }

    @Test func `RFC 1982 §3.2: serial numbers go round`() {
        #expect(RTRInstance.isEarlier(1, 2) && !RTRInstance.isEarlier(2, 1) && !RTRInstance.isEarlier(5, 5))
        #expect(RTRInstance.isEarlier(.max, 0) && RTRInstance.isEarlier(.max - 5, 100))
        #expect(!RTRInstance.isEarlier(0, .max))
    }
}
