import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// Sessions with path identifiers (RFC 7911), from the capability to the tables and back to the wire.
@Suite struct AddPathTests {
    private static let both: RouteFamilySet = [.ipv4Unicast, .ipv6Unicast]

    /// A neighbour that sends several paths, and takes them where `isBoth`.
    private static func driver(
        _ families: RouteFamilySet = both, isBoth: Bool = false, _ change: (inout NeighborConfiguration) -> Void = { _ in }
    ) -> Driver {
        var driver = Driver {
            for i in $0.neighbors[0].families.indices {
                $0.neighbors[0].families[i].addPath.receive = true
                if isBoth { $0.neighbors[0].families[i].addPath.send = AddPathConfiguration.all }
            }
            change(&$0.neighbors[0])
        }
        driver.accept()
        driver.receive(
            driver.open {
                $0.capabilities.sendsPathIDs = families
                if isBoth { $0.capabilities.receivesPathIDs = families }
            })
        driver.receive(Driver.keepalive)
        return driver
    }

    private static func announcement(_ nlri: [UInt8], tail: UInt32 = 7) -> [UInt8] {
        Build.message(
            2, Build.update(attributes: Build.origin + Build.path4(65001, tail) + Build.nextHop, nlri: nlri))
    }
    private static func id(_ id: UInt32, _ prefix: [UInt8] = Build.nlri) -> [UInt8] { Build.u32(id) + prefix }
    private static func paths(_ driver: Driver, _ prefix: String = "192.0.2.0/24") -> [String] {
        (driver.instance.rib.route(IPPrefix(prefix)!)?.paths ?? []).map {
            "\($0.pathID.map { "\($0)" } ?? "-") [\($0.received.asPath)]\($0.isBest ? " best" : "")"
        }
    }
    private static func restored(_ instance: BGPInstance) throws -> BGPInstance {
        var writer = SnapshotWriter()
        instance.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        return try BGPInstance(from: &reader)
    }

    @Test func `several paths of a prefix stand beside each other, replace each other and go`() throws {
        var driver = Self.driver()
        #expect(driver.state == .established)
        #expect(driver.detail.summary.families.map(\.addPathReceive) == [true, true])
        #expect(driver.detail.summary.families.map(\.addPathSend) == [nil, nil])
        driver.receive(Self.announcement(Self.id(1) + Self.id(2), tail: 7) + Self.announcement(Self.id(3), tail: 8))
        driver.wait(.seconds(1))
        #expect(Self.paths(driver) == ["1 [65001 7] best", "2 [65001 7]", "3 [65001 8]"])
        // RFC 7911 §5: the same identifier replaces, whatever else there is.
        driver.receive(Self.announcement(Self.id(1), tail: 9))
        // The same once more changes nothing.
        driver.receive(Self.announcement(Self.id(3), tail: 8) + Self.announcement(Self.id(3), tail: 8))
        driver.wait(.seconds(1))
        #expect(Self.paths(driver).sorted() == ["1 [65001 9] best", "2 [65001 7]", "3 [65001 8]"])
        #expect(driver.prefixes == [3, 0])
        // One of them goes; one that was never there is ignored; a prefix without the identifier is another path.
        driver.receive(Build.message(2, Build.update(withdrawn: Self.id(1) + Self.id(77) + Self.id(0))))
        driver.wait(.seconds(1))
        #expect(Self.paths(driver) == ["2 [65001 7] best", "3 [65001 8]"])
        #expect(driver.state == .established && driver.prefixes == [2, 0])
        let received = driver.instance.rib.received(from: PeerIndex(0), .ipv4Unicast, after: nil, limit: 1)
        #expect(received.map(\.pathID) == [2, 3], "a page does not part the paths of a prefix")
        // IPv6, in MP_REACH_NLRI and MP_UNREACH_NLRI, with the highest identifier.
        driver.receive(
            Build.message(
                2,
                Build.update(
                    attributes: Build.reach6(Self.id(5, Build.nlri6) + Self.id(.max, Build.nlri6)) + Build.origin
                        + Build.path4(65001))))
        driver.receive(Build.message(2, Build.update(attributes: Build.unreach6(Self.id(5, Build.nlri6)))))
        driver.wait(.seconds(1))
        #expect(Self.paths(driver, "2001:db8::/32") == ["4294967295 [65001] best"])
        #expect(driver.prefixes == [2, 1])
    }

