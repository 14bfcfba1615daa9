import Machine
import Records
import Testing
import Wire

@testable import BFD

@Suite struct KeyRolloverTests {
    static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    /// Key 1 signs until 20 s and is accepted until 25 s; key 2 is accepted from 15 s on.
    static func parameters(_ type: BFDAuthenticationType) -> BFDSessionParameters {
        let chain = KeyChain(
            name: "core",
            keys: [
                .init(
                    id: 1, algorithm: type.algorithm, secret: "old", send: .init(until: at(20)), accept: .init(until: at(25))),
                .init(
                    id: 2, algorithm: type.algorithm, secret: "new", send: .init(from: at(20)), accept: .init(from: at(15))),
            ])
        return BFDSessionParameters(
            desiredMinTx: 50_000, requiredMinRx: 50_000, authentication: BFDAuthentication(type: type, chain: chain))
    }

    @Test(arguments: BFDAuthenticationType.allCases)
    func `§6.7: a key takes over from another at its time, and the session stays up`(type: BFDAuthenticationType) {
        let pair = Pair.up(Self.parameters(type), Self.parameters(type))
        #expect(pair.a.state == .up)
        pair.run(.seconds(30))
        #expect(pair.a.view?.counters.timesDown == 0 && pair.b.view?.counters.timesDown == 0)
        #expect(pair.a.view?.counters.drops == 0 && pair.b.view?.counters.drops == 0)
        for packet in pair.a.sent { #expect(packet.bytes[26] == (packet.at < Self.at(20) ? 1 : 2)) }
        // What the old key signed counts no more.
        guard let old = pair.b.sent.last(where: { $0.bytes[26] == 1 }) else { return }
        pair.deliver(old.bytes, to: pair.a)
        #expect(pair.a.instance.counters[.unknownKey] == 1)
    }

    @Test(arguments: BFDAuthenticationType.allCases)
    func `a line card that takes over in the midst of it signs with the same key`(type: BFDAuthenticationType) {
        for seconds in [14, 19, 21, 26] as [Int64] {
            let pair = Pair.up(Self.parameters(type), Self.parameters(type))
            pair.run(Self.at(seconds) - pair.now)
            pair.takeOver(pair.a)
            let first = pair.a.sent.count
            pair.run(.seconds(15))
            #expect(pair.a.state == .up && pair.b.state == .up)
            #expect(pair.b.view?.counters.timesDown == 0, "\(type) at \(seconds) s")
            for packet in pair.a.sent[(first - 1)...] { #expect(packet.bytes[26] == (packet.at < Self.at(20) ? 1 : 2)) }
        }
    }
}
