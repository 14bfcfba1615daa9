import Machine
import Records
import Routing
import Testing
import Wire

@testable import OSPF

@Suite struct KeyRolloverTests {
    static func at(_ seconds: Int64) -> Instant { Instant(nanoseconds: seconds * 1_000_000_000) }

    /// Key 1 signs until 100 s and is accepted until 120 s; key 2 is accepted from 80 s on.
    static func chain(
        _ old: KeyChain.Algorithm, _ new: KeyChain.Algorithm, extended: (Bool, Bool) = (false, false)
    ) -> KeyChain {
        KeyChain(
            name: "core",
            keys: [
                .init(
                    id: 1, algorithm: old, secret: "old", send: .init(until: at(100)), accept: .init(until: at(120)),
                    extendedSequence: extended.0),
                .init(
                    id: 2, algorithm: new, secret: "new", send: .init(from: at(100)), accept: .init(from: at(80)),
                    extendedSequence: extended.1),
            ])
    }

    static let rollovers: [(OSPFVersion, KeyChain)] = [
        (.v2, chain(.md5, .hmacSHA256)), (.v2, chain(.hmacSHA1, .hmacSHA512, extended: (false, true))),
        (.v2, chain(.hmacSHA384, .hmacSHA256, extended: (true, true))), (.v2, chain(.clearText, .hmacSHA256)),
        (.v2, chain(.clearText, .clearText)), (.v3, chain(.hmacSHA1, .hmacSHA256)),
    ]

    @Test(arguments: rollovers.indices)
    func `a key takes over from another at its time, and the adjacency stays`(_ number: Int) {
        let (version, chain) = Self.rollovers[number]
        let net = AdjacencyTests.pair(version) { _, interface in interface.authentication = chain }
        net.run(.seconds(95))
        #expect(net.states(of: 0) == [.full] && net.states(of: 1) == [.full])
        let old = net.received(by: 0), events = net.events.count
        let isPassword = chain.keys[0].algorithm == .clearText
        #expect(!old.isEmpty && old.allSatisfy { Self.keyID(of: $0.bytes, version) == (isPassword ? nil : 1) })
        net.run(.seconds(200))
        #expect(net.states(of: 0) == [.full] && net.states(of: 1) == [.full])
        #expect(net.events.count == events)
        func drops(_ reason: OSPFDrop) -> UInt64? {
            net.routers[0].interface(InterfaceID(0))?.counters.drops[Int(reason.rawValue)]
        }
        #expect(drops(.authentication) == 0 && drops(.replay) == 0)
        // What the old key signed counts no more.
        if let last = old.last { net.give(0, .packet(last)) }
        #expect(drops(.authentication) == 1)
    }

    private static func keyID(of bytes: [UInt8], _ version: OSPFVersion) -> Int? {
        guard version == .v2 else {
            let length = Int(bytes[2]) << 8 | Int(bytes[3])
            return Int(bytes[length + 6]) << 8 | Int(bytes[length + 7])
        }
        switch bytes[15] {
        case 2: return Int(bytes[18])
        case 3: return Int(bytes[23])
        default: return nil
        }
    }

    @Test func `a router with a clock that is behind hears the new key early and is heard with the old one late`() {
        let chain = Self.chain(.hmacSHA1, .hmacSHA256)
        for seconds in [80, 99, 100, 119] as [Int64] {
            for key in chain.keys { #expect(chain.isAcceptable(key, at: Self.at(seconds))) }
        }
        let packet = OSPFPacket(routerID: 1, areaID: 0, .linkStateAcknowledgment(.init(headers: [])))
        let source = IPAddress("10.0.0.1")!, group = IPAddress("224.0.0.5")!
        func isTaken(_ key: KeyChain.Key, at seconds: Int64) -> Bool {
            let bytes = packet.encoded(version: .v2, key: key, source: source, destination: group)
            guard let header = try? OSPFPacketHeader(bytes.span.bytes, version: .v2) else { return false }
            return
                (try? PacketAuthentication.check(
                    bytes.span.bytes, header, version: .v2, chain, source: source, destination: group, at: Self.at(seconds)))
                != nil
        }
        #expect([0, 79, 119, 120].map { isTaken(chain.keys[0], at: $0) } == [true, true, true, false])
        #expect([79, 80, 1000].map { isTaken(chain.keys[1], at: $0) } == [false, true, true])
    }

    @Test(arguments: [OSPFVersion.v2, .v3])
    func `a router that was restored signs with the same key at the same time`(version: OSPFVersion) throws {
        let net = AdjacencyTests.pair(version) { _, interface in interface.authentication = Self.chain(.hmacSHA1, .hmacSHA256) }
        net.run(.seconds(95))
        var writer = SnapshotWriter()
        net.routers[0].write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        var twin = try OSPFInstance(from: &reader)
        var mine: [InteriorGatewayEffect] = [], its: [InteriorGatewayEffect] = []
        net.routers[0].handle(.time, at: Self.at(130), into: &mine)
        twin.handle(.time, at: Self.at(130), into: &its)
        #expect("\(mine)" == "\(its)" && twin.digest == net.routers[0].digest)
        let sent = mine.compactMap { if case .send(let packet) = $0 { packet.bytes } else { nil } }
        #expect(!sent.isEmpty && sent.allSatisfy { Self.keyID(of: $0, version) == 2 })
    }
}

extension VirtualNetwork {
    fileprivate func received(by router: Int) -> [ReceivedPacket] {
        inputs[router].compactMap { if case .packet(let packet) = $0.input { packet } else { nil } }
    }
}
