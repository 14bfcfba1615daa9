import Machine
import Records
import Routing
import Testing
import Wire
@testable import ISIS

/// What a neighbour can fill, and what fits a link.
@Suite struct BoundTests {
    private func prefix(_ n: Int) -> IPPrefix { .v4(IPv4Prefix(IPv4Address(raw: 0x2000_0000 | UInt32(n) << 8), 24)) }
    private func redistribute(_ network: VirtualNetwork, _ router: Int, _ range: Range<Int>, isThere: Bool = true) {
        network.input(
            router,
            .redistribute(
                range.map {
                    RedistributionUpdate(prefix($0), isThere ? RedistributedRoute(source: .static) : nil)
                }))
    }
    private func learned(_ network: VirtualNetwork, _ router: Int) -> Int {
        network.routers[router].routes.count {
            guard $0.value != nil as RouteOffer?, case .v4(let p) = $0.key else { return false }
            return p.address.raw >> 24 >= 0x20 && p.address.raw >> 24 < 0x40
        }
    }
    /// Prefixes of an LSP, as TLVs of wide metrics.
    private func body(_ count: Int, from first: Int) -> [UInt8] {
        var body: [UInt8] = []
        for start in stride(from: first, to: first + count, by: 25) {
            let n = min(25, first + count - start)
            body += [135, UInt8(n * 8)]
            for i in start..<(start + n) { body += [0, 0, 0, 1, 24, 0x20 | UInt8(i >> 16), UInt8(i >> 8 & 255), UInt8(i & 255)] }
        }
        return body
    }

    @Test func `CSNPs of invented LSP IDs fill a bound of their own and nothing else`() {
        let network = FloodingTests.pair()
        for round in 0..<600 {
            var entries: [LSPEntry] = []
            for i in 0..<88 {
                let id = LSPID(SystemID(raw: 0x0200_0000_0000 | UInt64(round * 88 + i)))
                entries.append(LSPEntry(id: id, sequenceNumber: 7, remainingLifetime: 900, checksum: 0x1234))
            }
            let csnp = CSNP(level: .two, source: network.id(1), start: .minimum, end: .maximum, entries: entries)
            network.inject(csnp.encoded(), to: .init(router: 0, interface: 0), from: network.station(1))
        }
        let machine = network.machine(0)
        #expect(machine.databases[1].requestedCount == 8192)
        #expect(machine.databases[1].lspCount == 2)
        #expect(machine.counters[.tooManyRequested] == 600 * 88 - 8192)
        network.inject(
            FloodingTests.lsp(FloodingTests.foreign, 5), to: .init(router: 0, interface: 0), from: network.station(1))
        #expect(FloodingTests.entry(network, 0, FloodingTests.foreign)?.sequence == 5)
        #expect(!network.machine(0).isOverloaded(.two))
        network.run(.seconds(70))
        #expect(network.machine(0).databases[1].requestedCount == 0)
        #expect(network.upNeighbors(0) == [network.id(1)])
    }

    @Test func `a full database stays full of LSPs, whatever is asked for, and says so`() {
        let network = FloodingTests.pair { $0.limits.lsps = 16 }
        for i in 0..<40 {
            network.inject(
                FloodingTests.lsp(LSPID(SystemID(raw: 0x0300_0000_0000 | UInt64(i))), 5), to: .init(router: 0, interface: 0),
                from: network.station(1))
        }
        #expect(network.machine(0).databases[1].lspCount == 16)
        #expect(network.machine(0).isOverloaded(.two))
    }

    @Test func `octets and routes of a level are bounded like its LSPs`() {
        for isRoutes in [false, true] {
            let network = FloodingTests.pair {
                if isRoutes { $0.limits.routes = 1000 } else { $0.limits.octets = 20_000 }
            }
            for i in 0..<100 {
                let bytes = LSPBuilder.encode(
                    level: .two, id: LSPID(SystemID(raw: 0x0300_0000_0000 | UInt64(i))), sequenceNumber: 1,
                    remainingLifetime: 1000, flags: .level2, body: body(150, from: i * 150), key: nil)
                network.inject(bytes, to: .init(router: 0, interface: 0), from: network.station(1))
            }
            let database = network.machine(0).databases[1]
            #expect(database.octetCount <= 21_500)
            if isRoutes { #expect(network.machine(0).calculation.routes.announcementCount[1] < 1160) }
            #expect(database.count < 25)
            #expect(network.machine(0).isOverloaded(.two))
            #expect(network.routers[0].events.count { $0.contains("database is full") } == 1)
            // The counts are the same after a take-over.
            var writer = SnapshotWriter()
            network.machine(0).write(to: &writer)
            var reader = SnapshotReader(writer.bytes)
            guard let twin = try? ISISInstance(from: &reader) else {
                Issue.record("not restored")
                return
            }
            #expect(twin.databases[1].octetCount == database.octetCount)
            #expect(twin.calculation.routes.announcementCount == network.machine(0).calculation.routes.announcementCount)
        }
    }

    @Test(arguments: [ISISNetworkType.broadcast, .pointToPoint])
    func `own LSPs are no larger than the smallest link carries`(_ type: ISISNetworkType) {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2), c = network.add(3)
        network.join([a, b], type, mtu: 900)
        network.join([a, c], type)
        network.start()
        redistribute(network, a, 0..<1000)
        network.run(.seconds(60))
        #expect(learned(network, b) == 1000)
        #expect(learned(network, c) == 1000)
        #expect(network.machine(a).counters[.tooLarge] == 0)
        // The link grows, and shrinks again.
        for mtu: UInt16 in [1500, 700] {
            network.routers[a].interfaces[0].mtu = mtu
            network.configure(a)
            network.run(.seconds(30))
            redistribute(network, a, 0..<1000, isThere: false)
            network.run(.seconds(30))
            redistribute(network, a, 0..<1000)
            network.run(.seconds(30))
            #expect(learned(network, b) == 1000, "\(mtu)")
        }
    }

