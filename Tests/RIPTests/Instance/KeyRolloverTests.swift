import Machine
import Records
import Routing
import Testing
import Wire

@testable import RIP

@Suite struct KeyRolloverTests {
    static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    /// Key 1 signs until 100 s and is accepted until 120 s; key 2 is accepted from 80 s on.
    static func chain(_ old: KeyChain.Algorithm, _ new: KeyChain.Algorithm) -> KeyChain {
        KeyChain(
            name: "core",
            keys: [
                .init(id: 1, algorithm: old, secret: "old", send: .init(until: at(100)), accept: .init(until: at(120))),
                .init(id: 2, algorithm: new, secret: "new", send: .init(from: at(100)), accept: .init(from: at(80))),
            ])
    }

    @Test(arguments: [
        (KeyChain.Algorithm.md5, KeyChain.Algorithm.hmacSHA256), (.hmacSHA512, .hmacSHA1), (.clearText, .md5),
        (.clearText, .clearText),
    ])
    func `a key takes over from another at its time, and no route is lost`(
        _ old: KeyChain.Algorithm, _ new: KeyChain.Algorithm
    ) {
        let n = VirtualNetwork()
        for _ in 0..<2 { _ = n.addRouter() }
        _ = n.addLink([0, 1])
        for router in 0..<2 { n.configurations[router].interfaces[1].authentication = Self.chain(old, new) }
        n.start()
        n.run(.seconds(60))
        for _ in 0..<60 {
            #expect(n.metric(0, to: 1) == 2 && n.metric(1, to: 0) == 2)
            n.run(.seconds(5))
        }
        for router in n.routers { #expect(RIPDropReason.allCases.allSatisfy { router.interfaces[1].counters[$0] == 0 }) }
        #expect(n.mistakes.isEmpty)
    }

    @Test func `an old key is accepted until its end, a new one from its beginning`() {
        let chain = Self.chain(.md5, .hmacSHA256)
        func verdict(_ key: KeyChain.Key, at seconds: Int64) -> RIPDropReason? {
            var writer = RIPPacketWriter(
                version: .v2, messageVersion: 2, command: RIPFormat.response, key: key, mtu: 1500, sequence: 7)
            writer.add(entry("172.16.0.0/16", 1))
            switch RIPAuthenticator.check(writer.finish()[0], against: chain, at: Self.at(seconds)) {
            case .success: return nil
            case .failure(let refusal): return refusal.reason
            }
        }
        #expect([0, 119, 120].map { verdict(chain.keys[0], at: $0) } == [nil, nil, .authenticationUnknownKey])
        #expect([79, 80, 999].map { verdict(chain.keys[1], at: $0) } == [.authenticationUnknownKey, nil, nil])
    }

    @Test func `RFC 4822 §2.2: each key has its own numbers, and a router that was restored goes on with the same`() throws {
        let n = VirtualNetwork()
        for _ in 0..<2 { _ = n.addRouter() }
        _ = n.addLink([0, 1])
        for router in 0..<2 { n.configurations[router].interfaces[1].authentication = Self.chain(.md5, .hmacSHA256) }
        n.start()
        n.run(.seconds(95))
        var writer = SnapshotWriter()
        n.routers[0].write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var twin = try RIPInstance(from: &reader), grown = n.routers[0]
        var mine: [InteriorGatewayEffect] = [], its: [InteriorGatewayEffect] = []
        grown.handle(.time, at: Self.at(140), into: &mine)
        twin.handle(.time, at: Self.at(140), into: &its)
        #expect("\(mine)" == "\(its)" && twin.digest == grown.digest)
        let sent = mine.compactMap { if case .send(let packet) = $0, packet.interface.value == 1 { packet.bytes } else { nil } }
        #expect(!sent.isEmpty && sent.allSatisfy { $0[10] == 2 })
    }
}
