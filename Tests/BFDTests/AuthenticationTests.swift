import Machine
import Records
import Testing
import Wire

@testable import BFD

@Suite struct AuthenticationTests {
    @Test func `five hundred forged packets a second do not end an authenticated session`() {
        let key = BFDAuthentication(type: .keyedSHA1, chain: KeyChain(keys: [.init(id: 1, algorithm: .md5, secret: [1, 2, 3])]))
        let parameters = BFDSessionParameters(desiredMinTx: 50_000, requiredMinRx: 50_000, authentication: key)
        let pair = Pair.up(parameters, parameters)
        #expect(pair.a.state == .up)
        let forgeries: [[UInt8]] = [
            Pair.packet(to: pair.a, state: .down, your: 0),
            // With a section of the right length and the digest of somebody who has another key.
            Pair.packet(to: pair.a, state: .down, your: 0) { ($0.totalLength, $0.authenticationPresent) = (52, true) }
                + [4, 28, 1, 0, 0, 0, 0, 0] + Array(repeating: 9, count: 20),
        ]
        for forgery in forgeries {
            for _ in 0..<2500 {
                pair.deliver(forgery, to: pair.a)
                pair.run(.milliseconds(2))
            }
            #expect(pair.a.state == .up && pair.b.state == .up)
        }
        #expect(pair.a.states.last == .up)
        #expect(pair.a.view?.counters.timesDown == 0)
        #expect(pair.a.instance.counters[.missingAuthentication] == 2500)
    }

    static func key(_ id: UInt64, _ secret: String) -> KeyChain.Key {
        KeyChain.Key(id: id, algorithm: .sha1, secret: secret)
    }

    static func parameters(
        _ type: BFDAuthenticationType, _ keys: [KeyChain.Key] = [Self.key(7, "secret")], multiplier: UInt8 = 3
    ) -> BFDSessionParameters {
        .init(
            desiredMinTx: 50_000, requiredMinRx: 50_000, multiplier: multiplier,
            authentication: BFDAuthentication(type: type, chain: KeyChain(firstSigns: keys)))
    }
    static func sequence(_ bytes: [UInt8]) -> UInt32 { bytes[28..<32].reduce(0) { $0 << 8 | UInt32($1) } }

    @Test(arguments: BFDAuthenticationType.allCases)
    func `§6.7: both ends with one key come up and stay up`(type: BFDAuthenticationType) {
        let pair = Pair.up(Self.parameters(type), Self.parameters(type))
        #expect(pair.a.state == .up && pair.b.state == .up)
        pair.run(.seconds(120))
        #expect(pair.a.view?.counters.timesDown == 0)
        #expect(pair.a.instance.counters.drops == 0)
    }

