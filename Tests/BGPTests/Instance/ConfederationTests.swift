import Machine
import Records
import Routing
import Testing
import Wire

@testable import BGP

/// RFC 5065: an AS that is made of several.
@Suite struct ConfederationTests {
    private static let identifier = ASNumber(64000)
    private static let prefix = "192.0.2.0/24"

    private static func member(
        _ asNumber: UInt32, _ id: String, neighbors: [(String, UInt32)], networks: [String] = []
    ) -> BGPConfiguration {
        var configuration = Configurations.node(asNumber, id, neighbors: neighbors, networks: networks)
        configuration.confederation = ConfederationConfiguration(
            identifier: identifier, members: [65001, 65002, 65003].filter { $0 != asNumber }.map { ASNumber($0) })
        return configuration
    }

    /// Outside (7) – member 65001 – members 65002 (two routers) – outside (8).
    private static func wire() -> VirtualWire {
        let configurations = [
            Configurations.node(7, "10.0.0.1", neighbors: [("10.0.0.2", 64000)], networks: [prefix]),
            member(65001, "10.0.0.2", neighbors: [("10.0.0.1", 7), ("10.0.0.3", 65002)], networks: ["198.51.100.0/24"]),
            member(65002, "10.0.0.3", neighbors: [("10.0.0.2", 65001), ("10.0.0.4", 65002)]),
            member(65002, "10.0.0.4", neighbors: [("10.0.0.3", 65002), ("10.0.0.5", 8)]),
            Configurations.node(8, "10.0.0.5", neighbors: [("10.0.0.4", 64000)]),
        ]
        var wire = VirtualWire(configurations, addresses: (1...5).map { "10.0.0.\($0)" })
        wire.snapshotsEvery = 5
        wire.start(configurations)
        wire.run(.seconds(60))
        return wire
    }
    private static func path(_ wire: VirtualWire, _ node: Int, _ prefix: String = prefix) -> AttributesView? {
        wire.nodes[node].rib.route(IPPrefix(prefix)!)?.paths.first?.received
    }

    @Test func `members keep next hop and preference, show each other in a segment of its own, and are one AS outside`() {
        let wire = Self.wire()
        #expect(wire.nodes.allSatisfy { $0.neighborSummaries.allSatisfy { $0.state == .established } })
        #expect(Self.path(wire, 1)?.asPath == "7")
        #expect(Self.path(wire, 2)?.asPath == "(65001) 7")
        #expect(Self.path(wire, 2)?.nextHop == IPAddress("10.0.0.1"))
        #expect(Self.path(wire, 2)?.localPreference == 100)
        #expect(Self.path(wire, 3)?.asPath == "(65001) 7")
        #expect(Self.path(wire, 4)?.asPath == "64000 7")
        #expect(Self.path(wire, 3, "198.51.100.0/24")?.asPath == "(65001)")
        #expect(Self.path(wire, 4, "198.51.100.0/24")?.asPath == "64000")
        #expect(wire.nodes[1].neighborView(IPAddress("10.0.0.3")!, at: .zero)?.kind == "confederation")
        #expect(wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)?.localAS == Self.identifier)
        #expect(wire.nodes[1].neighborView(IPAddress("10.0.0.3")!, at: .zero)?.localAS == ASNumber(65001))
    }

    @Test func `another identifier restarts sessions with the world outside, and leaves those of members up`() {
        var wire = Self.wire()
        var configuration = wire.nodes[1].configuration!
        configuration.confederation?.identifier = ASNumber(64001)
        wire.give(1, .configure(configuration))
        #expect(wire.nodes[1].neighborView(IPAddress("10.0.0.1")!, at: .zero)?.droppedCount == 1)
        #expect(wire.nodes[1].neighborView(IPAddress("10.0.0.3")!, at: .zero)?.droppedCount == 0)
    }

    // MARK: receipt

    /// A router of member 65001 whose neighbour is of `remoteAS`, and what becomes of a path that this sends.
    private static func received(
        _ segments: [UInt8], from remoteAS: UInt32, isTwoOctet: Bool = false
    ) -> (route: RouteView?, malformed: UInt64, state: SessionState) {
        var driver = Driver {
            $0.routerAS = ASNumber(65001)
            $0.confederation = ConfederationConfiguration(
                identifier: Self.identifier, members: [ASNumber(65002), ASNumber(65003)])
            $0.neighbors[0].remoteAS = ASNumber(remoteAS)
        }
        driver.accept()
        driver.receive(driver.open { if isTwoOctet { $0.capabilities.fourOctetAS = nil } })
        driver.receive(Driver.keepalive)
        let attributes = Build.origin + Build.attribute(0x40, 2, segments) + Build.nextHop + Build.localPref
        driver.receive(Build.message(2, Build.update(attributes: attributes, nlri: Build.nlri)))
        return (
            driver.instance.rib.route(IPPrefix("192.0.2.0/24")!), driver.detail.counters.malformedUpdates, driver.state
        )
    }
    private static func segment(_ type: UInt8, _ numbers: UInt32...) -> [UInt8] {
        [type, UInt8(numbers.count)] + numbers.flatMap { Build.u32($0) }
    }

    @Test func `§5: segments of a confederation from outside are treated as withdrawn, and so is a member's path without`() {
        let confederation = Self.segment(3, 65002)
        for (segments, remoteAS, isTaken) in [
            (confederation + Self.segment(2, 7), 65002, true), (confederation, 65002, true),
            (confederation + Self.segment(4, 65003, 65009), 65002, true),
            (Self.segment(2, 7), 65002, false), ([], 65002, false), (Self.segment(4, 65002), 65002, false),
            (confederation + Self.segment(2, 7), 7, false), (Self.segment(2, 7) + confederation, 7, false),
            (confederation + Self.segment(2, 7), 65001, true), (Self.segment(2, 7), 65001, true), ([], 65001, true),
        ] as [([UInt8], UInt32, Bool)] {
            let (route, malformed, state) = Self.received(segments, from: remoteAS)
            #expect((route != nil) == isTaken, "\(segments) from \(remoteAS)")
            #expect((malformed == 0) == isTaken, "\(segments) from \(remoteAS)")
            #expect(state == .established)
        }
    }

