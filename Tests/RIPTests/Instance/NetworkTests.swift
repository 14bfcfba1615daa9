import Machine
import Records
import Routing
import Testing
import Wire

@testable import RIP

@Suite struct NetworkTests {
    private func chain(_ count: Int, _ version: RIPVersion = .v2) -> VirtualNetwork {
        let n = VirtualNetwork(version)
        for _ in 0..<count { _ = n.addRouter() }
        for i in 1..<count { _ = n.addLink([i - 1, i]) }
        return n
    }

    @Test(arguments: [RIPVersion.v2, .ng])
    func `a chain of routers finds every way, but none longer than fifteen`(_ version: RIPVersion) {
        let n = chain(18, version)
        n.start()
        n.run(.seconds(120))
        #expect(n.mistakes.isEmpty)
        #expect(n.metric(0, to: 14) == 15)
        #expect(n.metric(0, to: 15) == nil)
    }

    @Test(arguments: [RIPVersion.v2, .ng])
    func `RFC 2453 §3.4.4: news of a lost network travels in seconds`(_ version: RIPVersion) {
        let n = chain(6, version)
        n.start()
        n.run(.seconds(60))
        n.input(0, .interface(InterfaceID(0), isUp: false))
        n.run(.seconds(25))
        for i in 1..<6 { #expect(n.metric(i, to: 0) == nil) }
        n.input(0, .interface(InterfaceID(0), isUp: true))
        n.run(.seconds(40))
        #expect(n.mistakes.isEmpty)
    }

    @Test func `RFC 2453 §3.4.2: counting to infinity ends`() {
        // A ring of three that loses the way out, the classical case; without split horizon at all.
        let n = VirtualNetwork()
        for _ in 0..<4 { _ = n.addRouter() }
        let out = n.addLink([0, 1])
        _ = n.addLink([1, 2])
        _ = n.addLink([2, 3])
        _ = n.addLink([3, 1])
        for r in n.configurations.indices {
            for i in n.configurations[r].interfaces.indices { n.configurations[r].interfaces[i].splitHorizon = .none }
        }
        n.start()
        n.run(.seconds(60))
        #expect(n.mistakes.isEmpty)
        n.setLink(out, isUp: false)
        n.run(.seconds(240))
        #expect(n.mistakes.isEmpty)
        n.setLink(out, isUp: true)
        n.run(.seconds(60))
        #expect(n.mistakes.isEmpty)
    }

    @Test func `RFC 2453 §3.8: a link that dies in silence is found by the timeout`() {
        let n = VirtualNetwork()
        for _ in 0..<4 { _ = n.addRouter() }
        let direct = n.addLink([0, 1])
        _ = n.addLink([0, 2])
        _ = n.addLink([2, 3])
        _ = n.addLink([3, 1])
        n.start()
        n.run(.seconds(60))
        #expect(n.metric(0, to: 1) == 2)
        n.cut(direct)
        n.run(.seconds(100))
        #expect(n.metric(0, to: 1) == 2)
        n.run(.seconds(200))
        #expect(n.mistakes.isEmpty)
        #expect(n.metric(0, to: 1) == 4)
        n.mend(direct)
        n.run(.seconds(60))
        #expect(n.metric(0, to: 1) == 2)
    }

    @Test func `a square shares the load over both ways`() {
        let n = VirtualNetwork()
        for _ in 0..<4 { _ = n.addRouter() }
        for (a, b) in [(0, 1), (1, 3), (0, 2), (2, 3)] { _ = n.addLink([a, b]) }
        n.start()
        n.run(.seconds(60))
        #expect(n.offers[0][n.stub(3)]?.nextHops.count == 2)
        #expect(n.offers[3][n.stub(0)]?.nextHops.count == 2)
    }

    @Test func `routers on one LAN reach each other directly, and through the one that leads on`() {
        let n = VirtualNetwork()
        for _ in 0..<6 { _ = n.addRouter() }
        _ = n.addLink([0, 1, 2, 3, 4])
        _ = n.addLink([4, 5])
        n.start()
        n.run(.seconds(60))
        #expect(n.mistakes.isEmpty)
    }

    @Test(arguments: 1...6)
    func `links that come and go at random leave the shortest ways behind`(_ seed: Int) {
        var random = RandomNumbers(seed: UInt64(seed))
        let n = VirtualNetwork(seed % 2 == 0 ? .ng : .v2)
        for _ in 0..<8 { _ = n.addRouter() }
        var links: [Int] = []
        for i in 1..<8 { links.append(n.addLink([i, random.number(in: 0...(i - 1))])) }
        for _ in 0..<4 {
            let a = random.number(in: 0...7)
            links.append(n.addLink([a, (a + random.number(in: 1...7)) % 8]))
        }
        n.start()
        n.run(.seconds(60))
        #expect(n.mistakes.isEmpty)
        for _ in 0..<12 {
            n.setLink(links[random.number(in: 0...(links.count - 1))], isUp: random.chance(1, in: 2))
            n.run(.milliseconds(random.number(in: 1...8000)))
        }
        n.run(.seconds(240))
        #expect(n.mistakes.isEmpty)
        for link in links { n.setLink(link, isUp: true) }
        n.run(.seconds(90))
        #expect(n.mistakes.isEmpty)
    }
}

@Suite struct RestoreTests {
    private func restored(_ instance: RIPInstance) throws -> RIPInstance {
        var w = SnapshotWriter()
        instance.write(to: &w)
        var r = SnapshotReader(w.bytes)
        let copy = try RIPInstance(from: &r)
        try r.expectEnd()
        return copy
    }

