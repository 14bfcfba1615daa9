import Engine
import Policy
import Testing
import Wire

@testable import Configuration

/// The sections `as-path-sets`, `as-sets`, `community-sets` and `policies`, as far as they are more than a list of names.
@Suite struct PolicyTextTests {
    static let complete = #"""
        prefix-sets: {hops: [198.18.0.0/24 le 32]}
        community-sets:
          standard: [65001:100..200, "*:666", 1..2:*, 65000:7]
          large: ["*:1:*", 1..2:3:4..5, 65000:1:*]
          extended:
            - rt:65001:100
            - soo:65001L:1
            - rt:*:*
            - ro:65001..65010:1..5
            - rt:70000..70001:*
            - rt:1..70000:7
            - soo:1..9L:*
            - rt:192.0.2.1:*
            - link-bandwidth:65000:125000000
            - link-bandwidth:65000:*
            - link-bandwidth:*:*
            - origin-validation:invalid
            - origin-validation:*
            - 0x030c*
            - 0x030c00000000000*
            - 0x030c000000000008
        as-path-sets:
          customers: ["^65001(_65001)*$", 65002 .*, "* [65003, 65010-65020] *"]
          empty: ["^$"]
        as-sets:
          known: [65001, 65010..65020, 64512-64600]
        policies:
          called: [{set: {med: 1}, then: accept}]
          all:
            - match:
                as-path-set: customers
                as-path: "_65001$"
                not-as-path: "_65002_"
                not-as-path-set: empty
                as-path-contains: known
                as-path-only: [1..70000]
                origin-as: [65001, 65003]
                neighbor-as: 65001..65010
                prefix-length: 8..24
                exact-communities: standard
                community-count: 1..5
                large-community-count: 0
                extended-community-count: 2
                distinct-as-path-length: 1..4
                as-repetition: 3..100
                own-as-count: 0
                as-set: false
                atomic-aggregate: true
                aggregator-as: 65001
                originator-id: 10.0.0.1
                cluster-list-length: 1..3
                only-to-customer: 1..4294967295
                next-hop-set: hops
                neighbor: [198.18.0.0/28, 198.18.0.11, "2001:db8::1"]
                any: [{origin: igp, med: 5}, {not: {policy: called}}, [{community: standard}, {community: large}]]
                not: {any: [{origin: egp}], family: ipv6-unicast}
              set:
                local-preference: "+10"
                med: -5
                metric: "+7"
                extended-communities: [rt:65000:1, origin-validation:valid]
                add-extended-communities: 0x030c000000000008
                remove-communities: extended
                remove-as: [64512..65534]
                next-hop: peer-address
              then: next
            - set: [{prepend: {last: 3}}, {prepend: {own: 2}}, {replace-as: private}, {replace-as: {as: known, with: 65009}}]
              then: next
            - match: {weight: 1..65535}
              set: {next-hop: unchanged, remove-as: all, weight: 7}
              then: accept
          branches:
            - match: {neighbor-as: 65001}
              set: {med: 1}
              statements:
                - {match: {as-path-length: 1}, then: accept}
                - match: {as-path-length: 2}
                  statements: [{match: {origin: igp}, then: accept}]
                  then: reject
              else:
                - {match: {origin: egp}, then: reject}
            - then: accept
        """#

    private func statements(_ name: String) throws -> [PolicyStatement] {
        let result = read(router(top: Self.complete, import: "[all, branches]"))
        #expect(result.errors.map(\.description) == [])
        return try #require(result.value?.definitions?.policy(name)).statements
    }

    @Test func `conditions and actions are what they say`() throws {
        let all = try statements("all")
        #expect(
            all[0].conditions == [
                .asPathSet("customers"), .asPath("_65001$"), .not([.asPath("_65002_")]), .not([.asPathSet("empty")]),
                .asSet(.anywhere, "known"), .asNumbers(.everywhere, ASNumberSet([1...70000])),
                .asNumbers(.origin, ASNumberSet([65001...65001, 65003...65003])),
                .asNumbers(.neighbor, ASNumberSet([65001...65010])),
                .prefixes([
                    PrefixRange(IPPrefix("0.0.0.0/0")!, minimumLength: 8, maximumLength: 24),
                    PrefixRange(IPPrefix("::/0")!, minimumLength: 8, maximumLength: 24),
                ]), .exactCommunities("standard"), .number(.communityCount, minimum: 1, maximum: 5),
                .number(.largeCommunityCount, minimum: 0, maximum: 0), .number(.extendedCommunityCount, minimum: 2, maximum: 2),
                .number(.distinctASPathLength, minimum: 1, maximum: 4), .number(.asRepetition, minimum: 3, maximum: 100),
                .number(.ownASCount, minimum: 0, maximum: 0), .number(.asSetCount, minimum: 0, maximum: 0),
                .number(.atomicAggregate, minimum: 1, maximum: .max), .number(.aggregatorAS, minimum: 65001, maximum: 65001),
                .number(.originator, minimum: 0x0a00_0001, maximum: 0x0a00_0001),
                .number(.clusterListLength, minimum: 1, maximum: 3), .number(.onlyToCustomer, minimum: 1, maximum: .max),
                .nextHopSet("hops"),
                .neighbors([IPPrefix("198.18.0.0/28")!, IPPrefix("198.18.0.11/32")!, IPPrefix("2001:db8::1/128")!]),
                .any([
                    [.origin(.igp), .med(minimum: 5, maximum: 5)], [.not([.policy("called")])],
                    [.anyCommunity("standard"), .anyCommunity("large")],
                ]), .not([.any([[.origin(.egp)]]), .family(FamilyCode(afi: 2, safi: 1))]),
            ])
        #expect(
            all[0].actions == [
                .adjustLocalPreference(10), .adjustMED(-5), .adjustMetric(7),
                .setExtendedCommunities([ExtendedCommunity("rt:65000:1")!, ExtendedCommunity("origin-validation:valid")!]),
                .addExtendedCommunities([ExtendedCommunity("0x030c000000000008")!]), .removeCommunities("extended"),
                .removeAS(.numbers(ASNumberSet([64512...65534]))), .setNextHopPeer,
            ])
        #expect(
            all[1].actions == [
                .prependLast(count: 3), .prepend(asNumber: ASNumber(65000), count: 2),
                .replaceAS(.isPrivate, with: ASNumber(65000)), .replaceAS(.set("known"), with: ASNumber(65009)),
            ])
        #expect(all[2].actions == [.keepNextHop, .removeAS(.all), .setWeight(7)])
        #expect(all[2].conditions == [.number(.weight, minimum: 1, maximum: 65535)])
    }

    @Test func `statements stand within statements, and beside them`() throws {
        let branches = try statements("branches")
        #expect(branches[0].result == .next && branches[0].statements.map(\.result) == [.accept, .reject])
        #expect(branches[0].statements[1].statements.map(\.conditions) == [[.origin(.igp)]])
        #expect(branches[0].otherwise.map(\.result) == [.reject])
    }

    @Test func `patterns of communities match what they name`() throws {
        _ = try statements("all")
        let definitions = try #require(read(router(top: Self.complete, import: "all")).value?.definitions)
        func matched(_ name: String, _ texts: [String]) -> [String] {
            let entries = definitions.communitySets.first { $0.name == name }?.entries ?? []
            return texts.filter { text in
                entries.contains { entry in
                    Community(text).map { entry.matches($0) } ?? LargeCommunity(text).map { entry.matches($0) }
                        ?? ExtendedCommunity(text).map { entry.matches($0) } ?? false
                }
            }
        }
        let standard = ["65001:99", "65001:100", "65001:200", "7:666", "7:667", "2:0", "65000:7", "65000:8"]
        #expect(matched("standard", standard) == ["65001:100", "65001:200", "7:666", "2:0", "65000:7"])
        #expect(matched("large", ["9:1:9", "9:2:9", "2:3:5", "2:3:6", "65000:1:0"]) == ["9:1:9", "2:3:5", "65000:1:0"])
        func extended(_ entry: String, _ texts: [String]) -> [String] {
            let text = router(
                top: "community-sets: {x: ['\(entry)']}\npolicies: {p: [{match: {community: x}, then: accept}]}", import: "p")
            let entries = read(text).value?.definitions?.communitySets.first?.entries ?? []
            return texts.filter { text in entries.contains { $0.matches(ExtendedCommunity(text)!) } }
        }
        #expect(extended("rt:65001:*", ["rt:65001:9", "rt:65001L:9", "soo:65001:9"]) == ["rt:65001:9"])
        #expect(
            extended("rt:1..70000:7", ["rt:1:7", "rt:2L:7", "rt:70000:7", "rt:70001:7", "rt:0.0.0.1:7"]) == [
                "rt:1:7", "rt:2L:7", "rt:70000:7",
            ])
        #expect(extended("rt:*:*", ["rt:1:7", "rt:2L:7", "rt:0.0.0.1:7", "soo:1:1"]) == ["rt:1:7", "rt:2L:7", "rt:0.0.0.1:7"])
        // RFC 8097 §2: reserved octets do not matter.
        #expect(extended("origin-validation:valid", ["0x4300000100000000", "0x4300000000000001"]) == ["0x4300000100000000"])
        #expect(extended("0x030c*8", []) == [])
        #expect(extended("0x030c0000000000*8", ["0x030c000000000018", "0x030c000000000011"]) == ["0x030c000000000018"])
    }

    @Test func `the canonical text reads back as the same configuration, also from the engine's octets`() throws {
        let configuration = try #require(read(router(top: Self.complete, import: "[all, branches]")).value)
        let canonical = RouterText.text(of: configuration)
        let again = read(canonical)
        #expect(again.errors.map(\.description) == [])
        #expect(again.value == configuration)
        #expect(try RouterText.text(of: #require(again.value)) == canonical)
        #expect(try RouterConfiguration(decoding: configuration.encoded()) == configuration)
    }

    @Test func `a policy with parameters is one for each set of values, and costs no more`() throws {
        let text = #"""
            policies:
              from-peer:
                parameters: {pref: 100, site: 1, as: 65001}
                statements:
                  - match: {as-path: "_$as$", policy: {name: tagged, with: {tag: "65000:$site"}}}
                    set: {local-preference: $pref, add-communities: ["65000:$site"]}
                    then: accept
              tagged:
                parameters: {tag: "1:1"}
                statements: [{set: {add-communities: [$tag]}, then: accept}]
              in:
                - {match: {policy: {name: from-peer, with: {pref: 200}}}, then: accept}
                - {match: {policy: {name: from-peer, with: {pref: 200, site: 1}}}, then: accept}
                - {match: {policy: {name: from-peer, with: {site: 7, as: 65002}}}, then: accept}
                - {match: {policy: from-peer}, then: accept}
            """#
        let result = read(router(top: text, import: "in"))
        #expect(result.errors.map(\.description) == [])
        let definitions = try #require(result.value?.definitions)
        #expect(
            definitions.policy("in")?.statements.map(\.conditions) == [
                [.policy("from-peer.1")], [.policy("from-peer.1")], [.policy("from-peer.2")], [.policy("from-peer")],
            ])
        func first(_ name: String) -> PolicyStatement? { definitions.policy(name)?.statements.first }
        #expect(first("from-peer.1")?.actions == [.setLocalPreference(200), .addCommunities([Community(65000, 1)])])
        #expect(first("from-peer.2")?.actions == [.setLocalPreference(100), .addCommunities([Community(65000, 7)])])
        #expect(first("from-peer.2")?.conditions.first == .asPath("_65002$"))
        #expect(first("from-peer")?.conditions.first == .asPath("_65001$"))
        // Those that they call in turn.
        guard case .policy(let tagged)? = first("from-peer.2")?.conditions.last else {
            Issue.record("it calls a policy")
            return
        }
        #expect(first(tagged)?.actions == [.addCommunities([Community(65000, 7)])])
        let configuration = try #require(result.value)
        #expect(read(RouterText.text(of: configuration)).value == configuration)
    }

    @Test(arguments: [
        ("{name: a, with: {prf: 1}}", "policy 'a' has no parameter 'prf'; did you mean 'pref'?"),
        ("{name: b, with: {prf: 1}}", "policy 'b' has no parameters; give it some: parameters: {NAME: VALUE}"),
        ("{name: costumer, with: {pref: 1}}", "there is no policy 'costumer'; did you mean 'customer'?"),
        ("{name: a, with: {pref: x}}", "'x' is not allowed; write a number from 0 to 4294967295"),
        ("{name: a, with: {pref: [1]}}", "a value is expected, not a list"),
        ("{with: {pref: 1}}", "'name' is missing"),
        ("{name: c, with: {site: 1}}", "there is no parameter 'sit'; did you mean 'site'?"),
        ("{name: d, with: {x: 1}}", "a value of 0 to 64 octets is expected, not 128"),
    ])
    func `a wrong call is refused`(call: String, message: String) {
        let text = """
            policies:
              a: {parameters: {pref: 1}, statements: [{set: {local-preference: $pref}, then: accept}]}
              b: [{then: accept}]
              c: {parameters: {site: 1}, statements: [{set: {local-preference: $sit}, then: accept}]}
              customer: [{then: accept}]
              d: {parameters: {x: 1}, statements: [{match: {policy: {name: d, with: {x: "$x$x"}}}, then: accept}]}
              in: [{match: {policy: \(call)}, then: accept}]
            """
        let messages = read(router(top: text, import: "in")).errors.map(\.message)
        #expect(messages.contains { $0.hasPrefix(message) }, "\(messages)")
    }

    @Test func `a policy is called with a bounded number of sets of values`() {
        func messages(_ count: Int) -> [String] {
            let calls = (0..<count).map { "{match: {policy: {name: a, with: {pref: \($0)}}}, then: accept}" }
            let text = """
                policies:
                  a: {parameters: {pref: 1}, statements: [{set: {local-preference: $pref}, then: accept}]}
                  in: [\(calls.joined(separator: ", "))]
                """
            return read(router(top: text, import: "in")).errors.map(\.message)
        }
        #expect(messages(256) == [])
        #expect(messages(257) == ["policies are called with more than 256 sets of values"])
    }

    @Test func `a condition alone is written as in the file`() {
        #expect(RouterText.text(of: .asPathSet("customers")) == "as-path-set: customers")
        #expect(RouterText.text(of: .not([.origin(.igp), .asPath("_1_")])) == "not: {origin: igp, as-path: _1_}")
        #expect(RouterText.text(of: .any([[.policy("a")], [.asPath("1$")]])) == "any: [{policy: a}, {as-path: \"1$\"}]")
    }

    @Test func `what is as deep as it may be is read, written and encoded; deeper is refused`() throws {
        func conditions(_ depth: Int) -> String {
            (1..<depth).reduce("{origin: igp}") { inner, i in i % 2 == 0 ? "{not: \(inner)}" : "{any: [\(inner)]}" }
        }
        func text(_ statements: Int, _ depth: Int) -> String {
            let innermost = "{match: \(conditions(depth)), then: accept}"
            let nested = (1..<statements).reduce(innermost) { inner, i in "{\(i % 2 == 0 ? "else" : "statements"): [\(inner)]}" }
            return router(top: "policies: {p: [\(nested)]}", import: "p")
        }
        let result = read(text(6, 6))
        #expect(result.errors.map(\.description) == [])
        let configuration = try #require(result.value)
        #expect(read(RouterText.text(of: configuration)).value == configuration)
        #expect(try RouterConfiguration(decoding: configuration.encoded()) == configuration)
        #expect(read(text(7, 1)).errors.map(\.message) == ["statements are at most 6 deep"])
        #expect(read(text(1, 7)).errors.map(\.message) == ["conditions are at most 6 deep"])
    }

    @Test(arguments: [
        ("as-path-sets: {a: ['65001 (2']}", "'65001 (2', character 7: this '(' is not closed"),
        (
            "as-path-sets: {a: [\((1...200).map { "'.* \($0 * 2) \($0 * 2 + 1) .{7}'" }.joined(separator: ", "))]}",
            "its expressions are too much together; write once what many have in common, or divide the set"
        ),
        ("as-path-sets: {a: ['1 ^ 2']}", "'1 ^ 2': no path can match this"),
        (
            "as-path-sets: {good: [1]}\npolicies: {p: [{match: {as-path-set: god}, then: accept}]}",
            "there is no AS path set 'god'; did you mean 'good'?"
        ),
        (
            "as-sets: {good: [1]}\npolicies: {p: [{match: {origin-as: god}, then: accept}]}",
            "there is no AS set 'god'; did you mean 'good'?"
        ),
        ("as-sets: {7: [1]}", "'7' could be taken for a number; choose a name that begins with a letter"),
        ("as-sets: {a: [5..1]}", "'5..1' is no range of AS numbers; write it like 64512..65534"),
        ("as-sets: {a: [0]}", "0 is no AS number; write a number from 1 to 4294967295"),
        ("policies: {p: [{match: {any: {origin: igp}}, then: accept}]}", "a list is expected: any: [{…}, {…}]"),
        ("policies: {p: [{match: {not: {}}, then: accept}]}", "a condition is expected here"),
        ("policies: {p: [{match: {not: {orgin: igp}}, then: accept}]}", "unknown key; did you mean 'origin'?"),
        ("policies: {p: [{set: {med: '+x'}, then: accept}]}", "'+x' is not allowed; write + or - and a number up to 4294967295"),
        ("policies: {p: [{set: {prepend: {own: 1, last: 2}}, then: accept}]}", "write either 'own' or 'last'"),
        ("policies: {p: [{set: {prepend: {own: 1, count: 2}}, then: accept}]}", "this says all; leave 'as' and 'count' out"),
        ("policies: {p: [{set: {next-hop: peer}, then: accept}]}", "'peer' is no IPv4 or IPv6 address"),
        ("policies: {p: [{match: {origin: igp}}]}", "'then' is missing; write accept, reject or next"),
        ("policies: {p: [{match: {as-path-list: x}, then: accept}]}", "unknown key; write as-path-set"),
    ])
    func `what is wrong is named with what would be right`(text: String, message: String) {
        #expect(read(router(top: text)).errors.map(\.message).contains(message))
    }

    @Test func `what has no meaning where a policy is named is said, however deep it stands`() {
        let policies = """
            policies:
              p:
                - statements:
                    - {match: {any: [{not: {as-path: "_1_"}}]}, set: {prepend: {last: 1}}, then: accept}
            redistribute: [{from: static, into: ospf, policy: p}]
            """
        let messages = read(router(top: policies)).problems.map(\.message)
        #expect(
            messages.contains(
                "policy 'p': a route can be asked for the AS path only where BGP imports or exports it"))
        #expect(messages.contains("policy 'p': only routes of BGP have the attributes that it sets"))
    }
}