    @Test func `§4: our member's number among members is a loop, and our identifier outside of them`() {
        for (segments, isLoop) in [
            (Self.segment(3, 65002, 65001), true), (Self.segment(3, 65002) + Self.segment(4, 65001), true),
            (Self.segment(3, 65002) + Self.segment(2, 64000), true),
            // A private number that somebody outside uses as well is none of ours.
            (Self.segment(3, 65002) + Self.segment(2, 65001), false), (Self.segment(3, 65002, 64000), false),
        ] as [([UInt8], Bool)] {
            let paths = Self.received(segments, from: 65002).route?.paths
            #expect((paths?.first?.ineligibility == .asLoop) == isLoop, "\(segments)")
        }
    }

    @Test func `AS4_PATH of an old speaker goes behind the segments of the confederation`() throws {
        var attributes = PathAttributes()
        var context = Build.context(fourOctetAS: false, isInternal: true)
        context.confederation = .leading
        let path = Build.attribute(
            0x40, 2, [3, 1] + Build.u16(65002) + [2, 2] + Build.u16(23456) + Build.u16(9))
        let as4 = Build.attribute(0xc0, 17, Self.segment(2, 70000, 9))
        let block = Build.origin + path + Build.nextHop + Build.localPref + as4
        #expect(attributes.decode(block: block.span.bytes, context: context, hasReachableNLRI: true) == nil)
        #expect(attributes.asPathDescription == "(65002) 70000 9")
        #expect(attributes.asPathLength == 2 && attributes.neighborAS == ASNumber(70000))
    }

    // MARK: what leaves

    private static func exported(
        _ path: [RouteAttributes.Segment], _ change: (inout ExportParameters) -> Void,
        _ changeRoute: (inout RouteAttributes) -> Void = { _ in }
    ) -> RouteAttributes {
        let tests = ExportTests()
        return tests.decoded(
            tests.route {
                $0.path = path
                $0.localPreference = 200
                $0.med = 5
                changeRoute(&$0)
            }, tests.parameters(change))
    }
    private static func segment(_ type: UInt8, _ numbers: [UInt32]) -> RouteAttributes.Segment {
        .init(type: type, numbers: numbers.map { ASNumber($0) })
    }

    @Test func `§4.1: a member is put in front in a segment that has room, and all of them go on leaving`() {
        func toMember(_ path: [RouteAttributes.Segment]) -> RouteAttributes {
            Self.exported(path) {
                $0.isExternal = false
                $0.isOtherMember = true
                $0.localAS = 65001
            }
        }
        let inside = toMember([Self.segment(3, [65002]), Self.segment(2, [7])])
        #expect(inside.path == [Self.segment(3, [65001, 65002]), Self.segment(2, [7])])
        #expect(inside.med == 5 && inside.localPreference == 200 && inside.nextHop == .v4(IPv4Address(10, 0, 0, 1)))
        #expect(toMember([]).path == [Self.segment(3, [65001])])
        #expect(toMember([Self.segment(4, [65002])]).path == [Self.segment(3, [65001]), Self.segment(4, [65002])])
        let full = Self.segment(3, (0..<255).map { UInt32($0 + 1) })
        #expect(toMember([full]).path == [Self.segment(3, [65001]), full])
        for (path, expected) in [
            ([Self.segment(3, [65002]), Self.segment(4, [65003]), Self.segment(2, [7])], [Self.segment(2, [64000, 7])]),
            ([Self.segment(3, [65002])], [Self.segment(2, [64000])]),
            ([Self.segment(3, [65002]), Self.segment(1, [7, 8])], [Self.segment(2, [64000]), Self.segment(1, [7, 8])]),
            ([Self.segment(2, [7]), Self.segment(3, [65002])], [Self.segment(2, [64000, 7])]),
        ] {
            #expect(Self.exported(path) { $0.localAS = 64000 }.path == expected)
        }
    }

    @Test func `RFC 9234 §5: no member is in the mark of what leaves the confederation`() {
        func mark(_ number: UInt32) -> [UInt8]? {
            let sent = Self.exported([Self.segment(2, [7])]) {
                $0.localAS = 64000
                $0.members = [65001, 65002]
            } _: {
                $0.others = [.init(flags: 0xc0, type: 35, value: Build.u32(number))]
            }
            return sent.others.first { $0.type == 35 }?.value
        }
        #expect(mark(65002) == Build.u32(64000))
        #expect(mark(9) == Build.u32(9))
    }

    @Test func `NO_EXPORT stays in the confederation, NO_EXPORT_SUBCONFED in the member (RFC 1997)`() {
        func isForbidden(_ flags: AttributeSet.Flags, _ change: (inout ExportParameters) -> Void) -> Bool {
            ExportTests().parameters(change).forbids(flags)
        }
        let member: (inout ExportParameters) -> Void = {
            $0.isExternal = false
            $0.isOtherMember = true
        }
        #expect(!isForbidden(.noExport, member) && isForbidden(.noExportSubconfed, member))
        #expect(isForbidden(.noExport) { _ in } && isForbidden(.noExportSubconfed) { _ in })
        #expect(!isForbidden(.noExportSubconfed) { $0.isExternal = false })
    }
}
