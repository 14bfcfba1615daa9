import Machine
import Testing
import Wire

@testable import OSPF

@Suite struct LSATests {
    private let one = LSAKey(type: .router, linkStateID: 1, advertisingRouter: 1)

    /// RFC 905 Annex B.2's two sums, octet by octet.
    private func slowSums(_ octets: some Collection<UInt8>) -> (Int, Int) {
        var c0 = 0
        var c1 = 0
        for octet in octets {
            c0 = (c0 + Int(octet)) % 255
            c1 = (c1 + c0) % 255
        }
        return (c0, c1)
    }

    private func sample(_ random: inout RandomNumbers, body count: Int) -> LSA {
        LSA(
            version: .v2, key: LSAKey(type: .router, linkStateID: 0x0a00_0001, advertisingRouter: 0x0a00_0001),
            options: 2, sequence: Int32(truncatingIfNeeded: random.next()), age: 17,
            body: (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }

    @Test func `RFC 2328 §12.1.7: a computed checksum makes both sums of RFC 905 zero`() {
        var random = RandomNumbers(seed: 1)
        for count in Array(0..<300) + [1480, 5780, 5781, 5782, 5783, 5784, 11_700, 65_515] {
            let lsa = sample(&random, body: count)
            #expect(slowSums(lsa.octets[2...]) == (0, 0))
            #expect(lsa.isChecksumValid)
            #expect(lsa.header.checksum >> 8 != 0 && lsa.header.checksum & 0xff != 0)
        }
        // All ones is where sums grow fastest.
        let ones = LSA(
            version: .v3, key: LSAKey(type: .routerV3, linkStateID: .max, advertisingRouter: .max), sequence: -1,
            body: Array(repeating: 0xff, count: 65_515))
        #expect(slowSums(ones.octets[2...]) == (0, 0))
        #expect(ones.isChecksumValid)
    }

    @Test func `every flipped bit but those of the age breaks the checksum`() throws {
        var random = RandomNumbers(seed: 2)
        let lsa = sample(&random, body: 40)
        for bit in 0..<(lsa.octets.count * 8) {
            var octets = lsa.octets
            octets[bit / 8] ^= 1 << (bit % 8)
            var reader = ByteReader(octets.span.bytes)
            guard let read = try? LSA(from: &reader, version: .v2) else { continue }
            #expect(read.isChecksumValid == (bit < 16))
        }
    }

    @Test func `an LSA is read as it was written, in both versions, and not when it is cut short`() throws {
        for version in [OSPFVersion.v2, .v3] {
            let type: LSAType = version == .v2 ? .external : .externalV3
            let lsa = LSA(
                version: version, key: LSAKey(type: type, linkStateID: 1, advertisingRouter: 2),
                options: version == .v2 ? 2 : 0, sequence: -7, age: 3600, body: [1, 2, 3, 4])
            var reader = ByteReader(lsa.octets.span.bytes)
            #expect(try LSA(from: &reader, version: version) == lsa)
            let rest = reader.remaining
            #expect(rest == 0)
            for count in 0..<lsa.octets.count {
                let short = Array(lsa.octets[..<count])
                var reader = ByteReader(short.span.bytes)
                #expect(throws: DecodeError.self) { _ = try LSA(from: &reader, version: version) }
            }
        }
    }

    @Test func `a length below twenty is refused`() {
        var octets = LSA(version: .v2, key: one, body: []).octets
        octets[19] = 19
        var reader = ByteReader(octets.span.bytes)
        #expect(throws: DecodeError("LSA length", at: 18, .badLength)) {
            _ = try LSAHeader(from: &reader, version: .v2)
        }
    }

    @Test func `setting the age changes the octets and keeps the checksum`() {
        var lsa = LSA(version: .v2, key: one, body: [1, 2, 3, 4])
        lsa.setAge(3600)
        #expect(lsa.octets[0] == 0x0e && lsa.octets[1] == 0x10)
        #expect(lsa.header.isMaxAge)
        #expect(lsa.isChecksumValid)
    }

    @Test func `RFC 2328 §13.1: sequence number, then checksum, then MaxAge, then age tell instances apart`() {
        let base = LSAHeader(
            age: 100, key: LSAKey(type: .router, linkStateID: 1, advertisingRouter: 1), sequence: 5, checksum: 0x8000)
        func with(_ change: (inout LSAHeader) -> Void) -> LSAHeader {
            var header = base
            change(&header)
            return header
        }
        #expect(base.recency(against: base) == .same)
        // Signed: 0x80000001 is the oldest.
        #expect(with { $0.sequence = LSAHeader.initialSequence }.recency(against: base) == .older)
        #expect(
            with {
                $0.sequence = 6; $0.checksum = 0
            }.recency(against: base) == .newer)
        // Unsigned: 0x8000 is more than 0x7fff.
        #expect(with { $0.checksum = 0x7fff }.recency(against: base) == .older)
        #expect(with { $0.age = 3600 }.recency(against: base) == .newer)
        #expect(base.recency(against: with { $0.age = 3600 }) == .older)
        #expect(with { $0.age = 1000 }.recency(against: base) == .same)
        #expect(with { $0.age = 1001 }.recency(against: base) == .older)
        #expect(base.recency(against: with { $0.age = 1001 }) == .newer)
        #expect(with { $0.age = 100 | LSAHeader.doNotAge }.recency(against: base) == .same)
    }

    @Test func `RFC 5340 §4.5.1: an unknown type is flooded as its U bit says`() {
        #expect(LSAType(rawValue: 0xa123).scope(in: .v3) == .area)
        #expect(LSAType(rawValue: 0xc123).scope(in: .v3) == .autonomousSystem)
        #expect(LSAType(rawValue: 0x2123).scope(in: .v3) == .link)
        #expect(LSAType(rawValue: 0x4123).scope(in: .v3) == .link)
        #expect(LSAType(rawValue: 0xe123).scope(in: .v3) == nil)
        #expect(LSAType(rawValue: 0x6001).scope(in: .v3) == nil)
        #expect(LSAType.externalV3.scope(in: .v3) == .autonomousSystem)
        #expect(LSAType.routerV3.scope(in: .v3) == .area)
        #expect(LSAType.link.scope(in: .v3) == .link)
        #expect(LSAType(rawValue: 6).scope(in: .v2) == nil)
        #expect(LSAType.opaqueAS.scope(in: .v2) == .autonomousSystem)
    }
}
