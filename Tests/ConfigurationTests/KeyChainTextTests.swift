import BFD
import Engine
import ISIS
import Machine
import OSPF
import RIP
import Records
import Testing
import Wire

@testable import Configuration

@Suite struct KeyChainTextTests {
    private static let router = """
        interfaces:
          - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24, "2001:db8:18::1/64"]}

        """

    static let complete = """
        key-chains:
          - name: core
            keys:
              - id: 1
                algorithm: hmac-sha-1
                secret: "the old: one"
                send: {until: 2027-01-01T00:00:00Z}
                accept: {until: 2027-01-01T01:00:00+00:00}
              - id: 2
                secret: the-new-one
                send: {from: 2027-01-01T00:00:00Z, until: 2028-01-01T00:00:00Z}
                accept: {from: 2026-12-31T23:00:00Z}
              - {id: 3, algorithm: hmac-sha-512, secret: 0x00ff, send: never, accept: always, extended-sequence: true}
          - name: plain
            keys: [{id: 0, algorithm: clear-text, secret: open}]
          - name: watch
            keys: [{id: 9, algorithm: sha-1, secret: seen, accept: never}]
        bfd:
          authentication: {type: meticulous-sha1, key-chain: watch}
          profiles:
            other: {authentication: {type: password, key-chain: plain}}
        ospf:
          router-id: 192.0.2.1
          areas: [{id: 0, interfaces: [{name: lan, authentication: {key-chain: core}}]}]
        ospfv3:
          router-id: 192.0.2.1
          areas: [{id: 0, interfaces: [{name: lan, authentication: {key-chain: core}}]}]
        isis:
          net: 49.0001.1921.6800.1001.00
          authentication: {level-2: {key-chain: core, send-only: true}}
          interfaces: [{name: lan, authentication: {key-chain: plain}}]
        rip:
          interfaces: [{name: lan, authentication: {key-chain: plain}}]
        """

    private static func time(_ text: String) -> Instant { Instant(rfc3339: text)! }

    @Test func `a chain is read with its lifetimes, and whoever names it has it`() throws {
        let result = read(Self.router + Self.complete)
        #expect(result.problems.isEmpty, "\(result.problems)")
        let configuration = try #require(result.value)
        let newYear = Self.time("2027-01-01T00:00:00Z")
        let core = KeyChain(
            name: "core",
            keys: [
                .init(
                    id: 1, algorithm: .hmacSHA1, secret: "the old: one", send: .init(until: newYear),
                    accept: .init(until: newYear + .seconds(3600))),
                .init(
                    id: 2, algorithm: .hmacSHA256, secret: "the-new-one",
                    send: .init(from: newYear, until: Self.time("2028-01-01T00:00:00Z")),
                    accept: .init(from: newYear - .seconds(3600))),
                .init(id: 3, algorithm: .hmacSHA512, secret: [0, 255], send: .never, extendedSequence: true),
            ])
        #expect(configuration.keyChains?.map(\.name) == ["core", "plain", "watch"])
        #expect(configuration.keyChains?.first == core)
        #expect(configuration.ospf?.interfaces[0].authentication == core)
        #expect(configuration.ospfv3?.interfaces[0].authentication == core)
        #expect(configuration.isis?.level2.authentication?.chain == core)
        #expect(configuration.isis?.level2.authentication?.isSendOnly == true)
        let plain = configuration.keyChains?[1]
        #expect(configuration.isis?.interfaces[0].authentication?.chain == plain)
        #expect(configuration.rip?.interfaces[0].authentication == plain)
        let watch = try #require(configuration.keyChains?[2])
        #expect(watch.keys[0].accept.isNever)
        #expect(configuration.bfd?.defaults.authentication == BFDAuthentication(type: .meticulousKeyedSHA1, chain: watch))
        #expect(configuration.bfd?.profile(named: "other")?.authentication?.chain == plain)
    }

    @Test func `what is written is read again as it was, and stays as it is`() throws {
        let configuration = try #require(read(Self.router + Self.complete).value)
        let text = RouterText.text(of: configuration)
        let again = read(text)
        #expect(again.problems.isEmpty, "\(again.problems)")
        #expect(again.value == configuration)
        #expect(again.value.map(RouterText.text) == text)
        #expect(text.contains("key-chain: core") && text.contains("until: 2027-01-01T01:00:00Z") && text.contains("send: never"))
        #expect(try RouterConfiguration(decoding: configuration.encoded()) == configuration)
    }

