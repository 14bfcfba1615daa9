import Machine
import Records
import Routing
import Testing
import Wire

@testable import RIP

@Suite struct DecisionTests {
    private let a = IPv4Address(10, 0, 0, 2)
    private let b = IPv4Address(10, 0, 0, 3)
    private let net = "172.16.0.0/16"

    private func via(_ addresses: IPv4Address...) -> [NextHop] { addresses.map { .via(.v4($0), InterfaceID(0)) } }

    @Test func `RFC 2453 §3.9.2: a new destination is added, an unusable one is not`() {
        let d = Driver().begin()
        d.learn([(net, 3), ("172.17.0.0/16", 16), ("172.18.0.0/16", 15)], tag: 42)
        #expect(d.offer(net) == RouteOffer(nextHops: via(a), metric: 4, distance: 120, tag: 42))
        #expect(d.route("172.17.0.0/16") == nil)
        #expect(d.route("172.18.0.0/16") == nil)
    }

    @Test func `RFC 2453 §3.9.2: a lower metric takes over, a higher one from elsewhere is ignored`() {
        let d = Driver().begin()
        d.learn([(net, 3)], from: a)
        d.learn([(net, 5)], from: b)
        #expect(d.offer(net)?.nextHops == via(a))
        d.learn([(net, 2)], from: b)
        #expect(d.offer(net) == RouteOffer(nextHops: via(b), metric: 3, distance: 120))
    }

    @Test func `RFC 2453 §3.9.2: the gateway itself is believed for better and worse`() {
        let d = Driver().begin()
        d.learn([(net, 3)])
        d.learn([(net, 9)])
        #expect(d.offer(net)?.metric == 10)
        d.learn([(net, 1)])
        #expect(d.offer(net)?.metric == 2)
        _ = d.take()
        d.learn([(net, 1)])
        #expect(d.updates.isEmpty)
        d.learn([(net, 1)], tag: 3)
        #expect(d.offer(net)?.tag == 3)
        d.learn([(net, 1)], tag: 3, nextHop: b)
        #expect(d.offer(net)?.nextHops == via(b))
    }

    @Test func `equal metrics share the load, up to the limit`() {
        let d = Driver { $0.maximumPaths = 2 }.begin()
        let c = IPv4Address(10, 0, 0, 4)
        d.learn([(net, 3)], from: b)
        d.learn([(net, 3)], from: a)
        #expect(d.offer(net)?.nextHops == via(a, b))
        d.learn([(net, 3)], from: c)
        #expect(d.offer(net)?.nextHops == via(a, b))
        // One of them gets worse: it goes; the other one: it is believed.
        d.learn([(net, 4)], from: a)
        #expect(d.offer(net)?.nextHops == via(b))
        d.learn([(net, 4)], from: b)
        #expect(d.offer(net) == RouteOffer(nextHops: via(b), metric: 5, distance: 120))
        d.learn([(net, 4)], from: a)
        d.learn([(net, 16)], from: b)
        #expect(d.offer(net) == RouteOffer(nextHops: via(a), metric: 5, distance: 120))
    }

    @Test func `RFC 2453 §3.9.2: with one path, an equal gateway replaces one that is half way to its timeout`() {
        let d = Driver { $0.maximumPaths = 1 }.begin()
        d.learn([(net, 3)], from: a)
        d.run(.seconds(89))
        d.learn([(net, 3)], from: b)
        #expect(d.offer(net)?.nextHops == via(a))
        d.run(.seconds(1))
        d.learn([(net, 3)], from: b)
        #expect(d.offer(net)?.nextHops == via(b))
    }

    @Test func `RFC 2453 §3.8: a route times out after 180 seconds and is forgotten after 120 more`() {
        let d = Driver().begin()
        d.learn([(net, 3), ("172.17.0.0/16", 3)])
        d.run(.seconds(100))
        d.learn([(net, 3)])
        d.run(.seconds(79))
        #expect(d.route("172.17.0.0/16")?.metric == 4)
        _ = d.take()
        d.run(.seconds(1))
        #expect(d.updates == [RouteUpdate(IPPrefix("172.17.0.0/16")!, nil)])
        #expect(d.route("172.17.0.0/16")?.garbageAt != nil)
        #expect(d.route(net)?.metric == 4)
        d.run(.seconds(6))
        #expect(d.packets(on: 1).contains { text($0).contains("172.17.0.0/16 16") })
        d.run(.seconds(113))
        #expect(d.route("172.17.0.0/16") != nil)
        d.run(.seconds(1))
        #expect(d.route("172.17.0.0/16") == nil)
    }

    @Test func `RFC 2453 §3.9.2: infinity from the gateway begins the deletion, a new route ends it`() {
        let d = Driver().begin()
        d.learn([(net, 3)])
        d.learn([(net, 16)])
        #expect(d.updates.last == RouteUpdate(IPPrefix(net)!, nil))
        d.learn([(net, 16)])
        d.run(.seconds(60))
        d.learn([(net, 5)], from: b)
        #expect(d.offer(net)?.nextHops == via(b))
        #expect(d.route(net)?.garbageAt == nil)
        for _ in 0..<10 {
            d.run(.seconds(30))
            d.learn([(net, 5)], from: b)
        }
        #expect(d.route(net)?.metric == 6)
    }

