import Machine
import Policy
import Routing
import Testing
import Wire

@testable import BGP

/// Two or three paths to one prefix that differ in one step of the decision process each.
@Suite struct DecisionTests {
    struct Offer {
        var address: IPAddress = .v4(IPv4Address(10, 0, 0, 1))
        var remoteAS: UInt32 = 100
        var identifier: UInt32 = 1
        var route = RouteAttributes()
        var metric: UInt32? = 0

        init(_ last: UInt8, _ body: (inout Offer) -> Void = { _ in }) {
            address = .v4(IPv4Address(10, 0, 0, last))
            identifier = UInt32(last)
            route.origin = .igp
            route.path = [.init(type: 2, numbers: [ASNumber(100)])]
            route.nextHop = .v4(IPv4Address(10, 1, 0, last))
            body(&self)
        }
    }
    static let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(20, 0, 0, 0), 8))

    /// The view of the prefix after the offers came in this order.
    func decide(_ offers: [Offer], allowASIn: UInt8 = 0) -> RouteView? {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 0x0a0a_0a0a))
        configuration.ebgpRequiresPolicy = false
        var rib = RIB(configuration: configuration, seed: 1)
        for (i, offer) in offers.enumerated() {
            let peer = PeerIndex(UInt16(i))
            var neighbor = NeighborConfiguration(address: offer.address, remoteAS: ASNumber(offer.remoteAS))
            neighbor.allowASIn = allowASIn
            rib.establish(
                peer, neighbor: neighbor,
                session: RIBSession(
                    identifier: RouterID(raw: offer.identifier), families: .ipv4Unicast, fourOctetAS: true,
                    extendedMessages: false))
            let octets = offer.route.encoded()
            let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
            rib.resolveNewNextHops { _ in offer.metric.map { .reachable(metric: $0) } ?? .unreachable }
            rib.announce(RIB.nlri(Self.prefix).span.bytes, .ipv4Unicast, from: peer, attributes: handle)
        }
        return rib.route(Self.prefix)
    }

    /// `winner` is chosen by `step`, whatever the order of arrival.
    func expect(_ winner: Offer, over loser: Offer, by step: DecisionStep, _ location: SourceLocation = #_sourceLocation) {
        for offers in [[winner, loser], [loser, winner]] {
            let view = decide(offers)
            #expect(view?.paths.first?.neighbor == winner.address, sourceLocation: location)
            #expect(view?.paths.first?.isBest == true, sourceLocation: location)
            #expect(view?.paths.first?.decidedBy == step, sourceLocation: location)
            #expect(view?.paths.last?.decidedBy == step, sourceLocation: location)
        }
    }

    @Test func `step 0: a path through an unreachable next hop is not chosen`() {
        let dead = Offer(1) { $0.metric = nil }
        #expect(decide([dead])?.paths.first?.isBest == false)
        #expect(decide([dead])?.paths.first?.ineligibility == .nextHopUnreachable)
        #expect(decide([dead, Offer(2)])?.paths.first?.neighbor == Offer(2).address)
    }
    @Test func `step 0: our own AS in the path is a loop, as often as is not allowed`() {
        let loop = Offer(1) { $0.route.path[0].numbers += [ASNumber(65000), ASNumber(7)] }
        #expect(decide([loop])?.paths.first?.ineligibility == .asLoop)
        #expect(decide([loop], allowASIn: 1)?.paths.first?.isBest == true)
    }
    @Test func `step 0: our own ORIGINATOR_ID or cluster is a loop (RFC 4456 §8)`() {
        for type: UInt8 in [9, 10] {
            let loop = Offer(1) {
                $0.remoteAS = 65000
                $0.route.others = [.init(flags: 0x80, type: type, value: [10, 10, 10, 10])]
            }
            #expect(decide([loop])?.paths.first?.ineligibility == .reflectionLoop)
        }
    }
    @Test func `step 1: the higher LOCAL_PREF wins, absent means the default`() {
        expect(
            Offer(2) {
                $0.route.localPreference = 101; $0.route.path[0].numbers += [ASNumber(1)]
            }, over: Offer(1), by: .localPreference)
        expect(Offer(2), over: Offer(1) { $0.route.localPreference = 99 }, by: .localPreference)
    }
    @Test func `before LOCAL_PREF the weight decides, which policy gives a path in this router alone`() throws {
        var configuration = BGPConfiguration(routerAS: ASNumber(65000), routerID: RouterID(raw: 0x0a0a_0a0a))
        configuration.ebgpRequiresPolicy = false
        func policy(_ name: String, _ actions: [PolicyAction]) -> PolicyConfiguration {
            PolicyConfiguration(name: name, statements: [PolicyStatement(actions: actions, result: .accept)])
        }
        configuration.definitions = PolicyDefinitions(policies: [
            policy("heavy", [.setWeight(2)]), policy("light", [.setWeight(1), .setLocalPreference(500)]),
        ])
        var rib = RIB(configuration: configuration, seed: 1)
        for (i, name) in ["light", "heavy", ""].enumerated() {
            let offer = Offer(UInt8(i + 1))
            var neighbor = NeighborConfiguration(address: offer.address, remoteAS: ASNumber(100))
            neighbor.importPolicies = name.isEmpty ? [] : [name]
            let session = RIBSession(
                identifier: RouterID(raw: offer.identifier), families: .ipv4Unicast, fourOctetAS: true, extendedMessages: false)
            rib.establish(PeerIndex(UInt16(i)), neighbor: neighbor, session: session)
            let octets = Offer(1).route.encoded()
            let handle = rib.insertAttributes(key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
            rib.resolveNewNextHops { _ in .reachable(metric: 0) }
            rib.announce(RIB.nlri(Self.prefix).span.bytes, .ipv4Unicast, from: PeerIndex(UInt16(i)), attributes: handle)
        }
        var writer = SnapshotWriter()
        rib.write(to: &writer)
        var reader = SnapshotReader(writer.bytes)
        for rib in [rib, try RIB(from: &reader)] {
            let paths = try #require(rib.route(Self.prefix)).paths
            #expect(paths.map(\.accepted?.weight) == [2, 1, nil])
            #expect(paths[0].isBest && paths[0].decidedBy == .weight && paths[1].decidedBy == .weight)
            #expect(paths.map(\.received.weight) == [nil, nil, nil])
        }
        // What a snapshot has is what was there.
        let rank = AttributeSet.rank(weight: 7, localPreference: 5, pathLength: 9, origin: 2, isLongLivedStale: false)
        for set in [rank, 0, .max >> 1] {
            var own = AttributeSet()
            own.rank = set
            #expect(AttributeSet(stored: own.stored).rank == set)
        }
    }
    @Test func `step 2: the shorter AS path wins, an AS_SET counts as one`() {
        expect(
            Offer(2) { $0.route.origin = .incomplete }, over: Offer(1) { $0.route.path[0].numbers += [ASNumber(1)] },
            by: .pathLength)
        expect(
            Offer(2) { $0.route.path.append(.init(type: 1, numbers: [ASNumber(1), ASNumber(2), ASNumber(3)])) },
            over: Offer(1) { $0.route.path[0].numbers += [ASNumber(1), ASNumber(2)] }, by: .pathLength)
    }
    @Test func `step 3: the lower ORIGIN wins`() {
        expect(Offer(2), over: Offer(1) { $0.route.origin = .egp }, by: .origin)
        expect(Offer(2) { $0.route.origin = .egp }, over: Offer(1) { $0.route.origin = .incomplete }, by: .origin)
    }
    @Test func `step 4: the lower MED wins among paths from one AS, absent is the lowest`() {
        expect(Offer(2) { $0.route.med = 5 }, over: Offer(1) { $0.route.med = 6 }, by: .med)
        expect(Offer(2), over: Offer(1) { $0.route.med = 1 }, by: .med)
    }
    @Test func `step 4: MEDs of different ASes are not compared`() {
        let other = Offer(2) {
            $0.remoteAS = 200
            $0.route.path = [.init(type: 2, numbers: [ASNumber(200)])]
            $0.route.med = 1
        }
        expect(Offer(1) { $0.route.med = 9 }, over: other, by: .identifier)
    }
    @Test func `step 4: a third path can decide between two without being best, in every order of arrival`() {
        // A and B share an AS, B has the lower MED; C is from elsewhere. A beats C, C beats B, B beats A.
        let a = Offer(1) { $0.route.med = 10 }
        let b = Offer(3) { $0.route.med = 5 }
        let c = Offer(2) {
            $0.remoteAS = 200
            $0.route.path = [.init(type: 2, numbers: [ASNumber(200)])]
        }
        for order in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]] {
            #expect(decide(order)?.paths.first?.neighbor == c.address)
        }
        #expect(decide([a, c])?.paths.first?.neighbor == a.address)
    }
    @Test func `step 5: external wins over internal`() {
        expect(Offer(2), over: Offer(1) { $0.remoteAS = 65000 }, by: .source)
    }
    @Test func `step 6: the lower cost to the next hop wins`() {
        expect(Offer(2) { $0.metric = 10 }, over: Offer(1) { $0.metric = 20 }, by: .interiorCost)
    }
    @Test func `step 7: the lower BGP Identifier wins, ORIGINATOR_ID stands in for it`() {
        expect(Offer(2) { $0.identifier = 3 }, over: Offer(1) { $0.identifier = 4 }, by: .identifier)
        expect(
            Offer(2) {
                $0.remoteAS = 65000
                $0.route.others = [.init(flags: 0x80, type: 9, value: [0, 0, 0, 1])]
            },
            over: Offer(1) {
                $0.remoteAS = 65000; $0.identifier = 2
            }, by: .identifier)
    }
    @Test func `step 8: the shorter CLUSTER_LIST wins (RFC 4456 §9)`() {
        func offer(_ last: UInt8, _ clusters: Int) -> Offer {
            Offer(last) {
                $0.remoteAS = 65000
                $0.identifier = 7
                $0.route.others = [.init(flags: 0x80, type: 10, value: [UInt8](repeating: 1, count: 4 * clusters))]
            }
        }
        expect(offer(2, 1), over: offer(1, 2), by: .clusterLength)
    }
    @Test func `step 9: the lower neighbour address wins`() {
        expect(Offer(1) { $0.identifier = 7 }, over: Offer(2) { $0.identifier = 7 }, by: .neighborAddress)
    }
}
