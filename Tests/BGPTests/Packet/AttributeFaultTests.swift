import BGP
import Testing
import Wire

/// RFC 7606, case by case.
@Suite struct AttributeFaultTests {
    private static let o = Build.origin, p = Build.path4(65001, 65002), h = Build.nextHop, lp = Build.localPref
    private static let base = o + p + h

    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var body: [UInt8]
        var context: UpdateContext
        var expected: Outcome
        var testDescription: String { name }
        init(
            _ name: String, _ attributes: [UInt8], nlri: [UInt8] = Build.nlri, withdrawn: [UInt8] = [],
            in context: UpdateContext = Build.context(), _ expected: Outcome
        ) {
            self.name = name
            body = Build.update(withdrawn: withdrawn, attributes: attributes, nlri: nlri)
            self.context = context
            self.expected = expected
        }
    }

    private static func a(_ flags: UInt8, _ type: UInt8, _ value: [UInt8]) -> [UInt8] {
        Build.attribute(flags, type, value)
    }
    private static let ibgp = Build.context(isInternal: true)
    private static let old = Build.context(fourOctetAS: false)
    private static let v6Only = Build.context(families: .ipv6Unicast)

    static let cases: [Case] = [
        Case("a sound announcement", base, .accepted),
        Case("§3 d: ORIGIN missing", p + h, .withdraw),
        Case("§3 d: AS_PATH missing", o + h, .withdraw),
        Case("§3 d: NEXT_HOP missing for NLRI of the message", o + p, .withdraw),
        Case("RFC 4760 §3: NEXT_HOP not needed for MP_REACH_NLRI alone", Build.reach6(Build.nlri6) + o + p, nlri: [], .accepted),
        Case("§3 d: LOCAL_PREF missing on an internal session", base, in: ibgp, .withdraw),
        Case("a sound announcement on an internal session", base + lp, in: ibgp, .accepted),
        Case("§3 c: wrong flags of ORIGIN", a(0xc0, 1, [0]) + p + h, .withdraw),
        Case("§3 c: wrong flags of MED", base + a(0x40, 4, [0, 0, 0, 1]), .withdraw),
        Case("§3 c: wrong flags of COMMUNITIES", base + a(0x80, 8, [0, 1, 0, 1]), .withdraw),
        Case("§3 c: the Partial bit alone is no conflict", base + a(0xe0, 8, [0, 1, 0, 1]), .accepted),
        Case("§3 g: a repeated attribute is dropped", base + a(0x40, 1, [2]), .discard),
        Case(
            "§3 g: MP_REACH_NLRI twice", Build.reach6(Build.nlri6) + Build.reach6(Build.nlri6) + o + p, nlri: [], .reset(3, 1, [])
        ),
        Case(
            "§3 g: MP_UNREACH_NLRI twice", Build.unreach6(Build.nlri6) + Build.unreach6(Build.nlri6), nlri: [], .reset(3, 1, [])),
        Case("§3 h: the strongest of several", a(0x40, 6, [1]) + a(0x40, 1, [9]) + p + h, .withdraw),
        Case("§4: an attribute overruns the list", base + [0x40, 6, 9, 0], .withdraw),
        Case("§4: two octets left over", base + [0x40, 6], .withdraw),
        Case("§4: no room for the extended length", base + [0x50, 6, 0], .withdraw),
        Case("§4 with MP_REACH_NLRI cut off", o + p + [0x80, 14, 40, 0, 2, 1], nlri: [], .reset(3, 1, [])),
        Case("§4: an empty ORIGIN", a(0x40, 1, []) + p + h, .withdraw),
        Case(
            "§5.2: a fault without reachable NLRI", a(0x40, 1, [9]), nlri: [], withdrawn: Build.nlri,
            .reset(3, 6, a(0x40, 1, [9]))),
        Case("§5.2: a discard without reachable NLRI", a(0x40, 6, [1]), nlri: [], withdrawn: Build.nlri, .discard),
        Case("§7.1: ORIGIN of two octets", a(0x40, 1, [0, 0]) + p + h, .withdraw),
        Case("§7.1: undefined ORIGIN", a(0x40, 1, [3]) + p + h, .withdraw),
        Case("§7.2: an empty AS_PATH is sound", o + a(0x40, 2, []) + h, .accepted),
        Case("§7.2: unrecognized segment type", o + a(0x40, 2, [5, 1, 0, 0, 0, 9]) + h, .withdraw),
        Case("RFC 5065 §5: confederation segment from outside", o + a(0x40, 2, [3, 1, 0, 0, 0, 9]) + h, .withdraw),
        Case("§7.2: segment overrun", o + a(0x40, 2, [2, 2, 0, 0, 0, 9]) + h, .withdraw),
        Case("§7.2: segment underrun", o + a(0x40, 2, [2, 1, 0, 0, 0, 9, 2]) + h, .withdraw),
        Case("§7.2: empty segment", o + a(0x40, 2, [2, 0]) + h, .withdraw),
        Case("RFC 7607: AS 0 in AS_PATH", o + Build.path4(65001, 0) + h, .withdraw),
        Case("§7.2: an AS_SET is sound", o + a(0x40, 2, [1, 2, 0, 0, 0, 9, 0, 0, 0, 8]) + h, .accepted),
        Case("§7.3: NEXT_HOP of sixteen octets", o + p + a(0x40, 3, Build.nextHop6), .withdraw),
        Case("RFC 4271 §6.3: NEXT_HOP is no host", o + p + a(0x40, 3, [224, 0, 0, 1]), .withdraw),
        Case("RFC 4271 §6.3: NEXT_HOP is 0.0.0.0", o + p + a(0x40, 3, [0, 0, 0, 0]), .withdraw),
        Case("§7.4: MED of three octets", base + a(0x80, 4, [0, 0, 1]), .withdraw),
        Case("§7.5: LOCAL_PREF from outside, whatever its length", base + a(0x40, 5, [1]), .discard),
        Case("§7.5: LOCAL_PREF of three octets from inside", base + a(0x40, 5, [0, 0, 1]), in: ibgp, .withdraw),
        Case("§7.6: ATOMIC_AGGREGATE with a value", base + a(0x40, 6, [1]), .discard),
        Case("§7.6: ATOMIC_AGGREGATE", base + a(0x40, 6, []), .accepted),
        Case("§7.7: AGGREGATOR of six octets on a four-octet session", base + a(0xc0, 7, [0, 1, 10, 0, 0, 1]), .discard),
        Case(
            "§7.7: AGGREGATOR of eight octets on a two-octet session",
            o + Build.path2(65001) + h + a(0xc0, 7, [0, 0, 0, 1, 10, 0, 0, 1]), in: old, .discard),
        Case("§7.7: AGGREGATOR", base + a(0xc0, 7, [0, 0, 0, 1, 10, 0, 0, 1]), .accepted),
        Case("RFC 7607: AS 0 in AGGREGATOR", base + a(0xc0, 7, [0, 0, 0, 0, 10, 0, 0, 1]), .discard),
        Case("§7.8: COMMUNITIES of six octets", base + a(0xc0, 8, [0, 1, 0, 1, 0, 1]), .withdraw),
        Case("§7.8: empty COMMUNITIES", base + a(0xc0, 8, []), .withdraw),
        Case("§7.9: ORIGINATOR_ID from outside", base + a(0x80, 9, [1]), .discard),
        Case("§7.9: ORIGINATOR_ID of three octets from inside", base + lp + a(0x80, 9, [1, 2, 3]), in: ibgp, .withdraw),
        Case("§7.10: CLUSTER_LIST from outside", base + a(0x80, 10, [1]), .discard),
        Case("§7.10: CLUSTER_LIST of five octets from inside", base + lp + a(0x80, 10, [1, 2, 3, 4, 5]), in: ibgp, .withdraw),
        Case("§7.10: empty CLUSTER_LIST from inside", base + lp + a(0x80, 10, []), in: ibgp, .withdraw),
        Case(
            "§7.11: next hop length, another family in use", Build.reach6(Build.nlri6, nextHop: [1, 2, 3]) + o + p, nlri: [],
            .disable(.ipv6Unicast)),
        Case(
            "§7.11: next hop length, the only family", Build.reach6(Build.nlri6, nextHop: [1, 2, 3]) + o + p, nlri: [],
            in: v6Only,
            .reset(3, 9, Build.reach6(Build.nlri6, nextHop: [1, 2, 3]))),
        Case(
            "§5.3: MP_REACH_NLRI with wrong flags, the only family", Build.reach6(Build.nlri6, flags: 0xc0) + o + p, nlri: [],
            in: v6Only,
            .reset(3, 9, Build.reach6(Build.nlri6, flags: 0xc0))),
        Case(
            "§5.3: MP_REACH_NLRI below five octets", a(0x80, 14, [0, 2, 1, 0]) + o + p, nlri: [],
            .reset(3, 9, a(0x80, 14, [0, 2, 1, 0]))),
        Case("§5.3: MP_UNREACH_NLRI below three octets", a(0x80, 15, [0, 2]), nlri: [], .reset(3, 9, a(0x80, 15, [0, 2]))),
        Case(
            "RFC 2545 §3: next hop of 32 octets",
            Build.reach6(Build.nlri6, nextHop: Build.nextHop6 + [0xfe, 0x80] + Array(repeating: 0, count: 13) + [1]) + o + p,
            nlri: [], .accepted),
        Case("a family not in use is ignored, sound or not", a(0x80, 14, [0, 25, 70, 0, 0, 9]) + o + p, nlri: [], .accepted),
        Case("§7.14: extended communities of nine octets", base + a(0xc0, 16, Array(repeating: 1, count: 9)), .withdraw),
        Case("§7.14: an unknown extended community", base + a(0xc0, 16, Array(repeating: 0xee, count: 8)), .accepted),
        Case("§7.15: IPv6 extended communities of 19 octets", base + a(0xc0, 25, Array(repeating: 1, count: 19)), .withdraw),
        Case("RFC 8092 §6: large communities of 13 octets", base + a(0xc0, 32, Array(repeating: 1, count: 13)), .withdraw),
        Case("RFC 8092 §6: large communities", base + a(0xc0, 32, Array(repeating: 1, count: 24)), .accepted),
        Case("RFC 9234 §5: OTC", base + a(0xc0, 35, [0, 0, 0, 7]), .accepted),
        Case("RFC 9234 §5: OTC with the partial bit", base + a(0xe0, 35, [0, 0, 0, 7]), .accepted),
        Case("RFC 9234 §5: OTC of three octets", base + a(0xc0, 35, [0, 0, 7]), .withdraw),
        Case("RFC 9234 §5: OTC of eight octets", base + a(0xc0, 35, [0, 0, 0, 7, 0, 0, 0, 7]), .withdraw),
        Case("RFC 9234 §5: empty OTC", base + a(0xc0, 35, []), .withdraw),
        Case("RFC 9234 §5: OTC of three octets from inside", base + lp + a(0xc0, 35, [0, 0, 7]), in: ibgp, .withdraw),
        Case("§3 c: OTC that is not transitive", base + a(0x80, 35, [0, 0, 0, 7]), .withdraw),
        Case("§3 g: OTC twice", base + a(0xc0, 35, [0, 0, 0, 7]) + a(0xc0, 35, [0, 0, 7]), .discard),
        Case(
            "§5.2: malformed OTC without reachable NLRI", a(0xc0, 35, [1]), nlri: [], withdrawn: Build.nlri,
            .reset(3, 5, a(0xc0, 35, [1]))),
        Case("RFC 6793 §6: AS4_PATH from a four-octet speaker", base + a(0xc0, 17, [2, 1, 0, 0, 0, 1]), .discard),
        Case("RFC 6793 §6: AS4_AGGREGATOR from a four-octet speaker", base + a(0xc0, 18, [1]), .discard),
        Case("RFC 6793 §6: malformed AS4_PATH", o + Build.path2(65001) + h + a(0xc0, 17, [2, 2, 0, 0, 0, 1]), in: old, .discard),
        Case(
            "RFC 6793 §6: AS4_AGGREGATOR of six octets", o + Build.path2(65001) + h + a(0xc0, 18, [0, 1, 10, 0, 0, 1]), in: old,
            .discard),
        Case("RFC 4271 §6.3: unknown well-known attribute", base + a(0x40, 99, [1]), .reset(3, 2, a(0x40, 99, [1]))),
        Case("unknown optional transitive attribute", base + a(0xc0, 99, [1]), .accepted),
        Case("unknown optional non-transitive attribute", base + a(0x80, 99, [1]), .accepted),
    ]

    @Test("each malformation gets the approach that the RFC names", arguments: cases)
    func approach(_ example: Case) {
        #expect(Outcome.of(example.body, example.context) == example.expected)
    }

    @Test("lengths that exceed the message are a Malformed Attribute List")
    func lengths() {
        #expect(Outcome.of([0, 9, 0, 0]) == .reset(3, 1, []))
        #expect(Outcome.of([0, 0, 0, 9]) == .reset(3, 1, []))
        #expect(Outcome.of([0, 0, 0]) == .reset(3, 1, []))
    }

    @Test("the notification for a fault without NLRI names what RFC 4271 §6.3 names")
    func notifications() {
        let flags = Build.attribute(0xc0, 1, [0])
        #expect(Outcome.of(Build.update(attributes: flags)) == .reset(3, 4, flags))
        let length = Build.attribute(0x80, 4, [1])
        #expect(Outcome.of(Build.update(attributes: length)) == .reset(3, 5, length))
        #expect(Outcome.of(Build.update(attributes: Build.path4(0))) == .reset(3, 11, []))
        let hop = Build.attribute(0x40, 3, [255, 1, 1, 1])
        #expect(Outcome.of(Build.update(attributes: hop)) == .reset(3, 8, hop))
    }

    @Test("a missing attribute's notification names its type code")
    func missingData() {
        let fault = PathAttributes().contains(.origin)
        #expect(!fault)
        var attributes = PathAttributes()
        let block = Build.path4(65001)
        let found = attributes.decode(block: block.span.bytes, context: Build.context(), hasReachableNLRI: true)
        #expect(found?.notification == .update(.missingWellKnownAttribute, [1]))
    }
}
