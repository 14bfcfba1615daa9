import Digests
import Records
import Machine
import Testing
import Wire

@testable import RIP

@Suite struct AuthenticationTests {
    static let algorithms = [KeyChain.Algorithm.md5, .hmacSHA1, .hmacSHA256, .hmacSHA384, .hmacSHA512]

    private func written(_ chain: KeyChain?, sequence: UInt32 = 7, entries: Int = 1) -> [[UInt8]] {
        var writer = RIPPacketWriter(
            version: .v2, messageVersion: 2, command: RIPFormat.response, key: chain?.sendingKey(at: .zero), mtu: 1500,
            sequence: sequence)
        for i in 0..<entries { writer.add(entry("10.\(i / 256).\(i % 256).0/24", 1)) }
        return writer.finish()
    }

    @Test(arguments: algorithms)
    func `RFC 4822 §2: what one router signs, another accepts`(_ algorithm: KeyChain.Algorithm) throws {
        let keys = KeyChain(firstSigns: [KeyChain.Key(id: 9, algorithm: algorithm, secret: "a secret")])
        let bytes = written(keys)[0]
        let verdict = try RIPAuthenticator.check(bytes, against: keys, at: .zero).get()
        #expect(verdict.entries == 24..<44)
        #expect(verdict.sequence?.key == 9)
        #expect(verdict.sequence?.number == 7)
        // The first entry, RFC 4822 §2.1: family, type, length, key, digest length, number, zeros.
        #expect(bytes[4..<8] == [0xff, 0xff, 0, 3])
        #expect(bytes[8..<10] == [0, 44])
        #expect(bytes[10] == 9)
        #expect(Int(bytes[11]) == algorithm.digest!.length)
        #expect(bytes[12..<16] == [0, 0, 0, 7])
        #expect(bytes[16..<24].allSatisfy { $0 == 0 })
        #expect(bytes[44..<48] == [0xff, 0xff, 0, 1])
        #expect(bytes.count == 48 + algorithm.digest!.length)
    }

    @Test(arguments: algorithms)
    func `RFC 4822 §2.2: any flipped bit is found`(_ algorithm: KeyChain.Algorithm) {
        let keys = KeyChain(firstSigns: [KeyChain.Key(id: 9, algorithm: algorithm, secret: "a secret")])
        let bytes = written(keys)[0]
        for bit in 0..<(bytes.count * 8) {
            var bad = bytes
            bad[bit / 8] ^= 1 << UInt8(bit % 8)
            if case .success = RIPAuthenticator.check(bad, against: keys, at: .zero) {
                Issue.record("bit \(bit) of \(algorithm)")
            }
        }
        for count in 4..<bytes.count {
            if case .success = RIPAuthenticator.check(Array(bytes[..<count]), against: keys, at: .zero) {
                Issue.record("\(count) octets of \(algorithm)")
            }
        }
    }

    @Test func `RFC 4822 §3.2: keyed MD5 is over the message, the trailer's beginning and sixteen octets of key`() {
        let keys = KeyChain(firstSigns: [KeyChain.Key(id: 1, algorithm: .md5, secret: "key")])
        let bytes = written(keys)[0]
        let input = Array(bytes[..<48]) + Array("key".utf8) + [UInt8](repeating: 0, count: 13)
        let right: DigestValue = DigestAlgorithm.md5.digest(input.span.bytes)
        #expect(Array(bytes[48...]) == right.array)
    }

    @Test func `RFC 4822 §3.1: HMAC is over the message with Apad in the place of the digest`() {
        let keys = KeyChain(firstSigns: [KeyChain.Key(id: 1, algorithm: .hmacSHA256, secret: "key")])
        let bytes = written(keys)[0]
        var input = Array(bytes[..<48])
        for _ in 0..<8 { input += [0x87, 0x8f, 0xe1, 0xf3] }
        let key = Array("key".utf8)
        let right: DigestValue = hmac(.sha256, key: key.span.bytes, input.span.bytes)
        #expect(Array(bytes[48...]) == right.array)
    }

