import Machine
import Records
import Routing
import Testing
import Wire
@testable import ISIS

@Suite struct FloodingTests {
    static func pair(_ type: ISISNetworkType = .pointToPoint, _ change: (inout ISISConfiguration) -> Void = { _ in })
        -> VirtualNetwork
    {
        let network = VirtualNetwork()
        let a = network.add(1, change), b = network.add(2, change)
        network.join([a, b], type)
        network.start()
        network.run(.seconds(40))
        return network
    }

    /// An LSP of a router that is not there.
    static func lsp(
        _ id: LSPID, _ sequence: UInt32, lifetime: UInt16 = 1000, host: String = "x", keys: ISISAuthentication? = nil
    ) -> [UInt8] {
        let text = Array(host.utf8)
        return LSPBuilder.encode(
            level: .two, id: id, sequenceNumber: sequence, remainingLifetime: lifetime, flags: .level2,
            body: [TLVCode.hostname, UInt8(text.count)] + text, key: keys?.key)
    }
    static let foreign = LSPID(SystemID(raw: 0x1921_6800_9999))

    static func entry(_ network: VirtualNetwork, _ router: Int, _ id: LSPID) -> LSPDatabase.Entry? {
        let database = network.machine(router).databases[1]
        return database.slot(of: id).map { database.entries[$0] }
    }

    @Test func `7.3.15.1 (e): a newer LSP is stored, flooded and acknowledged`() {
        let network = VirtualNetwork()
        let routers = (1...4).map { network.add($0) }
        for (x, y) in zip(routers, routers.dropFirst()) { network.join([x, y], .pointToPoint) }
        network.start()
        network.run(.seconds(30))
        network.inject(Self.lsp(Self.foreign, 5), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(3))
        for router in routers { #expect(Self.entry(network, router, Self.foreign)?.sequence == 5) }
        // Acknowledged: nothing waits anywhere.
        for router in routers {
            for circuit in network.machine(router).databases[1].circuits { #expect(circuit.srm.isEmpty) }
        }
        let sent = network.routers[0].sent.count
        // The same again: an acknowledgement, and no flood.
        network.inject(Self.lsp(Self.foreign, 5), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(2))
        let answers = network.routers[0].sent[sent...].compactMap { PDUHeader.peekType($0.bytes.span.bytes) }
        #expect(answers.contains(.level2PSNP))
        #expect(!answers.contains(.level2LSP))
        // An older one is answered with what we have.
        let before = network.routers[0].sent.count
        network.inject(Self.lsp(Self.foreign, 4), to: .init(router: 0, interface: 0), from: network.station(1))
        let reply = network.routers[0].sent[before...].compactMap { try? LSPHeader($0.bytes.span.bytes) }
        #expect(reply.map(\.sequenceNumber) == [5])
    }

    @Test func `7.3.15.6: what is not acknowledged is sent again, and no sooner than the interval`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(30))
        network.passes = { from, _, packet in
            !(from.router == b && PDUHeader.peekType(packet.bytes.span.bytes) == .level2PSNP)
        }
        var times: [Instant] = []
        network.witness = { [unowned network] port, packet in
            if port.router == a, let header = try? LSPHeader(packet.bytes.span.bytes), header.id.system == network.id(a) {
                times.append(network.now)
            }
        }
        network.input(a, .redistribute([RedistributionUpdate(IPPrefix("192.0.2.0/24")!, RedistributedRoute(source: .static))]))
        network.run(.seconds(31))
        #expect((4...7).contains(times.count))
        #expect(zip(times, times.dropFirst()).allSatisfy { $1 - $0 >= .seconds(4) })
        network.passes = { _, _, _ in true }
        network.run(.seconds(11))
        let settled = times.count
        network.run(.seconds(60))
        #expect(times.count == settled)
    }