    @Test func `RFC 7606: what is treated as withdrawn is the path, not the prefix`() {
        var driver = Self.driver()
        driver.receive(Self.announcement(Self.id(1)) + Self.announcement(Self.id(2), tail: 8))
        // An ORIGIN that does not exist.
        let bad = Build.attribute(0x40, 1, [9]) + Build.path4(65001) + Build.nextHop
        driver.receive(Build.message(2, Build.update(attributes: bad, nlri: Self.id(1))))
        driver.wait(.seconds(1))
        #expect(driver.state == .established)
        #expect(Self.paths(driver) == ["2 [65001 8] best"])
    }

    @Test func `every path counts towards the limit of prefixes`() {
        var driver = Self.driver { $0.families[0].maximumPrefixes = 2 }
        driver.receive(Self.announcement(Self.id(1) + Self.id(2)))
        #expect(driver.state == .established)
        driver.receive(Self.announcement(Self.id(3)))
        #expect(driver.state == .idle && driver.notification?.subcode == 1)
    }

    @Test func `identifiers that were not agreed on are refused as any malformed NLRI is`() {
        // One end alone says something.
        for isOurs in [true, false] {
            var driver = Driver { if isOurs { $0.neighbors[0].families[0].addPath.receive = true } }
            driver.accept()
            driver.receive(driver.open { if !isOurs { $0.capabilities.sendsPathIDs = Self.both } })
            driver.receive(Driver.keepalive)
            #expect(driver.detail.summary.families.map(\.addPathReceive) == [false, false])
            // RFC 7606 §5.3: the identifier is read as prefixes, of which one has 192 bits.
            driver.receive(Self.announcement(Self.id(1)))
            #expect(driver.state == .idle)
            #expect(driver.notification == .update(.invalidNetworkField))
        }
        // In MP_REACH_NLRI the family goes, since there is another one: its identifier is read as a prefix of 255 bits.
        var driver = Driver()
        driver.establish()
        driver.receive(
            Build.message(
                2, Build.update(attributes: Build.reach6(Self.id(.max, Build.nlri6)) + Build.origin + Build.path4(65001))))
        #expect(driver.state == .established && driver.detail.summary.families.map(\.isDisabled) == [false, true])
        // And a prefix without the identifier that was agreed on.
        driver = Self.driver()
        driver.receive(Self.announcement(Build.nlri))
        #expect(driver.notification == .update(.invalidNetworkField))
    }

