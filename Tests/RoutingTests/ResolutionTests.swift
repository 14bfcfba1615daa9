import Machine
import Records
import Testing
import Wire

@testable import Routing

@Suite struct ResolutionTests {
    private typealias Table = RoutingTable<IPv4Prefix>
    private typealias Static = StaticRouteSpecification<IPv4Prefix>

    private func statics(_ routes: (String, NextHop, UInt8)...) -> [Static] {
        routes.map { Static(prefix: Words.prefix($0.0), nextHop: $0.1, distance: $0.2, tag: 0) }
    }
    private func connected() -> Table {
        var table = Table(seed: 7)
        table.offer(Words.prefix("192.0.2.0/24"), from: .connected, distance: 0, .connected(InterfaceID(0)))
        table.offer(Words.prefix("198.51.100.0/24"), from: .connected, distance: 0, .connected(InterfaceID(1)))
        return table
    }
    private func bgp(_ prefix: String, _ gateway: String, backup: String? = nil) -> Table.Change {
        Table.Change(Words.prefix(prefix), (1, 20, Words.address(gateway), backup.map(Words.address)))
    }

    @Test func `a next hop is not resolved through the default route nor through BGP`() {
        var table = connected()
        table.offer(Words.prefix("0.0.0.0/0"), from: .ospf, distance: 110, Words.via("192.0.2.9", 0))
        table.apply([bgp("10.0.0.0/8", "192.0.2.7")], from: .bgp)
        #expect(!table.watch(Words.address("10.1.1.1")).isReachable)
        #expect(table.lookup(Words.address("10.1.1.1"))?.prefix == Words.prefix("10.0.0.0/8"))
        table.offer(Words.prefix("10.1.0.0/16"), from: .isis, distance: 115, metric: 30, Words.via("192.0.2.8", 0))
        let news = table.takeNextHopNews()
        #expect(news.map(\.address) == [Words.address("10.1.1.1")])
        #expect(news.first?.metric == 30)
        // The router's own packets do follow the default route.
        #expect(table.way(to: Words.address("172.16.0.1")) == Words.hop(0, "192.0.2.9"))
    }

    @Test func `a better BGP route for the prefix that resolves a next hop does not hide it`() {
        var table = connected()
        table.offer(Words.prefix("10.1.0.0/16"), from: .ospf, distance: 110, metric: 5, Words.via("192.0.2.8", 0))
        table.apply([bgp("10.1.0.0/16", "10.1.0.1")], from: .bgp)
        let route = table.active(Words.prefix("10.1.0.0/16"))
        #expect(route?.source == .bgp)
        #expect(route?.resolved == [Words.hop(0, "192.0.2.8")])
    }

