import Machine
import Routing
import Testing
import Wire

@testable import BGP

/// RFC 9234: roles, and what goes to customers only.
@Suite struct RoleTests {
    private static func open(_ asNumber: UInt32, _ roles: [UInt8]) -> OpenMessage {
        var capabilities = Capabilities()
        capabilities.roles = roles
        capabilities.fourOctetAS = ASNumber(asNumber)
        return OpenMessage(
            asNumber: ASNumber(asNumber), holdTime: 90, identifier: RouterID(raw: asNumber), capabilities: capabilities)
    }
    private static func isRefused(_ own: [UInt8], _ other: [UInt8], isStrict: Bool = false, isInternal: Bool = false) -> Bool {
        do {
            _ = try NegotiatedSession(
                local: open(65000, own), remote: open(65001, other), remoteAS: ASNumber(65001), isInternal: isInternal,
                requiresRole: isStrict)
            return false
        } catch {
            #expect(error == NotificationMessage(code: 2, subcode: 11))
            return true
        }
    }

    @Test("§4.1: the capability is code 9 with one octet, comes back as it was, and several equal ones are one")
    func capability() throws {
        func read(_ tuples: [UInt8]) throws -> Capabilities {
            let body = CodecTests.openBody([2, UInt8(tuples.count)] + tuples)
            return try OpenMessage(body: body.span.bytes).capabilities
        }
        for role in PeeringRole.allCases {
            let read = try read([9, 1, role.rawValue])
            #expect(read.roles == [role.rawValue] && read.encoded == [9, 1, role.rawValue])
        }
        #expect(try read([9, 1, 3, 9, 1, 3]).roles == [3])
        #expect(try read([9, 1, 4, 9, 1, 3]).roles == [3, 4])
        #expect(try read([9, 1, 77]).roles == [77])
        // Another length is as a capability that nobody knows.
        for value: [UInt8] in [[], [3, 3]] {
            let read = try read([9, UInt8(value.count)] + value)
            #expect(read.roles.isEmpty && read.others == [9])
        }
        #expect(PeeringRole.allCases.map(\.rawValue) == [0, 1, 2, 3, 4])
    }

    @Test("§4.2, table 2: which pairs of roles may have a session", arguments: PeeringRole.allCases)
    func pairs(own: PeeringRole) {
        let allowed: [PeeringRole: UInt8] = [.provider: 3, .customer: 0, .rs: 2, .rsClient: 1, .peer: 4]
        for other: UInt8 in 0...255 {
            #expect(Self.isRefused([own.rawValue], [other]) == (other != allowed[own]), "\(own) with \(other)")
            // Who has no role does not ask for one.
            #expect(!Self.isRefused([], [other]))
            // Within an AS there are none.
            #expect(!Self.isRefused([own.rawValue], [other], isInternal: true))
        }
        #expect(!Self.isRefused([own.rawValue], []))
        #expect(Self.isRefused([own.rawValue], [], isStrict: true))
        #expect(!Self.isRefused([own.rawValue], [own.counterpart.rawValue], isStrict: true))
        // Several that differ are refused whatever else holds.
        #expect(Self.isRefused([own.rawValue], [own.counterpart.rawValue, 9]))
        #expect(Self.isRefused([], [3, 4]))
    }

    // MARK: sessions

    private static func driver(_ role: PeeringRole?, isStrict: Bool = false) -> Driver {
        Driver {
            $0.neighbors[0].role = role
            $0.neighbors[0].roleStrict = isStrict
            $0.ebgpRequiresPolicy = false
        }
    }

    @Test("a mismatch ends the session with Role Mismatch, and the event says both roles and what to write")
    func mismatch() {
        var driver = Self.driver(.customer)
        driver.accept()
        driver.receive(driver.open { $0.capabilities.roles = [3] })
        #expect(driver.notification == .open(.roleMismatch))
        #expect(driver.state != .established)
        let expected =
            "neighbor 10.0.0.2: role mismatch: we are customer here, the neighbor says customer; "
            + "write role: provider here, or role provider there"
        #expect(driver.messages.contains(expected))

        driver = Self.driver(.peer, isStrict: true)
        driver.accept()
        driver.receive(driver.open())
        #expect(driver.notification == .open(.roleMismatch))
        #expect(
            driver.messages.contains {
                $0.hasSuffix("the neighbor says no role; write role-strict: false here, or role peer there")
            })