    @Test(arguments: 1...8)
    func `an instance that was restored at any point goes on octet for octet`(_ seed: Int) throws {
        var random = RandomNumbers(seed: UInt64(seed))
        let version: RIPVersion = seed % 2 == 0 ? .ng : .v2
        let original = Driver(version) {
            $0.maximumPaths = seed % 3 == 0 ? 1 : 4
            $0.interfaces[0].bfd = true
            $0.limits.routesPerNeighbor = 60
            if version == .v2, seed % 3 == 1 {
                $0.interfaces[0].authentication = KeyChain(firstSigns: [KeyChain.Key(id: 1, algorithm: .md5, secret: "x")])
            }
        }
        let twin = Driver(version)
        twin.configuration = original.configuration
        twin.list = original.list
        for d in [original, twin] { d.input(.configure(d.configuration, d.list)) }
        for step in 0..<300 {
            let input = randomInput(&random, original)
            let pause = Duration.milliseconds(random.number(in: 0...9000))
            for d in [original, twin] {
                d.run(pause)
                d.input(input)
            }
            #expect("\(original.take())" == "\(twin.take())", "step \(step)")
            #expect(original.instance.digest == twin.instance.digest, "step \(step)")
            if random.chance(1, in: 5) {
                twin.instance = try restored(twin.instance)
                #expect(original.instance.digest == twin.instance.digest, "step \(step) after restoring")
                #expect(original.instance.nextDeadline == twin.instance.nextDeadline)
            }
        }
        #expect(original.instance.table.count > 0)
    }

    private func randomInput(_ random: inout RandomNumbers, _ d: Driver) -> RIPInstance.Input {
        let interface = InterfaceID(UInt16(random.number(in: 0...1)))
        switch random.number(in: 0...19) {
        case 0: return .interface(interface, isUp: random.chance(2, in: 3))
        case 1: return .clear(neighbor: random.chance(1, in: 2) ? nil : "10.0.0.2")
        case 2:
            let prefix = "\(random.number(in: 20...30)).0.0.0/8"
            return .redistribute([
                RedistributionUpdate(
                    IPPrefix(prefix)!, random.chance(1, in: 2) ? RedistributedRoute(source: .bgp, tag: 3) : nil)
            ])
        case 3:
            d.configuration.timers.update = UInt16(random.number(in: 10...40))
            return .configure(d.configuration, d.list)
        case 4...5:
            let peer = d.instance.neighbors.compactMap { $0?.bfdPeer }.first
            guard let peer else { return .time }
            return .bfd(peer, isUp: random.chance(1, in: 2))
        default:
            var source: IPAddress
            var bytes: [UInt8]
            switch d.configuration.version {
            case .v2:
                source = .v4(IPv4Address(10, 0, UInt8(interface.value), UInt8(random.number(in: 2...6))))
                var writer = RIPPacketWriter(
                    version: .v2, messageVersion: 2, command: RIPFormat.response,
                    key: d.configuration.interfaces[Int(interface.value)].authentication?.sendingKey(at: .zero), mtu: 1500,
                    sequence: UInt32(random.number(in: 0...100)))
                for _ in 0..<random.number(in: 1...20) {
                    writer.add(
                        entry(
                            "172.16.\(random.number(in: 0...40)).0/24", UInt32(random.number(in: 1...16)),
                            tag: UInt16(random.number(in: 0...2))))
                }
                bytes = writer.finish()[0]
            case .ng:
                source = .v6(IPv6Address(high: 0xfe80 << 48, low: UInt64(random.number(in: 2...6))))
                bytes = message6(
                    (0..<random.number(in: 1...20)).map { _ in
                        entry6("2001:db8:\(random.number(in: 5...50))::/48", UInt8(random.number(in: 1...16)))
                    })
            }
            if random.chance(1, in: 6), !bytes.isEmpty {
                bytes[random.number(in: 0...(bytes.count - 1))] ^= UInt8(random.number(in: 1...255))
            }
            return .packet(
                ReceivedPacket(
                    interface: interface, packetProtocol: d.configuration.version.packetProtocol, source: .ip(source),
                    destination: .ip(RIPInstance.groupIPv4), sourcePort: d.configuration.version.port, hopLimit: 255,
                    bytes: bytes))
        }
    }

