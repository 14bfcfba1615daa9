import Machine
import Records
import Routing
import Testing
import Wire
@testable import ISIS

@Suite struct OwnLSPDefenceTests {
    private func sequence(_ network: VirtualNetwork, _ router: Int, _ id: LSPID) -> UInt32? {
        FloodingTests.entry(network, router, id)?.sequence
    }

    @Test func `7.3.16.1: a forged LSP of ours is outbid`() {
        let network = FloodingTests.pair()
        let own = LSPID(network.id(0))
        network.inject(FloodingTests.lsp(own, 1000), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(10))
        for router in 0..<2 {
            #expect(sequence(network, router, own) == 1001)
            let database = network.machine(router).databases[1]
            let contents = database.slot(of: own).map { LSPContents(database.bytes($0).span.bytes) }
            #expect(contents?.hostname == "r1")
        }
        #expect(network.machine(0).counters.ownLSPsContested > 0)
    }

    @Test func `7.3.16.1: a purge of an LSP of ours is outbid`() {
        let network = FloodingTests.pair()
        let own = LSPID(network.id(0))
        let held = sequence(network, 0, own)!
        let purge = LSPBuilder.purge(level: .two, id: own, sequenceNumber: held, originator: nil, key: nil)
        network.inject(purge, to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(10))
        #expect(sequence(network, 1, own) == held + 1)
        #expect(FloodingTests.entry(network, 1, own)?.isPurged == false)
    }

    @Test func `7.3.15.1 (c): an LSP of ours that we do not have is purged`() {
        let network = FloodingTests.pair()
        let stale = LSPID(NodeID(network.id(0), pseudonode: 7), fragment: 3)
        network.inject(FloodingTests.lsp(stale, 50), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(10))
        #expect(FloodingTests.entry(network, 0, stale)?.isPurged == true)
        let told = network.routers[0].sent.compactMap { try? LSPHeader($0.bytes.span.bytes) }.last { $0.id == stale }
        #expect(told?.isPurge == true)
        #expect(told?.sequenceNumber == 50)
    }

    @Test func `7.3.16.2: our number with another checksum is outbid`() {
        let network = FloodingTests.pair()
        let own = LSPID(network.id(0))
        let held = sequence(network, 0, own)!
        network.inject(FloodingTests.lsp(own, held), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(10))
        #expect(sequence(network, 1, own) == held + 1)
    }

    @Test func `7.3.16.1: the last sequence number lets the LSP die out before it begins anew`() {
        let network = FloodingTests.pair()
        let own = LSPID(network.id(0))
        network.inject(FloodingTests.lsp(own, .max), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(10))
        #expect(network.routers[0].events.contains { $0.contains("out of sequence numbers") })
        network.run(.seconds(1200))
        #expect(network.database(1).allSatisfy { !$0.hasPrefix("\(own)") })
        network.run(.seconds(80))
        #expect(sequence(network, 1, own) == 1)
        #expect(FloodingTests.entry(network, 1, own)?.isPurged == false)
    }

    @Test func `a replay of all that was ever sent changes nothing for long`() {
        let network = FloodingTests.pair()
        network.input(0, .redistribute([RedistributionUpdate(IPPrefix("192.0.2.0/24")!, RedistributedRoute(source: .static))]))
        network.run(.seconds(20))
        let before = network.database(0)
        let recorded = network.routers.flatMap { router in router.sent }
        for packet in recorded where (try? LSPHeader(packet.bytes.span.bytes)) != nil {
            network.inject(packet.bytes, to: .init(router: 0, interface: 0), from: network.station(1))
        }
        network.run(.seconds(20))
        #expect(network.database(0) == before)
        #expect(network.database(1) == before)
    }

    @Test func `changes that come close together make few LSPs`() {
        let network = FloodingTests.pair()
        let own = LSPID(network.id(0))
        network.run(.seconds(60))
        let before = sequence(network, 0, own)!
        for i in 0..<200 {
            let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(192, 0, UInt8(i), 0), 24))
            network.input(0, .redistribute([RedistributionUpdate(prefix, RedistributedRoute(source: .static))]))
            network.run(.milliseconds(10))
        }
        network.run(.seconds(20))
        let after = sequence(network, 1, own)!
        #expect(after > before && after - before <= 6)
        let database = network.machine(1).databases[1]
        var count = 0
        for position in 0..<database.count {
            let slot = database.slot(at: position)
            if database.entries[slot].id.system == network.id(0) {
                count += LSPContents(database.bytes(slot).span.bytes).ipv4.count
            }
        }
        #expect(count == 201)
    }

    @Test func `fragments: what no longer has anything to say is purged, what stays is not touched`() {
        let network = FloodingTests.pair()
        let updates = (0..<600).map { i in
            RedistributionUpdate(
                .v4(IPv4Prefix(IPv4Address(172, UInt8(16 + i / 256), UInt8(i & 255), 0), 24)), RedistributedRoute(source: .static)
            )
        }
        network.input(0, .redistribute(updates))
        network.run(.seconds(30))
        let full = network.database(1).filter { $0.hasPrefix("\(network.id(0))") }
        #expect(full.count >= 4)
        network.input(0, .redistribute([RedistributionUpdate(updates[0].prefix, nil)]))
        network.run(.seconds(30))
        let changed = network.database(1).filter { $0.hasPrefix("\(network.id(0))") }
        #expect(zip(full, changed).filter { $0 != $1 }.count == 1)
        network.input(0, .redistribute(updates.map { RedistributionUpdate($0.prefix, nil) }))
        network.run(.seconds(30))
        #expect(network.database(1).filter { $0.hasPrefix("\(network.id(0))") }.count == 1)
    }

    @Test func `7.2.8.1: the overload bit of the start goes away in time`() {
        let network = VirtualNetwork()
        let a = network.add(1) { $0.overload.onStartup = 100 }, b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        func isOverloaded() -> Bool? {
            let database = network.machine(b).databases[1]
            return database.slot(of: LSPID(network.id(a))).map {
                LSPContents(database.bytes($0).span.bytes).flags.contains(.overload)
            }
        }
        network.run(.seconds(60))
        #expect(isOverloaded() == true)
        network.run(.seconds(60))
        #expect(isOverloaded() == false)
    }

    @Test func `an LSP is refreshed before it dies, for a day`() {
        let network = FloodingTests.pair()
        network.run(.seconds(86_400))
        #expect(network.database(0).count == 2)
        #expect(network.database(0) == network.database(1))
        #expect(!network.routers[0].events.contains { $0.contains("expired") })
        #expect(network.machine(0).counters.purges == 0)
    }
}
