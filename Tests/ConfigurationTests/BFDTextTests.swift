import BFD
import Engine
import Records
import Testing
import Wire

@testable import Configuration

@Suite struct BFDTextTests {
    static let complete = """
        bfd:
          interval: 100ms
          multiplier: 4
          profiles:
            fast:
              transmit: 50ms
              receive: 60ms
              multiplier: 3
            far:
              interval: 1s
              minimum-ttl: 250
              passive: true
              authentication:
                type: meticulous-sha1
                keys:
                  - id: 1
                    secret: first
                  - id: 255
                    secret: 0x00ff
            same: {}
          interfaces:
            lan: fast
          peers:
            - address: 198.18.0.11
              local-address: 198.18.0.1
              interface: lan
              profile: far
              shutdown: true
        static-routes:
          - prefix: 10.0.0.0/8
            next-hop: 198.18.0.12
            bfd: fast
          - prefix: 11.0.0.0/8
            next-hop: 198.18.0.12
            bfd: true
          - prefix: 12.0.0.0/8
            next-hop: 198.18.0.12
            bfd: false
        """

    @Test func `every key of the section means what the manual says`() throws {
        let result = read(router(neighbor: "bfd: far", top: Self.complete))
        #expect(
            result.problems.map(\.message) == [
                "the neighbor hears AdminDown; FRR and BIRD end the BGP session that they watch with it"
            ])
        let configuration = try #require(result.value)
        let bfd = try #require(configuration.bfd)
        #expect(bfd.defaults == BFDProfile(desiredMinTx: 100_000, requiredMinRx: 100_000, multiplier: 4))
        #expect(bfd.profile(named: "fast") == BFDProfile(desiredMinTx: 50_000, requiredMinRx: 60_000, multiplier: 3))
        #expect(
            bfd.profile(named: "far")
                == BFDProfile(
                    desiredMinTx: 1_000_000, requiredMinRx: 1_000_000, multiplier: 4, isPassive: true, minimumHopLimit: 250,
                    authentication: BFDAuthentication(
                        type: .meticulousKeyedSHA1,
                        chain: KeyChain(firstSigns: [
                            .init(id: 1, algorithm: .sha1, secret: "first"), .init(id: 255, algorithm: .sha1, secret: [0, 255]),
                        ]))))
        #expect(bfd.profile(named: "same") == bfd.defaults)
        #expect(bfd.interfaces == [BFDInterfaceConfiguration(interface: "lan", profile: "fast")])
        #expect(
            bfd.peers == [
                BFDPeerConfiguration(
                    remote: IPAddress("198.18.0.11")!, local: IPAddress("198.18.0.1")!, interface: "lan", profile: "far",
                    isShutdown: true)
            ])
        #expect(configuration.bgp?.neighbors.first?.bfd == "far")
        #expect(configuration.staticRoutes.map(\.bfd) == ["fast", "", nil])
    }

    @Test func `what is written is read back as the same`() throws {
        for text in [
            router(neighbor: "bfd: far", top: Self.complete), router(neighbor: "bfd: true"),
            router(top: "bfd: {interval: 300ms}"),
        ] {
            let configuration = try #require(read(text).value)
            let written = RouterText.text(of: configuration)
            #expect(read(written).errors.isEmpty)
            #expect(read(written).value == configuration)
            #expect(RouterText.text(of: try #require(read(written).value)) == written)
        }
    }

    @Test func `the defaults may stand in a mapping of their own`() throws {
        let apart = try #require(read(router(top: "bfd: {defaults: {interval: 50ms, multiplier: 5}}")).value)
        #expect(apart.bfd == (try #require(read(router(top: "bfd: {interval: 50ms, multiplier: 5}")).value)).bfd)
        #expect(apart.bfd?.defaults.requiredMinRx == 50_000)
    }

    @Test func `a peer group may ask for BFD and a neighbor refuse it`() throws {
        let text = router(neighbor: "peer-group: g\nbfd: false", bgp: "peer-groups: {g: {bfd: true}}")
        #expect(try #require(read(text).value).bgp?.neighbors.first?.bfd == nil)
        let inherited = router(neighbor: "peer-group: g", bgp: "peer-groups: {g: {bfd: true}}")
        #expect(try #require(read(inherited).value).bgp?.neighbors.first?.bfd == "")
    }

    @Test(arguments: [
        ("bfd: {interval: 5ms}", "5ms is not allowed"), ("bfd: {multiplier: 1}", "a number from 2 to 255"),
        ("bfd: {min-tx: 50ms}", "write transmit"), ("bfd: {profiles: {'true': {}}}", "cannot be called 'true'"),
        ("bfd: {interfaces: {wan: fast}}", "there is no interface 'wan'"),
        ("bfd: {profiles: {fast: {}}, interfaces: {lan: fsat}}", "did you mean 'fast'?"),
        ("bfd: {authentication: {type: md5, keys: [{id: 1, secret: 12345678901234567}]}}", "1 to 16 octets"),
        ("bfd: {authentication: {type: md5, keys: [{id: 1, secret: 0x123}]}}", "hexadecimal"),
        ("bfd: {authentication: {type: md5, keys: [{id: 1, secret: a}, {id: 1, secret: b}]}}", "another key 1"),
        ("bfd: {authentication: {type: sha256, keys: []}}", "'sha256' is not allowed"),
        ("bfd: {peers: [{address: 198.18.0.11}, {address: 198.18.0.11}]}", "written twice"),
        ("static-routes: [{prefix: 10.0.0.0/8, blackhole: true, bfd: true}]", "nobody is there to watch"),
        ("static-routes: [{prefix: 10.0.0.0/8, next-hop: 198.18.0.12, bfd: fast}]", "there is no BFD profile 'fast'"),
    ])
    func `what is wrong is named`(top: String, reason: String) {
        let found = problems(router(top: top))
        #expect(found.contains { $0.contains(reason) }, "\(found)")
    }
}
