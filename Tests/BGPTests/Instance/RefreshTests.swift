import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// RFC 2918 and RFC 7313: routes that are said again.
@Suite struct RefreshTests {
    typealias Speaker = RestartWorld.Speaker

    /// Kinds of the messages to the neighbour, updates without those of End-of-RIB.
    private static func kinds(_ octets: [UInt8]) -> [String] {
        RestartWorld.messages(octets).map { message in
            switch message[18] {
            case 2: message.count == 23 ? "end" : "update"
            case 4: "keepalive"
            case 5: ["refresh", "beginning", "ending"][Int(message[21])]
            default: "other"
            }
        }
    }

    private static func world(_ speaker: Speaker = Speaker(), networks: Int = 3) -> RestartWorld {
        var world = RestartWorld { configuration in
            configuration.networks = (0..<networks).map {
                var network = OriginatedNetwork(prefix: .v4(IPv4Prefix(IPv4Address(172, 16, UInt8($0), 0), 24)))
                // Each is a message of its own.
                network.med = UInt32($0)
                return network
            }
        }
        world.begin(speaker)
        return world
    }

    @Test func `a refresh is answered between its marks to who knows them, and as ever to others`() {
        for isEnhanced in [true, false] {
            var world = Self.world(Speaker(enhancedRefresh: isEnhanced))
            world.refresh(.request)
            world.driver.wait(.milliseconds(100))
            // One of them says what it has from nobody but itself: RFC 7313 §4, unreachability information.
            let updates = [String](repeating: "update", count: 4)
            #expect(Self.kinds(world.driver.sent) == (isEnhanced ? ["beginning"] + updates + ["ending"] : updates))
            world.clear()
            world.driver.wait(.seconds(3))
            world.clear()
            world.driver.give(.command(.softClearOut(address: "10.0.0.2")))
            world.driver.wait(.milliseconds(100))
            let none = ["beginning", "ending"]
            #expect(Self.kinds(world.driver.sent) == (isEnhanced ? ["beginning"] + updates + ["ending"] + none : updates))
            #expect(world.driver.detail.counters.sent.routeRefreshes == (isEnhanced ? 6 : 0))
        }
    }

    @Test func `the marks wait until End-of-RIB is sent, and go around all that a slow neighbour is still to get`() {
        var world = Self.world(networks: 60)
        world.driver.instance.rib.tables.ipv4Unicast.limits.flush = 7
        world.lose()
        world.pause()
        world.clear()
        world.connect(4)
        world.refresh(.request)
        world.driver.wait(.seconds(5))
        let kinds = Self.kinds(world.driver.sent).filter { $0 != "keepalive" }
        let end = kinds.firstIndex(of: "end") ?? 0
        // One of them may say that nothing of its own comes back to it.
        #expect((60...61).contains(kinds[..<end].filter { $0 == "update" }.count))
        #expect(kinds[end...].filter { $0 == "update" }.count >= 60)
        #expect(kinds.firstIndex(of: "beginning").map { $0 > end } == true)
        #expect(kinds.last == "ending" && kinds.filter { $0 == "beginning" }.count == 1)
    }

    @Test func `RFC 4724 §2: End-of-RIB comes when all was said, also to who came while others were being told`() {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID("1.1.1.1")!)
        configuration.ebgpRequiresPolicy = false
        configuration.networks = (0..<60).map { OriginatedNetwork(prefix: RestartWorld.prefix($0)) }
        var rib = RIB(configuration: configuration, seed: 1)
        rib.tables.ipv4Unicast.limits.flush = 7
        var receivers = [Receiver(), Receiver()]
        for step in 0..<40 {
            if let i = [0: 0, 3: 1][step] {
                var session = RIBSession(
                    identifier: RouterID(raw: 9 + UInt32(i)), families: .ipv4Unicast, fourOctetAS: true, extendedMessages: false)
                session.nextHopIPv4 = IPv4Address(10, 0, 0, 254)
                let address = IPAddress.v4(IPv4Address(10, 0, 0, UInt8(i + 1)))
                let neighbor = NeighborConfiguration(address: address, remoteAS: ASNumber(UInt32(101 + i)))
                rib.establish(PeerIndex(UInt16(i)), neighbor: neighbor, session: session)
            }
            rib.advertise(at: .zero + .milliseconds(10 * step))
            for i in receivers.indices {
                rib.takeOutput(for: PeerIndex(UInt16(i)), limit: .max) { receivers[i].read($0) }
                if !receivers[i].endOfRIB.isEmpty { #expect(receivers[i].routes.count == 60) }
            }
        }
        #expect(receivers.allSatisfy { $0.endOfRIB == [.ipv4Unicast] && $0.problem == nil })
    }

