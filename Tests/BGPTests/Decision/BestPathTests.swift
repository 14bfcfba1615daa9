import Machine
import Routing
import Testing
import Wire

@testable import BGP

/// Rules of the decision process that an operator changes, and RFC 5065 §5.3.
@Suite struct BestPathTests {
    private struct Offer {
        var remoteAS: UInt32
        var path: [RouteAttributes.Segment]
        var med: UInt32?
    }
    private static let prefix = IPPrefix.v4(IPv4Prefix(IPv4Address(20, 0, 0, 0), 8))

    /// Which of the offers is chosen, by which step, in whatever order they come.
    private static func decide(
        _ offers: [Offer], _ change: (inout BGPConfiguration) -> Void = { _ in }
    ) -> (winner: Int?, step: DecisionStep?) {
        var results: [(Int?, DecisionStep?)] = []
        for order in [Array(offers.indices), offers.indices.reversed()] {
            var configuration = BGPConfiguration(routerAS: ASNumber(65001), routerID: RouterID(raw: 9))
            configuration.ebgpRequiresPolicy = false
            configuration.confederation = ConfederationConfiguration(
                identifier: ASNumber(64000), members: [ASNumber(65002), ASNumber(65003)])
            var rib = RIB(configuration: configuration, seed: 1)
            for number in order {
                let offer = offers[number], last = UInt8(number + 1)
                rib.establish(
                    PeerIndex(UInt16(number)),
                    neighbor: NeighborConfiguration(
                        address: .v4(IPv4Address(10, 0, 0, last)), remoteAS: ASNumber(offer.remoteAS)),
                    session: RIBSession(
                        identifier: RouterID(raw: UInt32(last)), families: .ipv4Unicast, fourOctetAS: true,
                        extendedMessages: false))
                var route = RouteAttributes()
                route.origin = .igp
                route.path = offer.path
                route.nextHop = .v4(IPv4Address(10, 1, 0, last))
                route.med = offer.med
                let octets = route.encoded()
                let handle = rib.insertAttributes(
                    key: octets.span.bytes, context: AttributeContext(0), canonical: octets.span.bytes)
                rib.resolveNewNextHops { _ in .reachable(metric: 0) }
                rib.announce(RIB.nlri(prefix).span.bytes, .ipv4Unicast, from: PeerIndex(UInt16(number)), attributes: handle)
            }
            // What is configured later counts for what is there.
            change(&configuration)
            rib.configure(configuration)
            for step in 0..<4 { rib.advertise(at: .zero + .milliseconds(10 * (step + 1))) }
            let best = rib.route(prefix)?.paths.first
            let address = best?.isBest == true ? best?.neighbor : nil
            results.append(
                (offers.indices.first { address == .v4(IPv4Address(10, 0, 0, UInt8($0 + 1))) }, best?.decidedBy))
        }
        #expect(results[0].0 == results[1].0)
        return results[0]
    }
    private static func sequence(_ numbers: UInt32...) -> RouteAttributes.Segment {
        .init(type: 2, numbers: numbers.map { ASNumber($0) })
    }
    private static func members(_ numbers: UInt32...) -> RouteAttributes.Segment {
        .init(type: 3, numbers: numbers.map { ASNumber($0) })
    }

    @Test func `MED of paths from several ASes is compared where that is wanted`() {
        let offers = [
            Offer(remoteAS: 7, path: [Self.sequence(7)], med: 20), Offer(remoteAS: 8, path: [Self.sequence(8)], med: 10),
        ]
        #expect(Self.decide(offers).winner == 0)
        let (winner, step) = Self.decide(offers) { $0.bestPath.alwaysCompareMED = true }
        #expect(winner == 1 && step == .med)
    }
    @Test func `a missing MED is the best one, or the worst`() {
        let offers = [
            Offer(remoteAS: 7, path: [Self.sequence(7)], med: nil), Offer(remoteAS: 7, path: [Self.sequence(7)], med: 10),
        ]
        #expect(Self.decide(offers).winner == 0)
        let (winner, step) = Self.decide(offers) { $0.bestPath.missingMEDAsWorst = true }
        #expect(winner == 1 && step == .med)
    }
    @Test func `the length of a path decides nothing where that is wanted`() {
        let offers = [
            Offer(remoteAS: 7, path: [Self.sequence(7, 9, 10)], med: nil), Offer(remoteAS: 8, path: [Self.sequence(8)], med: nil),
        ]
        #expect(Self.decide(offers).winner == 1)
        let (winner, step) = Self.decide(offers) { $0.bestPath.ignoresPathLength = true }
        #expect(winner == 0 && step == .identifier)
    }
    @Test func `§5.3: members do not lengthen a path, and are internal to a comparison with the world outside`() {
        let long = Offer(remoteAS: 65002, path: [Self.members(65002, 65003), Self.sequence(7)], med: nil)
        let outside = Offer(remoteAS: 8, path: [Self.sequence(8)], med: nil)
        let (winner, step) = Self.decide([long, outside])
        #expect(winner == 1 && step == .source)
    }
    @Test func `§5.3: MED is compared by the first AS outside, and among members alone where that is wanted`() {
        let first = Offer(remoteAS: 65002, path: [Self.members(65002), Self.sequence(7)], med: 20)
        let second = Offer(remoteAS: 65003, path: [Self.members(65003), Self.sequence(7)], med: 10)
        #expect(Self.decide([first, second]).winner == 1)
        let inside = [
            Offer(remoteAS: 65002, path: [Self.members(65002)], med: 20),
            Offer(remoteAS: 65002, path: [Self.members(65002)], med: 10),
        ]
        #expect(Self.decide(inside).winner == 0)
        let (winner, step) = Self.decide(inside) { $0.bestPath.comparesConfederationMED = true }
        #expect(winner == 1 && step == .med)
    }
}