    @Test func `octets that are no snapshot throw`() throws {
        let d = Driver { $0.interfaces[0].bfd = true }.begin()
        d.learn([("172.16.0.0/16", 3), ("172.17.0.0/16", 3)])
        d.learn([("172.16.0.0/16", 3)], from: IPv4Address(10, 0, 0, 3))
        var w = SnapshotWriter()
        d.instance.write(to: &w)
        for count in stride(from: 0, to: w.bytes.count, by: 3) {
            var r = SnapshotReader(Array(w.bytes[..<count]))
            #expect(throws: DecodeError.self) { _ = try RIPInstance(from: &r) }
        }
        var random = RandomNumbers(seed: 4)
        for _ in 0..<3000 {
            var bytes = w.bytes
            bytes[random.number(in: 0...(bytes.count - 1))] ^= UInt8(random.number(in: 1...255))
            var r = SnapshotReader(bytes)
            // It throws, or what it gives is a machine that runs.
            guard var copy = try? RIPInstance(from: &r) else { continue }
            var effects: [InteriorGatewayEffect] = []
            copy.handle(.time, at: d.now + .seconds(20), into: &effects)
        }
    }
}

@Suite struct HostileTests {
    @Test(arguments: [RIPVersion.v2, .ng])
    func `mangled packets are dropped and counted, and nothing traps`(_ version: RIPVersion) {
        var random = RandomNumbers(seed: 99)
        let d = Driver(version) {
            $0.interfaces[0].receive = .both
            $0.limits.routesMaximum = 200
            if version == .v2 {
                $0.interfaces[1].authentication = KeyChain(firstSigns: [KeyChain.Key(id: 0, algorithm: .md5, secret: "k")])
            }
        }.begin()
        for step in 0..<20_000 {
            let interface = UInt16(random.number(in: 0...1))
            var bytes =
                version == .v2
                ? message(
                    2, (0..<random.number(in: 0...25)).map { _ in entry("172.16.\(random.number(in: 0...255)).0/24", 1) })
                : message6(
                    (0..<random.number(in: 0...60)).map { _ in
                        entry6("2001:db8:\(random.number(in: 0...999))::/48", 1)
                    })
            bytes[0] = UInt8(random.number(in: 0...3))
            for _ in 0..<random.number(in: 0...12) {
                bytes[random.number(in: 0...(bytes.count - 1))] = UInt8(truncatingIfNeeded: random.next())
            }
            if random.chance(1, in: 4) { bytes.removeLast(random.number(in: 0...bytes.count)) }
            let source: IPAddress =
                version == .v2
                ? .v4(IPv4Address(10, 0, UInt8(interface), UInt8(random.number(in: 0...255))))
                : .v6(IPv6Address(high: 0xfe80 << 48, low: UInt64(random.number(in: 0...255))))
            d.receive(bytes, from: source, on: interface, port: random.chance(1, in: 5) ? 4444 : nil)
            if step % 64 == 0 { d.run(.seconds(3)) }
            if step % 512 == 0 { _ = d.take() }
        }
        #expect(d.instance.table.learnedCount <= 200)
        #expect(d.instance.neighborOrder.count <= 512)
        #expect(d.instance.interfaces[0].counters.responsesReceived > 1000)
        #expect(RIPDropReason.allCases.filter { d.counter($0) > 0 }.count >= 8)
        // What was learned goes again, all of it.
        d.run(.seconds(700))
        #expect(d.instance.table.learnedCount == 0)
        #expect(d.instance.table.count == 2)
        #expect(d.instance.neighborOrder.isEmpty)
    }

    @Test func `a route that flaps with every packet costs no memory`() {
        let d = Driver().begin()
        for i in 0..<20_000 {
            d.learn([("172.16.0.0/16", i % 2 == 0 ? 1 : 16)])
            if i % 100 == 0 { _ = d.take() }
        }
        #expect(d.instance.timers.inFiringOrder.count < 10)
        #expect(d.instance.changed.count <= 1)
    }
}