    /// Each cut of each field that holds NLRI.
    @Test func `truncated NLRI end the session or the family, never the process`() throws {
        let list = Self.id(1) + Self.id(2, [32, 198, 51, 100, 1]) + Self.id(3, [0]),
            list6 = Self.id(1, Build.nlri6) + Self.id(9, [0])
        // Where a whole path ends.
        let ends = [0, 8, 17, 22], ends6 = [0, 9, 14]
        let attributes = Build.origin + Build.path4(65001)
        for count in 0...list.count {
            let part = Array(list.prefix(count))
            for body in [Build.update(withdrawn: part), Build.update(attributes: attributes + Build.nextHop, nlri: part)] {
                var driver = Self.driver()
                driver.receive(Build.message(2, body))
                #expect((driver.state == .established) == ends.contains(count), "\(count) octets")
                if !ends.contains(count) { #expect(driver.notification == .update(.invalidNetworkField)) }
            }
        }
        for count in 0...list6.count {
            let part = Array(list6.prefix(count))
            for body in [
                Build.update(attributes: Build.unreach6(part)), Build.update(attributes: Build.reach6(part) + attributes),
            ] {
                var driver = Self.driver()
                driver.receive(Build.message(2, body))
                #expect(driver.state == .established)
                #expect(driver.detail.summary.families[1].isDisabled == !ends6.contains(count), "\(count) octets")
            }
        }
    }

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func `no octets of an UPDATE with identifiers do harm`(seed: UInt64) throws {
        var random = RandomNumbers(seed: seed)
        let attributes = Build.origin + Build.path4(65001) + Build.nextHop
        let good = Build.update(
            withdrawn: Self.id(4),
            attributes: Build.reach6(Self.id(1, Build.nlri6)) + Build.unreach6(Self.id(2, Build.nlri6)) + attributes,
            nlri: Self.id(1) + Self.id(2))
        for _ in 0..<60 {
            var driver = Self.driver()
            driver.receive(Build.message(2, good))
            var octets = good
            for _ in 0..<random.number(in: 1...3) {
                octets[random.number(in: 0...(octets.count - 1))] = UInt8(random.number(in: 0...255))
            }
            driver.receive(Build.message(2, octets))
            driver.wait(.seconds(1))
            #expect(try Self.restored(driver.instance).digest == driver.instance.digest)
        }
    }

    @Test func `a session goes on from a snapshot with everything that was agreed on`() throws {
        var driver = Self.driver(isBoth: true) { $0.families[0].extendedNextHop = true }
        // The capability was offered, and the neighbour did not answer with one of its own.
        #expect(driver.detail.capabilitiesSent.contains("extended-next-hop ipv4-unicast"))
        #expect(driver.detail.summary.families.map(\.extendedNextHop) == [false, false])
        #expect(driver.detail.summary.families.map(\.addPathSend) == [16, 16])
        driver.receive(Self.announcement(Self.id(1) + Self.id(2)))
        driver.wait(.seconds(1))
        var twin = driver
        twin.instance = try Self.restored(driver.instance)
        for step in [
            Self.announcement(Self.id(2), tail: 9), Build.message(2, Build.update(withdrawn: Self.id(1))),
            Self.announcement(Self.id(5), tail: 6),
        ] {
            driver.receive(step)
            twin.receive(step)
            driver.wait(.seconds(1))
            twin.wait(.seconds(1))
        }
        #expect(Self.paths(driver) == Self.paths(twin) && Self.paths(twin).count == 2)
        #expect(driver.instance.digest == twin.instance.digest && driver.sent == twin.sent)
    }

    /// The fatal record came in the session, or held all of it from the OPEN on.
    @Test(arguments: [false, true])
    func `what was fatal with one identifier is known with another`(isWhole: Bool) {
        var driver = Self.driver()
        func open() -> [UInt8] { driver.open { $0.capabilities.sendsPathIDs = Self.both } }
        var fatal = Self.announcement(Self.id(1))
        if isWhole {
            driver = Driver { for i in 0...1 { $0.neighbors[0].families[i].addPath.receive = true } }
            driver.accept()
            fatal = open() + Driver.keepalive + fatal
        }
        driver.give(.fault(driver.connection, fatal, message: isWhole ? 3 : 1))
        #expect(driver.state == .idle)
        driver.give(.redundancy(true))
        driver.wait(BGPInstance.quarantinePause + .seconds(1))
        driver.accept(4)
        driver.receive(open())
        driver.receive(Driver.keepalive)
        #expect(driver.state == .established)
        driver.receive(Self.announcement(Self.id(9) + Self.id(9, [16, 198, 51])))
        driver.wait(.seconds(1))
        #expect(driver.state == .established)
        #expect(Self.paths(driver) == [] && Self.paths(driver, "198.51.0.0/16") == ["9 [65001 7] best"])
        #expect(driver.detail.counters.quarantined == 1)
    }

    /// What was stored before there was any of it must be read after.
    @Test func `a configuration that says nothing of paths and next hops has no trace of them in its octets`() throws {
        var neighbor = NeighborConfiguration(address: IPAddress("10.0.0.2")!, remoteAS: ASNumber(65001))
        func hasTrace() throws -> Bool {
            let text = String(decoding: try BinaryEncoder().encode(neighbor), as: UTF8.self)
            return ["otherView", "usedAddPath", "usedExtendedNextHop"].contains { text.contains($0) }
        }
        #expect(try !hasTrace())
        neighbor.view = .bestAccepted
        neighbor.families[0].addPath.receive = true
        neighbor.families[0].extendedNextHop = true
        #expect(try hasTrace())
        #expect(try BinaryDecoder().decode(NeighborConfiguration.self, from: BinaryEncoder().encode(neighbor)) == neighbor)
        neighbor.view = .best
        neighbor.families[0].addPath.receive = false
        neighbor.families[0].extendedNextHop = false
        #expect(try !hasTrace())
    }

    // MARK: towards a neighbour

    /// Two origins of one prefix, a router between, and one behind it that takes several paths, or does not.
    private static func wire(takes: Bool, send: UInt8 = AddPathConfiguration.all, chunk: Int = 0) -> (
        VirtualWire, [BGPConfiguration]
    ) {
        let network = ["192.0.2.0/24", "2001:db8:1::/48"]
        func give(_ receive: Bool, _ send: UInt8) -> (inout NeighborConfiguration) -> Void {
            { neighbor in
                guard neighbor.address == IPAddress("10.0.0.4") || neighbor.remoteAS == ASNumber(65003) else { return }
                for i in neighbor.families.indices {
                    neighbor.families[i].addPath.receive = receive
                    neighbor.families[i].addPath.send = send
                }
            }
        }
        let nodes = [
            Configurations.node(65001, "10.0.0.1", neighbors: [("10.0.0.3", 65003)], networks: network),
            Configurations.node(65002, "10.0.0.2", neighbors: [("10.0.0.3", 65003)], networks: network),
            Configurations.node(
                65003, "10.0.0.3", neighbors: [("10.0.0.1", 65001), ("10.0.0.2", 65002), ("10.0.0.4", 65004)], give(false, send)),
            Configurations.node(65004, "10.0.0.4", neighbors: [("10.0.0.3", 65003)], give(takes, 0)),
        ]
        var wire = VirtualWire(nodes, addresses: (1...4).map { "10.0.0.\($0)" })
        wire.snapshotsEvery = 3
        wire.chunk = chunk
        wire.start(nodes)
        wire.run(.seconds(30))
        return (wire, nodes)
    }
    private static func known(_ wire: VirtualWire, _ prefix: String) -> [String] {
        (wire.nodes[3].rib.route(IPPrefix(prefix)!)?.paths ?? []).map { "\($0.pathID ?? 0): \($0.received.asPath)" }.sorted()
    }

    @Test(arguments: [0, 1, 23])
    func `a neighbour that takes several paths gets each with an identifier, and hears of each that goes`(chunk: Int) throws {
        var (wire, nodes) = Self.wire(takes: true, chunk: chunk)
        for prefix in ["192.0.2.0/24", "2001:db8:1::/48"] {
            #expect(Self.known(wire, prefix) == ["1: 65003 65001", "2: 65003 65002"])
        }
        let detail = try #require(wire.nodes[2].neighborView(IPAddress("10.0.0.4")!, at: .zero))
        #expect(
            detail.summary.families.map(\.addPathSend) == [16, 16]
                && detail.summary.families.map(\.addPathReceive) == [false, false])
        let sent = wire.nodes[2].rib.advertised(to: PeerIndex(2), .ipv4Unicast, after: nil, limit: 9)
        #expect(sent.map(\.pathID) == [1, 2])
        // The first origin takes its network back.
        nodes[0].networks.removeFirst()
        wire.give(0, .configure(nodes[0]))
        wire.run(.seconds(30))
        #expect(Self.known(wire, "192.0.2.0/24").map { $0.dropFirst(3) } == ["65003 65002"])
        #expect(Self.known(wire, "2001:db8:1::/48").count == 2)
        nodes[0].networks.insert(OriginatedNetwork(prefix: IPPrefix("192.0.2.0/24")!), at: 0)
        wire.give(0, .configure(nodes[0]))
        wire.run(.seconds(30))
        #expect(Self.known(wire, "192.0.2.0/24").map { String($0.dropFirst(3)) }.sorted() == ["65003 65001", "65003 65002"])
    }