    @Test func `7.3.15.2 and 7.3.17: CSNPs bring databases together after a partition`() {
        for type in [ISISNetworkType.broadcast, .pointToPoint] {
            let network = VirtualNetwork()
            let a = network.add(1), b = network.add(2), c = network.add(3), d = network.add(4)
            network.join([a, c], .pointToPoint)
            network.join([b, d], .pointToPoint)
            network.start()
            network.run(.seconds(60))
            network.join([a, b], type)
            network.configure(a)
            network.configure(b)
            network.run(.seconds(60))
            for router in [b, c, d] { #expect(network.database(router) == network.database(a)) }
            #expect(network.database(a).count == (type == .broadcast ? 5 : 4))
        }
    }

    @Test func `7.3.15.2: the designated IS mends a loss on a LAN by its CSNP`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2), c = network.add(3)
        network.join([a, b, c])
        network.start()
        network.run(.seconds(60))
        // b does not hear LSPs for a while.
        network.passes = { _, to, packet in
            !(to.router == b && PDUHeader.peekType(packet.bytes.span.bytes) == .level2LSP)
        }
        network.input(a, .redistribute([RedistributionUpdate(IPPrefix("192.0.2.0/24")!, RedistributedRoute(source: .static))]))
        network.run(.seconds(2))
        #expect(network.database(b) != network.database(c))
        network.passes = { _, _, _ in true }
        network.run(.seconds(14))
        #expect(network.database(b) == network.database(c))
    }

    @Test func `7.3.15.1 (a): update PDUs from strangers are dropped`() {
        let network = Self.pair()
        let stranger = MACAddress(raw: 0x0200_dead_beef)
        network.inject(Self.lsp(Self.foreign, 5), to: .init(router: 0, interface: 0), from: stranger)
        let csnp = CSNP(level: .two, source: SystemID(raw: 1), start: .minimum, end: .maximum, entries: [])
        network.inject(csnp.encoded(), to: .init(router: 0, interface: 0), from: stranger)
        #expect(network.machine(0).counters[.noAdjacency] == 2)
        #expect(Self.entry(network, 0, Self.foreign) == nil)
    }

    @Test func `7.3.14.2: an LSP with a bad checksum is dropped`() {
        let network = Self.pair()
        var bytes = Self.lsp(Self.foreign, 5)
        bytes[bytes.count - 1] ^= 1
        network.inject(bytes, to: .init(router: 0, interface: 0), from: network.station(1))
        #expect(network.machine(0).counters[.checksum] == 1)
        #expect(Self.entry(network, 0, Self.foreign) == nil)
    }

    @Test func `7.3.16.4: an LSP whose lifetime ends is purged, remembered and forgotten`() {
        let network = VirtualNetwork()
        let a = network.add(1) { $0.lifetimeProtection = false }, b = network.add(2) { $0.lifetimeProtection = false }
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(30))
        network.inject(Self.lsp(Self.foreign, 5, lifetime: 10), to: .init(router: a, interface: 0), from: network.station(b))
        network.run(.seconds(9))
        #expect(Self.entry(network, b, Self.foreign)?.isPurged == false)
        network.run(.seconds(4))
        for router in [a, b] { #expect(Self.entry(network, router, Self.foreign)?.isPurged == true) }
        let purge = network.routers.flatMap { $0.sent }.last { (try? LSPHeader($0.bytes.span.bytes))?.id == Self.foreign }
        // RFC 6232: it names who made it.
        #expect(purge.map { LSPContents($0.bytes.span.bytes).purgeOriginators.count } == 1)
        network.run(.seconds(70))
        for router in [a, b] { #expect(Self.entry(network, router, Self.foreign) == nil) }
    }

    @Test func `RFC 7987: a short lifetime of a new LSP is not believed`() {
        let network = Self.pair()
        network.inject(Self.lsp(Self.foreign, 5, lifetime: 1), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(1000))
        #expect(Self.entry(network, 1, Self.foreign)?.isPurged == false)
        #expect(Self.entry(network, 0, Self.foreign)?.remainingLifetime(at: network.now) == 200)
    }

    @Test func `7.3.16.4 (a): a purge of what is not known is acknowledged and forgotten`() {
        let network = Self.pair()
        let purge = LSPBuilder.purge(
            level: .two, id: Self.foreign, sequenceNumber: 9, originator: nil, key: nil)
        let before = network.routers[0].sent.count
        network.inject(purge, to: .init(router: 0, interface: 0), from: network.station(1))
        let answers = network.routers[0].sent[before...].compactMap { try? PSNP($0.bytes.span.bytes) }
        #expect(answers.first?.entries.map(\.id) == [Self.foreign])
        #expect(Self.entry(network, 0, Self.foreign) == nil)
    }

    @Test func `7.3.16.2: one number with two checksums ends the LSP`() {
        let network = Self.pair()
        network.inject(Self.lsp(Self.foreign, 5, host: "x"), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(3))
        network.inject(Self.lsp(Self.foreign, 5, host: "y"), to: .init(router: 0, interface: 0), from: network.station(1))
        network.run(.seconds(3))
        #expect(Self.entry(network, 0, Self.foreign)?.isPurged == true)
        #expect(Self.entry(network, 1, Self.foreign)?.isPurged == true)
    }

    @Test func `a refresh without news starts no calculation`() {
        let network = Self.pair()
        let runs = network.machine(1).counters.spfRuns
        let before = Self.entry(network, 1, LSPID(network.id(0)))?.sequence ?? 0
        network.run(.seconds(2000))
        let after = Self.entry(network, 1, LSPID(network.id(0)))?.sequence ?? 0
        #expect(after >= before + 2)
        #expect(network.machine(1).counters.spfRuns == runs)
        #expect(network.upNeighbors(0).count == 1)
    }

    @Test func `ISISLimits: a full database sets the overload bit and takes no more`() {
        let network = VirtualNetwork()
        let a = network.add(1) { $0.limits.lsps = 16 }, b = network.add(2)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(30))
        for i in 0..<40 {
            let id = LSPID(SystemID(raw: 0x1921_6801_0000 | UInt64(i)))
            network.inject(Self.lsp(id, 1), to: .init(router: a, interface: 0), from: network.station(b))
        }
        network.run(.seconds(10))
        #expect(network.machine(a).databases[1].count == 16)
        #expect(network.machine(a).counters[.databaseFull] > 0)
        let slot = network.machine(b).databases[1].slot(of: LSPID(network.id(a)))
        let contents = slot.map { LSPContents(network.machine(b).databases[1].bytes($0).span.bytes) }
        #expect(contents?.flags.contains(.overload) == true)
    }

    @Test func `a thousand LSPs cross a wire within seconds`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2), c = network.add(3)
        network.join([a, b], .pointToPoint)
        network.start()
        network.run(.seconds(30))
        for i in 0..<1000 {
            let id = LSPID(SystemID(raw: 0x1921_6801_0000 | UInt64(i)))
            network.inject(Self.lsp(id, 1), to: .init(router: a, interface: 0), from: network.station(b))
        }
        network.join([a, c], .pointToPoint)
        network.configure(a)
        network.configure(c)
        network.run(.seconds(8))
        #expect(network.machine(c).databases[1].count == 1003)
        #expect(network.machine(a).databases[1].circuits[1].srm.isEmpty)
    }
}