    @Test func `an LSP of somebody else that does not fit a link is told of, once a minute`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2), c = network.add(3)
        network.join([a, b], .pointToPoint)
        network.join([b, c], .pointToPoint, mtu: 900)
        network.start()
        redistribute(network, a, 0..<1000)
        network.run(.seconds(30))
        #expect(network.routers[b].events.count { $0.contains("does not fit eth1") } == 1)
        #expect(network.machine(b).counters[.tooLarge] > 1)
    }

    @Test(arguments: [ISISNetworkType.broadcast, .pointToPoint])
    func `more routes than 256 LSPs hold come and go, over a link that loses a third of it`(_ type: ISISNetworkType) {
        let network = FloodingTests.pair(type) { $0.limits.redistributed = 100_000 }
        var random = RandomNumbers(seed: 4)
        network.passes = { from, _, packet in
            from.router != 0 || PDUHeader.peekType(packet.bytes.span.bytes) != .level2LSP || random.number(in: 0...2) > 0
        }
        redistribute(network, 0, 0..<60_000)
        network.run(.seconds(40))
        #expect(network.routers[0].events.contains { $0.contains("are left out") })
        #expect(learned(network, 1) > 20_000)
        redistribute(network, 0, 200..<60_000, isThere: false)
        network.run(.seconds(70))
        #expect(learned(network, 1) == 200)
        #expect(network.machine(0).databases[1].lspCount < 260)
        network.run(.seconds(60))
        #expect(network.database(0) == network.database(1))
    }

    @Test func `the end of an own LSP is not forgotten before a point-to-point neighbor has heard of it`() {
        let network = FloodingTests.pair()
        redistribute(network, 0, 0..<2000)
        network.run(.seconds(20))
        #expect(learned(network, 1) == 2000)
        // The neighbour is too busy to hear LSPs, and goes on with its hellos.
        network.passes = { from, _, packet in
            from.router != 0 || PDUHeader.peekType(packet.bytes.span.bytes) != .level2LSP
        }
        redistribute(network, 0, 200..<2000, isThere: false)
        network.run(.seconds(180))
        network.passes = { _, _, _ in true }
        network.run(.seconds(15))
        #expect(learned(network, 1) == 200)
        network.run(.seconds(70))
        #expect(network.machine(0).databases[1].count == 3)
    }

    @Test func `redistributed routes are bounded, in the order of prefixes, and an alarm tells of it`() {
        let network = FloodingTests.pair { $0.limits.redistributed = 100 }
        redistribute(network, 0, 50..<250)
        network.run(.seconds(10))
        #expect(learned(network, 1) == 100)
        #expect(network.routers[0].events.count { $0.contains("200 routes are redistributed; the first 100") } == 1)
        redistribute(network, 0, 0..<10)
        redistribute(network, 0, 100..<250, isThere: false)
        network.run(.seconds(10))
        #expect(learned(network, 1) == 60)
        #expect(network.routers[0].events.count { $0.contains("are redistributed") } == 1)
    }

    @Test func `another router with our system ID is an alarm, once a minute`() {
        for type in [ISISNetworkType.broadcast, .pointToPoint] {
            let network = FloodingTests.pair(type)
            let hello = network.routers[0].sent.first {
                [.level2LANHello, .pointToPointHello].contains(PDUHeader.peekType($0.bytes.span.bytes))
            }
            for _ in 0..<5 {
                network.inject(
                    hello?.bytes ?? [], to: .init(router: 0, interface: 0), from: MACAddress(raw: 0x0200_0000_7777))
            }
            #expect(network.routers[0].events.count { $0.contains("has our system ID") } == 1)
            network.run(.seconds(61))
            network.inject(hello?.bytes ?? [], to: .init(router: 0, interface: 0), from: MACAddress(raw: 0x0200_0000_7777))
            #expect(network.routers[0].events.count { $0.contains("has our system ID") } == 2)
        }
    }

    @Test func `7.3.16.1: a forged LSP of ours with the last sequence number is purged under that number`() {
        let network = VirtualNetwork()
        let a = network.add(1), b = network.add(2), c = network.add(3)
        network.join([a, b], .pointToPoint)
        network.join([b, c], .pointToPoint)
        network.start()
        network.run(.seconds(40))
        let own = LSPID(network.id(a))
        network.inject(FloodingTests.lsp(own, .max), to: .init(router: b, interface: 1), from: network.station(c))
        network.run(.seconds(10))
        for router in [a, b, c] {
            let entry = FloodingTests.entry(network, router, own)
            #expect(entry?.sequence == .max && entry?.isPurged == true, "\(router)")
        }
        network.run(.seconds(1300))
        #expect(FloodingTests.entry(network, c, own).map { $0.sequence < 5 && !$0.isPurged } == true)
    }
}