    @Test func `§4.2–4.4: lengths, types and where the digest lies`() {
        for (type, length) in [
            (BFDAuthenticationType.simplePassword, 9), (.keyedMD5, 24), (.meticulousKeyedMD5, 24), (.keyedSHA1, 28),
            (.meticulousKeyedSHA1, 28),
        ] {
            let pair = Pair(Self.parameters(type), Self.parameters(type))
            pair.start()
            let bytes = pair.a.sent[0].bytes
            #expect(bytes.count == 24 + length)
            #expect(Int(bytes[3]) == bytes.count)
            #expect(bytes[1] & 4 != 0)
            #expect(bytes[24] == type.rawValue && Int(bytes[25]) == length && bytes[26] == 7)
            if type == .simplePassword { #expect(Array(bytes[27...]) == Array("secret".utf8)) }
        }
    }

    @Test(arguments: BFDAuthenticationType.allCases)
    func `§6.7: a wrong secret, another key or another type is discarded`(type: BFDAuthenticationType) {
        let pair = Pair.up(Self.parameters(type), Self.parameters(type, [Self.key(7, "secreT")]))
        #expect(pair.a.state == .down && pair.b.state == .down)
        #expect(pair.a.instance.counters[.digest] > 0)
        let other = Pair.up(Self.parameters(type), Self.parameters(type, [Self.key(8, "secret")]))
        #expect(other.a.instance.counters[.unknownKey] > 0)
        let kinds = Pair.up(Self.parameters(type), Self.parameters(type == .keyedSHA1 ? .keyedMD5 : .keyedSHA1))
        #expect(kinds.a.instance.counters[.missingAuthentication] > 0)
        #expect(other.a.state == .down && kinds.a.state == .down)
    }

    @Test func `§6.7.1: keys change without a gap when both ends know both`() {
        let old = Self.key(1, "old"), new = Self.key(2, "new")
        let pair = Pair.up(Self.parameters(.meticulousKeyedSHA1, [old, new]), Self.parameters(.meticulousKeyedSHA1, [old, new]))
        #expect(pair.a.state == .up)
        pair.configure(pair.a) { $0.authentication?.chain = KeyChain(firstSigns: [new, old]) }
        pair.run(.seconds(1))
        pair.configure(pair.b) { $0.authentication?.chain = KeyChain(firstSigns: [new]) }
        pair.run(.seconds(1))
        pair.configure(pair.a) { $0.authentication?.chain = KeyChain(firstSigns: [new]) }
        pair.run(.seconds(10))
        #expect(pair.a.view?.counters.timesDown == 0 && pair.b.view?.counters.timesDown == 0)
        #expect(pair.a.sent.last?.bytes[26] == 2)
    }

    @Test(arguments: [BFDAuthenticationType.meticulousKeyedMD5, .meticulousKeyedSHA1])
    func `§6.7.3, §6.7.4: meticulous numbers grow with every packet, and a replay is discarded`(type: BFDAuthenticationType) {
        let pair = Pair.up(Self.parameters(type), Self.parameters(type))
        let numbers = pair.b.sent.map { Self.sequence($0.bytes) }
        for (first, second) in zip(numbers, numbers.dropFirst()) {
            #expect(Int32(bitPattern: second &- first) >= 1)
            #expect(second &- first <= 9)
        }
        let old = pair.b.sent.suffix(3)
        for entry in old { pair.deliver(entry.bytes, to: pair.a) }
        #expect(pair.a.instance.counters[.sequence] == 3)
    }

    @Test(arguments: [BFDAuthenticationType.keyedMD5, .keyedSHA1])
    func `§6.7.3, §6.7.4: keyed numbers never go back, the last may come again, older ones are discarded`(
        type: BFDAuthenticationType
    ) {
        let pair = Pair.up(Self.parameters(type), Self.parameters(type))
        guard let last = pair.b.sent.last, let first = pair.b.sent.first else {
            Issue.record("nothing sent")
            return
        }
        pair.deliver(last.bytes, to: pair.a)
        #expect(pair.a.instance.counters[.sequence] == 0)
        pair.deliver(first.bytes, to: pair.a)
        #expect(pair.a.instance.counters[.sequence] == 1)
    }

    @Test func `§6.7.3: a number further ahead than 3 × Detect Mult is discarded`() {
        let pair = Pair.up(Self.parameters(.meticulousKeyedMD5), Self.parameters(.meticulousKeyedMD5))
        guard let known = pair.a.view?.session.status.receivedSequence,
            let authentication = pair.b.session.parameters.authentication
        else {
            Issue.record("no number is known")
            return
        }
        func packet(_ ahead: UInt32) -> [UInt8] {
            var packet = ControlPacket(
                diagnostic: 0, state: 3, multiplier: 3, myDiscriminator: 0xb0b0, yourDiscriminator: 0xa0a0,
                desiredMinTx: 50_000, requiredMinRx: 50_000)
            packet.authenticationPresent = true
            packet.totalLength = 48
            var w = ByteWriter()
            packet.write(to: &w)
            authentication.sign(&w, with: authentication.chain.keys[0], sequence: known &+ ahead)
            return w.bytes
        }
        for ahead: UInt32 in [10, 1 << 31, .max, 0] { pair.deliver(packet(ahead), to: pair.a) }
        #expect(pair.a.instance.counters[.sequence] == 4)
        pair.deliver(packet(9), to: pair.a)
        #expect(pair.a.instance.counters[.sequence] == 4)
        #expect(pair.a.view?.session.status.receivedSequence == known &+ 9)
    }

    @Test func `§6.8.1: bfd.AuthSeqKnown becomes 0 after twice the Detection Time, and a restarted neighbour is heard`() {
        let pair = Pair.up(Self.parameters(.meticulousKeyedSHA1), Self.parameters(.meticulousKeyedSHA1))
        pair.passes = { _, _ in false }
        pair.run(.seconds(10))
        #expect(pair.a.view?.session.status.receivedSequence == nil)
        // b begins anew with another number.
        pair.b.session.status = BFDStatus()
        pair.takeOver(pair.b, seed: 1234)
        pair.passes = { _, _ in true }
        pair.run(.seconds(5))
        #expect(pair.a.state == .up && pair.b.state == .up)
    }

    @Test func `a flood of polls cannot drive our numbers out of the neighbour's window`() {
        let pair = Pair.up(Self.parameters(.meticulousKeyedSHA1), Self.parameters(.meticulousKeyedSHA1))
        // Every poll would be answered at once; b polls with every packet.
        for _ in 0..<200 {
            pair.configure(pair.b) { $0.desiredMinTx = $0.desiredMinTx == 50_000 ? 50_001 : 50_000 }
            pair.run(.milliseconds(30))
            guard let session = pair.a.instance.sessions[0] else { return }
            #expect(Int32(bitPattern: session.sentSequence &- session.sequenceClock(at: pair.now)) <= 2)
        }
        #expect(pair.a.view?.counters.timesDown == 0 && pair.b.view?.counters.timesDown == 0)
    }

    @Test func `§6.8.1 bfd.AuthSeqKnown: a neighbor that begins anew while we are in AdminDown is understood afterwards`() {
        let parameters = TakeOverTests.parameters(.meticulousKeyedSHA1)
        let pair = Pair.up(parameters, parameters)
        pair.configure(pair.a) { $0.isShutdown = true }
        pair.run(.seconds(30))
        // Another process with other numbers, the same session to us.
        pair.b.instance = BFDInstance(seed: 4711)
        pair.b.session.status = BFDStatus()
        pair.b.instance.apply(.set(pair.b.session), at: pair.now, into: &pair.b.effects)
        pair.collect(pair.b)
        pair.run(.seconds(30))
        pair.configure(pair.a) { $0.isShutdown = false }
        pair.run(.seconds(10))
        #expect(pair.a.state == .up && pair.b.state == .up)
    }

    @Test func `§6.8.1: after twice the Detection Time without a packet any number is as good as another, and not before`() {
        let parameters = TakeOverTests.parameters(.meticulousKeyedMD5)
        let pair = Pair.up(parameters, parameters)
        let known = pair.a.instance.activities.first?.session.status.receivedSequence
        #expect(known != nil)
        pair.passes = { toB, _ in toB }
        // 150 ms is the Detection Time, and the last packet was heard some time in the 50 ms before.
        pair.run(.milliseconds(240))
        #expect(pair.a.instance.activities.first?.session.status.receivedSequence != nil)
        pair.run(.milliseconds(70))
        #expect(pair.a.instance.activities.first?.session.status.receivedSequence == nil)
        pair.passes = { _, _ in true }
        pair.run(.seconds(5))
        #expect(pair.a.state == .up && pair.b.state == .up)
        #expect(pair.a.instance.counters[.sequence] == 0)
    }

    @Test(arguments: [20, 100, 140, 200, 310, 1000, 4000])
    func `§6.7.3: an end that is silent for a while is inside the window, or the window is forgotten`(silence: Int) {
        let parameters = TakeOverTests.parameters(.meticulousKeyedSHA1)
        let pair = Pair.up(parameters, parameters)
        for _ in 0..<10 {
            // Nothing of a gets through; it goes on counting.
            pair.passes = { toB, _ in !toB }
            pair.run(.milliseconds(silence))
            pair.passes = { _, _ in true }
            pair.run(.seconds(6))
            #expect(pair.a.state == .up && pair.b.state == .up)
        }
        if silence < 100 { #expect(pair.b.view?.counters.timesDown == 0 && pair.b.instance.counters[.sequence] == 0) }
    }

    @Test func `§6.7.3: a session that its client asks for anew goes on with its numbers`() {
        let parameters = TakeOverTests.parameters(.meticulousKeyedSHA1)
        let pair = Pair.up(parameters, parameters)
        pair.a.instance.apply(.remove(pair.a.session.discriminator), at: pair.now, into: &pair.a.effects)
        pair.a.session.discriminator = 0xa1a1
        pair.a.session.status = BFDStatus()
        pair.a.instance.apply(.set(pair.a.session), at: pair.now, into: &pair.a.effects)
        pair.collect(pair.a)
        pair.run(.seconds(5))
        #expect(pair.a.state == .up && pair.b.state == .up)
        #expect(pair.b.instance.counters[.sequence] == 0)
    }
}
