import Machine
import Records
import Testing
import Wire

@testable import BFD

/// RFC 5880 §6.8.6, its steps in their order; every packet that one of them discards leaves the session as it is.
@Suite struct ReceptionTests {
    /// A session that is Up, and what one packet does to it.
    private func check(
        _ reason: BFDDropReason, hopLimit: UInt8 = 255, on interface: UInt16 = 3, _ bytes: (Pair) -> [UInt8]
    ) {
        let pair = Pair.up()
        pair.passes = { _, _ in false }
        let before = pair.a.view
        let drops = pair.a.instance.counters.drops
        pair.a.sent = []
        pair.deliver(bytes(pair), to: pair.a, hopLimit: hopLimit, on: interface)
        #expect(pair.a.instance.counters[reason] == 1)
        #expect(pair.a.instance.counters.drops == drops + 1)
        #expect(pair.a.view?.session == before?.session)
        #expect(pair.a.sent.isEmpty)
    }

    @Test func `§6.8.6 step 1: a wrong version`() {
        check(.version) { pair in
            var bytes = Pair.packet(to: pair.a, state: .down)
            bytes[0] = 2 << 5
            return bytes
        }
    }

    @Test func `§6.8.6 step 2: a Length below 24, or below 26 with the A bit`() {
        check(.length) { pair in Pair.packet(to: pair.a, state: .down) { $0.totalLength = 23 } }
        check(.length) { pair in
            Pair.packet(to: pair.a, state: .down) { ($0.totalLength, $0.authenticationPresent) = (25, true) } + [1]
        }
    }

    @Test func `§6.8.6 step 3: a Length beyond the payload`() {
        check(.length) { pair in Pair.packet(to: pair.a, state: .down) { $0.totalLength = 25 } }
        check(.length) { pair in Array(Pair.packet(to: pair.a, state: .down).dropLast()) }
    }

    @Test func `§6.8.6 step 4: a Detect Mult of zero`() {
        check(.multiplierZero) { pair in Pair.packet(to: pair.a, state: .down) { $0.multiplier = 0 } }
    }

    @Test func `§6.8.6 step 5: the Multipoint bit`() {
        check(.multipoint) { pair in
            var bytes = Pair.packet(to: pair.a, state: .down)
            bytes[1] |= 1
            return bytes
        }
    }

    @Test func `§6.8.6 step 6: My Discriminator zero`() {
        check(.myDiscriminatorZero) { pair in Pair.packet(to: pair.a, state: .down, my: 0) }
    }

    @Test func `§6.8.6 step 7: Your Discriminator selects the session, or none`() {
        check(.unknownDiscriminator) { pair in Pair.packet(to: pair.a, state: .down, your: 12) }
        check(.wrongPeer, on: 4) { pair in Pair.packet(to: pair.a, state: .down) }
    }

    @Test func `§6.8.6 step 8: Your Discriminator zero with a state of Init or Up`() {
        check(.yourDiscriminatorZero) { pair in Pair.packet(to: pair.a, state: .up, your: 0) }
        check(.yourDiscriminatorZero) { pair in Pair.packet(to: pair.a, state: .initializing, your: 0) }
    }

    @Test func `§6.8.6 step 9: Your Discriminator zero is matched by addresses and interface`() {
        check(.unknownPeer, on: 4) { pair in Pair.packet(to: pair.a, state: .down, your: 0) }
        // A neighbour that restarted: it is heard.
        let pair = Pair.up()
        pair.deliver(Pair.packet(to: pair.a, state: .down, your: 0, my: 77), to: pair.a)
        #expect(pair.a.state == .down)
        #expect(pair.a.session.status.remoteDiscriminator == 77)
    }

    @Test func `§6.8.6 steps 10 and 11: the A bit and authentication in use go together`() {
        check(.unexpectedAuthentication) { pair in
            Pair.packet(to: pair.a, state: .down) { ($0.totalLength, $0.authenticationPresent) = (28, true) } + [1, 4, 1, 65]
        }
        let key = BFDAuthentication(type: .simplePassword, chain: KeyChain(keys: [.init(id: 1, algorithm: .md5, secret: [65])]))
        let pair = Pair.up(.init(authentication: key), .init(authentication: key))
        #expect(pair.a.state == .up)
        pair.deliver(Pair.packet(to: pair.a, state: .down), to: pair.a)
        #expect(pair.a.instance.counters[.missingAuthentication] == 1)
        #expect(pair.a.state == .up)
    }

    @Test func `RFC 5881 §5: a single-hop packet with a TTL below 255`() {
        check(.hopLimit, hopLimit: 254) { pair in Pair.packet(to: pair.a, state: .down) }
    }

    @Test func `an empty payload and every truncation is discarded for its length`() {
        let pair = Pair.up()
        let whole = Pair.packet(to: pair.a, state: .down)
        for count in 0..<whole.count { pair.deliver(Array(whole[..<count]), to: pair.a) }
        #expect(pair.a.instance.counters[.length] == UInt64(whole.count))
        #expect(pair.a.state == .up)
    }

    @Test func `random octets and flipped bits never trap`() {
        var random = RandomNumbers(seed: 5)
        for type in [nil] + BFDAuthenticationType.allCases.map(Optional.init) {
            let authentication = type.map {
                BFDAuthentication(type: $0, chain: KeyChain(keys: [.init(id: 1, algorithm: .md5, secret: [1, 2, 3])]))
            }
            let pair = Pair.up(.init(authentication: authentication), .init(authentication: authentication))
            #expect(pair.a.state == .up)
            let seed = pair.b.sent.last?.bytes ?? []
            for round in 0..<3000 {
                var bytes = seed
                for _ in 0...random.number(in: 0...3) where !bytes.isEmpty {
                    bytes[random.number(in: 0...(bytes.count - 1))] = UInt8(truncatingIfNeeded: random.next())
                }
                if random.chance(1, in: 4) { bytes = Array(bytes.prefix(random.number(in: 0...bytes.count))) }
                pair.deliver(bytes, to: pair.a)
                if round % 50 == 0 { pair.run(.milliseconds(20)) }
            }
            pair.run(.seconds(20))
            #expect(pair.a.state == .up && pair.b.state == .up, "\(type.map { "\($0)" } ?? "none")")
        }
    }
}
