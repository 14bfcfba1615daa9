import Machine
import Testing

@testable import Records

@Suite struct KeyChainTests {
    static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }
    static func key(
        _ id: UInt64, send: Range<Int64>? = nil, accept: Range<Int64>? = nil, _ algorithm: KeyChain.Algorithm = .hmacSHA256
    ) -> KeyChain.Key {
        func lifetime(_ range: Range<Int64>?) -> KeyChain.Lifetime {
            range.map { KeyChain.Lifetime(from: at($0.lowerBound), until: at($0.upperBound)) } ?? .always
        }
        return KeyChain.Key(id: id, algorithm: algorithm, secret: "key \(id)", send: lifetime(send), accept: lifetime(accept))
    }
    /// The identifier of the key that signs, and of one that does so outside its lifetime the negative.
    static func signer(_ chain: KeyChain, _ seconds: Int64) -> Int? {
        chain.signing(at: at(seconds)).map { $0.isOutsideLifetime ? -Int($0.key.id) : Int($0.key.id) }
    }

    @Test func `a lifetime has its first moment and not its last`() {
        let lifetime = KeyChain.Lifetime(from: Self.at(10), until: Self.at(20))
        #expect(!lifetime.includes(Self.at(10) - .nanoseconds(1)))
        #expect(lifetime.includes(Self.at(10)))
        #expect(lifetime.includes(Self.at(20) - .nanoseconds(1)))
        #expect(!lifetime.includes(Self.at(20)))
        #expect(KeyChain.Lifetime.always.includes(.zero) && KeyChain.Lifetime.never.isNever)
        #expect(!KeyChain.Lifetime.never.includes(.zero) && !KeyChain.Lifetime.always.isNever)
    }

    @Test func `of keys that overlap the one that began last signs`() {
        let chain = KeyChain(keys: [Self.key(9, send: 0..<100), Self.key(2, send: 50..<200), Self.key(3, send: 150..<300)])
        #expect([0, 49, 50, 99, 100, 149, 150, 299].map { Self.signer(chain, $0) } == [9, 9, 2, 2, 2, 2, 3, 3])
        // Whatever the order in which they are written.
        #expect(Self.signer(KeyChain(keys: chain.keys.reversed()), 60) == 2)
    }

    @Test func `of keys that began together the one with the highest identifier signs, and of equal ones the first`() {
        #expect(Self.signer(KeyChain(keys: [Self.key(1), Self.key(7), Self.key(3)]), 5) == 7)
        let twins = KeyChain(keys: [Self.key(4, .hmacMD5), Self.key(4, .hmacSHA1)])
        #expect(twins.sendingKey(at: .zero)?.algorithm == .hmacMD5)
    }

    @Test func `keys that are written in place: the first signs, all verify`() {
        let chain = KeyChain(firstSigns: [Self.key(1), Self.key(2), Self.key(3)])
        #expect(Self.signer(chain, 0) == 1)
        #expect(chain.keys.allSatisfy { chain.isAcceptable($0, at: Self.at(1000)) })
        #expect(chain.nextChange(after: .zero) == nil && chain.lastEnd == nil)
        #expect(chain.sendingKeys.map(\.id) == [1])
    }

    @Test func `RFC 2328 §D.3: in a gap the key that ended last signs on, and before the first the one that begins first`() {
        let chain = KeyChain(keys: [Self.key(1, send: 100..<200), Self.key(2, send: 300..<400)])
        #expect(
            [0, 99, 100, 199, 200, 299, 300, 399, 400, 9999].map { Self.signer(chain, $0) } == [
                -1, -1, 1, 1, -1, -1, 2, 2, -2, -2,
            ])
        #expect(chain.lastEnd == Self.at(400))
    }

    @Test func `the next change is where another key signs, and nowhere else`() {
        let chain = KeyChain(keys: [Self.key(1, send: 0..<200), Self.key(2, send: 100..<300), Self.key(3, send: 100..<150)])
        var times: [Int64] = []
        var now = Instant.zero
        while let next = chain.nextChange(after: now) {
            #expect(chain.signing(at: next) != chain.signing(at: next - .nanoseconds(1)))
            times.append(next.nanoseconds / 1_000_000_000)
            now = next
        }
        // At 200 the end of the first key changes nothing; at 300 the second signs on outside its lifetime.
        #expect(times == [100, 150, 300])
    }

    @Test func `a key is accepted in its accept lifetime, and beyond it only while it signs beyond its send lifetime`() {
        let first = Self.key(1, send: 0..<100, accept: 0..<120), second = Self.key(2, send: 100..<200, accept: 80..<220)
        let chain = KeyChain(keys: [first, second])
        #expect([0, 119, 120].map { chain.isAcceptable(first, at: Self.at($0)) } == [true, true, false])
        #expect([79, 80, 219, 9999].map { chain.isAcceptable(second, at: Self.at($0)) } == [false, true, true, true])
        #expect(!chain.isAcceptable(first, at: Self.at(9999)))
        #expect(chain.acceptableKey(1, at: Self.at(119)) == first && chain.acceptableKey(1, at: Self.at(120)) == nil)
        #expect(chain.acceptableKey(3, at: Self.at(100)) == nil)
    }

    @Test func `a chain without a key that signs has none, and clear text is found by no identifier`() {
        var key = Self.key(1)
        key.send = .never
        #expect(KeyChain(keys: [key]).signing(at: .zero) == nil)
        #expect(KeyChain(keys: []).sendingKey(at: .zero) == nil)
        #expect(KeyChain.password("open").acceptableKey(0, at: .zero) == nil)
        #expect(KeyChain.password("open").sendingKey(at: .zero)?.secret == Array("open".utf8))
    }

    @Test func `a chain is encoded and read again, and its description has no secret`() throws {
        let chain = KeyChain(name: "core", keys: [Self.key(1, send: 5..<10), Self.key(2, accept: 1..<3)])
        #expect(try BinaryDecoder().decode(KeyChain.self, from: BinaryEncoder().encode(chain)) == chain)
        #expect("\(chain)" == "key chain core")
        #expect("\(KeyChain(firstSigns: [Self.key(3)]))" == "HMAC-SHA-256 (key 3)")
        #expect("\(KeyChain.password("hush"))" == "simple")
    }
}
