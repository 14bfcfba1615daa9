import Machine
import Routing
import Testing
import Wire

@testable import BGP

/// What leaves: RFC 4271 §5.1, RFC 6793 §4.2, RFC 1997, RFC 8212.
@Suite struct ExportTests {
    func parameters(_ body: (inout ExportParameters) -> Void = { _ in }) -> ExportParameters {
        var p = ExportParameters(
            isExternal: true, localAS: 65000, defaultLocalPreference: 100, fourOctetAS: true, extendedMessages: false,
            nextHopSelf: false, removePrivateAS: false, sendCommunities: true, defaultOriginate: false,
            nextHopIPv4: IPv4Address(10, 0, 0, 254),
            nextHopIPv6: IPv6Address(high: 1, low: 254), linkLocal: IPv6Address(high: 0xfe80 << 48, low: 1),
            chain: PolicyTable.acceptAll)
        body(&p)
        return p
    }
    func route(_ body: (inout RouteAttributes) -> Void = { _ in }) -> RouteAttributes {
        var r = RouteAttributes()
        r.origin = .igp
        r.path = [.init(type: 2, numbers: [ASNumber(100), ASNumber(200)])]
        r.nextHop = .v4(IPv4Address(10, 0, 0, 1))
        body(&r)
        return r
    }
    func encode(_ route: RouteAttributes, _ p: ExportParameters) -> (octets: [UInt8], result: ExportEncoder.Result) {
        let canonical = route.encoded()
        var out: [UInt8] = []
        let encoder =
            route.nextHop?.family == .ipv6
            ? ExportEncoder(IPv6Unicast.self, parameters: p) : ExportEncoder(IPv4Unicast.self, parameters: p)
        let result = encoder.encode(canonical.span.bytes, marks: route.marks, to: &out)
        return (out, result)
    }
    func decoded(_ route: RouteAttributes, _ p: ExportParameters) -> RouteAttributes {
        let octets = encode(route, p).octets
        return RouteAttributes(canonical: octets.span.bytes)
    }

