import Engine
import RIP
import Records
import Testing
import Wire

@testable import Configuration

@Suite struct RIPTextTests {
    private func text(_ sections: String) -> String {
        """
        interfaces:
          - {name: lan, virtual-router-id: 1, addresses: [198.18.0.1/24, "2001:db8:18::1/64"]}
          - {name: wan, virtual-router-id: 2, addresses: [198.18.1.1/24]}
          - {name: lo, loopback: true, addresses: [192.0.2.1/32]}
        \(sections)
        """
    }

    @Test func `the shortest sections get the defaults`() throws {
        let result = read(text("rip: {interfaces: [lan, {name: wan}]}\nripng: {interfaces: [lan]}"))
        #expect(result.problems.isEmpty)
        let configuration = try #require(result.value)
        #expect(
            configuration.rip
                == RIPConfiguration(
                    version: .v2,
                    interfaces: [RIPInterfaceConfiguration(name: "lan"), RIPInterfaceConfiguration(name: "wan")]))
        #expect(
            configuration.ripng == RIPConfiguration(version: .ng, interfaces: [RIPInterfaceConfiguration(name: "lan")]))
    }

    static let complete = """
        rip:
          distance: 90
          maximum-paths: 4
          default-metric: 3
          default-originate: {always: true, metric: 5, tag: 77}
          timers: {update: 10s, timeout: 60s, garbage: 40s, triggered-initial: 0ms, triggered-minimum: 500ms, triggered-maximum: 2s}
          limits: {routes: 1000, routes-per-neighbor: 500, neighbors-per-interface: 8, requests-per-second: 5}
          interfaces:
            - name: lan
              split-horizon: simple
              metric: 2
              metric-offset: 4
              send: 1-compatible
              receive: both
              neighbors: [198.18.0.7]
              bfd: true
              ttl-security: true
              suppress-prefixes: true
            - name: wan
              passive: true
              authentication:
                keys:
                  - {id: 7, algorithm: hmac-sha-256, secret: "se: cret"}
                  - {id: 8, secret: old}
            - {name: lo, authentication: {password: open}}
        ripng:
          default-originate: {always: false, metric: 1}
          interfaces:
            - {name: lan, split-horizon: none, neighbors: ["fe80::9"], bfd: true}
        """

    @Test func `everything that can be written is read`() throws {
        let result = read(text(Self.complete))
        #expect(result.problems.isEmpty)
        let rip = try #require(result.value?.rip)
        #expect(rip.distance == 90)
        #expect(rip.defaultOriginate == RIPDefaultOriginate(always: true, metric: 5, tag: 77))
        #expect(rip.timers.update == 10)
        #expect(rip.timers.timeout == 60)
        #expect(rip.timers.triggeredInitial == 0)
        #expect(rip.timers.triggeredMaximum == 2_000)
        #expect(rip.limits.neighborsPerInterface == 8)
        #expect(rip.interfaces[0].send == .v1Compatible)
        #expect(rip.interfaces[0].receive == .both)
        #expect(rip.interfaces[0].neighbors == [IPAddress("198.18.0.7")!])
        #expect(
            rip.interfaces[1].authentication
                == KeyChain(firstSigns: [
                    .init(id: 7, algorithm: .hmacSHA256, secret: "se: cret"), .init(id: 8, algorithm: .md5, secret: "old"),
                ]))
        #expect(rip.interfaces[2].authentication == .password("open"))
        #expect(result.value?.ripng?.interfaces[0].neighbors == [IPAddress("fe80::9")!])
    }

    @Test func `what is written is read again as it was`() throws {
        let configuration = try #require(read(text(Self.complete)).value)
        let written = RouterText.text(of: configuration)
        let again = read(written)
        #expect(again.problems.isEmpty)
        #expect(again.value == configuration)
    }

    @Test(arguments: [
        ("rip: {interfaces: [lam]}", "did you mean 'lan'?"),
        ("rip: {interfaces: [lan, lan]}", "written twice"),
        ("rip: {interfaces: [{name: lan, metric: 16}]}", "rip.interfaces[0].metric"),
        ("rip: {interfaces: [{name: lan, authentication: {}}]}", "write password, keys or key-chain"),
        ("rip: {interfaces: [{name: lan, authentication: {password: 12345678901234567}}]}", "authentication.password"),
        ("rip: {interfaces: [{name: lan, authentication: {keys: [{id: 1, secret: x}, {id: 1, secret: y}]}}]}", "key 1"),
        ("rip: {interfaces: [{name: lan, send: 1, authentication: {password: x}}]}", "RFC 2453 §4.1"),
        ("rip: {interfaces: [{name: lan, neighbors: [198.18.1.2]}]}", "on no network of interface 'lan'"),
        ("rip: {interfaces: [{name: lan, neighbors: [198.18.0.1]}]}", "is the router itself"),
        ("rip: {timers: {update: 30s, timeout: 30s}, interfaces: [lan]}", "time out between two updates"),
        ("rip: {network: 10.0.0.0/8, interfaces: [lan]}", "write interfaces"),
        ("rip: {redistribute: bgp, interfaces: [lan]}", "write redistribute at the top level"),
        ("ripng: {interfaces: [{name: lan, authentication: {password: x}}]}", "unknown key"),
        ("ripng: {interfaces: [{name: lan, neighbors: [\"2001:db8:18::2\"]}]}", "is not link-local"),
        ("ripng: {interfaces: [{name: lan, neighbors: [198.18.0.2]}]}", "is not of the family"),
    ])
    func `what cannot be is named with its place`(_ section: String, _ message: String) {
        let found = problems(text(section))
        #expect(found.contains { $0.contains(message) }, "\(found)")
        #expect(read(text(section)).value == nil)
    }
}