        driver = Self.driver(nil)
        driver.accept()
        driver.receive(driver.open { $0.capabilities.roles = [3, 4] })
        #expect(driver.notification == .open(.roleMismatch))
        #expect(
            driver.messages.contains { $0.contains("we have no role here, the neighbor says customer and peer; it must say one") }
        )
    }

    @Test("a neighbour that refuses our role is told of in words")
    func refusedByNeighbor() {
        var driver = Self.driver(.rs)
        driver.accept()
        #expect(driver.sent.count > 0)
        driver.receive(NotificationMessage.open(.roleMismatch).encoded)
        #expect(driver.messages.contains { $0.contains("the neighbor refuses us as rs; it must be rs-client there") })
    }

    @Test("an internal neighbour is told no role, and asked for none")
    func inside() {
        var driver = Driver(isInternal: true) {
            $0.neighbors[0].role = .peer
            $0.neighbors[0].roleStrict = true
        }
        driver.accept()
        driver.receive(driver.open { $0.capabilities.roles = [0] })
        driver.receive(Driver.keepalive)
        #expect(driver.state == .established)
        #expect(!driver.detail.capabilitiesSent.contains { $0.hasPrefix("role") })
        let base = Build.origin + Build.path4(7) + Build.nextHop + Build.localPref
        driver.receive(
            Build.message(2, Build.update(attributes: base + Build.attribute(0xc0, 35, Build.u32(9)), nlri: Build.nlri)))
        let path = driver.instance.rib.route(IPPrefix.v4(IPv4Prefix(IPv4Address(192, 0, 2, 0), 24)))?.paths.first
        #expect(path?.isBest == true && path?.accepted?.onlyToCustomer == ASNumber(9))
    }

    @Test("roles that fit are seen in the view, and another role is another session")
    func view() {
        var driver = Self.driver(.customer, isStrict: true)
        driver.accept()
        driver.receive(driver.open { $0.capabilities.roles = [0] })
        driver.receive(Driver.keepalive)
        #expect(driver.state == .established)
        #expect(driver.detail.role == "customer")
        #expect(driver.detail.capabilitiesSent.contains("role customer"))
        #expect(driver.detail.capabilitiesReceived.contains("role provider"))
        var configuration = driver.instance.configuration!
        configuration.neighbors[0].role = .peer
        driver.effects = []
        driver.give(.configure(configuration))
        #expect(driver.notification == .cease(.otherConfigurationChange))
    }

    @Test("leaks are kept, counted and told of once a record; they are never chosen")
    func leaks() {
        var driver = Self.driver(.provider)
        driver.accept()
        driver.receive(driver.open { $0.capabilities.roles = [3] })
        driver.receive(Driver.keepalive)
        driver.effects = []
        let attributes = Build.origin + Build.path4(65001) + Build.nextHop + Build.attribute(0xc0, 35, Build.u32(65001))
        driver.receive(Build.message(2, Build.update(attributes: attributes, nlri: Build.nlri + [16, 10, 1])))
        #expect(driver.state == .established)
        #expect(driver.detail.counters.routeLeaks == 2)
        #expect(driver.messages.count { $0.contains("2 announcements are route leaks") } == 1)
        #expect(driver.prefixes[0] == 2)
        let peer = PeerIndex(0)
        #expect(driver.instance.rib.acceptedCounts(peer, .ipv4Unicast) == (0, 0))
        let path = driver.instance.rib.route(IPPrefix.v4(IPv4Prefix(IPv4Address(192, 0, 2, 0), 24)))?.paths.first
        #expect(path?.ineligibility == .routeLeak && path?.isBest == false && path?.accepted == nil)
        #expect(path?.reason == "route leak: it was to go to customers only (RFC 9234)")
        #expect(path?.received.onlyToCustomer == ASNumber(65001))
        // Said again without the mark it is a route like any other.
        driver.receive(
            Build.message(
                2, Build.update(attributes: Build.origin + Build.path4(65001) + Build.nextHop, nlri: Build.nlri + [16, 10, 1])))
        #expect(driver.instance.rib.acceptedCounts(peer, .ipv4Unicast) == (2, 2))
    }

    // MARK: §5

    /// What becomes of a route of AS 101 with this OTC value under a role of ours: ineligible (`nil`), or the value then.
    private static let ingress: [(role: PeeringRole?, value: UInt32?, outcome: UInt32??)] = [
        // 1: from a customer or a client of our route server.
        (.provider, 101, .some(nil)), (.provider, 7, .some(nil)), (.rs, 101, .some(nil)), (.rs, 7, .some(nil)),
        // 2: from a peer, marked by somebody else; by itself is right.
        (.peer, 7, .some(nil)), (.peer, 101, 101),
        // 3: from a provider, a peer, a route server, without a mark.
        (.customer, nil, 101), (.peer, nil, 101), (.rsClient, nil, 101),
        // Marked already: it stays.
        (.customer, 7, 7), (.rsClient, 7, 7), (.customer, 101, 101), (.rsClient, 101, 101),
        // From below without a mark, and without a role: nothing.
        (.provider, nil, .none), (.rs, nil, .none), (nil, nil, .none), (nil, 7, 7), (nil, 0, 0),
    ]

    private static func route(_ value: UInt32?, _ nextHop: IPAddress = .v4(IPv4Address(10, 0, 0, 1))) -> RouteAttributes {
        var route = RouteAttributes()
        route.origin = .igp
        route.path = [.init(type: 2, numbers: [ASNumber(101)])]
        route.nextHop = nextHop
        route.largeCommunities = [LargeCommunity(1, 2, 3)]
        if let value { route.others.append(.init(flags: 0xc0, type: 35, value: Build.u32(value))) }
        route.others.append(.init(flags: 0xe0, type: 99, value: [1]))
        return route
    }
    private static func mark(_ route: RouteAttributes) -> UInt32? {
        route.others.first { $0.type == 35 }.map { $0.value.reduce(0) { $0 << 8 | UInt32($1) } }
    }

    /// A RIB with neighbours of AS 101, 102, …, each under a role of ours.
    private static func rib(_ roles: [PeeringRole?]) -> RIB {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 1))
        configuration.ebgpRequiresPolicy = false
        var rib = RIB(configuration: configuration, seed: 1)
        for (i, role) in roles.enumerated() {
            var session = RIBSession(
                identifier: RouterID(raw: UInt32(i + 1)),
                families: [.ipv4Unicast, .ipv6Unicast, RouteFamilySet(.ipv4LabelledUnicast)], fourOctetAS: true,
                extendedMessages: false)
            session.nextHopIPv4 = IPv4Address(10, 0, 0, 254)
            session.nextHopIPv6 = IPv6Address(high: 0x2001_0db8 << 32, low: 254)
            var neighbor = NeighborConfiguration(
                address: .v4(IPv4Address(10, 0, 0, UInt8(i + 1))), remoteAS: ASNumber(UInt32(101 + i)))
            neighbor.role = role
            rib.establish(PeerIndex(UInt16(i)), neighbor: neighbor, session: session)
        }
        return rib
    }
    private static func announce(_ rib: inout RIB, _ nlri: [UInt8], _ family: RouteFamily, _ route: RouteAttributes) {
        let octets = route.encoded()
        let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
        rib.resolveNewNextHops { _ in .reachable(metric: 0) }
        rib.announce(nlri.span.bytes, family, from: PeerIndex(0), attributes: handle)
        rib.advertise(at: .zero + .milliseconds(10))
    }
    private static let v4 = IPPrefix.v4(IPv4Prefix(IPv4Address(20, 0, 0, 0), 8))
    private static let v6 = IPPrefix.v6(IPv6Prefix(IPv6Address(high: 0x2400 << 48, low: 0), 16))

    @Test("§5, ingress: what becomes of a route, for every role and mark")
    func ingressTable() {
        for (role, value, outcome) in Self.ingress {
            for (prefix, hop) in [
                (Self.v4, IPAddress.v4(IPv4Address(10, 0, 0, 1))), (Self.v6, .v6(IPv6Address(high: 0x2001_0db8 << 32, low: 1))),
            ] {
                var rib = Self.rib([role])
                Self.announce(&rib, RIB.nlri(prefix), RouteFamily(prefix.family), Self.route(value, hop))
                let path = rib.route(prefix)?.paths.first
                #expect(path?.received.onlyToCustomer?.raw == value, "as it came")
                let place = "\(role.map { "\($0)" } ?? "no role"), \(value.map { "\($0)" } ?? "no mark")"
                if case .some(.none) = outcome, value != nil, role != nil {
                    #expect(path?.ineligibility == .routeLeak, "\(place)")
                } else {
                    #expect(path?.isBest == true, "\(place)")
                    #expect(path?.accepted?.onlyToCustomer?.raw == outcome ?? nil, "\(place)")
                    // Nothing else changed.
                    #expect(path?.accepted?.others == path?.received.others && path?.accepted?.asPath == "101")
                }
            }
        }
    }

    @Test("§5: no other family than unicast is touched, in or out")
    func otherFamilies() {
        let nlri: [UInt8] = [24 + 16, 0, 1, 1, 10, 1]
        for role in PeeringRole.allCases {
            for value: UInt32? in [nil, 7] {
                var rib = Self.rib([role, role])
                Self.announce(&rib, nlri, .ipv4LabelledUnicast, Self.route(value))
                let path = rib.routes(.ipv4LabelledUnicast, after: nil, limit: 1).first?.paths.first
                #expect(path?.isBest == true && path?.accepted?.onlyToCustomer?.raw == value)
                let sent = rib.advertised(to: PeerIndex(1), .ipv4LabelledUnicast, after: nil, limit: 1).first
                #expect(sent?.attributes.onlyToCustomer?.raw == value && sent != nil)
            }
        }
    }

    @Test("§5, egress: who gets a route, with which mark, for every role")
    func egressTable() {
        let roles: [PeeringRole?] = [nil, .provider, .rs, .rsClient, .customer, .peer, nil]
        for value: UInt32? in [nil, 7] {
            var rib = Self.rib(roles)
            Self.announce(&rib, RIB.nlri(Self.v4), .ipv4Unicast, Self.route(value))
            for (i, role) in roles.enumerated().dropFirst() {
                var octets: [UInt8] = []
                rib.takeOutput(for: PeerIndex(UInt16(i)), limit: .max) { octets += $0 }
                var receiver = Receiver()
                receiver.read(octets[...])
                let got = receiver.paths[Self.v4]?[0]
                let expected: UInt32?
                switch role {
                case .provider, .rs, .peer: expected = value ?? 65000
                default: expected = value
                }
                // 2: what is marked goes to no provider, peer or route server.
                let isKept = value != nil && [.customer, .peer, .rsClient].contains(role)
                #expect((got == nil) == isKept, "\(role.map { "\($0)" } ?? "no role")")
                #expect(got.flatMap(Self.mark) == (isKept ? nil : expected))
                // The partial bit is for types that we do not know.
                #expect(got?.others.first { $0.type == 35 }.map { $0.flags == 0xc0 } ?? true)
                #expect(got.map { $0.others.map(\.type) == $0.others.map(\.type).sorted() } ?? true)
            }
        }
    }

    @Test("§5: what a provider told us reaches customers alone, marked with the provider's AS")
    func chain() {
        var rib = Self.rib([.customer, .customer, .peer, .rsClient, .provider, .rs])
        Self.announce(&rib, RIB.nlri(Self.v4), .ipv4Unicast, Self.route(nil))
        let marks = (1...5).map { i in
            rib.advertised(to: PeerIndex(UInt16(i)), .ipv4Unicast, after: nil, limit: 1).first?.attributes.onlyToCustomer?.raw
        }
        #expect(marks == [nil, nil, nil, 101, 101])
        #expect(rib.advertisedCount(PeerIndex(2), .ipv4Unicast) == 0)
    }

    @Test(arguments: 1...16)
    func `neighbours of every role get what a slow full computation says, through churn and restores`(seed: UInt64) throws {
        var world = RIBWorld(seed: seed &+ 7000, peers: 8)
        let roles: [PeeringRole?] = PeeringRole.allCases + [nil]
        for i in 0..<8 where world.oracle.peers[i].isExternal {
            world.oracle.peers[i].neighbor.role = roles[world.random.number(in: 0...5)]
            world.oracle.peers[i].neighbor.overridesAS = i >= 3
        }
        world.drawsMarks = true
        if seed % 3 == 0 { for i in 0..<8 { world.oracle.peers[i].session.view = i % 2 == 0 ? .bestAccepted : .several(2) } }
        try world.churn("seed \(seed)")
    }

    @Test("a mark that is altered on the way is refused or another mark, and never traps")
    func mutations() {
        var random = RandomNumbers(seed: 35)
        let attributes =
            Build.origin + Build.path4(65001) + Build.nextHop
            + Build.attribute(0xc0, 32, Build.u32(1) + Build.u32(2) + Build.u32(3))
            + Build.attribute(0xc0, 35, Build.u32(7))
        for _ in 0..<2000 {
            var block = attributes
            for _ in 0..<random.number(in: 1...3) {
                block[random.number(in: 0...(block.count - 1))] = UInt8(random.number(in: 0...255))
            }
            _ = Outcome.of(Build.update(attributes: block, nlri: Build.nlri))
        }
        var read = PathAttributes()
        #expect(
            Outcome.of(Build.update(attributes: attributes, nlri: Build.nlri), Build.context(), attributes: &read) == .accepted)
        var writer = ByteWriter()
        read.encode(into: &writer, fourOctetAS: true)
        #expect(writer.bytes == attributes)
    }
}
