import BGP
import Engine
import Testing
import Wire

@testable import Configuration

/// Peer groups, ranges of neighbours, and what a neighbour may be.
@Suite struct GroupTextTests {
    static let groups = """
        peer-groups:
          base:
            timers: {hold: 30, connect-retry: 5}
            import: accept-all
            export: accept-all
            max-prefix: 1000
          strict:
            passive: true
            timers: {hold: 90}
            max-prefix: none
            families: [ipv4-unicast, ipv6-unicast]
          nothing: {}
        """

    /// Reads, writes and reads again.
    private func roundTrip(_ text: String) throws -> (BGPConfiguration, text: String) {
        let result = read(text)
        #expect(result.errors.map(\.description) == [])
        let configuration = try #require(result.value)
        let written = RouterText.text(of: configuration)
        let again = read(written)
        #expect(again.errors.map(\.description) == [], "\(written)")
        #expect(again.value == configuration, "\(written)")
        #expect(try RouterText.text(of: #require(again.value)) == written)
        return (try #require(configuration.bgp), written)
    }

    @Test func `the canonical text keeps groups, and of a neighbour what it says itself`() throws {
        let (bgp, text) = try roundTrip(
            router(neighbor: "peer-group: base\ntimers: {hold: 9}\nport: 179\nmax-prefix: 7", bgp: Self.groups))
        #expect(bgp.groups.map(\.name) == ["base", "strict", "nothing"])
        #expect(bgp.neighbors[0].timers.hold == 9 && bgp.neighbors[0].timers.connectRetry == 5)
        #expect(bgp.neighbors[0].families[0].maximumPrefixes == 7)
        let lines = text.split(separator: "\n").map(String.init)
        #expect(lines.contains("  peer-groups:") && lines.contains("    nothing: {}"))
        #expect(lines.contains("      max-prefix: 1000") && lines.contains("      max-prefix: none"))
        // A word that is usual anyway stays, since it is said; one of the group's is not the neighbour's.
        #expect(lines.contains("      port: 179"))
        #expect(lines.count { $0.contains("connect-retry") } == 1)
        #expect(lines.contains("      peer-group: base") && lines.contains("        hold: 9"))
    }

    @Test func `of what several groups say the later one counts, key by key`() throws {
        let (bgp, text) = try roundTrip(router(neighbor: "peer-group: [base, strict]", bgp: Self.groups))
        let neighbor = bgp.neighbors[0]
        #expect(neighbor.timers.hold == 90 && neighbor.timers.connectRetry == 5 && neighbor.passive)
        #expect(neighbor.families.map(\.maximumPrefixes) == [FamilyConfiguration.unlimited, FamilyConfiguration.unlimited])
        // The usual hold time is written where a group says it: else the one before would count.
        #expect(text.contains("        hold: 90"))
        let (other, _) = try roundTrip(router(neighbor: "peer-group: [strict, base]", bgp: Self.groups))
        #expect(other.neighbors[0].timers.hold == 30 && other.neighbors[0].passive)
        #expect(other.neighbors[0].families.map(\.maximumPrefixes) == [1000, 1000])
    }

    @Test func `a group that is named twice, or is not there, is refused`() {
        #expect(
            read(router(neighbor: "peer-group: [base, base]", bgp: Self.groups)).errors.map(\.message) == [
                "'base' is named twice"
            ])
        #expect(
            read(router(neighbor: "peer-group: [base, other]", bgp: Self.groups)).errors.map(\.message) == [
                "there is no peer group 'other'"
            ])
    }

    // MARK: ranges

    @Test func `a range is what its group says, and is written as it was meant`() throws {
        let (bgp, text) = try roundTrip(
            router(
                bgp: Self.groups + """

                    listen:
                      - {prefix: 198.18.0.128/25, peer-group: base, as: [65010, 65100..65200], limit: 5}
                      - {prefix: "2001:db8:18::/64", peer-group: base, as: internal}
                    """))
        let first = try #require(bgp.range(of: IPAddress("198.18.0.200")!))
        #expect(first.accepts(ASNumber(65010)) && first.accepts(ASNumber(65150)) && !first.accepts(ASNumber(65201)))
        #expect(first.limit == 5)
        let neighbor = first.neighbor(IPAddress("198.18.0.200")!)
        #expect(neighbor.remoteAS == .zero && neighbor.passive && neighbor.timers.hold == 30)
        #expect(neighbor.range == first.prefix && neighbor.families.map(\.maximumPrefixes) == [1000])
        let second = try #require(bgp.range(of: IPAddress("2001:db8:18::7")!))
        #expect(second.neighbor(IPAddress("2001:db8:18::7")!).remoteAS == ASNumber(65000))
        #expect(second.template.families.map(\.family) == [.ipv6Unicast])
        #expect(bgp.range(of: IPAddress("198.18.0.2")!) == nil)
        #expect(text.contains("as: [65010, 65100..65200]"))
    }

    @Test func `the AS of a range may come from its group, and the longest range counts`() throws {
        let (bgp, _) = try roundTrip(
            router(
                bgp: """
                    peer-groups:
                      a: {remote-as: 65010, import: accept-all, export: accept-all}
                      b: {remote-as: 65020, import: accept-all, export: accept-all}
                    listen:
                      - {prefix: 198.18.0.0/24, peer-group: a}
                      - {prefix: 198.18.0.64/26, peer-group: b}
                    """))
        #expect(bgp.range(of: IPAddress("198.18.0.65")!)?.neighbor(IPAddress("198.18.0.65")!).remoteAS == ASNumber(65020))
        #expect(bgp.range(of: IPAddress("198.18.0.5")!)?.neighbor(IPAddress("198.18.0.5")!).remoteAS == ASNumber(65010))
    }

    @Test(arguments: [
        (
            "{prefix: 198.18.0.0/25, peer-group: base}",
            "'as' is missing; write the AS numbers of neighbors here, or remote-as in the group"
        ),
        (
            "{prefix: 198.18.0.0/25, peer-group: base, as: 65010..65000}",
            "'65010..65000' is no range of AS numbers; write it like 64512..64999"
        ),
        (
            "{prefix: 198.18.0.0/25, peer-group: base, as: 64000..65100}",
            "internal neighbors have a range of their own; AS 65000 is ours"
        ),
        ("{prefix: 198.18.0.0/25, peer-group: other, as: 1}", "there is no peer group 'other'"),
        ("{prefix: 198.18.0.0/25, as: 1}", "'peer-group' is missing"),
    ])
    func `a wrong range is refused`(text: String, message: String) {
        let found = read(router(bgp: Self.groups + "\nlisten:\n  - " + text)).errors.map(\.message)
        #expect(found == [message])
    }

    // MARK: local AS, confederations, best path

    @Test func `another AS towards a neighbour has a short form and a long one`() throws {
        let (short, _) = try roundTrip(router(neighbor: "local-as: 64999"))
        #expect(short.neighbors[0].localAS == LocalASConfiguration(ASNumber(64999)))
        let (long, _) = try roundTrip(
            router(neighbor: "local-as: {as: 64999, no-prepend: true, replace-as: true, dual-as: true}"))
        let local = try #require(long.neighbors[0].localAS)
        #expect(local.noPrepend && local.replacesAS && local.dualAS)
    }

    @Test(arguments: [
        ("local-as: 65000", "65000 is the router's own AS; leave local-as out"),
        ("local-as: 65001", "65001 is the neighbor's AS; local-as must be another one"),
    ])
    func `another AS that cannot be is refused`(text: String, message: String) {
        #expect(read(router(neighbor: text)).errors.map(\.message) == [message])
    }

    @Test func `our own AS may be in a path so often, or at its origin`() throws {
        let (times, _) = try roundTrip(router(neighbor: "allow-as-in: 3"))
        #expect(times.neighbors[0].allowASIn == 3 && !times.neighbors[0].allowsOwnOrigin)
        let (origin, text) = try roundTrip(router(neighbor: "allow-as-in: origin"))
        #expect(origin.neighbors[0].allowASIn == 0 && origin.neighbors[0].allowsOwnOrigin)
        #expect(text.contains("allow-as-in: origin"))
    }

    @Test func `a confederation has an identifier and other members`() throws {
        let (bgp, _) = try roundTrip(
            router(
                bgp: """
                    confederation: {identifier: 64000, members: [65009, 65001]}
                    best-path: {always-compare-med: true, missing-med-as-worst: true, confederation-med: true, ignore-as-path: true}
                    """))
        #expect(bgp.confederation?.members == [ASNumber(65001), ASNumber(65009)])
        #expect(bgp.kind(of: bgp.neighbors[0]) == .confederation)
        #expect(bgp.bestPath.alwaysCompareMED && bgp.bestPath.ignoresPathLength)
    }

    @Test(arguments: [
        (
            "confederation: {identifier: 64000, members: [65000]}",
            "AS 65000 is the router's own; only the other members stand here"
        ),
        ("confederation: {identifier: 64000, members: [7, 7]}", "a member stands there twice"),
        ("confederation: {identifier: 65001}", "65001 is our confederation; write the member's AS"),
        ("confederation: {members: [65001]}", "'identifier' is missing"),
    ])
    func `a wrong confederation is refused`(text: String, message: String) {
        #expect(read(router(bgp: text)).errors.map(\.message) == [message])
    }

    // MARK: the default route, limits, intervals

    @Test func `a default route is a flag, or says more`() throws {
        let (plain, text) = try roundTrip(router(neighbor: "default-originate: true"))
        #expect(plain.neighbors[0].defaultOriginate && plain.neighbors[0].defaultRoute == DefaultRouteConfiguration())
        #expect(text.contains("default-originate: true"))
        let (none, _) = try roundTrip(router(neighbor: "default-originate: false"))
        #expect(!none.neighbors[0].defaultOriginate)
        let (more, _) = try roundTrip(
            router(neighbor: "default-originate: {policy: accept-all, when: 203.0.113.0/24}"))
        #expect(more.neighbors[0].defaultOriginate && more.neighbors[0].defaultRoute.policy == "accept-all")
        #expect(more.neighbors[0].defaultRoute.condition == IPPrefix("203.0.113.0/24"))
        let (group, _) = try roundTrip(
            router(neighbor: "peer-group: g\ndefault-originate: false", bgp: "peer-groups: {g: {default-originate: true}}"))
        #expect(!group.neighbors[0].defaultOriginate)
        #expect(
            read(router(neighbor: "default-originate: {policy: other}")).errors.map(\.message) == ["there is no policy 'other'"])
    }

    @Test func `prefixes beyond a limit are ignored, warned of, or end the session, and only one of these`() throws {
        let (bgp, _) = try roundTrip(
            router(neighbor: "families: {ipv4-unicast: {max-prefix: 5, discard-extra: true}}\nadvertisement-interval: 30"))
        #expect(bgp.neighbors[0].families[0].discardsExtra && bgp.neighbors[0].advertisementInterval == 30)
        for (text, key) in [("warning-only: true", "warning-only"), ("restart: 5m", "restart")] {
            let found = read(router(neighbor: "families: {ipv4-unicast: {discard-extra: true, \(text)}}")).errors.map(\.message)
            #expect(found == ["'\(key)' and 'discard-extra' exclude each other"])
        }
    }
}