    @Test func `towards another AS: our AS in front, our next hop, no MED, no LOCAL_PREF`() {
        let sent = decoded(
            route {
                $0.med = 5; $0.localPreference = 200
            }, parameters())
        #expect(sent.path == [.init(type: 2, numbers: [ASNumber(65000), ASNumber(100), ASNumber(200)])])
        #expect(sent.nextHop == .v4(IPv4Address(10, 0, 0, 254)))
        #expect(sent.med == nil && sent.localPreference == nil)
    }
    @Test func `towards another AS: MED and next hop that export policy set go out`() {
        let sent = decoded(
            route {
                $0.med = 5; $0.marks = [.medIsOurs, .nextHopIsOurs]
            }, parameters())
        #expect(sent.med == 5)
        #expect(sent.nextHop == .v4(IPv4Address(10, 0, 0, 1)))
    }
    @Test func `within the AS: path, next hop and MED stay, LOCAL_PREF is always there`() {
        let sent = decoded(route { $0.med = 5 }, parameters { $0.isExternal = false })
        #expect(
            sent
                == route {
                    $0.med = 5; $0.localPreference = 100
                })
        let own = decoded(route { $0.nextHop = .v4(.any) }, parameters { $0.isExternal = false })
        #expect(own.nextHop == .v4(IPv4Address(10, 0, 0, 254)))
        let selfSet = decoded(
            route(),
            parameters {
                $0.isExternal = false; $0.nextHopSelf = true
            })
        #expect(selfSet.nextHop == .v4(IPv4Address(10, 0, 0, 254)))
    }
    @Test func `a full first segment gets a new one before it (RFC 4271 §5.1.2)`() {
        let numbers = (0..<255).map { ASNumber(UInt32($0 + 1)) }
        let sent = decoded(route { $0.path = [.init(type: 2, numbers: numbers)] }, parameters())
        #expect(sent.path == [.init(type: 2, numbers: [ASNumber(65000)]), .init(type: 2, numbers: numbers)])
        let set = decoded(route { $0.path = [.init(type: 1, numbers: [ASNumber(9)])] }, parameters())
        #expect(set.path == [.init(type: 2, numbers: [ASNumber(65000)]), .init(type: 1, numbers: [ASNumber(9)])])
        let empty = decoded(route { $0.path = [] }, parameters())
        #expect(empty.path == [.init(type: 2, numbers: [ASNumber(65000)])])
    }
    @Test func `private AS numbers are taken out where configured`() {
        let sent = decoded(
            route { $0.path[0].numbers = [ASNumber(64512), ASNumber(100), ASNumber(4_200_000_001)] },
            parameters { $0.removePrivateAS = true })
        #expect(sent.path == [.init(type: 2, numbers: [ASNumber(65000), ASNumber(100)])])
    }
    @Test func `private AS numbers are replaced by ours where that is configured, and the path keeps its length`() {
        let sent = decoded(
            route {
                $0.path = [
                    .init(type: 2, numbers: [ASNumber(64512), ASNumber(100), ASNumber(4_200_000_001)]),
                    .init(type: 1, numbers: [ASNumber(64513), ASNumber(7)]),
                ]
            },
            parameters {
                $0.removePrivateAS = true; $0.replacesPrivateAS = true
            })
        #expect(sent.path.map(\.type) == [2, 1])
        #expect(sent.path[0].numbers == [65000, 65000, 100, 65000].map { ASNumber($0) })
        #expect(sent.path[1].numbers == [65000, 7].map { ASNumber($0) })
    }
    @Test func `our AS stands in place of the neighbour's where that is configured, for old speakers too`() {
        let received = route { $0.path[0].numbers = [ASNumber(100), ASNumber(64600), ASNumber(64600), ASNumber(64700)] }
        func path(_ change: (inout ExportParameters) -> Void) -> [UInt32] {
            decoded(
                received,
                parameters {
                    $0.overriddenAS = 64600
                    change(&$0)
                }
            ).path.flatMap(\.numbers).map(\.raw)
        }
        #expect(path { _ in } == [65000, 100, 65000, 65000, 64700])
        // What was put in stays, be our own AS a private one.
        #expect(path { $0.removePrivateAS = true } == [65000, 100, 65000, 65000])
        #expect(
            path {
                $0.removePrivateAS = true; $0.replacesPrivateAS = true
            } == [65000, 100, 65000, 65000, 65000])
        let old = encode(
            received,
            parameters {
                $0.overriddenAS = 64600; $0.fourOctetAS = false
            }
        ).octets
        var two: [UInt8] = []
        forEachAttribute(old.span.bytes) { _, type, value in if type == 2 { two = [UInt8](copying: value) } }
        #expect(two == [2, 5] + [65000, 100, 65000, 65000, 64700].flatMap { Build.u16($0) })
    }
    @Test func `towards a two-octet neighbour: AS_TRANS, and AS4_PATH only when needed (RFC 6793 §4.2.2)`() {
        let p = parameters {
            $0.fourOctetAS = false; $0.localAS = 70000
        }
        let octets = encode(route(), p).octets
        var path: [UInt8] = [], as4: [UInt8] = []
        forEachAttribute(octets.span.bytes) { flags, type, value in
            if type == 2 { path = [UInt8](copying: value) }
            if type == 17 {
                as4 = [UInt8](copying: value)
                #expect(flags & 0xf0 == 0xc0)
            }
        }
        #expect(path == [2, 3, 0x5b, 0xa0, 0, 100, 0, 200])
        #expect(as4 == [2, 3, 0, 1, 0x11, 0x70, 0, 0, 0, 100, 0, 0, 0, 200])
        var types: [UInt8] = []
        let small = encode(route(), parameters { $0.fourOctetAS = false }).octets
        forEachAttribute(small.span.bytes) { _, type, _ in types.append(type) }
        #expect(types == [1, 2, 3])
    }
    @Test func `AGGREGATOR shrinks for a two-octet neighbour, with AS4_AGGREGATOR when it lost something`() {
        let aggregator = RouteAttributes.Other(flags: 0xc0, type: 7, value: [0, 1, 0x11, 0x70, 10, 0, 0, 1])
        let octets = encode(route { $0.others = [aggregator] }, parameters { $0.fourOctetAS = false }).octets
        var found: [UInt8: [UInt8]] = [:]
        var order: [UInt8] = []
        forEachAttribute(octets.span.bytes) { _, type, value in
            found[type] = [UInt8](copying: value)
            order.append(type)
        }
        #expect(found[7] == [0x5b, 0xa0, 10, 0, 0, 1])
        #expect(found[18] == aggregator.value)
        #expect(order == order.sorted())
    }
    @Test func `unknown transitive attributes go on with the partial bit, others stay`() {
        let sent = decoded(
            route { $0.others = [.init(flags: 0xc0, type: 77, value: [1]), .init(flags: 0x80, type: 78, value: [2])] },
            parameters())
        #expect(sent.others == [.init(flags: 0xe0, type: 77, value: [1])])
    }
    @Test func `communities of all kinds stay at home where configured, extended ones of non-transitive type always`() {
        let full = route {
            $0.communities = [Community(1, 2)]
            $0.largeCommunities = [LargeCommunity(1, 2, 3)]
            $0.others = [.init(flags: 0xc0, type: 16, value: [0, 2, 0, 0, 0, 0, 0, 1, 0x40, 2, 0, 0, 0, 0, 0, 2])]
        }
        let none = decoded(full, parameters { $0.sendCommunities = false })
        #expect(none.communities.isEmpty && none.largeCommunities.isEmpty && none.others.isEmpty)
        let sent = decoded(full, parameters())
        #expect(sent.communities == full.communities && sent.largeCommunities == full.largeCommunities)
        #expect(sent.others == [.init(flags: 0xc0, type: 16, value: [0, 2, 0, 0, 0, 0, 0, 1])])
    }
    @Test func `IPv6 next hop: ours with the link-local address towards another AS, the received one within`() {
        let v6 = route { $0.nextHop = .v6(IPv6Address(high: 7, low: 7)) }
        let external = encode(v6, parameters()).result
        #expect(external.nextHop == .v6(IPv6Address(high: 1, low: 254)) && external.linkLocal != nil)
        let within = encode(v6, parameters { $0.isExternal = false }).result
        #expect(within.nextHop == .v6(IPv6Address(high: 7, low: 7)) && within.linkLocal == nil)
        #expect(encode(v6, parameters { $0.nextHopIPv6 = nil }).result.isSendable == false)
    }

    // MARK: the RIB as a whole

    func rib(ebgpRequiresPolicy: Bool, remote: [UInt32]) -> RIB {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 9))
        configuration.ebgpRequiresPolicy = ebgpRequiresPolicy
        var rib = RIB(configuration: configuration, seed: 4)
        for (i, number) in remote.enumerated() {
            var session = RIBSession(
                identifier: RouterID(raw: UInt32(i + 1)), families: .ipv4Unicast, fourOctetAS: true, extendedMessages: false)
            session.nextHopIPv4 = IPv4Address(10, 0, 0, 254)
            rib.establish(
                PeerIndex(UInt16(i)),
                neighbor: NeighborConfiguration(address: .v4(IPv4Address(10, 0, 0, UInt8(i + 1))), remoteAS: ASNumber(number)),
                session: session)
        }
        return rib
    }
    func announce(_ rib: inout RIB, _ prefix: IPPrefix, from peer: Int, _ route: RouteAttributes) {
        let octets = route.encoded()
        let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
        rib.resolveNewNextHops { _ in .reachable(metric: 0) }
        rib.announce(RIB.nlri(prefix).span.bytes, .ipv4Unicast, from: PeerIndex(UInt16(peer)), attributes: handle)
    }
    func read(_ rib: inout RIB, _ peer: Int, _ receiver: inout Receiver) {
        var octets: [UInt8] = []
        rib.takeOutput(for: PeerIndex(UInt16(peer)), limit: .max) { octets += $0 }
        receiver.read(octets[...])
    }
    static let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(20, 0, 0, 0), 8))

    @Test func `RFC 8212: without policy nothing comes in from, and nothing goes out to, another AS`() {
        for requires in [true, false] {
            var rib = rib(ebgpRequiresPolicy: requires, remote: [100, 200])
            announce(&rib, Self.prefix, from: 0, route())
            rib.advertise(at: .zero + .seconds(1))
            var receiver = Receiver()
            read(&rib, 1, &receiver)
            #expect(receiver.routes.isEmpty == requires)
            #expect(rib.prefixCount(PeerIndex(0), .ipv4Unicast) == 1)
            #expect(rib.received(from: PeerIndex(0), .ipv4Unicast, after: nil, limit: 10).map(\.isAccepted) == [!requires])
        }
    }
    @Test func `when the best route moves to another source with the same attributes, only the two sources hear of it`() {
        var rib = rib(ebgpRequiresPolicy: false, remote: [100, 100, 300])
        var receivers = [Receiver(), Receiver(), Receiver()]
        var now = Instant.zero
        func turn(_ rib: inout RIB) {
            now = now + .milliseconds(10)
            rib.advertise(at: now)
            for i in 0..<3 { read(&rib, i, &receivers[i]) }
        }
        turn(&rib)
        announce(&rib, Self.prefix, from: 1, route())
        turn(&rib)
        #expect(receivers.map { $0.routes.count } == [1, 0, 1])
        let before = receivers[2].messages
        // Neighbour 0 has the lower identifier.
        announce(&rib, Self.prefix, from: 0, route())
        turn(&rib)
        #expect(receivers.map { $0.routes.count } == [0, 1, 1])
        #expect(receivers[2].messages == before)
        rib.withdraw(RIB.nlri(Self.prefix).span.bytes, .ipv4Unicast, from: PeerIndex(0))
        turn(&rib)
        #expect(receivers.map { $0.routes.count } == [1, 0, 1])
        #expect(receivers[2].messages == before)
    }
    @Test func `a change and its undoing between two sendings say nothing`() {
        var rib = rib(ebgpRequiresPolicy: false, remote: [100, 200])
        var receiver = Receiver()
        announce(&rib, Self.prefix, from: 0, route())
        rib.advertise(at: .zero + .milliseconds(10))
        read(&rib, 1, &receiver)
        let before = receiver.messages
        announce(&rib, Self.prefix, from: 0, route { $0.path[0].numbers += [ASNumber(7)] })
        announce(&rib, Self.prefix, from: 0, route())
        rib.advertise(at: .zero + .milliseconds(20))
        read(&rib, 1, &receiver)
        #expect(receiver.messages == before)
    }
    @Test func `full messages: 4,096 octets, 65,535 for neighbours that take them`() {
        for isExtended in [false, true] {
            var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 9))
            configuration.ebgpRequiresPolicy = false
            var rib = RIB(configuration: configuration, seed: 4)
            for i in 0..<2 {
                var session = RIBSession(
                    identifier: RouterID(raw: UInt32(i + 1)), families: .ipv4Unicast, fourOctetAS: true,
                    extendedMessages: isExtended)
                session.nextHopIPv4 = IPv4Address(10, 0, 0, 254)
                rib.establish(
                    PeerIndex(UInt16(i)),
                    neighbor: NeighborConfiguration(
                        address: .v4(IPv4Address(10, 0, 0, UInt8(i + 1))), remoteAS: ASNumber(UInt32(100 + i))),
                    session: session)
            }
            let nlri = (0..<20000).flatMap { RIB.nlri(.v4(IPv4Prefix(IPv4Address(raw: UInt32($0) << 8 | 20 << 24), 24))) }
            let octets = route().encoded()
            let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
            rib.resolveNewNextHops { _ in .reachable(metric: 0) }
            rib.announce(nlri.span.bytes, .ipv4Unicast, from: PeerIndex(0), attributes: handle)
            var receiver = Receiver()
            var largest = 0
            for k in 1...8 {
                rib.advertise(at: .zero + .milliseconds(10 * k))
                rib.takeOutput(for: PeerIndex(1), limit: .max) {
                    receiver.read($0)
                    largest = max(largest, $0.count)
                }
            }
            #expect(receiver.problem == nil)
            #expect(receiver.routes.count == 20000)
            #expect(largest <= 65535)
            // 20,000 prefixes of 4 octets: about 1,005 in each small message, 16,370 in a large one; and End-of-RIB.
            #expect(receiver.messages == (isExtended ? 3 : 21))
        }
    }
    @Test func `a block of attributes that leaves no room for a prefix is not advertised`() {
        var rib = rib(ebgpRequiresPolicy: false, remote: [100, 200])
        var receiver = Receiver()
        announce(&rib, Self.prefix, from: 0, route())
        rib.advertise(at: .zero + .milliseconds(10))
        read(&rib, 1, &receiver)
        #expect(receiver.routes.count == 1)
        announce(&rib, Self.prefix, from: 0, route { $0.communities = (0..<1100).map { Community(1, UInt16($0)) } })
        rib.advertise(at: .zero + .milliseconds(20))
        read(&rib, 1, &receiver)
        #expect(receiver.routes.isEmpty)
    }
    @Test func `the work of a session that ends is done in slices, and its prefixes are given up`() {
        var rib = rib(ebgpRequiresPolicy: false, remote: [100, 200])
        rib.tables.ipv4Unicast.limits = RIBLimits(flush: 64, slice: 100, lag: 1 << 20)
        let nlri = (0..<2000).flatMap { RIB.nlri(.v4(IPv4Prefix(IPv4Address(raw: UInt32($0) << 8 | 20 << 24), 24))) }
        let octets = route().encoded()
        let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
        rib.resolveNewNextHops { _ in .reachable(metric: 0) }
        rib.announce(nlri.span.bytes, .ipv4Unicast, from: PeerIndex(0), attributes: handle)
        var receiver = Receiver()
        var now = Instant.zero
        func turn() {
            now = now + .milliseconds(10)
            rib.advertise(at: now)
            read(&rib, 1, &receiver)
        }
        for _ in 0..<40 { turn() }
        #expect(receiver.routes.count == 2000)
        rib.close(PeerIndex(0))
        turn()
        #expect(receiver.routes.count > 1800)
        #expect(!rib.isEmpty(PeerIndex(0)))
        #expect(rib.nextDeadline != nil)
        for _ in 0..<60 { turn() }
        #expect(receiver.routes.isEmpty)
        #expect(rib.isEmpty(PeerIndex(0)))
        #expect(rib.tables.ipv4Unicast.prefixes.count == 0)
        #expect(rib.nextDeadline == nil)
    }
    @Test func `the table can be read in pages, in order`() {
        var rib = rib(ebgpRequiresPolicy: false, remote: [100, 200])
        for k in [9, 3, 7, 1, 5] { announce(&rib, .v4(IPv4Prefix(IPv4Address(20, UInt8(k), 0, 0), 16)), from: 0, route()) }
        rib.advertise(at: .zero + .milliseconds(10))
        let first = rib.routes(.ipv4Unicast, after: nil, limit: 2).map(\.destination.description)
        #expect(first == ["20.1.0.0/16", "20.3.0.0/16"])
        let next = rib.routes(.ipv4Unicast, after: RouteDestination(IPPrefix("20.3.0.0/16")!), limit: 10)
            .map(\.destination.description)
        #expect(next == ["20.5.0.0/16", "20.7.0.0/16", "20.9.0.0/16"])
        #expect(rib.advertised(to: PeerIndex(1), .ipv4Unicast, after: nil, limit: 1).first?.attributes.asPath == "65000 100 200")
        #expect(rib.advertised(to: PeerIndex(0), .ipv4Unicast, after: nil, limit: 1).isEmpty)
        #expect(rib.advertisedCount(PeerIndex(1), .ipv4Unicast) == 5)
        #expect(rib.route(covering: .v4(IPv4Address(20, 7, 1, 1)))?.destination.description == "20.7.0.0/16")
        #expect(rib.summary.families[0].bestRoutes == 5)
    }
}
