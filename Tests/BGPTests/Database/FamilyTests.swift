import Machine
import Routing
import Testing
import Wire

@testable import BGP

/// The same life for a route of every family: announced to one RIB, chosen, exported, read by a second one, shown,
/// withdrawn; from a snapshot as well. A family conforms when nothing here knows it.
@Suite struct FamilyTests {
    /// Two RIBs and a session between them, whose octets the second one reads as the session side does.
    struct Pair {
        var first: RIB
        var second: RIB
        let family: RouteFamily
        /// Given by the neighbour of the first one, and between the two.
        var pathIDs: RouteFamilySet = []
        var now = Instant.zero
        /// Whether the second one reads.
        var isRead = true

        static let own = IPv4Address(10, 0, 0, 254)
        static let own6 = IPv6Address("2001:db8::fe")!
        /// The neighbour that announces to the first one, and the way between the two.
        static let origin = PeerIndex(0), link = PeerIndex(1)

        init(_ family: RouteFamily, isInternal: Bool = false, pathIDs: RouteFamilySet = [], view: ExportView = .best) {
            self.family = family
            self.pathIDs = pathIDs
            var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 1))
            configuration.ebgpRequiresPolicy = false
            first = RIB(configuration: configuration, seed: 1)
            let secondAS = isInternal ? ASNumber(65000) : ASNumber(65001)
            configuration.routerAS = secondAS
            configuration.routerID = RouterID(raw: 2)
            second = RIB(configuration: configuration, seed: 2)
            func session(_ identifier: UInt32, isLink: Bool) -> RIBSession {
                var session = RIBSession(
                    identifier: RouterID(raw: identifier), families: RouteFamilySet(family), fourOctetAS: true,
                    extendedMessages: false, nextHopIPv4: Self.own, nextHopIPv6: Self.own6)
                session.receivesPathIDs = pathIDs
                session.sendsPathIDs = isLink ? pathIDs : []
                if isLink { session.view = view }
                return session
            }
            first.establish(
                Self.origin, neighbor: NeighborConfiguration(address: IPAddress("10.0.0.1")!, remoteAS: ASNumber(100)),
                session: session(9, isLink: false))
            first.establish(
                Self.link, neighbor: NeighborConfiguration(address: IPAddress("10.0.0.2")!, remoteAS: secondAS),
                session: session(2, isLink: true))
            second.establish(
                Self.link, neighbor: NeighborConfiguration(address: IPAddress("10.0.0.3")!, remoteAS: ASNumber(65000)),
                session: session(1, isLink: true))
        }

        var isInternal: Bool { second.configuration.routerAS == first.configuration.routerAS }

        /// What the neighbour of the first one sends.
        func nlri(_ text: String, label: UInt32 = 0, id: UInt32? = nil) -> [UInt8] {
            func encode<Family: RoutedFamily>(_: Family.Type) -> [UInt8] {
                NLRITests.octets(Family.self, Family.key(text)!.packed, label: LabelField.octets(label))
            }
            return (id.map { Build.u32($0) } ?? []) + encode(family.type)
        }

        mutating func announce(_ nlri: [UInt8], nextHop: IPAddress? = nil, path: [UInt32] = [100]) {
            var route = RouteAttributes()
            route.origin = .igp
            route.path = [.init(type: 2, numbers: path.map { ASNumber($0) })]
            route.nextHop = nextHop ?? (family.type.nextHops.contains(.ipv4) ? IPAddress("10.9.0.1") : IPAddress("2001:db8::9"))
            let octets = route.encoded()
            let handle = first.insertAttributes(
                key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
            first.resolveNewNextHops { _ in .reachable(metric: 0) }
            first.announce(nlri.span.bytes, family, from: Self.origin, attributes: handle)
        }
        mutating func withdraw(_ nlri: [UInt8]) { first.withdraw(nlri.span.bytes, family, from: Self.origin) }

        /// Lets time pass until the second one has read everything. Returns the messages.
        @discardableResult
        mutating func settle() throws -> [[UInt8]] {
            var messages: [[UInt8]] = []
            for _ in 0..<20 {
                now = now + .milliseconds(10)
                first.advertise(at: now)
                var octets: [UInt8] = []
                first.takeOutput(for: Self.link, limit: .max) { octets += $0 }
                var position = 0
                while position < octets.count {
                    let header = try MessageHeader(octets.span.bytes, at: position, extended: false)
                    messages.append(Array(octets[position..<(position + header.length)]))
                    if isRead { try read(Array(octets[(position + 19)..<(position + header.length)])) }
                    position += header.length
                }
                second.advertise(at: now)
            }
            return messages
        }

        private mutating func read(_ body: [UInt8]) throws {
            let context = UpdateContext(
                routerAS: second.configuration.routerAS, fourOctetAS: true, isInternal: isInternal,
                families: RouteFamilySet(family), pathIDs: pathIDs)
            let update = try UpdateMessage(body: body.span.bytes, context: context)
            let hasPathIDs = pathIDs.contains(family)
            let reached = [UInt8](copying: update.reachNLRI), gone = [UInt8](copying: update.unreachNLRI)
            #expect(NLRITests.isSound(family.type, reached, hasPathIDs: hasPathIDs))
            #expect(NLRITests.isSound(family.type, gone, hasPathIDs: hasPathIDs))
            if !update.withdrawn.isEmpty { second.withdraw(update.withdrawn, family, from: Self.link) }
            if !update.unreachNLRI.isEmpty { second.withdraw(update.unreachNLRI, family, from: Self.link) }
            guard update.hasReachableNLRI else { return }
            var block: [UInt8] = []
            update.gatherBlock(into: &block)
            var attributes = PathAttributes()
            let fault = attributes.decode(block: block.span.bytes, context: context, hasReachableNLRI: true)
            #expect(fault == nil)
            var reach: MultiprotocolNextHop?
            if update.reachFamily != nil {
                switch update.reachNextHop {
                case .v4(let address): attributes.setNextHop(address)
                case .v6(let address):
                    attributes.setNextHop(nil)
                    reach = MultiprotocolNextHop(global: address, linkLocal: update.reachLinkLocal ?? .any)
                }
            }
            var canonical = ByteWriter()
            attributes.encode(into: &canonical, fourOctetAS: true, reach: reach)
            let octets = canonical.bytes
            let handle = second.insertAttributes(
                key: octets.span.bytes, context: AttributeContext(1), canonical: octets.span.bytes)
            second.resolveNewNextHops { _ in .reachable(metric: 0) }
            second.announce(
                update.reachFamily == nil ? update.nlri : update.reachNLRI, family, from: Self.link, attributes: handle)
        }

        mutating func restore() throws {
            func twin(_ rib: RIB) throws -> RIB {
                var writer = SnapshotWriter()
                rib.write(to: &writer)
                var reader = SnapshotReader(writer.bytes)
                let restored = try RIB(from: &reader)
                try reader.expectEnd()
                var again = SnapshotWriter()
                restored.write(to: &again)
                #expect(again.bytes == writer.bytes && restored.digest == rib.digest)
                return restored
            }
            first = try twin(first)
            second = try twin(second)
        }

        func routes(_ rib: RIB) -> [String] {
            rib.routes(family, after: nil, limit: 100).map { view in
                "\(view.destination) "
                    + view.paths.map { path in
                        let hop = path.received.nextHop.map { "\($0)" } ?? "nowhere"
                        return "[\(path.received.asPath)] via \(hop)" + (path.label.map { " label \($0)" } ?? "")
                    }.joined(separator: ", ")
            }
        }
    }

    /// Destinations in ascending order, the second one within the first, and the session's own next hop.
    struct Sample {
        var family: RouteFamily
        var destinations: [String]
        var nextHop: String
        var own: String
    }
    static let samples = [
        Sample(
            family: .ipv4Unicast, destinations: ["20.0.0.0/8", "20.1.0.0/16", "30.0.0.0/8"], nextHop: "10.9.0.1",
            own: "10.0.0.254"),
        Sample(
            family: .ipv6Unicast, destinations: ["2400::/16", "2400:1::/32", "2500::/16"], nextHop: "2001:db8::9",
            own: "2001:db8::fe"),
        Sample(
            family: .ipv4LabelledUnicast, destinations: ["20.0.0.0/8", "20.1.0.0/16", "30.0.0.0/8"], nextHop: "10.9.0.1",
            own: "10.0.0.254"),
        Sample(
            family: .ipv6LabelledUnicast, destinations: ["2400::/16", "2400:1::/32", "2500::/16"], nextHop: "2001:db8::9",
            own: "2001:db8::fe"),
        Sample(family: .e164, destinations: ["+49", "+4930", "+7"], nextHop: "10.9.0.1", own: "10.0.0.254"),
    ]

    @Test(arguments: 0..<samples.count, [false, true])
    func `a route of every family goes its whole way`(number: Int, isInternal: Bool) throws {
        let sample = Self.samples[number]
        var pair = Pair(sample.family, isInternal: isInternal)
        #expect(try pair.settle().count == 1, "End-of-RIB")
        for (i, text) in sample.destinations.enumerated() { pair.announce(pair.nlri(text, label: UInt32(1000 + i))) }
        try pair.restore()
        #expect(try pair.settle().count == 1)
        let labels = sample.family.type.hasLabels
        #expect(
            pair.routes(pair.first)
                == sample.destinations.enumerated().map { i, text in
                    "\(text) [100] via \(sample.nextHop)" + (labels ? " label \(1000 + i)" : "")
                })
        // Within the AS the next hop stays, and with it the label.
        #expect(
            pair.routes(pair.second)
                == sample.destinations.enumerated().map { i, text in
                    isInternal
                        ? "\(text) [100] via \(sample.nextHop)" + (labels ? " label \(1000 + i)" : "")
                        : "\(text) [65000 100] via \(sample.own)" + (labels ? " label 3" : "")
                })
        // The longest that contains another, in whatever the family counts.
        let inner = RouteDestination(sample.family, sample.destinations[1])!
        #expect(pair.second.route(covering: inner)?.destination == inner)
        pair.withdraw(pair.nlri(sample.destinations[1]))
        try pair.settle()
        #expect(pair.second.route(inner) == nil)
        #expect(pair.second.route(covering: inner)?.destination.description == sample.destinations[0])
        #expect(pair.routes(pair.second).count == 2)
        // Counts and pages.
        #expect(pair.second.prefixCount(Pair.link, sample.family) == 2)
        #expect(pair.first.advertisedCount(Pair.link, sample.family) == 2)
        let page = pair.second.received(from: Pair.link, sample.family, after: nil, limit: 1)
        #expect(page.map(\.destination.description) == [sample.destinations[0]])
        let rest = pair.second.received(from: Pair.link, sample.family, after: page[0].destination, limit: 9)
        #expect(rest.map(\.destination.description) == [sample.destinations[2]])
        let advertised = pair.first.advertised(to: Pair.link, sample.family, after: nil, limit: 9)
        #expect(advertised.map(\.attributes.asPath) == (isInternal ? ["100", "100"] : ["65000 100", "65000 100"]))
        #expect(
            advertised.map(\.attributes.nextHop)
                == Array(repeating: IPAddress(isInternal ? sample.nextHop : sample.own), count: 2))
        #expect(pair.first.summary.families.first { $0.family == sample.family }?.bestRoutes == 2)
        // Nobody forwards by labels or digits.
        let forwards = sample.family == .ipv4Unicast || sample.family == .ipv6Unicast
        #expect(pair.second.hasRouteChanges == forwards)
        // A neighbour that asks gets it again; one that went leaves nothing behind.
        pair.first.refresh(Pair.link, sample.family)
        #expect(try !pair.settle().isEmpty)
        try pair.restore()
        pair.first.close(Pair.origin)
        try pair.settle()
        #expect(pair.routes(pair.second).isEmpty && pair.routes(pair.first).isEmpty)
        #expect(pair.first.digest == RIB(configuration: pair.first.configuration, seed: 1).digest)
        #expect(pair.first.isEmpty(Pair.origin) && pair.first.shared.attributes.count == 0)
    }

    @Test(arguments: 0..<samples.count)
    func `several paths of every family go on under identifiers`(number: Int) throws {
        let sample = Self.samples[number]
        var pair = Pair(sample.family, pathIDs: RouteFamilySet(sample.family), view: .several(2))
        try pair.settle()
        for id in 1...3 as ClosedRange<UInt32> {
            pair.announce(
                pair.nlri(sample.destinations[0], label: id, id: 70 + id), path: Array(repeating: 100, count: Int(id)))
        }
        try pair.settle()
        func paths(_ pair: Pair) -> [String] {
            (pair.second.route(RouteDestination(sample.family, sample.destinations[0])!)?.paths ?? [])
                .map { "\($0.pathID ?? 0): \($0.received.asPath)" }
        }
        #expect(paths(pair) == ["1: 65000 100", "2: 65000 100 100"])
        try pair.restore()
        pair.withdraw(pair.nlri(sample.destinations[0], id: 71))
        try pair.settle()
        #expect(Set(paths(pair)) == ["2: 65000 100 100", "1: 65000 100 100 100"])
        pair.first.close(Pair.origin)
        try pair.settle()
        #expect(paths(pair).isEmpty && pair.first.shared.attributes.count == 0)
    }

    @Test func `a label alone that changed is news`() throws {
        var pair = Pair(.ipv4LabelledUnicast, isInternal: true)
        try pair.settle()
        pair.announce(pair.nlri("20.0.0.0/8", label: 77))
        try pair.settle()
        let before = pair.first.digest
        pair.announce(pair.nlri("20.0.0.0/8", label: 78))
        #expect(pair.first.digest != before)
        let messages = try pair.settle()
        #expect(messages.count == 1)
        #expect(pair.routes(pair.second) == ["20.0.0.0/8 [100] via 10.9.0.1 label 78"])
        pair.announce(pair.nlri("20.0.0.0/8", label: 78))
        #expect(try pair.settle().isEmpty)
        // RFC 8277 §2.4: what stands in the place of the label when the prefix is withdrawn.
        pair.withdraw(pair.nlri("20.0.0.0/8", label: 78))
        let body = try #require(try pair.settle().first).dropFirst(19)
        #expect(Array(body) == [0, 0, 0, 12, 0x90, 15, 0, 8, 0, 1, 4, 32, 0x80, 0, 0, 20])
    }

    @Test func `telephone numbers: the octets on the wire`() throws {
        var pair = Pair(.e164)
        let end = try pair.settle()
        #expect(end.map { Array($0[19...]) } == [[0, 0, 0, 6, 0x80, 15, 3, 0, 8, 1]])
        pair.announce(pair.nlri("+493"))
        let body = try #require(try pair.settle().first)[19...]
        // MP_REACH_NLRI first: AFI 8, SAFI 1, four octets of next hop, one reserved, twelve bits.
        #expect(
            Array(body.prefix(20)) == [
                0, 0, 0, UInt8(body.count - 4), 0x90, 14, 0, 12, 0, 8, 1, 4, 10, 0, 0, 254, 0, 12, 0x49, 0x30,
            ])
        pair.withdraw(pair.nlri("+493"))
        let gone = try #require(try pair.settle().first)[19...]
        #expect(Array(gone) == [0, 0, 0, 10, 0x90, 15, 0, 6, 0, 8, 1, 12, 0x49, 0x30])
    }

    @Test func `RFC 8950: a next hop is of no family, but who does not take it gets ourselves, or nothing`() throws {
        let far = IPAddress("2001:db8::9")!
        // Towards another AS we stand in its place: with an IPv4 address where NEXT_HOP belongs.
        var pair = Pair(.ipv4Unicast)
        try pair.settle()
        pair.announce(pair.nlri("20.0.0.0/8"), nextHop: far)
        let body = try #require(try pair.settle().first)[19...]
        #expect(Array(body.dropFirst(4).prefix(4)) == [0x40, 1, 1, 0])
        #expect(Array(body.suffix(9)) == [0x40, 3, 4, 10, 0, 0, 254, 8, 20])
        #expect(pair.routes(pair.second) == ["20.0.0.0/8 [65000 100] via 10.0.0.254"])
        // The routing table manager has no way for it yet.
        #expect(pair.first.takeIPv4Changes().map(\.source) == [nil])
        // Within the AS it would have to stay, and a neighbour without the capability cannot read it.
        var plain = Pair(.ipv4Unicast, isInternal: true)
        try plain.settle()
        plain.announce(plain.nlri("20.0.0.0/8"), nextHop: far)
        #expect(try plain.settle().isEmpty)
        #expect(plain.first.advertisedCount(Pair.link, .ipv4Unicast) == 0)
        // With it the prefix stands in MP_REACH_NLRI beside the next hop.
        plain.isRead = false
        var session = plain.first.sessions[3]!
        session.session.takesIPv6NextHops = .ipv4Unicast
        plain.first.close(Pair.link)
        plain.first.establish(Pair.link, neighbor: session.neighbor, session: session.session)
        let reached = try plain.settle().map { Array($0[19...]) }
        #expect(reached.first.map { Array($0[4..<29]) } == [0x90, 14, 0, 23, 0, 1, 1, 16] + Build.nextHop6.dropLast() + [9, 0])
        #expect(reached.first.map { Array($0[29..<31]) } == [8, 20])
    }
}
