import Records
import Testing
import Wire

@testable import Configuration

@Suite struct ArbiterTextTests {
    static func read(_ arbiter: String) -> ConfigurationResult<ControllerFile> {
        let text = """
            controller: a
            interfaces: {lan: svc0}
            redundancy: {local: 198.18.255.1, peer: 198.18.255.2, key-file: pair.key}
            arbiter: \(arbiter)
            """
        return ControllerText.read(Array(text.utf8), file: "c.yaml", directory: "/etc/lockstep")
    }

    @Test func `a witness is an address and a key, the rest has defaults`() {
        let short = Self.read("{witness: {address: 192.0.2.9, key-file: w.key}}")
        #expect(short.problems.isEmpty)
        var expected = WitnessVoteConfiguration(address: IPAddress("192.0.2.9")!, keyFiles: ["/etc/lockstep/w.key"])
        #expect(short.value?.arbiter == .witness(expected))
        #expect(expected.port == 7181 && expected.lease == .seconds(2))
        expected.port = 7000
        expected.lease = .milliseconds(500)
        let full = Self.read("{witness: {address: 192.0.2.9, port: 7000, key-file: w.key, lease: 500ms}}")
        #expect(full.value?.arbiter == .witness(expected))
    }

    @Test func `etcd is its endpoints, the rest has defaults`() {
        let short = Self.read("{etcd: {endpoints: https://192.0.2.1:2379}}")
        #expect(short.problems.isEmpty)
        var expected = EtcdVoteConfiguration(endpoints: ["https://192.0.2.1:2379"])
        #expect(short.value?.arbiter == .etcd(expected))
        #expect(expected.prefix == "/lockstep" && expected.ttl == 5)
        let full = Self.read(
            """
            {etcd: {endpoints: ['https://a.example:2379/', 'https://[2001:db8::2]:2379'], prefix: /routers, ttl: 10s,
              authority: ca.pem, certificate: a.pem, private-key: a.key, user: lockstep, password-file: password}}
            """)
        #expect(full.problems.isEmpty)
        expected = EtcdVoteConfiguration(endpoints: ["https://a.example:2379", "https://[2001:db8::2]:2379"])
        expected.prefix = "/routers"
        expected.ttl = 10
        expected.authority = "/etc/lockstep/ca.pem"
        expected.certificate = "/etc/lockstep/a.pem"
        expected.privateKey = "/etc/lockstep/a.key"
        expected.user = "lockstep"
        expected.passwordFile = "/etc/lockstep/password"
        #expect(full.value?.arbiter == .etcd(expected))
    }

    @Test func `etcd without TLS is accepted with a warning`() {
        let result = Self.read("{etcd: {endpoints: [http://192.0.2.1:2379]}}")
        #expect(result.value != nil)
        #expect(result.warnings.map(\.message).first?.contains("write https") == true)
    }