    @Test func `a neighbour that is not heard any more is forgotten`() {
        let d = Driver().begin()
        d.learn([(net, 3)])
        d.run(.seconds(170))
        #expect(d.instance.neighborOrder.count == 1)
        d.run(.seconds(11))
        #expect(d.instance.neighborOrder.isEmpty)
        #expect(d.events.last?.contains("10.0.0.2 on eth0 is gone") == true)
    }

    // MARK: our own routes

    private func foreign(_ prefix: String, metric: UInt32? = nil, tag: UInt32 = 0, nextHop: IPAddress? = nil)
        -> RIPInstance.Input
    {
        .redistribute([
            RedistributionUpdate(
                IPPrefix(prefix)!, RedistributedRoute(source: .static, metric: metric, tag: tag, nextHop: nextHop))
        ])
    }
    private func withdrawal(_ prefix: String) -> RIPInstance.Input {
        .redistribute([RedistributionUpdate(IPPrefix(prefix)!, nil)])
    }
    /// What the next whole update says on `eth1`.
    private func said(_ d: Driver) -> [String] {
        d.run(.seconds(40))
        defer { _ = d.take() }
        return d.packets(on: 1).last.map { text($0).sorted() } ?? []
    }

    @Test func `redistributed routes go out with their metric or the default one, and their tag`() {
        let d = Driver { $0.defaultMetric = 4 }.begin()
        d.input(foreign("192.0.2.0/24"))
        d.input(foreign("198.51.100.0/24", metric: 9, tag: 77))
        d.input(foreign("203.0.113.0/24", metric: 4_000_000))
        d.input(foreign("2001:db8::/32"))
        #expect(said(d) == ["10.0.0.0/24 1", "192.0.2.0/24 4", "198.51.100.0/24 9 tag 77", "203.0.113.0/24 16"])
        #expect(d.updates.isEmpty)
        d.input(withdrawal("192.0.2.0/24"))
        #expect(said(d).contains("192.0.2.0/24 16"))
        d.run(.seconds(120))
        #expect(d.route("192.0.2.0/24") == nil)
    }

    @Test func `RFC 2453 §4.4: a redistributed route names a nearer gateway on its network only`() {
        let d = Driver().begin()
        d.input(foreign("192.0.2.0/24", nextHop: .v4(IPv4Address(10, 0, 1, 9))))
        d.run(.seconds(40))
        #expect(text(d.packets(on: 1).last!).contains("192.0.2.0/24 1 via 10.0.1.9"))
        #expect(text(d.packets(on: 0).last!).contains("192.0.2.0/24 1"))
    }

    @Test func `our own route is announced before what was learned, which comes back`() {
        let d = Driver().begin()
        d.learn([(net, 3)])
        d.input(foreign(net, metric: 7))
        #expect(said(d).contains("172.16.0.0/16 7"))
        #expect(d.route(net)?.pathCount == 1)
        d.learn([(net, 3)])
        d.input(withdrawal(net))
        #expect(said(d).contains("172.16.0.0/16 4"))
    }

    @Test func `a default route is announced always, or with the metric of one that is redistributed`() {
        let always = Driver { $0.defaultOriginate = RIPDefaultOriginate(always: true, metric: 3, tag: 5) }.begin()
        #expect(said(always).contains("0.0.0.0/0 3 tag 5"))
        always.input(foreign("0.0.0.0/0", metric: 9))
        always.input(withdrawal("0.0.0.0/0"))
        #expect(said(always).contains("0.0.0.0/0 3 tag 5"))
        always.configuration.defaultOriginate = nil
        always.input(.configure(always.configuration, always.list))
        #expect(said(always).contains("0.0.0.0/0 16"))

        let some = Driver { $0.defaultOriginate = RIPDefaultOriginate(metric: 3) }.begin()
        #expect(!said(some).contains { $0.hasPrefix("0.0.0.0/0") })
        some.input(foreign("0.0.0.0/0"))
        #expect(said(some).contains("0.0.0.0/0 3"))
    }

    // MARK: interfaces, BFD, operators

    @Test func `an interface that goes down takes its routes along`() {
        let d = Driver().begin()
        d.learn([(net, 3)])
        _ = d.take()
        d.input(.interface(InterfaceID(0), isUp: false))
        #expect(d.updates == [RouteUpdate(IPPrefix(net)!, nil)])
        d.run(.seconds(6))
        #expect(text(d.packets(on: 1)[0]).sorted() == ["10.0.0.0/24 16", "172.16.0.0/16 16"])
        #expect(d.packets(on: 0).isEmpty)
        d.learn([(net, 3)])
        #expect(d.counter(.notEnabled) == 1)
        _ = d.take()
        d.input(.interface(InterfaceID(0), isUp: true))
        #expect(text(d.packets(on: 0)[0]) == ["whole 16"])
        d.run(.seconds(2))
        #expect(text(d.packets(on: 0).last!).sorted() == ["10.0.1.0/24 1", "172.16.0.0/16 16"])
    }