    @Test func `RFC 4822 §3.1: a key longer than the digest is hashed first`() {
        let long = String(repeating: "k", count: 40)
        let keys = KeyChain(firstSigns: [KeyChain.Key(id: 1, algorithm: .hmacSHA1, secret: long)])
        let bytes = written(keys)[0]
        var input = Array(bytes[..<48])
        for _ in 0..<5 { input += [0x87, 0x8f, 0xe1, 0xf3] }
        let octets = Array(long.utf8)
        let short = DigestAlgorithm.sha1.digest(octets.span.bytes).array
        let right: DigestValue = hmac(.sha1, key: short.span.bytes, input.span.bytes)
        #expect(Array(bytes[48...]) == right.array)
    }

    @Test func `a digest length that counts the trailer's header is understood`() throws {
        let key = KeyChain.Key(id: 1, algorithm: .md5, secret: "key")
        var bytes = Array(written(KeyChain(firstSigns: [key]))[0].dropLast(16))
        bytes[11] = 20
        let digest: DigestValue = RIPAuthenticator.digest(bytes.span.bytes, key, .md5)
        bytes += digest.array
        _ = try RIPAuthenticator.check(bytes, against: KeyChain(firstSigns: [key]), at: .zero).get()
    }

    @Test func `RFC 2453 §4.1: a password of sixteen octets, filled with zeros`() throws {
        let bytes = written(.password("open"))[0]
        #expect(bytes[4..<8] == [0xff, 0xff, 0, 2])
        #expect(Array(bytes[8..<24]) == Array("open".utf8) + [UInt8](repeating: 0, count: 12))
        #expect(try RIPAuthenticator.check(bytes, against: .password("open"), at: .zero).get().entries == 24..<44)
        #expect(
            RIPAuthenticator.check(bytes, against: .password("opem"), at: .zero) == .failure(RIPRefusal(.authenticationFailed)))
        #expect(
            RIPAuthenticator.check(bytes, against: .password("ope"), at: .zero) == .failure(RIPRefusal(.authenticationFailed)))
    }

    @Test func `RFC 2453 §5.2: authenticated and plain messages do not mix`() {
        let plain = message(2, [entry("10.0.0.0/8", 1)])
        let simple = written(.password("x"))[0]
        let keys = KeyChain(firstSigns: [KeyChain.Key(id: 1, algorithm: .md5, secret: "x")])
        #expect(
            RIPAuthenticator.check(simple, against: nil, at: .zero) == .failure(RIPRefusal(.authenticationUnexpected)))
        #expect(RIPAuthenticator.check(plain, against: .password("x"), at: .zero) == .failure(RIPRefusal(.authenticationMissing)))
        #expect(RIPAuthenticator.check(plain, against: keys, at: .zero) == .failure(RIPRefusal(.authenticationMissing)))
        #expect(RIPAuthenticator.check(simple, against: keys, at: .zero) == .failure(RIPRefusal(.authenticationUnknownKey)))
    }

    @Test func `all keys of a chain are accepted and the first one signs`() throws {
        let old = KeyChain.Key(id: 1, algorithm: .md5, secret: "old")
        let new = KeyChain.Key(id: 2, algorithm: .hmacSHA512, secret: "new")
        let bytes = written(KeyChain(firstSigns: [old]))[0]
        #expect(try RIPAuthenticator.check(bytes, against: KeyChain(firstSigns: [new, old]), at: .zero).get().sequence?.key == 1)
        let signed = written(KeyChain(firstSigns: [new, old]))[0]
        #expect(
            try RIPAuthenticator.check(signed, against: KeyChain(firstSigns: [old, new]), at: .zero).get().sequence?.key == 2)
        #expect(
            RIPAuthenticator.check(signed, against: KeyChain(firstSigns: [old]), at: .zero)
                == .failure(RIPRefusal(.authenticationUnknownKey)))
    }

    @Test func `RFC 2453 §4.1: authentication takes the place of one of 25 entries, and each message has its number`() {
        #expect(written(nil, entries: 50).map(\.count) == [504, 504])
        #expect(written(.password("x"), entries: 25).map(\.count) == [504, 44])
        let keys = KeyChain(firstSigns: [KeyChain.Key(id: 1, algorithm: .md5, secret: "x")])
        let messages = written(keys, sequence: 0xffff_ffff, entries: 49)
        #expect(messages.map(\.count) == [524, 524, 64])
        #expect(messages.map { Array($0[12..<16]) } == [[255, 255, 255, 255], [0, 0, 0, 0], [0, 0, 0, 1]])
    }
}