    @Test func `one that does not gets the best path, without an identifier`() {
        let (wire, _) = Self.wire(takes: false)
        #expect(Self.known(wire, "192.0.2.0/24") == ["0: 65003 65001"])
        #expect(wire.nodes[3].rib.route(IPPrefix("192.0.2.0/24")!)?.paths[0].pathID == nil)
    }

    @Test func `another number of paths begins a new session, another view does not`() throws {
        var (wire, nodes) = Self.wire(takes: true, send: 2)
        let before = wire.nodes[3].neighborSummaries[0].flaps
        nodes[2].neighbors[2].view = .bestAccepted
        wire.give(2, .configure(nodes[2]))
        wire.run(.seconds(30))
        #expect(wire.nodes[3].neighborSummaries[0].flaps == before)
        #expect(Self.known(wire, "192.0.2.0/24").count == 2)
        nodes[2].neighbors[2].families[0].addPath.send = 0
        wire.give(2, .configure(nodes[2]))
        wire.run(.seconds(60))
        #expect(wire.nodes[3].neighborSummaries[0].flaps == before + 1 && wire.state(3) == .established)
        #expect(Self.known(wire, "192.0.2.0/24") == ["0: 65003 65001"])
        #expect(Self.known(wire, "2001:db8:1::/48").count == 2)
    }

    @Test func `RFC 7947 §2.3: the view of a route server changes under a session`() throws {
        var (wire, nodes) = Self.wire(takes: false)
        // Policy keeps the best path back, and with it the prefix.
        nodes[2].neighbors[2].view = .bestAccepted
        wire.give(2, .configure(nodes[2]))
        wire.run(.seconds(30))
        #expect(Self.known(wire, "192.0.2.0/24") == ["0: 65003 65001"])
        // Whoever sent the best path gets the best of the others.
        #expect(wire.nodes[0].rib.received(from: PeerIndex(0), .ipv4Unicast, after: nil, limit: 9).isEmpty)
        nodes[2].neighbors[0].view = .bestAccepted
        wire.give(2, .configure(nodes[2]))
        wire.run(.seconds(30))
        let got = wire.nodes[0].rib.received(from: PeerIndex(0), .ipv4Unicast, after: nil, limit: 9)
        #expect(got.map(\.attributes.asPath) == ["65003 65002"])
        #expect(wire.nodes[0].neighborSummaries[0].flaps == 0)
    }
}