    @Test func `a route over a next hop takes all the ways of an interior route with several`() {
        var table = connected()
        table.offer(
            Words.prefix("10.1.0.0/16"), from: .ospf, distance: 110, Words.via("192.0.2.8", 0), Words.via("198.51.100.8", 1))
        table.apply([bgp("172.16.0.0/12", "10.1.0.1")], from: .bgp)
        #expect(
            table.active(Words.prefix("172.16.0.0/12"))?.resolved == [Words.hop(0, "192.0.2.8"), Words.hop(1, "198.51.100.8")])
        table.setInterfaces([false, true])
        #expect(table.active(Words.prefix("172.16.0.0/12"))?.resolved == [Words.hop(1, "198.51.100.8")])
        table.setInterfaces([true, true])
        #expect(table.active(Words.prefix("172.16.0.0/12"))?.resolved.count == 2)
    }

    @Test func `a lost next hop is replaced by its backup in one group and no route`() {
        var table = connected()
        table.offer(Words.prefix("10.1.0.1/32"), from: .ospf, distance: 110, Words.via("192.0.2.8", 0))
        table.offer(Words.prefix("10.2.0.1/32"), from: .ospf, distance: 110, Words.via("198.51.100.8", 1))
        table.apply(
            (0..<1000).map { bgp("20.\($0 / 250).\($0 % 250).0/24", "10.1.0.1", backup: "10.2.0.1") }, from: .bgp)
        var update = FIBUpdate()
        #expect(table.takeForwarding(into: &update).count == 1004)
        table.withdraw(Words.prefix("10.1.0.1/32"), from: .ospf)
        update = FIBUpdate()
        #expect(table.takeForwarding(into: &update) == [.init(Words.prefix("10.1.0.1/32"), group: 0)])
        #expect(
            update.groups == [
                .init(id: table.active(Words.prefix("20.0.0.0/24"))!.group, nextHops: [Words.hop(1, "198.51.100.8")])
            ])
        // With the backup lost as well packets are dropped, until BGP has another route or none.
        table.setInterfaces([true, false])
        update = FIBUpdate()
        #expect(table.takeForwarding(into: &update).isEmpty)
        #expect(update.groups.contains { $0.id == table.active(Words.prefix("20.0.0.0/24"))!.group && $0.nextHops.isEmpty })
    }

    @Test func `thirty thousand backups behind one primary come and go, and those that stay follow it`() {
        var table = connected()
        table.offer(Words.prefix("10.1.0.1/32"), from: .ospf, distance: 110, Words.via("192.0.2.8", 0))
        func change(_ i: UInt32, isThere: Bool) -> Table.Change {
            Table.Change(
                IPv4Prefix(IPv4Address(raw: 0x1400_0000 | i << 8), 24),
                isThere ? (1, 20, Words.address("10.1.0.1"), IPv4Address(raw: 0x0a02_0000 | i)) : nil)
        }
        table.apply((0..<30_000 as Range<UInt32>).map { change($0, isThere: true) }, from: .bgp)
        table.apply((7..<30_000 as Range<UInt32>).map { change($0, isThere: false) }, from: .bgp)
        table.apply((100..<110 as Range<UInt32>).map { change($0, isThere: true) }, from: .bgp)
        table.offer(Words.prefix("10.1.0.1/32"), from: .ospf, distance: 110, Words.via("198.51.100.8", 1))
        for i in Array(0..<7) + Array(100..<110) as [UInt32] {
            let prefix = IPv4Prefix(IPv4Address(raw: 0x1400_0000 | i << 8), 24)
            #expect(table.active(prefix)?.resolved == [Words.hop(1, "198.51.100.8")])
        }
        table.apply((0..<200 as Range<UInt32>).map { change($0, isThere: false) }, from: .bgp)
        #expect(table.tracked.find(Words.address("10.1.0.1")) == nil)
    }

    @Test func `static routes of one distance share the load, and a floating one waits`() {
        var table = connected()
        table.setStatics(
            statics(
                ("10.0.0.0/8", Words.gateway("192.0.2.1"), 1), ("10.0.0.0/8", Words.gateway("198.51.100.1"), 1),
                ("10.0.0.0/8", .blackhole, 250)))
        let prefix = Words.prefix("10.0.0.0/8")
        #expect(table.active(prefix)?.resolved == [Words.hop(0, "192.0.2.1"), Words.hop(1, "198.51.100.1")])
        table.withdraw(Words.prefix("192.0.2.0/24"), from: .connected)
        #expect(table.active(prefix)?.resolved == [Words.hop(1, "198.51.100.1")])
        table.withdraw(Words.prefix("198.51.100.0/24"), from: .connected)
        #expect(table.active(prefix)?.distance == 250)
        #expect(table.active(prefix)?.resolved == [])
        table.setStatics([])
        #expect(table.active(prefix) == nil)
    }

    @Test func `a next hop whose very address the operator drops is usable, and drops`() {
        var table = connected()
        table.apply([bgp("203.0.113.66/32", "10.9.9.9", backup: "192.0.2.9")], from: .bgp)
        #expect(!table.watch(Words.address("10.9.9.9")).isReachable)
        table.setStatics(statics(("10.9.9.9/32", .blackhole, 1)))
        #expect(table.takeNextHopNews().map(\.isReachable) == [true])
        // The backup leads somewhere, and is for a next hop that is lost.
        let attacked = Words.prefix("203.0.113.66/32")
        #expect(table.active(attacked)?.resolved == [])
        #expect(table.active(attacked)?.isBlackhole == true)
        // Over another static route, too.
        table.setStatics(statics(("10.9.9.9/32", .blackhole, 1), ("10.8.8.8/32", Words.gateway("10.9.9.9"), 1)))
        #expect(table.watch(Words.address("10.8.8.8")).isReachable)
        #expect(table.active(Words.prefix("10.8.8.8/32"))?.isBlackhole == true)
        _ = table.takeNextHopNews()
        table.setStatics([])
        #expect(table.takeNextHopNews().map(\.isReachable) == [false, false])
        #expect(table.active(attacked)?.resolved == [Words.hop(0, "192.0.2.9")])
        #expect(table.active(attacked)?.isBlackhole == false)
    }

    @Test func `an aggregate that drops makes no next hop in it usable`() {
        var table = connected()
        table.setStatics(statics(("10.0.0.0/8", .blackhole, 1)))
        #expect(!table.watch(Words.address("10.1.0.1")).isReachable)
        table.offer(Words.prefix("10.1.0.1/32"), from: .ospf, distance: 110, Words.via("192.0.2.8", 0))
        #expect(table.takeNextHopNews().map(\.isReachable) == [true])
        table.withdraw(Words.prefix("10.1.0.1/32"), from: .ospf)
        #expect(table.takeNextHopNews().map(\.isReachable) == [false])
    }

    @Test func `the discard prefix of IPv6 drops as a whole`() throws {
        var table = RoutingTable<IPv6Prefix>(seed: 7)
        let next = try #require(IPv6Address("100::9"))
        #expect(!table.watch(next).isReachable)
        let route = { StaticRouteSpecification<IPv6Prefix>(prefix: $0, nextHop: .blackhole, distance: 1, tag: 0) }
        table.setStatics([route(.discardOnly)])
        #expect(table.watch(next).isReachable)
        table.setStatics([route(try #require(IPv6Prefix("100::/56")))])
        #expect(!table.watch(next).isReachable)
    }

    @Test func `a static route is followed over other static routes and interior ones`() {
        var table = connected()
        table.setStatics(
            statics(("10.0.0.0/8", Words.gateway("172.16.0.1"), 1), ("172.16.0.0/12", Words.gateway("203.0.113.5"), 1)))
        #expect(table.count == 2)
        table.offer(Words.prefix("203.0.113.0/24"), from: .ospf, distance: 110, metric: 40, Words.via("192.0.2.3", 0))
        #expect(table.active(Words.prefix("10.0.0.0/8"))?.resolved == [Words.hop(0, "192.0.2.3")])
        #expect(table.watch(Words.address("10.9.9.9")).metric == 42)
        table.withdraw(Words.prefix("203.0.113.0/24"), from: .ospf)
        #expect(table.active(Words.prefix("10.0.0.0/8")) == nil)
    }

    @Test func `a static route does not resolve itself, nor do two resolve each other`() {
        var table = connected()
        table.setStatics(
            statics(
                ("10.1.0.0/16", Words.gateway("10.2.0.1"), 1), ("10.2.0.0/16", Words.gateway("10.1.0.1"), 1),
                ("10.3.0.0/16", Words.gateway("10.3.0.1"), 1)))
        for text in ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"] { #expect(table.active(Words.prefix(text)) == nil) }
        // A way that depends on none of them makes all of them usable, and its end unusable again.
        table.offer(Words.prefix("10.0.0.0/8"), from: .ospf, distance: 110, Words.via("192.0.2.3", 0))
        for text in ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"] {
            #expect(table.active(Words.prefix(text))?.resolved == [Words.hop(0, "192.0.2.3")])
        }
        table.offer(Words.prefix("10.0.0.0/8"), from: .ospf, distance: 110, Words.via("198.51.100.3", 1))
        for text in ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"] {
            #expect(table.active(Words.prefix(text))?.resolved == [Words.hop(1, "198.51.100.3")])
        }
        table.withdraw(Words.prefix("10.0.0.0/8"), from: .ospf)
        for text in ["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"] { #expect(table.active(Words.prefix(text)) == nil) }
    }

    @Test func `only next hops under a changed route are resolved again`() {
        var table = connected()
        table.offer(Words.prefix("10.0.0.0/8"), from: .ospf, distance: 110, metric: 1, Words.via("192.0.2.3", 0))
        table.offer(Words.prefix("10.1.0.0/16"), from: .ospf, distance: 110, metric: 2, Words.via("192.0.2.4", 0))
        for i in 0..<200 { _ = table.watch(IPv4Address(raw: 0x0a01_0000 + UInt32(i))) }
        _ = table.watch(Words.address("10.2.0.1"))
        table.offer(Words.prefix("10.0.0.0/8"), from: .ospf, distance: 110, metric: 9, Words.via("192.0.2.3", 0))
        #expect(table.news == [Words.address("10.2.0.1")])
    }

    /// Everything that resolution keeps must be what it would be worked out to be from the table alone.
    private func check(_ table: RoutingTable<IPv4Prefix>) {
        var fresh = table
        for place in fresh.tracked.all() {
            let address = fresh.tracked.address(place)
            let kept = fresh.tracked.entries[Int(place)].resolution, right = fresh.resolve(address)
            #expect(kept.hops == right.hops && kept.metric == right.metric, "\(address): \(kept), not \(right)")
        }
        for number in fresh.sets.present {
            let before = fresh.sets.resolved[Int(number)]
            fresh.resolveSet(number)
            #expect(fresh.sets.resolved[Int(number)] == before)
        }
        for destination in fresh.destinations {
            let right = fresh.resolve(destination.address, allowsDefault: true)
            #expect(destination.resolution.hops == right.hops)
        }
    }

    /// What a kernel holds that was told every update.
    private struct Kernel {
        var groups: [UInt32: [FIBNextHop]] = [:]
        var routes: [IPv4Prefix: UInt32] = [:]

        mutating func take(_ update: FIBUpdate) {
            if update.isComplete { self = Kernel() }
            for group in update.groups { groups[group.id] = group.nextHops }
            for route in update.ipv4 {
                #expect(route.group == 0 || groups[route.group] != nil, "a route of a group nobody knows")
                routes[route.prefix] = route.group == 0 ? nil : route.group
            }
            for id in update.removedGroups {
                #expect(!routes.values.contains(id), "a group is removed that a route uses")
                groups[id] = nil
            }
        }
    }

    @Test(arguments: 1...10) func `random routes: what is kept is right, a kernel has what the table says, a twin has the same`(
        seed: Int
    ) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        var table = Table(seed: 5)
        var kernel = Kernel()
        func address() -> IPv4Address {
            IPv4Address(
                raw: UInt32(random.number(in: 10...12)) << 24 | UInt32(random.number(in: 0...3)) << 16
                    | UInt32(random.number(in: 0...3)))
        }
        func prefix() -> IPv4Prefix { IPv4Prefix(address(), [0, 7, 8, 15, 16, 30, 32][random.number(in: 0...6)]) }
        func nextHop() -> NextHop { .via(.v4(address()), InterfaceID(UInt16(random.number(in: 0...3)))) }
        for step in 0..<200 {
            switch random.number(in: 0...15) {
            case 0...4:
                let source: RouteProtocol = [.ospf, .isis, .rip][random.number(in: 0...2)]
                let p = prefix()
                if random.chance(1, in: 3) {
                    table.withdraw(p, from: source)
                } else {
                    table.apply(
                        [
                            RouteUpdate(
                                p.anyFamily,
                                RouteOffer(
                                    nextHops: (0..<random.number(in: 1...3)).map { _ in nextHop() },
                                    metric: UInt32(random.number(in: 1...5)),
                                    distance: UInt8([110, 115, 120, 255][random.number(in: 0...3)]),
                                    tag: UInt32(random.number(in: 0...1))))
                        ], from: source)
                }
            case 5:
                let interface = UInt16(random.number(in: 0...3))
                let p = IPv4Prefix(IPv4Address(raw: 0x0b00_0000 | UInt32(interface) << 16), 24)
                if random.chance(1, in: 3) {
                    table.withdraw(p, from: .connected)
                } else {
                    table.offer(p, from: .connected, distance: 0, .connected(InterfaceID(interface)))
                }
            case 6...10:
                let p = prefix()
                if random.chance(1, in: 3) {
                    table.apply([.init(p, nil)], from: .bgp)
                } else {
                    table.apply(
                        [
                            .init(
                                p,
                                (
                                    1, [20, 200][random.number(in: 0...1)], random.chance(1, in: 9) ? nil : address(),
                                    random.chance(1, in: 2) ? address() : nil
                                ))
                        ],
                        from: .bgp)
                }
            case 11: table.setInterfaces((0...3).map { _ in random.chance(3, in: 4) })
            case 12:
                table.setStatics(
                    (0..<random.number(in: 0...8)).map { _ in
                        Static(
                            prefix: prefix(), nextHop: random.chance(1, in: 8) ? .blackhole : .gateway(.v4(address())),
                            distance: UInt8([1, 5, 130][random.number(in: 0...2)]), tag: UInt32(random.number(in: 0...1)))
                    })
            case 13: _ = table.watch(address())
            case 14: table.unwatch(address())
            default:
                table.setDestinations(
                    [address(), address(), address()].reduce(into: []) { if !$0.contains($1) { $0.append($1) } })
            }
            check(table)
            _ = table.takeNextHopNews()
            if random.chance(1, in: 3) {
                var update = FIBUpdate()
                update.ipv4 = table.takeForwarding(into: &update)
                kernel.take(update)
                var complete = Kernel(), whole = FIBUpdate()
                whole.isComplete = true
                whole.ipv4 = table.completeForwarding(into: &whole)
                complete.take(whole)
                #expect(kernel.routes == complete.routes)
                #expect(kernel.groups == complete.groups)
                for _ in 0..<5 {
                    let probe = address()
                    let found = kernel.routes.keys.filter { $0.contains(probe) }.max { $0.length < $1.length }
                    #expect(found == table.lookup(probe)?.prefix)
                    #expect(found.map { kernel.groups[kernel.routes[$0]!]! } == table.lookup(probe)?.resolved)
                }
                if step % 5 == 0 {
                    var twin = try table.restored()
                    #expect(twin.digest == table.digest)
                    check(twin)
                    // Both go on alike.
                    for _ in 0..<3 {
                        let p = prefix(), next = nextHop()
                        twin.offer(p, from: .ospf, distance: 110, next)
                        table.offer(p, from: .ospf, distance: 110, next)
                        #expect(twin.digest == table.digest)
                        #expect(twin.takeNextHopNews().map(\.address) == table.takeNextHopNews().map(\.address))
                    }
                    var a = FIBUpdate(), b = FIBUpdate()
                    a.ipv4 = table.takeForwarding(into: &a)
                    b.ipv4 = twin.takeForwarding(into: &b)
                    #expect(a == b)
                    kernel.take(a)
                    table = twin
                }
            }
        }
    }
}