    @Test(arguments: [false, true])
    func `what does not come again between the marks goes`(isHandedOver: Bool) {
        var world = RestartWorld(isHandedOver: isHandedOver)
        world.begin()
        world.refresh(.beginning)
        #expect(world.best == [1, 2, 3, 4] && world.stale == [1, 2, 3, 4] && world.family.isRefreshing)
        world.announce(1...2)
        world.announce(8...8)
        #expect(world.stale == [3, 4])
        world.refresh(.end, .ipv6Unicast)
        #expect(world.driver.messages.contains { $0.contains("ends that did not begin") })
        world.refresh(.end)
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [1, 2, 8] && world.told() == [1, 2, 8] && world.stale == [])
        #expect(world.driver.detail.counters.staleRoutesRemoved == (isHandedOver ? 0 : 2))
        world.refresh(.end)
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [1, 2, 8] && world.driver.state == .established)
    }

    @Test func `a refresh that begins anew marks all again, and one without an end is bounded`() {
        var world = RestartWorld { $0.neighbors[0].gracefulRestart.staleRoutesTime = 60 }
        world.begin()
        world.refresh(.beginning)
        world.announce(1...3)
        world.refresh(.beginning)
        #expect(world.stale == [1, 2, 3, 4])
        world.announce(2...2)
        world.driver.wait(.seconds(59))
        #expect(world.best == [1, 2, 3, 4])
        world.driver.wait(.seconds(2))
        #expect(world.best == [2] && world.driver.state == .established && !world.family.isRefreshing)
    }

    @Test func `beginnings without an end are not heeded for ever`() {
        var world = RestartWorld()
        world.begin()
        for _ in 0..<1000 {
            world.refresh(.beginning)
            world.announce(1...1)
        }
        #expect(world.driver.messages.contains { $0.contains("is ignored") })
        world.refresh(.end)
        world.driver.wait(.milliseconds(50))
        #expect(world.best == [1])
        // After an end it begins anew, as often as one likes.
        for _ in 0..<600 {
            world.refresh(.beginning)
            world.announce(1...2)
            world.refresh(.end)
            world.driver.wait(.milliseconds(5))
        }
        #expect(world.best == [1, 2] && world.stale == [])
    }

    @Test func `a beginning before End-of-RIB is ignored where End-of-RIB is promised`() {
        for hasCapability in [true, false] {
            var world = RestartWorld()
            world.connect(2, Speaker(hasCapability: hasCapability))
            world.announce(1...2)
            world.refresh(.beginning)
            #expect(world.stale == (hasCapability ? [] : [1, 2]))
            world.refresh(.end)
            world.driver.wait(.milliseconds(50))
            #expect(world.best == (hasCapability ? [1, 2] : []))
        }
    }

    @Test func `a refresh ends with its session`() {
        var world = RestartWorld()
        world.begin()
        world.refresh(.beginning)
        world.announce(1...1)
        world.lose()
        #expect(world.best == [1, 2, 3, 4] && world.stale == [1, 2, 3, 4])
        world.driver.wait(.seconds(120))
        #expect(world.best == [])
        world.driver.wait(.seconds(400))
    }

    @Test func `RFC 7313 §5: a mark of a wrong length ends the session, an unknown subtype and the same without RFC 7313 do not`()
    {
        func world(_ isEnhanced: Bool) -> RestartWorld {
            var world = RestartWorld()
            world.begin(Speaker(enhancedRefresh: isEnhanced))
            return world
        }
        let long = Build.message(5, [0, 1, 1, 1, 0])
        var enhanced = world(true)
        enhanced.driver.receive(Build.message(5, [0, 1, 77, 1]))
        #expect(enhanced.driver.state == .established)
        enhanced.driver.receive(long)
        #expect(enhanced.driver.notification == NotificationMessage(code: 7, subcode: 1, data: long))
        var plain = world(false)
        plain.driver.receive(long)
        plain.driver.receive(Build.message(5, [0, 1, 77, 1]))
        #expect(plain.driver.state == .established && plain.stale == [])
    }
}