    @Test(arguments: [
        ("witness", "the witness needs its address; write {witness: {address: …, key-file: …}}"),
        ("etcd", "etcd needs its endpoints; write {etcd: {endpoints: […]}}"),
        (
            "{witness: {address: 192.0.2.9, key-file: k}, etcd: {endpoints: https://a:2379}}",
            "write only one of witness and etcd"
        ),
        ("{witness: {key-file: k}}", "'address' is missing; where the witness listens"),
        ("{witness: {address: 192.0.2.9}}", "'key-file' is missing; the secret that this pair shares with the witness"),
        (
            "{witness: {address: 192.0.2.9, key-file: k, key: abc}}",
            "unknown key; write key-file: PATH, the key itself does not belong here"
        ),
        ("{witness: {address: 192.0.2.9, key-file: k, lease: 50ms}}", "50ms is not allowed; write a time from 100ms to 1m"),
        ("{witness: {address: 192.0.2.9, key-file: k}, lease: 1s}", "write lease inside witness"),
        ("{etcd: {prefix: /x}}", "'endpoints' is missing; the cluster's members, as https://ADDRESS:2379"),
        ("{etcd: {endpoints: []}}", "at least one member is needed"),
        ("{etcd: {endpoints: 192.0.2.1}}", "'192.0.2.1' is no endpoint; write https://ADDRESS:2379"),
        ("{etcd: {endpoints: https://192.0.2.1}}", "'https://192.0.2.1' is no endpoint; write https://ADDRESS:2379"),
        ("{etcd: {endpoints: 'https://a:2379/v3'}}", "'https://a:2379/v3' is no endpoint; write https://ADDRESS:2379"),
        (
            "{etcd: {endpoints: 'https://user:word@a:2379'}}",
            "'https://user:word@a:2379' is no endpoint; write https://ADDRESS:2379"
        ),
        ("{etcd: {endpoints: [https://a:2379, https://a:2379]}}", "https://a:2379 is there twice"),
        ("{etcd: {endpoints: [https://a:2379, http://b:2379]}}", "all members are reached by https or all by http"),
        ("{etcd: {endpoints: https://a:2379, ttl: 2500ms}}", "etcd knows whole seconds only"),
        ("{etcd: {endpoints: https://a:2379, ttl: 1s}}", "1s is not allowed; write a time from 2s to 1m"),
        (
            "{etcd: {endpoints: https://a:2379, prefix: lockstep}}",
            "'lockstep' is no prefix; write one as /lockstep, with a slash before it and none behind"
        ),
        ("{etcd: {endpoints: https://a:2379, certificate: a.pem}}", "certificate and private-key belong together"),
        ("{etcd: {endpoints: https://a:2379, user: a}}", "user and password-file belong together"),
        ("{etcd: {endpoints: http://a:2379, authority: ca.pem}}", "without https in endpoints there is no TLS"),
    ])
    func `a wrong arbiter is refused`(text: String, message: String) {
        let result = Self.read(text)
        #expect(result.errors.map(\.message).first == message)
        #expect(result.value == nil)
    }
}

@Suite struct WitnessTextTests {
    static func read(_ text: String) -> ConfigurationResult<WitnessFile> {
        WitnessText.read(Array(text.utf8), file: "w.yaml", directory: "/etc/lockstep")
    }

    @Test func `the shortest witness gets the defaults`() {
        let result = Self.read("listen: 192.0.2.9\npairs: {r1: {key-file: r1.key}}")
        #expect(result.problems.isEmpty)
        let expected = WitnessFile(
            listen: IPAddress("192.0.2.9")!, pairs: [.init(name: "r1", keyFiles: ["/etc/lockstep/r1.key"])])
        #expect(result.value == expected)
        #expect(expected.port == 7181 && expected.leaseMaximum == .seconds(10))
        #expect(expected.store == "/var/lib/lockstep/witness")
    }

    @Test func `everything can be said`() {
        let result = Self.read(
            """
            listen: 2001:db8::9
            port: 7000
            store: words
            lease-maximum: 3s
            log-level: warning
            pairs:
              r1: {key-file: r1.key}
              r2: {key-file: /k/r2.key}
            """)
        #expect(result.problems.isEmpty)
        var expected = WitnessFile(
            listen: IPAddress("2001:db8::9")!,
            pairs: [.init(name: "r1", keyFiles: ["/etc/lockstep/r1.key"]), .init(name: "r2", keyFiles: ["/k/r2.key"])])
        expected.port = 7000
        expected.store = "/etc/lockstep/words"
        expected.leaseMaximum = .seconds(3)
        expected.logLevel = .warning
        #expect(result.value == expected)
    }

    @Test(arguments: [
        ("pairs: {r1: {key-file: k}}", "'listen' is missing; the address on which controllers reach this witness"),
        ("listen: 192.0.2.9", "'pairs' is missing; write PAIR: {key-file: PATH} for each"),
        ("listen: 192.0.2.9\npairs: {}", "at least one pair is needed"),
        ("listen: 192.0.2.9\npairs: {r1: {}}", "'key-file' is missing; the secret that the witness shares with this pair"),
        (
            "listen: 192.0.2.9\npairs: {r1: {key-file: k, key: abc}}",
            "unknown key; write key-file: PATH, the key itself does not belong here"
        ),
        (
            "listen: 192.0.2.9\npairs: {r1: {key-file: k}}\nlease-maximum: 2h",
            "2h is not allowed; write a time from 100ms to 1m"
        ),
        ("listen: 192.0.2.9\npairs: {r1: {key-file: k}}\ndatastore: x", "unknown key; write store"),
    ])
    func `a wrong file is refused`(text: String, message: String) {
        let result = Self.read(text)
        #expect(result.errors.map(\.message).first == message)
        #expect(result.value == nil)
    }
}