    @Test func `the secrets of a chain are hidden as others are`() throws {
        let text = Self.router + Self.complete
        let hidden = try #require(Secrets.hide(in: text, of: Secrets.Source(revision: 3, isCanonical: false)))
        for secret in ["the old: one", "the-new-one", "0x00ff", "secret: open", "seen"] { #expect(!hidden.contains(secret)) }
    }

    private static func core(_ keys: String) -> String { "key-chains: [{name: core, keys: [\(keys)]}]\n" }
    private static let ospf =
        "ospf: {router-id: 1.1.1.1, areas: [{id: 0, interfaces: [{name: lan, authentication: {key-chain: core}}]}]}"
    private static let ospfv3 = ospf.replacing("ospf:", with: "ospfv3:")
    private static let isis =
        "isis: {net: 49.0001.1921.6800.1001.00, interfaces: [{name: lan, authentication: {key-chain: core}}]}"
    private static let rip = "rip: {interfaces: [{name: lan, authentication: {key-chain: core}}]}"
    private static func bfd(_ type: String) -> String { "bfd: {authentication: {type: \(type), key-chain: core}}" }

    static let mistakes: [(text: String, message: String)] = [
        // The chains themselves.
        ("key-chains: [{keys: [{id: 1, secret: x}]}]", "key-chains[0]: 'name' is missing"),
        ("key-chains: [{name: core}]", "key-chains[0]: 'keys' is missing"),
        ("key-chains: [{name: core, keys: []}]", "key-chains[0].keys: at least one key is needed"),
        (core("{id: 1, secret: x}, {id: 1, secret: y}"), "key-chains[0].keys[1].id: there is another key 1"),
        (core("{id: 1}"), "key-chains[0].keys[0]: 'secret' is missing"),
        (core("{id: -1, secret: x}"), "'-1' is not allowed; write a number from 0 to 18446744073709551615"),
        (core("{id: 1, secret: x, algorithm: hmac-sha-25}"), "'hmac-sha-25' is not allowed; did you mean 'hmac-sha-256'?"),
        (core("{id: 1, key-string: x}"), "key-chains[0].keys[0].key-string: unknown key; write secret"),
        (core("{id: 1, secret: x, send-lifetime: always}"), "unknown key; write send"),
        (core("{id: 1, secret: 0xabc}"), "octets of two hexadecimal digits"),
        (core("{id: 1, secret: x, send: {from: 2027-01-01}}"), "keys[0].send.from: '2027-01-01' is no time with a zone"),
        (core("{id: 1, secret: x, send: {from: 2027-01-01T00:00:00}}"), "write it like 2027-01-01T00:00:00Z"),
        (core("{id: 1, secret: x, send: {until: 2027-02-29T00:00:00Z}}"), "'2027-02-29T00:00:00Z' is no time"),
        (
            core("{id: 1, secret: x, accept: {from: 2027-01-01T00:00:00Z, until: 2027-01-01T01:00:00+01:00}}"),
            "accept.until: this is not after from, 2027-01-01T00:00:00Z"
        ),
        (core("{id: 1, secret: x, send: sometimes}"), "'sometimes' is not allowed; it can be always or never"),
        (core("{id: 1, secret: x, send: {start: 2027-01-01T00:00:00Z}}"), "unknown key; write from"),
        (core("{id: 1, secret: x, send: never}"), "key-chains[0].keys: no key of 'core' ever signs; one needs send: always"),
        (
            "key-chains: [{name: a, keys: [{id: 1, secret: x}]}, {name: a, keys: [{id: 1, secret: x}]}]",
            "key chain 'a' is written twice"
        ),
        ("key-chain: []", "unknown key; write key-chains"),
        // Those who name them.
        (
            "key-chains: [{name: cores, keys: [{id: 1, secret: x}]}]\n" + ospf,
            "areas[0].interfaces[0].authentication.key-chain: there is no key chain 'core'; did you mean 'cores'?"
        ),
        (rip, "rip.interfaces[0].authentication.key-chain: there is no key chain 'core'"),
        (
            core("{id: 1, secret: x, algorithm: hmac-md5}") + ospf,
            "key 1 of key chain 'core' has the algorithm hmac-md5, which OSPFv2 does not know; it can be clear-text, md5, hmac-sha-1, "
                + "hmac-sha-256, hmac-sha-384 or hmac-sha-512"
        ),
        (
            core("{id: 1, secret: x, algorithm: md5}") + ospfv3,
            "has the algorithm md5, which OSPFv3 does not know; it can be hmac-sha-1"
        ),
        (core("{id: 1, secret: x, algorithm: sha-1}") + isis, "has the algorithm sha-1, which IS-IS does not know"),
        (core("{id: 1, secret: x, algorithm: hmac-sha-224}") + rip, "has the algorithm hmac-sha-224, which RIPv2 does not know"),
        (core("{id: 1, secret: x}") + bfd("sha1"), "which BFD of type sha1 does not know; it can be sha-1"),
        (core("{id: 1, secret: x, algorithm: sha-1}") + bfd("md5"), "which BFD of type md5 does not know; it can be md5"),
        (
            core("{id: 256, secret: x}") + ospf,
            "key 256 of key chain 'core' has a number that OSPFv2 has no room for (RFC 2328 §D.3: 8 bits); give it one from 0 to 255"
        ),
        (
            core("{id: 0, secret: x}") + ospfv3,
            "OSPFv3 has no room for (RFC 7166 §4.1: 16 bits and not 0); give it one from 1 to 65535"
        ),
        (core("{id: 65536, secret: x}") + isis, "IS-IS has no room for (RFC 5310 §3.1: 16 bits); give it one from 0 to 65535"),
        (core("{id: 256, secret: x}") + rip, "RIPv2 has no room for (RFC 4822 §2.1: 8 bits)"),
        (
            core("{id: 256, secret: x, algorithm: sha-1}") + bfd("sha1"),
            "BFD of type sha1 has no room for (RFC 5880 §4.2: 8 bits)"
        ),
        (
            core("{id: 1, secret: 123456789, algorithm: clear-text}") + ospf,
            "has a secret of 9 octets; with clear-text OSPFv2 takes at most 8"
        ),
        (core("{id: 1, secret: 12345678901234567, algorithm: md5}") + rip, "with md5 RIPv2 takes at most 16"),
        (
            core("{id: 1, secret: 123456789012345678901, algorithm: sha-1}") + bfd("sha1"),
            "with sha-1 BFD of type sha1 takes at most 20"
        ),
        (core("{id: 1, secret: x, algorithm: md5, extended-sequence: true}") + ospf, "RFC 7474 goes with the HMAC algorithms"),
        (
            core("{id: 1, secret: x}") + rip.replacing("key-chain: core", with: "key-chain: core, password: x"),
            "'password' and 'key-chain' exclude each other"
        ),
        (
            core("{id: 1, secret: x}") + isis.replacing("key-chain: core", with: "key-chain: core, keys: []"),
            "'keys' and 'key-chain' exclude each other"
        ),
        (isis.replacing("key-chain: core", with: "send-only: true"), "write keys or key-chain"),
        ("bfd: {authentication: {type: md5}}", "write keys or key-chain"),
    ]

    @Test(arguments: mistakes.indices) func `what cannot be is named with its place`(_ number: Int) {
        let (text, message) = Self.mistakes[number]
        let found = problems(Self.router + text)
        #expect(found.contains { $0.contains(message) }, "\(text)\n\(found)")
        #expect(read(Self.router + text).value == nil)
    }

    @Test func `a gap between two keys is warned of, and neither a beginning nor an end is one`() {
        let keys = [
            "{id: 1, secret: x, send: {from: 2027-01-01T00:00:00Z, until: 2028-01-01T00:00:00Z}}",
            "{id: 2, secret: y, send: {from: 2028-01-01T00:00:00Z, until: 2029-01-01T00:00:00Z}}",
            "{id: 3, secret: z, send: {from: 2029-01-01T01:00:00Z, until: 2030-01-01T00:00:00Z}}",
        ]
        let found = problems(Self.router + Self.core(keys.joined(separator: ", ")))
        #expect(found.count == 1)
        let message =
            "key-chains[0].keys: no key is in its send lifetime from 2029-01-01T00:00:00Z to 2029-01-01T01:00:00Z; key 2 signs on"
        #expect(found.first?.contains(message) == true, "\(found)")
        #expect(read(Self.router + Self.core(keys.joined(separator: ", "))).value != nil)
    }

    @Test func `numbers that no packet carries can be as large as they like`() {
        let text = Self.core("{id: 99999999999, secret: x, algorithm: clear-text}")
        for user in [Self.ospf, Self.isis, Self.rip] { #expect(problems(Self.router + text + user).isEmpty) }
    }
}