    @Test func `RFC 5882 §4.2: BFD is asked to watch neighbours, and what it lost is not believed for a while`() {
        let d = Driver { $0.interfaces[0].bfd = true }.begin()
        d.learn([(net, 3)])
        let peer = BFDPeer(interface: InterfaceID(0), local: .v4(Driver.ourIPv4[0]), remote: .v4(a))
        let wanted = d.effects.compactMap { effect -> String? in
            if case .bfd(let p, let isWanted) = effect { "\(p == peer) \(isWanted)" } else { nil }
        }
        #expect(wanted == ["true true"])
        // Never up: says nothing.
        d.input(.bfd(peer, isUp: false))
        #expect(d.route(net)?.metric == 4)
        d.input(.bfd(peer, isUp: true))
        d.input(.bfd(peer, isUp: false))
        #expect(d.route(net)?.metric == 16)
        d.learn([(net, 3)])
        #expect(d.counter(.bfdDown) == 1)
        #expect(d.route(net)?.metric == 16)
        d.input(.bfd(peer, isUp: true))
        d.learn([(net, 3)])
        #expect(d.route(net)?.metric == 4)
    }

    @Test func `a fatal packet costs its sender its routes and nobody else`() {
        let d = Driver().begin()
        d.learn([(net, 3)], from: a)
        d.learn([("172.17.0.0/16", 3)], from: b)
        d.input(
            .fault(
                ReceivedPacket(
                    interface: InterfaceID(0), packetProtocol: .rip, source: .ip(.v4(a)),
                    destination: .ip(RIPInstance.groupIPv4), bytes: [1, 2, 3]), message: 0))
        #expect(d.route(net)?.metric == 16)
        #expect(d.route("172.17.0.0/16")?.metric == 4)
    }

    @Test func `clearing a neighbour drops its routes and asks for them again`() {
        let d = Driver().begin()
        d.learn([(net, 3)], from: a)
        d.learn([("172.17.0.0/16", 3)], from: b)
        _ = d.take()
        d.input(.clear(neighbor: "10.0.0.2"))
        #expect(d.updates == [RouteUpdate(IPPrefix(net)!, nil)])
        #expect(d.packets.map { text($0) } == [["whole 16"]])
        d.input(.clear(neighbor: "10.0.0.99"))
        #expect(d.instance.neighborOrder.count == 1)
        d.input(.clear(neighbor: nil))
        #expect(d.instance.neighborOrder.isEmpty)
    }

    // MARK: configuration

    @Test func `a new configuration leaves alone what did not change`() {
        let d = Driver().begin()
        d.learn([(net, 3)])
        d.run(.seconds(1))
        _ = d.take()
        let deadline = d.instance.nextDeadline
        d.input(.configure(d.configuration, d.list))
        #expect(d.packets.isEmpty)
        #expect(d.updates.isEmpty)
        #expect(d.route(net)?.metric == 4)
        #expect(d.instance.nextDeadline == deadline)
    }

    @Test func `interfaces that got other numbers keep their neighbours`() {
        let d = Driver { $0.interfaces[0].bfd = true }.begin()
        d.learn([(net, 3)])
        _ = d.take()
        d.list.reverse()
        d.input(.configure(d.configuration, d.list))
        #expect(d.offer(net)?.nextHops == [.via(.v4(a), InterfaceID(1))])
        #expect(d.instance.neighborOrder.count == 1)
        d.learn([(net, 5)], on: 1)
        #expect(d.offer(net)?.metric == 6)
        #expect(said(d).contains("10.0.1.0/24 1"))
    }

    @Test func `an interface that is taken out loses its neighbours, a distance changes all offers`() {
        let d = Driver().begin()
        d.learn([(net, 3)])
        d.learn([("172.17.0.0/16", 1)], from: IPv4Address(10, 0, 1, 2), on: 1)
        d.configuration.distance = 90
        d.configuration.interfaces.removeFirst()
        _ = d.take()
        d.input(.configure(d.configuration, d.list))
        #expect(
            d.effects.contains {
                if case .subscriptions(let s) = $0 {
                    s.map(\.interface) == [InterfaceID(1)] && s.map(\.packetProtocol) == [.rip]
                } else {
                    false
                }
            })
        #expect(d.offer(net) == nil)
        #expect(d.offer("172.17.0.0/16")?.distance == 90)
        #expect(d.route(net)?.garbageAt != nil)
    }

    @Test func `fewer paths than before`() {
        let d = Driver().begin()
        d.learn([(net, 3)], from: b)
        d.learn([(net, 3)], from: a)
        d.configuration.maximumPaths = 1
        d.input(.configure(d.configuration, d.list))
        #expect(d.offer(net)?.nextHops == via(b))
    }
}
